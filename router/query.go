package router

import (
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/pgring/pgring/ring"
)

// subquery analyses a query in parentheses: a sublink's, a FROM item's, a
// CTE's. parent is the level whose columns it sees, ctes what its outside
// makes visible.
func (a *analysis) subquery(n *pg.Node, parent *query, ctes *cte) *query {
	switch n := n.GetNode().(type) {
	case *pg.Node_SelectStmt:
		return a.selectQuery(n.SelectStmt, parent, ctes, nil)
	case *pg.Node_InsertStmt:
		return a.insert(n.InsertStmt, ctes)
	case *pg.Node_UpdateStmt:
		return a.update(n.UpdateStmt, ctes)
	case *pg.Node_DeleteStmt:
		return a.delete(n.DeleteStmt, ctes)
	case *pg.Node_MergeStmt:
		return a.merge(n.MergeStmt, ctes)
	}
	a.notUnderstood("a subquery")
	return nil
}

// selectQuery analyses a SELECT, VALUES, TABLE or set operation. own is the CTE
// that it is the query of, if it is recursive.
func (a *analysis) selectQuery(s *pg.SelectStmt, parent *query, ctes *cte, own *cte) *query {
	q := &query{parent: parent, stmt: s, pass: passAll}
	a.levels = append(a.levels, q)
	q.ctes = a.with(s.WithClause, parent, ctes)
	a.limitPass(q)
	switch {
	case s.Op != pg.SetOperation_SETOP_NONE:
		a.setOperation(q, own)
	case len(s.ValuesLists) > 0:
		a.values(q)
	default:
		a.from(q, s.FromClause)
		a.where(q, s.WhereClause)
		a.expressions(q, s.TargetList...)
		a.expressions(q, s.GroupClause...)
		a.expressions(q, s.HavingClause)
		a.expressions(q, s.WindowClause...)
		a.expressions(q, s.DistinctClause...)
		q.outputs = a.targets(q)
	}
	a.expressions(q, s.SortClause...)
	a.expressions(q, s.LimitCount, s.LimitOffset)
	if s.IntoClause != nil {
		a.claimed[s.IntoClause.Rel] = true
	}
	for _, n := range s.LockingClause {
		for _, of := range n.GetLockingClause().GetLockedRels() { // they are names of the FROM list
			a.claimed[of.GetRangeVar()] = true
		}
	}
	return q
}

// where analyses a WHERE clause: it governs every relation of the query.
func (a *analysis) where(q *query, n *pg.Node) {
	if n == nil {
		return
	}
	conditions := &quals{}
	a.conjuncts(q, n, conditions)
	conditions.govern(q.rels)
	conditions.reduce(q.outers)
	a.expressions(q, n)
}

// reduce makes inner joins of the outer joins whose NULL rows a WHERE clause
// rejects: the conditions are equalities, which no NULL satisfies.
func (q *quals) reduce(outers []outerJoin) {
	for _, j := range outers {
		if q.rejectsNull(j.nullable) {
			j.on.govern(j.kept)
		}
	}
}

// rejectsNull says whether the conditions hold for no row in which one of these
// relations is NULL.
func (q *quals) rejectsNull(rels []*rel) bool {
	for _, v := range q.values {
		if slices.Contains(rels, v.col.rel) {
			return true
		}
	}
	for _, e := range q.equal {
		if slices.Contains(rels, e.a.rel) || slices.Contains(rels, e.b.rel) {
			return true
		}
	}
	return false
}

// limitPass finds out what a condition on the query's result says about its
// input.
func (a *analysis) limitPass(q *query) {
	s := q.stmt
	var found survey
	for _, n := range s.TargetList {
		found.walk(n)
	}
	found.walk(s.HavingClause)
	plain := s.LimitCount == nil && s.LimitOffset == nil && len(s.WindowClause) == 0 && len(s.LockingClause) == 0 &&
		len(s.ValuesLists) == 0 && found.windows == 0 && !distinctOn(s)
	for _, f := range found.funcs {
		class := a.classify(f)
		plain = plain && class.known && !class.writes && !class.volatile && !class.set
	}
	switch {
	case !plain || q.pass == passNothing:
		q.pass = passNothing
	case len(s.GroupClause) > 0 || s.HavingClause != nil || a.aggregates(found.funcs):
		q.pass = passGrouped
	}
}

