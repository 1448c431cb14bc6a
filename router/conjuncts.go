package router

import (
	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/pgring/pgring/ring"
)

// conjuncts adds what a condition says of columns to out. What is not
// understood says nothing.
func (a *analysis) conjuncts(q *query, n *pg.Node, out *quals) {
	switch n := n.GetNode().(type) {
	case *pg.Node_BoolExpr:
		switch n.BoolExpr.Boolop {
		case pg.BoolExprType_AND_EXPR:
			for _, arg := range n.BoolExpr.Args {
				a.conjuncts(q, arg, out)
			}
		case pg.BoolExprType_OR_EXPR:
			a.disjunction(q, n.BoolExpr.Args, out)
		default: // NOT says nothing
		}
	case *pg.Node_SubLink:
		a.membershipOfQuery(q, n.SubLink, out)
	case *pg.Node_AExpr:
		a.comparison(q, n.AExpr, out)
	}
}

// disjunction keeps what every branch of an OR says of the same column: its
// value is among those of the branches.
func (a *analysis) disjunction(q *query, branches []*pg.Node, out *quals) {
	var common []membership
	for i, branch := range branches {
		one := &quals{}
		a.conjuncts(q, branch, one)
		said := one.shortest()
		if i == 0 {
			common = said
			continue
		}
		common = union(common, said)
	}
	out.values = append(out.values, common...)
}

// shortest keeps one membership for each column.
func (q *quals) shortest() []membership {
	var out []membership
	for _, v := range q.values {
		i := indexOf(out, v.col)
		switch {
		case i < 0:
			out = append(out, v)
		case better(v.any, out[i].any):
			out[i] = v
		}
	}
	return out
}

func indexOf(list []membership, col node) int {
	for i := range list {
		if list[i].col == col {
			return i
		}
	}
	return -1
}

// union combines what two branches of an OR say; it takes over x and its
// operands.
func union(x, y []membership) []membership {
	out := x[:0]
	for _, v := range x {
		if i := indexOf(y, v.col); i >= 0 {
			out = append(out, membership{v.col, append(v.any, y[i].any...)})
		}
	}
	return out
}

// membershipOfQuery reads (a, b) IN (SELECT …): each column equals the query's
// in some row of it.
func (a *analysis) membershipOfQuery(q *query, s *pg.SubLink, out *quals) {
	if s.SubLinkType != pg.SubLinkType_ANY_SUBLINK || len(s.OperName) > 0 && !isEquals(s.OperName) {
		return
	}
	sub := a.sublink(q, s)
	if sub == nil || sub.outputs == nil || sub.use != nil {
		return
	}
	r := &rel{query: q, sub: sub, quals: []*quals{out}}
	sub.use = r
	for i, n := range rowElements(s.Testexpr) {
		if ref := n.GetColumnRef(); ref != nil && i < len(sub.outputs) {
			out.equate(q.column(ref), node{r, outputColumn(i)})
		}
	}
}

// rowElements returns the elements of a row value, or the expression itself.
func rowElements(n *pg.Node) []*pg.Node {
	if row := n.GetRowExpr(); row != nil {
		return row.Args
	}
	return []*pg.Node{n}
}

// isEquals says whether an operator's name is pg_catalog's =.
func isEquals(name []*pg.Node) bool {
	parts, ok := words(name)
	if !ok || len(parts) == 0 || parts[len(parts)-1] != "=" {
		return false
	}
	return len(parts) == 1 || len(parts) == 2 && parts[0] == catalogSchema
}

// comparison reads x = y, x IN (…), x = ANY (…).
func (a *analysis) comparison(q *query, e *pg.A_Expr, out *quals) {
	if !isEquals(e.Name) {
		return
	}
	switch e.Kind {
	case pg.A_Expr_Kind_AEXPR_OP:
		left, right := rowElements(e.Lexpr), rowElements(e.Rexpr)
		if len(left) != len(right) {
			return
		}
		for i := range left {
			a.equals(q, left[i], right[i], out)
		}
	case pg.A_Expr_Kind_AEXPR_IN:
		a.inList(q, e, out)
	case pg.A_Expr_Kind_AEXPR_OP_ANY:
		col := a.columnOf(q, e.Lexpr)
		if col.keyType() == ring.KeyUnset {
			return
		}
		if list, ok := a.arrayOperands(e.Rexpr, col.keyType()); ok {
			out.values = append(out.values, membership{col, list})
		}
	default:
	}
}

// columnOf resolves an expression that is a plain column.
func (a *analysis) columnOf(q *query, n *pg.Node) node {
	if ref := n.GetColumnRef(); ref != nil {
		return q.column(ref)
	}
	return node{}
}

// equals reads x = y.
func (a *analysis) equals(q *query, x, y *pg.Node, out *quals) {
	left, right := a.columnOf(q, x), a.columnOf(q, y)
	switch {
	case x.GetRowExpr() != nil && y.GetRowExpr() != nil:
		return // rows in rows
	case left.rel != nil && right.rel != nil:
		out.equate(left, right)
		return
	case left.rel == nil:
		left, y = right, x
	}
	if left.rel == nil || left.keyType() == ring.KeyUnset {
		return
	}
	if o, ok := a.operand(y, left.keyType()); ok {
		out.values = append(out.values, membership{left, []operand{o}})
	}
}

// inList reads x IN (…) and (x, y) IN ((…), …).
func (a *analysis) inList(q *query, e *pg.A_Expr, out *quals) {
	items, left := e.Rexpr.GetList().GetItems(), rowElements(e.Lexpr)
	together := rowsIn{rows: make([][]operand, len(items))}
	for i, n := range left {
		col := a.columnOf(q, n)
		if col.keyType() == ring.KeyUnset {
			continue
		}
		list, ok := a.listOperands(items, i, len(left), col.keyType())
		if !ok {
			continue
		}
		out.values = append(out.values, membership{col, list})
		together.cols = append(together.cols, col)
		for j, o := range list {
			together.rows[j] = append(together.rows[j], o)
		}
	}
	if len(together.cols) > 1 {
		out.rows = append(out.rows, together)
	}
}

// listOperands reads the i-th elements of the rows of an IN list. All or
// nothing: one element that is not understood changes the type in which
// PostgreSQL compares all of them.
func (a *analysis) listOperands(items []*pg.Node, i, width int, keyType ring.KeyType) ([]operand, bool) {
	list := make([]operand, 0, len(items))
	for _, item := range items {
		elements := rowElements(item)
		if len(elements) != width {
			return nil, false
		}
		o, ok := a.operand(elements[i], keyType)
		if !ok {
			return nil, false
		}
		list = append(list, o)
	}
	return list, sameReading(list)
}

// arrayOperands reads the right side of = ANY.
func (a *analysis) arrayOperands(n *pg.Node, keyType ring.KeyType) ([]operand, bool) {
	cast := castNone
	if c := n.GetTypeCast(); c != nil {
		var ok bool
		if cast, ok = castOf(c.TypeName, keyType, true); !ok {
			return nil, false
		}
		n = c.Arg
	}
	if array := n.GetAArrayExpr(); array != nil {
		list, ok := a.listOperands(array.Elements, 0, 1, keyType)
		if cast == castNone {
			return list, ok && typedAsKey(list, keyType)
		}
		for i := range list {
			list[i].cast = cast
		}
		return list, ok
	}
	o, ok := a.operand(n, keyType)
	if !ok || o.kind == operandConst && !o.null {
		return nil, false
	}
	o.array = true
	o.cast = cast
	return []operand{o}, true
}
