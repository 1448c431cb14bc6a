package proxy

import (
	"context"
	"encoding/binary"
	"strings"

	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/proxy/internal/merge"
	"github.com/pgring/pgring/router"
)

// executeLocal runs a portal that does not live on one server.
func (c *session) executeLocal(ctx context.Context, name []byte, p *portal, limit int) error {
	if c.isLocal(p.stmt) {
		return c.control(ctx, p.stmt, p.text, p.values)
	}
	if isControl(p.stmt.Verb) && p.plan.Kind == router.KindUnset {
		return c.executeMoved(ctx, p)
	}
	if !p.isShared() {
		c.takeTime()
	}
	if err := c.drain(); err != nil {
		return err
	}
	if c.tx.failed {
		return c.reject(errFailedTransaction())
	}
	if p.done {
		return c.executeAgain(p)
	}
	switch {
	case limit == 0:
	case p.returnsRows():
		p.done = true
		return c.openPortal(ctx, name, p, limit)
	case p.stmt.Returns || p.plan.Kind == router.Gather:
		return c.reject(errUnsupported("a row limit on this statement is not supported",
			"Fetch all rows, or add a condition on the shard key."))
	}
	p.done = true
	switch p.plan.Kind {
	case router.Gather:
		return c.gather(ctx, &gathering{stmt: p.stmt, plan: &p.plan, client: p.text, text: textOf(&p.plan, []byte(p.text)), bind: p.values,
			oids: p.owner.shared.oids, merge: p.plan.Merge})
	case router.Pull:
		return c.pull(ctx, &pull{stmt: p.stmt, plan: &p.plan, text: p.text, bind: p.values, oids: p.owner.shared.oids})
	case router.Broadcast:
		return c.broadcast(ctx, &spread{stmt: p.stmt, plan: &p.plan, text: p.text, bind: p.values, oids: p.owner.shared.oids, shared: p.owner.shared})
	case router.Staged:
		return c.staged(ctx, &spread{stmt: p.stmt, plan: &p.plan, text: p.text, bind: p.values, oids: p.owner.shared.oids})
	case router.Split:
		s := &spread{stmt: p.stmt, plan: &p.plan, text: p.text, bind: p.values, oids: p.owner.shared.oids, shared: p.owner.shared, key: p.key, write: p.write,
			batch: p.batch, queue: p.queue}
		tag, err := c.split(ctx, s)
		if err == nil && s.returned {
			p.again = tag[:strings.LastIndexByte(tag, ' ')] + " 0"
		}
		return err
	}
	return c.reject(errUnsupported("this statement is not supported", ""))
}

// executeAgain answers for a portal that has been run to its end, as PostgreSQL does: a query has no more rows.
func (c *session) executeAgain(p *portal) error {
	if p.returnsRows() {
		return c.replyTag("SELECT 0")
	}
	if p.again != "" {
		return c.replyTag(p.again)
	}
	return c.reject(&pgwire.Error{Code: "55000", Message: "portal cannot be run"})
}

// executeMoved runs a transaction statement that was bound before a server took part and now concerns exactly one.
func (c *session) executeMoved(ctx context.Context, p *portal) error {
	part, err := c.use(ctx, c.sole().shard, false)
	if err != nil {
		return c.reject(err)
	}
	part.unnamed = 0
	c.out = appendRun(c.out[:0], "", p.text)
	c.turn.steps = append(c.turn.steps, step{kind: stepParse, hidden: true}, step{kind: stepBind, hidden: true})
	return c.send(c.out, step{kind: stepExecute, noted: note(c, p.stmt, p.text, p.values)})
}

// describeLocal tells what a portal that does not live on one server returns.
func (c *session) describeLocal(ctx context.Context, p *portal) error {
	if p.isShared() && p.stmt.InsertsRow() && !p.stmt.Returns {
		return c.replyNoData()
	}
	if p.stmt.Verb == router.Execute {
		c.takeTime()
		return c.describeExecute(ctx, p.stmt, p.values)
	}
	if isControl(p.stmt.Verb) || c.isLocal(p.stmt) {
		return c.replyFields(p.stmt, p.values)
	}
	c.takeTime()
	if err := c.drain(); err != nil {
		return err
	}
	switch {
	case p.plan.Explained != nil:
		return c.reply(pgwire.AppendRowDescription(c.out[:0], planFields()))
	case p.plan.Out != nil:
		return c.describeAt(ctx, p.plan.Shards[0], p.text, p.values, p.owner.shared.oids)
	case p.plan.Kind != router.Gather:
		return c.describeOn(ctx, p)
	}
	g := &gathering{plan: &p.plan, text: textOf(&p.plan, []byte(p.text)), bind: p.values.widen(p.plan.Merge.Hidden), oids: p.owner.shared.oids}
	fields, err := c.describeGather(ctx, g)
	if err != nil {
		return err
	}
	merger, err := merge.New(p.plan.Merge, fields)
	if err != nil && p.plan.Merge.Unsure {
		return c.describeAt(ctx, p.plan.Shards[0], p.text, p.values, p.owner.shared.oids)
	}
	if err != nil {
		return c.reject(err)
	}
	return c.reply(pgwire.AppendRowDescription(c.out[:0], merger.Fields()))
}

