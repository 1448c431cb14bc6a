package ring

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func equalShards(n int) []Shard {
	shards := make([]Shard, n)
	for i := range shards {
		shards[i] = Shard{ID: ShardID(fmt.Sprintf("s%d", i+1)), Weight: 1}
	}
	return shards
}

func mustRing(t rapid.TB, shards []Shard) *Ring {
	t.Helper()
	r, err := New(Config{}, shards)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// loads counts the slots of each shard.
func loads(m *Map) map[ShardID]int {
	n := map[ShardID]int{}
	for s := range Slot(SlotCount) {
		n[m.Owner(s)]++
	}
	return n
}

// checkBounds fails unless every shard's load is between its fair share ÷ 1.05 and its fair share × 1.05, where a
// fraction of a slot may be missing or too much.
func checkBounds(t rapid.TB, shards []Shard, m *Map) {
	t.Helper()
	total, got := 0, loads(m)
	for _, s := range shards {
		total += s.Weight
	}
	sum := 0
	for _, s := range shards {
		fair := SlotCount * float64(s.Weight) / float64(total)
		if n := float64(got[s.ID]); n > 1.05*fair && n >= fair+1 || n <= fair/1.05-1 {
			t.Fatalf("%v owns %v slots, fair share %.1f", s, n, fair)
		}
		sum += got[s.ID]
	}
	if sum != SlotCount {
		t.Fatalf("these shards own %d slots: %v", sum, got)
	}
}

// slotsMoved counts what the plan moves, and fails when it moves a slot for which mayMove is false.
func slotsMoved(t rapid.TB, moves []Move, mayMove func(from, to ShardID) bool) int {
	t.Helper()
	n := 0
	for _, m := range moves {
		if !mayMove(m.From, m.To) {
			t.Fatalf("%d slots move from %s to %s", len(m.Slots), m.From, m.To)
		}
		n += len(m.Slots)
	}
	return n
}

func TestFreshPlacementIsBalancedForAllNumbersOfShards(t *testing.T) {
	for n := 2; n <= 64; n++ {
		shards := equalShards(n)
		m := mustRing(t, shards).Place()
		for id, load := range loads(m) {
			if mean := SlotCount / float64(n); float64(load) > 1.05*mean {
				t.Errorf("%d shards: %s owns %d slots, mean %.1f", n, id, load, mean)
			}
		}
		checkBounds(t, shards, m)
	}
}

func TestEachShardThatJoinsTakesItsShareAndNothingElseMoves(t *testing.T) {
	m := mustRing(t, equalShards(1)).Place()
	for n := 2; n <= 64; n++ {
		shards := equalShards(n)
		joined := shards[n-1].ID
		moves := mustRing(t, shards).Plan(m)
		moved := slotsMoved(t, moves, func(_, to ShardID) bool { return to == joined })
		if moved > SlotCount*105/100/n || moved < SlotCount/n {
			t.Errorf("shard %d takes %d slots, its share is %d", n, moved, SlotCount/n)
		}
		m = m.With(moves...)
		checkBounds(t, shards, m)
	}
}

func TestEqualShardsJoinAndLeaveWithMinimalMoves(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := equalShards(64)
		shards := slices.Clone(all[:rapid.IntRange(2, 64).Draw(t, "shards")])
		m := mustRing(t, shards).Place()
		for range rapid.IntRange(1, 6).Draw(t, "changes") {
			at := rapid.IntRange(0, 63).Draw(t, "shard")
			changed := all[at]
			i := slices.Index(shards, changed)
			leaves := i >= 0
			if leaves && len(shards) == 2 {
				continue
			}
			if leaves {
				shards = slices.Delete(shards, i, i+1)
			} else {
				shards = append(shards, changed)
			}
			owned := len(m.Slots(changed.ID))
			moves := mustRing(t, shards).Plan(m)
			moved := slotsMoved(t, moves, func(from, to ShardID) bool {
				return leaves && from == changed.ID || !leaves && to == changed.ID
			})
			if leaves && moved != owned {
				t.Fatalf("%d slots move, the shard that left had %d", moved, owned)
			}
			if !leaves && moved > SlotCount*105/100/len(shards) {
				t.Fatalf("%d slots move to the new of %d shards", moved, len(shards))
			}
			m = m.With(moves...)
			checkBounds(t, shards, m)
		}
	})
}

