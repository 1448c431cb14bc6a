package saga

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/ring"
)

// cleanBatch bounds the rows that are deleted on one shard in one round.
const cleanBatch = 10_000

// decision is a row of pgring.saga.
type decision struct {
	ID     string
	Shards []ring.ShardID
}

// oldDecisions reads decisions that nobody is likely to ask for any more. A round reads them before it lists what is prepared:
// whatever a decided transaction has prepared was prepared before its decision, so a list that is read later and does not show
// it proves that it is finished.
func (c *Coordinator) oldDecisions(ctx context.Context, conn *pgx.Conn) ([]decision, error) {
	rows, err := conn.Query(ctx, `SELECT id, shards FROM pgring.saga
WHERE mode = '2pc' AND started < now() - $1::interval ORDER BY started LIMIT $2`, c.cfg.keep, cleanBatch)
	if err != nil {
		return nil, fmt.Errorf("read decisions: %w", err)
	}
	old, err := pgx.CollectRows(rows, pgx.RowToStructByPos[decision])
	if err != nil {
		return nil, fmt.Errorf("read decisions: %w", err)
	}
	return old, nil
}

// oldFences reports whether there are fences that may be deleted.
func (c *Coordinator) oldFences(ctx context.Context, conn *pgx.Conn) (found bool, err error) {
	err = conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pgring.barrier WHERE kind = 'fence' AND created < now() - $1::interval)", c.cfg.keep).Scan(&found)
	if err != nil {
		return false, fmt.Errorf("look for fences: %w", err)
	}
	return found, nil
}

// clean deletes decisions that have been carried out everywhere, and fences that nobody can run into any more.
func (r *round) clean(ctx context.Context, home *visit) {
	ctx, cancel := context.WithTimeout(ctx, visitTimeout)
	defer cancel()
	ids := r.carriedOut(home)
	if len(ids) == 0 && !home.fences {
		return
	}
	r.c.reach("clean", before, home.shard)
	err := pgx.BeginFunc(ctx, home.conn, func(tx pgx.Tx) error {
		return deleteRows(ctx, tx, ids, r.c.cfg.keep)
	})
	r.c.reach("clean", answered, home.shard)
	if err != nil {
		r.failed[home.shard] = fmt.Errorf("delete decisions on %s: %w", home.shard, err)
	}
}

// carriedOut picks the decisions of which nothing is prepared any more. All shards that took part must have been looked at, but
// for those that have left the cluster.
func (r *round) carriedOut(home *visit) []string {
	waiting := map[string]bool{}
	for _, v := range r.visits {
		for _, f := range v.prepared {
			waiting[f.transaction] = true
		}
	}
	var ids []string
	for _, d := range home.old {
		unseen := slices.ContainsFunc(d.Shards, func(shard ring.ShardID) bool {
			_, member := r.snap.Shard(shard)
			return member && r.visits[shard] == nil
		})
		if !unseen && !waiting[d.ID] {
			ids = append(ids, d.ID)
		}
	}
	return ids
}

// deleteRows deletes decisions by id, and old fences. A fence keeps its proxy from deciding, whose home transaction was open
// before anything was prepared: so once every transaction that ran when the fence was planted has ended, nobody can decide any
// more and the fence is not needed. After a restart of the server another transaction may have the number of one that is gone;
// then the fence only stays for longer.
func deleteRows(ctx context.Context, tx pgx.Tx, ids []string, keep time.Duration) error {
	if len(ids) > 0 {
		if _, err := tx.Exec(ctx, "DELETE FROM pgring.barrier WHERE saga_id = ANY($1)", ids); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "DELETE FROM pgring.saga WHERE id = ANY($1)", ids); err != nil {
			return err
		}
	}
	_, err := tx.Exec(ctx, `DELETE FROM pgring.barrier b WHERE kind = 'fence' AND step = 0 AND created < now() - $1::interval
AND position('.' IN saga_id) = 0 AND NOT `+stillRunsSQL, keep)
	return err
}
