package rebalance_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgring/pgring/internal/pgtest"
	"github.com/pgring/pgring/rebalance"
	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

// fill writes rows of all kinds of tables for users 1 to n.
func fill(t *testing.T, c *client, n int64) {
	t.Helper()
	for user := int64(1); user <= n; user++ {
		for _, sql := range []string{
			`INSERT INTO orders SELECT $1::bigint, 1, string_agg(md5(g::text), ''), 1.50, ARRAY['infinity', NULL, '2020-01-02 03:04:05.678901+09']::timestamptz[] FROM generate_series(1, 300) g`,
			"INSERT INTO events SELECT $1::bigint, json_build_object('a', g), 0.1 + 0.2 FROM generate_series(1, 3) g",
			"INSERT INTO plain VALUES ($1, $1, E'back\\\\slash\\ttab\\nline')",
			"INSERT INTO parts SELECT $1::bigint, g * 30, '' FROM generate_series(1, 3) g",
		} {
			if _, err := c.write(t.Context(), user, sql, user); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// writer changes rows of its users until ctx ends, and keeps what the tables must hold.
type writer struct {
	client *client
	pace   time.Duration // of its writes; 0: full speed
	users  []int64
	notes  map[int64]string // by user, of table orders
	days   map[int64]int    // by user, rows of table parts
	events map[int64]int
	asked  map[int64]int // by user, requests that were done
	ops    atomic.Int64
}

// newRequest does what a session does of an idempotent write besides the write, in one statement; oldRequest finds it done.
const (
	requestOf  = "'public.orders', hashint8extended($1::bigint, 0), $1::bigint::text, 'public', 'orders', $2::text, "
	askRequest = "pgring.claim_request(" + requestOf + "sha256(convert_to($2::text, 'UTF8')), 3600)"
	newRequest = "SELECT pgring.record_request(" + requestOf + "'INSERT 0 1', convert_to($2::text, 'UTF8')) FROM " + askRequest + " WHERE state = 'new'"
	oldRequest = "SELECT FROM " + askRequest + " WHERE state = 'done' AND result = convert_to($2::text, 'UTF8')"
)

func newWriter(c *client, pace time.Duration) *writer {
	return &writer{client: c, pace: pace, notes: map[int64]string{}, days: map[int64]int{}, events: map[int64]int{}, asked: map[int64]int{}}
}

func (w *writer) run(ctx context.Context, t *testing.T) {
	for i := 0; steadily(ctx, w.pace); i++ {
		user := w.users[i%len(w.users)]
		note := fmt.Sprint("note ", i)
		steps := []struct {
			sql  string
			args []any
			done func(n int)
		}{
			{"UPDATE orders SET amount = amount + 1 WHERE user_id = $1", []any{user}, func(int) {}}, // the long note stays as it is, unseen by the stream
			{"UPDATE orders SET note = $2 WHERE user_id = $1", []any{user, note}, func(int) { w.notes[user] = note }},
			{"INSERT INTO parts VALUES ($1, $2, 'x')", []any{user, 100 + i/len(w.users)}, func(n int) { w.days[user] += n }},
			{"INSERT INTO events VALUES ($1, '{\"b\": 1}', 1e-300)", []any{user}, func(n int) { w.events[user] += n }},
			{"DELETE FROM events WHERE ctid = (SELECT ctid FROM events WHERE user_id = $1 LIMIT 1)", []any{user}, func(n int) { w.events[user] -= n }},
			{"UPDATE plain SET note = note || 'y' WHERE user_id = $1", []any{user}, func(int) {}},
			{newRequest, []any{user, fmt.Sprint(w.asked[user])}, func(n int) { w.asked[user] += n }},
			{oldRequest, []any{user, fmt.Sprint(w.asked[user] - 1)}, func(n int) {
				if n == 0 && w.asked[user] > 0 {
					t.Errorf("user %d: request %d is not known any more", user, w.asked[user]-1)
				}
			}},
		}
		step := steps[(i+i/len(w.users))%len(steps)]
		n, err := w.client.write(ctx, user, step.sql, step.args...)
		if errors.Is(err, context.Canceled) {
			return
		}
		if err != nil {
			t.Errorf("user %d: %s: %v", user, step.sql, err)
			return
		}
		step.done(n)
		w.ops.Add(1)
	}
}

func TestSlotsMoveWhileClientsWrite(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	first, second := r.topology(t, "s1", "s2"), r.topology(t, "s1", "s2")
	const users = 60
	filler := r.client(t, first)
	fill(t, filler, users)
	if _, err := first.AddShard(t.Context(), topology.Shard{ID: "s3", Host: "s3"}); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var group sync.WaitGroup
	var writers []*writer
	for i, topo := range []*topology.Topology{first, second, first, second} {
		w := newWriter(r.client(t, topo), 0)
		for user := int64(i + 1); user <= users; user += 4 {
			w.users = append(w.users, user)
		}
		writers = append(writers, w)
		// owner: the test, which waits; ends when ctx does.
		group.Go(func() { w.run(ctx, t) })
	}
	counter := r.client(t, second)
	scatters, looks := 0, 0
	controller := r.controller(t, first)
	// owner: the test, which waits; ends when ctx does.
	group.Go(func() { looks = verifies(ctx, t, controller) })
	// owner: the test, which waits; ends when ctx does.
	group.Go(func() { scatters = counter.counts(ctx, t, users, 0) })
	quiesce := func() {
		stop()
		group.Wait()
	}
	t.Cleanup(quiesce) // before the clients' connections are closed, however the test ends
	moves := plan(t, first)
	// A key of a slot that is going to move is pinned to another shard first, and must not go with its slot.
	pinned := int64(1)
	for ; ownerOf(t, first, pinned) != string(moves[0].From) || !moves[0].Slots.Has(slotOf(t, pinned)); pinned++ {
	}
	to := map[string]ring.ShardID{"s1": "s2", "s2": "s1"}[ownerOf(t, first, pinned)]
	moveKey(t, first, pinned, to)
	r.background(t, controller.Run)
	noMoves(t, first)
	if _, err := first.PlanMoves(t.Context(), plan(t, first)); err != nil {
		t.Fatal(err)
	}
	noMoves(t, first)
	if got := ownerOf(t, first, pinned); got != string(to) {
		t.Errorf("the pinned key is on %s, not %s", got, to)
	}
	moveKey(t, first, pinned, "s3") // the owner of its slot
	noMoves(t, first)
	if pins := first.Current().Group(moves[0].Group).Placement.(*ring.Map).Pins(); len(pins) != 0 {
		t.Errorf("the key is pinned still: %v", pins)
	}
	quiesce()
	t.Logf("%d moves, %d scatters, %d times verified", len(moves), scatters, looks)
	for _, w := range writers {
		t.Logf("%d writes, %d refused by a guard", w.ops.Load(), w.client.fenced.Load())
		w.check(t, r, first)
	}
	for _, db := range []string{"s1", "s2", "s3"} {
		nothingLeft(t, r, first, db)
	}
}

// check compares the tables with what was acknowledged.
func (w *writer) check(t *testing.T, r *rig, topo *topology.Topology) {
	t.Helper()
	for _, user := range w.users {
		owner := ownerOf(t, topo, user)
		note := pgtest.OneIn[string](t, r.server, owner, fmt.Sprintf("SELECT note FROM orders WHERE user_id = %d", user))
		if want := w.notes[user]; want != "" && note != want {
			t.Errorf("user %d: note %.20q, want %q", user, note, want)
		}
		if n := pgtest.OneIn[int](t, r.server, owner, fmt.Sprintf("SELECT count(*) FROM parts WHERE user_id = %d", user)); n != 3+w.days[user] {
			t.Errorf("user %d: %d rows in parts, want %d", user, n, 3+w.days[user])
		}
		if n := pgtest.OneIn[int](t, r.server, owner, fmt.Sprintf("SELECT count(*) FROM events WHERE user_id = %d", user)); n != 3+w.events[user] {
			t.Errorf("user %d: %d events, want %d", user, n, 3+w.events[user])
		}
		if n := pgtest.OneIn[int](t, r.server, owner, fmt.Sprintf("SELECT count(*) FROM pgring.idempotency WHERE shard_key = '%d' AND tag IS NOT NULL", user)); n != w.asked[user] {
			t.Errorf("user %d: %d requests are known, want %d", user, n, w.asked[user])
		}
	}
}

func ownerOf(t *testing.T, topo *topology.Topology, user int64) string {
	t.Helper()
	key, err := ring.ParseKey(ring.KeyInt, fmt.Appendf(nil, "%d", user))
	if err != nil {
		t.Fatal(err)
	}
	return string(topo.Current().Group(group).Placement.Locate(key).Shard)
}

// nothingLeft makes sure that a shard has no row that it does not own, and nothing that moves make.
func nothingLeft(t *testing.T, r *rig, topo *topology.Topology, db string) {
	t.Helper()
	owned := topo.Current().Group(group).Placement.(*ring.Map).Part(ring.ShardID(db)).InSQL(ring.KeyInt, "user_id")
	for _, table := range []string{"orders", "events", "plain", "parts"} {
		if n := pgtest.OneIn[int](t, r.server, db, "SELECT count(*) FROM "+table+" WHERE NOT "+owned); n != 0 {
			t.Errorf("%s: %d rows of %s that it does not own", db, n, table)
		}
	}
	owned = topo.Current().Group(group).Placement.(*ring.Map).Part(ring.ShardID(db)).InHashSQL("hash", "shard_key")
	if n := pgtest.OneIn[int](t, r.server, db, "SELECT count(*) FROM pgring.idempotency WHERE NOT "+owned); n != 0 {
		t.Errorf("%s: %d requests that it does not own", db, n)
	}
	for what, sql := range map[string]string{
		"slots":        "SELECT count(*) FROM pg_replication_slots",
		"publications": "SELECT count(*) FROM pg_publication",
		"triggers":     "SELECT count(*) FROM pg_trigger WHERE tgname LIKE '%pgring%'",
	} {
		if n := pgtest.OneIn[int](t, r.server, db, sql); n != 0 {
			t.Errorf("%s: %d %s are left", db, n, what)
		}
	}
	if pgtest.OneIn[bool](t, r.server, db, "SELECT to_regclass('pgring.guards') IS NOT NULL") {
		if n := pgtest.OneIn[int](t, r.server, db, "SELECT (SELECT count(*) FROM pgring.guards) + (SELECT count(*) FROM pgring.move_progress)"); n != 0 {
			t.Errorf("%s: %d guards or positions are left", db, n)
		}
	}
}

const smallUsers = 30

// small moves slots of a filled cluster from s1 to s2.
func small(t *testing.T, r *rig, topo *topology.Topology) topology.Move {
	t.Helper()
	fill(t, r.client(t, topo), smallUsers)
	slots := topo.Current().Group(group).Placement.(*ring.Map).Slots("s1")
	return topology.Move{Group: group, From: "s1", To: "s2", Slots: ring.NewSlotSet(slots[:len(slots)/2])}
}

// waitsFor reports what SHOW REBALANCE says of the last move.
func waitsFor(t *testing.T, c *rebalance.Controller) string {
	t.Helper()
	all, err := c.Statuses(t.Context())
	if err != nil || len(all) == 0 {
		t.Fatalf("moves %v: %v", all, err)
	}
	return all[len(all)-1].WaitingFor
}

func TestSlotsDoNotLeaveAnUnsettledSaga(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	topo := r.topology(t, "s1", "s2", "s3")
	m := small(t, r, topo)
	r.exec(t, "s3", "CREATE SCHEMA IF NOT EXISTS pgring; CREATE TABLE pgring.saga (id text, mode text, shards text[], finished timestamptz); INSERT INTO pgring.saga VALUES ('open', 'saga', '{s3,s1}')")
	if _, err := topo.PlanMoves(t.Context(), []topology.Move{m}); err != nil {
		t.Fatal(err)
	}
	c := r.controller(t, topo)
	r.background(t, c.Run)
	await(t, "the move waits for the saga", func() bool { return strings.Contains(waitsFor(t, c), "saga open") })
	r.exec(t, "s3", "UPDATE pgring.saga SET finished = now()")
	noMoves(t, topo)
	nothingLeft(t, r, topo, "s1")
}

func TestSlotsMoveAlthoughEveryTransactionIsSlow(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	topo := r.topology(t, "s1", "s2")
	m := small(t, r, topo)
	var clients []func(context.Context)
	user := int64(0)
	for range 6 { // longer than a first attempt waits, and always some of them in the middle
		for user++; !m.Slots.Has(slotOf(t, user)); user++ {
		}
		c, mine := r.client(t, topo), user
		clients = append(clients, func(ctx context.Context) {
			for ctx.Err() == nil {
				if _, err := c.write(ctx, mine, "WITH slow AS MATERIALIZED (SELECT pg_sleep(0.4)) UPDATE orders SET note = 'x' FROM slow WHERE user_id = $1", mine); err != nil && ctx.Err() == nil {
					t.Error(err)
					return
				}
			}
		})
	}
	together(t, clients...)
	if _, err := topo.PlanMoves(t.Context(), []topology.Move{m}); err != nil {
		t.Fatal(err)
	}
	r.background(t, r.controller(t, topo).Run)
	noMoves(t, topo)
}

func TestAStaleProxyCannotWriteToTheSource(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	topo := r.topology(t, "s1", "s2")
	m := small(t, r, topo)
	// A proxy that is stopped and may come back with the old map.
	r.exec(t, "s1", "INSERT INTO pgring.proxies (instance, host, version, started, lease_until, epoch) VALUES ('stopped', 'far', '', now(), now() - interval '1 min', 1)")
	var user int64
	for user = 1; !m.Slots.Has(slotOf(t, user)); user++ {
	}
	stale := r.server.ConnectAs(t, pgtest.Superuser, "s1")
	old := r.server.ConnectAs(t, pgtest.Superuser, "s1")
	for _, sql := range []string{"BEGIN ISOLATION LEVEL REPEATABLE READ", "SELECT count(*) FROM orders"} {
		if _, err := old.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := topo.PlanMoves(t.Context(), []topology.Move{m}); err != nil {
		t.Fatal(err)
	}
	r.background(t, r.controller(t, topo).Run)
	await(t, "the move is over but for the guards", func() bool {
		moves := topo.Current().Moves
		return len(moves) == 1 && moves[0].State == topology.MoveGuarding
	})
	for sql, code := range map[string]string{
		"INSERT INTO orders VALUES ($1, 99)":                       "PR001",
		"INSERT INTO parts VALUES ($1, 99)":                        "PR001",
		"INSERT INTO events (user_id, num) VALUES ($1::bigint, 1)": "PR001",
	} {
		var refused *pgconn.PgError
		if _, err := stale.Exec(t.Context(), sql, user); !errors.As(err, &refused) || refused.Code != code {
			t.Errorf("%s on the source: %v", sql, err)
		}
	}
	var refused *pgconn.PgError
	if _, err := old.Exec(t.Context(), "INSERT INTO orders VALUES ($1, 99)", user); !errors.As(err, &refused) || refused.Code != "40001" && refused.Code != "PR001" {
		t.Errorf("a transaction that was begun before the move: %v", err)
	}
	if _, err := old.Exec(t.Context(), "ROLLBACK"); err != nil {
		t.Error(err)
	}
	r.exec(t, "s1", "BEGIN; TRUNCATE parts; ROLLBACK")
	guardsAreTakenOver(t, r, topo, m)
	r.exec(t, "s1", "DELETE FROM pgring.proxies WHERE instance = 'stopped'")
	noMoves(t, topo)
	for _, db := range []string{"s1", "s2"} {
		nothingLeft(t, r, topo, db)
	}
}

// guardsAreTakenOver moves slots back to a shard that still guards against them: one half succeeds, the other is cancelled late.
func guardsAreTakenOver(t *testing.T, r *rig, topo *topology.Topology, m topology.Move) {
	t.Helper()
	slots := m.Slots.Slots()
	half := ring.NewSlotSet(slots[:len(slots)/2])
	userIn := func(slots *ring.SlotSet) int64 {
		user := int64(1)
		for ; !slots.Has(slotOf(t, user)); user++ {
		}
		return user
	}
	stale := func(user int64) error {
		_, err := r.server.ConnectAs(t, pgtest.Superuser, "s1").Exec(t.Context(), "INSERT INTO parts VALUES ($1, 98)", user)
		return err
	}
	under := func(back *ring.SlotSet) func() bool {
		if _, err := topo.PlanMoves(t.Context(), []topology.Move{{Group: group, From: "s2", To: "s1", Slots: back}}); err != nil {
			t.Fatal(err)
		}
		return func() bool { return topo.Current().Busy("") }
	}
	moving := under(half)
	await(t, "the first half is back", func() bool { return !moving() })
	if err := stale(userIn(half)); err != nil {
		t.Errorf("a write to what the shard owns again: %v", err)
	}
	rest := m.Slots.Without(half)
	r.exec(t, "s1", "CREATE TABLE pgring.saga (id text, mode text, shards text[], finished timestamptz); INSERT INTO pgring.saga VALUES ('open', 'saga', '{s2}')")
	moving = under(rest)
	status := r.controller(t, topo)
	await(t, "a saga holds the cut-over up", func() bool { return strings.Contains(waitsFor(t, status), "saga open") })
	if err := stale(userIn(rest)); err == nil {
		t.Error("a write to what has not come back yet")
	}
	if _, err := topo.CancelMoves(t.Context()); err != nil {
		t.Fatal(err)
	}
	await(t, "the second half stays", func() bool { return !moving() })
	var refused *pgconn.PgError
	if err := stale(userIn(rest)); !errors.As(err, &refused) || refused.Code != "PR001" {
		t.Errorf("a write to what did not come back: %v", err)
	}
}

func slotOf(t *testing.T, user int64) ring.Slot {
	t.Helper()
	key, err := ring.ParseKey(ring.KeyInt, fmt.Appendf(nil, "%d", user))
	if err != nil {
		t.Fatal(err)
	}
	return key.Slot()
}
