package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/pgring/pgring/internal/pgserver"
)

const (
	threads = 2           // of pgbench, see threadsFor
	grace   = time.Minute // beyond the time that a run was given
)

// findTools finds pgbench, beside the server's programs if it is there, and asks for versions.
func (l *lab) findTools(ctx context.Context) error {
	binaries, err := pgserver.FindBinaries()
	if err != nil {
		return err
	}
	l.pgbench = binaries.Path("pgbench")
	if _, err := os.Stat(l.pgbench); err != nil {
		if l.pgbench, err = exec.LookPath("pgbench"); err != nil {
			return fmt.Errorf("find pgbench (Debian and Ubuntu: apt-get install postgresql-contrib): %w", err)
		}
	}
	l.versions.PgRing = l.options.Version
	if l.versions.PostgreSQL, err = ask(ctx, binaries.Path("postgres")); err != nil {
		return err
	}
	l.versions.PgBench, err = ask(ctx, l.pgbench)
	return err
}

// ask returns what a program of PostgreSQL's says after its own name: "postgres (PostgreSQL) 15.8 (Debian …)".
func ask(ctx context.Context, program string) (string, error) {
	out, err := exec.CommandContext(ctx, program, "--version").Output()
	if err != nil {
		return "", fmt.Errorf("ask %s for its version: %w", program, err)
	}
	_, version, _ := strings.Cut(strings.TrimSpace(string(out)), "(PostgreSQL) ")
	return version, nil
}

func (l *lab) writeScripts() error {
	for _, w := range workloads() {
		if w.script == "" || w.durable() != l.durable {
			continue
		}
		for _, prefix := range []string{"", plainPrefix} {
			text := strings.ReplaceAll(w.script, "TABLE", prefix+w.table)
			if err := os.WriteFile(l.script(prefix, w.name), []byte(text), 0o600); err != nil {
				return fmt.Errorf("write the script of %s: %w", w.name, err)
			}
		}
	}
	return nil
}

func (l *lab) script(prefix, workload string) string {
	return filepath.Join(l.dir, prefix+workload+".sql")
}

// Sample is what one run of pgbench showed.
type Sample struct {
	TPS       float64 `json:"tps"`        // transactions per second, without the time to connect
	LatencyMS float64 `json:"latency_ms"` // average of a transaction
	// CPUMicros is the proxy's user and system time per transaction, in µs; 0 without a proxy.
	CPUMicros float64 `json:"cpu_us,omitempty"`
	// ServerMicros is the same of all the server's processes, until all rows are in the table; 0 where no table is filled.
	ServerMicros float64 `json:"server_cpu_us,omitempty"`
	// AppliedTPS is TPS with the time counted until all rows are in the table; likewise.
	AppliedTPS float64 `json:"applied_tps,omitempty"`
}

// runner runs one cell on one contender.
type runner func(ctx context.Context, cell Cell, c contender, seed int, length length) (runResult, error)

func (l *lab) runnerOf(cell Cell) runner {
	switch {
	case cell.Workload == copies:
		return l.copyRun
	case l.durable:
		return l.writing(l.pgbenchRun)
	}
	return l.pgbenchRun
}

// measure runs one cell on one contender. All contenders of a round get the same seed, so the same keys.
func (l *lab) measure(ctx context.Context, cell Cell, c contender, seed int, length length) (Sample, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(length.seconds)*time.Second+grace)
	defer cancel()
	before, err := c.cpu()
	if err != nil {
		return Sample{}, err
	}
	r, err := l.runnerOf(cell)(ctx, cell, c, seed, length)
	if err != nil {
		return Sample{}, err
	}
	after, err := c.cpu()
	if err != nil {
		return Sample{}, err
	}
	r.CPUMicros = float64((after - before).Nanoseconds()) / 1000 / float64(r.transactions)
	return r.Sample, nil
}

func (l *lab) pgbenchRun(ctx context.Context, cell Cell, c contender, seed int, length length) (runResult, error) {
	args := append([]string{"-n", "-h", host, "-p", strconv.Itoa(c.port), "-U", c.user, "-M", string(cell.Protocol),
		"-c", strconv.Itoa(cell.Clients), "-j", strconv.Itoa(threadsFor(cell)), "-f", l.script(c.prefix, cell.Workload),
		"-D", "rows=" + strconv.Itoa(l.options.Rows), "--random-seed=" + strconv.Itoa(seed)}, length.arguments()...)
	command := exec.CommandContext(ctx, l.pgbench, append(args, c.database)...)
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "PGSSLMODE=disable", "PGGSSENCMODE=disable", "PGPASSWORD=" + c.password}
	command.SysProcAttr = &syscall.SysProcAttr{}
	detach(command.SysProcAttr)
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return runResult{}, fmt.Errorf("run pgbench: %w\n%s", err, firstLines(stderr.String()))
	}
	return parseRun(stdout.String())
}

// threadsFor is the number of pgbench's threads. pgbench waits for the answer to a Parse without serving the thread's other
// clients. If a client prepares within a transaction and those others hold the last connections of the pool, all wait for ever,
// so there each client gets a thread of its own.
func threadsFor(cell Cell) int {
	if cell.Protocol == Prepared && cell.Workload == update {
		return cell.Clients
	}
	return min(threads, cell.Clients)
}

// length is when a measured run ends.
func (o Options) length() length { return length{transactions: o.Transactions, seconds: o.Seconds} }

// firstLines are the first of pgbench's complaints; each client makes the same.
func firstLines(text string) string {
	const most = 6
	lines := strings.SplitN(strings.TrimSpace(text), "\n", most+1)
	return strings.Join(lines[:min(len(lines), most)], "\n")
}

// runResult is a sample and what is needed to work it out.
type runResult struct {
	Sample
	transactions int
}

// parseRun reads pgbench's report. A failed transaction is an error: a figure that counts failures as work is worth nothing.
func parseRun(out string) (runResult, error) {
	r := runResult{}
	done, err := figure(out, `number of transactions actually processed: (\d+)`)
	if err != nil {
		return r, err
	}
	if r.transactions = int(done); r.transactions == 0 {
		return r, errors.New("pgbench finished no transaction: give it more time, or the machine less to do beside it")
	}
	if failed, err := figure(out, `number of failed transactions: (\d+)`); err == nil && failed > 0 {
		return r, fmt.Errorf("pgbench counts %d failed transactions", int(failed))
	}
	if r.TPS, err = figure(out, `tps = ([\d.]+) \((?:without initial connection time|excluding connections establishing)\)`); err != nil {
		return r, err
	}
	r.LatencyMS, err = figure(out, `latency average = ([\d.]+) ms`)
	return r, err
}

// figure finds one number by a pattern.
func figure(out, pattern string) (float64, error) {
	found := regexp.MustCompile(pattern).FindStringSubmatch(out)
	if found == nil {
		return 0, fmt.Errorf("read pgbench's report: nothing matches %q in\n%s", pattern, out)
	}
	return strconv.ParseFloat(found[1], 64)
}
