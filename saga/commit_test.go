package saga_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/pgring/pgring/internal/pgtest"
	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/saga"
)

func (c *cluster) commitMakesWorkDurableOnAllShards(t *testing.T) {
	coordinator := c.coordinator(t)
	for _, k := range kinds() {
		for n := 1; n <= 3; n++ {
			t.Run(fmt.Sprintf("%s on %d", k.name, n), func(t *testing.T) {
				tx := c.open(t, k, c.shards[3-n:]...)
				if err := coordinator.Commit(t.Context(), tx.conns); err != nil {
					t.Fatal(err)
				}
				tx.release(t)
				if tx.done(t) != n {
					t.Errorf("the work is on %d shards, want %d", tx.done(t), n)
				}
			})
		}
	}
	if c.prepared(t) != 0 {
		t.Error("something stayed prepared")
	}
	if got := coordinator.Stats().Committed; got != 6 {
		t.Errorf("%d commits counted, want 6", got)
	}
}

func TestOneShardWritesNoDecision(t *testing.T) {
	c := newCluster(t, pgtest.Start(t, 2)...)
	tx := c.open(t, kinds()[0], "s1")
	if err := c.coordinator(t).Commit(t.Context(), tx.conns); err != nil {
		t.Fatal(err)
	}
	tx.release(t)
	if pgtest.One[bool](t, c.servers[0], "SELECT to_regclass('pgring.saga') IS NOT NULL") {
		t.Error("a transaction on one shard needed the tables for decisions")
	}
}

func (c *cluster) everyShardsRefusalRollsBackEverywhere(t *testing.T) {
	for _, s := range c.servers {
		s.Exec(t, `CREATE TABLE checked (key bigint REFERENCES work DEFERRABLE INITIALLY DEFERRED); GRANT ALL ON checked TO client`)
	}
	for _, shard := range c.shards {
		t.Run(string(shard), func(t *testing.T) {
			tx := c.open(t, kinds()[0], c.shards...)
			mustRun(t, tx.conns[slices.Index(c.shards, shard)], "INSERT INTO checked VALUES (-1)")
			mustAbort(t, c.coordinator(t).Commit(t.Context(), tx.conns), shard, "23503")
			tx.release(t)
			mustBeGone(t, tx)
		})
	}
}

func (c *cluster) failedTransactionIsRolledBackEverywhere(t *testing.T) {
	for _, shard := range c.shards {
		tx := c.open(t, kinds()[0], c.shards...)
		if err := run(tx.conns[slices.Index(c.shards, shard)], "SELECT 1/0"); err == nil {
			t.Fatal("division by zero succeeded")
		}
		mustAbort(t, c.coordinator(t).Commit(t.Context(), tx.conns), shard, "")
		tx.release(t)
		mustBeGone(t, tx)
	}
}

func (c *cluster) whatPostgresCannotPrepareIsRefused(t *testing.T) {
	tx := c.open(t, kinds()[0], c.shards...)
	mustRun(t, tx.conns[1], "CREATE TEMPORARY TABLE mine (id int)")
	mustAbort(t, c.coordinator(t).Commit(t.Context(), tx.conns), "s2", "0A000")
	tx.release(t)
	mustBeGone(t, tx)
}

func TestWithoutTwoPhaseCommitShardsCommitOneAfterAnother(t *testing.T) {
	off := pgtest.Start(t, 2, pgtest.MaxPreparedTransactions(0))
	c := newCluster(t, append(off, pgtest.Start(t, 1)...)...)
	for _, s := range c.servers {
		s.Exec(t, `CREATE TABLE checked (key bigint REFERENCES work DEFERRABLE INITIALLY DEFERRED); GRANT ALL ON checked TO client`)
	}
	coordinator := c.coordinator(t)
	t.Run("all", func(t *testing.T) {
		tx := c.open(t, kinds()[1], c.shards...)
		if err := coordinator.Commit(t.Context(), tx.conns); err != nil || tx.done(t) != 3 {
			t.Errorf("commit on %d shards: %v", tx.done(t), err)
		}
		tx.release(t)
	})
	t.Run("none", func(t *testing.T) {
		tx := c.open(t, kinds()[0], c.shards...)
		mustRun(t, tx.conns[0], "INSERT INTO checked VALUES (-1)")
		mustAbort(t, coordinator.Commit(t.Context(), tx.conns), "s1", "23503")
		tx.release(t)
		mustBeGone(t, tx)
	})
	t.Run("some", func(t *testing.T) {
		tx := c.open(t, kinds()[0], c.shards...)
		mustRun(t, tx.conns[1], "INSERT INTO checked VALUES (-1)")
		err := coordinator.Commit(t.Context(), tx.conns)
		var partial *saga.PartialError
		if !errors.As(err, &partial) || !slices.Equal(partial.Committed, []ring.ShardID{"s1", "s3"}) || !slices.Equal(partial.Failed, []ring.ShardID{"s2"}) {
			t.Fatalf("error %v, want committed on s1 and s3, not on s2", err)
		}
		var refused *pgwire.Error
		if !errors.As(err, &refused) || refused.Code != "23503" {
			t.Errorf("reason %v, want the shard's own", err)
		}
		tx.release(t)
	})
	if got := coordinator.Stats(); got.Committed != 1 || got.Aborted != 1 || got.Partial != 1 {
		t.Errorf("stats %+v", got)
	}
}

