package rebalance

import (
	"testing"

	"github.com/pgring/pgring/topology"
)

// TestMovesWaitForNoneThatMayTakeADay goes through all states: one that is forgotten in laneOf would wait behind copies.
func TestMovesWaitForNoneThatMayTakeADay(t *testing.T) {
	t.Parallel()
	for _, reverted := range []bool{false, true} {
		for state := topology.MovePlanned; state <= topology.MoveCancelled; state++ {
			want := copies
			switch state {
			case topology.MoveGuarding:
				want = guards
			case topology.MoveCleaning, topology.MoveCancelling: // logs are kept until they are over
				want = ends
			case topology.MoveFreezing, topology.MoveSwitched, topology.MoveReversible: // clients wait, or have the shard to write to
				want = follows
			default:
				if reverted {
					want = follows
				}
			}
			if got := laneOf(&topology.Move{State: state, Reverted: reverted}); got != want {
				t.Errorf("%s, reverted %v: lane %d, want %d", state, reverted, got, want)
			}
		}
	}
}
