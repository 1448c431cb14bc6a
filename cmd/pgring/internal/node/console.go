package node

import (
	"context"
	"time"

	"github.com/pgring/pgring/admin"
	"github.com/pgring/pgring/cmd/pgring/internal/config"
)

// openConsole gives the console its database names and the endpoints their handler.
func (n *Node) openConsole() error {
	cfg := n.cfg.Load()
	console, err := admin.New(admin.Config{
		Server: n.server, Topology: n.topology, Pools: n.pools, Commit: n.commit, Queues: n.queues, Partitions: n.partitions, Rebalance: n.moves, Operator: n.operator,
		Settings: n.settings, Users: n.users, Reload: n.reloadForConsole, Shutdown: n.shutdown, Serving: n.serving.Load,
		Database: cfg.Backend.Database, Version: n.options.Version, Pprof: cfg.Observe.Pprof, Logger: n.log,
	})
	if err != nil {
		return err
	}
	n.server.Handle(config.ConsoleDatabase, console)
	n.server.Handle(config.ConsoleAlias, console)
	n.console, n.http = console, console.Handler()
	return nil
}

func (n *Node) settings() []admin.Setting {
	var all []admin.Setting
	for _, s := range n.cfg.Load().Settings() {
		all = append(all, admin.Setting{Key: s.Key, Value: s.Value, Default: s.Default, Restart: s.Restart})
	}
	return all
}

func (n *Node) users() []admin.User {
	cfg := n.cfg.Load()
	var all []admin.User
	for _, u := range cfg.Auth.Users {
		all = append(all, admin.User{Name: u.Name, Role: string(u.Role), Database: cfg.DatabaseOf(u), MaxClients: u.MaxClients})
	}
	return all
}

func (n *Node) reloadForConsole(ctx context.Context) ([]admin.Change, error) {
	changes, err := n.Reload(ctx)
	var all []admin.Change
	for _, c := range changes {
		all = append(all, admin.Change{Key: c.Key, Old: c.Old, New: c.New, Outcome: string(c.Outcome), Reason: c.Reason, Hint: c.Hint})
	}
	return all, err
}

// shutdown begins to stop the node.
func (n *Node) shutdown(mode admin.ShutdownMode) {
	n.server.Refuse()
	if mode == admin.ShutdownWhenClients {
		n.leaving.Store(true)
		return
	}
	n.stop(errShutdown)
}

// leaveWhenEmpty stops the node once SHUTDOWN WAIT_FOR_CLIENTS was asked for and the last client has left.
func (n *Node) leaveWhenEmpty(ctx context.Context) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if n.leaving.Load() && n.server.Stats().Sessions == 0 {
				n.stop(errShutdown)
				return nil
			}
		}
	}
}
