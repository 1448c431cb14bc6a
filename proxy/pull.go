package proxy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/router"
)

// pull is one statement for which rows of several servers are copied into a temporary table on one, the final one, where
// PostgreSQL itself answers it. The rows pass through the session frame by frame: what a server sends as a row in binary format
// is what COPY takes as a row, byte for byte.
//
//	sources ── SELECT, binary rows ──▶ session ── COPY FROM STDIN ──▶ final ── the client's statement ──▶ client
//
// Each source is asked once, and the final server reads its own rows in the client's statement itself: one snapshot each.
type pull struct {
	stmt     *router.Statement
	plan     *router.Plan
	text     string       // the client's
	bind     *bindMessage // nil: simple protocol
	oids     []uint32
	describe bool // the client expects a RowDescription

	portal []byte // the client's name for the portal that stays open on the final server; nil: none does
	limit  int    // rows to return of it now

	final   *participant
	sources []*shardRows
	fields  []byte // the RowDescription that the client's text has over the tables themselves
	style   style
	inline  bool // the rows become constants of the statement
	own     bool // the transaction on the final server is for this statement only
	over    bool // the sources have come to their end
	rows    int64
	bytes   int64
}

// analyzeFrom is the number of copied rows from which the final server's planner is told of them.
const analyzeFrom = 10_000

// pull copies the rows and has the statement answered.
func (c *session) pull(ctx context.Context, g *pull) error {
	interrupts := c.watch.interrupts.Load()
	if err := c.takePull(ctx, g); err != nil {
		return err
	}
	if err := c.preparePull(ctx, g); err != nil {
		c.abortGather(ctx, g.sources)
		return c.failPull(g, err)
	}
	var err error
	if g.inline {
		err = c.takeRows(ctx, g)
	} else {
		err = c.copyRows(ctx, g)
	}
	if err == nil && c.watch.interrupts.Load() != interrupts {
		err = errInterrupted()
	}
	if err == nil {
		err = c.checkPlan()
	}
	if err != nil {
		return c.failPull(g, err)
	}
	return c.answerPull(g)
}

// openPortal runs the client's portal with a row limit: the rows that it needs are copied, and it stays open on the final server.
func (c *session) openPortal(ctx context.Context, name []byte, p *portal, limit int) error {
	plan := &p.plan
	stmt := p.stmt
	if plan.Kind == router.Gather {
		var err error
		if stmt, plan, err = c.planPull(p.text, p.values); err != nil {
			return c.reject(err)
		}
	}
	g := &pull{stmt: stmt, plan: plan, text: p.text, bind: p.values, oids: p.owner.shared.oids, portal: append([]byte{}, name...), limit: limit}
	if err := c.pull(ctx, g); err != nil {
		return err
	}
	p.part = g.final
	return nil
}

// takePull takes the connections, in the order of the shards' names as gather does.
func (c *session) takePull(ctx context.Context, g *pull) error {
	shards := []ring.ShardID{g.plan.Shard}
	for _, part := range g.plan.Parts {
		shards = append(shards, part.Shard)
	}
	slices.Sort(shards)
	for _, shard := range shards {
		if _, err := c.usePlain(ctx, shard, shard == g.plan.Shard && g.stmt.Access != router.Read); err != nil {
			return err
		}
	}
	c.turn.part = nil
	g.final = c.participant(g.plan.Shard)
	return nil
}

// usePlain is use for statements of the session's own: what was sent before has been answered, and outside of the client's
// pipelines the server waits for a Query.
func (c *session) usePlain(ctx context.Context, shard ring.ShardID, writes bool) (*participant, error) {
	p, err := c.use(ctx, shard, writes)
	if err != nil {
		return nil, c.reject(err)
	}
	if err := c.drain(); err != nil {
		return nil, err
	}
	if p.unsynced && !c.unit.open { // its BEGIN
		if err := p.sync(); err != nil {
			return nil, c.reject(err)
		}
	}
	return p, nil
}

// preparePull makes the temporary table and sends the statements to the sources.
func (c *session) preparePull(ctx context.Context, g *pull) error {
	if g.stmt.Verb == router.Declare && !g.stmt.Hold && !c.tx.active {
		return g.outsideBlock()
	}
	if g.portal != nil {
		g.final.unsynced = true // the portal lives as long as the client's pipeline, or its transaction
	}
	g.own = !g.final.began && !g.final.unsynced
	if g.own {
		if _, err := g.final.run("BEGIN READ WRITE"); err != nil {
			return err
		}
	}
	if err := g.choose(); err != nil {
		return err
	}
	g.final.scratch = !g.own && !g.inline
	oids, err := g.final.types.parameters(g.oids, g.final.shard)
	if err != nil {
		return err
	}
	seen, err := g.look(oids)
	if err != nil {
		return err
	}
	g.fields, g.oids = seen.fields, seen.types
	if g.fields != nil {
		if err := g.final.types.describe(g.fields); err != nil {
			return c.reject(err)
		}
	}
	if g.describe && g.fields != nil && g.stmt.Verb == router.Plain {
		if err := c.write(g.fields); err != nil {
			return err
		}
	}
	results := int16(0)
	if !g.inline {
		results = 1
		if _, err := g.final.run(g.plan.Copy.Create); err != nil {
			return noTable(err)
		}
		if err := g.check(); err != nil {
			return err
		}
	}
	for _, part := range g.plan.Parts {
		s := &shardRows{session: c, part: c.participant(part.Shard), extended: true, limit: c.policy.MessageLimit}
		if s.oids, err = s.part.types.parameters(g.final.types.known(g.oids), part.Shard); err != nil {
			return err
		}
		g.sources = append(g.sources, s)
		if err := s.start(&gathering{text: part.SQL, bind: resultsIn(results, g.bind)}); err != nil {
			return err
		}
	}
	c.awaitAnswers(ctx, g.sources)
	return nil
}

