package ring

import (
	"cmp"
	"math"
	"slices"
)

// Costs says what each slot costs its owner: bytes, writes, whatever shall be spread. The unit does not matter.
type Costs [SlotCount]int64

// PlanByCost is Plan with costs instead of the number of slots: what has to move so that no shard has more than LoadBound times its
// fair share of the costs, nor less than its fair share divided by LoadBound. A slot stays where it is, unless its owner is no longer
// on the ring or has more than its fair share while another shard has less; the dearest slots that fit move, so few do. A slot that
// costs more than a shard's fair share cannot be divided: what is left uneven by it stays so. The plan of a map to which a plan was applied is empty.
// Pins are treated as in Plan.
func (r *Ring) PlanByCost(present *Map, costs *Costs) []Move {
	p := &planner{ring: r}
	p.owner = newPlanner(r, present).owner
	b := newBalance(r, p, costs)
	b.adopt()
	for b.step() {
	}
	return p.moves(present)
}

// balance works out which slots to hand over by their costs. Shards are indexes into ring.shards.
type balance struct {
	planner         *planner
	costs           *Costs
	load            []float64
	low, fair, high []float64
	slots           [][]Slot // of each shard, the dearest first
}

func newBalance(r *Ring, p *planner, costs *Costs) *balance {
	n := len(r.shards)
	b := &balance{planner: p, costs: costs, load: make([]float64, n), slots: make([][]Slot, n)}
	total, weights := 0.0, 0
	for s, owner := range p.owner {
		total += float64(costs[s])
		if owner != nobody {
			b.load[owner] += float64(costs[s])
			b.slots[owner] = append(b.slots[owner], Slot(s))
		}
	}
	for i := range r.shards {
		weights += len(r.shards[i].points)
	}
	for i := range r.shards {
		fair := total * float64(len(r.shards[i].points)) / float64(weights)
		b.fair = append(b.fair, fair)
		b.low, b.high = append(b.low, fair/r.loadBound), append(b.high, fair*r.loadBound)
	}
	return b
}

// sort puts the dearest slots first.
func (b *balance) sort(slots []Slot) {
	slices.SortStableFunc(slots, func(x, y Slot) int { return cmp.Compare(b.costs[y], b.costs[x]) })
}

// lack is what a shard is below its fair share; negative when it is above.
func (b *balance) lack(shard int) float64 { return b.fair[shard] - b.load[shard] }

// neediest is the shard that lacks the most.
func (b *balance) neediest() int {
	most := 0
	for i := range b.load {
		if b.lack(i) > b.lack(most) {
			most = i
		}
	}
	return most
}

// adopt gives the slots without an owner, the dearest first, to whoever lacks the most.
func (b *balance) adopt() {
	var orphans []Slot
	for s, owner := range b.planner.owner {
		if owner == nobody {
			orphans = append(orphans, Slot(s))
		}
	}
	b.sort(orphans)
	for _, s := range orphans {
		to := b.neediest()
		b.planner.owner[s] = to
		b.load[to] += float64(b.costs[s])
		b.slots[to] = append(b.slots[to], s)
	}
	for _, slots := range b.slots {
		b.sort(slots)
	}
}

// step hands over one slot, and returns false when there is none to be handed over: all shards are within their bounds, or no slot
// is small enough. Each step makes the sum of the squares of what shards lack smaller, so there is an end.
func (b *balance) step() bool {
	to := b.neediest()
	var givers []int
	for i := range b.load {
		if b.lack(i) < 0 && (b.load[i] > b.high[i] || b.load[to] < b.low[to]) {
			givers = append(givers, i)
		}
	}
	slices.SortFunc(givers, func(x, y int) int { return cmp.Or(cmp.Compare(b.lack(x), b.lack(y)), cmp.Compare(x, y)) })
	for _, from := range givers {
		if s, found := b.choose(from, to); found {
			b.give(s, from, to)
			return true
		}
	}
	return false
}

// choose returns the dearest slot that leaves the giver no less, and gives the taker no more, than its fair share; else the cheapest
// one, if the taker stays within its bound with it.
func (b *balance) choose(from, to int) (Slot, bool) {
	slots := b.slots[from]
	for len(slots) > 0 && b.costs[slots[len(slots)-1]] == 0 {
		slots = slots[:len(slots)-1]
	}
	if len(slots) == 0 {
		return 0, false
	}
	most := math.Min(-b.lack(from), b.lack(to))
	at, _ := slices.BinarySearchFunc(slots, most, func(s Slot, most float64) int { return cmp.Compare(most, float64(b.costs[s])) })
	if at < len(slots) {
		return slots[at], true
	}
	cheapest := slots[len(slots)-1]
	cost := float64(b.costs[cheapest])
	return cheapest, b.lack(to) > 0 && cost <= -b.lack(from) && b.load[to]+cost <= b.high[to]
}

func (b *balance) give(s Slot, from, to int) {
	at := slices.Index(b.slots[from], s)
	b.slots[from] = slices.Delete(b.slots[from], at, at+1)
	into, _ := slices.BinarySearchFunc(b.slots[to], b.costs[s], func(o Slot, cost int64) int { return cmp.Compare(cost, b.costs[o]) })
	b.slots[to] = slices.Insert(b.slots[to], into, s)
	b.load[from] -= float64(b.costs[s])
	b.load[to] += float64(b.costs[s])
	b.planner.owner[s] = to
}
