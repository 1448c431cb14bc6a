package proxy

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/pgring/pgring/backend"
	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/router"
)

// extended handles one message of the extended query protocol (PostgreSQL manual, "Extended Query").
func (c *session) extended(ctx context.Context, typ byte, frame []byte) error {
	c.unit.open = true
	if c.unit.deferred != nil && typ != pgwire.Bind && typ != pgwire.Describe {
		if err := c.settleParse(ctx, nil); err != nil && typ != pgwire.Sync {
			return err
		}
	}
	switch typ {
	case pgwire.Parse:
		return c.onParse(frame)
	case pgwire.Bind:
		return c.onBind(ctx, frame)
	case pgwire.Describe:
		return c.onDescribe(ctx, frame)
	case pgwire.Execute:
		return c.onExecute(ctx, frame)
	case pgwire.Close:
		return c.onClose(ctx, frame)
	case pgwire.Flush:
		if err := c.drain(); err != nil {
			return err
		}
		return c.client.Flush()
	default:
		if len(frame) != pgwire.HeaderSize {
			return fatal(codeProtocolViolation, "invalid message format")
		}
		return c.onSync(ctx)
	}
}

// onParse defines a statement. The server hears of it with the next message, which tells which server that is.
func (c *session) onParse(frame []byte) error {
	body := pgwire.BodyOf(frame)
	name, text := body.Text(), body.Text()
	n := body.Int16()
	oids := c.oids[:0]
	for range n {
		oids = append(oids, uint32(body.Int32()))
	}
	c.oids = oids
	if !body.Done() || n < 0 {
		return c.reject(errProtocol("invalid Parse message"))
	}
	if len(name) > 0 && c.statements[string(name)] != nil {
		return c.reject(&pgwire.Error{Code: codeDuplicateStatement, Message: "prepared statement \"" + string(name) + "\" already exists"})
	}
	last := c.unnamed
	if len(name) == 0 {
		c.set("", nil) // as in PostgreSQL, it is gone even if the new one is refused
		defer c.releaseUnnamed(last)
	}
	parsed, err := c.srv.router.Parse(c.snap, c.state.env, text)
	if err != nil {
		return c.reject(err)
	}
	if c.tx.failed && !endsFailed(parsed.Verb) {
		return c.reject(errFailedTransaction())
	}
	s := c.statement(name, text, oids, last)
	s.parsed, s.schema, s.env = parsed, c.snap.Schema, c.state.env
	if c.isLocal(parsed) || parsed.Refused() != nil {
		return c.defineLocally(string(name), s)
	}
	c.define(string(name), s)
	c.unit.deferred = s
	return nil
}

// defineLocally confirms a statement that no server needs to know.
func (c *session) defineLocally(name string, s *statement) error {
	if r := s.parsed.Refused(); r != nil {
		c.srv.interned.release(s.shared)
		return c.reject(r)
	}
	if err := c.drain(); err != nil {
		return err
	}
	c.define(name, s)
	c.confirmChange()
	return c.reply(pgwire.AppendEmpty(c.out[:0], pgwire.ParseComplete))
}

// settleParse sends the Parse that was put off: to p, or, if nothing has said where, to a server that has the tables.
func (c *session) settleParse(ctx context.Context, p *participant) error {
	s := c.unit.deferred
	c.unit.deferred = nil
	if s == nil {
		return nil
	}
	if p == nil && s.shared.valid.Load() {
		return c.replyParsed() // it is sent to the server that it is bound on
	}
	if p == nil {
		var err error
		if p, err = c.describer(ctx, s); err != nil {
			return c.reject(err)
		}
	}
	return c.ensureParsed(p, s, true)
}

// describer returns a participant that can tell what a statement looks like before it is bound.
func (c *session) describer(ctx context.Context, s *statement) (*participant, error) {
	stmt, err := c.meaning(s)
	if err != nil {
		return nil, err
	}
	shard, err := stmt.AnyShard(c.snap)
	if err != nil {
		return nil, err
	}
	if stmt.HomeOnly(c.snap) {
		return c.consult(ctx, shard)
	}
	if len(c.parts) > 0 {
		shard = c.parts[0].shard
	}
	p, err := c.consult(ctx, shard)
	var down *backend.UnavailableError
	for i := 0; errors.As(err, &down) && i < len(c.snap.Shards); i++ { // every shard has the tables: another one will do
		p, err = c.consult(ctx, c.snap.Shards[i].ID)
	}
	return p, err
}

