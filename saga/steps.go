package saga

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// maxSteps bounds a Call.
const maxSteps = 1000

func invalid(format string, args ...any) error {
	return &InvalidError{Reason: fmt.Sprintf(format, args...)}
}

// record reads and checks the steps, and finds their shards.
func (call *Call) record(ctx context.Context) (*record, error) {
	steps, err := parseSteps(call.Steps)
	if err != nil {
		return nil, err
	}
	r := &record{Name: call.Name, User: call.User, Key: call.Key}
	for i, step := range steps {
		kept, err := call.step(ctx, r, step)
		if err != nil {
			return nil, fmt.Errorf("step %d: %w", i, err)
		}
		r.Steps = append(r.Steps, kept)
	}
	return r, nil
}

func parseSteps(text []byte) ([]calledStep, error) {
	var steps []calledStep
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&steps); err != nil {
		return nil, invalid("the steps are not as they should be: %v", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, invalid("something follows the array of steps")
	}
	if len(steps) == 0 || len(steps) > maxSteps {
		return nil, invalid("%d steps; there must be 1 to %d", len(steps), maxSteps)
	}
	forward := false // nothing can be undone any more
	for i := range steps {
		step := &steps[i]
		if step.Kind == "" {
			step.Kind = compensable
		}
		switch step.Kind {
		case compensable, pivot:
			if forward {
				return nil, invalid("step %d is %s, but after the pivot and retriable steps only retriable ones can follow", i, step.Kind)
			}
			forward = step.Kind == pivot
		case retriable:
			forward = true
		default:
			return nil, invalid("step %d has the kind %q; there are compensable, pivot and retriable", i, step.Kind)
		}
		if step.SQL == "" {
			return nil, invalid("step %d has no sql", i)
		}
		if step.Kind != compensable && step.Compensate != "" {
			return nil, invalid("step %d is %s, so it cannot have compensate", i, step.Kind)
		}
	}
	return steps, nil
}

func (call *Call) step(ctx context.Context, r *record, step calledStep) (recordedStep, error) {
	kept := recordedStep{Kind: step.Kind}
	do, err := call.statement(step.SQL, step.Params, step.Rows)
	if err != nil {
		return kept, err
	}
	if kept.Shard, err = call.Route(ctx, do.SQL, do.Values); err != nil {
		return kept, err
	}
	kept.Do = r.statements([]Statement{do})
	if step.Compensate == "" {
		return kept, nil
	}
	undo, err := call.statement(step.Compensate, step.CompensateParams, step.CompensateRows)
	if err != nil {
		return kept, err
	}
	shard, err := call.Route(ctx, undo.SQL, undo.Values)
	if err != nil {
		return kept, fmt.Errorf("compensate: %w", err)
	}
	if shard != kept.Shard {
		return kept, invalid("it runs on shard %s, but what undoes it on %s", kept.Shard, shard)
	}
	kept.Undo = r.statements([]Statement{undo})
	return kept, nil
}

func (call *Call) statement(sql string, params []json.RawMessage, rows *int64) (Statement, error) {
	s := Statement{SQL: sql, Rows: AnyRows, Settings: call.Settings}
	if rows != nil {
		if *rows < 0 {
			return s, invalid("rows must not be negative")
		}
		s.Rows = *rows
	}
	for i, raw := range params {
		value, err := parameter(raw)
		if err != nil {
			return s, fmt.Errorf("parameter %d: %w", i+1, err)
		}
		s.Values = append(s.Values, value)
	}
	return s, nil
}

// parameter turns a JSON value into the text form of a parameter. Numbers keep their digits; arrays and objects stay JSON.
func parameter(raw json.RawMessage) ([]byte, error) {
	switch {
	case bytes.Equal(raw, []byte("null")):
		return nil, nil
	case raw[0] == '"':
		var text string
		if err := json.Unmarshal(raw, &text); err != nil {
			return nil, invalid("%v", err)
		}
		return []byte(text), nil
	}
	return raw, nil
}
