package router

import (
	"math"
	"slices"
	"strconv"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/router/internal/sql"
)

// gather is how a SELECT runs on several shards: its text there, and how the
// rows come together. It is planned once; LIMIT and OFFSET are read for each
// execution.
type gather struct {
	sql    string // empty: the client's text
	merge  Merge  // without Limit and Offset
	anchor anchor
	limit  operand
	offset operand
}

// gathering is the work on one gather.
type gathering struct {
	a   *analysis
	q   *query
	s   *pg.SelectStmt // a copy that is rewritten
	g   *gather
	why *Refusal

	anchors   []*rel // sharded relations that are not NULL in any row of the result
	rewritten bool
	columns   int // of the result as the client knows it, once counted
	hidden    int
}

// planGather plans a SELECT for several shards, or says why it cannot be: what
// each shard answers on its own must add up to the answer.
func (a *analysis) planGather(s *pg.SelectStmt, q *query) (*gather, *Refusal) {
	w := &gathering{a: a, q: q, s: clone(s), g: &gather{merge: Merge{Limit: -1}}}
	for _, step := range []func(){w.shape, w.levels, w.calls, w.joins, w.grouping, w.order, w.limits, w.finish} {
		step()
		if w.why != nil {
			return nil, w.why
		}
	}
	return w.g, nil
}

// no notes why the statement cannot be gathered.
func (w *gathering) no(detail string) {
	if w.why == nil {
		w.why = &Refusal{
			Reason:  Unsupported,
			Message: "statement cannot be answered from several shards",
			Detail:  detail,
			Hint:    w.a.pinHint(),
		}
	}
}

// shape refuses the kinds of SELECT that are not gathered.
func (w *gathering) shape() {
	switch {
	case w.s.Op != pg.SetOperation_SETOP_NONE:
		w.no("UNION, INTERSECT and EXCEPT over several shards are not supported.")
	case len(w.s.ValuesLists) > 0:
		w.no("A VALUES list with subqueries over several shards is not supported.")
	case w.a.survey.locking && !w.locksAll():
		w.no("Row locks over several shards are taken of all rows of a plain SELECT only, without LIMIT and subqueries.")
	case w.s.LimitOption == pg.LimitOption_LIMIT_OPTION_WITH_TIES:
		w.no("WITH TIES over several shards is not supported.")
	case distinctOn(w.s):
		w.no("DISTINCT ON over several shards is not supported.")
	case len(w.a.st.homes) > 0 || w.a.st.catalogs:
		w.no("It uses tables that only the home shard has.")
	case w.a.hasEffects():
		w.no("It may have side effects, which would happen on each shard.")
	}
}

// locksAll says whether the rows that the statement locks are those that it
// returns: with a LIMIT each shard would lock more.
func (w *gathering) locksAll() bool {
	return len(w.s.LockingClause) > 0 && w.s.LimitCount == nil && w.s.LimitOffset == nil && !w.nested()
}

// levels checks that only the outermost level reads sharded tables: what the
// others compute must be the same on each shard.
func (w *gathering) levels() {
	for _, r := range w.a.refs {
		if r.query != w.q && !r.inserted && !w.beside(r) {
			w.no("Table " + quoteIdent(whole(r.table)) + " is in a subquery, WITH or derived table of its own.")
			return
		}
	}
	if len(w.a.st.needs) > 1 {
		w.oneGroup()
	}
	if !w.nested() {
		return
	}
	inner := survey{}
	w.walkInner(&inner)
	if inner.limits > 0 {
		w.no("A subquery with LIMIT, DISTINCT ON or window functions may choose different rows on each shard.")
	}
	for _, f := range inner.funcs {
		class := w.a.classify(f)
		name, _, _ := lastWord(f.Funcname)
		if class.volatile || class.aggregate && !sameEverywhere(name) {
			w.no("Function " + name + " in a subquery may give different results on each shard.")
		}
	}
}

// nested says whether there are queries within the query.
func (w *gathering) nested() bool {
	if w.a.survey.sublinks > 0 || w.s.WithClause != nil {
		return true
	}
	for _, r := range w.q.rels {
		if r.sub != nil {
			return true
		}
	}
	return false
}

