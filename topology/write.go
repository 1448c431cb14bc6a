package topology

import (
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// writeChanges queues what turns old into next: rows that point at others last, and deleted first.
func writeChanges(batch *pgx.Batch, old, next *facts) error {
	for _, d := range old.tables {
		if _, stays := next.table(d.Name); !stays {
			batch.Queue("DELETE FROM pgring.tables WHERE table_schema = $1 AND table_name = $2", d.Schema, d.Table)
		}
	}
	writeShards(batch, old, next)
	if err := writeGroups(batch, old, next); err != nil {
		return err
	}
	for _, d := range next.tables {
		if was, found := old.table(d.Name); !found || !was.sameAs(d) {
			batch.Queue(`INSERT INTO pgring.tables (table_schema, table_name, kind, key_columns, group_name, shard)
VALUES ($1, $2, $3, $4, nullif($5, ''), nullif($6, '')) ON CONFLICT (table_schema, table_name) DO UPDATE
SET kind = excluded.kind, key_columns = excluded.key_columns, group_name = excluded.group_name, shard = excluded.shard`,
				d.Schema, d.Table, d.kind.String(), append([]string{}, d.key...), d.group, string(d.shard))
		}
	}
	writeMoves(batch, old, next)
	// Only now does no table point at what leaves.
	for _, g := range old.groups {
		if _, stays := next.group(g.name); !stays {
			batch.Queue("DELETE FROM pgring.groups WHERE name = $1", g.name)
		}
	}
	for _, s := range old.shards {
		if _, stays := next.shard(s.ID); !stays {
			batch.Queue("DELETE FROM pgring.shards WHERE id = $1", string(s.ID))
		}
	}
	return nil
}

func writeShards(batch *pgx.Batch, old, next *facts) {
	for _, s := range next.shards {
		if was, found := old.shard(s.ID); !found || was != s {
			batch.Queue(`INSERT INTO pgring.shards (id, number, host, port, weight, state) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (id) DO UPDATE SET host = excluded.host, port = excluded.port, weight = excluded.weight, state = excluded.state`,
				string(s.ID), s.Number, s.Host, s.Port, s.Weight, s.State.String())
		}
	}
}

func writeMoves(batch *pgx.Batch, old, next *facts) {
	for _, m := range next.moves {
		if was, found := old.move(m.ID); found && was.sameAs(m) {
			continue
		}
		batch.Queue(`INSERT INTO pgring.moves (id, group_name, source, target, slots, state, term, switched, problem, paused, reverted, reversible_until)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $12, $13) ON CONFLICT (id) DO UPDATE SET source = excluded.source, target = excluded.target,
state = excluded.state, term = excluded.term, switched = excluded.switched, problem = excluded.problem, paused = excluded.paused,
reverted = excluded.reverted, reversible_until = excluded.reversible_until, changed = now(), finished = CASE WHEN $11 THEN now() END`,
			m.ID, m.Group, string(m.From), string(m.To), m.Slots.String(), m.State.String(), m.Term, m.Switched, m.Problem, m.Paused,
			m.State.Finished(), m.Reverted, orNull(m.Until))
	}
}

// orNull is the time, or NULL for none.
func orNull(at time.Time) *time.Time {
	if at.IsZero() {
		return nil
	}
	return &at
}

func writeGroups(batch *pgx.Batch, old, next *facts) error {
	next.groups = slices.Clone(next.groups)
	for i, g := range next.groups {
		if was, found := old.group(g.name); found && was.sameAs(g) {
			continue
		}
		placement, err := g.encodePlacement()
		if err != nil {
			return fmt.Errorf("write the placement of group %s: %w", g.name, err)
		}
		next.groups[i].epoch = next.epoch
		batch.Queue(`INSERT INTO pgring.groups (name, strategy, key_type, placement, epoch) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (name) DO UPDATE SET strategy = excluded.strategy, key_type = excluded.key_type, placement = excluded.placement, epoch = excluded.epoch`,
			g.name, g.strategy.String(), g.keyType.String(), string(placement), next.epoch)
	}
	return nil
}
