package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/cmd/pgring/internal/config"
	"github.com/pgring/pgring/internal/golden"
	"github.com/pgring/pgring/internal/pgtest"
)

// execute runs pgring with arguments.
func execute(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := root()
	cmd.SetArgs(args)
	cmd.SetOut(&out)
	cmd.SetErr(&errs)
	err = cmd.ExecuteContext(t.Context())
	return out.String(), errs.String(), err
}

func write(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "pgring.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

const minimal = `version: 1
auth: {users: [{name: app, password: x}]}
backend: {user: app, database: shop}
shards: [{name: s1, host: 127.0.0.1, port: 1}]
tables: [{name: orders, shard_key: [customer_id], colocate: custmers}]
`

func TestHelpTexts(t *testing.T) {
	for _, command := range []string{"demo", "check", "sql", "route", "saga list", "saga verify", "rebalance", "rebalance status", "rebalance verify"} {
		out, _, err := execute(t, append(strings.Fields(command), "--help")...)
		if err != nil {
			t.Fatal(err)
		}
		golden.Check(t, "help_"+strings.ReplaceAll(command, " ", "_"), out)
	}
}

func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if out, _, err := execute(t, "completion", shell); err != nil || !strings.Contains(out, "pgring") {
			t.Errorf("%s: %v", shell, err)
		}
	}
	for args, want := range map[string]string{
		"sql -o ":            "table\njson\ncsv\n:4\n",
		"check --output ":    "table\njson\n:4\n",
		"saga v":             "verify\tCompare what all shards say of transactions over several shards\n:4\n",
		"rou":                "route\tShow where a running proxy would send a statement, and why\n:4\n",
		"demo --dir x --sha": "--shards\tnumber of PostgreSQL servers; a folder with data keeps the number it has\n:4\n",
	} {
		out, _, err := execute(t, append([]string{"__complete"}, strings.Split(args, " ")...)...)
		if err != nil || out != want {
			t.Errorf("%s completes to %q, %v", args, out, err)
		}
	}
}

func TestWrongCommandLinesHaveAnExitCodeOfTheirOwn(t *testing.T) {
	for _, args := range [][]string{{"check", "surplus"}, {"sql"}, {"sql", "SHOW", "SHARDS"}, {"route"}, {"saga"}, {"saga", "odd"}, {"saga", "verify", "x"}, {"check", "-o", "csv"}, {"demo", "--port", "x"}} {
		if _, _, err := execute(t, args...); err == nil || exitCode(err) != exitUsage {
			t.Errorf("%q: %v", args, err)
		}
	}
}

func TestCheckOfAFile(t *testing.T) {
	file := write(t, minimal)
	out, warnings, err := execute(t, "check", "-c", file)
	if err != nil || !strings.HasSuffix(out, " is valid: 1 shard, 1 table, 1 user\n") || !strings.Contains(warnings, `no other table is in group "custmers"`) {
		t.Errorf("%q, %q, %v", out, warnings, err)
	}
	out, _, err = execute(t, "check", "-c", file, "-o", "json")
	if err != nil || !strings.Contains(out, `"valid": true`) || !strings.Contains(out, "custmers") {
		t.Errorf("%q, %v", out, err)
	}
	_, _, err = execute(t, "check", "-c", write(t, strings.Replace(minimal, "shop", "pgring", 1)))
	var broken *config.Error
	if !errors.As(err, &broken) || exitCode(err) != exitConfig {
		t.Errorf("%v", err)
	}
}

