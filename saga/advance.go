package saga

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// advance takes a long-running saga forward, step by step, from where the barrier rows say that it is. It returns Committed, or what
// is to be undone; an error means that it cannot go on now.
//
//	no row ─run▶ action ▶ next step
//	   │ └─ passing error: later
//	   └─ refused: fence ─▶ undo the steps before        (a retriable step: later, and STUCK in the end)
//
// A step runs only when the one before it is done, and a fence is planted only on the step that was refused: behind the fence
// nobody can come to the steps after it.
func (s *settlement) advance(ctx context.Context) (task, error) {
	for i, step := range s.rec.Steps {
		found, err := s.own(ctx, i)
		if err != nil {
			return task{}, err
		}
		var refusal error
		if found == "" {
			found, refusal, err = s.runStep(ctx, i)
		}
		switch {
		case errors.Is(err, errGone):
			return s.overtaken(ctx, err)
		case err != nil:
			return task{}, err
		case found == rowAction || found == rowSkip:
			continue
		}
		t, err := s.retreat(ctx, i)
		if refusal != nil {
			t.reason = fmt.Sprintf("step %d on %s: %v", i, step.Shard, refusal)
		}
		return t, err
	}
	return task{state: Committed}, nil
}

// own reads the row of a step's own work; empty if there is none.
func (s *settlement) own(ctx context.Context, step int) (found rowKind, err error) {
	shard := s.rec.Steps[step].Shard
	conn, err := s.operator(ctx, shard)
	if err != nil {
		return "", err
	}
	err = conn.QueryRow(ctx, rulingSQL, s.id, step).Scan(&found)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return "", fmt.Errorf("read row of step %d on %s: %w", step, shard, err)
	}
	return found, nil
}

// runStep runs a step that has no row. A refused step that may fail gets a fence, unless somebody else has run it meanwhile.
func (s *settlement) runStep(ctx context.Context, step int) (found rowKind, refusal, err error) {
	err = s.update(ctx, "UPDATE pgring.saga SET leased = clock_timestamp() + $2::interval WHERE id = $1 AND finished IS NULL", s.id, s.c.takeover())
	if err != nil {
		return "", nil, err
	}
	err = s.act(ctx, step, opAction, s.rec.forward(step))
	if err == nil {
		return rowAction, nil, nil
	}
	to := s.rec.Steps[step]
	if passing(err) || to.Kind == retriable {
		return "", nil, err
	}
	refusal = err
	conn, err := s.operator(ctx, to.Shard)
	if err != nil {
		return "", nil, err
	}
	found, _, err = s.c.fence(ctx, conn, to.Shard, s.id, step)
	return found, refusal, err
}

// retreat says what is to be undone when a step is fenced.
func (s *settlement) retreat(ctx context.Context, fenced int) (task, error) {
	t := task{state: Compensating}
	for i := fenced - 1; i >= 0; i-- {
		found, err := s.own(ctx, i)
		if err != nil {
			return t, err
		}
		if s.rec.Steps[i].Kind != compensable {
			return t, &contradictionError{done: i, lost: fenced}
		}
		if found == rowAction {
			t.undo = append(t.undo, i)
		}
	}
	r, err := s.read(ctx) // behind the rows, as in judge
	switch {
	case err != nil:
		return t, err
	case r == nil:
		return task{state: None}, nil
	case r.state.Settled():
		return task{state: r.state}, nil
	}
	return t, nil
}

// overtaken looks again after an act was too late.
func (s *settlement) overtaken(ctx context.Context, cause error) (task, error) {
	r, err := s.read(ctx)
	switch {
	case err != nil:
		return task{}, err
	case r == nil:
		return task{state: None}, nil
	case r.state.Settled():
		return task{state: r.state}, nil
	}
	return task{}, cause
}
