package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pgring/pgring/backend"
	"github.com/pgring/pgring/ingest"
	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/pgwire/poll"
	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/router"
	"github.com/pgring/pgring/topology"
)

// session is one client connection. Its fields belong to the session's goroutine, except those of watch.
type session struct {
	srv    *Server
	client *pgwire.Conn
	sink   *pgwire.Conn // where answers go: the client, or what keeps them for a later stage of its statement
	task   *poll.Task   // nil: a goroutine of its own, as under TLS
	user   *User
	dbname string
	hello  []pgwire.Param // of start-up; nil once the client has been greeted
	id     uint64
	pid    uint32
	secret uint32
	since  time.Time
	tls    bool
	policy *Policy // in force for this unit
	snap   *topology.Snapshot
	held   *topology.Use // what the session has in use of the map
	*desk                // nil while it rests

	state      state  // the settings as the client sees them now
	lastSaga   string // pgring.last_saga_id
	envSchemas string // Snapshot.Schemas that state.env was read under
	baseline   state  // as RESET ALL leaves them: the start-up parameters

	statements map[string]*statement
	unnamed    *statement
	portals    map[string]*portal
	hears      bool // a connection has LISTENs
	cursors    map[string]cursor
	queued     map[topology.Name]*ownWrites // that may not be applied yet
	kept       int                          // temporary tables that cursors read, so far: for their names
	owed       int                          // bytes still to come of a message that is dropped

	parts []*participant // servers the session holds a connection of
	watch watch
}

// desk is what a session has before it while it works. Between two units outside of a transaction nothing is on it that counts, so that a
// session which rests clears it away, and takes a new one.
type desk struct {
	tx         transaction
	unit       unit
	turn       turn
	current    portal // the unnamed portal
	hasCurrent bool
	admitted   admission
	flight     flight
	alarm      alarm // for who waits in line for a batch
	again      repetition

	scratch    router.Scratch
	recent     recent
	bind       bindMessage
	later      router.Deferred   // scratch of enqueue
	record     ingest.Record     // what it makes of that
	oids       []uint32          // scratch of Parse
	types      []byte            // scratch of intern
	parametric router.Parametric // scratch of frequentQuery
	frequents  frequents
	out        []byte // scratch for building frames
	spare      *participant
}

// unit is the state of what the client has sent since the last ReadyForQuery.
type unit struct {
	skipping bool  // after an error in the extended protocol: everything up to Sync is skipped
	errors   int   // reported so far
	lost     error // a connection with what the unit, or its transaction, did there; the client has not been told
	open     bool  // extended messages have come since the last Sync
	deferred *statement
	defined  bool // a statement has changed the schema
	views    views
	resolve  bool          // a setting has changed that decides what names mean
	changes  []definition  // statements defined or closed in this unit whose reply has not come
	heard    time.Duration // when its last message came, by Topology.Elapsed; messages that came with another one have its time
	began    time.Duration // its first statement
	counted  bool          // there is one
	gaps     int64         // topology.Gaps when it began
}

// watch is what other goroutines may look at or interrupt.
type watch struct {
	sync.Mutex
	busy       []*backend.Conn // connections in the session's hands
	cancels    int             // cancel requests under way
	settled    *sync.Cond      // signalled when cancels becomes 0
	state      string          // active, idle, idle in transaction
	app        string
	query      []byte
	kind       router.Kind
	began      time.Duration // by Topology.Elapsed
	killedAt   time.Time     // when the session was first told to end
	killed     atomic.Bool
	queries    int64
	interrupts atomic.Int64 // asked for so far
	stop       func()       // ends what the session waits for inside of pgring, if it does
	rows       atomic.Int64 // copied between shards for the statement
	bytes      atomic.Int64
}

func newSession(srv *Server, conn *pgwire.Conn, user *User, start *pgwire.Startup) *session {
	c := &session{srv: srv, client: conn, sink: conn, user: user, dbname: start.Database, hello: start.Params, since: time.Now(), tls: start.TLS != nil, desk: new(desk)}
	for _, p := range start.Params {
		if p.Name == "application_name" {
			c.watch.app = p.Value
		}
	}
	c.watch.state = "idle"
	c.watch.settled = sync.NewCond(&c.watch)
	return c
}

// run serves the client until it leaves, or has been silent for so long that the session rests: then run is called again when there is
// something to do. Any other error has not been told to the client.
func (c *session) run(ctx context.Context) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ctx, stop := poll.WithTask(ctx, c.task)
	defer stop()
	defer func() {
		if p := recover(); p != nil {
			c.srv.log.Error("session ended by a bug", "session", c.id, "user", c.user.Name, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = fatal(codeInternal, "internal error")
		}
		if errors.Is(err, errResting) {
			c.desk = nil
			c.srv.totals.resting.Add(1)
			return
		}
		c.leave()
	}()
	if c.desk == nil {
		c.srv.totals.resting.Add(-1)
		c.desk = new(desk)
	}
	if c.held == nil {
		c.held = c.srv.topology.NewUse()
		if err := c.sendGreeting(ctx); err != nil {
			return err
		}
	}
	return c.loop(ctx)
}

