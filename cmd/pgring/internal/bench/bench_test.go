package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/pgring/pgring/cmd/pgring/internal/output"
)

// tiny measures nothing worth knowing, in a few seconds.
func tiny(t *testing.T) Options {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	o := Defaults()
	o.Program, o.Version, o.Command = program, "test", "pgring bench"
	o.Rounds, o.Seconds, o.Transactions, o.Rows, o.Pool, o.Idle = 1, 1, 5, 500, 4, 20
	o.Progress, o.Disk = t.Output(), os.Getenv("TMPDIR")
	return o
}

// wantNothingLeft looks for what a lab keeps: its own folder and the servers' folders. Their processes live and die with these.
func wantNothingLeft(t *testing.T) {
	t.Helper()
	for _, pattern := range []string{"pgring-bench-*", "pgring-pg-*"} {
		if left, _ := filepath.Glob(filepath.Join(os.Getenv("TMPDIR"), pattern)); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	}
	out, err := exec.Command("ps", "-eo", "pid=,args=").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, os.Getenv("TMPDIR")) {
			t.Errorf("still running: %s", line)
		}
	}
}

func TestRunMeasuresEveryCellOnEveryContender(t *testing.T) {
	o := tiny(t)
	report, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	wantNothingLeft(t)
	if err := report.Failed(); err != nil {
		t.Errorf("%v\n%s", err, strings.Join(report.faults(), "\n"))
	}
	if len(report.Results) != len(matrix()) {
		t.Errorf("%d cells, want %d", len(report.Results), len(matrix()))
	}
	for i, result := range report.Results {
		if result.Cell != matrix()[i] {
			t.Errorf("cell %d is %s, want %s", i, result.Name(), matrix()[i].Name())
		}
		wantFigures(t, result)
	}
	if len(report.Idle) == 0 || report.Idle[len(report.Idle)-1].Name != PgRing {
		t.Errorf("idle clients: %+v", report.Idle)
	}
	wantWritten(t, report)
}

// wantFigures: every contender that can serve the cell has figures, and pgring is compared with each of them.
func wantFigures(t *testing.T, r Result) {
	t.Helper()
	if len(r.Contenders) < 2 || r.Contenders[0].Name != Direct || r.Contenders[len(r.Contenders)-1].Name != PgRing {
		t.Fatalf("%s: contenders %+v", r.Name(), r.Contenders)
	}
	able := 0
	for _, c := range r.Contenders {
		if c.Unsupported {
			if workloadOf(r.Cell).isFor(c.Name) && (!strings.HasSuffix(c.Name, PgBouncer) || r.Protocol != Prepared && r.Clients > 1) {
				t.Errorf("%s: %s should be able to", r.Name(), c.Name)
			}
			continue
		}
		able++
		if len(c.Samples) != 1 || c.TPS == nil || c.TPS.Median <= 0 || c.LatencyMS == nil || c.LatencyMS.Median <= 0 {
			t.Errorf("%s: %s has no figures: %+v", r.Name(), c.Name, c)
		}
		if (c.CPUMicros != nil) != (c.Name != Direct) || c.CPUMicros != nil && c.CPUMicros.Median == 0 { // so few transactions may cost less than connecting
			t.Errorf("%s: CPU of %s: %+v", r.Name(), c.Name, c.CPUMicros)
		}
	}
	durable := workloadOf(r.Cell).durable()
	for _, c := range r.Contenders {
		if (c.ServerMicros != nil) != (durable && !c.Unsupported) || c.AppliedTPS != nil && c.AppliedTPS.Median <= 0 {
			t.Errorf("%s: the server's CPU for %s: %+v, applied %+v", r.Name(), c.Name, c.ServerMicros, c.AppliedTPS)
		}
	}
	if len(r.Ratios) != able-1 {
		t.Errorf("%s: pgring is compared with %d of %d others", r.Name(), len(r.Ratios), able-1)
	}
}

