package proxy

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/router"
	"github.com/pgring/pgring/saga"
)

// transaction is the client's transaction block. BEGIN is lazy: it is sent to a shard together with the first statement that
// runs there.
//
//	idle ─BEGIN▶ active ─error▶ failed ─ROLLBACK TO▶ active
//	  ▲             └─COMMIT, ROLLBACK─┐ └─COMMIT, ROLLBACK─┐
//	  └────────────────────────────────┴────────────────────┘
type transaction struct {
	active    bool
	failed    bool
	implicit  bool       // of a Query message or pipeline with several statements, or of a statement on several shards: ends with it
	wide      bool       // a single statement of it has written several shards: others may
	wideMode  CommitMode // of such a one: CommitTwoPhase or CommitSaga
	choose    bool       // CommitSaga will do where CommitTwoPhase is not possible
	begin     string     // its BEGIN, options included
	prelude   []entry
	defined   bool      // a statement of it has changed the schema
	redefined redefined // by definitions on several shards
	views     views
	alien     bool  // it may have run code of a user's
	drew      bool  // it may have taken values of sequences
	localEnv  bool  // SET LOCAL has changed what names mean, until it ends
	base      state // the settings before it began

	works    []*work        // what it has written, in mode saga
	covered  *work          // the write that is about to be sent: the next use notes it
	shared   []saga.Setting // of works, as they had them last
	requests requests
	bounded  bool // it is on several shards in mode saga or 2pc: waits for locks are limited
}

// entry is something that a shard which joins later must repeat: a savepoint or a SET.
type entry struct {
	savepoint string // empty for a SET
	sql       string
	sets      []router.Setting // what a SET sets
	state     state            // the session's settings before this entry
	works     int              // how many transaction.works there were
}

func (t *transaction) plain() bool { return t.begin == "" }

// status is the byte that ReadyForQuery carries.
func (t *transaction) status() byte {
	switch {
	case t.failed:
		return pgwire.TxFailed
	case t.active && !t.implicit:
		return pgwire.TxActive
	}
	return pgwire.TxIdle
}

// open starts a transaction block; no server hears of it yet.
func (c *session) open(begin string, implicit bool) {
	c.tx = transaction{active: true, implicit: implicit, begin: beginText(begin), base: c.state, prelude: c.tx.prelude[:0], drew: c.tx.drew}
}

// beginText is the BEGIN to send; empty stands for the plain one.
func beginText(text string) string {
	text = strings.TrimRight(text, "; \t\n")
	if strings.EqualFold(text, "begin") {
		return ""
	}
	return text
}

// closed ends the block; the settings are those that last, and the servers' connections are told which theirs are.
func (c *session) closed(committed, chain bool) {
	switch {
	case !committed:
		c.state = c.tx.base
	case c.tx.localEnv:
		c.state.env, c.unit.resolve = c.tx.base.env, true
	}
	c.state.own = c.state.own.committed()
	for _, p := range c.parts {
		if p.began {
			p.conn.RecordSettings(c.state.settings)
		}
		p.began = chain
		p.wrote, p.blind, p.bounded, p.scratch = false, false, false, false
		p.locked = nil
	}
	c.closeCursors(committed)
	c.unit.defined = c.unit.defined || (committed && c.tx.defined)
	begin := c.tx.begin
	c.unit.lost = nil // a connection that was not rolled back, or had only read
	c.tx = transaction{prelude: c.tx.prelude[:0]}
	if chain {
		c.tx.active, c.tx.begin, c.tx.base = true, begin, c.state
	}
}

// began returns the participants that take part in the transaction.
func (c *session) began() []*participant {
	var all []*participant
	for _, p := range c.parts {
		if p.began {
			all = append(all, p)
		}
	}
	return all
}

// sole returns the transaction's only participant, or nil if there are none or several.
func (c *session) sole() *participant {
	var only *participant
	for _, p := range c.parts {
		if p.began {
			if only != nil {
				return nil
			}
			only = p
		}
	}
	return only
}