// walkInner surveys all queries within the query.
func (w *gathering) walkInner(inner *survey) {
	var visit func(n *pg.Node)
	visit = func(n *pg.Node) {
		switch {
		case n == nil:
		case n.GetSelectStmt() != nil:
			inner.walk(n)
		default:
			children(n.ProtoReflect(), visit)
		}
	}
	children(w.s.ProtoReflect(), visit)
}

// sameEverywhere says whether an aggregate's result does not depend on the
// order of its input, which differs between copies of a reference table.
func sameEverywhere(name string) bool {
	switch name {
	case "count", "min", "max", "bool_and", "bool_or", "every":
		return true
	}
	return false
}

// oneGroup refuses tables of several colocation groups: nothing says that equal
// keys live together.
func (w *gathering) oneGroup() {
	for i := range w.a.st.needs {
		if w.a.st.needs[i].group != w.a.st.needs[0].group {
			w.no("Its tables are of different colocation groups.")
		}
	}
}

// calls refuses functions whose result depends on where they run, and the
// current time in the result: each shard has its own clock. In conditions the
// clock is allowed, as each shard has a snapshot of its own anyway.
func (w *gathering) calls() {
	if w.a.survey.callsUser {
		w.no("It calls a user-defined function, which would see the rows of one shard only.")
		return
	}
	for _, f := range w.a.survey.funcs {
		name, _, _ := lastWord(f.Funcname)
		if class := w.a.classify(f); (class.stable || class.volatile) && !anywhereFunction(name) {
			w.no("Function " + name + " may give different results on each shard.")
		}
	}
	s := w.q.stmt
	var shown survey
	for _, n := range slices.Concat(s.TargetList, s.SortClause, s.GroupClause, []*pg.Node{s.HavingClause}) {
		shown.walk(n)
	}
	if shown.volatile || slices.ContainsFunc(shown.funcs, clockFunction) {
		w.no("The current time or user in the result is each shard's own.")
	}
	if len(shown.texts) > 0 && slices.ContainsFunc(shown.casts, func(t *pg.TypeName) bool { return !anywhereType(t) || timeType(t) }) {
		w.a.special = true // the constant may say 'now'
		if slices.ContainsFunc(shown.texts, func(c *pg.A_Const) bool { return clockWord(c.GetSval().GetSval()) }) {
			w.no("A constant in the result may mean the current time, which is each shard's own.")
		}
	}
}

// clockFunction says whether a call tells the time, or something else of the
// session's own server.
func clockFunction(f *pg.FuncCall) bool {
	switch name, _, _ := lastWord(f.Funcname); name {
	case "now", "transaction_timestamp", "statement_timestamp", "timeofday", "pg_backend_pid", "txid_current", "txid_current_if_assigned",
		"pg_current_xact_id", "version":
		return true
	case "age":
		return len(f.Args) == 1
	}
	return false
}

// timeType says whether a type's input accepts words for the current time.
func timeType(t *pg.TypeName) bool {
	name, _, _ := lastWord(t.Names)
	switch name {
	case "date", "time", "timetz", "timestamp", "timestamptz":
		return true
	}
	return false
}

// limits reads LIMIT and OFFSET. Each shard is asked for the first
// limit + offset rows.
func (w *gathering) limits() {
	count, offset := w.s.LimitCount, w.s.LimitOffset
	if count.GetAConst().GetIsnull() {
		count = nil // LIMIT ALL
	}
	if count == nil && offset == nil || w.why != nil {
		return
	}
	if len(w.g.merge.Aggregates) > 0 {
		w.limitOne(count, offset)
		return
	}
	w.g.limit = w.rowCount(count)
	w.g.offset = w.rowCount(offset)
	if offset == nil {
		return
	}
	w.rewritten = true
	w.s.LimitOffset = nil
	w.s.LimitCount = nil
	if count != nil {
		w.s.LimitOption = pg.LimitOption_LIMIT_OPTION_COUNT
		w.s.LimitCount = sumOf(count, offset)
		return
	}
	w.s.LimitOption = pg.LimitOption_LIMIT_OPTION_DEFAULT
	if ref := offset.GetParamRef(); ref != nil {
		// The parameter must stay in the text, or its number would be unknown
		// to the server.
		w.s.LimitOption = pg.LimitOption_LIMIT_OPTION_COUNT
		w.s.LimitCount = sumOf(nullConst(), offset)
	}
}

