package router

import (
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/pgring/pgring/topology"
)

// A write whose rows are on several shards is split: each shard runs it on its
// own rows. That is the same as running it on all rows at once if what it does
// to one row does not depend on rows of other shards.

// beside says whether all rows of r that matter have the key of the row that
// is written, so that they are on its shard: a subquery finds them there.
func (w *gathering) beside(r *rel) bool {
	if len(w.a.written) != 1 || w.s.GetWithClause() != nil || r.table == nil || r.table.Kind != topology.Sharded {
		return false
	}
	target := w.a.written[0].rel
	return !target.inserted && r.table.Group == target.table.Group && meets(side{[]*rel{r}}, side{[]*rel{target}})
}

// splitting says whether a write may run on several shards.
func (a *analysis) splitting(node *pg.Node, q *query) *Refusal {
	w := &gathering{a: a, q: q, g: &gather{}}
	a.writesRows(w)
	if w.why == nil {
		a.splitCalls(w, node)
	}
	if w.why == nil {
		from := []*pg.Node{}
		switch n := node.Node.(type) {
		case *pg.Node_UpdateStmt:
			from = append([]*pg.Node{{Node: &pg.Node_RangeVar{RangeVar: n.UpdateStmt.Relation}}}, n.UpdateStmt.FromClause...)
		case *pg.Node_DeleteStmt:
			from = append([]*pg.Node{{Node: &pg.Node_RangeVar{RangeVar: n.DeleteStmt.Relation}}}, n.DeleteStmt.UsingClause...)
		case *pg.Node_MergeStmt:
			from = []*pg.Node{{Node: &pg.Node_RangeVar{RangeVar: n.MergeStmt.Relation}}, n.MergeStmt.SourceRelation}
		case *pg.Node_InsertStmt:
			if a.follow != nil {
				w.splitQuery(n.InsertStmt)
				break
			}
		}
		if w.s == nil && w.why == nil {
			w.splitFrom(node, from)
		}
	}
	if w.why != nil {
		w.why.Message = a.verbWord() + " cannot be divided between shards"
		return w.why
	}
	a.st.anchor = w.writtenRows()
	return nil
}

// writtenRows finds the key that tells which rows a write is about: the target's,
// or that of the rows read by INSERT … SELECT.
func (w *gathering) writtenRows() anchor {
	target := w.a.written[0].rel
	if target.inserted {
		return w.anchor()
	}
	return anchor{table: target.name, key: target.table.Key}
}

// writesRows refuses writes that are not one write to one sharded table.
func (a *analysis) writesRows(w *gathering) {
	target := a.written[0].rel.table
	switch {
	case len(a.written) != 1 || a.survey.writes != 1:
		w.no("It holds several writes.")
	case target == nil || target.Kind != topology.Sharded:
		w.no("It writes a table that is on one shard from the rows of several.")
	case len(a.st.homes) > 0 || a.st.catalogs:
		w.no("It uses tables that only one shard has.")
	}
}

// splitCalls refuses what means something else on each shard. The time of day
// is each shard's own, by as much as their clocks differ.
func (a *analysis) splitCalls(w *gathering, node *pg.Node) {
	if a.survey.callsUser {
		w.no("It calls a user-defined function, which would see the rows of one shard only.")
	}
	for _, f := range a.survey.funcs {
		name, _, _ := lastWord(f.Funcname)
		if class := a.classify(f); (class.stable || class.volatile) && !anywhereFunction(name) {
			w.no("Function " + name + " may give different results on each shard.")
		}
	}
	if column := namesSystemColumn(node); column != "" {
		w.no("System column " + column + " tells rows apart on one shard only.")
	}
}

// namesSystemColumn returns a system column that is named anywhere in a
// statement, or the cursor of WHERE CURRENT OF; "" if there is none.
func namesSystemColumn(n *pg.Node) string {
	if n == nil {
		return ""
	}
	if c := n.GetCurrentOfExpr(); c != nil {
		return "ctid of a cursor's row"
	}
	if ref := n.GetColumnRef(); ref != nil && len(ref.Fields) > 0 {
		if name := ref.Fields[len(ref.Fields)-1].GetString_().GetSval(); systemColumn(name) {
			return name
		}
	}
	found := ""
	children(n.ProtoReflect(), func(c *pg.Node) {
		if found == "" {
			found = namesSystemColumn(c)
		}
	})
	return found
}

// splitFrom checks that the rows which the write joins are on one shard, and
// that its subqueries answer alike on each.
func (w *gathering) splitFrom(node *pg.Node, from []*pg.Node) {
	w.s = &pg.SelectStmt{FromClause: from}
	switch n := node.Node.(type) {
	case *pg.Node_UpdateStmt:
		w.s.WithClause, w.s.WhereClause = n.UpdateStmt.WithClause, n.UpdateStmt.WhereClause
		w.s.TargetList = slices.Concat(n.UpdateStmt.TargetList, n.UpdateStmt.ReturningList)
	case *pg.Node_DeleteStmt:
		w.s.WithClause, w.s.WhereClause = n.DeleteStmt.WithClause, n.DeleteStmt.WhereClause
		w.s.TargetList = n.DeleteStmt.ReturningList
	case *pg.Node_MergeStmt:
		w.s.WithClause, w.s.WhereClause = n.MergeStmt.WithClause, n.MergeStmt.JoinCondition
		w.s.TargetList = slices.Concat(n.MergeStmt.MergeWhenClauses, n.MergeStmt.ReturningList)
	case *pg.Node_InsertStmt:
		conflict := n.InsertStmt.OnConflictClause
		w.s.WithClause, w.s.WhereClause = n.InsertStmt.WithClause, conflict.GetWhereClause()
		w.s.ValuesLists = n.InsertStmt.SelectStmt.GetSelectStmt().GetValuesLists()
		w.s.TargetList = slices.Concat(n.InsertStmt.ReturningList, conflict.GetTargetList())
	}
	before := w.q.stmt
	w.q.stmt = w.s
	w.levels()
	if w.why == nil && len(from) > 0 {
		w.joins()
	}
	w.q.stmt = before
}

// splitQuery checks that each shard finds all the rows which INSERT … SELECT
// writes there, and no others.
func (w *gathering) splitQuery(n *pg.InsertStmt) {
	s := n.SelectStmt.GetSelectStmt()
	w.q, w.s = w.a.follow.rows, s
	switch {
	case s.Op != pg.SetOperation_SETOP_NONE || s.WithClause != nil || n.WithClause != nil:
		w.no("Its query is a UNION, or has a WITH clause.")
	case len(s.GroupClause) > 0 || s.HavingClause != nil || len(s.DistinctClause) > 0 || w.a.survey.limits > 0 || w.a.survey.locking:
		w.no("Its query groups, counts or locks rows, which may be on several shards.")
	case w.a.survey.sublinks > 0 && (n.OnConflictClause != nil || len(n.ReturningList) > 0):
		w.no("It has subqueries, and ON CONFLICT or RETURNING.")
	case w.a.aggregates(w.a.survey.funcs):
		w.no("Its query has aggregates.")
	}
	if w.why == nil {
		w.levels()
	}
	if w.why == nil {
		w.joins()
	}
	if w.why == nil && !w.isAnchor(w.a.follow.source) {
		w.no("The key of its rows is not that of the rows read.")
	}
}
