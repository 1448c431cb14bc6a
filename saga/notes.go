package saga

import (
	"context"
	"fmt"
	"sync"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/ring"
)

// maxNotes bounds the notes about one home. What is not noted is found out by a janitor, after the lease.
const maxNotes = 20_000

// notes are the sagas that this process has seen to be committed on all shards, and whose homes do not say so yet: that is
// written in batches.
type notes struct {
	mu  sync.Mutex
	ids map[ring.ShardID][]string // by home
}

func (n *notes) add(home ring.ShardID, ids ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	room := max(maxNotes-len(n.ids[home]), 0)
	n.ids[home] = append(n.ids[home], ids[:min(room, len(ids))]...)
}

func (n *notes) take(home ring.ShardID) []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	ids := n.ids[home]
	delete(n.ids, home)
	return ids
}

func (n *notes) none(home ring.ShardID) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.ids[home]) == 0
}

// writeNotes tells a home what is known of its sagas.
func (c *Coordinator) writeNotes(ctx context.Context, conn *pgx.Conn, home ring.ShardID) error {
	ids := c.notes.take(home)
	if len(ids) == 0 {
		return nil
	}
	c.reach("note", before, home)
	tag, err := conn.Exec(ctx, `UPDATE pgring.saga SET state = 'COMMITTED', reason = NULL, finished = clock_timestamp(), leased = NULL, retry = NULL
WHERE id = ANY($1) AND finished IS NULL`, ids)
	c.reach("note", answered, home)
	if err != nil {
		c.notes.add(home, ids...)
		return fmt.Errorf("note what is committed on %s: %w", home, err)
	}
	c.counter.sagasCommitted.Add(tag.RowsAffected())
	return nil
}
