package router

import (
	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

// writable refuses a write on a shard that takes none.
func (p *planner) writable() *Refusal {
	switch p.plan.Kind {
	case One, Home, Reference, Pull:
		return readOnly(p.snap, p.plan.Shard)
	case Broadcast, Split:
		for _, shard := range p.plan.Shards {
			if refusal := readOnly(p.snap, shard); refusal != nil {
				return refusal
			}
		}
		for i := range p.plan.Parts {
			if refusal := readOnly(p.snap, p.plan.Parts[i].Shard); refusal != nil {
				return refusal
			}
		}
	case KindUnset, Gather, Staged:
	}
	return nil
}

func readOnly(snap *topology.Snapshot, id ring.ShardID) *Refusal {
	if !isReadOnly(snap, id) {
		return nil
	}
	return &Refusal{Reason: ReadOnlyShard, Message: "cannot write to shard " + quoteIdent(string(id)),
		Detail: "The shard is read-only now.", Hint: "Try again when the shard takes writes."}
}

// isReadOnly is asked for each write, and nearly no shard is: where there are
// few, looking at all of them is less work than finding one by its name.
func isReadOnly(snap *topology.Snapshot, id ring.ShardID) bool {
	const few = 32
	if len(snap.Shards) > few {
		shard, known := snap.Shard(id)
		return known && shard.State == topology.ReadOnly
	}
	for i := range snap.Shards {
		if s := &snap.Shards[i]; s.State == topology.ReadOnly && s.ID == id {
			return true
		}
	}
	return false
}