// look describes the client's text over the tables themselves: its errors have its positions. A portal is described as it is
// planned, which may tell more of a type than the statement does.
func (g *pull) look(oids []uint32) (outcome, error) {
	text := cmp.Or(g.plan.Copy.Look, g.text)
	if !g.describe {
		return g.final.inspect(text, oids)
	}
	bind := g.bind
	if bind == nil {
		bind = &bindMessage{rest: make([]byte, 6)} // no formats, no parameters, no formats of results
	}
	b := pgwire.AppendTarget(pgwire.AppendParse(nil, "", text, oids), pgwire.Describe, 'S', "")
	return g.final.exchange(appendClosedPortal(b, bind), closedAgain())
}

// check makes sure that the statement over combined groups has the types of the client's.
func (g *pull) check() error {
	if !g.plan.Copy.Check || g.stmt.Verb != router.Plain || g.fields == nil {
		return nil
	}
	final, err := g.final.inspect(g.plan.SQL, g.oids)
	if err != nil {
		return err
	}
	if err := g.final.types.describe(final.fields); err != nil {
		return err
	}
	want, _ := pgwire.ParseRowDescription(g.fields)
	got, _ := pgwire.ParseRowDescription(final.fields)
	if !slices.EqualFunc(want, got, func(a, b pgwire.Field) bool { return a.Name == b.Name && a.Type == b.Type }) {
		return errUnsupported("groups of several shards cannot be combined", "Add a condition on the shard key.")
	}
	return nil
}

// outsideBlock is the error of a cursor that would end with its statement.
func (g *pull) outsideBlock() error {
	if _, err := g.final.inspect(g.text, nil); err != nil {
		return err
	}
	return &pgwire.Error{Code: "25P01", Message: "DECLARE CURSOR can only be used in transaction blocks"}
}

// resultsIn is a Bind with the client's parameters that asks for all results in one format.
func resultsIn(format int16, client *bindMessage) *bindMessage {
	rest := []byte{0, 0, 0, 0} // no formats, no parameters
	if client != nil {
		rest = slices.Clone(client.rest[:len(client.rest)-len(client.results)])
	}
	return &bindMessage{rest: append(rest, 0, 1, 0, byte(format))}
}

// noTable explains why the temporary table could not be made.
func noTable(err error) error {
	var e *pgwire.Error
	if !errors.As(err, &e) {
		return err
	}
	told := *e
	switch e.Code {
	case codeReadOnly:
		told.Code, told.Message = codeFeatureNotSupported, "statement needs a temporary table, which a read-only transaction cannot make"
		told.Hint = "Run it in a transaction that may write, or add conditions on the shard keys."
	case codeNoPrivilege:
		told.Detail = "Rows of several shards are copied into a temporary table on one of them."
		told.Hint = "Grant TEMPORARY on the database to the role, on every shard, or add conditions on the shard keys."
	}
	return &told
}

// copyRows moves the rows of all sources into the temporary table.
func (c *session) copyRows(ctx context.Context, g *pull) error {
	err := g.final.openCopy(g.plan.Copy.Into)
	if err != nil {
		c.abortGather(ctx, g.sources)
		return err
	}
	err = c.feedRows(g)
	if err != nil {
		c.abortGather(ctx, g.sources)
		err = firstFailure(g.sources, err)
	}
	if ended := g.final.closeCopy(err); err == nil {
		err = ended
	}
	if synced := c.endSources(g); err == nil {
		err = synced
	}
	if err == nil && g.rows >= analyzeFrom {
		_, err = g.final.run("ANALYZE pg_temp." + copyTarget(g.plan.Copy))
	}
	return err
}

// copyTarget is the name of the temporary table.
func copyTarget(copied *router.Copy) string {
	return strings.TrimPrefix(copied.Drop, "DROP TABLE pg_temp.")
}

// feedRows passes the rows on, source by source.
func (c *session) feedRows(g *pull) error {
	wire := g.final.conn.Wire()
	if err := wire.Write(copyHeader); err != nil {
		return &lostError{shard: g.final.shard, err: err}
	}
	for _, s := range g.sources {
		if _, err := s.description(); err != nil {
			return err
		}
		for {
			frame, err := s.Next()
			if errors.Is(err, errEndOfRows) {
				break
			}
			if err != nil {
				return err
			}
			if err := c.countRow(g, len(frame)); err != nil {
				return err
			}
			frame[0] = pgwire.CopyData
			if err := wire.Write(frame); err != nil {
				return &lostError{shard: g.final.shard, err: err}
			}
		}
	}
	return nil
}

