package proxy

import (
	"bytes"
	"context"
	"encoding/binary"
	"slices"
	"strconv"

	"github.com/pgring/pgring/backend"
	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/router"
)

// batchLocks has a batch wait for no lock for long: who must wait does so alone.
const batchLocks = "SELECT pg_catalog.set_config('lock_timeout', '100ms', true)"

// runBatch runs the statements in one transaction. When it is not committed nothing of it has remained, and culprit is the member that
// failed, or -1 if that is not known. It is done, too, if nobody knows: then each member has that as its error.
//
// The connection is the batch's own, so that a cancel of the leader's client does not hit the others.
func (c *session) runBatch(ctx context.Context, own *member, all []*member) (culprit int, done bool) {
	conn, err := c.srv.pools.AcquireFor(ctx, own.plan.Shard, c.user.Name, c.base())
	if err != nil {
		return -1, false
	}
	defer conn.Release()
	for _, m := range all {
		m.answer, m.repeated = nil, false
	}
	r := &round{conn: conn, types: c.translation(ctx, own.plan.Shard)}
	r.begin()
	works := all
	if slices.ContainsFunc(all, func(m *member) bool { return m.request != nil }) {
		if culprit, works, err = r.claim(all); err == nil && culprit >= 0 {
			return culprit, r.giveUp()
		}
	}
	if err == nil {
		culprit, err = r.work(c, all, works)
	}
	switch {
	case err != nil:
		lost := &lostError{shard: own.plan.Shard, err: err}
		c.srv.log.Warn("connection to shard lost", "session", c.id, "shard", string(own.plan.Shard), "error", err)
		for _, m := range all {
			m.err = lost
		}
		return -1, true
	case !r.committed:
		return culprit, r.giveUp()
	}
	return -1, true
}

// round collects messages for a server and reads their answers.
type round struct {
	conn    *backend.Conn
	types   *translation
	out     []byte
	answers []*batchAnswer
	parsing []uint64 // statements whose ParseComplete is to come; rewrittenID: nobody remembers it
	closing []uint64
	unnamed string // the text of the unnamed statement; empty: there is none of the batch's

	unnamedTypes []uint32 // that it declares
	committed    bool
}

// batchAnswer is the answer to one Execute.
type batchAnswer struct {
	member int // its index; -1: of none
	shown  bool
	frames []byte
	row    []string
	tag    string
}

// prepare has the server know a statement of a client's, whose types may have other numbers there.
func (r *round) prepare(s *shared) error {
	if r.conn.Prepared(s.id) {
		return nil
	}
	there, err := r.types.parameters(s.oids, r.conn.Shard())
	if err == nil {
		r.know(s.id, s.text, there)
	}
	return err
}

// know has the server know a statement, with types as it numbers them.
func (r *round) know(id uint64, text string, there []uint32) {
	if r.conn.Prepared(id) {
		return
	}
	if evicted, ok := r.conn.AddPrepared(id); ok {
		r.out = pgwire.AppendTarget(r.out, pgwire.Close, 'S', backend.StatementName(evicted))
		r.closing = append(r.closing, evicted)
	}
	r.out = pgwire.AppendParse(r.out, backend.StatementName(id), text, there)
	r.parsing = append(r.parsing, id)
}

// own adds a statement of pgring's own without parameters.
func (r *round) own(id uint64, text string) *batchAnswer {
	r.know(id, text, nil)
	r.out = pgwire.AppendBind(r.out, "", backend.StatementName(id))
	return r.execute(-1)
}

func (r *round) execute(member int) *batchAnswer {
	r.out = pgwire.AppendExecute(r.out, "", 0)
	a := &batchAnswer{member: member}
	r.answers = append(r.answers, a)
	return a
}

func (r *round) begin() {
	r.own(beginID, "BEGIN")
	r.own(batchLocksID, batchLocks)
}

