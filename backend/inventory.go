package backend

import (
	"slices"
	"time"
)

// checkAfter is how long ago a connection may have been lent out last and be lent out again without a look at its socket. That
// it counts from the beginning of its last use spares Release the clock.
const checkAfter = 20 * time.Millisecond

// preferAmong is how many idle connections are compared with wanted settings.
const preferAmong = 8

// limits are what the configuration says of a pool.
type limits struct {
	size        int
	minIdle     int
	idleTimeout time.Duration
	maxLifetime time.Duration
}

// inventory is a pool's account of its connections and of those who wait for one. It is plain bookkeeping: no locks, no clock,
// no I/O. Times count from the start of the Pools.
//
// Invariant: len(open) + connecting ≤ size, except after size was lowered.
// Invariant: when somebody waits, nothing is idle.
type inventory struct {
	limits     limits
	open       []*Conn // lent out or idle; each knows its place
	idle       []*Conn // by last use, most recent last
	waiting    queue
	connecting []time.Duration // when the log-ins in progress began
	generation uint64          // connections of earlier ones are closed instead of reused
	paused     bool
	closed     error         // why nothing is lent out any more; nil: it is
	distrust   time.Duration // idle connections not used since then are looked at first
	health     health
	probe      bool            // the server has ended the last connection: find out whether it is still there
	quiet      []chan struct{} // closed when nothing is lent out

	acquires, waits, connects, failures int64
	waited                              time.Duration
}

func (v *inventory) active() int { return len(v.open) - len(v.idle) }

// take lends out the idle connection used last, or one of the last few that has the settings wanted. look says that its socket
// must be looked at first.
func (v *inventory) take(now time.Duration, want *Settings) (c *Conn, look bool) {
	last := len(v.idle) - 1
	if last < 0 || v.paused {
		return nil, false
	}
	i := last
	if want != nil {
		i = v.preferred(want)
	}
	c = v.idle[i]
	if i < last {
		copy(v.idle[i:], v.idle[i+1:])
	}
	v.idle[last] = nil
	v.idle = v.idle[:last]
	used := c.lastUse()
	v.lend(c, now)
	return c, now-used >= checkAfter || used <= v.distrust
}

func (v *inventory) preferred(want *Settings) int {
	last := len(v.idle) - 1
	for i := last; i >= 0 && i > last-preferAmong; i-- {
		if c := v.idle[i]; c.known && c.settings.Equal(want) {
			return i
		}
	}
	return last
}

func (v *inventory) lend(c *Conn, now time.Duration) {
	c.idle, c.acquiredAt, c.idleSince = false, now, 0
	c.outlived = c.expires > 0 && now >= c.expires
	c.cancels.lend()
}

// refusal says why there is no sense in waiting; nil: there is.
func (v *inventory) refusal(now time.Duration) error {
	switch {
	case v.closed != nil:
		return v.closed
	case v.paused || v.health.err == nil:
		return nil
	case !v.health.serverLives:
		return v.health.err
	case v.active() == 0 && now < v.health.retryAt:
		return v.health.err
	}
	return nil
}

// put takes back a clean connection. If somebody waits, it is lent to the first: w, to be told; now is looked at only then. keep
// is false if the connection must be closed instead.
func (v *inventory) put(c *Conn, now time.Duration) (w *waiter, keep bool) {
	if v.closed != nil || v.paused || c.origin.generation != v.generation ||
		len(v.open)+len(v.connecting) > v.limits.size || c.outlived {
		v.remove(c)
		return nil, false
	}
	return v.offer(c, now), true
}

// offer lends a connection to the first waiter, or makes it idle.
func (v *inventory) offer(c *Conn, now time.Duration) *waiter {
	w := v.waiting.pop()
	if w != nil {
		v.waited += now - w.since
		v.lend(c, now)
		w.conn = c
		return w
	}
	c.idle = true
	v.idle = append(v.idle, c)
	if v.quiet != nil {
		v.hush()
	}
	return nil
}