func isCommit(s *router.Statement) bool { return s.Verb == router.Commit }

// endsFailed reports whether a failed transaction accepts the statement: what may end the failure, and nothing at all.
func endsFailed(verb router.Verb) bool {
	return verb == router.Commit || verb == router.Rollback || verb == router.RollbackTo || verb == router.Empty
}

// controlTransaction answers a transaction statement that not exactly one server can answer: none takes part yet, or several do.
func (c *session) controlTransaction(ctx context.Context, stmt *router.Statement, text string) error {
	switch stmt.Verb {
	case router.Begin:
		return c.begin(ctx, stmt, text)
	case router.Commit:
		return c.commitAll(ctx, stmt.Chain)
	case router.Rollback:
		return c.rollbackAll(stmt.Chain)
	default:
		return c.savepointAll(stmt, text)
	}
}

func (c *session) begin(ctx context.Context, stmt *router.Statement, text string) error {
	tag := "BEGIN"
	if len(text) >= 5 && strings.EqualFold(text[:5], "start") {
		tag = "START TRANSACTION"
	}
	if c.tx.active && !c.tx.implicit {
		if err := c.notice(&pgwire.Error{Severity: "WARNING", Code: codeActiveTransaction, Message: "there is already a transaction in progress"}); err != nil {
			return err
		}
		return c.beginLate(ctx, stmt, tag)
	}
	if c.tx.implicit {
		if len(c.began()) == 0 {
			c.tx.implicit, c.tx.begin = false, beginText(text)
			return c.replyTag(tag)
		}
		// What ran before in the same Query message belongs to the block, as in PostgreSQL.
		if err := c.beginLate(ctx, stmt, tag); err != nil {
			return err
		}
		c.tx.implicit = false
		return nil
	}
	if err := c.drain(); err != nil {
		return err
	}
	c.open(text, false)
	for _, p := range c.parts {
		if p.unsynced { // what ran before in the same pipeline belongs to the block too
			if _, err := p.run(text); err != nil {
				return c.reject(err)
			}
			p.began = true
			c.tx.requests.plain = c.tx.requests.plain || p.wrote
		}
	}
	return c.replyTag(tag)
}

// beginLate applies the options of a BEGIN to the transaction that has begun before, which PostgreSQL allows where it allows SET
// TRANSACTION.
func (c *session) beginLate(ctx context.Context, stmt *router.Statement, tag string) error {
	if len(stmt.Settings) == 0 {
		return c.replyTag(tag)
	}
	ch := change{next: c.state.settings, local: true, tag: tag}
	for _, s := range stmt.Settings {
		ch.names = append(ch.names, s.Name)
		ch.sql = append(ch.sql, "SET LOCAL "+quoteSettingName(s.Name)+" TO "+s.Value)
	}
	return c.change(ctx, ch)
}

func noTransaction() *pgwire.Error {
	return &pgwire.Error{Severity: "WARNING", Code: "25P01", Message: "there is no transaction in progress"}
}

// commitAll answers a COMMIT that none or several participants carry out.
func (c *session) commitAll(ctx context.Context, chain bool) error {
	if err := c.outsideBlock(chain, "COMMIT"); err != nil {
		return err
	}
	if !c.tx.active {
		if err := c.endPipeline("COMMIT"); err != nil {
			return c.reject(err)
		}
		return c.replyTag("COMMIT")
	}
	if c.tx.failed {
		return c.rollbackAll(chain)
	}
	begin := c.tx.begin
	if err := c.commitQuietly(ctx); err != nil {
		return err
	}
	if chain {
		c.open(begin, false)
	}
	return c.replyTag("COMMIT")
}

// outsideBlock warns of a COMMIT or ROLLBACK outside of a transaction block, as PostgreSQL does; with AND CHAIN it is an error.
func (c *session) outsideBlock(chain bool, name string) error {
	switch {
	case c.tx.active && !c.tx.implicit:
		return nil
	case chain:
		return c.reject(&pgwire.Error{Code: "25P01", Message: name + " AND CHAIN can only be used in transaction blocks"})
	}
	return c.notice(noTransaction())
}

