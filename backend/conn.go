package backend

import (
	"maps"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/ring"
)

// Conn is a logged-in connection to a shard, lent to one owner between Acquire and Release or Discard. Its methods are for the
// owner's goroutine; only Cancel may be called from another.
type Conn struct {
	wire   *pgwire.Conn
	socket syscall.RawConn // below TLS, to look at without reading
	pool   *pool
	origin origin

	pid        uint32
	secret     []byte
	parameters map[string]string // as reported at log-in

	status     byte
	dirty      string // why it must not be reused; empty: it may
	settings   *Settings
	known      bool // settings is what the server has
	prepared   lru
	memo       any
	statements atomic.Int32 // in prepared, for Servers
	cancels    cancels

	// These belong to the pool's inventory.
	place      int // index among the open connections
	idle       bool
	outlived   bool          // has reached its lifetime: it is not lent out again
	openedAt   time.Duration // this and the following count from the start of the Pools
	acquiredAt time.Duration // zero: never lent out
	idleSince  time.Duration // zero: in use, or not yet noticed as idle
	expires    time.Duration // zero: never
}

// origin is what a connection was made from; connections of an older generation are not reused.
type origin struct {
	target     Target
	login      Login
	generation uint64
}

// Wire returns the connection's frames. Whoever reads ReadyForQuery from it calls SetStatus.
func (c *Conn) Wire() *pgwire.Conn { return c.wire }

// Shard returns the shard that the connection leads to.
func (c *Conn) Shard() ring.ShardID { return c.origin.target.Shard }

// PID returns the server process's id.
func (c *Conn) PID() uint32 { return c.pid }

// Parameters returns the ParameterStatus values that the server reported at log-in; the map belongs to the caller.
func (c *Conn) Parameters() map[string]string { return maps.Clone(c.parameters) }

// Status returns the transaction status of the last ReadyForQuery: I, T or E.
func (c *Conn) Status() byte { return c.status }

// SetStatus records the transaction status of a ReadyForQuery.
func (c *Conn) SetStatus(status byte) { c.status = status }

// Memo is what an owner has left for those that come after it; nil at first.
func (c *Conn) Memo() any { return c.memo }

// SetMemo leaves something for later owners.
func (c *Conn) SetMemo(memo any) { c.memo = memo }

// MarkDirty says that the connection must be closed instead of reused, and why. The first reason is kept.
func (c *Conn) MarkDirty(reason string) {
	if c.dirty == "" {
		c.dirty = reason
	}
}

// Settings returns the session settings on the server; nil also when they are unknown.
func (c *Conn) Settings() *Settings { return c.settings }

// RecordSettings notes that the session's settings on the server are now s, because the client's own statements made them so.
func (c *Conn) RecordSettings(s *Settings) { c.settings, c.known = s, true }

// ForgetSettings notes that the session's settings on the server are unknown: the next Adopt starts from a clean slate.
func (c *Conn) ForgetSettings() { c.settings, c.known = nil, false }

// Release gives the connection back: to the pool if it is clean, that is idle, with nothing unread or unsent and not marked
// dirty; else it is closed. An owner whose read or write failed marks it first. Release waits for cancels under way, so that none
// hits the next owner. A second Release does nothing.
func (c *Conn) Release() {
	if !c.cancels.settle() {
		return
	}
	c.wire.Attend(nil)
	if reason := c.unfit(); reason != "" {
		c.pool.drop(c, reason)
		return
	}
	c.pool.put(c)
}

// Discard closes the connection, whatever its state.
func (c *Conn) Discard() {
	if c.cancels.settle() {
		c.wire.Attend(nil)
		c.pool.drop(c, "discarded")
	}
}

// unfit says why the connection cannot be handed to another owner; empty: it can.
func (c *Conn) unfit() string {
	switch {
	case c.dirty != "":
		return c.dirty
	case c.status != pgwire.TxIdle:
		return "transaction not finished"
	case c.wire.Buffered() > 0 || c.wire.Unflushed() > 0:
		return "unread or unsent bytes"
	case c.cancels.doubtful.Load():
		return "cancel not confirmed"
	}
	return ""
}

// close ends the connection; a server that still listens is told, so that it need not wonder.
func (c *Conn) close(polite bool) {
	if polite && c.wire.Net().SetWriteDeadline(time.Now().Add(time.Second)) == nil {
		_, _ = c.wire.Net().Write([]byte{pgwire.Terminate, 0, 0, 0, 4})
	}
	_ = below(c.wire.Net()).Close()
}

// below returns the socket's connection under TLS. Closing that one never waits for a peer that takes no more bytes.
func below(nc net.Conn) net.Conn {
	if over, ok := nc.(interface{ NetConn() net.Conn }); ok {
		return over.NetConn()
	}
	return nc
}