// sendGreeting tells the client with what settings it begins.
func (c *session) sendGreeting(ctx context.Context) error {
	c.beginUnit()
	hello, err := c.greet(ctx, c.hello)
	if err != nil {
		return err
	}
	c.hello = nil
	c.baseline, c.state, c.envSchemas = hello.state, hello.state, c.snap.Schemas
	b := append([]byte(nil), hello.parameters...)
	b = appendKeyData(b, c.pid, c.secret)
	return c.client.Write(pgwire.AppendReady(b, pgwire.TxIdle))
}

func appendKeyData(b []byte, pid, secret uint32) []byte {
	return append(b, pgwire.BackendKeyData, 0, 0, 0, 12, byte(pid>>24), byte(pid>>16), byte(pid>>8), byte(pid),
		byte(secret>>24), byte(secret>>16), byte(secret>>8), byte(secret))
}

// loop reads and handles messages until the client says goodbye. Whatever ends the session is returned.
func (c *session) loop(ctx context.Context) error {
	for {
		typ, size, err := c.next()
		if err != nil {
			return c.ended(err)
		}
		if c.turn.empty() && !c.unit.open {
			c.beginUnit()
			c.refreshEnv(ctx)
		}
		if typ == pgwire.Terminate {
			return nil
		}
		if err := c.handle(ctx, typ, size); err != nil {
			return err
		}
	}
}

// next waits for the client's next message; before it waits, everything written to the client is sent.
func (c *session) next() (byte, int, error) {
	if typ, size, ok := c.client.PeekBuffered(); ok && c.owed == 0 && size <= c.client.Buffered() {
		return typ, size, nil
	}
	if err := c.client.Flush(); err != nil {
		return 0, 0, err
	}
	if c.owed > 0 {
		if err := c.skipOwed(); err != nil {
			return 0, 0, err
		}
	}
	if c.unit.open || !c.turn.empty() {
		typ, size, err := c.await(0, nil)
		c.unit.heard = c.srv.topology.Elapsed()
		return typ, size, err
	}
	return c.idle()
}

// skipOwed drops the rest of a message that came too late to be of use.
func (c *session) skipOwed() error {
	for c.owed > 0 {
		if err := c.awaitBytes(1, 0, nil); err != nil {
			return err
		}
		n := min(c.owed, c.client.Buffered())
		c.client.Consume(n)
		c.owed -= n
	}
	return nil
}

// idle waits between units, with the client's time limit, and hears what pinned connections have to say meanwhile.
func (c *session) idle() (byte, int, error) {
	limit, state := c.policy.ClientIdle, "idle"
	if c.tx.active {
		limit, state = c.policy.TransactionIdle, "idle in transaction"
	}
	c.setState(state)
	c.held.End(c.tx.active)
	e := c.listen()
	if e == nil {
		c.task.Attach()
		if c.mayRest(limit) {
			if err := c.client.WaitIdle(); err != nil && errors.Is(err, poll.ErrTired) {
				return 0, 0, errResting
			}
			if typ, size, ok := c.client.PeekBuffered(); ok && !c.watch.killed.Load() && !c.srv.draining.Load() {
				return typ, size, nil
			}
		}
	}
	typ, size, err := c.await(limit, func() bool { return e.isBroken() || (!c.tx.active && c.srv.draining.Load()) })
	if failure := c.stop(e); failure != nil {
		return 0, 0, failure
	}
	return typ, size, err
}

// mayRest reports whether all that the session waits for is its client's next unit, for as long as that takes.
func (c *session) mayRest(limit time.Duration) bool {
	return c.task.Attached() && limit == 0 && !c.tx.active && len(c.parts) == 0
}

// await waits for the client's next message for at most limit (0: for ever).
func (c *session) await(limit time.Duration, enough func() bool) (byte, int, error) {
	if err := c.awaitBytes(pgwire.HeaderSize, limit, enough); err != nil {
		return 0, 0, err
	}
	return c.client.Peek()
}

// awaitBytes waits for n bytes from the client. Others may wake it: it gives up only if the session was killed, or if enough says
// so, or when the limit is over.
func (c *session) awaitBytes(n int, limit time.Duration, enough func() bool) error {
	if err := c.client.SetIdleTimeout(limit); err != nil {
		return err
	}
	var deadline time.Time
	if limit > 0 {
		deadline = time.Now().Add(limit)
	}
	for {
		if c.watch.killed.Load() || (enough != nil && enough()) {
			return os.ErrDeadlineExceeded
		}
		err := c.client.Need(n)
		if err == nil || !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		if limit > 0 && !time.Now().Before(deadline) {
			return err
		}
		if err := c.client.Net().SetReadDeadline(time.Time{}); err != nil {
			return err
		}
	}
}

