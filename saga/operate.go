package saga

import (
	"context"
	"errors"
	"time"

	"github.com/pgring/pgring/ring"
)

var errUnfinished = errors.New("mode saga is not available yet")

// Status is what is known of one saga.
type Status struct {
	ID     string
	State  State
	Reason string // of STUCK, ABANDONED, COMPENSATED and of waiting; may be empty
}

// Status says what became of a saga. If its home has nothing of it, it sees to it that nothing will ever be, and says NONE: within
// Config.KeepFinished of the attempt that means that nothing was done. An error means that its home does not answer, or that the
// id is none ([*InvalidError]).
func (c *Coordinator) Status(ctx context.Context, id string) (Status, error) {
	return Status{}, errUnfinished
}

// Summary is one saga, as SHOW SAGAS lists it.
type Summary struct {
	ID       string
	Name     string // of a Call; else empty
	Mode     string // saga (a transaction), call (long-running)
	Home     ring.ShardID
	Shards   []ring.ShardID // by step
	User     string
	Key      string
	State    State
	Started  time.Time
	Finished time.Time // zero: not settled
	Tries    int       // in vain since the last success
	Retry    time.Time // not tried again before; zero: at once
	Reason   string
}

// List reads the sagas of all shards, those that are not settled first, then the youngest; at most limit from each shard. Shards
// that cannot be read are in the second result.
func (c *Coordinator) List(ctx context.Context, limit int) ([]Summary, map[ring.ShardID]error) {
	return nil, nil
}

// Detail is one saga with its steps, as SHOW SAGA id shows it.
type Detail struct {
	Summary
	Steps []StepDetail
}

// StepDetail is one step of a saga.
type StepDetail struct {
	Step  int // from 0, as SKIP wants it
	Shard ring.ShardID
	Kind  string       // compensable, retriable, pivot, none (nothing to undo)
	Do    []Statement  // of a Call: its statement; of a retriable step: what Redo said
	Undo  []Statement  // in the order in which they would run
	Rows  []BarrierRow // what the shard says of the step
	Err   error        // why the shard's rows are not there
}

// BarrierRow says that something was done, or can never be done any more.
type BarrierRow struct {
	Op      string // a (the step's own work), c (undone), r (run forward)
	Kind    string // action (done), fence (never), skip (by an operator)
	Note    string // the operator's reason
	Created time.Time
}

// Show reads one saga. It is nil if its home has none of that id.
func (c *Coordinator) Show(ctx context.Context, id string) (*Detail, error) {
	return nil, errUnfinished
}

// Retry has a saga tried again at once, also if it is STUCK, and returns how that ended.
func (c *Coordinator) Retry(ctx context.Context, id string) (Status, error) {
	return Status{}, errUnfinished
}

// Skip declares what is to be done on one step, undo or forward, as done by hand. The saga is then tried again as by Retry. The
// step's shard must answer.
func (c *Coordinator) Skip(ctx context.Context, id string, step int, reason string) (Status, error) {
	return Status{}, errUnfinished
}

// Abandon gives a saga up that is not settled: no one touches it any more, and what is done of it stays.
func (c *Coordinator) Abandon(ctx context.Context, id, reason string) error {
	return errUnfinished
}

// Report is what Verify found.
type Report struct {
	Sagas       int // that were compared
	Rows        int // barrier rows
	Problems    []Problem
	Unreachable map[ring.ShardID]error
}

// Problem is a contradiction between shards. One that has lost committed data is the usual reason: a replica that was promoted
// before it had everything, or a restored backup.
type Problem struct {
	ID    string
	Shard ring.ShardID
	Step  int
	Text  string
}

// Verify compares the sagas' homes with what all shards say of their steps. Sagas under way are not an error.
func (c *Coordinator) Verify(ctx context.Context) (*Report, error) {
	return nil, errUnfinished
}
