package proxy

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/router"
	"github.com/pgring/pgring/topology"
)

// Idempotent writes. A write to a table that has them is a request if it is named: an INSERT of one row by a column, and any write of one
// shard key by a key that the client gives beside it (request_key.go). It runs in a transaction, the client's or one of its own, of one shard:
//
//	claim the request ─new▶ run the write ▶ record its answer ▶ COMMIT ▶ answer
//	                  └done▶ answer with what was recorded
//
// The claim is a row with the request as its primary key, so a repeat waits at it until the first attempt has ended. It commits
// together with the row of the client's or not at all. Errors leave no trace.
//
// A repeat answers for itself only, not for what else the transaction of the first attempt has done. So a transaction in which a
// request was answered by the record writes nothing else: it is a repeat, and what else it would write is there already.

// Idempotency makes writes to one table requests.
type Idempotency struct {
	Column string        // names an INSERT; empty: only a key that is given beside the statement names one
	Keep   time.Duration // how long a request is known
}

// requests is what a transaction has to do with requests.
type requests struct {
	claiming bool // the write that goes to a server is a request
	repeated bool // one was answered by the record
	plain    bool // something else was written
}

const (
	claimSQL  = "SELECT state, tag, result FROM pgring.claim_request($1, $2, $3, $4, $5, $6, $7, $8)"
	recordSQL = "SELECT pgring.record_request($1, $2, $3, $4, $5, $6, $7, $8)"

	// requestAnswer bounds the rows of RETURNING that are recorded, in bytes.
	requestAnswer = 64 << 10
)

// Types of the parameters of claimSQL and recordSQL.
var (
	claimTypes  = []uint32{oidText, oidInt8, oidText, oidText, oidText, oidText, oidBytea, oidFloat8}
	recordTypes = []uint32{oidText, oidInt8, oidText, oidText, oidText, oidText, oidText, oidBytea}
)

// requestRule says how a statement is a request.
type requestRule struct {
	Idempotency
	table topology.Name
	key   givenKey
}

// ruleFor is the rule for the statement: it has a key of its own, or puts a row into a table whose INSERTs are named by a column.
func (c *session) ruleFor(stmt *router.Statement, key givenKey) (rule requestRule, ok bool) {
	if key.given() {
		table, _ := stmt.WritesOnly()
		return requestRule{Idempotency: c.policy.Idempotent[table], table: table, key: key}, true
	}
	if c.policy.Idempotent == nil || stmt.Access != router.Write || c.state.own.now.plain {
		return requestRule{}, false
	}
	for _, name := range stmt.InsertsInto() {
		if rule, ok := c.policy.Idempotent[name]; ok && rule.Column != "" {
			return requestRule{Idempotency: rule, table: name}, true
		}
	}
	return requestRule{}, false
}

// planRequest makes a plan for one shard that of a request, if the statement is one. What would write to such a table in another way, or is
// given a key and cannot be a request, is refused: its repeats would not be known.
func (c *session) planRequest(stmt *router.Statement, key givenKey, plan *router.Plan) error {
	rule, ok := c.ruleFor(stmt, key)
	if !ok {
		return nil
	}
	why, hint := "", "Write one row with INSERT … VALUES, or SET pgring.idempotency TO off, which writes without looking for repeats."
	if key.given() {
		why, hint = c.whyNoKey(stmt, plan)
	} else if stmt.Verb != router.Plain || !stmt.IsRequest(rule.table) {
		why = "It is no INSERT … VALUES of one row."
	}
	switch {
	case why != "":
	case plan.Kind != router.One || !plan.HasKey:
		why = "Its shard key is not given as a constant or a parameter."
	case c.tx.wide && c.tx.wideMode == CommitSaga, c.tx.active && !c.tx.implicit && c.commitMode() == CommitSaga:
		why = "A transaction in mode saga may be undone after the request is known as done. Use pgring.cross_shard = '2pc', or pgring.saga_key."
	}
	if why != "" {
		message := "statement cannot be made idempotent"
		if rule.table.Table != "" {
			message = fmt.Sprintf("write to table %q cannot be made idempotent", shownName(rule.table))
		}
		return &pgwire.Error{Code: codeFeatureNotSupported, Message: message, Detail: why, Hint: hint}
	}
	plan.Parts = []router.Part{{Shard: plan.Shard, SQL: plan.SQL}}
	plan.Kind = router.Split
	return nil
}

