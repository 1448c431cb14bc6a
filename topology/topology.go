package topology

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
)

// Config is what New needs.
type Config struct {
	// Control connects to the control database, with a login that may create schema pgring or owns an empty one.
	Control func(ctx context.Context) (*pgx.Conn, error)

	// Dial connects to the clients' database on a shard, with a login that may read the declared tables. The shard is given
	// whole, because it may be one that no snapshot holds yet.
	Dial func(ctx context.Context, shard Shard) (*pgx.Conn, error)

	Wish Wish // what the configuration file says; applied by Start

	// Prepare is called with each snapshot before it is published, to make ready what its shards need. Several goroutines
	// may call it at once, and now and then with a snapshot that another one overtakes; it must not block. Nil means nothing.
	Prepare func(*Snapshot)

	Log          *slog.Logger  // nil discards
	Lease        time.Duration // how long others wait for this proxy before they go on without it; 0 means 2 s
	StartTimeout time.Duration // how long Start tries to reach what it needs; 0 means 30 s
	CatalogPoll  time.Duration // how often DDL made behind pgring's back is looked for; 0 means 2 s

	Instance string // identity of this process in pgring.proxies; empty means a random one
	Host     string // for SHOW PEERS; empty means the machine's name
	Version  string // of pgring, for SHOW PEERS
}

// Topology keeps the present snapshot. All methods may be called by any goroutine.
type Topology struct {
	cfg     Config
	started time.Time
	state   atomic.Pointer[state]
	turns   atomic.Int64  // see catalog.turn
	counter atomic.Int64  // the shared schema version whose DDL the present catalog is known to show
	reload  chan struct{} // capacity 1: asks watchCatalog for a fresh catalog
	uses    uses
	control health
	home    health
	kept    kept
	lease   atomic.Int64 // how long after started the lease ends: what control says, for a look without a lock; 0 before the first
	cut     atomic.Bool  // the control database is known not to be reached
	gaps    atomic.Int64 // how often a lease was over before the next one began
}

// New checks the configuration. It connects to nothing.
func New(cfg Config) (*Topology, error) {
	if cfg.Control == nil || cfg.Dial == nil {
		return nil, errors.New("topology needs ways to connect to the control database and to the shards")
	}
	if err := cfg.Wish.check(); err != nil {
		return nil, fmt.Errorf("check shards and tables: %w", err)
	}
	cfg.Lease = orDefault(cfg.Lease, 2*time.Second)
	cfg.StartTimeout = orDefault(cfg.StartTimeout, 30*time.Second)
	cfg.CatalogPoll = orDefault(cfg.CatalogPoll, 2*time.Second)
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Instance == "" {
		cfg.Instance = rand.Text()
	}
	if cfg.Host == "" {
		cfg.Host, _ = os.Hostname() // a name for people; without one the column stays empty
	}
	return &Topology{cfg: cfg, reload: make(chan struct{}, 1), uses: uses{all: map[*Use]struct{}{}}}, nil
}

func orDefault(d, fallback time.Duration) time.Duration {
	if d <= 0 {
		return fallback
	}
	return d
}

// Start migrates and fills the control database, applies the wish, and publishes the first snapshot. It tries again, with
// back-off, while servers cannot be reached, until ctx ends or StartTimeout is over. The notices are for the log: where the
// facts stay different from the wish.
func (t *Topology) Start(ctx context.Context) (notices []string, err error) {
	t.started = time.Now()
	ctx, cancel := context.WithTimeout(ctx, t.cfg.StartTimeout)
	defer cancel()
	var pause backoff
	for {
		notices, err = t.Apply(ctx, t.cfg.Wish)
		if err == nil {
			err = t.appear(ctx)
		}
		if err == nil {
			return notices, nil
		}
		t.control.lose(err)
		if !transient(err) && ctx.Err() == nil {
			return nil, fmt.Errorf("load the topology: %w", err)
		}
		if pause.wait(ctx) != nil {
			return nil, fmt.Errorf("load the topology, given up after %s: %w", time.Since(t.started).Round(time.Millisecond), err)
		}
	}
}

