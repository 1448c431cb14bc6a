package proxy

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/router"
)

// errReported says that the client has been told of an error and the message at hand is finished with; the session goes on.
var errReported = errors.New("error was reported to the client")

// goneStatement is in an error of this code (PostgreSQL manual, "Error and Notice Message Fields").
var goneStatement = []byte("C" + codeInvalidStatement + "\x00")

// receive sends what the turn has written and relays the answers until each step has its own. Frames pass through untouched;
// those larger than a buffer are never held whole. It returns errReported if a statement failed.
func (c *session) receive() error {
	t := &c.turn
	before := c.unit.errors
	if t.part != nil {
		if err := t.part.conn.Wire().Flush(); err != nil {
			return c.lost(err)
		}
	}
	for {
		if err := c.emitLocal(); err != nil {
			return err
		}
		if t.empty() {
			t.reset()
			if c.unit.errors != before {
				return errReported
			}
			return nil
		}
		wire := t.part.conn.Wire()
		if err := wire.Need(pgwire.HeaderSize); err != nil {
			return c.lost(err)
		}
		if c.skipsHidden(wire) {
			continue
		}
		pass, drop, err := c.plainAnswers(wire.Pending())
		if pass+drop > 0 {
			if err := wire.Forward(c.sink, pass, drop); err != nil {
				return c.side(err)
			}
		}
		if err != nil {
			return c.lost(err)
		}
		if pass+drop > 0 {
			continue
		}
		typ, size, err := wire.Peek()
		if err != nil {
			return c.lost(err)
		}
		if err := c.answer(wire, typ, size); err != nil {
			return err
		}
	}
}

// skipsHidden drops the server's answer to a Parse or Bind of the session's own, if that is what comes next.
func (c *session) skipsHidden(wire *pgwire.Conn) bool {
	s := &c.turn.steps[c.turn.head]
	b := wire.Pending()
	if !s.hidden || s.change || !(s.kind == stepParse && b[0] == pgwire.ParseComplete || s.kind == stepBind && b[0] == pgwire.BindComplete) {
		return false
	}
	wire.Consume(pgwire.HeaderSize)
	c.turn.head++
	return true
}

// plainAnswers looks at what a server has sent, as long as it is whole frames that need nothing but to be passed on, and does for all of
// them at once what answer would do for each. The first bytes are for the client, those to be dropped are behind them.
func (c *session) plainAnswers(b []byte) (pass, drop int, err error) {
	t := &c.turn
	for !t.empty() {
		s := &t.steps[t.head]
		size := pgwire.WholeFrame(b[pass:])
		if size == 0 || s.kind == stepLocal || s.hidden || s.into != nil {
			break
		}
		typ := b[pass]
		switch typ {
		case pgwire.DataRow, pgwire.NoticeResponse:
		case pgwire.ParseComplete, pgwire.BindComplete:
			if s.change {
				c.confirmChange()
			}
			t.head++
		case pgwire.RowDescription:
			if err := t.part.types.describe(b[pass : pass+size]); err != nil {
				return pass, 0, err
			}
			if s.kind == stepDescribe {
				t.head++
			}
		case pgwire.CommandComplete:
			if s.noted || !c.srv.topology.Unbroken(c.unit.gaps) {
				return pass, 0, nil
			}
			if s.kind == stepExecute {
				t.head++
			}
		case pgwire.ReadyForQuery: // the session sends its own
			if size == pgwire.HeaderSize {
				return pass, 0, nil
			}
			t.ready(b[pass+pgwire.HeaderSize])
			return pass, size, nil
		default:
			return pass, 0, nil
		}
		if c.again.ready {
			c.again.hear(typ, s.kind)
		}
		pass += size
	}
	return pass, 0, nil
}

// emitLocal writes the session's own answers that have come to the head of the line.
func (c *session) emitLocal() error {
	t := &c.turn
	for t.head < len(t.steps) && t.steps[t.head].kind == stepLocal {
		s := t.steps[t.head]
		t.head++
		if s.change {
			c.confirmChange()
		}
		if err := c.write(t.local[s.from:s.to]); err != nil {
			return err
		}
	}
	return nil
}

