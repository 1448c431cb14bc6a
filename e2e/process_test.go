package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// hangLimit is for how long a process of a test is let run. A client that waits for ever is a fault to be shown, by what the process
// then writes, and not one that takes the time of all other tests.
const hangLimit = 5 * time.Minute

// pgring is one running proxy.
type pgring struct {
	port, http int
	config     string
	binary     string // variable with the name of the program; empty: binaryVariable

	command *exec.Cmd
	log     *logBuffer
	ended   chan struct{} // closed when the process has ended
	waited  error         // how it ended; read it after ended
}

// logBuffer collects what the process writes.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer // not embedded: its ReadFrom would pass by the lock
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// start runs the program and waits until /readyz says yes. The end of the test stops it as an operator would.
func (p *pgring) start(t testing.TB) {
	t.Helper()
	variable := p.binary
	if variable == "" {
		variable = binaryVariable
	}
	if p.log == nil { // a second process goes on in the log of the first
		p.log = &logBuffer{}
	}
	p.ended = make(chan struct{})
	p.command = exec.Command(os.Getenv(variable), "serve", "-c", p.config)
	p.command.Stdout, p.command.Stderr = p.log, p.log
	// A test binary that is killed must not leave proxies behind.
	p.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go p.own(started)
	must(t, <-started)
	command := p.command
	limit := hangLimit + bankTime(t)
	hangs := time.AfterFunc(limit, func() {
		fmt.Fprintf(p.log, "the test has not ended %s after this process began\n", limit)
		if err := showAndEnd(command.Process); err != nil {
			fmt.Fprintf(p.log, "it could not be ended: %v\n", err)
		}
	})
	t.Cleanup(func() {
		hangs.Stop()
		p.checkEnd(t)
	})
	eventually(t, patience, "pgring gets ready", p.ready)
	if variable == binaryVariable {
		go p.watch(p.ended)
	}
}

// watch asks for the metrics again and again, as Prometheus does: what counts must not race with what is counted.
// owner: the test, through ended; ends when the process has ended.
func (p *pgring) watch(ended <-chan struct{}) {
	client := http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for tick := time.NewTicker(2 * time.Second); ; {
		select {
		case <-ended:
			tick.Stop()
			return
		case <-tick.C:
		}
		if answer, err := client.Get(fmt.Sprintf("http://127.0.0.1:%d/metrics", p.http)); err == nil { // else it was stopped
			_, _ = io.Copy(io.Discard, answer.Body) // what it says is for other tests
			_ = answer.Body.Close()                 // the connection is of no more use
		}
	}
}

// own starts the process and waits for it. The kernel sends the parent-death signal when the starting *thread* ends, so this
// goroutine keeps its thread for as long as the process lives.
// owner: the test, through ended; ends when the process has ended.
func (p *pgring) own(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := p.command.Start()
	started <- err
	if err != nil {
		return
	}
	p.waited = p.command.Wait()
	close(p.ended)
}

// ready asks /readyz.
func (p *pgring) ready(ctx context.Context) error {
	select {
	case <-p.ended:
		return fmt.Errorf("pgring has ended: %v", p.waited)
	default:
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/readyz", p.http), nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("/readyz answers %s", answer.Status)
	}
	return nil
}

// checkEnd stops the process, if the test has not, and looks for what must never be in its log.
func (p *pgring) checkEnd(t testing.TB) {
	t.Helper()
	select {
	case <-p.ended: // the test has said how
	default:
		p.stop(t)
	}
	log := p.log.String()
	for _, bad := range []string{"ended by a bug", "DATA RACE", "panic:", "fatal error:"} {
		if strings.Contains(log, bad) {
			t.Errorf("pgring's log has %q", bad)
		}
	}
	if t.Failed() {
		t.Logf("pgring's log: %s", lastBytes(frequent.ReplaceAllString(log, ""), 20_000))
	}
}

// frequent are lines that tell little and would hide the others.
var frequent = regexp.MustCompile(`(?m)^.*"msg":"topology published".*\n`)

