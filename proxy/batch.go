package proxy

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/pgring/pgring/backend"
	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/pgwire/poll"
	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/router"
)

// Micro-batching. INSERTs of one row that come while others are on their way to the same shard share a transaction with those that
// come at the same time, and so one flush of the log:
//
//	a place in flight is free ▶ the statement goes its usual way
//	none is ▶ it waits in line; whoever gives a place back makes the first in line the leader of those behind it:
//	          BEGIN, each one's INSERT, COMMIT in one round trip, and each has its own answer
//
// Nobody hears of anything before COMMIT is answered. When a statement fails, the transaction is rolled back: the statement then goes
// its usual way, alone, and has the error that it has there; the others are tried again without it. So a batch can do nothing to its
// members but to have them share a transaction.

// Batching makes the INSERTs into one table share transactions.
type Batching struct {
	Rows  int           // in one transaction, at most
	Delay time.Duration // how long one waits in line for a batch, at most; then it goes alone
}

const (
	batchesFlying = 2        // for one shard, at a time
	batchBytes    = 32 << 10 // of one batch: so much a server takes in, even while it waits for its answers to be read
	batchMessage  = 8 << 10  // a larger statement goes alone
	batchFailures = 3        // after so many, those that are left go alone
)

// batchKey is what the members of a batch have in common: the login and the settings that their statements run with.
type batchKey struct {
	shard    ring.ShardID
	user     string
	settings *backend.Settings
}

// batches are the lines of a server.
type batches struct {
	mu    sync.Mutex
	lines map[batchKey]*line
}

// line is one shard's, for one login and its settings.
type line struct {
	flying  int
	waiting []*member
}

// member is one statement in line. What is not the line's belongs to the leader from the moment it is told to lead, and to the member
// again from the moment it is told.
type member struct {
	*spread
	request *request         // nil: the write is not idempotent
	row     *router.Deferred // of the simple protocol: the same with its constants as parameters; nil: that is not certain
	size    int
	told    chan verdict // buffered: who tells does not wait
	task    *poll.Task   // who waits, if it is a task

	answer   []byte // frames, without the tag
	tag      string
	repeated bool // it was answered by the record
	err      error
}

// verdict is what becomes of a member.
type verdict struct {
	lead  []*member // it leads these, itself among them
	alone bool      // nothing of it was done: it goes its usual way
}

// lead takes a place in flight, if one is free.
func (b *batches) lead(key batchKey) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.lines[key]
	if l == nil {
		if b.lines == nil {
			b.lines = map[batchKey]*line{}
		}
		l = &line{}
		b.lines[key] = l
	}
	if l.flying >= batchesFlying {
		return false
	}
	l.flying++
	return true
}

// join waits in line, unless a place in flight is free by now: then it is the member's.
func (b *batches) join(key batchKey, m *member) (leads bool) {
	if b.lead(key) {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.lines[key]
	if l == nil || l.flying < batchesFlying { // given back at this moment
		if l == nil {
			l = &line{}
			b.lines[key] = l
		}
		l.flying++
		return true
	}
	l.waiting = append(l.waiting, m)
	return false
}

// leave gives the place in flight to the first in line, and those behind it.
func (b *batches) leave(key batchKey, rows int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.lines[key]
	if len(l.waiting) == 0 {
		if l.flying--; l.flying == 0 {
			delete(b.lines, key)
		}
		return
	}
	n, bytes := 0, 0
	for n < len(l.waiting) && n < rows && (n == 0 || bytes+l.waiting[n].size <= batchBytes) {
		bytes += l.waiting[n].size
		n++
	}
	next := slices.Clone(l.waiting[:n])
	l.waiting = slices.Delete(l.waiting, 0, n)
	next[0].tell(verdict{lead: next})
}

// tell lets the member go on.
func (m *member) tell(v verdict) {
	t := m.task
	m.told <- v
	if t != nil {
		t.Wake()
	}
}

// quit takes a member out of the line; false: somebody has taken it already, and tells it what became of it.
func (b *batches) quit(key batchKey, m *member) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.lines[key]
	if l == nil {
		return false
	}
	i := slices.Index(l.waiting, m)
	if i < 0 {
		return false
	}
	l.waiting = slices.Delete(l.waiting, i, i+1)
	return true
}

