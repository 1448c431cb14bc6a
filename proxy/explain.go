package proxy

import (
	"context"
	"errors"
	"io"

	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/proxy/internal/merge"
	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/router"
)

// explain answers EXPLAIN of a statement over several shards: the lines of its plan, and below them each shard's own.
func (c *session) explain(ctx context.Context, g *gathering) error {
	var lines []string
	for _, line := range g.plan.Explained {
		if line.Shard == "" {
			lines = append(lines, line.Line)
			continue
		}
		answer, err := c.askPlan(ctx, g, line)
		if err != nil {
			return err
		}
		if line.Check {
			continue
		}
		for i, text := range answer {
			arrow := "            "
			if i == 0 {
				arrow = "        ->  " // it is what the shard does: PostgreSQL writes what is below something so
			}
			lines = append(lines, arrow+router.ShortSlots(text))
		}
	}
	b := c.out[:0]
	if g.describe {
		b = pgwire.AppendRowDescription(b, planFields())
	}
	for _, line := range lines {
		b = pgwire.AppendDataRow(b, [][]byte{[]byte(line)})
	}
	c.out = pgwire.AppendText(b, pgwire.CommandComplete, "EXPLAIN")
	return c.write(c.out)
}

// planFields describes what EXPLAIN returns.
func planFields() []pgwire.Field { return TextFields("QUERY PLAN") }

// askPlan returns the lines with which a shard explains what it is sent.
func (c *session) askPlan(ctx context.Context, g *gathering, line router.Explained) ([]string, error) {
	one := &gathering{stmt: g.stmt, plan: &router.Plan{Kind: router.Gather, Shards: []ring.ShardID{line.Shard}}, text: line.SQL,
		bind: textResults(g.bind), oids: g.oids}
	sources, err := c.startGather(ctx, one)
	if err != nil {
		return nil, err
	}
	lines, err := textLines(sources[0])
	if stop := c.stopGather(ctx, sources, err); stop != nil {
		return nil, stop
	}
	if err != nil {
		return nil, c.failGather(one, sources, err)
	}
	return lines, nil
}

// textLines reads rows of one column.
func textLines(rows merge.Source) ([]string, error) {
	var lines []string
	for {
		frame, err := rows.Next()
		if errors.Is(err, io.EOF) {
			return lines, nil
		}
		if err != nil {
			return nil, err
		}
		lines = append(lines, textRow(pgwire.BodyOf(frame))...)
	}
}
