package backend_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/pgring/pgring/backend"
	"github.com/pgring/pgring/internal/pgtest"
)

func TestPauseWaitsForTheConnectionsAndHoldsNewcomersBack(t *testing.T) {
	pools := run(t, config(pgtest.Start(t, 1)[0]))
	warm(t, pools, 3)
	held := acquire(t, pools)
	paused := make(chan error, 1)
	var background sync.WaitGroup
	background.Go(func() { paused <- pools.Pause(t.Context(), "s1") })
	eventually(t, "the pause to begin", func() bool { return stats(t, pools).Paused })
	newcomer := make(chan *backend.Conn, 1)
	background.Go(func() {
		c, err := pools.Acquire(t.Context(), "s1", "app")
		if err != nil {
			t.Error(err)
		}
		newcomer <- c
	})
	eventually(t, "the newcomer to wait", func() bool { return stats(t, pools).Waiting == 1 })
	select {
	case err := <-paused:
		t.Fatalf("pause ended with a connection in use: %v", err)
	default:
	}
	must(t, held, "SELECT 1") // what runs goes on
	held.Release()
	if err := <-paused; err != nil {
		t.Fatal(err)
	}
	if n := len(pools.Servers()); n != 0 {
		t.Errorf("%d connections are open during the pause", n)
	}
	if s := stats(t, pools); s.Waiting != 1 {
		t.Errorf("stats: %+v", s)
	}
	if err := pools.Resume("s1"); err != nil {
		t.Fatal(err)
	}
	c := <-newcomer
	must(t, c, "SELECT 1")
	c.Release()
	background.Wait()
}

func TestPauseThatIsGivenUpStaysUntilResume(t *testing.T) {
	cfg := config(pgtest.Start(t, 1)[0])
	cfg.AcquireTimeout = 10 * time.Millisecond
	pools := run(t, cfg)
	var held *backend.Conn
	eventually(t, "a connection", func() (ok bool) {
		var err error
		held, err = pools.Acquire(t.Context(), "s1", "app")
		return err == nil
	})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := pools.Pause(ctx, ""); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v", err)
	}
	_, err := pools.Acquire(t.Context(), "s1", "app")
	var exhausted *backend.ExhaustedError
	if !errors.As(err, &exhausted) || !exhausted.Paused || exhausted.InUse != 1 {
		t.Errorf("got %v", err)
	}
	held.Release()
	if err := pools.Pause(t.Context(), ""); err != nil {
		t.Error(err)
	}
	if err := pools.Resume(""); err != nil {
		t.Error(err)
	}
	eventually(t, "a connection after the pause", func() bool {
		c, err := pools.Acquire(t.Context(), "s1", "app")
		if err == nil {
			c.Release()
		}
		return err == nil
	})
	for _, err := range []error{pools.Pause(t.Context(), "s9"), pools.Resume("s9"), pools.Reconnect("s9")} {
		var unknown *backend.UnknownShardError
		if !errors.As(err, &unknown) {
			t.Errorf("unknown shard: %v", err)
		}
	}
}

func TestReconnectReplacesEveryConnection(t *testing.T) {
	pools := run(t, config(pgtest.Start(t, 1)[0]))
	old := warm(t, pools, 3)
	held := acquire(t, pools)
	if err := pools.Reconnect("s1"); err != nil {
		t.Fatal(err)
	}
	must(t, held, "SELECT 1") // the owner keeps it
	held.Release()
	for _, pid := range warm(t, pools, 5) {
		if pidIn(old, pid) {
			t.Error("an old connection is lent out")
		}
	}
}

