package router

import (
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

// planPoint makes the plan of a statement that has a point. False: it is for the planner, and the plan is as it was.
func (s *Statement) planPoint(plan *Plan, snap *topology.Snapshot, v Values) bool {
	p := s.point
	groups := snap.Groups()
	if v == nil || p.at >= len(groups) || groups[p.at].Name != p.group || groups[p.at].Placement == nil {
		return false
	}
	in := input{params: v, literals: noValues{}, foreign: p.foreign}
	if s.fixed != nil {
		in.literals = s.fixed
	} else if own, ok := v.(*literals); ok {
		in.literals = own
	}
	key, got, _ := in.key(&p.key)
	if got != readKey {
		return false
	}
	at := groups[p.at].Placement.Locate(key)
	if at.Shard == "" || s.Access != Read && readOnly(snap, at.Shard) != nil {
		return false
	}
	plan.Kind, plan.Shard = One, at.Shard
	plan.HasKey, plan.Key = true, key.Hash()
	plan.At = SlotRef{p.group, at.Slot}
	return true
}