// claim claims the requests among the members. What was done already has its answer, and is not worked any more.
func (r *round) claim(all []*member) (culprit int, works []*member, err error) {
	claims := map[*member]*batchAnswer{}
	for i, m := range all {
		if m.request == nil {
			continue
		}
		r.know(claimID, claimSQL, claimTypes)
		keep := strconv.AppendFloat(nil, m.request.rule.Keep.Seconds(), 'f', -1, 64)
		r.out = appendOwnBind(r.out, "", claimID, claimTypes, m.request.parameters(m.request.fingerprint, keep))
		claims[m] = r.execute(i)
	}
	if culprit, err = r.exchange(); err != nil || culprit >= 0 || !r.inBlock() {
		return max(culprit, 0), nil, err
	}
	for i, m := range all {
		a := claims[m]
		switch {
		case a == nil:
		case len(a.row) == 3 && a.row[0] == "done":
			m.answer, m.tag = []byte(a.row[2]), a.row[1]
			m.repeated = true
			continue
		case len(a.row) != 3 || a.row[0] != "new":
			return i, nil, nil
		}
		works = append(works, m)
	}
	return -1, works, nil
}

// inBlock reports whether the transaction is open, and has not failed.
func (r *round) inBlock() bool { return r.conn.Status() == pgwire.TxActive }

// work runs the members' statements, records the answers to requests, and commits.
func (r *round) work(c *session, all, works []*member) (culprit int, err error) {
	index := map[*member]int{}
	for i, m := range all {
		index[m] = i
	}
	answers := make([]*batchAnswer, len(works))
	asked := false
	for i, m := range works {
		if err := r.prepareMember(m); err != nil {
			return index[m], r.undo()
		}
		answers[i] = r.execute(index[m])
		answers[i].shown = m.describe && m.stmt.Returns
		asked = asked || m.request != nil
	}
	commit := (*batchAnswer)(nil)
	if !asked {
		commit = r.own(batchCommitID, "COMMIT")
	}
	if culprit, err = r.exchange(); err != nil || culprit >= 0 {
		return culprit, err
	}
	for i, m := range works {
		m.answer, m.tag = answers[i].frames, answers[i].tag
		if m.request != nil {
			rows, _, _ := divideAnswer(&kept{answer: m.answer})
			if len(rows) > requestAnswer {
				return index[m], nil
			}
			r.know(recordID, recordSQL, recordTypes)
			r.out = appendOwnBind(r.out, "", recordID, recordTypes, m.request.parameters([]byte(m.tag), rows))
			r.execute(index[m])
		}
	}
	if asked {
		commit = r.own(batchCommitID, "COMMIT")
		if culprit, err = r.exchange(); err != nil || culprit >= 0 {
			return culprit, err
		}
	}
	r.committed = commit.tag == "COMMIT"
	for _, m := range all {
		if r.committed && m.request != nil {
			c.countRequest(m)
		}
	}
	return -1, nil
}

// countRequest counts one for SHOW IDEMPOTENCY.
func (c *session) countRequest(m *member) {
	counts := c.srv.countsOf(m.request.Request.Table)
	if m.repeated {
		counts.repeated.Add(1)
	} else {
		counts.done.Add(1)
	}
}

// undo forgets what was to be sent; the transaction that is open is given up by the caller.
func (r *round) undo() error {
	for _, id := range r.parsing {
		r.conn.ForgetPrepared(id)
	}
	r.conn.MarkDirty("a batch was not sent")
	return nil
}

// prepareMember adds the client's statement up to its Execute.
func (r *round) prepareMember(m *member) error {
	switch {
	case m.bind != nil && m.isRead():
		there, err := r.types.parameters(m.shared.oids, r.conn.Shard())
		if err != nil {
			return err
		}
		r.parse(m.shared.text, there)
		r.out = appendBindTo(r.out, &bindMessage{rest: m.bind.rest}, "")
	case m.bind != nil:
		if err := r.prepare(m.shared); err != nil {
			return err
		}
		r.out = appendBindTo(r.out, &bindMessage{rest: m.bind.rest}, m.shared.name)
	case m.row != nil:
		r.parse(m.row.SQL, nil)
		r.out = appendRowBind(r.out, m.row)
	default:
		r.parse(textOf(m.plan, []byte(m.text)), nil)
		r.out = pgwire.AppendBind(r.out, "", "")
	}
	if m.describe && m.stmt.Returns {
		r.out = pgwire.AppendTarget(r.out, pgwire.Describe, 'P', "")
	}
	return nil
}

// isRead reports whether the server finds out what a parameter's type is, and reads its value from text. Binary values are those of the types that
// the client was told of.
func (m *member) isRead() bool {
	isBinary := func(v router.Value) bool { return v.Binary && !v.Null }
	return (slices.Contains(m.shared.oids, 0) || len(m.shared.oids) < m.stmt.Params) && !slices.ContainsFunc(m.bind.values, isBinary)
}

