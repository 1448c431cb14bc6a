package topology

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// ControllerLease is how long a controller that is not heard of keeps others from taking over. Nothing but speed depends on it:
// what an overtaken controller still does is refused by its term.
const ControllerLease = 3 * time.Second

// Lead makes this process the controller of moves if nobody is. The term is higher than that of any controller before it; 0 means
// that another process leads.
func (t *Topology) Lead(ctx context.Context) (term int64, err error) {
	conn, err := t.connect(ctx)
	if err != nil {
		return 0, err
	}
	defer hangUp(ctx, conn)
	err = conn.QueryRow(ctx, `UPDATE pgring.controller SET term = term + 1, instance = $1, lease_until = clock_timestamp() + $2::interval
WHERE lease_until < clock_timestamp() RETURNING term`, t.cfg.Instance, ControllerLease).Scan(&term)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("become the controller: %w", err)
	}
	return term, nil
}

// KeepLeading renews the controller's lease until ctx ends, and then gives it up. It returns an error when another controller has
// taken over, or when that cannot be known in time.
func (t *Topology) KeepLeading(ctx context.Context, term int64) error {
	until := time.Now().Add(ControllerLease)
	tick := time.NewTicker(ControllerLease / 6)
	defer tick.Stop()
	var conn *pgx.Conn
	defer func() {
		if conn != nil {
			hangUp(ctx, conn)
		}
	}()
	for {
		select {
		case <-ctx.Done():
			t.resign(ctx, conn, term)
			return nil
		case <-tick.C:
		}
		sent := time.Now()
		renewed, err := t.renewLead(ctx, &conn, term, until)
		switch {
		case err == nil && !renewed:
			return fmt.Errorf("term %d of the controller is over", term)
		case err == nil:
			until = sent.Add(ControllerLease)
		case time.Now().After(until):
			return fmt.Errorf("renew the lease of term %d: %w", term, err)
		}
	}
}

func (t *Topology) renewLead(ctx context.Context, conn **pgx.Conn, term int64, until time.Time) (bool, error) {
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	if *conn == nil || (*conn).IsClosed() {
		fresh, err := t.connect(ctx)
		if err != nil {
			return false, err
		}
		*conn = fresh
	}
	tag, err := (*conn).Exec(ctx, "UPDATE pgring.controller SET lease_until = clock_timestamp() + $2::interval WHERE term = $1", term, ControllerLease)
	return err == nil && tag.RowsAffected() == 1, err
}

// resign lets another process take over at once.
func (t *Topology) resign(ctx context.Context, conn *pgx.Conn, term int64) {
	if conn == nil || conn.IsClosed() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_, _ = conn.Exec(ctx, "UPDATE pgring.controller SET lease_until = '-infinity' WHERE term = $1", term) // else it runs out
}

// Stage is what proxies are waited for to have reached.
type Stage uint8

// The stages.
const (
	StageUnset   Stage = iota
	StagePlan          // new statements are planned with the epoch, or a later one
	StageWrite         // and none that began before may still write to slots that move
	StageDrain         // and no statement and no open transaction uses an older one
	StageForgets       // StageDrain, of proxies too that have not been heard of since their lease ran out
)

func (s Stage) condition() string {
	switch s {
	case StagePlan:
		return "lease_until > clock_timestamp() AND epoch < $1"
	case StageWrite:
		return "lease_until > clock_timestamp() AND (epoch < $1 OR writing < $1)"
	case StageDrain:
		return "lease_until > clock_timestamp() AND (epoch < $1 OR oldest < $1)"
	case StageForgets:
		return "epoch < $1 OR oldest < $1"
	case StageUnset:
	}
	return "true"
}

// reached is condition, negated, for this process.
func (t *Topology) reached(stage Stage, epoch int64) bool {
	present := t.Current().Epoch // before the uses are read: who begins later uses this one or a newer one
	oldest, writing := t.uses.oldest(present)
	switch stage {
	case StagePlan:
		return present >= epoch
	case StageWrite:
		return min(present, writing) >= epoch
	case StageDrain, StageForgets:
		return min(present, oldest) >= epoch
	case StageUnset:
	}
	return false
}

// LaggingError names the proxies that have not reached a stage.
type LaggingError struct {
	Proxies []string // host and instance
}

func (e *LaggingError) Error() string { return "waiting for proxy " + strings.Join(e.Proxies, ", ") }