// answer handles one frame from the server.
func (c *session) answer(wire *pgwire.Conn, typ byte, size int) error {
	s := &c.turn.steps[c.turn.head]
	if c.again.ready {
		c.again.hear(typ, s.kind)
	}
	switch typ {
	case pgwire.DataRow:
		if s.into != nil {
			return c.keepRow(wire, size, s.into)
		}
		return c.pass(wire, size, s.hidden)
	case pgwire.CopyData, pgwire.CopyDone, pgwire.CopyOutResponse:
		return c.pass(wire, size, s.hidden)
	case pgwire.ParameterDescription:
		return c.relayDescription(wire, size, s.hidden || s.bare)
	case pgwire.NoticeResponse:
		return c.pass(wire, size, s.hidden)
	case pgwire.ParameterStatus:
		return c.relayParameter(wire, size)
	case pgwire.NotificationResponse:
		return c.pass(wire, size, false)
	case pgwire.ParseComplete, pgwire.BindComplete, pgwire.CloseComplete:
		return c.confirm(wire, s, size)
	case pgwire.RowDescription, pgwire.NoData:
		hidden := s.hidden || (s.rows && typ == pgwire.NoData)
		if s.kind == stepDescribe {
			c.turn.head++
		}
		return c.relayDescription(wire, size, hidden)
	case pgwire.CommandComplete, pgwire.EmptyQueryResponse, pgwire.PortalSuspended:
		return c.complete(wire, s, typ, size)
	case pgwire.ReadyForQuery:
		return c.serverReady(wire, size)
	case pgwire.ErrorResponse:
		return c.serverError(wire, size)
	case pgwire.CopyInResponse:
		return c.copyIn(wire, size)
	}
	c.turn.part.conn.MarkDirty("unexpected message")
	return c.lost(&pgwire.ProtocolError{Reason: fmt.Sprintf("unexpected message type %q from server", typ)})
}

// relayParameter tells the client what a setting is now. A connection on which a function has changed how the server reads SQL is given up.
func (c *session) relayParameter(wire *pgwire.Conn, size int) error {
	frame, err := wire.Frame(size, maxControlFrame)
	if err != nil {
		return c.lost(err)
	}
	body := pgwire.BodyOf(frame)
	if err := router.CheckParameter(string(body.Text()), string(body.Text())); err != nil {
		return c.lost(toWire(err))
	}
	return c.write(frame)
}

// keepRow reads a row of the session's own query.
func (c *session) keepRow(wire *pgwire.Conn, size int, into *outcome) error {
	frame, err := wire.Frame(size, c.policy.MessageLimit)
	if err != nil {
		return c.lost(err)
	}
	into.take(frame)
	return nil
}

// pass moves one frame to the client, or drops it.
func (c *session) pass(wire *pgwire.Conn, size int, drop bool) error {
	var err error
	switch {
	case drop:
		err = wire.Discard(size)
	case size <= pgwire.BufferSize: // whole or not at all: an error may follow it
		if err = wire.Need(size); err == nil {
			_, err = wire.PipeBuffered(c.sink, size)
		}
	default:
		if err = wire.Pipe(c.sink, size); err != nil {
			// The client has the beginning of a message that will never end: nothing more can be told to it.
			return &pgwire.IOError{Side: pgwire.ClientSide, Write: true, Err: err}
		}
	}
	return c.side(err)
}

// side separates a broken client, which ends the session, from a broken server, which does not.
func (c *session) side(err error) error {
	if err == nil || clientError(err) != nil {
		return err
	}
	return c.lost(err)
}

func (c *session) confirm(wire *pgwire.Conn, s *step, size int) error {
	if s.change {
		c.confirmChange()
	}
	hidden := s.hidden
	c.turn.head++
	return c.pass(wire, size, hidden)
}

func (c *session) complete(wire *pgwire.Conn, s *step, typ byte, size int) error {
	hidden := s.hidden
	if s.kind == stepExecute {
		c.turn.head++
	}
	outdated := error(nil)
	if typ == pgwire.CommandComplete && !hidden {
		outdated = c.checkPlan()
	}
	if (s.noted || outdated != nil) && typ == pgwire.CommandComplete {
		frame, err := wire.Frame(size, maxControlFrame)
		if err != nil {
			return c.lost(err)
		}
		body := pgwire.BodyOf(frame)
		tag := string(body.Text())
		if outdated != nil && !believed(tag) {
			return c.lost(outdated)
		}
		if !hidden {
			if err := c.write(frame); err != nil {
				return err
			}
		}
		if !s.noted {
			return nil
		}
		return c.completed(tag)
	}
	if err := c.pass(wire, size, hidden); err != nil || !s.noted || typ != pgwire.PortalSuspended {
		return err
	}
	return c.suspended()
}

// serverReady ends a step with the server's ReadyForQuery, which the client does not see: the session sends its own.
func (c *session) serverReady(wire *pgwire.Conn, size int) error {
	frame, err := wire.Frame(size, maxControlFrame)
	if err != nil {
		return c.lost(err)
	}
	body := pgwire.BodyOf(frame)
	c.turn.ready(body.Byte())
	return nil
}

// ready ends the step at hand: its server waits for what comes next, in this status.
func (t *turn) ready(status byte) {
	t.part.conn.SetStatus(status)
	t.part.unsynced, t.part.skips = false, false
	t.head++
}

// serverError relays an error and drops the steps that the server will not answer: in the extended protocol all up to Sync, in a
// Query message nothing, since its ReadyForQuery follows.
func (c *session) serverError(wire *pgwire.Conn, size int) error {
	t := &c.turn
	frame, err := wire.Frame(size, maxControlFrame)
	if err != nil {
		return c.lost(err)
	}
	if isFatal(frame) {
		return c.lost(pgwire.ParseError(frame))
	}
	if t.part != nil && bytes.Contains(frame, goneStatement) {
		t.part.conn.MarkDirty("a prepared statement is gone") // by DEALLOCATE in a function, and so may be others
	}
	if c.swallow(frame) {
		return nil
	}
	frame = unfencedFrame(c.tellFrequent(frame))
	if t.steps[t.head].hidden && c.tx.requests.claiming {
		frame = claimFrame(frame)
	}
	if err := c.write(frame); err != nil {
		return err
	}
	c.statementFailed()
	if t.steps[t.head].kind == stepQuery {
		return nil
	}
	return c.skipToSync()
}

