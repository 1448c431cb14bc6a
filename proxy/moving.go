package proxy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/router"
	"github.com/pgring/pgring/topology"
)

// What sessions do while slots move between shards. All of it is behind len(snap.Moves) > 0; the fence that makes it safe is on the
// shards (rebalance/DESIGN.md), so what is here spares clients errors and waits.

const (
	gateLimit = 30 * time.Second       // a cut-over holds writes back for milliseconds, a dead controller is replaced within seconds
	lookEvery = 100 * time.Millisecond // whether the session was killed meanwhile

	codeFenced = "PR001" // pgring.guard on a shard: it does not take writes for the slot
	codeBehind = "PR002" // pgring.guard_reference: a row refers to the one to be deleted that may only be behind the one that counts
)

// planWhileMoving lets a statement that concerns moving slots pass, or holds it back and plans it anew with the map that comes.
func (c *session) planWhileMoving(stmt *router.Statement, values router.Values, plan router.Plan) (router.Plan, error) {
	var wait mapWait
	for {
		moves := c.touched(&plan)
		if len(moves) == 0 {
			return plan, nil
		}
		if err := c.checkSnapshot(moves); err != nil {
			return plan, err
		}
		if c.mayGo(stmt, moves) {
			return plan, nil
		}
		if err := c.awaitMap(&wait); err != nil {
			return plan, err
		}
		var err error
		if plan, err = stmt.Plan(c.snap, values); err != nil {
			return plan, err
		}
	}
}

// checkGuards refuses a statement that could turn the guards of a move off.
func (c *session) checkGuards(stmt *router.Statement) error {
	if !stmt.Defuses() || len(c.snap.Moves) == 0 {
		return nil
	}
	for _, name := range stmt.Tables {
		t := c.snap.Table(name.Schema, name.Table)
		guarded := t != nil && (t.Kind == topology.Reference ||
			t.Group != nil && slices.ContainsFunc(c.snap.Moves, func(m *topology.Move) bool { return m.Group == t.Group.Name }))
		if guarded {
			return &pgwire.Error{Code: codeObjectInUse, Message: fmt.Sprintf("triggers of table %q cannot be turned off while slots are moved", shownName(name)),
				Detail: "Among them are guards that keep rows from being written where nobody looks for them.",
				Hint:   "Name the triggers, or wait: SHOW REBALANCE on the console says how far the moves are, and REBALANCE FINISH ends the time in which they can be reverted."}
		}
	}
	return nil
}

// touched lists the moves that a plan concerns.
func (c *session) touched(plan *router.Plan) []*topology.Move {
	var moves []*topology.Move
	for _, m := range c.snap.Moves {
		concerned := m.Touches(plan.At.Group, plan.At.Slot, plan.AllSlots) ||
			slices.ContainsFunc(plan.Also, func(at router.SlotRef) bool { return m.Touches(at.Group, at.Slot, plan.AllSlots) })
		if concerned {
			moves = append(moves, m)
		}
	}
	return moves
}

// mayGo reports whether the statement may go on. A write waits while its slots are closed, unless the cut-over waits for this
// session; nothing waits for reads. Whoever has lost its lease does not know whether the slots have moved.
func (c *session) mayGo(stmt *router.Statement, moves []*topology.Move) bool {
	if !c.srv.topology.Leased() && c.snap.Moving(moves[0].Group) {
		return false
	}
	if stmt.Access == router.Read {
		return true
	}
	closed := slices.ContainsFunc(moves, func(m *topology.Move) bool { return m.State.Closed() && !c.held.Awaited(m) })
	return !closed && c.held.Write(c.snap)
}

// mapWait is a statement's wait for newer maps. The zero value has not begun.
type mapWait struct {
	until      time.Time
	timed      bool  // until is what statement_timeout says
	interrupts int64 // asked for before
}