// CheckProxies returns a [LaggingError] when some proxy has not reached a stage of an epoch. Proxies that started later have, by what
// they load.
func (t *Topology) CheckProxies(ctx context.Context, stage Stage, epoch int64) error {
	conn, err := t.borrow(ctx)
	if err != nil {
		return err
	}
	defer t.giveBack(ctx, conn)
	return t.checkProxies(ctx, conn, stage, epoch)
}

// checkProxies looks at this process itself, and asks the control database for the others: what that says of this one is older.
func (t *Topology) checkProxies(ctx context.Context, conn *pgx.Conn, stage Stage, epoch int64) error {
	if !t.reached(stage, epoch) {
		return &LaggingError{Proxies: []string{fmt.Sprintf("%s/%.8s", t.cfg.Host, t.cfg.Instance)}}
	}
	rows, err := conn.Query(ctx, "SELECT host || '/' || left(instance, 8) FROM pgring.proxies WHERE ("+stage.condition()+") AND instance <> $2 ORDER BY 1",
		pgx.QueryExecModeExec, epoch, t.cfg.Instance)
	if err != nil {
		return fmt.Errorf("look at the proxies: %w", err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("look at the proxies: %w", err)
	}
	if len(names) > 0 {
		return &LaggingError{Proxies: names}
	}
	return nil
}

// AwaitProxies waits until CheckProxies finds nobody; when ctx ends first, the error is the last [LaggingError].
func (t *Topology) AwaitProxies(ctx context.Context, stage Stage, epoch int64) error {
	conn, err := t.borrow(ctx)
	if err != nil {
		return err
	}
	defer t.giveBack(ctx, conn)
	began := time.Now()
	var last *LaggingError
	for {
		err := t.checkProxies(ctx, conn, stage, epoch)
		if !errors.As(err, &last) {
			if err != nil && ctx.Err() != nil && last != nil {
				return last
			}
			return err
		}
		timer := time.NewTimer(min(max(time.Millisecond, time.Since(began)/8), 50*time.Millisecond)) // clients may be waiting, at first
		select {
		case <-ctx.Done():
			timer.Stop()
			return last
		case <-timer.C:
		}
	}
}

// Gaps counts how often this process has been without a lease, so far.
func (t *Topology) Gaps() int64 { return t.gaps.Load() }

// Elapsed is the time since New. It is cheaper to read than the time of day.
func (t *Topology) Elapsed() time.Duration { return time.Since(t.started) }

// At is the time of day when that long had elapsed.
func (t *Topology) At(elapsed time.Duration) time.Time { return t.started.Add(elapsed) }

// Unbroken reports whether this process has a lease, and has always had one since Gaps was that. It costs two loads and a look at
// the clock.
func (t *Topology) Unbroken(gaps int64) bool {
	return int64(t.Elapsed()) <= t.lease.Load() && t.gaps.Load() == gaps
}

// Outdated reports whether the map has changed since a snapshot while this process had no lease, so that nobody waited for what was
// planned with it; also when that is not known yet. Gaps is what [Topology.Gaps] said when the snapshot was taken. It may wait, like
// AwaitLease.
func (t *Topology) Outdated(snap *Snapshot, gaps int64) bool {
	t.AwaitLease()
	return t.Stalled() || t.gaps.Load() != gaps && t.Current().Epoch != snap.Epoch
}

// Stalled reports whether this process has stood still, or hung, for so long that others may have gone on without it, and has not
// found out yet what it has missed. While the control database is known to be lost it is not: the last map is served then.
func (t *Topology) Stalled() bool { return t.StalledAt(t.Elapsed()) }

// StalledAt is Stalled for who has just asked what has Elapsed.
func (t *Topology) StalledAt(now time.Duration) bool {
	ends := t.lease.Load()
	return ends > 0 && int64(now) > ends && !t.cut.Load()
}

// AwaitLease waits until the process is not Stalled, for a second at most.
func (t *Topology) AwaitLease() {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for until := time.Now().Add(time.Second); t.Stalled() && time.Now().Before(until); {
		<-tick.C
	}
}

// RenewedSince reports whether this process has looked at the control database after some time, and has its map of then, or a newer one.
func (t *Topology) RenewedSince(at time.Time) bool {
	return t.lease.Load() >= int64(at.Add(t.cfg.Lease).Sub(t.started))
}

// Leased reports whether this process has renewed its lease in time, so that no cut-over has gone on without it.
func (t *Topology) Leased() bool { return time.Now().Before(t.control.read().leaseUntil) }
