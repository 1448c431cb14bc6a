package saga_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/pgring/pgring/internal/pgtest"
	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/saga"
)

// route finds the shard in a comment of the statement.
func route(_ context.Context, sql string, _ [][]byte) (ring.ShardID, error) {
	_, rest, found := strings.Cut(sql, "/*on ")
	if !found {
		return "", errors.New("no shard")
	}
	shard, _, _ := strings.Cut(rest, "*/")
	return ring.ShardID(shard), nil
}

// calledStep is one element of Call.Steps.
type calledStep struct {
	SQL              string `json:"sql"`
	Params           []any  `json:"params,omitempty"`
	Rows             int    `json:"rows"`
	Compensate       string `json:"compensate,omitempty"`
	CompensateParams []any  `json:"compensate_params,omitempty"`
	CompensateRows   int    `json:"compensate_rows"`
	Kind             string `json:"kind,omitempty"`
}

// openCall makes a long-running saga with one step for each kind, on s1, s2, s1, …
func (c *cluster) openCall(t *testing.T, kinds ...string) (*transaction, saga.Call) {
	t.Helper()
	tx := &transaction{c: c, kind: kind{seen: "SELECT count(*) FROM work WHERE key / 100 = %d"}, key: c.keys.Add(1)}
	var steps []calledStep
	for i, kind := range kinds {
		step := calledStep{SQL: fmt.Sprintf("INSERT INTO work VALUES ($1) /*on %s*/", c.shards[i%2]), Params: []any{tx.key*100 + int64(i)}, Rows: 1, Kind: kind}
		if kind == "compensable" {
			step.Compensate, step.CompensateParams, step.CompensateRows = fmt.Sprintf("DELETE FROM work WHERE key = $1 /*on %s*/", c.shards[i%2]), step.Params, 1
		}
		steps = append(steps, step)
	}
	text, err := json.Marshal(steps)
	if err != nil {
		t.Fatal(err)
	}
	return tx, saga.Call{Name: "order", User: client, Steps: text, Route: route, Wait: true}
}

// work counts the rows of a call, over all shards.
func (tx *transaction) work(t *testing.T) (n int) {
	t.Helper()
	for i := range tx.c.servers {
		n += tx.c.count(t, i, fmt.Sprintf("SELECT count(*) FROM work WHERE key / 100 = %d", tx.key))
		for _, what := range []string{"INSERT", "DELETE"} {
			twice := fmt.Sprintf("SELECT count(*) FROM (SELECT FROM audit WHERE key / 100 = %d AND what = '%s' GROUP BY key HAVING count(*) > 1) twice", tx.key, what)
			if tx.c.count(t, i, twice) > 0 {
				t.Errorf("%s more than once on shard %d", what, i)
			}
		}
	}
	return n
}

// forbid makes a step of the call impossible until the row is deleted.
func (tx *transaction) forbid(t *testing.T, step int) {
	t.Helper()
	tx.c.servers[step%2].Exec(t, fmt.Sprintf("SET session_replication_role = replica; INSERT INTO work VALUES (%d)", tx.key*100+int64(step))) // no audit
}

func (tx *transaction) allow(t *testing.T, step int) {
	t.Helper()
	tx.c.servers[step%2].Exec(t, fmt.Sprintf("SET session_replication_role = replica; DELETE FROM work WHERE key = %d", tx.key*100+int64(step)))
}

func callKinds() []string { return []string{"compensable", "compensable", "pivot", "retriable"} }

func (c *cluster) callCommitsStepByStep(t *testing.T) {
	coordinator := c.coordinator(t)
	tx, call := c.openCall(t, callKinds()...)
	call.Key = "order 1"
	id, err := coordinator.Call(t.Context(), call)
	if err != nil || tx.work(t) != 4 {
		t.Fatalf("call: %v, %d of 4 steps", err, tx.work(t))
	}
	mustBe(t, coordinator, id, saga.Committed, "")
	if again, err := coordinator.Call(t.Context(), call); err != nil || again != id || tx.work(t) != 4 {
		t.Errorf("repeat: %s after %s, %v", again, id, err)
	}
	d, err := coordinator.Show(t.Context(), id)
	if err != nil || d.Name != "order" || d.Mode != "call" || d.Steps[2].Kind != "pivot" || !strings.HasPrefix(d.Steps[0].Do[0].String(), "INSERT") {
		t.Errorf("show: %+v, %v", d, err)
	}
}

