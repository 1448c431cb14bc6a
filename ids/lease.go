package ids

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// maxAhead is how far the clock may be ahead of the control database's: one that is years ahead would use up the time of
	// every worker it touches.
	maxAhead = time.Minute
	// exchangeTimeout bounds one conversation with the control database.
	exchangeTimeout = 5 * time.Second
	// retryPause is the time between two tries while nothing is held.
	retryPause = time.Second
	// advisoryKey is the advisory lock under which the table is made: "pgrids" in ASCII.
	advisoryKey int64 = 0x706772696473
)

// installSQL makes the table of workers. A worker is free for who takes it when its high-water mark has passed.
const installSQL = `
DO $$ BEGIN
	IF to_regclass('pgring.workers') IS NULL THEN
		CREATE TABLE pgring.workers (
			worker     integer PRIMARY KEY,
			holder     text,
			high_water bigint NOT NULL
		);
		COMMENT ON TABLE pgring.workers IS 'worker numbers of proxies that make ids; none has made an id later than high_water, in milliseconds since 2024';
		REVOKE ALL ON pgring.workers FROM PUBLIC;
		INSERT INTO pgring.workers SELECT n, NULL, 0 FROM generate_series(0, 511) AS n;
	END IF;
END $$`

// claimSQL takes the worker that was unused for longest.
const claimSQL = `
UPDATE pgring.workers AS w SET holder = $1, high_water = $3
FROM (SELECT worker, high_water FROM pgring.workers WHERE high_water < $2 ORDER BY high_water, worker LIMIT 1 FOR UPDATE SKIP LOCKED) AS free
WHERE w.worker = free.worker
RETURNING w.worker, free.high_water`

// extendSQL reserves more time. It finds no row when another proxy has taken the worker over.
const extendSQL = `
UPDATE pgring.workers SET high_water = greatest(high_water, $3) WHERE worker = $1 AND holder = $2 RETURNING high_water`

// releaseSQL lets others have what was reserved and not used.
const releaseSQL = `UPDATE pgring.workers SET holder = NULL, high_water = $3 WHERE worker = $1 AND holder = $2`

// Config is what New needs.
type Config struct {
	// Control connects to the control database, which has schema pgring, with a login that may create tables there.
	Control func(ctx context.Context) (*pgx.Conn, error)

	Reserve time.Duration    // how far ahead time is reserved, and so how long a lost control database is ridden out; 0 means 1 minute
	Now     func() time.Time // the clock; nil means time.Now
	Log     *slog.Logger     // nil discards
	Holder  string           // identity of this process in pgring.workers, never used twice; empty means a random one
}

// New checks the configuration. Until Run has leased a worker, Next refuses.
func New(cfg Config) (*Generator, error) {
	if cfg.Control == nil {
		return nil, errors.New("ids need a way to connect to the control database")
	}
	if cfg.Reserve <= 0 {
		cfg.Reserve = time.Minute
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Holder == "" {
		cfg.Holder = rand.Text()
	}
	return &Generator{cfg: cfg, kick: make(chan struct{}, 1)}, nil
}

// Run keeps a worker leased until ctx ends, and gives it back then. It always returns nil: what it cannot do now, it tries again.
func (g *Generator) Run(ctx context.Context) error {
	defer g.release(ctx)
	healthy := true
	for ctx.Err() == nil {
		err := g.Renew(ctx)
		if err != nil && healthy && ctx.Err() == nil {
			g.cfg.Log.Warn("lease a worker number for ids", "error", err)
		}
		healthy = err == nil
		next := g.cfg.Reserve / 3
		if !healthy {
			next = min(next, retryPause)
		}
		g.awaitRenewal(ctx, next)
	}
	return nil
}

// awaitRenewal waits until the lease is to be looked at again. A request is heard only after a pause, so that a refused client in
// a loop does not become a loop here.
func (g *Generator) awaitRenewal(ctx context.Context, next time.Duration) {
	pause := min(next, retryPause)
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return
	case <-timer.C:
	}
	timer.Reset(next - pause)
	select {
	case <-ctx.Done():
	case <-g.kick:
	case <-timer.C:
	}
}

