package pgwire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/pgring/pgring/pgwire/poll"
)

const (
	// BufferSize is the size in bytes of a connection's pooled read and write buffers.
	BufferSize = 16 << 10
	// HeaderSize is the size in bytes of a frame's type and length.
	HeaderSize = 5
	// MaxFrame is the largest length a frame may announce, in bytes: PostgreSQL's own limit of one allocation, 1 GiB.
	MaxFrame = 1 << 30
)

// Side says which end of the proxy a connection leads to; it appears in errors.
type Side uint8

// The two sides of the proxy.
const (
	ClientSide Side = iota + 1
	ServerSide
)

func (s Side) String() string {
	if s == ServerSide {
		return "server"
	}
	return "client"
}

// IOError reports a broken connection: which side, which direction, and whether bytes of the failed write may have left.
type IOError struct {
	Side  Side
	Write bool
	Sent  int // bytes of the failed write that had left
	Err   error
}

func (e *IOError) Error() string {
	if e.Write {
		return fmt.Sprintf("write to %s: %v", e.Side, e.Err)
	}
	return fmt.Sprintf("read from %s: %v", e.Side, e.Err)
}

// Unwrap returns the network's error.
func (e *IOError) Unwrap() error { return e.Err }

// ProtocolError reports bytes that are not the protocol; the connection cannot be used further.
type ProtocolError struct{ Reason string }

func (e *ProtocolError) Error() string { return e.Reason }

// ErrFrameTooLarge is returned by [Conn.Frame] for a frame larger than the caller is willing to hold in memory.
var ErrFrameTooLarge = errors.New("frame larger than the memory limit")

type buffer [BufferSize]byte

var buffers = sync.Pool{New: func() any { return new(buffer) }}

// Conn is a buffered connection that reads frames by reference and writes in batches. Reading and writing may be done by two
// goroutines, one each; Close by any. Buffers come from a pool and go back to it whenever they are empty and the reader waits.
type Conn struct {
	side   Side
	nc     net.Conn
	raw    syscall.RawConn // nil: no way to wait without holding a buffer (TLS), or polled has one
	polled *poll.Conn      // nc, if it is on an engine

	in      []byte // what was read and not yet consumed is in[r:w]
	pooled  *buffer
	r, w    int
	readN   int
	readErr error
	readFn  func(fd uintptr) bool

	out       []byte
	outPooled *buffer
	writeErr  error

	idle     time.Duration
	bytesIn  atomic.Int64
	bytesOut atomic.Int64
}

// NewConn wraps nc, which the Conn then owns.
func NewConn(nc net.Conn, side Side) *Conn {
	c := &Conn{side: side, nc: nc}
	if sc, ok := nc.(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			c.raw = raw
			c.readFn = c.tryRead
		}
	}
	return c
}

// Engage moves the connection to an engine, if there is one and the connection is a plain socket; else it stays as it is. No
// deadline may be set. When it fails the connection is closed.
func (c *Conn) Engage(e *poll.Engine) error {
	if e == nil {
		return nil
	}
	polled, err := e.Conn(c.nc)
	if err != nil {
		return &IOError{Side: c.side, Err: err}
	}
	if polled != nil {
		c.nc, c.polled, c.raw, c.readFn = polled, polled, nil, nil
	}
	return nil
}

// Engaged reports whether the connection is on an engine.
func (c *Conn) Engaged() bool { return c.polled != nil }

// Attend says which task is suspended when the connection must be waited for, see [poll.Conn.Attend]; nil means none.
func (c *Conn) Attend(t *poll.Task) {
	if c.polled != nil {
		c.polled.Attend(t)
	}
}

// WaitIdle waits until something is unread, but gives up with poll.ErrTired when that takes long and the task could rest meanwhile, see
// [poll.Conn.ReadWith]. It returns at once where there is no engine.
func (c *Conn) WaitIdle() error {
	if c.polled == nil || c.r < c.w {
		return nil
	}
	c.r, c.w = 0, 0
	c.dropIn()
	return c.filled(c.polled.ReadWith((*lender)(c), true))
}

// Rest has the task give its stack back until there may be something to be read, see [poll.Task.Rest]. The connection must be engaged.
func (c *Conn) Rest(t *poll.Task, then func(*poll.Task)) { t.Rest(c.polled, then) }

// Net returns the connection below, for addresses, deadlines and TLS state.
func (c *Conn) Net() net.Conn { return c.nc }

// Close closes the connection; a blocked read or write returns with an error.
func (c *Conn) Close() error { return c.nc.Close() }

// SetIdleTimeout bounds each further wait for bytes; zero means no bound. The error of a wait that took too long satisfies
// errors.Is(err, os.ErrDeadlineExceeded).
func (c *Conn) SetIdleTimeout(d time.Duration) error {
	if d == 0 && c.idle != 0 {
		c.idle = 0
		return c.nc.SetReadDeadline(time.Time{})
	}
	c.idle = d
	return nil
}

