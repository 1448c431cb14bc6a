package admin

import (
	"context"
	"time"

	"github.com/pgring/pgring/topology"
	"github.com/pgring/pgring/topology/partition"
)

func partitionColumns() []column {
	return []column{
		{"table", text, "Schema and table."},
		{"shard", text, "Where it is."},
		{"partition", text, "Schema and name; NULL when the shard has none, or could not be asked."},
		{"from", text, "Rows from this moment on belong to it, in UTC; NULL: there is no lower bound."},
		{"to", text, "Rows from this moment on do not; NULL: there is no upper bound."},
		{"state", text, "current, ahead, past; expired: all its rows are older than keep; detaching, detached: it is on its way to be dropped; default: it takes what no other one does."},
		{"rows_est", integer, "Rows, as the last ANALYZE estimated them."},
		{"size_bytes", integer, "Disk that it takes up, with its indexes; NULL: not known, as while somebody has locked it."},
		{"problem", text, "What is wrong with the partitions of the table on that shard."},
	}
}

// showPartitions answers SHOW PARTITIONS.
func (c *Console) showPartitions(ctx context.Context, _ *input) (*outcome, error) {
	if c.cfg.Partitions == nil {
		return rowsOf(nil)
	}
	ctx, cancel := context.WithTimeout(ctx, showTimeout)
	defer cancel()
	var rows []row
	for _, p := range c.cfg.Partitions.Look(ctx) {
		var name, estimate, size any
		if p.Name.Table != "" {
			name = p.Name.String()
		}
		if p.Bytes >= 0 {
			size = p.Bytes
		}
		if p.Rows >= 0 {
			estimate = p.Rows
		}
		rows = append(rows, row{p.Table.String(), string(p.Shard), name, boundOf(p.From), boundOf(p.To), orNull(string(p.State)), estimate, size, orNull(p.Problem)})
	}
	return rowsOf(rows)
}

func boundOf(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format("2006-01-02 15:04:05.999999")
}

// partitionMetrics tell whether there are partitions for what comes.
func partitionMetrics() []metric {
	return []metric{
		{"pgring_partitions_covered_seconds", gauge, "How far ahead every moment has a partition, on the shard where that is least far; 0 when rows of now have none on some shard. Alarm well before 0.", []string{"table"}, func(s *scrape, out emit) {
			least := map[topology.Name]time.Duration{}
			for _, t := range s.partitions.Tables {
				if before, seen := least[t.Table]; t.Known && (!seen || t.Covered < before) {
					least[t.Table] = t.Covered
				}
			}
			for table, covered := range least {
				out(covered.Seconds(), table.String())
			}
		}},
		{"pgring_partitions_problem", gauge, "1 if something is wrong with the partitions of the table on the shard: SHOW PARTITIONS says what.", []string{"table", "shard"}, func(s *scrape, out emit) {
			for _, t := range s.partitions.Tables {
				out(truth(t.Problem != ""), t.Table.String(), string(t.Shard))
			}
		}},
		total("pgring_partitions_made_total", "Partitions that this proxy has made.", func(s *scrape) float64 { return float64(s.partitions.Created) }),
		total("pgring_partitions_dropped_total", "Partitions that this proxy has dropped.", func(s *scrape) float64 { return float64(s.partitions.Dropped) }),
	}
}

// partitionStats reads the counters of the keeper, if there is one.
func (c *Console) partitionStats() partition.Stats {
	if c.cfg.Partitions == nil {
		return partition.Stats{}
	}
	return c.cfg.Partitions.Stats()
}
