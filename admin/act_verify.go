package admin

import (
	"context"
	"fmt"
	"time"

	"github.com/pgring/pgring/proxy"
)

// rebalanceVerifyLimit bounds REBALANCE VERIFY, which reads every row of every shard.
const rebalanceVerifyLimit = time.Hour

// verifyCommands compare the shards with the map.
func verifyCommands() []command {
	return []command{
		{name: "REBALANCE VERIFY", role: proxy.RoleAdmin, columns: findingColumns(), run: (*Console).rebalanceVerify,
			does: "Looks on all shards for rows that are not where the map says, reference tables that are not the same everywhere, and what moves have left behind. Reads every row, changes nothing, and may be used while slots move."},
	}
}

func findingColumns() []column {
	return []column{
		{"problem", text, "stray: rows of keys that another shard owns, or of no key; doubled: rows of such keys on their owner; differs: a reference table is not as on the home shard; leftover: made by a move that is over."},
		{"table", text, "The table; NULL for leftovers."},
		{"shard", text, "Where it was found."},
		{"rows", integer, "How many rows that are."},
		{"detail", text, "More about it."},
	}
}

// rebalanceVerify answers REBALANCE VERIFY.
func (c *Console) rebalanceVerify(ctx context.Context, in *input) (*outcome, error) {
	if err := in.arguments.end(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, rebalanceVerifyLimit)
	defer cancel()
	found, err := c.cfg.Rebalance.Verify(ctx)
	if err != nil {
		return nil, topologyError(err)
	}
	var rows []row
	for _, f := range found.Findings {
		rows = append(rows, row{f.Problem, orNull(f.Table), string(f.Shard), f.Rows, f.Detail})
	}
	return &outcome{rows: rows, notices: notice(fmt.Sprintf("looked at %d tables on %d shards: %d rows of sharded tables are in their place", found.Tables, found.Shards, found.Rows), "")}, nil
}
