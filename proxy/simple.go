package proxy

import (
	"context"

	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/router"
)

// longText is the size in bytes from which on a text may take long to be parsed.
const longText = 16 << 10

// query handles one Query message: a statement, several, or none (PostgreSQL manual, "Simple Query").
func (c *session) query(ctx context.Context, frame []byte) error {
	body := pgwire.BodyOf(frame)
	text := body.Text()
	if !body.Done() {
		return c.reject(errProtocol("invalid Query message"))
	}
	if c.unit.open {
		c.again.ready = false // its answer comes before that of the Query
		if err := c.endPipelined(ctx); err != nil {
			return err
		}
		c.unit.open = false
	}
	c.releaseUnnamed(c.unnamed)
	c.unnamed = nil // as in PostgreSQL, a Query message ends the unnamed statement
	if len(text) > longText {
		c.takeTime()
	}
	bounds, err := c.srv.router.Query(c.snap, c.state.env, text, &c.scratch)
	if err != nil {
		return c.reject(err)
	}
	switch len(bounds) {
	case 0:
		return c.reply(pgwire.AppendEmpty(c.out[:0], pgwire.EmptyQueryResponse))
	case 1:
		return c.simple(ctx, &bounds[0], frame)
	}
	return c.script(ctx, bounds)
}

// simple runs one statement of a Query message. Frame is the client's message if the statement is all of it, else nil.
func (c *session) simple(ctx context.Context, b *router.Bound, frame []byte) error {
	stmt := b.Statement
	if c.tx.failed && !endsFailed(stmt.Verb) {
		return c.reject(errFailedTransaction())
	}
	c.noteCode(stmt.Inert(b.Values))
	if c.isLocal(stmt) {
		if r := stmt.Refused(); r != nil {
			return c.reject(r)
		}
		return c.control(ctx, stmt, string(b.Text), b.Values)
	}
	key, err := c.keyFor(stmt, b.Text)
	if err != nil {
		return c.reject(err)
	}
	plan, err := c.plan(stmt, key, b.Values)
	if frame != nil && c.meansAnew(ctx, err) {
		return c.query(ctx, frame)
	}
	if err != nil {
		wide, pulled, err := c.planWide(stmt, string(b.Text), nil, err)
		if err != nil {
			return c.reject(c.reconsider(ctx, b, err))
		}
		stmt, plan = wide, *pulled
	}
	record(c, b.Text, &plan)
	if err := c.admit(ctx, stmt, &plan, b.Values); err != nil {
		return c.reject(err)
	}
	if q := c.queueing(stmt, &plan); q != nil && frame != nil {
		own := plan // so that the plan of a statement which is not queued stays on the stack
		s := &spread{stmt: stmt, plan: &own, text: string(b.Text), values: b.Values, describe: true}
		if _, alone, err := c.enqueue(ctx, s, q); !alone || err != nil {
			return err
		}
	} else if err := c.awaitWrites(ctx, stmt, &plan); err != nil {
		return c.reject(err)
	}
	if rule := c.batching(stmt, &plan, len(b.Text)); rule != nil && frame != nil && !c.takesOff(&plan, rule) {
		own := plan // so that the plan of a statement which is not batched stays on the stack
		s := &spread{stmt: stmt, plan: &own, text: string(b.Text), values: b.Values, key: key, describe: true}
		if _, alone, err := c.batch(ctx, s, rule); !alone {
			return err
		}
	}
	switch plan.Kind {
	case router.One, router.Home, router.Reference:
		err := c.relayQuery(ctx, b, &plan, frame)
		if err == nil && !c.again.refused.IsZero() {
			return c.queryAgain(ctx, frame)
		}
		return err
	}
	return c.wide(ctx, b, plan, key)
}

