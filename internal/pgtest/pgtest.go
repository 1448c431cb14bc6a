package pgtest

import (
	"context"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/pgring/pgring/internal/pgserver"
)

const (
	// Superuser is the name of the superuser, and the name of the database that every server has.
	Superuser = "postgres"
	// SuperuserPassword is the superuser's password on servers that ask for one.
	SuperuserPassword = "postgres-password"

	startTimeout = 2 * time.Minute // a loaded machine that builds at the same time
	queryTimeout = time.Minute
)

// Server is one PostgreSQL server of a test.
type Server struct {
	// Host is the address the server listens on, always 127.0.0.1.
	Host string
	// Port is the TCP port; it stays the same through Kill9 and Restart.
	Port int
	// CAFile is the certificate authority to verify the server with. Empty without the option TLS.
	CAFile string

	server    *pgserver.Server
	mu        sync.Mutex
	passwords map[string]string // by user; empty on servers that trust
}

// Start starts n servers side by side and ends them with the test.
func Start(t testing.TB, n int, options ...Option) []*Server {
	t.Helper()
	cfg := pgserver.Config{Settings: map[string]string{"jit": "off"}} // to compile takes longer than what a test asks for
	for _, option := range options {
		option(&cfg)
	}
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	servers := make([]*Server, n)
	group, ctx := errgroup.WithContext(ctx)
	for i := range servers {
		// owner: Start; ends when the server accepts connections, or startTimeout later.
		group.Go(func() error {
			server, err := pgserver.Start(ctx, cfg)
			if err != nil {
				return err
			}
			servers[i] = newServer(t, server)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatalf("start %d PostgreSQL servers: %v", n, err)
	}
	if cfg.Auth != pgserver.Trust {
		for _, s := range servers {
			s.SetPassword(t, Superuser, SuperuserPassword)
		}
	}
	return servers
}

// newServer wraps a started server and makes it end with the test.
func newServer(t testing.TB, server *pgserver.Server) *Server {
	s := &Server{Host: server.Host, Port: server.Port, CAFile: server.CAFile, server: server, passwords: map[string]string{}}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("server on port %d: %s", s.Port, server.LogTail())
		}
		if err := server.Close(); err != nil {
			t.Errorf("end the server on port %d: %v", s.Port, err)
		}
	})
	return s
}

// Port reserves a TCP port on 127.0.0.1 for the length of the test, for a program that cannot listen on port 0.
func Port(t testing.TB) int {
	t.Helper()
	port, err := pgserver.ReservePort()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(port.Release)
	return port.Number
}

// DSN is the connection URL of a user and a database over TCP, with the password if CreateUser or SetPassword set one.
func (s *Server) DSN(user, db string) string {
	s.mu.Lock()
	password, known := s.passwords[user]
	s.mu.Unlock()
	u := url.URL{Scheme: "postgres", User: url.User(user), Host: s.Addr(), Path: "/" + db}
	if known {
		u.User = url.UserPassword(user, password)
	}
	query := url.Values{"sslmode": {"disable"}}
	if s.CAFile != "" {
		query = url.Values{"sslmode": {"verify-full"}, "sslrootcert": {s.CAFile}}
	}
	u.RawQuery = query.Encode()
	return u.String()
}

// Addr is host:port.
func (s *Server) Addr() string { return addr(s.Host, s.Port) }

// SocketDir is the directory of the unix socket, on which the server trusts everybody.
func (s *Server) SocketDir() string { return s.server.SocketDir }

// DataDir is the data directory.
func (s *Server) DataDir() string { return s.server.DataDir }

// LogFile is the path of the server's log.
func (s *Server) LogFile() string { return s.server.LogFile() }

// Connect opens a connection as superuser to the database postgres, through the unix socket, closed with the test.
func (s *Server) Connect(t testing.TB) *pgx.Conn {
	t.Helper()
	return connect(t, s.server.SocketDSN(Superuser, Superuser))
}

// ConnectAs opens a connection over TCP, logging in as a client would, closed with the test.
func (s *Server) ConnectAs(t testing.TB, user, db string) *pgx.Conn {
	t.Helper()
	return connect(t, s.DSN(user, db))
}

func connect(t testing.TB, dsn string) *pgx.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), queryTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 5*time.Second)
		defer cancel()
		_ = conn.Close(ctx) // the server may be dead on purpose
	})
	return conn
}

// Exec runs SQL as superuser in the database postgres; without args several statements may stand in one text.
func (s *Server) Exec(t testing.TB, sql string, args ...any) {
	t.Helper()
	s.ExecIn(t, Superuser, sql, args...)
}

// ExecIn runs SQL as superuser in a database.
func (s *Server) ExecIn(t testing.TB, db, sql string, args ...any) {
	t.Helper()
	if err := s.session(t, db, func(ctx context.Context, conn *pgx.Conn) error {
		if len(args) == 0 {
			_, err := conn.PgConn().Exec(ctx, sql).ReadAll()
			return err
		}
		_, err := conn.Exec(ctx, sql, args...)
		return err
	}); err != nil {
		t.Fatalf("execute %q: %v", sql, err)
	}
}

// One returns the single value of a query run as superuser in the database postgres.
func One[T any](t testing.TB, s *Server, sql string, args ...any) T {
	t.Helper()
	return OneIn[T](t, s, Superuser, sql, args...)
}

// OneIn returns the single value of a query run as superuser in a database.
func OneIn[T any](t testing.TB, s *Server, db, sql string, args ...any) T {
	t.Helper()
	var value T
	if err := s.session(t, db, func(ctx context.Context, conn *pgx.Conn) error {
		return conn.QueryRow(ctx, sql, args...).Scan(&value)
	}); err != nil {
		t.Fatalf("query %q: %v", sql, err)
	}
	return value
}

// session runs body on a connection of its own, so that helpers share no state between calls.
func (s *Server) session(t testing.TB, db string, body func(context.Context, *pgx.Conn) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), queryTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.server.SocketDSN(Superuser, db))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	return body(ctx, conn)
}

// CreateUser makes a role that may log in, with a password; options are further words of CREATE ROLE, such as "SUPERUSER".
func (s *Server) CreateUser(t testing.TB, name, password string, options ...string) {
	t.Helper()
	s.Exec(t, "CREATE ROLE "+pgx.Identifier{name}.Sanitize()+" LOGIN "+strings.Join(options, " "))
	s.SetPassword(t, name, password)
}

// SetPassword gives a role a password, which DSN uses from now on.
func (s *Server) SetPassword(t testing.TB, name, password string) {
	t.Helper()
	s.Exec(t, "ALTER ROLE "+pgx.Identifier{name}.Sanitize()+" PASSWORD '"+strings.ReplaceAll(password, "'", "''")+"'")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.passwords[name] = password
}

// CreateDatabase makes a database owned by a role.
func (s *Server) CreateDatabase(t testing.TB, name, owner string) {
	t.Helper()
	s.Exec(t, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()+" OWNER "+pgx.Identifier{owner}.Sanitize())
}
