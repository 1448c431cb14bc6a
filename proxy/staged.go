package proxy

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/router"
)

// staged runs a write whose queries need rows of other shards than it writes: the queries are answered first, their rows kept, and
// the statement that is left, with constants in their places, is planned and run as any other. All of it is in the client's
// transaction, if there is one; else what is read is as of a moment before the write, as in any READ COMMITTED statement.
func (c *session) staged(ctx context.Context, s *spread) error {
	if s.plan.Stages.Fills() {
		return c.filled(ctx, s)
	}
	if err := c.describeStaged(ctx, s); err != nil {
		return err
	}
	stages := s.plan.Stages
	results := make([]router.StageResult, 0, len(stages.Queries))
	for i := range stages.Queries {
		result, err := c.answerStage(ctx, s, stages.Queries[i].SQL)
		if err != nil {
			return err
		}
		results = append(results, result)
	}
	last := *s
	last.text, last.rewritten = stages.Text(results, string(c.home())), true
	if err := c.planLast(ctx, &last); err != nil {
		return c.reject(err)
	}
	s.stmt = last.stmt
	if last.plan.Kind == router.Broadcast {
		return c.broadcast(ctx, &last)
	}
	_, err := c.split(ctx, &last)
	s.returned = last.returned
	return err
}

// describeStaged has a server look at the client's text: its errors are the client's, and the types of the parameters hold for all
// stages.
func (c *session) describeStaged(ctx context.Context, s *spread) error {
	shard, err := s.stmt.AnyShard(c.snap)
	if err != nil {
		return c.reject(err)
	}
	p, err := c.usePlain(ctx, shard, false)
	if err != nil {
		return err
	}
	c.turn.part = nil
	if s.style, err = p.style(); err != nil {
		return c.reject(err)
	}
	oids, err := p.types.parameters(s.oids, p.shard)
	if err != nil {
		return c.reject(err)
	}
	seen, err := p.inspect(s.text, oids)
	if err != nil {
		return c.reject(err)
	}
	s.oids = p.types.known(seen.types)
	return nil
}

// filled runs an INSERT that leaves its shard keys to pgring.next_id(): the session makes them.
func (c *session) filled(ctx context.Context, s *spread) error {
	last := *s
	last.filled = true
	var err error
	if last.text, err = s.plan.Stages.Fill([]byte(s.text), func() (int64, error) { return c.nextID(ctx) }); err != nil {
		return c.reject(err)
	}
	if err := c.planLast(ctx, &last); err != nil {
		return c.reject(err)
	}
	parts := last.parts()
	if len(parts) == 1 && !c.isCovered(last.stmt) {
		err = c.broadcastOne(ctx, &last, parts[0])
	} else {
		_, err = c.split(ctx, &last)
	}
	s.stmt, s.returned = last.stmt, last.returned
	return err
}

// planLast plans the statement of the last stage.
func (c *session) planLast(ctx context.Context, s *spread) error {
	stmt, err := c.srv.router.Parse(c.snap, c.state.env, []byte(s.text))
	if err != nil {
		return err
	}
	var values router.Values
	if s.bind != nil {
		s.bind.types(s.oids)
		values = s.bind
	}
	plan, err := c.plan(stmt, givenKey{}, values)
	if err != nil {
		return err
	}
	if plan.Kind == router.Staged && plan.Stages.Fills() && !s.filled {
		s.filled = true
		if s.text, err = plan.Stages.Fill([]byte(s.text), func() (int64, error) { return c.nextID(ctx) }); err != nil {
			return err
		}
		return c.planLast(ctx, s)
	}
	switch plan.Kind {
	case router.One, router.Home, router.Reference:
		plan.Parts = []router.Part{{Shard: plan.Shard, SQL: plan.SQL}}
	case router.Split, router.Broadcast:
	default:
		return errUnsupported("the shard key of the rows cannot be placed with certainty", "Cast it to the type of the key's column.")
	}
	s.stmt, s.plan = stmt, &plan
	return nil
}

