package topology

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pgring/pgring/ring"
)

// draft is a change of the facts that is being decided. It looks at the shards, and writes nothing but its own copy of the facts.
type draft struct {
	facts   *facts
	survey  *surveyor
	notices []string
}

func (d *draft) notice(format string, args ...any) {
	d.notices = append(d.notices, fmt.Sprintf(format, args...))
}

// sighting is where a table was found.
type sighting struct {
	wish   TableWish
	holder ring.ShardID               // the shard that serves it today, unless it is declared sharded or reference
	on     map[ring.ShardID]*relation // the shards that have it
	rows   map[ring.ShardID]struct{}  // the shards on which it has rows
}

// find looks for a table on every shard that may be asked.
func (d *draft) find(ctx context.Context, w TableWish) (sighting, error) {
	s := sighting{wish: w, holder: d.facts.holder(w.Name), on: map[ring.ShardID]*relation{}, rows: map[ring.ShardID]struct{}{}}
	for _, shard := range d.facts.shards {
		if shard.State == Joining {
			continue
		}
		c, err := d.survey.catalog(ctx, shard)
		if err != nil {
			return s, err
		}
		r := c.relation(w.Name)
		if r == nil {
			continue
		}
		if r.table.RelKind != 'r' && r.table.RelKind != 'p' {
			return s, &RefusedError{Object: "table " + w.Name.String(), Reason: "is not a table on shard " + string(shard.ID)}
		}
		s.on[shard.ID] = r
		found, err := d.survey.hasRows(ctx, shard, w.Name)
		if err != nil {
			return s, err
		}
		if found {
			s.rows[shard.ID] = struct{}{}
		}
	}
	return s, nil
}

// onlyOn reports whether no shard but one has rows.
func (s sighting) onlyOn(id ring.ShardID) bool {
	_, here := s.rows[id]
	return len(s.rows) == 0 || here && len(s.rows) == 1
}

// lacking lists those of the shards that do not have the table as the others have it. Nowhere at all is not lacking: the table
// will be created where it belongs.
func (s sighting) lacking(shards []ring.ShardID) []ring.ShardID {
	if len(s.on) == 0 {
		return nil
	}
	model := s.on[s.holder]
	if model == nil {
		model = s.on[slices.Min(slices.Collect(maps.Keys(s.on)))]
	}
	return slices.DeleteFunc(slices.Clone(shards), func(id ring.ShardID) bool {
		return s.on[id] != nil && s.on[id].sameColumns(model)
	})
}

// strays counts, by shard, the rows that a placement puts elsewhere; nil when there are none.
func (d *draft) strays(ctx context.Context, s sighting, g group) (map[ring.ShardID]int64, error) {
	var strays map[ring.ShardID]int64
	for id := range s.rows {
		shard, _ := d.facts.shard(id)
		n, err := d.survey.countStrays(ctx, shard, s.on[id], s.wish.Key, g)
		if err != nil {
			return nil, err
		}
		if n > 0 {
			if strays == nil {
				strays = map[ring.ShardID]int64{}
			}
			strays[id] = n
		}
	}
	return strays, nil
}

// shardTables declares tables that share one group, which is made if it is not there.
func (d *draft) shardTables(ctx context.Context, name string, wishes []TableWish) error {
	var seen []sighting
	for _, w := range wishes {
		s, err := d.find(ctx, w)
		if err != nil {
			return err
		}
		seen = append(seen, s)
	}
	g, exists := d.facts.group(name)
	var err error
	if exists {
		err = d.join(ctx, g, seen)
	} else {
		g, err = d.newGroup(ctx, name, seen)
	}
	if err != nil {
		return err
	}
	d.facts.setGroup(g)
	for _, s := range seen {
		d.facts.setTable(declaration{Name: s.wish.Name, kind: Sharded, key: s.wish.Key, group: name})
		d.noteUniqueKeys(s)
	}
	return nil
}

// join checks that tables fit the group as it is placed now.
func (d *draft) join(ctx context.Context, g group, seen []sighting) error {
	for _, s := range seen {
		if d.facts.moving(g.name) {
			return &RefusedError{Object: "table " + s.wish.Name.String(), Reason: "cannot join group " + g.name + " while its slots move",
				Hint: "try again when SHOW REBALANCE says that the moves are done"}
		}
		object := "table " + s.wish.Name.String()
		if s.wish.Strategy != StrategyUnset && s.wish.Strategy != g.strategy {
			return &RefusedError{Object: object, Reason: fmt.Sprintf("wants strategy %s, but its group %s has %s", s.wish.Strategy, g.name, g.strategy),
				Hint: "leave the strategy out, or colocate it with another group"}
		}
		keyType := declaration{Name: s.wish.Name, kind: Sharded, key: s.wish.Key}.keyType(s.on[s.holder])
		if keyType != g.keyType && keyType != ring.KeyUnset && g.keyType != ring.KeyUnset {
			return &RefusedError{Object: object, Reason: fmt.Sprintf("has a key of type %s, but its group %s holds keys of type %s", keyType, g.name, g.keyType),
				Hint: "name the columns of the key in the group's order, or colocate it with another group"}
		}
		if lacking := s.lacking(g.owners()); len(lacking) > 0 {
			return &RefusedError{Object: object, Reason: "does not exist with the same columns on " + join(lacking) + ", where group " + g.name + " has slots",
				Hint: "create it there first, or drop it where it is empty and create it through pgring"}
		}
		strays, err := d.strays(ctx, s, g)
		if err != nil {
			return err
		}
		if strays != nil {
			return &RefusedError{Object: object, Reason: "has rows that its group " + g.name + " places on other shards", Rows: strays,
				Hint: "declare it without colocate: its slots then stay together on the shard where its rows are"}
		}
	}
	return nil
}

