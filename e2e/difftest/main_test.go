// Package difftest holds pgring against PostgreSQL from outside: the same statements go to one plain server that has all rows
// and through the real binary to three shards, one of them without rows, and the answers are compared. Each is equal, or
// refused with a documented code; anything else is wrong and fails the build.
//
//	lab        the servers, the proxy, and what the tables hold
//	exchange   one statement sent one way, and the answer
//	verdict    two answers compared
//	cases      the handwritten statements of testdata/difftest
//	generator  random statements, and shrink, which makes the wrong ones small
//
// A second plain server database has the same rows in another physical order and plans otherwise. Where it answers
// differently, PostgreSQL leaves the answer free: rows without ORDER BY, ties under LIMIT.
package difftest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// binaryVariable names the program to test; TestMain builds one if it is not set.
const binaryVariable = "PGRING_E2E_PLAIN"

// setupDir and caseDir hold the schema and the handwritten statements.
const (
	setupDir = "../../testdata/difftest/setup"
	caseDir  = "../../testdata/difftest"
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if os.Getenv(binaryVariable) != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "pgring-difftest-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "make a directory for the binary:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "pgring")
	command := exec.Command("go", "build", "-o", file, "../../cmd/pgring")
	command.Stdout, command.Stderr = os.Stderr, os.Stderr
	if err := command.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build pgring:", err)
		return 1
	}
	if err := os.Setenv(binaryVariable, file); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// must ends the test on an error.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
