package rebalance

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/topology"
)

// clean removes what the source has of the slots. Its log first: it is kept for the slot as long as that is there. The rows are
// deleted when no statement and no open transaction is left that may read them there.
func (d *driver) clean(ctx context.Context) error {
	if err := d.dropSlot(ctx); err != nil {
		return err
	}
	if err := alter(ctx, d.source, "DROP PUBLICATION IF EXISTS "+publicationName(d.move.ID)); err != nil {
		return fmt.Errorf("drop the publication: %w", err)
	}
	if err := d.await(ctx, topology.StageDrain, d.move.Switched); err != nil {
		return err
	}
	for _, t := range d.tables {
		if err := d.deleteMoved(ctx, t); err != nil {
			return fmt.Errorf("delete from table %s on shard %s: %w", t.name, d.move.From, err)
		}
	}
	return d.release(ctx, side{d.move.To, d.target})
}

// pagesAtOnce is how much of a table one transaction goes through when rows are deleted.
const pagesAtOnce = 1000

// deleteMoved deletes the moved rows of a table on the source, range of pages by range of pages.
func (d *driver) deleteMoved(ctx context.Context, t *table) error {
	var pages int64
	var partitioned bool
	err := d.source.QueryRow(ctx, `SELECT relkind = 'p', CASE WHEN relkind = 'r' THEN pg_relation_size(oid) / current_setting('block_size')::int ELSE 0 END
FROM pg_class WHERE oid = $1::text::regclass`, t.sql).Scan(&partitioned, &pages)
	if err != nil {
		return err
	}
	if partitioned {
		return d.deleteRows(ctx, "DELETE FROM "+t.sql+" WHERE "+t.moving)
	}
	for from := int64(0); from <= pages; from += pagesAtOnce { // new rows may lie behind the last page, but not of these slots
		sql := fmt.Sprintf("DELETE FROM %s WHERE ctid >= '(%d,0)' AND ctid < '(%d,0)' AND %s", t.sql, from, from+pagesAtOnce, t.moving)
		if err := d.deleteRows(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}

// deleteRows runs one delete on the source, unless another controller drives the move by now, or the source is open for the slots.
func (d *driver) deleteRows(ctx context.Context, sql string) error {
	return pgx.BeginFunc(ctx, d.source, func(tx pgx.Tx) error {
		state, err := hold(ctx, tx, d.move.ID, d.term)
		if err != nil {
			return err
		}
		if state == guardOpen {
			return stopped("shard %s is open for slots that have moved", d.move.From)
		}
		if _, err := tx.Exec(ctx, "SET LOCAL session_replication_role = replica"); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, sql)
		return err
	})
}

// release takes the guards off a shard that owns the slots, or has nothing of them.
func (d *driver) release(ctx context.Context, s side) error {
	for _, t := range d.tables {
		if err := alter(ctx, s.conn, t.unguardDDL(d.move.ID)); err != nil {
			return fmt.Errorf("unguard table %s on shard %s: %w", t.name, s.id, err)
		}
	}
	for _, table := range []string{"pgring.guards", "pgring.move_progress"} {
		var there bool
		if err := s.conn.QueryRow(ctx, "SELECT to_regclass($1) IS NOT NULL", table).Scan(&there); err != nil || !there {
			return err
		}
		if _, err := s.conn.Exec(ctx, "DELETE FROM "+table+" WHERE move = $1 AND term <= $2", d.move.ID, d.term); err != nil {
			return err
		}
	}
	return nil
}

// unguard takes the guard off the source. It stays as long as a proxy is known that may have an old map, be its lease over or not:
// nothing else would keep such a one from writing to the source.
func (d *driver) unguard(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	err := d.topology().AwaitProxies(limited, topology.StageForgets, d.move.Switched)
	var lagging *topology.LaggingError
	if errors.As(err, &lagging) {
		d.report(ctx, waiting(lagging.Error()+", which may come back with an old map; it is forgotten after a day"))
		return errLater
	}
	if err != nil {
		return err
	}
	return d.release(ctx, side{d.move.From, d.source})
}

// undo takes back everything, in the opposite order: the source is as if nothing had been, and nothing is left on the target.
func (d *driver) undo(ctx context.Context) error {
	guarded, err := d.guarded(ctx, d.source)
	if err != nil {
		return err
	}
	if guarded {
		if err := setGuard(ctx, d.source, d.move.ID, d.term, guardOpen); err != nil {
			return err
		}
	}
	if err := d.dropSlot(ctx); err != nil {
		return err
	}
	if err := alter(ctx, d.source, "DROP PUBLICATION IF EXISTS "+publicationName(d.move.ID)); err != nil {
		return fmt.Errorf("drop the publication: %w", err)
	}
	if guarded, err = d.guarded(ctx, d.target); err != nil {
		return err
	}
	if guarded { // else no row was ever copied
		if err := d.purge(ctx); err != nil {
			return fmt.Errorf("purge shard %s: %w", d.move.To, err)
		}
	}
	for _, s := range d.sides() {
		if err := d.release(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// guarded reports whether a shard knows of the move.
func (d *driver) guarded(ctx context.Context, conn *pgx.Conn) (there bool, err error) {
	if err := conn.QueryRow(ctx, "SELECT to_regclass('pgring.guards') IS NOT NULL").Scan(&there); err != nil || !there {
		return false, err
	}
	err = conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pgring.guards WHERE move = $1)", d.move.ID).Scan(&there)
	return there, err
}
