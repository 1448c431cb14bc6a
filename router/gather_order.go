package router

import (
	"strconv"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/pgring/pgring/topology"
)

// order plans ORDER BY: each shard sorts, the proxy merges. A sort key must be
// a column of the rows; one that is not in the result is appended to it and
// dropped after the merge.
func (w *gathering) order() {
	if len(w.q.stmt.SortClause) == 0 || len(w.g.merge.Aggregates) > 0 {
		return // a single row has no order
	}
	if !w.countColumns() {
		w.no("ORDER BY over several shards needs to know the columns that * stands for.")
		return
	}
	for _, n := range w.q.stmt.SortClause {
		w.sortKey(n.GetSortBy())
	}
}

// countColumns numbers the columns of the result. It needs to know what * is:
// the expansion is written into the text, so that a column added meanwhile
// cannot shift the numbers.
func (w *gathering) countColumns() bool {
	if !hasStar(w.q.stmt.TargetList) {
		w.columns = len(w.q.stmt.TargetList)
		return true
	}
	var list []*pg.Node
	for _, n := range w.q.stmt.TargetList {
		ref := n.GetResTarget().GetVal().GetColumnRef()
		if ref == nil || !hasStar([]*pg.Node{n}) {
			list = append(list, clone(n))
			continue
		}
		expanded, ok := w.expand(ref)
		if !ok {
			return false
		}
		list = append(list, expanded...)
	}
	w.s.TargetList = list
	w.rewritten = true
	w.columns = len(list)
	return true
}

// expand returns the columns of * or t.*, qualified.
func (w *gathering) expand(ref *pg.ColumnRef) ([]*pg.Node, bool) {
	items := w.q.items
	if len(ref.Fields) == 2 {
		items = nil
		if it := w.q.itemNamed(ref.Fields[0].GetString_().GetSval()); it != nil {
			items = []*item{it}
		}
	}
	if len(ref.Fields) > 2 || len(items) == 0 {
		return nil, false
	}
	var list []*pg.Node
	for _, it := range items {
		if !it.known || it.name == "" || w.q.itemNamed(it.name) != it {
			return nil, false
		}
		for _, c := range it.cols {
			if c.merged {
				return nil, false
			}
			list = append(list, resTarget("", columnNode(it.name, c.name)))
		}
	}
	return list, true
}

// sortKey plans one sort key.
func (w *gathering) sortKey(by *pg.SortBy) {
	if by == nil || len(by.UseOp) > 0 || by.SortbyDir == pg.SortByDir_SORTBY_USING {
		w.no("ORDER BY … USING over several shards is not supported.")
		return
	}
	key := SortKey{Desc: by.SortbyDir == pg.SortByDir_SORTBY_DESC}
	key.NullsFirst = key.Desc
	switch by.SortbyNulls {
	case pg.SortByNulls_SORTBY_NULLS_FIRST:
		key.NullsFirst = true
	case pg.SortByNulls_SORTBY_NULLS_LAST:
		key.NullsFirst = false
	default:
	}
	column, expr := w.sortColumn(by.Node)
	if w.why != nil {
		return
	}
	if column < 0 {
		column = w.hide(by.Node)
	}
	key.Column = column
	if key.Bytewise = w.bytewise(expr); !key.Bytewise && w.collated(expr) {
		w.no("ORDER BY a text column follows a collation; over several shards only COLLATE \"C\" is supported.")
		return
	}
	if !key.Bytewise {
		w.merges(expr, "ORDER BY a column of a type whose order is PostgreSQL's own.")
	}
	w.g.merge.Order = append(w.g.merge.Order, key)
}

// sortColumn finds the output column that a sort key is, as PostgreSQL does: an
// ordinal, an output's name, or an output's expression. -1: none. It returns
// the expression sorted by, too.
func (w *gathering) sortColumn(n *pg.Node) (int, *pg.Node) {
	targets := w.s.TargetList
	if c := n.GetAConst(); c != nil && c.GetIval() != nil {
		w.a.special = true
		i := int(c.GetIval().GetIval())
		if i < 1 || i > w.columns {
			w.no("ORDER BY names a column of the result that does not exist.")
			return -1, n
		}
		return i - 1, targets[i-1].GetResTarget().GetVal()
	}
	if i := w.outputNamed(n); i >= 0 {
		return i, targets[i].GetResTarget().GetVal()
	}
	for i := range w.columns {
		if val := targets[i].GetResTarget().GetVal(); val != nil && w.sameExpression(val, n) {
			return i, n
		}
	}
	return -1, n
}

