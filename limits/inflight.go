package limits

import (
	"container/list"
	"context"
	"sync"
	"time"
)

// InFlightConfig is what NewInFlight needs.
type InFlightConfig struct {
	Max   int           // most that run at a time; at least 1
	Queue int           // most that wait; 0 means 10 × Max, less than 0 none
	Wait  time.Duration // longest wait; 0: nobody waits
	Shed  Shed          // the zero value keeps the limit at Max
}

// InFlight bounds how many run at a time. Those who come when it is full wait in line, first come, first served.
type InFlight struct {
	cfg InFlightConfig
	mu  sync.Mutex
	inFlight
}

type inFlight struct {
	running int
	limit   int
	waiting list.List // of *waiter
	pace    pace
	refused int64
	waits   int64
}

// waiter is one place in a line.
type waiter struct {
	granted chan struct{} // closed when the place has come to its turn
}

// NewInFlight makes a limit that nothing runs under yet.
func NewInFlight(cfg InFlightConfig) *InFlight {
	cfg.Max = max(cfg.Max, 1)
	if cfg.Queue == 0 {
		cfg.Queue = 10 * cfg.Max
	}
	return &InFlight{cfg: cfg, inFlight: inFlight{limit: cfg.Max, pace: newPace(cfg.Shed)}}
}

// Enter begins something, after waiting in line if as many run as may. The error is a BusyError, or that of ctx. Who was let in
// calls Leave.
func (l *InFlight) Enter(ctx context.Context) error {
	l.mu.Lock()
	if l.tryEnter() {
		l.mu.Unlock()
		return nil
	}
	if l.cfg.Wait <= 0 || l.waiting.Len() >= l.cfg.Queue {
		l.refused++
		err := &BusyError{Limit: l.limit, Waiting: l.waiting.Len()}
		l.mu.Unlock()
		return err
	}
	l.waits++
	w := &waiter{granted: make(chan struct{})}
	place := l.waiting.PushBack(w)
	l.mu.Unlock()
	return l.await(ctx, w, place)
}

// TryEnter is Enter that does not wait. It reports whether it let in.
func (l *InFlight) TryEnter() bool {
	l.mu.Lock()
	in := l.tryEnter()
	l.mu.Unlock()
	return in
}

func (l *inFlight) tryEnter() bool {
	if l.running >= l.limit || l.waiting.Len() > 0 {
		return false
	}
	l.running++
	return true
}

// EnterNow begins something that must not wait, because it holds what others may wait for. It counts like everything else.
func (l *InFlight) EnterNow() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running++
}

// await waits until the place has its turn. One that comes at the last moment is taken.
func (l *InFlight) await(ctx context.Context, w *waiter, place *list.Element) error {
	began := time.Now()
	timer := time.NewTimer(l.cfg.Wait)
	defer timer.Stop()
	var failure error
	select {
	case <-w.granted:
		return nil
	case <-timer.C:
	case <-ctx.Done():
		failure = context.Cause(ctx)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-w.granted:
		if failure != nil {
			l.running--
			l.admit()
		}
		return failure
	default:
	}
	l.waiting.Remove(place)
	l.refused++
	if failure == nil {
		failure = &BusyError{Limit: l.limit, Waiting: l.waiting.Len(), Waited: time.Since(began)}
	}
	return failure
}

// Leave ends what was let in. How long it took, and whether it failed because the server is overloaded, tells a limit that sheds
// how the server fares.
func (l *InFlight) Leave(took time.Duration, overloaded bool) {
	l.mu.Lock()
	l.running--
	if l.cfg.Shed.Over > 0 {
		l.limit = l.pace.adjust(l.limit, l.cfg.Max, sample{now: time.Now(), took: took, overloaded: overloaded})
	}
	if l.waiting.Len() > 0 {
		l.admit()
	}
	l.mu.Unlock()
}

// admit lets in those at the head of the line for whom there is room.
func (l *inFlight) admit() {
	for l.running < l.limit && l.waiting.Len() > 0 {
		w := l.waiting.Remove(l.waiting.Front()).(*waiter)
		l.running++
		close(w.granted)
	}
}

// InFlightStats are the present numbers and the counts since the beginning.
type InFlightStats struct {
	Running int
	Limit   int
	Waiting int
	Waits   int64 // had to wait
	Refused int64 // were turned away
}

// Stats returns the numbers.
func (l *InFlight) Stats() InFlightStats {
	l.mu.Lock()
	defer l.mu.Unlock()
	return InFlightStats{Running: l.running, Limit: l.limit, Waiting: l.waiting.Len(), Waits: l.waits, Refused: l.refused}
}
