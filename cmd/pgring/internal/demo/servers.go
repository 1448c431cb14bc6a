package demo

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/pgring/pgring/internal/pgserver"
)

// server is one shard.
type server struct {
	*pgserver.Server
	name    string // s1, s2, …
	version string
}

// startServers starts the shards side by side; after an error none of them runs.
func startServers(ctx context.Context, data string, n int) ([]*server, error) {
	servers := make([]*server, n)
	group, starting := errgroup.WithContext(ctx)
	for i := range servers {
		name := fmt.Sprintf("s%d", i+1)
		// owner: startServers; ends when the server has its database, or with ctx.
		group.Go(func() error {
			s, err := startServer(starting, name, filepath.Join(data, name))
			servers[i] = s
			if err != nil {
				return fmt.Errorf("start shard %s: %w", name, err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, errors.Join(err, stopServers(servers))
	}
	return servers, nil
}

// startServer starts one shard as its user would run it: nothing committed is ever lost.
func startServer(ctx context.Context, name, dir string) (*server, error) {
	started, err := pgserver.Start(ctx, pgserver.Config{Dir: dir, Durable: true, Auth: pgserver.SCRAM,
		Settings: map[string]string{"shared_buffers": "64MB"}})
	if err != nil {
		return nil, err
	}
	s := &server{Server: started, name: name}
	return s, s.setUp(ctx)
}

// setUp makes the roles and the database unless an earlier run did. The operator is a member of the application's role, so it can
// read its tables and end what a lost proxy has left prepared; neither is a superuser.
func (s *server) setUp(ctx context.Context) error {
	return s.ask(ctx, "postgres", func(conn *pgx.Conn) error {
		if err := conn.QueryRow(ctx, "SELECT split_part(current_setting('server_version'), ' ', 1)").Scan(&s.version); err != nil {
			return err
		}
		for _, step := range []struct{ exists, sql string }{
			{"SELECT FROM pg_roles WHERE rolname = 'app'", "CREATE ROLE app LOGIN PASSWORD 'app'"},
			{"SELECT FROM pg_roles WHERE rolname = 'pgring'", "CREATE ROLE pgring LOGIN REPLICATION PASSWORD 'pgring' IN ROLE app"},
			{"SELECT FROM pg_database WHERE datname = '" + database + "'", "CREATE DATABASE " + database + " OWNER app"},
			{"SELECT WHERE has_database_privilege('pgring', '" + database + "', 'CREATE')", "GRANT CREATE ON DATABASE " + database + " TO pgring"},
			{"SELECT WHERE has_parameter_privilege('pgring', 'session_replication_role', 'SET')", "GRANT SET ON PARAMETER session_replication_role TO pgring"}, // moves of slots
		} {
			var exists bool
			if err := conn.QueryRow(ctx, "SELECT EXISTS ("+step.exists+")").Scan(&exists); err != nil {
				return err
			}
			if exists {
				continue
			}
			if _, err := conn.Exec(ctx, step.sql); err != nil {
				return err
			}
		}
		return nil
	})
}

// ask connects to a database of the server as superuser, past the proxy.
func (s *server) ask(ctx context.Context, db string, body func(*pgx.Conn) error) error {
	conn, err := pgx.Connect(ctx, s.SocketDSN("postgres", db))
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return body(conn)
}

// stopServers stops the shards side by side; their data stays.
func stopServers(servers []*server) error {
	var group errgroup.Group
	for _, s := range servers {
		if s != nil {
			// owner: stopServers; ends when the server has ended, half a minute later at most.
			group.Go(s.Close)
		}
	}
	return group.Wait()
}
