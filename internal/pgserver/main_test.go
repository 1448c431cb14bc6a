package pgserver

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"go.uber.org/goleak"
)

// owned makes the test binary a program that starts a server, tells about it, and waits for its own end.
const owned = "PGSERVER_TEST_OWNER"

func TestMain(m *testing.M) {
	if os.Getenv(owned) == "" {
		goleak.VerifyTestMain(m)
		return
	}
	server, err := Start(context.Background(), Config{})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	if os.Getenv(owned) == "frozen" {
		if err := server.Freeze(); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	fmt.Println(server.PID(), server.DataDir)
	_, _ = io.Copy(io.Discard, os.Stdin)
}

func start(t *testing.T, cfg Config) *Server {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	server, err := Start(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	return server
}

// killedOwner runs a program that starts a server and kills it with SIGKILL.
func killedOwner(t *testing.T, kind string) (pid int, dataDir string) {
	t.Helper()
	owner := exec.Command(os.Args[0])
	owner.Env = append(os.Environ(), owned+"="+kind)
	input, err := owner.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer input.Close()
	output, err := owner.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := owner.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(output).ReadString('\n')
	if _, scanErr := fmt.Sscan(line, &pid, &dataDir); err != nil || scanErr != nil {
		t.Errorf("the owner said %q, %v", line, errors.Join(err, scanErr))
	}
	if err := owner.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = owner.Wait() // killed
	if t.Failed() {
		t.FailNow()
	}
	return pid, dataDir
}

func TestServersDieWithAKilledOwnerAndTheNextStartSweepsUp(t *testing.T) {
	pid, dataDir := killedOwner(t, "running")
	if err := pollFor(time.Minute, func() bool { return gone(pid) }); err != nil {
		t.Errorf("postmaster %d outlives its owner: %v", pid, err)
	}
	start(t, Config{})
	if _, err := os.Stat(dataDir); !os.IsNotExist(err) {
		t.Errorf("%s is left: %v", dataDir, err)
	}
}

func TestNextStartSweepsUpAFrozenServer(t *testing.T) {
	pid, dataDir := killedOwner(t, "frozen")
	start(t, Config{})
	if err := pollFor(time.Minute, func() bool { return gone(pid) }); err != nil {
		t.Errorf("frozen postmaster %d is left: %v", pid, err)
	}
	if _, err := os.Stat(dataDir); !os.IsNotExist(err) {
		t.Errorf("%s is left: %v", dataDir, err)
	}
}

func TestProgramsMayMakeTheTemplateAtTheSameTime(t *testing.T) {
	dir, err := os.MkdirTemp("/tmp", "pgring-concurrent-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil { // the server's user must get in
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", dir)
	var starting sync.WaitGroup
	for range 3 {
		starting.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			server, err := Start(ctx, Config{})
			if err != nil {
				t.Error(err)
				return
			}
			if err := server.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	starting.Wait()
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(left) != 2 {
		t.Errorf("left are %q, %v; want one template and its lock", left, err)
	}
}

func TestGivenDirectoryIsKeptWithItsData(t *testing.T) {
	dir, err := os.MkdirTemp("/tmp", "pgring-kept-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	port, err := ReservePort()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(port.Release)
	cfg := Config{Dir: filepath.Join(dir, "deep", "s1"), Port: port.Number, Durable: true}
	first := start(t, cfg)
	query(t, first, "CREATE TABLE kept AS SELECT 42 AS v")
	if err := first.Close(); err != nil { // and once more at the end of the test
		t.Fatal(err)
	}
	second := start(t, cfg)
	if got := query(t, second, "SELECT v FROM kept"); got != "42" || second.Port != port.Number {
		t.Errorf("the second server on port %d has %q", second.Port, got)
	}
}

func TestStartSaysWhatTheServerSaid(t *testing.T) {
	_, err := Start(t.Context(), Config{Settings: map[string]string{"no_such_setting": "1"}})
	if err == nil || !strings.Contains(err.Error(), "no_such_setting") {
		t.Errorf("error is %v, want the server's own words", err)
	}
}

func TestStartOnATakenPortFails(t *testing.T) {
	first := start(t, Config{})
	if _, err := Start(t.Context(), Config{Port: first.Port}); err == nil {
		t.Error("two servers share a port")
	}
}

func TestStartEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	reason := errors.New("no more patience")
	cancel(reason)
	if _, err := Start(ctx, Config{}); !errors.Is(err, reason) && !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
}

func TestBinariesAreNamedByTheEnvironment(t *testing.T) {
	t.Setenv("PGRING_PG_BIN", t.TempDir())
	if _, err := FindBinaries(); err == nil || !strings.Contains(err.Error(), "PGRING_PG_BIN") {
		t.Errorf("error is %v", err)
	}
}

func TestNewestVersionCountsAsANumber(t *testing.T) {
	root := t.TempDir()
	for _, version := range []string{"9", "16", "18"} {
		bin := filepath.Join(root, version, "bin")
		if err := os.MkdirAll(bin, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, program := range []string{"postgres", "initdb"} {
			if version == "18" && program == "initdb" {
				continue // an incomplete installation
			}
			if err := os.WriteFile(filepath.Join(bin, program), nil, 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got, want := newest(root), filepath.Join(root, "16", "bin"); got != want {
		t.Errorf("newest is %q, want %q", got, want)
	}
}

func TestKilledServerLeavesNoSegment(t *testing.T) {
	server := start(t, Config{})
	text, err := os.ReadFile(filepath.Join(server.DataDir, "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(strings.Split(string(text), "\n")[6])
	if err := errors.Join(server.Kill9(), server.Close()); err != nil {
		t.Fatal(err)
	}
	segments, err := os.ReadFile("/proc/sysvipc/shm")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(segments)) {
		if columns := strings.Fields(line); len(columns) > 1 && columns[1] == fields[1] {
			t.Errorf("segment is left: %s", line)
		}
	}
}

func TestDownServerRefusesToFreeze(t *testing.T) {
	server := start(t, Config{})
	if err := server.Shutdown(); err != nil {
		t.Fatal(err)
	}
	if server.Freeze() == nil || server.Thaw() == nil {
		t.Error("a server that is down was frozen")
	}
	if pids, err := server.Processes(); err != nil || len(pids) != 0 {
		t.Errorf("processes %v, %v", pids, err)
	}
	if server.PID() != 0 {
		t.Errorf("pid is %d", server.PID())
	}
}

func query(t *testing.T, server *Server, sql string) string {
	t.Helper()
	conn, err := pgconn.Connect(t.Context(), server.SocketDSN(superuser, "postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	results, err := conn.Exec(t.Context(), sql).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(results[0].Rows) == 0 {
		return ""
	}
	return string(results[0].Rows[0][0])
}
