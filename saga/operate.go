package saga

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

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
	s, err := c.settlement(id)
	if err != nil {
		return Status{}, err
	}
	defer s.close(ctx)
	return s.status(ctx)
}

func (s *settlement) status(ctx context.Context) (Status, error) {
	r, err := s.read(ctx)
	if err == nil && r == nil {
		return s.never(ctx)
	}
	if err != nil {
		return Status{}, err
	}
	status := Status{ID: s.id, State: r.state, Reason: r.reason}
	if s.rec = r.rec; r.state == Running && s.allDone(ctx) {
		status.State = Committed
	}
	return status, nil
}

// never sees to it that a saga of which home has no row will not have one. It waits for a home COMMIT under way.
func (s *settlement) never(ctx context.Context) (Status, error) {
	conn, err := s.operator(ctx, s.home)
	if err != nil {
		return Status{}, err
	}
	found, _, err := s.c.fence(ctx, conn, s.home, s.id, 0)
	switch {
	case err != nil:
		return Status{}, err
	case found == rowFence:
		return Status{ID: s.id, State: None}, nil
	}
	r, err := s.read(ctx)
	switch {
	case err != nil:
		return Status{}, err
	case r == nil: // cleaned away in between
		return Status{ID: s.id, State: None}, nil
	}
	return Status{ID: s.id, State: r.state, Reason: r.reason}, nil
}

// allDone looks whether a saga is committed already, though its home does not say so yet. It plants nothing, so as not to disturb
// a proxy that is at work.
func (s *settlement) allDone(ctx context.Context) bool {
	for i := range s.rec.Steps {
		if found, err := s.own(ctx, i); err != nil || found != rowAction {
			return false
		}
	}
	return true
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
	snap := c.cfg.Topology.Current()
	if snap == nil {
		return nil, map[ring.ShardID]error{"": topology.ErrNotStarted}
	}
	lists, errs := make([][]Summary, len(snap.Shards)), make([]error, len(snap.Shards))
	var group sync.WaitGroup
	for i, shard := range snap.Shards {
		// owner: List; ends when the shard has answered, or with ctx.
		group.Go(func() { lists[i], errs[i] = c.listOn(ctx, shard.ID, limit) })
	}
	group.Wait()
	failed := map[ring.ShardID]error{}
	for i, shard := range snap.Shards {
		if errs[i] != nil {
			failed[shard.ID] = errs[i]
		}
	}
	all := slices.Concat(lists...)
	slices.SortFunc(all, func(a, b Summary) int {
		return cmp.Or(order(a.State.Settled())-order(b.State.Settled()), b.Started.Compare(a.Started), cmp.Compare(a.ID, b.ID))
	})
	return all, failed
}

func (c *Coordinator) listOn(ctx context.Context, shard ring.ShardID, limit int) ([]Summary, error) {
	ctx, cancel := context.WithTimeout(ctx, visitTimeout)
	defer cancel()
	conn, err := c.operator(ctx, shard)
	if err != nil {
		return nil, err
	}
	defer hangUp(ctx, conn)
	if err := c.install(ctx, conn, shard); err != nil {
		return nil, err
	}
	if err := c.writeNotes(ctx, conn, shard); err != nil {
		return nil, err
	}
	rows, err := conn.Query(ctx, "SELECT "+rowColumns+" FROM pgring.saga WHERE mode <> '2pc' ORDER BY finished IS NOT NULL, started DESC LIMIT $1", limit)
	if err != nil {
		return nil, fmt.Errorf("list sagas of %s: %w", shard, err)
	}
	list, err := pgx.CollectRows(rows, func(rows pgx.CollectableRow) (Summary, error) {
		r, err := scanRow(rows)
		if err != nil {
			return Summary{}, err
		}
		return r.summary(shard), nil
	})
	if err != nil {
		return nil, fmt.Errorf("list sagas of %s: %w", shard, err)
	}
	return list, nil
}

func (r *row) summary(home ring.ShardID) Summary {
	s := Summary{ID: r.id, Name: r.rec.Name, Mode: string(r.mode), Home: home, Shards: r.rec.shards(), User: r.rec.User, Key: r.rec.Key,
		State: r.state, Started: r.started, Tries: r.tries, Reason: r.reason}
	if r.finished != nil {
		s.Finished = *r.finished
	}
	if r.retry != nil {
		s.Retry = *r.retry
	}
	return s
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
	s, err := c.settlement(id)
	if err != nil {
		return nil, err
	}
	defer s.close(ctx)
	conn, err := s.operator(ctx, s.home)
	if err != nil {
		return nil, err
	}
	if err := c.writeNotes(ctx, conn, s.home); err != nil {
		return nil, err
	}
	r, err := readRow(ctx, conn, id)
	if err != nil || r == nil {
		return nil, err
	}
	d := &Detail{Summary: r.summary(s.home)}
	for i, step := range r.rec.Steps {
		shown := StepDetail{Step: i, Shard: step.Shard, Kind: string(step.Kind), Do: r.rec.forward(i), Undo: r.rec.undo(i)}
		if step.Kind == compensable && len(step.Undo) == 0 {
			shown.Kind = "none"
		}
		shown.Rows, shown.Err = s.barrierRows(ctx, step.Shard, i)
		d.Steps = append(d.Steps, shown)
	}
	return d, nil
}

