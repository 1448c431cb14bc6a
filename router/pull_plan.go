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
	Check  bool   // SQL must be described as the client's text is
	Look   string // what to ask for errors first, as PostgreSQL looks at it only when it runs; empty: the client's text
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
	want := p.wanted()
	here := make([]bool, len(pl.fetches))
	there := make([]bool, len(pl.fetches))
	asked := map[ring.ShardID][]int{}
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
			asked[shard] = append(asked[shard], i)
		}
	}
	text := pl.text
	for _, m := range pl.marks {
		text = strings.Replace(text, m.name, pl.relation(m.fetch, here[m.fetch], there[m.fetch]), 1)
	}
	p.plan.Kind, p.plan.Shard, p.plan.SQL = Pull, final, pl.around.before+text+pl.around.after
	for shard, list := range asked {
		p.plan.Parts = append(p.plan.Parts, Part{Shard: shard, SQL: pl.source(list, want)})
	}
	slices.SortFunc(p.plan.Parts, func(a, b Part) int { return strings.Compare(string(a.Shard), string(b.Shard)) })
	p.plan.Copy = &Copy{Create: pl.create(), Into: "COPY pg_temp." + pullTable + " FROM STDIN (FORMAT binary)", Drop: "DROP TABLE pg_temp." + pullTable,
		Look: pl.around.look, Check: pl.combined}
	return nil
}

// maxPullKeys bounds the keys that are written into a text.
const maxPullKeys = 100

// wanted says what this execution asks for of each fetch. A parameter that may
// be a word for the current time would mean another moment on each shard.
func (p *planner) wanted() []wanted {
	pl := p.s.pull
	plain := false
	for _, i := range pl.params {
		v, ok := p.in.params.Value(i)
		plain = plain || !ok || !v.Binary && clockWord(string(v.Data))
	}
	list := make([]wanted, len(pl.fetches))
	for i := range list {
		if pl.combined {
			continue // its conditions say it all
		}
		list[i] = wanted{keys: p.keyCondition(&pl.fetches[i]), plain: plain}
	}
	return list
}

// keyCondition says in SQL which keys the rows of a fetch must have, if they
// are known and integers.
func (p *planner) keyCondition(f *fetch) string {
	if len(f.need.any) == 0 || f.need.any[0].keyType != ring.KeyInt {
		return ""
	}
	var keys []string
	sure := true
	add := func(k ring.Key) { keys = append(keys, k.String()) }
	for i := range f.need.any {
		o := &f.need.any[i]
		got := readUnknown
		if o.array {
			got, _ = p.in.elements(o, add)
		} else {
			var key ring.Key
			if key, got, _ = p.in.key(o); got == readKey {
				add(key)
			}
		}
		sure = sure && (got == readKey || got == readNothing)
	}
	if !sure || len(keys) == 0 || len(keys) > maxPullKeys {
		return ""
	}
	return f.alias + "." + quoteIdent(f.need.column) + " OPERATOR(pg_catalog.=) ANY ('{" + strings.Join(keys, ",") + "}'::pg_catalog.int8[])"
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
