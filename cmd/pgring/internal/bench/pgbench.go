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

	"golang.org/x/sync/errgroup"

	"github.com/pgring/pgring/internal/pgserver"
)

const threads = 2 // of pgbench, see threadsFor

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

// pgbenchRun runs pgbench on a contender; where that leads to several databases, one on each at the same time, with a share of the clients and
// of the rows.
func (l *lab) pgbenchRun(ctx context.Context, t trial) (runResult, error) {
	databases := t.c.databases()
	results := make([]runResult, len(databases))
	group, ctx := errgroup.WithContext(ctx)
	for i := range databases {
		// owner: pgbenchRun; ends when pgbench does, or ctx
		group.Go(func() (err error) {
			results[i], err = l.pgbenchOn(ctx, t, i)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return runResult{}, err
	}
	return together(results), nil
}

// pgbenchOn runs pgbench on one of the contender's databases.
func (l *lab) pgbenchOn(ctx context.Context, t trial, part int) (runResult, error) {
	databases := t.c.databases()
	n := len(databases)
	clients := (t.cell.Clients + part) / n // all of them together are as many as there should be
	args := append([]string{"-n", "-h", host, "-p", strconv.Itoa(t.c.port), "-U", t.c.user, "-M", string(t.cell.Protocol),
		"-c", strconv.Itoa(clients), "-j", strconv.Itoa(max(1, threadsFor(t.cell)/n)), "-f", l.script(t.c.prefix, t.cell.Workload),
		"-D", "rows=" + strconv.Itoa(l.options.Rows/n), "--random-seed=" + strconv.Itoa(t.seed)}, t.length.arguments()...)
	command := exec.CommandContext(ctx, l.pgbench, append(args, databases[part])...)
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "PGSSLMODE=disable", "PGGSSENCMODE=disable", "PGPASSWORD=" + t.c.password}
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

// together is what several pgbenches at the same time have done.
func together(results []runResult) (all runResult) {
	for _, r := range results {
		all.TPS += r.TPS
		all.LatencyMS += r.LatencyMS * float64(r.transactions)
		all.transactions += r.transactions
	}
	all.LatencyMS /= float64(max(1, all.transactions))
	return all
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

// firstLines are the first of pgbench's complaints; each client makes the same.
func firstLines(text string) string {
	const most = 6
	lines := strings.SplitN(strings.TrimSpace(text), "\n", most+1)
	return strings.Join(lines[:min(len(lines), most)], "\n")
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