// newRequest reads the request that a statement is.
func (c *session) newRequest(s *spread, rule requestRule) (*request, error) {
	if s.bind != nil {
		s.bind.types(s.oids)
	}
	var named *router.Request
	var err error
	if rule.key.given() {
		var key string
		if key, err = rule.key.in(s); err == nil {
			named, err = s.stmt.RequestNamed(key, s.plan.Key, s.bindValues(), []byte(s.text))
		}
	} else {
		named, err = s.stmt.Request(rule.Column, s.bindValues(), []byte(s.text))
		if t := c.snap.Table(rule.table.Schema, rule.table.Table); err != nil && t != nil && t.Column(rule.Column) < 0 {
			err = errNoRequestColumn(rule)
		}
	}
	if err != nil {
		return nil, err
	}
	return &request{spread: s, Request: named, rule: rule.Idempotency, fingerprint: c.fingerprint(s)}, nil
}

func errNoRequestColumn(rule requestRule) error {
	return &pgwire.Error{Code: codeUndefinedColumn, Message: fmt.Sprintf("table %q has no column %q, by which its INSERTs are idempotent", shownName(rule.table), rule.Column),
		Hint: "Correct tables[].idempotency.column of the configuration, or add the column. SET pgring.idempotency TO off writes without looking for repeats."}
}

// request runs a statement that planRequest has planned.
func (c *session) request(ctx context.Context, s *spread, rule requestRule) (string, error) {
	r, err := c.newRequest(s, rule)
	if err != nil {
		return "", c.reject(err)
	}
	tag, err := c.enclosed(ctx, inOneShard, func() (string, error) { return c.runRequest(ctx, r) })
	if err == nil {
		c.spend(s.key)
	}
	return tag, err
}

// request is one at work.
type request struct {
	*spread
	*router.Request
	rule        Idempotency
	fingerprint []byte
}

// fingerprint is that of the statement with its values. Where it has RETURNING, a repeat must ask for the answer in the same form; in the
// extended protocol the client may know that from another time, so what the columns are belongs to it.
func (c *session) fingerprint(s *spread) []byte {
	h := router.Fingerprint([]byte(s.text))
	number := func(n int) { h.Write(binary.BigEndian.AppendUint32(nil, uint32(n))) }
	if s.bind != nil {
		number(len(s.bind.values))
		for i := range s.bind.values {
			v := &s.bind.values[i]
			switch {
			case v.Null:
				number(-1)
			case v.Binary:
				number(1)
			default:
				number(0)
			}
			number(int(v.OID))
			number(len(v.Data))
			h.Write(v.Data)
		}
	}
	if s.stmt.Returns {
		name, _ := s.stmt.WritesOnly()
		if t := c.snap.Table(name.Schema, name.Table); t != nil && s.bind != nil {
			h.Write(s.stmt.Returned(t))
		}
		number(int(boolByte(s.describe)))
		for _, format := range generatedFormats(s.bindValues()) {
			number(int(format))
		}
	}
	return h.Sum(make([]byte, 0, sha256.Size))
}

