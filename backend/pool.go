package backend

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pgring/pgring/pgwire/poll"
	"github.com/pgring/pgring/ring"
)

// clock counts from the start of the Pools, which is cheaper to read and compare than time.Time.
type clock struct{ start time.Time }

func (k clock) now() time.Duration { return time.Since(k.start) }

func (k clock) wall(at time.Duration) time.Time {
	if at <= 0 {
		return time.Time{}
	}
	return k.start.Add(at).Round(0)
}

// poolKey identifies a pool. Client users with the same login share one.
type poolKey struct {
	shard          ring.ShardID
	user, database string
}

// plan is what the configuration says of a pool's connections; immutable.
type plan struct {
	target         Target
	login          Login
	limits         limits
	acquireTimeout time.Duration
	prepared       int
	application    string
	engine         *poll.Engine // nil: connections are waited for by goroutines
	log            *slog.Logger
}

// pool lends the connections of one shard and login.
type pool struct {
	key    poolKey
	clock  clock
	plan   atomic.Pointer[plan]
	params atomic.Pointer[map[string]string] // of the last log-in
	wake   chan struct{}                     // tells keep that there is something to do; capacity 1

	mu  sync.Mutex
	inv inventory
}

func newPool(key poolKey, k clock, pl *plan) *pool {
	p := &pool{key: key, clock: k, wake: make(chan struct{}, 1)}
	p.plan.Store(pl)
	p.inv.limits = pl.limits
	p.inv.distrust = -1
	return p
}

func (p *pool) rouse() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// acquire lends a connection, one with the settings wanted if there is a choice.
func (p *pool) acquire(ctx context.Context, want *Settings) (*Conn, error) {
	now := p.clock.now()
	p.mu.Lock()
	p.inv.acquires++
	for {
		c, look := p.inv.take(now, want)
		if c == nil {
			break
		}
		p.mu.Unlock()
		if !look || c.look() == seenQuiet {
			return c, nil
		}
		c.Discard()
		p.mu.Lock()
	}
	if err := p.inv.refusal(now); err != nil {
		p.mu.Unlock()
		return nil, err
	}
	p.inv.waits++
	w := p.inv.waiting.push(now, poll.TaskOf(ctx))
	open := p.inv.missing(now) > 0
	p.mu.Unlock()
	if open {
		p.rouse()
	}
	return p.await(ctx, w)
}

// await waits until the waiter is served, its time is over, or ctx ends.
func (p *pool) await(ctx context.Context, w *waiter) (*Conn, error) {
	var why error
	switch w.wait(ctx, p.plan.Load().acquireTimeout) {
	case waitServed:
		return p.served(w)
	case waitCanceled:
		why = fmt.Errorf("wait for a connection to %s: %w", p.key.shard, context.Cause(ctx))
	case waitExpired:
	}
	if err := p.giveUp(w, why); err != nil {
		return nil, err
	}
	<-w.ready
	c, err := p.served(w)
	if c != nil && why != nil {
		c.Release()
		return nil, why
	}
	return c, err
}

// served takes what the waiter was given.
func (p *pool) served(w *waiter) (*Conn, error) {
	c, err := w.conn, w.err
	w.disarm()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.inv.waiting.recycle(w)
	return c, err
}

// giveUp takes the waiter out of the queue and returns why: the context's error, else the pool's state. It returns nil if the
// waiter has been served meanwhile.
func (p *pool) giveUp(w *waiter, why error) error {
	now := p.clock.now()
	p.mu.Lock()
	defer p.mu.Unlock()
	v := &p.inv
	if !w.queued {
		return nil
	}
	if why == nil {
		why = &ExhaustedError{Shard: p.key.shard, Size: v.limits.size, InUse: v.active(), Waiting: v.waiting.len - 1,
			Waited: (now - w.since).Round(time.Millisecond), Paused: v.paused}
	}
	v.waited += now - w.since
	v.waiting.remove(w)
	w.disarm()
	v.waiting.recycle(w)
	return why
}

// put takes back a clean connection.
func (p *pool) put(c *Conn) {
	var now time.Duration
	p.mu.Lock()
	if p.inv.waiting.head != nil {
		now = p.clock.now()
	}
	w, keep := p.inv.put(c, now)
	p.mu.Unlock()
	if w != nil {
		w.tell()
	}
	if !keep {
		p.rouse()
		c.close(true)
		p.plan.Load().log.Debug("server connection closed", "shard", string(p.key.shard), "pid", c.pid, "reason", "replaced")
	}
}

