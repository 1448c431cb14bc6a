package backend

import (
	"context"
	"sync/atomic"
)

// Cancel asks the server to cancel what the connection is executing, over a socket of its own, and waits until the server has
// closed that one: by then the request has taken effect or come too late. It may be called by any goroutine while the
// connection is lent out, and does nothing when it is not. Release waits for it.
func (c *Conn) Cancel(ctx context.Context) error {
	if !c.cancels.begin() {
		return nil
	}
	defer c.cancels.end()
	return c.sendCancel(ctx)
}

// cancels counts the cancels under way. Invariant: while a cancel is under way, the connection does not change hands.
type cancels struct {
	state    atomic.Int32 // cancels under way; notLent while nobody owns the connection
	settled  chan struct{}
	doubtful atomic.Bool // one may still arrive
}

const notLent = -1

// lend allows cancels; the connection has an owner.
func (g *cancels) lend() { g.state.Store(0) }

// begin reports whether a cancel may be sent; end must follow.
func (g *cancels) begin() bool {
	for {
		n := g.state.Load()
		if n == notLent {
			return false
		}
		if g.state.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (g *cancels) end() {
	if g.state.Add(-1) == 0 {
		select {
		case g.settled <- struct{}{}:
		default:
		}
	}
}

// settle waits for the cancels under way and allows no more. It reports false if there is no owner to take the connection from.
func (g *cancels) settle() bool {
	for !g.state.CompareAndSwap(0, notLent) {
		if g.state.Load() == notLent {
			return false
		}
		<-g.settled
	}
	return true
}
