package proxy

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/proxy/internal/merge"
	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/router"
)

// gathering is one statement on several shards whose answers become one.
type gathering struct {
	stmt     *router.Statement
	plan     *router.Plan
	client   string       // the client's text
	text     string       // the shards'
	bind     *bindMessage // the client's; nil: simple protocol
	oids     []uint32
	merge    *router.Merge
	describe bool // the client expects a RowDescription

	hidden map[ring.ShardID]string // texts for shards with rows to leave out
}

// gather runs the statement on its shards and streams the merged rows. Each server is read only as fast as its rows are needed.
func (c *session) gather(ctx context.Context, g *gathering) error {
	switch {
	case g.plan.Out != nil:
		return c.copyOut(ctx, g)
	case g.plan.Explained != nil:
		return c.explain(ctx, g)
	}
	if g.merge.Unsure || c.writesOddly() && (len(g.merge.Order) > 0 || len(g.merge.Aggregates) > 0) {
		if fits, err := c.fitsMerge(ctx, g); err != nil || !fits {
			return c.pullInstead(ctx, g, err)
		}
	}
	if g.bind != nil {
		g.bind = g.bind.widen(g.merge.Hidden)
	}
	if err := g.hide(); err != nil {
		return c.reject(err)
	}
	sources, err := c.startGather(ctx, g)
	if err != nil {
		return err
	}
	c.awaitAnswers(ctx, sources)
	rows, err := c.mergeRows(g, sources)
	if err == nil {
		err = c.checkPlan()
	}
	if stop := c.stopGather(ctx, sources, err); stop != nil {
		return stop
	}
	if err == nil {
		c.out = pgwire.AppendText(c.out[:0], pgwire.CommandComplete, "SELECT "+strconv.FormatInt(rows, 10))
		return c.write(c.out)
	}
	return c.failGather(g, sources, err)
}

// failGather tells why a statement that has begun failed.
func (c *session) failGather(g *gathering, sources []*shardRows, err error) error {
	if client := clientError(err); client != nil {
		return client
	}
	told := firstFailure(sources, err)
	if g.hidden != nil { // positions are in another text than the client's
		told = unplaced(told)
	}
	return c.reject(told)
}

// fitsMerge asks a shard for the types of the columns and reports whether rows can be merged by them.
func (c *session) fitsMerge(ctx context.Context, g *gathering) (bool, error) {
	p, err := c.usePlain(ctx, g.plan.Shards[0], false)
	if err != nil {
		return false, err
	}
	c.turn.part = nil
	oids, err := p.types.parameters(g.oids, p.shard)
	if err != nil {
		return false, c.reject(err)
	}
	seen, err := p.inspect(g.text, oids)
	if err != nil {
		return false, c.reject(err)
	}
	fields, _ := pgwire.ParseRowDescription(seen.fields)
	_, err = merge.New(g.merge, fields)
	return err == nil && !(c.writesOddly() && slices.ContainsFunc(fields, hasStyle)), nil
}

// writesOddly reports whether the session's settings may write values in a form that does not show their order.
func (c *session) writesOddly() bool {
	dates, changed := c.state.settings.Lookup("datestyle")
	bytes, _ := c.state.settings.Lookup("bytea_output")
	return changed && !strings.Contains(strings.ToLower(dates), "iso") || strings.Contains(strings.ToLower(bytes), "escape")
}

// hasStyle reports whether a setting decides how a column's values are written as text.
func hasStyle(f pgwire.Field) bool {
	switch f.Type {
	case 17, 1082, 1114, 1184: // bytea, date, timestamp, timestamptz
		return true
	}
	return false
}

// pullInstead answers by copying rows what cannot be merged, unless there is an error, which has been told.
func (c *session) pullInstead(ctx context.Context, g *gathering, told error) error {
	if told != nil {
		return told
	}
	stmt, plan, err := c.planPull(g.client, g.bind)
	if err != nil {
		return c.reject(err)
	}
	return c.pull(ctx, &pull{stmt: stmt, plan: plan, text: g.client, bind: g.bind, oids: g.oids, describe: g.describe})
}

// planPull plans as a pull what was planned as a gather.
func (c *session) planPull(text string, bind *bindMessage) (*router.Statement, *router.Plan, error) {
	stmt, err := c.srv.router.Pull(c.snap, c.state.env, []byte(text))
	if err != nil {
		return nil, nil, err
	}
	var values router.Values
	if bind != nil {
		values = bind
	}
	plan, err := stmt.Plan(c.snap, values)
	if err == nil && len(c.snap.Moves) > 0 {
		plan, err = c.planWhileMoving(stmt, values, plan)
	}
	if err != nil {
		return nil, nil, err
	}
	record(c, text, &plan)
	if plan.Kind != router.Pull {
		return nil, nil, errUnsupported("statement cannot be answered from several shards", "Add a condition on the shard key.")
	}
	return stmt, &plan, nil
}

// planWide plans a read as a pull if what refused it is that the value of a shard key cannot be read: whichever rows it means, they are
// on some of the shards. Or that hidden rows cannot be left out of its own text.
func (c *session) planWide(stmt *router.Statement, text string, bind *bindMessage, cause error) (*router.Statement, *router.Plan, error) {
	var refusal *router.Refusal
	pulls := errors.As(cause, &refusal) && (refusal.Reason == router.KeyNotUnderstood || refusal.Reason == router.SlotsMoving)
	if !pulls || stmt.Access != router.Read || stmt.Verb != router.Plain || c.policy.RefuseScatter {
		return nil, nil, cause
	}
	c.takeTime()
	wide, plan, err := c.planPull(text, bind)
	if err != nil {
		return nil, nil, cause
	}
	return wide, plan, nil
}

