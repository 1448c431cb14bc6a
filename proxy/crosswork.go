package proxy

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/router"
	"github.com/pgring/pgring/saga"
)

// work is one write of an open transaction in mode saga, as its undoing needs it.
type work struct {
	shard    ring.ShardID
	kind     router.UndoKind // UndoUnset: nothing says how to undo it
	again    saga.Statement  // what undoes it, or of a retriable one what it did; without Rows and Settings
	rule     router.RowsRule
	count    int64
	affected int64   // rows, from its tag; -1: not known
	settings outcome // the row of settings that it ran under
}

// writing is a write that is about to run on one shard.
type writing struct {
	stmt   *router.Statement
	plan   *router.Plan
	text   string
	bind   *bindMessage // nil: a Query message
	shared *shared      // nil: a Query message
	types  []uint32     // of the parameters, as the shard numbers them; set by resolveTypes
}

// isCovered reports whether the statement is a write of a transaction in mode saga.
func (c *session) isCovered(stmt *router.Statement) bool {
	return c.tx.active && stmt.Access != router.Read && c.commitMode() == CommitSaga
}

// cover finds out how such a write is to be undone, before it runs. Afterwards the turn writes to the shard of the write.
func (c *session) cover(ctx context.Context, w *writing) (*work, error) {
	undo, err := c.directive(w)
	if err != nil {
		return nil, err
	}
	p, err := c.use(ctx, w.plan.Shard, false)
	if err != nil {
		return nil, err
	}
	k := &work{shard: w.plan.Shard, kind: undo.Kind, rule: undo.Rows, count: undo.Count, affected: -1}
	switch undo.Kind {
	case router.UndoUnset, router.UndoNothing:
		return k, nil
	case router.UndoDerived:
		err = &pgwire.Error{Code: codeFeatureNotSupported, Message: "compensate: auto is not supported in this version",
			Hint: "Give the statement that undoes it."}
	case router.UndoStatement:
		k.again, err = c.compensation(p, w, undo.SQL)
	case router.UndoRetriable:
		k.again, err = c.repetition(p, w)
	}
	if err != nil {
		return nil, err
	}
	if err := c.oneKindOnly(k); err != nil {
		return nil, err
	}
	return k, c.sendAside(p, c.settingsSQL(), &k.settings)
}

// directive says how the write is to be undone: by its comment, by pgring.compensate, else by pgring.compensation.
func (c *session) directive(w *writing) (router.Undo, error) {
	undo, err := router.ReadUndo([]byte(w.text))
	if err != nil {
		return undo, err
	}
	if value := c.state.own.now.compensate; value != "" {
		next := *c.state.own
		next.now.compensate = ""
		c.state.own = &next
		if undo.Kind != router.UndoUnset {
			return undo, &pgwire.Error{Code: codeSyntax, Message: "statement has two compensations",
				Detail: "One is in its comment, the other in pgring.compensate.", Hint: "Leave one of them out."}
		}
		return router.ParseUndo(value)
	}
	return undo, nil
}

// oneKindOnly refuses writes that are never undone beside writes that are, on one shard: its step is one or the other.
func (c *session) oneKindOnly(k *work) error {
	for _, other := range c.tx.works {
		if other.shard == k.shard && other.keepsForward() != k.keepsForward() && other.kind != router.UndoNothing && k.kind != router.UndoNothing {
			return &pgwire.Error{Code: codeFeatureNotSupported, Message: "a retriable statement cannot be mixed with one to be compensated",
				Detail: fmt.Sprintf("Both are on shard %q, where they commit together.", k.shard),
				Hint:   "Give all of them a compensation, or make all of them retriable."}
		}
	}
	return nil
}

func (k *work) keepsForward() bool { return k.kind == router.UndoRetriable }

// compensation prepares the client's own undo statement. It must be a write to the same shard.
func (c *session) compensation(p *participant, w *writing, sql string) (saga.Statement, error) {
	stmt, err := c.srv.router.Compensation(c.snap, c.state.env, sql)
	if err != nil {
		return saga.Statement{}, err
	}
	used := router.UsedParams(sql)
	if len(used) > w.params() {
		return saga.Statement{}, &pgwire.Error{Code: "42P02", Message: fmt.Sprintf("compensation: there is no parameter $%d", len(used)),
			Detail: fmt.Sprintf("Its statement has %d.", w.params())}
	}
	if err := c.resolveTypes(p, w, used); err != nil {
		return saga.Statement{}, err
	}
	var values router.Values
	if w.bind != nil {
		values = w.bind
	}
	plan, err := stmt.Plan(c.snap, values)
	if err != nil {
		return saga.Statement{}, inCompensation(err)
	}
	if err := sameShard(&plan, w.plan.Shard); err != nil {
		return saga.Statement{}, err
	}
	return w.statement(textOf(&plan, []byte(sql)), used), nil
}

