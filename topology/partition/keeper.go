package partition

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

const (
	roundEvery = time.Minute
	shardLimit = time.Minute // for one shard in a round
	lookLimit  = 5 * time.Second

	// maxSkew is how far a shard's clock and this proxy's may be apart. Beyond it somebody's is wrong, and nothing is dropped.
	maxSkew = 10 * time.Minute

	// tableLock is the first key of the advisory lock of who makes partitions of a table, the second being the hash of its name: "pgrt".
	tableLock = 0x70677274
)

// Config is what New needs.
type Config struct {
	Topology *topology.Topology
	// Dial connects to a shard with the operator's login, which must be the tables' owner, or be a member of it.
	Dial  func(ctx context.Context, shard topology.Shard) (*pgx.Conn, error)
	Rules func() []Rule    // those in force
	Every time.Duration    // between two rounds; 0 means a minute
	Now   func() time.Time // this machine's clock; nil means time.Now
	Log   *slog.Logger     // nil discards
}

// Keeper keeps the partitions.
type Keeper struct {
	cfg              Config
	wake             chan struct{} // capacity 1
	created, dropped atomic.Int64

	mu     sync.Mutex
	status map[place]Status
}

type place struct {
	table topology.Name
	shard ring.ShardID
}

// Status is what the last round has found of a table on a shard.
type Status struct {
	Table   topology.Name
	Shard   ring.ShardID
	Known   bool          // the shard could be asked, and the table can have partitions
	Covered time.Duration // how far from now on every moment has a partition; 0 if there is none now
	Problem string        // why something was not done; empty: nothing is wrong
	dry     bool          // Covered is small
}

// Stats are counters since the keeper was made.
type Stats struct {
	Created, Dropped int64
	Tables           []Status // by table and shard
}

