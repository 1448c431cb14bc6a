package proxy

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/router"
)

// typeOIDs names the types that SQL's PREPARE may declare, with their OIDs in pg_type (PostgreSQL's pg_type.dat; they never change).
var typeOIDs = map[string]uint32{
	"bool": 16, "boolean": 16, "bytea": 17, "name": 19, "int8": 20, "bigint": 20, "int2": 21, "smallint": 21, "int4": 23, "int": 23,
	"integer": 23, "text": 25, "oid": 26, "json": 114, "float4": 700, "real": 700, "float8": 701, "double precision": 701,
	"bpchar": 1042, "varchar": 1043, "character varying": 1043, "date": 1082, "time": 1083, "time without time zone": 1083,
	"timestamp": 1114, "timestamp without time zone": 1114, "timestamptz": 1184, "timestamp with time zone": 1184,
	"interval": 1186, "numeric": 1700, "decimal": 1700, "uuid": 2950, "jsonb": 3802, "unknown": 705,
}

// sqlPrepare is PREPARE: it defines a statement in the name space that the protocol's prepared statements share.
func (c *session) sqlPrepare(ctx context.Context, stmt *router.Statement, text string) error {
	if c.statements[stmt.Name] != nil {
		return c.reject(&pgwire.Error{Code: codeDuplicateStatement, Message: fmt.Sprintf("prepared statement %q already exists", stmt.Name)})
	}
	oids := make([]uint32, 0, len(stmt.Types))
	for _, name := range stmt.Types {
		oid, ok := typeOIDs[strings.TrimPrefix(strings.ToLower(name), "pg_catalog.")]
		if !ok {
			return c.reject(errUnsupported(fmt.Sprintf("PREPARE with a parameter of type %s is not supported", name),
				"Leave the type out, or prepare the statement through the protocol as drivers do."))
		}
		oids = append(oids, oid)
	}
	if err := c.drain(); err != nil {
		return err
	}
	if r := stmt.Inner.Refused(); r != nil {
		return c.reject(r)
	}
	prepared := []byte(preparedText(stmt, text))
	s := &statement{shared: c.intern(prepared, declareKey(prepared, oids), true)}
	if err := c.lookAt(ctx, stmt, s, text); err != nil {
		c.srv.interned.release(s.shared)
		return c.reject(err)
	}
	c.set(stmt.Name, s)
	return c.replyTag("PREPARE")
}

// lookAt has a server look at the statement of PREPARE, whose errors have their positions in the client's text.
func (c *session) lookAt(ctx context.Context, stmt *router.Statement, s *statement, text string) error {
	if c.isLocal(stmt.Inner) || s.shared.valid.Load() {
		return nil
	}
	p, err := c.describer(ctx, s)
	if err != nil {
		return err
	}
	if err := c.drain(); err != nil {
		return err
	}
	c.turn.part = nil
	if p.unsynced && !c.unit.open { // its BEGIN
		if err := p.sync(); err != nil {
			return err
		}
	}
	oids, err := p.types.parameters(s.shared.oids, p.shard)
	if err != nil {
		return err
	}
	before := text[:max(strings.LastIndex(text, stmt.InnerText), 0)]
	_, err = p.inspect(strings.Repeat(" ", utf8.RuneCountInString(before))+s.shared.text, oids)
	return err
}

// preparedText is what PREPARE prepares, with the comments behind it: one of them may say how a write is undone.
func preparedText(stmt *router.Statement, text string) string {
	at := strings.LastIndex(text, stmt.InnerText)
	if at < 0 {
		return stmt.InnerText
	}
	return strings.TrimRight(text[at:], "; \t\r\n")
}

