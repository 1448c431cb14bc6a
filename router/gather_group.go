package router

import (
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// calls of one level of a query: those in its expressions, not in its
// sublinks.
func levelCalls(list ...*pg.Node) []*pg.FuncCall {
	var calls []*pg.FuncCall
	var visit func(n *pg.Node)
	visit = func(n *pg.Node) {
		if n == nil || n.GetSubLink() != nil {
			return
		}
		if f := n.GetFuncCall(); f != nil {
			calls = append(calls, f)
		}
		children(n.ProtoReflect(), visit)
	}
	for _, n := range list {
		visit(n)
	}
	return calls
}

// grouping checks GROUP BY, aggregates, DISTINCT and window functions: each
// group must be on one shard, or be combined from parts.
func (w *gathering) grouping() {
	s := w.q.stmt
	outputs := append(append([]*pg.Node{s.HavingClause}, s.TargetList...), s.SortClause...)
	aggregates := false
	for _, f := range levelCalls(outputs...) {
		if f.Over != nil {
			w.window(f.Over)
			continue
		}
		aggregates = aggregates || w.a.classify(f).aggregate
	}
	switch {
	case len(s.GroupClause) > 0:
		if !w.groupsByKey() {
			w.no("GROUP BY does not contain the shard key, so a group's rows may be on several shards.")
		}
	case aggregates || s.HavingClause != nil:
		w.combine()
		return
	}
	if len(s.DistinctClause) > 0 && !w.returnsKey() {
		w.no("DISTINCT without the shard key in the select list would find the same row on several shards.")
	}
}

// window checks that the partitions of a window function are on one shard each.
func (w *gathering) window(def *pg.WindowDef) {
	for seen := 0; seen < 8; seen++ {
		for _, n := range def.PartitionClause {
			if ref := n.GetColumnRef(); ref != nil && w.isAnchor(w.q.column(ref)) {
				return
			}
		}
		name := def.Refname
		if name == "" {
			name = def.Name
		}
		next := w.namedWindow(name)
		if next == nil || next == def {
			break
		}
		def = next
	}
	w.no("A window function's partitions do not contain the shard key, so they span shards.")
}

func (w *gathering) namedWindow(name string) *pg.WindowDef {
	for _, n := range w.q.stmt.WindowClause {
		if def := n.GetWindowDef(); def != nil && def.Name == name && name != "" {
			return def
		}
	}
	return nil
}

// groupsByKey says whether GROUP BY contains the key of a table that is never
// NULL in the join.
func (w *gathering) groupsByKey() bool {
	found := false
	for _, n := range w.q.stmt.GroupClause {
		if n.GetGroupingSet() != nil {
			return false
		}
		if c := n.GetAConst(); c != nil {
			w.a.special = true // an ordinal
			n = w.target(int(c.GetIval().GetIval()))
		}
		if ref := n.GetColumnRef(); ref != nil && w.isAnchor(w.q.groupColumn(ref)) {
			found = true
		}
	}
	return found
}

// groupColumn resolves a name in GROUP BY: a column of the tables goes before
// an output's name.
func (q *query) groupColumn(ref *pg.ColumnRef) node {
	if n := q.column(ref); n.rel != nil {
		return n
	}
	fields, _ := words(ref.Fields)
	cols, known := visibleColumns(q.items)
	if len(fields) != 1 || !known || slices.ContainsFunc(cols, func(c itemColumn) bool { return c.name == fields[0] }) {
		return node{}
	}
	found := node{}
	for _, n := range q.stmt.TargetList {
		t := n.GetResTarget()
		if t.GetName() != fields[0] {
			continue
		}
		if found.rel != nil || t.Val.GetColumnRef() == nil {
			return node{}
		}
		found = q.column(t.Val.GetColumnRef())
	}
	return found
}

// target returns the expression of the i-th output, from 1; nil when a * comes
// before it or it does not exist.
func (w *gathering) target(i int) *pg.Node {
	list := w.q.stmt.TargetList
	if i < 1 || i > len(list) || hasStar(list[:i]) {
		return nil
	}
	return list[i-1].GetResTarget().GetVal()
}

// returnsKey says whether the key of a table that is never NULL is a column of
// the result.
func (w *gathering) returnsKey() bool {
	for _, out := range w.q.outputs {
		if w.isAnchor(out.node) {
			return true
		}
	}
	return false
}

// combine plans aggregates without GROUP BY: each shard sends one row, and the
// columns are combined.
func (w *gathering) combine() {
	s := w.q.stmt
	switch {
	case s.HavingClause != nil:
		w.no("HAVING would judge the aggregates of each shard.")
	case len(s.DistinctClause) > 0:
		w.no("DISTINCT on aggregates over several shards is not supported.")
	}
	for _, n := range s.TargetList {
		f := w.withoutCast(n.GetResTarget().GetVal())
		if f == nil {
			w.no("A column of the result is not one plain aggregate, so it cannot be combined from the shards' parts.")
			return
		}
		agg := w.aggregate(f)
		if agg == AggregateUnset {
			name, _, _ := lastWord(f.Funcname)
			w.no("Aggregate " + name + " with these arguments cannot be combined from the shards' parts.")
			return
		}
		w.g.merge.Aggregates = append(w.g.merge.Aggregates, agg)
	}
}

// aggregate returns how a call is combined.
func (w *gathering) aggregate(f *pg.FuncCall) Aggregate {
	class := w.a.classify(f)
	if class.user || !class.known || !class.aggregate || f.Over != nil || f.AggWithinGroup || len(f.AggOrder) > 0 || f.FuncVariadic {
		return AggregateUnset
	}
	name, _, _ := lastWord(f.Funcname)
	if name == "count" {
		if f.AggDistinct {
			return AggregateUnset
		}
		return AggCount
	}
	if len(f.Args) != 1 {
		return AggregateUnset
	}
	switch name {
	case "sum":
		if f.AggDistinct || w.argumentIs(f, 700, 701) {
			return AggregateUnset // floats: the sum depends on the order of addition
		}
		w.g.merge.Unsure = w.g.merge.Unsure || w.typeOf(f.Args[0]) == 0
		return AggSum
	case "min", "max":
		oid := w.typeOf(f.Args[0])
		if oid != 0 && !mergeable(oid) {
			return AggregateUnset // the order is PostgreSQL's own
		}
		w.g.merge.Unsure = w.g.merge.Unsure || oid == 0
		if name == "min" {
			return AggMin
		}
		return AggMax
	case "bool_and", "every":
		return AggBoolAnd
	case "bool_or":
		return AggBoolOr
	}
	return AggregateUnset
}

// argumentIs says whether a call's argument is a column of one of these types.
func (w *gathering) argumentIs(f *pg.FuncCall, oids ...uint32) bool {
	ref := f.Args[0].GetColumnRef()
	if ref == nil {
		return false
	}
	column := w.columnInfo(w.q.column(ref))
	if column == nil {
		return false
	}
	for _, oid := range oids {
		if column.Type == oid {
			return true
		}
	}
	return false
}

// textual says whether a type's order is a collation's.
func textual(oid uint32) bool {
	return oid == oidText || oid == oidVarchar || oid == 1042
}
