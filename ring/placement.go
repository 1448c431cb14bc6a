package ring

import (
	"encoding/json"
	"fmt"
	"math/bits"
	"slices"
)

// Location says where a key lives: its slot, and the shard that owns the key. Shard is empty when nobody does.
type Location struct {
	Slot  Slot
	Shard ShardID
}

// Placement answers who owns a key. Placements are immutable and safe for concurrent use. The keys asked for must have
// the placement's key type.
type Placement interface {
	// Locate returns the owner of the key. It does not allocate.
	Locate(Key) Location
	// Owners returns the shards that own anything, sorted; the slice belongs to the placement.
	Owners() []ShardID
}

// Strategies, as a table's configuration names them. Consistent and Hash are both a Map; they differ in how it is made.
const (
	StrategyConsistent = "consistent"
	StrategyHash       = "hash"
	StrategyRange      = "range"
	StrategyList       = "list"
)

// UnmarshalPlacement reads the JSON form of the placement that a strategy uses.
func UnmarshalPlacement(strategy string, data []byte) (Placement, error) {
	switch strategy {
	case StrategyConsistent, StrategyHash:
		return unmarshal(strategy, data, new(Map))
	case StrategyRange:
		return unmarshal(strategy, data, new(Ranges))
	case StrategyList:
		return unmarshal(strategy, data, new(List))
	default:
		return nil, fmt.Errorf("read placement: unknown strategy %q", strategy)
	}
}

func unmarshal(strategy string, data []byte, p Placement) (Placement, error) {
	if err := json.Unmarshal(data, p); err != nil {
		return nil, fmt.Errorf("read placement of strategy %q: %w", strategy, err)
	}
	return p, nil
}

// Assignment gives one key to a shard: a pin of a Map, a value of a List, a lower bound of Ranges.
type Assignment struct {
	Key   Key
	Shard ShardID
}

// assignments looks shards up by key. It is immutable; the zero value is empty.
type assignments struct {
	sorted []Assignment // by key, each key once
	table  []uint32     // open addressing by hash, mostly empty so that a miss is quick: position in sorted + 1, 0 where empty
}

// newAssignments takes over the list, which is sorted by key.
func newAssignments(sorted []Assignment) assignments {
	a := assignments{sorted: sorted}
	if len(sorted) == 0 {
		return a
	}
	a.table = make([]uint32, 1<<bits.Len(uint(8*len(sorted))))
	for i := range sorted {
		at := int(sorted[i].Key.hash()) & (len(a.table) - 1)
		for a.table[at] != 0 {
			at = (at + 1) & (len(a.table) - 1)
		}
		a.table[at] = uint32(i + 1)
	}
	return a
}

func (a *assignments) find(k *Key, hash uint64) (ShardID, bool) {
	if len(a.table) == 0 {
		return "", false
	}
	for at := int(hash) & (len(a.table) - 1); a.table[at] != 0; at = (at + 1) & (len(a.table) - 1) {
		if e := &a.sorted[a.table[at]-1]; compare(k, &e.Key) == 0 {
			return e.Shard, true
		}
	}
	return "", false
}

// insert puts a key that lasts into a sorted list, in the place of the same key if it is there.
func insert(sorted []Assignment, k Key, shard ShardID) []Assignment {
	at, found := search(sorted, k)
	if found {
		sorted[at].Shard = shard
		return sorted
	}
	return slices.Insert(sorted, at, Assignment{Key: k.Clone(), Shard: shard})
}

func remove(sorted []Assignment, k Key) []Assignment {
	if at, found := search(sorted, k); found {
		return slices.Delete(sorted, at, at+1)
	}
	return sorted
}

func search(sorted []Assignment, k Key) (at int, found bool) {
	return slices.BinarySearchFunc(sorted, k, func(a Assignment, k Key) int { return a.Key.Compare(k) })
}

// shardSet sorts shards and drops doubles and the empty one.
func shardSet(shards []ShardID) []ShardID {
	slices.Sort(shards)
	shards = slices.Compact(shards)
	return slices.DeleteFunc(shards, func(s ShardID) bool { return s == "" })
}
