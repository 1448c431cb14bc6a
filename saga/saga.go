package saga

import (
	"errors"
	"slices"
	"time"

	"github.com/pgring/pgring/backend"
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

// check refuses what the coordinator could not keep its word on.
func (s *Saga) check() error {
	for i, step := range s.Steps {
		if step.Retriable && len(step.Undo) > 0 {
			return &InvalidError{Reason: "a step on one shard is either retriable or compensable"}
		}
		if step.Retriable && len(step.Redo) == 0 {
			return &InvalidError{Reason: "a retriable step has nothing to run again"}
		}
		if i == 0 && s.Key != "" && step.Retriable && !s.allRetriable() {
			return &InvalidError{Reason: "the shard that owns the saga key commits first, so its work must not be retriable"}
		}
	}
	return nil
}

func (s *Saga) allRetriable() bool {
	return !slices.ContainsFunc(s.Steps, func(step Step) bool { return !step.Retriable })
}

// ordered are the steps as they commit: what is never undone comes when nothing can fail any more.
func (s *Saga) ordered() []Step {
	steps := slices.Clone(s.Steps)
	slices.SortStableFunc(steps, func(a, b Step) int { return order(a.Retriable) - order(b.Retriable) })
	return steps
}

func order(later bool) int {
	if later {
		return 1
	}
	return 0
}

// record is what is written down of the saga.
func (s *Saga) record() *record {
	r := &record{User: s.User, Key: s.Key}
	for _, step := range s.ordered() {
		kept := recordedStep{Shard: step.Conn.Shard(), Kind: compensable}
		if step.Retriable {
			kept.Kind, kept.Do = retriable, r.statements(step.Redo)
		}
		kept.Undo = r.statements(step.Undo)
		r.Steps = append(r.Steps, kept)
	}
	return r
}

var errNoLogin = errors.New("mode saga needs Config.Login")
