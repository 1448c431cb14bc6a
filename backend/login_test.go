package backend_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/pgring/pgring/backend"
	"github.com/pgring/pgring/internal/pgtest"
)

func roots(t *testing.T, caFile string) *x509.CertPool {
	t.Helper()
	pem, err := os.ReadFile(caFile)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		t.Fatal("no certificate in the file")
	}
	return pool
}

func TestLogsInWithEachAuthenticationMethod(t *testing.T) {
	for name, option := range map[string]pgtest.Option{"scram": pgtest.SCRAM(), "md5": pgtest.MD5(), "password": pgtest.Password()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := pgtest.Start(t, 1, option)[0]
			s.CreateUser(t, "app user", "it's a secret/?")
			s.CreateDatabase(t, "shop", "app user")
			cfg := config(s)
			cfg.Targets[0].Login = backend.Login{User: "app user", Database: "shop", Password: password("it's a secret/?")}
			c := acquire(t, run(t, cfg))
			defer c.Release()
			if got := must(t, c, "SELECT current_user || '@' || current_database()"); got != "app user@shop" {
				t.Errorf("logged in as %s", got)
			}
		})
	}
}

func TestWrongPasswordIsTheServersErrorAndTheRightOneIsPickedUp(t *testing.T) {
	s := pgtest.Start(t, 1, pgtest.SCRAM())[0]
	secrets := make(chan string, 1)
	secrets <- "wrong"
	cfg := config(s)
	cfg.Targets[0].Login.Password = func() (string, error) {
		secret := <-secrets
		secrets <- secret
		return secret, nil
	}
	pools := run(t, cfg)
	_, err := pools.Acquire(t.Context(), "s1", "app")
	var down *backend.UnavailableError
	if !errors.As(err, &down) || down.Shard != "s1" || down.Since.IsZero() {
		t.Fatalf("got %v, want UnavailableError", err)
	}
	wantCode(t, err, "28P01")
	<-secrets
	secrets <- pgtest.SuperuserPassword
	eventually(t, "a log-in with the right password", func() bool {
		c, err := pools.Acquire(t.Context(), "s1", "app")
		if err == nil {
			c.Release()
		}
		return err == nil
	})
}

func TestPasswordThatCannotBeReadIsReported(t *testing.T) {
	cfg := config(pgtest.Start(t, 1)[0])
	missing := errors.New("no such secret")
	cfg.Targets[0].Login.Password = func() (string, error) { return "", missing }
	if _, err := run(t, cfg).Acquire(t.Context(), "s1", "app"); !errors.Is(err, missing) {
		t.Fatalf("got %v", err)
	}
}

func TestTLSVerifiesTheServer(t *testing.T) {
	servers := pgtest.Start(t, 2, pgtest.TLSOnly(), pgtest.SCRAM())
	right, wrong := roots(t, servers[0].CAFile), x509.NewCertPool()
	if other := roots(t, servers[1].CAFile); !other.Equal(right) {
		wrong = other
	}
	for _, test := range []struct {
		name string
		tls  *tls.Config
		ok   bool
	}{
		{"right authority and host", &tls.Config{RootCAs: right}, true},
		{"other name of the server", &tls.Config{RootCAs: right, ServerName: "localhost"}, true},
		{"wrong authority", &tls.Config{RootCAs: wrong}, false},
		{"wrong host", &tls.Config{RootCAs: right, ServerName: "other.example"}, false},
		{"no verification", &tls.Config{InsecureSkipVerify: true}, true},
		{"no TLS", nil, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg := config(servers[0])
			cfg.Targets[0].TLS = test.tls
			pools := run(t, cfg)
			c, err := pools.Acquire(t.Context(), "s1", "app")
			if (err == nil) != test.ok {
				t.Fatalf("log-in: %v, want success %v", err, test.ok)
			}
			if err != nil {
				return
			}
			defer c.Release()
			if got := must(t, c, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"); got != "t" {
				t.Error("the connection is not encrypted")
			}
			if got := pools.Servers()[0].TLS; got != "TLS 1.3" {
				t.Errorf("Servers tells TLS %q", got)
			}
		})
	}
}

func TestUnixSocketNeedsNoTLS(t *testing.T) {
	s := pgtest.Start(t, 1)[0]
	cfg := config(s)
	cfg.Targets[0].Host = s.SocketDir()
	cfg.Targets[0].TLS = &tls.Config{}
	c := acquire(t, run(t, cfg))
	defer c.Release()
	if got := must(t, c, "SELECT inet_client_addr() IS NULL"); got != "t" {
		t.Error("not connected through the unix socket")
	}
	must(t, c, "SELECT 1")
	if err := c.Cancel(t.Context()); err != nil {
		t.Errorf("cancel: %v", err)
	}
}

