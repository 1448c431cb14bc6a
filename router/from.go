package router

import (
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// from analyses a FROM list into q: its items become visible in q.
func (a *analysis) from(q *query, list []*pg.Node) {
	var visible []*item
	for _, n := range list {
		items, _ := a.fromItem(q, n, visible)
		visible = append(visible, items...)
	}
	q.items = visible
}

// fromItem analyses one item of a FROM list. left are the items to its left,
// which LATERAL ones see. It returns what the item makes visible and the
// relations in it.
func (a *analysis) fromItem(q *query, fromNode *pg.Node, left []*item) ([]*item, []*rel) {
	switch n := fromNode.Node.(type) {
	case *pg.Node_RangeVar:
		it, r := a.table(q, n.RangeVar)
		return []*item{it}, []*rel{r}
	case *pg.Node_RangeSubselect:
		return a.subselect(q, n.RangeSubselect, left)
	case *pg.Node_RangeFunction:
		q.items = left
		a.expressions(q, n.RangeFunction.Functions...)
		it := &item{}
		it.function(n.RangeFunction)
		return []*item{it}, nil
	case *pg.Node_JoinExpr:
		return a.join(q, n.JoinExpr, left)
	case *pg.Node_RangeTableSample:
		items, rels := a.fromItem(q, n.RangeTableSample.Relation, left)
		a.expressions(q, n.RangeTableSample.Args...)
		a.expressions(q, n.RangeTableSample.Repeatable)
		q.pass = passNothing
		return items, rels
	case *pg.Node_RangeTableFunc, *pg.Node_JsonTable:
		q.items = left
		children(fromNode.ProtoReflect(), func(c *pg.Node) { a.expressions(q, c) })
		return []*item{{}}, nil
	}
	a.notUnderstood("an item of the FROM list")
	return []*item{{}}, nil
}

// subselect analyses a subquery in a FROM list.
func (a *analysis) subselect(q *query, n *pg.RangeSubselect, left []*item) ([]*item, []*rel) {
	parent := q.parent
	if n.Lateral {
		q.items = left
		parent = q
	}
	sub := a.subquery(n.Subquery, parent, q.ctes)
	if sub == nil {
		return []*item{{}}, nil
	}
	r := &rel{query: q, sub: sub}
	sub.use = r
	q.rels = append(q.rels, r)
	it := &item{rel: r}
	it.derive(sub, nil)
	it.rename(n.Alias)
	return []*item{it}, []*rel{r}
}

// function gives an item what is known of the columns of a function in FROM.
func (it *item) function(n *pg.RangeFunction) {
	if n.Alias != nil {
		it.name = n.Alias.Aliasname
	}
	name := soleFunction(n)
	if it.name == "" {
		it.name = name
	}
	switch {
	case len(n.Coldeflist) > 0 && !n.Ordinality:
		for _, def := range n.Coldeflist {
			it.cols = append(it.cols, itemColumn{name: def.GetColumnDef().GetColname()})
		}
		it.known = true
	case oneColumn(name):
		it.cols = []itemColumn{{name: it.name}}
		if n.Ordinality {
			it.cols = append(it.cols, itemColumn{name: "ordinality"})
		}
		it.known = true
		if n.Alias != nil {
			it.rename(n.Alias)
		}
	}
}

// soleFunction returns the name of the function of a FROM item that has one
// function of pg_catalog; "" otherwise.
func soleFunction(n *pg.RangeFunction) string {
	if len(n.Functions) != 1 {
		return ""
	}
	list := n.Functions[0].GetList()
	if list == nil || len(list.Items) == 0 || list.Items[0].GetFuncCall() == nil {
		return ""
	}
	name, ok := words(list.Items[0].GetFuncCall().Funcname)
	if !ok || len(name) == 2 && name[0] != catalogSchema {
		return ""
	}
	return name[len(name)-1]
}

// oneColumn says whether a set-returning function of pg_catalog returns one
// column, named like the function unless an alias renames it.
func oneColumn(name string) bool {
	switch name {
	case "generate_series", "generate_subscripts", "regexp_split_to_table", "string_to_table", "regexp_matches":
		return true
	}
	return false
}

// join analyses a JOIN.
func (a *analysis) join(q *query, n *pg.JoinExpr, left []*item) ([]*item, []*rel) {
	litems, lrels := a.fromItem(q, n.Larg, left)
	ritems, rrels := a.fromItem(q, n.Rarg, append(slices.Clone(left), litems...))
	on := &quals{}
	merged := a.usingColumns(n, litems, ritems, on)
	q.items = append(slices.Clone(litems), ritems...)
	if n.Quals != nil {
		a.conjuncts(q, n.Quals, on)
		a.expressions(q, n.Quals)
	}
	switch n.Jointype {
	case pg.JoinType_JOIN_INNER:
		on.govern(lrels)
		on.govern(rrels)
	case pg.JoinType_JOIN_LEFT:
		on.govern(rrels)
		q.outers = append(q.outers, outerJoin{on, lrels, rrels})
	case pg.JoinType_JOIN_RIGHT:
		on.govern(lrels)
		q.outers = append(q.outers, outerJoin{on, rrels, lrels})
	case pg.JoinType_JOIN_FULL:
	default:
		a.notUnderstood("a join")
	}
	items := append(slices.Clone(litems), ritems...)
	if merged != nil {
		items = append([]*item{merged}, items...)
	}
	rels := append(slices.Clone(lrels), rrels...)
	if n.Alias == nil {
		return items, rels
	}
	return []*item{joined(n.Alias, items)}, rels
}

// govern puts relations under the conditions.
func (q *quals) govern(rels []*rel) {
	if q.empty() {
		return
	}
	for _, r := range rels {
		r.quals = append(r.quals, q)
	}
}

// usingColumns joins the columns of USING or NATURAL: it notes their equality
// and returns the item of the merged columns.
func (a *analysis) usingColumns(n *pg.JoinExpr, left, right []*item, on *quals) *item {
	names, _ := words(n.UsingClause)
	if n.IsNatural {
		var ok bool
		if names, ok = commonColumns(left, right); !ok {
			return &item{} // some columns are not known
		}
	}
	if len(names) == 0 {
		return nil
	}
	merged := &item{known: true}
	if n.JoinUsingAlias != nil {
		merged.name = n.JoinUsingAlias.Aliasname
	}
	for _, name := range names {
		l, r := take(left, name), take(right, name)
		stands := l
		switch n.Jointype {
		case pg.JoinType_JOIN_RIGHT:
			stands = r
		case pg.JoinType_JOIN_FULL:
			stands = node{}
		default:
		}
		merged.cols = append(merged.cols, itemColumn{name: name, node: stands})
		on.equate(l, r)
	}
	return merged
}

// take resolves a USING column on one side and marks it as merged.
func take(items []*item, name string) node {
	var found *itemColumn
	for _, it := range items {
		for i := range it.cols {
			if it.cols[i].name == name && !it.cols[i].merged {
				if found != nil {
					return node{}
				}
				found = &it.cols[i]
			}
		}
	}
	if found == nil {
		if len(items) == 1 {
			return items[0].assumed(name)
		}
		return node{}
	}
	found.merged = true
	return found.node
}

// commonColumns lists the columns that a NATURAL join merges; false if some
// columns are not known.
func commonColumns(left, right []*item) ([]string, bool) {
	lcols, lok := visibleColumns(left)
	rcols, rok := visibleColumns(right)
	if !lok || !rok {
		return nil, false
	}
	var common []string
	for _, c := range lcols {
		if slices.ContainsFunc(rcols, func(r itemColumn) bool { return r.name == c.name }) {
			common = append(common, c.name)
		}
	}
	return common, true
}

// visibleColumns lists the columns that * stands for; false if not all are
// known.
func visibleColumns(items []*item) ([]itemColumn, bool) {
	var cols []itemColumn
	for _, it := range items {
		if !it.known {
			return nil, false
		}
		for _, c := range it.cols {
			if !c.merged {
				cols = append(cols, c)
			}
		}
	}
	return cols, true
}

// joined is the item of a join that has an alias: it hides what is in it.
func joined(alias *pg.Alias, items []*item) *item {
	it := &item{}
	it.cols, it.known = visibleColumns(items)
	it.rename(alias)
	return it
}

// equate notes that two columns are equal, if that is known to be the equality
// of keys.
func (q *quals) equate(x, y node) {
	if x.rel != nil && y.rel != nil && x != y {
		q.equal = append(q.equal, equality{x, y})
	}
}

// notUnderstood refuses the statement for a construct that the analysis does
// not know.
func (a *analysis) notUnderstood(what string) {
	a.onlyAlone(&Refusal{
		Reason: Unsupported, Message: "statement is not understood", Detail: "It has " + what + " that pgring does not know.",
		Hint: "Write the statement in a simpler form.",
	})
}
