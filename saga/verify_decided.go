package saga

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

// tooLong is after how many graces a prepared transaction is a problem (a minute): a janitor ends it in the round after the first.
const tooLong = 6

// readDecisions looks for decisions of two-phase commits that have lost one of their two rows. Both are written by one transaction
// and deleted by one, and are read here by one statement.
func (v *verification) readDecisions(ctx context.Context, shard ring.ShardID) error {
	rows, err := v.conns[shard].Query(ctx, `SELECT coalesce(s.id, b.saga_id), s.id IS NOT NULL, coalesce(b.kind, '')
FROM (SELECT * FROM pgring.saga WHERE mode = '2pc') s
FULL JOIN (SELECT * FROM pgring.barrier WHERE step = 0 AND op = 'a' AND position('.' IN saga_id) = 0) b ON b.saga_id = s.id`)
	if err != nil {
		return fmt.Errorf("read decisions: %w", err)
	}
	var id string
	var decided bool
	var kind rowKind
	_, err = pgx.ForEachRow(rows, []any{&id, &decided, &kind}, func() error {
		if decided {
			v.report.Decisions++
		}
		switch {
		case decided && kind != rowAction:
			v.decided = append(v.decided, Problem{ID: id, Shard: shard, Text: "decided, but its barrier row is missing or a fence"})
		case !decided && kind == rowAction:
			v.decided = append(v.decided, Problem{ID: id, Shard: shard, Text: "decided, but its row in pgring.saga is missing"})
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read decisions: %w", err)
	}
	return nil
}

// readPrepared looks for prepared transactions that nobody will end.
func (v *verification) readPrepared(ctx context.Context, snap *topology.Snapshot, shard ring.ShardID) error {
	list, err := listPrepared(ctx, v.conns[shard], snap.ClusterID)
	if err != nil {
		return err
	}
	v.report.Prepared += len(list)
	for _, f := range list {
		text := ""
		if _, member := snap.Shard(f.home); !member {
			text = fmt.Sprintf("prepared, and its home %s is not in the cluster any more", f.home)
		} else if f.age > tooLong*v.c.cfg.grace {
			text = fmt.Sprintf("prepared for %s, and no proxy has ended it", f.age.Round(time.Second))
		}
		if text != "" {
			v.decided = append(v.decided, Problem{ID: f.transaction, Shard: shard, Step: f.step, Text: text})
		}
	}
	return nil
}