func TestUserMayHaveItsOwnLogin(t *testing.T) {
	s := pgtest.Start(t, 1, pgtest.SCRAM())[0]
	s.CreateUser(t, "special", "s1")
	s.CreateUser(t, "operator", "s2", "SUPERUSER")
	cfg := config(s)
	cfg.Targets[0].Logins = map[string]backend.Login{"vip": {User: "special", Password: password("s1"), Database: "postgres"}}
	cfg.Targets[0].Operator = backend.Login{User: "operator", Password: password("s2"), Database: "postgres"}
	pools := run(t, cfg)
	for user, want := range map[string]string{"vip": "special", "app": pgtest.Superuser} {
		c, err := pools.Acquire(t.Context(), "s1", user)
		if err != nil {
			t.Fatal(err)
		}
		if got := must(t, c, "SELECT current_user"); got != want {
			t.Errorf("%s works as %s, want %s", user, got, want)
		}
		c.Release()
		own, err := pools.Login(t.Context(), "s1", user)
		if err != nil {
			t.Fatal(err)
		}
		var got string
		if err := own.QueryRow(t.Context(), "SELECT session_user").Scan(&got); err != nil || got != want {
			t.Errorf("a connection for %s works as %s, %v, want %s", user, got, err, want)
		}
		_ = own.Close(t.Context())
	}
	if _, err := pools.Login(t.Context(), "s9", "vip"); err == nil {
		t.Error("an unknown shard was connected to")
	}
	conn, err := pools.Operator(t.Context(), "s1")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	var got string
	if err := conn.QueryRow(t.Context(), "SELECT current_user").Scan(&got); err != nil || got != "operator" {
		t.Errorf("operator works as %s, %v", got, err)
	}
	if _, err := pools.Operator(t.Context(), "s9"); err == nil {
		t.Error("an unknown shard was connected to")
	}
}

func TestEnvironmentDoesNotLeakIn(t *testing.T) {
	s := pgtest.Start(t, 1)[0]
	for _, name := range []string{"PGHOST", "PGPORT", "PGUSER", "PGDATABASE", "PGPASSWORD", "PGPASSFILE", "PGSSLMODE", "PGSSLROOTCERT", "PGSSLCERT", "PGSSLKEY",
		"PGSSLCERTMODE", "PGSSLNEGOTIATION", "PGOPTIONS", "PGAPPNAME", "PGTZ", "PGTARGETSESSIONATTRS", "PGCONNECT_TIMEOUT",
		"PGMINPROTOCOLVERSION", "PGMAXPROTOCOLVERSION", "PGCHANNELBINDING", "PGREQUIREAUTH", "PGSERVICEFILE"} {
		t.Setenv(name, "must-not-be-used")
	}
	cfg := config(s)
	cfg.ApplicationName = "pgring-test"
	c := acquire(t, run(t, cfg))
	defer c.Release()
	if got := must(t, c, "SELECT current_setting('application_name') || current_setting('TimeZone')"); got != "pgring-testUTC" {
		t.Errorf("the session has %q", got)
	}
	t.Setenv("PGSERVICE", "must-not-be-used")
	if _, err := backend.New(cfg); err == nil {
		t.Error("a service file that cannot be read went unnoticed until the first connect")
	}
}

func TestParametersAreThoseOfAFreshLogin(t *testing.T) {
	servers := pgtest.Start(t, 2)
	cfg := config(servers[0])
	cfg.Targets = append(cfg.Targets, target(servers[1], "s2"))
	pools := run(t, cfg)
	servers[0].Kill9(t)
	for range 2 {
		known, err := pools.Parameters(t.Context(), "app", "s1")
		if err != nil {
			t.Fatal(err)
		}
		if known["server_encoding"] != "UTF8" || known["integer_datetimes"] != "on" || known["application_name"] != "pgring" {
			t.Errorf("parameters: %v", known)
		}
		clear(known) // belongs to the caller
	}
	servers[1].Kill9(t)
	if _, err := pools.Parameters(t.Context(), "app", "s1"); err != nil {
		t.Errorf("what is remembered got lost: %v", err)
	}
}

func TestMistakesAreFoundBeforeAnythingIsConnected(t *testing.T) {
	good := backend.Target{Shard: "s1", Host: "localhost", Login: backend.Login{User: "u"}}
	for name, spoil := range map[string]func(*backend.Config){
		"no shard name":       func(c *backend.Config) { c.Targets[0].Shard = "" },
		"no host":             func(c *backend.Config) { c.Targets[0].Host = "" },
		"port out of range":   func(c *backend.Config) { c.Targets[0].Port = 70000 },
		"no user":             func(c *backend.Config) { c.Targets[0].Login.User = "" },
		"empty own login":     func(c *backend.Config) { c.Targets[0].Logins = map[string]backend.Login{"a": {}} },
		"negative timeout":    func(c *backend.Config) { c.Targets[0].ConnectTimeout = -1 },
		"shard twice":         func(c *backend.Config) { c.Targets = append(c.Targets, good) },
		"negative size":       func(c *backend.Config) { c.Size = -1 },
		"min_idle over size":  func(c *backend.Config) { c.MinIdle = 21 },
		"negative pool limit": func(c *backend.Config) { c.MaxLifetime = -time.Second },
	} {
		cfg := backend.Config{Targets: []backend.Target{good}}
		spoil(&cfg)
		if _, err := backend.New(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := backend.New(backend.Config{Targets: []backend.Target{good}}); err != nil {
		t.Errorf("good configuration: %v", err)
	}
}
