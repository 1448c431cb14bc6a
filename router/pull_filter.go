package router

import (
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// conditions finds for each relation the conditions that its rows must meet to
// matter to the result, as far as each shard can judge them for itself. They
// stay in the statement as well.
func (w *pulling) conditions() map[*rel][]*pg.Node {
	found := map[*rel][]*pg.Node{}
	for _, q := range w.a.levels {
		if q.stmt == nil {
			continue
		}
		where := conjunctsOf(q.stmt.WhereClause)
		for _, n := range q.stmt.FromClause {
			w.sift(q, n, where, found)
		}
	}
	return found
}

// conjunctsOf cuts a condition at its ANDs.
func conjunctsOf(n *pg.Node) []*pg.Node {
	if b := n.GetBoolExpr(); b != nil && b.Boolop == pg.BoolExprType_AND_EXPR {
		var all []*pg.Node
		for _, arg := range b.Args {
			all = append(all, conjunctsOf(arg)...)
		}
		return all
	}
	if n == nil {
		return nil
	}
	return []*pg.Node{n}
}

// sift gives the relations in a FROM item those of the conditions that are about
// them alone. A condition on an outer join's NULL side says nothing about the
// rows there unless it is the join's own.
func (w *pulling) sift(q *query, n *pg.Node, conditions []*pg.Node, found map[*rel][]*pg.Node) {
	if v := n.GetRangeVar(); v != nil {
		r := w.a.byRange[v]
		if r == nil || !slices.Contains(w.rels, r) || len(v.GetAlias().GetColnames()) > 0 {
			return
		}
		for _, c := range conditions {
			if w.about(q, c, r) {
				found[r] = append(found[r], c)
			}
		}
		return
	}
	j := n.GetJoinExpr()
	if j == nil {
		return
	}
	on := conjunctsOf(j.Quals)
	both := slices.Concat(conditions, on)
	if j.Alias != nil {
		conditions, both = nil, on // the alias hides the relations
	}
	switch j.Jointype {
	case pg.JoinType_JOIN_INNER:
		w.sift(q, j.Larg, both, found)
		w.sift(q, j.Rarg, both, found)
	case pg.JoinType_JOIN_LEFT:
		w.sift(q, j.Larg, conditions, found)
		w.sift(q, j.Rarg, on, found)
	case pg.JoinType_JOIN_RIGHT:
		w.sift(q, j.Larg, on, found)
		w.sift(q, j.Rarg, conditions, found)
	default:
	}
}

// about says whether a condition is about columns of one relation only, and
// gives the same on every server.
func (w *pulling) about(q *query, condition *pg.Node, r *rel) bool {
	var s survey
	s.walk(condition)
	if s.sublinks > 0 || s.volatile || s.windows > 0 {
		return false
	}
	for _, f := range s.funcs {
		class := w.a.classify(f)
		name, _, _ := lastWord(f.Funcname)
		if !class.known || class.user || class.volatile || class.aggregate || class.set || clockFunction(f) || class.stable && !anywhereFunction(name) {
			return false
		}
	}
	if slices.ContainsFunc(s.casts, func(t *pg.TypeName) bool { return !anywhereType(t) }) ||
		slices.ContainsFunc(s.texts, func(c *pg.A_Const) bool { return clockWord(c.GetSval().GetSval()) }) {
		return false
	}
	if !w.columnsOf(q, condition, r) {
		return false
	}
	for _, p := range s.params {
		w.p.params = append(w.p.params, int(p.Number)-1)
	}
	return true
}

// columnsOf says whether each column reference in an expression is a column of
// the relation.
func (w *pulling) columnsOf(q *query, n *pg.Node, r *rel) bool {
	found, all := 0, true
	var visit func(n *pg.Node)
	visit = func(n *pg.Node) {
		ref := n.GetColumnRef()
		if ref == nil {
			children(n.ProtoReflect(), visit)
			return
		}
		of := q.column(ref)
		found++
		all = all && of.rel == r && len(ref.Fields) <= 2 && r.table.Column(of.col) >= 0
	}
	visit(n)
	return all && found > 0
}
