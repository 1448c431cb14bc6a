package rebalance_test

import (
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
	if _, err := topo.PlanMoves(t.Context(), []topology.Move{m}); err != nil {
		t.Fatal(err)
	}
	c := r.controller(t, topo)
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
