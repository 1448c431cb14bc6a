package proxy

import (
	"context"
	"errors"

	"github.com/pgring/pgring/backend"
	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/router"
)

// extended handles one message of the extended query protocol (PostgreSQL manual, "Extended Query").
func (c *session) extended(ctx context.Context, typ byte, frame []byte) error {
	c.unit.open = true
	c.again.follow(typ)
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
	gone := (*statement)(nil)
	if len(name) == 0 {
		c.set("", nil) // as in PostgreSQL, it is gone even if the new one is refused
		gone = last
	}
	defer func() { c.releaseUnnamed(gone) }()
	if len(text) > longText {
		c.takeTime()
	}
	s := c.parsedBefore(name, text, oids, last)
	if s == nil {
		var err error
		if s, err = c.parse(name, text, oids); err != nil {
			return c.reject(err)
		}
	} else if s == last {
		gone = nil
	}
	if c.isLocal(s.parsed) || s.parsed.Refused() != nil {
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
	if known, ok := c.cursors[stmt.Name]; ok && stmt.Verb == router.Fetch {
		return c.consult(ctx, known.shard)
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
	if err := c.useAgain(ctx, part); err != nil {
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
	c.noteCode(p.inert)
	if p.part == nil || p.stmt.Verb == router.Commit && c.isLocal(p.stmt) {
		return c.executeLocal(ctx, name, p, limit)
	}
	if err := c.useAgain(ctx, p.part); err != nil {
		return c.reject(err)
	}
	if err := c.makeRoom(len(frame)); err != nil {
		return err
	}
	c.again.ready, c.again.limit = c.again.ready && p.stmt == c.again.stmt, uint32(limit)
	noted := note(c, p.stmt, p.text, p.values)
	if p.work != nil {
		c.noteWork(p.work, p.stmt)
	}
	if err := c.send(frame, step{kind: stepExecute, noted: noted || p.work != nil}); err != nil {
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
