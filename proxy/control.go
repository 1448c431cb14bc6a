package proxy

import (
	"cmp"
	"context"
	"strings"

	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/router"
	"github.com/pgring/pgring/topology"
)

// isControl reports whether a statement is about the session rather than about data: its text need not be known to any server
// before it is executed.
func isControl(verb router.Verb) bool {
	switch verb {
	case router.Plain, router.Declare, router.Fetch, router.CloseCursor, router.CopyIn, router.CopyOut, router.Listen, router.Unlisten,
		router.Notify:
		return false
	}
	return true
}

// isLocal reports whether the session answers the statement itself, as things stand now. Transaction statements go to the server
// when exactly one takes part.
func (c *session) isLocal(stmt *router.Statement) bool {
	switch stmt.Verb {
	case router.Commit:
		return c.tx.failed || c.tx.implicit || c.sole() == nil || c.state.own.now.key != ""
	case router.Rollback, router.RollbackTo, router.Savepoint, router.Release:
		return c.tx.implicit || c.sole() == nil
	case router.Set:
		return !isQuery(stmt) || isOwn(stmt)
	case router.CloseCursor:
		return stmt.Name == "" && len(c.cursorShards()) > 1
	}
	return isControl(stmt.Verb)
}

// isQuery reports whether a SET is written as SELECT set_config(…), which answers with a row.
func isQuery(stmt *router.Statement) bool { return stmt.Verb == router.Set && stmt.Query }

// control does what a local statement asks and answers it.
func (c *session) control(ctx context.Context, stmt *router.Statement, text string, values router.Values) error {
	if stmt.Verb != router.Begin || len(stmt.Settings) > 0 {
		c.takeTime()
	}
	if err := c.drainNoted(); err != nil {
		return err
	}
	switch stmt.Verb {
	case router.Empty:
		return c.reply(pgwire.AppendEmpty(c.out[:0], pgwire.EmptyQueryResponse))
	case router.Begin:
		return c.begin(ctx, stmt, text)
	case router.Commit, router.Rollback, router.Savepoint, router.Release, router.RollbackTo:
		if err := c.drain(); err != nil {
			return err
		}
		return c.controlTransaction(ctx, stmt, text)
	case router.Set, router.SetLocal, router.SetTransaction, router.Reset, router.ResetAll:
		return c.controlSetting(ctx, stmt, text, values)
	case router.ShowLocal:
		return c.showOwn(stmt.Name)
	case router.ExplainRoute:
		return c.explainRoute(stmt, values)
	case router.CallOwn:
		return c.callOwn(ctx, stmt, values)
	case router.Generate:
		return c.generate(ctx, stmt, values)
	case router.Discard:
		return c.discard(ctx, stmt)
	case router.Prepare:
		return c.sqlPrepare(ctx, stmt, text)
	case router.Deallocate, router.DeallocateAll:
		return c.sqlDeallocate(stmt)
	case router.Execute:
		return c.sqlExecute(ctx, stmt, values)
	case router.CloseCursor:
		return c.closeAllCursors()
	}
	return c.reject(errUnsupported("this statement is not supported", ""))
}

// drainNoted has a statement answered whose completion changes the session, before anything is decided by the session's state.
func (c *session) drainNoted() error {
	if c.turn.noted != nil {
		return c.drain()
	}
	return nil
}

