package router

import (
	"github.com/pgring/pgring/ring"
)

// Kind is how a statement is run.
type Kind uint8

// The plan kinds, cheapest first.
const (
	KindUnset Kind = iota
	One            // everything it touches is on one shard: the text passes untouched
	Home           // home tables, catalogs and functions: the shard that has them
	Reference      // a read of reference tables only: any shard
	Gather         // the same statement on several shards, answers merged
	Pull           // rows of several shards copied to one, which answers
	Broadcast      // on every shard (or Parts) at once: DDL, TRUNCATE, writes to reference tables
	Staged         // queries in it are answered first, then what is left is planned anew
	Split          // a write whose rows are on several shards: each writes its own
)

// Plan says where and how one execution of a statement runs. Its slices are
// shared and must not be changed.
//
// A Broadcast has one answer, though several shards give it: that of any shard
// whose text is whole. A write to reference tables changes the same rows on each
// shard, so the tags must be equal; they are not added up. A Split has as many
// answers as shards: rows and counts add up.
type Plan struct {
	Kind     Kind
	Shard    ring.ShardID   // One, Home; Reference: the preferred shard, any other Active one will do; Pull: the final one
	Shards   []ring.ShardID // Gather, Broadcast, Split: sorted; empty when Parts says it
	Anywhere bool           // a read without side effects that any shard answers alike: may follow an open transaction

	// SQL replaces the client's text when it is not empty. With it the
	// parameters keep their numbers.
	SQL       string
	Parts     []Part      // Broadcast, Split: shards that get different texts; replaces Shards and SQL. Pull: what the rows to copy come from
	Merge     *Merge      // Gather: how to combine
	Out       *Out        // Gather: COPY TO, whose data of one shard follow those of another; replaces Merge
	Stages    *Stages     // Staged: what comes first
	Explained []Explained // Gather: EXPLAIN, whose answer is made of these lines; replaces Merge
	Copy      *Copy       // Pull: where they are copied to, before SQL runs on Shard

	// HasKey: exactly one shard key decides where the statement runs, and Key is
	// its hash.
	HasKey bool
	Key    uint64

	// Hidden are rows to leave out on some of Shards, by Statement.HiddenText.
	Hidden []Hidden

	// NoTransaction: PostgreSQL refuses the statement in a transaction block, so
	// it runs shard by shard and cannot be all or nothing.
	NoTransaction bool

	// ShardByShard: outside of a transaction block it runs shard by shard all the same.
	ShardByShard bool

	// At is what the gate must be asked about: the slot of a One plan. Also
	// holds further slots; AllSlots is set when any slot of the groups in At and
	// Also may be touched.
	At       SlotRef
	Also     []SlotRef
	AllSlots bool
}

// SlotRef names one slot of a colocation group. The zero value names nothing.
type SlotRef struct {
	Group string
	Slot  ring.Slot
}

// Part is the text that one shard gets.
type Part struct {
	Shard ring.ShardID
	SQL   string // empty: the client's text

	division *division // Split: which of the client's rows are in SQL; nil: it is not by rows
}

// Out says what to leave out where the data of COPY TO of several shards are put
// behind each other.
type Out struct {
	Binary bool // each shard's data have a header and a trailer (PostgreSQL manual, COPY)
	Header bool // each shard's data begin with a header line
}

// Merge says how the rows of several shards become one result. All columns are
// numbered from 0 in the rows as the shards send them, hidden ones included.
type Merge struct {
	Order      []SortKey   // empty: concatenate
	Limit      int64       // -1: none
	Offset     int64       // 0: none
	Hidden     int         // trailing columns to drop
	Aggregates []Aggregate // not empty: each shard sends one row, merged column by column

	// Unsure: the type of some column that is merged is not known here. Whoever merges must look at a shard's description first; if
	// it cannot, Router.Pull plans the statement otherwise.
	Unsure bool
}

// SortKey is one sort column of a merge.
type SortKey struct {
	Column     int
	Desc       bool
	NullsFirst bool
	// Bytewise: the column's text order is byte order if it is of a text type.
	// Without it the merger must refuse text columns.
	Bytewise bool
}

// Aggregate is how one output column of a merged row is combined. NULL inputs
// are ignored by all of them; no non-NULL input gives NULL.
type Aggregate uint8

// The mergeable aggregates.
const (
	AggregateUnset Aggregate = iota
	AggCount                 // int8, added
	AggSum                   // added, in the type of the column: int8 or numeric; float4/float8 must be refused by the merger (order matters)
	AggMin
	AggMax
	AggBoolAnd
	AggBoolOr
)