func TestCheckConnectsToTheShards(t *testing.T) {
	server := pgtest.Start(t, 1)[0]
	server.CreateUser(t, "app", "x")
	server.CreateDatabase(t, "shop", "app")
	text := strings.Replace(minimal, "port: 1", "port: "+server.Addr()[strings.LastIndex(server.Addr(), ":")+1:], 1)
	out, _, err := execute(t, "check", "-c", write(t, text), "--connect")
	if err != nil || !strings.HasSuffix(out, "no errors, 1 warning\n") {
		t.Errorf("%v\n%s", err, out)
	}
	server.ExecIn(t, "shop", "SET ROLE app; CREATE TABLE orders (id int PRIMARY KEY)")
	out, _, err = execute(t, "check", "-c", write(t, text), "--connect", "-o", "json")
	if err == nil || exitCode(err) != exitFailure || err.Error() != "found 1 error and 0 warnings" || !strings.Contains(out, "has no column customer_id, its shard key") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestSQLSaysThatNobodyAnswers(t *testing.T) {
	_, _, err := execute(t, "sql", "-h", "127.0.0.1:1", "SHOW SHARDS")
	if err == nil || !strings.HasSuffix(err.Error(), "connection refused (is pgring running there?)") {
		t.Error(err)
	}
}

// awaited is an output that tells when a text has been written.
type awaited struct {
	text  string
	seen  chan struct{}
	whole bytes.Buffer
}

func (a *awaited) Write(p []byte) (int, error) {
	before := bytes.Contains(a.whole.Bytes(), []byte(a.text))
	a.whole.Write(p)
	if !before && bytes.Contains(a.whole.Bytes(), []byte(a.text)) {
		close(a.seen)
	}
	return len(p), nil
}

// startDemo runs the command demo until the test ends, and returns its folder and port.
func startDemo(t *testing.T) (dir, port string) {
	t.Helper()
	dir, port = t.TempDir(), strconv.Itoa(pgtest.Port(t))
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil { // the user postgres must get in
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	out, ended := &awaited{text: "Ctrl-C ends it", seen: make(chan struct{})}, make(chan error, 1)
	cmd := root()
	cmd.SetArgs([]string{"demo", "--dir", dir, "--shards", "2", "--port", port, "--http", "0", "--customers", "5"})
	cmd.SetOut(out)
	// owner: startDemo; ends when the test does.
	go func() { ended <- cmd.ExecuteContext(ctx) }()
	select {
	case <-out.seen:
	case err := <-ended:
		stop()
		t.Fatalf("the demo ended with %v\n%s", err, out.whole.String())
	}
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return dir, port
}

func TestSQLAndRouteAskTheConsoleOfADemo(t *testing.T) {
	dir, port := startDemo(t)
	file := filepath.Join(dir, "pgring.yaml")
	out, _, err := execute(t, "route", "-c", file, "-o", "csv", "SELECT * FROM orders WHERE customer_id = 42")
	if err != nil || !strings.Contains(out, "orders.customer_id = 42 → slot 7114 → s") {
		t.Errorf("%s, %v", out, err)
	}
	t.Setenv("PGPASSWORD", "admin")
	out, _, err = execute(t, "sql", "-h", "127.0.0.1:"+port, "-U", "admin", "-o", "json", "SHOW SHARDS")
	if err != nil || strings.Count(out, `"shard": `) != 2 {
		t.Errorf("%s, %v", out, err)
	}
	_, _, err = execute(t, "sql", "-h", "127.0.0.1:"+port, "-U", "admin", "SHOW NOTHING")
	if err == nil || !strings.HasPrefix(err.Error(), "ERROR: ") || exitCode(err) != exitFailure {
		t.Error(err)
	}
	sagasOfADemo(t, file, port)
	out, _, err = execute(t, "check", "-c", file, "--connect")
	if err != nil || !strings.HasSuffix(out, "no errors, 0 warnings\n") {
		t.Errorf("%s, %v", out, err)
	}
}

// sagasOfADemo writes to all shards at once, and looks at that before and after a shard has lost its part.
func sagasOfADemo(t *testing.T, file, port string) {
	t.Helper()
	cfg, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	sql := "BEGIN; SET LOCAL pgring.cross_shard = 'saga'; UPDATE accounts SET balance = 1 WHERE id = 1 /* compensate: none */"
	for id := 2; id <= 20; id++ {
		sql += fmt.Sprintf("; UPDATE accounts SET balance = 1 WHERE id = %d /* compensate: none */", id)
	}
	runSQL(t, "host=127.0.0.1 port="+port+" user=app password=app dbname=shop sslmode=disable", sql+"; COMMIT")
	address := "127.0.0.1:" + port
	out, notices, err := execute(t, "saga", "verify", "-h", address, "-U", "admin", "-o", "json")
	if err != nil || out != "[]\n" || !strings.Contains(notices, "NOTICE: compared 1 sagas with 2 barrier rows") {
		t.Errorf("%s%s, %v", out, notices, err)
	}
	runSQL(t, fmt.Sprintf("host=127.0.0.1 port=%d user=pgring password=pgring dbname=shop sslmode=disable", cfg.Shards[1].Port), "DELETE FROM pgring.barrier")
	out, _, err = execute(t, "saga", "verify", "-h", address, "-U", "admin")
	if err == nil || exitCode(err) != exitFailure || !strings.HasSuffix(out, "(1 row)\n") || err.Error() != "found 1 problem" {
		t.Errorf("%s, %v", out, err)
	}
	out, _, err = execute(t, "saga", "list", "-h", address, "-U", "admin")
	if err != nil || !strings.Contains(out, " | COMMITTED | saga | s") {
		t.Errorf("%s, %v", out, err)
	}
	out, _, err = execute(t, "saga", "list", "-h", address, "-U", "admin", "--state", "stuck", "-o", "csv")
	if err != nil || out != "saga_id,state,mode,shards,user,age_ms,retries,last_error\n" {
		t.Errorf("%s, %v", out, err)
	}
}

// runSQL runs SQL on a connection of its own.
func runSQL(t *testing.T, dsn, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	if _, err := conn.PgConn().Exec(t.Context(), sql).ReadAll(); err != nil {
		t.Fatal(err)
	}
}

func TestRouteNeedsAUserOfTheConsole(t *testing.T) {
	_, _, err := execute(t, "route", "-c", write(t, minimal), "SELECT 1")
	if err == nil || err.Error() != "the configuration has no user with role admin or stats" {
		t.Error(err)
	}
}
