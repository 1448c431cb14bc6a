package router

import (
	"strconv"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// combining makes a pull of groups instead of rows: each shard computes the parts
// of the aggregates for its own rows of a group, and the final shard, over those
// parts, the rest of the statement. PostgreSQL does all of the arithmetic.
//
//	SELECT mood, avg(age) FROM people GROUP BY mood ORDER BY 2
//	  each shard:  SELECT mood, sum(age), count(age) FROM people GROUP BY mood
//	  final shard: SELECT p.g1 AS mood, sum(p.a1) / sum(p.a2) AS avg FROM (the parts) p GROUP BY p.g1 ORDER BY 2
type combining struct {
	a      *analysis
	q      *query
	s      *pg.SelectStmt // a copy that becomes the final statement
	rel    *rel
	groups []*pg.Node // expressions
	f      fetch
	failed bool
}

// partsName is what the final statement calls the parts.
const partsName = "pgring_parts"

// planCombine plans a SELECT of one sharded table by combining groups; nil: it
// cannot be, or would gain nothing.
func (a *analysis) planCombine(s *pg.SelectStmt, q *query) *pull {
	w := &combining{a: a, q: q, s: clone(s)}
	if !w.fits() {
		return nil
	}
	w.f = fetch{table: sqlName(w.rel.table.Name), alias: quoteIdent(w.rel.name), need: requirementOf(w.rel), combined: true, first: 1,
		only: !s.FromClause[0].GetRangeVar().Inh}
	w.f.where = w.text(s.WhereClause)
	w.findGroups()
	w.rewrite()
	if w.failed {
		return nil
	}
	return w.finish()
}

// fits says whether the statement has the shape: aggregates or groups of one
// table's rows, computed alike on every shard.
func (w *combining) fits() bool {
	a, s := w.a, w.s
	plain := a.alone == nil && !a.survey.locking && a.survey.sublinks == 0 && a.survey.samples == 0 && a.survey.windows == 0 &&
		!a.hasEffects() && len(a.st.homes) == 0 && !a.st.catalogs
	if !plain || s.Op != pg.SetOperation_SETOP_NONE || s.WithClause != nil || len(s.ValuesLists) > 0 || distinctOn(s) ||
		len(s.FromClause) != 1 || len(w.q.rels) != 1 || len(a.refs) != 1 {
		return false
	}
	from := s.FromClause[0].GetRangeVar()
	w.rel = w.q.rels[0]
	if from == nil || len(from.GetAlias().GetColnames()) > 0 || w.rel.table == nil || w.rel.table.Group == nil || !w.rel.table.Exists {
		return false
	}
	g := &gathering{a: a, q: w.q, s: s}
	g.calls()
	aggregates := a.aggregates(levelCalls(append(append([]*pg.Node{s.HavingClause}, s.TargetList...), s.SortClause...)...))
	return g.why == nil && (aggregates || len(s.GroupClause) > 0 || s.HavingClause != nil)
}

// text writes an expression for the shards.
func (w *combining) text(n *pg.Node) string {
	if n == nil {
		return ""
	}
	text, ok := deparse(&pg.SelectStmt{TargetList: []*pg.Node{resTarget("", n)},
		LimitOption: pg.LimitOption_LIMIT_OPTION_DEFAULT, Op: pg.SetOperation_SETOP_NONE})
	text, cut := strings.CutPrefix(text, "SELECT ")
	w.failed = w.failed || !ok || !cut
	return text
}

// findGroups takes the expressions of GROUP BY as keys of the parts.
func (w *combining) findGroups() {
	var by, keys []string
	for i, n := range w.s.GroupClause {
		n = w.grouped(n)
		if n == nil || !w.own(n) {
			w.failed = true
			return
		}
		name := "g" + strconv.Itoa(i+1)
		c := fetched{name: w.text(n), label: name}
		if at := w.columnOf(n); at >= 0 {
			c.as = travelling(&w.rel.table.Columns[at]).as
		}
		w.groups = append(w.groups, n)
		w.f.columns = append(w.f.columns, c)
		by, keys = append(by, c.name), append(keys, name)
	}
	w.s.GroupClause = nil
	for _, name := range keys {
		w.s.GroupClause = append(w.s.GroupClause, columnNode(partsName, name))
	}
	if len(by) > 0 {
		w.f.group = " GROUP BY " + strings.Join(by, ", ")
	}
}

// grouped is the expression that an item of GROUP BY means: itself, or one of the
// select list by its number or its name.
func (w *combining) grouped(n *pg.Node) *pg.Node {
	targets := w.s.TargetList
	if c := n.GetAConst(); c != nil {
		i := int(c.GetIval().GetIval())
		if c.GetIval() == nil || i < 1 || i > len(targets) {
			return nil
		}
		n = targets[i-1].GetResTarget().GetVal()
	} else if ref := n.GetColumnRef(); ref != nil && w.columnOf(n) < 0 && len(ref.Fields) == 1 {
		name := ref.Fields[0].GetString_().GetSval()
		n = nil
		for _, t := range targets {
			if r := t.GetResTarget(); r.Name == name && name != "" {
				if n != nil {
					return nil
				}
				n = r.Val
			}
		}
	}
	if n.GetAConst() != nil || n.GetGroupingSet() != nil {
		return nil
	}
	return n
}

// own says whether an expression is of the table's columns, constants and
// functions of one row, so that each shard computes it for its rows. Of columns
// of users' types it is the column itself.
func (w *combining) own(n *pg.Node) bool {
	if w.columnOf(n) >= 0 {
		return true
	}
	ok := true
	var visit func(n *pg.Node)
	visit = func(n *pg.Node) {
		switch {
		case n == nil:
			return
		case n.GetParamRef() != nil, n.GetSubLink() != nil, n.GetGroupingSet() != nil:
			ok = false
		case n.GetColumnRef() != nil:
			at := w.columnOf(n)
			ok = ok && at >= 0 && w.rel.table.Columns[at].Type < firstUserOID
			return
		case n.GetFuncCall() != nil:
			class := w.a.classify(n.GetFuncCall())
			ok = ok && class.known && !class.user && !class.aggregate && !class.window && !class.set && !class.volatile
		case n.GetTypeCast() != nil:
			ok = ok && anywhereType(n.GetTypeCast().TypeName)
		}
		children(n.ProtoReflect(), visit)
	}
	visit(n)
	return ok
}

// columnOf is the position of the column that an expression is; -1: none.
func (w *combining) columnOf(n *pg.Node) int {
	ref := n.GetColumnRef()
	if ref == nil || len(ref.Fields) > 2 {
		return -1
	}
	at := w.q.column(ref)
	if at.rel != w.rel {
		return -1
	}
	return w.rel.table.Column(at.col)
}

// rewrite makes the final statement: over the parts, with the names that the
// columns of the result had.
func (w *combining) rewrite() {
	s := w.s
	s.WhereClause = nil
	names := map[string]bool{}
	for _, n := range s.TargetList {
		t := n.GetResTarget()
		if t.GetVal().GetColumnRef() != nil && w.columnOf(t.Val) < 0 { // a star, or what is not understood
			w.failed = true
			return
		}
		if t.Name == "" {
			name, ok := columnName(t.Val)
			w.failed = w.failed || !ok
			t.Name = name
		}
		names[t.Name] = true
		t.Val = w.final(t.Val)
	}
	s.HavingClause = w.final(s.HavingClause)
	for _, n := range s.SortClause {
		by := n.GetSortBy()
		if ref := by.Node.GetColumnRef(); ref != nil && len(ref.Fields) == 1 && names[ref.Fields[0].GetString_().GetSval()] {
			continue // it orders by a column of the result
		}
		if by.Node.GetAConst() == nil {
			by.Node = w.final(by.Node)
		}
	}
}

// final is an expression over the parts.
func (w *combining) final(n *pg.Node) *pg.Node {
	if n == nil || w.failed {
		return n
	}
	for i, g := range w.groups {
		if w.sameExpression(n, g) {
			return columnNode(partsName, "g"+strconv.Itoa(i+1))
		}
	}
	switch {
	case n.GetColumnRef() != nil:
		w.failed = true
		return n
	case n.GetFuncCall() != nil && w.a.classify(n.GetFuncCall()).aggregate:
		return w.aggregate(n.GetFuncCall())
	}
	replaceChildren(n.ProtoReflect(), w.final)
	return n
}

func (w *combining) sameExpression(x, y *pg.Node) bool {
	if at := w.columnOf(x); at >= 0 {
		return at == w.columnOf(y)
	}
	return sameTree(x, y)
}

// replaceChildren puts what replace returns in the place of each Node directly
// below the message, lists and typed messages passed through.
func replaceChildren(m protoreflect.Message, replace func(*pg.Node) *pg.Node) {
	m.Range(func(field protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case field.Message() == nil:
		case field.IsList():
			list := v.List()
			for i := range list.Len() {
				if n, ok := list.Get(i).Message().Interface().(*pg.Node); ok {
					list.Set(i, protoreflect.ValueOfMessage(replace(n).ProtoReflect()))
				} else {
					replaceChildren(list.Get(i).Message(), replace)
				}
			}
		default:
			if n, ok := v.Message().Interface().(*pg.Node); ok {
				m.Set(field, protoreflect.ValueOfMessage(replace(n).ProtoReflect()))
			} else {
				replaceChildren(v.Message(), replace)
			}
		}
		return true
	})
}

