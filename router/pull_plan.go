package router

import (
	"hash/fnv"
	"slices"
	"strconv"
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

	pull *pull
	held []held // of each fetch
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
	rows := make([]held, len(pl.fetches))
	asked := map[ring.ShardID][]int{}
	for i := range pl.fetches {
		shards, refusal := p.holders(&pl.fetches[i])
		if refusal != nil {
			return refusal
		}
		for _, shard := range shards {
			if shard == final {
				rows[i].here, rows[i].counting = true, p.counting(&pl.fetches[i], final)
				continue
			}
			rows[i].copied = true
			asked[shard] = append(asked[shard], i)
		}
	}
	copied := &Copy{Create: pl.create(), Into: "COPY pg_temp." + pullTable + " FROM STDIN (FORMAT binary)", Drop: "DROP TABLE pg_temp." + pullTable,
		Look: pl.around.look, Check: pl.combined, pull: pl, held: rows}
	p.plan.Kind, p.plan.Shard, p.plan.Copy = Pull, final, copied
	p.plan.SQL = copied.statement(func(fetch int) string {
		return "pg_temp." + pullTable + " WHERE k OPERATOR(pg_catalog.=) " + strconv.Itoa(fetch)
	})
	for shard, list := range asked {
		for _, i := range list {
			want[i].counting = p.counting(&pl.fetches[i], shard)
		}
		p.plan.Parts = append(p.plan.Parts, Part{Shard: shard, SQL: pl.source(list, want)})
	}
	slices.SortFunc(p.plan.Parts, func(a, b Part) int { return strings.Compare(string(a.Shard), string(b.Shard)) })
	return nil
}

// statement is the final statement. from names what has the rows copied of a fetch.
func (c *Copy) statement(from func(fetch int) string) string {
	text := c.pull.text
	for _, m := range c.pull.marks {
		text = strings.Replace(text, m.name, c.pull.relation(m.fetch, c.held[m.fetch], from(m.fetch)), 1)
	}
	return c.pull.around.before + text + c.pull.around.after
}

// WithRows is the final statement with the rows of all Parts in it, for where no table can be made. They are the Parts' results as text.
func (c *Copy) WithRows(rows *StageResult) string {
	return c.statement(func(fetch int) string {
		f, k := &c.pull.fetches[fetch], strconv.Itoa(fetch)
		own := StageResult{Types: append([]string{"pg_catalog.int2"}, rows.Types[f.first:f.first+len(f.columns)]...)}
		names := "k"
		for i := range f.columns {
			names += ", c" + strconv.Itoa(f.first+i)
		}
		for i, row := range rows.Rows {
			if row[0] == k {
				own.Rows = append(own.Rows, append([]string{k}, row[f.first:f.first+len(f.columns)]...))
				own.Nulls = append(own.Nulls, append([]bool{false}, rows.Nulls[i][f.first:f.first+len(f.columns)]...))
			}
		}
		return "(" + own.rows(nil) + ") AS pgring_rows (" + names + ")"
	})
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
	return f.keyColumns()[0] + " OPERATOR(pg_catalog.=) ANY ('{" + strings.Join(keys, ",") + "}'::pg_catalog.int8[])"
}

// keyColumns are the key's as SQL.
func (f *fetch) keyColumns() []string {
	columns := make([]string, len(f.need.key))
	for i, name := range f.need.key {
		columns[i] = f.alias + "." + quoteIdent(name)
	}
	return columns
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
