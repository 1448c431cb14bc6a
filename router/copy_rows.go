package router

import (
	"slices"
	"strconv"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/router/internal/sql"
	"github.com/pgring/pgring/topology"
)

// copying says how the data of a COPY … FROM STDIN go to several shards.
type copying struct {
	options sql.CopyOptions
	need    requirement // of a sharded table
	key     []operand   // by column
	group   string
	foreign bool // the data are not in the servers' encoding
	all     bool // a reference table: every row goes to every shard
	dated   bool // a value may mean the current time, which each shard takes for itself
}

// copyInto plans COPY … FROM STDIN into a table that is on several shards.
func (a *analysis) copyInto(s *pg.CopyStmt, t *topology.Table) {
	c := &copying{all: t.Kind == topology.Reference, foreign: a.env.foreign}
	if why := a.copyOptions(s, t, c); why != "" {
		a.onlyAlone(&Refusal{Reason: Unsupported, Message: "COPY into " + quoteIdent(whole(t)) + " cannot be divided between shards",
			Detail: why, Hint: "Use other options, or INSERT."})
	}
	w := &gathering{a: a}
	a.functions()
	a.splitCalls(w, s.WhereClause)
	if w.why != nil {
		w.why.Message, w.why.Hint = "COPY cannot be divided between shards", "Use other conditions."
		a.onlyAlone(w.why)
	}
	a.st.copying = c
	if c.all {
		a.copyEverywhere(s, t, c)
		return
	}
	a.st.route, a.st.splits = routeRows, true
	c.group = t.Group.Name
	c.need = requirement{group: c.group, table: whole(t), key: t.Key}
	for i := range t.Key {
		c.key = append(c.key, operand{kind: operandParam, keyType: keyColumnType(t, i), stored: true, modifier: columnModifier(t, i)})
	}
	a.st.needs = append(a.st.needs, c.need)
	a.st.spread = a.alone
}

// copyEverywhere plans COPY into a reference table.
func (a *analysis) copyEverywhere(s *pg.CopyStmt, t *topology.Table, c *copying) {
	a.st.route = routeBroadcast
	for i := range t.Columns {
		c.dated = c.dated || c.options.Format != sql.CopyBinary && !undatedColumn(&t.Columns[i])
	}
	names, _ := words(s.Attlist)
	given := len(names)
	if given == 0 {
		given = len(t.Columns)
	}
	if column := volatileDefault(t, names, nil, given); column != "" {
		a.onlyAlone(&Refusal{Reason: Unsupported, Message: "COPY into reference table " + quoteIdent(whole(t)) + " may differ between shards",
			Detail: "The DEFAULT of column " + quoteIdent(column) + " is computed on each shard.", Hint: "Give the column values."})
	}
	if why := a.nondeterminism(); s.WhereClause != nil && why != "" {
		a.onlyAlone(&Refusal{Reason: Unsupported, Message: "COPY into reference table " + quoteIdent(whole(t)) + " may differ between shards",
			Detail: why, Hint: "Write a condition that is the same everywhere."})
	}
	if a.alone != nil {
		a.onlySingle(a.alone)
	}
}

// copyOptions reads the options of a COPY; why is what cannot be done with them.
func (a *analysis) copyOptions(s *pg.CopyStmt, t *topology.Table, c *copying) (why string) {
	o := &c.options
	o.Format = sql.CopyText
	if !c.all {
		fields, why := copyKey(t, s.Attlist)
		if why != "" {
			return why
		}
		o.Key = fields[0]
		for _, field := range fields[1:] {
			o.More = append(o.More, sql.CopyKey{Field: field})
		}
	}
	given := map[string]string{}
	for _, n := range s.Options {
		d := n.GetDefElem()
		switch d.GetDefname() {
		case "format", "delimiter", "null", "quote", "escape", "encoding", "header":
			given[d.Defname] = optionText(d.Arg)
		case "force_not_null", "force_null":
			names, ok := words(d.Arg.GetList().GetItems())
			c.force(t, d.Defname == "force_null", names, !ok)
		case "freeze", "force_quote", "log_verbosity":
		default:
			return "Option " + d.GetDefname() + " is not supported."
		}
	}
	return c.formats(given)
}

