package rebalance_test

import (
	"testing"
	"time"

	"github.com/pgring/pgring/internal/pgtest"
	"github.com/pgring/pgring/topology"
	timed "github.com/pgring/pgring/topology/partition"
)

// TestPartitionsAreMadeBesideAMoveAndDroppedAfterIt: what is made while slots move gets rows that go along, there and back. What is old is
// dropped on no shard that the move touches, although its time is over: else the shards would not be compared as equal.
func TestPartitionsAreMadeBesideAMoveAndDroppedAfterIt(t *testing.T) {
	t.Parallel()
	v := newReversing(t)
	r, topo := v.rig, v.topo
	for _, db := range []string{"s1", "s2"} {
		r.exec(t, db, "CREATE TABLE visits (user_id bigint, at timestamptz, note text, PRIMARY KEY (user_id, at)) PARTITION BY RANGE (at)")
	}
	if _, err := topo.ShardTable(t.Context(), topology.TableWish{Name: topology.ParseName("visits"), Key: []string{"user_id"}, Colocate: "orders"}); err != nil {
		t.Fatal(err)
	}
	rule := timed.Rule{Table: topology.ParseName("visits"), Column: "at", Every: timed.Period{Time: 24 * time.Hour}, Keep: timed.Period{Months: 1}}
	keeper, err := timed.New(timed.Config{Topology: topo, Dial: r.dial, Rules: func() []timed.Rule { return []timed.Rule{rule} }})
	if err != nil {
		t.Fatal(err)
	}
	round := func(made, dropped int64) {
		t.Helper()
		before := keeper.Stats()
		keeper.Round(t.Context())
		after := keeper.Stats()
		for _, s := range after.Tables {
			if s.Problem != "" {
				t.Errorf("shard %s: %s", s.Shard, s.Problem)
			}
		}
		if got := after.Created - before.Created; got != made {
			t.Errorf("%d partitions were made instead of %d", got, made)
		}
		if got := after.Dropped - before.Dropped; got != dropped {
			t.Errorf("%d partitions were dropped instead of %d", got, dropped)
		}
	}
	r.exec(t, "s1", "CREATE TABLE visits_old PARTITION OF visits FOR VALUES FROM ('1999-01-01 00:00+00') TO ('2000-01-01 00:00+00')")
	round(2, 0) // today on both
	key := pgtest.OneIn[int64](t, r.server, "s1", "SELECT min(user_id) FROM orders WHERE "+v.move.Slots.InSQL(topo.Current().Group(group).KeyType, "user_id"))
	visit := func(db, when string) {
		t.Helper()
		r.server.ExecIn(t, db, "INSERT INTO visits VALUES ($1, "+when+", 'seen')", key)
	}
	visits := func(db string, want int) {
		t.Helper()
		if got := pgtest.OneIn[int](t, r.server, db, "SELECT count(*) FROM visits"); got != want {
			t.Errorf("%s has %d visits instead of %d", db, got, want)
		}
	}
	visit("s1", "'1999-06-01'")
	visit("s1", "now()")
	if _, err := topo.PlanMoves(t.Context(), []topology.Move{v.move}); err != nil {
		t.Fatal(err)
	}
	round(1, 0) // the old one on the other
	r.background(t, v.controller.Run)
	v.await(t, topology.MoveReversible)
	rule.Drop, rule.Ahead = true, timed.Period{Time: 48 * time.Hour}
	round(4, 0)
	visit("s2", "now() + interval '2 days'")
	ask(t, topo.RevertMoves, 0)
	noMoves(t, topo)
	visits("s1", 3)
	visits("s2", 0)
	round(0, 2)
	visits("s1", 2)
}
