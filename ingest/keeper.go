package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgring/pgring/topology"
)

const (
	sweepEvery  = time.Minute
	exchange    = 5 * time.Second // for one shard to make the table
	sweepLimit  = time.Minute     // for one shard to delete rows
	rowsAtOnce  = 1000            // in one transaction
	codeFenced  = "PR001"         // a guard's: rows of slots that are on their way, or have gone
	codeNoTable = "42P01"
)

// Config is what New needs.
type Config struct {
	Topology *topology.Topology
	// Dial connects to a shard with the operator's login, which must be able to create schema pgring, or own it.
	Dial  func(ctx context.Context, shard topology.Shard) (*pgx.Conn, error)
	Every time.Duration // between two looks for rows whose time is over; 0 means a minute
	Log   *slog.Logger  // nil discards
	// AppendOnly lists the tables whose rows stay as they are, at present; nil: there are none.
	AppendOnly func() []topology.Name
}

// Keeper sees to the table of idempotent writes on every shard.
type Keeper struct {
	cfg     Config
	expired atomic.Int64
	mu      sync.Mutex
	done    map[string]bool   // shards that have the table, by name and address
	guarded map[string]string // of shards likewise, which append-only tables of which schema were seen to
}

// New checks the configuration. It connects to nothing.
func New(cfg Config) (*Keeper, error) {
	if cfg.Topology == nil || cfg.Dial == nil {
		return nil, errors.New("keeper of idempotent writes needs the topology and a way to connect to shards")
	}
	if cfg.Every <= 0 {
		cfg.Every = sweepEvery
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Keeper{cfg: cfg, done: map[string]bool{}, guarded: map[string]string{}}, nil
}

// Stats are the keeper's counters since it was made.
type Stats struct {
	Expired int64 // rows deleted because their time was over
}

// Stats returns the counters.
func (k *Keeper) Stats() Stats { return Stats{Expired: k.expired.Load()} }

// Install makes the tables on all shards that were not seen to yet, side by side, for at most 5 seconds each. What cannot be done is
// logged, and false is returned.
func (k *Keeper) Install(ctx context.Context) bool {
	var group sync.WaitGroup
	var failed atomic.Bool
	snap := k.cfg.Topology.Current()
	ledgers := k.ledgers(snap)
	for _, shard := range snap.Shards {
		// owner: Install, which waits; ends after exchange at the latest.
		group.Go(func() {
			if err := k.guard(ctx, shard, ledgers, snap.Schema); err != nil {
				failed.Store(true)
				k.warn(ctx, "make tables append-only on a shard", shard, err)
			}
		})
		if k.has(shard) {
			continue
		}
		// owner: Install, which waits; ends after exchange at the latest.
		group.Go(func() {
			err := k.with(ctx, shard, exchange, func(ctx context.Context, conn *pgx.Conn) error {
				return errors.Join(topology.EnsureRequests(ctx, conn), topology.EnsureAsync(ctx, conn))
			})
			if err != nil {
				failed.Store(true)
				k.warn(ctx, "make the tables of idempotent and asynchronous writes on a shard", shard, err)
				return
			}
			k.note(shard)
		})
	}
	group.Wait()
	return !failed.Load()
}

// ledgers are the append-only tables that are there.
func (k *Keeper) ledgers(snap *topology.Snapshot) (all []topology.Name) {
	if k.cfg.AppendOnly == nil {
		return nil
	}
	for _, name := range k.cfg.AppendOnly() {
		if t := snap.Table(name.Schema, name.Table); t != nil && t.Exists {
			all = append(all, name)
		}
	}
	return all
}

// guard sees to the append-only tables of a shard, once for each schema.
func (k *Keeper) guard(ctx context.Context, shard topology.Shard, ledgers []topology.Name, schema int64) error {
	mark := fmt.Sprint(schema, ledgers)
	k.mu.Lock()
	same := k.guarded[where(shard)] == mark
	k.mu.Unlock()
	if same || len(ledgers) == 0 {
		return nil
	}
	err := k.with(ctx, shard, exchange, func(ctx context.Context, conn *pgx.Conn) error { return topology.EnsureAppendOnly(ctx, conn, ledgers) })
	if err == nil {
		k.mu.Lock()
		k.guarded[where(shard)] = mark
		k.mu.Unlock()
	}
	return err
}

// Run makes the tables on shards that come, and deletes rows whose time is over, until ctx ends. It always returns nil: what it cannot
// do now, it tries again.
func (k *Keeper) Run(ctx context.Context) error {
	sweep := time.NewTicker(k.cfg.Every)
	defer sweep.Stop()
	for ctx.Err() == nil {
		changed := k.cfg.Topology.Superseded(k.cfg.Topology.Current())
		var retry <-chan time.Time
		if !k.Install(ctx) {
			retry = time.After(exchange)
		}
		select {
		case <-ctx.Done():
		case <-changed:
		case <-retry:
		case <-sweep.C:
			k.sweep(ctx)
			k.mu.Lock()
			clear(k.guarded) // somebody may have dropped a trigger
			k.mu.Unlock()
		}
	}
	return nil
}

// sweep deletes rows whose time is over, shard by shard.
func (k *Keeper) sweep(ctx context.Context) {
	for _, shard := range k.cfg.Topology.Current().Shards {
		err := k.with(ctx, shard, sweepLimit, func(ctx context.Context, conn *pgx.Conn) error { return k.sweepShard(ctx, conn, shard) })
		if err != nil {
			k.warn(ctx, "delete idempotent writes whose time is over", shard, err)
		}
	}
}

// sweepShard deletes in small transactions. Others may do the same at this moment: they pass over each other's rows.
func (k *Keeper) sweepShard(ctx context.Context, conn *pgx.Conn, shard topology.Shard) error {
	for {
		tag, err := conn.Exec(ctx, `DELETE FROM pgring.idempotency WHERE ctid = ANY (ARRAY(SELECT ctid FROM pgring.idempotency
WHERE expires_at < now() `+visible(k.cfg.Topology.Current(), shard)+fmt.Sprintf(` LIMIT %d FOR UPDATE SKIP LOCKED))`, rowsAtOnce))
		var refused *pgconn.PgError
		if errors.As(err, &refused) && (refused.Code == codeFenced || refused.Code == codeNoTable) {
			return nil // slots begin to move at this moment, or the shard is new: there is another time
		}
		if err != nil {
			return err
		}
		k.expired.Add(tag.RowsAffected())
		if tag.RowsAffected() < rowsAtOnce {
			return nil
		}
	}
}

// visible leaves out the rows that are on the shard without being the ones that count: guards let nobody delete them.
func visible(snap *topology.Snapshot, shard topology.Shard) string {
	var b strings.Builder
	seen := map[string]bool{}
	for _, m := range snap.Moves {
		if seen[m.Group] {
			continue
		}
		seen[m.Group] = true
		if hidden := snap.Hidden(m.Group, shard.ID); hidden != nil {
			fmt.Fprintf(&b, "AND NOT (placed = '%s' AND %s) ", strings.ReplaceAll(m.Group, "'", "''"), hidden.InHashSQL("hash", "shard_key"))
		}
	}
	return b.String()
}

// with runs do with a connection of its own, for at most limit.
func (k *Keeper) with(ctx context.Context, shard topology.Shard, limit time.Duration, do func(context.Context, *pgx.Conn) error) error {
	within, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	conn, err := k.cfg.Dial(within, shard)
	if err != nil {
		return err
	}
	defer hangUp(ctx, conn)
	return do(within, conn)
}

func (k *Keeper) warn(ctx context.Context, what string, shard topology.Shard, err error) {
	if ctx.Err() == nil {
		k.cfg.Log.Warn(what, "shard", string(shard.ID), "error", err)
	}
}

func (k *Keeper) has(shard topology.Shard) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.done[where(shard)]
}

func (k *Keeper) note(shard topology.Shard) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.done[where(shard)] = true
}

// where names a shard and its server: a shard that moves is seen to again.
func where(shard topology.Shard) string {
	return fmt.Sprintf("%s at %s:%d", shard.ID, shard.Host, shard.Port)
}

// hangUp closes a connection politely if the server answers at once. It works after ctx has ended, for a short time.
func hangUp(ctx context.Context, conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = conn.Close(ctx) // nothing depends on it: the server notices either way
}
