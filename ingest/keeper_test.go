package ingest_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/ingest"
	"github.com/pgring/pgring/internal/pgtest"
	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

// A shard's Host is its database.
func TestTheTableIsOnEveryShardAndRowsGoWhenTheirTimeIsOver(t *testing.T) {
	server := pgtest.Start(t, 1)[0]
	for _, name := range []string{"s1", "s2"} {
		server.CreateDatabase(t, name, pgtest.Superuser)
		server.ExecIn(t, name, "CREATE TABLE orders (user_id bigint PRIMARY KEY)")
	}
	dial := func(ctx context.Context, shard topology.Shard) (*pgx.Conn, error) {
		return pgx.Connect(ctx, server.DSN(pgtest.Superuser, shard.Host))
	}
	topo, err := topology.New(topology.Config{Dial: dial, Control: func(ctx context.Context) (*pgx.Conn, error) { return dial(ctx, topology.Shard{Host: "s1"}) },
		Wish: topology.Wish{Shards: []topology.Shard{{ID: "s1", Host: "s1"}}, Tables: []topology.TableWish{
			{Name: topology.ParseName("orders"), Kind: topology.Sharded, Key: []string{"user_id"}}}}})
	must(t, err)
	_, err = topo.Start(t.Context())
	must(t, err)
	keeper, err := ingest.New(ingest.Config{Topology: topo, Dial: dial, Every: 20 * time.Millisecond,
		AppendOnly: func() []topology.Name {
			return []topology.Name{topology.ParseName("orders"), topology.ParseName("not_there")}
		}})
	must(t, err)
	if !keeper.Install(t.Context()) {
		t.Fatal("the table was not made")
	}
	server.ExecIn(t, "s1", `INSERT INTO pgring.idempotency (placed, hash, shard_key, scope, key, fingerprint, tag, expires_at)
SELECT 'public.orders', hashint8extended(n, 0), n, 'public.orders', 'key', '', 'INSERT 0 1', now() + CASE WHEN n % 100 = 0 THEN interval '1 hour' ELSE '-1 s' END FROM generate_series(1, 2500) n`)
	stop := running(t, keeper)
	waitFor(t, "rows whose time is over to be deleted", func() bool {
		return pgtest.OneIn[int](t, server, "s1", "SELECT count(*) FROM pgring.idempotency") == 25
	})
	if n := keeper.Stats().Expired; n != 2475 {
		t.Errorf("counted %d", n)
	}
	_, err = topo.AddShard(t.Context(), topology.Shard{ID: "s2", Host: "s2"})
	must(t, err)
	waitFor(t, "the table on the new shard", func() bool {
		return pgtest.OneIn[bool](t, server, "s2", "SELECT to_regclass('pgring.idempotency') IS NOT NULL")
	})
	// So are the triggers of a table that is append-only, again and again.
	for _, shard := range []string{"s1", "s2", "s1"} {
		waitFor(t, "triggers on shard "+shard, func() bool {
			return pgtest.OneIn[int](t, server, shard, "SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'pgring_append_only%' AND tgenabled = 'O'") == 2
		})
		server.ExecIn(t, "s1", "ALTER TABLE orders DISABLE TRIGGER pgring_append_only")
	}
	// What is on its way to a shard is not its own to delete. (A sweep that has begun before is kept from it by a guard; here is none.)
	stop()
	_, err = topo.PlanMoves(t.Context(), []topology.Move{{Group: "public.orders", From: "s1", To: "s2", Slots: ring.NewSlotSet([]ring.Slot{7114})}}) // 42's
	must(t, err)
	m := *topo.Current().Moves[0]
	snap, err := topo.AdoptMove(t.Context(), m.ID, 1)
	must(t, err)
	_, err = topo.AdvanceMove(t.Context(), *snap.Moves[0], topology.MovePreparing)
	must(t, err)
	server.ExecIn(t, "s2", `INSERT INTO pgring.idempotency (placed, hash, shard_key, scope, key, fingerprint, tag, expires_at)
SELECT 'public.orders', hashint8extended(n, 0), n, 'public.orders', 'key', '', 'INSERT 0 1', now() - interval '1 s' FROM generate_series(42, 43) n`)
	stop = running(t, keeper)
	waitFor(t, "the shard's own row to be deleted", func() bool {
		return pgtest.OneIn[int](t, server, "s2", "SELECT count(*) FROM pgring.idempotency") == 1
	})
	stop()
	if key := pgtest.OneIn[string](t, server, "s2", "SELECT shard_key FROM pgring.idempotency"); key != "42" {
		t.Errorf("the row of %s was left", key)
	}
}

// running runs the keeper until the returned function is called.
func running(t *testing.T, keeper *ingest.Keeper) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	// owner: the test, which waits; ends when ctx does.
	go func() { ended <- keeper.Run(ctx) }()
	return func() {
		t.Helper()
		cancel()
		must(t, <-ended)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// waitFor polls until the condition holds.
func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	limit := time.After(time.Minute)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-limit:
			t.Fatalf("waited in vain for %s", what)
		case <-tick.C:
		}
	}
}
