package backend_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/pgring/pgring/backend"
	"github.com/pgring/pgring/internal/pgtest"
	"github.com/pgring/pgring/pgwire"
)

// warm opens n connections and leaves them idle.
func warm(t *testing.T, pools *backend.Pools, n int) []uint32 {
	t.Helper()
	var held []*backend.Conn
	var pids []uint32
	for range n {
		c := acquire(t, pools)
		held, pids = append(held, c), append(pids, c.PID())
	}
	for _, c := range held {
		c.Release()
	}
	return pids
}

func TestKilledShardFailsAtOnceAndRecovers(t *testing.T) {
	servers := pgtest.Start(t, 2)
	cfg := config(servers[0])
	cfg.Targets = append(cfg.Targets, target(servers[1], "s2"))
	pools := run(t, cfg)
	warm(t, pools, 5)
	held := acquire(t, pools)
	servers[0].Kill9(t)
	if _, err := query(held, "SELECT 1"); err == nil {
		t.Error("a connection outlived its server")
	}
	held.Release()
	for range 20 {
		began := time.Now()
		c, err := pools.Acquire(t.Context(), "s1", "app")
		var down *backend.UnavailableError
		if !errors.As(err, &down) {
			t.Fatalf("got connection %v, error %v", c, err)
		}
		if down.Since.IsZero() || time.Since(began) > 5*time.Second {
			t.Errorf("since %v, after %v", down.Since, time.Since(began))
		}
	}
	h := pools.Health()
	if h[0].Healthy || h[0].LastError == nil || h[0].Since.IsZero() || !h[1].Healthy {
		t.Errorf("health: %+v", h)
	}
	c, err := pools.Acquire(t.Context(), "s2", "app")
	if err != nil {
		t.Fatalf("the other shard: %v", err)
	}
	c.Release()
	servers[0].Restart(t)
	eventually(t, "recovery", func() bool { return pools.Health()[0].Healthy })
	c = acquire(t, pools)
	must(t, c, "SELECT 1")
	c.Release()
	if h := pools.Health()[0]; h.Latency <= 0 || h.LastError == nil {
		t.Errorf("health after recovery: %+v", h)
	}
}

func TestWaitersFailAsSoonAsTheShardIsKnownToBeDown(t *testing.T) {
	s := pgtest.Start(t, 1)[0]
	cfg := config(s)
	cfg.Size = 1
	pools := run(t, cfg)
	held := acquire(t, pools)
	failures := make(chan error, 10)
	var waiting sync.WaitGroup
	for range 10 {
		waiting.Go(func() {
			c, err := pools.Acquire(t.Context(), "s1", "app")
			if err == nil {
				_, err = query(c, "SELECT 1")
				c.Release()
			}
			failures <- err
		})
	}
	eventually(t, "ten to wait", func() bool { return stats(t, pools).Waiting == 10 })
	s.Kill9(t)
	held.Release() // dead, but nobody has noticed: the first waiter gets it
	waiting.Wait()
	close(failures)
	unavailable := 0
	for err := range failures {
		var down *backend.UnavailableError
		if errors.As(err, &down) {
			unavailable++
		}
	}
	if unavailable != 9 {
		t.Errorf("%d of 10 were told that the shard is down, want all but the first", unavailable)
	}
}

func TestFullServerGivesItsOwnError(t *testing.T) {
	s := pgtest.Start(t, 1, pgtest.MaxConnections(8), pgtest.Setting("superuser_reserved_connections", "0"), pgtest.Setting("max_wal_senders", "0"))[0]
	for range 8 {
		s.Connect(t)
	}
	pools := run(t, config(s))
	_, err := pools.Acquire(t.Context(), "s1", "app")
	wantCode(t, err, "53300")
	if pools.Health()[0].Healthy {
		t.Error("a server that takes nobody counts as healthy")
	}
}

