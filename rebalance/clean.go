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
// deleted when no statement and no open transaction is left that may read them there, or that may have met them on the target when that
// was not open yet.
func (d *driver) clean(ctx context.Context) error {
	if err := d.endStreams(ctx); err != nil {
		return err
	}
	if err := d.await(ctx, topology.StageDrain, d.topology().Current().Epoch); err != nil {
		return err
	}
	for _, t := range d.tables {
		if err := d.deleteMoved(ctx, t); err != nil {
			return fmt.Errorf("delete from table %s on shard %s: %w", t.name, d.move.From, err)
		}
	}
	if err := setGuard(ctx, d.source, d.move.ID, d.term, guardOver); err != nil {
		return fmt.Errorf("let tables be truncated on shard %s: %w", d.move.From, err)
	}
	return nil
}

// endStreams drops replication slots and publications of both sides.
func (d *driver) endStreams(ctx context.Context) error {
	d.endStream(ctx)
	for _, s := range d.sides() {
		if err := d.dropSlots(ctx, s, ""); err != nil {
			return err
		}
		if err := d.unpublish(ctx, s); err != nil {
			return err
		}
	}
	return nil
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

// release takes the guards off a shard that owns the slots, or has nothing of them: off every table that has them, be it of the
// group still or not.
func (d *driver) release(ctx context.Context, s side) error {
	drops, err := texts(ctx, s.conn, `SELECT string_agg(format('DROP TRIGGER %I ON %s', tgname, tgrelid::regclass), '; ') FROM pg_trigger
WHERE (starts_with(tgname, $1) OR starts_with(tgname, $2)) AND NOT tgisinternal AND tgparentid = 0 GROUP BY tgrelid`, guardName(d.move.ID)+"_", referenceGuard(d.move.ID)+"_")
	if err != nil {
		return err
	}
	for _, ddl := range drops {
		if err := d.alter(ctx, s, ddl); err != nil {
			return fmt.Errorf("unguard shard %s: %w", s.id, err)
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

// unguardLimit is how long taking guards off may wait for the tables in one go. A transaction of a proxy that stands still may hold
// them for long; meanwhile the guards hinder nobody.
const unguardLimit = 15 * time.Second

// unguard takes the guards off, the target's, which is open, and then the source's.
func (d *driver) unguard(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, unguardLimit)
	defer cancel()
	err := d.unguardTarget(limited)
	if err == nil {
		err = d.unguardSource(limited)
	}
	if isCode(err, "55P03") || isCode(err, "40P01") || err != nil && limited.Err() != nil && ctx.Err() == nil {
		d.report(ctx, waiting("waiting for transactions that use the tables, to take the guards off. Nothing is kept from moving by that"))
		return errLater
	}
	return err
}

func (d *driver) unguardTarget(ctx context.Context) error {
	snap := d.topology().Current()
	if _, known := snap.Shard(d.move.To); !known { // it has given the slots away, and left
		return nil
	}
	conn, err := d.connect(ctx, snap, d.move.To)
	if err != nil {
		return err
	}
	defer hangUp(ctx, conn)
	if err := d.release(ctx, side{d.move.To, conn}); err != nil {
		return err
	}
	d.controller.opened.Store(d.move.ID, true)
	return nil
}

// unguardSource takes the guard off the source. It stays as long as a proxy is known that may have an old map, be its lease over or
// not: nothing else would keep such a one from writing to the source.
func (d *driver) unguardSource(ctx context.Context) error {
	if err := d.controller.forgotten(ctx, &d.move); err != nil {
		d.report(ctx, waiting(err.Error()+", which may come back with an old map; it is forgotten after a day. Nothing is kept from moving by that"))
		return errLater
	}
	if _, err := d.source.Exec(ctx, "UPDATE pgring.guards SET state = $3 WHERE move = $1 AND term = $2", d.move.ID, d.term, guardLeaving); err != nil {
		return err
	}
	return d.release(ctx, side{d.move.From, d.source})
}

// forgotten returns nil when a finished move's guard is of no use any more: no proxy is known that was last heard of with an older
// map, or the source has its slots back.
func (c *Controller) forgotten(ctx context.Context, m *topology.Move) error {
	if c.cfg.Topology.Current().Guarded(m).Empty() {
		return nil
	}
	return c.cfg.Topology.CheckProxies(ctx, topology.StageForgets, m.Switched)
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
	if err := d.endStreams(ctx); err != nil {
		return err
	}
	if guarded, err = d.guarded(ctx, d.target); err != nil {
		return err
	}
	if guarded { // else no row was ever copied
		if err := d.purge(ctx); err != nil {
			return fmt.Errorf("purge shard %s: %w", d.move.To, err)
		}
		if err := d.shareGuards(ctx, true); err != nil {
			return fmt.Errorf("give guards back on shard %s: %w", d.move.To, err)
		}
	}
	for _, s := range d.sides() {
		if err := d.release(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// errGone means that the guard of another move is not there any longer.
var errGone = errors.New("the guard is gone")

// shareGuards fits the guards that earlier moves have left on the target, which was their source: they refuse neither what it owns
// nor what a move brings back to it, which has a guard of its own. It is done before every cut-over. Back makes them refuse again
// what this move would have brought.
func (d *driver) shareGuards(ctx context.Context, back bool) error {
	snap := d.topology().Current()
	for _, m := range snap.Moves {
		if m.State != topology.MoveGuarding || m.Group != d.move.Group || m.From != d.move.To || !m.Slots.Overlaps(d.move.Slots) {
			continue
		}
		left := snap.Guarded(m)
		for _, o := range snap.Moves {
			coming := o.State >= topology.MoveCopying && o.State <= topology.MoveFreezing // its guard is there
			if coming && o.Group == m.Group && o.To == m.From {
				left = left.Without(o.Slots)
			}
		}
		if back {
			left = left.Union(d.move.Slots.Without(d.move.Slots.Without(m.Slots)))
		}
		for _, t := range d.tables {
			err := d.alterIf(ctx, d.to(), t.unguardDDL(m.ID)+t.guardDDL(m.ID, left), func(tx pgx.Tx) error { return d.guardIsThere(ctx, tx, m.ID) })
			if err != nil && !errors.Is(err, errGone) {
				return fmt.Errorf("table %s: %w", t.name, err)
			}
		}
	}
	return nil
}

// guardIsThere makes sure, until the transaction ends, that another move's guard is not being taken off, and that no other
// controller drives.
func (d *driver) guardIsThere(ctx context.Context, tx pgx.Tx, move int64) error {
	if _, err := hold(ctx, tx, d.move.ID, d.term); err != nil {
		return err
	}
	var state string
	err := tx.QueryRow(ctx, "SELECT state FROM pgring.guards WHERE move = $1 AND state <> $2 FOR UPDATE", move, guardLeaving).Scan(&state)
	if errors.Is(err, pgx.ErrNoRows) {
		return errGone
	}
	return err
}

// guarded reports whether a shard knows of the move.
func (d *driver) guarded(ctx context.Context, conn *pgx.Conn) (there bool, err error) {
	if err := conn.QueryRow(ctx, "SELECT to_regclass('pgring.guards') IS NOT NULL").Scan(&there); err != nil || !there {
		return false, err
	}
	err = conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pgring.guards WHERE move = $1)", d.move.ID).Scan(&there)
	return there, err
}
