package router

import (
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/pgring/pgring/topology"
)

// side is one side of a join, as far as sharding is concerned.
type side struct {
	sharded []*rel // its sharded relations; none: every shard computes the same
}

// joins checks that rows which meet in a join are always on the same shard, and
// that rows which every shard has are not counted once for each shard.
func (w *gathering) joins() {
	var all side
	for _, n := range w.q.stmt.FromClause {
		next := w.fromSide(n)
		w.meet(all, next)
		all.sharded = append(all.sharded, next.sharded...)
		w.anchors = append(w.anchors, w.preserved(n)...)
	}
	if len(all.sharded) == 0 {
		w.no("No sharded table is in its FROM list.")
	}
}

// fromSide checks an item of the FROM list.
func (w *gathering) fromSide(n *pg.Node) side {
	switch n := n.Node.(type) {
	case *pg.Node_RangeVar:
		return w.tableSide(n.RangeVar)
	case *pg.Node_JoinExpr:
		return w.joinSide(n.JoinExpr)
	case *pg.Node_RangeSubselect, *pg.Node_RangeFunction:
		return side{} // levels and calls have judged them
	}
	w.no("An item of its FROM list is not supported over several shards.")
	return side{}
}

func (w *gathering) tableSide(v *pg.RangeVar) side {
	r := w.a.byRange[v]
	if r != nil && r.table != nil && r.table.Kind == topology.Sharded {
		return side{[]*rel{r}}
	}
	return side{}
}

// joinSide checks one JOIN.
func (w *gathering) joinSide(n *pg.JoinExpr) side {
	left, right := w.fromSide(n.Larg), w.fromSide(n.Rarg)
	switch n.Jointype {
	case pg.JoinType_JOIN_INNER:
		w.meet(left, right)
	case pg.JoinType_JOIN_LEFT:
		w.outer(left, right)
	case pg.JoinType_JOIN_RIGHT:
		w.outer(right, left)
	default:
		w.no("A FULL JOIN over several shards is not supported.")
	}
	return side{append(slices.Clone(left.sharded), right.sharded...)}
}

// outer checks an outer join that preserves all rows of one side.
func (w *gathering) outer(kept, nullable side) {
	if len(kept.sharded) == 0 && len(nullable.sharded) > 0 {
		w.no("An outer join keeps the rows of a table that every shard has: they would appear once for each shard.")
		return
	}
	if len(nullable.sharded) > 0 && !meets(nullable, kept) {
		w.apart(kept, nullable)
	}
}

// meet checks an inner join.
func (w *gathering) meet(left, right side) {
	if len(left.sharded) == 0 || len(right.sharded) == 0 {
		return
	}
	if !meets(left, right) && !meets(right, left) {
		w.apart(left, right)
	}
}

// meets says whether the key of some relation of from equals that of one of to,
// whenever rows of both matter.
func meets(from, to side) bool {
	for _, r := range from.sharded {
		for _, other := range to.sharded {
			if other != r && other.table.Group == r.table.Group && keysMeet(r, other) {
				return true
			}
		}
	}
	return false
}

// keysMeet says whether each column of r's key equals that of other's, whenever rows of both matter.
func keysMeet(r, other *rel) bool {
	if len(r.table.Key) != len(other.table.Key) {
		return false
	}
	for i, name := range r.table.Key {
		found := false
		node{r, name}.reach(func(n node) { found = found || n == node{other, other.table.Key[i]} })
		if !found {
			return false
		}
	}
	return true
}

func (w *gathering) apart(left, right side) {
	w.no("Tables " + quoteIdent(whole(left.sharded[0].table)) + " and " + quoteIdent(whole(right.sharded[0].table)) +
		" are not joined by their shard keys, so rows that belong together may be on different shards.")
}

// preserved lists the sharded relations of a FROM item that no outer join makes
// NULL.
func (w *gathering) preserved(n *pg.Node) []*rel {
	j := n.GetJoinExpr()
	if j == nil {
		return w.fromSide(n).sharded
	}
	var out []*rel
	if j.Jointype != pg.JoinType_JOIN_RIGHT {
		out = append(out, w.preserved(j.Larg)...)
	}
	if j.Jointype != pg.JoinType_JOIN_LEFT {
		out = append(out, w.preserved(j.Rarg)...)
	}
	return out
}
