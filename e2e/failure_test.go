package e2e

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
)

// atOnce is how long a client of a dead shard may wait for its error.
const atOnce = 2 * time.Second

// traffic is writers on every shard, which note what was acknowledged.
type traffic struct {
	cluster *cluster
	shards  []*shardTraffic
	cancel  context.CancelFunc
	group   *errgroup.Group
}

// shardTraffic is what happened to the writers of one shard.
type shardTraffic struct {
	server int
	keys   []int64

	done   atomic.Int64 // statements that worked
	failed atomic.Int64

	mu           sync.Mutex
	problems     []string // errors that should not be, or came late
	first        string   // error
	acknowledged []int64  // order numbers, unique in the cluster
}

const writersPerShard = 3

// startTraffic begins to insert orders, over all shards.
func (c *cluster) startTraffic(t *testing.T) *traffic {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	w := &traffic{cluster: c, cancel: cancel, group: &errgroup.Group{}}
	t.Cleanup(w.stop)
	conn := c.connect(t)
	var number atomic.Int64
	for server := range c.servers {
		s := &shardTraffic{server: server, keys: c.customersOn(t, server, 1, writersPerShard)}
		w.shards = append(w.shards, s)
		for _, key := range s.keys {
			execute(t, conn, "INSERT INTO customers (id, name) VALUES ($1, 'writer') ON CONFLICT (id) DO NOTHING", key)
			// owner: traffic; ends when stop cancels ctx
			w.group.Go(func() error { return s.write(ctx, c.dsn(appLogin), key, &number) })
		}
	}
	w.await(t, "traffic flows", func(s *shardTraffic) bool { return s.done.Load() > 20 })
	return w
}

// stop ends the writers and waits for them.
func (w *traffic) stop() {
	w.cancel()
	_ = w.group.Wait() // they only end when told to
}

// write inserts orders of one customer until ctx ends, and connects again whenever the connection is gone.
func (s *shardTraffic) write(ctx context.Context, dsn string, key int64, number *atomic.Int64) error {
	var conn *pgx.Conn
	defer func() {
		if conn != nil {
			_ = conn.Close(context.WithoutCancel(ctx))
		}
	}()
	for ctx.Err() == nil {
		if conn == nil || conn.IsClosed() {
			began := time.Now()
			var err error
			if conn, err = pgx.Connect(ctx, dsn); err != nil {
				s.note(ctx, 0, fmt.Errorf("log in: %w", err), time.Since(began))
				continue
			}
		}
		id, began := number.Add(1), time.Now()
		_, err := conn.Exec(ctx, "INSERT INTO orders (customer_id, id, item) VALUES ($1, $2, 'traffic')", key, id)
		s.note(ctx, id, err, time.Since(began))
	}
	return nil
}

func (s *shardTraffic) note(ctx context.Context, id int64, err error, took time.Duration) {
	if ctx.Err() != nil {
		return // the end of the test cut it off
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.done.Add(1)
		s.acknowledged = append(s.acknowledged, id)
		return
	}
	s.failed.Add(1)
	code := sqlstate(err)
	if s.first == "" {
		s.first = fmt.Sprintf("%s: %v", code, err)
	}
	if took > atOnce || !strings.HasPrefix(code, "08") && !strings.HasPrefix(code, "57") {
		s.problems = append(s.problems, fmt.Sprintf("after %s: %s: %v", took, code, err))
	}
}

// await waits until something is true of every shard's traffic.
func (w *traffic) await(t *testing.T, what string, is func(*shardTraffic) bool) {
	t.Helper()
	eventually(t, patience, what, func(context.Context) error {
		for _, s := range w.shards {
			if !is(s) {
				return fmt.Errorf("%s: %d statements worked, %d failed", shardName(s.server), s.done.Load(), s.failed.Load())
			}
		}
		return nil
	})
}

// more waits until every one of the shards named by `of` has run a number of statements more.
func (w *traffic) more(t *testing.T, what string, n int64, of func(server int) bool) {
	t.Helper()
	before := make([]int64, len(w.shards))
	for i, s := range w.shards {
		before[i] = s.done.Load()
	}
	w.await(t, what, func(s *shardTraffic) bool { return !of(s.server) || s.done.Load() >= before[s.server]+n })
}

// checkAcknowledged counts every acknowledged order on its shard, and that order exactly once.
func (w *traffic) checkAcknowledged(t *testing.T) {
	t.Helper()
	for _, s := range w.shards {
		if got := w.cluster.count(t, s.server, "SELECT count(*) FROM orders WHERE id = ANY($1)", s.acknowledged); got != len(s.acknowledged) {
			t.Errorf("%s has %d of %d acknowledged rows", shardName(s.server), got, len(s.acknowledged))
		}
	}
}

func TestKilledShardHarmsOnlyItsOwnKeys(t *testing.T) {
	c := start(t, layout{})
	for _, victim := range []int{2, 0} { // an ordinary shard; the one that has the control database and the home tables
		t.Run("kill -9 of "+shardName(victim), func(t *testing.T) { c.killShard(t, victim) })
	}
}

