package saga

import (
	"context"
	"time"

	"github.com/pgring/pgring/backend"
	"github.com/pgring/pgring/ring"
)

// AnyRows as a Statement's Rows accepts any number of rows.
const AnyRows int64 = -1

// Statement is one SQL statement that the coordinator runs later: it undoes another one, or repeats it. It is sent with the
// extended protocol, exactly as it is given here.
type Statement struct {
	SQL      string    // in the client's encoding; one statement
	Types    []uint32  // OIDs of the parameters, as in Parse; may be shorter than Values, 0 leaves a type to the server
	Formats  []int16   // as in Bind: none (all text), one for all, or one each
	Values   [][]byte  // nil is NULL
	Rows     int64     // how many rows it must affect, or AnyRows; any other number makes the saga STUCK, and nothing is changed
	Settings []Setting // of the session that its meaning rests on: role, search_path, client_encoding, DateStyle, TimeZone, …
}

// Setting is a session parameter; the statement runs under it as if the client had said SET LOCAL name = value.
type Setting struct{ Name, Value string }

// Step is all that a saga does on one shard. It is either compensable (Undo), with nothing to undo (neither), or retriable.
type Step struct {
	// Conn has the step's work in an open transaction, status T, and the client's own login.
	Conn *backend.Conn

	// Undo undoes the work. In the order in which the statements ran that are to be undone: the coordinator goes backwards.
	Undo []Statement

	// Retriable says that the work is never undone. If it did not commit while others did, Redo is run instead, until it
	// succeeds. Retriable steps commit after all others.
	Retriable bool
	Redo      []Statement // the work again, in its order
}

// Saga is a client's transaction that is open on several shards, to be committed in mode saga.
type Saga struct {
	// Steps are the shards that the transaction has written to, in the order of the first write; no shard twice. The first
	// one that is not retriable is the home. With a Key, Steps[0] must be on the shard that owns the key (its work may be
	// empty), so that a repeat meets the first attempt there, and must not be retriable unless all steps are.
	Steps []Step

	// User is the client's user; undo and redo log in as Config.Login does for it.
	User string

	// Key makes repeats of the whole transaction known; empty means none. It belongs to the User.
	Key string

	// Timeout is pgring.saga_commit_timeout: how long CommitSaga may take before it leaves the rest to a janitor; zero means 10 s.
	Timeout time.Duration
}

// CommitSaga makes the open transactions of a saga durable on all shards, or undoes those that did commit. Nil means that all is
// durable, or, with a Key, that an earlier attempt has made it so. Errors:
//
//   - [*AbortedError]: nothing of it remains on any shard, and nothing will come. Its cause is the failing shard's *pgwire.Error
//     or something else, which deserves 40001;
//   - [*UnsettledError]: it is not settled yet, or needs an operator. [Coordinator.Status] tells what became of it;
//   - [*InvalidError]: the caller's mistake. All is rolled back.
//
// One step without a Key is a plain COMMIT without any row; it may end in an [*UnknownError], as in [Coordinator.Commit].
// The id names the saga; it is empty if none was needed. Afterwards each connection is in status I, or closed and marked dirty.
// When ctx ends before home has committed, the transaction is rolled back; later it has no effect.
func (c *Coordinator) CommitSaga(ctx context.Context, s Saga) (id string, err error) {
	return "", errUnfinished
}

// Call is a long-running saga: CALL pgring.saga(name, steps, key, mode). Its steps commit one after another, each in a
// transaction of its own, and it goes on when its client and its proxy are gone.
type Call struct {
	Name string // for people
	User string // the client's user; every statement logs in as Config.Login does for it
	Key  string // makes repeats known; empty means none. It belongs to the User

	// Steps is a JSON array of objects with the members
	//
	//	sql           the step's statement, which must concern one shard
	//	params        its parameters $1, $2, … as an array of strings, numbers, booleans and nulls; may be missing
	//	rows          how many rows it must affect; missing means any. Another number fails the step
	//	compensate    the statement that undoes it, on the same shard; for compensable steps only
	//	compensate_params, compensate_rows
	//	kind          compensable (the default), pivot or retriable
	//
	// in the order: any number of compensable steps, at most one pivot, any number of retriable steps. A compensable step or
	// the pivot that fails for good has the steps before it undone, the last first. A retriable step is tried until it succeeds.
	Steps []byte

	// Route names the one shard that a statement concerns, or says why it concerns none or several.
	Route func(ctx context.Context, sql string, params [][]byte) (ring.ShardID, error)

	Settings []Setting     // for all statements, see Statement
	Wait     bool          // until it is settled; else Call returns once the saga is durable
	Timeout  time.Duration // of Wait; zero means as long as ctx
}

// Call starts a long-running saga, or finds the one with the same key, and returns its id. Nil means that it is durable, with Wait
// that it is COMMITTED. Errors:
//
//   - [*InvalidError]: the steps are wrong; nothing was started;
//   - [*AbortedError]: it failed and all that was done has been undone;
//   - [*UnsettledError]: it goes on without its caller, or needs an operator.
func (c *Coordinator) Call(ctx context.Context, call Call) (id string, err error) {
	return "", errUnfinished
}
