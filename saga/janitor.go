package saga

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

// visitTimeout bounds what the janitor does on one shard in one round: a shard that hangs must not keep it from the others.
const visitTimeout = 10 * time.Second

// Run is the janitor: until ctx ends, it settles in rounds what is prepared and has no proxy any more. Any number of janitors
// may run on one cluster. It returns nil, or topology.ErrNotStarted; a shard that cannot be looked at is logged once and tried again in the next round.
func (c *Coordinator) Run(ctx context.Context) error {
	if c.cfg.Topology.Current() == nil {
		return topology.ErrNotStarted
	}
	defer c.crew.group.Wait()
	var hastening sync.WaitGroup
	// owner: Run, which waits; ends when ctx does.
	hastening.Go(func() { c.hasten(ctx) })
	defer hastening.Wait()
	troubles := map[ring.ShardID]string{}
	for {
		failed := c.round(ctx, c.cfg.Topology.Current())
		if ctx.Err() != nil {
			return nil
		}
		c.report(troubles, failed)
		if c.crew.rest(ctx, jitter(c.cfg.Interval)) != nil {
			return nil
		}
	}
}

// jitter is d ±25 %, so that many proxies do not do the same work at the same moment.
func jitter(d time.Duration) time.Duration {
	return d*3/4 + rand.N(d/2+1)
}

// report logs which shards the janitor has stopped or begun to reach.
func (c *Coordinator) report(troubles map[ring.ShardID]string, failed map[ring.ShardID]error) {
	for shard, err := range failed {
		if _, known := troubles[shard]; !known {
			c.cfg.Logger.Warn("prepared transactions cannot be looked after", "shard", shard, "error", err)
		}
		troubles[shard] = err.Error()
	}
	for shard := range troubles {
		if failed[shard] == nil {
			c.cfg.Logger.Info("prepared transactions are looked after again", "shard", shard)
			delete(troubles, shard)
		}
	}
}

// round is one look at all shards. Several goroutines may run one each.
type round struct {
	c       *Coordinator
	snap    *topology.Snapshot
	visits  map[ring.ShardID]*visit // of the shards that could be reached
	failed  map[ring.ShardID]error
	rulings map[string]rowKind // by home and transaction
	stats   Stats
}

// visit is one shard's part of a round.
type visit struct {
	shard    ring.ShardID
	conn     *pgx.Conn
	old      []decision // read before prepared was, see clean
	fences   bool       // some are old
	prepared []found

	due    []due // sagas that nobody works on
	states map[State]int
	oldest time.Duration // of the sagas that are not settled
}

// found is a prepared transaction of this cluster.
type found struct {
	gid
	name string
	age  time.Duration
}

// round returns the shards that could not be dealt with.
func (c *Coordinator) round(ctx context.Context, snap *topology.Snapshot) map[ring.ShardID]error {
	r := &round{c: c, snap: snap, visits: map[ring.ShardID]*visit{}, failed: map[ring.ShardID]error{}, rulings: map[string]rowKind{}}
	defer r.close(ctx)
	r.look(ctx)
	for _, shard := range slices.Sorted(maps.Keys(r.visits)) {
		r.settle(ctx, r.visits[shard])
	}
	r.sagas(ctx)
	for _, shard := range slices.Sorted(maps.Keys(r.visits)) {
		r.clean(ctx, r.visits[shard])
		r.forget(ctx, r.visits[shard])
	}
	r.stats.Unreachable, r.stats.Round = len(r.failed), time.Now()
	c.counter.finished(r.stats)
	return r.failed
}

func (r *round) close(ctx context.Context) {
	for _, v := range r.visits {
		hangUp(ctx, v.conn)
	}
}

// look visits all shards side by side.
func (r *round) look(ctx context.Context) {
	visits := make([]*visit, len(r.snap.Shards))
	errs := make([]error, len(r.snap.Shards))
	var group sync.WaitGroup
	for i, shard := range r.snap.Shards {
		// owner: look; ends when the shard has answered, or visitTimeout later.
		group.Go(func() { visits[i], errs[i] = r.c.visit(ctx, shard.ID, r.snap.ClusterID) })
	}
	group.Wait()
	for i, shard := range r.snap.Shards {
		if errs[i] != nil {
			r.failed[shard.ID] = errs[i]
			continue
		}
		r.visits[shard.ID] = visits[i]
	}
}

