package backend

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/ring"
)

// Pools lends connections to the shards of a configuration.
type Pools struct{}

// New checks cfg and returns its pools. Nothing is connected before Run.
func New(cfg Config) (*Pools, error) { return nil, errors.ErrUnsupported }

// Run opens, checks and closes connections until ctx is done, then closes all of them, lent out or not, and returns nil.
func (p *Pools) Run(ctx context.Context) error { return errors.ErrUnsupported }

// Update replaces the configuration, all of it or, when it returns an error, nothing. Connections that it makes obsolete are
// closed, those lent out when they are released; connections to servers and logins that stay are kept.
func (p *Pools) Update(cfg Config) error { return errors.ErrUnsupported }

// Acquire lends a connection to shard with the login of a client user, waiting for one if need be. The caller owns it until it
// calls Release or Discard. Its session settings are those of an earlier owner until Adopt. Errors: *ExhaustedError,
// *UnavailableError, *UnknownShardError, ErrClosed, or the context's.
func (p *Pools) Acquire(ctx context.Context, shard ring.ShardID, user string) (*Conn, error) {
	return nil, errors.ErrUnsupported
}

// AcquireFor is Acquire and Adopt in one: it prefers an idle connection that has the settings already. An error of Adopt is
// returned after closing the connection.
func (p *Pools) AcquireFor(ctx context.Context, shard ring.ShardID, user string, settings *Settings) (*Conn, error) {
	return nil, errors.ErrUnsupported
}

// Parameters returns what a server reports to a fresh log-in of a client user: ParameterStatus by name. It asks the preferred
// shards first and then the others, and remembers the answer of each. The map belongs to the caller.
func (p *Pools) Parameters(ctx context.Context, user string, preferred ...ring.ShardID) (map[string]string, error) {
	return nil, errors.ErrUnsupported
}

// Operator opens a connection of its own to a shard with the operator's login, for control tables, guards and moves. The
// caller closes it.
func (p *Pools) Operator(ctx context.Context, shard ring.ShardID) (*pgx.Conn, error) {
	return nil, errors.ErrUnsupported
}

// Stats returns the state of each pool, sorted by shard and user.
func (p *Pools) Stats() []PoolStats { return nil }

// Servers returns the state of each server connection.
func (p *Pools) Servers() []ServerStats { return nil }

// Health returns the health of each shard, sorted: it is unhealthy if any of its pools is.
func (p *Pools) Health() []Health { return nil }

// Pause stops lending connections to a shard, or to all when shard is empty, waits until all are given back, and closes them.
// Acquire waits meanwhile. When ctx ends first, Pause returns an error and the pause stays until Resume.
func (p *Pools) Pause(ctx context.Context, shard ring.ShardID) error { return errors.ErrUnsupported }

// Resume ends a pause; an empty shard means all.
func (p *Pools) Resume(shard ring.ShardID) error { return errors.ErrUnsupported }

// Reconnect replaces every connection to a shard, or to all when shard is empty: idle ones now, the others when released.
func (p *Pools) Reconnect(shard ring.ShardID) error { return errors.ErrUnsupported }

// Connect opens a connection of its own to a shard's server. The caller closes it. It reads nothing from the environment.
func Connect(ctx context.Context, t Target, login Login) (*pgx.Conn, error) {
	return nil, errors.ErrUnsupported
}

// Adopt makes the server session's settings equal to s. Nothing is sent if they are. A *pgwire.Error means that the server
// refused one of them; after any error the connection is marked dirty.
func (c *Conn) Adopt(ctx context.Context, s *Settings) error { return errors.ErrUnsupported }

type pool struct{}

func (p *pool) drop(c *Conn, reason string) {}
func (p *pool) put(c *Conn)                 {}

func (c *Conn) sendCancel(ctx context.Context) error { return &pgwire.Error{} }
