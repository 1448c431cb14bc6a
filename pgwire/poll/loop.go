package poll

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// stallLimit is how long a task may hold the loop up before another goroutine takes the loop over; it may be twice that.
	stallLimit = 20 * time.Millisecond

	// tireTicks is how many stallLimits apart those who wait idly are looked for: a quarter of a second. It bounds how many sessions of a crowd
	// that logs in hold a stack at the same time.
	tireTicks = int(250 * time.Millisecond / stallLimit)

	// burst is how many tasks are run before the loop looks for new events.
	burst = 64
)

// edgeTriggered asks epoll to tell of each change once. The constant in package syscall has the sign of an int.
const edgeTriggered = 1 << 31

const (
	readEnd  = syscall.EPOLLRDHUP | syscall.EPOLLHUP | syscall.EPOLLERR
	writeEnd = syscall.EPOLLHUP | syscall.EPOLLERR
)

// loop runs the tasks that are ready, and waits for events when there are none. One goroutine runs it at a time; when a task holds
// it up, watch has another one go on from there.
type loop struct {
	epoll   int
	bell    int  // an eventfd, rung to end a wait for events
	lingers bool // there is another processor for what else is to be run
	events  []syscall.EpollEvent
	strays  []*Task      // of other loops: an event is for them
	serial  int64        // of the last task that was run
	current atomic.Int64 // the serial while the task runs, else 0
	handed  bool         // since it last let others run, the loop has begun goroutines

	mu     sync.Mutex
	ready  []*Task // ready[head:] are to be run, in this order
	head   int
	asleep bool // the bell must be rung
	ending bool
	tasks  int     // begun and not ended
	conns  []*Conn // by descriptor; nil where there is none
	open   int     // how many there are
	number int32   // of the last connection
}

func newLoop() (*loop, error) {
	epoll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create epoll instance: %w", err)
	}
	bell, _, errno := syscall.Syscall(syscall.SYS_EVENTFD2, 0, syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if errno != 0 {
		return nil, errors.Join(fmt.Errorf("create eventfd: %w", errno), syscall.Close(epoll))
	}
	l := &loop{epoll: epoll, bell: int(bell), lingers: runtime.GOMAXPROCS(0) > 1, events: make([]syscall.EpollEvent, 256)}
	event := syscall.EpollEvent{Events: syscall.EPOLLIN | edgeTriggered, Fd: int32(l.bell)}
	if err := syscall.EpollCtl(epoll, syscall.EPOLL_CTL_ADD, l.bell, &event); err != nil {
		return nil, errors.Join(fmt.Errorf("watch eventfd: %w", err), l.close())
	}
	return l, nil
}

func (l *loop) close() error {
	return errors.Join(syscall.Close(l.bell), syscall.Close(l.epoll))
}

// watch has the loop run until ctx has ended and nothing is left on it. When a task holds it up, another goroutine goes on.
func (l *loop) watch(ctx context.Context) {
	var group sync.WaitGroup
	ended := make(chan struct{})
	run := func() {
		// owner: watch; ends with the loop, or when it has lost the loop and its task gives up control.
		group.Go(func() {
			if l.run() {
				close(ended)
			}
		})
	}
	stop := context.AfterFunc(ctx, l.end)
	defer stop()
	run()
	tick := time.NewTicker(stallLimit)
	defer tick.Stop()
	var conns []*Conn
	for seen, n := int64(0), 1; ; n++ {
		select {
		case <-ended:
			group.Wait()
			return
		case <-tick.C:
		}
		serial := l.current.Load()
		if serial != 0 && serial == seen && l.current.CompareAndSwap(serial, 0) {
			run()
		}
		seen = serial
		if n%tireTicks == 0 {
			conns = l.tire(conns)
		}
	}
}

// tire makes all who wait idly more tired. Conns is room for the connections.
func (l *loop) tire(conns []*Conn) []*Conn {
	l.mu.Lock()
	conns = append(conns[:0], l.conns...)
	l.mu.Unlock()
	for _, c := range conns {
		if c != nil {
			c.tick()
		}
	}
	clear(conns)
	return conns
}

// end lets the loop end once nothing is left on it.
func (l *loop) end() {
	l.mu.Lock()
	l.ending = true
	l.mu.Unlock()
	l.ring()
}

// run is the loop. It returns true when the loop has ended, and false when another goroutine has it.
func (l *loop) run() bool {
	for n := 1; ; n++ {
		t, over := l.take(n%burst == 0)
		if over {
			return true
		}
		if t == nil {
			continue
		}
		l.serial++
		serial := l.serial
		l.current.Store(serial)
		why, alive := t.resume()
		own := alive && why == toOwn
		if own {
			// owner: the task's body, see Start.
			go t.run()
		}
		if !l.current.CompareAndSwap(serial, 0) {
			return false
		}
		l.handed = l.handed || own
	}
}

