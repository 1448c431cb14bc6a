package admin

import (
	"context"

	"github.com/pgring/pgring/pgwire"
)

// route answers ROUTE and EXPLAIN ROUTE. The proxy explains the statement, as it does for clients.
func (c *Console) route(ctx context.Context, in *input) (*outcome, error) {
	if skipBlank(in.statement) == "" || skipBlank(in.statement) == ";" {
		return nil, expected("a statement", token{})
	}
	if _, err := c.snapshot(); err != nil {
		return nil, err
	}
	steps, err := c.cfg.Server.Explain(ctx, in.statement)
	if err != nil {
		return nil, err
	}
	rows := make([]row, len(steps))
	for i, step := range steps {
		if len(step) != len(in.columns) {
			return nil, &pgwire.Error{Code: "XX000", Message: "a step of the explanation has other columns than ROUTE", Hint: "Please report this."}
		}
		for _, value := range step {
			rows[i] = append(rows[i], orNull(string(value)))
		}
	}
	return rowsOf(rows)
}