// countRow counts a row against the limits.
func (c *session) countRow(g *pull, size int) error {
	g.rows++
	g.bytes += int64(size)
	c.watch.rows.Store(g.rows)
	c.watch.bytes.Store(g.bytes)
	if g.rows <= c.policy.PullRows && g.bytes <= c.policy.PullBytes {
		return nil
	}
	return &pgwire.Error{Code: codeTooLarge, Message: "statement needs too many rows of other shards",
		Detail: fmt.Sprintf("limits.pull_rows is %d, limits.pull_bytes is %d.", c.policy.PullRows, c.policy.PullBytes),
		Hint:   "Add conditions that leave fewer rows, or one on the shard key, or raise the limits."}
}

// endSources brings the sources' connections back to where they were. In the extended protocol they stay in the client's pipeline.
func (c *session) endSources(g *pull) error {
	if g.over {
		return nil
	}
	g.over = true
	var failed error
	for _, s := range g.sources {
		if s.broken {
			continue
		}
		if err := s.finish(); err != nil {
			c.drop(s.part)
			failed = err
			continue
		}
		if s.failed != nil && failed == nil {
			failed = s.failed
		}
		if c.unit.open {
			continue
		}
		if err := s.part.sync(); err != nil {
			c.drop(s.part)
			failed = err
		}
	}
	return failed
}

// answerPull runs the client's statement over the rows and relays its answer.
func (c *session) answerPull(g *pull) error {
	err := c.sendPull(g)
	if clientError(err) != nil {
		return err
	}
	return cmp.Or(err, c.endPull(g, err == nil))
}

// sendPull sends the client's statement to the final server and relays the answer.
func (c *session) sendPull(g *pull) error {
	c.turn.part = g.final
	g.final.unnamed = 0
	noted := note(c, g.stmt, g.text, g.bind)
	steps := []step{
		{kind: stepClose, hidden: true, id: rewrittenID},
		{kind: stepParse, hidden: true},
		{kind: stepBind, hidden: true},
		{kind: stepExecute, noted: noted},
		{kind: stepClose, hidden: true, id: rewrittenID}, // or the table could not be dropped
	}
	if g.portal != nil {
		steps = steps[:4]
	}
	if !c.unit.open {
		steps = append(steps, step{kind: stepSync})
	}
	for _, s := range steps {
		if err := c.send(g.message(s.kind), s); err != nil {
			return err
		}
	}
	if c.unit.open {
		return c.drain()
	}
	return c.receive()
}

// message is the frame of one step of the statement on the final server, which runs in a portal of the session's own.
func (g *pull) message(kind stepKind) []byte {
	switch kind {
	case stepClose:
		return pgwire.AppendTarget(nil, pgwire.Close, 'P', ownPortal)
	case stepParse:
		return pgwire.AppendParse(nil, "", g.plan.SQL, g.oids)
	case stepBind:
		if g.bind == nil {
			return pgwire.AppendBind(nil, ownPortal, "")
		}
		return appendBindTo(nil, &bindMessage{portal: []byte(g.portalName()), rest: g.bind.rest}, "")
	case stepExecute:
		return pgwire.AppendExecute(nil, g.portalName(), uint32(g.limit))
	default:
		return pgwire.AppendEmpty(nil, pgwire.Sync)
	}
}

func (g *pull) portalName() string {
	if g.portal != nil {
		return string(g.portal)
	}
	return ownPortal
}

// failPull reports why the statement failed before it could be answered.
func (c *session) failPull(g *pull, cause error) error {
	_ = c.endSources(g) // the cause is told
	var lost *lostError
	if errors.As(cause, &lost) && lost.shard == g.final.shard && c.participant(lost.shard) == g.final {
		c.drop(g.final)
	}
	return cmp.Or(c.endPull(g, false), c.reject(cause))
}

// endPull drops the temporary table: with the transaction if that was for this statement only. A transaction of the client's that
// has failed takes it along.
func (c *session) endPull(g *pull, answered bool) error {
	if c.participant(g.plan.Shard) != g.final {
		return nil // the connection is lost
	}
	var err error
	switch {
	case g.inline:
	case g.own && answered:
		_, err = g.final.run("COMMIT")
	case g.own:
		err = c.rollbackPart(g.final)
	case answered && (g.stmt.Verb == router.Declare || g.portal != nil): // it reads the table as long as the transaction lasts
		c.kept++
		_, err = g.final.run(fmt.Sprintf("ALTER TABLE pg_temp.%s RENAME TO pgring_kept_%d", copyTarget(g.plan.Copy), c.kept))
	case answered:
		_, err = g.final.run(g.plan.Copy.Drop)
	}
	c.turn.part = nil
	if err == nil {
		return nil
	}
	c.drop(g.final)
	switch {
	case !answered:
		return nil // the cause is told
	case g.own:
		err = commitFault(err)
	}
	return c.reject(err) // what was done there is gone, or may be
}
