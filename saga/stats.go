package saga

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// Stats are counts since New and, at the end, what the janitor of this process saw in its last round.
type Stats struct {
	Committed int64 // commits that succeeded, on one shard or several
	Aborted   int64 // commits that ended in AbortedError
	Partial   int64 // commits that ended in PartialError
	Unknown   int64 // commits that ended in UnknownError or UnsettledError
	Left      int64 // prepared transactions left to the janitor although decided, because their shard did not answer

	SettledCommit   int64 // prepared transactions of others that the janitor committed
	SettledRollback int64 // and that it rolled back

	SagasCommitted   int64 // sagas that this process saw end in COMMITTED
	SagasCompensated int64 // and in COMPENSATED
	Compensations    int64 // steps undone by this process
	Forwarded        int64 // retriable steps run forward by this process
	FenceWaits       int64 // fences that waited for a commit under way, or for a slow shard
	Recovered        int64 // sagas of others that this process has settled

	Sagas     map[State]int // unsettled sagas of the cluster by state, in the last round; all four states are there
	OldestAge time.Duration // age of the oldest of them

	Prepared    int           // prepared transactions of the cluster in the last round
	Oldest      time.Duration // age of the oldest of them; above a minute somebody should look
	Unreachable int           // shards that the last round could not look at
	Round       time.Time     // when it ended; zero: none has
}

// counter collects the Stats.
type counter struct {
	committed, aborted, partial, unknown, left atomic.Int64
	settledCommit, settledRollback             atomic.Int64

	sagasCommitted, sagasCompensated                atomic.Int64
	compensations, forwarded, fenceWaits, recovered atomic.Int64

	mu    sync.Mutex
	round Stats // only the fields of the last round
}

// ended counts the end of one Commit.
func (n *counter) ended(err error) {
	var (
		partial *PartialError
		unknown *UnknownError
	)
	switch {
	case err == nil:
		n.committed.Add(1)
	case errors.As(err, &partial):
		n.partial.Add(1)
	case errors.As(err, &unknown):
		n.unknown.Add(1)
	default:
		n.aborted.Add(1)
	}
}

// endedSaga counts the end of one CommitSaga.
func (n *counter) endedSaga(err error) {
	var aborted *AbortedError
	switch {
	case err == nil:
		n.committed.Add(1)
	case errors.As(err, &aborted):
		n.aborted.Add(1)
	default:
		n.unknown.Add(1)
	}
}

// finished stores what a round of the janitor saw.
func (n *counter) finished(round Stats) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.round = round
}

func (n *counter) read() Stats {
	n.mu.Lock()
	s := n.round
	n.mu.Unlock()
	s.Committed, s.Aborted, s.Partial, s.Unknown = n.committed.Load(), n.aborted.Load(), n.partial.Load(), n.unknown.Load()
	s.Left, s.SettledCommit, s.SettledRollback = n.left.Load(), n.settledCommit.Load(), n.settledRollback.Load()
	s.SagasCommitted, s.SagasCompensated = n.sagasCommitted.Load(), n.sagasCompensated.Load()
	s.Compensations, s.Forwarded, s.FenceWaits, s.Recovered = n.compensations.Load(), n.forwarded.Load(), n.fenceWaits.Load(), n.recovered.Load()
	return s
}
