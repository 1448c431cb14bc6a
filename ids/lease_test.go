package ids_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/pgring/pgring/ids"
	"github.com/pgring/pgring/internal/pgtest"
)

// control is a control database with an empty schema pgring.
func control(t *testing.T) (*pgtest.Server, func(context.Context) (*pgx.Conn, error)) {
	t.Helper()
	server := pgtest.Start(t, 1)[0]
	server.Exec(t, "CREATE SCHEMA pgring")
	return server, func(ctx context.Context) (*pgx.Conn, error) {
		return pgx.Connect(ctx, server.DSN(pgtest.Superuser, pgtest.Superuser))
	}
}

func generator(t *testing.T, cfg ids.Config) *ids.Generator {
	t.Helper()
	g, err := ids.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func next(t *testing.T, g *ids.Generator) ids.Parts {
	t.Helper()
	id, err := g.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return ids.Split(id)
}

func renew(t *testing.T, g *ids.Generator) {
	t.Helper()
	if err := g.Renew(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// clock is a clock that tests move. It begins at the real time, since the control database has that.
type clock struct{ offset atomic.Int64 }

func (c *clock) now() time.Time        { return time.Now().Add(time.Duration(c.offset.Load())) }
func (c *clock) move(by time.Duration) { c.offset.Add(int64(by)) }

func TestProxiesThatStartTogetherGetWorkersOfTheirOwn(t *testing.T) {
	_, connect := control(t)
	const proxies, each = 8, 2000
	var seen sync.Map
	var group errgroup.Group
	workers := make([]int, proxies)
	for i := range proxies {
		group.Go(func() error {
			g, err := ids.New(ids.Config{Control: connect})
			if err == nil {
				err = g.Renew(t.Context())
			}
			if err != nil {
				return err
			}
			for range each {
				id, err := g.Next(t.Context())
				if err != nil {
					return err
				}
				if _, twice := seen.LoadOrStore(id, true); twice {
					return errors.New("an id was made twice")
				}
				workers[i] = ids.Split(id).Worker
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	taken := map[int]bool{}
	for _, worker := range workers {
		if taken[worker] || worker >= ids.ProxyWorkers {
			t.Errorf("workers %v: %d is taken twice or not a proxy's", workers, worker)
		}
		taken[worker] = true
	}
}

func TestWorkerIsNotTakenOverBeforeItsReservedTime(t *testing.T) {
	server, connect := control(t)
	var c clock
	dead := generator(t, ids.Config{Control: connect, Now: c.now, Reserve: time.Hour})
	renew(t, dead)
	last := next(t, dead)
	server.Exec(t, "DELETE FROM pgring.workers WHERE worker <> $1", last.Worker) // the only one
	heir := generator(t, ids.Config{Control: connect, Now: c.now, Reserve: time.Second})
	if err := heir.Renew(t.Context()); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Fatalf("claim of a reserved worker: %v", err)
	}
	if _, err := heir.Next(t.Context()); !errors.Is(err, ids.ErrNoWorker) {
		t.Fatalf("id without a worker: %v", err)
	}
	// The reserved time has passed for the heir. The dead one was only asleep: what it makes now lies below what the heir makes.
	server.Exec(t, "UPDATE pgring.workers SET high_water = $1", last.Time.UnixMilli()-ids.EpochMillis)
	renew(t, heir)
	if first := next(t, heir); first.Worker != last.Worker || !first.Time.After(last.Time) {
		t.Errorf("the heir began with %+v after %+v", first, last)
	}
	if err := dead.Renew(t.Context()); err == nil {
		t.Error("a holder that was overtaken extended its lease")
	}
}

func TestReservedTimeEnds(t *testing.T) {
	_, connect := control(t)
	var c clock
	g := generator(t, ids.Config{Control: connect, Now: c.now, Reserve: 10 * time.Second})
	renew(t, g)
	c.move(9 * time.Second)
	next(t, g)
	c.move(2 * time.Second)
	if _, err := g.Next(t.Context()); !errors.Is(err, ids.ErrNoWorker) {
		t.Fatalf("id beyond the reserved time: %v", err)
	}
	renew(t, g)
	next(t, g)
}

func TestSteppedClockIsHealedByAnotherWorker(t *testing.T) {
	_, connect := control(t)
	var c clock
	c.move(30 * time.Second)
	g := generator(t, ids.Config{Control: connect, Now: c.now})
	renew(t, g)
	before := next(t, g)
	c.move(-30 * time.Second)
	var stepped *ids.ClockError
	if _, err := g.Next(t.Context()); !errors.As(err, &stepped) {
		t.Fatalf("id after the clock stepped back: %v", err)
	}
	renew(t, g)
	if after := next(t, g); after.Worker == before.Worker {
		t.Errorf("worker %d goes on with a time in the past", after.Worker)
	}
}

func TestClockFarAheadLeasesNothing(t *testing.T) {
	server, connect := control(t)
	var c clock
	c.move(time.Hour)
	g := generator(t, ids.Config{Control: connect, Now: c.now})
	if err := g.Renew(t.Context()); err == nil || !strings.Contains(err.Error(), "ahead") {
		t.Fatalf("lease with a clock an hour ahead: %v", err)
	}
	if pgtest.One[bool](t, server, "SELECT to_regclass('pgring.workers') IS NOT NULL") {
		t.Error("the table was touched")
	}
}

func TestRunSurvivesALostControlDatabaseAndGivesTheWorkerBack(t *testing.T) {
	server, connect := control(t)
	g := generator(t, ids.Config{Control: connect, Reserve: time.Minute})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	await(t, g)
	worker := next(t, g).Worker
	server.Kill9(t)
	next(t, g) // from the reserve
	server.Restart(t)
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if held := pgtest.One[bool](t, server, "SELECT holder IS NOT NULL OR high_water > $2 FROM pgring.workers WHERE worker = $1",
		worker, time.Now().UnixMilli()-ids.EpochMillis); held {
		t.Error("the worker was not given back")
	}
	if _, err := g.Next(t.Context()); !errors.Is(err, ids.ErrNoWorker) {
		t.Errorf("id after the end: %v", err)
	}
}

// await waits until the generator makes ids.
func await(t *testing.T, g *ids.Generator) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for tick := time.NewTicker(10 * time.Millisecond); ; {
		if _, err := g.Next(ctx); err == nil {
			tick.Stop()
			return
		}
		select {
		case <-ctx.Done():
			t.Fatal("no worker was leased")
		case <-tick.C:
		}
	}
}
