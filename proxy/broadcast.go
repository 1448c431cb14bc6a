package proxy

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/pgring/pgring/backend"
	"github.com/pgring/pgring/ingest"
	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/router"
)

// spread is one statement that runs on several shards: DDL, TRUNCATE, a write whose rows are on several shards or on each.
type spread struct {
	stmt     *router.Statement
	plan     *router.Plan
	text     string
	bind     *bindMessage  // nil: simple protocol
	values   router.Values // of the simple protocol: the constants; nil: they are to be found in the text
	oids     []uint32
	shared   *shared // nil: simple protocol
	describe bool
	returned bool          // Split: it has answered with rows
	key      givenKey      // Split: which request it is, if the client has said so
	write    *writing      // Split: it is on one shard, and its undoing is derived
	queue    *ingest.Queue // Split: it is on one shard, and may be done later
	batch    *Batching     // Split: it is on one shard, and may share a transaction there

	style     style // Staged: how values are written
	rewritten bool  // text is not the client's, but made of what queries have returned
	filled    bool  // text has shard keys that the client left to the session
}

// broadcast runs the statement on all its shards, on all or none of them where PostgreSQL can.
func (c *session) broadcast(ctx context.Context, s *spread) error {
	if s.stmt.Verb == router.CopyIn {
		_, err := c.split(ctx, s)
		return err
	}
	parts := s.parts()
	if len(parts) == 1 {
		return c.broadcastOne(ctx, s, parts[0])
	}
	if s.stmt.Locks != nil {
		return c.lockTables(ctx, s, parts)
	}
	if s.stmt.Copies {
		_, err := c.split(ctx, s)
		return err
	}
	if err := c.drain(); err != nil {
		return err
	}
	if c.tx.active && s.plan.NoTransaction {
		return c.reject(&pgwire.Error{Code: codeActiveTransaction, Message: "this statement cannot run inside a transaction block"})
	}
	if c.tx.active && c.commitMode() == CommitTwoPhase {
		return c.broadcastInBlock(ctx, s, parts)
	}
	if c.tx.active {
		return c.reject(&pgwire.Error{Code: codeFeatureNotSupported, Message: "statement would change several shards inside a transaction block",
			Detail: fmt.Sprintf("It runs on %d shards.", len(parts)), Hint: "Run it outside of BEGIN … COMMIT, as a message of its own, or SET LOCAL pgring.cross_shard = '2pc': it is then applied to all shards or to none."})
	}
	for _, p := range c.parts {
		if p.unsynced && p.wrote {
			return c.reject(errCrossShard(p.shard, parts[0].Shard))
		}
	}
	for _, part := range parts {
		if _, err := c.use(ctx, part.Shard, false); err != nil {
			return c.reject(err)
		}
	}
	c.turn.part = nil
	if s.plan.ShardByShard {
		return c.runEach(s, parts)
	}
	return c.runAll(ctx, s, parts)
}

// broadcastInBlock runs a definition or TRUNCATE in a transaction of mode 2pc: the shards become part of it.
func (c *session) broadcastInBlock(ctx context.Context, s *spread, parts []router.Part) error {
	c.takeTime()
	if err := c.chooseMode(ctx, parts); err != nil {
		return c.reject(err)
	}
	tag := ""
	for i, part := range parts {
		p, err := c.use(ctx, part.Shard, true)
		if err != nil {
			return c.reject(err)
		}
		if err := c.drain(); err != nil {
			return err
		}
		if p.unsynced {
			if err := p.sync(); err != nil {
				return c.reject(err)
			}
		}
		answer, err := c.runOn(p, s, part, i == 0)
		if err != nil {
			return c.reject(err)
		}
		if i > 0 && answer.tag != tag && s.stmt.Access != router.Define {
			return c.reject(errDiffers(s.stmt, parts[0].Shard, part.Shard, tag, answer.tag))
		}
		tag = answer.tag
	}
	c.turn.part = nil
	c.defined(s.stmt)
	c.tx.redefine(s.stmt)
	return c.replyDefined(s.stmt, tag)
}

// parts lists the shards and the text for each, the home shard's or first one's answer being the client's.
func (s *spread) parts() []router.Part {
	if len(s.plan.Parts) > 0 {
		return s.plan.Parts
	}
	parts := make([]router.Part, 0, len(s.plan.Shards))
	for _, shard := range s.plan.Shards {
		parts = append(parts, router.Part{Shard: shard, SQL: s.plan.SQL})
	}
	return parts
}

func (s *spread) sql(part router.Part) string {
	if part.SQL != "" {
		return part.SQL
	}
	return s.text
}

// broadcastOne is the case of one shard, such as a mixed statement of which one shard has all tables.
func (c *session) broadcastOne(ctx context.Context, s *spread, part router.Part) error {
	p, err := c.use(ctx, part.Shard, true)
	if err != nil {
		return c.reject(err)
	}
	if err := c.drain(); err != nil {
		return err
	}
	c.turn.part = nil
	answer, err := c.runOn(p, s, part, true)
	if err != nil {
		return c.reject(err)
	}
	c.defined(s.stmt)
	return c.replyDefined(s.stmt, answer.tag)
}

