package rebalance

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/topology"
)

// A move that has switched stays reversible for a while. Changes that clients make on the target come back to the source, which
// keeps its rows, hidden and closed: it is where the target was while that was catching up. So the driver of a reversible move sees
// it from the other side, as one whose source is the shard that serves, and reverting is a cut-over like any other.

const (
	returnEvery = time.Second     // how often a reversible move is looked at
	slotLimit   = 5 * time.Second // making a replication slot waits for the transactions that have written to the shard
	returnLimit = time.Second     // clients wait while the way back begins
)

// wantsReturn reports whether the move is to be reversible.
func (d *driver) wantsReturn() bool {
	return d.controller.cfg.Reversible > 0 && !d.move.Reverted
}

// prepareReturn makes the replication slot that will have everything that clients change on the target. What the stream brings there
// until the switch is in it, too, and left out by where the way back begins.
func (d *driver) prepareReturn(ctx context.Context) error {
	if !d.wantsReturn() {
		return nil
	}
	if err := d.dropSlots(ctx, d.to(), ""); err != nil { // one of an earlier attempt keeps log that nobody needs
		return err
	}
	limited, cancel := context.WithTimeout(ctx, slotLimit)
	defer cancel()
	err := d.publishBack(limited)
	if err == nil {
		err = d.makeReturnSlot(limited)
	}
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		return &lateError{"waiting for transactions that write on shard " + string(d.move.To) + ", to make the slot for the way back"}
	}
	return err
}

// publishBack makes the publication for the way back, if it was not made with the other: by a controller that wanted none.
func (d *driver) publishBack(ctx context.Context) error {
	var there bool
	err := d.target.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_publication WHERE pubname = $1)", publicationName(d.move.ID)).Scan(&there)
	if err != nil || there {
		return err
	}
	return d.publish(ctx, d.to())
}

func (d *driver) makeReturnSlot(ctx context.Context) error {
	d.back = ""
	repl, err := d.replicate(ctx, d.to())
	if err != nil {
		return err
	}
	defer closeConn(ctx, repl)
	name := newSlotName(d.topology().Current().ClusterID, d.move.ID)
	_, err = pglogrepl.CreateReplicationSlot(ctx, repl, name, "pgoutput", pglogrepl.CreateReplicationSlotOptions{SnapshotAction: "NOEXPORT_SNAPSHOT"})
	if err != nil {
		return fmt.Errorf("create slot %s on shard %s: %w", name, d.move.To, err)
	}
	d.back = name
	return nil
}

// beginReturn records on the source where the way back begins: behind everything that the source itself has sent, and before anything
// that clients write on the target, which is closed to them yet. Whatever goes wrong, they do not wait for it: then there is no way
// back, and it returns false.
func (d *driver) beginReturn(ctx context.Context) bool {
	if !d.wantsReturn() {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, returnLimit)
	defer cancel()
	err := d.recordReturn(ctx)
	if err != nil {
		d.log.Warn("the move is not reversible", "error", err)
	}
	return err == nil
}

func (d *driver) recordReturn(ctx context.Context) error {
	if d.back == "" { // another controller has switched; perhaps it has done this, too
		var there bool
		err := d.source.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pgring.move_progress WHERE move = $1)", d.move.ID).Scan(&there)
		if err != nil || there {
			return err
		}
		if err := d.makeReturnSlot(ctx); err != nil {
			return err
		}
	}
	end, err := d.end(ctx, d.to())
	if err != nil {
		return err
	}
	// The target is closed for as long as the term is this controller's, so that nothing that clients write lies before the end.
	tag, err := d.source.Exec(ctx, `WITH guard AS (UPDATE pgring.guards SET state = $3 WHERE move = $1 AND term = $2 RETURNING move)
INSERT INTO pgring.move_progress (move, term, lsn, slot) SELECT $1, $2, $4::text::pg_lsn, $5 FROM guard`,
		oneExchange, d.move.ID, d.term, guardClosed, end.String(), d.back)
	if err == nil && tag.RowsAffected() == 0 {
		err = errOvertaken
	}
	return err
}

// noReturnError says why a move is not reversible any longer.
type noReturnError struct {
	reason string
}

func (e *noReturnError) Error() string { return e.reason }

