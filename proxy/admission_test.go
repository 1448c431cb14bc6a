package proxy_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/limits"
	"github.com/pgring/pgring/proxy"
	"github.com/pgring/pgring/topology"
)

func TestWritesOverTheRateAreToldWhenToRetry(t *testing.T) {
	c := start(t, options{})
	users := topology.Name{Schema: "public", Table: "users"}
	c.apply(func(p *proxy.Policy) {
		p.Limits = &proxy.Limits{Tables: map[topology.Name]proxy.TableLimit{
			users: {Rate: limits.NewBuckets(limits.Rate{PerSecond: 0.001, Burst: 2}, 0), Key: "id"}}}
	})
	conn, ctx := c.connect(), context.Background()
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeExec} {
		_, err := conn.Exec(ctx, "INSERT INTO users VALUES ($1) ON CONFLICT DO NOTHING", mode, 1)
		must(t, err)
	}
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeExec, pgx.QueryExecModeCacheStatement} {
		_, err := conn.Exec(ctx, "UPDATE users SET age = 1 WHERE id = $1", mode, 1)
		e := wantCode(t, err, "53400")
		if e.Message != `too many writes to table "users" with one "id"` || !strings.Contains(e.Hint, "Try again in ") || !strings.Contains(e.Detail, "burst of 2") {
			t.Errorf("told %q, %q, %q", e.Message, e.Detail, e.Hint)
		}
	}
	if n := c.server.Stats().Limited["rate"]; n != 3 {
		t.Errorf("%d refusals were counted, want 3", n)
	}
	// Reads, other keys and other tables go on, and so does a transaction that only has to end.
	wantValue(t, conn, "SELECT count(*) FROM users WHERE id = 1", "1")
	_, err := conn.Exec(ctx, "BEGIN; INSERT INTO users VALUES (2); INSERT INTO notes VALUES (2, 1)")
	must(t, err)
	_, err = conn.Exec(ctx, "COMMIT")
	must(t, err)
	// An error of a limit fails a transaction as any error does.
	_, err = conn.Exec(ctx, "BEGIN; UPDATE notes SET n = 2 WHERE user_id = 2")
	must(t, err)
	_, err = conn.Exec(ctx, "DELETE FROM users WHERE id = 1")
	wantCode(t, err, "53400")
	_, err = conn.Exec(ctx, "SELECT 1")
	wantCode(t, err, "25P02")
	_, err = conn.Exec(ctx, "ROLLBACK")
	must(t, err)
	wantValue(t, conn, "SELECT n FROM notes WHERE user_id = 2", "1")
}

func TestStatementsInFlightAreBounded(t *testing.T) {
	c := start(t, options{shards: 1})
	line := limits.NewInFlight(limits.InFlightConfig{Max: 1, Wait: time.Minute})
	c.apply(func(p *proxy.Policy) { p.Limits = &proxy.Limits{InFlight: line} })
	ctx := context.Background()
	holder, other := c.connect(), c.connect()
	_, err := holder.Exec(ctx, "INSERT INTO users VALUES (1)")
	must(t, err)
	_, err = holder.Exec(ctx, "BEGIN; UPDATE users SET age = 0 WHERE id = 1")
	must(t, err) // an open transaction that runs nothing is not in flight
	wantValue(t, other, "SELECT 1", "1")

	var group sync.WaitGroup
	group.Go(func() {
		if _, err := other.Exec(ctx, "UPDATE users SET age = 1 WHERE id = 1"); err != nil {
			t.Error(err)
		}
	})
	waitFor(t, "a statement that waits for the lock", func() bool { return line.Stats().Running == 1 })
	third := c.connect()
	group.Go(func() { wantValue(t, third, "SELECT 2", "2") })
	waitFor(t, "a statement in line", func() bool { return line.Stats().Waiting == 1 })
	// Who holds the lock that the one in flight waits for gets through.
	_, err = holder.Exec(ctx, "UPDATE users SET age = 2 WHERE id = 1")
	must(t, err)
	_, err = holder.Exec(ctx, "COMMIT")
	must(t, err)
	group.Wait()
	waitFor(t, "the end of all", func() bool { return line.Stats().Running == 0 })

	c.apply(func(p *proxy.Policy) {
		line = limits.NewInFlight(limits.InFlightConfig{Max: 1})
		p.Limits = &proxy.Limits{InFlight: line}
	})
	group.Go(func() { _, _ = holder.Exec(ctx, "SELECT pg_sleep(3600)") })
	waitFor(t, "a statement in flight", func() bool { return line.Stats().Running == 1 })
	_, err = third.Exec(ctx, "SELECT 1")
	if e := wantCode(t, err, "53400"); e.Message != "too many statements in flight" {
		t.Errorf("told %q", e.Message)
	}
	c.running(t, "pg_sleep(3600)", 1) // else there is nothing to cancel
	must(t, tryCancel(c.addr, holder.PgConn().PID(), holder.PgConn().SecretKey()))
	group.Wait()
	wantValue(t, third, "SELECT 1", "1")
}

