package ring

import (
	"testing"

	"pgregory.net/rapid"
)

// drawCosts are of slots most of which are alike, and some dear.
func drawCosts(t *rapid.T) *Costs {
	costs := &Costs{}
	seed := rapid.Uint64().Draw(t, "seed")
	span := rapid.SampledFrom([]uint64{1, 10, 1000}).Draw(t, "span")
	for s := range costs {
		seed = seed*6364136223846793005 + 1442695040888963407
		costs[s] = int64((seed >> 33) % span)
	}
	for range rapid.IntRange(0, 5).Draw(t, "dear") {
		costs[rapid.IntRange(0, SlotCount-1).Draw(t, "slot")] = rapid.Int64Range(0, 1<<40).Draw(t, "cost")
	}
	return costs
}

func costsOf(m *Map, costs *Costs) (load map[ShardID]int64, total, dearest int64) {
	load = map[ShardID]int64{}
	for s := range Slot(SlotCount) {
		load[m.Owner(s)] += costs[s]
		total += costs[s]
		dearest = max(dearest, costs[s])
	}
	return load, total, dearest
}

func TestPlansByCostEvenTheCostsOut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		few := func(label string) []Shard { return drawSome(t, label, 10) }
		had := few("before")
		before := mustRing(t, had).Place()
		shards := few("now")
		ring := mustRing(t, shards)
		costs := drawCosts(t)
		moves := ring.PlanByCost(before, costs)
		after := before.With(moves...)
		weights, weight, known := 0, map[ShardID]int{}, map[ShardID]bool{}
		for _, s := range shards {
			weights += s.Weight
			weight[s.ID], known[s.ID] = s.Weight, s.Weight > 0
		}
		stay := true // nobody leaves, whose slots somebody must take
		for _, id := range before.Owners() {
			stay = stay && known[id]
		}
		was, total, _ := costsOf(before, costs)
		is, _, dearest := costsOf(after, costs)
		for id, cost := range is {
			fair := float64(total) * float64(weight[id]) / float64(weights)
			if !known[id] && cost > 0 {
				t.Fatalf("%s, which is not on the ring, has %d", id, cost)
			}
			// A slot cannot be divided, and slots of shards that are gone must go somewhere.
			if float64(cost) > max(fair*1.05+float64(dearest), float64(was[id])+1) {
				t.Errorf("%s has %d of %d, fair is %.0f, the dearest slot %d, before it had %d", id, cost, total, fair, dearest, was[id])
			}
		}
		for _, m := range moves {
			fair := func(id ShardID) float64 { return float64(total) * float64(weight[id]) / float64(weights) }
			if stay && known[m.From] && (float64(was[m.From]) < fair(m.From)/1.05-1 || float64(is[m.From]) < fair(m.From)-1) {
				t.Errorf("%s gives and is not above its share: had %d, has %d, fair is %.0f", m.From, was[m.From], is[m.From], fair(m.From))
			}
			if stay && float64(was[m.To]) >= fair(m.To) {
				t.Errorf("%s takes and was not below its share: had %d, fair is %.0f", m.To, was[m.To], fair(m.To))
			}
		}
		if again := ring.PlanByCost(after, costs); len(again) != 0 {
			t.Errorf("a second plan moves %v", again[0])
		}
	})
}

func TestPlansByCostMoveNoMoreThanTheyMust(t *testing.T) {
	before := mustRing(t, equalShards(3)).Place()
	costs := &Costs{}
	for s := range costs {
		costs[s] = int64(s%7) + 1
	}
	moved := func(moves []Move) (cost int64) {
		for _, m := range moves {
			for _, s := range m.Slots {
				cost += costs[s]
			}
		}
		return cost
	}
	_, total, _ := costsOf(before, costs)
	if got := moved(mustRing(t, equalShards(4)).PlanByCost(before, costs)); got < total/4*95/100 || got > total/4 {
		t.Errorf("a fourth shard gets %d of %d", got, total)
	}
	settled := before.With(mustRing(t, equalShards(3)).PlanByCost(before, costs)...)
	hot := settled.Slots("s2")[0]
	costs[hot] += total / 10
	moves := mustRing(t, equalShards(3)).PlanByCost(settled, costs)
	for _, m := range moves {
		if m.From != "s2" {
			t.Errorf("a hot slot of s2 has slots move from %s to %s", m.From, m.To)
		}
	}
	if got := moved(moves); got == 0 || got > total/10 {
		t.Errorf("to make up for %d, %d moves", total/10, got)
	}
}

func TestSplitSetsMakeUpTheWhole(t *testing.T) {
	keys := crowd()
	rapid.Check(t, func(t *rapid.T) {
		set, _ := drawSet(t, keys, "set")
		parts := set.Split(rapid.IntRange(1, 4).Draw(t, "most"))
		sum := &SlotSet{}
		for _, part := range parts {
			if sum.Overlaps(part) {
				t.Fatalf("%s is split into %v", set, parts)
			}
			sum = sum.Union(part)
		}
		if sum.String() != set.String() {
			t.Fatalf("%s is split into %v", set, parts)
		}
	})
}