// Current gives the present snapshot: one atomic load. It is nil before Start has succeeded and never again.
func (t *Topology) Current() *Snapshot {
	if s := t.state.Load(); s != nil {
		return s.snap
	}
	return nil
}

// Apply brings the control database as near to the wish as can be done without moving a row, and returns notices about what
// stays different. Shards and tables that are new are added (a new shard owns nothing); addresses, weights and states of known
// shards are taken over; what the wish does not name stays. A table that is something else in the control database is a
// [RefusedError], and then nothing at all is changed.
func (t *Topology) Apply(ctx context.Context, wish Wish) (notices []string, err error) {
	if err := wish.check(); err != nil {
		return nil, fmt.Errorf("check shards and tables: %w", err)
	}
	conn, err := t.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer hangUp(ctx, conn)
	for attempt := 1; ; attempt++ {
		notices, err = t.applyOnce(ctx, conn, wish)
		if !errors.Is(err, ErrConflict) || attempt == maxAttempts {
			return notices, err
		}
	}
}

// applyOnce runs in one transaction that holds the advisory lock, so that of several proxies that start on an empty control
// database one fills it and the others find it filled.
func (t *Topology) applyOnce(ctx context.Context, conn *pgx.Conn, wish Wish) ([]string, error) {
	survey := newSurveyor(t.cfg.Dial)
	defer survey.close(ctx)
	d := &draft{survey: survey}
	var home *catalog
	err := inTransaction(ctx, conn, func(tx pgx.Tx) error {
		// Surveys may take long, and the server must not end a transaction that waits for them.
		if _, err := tx.Exec(ctx, "SET LOCAL idle_in_transaction_session_timeout = 0"); err != nil {
			return fmt.Errorf("begin: %w", err)
		}
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", advisoryKey); err != nil {
			return fmt.Errorf("lock the control database: %w", err)
		}
		if err := migrate(ctx, tx); err != nil {
			return err
		}
		old, err := readFacts(ctx, tx)
		if err != nil {
			return err
		}
		home, err = t.decide(ctx, d, old, wish)
		if err != nil || d.facts.sameAs(old) {
			return err
		}
		return compareAndSwap(ctx, tx, old, d.facts)
	})
	if err != nil {
		return nil, err
	}
	t.publish(d.facts, home)
	return d.notices, nil
}

// decide fills the draft, and gives the home shard's catalog that it used.
func (t *Topology) decide(ctx context.Context, d *draft, old *facts, wish Wish) (*catalog, error) {
	turn := t.turns.Add(1)
	d.facts = wish.first()
	if old != nil {
		d.facts = old.clone()
	}
	if err := d.apply(ctx, wish); err != nil {
		return nil, err
	}
	home, _ := d.facts.shard(d.facts.home)
	c, err := d.survey.catalog(ctx, home)
	if err != nil {
		return nil, err
	}
	c.turn = turn
	if learned := d.facts.learn(c); learned != nil {
		d.facts = learned
	}
	return c, nil
}

// publish makes newer facts and a newer catalog (nil: none) the present ones, and returns the present snapshot. No lock: whoever
// is overtaken tries again on top of the other.
func (t *Topology) publish(f *facts, c *catalog) *Snapshot {
	for {
		old := t.state.Load()
		next := old.next(f, c)
		if next == nil {
			return nil
		}
		if next == old {
			return old.snap
		}
		if t.cfg.Prepare != nil {
			t.cfg.Prepare(next.snap)
		}
		if t.state.CompareAndSwap(old, next) {
			if old != nil {
				close(old.superseded)
			}
			t.cfg.Log.Info("topology published", "epoch", next.snap.Epoch, "schema", next.snap.Schema)
			return next.snap
		}
	}
}

// connect reaches the control database within dialTimeout.
func (t *Topology) connect(ctx context.Context) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := t.cfg.Control(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect to the control database: %w", err)
	}
	return conn, nil
}
