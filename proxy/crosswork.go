package proxy

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

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
	counted  bool    // those are all that it has written
	settings outcome // the row of settings that it ran under
	why      error   // UndoUnset: why no rule can undo it; nil: none was asked to

	derived *router.Derivation // UndoDerived: what undoes it is made of the rows before and after
	before  []image
	undo    []saga.Statement // made of them
}

// writing is a write that is about to run on one shard.
type writing struct {
	stmt   *router.Statement
	plan   *router.Plan   // for the shard
	text   string         // the client's
	bind   *bindMessage   // nil: a Query message
	shared *shared        // nil: a Query message
	types  []uint32       // of the parameters, as the shard numbers them; set by resolveTypes
	all    []ring.ShardID // that the statement writes to, if there are several
	used   []bool         // the parameters that occur in what the shard gets; nil: all

	undo     router.Undo // set by direct
	optional bool        // it is UndoDerived because pgring.compensation says so, not the statement
	why      error       // then: why it cannot be
}

// sent is the text that the shard gets.
func (w *writing) sent() string { return textOf(w.plan, []byte(w.text)) }

// isCovered reports whether the statement is a write of a transaction in mode saga.
func (c *session) isCovered(stmt *router.Statement) bool {
	return c.tx.active && stmt.Access != router.Read && c.commitMode() == CommitSaga
}

// cover finds out how such a write is to be undone, before it runs and after direct. Afterwards the turn writes to the shard of the
// write. A derived one has its rows read there by now.
func (c *session) cover(ctx context.Context, w *writing) (*work, error) {
	p, err := c.use(ctx, w.plan.Shard, false)
	if err != nil {
		return nil, err
	}
	k := &work{shard: w.plan.Shard, kind: w.undo.Kind, rule: w.undo.Rows, count: w.undo.Count, affected: -1, why: w.why}
	switch w.undo.Kind {
	case router.UndoUnset:
		return k, nil
	case router.UndoNothing:
		return k, c.oneKindOnly(k)
	case router.UndoDerived:
		err = c.derive(p, w, k)
		if err != nil && w.optional && isUnderived(err) {
			k.kind, k.why = router.UndoUnset, err
			return k, nil
		}
	case router.UndoStatement:
		k.counted = router.CountsItsWrites([]byte(w.text))
		k.again, err = c.compensation(p, w, w.undo.SQL)
	case router.UndoRetriable:
		k.again, err = c.repetition(p, w)
	}
	if err != nil {
		return nil, err
	}
	if err := c.oneKindOnly(k); err != nil || k.derived != nil {
		return k, err
	}
	return k, c.askSettings(p, &k.settings)
}

// direct finds out what is said of how the write is to be undone. What pgring.compensation says is not insisted on: a transaction that
// stays on one shard needs no undoing.
func (c *session) direct(w *writing) (err error) {
	if w.undo, err = c.directive(w); err != nil || w.undo.Kind != router.UndoUnset {
		return err
	}
	if !c.state.own.now.derive && !c.tx.wide {
		return nil
	}
	w.optional = !c.tx.wide
	w.undo.Kind = router.UndoDerived
	if w.optional {
		if _, err := c.srv.router.Derive(c.snap, c.state.env, w.sent()); err != nil {
			w.undo.Kind, w.why = router.UndoUnset, err
		}
	}
	return nil
}

// directive is how the write is to be undone by its comment or by pgring.compensate.
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

