package rebalance_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pgring/pgring/internal/pgtest"
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
	awaitAll(t, v.topo, 1, state)
}

// awaitAll waits until there are so many unfinished moves, all of them in a state.
func awaitAll(t *testing.T, topo *topology.Topology, n int, state topology.MoveState) {
	t.Helper()
	await(t, fmt.Sprintf("%d moves are %s", n, state), func() bool {
		moves := topo.Current().Moves
		for _, m := range moves {
			if m.Problem != "" {
				t.Fatalf("move %d has stopped: %s", m.ID, m.Problem)
			}
			if m.State != state {
				return false
			}
		}
		return len(moves) == n
	})
}

// owner is the shard that the move's slots belong to.
func (v *reversing) owner() string {
	return string(v.topo.Current().Group(group).Placement.(*ring.Map).Owner(v.move.Slots.Slots()[0]))
}

// ask has an operator change the course of one move: of the only one if it is 0.
func ask(t *testing.T, order func(context.Context, int64) (int, error), move int64) {
	t.Helper()
	if n, err := order(t.Context(), move); n != 1 || err != nil {
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
	w, counter := r.smallWriter(t, topo), r.client(t, topo)
	quiesce := together(t, func(ctx context.Context) { w.run(ctx, t) }, func(ctx context.Context) { counter.counts(ctx, t, smallUsers, unhurried) })
	r.background(t, v.controller.Run)

	v.reach(t)
	v.checkOwner(t, "s2")
	awaitWrites(t, w)
	ask(t, topo.RevertMoves, 0)
	noMoves(t, topo)
	v.checkOwner(t, "s1")

	// Reverting is held up by a saga and cancelled; then nobody wants it any more.
	v.reach(t)
	r.exec(t, "s1", "CREATE TABLE pgring.saga (id text, mode text, shards text[], finished timestamptz); INSERT INTO pgring.saga VALUES ('open', 'saga', '{s2}')")
	ask(t, topo.RevertMoves, 0)
	await(t, "reverting waits for the saga", func() bool { return strings.Contains(waitsFor(t, v.controller), "saga open") })
	if n, err := topo.CancelMoves(t.Context()); n != 1 || err != nil {
		t.Fatalf("%d moves: %v", n, err)
	}
	v.await(t, topology.MoveReversible)
	v.checkOwner(t, "s2")
	awaitWrites(t, w)
	ask(t, topo.FinishMoves, 0)
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

// TestOneOfSeveralMovesIsRevertedOrFinished has a move of a key and a move of slots, while clients write to both.
func TestOneOfSeveralMovesIsRevertedOrFinished(t *testing.T) {
	t.Parallel()
	v := newReversing(t)
	r, topo := v.rig, v.topo
	key := int64(1)
	for ; ownerOf(t, topo, key) != "s1" || v.move.Slots.Has(slotOf(t, key)); key++ {
	}
	w := r.smallWriter(t, topo)
	quiesce := together(t, func(ctx context.Context) { w.run(ctx, t) })
	r.background(t, v.controller.Run)

	moveKey(t, topo, key, "s2")
	if _, err := topo.PlanMoves(t.Context(), []topology.Move{v.move}); err != nil {
		t.Fatal(err)
	}
	awaitAll(t, topo, 2, topology.MoveReversible)
	ofKey, ofSlots := topo.Current().Moves[0].ID, topo.Current().Moves[1].ID
	awaitWrites(t, w)
	ask(t, topo.RevertMoves, ofKey)
	awaitAll(t, topo, 1, topology.MoveReversible)
	if at := ownerOf(t, topo, key); at != "s1" {
		t.Errorf("the key is on %s after its move was reverted", at)
	}
	if pins := topo.Current().Group(v.move.Group).Placement.(*ring.Map).Pins(); len(pins) != 0 {
		t.Errorf("the key is pinned still: %v", pins)
	}
	v.checkOwner(t, "s2")
	var refused *topology.RefusedError
	if n, err := topo.RevertMoves(t.Context(), ofKey); n != 0 || !errors.As(err, &refused) {
		t.Errorf("a move that is over was reverted: %v", err)
	}
	ask(t, topo.FinishMoves, ofSlots)
	noMoves(t, topo)
	v.checkOwner(t, "s2")

	moveKey(t, topo, key, "s2") // once more, for good
	awaitAll(t, topo, 1, topology.MoveReversible)
	awaitWrites(t, w)
	ask(t, topo.FinishMoves, topo.Current().Moves[0].ID)
	noMoves(t, topo)
	if at := ownerOf(t, topo, key); at != "s2" {
		t.Errorf("the key is on %s after its move was finished", at)
	}
	quiesce()
	w.check(t, r, topo)
	for _, db := range []string{"s1", "s2"} {
		nothingLeft(t, r, topo, db)
	}
}

// TestReversibleMovesEndByThemselves has one use up its log, and the time of another one be over while its old source is down.
func TestReversibleMovesEndByThemselves(t *testing.T) {
	t.Parallel()
	const allowed = 64 << 20
	r := newRig(t)
	r.reversible, r.returnLog = time.Hour, allowed
	v := &reversing{rig: r, topo: r.topology(t, "s1", "s2", "s3")}
	fill(t, r.client(t, v.topo), smallUsers)
	slots := v.topo.Current().Group(group).Placement.(*ring.Map).Slots("s2")
	v.move = topology.Move{Group: group, From: "s2", To: "s3", Slots: ring.NewSlotSet(slots)}
	end := r.background(t, r.controller(t, v.topo).Run)
	v.reach(t)
	await(t, "the log that is kept is too much", func() bool { // it is forgotten from time to time, at least with a checkpoint
		r.exec(t, "s3", fmt.Sprintf("SELECT pg_logical_emit_message(false, 'test', repeat('x', %d))", allowed))
		moves := v.topo.Current().Moves
		return len(moves) == 0 || moves[0].State != topology.MoveReversible
	})
	noMoves(t, v.topo)
	v.checkOwner(t, "s3")
	end()

	r.reversible, r.returnLog = 5*time.Second, 0
	r.background(t, r.controller(t, v.topo).Run)
	v.move.From, v.move.To = "s3", "s2"
	v.reach(t)
	r.exec(t, "s1", "ALTER DATABASE s3 ALLOW_CONNECTIONS false")
	r.exec(t, "s1", "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = 's3'")
	v.await(t, topology.MoveCleaning)
	if n := pgtest.OneIn[int](t, r.server, "s2", "SELECT count(*) FROM pg_replication_slots WHERE database = 's2'"); n != 0 {
		t.Errorf("%d slots keep log for a shard that is down", n)
	}
	v.checkOwner(t, "s2")
	r.exec(t, "s1", "ALTER DATABASE s3 ALLOW_CONNECTIONS true")
	noMoves(t, v.topo)
	for _, db := range []string{"s1", "s2", "s3"} {
		nothingLeft(t, r, v.topo, db)
	}
}