func TestASlowShardIsSpared(t *testing.T) {
	c := start(t, options{})
	shards := limits.NewPerShard(limits.InFlightConfig{Max: 1, Wait: 100 * time.Millisecond})
	ctx := context.Background()
	holder, other := c.connect(), c.connect()
	user := map[bool]int64{} // one of the first shard, and one of another
	for id := range int64(100) {
		user[c.shardOf(id) == c.servers[0]] = id
	}
	for _, id := range user {
		_, err := holder.Exec(ctx, "INSERT INTO users VALUES ($1)", id)
		must(t, err)
	}
	c.apply(func(p *proxy.Policy) { p.Limits = &proxy.Limits{Shards: shards} })
	_, err := holder.Exec(ctx, fmt.Sprintf("BEGIN; UPDATE users SET age = 0 WHERE id = %d", user[true]))
	must(t, err) // its place is free again, its lock is not
	var group sync.WaitGroup
	blocked := c.connect()
	group.Go(func() {
		if _, err := blocked.Exec(ctx, fmt.Sprintf("UPDATE users SET age = 1 WHERE id = %d", user[true])); err != nil {
			t.Error(err)
		}
	})
	first := shards.Of("s1")
	waitFor(t, "a statement that waits for the lock", func() bool { return first.Stats().Running == 1 })
	_, err = other.Exec(ctx, fmt.Sprintf("SELECT age FROM users WHERE id = %d", user[true]))
	if e := wantCode(t, err, "53400"); e.Message != `shard "s1" is too slow for more statements` {
		t.Errorf("told %q", e.Message)
	}
	wantValue(t, other, fmt.Sprintf("SELECT count(*) FROM users WHERE id = %d", user[false]), "1")
	// Who holds the lock goes on, on another shard too, and ends.
	wantValue(t, holder, fmt.Sprintf("SELECT count(*) FROM users WHERE id = %d", user[false]), "1")
	_, err = holder.Exec(ctx, fmt.Sprintf("UPDATE users SET age = 2 WHERE id = %d", user[true]))
	must(t, err)
	_, err = holder.Exec(ctx, "COMMIT")
	must(t, err)
	group.Wait()
	waitFor(t, "the end of all", func() bool {
		for _, s := range shards.Stats() {
			if s.Running != 0 {
				return false
			}
		}
		return true
	})
	wantValue(t, other, fmt.Sprintf("SELECT age FROM users WHERE id = %d", user[true]), "1")
	if s := first.Stats(); s.Refused != 1 || s.Limit != 1 {
		t.Errorf("counted %+v", s)
	}
}

func TestClientsThatVanishLeaveTheLimits(t *testing.T) {
	c := start(t, options{shards: 1})
	line := limits.NewInFlight(limits.InFlightConfig{Max: 100})
	keys := limits.NewPerKey(limits.PerKeyConfig{Running: 1})
	c.apply(func(p *proxy.Policy) { p.Limits = &proxy.Limits{InFlight: line, PerKey: keys} })
	ctx := context.Background()
	for i := range 5 {
		conn := c.connect()
		_, err := conn.Exec(ctx, "BEGIN; INSERT INTO users VALUES (1)")
		must(t, err)
		if i%2 == 0 {
			_, err := conn.PgConn().Conn().Write([]byte{'Q', 0, 0}) // a message that is cut short
			must(t, err)
		}
		must(t, conn.PgConn().Conn().Close())
		waitFor(t, "the key to be free", func() bool {
			_, err := c.connect().Exec(ctx, "UPDATE users SET age = 1 WHERE id = 1")
			return err == nil
		})
	}
	waitFor(t, "nothing in flight", func() bool { return line.Stats().Running == 0 })
}

func TestWritersOfAHotKeyWaitForEachOtherOnly(t *testing.T) {
	c := start(t, options{})
	keys := limits.NewPerKey(limits.PerKeyConfig{Running: 1, Queued: 1, Wait: time.Minute})
	c.apply(func(p *proxy.Policy) { p.Limits = &proxy.Limits{PerKey: keys} })
	ctx := context.Background()
	holder, second, third := c.connect(), c.connect(), c.connect()
	_, err := holder.Exec(ctx, "BEGIN; INSERT INTO users VALUES (1)")
	must(t, err)
	var group sync.WaitGroup
	group.Go(func() {
		if _, err := second.Exec(ctx, "UPDATE users SET age = 7 WHERE id = 1"); err != nil {
			t.Error(err)
		}
	})
	// The line has one place; once it is taken, more are turned away, and those of other keys are not.
	waitFor(t, "the line to be full", func() bool { return keys.Waiting() == 1 })
	if _, err := third.Exec(ctx, "UPDATE users SET age = 8 WHERE id = 1"); err == nil || !strings.Contains(err.Error(), "53400") {
		t.Errorf("in a full line: %v", err)
	}
	for id := 2; id < 20; id++ {
		_, err := third.Exec(ctx, fmt.Sprintf("INSERT INTO users VALUES (%d)", id))
		must(t, err)
	}
	wantValue(t, third, "SELECT count(*) FROM users WHERE id = 1", "0") // reads do not wait
	_, err = holder.Exec(ctx, "UPDATE users SET age = 6 WHERE id = 1")
	must(t, err)
	_, err = holder.Exec(ctx, "COMMIT")
	must(t, err)
	group.Wait()
	wantValue(t, third, "SELECT age FROM users WHERE id = 1", "7")
}

func TestHotKeysAreShown(t *testing.T) {
	c := start(t, options{})
	conn, ctx := c.connect(), context.Background()
	for i := range 600 {
		_, err := conn.Exec(ctx, "SELECT * FROM users WHERE id = $1", []int{42, 42, 42, 42, 42, i}[i%6])
		must(t, err)
	}
	top := c.server.HotKeys(1)
	if len(top) != 1 || top[0].Name != "42" || top[0].Table != "public.users" || top[0].PerSecond <= 0 {
		t.Errorf("hottest: %+v", top)
	}
}