// plan routes the statement, which may have a key. Transaction statements that are not local go to the one participant.
func (c *session) plan(stmt *router.Statement, key givenKey, values router.Values) (plan router.Plan, err error) {
	switch stmt.Verb {
	case router.Commit, router.Rollback, router.Savepoint, router.Release, router.RollbackTo:
		return router.Plan{Kind: router.One, Shard: c.sole().shard}, nil
	case router.Fetch, router.CloseCursor:
		if known, ok := c.cursors[stmt.Name]; ok {
			return router.Plan{Kind: router.One, Shard: known.shard}, nil
		}
		if p := c.sole(); p != nil {
			return router.Plan{Kind: router.One, Shard: p.shard}, nil // let the server say that there is no such cursor
		}
	}
	if stmt.Access != router.Read || c.tx.redefined.any() || c.tx.views.defined || c.unit.views.defined {
		if err := c.checkSchema(stmt); err != nil {
			return plan, err
		}
	}
	plan, err = stmt.Plan(c.snap, values)
	if err == nil && len(c.snap.Moves) > 0 {
		plan, err = c.planWhileMoving(stmt, values, plan)
	}
	if err == nil && (key.given() || stmt.Access == router.Write) {
		err = c.planRequest(stmt, key, &plan)
	}
	if err != nil {
		return plan, err
	}
	switch plan.Kind {
	case router.Reference:
		plan.Shard = c.preferred(plan.Shard)
	case router.Home:
		if plan.Anywhere {
			plan.Shard = c.preferred(plan.Shard)
		}
	case router.Gather, router.Pull:
		if c.policy.RefuseScatter {
			return plan, &pgwire.Error{Code: codeFeatureNotSupported, Message: "statement would read several shards",
				Detail: "routing.scatter_reads is error.", Hint: "Add a condition on the shard key."}
		}
	}
	if stmt.Verb == router.Declare {
		err = cmp.Or(err, c.checkCursor(stmt, plan.Shard))
	}
	if stmt.AsksSequence() {
		err = cmp.Or(err, c.checkSequence())
	}
	c.tx.drew = c.tx.drew || stmt.DrawsSequence()
	return plan, err
}

// checkSequence refuses to ask for the value that a sequence gave last unless the open transaction may have taken it, or connections are the session's
// own: it would be another client's.
func (c *session) checkSequence() error {
	if c.tx.drew || c.policy.Mode == SessionMode {
		return nil
	}
	return &pgwire.Error{Code: codeFeatureNotSupported, Message: "lastval and currval are not supported outside of the transaction that has taken the value",
		Detail: "Clients share connections to servers, so the last value may be another one's.",
		Hint:   "Use INSERT … RETURNING, or ask in the transaction that has taken the value."}
}

// checkSchema refuses a statement for what it is, or for what was defined in its transaction.
func (c *session) checkSchema(stmt *router.Statement) error {
	if err := c.tx.redefined.check(c.snap, stmt); err != nil {
		return err
	}
	if err := c.checkViews(stmt); err != nil {
		return err
	}
	if err := c.checkAppends(stmt); err != nil {
		return err
	}
	return c.checkGuards(stmt)
}

// preferred is the shard for a read that any shard can answer: one that the session holds anyway.
func (c *session) preferred(shard ring.ShardID) ring.ShardID {
	for _, p := range c.parts {
		if p.began || p.pinned {
			return p.shard
		}
	}
	return shard
}

// note remembers a statement whose completion changes the session. It returns whether there is something to remember.
func note[T string | []byte](c *session, stmt *router.Statement, text T, values router.Values) bool {
	if stmt.Access == router.Write && len(stmt.Tables) == 0 && runsCode(string(text[:min(len(text), len("call "))])) {
		c.turn.part.opaque = true
	}
	if (stmt.Verb == router.Plain || stmt.Verb == router.Fetch) && stmt.Pin == router.PinNone && stmt.Access != router.Define && len(stmt.TempTables) == 0 {
		return false
	}
	c.turn.noted, c.turn.text = stmt, string(text)
	if isQuery(stmt) {
		c.turn.settings = stmt.SettingsWith(values)
	}
	return true
}

// runsCode reports whether a statement that begins so is DO or CALL: their code may set anything.
func runsCode(start string) bool {
	word, _, _ := strings.Cut(strings.ToLower(start), " ")
	return word == "do" || word == "call"
}

// completed applies what the noted statement has changed, now that the server has said it is done.
func (c *session) completed(tag string) error {
	stmt, text := c.turn.noted, c.turn.text
	if c.turn.work != nil {
		c.turn.work.affected = affected(tag)
	}
	c.turn.noted, c.turn.work = nil, nil
	part := c.turn.part
	switch stmt.Verb {
	case router.Commit, router.Rollback:
		if c.tx.active { // not behind another one, in a pipeline
			c.closed(tag == "COMMIT", stmt.Chain)
		}
	case router.Savepoint, router.Release, router.RollbackTo:
		c.noteSavepoint(stmt, text)
	case router.Set:
		if tag != "SELECT 0" {
			c.noteSettings(part)
		}
	case router.Declare:
		c.noteCursor(stmt, part.shard)
	case router.CloseCursor:
		if delete(c.cursors, stmt.Name); stmt.Name == "" {
			clear(c.cursors)
		}
	case router.Unlisten:
	}
	if stmt.Pin != router.PinNone {
		part.pinned = true
		c.hears = c.hears || stmt.Pin == router.PinListen
	}
	if len(stmt.TempTables) > 0 {
		c.addTemp(stmt.TempTables)
	}
	if stmt.Access == router.Define {
		c.unit.defined = true
	}
	return nil
}

