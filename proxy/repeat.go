package proxy

import (
	"context"
	"time"

	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/router"
)

// repetition is what a session keeps of one statement outside of a transaction block until its answer begins. When a guard refuses it
// (PR001: it was planned with a map that is older than a move) the client is not told; the session waits for the newer map, plans the
// statement with that and sends it again.
//
// Invariant: what is sent again has done nothing. The statement was its whole transaction, which the server has undone for the error; it
// leaves nothing behind that outlives a transaction (session state, as COMMIT in a procedure does); and the client has heard of it at
// most what it would hear again: that it was parsed, bound and described.
type repetition struct {
	ready    bool              // what is in flight may be sent again
	refused  time.Time         // when a guard has refused it; zero: none has, or it was sent again
	wait     mapWait           // of the unit
	stmt     *router.Statement // extended protocol: what Bind has bound
	binds    int               // Bind and Execute messages of the unit
	executes int
	bind     []byte // a copy of the Bind, in a buffer that is used again
	limit    uint32 // of rows, of the Execute
	running  bool   // it is being sent again: the client has the answer to Bind

	prepared  *shared // what is in flight was prepared by pgring itself: swallowStale
	simple    bool    // it stands for a Query message
	described bool    // there was a Describe behind it
	stale     bool    // a server has refused it, and it is to be sent as the client has sent it
}

// keptBind is how large a Bind may be, in bytes, for a copy of it to be kept.
const keptBind = 16 << 10

// reset is for a new unit.
func (r *repetition) reset() { *r = repetition{bind: r.bind} }

// mayRepeat reports whether a statement is undone as a whole by an error. Code that could commit by itself (CALL, DO) names no table.
func (c *session) mayRepeat(stmt *router.Statement) bool {
	return !c.tx.active && stmt.Verb == router.Plain && stmt.Access == router.Write && !stmt.NoTransaction && len(stmt.Tables) > 0 &&
		stmt.Pin == router.PinNone && len(stmt.TempTables) == 0
}

// keep copies a Bind, if it is the unit's only one.
func (r *repetition) keep(frame []byte, stmt *router.Statement) {
	if r.ready = r.binds == 1 && r.executes == 0 && len(frame) <= keptBind; r.ready {
		r.bind, r.stmt = append(r.bind[:0], frame...), stmt
	}
}

// follow looks at a message of the unit: beside one Bind there may be Describe and one Execute, of that; what a guard
// refuses is sent again only without a row limit.
func (r *repetition) follow(typ byte) {
	switch typ {
	case pgwire.Bind:
		r.binds++
		r.ready = false
	case pgwire.Execute:
		r.executes++
		r.ready = r.ready && r.executes == 1
	case pgwire.Parse, pgwire.Close:
		r.ready = false
	}
}

// hear looks at a message of a server's: from the first one that is an answer to Execute or Query the statement is not sent again.
func (r *repetition) hear(typ byte, kind stepKind) {
	switch typ {
	case pgwire.ErrorResponse, pgwire.ParseComplete, pgwire.BindComplete, pgwire.CloseComplete:
	case pgwire.ParameterDescription, pgwire.RowDescription, pgwire.NoData:
		r.ready = r.ready && kind == stepDescribe
	default:
		r.ready = false
	}
}

// swallow takes a guard's refusal of a statement that can be sent again: the client does not hear of it, and the session sends the
// statement again when the turn has ended. In the extended protocol only Sync may be behind it.
func (c *session) swallow(frame []byte) bool {
	t := &c.turn
	behind := t.steps[t.head+1:]
	if !c.again.ready {
		return false
	}
	switch code := pgwire.ParseError(frame).Code; {
	case c.swallowStale(code):
		return true
	case code != codeFenced, c.again.limit != 0:
		return false
	}
	switch {
	case t.steps[t.head].kind == stepQuery && len(behind) == 0:
	case t.steps[t.head].kind == stepExecute && len(behind) == 1 && behind[0].kind == stepSync:
		t.head++
	default:
		return false
	}
	c.again.ready, c.again.refused = false, time.Now()
	c.srv.totals.repeated.Add(1)
	return true
}

// queryAgain runs a Query message again that a guard has refused.
func (c *session) queryAgain(ctx context.Context, frame []byte) error {
	if err := c.awaitOwner(); err != nil && !c.meansAnew(ctx, err) {
		return c.reject(err)
	}
	return c.query(ctx, frame)
}

// bindAgain runs the unit's one Bind and Execute again that a guard has refused. When the schema has changed meanwhile it does not: the
// client may know what the statement returned before.
func (c *session) bindAgain(ctx context.Context) error {
	if err := c.awaitOwner(); err != nil {
		return c.reject(err)
	}
	clear(c.portals) // they ended with the transaction
	c.hasCurrent, c.again.running, c.again.executes = false, true, 0
	defer func() { c.again.running = false }()
	if err := c.onBind(ctx, c.again.bind); err != nil {
		return err
	}
	c.again.executes++
	return c.onExecute(ctx, pgwire.AppendExecute(nil, string(c.bind.portal), c.again.limit))
}

// awaitOwner waits for a newer map than the one that was refused, and makes it the unit's. When the control database knows of none, it
// is no move that stands behind the refusal.
func (c *session) awaitOwner() error {
	refused, planned := c.again.refused, c.snap.Epoch
	c.again.refused = time.Time{}
	if err := c.settle(); err != nil {
		return err
	}
	c.releaseIdle()
	c.dismiss(true, c.srv.topology.Elapsed())
	for {
		renewed := c.srv.topology.RenewedSince(refused)
		if renewed && c.srv.topology.Current().Epoch == planned {
			return errFenced()
		}
		if err := c.awaitMap(&c.again.wait); err != nil {
			return err
		}
		if c.snap.Epoch != planned {
			return nil
		}
	}
}
