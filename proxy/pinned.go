package proxy

import (
	"errors"
	"os"
	"time"

	"github.com/pgring/pgring/pgwire"
)

// hearPinned relays notifications from the connection that LISTENs while the client is silent. The returned function ends that and
// reports a connection that broke meanwhile; it must be called before the connection is used again.
func (c *session) hearPinned() (stop func() error) {
	if !c.hears {
		return func() error { return nil }
	}
	part := c.participant(c.snap.Home)
	if part == nil {
		return func() error { return nil }
	}
	heard := make(chan error, 1)
	// owner: idle, which calls stop; ends when stop interrupts its read, or with the connection
	go func() { heard <- c.hear(part.conn.Wire()) }()
	return func() error {
		net := part.conn.Wire().Net()
		if err := net.SetReadDeadline(time.Unix(1, 0)); err != nil {
			return err
		}
		err := <-heard
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return net.SetReadDeadline(time.Time{})
		}
		return c.pinnedLost(part, err)
	}
}

// hear relays whole messages until its read is interrupted. It is the only writer to the client meanwhile.
func (c *session) hear(wire *pgwire.Conn) error {
	for {
		typ, size, err := wire.Peek()
		if err != nil {
			return err
		}
		frame, err := wire.Frame(size, maxControlFrame)
		if err != nil {
			return err
		}
		if typ == pgwire.ErrorResponse {
			return pgwire.ParseError(frame)
		}
		if err := c.write(frame); err != nil {
			return err
		}
		if err := c.client.Flush(); err != nil {
			return err
		}
	}
}

// pinnedLost ends the session: its LISTENs are gone, and it would wait for notifications for ever.
func (c *session) pinnedLost(part *participant, err error) error {
	if clientError(err) != nil {
		return err
	}
	failure := &lostError{shard: part.shard, err: err}
	var last *pgwire.Error
	if errors.As(err, &last) {
		failure.last = last
	}
	e := failure.wire()
	e.Severity, e.Detail, e.Hint = "FATAL", "The session was listening for notifications there.", "Connect again and repeat LISTEN."
	return e
}