// suspended applies what the noted statement has changed by giving rows, though it has not come to its end.
func (c *session) suspended() error {
	if noted := c.turn.noted; noted == nil || !isQuery(noted) && noted.Pin == router.PinNone {
		return nil
	}
	return c.completed("")
}

// noteSettings records what SELECT set_config(…) has set on a participant, and has the others of the transaction follow.
func (c *session) noteSettings(part *participant) {
	before := c.state
	next := c.state.settings
	for _, s := range c.turn.settings {
		switch {
		case s.Local && !c.tx.active:
			continue // it has ended with its statement
		case !s.Local:
			next = next.With(s.Name, configSQL(s))
		}
		if c.tx.active {
			c.tx.prelude = append(c.tx.prelude, entry{sql: configSQL(s), sets: []router.Setting{s}, state: before})
			c.followSetting(part, configSQL(s))
		}
		meaning := decidesMeaning([]string{s.Name})
		c.unit.resolve = c.unit.resolve || meaning
		c.tx.localEnv = c.tx.localEnv || c.tx.active && meaning && s.Local
	}
	c.state.settings = next
	if !part.began {
		part.conn.RecordSettings(next)
	}
}

// followSetting sets on the transaction's other participants what was set on one. One that cannot be told is lost, and the transaction fails.
func (c *session) followSetting(told *participant, sql string) {
	for _, p := range c.began() {
		if p == told {
			continue
		}
		if _, err := p.run(sql); err != nil {
			c.srv.log.Warn("follow a setting", "session", c.id, "shard", string(p.shard), "error", err)
			c.drop(p)
		}
	}
}

// configSQL is a call of set_config as SQL.
func configSQL(s router.Setting) string {
	value, local := quoteLiteral(s.Text), "false"
	if s.Default {
		value = "NULL"
	}
	if s.Local {
		local = "true"
	}
	return "SELECT pg_catalog.set_config(" + quoteLiteral(s.Name) + ", " + value + ", " + local + ")"
}

func (c *session) addTemp(tables []topology.Name) {
	names := c.state.env.TempTables()
	for _, table := range tables {
		names = append(names[:len(names):len(names)], table.Table)
	}
	c.state.env = c.state.env.WithTempTables(names)
	c.baseline.env = c.state.env
	c.tx.base.env = c.state.env
}

// discard handles DISCARD. What lives on pinned connections goes with them.
func (c *session) discard(ctx context.Context, stmt *router.Statement) error {
	what := strings.ToUpper(stmt.Name)
	if what != "ALL" {
		for _, p := range c.parts {
			if _, err := p.run("DISCARD " + what); err != nil {
				return c.reject(err)
			}
		}
		return c.replyTag("DISCARD " + what)
	}
	if c.tx.active {
		return c.reject(&pgwire.Error{Code: codeActiveTransaction, Message: "DISCARD ALL cannot run inside a transaction block"})
	}
	if err := c.drain(); err != nil {
		return err
	}
	c.unpin()
	for name, s := range c.statements {
		c.srv.interned.release(s.shared)
		delete(c.statements, name)
	}
	return c.change(ctx, change{sql: c.discardSQL(), next: c.baseline.settings, names: []string{"all"}, tag: "DISCARD ALL"})
}

func (c *session) discardSQL() []string {
	return append([]string{"RESET SESSION AUTHORIZATION"}, c.resetAllSQL()...)
}

// unpin closes the connections on which session state lives, and the state with them.
func (c *session) unpin() {
	for i := len(c.parts) - 1; i >= 0; i-- {
		if p := c.parts[i]; p.pinned {
			c.drop(p)
		}
	}
	c.hears = false
	c.baseline.env = c.baseline.env.WithTempTables(nil)
	c.state.env = c.state.env.WithTempTables(nil)
	clear(c.cursors)
}
