package topology

import (
	"context"
	"errors"
	"fmt"

	"github.com/pgring/pgring/ring"
)

// ErrMoveLost means that a move is no longer in the state that its change was decided for, or that another controller drives it.
var ErrMoveLost = errors.New("the move was changed by somebody else")

// PlanMoves records moves, to be carried out by whoever is the controller. They are refused as a whole when one of them does not
// fit the map any longer, or touches slots of a move that is not finished. One that only guards its source is no hindrance.
func (t *Topology) PlanMoves(ctx context.Context, moves []Move) (*Snapshot, error) {
	return t.change(ctx, func(_ context.Context, present *facts, _ *surveyor) (*facts, error) {
		next := present.clone()
		for _, m := range moves {
			if err := next.checkMove(m); err != nil {
				return nil, err
			}
			m.ID, m.State, m.Term, m.Switched, m.Problem = next.nextMove, MovePlanned, 0, 0, ""
			next.nextMove++
			next.moves = append(next.moves, m)
		}
		return next, nil
	})
}

// checkMove refuses a move that does not fit.
func (f *facts) checkMove(m Move) error {
	object := fmt.Sprintf("move of %s of group %s from %s to %s", m.what(), m.Group, m.From, m.To)
	g, found := f.group(m.Group)
	if !found || g.slots == nil {
		return &RefusedError{Object: object, Reason: "is not possible: there is no such group, or it is not placed by slots"}
	}
	to, known := f.shard(m.To)
	if !known || to.State != Active {
		return &RefusedError{Object: object, Reason: "is not possible: the target is not an active shard", Hint: "SHOW SHARDS says why"}
	}
	if m.Slots.Empty() || m.From == m.To {
		return &RefusedError{Object: object, Reason: "moves nothing"}
	}
	if astray := m.Slots.Without(g.slots.Part(m.From)); astray.Len() > 0 {
		slot := astray.Slots()[0]
		return &RefusedError{Object: object, Reason: fmt.Sprintf("does not fit the map: slot %d belongs to %s", slot, g.slots.Owner(slot)), Hint: "plan again"}
	} else if keys, _ := astray.Keys(); len(keys) > 0 {
		return &RefusedError{Object: object, Reason: fmt.Sprintf("does not fit the map: key %s belongs to %s", keys[0], g.slots.Locate(keys[0]).Shard), Hint: "plan again"}
	}
	for _, o := range f.moves {
		if !o.State.Finished() && o.State != MoveGuarding && o.Group == m.Group && o.Slots.Overlaps(m.Slots) {
			return &RefusedError{Object: object, Reason: fmt.Sprintf("touches slots of move %d, which is %s", o.ID, o.State),
				Hint: hintOn(o)}
		}
	}
	return nil
}

// Unpin lets a key belong to the owner of its slot when its shard is that owner: nothing has to be moved then. It changes nothing
// otherwise.
func (t *Topology) Unpin(ctx context.Context, group string, key ring.Key) (*Snapshot, error) {
	return t.change(ctx, func(_ context.Context, present *facts, _ *surveyor) (*facts, error) {
		g, found := present.group(group)
		if !found || g.slots == nil || g.slots.Locate(key).Shard != g.slots.Owner(key.Slot()) {
			return present, nil
		}
		next := present.clone()
		g.slots = g.slots.WithSet((&ring.SlotSet{}).With(key), g.slots.Owner(key.Slot()))
		next.setGroup(g)
		return next, nil
	})
}

// hintOn says what to do about a move that is in the way.
func hintOn(m Move) string {
	if m.State == MoveReversible {
		return "it can still be reverted; REBALANCE FINISH ends that"
	}
	return "SHOW REBALANCE says what that waits for"
}

// AdoptMove makes a controller the one that drives a move: with a higher term than any before it.
func (t *Topology) AdoptMove(ctx context.Context, id, term int64) (*Snapshot, error) {
	return t.changeMove(ctx, id, func(_ *facts, m *Move) error {
		if m.Term > term {
			return ErrMoveLost
		}
		m.Term = term
		return nil
	})
}

// AdvanceMove takes a move from one state to the next, if it is there and driven in that term. Until comes with MoveReversible. It may be repeated after
// [ErrOutcomeUnknown]: a move that is in the next state already stays as it is. Advancing to MoveSwitched is the one commit point
// of a move: in the same step the map says that the target owns the slots, and the snapshot hides them on the source.
func (t *Topology) AdvanceMove(ctx context.Context, m Move, next MoveState) (*Snapshot, error) {
	return t.changeMove(ctx, m.ID, func(f *facts, present *Move) error {
		switch {
		case present.Term != m.Term:
			return ErrMoveLost
		case present.State == next:
			return nil
		case present.State != m.State:
			return ErrMoveLost
		}
		present.State, present.Problem = next, ""
		if next == MoveReversible {
			present.Until = m.Until
		}
		if next == MoveSwitched {
			present.Switched = f.epoch + 1 // the epoch that compareAndSwap gives this change
			f.handOver(present)
		}
		return nil
	})
}

