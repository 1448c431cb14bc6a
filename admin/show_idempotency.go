package admin

import "context"

func idempotencyColumns() []column {
	return []column{
		{"table", text, "Schema and table."},
		{"column", text, "The column that names a write."},
		{"keep_s", integer, "How long a write is known at least, in seconds."},
		{"done", integer, "Writes done through this proxy since its start; those of transactions that were rolled back are among them."},
		{"repeated", integer, "Repeats that were answered by what was recorded of the first."},
		{"refused", integer, "Writes refused with PR101, because their key was used for another one."},
	}
}

// showIdempotency answers SHOW IDEMPOTENCY.
func (c *Console) showIdempotency(_ context.Context, _ *input) (*outcome, error) {
	var rows []row
	for _, t := range c.cfg.Server.IdempotentTables() {
		rows = append(rows, row{t.Table.String(), t.Rule.Column, int64(t.Rule.Keep.Seconds()), t.Done, t.Repeated, t.Differing})
	}
	return rowsOf(rows)
}
