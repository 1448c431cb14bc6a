package topology

import (
	"slices"
	"strings"

	"github.com/pgring/pgring/ring"
)

// Name is the full name of a relation. Both parts are as PostgreSQL stores them: folded to lower case unless quoted.
type Name struct {
	Schema, Table string
}

// String gives schema.table, unquoted: the form of the configuration file and of group names.
func (n Name) String() string { return n.Schema + "." + n.Table }

// ParseName reads the form of the configuration file: "table" (schema public) or "schema.table".
func ParseName(text string) Name {
	if schema, table, found := strings.Cut(text, "."); found {
		return Name{Schema: schema, Table: table}
	}
	return Name{Schema: "public", Table: text}
}

// Kind says where a table's rows live.
type Kind uint8

// The kinds of sql.md. The zero value means unset and is in no snapshot.
const (
	KindUnset Kind = iota
	Sharded        // each row on the owner of its key
	Reference      // a full copy on each shard
	Home           // whole on one shard; what is not declared is home on the home shard
)

// String gives the word that the configuration, the control database and the console use.
func (k Kind) String() string {
	switch k {
	case Sharded:
		return "sharded"
	case Reference:
		return "reference"
	case Home:
		return "home"
	case KindUnset:
	}
	return "unset"
}

// ParseKind is the inverse of [Kind.String]; an unknown word gives KindUnset.
func ParseKind(text string) Kind {
	for k := Sharded; k <= Home; k++ {
		if k.String() == text {
			return k
		}
	}
	return KindUnset
}

// Strategy says how a group's placement came to be, and so how it may be changed.
type Strategy uint8

// The strategies of sql.md. The zero value means unset: the strategy of a table that is not sharded.
const (
	StrategyUnset Strategy = iota
	Consistent             // slots placed by the ring
	Hash                   // slot modulo the number of shards
	Range                  // ordered key ranges
	List                   // named keys
)

// String gives the word that the configuration, the control database and the console use.
func (s Strategy) String() string {
	switch s {
	case Consistent:
		return "consistent"
	case Hash:
		return "hash"
	case Range:
		return "range"
	case List:
		return "list"
	case StrategyUnset:
	}
	return "unset"
}

// ParseStrategy is the inverse of [Strategy.String]; an unknown word gives StrategyUnset.
func ParseStrategy(text string) Strategy {
	for s := Consistent; s <= List; s++ {
		if s.String() == text {
			return s
		}
	}
	return StrategyUnset
}

// Column is one column of a relation, as the catalog has it.
type Column struct {
	Name string
	Type uint32 // oid in pg_type; of a domain, the oid of the base type under it

	TypeName string // the declared type as SQL, every name qualified that is not in pg_catalog

	// Modifier is atttypmod: -1 says that the type has no length or precision, so that it stores every value as it is. 0 says
	// timestamp(0) and the like, or not known.
	Modifier int32

	NotNull    bool // by the column itself or by its domain
	HasDefault bool // an omitted value is not NULL: DEFAULT, the domain's default, identity or generated

	// DefaultVolatile: shards may compute the default differently. False: there is none, it is a constant, or generated.
	DefaultVolatile bool

	Default string // the default as SQL, if DefaultVolatile and it is the column's own

	NextID    bool // DEFAULT pgring.next_id()
	Generated bool // GENERATED ALWAYS AS (…) STORED: may not be written
	Identity  bool // GENERATED … AS IDENTITY
	Domain    bool // the declared type is a domain over Type

	CCollation       bool // its text order is byte order: collation C or POSIX, or the default of a database that has one of them
	Nondeterministic bool // its collation calls different bytes equal, so equality is not equality of hashes
}

// Table is one relation: a declared table, or anything else that the home shard's catalog has (views and sequences included).
// Immutable, like the snapshot that holds it.
type Table struct {
	Name
	Declared bool // named in the control database; the others are Home on the home shard
	Kind     Kind

	Key        []string     // sharded: the names of the key columns, in the order in which they are hashed
	KeyColumns []int        // where they are in Columns; nil: not sharded, or one is not there
	KeyType    ring.KeyType // KeyUnset: not sharded, not known yet, or not supported (see Problem)
	Group      *Group       // sharded: its colocation group, never nil; otherwise nil
	Shard      ring.ShardID // home: the shard that holds it; otherwise empty

	Exists  bool       // the home shard's catalog has it; for a home table declared on another shard this and the rest say nothing
	RelKind byte       // pg_class.relkind: r table, p partitioned, v view, m materialized view, f foreign, S sequence; 0 until it exists
	Columns []Column   // in the table's order, dropped ones left out; empty until it exists
	Silent  bool       // an ordinary table of which is known that no code of a user's runs when it is read or written, which could look at the statement
	Primary []string   // columns of the primary key; nil = none
	Unique  [][]string // columns of each unique index that is not partial and not on expressions, the primary key included

	Parents    []Name   // partition of, or inherits from
	Uses       []Name   // what the query of a view or materialized view names
	Calls      []string // the user functions in it, by their names without schema
	Definition string   // of a view: its query as SQL, every name qualified that is not in pg_catalog; empty: it is none, or not to be used for the view
	Reads      []*Table // every other relation that a statement on this one touches: those under a view, all the way down, and inheritance children that are placed otherwise

	Problem string // why this table cannot be used as declared, as one sentence; "" = nothing is wrong
}

// View reports whether the relation is a view (not a materialized one).
func (t *Table) View() bool { return t.RelKind == 'v' }

// HasKey reports whether the columns contain all of the shard key.
func (t *Table) HasKey(columns []string) bool { return HoldsKey(columns, t.Key) }

// HoldsKey reports whether the columns contain all those of a key.
func HoldsKey(columns, key []string) bool {
	return !slices.ContainsFunc(key, func(name string) bool { return !slices.Contains(columns, name) })
}

// Column gives the index of the named column, or -1.
func (t *Table) Column(name string) int {
	for i := range t.Columns {
		if t.Columns[i].Name == name {
			return i
		}
	}
	return -1
}

// Group is a colocation group: sharded tables with the same key type and strategy, whose equal keys live together.
// Immutable: a changed placement is a new Group in a new snapshot.
type Group struct {
	Name      string
	Strategy  Strategy
	KeyType   ring.KeyType   // KeyUnset until one of its tables exists
	Placement ring.Placement // never nil; Locate may be asked only with keys of KeyType
	Epoch     int64          // the epoch of the control database at which this placement was published
}

// Function is one user function, procedure or aggregate of the home shard.
type Function struct {
	Schema       string
	Volatile     bool // provolatile = 'v': may write, or answer differently each time
	SetReturning bool
	Aggregate    bool
	Window       bool
	Procedure    bool

	// Words are the words of its body, in lower case and sorted: what it names is among them. Dynamic SQL may name more.
	Words []string
}