// batching is the rule for a statement that may share a transaction with others: an INSERT of one row that is its whole transaction,
// on a connection that is nobody's in particular. Nil: it goes its usual way.
func (c *session) batching(stmt *router.Statement, plan *router.Plan, size int) *Batching {
	if stmt.Access != router.Write || c.policy.Batches == nil || stmt.Verb != router.Plain || c.tx.active || !c.turn.empty() || len(c.parts) > 0 ||
		c.policy.Mode == SessionMode || stmt.Pin != router.PinNone || size > batchMessage || !plan.HasKey || c.again.running {
		return nil
	}
	for _, name := range stmt.InsertsInto() {
		if rule := c.policy.Batches[name]; rule != nil && stmt.IsRequest(name) {
			return rule
		}
	}
	return nil
}

// batchKeyOf is the line of a statement.
func (c *session) batchKeyOf(plan *router.Plan) batchKey {
	return batchKey{shard: plan.Shard, user: c.user.Name, settings: c.state.settings}
}

// takesOff reports whether a statement goes its usual way at once, because a place in flight is free. The place is given back at the
// end of the unit.
func (c *session) takesOff(plan *router.Plan, rule *Batching) bool {
	key := c.batchKeyOf(plan)
	if !c.srv.batches.lead(key) {
		return false
	}
	c.flight = flight{on: true, key: key, rows: rule.Rows}
	return true
}

// flight is a place in flight that the session has.
type flight struct {
	on   bool
	key  batchKey
	rows int
}

// land gives it back.
func (c *session) land() {
	if c.flight.on {
		f := c.flight
		c.flight = flight{}
		c.srv.batches.leave(f.key, f.rows)
	}
}

// isExecutedAlone reports whether behind a Bind nothing comes but its Execute and Sync, as drivers send them, all of it being here.
func (c *session) isExecutedAlone() bool {
	rest := c.client.Pending()
	for _, want := range []byte{pgwire.Describe, pgwire.Execute, pgwire.Sync} {
		size := pgwire.WholeFrame(rest)
		if size == 0 || rest[0] != want {
			if want == pgwire.Describe {
				continue
			}
			return false
		}
		if want == pgwire.Describe && size > pgwire.HeaderSize && rest[pgwire.HeaderSize] != 'P' {
			return false
		}
		rest = rest[size:]
	}
	return true
}

// batch has a statement wait in line, and answers it, or leads a batch, or says that it goes alone. It may be the leader of others.
func (c *session) batch(ctx context.Context, s *spread, rule *Batching) (tag string, alone bool, err error) {
	key := c.batchKeyOf(s.plan)
	m := &member{spread: s, told: make(chan verdict, 1), task: c.task, size: len(s.text)}
	switch {
	case s.bind != nil:
		m.size += len(s.bind.rest)
	case s.stmt.WithParameters(&c.later, s.values, s.text):
		m.row = &c.later
	}
	if once, ok := c.ruleFor(s.stmt, s.key); ok {
		if m.request, err = c.newRequest(s, once); err != nil {
			return "", false, c.reject(err)
		}
	}
	if c.srv.batches.join(key, m) {
		c.flight = flight{on: true, key: key, rows: rule.Rows}
		return "", true, nil
	}
	v, err := c.awaitBatch(ctx, key, m, rule)
	if err != nil {
		return "", false, c.reject(err)
	}
	if len(v.lead) > 0 {
		c.flight = flight{on: true, key: key, rows: rule.Rows}
		if len(v.lead) == 1 {
			return "", true, nil
		}
		v = c.leadBatch(ctx, v.lead, m)
		c.land()
	}
	switch {
	case v.alone:
		return "", true, nil
	case m.err != nil:
		return "", false, c.reject(m.err)
	}
	if outdated := c.checkPlan(); outdated != nil && !believed(m.tag) {
		return "", false, c.reject(outdated)
	}
	c.spend(s.key)
	if err := c.write(m.answer); err != nil {
		return "", false, err
	}
	return m.tag, false, c.replyTag(m.tag)
}

