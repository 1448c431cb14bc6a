package admin

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

const (
	lookEvery   = 10 * time.Second // a look at a shard's statistics is good for that long
	failedEvery = 2 * time.Second  // and one that failed for that long
	rateWindow  = 5 * time.Minute  // an earlier look that is older says nothing of the present rate
)

// tableSize is what one shard's statistics say of one table, its partitions included.
type tableSize struct {
	rows, bytes int64
}

// look is what a shard's statistics said at one moment. The zero value knows nothing.
type look struct {
	at            time.Time // when the answer came, or failed to come
	known         bool
	bytes         int64
	written, read int64 // counters
	writes, reads any   // per second since the look before; nil: unknown
	tables        map[topology.Name]tableSize
}

func (l look) size() any {
	if !l.known {
		return nil
	}
	return l.bytes
}

func (l look) writesPerSecond() any { return l.writes }

func (l look) readsPerSecond() any { return l.reads }

// table returns what is known of a table; a table that the shard does not have is not known.
func (l look) table(name topology.Name) (tableSize, bool) {
	size, found := l.tables[name]
	return size, found
}

// sizes remembers the last look at each shard, so that many SHOWs are one question to the shards.
type sizes struct {
	operator func(ctx context.Context, shard ring.ShardID) (*pgx.Conn, error)
	turn     chan struct{} // holds a token while somebody looks; capacity 1

	mu   sync.Mutex
	last map[ring.ShardID]look
}

// look returns the latest known statistics of every shard, asking those again whose last look is old. It never takes longer than
// showTimeout: what has not answered by then is unknown.
func (s *sizes) look(ctx context.Context, snap *topology.Snapshot) map[ring.ShardID]look {
	ctx, cancel := context.WithTimeout(ctx, showTimeout)
	defer cancel()
	select {
	case s.turn <- struct{}{}:
		s.refresh(ctx, snap)
		<-s.turn
	case <-ctx.Done():
	}
	return s.remembered(snap)
}

func (s *sizes) refresh(ctx context.Context, snap *topology.Snapshot) {
	known := s.remembered(snap)
	var asking sync.WaitGroup
	fresh := make([]look, len(snap.Shards))
	for i, shard := range snap.Shards {
		if !known[shard.ID].old() || shard.State == topology.Joining {
			fresh[i] = known[shard.ID]
			continue
		}
		// owner: refresh; ends with ctx at the latest.
		asking.Go(func() { fresh[i] = s.ask(ctx, shard.ID, known[shard.ID]) })
	}
	asking.Wait()
	next := map[ring.ShardID]look{}
	for i, shard := range snap.Shards {
		next[shard.ID] = fresh[i]
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = next
}

func (s *sizes) remembered(snap *topology.Snapshot) map[ring.ShardID]look {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := make(map[ring.ShardID]look, len(snap.Shards))
	for _, shard := range snap.Shards {
		known[shard.ID] = s.last[shard.ID]
	}
	return known
}

func (l look) old() bool {
	age := time.Since(l.at)
	return age > lookEvery || !l.known && age > failedEvery
}

// ask looks at one shard. What went wrong is told by the shard's health, so here it only means that nothing is known.
func (s *sizes) ask(ctx context.Context, shard ring.ShardID, before look) look {
	now := look{at: time.Now()}
	conn, err := s.operator(ctx, shard)
	if err != nil {
		return now
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(ctx)
	}()
	if err := now.load(ctx, conn); err != nil {
		return look{at: now.at}
	}
	now.known, now.at = true, time.Now()
	now.since(before)
	return now
}

// since works out the rates.
func (l *look) since(before look) {
	took := l.at.Sub(before.at)
	if !before.known || took <= 0 || took > rateWindow || l.written < before.written || l.read < before.read {
		return
	}
	l.writes = float64(l.written-before.written) / took.Seconds()
	l.reads = float64(l.read-before.read) / took.Seconds()
}

const (
	// A lock held by DDL must not keep the console, nor leave its question waiting on the shard.
	boundsSQL = `SET lock_timeout = '500ms'; SET statement_timeout = '1500ms'`

	shardSQL = `SELECT pg_catalog.pg_database_size(pg_catalog.current_database()),
	coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::int8, coalesce(sum(seq_scan + coalesce(idx_scan, 0)), 0)::int8
FROM pg_catalog.pg_stat_user_tables`

	// The live rows that the statistics count, or what the last ANALYZE estimated where they count none. Partitions count for
	// their root.
	tablesSQL = `SELECT n.nspname, root.relname,
	sum(coalesce(nullif(s.n_live_tup, 0), nullif(c.reltuples, -1)::int8, 0))::int8, sum(pg_catalog.pg_total_relation_size(c.oid))::int8
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_class root ON root.oid = coalesce(pg_catalog.pg_partition_root(c.oid), c.oid)
JOIN pg_catalog.pg_namespace n ON n.oid = root.relnamespace
LEFT JOIN pg_catalog.pg_stat_user_tables s ON s.relid = c.oid
WHERE c.relkind IN ('r', 'p', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pgring') AND n.nspname !~ '^pg_'
GROUP BY 1, 2`
)

func (l *look) load(ctx context.Context, conn *pgx.Conn) error {
	if _, err := conn.PgConn().Exec(ctx, boundsSQL).ReadAll(); err != nil {
		return fmt.Errorf("bound the questions: %w", err)
	}
	if err := conn.QueryRow(ctx, shardSQL).Scan(&l.bytes, &l.written, &l.read); err != nil {
		return fmt.Errorf("read the database's statistics: %w", err)
	}
	rows, err := conn.Query(ctx, tablesSQL)
	if err != nil {
		return fmt.Errorf("read the tables' statistics: %w", err)
	}
	l.tables = map[topology.Name]tableSize{}
	var name topology.Name
	var size tableSize
	_, err = pgx.ForEachRow(rows, []any{&name.Schema, &name.Table, &size.rows, &size.bytes}, func() error {
		l.tables[name] = size
		return nil
	})
	return err
}
