package proxy_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/backend"
	"github.com/pgring/pgring/ids"
	"github.com/pgring/pgring/ingest"
	"github.com/pgring/pgring/internal/pgtest"
	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/pgwire/poll"
	"github.com/pgring/pgring/proxy"
	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/router"
	"github.com/pgring/pgring/saga"
	"github.com/pgring/pgring/topology"
)

// cluster is a proxy in this process over real servers.
type cluster struct {
	t        testing.TB
	servers  []*pgtest.Server
	topology *topology.Topology
	engine   *poll.Engine
	pools    *backend.Pools
	ids      *ids.Generator // its test calls Renew
	queues   *ingest.Queues
	server   *proxy.Server
	addr     string
	spoiled  bool // is not lent to another test
	end      context.CancelFunc
}

// tables of every test cluster: users and notes are colocated, countries is on every shard, and everything else is at home.
func testTables() []topology.TableWish {
	return []topology.TableWish{
		{Name: topology.Name{Schema: "public", Table: "users"}, Kind: topology.Sharded, Key: []string{"id"}},
		{Name: topology.Name{Schema: "public", Table: "notes"}, Kind: topology.Sharded, Key: []string{"user_id"}, Colocate: "users"},
		{Name: topology.Name{Schema: "public", Table: "countries"}, Kind: topology.Reference},
	}
}

const testSchema = `
CREATE TABLE users (id bigint PRIMARY KEY, name text, age int);
CREATE TABLE notes (user_id bigint, n int, body text, PRIMARY KEY (user_id, n));
CREATE TABLE countries (code text PRIMARY KEY, name text);`

// options of a test cluster.
type options struct {
	shards  int
	pool    backend.Config
	policy  proxy.Policy
	server  []pgtest.Option
	noTable bool
	tables  []topology.TableWish // declared beside those of every test cluster
	setup   string               // makes them
	async   map[topology.Name]ingest.Rule
	logs    string // the folder of their logs; empty: a new one
	locale  string // of the servers; empty: C.UTF-8
	bank    bool   // ages are balances, which must not become negative
	own     bool   // no other test has had it, and none will
}

func start(t testing.TB, o options) *cluster {
	t.Helper()
	return lend(t, o, false).cluster
}

// build starts a cluster, and a plain server beside it if there shall be one.
func build(t testing.TB, o options, withPlain bool) *twin {
	t.Helper()
	if o.shards == 0 {
		o.shards = 3
	}
	if o.locale != "" {
		o.server = append(o.server, pgtest.Locale(o.locale))
	}
	schema := testSchema + o.setup
	if o.bank {
		schema += "ALTER TABLE users ADD CONSTRAINT age_positive CHECK (age >= 0);"
	}
	n := o.shards
	if withPlain {
		n++
	}
	servers := pgtest.Start(t, n, o.server...)
	w := &twin{cluster: &cluster{t: t, servers: servers[:o.shards:o.shards]}}
	if !o.noTable {
		for _, s := range w.servers {
			s.Exec(t, schema)
		}
	}
	w.build(o)
	if withPlain {
		w.plain = servers[o.shards]
		w.plain.Exec(t, testSchema+things)
		conn := w.connect()
		run(t, conn, things)
		must(t, conn.Close(context.Background()))
		w.keys3 = w.keys(len(w.servers))
	}
	return w
}

