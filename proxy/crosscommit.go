package proxy

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/pgring/pgring/backend"
	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/router"
	"github.com/pgring/pgring/saga"
)

// boundLocks limits how long a transaction on several shards waits for a lock, unless the client has set a limit: no server sees a
// deadlock that goes through several of them.
const boundLocks = "SELECT pg_catalog.set_config('lock_timeout', '3s', true) WHERE pg_catalog.current_setting('lock_timeout') = '0'"

// sendBound sends boundLocks ahead of the client's statement, as part of the turn. The client's portals stay as they are.
func (c *session) sendBound(p *participant) error {
	return c.sendOwn(p, boundID, boundLocks, nil, nil, nil)
}

// otherWriter returns a participant other than the shard's that has written, or nil.
func (c *session) otherWriter(shard ring.ShardID) *participant {
	for _, p := range c.parts {
		if p.wrote && p.shard != shard {
			return p
		}
	}
	return nil
}

// commitMode is the mode of the open transaction.
func (c *session) commitMode() CommitMode {
	if c.tx.wide { // a single statement on several shards
		return c.tx.wideMode
	}
	return c.state.own.now.mode
}

// admitWrite decides whether a write may go to a shard although the transaction has written to another one.
func (c *session) admitWrite(other *participant, shard ring.ShardID, k *work) error {
	if !c.tx.active {
		return errCrossShard(other.shard, shard)
	}
	switch c.commitMode() {
	case CommitTwoPhase:
		return nil
	case CommitSaga:
		if err := c.uncovered(); err != nil {
			return err
		}
		if k == nil || k.kind == router.UndoUnset {
			return k.uncovered(shard)
		}
		return nil
	case CommitUnset, CommitReject, CommitAuto:
	}
	return errCrossShard(other.shard, shard)
}

// uncovered returns an error if something that the transaction has written cannot be undone.
func (c *session) uncovered() error {
	for _, k := range c.tx.works {
		if k.kind == router.UndoUnset {
			return k.uncovered(k.shard)
		}
	}
	for _, p := range c.parts {
		if p.blind {
			return (*work)(nil).uncovered(p.shard)
		}
	}
	return nil
}

// uncovered is the error that a write cannot be undone; k is nil if it is not known.
func (k *work) uncovered(shard ring.ShardID) error {
	e := &pgwire.Error{Code: codeFeatureNotSupported, Message: "a transaction on several shards needs a compensation for each of its writes",
		Detail: fmt.Sprintf("A write on shard %q has none.", shard),
		Hint:   "Add a comment to the statement, /* compensate: UPDATE … */ or /* compensate: none */, and set pgring.cross_shard before the first write."}
	if k != nil && k.why != nil {
		e.Detail = fmt.Sprintf("No rule undoes a write on shard %q: %s", shard, toWire(k.why).Detail)
	}
	return e
}

func errStatementsRefused() error {
	return &pgwire.Error{Code: codeFeatureNotSupported, Message: "statement would write to more than one shard",
		Detail: "cross_shard.statements is reject.", Hint: "Write the rows of one shard at a time, or use a transaction block with pgring.cross_shard."}
}

// writers returns the participants that have written, in the order of their first writes.
func (c *session) writers() []*participant {
	var all []*participant
	add := func(p *participant) {
		if p != nil && p.began && p.wrote && !slices.Contains(all, p) {
			all = append(all, p)
		}
	}
	for _, k := range c.tx.works {
		add(c.participant(k.shard))
	}
	for _, p := range c.parts {
		add(p)
	}
	return all
}

// commitTogether commits a transaction that has written to several shards, or one with a key.
func (c *session) commitTogether(ctx context.Context, writers []*participant) error {
	c.takeTime()
	mode := c.commitMode()
	if len(writers) > 1 && mode == CommitSaga {
		if err := c.uncovered(); err != nil {
			return c.abandon(err)
		}
	}
	writers, err := c.keyOwnerFirst(ctx, writers)
	if err != nil {
		return c.abandon(err)
	}
	if err := syncAll(c.began()); err != nil {
		return c.abandon(err)
	}
	for _, p := range c.began() {
		if p.conn.Status() == pgwire.TxFailed {
			return c.abandon(errFailedTransaction())
		}
	}
	if mode == CommitSaga {
		err = c.commitSaga(ctx, writers)
	} else {
		err = c.commitPrepared(ctx, writers)
	}
	c.committed(writers, err == nil)
	if err != nil {
		return c.abandon(err)
	}
	for _, p := range c.began() {
		if slices.Contains(writers, p) {
			continue
		}
		if _, err := p.run("COMMIT"); err != nil {
			c.drop(p) // it only read: nothing is lost with it
		}
	}
	c.closed(true, false)
	return nil
}