func TestSilentHomeLeavesTheOutcomeUnknown(t *testing.T) {
	// One shard: PostgreSQL keeps no record of a COMMIT that could be asked for.
	c := newCluster(t, pgtest.Start(t, 1)...)
	tx := c.open(t, kinds()[0], "s1")
	err := c.coordinator(t, hook(func(p saga.Point) {
		if p.Message() == "commit" && p.When() == string(saga.Sent) {
			_ = tx.conns[0].Wire().Close()
		}
	})).Commit(t.Context(), tx.conns)
	var unknown *saga.UnknownError
	if !errors.As(err, &unknown) || unknown.Shard != "s1" {
		t.Errorf("error %v, want an UnknownError", err)
	}
	tx.drop()
}

// mustAbort checks an AbortedError; an empty code means that the server did not refuse.
func mustAbort(t *testing.T, err error, shard ring.ShardID, code string) {
	t.Helper()
	var aborted *saga.AbortedError
	if !errors.As(err, &aborted) || aborted.Shard != shard {
		t.Fatalf("error %v, want an AbortedError because of %s", err, shard)
	}
	var refused *pgwire.Error
	if errors.As(err, &refused) != (code != "") || code != "" && refused.Code != code {
		t.Errorf("reason %v, want SQLSTATE %q", err, code)
	}
}

// mustBeGone checks that nothing of a transaction is left.
func mustBeGone(t *testing.T, tx *transaction) {
	t.Helper()
	if tx.done(t) != 0 || tx.c.prepared(t) != 0 {
		t.Errorf("the work is on %d shards, %d prepared transactions; want neither", tx.done(t), tx.c.prepared(t))
	}
}

func TestLostAnswersWithoutTwoPhaseCommit(t *testing.T) {
	c := newCluster(t, pgtest.Start(t, 3, pgtest.MaxPreparedTransactions(0))...)
	cut := func(tx *transaction, i int, message, when string) error {
		return c.coordinator(t, hook(func(p saga.Point) {
			if p.Message() == message && p.When() == when && p.Shard() == c.shards[i] {
				_ = tx.conns[i].Wire().Net().Close()
			}
		})).Commit(t.Context(), tx.conns)
	}
	for _, when := range []string{"before", string(saga.Sent)} {
		tx := c.open(t, kinds()[0], c.shards...)
		err := cut(tx, 0, "decide", when)
		tx.release(t)
		if tx.mustBeWhole(t) != (err == nil) || when == "before" && err == nil {
			t.Errorf("home cut %s: on %d shards, error %v", when, tx.done(t), err)
		}
	}
	tx := c.open(t, kinds()[0], c.shards...)
	err := cut(tx, 1, "commit", "before")
	tx.release(t)
	var partial *saga.PartialError
	if !errors.As(err, &partial) || !slices.Equal(partial.Failed, []ring.ShardID{"s2"}) || tx.done(t) != 2 {
		t.Errorf("s2 cut: on %d shards, error %v", tx.done(t), err)
	}
}

func TestFrozenShardDoesNotHoldUpWhatIsDecided(t *testing.T) {
	c := newCluster(t, pgtest.Start(t, 3)...)
	coordinator := c.coordinator(t, func(cfg *saga.Config) { cfg.SetPatience(300 * time.Millisecond) }, hook(func(p saga.Point) {
		if p.Message() == "decide" && p.When() == string(saga.Answered) {
			c.servers[1].Stop(t)
		}
	}))
	tx := c.open(t, kinds()[0], c.shards...)
	err := coordinator.Commit(t.Context(), tx.conns)
	c.servers[1].Cont(t)
	if err != nil || coordinator.Stats().Left != 1 {
		t.Errorf("commit: %v, %d left", err, coordinator.Stats().Left)
	}
	tx.release(t)
	c.settle(t)
	if !tx.mustBeWhole(t) {
		t.Error("not committed")
	}
}

func TestFrozenShardBeforeTheDecisionEndsWithTheContext(t *testing.T) {
	c := newCluster(t, pgtest.Start(t, 3)...)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	tx := c.open(t, kinds()[0], c.shards...)
	err := c.coordinator(t, func(cfg *saga.Config) { cfg.SetPatience(300 * time.Millisecond) }, hook(func(p saga.Point) {
		if p.Message() == "prepare" && p.Shard() == "s3" {
			switch p.When() {
			case "before":
				c.servers[2].Stop(t)
			case string(saga.Sent):
				cancel()
			}
		}
	})).Commit(ctx, tx.conns)
	c.servers[2].Cont(t)
	var aborted *saga.AbortedError
	if !errors.As(err, &aborted) {
		t.Errorf("error %v, want an AbortedError", err)
	}
	tx.release(t)
	c.awaitQuiet(t)
	c.settle(t)
	mustBeGone(t, tx)
}
