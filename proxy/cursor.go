package proxy

import (
	"fmt"
	"slices"

	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/router"
)

// cursor is one that SQL's DECLARE has made on a server.
type cursor struct {
	shard  ring.ShardID
	held   bool // WITH HOLD: it outlives its transaction
	lasts  bool // that transaction has committed
	behind int  // how many entries of transaction.prelude it was declared behind
}

// noteCursor remembers a cursor that was declared.
func (c *session) noteCursor(stmt *router.Statement, shard ring.ShardID) {
	if c.cursors == nil {
		c.cursors = map[string]cursor{}
	}
	c.cursors[stmt.Name] = cursor{shard: shard, held: stmt.Hold, lasts: !c.tx.active, behind: len(c.tx.prelude)}
}

// checkCursor refuses a name that is taken on another shard; on its own one the server does so.
func (c *session) checkCursor(stmt *router.Statement, shard ring.ShardID) error {
	if c.unit.open && c.tx.implicit && !stmt.Hold {
		return &pgwire.Error{Code: "25P01", Message: "DECLARE CURSOR can only be used in transaction blocks"}
	}
	if known, ok := c.cursors[stmt.Name]; ok && known.shard != shard {
		return &pgwire.Error{Code: codeDuplicateCursor, Message: fmt.Sprintf("cursor %q already exists", stmt.Name)}
	}
	return nil
}

// cursorShards lists the shards that have cursors.
func (c *session) cursorShards() []ring.ShardID {
	if len(c.cursors) < 2 {
		return nil
	}
	var shards []ring.ShardID
	for _, known := range c.cursors {
		if !slices.Contains(shards, known.shard) {
			shards = append(shards, known.shard)
		}
	}
	slices.Sort(shards)
	return shards
}

// closeAllCursors is CLOSE ALL where several shards have cursors.
func (c *session) closeAllCursors() error {
	if err := c.drain(); err != nil {
		return err
	}
	for _, shard := range c.cursorShards() {
		if p := c.participant(shard); p != nil {
			if _, err := p.run("CLOSE ALL"); err != nil {
				return c.reject(err)
			}
		}
	}
	clear(c.cursors)
	return c.replyTag("CLOSE CURSOR ALL")
}

// closeCursors forgets the cursors that ended with the transaction.
func (c *session) closeCursors(committed bool) {
	for name, known := range c.cursors {
		if !known.lasts && !(known.held && committed) {
			delete(c.cursors, name)
			continue
		}
		known.lasts = true
		c.cursors[name] = known
	}
}

// undeclare forgets the cursors that ROLLBACK TO the savepoint at this place of the prelude has undone.
func (c *session) undeclare(at int) {
	for name, known := range c.cursors {
		if !known.lasts && known.behind > at {
			delete(c.cursors, name)
		}
	}
}

// loseCursors forgets those of a connection that is closed.
func (c *session) loseCursors(p *participant) {
	for name, known := range c.cursors {
		if known.shard == p.shard {
			delete(c.cursors, name)
		}
	}
}
