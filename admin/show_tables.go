package admin

import (
	"context"
	"strings"

	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

func tableColumns() []column {
	return []column{
		{"table", text, "Schema and table."},
		{"kind", text, "sharded, reference or home."},
		{"strategy", text, "consistent, hash, range or list; NULL for tables that are not sharded."},
		{"shard_key", text, "Its columns."},
		{"group", text, "The colocation group: tables of one group have equal keys on the same shard."},
		{"rows_est", integer, "Rows as the shards' statistics estimate them; of a reference table those of one copy. NULL while a shard that has some does not answer."},
		{"size_bytes", integer, "Tables, indexes and TOAST on all shards."},
		{"skew", float, "Rows of the fullest shard divided by the average over the owners: 1 is even."},
		{"hot_shard", text, "The fullest shard."},
		{"shard", text, "Of a home table: the shard that has it."},
		{"problem", text, "Why the table cannot be used as declared; NULL when nothing is wrong."},
	}
}

// showTables answers SHOW TABLES: what was declared, and every other table of the home shard.
func (c *Console) showTables(ctx context.Context, _ *input) (*outcome, error) {
	snap, err := c.snapshot()
	if err != nil {
		return nil, err
	}
	looks := c.sizes.look(ctx, snap)
	var rows []row
	for _, t := range snap.Tables() {
		if !t.Declared && !strings.ContainsRune("rpf", rune(t.RelKind)) {
			continue
		}
		r := row{t.Name.String(), t.Kind.String(), nil, nil, nil, nil, nil, nil, nil, orNull(string(t.Shard)), orNull(t.Problem)}
		if t.Group != nil {
			r[2], r[3], r[4] = t.Group.Strategy.String(), strings.Join(t.Key, ", "), t.Group.Name
		}
		sum := addUp(t, snap, looks)
		r[5], r[6], r[7], r[8] = sum.rows(t.Kind), sum.size(), sum.skew(), sum.fullest()
		rows = append(rows, r)
	}
	return rowsOf(rows)
}

// spread is what the owners of a table have of it.
type spread struct {
	known       bool // every owner has answered
	owners      int
	total, most int64
	bytes       int64
	hot         ring.ShardID
	sharded     bool
}

func addUp(t *topology.Table, snap *topology.Snapshot, looks map[ring.ShardID]look) spread {
	s := spread{known: t.Exists || t.Kind == topology.Home, sharded: t.Kind == topology.Sharded}
	for _, id := range holders(t, snap) {
		size, known := looks[id].table(t.Name)
		if !known {
			s.known = false
			return s
		}
		s.owners++
		s.total += size.rows
		s.bytes += size.bytes
		if size.rows > s.most {
			s.most, s.hot = size.rows, id
		}
	}
	s.known = s.known && s.owners > 0
	return s
}

// holders returns the shards that have rows of a table.
func holders(t *topology.Table, snap *topology.Snapshot) []ring.ShardID {
	switch t.Kind {
	case topology.Sharded:
		return t.Group.Placement.Owners()
	case topology.Home:
		return []ring.ShardID{t.Shard}
	case topology.Reference:
		var all []ring.ShardID
		for _, s := range snap.Shards {
			if s.State != topology.Joining {
				all = append(all, s.ID)
			}
		}
		return all
	case topology.KindUnset:
	}
	return nil
}

func (s spread) rows(kind topology.Kind) any {
	switch {
	case !s.known:
		return nil
	case kind == topology.Reference:
		return s.most
	}
	return s.total
}

func (s spread) size() any {
	if !s.known {
		return nil
	}
	return s.bytes
}

func (s spread) skew() any {
	if !s.known || !s.sharded || s.total == 0 {
		return nil
	}
	return float64(s.most) * float64(s.owners) / float64(s.total)
}

func (s spread) fullest() any {
	if !s.known || !s.sharded || s.total == 0 {
		return nil
	}
	return string(s.hot)
}
