package proxy

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/backend"
	"github.com/pgring/pgring/ingest"
	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/router"
	"github.com/pgring/pgring/topology"
)

// Asynchronous writes. An INSERT of one row into a table that has them, by itself and with values that are certain, is answered when it is
// in the table's log; a lane applies it (package ingest). Every other write is synchronous, as if the table had none: so a statement
// whose answer could be anything but INSERT 0 1 gets the shard's own.
//
// A session sees its own writes: a statement of its own that names the table waits for them.

const (
	ownWritesLimit = 10 * time.Second // for a session's own writes
	ownWritesKeys  = 64               // of one table; with more, the whole queue is waited for
	asyncTag       = "INSERT 0 1"
	permitFor      = 30 * time.Second
	permitsKept    = 10000
)

// ownWrites are the writes of a session that may not be applied yet, of one table: the last record of each key.
type ownWrites struct {
	queue *ingest.Queue
	last  map[string]ownWrite // "": of all keys
}

type ownWrite struct{ index, hash, epoch uint64 }

// permits remembers what servers have said of INSERTs.
type permits struct {
	mu    sync.Mutex
	known map[permit]time.Time // when one has said so
}

// permit is something that a server has said for a login with its settings, among which a role may be, and a schema.
type permit struct {
	user     string
	settings *backend.Settings
	catalog  int64 // Snapshot.Catalog

	table   topology.Name     // it takes rows with these columns
	columns string            // quoted
	stmt    *router.Statement // or this statement is one, whatever its constants
}

// queueOf is the queue of a statement that may be done later; nil: it may not.
func (c *session) queueOf(stmt *router.Statement) *ingest.Queue {
	if c.srv.queues == nil || stmt.Access != router.Write || stmt.Verb != router.Plain || !stmt.MayBeLater() || c.state.own.now.direct || c.readsOnly() {
		return nil
	}
	for _, name := range stmt.InsertsInto() {
		if stmt.IsRequest(name) {
			return c.srv.queues.Of(name)
		}
	}
	return nil
}

// readsOnly reports whether the session has set that its transactions write nothing: the server is to say so.
func (c *session) readsOnly() bool {
	value, changed := c.state.settings.Lookup("default_transaction_read_only")
	return changed && !strings.EqualFold(strings.Trim(value, "'"), "off")
}

// queueing is queueOf for a statement that is its whole transaction, on a connection that is nobody's in particular.
func (c *session) queueing(stmt *router.Statement, plan *router.Plan) *ingest.Queue {
	if stmt.Access != router.Write || c.tx.active || !c.turn.empty() || len(c.parts) > 0 || c.policy.Mode == SessionMode || stmt.Pin != router.PinNone ||
		plan.Kind != router.One || !plan.HasKey || plan.SQL != "" || c.again.running {
		return nil
	}
	return c.queueOf(stmt)
}

// enqueue answers a statement when it is in the queue's log. Alone: it was not put there, and goes its usual way.
func (c *session) enqueue(ctx context.Context, s *spread, q *ingest.Queue) (tag string, alone bool, err error) {
	record, err := c.recordOf(ctx, s)
	if err != nil {
		return "", false, c.reject(err)
	}
	if record == nil {
		return "", true, c.afterQueued(ctx, s)
	}
	mark, err := c.appendRecord(ctx, q, record)
	switch {
	case errors.Is(err, ingest.ErrTooLarge):
		return "", true, c.afterQueued(ctx, s)
	case err != nil:
		return "", false, c.reject(err)
	}
	c.noteWrite(q, record, mark)
	return asyncTag, false, c.replyTag(asyncTag)
}