// wantWritten: all three forms have all cells.
func wantWritten(t *testing.T, report *Report) {
	t.Helper()
	var text, document bytes.Buffer
	if err := report.Write(&text, output.AsTable); err != nil {
		t.Fatal(err)
	}
	if err := report.Write(&document, output.AsJSON); err != nil {
		t.Fatal(err)
	}
	var back Report
	if err := json.Unmarshal(document.Bytes(), &back); err != nil || len(back.Results) != len(report.Results) {
		t.Errorf("JSON: %v, %d results", err, len(back.Results))
	}
	for _, c := range matrix() {
		row := regexp.MustCompile(`(?m)^\|? ?` + c.Workload + ` +\| ` + string(c.Protocol) + ` +\| +` + strings.TrimPrefix(c.Name(), c.Workload+"/"+string(c.Protocol)+"/") + ` `)
		for form, written := range map[string]string{"text": text.String(), "Markdown": report.Markdown()} {
			if n := len(row.FindAllString(written, -1)); n != 2 {
				t.Errorf("%s has %d rows for %s, want one per table:\n%s", form, n, c.Name(), written)
			}
		}
	}
}

func TestRunTakesProfiles(t *testing.T) {
	o := tiny(t)
	o.Only = regexp.MustCompile("^update/prepared/16$")
	o.Profiles = filepath.Join(t.TempDir(), "profiles")
	if _, err := Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(filepath.Join(o.Profiles, "update-prepared-16.pprof"))
	if err != nil || !bytes.HasPrefix(file, []byte{0x1f, 0x8b}) {
		t.Errorf("no compressed profile: %d bytes, %v", len(file), err)
	}
}

// interrupter is a Progress that ends the run when something is said.
type interrupter struct {
	at    string
	seen  bool
	after context.CancelFunc
}

func (i *interrupter) Write(text []byte) (int, error) {
	if bytes.Contains(text, []byte(i.at)) {
		i.seen = true
		i.after()
	}
	return len(text), nil
}

func TestInterruptedRunLeavesNothing(t *testing.T) {
	for _, at := range []string{"loading", "round 1"} {
		t.Run(at, func(t *testing.T) {
			o := tiny(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			stop := &interrupter{at: at, after: cancel}
			o.Progress = stop
			if report, err := Run(ctx, o); err == nil || report != nil || !stop.seen {
				t.Errorf("report %v, error %v, interrupted %t", report, err, stop.seen)
			}
			wantNothingLeft(t)
		})
	}
}

func TestProxyThatDoesNotStartIsShownWithItsLog(t *testing.T) {
	o := tiny(t)
	o.Program = filepath.Join(t.TempDir(), "broken")
	if err := os.WriteFile(o.Program, []byte("#!/bin/sh\necho out of luck >&2\nexit 3\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	_, err := Run(t.Context(), o)
	if err == nil || !strings.Contains(err.Error(), "out of luck") || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("error %v", err)
	}
	wantNothingLeft(t)
}

func TestOptionsAreChecked(t *testing.T) {
	for want, change := range map[string]func(*Options){
		"0 rounds: must be 1 to 1000":            func(o *Options) { o.Rounds = 0 },
		"-1 seconds: must be":                    func(o *Options) { o.Seconds = -1 },
		"1 shards: must be 2 to 16":              func(o *Options) { o.Shards = 1 },
		"no pgring to measure":                   func(o *Options) { o.Program = "" },
		`no cell matches "paste"`:                func(o *Options) { o.Only = regexp.MustCompile("paste") },
		"0 connections per pool: must be 1 to 2": func(o *Options) { o.Pool = 0 },
	} {
		o := Defaults()
		o.Program = "/bin/false"
		change(&o)
		if _, err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

func TestRowsThatAreMissingAreNoFigure(t *testing.T) {
	o := tiny(t)
	l, err := openLab(t.Context(), o, true)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := l.close(); err != nil {
			t.Error(err)
		}
	}()
	cell, c := Cell{Workload: insert1, Protocol: Simple, Clients: 1}, l.contenders[0]
	dishonest := func(ctx context.Context, t trial) (runResult, error) {
		r, err := l.pgbenchRun(ctx, t)
		r.transactions++
		return r, err
	}
	if _, err := l.measureBy(t.Context(), dishonest, trial{cell, c, 1, length{transactions: 3}}); err == nil || !strings.Contains(err.Error(), "4 rows in table notes after 6 INSERTs") {
		t.Errorf("error %v", err)
	}
}
