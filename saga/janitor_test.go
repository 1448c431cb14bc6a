package saga_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/internal/pgtest"
	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/saga"
)

func (c *cluster) janitorLeavesYoungAndForeignTransactionsAlone(t *testing.T) {
	tx := c.leave(t, "prepare")
	patient := c.coordinator(t, func(cfg *saga.Config) { cfg.SetGrace(time.Hour) })
	for _, name := range []string{"somebody's", saga.GID(someCluster, strings.Repeat("a", 32), 1, "s1"), "pgring_" + c.topo.Current().ClusterID + "_odd"} {
		c.servers[1].Exec(t, fmt.Sprintf("BEGIN; INSERT INTO work VALUES (-%d); PREPARE TRANSACTION %s", c.keys.Add(1), saga.Quote(name)))
	}
	if failed := patient.Sweep(t.Context()); len(failed) > 0 || c.prepared(t) != 4 {
		t.Errorf("%d prepared, want all 4 (%v)", c.prepared(t), failed)
	}
	if got := patient.Stats(); got.Prepared != 1 || got.Oldest <= 0 || got.Round.IsZero() {
		t.Errorf("stats %+v, want one prepared transaction", got)
	}
	eager := c.coordinator(t)
	if failed := eager.Sweep(t.Context()); len(failed) > 0 || c.prepared(t) != 3 || tx.mustBeWhole(t) {
		t.Errorf("%d prepared, want the 3 of others (%v)", c.prepared(t), failed)
	}
	if got := eager.Stats(); got.SettledRollback != 1 || got.SettledCommit != 0 {
		t.Errorf("stats %+v, want one rollback", got)
	}
}

func (c *cluster) janitorWaitsForHome(t *testing.T) {
	lost, won := c.leave(t, "prepare"), c.leave(t, "decide")
	c.servers[0].Kill9(t)
	janitor := c.coordinator(t)
	failed := janitor.Sweep(t.Context())
	if len(failed) != 3 || failed["s1"] == nil || !strings.Contains(fmt.Sprint(failed["s2"]), "its home s1 cannot be reached") {
		t.Errorf("failed: %v", failed)
	}
	if got := janitor.Stats(); got.Unreachable != 3 || got.Prepared != 4 {
		t.Errorf("stats %+v", got)
	}
	c.servers[0].Restart(t)
	c.settleWith(t, janitor)
	if lost.mustBeWhole(t) || !won.mustBeWhole(t) {
		t.Error("wrong outcome")
	}
}

func (c *cluster) manyJanitorsAtOnceAgree(t *testing.T) {
	var lost, won []*transaction
	for range 5 {
		lost, won = append(lost, c.leave(t, "prepare")), append(won, c.leave(t, "decide"))
	}
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() { c.settle(t) })
	}
	group.Wait()
	for i := range lost {
		if lost[i].mustBeWhole(t) || !won[i].mustBeWhole(t) {
			t.Error("wrong outcome")
		}
	}
}

func (c *cluster) decisionIsKeptUntilEveryShardHasActedOnIt(t *testing.T) {
	short := func(cfg *saga.Config) { cfg.SetKeep(1) }
	tx := c.leave(t, "decide")
	patient := c.coordinator(t, short, func(cfg *saga.Config) { cfg.SetGrace(time.Hour) })
	patient.Sweep(t.Context())
	if decisions(t, c) != 1 {
		t.Fatal("the decision is gone while work that needs it is prepared")
	}
	c.servers[1].Kill9(t)
	janitor := c.coordinator(t, short)
	for range 2 {
		janitor.Sweep(t.Context())
	}
	if decisions(t, c) != 1 {
		t.Fatal("the decision is gone while a shard that needs it is down")
	}
	c.servers[1].Restart(t)
	janitor.Sweep(t.Context())
	if !tx.mustBeWhole(t) {
		t.Error("not committed")
	}
	janitor.Sweep(t.Context())
	if decisions(t, c) != 0 || pgtest.One[int](t, c.servers[0], "SELECT count(*) FROM pgring.barrier") != 0 {
		t.Error("rows of a finished transaction stay")
	}
}

func decisions(t *testing.T, c *cluster) int {
	t.Helper()
	return pgtest.One[int](t, c.servers[0], "SELECT count(*) FROM pgring.saga")
}

