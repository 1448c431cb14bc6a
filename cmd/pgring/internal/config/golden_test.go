package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgring/pgring/internal/golden"
)

// Every file in testdata is wrong in many ways; beside it is what pgring prints. No secret in them (hunter…) is printed.
func TestBrokenFilesReportEverythingAtOnce(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files in testdata: %v", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		t.Run(name, func(t *testing.T) {
			cfg, err := Parse(filepath.Base(file), []byte(readFile(t, file)), fakeEnv())
			var faults *Error
			if !errors.As(err, &faults) || cfg != nil {
				t.Fatalf("Parse gives %v, %v", cfg, err)
			}
			if strings.Contains(err.Error(), "hunter") {
				t.Errorf("a secret is printed:\n%v", err)
			}
			golden.Check(t, name, err.Error()+"\n")
		})
	}
}

func TestBrokenFileHasManyFaults(t *testing.T) {
	_, err := Parse("broken.yaml", []byte(readFile(t, "testdata/broken.yaml")), fakeEnv())
	var faults *Error
	if !errors.As(err, &faults) || len(faults.Problems) < 15 {
		t.Fatalf("err = %v", err)
	}
	for i := 1; i < len(faults.Problems); i++ {
		a, b := faults.Problems[i-1], faults.Problems[i]
		if a.Line > b.Line || a.Line == b.Line && a.Column > b.Column {
			t.Errorf("%d:%d is reported before %d:%d", a.Line, a.Column, b.Line, b.Column)
		}
	}
}

// Syntax errors stop the parser, so each has a file of its own here.
func TestSyntaxErrors(t *testing.T) {
	var out strings.Builder
	for _, text := range []string{
		"",
		"# nothing\n",
		"just text\n",
		"- a\n- b\n",
		"version: 1\nauth: {users: [{name: a, password: ${X}}]}\n",
		"version: 1\n  listen: 2\n",
		"version: 1\n\tlisten: 2\n",
		"version: 1\n---\nversion: 1\n",
		"backend:\n  password: 'hunter2\n  user: x\n",
		"backend: {user: x, password: hunter2\nauth: 1",
		"version: 1\n<<: {a: 1}\n? [a]\n: b\n",
		strings.Repeat("[", 100),
		"a: " + strings.Repeat("- ", 100),
		"\x1b[31mred: 1\n",
	} {
		_, err := Parse("pgring.yaml", []byte(text), fakeEnv())
		if err == nil {
			t.Errorf("%q is accepted", text)
			continue
		}
		if strings.Contains(err.Error(), "hunter") {
			t.Errorf("a secret is printed:\n%v", err)
		}
		out.WriteString("── " + strings.ReplaceAll(text[:min(len(text), 70)], "\x1b", "ESC") + "\n" + err.Error() + "\n")
	}
	golden.Check(t, "syntax", out.String())
}

// Warnings do not stop a file.
func TestWarnings(t *testing.T) {
	cfg := parse(t, `version: 1
listen: {sql: ":6432"}
auth: {users: [{name: app, password: x}]}
backend: {user: app, database: app, tls: {mode: disable}}
shards: [{name: s1, host: 10.0.0.1}]
tables:
  - {name: customers, shard_key: [id]}
  - {name: orders, shard_key: [customer_id], colocate: custmers}
`)
	var out strings.Builder
	for _, w := range cfg.Warnings() {
		out.WriteString(w.String())
	}
	golden.Check(t, "warnings", out.String())
}

func TestLoadOfMissingFileSaysWhich(t *testing.T) {
	_, err := Load(filepath.Join(t.TempDir(), "none.yaml"))
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "none.yaml") {
		t.Errorf("err = %v", err)
	}
}

func TestHugeFileIsRefused(t *testing.T) {
	if _, err := Parse("x", []byte(strings.Repeat("#", maxFileBytes+1)), Env{}); err == nil {
		t.Error("a file of more than 4MiB is accepted")
	}
}
