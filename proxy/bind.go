package proxy

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/router"
)

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
	if c.tx.failed && (stmt.Verb == router.Empty || !endsFailed(stmt.Verb)) { // PostgreSQL parses nothing, but does not bind it
		return c.rejectBind(ctx, errFailedTransaction())
	}
	if len(b.portal) > 0 && c.portal(b.portal) != nil {
		return c.rejectBind(ctx, &pgwire.Error{Code: codeDuplicateCursor, Message: fmt.Sprintf("cursor %q already exists", b.portal)})
	}
	if need := max(stmt.Params, len(s.shared.oids)); len(b.values) != need {
		return c.rejectBind(ctx, errProtocol(fmt.Sprintf("bind message supplies %d parameters, but prepared statement %q requires %d", len(b.values), b.statement, need)))
	}
	p := portal{stmt: stmt, owner: s, text: stmt.TextOn(s.shared.text), inert: stmt.Inert(b)}
	if c.isLocal(stmt) {
		return c.bindKept(ctx, p, frame)
	}
	if p.key, err = c.keyForPrepared(stmt, s.shared); err != nil {
		return c.rejectBind(ctx, err)
	}
	p.plan, err = c.plan(stmt, p.key, b)
	if c.meansAnew(ctx, err) {
		return c.onBind(ctx, frame)
	}
	if err != nil {
		wide, plan, err := c.planWide(stmt, p.text, b, err)
		if err != nil {
			return c.rejectBind(ctx, err)
		}
		stmt, p.stmt, p.plan = wide, wide, *plan
	}
	if err := c.admit(ctx, stmt, &p.plan, b); err != nil {
		return c.rejectBind(ctx, err)
	}
	if err := c.bindSetting(&p, frame); err != nil {
		return c.rejectBind(ctx, err)
	}
	if q := c.queueing(stmt, &p.plan); q != nil && c.isExecutedAlone() {
		if err := c.parseAlone(ctx); err != nil {
			return err
		}
		p.queue = q
		p.plan.Parts, p.plan.Kind = []router.Part{{Shard: p.plan.Shard, SQL: p.plan.SQL}}, router.Split
		return c.bindKept(ctx, p, frame)
	}
	if err := c.awaitWrites(ctx, stmt, &p.plan); err != nil {
		return c.rejectBind(ctx, err)
	}
	if rule := c.batching(stmt, &p.plan, len(frame)); rule != nil && c.isExecutedAlone() && !c.takesOff(&p.plan, rule) {
		if err := c.parseAlone(ctx); err != nil {
			return err
		}
		p.batch = rule
		p.plan.Parts, p.plan.Kind = []router.Part{{Shard: p.plan.Shard, SQL: p.plan.SQL}}, router.Split
	}
	switch p.plan.Kind {
	case router.One, router.Home, router.Reference:
		return c.bindOn(ctx, s, &p, frame)
	default:
		return c.bindKept(ctx, p, frame)
	}
}

// bindSetting readies a portal of SELECT set_config(…), if it is one: what it sets is read when it is done, and if it is not all of its pipeline,
// that becomes a transaction.
func (c *session) bindSetting(p *portal, frame []byte) error {
	if !isQuery(p.stmt) {
		return nil
	}
	p.values = c.bind.keep(frame)
	if c.isFirst() && c.isExecutedAlone() {
		return nil
	}
	_, err := c.enclose(inOneShard)
	return err
}

// parseAlone has a server confirm the Parse that was put off, and gives the connection back. Who waits in line holds none: others need it, and
// a time limit that runs out on it would be told behind the answer of a statement that was done elsewhere.
func (c *session) parseAlone(ctx context.Context) error {
	if c.unit.deferred == nil || c.unit.deferred.shared.valid.Load() {
		return nil
	}
	if err := c.settleParse(ctx, nil); err != nil {
		return err
	}
	if err := c.drain(); err != nil {
		return err
	}
	c.turn.part = nil
	for _, p := range slices.Clone(c.parts) { // the session had none before
		if err := p.sync(); err != nil {
			c.drop(p)
			return c.reject(err)
		}
	}
	c.releaseIdle()
	return nil
}

// bindKept binds what does not live on one server.
func (c *session) bindKept(ctx context.Context, p portal, frame []byte) error {
	p.values = c.bind.keep(frame)
	return c.bindLocally(ctx, string(c.bind.portal), &p)
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
	if c.isCovered(p.stmt) {
		own := p.plan // so that a portal which is not covered stays on the stack
		w := &writing{stmt: p.stmt, plan: &own, text: p.text, bind: b.keep(frame), shared: s.shared}
		err := c.direct(w)
		if err == nil && w.undo.Kind == router.UndoDerived {
			return c.bindDerived(ctx, *p, w)
		}
		if err == nil {
			p.work, err = c.cover(ctx, w)
		}
		if err != nil {
			return c.rejectBind(ctx, err)
		}
	}
	c.tx.covered = p.work
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
	var prepared *statement
	if seen {
		prepared = c.preparedFor(s, p, frame)
	}
	if prepared != nil {
		s = prepared
	}
	if err := c.ensureParsed(part, s, seen); err != nil {
		return err
	}
	if err := c.makeRoom(len(frame)); err != nil {
		return err
	}
	c.out = appendBindTo(c.out[:0], b, s.serverName())
	if err := c.send(c.out, step{kind: stepBind, hidden: c.again.running}); err != nil {
		return err
	}
	if prepared != nil {
		c.again.prepared = prepared.shared
	}
	if prepared != nil && !c.tx.active || c.mayRepeat(p.stmt) { // in a block nothing is repeated
		c.again.keep(frame, p.stmt)
	}
	p.part = part
	c.putPortal(b.portal, p)
	return nil
}

// bindDerived keeps a write whose undoing is derived: when it is executed, the session looks at its rows.
func (c *session) bindDerived(ctx context.Context, p portal, w *writing) error {
	p.plan = *w.parted()
	p.values, p.write = w.bind, w
	return c.bindLocally(ctx, string(w.bind.portal), &p)
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
	return &statement{unnamed: true, shared: &shared{id: rewrittenID, text: sql, oids: s.shared.oids}}
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
	if c.again.running {
		return nil
	}
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
	known, ok := c.cursors[name]
	if !ok {
		return nil
	}
	part := c.participant(known.shard)
	if part == nil {
		return nil
	}
	return &portal{stmt: &router.Statement{Verb: router.Fetch, Access: router.Read}, part: part}
}

func (c *session) deletePortal(name []byte) {
	if len(name) == 0 {
		c.hasCurrent = false
		return
	}
	delete(c.portals, string(name))
	delete(c.cursors, string(name))
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

// widen returns the message with formats for columns that the shards send behind the client's: text. No codes and one code fit any
// number of columns.
func (b *bindMessage) widen(hidden int) *bindMessage {
	if hidden == 0 || len(b.results) <= 4 {
		return b
	}
	count := binary.BigEndian.Uint16(b.results)
	rest := append([]byte(nil), b.rest[:len(b.rest)-len(b.results)]...)
	rest = binary.BigEndian.AppendUint16(rest, count+uint16(hidden))
	rest = append(rest, b.results[2:]...)
	return &bindMessage{rest: append(rest, make([]byte, 2*hidden)...)}
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
