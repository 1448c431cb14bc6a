package router

import (
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/pgring/pgring/topology"
)

// Inert reports whether it is certain that the statement, with these values, runs no code of a user's, which could look at its text, and make or set
// what the session does not know of.
func (s *Statement) Inert(v Values) bool {
	for i := range s.Params {
		if p, ok := v.Value(i); !ok || !slices.Contains([]uint32{0, oidInt2, oidInt4, oidInt8}, p.OID) {
			return false
		}
	}
	return s.inert
}

// inertly reports whether the statement is inert, and finds the literals of one that writes.
//
// They are those of an INSERT of one row, an UPDATE or a DELETE that returns no rows. All are integers, which have a type of their own: the server need
// not find one, so a parameter of that type cannot become another's when a column's type changes. And none is computed with when the statement is
// planned, where an error of a constant is told though no row is concerned: each is written as it is to a column that takes every int4, or stands beside
// a column. Statements with anything else in them are left alone.
func (a *analysis) inertly() (bool, []parametricLiteral) {
	w := inertStatement{a: a}
	switch a.st.Verb {
	case Empty, Begin, Savepoint, Release, RollbackTo, Set, SetLocal, SetTransaction, Reset:
		return true, nil
	case Plain:
		if a.env.catalogFirst() && w.statement(a.root) {
			return true, ascending(w.found)
		}
	}
	return false, nil
}

// inertStatement is a statement with no more in it than what is known to run no code of a user's. Its methods report whether a part is so.
type inertStatement struct {
	a     *analysis
	table *topology.Table
	found []parametricLiteral
}

func (w *inertStatement) statement(n *pg.Node) bool {
	switch n := n.GetNode().(type) {
	case *pg.Node_SelectStmt:
		s := n.SelectStmt
		return isFiltered(s) && w.reads(s.FromClause) && w.columns(s.TargetList) && w.condition(s.WhereClause)
	case *pg.Node_InsertStmt:
		s := n.InsertStmt
		values := s.SelectStmt.GetSelectStmt()
		return s.WithClause == nil && s.OnConflictClause == nil && len(s.ReturningList) == 0 && values != nil && len(values.ValuesLists) == 1 &&
			w.of(s.Relation) && w.row(s, values.ValuesLists[0].GetList().GetItems())
	case *pg.Node_UpdateStmt:
		s := n.UpdateStmt
		return s.WithClause == nil && len(s.FromClause) == 0 && len(s.ReturningList) == 0 && w.of(s.Relation) && w.assigns(s.TargetList) && w.condition(s.WhereClause)
	case *pg.Node_DeleteStmt:
		s := n.DeleteStmt
		return s.WithClause == nil && len(s.UsingClause) == 0 && len(s.ReturningList) == 0 && w.of(s.Relation) && w.condition(s.WhereClause)
	}
	return false
}

// of looks at the only relation of the statement.
func (w *inertStatement) of(v *pg.RangeVar) bool {
	if r := w.a.byRange[v]; r != nil && len(v.Alias.GetColnames()) == 0 {
		w.table = r.table
	}
	return w.table != nil && w.table.Silent && len(w.table.Reads) == 0
}

func (w *inertStatement) reads(from []*pg.Node) bool {
	return len(from) == 1 && from[0].GetRangeVar() != nil && w.of(from[0].GetRangeVar())
}

// columns looks at a list of columns.
func (w *inertStatement) columns(list []*pg.Node) bool {
	for _, n := range list {
		t := n.GetResTarget()
		if len(t.GetIndirection()) > 0 || w.column(t.GetVal()) < 0 {
			return false
		}
	}
	return true
}

func (w *inertStatement) row(s *pg.InsertStmt, values []*pg.Node) bool {
	for i, value := range values {
		if i < len(s.Cols) && len(s.Cols[i].GetResTarget().GetIndirection()) > 0 || !w.value(insertedName(w.table, s, i), value) {
			return false
		}
	}
	return true
}

