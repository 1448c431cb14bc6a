package admin_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/pgring/pgring/admin"
	"github.com/pgring/pgring/backend"
	"github.com/pgring/pgring/internal/faultnet"
	"github.com/pgring/pgring/internal/pgtest"
	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/proxy"
	"github.com/pgring/pgring/rebalance"
	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/saga"
	"github.com/pgring/pgring/topology"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// rig is a proxy with its console and HTTP endpoints in this process, over real servers wired as cmd does.
type rig struct {
	t        *testing.T
	servers  []*pgtest.Server
	topology *topology.Topology
	pools    *backend.Pools
	server   *proxy.Server
	console  *admin.Console
	web      *httptest.Server
	addr     string

	serving  atomic.Bool
	shutdown atomic.Int32 // the admin.ShutdownMode asked for
	reload   func() ([]admin.Change, error)
	control  func(context.Context) (*pgx.Conn, error)
}

const rigSchema = `
CREATE TABLE users (id bigint PRIMARY KEY, name text);
CREATE TABLE notes (user_id bigint, n int, PRIMARY KEY (user_id, n));
CREATE TABLE countries (code text PRIMARY KEY);`

// login is how the proxy logs in to the servers.
func login() backend.Login { return backend.Login{User: pgtest.Superuser, Database: pgtest.Superuser} }

// newRig starts n shards, s1 to sn, of which the last spare ones are not part of the cluster.
func newRig(t *testing.T, n, spare int, adjust ...func(*rig)) *rig {
	t.Helper()
	r := &rig{t: t, servers: pgtest.Start(t, n+spare)}
	for _, s := range r.servers {
		s.Exec(t, rigSchema)
	}
	r.control = func(ctx context.Context) (*pgx.Conn, error) { return r.dial(ctx, r.shard(0)) }
	for _, change := range adjust {
		change(r)
	}
	r.build(n)
	return r
}

func (r *rig) shard(i int) topology.Shard {
	return topology.Shard{ID: ring.ShardID(fmt.Sprintf("s%d", i+1)), Host: r.servers[i].Host, Port: r.servers[i].Port}
}

func target(s topology.Shard) backend.Target {
	return backend.Target{Shard: s.ID, Host: s.Host, Port: s.Port, Login: login(), ConnectTimeout: 2 * time.Second}
}

func (r *rig) dial(ctx context.Context, s topology.Shard) (*pgx.Conn, error) {
	return backend.Connect(ctx, target(s), login())
}

func (r *rig) operator(ctx context.Context, id ring.ShardID) (*pgx.Conn, error) {
	s, ok := r.topology.Current().Shard(id)
	if !ok {
		return nil, errors.New("no such shard")
	}
	return r.dial(ctx, s)
}

func (r *rig) poolConfig(shards []topology.Shard) backend.Config {
	c := backend.Config{Size: 5, AcquireTimeout: 5 * time.Second, PreparedStatements: 10}
	for _, s := range shards {
		c.Targets = append(c.Targets, target(s))
	}
	return c
}

func (r *rig) build(n int) {
	t := r.t
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	wish := topology.Wish{Tables: []topology.TableWish{
		{Name: topology.ParseName("users"), Kind: topology.Sharded, Key: []string{"id"}, Colocate: "people"},
		{Name: topology.ParseName("countries"), Kind: topology.Reference},
	}}
	for i := range n {
		wish.Shards = append(wish.Shards, r.shard(i))
	}
	var err error
	r.pools, err = backend.New(r.poolConfig(wish.Shards))
	must(t, err)
	r.topology, err = topology.New(topology.Config{Dial: r.dial, Control: r.control, Wish: wish, Log: log, Version: "test",
		Prepare: func(snap *topology.Snapshot) { must(t, r.pools.Update(r.poolConfig(snap.Shards))) }})
	must(t, err)
	commit, err := saga.New(saga.Config{Topology: r.topology, Operator: r.operator, Logger: log})
	must(t, err)
	r.server, err = proxy.New(proxy.Config{Topology: r.topology, Pools: r.pools, Commit: commit, Policy: r.policy(), Logger: log})
	must(t, err)
	r.console, err = admin.New(r.consoleConfig(commit, log))
	must(t, err)
	for _, name := range admin.Names() {
		r.server.Handle(name, r.console)
	}
	r.run(commit)
}

