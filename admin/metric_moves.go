package admin

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgring/pgring/rebalance"
	"github.com/pgring/pgring/topology"
)

// The histogram of pauses, which is read from the controller.
const (
	pauseSeconds     = "pgring_move_pause_seconds"
	pauseSecondsHelp = "How long writes to moving slots were held back by cut-overs, of moves that this process drove."
)

// pauseCollector reads the histogram when Prometheus asks. It implements prometheus.Collector.
type pauseCollector struct {
	moves *rebalance.Controller
	desc  *prometheus.Desc
}

func newPauseCollector(moves *rebalance.Controller) *pauseCollector {
	return &pauseCollector{moves, prometheus.NewDesc(pauseSeconds, pauseSecondsHelp, nil, nil)}
}

// Describe implements prometheus.Collector.
func (p *pauseCollector) Describe(out chan<- *prometheus.Desc) { out <- p.desc }

// Collect implements prometheus.Collector.
func (p *pauseCollector) Collect(out chan<- prometheus.Metric) {
	all := p.moves.Stats().Pauses
	out <- prometheus.MustNewConstHistogram(p.desc, all.Count, all.Seconds, all.Buckets)
}

// moveMetrics are about moves of slots. Totals count what this process has done while it drove the moves.
func moveMetrics() []metric {
	return []metric{
		{"pgring_moves", gauge, "Moves of slots that are not finished, by state.", []string{"state"}, func(s *scrape, out emit) {
			count := map[topology.MoveState]int{}
			if s.snap != nil {
				for _, m := range s.snap.Moves {
					count[m.State]++
				}
			}
			for state := topology.MovePlanned; state <= topology.MoveCancelled; state++ {
				if !state.Finished() {
					out(float64(count[state]), state.String())
				}
			}
		}},
		level("pgring_moves_stopped", "Moves that cannot go on by themselves: SHOW REBALANCE says why.", func(s *scrape) float64 { return countMoves(s, func(m *topology.Move) bool { return m.Problem != "" }) }),
		level("pgring_moves_paused", "Moves that an operator has paused.", func(s *scrape) float64 { return countMoves(s, func(m *topology.Move) bool { return m.Paused }) }),
		level("pgring_move_leader", "1 while this process drives the moves.", func(s *scrape) float64 { return float64(s.moves.Leading) }),
		level("pgring_move_lag_bytes", "Log of the source that the target had still to be brought, when last looked.", func(s *scrape) float64 { return float64(s.moves.Lag) }),
		total("pgring_move_rows_copied_total", "Rows copied to other shards.", func(s *scrape) float64 { return float64(s.moves.RowsCopied) }),
		total("pgring_move_bytes_copied_total", "Their size as text.", func(s *scrape) float64 { return float64(s.moves.BytesCopied) }),
		total("pgring_move_cutovers_total", "Cut-overs that were done.", func(s *scrape) float64 { return float64(s.moves.CutOvers) }),
		total("pgring_move_cutovers_put_off_total", "Cut-overs that were given up, to be tried again, because clients would have had to wait too long.", func(s *scrape) float64 { return float64(s.moves.GivenUp) }),
		total("pgring_move_errors_total", "Steps of moves that failed and are tried again.", func(s *scrape) float64 { return float64(s.moves.Interrupted) }),
		total("pgring_move_stops_total", "Times that a move stopped by itself, waiting for somebody.", func(s *scrape) float64 { return float64(s.moves.Stopped) }),
	}
}

func countMoves(s *scrape, is func(*topology.Move) bool) float64 {
	n := 0
	if s.snap != nil {
		for _, m := range s.snap.Moves {
			if is(m) {
				n++
			}
		}
	}
	return float64(n)
}
