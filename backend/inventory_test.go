package backend

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/pgring/pgring/pgwire"
)

func lendable() *Conn {
	c := &Conn{known: true}
	c.cancels.settled = make(chan struct{}, 1)
	c.cancels.state.Store(notLent)
	return c
}

// life is a pool's life in random steps. The test plays the sessions and the server, and keeps its own account.
type life struct {
	*rapid.T
	v       *inventory
	now     time.Duration
	lent    []*Conn
	waiters []*waiter // in the order in which they came
}

func TestInventoryKeepsItsInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := &life{T: t, now: 1, v: &inventory{distrust: -1, limits: limits{
			size: rapid.IntRange(1, 4).Draw(t, "size"), minIdle: rapid.IntRange(0, 1).Draw(t, "min idle"),
			idleTimeout: rapid.SampledFrom([]time.Duration{0, 5}).Draw(t, "idle timeout"),
			maxLifetime: rapid.SampledFrom([]time.Duration{0, 9}).Draw(t, "lifetime"),
		}}}
		t.Repeat(map[string]func(*rapid.T){
			"":          func(*rapid.T) { l.check() },
			"take":      func(*rapid.T) { l.take() },
			"put":       func(*rapid.T) { l.put() },
			"drop":      func(*rapid.T) { l.drop() },
			"begin":     func(*rapid.T) { l.begin() },
			"succeed":   func(*rapid.T) { l.succeed() },
			"fail":      func(*rapid.T) { l.fail() },
			"stale":     func(*rapid.T) { l.v.stale(l.now) },
			"pause":     func(*rapid.T) { l.v.paused = true; l.v.cut() },
			"resume":    func(*rapid.T) { l.v.paused = false },
			"reconnect": func(*rapid.T) { l.v.generation++; l.v.cut() },
		})
	})
}

func (l *life) take() {
	c, _ := l.v.take(l.now, nil)
	switch {
	case c != nil && (c.idle || l.v.paused):
		l.Fatal("an idle connection is lent out, or one during a pause")
	case c != nil:
		l.lent = append(l.lent, c)
	case l.v.refusal(l.now) == nil:
		l.waiters = append(l.waiters, l.v.waiting.push(l.now, nil))
	}
}

func (l *life) put() {
	if len(l.lent) == 0 {
		return
	}
	c := l.lent[0]
	l.lent = l.lent[1:]
	w, keep := l.v.put(c, l.now)
	if w != nil && !keep {
		l.Fatal("a closed connection was handed over")
	}
	l.served(w)
}

func (l *life) drop() {
	if len(l.lent) == 0 {
		return
	}
	l.v.lose(l.lent[0])
	l.v.remove(l.lent[0]) // changes nothing
	l.lent = l.lent[1:]
}

func (l *life) begin() {
	for range l.v.missing(l.now) {
		l.v.connecting = append(l.v.connecting, l.now)
	}
	if len(l.v.connecting) > maxConnecting {
		l.Fatal("too many log-ins at a time")
	}
}

func (l *life) succeed() {
	if len(l.v.connecting) == 0 {
		return
	}
	l.v.connecting = l.v.connecting[1:]
	if l.v.paused {
		return
	}
	c := lendable()
	c.origin.generation, c.openedAt = l.v.generation, l.now
	if l.v.limits.maxLifetime > 0 {
		c.expires = l.now + l.v.limits.maxLifetime
	}
	l.v.health.success(1, time.Unix(1, 0))
	l.served(l.v.add(c, l.now))
}

func (l *life) fail() {
	if len(l.v.connecting) == 0 {
		return
	}
	l.v.connecting = l.v.connecting[1:]
	l.v.health.failure(&UnavailableError{Err: errors.New("refused")}, l.now, time.Unix(1, 0))
	l.v.health.retryAt = l.now + 2
	for _, w := range l.v.fail(l.v.health.err, l.now) {
		if w.err == nil || w != l.waiters[0] {
			l.Fatal("a waiter failed out of turn or without a reason")
		}
		l.waiters = l.waiters[1:]
	}
}

func (l *life) served(w *waiter) {
	if w == nil {
		return
	}
	if len(l.waiters) == 0 || l.waiters[0] != w {
		l.Fatal("somebody was served out of turn")
	}
	l.waiters = l.waiters[1:]
	l.lent = append(l.lent, w.conn)
	l.v.waiting.recycle(w)
}