// replyDefined answers with the tag, and with what the client is to know.
func (c *session) replyDefined(stmt *router.Statement, tag string) error {
	for _, text := range stmt.Notices {
		if err := c.notice(&pgwire.Error{Severity: "NOTICE", Code: "00000", Message: text}); err != nil {
			return err
		}
	}
	return c.replyTag(tag)
}

// runEach runs a statement that PostgreSQL only runs outside of transactions, or that needs none, shard by shard.
func (c *session) runEach(s *spread, parts []router.Part) error {
	var done []string
	tag := ""
	for i, part := range parts {
		answer, err := c.runOn(c.participant(part.Shard), s, part, i == 0)
		if err != nil {
			e := *toWire(err)
			e.Detail = strings.TrimSpace(fmt.Sprintf("%s It failed on shard %q; done on: %s.", e.Detail, part.Shard, listOr(done, "none")))
			e.Hint = "This statement cannot run in a transaction, so it is not undone elsewhere. Repeat it when the cause is removed."
			c.defined(s.stmt)
			return c.reject(&e)
		}
		tag = answer.tag
		done = append(done, string(part.Shard))
	}
	c.defined(s.stmt)
	return c.replyTag(tag)
}

func listOr(names []string, none string) string {
	if len(names) == 0 {
		return none
	}
	return strings.Join(names, ", ")
}

// runAll runs the statement in one transaction for each shard and commits all of them, or none.
func (c *session) runAll(ctx context.Context, s *spread, parts []router.Part) error {
	var tag string
	conns := make([]*backend.Conn, 0, len(parts))
	for i, part := range parts {
		p := c.participant(part.Shard)
		if _, err := p.run("BEGIN"); err != nil {
			return c.undoAll(parts, err)
		}
		p.began = true
		answer, err := c.runOn(p, s, part, i == 0)
		if err != nil {
			return c.undoAll(parts, err)
		}
		if i == 0 {
			tag = answer.tag
		} else if answer.tag != tag {
			return c.undoAll(parts, errDiffers(s.stmt, parts[0].Shard, part.Shard, tag, answer.tag))
		}
		conns = append(conns, p.conn)
	}
	if err := c.checkPlan(); err != nil {
		return c.undoAll(parts, err)
	}
	err := c.srv.commit.Commit(ctx, conns)
	for _, part := range parts {
		c.participant(part.Shard).began = false
	}
	if err != nil {
		return c.undoAll(parts, err)
	}
	c.defined(s.stmt)
	return c.replyDefined(s.stmt, tag)
}

// errDiffers reports that copies of a reference table are not equal: the same statement had different effects.
func errDiffers(stmt *router.Statement, first, other ring.ShardID, tag, otherTag string) error {
	if stmt.Access == router.Define {
		return nil
	}
	return &pgwire.Error{Code: codeInternal, Message: "the copies of a reference table differ between shards",
		Detail: fmt.Sprintf("Shard %q answered %q, shard %q answered %q. Nothing was changed.", first, tag, other, otherTag),
		Hint:   "Compare the table on the shards and repair it before writing to it."}
}

// undoAll rolls back wherever a transaction is still open and reports why.
func (c *session) undoAll(parts []router.Part, cause error) error {
	for _, part := range parts {
		p := c.participant(part.Shard)
		if p == nil || (!p.began && p.conn.Status() == pgwire.TxIdle) {
			continue
		}
		p.began = false
		if _, err := p.run("ROLLBACK"); err != nil {
			c.drop(p)
		}
	}
	return c.reject(cause)
}

// runOn runs the statement's part on one server. The rows of the first go to the client.
func (c *session) runOn(p *participant, s *spread, part router.Part, shown bool) (outcome, error) {
	out, err := c.runPart(p, s, part, shown)
	if part.SQL != "" {
		return out, unplaced(err)
	}
	return out, s.placed(err)
}

// placed takes the position out of an error that does not concern the client's text.
func (s *spread) placed(err error) error {
	if !s.rewritten && !s.filled && len(s.plan.Hidden) == 0 { // positions mean something to the client
		return err
	}
	return unplaced(err)
}

func (c *session) runPart(p *participant, s *spread, part router.Part, shown bool) (outcome, error) {
	if !shown && s.bind == nil {
		return p.run(s.sql(part))
	}
	b := pgwire.AppendText(nil, pgwire.Query, s.sql(part))
	if s.bind != nil {
		oids, err := p.types.parameters(s.oids, p.shard)
		if err != nil {
			return outcome{}, err
		}
		b = pgwire.AppendParse(c.closeReplaced(nil), "", s.sql(part), oids)
		b = appendOwnPortal(b, s.bind)
		b = pgwire.AppendExecute(b, ownPortal, 0)
		b = pgwire.AppendEmpty(b, pgwire.Sync)
		p.unnamed = 0
	}
	wire := p.conn.Wire()
	if err := wire.Write(b); err != nil {
		return outcome{}, &lostError{shard: p.shard, err: err}
	}
	if err := wire.Flush(); err != nil {
		return outcome{}, &lostError{shard: p.shard, err: err}
	}
	if !shown {
		return readOutcome(p.conn)
	}
	return c.showOutcome(p, s.describe)
}

