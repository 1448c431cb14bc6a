package proxy

import (
	"context"
	"errors"
	"slices"

	"github.com/pgring/pgring/backend"
	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/router"
	"github.com/pgring/pgring/topology"
)

// participant is one server connection in the session's hands: for a unit, for a transaction, or for as long as session state
// lives on it.
type participant struct {
	conn  *backend.Conn
	shard ring.ShardID
	// types translates OIDs; nil on the home shard
	types    *translation
	began    bool     // the open transaction's BEGIN was sent to it
	wrote    bool     // a statement that may write has run on it in this transaction or unit
	blind    bool     // one of them was not noted in transaction.works
	bounded  bool     // its waits for locks are limited
	skips    bool     // after an error it ignores everything up to Sync
	unsynced bool     // it got extended messages and no Sync since
	pinned   bool     // session state lives on it
	scratch  bool     // the open transaction has an id without having written: of the session's temporary table, or of row locks
	locked   []string // tables that LOCK TABLE has locked in the open transaction, as SQL
	opaque   bool     // it ran code that may have changed settings unseen
	unnamed  uint64   // the session's unnamed statement that is parsed there; 0: none
}

var errDropped = errors.New("the connection was given up in the middle of the transaction")

// beginID is the number of the statement BEGIN, prepared on every connection that needs it. 0 is no statement's.
const beginID = 1

// The numbers of further statements of pgring's own, from the other end than the clients'.
const (
	rewrittenID   = ^uint64(0) - iota // those that no connection remembers
	boundID                           // boundLocks
	claimID                           // claimSQL
	recordID                          // recordSQL
	settingsID                        // commonSQL
	batchLocksID                      // batchLocks
	batchCommitID                     // COMMIT
)

// use makes the shard's connection the one that the turn writes to, enlisting it first if need be. A statement that may write is
// refused if the transaction has written elsewhere.
func (c *session) use(ctx context.Context, shard ring.ShardID, writes bool) (*participant, error) {
	if err := c.drainNoted(); err != nil {
		return nil, err
	}
	if writes {
		if err := c.tx.requests.admit(); err != nil {
			return nil, err
		}
		if other := c.otherWriter(shard); other != nil {
			if err := c.admitWrite(other, shard, c.tx.covered); err != nil {
				return nil, err
			}
		}
	}
	p, err := c.reach(ctx, shard)
	if err != nil {
		return nil, err
	}
	if writes {
		p.wrote, p.blind = true, p.blind || c.tx.covered == nil
		c.tx.covered = nil
	}
	if c.tx.active && !p.began {
		if err := c.sendBegin(p); err != nil {
			return nil, err
		}
		c.tx.bounded = c.tx.bounded || c.commitMode() != CommitReject && c.sole() == nil
	}
	if c.tx.bounded && !p.bounded {
		p.bounded = true
		return p, c.sendBound(p)
	}
	return p, nil
}

// useAgain is use for a message that writes nothing by itself and follows others of its turn: then there is mostly nothing to be done.
func (c *session) useAgain(ctx context.Context, p *participant) error {
	if c.turn.part == p && !c.turn.empty() && c.turn.noted == nil && (!c.tx.active || p.began) && (!c.tx.bounded || p.bounded) {
		return nil
	}
	_, err := c.use(ctx, p.shard, false)
	return err
}

// useFor makes the connection that a plan needs the one that the turn writes to. What every shard answers alike is asked of
// another one while the planned one cannot be reached.
func (c *session) useFor(ctx context.Context, plan *router.Plan, writes bool) (*participant, error) {
	p, err := c.use(ctx, plan.Shard, writes)
	if err == nil || writes || (plan.Kind != router.Reference && !plan.Anywhere) {
		return p, err
	}
	var down *backend.UnavailableError
	for i := 0; errors.As(err, &down) && i < len(c.snap.Shards); i++ {
		if other := c.snap.Shards[i]; other.State != topology.Joining {
			p, err = c.use(ctx, other.ID, false)
		}
	}
	return p, err
}

