package proxy

import (
	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/router"
)

// stepKind is what a message in flight asks of the server, and so what answers it.
type stepKind uint8

const (
	stepLocal    stepKind = iota + 1 // nothing was sent: the answer waits here for its turn
	stepParse                        // ParseComplete
	stepBind                         // BindComplete
	stepDescribe                     // RowDescription or NoData, after ParameterDescription for a statement
	stepExecute                      // rows, then CommandComplete, EmptyQueryResponse or PortalSuspended
	stepClose                        // CloseComplete
	stepQuery                        // anything, up to ReadyForQuery
	stepSync                         // ReadyForQuery
)

// step is one message in flight, or one answer of the session's own that waits for those before it.
type step struct {
	kind   stepKind
	hidden bool     // the session's own message: the client does not see its answer
	noted  bool     // when it completes, turn.noted has an effect on the session
	rows   bool     // stepDescribe: the client hears of rows, but not that there are none
	into   *outcome // hidden stepExecute: keeps the first row; nil: nobody does
	bare   bool     // stepDescribe: the client does not hear of parameters
	begins bool     // hidden stepExecute: of the participant's BEGIN
	change bool     // when it completes, the oldest of unit.changes is confirmed
	id     uint64   // stepParse of one that is to stay prepared (prepareOn): its number, to be forgotten if the server skips it. stepClose: rewrittenID, or what is closed was prepared
	from   int      // stepLocal: its bytes are turn.local[from:to]
	to     int
}

// turn is a batch of messages written to one participant and not yet answered. Messages are written until the batch is to be
// answered (Sync, Flush, another participant, or turnLimit bytes); then all answers are read. At that point the server has
// nothing to wait for but its client, so neither side can block the other.
type turn struct {
	part     *participant
	steps    []step
	head     int
	local    []byte
	sent     int  // bytes written in this turn
	executes bool // some message of the turn makes the server produce output
	noted    *router.Statement
	work     *work            // of noted: waits for its tag; nil: none
	text     string           // of noted, if the session needs it
	settings []router.Setting // of noted: what it sets, with parameters filled in
}

// turnLimit is how many bytes a turn may write once the server has output to produce. It is well below any socket buffer.
const turnLimit = 8 << 10

var (
	syncFrame  = []byte{pgwire.Sync, 0, 0, 0, 4}
	flushFrame = []byte{pgwire.Flush, 0, 0, 0, 4}
)

func (t *turn) empty() bool { return t.head == len(t.steps) }

func (t *turn) reset() {
	t.steps, t.local, t.head = t.steps[:0], t.local[:0], 0
	t.sent, t.executes, t.noted, t.work, t.settings = 0, false, nil, nil, nil
}

// reply answers the client from the session itself, in its place behind the answers that are still to come.
func (c *session) reply(frames []byte) error {
	if c.turn.empty() {
		return c.write(frames)
	}
	from := len(c.turn.local)
	c.turn.local = append(c.turn.local, frames...)
	c.turn.steps = append(c.turn.steps, step{kind: stepLocal, from: from, to: len(c.turn.local)})
	return nil
}

func (c *session) replyTag(tag string) error {
	c.out = pgwire.AppendText(c.out[:0], pgwire.CommandComplete, tag)
	return c.reply(c.out)
}

func (c *session) notice(e *pgwire.Error) error {
	c.out = pgwire.AppendNotice(c.out[:0], e)
	return c.reply(c.out)
}

// send writes one message of the turn to its participant. The caller has made room by makeRoom. A Query or Sync is sent at once, since
// nothing can follow it.
func (c *session) send(frame []byte, s step) error {
	t := &c.turn
	wire := t.part.conn.Wire()
	var err error
	if s.kind == stepQuery || s.kind == stepSync {
		err = wire.Send(frame)
	} else {
		err = wire.Write(frame)
	}
	if err != nil {
		return c.lost(err)
	}
	t.steps = append(t.steps, s)
	t.sent += len(frame)
	switch s.kind {
	case stepExecute, stepDescribe:
		t.executes = true
		t.part.unsynced = true
	case stepQuery, stepSync:
		t.part.unsynced = false
	default:
		t.part.unsynced = true
	}
	return nil
}

// makeRoom has the turn answered first if size more bytes could make both sides wait for each other.
func (c *session) makeRoom(size int) error {
	if c.turn.executes && c.turn.sent+size > turnLimit {
		return c.drain()
	}
	return nil
}

// drain has everything in flight answered, without ending the implicit transaction as Sync would.
func (c *session) drain() error {
	t := &c.turn
	if t.empty() {
		return nil
	}
	if t.part == nil {
		return c.receive()
	}
	last := t.steps[len(t.steps)-1].kind
	for i := len(t.steps) - 1; i > t.head && last == stepLocal; i-- {
		last = t.steps[i].kind
	}
	if last != stepSync && last != stepQuery {
		if err := t.part.conn.Wire().Write(flushFrame); err != nil {
			return c.lost(err)
		}
	}
	return c.receive()
}
