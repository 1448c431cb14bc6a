package ingest

import (
	"context"
	"errors"
)

// Errors of SkipRecord.
var (
	// ErrNotStuck says that no lane waits for the record.
	ErrNotStuck = errors.New("no lane waits for the record")
	// ErrStuckStill says that the record is to become a dead letter, and its shard has not taken it as one in time.
	ErrStuckStill = errors.New("shard has not taken the record as a dead letter yet")
)

// SkipRecord makes a dead letter of the record that a lane waits for because its statement fails over and over in a way that may be over later, such
// as a trigger that raises an internal error. The lane then goes on. It returns when that is done, or with ErrStuckStill when ctx ends before.
func (q *Queue) SkipRecord(ctx context.Context, index uint64) error {
	l, r := q.skip(index)
	if r == nil {
		return ErrNotStuck
	}
	for {
		q.watched.Lock()
		stuck, placed, moved := l.stuck == r, q.lanes[l.shard] == l, q.moved
		q.watched.Unlock()
		switch {
		case !placed:
			return ErrNotStuck // the lanes begin anew: whether it is stuck will be seen
		case !stuck:
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return errors.Join(ErrStuckStill, context.Cause(ctx))
		}
	}
}

// skip marks the record, if a lane waits for it.
func (q *Queue) skip(index uint64) (*lane, *Record) {
	q.watched.Lock()
	defer q.watched.Unlock()
	for _, l := range q.lanes {
		if l.stuck != nil && l.stuck.index == index {
			l.skipped = l.stuck
			return l, l.stuck
		}
	}
	return nil, nil
}