// drawShards draws shards of any weights, at least one of them above 0.
func drawShards(t *rapid.T, label string) []Shard { return drawSome(t, label, 64) }

func drawSome(t *rapid.T, label string, most int) []Shard {
	shards := equalShards(rapid.IntRange(2, most).Draw(t, label))
	for i := range shards {
		shards[i].Weight = rapid.IntRange(0, 20).Draw(t, "weight")
	}
	shards[0].Weight++
	return shards
}

func TestPlanReachesTheBoundsFromAnyMapAndThenIsEmpty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := mustRing(t, drawShards(t, "before")).Place()
		if rapid.Bool().Draw(t, "modulo") {
			m = Modulo(m.Owners())
		}
		shards := drawShards(t, "after")
		r := mustRing(t, shards)
		moves := r.Plan(m)
		next := m.With(moves...)
		checkBounds(t, shards, next)
		if again := r.Plan(next); len(again) > 0 {
			t.Fatalf("planned again: %d moves, first %v", len(again), again[0])
		}
		for _, move := range moves {
			for _, s := range move.Slots {
				if m.Owner(s) != move.From || next.Owner(s) != move.To {
					t.Fatalf("slot %d: %s → %s, moved %s → %s", s, m.Owner(s), next.Owner(s), move.From, move.To)
				}
			}
		}
	})
}

func TestWeightedShardThatLeavesGivesUpItsOwnSlotsOnly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shards := equalShards(rapid.IntRange(3, 64).Draw(t, "shards"))
		for i := range shards {
			shards[i].Weight = rapid.IntRange(1, 10).Draw(t, "weight")
		}
		m := mustRing(t, shards).Place()
		i := rapid.IntRange(0, len(shards)-1).Draw(t, "leaves")
		left := shards[i].ID
		shards[i].Weight = 0 // draining is the same as leaving
		moves := mustRing(t, shards).Plan(m)
		slotsMoved(t, moves, func(from, _ ShardID) bool { return from == left })
		without := slices.Delete(slices.Clone(shards), i, i+1)
		if got := mustRing(t, without).Plan(m); !reflect.DeepEqual(got, moves) {
			t.Fatal("a shard with weight 0 is planned differently from one that is gone")
		}
	})
}

func TestWeightChangeMovesOnlyToOrFromThatShard(t *testing.T) {
	for _, weight := range []int{1, 2, 3, 8, 9, 20} {
		shards := equalShards(8)
		for i := range shards {
			shards[i].Weight = 4
		}
		m := mustRing(t, shards).Place()
		shards[3].Weight = weight
		moves := mustRing(t, shards).Plan(m)
		moved := slotsMoved(t, moves, func(from, to ShardID) bool { return from == "s4" || to == "s4" })
		if total := 28 + weight; weight > 4 && moved > SlotCount*weight/total*105/100-SlotCount/8*95/100 {
			t.Errorf("weight 4 → %d moves %d slots", weight, moved)
		}
		checkBounds(t, shards, m.With(moves...))
	}
}

func TestSmallDriftMovesNothing(t *testing.T) {
	shards := equalShards(4)
	for i := range shards {
		shards[i].Weight = 100
	}
	m := mustRing(t, shards).Place()
	shards[0].Weight = 101
	if moves := mustRing(t, shards).Plan(m); len(moves) > 0 {
		t.Errorf("a change within the bounds moves slots: %d moves", len(moves))
	}
}

func TestPlacementDoesNotDependOnTheOrderOfShards(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shards := drawShards(t, "shards")
		shuffled := rapid.Permutation(shards).Draw(t, "order")
		present := Modulo([]ShardID{"s1", "s2", "gone"})
		a, b := mustRing(t, shards), mustRing(t, shuffled)
		if !reflect.DeepEqual(a.Plan(present), b.Plan(present)) {
			t.Fatal("another order, another result")
		}
	})
}

