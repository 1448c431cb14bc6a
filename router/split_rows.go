package router

import (
	"cmp"
	"slices"
	"strconv"
	"unicode/utf8"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/router/internal/sql"
	"github.com/pgring/pgring/topology"
)

// An INSERT of many rows is not parsed row by row. Our own scanner finds the
// rows and which of them have one shape: those that differ in values only.
// PostgreSQL's parser and the analysis see the statement with one row of each
// shape, and what they find holds for all.

// insertion says where the keys of an INSERT's rows are, by shape.
type insertion struct {
	need      requirement // without its keys
	positions []int       // of the key's columns among a row's values
	shapes    []rowKey
}

// rowKey is how the key of the rows of one shape is read: by column.
type rowKey []operand

// rowSource is a Values of a statement with the rows of its text.
type rowSource interface {
	insertedRows() *sql.Rows
}

func (l *literals) insertedRows() *sql.Rows { return l.rows }

// byRows analyses a piece of text if it is an INSERT of several rows into a
// sharded table. False: it is left to the parser as a whole.
func (r *Router) byRows(snap *topology.Snapshot, env *Env, own []byte, piece *sql.Statement) (*Statement, *sql.Rows, bool) {
	if piece.Broken || piece.Directive || !startsInsert(own) {
		return nil, nil, false
	}
	rows, ok := sql.SplitRows(own)
	if !ok {
		return nil, nil, false
	}
	cacheable := len(rows.Form) <= maxCachedText
	if e := r.cache.get(rows.Form, env, snap.Schema, byRows); e != nil && cacheable {
		r.cache.hits[normal].Add(1)
		return e.st, rows, e.st.insertion != nil
	}
	text := rows.Only(rows.Shapes)
	var splitter sql.Splitter
	var sample sql.Statement
	splitter.Reset(text)
	splitter.Next(&sample)
	st, _, err := r.analyse(snap, env, source{text: text, literals: sample.Literals, rows: rows})
	if err != nil {
		return nil, nil, false // the whole text has its own error
	}
	if cacheable {
		r.cache.put(rows.Form, env, snap.Schema, byRows, st)
	}
	return st, rows, st.insertion != nil
}

func startsInsert(text []byte) bool {
	const word = "insert"
	c := cutter{sql.Scanner{Text: text}}
	return len(text) > len(word) && c.is(c.next(), word)
}

// insertShapes notes the keys of the rows, of which the statement has one of
// each shape.
func (a *analysis) insertShapes(r *rel, rows *query, positions []int) {
	in := &insertion{need: a.writtenKeys(r), positions: positions}
	in.need.any = nil
	for _, row := range rows.stmt.ValuesLists {
		values := row.GetList().GetItems()
		if slices.Max(positions) >= len(values) {
			return
		}
		key := make(rowKey, len(positions))
		for i, position := range positions {
			var refusal *Refusal
			if key[i], refusal = a.rowKey(r, i, values[position]); refusal != nil {
				return
			}
		}
		in.shapes = append(in.shapes, key)
	}
	if len(in.shapes) == len(a.src.rows.Shapes) {
		a.st.insertion = in
		a.st.needs = append(a.st.needs, in.need)
	}
}

// insertionByRows decides whether what insertShapes has noted is all that
// matters to the plan; otherwise the statement is analysed as a whole.
func (a *analysis) insertionByRows(node *pg.Node) {
	s := node.GetInsertStmt()
	list := s.GetSelectStmt().GetSelectStmt()
	if a.st.insertion == nil {
		return
	}
	if a.refused != nil || a.alone != nil || a.st.route != routeRows || len(a.st.needs) != 1 || s.GetWithClause() != nil ||
		len(list.SortClause) > 0 || list.LimitCount != nil || list.LimitOffset != nil || list.WithClause != nil || len(list.LockingClause) > 0 {
		a.st.insertion = nil
	}
}

