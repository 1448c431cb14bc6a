package rebalance

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/pgring/pgring/topology"
)

// markerPrefix names the messages that a freeze writes into the stream.
const markerPrefix = "pgring"

// Bounds of the first attempt to cut over. Clients of the moving slots wait as long; when one runs out, the attempt is given up and
// tried again later: no client is cancelled or killed for a move. Each later attempt has half as much more, see bound.
const (
	writersLimit = 300 * time.Millisecond // statements that were planned before end
	freezeLimit  = 200 * time.Millisecond // transactions that have written to the slots end
	answerLimit  = time.Second            // a shard answers beyond that
	markerLimit  = time.Second            // the target gets the last changes
	firstRetry   = 500 * time.Millisecond
	lastRetry    = 30 * time.Second
	mostPatient  = 5 // times the first bounds
)

// bound is how long the present attempt may wait for what the first may wait for that long. Where transactions always take longer than
// that, slots would never move otherwise; and they are tried less and less often, so that clients wait a small part of the time.
func (d *driver) bound(first time.Duration) time.Duration {
	return min(first+time.Duration(d.attempts)*first/2, mostPatient*first)
}

// catchUp applies changes until the target is near the source, and says what comes next.
func (d *driver) catchUp(ctx context.Context) (topology.MoveState, error) {
	if d.retry > 0 {
		if err := d.follow(ctx, d.retry); err != nil {
			return d.move.State, err
		}
	}
	if err := d.shareGuards(ctx, false); err != nil {
		return d.move.State, fmt.Errorf("take guards over on shard %s: %w", d.move.To, err)
	}
	if err := d.connectHomes(ctx); err != nil {
		return d.move.State, err
	}
	var late *lateError
	if err := d.checkSagas(ctx, sagaReady); errors.As(err, &late) { // clients need not wait for that
		d.putOff(ctx, late)
		return d.move.State, ctx.Err()
	}
	if d.verified {
		return d.ready(ctx)
	}
	return topology.MoveVerifying, d.near(ctx)
}

// compared is what follows the comparison of both sides.
func (d *driver) compared(ctx context.Context) (topology.MoveState, error) {
	if err := d.verify(ctx); err != nil {
		return d.move.State, err
	}
	return d.ready(ctx)
}

// ready does what a cut-over needs and clients need not wait for.
func (d *driver) ready(ctx context.Context) (topology.MoveState, error) {
	err := d.prepareReturn(ctx)
	var late *lateError
	if errors.As(err, &late) {
		d.putOff(ctx, late)
		return topology.MoveCatchingUp, nil
	}
	if err == nil {
		err = d.near(ctx)
	}
	if err == nil {
		err = d.queue(ctx)
	}
	if err == nil {
		err = d.near(ctx) // it may have stood in the queue for long
	}
	return topology.MoveFreezing, err
}

// putOff notes that the next cut-over is to be tried later, each time later, and why.
func (d *driver) putOff(ctx context.Context, late *lateError) {
	d.attempts++
	d.retry = min(max(d.retry*3/2, d.controller.cfg.Retry), lastRetry)
	d.report(ctx, waiting(late.reason))
}

// follow goes on applying for a while.
func (d *driver) follow(ctx context.Context, period time.Duration) error {
	if err := d.openStream(ctx); err != nil {
		return err
	}
	until := time.Now().Add(period)
	return d.stream.pump(ctx, func() bool { return time.Now().After(until) })
}

// Applying what is outstanding may take so long for a cut-over to begin: at first as little as clients do not notice, and after
// each round that took longer a bit more, because a slow server may never be that quick.
const (
	nearEnough  = 100 * time.Millisecond
	nearAtLast  = 500 * time.Millisecond
	nearGrowsBy = 20 * time.Millisecond
)

// near applies what is outstanding, again and again, until that takes no time to speak of.
func (d *driver) near(ctx context.Context) error {
	for enough := nearEnough; ; enough = min(enough+nearGrowsBy, nearAtLast) {
		if err := d.wanted(); err != nil {
			return err
		}
		if err := d.openStream(ctx); err != nil {
			return err
		}
		began := time.Now()
		end, err := d.position(ctx, d.from(), "pg_current_wal_flush_lsn") // behind it the stream has nothing yet, and on an idle server for seconds
		if err != nil {
			return err
		}
		s := d.stream
		d.report(ctx, lagBytes(max(int64(end)-int64(s.durable), 0)), changesApplied(s.apply.total))
		if err := s.tell(ctx, true); err != nil {
			return err
		}
		if err := s.pump(ctx, func() bool { return s.received >= end }); err != nil {
			return err
		}
		if time.Since(began) < enough {
			return nil
		}
		if enough == nearAtLast {
			d.report(ctx, waiting("waiting for shard "+string(d.move.To)+", which applies changes no faster than clients make them"))
		}
	}
}

// end is where a shard's log ends now, written to the disk or not.
func (d *driver) end(ctx context.Context, s side) (pglogrepl.LSN, error) {
	return d.position(ctx, s, "pg_current_wal_insert_lsn")
}

// position is what a function of the server says of its log.
func (d *driver) position(ctx context.Context, s side, function string) (pglogrepl.LSN, error) {
	var at string
	if err := s.conn.QueryRow(ctx, "SELECT "+function+"()::text", oneExchange).Scan(&at); err != nil {
		return 0, fmt.Errorf("look where the log of shard %s ends: %w", s.id, err)
	}
	return pglogrepl.ParseLSN(at)
}

