package bench

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgring/pgring/cmd/pgring/internal/output"
	"github.com/pgring/pgring/internal/golden"
)

const printed = `pgbench (15.8 (Debian 15.8-0+deb12u1))
transaction type: select.sql
number of transactions actually processed: 320/320
number of failed transactions: 0 (0.000%)
latency average = 0.345 ms
initial connection time = 12.082 ms
tps = 46297.214302 (without initial connection time)
`

func TestReportOfPgbenchIsRead(t *testing.T) {
	r, err := parseRun(printed)
	if err != nil || r.transactions != 320 || r.TPS != 46297.214302 || r.LatencyMS != 0.345 {
		t.Errorf("%+v, %v", r, err)
	}
	old := strings.ReplaceAll(printed, "tps = 46297.214302 (without initial connection time)",
		"tps = 40000.5 (including connections establishing)\ntps = 46000.5 (excluding connections establishing)")
	old = strings.ReplaceAll(old, "number of failed transactions: 0 (0.000%)\n", "")
	if r, err := parseRun(old); err != nil || r.TPS != 46000.5 {
		t.Errorf("before version 14: %+v, %v", r, err)
	}
}

func TestRunWithFailuresIsNoFigure(t *testing.T) {
	for want, out := range map[string]string{
		"3 failed transactions": strings.ReplaceAll(printed, "failed transactions: 0", "failed transactions: 3"),
		"no transaction":        strings.ReplaceAll(printed, "processed: 320/320", "processed: 0/320"),
		`"tps =`:                strings.ReplaceAll(printed, "tps =", "speed ="),
		"read pgbench's report": "",
	} {
		if _, err := parseRun(out); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

func TestPgBouncerKnowsPreparedStatementsFrom121(t *testing.T) {
	for text, want := range map[string]pgbouncer{
		"PgBouncer 1.18.0\nlibevent 2.1.12-stable\n": {version: "1.18.0"},
		"PgBouncer 1.20.1":                           {version: "1.20.1"},
		"PgBouncer 1.21.0":                           {version: "1.21.0", prepared: true},
		"PgBouncer 1.25.0\n":                         {version: "1.25.0", prepared: true},
		"PgBouncer 2.0":                              {version: "2.0", prepared: true},
	} {
		if got, err := describePgBouncer("", text); err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	if _, err := describePgBouncer("", "usage: pgbouncer"); err == nil {
		t.Error("no version, and no error")
	}
}

func TestEveryContenderBeginsARoundInTurn(t *testing.T) {
	var first []int
	for round := 1; round <= 3; round++ {
		order := rotated(3, round)
		first = append(first, order[0])
		if slices.Sort(order); !slices.Equal(order, []int{0, 1, 2}) {
			t.Errorf("round %d: %v", round, order)
		}
	}
	if slices.Sort(first); !slices.Equal(first, []int{0, 1, 2}) {
		t.Errorf("the first of three rounds were %v", first)
	}
}

func TestRatioIsTheMedianOfPairs(t *testing.T) {
	ours, theirs := rates(100, 50, 90), rates(100, 100, 45)
	// The medians are 90 and 100; the rounds' ratios are 1, 0.5 and 2.
	if got := paired(ours, theirs, tps); got != (Spread{Median: 1, Min: 0.5, Max: 2}) {
		t.Errorf("%+v", got)
	}
	if got := spread([]float64{4, 1, 3, 2}); got != (Spread{Median: 2.5, Min: 1, Max: 4}) {
		t.Errorf("an even number: %+v", got)
	}
}

func rates(list ...float64) []Sample {
	var samples []Sample
	for _, r := range list {
		samples = append(samples, Sample{TPS: r, LatencyMS: 16000 / r})
	}
	return samples
}

// proxied adds CPU times.
func proxied(samples []Sample, micros ...float64) []Sample {
	for i := range samples {
		samples[i].CPUMicros = micros[i]
	}
	return samples
}

// written adds what the server has used.
func written(samples []Sample, micros ...float64) []Sample {
	for i := range samples {
		samples[i].ServerMicros, samples[i].AppliedTPS = micros[i], samples[i].TPS-100
	}
	return samples
}

// example has a cell that all can serve, one that pgbouncer cannot, and one in which pgring failed in the second round.
func example() *Report {
	contenders := []contender{
		{name: Direct},
		{name: PgBouncer, process: &process{}, lacks: Prepared},
		{name: SpreadPgBouncer, process: &process{}, lacks: Prepared, parts: []string{"part1", "part2"}},
		{name: PgRing, process: &process{}},
	}
	r := &Report{
		Taken:   time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC),
		Machine: Machine{CPU: "Example CPU", Cores: 2, MemoryMB: 8192, System: "Debian GNU/Linux 12 (bookworm)", Kernel: "6.1.0", Load: 0.04},
		Versions: Versions{PgRing: "1.0 0123456789ab", Go: "go1.26.0", PostgreSQL: "15.8", PgBouncer: "1.18.0",
			PgBench: "15.8"},
		Conditions: Conditions{Rounds: 3, Seconds: 2, Rows: 100000, Shards: 2, Pool: 8, Data: "/dev/shm (memory)", Disk: "/var/tmp (ext2/ext3)"},
		Command:    "pgring bench --rounds 3 --write",
		Idle:       []Idle{{PgBouncer, 2000, 1843}, {PgRing, 2000, 10752}},
		Notes:      []string{"pgbouncer 1.18.0 has no prepared statements in transaction mode"},
	}
	direct := series{samples: rates(30000, 32000, 31000)}
	bouncer := series{samples: proxied(rates(20000, 22000, 21000), 18, 19, 18.5)}
	spread := series{samples: proxied(rates(19000, 20000, 19500), 19, 20, 19.5)}
	plain := series{samples: written(proxied(rates(5000, 5200, 5100), 60, 61, 62), 190, 200, 195)}
	batched := series{samples: written(proxied(rates(9000, 8000, 9100), 30, 31, 32), 60, 61, 62)}
	ring := series{samples: proxied(rates(19000, 23000, 20000), 20, 21.25, 20.5)}
	broken := series{samples: ring.samples[:1], fault: errors.New("update/simple/16 through pgring: run pgbench: exit status 2")}
	for cell, found := range map[Cell][]series{
		{Workload: "select", Protocol: Simple, Clients: 16}:   {direct, bouncer, spread, ring},
		{Workload: "select", Protocol: Prepared, Clients: 64}: {direct, {}, {}, ring},
		{Workload: "update", Protocol: Simple, Clients: 16}:   {direct, bouncer, spread, broken},
	} {
		r.Results = append(r.Results, summarize(cell, contenders, found))
	}
	r.Results = append(r.Results, summarize(Cell{Workload: "insert1", Protocol: Prepared, Clients: 64},
		slices.Insert(slices.Clone(contenders), 3, contender{name: Unbatched, process: &process{}}),
		[]series{{samples: written(rates(6000, 6100, 6200), 180, 183, 186)}, {}, {}, plain, batched}))
	slices.SortFunc(r.Results, func(a, b Result) int { return strings.Compare(a.Name(), b.Name()) })
	return r
}

func TestReportForPeople(t *testing.T) {
	var text bytes.Buffer
	if err := example().Write(&text, output.AsTable); err != nil {
		t.Fatal(err)
	}
	golden.Check(t, "report.text", text.String())
	golden.Check(t, "report.markdown", example().Markdown())
}

func TestFailedCellIsNamed(t *testing.T) {
	if err := example().Failed(); err == nil || !strings.Contains(err.Error(), "update/simple/16 through pgring") {
		t.Errorf("error %v", err)
	}
}

func TestReportWithoutPgBouncerComparesWithDirectAlone(t *testing.T) {
	r := example()
	r.Versions.PgBouncer = ""
	r.Notes = []string{errNoPgBouncer.Error()}
	for i := range r.Results {
		r.Results[i].Contenders = slices.Delete(r.Results[i].Contenders, 1, 3)
	}
	text := r.text()
	if strings.Contains(text, "pgbouncer TPS") || strings.Contains(text, "/ pgbouncer") || !strings.Contains(text, "pgring / direct") ||
		!strings.Contains(text, "apt-get install pgbouncer") {
		t.Error(text)
	}
}