// answerStage answers a query and keeps its rows.
func (c *session) answerStage(ctx context.Context, s *spread, sql string) (router.StageResult, error) {
	none := router.StageResult{}
	stmt, err := c.srv.router.Parse(c.snap, c.state.env, []byte(sql))
	if err != nil {
		return none, c.reject(err)
	}
	if stmt.Access != router.Read {
		return none, c.reject(errUnsupported("a query in the statement may write", "Run it as a statement of its own."))
	}
	bind := textResults(s.bind)
	var values router.Values
	if bind != nil {
		values = bind
	}
	plan, err := c.plan(stmt, givenKey{}, values)
	if err != nil {
		return none, c.reject(err)
	}
	kept := &kept{limit: c.policy.MessageLimit}
	c.sink = pgwire.NewConn(kept, pgwire.ClientSide)
	err = c.runStage(ctx, &spread{stmt: stmt, plan: &plan, text: sql, bind: bind, oids: s.oids})
	_ = c.sink.Flush() // into memory
	c.sink = c.client
	switch {
	case kept.over:
		err = c.reject(errStageTooLarge(kept.limit))
	case ignoreReported(err) != nil:
		return none, err
	case err != nil:
		return none, c.relayStageError(kept)
	}
	if err != nil {
		return none, err
	}
	return c.stageResult(ctx, s.style, kept)
}

func errStageTooLarge(limit int) error {
	return &pgwire.Error{Code: codeTooLarge, Message: "statement needs too many rows of other shards",
		Detail: fmt.Sprintf("They are more than %d bytes (limits.message_size).", limit),
		Hint:   "Add conditions that leave fewer rows, or write them piece by piece."}
}

// runStage runs the query by its plan; one on a single shard is a gather of one.
func (c *session) runStage(ctx context.Context, s *spread) error {
	var err error
	plan := s.plan
	switch plan.Kind {
	case router.Pull:
		err = c.pull(ctx, &pull{stmt: s.stmt, plan: plan, text: s.text, bind: s.bind, oids: s.oids, describe: true})
	case router.One, router.Home, router.Reference:
		plan.Shards, plan.Merge = append(plan.Shards[:0:0], plan.Shard), &router.Merge{Limit: -1}
		fallthrough
	case router.Gather:
		err = c.gather(ctx, &gathering{stmt: s.stmt, plan: plan, client: s.text, text: textOf(plan, []byte(s.text)), bind: s.bind, oids: s.oids,
			merge: plan.Merge, describe: true})
	default:
		return c.reject(errUnsupported("a query in the statement is not supported", "Run it as a statement of its own."))
	}
	return c.endExecute(ctx, err)
}

// textResults is a Bind with the client's parameters that asks for results as text.
func textResults(client *bindMessage) *bindMessage {
	if client == nil {
		return nil
	}
	b := *client
	b.rest = append(slices.Clone(client.rest[:len(client.rest)-len(client.results)]), 0, 0)
	b.results = b.rest[len(b.rest)-2:]
	return &b
}

// relayStageError tells the client of the error that a query has ended with. One that names something outside of the query says that
// it cannot be answered alone.
func (c *session) relayStageError(k *kept) error {
	for frame := range k.frames() {
		if frame[0] != pgwire.ErrorResponse {
			continue
		}
		e := *pgwire.ParseError(frame)
		if e.Code == codeUndefinedColumn || e.Code == codeUndefinedTable {
			e = pgwire.Error{Code: codeFeatureNotSupported, Message: "statement needs the rows of several shards",
				Detail: "A query in it depends on the rows around it.", Hint: "Join the tables by their shard keys, or read the values first."}
		}
		e.Position = 0
		if err := c.write(pgwire.AppendError(c.out[:0], &e)); err != nil {
			return err
		}
	}
	return errReported
}

