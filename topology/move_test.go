package topology_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

// movable is a cluster of two shards with slots on the first, and a plan to move some of them to the second.
func movable(t *testing.T) (*cluster, *topology.Topology, topology.Move) {
	t.Helper()
	c := newCluster(t)
	c.exec(t, "CREATE TABLE orders (id bigint, user_id bigint, PRIMARY KEY (user_id, id))", "s1", "s2")
	c.exec(t, "INSERT INTO orders VALUES (1, 1)", "s1")
	w := wish("s1", "s2")
	w.Tables = []topology.TableWish{sharded("orders", "user_id", "")}
	topo := start(t, c.config(w))
	return c, topo, topology.Move{Group: "public.orders", From: "s1", To: "s2", Slots: ring.NewSlotSet([]ring.Slot{1, 2, 3, 9})}
}

// advance takes the only move through states.
func advance(t *testing.T, topo *topology.Topology, states ...topology.MoveState) *topology.Snapshot {
	t.Helper()
	snap := topo.Current()
	for _, next := range states {
		var err error
		if snap, err = topo.AdvanceMove(t.Context(), *snap.Moves[0], next); err != nil {
			t.Fatalf("advance to %s: %v", next, err)
		}
	}
	return snap
}

func TestSlotsAreHiddenWhereTheyDoNotCount(t *testing.T) {
	_, topo, m := movable(t)
	snap, err := topo.PlanMoves(t.Context(), []topology.Move{m})
	if err != nil {
		t.Fatal(err)
	}
	owner := func() ring.ShardID { return snap.Group(m.Group).Placement.(*ring.Map).Owner(9) }
	check := func(hidden ring.ShardID, owned ring.ShardID) {
		t.Helper()
		for _, shard := range []ring.ShardID{"s1", "s2"} {
			want := ""
			if shard == hidden {
				want = m.Slots.String()
			}
			if got := snap.Hidden(m.Group, shard).String(); got != want {
				t.Errorf("hidden on %s: %q, want %q", shard, got, want)
			}
		}
		if owner() != owned || snap.Moving(m.Group) != (hidden != "") {
			t.Errorf("owner %s, moving %t", owner(), snap.Moving(m.Group))
		}
	}
	check("", "s1")
	snap = advance(t, topo, topology.MovePreparing)
	check("s2", "s1")
	snap = advance(t, topo, topology.MoveCopying, topology.MoveCatchingUp, topology.MoveVerifying, topology.MoveFreezing)
	check("s2", "s1")
	before := snap.Epoch
	snap = advance(t, topo, topology.MoveSwitched)
	check("s1", "s2")
	if snap.Moves[0].Switched != snap.Epoch || snap.Epoch != before+1 {
		t.Errorf("switched at %d, epoch %d after %d", snap.Moves[0].Switched, snap.Epoch, before)
	}
	if n, err := topo.CancelMoves(t.Context()); n != 0 || err != nil {
		t.Errorf("cancelled %d moves behind the switch: %v", n, err)
	}
	snap = advance(t, topo, topology.MoveCleaning, topology.MoveGuarding)
	check("", "s2")
	if snap = advance(t, topo, topology.MoveDone); len(snap.Moves) != 0 {
		t.Errorf("moves left: %+v", snap.Moves)
	}
}

func TestAMoveIsRefusedThatDoesNotFit(t *testing.T) {
	_, topo, m := movable(t)
	if _, err := topo.PlanMoves(t.Context(), []topology.Move{m}); err != nil {
		t.Fatal(err)
	}
	_, err := topo.PlanMoves(t.Context(), []topology.Move{m})
	mustRefuse(t, err, "touches slots of move 1")
	wrong := m
	wrong.From, wrong.To = "s2", "s1"
	_, err = topo.PlanMoves(t.Context(), []topology.Move{wrong})
	mustRefuse(t, err, "belongs to s1")
	wrong = m
	wrong.To = "s9"
	_, err = topo.PlanMoves(t.Context(), []topology.Move{wrong})
	mustRefuse(t, err, "not an active shard")
	_, err = topo.DropShard(t.Context(), "s2")
	var used *topology.ShardInUseError
	if !errors.As(err, &used) || len(used.Moves) != 1 {
		t.Errorf("drop the target of a move: %v", err)
	}
	_, err = topo.ShardTable(t.Context(), sharded("items", "user_id", "orders"))
	mustRefuse(t, err, "while its slots move")
}

