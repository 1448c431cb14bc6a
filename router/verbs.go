package router

import (
	"strconv"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// sessionStatement analyses the statements that control the session or its
// transaction. False: n is none of them.
func (a *analysis) sessionStatement(n *pg.Node) bool {
	a.st.Access = Read
	switch s := n.Node.(type) {
	case *pg.Node_TransactionStmt:
		a.transaction(s.TransactionStmt)
	case *pg.Node_VariableSetStmt:
		a.set(s.VariableSetStmt)
	case *pg.Node_VariableShowStmt:
		a.show(s.VariableShowStmt)
	case *pg.Node_PrepareStmt:
		a.prepare(s.PrepareStmt)
	case *pg.Node_ExecuteStmt:
		a.execute(s.ExecuteStmt)
	case *pg.Node_DeallocateStmt:
		a.named(Deallocate, s.DeallocateStmt.Name)
		if s.DeallocateStmt.Name == "" {
			a.st.Verb = DeallocateAll
		}
	case *pg.Node_DiscardStmt:
		a.named(Discard, discardName(s.DiscardStmt.Target))
	case *pg.Node_DeclareCursorStmt:
		a.declare(s.DeclareCursorStmt)
	case *pg.Node_FetchStmt:
		a.named(Fetch, s.FetchStmt.Portalname)
		a.st.ForwardOnly = s.FetchStmt.Direction == pg.FetchDirection_FETCH_FORWARD && s.FetchStmt.HowMany >= 0
	case *pg.Node_ClosePortalStmt:
		a.named(CloseCursor, s.ClosePortalStmt.Portalname)
	case *pg.Node_ListenStmt, *pg.Node_UnlistenStmt, *pg.Node_NotifyStmt:
		a.notification(n)
	default:
		a.st.Access = AccessUnset
		return false
	}
	a.special = true
	return true
}

// named is a statement that the session handles, about something with a name.
func (a *analysis) named(verb Verb, name string) {
	a.st.Verb, a.st.Name = verb, name
	a.local()
}

func discardName(target pg.DiscardMode) string {
	switch target {
	case pg.DiscardMode_DISCARD_ALL:
		return "all"
	case pg.DiscardMode_DISCARD_PLANS:
		return "plans"
	case pg.DiscardMode_DISCARD_SEQUENCES:
		return "sequences"
	case pg.DiscardMode_DISCARD_TEMP:
		return "temp"
	default:
		return ""
	}
}

// transaction analyses BEGIN and its kin.
func (a *analysis) transaction(s *pg.TransactionStmt) {
	a.st.Chain = s.Chain
	switch s.Kind {
	case pg.TransactionStmtKind_TRANS_STMT_BEGIN, pg.TransactionStmtKind_TRANS_STMT_START:
		a.named(Begin, "")
		a.st.Settings = transactionModes(s.Options, "")
	case pg.TransactionStmtKind_TRANS_STMT_COMMIT:
		a.named(Commit, "")
	case pg.TransactionStmtKind_TRANS_STMT_ROLLBACK:
		a.named(Rollback, "")
	case pg.TransactionStmtKind_TRANS_STMT_SAVEPOINT:
		a.named(Savepoint, s.SavepointName)
	case pg.TransactionStmtKind_TRANS_STMT_RELEASE:
		a.named(Release, s.SavepointName)
	case pg.TransactionStmtKind_TRANS_STMT_ROLLBACK_TO:
		a.named(RollbackTo, s.SavepointName)
	default:
		a.named(PrepareTransaction, s.Gid)
		a.unsupported("two-phase commit by clients is not supported",
			"A prepared transaction would be known on one shard only, and pgring uses such transactions itself.", "Use COMMIT.")
	}
}

// transactionModes reads the modes of BEGIN, SET TRANSACTION and SET SESSION
// CHARACTERISTICS, whose settings' names have a prefix.
func transactionModes(options []*pg.Node, prefix string) []Setting {
	var modes []Setting
	for _, n := range options {
		d := n.GetDefElem()
		mode := Setting{Name: prefix + d.GetDefname(), Local: prefix == ""}
		switch v := d.GetArg().GetAConst().GetVal().(type) {
		case *pg.A_Const_Sval:
			mode.Text = v.Sval.Sval
		case *pg.A_Const_Ival:
			mode.Text = "off"
			if v.Ival.Ival != 0 {
				mode.Text = "on"
			}
		}
		mode.Value = quoteLiteral(mode.Text)
		modes = append(modes, mode)
	}
	return modes
}

// notification analyses LISTEN, UNLISTEN, NOTIFY: the home shard carries them.
func (a *analysis) notification(n *pg.Node) {
	switch s := n.Node.(type) {
	case *pg.Node_ListenStmt:
		a.st.Verb, a.st.Name, a.st.Pin = Listen, s.ListenStmt.Conditionname, PinListen
	case *pg.Node_UnlistenStmt:
		a.st.Verb, a.st.Name = Unlisten, s.UnlistenStmt.Conditionname
	case *pg.Node_NotifyStmt:
		a.st.Verb, a.st.Name, a.st.Access = Notify, s.NotifyStmt.Conditionname, Write
	}
	a.st.route = routeHome
	a.st.catalogs = true
}

// show analyses SHOW.
func (a *analysis) show(s *pg.VariableShowStmt) {
	name := foldCase(s.Name)
	if rest, ours := cutPrefix(name, ownPrefix); ours {
		a.named(ShowLocal, rest)
		return
	}
	a.st.Name = name
	a.local()
}

// prepare analyses PREPARE name (types) AS statement.
func (a *analysis) prepare(s *pg.PrepareStmt) {
	a.named(Prepare, s.Name)
	inner, types := cutPrepare(a.src.text)
	a.st.Types = types
	a.inner(inner)
}

// refuseFor refuses the statement because one within it was.
func (a *analysis) refuseFor(err error) {
	refusal, ok := err.(*Refusal)
	if !ok {
		refusal = &Refusal{Reason: Unsupported, Message: err.Error()}
	}
	a.refuse(refusal)
}

// inner analyses a statement within the statement.
func (a *analysis) inner(text []byte) {
	st, err := a.router.parse(a.snap, a.env, text)
	if err != nil {
		a.refuseFor(err)
		return
	}
	a.st.Inner, a.st.InnerText = st, string(text)
}

// execute analyses EXECUTE name (arguments).
func (a *analysis) execute(s *pg.ExecuteStmt) {
	a.named(Execute, s.Name)
	if len(s.Params) == 0 {
		return
	}
	args := make(constants, 0, len(s.Params))
	typed := false
	for _, n := range s.Params {
		v, ok := constantValue(n)
		if !ok {
			a.computed(s.Params)
			return
		}
		args = append(args, v)
		typed = typed || !isUntyped(n)
	}
	if typed {
		a.computed(s.Params)
	}
	a.st.Args = args
}

// isUntyped reports whether an argument has the type that is asked for: it is a string or NULL.
func isUntyped(n *pg.Node) bool {
	c := n.GetAConst()
	return c != nil && (c.Isnull || c.GetSval() != nil)
}

// computed notes arguments of EXECUTE that a server has to compute.
func (a *analysis) computed(args []*pg.Node) {
	var found survey
	for _, n := range args {
		found.walk(n)
		text, ok := deparse(&pg.SelectStmt{TargetList: []*pg.Node{resTarget("", n)}, LimitOption: pg.LimitOption_LIMIT_OPTION_DEFAULT,
			Op: pg.SetOperation_SETOP_NONE})
		if !ok {
			a.notWritten()
			return
		}
		a.st.Computed = append(a.st.Computed, Argument{SQL: strings.TrimPrefix(text, "SELECT "), Untyped: isUntyped(n), Boolean: n.GetAConst().GetBoolval() != nil})
	}
	simple := found.sublinks == 0 && found.windows == 0 && found.maxParam == 0
	for _, f := range found.funcs {
		class := a.classify(f)
		simple = simple && class.known && !class.user && !class.writes && !class.aggregate && !class.window && !class.set
	}
	if !simple {
		a.unsupported("arguments of EXECUTE are not understood", "They have subqueries, or functions that may write or read tables.",
			"Use the extended protocol, or write constants.")
	}
}

// constants are values written in a statement.
type constants []Value

// Value implements Values.
func (c constants) Value(i int) (Value, bool) {
	if i < 0 || i >= len(c) {
		return Value{}, false
	}
	return c[i], true
}

// constantValue returns the text of a constant, if the text is the same for a parameter of any type. That of 1e3 and of '007'::int
// is not: as texts they are 1000 and 7, and 1.5 is 2 as an integer.
func constantValue(n *pg.Node) (Value, bool) {
	c := n.GetAConst()
	switch {
	case c == nil:
		return Value{}, false
	case c.Isnull:
		return Value{Null: true}, true
	}
	text, ok := constantText(c)
	if c.GetFval() != nil {
		whole, err := strconv.ParseInt(text, 10, 64)
		ok = ok && err == nil && strconv.FormatInt(whole, 10) == text
	}
	return Value{Data: []byte(text)}, ok
}

// declare analyses DECLARE … CURSOR: the cursor is where its query's rows are.
func (a *analysis) declare(s *pg.DeclareCursorStmt) {
	const hold = 0x20 // CURSOR_OPT_HOLD of parsenodes.h
	a.st.Verb, a.st.Name = Declare, s.Portalname
	if s.Options&hold != 0 {
		a.st.Hold, a.st.Pin = true, PinCursor
	}
	a.declared(cutDeclare(a.src.text))
	if a.st.Inner == nil {
		return
	}
	if a.st.Inner.Verb == Set {
		a.refuse(unfollowed())
	}
	a.adopt(a.st.Inner, &Refusal{
		Reason: Unsupported, Message: "cursor over several shards is not supported",
		Detail: "The rows of its query are on several shards.", Hint: "Run the query itself, or give it a shard key.",
	})
}

// adopt makes the statement run where another one would, but not on several
// shards.
func (a *analysis) adopt(inner *Statement, spread *Refusal) {
	verdict := a.refused
	a.st.core = inner.core
	a.st.needsLiterals = false
	a.refused = firstRefusal(verdict, inner.refused)
	a.alone = inner.alone
	a.st.Access = max(a.st.Access, inner.Access)
	a.st.Pin = max(a.st.Pin, inner.Pin)
	a.st.Params = inner.Params
	a.st.Tables = inner.Tables
	if a.st.Verb == Declare && a.st.pull != nil {
		return
	}
	a.notSpread(spread)
}

// notSpread refuses what the statement would do on several shards.
func (a *analysis) notSpread(why *Refusal) {
	st := a.st
	if st.gather != nil || st.pull != nil || st.splits || st.spread != nil || st.stages != nil {
		st.gather, st.pull, st.splits, st.stages, st.spread = nil, nil, false, nil, why
	}
}

func firstRefusal(list ...*Refusal) *Refusal {
	for _, r := range list {
		if r != nil {
			return r
		}
	}
	return nil
}