// newGroup decides how a group starts: spread when nothing stands against it, else whole where the rows are, else not at all.
func (d *draft) newGroup(ctx context.Context, name string, seen []sighting) (group, error) {
	wish := seen[0].wish
	for _, s := range seen {
		if len(s.wish.Layout.Ranges)+len(s.wish.Layout.Lists) > 0 || s.wish.Layout.Default != "" {
			wish = s.wish
		}
	}
	fresh, err := d.facts.freshGroup(name, wish)
	if err != nil {
		return group{}, err
	}
	whole := false
	for _, s := range seen {
		if err := s.fitsLayout(fresh); err != nil {
			return group{}, err
		}
		keep, err := d.keepWhole(ctx, s, fresh)
		if err != nil {
			return group{}, err
		}
		whole = whole || keep
	}
	if !whole {
		return fresh, nil
	}
	for _, s := range seen {
		if s.holder != seen[0].holder || !s.onlyOn(s.holder) || len(s.on) > 0 && s.on[s.holder] == nil {
			return group{}, &RefusedError{Object: "table " + s.wish.Name.String(), Reason: "cannot start on the same shard as the other tables of group " + name,
				Hint: "give it a group of its own"}
		}
	}
	d.notice("group %s is whole on shard %s, where its tables are; REBALANCE START spreads it", name, seen[0].holder)
	return wholeGroup(name, fresh.strategy, seen[0].holder), nil
}

// fitsLayout refuses bounds and values that are none of the key's type, as far as the type is known.
func (s sighting) fitsLayout(fresh group) error {
	keyType := declaration{Name: s.wish.Name, kind: Sharded, key: s.wish.Key}.keyType(s.on[s.holder])
	if _, err := fresh.placement(keyType); err != nil {
		return &RefusedError{Object: "table " + s.wish.Name.String(), Reason: "cannot be placed: " + err.Error()}
	}
	return nil
}

// keepWhole decides for one table of a new group whether the group must start whole on the table's holder.
func (d *draft) keepWhole(ctx context.Context, s sighting, fresh group) (bool, error) {
	lacking := s.lacking(fresh.owners())
	explicit := fresh.strategy == Range || fresh.strategy == List
	owners := fresh.owners()
	alone := len(owners) == 1 && owners[0] == s.holder
	if alone && s.onlyOn(s.holder) {
		return false, nil // spread over one shard and whole on it are the same
	}
	if s.onlyOn(s.holder) && (len(lacking) > 0 || len(s.rows) > 0 && !explicit) {
		if s.on[s.holder] == nil {
			return false, &RefusedError{Object: "table " + s.wish.Name.String(), Reason: "exists on some shards, but not on " + join(s.lacking([]ring.ShardID{s.holder})) + ", which serves it today",
				Hint: "create it on each shard, or drop the empty copies"}
		}
		return true, nil
	}
	strays, err := d.strays(ctx, s, fresh)
	if err != nil {
		return false, err
	}
	switch {
	case strays == nil && len(lacking) == 0:
		return false, nil
	case s.onlyOn(s.holder):
		return true, nil
	case strays == nil:
		return false, &RefusedError{Object: "table " + s.wish.Name.String(), Reason: "has rows on several shards, but does not exist with the same columns on " + join(lacking),
			Hint: "create it there first"}
	}
	return false, &RefusedError{Object: "table " + s.wish.Name.String(), Reason: "has rows on several shards, and not where a fresh placement would put them", Rows: strays,
		Hint: "restore the control database, or bring all rows to shard " + string(s.holder) + ", which then keeps the table whole"}
}

// noteUniqueKeys says which unique keys will be unique per shard only, once the table is spread.
func (d *draft) noteUniqueKeys(s sighting) {
	r := s.on[s.holder]
	if r == nil {
		return
	}
	for _, columns := range r.table.Unique {
		if !HoldsKey(columns, s.wish.Key) {
			d.notice("table %s: unique key (%s) lacks the shard key %s, so it holds on each shard alone",
				s.wish.Name, strings.Join(columns, ", "), strings.Join(s.wish.Key, ", "))
		}
	}
}

func join(ids []ring.ShardID) string {
	words := make([]string, len(ids))
	for i, id := range ids {
		words[i] = string(id)
	}
	return strings.Join(words, ", ")
}
