package admin

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/proxy"
	"github.com/pgring/pgring/saga"
)

// sagasListed bounds SHOW SAGAS, for each shard.
const sagasListed = 1000

// verifyTimeout bounds SAGA VERIFY, which reads every row.
const verifyTimeout = 2 * time.Minute

// sagaCommands look at transactions over several shards, and settle what needs a person.
func sagaCommands() []command {
	return []command{
		{name: "SHOW SAGAS", does: "Lists the transactions of mode saga: those that are not settled, then the youngest.", role: proxy.RoleStats,
			columns: sagaColumns(), run: (*Console).showSagas},
		{name: "SHOW SAGA", syntax: "id", arguments: 1, does: "Shows the steps of one saga, what undoes them, and what its shards say of them.", role: proxy.RoleStats,
			columns: sagaStepColumns(), run: (*Console).showSaga},
		{name: "SAGA VERIFY", role: proxy.RoleStats, columns: sagaProblemColumns(), run: (*Console).verifySagas,
			does: "Compares what all shards say of sagas and of two-phase commits, and lists what contradicts itself. No row: nothing does."},
		{name: "SAGA RETRY", alias: "RETRY SAGA", syntax: "id", role: proxy.RoleAdmin, run: (*Console).retrySaga,
			does: "Tries at once to settle a saga, also one that is STUCK. RETRY SAGA is the same."},
		{name: "SAGA SKIP", alias: "SKIP SAGA", syntax: "id STEP number REASON 'why'", role: proxy.RoleAdmin, run: (*Console).skipSaga,
			does: "Declares that what is left to do on one step was done by hand, and tries again. SKIP SAGA is the same."},
		{name: "SAGA ABANDON", alias: "ABANDON SAGA", syntax: "id REASON 'why'", role: proxy.RoleAdmin, run: (*Console).abandonSaga,
			does: "Gives a saga up: what was done of it stays. ABANDON SAGA is the same."},
	}
}

func sagaColumns() []column {
	return []column{
		{"saga_id", text, "As pgring.last_saga_id has it; the home shard is behind the dot."},
		{"state", text, "RUNNING, FORWARDING, COMPENSATING, STUCK; COMMITTED, COMPENSATED, ABANDONED when it is settled."},
		{"mode", text, "saga: a transaction; call: CALL pgring.saga."},
		{"shards", text, "The shards of its steps, in their order."},
		{"user", text, "Whose it is."},
		{"age_ms", float, "Since it began; of a settled one, until it was."},
		{"retries", integer, "Attempts in vain since the last success."},
		{"last_error", text, "Why it is not settled, or how it ended."},
	}
}

func sagaStepColumns() []column {
	return []column{
		{"step", integer, "Its number, as SAGA SKIP wants it."},
		{"shard", text, "Where it is."},
		{"kind", text, "compensable, retriable, pivot, or none: nothing is to be undone."},
		{"compensation", text, "What undoes it, with its parameters, in the order in which it runs."},
		{"state", text, "The barrier rows of its shard: a the work itself, c undone, r run forward."},
		{"error", text, "Why the shard cannot be asked."},
	}
}

func sagaProblemColumns() []column {
	return []column{
		{"saga_id", text, "As in SHOW SAGAS, or the number of a two-phase commit. NULL: a shard could not be asked."},
		{"shard", text, "Where it was found."},
		{"step", integer, "The step that it concerns."},
		{"problem", text, "What is wrong."},
	}
}

// showSagas answers SHOW SAGAS.
func (c *Console) showSagas(ctx context.Context, _ *input) (*outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, showTimeout)
	defer cancel()
	list, unreachable := c.cfg.Commit.List(ctx, sagasListed)
	rows := make([]row, 0, len(list))
	for _, s := range list {
		end := s.Finished
		if end.IsZero() {
			end = time.Now()
		}
		shards := make([]string, 0, len(s.Shards))
		for _, shard := range s.Shards {
			shards = append(shards, string(shard))
		}
		rows = append(rows, row{s.ID, string(s.State), s.Mode, strings.Join(shards, ","), s.User, millis(end.Sub(s.Started)), number(s.Tries), orNull(s.Reason)})
	}
	out := &outcome{rows: rows}
	for _, shard := range slices.Sorted(maps.Keys(unreachable)) {
		out.notices = append(out.notices, &pgwire.Error{Severity: "WARNING", Code: "01000", Message: fmt.Sprintf("shard %s cannot be asked", shard),
			Detail: sentence(oneLine(unreachable[shard]))})
	}
	return out, nil
}

