package rebalance_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pgring/pgring/rebalance"
	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

// reversing is a cluster with clients whose only move is reversible for as long as the test wants.
type reversing struct {
	rig        *rig
	topo       *topology.Topology
	controller *rebalance.Controller
	move       topology.Move
}

func newReversing(t *testing.T) *reversing {
	t.Helper()
	r := newRig(t)
	r.reversible = time.Hour
	v := &reversing{rig: r, topo: r.topology(t, "s1", "s2")}
	v.move = small(t, r, v.topo)
	v.controller = r.controller(t, v.topo)
	return v
}

// reach plans the move and waits until it is reversible.
func (v *reversing) reach(t *testing.T) {
	t.Helper()
	if _, err := v.topo.PlanMoves(t.Context(), []topology.Move{v.move}); err != nil {
		t.Fatal(err)
	}
	v.await(t, topology.MoveReversible)
}

func (v *reversing) await(t *testing.T, state topology.MoveState) {
	t.Helper()
	await(t, "the move is "+state.String(), func() bool {
		moves := v.topo.Current().Moves
		if len(moves) == 1 && moves[0].Problem != "" {
			t.Fatalf("the move has stopped: %s", moves[0].Problem)
		}
		return len(moves) == 1 && moves[0].State == state
	})
}

// owner is the shard that the move's slots belong to.
func (v *reversing) owner() string {
	return string(v.topo.Current().Group(group).Placement.(*ring.Map).Owner(v.move.Slots.Slots()[0]))
}

// ask has an operator change the only move's course.
func ask(t *testing.T, order func(context.Context) (int, error)) {
	t.Helper()
	if n, err := order(t.Context()); n != 1 || err != nil {
		t.Fatalf("%d moves: %v", n, err)
	}
}

func (v *reversing) checkOwner(t *testing.T, want string) {
	t.Helper()
	if got := v.owner(); got != want {
		t.Errorf("the slots belong to %s, want %s", got, want)
	}
}

func TestAMoveIsReversibleWhileClientsWrite(t *testing.T) {
	t.Parallel()
	v := newReversing(t)
	r, topo := v.rig, v.topo
	w := newWriter(r.client(t, topo))
	for user := int64(1); user <= smallUsers; user++ {
		w.users = append(w.users, user)
	}
	counter := r.client(t, topo)
	ctx, stop := context.WithCancel(t.Context())
	var group sync.WaitGroup
	quiesce := func() {
		stop()
		group.Wait()
	}
	t.Cleanup(quiesce)
	// owner: the test, which waits; ends when ctx does.
	group.Go(func() { w.run(ctx, t) })
	// owner: the test, which waits; ends when ctx does.
	group.Go(func() { counter.counts(ctx, t, smallUsers) })
	r.background(t, v.controller.Run)

	v.reach(t)
	v.checkOwner(t, "s2")
	awaitWrites(t, w)
	ask(t, topo.RevertMoves)
	noMoves(t, topo)
	v.checkOwner(t, "s1")

	// Reverting is held up by a saga and cancelled; then nobody wants it any more.
	v.reach(t)
	r.exec(t, "s1", "CREATE TABLE pgring.saga (id text, mode text, shards text[], finished timestamptz); INSERT INTO pgring.saga VALUES ('open', 'saga', '{s2}')")
	ask(t, topo.RevertMoves)
	await(t, "reverting waits for the saga", func() bool { return strings.Contains(waitsFor(t, v.controller), "saga open") })
	ask(t, topo.CancelMoves)
	v.await(t, topology.MoveReversible)
	v.checkOwner(t, "s2")
	awaitWrites(t, w)
	ask(t, topo.FinishMoves)
	noMoves(t, topo)
	v.checkOwner(t, "s2")

	quiesce()
	w.check(t, r, topo)
	for _, db := range []string{"s1", "s2"} {
		nothingLeft(t, r, topo, db)
	}
	t.Logf("%d writes, %d refused by a guard", w.ops.Load(), w.client.fenced.Load())
}

// awaitWrites waits until a writer has written some more.
func awaitWrites(t *testing.T, w *writer) {
	t.Helper()
	before := w.ops.Load()
	await(t, "clients write", func() bool { return w.ops.Load() > before+20 })
}
