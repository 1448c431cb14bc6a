package saga_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pgring/pgring/internal/pgtest"
	"github.com/pgring/pgring/saga"
)

// One test for each arrow of the state machine (state.go) that an operator or a lasting failure takes part in; the others are
// walked at every message in crashes_test.go.

// stuckSaga makes a saga whose home's work cannot be undone: the row has changed since.
func (c *cluster) stuckSaga(t *testing.T) (*transaction, string) {
	t.Helper()
	tx, s := c.openSaga(t, shape{refused: true}, c.shards...)
	s.Steps[0].Undo[0].Rows = 2
	id, err := c.coordinator(t, impatient).CommitSaga(t.Context(), s)
	tx.release(t)
	mustBeUnsettled(t, err, id, saga.Stuck)
	if !strings.Contains(err.Error(), "23503") && !strings.Contains(err.Error(), "1 rows instead of 2") {
		t.Errorf("error %v says nothing of the reason", err)
	}
	if tx.done(t) != 1 {
		t.Errorf("the work is on %d shards, want home only", tx.done(t))
	}
	return tx, id
}

func (c *cluster) stuckSagaWaitsForAnOperator(t *testing.T) {
	tx, id := c.stuckSaga(t)
	coordinator := c.coordinator(t, impatient)
	coordinator.Sweep(t.Context())
	mustBe(t, coordinator, id, saga.Stuck, "1 rows instead of 2")
	if got := coordinator.Stats().Sagas[saga.Stuck]; got != 1 {
		t.Errorf("%d stuck sagas counted, want 1", got)
	}
	if tx.done(t) != 1 {
		t.Error("a janitor has touched it")
	}
}

func mustBe(t *testing.T, c *saga.Coordinator, id string, state saga.State, reason string) {
	t.Helper()
	status, err := c.Status(t.Context(), id)
	if err != nil || status.State != state || !strings.Contains(status.Reason, reason) {
		t.Errorf("status %+v, %v; want %s because of %q", status, err, state, reason)
	}
}

// STUCK ─RETRY▶ COMPENSATING ▶ COMPENSATED, once the operator has removed the cause.
func (c *cluster) retrySettlesAStuckSaga(t *testing.T) {
	tx, id := c.stuckSaga(t)
	coordinator := c.coordinator(t, impatient)
	if status, err := coordinator.Retry(t.Context(), id); err != nil || status.State != saga.Compensating || status.Reason == "" {
		t.Errorf("retry without a repair: %+v, %v", status, err)
	}
	c.servers[0].Exec(t, fmt.Sprintf(`CREATE TABLE twin () INHERITS (work); INSERT INTO twin VALUES (%d); GRANT ALL ON twin TO client`, tx.key))
	if status, err := coordinator.Retry(t.Context(), id); err != nil || status.State != saga.Compensated {
		t.Errorf("retry: %+v, %v", status, err)
	}
	mustBeGone(t, tx)
}

// STUCK ─SKIP▶ COMPENSATED: the step is as the operator left it.
func (c *cluster) skipLeavesAStepToTheOperator(t *testing.T) {
	tx, id := c.stuckSaga(t)
	coordinator := c.coordinator(t, impatient)
	for _, wrong := range []struct {
		step   int
		reason string
	}{{-1, "r"}, {2, "r"}, {1, "r"}, {0, ""}} {
		var bad *saga.InvalidError
		if _, err := coordinator.Skip(t.Context(), id, wrong.step, wrong.reason); !errors.As(err, &bad) {
			t.Errorf("skip of step %d for %q: %v", wrong.step, wrong.reason, err)
		}
	}
	if status, err := coordinator.Skip(t.Context(), id, 0, "paid out by hand"); err != nil || status.State != saga.Compensated {
		t.Errorf("skip: %+v, %v", status, err)
	}
	d, err := coordinator.Show(t.Context(), id)
	if err != nil || tx.done(t) != 1 {
		t.Fatalf("the work is on %d shards, %v", tx.done(t), err)
	}
	if rows := d.Steps[0].Rows; len(rows) != 2 || rows[1].Kind != "skip" || rows[1].Op != "c" || rows[1].Note != "paid out by hand" {
		t.Errorf("barrier rows %+v", rows)
	}
	if report, err := coordinator.Verify(t.Context()); err != nil || len(report.Problems) > 0 {
		t.Errorf("verify: %+v, %v", report, err)
	}
}

