package router

import (
	"slices"

	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

// part is a text for some of the shards of a broadcast.
type part struct {
	all   bool         // every shard
	shard ring.ShardID // this one otherwise
	sql   string       // empty: the client's text
}

// broadcast plans a statement for every shard, or for the shards of its parts.
func (p *planner) broadcast() *Refusal {
	if len(p.s.dated) > 0 && !p.alone() {
		if refusal := p.dated(); refusal != nil {
			return refusal
		}
	}
	p.plan.Kind = Broadcast
	if p.s.parts == nil {
		p.plan.Shards = everyShard(p.snap)
	} else {
		p.split()
	}
	for i := range p.s.needs {
		p.touch(p.s.needs[i].group, 0)
		p.plan.AllSlots = true
	}
	return nil
}

// split makes the parts: each shard gets the text of its tables. A shard of all
// sharded tables that has home tables of the statement, too, gets one text.
func (p *planner) split() {
	for _, shard := range everyShard(p.snap) {
		for i := range p.s.parts {
			part := &p.s.parts[i]
			if part.shard == shard || part.all && !p.hasOwn(shard) {
				p.plan.Parts = append(p.plan.Parts, Part{Shard: shard, SQL: part.sql})
				break
			}
		}
	}
}

// hasOwn says whether some part is for this shard alone.
func (p *planner) hasOwn(shard ring.ShardID) bool {
	return slices.ContainsFunc(p.s.parts, func(part part) bool { return part.shard == shard })
}

// everyShard lists the shards that have the schema, sorted.
func everyShard(snap *topology.Snapshot) []ring.ShardID {
	shards := make([]ring.ShardID, 0, len(snap.Shards))
	for i := range snap.Shards {
		if snap.Shards[i].State != topology.Joining {
			shards = append(shards, snap.Shards[i].ID)
		}
	}
	slices.Sort(shards)
	return shards
}

// dated refuses parameters that mean the current time: each shard would take
// its own.
func (p *planner) dated() *Refusal {
	for _, i := range p.s.dated {
		v, ok := p.in.params.Value(i)
		if ok && !v.Null && !v.Binary && clockWord(string(v.Data)) && v.OID != oidText && v.OID != oidVarchar {
			return &Refusal{
				Reason:  Unsupported,
				Message: "write to a reference table may differ between shards",
				Detail:  "A parameter may mean the current time, which each shard takes for itself.",
				Hint:    "Bind the moment itself, or declare the parameter as text.",
			}
		}
	}
	return nil
}