// endPipeline commits or rolls back what a pipeline has run so far without a transaction block.
func (c *session) endPipeline(sql string) error {
	for _, p := range c.parts {
		if p.unsynced {
			if _, err := p.run(sql); err != nil {
				return err
			}
			p.wrote = false
		}
	}
	return nil
}

// commitQuietly commits on every participant and ends the block; the client hears of it only if it fails. The one that wrote
// goes first: if it fails, nothing has happened anywhere.
func (c *session) commitQuietly(ctx context.Context) error {
	if err := c.checkWriters(ctx); err != nil {
		return c.abandon(err)
	}
	if writers := c.writers(); len(writers) > 1 || c.state.own.now.key != "" && len(writers) > 0 {
		return c.commitTogether(ctx, writers)
	}
	parts := c.began()
	slices.SortStableFunc(parts, func(a, b *participant) int { return boolOrder(b.wrote) - boolOrder(a.wrote) })
	for i, p := range parts {
		out, err := p.run("COMMIT")
		switch {
		case err != nil && i == 0:
			return c.commitFailed(p, err)
		case err != nil:
			c.drop(p) // it only read: nothing is lost with it
		case out.tag != "COMMIT" && i == 0:
			return c.abandon(errFailedTransaction())
		}
	}
	c.closed(true, false)
	return nil
}

func boolOrder(b bool) int {
	if b {
		return 1
	}
	return 0
}

// commitFailed reports that the writer's COMMIT did not succeed, and undoes the rest.
func (c *session) commitFailed(p *participant, err error) error {
	var lost *lostError
	if errors.As(err, &lost) {
		c.drop(p)
	}
	return c.abandon(commitFault(err))
}

// commitFault is what the client is told of a COMMIT with that error: of one on a connection that was lost, nobody knows.
func commitFault(err error) error {
	var lost *lostError
	if errors.As(err, &lost) {
		lost.commit = true
	}
	return err
}

// abandon rolls everything back, ends the block and reports err.
func (c *session) abandon(err error) error {
	c.rollbackParts()
	c.closed(false, false)
	return c.reject(err)
}

// checkWriters makes sure, before several participants commit, that at most one of them has written: a function may write where
// the router saw only a read. PostgreSQL itself knows: only a transaction that wrote has an id.
func (c *session) checkWriters(ctx context.Context) error {
	parts := c.began()
	if len(parts) < 2 {
		return nil
	}
	for _, p := range parts {
		if p.wrote {
			continue
		}
		out, err := p.run(p.hasWritten())
		if err != nil {
			return err
		}
		if len(out.row) == 1 && out.row[0] == "t" {
			if other := c.otherWriter(p.shard); other != nil && c.commitMode() == CommitReject {
				return errCrossShard(other.shard, p.shard)
			}
			p.wrote, p.blind = true, true
		}
	}
	return nil
}

// hasWritten asks the server whether the open transaction has changed rows. A temporary table of the session's own gives it an id,
// so then its locks are asked: who writes to a table keeps more than a reader's lock on it.
func (p *participant) hasWritten() string {
	if !p.scratch {
		return "SELECT pg_catalog.pg_current_xact_id_if_assigned() IS NOT NULL"
	}
	return "SELECT EXISTS (SELECT FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_class c ON c.oid = l.relation" +
		" WHERE l.pid = pg_catalog.pg_backend_pid() AND l.locktype = 'relation' AND l.mode NOT IN ('AccessShareLock', 'RowShareLock')" +
		" AND c.oid >= 16384 AND c.relpersistence <> 't'" + p.notLocked() + ")"
}