// force notes which columns of the key are never NULL, or NULL even in quotes.
func (c *copying) force(t *topology.Table, null bool, names []string, all bool) {
	o := &c.options
	for i, name := range t.Key {
		to := &o.ForceNotNull
		switch {
		case i > len(o.More):
			return // a reference table's
		case i == 0 && null:
			to = &o.ForceNull
		case i > 0 && null:
			to = &o.More[i-1].ForceNull
		case i > 0:
			to = &o.More[i-1].ForceNotNull
		}
		*to = all || slices.Contains(names, name)
	}
}

// formats applies the options that say how the data are written.
func (c *copying) formats(given map[string]string) (why string) {
	o := &c.options
	o.Delimiter, o.Null = '\t', `\N`
	switch given["format"] {
	case "", "text":
	case "csv":
		o.Format, o.Delimiter, o.Quote, o.Null = sql.CopyCSV, ',', '"', ""
	case "binary":
		o.Format = sql.CopyBinary
	default:
		return "Its format is not known."
	}
	for name, to := range map[string]*byte{"delimiter": &o.Delimiter, "quote": &o.Quote} {
		if text, ok := given[name]; ok {
			if len(text) != 1 {
				return "Its " + name + " is not one byte."
			}
			*to = text[0]
		}
	}
	o.Escape = o.Quote
	if text, ok := given["escape"]; ok {
		if len(text) != 1 {
			return "Its escape is not one byte."
		}
		o.Escape = text[0]
	}
	if text, ok := given["null"]; ok {
		o.Null = text
	}
	if text, ok := given["header"]; ok {
		o.Header = text == "match" || text == "" || text == "1" || isOn(text)
	}
	if name, ok := given["encoding"]; ok {
		if !SafeEncoding(name) {
			return "Its encoding has ASCII bytes within characters."
		}
		plain := strings.ToLower(strings.ReplaceAll(name, "-", ""))
		c.foreign = c.foreign || plain != "utf8" && plain != "unicode"
	}
	return ""
}

// optionText returns the value of an option as text; "" if it has none.
func optionText(n *pg.Node) string {
	switch {
	case n.GetString_() != nil:
		return n.GetString_().Sval
	case n.GetInteger() != nil:
		return strconv.Itoa(int(n.GetInteger().Ival))
	case n.GetBoolean() != nil:
		return strconv.FormatBool(n.GetBoolean().Boolval)
	case n.GetAConst() != nil:
		text, _ := constantText(n.GetAConst())
		return text
	}
	return ""
}

// copyKey returns the positions of the key's columns among those of a COPY.
func copyKey(t *topology.Table, list []*pg.Node) ([]int, string) {
	names, _ := words(list)
	if len(names) == 0 { // all that are in the data
		for i := range t.Columns {
			if !t.Columns[i].Generated {
				names = append(names, t.Columns[i].Name)
			}
		}
		if len(names) == 0 {
			return nil, "The position of the shard key " + quoteIdent(keyName(t)) + " is not known."
		}
	}
	fields := make([]int, len(t.Key))
	for i, name := range t.Key {
		if fields[i] = slices.Index(names, name); fields[i] < 0 {
			return nil, "Its columns do not include the shard key " + quoteIdent(keyName(t)) + "."
		}
	}
	return fields, ""
}

// CopyRows divides the data of one COPY … FROM STDIN between the shards of its
// plan. It holds one row at most.
type CopyRows struct {
	copying *copying
	scanner sql.CopyScanner
	group   *topology.Group
	shards  []ring.ShardID
	in      input
	value   copiedValue
	line    int // lines given out so far
	first   int // the shard that has the first row; -1: none yet
}

// CopyPiece is a piece of the data of a COPY.
type CopyPiece struct {
	To    int    // index of the shard that gets it; -1: each
	Data  []byte // valid until Give
	Line  int    // the client's line, from 1, that it ends with; 0: it holds no line
	Lines int    // that it has
	First int    // that it has as the first row that a shard gets
	Doubt *Refusal
	End   bool // the data's own end: what follows counts for nothing
}

// copiedValue is the Values of one field.
type copiedValue struct{ field Value }

// Value implements Values.
func (v *copiedValue) Value(int) (Value, bool) { return v.field, true }

// CopyRows begins to divide the data of a statement whose plan is for these
// shards.
func (s *Statement) CopyRows(snap *topology.Snapshot, shards []ring.ShardID) *CopyRows {
	c := &CopyRows{copying: s.copying, group: snap.Group(s.copying.group), shards: shards, first: -1}
	c.scanner.CopyOptions = s.copying.options
	c.in = input{params: &c.value, foreign: s.copying.foreign}
	c.value.field.Binary = s.copying.options.Format == sql.CopyBinary
	return c
}

