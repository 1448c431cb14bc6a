package backend

import (
	"context"
	"sync"
	"time"
)

// chores is what keep has to do now.
type chores struct {
	obsolete []*Conn       // to be closed
	logins   int           // to be begun
	sweep    bool          // there may be idle connections to look at
	next     time.Duration // until there may be more
	done     bool          // the pool has left the configuration and its last connection is gone
}

// keep opens, checks and closes the pool's connections.
// owner: Pools.Run; ends when ctx is done, or when the pool has left the configuration and is empty.
func (p *pool) keep(ctx context.Context) {
	var logins sync.WaitGroup
	defer logins.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			p.end(ErrClosed, true)
			return
		case <-p.wake:
		case <-timer.C:
		}
		todo := p.chores()
		if todo.done {
			return
		}
		p.bury(todo.obsolete)
		for range todo.logins {
			logins.Go(func() { p.login(ctx) })
		}
		if todo.sweep {
			p.sweep()
		}
		timer.Reset(todo.next)
	}
}

func (p *pool) chores() chores {
	now := p.clock.now()
	p.mu.Lock()
	defer p.mu.Unlock()
	v := &p.inv
	todo := chores{obsolete: v.stale(now), logins: v.missing(now), next: time.Hour}
	for range todo.logins {
		v.connecting = append(v.connecting, now)
	}
	if len(v.open) > 0 {
		todo.sweep, todo.next = true, sweepEvery
	}
	if in, ok := v.nextStale(now); ok {
		todo.next = min(todo.next, in)
	}
	if now < v.health.retryAt {
		todo.next = min(todo.next, v.health.retryAt-now)
	}
	todo.next = max(todo.next, time.Millisecond)
	todo.done = v.closed != nil && len(v.open)+len(v.connecting) == 0
	return todo
}

// login opens one connection.
// owner: pool.keep; ends when the log-in has succeeded or failed, which its timeout bounds, or when ctx is done.
func (p *pool) login(ctx context.Context) {
	p.mu.Lock()
	generation := p.inv.generation
	pl := p.plan.Load()
	p.mu.Unlock()
	began := p.clock.now()
	c, err := open(ctx, pl)
	if err != nil {
		p.loginFailed(ctx, pl, generation, err)
		return
	}
	now := p.clock.now()
	c.pool, c.openedAt = p, now
	c.origin = origin{target: pl.target, login: pl.login, generation: generation}
	if pl.limits.maxLifetime > 0 {
		c.expires = now + jitter(pl.limits.maxLifetime)
	}
	p.params.Store(&c.parameters)
	p.loggedIn(pl, c, now, now-began)
}

func (p *pool) loggedIn(pl *plan, c *Conn, now, latency time.Duration) {
	p.mu.Lock()
	v := &p.inv
	v.connecting, v.probe = v.connecting[:len(v.connecting)-1], false
	v.connects++
	usable := v.closed == nil && !v.paused && c.origin.generation == v.generation
	var recovered bool
	var w *waiter
	if usable {
		recovered = v.health.success(latency, p.clock.wall(now))
		w = v.add(c, now)
	}
	p.mu.Unlock()
	if w != nil {
		w.tell()
	}
	if !usable {
		c.close(true)
	}
	if recovered {
		pl.log.Info("shard can be reached again", "shard", string(p.key.shard), "user", p.key.user)
	}
	p.rouse()
}

func (p *pool) loginFailed(ctx context.Context, pl *plan, generation uint64, err error) {
	failure := &UnavailableError{Shard: p.key.shard, Err: err}
	now := p.clock.now()
	p.mu.Lock()
	v := &p.inv
	v.connecting, v.probe = v.connecting[:len(v.connecting)-1], false
	var first bool
	var failed []*waiter
	if ctx.Err() == nil && generation == v.generation {
		v.failures++
		first = v.health.failure(failure, now, p.clock.wall(now))
		if refusal := v.refusal(now); refusal != nil {
			failed = v.fail(refusal, now)
		}
	}
	p.mu.Unlock()
	p.tell(failed)
	if first {
		pl.log.Warn("shard cannot be reached", "shard", string(p.key.shard), "user", p.key.user, "error", err)
	}
	p.rouse()
}