// appendRecord returns when a record is in the queue's log. On the loop it waits as a task, unless the queue is not ready to take the record.
// Errors are ErrTooLarge, or to be told.
func (c *session) appendRecord(ctx context.Context, q *ingest.Queue, r *ingest.Record) (ingest.Mark, error) {
	if c.task.Attached() {
		mark, err := c.parkForLog(q, r)
		switch {
		case err == nil, errors.Is(err, ingest.ErrTooLarge):
			return mark, err
		case !errors.Is(err, ingest.ErrMustWait):
			return mark, queueFailure(r.Table, err)
		}
		c.takeTime()
	}
	waiting, done := c.interruptible(ctx)
	defer done()
	mark, err := q.Append(waiting, r)
	switch {
	case err == nil, errors.Is(err, ingest.ErrTooLarge):
		return mark, err
	case waiting.Err() != nil && !errors.As(err, new(*ingest.DoubtError)):
		return mark, errInterrupted()
	}
	return mark, queueFailure(r.Table, err)
}

// parkForLog waits for one flush of the log. As on a goroutine of its own, nothing ends that wait but the disk.
func (c *session) parkForLog(q *ingest.Queue, r *ingest.Record) (ingest.Mark, error) {
	p, err := q.Submit(r, c.task.Wake)
	if err != nil {
		return ingest.Mark{}, err
	}
	for !p.Done() {
		c.task.Park()
	}
	return p.Outcome()
}

// afterQueued lets a statement go its usual way behind those that the session has queued. An error has been reported.
func (c *session) afterQueued(ctx context.Context, s *spread) error {
	if err := c.awaitWrites(ctx, s.stmt, s.plan); err != nil {
		return c.reject(err)
	}
	return nil
}

// recordOf is the record of a statement, until the next one; nil: it is not certain that it can be done later.
func (c *session) recordOf(ctx context.Context, s *spread) (*ingest.Record, error) {
	d := &c.later
	values := s.values
	if s.bind != nil {
		s.bind.types(s.oids)
		values = s.bind
	}
	certain := s.stmt.Later(d, values, s.oids, s.text, time.Now())
	if s.bind == nil {
		if err := c.inspectOnce(ctx, s, certain && d.Known); err != nil {
			return nil, err
		}
	}
	if !certain || !c.mayInsert(ctx, s.plan.Shard, d.Table, s.stmt.LaterColumns()) {
		return nil, nil
	}
	c.record = ingest.Record{Table: d.Table, Group: d.Group, Hash: d.Hash, ShardKey: d.ShardKey, User: c.user.Name,
		Settings: c.state.settings.View(), SQL: d.SQL, Types: d.Types, Formats: d.Formats, Values: d.Values}
	return &c.record, nil
}

// inspectOnce has a server look at a statement of the simple protocol, so that what is wrong with it is said now. If its constants are known to be
// right, what a server has said of the same statement with others will do.
func (c *session) inspectOnce(ctx context.Context, s *spread, known bool) error {
	key := permit{user: c.user.Name, settings: c.state.settings, catalog: c.snap.Catalog, stmt: s.stmt}
	if known && c.srv.permits.has(key) {
		return nil
	}
	c.takeTime()
	p, err := c.anyServer(ctx, s.plan.Shard)
	if err == nil {
		_, err = p.inspect(s.text, nil)
	}
	if err == nil {
		c.srv.permits.note(key)
	}
	return err
}

// anyServer is that of a shard, or another one if that cannot be reached.
func (c *session) anyServer(ctx context.Context, shard ring.ShardID) (*participant, error) {
	p, err := c.consult(ctx, shard)
	var down *backend.UnavailableError
	for i := 0; errors.As(err, &down) && i < len(c.snap.Shards); i++ {
		p, err = c.consult(ctx, c.snap.Shards[i].ID)
	}
	return p, err
}

