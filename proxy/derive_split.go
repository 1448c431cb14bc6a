package proxy

import (
	"bytes"
	"context"

	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/router"
)

// widen lets a transaction that no BEGIN has opened write to several shards, by the mode for single statements.
func (t *transaction) widen(mode CommitMode) {
	if t.wide {
		return
	}
	t.wide, t.wideMode = true, mode
	if mode == CommitAuto || mode == CommitUnset {
		t.wideMode, t.choose = CommitTwoPhase, true
	}
}

// coverAll finds out for each part of a write how it is undone.
func (c *session) coverAll(ctx context.Context, s *spread, parts []router.Part) ([]*work, error) {
	first := s.write
	if first == nil {
		first = &writing{stmt: s.stmt, plan: &router.Plan{Kind: router.One, Shard: parts[0].Shard, SQL: parts[0].SQL}, text: s.text}
		if err := c.direct(first); err != nil {
			return nil, err
		}
	}
	if err := first.divisible(len(parts)); err != nil {
		return nil, err
	}
	if kind := first.undo.Kind; len(s.plan.Hidden) > 0 && (kind == router.UndoStatement || kind == router.UndoRetriable) {
		return nil, errMovingUndo()
	}
	works := make([]*work, 0, len(parts))
	for _, part := range parts {
		w := &writing{stmt: s.stmt, plan: &router.Plan{Kind: router.One, Shard: part.Shard, SQL: part.SQL}, text: s.text, bind: s.bind,
			shared: s.shared, all: shardsOf(parts), used: part.Params(), undo: first.undo, optional: first.optional, why: first.why}
		k, err := c.cover(ctx, w)
		if err != nil {
			return nil, err
		}
		if err := c.drain(); err != nil {
			return nil, err
		}
		works = append(works, k)
	}
	return works, nil
}

// divisible refuses what cannot be undone shard by shard.
func (w *writing) divisible(parts int) error {
	switch {
	case w.stmt.Verb == router.CopyIn && w.undo.Kind != router.UndoNothing:
		return &pgwire.Error{Code: codeFeatureNotSupported, Message: "COPY into several shards cannot be compensated",
			Hint: "Use mode 2pc, which needs max_prepared_transactions > 0 on every shard, or INSERT."}
	case parts > 1 && w.undo.Rows == router.RowsCounted:
		return &pgwire.Error{Code: codeFeatureNotSupported, Message: "compensation of a statement on several shards has a number of rows",
			Detail: "It runs on each of them, for the rows there.", Hint: "Write rows=same or rows=any."}
	}
	return nil
}

// errMovingUndo refuses a step of a saga for which a statement on several shards would be run later. Which rows it must leave out will
// be others then.
func errMovingUndo() error {
	return &pgwire.Error{Code: codeFeatureNotSupported, Message: "compensation on several shards is not supported while slots move",
		Detail: "Rows of its tables are on two shards meanwhile.",
		Hint:   "Use /* compensate: auto */ or mode 2pc, or wait for the move: SHOW REBALANCE on the console."}
}

// returnKeys has a new row return its primary key, behind the client's columns.
func (s *shardRows) returnKeys(g *gathering) {
	if s.work == nil || s.work.derived == nil || s.work.derived.Text == "" {
		return
	}
	s.keyed = len(s.work.derived.Table.Primary)
	g.text = s.work.derived.Text
	if g.bind != nil {
		g.bind = g.bind.widen(s.keyed)
	}
}

// nextShown is Next for the rows that the client sees, without the columns that it did not ask for.
func (s *shardRows) nextShown() ([]byte, error) {
	for {
		frame, err := s.Next()
		if err != nil || s.keyed == 0 {
			return frame, err
		}
		values := rowValues(frame)
		shown := max(len(values)-s.keyed, 0)
		if s.keys = append(s.keys, rowValues(bytes.Clone(frame))[shown:]); len(s.keys) > maxImages {
			return nil, errTooManyImages()
		}
		if shown > 0 {
			return pgwire.AppendDataRow(nil, values[:shown]), nil
		}
	}
}

// concludeWorks makes the undo of the parts, now that all of them have run.
func concludeWorks(sources []*shardRows) error {
	for _, s := range sources {
		if s.work == nil {
			continue
		}
		s.work.affected = affected(s.tag)
		if s.work.derived == nil {
			continue
		}
		if err := s.work.conclude(s.part, s.keys); err != nil {
			return err
		}
	}
	return nil
}
