package topology

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/pgring/pgring/ring"
)

// facts is what the control database holds, at one epoch. A published value is immutable; a change edits a clone.
type facts struct {
	cluster    string
	epoch      int64
	home       ring.ShardID
	ring       ring.Config
	nextNumber int
	shards     []Shard       // by number
	groups     []group       // by name
	tables     []declaration // by name
	moves      []Move        // those not finished, by id
	nextMove   int64         // id of the next move
}

// group is one row of pgring.groups.
type group struct {
	name     string
	strategy Strategy
	keyType  ring.KeyType // of the rows that are there; KeyUnset until a table exists
	slots    *ring.Map    // consistent, hash
	layout   Layout       // range, list
	epoch    int64
}

// declaration is one row of pgring.tables.
type declaration struct {
	Name
	kind  Kind
	key   []string
	group string
	shard ring.ShardID // home; "" means the home shard
}

// clone copies what an edit replaces: the lists. Their elements are replaced, never written into.
func (f *facts) clone() *facts {
	c := *f
	c.shards, c.groups, c.tables, c.moves = slices.Clone(f.shards), slices.Clone(f.groups), slices.Clone(f.tables), slices.Clone(f.moves)
	return &c
}

func (f *facts) shard(id ring.ShardID) (Shard, bool) {
	i := slices.IndexFunc(f.shards, func(s Shard) bool { return s.ID == id })
	if i < 0 {
		return Shard{}, false
	}
	return f.shards[i], true
}

func (f *facts) group(name string) (group, bool) {
	i, found := slices.BinarySearchFunc(f.groups, name, func(g group, name string) int { return cmp.Compare(g.name, name) })
	if !found {
		return group{}, false
	}
	return f.groups[i], true
}

func (f *facts) table(name Name) (declaration, bool) {
	i, found := slices.BinarySearchFunc(f.tables, name, func(d declaration, name Name) int { return compareNames(d.Name, name) })
	if !found {
		return declaration{}, false
	}
	return f.tables[i], true
}

// setShard adds or replaces; a new shard gets the next number, which no shard had before.
func (f *facts) setShard(s Shard) {
	for i := range f.shards {
		if f.shards[i].ID == s.ID {
			s.Number = f.shards[i].Number
			f.shards[i] = s
			return
		}
	}
	s.Number = f.nextNumber
	f.nextNumber++
	f.shards = append(f.shards, s)
}

func (f *facts) setGroup(g group) {
	i, found := slices.BinarySearchFunc(f.groups, g.name, func(g group, name string) int { return cmp.Compare(g.name, name) })
	if found {
		f.groups[i] = g
		return
	}
	f.groups = slices.Insert(f.groups, i, g)
}

func (f *facts) setTable(d declaration) {
	i, found := slices.BinarySearchFunc(f.tables, d.Name, func(d declaration, name Name) int { return compareNames(d.Name, name) })
	if found {
		f.tables[i] = d
	} else {
		f.tables = slices.Insert(f.tables, i, d)
	}
	f.dropEmptyGroups()
}

func (f *facts) dropShard(id ring.ShardID) {
	f.shards = slices.DeleteFunc(f.shards, func(s Shard) bool { return s.ID == id })
}

// dropEmptyGroups forgets the groups that no table names: a table that changed its kind leaves no placement behind.
func (f *facts) dropEmptyGroups() {
	f.groups = slices.DeleteFunc(f.groups, func(g group) bool { return len(f.members(g.name)) == 0 })
}

// members are the tables of a group, by name.
func (f *facts) members(group string) []declaration {
	var members []declaration
	for _, d := range f.tables {
		if d.kind == Sharded && d.group == group {
			members = append(members, d)
		}
	}
	return members
}

// active are the shards that a new placement may use, by number.
func (f *facts) active() []Shard {
	return slices.DeleteFunc(slices.Clone(f.shards), func(s Shard) bool { return s.State != Active || s.Weight == 0 })
}

// holder is the shard that a home table, declared or not, is on.
func (f *facts) holder(name Name) ring.ShardID {
	if d, found := f.table(name); found && d.kind == Home && d.shard != "" {
		return d.shard
	}
	return f.home
}

// sameAs compares everything but the epoch.
func (f *facts) sameAs(o *facts) bool {
	return o != nil && f.cluster == o.cluster && f.home == o.home && f.ring == o.ring && f.nextNumber == o.nextNumber &&
		slices.Equal(f.shards, o.shards) && slices.EqualFunc(f.groups, o.groups, group.sameAs) && slices.EqualFunc(f.tables, o.tables, declaration.sameAs) &&
		slices.EqualFunc(f.moves, o.moves, Move.sameAs)
}

// sameAs compares what is stored, the epoch included.
func (g group) sameAs(o group) bool {
	if g.name != o.name || g.strategy != o.strategy || g.keyType != o.keyType || g.epoch != o.epoch {
		return false
	}
	if g.slots != nil && g.slots == o.slots {
		return true
	}
	a, errA := g.encodePlacement()
	b, errB := o.encodePlacement()
	return errA == nil && errB == nil && bytes.Equal(a, b)
}

func (d declaration) sameAs(o declaration) bool {
	return d.Name == o.Name && d.kind == o.kind && d.group == o.group && d.shard == o.shard && slices.Equal(d.key, o.key)
}