// closeReplaced closes the client's former unnamed portal on a server, if the present one is not on any: TRUNCATE and the like see open
// portals.
func (c *session) closeReplaced(b []byte) []byte {
	if !c.hasCurrent || c.current.part != nil {
		return b
	}
	return pgwire.AppendTarget(b, pgwire.Close, 'P', "")
}

// showOutcome relays one server's answer to the client, but for its end.
func (c *session) showOutcome(p *participant, describe bool) (out outcome, failure error) {
	wire := p.conn.Wire()
	for {
		typ, size, err := wire.Peek()
		if err != nil {
			return out, &lostError{shard: p.shard, err: err}
		}
		if typ == pgwire.DataRow && failure == nil || typ == pgwire.NoticeResponse {
			if err := wire.Pipe(c.client, size); err != nil {
				return out, err
			}
			continue
		}
		frame, err := readFrame(wire)
		if err != nil {
			return out, &lostError{shard: p.shard, err: err}
		}
		body := pgwire.BodyOf(frame)
		switch typ {
		case pgwire.RowDescription:
			if err := p.types.describe(frame); err != nil {
				failure = err
			} else if describe {
				if err := c.write(frame); err != nil {
					return out, err
				}
			}
		case pgwire.CommandComplete:
			out.tag = string(body.Text())
		case pgwire.ErrorResponse:
			failure = pgwire.ParseError(frame)
		case pgwire.ReadyForQuery:
			p.conn.SetStatus(body.Byte())
			return out, failure
		}
	}
}

// defined notes that the schema has changed, so that the next unit is planned with the new one.
func (c *session) defined(stmt *router.Statement) {
	c.unit.defined = c.unit.defined || stmt.Access == router.Define
}

// describeOn asks the first shard what a portal of several shards returns.
func (c *session) describeOn(ctx context.Context, p *portal) error {
	if p.stmt.InsertsRow() && !p.stmt.Returns {
		return c.reply(pgwire.AppendEmpty(c.out[:0], pgwire.NoData))
	}
	part := router.Part{Shard: p.plan.Shard} // of a pull: the client's text, over the tables as they are
	s := &spread{plan: &p.plan, text: p.text}
	if p.plan.Kind != router.Pull && p.plan.Kind != router.Staged {
		part = s.parts()[0]
	}
	if p.plan.Kind == router.Split {
		part.SQL = "" // the whole statement returns what its parts do
	}
	return c.describeAt(ctx, part.Shard, s.sql(part), p.values, p.owner.shared.oids)
}

// describeAt tells what a bound statement returns, as one shard says.
func (c *session) describeAt(ctx context.Context, shard ring.ShardID, text string, bind *bindMessage, oids []uint32) error {
	g := &gathering{plan: &router.Plan{Shards: []ring.ShardID{shard}}, text: text, bind: bind, oids: oids}
	fields, err := c.describeGather(ctx, g)
	if err != nil {
		return err
	}
	if len(fields) == 0 {
		return c.reply(pgwire.AppendEmpty(c.out[:0], pgwire.NoData))
	}
	return c.reply(pgwire.AppendRowDescription(c.out[:0], fields))
}

// describeGather asks one shard for the description of a bound statement.
func (c *session) describeGather(ctx context.Context, g *gathering) ([]pgwire.Field, error) {
	p, err := c.use(ctx, g.plan.Shards[0], false)
	if err != nil {
		return nil, c.reject(err)
	}
	if err := c.drain(); err != nil {
		return nil, err
	}
	c.turn.part = nil
	oids, err := p.types.parameters(g.oids, p.shard)
	if err != nil {
		return nil, c.reject(err)
	}
	p.unsynced, p.unnamed = true, 0
	seen, err := p.exchange(appendClosedPortal(pgwire.AppendParse(nil, "", g.text, oids), g.bind), closedAgain())
	var lost *lostError
	if errors.As(err, &lost) {
		c.drop(p)
	}
	if err != nil {
		return nil, c.reject(err)
	}
	if seen.fields == nil {
		return nil, nil
	}
	if err := p.types.describe(seen.fields); err != nil {
		return nil, c.reject(err)
	}
	fields, ok := pgwire.ParseRowDescription(seen.fields)
	if !ok {
		return nil, c.reject(errProtocol("server sent a malformed row description"))
	}
	return fields, nil
}

// affected reads the row count at the end of a command tag.
func affected(tag string) int64 {
	n, err := strconv.ParseInt(tag[strings.LastIndexByte(tag, ' ')+1:], 10, 64)
	if err != nil {
		return 0
	}
	return n
}
