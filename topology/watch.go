package topology

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// catalogTimeout bounds one look at the catalog.
const catalogTimeout = 10 * time.Second

// watchCatalog keeps one session to the home shard: for each lost one a new one, after a pause.
func (t *Topology) watchCatalog(ctx context.Context) error {
	var pause backoff
	for ctx.Err() == nil {
		began := time.Now()
		err := t.catalogSession(ctx)
		if ctx.Err() != nil {
			break
		}
		if t.home.lose(err) {
			t.cfg.Log.Warn("home shard's catalog lost, using the last one", "error", scrub(err))
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

// catalogSession looks for DDL until the connection fails, the home shard's address changes, or ctx ends.
func (t *Topology) catalogSession(ctx context.Context) error {
	home := t.homeShard()
	conn, err := t.dialShard(ctx, home)
	if err != nil {
		return err
	}
	defer hangUp(ctx, conn)
	forced := false
	for {
		cost, err := t.look(ctx, conn, forced)
		if err != nil {
			return err
		}
		t.home.gain(time.Time{})
		// A look at a large schema may take 1 % of one core of the server; one slow look must not blind us for long.
		timer := time.NewTimer(max(t.cfg.CatalogPoll, min(100*cost, 10*t.cfg.CatalogPoll)))
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
			forced = false
		case <-t.reload:
			timer.Stop()
			forced = true
		}
		if now := t.homeShard(); now.Host != home.Host || now.Port != home.Port {
			return fmt.Errorf("the address of home shard %s changed", home.ID)
		}
	}
}

// look compares the fingerprint, loads the catalog if it changed or if told to, and records the key types it tells.
func (t *Topology) look(ctx context.Context, conn *pgx.Conn, forced bool) (cost time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, catalogTimeout)
	defer cancel()
	began := time.Now()
	turn := t.turns.Add(1)
	var fingerprint string
	if err := conn.QueryRow(ctx, fingerprintSQL).Scan(&fingerprint); err != nil {
		return 0, fmt.Errorf("look at the catalog of the home shard: %w", err)
	}
	cost = time.Since(began)
	if forced || fingerprint != t.state.Load().catalog.fingerprint {
		c, err := loadCatalog(ctx, conn)
		if err != nil {
			return 0, fmt.Errorf("home shard: %w", err)
		}
		c.turn = turn
		t.publish(nil, c)
	}
	t.learn(ctx)
	return cost, nil
}

// learn records the key types of tables that were created since their group was declared. It is not urgent: the snapshot has
// them from the catalog, and a failure is tried again at the next look.
func (t *Topology) learn(ctx context.Context) {
	present := t.state.Load()
	if present.facts.learn(present.catalog) == nil || !t.control.read().up {
		return
	}
	_, err := t.change(ctx, func(_ context.Context, f *facts, _ *surveyor) (*facts, error) {
		if learned := f.learn(present.catalog); learned != nil {
			return learned, nil
		}
		return f, nil
	})
	if err != nil {
		t.cfg.Log.Debug("key types not recorded yet", "error", scrub(err))
	}
}

// homeShard is the home shard as the present snapshot has it.
func (t *Topology) homeShard() Shard {
	snap := t.Current()
	home, _ := snap.Shard(snap.Home)
	return home
}

func (t *Topology) dialShard(ctx context.Context, shard Shard) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := t.cfg.Dial(ctx, shard)
	if err != nil {
		return nil, fmt.Errorf("connect to shard %s: %w", shard.ID, err)
	}
	return conn, nil
}

// BumpSchema is called by the proxy that ran DDL. When it returns, this process plans with the new catalog, and the other ones
// have been told. An error of the control database is returned after the reload: the others then notice within CatalogPoll.
func (t *Topology) BumpSchema(ctx context.Context) (*Snapshot, error) {
	if t.Current() == nil {
		return nil, ErrNotStarted
	}
	counter, told := t.tellOthers(ctx)
	snap, err := t.reloadCatalog(ctx)
	if err != nil {
		return t.Current(), err
	}
	if told == nil {
		raise(&t.counter, counter)
	}
	t.learn(ctx)
	return snap, told
}

func (t *Topology) tellOthers(ctx context.Context) (counter int64, err error) {
	conn, err := t.connect(ctx)
	if err != nil {
		return 0, err
	}
	defer hangUp(ctx, conn)
	err = conn.QueryRow(ctx, `
WITH bumped AS (UPDATE pgring.cluster SET schema_version = schema_version + 1 RETURNING schema_version)
SELECT schema_version FROM bumped, LATERAL (SELECT pg_notify($1, '')) told`, channel).Scan(&counter)
	if err != nil {
		return 0, fmt.Errorf("raise the schema version: %w", err)
	}
	return counter, nil
}

// reloadCatalog loads the catalog now and publishes it.
func (t *Topology) reloadCatalog(ctx context.Context) (*Snapshot, error) {
	ctx, cancel := context.WithTimeout(ctx, catalogTimeout)
	defer cancel()
	turn := t.turns.Add(1)
	conn, err := t.dialShard(ctx, t.homeShard())
	if err != nil {
		return nil, err
	}
	defer hangUp(ctx, conn)
	c, err := loadCatalog(ctx, conn)
	if err != nil {
		return nil, fmt.Errorf("home shard: %w", err)
	}
	c.turn = turn
	return t.publish(nil, c), nil
}