// awaitBatch waits to be told, or for the end of the delay, or for a cancel. Whoever is on the way already waits for the end.
func (c *session) awaitBatch(ctx context.Context, key batchKey, m *member, rule *Batching) (verdict, error) {
	if c.task.Attached() {
		return c.parkInLine(ctx, key, m, rule)
	}
	waiting, done := c.interruptible(ctx)
	defer done()
	delay := time.NewTimer(rule.Delay)
	defer delay.Stop()
	select {
	case v := <-m.told:
		return v, nil
	case <-delay.C:
		if c.srv.batches.quit(key, m) {
			return verdict{alone: true}, nil
		}
	case <-waiting.Done():
		if c.srv.batches.quit(key, m) {
			return verdict{}, errInterrupted()
		}
	}
	return <-m.told, nil
}

// parkInLine is awaitBatch for a session on the loop, which must not block. The end of ctx wakes its task, see [poll.WithTask].
func (c *session) parkInLine(ctx context.Context, key batchKey, m *member, rule *Batching) (verdict, error) {
	interrupts := c.watch.interrupts.Load()
	c.setStop(c.task.Wake)
	defer c.setStop(nil)
	until := time.Now().Add(rule.Delay)
	c.alarm.set(c.task, rule.Delay)
	defer c.alarm.stop()
	for {
		select {
		case v := <-m.told:
			return v, nil
		default:
		}
		switch {
		case (ctx.Err() != nil || c.watch.interrupts.Load() != interrupts) && c.srv.batches.quit(key, m):
			return verdict{}, errInterrupted()
		case !time.Now().Before(until) && c.srv.batches.quit(key, m):
			return verdict{alone: true}, nil
		}
		c.task.Park()
	}
}

// alarm wakes a session's task after a while. It is used again and again: one that rings late does no harm.
type alarm struct{ timer *time.Timer }

func (a *alarm) set(t *poll.Task, after time.Duration) {
	if a.timer == nil {
		a.timer = time.AfterFunc(after, t.Wake)
		return
	}
	a.timer.Reset(after)
}

func (a *alarm) stop() { a.timer.Stop() }

// leadBatch runs a batch, tells everybody but the leader what became of it, and returns what became of that.
func (c *session) leadBatch(ctx context.Context, all []*member, own *member) (mine verdict) {
	told := map[*member]bool{}
	tell := func(m *member, v verdict) {
		if told[m] {
			return
		}
		told[m] = true
		if m == own {
			mine = v
			return
		}
		m.tell(v)
	}
	defer func() { // a bug must not leave anybody waiting
		for _, m := range all {
			if !told[m] {
				m.err = &pgwire.Error{Code: codeResolutionUnknown, Message: "it is not known whether the statement was committed"}
				tell(m, verdict{})
			}
		}
	}()
	left := all
	for failures := 0; len(left) > 1 && failures < batchFailures; failures++ {
		culprit, done := c.runBatch(ctx, own, left)
		if done {
			c.srv.totals.batches.Add(1)
			c.srv.totals.batched.Add(int64(len(left)))
			for _, m := range left {
				tell(m, verdict{})
			}
			return mine
		}
		if culprit < 0 {
			break
		}
		tell(left[culprit], verdict{alone: true})
		left = slices.Delete(slices.Clone(left), culprit, culprit+1)
	}
	for _, m := range left {
		tell(m, verdict{alone: true})
	}
	return mine
}

// batchedAlone runs a statement that was to share a transaction, and its Sync, by itself.
func (c *session) batchedAlone(ctx context.Context, s *spread) error {
	plan := *s.plan
	plan.Kind, plan.Parts = router.One, nil
	bind := &bindMessage{rest: s.bind.rest, values: s.bind.values, results: s.bind.results} // the portal is the session's
	w := &writing{stmt: s.stmt, plan: &plan, text: s.text, bind: bind, shared: s.shared}
	if err := c.runPrepared(ctx, w, &statement{shared: s.shared}, nil); err != nil {
		return err
	}
	if err := c.send(syncFrame, step{kind: stepSync}); err != nil {
		return err
	}
	return c.receive()
}
