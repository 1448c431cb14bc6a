package ring

import (
	"errors"
	"fmt"
	"slices"
)

// Ranges is the placement by order: each shard of the list owns the keys from its lower bound up to the next one's.
type Ranges struct {
	keyType KeyType
	first   ShardID      // owns what is below the first bound
	bounds  []Assignment // ascending lower bounds, inclusive
	numbers []int64      // the bounds again, of a type whose keys are plain numbers; else nil
	owners  []ShardID
}

// NewRanges returns the placement in which first owns the keys below all bounds (all keys, if there are none), and each
// bound's shard the keys from it (inclusive) up to the next. Bounds are of type t and strictly ascending in the order of
// Key.Compare, which for text is byte order.
func NewRanges(t KeyType, first ShardID, bounds []Assignment) (*Ranges, error) {
	if first == "" {
		return nil, errors.New("place ranges: the first range needs a shard")
	}
	r := &Ranges{keyType: t, first: first, bounds: make([]Assignment, len(bounds))}
	owners := []ShardID{first}
	for i, b := range bounds {
		switch {
		case b.Shard == "":
			return nil, fmt.Errorf("place ranges: the range from %v needs a shard", b.Key)
		case b.Key.typ != t:
			return nil, fmt.Errorf("place ranges: bound %v is of type %v, not %v", b.Key, b.Key.typ, t)
		case i > 0 && b.Key.Compare(bounds[i-1].Key) <= 0:
			return nil, fmt.Errorf("place ranges: bound %v does not follow %v", b.Key, bounds[i-1].Key)
		}
		r.bounds[i] = Assignment{Key: b.Key.Clone(), Shard: b.Shard}
		if b.Key.isNumber() {
			r.numbers = append(r.numbers, int64(b.Key.lo))
		}
		owners = append(owners, b.Shard)
	}
	r.owners = shardSet(owners)
	return r, nil
}

// Locate implements Placement.
func (r *Ranges) Locate(k Key) Location {
	shard := r.first
	if n := r.notAbove(&k); n > 0 {
		shard = r.bounds[n-1].Shard
	}
	return Location{Slot: Slot(k.hash() >> (64 - slotBits)), Shard: shard}
}

// notAbove counts the bounds that are not above k.
func (r *Ranges) notAbove(k *Key) int {
	if r.numbers != nil && k.typ == r.keyType {
		return countNotAbove(r.numbers, int64(k.lo))
	}
	low, high := 0, len(r.bounds) // bounds below low are ≤ k, those from high on are > k
	for low < high {
		middle := int(uint(low+high) / 2)
		if compare(&r.bounds[middle].Key, k) <= 0 {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low
}

// countNotAbove is a binary search whose only branch is the loop's (the other comparison becomes a number), since keys at
// random would mislead the branch predictor half the time.
func countNotAbove(numbers []int64, n int64) int {
	low := 0
	for size := len(numbers); size > 0; {
		half := (size + 1) / 2
		notAbove := 0
		if numbers[low+half-1] <= n {
			notAbove = 1
		}
		low += half & -notAbove
		size -= half
	}
	return low
}

// Owners implements Placement.
func (r *Ranges) Owners() []ShardID { return r.owners }

// Bounds returns the shard below all bounds, and the bounds in order.
func (r *Ranges) Bounds() (first ShardID, bounds []Assignment) {
	return r.first, slices.Clone(r.bounds)
}
