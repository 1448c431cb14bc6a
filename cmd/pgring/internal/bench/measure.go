package bench

import (
	"context"
	"fmt"
	"time"
)

const (
	grace = time.Minute // beyond the time that a run was given

	// otherKeys is what a seed is raised by to draw keys that the other seeds do not.
	otherKeys = 1_000_000
)

// Sample is what one run of pgbench showed.
type Sample struct {
	TPS       float64 `json:"tps"`        // transactions per second, without the time to connect
	LatencyMS float64 `json:"latency_ms"` // average of a transaction
	// CPUMicros is the proxy's user and system time per transaction, in µs, without what connecting costs it; 0 without a proxy.
	CPUMicros float64 `json:"cpu_us,omitempty"`
	// ServerMicros is the same of all the server's processes, until all rows are in the table; 0 where no table is filled.
	ServerMicros float64 `json:"server_cpu_us,omitempty"`
	// AppliedTPS is TPS with the time counted until all rows are in the table; likewise.
	AppliedTPS float64 `json:"applied_tps,omitempty"`
}

// trial is one run of a cell on a contender.
type trial struct {
	cell   Cell
	c      contender
	seed   int
	length length
}

// runResult is a sample and what is needed to work it out.
type runResult struct {
	Sample
	transactions int
}

// runner does a trial.
type runner func(ctx context.Context, t trial) (runResult, error)

func (l *lab) runnerOf(cell Cell) runner {
	if cell.Workload == copies {
		return l.copyRun
	}
	return l.pgbenchRun
}

// length is when a measured run ends.
func (o Options) length() length { return length{transactions: o.Transactions, seconds: o.Seconds} }

// measure runs a cell on a contender. All contenders of a round get the same seed, so the same keys.
func (l *lab) measure(ctx context.Context, t trial) (Sample, error) {
	return l.measureBy(ctx, l.runnerOf(t.cell), t)
}

// measureBy takes off what a run of one transaction per client costs just before: clients that connect, and their caches. A table that is
// filled is empty before, and has one row for each transaction afterwards.
func (l *lab) measureBy(ctx context.Context, run runner, t trial) (s Sample, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(t.length.seconds)*time.Second+grace)
	defer cancel()
	table := t.c.prefix + workloadOf(t.cell).table
	if l.durable {
		if err := simply(ctx, t.c.dsn(), "TRUNCATE "+table); err != nil {
			return s, fmt.Errorf("empty table %s: %w", table, err)
		}
	}
	first := t
	first.seed, first.length = t.seed+otherKeys, length{transactions: 1}
	begun, err := l.timed(ctx, run, first)
	if err != nil {
		return s, err
	}
	whole, err := l.timed(ctx, run, t)
	if err != nil {
		return s, err
	}
	s = whole.Sample
	more := max(1, whole.transactions-begun.transactions)
	s.CPUMicros = micros(whole.proxy-begun.proxy, more)
	if !l.durable {
		return s, nil
	}
	s.ServerMicros = micros(whole.server-begun.server, more)
	s.AppliedTPS = float64(whole.transactions) / (float64(whole.transactions)/s.TPS + whole.flushed.Seconds())
	return s, wantRows(ctx, t.c, table, begun.transactions+whole.transactions)
}

// micros is the time for each, in µs.
func micros(all time.Duration, n int) float64 { return float64(all.Nanoseconds()) / 1000 / float64(n) }

// taken is what a run took.
type taken struct {
	runResult
	proxy   time.Duration // its CPU
	server  time.Duration // CPU of all the server's processes until the rows were in its table; 0 where none is filled
	flushed time.Duration // from the last answer until then
}

// timed does a trial and waits until its rows are in the table, if it fills one.
func (l *lab) timed(ctx context.Context, run runner, t trial) (r taken, err error) {
	proxy, server, err := l.used(t.c)
	if err != nil {
		return r, err
	}
	if r.runResult, err = run(ctx, t); err != nil {
		return r, err
	}
	began := time.Now()
	if w := workloadOf(t.cell); w.queued && t.c.name == PgRing {
		if err := simply(ctx, t.c.dsn(), fmt.Sprintf("SELECT pgring.flush('%s')", w.table)); err != nil {
			return r, fmt.Errorf("wait until table %s has all rows: %w", w.table, err)
		}
	}
	r.flushed = time.Since(began)
	r.proxy, r.server, err = l.used(t.c)
	r.proxy, r.server = r.proxy-proxy, r.server-server
	return r, err
}

// used is the CPU that a contender's proxy has used so far, and the server whose tables are filled.
func (l *lab) used(c contender) (proxy, server time.Duration, err error) {
	if proxy, err = c.cpu(); err != nil || !l.durable {
		return proxy, 0, err
	}
	server, err = familyTime(l.servers[0].PID())
	return proxy, server, err
}
