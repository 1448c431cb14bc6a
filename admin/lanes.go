package admin

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/pgring/pgring/ingest"
	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/proxy"
	"github.com/pgring/pgring/topology"
)

// laneCommands look at asynchronous writes.
func laneCommands() []command {
	return []command{
		{name: "SHOW LANES", alias: "SHOW ASYNC", does: "Lists the tables with asynchronous writes, and how far each shard is with them. SHOW ASYNC is the same.", role: proxy.RoleStats,
			columns: laneColumns(), run: (*Console).showLanes},
		{name: "SHOW DEAD LETTERS", does: "Lists asynchronous writes that were acknowledged and that their shard has refused, the oldest first, at most 1000 of each shard.", role: proxy.RoleStats,
			columns: letterColumns(), run: (*Console).showLetters},
		{name: "RETRY DEAD LETTER", syntax: "id", role: proxy.RoleAdmin, run: (*Console).retryLetter,
			does: "Has the shard try a dead letter again. It is one no more when the shard takes it."},
		{name: "RETRY DEAD LETTERS", syntax: "table", role: proxy.RoleAdmin, run: (*Console).retryLetters,
			does: "Has the shards try all dead letters of a table again."},
		{name: "SKIP RECORD", syntax: "number OF table CONFIRM", role: proxy.RoleAdmin, run: (*Console).skipRecord,
			does: "Makes a dead letter of the record that a lane waits for, because its statement fails over and over with an error that may be over later (SHOW LANES: stuck_record). The lane goes on behind it."},
		{name: "DROP DEAD LETTER", syntax: "id CONFIRM", role: proxy.RoleAdmin, run: (*Console).dropLetter,
			does: "Forgets a dead letter: the write is never done."},
	}
}

func laneColumns() []column {
	return []column{
		{"table", text, "Schema and table."},
		{"shard", text, "NULL while the table has no lanes: its log cannot be used, or the table is not there."},
		{"accepted", integer, "Number of the last record in the table's log; all lanes share it."},
		{"applied", integer, "The lane has done its records up to this number: they are applied, or dead letters."},
		{"lag_ms", float, "Age of the oldest record that is not done."},
		{"log_bytes", integer, "Disk that the table's log takes up; 0 if it is in Kafka."},
		{"accepts", text, "yes: new writes are queued. no: they are refused, or the table has no asynchronous writes any more."},
		{"waits_for", text, "Why the lane does not get on."},
		{"queued_total", integer, "Writes of the table acknowledged since the start of this proxy."},
		{"applied_total", integer, "Records applied, of all lanes of the table."},
		{"dead_total", integer, "Records that became dead letters."},
		{"repeated_total", integer, "Records that were found to be applied already, after a crash or a lost connection."},
		{"log", text, "wal: the log is on this proxy's disk. kafka: it is a topic that all proxies read."},
		{"applies", text, "yes: this proxy applies the lane's records. no: another proxy does, or nobody at the moment."},
		{"stuck_record", integer, "The record that the lane waits for: its statement fails with an error that may be over later. SKIP RECORD makes a dead letter of it."},
	}
}

func letterColumns() []column {
	return []column{
		{"id", text, "As RETRY DEAD LETTER wants it."},
		{"table", text, "Schema and table."},
		{"shard_key", text, "The value of the row's shard key."},
		{"shard", text, "Where it is."},
		{"user", text, "Who has sent it."},
		{"sqlstate", text, "Why the shard has refused it, at the last try."},
		{"message", text, "Likewise."},
		{"detail", text, "Likewise."},
		{"attempts", integer, "How often it was tried."},
		{"queued", text, "When it was acknowledged."},
		{"failed", text, "When it was refused, at the last try."},
		{"statement", text, "The INSERT; values of parameters are not shown."},
	}
}