// onBind plans the execution and sends the message to the server that the plan names.
func (c *session) onBind(ctx context.Context, frame []byte) error {
	b := &c.bind
	if !b.decode(frame) {
		return c.reject(errProtocol("invalid Bind message"))
	}
	s := c.lookup(b.statement)
	if s == nil {
		return c.reject(errNoStatement(b.statement))
	}
	if c.unit.deferred != nil && c.unit.deferred != s {
		if err := c.settleParse(ctx, nil); err != nil {
			return err
		}
	}
	b.types(s.shared.oids)
	stmt, err := c.meaning(s)
	if err != nil {
		return c.rejectBind(ctx, err)
	}
	if c.tx.failed && !endsFailed(stmt.Verb) {
		return c.rejectBind(ctx, errFailedTransaction())
	}
	if len(b.portal) > 0 && c.portal(b.portal) != nil {
		return c.rejectBind(ctx, &pgwire.Error{Code: codeDuplicateCursor, Message: fmt.Sprintf("cursor %q already exists", b.portal)})
	}
	if need := max(stmt.Params, len(s.shared.oids)); len(b.values) != need {
		return c.rejectBind(ctx, errProtocol(fmt.Sprintf("bind message supplies %d parameters, but prepared statement %q requires %d", len(b.values), b.statement, need)))
	}
	p := portal{stmt: stmt, owner: s, text: s.shared.text}
	if c.isLocal(stmt) {
		p.values = b.keep(frame)
		return c.bindLocally(ctx, string(b.portal), &p)
	}
	if p.plan, err = c.plan(stmt, b); err != nil {
		return c.rejectBind(ctx, err)
	}
	if isQuery(stmt) {
		p.values = b.keep(frame)
	}
	switch p.plan.Kind {
	case router.One, router.Home, router.Reference:
		return c.bindOn(ctx, s, &p, frame)
	default:
		p.values = b.keep(frame)
		return c.bindLocally(ctx, string(b.portal), &p)
	}
}

// rejectBind reports an error of Bind. A Parse put off before it has its answer first: it stays valid.
func (c *session) rejectBind(ctx context.Context, err error) error {
	if failure := c.settleParse(ctx, nil); failure != nil {
		return failure
	}
	return c.reject(err)
}

// bindOn sends Bind to the one server of the plan.
func (c *session) bindOn(ctx context.Context, s *statement, p *portal, frame []byte) error {
	b := &c.bind
	part, err := c.useFor(ctx, &p.plan, p.stmt.Access != router.Read)
	if err != nil {
		return c.rejectBind(ctx, err)
	}
	seen := c.unit.deferred == s && s != nil
	c.unit.deferred = nil
	if p.plan.SQL != "" {
		s = c.rewritten(s, p.plan.SQL)
		if seen {
			if err := c.replyParsed(); err != nil {
				return err
			}
			seen = false
		}
	}
	if err := c.ensureParsed(part, s, seen); err != nil {
		return err
	}
	if err := c.makeRoom(len(frame)); err != nil {
		return err
	}
	if err := c.send(appendBindTo(c.out[:0], b, s.serverName()), step{kind: stepBind}); err != nil {
		return err
	}
	p.part = part
	c.putPortal(b.portal, p)
	return nil
}

// appendBindTo builds the client's Bind with the statement's name on the server.
func appendBindTo(out []byte, b *bindMessage, name string) []byte {
	out, at := pgwire.Begin(out, pgwire.Bind)
	out = append(append(out, b.portal...), 0)
	out = append(append(out, name...), 0)
	return pgwire.End(append(out, b.rest...), at)
}

// rewritten is the statement with the text that the plan wants.
func (c *session) rewritten(s *statement, sql string) *statement {
	return &statement{unnamed: true, shared: &shared{id: ^uint64(0), text: sql, oids: s.shared.oids}}
}

// replyParsed confirms a Parse of the client's for which the server gets another text.
func (c *session) replyParsed() error {
	if c.turn.empty() {
		c.confirmChange()
		return c.write(pgwire.AppendEmpty(c.out[:0], pgwire.ParseComplete))
	}
	c.confirmWhenReached()
	return nil
}

// bindLocally keeps a portal that is not tied to one server.
func (c *session) bindLocally(ctx context.Context, name string, p *portal) error {
	if err := c.settleParse(ctx, nil); err != nil {
		return err
	}
	c.putPortal([]byte(name), p)
	return c.reply(pgwire.AppendEmpty(c.out[:0], pgwire.BindComplete))
}

// putPortal keeps a portal by name. The unnamed one is a value that is used again, so the usual case allocates nothing.
func (c *session) putPortal(name []byte, p *portal) {
	if len(name) == 0 {
		c.current, c.hasCurrent = *p, true
		return
	}
	if c.portals == nil {
		c.portals = map[string]*portal{}
	}
	kept := *p
	c.portals[string(name)] = &kept
}

func (c *session) portal(name []byte) *portal {
	if len(name) > 0 {
		if p := c.portals[string(name)]; p != nil {
			return p
		}
		return c.cursorPortal(string(name))
	}
	if c.hasCurrent {
		return &c.current
	}
	return nil
}

