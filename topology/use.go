package topology

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
)

// Use is what one session has in use of the map, so that a move can wait for statements that were planned before it. It belongs
// to the session's goroutine; others only look at it. The hot path is one atomic store and two loads for each unit.
type Use struct {
	topology *Topology

	// held is 0 when nothing is in use, else the epoch of the oldest snapshot in use, twice, plus one if a statement or open
	// transaction that uses it may write to slots that move.
	held atomic.Int64

	// closed are the moves, by id, whose slots were closed already when Write noted something: their cut-overs do not wait for it. The
	// session's goroutine alone looks at it.
	closed []int64
}

// uses are all live ones.
type uses struct {
	sync.Mutex
	all map[*Use]struct{}
}

// NewUse registers a session. Close must be called when it ends.
func (t *Topology) NewUse() *Use {
	u := &Use{topology: t}
	t.uses.Lock()
	defer t.uses.Unlock()
	t.uses.all[u] = struct{}{}
	return u
}

// Close says that the session is gone, and its statements with it.
func (u *Use) Close() {
	u.topology.uses.Lock()
	defer u.topology.uses.Unlock()
	delete(u.topology.uses.all, u)
}

// Begin returns the present snapshot and holds it until End. A snapshot that is held already, by an open transaction, stays the
// oldest one in use.
//
// Invariant: when Begin returns a snapshot, every look at the uses that comes after a newer one was published sees it held. It is
// held first, and only then known to have been the present one.
func (u *Use) Begin() *Snapshot {
	for {
		snap := u.topology.Current()
		if snap == nil || u.held.Load() != 0 {
			return snap
		}
		u.held.Store(snap.Epoch << 1)
		if u.topology.Current() == snap {
			return snap
		}
		u.held.Store(0)
	}
}

// End lets go of what a unit used. An open transaction keeps the oldest epoch, because it may go on with the database snapshots
// that it took then; and whether it may have written.
func (u *Use) End(openTransaction bool) {
	if !openTransaction {
		u.held.Store(0)
	}
}

// Since is the epoch of the oldest snapshot in use; 0 when there is none.
func (u *Use) Since() int64 { return u.held.Load() >> 1 }

// Write notes that what is held may write to slots that move, as planned with snap. False means that a newer snapshot has come:
// nothing is noted, and the statement must be planned anew. Who may have written already is always let through.
func (u *Use) Write(snap *Snapshot) bool {
	held := u.held.Load()
	if held&1 != 0 {
		return true
	}
	u.held.Store(held | 1)
	if u.topology.Current() != snap {
		u.held.Store(held)
		return false
	}
	u.closed = u.closed[:0]
	for _, m := range snap.Moves {
		if m.State.Closed() {
			u.closed = append(u.closed, m.ID)
		}
	}
	return true
}

// Awaited reports whether the cut-over that has closed a move's slots waits for what Write has noted: they were open then.
func (u *Use) Awaited(m *Move) bool { return u.Writing() && !slices.Contains(u.closed, m.ID) }

// Writing reports whether Write has been noted and is not over.
func (u *Use) Writing() bool { return u.held.Load()&1 != 0 }

// Wrote takes back what Write noted, after a unit that left no server with a write that can still be committed.
func (u *Use) Wrote() { u.held.Store(u.held.Load() &^ 1) }

// oldest gives the oldest epoch in use, and the oldest one of those that may write to slots that move. Epoch, the one that was
// present before the call, is the answer when there is none.
func (s *uses) oldest(epoch int64) (any, writing int64) {
	s.Lock()
	defer s.Unlock()
	any, writing = epoch, epoch
	for u := range s.all {
		held := u.held.Load()
		if held == 0 {
			continue
		}
		any = min(any, held>>1)
		if held&1 != 0 {
			writing = min(writing, held>>1)
		}
	}
	return any, writing
}

// Superseded gives a channel that is closed when another snapshot than this one is the present one.
func (t *Topology) Superseded(snap *Snapshot) <-chan struct{} {
	if s := t.state.Load(); s != nil && s.snap == snap {
		return s.superseded
	}
	closed := make(chan struct{})
	close(closed)
	return closed
}

// AwaitNewer waits until another snapshot than this one is the present one.
func (t *Topology) AwaitNewer(ctx context.Context, than *Snapshot) error {
	select {
	case <-t.Superseded(than):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