// rowKey reads the value of the key's i-th column in a row of its shape.
func (a *analysis) rowKey(r *rel, i int, n *pg.Node) (operand, *Refusal) {
	switch n.GetNode().(type) {
	case *pg.Node_AConst, *pg.Node_ParamRef:
		return operand{keyType: keyColumnType(r.table, i), stored: true, modifier: columnModifier(r.table, i)}, nil
	}
	return a.writtenValue(r, i, n)
}

// withRows returns a copy of s that has the rows with it.
func (s *Statement) withRows(rows *sql.Rows) *Statement {
	own := *s
	kept := *rows
	kept.Text = slices.Clone(rows.Text)
	own.rows = &kept
	own.needsLiterals = false
	own.Params = kept.MaxParam()
	return &own
}

// insertRows plans an INSERT by its rows: all on one shard, or divided.
func (p *planner) insertRows(rows *sql.Rows) *Refusal {
	in := p.s.insertion
	group := p.snap.Group(in.need.group)
	if group == nil || group.Placement == nil {
		return &Refusal{Reason: Unsupported, Message: "table " + quoteIdent(in.need.table) + " is not placed",
			Detail: "Its colocation group is not known."}
	}
	if rows.Uneven > 0 {
		at := rows.List[rows.Uneven].Start + 1
		return &Refusal{Reason: SyntaxError, Message: "VALUES lists must all be the same length",
			Position: rows.Before + utf8.RuneCount(rows.Text[:at]) + 1}
	}
	if owners := group.Placement.Owners(); len(owners) == 1 {
		p.plan.Kind, p.plan.Shard = One, owners[0]
		p.everywhere(group)
		return nil
	}
	p.plan.AllSlots = true
	p.touch(group.Name, 0)
	var parts []Part
	values := p.in // a copy: it outlives the planner, which must not be allocated for plans that are none of these
	read := rowReader{in: &values, insertion: in, rows: rows, mixed: rows.Mixed()}
	for i := range rows.List {
		at, refusal := read.location(group, i)
		if refusal != nil {
			return refusal
		}
		j := slices.IndexFunc(parts, func(part Part) bool { return part.Shard == at.Shard })
		if j < 0 {
			j = len(parts)
			parts = append(parts, Part{Shard: at.Shard, division: &division{of: rows}})
		}
		parts[j].division.rows = append(parts[j].division.rows, i)
	}
	if len(parts) == 1 {
		p.plan.Kind, p.plan.Shard = One, parts[0].Shard
		return nil
	}
	return p.divide(parts, read.uncertain())
}

// divide makes the plan of an INSERT whose rows are on several shards.
func (p *planner) divide(parts []Part, uncertain int) *Refusal {
	if !p.s.splits {
		return p.s.spreadRefusal()
	}
	if uncertain > 0 {
		return &Refusal{
			Reason:  KeyNotUnderstood,
			Message: "INSERT cannot be divided between shards",
			Detail:  "Parameter $" + strconv.Itoa(uncertain) + " has no declared type and is used in several places, so its type is not certain.",
			Hint:    "Declare the types of the parameters, or use each of them once.",
		}
	}
	slices.SortFunc(parts, func(a, b Part) int { return cmp.Compare(a.Shard, b.Shard) })
	for i := range parts {
		part := &parts[i]
		part.SQL = string(part.division.of.Only(part.division.rows))
	}
	p.plan.Kind, p.plan.Parts = Split, parts
	return nil
}

// rowReader reads the keys of rows.
type rowReader struct {
	in        *input
	insertion *insertion
	rows      *sql.Rows
	mixed     []bool // parameters that occur in several places, by their numbers
	value     rowLiteral
}

// rowLiteral is the literalSource of one value.
type rowLiteral struct {
	kind sql.Kind
	data []byte
	ok   bool
}

func (l *rowLiteral) literal(int) (sql.Kind, []byte, bool) { return l.kind, l.data, l.ok }

