package poll

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
)

// Engine is a set of loops that share their tasks and connections evenly.
type Engine struct {
	loops []*loop
	next  atomic.Uint32
}

// New returns an engine of n loops, at least one, that does not run yet. An engine that will never run is given back by Close.
func New(n int) (*Engine, error) {
	e := &Engine{}
	for range max(n, 1) {
		l, err := newLoop()
		if err != nil {
			return nil, errors.Join(err, e.Close())
		}
		e.loops = append(e.loops, l)
	}
	return e, nil
}

// Run runs the loops. It returns nil when ctx has ended, all tasks have ended and all connections are closed: whoever has them must
// see to that. An engine runs once.
func (e *Engine) Run(ctx context.Context) error {
	var group sync.WaitGroup
	for _, l := range e.loops {
		// owner: Run; ends with ctx.
		group.Go(func() { l.watch(ctx) })
	}
	group.Wait()
	return e.Close()
}

// Close gives back the descriptors of an engine that has never run.
func (e *Engine) Close() error {
	var errs []error
	for _, l := range e.loops {
		errs = append(errs, l.close())
	}
	return errors.Join(errs...)
}

func (e *Engine) pick() *loop {
	return e.loops[int(e.next.Add(1))%len(e.loops)]
}

// Conn takes over the socket of nc, which is closed. It returns nil if nc is not a plain socket, as under TLS; nc then remains as it
// was. Nothing may have been read from nc that its reader has not consumed, and no deadline of nc is kept.
func (e *Engine) Conn(nc net.Conn) (*Conn, error) {
	source, ok := nc.(syscall.Conn)
	if !ok {
		return nil, nil
	}
	fd, err := duplicate(source)
	if err != nil {
		return nil, fmt.Errorf("duplicate socket: %w", err)
	}
	c := &Conn{fd: fd, loop: e.pick(), local: nc.LocalAddr(), remote: nc.RemoteAddr()}
	// Invariant: one poller hears of the socket. That of Go's runtime forgets it here.
	if err := nc.Close(); err != nil {
		return nil, errors.Join(fmt.Errorf("give up socket: %w", err), syscall.Close(fd))
	}
	if err := c.loop.add(c); err != nil {
		return nil, errors.Join(err, syscall.Close(fd))
	}
	return c, nil
}

// duplicate returns a descriptor of the same socket, which is in non-blocking mode as all of Go's are.
func duplicate(source syscall.Conn) (fd int, err error) {
	raw, err := source.SyscallConn()
	if err != nil {
		return 0, err
	}
	failure := raw.Control(func(from uintptr) {
		n, _, errno := syscall.Syscall(syscall.SYS_FCNTL, from, syscall.F_DUPFD_CLOEXEC, 0)
		if fd = int(n); errno != 0 {
			err = errno
		}
	})
	return fd, errors.Join(failure, err)
}
