package proxy

import (
	"errors"
	"os"
	"sync/atomic"
	"time"

	"github.com/pgring/pgring/pgwire"
)

// ear listens, while the client is silent, to the connection that LISTENs.
type ear struct {
	part   *participant
	heard  chan error
	broken atomic.Bool // the connection is lost: the client need not be waited for any longer
}

// listen starts to relay notifications; nil if the session has no LISTEN. Stop must be called before the connection is used again.
func (c *session) listen() *ear {
	if !c.hears {
		return nil
	}
	part := c.participant(c.home())
	if part == nil {
		return nil
	}
	c.takeTime()
	e := &ear{part: part, heard: make(chan error, 1)}
	// owner: idle, which calls stop; ends when stop interrupts its read, or with the connection
	go func() {
		err := c.hear(part.conn.Wire())
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			e.broken.Store(true)
			c.wake()
		}
		e.heard <- err
	}()
	return e
}

// isBroken reports whether the connection was lost; nil is never broken.
func (e *ear) isBroken() bool { return e != nil && e.broken.Load() }

// stop ends the relaying and reports a connection that broke meanwhile.
func (c *session) stop(e *ear) error {
	if e == nil {
		return nil
	}
	net := e.part.conn.Wire().Net()
	if err := net.SetReadDeadline(time.Unix(1, 0)); err != nil && !e.isBroken() {
		return err
	}
	err := <-e.heard
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return net.SetReadDeadline(time.Time{})
	}
	return c.pinnedLost(e.part, err)
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