// limitOne allows LIMIT on the one row of aggregates if it keeps the row.
func (w *gathering) limitOne(count, offset *pg.Node) {
	w.a.special = true
	if offset != nil || count.GetAConst().GetIval().GetIval() < 1 {
		w.no("LIMIT or OFFSET on aggregates over several shards is not supported.")
	}
}

// rowCount reads a LIMIT or OFFSET.
func (w *gathering) rowCount(n *pg.Node) operand {
	if n == nil {
		return operand{}
	}
	if isFetchOne(n) {
		return operand{kind: operandConst}
	}
	o, ok := w.a.operand(n, ring.KeyInt)
	if !ok || o.kind == operandLiteral && o.lit != sql.Integer {
		w.no("LIMIT and OFFSET over several shards must be integers or parameters.")
	}
	return o
}

// isFetchOne says whether n is the 1 of FETCH FIRST ROW, which the parser made
// up: it stands nowhere in the text.
func isFetchOne(n *pg.Node) bool {
	c := n.GetAConst()
	return c.GetIval() != nil && c.GetLocation() < 0
}

// finish writes the text for the shards.
func (w *gathering) finish() {
	w.g.merge.Hidden = w.hidden
	w.g.anchor = w.anchor()
	if !w.rewritten {
		return
	}
	w.a.special = true
	text, ok := deparse(w.s)
	if !ok {
		w.no("Its text for the shards could not be written with certainty.")
		return
	}
	w.g.sql = text
}

// concatenates says whether the shards' rows need only be put behind each other,
// as they answer the client's text.
func (g *gather) concatenates() bool {
	m := &g.merge
	return g.sql == "" && len(m.Order) == 0 && len(m.Aggregates) == 0 && m.Hidden == 0 &&
		g.limit.kind == operandUnset && g.offset.kind == operandUnset
}

// fill completes a plan with the values of one execution.
func (g *gather) fill(p *Plan, in *input) *Refusal {
	merge := g.merge
	limit, negative, refusal := g.rows(&g.limit, in, -1)
	if refusal != nil {
		return refusal
	}
	offset, alsoNegative, refusal := g.rows(&g.offset, in, 0)
	if refusal != nil {
		return refusal
	}
	if negative || alsoNegative {
		// PostgreSQL's own error is the answer: any shard gives it.
		*p = Plan{Kind: One, Shard: p.Shards[0], At: p.At, Also: p.Also, AllSlots: p.AllSlots}
		return nil
	}
	merge.Limit, merge.Offset = limit, offset
	p.Merge, p.SQL = &merge, g.sql
	return nil
}

// rows reads a number of rows; none is what NULL means.
func (g *gather) rows(o *operand, in *input, none int64) (rows int64, negative bool, refusal *Refusal) {
	if o.kind == operandUnset {
		return none, false, nil
	}
	if o.kind == operandConst && !o.null {
		return 1, false, nil
	}
	key, got, refusal := in.key(o)
	switch got {
	case readNothing:
		return none, false, nil
	case readKey:
		n, err := strconv.ParseInt(key.String(), 10, 64)
		return n, n < 0 && err == nil, nil
	case readInvalid:
		return 0, false, refusal
	case readUnknown, readingUnset:
	}
	return 0, false, &Refusal{
		Reason: Unsupported, Message: "LIMIT or OFFSET is not understood",
		Detail: "Over several shards it must be an integer.", Hint: "Bind it as an integer parameter.",
	}
}

// sumOf is the expression limit + offset, in which a NULL limit stays NULL and
// a sum beyond bigint means no limit.
func sumOf(limit, offset *pg.Node) *pg.Node {
	const bigint, numeric = "int8", "numeric"
	sum := infix("+", cast(cast(limit, bigint), numeric), coalesce(cast(offset, bigint), integer(0)))
	return cast(least(sum, decimal(strconv.FormatInt(math.MaxInt64, 10))), bigint)
}

// isAnchor says whether n is the key of a sharded relation whose rows are never
// NULL in the result.
func (w *gathering) isAnchor(n node) bool {
	return n.rel != nil && n.isKey() && slices.Contains(w.anchors, n.rel)
}