// New checks the configuration. It connects to nothing.
func New(cfg Config) (*Keeper, error) {
	if cfg.Topology == nil || cfg.Dial == nil || cfg.Rules == nil {
		return nil, errors.New("keeper of partitions needs the topology, a way to connect to shards, and rules")
	}
	if cfg.Every <= 0 {
		cfg.Every = roundEvery
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Keeper{cfg: cfg, wake: make(chan struct{}, 1), status: map[place]Status{}}, nil
}

// Stats returns the counters, and what the last round has found.
func (k *Keeper) Stats() Stats {
	k.mu.Lock()
	defer k.mu.Unlock()
	all := slices.SortedFunc(maps.Values(k.status), func(a, b Status) int {
		return strings.Compare(a.Table.String()+" "+string(a.Shard), b.Table.String()+" "+string(b.Shard))
	})
	return Stats{Created: k.created.Load(), Dropped: k.dropped.Load(), Tables: all}
}

// Wake makes a round begin soon: the rules have changed.
func (k *Keeper) Wake() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// Run goes round by round until ctx ends: at once when the schema, the shards or the rules have changed, else every minute. It always
// returns nil: what it cannot do now, it tries again.
func (k *Keeper) Run(ctx context.Context) error {
	tick := time.NewTicker(k.cfg.Every)
	defer tick.Stop()
	for seen := ""; ctx.Err() == nil; {
		snap := k.cfg.Topology.Current()
		if now := outline(snap); now != seen {
			seen = now
			k.Round(ctx)
		}
		select {
		case <-ctx.Done():
		case <-k.cfg.Topology.Superseded(snap):
		case <-k.wake:
			seen = ""
		case <-tick.C:
			seen = ""
		}
	}
	return nil
}

// outline changes when other tables, or other shards, are there, or slots move.
func outline(snap *topology.Snapshot) string {
	return fmt.Sprint(snap.Schema, snap.Shards, involved(snap))
}

// involved are the shards that slots move to or from, or may be sent back to.
func involved(snap *topology.Snapshot) map[ring.ShardID]bool {
	all := map[ring.ShardID]bool{}
	for _, m := range snap.Moves {
		if m.State != topology.MoveGuarding {
			all[m.From], all[m.To] = true, true
		}
	}
	return all
}

// Round sees to all tables once, side by side: none waits for a lock on another one. What it finds is in [Keeper.Stats], and in the log
// when it is new.
func (k *Keeper) Round(ctx context.Context) {
	rules := k.cfg.Rules()
	done := make([][]*shardTable, len(rules))
	sideBySide(len(rules), func(i int) {
		done[i] = k.keep(ctx, rules[i])
		for _, s := range done[i] {
			if !s.busy && ctx.Err() == nil { // else what was found is that the round was ended
				k.note(s.status(rules[i]))
			}
		}
	})
	changed := false
	kept := map[place]bool{}
	for i, rule := range rules {
		for _, s := range done[i] {
			changed = changed || s.changed
			kept[place{rule.Table, s.shard.ID}] = true
		}
	}
	k.mu.Lock()
	maps.DeleteFunc(k.status, func(p place, _ Status) bool { return !kept[p] })
	k.mu.Unlock()
	if changed {
		if _, err := k.cfg.Topology.BumpSchema(ctx); err != nil && ctx.Err() == nil {
			k.cfg.Log.Warn("tell other proxies of new partitions", "error", err)
		}
	}
}

// note records what was found, and logs it when it is new.
func (k *Keeper) note(s Status) {
	k.mu.Lock()
	was := k.status[place{s.Table, s.Shard}]
	k.status[place{s.Table, s.Shard}] = s
	k.mu.Unlock()
	facts := []any{"table", s.Table.String(), "shard", string(s.Shard)}
	if s.Problem != was.Problem && s.Problem != "" {
		k.cfg.Log.Warn("partitions of a table are not as they should be", append(facts, "problem", s.Problem)...)
	}
	if s.dry && !was.dry {
		k.cfg.Log.Error("partitions of a table run out", append(facts, "covered_for", s.Covered.Round(time.Second))...)
	}
}

// keep sees to one table on all shards, side by side. First it looks at all of them: where slots move, a shard needs what the others have.
func (k *Keeper) keep(ctx context.Context, rule Rule) []*shardTable {
	all := k.shardTables(rule)
	defer func() {
		for _, s := range all {
			s.close(ctx)
		}
	}()
	each(all, func(_ int, s *shardTable) { s.open(ctx, rule) })
	now := k.cfg.Now()
	var others, held []Span // and those whose time is over, which are not dropped yet where slots move
	for _, s := range all {
		if s.table != nil && s.table.clock.Before(now) {
			now = s.table.clock
		}
	}
	for _, s := range all {
		if s.table == nil {
			continue
		}
		for _, p := range s.table.parts {
			switch old := rule.Drop && rule.expired(p.Span, now); {
			case p.pending:
			case !old:
				others = append(others, p.Span)
			case s.table.moving:
				held = append(held, p.Span)
			}
		}
	}
	each(all, func(_ int, s *shardTable) {
		switch {
		case s.table == nil:
		case s.table.moving:
			s.keep(ctx, rule, slices.Concat(others, held), now)
		case s.involved: // a move has not begun, so what is old goes
			s.keep(ctx, rule, others, now)
		default:
			s.keep(ctx, rule, nil, now)
		}
	})
	return all
}

// shardTables are those of a rule, on all shards: none if the table is not there, or not sharded.
func (k *Keeper) shardTables(rule Rule) []*shardTable {
	snap := k.cfg.Topology.Current()
	known := snap.Table(rule.Table.Schema, rule.Table.Table)
	if known == nil || !known.Exists || known.Kind != topology.Sharded {
		return nil
	}
	moving, owners := involved(snap), known.Group.Placement.Owners()
	all := make([]*shardTable, len(snap.Shards))
	for i, shard := range snap.Shards {
		all[i] = &shardTable{keeper: k, shard: shard, owner: slices.Contains(owners, shard.ID), involved: moving[shard.ID]}
	}
	return all
}

// tablesAtOnce bounds how many tables are seen to at the same time, each with a connection to every shard.
const tablesAtOnce = 8

// sideBySide runs do for 0 to n-1, and waits.
func sideBySide(n int, do func(int)) {
	var group sync.WaitGroup
	turns := make(chan struct{}, tablesAtOnce)
	for i := range n {
		turns <- struct{}{}
		// owner: sideBySide, which waits; ends when do does.
		group.Go(func() {
			defer func() { <-turns }()
			do(i)
		})
	}
	group.Wait()
}

// each runs do for all, side by side, and waits.
func each(all []*shardTable, do func(int, *shardTable)) {
	var group sync.WaitGroup
	for i, s := range all {
		// owner: each, which waits; ends when do does, which shardLimit bounds.
		group.Go(func() { do(i, s) })
	}
	group.Wait()
}
