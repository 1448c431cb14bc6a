package backend

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/pgring/pgring/pgwire/poll"
	"github.com/pgring/pgring/ring"
)

const (
	defaultSize           = 20
	defaultConnectTimeout = 3 * time.Second
	defaultApplication    = "pgring"
)

// Login says as whom to log in to a shard.
type Login struct {
	User     string                 // must not be empty
	Password func() (string, error) // read at each connect, so that a rotated password is picked up; nil means none
	Database string                 // empty means the user's name, as in PostgreSQL
}

// Target is one shard's server and the logins used there.
type Target struct {
	Shard          ring.ShardID
	Host           string           // name or address; one that starts with "/" is the directory of a unix socket
	Port           int              // zero means 5432
	TLS            *tls.Config      // nil means no TLS; never used on unix sockets. An empty ServerName means Host
	Login          Login            // of every client user that is not in Logins
	Operator       Login            // of control tables, guards and moves; without a User it is Login
	Logins         map[string]Login // client user to its own login; nil means none has one
	ConnectTimeout time.Duration    // of a whole log-in, and of a cancel; zero means 3 s
}

// Config is what New and Update take.
type Config struct {
	Targets            []Target      // at most one for each shard
	Size               int           // most connections of a pool, those being opened included; zero means 20
	MinIdle            int           // connections kept open without need; zero means none
	AcquireTimeout     time.Duration // longest wait for a connection; zero means as long as the caller's context
	IdleTimeout        time.Duration // an unused connection is closed after it; zero means never
	MaxLifetime        time.Duration // a connection is closed when it is so old, ±10 %; zero means never
	PreparedStatements int           // statements remembered on a connection; zero means only the latest
	ApplicationName    string        // application_name of fresh connections; empty means pgring
	Engine             *poll.Engine  // waits for connections; nil means that goroutines do
	Logger             *slog.Logger  // nil means no log
}

// operator returns the login for pgring's own tables.
func (t *Target) operator() Login {
	if t.Operator.User == "" {
		return t.Login
	}
	return t.Operator
}

func (cfg *Config) normalize() error {
	var errs []error
	if cfg.Size < 0 || cfg.MinIdle < 0 || cfg.PreparedStatements < 0 {
		errs = append(errs, errors.New("pool sizes must not be negative"))
	}
	if min(cfg.AcquireTimeout, cfg.IdleTimeout, cfg.MaxLifetime) < 0 {
		errs = append(errs, errors.New("pool times must not be negative"))
	}
	cfg.Size = cmp.Or(cfg.Size, defaultSize)
	cfg.PreparedStatements = max(cfg.PreparedStatements, 1)
	cfg.ApplicationName = cmp.Or(cfg.ApplicationName, defaultApplication)
	if cfg.MinIdle > cfg.Size {
		errs = append(errs, fmt.Errorf("min_idle %d is larger than the pool's size %d", cfg.MinIdle, cfg.Size))
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	seen := map[ring.ShardID]bool{}
	targets := make([]Target, len(cfg.Targets))
	for i, t := range cfg.Targets {
		if seen[t.Shard] {
			errs = append(errs, fmt.Errorf("shard %q is configured twice", t.Shard))
		}
		seen[t.Shard] = true
		if err := t.normalize(); err != nil {
			errs = append(errs, fmt.Errorf("shard %q: %w", t.Shard, err))
		}
		targets[i] = t
	}
	cfg.Targets = targets
	return errors.Join(errs...)
}

func (t *Target) normalize() error {
	if t.Shard == "" {
		return errors.New("needs a name")
	}
	if t.Host == "" {
		return errors.New("needs a host")
	}
	t.Port = cmp.Or(t.Port, 5432)
	if t.Port < 1 || t.Port > 65535 {
		return fmt.Errorf("port %d is out of range", t.Port)
	}
	if t.ConnectTimeout < 0 {
		return errors.New("connect timeout must not be negative")
	}
	t.ConnectTimeout = cmp.Or(t.ConnectTimeout, defaultConnectTimeout)
	t.TLS = t.tls()
	if t.Login.User == "" {
		return errors.New("needs a user to log in as")
	}
	for user, login := range t.Logins {
		if login.User == "" {
			return fmt.Errorf("user %q needs a login of its own or none", user)
		}
	}
	return nil
}

// tls returns the configuration that is used: none on unix sockets, and one that knows which name to verify.
func (t *Target) tls() *tls.Config {
	if t.TLS == nil || strings.HasPrefix(t.Host, "/") {
		return nil
	}
	if t.TLS.ServerName != "" {
		return t.TLS
	}
	named := t.TLS.Clone()
	named.ServerName = t.Host
	return named
}

// reaches reports whether connections made for o are as good as new ones made for t: same server, same kind of encryption.
func (t *Target) reaches(o *Target) bool {
	if t.Host != o.Host || t.Port != o.Port || (t.TLS == nil) != (o.TLS == nil) {
		return false
	}
	return t.TLS == nil || t.TLS.ServerName == o.TLS.ServerName &&
		t.TLS.InsecureSkipVerify == o.TLS.InsecureSkipVerify && sameRoots(t.TLS, o.TLS)
}

func sameRoots(a, b *tls.Config) bool {
	if a.RootCAs == nil || b.RootCAs == nil {
		return a.RootCAs == b.RootCAs
	}
	return a.RootCAs.Equal(b.RootCAs)
}
