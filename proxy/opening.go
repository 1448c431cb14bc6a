package proxy

import (
	"cmp"

	"github.com/pgring/pgring/pgwire"
)

// awaitOpenings waits until the transaction is open on all these shards. A connection on which it cannot be opened is closed; the
// first error is returned.
func (c *session) awaitOpenings(sources []*shardRows) (failure error) {
	for _, s := range sources {
		err := s.part.conn.Wire().Write(pgwire.AppendEmpty(nil, pgwire.Flush))
		if err == nil {
			err = s.part.conn.Wire().Flush()
		}
		if err != nil {
			s.broken, failure = true, &lostError{shard: s.shard(), err: err}
		}
	}
	for _, s := range sources {
		for s.opening > 0 && !s.broken && !s.ended {
			typ, size, err := s.openings()
			if err == nil && typ != 0 {
				err = s.other(typ, size)
			}
			if err != nil {
				s.broken, failure = true, cmp.Or(failure, err)
			}
		}
		if s.broken {
			c.drop(s.part)
		}
	}
	return failure
}

// rejectBegun reports an error before the statement was sent, though its transaction may have been opened.
func (c *session) rejectBegun(err error) error {
	if failure := c.drain(); failure != nil {
		err = failure
	}
	c.turn.part = nil
	_ = c.syncBegun() // what came first is told, and fails the transaction as well
	return c.reject(err)
}

// syncBegun ends the messages that opened the transaction on shards which the statement was then not sent to, so that their status
// is known. In the extended protocol the client's Sync does. The first error is returned, and has not been told to the client.
func (c *session) syncBegun() (failure error) {
	if c.unit.open {
		return nil
	}
	for i := len(c.parts) - 1; i >= 0; i-- { // drop takes out the one at hand
		p := c.parts[i]
		if !p.unsynced {
			continue
		}
		if c.turn.part == p {
			c.turn.part = nil
		}
		if err := p.sync(); err != nil {
			failure = cmp.Or(failure, err)
			c.drop(p)
		}
	}
	return failure
}
