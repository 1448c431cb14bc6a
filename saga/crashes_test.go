package saga_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/pgring/pgring/internal/pgtest"
	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/saga"
)

// The proxy dies before each message of a saga, after it has left, and after its answer: commit, fence, undo and forward, on two
// and three shards. Each time another proxy settles it, and all shards agree. On three shards only what comes after a message is
// tried: for the servers, before the next one is the same.
func TestSagasProxyDiesAtEveryMessage(t *testing.T) {
	t.Parallel()
	c := newBank(t, pgtest.Start(t, 3)...)
	points := tally{}
	for shards := 2; shards <= 3; shards++ {
		for _, what := range shapes() {
			for n, crashed := 0, true; crashed; n++ {
				var at saga.Point
				tx, s := c.openSaga(t, what, c.shards[:shards]...)
				at, crashed = c.crashSaga(t, tx, s, n, shards == 2)
				c.recoverAll(t)
				all := tx.mustBeSound(t, c.idOf(t, tx))
				if all && at.Message() == "begin" && at.When() == "before" || !crashed && all != (what.name != "refused") {
					t.Errorf("%s on %d shards, died %s: all is %t", what.name, shards, at, all)
				}
				if crashed {
					points[at.Message()]++
				}
			}
		}
	}
	points.log(t, "points at which the proxy died")
	if points.total() < 75 || len(points) < 5 {
		t.Errorf("only %v", points)
	}
}

// idOf returns the saga of a transaction; empty if its home has no row.
func (c *cluster) idOf(t *testing.T, tx *transaction) string {
	t.Helper()
	return see[string](t, c, 0, `SELECT coalesce((SELECT id FROM pgring.saga WHERE mode <> '2pc'
AND position(`+saga.Quote(tx.mark())+` IN encode(record, 'escape')) > 0 ORDER BY started DESC LIMIT 1), '')`)
}

// The janitor that recovers a saga dies at each of its messages too, and so does the one that comes after it.
func TestSagasJanitorDiesAtEveryMessage(t *testing.T) {
	t.Parallel()
	c := newBank(t, pgtest.Start(t, 2)...)
	points := tally{}
	for _, what := range []shape{{}, {retriable: true}} {
		for n, crashed := 0, true; crashed; n++ {
			// Home is committed, and nothing else.
			tx, s := c.openSaga(t, what, c.shards...)
			c.dieAt(t, tx, s, "mark", "before")
			var at saga.Point
			at, crashed = c.crashJanitor(t, n, impatient)
			c.awaitQuiet(t)
			c.recoverAll(t)
			if all := tx.mustBeSound(t, c.idOf(t, tx)); all != what.retriable {
				t.Errorf("janitor died %s: all is %t", at, all)
			}
			if crashed {
				points[at.Message()]++
			}
		}
	}
	points.log(t, "points at which the janitor died")
}

// dieAt has the proxy die at the first point of that kind.
func (c *cluster) dieAt(t *testing.T, tx *transaction, s saga.Saga, message string, when saga.Moment) {
	t.Helper()
	c.stopAt(t, tx, s, func(p saga.Point) bool { return p.Message() == message && p.When() == string(when) })
}

// A proxy stalls at each message for so long that another one takes its saga over and settles it, and then goes on. It must agree,
// and what it tells its client must be true for ever.
func TestSagasZombieAgreesAtEveryMessage(t *testing.T) {
	t.Parallel()
	c := newBank(t, pgtest.Start(t, 2)...)
	points := tally{}
	for _, what := range shapes() {
		for n, stalled := 0, true; stalled; n++ {
			stalled = false
			var at saga.Point
			seen := 0
			tx, s := c.openSaga(t, what, c.shards...)
			id, err := c.coordinator(t, impatient, hook(func(p saga.Point) {
				if seen++; seen == n+1 {
					at, stalled = p, true
					c.coordinator(t, impatient).Sweep(t.Context())
				}
			})).CommitSaga(t.Context(), s)
			tx.release(t)
			c.recoverAll(t)
			all := tx.mustBeSound(t, id)
			var unsettled *saga.UnsettledError
			if errors.As(err, &unsettled) || all != (err == nil) {
				t.Errorf("%s, stalled %s: all is %t, but the client was told %v", what.name, at, all, err)
			}
			if stalled {
				points[at.Message()]++
			}
		}
	}
	points.log(t, "points at which the proxy stalled")
}

