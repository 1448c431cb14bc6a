package topology

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/ring"
)

// Object is something that a user has defined and that has to be the same on every shard.
type Object struct {
	Kind  string // table, column, column order, constraint, index, trigger, policy, schema, extension, type, function, procedure, aggregate
	Table Name   // that it belongs to; empty if to none
	Name  string // its own; empty for a table
}

// Difference is an object that one shard does not have as the home shard has it.
type Difference struct {
	Object
	Shard   ring.ShardID
	Home    string // the definition there; empty for what has none, such as a schema
	There   string // the definition on the shard
	Missing bool   // the shard lacks it
	Extra   bool   // the home shard lacks it
	Err     error  // the shard could not be looked at, which is all that is known; Object is empty
}

// Drift compares the definitions that have to be the same everywhere: the declared tables that are sharded or references and what
// belongs to them, schemas, extensions, types and functions. Shards that join are left out. The error concerns the home shard.
func (t *Topology) Drift(ctx context.Context) ([]Difference, error) {
	snap := t.Current()
	if snap == nil {
		return nil, ErrNotStarted
	}
	home, _ := snap.Shard(snap.Home)
	want, err := t.definitions(ctx, snap, home)
	if err != nil {
		return nil, err
	}
	var all []Difference
	for _, shard := range snap.Shards {
		if shard.ID == snap.Home || shard.State == Joining {
			continue
		}
		got, err := t.definitions(ctx, snap, shard)
		if err != nil {
			all = append(all, Difference{Shard: shard.ID, Err: err})
			continue
		}
		all = append(all, compareDefinitions(shard.ID, want, got)...)
	}
	slices.SortStableFunc(all, func(a, b Difference) int {
		return cmp.Or(compareNames(a.Table, b.Table), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Shard, b.Shard))
	})
	return all, nil
}

// definitions reads what is defined on a shard.
func (t *Topology) definitions(ctx context.Context, snap *Snapshot, shard Shard) (map[Object]string, error) {
	ctx, cancel := context.WithTimeout(ctx, catalogTimeout)
	defer cancel()
	survey := newSurveyor(t.cfg.Dial)
	defer survey.close(ctx)
	conn, err := survey.conn(ctx, shard)
	if err != nil {
		return nil, err
	}
	rows, err := conn.Query(ctx, definitionsSQL)
	if err != nil {
		return nil, fmt.Errorf("read definitions on shard %s: %w", shard.ID, err)
	}
	all := map[Object]string{}
	var o Object
	var text string
	_, err = pgx.ForEachRow(rows, []any{&o.Kind, &o.Table.Schema, &o.Table.Table, &o.Name, &text}, func() error {
		if o.Table != (Name{}) {
			if t := snap.Table(o.Table.Schema, o.Table.Table); t == nil || t.Kind == Home {
				return nil
			}
		}
		all[o] = text
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read definitions on shard %s: %w", shard.ID, err)
	}
	return all, nil
}

// compareDefinitions lists what is different. Of a table that is missing, nothing else is said.
func compareDefinitions(shard ring.ShardID, home, there map[Object]string) []Difference {
	var all []Difference
	alone := func(o Object, in map[Object]string) bool {
		_, ok := in[Object{Kind: "table", Table: o.Table}]
		return o.Kind != "table" && o.Table != (Name{}) && !ok
	}
	for o, text := range home {
		found, ok := there[o]
		if ok && found == text || alone(o, there) {
			continue
		}
		all = append(all, Difference{Object: o, Shard: shard, Home: text, There: found, Missing: !ok})
	}
	for o, text := range there {
		if _, ok := home[o]; !ok && !alone(o, home) {
			all = append(all, Difference{Object: o, Shard: shard, There: text, Extra: true})
		}
	}
	return all
}