func (c *session) sqlDeallocate(stmt *router.Statement) error {
	if err := c.drain(); err != nil {
		return err
	}
	if stmt.Verb == router.DeallocateAll {
		for name, s := range c.statements {
			c.srv.interned.release(s.shared)
			delete(c.statements, name)
		}
		return c.replyTag("DEALLOCATE ALL")
	}
	s := c.statements[stmt.Name]
	if s == nil {
		return c.reject(errNoStatement([]byte(stmt.Name)))
	}
	c.srv.interned.release(s.shared)
	delete(c.statements, stmt.Name)
	return c.replyTag("DEALLOCATE")
}

// sqlExecute is EXECUTE: the prepared statement is planned with the constants given and bound through the protocol, so that it
// takes the same way as a driver's.
func (c *session) sqlExecute(ctx context.Context, stmt *router.Statement, values router.Values) error {
	s := c.statements[stmt.Name]
	if s == nil {
		return c.reject(errNoStatement([]byte(stmt.Name)))
	}
	inner, err := c.meaning(s)
	if err != nil {
		return c.reject(err)
	}
	if inner.Verb == router.Generate {
		return c.generate(ctx, inner, values)
	}
	args, err := c.arguments(ctx, stmt, s)
	if err != nil {
		return err
	}
	if c.isLocal(inner) {
		return c.control(ctx, inner, s.shared.text, args)
	}
	bind := bindConstants(args, generatedFormats(values))
	if want := max(inner.Params, len(s.shared.oids)); len(bind.values) != want { // it may have declared more than it uses
		return c.reject(errArguments(stmt.Name, want, len(bind.values)))
	}
	bind.types(s.shared.oids)
	key, err := c.keyForPrepared(inner, s.shared)
	if err != nil {
		return c.reject(err)
	}
	plan, err := c.plan(inner, key, bind)
	if err != nil {
		return c.reject(err)
	}
	if err := c.admit(ctx, inner, &plan, bind); err != nil {
		return c.reject(err)
	}
	if err := c.awaitWrites(ctx, inner, &plan); err != nil {
		return c.reject(err)
	}
	describe := !c.unit.open
	switch plan.Kind {
	case router.Gather:
		err := c.gather(ctx, &gathering{stmt: inner, plan: &plan, client: s.shared.text, text: textOf(&plan, []byte(s.shared.text)), bind: bind,
			oids: s.shared.oids, merge: plan.Merge, describe: describe})
		return c.endExecute(ctx, err)
	case router.Pull:
		err := c.pull(ctx, &pull{stmt: inner, plan: &plan, text: s.shared.text, bind: bind, oids: s.shared.oids, describe: describe})
		return c.endExecute(ctx, err)
	case router.Broadcast:
		err := c.broadcast(ctx, &spread{stmt: inner, plan: &plan, text: s.shared.text, bind: bind, oids: s.shared.oids, shared: s.shared, describe: describe})
		return c.endExecute(ctx, err)
	case router.Staged:
		err := c.staged(ctx, &spread{stmt: inner, plan: &plan, text: s.shared.text, bind: bind, oids: s.shared.oids, describe: describe})
		return c.endExecute(ctx, err)
	case router.Split:
		_, err := c.split(ctx, &spread{stmt: inner, plan: &plan, text: s.shared.text, bind: bind, oids: s.shared.oids, shared: s.shared, key: key, describe: describe})
		return c.endExecute(ctx, err)
	}
	return c.executeOn(ctx, &writing{stmt: inner, plan: &plan, text: s.shared.text, bind: bind, shared: s.shared}, s)
}

// executeOn runs a prepared statement with constants on the one server of its plan.
func (c *session) executeOn(ctx context.Context, w *writing, s *statement) error {
	var k *work
	if c.isCovered(w.stmt) {
		err := c.direct(w)
		if err == nil && w.undo.Kind == router.UndoDerived {
			return c.endExecute(ctx, c.derived(ctx, w, !c.unit.open))
		}
		if err == nil {
			k, err = c.cover(ctx, w)
		}
		if err != nil {
			return c.rejectBegun(err)
		}
	}
	return c.runPrepared(ctx, w, s, k)
}

