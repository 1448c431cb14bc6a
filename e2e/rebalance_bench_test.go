package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	cutOverKeys    = 2000
	cutOverClients = 8
	cutOverPace    = 2 * time.Millisecond // of one client between two writes: the servers are busy, not overrun
)

// timed is one write.
type timed struct {
	began  time.Time
	took   time.Duration
	moving bool // its row goes to the new shard
}

// BenchmarkWriteLatencyAtCutOvers tells how long single-row writes take while slots go to a new shard and back again: those of
// moving and of other slots, and of both only those that overlap with a cut-over; and what each cut-over spent its time on.
//
//	go test -run '^$' -bench WriteLatencyAtCutOvers -benchtime 3x ./e2e
func BenchmarkWriteLatencyAtCutOvers(b *testing.B) {
	c := start(b, layout{spare: 1, keep: "1h"})
	console := c.console(b)
	execute(b, c.connect(b), "INSERT INTO customers SELECT g, 'somebody' FROM generate_series(1, $1::int) g", cutOverKeys)
	moving := map[int64]bool{}
	for _, id := range c.keysOn(b, 3, 1, cutOverKeys) {
		moving[id] = true
	}
	ctx, stop := context.WithCancel(b.Context())
	pool := c.poolOf(b, cutOverClients)
	writes := make([][]timed, cutOverClients)
	var group sync.WaitGroup
	for i := range writes {
		// owner: the benchmark, which waits; ends when ctx does.
		group.Go(func() { writes[i] = writeSteadily(ctx, b, pool, moving) })
	}
	c.addSpare(b, console)
	for b.Loop() {
		execute(b, console, "REBALANCE START")
		awaitMoves(b, c.pgring, "the moves are over", moveIs("reversible", "done"))
		execute(b, console, "REBALANCE REVERT")
		awaitMoves(b, c.pgring, "the slots are back", moveIs("done"))
	}
	stop()
	group.Wait()
	windows, lines := c.cutOvers(b)
	for _, kind := range []string{"moving", "other"} {
		var all, during []time.Duration
		for _, w := range slices.Concat(writes...) {
			if w.moving != (kind == "moving") {
				continue
			}
			all = append(all, w.took)
			if slices.ContainsFunc(windows, func(x [2]time.Time) bool { return w.began.Before(x[1]) && w.began.Add(w.took).After(x[0]) }) {
				during = append(during, w.took)
			}
		}
		b.Logf("%s slots: %s; at cut-overs: %s", kind, spread(all), spread(during))
	}
	b.Log(strings.Join(lines, "\n")) // last: what a benchmark logs is cut after some lines
	b.ReportMetric(float64(len(windows))/float64(b.N), "cutovers/op")
}

// writeSteadily writes rows until ctx ends.
func writeSteadily(ctx context.Context, b *testing.B, pool *pgxpool.Pool, moving map[int64]bool) (all []timed) {
	b.Helper()
	pace := time.NewTicker(cutOverPace)
	defer pace.Stop()
	lasting := context.WithoutCancel(ctx)
	for {
		select {
		case <-ctx.Done():
			return all
		case <-pace.C:
		}
		id := rand.Int64N(cutOverKeys) + 1
		began := time.Now()
		if _, err := pool.Exec(lasting, "UPDATE customers SET balance = balance + 1 WHERE id = $1", id); err != nil {
			b.Errorf("customer %d: %v", id, err)
		}
		all = append(all, timed{began, time.Since(began), moving[id]})
	}
}

var cutOverLine = regexp.MustCompile(`\{"time":"([^"]+)"[^\n]*"slots cut over"[^\n]*"pause":(\d+)[^\n]*`)

// cutOvers gives when writes were held back, as the proxy's log tells, and its lines.
func (c *cluster) cutOvers(b *testing.B) (windows [][2]time.Time, lines []string) {
	b.Helper()
	for _, found := range cutOverLine.FindAllStringSubmatch(c.log.String(), -1) {
		at, err := time.Parse(time.RFC3339Nano, found[1])
		must(b, err)
		pause, err := time.ParseDuration(found[2] + "ns")
		must(b, err)
		windows = append(windows, [2]time.Time{at.Add(-pause), at})
		lines = append(lines, found[0])
	}
	return windows, lines
}

// spread tells how long some writes took.
func spread(took []time.Duration) string {
	if len(took) == 0 {
		return "no writes"
	}
	slices.Sort(took)
	at := func(q float64) time.Duration { return took[int(q*float64(len(took)-1))].Round(10 * time.Microsecond) }
	return fmt.Sprintf("%d writes, p50 %s, p99 %s, max %s", len(took), at(0.5), at(0.99), at(1))
}
