package saga

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/ring"
)

// forget deletes the rows of sagas that were settled long ago: first home's row says that it is about to (a janitor that is late
// relies on "settled" being there before any barrier row is gone), then the steps' rows go, then home's own.
func (r *round) forget(ctx context.Context, home *visit) {
	ctx, cancel := context.WithTimeout(ctx, visitTimeout)
	defer cancel()
	if err := r.forgetSettled(ctx, home); err != nil {
		r.failed[home.shard] = fmt.Errorf("delete settled sagas of %s: %w", home.shard, err)
	}
	if err := r.forgetFences(ctx, home); err != nil {
		r.failed[home.shard] = fmt.Errorf("delete fences on %s: %w", home.shard, err)
	}
}

func (r *round) forgetSettled(ctx context.Context, home *visit) error {
	rows, err := home.conn.Query(ctx, `UPDATE pgring.saga SET cleaned = coalesce(cleaned, clock_timestamp()) WHERE id IN (
	SELECT id FROM pgring.saga WHERE finished < clock_timestamp() - $1::interval ORDER BY finished LIMIT $2)
RETURNING id, shards`, r.c.cfg.KeepFinished, cleanBatch)
	if err != nil {
		return err
	}
	settled, err := pgx.CollectRows(rows, pgx.RowToStructByPos[decision])
	if err != nil || len(settled) == 0 {
		return err
	}
	r.c.reach("forget", before, home.shard)
	left := map[string]bool{}
	for _, shard := range r.taking(settled) {
		if err := r.forgetOn(ctx, shard, settled, left); err != nil {
			return err
		}
		r.c.reach("forget", answered, shard)
	}
	ids := slices.DeleteFunc(idsOn(settled, ""), func(id string) bool { return left[id] })
	_, err = home.conn.Exec(ctx, "DELETE FROM pgring.saga WHERE id = ANY($1)", ids)
	r.c.reach("forget", answered, home.shard)
	return err
}

// taking are the shards that took part and are still in the cluster.
func (r *round) taking(settled []decision) []ring.ShardID {
	var shards []ring.ShardID
	for _, d := range settled {
		for _, shard := range d.Shards {
			if _, member := r.snap.Shard(shard); member && !slices.Contains(shards, shard) {
				shards = append(shards, shard)
			}
		}
	}
	return shards
}

// idsOn are the sagas that have a step on a shard; on any, if it is empty.
func idsOn(settled []decision, shard ring.ShardID) []string {
	var ids []string
	for _, d := range settled {
		if shard == "" || slices.Contains(d.Shards, shard) {
			ids = append(ids, d.ID)
		}
	}
	return ids
}

// forgetOn deletes the barrier rows on one shard and notes which sagas have some left. A fence stays while a transaction runs
// that ran when it was planted: that could be the one which it is to stop.
func (r *round) forgetOn(ctx context.Context, shard ring.ShardID, settled []decision, left map[string]bool) error {
	ids := idsOn(settled, shard)
	v := r.visits[shard]
	if v == nil {
		for _, id := range ids {
			left[id] = true
		}
		return nil
	}
	if _, err := v.conn.Exec(ctx, "DELETE FROM pgring.barrier b WHERE saga_id = ANY($1) AND NOT (kind = 'fence' AND "+stillRunsSQL+")", ids); err != nil {
		return err
	}
	rows, err := v.conn.Query(ctx, "SELECT saga_id FROM pgring.barrier WHERE saga_id = ANY($1)", ids)
	if err != nil {
		return err
	}
	var id string
	_, err = pgx.ForEachRow(rows, []any{&id}, func() error {
		left[id] = true
		return nil
	})
	return err
}

// stillRunsSQL is true of a fence b behind which a transaction runs that is as old as it.
const stillRunsSQL = `EXISTS (SELECT FROM pg_catalog.pg_locks l
	WHERE l.locktype = 'virtualxid' AND l.granted AND l.virtualxid = ANY(b.running))`

// forgetFences deletes fences of sagas whose home has no row: of attempts that never came to be, and of janitors that came late.
func (r *round) forgetFences(ctx context.Context, v *visit) error {
	rows, err := v.conn.Query(ctx, `SELECT DISTINCT saga_id FROM pgring.barrier WHERE kind = 'fence' AND position('.' IN saga_id) > 0
AND created < now() - $1::interval LIMIT $2`, r.c.cfg.keep, cleanBatch)
	if err != nil {
		return err
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	byHome := map[ring.ShardID][]string{}
	for _, id := range ids {
		if home, err := homeOf(id); err == nil && r.visits[home] != nil {
			byHome[home] = append(byHome[home], id)
		}
	}
	for home, ids := range byHome {
		var known []string
		err := r.visits[home].conn.QueryRow(ctx, "SELECT coalesce(array_agg(id), '{}') FROM pgring.saga WHERE id = ANY($1)", ids).Scan(&known)
		if err != nil {
			return err
		}
		_, err = v.conn.Exec(ctx, `DELETE FROM pgring.barrier b WHERE saga_id = ANY($1) AND saga_id <> ALL($2) AND kind = 'fence'
AND NOT `+stillRunsSQL, ids, known)
		if err != nil {
			return err
		}
	}
	return nil
}
