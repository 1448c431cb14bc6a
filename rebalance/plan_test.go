package rebalance_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pgring/pgring/rebalance"
	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

// TestPlansAndThrottle has one key with most of the bytes: a plan by size gives its shard less else, and a copy of it can be slowed down,
// seen, and let go.
func TestPlansAndThrottle(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	topo := r.topology(t, "s1", "s2")
	fill(t, r.client(t, topo), smallUsers)
	big := int64(1)
	for ; ownerOf(t, topo, big) != "s1"; big++ {
	}
	writer := r.client(t, topo)
	if _, err := writer.write(t.Context(), big, "INSERT INTO orders SELECT $1::bigint, g, repeat('x', 500) FROM generate_series(10, 20000) g", big); err != nil {
		t.Fatal(err)
	}
	r.exec(t, "s1", "ANALYZE")
	c := r.controller(t, topo)
	moves, err := c.PlanBy(t.Context(), topo.Current(), rebalance.BySize, nil)
	if err != nil || len(moves) != 1 || moves[0].From != "s1" || moves[0].Slots.Has(slotOf(t, big)) {
		t.Fatalf("a plan by size: %v, %v", moves, err)
	}
	if moves := plan(t, topo); len(moves) != 0 {
		t.Errorf("a plan by the number of slots: %v", moves)
	}
	key, err := ring.ParseKey(ring.KeyInt, fmt.Appendf(nil, "%d", big))
	if err != nil {
		t.Fatal(err)
	}
	m, err := rebalance.MoveKey(topo.Current(), group, key, "s2")
	if err != nil {
		t.Fatal(err)
	}
	est := c.Estimate(t.Context(), topo.Current(), []topology.Move{*m, moves[0]})
	if est[0].Rows < 15_000 || est[0].Rows > 25_000 || est[0].Bytes < 5<<20 || est[0].Took <= 0 || est[1].Rows <= 0 {
		t.Errorf("the big key is estimated at %d rows and %d bytes in %s, and the others at %d rows", est[0].Rows, est[0].Bytes, est[0].Took, est[1].Rows)
	}
	slow(t, r, topo, c, *m)
	obstacles(t, r, topo, c)
}

// slow moves a key under a throttle that would take minutes, and lifts it.
func slow(t *testing.T, r *rig, topo *topology.Topology, c *rebalance.Controller, m topology.Move) {
	t.Helper()
	if err := c.SetThrottle(t.Context(), &rebalance.Throttle{Rows: 2000, Lag: time.Hour, Active: 1000}); err != nil {
		t.Fatal(err)
	}
	if _, err := topo.PlanMoves(t.Context(), []topology.Move{m}); err != nil {
		t.Fatal(err)
	}
	r.background(t, c.Run)
	var seen rebalance.Status
	await(t, "the copy is seen under way", func() bool {
		all, err := c.Statuses(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		seen = all[len(all)-1]
		return seen.State == topology.MoveCopying && seen.RowsCopied > 2000 && seen.Left() != nil
	})
	if seen.RowsCopied > 15_000 || *seen.RowsPerS > 10_000 || seen.BytesCopied < 1000*500 || *seen.Percent() < 1 || *seen.Left() < time.Second || len(seen.Keys) != 1 {
		t.Errorf("under the throttle: %+v, %v %% and %s left", seen, *seen.Percent(), *seen.Left())
	}
	if now, err := c.Throttle(t.Context()); err != nil || now.String() != "ROWS 2000 ACTIVE 1000 LAG 1h0m0s" {
		t.Errorf("the throttle is %s, %v", now, err)
	}
	if err := c.SetThrottle(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	noMoves(t, topo)
	if stats := c.Stats(); stats.RowsCopied < 19_000 || stats.CutOvers != 1 || stats.Pauses.Count != 1 || stats.Stopped != 0 {
		t.Errorf("counted %+v", stats)
	}
	nothingLeft(t, r, topo, "s1")
}

// obstacles has moves stop before they begin, with what is in their way and what to do about it.
func obstacles(t *testing.T, r *rig, topo *topology.Topology, c *rebalance.Controller) {
	t.Helper()
	stops := func(sql, undo string, want ...string) {
		t.Helper()
		r.exec(t, "s2", sql)
		m := topology.Move{Group: group, From: "s1", To: "s2", Slots: ring.NewSlotSet(topo.Current().Group(group).Placement.(*ring.Map).Slots("s1")[:1])}
		if _, err := topo.PlanMoves(t.Context(), []topology.Move{m}); err != nil {
			t.Fatal(err)
		}
		await(t, "the move has stopped", func() bool { return len(topo.Current().Moves) == 1 && topo.Current().Moves[0].Problem != "" })
		for _, text := range want {
			if got := waitsFor(t, c); !strings.Contains(got, text) {
				t.Errorf("after %s it waits for %q, not for %q", sql, got, text)
			}
		}
		if _, err := topo.CancelMoves(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.exec(t, "s2", undo)
		noMoves(t, topo)
	}
	stops("ALTER TABLE events RENAME TO gone; ALTER TABLE plain RENAME TO plainly", "ALTER TABLE gone RENAME TO events; ALTER TABLE plainly RENAME TO plain",
		"table public.events does not exist on shard s2", "table public.plain does not exist on shard s2")
	stops("ALTER TABLE plain ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY; CREATE SEQUENCE numbers OWNED BY orders.id; ALTER TABLE orders ALTER COLUMN id SET DEFAULT nextval('numbers')",
		"ALTER TABLE plain ALTER COLUMN id DROP IDENTITY; ALTER TABLE orders ALTER COLUMN id DROP DEFAULT",
		`table public.plain on shard s2: column id takes its values from a sequence, of which each shard has its own: ALTER TABLE "public"."plain" ALTER COLUMN id TYPE bigint, ALTER COLUMN id DROP IDENTITY, ALTER COLUMN id SET DEFAULT pgring.next_id()`,
		`table public.orders on shard s2: column id takes its values from a sequence`)
}