// visit reads what one shard has. The caller closes the visit's connection.
func (c *Coordinator) visit(ctx context.Context, shard ring.ShardID, cluster string) (*visit, error) {
	ctx, cancel := context.WithTimeout(ctx, visitTimeout)
	defer cancel()
	conn, err := c.operator(ctx, shard)
	if err != nil {
		return nil, err
	}
	v := &visit{shard: shard, conn: conn}
	if err = c.install(ctx, conn, shard); err == nil {
		v.old, err = c.oldDecisions(ctx, conn)
	}
	if err == nil {
		v.fences, err = c.oldFences(ctx, conn)
	}
	if err == nil {
		v.prepared, err = listPrepared(ctx, conn, cluster)
	}
	if err == nil && c.cfg.Login != nil {
		err = v.readSagas(ctx)
	}
	if err != nil {
		hangUp(ctx, conn)
		c.facts.forgetInstalled(shard)
		return nil, fmt.Errorf("look at %s: %w", shard, err)
	}
	return v, nil
}

// listPrepared reads the prepared transactions of a cluster in the connection's database, the oldest first.
func listPrepared(ctx context.Context, conn *pgx.Conn, cluster string) ([]found, error) {
	rows, err := conn.Query(ctx, `SELECT gid, clock_timestamp() - prepared FROM pg_catalog.pg_prepared_xacts
WHERE database = current_database() AND starts_with(gid, $1) ORDER BY prepared`, gidPrefix(cluster))
	if err != nil {
		return nil, fmt.Errorf("list prepared transactions: %w", err)
	}
	var list []found
	var f found
	_, err = pgx.ForEachRow(rows, []any{&f.name, &f.age}, func() error {
		var ours bool
		if f.gid, ours = parseGID(f.name); ours {
			list = append(list, f)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list prepared transactions: %w", err)
	}
	return list, nil
}

// settle ends what has been prepared on a shard for longer than the grace. What cannot be settled now waits for the next round.
func (r *round) settle(ctx context.Context, v *visit) {
	ctx, cancel := context.WithTimeout(ctx, visitTimeout)
	defer cancel()
	for _, f := range v.prepared {
		r.stats.Prepared++
		r.stats.Oldest = max(r.stats.Oldest, f.age)
		if f.age < r.c.cfg.grace {
			continue
		}
		if err := r.settleOne(ctx, v, f); err != nil {
			r.failed[v.shard] = fmt.Errorf("settle %s on %s: %w", f.name, v.shard, err)
		}
	}
}

func (r *round) settleOne(ctx context.Context, v *visit, f found) error {
	ruling, err := r.rule(ctx, f.gid)
	if err != nil {
		return err
	}
	how, count := rollbackPrepared, &r.c.counter.settledRollback
	if ruling == rowAction {
		how, count = commitPrepared, &r.c.counter.settledCommit
	}
	r.c.reach("settle", before, v.shard)
	done, err := end(ctx, v.conn, f.name, how)
	r.c.reach("settle", answered, v.shard)
	if err != nil || !done {
		return err
	}
	count.Add(1)
	r.c.cfg.Logger.Info("prepared transaction of a lost proxy settled", "shard", v.shard, "gid", f.name, "ending", how, "age", f.age)
	return nil
}

// rule asks the transaction's home, once in a round.
func (r *round) rule(ctx context.Context, g gid) (rowKind, error) {
	key := g.transaction + "_" + string(g.home)
	if known, ok := r.rulings[key]; ok {
		return known, nil
	}
	home := r.visits[g.home]
	if home == nil {
		return "", fmt.Errorf("its home %s cannot be reached", g.home)
	}
	ruling, _, err := r.c.rule(ctx, home.conn, g.home, g.transaction)
	if err == nil {
		r.rulings[key] = ruling
	}
	return ruling, err
}
