package topology

import (
	"cmp"
	"maps"
	"slices"

	"github.com/pgring/pgring/ring"
)

// Contents is what a snapshot is made of. [NewSnapshot] copies what it changes and keeps the rest: do not write to it afterwards.
type Contents struct {
	ClusterID string // identity of the control database's cluster, a uuid
	Epoch     int64
	Schema    int64
	Shards    []Shard
	Home      ring.ShardID
	Ring      ring.Config // virtual nodes and load bound for placements of strategy consistent
	Groups    []*Group

	// Tables are the declared ones and the relations of the catalog, one entry per name. Kind unset means: not declared.
	// What is empty in an entry and follows from the rest is filled in (see NewSnapshot).
	Tables []Table

	Moves []*Move // those that are not finished, by id

	// Functions are the user functions of the home shard by their name without schema.
	Functions map[string][]Function

	// Schemas differs when schemas of the home shard came, went or changed.
	Schemas string

	Catalog int64 // see Snapshot
}

// Snapshot is what is true of the whole cluster at one epoch. It is immutable, so one loaded snapshot answers consistently for
// as long as it is held; its look-ups take no lock and allocate nothing. Slices it returns may not be written to.
type Snapshot struct {
	ClusterID string
	Epoch     int64        // of the control database; grows with every change of shards, tables, groups or placements
	Schema    int64        // differs between two snapshots of one process when a cached plan could be wrong: tables, columns, kinds, functions, groups' existence; not when slots move
	Shards    []Shard      // by Number
	Home      ring.ShardID // the shard of undeclared tables and of the catalog
	Ring      ring.Config  // what places slots for strategy consistent
	Moves     []*Move      // those that are not finished, by id; nearly always none
	Catalog   int64        // differs between two snapshots of one process when the home shard's catalog was read between them: after any DDL, GRANT and REVOKE included
	Schemas   string       // differs between two snapshots when schemas of the home shard came, went or changed: what search_path means

	shards    map[ring.ShardID]Shard
	groups    map[string]*Group
	groupList []*Group
	tables    map[Name]*Table
	tableList []*Table
	functions map[string][]Function
	byWord    map[string][]landmark
}

// NewSnapshot makes a snapshot. It is pure, and fills in what follows from the contents:
//
//   - a table without a kind is Home on the home shard; a Home table without a shard too;
//   - KeyColumns, and KeyType from the columns' types, else from the group;
//   - a partition or inheritance child of a declared table is placed like its parent, because that is where its rows are;
//   - Reads, from Uses and Parents.
func NewSnapshot(c Contents) *Snapshot {
	s := &Snapshot{
		ClusterID: c.ClusterID, Epoch: c.Epoch, Schema: c.Schema, Home: c.Home, Ring: c.Ring, Moves: c.Moves, Schemas: c.Schemas, Catalog: c.Catalog,
		Shards:    slices.Clone(c.Shards),
		shards:    make(map[ring.ShardID]Shard, len(c.Shards)),
		groups:    make(map[string]*Group, len(c.Groups)),
		groupList: slices.Clone(c.Groups),
		tables:    make(map[Name]*Table, len(c.Tables)),
		functions: maps.Clone(c.Functions),
	}
	slices.SortFunc(s.Shards, func(a, b Shard) int { return a.Number - b.Number })
	for _, shard := range s.Shards {
		s.shards[shard.ID] = shard
	}
	slices.SortFunc(s.groupList, func(a, b *Group) int { return cmp.Compare(a.Name, b.Name) })
	for _, group := range s.groupList {
		s.groups[group.Name] = group
	}
	tables := slices.Clone(c.Tables)
	for i := range tables {
		s.tables[tables[i].Name] = &tables[i]
	}
	s.derive()
	s.byWord = s.landmarks()
	return s
}

// Table gives the named table: declared ones, and every user relation of the home shard's catalog. Nil means unknown.
func (s *Snapshot) Table(schema, name string) *Table {
	return s.tables[Name{Schema: schema, Table: name}]
}

// Resolve looks an unqualified name up along a search_path: the first schema that has it wins. Nil means that none has.
// The path is taken literally: "$user" and the implicit pg_catalog are the caller's to put in.
func (s *Snapshot) Resolve(path []string, name string) *Table {
	for _, schema := range path {
		if t := s.tables[Name{Schema: schema, Table: name}]; t != nil {
			return t
		}
	}
	return nil
}

// Tables gives all tables: the declared ones first, each part sorted by name.
func (s *Snapshot) Tables() []*Table { return s.tableList }

// Group gives the named colocation group, or nil.
func (s *Snapshot) Group(name string) *Group { return s.groups[name] }

// Groups gives all colocation groups, sorted by name.
func (s *Snapshot) Groups() []*Group { return s.groupList }

// Shard gives the shard with this identity.
func (s *Snapshot) Shard(id ring.ShardID) (Shard, bool) {
	shard, found := s.shards[id]
	return shard, found
}

// Functions gives the user functions of that name in any schema of the home shard (never those of pg_catalog); nil means none.
func (s *Snapshot) Functions(name string) []Function { return s.functions[name] }

// View reports whether the relation is known and is a view.
func (s *Snapshot) View(schema, name string) bool {
	t := s.Table(schema, name)
	return t != nil && t.View()
}
