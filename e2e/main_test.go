// Package e2e tests pgring as its users meet it: the real binary with a configuration file, real PostgreSQL servers behind it,
// and in front of it psql, pgbench and the drivers of several languages. Nothing here looks inside the process; what the
// scenarios know is what a client, the shards, the console and the operating system tell.
package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// Where TestMain leaves the programs it built. A variable that is set already names a program to test instead.
const (
	binaryVariable = "PGRING_E2E_BINARY" // built with the race detector when the tests are
	plainVariable  = "PGRING_E2E_PLAIN"  // never, for scenarios that measure memory or time
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "pgring-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "make a directory for the binary:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	if err := raiseFileLimit(); err != nil {
		fmt.Fprintln(os.Stderr, "raise the limit of open files:", err)
		return 1
	}
	for variable, args := range map[string][]string{binaryVariable: raceFlags(), plainVariable: nil} {
		if os.Getenv(variable) != "" {
			continue
		}
		file := filepath.Join(dir, variable)
		command := exec.Command("go", append(append([]string{"build", "-o", file}, args...), "../cmd/pgring")...)
		command.Stdout, command.Stderr = os.Stderr, os.Stderr
		if err := command.Run(); err != nil {
			fmt.Fprintln(os.Stderr, "build pgring:", err)
			return 1
		}
		if err := os.Setenv(variable, file); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return m.Run()
}

// raiseFileLimit lets this process, and with it its children, have as many files open as the system allows.
func raiseFileLimit() error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	limit.Cur = limit.Max
	return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
}

// raceFlags builds pgring as the tests themselves were built.
func raceFlags() []string {
	if raceDetector {
		return []string{"-race"}
	}
	return nil
}
