package admin

import (
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/pgring/pgring/backend"
	"github.com/pgring/pgring/ingest"
	"github.com/pgring/pgring/proxy"
	"github.com/pgring/pgring/rebalance"
	"github.com/pgring/pgring/saga"
	"github.com/pgring/pgring/topology"
	"github.com/pgring/pgring/topology/partition"
)

// metric is one name at /metrics. The table in metric_table.go makes what is collected and what docs/console.md says.
// No label ever holds a key or the text of a query.
type metric struct {
	name   string
	kind   prometheus.ValueType // counter or gauge
	help   string
	labels []string
	read   func(*scrape, emit)
}

// emit hands over one value, with a value for each label.
type emit func(value float64, labels ...string)

// scrape is what all metrics of one answer are read from.
type scrape struct {
	version    string
	server     proxy.Stats
	idempotent []proxy.IdempotentTable
	queues     []ingest.QueueCounts
	lanes      []ingest.LaneStatus
	clients    map[string]int // by state
	pools      []backend.PoolStats
	health     []backend.Health
	status     topology.Status
	snap       *topology.Snapshot // nil before the start
	commit     *saga.Stats        // nil without a coordinator
	moves      rebalance.Stats
	partitions partition.Stats
	now        time.Time
}

// collector reads the packages' counters when Prometheus asks. It implements prometheus.Collector.
type collector struct {
	console *Console
	metrics []metric
	descs   []*prometheus.Desc
}

// openMetrics makes the registry.
func (c *Console) openMetrics() error {
	c.metrics = prometheus.NewRegistry()
	c.took = prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: commandSeconds, Help: commandSecondsHelp,
		Buckets: []float64{0.001, 0.01, 0.1, 1, 10}}, []string{"command"})
	own := &collector{console: c, metrics: metricTable()}
	for _, m := range own.metrics {
		own.descs = append(own.descs, prometheus.NewDesc(m.name, m.help, m.labels, nil))
	}
	for _, each := range []prometheus.Collector{own, c.took, newPauseCollector(c.cfg.Rebalance), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})} {
		if err := c.metrics.Register(each); err != nil {
			return err
		}
	}
	return nil
}

// metricsHandler serves /metrics.
func (c *Console) metricsHandler() http.Handler {
	return promhttp.HandlerFor(c.metrics, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 10 * time.Second})
}

func (k *collector) Describe(out chan<- *prometheus.Desc) {
	for _, desc := range k.descs {
		out <- desc
	}
}

func (k *collector) Collect(out chan<- prometheus.Metric) {
	s := k.console.scrape()
	for i, m := range k.metrics {
		m.read(s, func(value float64, labels ...string) {
			one, err := prometheus.NewConstMetric(k.descs[i], m.kind, value, labels...)
			if err != nil { // a name that is not UTF-8: the scrape fails and says so
				one = prometheus.NewInvalidMetric(k.descs[i], err)
			}
			out <- one
		})
	}
}

// scrape reads everything once.
func (c *Console) scrape() *scrape {
	s := &scrape{version: c.cfg.Version, server: c.cfg.Server.Stats(), idempotent: c.cfg.Server.IdempotentTables(), clients: map[string]int{"active": 0, "idle": 0, "idle in transaction": 0},
		pools: c.cfg.Pools.Stats(), health: c.cfg.Pools.Health(), status: c.cfg.Topology.Status(), snap: c.cfg.Topology.Current(), moves: c.cfg.Rebalance.Stats(), partitions: c.partitionStats(), now: time.Now()}
	if c.cfg.Queues != nil {
		s.queues, s.lanes = c.cfg.Queues.Counts(), c.cfg.Queues.Lanes()
	}
	for _, client := range c.cfg.Server.Clients() {
		s.clients[client.State]++
	}
	if c.cfg.Commit != nil {
		stats := c.cfg.Commit.Stats()
		s.commit = &stats
	}
	return s
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// goVersion is a label of pgring_build_info.
func goVersion() string { return runtime.Version() }
