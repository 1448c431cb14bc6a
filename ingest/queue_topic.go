package ingest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/pgring/pgring/topology"
)

// UnavailableError says that brokers could not be reached in time. The record was not accepted.
type UnavailableError struct{ Err error }

func (e *UnavailableError) Error() string { return "brokers cannot be reached: " + e.Err.Error() }

// Unwrap returns the reason.
func (e *UnavailableError) Unwrap() error { return e.Err }

// LostError says that a topic was deleted and made anew, so that nobody knows what became of a record in it.
type LostError struct{ Table topology.Name }

func (e *LostError) Error() string {
	return fmt.Sprintf("topic of asynchronous writes to table %s was deleted", e.Table)
}

// runTopic opens the queue's topic again and again, and applies what is in it, until ctx ends.
func (q *Queue) runTopic(ctx context.Context) {
	pause := noAnswer
	for ctx.Err() == nil {
		log, err := openTopic(ctx, q)
		if err == nil {
			pause = noAnswer
			q.use(log)
			err = q.follows(ctx, log)
			q.use(nil)
			err = errors.Join(err, log.Close())
		}
		if ctx.Err() != nil {
			return
		}
		q.apart(err)
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
		pause = min(2*pause, laneLongest)
	}
}

// follows runs generations until the log ends, and returns why it has.
func (q *Queue) follows(ctx context.Context, log *topicLog) error {
	running, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var group sync.WaitGroup
	// owner: follows, which waits; ends with running, or when the log does.
	group.Go(func() { stop(log.watch(running)) })
	for running.Err() == nil {
		err := q.generation(running, log)
		var wrong *TopicError
		if errors.As(err, &wrong) {
			stop(err)
		}
		q.hindered(running, err)
	}
	group.Wait()
	return context.Cause(running)
}

// hindered notes why records are not applied, or that they are, and waits before the next try. Others are accepted meanwhile.
func (q *Queue) hindered(ctx context.Context, why error) {
	if ctx.Err() != nil {
		return
	}
	q.watched.Lock()
	told := why == nil || q.away != nil
	q.away = why
	q.watched.Unlock()
	if why == nil {
		return
	}
	if !told {
		q.cfg.Log.Warn("asynchronous writes wait", "table", q.table.String(), "error", why)
	}
	timer := time.NewTimer(noAnswer)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// use has a topic take what is appended; nil: none. Each time one is opened, what was known of places in it is forgotten: the topic may have
// been made anew, or have lost its end, and other records be there since. Those that are read again are known by their numbers.
func (q *Queue) use(log *topicLog) {
	q.watched.Lock()
	defer q.watched.Unlock()
	q.log = nil
	if log != nil {
		if log.unfit != nil && q.shut == nil {
			defer q.tellUnfit(log.unfit)
		}
		q.log, q.problem, q.away, q.shut = log, nil, nil, log.unfit
		q.lanes, q.low = nil, 0
		id := string(log.id[:])
		if q.known != "" && q.known != id {
			q.epoch++
		}
		q.known = id
	}
	q.signal()
}

// refuse notes why no more is accepted, though what is there is applied. The log has it once.
func (q *Queue) refuse(why error) {
	q.watched.Lock()
	told := q.shut != nil
	q.shut = why
	q.watched.Unlock()
	if !told {
		q.tellUnfit(why)
	}
}

func (q *Queue) tellUnfit(why error) {
	q.cfg.Log.Error("topic takes no more asynchronous writes; those in it are applied", "table", q.table.String(), "error", why)
}

// apart notes why there is no topic at present.
func (q *Queue) apart(why error) {
	q.watched.Lock()
	told := q.away != nil && q.away.Error() == why.Error()
	q.away = why
	q.problem = nil
	var wrong *TopicError
	serious := errors.As(why, &wrong)
	if serious {
		q.problem = why
	}
	q.signal()
	q.watched.Unlock()
	switch {
	case told:
	case serious:
		q.cfg.Log.Error("topic of asynchronous writes cannot be used", "table", q.table.String(), "error", why)
	default:
		q.cfg.Log.Warn("topic of asynchronous writes is away", "table", q.table.String(), "error", why)
	}
}

// present waits until there is a log.
func (q *Queue) present(ctx context.Context, began time.Time) (recordLog, error) {
	for {
		q.watched.Lock()
		log, problem, away, moved := q.log, cmp.Or(q.problem, q.shut), q.away, q.moved
		q.watched.Unlock()
		if log == nil && isFull(problem) {
			return nil, ErrDiskFull
		}
		if problem != nil {
			return nil, &RefusedError{Err: problem}
		}
		if log != nil {
			return log, nil
		}
		left := time.NewTimer(q.cfg.Wait() - time.Since(began))
		select {
		case <-moved:
		case <-ctx.Done():
			left.Stop()
			return nil, context.Cause(ctx)
		case <-left.C:
			if away == nil {
				away = errors.New("they were not reached yet")
			}
			return nil, &UnavailableError{Err: away}
		}
		left.Stop()
	}
}
