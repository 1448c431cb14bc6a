package saga_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/pgring/pgring/internal/pgtest"
	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/saga"
)

// The proxy dies before a message, after it has left, and after its answer: each time, another proxy's janitor makes the work
// whole. Points before the decision give nothing, points after it give all.
func TestProxyDiesAtEveryMessage(t *testing.T) {
	t.Parallel()
	c := newCluster(t, pgtest.Start(t, 3)...)
	for shards := 2; shards <= 3; shards++ {
		if shards == 3 {
			c.learn(t)
		}
		for _, k := range kinds() {
			t.Run(fmt.Sprintf("%s on %d", k.name, shards), func(t *testing.T) {
				decided, points := false, tally{}
				n := 0
				for crashed := true; crashed; n++ {
					var at saga.Point
					tx := c.open(t, k, c.shards[:shards]...)
					if at, crashed = c.crash(t, tx, n); crashed {
						points[at.Message()]++
					}
					c.settle(t)
					all := tx.mustBeWhole(t)
					decided = decided || at.Message() == "decide" && at.When() == string(saga.Answered) || !crashed
					if all != decided && (at.Message() != "decide" || at.When() != string(saga.Sent)) {
						t.Errorf("died %s: all is %t, want %t", at, all, decided)
					}
				}
				if want := 3 * (2*(shards-1) + 1); n <= want {
					t.Errorf("only %d points, want more than %d", n, want)
				}
				points.log(t, "points at which the proxy died")
			})
		}
	}
}

// The janitor dies at each of its messages too, with transactions before it that are to be committed and to be rolled back.
func TestJanitorDiesAtEveryMessage(t *testing.T) {
	t.Parallel()
	c := newCluster(t, pgtest.Start(t, 3)...)
	old := func(cfg *saga.Config) { cfg.SetKeep(1) }
	points := tally{}
	for n, crashed := 0, true; crashed; n++ {
		lost, won := c.leave(t, "prepare"), c.leave(t, "decide")
		var at saga.Point
		if at, crashed = c.crashJanitor(t, n, old); crashed {
			points[at.Message()]++
		}
		c.settle(t)
		if lost.mustBeWhole(t) || !won.mustBeWhole(t) {
			t.Errorf("janitor died %s: wrong outcome", at)
		}
	}
	points.log(t, "points at which the janitor died")
}

// leave makes a transaction whose proxy died after the answer to a message from all shards.
func (c *cluster) leave(t *testing.T, message string) *transaction {
	t.Helper()
	tx := c.open(t, kinds()[0], c.shards...)
	c.dieAfter(t, tx, message)
	return tx
}

func (c *cluster) dieAfter(t *testing.T, tx *transaction, message string, options ...option) {
	t.Helper()
	seen := false
	coordinator := c.coordinator(t, append(options, hook(func(p saga.Point) {
		if p.Message() == message {
			seen = true
		} else if seen {
			runtime.Goexit()
		}
	}))...)
	var group sync.WaitGroup
	group.Go(func() { _ = coordinator.Commit(t.Context(), tx.conns) })
	group.Wait()
	tx.drop()
	c.awaitQuiet(t)
}

func (c *cluster) crashJanitor(t *testing.T, n int, options ...option) (at saga.Point, crashed bool) {
	t.Helper()
	seen := 0
	janitor := c.coordinator(t, append(options, hook(func(p saga.Point) {
		if seen++; seen > n {
			at, crashed = p, true
			runtime.Goexit()
		}
	}))...)
	var group sync.WaitGroup
	group.Go(func() { janitor.Sweep(t.Context()) })
	group.Wait()
	return at, crashed
}

// A proxy stalls at a message for so long that a janitor takes it for dead, and then goes on: it must follow the janitor, or the
// janitor it.
func (c *cluster) stalledProxyAndJanitorAgree(t *testing.T) {
	c.learn(t)
	defer func() { c.known = nil }()
	points := tally{}
	for _, shards := range [][]ring.ShardID{c.shards[:2], c.shards} {
		for n, stalled := 0, true; stalled; n++ {
			tx := c.open(t, kinds()[0], shards...)
			stalled = false
			var at saga.Point
			seen, before := 0, 0
			err := c.coordinator(t, hook(func(p saga.Point) {
				if seen++; seen == n+1 {
					at, stalled = p, true
					before = c.prepared(t)
					c.coordinator(t).Sweep(t.Context())
				}
			})).Commit(t.Context(), tx.conns)
			tx.release(t)
			c.settle(t)
			if all := tx.mustBeWhole(t); all != (err == nil) {
				t.Errorf("stalled %s: all is %t, but Commit returned %v", at, all, err)
			}
			if at.Message() == "prepare" && at.When() == string(saga.Answered) && before == len(shards)-1 {
				mustAbort(t, err, "s1", "40001")
			}
			if stalled {
				points[at.Message()]++
			}
		}
	}
	points.log(t, "points at which the proxy stalled")
}