// runPrepared sends it there. In the extended protocol its answer is read with the turn's.
func (c *session) runPrepared(ctx context.Context, w *writing, s *statement, k *work) error {
	c.tx.covered = k
	part, err := c.use(ctx, w.plan.Shard, w.stmt.Access != router.Read)
	if err != nil {
		return c.rejectBegun(err)
	}
	if w.plan.SQL != "" {
		s = c.rewritten(s, w.plan.SQL)
	}
	if err := c.ensureParsed(part, s, false); err != nil {
		return err
	}
	bind, describe := w.bind, !c.unit.open
	if err := c.send(appendBindTo(c.out[:0], bind, s.serverName()), step{kind: stepBind, hidden: true}); err != nil {
		return err
	}
	if describe {
		if err := c.send(pgwire.AppendTarget(c.out[:0], pgwire.Describe, 'P', ""), step{kind: stepDescribe, rows: true}); err != nil {
			return err
		}
	}
	noted := note(c, w.stmt, w.text, bind)
	if k != nil {
		c.noteWork(k, w.stmt)
	}
	if err := c.send(pgwire.AppendExecute(c.out[:0], "", 0), step{kind: stepExecute, noted: noted || k != nil}); err != nil {
		return err
	}
	if describe {
		if err := c.send(syncFrame, step{kind: stepSync}); err != nil {
			return err
		}
	}
	if !describe {
		return nil
	}
	return c.receive()
}

// endExecute ends what an EXECUTE in a Query message has begun through the extended protocol on several servers: no Sync of the
// client's will do so. Err is the outcome of EXECUTE, which it returns.
func (c *session) endExecute(ctx context.Context, err error) error {
	if c.unit.open || ignoreReported(err) != nil {
		return err
	}
	if broken := c.syncServers(ctx); broken != nil {
		return broken
	}
	return err
}

// describeExecute tells what EXECUTE returns: what the prepared statement does, in the formats of the Bind of EXECUTE if there
// is one.
func (c *session) describeExecute(ctx context.Context, stmt *router.Statement, bound *bindMessage) error {
	s := c.statements[stmt.Name]
	if s == nil {
		return c.reject(errNoStatement([]byte(stmt.Name)))
	}
	inner, err := c.meaning(s)
	if err != nil {
		return c.reject(err)
	}
	if c.isLocal(inner) {
		return c.replyFields(inner, nil)
	}
	part, err := c.describer(ctx, s)
	if err != nil {
		return c.reject(err)
	}
	if formats := generatedFormats(bound); slices.Contains(formats, 1) {
		args, err := c.arguments(ctx, stmt, s)
		if err != nil {
			return err
		}
		return c.describeAt(ctx, part.shard, s.shared.text, bindConstants(args, formats), s.shared.oids)
	}
	if err := c.ensureParsed(part, s, false); err != nil {
		return err
	}
	c.out = pgwire.AppendTarget(c.out[:0], pgwire.Describe, 'S', s.serverName())
	return c.send(c.out, step{kind: stepDescribe, bare: true})
}

// bindConstants makes a Bind of constant arguments, in text, for results in the formats given.
func bindConstants(args router.Values, formats []int16) *bindMessage {
	b := &bindMessage{}
	rest := []byte{0, 0, 0, 0}
	n := 0
	for args != nil {
		v, ok := args.Value(n)
		if !ok {
			break
		}
		b.values = append(b.values, v)
		if v.Null {
			rest = append(rest, 0xff, 0xff, 0xff, 0xff)
		} else {
			rest = binary.BigEndian.AppendUint32(rest, uint32(len(v.Data)))
			rest = append(rest, v.Data...)
		}
		n++
	}
	binary.BigEndian.PutUint16(rest[2:], uint16(n))
	b.rest = binary.BigEndian.AppendUint16(rest, uint16(len(formats)))
	for _, format := range formats {
		b.rest = binary.BigEndian.AppendUint16(b.rest, uint16(format))
	}
	b.results = b.rest[len(rest):]
	return b
}
