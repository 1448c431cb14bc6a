package proxy

import (
	"context"

	"github.com/pgring/pgring/pgwire"
)

// onSync ends the unit: every server that got messages gets a Sync, and the client one ReadyForQuery.
func (c *session) onSync(ctx context.Context) error {
	if err := c.endPipelined(ctx); err != nil {
		return err
	}
	for c.again.stale || !c.again.refused.IsZero() {
		repeat := c.bindAgain
		if c.again.stale {
			repeat = c.bindUnprepared
		}
		if err := ignoreReported(repeat(ctx)); err != nil {
			return err
		}
		if err := c.endPipelined(ctx); err != nil {
			return err
		}
	}
	return c.finishUnit(ctx)
}

// endPipelined ends the pipeline: first the transaction that it has opened for a statement on several shards, if it has.
func (c *session) endPipelined(ctx context.Context) error {
	if err := ignoreReported(c.tellLost()); err != nil { // before anything is committed
		return err
	}
	if c.tx.implicit {
		c.takeTime()
		if err := ignoreReported(c.drain()); err != nil {
			return err
		}
		if err := ignoreReported(c.endImplicit(ctx)); err != nil {
			return err
		}
	}
	return c.syncServers(ctx)
}

// syncServers ends the implicit transactions of the unit. After an error, those that did not fail themselves are rolled back: the
// unit is one transaction, as in PostgreSQL, although it may have run on several servers.
func (c *session) syncServers(ctx context.Context) error {
	t := &c.turn
	if t.part != nil && t.part.unsynced && (c.unit.errors == 0 || t.part.skips || c.tx.active) && c.onlyUnsynced(t.part) {
		if err := c.send(syncFrame, step{kind: stepSync}); err != nil {
			return ignoreReported(err)
		}
		return ignoreReported(c.receive())
	}
	if err := c.drain(); ignoreReported(err) != nil {
		return err
	}
	return c.syncSeveral()
}

func (c *session) onlyUnsynced(p *participant) bool {
	for _, other := range c.parts {
		if other != p && other.unsynced {
			return false
		}
	}
	return true
}

func (c *session) syncSeveral() error {
	for i := 0; i < len(c.parts); i++ {
		p := c.parts[i]
		if !p.unsynced {
			continue
		}
		if c.unit.errors > 0 && !p.skips && !c.tx.active {
			p.unsynced = false // a Query message ends the pipeline too
			if _, err := p.run("ROLLBACK"); err != nil {
				c.drop(p)
				i--
			}
			continue
		}
		c.turn.part = p
		if err := c.send(syncFrame, step{kind: stepSync}); err != nil {
			if ignoreReported(err) != nil {
				return err
			}
			i--
			continue
		}
		before := len(c.parts)
		if err := ignoreReported(c.receive()); err != nil {
			return err
		}
		if len(c.parts) < before {
			i--
		}
	}
	return nil
}

func ignoreReported(err error) error {
	if err == errReported {
		return nil
	}
	return err
}

// finishUnit brings the transaction's state up to date with the servers, gives back what is not needed and tells the client that
// it may go on.
func (c *session) finishUnit(ctx context.Context) error {
	if err := c.settle(); err != nil {
		return err
	}
	if err := c.takeEffect(ctx); err != nil {
		return err
	}
	c.unit.open, c.unit.skipping, c.unit.deferred = false, false, nil
	if !c.tx.active {
		c.hasCurrent, c.tx.drew = false, false
		if len(c.portals) > 0 {
			clear(c.portals)
		}
	}
	c.releaseIdle()
	now := c.srv.topology.Elapsed()
	c.dismiss(!c.tx.active, now)
	c.held.End(c.tx.active)
	if c.tx.failed { // what it has written is undone, whenever the client says so: no cut-over waits for that
		c.held.Wrote()
	}
	c.finishStats(now)
	c.out = pgwire.AppendReady(c.out[:0], c.tx.status())
	return c.write(c.out)
}

// takeEffect makes what the unit has changed known: settings to this session's router, the schema to every proxy. It comes before
// ReadyForQuery, so that the client's next statement is planned with it.
func (c *session) takeEffect(ctx context.Context) error {
	c.unit.resolve = c.unit.resolve && !c.tx.failed // what was set is undone with the transaction
	if c.unit.resolve || c.unit.defined {
		c.takeTime()
	}
	if c.unit.resolve {
		c.unit.resolve = false
		if err := ignoreReported(c.readMeaning(ctx)); err != nil {
			return err
		}
	}
	if c.unit.defined && c.tx.active {
		c.tx.defined, c.unit.defined = true, false
	}
	if !c.unit.defined {
		return nil
	}
	c.unit.defined = false
	c.srv.translations.generation.Add(1)
	if _, err := c.srv.topology.BumpSchema(ctx); err != nil {
		c.srv.log.Warn("tell other proxies of a changed schema", "error", err)
	}
	return nil
}

// settle takes over what the servers say of the transaction, and tells the client if it has lost a connection.
func (c *session) settle() error {
	_ = c.syncBegun() // of one that was opened for a statement which was then refused, the status is still that of before
	if err := ignoreReported(c.tellLost()); err != nil {
		return err
	}
	began, ended := 0, 0
	for _, p := range c.parts {
		status := p.conn.Status()
		if !p.began {
			if status != pgwire.TxIdle {
				p.conn.MarkDirty("transaction left open")
			}
			continue
		}
		began++
		switch status {
		case pgwire.TxIdle:
			ended++
		case pgwire.TxFailed:
			c.tx.failed = true
		}
	}
	switch {
	case !c.tx.active || began == 0:
	case began == ended:
		c.closed(false, false) // a COMMIT that failed has ended the block as well
	case ended > 0:
		c.tx.failed = true
	}
	return nil
}