// ended turns what ended the wait for the client into what the client is told.
func (c *session) ended(err error) error {
	var protocol *pgwire.ProtocolError
	switch {
	case errors.As(err, &protocol):
		return fatal(codeProtocolViolation, protocol.Reason)
	case !errors.Is(err, os.ErrDeadlineExceeded):
		return err
	case c.watch.killed.Load(), c.srv.draining.Load() && !c.tx.active:
		return fatal(codeShutdown, "terminating connection due to administrator command")
	case c.tx.active:
		return fatal(codeIdleTransaction, "terminating connection due to idle-in-transaction timeout")
	}
	return fatal(codeIdleSession, "terminating connection due to idle-session timeout")
}

// beginUnit takes the one snapshot and policy that the whole unit is planned with.
func (c *session) beginUnit() {
	c.unit.heard = c.srv.topology.Elapsed()
	c.takeMap(c.unit.heard)
	c.policy = c.srv.policy.Load()
	c.unit.errors = 0
	c.unit.views = views{}
	c.again.reset()
}

// takeMap makes the present map the unit's.
func (c *session) takeMap(now time.Duration) {
	if c.srv.topology.StalledAt(now) { // a shard would refuse a write that is planned with the map from before
		c.takeTime()
		c.srv.topology.AwaitLease()
	}
	c.unit.gaps = c.srv.topology.Gaps()
	c.snap = c.held.Begin()
}

// handle does what one message asks. An error ends the session; those that the client may live with were reported.
func (c *session) handle(ctx context.Context, typ byte, size int) error {
	if c.unit.skipping && typ != pgwire.Sync {
		return c.client.Discard(size)
	}
	switch typ {
	case pgwire.CopyData, pgwire.CopyDone, pgwire.CopyFail:
		// What is left of a COPY that the server ended by an error (PostgreSQL manual, "COPY Operations").
		return c.client.Discard(size)
	case pgwire.Query, pgwire.FunctionCall, pgwire.Parse, pgwire.Bind, pgwire.Describe, pgwire.Execute, pgwire.Close, pgwire.Flush, pgwire.Sync:
	default:
		return fatal(codeProtocolViolation, fmt.Sprintf("invalid frontend message type %d", typ))
	}
	if size <= c.policy.MessageLimit && size > c.client.Buffered() {
		if err := c.awaitBytes(size, 0, nil); err != nil {
			return c.ended(err)
		}
	}
	frame, err := c.client.Frame(size, c.policy.MessageLimit)
	if errors.Is(err, pgwire.ErrFrameTooLarge) {
		err = c.client.Discard(size)
		frame = nil
	}
	if err != nil {
		return err
	}
	simple := typ == pgwire.Query || typ == pgwire.FunctionCall
	switch {
	case frame == nil:
		c.unit.open = !simple
		if typ == pgwire.Parse {
			c.releaseUnnamed(c.unnamed)
			c.unnamed = nil
		}
		err = c.reject(errTooLarge(size, c.policy.MessageLimit))
	case typ == pgwire.Query:
		err = c.query(ctx, frame)
	case typ == pgwire.FunctionCall:
		err = c.reject(errUnsupported("the function call protocol is not supported", "Call the function with SELECT."))
	default:
		err = c.extended(ctx, typ, frame)
	}
	if err != nil && !errors.Is(err, errReported) {
		return err
	}
	if simple {
		return c.finishUnit(ctx)
	}
	return nil
}

// takeTime tells that the session is about to do more than to relay between its client and one server: something that waits for
// more than a connection of its own, lets other goroutines read one, or computes for long.
//
// Invariant: as long as the session has not said so, only its own goroutine uses its connections.
func (c *session) takeTime() { c.task.Detach() }

// write gives frames to the client, in order after everything written before.
func (c *session) write(b []byte) error { return c.sink.Write(b) }

// leave gives back everything the session holds.
func (c *session) leave() {
	defer c.srv.unregister(c)
	defer c.held.Close()
	for _, p := range c.parts {
		c.giveBack(p, true)
	}
	c.parts = c.parts[:0]
	c.dismiss(true, c.srv.topology.Elapsed())
	for _, st := range c.statements {
		c.srv.interned.release(st.shared)
	}
	c.releaseUnnamed(c.unnamed)
	c.statements, c.unnamed = nil, nil
	c.srv.accountTraffic(c.client)
}

// home is the shard of tables that are not spread.
func (c *session) home() ring.ShardID { return c.snap.Home }

// wake makes an idle session look whether it should end.
func (c *session) wake() { _ = c.client.Net().SetReadDeadline(time.Now()) }

func (c *session) setState(state string) {
	c.watch.Lock()
	c.watch.state = state
	c.watch.Unlock()
}

// remoteAddr is the client's address for SHOW CLIENTS and the log.
func (c *session) remoteAddr() net.Addr { return c.client.Net().RemoteAddr() }