func (r *rig) policy() proxy.Policy {
	verifier, err := pgwire.NewVerifier("secret")
	must(r.t, err)
	users := map[string]*proxy.User{}
	for name, role := range map[string]proxy.Role{"boss": proxy.RoleAdmin, "eyes": proxy.RoleStats, "app": proxy.RoleApp} {
		users[name] = &proxy.User{Name: name, Verifier: verifier, Role: role}
	}
	return proxy.Policy{Users: users}
}

func (r *rig) consoleConfig(commit *saga.Coordinator, log *slog.Logger) admin.Config {
	moves, err := rebalance.New(rebalance.Config{Topology: r.topology, Control: r.control, Dial: r.dial, Log: log})
	must(r.t, err)
	return admin.Config{Server: r.server, Topology: r.topology, Pools: r.pools, Commit: commit, Rebalance: moves, Operator: r.operator,
		Settings: func() []admin.Setting {
			return []admin.Setting{{Key: "listen.sql", Value: "127.0.0.1:6432", Default: "127.0.0.1:6432", Restart: true}, {Key: "pool.mode", Value: "transaction", Default: "transaction"},
				{Key: "pool.size", Value: "5", Default: "20"}, {Key: "pool.min_idle", Value: "0", Default: "0"}, {Key: "limits.max_clients", Value: "100", Default: "2000"}}
		},
		Users: func() []admin.User {
			return []admin.User{{Name: "app", Role: "app"}, {Name: "boss", Role: "admin"}, {Name: "eyes", Role: "stats"}}
		},
		Reload:   func(context.Context) ([]admin.Change, error) { return r.reload() },
		Shutdown: func(mode admin.ShutdownMode) { r.shutdown.Store(int32(mode)) },
		Serving:  r.serving.Load, Database: "shop", Version: "9.9.9", PauseTimeout: 300 * time.Millisecond, Logger: log}
}

// run starts the parts, and has the test's end stop them in the opposite order.
func (r *rig) run(commit *saga.Coordinator) {
	t := r.t
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	below, stopBelow := context.WithCancel(context.WithoutCancel(t.Context()))
	var above, foundation sync.WaitGroup
	foundation.Go(func() { _ = r.pools.Run(below) })
	_, err := r.topology.Start(ctx)
	must(t, err)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	r.addr = ln.Addr().String()
	r.web = httptest.NewServer(r.console.Handler())
	above.Go(func() { _ = r.topology.Run(ctx) })
	above.Go(func() { _ = commit.Run(ctx) })
	above.Go(func() { _ = r.console.Run(ctx) })
	above.Go(func() { _ = r.server.Serve(ctx, ln, 0) })
	r.serving.Store(true)
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		r.web.Close()
		stop()
		above.Wait()
		stopBelow()
		foundation.Wait()
	})
	waitFor(t, "the watchers to connect", func() bool { s := r.topology.Status(); return s.Connected && s.CatalogConnected })
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// waitFor polls until the condition holds.
func waitFor(t testing.TB, what string, done func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		if time.Now().After(deadline) {
			t.Fatalf("waited too long for %s", what)
		}
		<-tick.C
	}
}

func (r *rig) dsn(user, database string) string {
	return "postgres://" + user + ":secret@" + r.addr + "/" + database + "?sslmode=disable"
}

// connect opens a client connection, closed with the test.
func (r *rig) connect(user, database string) *pgx.Conn {
	r.t.Helper()
	conn, err := pgx.Connect(r.t.Context(), r.dsn(user, database))
	must(r.t, err)
	r.t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(r.t.Context())) })
	return conn
}

// psql runs commands in one psql session and returns what it printed, errors included.
func (r *rig) psql(user string, commands ...string) string {
	r.t.Helper()
	cmd := exec.CommandContext(r.t.Context(), "psql", "-X", "-q", "-A", "-v", "VERBOSITY=verbose", r.dsn(user, "pgring"))
	cmd.Stdin = strings.NewReader(strings.Join(commands, "\n") + "\n")
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Fatalf("psql: %v\n%s", err, out)
	}
	return string(out)
}

// throughLink lets the control database, and nothing else, be reached through a link that can be cut.
func throughLink(link **faultnet.Proxy) func(*rig) {
	return func(r *rig) {
		*link = faultnet.Start(r.t, r.servers[0].Addr())
		s := topology.Shard{ID: "control", Host: "127.0.0.1", Port: (*link).Port()}
		r.control = func(ctx context.Context) (*pgx.Conn, error) { return r.dial(ctx, s) }
	}
}