// Buffered returns how many bytes were read and not yet consumed.
func (c *Conn) Buffered() int { return c.w - c.r }

// Unflushed returns how many written bytes wait for Flush.
func (c *Conn) Unflushed() int { return len(c.out) }

// Traffic returns the bytes read from and written to the network so far.
func (c *Conn) Traffic() (in, out int64) { return c.bytesIn.Load(), c.bytesOut.Load() }

// Peek waits for the next frame's header and returns its type and its whole size in bytes, header included, without consuming it.
func (c *Conn) Peek() (typ byte, size int, err error) {
	if err := c.need(HeaderSize); err != nil {
		return 0, 0, err
	}
	n := binary.BigEndian.Uint32(c.in[c.r+1:])
	if n < 4 || n > MaxFrame {
		return 0, 0, &ProtocolError{Reason: fmt.Sprintf("invalid message length %d", int32(n))}
	}
	return c.in[c.r], int(n) + 1, nil
}

// PeekBuffered is Peek without waiting: ok is false unless the next frame's header has been read and is valid.
func (c *Conn) PeekBuffered() (typ byte, size int, ok bool) {
	if c.w-c.r < HeaderSize {
		return 0, 0, false
	}
	n := binary.BigEndian.Uint32(c.in[c.r+1:])
	return c.in[c.r], int(n) + 1, n >= 4 && n <= MaxFrame
}

// Frame consumes the next frame, whose size Peek returned, and returns it whole, header included. The slice is valid until the
// next read. A frame larger than limit bytes is left unread and gives ErrFrameTooLarge.
func (c *Conn) Frame(size, limit int) ([]byte, error) {
	if size > limit {
		return nil, ErrFrameTooLarge
	}
	if err := c.need(size); err != nil {
		return nil, err
	}
	f := c.in[c.r : c.r+size]
	c.r += size
	return f, nil
}

// Pending returns the unread bytes without consuming them; valid until the next read.
func (c *Conn) Pending() []byte { return c.in[c.r:c.w] }

// Consume drops n unread bytes that Pending showed.
func (c *Conn) Consume(n int) { c.r += n }

// Need waits until n bytes or more are unread. A wait that a deadline has ended may be repeated: no byte is lost.
func (c *Conn) Need(n int) error { return c.need(n) }

// Pipe moves the next n bytes to dst, holding no more than a buffer of them.
func (c *Conn) Pipe(dst *Conn, n int) error {
	for n > 0 {
		if c.r == c.w {
			if err := c.fill(); err != nil {
				return err
			}
		}
		moved, err := c.PipeBuffered(dst, n)
		if err != nil {
			return err
		}
		n -= moved
	}
	return nil
}

// PipeBuffered moves up to n bytes that have been read already to dst, and returns how many.
func (c *Conn) PipeBuffered(dst *Conn, n int) (int, error) {
	n = min(n, c.w-c.r)
	if err := dst.Write(c.in[c.r : c.r+n]); err != nil {
		return 0, err
	}
	c.r += n
	return n, nil
}

// Forward moves n bytes that have been read already to dst, and drops those behind them. If nothing else has been read and nothing else
// was written, the buffer itself changes hands: frames that were taken from it are not valid any more.
func (c *Conn) Forward(dst *Conn, n, drop int) error {
	if dst.out == nil && dst.writeErr == nil && c.pooled != nil && c.r+n+drop == c.w {
		dst.out, dst.outPooled = c.in[c.r:c.r+n], c.pooled
		c.in, c.pooled, c.r, c.w = nil, nil, 0, 0
		return nil
	}
	if err := dst.Write(c.in[c.r : c.r+n]); err != nil {
		return err
	}
	c.r += n + drop
	return nil
}

// Discard reads and drops the next n bytes.
func (c *Conn) Discard(n int) error {
	for n > 0 {
		if c.r == c.w {
			if err := c.fill(); err != nil {
				return err
			}
		}
		chunk := min(n, c.w-c.r)
		c.r += chunk
		n -= chunk
	}
	return nil
}

// need makes at least n unread bytes contiguous in the buffer.
func (c *Conn) need(n int) error {
	for c.w-c.r < n {
		if len(c.in)-c.r < n && c.in != nil {
			c.room(n)
		}
		if err := c.fill(); err != nil {
			return err
		}
	}
	return nil
}

// room makes space for more bytes of an n-byte frame: it moves the unread bytes to the front, or doubles a buffer that is full.
// Memory grows by what has arrived, not by what was announced: a client that announces a gigabyte and sends nothing gets none.
func (c *Conn) room(n int) {
	have := c.w - c.r
	if have < len(c.in) {
		c.w = copy(c.in, c.in[c.r:c.w])
		c.r = 0
		return
	}
	grown := make([]byte, min(n, 2*len(c.in)))
	copy(grown, c.in[c.r:c.w])
	c.dropIn()
	c.in, c.r, c.w = grown, 0, have
}

