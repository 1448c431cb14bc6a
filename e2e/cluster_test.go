package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgring/pgring/internal/pgtest"
	"github.com/pgring/pgring/ring"
)

const (
	database  = "shop"
	patience  = 60 * time.Second // for what must happen, on a machine that is busy with other tests
	appLogin  = "app"            // a client of the shards
	dbaLogin  = "dba"            // may use the console too
	appSecret = "app-secret"
	dbaSecret = "dba-secret"
)

// shopTables are customers and their orders side by side, countries on every shard; every other table is at home.
const shopTables = `
  - {name: customers, shard_key: [id]}
  - {name: orders, shard_key: [customer_id], colocate: customers}
  - {name: countries, strategy: reference}`

const shopSchema = `
CREATE TABLE customers (id bigint PRIMARY KEY, name text NOT NULL, balance bigint NOT NULL DEFAULT 0);
CREATE TABLE orders (customer_id bigint NOT NULL REFERENCES customers, id bigint NOT NULL, item text, PRIMARY KEY (customer_id, id));
CREATE TABLE countries (code text PRIMARY KEY, name text NOT NULL);`

// homeSchema is made on the first shard only.
const homeSchema = `CREATE TABLE notes (id bigint PRIMARY KEY, body text);`

// layout is how a scenario wants its cluster.
type layout struct {
	tables   string // of the configuration; empty: shopTables
	schema   string // made on every shard before pgring starts; empty: shopSchema
	home     string // made on the first shard; empty: homeSchema
	poolSize int    // 0: 20
	clients  int    // limits.max_clients; 0: 5000
	binary   string // variable with the name of the program; empty: binaryVariable
	pool     string // further lines of section pool
	durable  bool   // the servers flush what they commit
	keep     string // rebalance.keep_source; empty: 1s
	spare    int    // of the four servers: the last ones, which the configuration does not name
}

// cluster is four servers and one pgring in front of them.
type cluster struct {
	*pgring
	layout  layout
	servers []*pgtest.Server
}

// start starts four servers with a database of an ordinary user, and a proxy.
func start(t testing.TB, l layout) *cluster {
	t.Helper()
	if l.tables == "" {
		l.tables = shopTables
		l.schema += shopSchema
		l.home += homeSchema
	}
	var options []pgtest.Option
	if l.durable {
		options = append(options, pgtest.Durable())
	}
	c := &cluster{layout: l, servers: pgtest.Start(t, 4, options...)}
	for i, s := range c.servers {
		s.CreateUser(t, appLogin, appSecret)
		s.CreateDatabase(t, database, appLogin)
		sql := l.schema
		if i == 0 {
			sql += l.home
		}
		s.ExecIn(t, database, "SET ROLE app;"+sql)
	}
	c.pgring = c.startProxy(t)
	return c
}

// startProxy starts one more pgring over the same servers.
func (c *cluster) startProxy(t testing.TB) *pgring {
	t.Helper()
	p := &pgring{port: pgtest.Port(t), http: pgtest.Port(t), binary: c.layout.binary}
	p.config = filepath.Join(t.TempDir(), "pgring.yaml")
	if err := os.WriteFile(p.config, []byte(c.configuration(p)), 0o600); err != nil {
		t.Fatal(err)
	}
	p.start(t)
	return p
}

func (c *cluster) configuration(p *pgring) string {
	poolSize, clients, keep := c.layout.poolSize, c.layout.clients, c.layout.keep
	if keep == "" {
		keep = "1s"
	}
	if poolSize == 0 {
		poolSize = 20
	}
	if clients == 0 {
		clients = 5000
	}
	var b strings.Builder
	fmt.Fprintf(&b, "version: 1\nlisten: {sql: '127.0.0.1:%d', http: '127.0.0.1:%d'}\n", p.port, p.http)
	fmt.Fprintf(&b, "auth:\n  users:\n    - {name: %s, password: %s}\n", appLogin, appSecret)
	fmt.Fprintf(&b, "    - {name: %s, password: %s, role: admin, database: %s}\n", dbaLogin, dbaSecret, database)
	fmt.Fprintf(&b, "backend: {user: %s, database: %s, operator: {user: %s}}\nshards:\n", appLogin, database, pgtest.Superuser)
	for i, s := range c.servers[:len(c.servers)-c.layout.spare] {
		fmt.Fprintf(&b, "  - {name: %s, host: %s, port: %d}\n", shardName(i), s.Host, s.Port)
	}
	fmt.Fprintf(&b, "pool:\n  size: %d\n%slimits: {max_clients: %d}\nrebalance: {keep_source: %s}\ntables:%s\n",
		poolSize, c.layout.pool, clients, keep, c.layout.tables)
	return b.String()
}