// skipToSync forgets the steps that the server skips. The session's own Query behind a failed message is skipped by the server
// too, so a Sync must take its place.
func (c *session) skipToSync() error {
	t := &c.turn
	c.revertChanges()
	for t.head < len(t.steps) && t.steps[t.head].kind != stepSync {
		if t.steps[t.head].kind == stepQuery {
			t.steps[t.head] = step{kind: stepSync, hidden: true}
			wire := t.part.conn.Wire()
			if err := wire.Write(syncFrame); err != nil {
				return c.lost(err)
			}
			if err := wire.Flush(); err != nil {
				return c.lost(err)
			}
			return nil
		}
		c.unsent(t.part, t.steps[t.head])
		t.head++
	}
	c.unit.skipping = true
	t.part.skips = t.empty()
	return nil
}

// unsent corrects what the session believes of the server, for a message that the server has skipped or refused.
func (c *session) unsent(p *participant, s step) {
	switch s.kind {
	case stepParse:
		p.conn.ForgetPrepared(s.id)
		p.unnamed = 0
	case stepExecute:
		if s.begins { // the messages ahead of it were about a statement only, outside of the transaction
			p.began = false
		}
	case stepClose:
		if s.hidden && s.id != rewrittenID {
			p.conn.MarkDirty("a statement to be forgotten was not")
		}
	}
}

// statementFailed records that the client has been told of an error.
func (c *session) statementFailed() {
	c.unit.errors++
	if c.turn.noted != nil && c.turn.noted.Pin == router.PinLock {
		c.turn.part.pinned = true // it may hold the lock
	}
	c.turn.noted, c.turn.work = nil, nil
	c.unit.lost = nil
	c.srv.totals.errors.Add(1)
	if c.tx.active {
		c.tx.failed = true
	}
}

// isFatal reports whether an ErrorResponse ends the server's connection, by its non-localised severity.
func isFatal(frame []byte) bool { return endsConnection(pgwire.ParseError(frame)) }

func endsConnection(e *pgwire.Error) bool { return e.Severity == "FATAL" || e.Severity == "PANIC" }

// lost handles a server connection that broke: the client is told, what the transaction did is gone, the session goes on.
func (c *session) lost(err error) error {
	t := &c.turn
	part := t.part
	failure := &lostError{shard: part.shard, err: err, commit: t.noted != nil && isCommit(t.noted)}
	var last *pgwire.Error
	if errors.As(err, &last) {
		failure.last = last
	} else {
		failure.last = c.lastWords(part, err)
	}
	c.srv.log.Warn("connection to shard lost", "session", c.id, "shard", string(part.shard), "error", err)
	t.reset()
	t.part = nil
	c.drop(part)
	c.revertChanges()
	c.unit.skipping = c.unit.open
	c.out = pgwire.AppendError(c.out[:0], failure.wire())
	if err := c.write(c.out); err != nil {
		return err
	}
	c.statementFailed()
	if failure.commit {
		c.closed(false, false) // whatever became of it, the block is over
	}
	return errReported
}

// lastWords looks for the error that a server sends before it closes: after a failed write it may still wait to be read.
func (c *session) lastWords(part *participant, err error) *pgwire.Error {
	var io *pgwire.IOError
	if !errors.As(err, &io) || !io.Write {
		return nil
	}
	wire := part.conn.Wire()
	if wire.Net().SetReadDeadline(time.Now().Add(100*time.Millisecond)) != nil {
		return nil
	}
	for {
		frame, err := readFrame(wire)
		if err != nil {
			return nil
		}
		if frame[0] == pgwire.ErrorResponse {
			return pgwire.ParseError(frame)
		}
	}
}

// reject reports an error of the session's own in place of an answer. In the extended protocol everything up to Sync is then
// skipped. Inside a transaction it fails the transaction, as an error of PostgreSQL would.
func (c *session) reject(err error) error {
	if errors.Is(err, errReported) || clientError(err) != nil {
		return err
	}
	if failure := c.drain(); failure != nil {
		return failure // an earlier message failed first: this one is skipped
	}
	told := toWire(err)
	if told.Code == codeInternal {
		c.srv.log.Error("statement failed by a bug", "session", c.id, "error", err)
	}
	if told.Severity == "FATAL" {
		return err
	}
	c.out = pgwire.AppendError(c.out[:0], told)
	if err := c.write(c.out); err != nil {
		return err
	}
	c.unit.skipping = c.unit.open
	c.statementFailed()
	c.revertChanges()
	return errReported
}