// A step that fails for good has those before it undone; the reason is the client's.
func (c *cluster) callUndoesWhatWasDone(t *testing.T) {
	for _, failing := range []int{0, 1, 2} {
		tx, call := c.openCall(t, callKinds()...)
		tx.forbid(t, failing)
		id, err := c.coordinator(t).Call(t.Context(), call)
		var aborted *saga.AbortedError
		if !errors.As(err, &aborted) || !strings.Contains(err.Error(), "23505") {
			t.Errorf("step %d forbidden: %v", failing, err)
		}
		tx.allow(t, failing)
		if tx.work(t) != 0 {
			t.Errorf("step %d forbidden: %d steps remain", failing, tx.work(t))
		}
		mustBe(t, c.coordinator(t), id, saga.Compensated, "23505")
	}
}

// Behind the pivot there is no way back: the saga is STUCK until the step succeeds, or is skipped.
func (c *cluster) callGoesForwardBehindThePivot(t *testing.T) {
	coordinator := c.coordinator(t, impatient)
	for _, way := range []string{"retry", "skip"} {
		tx, call := c.openCall(t, callKinds()...)
		tx.forbid(t, 3)
		id, err := coordinator.Call(t.Context(), call)
		mustBeUnsettled(t, err, id, saga.Stuck)
		tx.allow(t, 3)
		want := 3
		var status saga.Status
		if way == "retry" {
			want = 4
			status, err = coordinator.Retry(t.Context(), id)
		} else {
			status, err = coordinator.Skip(t.Context(), id, 3, "sent by hand")
		}
		if err != nil || status.State != saga.Committed || tx.work(t) != want {
			t.Errorf("%s: %+v, %v, %d steps", way, status, err, tx.work(t))
		}
	}
	if report, err := coordinator.Verify(t.Context()); err != nil || len(report.Problems) > 0 {
		t.Errorf("verify: %+v, %v", report, err)
	}
}

// The proxy dies after each message of a long-running saga, which for the servers is before the next one; another proxy takes it to
// its end.
func TestCallSurvivesItsProxy(t *testing.T) {
	t.Parallel()
	c := newBank(t, pgtest.Start(t, 2)...)
	points := tally{}
	for _, failing := range []int{-1, 1} {
		for n, crashed := 0, true; crashed; n++ {
			tx, call := c.openCall(t, callKinds()[1:]...)
			if failing >= 0 {
				tx.forbid(t, failing)
			}
			var at saga.Point
			at, crashed = c.crashCall(t, call, n)
			c.recoverAll(t)
			if failing >= 0 {
				tx.allow(t, failing)
			}
			if got := tx.work(t); got != 0 && (got != 3 || failing >= 0) || got == 0 && failing < 0 {
				t.Errorf("died %s: %d steps", at, got)
			}
			if crashed {
				points[at.Message()]++
			}
		}
	}
	points.log(t, "points at which the proxy of a call died")
}

func (c *cluster) crashCall(t *testing.T, call saga.Call, n int) (at saga.Point, crashed bool) {
	t.Helper()
	seen := 0
	coordinator := c.coordinator(t, impatient, hook(func(p saga.Point) {
		if p.When() != string(saga.Answered) {
			return
		}
		if seen++; seen > n {
			at, crashed = p, true
			runtime.Goexit()
		}
	}))
	var group sync.WaitGroup
	group.Go(func() { _, _ = coordinator.Call(t.Context(), call) })
	group.Wait()
	c.awaitQuiet(t)
	return at, crashed
}