func TestFrozenServerIsGivenUpAfterTheConnectTimeout(t *testing.T) {
	s := pgtest.Start(t, 1)[0]
	cfg := config(s)
	cfg.Targets[0].ConnectTimeout = 100 * time.Millisecond
	pools := run(t, cfg)
	s.Stop(t)
	_, err := pools.Acquire(t.Context(), "s1", "app")
	var down *backend.UnavailableError
	if !errors.As(err, &down) {
		t.Fatalf("got %v", err)
	}
	s.Cont(t)
	eventually(t, "recovery", func() bool {
		c, err := pools.Acquire(t.Context(), "s1", "app")
		if err == nil {
			c.Release()
		}
		return err == nil
	})
}

func TestIdleConnectionThatTheServerEndedIsNeverLentOut(t *testing.T) {
	s := pgtest.Start(t, 1)[0]
	pools := run(t, config(s))
	for range 3 {
		pids := warm(t, pools, 5)
		admin := s.Connect(t)
		for _, pid := range pids[:3] {
			if _, err := admin.Exec(t.Context(), "SELECT pg_terminate_backend($1, 10000)", int32(pid)); err != nil {
				t.Fatal(err)
			}
		}
		age := time.After(20 * time.Millisecond)
		for {
			c := acquire(t, pools)
			must(t, c, "SELECT 1")
			c.Release()
			if pidIn(pids[:3], c.PID()) {
				t.Fatal("a terminated connection was lent out")
			}
			select {
			case <-age:
			default:
				continue
			}
			break
		}
		var held []*backend.Conn
		for range 5 {
			c := acquire(t, pools)
			if got := must(t, c, "SELECT 'alive'"); got != "alive" {
				t.Errorf("got %q", got)
			}
			held = append(held, c)
		}
		for _, c := range held {
			c.Discard()
		}
	}
}

func pidIn(pids []uint32, pid uint32) bool {
	for _, p := range pids {
		if p == pid {
			return true
		}
	}
	return false
}

func TestDeadIdleConnectionsAreFoundWithoutTraffic(t *testing.T) {
	s := pgtest.Start(t, 1)[0]
	pools := run(t, config(s))
	old := warm(t, pools, 5)
	s.Exec(t, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pgring'")
	eventually(t, "the dead connections to go and one to be tried", func() bool {
		servers := pools.Servers()
		return len(servers) == 1 && servers[0].State == backend.StateIdle && !pidIn(old, servers[0].PID)
	})
	s.Kill9(t)
	eventually(t, "the shard's death to be known", func() bool { return !pools.Health()[0].Healthy })
}

func TestOneDeathMakesTheOthersSuspect(t *testing.T) {
	s := pgtest.Start(t, 1)[0]
	pools := run(t, config(s))
	for range 4 {
		held := []*backend.Conn{acquire(t, pools), acquire(t, pools), acquire(t, pools)}
		s.Exec(t, "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = 'pgring'")
		held[1].Release() // idle for no time at all, and dead
		held[2].Release()
		if _, err := query(held[0], "SELECT 1"); err == nil {
			t.Fatal("a connection outlived its server process")
		}
		held[0].Release()
		c := acquire(t, pools)
		must(t, c, "SELECT 1")
		c.Discard()
	}
}

func TestServersTellsEachConnection(t *testing.T) {
	pools := run(t, config(pgtest.Start(t, 1)[0]))
	c, other := acquire(t, pools), acquire(t, pools)
	other.Release()
	c.AddPrepared(1)
	c.AddPrepared(2)
	states := map[backend.State]int{}
	for _, s := range pools.Servers() {
		states[s.State]++
		if s.Shard != "s1" || s.User != pgtest.Superuser || s.Database != "postgres" || s.PID == 0 || s.Remote == "" || s.Local == "" || s.Opened.IsZero() || s.Request.IsZero() {
			t.Errorf("%+v", s)
		}
		if s.State == backend.StateActive && (s.PID != c.PID() || s.Prepared != 2) {
			t.Errorf("%+v", s)
		}
	}
	if states[backend.StateActive] != 1 || states[backend.StateIdle] != 1 {
		t.Errorf("states: %v", states)
	}
	if c.Shard() != "s1" || c.Status() != pgwire.TxIdle {
		t.Errorf("shard %s, status %c", c.Shard(), c.Status())
	}
	c.Release()
}