func (c *session) rollbackAll(chain bool) error {
	if err := c.outsideBlock(chain, "ROLLBACK"); err != nil {
		return err
	}
	if !c.tx.active {
		if err := c.endPipeline("ROLLBACK"); err != nil {
			return c.reject(err)
		}
		return c.replyTag("ROLLBACK")
	}
	begin := c.tx.begin
	c.rollbackParts()
	c.closed(false, false)
	if chain {
		c.open(begin, false)
	}
	return c.replyTag("ROLLBACK")
}

// rollbackParts rolls back on every participant of the transaction or pipeline; a connection that cannot be rolled back is
// closed, which has the same effect.
func (c *session) rollbackParts() {
	for _, p := range slices.Clone(c.parts) {
		if !p.began && !p.unsynced {
			continue
		}
		if err := c.rollbackPart(p); err != nil {
			c.drop(p)
			continue
		}
		p.began, p.wrote, p.blind = false, false, false
	}
	c.forgetPortals(nil)
}

// rollbackPart rolls one participant back. One that skips messages after an error must be brought out of that first.
func (c *session) rollbackPart(p *participant) error {
	if p.skips {
		if err := p.sync(); err != nil {
			return err
		}
		p.unsynced = c.unit.open
	}
	_, err := p.run("ROLLBACK")
	return err
}

// savepointAll runs SAVEPOINT, RELEASE or ROLLBACK TO on every participant; those that join later repeat what is in force.
func (c *session) savepointAll(stmt *router.Statement, text string) error {
	if !c.tx.active || c.tx.implicit {
		return c.reject(&pgwire.Error{Code: "25P01", Message: savepointName(stmt.Verb) + " can only be used in transaction blocks"})
	}
	if stmt.Verb != router.Savepoint && c.findSavepoint(stmt.Name) < 0 {
		return c.reject(&pgwire.Error{Code: codeInvalidSavepoint, Message: "savepoint \"" + stmt.Name + "\" does not exist"})
	}
	for _, p := range c.began() {
		if _, err := p.run(text); err != nil {
			return c.reject(err)
		}
	}
	c.noteSavepoint(stmt, text)
	return c.replyTag(savepointTag(stmt.Verb))
}

func savepointName(verb router.Verb) string {
	switch verb {
	case router.Savepoint:
		return "SAVEPOINT"
	case router.Release:
		return "RELEASE SAVEPOINT"
	default:
		return "ROLLBACK TO SAVEPOINT"
	}
}

func savepointTag(verb router.Verb) string {
	switch verb {
	case router.Savepoint:
		return "SAVEPOINT"
	case router.Release:
		return "RELEASE"
	default:
		return "ROLLBACK"
	}
}

func (c *session) findSavepoint(name string) int {
	for i := len(c.tx.prelude) - 1; i >= 0; i-- {
		if c.tx.prelude[i].savepoint == name && name != "" {
			return i
		}
	}
	return -1
}

// noteSavepoint keeps the prelude in step with a savepoint statement that has succeeded.
func (c *session) noteSavepoint(stmt *router.Statement, text string) {
	at := c.findSavepoint(stmt.Name)
	switch stmt.Verb {
	case router.Savepoint:
		c.tx.prelude = append(c.tx.prelude, entry{savepoint: stmt.Name, sql: text, state: c.state, works: len(c.tx.works)})
	case router.Release:
		if at < 0 {
			return
		}
		// Settings made since stay in force; savepoints made since are gone.
		rest := slices.DeleteFunc(slices.Clone(c.tx.prelude[at:]), func(e entry) bool { return e.savepoint != "" })
		c.tx.prelude = append(c.tx.prelude[:at], rest...)
		for name, known := range c.cursors {
			known.behind = min(known.behind, len(c.tx.prelude))
			c.cursors[name] = known
		}
	case router.RollbackTo:
		if at < 0 {
			return
		}
		c.state = c.tx.prelude[at].state
		c.tx.works = c.tx.works[:c.tx.prelude[at].works]
		for _, p := range c.parts {
			p.bounded = false
		}
		c.tx.prelude = c.tx.prelude[:at+1]
		c.undeclare(at)
		c.tx.failed = false
	}
}