func lastBytes(s string, n int) string { return s[max(0, len(s)-n):] }

// stop ends the process with SIGTERM; it must end well, and within the drain timeout.
func (p *pgring) stop(t testing.TB) {
	t.Helper()
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Errorf("signal pgring: %v", err)
	}
	p.awaitEnd(t)
	if p.waited != nil {
		t.Errorf("pgring ends with %v after SIGTERM", p.waited)
	}
}

// awaitEnd waits for the process, and kills it when that takes too long.
func (p *pgring) awaitEnd(t testing.TB) {
	t.Helper()
	select {
	case <-p.ended:
	case <-time.After(patience):
		t.Errorf("pgring does not end within %s", patience)
		if err := showAndEnd(p.command.Process); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Errorf("end pgring: %v", err)
		}
		<-p.ended
	}
}

// showAndEnd ends a process, which writes into its log where it hangs.
func showAndEnd(process *os.Process) error {
	if err := process.Signal(syscall.SIGQUIT); err != nil {
		return err
	}
	return process.Signal(syscall.SIGCONT) // it may have been stopped
}

// kill9 ends the process without a chance to clean up.
func (p *pgring) kill9(t testing.TB) {
	t.Helper()
	must(t, p.command.Process.Kill())
	<-p.ended
}

// freeze stops the process, and waits until all its threads stand still: those that are running go on until the one that takes the signal does.
func (p *pgring) freeze(t testing.TB) {
	t.Helper()
	must(t, p.command.Process.Signal(syscall.SIGSTOP))
	eventually(t, patience, "the process stands still", func(context.Context) error {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", p.command.Process.Pid))
		if err != nil || len(threads) == 0 {
			return fmt.Errorf("no threads: %w", err)
		}
		for _, thread := range threads {
			if stat, err := os.ReadFile(thread); err != nil || !strings.Contains(string(stat), ") T ") {
				return fmt.Errorf("%s: %s, %w", thread, stat, err)
			}
		}
		return nil
	})
}

// rss is the memory that the process has in RAM, in bytes.
func (p *pgring) rss(t testing.TB) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.command.Process.Pid))
	must(t, err)
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kilobytes, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			must(t, err)
			return kilobytes << 10
		}
	}
	t.Fatal("/proc has no VmRSS of pgring")
	return 0
}

// tool is a program that a scenario runs as a user would.
type tool struct {
	name  string
	args  []string
	stdin string
	env   []string
	dir   string
}

// run runs a program against the proxy and returns what it wrote. The program must end with code 0.
func (p *pgring) run(t testing.TB, program tool) string {
	t.Helper()
	out, err := p.try(t, program)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", program.name, strings.Join(program.args, " "), err, lastBytes(out, 4000))
	}
	return out
}

// try runs a program against the proxy: the environment says where it is.
func (p *pgring) try(t testing.TB, program tool) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	command := p.prepare(ctx, program)
	var out logBuffer
	command.Stdout, command.Stderr = &out, &out
	err := command.Run()
	if ctx.Err() != nil {
		err = errors.Join(err, ctx.Err())
	}
	return out.String(), err
}

func (p *pgring) prepare(ctx context.Context, program tool) *exec.Cmd {
	command := exec.CommandContext(ctx, program.name, program.args...)
	command.Env = append(os.Environ(), "PGHOST=127.0.0.1", fmt.Sprintf("PGPORT=%d", p.port), "PGUSER="+appLogin,
		"PGPASSWORD="+appSecret, "PGDATABASE="+database, "PGSSLMODE=disable", "PGGSSENCMODE=disable", "PSQLRC=/dev/null",
		"LC_ALL=C.UTF-8", "PGOPTIONS=", "HOME="+os.TempDir())
	command.Env = append(command.Env, program.env...)
	command.Dir = program.dir
	if program.stdin != "" {
		command.Stdin = strings.NewReader(program.stdin)
	}
	command.WaitDelay = 5 * time.Second
	return command
}
