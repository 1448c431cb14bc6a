package topology

import "github.com/pgring/pgring/ring"

// Shard is one PostgreSQL primary as the control database knows it.
type Shard struct {
	ID     ring.ShardID
	Number int // small, from 1, stable, and never used again after the shard is dropped
	Host   string
	Port   int
	Weight int // share of the ring relative to the others; 0: gets no slots, but keys that are moved to it
	State  ShardState
}

// ShardState says what a shard may be used for.
//
//	             DropShard (owns nothing)
//	Joining ──▶ Active ◀──▶ ReadOnly
//	   │          ▲ │          │
//	   │          │ ▼          ▼
//	   └────────▶ Draining ──▶ (dropped)
type ShardState uint8

// The states. The zero value means unset; in a wish it leaves a known shard as it is and makes a new one Active.
const (
	StateUnset ShardState = iota
	Active                // reads, writes, and a place of its own on the ring
	ReadOnly              // reads only
	Draining              // serves what it owns; a new placement or rebalance gives it nothing and takes what it has
	Joining               // lacks some declared table, or its copy of a reference table: nothing may be sent to it
)

// String gives the word that the configuration, the control database and the console use.
func (s ShardState) String() string {
	switch s {
	case Active:
		return "active"
	case ReadOnly:
		return "readonly"
	case Draining:
		return "draining"
	case Joining:
		return "joining"
	case StateUnset:
	}
	return "unset"
}

// ParseShardState is the inverse of [ShardState.String]; an unknown word gives StateUnset.
func ParseShardState(text string) ShardState {
	for s := Active; s <= Joining; s++ {
		if s.String() == text {
			return s
		}
	}
	return StateUnset
}