// handOver lets the map say that the target owns the move's slots.
func (f *facts) handOver(m *Move) {
	g, _ := f.group(m.Group)
	g.slots = g.slots.WithSet(m.Slots, m.To)
	f.setGroup(g)
}

// StopMove records why a move cannot go on by itself; ResumeMoves lets it try again.
func (t *Topology) StopMove(ctx context.Context, m Move, problem string) (*Snapshot, error) {
	return t.changeMove(ctx, m.ID, func(_ *facts, present *Move) error {
		if present.Term != m.Term || present.State != m.State {
			return ErrMoveLost
		}
		present.Problem = problem
		return nil
	})
}

func (t *Topology) changeMove(ctx context.Context, id int64, edit func(*facts, *Move) error) (*Snapshot, error) {
	return t.changeKnown(ctx, func(_ context.Context, present *facts, _ *surveyor) (*facts, error) {
		m, found := present.move(id)
		if !found {
			return nil, ErrMoveLost
		}
		next := present.clone()
		if err := edit(next, &m); err != nil {
			return nil, err
		}
		next.setMove(m)
		return next, nil
	})
}

// PauseMoves stops all moves where they are, or lets them go on, those that stopped by themselves included. It returns how many there
// are, without those that nothing stops: a reversible move keeps up with its shard.
func (t *Topology) PauseMoves(ctx context.Context, paused bool) (moves int, err error) {
	_, err = t.change(ctx, func(_ context.Context, present *facts, _ *surveyor) (*facts, error) {
		next := present.clone()
		moves = 0
		for _, m := range next.moves {
			if m.State.Finished() || m.State == MoveReversible && m.Problem == "" {
				continue
			}
			m.Paused = paused
			if !paused {
				m.Problem = ""
			}
			next.setMove(m)
			moves++
		}
		return next, nil
	})
	return moves, err
}

// CancelMoves has every move undone that has not been switched; those that have go on. One that is being reverted is as reversible
// afterwards as it was. It returns how many there were.
func (t *Topology) CancelMoves(ctx context.Context) (cancelled int, err error) {
	return t.redirect(ctx, 0, func(m *Move) bool {
		switch {
		case !m.State.CanCancel():
			return false
		case m.Reverted:
			m.turn(MoveReversible)
		case m.State == MovePlanned: // nothing has been done
			m.State = MoveCancelled
		default:
			m.State = MoveCancelling
		}
		return true
	})
}

// RevertMoves sends the slots of a reversible move, or of every one if id is 0, back to where they came from. It returns how many moves
// there were; one that is named and cannot be reverted is a [RefusedError].
func (t *Topology) RevertMoves(ctx context.Context, id int64) (reverted int, err error) {
	return t.redirect(ctx, id, func(m *Move) bool {
		if m.State != MoveReversible {
			return false
		}
		m.turn(MoveCatchingUp)
		return true
	})
}

// turn lets source and target of a move change places: in both directions the one that serves is its source.
func (m *Move) turn(next MoveState) {
	m.From, m.To, m.Reverted, m.State = m.To, m.From, !m.Reverted, next
}

// FinishMoves ends the time in which a move, or every one if id is 0, can be reverted. It returns how many there were, as RevertMoves does.
func (t *Topology) FinishMoves(ctx context.Context, id int64) (finished int, err error) {
	return t.redirect(ctx, id, func(m *Move) bool {
		if m.State != MoveReversible {
			return false
		}
		m.State = MoveCleaning
		return true
	})
}

func (f *facts) notReversible(id int64) error {
	refused := &RefusedError{Object: fmt.Sprintf("move %d", id), Reason: "cannot be reverted: it is over, or never was", Hint: "SHOW REBALANCE lists the moves"}
	if m, found := f.move(id); found {
		refused.Reason = "cannot be reverted or finished now: it is " + m.State.String()
	}
	return refused
}

// redirect changes, as an operator asks for, what becomes of moves: of all, or of one. It returns of how many.
func (t *Topology) redirect(ctx context.Context, id int64, edit func(*Move) bool) (changed int, err error) {
	_, err = t.change(ctx, func(_ context.Context, present *facts, _ *surveyor) (*facts, error) {
		next := present.clone()
		changed = 0
		for _, m := range next.moves {
			if (id == 0 || id == m.ID) && edit(&m) {
				m.Problem, m.Paused = "", false
				next.setMove(m)
				changed++
			}
		}
		if id != 0 && changed == 0 {
			return nil, present.notReversible(id)
		}
		return next, nil
	})
	return changed, err
}
