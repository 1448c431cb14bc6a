package saga

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/pgring/pgring/backend"
	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/topology"
)

// defaultTimeout is that of CommitSaga.
const defaultTimeout = 10 * time.Second

// attempt is one CommitSaga under way. Its branches are in the order of the record's steps.
type attempt struct {
	*transaction
	id       string
	rec      *record
	text     []byte // rec, encoded
	deadline time.Time
	lease    time.Duration
}

// CommitSaga makes the open transactions of a saga durable on all shards, or undoes those that did commit. Nil means that all is
// durable, or, with a Key, that an earlier attempt has made it so. Errors:
//
//   - [*AbortedError]: nothing of it remains on any shard, and nothing will come. Its cause is the failing shard's *pgwire.Error
//     or something else, which deserves 40001;
//   - [*UnsettledError]: it is not settled yet, or needs an operator. [Coordinator.Status] tells what became of it;
//   - [*InvalidError]: the caller's mistake. All is rolled back.
//
// One step without a Key is a plain COMMIT without any row; it may end in an [*UnknownError], as in [Coordinator.Commit].
// The id names the saga; it is empty if none was needed. Afterwards each connection is in status I, or closed and marked dirty.
// When ctx ends before home has committed, the transaction is rolled back; later it has no effect.
func (c *Coordinator) CommitSaga(ctx context.Context, s Saga) (id string, err error) {
	if len(s.Steps) == 0 {
		return "", nil
	}
	var conns []*backend.Conn
	for _, step := range s.ordered() {
		conns = append(conns, step.Conn)
	}
	snap := c.cfg.Topology.Current()
	if snap == nil {
		return "", &AbortedError{Shard: conns[0].Shard(), Err: topology.ErrNotStarted}
	}
	a := &attempt{transaction: begin(snap, conns)}
	if err := a.prepare(c, &s); err != nil {
		return "", c.abort(ctx, a.transaction, err)
	}
	if len(conns) == 1 && s.Key == "" {
		return "", c.Commit(ctx, conns)
	}
	err = c.commitSaga(ctx, a)
	c.counter.endedSaga(err)
	return a.id, err
}

func (a *attempt) prepare(c *Coordinator, s *Saga) error {
	if err := s.check(); err != nil {
		return err
	}
	if c.cfg.Login == nil {
		return &AbortedError{Shard: a.home.shard, Err: errNoLogin}
	}
	if err := a.check(); err != nil {
		return err
	}
	timeout := cmp.Or(s.Timeout, defaultTimeout)
	a.deadline, a.lease = time.Now().Add(timeout), cmp.Or(c.cfg.lease, timeout+leaseAfter)
	a.id, a.rec = newID(a.home.shard), s.record()
	var err error
	a.text, err = a.rec.encode()
	return err
}

// commitSaga commits home, then what can be undone, then what cannot. No step that is never undone may become durable while
// another one may still fail.
func (c *Coordinator) commitSaga(ctx context.Context, a *attempt) error {
	for _, b := range a.all() {
		if err := c.ensureInstalled(ctx, b); err != nil {
			return c.abort(ctx, a.transaction, &AbortedError{Shard: b.shard, Err: err})
		}
	}
	if err := ctx.Err(); err != nil {
		return c.abort(ctx, a.transaction, &AbortedError{Shard: a.home.shard, Err: err})
	}
	if err := c.commitHome(ctx, a); err != nil {
		err = c.abort(ctx, a.transaction, err)
		var taken *keyTakenError
		if errors.As(err, &taken) {
			return c.repeat(ctx, a, taken.earlier)
		}
		return err
	}
	// From here on only the deadline counts: the client may be gone, but some of its work is durable.
	ctx, cancel := context.WithDeadline(context.WithoutCancel(ctx), a.deadline)
	defer cancel()
	for _, wave := range a.waves() {
		if failure := c.commitSteps(ctx, a, wave); failure != nil {
			c.rollbackOpen(ctx, a.transaction)
			return c.resolveSaga(ctx, a.id, failure)
		}
	}
	c.notes.add(a.home.shard, a.id)
	return nil
}

// waves are the steps after home: those that can be undone, then the others.
func (a *attempt) waves() [2][]int {
	var waves [2][]int
	for i, step := range a.rec.Steps[1:] {
		later := order(step.Kind == retriable)
		waves[later] = append(waves[later], i+1)
	}
	return waves
}

// commitHome makes home's work durable together with the saga's row, all in one message. An error means that it did not, or
// that it is not known (UnsettledError).
func (c *Coordinator) commitHome(ctx context.Context, a *attempt) error {
	b := a.home
	c.ask(ctx, "begin", []*branch{b}, func(*branch) []byte { return a.beginFrames(c.facts.secret(b.shard)) })
	switch {
	case b.err == nil && b.answer.tag == "COMMIT":
		b.state = ended
		return nil
	case b.err == nil:
		b.state = ended
		return &AbortedError{Shard: b.shard, Err: errNotOpen}
	case isLost(b.err):
		b.state = ended // the server ends what is open on a lost connection
		return c.resolveHome(ctx, a)
	case code(b.err) == codeKeyTaken:
		return &keyTakenError{earlier: detail(b.err)}
	}
	c.refusedBy(b)
	return &AbortedError{Shard: b.shard, Err: b.err}
}

// refusedBy draws the conclusions from a server's refusal to write down a row.
func (c *Coordinator) refusedBy(b *branch) {
	switch code(b.err) {
	case codeUndefinedFunction, codeUndefinedSchema, codeUndefinedTable, codeInsufficientRights:
		c.facts.forgetInstalled(b.shard)
	}
	if b.conn.Status() == pgwire.TxIdle {
		b.state = ended
	}
}

