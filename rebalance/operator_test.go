package rebalance_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

// TestMovesArePausedResumedAndCancelledInEveryState has an operator do so while the controller stands still in a state, and another
// controller take over.
func TestMovesArePausedResumedAndCancelledInEveryState(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	topo := r.topology(t, "s1", "s2")
	m := small(t, r, topo)
	for state := topology.MovePlanned; state <= topology.MoveSwitched; state++ {
		p := newProcess(t, r, state, false, 2)
		endMap := r.background(t, p.topo.Run)
		endMoves := r.background(t, r.controllerOf(t, p.topo, p.control, p.dial).Run)
		resume := sync.OnceFunc(func() { close(p.resumed) })
		t.Cleanup(resume) // however the test ends
		if _, err := topo.PlanMoves(t.Context(), []topology.Move{m}); err != nil {
			t.Fatal(err)
		}
		<-p.reached
		await(t, "both see the state", func() bool { return len(topo.Current().Moves) == 1 && topo.Current().Moves[0].State == state })
		undone := operate(t, topo, state)
		p.kill()
		resume()
		endMoves()
		endMap()
		r.exec(t, "s1", "UPDATE pgring.controller SET lease_until = '-infinity'; DELETE FROM pgring.proxies WHERE instance = 'doomed'")
		end := r.background(t, r.controller(t, topo).Run)
		noMoves(t, topo)
		end()
		if owner := topo.Current().Group(group).Placement.(*ring.Map).Owner(m.Slots.Slots()[0]); (owner == m.From) != undone {
			t.Errorf("%s: the slots are on %s afterwards, undone %t", state, owner, undone)
		}
		if !undone {
			m.From, m.To = m.To, m.From
		}
		for _, db := range []string{"s1", "s2"} {
			nothingLeft(t, r, topo, db)
		}
	}
}

// operate pauses, resumes and cancels the only move, and reports whether it will be undone.
func operate(t *testing.T, topo *topology.Topology, state topology.MoveState) (undone bool) {
	t.Helper()
	paused := state != topology.MoveReversible // nothing of that can be paused
	n, err := topo.PauseMoves(t.Context(), true)
	if err != nil || topo.Current().Moves[0].Paused != paused || (n == 1) != paused {
		t.Fatalf("%s: paused %d: %v", state, n, err)
	}
	if _, err = topo.PauseMoves(t.Context(), false); err != nil || topo.Current().Moves[0].Paused {
		t.Fatalf("%s: resume: %v", state, err)
	}
	n, err = topo.CancelMoves(t.Context())
	if err != nil || (n == 1) != state.CanCancel() {
		t.Fatalf("%s: cancelled %d moves: %v", state, n, err)
	}
	if _, err := topo.PauseMoves(t.Context(), true); err != nil { // what is to be undone, or behind the switch, is not held up
		t.Fatal(err)
	}
	moves := topo.Current().Moves
	if state == topology.MovePlanned { // nothing is to be undone
		if len(moves) != 0 {
			t.Errorf("it is %s then", moves[0].State)
		}
	} else if got := moves[0].State; state.CanCancel() != strings.HasPrefix(got.String(), "cancel") {
		t.Errorf("%s: it is %s then", state, got)
	}
	if !state.CanCancel() {
		if _, err := topo.PauseMoves(t.Context(), false); err != nil {
			t.Fatal(err)
		}
	}
	return n == 1
}
