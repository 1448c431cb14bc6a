package topology

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pgring/pgring/ring"
)

// first makes the facts of an empty control database, without tables yet.
func (w Wish) first() *facts {
	f := &facts{home: w.Home, ring: w.Ring, nextNumber: 1}
	if f.home == "" {
		f.home = w.Shards[0].ID
	}
	for _, s := range w.Shards {
		f.setShard(s.over(Shard{}))
	}
	return f
}

// apply brings the draft's facts as near to the wish as can be done without moving a row.
func (d *draft) apply(ctx context.Context, w Wish) error {
	if w.Home != "" && w.Home != d.facts.home {
		d.notice("the home shard stays %s: it cannot be changed to %s once the cluster exists", d.facts.home, w.Home)
	}
	d.facts.ring = w.Ring
	if err := d.applyShards(ctx, w.Shards); err != nil {
		return err
	}
	return d.applyTables(ctx, w.Tables)
}

func (d *draft) applyShards(ctx context.Context, shards []Shard) error {
	wished := make(map[ring.ShardID]bool)
	for _, s := range shards {
		wished[s.ID] = true
		fact, known := d.facts.shard(s.ID)
		s = s.over(fact)
		if !known || fact.State == Joining {
			state, err := d.startState(ctx, s)
			if err != nil {
				return err
			}
			s.State = state
		}
		d.facts.setShard(s)
	}
	for _, s := range slices.Clone(d.facts.shards) {
		if wished[s.ID] {
			continue
		}
		d.notice("shard %s is not in the configuration, but stays: DROP SHARD %s CONFIRM removes it when it is empty", s.ID, s.ID)
		if s.State == Joining { // added by AddShard, which has no other wish than Active
			s.State = Active
			state, err := d.startState(ctx, s)
			if err != nil {
				return err
			}
			s.State = state
			d.facts.setShard(s)
		}
	}
	return nil
}

// applyTables declares what is new, all tables of a new group together, and reports every difference from the facts at once.
func (d *draft) applyTables(ctx context.Context, wishes []TableWish) error {
	var problems []error
	var groups []string // in the order of the wish, so that messages are too
	members := make(map[string][]TableWish)
	wished := make(map[Name]bool)
	for _, w := range wishes {
		wished[w.Name] = true
		if fact, known := d.facts.table(w.Name); known {
			problems = append(problems, d.compare(w, fact, wishes))
			continue
		}
		switch w.Kind {
		case Sharded:
			name := d.facts.groupFor(w, wishes)
			if members[name] == nil {
				groups = append(groups, name)
			}
			members[name] = append(members[name], w)
		case Reference:
			problems = append(problems, d.referenceTable(ctx, w))
		case Home, KindUnset:
			problems = append(problems, d.homeTable(ctx, w))
		}
	}
	for _, name := range groups {
		problems = append(problems, d.shardTables(ctx, name, members[name]))
	}
	for _, declared := range d.facts.tables {
		if !wished[declared.Name] {
			d.notice("table %s is not in the configuration, but stays %s", declared.Name, declared.kind)
		}
	}
	return errors.Join(problems...)
}

// groupFor gives the name of the group that a wished table belongs to: the one called so, else that of the table called so,
// else a new one.
func (f *facts) groupFor(w TableWish, others []TableWish) string {
	if w.Colocate == "" {
		return w.Name.String()
	}
	if _, found := f.group(w.Colocate); found {
		return w.Colocate
	}
	other := ParseName(w.Colocate)
	if d, found := f.table(other); found && d.kind == Sharded {
		return d.group
	}
	for _, o := range others {
		if o.Name == other && o.Name != w.Name && o.Kind == Sharded && o.Colocate == "" {
			return o.Name.String()
		}
	}
	return w.Colocate
}

// compare refuses a wish that differs from the fact in what would move rows.
func (d *draft) compare(w TableWish, fact declaration, others []TableWish) error {
	if fact.kind == Sharded && w.Kind == Sharded { // what the wish leaves open is as it is
		g, _ := d.facts.group(fact.group)
		if w.Strategy == StrategyUnset {
			w.Strategy = g.strategy
		}
		if w.Colocate == "" {
			w.Colocate = fact.group
		}
	}
	is, wished := d.facts.describe(fact), d.facts.describeWish(w, others)
	if is == wished {
		return nil
	}
	return &RefusedError{
		Object: "table " + w.Name.String(),
		Reason: fmt.Sprintf("is %s in the control database, but %s in the configuration", is, wished),
		Hint:   "write the former into the configuration; " + w.advice(),
	}
}

func (f *facts) describe(d declaration) string {
	switch d.kind {
	case Sharded:
		g, _ := f.group(d.group)
		return describeSharded(d.key, g.strategy, d.group)
	case Home:
		return "home on " + string(f.holder(d.Name))
	case Reference, KindUnset:
	}
	return d.kind.String()
}

func (f *facts) describeWish(w TableWish, others []TableWish) string {
	switch w.Kind {
	case Sharded:
		strategy := w.Strategy
		if strategy == StrategyUnset {
			strategy = Consistent
		}
		return describeSharded(w.Key, strategy, f.groupFor(w, others))
	case Home:
		if w.Shard != "" {
			return "home on " + string(w.Shard)
		}
		return "home on " + string(f.home)
	case Reference, KindUnset:
	}
	return w.Kind.String()
}

func describeSharded(key []string, strategy Strategy, group string) string {
	return fmt.Sprintf("sharded by %s (%s, group %s)", strings.Join(key, ", "), strategy, group)
}

// advice is what to do to get the wish.
func (w TableWish) advice() string {
	switch w.Kind {
	case Sharded:
		return fmt.Sprintf("a home table is changed on the console by SHARD TABLE %s BY %s", w.Name, strings.Join(w.Key, ", "))
	case Reference:
		return fmt.Sprintf("a home table is changed on the console by REFERENCE TABLE %s", w.Name)
	case Home, KindUnset:
	}
	return "a table that is spread cannot become a home table in this version"
}