// parse makes a text the unnamed statement, if it is not.
//
// Invariant: it is parsed in the batch's own transaction, which has the table locked from then on. A statement that is kept has parameters of the types
// that its columns had when it was prepared, and would change a value that is written for a column of another type now.
func (r *round) parse(text string, types []uint32) {
	if r.unnamed == text && slices.Equal(r.unnamedTypes, types) {
		return
	}
	r.unnamed, r.unnamedTypes = text, types
	r.out = pgwire.AppendParse(r.out, "", text, types)
	r.parsing = append(r.parsing, rewrittenID)
}

// appendRowBind binds the values of a row to the unnamed statement.
func appendRowBind(b []byte, row *router.Deferred) []byte {
	b, at := pgwire.Begin(b, pgwire.Bind)
	b = append(b, 0, 0)
	b = appendInt16(b, len(row.Formats))
	for _, format := range row.Formats {
		b = appendInt16(b, int(format))
	}
	b = appendInt16(b, len(row.Values))
	for _, v := range row.Values {
		length := uint32(len(v))
		if v == nil {
			length = ^uint32(0)
		}
		b = append(binary.BigEndian.AppendUint32(b, length), v...)
	}
	return pgwire.End(appendInt16(b, 0), at)
}

// exchange sends what was collected and reads all answers. Culprit is the member whose statement failed; -1 if none has, or if what
// failed was none's.
func (r *round) exchange() (culprit int, err error) {
	wire := r.conn.Wire()
	if err = wire.Write(pgwire.AppendEmpty(r.out, pgwire.Sync)); err == nil {
		err = wire.Flush()
	}
	r.out = r.out[:0]
	culprit = -1
	failed := false
	for err == nil {
		var frame []byte
		if frame, err = readFrame(wire); err != nil {
			break
		}
		body := pgwire.BodyOf(frame)
		switch frame[0] {
		case pgwire.ReadyForQuery:
			r.conn.SetStatus(body.Byte())
			r.answers = r.answers[:0]
			return culprit, nil
		case pgwire.ErrorResponse:
			if isFatal(frame) {
				err = pgwire.ParseError(frame)
				break
			}
			if !failed && len(r.answers) > 0 {
				culprit = r.answers[0].member
			}
			failed = true
			r.skipped()
		default:
			err = r.take(frame, body)
		}
	}
	r.conn.MarkDirty("connection lost")
	return -1, err
}

// take keeps one frame of an answer.
func (r *round) take(frame []byte, body pgwire.Body) error {
	switch frame[0] {
	case pgwire.ParseComplete:
		r.parsing = r.parsing[1:]
		return nil
	case pgwire.CloseComplete:
		r.closing = r.closing[1:]
		return nil
	case pgwire.BindComplete, pgwire.NoData, pgwire.ParameterStatus:
		return nil
	}
	if len(r.answers) == 0 {
		return &pgwire.ProtocolError{Reason: "server answered more than it was asked"}
	}
	a := r.answers[0]
	switch frame[0] {
	case pgwire.CommandComplete, pgwire.EmptyQueryResponse:
		a.tag = string(body.Text())
		r.answers = r.answers[1:]
	case pgwire.RowDescription:
		if err := r.types.describe(frame); err != nil {
			return err
		}
		if a.shown {
			a.frames = append(a.frames, frame...)
		}
	case pgwire.DataRow:
		if a.row == nil {
			a.row = textRow(pgwire.BodyOf(bytes.Clone(frame)))
		}
		a.frames = append(a.frames, frame...)
	case pgwire.NoticeResponse:
		if a.member >= 0 {
			a.frames = append(a.frames, frame...)
		}
	default:
		return &pgwire.ProtocolError{Reason: "unexpected message from server"}
	}
	return nil
}

// skipped corrects what is believed of the connection after an error: the server has not looked at the rest.
func (r *round) skipped() {
	for _, id := range r.parsing {
		if id != rewrittenID {
			r.conn.ForgetPrepared(id)
		}
	}
	for _, id := range r.closing {
		r.conn.RestorePrepared(id)
	}
	r.parsing, r.closing = nil, nil
}

// giveUp rolls back. It returns false: nothing is done.
func (r *round) giveUp() bool {
	if r.conn.Status() != pgwire.TxIdle {
		if _, err := runText(r.conn, "ROLLBACK"); err != nil {
			r.conn.MarkDirty("a batch could not be rolled back")
		}
	}
	return false
}