// checkReturn ends the way back when its time or its log is used up, whether the shard that it leads to answers or not.
func (d *driver) checkReturn(ctx context.Context) error {
	err := d.returnable(ctx)
	var over *noReturnError
	if !errors.As(err, &over) {
		return err
	}
	if err := d.dropSlots(ctx, d.from(), ""); err != nil {
		return err
	}
	if err := d.advance(ctx, topology.MoveCleaning); err != nil {
		return err
	}
	d.log.Info("the move is no longer reversible", "reason", over.reason)
	return errLater
}

// returnable reports how much log the serving shard keeps for the way back, and returns a noReturnError when that is over.
func (d *driver) returnable(ctx context.Context) error {
	var kept *int64
	err := d.source.QueryRow(ctx, `SELECT max(pg_wal_lsn_diff(pg_current_wal_insert_lsn(), restart_lsn))::bigint FROM pg_replication_slots
WHERE starts_with(slot_name, $1) AND database = current_database()`, slotPrefix(d.topology().Current().ClusterID, d.move.ID)).Scan(&kept)
	if err != nil {
		return fmt.Errorf("look at the slots on shard %s: %w", d.move.From, err)
	}
	limit := d.controller.cfg.ReturnLog
	switch {
	case time.Now().After(d.move.Until):
		return &noReturnError{"its time is over"}
	case kept == nil:
		return &noReturnError{errSlotLost.Error()}
	case limit > 0 && *kept > limit:
		return &noReturnError{fmt.Sprintf("shard %s would have to keep more than %d bytes of log for it", d.move.From, limit)}
	}
	d.report(ctx, logKept(*kept))
	return nil
}

// followBack brings to the source what clients change on the target, until the move is reverted, or nobody can do that any more.
func (d *driver) followBack(ctx context.Context) (topology.MoveState, error) {
	if err := d.settleReturn(ctx); err != nil {
		return d.move.State, err
	}
	opened, passing := d.topology().Current().Epoch, false
	for {
		if err := d.wanted(); err != nil {
			return d.move.State, err
		}
		err := d.returnable(ctx)
		if err == nil {
			err = d.follow(ctx, min(returnEvery, time.Until(d.move.Until)))
		}
		if err == nil {
			err = d.reportLag(ctx)
		}
		if err == nil && !passing {
			passing, err = d.passCascades(ctx, opened)
		}
		var over *noReturnError
		var broken *StoppedError
		if errors.As(err, &over) || errors.As(err, &broken) || errors.Is(err, errSlotLost) {
			d.log.Info("the move is no longer reversible", "reason", err)
			return topology.MoveCleaning, nil
		}
		if err != nil {
			return d.move.State, err
		}
	}
}

// passCascades lets the shard that follows pass over foreign keys' actions, when no statement is left, of whatever proxy, that began before
// the other one was opened: it could have met the rows on neither shard as those that count.
func (d *driver) passCascades(ctx context.Context, opened int64) (bool, error) {
	err := d.topology().CheckProxies(ctx, topology.StageForgets, opened)
	var lagging *topology.LaggingError
	if errors.As(err, &lagging) {
		return false, nil
	}
	if err == nil {
		_, err = d.target.Exec(ctx, "UPDATE pgring.guards SET state = $3 WHERE move = $1 AND term = $2 AND state = $4", d.move.ID, d.term, guardFollowing, guardClosed)
	}
	return err == nil, err
}

// settleReturn drops what the way there has left, and opens the shard that serves: it is closed when reverting was cancelled late.
func (d *driver) settleReturn(ctx context.Context) error {
	if err := setGuard(ctx, d.source, d.move.ID, d.term, guardOpen); err != nil {
		return fmt.Errorf("open shard %s: %w", d.move.From, err)
	}
	var slot string
	err := d.target.QueryRow(ctx, "SELECT slot FROM pgring.move_progress WHERE move = $1", d.move.ID).Scan(&slot)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return fmt.Errorf("read the progress on shard %s: %w", d.move.To, err)
	}
	if err := d.dropSlots(ctx, d.to(), ""); err != nil {
		return err
	}
	if err := d.unpublish(ctx, d.to()); err != nil {
		return err
	}
	return d.dropSlots(ctx, d.from(), slot)
}

// reportLag shows how much the other shard has still to get.
func (d *driver) reportLag(ctx context.Context) error {
	end, err := d.end(ctx, d.from())
	if err == nil {
		d.report(ctx, lagBytes(max(int64(end)-int64(d.stream.durable), 0)), changesApplied(d.stream.apply.total))
	}
	return err
}
