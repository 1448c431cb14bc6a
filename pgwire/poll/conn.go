package poll

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// ErrTired is returned by [Conn.ReadWith].
var ErrTired = errors.New("nothing has happened for a while")

// Conn is a connection on an engine: a [net.Conn] with one reader and one writer at a time. Whoever waits for it is suspended as a
// task, if the connection attends to one that is attached, else as a goroutine.
type Conn struct {
	fd            int
	loop          *loop
	number        int32
	local, remote net.Addr

	mu     sync.Mutex
	task   *Task
	in     side
	out    side
	ops    int // system calls under way
	doze   doze
	closed bool
}

// doze says for how long a reader has waited that would rather rest.
type doze uint8

const (
	alert  doze = iota // nobody waits who would
	idle               // since less than a tick
	drowsy             // for up to two
	tired              // it is to be told
)

// side is one direction of a connection.
type side struct {
	ready    bool // something has happened since the last attempt
	dry      bool // the last attempt has left nothing to be read, or no room: only an event makes the next one worth it
	over     bool // the peer has ended it: no event will come any more
	expired  bool
	timer    *time.Timer
	schedule int // grows with each deadline, so that an old timer is without effect
	waiting  bool
	task     *Task         // who waits; nil: a goroutine
	signal   chan struct{} // nil until a goroutine waits the first time
}

// Attend has t suspended, when it is attached, in place of the goroutine that reads or writes. From now on, and as long as t is
// attached, nobody else may read or write. Nil means nobody.
func (c *Conn) Attend(t *Task) {
	c.mu.Lock()
	c.task = t
	c.mu.Unlock()
}

// Read reads what is there, and waits while there is nothing.
func (c *Conn) Read(p []byte) (int, error) {
	for len(p) > 0 {
		if err := c.begin(&c.in, false); err != nil {
			return 0, err
		}
		if n, err := c.read(p); n > 0 || err != nil {
			return n, err
		}
	}
	return 0, nil
}

// Lender has the buffer of who reads, once there may be something to be read.
type Lender interface {
	Lend() []byte // not empty
	TakeBack()    // there was nothing after all
}

// ReadWith is Read for who holds no buffer while it waits. One that tires, a task that could as well rest (see [Task.Rest]), gives up with
// ErrTired when nothing happens for a quarter of a second or two.
func (c *Conn) ReadWith(b Lender, tires bool) (int, error) {
	for {
		if err := c.begin(&c.in, tires); err != nil {
			return 0, err
		}
		if n, err := c.read(b.Lend()); n > 0 || err != nil {
			return n, err
		}
		b.TakeBack()
	}
}

// read ends an attempt that was begun by reading what is there.
func (c *Conn) read(p []byte) (int, error) {
	n, err := readNow(c.fd, p)
	// On a stream less than was asked for means that nothing is left (epoll(7)): what comes later is an event of its own.
	c.finish(&c.in, err == syscall.EAGAIN || (err == nil && n < len(p)))
	switch {
	case n > 0:
		return n, nil
	case err == syscall.EINTR, err == syscall.EAGAIN:
		return 0, nil
	case err != nil:
		return 0, os.NewSyscallError("read", err)
	}
	return 0, io.EOF
}

// Write writes all of p, unless there is an error.
func (c *Conn) Write(p []byte) (int, error) {
	written := 0
	for written < len(p) {
		if err := c.begin(&c.out, false); err != nil {
			return written, err
		}
		n, err := writeNow(c.fd, p[written:])
		c.finish(&c.out, err == syscall.EAGAIN)
		written += max(n, 0)
		if err != nil && err != syscall.EINTR && err != syscall.EAGAIN {
			return written, os.NewSyscallError("write", err)
		}
	}
	return written, nil
}

// tick makes who waits idly more tired.
func (c *Conn) tick() {
	var reader *Task
	c.mu.Lock()
	if c.doze != alert && c.doze != tired && c.in.waiting {
		if c.doze++; c.doze == tired {
			reader = c.in.wake()
		}
	}
	c.mu.Unlock()
	resumeLater(reader)
}

// rest has t scheduled when there may be something to be read: at once, if there is already.
func (c *Conn) rest(t *Task) {
	c.mu.Lock()
	waits := !c.closed && !c.in.expired && c.in.dry && !c.in.ready && !c.in.over
	if waits {
		c.in.waiting, c.in.task = true, t
	}
	c.mu.Unlock()
	if !waits {
		t.loop.schedule(t)
	}
}

