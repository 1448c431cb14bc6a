package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/router"
)

// A read-only transaction makes no tables. There the rows of a pull become constants of the final statement: they are read in the same
// way, kept in memory up to limits.message_size, and written into its text.

// choose finds out whether the rows are to become constants.
func (g *pull) choose() error {
	if g.own {
		return nil
	}
	var err error
	g.style, err = g.final.style()
	g.inline = g.style.readOnly
	return err
}

// takeRows reads the rows of all sources and writes them into the final statement.
func (c *session) takeRows(ctx context.Context, g *pull) error {
	rows, err := c.keepRows(g)
	if err != nil {
		c.abortGather(ctx, g.sources)
		err = firstFailure(g.sources, err)
	}
	if synced := c.endSources(g); err == nil {
		err = synced
	}
	if err != nil {
		return err
	}
	plan := *g.plan
	plan.SQL = plan.Copy.WithRows(rows)
	g.plan = &plan
	return g.check()
}

// keepRows reads the rows.
func (c *session) keepRows(g *pull) (*router.StageResult, error) {
	var rows router.StageResult
	for _, s := range g.sources {
		fields, err := s.description()
		if err == nil && rows.Types == nil {
			rows.Types, err = g.constantTypes(fields)
		}
		for err == nil {
			var frame []byte
			if frame, err = s.Next(); err == nil {
				if err = c.countRow(g, len(frame)); err == nil && g.bytes > int64(c.policy.MessageLimit) {
					err = errStageTooLarge(c.policy.MessageLimit)
				}
				addRow(&rows, pgwire.BodyOf(frame))
			}
		}
		if !errors.Is(err, io.EOF) {
			return nil, err
		}
	}
	return &rows, nil
}

// constantTypes names the types of columns whose values can be written as constants.
func (g *pull) constantTypes(fields []pgwire.Field) ([]string, error) {
	names := make([]string, len(fields))
	for i, f := range fields {
		if err := g.style.fitsText(f.Type); err != nil {
			return nil, err
		}
		names[i] = fmt.Sprintf("pg_catalog.format_type(%d, %d)", f.Type, f.Modifier)
	}
	out, err := g.final.run("SELECT " + strings.Join(names, ", "))
	return out.row, err
}
