package router

import (
	"fmt"
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/pgring/pgring/router/internal/sql"
	"github.com/pgring/pgring/topology"
)

// An INSERT into a table with asynchronous writes is accepted now and done later. So nothing in it may depend on when it is done, and
// nobody may wait for its answer. The time, where a DEFAULT asks for it, is written into it; what it is when nobody has seen it does not
// matter, such as a random id, may be made later.

// later is what an INSERT of one row needs to be done later.
type later struct {
	values []laterValue
	clocks []sql.Filling // columns that get the time by their DEFAULT, in the table's order
	names  []string      // all columns that are written to, those of clocks included
}

// laterValue is a constant or a parameter that a column gets.
type laterValue struct {
	column  topology.Column
	operand operand
	fixed   bool // TRUE or FALSE
}

// later says whether an INSERT that insertRow knows can be done later; nil: it cannot.
func (a *analysis) later(n *pg.InsertStmt, t *topology.Table, names []string, values []*pg.Node) *later {
	if n.OnConflictClause != nil || len(n.ReturningList) > 0 || n.Override > pg.OverridingKind_OVERRIDING_NOT_SET || a.st.Unknown {
		return nil
	}
	l := &later{}
	given := map[string]bool{}
	for i, value := range values {
		at := t.Column(names[i])
		if at < 0 {
			return nil
		}
		if value.GetSetToDefault() != nil {
			continue
		}
		given[names[i]] = true
		v, ok := a.laterValue(&t.Columns[at], value)
		if !ok {
			return nil
		}
		l.values = append(l.values, v)
	}
	l.names = slices.Clone(names[:len(values)])
	for i := range t.Columns {
		clocks := len(l.clocks)
		if c := &t.Columns[i]; !given[c.Name] && !l.omits(c, n, names, i) {
			return nil
		}
		if len(l.clocks) > clocks {
			l.names = append(l.names, t.Columns[i].Name)
		}
	}
	return l
}

// laterValue reads a value; false: only a server can compute it, or it may be another one later.
func (a *analysis) laterValue(c *topology.Column, n *pg.Node) (laterValue, bool) {
	v := laterValue{column: *c}
	if cast := n.GetTypeCast(); cast != nil {
		if !castsTo(cast.TypeName, c.Type) {
			return v, false
		}
		n = cast.Arg
	}
	switch n := n.GetNode().(type) {
	case *pg.Node_ParamRef:
		v.operand = operand{kind: operandParam, index: int(n.ParamRef.Number) - 1}
		return v, n.ParamRef.Number > 0
	case *pg.Node_AConst:
		switch _, truth := n.AConst.Val.(*pg.A_Const_Boolval); {
		case n.AConst.Isnull:
			v.operand = operand{kind: operandConst, null: true}
			return v, true
		case truth:
			v.fixed = true
			return v, true
		}
		var ok bool
		v.operand, ok = a.literalAt(int(n.AConst.Location))
		return v, ok
	}
	return v, false
}

// castsTo says whether a cast is to a type without more ado.
func castsTo(t *pg.TypeName, oid uint32) bool {
	if t.Setof || t.PctType || len(t.Typmods) > 0 || len(t.ArrayBounds) > 0 {
		return false
	}
	name, ok := words(t.Names)
	if !ok || len(name) == 0 || len(name) > 2 || len(name) == 2 && name[0] != catalogSchema {
		return false
	}
	return map[string]uint32{"bool": oidBool, "bytea": oidBytea, "int8": oidInt8, "int2": oidInt2, "int4": oidInt4, "text": oidText, "json": oidJSON,
		"jsonb": oidJSONB, "float4": oidFloat4, "float8": oidFloat8, "varchar": oidVarchar, "date": oidDate, "timestamp": oidTimestamp,
		"timestamptz": oidTimestampTZ, "numeric": oidNumeric, "uuid": oidUUID}[name[len(name)-1]] == oid
}

// omits notes a column that gets its DEFAULT; false: that cannot be left to later.
func (l *later) omits(c *topology.Column, n *pg.InsertStmt, names []string, index int) bool {
	switch {
	case c.Generated, !c.HasDefault && !c.NotNull, c.HasDefault && !c.DefaultVolatile, c.NextID, c.Identity:
		return true
	case !c.HasDefault:
		return false // NULL is refused
	case isClock(c.Default):
		position := index
		if len(n.Cols) > 0 {
			position = slices.Index(names, c.Name)
		}
		l.clocks = append(l.clocks, sql.Filling{Column: quoteIdent(c.Name), Listed: len(n.Cols) > 0, Position: position})
		return true
	}
	return isUnseen(c.Default)
}

// isClock says whether a default is the time, and nothing else.
func isClock(text string) bool {
	switch text {
	case "now()", "CURRENT_TIMESTAMP", "transaction_timestamp()", "statement_timestamp()", "clock_timestamp()", "LOCALTIMESTAMP", "CURRENT_DATE":
		return true
	}
	return false
}

// isUnseen says whether a default is a value that is as good later, since nobody has seen another one.
func isUnseen(text string) bool {
	switch text {
	case "gen_random_uuid()", "random()", "public.uuid_generate_v4()", "public.gen_random_uuid()":
		return true
	}
	return strings.HasPrefix(text, "nextval(") && strings.Count(text, "(") == 1
}

// MayBeLater says whether the statement, which puts one row into a table and does nothing else, may be done later.
func (s *Statement) MayBeLater() bool { return s.row != nil && s.row.later != nil }

// Later says where the row of an INSERT that may be done later belongs. Not ok: it is not certain that the values are ones that their
// columns take, or that they mean the same later, so only the shard's own answer will do. Text is the statement's; types are those of its parameters.
func (s *Statement) Later(v Values, types []uint32, text []byte) (at *Request, ok bool) {
	in := s.input(v)
	if _, none := in.literals.(noValues); none {
		in.literals = literalsOf(text)
	}
	for i := range s.row.later.values {
		if !in.certainly(&s.row.later.values[i], types) {
			return nil, false
		}
	}
	key, err := s.row.shardKey(&in)
	if err != nil {
		return nil, false
	}
	return &Request{Table: s.row.table, Group: s.row.group, Hash: key.Hash(), ShardKey: key.String()}, true
}

// LaterColumns are the columns that the row is written with when it is done later.
func (s *Statement) LaterColumns() []string { return s.row.later.names }

// WithClocks returns the text with a parameter, of type timestamptz, for each column that gets the time, and how many those are: they follow
// the statement's own. Not ok: the text is not of a form that they can be written into.
func (s *Statement) WithClocks(text string) (filled string, clocks int, ok bool) {
	for i := range s.row.later.clocks {
		next, ok, _ := s.row.later.clocks[i].Fill([]byte(text), func() (string, error) { return fmt.Sprintf("$%d::timestamptz", s.Params+i+1), nil })
		if !ok {
			return "", 0, false
		}
		text = string(next)
	}
	return text, len(s.row.later.clocks), true
}