// cutOver closes the source for the moving slots, brings the last changes to the target, and switches the map. Proxies hold writes
// back since this state was recorded. It leads back to catching up when clients would have to wait too long, or when another
// controller had begun it.
func (d *driver) cutOver(ctx context.Context) (topology.MoveState, error) {
	err := d.freeze(ctx)
	if err == nil {
		return topology.MoveSwitched, nil
	}
	var late *lateError
	if !errors.As(err, &late) {
		return d.move.State, err
	}
	if err := d.reopen(ctx); err != nil {
		return d.move.State, fmt.Errorf("open shard %s again: %w", d.move.From, err)
	}
	d.controller.stats.givenUp.Add(1)
	d.putOff(ctx, late)
	d.log.Info("cut-over put off", "reason", late.reason, "again_in", d.retry)
	return topology.MoveCatchingUp, nil
}

// reopen lets the source take writes again.
func (d *driver) reopen(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	return setGuard(ctx, d.source, d.move.ID, d.term, guardOpen)
}

// lateError says what a cut-over would have had to wait for.
type lateError struct {
	reason string
}

func (e *lateError) Error() string { return e.reason }

func (d *driver) freeze(ctx context.Context) error {
	if d.closed.IsZero() || d.stream == nil {
		return &lateError{"the controller that had begun it is gone"}
	}
	limited, cancel := context.WithTimeout(ctx, d.bound(writersLimit))
	defer cancel()
	err := d.topology().AwaitProxies(limited, topology.StageWrite, d.epoch)
	var lagging *topology.LaggingError
	switch {
	case errors.As(err, &lagging):
		return &lateError{lagging.Error()}
	case err != nil && limited.Err() != nil && ctx.Err() == nil:
		return &lateError{"waiting for the control database"}
	case err != nil:
		return err
	}
	d.lap("drain")
	marker := fmt.Sprintf("%d/%d/%d", d.move.ID, d.term, d.epoch)
	if err := d.closeSource(ctx, marker); err != nil {
		return err
	}
	d.lap("freeze")
	// What holds the cut-over back is looked for while the target gets the last changes: nobody can add to it any more.
	var sagas error
	var looking sync.WaitGroup
	// owner: freeze, which waits; ends with the answers or sagaLimit.
	looking.Go(func() { sagas = d.checkSagas(ctx, d.bound(sagaLimit)) })
	err = d.drainTo(ctx, marker)
	d.lap("marker")
	looking.Wait()
	d.lap("sagas")
	return cmp.Or(err, sagas)
}

// freezing is sent as one text, because clients wait: what fails keeps the rest from being run. The division does when the guard is not
// there in that term, or not open.
const freezing = `BEGIN; SET LOCAL lock_timeout = %d; SELECT pg_advisory_xact_lock(%d, %d);
WITH closed AS (UPDATE pgring.guards SET state = 'frozen' WHERE move = %d AND term = %d AND state = 'open' RETURNING 1) SELECT 1 / count(*) FROM closed;
SELECT pg_logical_emit_message(true, '%s', '%s'); COMMIT`

// closeSource is one transaction: it waits for the writers of the moving slots, and for nobody else, by the lock that each of them
// holds; then nobody can write to them any more, and the marker comes behind everything that anybody has written. Writers that
// come while it waits queue behind it.
func (d *driver) closeSource(ctx context.Context, marker string) error {
	limit := d.bound(freezeLimit)
	ctx, cancel := context.WithTimeout(ctx, limit+answerLimit)
	defer cancel()
	_, err := d.source.Exec(ctx, fmt.Sprintf(freezing, limit.Milliseconds(), lockClass, int32(d.move.ID), d.move.ID, d.term, markerPrefix, marker))
	if err == nil {
		return nil
	}
	_, _ = d.source.Exec(ctx, "ROLLBACK") // on a connection that is gone, the server does so by itself
	switch {
	case isCode(err, "55P03"):
		return &lateError{"waiting for transactions that have written to the moving slots on shard " + string(d.move.From)}
	case isCode(err, "22012"):
		err = errOvertaken
	}
	return fmt.Errorf("freeze shard %s: %w", d.move.From, err)
}

// drainTo applies everything up to the marker.
func (d *driver) drainTo(ctx context.Context, marker string) error {
	limited, cancel := context.WithTimeout(ctx, markerLimit)
	defer cancel()
	err := d.stream.pump(limited, func() bool { return d.stream.markers[marker] })
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		d.endStream(ctx)
		return &lateError{"the last changes did not reach shard " + string(d.move.To) + " in time"}
	}
	return err
}

// open lets the target take writes, when no proxy plans with the old map any longer that has not lost its lease: so nobody reads
// the source's rows of the moved slots once newer ones can exist. The way back begins before it.
func (d *driver) open(ctx context.Context) (topology.MoveState, error) {
	var back sync.WaitGroup
	returns := false
	// owner: open, which waits; ends with the way back, or returnLimit.
	back.Go(func() { returns = d.beginReturn(ctx) })
	err := d.await(ctx, topology.StagePlan, d.move.Switched)
	d.lap("plan")
	back.Wait()
	d.lap("way back")
	if err != nil {
		return d.move.State, err
	}
	if err := setGuard(ctx, d.target, d.move.ID, d.term, guardOpen); err != nil {
		return d.move.State, fmt.Errorf("open shard %s: %w", d.move.To, err)
	}
	d.lap("open")
	if !returns {
		return topology.MoveCleaning, nil
	}
	d.move.Until = time.Now().Add(d.controller.cfg.Reversible).Truncate(time.Microsecond)
	return topology.MoveReversible, nil
}