// showLanes answers SHOW LANES.
func (c *Console) showLanes(context.Context, *input) (*outcome, error) {
	if c.cfg.Queues == nil {
		return rowsOf(nil)
	}
	counts := map[topology.Name]ingest.QueueCounts{}
	for _, n := range c.cfg.Queues.Counts() {
		counts[n.Table] = n
	}
	var rows []row
	for _, l := range c.cfg.Queues.Lanes() {
		n := counts[l.Table]
		waits := any(nil)
		if l.Problem != "" {
			waits = oneLine(errors.New(l.Problem))
		}
		kind := "wal"
		if l.Shared {
			kind = "kafka"
		}
		stuck := any(nil)
		if l.Stuck > 0 {
			stuck = number(l.Stuck)
		}
		rows = append(rows, row{l.Table.String(), orNull(string(l.Shard)), number(l.Accepted), number(l.Applied), millis(l.Lag), number(l.LogSize), yes(l.Open),
			waits, n.Accepted, n.Applied, n.Buried, n.Repeated, kind, yes(l.Applies), stuck})
	}
	return rowsOf(rows)
}

// letterTimeout bounds what is done with dead letters: every shard is asked.
const letterTimeout = 20 * time.Second

// showLetters answers SHOW DEAD LETTERS.
func (c *Console) showLetters(ctx context.Context, _ *input) (*outcome, error) {
	if c.cfg.Queues == nil {
		return rowsOf(nil)
	}
	ctx, cancel := context.WithTimeout(ctx, letterTimeout)
	defer cancel()
	letters, err := c.cfg.Queues.Letters(ctx)
	var rows []row
	for _, l := range letters {
		rows = append(rows, row{l.ID, l.Table, l.ShardKey, string(l.Shard), l.User, l.Code, l.Message, orNull(l.Detail), l.Attempts, moment(l.QueuedAt), moment(l.FailedAt), l.SQL})
	}
	out := &outcome{rows: rows}
	if err != nil {
		c.cfg.Logger.Warn("look for dead letters", "error", err)
		out.notices = append(out.notices, &pgwire.Error{Severity: "WARNING", Code: "01000", Message: "not every shard could be asked", Hint: "The log has the reason."})
	}
	return out, nil
}

// retryLetter answers RETRY DEAD LETTER.
func (c *Console) retryLetter(ctx context.Context, in *input) (*outcome, error) {
	id, err := c.letterArgument(in)
	if err != nil {
		return nil, err
	}
	if err := in.arguments.end(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, letterTimeout)
	defer cancel()
	if err := c.cfg.Queues.RetryLetter(ctx, id); err != nil {
		return nil, letterError(id, err)
	}
	return &outcome{notices: notice(fmt.Sprintf("dead letter %s is queued again", id), "SHOW DEAD LETTERS lists it again if the shard refuses it.")}, nil
}

