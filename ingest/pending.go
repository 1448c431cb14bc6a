package ingest

import (
	"errors"
	"time"

	"github.com/pgring/pgring/ingest/internal/wal"
)

// ErrMustWait says that a record was not accepted, and that Append would wait with it.
var ErrMustWait = errors.New("queue has no room for the record at present")

// Pending is a record on its way into a log on this proxy's disk.
type Pending struct {
	queue  *Queue
	log    *fileLog
	ticket wal.Ticket
	key    string
}

// Submit begins what Append does for who must not wait. When there is an outcome told is called, by another goroutine; it must not block.
// Errors are those of Append that are known at once, or ErrMustWait; then told is not called.
func (q *Queue) Submit(r *Record, told func()) (*Pending, error) {
	rule := q.rule.Load()
	if rule == nil {
		return nil, &RefusedError{Err: errNotQueued}
	}
	log, err := q.usable()
	if err != nil {
		return nil, &RefusedError{Err: err}
	}
	file, ok := log.(*fileLog)
	if !ok || rule.MaxLag > 0 && q.lag() > rule.MaxLag {
		return nil, ErrMustWait
	}
	r.At = time.Now()
	t, err := file.submit(r, told)
	if err != nil {
		return nil, err
	}
	return &Pending{queue: q, log: file, ticket: t, key: r.ShardKey}, nil
}

// Done reports whether there is an outcome.
func (p *Pending) Done() bool {
	select {
	case <-p.ticket.Done():
		return true
	default:
		return false
	}
}

// Outcome is what Append returns, or ErrMustWait. There is one when Done says so.
func (p *Pending) Outcome() (Mark, error) {
	index, err := p.log.outcome(p.ticket)
	switch {
	case errors.Is(err, errLogFull):
		return Mark{}, ErrMustWait
	case err != nil:
		return Mark{}, err
	}
	p.queue.counts.accepted.Add(1)
	return Mark{Index: index, ShardKey: p.key}, nil
}