// consult is use for a look at the schema only. It keeps a transaction that no server knows of yet off the server, whose
// connection is then free again after the unit: a Parse must not hold a connection to a shard that the statement will not run on.
// A BEGIN with options comes before the look, which else would be the query before which the isolation level must be set.
func (c *session) consult(ctx context.Context, shard ring.ShardID) (*participant, error) {
	if c.tx.active && c.tx.plain() && len(c.tx.prelude) == 0 && c.participant(shard) == nil {
		return c.reach(ctx, shard)
	}
	return c.use(ctx, shard, false)
}

// reach makes the shard's connection the one that the turn writes to.
func (c *session) reach(ctx context.Context, shard ring.ShardID) (*participant, error) {
	p := c.participant(shard)
	if c.turn.part != p || p == nil || c.turn.noted != nil {
		if err := c.drain(); err != nil {
			return nil, err
		}
	}
	if p == nil {
		var err error
		if p, err = c.enlist(ctx, shard); err != nil {
			return nil, err
		}
	} else if !p.began && !p.unsynced {
		// Session state kept it, while set_config ran on another server.
		if err := p.conn.Adopt(ctx, c.base()); err != nil {
			return nil, err
		}
	}
	c.translate(ctx, p)
	c.turn.part = p
	return p, nil
}

func (c *session) participant(shard ring.ShardID) *participant {
	for _, p := range c.parts {
		if p.shard == shard {
			return p
		}
	}
	return nil
}

// base is the settings of a server that the open transaction, if any, has not reached: what changed since it began is repeated
// inside it, so that ROLLBACK undoes it there too.
func (c *session) base() *backend.Settings {
	if c.tx.active {
		return c.tx.base.settings
	}
	return c.state.settings
}

// enlist takes a connection from the pool and gives it the session's settings.
func (c *session) enlist(ctx context.Context, shard ring.ShardID) (*participant, error) {
	if err := c.enterShard(ctx, shard); err != nil {
		return nil, err
	}
	conn, err := c.srv.pools.AcquireFor(ctx, shard, c.user.Name, c.base())
	if err != nil {
		c.shardFailed()
		return nil, err
	}
	p := c.spare
	c.spare = nil
	if p == nil {
		p = new(participant)
	}
	*p = participant{conn: conn, shard: shard, pinned: c.policy.Mode == SessionMode}
	c.parts = append(c.parts, p)
	c.watch.Lock()
	c.watch.busy = append(c.watch.busy, conn)
	c.watch.Unlock()
	return p, nil
}

// sendBegin opens the transaction on a participant that joins it: BEGIN, then what was set and which savepoints were made before
// it came. The messages go ahead of the statement in the same write; if one of them fails, the server skips the statement.
func (c *session) sendBegin(p *participant) error {
	p.began = true
	if err := c.sendBeginOnly(p); err != nil {
		return err
	}
	for _, e := range c.tx.prelude {
		if err := c.sendHidden(p, e.sql); err != nil {
			return err
		}
	}
	return nil
}

// sendBeginOnly sends the client's BEGIN; the plain one is kept prepared on the connection.
func (c *session) sendBeginOnly(p *participant) error {
	begins := step{kind: stepExecute, hidden: true, begins: true}
	if !c.tx.plain() {
		return c.sendRun(p, c.tx.begin, begins)
	}
	if !p.conn.Prepared(beginID) {
		if err := c.prepareOn(p, beginID, "BEGIN", nil, step{kind: stepParse, hidden: true}); err != nil {
			return err
		}
	}
	c.out = pgwire.AppendBind(c.out[:0], "", backend.StatementName(beginID))
	c.out = pgwire.AppendExecute(c.out, "", 0)
	c.turn.steps = append(c.turn.steps, step{kind: stepBind, hidden: true})
	return c.send(c.out, begins)
}

// sendHidden runs a statement of the session's own ahead of the client's, as part of the turn.
func (c *session) sendHidden(p *participant, sql string) error {
	return c.sendRun(p, sql, step{kind: stepExecute, hidden: true})
}