// The golden numbers guard the ring itself: other virtual nodes would make every next plan of a running cluster differ.
func TestPlacementStaysTheSameFromVersionToVersion(t *testing.T) {
	m := mustRing(t, []Shard{{"s1", 1}, {"s2", 1}, {"s3", 2}}).Place()
	data, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprintf("%016x", hashBytes(data)), "33e4214f2b6b9346"; got != want {
		t.Errorf("the placement of three shards hashes to %s, not %s", got, want)
	}
}

// Most slots go to the shard that plain consistent hashing names, also after many shards joined one by one.
func TestPlanTendsToConsistentHashing(t *testing.T) {
	m := mustRing(t, equalShards(1)).Place()
	for n := 2; n <= 16; n++ {
		m = m.With(mustRing(t, equalShards(n)).Plan(m)...)
	}
	r := mustRing(t, equalShards(16))
	first, fresh := 0, r.Place()
	for s, order := range r.preferences() {
		if r.shards[order[0]].id == m.Owner(Slot(s)) {
			first++
		}
	}
	same := 0
	for s := range Slot(SlotCount) {
		if fresh.Owner(s) == m.Owner(s) {
			same++
		}
	}
	t.Logf("grown from 1 to 16 shards: %d%% at the ring's first choice, %d%% as placed afresh", first*100/SlotCount, same*100/SlotCount)
	if first < SlotCount*70/100 || same < SlotCount*70/100 {
		t.Error("growing shard by shard leads away from the ring")
	}
}

func TestPinsOfAShardThatLeavesGoToTheOwnersOfTheirSlots(t *testing.T) {
	key := intKey(42)
	m := mustRing(t, equalShards(3)).Place()
	home := m.Locate(key).Shard
	m = m.With(Move{From: home, To: "s9", Keys: []Key{key}})
	if got := m.Locate(key); got != (Location{7114, "s9"}) {
		t.Fatalf("pinned key is at %v", got)
	}
	if got := m.Owners(); !slices.Equal(got, []ShardID{"s1", "s2", "s3", "s9"}) {
		t.Errorf("owners are %v", got)
	}
	moves := mustRing(t, equalShards(3)).Plan(m)
	if len(moves) != 1 || moves[0].From != "s9" || moves[0].To != home || len(moves[0].Slots) != 0 {
		t.Fatalf("moves are %v", moves)
	}
	m = m.With(moves...)
	if got := m.Locate(key).Shard; got != home || len(m.Pins()) != 0 {
		t.Errorf("key is at %v, pins are %v", got, m.Pins())
	}
}

func TestNewRefusesWhatCannotBePlaced(t *testing.T) {
	for name, c := range map[string]struct {
		config Config
		shards []Shard
	}{
		"no shards":            {Config{}, nil},
		"no weight":            {Config{}, []Shard{{"s1", 0}}},
		"no name":              {Config{}, []Shard{{"", 1}}},
		"twice":                {Config{}, []Shard{{"s1", 1}, {"s1", 2}}},
		"negative weight":      {Config{}, []Shard{{"s1", -1}, {"s2", 2}}},
		"huge weight":          {Config{}, []Shard{{"s1", 1 << 40}, {"s2", 1 << 62}}},
		"bound below 1":        {Config{LoadBound: 0.99}, equalShards(2)},
		"bound above 2":        {Config{LoadBound: 2.01}, equalShards(2)},
		"bound not a number":   {Config{LoadBound: math.NaN()}, equalShards(2)},
		"negative nodes":       {Config{VirtualNodes: -1}, equalShards(2)},
		"too many shards":      {Config{VirtualNodes: 1}, equalShards(5000)},
		"too many points each": {Config{VirtualNodes: 1 << 30}, equalShards(2)},
	} {
		if _, err := New(c.config, c.shards); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func BenchmarkPlanToSixtyFourShards(b *testing.B) {
	m := mustRing(b, equalShards(63)).Place()
	r := mustRing(b, equalShards(64))
	for b.Loop() {
		r.Plan(m)
	}
}

// randomInts gives benchmarks keys that the branch predictor cannot know.
func randomInts() []Key {
	rnd := rand.New(rand.NewPCG(1, 2))
	keys := make([]Key, 1024)
	for i := range keys {
		keys[i] = intKey(rnd.Int64N(1_000_000))
	}
	return keys
}