// The proxy loses its connection to home after the decision and stalls for so long that everything is finished and cleaned away
// before it asks. It must not take the absence of the row for a rollback.
func (c *cluster) veryLateProxyDoesNotReportARollback(t *testing.T) {
	janitor := c.coordinator(t, func(cfg *saga.Config) { cfg.SetKeep(1) })
	tx := c.open(t, kinds()[0], c.shards...)
	err := c.coordinator(t, hook(func(p saga.Point) {
		switch {
		case p.Message() == "decide" && p.When() == string(saga.Sent):
			await(t, "the decision", func() bool { return decisions(t, c) == 1 })
			_ = tx.conns[0].Wire().Net().Close()
		case p.Message() == "fence" && p.When() == "before":
			await(t, "the end of the decision", func() bool {
				janitor.Sweep(t.Context())
				return decisions(t, c) == 0
			})
		}
	})).Commit(t.Context(), tx.conns)
	tx.release(t)
	var unknown *saga.UnknownError
	if !errors.As(err, &unknown) || !tx.mustBeWhole(t) {
		t.Errorf("on %d shards, error %v; want all and an UnknownError", tx.done(t), err)
	}
}

func (c *cluster) janitorLogsWhatItSettledAndEachTroubleOnce(t *testing.T) {
	c.leave(t, "decide")
	var log lockedBuffer
	janitor := c.coordinator(t, func(cfg *saga.Config) { cfg.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() {
		if err := janitor.Run(ctx); err != nil {
			t.Errorf("run: %v", err)
		}
	})
	await(t, "a line about what was settled", func() bool {
		return strings.Contains(log.String(), `msg="prepared transaction of a lost proxy settled" shard=s2`)
	})
	c.servers[1].Kill9(t)
	round := time.Now()
	await(t, "some rounds without s2", func() bool {
		return janitor.Stats().Unreachable == 1 && janitor.Stats().Round.Sub(round) > 200*time.Millisecond
	})
	c.servers[1].Restart(t)
	await(t, "a line about the shard's return", func() bool { return strings.Contains(log.String(), "are looked after again") })
	cancel()
	group.Wait()
	if n := strings.Count(log.String(), "cannot be looked after"); n != 1 {
		t.Errorf("%d warnings, want 1:\n%s", n, log.String())
	}
}

// lockedBuffer is a buffer that a logger and a test share.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// The operator need not be a superuser: a member of the clients' roles that owns schema pgring will do.
func TestOperatorMayBeAMemberOfTheClientsRoles(t *testing.T) {
	c := newCluster(t, pgtest.Start(t, 2)...)
	for _, s := range c.servers {
		s.Exec(t, "CREATE ROLE operator LOGIN; GRANT client TO operator; CREATE SCHEMA IF NOT EXISTS pgring; ALTER SCHEMA pgring OWNER TO operator")
	}
	operator := func(cfg *saga.Config) {
		cfg.Operator = func(ctx context.Context, shard ring.ShardID) (*pgx.Conn, error) {
			return pgx.Connect(ctx, c.server(shard).DSN("operator", "postgres"))
		}
	}
	lost := c.open(t, kinds()[0], c.shards...)
	c.dieAfter(t, lost, "prepare", operator)
	won := c.open(t, kinds()[0], c.shards...)
	c.dieAfter(t, won, "decide", operator)
	c.settleWith(t, c.coordinator(t, operator))
	if lost.mustBeWhole(t) || !won.mustBeWhole(t) {
		t.Error("wrong outcome")
	}
}

// PREPARE TRANSACTION under SET LOCAL ROLE leaves a transaction that its own connection may not end.
func (c *cluster) transactionPreparedUnderAnotherRoleIsEndedByTheOperator(t *testing.T) {
	for _, s := range c.servers {
		s.Exec(t, "CREATE ROLE other; GRANT other TO client")
	}
	tx := c.open(t, kinds()[0], c.shards...)
	for _, conn := range tx.conns {
		mustRun(t, conn, "SET LOCAL ROLE other")
	}
	coordinator := c.coordinator(t)
	if err := coordinator.Commit(t.Context(), tx.conns); err != nil {
		t.Fatal(err)
	}
	tx.release(t)
	if !tx.mustBeWhole(t) || c.prepared(t) != 0 || coordinator.Stats().Left != 0 {
		t.Errorf("on %d shards, %d prepared", tx.done(t), c.prepared(t))
	}
}