// mayInsert reports whether the session's role may insert into columns of a table, which are quoted. If no server can be asked it may, for all
// that is known.
func (c *session) mayInsert(ctx context.Context, shard ring.ShardID, table topology.Name, columns string) bool {
	key := permit{user: c.user.Name, settings: c.state.settings, catalog: c.snap.Catalog, table: table, columns: columns}
	if c.srv.permits.has(key) {
		return true
	}
	c.takeTime()
	p, err := c.anyServer(ctx, shard)
	if err != nil {
		return true
	}
	relation := quoteLiteral(pgx.Identifier{table.Schema, table.Table}.Sanitize())
	out, err := p.run("SELECT pg_catalog.has_table_privilege(" + relation + ", 'INSERT') OR (SELECT pg_catalog.bool_and(pg_catalog.has_column_privilege(" + relation +
		", c, 'INSERT')) FROM pg_catalog.unnest(ARRAY[" + key.columns + "]::text[]) c)")
	if err != nil || len(out.row) != 1 || out.row[0] != "t" {
		return false
	}
	c.srv.permits.note(key)
	return true
}

func (p *permits) has(key permit) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	at, known := p.known[key]
	return known && time.Since(at) < permitFor
}

func (p *permits) note(key permit) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known == nil || len(p.known) >= permitsKept {
		p.known = map[permit]time.Time{}
	}
	p.known[key] = time.Now()
}

// noteWrite remembers a write of the session's own.
func (c *session) noteWrite(q *ingest.Queue, r *ingest.Record, mark ingest.Mark) {
	own := c.queued[r.Table]
	if own == nil || own.queue != q {
		own = &ownWrites{queue: q, last: map[string]ownWrite{}}
		if c.queued == nil {
			c.queued = map[topology.Name]*ownWrites{}
		}
		c.queued[r.Table] = own
	}
	key := mark.ShardKey
	if _, known := own.last[key]; !known && len(own.last) >= ownWritesKeys || own.last[""].index > 0 {
		clear(own.last)
		key = ""
	}
	own.last[key] = ownWrite{index: mark.Index, hash: r.Hash, epoch: mark.Epoch}
}

// awaitWrites waits for the session's own writes to the tables that a statement names, those of its key if it has one.
func (c *session) awaitWrites(ctx context.Context, stmt *router.Statement, plan *router.Plan) error {
	if len(c.queued) == 0 || c.state.own.now.stale && stmt.Access == router.Read {
		return nil
	}
	for table, own := range c.queued {
		if !c.names(stmt, table) {
			continue
		}
		c.takeTime()
		for key, last := range own.last {
			if plan.HasKey && key != "" && plan.Key != last.hash {
				continue
			}
			mark := ingest.Mark{Index: last.index, ShardKey: key, Epoch: last.epoch}
			if err := c.awaitMark(ctx, own.queue, table, mark, ownWritesLimit); err != nil {
				return err
			}
			delete(own.last, key)
		}
		if len(own.last) == 0 {
			delete(c.queued, table)
		}
	}
	return nil
}

// names reports whether a statement names a table, or a view or partition of it.
func (c *session) names(stmt *router.Statement, table topology.Name) bool {
	for _, name := range stmt.Tables {
		if name == table {
			return true
		}
		t := c.snap.Table(name.Schema, name.Table)
		if t == nil {
			continue
		}
		for _, parent := range t.Parents {
			if parent == table {
				return true
			}
		}
		for _, read := range t.Reads {
			if read.Name == table {
				return true
			}
		}
	}
	return false
}

// awaitMark waits for a record to be applied, for at most limit; 0: until it is, or the client gives up.
func (c *session) awaitMark(ctx context.Context, q *ingest.Queue, table topology.Name, mark ingest.Mark, limit time.Duration) error {
	waiting, done := c.interruptible(ctx)
	defer done()
	limited, cancel := waiting, context.CancelFunc(func() {})
	if limit > 0 {
		limited, cancel = context.WithTimeout(waiting, limit)
	}
	defer cancel()
	err := q.Wait(limited, mark)
	switch {
	case err == nil:
		return nil
	case errors.As(err, new(*ingest.LostError)):
		delete(c.queued, table) // nobody will ever know more
		return &pgwire.Error{Code: codeIO, Message: fmt.Sprintf("it is not known what became of asynchronous writes to table %q", shownName(table)),
			Detail: "The topic in Kafka that they were in was deleted.", Hint: "Look which rows are there. The next statement does not wait for them."}
	case errors.As(err, new(*ingest.RefusedError)):
		return &pgwire.Error{Code: codeIO, Message: fmt.Sprintf("asynchronous writes to table %q are not applied", shownName(table)),
			Detail: "Their log cannot be used.", Hint: "SHOW LANES on the console says why. SET pgring.read_your_writes TO off reads without waiting."}
	case waiting.Err() != nil:
		return errInterrupted()
	case limited.Err() != nil:
		return &pgwire.Error{Code: codeLimitExceeded, Message: fmt.Sprintf("asynchronous writes to table %q are not applied yet", shownName(table)),
			Detail: fmt.Sprintf("Waited %s for them.", limit),
			Hint:   "Try again later. SHOW LANES on the console says what they wait for. SET pgring.read_your_writes TO off reads without waiting."}
	}
	return queueFailure(table, err)
}

