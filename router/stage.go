package router

import (
	"slices"
	"strconv"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

// A write that needs rows of other shards than those it writes is run in
// stages: the queries in it that stand alone are answered first, as statements
// of their own, and their results take their places as constants. PostgreSQL
// does the same with subqueries that do not depend on the rows around them. What
// is then left is planned as any other statement.

// Stages is how a Staged plan runs. Text makes the statement of its last stage.
type Stages struct {
	Queries []StageQuery
	text    string // the statement, with marks
}

// StageQuery is a query whose result becomes constants.
type StageQuery struct {
	SQL string

	form    stageForm
	marks   []string // formValue: one for each column
	strings []bool   // formRows: columns that are constants without a type
	key     int      // the column that becomes the shard key; -1: none does; everyColumn
	keyType ring.KeyType
}

// everyColumn: each of the values becomes a shard key.
const everyColumn = -2

// stageForm is what a result becomes.
type stageForm uint8

const (
	formValue stageForm = iota + 1 // one row, each column of which is a value
	formArray                      // an array of its only column
	formRows                       // the rows of an INSERT
	formTable                      // an item of a FROM list
)

// StageResult is the answer to a StageQuery.
type StageResult struct {
	Types []string   // of its columns, as SQL
	OIDs  []uint32   // the same
	Rows  [][]string // as the server writes values
	Nulls [][]bool   // which values are NULL
}

// staging is the work on the stages of one statement.
type staging struct {
	a   *analysis
	st  *Stages
	own *topology.Table // written to
	bad bool
}

// planStages looks for queries in a write that can be answered first; nil if
// there are none.
func (a *analysis) planStages(node *pg.Node) *Stages {
	if a.survey.writes != 1 || a.survey.locking || a.survey.into || len(a.written) != 1 || a.written[0].rel.table == nil {
		return nil
	}
	tree := clone(node)
	w := &staging{a: a, st: &Stages{}, own: a.written[0].rel.table}
	switch n := tree.Node.(type) {
	case *pg.Node_InsertStmt:
		w.insert(n.InsertStmt)
	case *pg.Node_UpdateStmt:
		w.bad = n.UpdateStmt.WithClause != nil
		w.from(n.UpdateStmt.FromClause, n.UpdateStmt.WhereClause)
		w.expressions(n.UpdateStmt.FromClause...)
		w.expressions(n.UpdateStmt.TargetList...)
		w.expressions(n.UpdateStmt.WhereClause)
	case *pg.Node_DeleteStmt:
		w.bad = n.DeleteStmt.WithClause != nil
		w.from(n.DeleteStmt.UsingClause, n.DeleteStmt.WhereClause)
		w.expressions(n.DeleteStmt.UsingClause...)
		w.expressions(n.DeleteStmt.WhereClause)
	default:
		return nil
	}
	if w.bad || len(w.st.Queries) == 0 {
		return nil
	}
	text, ok := deparseNode(tree)
	if !ok || !w.marked(text) {
		return nil
	}
	w.st.text = text
	a.special = true // literals are in the texts
	return w.st
}

// marked says whether each mark stands in the text once.
func (w *staging) marked(text string) bool {
	for _, q := range w.st.Queries {
		for _, mark := range q.marks {
			if strings.Count(text, mark) != 1 {
				return false
			}
		}
	}
	return true
}

// insert takes the query of INSERT … SELECT, or what VALUES computes.
func (w *staging) insert(n *pg.InsertStmt) {
	s := n.SelectStmt.GetSelectStmt()
	switch {
	case n.WithClause != nil || s == nil:
		w.bad = true
	case len(s.ValuesLists) > 0:
		if len(s.SortClause) > 0 || s.LimitCount != nil || s.LimitOffset != nil || s.WithClause != nil {
			w.bad = true
			return
		}
		for _, row := range s.ValuesLists {
			w.expressions(row.GetList().GetItems()...)
		}
		w.computedKeys(n, s)
	case w.a.follow == nil || !w.a.st.splits:
		w.rows(n, s)
	}
}

// rows takes the query of INSERT … SELECT.
func (w *staging) rows(n *pg.InsertStmt, s *pg.SelectStmt) {
	untyped := make([]bool, len(s.TargetList))
	for i, t := range s.TargetList {
		c := t.GetResTarget().GetVal().GetAConst()
		untyped[i] = c != nil && (c.Isnull || c.GetSval() != nil) && s.Op == pg.SetOperation_SETOP_NONE
	}
	if hasStar(s.TargetList) && slices.Contains(untyped, true) {
		w.bad = true // which columns they are is not known
		return
	}
	q := StageQuery{form: formRows, strings: untyped, key: -1}
	if position, refusal := insertColumns(w.own, n.Cols); refusal == nil && w.own.Kind == topology.Sharded {
		q.key, q.keyType = position, w.own.KeyType
	}
	if !w.query(&q, s, 1) {
		return
	}
	n.SelectStmt = &pg.Node{Node: &pg.Node_SelectStmt{SelectStmt: &pg.SelectStmt{
		LimitOption: pg.LimitOption_LIMIT_OPTION_DEFAULT, Op: pg.SetOperation_SETOP_NONE,
		ValuesLists: []*pg.Node{{Node: &pg.Node_List{List: &pg.List{Items: []*pg.Node{columnNode(q.marks[0])}}}}},
	}}}
}

// computedKeys takes the keys in VALUES that only a server can compute.
func (w *staging) computedKeys(n *pg.InsertStmt, s *pg.SelectStmt) {
	if w.own.Kind != topology.Sharded {
		return
	}
	position, refusal := insertColumns(w.own, n.Cols)
	if refusal != nil || position < 0 {
		return
	}
	list := &pg.SelectStmt{LimitOption: pg.LimitOption_LIMIT_OPTION_DEFAULT, Op: pg.SetOperation_SETOP_NONE}
	var keys []*pg.Node
	for _, row := range s.ValuesLists {
		items := row.GetList().GetItems()
		if position >= len(items) {
			return
		}
		if !w.computed(items[position]) {
			continue
		}
		keys = append(keys, items[position])
		list.TargetList = append(list.TargetList, resTarget("", clone(items[position])))
	}
	q := StageQuery{form: formValue, key: everyColumn, keyType: w.own.KeyType}
	if len(keys) == 0 || !w.query(&q, list, len(keys)) {
		return
	}
	for i, key := range keys {
		key.Node = columnNode(q.marks[i]).Node
	}
}

// computed says whether a key is an expression of functions and operators on
// constants. The time of day is none: other columns may have it, too.
func (w *staging) computed(n *pg.Node) bool {
	if n.GetFuncCall() == nil && n.GetAExpr() == nil && n.GetTypeCast() == nil && n.GetCoalesceExpr() == nil {
		return false
	}
	if _, ok := w.a.operand(n, w.own.KeyType); ok {
		return false
	}
	var found survey
	found.walk(n)
	return !found.volatile && found.sublinks == 0 && !slices.ContainsFunc(found.funcs, func(f *pg.FuncCall) bool {
		class := w.a.classify(f)
		return class.writes || class.user || !class.known || clockFunction(f)
	})
}

// query adds a stage.
func (w *staging) query(q *StageQuery, s *pg.SelectStmt, columns int) bool {
	text, ok := deparse(s)
	if !ok {
		w.bad = true
		return false
	}
	q.SQL = text
	for i := range columns {
		q.marks = append(q.marks, w.mark(i))
	}
	w.st.Queries = append(w.st.Queries, *q)
	return true
}

// mark is a name that does not occur in the statement.
func (w *staging) mark(i int) string {
	name := "pgring_stage_" + strconv.Itoa(len(w.st.Queries)) + "_" + strconv.Itoa(i) + "_"
	for strings.Contains(string(w.a.src.text), name) {
		name += "_"
	}
	return name
}

// expressions takes the subqueries in expressions.
func (w *staging) expressions(list ...*pg.Node) {
	for _, n := range list {
		switch {
		case n == nil || n.GetSelectStmt() != nil || n.GetMultiAssignRef() != nil:
		case n.GetSubLink() != nil:
			w.sublink(n, n.GetSubLink())
		default:
			children(n.ProtoReflect(), func(c *pg.Node) { w.expressions(c) })
		}
	}
}

// sublink takes one subquery, if it needs other tables and nothing of the rows
// around it.
func (w *staging) sublink(n *pg.Node, s *pg.SubLink) {
	if s.Testexpr != nil {
		w.expressions(s.Testexpr)
	}
	sub := s.Subselect.GetSelectStmt()
	if sub == nil || !w.standsAlone(s.Subselect) {
		return
	}
	switch s.SubLinkType {
	case pg.SubLinkType_EXPR_SUBLINK, pg.SubLinkType_EXISTS_SUBLINK, pg.SubLinkType_ARRAY_SUBLINK:
		q := StageQuery{form: formValue, key: -1}
		whole := &pg.SelectStmt{LimitOption: pg.LimitOption_LIMIT_OPTION_DEFAULT, Op: pg.SetOperation_SETOP_NONE,
			TargetList: []*pg.Node{resTarget("", &pg.Node{Node: &pg.Node_SubLink{SubLink: s}})}}
		if w.query(&q, whole, 1) {
			n.Node = columnNode(q.marks[0]).Node
		}
	case pg.SubLinkType_ANY_SUBLINK, pg.SubLinkType_ALL_SUBLINK:
		if s.Testexpr.GetRowExpr() != nil || s.Testexpr.GetSubLink() != nil {
			return
		}
		kind, operator := pg.A_Expr_Kind_AEXPR_OP_ANY, s.OperName
		if s.SubLinkType == pg.SubLinkType_ALL_SUBLINK {
			kind = pg.A_Expr_Kind_AEXPR_OP_ALL
		}
		if len(operator) == 0 {
			operator = []*pg.Node{pg.MakeStrNode("=")}
		}
		q := StageQuery{form: formArray, key: -1}
		if w.query(&q, sub, 1) {
			n.Node = &pg.Node_AExpr{AExpr: &pg.A_Expr{Kind: kind, Name: operator, Lexpr: s.Testexpr, Rexpr: columnNode(q.marks[0])}}
		}
	}
}

// from takes the tables that UPDATE … FROM or DELETE … USING joins, unless they
// are on the shards of the rows written.
func (w *staging) from(list []*pg.Node, where *pg.Node) {
	for _, n := range list {
		v := n.GetRangeVar()
		if v == nil {
			continue
		}
		t, to := w.a.lookUp(v.Schemaname, v.Relname)
		if to != targetTable || len(t.Columns) == 0 || t.Kind == topology.Reference || t.Kind == topology.Sharded && w.own.Kind == topology.Sharded && t.Group == w.own.Group {
			continue
		}
		name := v.Relname
		if v.Alias != nil {
			name = v.Alias.Aliasname
		}
		s := &pg.SelectStmt{LimitOption: pg.LimitOption_LIMIT_OPTION_DEFAULT, Op: pg.SetOperation_SETOP_NONE,
			TargetList: []*pg.Node{resTarget("", &pg.Node{Node: &pg.Node_ColumnRef{ColumnRef: &pg.ColumnRef{Fields: []*pg.Node{{Node: &pg.Node_AStar{AStar: &pg.A_Star{}}}}}}})},
			FromClause: []*pg.Node{clone(n)}, WhereClause: conditionsOn(name, where)}
		q := StageQuery{form: formTable, key: -1}
		if !w.query(&q, s, 1) {
			return
		}
		alias := &pg.Alias{Aliasname: name, Colnames: v.Alias.GetColnames()}
		for _, c := range t.Columns[min(len(alias.Colnames), len(t.Columns)):] {
			alias.Colnames = append(alias.Colnames, pg.MakeStrNode(c.Name))
		}
		v.Catalogname, v.Schemaname, v.Relname, v.Inh, v.Alias = "", "", q.marks[0], true, alias
	}
}

// conditionsOn copies the conditions that concern one relation only: its columns
// are qualified with its name, and all else is constant.
func conditionsOn(name string, where *pg.Node) *pg.Node {
	if b := where.GetBoolExpr(); b != nil && b.Boolop == pg.BoolExprType_AND_EXPR {
		var list []*pg.Node
		for _, arg := range b.Args {
			if c := conditionsOn(name, arg); c != nil {
				list = append(list, c)
			}
		}
		if len(list) == 0 {
			return nil
		}
		return allOf(list)
	}
	if where == nil {
		return nil
	}
	var found survey
	found.walk(where)
	own := found.sublinks == 0 && len(found.funcs) == 0 && len(found.params) == 0
	visitColumns(where, func(ref *pg.ColumnRef) {
		fields, ok := words(ref.Fields)
		own = own && ok && len(fields) == 2 && fields[0] == name
	})
	if !own {
		return nil
	}
	return clone(where)
}

func visitColumns(n *pg.Node, visit func(*pg.ColumnRef)) {
	if ref := n.GetColumnRef(); ref != nil {
		visit(ref)
		return
	}
	if n != nil {
		children(n.ProtoReflect(), func(c *pg.Node) { visitColumns(c, visit) })
	}
}

// stageable says whether a statement refused for this reason may run in stages.
func (r *Refusal) stageable() bool {
	switch r.Reason {
	case Unsupported, MissingKey, KeyNotUnderstood, CrossShardWrite:
		return true
	}
	return false
}