// uncertain returns a parameter that occurs in several places without a declared
// type: which of them gives it one may differ from part to part. 0: none does.
func (r *rowReader) uncertain() int {
	for _, p := range r.rows.Params {
		if !r.mixed[p.Number] {
			continue
		}
		if v, ok := r.in.params.Value(p.Number - 1); ok && (v.OID == 0 || v.OID == oidUnknown) {
			return p.Number
		}
	}
	return 0
}

// location finds the owner of the i-th row.
func (r *rowReader) location(group *topology.Group, i int) (ring.Location, *Refusal) {
	need := &r.insertion.need
	key, got, refusal := r.key(i)
	switch {
	case refusal != nil:
		return ring.Location{}, refusal
	case got == readNothing:
		return ring.Location{}, nullKey(need)
	case got != readKey:
		return ring.Location{}, &Refusal{
			Reason:  KeyNotUnderstood,
			Message: "the value of shard key " + quoteIdent(need.column()) + " is not understood",
			Detail:  "Row " + strconv.Itoa(i+1) + " for table " + quoteIdent(need.table) + " has a value that pgring cannot place with certainty.",
			Hint:    "Write the value as a plain constant of the key's type, or bind it as a parameter of that type.",
		}
	}
	at := group.Placement.Locate(key)
	if at.Shard == "" {
		return at, noShard(need)
	}
	return at, nil
}

// key reads the key of the i-th row.
func (r *rowReader) key(i int) (ring.Key, reading, *Refusal) {
	row := &r.rows.List[i]
	if len(r.insertion.positions) == 1 {
		return r.column(row, 0)
	}
	parts := make([]ring.Key, len(r.insertion.positions))
	for j := range parts {
		key, got, refusal := r.column(row, j)
		if got != readKey {
			return key, got, refusal
		}
		parts[j] = key.Clone() // the next literal is read into the same place
	}
	return ring.Tuple(parts...), readKey, nil
}

// column reads the value of the key's i-th column in a row.
func (r *rowReader) column(row *sql.Row, i int) (ring.Key, reading, *Refusal) {
	value := r.rows.Value(row, r.insertion.positions[i])
	o := r.insertion.shapes[row.Shape][i]
	switch value.Kind {
	case sql.EOF:
		return ring.Key{}, readUnknown, nil
	case sql.Ident:
		o.kind, o.null = operandConst, true
		if len(value.Text) != len("null") || value.Text[0]|0x20 != 'n' {
			return ring.Key{}, readUnknown, nil // TRUE or FALSE
		}
	case sql.Param:
		o.kind, o.index, o.shared = operandParam, value.Number-1, r.mixed[value.Number]
	default:
		if !readable(value.Kind, o.keyType) {
			return ring.Key{}, readUnknown, nil
		}
		o.kind, o.index, o.lit, o.negative = operandLiteral, 0, value.Kind, value.Negative
		r.value = rowLiteral{kind: value.Kind}
		r.value.data, r.value.ok = sql.Decode(value.Text, value.Kind, nil)
		r.in.literals = &r.value
	}
	return r.in.key(&o)
}

// division is how the rows of one INSERT … VALUES are divided.
type division struct {
	rows []int
	of   *sql.Rows
}

// Position says where in the client's text the character at a position of the
// part's text stands; both count characters from 1.
func (p *Part) Position(at int) int {
	if p.division == nil || at <= 0 {
		return at
	}
	n := 0
	for ; at > 1 && n < len(p.SQL); at-- {
		_, size := utf8.DecodeRuneInString(p.SQL[n:])
		n += size
	}
	of := p.division.of
	return of.Before + utf8.RuneCount(of.Text[:of.Origin(p.division.rows, n)]) + 1
}

// Rows returns the numbers of the client's rows, from 0, that the part of an
// INSERT has; nil for other statements.
func (p *Part) Rows() []int {
	if p.division == nil {
		return nil
	}
	return p.division.rows
}

// Params says which parameters occur in the part's text, by index from 0; nil:
// any may.
func (p *Part) Params() []bool {
	if p.division == nil {
		return nil
	}
	return p.division.of.ParamsOf(p.division.rows)
}