// STUCK ─ABANDON▶ ABANDONED, for ever.
func (c *cluster) abandonEndsASaga(t *testing.T) {
	_, id := c.stuckSaga(t)
	coordinator := c.coordinator(t, impatient)
	var bad *saga.InvalidError
	if err := coordinator.Abandon(t.Context(), id, ""); !errors.As(err, &bad) {
		t.Errorf("abandoned without a reason: %v", err)
	}
	if err := coordinator.Abandon(t.Context(), id, "the customer is gone"); err != nil {
		t.Fatal(err)
	}
	mustBe(t, coordinator, id, saga.Abandoned, "the customer is gone")
	if err := coordinator.Abandon(t.Context(), id, "again"); !errors.As(err, &bad) {
		t.Errorf("abandoned twice: %v", err)
	}
	if status, err := coordinator.Retry(t.Context(), id); err != nil || status.State != saga.Abandoned {
		t.Errorf("retry: %+v, %v", status, err)
	}
}

// COMPENSATING ▶ COMPENSATED and FORWARDING ▶ COMMITTED wait for a shard for as long as it takes, and the client is told so.
func TestUnsettledWhileAShardIsDown(t *testing.T) {
	t.Parallel()
	for _, what := range []shape{{name: "undo"}, {name: "forward", retriable: true}} {
		t.Run(what.name, func(t *testing.T) {
			c := newBank(t, pgtest.Start(t, 2)...)
			tx, s := c.openSaga(t, what, c.shards...)
			s.Timeout = 500 * time.Millisecond
			id, err := c.coordinator(t, impatient, hook(func(p saga.Point) {
				if p.Message() == "mark" && p.When() == "before" {
					c.servers[1].Kill9(t)
				}
			})).CommitSaga(t.Context(), s)
			tx.release(t)
			mustBeUnsettled(t, err, id, saga.Running)
			janitor := c.coordinator(t, impatient)
			await(t, "some tries in vain, told as such", func() bool {
				janitor.Sweep(t.Context())
				status, err := janitor.Status(t.Context(), id)
				return err == nil && strings.Contains(status.Reason, "s2") && c.count(t, 0, "SELECT tries FROM pgring.saga") > 3
			})
			mustBe(t, janitor, id, saga.Running, "")
			c.servers[1].Restart(t)
			c.recoverAll(t)
			if all := tx.mustBeSound(t, id); all != what.retriable {
				t.Errorf("all is %t", all)
			}
		})
	}
}

// A saga that never came to be has the state NONE, and stays so.
func (c *cluster) statusOfASagaThatNeverWas(t *testing.T) {
	coordinator := c.coordinator(t)
	id := saga.NewSagaID("s1")
	for range 2 {
		mustBe(t, coordinator, id, saga.None, "")
	}
	if d, err := coordinator.Show(t.Context(), id); d != nil || err != nil {
		t.Errorf("show: %+v, %v", d, err)
	}
	if _, err := coordinator.Status(t.Context(), saga.NewSagaID("s9")); err == nil {
		t.Error("a shard that is not there has answered")
	}
}

