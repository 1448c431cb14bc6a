package bench

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"github.com/pgring/pgring/cmd/pgring/internal/node"
)

// TestMain lets the test's own program be the proxy that is measured: Run starts it as `program serve -c file`. The tests keep
// everything in one folder, so that they see what is left there.
func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == "serve" {
		if err := serve(os.Args[3]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(runIn(m, "pgring-benchtest-"))
}

func runIn(m *testing.M, prefix string) int {
	dir, err := os.MkdirTemp("/dev/shm", prefix) // a server starts there in a tenth of the time
	if err != nil {
		dir, err = os.MkdirTemp("/tmp", prefix)
	}
	if err == nil {
		err = errors.Join(os.Chmod(dir, 0o755), os.Setenv("TMPDIR", dir)) // the user postgres enters it
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	return m.Run()
}

func serve(file string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	n, err := node.New(node.Options{ConfigFile: file, Version: "test", Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	if err != nil {
		return err
	}
	return n.Run(ctx)
}
