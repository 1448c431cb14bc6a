package ring

import (
	"maps"
	"slices"
)

// Map is the placement by slot: each slot has one owner. Single keys can be pinned to another shard than their slot's.
// A Map is immutable; With makes the next version.
type Map struct {
	shards []ShardID // sorted; an owner is an index into it. Holds "" when some slot is nobody's
	owner  [SlotCount]uint16
	pins   assignments
	owners []ShardID
}

// Modulo gives slot i to shards[i % n], the order of the shards being significant: the strategy `hash`. Without shards
// every slot is nobody's.
func Modulo(shards []ShardID) *Map {
	if len(shards) == 0 {
		shards = []ShardID{""}
	}
	owner := make([]ShardID, SlotCount)
	for s := range owner {
		owner[s] = shards[s%len(shards)]
	}
	return newMap(owner, assignments{})
}

// newMap returns the map with the owners of all slots, in order.
func newMap(owner []ShardID, pins assignments) *Map {
	m := &Map{pins: pins}
	index := map[ShardID]uint16{}
	for s, shard := range owner {
		if s == 0 || shard != owner[s-1] {
			index[shard] = 0
		}
	}
	m.shards = slices.Sorted(maps.Keys(index))
	for i, shard := range m.shards {
		index[shard] = uint16(i)
	}
	for s, shard := range owner {
		m.owner[s] = index[shard]
	}
	m.owners = m.listOwners()
	return m
}

func (m *Map) listOwners() []ShardID {
	owners := slices.Clone(m.shards)
	for _, p := range m.pins.sorted {
		owners = append(owners, p.Shard)
	}
	return shardSet(owners)
}

// Locate implements Placement.
func (m *Map) Locate(k Key) Location {
	hash := k.hash()
	slot := Slot(hash >> (64 - slotBits))
	if shard, pinned := m.pins.find(&k, hash); pinned {
		return Location{Slot: slot, Shard: shard}
	}
	return Location{Slot: slot, Shard: m.Owner(slot)}
}

// Owner returns the shard that owns a slot, pins apart; empty when nobody does or there is no such slot.
func (m *Map) Owner(s Slot) ShardID {
	if s >= SlotCount || len(m.shards) == 0 {
		return ""
	}
	return m.shards[m.owner[s]]
}

// Owners implements Placement: the shards that own a slot or a pinned key.
func (m *Map) Owners() []ShardID { return m.owners }

// Slots returns the slots that a shard owns, in order.
func (m *Map) Slots(shard ShardID) []Slot {
	var slots []Slot
	for s := range Slot(SlotCount) {
		if m.Owner(s) == shard {
			slots = append(slots, s)
		}
	}
	return slots
}

// Pins returns the pinned keys, sorted.
func (m *Map) Pins() []Assignment { return slices.Clone(m.pins.sorted) }

// Part returns what a shard owns: its slots but for the keys that are pinned elsewhere, and the keys that are pinned to it.
func (m *Map) Part(shard ShardID) *SlotSet {
	part := NewSlotSet(m.Slots(shard))
	for _, pin := range m.pins.sorted {
		part.put(pin.Key, pin.Shard == shard)
	}
	return part
}

// Moving returns what a move takes along: its slots but for the pinned keys in them, and its keys.
func (m *Map) Moving(move Move) *SlotSet {
	set := NewSlotSet(move.Slots)
	for _, pin := range m.pins.sorted {
		set.put(pin.Key, false)
	}
	return set.With(move.Keys...)
}

// WithSet returns the map in which the shard owns every key of the set, and all others belong to whom they belonged: a key whose
// slot changes hands without it is pinned.
func (m *Map) WithSet(set *SlotSet, to ShardID) *Map {
	with, without := set.Keys()
	for _, pin := range m.pins.sorted {
		if set.HasKey(pin.Key) {
			with = append(with, pin.Key)
		}
	}
	next := m.With(Move{To: to, Slots: set.Slots(), Keys: with})
	for _, k := range without {
		if owner := m.Locate(k).Shard; owner != next.Locate(k).Shard {
			next = next.With(Move{To: owner, Keys: []Key{k}})
		}
	}
	return next
}

// With returns the map after the moves: their slots and keys belong to their To. A key that is moved to the owner of
// its slot is no longer pinned. From is not looked at (who stores maps compares epochs), slots out of range are ignored.
func (m *Map) With(moves ...Move) *Map {
	owner := make([]ShardID, SlotCount)
	for s := range owner {
		owner[s] = m.Owner(Slot(s))
	}
	pins := m.Pins()
	for _, move := range moves {
		for _, s := range move.Slots {
			if s < SlotCount {
				owner[s] = move.To
			}
		}
	}
	for _, move := range moves {
		for _, k := range move.Keys {
			if owner[k.Slot()] == move.To {
				pins = remove(pins, k)
			} else {
				pins = insert(pins, k, move.To)
			}
		}
	}
	return newMap(owner, newAssignments(pins))
}
