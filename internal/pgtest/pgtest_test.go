package pgtest_test

import (
	"context"
	"errors"
	"net"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgring/pgring/internal/pgtest"
)

func TestFourServersStartSideBySideAndAreReady(t *testing.T) {
	began := time.Now()
	servers := pgtest.Start(t, 4)
	t.Logf("4 servers after %s", time.Since(began))
	seen := map[int]bool{}
	for _, s := range servers {
		seen[s.Port] = true
		if got := pgtest.One[int](t, s, "SELECT 6 * $1::int", 7); got != 42 {
			t.Errorf("server %d computed %d", s.Port, got)
		}
	}
	if len(seen) != 4 {
		t.Errorf("ports are not distinct: %v", seen)
	}
}

func TestSettingsAreWhatTheTestsNeed(t *testing.T) {
	s := pgtest.Start(t, 1, pgtest.MaxConnections(37), pgtest.Setting("work_mem", "3MB"))[0]
	for name, want := range map[string]string{
		"max_prepared_transactions": "64",
		"wal_level":                 "logical",
		"max_connections":           "37",
		"work_mem":                  "3MB",
		"fsync":                     "off",
		"synchronous_commit":        "on",
	} {
		if got := pgtest.One[string](t, s, "SELECT current_setting($1)", name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestKilledServerComesBackWithItsCommittedRows(t *testing.T) {
	s := pgtest.Start(t, 1)[0]
	s.Exec(t, "CREATE TABLE kept (v int)")
	conn := s.ConnectAs(t, pgtest.Superuser, "postgres")
	for i := range 100 {
		if _, err := conn.Exec(t.Context(), "INSERT INTO kept VALUES ($1)", i); err != nil {
			t.Fatal(err)
		}
	}
	s.Kill9(t)
	if _, err := conn.Exec(t.Context(), "SELECT 1"); err == nil {
		t.Error("a connection outlived its killed server")
	}
	if _, err := net.Dial("tcp", s.Addr()); err == nil {
		t.Error("somebody listens on the port of the killed server")
	}
	s.Restart(t)
	if got := pgtest.One[int](t, s, "SELECT count(*) FROM kept"); got != 100 {
		t.Errorf("%d of 100 committed rows are left", got)
	}
	s.Shutdown(t)
	s.Restart(t)
	s.Restart(t)
	if got := pgtest.One[int](t, s, "SELECT count(*) FROM kept"); got != 100 {
		t.Errorf("%d of 100 rows are left after a clean restart", got)
	}
}

func TestStoppedServerAnswersNothingUntilItGoesOn(t *testing.T) {
	s := pgtest.Start(t, 1)[0]
	conn := s.ConnectAs(t, pgtest.Superuser, "postgres")
	s.Stop(t)
	answer := make(chan error, 1)
	var asking sync.WaitGroup
	asking.Go(func() {
		_, err := conn.Exec(t.Context(), "SELECT 1")
		answer <- err
	})
	select {
	case err := <-answer:
		t.Errorf("a stopped server answered (error %v)", err)
	case <-time.After(100 * time.Millisecond):
	}
	s.Cont(t)
	asking.Wait()
	if err := <-answer; err != nil {
		t.Errorf("the query did not survive the stop: %v", err)
	}
}

func TestAuthenticationMethodsAskForThePassword(t *testing.T) {
	for name, option := range map[string]pgtest.Option{"scram": pgtest.SCRAM(), "md5": pgtest.MD5(), "password": pgtest.Password()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := pgtest.Start(t, 1, option)[0]
			s.CreateUser(t, "app user", "it's a secret/?")
			s.CreateDatabase(t, "shop", "app user")
			conn := s.ConnectAs(t, "app user", "shop")
			if got := conn.Config().Database; got != "shop" {
				t.Errorf("connected to %q", got)
			}
			s.ConnectAs(t, pgtest.Superuser, "postgres")
			cfg := conn.Config()
			cfg.Password = "wrong"
			_, err := pgx.ConnectConfig(t.Context(), cfg)
			var refused *pgconn.PgError
			if !errors.As(err, &refused) || refused.Code != "28P01" {
				t.Errorf("a wrong password gave %v, want 28P01", err)
			}
		})
	}
}

func TestTLSVerifiesAndMayBeRequired(t *testing.T) {
	s := pgtest.Start(t, 1, pgtest.TLSOnly(), pgtest.SCRAM())[0]
	conn := s.ConnectAs(t, pgtest.Superuser, "postgres") // its DSN says verify-full
	var encrypted bool
	if err := conn.QueryRow(t.Context(), "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").Scan(&encrypted); err != nil || !encrypted {
		t.Errorf("connection encrypted: %v, %v", encrypted, err)
	}
	cfg := conn.Config()
	cfg.TLSConfig, cfg.Fallbacks = nil, nil
	if _, err := pgx.ConnectConfig(t.Context(), cfg); err == nil {
		t.Error("a server that requires TLS took a clear-text client")
	}
}

func TestNothingIsLeftAfterTheTest(t *testing.T) {
	var pids []int
	var dirs []string
	ok := t.Run("servers", func(t *testing.T) {
		running := pgtest.Start(t, 3)
		running[0].Connect(t)
		running[1].Stop(t)
		running[2].Kill9(t)
		for _, s := range running {
			dirs = append(dirs, s.SocketDir(), s.DataDir())
		}
		pids = append(pids, running[0].PID(), running[1].PID())
	})
	if !ok {
		return
	}
	for _, pid := range pids {
		if _, err := os.Stat("/proc/" + strconv.Itoa(pid)); pid == 0 || !os.IsNotExist(err) {
			t.Errorf("process %d is left (%v)", pid, err)
		}
	}
	for _, dir := range dirs {
		if _, err := os.Stat(dir); !os.IsNotExist(err) {
			t.Errorf("directory %s is left (%v)", dir, err)
		}
	}
}

func TestLocalesDecideTheOrderOfText(t *testing.T) {
	for name, test := range map[string]struct {
		option pgtest.Option
		less   bool
	}{"C": {pgtest.Locale("C"), false}, "ICU": {pgtest.ICULocale("en-US"), true}} {
		t.Run(name, func(t *testing.T) {
			s := pgtest.Start(t, 1, test.option)[0]
			if got := pgtest.One[bool](t, s, "SELECT 'a' < 'B'"); got != test.less {
				t.Errorf("'a' < 'B' is %v", got)
			}
		})
	}
}

func TestReservedPortsAreDistinctAndFree(t *testing.T) {
	a, b := pgtest.Port(t), pgtest.Port(t)
	if a == b {
		t.Fatalf("port %d was given twice", a)
	}
	var listen net.ListenConfig
	for _, port := range []int{a, b} {
		listener, err := listen.Listen(context.WithoutCancel(t.Context()), "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			t.Errorf("listen on a reserved port: %v", err)
			continue
		}
		listener.Close()
	}
}