// retryLetters answers RETRY DEAD LETTERS.
func (c *Console) retryLetters(ctx context.Context, in *input) (*outcome, error) {
	name, err := in.arguments.value("a table")
	if err == nil {
		err = in.arguments.end()
	}
	if err != nil {
		return nil, err
	}
	if c.cfg.Queues == nil {
		return nil, letterError("", ingest.ErrNotQueued)
	}
	table, snap := topology.ParseName(name), c.cfg.Topology.Current()
	if snap.Table(table.Schema, table.Table) == nil {
		return nil, noTable(table, snap)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	n, err := c.cfg.Queues.RetryLetters(ctx, table)
	if err != nil {
		return nil, letterError("", err)
	}
	return &outcome{notices: notice(fmt.Sprintf("%d dead letters are queued again", n), "SHOW DEAD LETTERS lists those again that their shard refuses.")}, nil
}

// skipRecord answers SKIP RECORD.
func (c *Console) skipRecord(ctx context.Context, in *input) (*outcome, error) {
	typed, err := in.arguments.value("the number of a record")
	if err != nil {
		return nil, err
	}
	index, err := strconv.ParseUint(typed, 10, 64)
	if err != nil {
		return nil, &pgwire.Error{Code: codeSyntax, Message: fmt.Sprintf("%q is no number of a record", typed), Hint: "SHOW LANES has it as stuck_record."}
	}
	if err := in.arguments.expect("OF"); err != nil {
		return nil, err
	}
	table, err := in.arguments.value("a table")
	if err != nil {
		return nil, err
	}
	confirmed := in.arguments.accept("CONFIRM")
	if err := in.arguments.end(); err != nil {
		return nil, err
	}
	var q *ingest.Queue
	if c.cfg.Queues != nil {
		q = c.cfg.Queues.Of(topology.ParseName(table))
	}
	switch {
	case q == nil:
		return nil, letterError("", ingest.ErrNotQueued)
	case !confirmed:
		return nil, &pgwire.Error{Code: codeNotInState, Message: fmt.Sprintf("SKIP RECORD %d OF %s needs CONFIRM", index, table),
			Detail: "Later writes of the same shard key are done before it.", Hint: fmt.Sprintf("SKIP RECORD %d OF %s CONFIRM", index, table)}
	}
	ctx, cancel := context.WithTimeout(ctx, letterTimeout)
	defer cancel()
	switch err := q.SkipRecord(ctx, index); {
	case errors.Is(err, ingest.ErrNotStuck):
		return nil, &pgwire.Error{Code: codeUndefinedObject, Message: fmt.Sprintf("no lane of %s waits for record %d", table, index), Hint: "SHOW LANES says what lanes wait for."}
	case errors.Is(err, ingest.ErrStuckStill):
		return nil, &pgwire.Error{Code: codeInUse, Message: fmt.Sprintf("record %d of %s is to become a dead letter, and is none yet", index, table),
			Detail: "Its shard has not taken it.", Hint: "SHOW LANES says why. The record is skipped as soon as that is possible."}
	case err != nil:
		return nil, serverFault(err)
	}
	return &outcome{notices: notice(fmt.Sprintf("record %d of %s is a dead letter now, unless it was done at this moment", index, table), "SHOW DEAD LETTERS lists it; RETRY DEAD LETTER tries it again.")}, nil
}

// dropLetter answers DROP DEAD LETTER.
func (c *Console) dropLetter(ctx context.Context, in *input) (*outcome, error) {
	id, err := c.letterArgument(in)
	if err != nil {
		return nil, err
	}
	confirmed := in.arguments.accept("CONFIRM")
	if err := in.arguments.end(); err != nil {
		return nil, err
	}
	if !confirmed {
		return nil, &pgwire.Error{Code: codeNotInState, Message: fmt.Sprintf("DROP DEAD LETTER %s needs CONFIRM", id),
			Detail: "The write was acknowledged to a client, and would never be done.", Hint: fmt.Sprintf("DROP DEAD LETTER %s CONFIRM", id)}
	}
	ctx, cancel := context.WithTimeout(ctx, letterTimeout)
	defer cancel()
	if err := c.cfg.Queues.DropLetter(ctx, id); err != nil {
		return nil, letterError(id, err)
	}
	return &outcome{notices: notice(fmt.Sprintf("dead letter %s is dropped", id), "")}, nil
}

func (c *Console) letterArgument(in *input) (string, error) {
	id, err := in.arguments.value("the id of a dead letter")
	if err == nil && c.cfg.Queues == nil {
		err = letterError(id, ingest.ErrNoLetter)
	}
	return id, err
}

// letterError tells why a dead letter was not retried or dropped.
func letterError(id string, err error) error {
	var behind *ingest.BehindError
	switch {
	case errors.Is(err, ingest.ErrNoLetter):
		return &pgwire.Error{Code: codeUndefinedObject, Message: fmt.Sprintf("there is no dead letter %q", id), Hint: "SHOW DEAD LETTERS lists them."}
	case errors.Is(err, ingest.ErrNotQueued):
		return &pgwire.Error{Code: codeNotInState, Message: "writes to the table are not asynchronous at this proxy", Detail: "Nothing was queued.", Hint: "See tables[].async."}
	case errors.Is(err, ingest.ErrLetterMoves):
		return &pgwire.Error{Code: codeInUse, Message: fmt.Sprintf("dead letter %q is being moved to another shard", id), Hint: "Repeat the command in a moment."}
	case errors.As(err, &behind):
		return &pgwire.Error{Code: codeNotInState, Message: "too many asynchronous writes wait", Detail: sentence(behind.Error()), Hint: "SHOW LANES says what they wait for."}
	}
	return serverFault(err)
}
