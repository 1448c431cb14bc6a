package saga

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/ring"
)

// verdict is what is known of the decision.
type verdict uint8

const (
	committed verdict = iota + 1 // the row is durable on home, with home's work
	refused                      // home has rolled back, and no row can ever appear
	fenced                       // the same by a fence of ours, unless the row was cleaned away long ago
	unknown                      // home does not answer
)

// decide ends home's transaction together with the row that decides for all. They go out as one message: if the row is
// refused, the server does not get to COMMIT.
func (c *Coordinator) decide(ctx context.Context, t *transaction, shards []ring.ShardID) (verdict, error) {
	b := t.home
	c.ask(ctx, "decide", []*branch{b}, func(*branch) []byte { return query(decideSQL(t.id.secret, shards)) })
	switch {
	case b.err == nil && b.answer.tag == "COMMIT":
		b.state = ended
		return committed, nil
	case b.err == nil:
		b.state = ended
		return refused, &AbortedError{Shard: b.shard, Err: errNotOpen}
	case isLost(b.err):
		b.state = ended // the server ends what is open on a lost connection
		return c.resolve(ctx, t)
	}
	switch code(b.err) {
	case codeUndefinedFunction, codeUndefinedSchema, codeUndefinedTable:
		c.facts.forgetInstalled(b.shard)
	}
	if b.conn.Status() == pgwire.TxIdle {
		b.state = ended
	}
	return refused, &AbortedError{Shard: b.shard, Err: b.err}
}

func decideSQL(secret string, shards []ring.ShardID) string {
	list := make([]string, len(shards))
	for i, shard := range shards {
		list[i] = quote(string(shard))
	}
	return "SELECT pgring.decide(" + quote(secret) + ", ARRAY[" + strings.Join(list, ",") + "]::pg_catalog.text[]); COMMIT"
}

// resolve finds out what became of a decision whose answer was lost, and if nothing did, sees to it that nothing will.
func (c *Coordinator) resolve(ctx context.Context, t *transaction) (verdict, error) {
	cause := t.home.err
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.cfg.patience)
	defer cancel()
	for pause := 20 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		found, planted, err := c.ruling(ctx, t.home.shard, t.id.name)
		switch {
		case err == nil && found == rowAction:
			return committed, nil
		case err == nil && planted:
			return fenced, &AbortedError{Shard: t.home.shard, Err: cause}
		case err == nil:
			return refused, &AbortedError{Shard: t.home.shard, Err: cause}
		}
		if wait(ctx, pause) != nil {
			return unknown, &UnknownError{Shard: t.home.shard, ID: t.id.name, Err: fmt.Errorf("%w; then: %w", cause, err)}
		}
	}
}

// ruling asks home with a connection of its own.
func (c *Coordinator) ruling(ctx context.Context, home ring.ShardID, id string) (found rowKind, planted bool, err error) {
	conn, err := c.operator(ctx, home)
	if err != nil {
		return "", false, err
	}
	defer hangUp(ctx, conn)
	return c.rule(ctx, conn, home, id)
}

// fenceWait is when a fence counts as one that had to wait.
const fenceWait = 100 * time.Millisecond

// rowKind is what the row under a step's unique key says.
type rowKind string

const (
	rowAction rowKind = "action" // decided: commit
	rowFence  rowKind = "fence"  // given up: can never be decided any more
	rowSkip   rowKind = "skip"   // an operator says that it is done
)

// rule returns the decision about a 2pc transaction, after making one if there is none. Planted says that the fence is ours.
func (c *Coordinator) rule(ctx context.Context, conn *pgx.Conn, home ring.ShardID, id string) (found rowKind, planted bool, err error) {
	return c.fence(ctx, conn, home, id, 0)
}

// fence returns the row of a step's own work, after planting a fence if there is none. The INSERT waits for a COMMIT under way,
// because that holds the same unique key. Planted says that the fence is ours.
func (c *Coordinator) fence(ctx context.Context, conn *pgx.Conn, shard ring.ShardID, id string, step int) (found rowKind, planted bool, err error) {
	c.reach("fence", before, shard)
	begun := time.Now()
	tag, err := conn.Exec(ctx, fenceSQL, id, step)
	c.reach("fence", answered, shard)
	if time.Since(begun) > fenceWait {
		c.counter.fenceWaits.Add(1)
	}
	if err != nil {
		return "", false, fmt.Errorf("plant fence on %s: %w", shard, err)
	}
	if tag.RowsAffected() == 1 {
		return rowFence, true, nil
	}
	if err := conn.QueryRow(ctx, rulingSQL, id, step).Scan(&found); err != nil {
		return "", false, fmt.Errorf("read row of step %d on %s: %w", step, shard, err)
	}
	return found, false, nil
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