// wide runs one statement of a Query message that concerns several servers.
func (c *session) wide(ctx context.Context, b *router.Bound, plan router.Plan, key givenKey) error {
	c.takeTime()
	stmt := b.Statement
	switch plan.Kind {
	case router.Gather:
		return c.gather(ctx, &gathering{stmt: stmt, plan: &plan, client: string(b.Text), text: textOf(&plan, b.Text), merge: plan.Merge, describe: true})
	case router.Pull:
		return c.pull(ctx, &pull{stmt: stmt, plan: &plan, text: string(b.Text), describe: true})
	case router.Broadcast:
		return c.broadcast(ctx, &spread{stmt: stmt, plan: &plan, text: string(b.Text), describe: true})
	case router.Split:
		_, err := c.split(ctx, &spread{stmt: stmt, plan: &plan, text: string(b.Text), key: key, describe: true})
		return err
	case router.Staged:
		return c.staged(ctx, &spread{stmt: stmt, plan: &plan, text: string(b.Text), describe: true})
	}
	return c.reject(errUnsupported("this statement is not supported", ""))
}

// reconsider returns what to tell of a statement that is refused: if it calls a function that is not known, the home shard's own
// error, if it has one.
func (c *session) reconsider(ctx context.Context, b *router.Bound, refused error) error {
	if !b.Unknown {
		return refused
	}
	c.takeTime()
	p, err := c.usePlain(ctx, c.home(), false)
	if err != nil {
		return err
	}
	if _, err := p.inspect(string(b.Text), nil); err != nil {
		return err
	}
	return refused
}

func textOf(plan *router.Plan, text []byte) string {
	if plan.SQL != "" {
		return plan.SQL
	}
	return string(text)
}

// relayQuery passes a statement to the one server that it concerns.
func (c *session) relayQuery(ctx context.Context, b *router.Bound, plan *router.Plan, frame []byte) error {
	var k *work
	if c.isCovered(b.Statement) {
		own := *plan // so that the plan of a statement which is not covered stays on the stack
		w := &writing{stmt: b.Statement, plan: &own, text: string(b.Text)}
		err := c.direct(w)
		if err == nil && w.undo.Kind == router.UndoDerived {
			return c.derived(ctx, w, true)
		}
		if err == nil {
			k, err = c.cover(ctx, w)
		}
		if err != nil {
			return c.rejectBegun(err)
		}
	}
	c.tx.covered = k
	p, err := c.useFor(ctx, plan, b.Access != router.Read)
	if err != nil {
		return c.rejectBegun(err)
	}
	if frame != nil && k == nil {
		if s := c.frequentQuery(b, plan); s != nil {
			if err := c.relayFrequent(p, s, b.Access == router.Read); err != nil || !c.again.stale {
				return err
			}
			c.again.stale = false
		}
	}
	c.again.ready = frame != nil && c.mayRepeat(b.Statement)
	if frame == nil || plan.SQL != "" {
		frame = pgwire.AppendText(nil, pgwire.Query, textOf(plan, b.Text))
	}
	noted := note(c, b.Statement, b.Text, b.Values)
	if k != nil {
		c.noteWork(k, b.Statement)
	}
	if err := c.send(frame, step{kind: stepQuery, noted: noted || k != nil}); err != nil {
		return err
	}
	return c.receive()
}

// script runs a Query message of several statements as PostgreSQL does: in one transaction, up to the first error, unless
// BEGIN and COMMIT in it say otherwise.
func (c *session) script(ctx context.Context, bounds []router.Bound) error {
	c.takeTime()
	for i := range bounds {
		if !c.tx.active {
			c.open("", true)
		}
		if err := c.simple(ctx, &bounds[i], nil); err != nil {
			if ignoreReported(err) != nil {
				return err
			}
			return c.endScript(ctx)
		}
	}
	return c.endScript(ctx)
}

// endScript commits what the script has run outside of its own transaction blocks, or rolls it back after an error.
func (c *session) endScript(ctx context.Context) error {
	if err := c.settle(); err != nil {
		return err
	}
	return c.endImplicit(ctx)
}

// endImplicit ends the transaction that no BEGIN has opened, if there is one.
func (c *session) endImplicit(ctx context.Context) error {
	if !c.tx.implicit {
		return nil
	}
	if c.tx.failed {
		c.rollbackParts()
		c.closed(false, false)
		return nil
	}
	return c.commitQuietly(ctx)
}
