package proxy

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/pgring/pgring/pgwire"
)

// copyIn carries COPY FROM STDIN to the server of the turn. It is the one place with two directions at once: while the session
// feeds the client's data to the server, a second goroutine relays what the server says meanwhile, since an error or a flood of
// notices may come at any time.
func (c *session) copyIn(wire *pgwire.Conn, size int) error {
	c.takeTime()
	if err := wire.Pipe(c.client, size); err != nil {
		return c.side(err)
	}
	if err := c.client.Flush(); err != nil {
		return err
	}
	var over atomic.Bool
	answered := make(chan error, 1)
	// owner: copyIn, which receives its result; ends with the server's answer to the COPY, or with either connection
	go func() {
		err := c.copyAnswer(wire, &over)
		c.wake() // an early answer must reach a client that has fallen silent
		answered <- err
	}()
	fed := c.feedCopy(wire, &over)
	if fed != nil {
		// Nothing more will come: the server must not wait for it.
		c.turn.part.conn.MarkDirty("copy broken off")
		_ = wire.Close()
	}
	err := <-answered
	if failure := c.client.Net().SetReadDeadline(time.Time{}); failure != nil {
		return failure
	}
	var broken *pgwire.Error
	if clientError(fed) != nil || errors.As(fed, &broken) {
		return fed
	}
	if err != nil {
		return c.side(err)
	}
	return nil
}

// feedCopy moves the client's copy messages to the server until the client ends the COPY or the server has answered.
func (c *session) feedCopy(wire *pgwire.Conn, over *atomic.Bool) error {
	if err := c.client.SetIdleTimeout(0); err != nil {
		return err
	}
	for {
		if c.client.Buffered() == 0 {
			if err := wire.Flush(); err != nil {
				return err
			}
		}
		typ, size, err := c.await(0, func() bool { return over.Load() })
		if over.Load() && (err == nil || errors.Is(err, os.ErrDeadlineExceeded)) {
			return nil // the loop drops what is left of the COPY
		}
		if err != nil {
			return c.ended(err)
		}
		switch typ {
		case pgwire.CopyData, pgwire.Flush, pgwire.Sync:
			if err := c.feedMessage(wire, size, over); err != nil {
				return err
			}
		case pgwire.CopyDone, pgwire.CopyFail:
			if err := c.feedMessage(wire, size, over); err != nil {
				return err
			}
			return c.endCopy(wire)
		default:
			return fatal(codeProtocolViolation, fmt.Sprintf("unexpected message type %q during COPY from stdin", typ))
		}
	}
}

// feedMessage moves one message to the server. If the server answers while the client is in the middle of it, the rest is dropped
// when it comes.
func (c *session) feedMessage(wire *pgwire.Conn, size int, over *atomic.Bool) error {
	for begun := false; size > 0; begun = true {
		err := c.awaitBytes(1, 0, func() bool { return over.Load() })
		if over.Load() && (err == nil || errors.Is(err, os.ErrDeadlineExceeded)) {
			c.owed = size
			if begun {
				return padMessage(wire, size)
			}
			return nil
		}
		if err != nil {
			return err
		}
		moved, err := c.client.PipeBuffered(wire, size)
		if err != nil {
			return err
		}
		size -= moved
	}
	return nil
}

// padMessage completes a message whose beginning the server has, and which it is going to drop, so that the next one begins where
// it expects it.
func padMessage(wire *pgwire.Conn, size int) error {
	var zeros [1024]byte
	for size > 0 {
		n := min(size, len(zeros))
		if err := wire.Write(zeros[:n]); err != nil {
			return err
		}
		size -= n
	}
	return wire.Flush()
}

// endCopy has the server answer the end of the data: in the extended protocol it keeps its answer until it is asked.
func (c *session) endCopy(wire *pgwire.Conn) error {
	if c.unit.open {
		if err := wire.Write(pgwire.AppendEmpty(nil, pgwire.Flush)); err != nil {
			return err
		}
	}
	return wire.Flush()
}

// copyAnswer relays what the server says until the COPY is over. It is the only writer to the client meanwhile.
func (c *session) copyAnswer(wire *pgwire.Conn, over *atomic.Bool) error {
	defer over.Store(true)
	for {
		typ, size, err := wire.Peek()
		if err != nil {
			return err
		}
		switch typ {
		case pgwire.CommandComplete, pgwire.ErrorResponse, pgwire.ReadyForQuery:
			return nil // the relay goes on from here
		}
		if err := wire.Pipe(c.client, size); err != nil {
			return err
		}
		if err := c.client.Flush(); err != nil {
			return err
		}
	}
}
