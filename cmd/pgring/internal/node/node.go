package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/pgring/pgring/admin"
	"github.com/pgring/pgring/backend"
	"github.com/pgring/pgring/cmd/pgring/internal/config"
	"github.com/pgring/pgring/ids"
	"github.com/pgring/pgring/ingest"
	"github.com/pgring/pgring/pgwire/poll"
	"github.com/pgring/pgring/proxy"
	"github.com/pgring/pgring/rebalance"
	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/router"
	"github.com/pgring/pgring/saga"
	"github.com/pgring/pgring/topology"
	"github.com/pgring/pgring/topology/partition"
)

// Options say what a node is made of.
type Options struct {
	ConfigFile string
	Version    string
	Logger     *slog.Logger
	Ready      func(sql net.Addr) // called once clients are accepted; nil means nobody waits for it
}

// Node is one proxy.
type Node struct {
	options  Options
	log      *slog.Logger
	cfg      atomic.Pointer[config.Config]
	reloads  sync.Mutex    // one RELOAD at a time
	limits   *proxy.Limits // in force; RELOADs only
	engine   *poll.Engine
	pools    *backend.Pools
	topology *topology.Topology
	commit   *saga.Coordinator
	moves    *rebalance.Controller
	ids      *ids.Generator
	shardIDs *ids.Installer
	keeper   *ingest.Keeper
	queues   *ingest.Queues

	partitions *partition.Keeper

	server  *proxy.Server
	console *admin.Console
	http    http.Handler
	serving atomic.Bool // clients are accepted
	leaving atomic.Bool // the node ends with its last client
	stop    context.CancelCauseFunc
}

// errShutdown is the cause of a stop that was asked for.
var errShutdown = errors.New("shut down")

// New reads the configuration and builds the parts; nothing is started.
func New(o Options) (*Node, error) {
	cfg, err := config.Load(o.ConfigFile)
	if err != nil {
		return nil, err
	}
	n := &Node{options: o, log: o.Logger}
	n.cfg.Store(cfg)
	if n.engine, err = poll.New(runtime.GOMAXPROCS(0) / 2); err != nil {
		return nil, err
	}
	w := wish(cfg)
	pools, err := n.poolConfig(cfg, w.Shards)
	if err != nil {
		return nil, err
	}
	if n.pools, err = backend.New(pools); err != nil {
		return nil, fmt.Errorf("build pools: %w", err)
	}
	n.topology, err = topology.New(topology.Config{Control: n.control, Dial: n.dial, Wish: w, Prepare: n.prepare, Log: n.log,
		Lease: cfg.Control.Lease.Std(), Version: o.Version})
	if err != nil {
		return nil, err
	}
	if n.commit, err = saga.New(saga.Config{Topology: n.topology, Operator: n.operator, Login: n.pools.Login,
		KeepFinished: cfg.CrossShard.KeepFinished.Std(), Logger: n.log}); err != nil {
		return nil, err
	}
	if n.moves, err = rebalance.New(rebalance.Config{Topology: n.topology, Control: n.control, Dial: n.dial, Log: n.log,
		Reversible: cfg.Rebalance.KeepSource.Std(), ReturnLog: int64(cfg.Rebalance.ReturnLog), Throttle: throttle(cfg.Rebalance.Throttle)}); err != nil {
		return nil, err
	}
	if n.ids, err = ids.New(ids.Config{Control: n.control, Log: n.log}); err != nil {
		return nil, err
	}
	if n.shardIDs, err = ids.NewInstaller(ids.InstallerConfig{Shards: n.idShards, Dial: n.dialForIDs, Log: n.log}); err != nil {
		return nil, err
	}
	if n.keeper, err = ingest.New(ingest.Config{Topology: n.topology, Dial: n.dial, Log: n.log,
		AppendOnly: func() []topology.Name { return slices.Collect(maps.Keys(ledgers(n.cfg.Load()))) }}); err != nil {
		return nil, err
	}
	kafka, err := n.kafka(cfg)
	if err != nil {
		return nil, err
	}
	if n.queues, err = ingest.NewQueues(ingest.QueuesConfig{Dir: string(cfg.Async.Dir), Kafka: kafka, Topology: n.topology, Dial: n.dial, Login: n.pools.Login, Log: n.log,
		Wait: func() time.Duration { return n.cfg.Load().Limits.QueueTimeout.Std() }}); err != nil {
		return nil, err
	}
	if n.partitions, err = partition.New(partition.Config{Topology: n.topology, Dial: n.dial, Log: n.log,
		Rules: func() []partition.Rule { return partitions(n.cfg.Load()) }}); err != nil {
		return nil, err
	}
	rules, err := policy(cfg)
	if err != nil {
		return nil, err
	}
	n.limits = boundaries(cfg, nil, nil)
	rules.Limits = n.limits
	n.server, err = proxy.New(proxy.Config{Router: router.New(router.Config{}), Topology: n.topology, Pools: n.pools, Commit: n.commit, Queues: n.queues, IDs: n.ids,
		Policy: rules, Engine: n.engine, Logger: n.log})
	if err != nil {
		return nil, err
	}
	return n, n.openConsole()
}