// aggregate is how the parts of an aggregate come together. Each is exact: sums of
// sums are those of PostgreSQL's integers and numerics, and avg divides as
// PostgreSQL's own does.
func (w *combining) aggregate(f *pg.FuncCall) *pg.Node {
	name, _, _ := lastWord(f.Funcname)
	class := w.a.classify(f)
	argument := len(f.Args) == 1 && w.own(f.Args[0])
	plain := !class.user && !f.AggDistinct && len(f.AggOrder) == 0 && !f.AggWithinGroup && !f.FuncVariadic && f.Over == nil &&
		(f.AggFilter == nil || w.own(f.AggFilter)) && (argument || f.AggStar)
	if !plain {
		w.failed = true
		return nullConst()
	}
	oid := uint32(0)
	if argument {
		oid = w.typeOf(f.Args[0])
	}
	switch name {
	case "count":
		return coalesce(cast(call("sum", w.part(f)), "int8"), integer(0))
	case "sum":
		switch oid {
		case oidInt2, oidInt4:
			return cast(call("sum", w.part(f)), "int8")
		case oidInt8, oidNumeric:
			return call("sum", w.part(f))
		}
	case "avg":
		switch oid {
		case oidInt2, oidInt4, oidInt8, oidNumeric:
			sum, count := clone(f), clone(f)
			sum.Funcname, count.Funcname = callName("sum"), callName("count")
			return infix("/", call("sum", w.part(sum)), call("sum", w.part(count)))
		}
	case "min", "max":
		if at := w.columnOf(argumentOf(f)); oid != 0 || at >= 0 && w.rel.table.Columns[at].Type < firstUserOID && !w.rel.table.Columns[at].Domain {
			return call(name, w.part(f))
		}
	case "bool_and", "bool_or", "every":
		return call(name, w.part(f))
	}
	w.failed = true
	return nullConst()
}