// beginWait says how long a statement waits for newer maps.
func (c *session) beginWait() mapWait {
	limit, timed := c.statementTimeout()
	if timed = timed && limit < gateLimit; !timed {
		limit = gateLimit
	}
	return mapWait{until: time.Now().Add(limit), timed: timed, interrupts: c.watch.interrupts.Load()}
}

// statementTimeout reads the client's own setting: what the open transaction has set last goes before what the session has.
func (c *session) statementTimeout() (time.Duration, bool) {
	const name = "statement_timeout"
	for _, e := range slices.Backward(c.tx.prelude) {
		at := slices.IndexFunc(e.sets, func(s router.Setting) bool { return s.Name == name && !s.Default })
		if at >= 0 {
			return parseTimeout(e.sets[at].Text)
		}
	}
	sql, set := c.state.settings.Lookup(name)
	if !set {
		return 0, false
	}
	if _, value, found := strings.Cut(sql, " TO "); found {
		sql = value
	} else if _, value, found = strings.Cut(sql, ", "); found { // SELECT set_config(name, value, false)
		sql, _, _ = strings.Cut(value, ", ")
	}
	return parseTimeout(strings.Trim(sql, "'"))
}

// over says why a wait goes on no longer.
func (c *session) over(w *mapWait) error {
	switch {
	case c.watch.killed.Load():
		return fatal(codeShutdown, "terminating connection due to administrator command")
	case c.watch.interrupts.Load() != w.interrupts:
		return errInterrupted()
	case !time.Now().After(w.until):
		return nil
	case w.timed:
		return &pgwire.Error{Code: codeQueryCanceled, Message: "canceling statement due to statement timeout",
			Detail: "It waited for a move of its slots. Nothing was executed.", Hint: "SHOW REBALANCE on the console says what the move waits for."}
	}
	return &pgwire.Error{Code: codeSerialization, Message: "the slots of the statement are being moved, and that takes too long",
		Detail: "Nothing was executed.", Hint: "Repeat the transaction. SHOW REBALANCE on the console says what the move waits for."}
}

// awaitMap waits for a newer map, or for the lease, and makes it the unit's.
func (c *session) awaitMap(wait *mapWait) error {
	c.takeTime()
	if wait.until.IsZero() {
		*wait = c.beginWait()
	}
	schema := c.snap.Schema
	waited := c.snap
	c.held.End(c.tx.active)
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	select {
	case <-c.srv.topology.Superseded(waited):
	case <-tick.C:
	}
	c.takeMap(c.srv.topology.Elapsed())
	if err := c.over(wait); err != nil {
		return err
	}
	if c.snap.Schema != schema {
		return errRedefined
	}
	return nil
}

// errRedefined ends the wait of a statement whose meaning may have changed. Outside of a block the session looks anew what it means.
var errRedefined = &pgwire.Error{Code: codeSerialization, Message: "the schema has changed while the statement waited for a move of its slots",
	Detail: "Nothing was executed.", Hint: "Repeat the transaction."}

// meansAnew reports whether a statement that could not be planned is to be looked at again, with the schema that it waits for no longer.
func (c *session) meansAnew(ctx context.Context, err error) bool {
	if err != error(errRedefined) || c.tx.active || c.again.running || !c.turn.empty() {
		return false
	}
	c.refreshEnv(ctx)
	return true
}

// checkSnapshot refuses a transaction whose database snapshots were taken before rows of its statement came to the shard where they
// are now: it would not see them. READ COMMITTED takes a snapshot for each statement.
func (c *session) checkSnapshot(moves []*topology.Move) error {
	since := c.held.Since()
	if !c.tx.active || !slices.ContainsFunc(moves, func(m *topology.Move) bool { return since < m.Switched }) {
		return nil
	}
	for _, p := range c.began() {
		if err := c.drain(); err != nil {
			return err
		}
		out, err := p.run("SHOW transaction_isolation")
		if err != nil {
			return err
		}
		if len(out.row) == 1 && out.row[0] != "read committed" && out.row[0] != "read uncommitted" {
			return &pgwire.Error{Code: codeSerialization, Message: "could not serialize access due to a move of slots to another shard",
				Detail: "The transaction's snapshot is older than the rows on their new shard.", Hint: "Repeat the transaction."}
		}
	}
	return nil
}

