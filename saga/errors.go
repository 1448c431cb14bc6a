package saga

import (
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/ring"
)

// AbortedError reports that the transaction was rolled back on every shard, and which shard's failure was the reason. Err is a
// *pgwire.Error if the server refused; SQLSTATE 40001 of pgring's own means that a janitor had given the transaction up.
type AbortedError struct {
	Shard ring.ShardID
	Err   error
}

func (e *AbortedError) Error() string {
	return fmt.Sprintf("commit on several shards: rolled back everywhere, because of shard %s: %v", e.Shard, e.Err)
}

// Unwrap returns the reason.
func (e *AbortedError) Unwrap() error { return e.Err }

// PartialError reports that some shards have committed and others have not. It happens only where two-phase commit is off.
type PartialError struct {
	Committed []ring.ShardID
	Failed    []ring.ShardID // rolled back; or unknown, if the connection broke during the shard's COMMIT
	Err       error          // of the first that failed
}

func (e *PartialError) Error() string {
	return fmt.Sprintf("commit on several shards: committed on %v, not on %v: %v", e.Committed, e.Failed, e.Err)
}

// Unwrap returns the reason.
func (e *PartialError) Unwrap() error { return e.Err }

// UnknownError reports that the shard that decides did not answer whether it has committed. What it has decided, all shards do
// in the end.
type UnknownError struct {
	Shard ring.ShardID
	ID    string // of the transaction, as in pgring.saga; empty if only one shard took part
	Err   error
}

func (e *UnknownError) Error() string {
	return fmt.Sprintf("commit on shard %s: outcome unknown: %v", e.Shard, e.Err)
}

// Unwrap returns the reason.
func (e *UnknownError) Unwrap() error { return e.Err }

// UnsettledError reports that a saga has neither been committed on all shards nor undone, yet. Without anybody's help it will be,
// unless State is STUCK or ABANDONED. It deserves 40003.
type UnsettledError struct {
	ID    string
	State State // as far as is known
	Err   error
}

func (e *UnsettledError) Error() string {
	return fmt.Sprintf("saga %s is %s: %v", e.ID, e.State, e.Err)
}

// Unwrap returns what keeps it from being settled.
func (e *UnsettledError) Unwrap() error { return e.Err }

// InvalidError reports that a saga as given, or an id, makes no sense. It deserves 22023.
type InvalidError struct{ Reason string }

func (e *InvalidError) Error() string { return "saga: " + e.Reason }

// lostError reports a broken connection. If it was the answer that did not come, the server may have acted.
type lostError struct {
	last *pgwire.Error // what the server said before it went, if anything
	err  error
}

func (e *lostError) Error() string {
	if e.last != nil {
		return fmt.Sprintf("connection lost: %v: %v", e.last, e.err)
	}
	return fmt.Sprintf("connection lost: %v", e.err)
}

func (e *lostError) Unwrap() error { return e.err }

func isLost(err error) bool {
	var lost *lostError
	return errors.As(err, &lost)
}

// keyTakenError says that an earlier saga has the key.
type keyTakenError struct{ earlier string }

func (e *keyTakenError) Error() string { return "saga " + e.earlier + " has the same key" }

var (
	errEarlierUndone = errors.New("an earlier attempt with the same key was undone just now")
	errEarlierOpen   = errors.New("an earlier attempt with the same key is not settled")
)

// errNotOpen means that PostgreSQL answered ROLLBACK to a message that should have ended the transaction well.
var errNotOpen = errors.New("the transaction had failed before")

// The SQLSTATEs that the protocol acts on (PostgreSQL manual, appendix "PostgreSQL Error Codes").
const (
	codeUndefinedObject     = "42704" // no such prepared transaction: it was settled
	codeInsufficientRights  = "42501"
	codeUndefinedSchema     = "3F000"
	codeUndefinedFunction   = "42883"
	codeUndefinedTable      = "42P01"
	codePrerequisiteMissing = "55000" // prepared transactions are disabled
	codeSerialization       = "40001"
	codeKeyTaken            = "PGR01" // of pgring.saga_begin
)

// code returns the SQLSTATE of a server's error, however it was read; empty if it is none.
func code(err error) string {
	var wire *pgwire.Error
	if errors.As(err, &wire) {
		return wire.Code
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}

// detail returns the DETAIL of a server's error, which is where pgring.saga_begin puts the earlier saga.
func detail(err error) string {
	var wire *pgwire.Error
	if errors.As(err, &wire) {
		return wire.Detail
	}
	return ""
}

// passing reports whether an error is likely to go away by itself: whoever meets it tries again, for ever. Others are refusals.
func passing(err error) bool {
	var wrong *wrongCountError
	if errors.As(err, &wrong) {
		return false
	}
	sqlstate := code(err)
	switch sqlstate {
	case "", // no answer from a server
		"25006", // read-only: a standby, for now
		"40001", "40P01", "40003", "55P03", "55006", "57014":
		return true
	}
	switch sqlstate[:2] {
	case "08", "53", "57", "58":
		return true
	}
	return false
}

// wrongCountError reports a statement that affected another number of rows than expected.
type wrongCountError struct {
	sql       string
	got, want int64
}

func (e *wrongCountError) Error() string {
	return fmt.Sprintf("%d rows instead of %d: %s", e.got, e.want, e.sql)
}