// Renew leases a worker, or more time for the one that is held. Run calls it; a process without Run may.
func (g *Generator) Renew(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, exchangeTimeout)
	defer cancel()
	conn, err := g.cfg.Control(ctx)
	if err != nil {
		return fmt.Errorf("connect to the control database: %w", err)
	}
	defer hangUp(ctx, conn)
	now := g.cfg.Now()
	if err := checkClock(ctx, conn, now); err != nil {
		return err
	}
	worker, held := g.holding(sinceEpoch(now))
	if held {
		var limit int64
		err := conn.QueryRow(ctx, extendSQL, worker, g.cfg.Holder, g.horizon(now)).Scan(&limit)
		if err == nil {
			g.extend(limit)
			return nil
		}
		if !errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("extend the lease of worker %d: %w", worker, err)
		}
		g.cfg.Log.Warn("worker number was taken over by another proxy", "worker", worker)
	}
	return g.claim(ctx, conn, now)
}

// horizon is the last millisecond to be reserved at a time of the clock.
func (g *Generator) horizon(now time.Time) int64 {
	return min(sinceEpoch(now.Add(g.cfg.Reserve)), maxMillis)
}

// claim takes a free worker over.
func (g *Generator) claim(ctx context.Context, conn *pgx.Conn, now time.Time) error {
	if err := install(ctx, conn); err != nil {
		return fmt.Errorf("create pgring.workers: %w", err)
	}
	limit := g.horizon(now)
	var worker int
	var floor int64
	err := conn.QueryRow(ctx, claimSQL, g.cfg.Holder, sinceEpoch(now), limit).Scan(&worker, &floor)
	if errors.Is(err, pgx.ErrNoRows) {
		return fmt.Errorf("all %d worker numbers are in use, or the clock is behind", ProxyWorkers)
	}
	if err != nil {
		return fmt.Errorf("claim a worker: %w", err)
	}
	g.hold(worker, floor, limit)
	g.cfg.Log.Info("worker number for ids leased", "worker", worker)
	return nil
}

// settings make the session independent of the login's defaults. A mark that a crash of the server could lose would be none.
const settings = "SET synchronous_commit = on; SET default_transaction_read_only = off; SET default_transaction_isolation = 'read committed'"

// checkClock compares the clock with the control database's.
func checkClock(ctx context.Context, conn *pgx.Conn, now time.Time) error {
	if _, err := conn.Exec(ctx, settings, pgx.QueryExecModeSimpleProtocol); err != nil {
		return fmt.Errorf("set up the session: %w", err)
	}
	var server time.Time
	if err := conn.QueryRow(ctx, "SELECT clock_timestamp()").Scan(&server); err != nil {
		return fmt.Errorf("read the control database's clock: %w", err)
	}
	if ahead := now.Sub(server); ahead > maxAhead {
		return fmt.Errorf("the clock is %s ahead of the control database's", ahead.Round(time.Second))
	}
	if now.Before(Epoch()) {
		return fmt.Errorf("the clock is wrong: it shows %s", now.UTC().Format(time.RFC3339))
	}
	return nil
}

// install makes the table once, whoever comes first.
func install(ctx context.Context, conn *pgx.Conn) error {
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", advisoryKey); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, installSQL)
		return err
	})
}

// release gives the worker back, with what it has not used of its time. Without it, the reserved time passes.
func (g *Generator) release(ctx context.Context) {
	worker, last, held := g.drop()
	if !held {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), exchangeTimeout)
	defer cancel()
	conn, err := g.cfg.Control(ctx)
	if err != nil {
		return
	}
	defer hangUp(ctx, conn)
	_, _ = conn.Exec(ctx, releaseSQL, worker, g.cfg.Holder, last) // else the reserved time passes
}

// hangUp closes a connection, also when ctx has ended.
func hangUp(ctx context.Context, conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = conn.Close(ctx) // nothing is left to be said on it
}