// showSaga answers SHOW SAGA.
func (c *Console) showSaga(ctx context.Context, in *input) (*outcome, error) {
	id, err := in.arguments.value("the id of a saga")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, showTimeout)
	defer cancel()
	detail, err := c.cfg.Commit.Show(ctx, id)
	switch {
	case err != nil:
		return nil, sagaError(err)
	case detail == nil:
		return nil, &pgwire.Error{Code: codeUndefinedObject, Message: fmt.Sprintf("there is no saga %q", id), Hint: "SHOW SAGAS lists them."}
	}
	rows := make([]row, 0, len(detail.Steps))
	for _, s := range detail.Steps {
		var undo, done []string
		for i := range s.Undo {
			undo = append(undo, s.Undo[i].String())
		}
		for _, b := range s.Rows {
			done = append(done, strings.TrimSpace(b.Op+" "+b.Kind+" "+b.Note))
		}
		rows = append(rows, row{number(s.Step), string(s.Shard), s.Kind, orNull(strings.Join(undo, "; ")), orNull(strings.Join(done, ", ")), orNull(oneLine(s.Err))})
	}
	return rowsOf(rows)
}

// verifySagas answers SAGA VERIFY.
func (c *Console) verifySagas(ctx context.Context, in *input) (*outcome, error) {
	if err := in.arguments.end(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, verifyTimeout)
	defer cancel()
	report, err := c.cfg.Commit.Verify(ctx)
	if err != nil {
		return nil, sagaError(err)
	}
	var rows []row
	for _, p := range report.Problems {
		rows = append(rows, row{p.ID, string(p.Shard), number(p.Step), p.Text})
	}
	for _, shard := range slices.Sorted(maps.Keys(report.Unreachable)) {
		rows = append(rows, row{nil, string(shard), nil, "cannot be asked: " + oneLine(report.Unreachable[shard])})
	}
	return &outcome{rows: rows, notices: notice(fmt.Sprintf("compared %d sagas with %d barrier rows, and %d decisions with %d prepared transactions",
		report.Sagas, report.Rows, report.Decisions, report.Prepared), "")}, nil
}

// retrySaga answers SAGA RETRY.
func (c *Console) retrySaga(ctx context.Context, in *input) (*outcome, error) {
	id, err := in.arguments.value("the id of a saga")
	if err != nil {
		return nil, err
	}
	if err := in.arguments.end(); err != nil {
		return nil, err
	}
	return sagaNow(c.cfg.Commit.Retry(ctx, id))
}

// skipSaga answers SAGA SKIP.
func (c *Console) skipSaga(ctx context.Context, in *input) (*outcome, error) {
	id, err := in.arguments.value("the id of a saga")
	if err != nil {
		return nil, err
	}
	if err := in.arguments.expect("STEP"); err != nil {
		return nil, err
	}
	typed, err := in.arguments.value("a step")
	if err != nil {
		return nil, err
	}
	step, err := strconv.Atoi(typed)
	if err != nil || step < 0 {
		return nil, syntaxError(fmt.Sprintf("STEP must be a number as SHOW SAGA has it, not %q", typed), "")
	}
	reason, err := readReason(&in.arguments)
	if err != nil {
		return nil, err
	}
	return sagaNow(c.cfg.Commit.Skip(ctx, id, step, reason))
}

// abandonSaga answers SAGA ABANDON.
func (c *Console) abandonSaga(ctx context.Context, in *input) (*outcome, error) {
	id, err := in.arguments.value("the id of a saga")
	if err != nil {
		return nil, err
	}
	reason, err := readReason(&in.arguments)
	if err != nil {
		return nil, err
	}
	if err := c.cfg.Commit.Abandon(ctx, id, reason); err != nil {
		return nil, sagaError(err)
	}
	return &outcome{notices: notice("the saga is ABANDONED", "What was done of it stays: SHOW SAGA tells what.")}, nil
}

func readReason(t *tokens) (string, error) {
	if err := t.expect("REASON"); err != nil {
		return "", err
	}
	reason, err := t.value("a reason")
	if err != nil {
		return "", err
	}
	return reason, t.end()
}

// sagaNow tells what became of a saga.
func sagaNow(status saga.Status, err error) (*outcome, error) {
	if err != nil {
		return nil, sagaError(err)
	}
	return &outcome{notices: notice("the saga is "+string(status.State), sentence(status.Reason))}, nil
}

// sagaError is what keeps a saga from being looked at or changed.
func sagaError(err error) error {
	var invalid *saga.InvalidError
	if errors.As(err, &invalid) {
		return &pgwire.Error{Code: codeUndefinedObject, Message: sentenceStart(invalid.Reason), Hint: "SHOW SAGAS lists the sagas."}
	}
	return &pgwire.Error{Code: codeNotInState, Message: "the saga cannot be reached", Detail: sentence(oneLine(err)), Hint: "SHOW SHARDS tells which shards answer."}
}

func sentenceStart(reason string) string { return strings.TrimSuffix(reason, ".") }
