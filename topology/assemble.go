package topology

import (
	"slices"

	"github.com/pgring/pgring/ring"
)

// state is one published version: the facts and the catalog, and the snapshot made of both. Immutable.
type state struct {
	facts   *facts
	catalog *catalog
	snap    *Snapshot

	superseded chan struct{} // closed when another one is published
}

// next puts newer facts or a newer catalog (nil: none) in place of the present ones. It returns s itself when neither is newer,
// which is how a slow reader loses against one that began later.
func (s *state) next(f *facts, c *catalog) *state {
	if s == nil {
		if f == nil || c == nil {
			return nil
		}
		return &state{facts: f, catalog: c, snap: assemble(f, c, 1), superseded: make(chan struct{})}
	}
	n := *s
	if f != nil && f.cluster == s.facts.cluster && f.epoch > s.facts.epoch {
		n.facts = f
	}
	if c != nil && c.turn > s.catalog.turn {
		n.catalog = c
	}
	if n.facts == s.facts && n.catalog == s.catalog {
		return s
	}
	schema := s.snap.Schema
	if !s.plansSurvive(&n) {
		schema++
	}
	n.snap = assemble(n.facts, n.catalog, schema)
	n.superseded = make(chan struct{})
	return &n
}

// plansSurvive reports whether a plan made under s is right under n: nothing but slots, shards' addresses and the like changed.
func (s *state) plansSurvive(n *state) bool {
	if s.catalog != n.catalog && !s.catalog.sameContent(n.catalog) {
		return false
	}
	if s.facts == n.facts && s.catalog == n.catalog {
		return true
	}
	return s.facts.home == n.facts.home && slices.EqualFunc(s.facts.tables, n.facts.tables, declaration.sameAs) &&
		slices.EqualFunc(s.facts.groups, n.facts.groups, func(a, b group) bool {
			return a.name == b.name && a.strategy == b.strategy && s.facts.keyType(a, s.catalog) == n.facts.keyType(b, n.catalog)
		})
}

// assemble joins the facts with the catalog.
func assemble(f *facts, c *catalog, schema int64) *Snapshot {
	contents := Contents{
		ClusterID: f.cluster, Epoch: f.epoch, Schema: schema, Home: f.home, Ring: f.ring,
		Shards: f.shards, Functions: c.functions, Moves: f.published(), Schemas: c.schemas, Catalog: c.turn,
	}
	groups := make(map[string]*Group, len(f.groups))
	problems := make(map[string]string)
	for _, g := range f.groups {
		published := &Group{Name: g.name, Strategy: g.strategy, KeyType: f.keyType(g, c), Epoch: g.epoch}
		placement, err := g.placement(published.KeyType)
		if err != nil {
			placement = untyped(g.layout.owners())
			problems[g.name] = "the placement of group " + g.name + " cannot be used: " + err.Error()
		}
		published.Placement = placement
		groups[g.name] = published
		contents.Groups = append(contents.Groups, published)
	}
	for i := range c.relations {
		if _, declared := f.table(c.relations[i].table.Name); !declared {
			contents.Tables = append(contents.Tables, c.relations[i].table)
		}
	}
	for _, d := range f.tables {
		t := Table{Name: d.Name}
		if r := c.relation(d.Name); r != nil {
			t = r.table
		}
		t.Kind, t.Key, t.Group, t.Shard, t.Problem = d.kind, d.key, groups[d.group], d.shard, problems[d.group]
		contents.Tables = append(contents.Tables, t)
	}
	return NewSnapshot(contents)
}

// keyType is the type of a group's keys: the recorded one, unless tables exist and none of them agrees with it, which is so
// before the first table is created and after all were dropped and created anew.
func (f *facts) keyType(g group, c *catalog) ring.KeyType {
	found := ring.KeyUnset
	for _, d := range f.members(g.name) {
		t := d.keyType(c.relation(d.Name))
		if t == g.keyType && t != ring.KeyUnset {
			return t
		}
		if found == ring.KeyUnset {
			found = t
		}
	}
	if found == ring.KeyUnset {
		return g.keyType
	}
	return found
}

// keyType is the type of the key column; KeyUnset when the table does not exist or cannot have that key.
func (d declaration) keyType(r *relation) ring.KeyType {
	if r == nil {
		return ring.KeyUnset
	}
	t := r.table
	t.Kind, t.Key, t.Group = d.kind, d.key, nil
	t.keyFromColumns()
	return t.KeyType
}

// learn returns the facts with the key types that the catalog tells, or nil when they are recorded already.
func (f *facts) learn(c *catalog) *facts {
	next := f.clone()
	learned := false
	for i, g := range next.groups {
		if t := f.keyType(g, c); t != g.keyType {
			next.groups[i].keyType = t
			learned = true
		}
	}
	if !learned {
		return nil
	}
	return next
}
