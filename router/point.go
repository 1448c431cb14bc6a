package router

import (
	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

// point is how a statement is planned that runs where one key is: nothing else has a say in it. Most statements of an application are
// of this kind. Whatever is not as usual, such as a value that is no key, is left to the planner.
type point struct {
	group   string
	at      int // of the group among the snapshot's, when the statement was analysed
	foreign bool
	key     operand
}

// pointOf returns the point that an analysed statement is planned by; nil: it is none.
func (s *Statement) pointOf(snap *topology.Snapshot) *point {
	if s.route != routeRows || s.insertion != nil || len(s.needs) == 0 || len(s.homes) > 0 || s.catalogs || len(s.reached) > 0 ||
		s.refused != nil || s.alone != nil || s.single != nil || s.forced != "" || s.NoTransaction || s.ShardByShard {
		return nil
	}
	n := &s.needs[0]
	for i := range s.needs {
		if other := &s.needs[i]; other.group != n.group || len(other.any) != 1 || !other.any[0].same(&n.any[0]) {
			return nil
		}
	}
	if n.any[0].array {
		return nil
	}
	for i, g := range snap.Groups() {
		if g.Name == n.group {
			return &point{group: n.group, at: i, foreign: s.env.foreign, key: n.any[0]}
		}
	}
	return nil
}

// same says whether two operands are read alike.
func (o *operand) same(p *operand) bool {
	return o == p || o.kind == p.kind && o.index == p.index && o.negative == p.negative && o.null == p.null && o.array == p.array &&
		o.cast == p.cast && o.stored == p.stored && o.modifier == p.modifier && o.shared == p.shared && o.lit == p.lit &&
		o.keyType == p.keyType && o.given == nil && p.given == nil && len(o.parts) == 0 && len(p.parts) == 0
}

// locate returns where the key of an execution is, and its hash. No shard: that is for the planner to say.
func (p *point) locate(s *Statement, snap *topology.Snapshot, v Values) (at ring.Location, hash uint64) {
	groups := snap.Groups()
	if v == nil || p.at >= len(groups) {
		return at, 0
	}
	g := groups[p.at]
	if g.Name != p.group || g.Placement == nil {
		return at, 0
	}
	in := input{params: v, literals: s.literalsWith(v), foreign: p.foreign}
	key, got, _ := in.key(&p.key)
	if got != readKey {
		return at, 0
	}
	at = g.Placement.Locate(key)
	if s.Access != Read && readOnly(snap, at.Shard) != nil {
		return ring.Location{}, 0
	}
	return at, key.Hash()
}
