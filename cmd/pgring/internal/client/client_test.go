package client

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"go.uber.org/goleak"

	"github.com/pgring/pgring/cmd/pgring/internal/config"
	"github.com/pgring/pgring/cmd/pgring/internal/output"
	"github.com/pgring/pgring/internal/golden"
	"github.com/pgring/pgring/internal/pgtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ask sends statements to a PostgreSQL server in whose place a console would answer, and returns all that was written.
func ask(t *testing.T, s *pgtest.Server, f output.Format, sql string) (string, error) {
	t.Helper()
	var out strings.Builder
	c := Console{Address: s.Addr(), User: "admin", Password: "secret", Format: f, Stdout: &out, Stderr: &out}
	_, err := c.Ask(t.Context(), sql)
	return out.String(), err
}

func server(t *testing.T) *pgtest.Server {
	t.Helper()
	s := pgtest.Start(t, 1, pgtest.SCRAM())[0]
	s.CreateUser(t, "admin", "secret")
	s.CreateDatabase(t, config.ConsoleDatabase, "admin")
	return s
}

func TestAnswersAreWrittenAsTheyComeIn(t *testing.T) {
	s := server(t)
	const sql = "DO $$ BEGIN RAISE NOTICE 'look' USING HINT = 'there'; END $$; SELECT 's1' AS shard, 4096 AS slots, true AS healthy, NULL AS error; SELECT 1 AS one WHERE false"
	var all strings.Builder
	for _, f := range []output.Format{output.AsTable, output.AsJSON, output.AsCSV} {
		out, err := ask(t, s, f, sql)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&all, "-- %s\n%s", f, out)
	}
	golden.Check(t, "answers", all.String())
}

func TestErrorReadsAsInPsqlAfterWhatWorked(t *testing.T) {
	out, err := ask(t, server(t), output.AsTable, "SELECT 1 AS one; DO $$ BEGIN RAISE 'no' USING DETAIL = 'because', HINT = 'do'; END $$")
	if err == nil || err.Error() != "ERROR: no\nDETAIL: because\nHINT: do" || !strings.Contains(out, "(1 row)") {
		t.Errorf("%q, %v", out, err)
	}
}

func TestMissingPasswordIsNamed(t *testing.T) {
	s := server(t)
	t.Setenv("PGPASSWORD", "")
	t.Setenv("PGPASSFILE", os.DevNull)
	c := Console{Address: s.Addr(), User: "admin", Format: output.AsTable, Stdout: &strings.Builder{}, Stderr: &strings.Builder{}}
	if _, err := c.Ask(t.Context(), "SELECT 1"); err == nil || !strings.Contains(err.Error(), "set PGPASSWORD") {
		t.Error(err)
	}
	t.Setenv("PGPASSWORD", "secret")
	if _, err := c.Ask(t.Context(), "SELECT 1"); err != nil {
		t.Error(err)
	}
	t.Setenv("PGPASSWORD", "wrong")
	if _, err := c.Ask(t.Context(), "SELECT 1"); err == nil || !strings.Contains(err.Error(), "password authentication failed") || strings.Contains(err.Error(), "PGPASSWORD") {
		t.Error(err)
	}
}

func TestConfigurationSaysWhereAndWho(t *testing.T) {
	verifier, err := config.HashPassword("dba")
	if err != nil {
		t.Fatal(err)
	}
	parse := func(listen string) *config.Config {
		cfg, err := config.Parse("pgring.yaml", []byte("version: 1\nlisten: {sql: \""+listen+"\"}\nbackend: {user: app, database: shop}\nshards: [{name: s1, host: localhost}]\n"+
			"auth: {users: [{name: app, password: x}, {name: watch, password: see, role: stats}, {name: dba, password: \""+strings.ReplaceAll(verifier, "$", "$$")+"\", role: admin}]}\n"), config.Env{})
		if err != nil {
			t.Fatal(err)
		}
		return cfg
	}
	t.Setenv("PGPASSWORD", "of-the-application")
	for _, c := range []struct{ listen, user, want string }{
		{"127.0.0.1:7432", "", "127.0.0.1:7432 watch see"},
		{":7432", "dba", "127.0.0.1:7432 dba "},
		{"0.0.0.0:7432", "app", "127.0.0.1:7432 app x"},
		{"[::]:7432", "else", "[::1]:7432 else "},
	} {
		got, err := FromConfig(parse(c.listen), c.user)
		if err != nil || fmt.Sprintf("%s %s %s", got.Address, got.User, got.Password) != c.want {
			t.Errorf("%s as %q: %+v, %v", c.listen, c.user, got, err)
		}
	}
}

func TestAddressMayLackThePort(t *testing.T) {
	for address, want := range map[string]string{"db": "db:6432", "::1": "::1:6432", "[::1]:7": "::1:7", "db:7": "db:7"} {
		cfg, err := Console{Address: address, User: url.QueryEscape("a b")}.connection()
		if err != nil || fmt.Sprintf("%s:%d", cfg.Host, cfg.Port) != want || cfg.Database != "pgring" {
			t.Errorf("%s: %+v, %v", address, cfg, err)
		}
	}
}

func TestExplainKeepsOtherErrors(t *testing.T) {
	plain := errors.New("plain")
	if Explain(plain) != plain || Explain(nil) != nil {
		t.Error("changed")
	}
	if got := Explain(fmt.Errorf("load: %w", &pgconn.PgError{Severity: "ERROR", Message: "no"})); got.Error() != "ERROR: no" {
		t.Error(got)
	}
}