// A fence must hold for as long as its proxy could still decide, however old it is; then it goes.
func (c *cluster) fenceOutlivesTheStalledProxy(t *testing.T) {
	janitor := c.coordinator(t, func(cfg *saga.Config) { cfg.SetKeep(1) })
	tx := c.open(t, kinds()[0], c.shards...)
	err := c.coordinator(t, hook(func(p saga.Point) {
		if p.Message() == "decide" && p.When() == "before" {
			for range 3 {
				janitor.Sweep(t.Context())
			}
			if fences(t, c) != 1 {
				t.Errorf("%d fences while the proxy stalls, want 1", fences(t, c))
			}
		}
	})).Commit(t.Context(), tx.conns)
	mustAbort(t, err, "s1", "40001")
	tx.release(t)
	mustBeGone(t, tx)
	await(t, "the end of the fence", func() bool {
		janitor.Sweep(t.Context())
		return fences(t, c) == 0
	})
}

func fences(t *testing.T, c *cluster) int {
	t.Helper()
	return pgtest.One[int](t, c.servers[0], "SELECT count(*) FROM pgring.barrier WHERE kind = 'fence'")
}

// A shard is killed at each point of the protocol, home or another one, and comes back after Commit has returned.
func TestShardDiesAtEveryMessage(t *testing.T) {
	for _, victim := range []ring.ShardID{"s1", "s2"} {
		t.Run(string(victim), func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, pgtest.Start(t, 3)...)
			c.learn(t)
			points := tally{}
			for n, killed := 0, true; killed; n++ {
				var at saga.Point
				if at, killed = c.killAt(t, victim, n); killed {
					points[at.Message()]++
				}
			}
			points.log(t, "points at which the shard was killed")
		})
	}
}

func (c *cluster) killAt(t *testing.T, victim ring.ShardID, n int) (at saga.Point, killed bool) {
	t.Helper()
	tx := c.open(t, kinds()[0], c.shards...)
	seen := 0
	impatient := func(cfg *saga.Config) { cfg.SetPatience(500 * time.Millisecond) } // home stays down until Commit returns
	err := c.coordinator(t, impatient, hook(func(p saga.Point) {
		if seen++; seen == n+1 {
			at, killed = p, true
			c.server(victim).Kill9(t)
		}
	})).Commit(t.Context(), tx.conns)
	tx.release(t)
	if killed {
		c.server(victim).Restart(t)
	}
	c.awaitQuiet(t)
	c.settle(t)
	all := tx.mustBeWhole(t)
	var unknown *saga.UnknownError
	if !errors.As(err, &unknown) && all != (err == nil) {
		t.Errorf("%s killed %s: all is %t, but Commit returned %v", victim, at, all, err)
	}
	return at, killed
}

// Home is killed while it commits and is back before the proxy gives up asking: the proxy then knows.
func (c *cluster) proxyLearnsTheOutcomeFromAHomeThatComesBack(t *testing.T) {
	for _, at := range []string{"before", string(saga.Sent), string(saga.Answered)} {
		tx := c.open(t, kinds()[0], c.shards...)
		err := c.coordinator(t, hook(func(p saga.Point) {
			if p.Message() == "decide" && p.When() == at {
				c.servers[0].Kill9(t)
				c.servers[0].Restart(t)
			}
		})).Commit(t.Context(), tx.conns)
		tx.release(t)
		var unknown *saga.UnknownError
		if errors.As(err, &unknown) || tx.mustBeWhole(t) != (err == nil) || c.prepared(t) != 0 {
			t.Errorf("killed %s the decision: on %d shards, %d prepared, error %v", at, tx.done(t), c.prepared(t), err)
		}
	}
}

// The connection to home breaks, home itself lives: the answer is always found out.
func (c *cluster) proxyLearnsTheOutcomeWhenOnlyTheConnectionBreaks(t *testing.T) {
	for _, at := range []string{"before", "sent", "executed"} {
		tx := c.open(t, kinds()[0], c.shards...)
		err := c.coordinator(t, hook(func(p saga.Point) {
			if p.Message() != "decide" || p.When() == string(saga.Answered) || (p.When() == "before") != (at == "before") {
				return
			}
			if at == "executed" {
				await(t, "the decision", func() bool { return c.count(t, 0, fmt.Sprintf(tx.kind.seen, tx.key)) == 1 })
			}
			_ = tx.conns[0].Wire().Net().Close()
		})).Commit(t.Context(), tx.conns)
		tx.release(t)
		c.awaitQuiet(t)
		if all := tx.mustBeWhole(t); all != (err == nil) || at == "executed" && !all || at == "before" && all || c.prepared(t) != 0 {
			t.Errorf("cut when %s: on %d shards, %d prepared, error %v", at, tx.done(t), c.prepared(t), err)
		}
	}
}

// The client goes away: before the decision that is a rollback, after it nothing is lost.
func (c *cluster) contextEndsAtEveryMessage(t *testing.T) {
	for n, ended := 0, true; ended; n++ {
		tx := c.open(t, kinds()[0], c.shards...)
		ctx, cancel := context.WithCancel(t.Context())
		seen := 0
		ended = false
		err := c.coordinator(t, hook(func(saga.Point) {
			if seen++; seen == n+1 {
				ended = true
				cancel()
			}
		})).Commit(ctx, tx.conns)
		cancel()
		tx.release(t)
		c.awaitQuiet(t)
		c.settle(t)
		if tx.mustBeWhole(t) != (err == nil) {
			t.Errorf("point %d: on %d shards, error %v", n, tx.done(t), err)
		}
	}
}