// dial connects to a shard with the operator's login, for the catalog.
func (n *Node) dial(ctx context.Context, shard topology.Shard) (*pgx.Conn, error) {
	t, err := target(n.cfg.Load(), shard)
	if err != nil {
		return nil, err
	}
	return backend.Connect(ctx, t, t.Operator)
}

// operator connects to a shard of the present snapshot with the operator's login.
func (n *Node) operator(ctx context.Context, id ring.ShardID) (*pgx.Conn, error) {
	shard, ok := n.topology.Current().Shard(id)
	if !ok {
		return nil, fmt.Errorf("shard %s is not known", id)
	}
	return n.dial(ctx, shard)
}

// idShards lists the shards, joining ones included: a table's DEFAULT needs the function before the table is there.
func (n *Node) idShards() ([]ids.Shard, <-chan struct{}) {
	snap := n.topology.Current()
	shards := make([]ids.Shard, 0, len(snap.Shards))
	for _, s := range snap.Shards {
		shards = append(shards, ids.Shard{Name: string(s.ID), Number: s.Number, At: net.JoinHostPort(s.Host, strconv.Itoa(s.Port))})
	}
	return shards, n.topology.Superseded(snap)
}

func (n *Node) dialForIDs(ctx context.Context, shard ids.Shard) (*pgx.Conn, error) {
	return n.operator(ctx, ring.ShardID(shard.Name))
}

// control connects to the control database.
func (n *Node) control(ctx context.Context) (*pgx.Conn, error) {
	cfg := n.cfg.Load()
	if cfg.Control.URL.IsSet() {
		return pgx.Connect(ctx, cfg.Control.URL.Reveal())
	}
	for _, shard := range wish(cfg).Shards {
		if string(shard.ID) == cfg.ControlShard() {
			return n.dial(ctx, shard)
		}
	}
	return nil, fmt.Errorf("control shard %q is not configured", cfg.ControlShard())
}

// prepare makes the pools that a snapshot's shards need, before any session can see the snapshot.
func (n *Node) prepare(snap *topology.Snapshot) {
	cfg, err := n.poolConfig(n.cfg.Load(), snap.Shards)
	if err == nil {
		err = n.pools.Update(cfg)
	}
	if err != nil {
		n.log.Error("prepare pools for a new map", "error", err)
	}
}

// Run serves until ctx ends, a part fails, or SHUTDOWN is called; then it drains and stops everything.
func (n *Node) Run(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	n.stop = stop
	cfg := n.cfg.Load()
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.Listen.SQL)
	if err != nil {
		return fmt.Errorf("listen for clients: %w", err)
	}
	defer ln.Close()
	web, err := n.listenHTTP(ctx, cfg.Listen.HTTP)
	if err != nil {
		return err
	}
	// The pools outlive the sessions, so that draining sessions still have servers to talk to.
	below, stopBelow := context.WithCancel(context.WithoutCancel(ctx))
	defer stopBelow()
	group, serving := errgroup.WithContext(ctx)
	foundation, running := errgroup.WithContext(below)
	foundation.Go(func() error { return n.pools.Run(running) })
	engine := make(chan error, 1)
	// owner: Run; ends when all connections are closed, which the pools and the server see to.
	go func() { engine <- n.engine.Run(below) }()
	group.Go(func() error { return n.above(serving, ln, web) })
	group.Go(func() error { return endWith(serving, running) })
	err = group.Wait()
	stopBelow()
	err = errors.Join(err, foundation.Wait(), <-engine)
	if errors.Is(context.Cause(ctx), errShutdown) {
		return nil
	}
	return err
}