func shardName(i int) string { return fmt.Sprintf("s%d", i+1) }

// owner computes, without asking pgring, which of the servers has the rows of a customer.
func (c *cluster) owner(t testing.TB, customer int64) int {
	t.Helper()
	key, err := ring.ParseKey(ring.KeyInt, fmt.Append(nil, customer))
	if err != nil {
		t.Fatal(err)
	}
	id := c.slotMap(t).Locate(key).Shard
	for i := range c.servers {
		if shardName(i) == string(id) {
			return i
		}
	}
	t.Fatalf("shard %q of customer %d is not in the cluster", id, customer)
	return -1
}

// slotMap is where the ring places slots on four equal shards.
func (c *cluster) slotMap(t testing.TB) *ring.Map {
	t.Helper()
	shards := make([]ring.Shard, len(c.servers))
	for i := range shards {
		shards[i] = ring.Shard{ID: ring.ShardID(shardName(i)), Weight: 1}
	}
	r, err := ring.New(ring.Config{VirtualNodes: 128, LoadBound: 1.05}, shards)
	if err != nil {
		t.Fatal(err)
	}
	return r.Place()
}

// customersOn finds n customers from `from` on whose rows are on a server.
func (c *cluster) customersOn(t testing.TB, server int, from int64, n int) []int64 {
	t.Helper()
	return c.keysOn(t, server, from, from+int64(100*n)+1000)[:n]
}

// keysOn lists the keys between two bounds, both included, whose rows are on a server.
func (c *cluster) keysOn(t testing.TB, server int, from, to int64) []int64 {
	t.Helper()
	placement := c.slotMap(t)
	var found []int64
	for id := from; id <= to; id++ {
		key, err := ring.ParseKey(ring.KeyInt, strconv.AppendInt(nil, id, 10))
		must(t, err)
		if string(placement.Locate(key).Shard) == shardName(server) {
			found = append(found, id)
		}
	}
	return found
}

// dsn is the connection URL of a user through a proxy.
func (p *pgring) dsn(user string) string {
	secret := map[string]string{appLogin: appSecret, dbaLogin: dbaSecret}[user]
	return fmt.Sprintf("postgres://%s:%s@127.0.0.1:%d/%s?sslmode=disable", user, secret, p.port, database)
}

// connect logs in as the application.
func (p *pgring) connect(t testing.TB) *pgx.Conn {
	t.Helper()
	return connect(t, p.dsn(appLogin))
}

// console logs in to the console.
func (p *pgring) console(t testing.TB) *pgx.Conn {
	t.Helper()
	dsn := strings.Replace(p.dsn(dbaLogin), "/"+database+"?", "/pgring?", 1)
	return connect(t, dsn+"&default_query_exec_mode=simple_protocol")
}

func connect(t testing.TB, dsn string) *pgx.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 5*time.Second)
		defer cancel()
		_ = conn.Close(ctx) // the proxy may be dead on purpose
	})
	return conn
}

// poolOf opens a pool of connections of the application.
func (p *pgring) poolOf(t testing.TB, size int) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), fmt.Sprintf("%s&pool_max_conns=%d", p.dsn(appLogin), size))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// querier is what a connection, a pool and a transaction have in common.
type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// one returns the single value of a query.
func one[T any](t testing.TB, q querier, sql string, args ...any) T {
	t.Helper()
	var value T
	if err := q.QueryRow(t.Context(), sql, args...).Scan(&value); err != nil {
		t.Fatalf("query %q: %v", sql, err)
	}
	return value
}

// execute runs statements that must work.
func execute(t testing.TB, conn *pgx.Conn, sql string, args ...any) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("execute %q: %v", sql, err)
	}
}

// must ends the test on an error.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually asks again and again until there is no error, or the time is over.
func eventually(t testing.TB, limit time.Duration, what string, try func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	var last error
	for {
		if err := try(ctx); err == nil {
			return
		} else if ctx.Err() == nil || last == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: not within %s: %v", what, limit, last)
		case <-tick.C:
		}
	}
}

// given is a time that the environment gives, in a unit if it names none itself, or otherwise.
func given(t testing.TB, variable, unit string, otherwise time.Duration) time.Duration {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	period, err := time.ParseDuration(text + unit)
	must(t, err)
	return period
}