// cursorPortal is the portal that SQL's DECLARE has made: to the protocol a cursor is a portal of its name.
func (c *session) cursorPortal(name string) *portal {
	shard, ok := c.cursors[name]
	if !ok {
		return nil
	}
	part := c.participant(shard)
	if part == nil {
		return nil
	}
	return &portal{stmt: &router.Statement{Verb: router.Fetch, Access: router.Read}, part: part}
}

func (c *session) onDescribe(ctx context.Context, frame []byte) error {
	body := pgwire.BodyOf(frame)
	kind, name := body.Byte(), body.Text()
	if !body.Done() || (kind != 'S' && kind != 'P') {
		return c.reject(errProtocol("invalid Describe message"))
	}
	if kind == 'S' {
		return c.describeStatement(ctx, name)
	}
	p := c.portal(name)
	switch {
	case p == nil:
		return c.reject(errNoPortal(name))
	case p.part == nil:
		return c.describeLocal(ctx, p)
	}
	return c.forward(ctx, p.part, frame, stepDescribe)
}

// forward sends a message that concerns a portal to the participant where the portal lives.
func (c *session) forward(ctx context.Context, part *participant, frame []byte, kind stepKind) error {
	if _, err := c.use(ctx, part.shard, false); err != nil {
		return c.reject(err)
	}
	if err := c.makeRoom(len(frame)); err != nil {
		return err
	}
	return c.send(frame, step{kind: kind})
}

func (c *session) describeStatement(ctx context.Context, name []byte) error {
	s := c.lookup(name)
	if s == nil {
		return c.reject(errNoStatement(name))
	}
	stmt, err := c.meaning(s)
	if err != nil {
		return c.reject(err)
	}
	if c.isLocal(stmt) {
		return c.describeLocalStatement(ctx, stmt)
	}
	part, err := c.describer(ctx, s)
	if err != nil {
		return c.reject(err)
	}
	seen := c.unit.deferred == s
	if c.unit.deferred != nil && !seen {
		if err := c.settleParse(ctx, nil); err != nil {
			return err
		}
	}
	c.unit.deferred = nil
	if err := c.ensureParsed(part, s, seen); err != nil {
		return err
	}
	c.out = pgwire.AppendTarget(c.out[:0], pgwire.Describe, 'S', s.serverName())
	if err := c.makeRoom(len(c.out)); err != nil {
		return err
	}
	return c.send(c.out, step{kind: stepDescribe})
}

func (c *session) onExecute(ctx context.Context, frame []byte) error {
	body := pgwire.BodyOf(frame)
	name, limit := body.Text(), body.Int32()
	if !body.Done() {
		return c.reject(errProtocol("invalid Execute message"))
	}
	p := c.portal(name)
	if p == nil {
		return c.reject(errNoPortal(name))
	}
	record(c, p.text, &p.plan)
	if p.part == nil {
		return c.executeLocal(ctx, p, limit)
	}
	if _, err := c.use(ctx, p.part.shard, false); err != nil {
		return c.reject(err)
	}
	if err := c.makeRoom(len(frame)); err != nil {
		return err
	}
	if err := c.send(frame, step{kind: stepExecute, noted: note(c, p.stmt, p.text, p.values)}); err != nil {
		return err
	}
	if p.stmt.Verb == router.CopyIn {
		return c.drain() // the client's next messages belong to the COPY
	}
	return nil
}

func (c *session) onClose(ctx context.Context, frame []byte) error {
	body := pgwire.BodyOf(frame)
	kind, name := body.Byte(), body.Text()
	if !body.Done() || (kind != 'S' && kind != 'P') {
		return c.reject(errProtocol("invalid Close message"))
	}
	if kind == 'P' {
		if p := c.portal(name); p != nil && p.part != nil {
			part := p.part
			c.deletePortal(name)
			return c.forward(ctx, part, frame, stepClose)
		}
		c.deletePortal(name)
		return c.reply(pgwire.AppendEmpty(c.out[:0], pgwire.CloseComplete))
	}
	// The server may keep it: other sessions use the same text.
	if c.lookup(name) != nil {
		if err := c.drain(); err != nil {
			return err
		}
		c.define(string(name), nil)
		c.confirmChange()
	}
	return c.reply(pgwire.AppendEmpty(c.out[:0], pgwire.CloseComplete))
}

func (c *session) deletePortal(name []byte) {
	if len(name) == 0 {
		c.hasCurrent = false
		return
	}
	delete(c.portals, string(name))
	delete(c.cursors, string(name))
}

// onSync ends the unit: every server that got messages gets a Sync, and the client one ReadyForQuery.
func (c *session) onSync(ctx context.Context) error {
	if err := c.syncServers(ctx); err != nil {
		return err
	}
	return c.finishUnit(ctx)
}

