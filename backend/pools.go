package backend

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/pgwire/poll"
	"github.com/pgring/pgring/ring"
)

// Pools lends connections to the shards of a configuration.
type Pools struct {
	clock   clock
	current atomic.Pointer[directory]
	changed chan struct{} // tells Run that pools wait to be kept; capacity 1
	turn    chan struct{} // holds a token during Update: one at a time; capacity 1

	mu      sync.Mutex
	running bool
	closed  bool
	unkept  []*pool // pools that Run has not begun to keep
}

// New checks cfg and returns its pools. Nothing is connected before Run.
func New(cfg Config) (*Pools, error) {
	p := &Pools{clock: clock{start: time.Now()}, changed: make(chan struct{}, 1), turn: make(chan struct{}, 1)}
	p.current.Store(&directory{})
	if err := p.Update(cfg); err != nil {
		return nil, err
	}
	return p, nil
}

// Run opens, checks and closes connections until ctx is done, then closes all of them, lent out or not, and returns nil.
func (p *Pools) Run(ctx context.Context) error {
	if err := p.begin(); err != nil {
		return err
	}
	var keepers sync.WaitGroup
	for ctx.Err() == nil {
		for _, pool := range p.takeUnkept() {
			keepers.Go(func() { pool.keep(ctx) })
		}
		select {
		case <-p.changed:
		case <-ctx.Done():
		}
	}
	for _, pool := range p.shut() {
		pool.end(ErrClosed, true)
	}
	keepers.Wait()
	return nil
}

func (p *Pools) begin() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running || p.closed {
		return errors.New("run connection pools: they run already, or have ended")
	}
	p.running = true
	return nil
}

func (p *Pools) takeUnkept() []*pool {
	p.mu.Lock()
	defer p.mu.Unlock()
	unkept := p.unkept
	p.unkept = nil
	return unkept
}

// shut allows no further Update and returns all pools.
func (p *Pools) shut() []*pool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	return p.current.Load().pools
}

// Update replaces the configuration, all of it or, when it returns an error, nothing. Connections that it makes obsolete are
// closed, those lent out when they are released; connections to servers and logins that stay are kept. A changed password or
// certificate is used from the next connect on.
func (p *Pools) Update(cfg Config) error {
	if err := cfg.normalize(); err != nil {
		return err
	}
	if _, err := pgx.ParseConfig(neutral); err != nil {
		return fmt.Errorf("prepare connections (is PGSERVICE set?): %w", err)
	}
	p.turn <- struct{}{}
	defer func() { <-p.turn }()
	b := newBuilder(p.current.Load(), p.clock)
	if err := p.install(b.build(&cfg), b.fresh); err != nil {
		return err
	}
	for pool, pl := range b.plans {
		pool.reconfigure(pl)
	}
	for _, pool := range b.retired() {
		pool.end(errRetired, false)
	}
	return nil
}

// install makes d the directory in force and has Run keep its fresh pools.
func (p *Pools) install(d *directory, fresh []*pool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return ErrClosed
	}
	p.current.Store(d)
	p.unkept = append(p.unkept, fresh...)
	select {
	case p.changed <- struct{}{}:
	default:
	}
	return nil
}

// pool finds the pool that serves a client user on a shard.
func (p *Pools) pool(id ring.ShardID, user string) (*pool, error) {
	s := p.current.Load().find(id)
	if s == nil {
		return nil, &UnknownShardError{Shard: id}
	}
	if len(s.own) > 0 {
		if own := s.own[user]; own != nil {
			return own, nil
		}
	}
	return s.common, nil
}

// Acquire lends a connection to shard with the login of a client user, waiting for one if need be. The caller owns it until it
// calls Release or Discard. Its session settings are those of an earlier owner until Adopt. Errors: *ExhaustedError,
// *UnavailableError, *UnknownShardError, ErrClosed, or the context's.
func (p *Pools) Acquire(ctx context.Context, shard ring.ShardID, user string) (*Conn, error) {
	return p.acquire(ctx, shard, user, nil)
}

func (p *Pools) acquire(ctx context.Context, shard ring.ShardID, user string, want *Settings) (*Conn, error) {
	for {
		pool, err := p.pool(shard, user)
		if err != nil {
			return nil, err
		}
		c, err := pool.acquire(ctx, want)
		if c != nil {
			c.wire.Attend(poll.TaskOf(ctx))
		}
		if err == nil || !errors.Is(err, errRetired) { // that one is not for the caller: the configuration has changed meanwhile
			return c, err
		}
	}
}

// adoptAttempts bounds how many dead connections AcquireFor goes through.
const adoptAttempts = 3

// AcquireFor is Acquire and Adopt in one: it prefers an idle connection that has the settings already, and takes another one if
// the connection turns out to be dead. A *pgwire.Error means that the server refused the settings.
func (p *Pools) AcquireFor(ctx context.Context, shard ring.ShardID, user string, settings *Settings) (*Conn, error) {
	for attempt := 1; ; attempt++ {
		c, err := p.acquire(ctx, shard, user, settings)
		if err != nil {
			return nil, err
		}
		if err = c.Adopt(ctx, settings); err == nil {
			return c, nil
		}
		c.Discard()
		if attempt == adoptAttempts || ctx.Err() != nil || refused(err) {
			return nil, err
		}
	}
}

// refused reports whether the server refused a statement and lives on, as opposed to a connection that is gone.
func refused(err error) bool {
	var server *pgwire.Error
	return errors.As(err, &server) && server.Severity == "ERROR"
}

// Parameters returns what a server reports to a fresh log-in of a client user: ParameterStatus by name. It asks the preferred
// shards first and then the others, and remembers each one's last answer. The map belongs to the caller.
func (p *Pools) Parameters(ctx context.Context, user string, preferred ...ring.ShardID) (map[string]string, error) {
	order := slices.Clone(preferred)
	for _, s := range p.current.Load().order {
		if !slices.Contains(order, s.target.Shard) {
			order = append(order, s.target.Shard)
		}
	}
	err := errors.New("no shard is configured")
	for _, id := range order {
		var known map[string]string
		if known, err = p.parametersOf(ctx, id, user); err == nil {
			return known, nil
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, err
}

func (p *Pools) parametersOf(ctx context.Context, id ring.ShardID, user string) (map[string]string, error) {
	pool, err := p.pool(id, user)
	if err != nil {
		return nil, err
	}
	if known := pool.params.Load(); known != nil {
		return maps.Clone(*known), nil
	}
	c, err := p.Acquire(ctx, id, user)
	if err != nil {
		return nil, err
	}
	defer c.Release()
	return c.Parameters(), nil
}

// Login opens a connection of its own to a shard with the login that serves a client's user there, for work that goes on without
// the client. The caller closes it.
func (p *Pools) Login(ctx context.Context, shard ring.ShardID, user string) (*pgx.Conn, error) {
	s := p.current.Load().find(shard)
	if s == nil {
		return nil, &UnknownShardError{Shard: shard}
	}
	login, own := s.target.Logins[user]
	if !own {
		login = s.target.Login
	}
	return Connect(ctx, s.target, login)
}

// Operator opens a connection of its own to a shard with the operator's login, for control tables, guards and moves. The
// caller closes it.
func (p *Pools) Operator(ctx context.Context, shard ring.ShardID) (*pgx.Conn, error) {
	s := p.current.Load().find(shard)
	if s == nil {
		return nil, &UnknownShardError{Shard: shard}
	}
	return Connect(ctx, s.target, s.target.operator())
}