// outputNamed finds the output that an unqualified name in ORDER BY means: an
// output's name goes before a column of the tables.
func (w *gathering) outputNamed(n *pg.Node) int {
	fields, ok := words(n.GetColumnRef().GetFields())
	if n.GetColumnRef() == nil || !ok || len(fields) != 1 {
		return -1
	}
	found := -1
	for i := range w.columns {
		t := w.s.TargetList[i].GetResTarget()
		name := t.GetName()
		if name == "" {
			name, ok = columnName(t.GetVal())
			if !ok {
				w.no("ORDER BY a name while the names of the result are not known.")
				return -1
			}
		}
		if name != fields[0] {
			continue
		}
		if found >= 0 && !w.sameExpression(w.s.TargetList[found].GetResTarget().GetVal(), t.GetVal()) {
			w.no("ORDER BY names two columns of the result.")
			return -1
		}
		if found < 0 {
			found = i
		}
	}
	return found
}

// sameExpression says whether two expressions are the same. If they hold
// literals the answer is for this statement only, not for its normal form.
func (w *gathering) sameExpression(x, y *pg.Node) bool {
	var found survey
	found.walk(x)
	w.a.special = w.a.special || found.constants > 0
	return sameTree(x, y)
}

// hide appends a sort expression to the select list.
func (w *gathering) hide(n *pg.Node) int {
	if len(w.q.stmt.DistinctClause) > 0 {
		w.no("ORDER BY an expression outside the select list of a DISTINCT.")
		return -1
	}
	for _, f := range levelCalls(append([]*pg.Node{n}, w.q.stmt.TargetList...)...) {
		if w.a.classify(f).set {
			w.no("ORDER BY beside a function that returns sets is not supported over several shards.")
			return -1
		}
	}
	w.rewritten = true
	w.hidden++
	name := "pgring_sort_" + strconv.Itoa(w.hidden)
	for strings.Contains(string(w.a.src.text), name) {
		name += "_"
	}
	w.s.TargetList = append(w.s.TargetList, resTarget(name, clone(n)))
	return w.columns + w.hidden - 1
}

// bytewise says whether an expression's text order is that of bytes for
// certain.
func (w *gathering) bytewise(n *pg.Node) bool {
	if c := n.GetCollateClause(); c != nil {
		name, _ := words(c.Collname)
		last := ""
		if len(name) > 0 {
			last = name[len(name)-1]
		}
		return (len(name) == 1 || len(name) == 2 && name[0] == catalogSchema) && (last == "C" || last == "POSIX")
	}
	if ref := n.GetColumnRef(); ref != nil {
		if column := w.columnInfo(w.q.column(ref)); column != nil {
			return column.CCollation && textual(column.Type)
		}
	}
	return false
}

// collated says whether an expression is known to be text. Expressions of
// unknown type are left to the merger, which sees the types.
func (w *gathering) collated(n *pg.Node) bool {
	if n.GetCollateClause() != nil {
		return true
	}
	ref := n.GetColumnRef()
	if ref == nil {
		return false
	}
	column := w.columnInfo(w.q.column(ref))
	return column != nil && textual(column.Type)
}

// merges refuses an expression of a type that cannot be merged; where the type
// is not known, those who merge must look.
func (w *gathering) merges(n *pg.Node, otherwise string) {
	switch oid := w.typeOf(n); {
	case oid == 0:
		w.g.merge.Unsure = true
	case !mergeable(oid):
		w.no(otherwise)
	}
}

// typeOf returns the type of an expression; 0: not known.
func (w *gathering) typeOf(n *pg.Node) uint32 {
	if ref := n.GetColumnRef(); ref != nil {
		if column := w.columnInfo(w.q.column(ref)); column != nil {
			return column.Type
		}
	}
	if f := n.GetFuncCall(); f != nil {
		if name, _, _ := lastWord(f.Funcname); name == "count" && !w.a.classify(f).user {
			return oidInt8
		}
	}
	return 0
}

// mergeable says whether the order of a type's values is known outside
// PostgreSQL: booleans, numbers, dates and times without zones of their own,
// uuid, bytea.
func mergeable(oid uint32) bool {
	switch oid {
	case 16, oidBytea, oidInt8, oidInt2, oidInt4, 26, 700, 701, 1082, 1083, 1114, 1184, oidNumeric, oidUUID:
		return true
	}
	return false
}

// columnInfo returns the catalog's entry of the column that a node is, through
// derived tables; nil when it is none.
func (w *gathering) columnInfo(n node) *topology.Column {
	for n.rel != nil && n.rel.sub != nil {
		n = n.inner()
	}
	if n.rel == nil || n.rel.table == nil {
		return nil
	}
	i := n.rel.table.Column(n.col)
	if i < 0 {
		return nil
	}
	return &n.rel.table.Columns[i]
}
