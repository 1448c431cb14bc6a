package topology

import (
	"context"
)

// ShardTable declares a table sharded: a home table, declared or not, or one that does not exist yet. A table with rows starts
// with all slots on the shard it is on; REBALANCE START spreads it. A table that does not exist, or is empty and the same on every
// shard that would own a part, is spread at once. Colocate joins an existing group, which its rows must fit.
func (t *Topology) ShardTable(ctx context.Context, w TableWish) (*Snapshot, error) {
	w.Kind = Sharded
	return t.declare(ctx, w, func(ctx context.Context, d *draft) error {
		home, err := d.survey.catalog(ctx, mustShard(d.facts))
		if err != nil {
			return err
		}
		if r := home.relation(w.Name); r != nil {
			candidate := r.table
			candidate.Kind, candidate.Key = Sharded, w.Key
			candidate.keyFromColumns()
			if candidate.Problem != "" {
				return &RefusedError{Object: "table " + w.Name.String(), Reason: "cannot be sharded: " + candidate.Problem}
			}
		}
		return d.shardTables(ctx, d.facts.groupFor(w, nil), []TableWish{w})
	})
}

// ReferenceTable declares a table of which every shard has the same rows, or which does not exist yet.
func (t *Topology) ReferenceTable(ctx context.Context, name Name) (*Snapshot, error) {
	w := TableWish{Name: name, Kind: Reference}
	return t.declare(ctx, w, func(ctx context.Context, d *draft) error { return d.referenceTable(ctx, w) })
}

// HomeTable declares a table that is whole on one shard ("" means the home shard) and has rows nowhere else.
func (t *Topology) HomeTable(ctx context.Context, w TableWish) (*Snapshot, error) {
	w.Kind = Home
	return t.declare(ctx, w, func(ctx context.Context, d *draft) error { return d.homeTable(ctx, w) })
}

// declare runs one declaration and makes the catalog as fresh as what it was decided on.
func (t *Topology) declare(ctx context.Context, w TableWish, decide func(context.Context, *draft) error) (*Snapshot, error) {
	if err := w.check(); err != nil {
		return nil, err
	}
	if t.Current() == nil {
		return nil, ErrNotStarted
	}
	if _, err := t.reloadCatalog(ctx); err != nil {
		return nil, err
	}
	return t.change(ctx, func(ctx context.Context, present *facts, survey *surveyor) (*facts, error) {
		d := &draft{facts: present.clone(), survey: survey}
		if fact, known := present.table(w.Name); known && fact.kind != Home {
			if w.Kind == Sharded || fact.kind == Reference && w.Kind == Reference {
				return nil, &RefusedError{Object: "table " + w.Name.String(), Reason: "is " + present.describe(fact) + " already"}
			}
		}
		if fact, known := present.table(w.Name); known && present.moving(fact.group) {
			return nil, &RefusedError{Object: "table " + w.Name.String(), Reason: "cannot be declared anew while its slots move"}
		}
		if err := decide(ctx, d); err != nil {
			return nil, err
		}
		for _, notice := range d.notices {
			t.cfg.Log.Info("table declared", "table", w.Name.String(), "notice", notice)
		}
		if learned := d.facts.learn(t.state.Load().catalog); learned != nil {
			return learned, nil
		}
		return d.facts, nil
	})
}

// mustShard is the home shard: the facts always hold it.
func mustShard(f *facts) Shard {
	home, _ := f.shard(f.home)
	return home
}
