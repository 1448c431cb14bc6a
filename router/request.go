package router

import (
	"crypto/sha256"
	"fmt"
	"hash"
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/router/internal/sql"
	"github.com/pgring/pgring/topology"
)

// An INSERT of one row into a table with idempotent writes is a request: a column of the row says which one. The router does not know
// which tables those are, so it notes of every such INSERT where its values are, and who knows asks for the request.

// MaxRequestKey bounds the key of a request, and the shard key of its row, in bytes: both are in an index of the shard.
const MaxRequestKey = 255

// Request names one idempotent INSERT. Two of them with equal values are the same request.
type Request struct {
	Table    topology.Name
	Group    string // where the shard key belongs
	Hash     uint64 // of the shard key
	ShardKey string // as ring.Key writes it
	Key      string
}

// insertedRow is the row of an INSERT … VALUES of one row.
type insertedRow struct {
	table  topology.Name
	group  string
	key    []string // the columns of the shard key
	values []insertedValue
	later  *later // what it needs to be done later; nil: it is done now
}

// insertedValue is what one column gets.
type insertedValue struct {
	column  string
	operand operand // its kind is unset: only the server can compute it, or it is of a type that is no key's
}

// inserting notes a table that the statement may put rows into, and those that it is a part of.
func (a *analysis) inserting(t *topology.Table) {
	if t == nil || slices.Contains(a.st.inserts, t.Name) {
		return
	}
	a.st.inserts = append(a.st.inserts, t.Name)
	for _, name := range t.Parents {
		a.inserting(a.snap.Table(name.Schema, name.Table))
	}
}

// InsertsInto lists the tables that the statement may put rows into, and those that they are partitions or children of.
func (s *Statement) InsertsInto() []topology.Name { return s.inserts }

// IsRequest says whether the statement does nothing but put one row into a table.
func (s *Statement) IsRequest(name topology.Name) bool { return s.row != nil && s.row.table == name }

// insertRow notes the values of an INSERT that does nothing but put one row into one sharded table.
func (a *analysis) insertRow(n *pg.InsertStmt) {
	if n == nil || n.WithClause != nil || a.src.rows != nil || len(a.written) != 1 {
		return
	}
	t, lists := a.written[0].rel.table, n.SelectStmt.GetSelectStmt().GetValuesLists()
	if t == nil || t.Kind != topology.Sharded || len(lists) != 1 || len(t.Columns) == 0 {
		return
	}
	names := targetNames(n.Cols)
	if len(names) == 0 {
		for i := range t.Columns {
			names = append(names, t.Columns[i].Name)
		}
	}
	values := lists[0].GetList().GetItems()
	if len(values) > len(names) || len(n.Cols) > 0 && len(values) < len(names) || // the shard says what is wrong
		slices.ContainsFunc(n.Cols, func(c *pg.Node) bool { return len(c.GetResTarget().Indirection) > 0 }) {
		return
	}
	row := &insertedRow{table: t.Name, group: t.Group.Name, key: t.Key}
	for i, value := range values {
		if value.GetSetToDefault() == nil {
			row.values = append(row.values, insertedValue{names[i], a.storedKey(t, names[i], value)})
		}
	}
	row.later = a.later(n, t, names, values)
	a.st.row = row
}

// storedKey reads a value as a key of its column's type. What the analysis knows of parameters stays as it is.
func (a *analysis) storedKey(t *topology.Table, column string, n *pg.Node) operand {
	at := t.Column(column)
	if at < 0 || t.Columns[at].Nondeterministic {
		return operand{}
	}
	keyType, ok := ring.KeyTypeOf(t.Columns[at].Type)
	if !ok {
		return operand{}
	}
	ref := bareParam(n)
	before, typed := a.typed[ref]
	o, ok := a.operand(n, keyType)
	switch {
	case ref == nil:
	case typed:
		a.typed[ref] = before
	default:
		delete(a.typed, ref)
	}
	if !ok {
		return operand{}
	}
	o.stored, o.modifier = true, t.Columns[at].Modifier
	if t.Columns[at].Type == oidText {
		o.modifier = -1
	}
	return o
}

// bareParam is the parameter under any casts, or nil.
func bareParam(n *pg.Node) *pg.ParamRef {
	for n.GetTypeCast() != nil {
		n = n.GetTypeCast().Arg
	}
	return n.GetParamRef()
}