func TestUpdateKeepsWhatStaysAndReplacesTheRest(t *testing.T) {
	servers := pgtest.Start(t, 2)
	s1, s2 := target(servers[0], "s1"), target(servers[1], "s2")
	cfg := config(servers[0])
	cfg.Targets = []backend.Target{s1, s2}
	pools := run(t, cfg)
	kept := warm(t, pools, 1)[0]
	gone, err := pools.Acquire(t.Context(), "s2", "app")
	if err != nil {
		t.Fatal(err)
	}
	servers[0].Exec(t, "CREATE ROLE vip LOGIN")

	s1.Logins = map[string]backend.Login{"vip": {User: "vip", Database: "postgres"}}
	cfg.Targets = []backend.Target{s1}
	if err := pools.Update(cfg); err != nil {
		t.Fatal(err)
	}
	c := acquire(t, pools)
	if c.PID() != kept {
		t.Error("a connection that stays was replaced")
	}
	vip, err := pools.Acquire(t.Context(), "s1", "vip")
	if err != nil {
		t.Fatal(err)
	}
	if got := must(t, vip, "SELECT current_user"); got != "vip" {
		t.Errorf("the new login works as %s", got)
	}
	vip.Release()
	var unknown *backend.UnknownShardError
	if _, err := pools.Acquire(t.Context(), "s2", "app"); !errors.As(err, &unknown) {
		t.Errorf("removed shard: %v", err)
	}
	must(t, gone, "SELECT 1") // drains
	gone.Release()

	moved := target(servers[1], "s1")
	cfg.Targets = []backend.Target{moved}
	if err := pools.Update(cfg); err != nil {
		t.Fatal(err)
	}
	must(t, c, "SELECT 1")
	c.Release()
	c = acquire(t, pools)
	if got, want := must(t, c, "SELECT current_setting('port')::int = "+itoa(servers[1].Port)), "t"; got != want {
		t.Error("the moved shard's old server is used")
	}
	c.Release()
	for _, s := range servers {
		eventually(t, "unused connections to be closed", func() bool {
			return pgtest.One[int](t, s, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgring'") <= 1
		})
	}
}

func TestUpdateWithAMistakeChangesNothing(t *testing.T) {
	cfg := config(pgtest.Start(t, 1)[0])
	pools := run(t, cfg)
	pid := warm(t, pools, 1)[0]
	bad := cfg
	bad.Size = 1
	bad.Targets = append([]backend.Target{{Shard: "s0"}}, cfg.Targets...)
	if err := pools.Update(bad); err == nil {
		t.Fatal("no error")
	}
	if s := stats(t, pools); s.Size != 5 || len(pools.Stats()) != 1 {
		t.Errorf("stats: %+v", s)
	}
	c := acquire(t, pools)
	if c.PID() != pid {
		t.Error("the connection was replaced")
	}
	c.Release()
}

func TestSmallerSizeAppliesToConnectionsInUse(t *testing.T) {
	cfg := config(pgtest.Start(t, 1)[0])
	pools := run(t, cfg)
	var held []*backend.Conn
	for range 5 {
		held = append(held, acquire(t, pools))
	}
	cfg.Size = 2
	if err := pools.Update(cfg); err != nil {
		t.Fatal(err)
	}
	for _, c := range held {
		c.Release()
	}
	if n := len(pools.Servers()); n != 2 {
		t.Errorf("%d connections are open", n)
	}
}

func TestWaiterOfAPoolThatIsRemovedIsToldSo(t *testing.T) {
	cfg := config(pgtest.Start(t, 1)[0])
	cfg.Size = 1
	pools := run(t, cfg)
	held := acquire(t, pools)
	waiter := make(chan error, 1)
	var background sync.WaitGroup
	background.Go(func() {
		_, err := pools.Acquire(t.Context(), "s1", "app")
		waiter <- err
	})
	eventually(t, "somebody to wait", func() bool { return stats(t, pools).Waiting == 1 })
	cfg.Targets = nil
	if err := pools.Update(cfg); err != nil {
		t.Fatal(err)
	}
	background.Wait()
	var unknown *backend.UnknownShardError
	if err := <-waiter; !errors.As(err, &unknown) {
		t.Errorf("got %v", err)
	}
	held.Release()
}
