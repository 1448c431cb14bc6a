package backend

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/pgring/pgring/pgwire/poll"
)

// waiter is one Acquire that waits its turn. Its fields belong to the inventory while it is queued; whoever takes it out of the
// queue sets conn or err and then calls tell.
type waiter struct {
	task       *poll.Task    // who waits, if it is a task
	ready      chan struct{} // capacity 1
	timer      *time.Timer   // nil until a goroutine needs it the first time
	alarm      *time.Timer   // nil until a task needs it the first time
	alarmed    atomic.Pointer[poll.Task]
	since      time.Duration
	queued     bool
	conn       *Conn
	err        error
	prev, next *waiter
}

// waited is how a wait has ended.
type waited uint8

const (
	waitServed   waited = iota + 1 // ready was received
	waitExpired                    // the timeout is over
	waitCanceled                   // the context has ended
)

// tell lets the owner of a waiter that was taken out of the queue go on.
func (w *waiter) tell() {
	t := w.task // the owner may use the waiter for something else as soon as it hears
	w.ready <- struct{}{}
	if t != nil {
		t.Wake()
	}
}

// wait waits for tell, for at most timeout (0: for ever).
func (w *waiter) wait(ctx context.Context, timeout time.Duration) waited {
	if w.task.Attached() {
		return w.park(ctx, timeout)
	}
	select {
	case <-w.ready:
		return waitServed
	case <-w.arm(timeout):
		return waitExpired
	case <-ctx.Done():
		return waitCanceled
	}
}

// park is wait for a task on a loop, which must not block.
func (w *waiter) park(ctx context.Context, timeout time.Duration) waited {
	stop := poll.WakeAtEnd(ctx)
	defer stop()
	until := time.Now().Add(timeout)
	if timeout > 0 {
		w.wakeAfter(timeout)
		defer w.alarm.Stop()
	}
	for {
		select {
		case <-w.ready:
			return waitServed
		default:
		}
		switch {
		case ctx.Err() != nil:
			return waitCanceled
		case timeout > 0 && !time.Now().Before(until):
			return waitExpired
		}
		w.task.Park()
	}
}

// wakeAfter sets the alarm. One that rings late wakes the waiter's next task for nothing, which does no harm.
func (w *waiter) wakeAfter(timeout time.Duration) {
	w.alarmed.Store(w.task)
	if w.alarm != nil {
		w.alarm.Reset(timeout)
		return
	}
	w.alarm = time.AfterFunc(timeout, func() { w.alarmed.Load().Wake() })
}

// arm starts the waiter's timer and returns its channel; nil, which never fires, for no timeout.
func (w *waiter) arm(timeout time.Duration) <-chan time.Time {
	if timeout <= 0 {
		return nil
	}
	if w.timer == nil {
		w.timer = time.NewTimer(timeout)
	} else {
		w.timer.Reset(timeout)
	}
	return w.timer.C
}

// disarm stops the timer; a time that it sent already is not seen by its next user.
func (w *waiter) disarm() {
	if w.timer != nil {
		w.timer.Stop()
	}
}

// queue holds the waiters in the order in which they came.
type queue struct {
	head, tail *waiter
	len        int
	spare      []*waiter // for reuse
}

const maxSpareWaiters = 256

// push adds a waiter at the end.
func (q *queue) push(now time.Duration, t *poll.Task) *waiter {
	var w *waiter
	if n := len(q.spare); n > 0 {
		w, q.spare = q.spare[n-1], q.spare[:n-1]
	} else {
		w = &waiter{ready: make(chan struct{}, 1)}
	}
	w.task, w.since, w.queued, w.prev = t, now, true, q.tail
	if q.tail == nil {
		q.head = w
	} else {
		q.tail.next = w
	}
	q.tail = w
	q.len++
	return w
}

// pop takes out the first waiter; nil when there is none.
func (q *queue) pop() *waiter {
	w := q.head
	if w != nil {
		q.remove(w)
	}
	return w
}

func (q *queue) remove(w *waiter) {
	if w.prev == nil {
		q.head = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		q.tail = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.prev, w.next, w.queued = nil, nil, false
	q.len--
}

// recycle keeps a waiter that nobody uses any more.
func (q *queue) recycle(w *waiter) {
	w.task, w.conn, w.err = nil, nil, nil
	if len(q.spare) < maxSpareWaiters {
		q.spare = append(q.spare, w)
	}
}