// A proxy stalls before each message while another one takes the saga to its end and all its rows are cleaned away; then it goes on, and
// must do nothing a second time.
func TestLateProxyOfACallDoesNothingTwice(t *testing.T) {
	t.Parallel()
	c := newBank(t, pgtest.Start(t, 2)...)
	short := func(cfg *saga.Config) { cfg.KeepFinished = 1; cfg.SetKeep(1) }
	for _, failing := range []int{-1, 1} {
		for n, stalled := 0, true; stalled; n++ {
			tx, call := c.openCall(t, callKinds()[1:]...)
			if failing >= 0 {
				tx.forbid(t, failing)
			}
			stalled = false
			seen := 0
			_, _ = c.coordinator(t, impatient, hook(func(p saga.Point) {
				if p.When() != string(saga.Before) {
					return
				}
				if seen++; seen == n+1 {
					stalled = true
					for range 2 {
						c.coordinator(t, impatient, short).Sweep(t.Context())
					}
				}
			})).Call(t.Context(), call)
			c.recoverAll(t)
			if failing >= 0 {
				tx.allow(t, failing)
			}
			if got := tx.work(t); got != 0 && failing >= 0 || got != 3 && failing < 0 {
				t.Errorf("stalled at point %d: %d steps", n, got)
			}
		}
	}
}

// CALL returns at once, and the janitor does the work; a client that goes away changes nothing.
func (c *cluster) callGoesOnWithoutItsClient(t *testing.T) {
	coordinator := c.coordinator(t)
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() {
		if err := coordinator.Run(ctx); err != nil {
			t.Errorf("run: %v", err)
		}
	})
	defer group.Wait()
	defer cancel()
	tx, call := c.openCall(t, callKinds()...)
	call.Wait = false
	if _, err := coordinator.Call(t.Context(), call); err != nil {
		t.Fatal(err)
	}
	gone, leave := context.WithCancel(t.Context())
	second, call := c.openCall(t, callKinds()...)
	c.servers[1].Stop(t)
	group.Go(func() {
		var unsettled *saga.UnsettledError
		if _, err := coordinator.Call(gone, call); !errors.As(err, &unsettled) {
			t.Errorf("call of a client that left: %v", err)
		}
	})
	await(t, "the first step", func() bool {
		return c.count(t, 0, fmt.Sprintf("SELECT count(*) FROM work WHERE key / 100 = %d", second.key)) == 1
	})
	leave()
	c.servers[1].Cont(t)
	await(t, "both sagas", func() bool { return tx.work(t) == 4 && second.work(t) == 4 })
}

func (c *cluster) callsThatMakeNoSenseAreRefused(t *testing.T) {
	for name, steps := range map[string]string{
		"not JSON":        `nonsense`,
		"not an array":    `{}`,
		"empty":           `[]`,
		"more than one":   `[{"sql":"SELECT 1 /*on s1*/"}] []`,
		"unknown member":  `[{"sql":"SELECT 1 /*on s1*/","undo":"x"}]`,
		"no sql":          `[{"compensate":"SELECT 1 /*on s1*/"}]`,
		"unknown kind":    `[{"sql":"SELECT 1 /*on s1*/","kind":"odd"}]`,
		"late pivot":      `[{"sql":"SELECT 1 /*on s1*/","kind":"retriable"},{"sql":"SELECT 1 /*on s1*/","kind":"pivot"}]`,
		"two pivots":      `[{"sql":"SELECT 1 /*on s1*/","kind":"pivot"},{"sql":"SELECT 1 /*on s1*/","kind":"pivot"}]`,
		"late":            `[{"sql":"SELECT 1 /*on s1*/","kind":"pivot"},{"sql":"SELECT 1 /*on s1*/"}]`,
		"undo of a pivot": `[{"sql":"SELECT 1 /*on s1*/","kind":"pivot","compensate":"SELECT 1 /*on s1*/"}]`,
		"undo elsewhere":  `[{"sql":"SELECT 1 /*on s1*/","compensate":"SELECT 1 /*on s2*/"}]`,
		"negative rows":   `[{"sql":"SELECT 1 /*on s1*/","rows":-1}]`,
	} {
		_, err := c.coordinator(t).Call(t.Context(), saga.Call{User: client, Steps: []byte(steps), Route: route, Wait: true})
		var bad *saga.InvalidError
		if !errors.As(err, &bad) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := c.coordinator(t).Call(t.Context(), saga.Call{User: client, Steps: []byte(`[{"sql":"SELECT 1"}]`), Route: route}); err == nil {
		t.Error("a statement for no shard was accepted")
	}
	if n := c.unsettled(t); n != 0 {
		t.Errorf("%d sagas were written down", n)
	}
}