// stageResult reads what was kept and asks for the names of the columns' types.
func (c *session) stageResult(ctx context.Context, style style, k *kept) (router.StageResult, error) {
	var r router.StageResult
	var names []string
	for frame := range k.frames() {
		switch frame[0] {
		case pgwire.RowDescription:
			fields, _ := pgwire.ParseRowDescription(frame)
			for _, f := range fields {
				if err := style.fitsText(f.Type); err != nil {
					return r, c.reject(err)
				}
				r.Names, r.OIDs = append(r.Names, f.Name), append(r.OIDs, f.Type)
				names = append(names, fmt.Sprintf("pg_catalog.format_type(%d, %d)", f.Type, f.Modifier))
			}
		case pgwire.DataRow:
			addRow(&r, pgwire.BodyOf(frame))
		}
	}
	if len(names) == 0 {
		return r, c.reject(errUnsupported("a query in the statement returns no columns", ""))
	}
	p, err := c.usePlain(ctx, c.home(), false)
	if err != nil {
		return r, err
	}
	c.turn.part = nil
	out, err := p.run("SELECT " + strings.Join(names, ", "))
	if err != nil {
		return r, c.reject(err)
	}
	r.Types = out.row
	return r, nil
}

// addRow adds a DataRow to the result.
func addRow(r *router.StageResult, body pgwire.Body) {
	row := make([]string, max(body.Int16(), 0))
	nulls := make([]bool, len(row))
	for i := range row {
		n := body.Int32()
		if nulls[i] = n < 0; n >= 0 {
			row[i] = string(body.Bytes(n))
		}
	}
	r.Rows, r.Nulls = append(r.Rows, row), append(r.Nulls, nulls)
}

// style is how a server writes values as text in the open transaction.
type style struct {
	readOnly bool
	dates    bool // in a form that may be read as another value
	floats   bool // without their last digits
}

// style asks the server: SET LOCAL may have changed it.
func (p *participant) style() (style, error) {
	out, err := p.run("SELECT pg_catalog.current_setting('transaction_read_only'), pg_catalog.current_setting('DateStyle'), pg_catalog.current_setting('extra_float_digits')")
	if err != nil {
		return style{}, err
	}
	digits, err := strconv.Atoi(out.row[2])
	return style{readOnly: out.row[0] == "on", dates: !strings.HasPrefix(out.row[1], "ISO"), floats: digits < 1}, err
}

// fitsText refuses types whose values, written as text and read again, may be others.
func (s style) fitsText(oid uint32) error {
	const float4, float8, float4s, float8s, record, records, box, boxes, dates, timestamps, timestamptzs = 700, 701, 1021, 1022, 2249, 2287, 603, 1020, 1182, 1115, 1185
	switch oid {
	case record, records, box, boxes:
		return errUnsupported("a query in the statement returns rows or boxes", "")
	case float4, float8, float4s, float8s:
		if s.floats {
			return errUnsupported("floats cannot be moved between shards with extra_float_digits below 1", "RESET extra_float_digits.")
		}
	case dates, timestamps, timestamptzs, 1082, 1114, 1184:
		if s.dates {
			return errUnsupported("dates and times cannot be moved between shards with DateStyle set", "SET DateStyle TO ISO.")
		}
	}
	return nil
}

// kept is the client's end of a connection in memory: it keeps what the session answers.
type kept struct {
	net.Conn // nil: nothing else is called
	answer   []byte
	limit    int
	over     bool
}

// Write keeps the bytes, up to the limit; what comes then is dropped.
func (k *kept) Write(b []byte) (int, error) {
	k.over = k.over || len(k.answer)+len(b) > k.limit
	if !k.over {
		k.answer = append(k.answer, b...)
	}
	return len(b), nil
}

// frames yields the messages kept.
func (k *kept) frames() func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for rest := k.answer; len(rest) >= pgwire.HeaderSize; {
			size := 1 + int(binary.BigEndian.Uint32(rest[1:]))
			if size > len(rest) || !yield(rest[:size]) {
				return
			}
			rest = rest[size:]
		}
	}
}

var _ io.Writer = (*kept)(nil)
