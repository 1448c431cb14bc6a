package rebalance

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/pgring/pgring/ring"
)

// Bounds of the wait for open sagas to be settled. Others may begin meanwhile: on slots that do not move, once nobody can write to those
// that do. So those that were open at one moment are waited for, or sagas that follow each other would hold a cut-over back for ever.
const (
	sagaLimit = 200 * time.Millisecond // while clients wait
	sagaReady = 2 * time.Second        // before
	sagaEvery = 5 * time.Millisecond   // from one look to the next
)

// openSagas lists the sagas that are not settled and have a step on the source, by their homes. Their undo statements are recorded for the
// shard that the step ran on, so they must have ended before slots leave it. Home's row is there before a step on another shard
// can commit; so when nobody can write to the moving slots any more, every saga that has is seen.
const openSagas = `SELECT id FROM pgring.saga WHERE mode <> '2pc' AND finished IS NULL AND $1 = ANY (shards)`

// stillOpen is one of those that were open before, if any is.
const stillOpen = `SELECT id FROM pgring.saga WHERE finished IS NULL AND id = ANY ($1) LIMIT 1`

// connectHomes opens a connection to each shard, so that looking at the sagas takes no time while clients wait.
func (d *driver) connectHomes(ctx context.Context) error {
	snap := d.topology().Current()
	if d.homes == nil {
		d.homes = map[ring.ShardID]*pgx.Conn{}
	}
	for _, s := range snap.Shards {
		if conn := d.homes[s.ID]; conn != nil && !conn.IsClosed() {
			continue
		}
		conn, err := d.connect(ctx, snap, s.ID)
		if err != nil {
			return err
		}
		d.homes[s.ID] = conn
	}
	return nil
}

// checkSagas waits for the sagas that are not settled and may have written to the moving slots. It returns a lateError when that takes
// longer than the limit. All shards are asked at once.
func (d *driver) checkSagas(ctx context.Context, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var group errgroup.Group
	for id, conn := range d.homes {
		// owner: checkSagas, which waits; ends with the answer or the limit.
		group.Go(func() error { return d.checkHome(ctx, id, conn) })
	}
	return group.Wait()
}

func (d *driver) checkHome(ctx context.Context, id ring.ShardID, conn *pgx.Conn) error {
	sagas, err := texts(ctx, conn, openSagas, string(d.move.From))
	open := sagas
	for err == nil && len(open) > 0 && pause(ctx, sagaEvery) {
		var left []string
		if left, err = texts(ctx, conn, stillOpen, sagas); err == nil {
			open = left
		}
	}
	switch {
	case isCode(err, "42P01"), isCode(err, "42703"): // no such table, or not that column: it has never been the home of a saga
		return nil
	case len(open) > 0 && ctx.Err() != nil:
		return &lateError{fmt.Sprintf("waiting for saga %s, which is not settled and has a step on shard %s", open[0], d.move.From)}
	case err != nil:
		return &lateError{fmt.Sprintf("waiting for shard %s to tell its open sagas", id)}
	}
	return nil
}
