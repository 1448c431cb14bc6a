package rebalance_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/pgring/pgring/topology"
)

// TestMovesGoOnWhenAnObstacleIsGone begins a move from a server whose log says too little, to a database that is read-only by default.
func TestMovesGoOnWhenAnObstacleIsGone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	topo := r.topology(t, "s1", "s2")
	m := small(t, r, topo)
	r.exec(t, "s2", "ALTER DATABASE s2 SET default_transaction_read_only = on")
	r.exec(t, "s1", "ALTER SYSTEM SET wal_level = replica")
	r.server.Restart(t)
	r.exec(t, "s2", "BEGIN READ WRITE; ALTER TABLE plain SET UNLOGGED; ALTER TABLE plain ENABLE ROW LEVEL SECURITY; ALTER TABLE plain FORCE ROW LEVEL SECURITY; COMMIT")
	c := r.controller(t, topo)
	found, err := c.Obstacles(t.Context(), topo.Current(), []topology.Move{m, m, {Group: m.Group, From: "s2", To: "s1", Slots: m.Slots}})
	if want := []string{"shard s1: wal_level is replica instead of logical", "shard s2: wal_level is replica instead of logical",
		"table public.plain on shard s2: is unlogged: changes of it are not in the stream"}; err != nil || !slices.Equal(found, want) {
		t.Errorf("obstacles %q: %v", found, err)
	}
	r.exec(t, "s2", "BEGIN READ WRITE; ALTER TABLE plain SET LOGGED; COMMIT")
	if _, err := topo.PlanMoves(t.Context(), []topology.Move{m}); err != nil {
		t.Fatal(err)
	}
	r.background(t, c.Run)
	await(t, "the move stops", func() bool { return strings.Contains(waitsFor(t, c), "wal_level is replica instead of logical") })
	r.exec(t, "s1", "ALTER SYSTEM RESET wal_level")
	r.server.Restart(t)
	await(t, "the move is resumed", func() bool {
		n, err := topo.PauseMoves(t.Context(), false)
		return err == nil && n == 1
	})
	noMoves(t, topo)
	nothingLeft(t, r, topo, "s1")
}
