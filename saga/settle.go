package saga

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/ring"
)

// settlement is one try to bring a saga to its end. Any number of them, in any number of proxies, may be under way for one saga:
// all of them read the same barrier rows, which never change once they are there, and each act is done once because its row is
// written in the same transaction.
type settlement struct {
	c     *Coordinator
	id    string
	home  ring.ShardID
	mode  mode
	rec   *record
	conns map[ring.ShardID]*pgx.Conn // the operator's
}

func (c *Coordinator) settlement(id string) (*settlement, error) {
	home, err := homeOf(id)
	if err != nil {
		return nil, err
	}
	return &settlement{c: c, id: id, home: home, conns: map[ring.ShardID]*pgx.Conn{}}, nil
}

func (s *settlement) close(ctx context.Context) {
	for _, conn := range s.conns {
		hangUp(ctx, conn)
	}
}

// operator returns the settlement's connection to a shard that has the tables.
func (s *settlement) operator(ctx context.Context, shard ring.ShardID) (*pgx.Conn, error) {
	if conn := s.conns[shard]; conn != nil && !conn.IsClosed() {
		return conn, nil
	}
	conn, err := s.c.operator(ctx, shard)
	if err != nil {
		return nil, err
	}
	s.conns[shard] = conn
	return conn, s.c.install(ctx, conn, shard)
}

// settle brings a saga to its end, or as far as possible now. The error says what keeps it; why is the reason of a compensation.
func (c *Coordinator) settle(ctx context.Context, id, why string) (State, error) {
	s, err := c.settlement(id)
	if err != nil {
		return Running, err
	}
	defer s.close(ctx)
	return s.settle(ctx, why)
}

func (s *settlement) settle(ctx context.Context, why string) (State, error) {
	r, err := s.read(ctx)
	switch {
	case err != nil:
		return Running, err
	case r == nil:
		return None, nil
	case r.state.Settled():
		return r.state, nil
	}
	s.rec, s.mode = r.rec, r.mode
	var t task
	switch s.mode {
	case modeSaga:
		t, err = s.judge(ctx)
	case modeCall:
		t, err = s.advance(ctx)
	default:
		return r.state, fmt.Errorf("saga %s has mode %q: it is of a later version of pgring", s.id, s.mode)
	}
	if err != nil {
		return s.hindered(ctx, r.state, err)
	}
	if t.reason != "" {
		why = t.reason
	}
	return s.carryOut(ctx, t, why)
}

// task is what follows from the barrier rows.
type task struct {
	state   State // Committed: nothing to do; Forwarding, Compensating: the steps, in this order; others: somebody was faster
	forward []int
	undo    []int
	reason  string
}

// judge fences every step, after which each is DONE (its own row) or VOID (the fence) for ever, and says what follows.
//
// Home's row is read again behind the fences: rows of a settled saga are deleted only after its home says that it is settled, so
// whoever has planted a fence where a row had been deleted learns here that it means nothing.
func (s *settlement) judge(ctx context.Context) (task, error) {
	rows := make([]rowKind, len(s.rec.Steps))
	for i, step := range s.rec.Steps {
		conn, err := s.operator(ctx, step.Shard)
		if err != nil {
			return task{}, err
		}
		if rows[i], _, err = s.c.fence(ctx, conn, step.Shard, s.id, i); err != nil {
			return task{}, err
		}
	}
	r, err := s.read(ctx)
	switch {
	case err != nil:
		return task{}, err
	case r == nil:
		return task{state: None}, nil
	case r.state.Settled():
		return task{state: r.state}, nil
	}
	return s.follow(rows)
}

// follow is the rule.
func (s *settlement) follow(rows []rowKind) (task, error) {
	t := task{state: Committed}
	lost := -1 // a step that is VOID and cannot be run again
	for i, step := range s.rec.Steps {
		if rows[i] != rowFence {
			t.undo = append([]int{i}, t.undo...)
			continue
		}
		if step.Kind == retriable {
			t.forward = append(t.forward, i)
		} else {
			lost = i
		}
	}
	switch {
	case lost >= 0:
		t.state, t.forward = Compensating, nil
	case len(t.forward) > 0:
		t.state, t.undo = Forwarding, nil
	default:
		t.undo = nil
	}
	for _, i := range t.undo {
		if s.rec.Steps[i].Kind != compensable {
			// Such steps commit last, so the shard of the lost one has forgotten its commit.
			return task{}, &contradictionError{done: i, lost: lost}
		}
	}
	return t, nil
}

// carryOut does what follows.
func (s *settlement) carryOut(ctx context.Context, t task, why string) (State, error) {
	if t.state.Settled() && t.state != Committed {
		return t.state, nil
	}
	if t.state != Committed {
		if err := s.moveTo(ctx, t.state); err != nil {
			return t.state, err
		}
	}
	for _, i := range t.undo {
		if err := s.act(ctx, i, opUndo, s.rec.undo(i)); err != nil {
			return s.hindered(ctx, t.state, err)
		}
	}
	for _, i := range t.forward {
		if err := s.act(ctx, i, opForward, s.rec.forward(i)); err != nil {
			return s.hindered(ctx, t.state, err)
		}
	}
	state, count := Committed, &s.c.counter.sagasCommitted
	if t.state == Compensating {
		state, count = Compensated, &s.c.counter.sagasCompensated
	} else {
		why = ""
	}
	end, err := s.finish(ctx, state, why)
	if err == nil && end == state {
		count.Add(1)
	}
	return end, err
}

// contradictionError is a saga whose rows can only be explained by a shard that lost what it had committed.
type contradictionError struct{ done, lost int }

func (e *contradictionError) Error() string {
	return fmt.Sprintf("step %d, which is never undone, is done, but step %d before it is not: a shard has lost a commit", e.done, e.lost)
}

// actTimeout bounds what is done on one shard at a time.
const actTimeout = 10 * time.Minute
