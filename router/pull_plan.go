package router

import (
	"hash/fnv"
	"slices"
	"strings"

	"github.com/pgring/pgring/ring"
)

// Copy is what a Pull does on its final shard before the statement can run
// there: it makes a temporary table and copies the rows of all Parts into it.
// The rows are sent as the Parts' results in binary format.
type Copy struct {
	Create string // makes the table; it is gone with the transaction
	Into   string // COPY … FROM STDIN in binary format
	Drop   string
}

// pull plans the statement by copying rows to one shard.
func (p *planner) pull() *Refusal {
	pl := p.s.pull
	final := pl.at
	if final == "" {
		slices.Sort(p.shards)
		h := fnv.New32a()
		_, _ = h.Write([]byte(pl.text)) // so that not all of them burden one shard
		final = p.shards[h.Sum32()%uint32(len(p.shards))]
	}
	here := make([]bool, len(pl.fetches))
	there := make([]bool, len(pl.fetches))
	wanted := map[ring.ShardID][]int{}
	for i := range pl.fetches {
		shards, refusal := p.holders(&pl.fetches[i])
		if refusal != nil {
			return refusal
		}
		for _, shard := range shards {
			if shard == final {
				here[i] = true
				continue
			}
			there[i] = true
			wanted[shard] = append(wanted[shard], i)
		}
	}
	text := pl.text
	for _, m := range pl.marks {
		text = strings.Replace(text, m.name, pl.relation(m.fetch, here[m.fetch], there[m.fetch]), 1)
	}
	p.plan.Kind, p.plan.Shard, p.plan.SQL = Pull, final, text
	for shard, list := range wanted {
		p.plan.Parts = append(p.plan.Parts, Part{Shard: shard, SQL: pl.source(list)})
	}
	slices.SortFunc(p.plan.Parts, func(a, b Part) int { return strings.Compare(string(a.Shard), string(b.Shard)) })
	p.plan.Copy = &Copy{Create: pl.create(), Into: "COPY pg_temp." + pullTable + " FROM STDIN (FORMAT binary)", Drop: "DROP TABLE pg_temp." + pullTable}
	return nil
}

// holders lists the shards that have rows of a fetch.
func (p *planner) holders(f *fetch) ([]ring.ShardID, *Refusal) {
	if f.shard != "" {
		return []ring.ShardID{f.shard}, nil
	}
	only := planner{s: p.s, snap: p.snap, in: p.in}
	if refusal := only.need(&f.need); refusal != nil {
		return nil, refusal
	}
	switch {
	case only.shards != nil:
		return only.shards, nil
	case only.shard != "":
		return []ring.ShardID{only.shard}, nil
	}
	return nil, nil // no row can have such a key
}
