package rebalance

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/topology"
)

// drainLimit bounds one wait for old statements; what is waited for is then shown, and the wait goes on.
const drainLimit = 5 * time.Second

// await waits for every proxy to have reached a stage, and shows for whom.
func (d *driver) await(ctx context.Context, stage topology.Stage, epoch int64) error {
	for {
		limited, cancel := context.WithTimeout(ctx, drainLimit)
		err := d.topology().AwaitProxies(limited, stage, epoch)
		cancel()
		var lagging *topology.LaggingError
		if !errors.As(err, &lagging) || ctx.Err() != nil {
			d.report(ctx, waiting(""))
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
			state = guardClosed
		}
		if err := d.guard(ctx, side, state); err != nil {
			return fmt.Errorf("guard shard %s: %w", side.id, err)
		}
	}
	if err := d.publish(ctx); err != nil {
		return fmt.Errorf("publish on shard %s: %w", d.move.From, err)
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
	for _, t := range d.tables {
		var there bool
		if err := s.conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = $1::text::regclass AND tgname = $2)",
			t.sql, guardName(d.move.ID)+"_truncate").Scan(&there); err != nil {
			return err
		}
		if there {
			continue
		}
		if err := alter(ctx, s.conn, t.guardDDL(d.move.ID, d.move.Slots)+t.keepDDL(d.move.ID)); err != nil {
			return fmt.Errorf("table %s: %w", t.name, err)
		}
	}
	return nil
}

func (d *driver) publish(ctx context.Context) error {
	if err := alter(ctx, d.source, "DROP PUBLICATION IF EXISTS "+publicationName(d.move.ID)); err != nil {
		return err
	}
	return alter(ctx, d.source, publicationDDL(d.move.ID, d.tables))
}

// dropSlot ends the stream for good. A controller that was overtaken may still be connected to it.
func (d *driver) dropSlot(ctx context.Context) error {
	d.endStream(ctx)
	name := slotName(d.topology().Current().ClusterID, d.move.ID)
	for {
		var there, active bool
		err := d.source.QueryRow(ctx, `SELECT true, coalesce(pg_terminate_backend(active_pid), false) FROM pg_replication_slots WHERE slot_name = $1`, name).
			Scan(&there, &active)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("look at slot %s: %w", name, err)
		}
		if !active {
			_, err = d.source.Exec(ctx, "SELECT pg_drop_replication_slot($1)", name)
			if err == nil || !isCode(err, "55006") {
				return err
			}
		}
		if !pause(ctx, 20*time.Millisecond) {
			return ctx.Err()
		}
	}
}
