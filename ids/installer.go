package ids

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// Shard is a server that is to make ids by itself.
type Shard struct {
	Name   string // for the log; with Number and Address it says which shards have been seen to already
	Number int
	At     string // where it is: a shard that moves is seen to again
}

// InstallerConfig is what NewInstaller needs.
type InstallerConfig struct {
	// Shards lists the shards that there are, and gives a channel that is closed when the list may have changed.
	Shards func() ([]Shard, <-chan struct{})
	// Dial connects to a shard with the operator's login.
	Dial func(ctx context.Context, shard Shard) (*pgx.Conn, error)
	Log  *slog.Logger // nil discards
}

// Installer keeps pgring.next_id() on every shard.
type Installer struct {
	cfg  InstallerConfig
	mu   sync.Mutex
	done map[Shard]bool
}

// NewInstaller checks the configuration. It connects to nothing.
func NewInstaller(cfg InstallerConfig) (*Installer, error) {
	if cfg.Shards == nil || cfg.Dial == nil {
		return nil, errors.New("installer of ids needs the shards and a way to connect to them")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Installer{cfg: cfg, done: map[Shard]bool{}}, nil
}

// Install sees to all shards that it has not seen to yet, side by side, for at most 5 seconds each. What cannot be done is logged,
// and false is returned.
func (i *Installer) Install(ctx context.Context) bool {
	shards, _ := i.cfg.Shards()
	var group sync.WaitGroup
	for _, shard := range shards {
		if !i.has(shard) {
			// owner: Install; ends after exchangeTimeout at the latest
			group.Go(func() { i.one(ctx, shard) })
		}
	}
	group.Wait()
	for _, shard := range shards {
		if !i.has(shard) {
			return false
		}
	}
	return true
}

// Run sees to new shards as they come, until ctx ends. It always returns nil: what it cannot do now, it tries again.
func (i *Installer) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		_, changed := i.cfg.Shards()
		var retry <-chan time.Time
		if !i.Install(ctx) {
			retry = time.After(exchangeTimeout)
		}
		select {
		case <-ctx.Done():
		case <-changed:
		case <-retry:
		}
	}
	return nil
}

func (i *Installer) has(shard Shard) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.done[shard]
}

func (i *Installer) one(ctx context.Context, shard Shard) {
	within, cancel := context.WithTimeout(ctx, exchangeTimeout)
	defer cancel()
	conn, err := i.cfg.Dial(within, shard)
	if err == nil {
		defer hangUp(ctx, conn)
		err = Install(within, conn, shard.Number)
	}
	if err != nil {
		if ctx.Err() == nil {
			i.cfg.Log.Warn("make the function for ids on a shard", "shard", shard.Name, "error", err)
		}
		return
	}
	i.mu.Lock()
	i.done[shard] = true
	i.mu.Unlock()
}
