package saga_test

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/pgring/pgring/backend"
	"github.com/pgring/pgring/internal/pgtest"
	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/saga"
	"github.com/pgring/pgring/topology"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// client is the login of clients on the shards. It owns nothing in schema pgring.
const client = "client"

// cluster is n real servers, each a shard, with pools that log in as the client.
type cluster struct {
	servers []*pgtest.Server
	shards  []ring.ShardID
	topo    *topology.Topology
	pools   *backend.Pools
	keys    atomic.Int64
	known   *saga.Coordinator // all others begin with what it knows of the shards; nil: with nothing

	watching sync.Mutex
	watchers []*pgx.Conn
}

func newCluster(t *testing.T, servers ...*pgtest.Server) *cluster {
	t.Helper()
	return newNamedCluster(t, []ring.ShardID{"s1", "s2", "s3"}[:len(servers)], servers...)
}

func newNamedCluster(t *testing.T, names []ring.ShardID, servers ...*pgtest.Server) *cluster {
	t.Helper()
	c := &cluster{servers: servers, shards: names, watchers: make([]*pgx.Conn, len(servers))}
	var wish topology.Wish
	cfg := backend.Config{Size: 10}
	for i, s := range servers {
		s.Exec(t, `CREATE ROLE client LOGIN; GRANT CREATE ON SCHEMA public TO client;
			CREATE TABLE work (key bigint PRIMARY KEY); GRANT ALL ON work TO client`)
		id := names[i]
		wish.Shards = append(wish.Shards, topology.Shard{ID: id, Host: s.Host, Port: s.Port})
		cfg.Targets = append(cfg.Targets, backend.Target{Shard: id, Host: s.Host, Port: s.Port,
			Login: backend.Login{User: client, Database: "postgres"}, Operator: backend.Login{User: pgtest.Superuser, Database: "postgres"}})
	}
	c.topo = c.startTopology(t, wish)
	c.pools = runPools(t, cfg)
	return c
}

func (c *cluster) startTopology(t *testing.T, wish topology.Wish) *topology.Topology {
	t.Helper()
	dial := func(ctx context.Context, port int) (*pgx.Conn, error) {
		return pgx.Connect(ctx, fmt.Sprintf("host=127.0.0.1 port=%d user=postgres dbname=postgres sslmode=disable", port))
	}
	topo, err := topology.New(topology.Config{Wish: wish,
		Control: func(ctx context.Context) (*pgx.Conn, error) { return dial(ctx, c.servers[0].Port) },
		Dial:    func(ctx context.Context, s topology.Shard) (*pgx.Conn, error) { return dial(ctx, s.Port) }})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := topo.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return topo
}

func runPools(t *testing.T, cfg backend.Config) *backend.Pools {
	t.Helper()
	pools, err := backend.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	running.Go(func() {
		if err := pools.Run(ctx); err != nil {
			t.Errorf("run pools: %v", err)
		}
	})
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	return pools
}

// option changes the configuration of a coordinator.
type option func(*saga.Config)

func hook(f func(saga.Point)) option { return func(cfg *saga.Config) { cfg.SetHook(f) } }

// coordinator is one that gives transactions of others no grace.
func (c *cluster) coordinator(t *testing.T, options ...option) *saga.Coordinator {
	t.Helper()
	cfg := saga.Config{Topology: c.topo, Operator: c.pools.Operator, Login: c.pools.Login, Interval: 10 * time.Millisecond}
	cfg.SetGrace(time.Nanosecond)
	for _, o := range options {
		o(&cfg)
	}
	coordinator, err := saga.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if c.known != nil {
		coordinator.LearnFrom(c.known)
	}
	return coordinator
}

// learn has all coordinators know the shards from now on, so that what they would ask at first is no point of the protocol.
func (c *cluster) learn(t *testing.T) {
	t.Helper()
	known := c.coordinator(t)
	tx := c.open(t, kinds()[0], c.shards...)
	if err := known.Commit(t.Context(), tx.conns); err != nil {
		t.Fatal(err)
	}
	tx.release(t)
	c.known = known
}

// tally counts points of the protocol by message.
type tally map[string]int

func (n tally) total() (sum int) {
	for _, points := range n {
		sum += points
	}
	return sum
}

// log prints how many points were tried.
func (n tally) log(t *testing.T, what string) {
	t.Helper()
	var list []string
	for _, message := range slices.Sorted(maps.Keys(n)) {
		list = append(list, fmt.Sprintf("%s %d", message, n[message]))
	}
	t.Logf("%d %s: %s", n.total(), what, strings.Join(list, ", "))
}

// count runs a query on the i-th server.
func (c *cluster) count(t *testing.T, i int, sql string) int {
	t.Helper()
	return see[int](t, c, i, sql)
}

// see runs a query on the i-th server, on a connection that is kept because tests ask often.
func see[T any](t *testing.T, c *cluster, i int, sql string) (value T) {
	t.Helper()
	c.watching.Lock()
	defer c.watching.Unlock()
	if c.watchers[i] == nil || c.watchers[i].IsClosed() {
		c.watchers[i] = c.servers[i].Connect(t)
	}
	if err := c.watchers[i].QueryRow(t.Context(), sql, pgx.QueryExecModeSimpleProtocol).Scan(&value); err == nil {
		return value
	}
	return pgtest.One[T](t, c.servers[i], sql) // the server was killed in between
}

func (c *cluster) server(shard ring.ShardID) *pgtest.Server {
	return c.servers[slices.Index(c.shards, shard)]
}

// kind is what a transaction does on each shard, and how to see that it has.
type kind struct {
	name string
	work string // with a %d for the key
	seen string // 0 or 1
}

