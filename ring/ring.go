package ring

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Shard is a shard as the ring sees it.
type Shard struct {
	ID     ShardID
	Weight int // share of the slots, relative to the other shards'; 0: owns nothing, e.g. because it is drained
}

// Config says how slots are placed.
type Config struct {
	VirtualNodes int     // points on the ring per unit of weight; 0 means 128
	LoadBound    float64 // no shard owns more than this times its fair share, nor less than its fair share divided by it; 1 to 2, 0 means 1.05
}

// Limits that keep planning well below a second.
const (
	maxShards = 4096
	maxPoints = 1 << 20
)

// Ring places slots on shards: consistent hashing with virtual nodes and bounded loads (Karger et al., 1997; Mirrokni,
// Thorup and Zadimoghaddam, 2016). It is an immutable value that depends on the set of shards, not on their order.
type Ring struct {
	shards    []shardNode // those with weight, sorted by id
	loadBound float64
}

// shardNode is a shard on the ring with the numbers of slots that bind it: low ≤ share ≤ bound.
type shardNode struct {
	id     ShardID
	points []uint64 // where its virtual nodes are, sorted
	low    int      // with less it is under-loaded
	share  int      // its fair share, rounded down
	bound  int      // with more it is overloaded; never below the fair share rounded up, or slots would find no place
}

// New checks the configuration and returns the ring of the shards.
func New(c Config, shards []Shard) (*Ring, error) {
	if c.VirtualNodes == 0 {
		c.VirtualNodes = 128
	}
	if c.LoadBound == 0 {
		c.LoadBound = 1.05
	}
	total, err := checkWeights(c, shards)
	if err != nil {
		return nil, fmt.Errorf("place shards on the ring: %w", err)
	}
	r := &Ring{loadBound: c.LoadBound}
	for _, s := range shards {
		if s.Weight > 0 {
			r.shards = append(r.shards, newShardNode(c, s, total))
		}
	}
	slices.SortFunc(r.shards, func(a, b shardNode) int { return strings.Compare(string(a.id), string(b.id)) })
	return r, nil
}

// checkWeights returns the sum of the weights.
func checkWeights(c Config, shards []Shard) (int, error) {
	if !(c.LoadBound >= 1 && c.LoadBound <= 2) {
		return 0, fmt.Errorf("load bound %v is not between 1 and 2", c.LoadBound)
	}
	if c.VirtualNodes < 1 || c.VirtualNodes > maxPoints {
		return 0, fmt.Errorf("%d virtual nodes are not between 1 and %d", c.VirtualNodes, maxPoints)
	}
	if len(shards) > maxShards {
		return 0, fmt.Errorf("%d shards are more than %d", len(shards), maxShards)
	}
	total, seen := 0, map[ShardID]bool{}
	for _, s := range shards {
		switch {
		case s.ID == "":
			return 0, errors.New("a shard has no name")
		case seen[s.ID]:
			return 0, fmt.Errorf("shard %q is there twice", s.ID)
		case s.Weight < 0:
			return 0, fmt.Errorf("shard %q has a negative weight", s.ID)
		case s.Weight > maxPoints/c.VirtualNodes-total:
			return 0, fmt.Errorf("weights × virtual nodes are more than %d: use smaller weights", maxPoints)
		}
		seen[s.ID] = true
		total += s.Weight
	}
	if total == 0 {
		return 0, errors.New("no shard has a weight above 0")
	}
	return total, nil
}

func newShardNode(c Config, s Shard, total int) shardNode {
	fair := float64(SlotCount) * float64(s.Weight) / float64(total)
	n := shardNode{
		id:    s.ID,
		low:   int(fair / c.LoadBound),
		share: SlotCount * s.Weight / total,
		bound: max(int(fair*c.LoadBound), int(math.Ceil(fair))),
	}
	name := append([]byte(s.ID), '#')
	for i := range c.VirtualNodes * s.Weight {
		n.points = append(n.points, hashBytes(strconv.AppendInt(name, int64(i), 10)))
	}
	slices.Sort(n.points)
	return n
}

// preferences lists for each slot all shards in the order in which they are met when one walks up the ring from the
// slot, as indexes into r.shards.
func (r *Ring) preferences() [][]uint16 {
	n := len(r.shards)
	all := make([]uint16, n*SlotCount)
	order := make([][]uint16, SlotCount)
	walk := make([]neighbour, n)
	for i := range walk {
		walk[i].shard = uint16(i)
	}
	for s := range order {
		for i := range walk {
			walk[i].advance(r.shards[walk[i].shard].points, uint64(s)<<(64-slotBits))
		}
		sortNeighbours(walk)
		order[s] = all[s*n : (s+1)*n]
		for rank := range walk {
			order[s][rank] = walk[rank].shard
		}
	}
	return order
}

// neighbour is a shard seen from a slot.
type neighbour struct {
	distance uint64 // to the shard's nearest virtual node up the ring
	next     int    // that virtual node
	shard    uint16
}

// advance goes on to the slot that starts at from.
func (n *neighbour) advance(points []uint64, from uint64) {
	for n.next < len(points) && points[n.next] < from {
		n.next++
	}
	n.distance = points[n.next%len(points)] - from // wraps at the end of the ring, as wanted
}

// sortNeighbours sorts by insertion: from slot to slot hardly anything changes, so this is one pass as a rule.
func sortNeighbours(walk []neighbour) {
	for i := 1; i < len(walk); i++ {
		n, j := walk[i], i
		for ; j > 0 && n.before(walk[j-1]); j-- {
			walk[j] = walk[j-1]
		}
		walk[j] = n
	}
}

func (n neighbour) before(o neighbour) bool {
	return n.distance < o.distance || n.distance == o.distance && n.shard < o.shard
}
