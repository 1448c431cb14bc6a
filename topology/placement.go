package topology

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/pgring/pgring/ring"
)

// encodePlacement writes the slot map as ring does. Bounds and lists are kept as the text they were declared with, because they
// may be declared before a table exists that tells their type.
func (g group) encodePlacement() ([]byte, error) {
	if g.slots != nil {
		return json.Marshal(g.slots)
	}
	return json.Marshal(g.layout)
}

func (g *group) decodePlacement(data []byte) error {
	switch g.strategy {
	case Consistent, Hash:
		g.slots = new(ring.Map)
		return json.Unmarshal(data, g.slots)
	case Range, List:
		return json.Unmarshal(data, &g.layout)
	case StrategyUnset:
	}
	return fmt.Errorf("group %s has no strategy", g.name)
}

// placement gives what the snapshot publishes, for keys of the given type.
func (g group) placement(keyType ring.KeyType) (ring.Placement, error) {
	switch {
	case g.slots != nil:
		return g.slots, nil
	case keyType == ring.KeyUnset:
		return untyped(g.layout.owners()), nil
	case g.strategy == Range:
		return g.layout.buildRanges(keyType)
	}
	return g.layout.buildList(keyType)
}

// untyped stands for a Range or List group none of whose tables exists: it knows its owners, who will get the table, and no key.
type untyped []ring.ShardID

// Locate answers that nobody owns the key.
func (u untyped) Locate(ring.Key) ring.Location { return ring.Location{} }

// Owners gives the shards that the layout names.
func (u untyped) Owners() []ring.ShardID { return u }

func (l Layout) owners() []ring.ShardID {
	owners := []ring.ShardID{}
	for _, b := range l.Ranges {
		owners = append(owners, b.Shard)
	}
	for _, v := range l.Lists {
		owners = append(owners, v.Shard)
	}
	if l.Default != "" {
		owners = append(owners, l.Default)
	}
	slices.Sort(owners)
	return slices.Compact(owners)
}

func (l Layout) buildRanges(keyType ring.KeyType) (ring.Placement, error) {
	if len(l.Ranges) == 0 || l.Ranges[0].From != nil {
		return nil, fmt.Errorf("the first range must be open below (from: MIN)")
	}
	var bounds []ring.Assignment
	for _, b := range l.Ranges[1:] {
		if b.From == nil {
			return nil, fmt.Errorf("only the first range may be open below")
		}
		key, err := ring.ParseKey(keyType, []byte(*b.From))
		if err != nil {
			return nil, fmt.Errorf("range from %q: %w", *b.From, err)
		}
		bounds = append(bounds, ring.Assignment{Key: key, Shard: b.Shard})
	}
	return ring.NewRanges(keyType, l.Ranges[0].Shard, bounds)
}

func (l Layout) buildList(keyType ring.KeyType) (ring.Placement, error) {
	var values []ring.Assignment
	for _, listed := range l.Lists {
		for _, value := range listed.Values {
			key, err := ring.ParseKey(keyType, []byte(value))
			if err != nil {
				return nil, fmt.Errorf("value %q of shard %s: %w", value, listed.Shard, err)
			}
			values = append(values, ring.Assignment{Key: key, Shard: listed.Shard})
		}
	}
	return ring.NewList(keyType, values, l.Default)
}

// freshGroup places a new group over the active shards; range and list say themselves where.
func (f *facts) freshGroup(name string, wish TableWish) (group, error) {
	g := group{name: name, strategy: wish.Strategy}
	if g.strategy == StrategyUnset {
		g.strategy = Consistent
	}
	shards := f.active()
	if len(shards) == 0 {
		return g, fmt.Errorf("place group %s: no shard is active", name)
	}
	switch g.strategy {
	case Consistent:
		weighted := make([]ring.Shard, len(shards))
		for i, s := range shards {
			weighted[i] = ring.Shard{ID: s.ID, Weight: s.Weight}
		}
		circle, err := ring.New(f.ring, weighted)
		if err != nil {
			return g, fmt.Errorf("place group %s: %w", name, err)
		}
		g.slots = circle.Place()
	case Hash:
		ids := make([]ring.ShardID, len(shards))
		for i, s := range shards {
			ids[i] = s.ID
		}
		g.slots = ring.Modulo(ids)
	case Range, List:
		g.layout = wish.Layout
	case StrategyUnset:
	}
	return g, f.checkOwners(g)
}

// wholeGroup places everything of a group on one shard: where the rows are that it starts with.
func wholeGroup(name string, strategy Strategy, shard ring.ShardID) group {
	g := group{name: name, strategy: strategy}
	switch strategy {
	case Range:
		g.layout = Layout{Ranges: []Bound{{Shard: shard}}}
	case List:
		g.layout = Layout{Default: shard}
	case Consistent, Hash, StrategyUnset:
		g.slots = ring.Modulo([]ring.ShardID{shard})
	}
	return g
}

// checkOwners makes sure that a layout names shards that there are, and that may be given something.
func (f *facts) checkOwners(g group) error {
	for _, id := range g.owners() {
		if s, found := f.shard(id); !found {
			return fmt.Errorf("place group %s: there is no shard %s", g.name, id)
		} else if s.State == Joining {
			return fmt.Errorf("place group %s: shard %s is joining: it has no copy of the schema yet", g.name, id)
		}
	}
	return nil
}

func (g group) owners() []ring.ShardID {
	if g.slots != nil {
		return g.slots.Owners()
	}
	return g.layout.owners()
}

// share counts what a shard owns of the group: slots and pins, or ranges, or lists.
func (g group) share(id ring.ShardID) int {
	n := 0
	if g.slots != nil {
		n = len(g.slots.Slots(id))
		for _, pin := range g.slots.Pins() {
			if pin.Shard == id {
				n++
			}
		}
		return n
	}
	for _, b := range g.layout.Ranges {
		if b.Shard == id {
			n++
		}
	}
	for _, v := range g.layout.Lists {
		if v.Shard == id {
			n++
		}
	}
	if g.layout.Default == id {
		n++
	}
	return n
}
