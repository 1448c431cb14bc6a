package backend

import "time"

// waiter is one Acquire that waits its turn. Its fields belong to the inventory while it is queued; whoever takes it out of the
// queue sets conn or err and then sends on ready.
type waiter struct {
	ready      chan struct{} // capacity 1
	timer      *time.Timer   // nil until it is needed the first time
	since      time.Duration
	queued     bool
	conn       *Conn
	err        error
	prev, next *waiter
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
func (q *queue) push(now time.Duration) *waiter {
	var w *waiter
	if n := len(q.spare); n > 0 {
		w, q.spare = q.spare[n-1], q.spare[:n-1]
	} else {
		w = &waiter{ready: make(chan struct{}, 1)}
	}
	w.since, w.queued, w.prev = now, true, q.tail
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
	w.conn, w.err = nil, nil
	if len(q.spare) < maxSpareWaiters {
		q.spare = append(q.spare, w)
	}
}