// Returned writes the columns of a table that RETURNING names, with their types: while that stays the same, so does the form of its rows.
func (s *Statement) Returned(t *topology.Table) []byte {
	all := slices.ContainsFunc(s.returned, func(name string) bool { return t.Column(name) < 0 }) // *, or the row as a whole
	var b []byte
	for i := range t.Columns {
		if c := &t.Columns[i]; all || slices.Contains(s.returned, c.Name) {
			b = append(append(append(append(b, c.Name...), 0), c.TypeName...), 0)
		}
	}
	return b
}

// InsertsRow says whether the statement does nothing but put one row into one table.
func (s *Statement) InsertsRow() bool { return s.row != nil }

// Request reads the request that the statement is, whose key is in a column; text is the statement's. An error is a *Refusal.
func (s *Statement) Request(column string, v Values, text []byte) (*Request, error) {
	if s.row == nil {
		return nil, &Refusal{Reason: Unsupported, Message: "statement is no INSERT … VALUES of one row"}
	}
	in := s.input(v)
	if _, none := in.literals.(noValues); none {
		in.literals = literalsOf(text)
	}
	key, err := s.row.read(&in, column, "idempotency key")
	if err != nil {
		return nil, err
	}
	shardKey, err := s.row.shardKey(&in)
	if err != nil {
		return nil, err
	}
	return &Request{Table: s.row.table, Group: s.row.group, Hash: shardKey.Hash(), ShardKey: shardKey.String(), Key: key.String()}, nil
}

// shardKey reads the shard key, of one column or several.
func (r *insertedRow) shardKey(in *input) (ring.Key, error) {
	if len(r.key) == 1 {
		return r.read(in, r.key[0], "shard key")
	}
	parts := make([]ring.Key, len(r.key))
	for i, name := range r.key {
		part, err := r.read(in, name, "shard key")
		if err != nil {
			return ring.Key{}, err
		}
		parts[i] = part.Clone()
	}
	return ring.Tuple(parts...), nil
}

// literalsOf are the literals of a text that holds one statement, as the normaliser numbers them.
func literalsOf(text []byte) *literals {
	var splitter sql.Splitter
	var piece sql.Statement
	splitter.Reset(text)
	splitter.Next(&piece)
	return &literals{text: text, list: piece.Literals}
}

// read gives the value of a column; what is for people.
func (r *insertedRow) read(in *input, column, what string) (ring.Key, error) {
	i := slices.IndexFunc(r.values, func(v insertedValue) bool { return v.column == column })
	if i < 0 {
		return ring.Key{}, r.missing(column, what)
	}
	key, got, refusal := ring.Key{}, readUnknown, (*Refusal)(nil)
	if o := r.values[i].operand; o.kind != operandUnset {
		key, got, refusal = in.key(&o)
	}
	switch {
	case refusal != nil:
		return key, refusal
	case got == readNothing:
		return key, r.missing(column, what)
	case got != readKey:
		return key, &Refusal{Reason: KeyNotUnderstood, Message: fmt.Sprintf("the value of %s %s is not understood", what, quoteIdent(column)),
			Detail: "Only the server can compute it, or its type is none that pgring can read.",
			Hint:   "Give it as a constant or a parameter of an integer type, text, varchar, uuid, timestamp, numeric or bytea."}
	}
	if n := len(key.String()); n > MaxRequestKey {
		return key, &Refusal{Reason: InvalidKey, Code: "22001", Message: fmt.Sprintf("%s %s is too long", what, quoteIdent(column)),
			Detail: fmt.Sprintf("It has %d bytes, and may have %d where writes are idempotent.", n, MaxRequestKey)}
	}
	return key, nil
}

func (r *insertedRow) missing(column, what string) *Refusal {
	return &Refusal{Reason: NullKey, Message: fmt.Sprintf("%s %s has no value", what, quoteIdent(column)),
		Detail: fmt.Sprintf("Writes to table %s are idempotent by it.", quoteIdent(r.table.String())),
		Hint:   "Give it a value that is the same in each repeat, or SET pgring.idempotency TO off, which writes without looking for repeats."}
}

// Fingerprint begins a hash with what a text says: white space, comments and semicolons at the end, which tools change from try to try,
// are left out.
func Fingerprint(text []byte) hash.Hash {
	h := sha256.New()
	scanner := sql.Scanner{Text: text}
	semicolons := 0 // that something may follow yet
	for {
		tok := scanner.Next()
		switch {
		case tok.Kind == sql.EOF:
			return h
		case tok.Kind == sql.Comment:
		case string(text[tok.Start:tok.End]) == ";":
			semicolons++
		default:
			for ; semicolons > 0; semicolons-- {
				h.Write([]byte(";\x00"))
			}
			h.Write(text[tok.Start:tok.End])
			h.Write([]byte{0})
		}
	}
}
