package saga

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/backend"
	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

const (
	defaultInterval = 5 * time.Second

	// defaultGrace is the age under which prepared transactions are left to their own proxy. It only saves work.
	defaultGrace = 10 * time.Second

	// defaultKeep is how long decisions and fences stay for those who ask late.
	defaultKeep = time.Hour

	// defaultLocks bounds how long a fence or an undo waits for somebody else's locks. It is tried again.
	defaultLocks = 10 * time.Second

	// defaultPatience bounds what is done after the outcome is certain, and how long a silent home is asked for it. What is
	// left then is the janitor's.
	defaultPatience = 10 * time.Second
)

// Config is what New needs.
type Config struct {
	// Topology says which shards there are, and the identity of the cluster. It must be started before Commit and Run.
	Topology *topology.Topology

	// Operator opens a connection to a shard, in the clients' database, with a login that may create tables in schema pgring.
	// To settle transactions of dead proxies the login must be a superuser or a member of the clients' roles. The caller
	// closes the connection.
	Operator func(ctx context.Context, shard ring.ShardID) (*pgx.Conn, error)

	// Login opens a connection to a shard, in the clients' database, with the login that serves a client's user there. Undo and
	// redo run on it, so that they can do nothing that the client could not. The caller closes the connection. Nil means that
	// mode saga is refused.
	Login func(ctx context.Context, shard ring.ShardID, user string) (*pgx.Conn, error)

	KeepFinished time.Duration // how long a settled saga's rows stay for those who ask late; zero means 1 h

	Interval time.Duration // between two rounds of the janitor, ±25 %; zero means 5 s
	Logger   *slog.Logger  // nil means no log

	// Set by tests; zero means the defaults above.
	grace    time.Duration
	keep     time.Duration
	patience time.Duration
	lease    time.Duration // instead of what is computed; zero means that
	locks    time.Duration // lock_timeout of what is done on the shards later

	hook func(point) // set by tests: called before and after each message; nil means nothing
}

// Coordinator ends transactions that are open on several shards. All methods may be called by any goroutine.
type Coordinator struct {
	cfg     Config
	facts   *facts
	notes   notes
	crew    *crew
	counter counter
}

// New checks the configuration. It connects to nothing.
func New(cfg Config) (*Coordinator, error) {
	if cfg.Topology == nil || cfg.Operator == nil {
		return nil, errors.New("coordinator needs a topology and a way to connect to the shards as operator")
	}
	if cfg.Interval < 0 {
		return nil, errors.New("the janitor's interval must not be negative")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	cfg.Interval = cmp.Or(cfg.Interval, defaultInterval)
	cfg.grace = cmp.Or(cfg.grace, defaultGrace)
	cfg.keep = cmp.Or(cfg.keep, defaultKeep)
	cfg.KeepFinished = cmp.Or(cfg.KeepFinished, defaultKeep)
	cfg.patience = cmp.Or(cfg.patience, defaultPatience)
	cfg.locks = cmp.Or(cfg.locks, defaultLocks)
	return &Coordinator{cfg: cfg, facts: newFacts(), notes: notes{ids: map[ring.ShardID][]string{}}, crew: newCrew()}, nil
}

// Stats returns the counts since New, and what the janitor saw in its last round.
func (c *Coordinator) Stats() Stats { return c.counter.read() }

// Commit makes the open transactions on conns durable on all of them or on none. Each connection is in status T, no two lead to
// the same shard, and conns[0] leads to the home of the decision. Nil means that the work is durable: what is not yet visible
// on some shard will be without anybody's help. Errors:
//
//   - [*AbortedError]: nothing was committed anywhere, and nothing will be;
//   - [*PartialError]: only where a shard has max_prepared_transactions = 0;
//   - [*UnknownError]: the home of the decision does not answer. The janitor settles it later, one way or the other.
//
// Afterwards each connection is in status I, or closed and marked dirty. When ctx ends before the decision was sent, the
// transaction is rolled back.
func (c *Coordinator) Commit(ctx context.Context, conns []*backend.Conn) error {
	if len(conns) == 0 {
		return nil
	}
	err := c.commit(ctx, conns)
	c.counter.ended(err)
	return err
}

// CanPrepare reports whether the shard of an open connection supports two-phase commit, that is max_prepared_transactions > 0. It
// may be asked in a transaction.
func (c *Coordinator) CanPrepare(ctx context.Context, conn *backend.Conn) (bool, error) {
	snap := c.cfg.Topology.Current()
	if snap == nil {
		return false, topology.ErrNotStarted
	}
	return c.canPrepare(ctx, begin(snap, []*backend.Conn{conn}))
}

// point is a moment of the protocol, for tests that stop it there.
type point struct {
	message string
	when    moment
	shard   ring.ShardID
}

type moment string

const (
	before   moment = "before"   // nothing of the message has left
	sent     moment = "sent"     // it is on its way; the server may or may not have acted on it
	answered moment = "answered" // the server has acted on it
)

func (c *Coordinator) reach(message string, when moment, shard ring.ShardID) {
	if c.cfg.hook != nil {
		c.cfg.hook(point{message: message, when: when, shard: shard})
	}
}