func (c *Conn) dropIn() {
	if c.pooled != nil {
		buffers.Put(c.pooled)
		c.pooled = nil
	}
	c.in = nil
}

// fill reads once, appending to the unread bytes. With nothing unread it waits holding no buffer where the connection allows.
func (c *Conn) fill() error {
	if c.readErr != nil {
		return c.readErr
	}
	if c.idle > 0 {
		if err := c.nc.SetReadDeadline(time.Now().Add(c.idle)); err != nil {
			return c.broken(err)
		}
	}
	if c.r == c.w {
		c.r, c.w = 0, 0
		if len(c.in) > BufferSize {
			c.in = nil // a grown buffer is left to the collector
		}
		if c.raw != nil {
			return c.fillRaw()
		}
		if c.polled != nil {
			c.dropIn()
			return c.filled(c.polled.ReadWith((*lender)(c), false))
		}
	}
	c.ensureIn()
	n, err := c.nc.Read(c.in[c.w:])
	return c.filled(n, err)
}

// filled takes note of what a read has brought.
func (c *Conn) filled(n int, err error) error {
	c.w += n
	c.bytesIn.Add(int64(n))
	if n > 0 {
		return nil
	}
	return c.broken(err)
}

// lender is a connection that takes a buffer only for as long as there is something to be read.
type lender Conn

// Lend takes a buffer.
func (l *lender) Lend() []byte {
	c := (*Conn)(l)
	c.ensureIn()
	return c.in
}

// TakeBack gives it back.
func (l *lender) TakeBack() { (*Conn)(l).dropIn() }

func (c *Conn) ensureIn() {
	if c.in == nil {
		c.pooled = buffers.Get().(*buffer)
		c.in = c.pooled[:]
	}
}

// fillRaw waits for the socket to become readable and only then takes a buffer.
func (c *Conn) fillRaw() error {
	err := c.raw.Read(c.readFn)
	if err == nil {
		err = c.readErr
		c.readErr = nil
	}
	if err == nil && c.readN == 0 {
		err = io.EOF
	}
	if err != nil {
		c.dropIn()
		return c.broken(err)
	}
	c.w = c.readN
	c.bytesIn.Add(int64(c.readN))
	return nil
}

// tryRead is one non-blocking read, the callback of RawConn.Read; false asks to be called again when the socket is readable.
func (c *Conn) tryRead(fd uintptr) bool {
	c.ensureIn()
	for {
		n, err := syscall.Read(int(fd), c.in)
		if err == syscall.EINTR {
			continue
		}
		if err == syscall.EAGAIN {
			c.dropIn()
			return false
		}
		c.readN, c.readErr = max(n, 0), err
		return true
	}
}

func (c *Conn) broken(err error) error {
	if err == nil {
		err = io.ErrNoProgress
	}
	if errors.Is(err, io.EOF) && c.r < c.w {
		err = io.ErrUnexpectedEOF
	}
	return &IOError{Side: c.side, Err: err}
}

// Write appends p to what the next Flush sends; when the buffer is full it is sent at once.
func (c *Conn) Write(p []byte) error {
	if c.writeErr != nil {
		return c.writeErr
	}
	if c.out == nil {
		c.outPooled = buffers.Get().(*buffer)
		c.out = c.outPooled[:0]
	}
	if len(c.out)+len(p) <= cap(c.out) {
		c.out = append(c.out, p...)
		return nil
	}
	if len(c.out) > 0 {
		if err := c.send(c.out); err != nil {
			return err
		}
		c.out = c.out[:0]
	}
	if len(p) >= cap(c.out) {
		return c.send(p)
	}
	c.out = append(c.out, p...)
	return nil
}

// Send is Write and Flush; it copies nothing if nothing waits to be sent.
func (c *Conn) Send(p []byte) error {
	if c.out == nil && c.writeErr == nil {
		return c.send(p)
	}
	if err := c.Write(p); err != nil {
		return err
	}
	return c.Flush()
}

// Flush sends what was written and gives the write buffer back.
func (c *Conn) Flush() error {
	if c.writeErr != nil {
		return c.writeErr
	}
	if c.out == nil {
		return nil
	}
	if len(c.out) > 0 {
		if err := c.send(c.out); err != nil {
			return err
		}
	}
	buffers.Put(c.outPooled)
	c.out, c.outPooled = nil, nil
	return nil
}

func (c *Conn) send(p []byte) error {
	n, err := c.nc.Write(p)
	c.bytesOut.Add(int64(n))
	if err != nil {
		c.writeErr = &IOError{Side: c.side, Write: true, Sent: n, Err: err}
		return c.writeErr
	}
	return nil
}