func (s *settlement) barrierRows(ctx context.Context, shard ring.ShardID, step int) ([]BarrierRow, error) {
	conn, err := s.operator(ctx, shard)
	if err != nil {
		return nil, err
	}
	rows, err := conn.Query(ctx, "SELECT op::text, kind, coalesce(note, ''), created FROM pgring.barrier WHERE saga_id = $1 AND step = $2 ORDER BY op", s.id, step)
	if err != nil {
		return nil, fmt.Errorf("read barrier rows on %s: %w", shard, err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[BarrierRow])
	if err != nil {
		return nil, fmt.Errorf("read barrier rows on %s: %w", shard, err)
	}
	return list, nil
}

// Retry has a saga tried again at once, also if it is STUCK, and returns how that ended. A saga that its proxy is still at work on
// is left to it.
func (c *Coordinator) Retry(ctx context.Context, id string) (Status, error) {
	s, err := c.settlement(id)
	if err != nil {
		return Status{}, err
	}
	defer s.close(ctx)
	return s.retry(ctx)
}

func (s *settlement) retry(ctx context.Context) (Status, error) {
	conn, err := s.operator(ctx, s.home)
	if err != nil {
		return Status{}, err
	}
	tag, err := conn.Exec(ctx, `UPDATE pgring.saga SET state = CASE state WHEN 'STUCK' THEN 'RUNNING' ELSE state END, tries = 0, refusals = 0, retry = NULL,
	leased = clock_timestamp() + $2::interval
WHERE id = $1 AND mode <> '2pc' AND finished IS NULL AND (state = 'STUCK' OR coalesce(leased, '-infinity') < clock_timestamp())`, s.id, s.c.takeover())
	if err != nil {
		return Status{}, fmt.Errorf("retry saga on %s: %w", s.home, err)
	}
	if tag.RowsAffected() == 0 {
		return s.status(ctx)
	}
	state, hindrance := s.settle(ctx, "an operator retried it")
	if !state.Settled() {
		if err := s.update(ctx, "UPDATE pgring.saga SET leased = NULL WHERE id = $1 AND finished IS NULL", s.id); err != nil {
			return Status{}, err
		}
	}
	status := Status{ID: s.id, State: state}
	if hindrance != nil {
		status.Reason = hindrance.Error()
	}
	return status, nil
}

// Skip declares what is to be done on one step, undo or forward, as done by hand. The saga is then tried again as by Retry. The
// step's shard must answer.
func (c *Coordinator) Skip(ctx context.Context, id string, step int, reason string) (Status, error) {
	s, err := c.settlement(id)
	if err != nil {
		return Status{}, err
	}
	defer s.close(ctx)
	if err := s.skip(ctx, step, reason); err != nil {
		return Status{}, err
	}
	return s.retry(ctx)
}

// skip writes the row of what is missing, so that it is never done any more; it waits for a try under way.
func (s *settlement) skip(ctx context.Context, step int, reason string) error {
	r, err := s.read(ctx)
	switch {
	case err != nil:
		return err
	case r == nil || r.state.Settled():
		return &InvalidError{Reason: "it is settled already, or was never there"}
	case r.state == Running:
		return &InvalidError{Reason: "it is RUNNING: there is nothing to skip"}
	case step < 0 || step >= len(r.rec.Steps):
		return &InvalidError{Reason: fmt.Sprintf("it has no step %d", step)}
	case reason == "":
		return &InvalidError{Reason: "a reason must be given"}
	}
	s.rec = r.rec
	own, err := s.own(ctx, step)
	if err != nil {
		return err
	}
	var what op
	switch {
	case own == rowAction && r.rec.Steps[step].Kind == compensable:
		what = opUndo
	case own == rowFence && r.rec.Steps[step].Kind == retriable:
		what = opForward
	case own == "" && r.rec.Steps[step].Kind == retriable:
		what = opAction
	default:
		return &InvalidError{Reason: fmt.Sprintf("step %d has nothing to be undone or run forward", step)}
	}
	conn, err := s.operator(ctx, r.rec.Steps[step].Shard)
	if err != nil {
		return err
	}
	s.c.cfg.Logger.Warn("operator skips a step of a saga", "saga", s.id, "step", step, "reason", reason)
	_, err = conn.Exec(ctx, "INSERT INTO pgring.barrier (saga_id, step, op, kind, note) VALUES ($1, $2, $3::\"char\", 'skip', $4) ON CONFLICT DO NOTHING",
		s.id, step, string(what), reason)
	if err != nil {
		return fmt.Errorf("skip step %d on %s: %w", step, r.rec.Steps[step].Shard, err)
	}
	return nil
}

// Abandon gives a saga up that is not settled: no one touches it any more, and what is done of it stays.
func (c *Coordinator) Abandon(ctx context.Context, id, reason string) error {
	s, err := c.settlement(id)
	if err != nil {
		return err
	}
	defer s.close(ctx)
	if reason == "" {
		return &InvalidError{Reason: "a reason must be given"}
	}
	r, err := s.read(ctx)
	if err == nil && (r == nil || r.state.Settled()) {
		err = &InvalidError{Reason: "it is settled already, or was never there"}
	}
	if err != nil {
		return err
	}
	c.cfg.Logger.Warn("operator abandons a saga", "saga", id, "state", r.state, "reason", reason)
	state, err := s.finish(ctx, Abandoned, reason)
	if err == nil && state != Abandoned {
		return &InvalidError{Reason: "it has just become " + string(state)}
	}
	return err
}
