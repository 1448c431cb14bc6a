package router

// Reason classifies a refusal; proxy/errors.go maps each to its SQLSTATE.
type Reason uint8

// The reasons, with the SQLSTATE they stand for.
const (
	ReasonUnset        Reason = iota
	Unsupported               // 0A000: not answered by pgring (yet)
	SyntaxError               // 42601, with Position
	MultipleStatements        // 42601: several commands in a Parse message
	MissingKey                // 0A000: the statement needs a shard key
	NullKey                   // 23502: NULL as the key of a row to write
	InvalidKey                // 22P02: text that the key's type does not accept
	InvalidBinaryKey          // 22P03: bytes that are not the key's binary format
	KeyOutOfRange             // 22003
	KeyNotUnderstood          // 0A000: a key expression or parameter type that cannot be placed
	CrossShardWrite           // 0A000: rows of several shards in one write
	ChangesKey                // 0A000: an update of the shard key
	ReadOnlyShard             // 25006: the shard does not take writes now
	UndefinedParameter        // 42P02: there is no parameter $n
	UnknownShard              // 0A000: a directive names a shard that does not exist
	BadDirective              // 42601: a /* pgring: … */ comment that is not understood
	InvalidDefinition         // 42P16: DDL that would break sharding
	NotOnShards               // 0A000: must be done on the servers (roles, databases, tablespaces)
	TooComplex                // 54001: nesting deeper than the router follows
	SlotsMoving               // 0A000: rows that are on two shards meanwhile cannot be told apart in it
)

var reasonNames = [...]string{
	ReasonUnset:        "unset",
	Unsupported:        "unsupported",
	SyntaxError:        "syntax error",
	MultipleStatements: "multiple statements",
	MissingKey:         "missing key",
	NullKey:            "null key",
	InvalidKey:         "invalid key",
	InvalidBinaryKey:   "invalid binary key",
	KeyOutOfRange:      "key out of range",
	KeyNotUnderstood:   "key not understood",
	CrossShardWrite:    "cross-shard write",
	ChangesKey:         "changes key",
	ReadOnlyShard:      "read-only shard",
	UndefinedParameter: "undefined parameter",
	UnknownShard:       "unknown shard",
	BadDirective:       "bad directive",
	InvalidDefinition:  "invalid definition",
	NotOnShards:        "not on shards",
	TooComplex:         "too complex",
	SlotsMoving:        "slots moving",
}

// String returns the reason in words.
func (r Reason) String() string {
	if int(r) < len(reasonNames) {
		return reasonNames[r]
	}
	return "unknown"
}

// Reasons returns all reasons that can occur, for tables that must be complete.
func Reasons() []Reason {
	all := make([]Reason, 0, len(reasonNames))
	for r := range reasonNames {
		if Reason(r) != ReasonUnset {
			all = append(all, Reason(r))
		}
	}
	return all
}

// Refusal is the error for a statement that pgring does not run. Message, Detail
// and Hint are written for the client.
type Refusal struct {
	Reason   Reason
	Message  string
	Detail   string
	Hint     string
	Position int    // 1-based character position in the statement, 0: none
	Code     string // SQLSTATE that PostgreSQL has for this very case; empty: the reason's
}

// Error returns the message.
func (r *Refusal) Error() string { return r.Message }
