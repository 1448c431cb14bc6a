package rebalance_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pgring/pgring/internal/pgtest"
	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

// TestMovesWaitForReplicationSlotsAndSaySo leaves a server two replication slots: a second move has to wait for a reversible one.
func TestMovesWaitForReplicationSlotsAndSaySo(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.reversible = time.Hour
	most := pgtest.OneIn[int](t, r.server, "s1", "SELECT current_setting('max_replication_slots')::int")
	r.exec(t, "s1", fmt.Sprintf("SELECT pg_create_physical_replication_slot('other_' || g) FROM generate_series(1, %d) g", most-2))
	topo := r.topology(t, "s1", "s2", "s3")
	fill(t, r.client(t, topo), smallUsers)
	move := func(from, to ring.ShardID) {
		m := topology.Move{Group: group, From: from, To: to, Slots: topo.Current().Group(group).Placement.(*ring.Map).Part(from)}
		for _, o := range topo.Current().Moves { // other slots, of a shard that has got some
			m.Slots = m.Slots.Without(o.Slots)
		}
		if _, err := topo.PlanMoves(t.Context(), []topology.Move{m}); err != nil {
			t.Fatal(err)
		}
	}
	c := r.controller(t, topo)
	r.background(t, c.Run)
	move("s1", "s2")
	awaitAll(t, topo, 1, topology.MoveReversible)
	move("s2", "s3")
	await(t, "the second move waits for the first", func() bool {
		says := waitsFor(t, c)
		return strings.Contains(says, "of shard s2 is "+fmt.Sprint(most)) && strings.Contains(says, "REBALANCE FINISH")
	})
	first := topo.Current().Moves[0].ID
	ask(t, topo.FinishMoves, first)
	awaitAll(t, topo, 1, topology.MoveReversible)
	ask(t, topo.FinishMoves, 0)
	noMoves(t, topo)
	r.exec(t, "s1", "SELECT pg_create_physical_replication_slot('another')")
	move("s3", "s1")
	await(t, "the third move stops", func() bool { return strings.Contains(waitsFor(t, c), "raise it to") })
}