// add takes a new connection into account; it is lent to the first waiter or made idle.
func (v *inventory) add(c *Conn, now time.Duration) *waiter {
	c.place = len(v.open)
	v.open = append(v.open, c)
	return v.offer(c, now)
}

// remove strikes out a connection, whatever it was doing.
func (v *inventory) remove(c *Conn) {
	last := len(v.open) - 1
	if c.place > last || v.open[c.place] != c {
		return
	}
	v.open[c.place] = v.open[last]
	v.open[c.place].place = c.place
	v.open[last] = nil
	v.open = v.open[:last]
	if c.idle {
		c.idle = false
		v.idle = slices.DeleteFunc(v.idle, func(other *Conn) bool { return other == c })
	}
	v.hush()
}

// lose strikes out a connection that the server has ended.
func (v *inventory) lose(c *Conn) {
	v.remove(c)
	v.probe = len(v.open) == 0
}

// hush tells those who wait for quiet that nothing is lent out.
func (v *inventory) hush() {
	if v.active() > 0 {
		return
	}
	for _, ch := range v.quiet {
		close(ch)
	}
	v.quiet = nil
}

// cut removes all idle connections and returns them.
func (v *inventory) cut() []*Conn {
	cut := slices.Clone(v.idle)
	for _, c := range cut {
		v.remove(c)
	}
	return cut
}

// fail takes out all waiters, to be told of err.
func (v *inventory) fail(err error, now time.Duration) []*waiter {
	var failed []*waiter
	for w := v.waiting.pop(); w != nil; w = v.waiting.pop() {
		v.waited += now - w.since
		w.err = err
		failed = append(failed, w)
	}
	return failed
}

// stale removes the idle connections that are too old, unused for too long, or too many, and returns them. A connection counts
// as unused from the first time that stale sees it idle.
func (v *inventory) stale(now time.Duration) []*Conn {
	var stale []*Conn
	for _, c := range v.idle {
		if c.idleSince == 0 {
			c.idleSince = now
		}
		spare := len(v.idle)-len(stale) > v.limits.minIdle
		unused := v.limits.idleTimeout > 0 && now-c.idleSince >= v.limits.idleTimeout
		surplus := len(v.open)+len(v.connecting)-len(stale) > v.limits.size
		if c.expires > 0 && now >= c.expires || spare && unused || surplus {
			stale = append(stale, c)
		}
	}
	for _, c := range stale {
		v.remove(c)
	}
	return stale
}

// nextStale returns how long until stale may find something; ok is false if never.
func (v *inventory) nextStale(now time.Duration) (in time.Duration, ok bool) {
	for _, c := range v.idle {
		if c.expires > 0 {
			in, ok = sooner(in, ok, c.expires-now)
		}
		if v.limits.idleTimeout > 0 && len(v.idle) > v.limits.minIdle {
			in, ok = sooner(in, ok, c.idleSince+v.limits.idleTimeout-now)
		}
	}
	return in, ok
}

func sooner(in time.Duration, ok bool, other time.Duration) (time.Duration, bool) {
	if !ok {
		return other, true
	}
	return min(in, other), true
}

// missing returns how many log-ins to begin now: for those who wait, for the idle minimum, and to find out whether a server
// that was gone has come back.
func (v *inventory) missing(now time.Duration) int {
	if v.closed != nil || v.paused || now < v.health.retryAt {
		return 0
	}
	want := v.waiting.len + max(0, v.limits.minIdle-len(v.idle))
	most := maxConnecting
	if v.health.err != nil {
		most = 1
	}
	if v.probe || v.health.err != nil && !v.health.serverLives {
		want = max(want, 1)
	}
	busy := len(v.connecting)
	return max(0, min(want-busy, most-busy, v.limits.size-len(v.open)-busy))
}

// lastUse returns when the connection was lent out last, or opened.
func (c *Conn) lastUse() time.Duration { return max(c.acquiredAt, c.openedAt) }
