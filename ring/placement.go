package ring

import (
	"encoding/json"
	"fmt"
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

// assignments looks shards up by key. The key's hash is the index, since a Key may hold bytes and is no map key.
type assignments map[uint64][]Assignment

func (a assignments) find(k *Key, hash uint64) (ShardID, bool) {
	same := a[hash]
	for i := range same {
		if compare(k, &same[i].Key) == 0 {
			return same[i].Shard, true
		}
	}
	return "", false
}

// set replaces or adds; it never writes to the slices it finds, which another version of the placement may share.
func (a assignments) set(k Key, shard ShardID) {
	hash := k.Hash()
	kept := a.without(k, hash)
	a[hash] = append(kept, Assignment{Key: k.Clone(), Shard: shard})
}

func (a assignments) remove(k Key) {
	hash := k.Hash()
	if kept := a.without(k, hash); len(kept) > 0 {
		a[hash] = kept
		return
	}
	delete(a, hash)
}

func (a assignments) without(k Key, hash uint64) []Assignment {
	kept := slices.Clone(a[hash])
	return slices.DeleteFunc(kept, func(e Assignment) bool { return e.Key.Compare(k) == 0 })
}

// sorted lists all by key.
func (a assignments) sorted() []Assignment {
	var all []Assignment
	for _, same := range a {
		all = append(all, same...)
	}
	slices.SortFunc(all, func(x, y Assignment) int { return x.Key.Compare(y.Key) })
	return all
}

// shardSet sorts shards and drops doubles and the empty one.
func shardSet(shards []ShardID) []ShardID {
	slices.Sort(shards)
	shards = slices.Compact(shards)
	return slices.DeleteFunc(shards, func(s ShardID) bool { return s == "" })
}
