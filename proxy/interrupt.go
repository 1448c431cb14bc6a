package proxy

import (
	"context"
	"sync"
	"time"

	"github.com/pgring/pgring/backend"
	"github.com/pgring/pgring/pgwire"
)

// kill ends the session from outside: what runs for it is cancelled, and the client told. A second kill, a second later, closes the
// connection of a session that could not be told.
func (c *session) kill(ctx context.Context) {
	c.watch.Lock()
	if !c.watch.killed.Swap(true) {
		c.watch.killedAt = time.Now()
	}
	stubborn := time.Since(c.watch.killedAt) >= time.Second
	if stubborn { // a server that does not answer either: nothing is waited for any longer
		for _, conn := range c.watch.busy {
			_ = conn.Wire().Close()
		}
	}
	c.watch.Unlock()
	c.wake()
	if stubborn {
		_ = c.client.Close()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	c.interrupt(ctx)
}

// interrupt cancels what runs, for the client or an administrator. Between two statements of the session's own nothing may run:
// the session looks at the number of interrupts then.
func (c *session) interrupt(ctx context.Context) {
	c.watch.interrupts.Add(1)
	c.watch.Lock()
	stop := c.watch.stop
	c.watch.Unlock()
	if stop != nil {
		stop()
	}
	c.cancelStatement(ctx)
}

// interruptible returns a context for a wait inside of pgring that an interrupt ends, and the function to be called after it.
func (c *session) interruptible(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	c.setStop(cancel)
	return ctx, func() {
		c.setStop(nil)
		cancel()
	}
}

// setStop says what an interrupt calls beside cancelling what servers run.
func (c *session) setStop(stop func()) {
	c.watch.Lock()
	c.watch.stop = stop
	c.watch.Unlock()
}

// errInterrupted is the error of a statement that was interrupted.
func errInterrupted() error {
	return &pgwire.Error{Code: codeQueryCanceled, Message: "canceling statement due to user request"}
}

// cancelStatement cancels what runs on every server for this session.
func (c *session) cancelStatement(ctx context.Context) {
	c.watch.Lock()
	busy := append([]*backend.Conn(nil), c.watch.busy...)
	c.watch.cancels++
	c.watch.Unlock()
	defer c.cancelSettled()
	var group sync.WaitGroup
	for _, conn := range busy {
		group.Go(func() {
			if err := conn.Cancel(ctx); err != nil {
				c.srv.log.Warn("cancel statement", "session", c.id, "shard", string(conn.Shard()), "error", err)
			}
		})
	}
	group.Wait()
}

func (c *session) cancelSettled() {
	c.watch.Lock()
	defer c.watch.Unlock()
	if c.watch.cancels--; c.watch.cancels == 0 {
		c.watch.settled.Broadcast()
	}
}