func TestAnOvertakenControllerChangesNothing(t *testing.T) {
	c, topo, m := movable(t)
	if _, err := topo.PlanMoves(t.Context(), []topology.Move{m}); err != nil {
		t.Fatal(err)
	}
	first, err := topo.Lead(t.Context())
	if err != nil || first == 0 {
		t.Fatalf("lead: term %d, %v", first, err)
	}
	if again, err := topo.Lead(t.Context()); err != nil || again != 0 {
		t.Fatalf("second controller beside the first: term %d, %v", again, err)
	}
	snap, err := topo.AdoptMove(t.Context(), 1, first)
	if err != nil {
		t.Fatal(err)
	}
	old := *snap.Moves[0]
	c.exec(t, "UPDATE pgring.controller SET lease_until = '-infinity'", "s1")
	second, err := topo.Lead(t.Context())
	if err != nil || second <= first {
		t.Fatalf("lead after term %d: term %d, %v", first, second, err)
	}
	if err := topo.KeepLeading(t.Context(), first); err == nil {
		t.Error("the first controller goes on leading")
	}
	if _, err := topo.AdoptMove(t.Context(), 1, second); err != nil {
		t.Fatal(err)
	}
	if _, err := topo.AdvanceMove(t.Context(), old, topology.MovePreparing); !errors.Is(err, topology.ErrMoveLost) {
		t.Errorf("the first controller's step: %v", err)
	}
	if _, err := topo.AdoptMove(t.Context(), 1, first); !errors.Is(err, topology.ErrMoveLost) {
		t.Errorf("the first controller adopts: %v", err)
	}
}

func TestAMoveWaitsForWhatWasPlannedBeforeIt(t *testing.T) {
	_, topo, m := movable(t)
	session := topo.NewUse()
	defer session.Close()
	old := session.Begin()
	if !session.Write(old) {
		t.Fatal("the present snapshot is not the present one")
	}
	snap, err := topo.PlanMoves(t.Context(), []topology.Move{m})
	if err != nil {
		t.Fatal(err)
	}
	reached := func(stage topology.Stage) error {
		ctx, cancel := context.WithTimeout(t.Context(), 700*time.Millisecond)
		defer cancel()
		return topo.AwaitProxies(ctx, stage, snap.Epoch)
	}
	var lagging *topology.LaggingError
	if err := topo.AwaitProxies(t.Context(), topology.StagePlan, snap.Epoch); err != nil {
		t.Errorf("plan: %v", err)
	}
	if err := reached(topology.StageWrite); !errors.As(err, &lagging) {
		t.Errorf("the writer is not waited for: %v", err)
	}
	session.Wrote()
	if err := topo.AwaitProxies(t.Context(), topology.StageWrite, snap.Epoch); err != nil {
		t.Errorf("write: %v", err)
	}
	session.End(true) // a transaction stays open
	if err := reached(topology.StageDrain); !errors.As(err, &lagging) {
		t.Errorf("the open transaction is not waited for: %v", err)
	}
	if now := session.Begin(); now != topo.Current() || session.Since() != old.Epoch {
		t.Errorf("the transaction goes on with epoch %d and holds %d", now.Epoch, session.Since())
	}
	session.End(false)
	if err := topo.AwaitProxies(t.Context(), topology.StageDrain, snap.Epoch); err != nil {
		t.Errorf("drain: %v", err)
	}
	if session.Begin(); session.Write(old) {
		t.Error("a write planned with an old snapshot is let through")
	}
	if err := topo.AwaitNewer(t.Context(), old); err != nil {
		t.Errorf("await newer: %v", err)
	}
}

func TestAProxyThatIsGoneIsWaitedForOnlyByTheGuards(t *testing.T) {
	c, topo, _ := movable(t)
	c.exec(t, `INSERT INTO pgring.proxies (instance, host, version, started, lease_until, epoch) VALUES ('stopped', 'far', '', now(), now() - interval '1 min', 1)`, "s1")
	epoch := topo.Current().Epoch
	if err := topo.AwaitProxies(t.Context(), topology.StageDrain, epoch); err != nil {
		t.Errorf("drain: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	var lagging *topology.LaggingError
	if err := topo.AwaitProxies(ctx, topology.StageForgets, epoch); !errors.As(err, &lagging) || lagging.Proxies[0] != "far/stopped" {
		t.Errorf("guards: %v", err)
	}
	c.session(t, "s1", func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, "DELETE FROM pgring.proxies WHERE instance = 'stopped'")
		return err
	})
	if err := topo.AwaitProxies(t.Context(), topology.StageForgets, epoch); err != nil {
		t.Errorf("guards: %v", err)
	}
}

func TestHoldingASnapshotDoesNotAllocate(t *testing.T) {
	_, topo, _ := movable(t)
	use := topo.NewUse()
	defer use.Close()
	if n := testing.AllocsPerRun(100, func() {
		snap := use.Begin()
		use.Write(snap)
		use.End(false)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
