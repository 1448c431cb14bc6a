package backend_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/pgring/pgring/backend"
	"github.com/pgring/pgring/internal/pgtest"
	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/ring"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func password(text string) func() (string, error) { return func() (string, error) { return text, nil } }

// target is a server of pgtest as its superuser.
func target(s *pgtest.Server, id ring.ShardID) backend.Target {
	return backend.Target{Shard: id, Host: s.Host, Port: s.Port,
		Login: backend.Login{User: pgtest.Superuser, Password: password(pgtest.SuperuserPassword), Database: "postgres"}}
}

func config(s *pgtest.Server) backend.Config {
	return backend.Config{Targets: []backend.Target{target(s, "s1")}, Size: 5, AcquireTimeout: 30 * time.Second, PreparedStatements: 100}
}

// run starts pools that end with the test.
func run(t testing.TB, cfg backend.Config) *backend.Pools {
	t.Helper()
	pools, err := backend.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	running.Go(func() {
		if err := pools.Run(ctx); err != nil {
			t.Errorf("run: %v", err)
		}
	})
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	return pools
}

func acquire(t testing.TB, pools *backend.Pools) *backend.Conn {
	t.Helper()
	c, err := pools.Acquire(t.Context(), "s1", "app")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func stats(t testing.TB, pools *backend.Pools) backend.PoolStats {
	t.Helper()
	all := pools.Stats()
	if len(all) == 0 {
		t.Fatal("no pools")
	}
	return all[0]
}

// eventually polls until the condition holds.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("in vain waited for: %s", what)
		}
	}
}

// send writes a simple query without reading its answer.
func send(c *backend.Conn, sql string) error {
	if err := c.Wire().Write(pgwire.AppendText(nil, pgwire.Query, sql)); err != nil {
		return err
	}
	return c.Wire().Flush()
}

// receive reads one answer up to ReadyForQuery: the first value of the last row, or the server's error.
func receive(c *backend.Conn) (string, error) {
	var value string
	var refused *pgwire.Error
	for {
		typ, size, err := c.Wire().Peek()
		if err != nil {
			c.MarkDirty("connection lost")
			return "", errors.Join(err, asError(refused))
		}
		frame, err := c.Wire().Frame(size, 1<<20)
		if err != nil {
			return "", err
		}
		body := pgwire.BodyOf(frame)
		switch typ {
		case pgwire.ErrorResponse:
			refused = pgwire.ParseError(frame)
		case pgwire.DataRow:
			body.Int16()
			value = string(body.Bytes(body.Int32()))
		case pgwire.ReadyForQuery:
			c.SetStatus(body.Byte())
			return value, asError(refused)
		}
	}
}

func asError(e *pgwire.Error) error {
	if e == nil {
		return nil
	}
	return e
}

func query(c *backend.Conn, sql string) (string, error) {
	if err := send(c, sql); err != nil {
		c.MarkDirty("connection lost")
		return "", err
	}
	return receive(c)
}

func must(t testing.TB, c *backend.Conn, sql string) string {
	t.Helper()
	value, err := query(c, sql)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return value
}

func wantCode(t testing.TB, err error, code string) {
	t.Helper()
	var refused *pgwire.Error
	if !errors.As(err, &refused) || refused.Code != code {
		t.Fatalf("got error %v, want SQLSTATE %s", err, code)
	}
}
