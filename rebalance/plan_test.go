package rebalance_test

import (
	"fmt"
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