// clientError returns err if it means that the client is gone.
func clientError(err error) error {
	var io *pgwire.IOError
	if errors.As(err, &io) && io.Side == pgwire.ClientSide {
		return err
	}
	return nil
}

// startGather sends the statement to all shards, in the order of their names: sessions that take connections in one order cannot
// wait for each other in a circle.
func (c *session) startGather(ctx context.Context, g *gathering) ([]*shardRows, error) {
	sources := make([]*shardRows, 0, len(g.plan.Shards))
	for _, shard := range g.plan.Shards {
		p, err := c.use(ctx, shard, false)
		if err != nil {
			return nil, c.reject(err)
		}
		if err := c.drain(); err != nil {
			return nil, err
		}
		oids, err := p.types.parameters(g.oids, shard)
		if err != nil {
			return nil, c.reject(err)
		}
		p.scratch = p.scratch || g.stmt != nil && g.stmt.Access != router.Read // a lock of a row gives the transaction an id
		sources = append(sources, &shardRows{session: c, part: p, oids: oids, extended: g.bind != nil, limit: c.policy.MessageLimit})
	}
	c.turn.part = nil
	for i, s := range sources {
		if err := s.start(g); err != nil {
			c.abortGather(ctx, sources[:i])
			c.drop(s.part)
			return nil, c.reject(err)
		}
	}
	return sources, nil
}

// awaitAnswers waits until every server has begun to answer. When one answers with an error, or is lost, the others are cancelled
// unless they begin right away: the client need not wait for the slowest to hear of it, and mostly none is slow.
func (c *session) awaitAnswers(ctx context.Context, sources []*shardRows) {
	if len(sources) < 2 {
		return
	}
	bad := make(chan bool, len(sources))
	for _, s := range sources {
		// owner: awaitAnswers, which receives its result; ends with the server's first row, its error, or its connection
		go func() { bad <- !s.begins() }()
	}
	// A cancel that comes before the server has read the statement is without effect: it is repeated until all have answered.
	var again <-chan time.Time
	pause := 10 * time.Millisecond
	for left := len(sources); left > 0; {
		select {
		case failed := <-bad:
			left--
			if !failed || again != nil {
				continue
			}
		case <-again:
			c.cancelStatement(ctx)
			pause = min(2*pause, time.Second)
		}
		again = time.After(pause)
	}
}

// firstFailure is the error to tell of several: one that is not the effect of the session's own cancel, if there is any, and best of those
// one of a shard that knows.
func firstFailure(sources []*shardRows, err error) error {
	for _, s := range sources {
		switch {
		case s.failed == nil || s.failed.Code == codeQueryCanceled || s.failed.Code == codeBehind:
		case endsConnection(s.failed): // it ends the shard's connection, not the client's
			return &lostError{shard: s.shard(), last: s.failed, err: s.failed}
		default:
			return s.failed
		}
	}
	for _, s := range sources {
		if s.failed != nil && s.failed.Code == codeBehind {
			return s.failed
		}
	}
	var canceled *pgwire.Error
	for _, s := range sources {
		if s.broken && errors.As(err, &canceled) && canceled.Code == codeQueryCanceled { // for which the others were cancelled
			return &lostError{shard: s.shard(), err: errDropped}
		}
	}
	return err
}

// mergeRows reads the descriptions, then merges the rows into the client's connection.
func (c *session) mergeRows(g *gathering, sources []*shardRows) (int64, error) {
	var merger *merge.Merger
	inputs := make([]merge.Source, len(sources))
	for i, s := range sources {
		fields, err := s.description()
		if err != nil {
			return 0, err
		}
		if i == 0 {
			if merger, err = merge.New(g.merge, fields); err != nil {
				return 0, err
			}
		}
		inputs[i] = s
	}
	if g.describe {
		c.out = pgwire.AppendRowDescription(c.out[:0], merger.Fields())
		if err := c.write(c.out); err != nil {
			return 0, err
		}
	}
	return merger.Run(inputs, c.write)
}

// stopGather brings every server to the end of its answer. After an error those still running are cancelled.
func (c *session) stopGather(ctx context.Context, sources []*shardRows, cause error) error {
	if cause != nil {
		c.abortGather(ctx, sources)
		return nil
	}
	for _, s := range sources {
		err := s.finish()
		if err == nil && s.failed != nil {
			err = s.failed // behind the last row that LIMIT wanted: the transaction has failed all the same
		}
		if err != nil {
			c.abortGather(ctx, sources)
			return c.reject(err)
		}
	}
	return nil
}

// abortGather cancels the statement on every server that still runs it.
func (c *session) abortGather(ctx context.Context, sources []*shardRows) {
	for _, s := range sources {
		if !s.ended && !s.broken {
			if err := s.part.conn.Cancel(ctx); err != nil {
				s.broken = true
			}
		}
	}
	for _, s := range sources {
		if !s.broken {
			s.broken = s.finish() != nil && !s.ended
		}
		if s.broken {
			c.drop(s.part)
		}
	}
}

// ownPortal is the name of the portals that sessions open for themselves, so that the client's stay as they are.
const ownPortal = "pgring"

var _ merge.Source = (*shardRows)(nil)
