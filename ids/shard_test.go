package ids_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/pgring/pgring/ids"
	"github.com/pgring/pgring/internal/pgtest"
)

// shardServer is a shard with number 3, whose clock stands where table clock says, if it says anything.
func shardServer(t *testing.T) *pgtest.Server {
	t.Helper()
	server := pgtest.Start(t, 1)[0]
	server.Exec(t, `CREATE TABLE clock AS SELECT NULL::timestamptz AS at;
		CREATE FUNCTION stepped() RETURNS timestamptz LANGUAGE sql VOLATILE AS 'SELECT coalesce(at, clock_timestamp()) FROM public.clock'`)
	conn := server.Connect(t)
	for range 2 { // the second time there is nothing to do
		if err := ids.InstallWithClock(t.Context(), conn, 3, "public.stepped()"); err != nil {
			t.Fatal(err)
		}
	}
	return server
}

// made are the ids of one test.
type made struct {
	sync.Mutex
	seen map[int64]bool
}

func (m *made) add(t *testing.T, list []int64) {
	m.Lock()
	defer m.Unlock()
	for _, id := range list {
		if m.seen[id] {
			t.Errorf("id %d was made twice", id)
		}
		m.seen[id] = true
		if parts := ids.Split(id); parts.Worker != ids.FirstShardWorker+3 {
			t.Errorf("id %d is of worker %d", id, parts.Worker)
		}
	}
}

// Sessions take ids at once, in transactions that last, are rolled back, and fail in the middle, while the clock steps back and forth
// between a few milliseconds and the server is killed.
func TestShardsIDsAreUniqueAcrossSessionsClockStepsAndCrashes(t *testing.T) {
	t.Parallel()
	server := shardServer(t)
	all := made{seen: map[int64]bool{}}
	for round := range 3 {
		ctx, stop := context.WithCancel(t.Context())
		var steps, sessions errgroup.Group
		steps.Go(func() error { return stepClock(ctx, server.Connect(t)) })
		for range 6 {
			conn := server.ConnectAs(t, pgtest.Superuser, pgtest.Superuser)
			sessions.Go(func() error { return takeIDs(t, conn, &all, round < 2) })
		}
		if err := sessions.Wait(); err != nil {
			t.Fatal(err)
		}
		stop()
		_ = steps.Wait() // ended by stop
		if round == 0 {
			server.Kill9(t)
			server.Restart(t)
		}
	}
	if len(all.seen) < 6*3*1200 {
		t.Errorf("only %d ids", len(all.seen))
	}
}

// stepClock moves the clock until ctx ends.
func stepClock(ctx context.Context, conn *pgx.Conn) error {
	for ctx.Err() == nil {
		if _, err := conn.Exec(ctx, "UPDATE clock SET at = timestamptz '2026-07-01' + make_interval(secs => $1)", float64(rand.IntN(4))/1000); err != nil {
			return err
		}
	}
	return nil
}

func takeIDs(t *testing.T, conn *pgx.Conn, all *made, ends bool) error {
	ctx := t.Context()
	for i := range 12 {
		tx, err := conn.Begin(ctx)
		if err != nil {
			return err
		}
		for range 2 {
			var list []int64
			if err := tx.QueryRow(ctx, "SELECT array_agg(pgring.next_id()) FROM generate_series(1, 50)").Scan(&list); err != nil {
				return err
			}
			all.add(t, list)
		}
		if i%3 == 0 {
			err = tx.Rollback(ctx)
		} else {
			err = tx.Commit(ctx)
		}
		if err != nil {
			return err
		}
	}
	if ends {
		return conn.Close(ctx)
	}
	return nil
}

// A session that has set the sequence and goes on for long does not hold up the others, even when all ids of a window are used up.
func TestLongTransactionDoesNotHoldUpAShardsIDs(t *testing.T) {
	t.Parallel()
	server := shardServer(t)
	first, second := server.Connect(t), server.Connect(t)
	tx, err := first.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	take := func(q interface {
		QueryRow(context.Context, string, ...any) pgx.Row
	}, sql string) ids.Parts {
		t.Helper()
		var id int64
		if err := q.QueryRow(t.Context(), sql).Scan(&id); err != nil {
			t.Fatal(err)
		}
		return ids.Split(id)
	}
	take(tx, "SELECT pgring.next_id()")
	begun := take(second, "SELECT pgring.next_id()")
	if late := time.Since(begun.Time).Abs(); late > time.Minute {
		t.Errorf("an id's time is off by %s", late)
	}
	take(second, "SELECT count(nextval('pgring.id_ticket')) FROM generate_series(1, 100)")
	if again := take(second, "SELECT pgring.next_id()"); !again.Time.After(begun.Time) {
		t.Errorf("after the window: %v, before: %v", again, begun)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestNumberOfAShardThatHasNoWorkerIsRefused(t *testing.T) {
	if err := ids.Install(t.Context(), nil, 512); err == nil {
		t.Error("number 512 has a worker")
	}
	if worker, ok := ids.WorkerOfShard(511); worker != 1023 || !ok {
		t.Errorf("number 511 is worker %d, %t", worker, ok)
	}
}

// Clients that own nothing take ids, and cannot set the sequence.
func TestClientsTakeIDsAndCannotSetThem(t *testing.T) {
	t.Parallel()
	server := shardServer(t)
	server.CreateUser(t, "client", "secret")
	server.Exec(t, "GRANT SELECT ON clock TO client")
	conn := server.ConnectAs(t, "client", pgtest.Superuser)
	var id int64
	if err := conn.QueryRow(t.Context(), "SELECT pgring.next_id()").Scan(&id); err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{"SELECT setval('pgring.id_ticket', 1)", "SELECT setval('pgring.id_limit', 1)", "SELECT nextval('pgring.id_limit')"} {
		if _, err := conn.Exec(t.Context(), sql); err == nil {
			t.Errorf("%s was allowed", sql)
		}
	}
}
