package router

import (
	"slices"
	"strconv"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/router/internal/sql"
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
	fill    *sql.Filling
}

// StageQuery is a query whose result becomes constants.
type StageQuery struct {
	SQL string

	form    stageForm
	marks   []string             // formValue: one for each column
	strings []bool               // formRows: columns that are constants without a type
	keys    map[int]ring.KeyType // columns that become columns of the shard key, and of which type
}

// stageForm is what a result becomes.
type stageForm uint8

const (
	formValue stageForm = iota + 1 // one row, each column of which is a value
	formArray                      // an array of its only column
	formRows                       // the rows of an INSERT
	formTable                      // an item of a FROM list
	formNamed                      // the same, with the names of its columns
)

// StageResult is the answer to a StageQuery.
type StageResult struct {
	Names []string   // of its columns
	Types []string   // the types, as SQL
	OIDs  []uint32   // the same
	Rows  [][]string // as the server writes values
	Nulls [][]bool   // which values are NULL
}

// staging is the work on the stages of one statement.
type staging struct {
	a     *analysis
	tree  *pg.Node // the statement, which is changed
	st    *Stages
	own   *topology.Table // written to
	bad   bool
	rels  map[int32]*rel // by where they stand in the text
	taken map[*pg.RangeVar]bool
	ctes  *pg.WithClause // of the statement, as it was; nil: none
}

// planStages looks for queries in a write that can be answered first; nil if
// there are none.
func (a *analysis) planStages(node *pg.Node) *Stages {
	if a.survey.writes != 1 || a.survey.samples > 0 || a.survey.locking || a.survey.into || len(a.written) != 1 || a.written[0].rel.table == nil {
		return nil
	}
	if fill := a.filling(node.GetInsertStmt()); fill != nil {
		return &Stages{fill: fill}
	}
	w := newStaging(a, node)
	switch n := w.tree.Node.(type) {
	case *pg.Node_InsertStmt:
		w.insert(n.InsertStmt)
	case *pg.Node_UpdateStmt:
		w.with(n.UpdateStmt.WithClause)
		w.from(n.UpdateStmt.FromClause, n.UpdateStmt.WhereClause)
		w.expressions(n.UpdateStmt.TargetList...)
		w.expressions(n.UpdateStmt.WhereClause)
		w.returning(n.UpdateStmt.ReturningList)
	case *pg.Node_DeleteStmt:
		w.with(n.DeleteStmt.WithClause)
		w.from(n.DeleteStmt.UsingClause, n.DeleteStmt.WhereClause)
		w.expressions(n.DeleteStmt.WhereClause)
		w.returning(n.DeleteStmt.ReturningList)
	case *pg.Node_MergeStmt:
		w.with(n.MergeStmt.WithClause)
		w.from([]*pg.Node{n.MergeStmt.SourceRelation}, nil)
		w.expressions(n.MergeStmt.JoinCondition)
		w.expressions(n.MergeStmt.MergeWhenClauses...)
	default:
		return nil
	}
	if w.bad || len(w.st.Queries) == 0 {
		return nil
	}
	text, ok := deparseNode(w.tree)
	if !ok || !w.marked(text) {
		return nil
	}
	w.st.text = text
	a.special = true // literals are in the texts
	return w.st
}

