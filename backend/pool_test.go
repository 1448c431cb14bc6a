package backend_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgring/pgring/backend"
	"github.com/pgring/pgring/internal/pgtest"
	"github.com/pgring/pgring/pgwire"
)

// idlePools are pools that nobody runs: nothing is ever connected.
func idlePools(t *testing.T, timeout time.Duration) *backend.Pools {
	t.Helper()
	pools, err := backend.New(backend.Config{AcquireTimeout: timeout, Size: 7,
		Targets: []backend.Target{{Shard: "s1", Host: "192.0.2.1", Login: backend.Login{User: "u"}}}})
	if err != nil {
		t.Fatal(err)
	}
	return pools
}

func TestAcquireGivesUpAfterItsTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pools := idlePools(t, 5*time.Second)
		began := time.Now()
		_, err := pools.Acquire(t.Context(), "s1", "app")
		var exhausted *backend.ExhaustedError
		if !errors.As(err, &exhausted) {
			t.Fatalf("got %v", err)
		}
		want := backend.ExhaustedError{Shard: "s1", Size: 7, Waited: 5 * time.Second}
		if *exhausted != want || time.Since(began) != 5*time.Second {
			t.Errorf("got %+v after %v, want %+v", *exhausted, time.Since(began), want)
		}
	})
}

func TestAcquireEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pools := idlePools(t, 0)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		if _, err := pools.Acquire(ctx, "s1", "app"); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v", err)
		}
		s := stats(t, pools)
		if s.Waiting != 0 || s.Acquires != 1 || s.Waits != 1 || s.WaitTime != 3*time.Second {
			t.Errorf("stats: %+v", s)
		}
	})
}

func TestExhaustedErrorTellsThePoolsState(t *testing.T) {
	cfg := config(pgtest.Start(t, 1)[0])
	cfg.Size, cfg.AcquireTimeout = 2, 50*time.Millisecond
	pools := run(t, cfg)
	first, second := acquire(t, pools), acquire(t, pools)
	_, err := pools.Acquire(t.Context(), "s1", "app")
	var exhausted *backend.ExhaustedError
	if !errors.As(err, &exhausted) {
		t.Fatalf("got %v", err)
	}
	if exhausted.Size != 2 || exhausted.InUse != 2 || exhausted.Waiting != 0 || exhausted.Waited < 50*time.Millisecond {
		t.Errorf("got %+v", exhausted)
	}
	first.Release()
	second.Release()
	acquire(t, pools).Release()
}

func TestUnknownShardIsAnError(t *testing.T) {
	_, err := idlePools(t, 0).Acquire(t.Context(), "s2", "app")
	var unknown *backend.UnknownShardError
	if !errors.As(err, &unknown) || unknown.Shard != "s2" {
		t.Errorf("got %v", err)
	}
}

func TestWaitersAreServedInTheOrderInWhichTheyCame(t *testing.T) {
	cfg := config(pgtest.Start(t, 1)[0])
	cfg.Size = 1
	pools := run(t, cfg)
	held := acquire(t, pools)
	var order []int
	var waiting sync.WaitGroup
	for i := range 20 {
		waiting.Go(func() {
			c, err := pools.Acquire(t.Context(), "s1", "app")
			if err != nil {
				t.Errorf("waiter %d: %v", i, err)
				return
			}
			order = append(order, i) // the only connection guards it
			c.Release()
		})
		eventually(t, "the next one to wait", func() bool { return stats(t, pools).Waiting == i+1 })
	}
	if s := stats(t, pools); s.MaxWait <= 0 || s.Active != 1 {
		t.Errorf("stats: %+v", s)
	}
	held.Release()
	waiting.Wait()
	for i, who := range order {
		if who != i {
			t.Fatalf("served in the order %v", order)
		}
	}
}

func TestManySessionsShareFewConnections(t *testing.T) {
	pools := run(t, config(pgtest.Start(t, 1)[0]))
	var lent, most atomic.Int32
	owners := map[uint32]*atomic.Int32{}
	var mu sync.Mutex
	var sessions sync.WaitGroup
	for session := range 200 {
		sessions.Go(func() {
			for turn := range 10 {
				ctx, cancel := context.WithCancel(t.Context())
				if (session+turn)%7 == 0 {
					context.AfterFunc(ctx, func() {})
					cancel() // gives up at once unless a connection is idle
				}
				c, err := pools.Acquire(ctx, "s1", "app")
				cancel()
				if err != nil {
					if !errors.Is(err, context.Canceled) {
						t.Errorf("acquire: %v", err)
					}
					continue
				}
				mu.Lock()
				owner := owners[c.PID()]
				if owner == nil {
					owner = new(atomic.Int32)
					owners[c.PID()] = owner
				}
				mu.Unlock()
				if owner.Add(1) != 1 {
					t.Error("a connection has two owners")
				}
				most.Store(max(most.Load(), lent.Add(1)))
				if want := fmt.Sprint(session*1000 + turn); must(t, c, "SELECT "+want) != want {
					t.Error("a session got the answer of another")
				}
				lent.Add(-1)
				owner.Add(-1)
				if (session+turn)%50 == 0 {
					c.Discard()
				} else {
					c.Release()
				}
			}
		})
	}
	sessions.Wait()
	if most.Load() > 5 {
		t.Errorf("%d connections at a time", most.Load())
	}
	if s := stats(t, pools); s.Active != 0 || s.Waiting != 0 || s.Idle+s.Used+s.Login > 5 {
		t.Errorf("at the end: %+v", s)
	}
}

