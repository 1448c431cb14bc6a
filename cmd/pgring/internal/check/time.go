package check

import (
	"fmt"
	"strings"

	"github.com/pgring/pgring/cmd/pgring/internal/config"
	"github.com/pgring/pgring/topology/partition"
)

// kept is how a table is partitioned, and which of its relations the triggers of append-only tables do not keep as they are.
type kept struct {
	strategy, column, typ string // pg_partitioned_table.partstrat; the column, if the key is one; its type
	unguarded             []string
}

// partitioned checks that a table can have the partitions that it is to have.
func (r *reporter) partitioned(t config.Table, c copyOf) {
	if !t.Partition.On() {
		return
	}
	rule := partition.Rule{Column: string(t.Partition.Column), Every: t.Partition.Every}
	if _, found := c.column(rule.Column); !found {
		r.errorf(c.shard, "its columns are "+c.order(), fmt.Sprintf("table %s has no column %s, of which it is to have partitions", t.Name, rule.Column))
		return
	}
	if problem := rule.Unfit(c.kind, c.strategy, c.kept.column, c.typ); problem != "" {
		hint := ""
		if c.kind == "r" {
			hint = "a table cannot be made partitioned: make another one, with the column in its primary key, and move the rows there"
		}
		r.errorf(c.shard, hint, fmt.Sprintf("table %s: %s", t.Name, problem))
	}
}

// ledger checks that the triggers of an append-only table are there.
func (r *reporter) ledger(t config.Table, c copyOf) {
	if t.AppendOnly && len(c.unguarded) > 0 {
		r.warn(c.shard, "pgring makes them when it runs; its log says why it cannot", fmt.Sprintf("table %s is append-only, and its rows can be changed past pgring: triggers are missing on %s", t.Name, strings.Join(c.unguarded, ", ")))
	}
}
