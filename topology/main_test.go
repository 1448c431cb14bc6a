package topology_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/pgring/pgring/internal/pgserver"
	"github.com/pgring/pgring/internal/pgtest"
	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

// shared is one server for all tests that do not harm it: starting a server, or making a database, costs a second on a busy machine.
var shared struct {
	once   sync.Once
	server *pgserver.Server
	err    error
}

// shardNames are the databases of the shared server.
var shardNames = []string{"s1", "s2", "s3", "s4"}

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.server != nil {
		if err := shared.server.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "end the shared server:", err)
			code = 1
		}
	}
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// cluster is one real server whose databases play the shards: a shard's Host is its database. The control database is s1's.
type cluster struct {
	dsn func(database string) string
}

// newCluster empties the databases s1 to s4 of the shared server.
func newCluster(t *testing.T) *cluster {
	t.Helper()
	shared.once.Do(func() {
		shared.server, shared.err = pgserver.Start(context.WithoutCancel(t.Context()), pgserver.Config{})
		if shared.err == nil {
			for _, name := range shardNames {
				c := &cluster{dsn: sharedDSN}
				c.exec(t, "CREATE DATABASE "+name, pgtest.Superuser)
			}
		}
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	c := &cluster{dsn: sharedDSN}
	c.exec(t, "DROP SCHEMA IF EXISTS pgring, public, app CASCADE; CREATE SCHEMA public", shardNames...)
	return c
}

func sharedDSN(db string) string { return shared.server.SocketDSN(pgtest.Superuser, db) }

// ownCluster is a server that the test may kill, with the databases it names.
func ownCluster(t *testing.T, databases ...string) (*cluster, *pgtest.Server) {
	t.Helper()
	server := pgtest.Start(t, 1)[0]
	for _, name := range databases {
		server.CreateDatabase(t, name, pgtest.Superuser)
	}
	return &cluster{dsn: func(db string) string { return server.DSN(pgtest.Superuser, db) }}, server
}

func (c *cluster) exec(t *testing.T, sql string, databases ...string) {
	t.Helper()
	for _, name := range databases {
		c.session(t, name, func(ctx context.Context, conn *pgx.Conn) error {
			_, err := conn.PgConn().Exec(ctx, sql).ReadAll()
			return err
		})
	}
}

func (c *cluster) count(t *testing.T, database, sql string) (n int) {
	t.Helper()
	c.session(t, database, func(ctx context.Context, conn *pgx.Conn) error { return conn.QueryRow(ctx, sql).Scan(&n) })
	return n
}

func (c *cluster) session(t *testing.T, database string, body func(context.Context, *pgx.Conn) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, c.dsn(database))
	if err == nil {
		defer conn.Close(ctx)
		err = body(ctx, conn)
	}
	if err != nil {
		t.Fatalf("database %s: %v", database, err)
	}
}

func (c *cluster) control(ctx context.Context) (*pgx.Conn, error) {
	return pgx.Connect(ctx, c.dsn("s1"))
}

func (c *cluster) dial(ctx context.Context, shard topology.Shard) (*pgx.Conn, error) {
	return pgx.Connect(ctx, c.dsn(shard.Host))
}

func (c *cluster) config(wish topology.Wish) topology.Config {
	return topology.Config{
		Control: c.control, Dial: c.dial, Wish: wish,
		StartTimeout: 20 * time.Second, CatalogPoll: 50 * time.Millisecond,
	}
}

// start runs a topology until the test ends.
func start(t *testing.T, cfg topology.Config) *topology.Topology {
	t.Helper()
	topo := load(t, cfg)
	run(t, topo)
	return topo
}

// load starts a topology that nothing keeps fresh.
func load(t *testing.T, cfg topology.Config) *topology.Topology {
	t.Helper()
	topo, err := topology.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	notices, err := topo.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, notice := range notices {
		t.Log("notice:", notice)
	}
	return topo
}

func run(t *testing.T, topo *topology.Topology) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	// owner: the test; ends when the clean-up cancels ctx.
	go func() { done <- topo.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

// refusal is the error of a Start that must not succeed.
func refusal(t *testing.T, cfg topology.Config) error {
	t.Helper()
	topo, err := topology.New(cfg)
	if err != nil {
		return err
	}
	if _, err = topo.Start(t.Context()); err == nil {
		t.Fatal("Start succeeded")
	}
	return err
}

func mustRefuse(t *testing.T, err error, words ...string) *topology.RefusedError {
	t.Helper()
	var refused *topology.RefusedError
	if !errors.As(err, &refused) {
		t.Fatalf("error %v, want a RefusedError", err)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("error %q lacks %q", err, word)
		}
	}
	return refused
}

// await polls a condition and fails when it does not come true in time.
func await(t *testing.T, limit time.Duration, what string, condition func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		if time.Since(began) > limit {
			t.Fatalf("not within %s: %s", limit, what)
		}
		<-tick.C
	}
	return time.Since(began)
}

func wish(shards ...string) topology.Wish {
	var w topology.Wish
	for _, name := range shards {
		w.Shards = append(w.Shards, topology.Shard{ID: ring.ShardID(name), Host: name})
	}
	return w
}

func sharded(table, key, colocate string) topology.TableWish {
	return topology.TableWish{Name: topology.ParseName(table), Kind: topology.Sharded, Key: []string{key}, Colocate: colocate}
}

func owners(t *testing.T, snap *topology.Snapshot, table string) []ring.ShardID {
	t.Helper()
	found := snap.Table("public", table)
	if found == nil || found.Group == nil {
		t.Fatalf("table %s is not sharded: %+v", table, found)
	}
	return found.Group.Placement.Owners()
}