// resolveHome finds out whether home has committed, after its answer was lost, and if it has not, sees to it that it never will.
func (c *Coordinator) resolveHome(ctx context.Context, a *attempt) error {
	cause := a.home.err
	ctx, cancel := context.WithDeadline(context.WithoutCancel(ctx), a.deadline)
	defer cancel()
	for pause := firstPause; ; pause = min(2*pause, time.Second) {
		found, _, err := c.ruling(ctx, a.home.shard, a.id)
		switch {
		case err == nil && found == rowAction:
			return nil
		case err == nil:
			return &AbortedError{Shard: a.home.shard, Err: cause}
		}
		if wait(ctx, pause) != nil {
			return &UnsettledError{ID: a.id, State: Running, Err: fmt.Errorf("%w; then: %w", cause, err)}
		}
	}
}

// commitSteps commits some steps side by side, each with its barrier row, and returns the first error.
func (c *Coordinator) commitSteps(ctx context.Context, a *attempt, steps []int) error {
	var branches []*branch
	step := map[*branch]int{}
	for _, i := range steps {
		b := a.all()[i]
		branches, step[b] = append(branches, b), i
	}
	c.ask(ctx, "mark", branches, func(b *branch) []byte { return markFrames(c.facts.secret(b.shard), a.id, step[b]) })
	var failure error
	for _, b := range branches {
		err := b.err
		switch {
		case err == nil && b.answer.tag == "COMMIT":
			b.state = ended
			continue
		case err == nil:
			b.state, err = ended, errNotOpen
		case isLost(err):
			b.state = ended // settled with a fence
		default:
			c.refusedBy(b)
		}
		if failure == nil {
			failure = &AbortedError{Shard: b.shard, Err: err}
		}
	}
	return failure
}

// resolveSaga settles a saga whose home is committed and of which some step is not known to be. Cause is why.
func (c *Coordinator) resolveSaga(ctx context.Context, id string, cause error) error {
	for pause := firstPause; ; pause = min(2*pause, time.Second) {
		state, err := c.settle(ctx, id, cause.Error())
		switch state {
		case Committed:
			return nil
		case Compensated, None:
			return cause
		case Stuck, Abandoned:
			return &UnsettledError{ID: id, State: state, Err: cmp.Or(err, cause)}
		case Running, Forwarding, Compensating:
		}
		if wait(ctx, pause) != nil {
			c.handOver(ctx, id)
			return &UnsettledError{ID: id, State: state, Err: cmp.Or(err, cause)}
		}
	}
}

// repeat waits for the end of an earlier saga with the same key, whose outcome is that of this one.
func (c *Coordinator) repeat(ctx context.Context, a *attempt, earlier string) error {
	ctx, cancel := context.WithDeadline(context.WithoutCancel(ctx), a.deadline)
	defer cancel()
	a.id = earlier
	for pause := firstPause; ; pause = min(2*pause, time.Second) {
		status, err := c.Status(ctx, earlier)
		switch {
		case err == nil && status.State == Committed:
			return nil
		case err == nil && (status.State == Compensated || status.State == None):
			return &AbortedError{Shard: a.home.shard, Err: errEarlierUndone}
		case err == nil && (status.State == Stuck || status.State == Abandoned):
			return &UnsettledError{ID: earlier, State: status.State, Err: errors.New(status.Reason)}
		}
		if wait(ctx, pause) != nil {
			return &UnsettledError{ID: earlier, State: cmp.Or(status.State, Running), Err: cmp.Or(err, errEarlierOpen)}
		}
	}
}

// beginFrames are home's message. All goes as parameters, so that the record and the proof are not in pg_stat_activity.
func (a *attempt) beginFrames(secret []byte) []byte {
	var names []string
	for _, shard := range a.rec.shards() {
		names = append(names, string(shard))
	}
	key := a.rec.keyHash()
	proof := prove(secret, append(fmt.Appendf(nil, "begin %s %s %s\n", a.id, hex.EncodeToString(key), strings.Join(names, ",")), a.text...))
	lease := strconv.FormatFloat(a.lease.Seconds(), 'f', -1, 64)
	return commitFrames("SELECT pgring.saga_begin($1, pg_catalog.string_to_array($2, ','), $3, $4, $5, $6)",
		[]uint32{oidText, oidText, oidBytea, oidBytea, oidFloat8, oidBytea},
		[][]byte{[]byte(a.id), []byte(strings.Join(names, ",")), a.text, key, []byte(lease), proof})
}

func markFrames(secret []byte, id string, step int) []byte {
	return commitFrames(markSQL, []uint32{oidText, oidInt4, oidChar, oidBytea},
		[][]byte{[]byte(id), []byte(strconv.Itoa(step)), []byte(opAction), markProof(secret, id, step, opAction)})
}

// The types of the functions' parameters.
const (
	oidBytea  = 17
	oidChar   = 18
	oidText   = 25
	oidFloat8 = 701
)

// commitFrames run a statement and COMMIT as one pipeline: if the statement fails, the server skips to Sync and does not get to
// COMMIT. Parameters of type bytea are in binary, the others in text.
func commitFrames(sql string, types []uint32, values [][]byte) []byte {
	b := pgwire.AppendParse(nil, "", sql, types)
	b = appendBind(b, types, values)
	b = pgwire.AppendExecute(b, "", 0)
	b = pgwire.AppendParse(b, "", "COMMIT", nil)
	b = pgwire.AppendBind(b, "", "")
	b = pgwire.AppendExecute(b, "", 0)
	return pgwire.AppendEmpty(b, pgwire.Sync)
}