// take returns the next task. With none ready it waits for events first; with look it takes those that have come. It may return nil.
func (l *loop) take(look bool) (t *Task, over bool) {
	l.mu.Lock()
	idle := l.head == len(l.ready)
	if idle || look {
		if idle && l.ending && l.tasks == 0 && l.open == 0 {
			l.mu.Unlock()
			return nil, true
		}
		l.asleep = idle
		l.mu.Unlock()
		n := l.poll(idle)
		l.mu.Lock()
		l.asleep = false
		l.hear(l.events[:n])
	}
	if l.head < len(l.ready) {
		t = l.ready[l.head]
		l.ready[l.head] = nil
		if l.head++; l.head == len(l.ready) {
			l.ready, l.head = l.ready[:0], 0
		}
	}
	l.mu.Unlock()
	if len(l.strays) > 0 {
		resumeLater(l.strays...)
		clear(l.strays)
		l.strays = l.strays[:0]
	}
	return t, false
}

// hear makes ready who waits for these events. The lock is held.
func (l *loop) hear(events []syscall.EpollEvent) {
	for i := range events {
		e := &events[i]
		if int(e.Fd) >= len(l.conns) {
			continue
		}
		if c := l.conns[e.Fd]; c != nil && c.number == e.Pad { // neither the bell nor one that is closed
			reader, writer := c.happened(e.Events)
			l.admit(reader)
			l.admit(writer)
		}
	}
}

// admit makes a task ready, if there is one and it is this loop's. The lock is held.
func (l *loop) admit(t *Task) {
	switch {
	case t == nil:
	case t.loop == l:
		l.ready = append(l.ready, t)
	default:
		l.strays = append(l.strays, t)
	}
}

// schedule has the loop run a task that waits.
func (l *loop) schedule(t *Task) {
	l.mu.Lock()
	l.ready = append(l.ready, t)
	asleep := l.asleep
	l.asleep = false
	l.mu.Unlock()
	if asleep {
		l.ring()
	}
}

func (l *loop) ring() {
	one := [8]byte{1} // in the machine's order; any number that is not 0 will do
	for {
		if _, err := syscall.Write(l.bell, one[:]); err != syscall.EINTR {
			return // EAGAIN: it has been rung more often than it can count
		}
	}
}

// poll takes the events that have come, and returns how many; when idle it waits for one. It may return without any.
//
// A wait is short when there is traffic, so the first of it is spent in the kernel without telling the scheduler, which would else pass
// the thread's processor on and back. Goroutines that the loop has begun have their turn before.
func (l *loop) poll(idle bool) int {
	if idle && l.handed {
		l.handed = false
		runtime.Gosched()
	}
	n, err := eventsNow(l.epoll, l.events, idle && l.lingers)
	if err == nil && n == 0 && idle {
		n, err = syscall.EpollWait(l.epoll, l.events, -1)
	}
	if err != nil {
		return 0 // EINTR; there is no other error for a valid descriptor
	}
	return n
}

// add begins to listen to a connection.
func (l *loop) add(c *Conn) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.number++
	c.number = l.number
	event := syscall.EpollEvent{Fd: int32(c.fd), Pad: c.number,
		Events: syscall.EPOLLIN | syscall.EPOLLOUT | syscall.EPOLLRDHUP | edgeTriggered}
	if err := syscall.EpollCtl(l.epoll, syscall.EPOLL_CTL_ADD, c.fd, &event); err != nil {
		return fmt.Errorf("watch socket: %w", err)
	}
	if c.fd >= len(l.conns) {
		l.conns = append(l.conns, make([]*Conn, c.fd+1-len(l.conns))...)
	}
	l.conns[c.fd] = c
	l.open++
	return nil
}

// forget stops listening; the descriptor is closed afterwards.
func (l *loop) forget(c *Conn) {
	l.mu.Lock()
	l.conns[c.fd] = nil
	l.open--
	ending := l.ending
	l.mu.Unlock()
	// The descriptor may be in use for a moment longer: its events would be taken for another's. An error means that it is gone.
	_ = syscall.EpollCtl(l.epoll, syscall.EPOLL_CTL_DEL, c.fd, nil)
	if ending {
		l.ring()
	}
}

func (l *loop) begun() {
	l.mu.Lock()
	l.tasks++
	l.mu.Unlock()
}

func (l *loop) over() {
	l.mu.Lock()
	l.tasks--
	ending := l.ending
	l.mu.Unlock()
	if ending {
		l.ring()
	}
}