func (w *inertStatement) assigns(list []*pg.Node) bool {
	for _, n := range list {
		t := n.GetResTarget()
		if len(t.GetIndirection()) > 0 || !w.value(t.GetName(), t.GetVal()) && !w.sum(t) {
			return false
		}
	}
	return true
}

// sum looks at what is computed from a column for one. Between integers all casts are PostgreSQL's.
func (w *inertStatement) sum(t *pg.ResTarget) bool {
	return w.isOf(w.table.Column(t.Name), oidInt2, oidInt4, oidInt8) && w.isBeside(t.Val, "+", "-", "*")
}

// value looks at what is written to a column: NULL, the time, a parameter, or an integer that it takes.
func (w *inertStatement) value(column string, n *pg.Node) bool {
	i := w.table.Column(column)
	switch {
	case n.GetAConst().GetIsnull():
		return i >= 0 && !w.table.Columns[i].Domain
	case n.GetSqlvalueFunction() != nil:
		op := n.GetSqlvalueFunction().Op
		return (op == pg.SQLValueFunctionOp_SVFOP_CURRENT_TIMESTAMP || op == pg.SQLValueFunctionOp_SVFOP_LOCALTIMESTAMP) && w.isOf(i, oidTimestamp, oidTimestampTZ)
	case n.GetParamRef() != nil:
		return w.isOf(i, oidInt2, oidInt4, oidInt8)
	}
	return w.isOf(i, oidInt4, oidInt8) && w.literal(n)
}

// condition looks at what WHERE demands.
func (w *inertStatement) condition(n *pg.Node) bool {
	if and := n.GetBoolExpr(); and != nil && and.Boolop == pg.BoolExprType_AND_EXPR {
		return !slices.ContainsFunc(and.Args, func(arg *pg.Node) bool { return !w.condition(arg) })
	}
	return w.isBeside(n, "=", "<>", "<", ">", "<=", ">=")
}

// isBeside looks at a literal that one of PostgreSQL's own operators has beside a column.
func (w *inertStatement) isBeside(n *pg.Node, operators ...string) bool {
	e := n.GetAExpr()
	if e == nil || e.Kind != pg.A_Expr_Kind_AEXPR_OP || len(e.Name) != 1 || !slices.Contains(operators, e.Name[0].GetString_().GetSval()) {
		return false
	}
	return w.isColumn(e.Lexpr) && w.literal(e.Rexpr) || w.isColumn(e.Rexpr) && w.literal(e.Lexpr)
}

// isColumn reports whether a column is meant that is an integer: for these, every operator with int4 is in pg_catalog, so that none of a user's is
// chosen.
func (w *inertStatement) isColumn(n *pg.Node) bool {
	return w.isOf(w.column(n), oidInt2, oidInt4, oidInt8)
}

// isOf reports whether a column is of one of the types.
func (w *inertStatement) isOf(column int, types ...uint32) bool {
	return column >= 0 && !w.table.Columns[column].Domain && slices.Contains(types, w.table.Columns[column].Type)
}

// column returns which column of the table is named; -1: none, it may be a function.
func (w *inertStatement) column(n *pg.Node) int {
	name, ok := words(n.GetColumnRef().GetFields())
	if !ok || len(name) == 0 || len(name) > 2 {
		return -1
	}
	return w.table.Column(name[len(name)-1])
}

// literal notes an integer. A parameter will do, too.
func (w *inertStatement) literal(n *pg.Node) bool {
	if n.GetParamRef() != nil {
		return true
	}
	c := n.GetAConst()
	if _, ok := c.GetVal().(*pg.A_Const_Ival); !ok || c.Isnull {
		return false
	}
	o, ok := w.a.literalAt(int(c.Location))
	w.found = append(w.found, parametricLiteral{index: o.index, integer: true})
	return ok
}
