package backend

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgring/pgring/pgwire"
)

// neutral is a connection string that answers every question which the driver would otherwise put to the environment.
const neutral = "host=/pgring port=5432 user=pgring password=none dbname=pgring passfile=/dev/null sslmode=disable" +
	" sslcertmode=allow sslnegotiation=postgres sslrootcert='' sslcert='' sslkey='' connect_timeout=0 target_session_attrs=any" +
	" min_protocol_version=3.0 max_protocol_version=3.0 channel_binding=prefer require_auth=''"

// driverConfig returns the driver's configuration of a log-in, with nothing from the environment in it.
func driverConfig(t *Target, login Login, application string) (*pgx.ConnConfig, error) {
	cfg, err := pgx.ParseConfig(neutral)
	if err != nil {
		// The one thing a connection string cannot undo is a named service whose file is missing.
		return nil, fmt.Errorf("prepare connection (unset the environment's PGSERVICE): %w", err)
	}
	password := ""
	if login.Password != nil {
		if password, err = login.Password(); err != nil {
			return nil, fmt.Errorf("read password of %q: %w", login.User, err)
		}
	}
	dialer := net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 30 * time.Second, Interval: 10 * time.Second, Count: 3}}
	cfg.Host, cfg.Port, cfg.TLSConfig = t.Host, uint16(t.Port), t.tls()
	cfg.User, cfg.Password, cfg.Database = login.User, password, login.database()
	cfg.ConnectTimeout, cfg.DialFunc = t.ConnectTimeout, dialer.DialContext
	cfg.LookupFunc = net.DefaultResolver.LookupHost
	cfg.Fallbacks, cfg.ValidateConnect = nil, nil
	cfg.KerberosSrvName, cfg.KerberosSpn = "", ""
	// Whatever a server, a database or a role has, and as what RESET ALL leaves: what pgring reads in a string constant is what the server reads.
	cfg.RuntimeParams = map[string]string{"application_name": application, settingStrings: "on"}
	return cfg, nil
}

// Connect opens a connection of its own to a shard's server. The caller closes it. It reads nothing from the environment.
func Connect(ctx context.Context, t Target, login Login) (*pgx.Conn, error) {
	if login.User == "" {
		login = t.operator()
	}
	if err := t.normalize(); err != nil {
		return nil, fmt.Errorf("connect to %s: %w", t.Shard, err)
	}
	cfg, err := driverConfig(&t, login, defaultApplication)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", t.Shard, err)
	}
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", t.Shard, plainError(err))
	}
	return conn, nil
}

// open logs in and returns the raw connection.
func open(ctx context.Context, pl *plan) (*Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, pl.target.ConnectTimeout)
	defer cancel()
	cfg, err := driverConfig(&pl.target, pl.login, pl.application)
	if err != nil {
		return nil, err
	}
	driver, err := pgconn.ConnectConfig(ctx, &cfg.Config)
	if err != nil {
		return nil, serverError(plainError(err))
	}
	if err := driver.SyncConn(ctx); err != nil { // leaves nothing in the driver's read buffer
		_ = driver.Close(ctx)
		return nil, err
	}
	raw, err := driver.Hijack()
	if err != nil {
		return nil, err
	}
	return wrap(raw, pl)
}

func wrap(raw *pgconn.HijackedConn, pl *plan) (*Conn, error) {
	if tcp, ok := below(raw.Conn).(*net.TCPConn); ok {
		_ = tcp.SetNoDelay(true) // the default; said because latency depends on it
	}
	wire := pgwire.NewConn(raw.Conn, pgwire.ServerSide)
	if err := wire.Engage(pl.engine); err != nil {
		return nil, err
	}
	socket, ok := below(wire.Net()).(syscall.Conn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("connection of type %T has no socket", raw.Conn), wire.Close())
	}
	rawSocket, err := socket.SyscallConn()
	if err != nil {
		return nil, errors.Join(err, wire.Close())
	}
	c := &Conn{wire: wire, socket: rawSocket, pid: raw.PID, secret: raw.SecretKey,
		parameters: raw.ParameterStatuses, status: pgwire.TxIdle, known: true, prepared: newLRU(pl.prepared)}
	c.cancels.settled = make(chan struct{}, 1)
	c.cancels.state.Store(notLent)
	return c, nil
}

func (l *Login) database() string {
	if l.Database == "" {
		return l.User
	}
	return l.Database
}

// plainError takes the reason out of the driver's error, which repeats host, user and database on several lines.
func plainError(err error) error {
	var (
		refused     *pgconn.PgError
		certificate *tls.CertificateVerificationError
		network     *net.OpError
		lookup      *net.DNSError
	)
	switch {
	case errors.As(err, &refused):
		return refused
	case errors.As(err, &certificate):
		return fmt.Errorf("TLS: %w", certificate)
	case errors.As(err, &network):
		return network
	case errors.As(err, &lookup):
		return lookup
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("log in: %w", context.DeadlineExceeded)
	}
	return errors.New(strings.Join(strings.Fields(err.Error()), " "))
}
