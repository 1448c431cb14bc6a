package ring

import (
	"maps"
	"slices"
	"strings"
)

// Move hands slots and pinned keys from one shard to another. A pinned key does not move with its slot.
type Move struct {
	From  ShardID // empty: nobody owned them
	To    ShardID
	Slots []Slot // ascending
	Keys  []Key  // pinned keys; for Map.With any key: it becomes pinned to To, unless To owns its slot
}

// Place returns a fresh map: the placement when there is nothing yet that one would not like to move.
func (r *Ring) Place() *Map {
	return Modulo(nil).With(r.Plan(nil)...)
}

// Plan returns what has to move so that each shard owns what the ring's weights give it, sorted by From and To; nil
// means a map without owners. A slot stays where it is, unless
//
//   - its owner is no longer on the ring or has weight 0,
//   - its owner has more than its bound (fair share × LoadBound), or
//   - another shard is under-loaded (below fair share ÷ LoadBound), as a new one is, and its owner is above its own
//     fair share: then the under-loaded shard gets its fair share.
//
// Which slots move is the ring's choice: those for which the new owner is met first, then second, … on the walk up the
// ring. So equal shards that come take slots from the old ones and none changes hands among these, shards that leave
// give up their own slots only, and the result tends to consistent hashing. The plan of a map that was planned with the same ring
// is empty. Pins stay too, unless their shard has left: those keys go to the owners of their slots.
func (r *Ring) Plan(present *Map) []Move {
	if present == nil {
		present = Modulo(nil)
	}
	p := newPlanner(r, present)
	p.run()
	return p.moves(present)
}

// nobody is the owner of a slot whose shard is not on the ring.
const nobody = -1

// planner works out who should own each slot. Shards are indexes into ring.shards.
type planner struct {
	ring  *Ring
	order [][]uint16 // Ring.preferences
	owner [SlotCount]int
	load  []int
}

func newPlanner(r *Ring, present *Map) *planner {
	p := &planner{ring: r, order: r.preferences(), load: make([]int, len(r.shards))}
	for s := range p.owner {
		p.owner[s] = r.index(present.Owner(Slot(s)))
		if p.owner[s] != nobody {
			p.load[p.owner[s]]++
		}
	}
	return p
}

// index returns nobody for a shard that is not on the ring.
func (r *Ring) index(id ShardID) int {
	i, found := slices.BinarySearchFunc(r.shards, id, func(n shardNode, id ShardID) int {
		return strings.Compare(string(n.id), string(id))
	})
	if !found {
		return nobody
	}
	return i
}

// run fixes one thing after the other, the unavoidable first.
func (p *planner) run() {
	low := p.limits(func(n *shardNode) int { return n.low })
	share := p.limits(func(n *shardNode) int { return n.share })
	bound := p.limits(func(n *shardNode) int { return n.bound })
	all := p.limits(func(*shardNode) int { return SlotCount })

	// Slots without an owner must go somewhere. Under-loaded shards first: what they get now, they need not be given
	// at the expense of a shard that could keep its slots.
	p.settle(all, low)
	p.settle(all, bound)

	// So must what is above a bound. A shard that is under-loaded, as a new one is, takes all of it if it can.
	needy := p.below(low, bound)
	p.settle(bound, low)
	p.settle(bound, needy)

	// Who is still under-loaded gets its fair share from those above theirs.
	p.settle(share, p.below(low, share))

	// The rest above a bound goes wherever there is room; as the bounds sum up to SlotCount at least, there is.
	p.settle(bound, bound)
}

func (p *planner) limits(of func(*shardNode) int) []int {
	limits := make([]int, len(p.load))
	for i := range limits {
		limits[i] = of(&p.ring.shards[i])
	}
	return limits
}

// below returns the limit for the shards that are below low now, and 0 for the others.
func (p *planner) below(low, limit []int) []int {
	limits := make([]int, len(limit))
	for i, load := range p.load {
		if load < low[i] {
			limits[i] = limit[i]
		}
	}
	return limits
}

// settle hands over slots: from nobody and from shards that own more than keep, to shards that own less than limit. A
// slot goes to the shard that the ring prefers for it; all slots' first choices come before any second one.
func (p *planner) settle(keep, limit []int) {
	for rank := range p.load {
		if !p.canSettle(keep, limit) {
			return
		}
		for s := range p.owner {
			from, to := p.owner[s], int(p.order[s][rank])
			if p.load[to] >= limit[to] || from != nobody && p.load[from] <= keep[from] {
				continue
			}
			if from != nobody {
				p.load[from]--
			}
			p.load[to]++
			p.owner[s] = to
		}
	}
}

// canSettle reports whether there is a slot to hand over and a shard with room.
func (p *planner) canSettle(keep, limit []int) bool {
	owned, give, room := 0, false, false
	for i, load := range p.load {
		owned += load
		give = give || load > keep[i]
		room = room || load < limit[i]
	}
	return room && (give || owned < SlotCount)
}

// moves lists the differences to the present map.
func (p *planner) moves(present *Map) []Move {
	type route struct{ from, to ShardID }
	moves := map[route]*Move{}
	move := func(from, to ShardID) *Move {
		r := route{from, to}
		if moves[r] == nil {
			moves[r] = &Move{From: from, To: to}
		}
		return moves[r]
	}
	for s, owner := range p.owner {
		from, to := present.Owner(Slot(s)), p.ring.shards[owner].id
		if from != to {
			m := move(from, to)
			m.Slots = append(m.Slots, Slot(s))
		}
	}
	for _, pin := range present.Pins() {
		if p.ring.index(pin.Shard) == nobody {
			m := move(pin.Shard, p.ring.shards[p.owner[pin.Key.Slot()]].id)
			m.Keys = append(m.Keys, pin.Key)
		}
	}
	routes := slices.SortedFunc(maps.Keys(moves), func(a, b route) int {
		return strings.Compare(string(a.from)+"\x00"+string(a.to), string(b.from)+"\x00"+string(b.to))
	})
	list := make([]Move, len(routes))
	for i, r := range routes {
		list[i] = *moves[r]
	}
	return list
}
