package faultnet

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"time"
)

// settings are the faults of one direction. The zero value with passing -1 is a clean wire.
type settings struct {
	hold    bool
	passing int  // bytes still let through before hold or cut; -1: no such limit
	cut     bool // what happens after them
	once    bool // to the first connection that is cut, and no other
	delay   time.Duration
	rate    int // bytes per second and connection; 0: no limit
	piece   int // bytes per delivery; 0: no limit
	swallow bool
}

// rule applies the settings of one direction to its bytes.
type rule struct {
	mu        sync.Mutex
	set       settings
	changed   chan struct{} // closed and replaced with each change of settings
	delivered int64
	swallowed int64
	recorder  *[][]byte // gets a copy of each delivery; nil: nobody wants one
}

func newRule() *rule {
	return &rule{set: settings{passing: -1}, changed: make(chan struct{})}
}

// change takes effect before it returns: attempt decides and writes under the same lock.
func (r *rule) change(edit func(*settings)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	edit(&r.set)
	close(r.changed)
	r.changed = make(chan struct{})
}

func (r *rule) totals() (delivered, swallowed int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.delivered, r.swallowed
}

// record keeps what is delivered until stop is called, which returns it.
func (r *rule) record() (stop func() [][]byte) {
	var kept [][]byte
	r.mu.Lock()
	defer r.mu.Unlock()
	r.recorder = &kept
	return func() [][]byte {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.recorder = nil
		return kept
	}
}

// copy relays one direction of a link until it ends.
func (r *rule) copy(l *link, to, from *net.TCPConn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if !r.deliver(l, to, buffer[:n]) {
			return
		}
		if err != nil {
			r.pass(l, to, err)
			return
		}
	}
}

// pass hands on how the sender ended: a half-close stays one, anything else resets. A held direction holds its end back too.
func (r *rule) pass(l *link, to *net.TCPConn, err error) {
	if !errors.Is(err, io.EOF) {
		l.abort()
		return
	}
	for {
		r.mu.Lock()
		hold, changed := r.set.hold || r.set.swallow || r.set.passing == 0 && !r.set.cut, r.changed
		r.mu.Unlock()
		if !hold {
			break
		}
		select {
		case <-changed:
		case <-l.ended:
			return
		}
	}
	if to.CloseWrite() != nil {
		l.abort()
	}
}

// outcome is what became of one attempt to deliver.
type outcome struct {
	taken   int  // bytes delivered or swallowed
	cut     bool // the rule asks for a reset
	err     error
	changed <-chan struct{} // with nothing taken: what to wait for
}

// deliver sends data under the rule and reports whether the link goes on.
func (r *rule) deliver(l *link, to *net.TCPConn, data []byte) bool {
	for len(data) > 0 {
		if pause := r.pause(len(data)); pause > 0 && !waitTime(l, pause) {
			return false
		}
		out := r.send(to, data)
		switch {
		case out.cut, out.err != nil:
			l.abort()
			return false
		case out.taken == 0 && !waitChange(l, out.changed):
			return false
		}
		data = data[out.taken:]
	}
	return true
}

// pause is how long the next delivery waits.
func (r *rule) pause(waiting int) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	pause := r.set.delay
	if r.set.rate > 0 {
		pause += time.Duration(r.set.size(waiting)) * time.Second / time.Duration(r.set.rate)
	}
	return pause
}

// size is how many of the waiting bytes the settings deliver at once.
func (s *settings) size(waiting int) int {
	if s.piece > 0 {
		waiting = min(waiting, s.piece)
	}
	if s.rate > 0 {
		waiting = min(waiting, max(1, s.rate/100)) // about 100 deliveries in a second
	}
	if s.passing >= 0 {
		waiting = min(waiting, s.passing)
	}
	return waiting
}

// send makes one delivery. The decision and the write, which does not block, are one step under the lock, so that no
// write decided earlier overtakes a change; where the socket's buffer is full, both are made again when it has room.
func (r *rule) send(to *net.TCPConn, data []byte) outcome {
	raw, err := to.SyscallConn()
	if err != nil {
		return outcome{err: err}
	}
	var out outcome
	if err := raw.Write(func(fd uintptr) bool {
		out = r.attempt(int(fd), data)
		return !errors.Is(out.err, syscall.EAGAIN)
	}); err != nil {
		return outcome{err: err}
	}
	return out
}

func (r *rule) attempt(fd int, data []byte) outcome {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := outcome{changed: r.changed}
	n := r.set.size(len(data))
	switch {
	case r.set.hold:
		return out
	case n == 0:
		if out.cut = r.set.cut; r.set.once {
			r.set.passing, r.set.cut, r.set.once = -1, false, false
		}
		return out
	case r.set.swallow:
		r.swallowed += int64(n)
		out.taken = n
	default:
		out.taken, out.err = syscall.Write(fd, data[:n])
		out.taken = max(0, out.taken)
		r.delivered += int64(out.taken)
		if r.recorder != nil && out.taken > 0 {
			*r.recorder = append(*r.recorder, bytes.Clone(data[:out.taken]))
		}
	}
	if r.set.passing > 0 {
		r.set.passing -= out.taken
	}
	return out
}

// waitChange waits for other settings and reports whether the link lives.
func waitChange(l *link, changed <-chan struct{}) bool {
	select {
	case <-changed:
		return true
	case <-l.ended:
		return false
	}
}

// waitTime waits for a pause and reports whether the link lives.
func waitTime(l *link, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-l.ended:
		return false
	}
}