// hide writes the texts for the shards that have rows to leave out.
func (g *gathering) hide() error {
	if g.stmt == nil {
		return nil
	}
	for i := range g.plan.Hidden {
		h := &g.plan.Hidden[i]
		text, err := g.stmt.HiddenText(g.text, h)
		if err != nil {
			return err
		}
		if g.hidden == nil {
			g.hidden = map[ring.ShardID]string{}
		}
		g.hidden[h.Shard] = text
	}
	return nil
}

// hide gives the shards that have rows to leave out a text of their own.
func (s *spread) hide() error {
	if len(s.plan.Hidden) == 0 {
		return nil
	}
	parts := slices.Clone(s.parts())
	for i := range s.plan.Hidden {
		h := &s.plan.Hidden[i]
		at := slices.IndexFunc(parts, func(part router.Part) bool { return part.Shard == h.Shard })
		var err error
		if parts[at].SQL, err = s.stmt.HiddenText(s.sql(parts[at]), h); err != nil {
			return err
		}
	}
	plan := *s.plan
	plan.Parts = parts
	s.plan = &plan
	return nil
}

// textFor is what one shard gets.
func (g *gathering) textFor(shard ring.ShardID) string {
	if text, ok := g.hidden[shard]; ok {
		return text
	}
	return g.text
}

// unfenced turns the refusal of a guard into what clients know: the transaction is to be repeated.
func unfenced(e *pgwire.Error) *pgwire.Error {
	switch e.Code {
	case codeFenced:
		return errFenced()
	case codeBehind:
		return &pgwire.Error{Code: codeSerialization, Message: "could not serialize access due to a move of slots to another shard",
			Detail: "A row that is being moved referred to the one that is deleted or changed, and its copy on another shard still does.",
			Hint:   "Repeat the transaction. If that does not help, REBALANCE FINISH on the console ends the time in which copies of moved rows are kept."}
	}
	return e
}

// isBehind reports whether a shard has refused a change of a reference table for a row that only follows another shard: whether one that
// counts refers to it, that shard knows.
func isBehind(err error) bool {
	var wire *pgwire.Error
	return errors.As(err, &wire) && wire.Code == codeBehind
}

func errFenced() *pgwire.Error {
	return &pgwire.Error{Code: codeSerialization, Message: "could not serialize access due to a move of slots to another shard",
		Detail: "Nothing of the statement was executed.", Hint: "Repeat the transaction."}
}

// unfencedFrame is unfenced for an ErrorResponse.
func unfencedFrame(frame []byte) []byte {
	if e := pgwire.ParseError(frame); e.Code == codeFenced || e.Code == codeBehind {
		return pgwire.AppendError(nil, unfenced(e))
	}
	return frame
}

// checkPlan returns an error when slots have moved while this process stood still, so that no cut-over waited for what was planned
// before. A guard refuses the writes; but that a shard has no such rows, or which rows it has, is not to be believed.
func (c *session) checkPlan() error {
	if c.srv.topology.Unbroken(c.unit.gaps) {
		return nil
	}
	c.takeTime()
	if !c.srv.topology.Outdated(c.snap, c.unit.gaps) {
		return nil
	}
	return &pgwire.Error{Severity: "ERROR", Code: codeSerialization, Message: "could not serialize access due to a move of slots to another shard",
		Detail: "pgring stood still while the statement ran, and slots may have moved meanwhile.", Hint: "Repeat the transaction."}
}

// believed reports whether a tag says that rows were changed: the guards have let them through.
func believed(tag string) bool {
	for _, doubtful := range []string{"SELECT", "FETCH", "COPY"} {
		if strings.HasPrefix(tag, doubtful) {
			return false
		}
	}
	return !strings.HasSuffix(tag, " 0")
}