// oneKindOnly refuses retriable writes beside others on one shard: its step is either run again, with all that it did, or undone.
func (c *session) oneKindOnly(k *work) error {
	for _, other := range c.tx.works {
		if other.shard == k.shard && other.keepsForward() != k.keepsForward() && other.kind != router.UndoUnset {
			return &pgwire.Error{Code: codeFeatureNotSupported, Message: "a retriable statement cannot be mixed with others",
				Detail: fmt.Sprintf("Both are on shard %q, where they commit together.", k.shard),
				Hint:   "Make all of them retriable, or none."}
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
	if err := c.checkAppends(stmt); err != nil {
		return saga.Statement{}, inCompensation(err)
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
	if err == nil && len(plan.Hidden) > 0 {
		err = errMovingUndo()
	}
	if err != nil {
		return saga.Statement{}, inCompensation(err)
	}
	part, err := undoPart(&plan, w)
	if err != nil {
		return saga.Statement{}, err
	}
	if part.SQL != "" {
		sql, used = part.SQL, router.UsedParams(part.SQL)
	}
	return w.statement(sql, used), nil
}

// inCompensation marks the router's refusal as one of the compensation.
func inCompensation(err error) error {
	e := *toWire(err)
	e.Message, e.Position = "compensation: "+e.Message, 0
	return &e
}

// undoPart is what of a compensation undoes the write on its shard. It must write to the shards that the statement writes to: one that
// is left out would not be undone.
func undoPart(plan *router.Plan, w *writing) (router.Part, error) {
	parts := []router.Part{{Shard: plan.Shard, SQL: plan.SQL}}
	if plan.Kind != router.One && plan.Kind != router.Home {
		parts = (&spread{plan: plan}).parts()
	}
	shards, wanted := shardsOf(parts), w.all
	if len(wanted) == 0 {
		wanted = []ring.ShardID{w.plan.Shard}
	}
	if slices.Equal(shards, wanted) {
		return parts[slices.Index(shards, w.plan.Shard)], nil
	}
	message := "a compensation must be on the shard of its statement"
	if len(wanted) > 1 {
		message = "a compensation must be on the shards of its statement"
	}
	return router.Part{}, &pgwire.Error{Code: codeFeatureNotSupported, Message: message,
		Detail: fmt.Sprintf("It would write to %s, the statement writes to %s.", nameShards(shards), nameShards(wanted)),
		Hint:   "Name the shard keys as the statement does."}
}

// shardsOf lists the shards of parts, sorted.
func shardsOf(parts []router.Part) []ring.ShardID {
	shards := make([]ring.ShardID, 0, len(parts))
	for _, part := range parts {
		shards = append(shards, part.Shard)
	}
	slices.Sort(shards)
	return shards
}

func nameShards(shards []ring.ShardID) string {
	var names []string
	for _, shard := range shards {
		names = append(names, strconv.Quote(string(shard)))
	}
	return "shard " + strings.Join(names, ", ")
}

// repetition prepares a retriable statement to be run again.
func (c *session) repetition(p *participant, w *writing) (saga.Statement, error) {
	text := w.sent()
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
		if w.used != nil {
			declared = typesOfUnused(declared, w.used)
		}
		found, err := p.describe(w.sent(), declared)
		if err != nil {
			return err
		}
		types = &found
		if w.used == nil && builtin(found) { // others have other numbers on other servers
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

// undoes are the statements that undo the write, in the order of what they undo, or of a retriable one what it did: that is run again
// even if it has affected no rows.
func (k *work) undoes(c *session) []saga.Statement {
	switch {
	case k.kind == router.UndoNothing || k.kind == router.UndoUnset:
		return nil
	case k.affected == 0 && (k.kind == router.UndoDerived || k.counted):
		return nil // it has done nothing
	case k.kind == router.UndoDerived:
		for i := range k.undo {
			k.undo[i].Settings = c.settingsOf(&k.settings)
		}
		return k.undo
	}
	s := k.again
	switch k.rule {
	case router.RowsSame:
		s.Rows = k.affected
		if k.affected < 0 || k.kind == router.UndoStatement && !k.counted {
			s.Rows = saga.AnyRows
		}
	case router.RowsAny:
		s.Rows = saga.AnyRows
	case router.RowsCounted:
		s.Rows = k.count
	}
	s.Settings = c.settingsOf(&k.settings)
	return []saga.Statement{s}
}
