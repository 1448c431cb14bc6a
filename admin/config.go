package admin

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/backend"
	"github.com/pgring/pgring/ingest"
	"github.com/pgring/pgring/proxy"
	"github.com/pgring/pgring/rebalance"
	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/saga"
	"github.com/pgring/pgring/topology"
	"github.com/pgring/pgring/topology/partition"
)

// Setting is one key of the configuration, for SHOW CONFIG. Secrets are masked already.
type Setting struct {
	Key, Value, Default string
	Restart             bool // changes only with a restart
}

// Change is what became of one key in a RELOAD.
type Change struct {
	Key, Old, New string
	Outcome       string // applied, restart, no change or refused
	Reason        string // of a refusal
	Hint          string // what to do instead
}

// User is one login of clients, for SHOW USERS.
type User struct {
	Name       string
	Role       string
	Database   string // empty: any, or only the console
	MaxClients int    // 0: no limit of its own
}

// ShutdownMode says when SHUTDOWN ends the process.
type ShutdownMode uint8

// The modes. Neither takes new clients.
const (
	ShutdownDrain       ShutdownMode = iota + 1 // when the open transactions have ended, or after the drain timeout
	ShutdownWhenClients                         // WAIT_FOR_CLIENTS: when the last client has left, however long that takes
)

// Config is what a Console stands on. All fields are needed unless they say what zero means.
type Config struct {
	Server   *proxy.Server
	Topology *topology.Topology
	Pools    *backend.Pools
	Commit   *saga.Coordinator // nil: no metrics of commits
	Queues   *ingest.Queues    // nil: no asynchronous writes

	Partitions *partition.Keeper // looks at partitions; the caller runs it. Nil: there are none to be kept

	Rebalance *rebalance.Controller // looks at moves; the caller runs it

	// Operator connects to a shard with the operator's login, for sizes and row counts. The console closes the connection.
	Operator func(ctx context.Context, shard ring.ShardID) (*pgx.Conn, error)

	Settings func() []Setting                            // the configuration in force
	Users    func() []User                               // the logins in force
	Reload   func(ctx context.Context) ([]Change, error) // reads the file again and applies all of it, or with an error nothing
	Shutdown func(ShutdownMode)                          // begins to end the process and returns at once
	Serving  func() bool                                 // whether clients are accepted now, for /readyz

	Database     string        // the clients' database, as SHOW STATS names it; empty: pgring
	Version      string        // of pgring; empty: devel
	Pprof        bool          // serve /debug/pprof
	PauseTimeout time.Duration // how long PAUSE waits for transactions to end; 0: one minute
	Logger       *slog.Logger  // nil: no log
}

func (cfg *Config) normalize() error {
	if cfg.Server == nil || cfg.Topology == nil || cfg.Pools == nil || cfg.Rebalance == nil {
		return errors.New("console needs a server, a topology, pools and a controller of moves")
	}
	if cfg.Operator == nil || cfg.Settings == nil || cfg.Users == nil || cfg.Reload == nil || cfg.Shutdown == nil || cfg.Serving == nil {
		return errors.New("console needs all of Operator, Settings, Users, Reload, Shutdown and Serving")
	}
	if cfg.Database == "" {
		cfg.Database = "pgring"
	}
	if cfg.Version == "" {
		cfg.Version = "devel"
	}
	if cfg.PauseTimeout <= 0 {
		cfg.PauseTimeout = time.Minute
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}
