package topology_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/pgring/pgring/internal/pgtest"
	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// cluster is one real server whose databases play the shards: a shard's Host is its database. The control database is s1's.
type cluster struct {
	server *pgtest.Server
}

func newCluster(t *testing.T, shards ...string) *cluster {
	t.Helper()
	c := &cluster{server: pgtest.Start(t, 1)[0]}
	for _, name := range shards {
		c.server.CreateDatabase(t, name, pgtest.Superuser)
	}
	return c
}

func (c *cluster) exec(t *testing.T, sql string, shards ...string) {
	t.Helper()
	for _, shard := range shards {
		c.server.ExecIn(t, shard, sql)
	}
}

func (c *cluster) control(ctx context.Context) (*pgx.Conn, error) {
	return pgx.Connect(ctx, c.server.DSN(pgtest.Superuser, "s1"))
}

func (c *cluster) dial(ctx context.Context, shard topology.Shard) (*pgx.Conn, error) {
	return pgx.Connect(ctx, c.server.DSN(pgtest.Superuser, shard.Host))
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

func (c *cluster) count(t *testing.T, db, sql string) int {
	t.Helper()
	return pgtest.OneIn[int](t, c.server, db, sql)
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
