package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

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
	for _, command := range []string{"demo", "check", "sql", "route"} {
		out, _, err := execute(t, command, "--help")
		if err != nil {
			t.Fatal(err)
		}
		golden.Check(t, "help_"+command, out)
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
	for _, args := range [][]string{{"check", "surplus"}, {"sql"}, {"sql", "SHOW", "SHARDS"}, {"route"}, {"check", "-o", "csv"}, {"demo", "--port", "x"}} {
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

func TestRouteNeedsAUserOfTheConsole(t *testing.T) {
	_, _, err := execute(t, "route", "-c", write(t, minimal), "SELECT 1")
	if err == nil || err.Error() != "the configuration has no user with role admin or stats" {
		t.Error(err)
	}
}