func TestOnlyCleanConnectionsAreReused(t *testing.T) {
	pools := run(t, config(pgtest.Start(t, 1)[0]))
	for name, soil := range map[string]func(*backend.Conn){
		"open transaction": func(c *backend.Conn) { must(t, c, "BEGIN") },
		"failed transaction": func(c *backend.Conn) {
			must(t, c, "BEGIN")
			_, err := query(c, "SELECT 1/0")
			wantCode(t, err, "22012")
		},
		"unread answer": func(c *backend.Conn) {
			if err := send(c, "SELECT 1"); err != nil {
				t.Error(err)
			}
			if _, _, err := c.Wire().Peek(); err != nil {
				t.Error(err)
			}
		},
		"unsent bytes": func(c *backend.Conn) {
			if err := c.Wire().Write([]byte{pgwire.Sync, 0, 0, 0, 4}); err != nil {
				t.Error(err)
			}
		},
		"marked": func(c *backend.Conn) { c.MarkDirty("temporary table") },
	} {
		c := acquire(t, pools)
		pid := c.PID()
		soil(c)
		c.Release()
		c = acquire(t, pools)
		if c.PID() == pid {
			t.Errorf("%s: the connection was reused", name)
		}
		if got := must(t, c, "SELECT 'clean'"); got != "clean" || c.Status() != pgwire.TxIdle {
			t.Errorf("%s: the next owner got %q, status %c", name, got, c.Status())
		}
		pid = c.PID()
		c.Release()
		c.Release() // does nothing
		c = acquire(t, pools)
		if c.PID() != pid {
			t.Errorf("%s: a clean connection was not reused", name)
		}
		c.Discard()
		c.Discard()
	}
}

func TestMinimumStaysOpenAndIdleAndOldConnectionsGo(t *testing.T) {
	cfg := config(pgtest.Start(t, 1)[0])
	cfg.MinIdle, cfg.IdleTimeout = 2, 20*time.Millisecond
	pools := run(t, cfg)
	idle := func() int { s := stats(t, pools); return s.Idle + s.Used }
	eventually(t, "the idle minimum", func() bool { return idle() == 2 })
	var held []*backend.Conn
	for range 5 {
		held = append(held, acquire(t, pools))
	}
	for _, c := range held {
		c.Release()
	}
	eventually(t, "the surplus to go", func() bool { return idle() == 2 })
	before := stats(t, pools).Connects
	cfg.MaxLifetime = 100 * time.Millisecond
	if err := pools.Update(cfg); err != nil {
		t.Fatal(err)
	}
	if err := pools.Reconnect("s1"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "two generations of connections to live and die", func() bool { return stats(t, pools).Connects >= before+6 })
	eventually(t, "the idle minimum again", func() bool { return idle() == 2 })
}

func TestConnectionLentBeyondItsLifetimeIsReplaced(t *testing.T) {
	cfg := config(pgtest.Start(t, 1)[0])
	cfg.MaxLifetime = 30 * time.Millisecond
	pools := run(t, cfg)
	pids := map[uint32]bool{}
	eventually(t, "a busy connection to be replaced twice", func() bool {
		c := acquire(t, pools)
		defer c.Release()
		pids[c.PID()] = true
		return len(pids) == 3
	})
}

func TestRunEndsEverything(t *testing.T) {
	s := pgtest.Start(t, 1)[0]
	cfg := config(s)
	cfg.Size = 2
	pools, err := backend.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var running sync.WaitGroup
	running.Go(func() {
		if err := pools.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	held, returned := acquire(t, pools), acquire(t, pools)
	returned.Release()
	third := acquire(t, pools)
	waiter := make(chan error, 1)
	running.Go(func() {
		_, err := pools.Acquire(t.Context(), "s1", "app")
		waiter <- err
	})
	eventually(t, "somebody to wait", func() bool { return stats(t, pools).Waiting == 1 })
	cancel()
	running.Wait()
	if err := <-waiter; !errors.Is(err, backend.ErrClosed) {
		t.Errorf("the waiter got %v", err)
	}
	if _, err := query(held, "SELECT 1"); err == nil {
		t.Error("a lent connection outlived Run")
	}
	held.Release()
	third.Discard()
	if _, err := pools.Acquire(t.Context(), "s1", "app"); !errors.Is(err, backend.ErrClosed) {
		t.Errorf("acquire after the end: %v", err)
	}
	if err := pools.Update(cfg); !errors.Is(err, backend.ErrClosed) {
		t.Errorf("update after the end: %v", err)
	}
	if err := pools.Run(t.Context()); err == nil {
		t.Error("pools ran twice")
	}
	eventually(t, "the server to have no clients", func() bool {
		return pgtest.One[int](t, s, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgring'") == 0
	})
}