func (c *cluster) listAndShow(t *testing.T) {
	coordinator := c.coordinator(t, impatient)
	tx, s := c.openSaga(t, shape{}, "s2", "s1")
	s.Key = "transfer 7"
	done, err := coordinator.CommitSaga(t.Context(), s)
	tx.release(t)
	if err != nil {
		t.Fatal(err)
	}
	_, stuck := c.stuckSaga(t)
	list, failed := coordinator.List(t.Context(), 10)
	if len(failed) > 0 || len(list) != 2 {
		t.Fatalf("list %+v, %v", list, failed)
	}
	if a, b := list[0], list[1]; a.ID != stuck || a.State != saga.Stuck || a.Tries < 5 || a.Reason == "" || !a.Finished.IsZero() ||
		b.ID != done || b.State != saga.Committed || b.Home != "s2" || b.Key != "transfer 7" || b.User != client || b.Finished.IsZero() {
		t.Errorf("list %+v", list)
	}
	d, err := coordinator.Show(t.Context(), stuck)
	if err != nil || len(d.Steps) != 2 {
		t.Fatalf("show: %+v, %v", d, err)
	}
	if undo := d.Steps[0].Undo[0].String(); !strings.HasPrefix(undo, "DELETE FROM work WHERE key = $1") || !strings.Contains(undo, "-- $1 = ") {
		t.Errorf("undo %q", undo)
	}
	if got := fmt.Sprint(d.Steps[0].Rows[0].Kind, d.Steps[1].Rows[0].Kind); got != "actionfence" {
		t.Errorf("rows %s", got)
	}
	c.servers[1].Kill9(t)
	list, failed = coordinator.List(t.Context(), 10)
	if len(list) != 1 || failed["s2"] == nil {
		t.Errorf("list %+v, %v", list, failed)
	}
	if d, err = coordinator.Show(t.Context(), stuck); err != nil || d.Steps[1].Err == nil || d.Steps[0].Err != nil {
		t.Errorf("show: %+v, %v", d, err)
	}
	c.servers[1].Restart(t)
}

// Rows go once nobody can need them: after KeepFinished, and not before every shard was looked at.
func (c *cluster) settledSagasAreForgotten(t *testing.T) {
	for _, what := range shapes() {
		tx, s := c.openSaga(t, what, c.shards...)
		_, _ = c.coordinator(t, impatient).CommitSaga(t.Context(), s)
		tx.release(t)
	}
	c.recoverAll(t)
	rows := func() (n int) {
		for i := range c.servers {
			n += c.count(t, i, "SELECT (SELECT count(*) FROM pgring.saga) + (SELECT count(*) FROM pgring.barrier)")
		}
		return n
	}
	all := rows()
	c.coordinator(t).Sweep(t.Context())
	if rows() != all || all == 0 {
		t.Errorf("%d of %d rows are left within the time they are kept", rows(), all)
	}
	short := c.coordinator(t, func(cfg *saga.Config) { cfg.KeepFinished = 1; cfg.SetKeep(1) })
	c.servers[1].Kill9(t)
	short.Sweep(t.Context())
	if n := c.count(t, 0, "SELECT count(*) FROM pgring.saga"); n != 3 {
		t.Errorf("%d sagas left while a shard has rows of them, want 3", n)
	}
	c.servers[1].Restart(t)
	await(t, "the end of all rows", func() bool {
		short.Sweep(t.Context())
		return rows() == 0
	})
}

// A janitor dies between any two messages of cleaning: nothing is misread, and the next one ends it.
func (c *cluster) forgettingDiesAtEveryMessage(t *testing.T) {
	short := func(cfg *saga.Config) { cfg.KeepFinished = 1; cfg.SetKeep(1) }
	points := tally{}
	for n, crashed := 0, true; crashed; n++ {
		tx, s := c.openSaga(t, shapes()[n%3], c.shards...)
		id, told := c.coordinator(t, impatient).CommitSaga(t.Context(), s)
		tx.release(t)
		c.recoverAll(t)
		var at saga.Point
		at, crashed = c.crashJanitor(t, n, short)
		if crashed {
			points[at.Message()]++
		}
		if report, err := c.coordinator(t).Verify(t.Context()); err != nil || len(report.Problems) > 0 {
			t.Errorf("died at point %d: %+v, %v", n, report, err)
		}
		if status, err := c.coordinator(t).Status(t.Context(), id); err != nil || status.State == saga.Compensated && told == nil {
			t.Errorf("died at point %d: %+v, %v", n, status, err)
		}
		if tx.mustBeWhole(t) != (told == nil) {
			t.Errorf("died at point %d: the client was told %v", n, told)
		}
		c.coordinator(t, short).Sweep(t.Context())
	}
	points.log(t, "points at which a cleaning janitor died")
}