// queueFailure says what became of a write that could not be queued.
func queueFailure(table topology.Name, err error) error {
	var behind *ingest.BehindError
	var refused *ingest.RefusedError
	var doubt *ingest.DoubtError
	var away *ingest.UnavailableError
	switch {
	case errors.Is(err, ingest.ErrDiskFull):
		return &pgwire.Error{Code: codeDiskFull, Message: fmt.Sprintf("no room for asynchronous writes to table %q", shownName(table)),
			Detail: "The disk of pgring's log is full. Nothing was accepted.", Hint: "Make room there, or SET pgring.async TO off, which writes without the log."}
	case errors.As(err, &behind):
		return limited(fmt.Sprintf("too many asynchronous writes to table %q wait", shownName(table)),
			fmt.Sprintf("The oldest has waited for %s, the log has %s bytes; this one waited %s.", behind.Lag.Round(time.Millisecond),
				strconv.FormatInt(behind.Size, 10), behind.Waited.Round(time.Millisecond)),
			"Try again later. SHOW LANES on the console says what they wait for. See tables[].async.")
	case errors.As(err, &doubt):
		detail := "The disk of pgring's log has failed."
		if doubt.Brokers {
			detail = "It was sent to Kafka, and no broker has answered. It is not sent again."
		}
		return &pgwire.Error{Code: codeCompletionUnknown, Message: fmt.Sprintf("it is not known whether the asynchronous write to table %q was accepted", shownName(table)),
			Detail: detail, Hint: "Look whether the row is there before repeating it."}
	case errors.As(err, &away):
		return limited(fmt.Sprintf("asynchronous writes to table %q cannot be queued at present", shownName(table)), "No broker of Kafka takes them. Nothing was accepted.",
			"Try again later. SHOW LANES on the console says why. SET pgring.async TO off writes without Kafka.")
	case errors.As(err, &refused):
		return &pgwire.Error{Code: codeIO, Message: fmt.Sprintf("asynchronous writes to table %q are not accepted", shownName(table)),
			Detail: "Their log cannot be used. Nothing was accepted.", Hint: "SHOW LANES on the console says why. SET pgring.async TO off writes without it."}
	}
	return err
}

// flush answers SELECT pgring.flush('table'): when everything that this proxy has accepted for the table so far is done, by whichever proxy.
func (c *session) flush(ctx context.Context, stmt *router.Statement, args [][]byte) error {
	if len(args) != 1 || args[0] == nil {
		return c.reject(&pgwire.Error{Code: "42883", Message: "pgring.flush takes one argument, the name of a table"})
	}
	table := topology.ParseName(string(args[0]))
	if c.srv.queues == nil || c.srv.queues.Of(table) == nil {
		return c.reject(&pgwire.Error{Code: codeInvalidParameter, Message: fmt.Sprintf("writes to table %q are not asynchronous", shownName(table)),
			Hint: "See tables[].async."})
	}
	q := c.srv.queues.Of(table)
	if err := c.awaitMark(ctx, q, table, q.Last(), 0); err != nil {
		return c.reject(err)
	}
	return c.replyValue(stmt.Call.Column, "", "SELECT 1")
}