// begin waits until an attempt on s is worth it, and begins it; finish must end it. A reader may tire.
func (c *Conn) begin(s *side, tires bool) error {
	c.mu.Lock()
	for s.dry && !s.ready && !s.over && !s.expired && !c.closed {
		if tires {
			if c.doze == tired {
				c.doze = alert
				c.mu.Unlock()
				return ErrTired
			}
			c.doze = max(c.doze, idle)
		}
		c.await(s)
	}
	if tires {
		c.doze = alert
	}
	var err error
	switch {
	case c.closed:
		err = net.ErrClosed
	case s.expired:
		err = os.ErrDeadlineExceeded
	default:
		s.ready, s.dry = false, false
		c.ops++
	}
	c.mu.Unlock()
	return err
}

// await suspends the caller, who holds the lock, until wake. The lock is released meanwhile.
func (c *Conn) await(s *side) {
	s.waiting = true
	if c.task.Attached() {
		t := c.task
		s.task = t
		c.mu.Unlock()
		t.yield(toWait)
		c.mu.Lock()
		return
	}
	if s.signal == nil {
		s.signal = make(chan struct{}, 1)
	}
	signal := s.signal
	c.mu.Unlock()
	<-signal
	c.mu.Lock()
}

func (c *Conn) finish(s *side, dry bool) {
	c.mu.Lock()
	s.dry = s.dry || dry
	c.ops--
	last := c.closed && c.ops == 0
	c.mu.Unlock()
	if last {
		_ = syscall.Close(c.fd) // an error changes nothing: the descriptor is gone
	}
}

// wake lets whoever waits for s go on. It returns the task to be scheduled when the lock is released.
func (s *side) wake() *Task {
	if !s.waiting {
		return nil
	}
	s.waiting = false
	t := s.task
	s.task = nil
	if t == nil {
		s.signal <- struct{}{}
	}
	return t
}

func resumeLater(tasks ...*Task) {
	for _, t := range tasks {
		if t != nil {
			t.loop.schedule(t)
		}
	}
}

// happened takes note of events. It returns the tasks to be scheduled.
func (c *Conn) happened(mask uint32) (reader, writer *Task) {
	c.mu.Lock()
	if mask&(syscall.EPOLLIN|readEnd) != 0 {
		c.in.ready = true
		c.in.over = c.in.over || mask&readEnd != 0
		reader = c.in.wake()
	}
	if mask&(syscall.EPOLLOUT|writeEnd) != 0 {
		c.out.ready = true
		c.out.over = c.out.over || mask&writeEnd != 0
		writer = c.out.wake()
	}
	c.mu.Unlock()
	return reader, writer
}

// Close closes the connection; who waits for it gets net.ErrClosed.
func (c *Conn) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return net.ErrClosed
	}
	c.closed = true
	c.ops++ // the descriptor must not be another's before it is forgotten
	c.in.disarm()
	c.out.disarm()
	reader, writer := c.in.wake(), c.out.wake()
	c.mu.Unlock()
	resumeLater(reader, writer)
	c.loop.forget(c)
	c.finish(&c.in, false)
	return nil
}

// LocalAddr returns the address on this machine.
func (c *Conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr returns the peer's address.
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline sets both deadlines.
func (c *Conn) SetDeadline(t time.Time) error {
	if err := c.set(&c.in, t); err != nil {
		return err
	}
	return c.set(&c.out, t)
}

// SetReadDeadline has reads, those that wait included, end with os.ErrDeadlineExceeded from t on; zero means never.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.set(&c.in, t) }

// SetWriteDeadline is SetReadDeadline for writes.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.set(&c.out, t) }

func (c *Conn) set(s *side, t time.Time) error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return net.ErrClosed
	}
	s.disarm()
	s.expired = false
	var waiter *Task
	if !t.IsZero() {
		if d := time.Until(t); d > 0 {
			schedule := s.schedule
			s.timer = time.AfterFunc(d, func() { c.expire(s, schedule) })
		} else {
			s.expired = true
			waiter = s.wake()
		}
	}
	c.mu.Unlock()
	resumeLater(waiter)
	return nil
}

func (s *side) disarm() {
	s.schedule++
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
}

func (c *Conn) expire(s *side, schedule int) {
	var waiter *Task
	c.mu.Lock()
	if s.schedule == schedule {
		s.expired = true
		waiter = s.wake()
	}
	c.mu.Unlock()
	resumeLater(waiter)
}

// SyscallConn gives access to the descriptor. Only Control is supported.
func (c *Conn) SyscallConn() (syscall.RawConn, error) { return raw{c}, nil }

type raw struct{ c *Conn }

// Control runs f with the descriptor, which is not closed meanwhile.
func (r raw) Control(f func(fd uintptr)) error {
	c := r.c
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return net.ErrClosed
	}
	c.ops++
	c.mu.Unlock()
	f(uintptr(c.fd))
	c.finish(&c.in, false)
	return nil
}

// Read is not supported.
func (r raw) Read(func(fd uintptr) bool) error { return os.ErrInvalid }

// Write is not supported.
func (r raw) Write(func(fd uintptr) bool) error { return os.ErrInvalid }