func (l *life) check() {
	l.now++
	v := l.v
	if len(v.open)+len(v.connecting) > v.limits.size {
		l.Fatalf("%d open and %d being opened of %d", len(v.open), len(v.connecting), v.limits.size)
	}
	if v.waiting.len > 0 && len(v.idle) > 0 {
		l.Fatal("somebody waits though a connection is idle")
	}
	if v.active() != len(l.lent) || v.waiting.len != len(l.waiters) {
		l.Fatalf("%d lent and %d waiting, want %d and %d", v.active(), v.waiting.len, len(l.lent), len(l.waiters))
	}
	for i, c := range v.open {
		if c.place != i {
			l.Fatal("a connection does not know its place")
		}
	}
}

func TestConnectionsNotUsedLatelyAreLookedAt(t *testing.T) {
	const used = time.Second
	for _, test := range []struct {
		name     string
		now      time.Duration
		distrust time.Duration
		look     bool
	}{
		{"used a moment ago", used + checkAfter - 1, -1, false},
		{"not used for a while", used + checkAfter, -1, true},
		{"another has died since", used + 2, used + 1, true},
		{"another had died before", used + 2, used - 1, false},
	} {
		c := lendable()
		v := &inventory{distrust: test.distrust}
		v.add(c, 1)
		c.acquiredAt = used
		if got, look := v.take(test.now, nil); got != c || look != test.look {
			t.Errorf("%s: look %v, want %v", test.name, look, test.look)
		}
	}
}

func TestLimitsOfTime(t *testing.T) {
	v := &inventory{limits: limits{size: 3, minIdle: 1, idleTimeout: 10}, distrust: -1}
	conns := []*Conn{lendable(), lendable(), lendable()}
	conns[2].expires = 16
	for _, c := range conns {
		v.add(c, 1)
	}
	if got := v.stale(5); len(got) != 0 {
		t.Fatalf("closed %d at once", len(got))
	}
	if in, ok := v.nextStale(6); !ok || in != 9 {
		t.Errorf("next look in %d, %v, want 9", in, ok)
	}
	if got := v.stale(14); len(got) != 0 {
		t.Fatalf("closed %d too early", len(got))
	}
	if got := v.stale(15); len(got) != 2 {
		t.Fatalf("closed %d, want the 2 unused beyond the minimum", len(got))
	}
	if got := v.stale(16); len(got) != 1 || got[0] != conns[2] {
		t.Fatalf("closed %d, want the one that has reached its lifetime", len(got))
	}
	if in, ok := (&inventory{}).nextStale(1); ok {
		t.Errorf("an empty pool looks again in %d", in)
	}
}

func TestBackOffDoublesUpToItsLimit(t *testing.T) {
	for failures, full := range map[int]time.Duration{1: 50, 2: 100, 3: 200, 6: 1600, 7: 2000, 1000: 2000} {
		full *= time.Millisecond
		for range 100 {
			if got := backOff(failures); got > full || got < full/2 {
				t.Fatalf("after %d failures %v, want %v or up to half of it less", failures, got, full)
			}
		}
	}
}

func TestLifetimesAreSpread(t *testing.T) {
	seen := map[time.Duration]bool{}
	for range 1000 {
		got := jitter(time.Hour)
		if got < 54*time.Minute || got > 66*time.Minute {
			t.Fatalf("%v is not an hour ±10 %%", got)
		}
		seen[got] = true
	}
	if len(seen) < 100 || jitter(0) != 0 {
		t.Errorf("%d different lifetimes; none becomes %v", len(seen), jitter(0))
	}
}

func TestWaitingIsRefusedOnlyWhereItIsPointless(t *testing.T) {
	gone := errors.New("connection refused")
	starting := &pgwire.Error{Code: "57P03"}
	full := &pgwire.Error{Code: "53300"}
	for _, test := range []struct {
		name    string
		err     error
		active  int
		elapsed time.Duration // since the failure
		refused bool
	}{
		{"nothing failed", nil, 0, 0, false},
		{"server gone, connections in use", gone, 1, 0, true},
		{"server gone, back-off over", gone, 0, time.Minute, true},
		{"server starting", starting, 0, 0, true},
		{"server full, none in use", full, 0, 0, true},
		{"server full, one will come back", full, 1, 0, false},
		{"server full, time to try again", full, 0, time.Minute, false},
		{"wrapped error of the server", fmt.Errorf("log in: %w", full), 1, 0, false},
	} {
		v := &inventory{limits: limits{size: 5}, distrust: -1}
		for range test.active {
			v.add(lendable(), 1)
			v.take(1, nil)
		}
		if test.err != nil {
			v.health.failure(&UnavailableError{Err: test.err}, 1, time.Unix(1, 0))
		}
		if got := v.refusal(1 + test.elapsed); (got != nil) != test.refused {
			t.Errorf("%s: refusal %v, want one: %v", test.name, got, test.refused)
		}
	}
}
