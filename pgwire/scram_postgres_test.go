package pgwire_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgring/pgring/internal/pgserver"
	"github.com/pgring/pgring/internal/pgtest"
	"github.com/pgring/pgring/pgwire"
)

func TestVerifiersMadeByPostgreSQLAreAccepted(t *testing.T) {
	s := pgtest.Start(t, 1)[0]
	for i, password := range []string{"secret", "pä$$wörd ☃", "a\u00a0b", "it's", "\u0001control", strings.Repeat("x", 300)} {
		role := fmt.Sprint("ann", i)
		s.CreateUser(t, role, password)
		text := pgtest.One[string](t, s, "SELECT rolpassword FROM pg_authid WHERE rolname = $1", role)
		v, err := pgwire.ParseVerifier(text)
		if err != nil {
			t.Fatalf("verifier %q: %v", text, err)
		}
		if v.String() != text {
			t.Errorf("verifier %q is written back as %q", text, v)
		}
		if err := logIn(t, v, password); err != nil {
			t.Errorf("password %q: %v", password, err)
		}
		var refused *pgconn.PgError
		if err := logIn(t, v, password+"!"); !errors.As(err, &refused) || refused.Code != "28P01" {
			t.Errorf("wrong password: %v", err)
		}
	}
}

func TestPostgreSQLAcceptsOurVerifiers(t *testing.T) {
	s := pgtest.Start(t, 1, pgtest.SCRAM())[0]
	for i, password := range []string{"secret", "pä$$wörd ☃", "a\u00a0b", "\u0001control"} {
		v, err := pgwire.NewVerifier(password)
		if err != nil {
			t.Fatal(err)
		}
		role := fmt.Sprint("ann", i)
		s.Exec(t, fmt.Sprintf("CREATE ROLE %s LOGIN PASSWORD '%s'", role, v))
		cfg, err := pgconn.ParseConfig(s.DSN(role, pgtest.Superuser))
		if err != nil {
			t.Fatal(err)
		}
		cfg.Password = password
		conn, err := pgconn.ConnectConfig(t.Context(), cfg)
		if err != nil {
			t.Errorf("password %q: %v", password, err)
			continue
		}
		conn.Close(t.Context())
	}
}

// logIn lets pgconn log in to a server that has only this verifier.
func logIn(t *testing.T, v *pgwire.Verifier, password string) error {
	t.Helper()
	port := serveOnce(t, v, pgwire.HandshakeConfig{})
	cfg, err := pgconn.ParseConfig(fmt.Sprintf("host=127.0.0.1 port=%d user=ann sslmode=disable", port))
	if err != nil {
		t.Fatal(err)
	}
	cfg.Password = password
	conn, err := pgconn.ConnectConfig(t.Context(), cfg)
	if err != nil {
		return err
	}
	return conn.Close(t.Context())
}

// serveOnce takes one client in, whose one statement gets one row as its answer.
func serveOnce(t *testing.T, v *pgwire.Verifier, cfg pgwire.HandshakeConfig) (port int) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { // owner: the test; ends when the client has left, or with the listener
		defer close(done)
		nc, err := listener.Accept()
		if err != nil {
			return
		}
		defer nc.Close()
		if err := serve(t.Context(), nc, v, cfg); err != nil {
			t.Logf("server: %v", err)
		}
	}()
	t.Cleanup(func() { listener.Close(); <-done })
	return listener.Addr().(*net.TCPAddr).Port
}

func serve(ctx context.Context, nc net.Conn, v *pgwire.Verifier, cfg pgwire.HandshakeConfig) error {
	if err := nc.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return err
	}
	c, _, _, err := pgwire.Handshake(ctx, nc, cfg)
	if err != nil {
		return err
	}
	if err := pgwire.Authenticate(c, v, cfg.TLS); err != nil {
		told := &pgwire.Error{Severity: "FATAL", Code: "28P01", Message: err.Error()}
		return errors.Join(err, c.Write(pgwire.AppendError(nil, told)), c.Flush())
	}
	reply := pgwire.AppendReady(nil, pgwire.TxIdle)
	for {
		if err := errors.Join(c.Write(reply), c.Flush()); err != nil {
			return err
		}
		typ, size, err := c.Peek()
		if err != nil || typ == pgwire.Terminate {
			return err
		}
		if _, err := c.Frame(size, pgwire.BufferSize); err != nil {
			return err
		}
		reply = pgwire.AppendRowDescription(nil, []pgwire.Field{{Name: "answer", Type: 25, Size: -1}})
		reply = pgwire.AppendDataRow(reply, [][]byte{[]byte("bound")})
		reply = pgwire.AppendReady(pgwire.AppendText(reply, pgwire.CommandComplete, "SELECT 1"), pgwire.TxIdle)
	}
}

func TestPsqlLogsInWithChannelBinding(t *testing.T) {
	dir, err := pgserver.FindBinaries()
	if err != nil {
		t.Fatal(err)
	}
	id := pgwire.NewTestIdentity(t)
	v, err := pgwire.NewVerifier("secret")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ password, options, want string }{
		{"secret", "sslmode=verify-full channel_binding=require sslrootcert=" + id.File, "bound\n"},
		{"secret", "sslmode=verify-full channel_binding=disable sslrootcert=" + id.File, "bound\n"},
		{"secret", "sslmode=disable", "bound\n"},
		{"wrong", "sslmode=verify-full channel_binding=require sslrootcert=" + id.File, "password authentication failed"},
		{"secret", "sslmode=disable channel_binding=require", "channel binding"},
	} {
		port := serveOnce(t, v, pgwire.HandshakeConfig{TLS: id.Server})
		conninfo := fmt.Sprintf("host=localhost hostaddr=127.0.0.1 port=%d user=ann dbname=shop %s", port, test.options)
		psql := exec.CommandContext(t.Context(), dir.Path("psql"), "-XAtc", "SELECT 1", conninfo)
		psql.Env = append(os.Environ(), "PGPASSWORD="+test.password)
		out, err := psql.CombinedOutput()
		if !strings.Contains(string(out), test.want) || (err == nil) != (test.want == "bound\n") {
			t.Errorf("%s with password %s: %v, psql printed %q, want %q", test.options, test.password, err, out, test.want)
		}
	}
}