func distinctOn(s *pg.SelectStmt) bool {
	return len(s.DistinctClause) > 0 && s.DistinctClause[0].GetNode() != nil
}

func (a *analysis) aggregates(funcs []*pg.FuncCall) bool {
	for _, f := range funcs {
		if a.classify(f).aggregate {
			return true
		}
	}
	return false
}

// setOperation analyses UNION, INTERSECT, EXCEPT.
func (a *analysis) setOperation(q *query, own *cte) {
	s := q.stmt
	left := a.selectQuery(s.Larg, q.parent, q.ctes, nil)
	left.holder = q
	if own != nil {
		own.firstTerm = left.outputs
	}
	right := a.selectQuery(s.Rarg, q.parent, q.ctes, nil)
	right.holder = q
	if left.outputs == nil || right.outputs == nil || len(left.outputs) != len(right.outputs) {
		return
	}
	for i, out := range left.outputs {
		o := output{name: out.name, grouped: true}
		if t := out.keyType(); t == right.outputs[i].keyType() {
			o.typ = t
		}
		q.outputs = append(q.outputs, o)
	}
}

// values analyses a VALUES list.
func (a *analysis) values(q *query) {
	for _, row := range q.stmt.ValuesLists {
		a.expressions(q, row.GetList().GetItems()...)
	}
	for i := range q.stmt.ValuesLists[0].GetList().GetItems() {
		o := output{name: valuesColumn(i)}
		o.typ, o.values = a.valuesOf(q.stmt.ValuesLists, i)
		q.outputs = append(q.outputs, o)
	}
}

// valuesOf reads one column of a VALUES list; nil if not all of it is constant
// and of one type.
func (a *analysis) valuesOf(rows []*pg.Node, i int) (ring.KeyType, []operand) {
	var values []operand
	for _, row := range rows {
		items := row.GetList().GetItems()
		if i >= len(items) {
			return ring.KeyUnset, nil
		}
		o, ok := a.typedConstant(items[i])
		if !ok || len(values) > 0 && o.keyType != values[0].keyType {
			return ring.KeyUnset, nil
		}
		values = append(values, o)
	}
	return values[0].keyType, values
}

// with analyses a WITH clause and returns the chain of visible CTEs.
func (a *analysis) with(w *pg.WithClause, parent *query, ctes *cte) *cte {
	if w == nil {
		return ctes
	}
	if w.Recursive {
		return a.withRecursive(w, parent, ctes)
	}
	for _, n := range w.Ctes {
		e := n.GetCommonTableExpr()
		c := newCTE(e, ctes)
		c.query = a.cteQuery(e, c, parent, ctes)
		ctes = c
	}
	return ctes
}

// withRecursive analyses WITH RECURSIVE, in which every entry sees all: those
// after it only as something unknown, which is refused.
func (a *analysis) withRecursive(w *pg.WithClause, parent *query, ctes *cte) *cte {
	var all []*cte
	for _, n := range w.Ctes {
		c := newCTE(n.GetCommonTableExpr(), ctes)
		c.fixed, c.self = true, true
		ctes = c
		all = append(all, c)
	}
	for i, n := range w.Ctes {
		c := all[i]
		c.query = a.cteQuery(n.GetCommonTableExpr(), c, parent, ctes)
		c.self = false
	}
	for _, c := range all {
		for _, use := range c.uses {
			use.sub = c.query
		}
	}
	return ctes
}

func newCTE(e *pg.CommonTableExpr, outer *cte) *cte {
	c := &cte{name: e.Ctename, outer: outer}
	c.cols, _ = words(e.Aliascolnames)
	if e.SearchClause != nil || e.CycleClause != nil {
		c.fixed = true
	}
	return c
}