// inCompensation marks the router's refusal as one of the compensation.
func inCompensation(err error) error {
	e := *toWire(err)
	e.Message, e.Position = "compensation: "+e.Message, 0
	return &e
}

func sameShard(plan *router.Plan, shard ring.ShardID) error {
	if (plan.Kind == router.One || plan.Kind == router.Home) && plan.Shard == shard {
		return nil
	}
	detail := "It would write to several shards"
	if plan.Kind == router.One || plan.Kind == router.Home {
		detail = fmt.Sprintf("It would write to shard %q", plan.Shard)
	}
	return &pgwire.Error{Code: codeFeatureNotSupported, Message: "a compensation must be on the shard of its statement",
		Detail: fmt.Sprintf("%s, the statement writes to shard %q.", detail, shard), Hint: "Name the shard key as the statement does."}
}

// repetition prepares a retriable statement to be run again.
func (c *session) repetition(p *participant, w *writing) (saga.Statement, error) {
	text := textOf(w.plan, []byte(w.text))
	used := router.UsedParams(text)
	if w.stmt.Verb != router.Plain || w.stmt.Access != router.Write {
		return saga.Statement{}, &pgwire.Error{Code: codeFeatureNotSupported, Message: "this statement cannot be retriable",
			Hint: "Only INSERT, UPDATE, DELETE, MERGE and SELECT can."}
	}
	if err := c.resolveTypes(p, w, used); err != nil {
		return saga.Statement{}, err
	}
	return w.statement(text, used), nil
}

func (w *writing) params() int {
	if w.bind == nil {
		return 0
	}
	return len(w.bind.values)
}

// statement is a statement with the parameters of the write, as far as it uses them.
func (w *writing) statement(sql string, used []bool) saga.Statement {
	s := saga.Statement{SQL: sql, Rows: saga.AnyRows}
	for i, is := range used {
		v := &w.bind.values[i]
		format, oid := int16(0), w.types[i]
		var data []byte
		if is && !v.Null {
			data = bytes.Clone(v.Data)
			if data == nil {
				data = []byte{}
			}
			if v.Binary {
				format = 1
			}
		}
		if !is {
			oid = oidText // its type is asked for all the same
		}
		s.Values, s.Formats, s.Types = append(s.Values, data), append(s.Formats, format), append(s.Types, oid)
	}
	return s
}

// resolveTypes finds the types of the parameters, also those that Parse left to the server: another statement may give the same
// parameter another type.
func (c *session) resolveTypes(p *participant, w *writing, used []bool) (err error) {
	if len(used) == 0 {
		return nil
	}
	declared := make([]uint32, len(w.bind.values))
	copy(declared, w.shared.oids)
	if declared, err = p.types.parameters(declared, p.shard); err != nil {
		return err
	}
	w.types = declared
	if !slices.Contains(declared, 0) {
		return nil
	}
	types := w.shared.resolved.Load()
	if types == nil {
		if err := c.drain(); err != nil {
			return err
		}
		found, err := p.describe(textOf(w.plan, []byte(w.text)), declared)
		if err != nil {
			return err
		}
		types = &found
		if builtin(found) { // others have other numbers on other servers
			w.shared.resolved.Store(types)
		}
	}
	if len(*types) < len(used) {
		return errProtocol("server described fewer parameters than the statement has")
	}
	w.types = *types
	w.bind.types(w.types)
	return nil
}

// builtin reports whether all types are PostgreSQL's own, whose numbers never change (access/transam.h, FirstNormalObjectId).
func builtin(oids []uint32) bool {
	for _, oid := range oids {
		if oid >= 16384 {
			return false
		}
	}
	return true
}

// noteWork remembers a work that is being sent, if only once when its rows are fetched bit by bit: its tag is awaited.
func (c *session) noteWork(k *work, stmt *router.Statement) {
	if !slices.Contains(c.tx.works, k) {
		c.tx.works = append(c.tx.works, k)
	}
	c.turn.noted, c.turn.work = stmt, k
}

// undoing returns what undoes the write; false: nothing need be done.
func (k *work) undoing(c *session) (saga.Statement, bool) {
	if k.kind == router.UndoNothing || k.kind == router.UndoUnset || k.affected == 0 {
		return saga.Statement{}, false
	}
	s := k.again
	switch k.rule {
	case router.RowsSame:
		s.Rows = k.affected
		if k.affected < 0 {
			s.Rows = saga.AnyRows
		}
	case router.RowsAny:
		s.Rows = saga.AnyRows
	case router.RowsCounted:
		s.Rows = k.count
	}
	s.Settings = c.settingsOf(&k.settings)
	return s, true
}