// What a shard has lost is found by Verify.
func (c *cluster) verifyFindsWhatAShardHasLost(t *testing.T) {
	coordinator := c.coordinator(t, impatient)
	var ids []string
	for _, what := range shapes() {
		tx, s := c.openSaga(t, what, c.shards...)
		id, _ := coordinator.CommitSaga(t.Context(), s)
		tx.release(t)
		ids = append(ids, id)
	}
	coordinator.Sweep(t.Context())
	report, err := coordinator.Verify(t.Context())
	if err != nil || len(report.Problems) > 0 || report.Sagas != 3 || report.Rows != 8 {
		t.Fatalf("report %+v, %v", report, err)
	}
	c.servers[1].Exec(t, "DELETE FROM pgring.barrier WHERE saga_id IN ($1, $2)", ids[0], ids[2])
	c.servers[0].Exec(t, "DELETE FROM pgring.barrier WHERE op = 'c'")
	report, err = coordinator.Verify(t.Context())
	if err != nil || len(report.Problems) != 3 {
		t.Fatalf("report %+v, %v", report, err)
	}
	c.servers[0].Exec(t, "DELETE FROM pgring.saga WHERE id = $1", ids[1])
	report, err = coordinator.Verify(t.Context())
	found := false
	for _, p := range report.Problems {
		found = found || p.ID == ids[1] && p.Text == "its home has no row of the saga"
	}
	if err != nil || !found {
		t.Errorf("report %+v, %v", report, err)
	}
}

// Of a two-phase commit, a decision that has lost a row is found, and what is prepared and will not be ended by anybody.
func (c *cluster) verifyLooksAtTwoPhaseCommits(t *testing.T) {
	ended := c.open(t, kinds()[0], c.shards...)
	if err := c.coordinator(t).Commit(t.Context(), ended.conns); err != nil {
		t.Fatal(err)
	}
	ended.release(t)
	c.leave(t, "decide")
	patient := c.coordinator(t, func(cfg *saga.Config) { cfg.SetGrace(time.Hour) })
	report, err := patient.Verify(t.Context())
	if err != nil || len(report.Problems) > 0 || report.Decisions != 2 || report.Prepared != 1 {
		t.Errorf("report %+v, %v; want two decisions, one of them under way", report, err)
	}
	foreign := saga.GID(c.topo.Current().ClusterID, strings.Repeat("b", 32), 1, "s9")
	c.servers[1].Exec(t, fmt.Sprintf("BEGIN; INSERT INTO work VALUES (-1); PREPARE TRANSACTION %s", saga.Quote(foreign)))
	c.servers[0].Exec(t, "DELETE FROM pgring.saga WHERE id IN (SELECT id FROM pgring.saga ORDER BY started LIMIT 1)")
	c.servers[0].Exec(t, "DELETE FROM pgring.barrier WHERE saga_id IN (SELECT id FROM pgring.saga)")
	report, err = c.coordinator(t).Verify(t.Context())
	var found []string
	for _, p := range report.Problems {
		found = append(found, fmt.Sprintf("%s %d: %s", p.Shard, p.Step, p.Text))
	}
	text := strings.Join(found, "\n")
	for _, want := range []string{"s1 0: decided, but its row in pgring.saga is missing", "s1 0: decided, but its barrier row is missing",
		"s2 1: prepared for ", "s2 1: prepared, and its home s9 is not in the cluster"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	if err != nil || len(found) != 4 {
		t.Errorf("%d problems, %v:\n%s", len(found), err, text)
	}
}