func (c *cluster) build(o options) {
	t := c.t
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	wish := topology.Wish{Tables: append(testTables(), o.tables...)}
	login := backend.Login{User: "postgres", Database: "postgres"}
	o.pool.Logger = log
	var err error
	c.engine, err = poll.New(2)
	must(t, err)
	o.pool.Engine = c.engine
	if o.pool.AcquireTimeout == 0 {
		o.pool.AcquireTimeout = 10 * time.Second
	}
	o.pool.PreparedStatements = max(o.pool.PreparedStatements, 100)
	for i, s := range c.servers {
		id := ring.ShardID(fmt.Sprintf("s%d", i+1))
		wish.Shards = append(wish.Shards, topology.Shard{ID: id, Host: s.Host, Port: s.Port})
		o.pool.Targets = append(o.pool.Targets, backend.Target{Shard: id, Host: s.Host, Port: s.Port, Login: login})
	}
	dial := func(ctx context.Context, shard topology.Shard) (*pgx.Conn, error) {
		return backend.Connect(ctx, backend.Target{Shard: shard.ID, Host: shard.Host, Port: shard.Port, Login: login}, login)
	}
	home := wish.Shards[0]
	c.topology, err = topology.New(topology.Config{Dial: dial, Wish: wish, Log: log,
		Control: func(ctx context.Context) (*pgx.Conn, error) { return dial(ctx, home) }})
	must(t, err)
	c.pools, err = backend.New(o.pool)
	must(t, err)
	commit, err := saga.New(saga.Config{Topology: c.topology, Logger: log, Login: c.pools.Login, Operator: func(ctx context.Context, id ring.ShardID) (*pgx.Conn, error) {
		shard, _ := c.topology.Current().Shard(id)
		return dial(ctx, shard)
	}})
	must(t, err)
	verifier, err := pgwire.NewVerifier("secret")
	must(t, err)
	o.policy.Users = map[string]*proxy.User{"app": {Name: "app", Verifier: verifier, Role: proxy.RoleAdmin}}
	c.ids, err = ids.New(ids.Config{Log: log, Control: func(ctx context.Context) (*pgx.Conn, error) { return dial(ctx, home) }})
	must(t, err)
	if o.logs == "" {
		o.logs = t.TempDir()
	}
	c.queues, err = ingest.NewQueues(ingest.QueuesConfig{Dir: o.logs, Topology: c.topology, Dial: dial, Login: c.pools.Login, Log: log})
	must(t, err)
	c.queues.Apply(o.async)
	if o.policy.PrepareAfter == 0 {
		o.policy.PrepareAfter = -1 // every statement that may be is prepared: nothing tells
	}
	c.server, err = proxy.New(proxy.Config{Router: router.New(router.Config{}), Topology: c.topology, Pools: c.pools, Commit: commit,
		Queues: c.queues, IDs: c.ids, Policy: o.policy, Engine: c.engine, Logger: log})
	must(t, err)
	c.run(commit)
}

// run starts the parts, and has the test's end stop them and wait.
func (c *cluster) run(commit *saga.Coordinator) {
	t := c.t
	ctx, stop := context.WithCancel(context.Background())
	var above, below sync.WaitGroup
	poolsCtx, stopPools := context.WithCancel(context.Background())
	below.Go(func() { _ = c.pools.Run(poolsCtx) })
	below.Go(func() { _ = c.engine.Run(poolsCtx) })
	_, err := c.topology.Start(ctx)
	must(t, err)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	c.addr = ln.Addr().String()
	above.Go(func() { _ = c.topology.Run(ctx) })
	above.Go(func() { _ = commit.Run(ctx) })
	above.Go(func() { _ = c.queues.Run(ctx) })
	above.Go(func() { _ = c.server.Serve(ctx, ln, 0) })
	var once sync.Once
	c.end = func() {
		once.Do(func() {
			stop()
			above.Wait()
			stopPools()
			below.Wait()
		})
	}
	t.Cleanup(c.end)
}

// stop ends the proxy before the test's end.
func (c *cluster) stop() {
	c.spoiled = true
	c.end()
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (c *cluster) dsn() string {
	return "postgres://app:secret@" + c.addr + "/shop?sslmode=disable"
}

// connect opens a client connection through the proxy.
func (c *cluster) connect() *pgx.Conn {
	c.t.Helper()
	conn, err := pgx.Connect(context.Background(), c.dsn())
	must(c.t, err)
	c.t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// shardOf returns the server that owns a key of users.
func (c *cluster) shardOf(id int64) *pgtest.Server {
	key, err := ring.ParseKey(ring.KeyInt, fmt.Appendf(nil, "%d", id))
	must(c.t, err)
	at := c.topology.Current().Table("public", "users").Group.Placement.Locate(key)
	for i, s := range c.servers {
		if at.Shard == ring.ShardID(fmt.Sprintf("s%d", i+1)) {
			return s
		}
	}
	c.t.Fatalf("key %d is on no shard", id)
	return nil
}

// keys returns n keys, each owned by a different server.
func (c *cluster) keys(n int) []int64 {
	var keys []int64
	seen := map[*pgtest.Server]bool{}
	for id := int64(1); len(keys) < n; id++ {
		if s := c.shardOf(id); !seen[s] {
			seen[s] = true
			keys = append(keys, id)
		}
	}
	return keys
}

func countOn(t testing.TB, s *pgtest.Server, table string) int64 {
	t.Helper()
	return pgtest.One[int64](t, s, "SELECT count(*) FROM "+table)
}

// waitFor polls until the condition holds.
func waitFor(t testing.TB, what string, done func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for tick := time.NewTicker(10 * time.Millisecond); ; <-tick.C {
		if done() {
			tick.Stop()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
