package e2e

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"
	"golang.org/x/sync/errgroup"
)

// TestTwoThousandClients has 25 clients for each connection to a shard, all of them busy.
func TestTwoThousandClients(t *testing.T) {
	const clients, rounds = 2000, 5
	c := start(t, layout{binary: plainVariable, poolSize: 20, pool: "  acquire_timeout: 1m\n"})
	login := c.wireLogin(t)
	all := c.crowd(t, login, clients)
	began := time.Now()
	var group errgroup.Group
	for i, client := range all {
		// owner: the test; ends after its rounds
		group.Go(func() error { return client.work(int64(i+1), rounds) })
	}
	must(t, group.Wait())
	t.Logf("%d clients ran %d statements in %s", clients, clients*rounds*5, time.Since(began))
	conn := c.connect(t)
	if got := one[int](t, conn, "SELECT sum(balance) FROM customers"); got != clients*rounds {
		t.Errorf("the balances sum up to %d, want %d", got, clients*rounds)
	}
	if got := one[int](t, conn, "SELECT count(*) FROM orders"); got != clients*rounds {
		t.Errorf("%d orders, want %d", got, clients*rounds)
	}
	for i, s := range c.servers {
		used := one[int](t, s.Connect(t), "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app' AND datname = 'shop'")
		if used > 20 {
			t.Errorf("%s has %d connections of the pool, more than 20", shardName(i), used)
		}
	}
}

// crowd logs in many clients.
func (c *cluster) crowd(t *testing.T, login *wireLogin, n int) []*wireClient {
	t.Helper()
	all := make([]*wireClient, n)
	t.Cleanup(func() {
		for _, client := range all {
			if client != nil {
				_ = client.Close()
			}
		}
	})
	var group errgroup.Group
	group.SetLimit(64)
	for i := range all {
		// owner: crowd; ends when the client is in
		group.Go(func() error {
			var err error
			all[i], err = login.connect()
			return err
		})
	}
	must(t, group.Wait())
	return all
}

// work is what one of many clients does: its own customer, a read, and a transaction of two writes.
func (c *wireClient) work(id int64, rounds int) error {
	if err := c.query(fmt.Sprintf("INSERT INTO customers (id, name) VALUES (%d, 'busy')", id)); err != nil {
		return err
	}
	key := strconv.FormatInt(id, 10)
	for round := range rounds {
		if err := c.prepared("SELECT balance FROM customers WHERE id = $1", key); err != nil {
			return fmt.Errorf("read: %w", err)
		}
		for _, sql := range []string{"BEGIN", fmt.Sprintf("INSERT INTO orders VALUES (%d, %d, 'thing')", id, round),
			fmt.Sprintf("UPDATE customers SET balance = balance + 1 WHERE id = %d", id), "COMMIT"} {
			if err := c.query(sql); err != nil {
				return fmt.Errorf("%s: %w", sql, err)
			}
		}
	}
	return nil
}

func TestTenThousandIdleClientsAreCheap(t *testing.T) {
	const perClient = 9 << 10 // on the average of those that rest already and the last ones
	c := start(t, layout{binary: plainVariable, clients: 12_000})
	login := c.wireLogin(t)
	for range 50 { // what the first clients cost is not the price of one more
		client, err := login.connect()
		must(t, err)
		must(t, client.query("SELECT id FROM customers WHERE id = 1"))
		must(t, client.Close())
	}
	var limit syscall.Rlimit
	must(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit))
	n := min(10_000, int(limit.Cur)-1000)
	before, began := c.rss(t), time.Now()
	all := c.crowd(t, login, n)
	each := (c.rss(t) - before) / int64(n)
	t.Logf("%d clients logged in within %s and cost %d bytes each (%d MB in all)", n, time.Since(began), each, c.rss(t)>>20)
	if each > perClient {
		t.Errorf("an idle client costs %d bytes, more than %d", each, perClient)
	}
	for _, client := range []*wireClient{all[0], all[n/2], all[n-1]} {
		must(t, client.query("SELECT id FROM customers WHERE id = 1"))
	}
}

// TestLargeResultThroughSlowReader reads more than a gigabyte, and every now and then does not read at all until a shard has to
// wait.
func TestLargeResultThroughSlowReader(t *testing.T) {
	c := start(t, layout{binary: plainVariable})
	conn := c.connect(t)
	for id := range 200 {
		execute(t, conn, "INSERT INTO customers (id, name) VALUES ($1, 'wide')", id)
	}
	client, err := c.wireLogin(t).connect()
	must(t, err)
	defer client.Close()
	must(t, client.query("SELECT repeat('x', 1000) FROM generate_series(1, 10000)"))
	t.Run("from one shard", func(t *testing.T) {
		c.readSlowly(t, client, "SELECT repeat('x', 1000) FROM generate_series(1, 1000000)", 1_000_000)
	})
	t.Run("merged from four shards", func(t *testing.T) {
		c.readSlowly(t, client, "SELECT id, repeat('x', 1000) FROM customers, generate_series(1, 1000) ORDER BY id", 200_000)
	})
}

// readSlowly watches the memory of the proxy while a client takes its time for a result.
func (c *cluster) readSlowly(t *testing.T, client *wireClient, sql string, rows int) {
	const allowance = 20 << 20
	before := c.rss(t)
	client.Send(&pgproto3.Query{String: sql})
	must(t, client.Flush())
	var watchers []*pgx.Conn
	for _, s := range c.servers {
		watchers = append(watchers, s.Connect(t))
	}
	most, seen := int64(0), 0
	for done := false; !done; {
		message, err := client.Receive()
		must(t, err)
		switch m := message.(type) {
		case *pgproto3.DataRow:
			// Near the end what is left fits into the buffers of the sockets, and nobody has to wait.
			if seen++; seen%(rows/10) == 1 && seen < rows/2 {
				awaitClientWrite(t, watchers)
				most = max(most, c.rss(t))
			}
		case *pgproto3.ErrorResponse:
			t.Fatal(pgError(m))
		case *pgproto3.ReadyForQuery:
			done = true
		}
	}
	if seen != rows {
		t.Errorf("%d rows, want %d", seen, rows)
	}
	most = max(most, c.rss(t))
	t.Logf("memory grew by %d KB", (most-before)>>10)
	if most-before > allowance {
		t.Errorf("memory grew from %d to %d MB during a large result", before>>20, most>>20)
	}
}

// awaitClientWrite waits until a server cannot send more of its result.
func awaitClientWrite(t *testing.T, watchers []*pgx.Conn) {
	t.Helper()
	eventually(t, patience, "a shard waits for the reader", func(context.Context) error {
		for _, conn := range watchers {
			if one[int](t, conn, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'ClientWrite'") > 0 {
				return nil
			}
		}
		return errors.New("none does")
	})
}