// syncServers ends the implicit transactions of the unit. After an error, those that did not fail themselves are rolled back: the
// unit is one transaction, as in PostgreSQL, although it may have run on several servers.
func (c *session) syncServers(ctx context.Context) error {
	t := &c.turn
	if t.part != nil && t.part.unsynced && (c.unit.errors == 0 || t.part.skips || c.tx.active) && c.onlyUnsynced(t.part) {
		if err := c.send([]byte{pgwire.Sync, 0, 0, 0, 4}, step{kind: stepSync}); err != nil {
			return ignoreReported(err)
		}
		return ignoreReported(c.receive())
	}
	if err := c.drain(); ignoreReported(err) != nil {
		return err
	}
	return c.syncSeveral()
}

func (c *session) onlyUnsynced(p *participant) bool {
	for _, other := range c.parts {
		if other != p && other.unsynced {
			return false
		}
	}
	return true
}

func (c *session) syncSeveral() error {
	for i := 0; i < len(c.parts); i++ {
		p := c.parts[i]
		if !p.unsynced {
			continue
		}
		if c.unit.errors > 0 && !p.skips && !c.tx.active {
			p.unsynced = false // a Query message ends the pipeline too
			if _, err := p.run("ROLLBACK"); err != nil {
				c.drop(p)
				i--
			}
			continue
		}
		c.turn.part = p
		if err := c.send([]byte{pgwire.Sync, 0, 0, 0, 4}, step{kind: stepSync}); err != nil {
			if ignoreReported(err) != nil {
				return err
			}
			i--
			continue
		}
		before := len(c.parts)
		if err := ignoreReported(c.receive()); err != nil {
			return err
		}
		if len(c.parts) < before {
			i--
		}
	}
	return nil
}

func ignoreReported(err error) error {
	if err == errReported {
		return nil
	}
	return err
}

// finishUnit brings the transaction's state up to date with the servers, gives back what is not needed and tells the client that
// it may go on.
func (c *session) finishUnit(ctx context.Context) error {
	c.settle()
	c.undoSettings()
	if err := c.takeEffect(ctx); err != nil {
		return err
	}
	c.unit.open, c.unit.skipping, c.unit.deferred = false, false, nil
	if !c.tx.active {
		c.hasCurrent = false
		clear(c.portals)
	}
	c.releaseIdle()
	c.finishStats()
	return c.write(pgwire.AppendReady(c.out[:0], c.tx.status()))
}

// undoSettings takes back what a pipeline has set before it failed: it was one transaction.
func (c *session) undoSettings() {
	if before := c.unit.before; before != nil && c.unit.errors > 0 && !c.tx.active {
		c.state = *before
		for _, p := range c.parts {
			p.conn.RecordSettings(before.settings)
		}
	}
	c.unit.before = nil
}

// takeEffect makes what the unit has changed known: settings to this session's router, the schema to every proxy. It comes before
// ReadyForQuery, so that the client's next statement is planned with it.
func (c *session) takeEffect(ctx context.Context) error {
	if c.unit.resolve {
		c.unit.resolve = false
		if err := ignoreReported(c.readMeaning(ctx)); err != nil {
			return err
		}
	}
	if c.unit.defined && c.tx.active {
		c.tx.defined, c.unit.defined = true, false
	}
	if !c.unit.defined {
		return nil
	}
	c.unit.defined = false
	if _, err := c.srv.topology.BumpSchema(ctx); err != nil {
		c.srv.log.Warn("tell other proxies of a changed schema", "error", err)
	}
	return nil
}

// settle takes over what the servers say of the transaction.
func (c *session) settle() {
	began, ended := 0, 0
	for _, p := range c.parts {
		status := p.conn.Status()
		if !p.began {
			if status != pgwire.TxIdle {
				p.conn.MarkDirty("transaction left open")
			}
			continue
		}
		began++
		switch status {
		case pgwire.TxIdle:
			ended++
		case pgwire.TxFailed:
			c.tx.failed = true
		}
	}
	switch {
	case !c.tx.active || began == 0:
	case began == ended:
		c.closed(false, false) // a COMMIT that failed has ended the block as well
	case ended > 0:
		c.tx.failed = true
	}
}

// keep copies a Bind so that it outlives its frame.
func (b *bindMessage) keep(frame []byte) *bindMessage {
	kept := &bindMessage{frame: append([]byte(nil), frame...)}
	kept.decode(kept.frame)
	for i := range kept.values {
		kept.values[i].OID = b.values[i].OID
	}
	return kept
}

// resultFormats decodes the result format codes of a Bind.
func (b *bindMessage) resultFormats() []int16 {
	if len(b.results) < 2 {
		return nil
	}
	codes := make([]int16, binary.BigEndian.Uint16(b.results))
	for i := range codes {
		codes[i] = int16(binary.BigEndian.Uint16(b.results[2+2*i:]))
	}
	return codes
}