func kinds() []kind {
	return []kind{
		{"dml", "INSERT INTO work VALUES (%d)", "SELECT count(*) FROM work WHERE key = %d"},
		{"ddl", "CREATE TABLE made_%d (id bigint)", "SELECT count(*) FROM pg_class WHERE relname = 'made_%d'"},
	}
}

// transaction is one that is open on several shards.
type transaction struct {
	c     *cluster
	kind  kind
	key   int64
	conns []*backend.Conn
}

func (c *cluster) open(t *testing.T, k kind, shards ...ring.ShardID) *transaction {
	t.Helper()
	tx := &transaction{c: c, kind: k, key: c.keys.Add(1)}
	for _, shard := range shards {
		conn := c.acquire(t, shard)
		mustRun(t, conn, "BEGIN")
		mustRun(t, conn, fmt.Sprintf(k.work, tx.key))
		tx.conns = append(tx.conns, conn)
	}
	return tx
}

func (c *cluster) acquire(t *testing.T, shard ring.ShardID) *backend.Conn {
	t.Helper()
	var conn *backend.Conn
	await(t, "a connection to "+string(shard), func() bool {
		var err error
		conn, err = c.pools.Acquire(t.Context(), shard, client)
		return err == nil
	})
	return conn
}

// release gives the connections back and checks that they are in the state that Commit promises.
func (tx *transaction) release(t *testing.T) {
	t.Helper()
	for _, conn := range tx.conns {
		if conn.Status() != pgwire.TxIdle {
			if err := run(conn, "SELECT 1"); err == nil {
				t.Errorf("connection to %s has status %c and still works", conn.Shard(), conn.Status())
			}
		}
		conn.Release()
	}
}

// drop cuts the connections as the end of the process would.
func (tx *transaction) drop() {
	for _, conn := range tx.conns {
		_ = conn.Wire().Close()
		conn.Discard()
	}
}

// crash runs Commit up to the n-th point and stops it there for good; it reports false if Commit came to its end.
func (c *cluster) crash(t *testing.T, tx *transaction, n int, options ...option) (at saga.Point, crashed bool) {
	t.Helper()
	seen := 0
	stop := hook(func(p saga.Point) {
		if seen++; seen > n {
			at, crashed = p, true
			runtime.Goexit()
		}
	})
	coordinator := c.coordinator(t, append(options, stop)...)
	var group sync.WaitGroup
	group.Go(func() {
		if err := coordinator.Commit(t.Context(), tx.conns); err != nil {
			t.Errorf("commit: %v", err)
		}
	})
	group.Wait()
	tx.drop()
	c.awaitQuiet(t)
	return at, crashed
}

// awaitQuiet waits until the servers have noticed that the connections are gone.
func (c *cluster) awaitQuiet(t *testing.T) {
	t.Helper()
	for i := range c.servers {
		await(t, "the end of the client's sessions", func() bool {
			return c.count(t, i, "SELECT count(*) FROM pg_stat_activity WHERE usename = 'client' AND state IS DISTINCT FROM 'idle'") == 0
		})
	}
}

// settle runs the janitor until nothing is prepared.
func (c *cluster) settle(t *testing.T) {
	t.Helper()
	c.settleWith(t, c.coordinator(t))
}

func (c *cluster) settleWith(t *testing.T, coordinator *saga.Coordinator) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() {
		if err := coordinator.Run(ctx); err != nil {
			t.Errorf("run: %v", err)
		}
	})
	defer group.Wait()
	defer cancel()
	await(t, "nothing prepared", func() bool { return c.prepared(t) == 0 })
}

func (c *cluster) prepared(t *testing.T) int {
	t.Helper()
	n := 0
	for i := range c.servers {
		n += c.count(t, i, "SELECT count(*) FROM pg_prepared_xacts")
	}
	return n
}

// done counts the shards on which the transaction's work is.
func (tx *transaction) done(t *testing.T) int {
	t.Helper()
	n := 0
	for i := range tx.c.servers {
		n += tx.c.count(t, i, fmt.Sprintf(tx.kind.seen, tx.key))
	}
	return n
}

// mustBeWhole checks that the work is on all shards or on none, and returns which.
func (tx *transaction) mustBeWhole(t *testing.T) (all bool) {
	t.Helper()
	n := tx.done(t)
	if n != 0 && n != len(tx.conns) {
		t.Fatalf("the work is on %d of %d shards", n, len(tx.conns))
	}
	return n > 0
}

func run(conn *backend.Conn, sql string) error {
	wire := conn.Wire()
	if err := wire.Write(pgwire.AppendText(nil, pgwire.Query, sql)); err != nil {
		return err
	}
	if err := wire.Flush(); err != nil {
		return err
	}
	var failure error
	for {
		typ, size, err := wire.Peek()
		if err != nil {
			return err
		}
		frame, err := wire.Frame(size, 1<<20)
		if err != nil {
			return err
		}
		switch typ {
		case pgwire.ErrorResponse:
			failure = pgwire.ParseError(frame)
		case pgwire.ReadyForQuery:
			body := pgwire.BodyOf(frame)
			conn.SetStatus(body.Byte())
			return failure
		}
	}
}

func mustRun(t *testing.T, conn *backend.Conn, sql string) {
	t.Helper()
	if err := run(conn, sql); err != nil {
		t.Fatalf("%s on %s: %v", sql, conn.Shard(), err)
	}
}

// await polls a condition and fails when it does not come true.
func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	limit := time.NewTimer(time.Minute)
	defer limit.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-limit.C:
			t.Fatalf("waited a minute for %s", what)
		}
	}
}
