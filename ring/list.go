package ring

import (
	"fmt"
	"slices"
)

// List is the placement by value: each listed key has its shard, and an optional default shard owns all others.
type List struct {
	keyType KeyType
	values  assignments
	other   ShardID
	owners  []ShardID
}

// NewList returns the placement of the listed keys, which are of type t and each listed once. other owns the keys that
// are not listed; when it is empty, Locate answers for them with an empty shard.
func NewList(t KeyType, values []Assignment, other ShardID) (*List, error) {
	var sorted []Assignment
	owners := []ShardID{other}
	for _, v := range values {
		if v.Shard == "" {
			return nil, fmt.Errorf("place list: value %v needs a shard", v.Key)
		}
		if v.Key.typ != t {
			return nil, fmt.Errorf("place list: value %v is of type %v, not %v", v.Key, v.Key.typ, t)
		}
		if _, twice := search(sorted, v.Key); twice {
			return nil, fmt.Errorf("place list: value %v is listed twice", v.Key)
		}
		sorted = insert(sorted, v.Key, v.Shard)
		owners = append(owners, v.Shard)
	}
	return &List{keyType: t, values: newAssignments(sorted), other: other, owners: shardSet(owners)}, nil
}

// Locate implements Placement.
func (l *List) Locate(k Key) Location {
	hash := k.hash()
	shard, ok := l.values.find(&k, hash)
	if !ok {
		shard = l.other
	}
	return Location{Slot: Slot(hash >> (64 - slotBits)), Shard: shard}
}

// Owners implements Placement.
func (l *List) Owners() []ShardID { return l.owners }

// Values returns the listed keys, sorted, and the shard of all others.
func (l *List) Values() (values []Assignment, other ShardID) {
	return slices.Clone(l.values.sorted), l.other
}