func (c *cluster) killShard(t *testing.T, victim int) {
	w := c.startTraffic(t)
	c.servers[victim].Kill9(t)
	w.await(t, "clients of the dead shard get errors", func(s *shardTraffic) bool { return s.server != victim || s.failed.Load() >= writersPerShard })
	w.more(t, "other shards go on", 200, func(server int) bool { return server != victim })
	c.welcomeNewClients(t, w, victim)
	c.servers[victim].Restart(t)
	w.more(t, "all shards work again", 50, func(int) bool { return true })
	w.stop()
	for _, s := range w.shards {
		if s.server != victim && s.failed.Load() > 0 {
			t.Errorf("%d statements failed on %s, which nobody killed; the first: %s", s.failed.Load(), shardName(s.server), s.first)
		}
		for _, problem := range s.problems[:min(5, len(s.problems))] {
			t.Errorf("%s: %s", shardName(s.server), problem)
		}
		t.Logf("%s: %d statements worked, %d failed", shardName(s.server), s.done.Load(), s.failed.Load())
	}
	w.checkAcknowledged(t)
	cleanUp := c.connect(t)
	for _, s := range w.shards {
		for _, key := range s.keys {
			execute(t, cleanUp, "DELETE FROM orders WHERE customer_id = $1", key)
		}
	}
	must(t, c.ready(t.Context()))
}

// welcomeNewClients logs in while a shard is dead, as clients that pgring has not seen before, and with every way to prepare.
func (c *cluster) welcomeNewClients(t *testing.T, w *traffic, victim int) {
	t.Helper()
	for _, s := range w.shards {
		if s.server == victim {
			continue
		}
		for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol} {
			cfg, err := pgx.ParseConfig(c.dsn(appLogin))
			must(t, err)
			cfg.DefaultQueryExecMode = mode
			cfg.RuntimeParams["application_name"] = fmt.Sprintf("stranger %d %d %s", victim, s.server, mode)
			conn, err := pgx.ConnectConfig(t.Context(), cfg)
			if err != nil {
				t.Errorf("a new client cannot log in while %s is dead: %v", shardName(victim), err)
				continue
			}
			var name string
			if err := conn.QueryRow(t.Context(), "SELECT name FROM customers WHERE id = $1", s.keys[0]).Scan(&name); err != nil {
				t.Errorf("a new client (%s) cannot read from %s while %s is dead: %v", mode, shardName(s.server), shardName(victim), err)
			}
			must(t, conn.Close(t.Context()))
		}
	}
}

func TestKilledProxyLosesNoAcknowledgedWrite(t *testing.T) {
	c := start(t, layout{})
	w := c.startTraffic(t)
	schema := c.changeSchema(t)
	w.more(t, "traffic flows", 100, func(int) bool { return true })
	c.kill9(t)
	schema.Wait()
	c.pgring.start(t)
	w.more(t, "traffic flows through the new process", 50, func(int) bool { return true })
	w.stop()
	w.checkAcknowledged(t)
	defaults := map[string]bool{}
	for i, s := range c.servers {
		conn := s.Connect(t)
		eventually(t, patience, "nothing is left of the killed process on "+shardName(i), func(ctx context.Context) error {
			prepared := one[int](t, conn, "SELECT count(*) FROM pg_prepared_xacts")
			busy := one[int](t, conn, "SELECT count(*) FROM pg_stat_activity WHERE datname = 'shop' AND state <> 'idle' AND pid <> pg_backend_pid()")
			if prepared+busy > 0 {
				return fmt.Errorf("%d prepared and %d open transactions", prepared, busy)
			}
			return nil
		})
		in := s.ConnectAs(t, appLogin, database)
		defaults[one[string](t, in, "SELECT coalesce((SELECT column_default FROM information_schema.columns WHERE table_name = 'countries' AND column_name = 'name'), '')")] = true
		if locks := one[int](t, in, "SELECT count(*) FROM pg_locks WHERE relation = 'orders'::regclass OR relation = 'countries'::regclass"); locks != 0 {
			t.Errorf("%s: %d locks are left", shardName(i), locks)
		}
	}
	if len(defaults) != 1 {
		t.Errorf("the shards disagree about what the killed process was changing: %v", defaults)
	}
	execute(t, c.connect(t), "ALTER TABLE countries ALTER COLUMN name SET DEFAULT 'after'")
}

// changeSchema runs DDL on every shard, again and again, until the proxy is gone.
func (c *cluster) changeSchema(t *testing.T) *sync.WaitGroup {
	t.Helper()
	conn := c.connect(t)
	var group sync.WaitGroup
	// owner: the caller, through group; ends when the connection does
	group.Go(func() {
		for i := 0; ; i++ {
			_, err := conn.Exec(context.WithoutCancel(t.Context()), fmt.Sprintf("ALTER TABLE countries ALTER COLUMN name SET DEFAULT 'v%d'", i))
			if conn.IsClosed() {
				return
			}
			if err != nil {
				t.Errorf("change the schema: %v", err)
				return
			}
		}
	})
	return &group
}
