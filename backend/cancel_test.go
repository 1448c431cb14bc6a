package backend_test

import (
	"context"
	"crypto/tls"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/pgring/pgring/backend"
	"github.com/pgring/pgring/internal/pgtest"
)

func itoa(i int) string { return strconv.Itoa(i) }

// running waits until the connection's statement is being executed.
func running(t *testing.T, s *pgtest.Server, c *backend.Conn) {
	t.Helper()
	eventually(t, "the statement to run", func() bool {
		return pgtest.One[bool](t, s, "SELECT count(*) = 1 FROM pg_stat_activity WHERE pid = $1 AND state = 'active'", int32(c.PID()))
	})
}

func TestCancelEndsTheStatement(t *testing.T) {
	for name, option := range map[string]pgtest.Option{"plain": pgtest.MaxConnections(20), "TLS": pgtest.TLSOnly()} {
		t.Run(name, func(t *testing.T) {
			s := pgtest.Start(t, 1, option)[0]
			cfg := config(s)
			if s.CAFile != "" {
				cfg.Targets[0].TLS = &tls.Config{RootCAs: roots(t, s.CAFile)}
			}
			c := acquire(t, run(t, cfg))
			defer c.Release()
			if err := send(c, "SELECT pg_sleep(600)"); err != nil {
				t.Fatal(err)
			}
			running(t, s, c)
			if err := c.Cancel(t.Context()); err != nil {
				t.Fatal(err)
			}
			_, err := receive(c)
			wantCode(t, err, "57014")
			must(t, c, "SELECT 1")
		})
	}
}

func TestCancelNeverHitsTheNextOwner(t *testing.T) {
	cfg := config(pgtest.Start(t, 1)[0])
	cfg.Size = 1
	pools := run(t, cfg)
	cancelled := 0
	for range 150 {
		c := acquire(t, pools)
		if err := send(c, "SELECT pg_sleep(0.001)"); err != nil {
			t.Fatal(err)
		}
		begun := make(chan struct{})
		var cancels sync.WaitGroup
		for range 3 {
			cancels.Go(func() {
				begun <- struct{}{}
				if err := c.Cancel(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		for range 3 {
			<-begun
		}
		if _, err := receive(c); err != nil {
			wantCode(t, err, "57014")
			cancelled++
		}
		c.Release()
		next := acquire(t, pools)
		if got := must(t, next, "SELECT 'untouched', pg_sleep(0.002)"); got != "untouched" {
			t.Fatalf("got %q", got)
		}
		cancels.Wait() // those that came too late did nothing, or hit nobody
		next.Release()
	}
	t.Logf("%d of 150 statements were cancelled in time", cancelled)
}

func TestCancelOfAReturnedConnectionDoesNothing(t *testing.T) {
	s := pgtest.Start(t, 1)[0]
	c := acquire(t, run(t, config(s)))
	c.Release()
	s.Kill9(t)
	if err := c.Cancel(t.Context()); err != nil { // would fail if it were sent
		t.Error(err)
	}
}

func TestConnectionWithADoubtfulCancelIsNotReused(t *testing.T) {
	s := pgtest.Start(t, 1)[0]
	pools := run(t, config(s))
	c := acquire(t, pools)
	pid := c.PID()
	s.Stop(t) // the request is sent, but nobody confirms it
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := c.Cancel(ctx); err == nil {
		t.Fatal("a frozen server confirmed a cancel")
	}
	s.Cont(t)
	c.Release()
	c = acquire(t, pools)
	if c.PID() == pid {
		t.Error("the connection was reused")
	}
	c.Release()
}