// A shard is killed at each point, home or another one, and comes back after the proxy has answered its client.
func TestSagasShardDiesAtEveryMessage(t *testing.T) {
	for _, victim := range []ring.ShardID{"s1", "s2"} {
		for _, what := range shapes() {
			t.Run(fmt.Sprintf("%s %s", what.name, victim), func(t *testing.T) {
				t.Parallel()
				c := newBank(t, pgtest.Start(t, 2)...)
				points, timeout := tally{}, c.pace(t, what)
				for n, killed := 0, true; killed; n++ {
					var at saga.Point
					if at, killed = c.killSagaAt(t, what, victim, n, timeout); killed {
						points[at.Message()]++
					}
				}
				points.log(t, "points at which the shard was killed")
			})
		}
	}
}

// pace is how long a saga needs to get to its last point here and now, with some to spare; but what a machine that is very busy
// needs is not waited for.
func (c *cluster) pace(t *testing.T, what shape) time.Duration {
	t.Helper()
	tx, s := c.openSaga(t, what, c.shards...)
	begun := time.Now()
	_, _ = c.coordinator(t, impatient).CommitSaga(t.Context(), s)
	took := time.Since(begun)
	tx.release(t)
	c.recoverAll(t)
	return min(2*took+100*time.Millisecond, time.Second)
}

// killSagaAt kills a shard at the n-th point, and restarts it when the client has its answer.
func (c *cluster) killSagaAt(t *testing.T, what shape, victim ring.ShardID, n int, timeout time.Duration) (at saga.Point, killed bool) {
	t.Helper()
	tx, s := c.openSaga(t, what, c.shards...)
	s.Timeout = timeout
	seen := 0
	id, err := c.coordinator(t, impatient, hook(func(p saga.Point) {
		if seen++; seen == n+1 {
			at, killed = p, true
			c.server(victim).Kill9(t)
		}
	}), func(cfg *saga.Config) { cfg.SetPatience(300 * time.Millisecond) }).CommitSaga(t.Context(), s)
	tx.release(t)
	if killed {
		c.server(victim).Restart(t)
	}
	c.recoverAll(t)
	all := tx.mustBeSound(t, id)
	var unsettled *saga.UnsettledError
	var aborted *saga.AbortedError
	switch {
	case errors.As(err, &unsettled): // its status was compared with the tables
	case err == nil && all, errors.As(err, &aborted) && !all:
	default:
		t.Errorf("%s killed %s: all is %t, but the client was told %v", victim, at, all, err)
	}
	return at, killed
}

// A fence waits for a COMMIT under way, and then says what that did.
func (c *cluster) fenceOfAStepWaitsForItsCommit(t *testing.T) {
	for _, outcome := range []string{"COMMIT", "ROLLBACK"} {
		tx, s := c.openSaga(t, shape{}, c.shards...)
		last := tx.conns[1]
		c.stopAt(t, nil, s, func(p saga.Point) bool { return p.Message() == "mark" && p.When() == "before" })
		id := c.idOf(t, tx)
		if err := saga.Mark(last, c.secret(t, 1), id, 1); err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() { // owner: this test; ends when the janitor has been round
			defer close(done)
			c.coordinator(t, func(cfg *saga.Config) { cfg.SetLease(time.Nanosecond) }).Sweep(t.Context())
		}()
		await(t, "the fence to wait", func() bool {
			return c.count(t, 1, "SELECT count(*) FROM pg_locks WHERE NOT granted") == 1
		})
		mustRun(t, last, outcome)
		<-done
		tx.drop()
		c.recoverAll(t)
		if all := tx.mustBeSound(t, id); all != (outcome == "COMMIT") {
			t.Errorf("%s: all is %t", outcome, all)
		}
	}
}

func (c *cluster) secret(t *testing.T, i int) []byte {
	t.Helper()
	return pgtest.One[[]byte](t, c.servers[i], "SELECT secret FROM pgring.saga_secret")
}

// Steps that are never undone commit last, whatever the order in which they wrote.
func (c *cluster) retriableStepsCommitLast(t *testing.T) {
	tx, s := c.openSaga(t, shape{retriable: true}, "s3", "s1", "s2")
	s.Steps = []saga.Step{s.Steps[2], s.Steps[0], s.Steps[1]}
	var order []ring.ShardID
	_, err := c.coordinator(t, hook(func(p saga.Point) {
		if p.When() == "before" && (p.Message() == "begin" || p.Message() == "mark") {
			order = append(order, p.Shard())
		}
	})).CommitSaga(t.Context(), s)
	tx.release(t)
	if err != nil || !slices.Equal(order, []ring.ShardID{"s3", "s1", "s2"}) {
		t.Errorf("committed in the order %v, %v", order, err)
	}
}