// replyNoData says that a portal returns no rows.
func (c *session) replyNoData() error {
	if err := c.drain(); err != nil {
		return err
	}
	return c.reply(pgwire.AppendEmpty(c.out[:0], pgwire.NoData))
}

// replyFields describes the answer of a statement that the session answers itself.
func (c *session) replyFields(stmt *router.Statement, bind *bindMessage) error {
	switch stmt.Verb {
	case router.ExplainRoute:
		return c.reply(pgwire.AppendRowDescription(c.out[:0], stepFields()))
	case router.Generate:
		return c.reply(pgwire.AppendRowDescription(c.out[:0], generatedFields(stmt, generatedFormats(bind))))
	}
	if fields := ownFields(stmt); fields != nil {
		return c.reply(pgwire.AppendRowDescription(c.out[:0], fields))
	}
	return c.reply(pgwire.AppendEmpty(c.out[:0], pgwire.NoData))
}

func (c *session) describeLocalStatement(ctx context.Context, stmt *router.Statement) error {
	if err := c.reply(appendTextParameters(c.out[:0], stmt.Params)); err != nil {
		return err
	}
	if stmt.Verb == router.Execute {
		return c.describeExecute(ctx, stmt, nil)
	}
	return c.replyFields(stmt, nil)
}

// appendTextParameters appends a ParameterDescription: what the session answers itself takes its parameters as text.
func appendTextParameters(b []byte, n int) []byte {
	b, at := pgwire.Begin(b, pgwire.ParameterDescription)
	b = binary.BigEndian.AppendUint16(b, uint16(n))
	for range n {
		b = binary.BigEndian.AppendUint32(b, oidText)
	}
	return pgwire.End(b, at)
}

// explainRoute answers EXPLAIN ROUTE.
func (c *session) explainRoute(stmt *router.Statement, values router.Values) error {
	steps, err := stmt.Inner.Explain(c.snap, values)
	if err != nil {
		return c.reject(err)
	}
	b := c.out[:0]
	if !c.unit.open {
		b = pgwire.AppendRowDescription(b, stepFields())
	}
	for i := range steps {
		b = pgwire.AppendDataRow(b, StepRow(&steps[i]))
	}
	c.out = pgwire.AppendText(b, pgwire.CommandComplete, "EXPLAIN")
	return c.reply(c.out)
}

// Explain tells where a statement would be sent, in rows of StepColumns, for a session with the default search_path.
func (s *Server) Explain(_ context.Context, sql string) ([][][]byte, error) {
	var scratch router.Scratch
	snap := s.topology.Current()
	bounds, err := s.router.Query(snap, s.welcomes.env([]string{"public"}, false), []byte(sql), &scratch)
	if err != nil {
		return nil, toWire(err)
	}
	var rows [][][]byte
	for i := range bounds {
		steps, err := bounds[i].Explain(snap, bounds[i].Values)
		if err != nil {
			return nil, toWire(err)
		}
		for j := range steps {
			if steps[j].SQLSent == "" {
				steps[j].SQLSent = string(bounds[i].Text)
			}
			rows = append(rows, StepRow(&steps[j]))
		}
	}
	return rows, nil
}

// TextFields describes columns of type text.
func TextFields(names ...string) []pgwire.Field {
	fields := make([]pgwire.Field, 0, len(names))
	for _, name := range names {
		fields = append(fields, pgwire.Field{Name: name, Type: oidText, Size: -1, Modifier: -1})
	}
	return fields
}

func stepFields() []pgwire.Field { return TextFields(StepColumns()...) }

// StepColumns names the columns of EXPLAIN ROUTE.
func StepColumns() []string {
	return strings.Split("step kind table key shard sql_sent reason", " ")
}