func (c *session) sendRun(p *participant, sql string, execute step) error {
	p.unnamed = 0
	c.out = appendRun(c.out[:0], "", sql)
	c.turn.steps = append(c.turn.steps, step{kind: stepParse, hidden: true}, step{kind: stepBind, hidden: true})
	return c.send(c.out, execute)
}

// appendRun appends the messages that run a statement without parameters: Parse, Bind, Execute, in a portal of that name.
func appendRun(b []byte, portal, sql string) []byte {
	b = pgwire.AppendParse(b, "", sql, nil)
	b = pgwire.AppendBind(b, portal, "")
	return pgwire.AppendExecute(b, portal, 0)
}

// prepareOn sends Parse for a statement that the connection shall remember, closing the one that it forgets for it.
func (c *session) prepareOn(p *participant, id uint64, text string, oids []uint32, s step) error {
	there, err := p.types.parameters(oids, p.shard)
	if err != nil {
		return c.reject(err)
	}
	name := backend.StatementName(id)
	evicted, ok := p.conn.AddPrepared(id)
	c.out = c.out[:0]
	if ok {
		c.out = pgwire.AppendTarget(c.out, pgwire.Close, 'S', backend.StatementName(evicted))
		if err := c.send(c.out, step{kind: stepClose, hidden: true}); err != nil {
			return err
		}
	}
	c.out = pgwire.AppendParse(c.out[:0], name, text, there)
	s.id = id
	return c.send(c.out, s)
}

// giveBack returns a participant's connection to its pool. The connection is closed unless it is certainly clean; at the end of
// a session (final) session state on it is cleaned first where that is cheap.
func (c *session) giveBack(p *participant, final bool) {
	c.watch.Lock()
	c.watch.busy = without(c.watch.busy, p.conn)
	for c.watch.cancels > 0 {
		c.watch.settled.Wait() // a cancel under way must not hit the connection's next user
	}
	c.watch.Unlock()
	if final && p.pinned {
		p.conn.MarkDirty("session state")
	}
	if p.unsynced {
		p.conn.MarkDirty("session ended in a pipeline")
	}
	if p.opaque {
		p.conn.ForgetSettings()
	}
	p.conn.Release()
	if c.spare == nil {
		c.spare = p
	}
}

// without takes one out of a list of few, in which order counts for nothing.
func without(conns []*backend.Conn, gone *backend.Conn) []*backend.Conn {
	last := len(conns) - 1
	for i := range conns {
		if conns[i] == gone {
			conns[i], conns[last] = conns[last], nil
			return conns[:last]
		}
	}
	return conns
}

// drop closes a participant's connection, which is broken or in a state nobody knows.
//
// Invariant: what a transaction, or a pipeline, has done on a connection is never missing from a success. One that loses a connection has
// failed, and tellLost tells the client of it if nobody else has.
func (c *session) drop(p *participant) {
	if c.tx.active && p.began && !c.tx.failed || c.unit.open && p.unsynced && c.unit.errors == 0 {
		c.tx.failed, c.unit.lost = c.tx.active, &lostError{shard: p.shard, err: errDropped}
	}
	c.parts = slices.DeleteFunc(c.parts, func(other *participant) bool { return other == p })
	p.conn.MarkDirty("dropped")
	c.forgetPortals(p)
	c.loseCursors(p)
	c.giveBack(p, false)
}

// tellLost tells the client of a connection that was dropped, if nobody has.
func (c *session) tellLost() error {
	if c.unit.lost == nil {
		return nil
	}
	return c.reject(c.unit.lost)
}

// releaseIdle gives back every connection that neither a transaction nor session state holds.
func (c *session) releaseIdle() {
	if len(c.parts) == 0 {
		return
	}
	kept := c.parts[:0]
	for _, p := range c.parts {
		p.wrote = p.wrote && c.tx.active
		p.began = p.began && c.tx.active
		if p.pinned || p.began {
			kept = append(kept, p)
			continue
		}
		c.giveBack(p, false)
	}
	for i := len(kept); i < len(c.parts); i++ { // fewer than clear is made for
		c.parts[i] = nil
	}
	c.parts = kept
	c.turn.part = nil
}