func boolByte(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// bindValues are the parameters; nil for a Query message.
func (s *spread) bindValues() router.Values {
	if s.bind == nil {
		return nil
	}
	return s.bind
}

// runRequest runs a request in the transaction that is open.
func (c *session) runRequest(ctx context.Context, r *request) (string, error) {
	c.tx.requests.claiming = true
	defer func() { c.tx.requests.claiming = false }()
	p, err := c.use(ctx, r.plan.Parts[0].Shard, true)
	if err != nil {
		return "", c.rejectBegun(err)
	}
	var found outcome
	if err := c.sendOwn(p, claimID, claimSQL, claimTypes, r.parameters(r.fingerprint, strconv.AppendFloat(nil, r.rule.Keep.Seconds(), 'f', -1, 64)), &found); err != nil {
		return "", err
	}
	if err := c.drain(); err != nil {
		return "", err
	}
	if len(found.row) != 3 {
		return "", c.reject(fmt.Errorf("claim of a request answered %d columns", len(found.row)))
	}
	switch found.row[0] {
	case "new":
		return c.firstTime(ctx, p, r)
	case "done":
		return c.repeat(r, found.row[1], found.row[2])
	case "differs":
		c.srv.countsOf(r.Request.Table).differing.Add(1)
		return "", c.reject(&pgwire.Error{Code: codeRequestDiffers, Message: fmt.Sprintf("idempotency key %q was used for another write", r.Key),
			Detail: fmt.Sprintf("The statement, its values, the form of its answer, the columns that it returns or the role are not those of the write to table %q that was done with it.", shownName(r.Table)),
			Hint:   "Repeat a write exactly as it was, or give another write another key."})
	}
	return "", c.reject(&pgwire.Error{Code: codeNotPrepared, Message: fmt.Sprintf("idempotency key %q has no answer", r.Key),
		Detail: "Its row in pgring.idempotency was not written by pgring."})
}

// claimFrame is an ErrorResponse to a claim, in words that a client understands who knows of none.
func claimFrame(frame []byte) []byte {
	e := pgwire.ParseError(frame)
	if !strings.Contains(e.Where, "pgring.claim_request(") {
		return frame
	}
	e.Where, e.Rest = "", ""
	switch e.Code {
	case codeLockNotAvailable:
		e.Message, e.Detail = "another attempt at the write with this idempotency key is under way", "It was waited for for as long as lock_timeout or pgring's own limit of 10 seconds allow. Nothing was executed."
		e.Hint = "Repeat the write later: if the other attempt is done, it is answered like that."
	case codeReadOnly:
		e.Message = "cannot execute an idempotent write in a read-only transaction"
	}
	return pgwire.AppendError(nil, e)
}

// parameters are those of claimSQL and recordSQL.
func (r *request) parameters(more ...[]byte) [][]byte {
	return append([][]byte{[]byte(r.Group), strconv.AppendInt(nil, int64(r.Hash), 10), []byte(r.ShardKey), []byte(r.Request.Table.Schema),
		[]byte(r.Request.Table.Table), []byte(r.Key)}, more...)
}

// firstTime runs a request that was not known, and records its answer.
func (c *session) firstTime(ctx context.Context, p *participant, r *request) (string, error) {
	answer := &kept{limit: c.policy.MessageLimit}
	c.sink = pgwire.NewConn(answer, pgwire.ClientSide)
	err := c.sendRequest(ctx, p, r)
	_ = c.sink.Flush() // into memory
	c.sink = c.client
	if ignoreReported(err) != nil {
		return "", err
	}
	rows, notices, tag := divideAnswer(answer)
	switch {
	case answer.over, err == nil && len(rows) > requestAnswer:
		return "", c.reject(&pgwire.Error{Code: codeTooLarge, Message: "answer of an idempotent write is too large",
			Detail: fmt.Sprintf("RETURNING gives %d bytes; %d can be kept for repeats.", len(rows), requestAnswer), Hint: "Return less."})
	case err != nil: // it has been told to the sink only
		return "", cmp.Or(c.write(answer.answer), err)
	}
	if err := c.sendOwn(p, recordID, recordSQL, recordTypes, r.parameters([]byte(tag), rows), nil); err != nil {
		return "", err
	}
	if err := c.drain(); err != nil {
		return "", err
	}
	c.srv.countsOf(r.Request.Table).done.Add(1)
	return tag, c.write(append(notices, rows...))
}

// sendRequest has the server run the client's own statement.
func (c *session) sendRequest(ctx context.Context, p *participant, r *request) error {
	plan := *r.plan
	plan.Kind, plan.Parts = router.One, nil
	if r.bind != nil {
		bind := &bindMessage{rest: r.bind.rest, values: r.bind.values, results: r.bind.results} // the portal is the session's
		w := &writing{stmt: r.stmt, plan: &plan, text: r.text, bind: bind, shared: r.shared}
		if err := c.runPrepared(ctx, w, &statement{shared: r.shared}, nil); err != nil {
			return err
		}
		return c.drain()
	}
	if _, err := c.use(ctx, p.shard, true); err != nil {
		return c.reject(err)
	}
	noted := note(c, r.stmt, r.text, nil)
	if err := c.send(pgwire.AppendText(nil, pgwire.Query, textOf(&plan, []byte(r.text))), step{kind: stepQuery, noted: noted}); err != nil {
		return err
	}
	return c.receive()
}

// divideAnswer takes an answer apart: what is the same in each repeat, what concerned the first time only, and the tag.
func divideAnswer(k *kept) (rows, notices []byte, tag string) {
	for frame := range k.frames() {
		switch frame[0] {
		case pgwire.RowDescription, pgwire.DataRow:
			rows = append(rows, frame...)
		case pgwire.CommandComplete:
			body := pgwire.BodyOf(frame)
			tag = string(body.Text())
		default:
			notices = append(notices, frame...)
		}
	}
	return rows, notices, tag
}

// repeat answers a request with what was recorded of it.
func (c *session) repeat(r *request, tag, rows string) (string, error) {
	if c.tx.requests.plain {
		return "", c.reject(errRepeated())
	}
	c.tx.requests.repeated = true
	c.srv.countsOf(r.Request.Table).repeated.Add(1)
	return tag, c.write([]byte(rows))
}

// admit lets the transaction write, unless it repeats one that was done.
func (r *requests) admit() error {
	switch {
	case r.claiming:
	case r.repeated:
		return errRepeated()
	default:
		r.plain = true
	}
	return nil
}

func errRepeated() error {
	return &pgwire.Error{Code: codeRequestRepeated, Message: "transaction repeats one that was committed before",
		Detail: "An idempotent write in it was done already, together with whatever else its transaction wrote. Nothing of this one is kept.",
		Hint:   "If it is meant as a repeat, go on as after COMMIT; if not, give its write another key. Transactions of idempotent writes only are answered like the first time."}
}

// requestCounts count the requests to one table since the start of the process.
type requestCounts struct{ done, repeated, differing atomic.Int64 }

func (s *Server) countsOf(table topology.Name) *requestCounts {
	counts, known := s.requests.Load(table)
	if !known {
		counts, _ = s.requests.LoadOrStore(table, &requestCounts{})
	}
	return counts.(*requestCounts)
}

// IdempotentTable is a table with idempotent writes, and what this proxy has seen of them since its start.
type IdempotentTable struct {
	Table     topology.Name
	Rule      Idempotency
	Done      int64 // writes done, transactions included that were rolled back afterwards
	Repeated  int64 // repeats answered by the record
	Differing int64 // refused with PR101
}

// IdempotentTables lists the tables with idempotent writes by name.
func (s *Server) IdempotentTables() []IdempotentTable {
	var all []IdempotentTable
	for name, rule := range s.policy.Load().Idempotent {
		counts := s.countsOf(name)
		all = append(all, IdempotentTable{Table: name, Rule: rule, Done: counts.done.Load(), Repeated: counts.repeated.Load(), Differing: counts.differing.Load()})
	}
	slices.SortFunc(all, func(a, b IdempotentTable) int { return cmp.Compare(a.Table.String(), b.Table.String()) })
	return all
}