// keyOwnerFirst has a transaction with a key begin on the shard where repeats of it are found. That is always the home shard: the
// owner of a slot may change between two attempts.
func (c *session) keyOwnerFirst(ctx context.Context, writers []*participant) ([]*participant, error) {
	own := &c.state.own.now
	if own.key == "" {
		return writers, nil
	}
	if own.mode != CommitSaga {
		return nil, &pgwire.Error{Code: codeFeatureNotSupported, Message: "pgring.saga_key needs mode saga",
			Detail: fmt.Sprintf("pgring.cross_shard is %s.", own.mode), Hint: "SET LOCAL pgring.cross_shard = 'saga'."}
	}
	p, err := c.use(ctx, c.home(), false)
	if err != nil {
		return nil, err
	}
	if err := c.drain(); err != nil {
		return nil, err
	}
	c.turn.part = nil
	rest := slices.DeleteFunc(slices.Clone(writers), func(other *participant) bool { return other == p })
	return append([]*participant{p}, rest...), nil
}

// committed takes over what the coordinator has left of the writers' connections. What the transaction has set for the session is in
// force where it committed, even if it was undone in the end.
func (c *session) committed(writers []*participant, ok bool) {
	for _, p := range writers {
		p.wrote = false
		if p.conn.Status() != pgwire.TxIdle {
			c.drop(p)
			continue
		}
		if !ok {
			p.began = false
			p.conn.ForgetSettings()
		}
	}
}

// commitPrepared commits by two-phase commit.
func (c *session) commitPrepared(ctx context.Context, writers []*participant) error {
	conns := make([]*backend.Conn, 0, len(writers))
	for _, p := range writers {
		able, err := c.srv.commit.CanPrepare(ctx, p.conn)
		if err != nil {
			return err
		}
		if !able {
			return &pgwire.Error{Code: codeFeatureNotSupported, Message: "two-phase commit is not possible",
				Detail: fmt.Sprintf("max_prepared_transactions is 0 on shard %q.", p.shard),
				Hint:   "Set it there and restart the server, or use pgring.cross_shard = 'saga'."}
		}
		conns = append(conns, p.conn)
	}
	return c.srv.commit.Commit(ctx, conns)
}

// commitSaga commits in mode saga.
func (c *session) commitSaga(ctx context.Context, writers []*participant) error {
	s := saga.Saga{User: c.user.Name, Key: c.state.own.now.key, Timeout: c.state.own.now.timeout}
	for _, p := range writers {
		s.Steps = append(s.Steps, c.sagaStep(p))
	}
	id, err := c.srv.commit.CommitSaga(ctx, s)
	if id != "" {
		c.lastSaga = id
	}
	if err != nil {
		return sagaFailure(err)
	}
	return nil
}

// sagaStep is what the transaction has done on one shard.
func (c *session) sagaStep(p *participant) saga.Step {
	s := saga.Step{Conn: p.conn}
	for _, k := range c.tx.works {
		if k.shard != p.shard {
			continue
		}
		s.Retriable = s.Retriable || k.kind == router.UndoRetriable
		if k.kind == router.UndoRetriable {
			s.Redo = append(s.Redo, k.undoes(c)...)
		} else {
			s.Undo = append(s.Undo, k.undoes(c)...)
		}
	}
	return s
}

// sagaFailure is what the client is told of a COMMIT in mode saga that did not succeed.
func sagaFailure(err error) error {
	var (
		aborted   *saga.AbortedError
		unsettled *saga.UnsettledError
		invalid   *saga.InvalidError
		server    *pgwire.Error
	)
	switch {
	case errors.As(err, &unsettled):
		outcome := "It is committed on all shards or undone on all of them in the end."
		if unsettled.State == saga.Stuck {
			outcome = "An operator has to settle it."
		}
		return &pgwire.Error{Code: codeCompletionUnknown, Message: "the transaction is not settled yet",
			Detail: fmt.Sprintf("Saga %s is %s. %s", unsettled.ID, unsettled.State, outcome),
			Hint:   fmt.Sprintf("SELECT pgring.saga_status('%s') tells what became of it; do not repeat the transaction before.", unsettled.ID)}
	case errors.As(err, &aborted):
		if errors.As(aborted.Err, &server) && !endsConnection(server) {
			return server
		}
		return &pgwire.Error{Code: codeSerialization, Message: fmt.Sprintf("commit was not possible on shard %q", aborted.Shard),
			Detail: "Nothing of the transaction remains on any shard.", Hint: "Repeat the transaction."}
	case errors.As(err, &invalid):
		return &pgwire.Error{Code: codeInvalidParameter, Message: invalid.Reason}
	}
	return err
}
