package admin

import (
	"context"
	"sync"
	"time"
)

const (
	sampleEvery = 10 * time.Second
	statsPeriod = time.Minute // what averages are over, as pgbouncer's stats_period
)

// sample is the totals of SHOW STATS at one moment. What it counts in time is in microseconds.
type sample struct {
	at                      time.Time
	transactions, queries   int64
	received, sent          int64
	queryMicros, waitMicros int64
}

// averages remembers the samples of the last minute.
type averages struct {
	mu      sync.Mutex
	samples []sample // oldest first
}

// add remembers a sample and forgets what is not needed to look back one period.
func (a *averages) add(s sample) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.samples = append(a.samples, s)
	for len(a.samples) > 1 && s.at.Sub(a.samples[1].at) >= statsPeriod {
		a.samples = a.samples[1:]
	}
}

// before returns the sample to compare the present with; false: there is none yet.
func (a *averages) before() (sample, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.samples) == 0 {
		return sample{}, false
	}
	return a.samples[0], true
}

// sample reads the totals.
func (c *Console) sample(now time.Time) sample {
	t := c.cfg.Server.Stats()
	s := sample{at: now, transactions: t.Transactions, queries: t.Queries, received: t.Received, sent: t.Sent, queryMicros: t.QueryTime.Microseconds()}
	for _, p := range c.cfg.Pools.Stats() {
		s.waitMicros += p.WaitTime.Microseconds()
	}
	return s
}

// rates are what happened on average between two samples.
type rates struct {
	transactions, queries, received, sent, waitMicros int64 // each second
	queryMicros                                       int64 // each query
}

func (s sample) since(before sample) rates {
	seconds := s.at.Sub(before.at).Seconds()
	if seconds <= 0 {
		return rates{}
	}
	each := func(now, then int64) int64 { return int64(float64(now-then) / seconds) }
	r := rates{transactions: each(s.transactions, before.transactions), queries: each(s.queries, before.queries), received: each(s.received, before.received),
		sent: each(s.sent, before.sent), waitMicros: each(s.waitMicros, before.waitMicros)}
	if n := s.queries - before.queries; n > 0 {
		r.queryMicros = (s.queryMicros - before.queryMicros) / n
	}
	return r
}

// measure returns the totals of now and the averages up to now.
func (c *Console) measure() (sample, rates) {
	now := c.sample(time.Now())
	before, ok := c.averages.before()
	if !ok {
		before = sample{at: c.started}
	}
	return now, now.since(before)
}

// What is not measured is NULL: the time in transactions is not told apart from the time of their statements.
func totalsRow(s sample) row {
	return row{s.transactions, s.queries, s.received, s.sent, nil, s.queryMicros, s.waitMicros}
}

func averagesRow(r rates) row {
	return row{r.transactions, r.queries, r.received, r.sent, nil, r.queryMicros, r.waitMicros}
}

func statsColumns() []column {
	columns := []column{{"database", text, "The clients' database: there is one row."}}
	for _, c := range counted() {
		columns = append(columns, column{"total_" + c.total, integer, c.meansTotal})
	}
	for _, c := range counted() {
		columns = append(columns, column{"avg_" + c.average, integer, c.meansAverage})
	}
	return columns
}

func totalColumns() []column {
	columns := []column{{"database", text, "The clients' database: there is one row."}}
	for _, c := range counted() {
		columns = append(columns, column{c.plain, integer, c.meansTotal})
	}
	return columns
}

func averageColumns() []column {
	columns := []column{{"database", text, "The clients' database: there is one row."}}
	for _, c := range counted() {
		columns = append(columns, column{c.plain, integer, c.meansAverage})
	}
	return columns
}

// counter is one figure of SHOW STATS under pgbouncer's names: in total_…, avg_… and in the two views of one kind.
type counter struct {
	total, average, plain    string
	meansTotal, meansAverage string
}

func counted() []counter {
	return []counter{
		{"xact_count", "xact_count", "xact_count", "Transactions.", "Transactions per second."},
		{"query_count", "query_count", "query_count", "Statements sent to shards.", "Statements per second."},
		{"received", "recv", "bytes_received", "Bytes from clients.", "Bytes from clients per second."},
		{"sent", "sent", "bytes_sent", "Bytes to clients.", "Bytes to clients per second."},
		{"xact_time", "xact_time", "xact_time", "NULL: not measured.", "NULL: not measured."},
		{"query_time", "query_time", "query_time", "Microseconds that clients waited for answers.", "Microseconds of one statement."},
		{"wait_time", "wait_time", "wait_time", "Microseconds that clients waited for a connection to a shard.", "The same per second."},
	}
}

// showStats answers SHOW STATS.
func (c *Console) showStats(context.Context, *input) (*outcome, error) {
	now, rates := c.measure()
	r := append(row{c.cfg.Database}, totalsRow(now)...)
	return rowsOf([]row{append(r, averagesRow(rates)...)})
}

// showTotals answers SHOW STATS_TOTALS.
func (c *Console) showTotals(context.Context, *input) (*outcome, error) {
	now, _ := c.measure()
	return rowsOf([]row{append(row{c.cfg.Database}, totalsRow(now)...)})
}

// showAverages answers SHOW STATS_AVERAGES.
func (c *Console) showAverages(context.Context, *input) (*outcome, error) {
	_, rates := c.measure()
	return rowsOf([]row{append(row{c.cfg.Database}, averagesRow(rates)...)})
}