// drop closes a lent connection that cannot be reused. If the server has ended it, the idle ones are looked at as well.
func (p *pool) drop(c *Conn, reason string) {
	ended := c.look() == seenEnd
	p.mu.Lock()
	if ended {
		p.inv.lose(c)
	} else {
		p.inv.remove(c)
	}
	p.mu.Unlock()
	p.rouse()
	c.close(false)
	p.plan.Load().log.Debug("server connection closed", "shard", string(p.key.shard), "pid", c.pid, "reason", reason)
	if ended {
		p.suspect()
	}
}

// suspect looks at all idle connections, because the server may have gone. Those that it has not come to are looked at when
// they are taken.
func (p *pool) suspect() {
	p.mu.Lock()
	p.inv.distrust = p.clock.now()
	p.mu.Unlock()
	p.sweep()
}

// sweep closes the idle connections that the server has ended. A look does no harm to one that is taken meanwhile: only those
// that are still idle since the same use are closed.
func (p *pool) sweep() {
	type sighting struct {
		conn *Conn
		used time.Duration
	}
	p.mu.Lock()
	idle := make([]sighting, len(p.inv.idle))
	for i, c := range p.inv.idle {
		idle[i] = sighting{conn: c, used: c.lastUse()}
	}
	p.mu.Unlock()
	for _, s := range idle {
		if s.conn.look() == seenQuiet {
			continue
		}
		p.mu.Lock()
		gone := s.conn.idle && s.conn.lastUse() == s.used
		if gone {
			p.inv.lose(s.conn)
		}
		p.mu.Unlock()
		if gone {
			s.conn.close(false)
			p.rouse()
		}
	}
}

// reconfigure makes the pool follow a new plan. Connections made from the old one are replaced if they lead elsewhere.
func (p *pool) reconfigure(pl *plan) {
	old := p.plan.Swap(pl)
	p.mu.Lock()
	p.inv.limits = pl.limits
	p.inv.health.retryAt = 0 // what failed may have been corrected
	var obsolete []*Conn
	if !pl.target.reaches(&old.target) {
		p.inv.generation++
		obsolete = p.inv.cut()
		p.inv.health = health{last: p.inv.health.last}
	}
	p.mu.Unlock()
	p.bury(obsolete)
	p.rouse()
}

// reconnect replaces all connections: idle ones now, the others when they are released.
func (p *pool) reconnect() {
	p.mu.Lock()
	p.inv.generation++
	p.inv.health.retryAt = 0
	obsolete := p.inv.cut()
	p.mu.Unlock()
	p.bury(obsolete)
	p.rouse()
}

// pause lends out nothing more and returns a channel that is closed when everything has come back.
func (p *pool) pause() <-chan struct{} {
	quiet := make(chan struct{})
	p.mu.Lock()
	p.inv.paused = true
	obsolete := p.inv.cut()
	p.inv.quiet = append(p.inv.quiet, quiet)
	p.inv.hush()
	p.mu.Unlock()
	p.bury(obsolete)
	return quiet
}

func (p *pool) resume() {
	p.mu.Lock()
	p.inv.paused = false
	p.inv.health.retryAt = 0
	p.mu.Unlock()
	p.rouse()
}

// end lends out nothing more: waiters get err, idle connections are closed, lent ones when they are released or, if force is
// set, now.
func (p *pool) end(err error, force bool) {
	p.mu.Lock()
	if p.inv.closed == nil {
		p.inv.closed = err
	}
	idle := p.inv.cut()
	var lent []*Conn
	if force {
		lent = append(lent, p.inv.open...)
	}
	failed := p.inv.fail(err, p.clock.now())
	p.mu.Unlock()
	p.tell(failed)
	p.bury(idle)
	for _, c := range lent {
		c.close(false)
	}
	p.rouse()
}

func (p *pool) tell(served []*waiter) {
	for _, w := range served {
		w.tell()
	}
}

func (p *pool) bury(conns []*Conn) {
	for _, c := range conns {
		c.close(true)
	}
}
