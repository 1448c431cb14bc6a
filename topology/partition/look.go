package partition

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

// State says what a partition is for.
type State string

// The states.
const (
	Current   State = "current" // takes rows of now
	Ahead     State = "ahead"   // takes rows of later
	Past      State = "past"
	Expired   State = "expired"   // all its rows may go
	Detaching State = "detaching" // is being taken off the table
	Detached  State = "detached"  // was taken off, and is to be dropped
	Default   State = "default"   // takes what no other one takes
)

// Partition is one that is on a shard.
type Partition struct {
	Table   topology.Name
	Shard   ring.ShardID
	Name    topology.Name // empty: nothing is known but the Problem
	Span                  // not of a Default or Detached one
	State   State
	Rows    int64  // as the last ANALYZE estimated; -1: there was none, or it is not known
	Bytes   int64  // with indexes; -1: not known
	Problem string // of the table on that shard, in the last round or now
}

// sizesSQL gives the rows and bytes of relations, what is below them included.
const sizesSQL = `SELECT coalesce((SELECT CASE WHEN min(l.reltuples) < 0 THEN -1 ELSE sum(l.reltuples) END FROM pg_partition_tree(r) t JOIN pg_class l ON l.oid = t.relid WHERE t.isleaf),
		(SELECT reltuples FROM pg_class WHERE oid = r), -1)::bigint,
	coalesce((SELECT sum(pg_total_relation_size(t.relid)) FROM pg_partition_tree(r) t), pg_total_relation_size(r))::bigint
FROM unnest($1::text[]) WITH ORDINALITY n (name, place), LATERAL (SELECT to_regclass(name)) v (r) WHERE r IS NOT NULL ORDER BY place`

// Look asks all shards for the partitions of the tables that the rules name, side by side: none waits for a lock on another one.
func (k *Keeper) Look(ctx context.Context) []Partition {
	problems := map[place]string{}
	for _, s := range k.Stats().Tables {
		problems[place{s.Table, s.Shard}] = s.Problem
	}
	rules := k.cfg.Rules()
	found := make([][]Partition, len(rules))
	sideBySide(len(rules), func(i int) { found[i] = k.lookAt(ctx, rules[i], problems) })
	return slices.Concat(found...)
}

// lookAt is Look for one table.
func (k *Keeper) lookAt(ctx context.Context, rule Rule, problems map[place]string) []Partition {
	tables := k.shardTables(rule)
	found := make([][]Partition, len(tables))
	each(tables, func(i int, s *shardTable) {
		defer s.close(ctx)
		found[i] = s.list(ctx, rule)
	})
	for i, s := range tables {
		problem := strings.Join(s.problems, "; ")
		if problem == "" {
			problem = problems[place{rule.Table, s.shard.ID}]
		}
		if len(found[i]) == 0 {
			found[i] = []Partition{{Table: rule.Table, Shard: s.shard.ID, Rows: -1, Bytes: -1}}
		}
		for j := range found[i] {
			found[i][j].Problem = problem
		}
	}
	return slices.Concat(found...)
}

// list looks at a table. What cannot be known is among the problems.
func (s *shardTable) list(ctx context.Context, rule Rule) []Partition {
	s.patience = lookWait
	s.open(ctx, rule)
	if s.table == nil {
		return nil
	}
	var all []Partition
	add := func(p part, state State) {
		all = append(all, Partition{Table: rule.Table, Shard: s.shard.ID, Name: topology.Name{Schema: p.schema, Table: p.name}, Span: p.Span, State: state, Rows: -1, Bytes: -1})
	}
	now := s.table.clock
	slices.SortFunc(s.table.parts, func(a, b part) int { return a.From.Compare(b.From) })
	for _, p := range s.table.parts {
		add(p, p.state(rule, now))
	}
	for _, p := range s.table.left {
		add(p, Detached)
	}
	if s.table.fallback.name != "" {
		add(s.table.fallback, Default)
	}
	s.fail(s.measure(ctx, all))
	return all
}

func (p part) state(rule Rule, now time.Time) State {
	switch {
	case p.pending:
		return Detaching
	case rule.expired(p.Span, now):
		return Expired
	case p.Holds(now):
		return Current
	case p.From.After(now):
		return Ahead
	}
	return Past
}

// lookWait is how long who only looks waits for a lock: even the bounds of a partition that somebody has locked cannot be read.
const lookWait = 300 * time.Millisecond

// measure adds rows and bytes.
func (s *shardTable) measure(ctx context.Context, all []Partition) error {
	names := make([]string, len(all))
	for i, p := range all {
		names[i] = pgx.Identifier{p.Name.Schema, p.Name.Table}.Sanitize()
	}
	rows, err := s.conn.Query(ctx, sizesSQL, names)
	if err != nil {
		return err
	}
	defer rows.Close()
	i := 0
	for ; rows.Next() && i < len(all); i++ {
		if err := rows.Scan(&all[i].Rows, &all[i].Bytes); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if i < len(all) {
		return errors.New("a partition was dropped meanwhile: ask again")
	}
	return nil
}
