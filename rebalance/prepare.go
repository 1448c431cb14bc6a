package rebalance

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/topology"
	"github.com/pgring/pgring/topology/partition"
)

// drainLimit bounds one wait for old statements; what is waited for is then shown, and the wait goes on.
const drainLimit = time.Second

// await waits for every proxy to have reached a stage, and shows for whom.
func (d *driver) await(ctx context.Context, stage topology.Stage, epoch int64) error {
	for shown := false; ; shown = true {
		limited, cancel := context.WithTimeout(ctx, drainLimit)
		err := d.topology().AwaitProxies(limited, stage, epoch)
		cancel()
		var lagging *topology.LaggingError
		if !errors.As(err, &lagging) || ctx.Err() != nil {
			if shown { // else nobody waits for that, too
				d.report(ctx, waiting(""))
			}
			return err
		}
		d.report(ctx, waiting(lagging.Error()))
	}
}

// prepare makes the guards and the publication. The slots are hidden on the target since this state was recorded, and every
// statement from before has ended when the first row comes.
func (d *driver) prepare(ctx context.Context) error {
	for _, side := range d.sides() {
		state := guardOpen
		if side.id == d.move.To {
			state = guardFollowing
		}
		if err := d.guard(ctx, side, state); err != nil {
			return fmt.Errorf("guard shard %s: %w", side.id, err)
		}
	}
	for _, side := range d.sides() {
		if side.id == d.move.To && !d.wantsReturn() {
			continue
		}
		if err := d.publish(ctx, side); err != nil {
			return fmt.Errorf("publish on shard %s: %w", side.id, err)
		}
	}
	return d.await(ctx, topology.StageDrain, d.topology().Current().Epoch)
}

// guard makes the guard's row, then the triggers that ask for it. A table that has them already keeps them.
func (d *driver) guard(ctx context.Context, s side, state string) error {
	if _, err := s.conn.Exec(ctx, shardSchema); err != nil {
		return err
	}
	var term int64
	err := s.conn.QueryRow(ctx, `INSERT INTO pgring.guards (move, term, state) VALUES ($1, $2, $3)
ON CONFLICT (move) DO UPDATE SET term = greatest(guards.term, excluded.term) RETURNING term`, d.move.ID, d.term, state).Scan(&term)
	if err == nil && term != d.term {
		return errOvertaken
	}
	if err != nil {
		return err
	}
	// Who drops partitions looks for guards when it has its lock: from here on nobody does, and who did has ended.
	if _, err := s.conn.Exec(ctx, "SELECT pg_advisory_xact_lock($1, 0)", partition.DropLock); err != nil {
		return fmt.Errorf("wait for partitions that are being dropped: %w", err)
	}
	for _, t := range d.tables {
		var there bool
		if err := s.conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = $1::text::regclass AND tgname = $2)",
			t.sql, guardName(d.move.ID)+"_truncate").Scan(&there); err != nil {
			return err
		}
		if there {
			continue
		}
		if err := d.alter(ctx, s, t.guardDDL(d.move.ID, d.move.Slots)+t.keepDDL(d.move.ID)); err != nil {
			return fmt.Errorf("table %s: %w", t.name, err)
		}
	}
	return d.guardReferences(ctx, s)
}

func (d *driver) publish(ctx context.Context, s side) error {
	if err := d.unpublish(ctx, s); err != nil {
		return err
	}
	return d.alter(ctx, s, publicationDDL(d.move.ID, d.tables))
}

func (d *driver) unpublish(ctx context.Context, s side) error {
	if err := d.alter(ctx, s, "DROP PUBLICATION IF EXISTS "+publicationName(d.move.ID)); err != nil {
		return fmt.Errorf("drop the publication on shard %s: %w", s.id, err)
	}
	return nil
}

// dropSlots ends the streams from a shard for good, but for the one that is to be kept; with them the shard can forget its log. A
// controller that was overtaken may still be connected.
func (d *driver) dropSlots(ctx context.Context, s side, kept string) error {
	for {
		var name string
		var active bool
		err := s.conn.QueryRow(ctx, `SELECT slot_name, coalesce(pg_terminate_backend(active_pid), false) FROM pg_replication_slots
WHERE starts_with(slot_name, $1) AND slot_name <> $2 AND database = current_database() LIMIT 1`,
			slotPrefix(d.topology().Current().ClusterID, d.move.ID), kept).Scan(&name, &active)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("look at the slots on shard %s: %w", s.id, err)
		}
		if !active {
			_, err := s.conn.Exec(ctx, "SELECT pg_drop_replication_slot($1)", name)
			switch {
			case err == nil:
				continue
			case !isCode(err, "55006") && !isCode(err, "42704"): // in use again, or dropped by another controller
				return fmt.Errorf("drop slot %s on shard %s: %w", name, s.id, err)
			}
		}
		if !pause(ctx, 20*time.Millisecond) {
			return ctx.Err()
		}
	}
}