func newStaging(a *analysis, node *pg.Node) *staging {
	w := &staging{a: a, tree: clone(node), st: &Stages{}, own: a.written[0].rel.table, rels: map[int32]*rel{}, taken: map[*pg.RangeVar]bool{}}
	for v, r := range a.byRange {
		w.rels[v.Location] = r
	}
	return w
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
	case s == nil:
		w.bad = true
	case len(s.ValuesLists) > 0:
		w.with(n.WithClause)
		if len(s.SortClause) > 0 || s.LimitCount != nil || s.LimitOffset != nil || s.WithClause != nil {
			w.bad = true
			return
		}
		for _, row := range s.ValuesLists {
			w.expressions(row.GetList().GetItems()...)
		}
		w.computedKeys(n, s)
		w.expressions(n.OnConflictClause.GetTargetList()...)
		w.expressions(n.OnConflictClause.GetWhereClause())
		w.returning(n.ReturningList)
	case n.WithClause != nil && (s.WithClause != nil || w.aside(n)):
		w.bad = true
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
	if n.WithClause != nil {
		s.WithClause, n.WithClause = n.WithClause, nil
	}
	q := StageQuery{form: formRows, strings: untyped}
	if positions, refusal := insertColumns(w.own, n.Cols); refusal == nil && w.own.Kind == topology.Sharded {
		q.keys = map[int]ring.KeyType{}
		for i, position := range positions {
			q.keys[position] = keyColumnType(w.own, i)
		}
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
	positions, refusal := insertColumns(w.own, n.Cols)
	if refusal != nil || positions == nil {
		return
	}
	list := &pg.SelectStmt{LimitOption: pg.LimitOption_LIMIT_OPTION_DEFAULT, Op: pg.SetOperation_SETOP_NONE}
	var keys []*pg.Node
	q := StageQuery{form: formValue, keys: map[int]ring.KeyType{}}
	for _, row := range s.ValuesLists {
		items := row.GetList().GetItems()
		for i, position := range positions {
			if position >= len(items) {
				return
			}
			typ := keyColumnType(w.own, i)
			if !w.computed(items[position], typ) {
				continue
			}
			q.keys[len(keys)] = typ
			keys = append(keys, items[position])
			list.TargetList = append(list.TargetList, resTarget("", clone(items[position])))
		}
	}
	if len(keys) == 0 || !w.query(&q, list, len(keys)) {
		return
	}
	for i, key := range keys {
		key.Node = columnNode(q.marks[i]).Node
	}
}

// computed says whether a value for a key's column is an expression of functions and operators on
// constants. The time of day is none: other columns may have it, too.
func (w *staging) computed(n *pg.Node, keyType ring.KeyType) bool {
	if n.GetFuncCall() == nil && n.GetAExpr() == nil && n.GetTypeCast() == nil && n.GetCoalesceExpr() == nil {
		return false
	}
	if _, ok := w.a.operand(n, keyType); ok {
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
	if w.ctes != nil && s.WithClause == nil {
		s.WithClause = clone(w.ctes)
	}
	text, ok := deparse(s)
	if !ok || w.ctes != nil && !sameTree(s.WithClause, w.ctes) {
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
		w.tables(s.Subselect.ProtoReflect())
		return
	}
	switch s.SubLinkType {
	case pg.SubLinkType_EXPR_SUBLINK, pg.SubLinkType_EXISTS_SUBLINK, pg.SubLinkType_ARRAY_SUBLINK:
		q := StageQuery{form: formValue}
		whole := &pg.SelectStmt{LimitOption: pg.LimitOption_LIMIT_OPTION_DEFAULT, Op: pg.SetOperation_SETOP_NONE,
			TargetList: []*pg.Node{resTarget("", &pg.Node{Node: &pg.Node_SubLink{SubLink: s}})}}
		if w.query(&q, whole, 1) {
			n.Node = columnNode(q.marks[0]).Node
		}
	case pg.SubLinkType_ANY_SUBLINK, pg.SubLinkType_ALL_SUBLINK:
		if s.Testexpr.GetRowExpr() != nil || s.Testexpr.GetSubLink() != nil {
			w.tables(s.Subselect.ProtoReflect())
			return
		}
		kind, operator := pg.A_Expr_Kind_AEXPR_OP_ANY, s.OperName
		if s.SubLinkType == pg.SubLinkType_ALL_SUBLINK {
			kind = pg.A_Expr_Kind_AEXPR_OP_ALL
		}
		if len(operator) == 0 {
			operator = []*pg.Node{pg.MakeStrNode("=")}
		}
		q := StageQuery{form: formArray}
		if w.query(&q, sub, 1) {
			n.Node = &pg.Node_AExpr{AExpr: &pg.A_Expr{Kind: kind, Name: operator, Lexpr: s.Testexpr, Rexpr: columnNode(q.marks[0])}}
		}
	}
}

// from takes what UPDATE … FROM, DELETE … USING or MERGE … USING joins, unless it
// is on the shards of the rows written.
func (w *staging) from(list []*pg.Node, where *pg.Node) {
	for _, n := range list {
		w.relation(n, where)
	}
	w.subselects(list)
	w.expressions(list...)
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
