package rebalance_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgring/pgring/internal/pgtest"
	"github.com/pgring/pgring/rebalance"
	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

// rig is one server whose databases play the shards: a shard's Host is its database. The control database is s1's.
type rig struct {
	server     *pgtest.Server
	reversible time.Duration // 0: as long as it takes to see one change come back
	returnLog  int64
}

const schema = `
CREATE TABLE orders (user_id bigint, id bigint, note text, amount numeric, seen timestamptz[], twice numeric GENERATED ALWAYS AS (amount * 2) STORED,
	PRIMARY KEY (user_id, id));
CREATE TABLE events (user_id bigint NOT NULL, what json, num double precision);
ALTER TABLE events REPLICA IDENTITY FULL;
CREATE TABLE plain (user_id bigint NOT NULL, id bigint PRIMARY KEY, note text);
ALTER TABLE plain REPLICA IDENTITY FULL;
CREATE TABLE parts (user_id bigint, day int, v text, PRIMARY KEY (user_id, day)) PARTITION BY RANGE (day);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (50);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (50) TO (1000000)`

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{server: pgtest.Start(t, 1)[0]}
	for _, name := range []string{"s1", "s2", "s3"} {
		r.server.CreateDatabase(t, name, pgtest.Superuser)
		r.exec(t, name, schema)
		conn, err := r.dial(t.Context(), topology.Shard{Host: name})
		if err == nil {
			err = errors.Join(topology.EnsureRequests(t.Context(), conn), conn.Close(t.Context()))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func (r *rig) exec(t *testing.T, db, sql string) {
	t.Helper()
	r.server.ExecIn(t, db, sql)
}

func (r *rig) control(ctx context.Context) (*pgx.Conn, error) {
	return r.dial(ctx, topology.Shard{Host: "s1"})
}

func (r *rig) dial(ctx context.Context, shard topology.Shard) (*pgx.Conn, error) {
	return pgx.Connect(ctx, r.server.DSN(pgtest.Superuser, shard.Host))
}

func wish(shards ...string) topology.Wish {
	w := topology.Wish{}
	for _, name := range shards {
		w.Shards = append(w.Shards, topology.Shard{ID: ring.ShardID(name), Host: name})
	}
	for _, name := range []string{"orders", "events", "plain", "parts"} {
		table := topology.TableWish{Name: topology.ParseName(name), Kind: topology.Sharded, Key: []string{"user_id"}}
		if name != "orders" {
			table.Colocate = "orders"
		}
		w.Tables = append(w.Tables, table)
	}
	return w
}

const group = "public.orders"

// topology starts one that plays a proxy's, until the test ends.
func (r *rig) topology(t *testing.T, shards ...string) *topology.Topology {
	t.Helper()
	topo, err := topology.New(topology.Config{Control: r.control, Dial: r.dial, Wish: wish(shards...), StartTimeout: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := topo.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.background(t, topo.Run)
	return topo
}

// background runs something until the returned function is called, or the test ends.
func (r *rig) background(t *testing.T, run func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	// owner: the test; ends when the clean-up cancels ctx.
	go func() { done <- run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("background: %v", err)
		}
	}
	t.Cleanup(stop)
	return stop
}

// together runs clients side by side until the returned function is called, or the test ends: before their connections are closed.
func together(t *testing.T, clients ...func(context.Context)) (quiesce func()) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	var group sync.WaitGroup
	for _, run := range clients {
		// owner: the test, which waits; ends when ctx does.
		group.Go(func() { run(ctx) })
	}
	quiesce = func() {
		stop()
		group.Wait()
	}
	t.Cleanup(quiesce)
	return quiesce
}

// smallWriter is an unhurried one for the few users of most tests.
func (r *rig) smallWriter(t *testing.T, topo *topology.Topology) *writer {
	t.Helper()
	w := newWriter(r.client(t, topo), unhurried)
	for user := int64(1); user <= smallUsers; user++ {
		w.users = append(w.users, user)
	}
	return w
}

func (r *rig) controller(t *testing.T, topo *topology.Topology) *rebalance.Controller {
	t.Helper()
	return r.controllerOf(t, topo, r.control, r.dial)
}

func (r *rig) controllerOf(t *testing.T, topo *topology.Topology, control func(context.Context) (*pgx.Conn, error),
	dial func(context.Context, topology.Shard) (*pgx.Conn, error),
) *rebalance.Controller {
	t.Helper()
	reversible := r.reversible
	if reversible == 0 {
		reversible = 50 * time.Millisecond
	}
	c, err := rebalance.New(rebalance.Config{Topology: topo, Control: control, Dial: dial, Poll: 50 * time.Millisecond, Retry: 20 * time.Millisecond,
		Reversible: reversible, ReturnLog: r.returnLog, Log: slog.New(slog.NewTextHandler(testWriter{t}, nil))})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(b)))
	return len(b), nil
}

// plan moves what the ring wants moved now.
func plan(t *testing.T, topo *topology.Topology) []topology.Move {
	t.Helper()
	moves, err := rebalance.Plan(topo.Current())
	if err != nil {
		t.Fatal(err)
	}
	return moves
}

