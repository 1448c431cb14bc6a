package config

import (
	"fmt"

	"github.com/pgring/pgring/topology/partition"
)

// Partition is tables[].partition.
type Partition struct {
	Column Ident            `yaml:"column" doc:"Required: the column that the table is PARTITION BY RANGE of, of type timestamptz, timestamp or date."`
	Every  partition.Period `yaml:"every" doc:"Required: what one partition takes: 15min, 1h, 1d, 1w, 1mo, 1y or several of these, in UTC. Weeks begin on Monday."`
	Ahead  partition.Period `yaml:"ahead" shown:"three times every" doc:"How far ahead there are partitions."`
	Keep   partition.Period `yaml:"keep" shown:"for ever" doc:"Rows older than that may go."`
	Drop   bool             `yaml:"drop" default:"false" doc:"Drop partitions of which all rows are older than keep, with their rows."`
}

// On tells whether the table has partitions that pgring keeps.
func (p Partition) On() bool { return p.Column != "" }

// AheadOrDefault is how far ahead there are partitions.
func (p Partition) AheadOrDefault() partition.Period {
	if p.Ahead.Zero() {
		return partition.Period{Months: 3 * p.Every.Months, Time: 3 * p.Every.Time}
	}
	return p.Ahead
}

// mostAhead bounds how many partitions are ahead: each is a table that every statement without a bound on the column has to open.
const mostAhead = 1000

// partition reports periods that are of no use, and a wish to drop without a time.
func (c *checker) partition(path string, t Table) {
	p := t.Partition
	if !c.given(path) || !c.sound(path) || !c.sound(path+".column") || !c.sound(path+".every") || !c.sound(path+".ahead") || !c.sound(path+".keep") || !t.Strategy.Sharded() {
		return
	}
	switch n := p.AheadOrDefault().Roughly() / max(p.Every.Roughly(), 1); {
	case p.Column == "":
		c.fault(path, "partition does not say of which column", "write partition: {column: created_at, every: 1d}, or remove it")
	case p.Every.Zero():
		c.fault(path, "partition does not say what one partition takes", "write every: 1d")
	case n > mostAhead:
		c.fault(path+".ahead", fmt.Sprintf("%s ahead would be about %d partitions of %s each", p.AheadOrDefault(), n, p.Every), fmt.Sprintf("make every longer, or ahead shorter: %d partitions at most", mostAhead))
	}
	if p.Drop && p.Keep.Zero() {
		c.fault(path+".drop", fmt.Sprintf("partitions of table %s are to be dropped, and nothing says when", t.Name), "write keep: 90d, or remove drop")
	}
	if !p.Keep.Zero() && !p.Drop {
		c.warn(path+".keep", fmt.Sprintf("keep has no effect on table %s without drop", t.Name), "write drop: true to have old partitions dropped, with their rows; SHOW PARTITIONS lists those that would be")
	}
}
