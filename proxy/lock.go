package proxy

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/router"
)

// lockTables runs LOCK TABLE on each shard, in the order of their names: sessions that lock the same table meet at the first one.
// A lock is no write, so the transaction may still write any one shard.
func (c *session) lockTables(ctx context.Context, s *spread, parts []router.Part) error {
	if !c.tx.active {
		return c.reject(&pgwire.Error{Code: "25P01", Message: "LOCK TABLE can only be used in transaction blocks"})
	}
	parts = slices.Clone(parts)
	slices.SortFunc(parts, func(a, b router.Part) int { return strings.Compare(string(a.Shard), string(b.Shard)) })
	for _, part := range parts {
		p, err := c.usePlain(ctx, part.Shard, false)
		if err != nil {
			return err
		}
		c.turn.part = nil
		p.scratch = true // the strongest lock gives the transaction an id
		p.locked = append(p.locked, s.stmt.Locks...)
		if _, err := p.run(s.sql(part)); err != nil {
			return c.reject(err)
		}
	}
	return c.replyTag("LOCK TABLE")
}

// notLocked is a condition on a lock l of relation c that LOCK TABLE has not taken. Who writes takes a RowExclusiveLock whatever
// other locks there are.
func (p *participant) notLocked() string {
	if len(p.locked) == 0 {
		return ""
	}
	quoted := make([]string, len(p.locked))
	for i, name := range p.locked {
		quoted[i] = fmt.Sprintf("pg_catalog.to_regclass('%s')", strings.ReplaceAll(name, "'", "''"))
	}
	return " AND (l.mode = 'RowExclusiveLock' OR c.oid <> ALL (ARRAY[" + strings.Join(quoted, ", ") + "]::pg_catalog.oid[]))"
}