// endWith ends when either context does, with the cause of the other's end.
func endWith(ctx, other context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-other.Done():
		return context.Cause(other)
	}
}

// above runs what stands on the pools.
func (n *Node) above(ctx context.Context, ln net.Listener, web net.Listener) error {
	group, ctx := errgroup.WithContext(ctx)
	if web != nil {
		group.Go(func() error { return n.serveHTTP(ctx, web) })
	}
	notices, err := n.topology.Start(ctx)
	if err != nil {
		n.stop(nil)
		return errors.Join(err, ignoreCanceled(group.Wait()))
	}
	for _, notice := range notices {
		n.log.Warn("configuration differs from the control database", "notice", notice)
	}
	n.shardIDs.Install(ctx) // so that the first client's CREATE TABLE finds it; Run goes on with what fails
	n.keeper.Install(ctx)   // likewise the first client's write
	n.firstPartitions(ctx)
	n.queues.Apply(lanes(n.cfg.Load()))
	applying, stopApplying := context.WithCancel(context.WithoutCancel(ctx)) // for as long as there are sessions
	group.Go(func() error { return n.shardIDs.Run(ctx) })
	group.Go(func() error { return n.keeper.Run(ctx) })
	group.Go(func() error { return n.partitions.Run(ctx) })
	group.Go(func() error { return n.topology.Run(ctx) })
	group.Go(func() error { return n.commit.Run(ctx) })
	group.Go(func() error { return n.moves.Run(ctx) })
	group.Go(func() error { return n.ids.Run(ctx) })
	group.Go(func() error { return n.console.Run(ctx) })
	group.Go(func() error { return n.leaveWhenEmpty(ctx) })
	group.Go(func() error { return n.queues.Run(applying) })
	group.Go(func() error {
		defer stopApplying()
		return n.server.Serve(ctx, ln, n.cfg.Load().Listen.DrainTimeout.Std())
	})
	n.serving.Store(true)
	defer n.serving.Store(false)
	n.log.Info("serving", "sql", ln.Addr().String(), "shards", len(n.topology.Current().Shards), "epoch", n.topology.Current().Epoch)
	if n.options.Ready != nil {
		n.options.Ready(ln.Addr())
	}
	return ignoreCanceled(group.Wait())
}

// firstPartitions has rows of now find a partition, the first client's and those that wait in logs. What takes longer goes on beside them.
func (n *Node) firstPartitions(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	n.partitions.Round(ctx)
}

func ignoreCanceled(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func (n *Node) listenHTTP(ctx context.Context, addr string) (net.Listener, error) {
	if addr == "" {
		return nil, nil
	}
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen for http: %w", err)
	}
	return ln, nil
}

func (n *Node) serveHTTP(ctx context.Context, ln net.Listener) error {
	srv := &http.Server{Handler: n.http, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(n.log.Handler(), slog.LevelDebug)}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	if err := srv.Serve(ln); err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve http: %w", err)
	}
	return nil
}

// Reload reads the file again and applies it, all of it or nothing, and tells what became of each key.
func (n *Node) Reload(ctx context.Context) ([]config.Change, error) {
	n.reloads.Lock()
	defer n.reloads.Unlock()
	old := n.cfg.Load()
	next, err := config.Load(n.options.ConfigFile)
	if err != nil {
		return nil, err
	}
	changes, err := config.Compare(old, next)
	if err != nil {
		return changes, err
	}
	next = config.KeepUntilRestart(old, next)
	rules, err := policy(next)
	if err != nil {
		return nil, err
	}
	if _, err := n.poolConfig(next, wish(next).Shards); err != nil {
		return nil, err
	}
	n.cfg.Store(next)
	notices, err := n.topology.Apply(ctx, wish(next))
	if err != nil {
		n.cfg.Store(old)
		return nil, fmt.Errorf("apply to the control database: %w", err)
	}
	for _, notice := range notices {
		n.log.Warn("configuration differs from the control database", "notice", notice)
	}
	n.limits = boundaries(next, old, n.limits)
	rules.Limits = n.limits
	n.server.Apply(rules)
	n.queues.Apply(lanes(next))
	n.partitions.Wake()
	n.prepare(n.topology.Current())
	n.log.Info("configuration reloaded")
	return changes, nil
}