// ownOID returns a type that parameters of this key type may be declared with.
func ownOID(t ring.KeyType) uint32 {
	switch t {
	case ring.KeyText:
		return oidText
	case ring.KeyUUID:
		return oidUUID
	case ring.KeyTimestamp:
		return oidTimestamp
	case ring.KeyTimestampTZ:
		return oidTimestampTZ
	case ring.KeyNumeric:
		return oidNumeric
	case ring.KeyBytea:
		return oidBytea
	case ring.KeyInt:
		return oidInt8
	case ring.KeyUnset:
	}
	return 0
}

// Give adds data of the client.
func (c *CopyRows) Give(data []byte) { c.scanner.Give(data) }

// Held returns how many bytes of an incomplete row wait for the rest.
func (c *CopyRows) Held() int { return c.scanner.Held() }

// Lines returns how many lines have been given out.
func (c *CopyRows) Lines() int { return c.line }

// Next returns the next piece of the data given; last: no more will come. False:
// there is none. A piece with a Doubt may not be for the shard that it names,
// but PostgreSQL there is expected to refuse it; if it does not, the Doubt is
// the answer. No piece follows it.
func (c *CopyRows) Next(last bool) (CopyPiece, bool) {
	if c.copying.all && !c.copying.dated {
		data := c.scanner.Rest()
		return CopyPiece{To: -1, Data: data}, len(data) > 0
	}
	r, ok := c.scanner.Next(last)
	if !ok {
		return CopyPiece{}, false
	}
	c.line += r.Lines
	piece := CopyPiece{To: -1, Data: r.Data, Line: c.line, Lines: r.Lines, First: r.First, End: r.Kind == sql.CopyEnd}
	switch {
	case r.Kind == sql.CopyHeader, r.Kind == sql.CopyEnd:
		return piece, true
	case c.copying.all:
		if clockWord(string(r.Data)) {
			piece.Doubt = &Refusal{Reason: Unsupported, Message: "COPY into a reference table may differ between shards",
				Detail: "Line " + strconv.Itoa(c.line) + " has a word that may mean the current time, which each shard takes for itself.",
				Hint:   "Write the moment itself."}
		}
		return piece, true
	}
	piece.To, piece.Doubt = c.place(&r)
	if c.first < 0 {
		c.first = piece.To
	}
	return piece, true
}

// place returns the index of the shard that a row is for.
func (c *CopyRows) place(r *sql.CopyRecord) (int, *Refusal) {
	need := &c.copying.need
	key, got, refusal := c.key(r)
	switch {
	case refusal != nil:
		return max(c.first, 0), refusal
	case got == readKey:
		at := c.group.Placement.Locate(key)
		if i := slices.Index(c.shards, at.Shard); i >= 0 {
			return i, nil
		}
		return max(c.first, 0), noShard(need)
	case got == readNothing:
		return max(c.first, 0), nullKey(need)
	}
	return max(c.first, 0), &Refusal{
		Reason:  KeyNotUnderstood,
		Message: "line " + strconv.Itoa(c.line) + " of the COPY cannot be placed with certainty",
		Detail:  "The value of shard key " + quoteIdent(need.column()) + " of table " + quoteIdent(need.table) + " was not found in it, or has a form that pgring does not read.",
		Hint:    "Write the key plainly.",
	}
}

// key reads the key of a row.
func (c *CopyRows) key(r *sql.CopyRecord) (ring.Key, reading, *Refusal) {
	if r.Kind != sql.CopyRow {
		return ring.Key{}, readUnknown, nil
	}
	if len(c.copying.key) == 1 {
		return c.column(r, 0)
	}
	parts := make([]ring.Key, len(c.copying.key))
	for i := range parts {
		field, ok := *r, true
		if i > 0 {
			field, ok = c.scanner.More(r, i-1)
		}
		if !ok {
			return ring.Key{}, readUnknown, nil
		}
		key, got, refusal := c.column(&field, i)
		if got != readKey {
			return key, got, refusal
		}
		parts[i] = key.Clone() // the next field is read into the same place
	}
	return ring.Tuple(parts...), readKey, nil
}

// column reads the value of the key's i-th column.
func (c *CopyRows) column(field *sql.CopyRecord, i int) (ring.Key, reading, *Refusal) {
	if field.Null {
		return ring.Key{}, readNothing, nil
	}
	o := &c.copying.key[i]
	c.value.field.Data, c.value.field.OID = field.Value, ownOID(o.keyType)
	return c.in.key(o)
}