func (a *analysis) cteQuery(e *pg.CommonTableExpr, c *cte, parent *query, ctes *cte) *query {
	s := e.Ctequery.GetSelectStmt()
	if s == nil {
		c.fixed = true
		return a.subquery(e.Ctequery, parent, ctes)
	}
	var own *cte
	if c.self {
		own = c
	}
	q := a.selectQuery(s, parent, ctes, own)
	q.cte = c
	if e.SearchClause != nil || e.CycleClause != nil {
		q.outputs = nil // it has columns more
	}
	return q
}

// expressions analyses the sublinks in expressions: each is a query of its own
// that sees the columns of q.
func (a *analysis) expressions(q *query, list ...*pg.Node) {
	for _, n := range list {
		if n == nil {
			continue
		}
		if s := n.GetSubLink(); s != nil {
			a.expressions(q, s.Testexpr)
			a.sublink(q, s)
			continue
		}
		children(n.ProtoReflect(), func(c *pg.Node) { a.expressions(q, c) })
	}
}

// sublink analyses the query of a sublink, once.
func (a *analysis) sublink(q *query, s *pg.SubLink) *query {
	sub, done := a.sublinks[s]
	if !done {
		sub = a.subquery(s.Subselect, q, q.ctes)
		a.sublinks[s] = sub
	}
	return sub
}

// targets lists what a SELECT returns; nil when that is not known.
func (a *analysis) targets(q *query) []output {
	out := []output{}
	for _, n := range q.stmt.TargetList {
		t := n.GetResTarget()
		if ref := t.GetVal().GetColumnRef(); ref != nil {
			if stars, ok := q.star(ref); ok {
				if stars == nil {
					return nil
				}
				out = append(out, stars...)
				continue
			}
		}
		o, ok := a.outputOf(q, t)
		if !ok {
			return nil
		}
		out = append(out, o)
	}
	return out
}

// outputOf returns the output of one target; false if its name is not known.
func (a *analysis) outputOf(q *query, t *pg.ResTarget) (output, bool) {
	o := output{name: t.Name}
	if o.name == "" {
		var ok bool
		if o.name, ok = columnName(t.Val); !ok {
			return o, false
		}
	}
	if ref := t.Val.GetColumnRef(); ref != nil {
		o.node = q.column(ref)
		o.grouped = q.groups(o.node)
	} else if value, ok := a.typedConstant(t.Val); ok {
		o.typ, o.values = value.keyType, []operand{value}
	}
	return o, true
}

// groups says whether a column is one of GROUP BY's, without grouping sets.
func (q *query) groups(n node) bool {
	if n.rel == nil {
		return false
	}
	found := false
	for _, g := range q.stmt.GroupClause {
		if g.GetGroupingSet() != nil {
			return false
		}
		if ref := g.GetColumnRef(); ref != nil && q.column(ref) == n {
			found = true
		}
	}
	return found
}

// star expands * and t.*. ok: ref is one of them; nil: its columns are not
// known.
func (q *query) star(ref *pg.ColumnRef) (out []output, ok bool) {
	last := ref.Fields[len(ref.Fields)-1]
	if last.GetAStar() == nil {
		return nil, false
	}
	if len(ref.Fields) > 2 {
		return nil, true
	}
	var cols []itemColumn
	known := true
	if len(ref.Fields) == 1 {
		cols, known = visibleColumns(q.items)
	} else {
		it := q.itemNamed(ref.Fields[0].GetString_().GetSval())
		known = it != nil && it.known
		if known {
			cols = it.cols
		}
	}
	if !known {
		return nil, true
	}
	out = []output{}
	for _, c := range cols {
		out = append(out, output{name: c.name, node: c.node, grouped: q.groups(c.node)})
	}
	return out, true
}

// itemNamed returns the only item of that name, or nil.
func (q *query) itemNamed(name string) *item {
	var found *item
	for _, it := range q.items {
		if it.name == name {
			if found != nil {
				return nil
			}
			found = it
		}
	}
	return found
}