// moveKey moves a user's key.
func moveKey(t *testing.T, topo *topology.Topology, user int64, to ring.ShardID) {
	t.Helper()
	key, err := ring.ParseKey(ring.KeyInt, fmt.Appendf(nil, "%d", user))
	if err != nil {
		t.Fatal(err)
	}
	m, err := rebalance.MoveKey(topo.Current(), group, key, to)
	if err != nil || m == nil {
		t.Fatalf("move key %d to %s: %v, %v", user, to, m, err)
	}
	if _, err := topo.PlanMoves(t.Context(), []topology.Move{*m}); err != nil {
		t.Fatal(err)
	}
}

// await polls a condition.
func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	limit := time.After(2 * time.Minute)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-limit:
			t.Fatalf("not in time: %s", what)
		case <-tick.C:
		}
	}
}

// noMoves waits until all moves are finished, and fails when one has stopped.
func noMoves(t *testing.T, topo *topology.Topology) {
	t.Helper()
	await(t, "all moves are finished", func() bool {
		for _, m := range topo.Current().Moves {
			if m.Problem != "" {
				t.Fatalf("move %d stopped, %s: %s", m.ID, m.State, m.Problem)
			}
		}
		return len(topo.Current().Moves) == 0
	})
}

// client plays a session of a proxy: it plans with a snapshot, enters the gate, and writes on the owner.
type client struct {
	rig    *rig
	topo   *topology.Topology
	use    *topology.Use
	conns  map[ring.ShardID]*pgx.Conn
	fenced *atomic.Int64
}

func (r *rig) client(t *testing.T, topo *topology.Topology) *client {
	c := &client{rig: r, topo: topo, use: topo.NewUse(), conns: map[ring.ShardID]*pgx.Conn{}, fenced: &atomic.Int64{}}
	t.Cleanup(func() {
		c.use.Close()
		for _, conn := range c.conns {
			_ = conn.Close(context.WithoutCancel(t.Context()))
		}
	})
	return c
}

func (c *client) conn(ctx context.Context, id ring.ShardID) (*pgx.Conn, error) {
	if conn := c.conns[id]; conn != nil && !conn.IsClosed() {
		return conn, nil
	}
	conn, err := c.rig.dial(ctx, topology.Shard{Host: string(id)})
	c.conns[id] = conn
	return conn, err
}

// owner waits at the gate and gives the shard to write a user's rows on. The caller ends the use.
func (c *client) owner(ctx context.Context, user int64) (ring.ShardID, error) {
	key, err := ring.ParseKey(ring.KeyInt, fmt.Appendf(nil, "%d", user))
	if err != nil {
		return "", err
	}
	for {
		snap := c.use.Begin()
		at := snap.Group(group).Placement.Locate(key)
		moving, closed := false, false
		for _, m := range snap.Moves {
			if m.Touches(group, at.Slot, false) {
				moving, closed = true, closed || m.State.Closed()
			}
		}
		if !moving || !closed && c.use.Write(snap) {
			return at.Shard, nil
		}
		c.use.End(false)
		if closed {
			if err := c.topo.AwaitNewer(ctx, snap); err != nil {
				return "", err
			}
		}
	}
}

// write runs a statement for a user's rows on their owner, again when a guard has refused it, and returns the number of rows. The
// end of ctx ends the wait at the gate, not a statement.
func (c *client) write(ctx context.Context, user int64, sql string, args ...any) (int, error) {
	for {
		owner, err := c.owner(ctx, user)
		if err != nil {
			return 0, err
		}
		var tag pgconn.CommandTag
		conn, err := c.conn(ctx, owner)
		if err == nil {
			tag, err = conn.Exec(context.WithoutCancel(ctx), sql, args...)
		}
		c.use.End(false)
		var refused *pgconn.PgError
		if !errors.As(err, &refused) || refused.Code != "PR001" {
			return int(tag.RowsAffected()), err
		}
		c.fenced.Add(1)
	}
}

// unhurried is the pace of clients that are there to notice what is wrong, not to keep the servers busy.
const unhurried = 3 * time.Millisecond

// steadily waits as long as the pace says, and reports whether ctx goes on.
func steadily(ctx context.Context, pace time.Duration) bool {
	if pace == 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(pace)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// counts counts the rows of table orders again and again until ctx ends: their number never changes. It returns how often.
func (c *client) counts(ctx context.Context, t *testing.T, rows int64, pace time.Duration) (times int) {
	for ; steadily(ctx, pace); times++ {
		if n, err := c.count(context.WithoutCancel(ctx), "orders"); err != nil || n != rows {
			t.Errorf("a statement on all shards sees %d rows: %v", n, err)
			break
		}
	}
	return times
}

// count counts a table's rows as a statement on several shards would: without those that are hidden.
func (c *client) count(ctx context.Context, table string) (n int64, err error) {
	snap := c.use.Begin()
	defer c.use.End(false)
	for _, owner := range snap.Group(group).Placement.Owners() {
		conn, err := c.conn(ctx, owner)
		if err != nil {
			return 0, err
		}
		sql := "SELECT count(*) FROM " + table
		if hidden := snap.Hidden(group, owner); !hidden.Empty() {
			sql += " WHERE NOT " + hidden.InSQL(ring.KeyInt, "user_id")
		}
		var here int64
		if err := conn.QueryRow(ctx, sql).Scan(&here); err != nil {
			return 0, err
		}
		n += here
	}
	return n, nil
}
