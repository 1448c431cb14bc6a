package topology

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
)

// renewEvery is the longest time between two looks at the control database, so that a lost notification costs less than a second.
const renewEvery = 500 * time.Millisecond

// cutOverEvery is the time between two looks while a cut-over waits for this proxy's statements to end.
const cutOverEvery = 5 * time.Millisecond

// Run keeps the snapshot fresh until ctx ends, and then gives the lease back. Start must have succeeded. It returns nil when ctx
// ended, and an error only for what no waiting can heal.
func (t *Topology) Run(ctx context.Context) error {
	if t.Current() == nil {
		return ErrNotStarted
	}
	group, ctx := errgroup.WithContext(ctx)
	// owner: Run; ends when ctx ends.
	group.Go(func() error { return t.watchControl(ctx) })
	// owner: Run; ends when ctx ends.
	group.Go(func() error { return t.watchCatalog(ctx) })
	err := group.Wait()
	t.closeKept(ctx, true)
	t.disappear(ctx)
	return err
}

// watchControl keeps one session to the control database: for each lost one a new one, after a pause.
func (t *Topology) watchControl(ctx context.Context) error {
	var pause backoff
	for ctx.Err() == nil {
		began := time.Now()
		err := t.controlSession(ctx)
		if ctx.Err() != nil {
			break
		}
		if took := time.Since(began); took < t.cfg.Lease/2 || int64(began.Sub(t.started)) > t.lease.Load() {
			t.cut.Store(true) // else this process may have stood still, and the connection may have been lost by that
		}
		if t.control.lose(err) {
			t.cfg.Log.Warn("control database lost, serving the last snapshot", "epoch", t.Current().Epoch, "error", scrub(err))
		}
		if time.Since(began) > maxPause {
			pause = backoff{}
		}
		if pause.wait(ctx) != nil {
			break
		}
	}
	return nil
}

// controlSession listens and renews the lease until the connection fails or ctx ends.
func (t *Topology) controlSession(ctx context.Context) error {
	conn, err := t.connect(ctx)
	if err != nil {
		return err
	}
	defer hangUp(ctx, conn)
	if err := t.within(ctx, func(ctx context.Context) error {
		_, err := conn.Exec(ctx, "LISTEN "+channel)
		return err
	}); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	for {
		next := time.Now().Add(t.period()) // of what was known before the beat
		again, err := t.beat(ctx, conn)
		if err != nil {
			return err
		}
		if again {
			continue
		}
		epoch, err := awaitNews(ctx, conn, next)
		if err == nil && epoch > t.Current().Epoch {
			err = t.takeOver(ctx, conn) // before the beat, which then tells of it
		}
		if err != nil {
			return fmt.Errorf("wait for news of the control database: %w", err)
		}
	}
}

// takeOver publishes what the control database has.
func (t *Topology) takeOver(ctx context.Context, conn *pgx.Conn) error {
	return t.within(ctx, func(ctx context.Context) error {
		f, err := loadFacts(ctx, conn)
		if err != nil {
			return err
		}
		if f == nil || f.cluster != t.state.Load().facts.cluster {
			return errOtherCluster
		}
		t.publish(f, nil)
		return nil
	})
}

// appear makes this proxy known before it serves anybody, and its snapshot one of no older epoch than when it became known: a move
// waits for the proxies that it knows.
func (t *Topology) appear(ctx context.Context) error {
	conn, err := t.connect(ctx)
	if err != nil {
		return err
	}
	defer hangUp(ctx, conn)
	for again := true; again && err == nil; {
		again, err = t.beat(ctx, conn)
	}
	return err
}

// period is how long to wait for news. While writes are held back for a cut-over, whoever is still writing is looked at again and again.
func (t *Topology) period() time.Duration {
	snap := t.Current()
	if slices.ContainsFunc(snap.Moves, func(m *Move) bool { return m.State.Closed() }) {
		if _, writing := t.uses.oldest(snap.Epoch); writing < snap.Epoch {
			return cutOverEvery
		}
	}
	return min(t.cfg.Lease/3, renewEvery)
}

// awaitNews returns at the next notification, or at the given time. Of a notification it gives the epoch, if it tells of one.
func awaitNews(ctx context.Context, conn *pgx.Conn, until time.Time) (epoch int64, err error) {
	waiting, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	news, err := conn.WaitForNotification(waiting)
	if err != nil && ctx.Err() == nil && waiting.Err() != nil && !conn.IsClosed() {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	epoch, _ = strconv.ParseInt(news.Payload, 10, 64) // else it is about the schema
	return epoch, nil
}

// beat renews the lease and takes over what changed. Again means that the new epoch was published, and that the control
// database should hear of it at once: a controller may be waiting for this proxy.
func (t *Topology) beat(ctx context.Context, conn *pgx.Conn) (again bool, err error) {
	var seen renewal
	if err := t.within(ctx, func(ctx context.Context) error {
		seen, err = t.renew(ctx, conn)
		return err
	}); err != nil {
		return false, fmt.Errorf("renew the lease: %w", err)
	}
	if seen.cluster != t.state.Load().facts.cluster {
		return false, errOtherCluster
	}
	if seen.epoch < seen.told {
		return false, fmt.Errorf("the control database went back from epoch %d to %d", seen.told, seen.epoch)
	}
	if raise(&t.counter, seen.counter) {
		t.askReload()
	}
	if seen.epoch > t.Current().Epoch {
		err = t.takeOver(ctx, conn)
	}
	if err == nil {
		t.hold(seen)
	}
	return t.Current().Epoch > seen.told, err // it may be this process that has published a newer one meanwhile
}

// hold notes the lease. The map of its time is published before: who has a lease has no older one.
func (t *Topology) hold(seen renewal) {
	if ends := t.lease.Load(); ends > 0 && int64(time.Since(t.started)) > ends {
		t.gaps.Add(1) // before the new one is seen
		t.cfg.Log.Warn("this process was without a lease: slots may have moved without waiting for it", "for", time.Since(t.started)-time.Duration(ends))
	}
	t.cut.Store(false)
	t.lease.Store(int64(seen.leaseUntil.Sub(t.started)))
	if t.control.gain(seen.leaseUntil) {
		t.cfg.Log.Info("control database connected", "epoch", seen.epoch)
	}
}

// within bounds one exchange with the control database: one that hangs is lost, like one that is gone.
func (t *Topology) within(ctx context.Context, exchange func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, max(t.cfg.Lease, time.Second))
	defer cancel()
	return exchange(ctx)
}

// disappear gives the lease back when the process ends in peace, so that nobody waits for it.
func (t *Topology) disappear(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	conn, err := t.connect(ctx)
	if err != nil {
		return // the lease runs out
	}
	defer hangUp(ctx, conn)
	_, _ = conn.Exec(ctx, "DELETE FROM pgring.proxies WHERE instance = $1", t.cfg.Instance)
}

// askReload wakes watchCatalog; one request is as good as many.
func (t *Topology) askReload() {
	select {
	case t.reload <- struct{}{}:
	default:
	}
}
