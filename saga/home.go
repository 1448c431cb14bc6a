package saga

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/ring"
)

const (
	// leaseAfter is for how long after its commit timeout a saga is left to its own proxy. It only saves work.
	leaseAfter = 5 * time.Second

	// takeover is for how long a janitor that has taken a saga over is left alone with it.
	takeover = 30 * time.Second

	// maxRefusals is how often a statement is refused before the saga is STUCK.
	maxRefusals = 5

	firstPause = 20 * time.Millisecond
	longPause  = 15 * time.Second
)

// row is a saga's row on its home.
type row struct {
	id       string
	mode     mode
	state    State
	shards   []ring.ShardID
	rec      *record
	reason   string
	tries    int
	started  time.Time
	retry    *time.Time
	finished *time.Time
	cleaned  bool
}

const rowColumns = "id, mode, state, shards, record, coalesce(reason, ''), tries, started, retry, finished, cleaned IS NOT NULL"

func scanRow(rows pgx.CollectableRow) (*row, error) {
	r := &row{}
	var text []byte
	err := rows.Scan(&r.id, &r.mode, &r.state, &r.shards, &text, &r.reason, &r.tries, &r.started, &r.retry, &r.finished, &r.cleaned)
	if err == nil {
		r.rec, err = decodeRecord(text)
	}
	return r, err
}

// readRow returns nil if home has no such saga.
func readRow(ctx context.Context, conn *pgx.Conn, id string) (*row, error) {
	rows, err := conn.Query(ctx, "SELECT "+rowColumns+" FROM pgring.saga WHERE id = $1 AND mode <> '2pc'", id)
	if err != nil {
		return nil, fmt.Errorf("read saga: %w", err)
	}
	r, err := pgx.CollectExactlyOneRow(rows, scanRow)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read saga: %w", err)
	}
	return r, nil
}

// moveTo notes what is being done with a saga.
func (s *settlement) moveTo(ctx context.Context, state State) error {
	return s.update(ctx, "UPDATE pgring.saga SET state = $2 WHERE id = $1 AND finished IS NULL AND state <> $2", s.id, state)
}

// finish notes the end. Somebody else may have noted one before; what the row says is returned.
func (s *settlement) finish(ctx context.Context, state State, reason string) (State, error) {
	err := s.update(ctx, `UPDATE pgring.saga SET state = $2, reason = nullif($3, ''), finished = clock_timestamp(), leased = NULL, retry = NULL
WHERE id = $1 AND finished IS NULL`, s.id, state, reason)
	if err != nil {
		return state, err
	}
	r, err := s.read(ctx)
	if err != nil || r == nil {
		return state, err
	}
	return r.state, nil
}

// hindered notes that the saga cannot be settled now, and why. It returns the state.
func (s *settlement) hindered(ctx context.Context, state State, cause error) (State, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), hangUpTimeout)
	defer cancel()
	conn, err := s.operator(ctx, s.home)
	if err != nil {
		return state, cause
	}
	err = conn.QueryRow(ctx, `UPDATE pgring.saga SET tries = tries + 1, refusals = refusals + $2, reason = left($3, 2000),
	retry = clock_timestamp() + least($4 * 2 ^ least(tries, 20), $5) * (0.75 + random() / 2) * interval '1 second',
	state = CASE WHEN refusals + $2 >= $6 THEN 'STUCK' ELSE state END
WHERE id = $1 AND finished IS NULL RETURNING state`,
		s.id, order(!passing(cause)), cause.Error(), firstPause.Seconds(), longPause.Seconds(), maxRefusals).Scan(&state)
	switch {
	case errors.Is(err, pgx.ErrNoRows): // settled by somebody else
		if r, err := s.read(ctx); err == nil && r != nil {
			return r.state, nil
		}
	case err == nil && state == Stuck:
		s.c.cfg.Logger.Error("saga is stuck", "saga", s.id, "reason", cause)
	}
	return state, cause
}

func (s *settlement) update(ctx context.Context, sql string, args ...any) error {
	conn, err := s.operator(ctx, s.home)
	if err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, sql, args...); err != nil {
		return fmt.Errorf("update saga on %s: %w", s.home, err)
	}
	return nil
}

func (s *settlement) read(ctx context.Context) (*row, error) {
	conn, err := s.operator(ctx, s.home)
	if err != nil {
		return nil, err
	}
	return readRow(ctx, conn, s.id)
}

// claim takes the lease of a saga that nobody works on.
func (s *settlement) claim(ctx context.Context) (bool, error) {
	conn, err := s.operator(ctx, s.home)
	if err != nil {
		return false, err
	}
	tag, err := conn.Exec(ctx, `UPDATE pgring.saga SET leased = clock_timestamp() + $2::interval
WHERE id = $1 AND state <> 'STUCK' AND `+dueSQL, s.id, s.c.takeover())
	if err != nil {
		return false, fmt.Errorf("lease saga on %s: %w", s.home, err)
	}
	return tag.RowsAffected() == 1, nil
}

// dueSQL says which sagas a janitor may take over.
const dueSQL = `mode <> '2pc' AND finished IS NULL AND coalesce(leased, '-infinity') < clock_timestamp() AND coalesce(retry, '-infinity') < clock_timestamp()`

func (c *Coordinator) takeover() time.Duration {
	if c.cfg.lease != 0 {
		return c.cfg.lease
	}
	return takeover
}

// handOver leaves a saga to the janitors. If home cannot be told, they wait for the end of the lease.
func (c *Coordinator) handOver(ctx context.Context, id string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), hangUpTimeout)
	defer cancel()
	s, err := c.settlement(id)
	if err != nil {
		return
	}
	defer s.close(ctx)
	if err := s.update(ctx, "UPDATE pgring.saga SET leased = NULL WHERE id = $1 AND finished IS NULL", id); err == nil {
		c.crew.call()
	}
}