func argumentOf(f *pg.FuncCall) *pg.Node {
	if len(f.Args) != 1 {
		return &pg.Node{}
	}
	return f.Args[0]
}

// part has the shards compute an aggregate, and is the column that it comes in.
func (w *combining) part(f *pg.FuncCall) *pg.Node {
	name := "a" + strconv.Itoa(len(w.f.columns)+1)
	w.f.columns = append(w.f.columns, fetched{name: w.text(&pg.Node{Node: &pg.Node_FuncCall{FuncCall: f}}), label: name})
	return columnNode(partsName, name)
}

func callName(name string) []*pg.Node {
	return []*pg.Node{pg.MakeStrNode(catalogSchema), pg.MakeStrNode(name)}
}

func call(name string, args ...*pg.Node) *pg.Node {
	return &pg.Node{Node: &pg.Node_FuncCall{FuncCall: &pg.FuncCall{Funcname: callName(name), Args: args, Funcformat: pg.CoercionForm_COERCE_EXPLICIT_CALL}}}
}

// typeOf is the type of an expression, if it is an integer or numeric and that is
// certain; else 0.
func (w *combining) typeOf(n *pg.Node) uint32 {
	switch {
	case n.GetColumnRef() != nil:
		if at := w.columnOf(n); at >= 0 && !w.rel.table.Columns[at].Domain {
			return summable(w.rel.table.Columns[at].Type)
		}
	case n.GetAConst() != nil && n.GetAConst().GetIval() != nil:
		return oidInt4
	case n.GetAExpr() != nil:
		e := n.GetAExpr()
		if e.Kind != pg.A_Expr_Kind_AEXPR_OP || len(e.Name) != 1 || e.Lexpr == nil {
			return 0
		}
		switch e.Name[0].GetString_().GetSval() {
		case "+", "-", "*":
			return wider(w.typeOf(e.Lexpr), w.typeOf(e.Rexpr))
		}
	}
	return 0
}

func summable(oid uint32) uint32 {
	switch oid {
	case oidInt2, oidInt4, oidInt8, oidNumeric:
		return oid
	}
	return 0
}

// wider is the type of a sum or product.
func wider(x, y uint32) uint32 {
	if x == 0 || y == 0 {
		return 0
	}
	rank := map[uint32]int{oidInt2: 1, oidInt4: 2, oidInt8: 3, oidNumeric: 4}
	if rank[x] > rank[y] {
		return x
	}
	return y
}

// finish writes the final statement.
func (w *combining) finish() *pull {
	p := &pull{combined: true, fetches: []fetch{w.f}, columns: len(w.f.columns)}
	names := &pulling{a: w.a}
	name := names.mark(0)
	w.s.FromClause = []*pg.Node{{Node: &pg.Node_RangeVar{RangeVar: &pg.RangeVar{Relname: name, Inh: true, Relpersistence: "p",
		Alias: &pg.Alias{Aliasname: partsName}}}}}
	text, ok := deparse(w.s)
	if !ok || w.failed || strings.Count(text, name) != 1 || len(w.f.columns) == 0 || len(w.f.columns) > maxPullColumns {
		return nil
	}
	p.text, p.marks = text, []mark{{name: name, fetch: 0}}
	w.a.special = true // literals are in the texts
	return p
}
