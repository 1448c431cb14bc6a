package ingest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

const (
	laneRows     = 512     // records of one transaction
	laneBytes    = 1 << 20 // and their bytes
	laneTimeout  = time.Minute
	laneShortest = 20 * time.Millisecond // pause after a failure; it doubles
	laneLongest  = 2 * time.Second
	laneBusy     = 8                     // records of a transaction from which on more are expected soon
	laneLinger   = 25 * time.Millisecond // from its beginning to that of the next one
	laneTogether = 3                     // attempts of several records together, when one of them fails that may do better later
)

// lane applies the records of a queue whose keys one shard owns, in the order of the log: so the order of each key is kept. Every
// transaction says how far it has come with each of its keys:
//
//	collect ▶ apply ─done─────────────────────────────▶ linger ▶ collect
//	            ├─ some were applied before ▶ without them, again
//	            ├─ the shard refuses one ▶ those before it, then it alone ─refused▶ dead letter
//	            ├─ one fails, and may do better later ▶ again; soon alone ─SKIP RECORD▶ dead letter
//	            └─ the shard is away, or the keys are on their way ▶ wait, again
//
// What a crash leaves unknown is seen by the next try: the shard refuses what it has.
type lane struct {
	queue  *Queue
	log    recordLog
	shard  ring.ShardID
	group  *topology.Group
	stop   context.CancelCauseFunc // ends the generation
	logger *slog.Logger
	began  time.Time

	reader cursor
	held   *Record // was read, and begins the next transaction
	form   form    // of the record that was read last
	use    *topology.Use
	conns  conns
	turn   *turn         // nil: nobody else reads the log
	hurry  chan struct{} // somebody waits for records to be applied; capacity 1
	apart  time.Time     // when the table was found to be one whose rows are written one by one
	resume bool          // records of the log may be applied already, so the shard is asked first

	// Guarded by Queue.watched.
	next     uint64    // every record of the lane before it is done
	at       time.Time // when the oldest record that is not done was accepted; zero: there is none, as far as is known
	heard    bool      // whether at is that of the record: before something was done, nobody knows which of those in the log are done already, and it counts from began
	problem  string    // why it does not get on; empty: it does
	stuck    *Record   // the record whose statement fails, and may do better at another time; nil: there is none
	skipped  *Record   // it is to become a dead letter, if it is stuck still
	applying bool      // this proxy applies the lane's records, rather than another one
}

// run applies records until ctx ends.
func (l *lane) run(ctx context.Context) {
	l.use = l.queue.cfg.Topology.NewUse()
	defer l.use.Close()
	l.conns.lane = l
	defer l.conns.close(ctx)
	defer func() {
		if p := recover(); p != nil {
			l.logger.Error("lane ended by a bug", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			l.stop(fmt.Errorf("lane of shard %s was ended by a bug: %v", l.shard, p))
		}
	}()
	var err error
	if l.reader, err = l.log.Read(l.next); err != nil {
		l.stop(fmt.Errorf("lane of shard %s: %w", l.shard, err))
		return
	}
	defer l.reader.Close()
	defer l.turn.drop(ctx)
	for ctx.Err() == nil {
		batch, next, err := l.collect(ctx)
		began, records := time.Now(), len(batch)
		if err == nil {
			batch, err = l.turn.await(ctx, batch)
		}
		if err == nil {
			err = l.apply(ctx, batch)
		}
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, errPlacement):
			l.stop(errPlacement)
			return
		case err != nil: // the log itself: nothing more is certain
			l.stop(fmt.Errorf("lane of shard %s: %w", l.shard, err))
			return
		}
		l.passed(next)
		if records >= laneBusy {
			l.linger(ctx, began)
		}
	}
}

// linger waits for records to come, so that a transaction has many of them, unless somebody waits for those that are there.
func (l *lane) linger(ctx context.Context, began time.Time) {
	left := laneLinger - time.Since(began)
	if left <= 0 || l.log.Last() >= l.next+laneRows || l.queue.waiters.Load() > 0 {
		return
	}
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-l.hurry:
	case <-timer.C:
	}
}

// passed tells that every record of the lane before next is done.
func (l *lane) passed(next uint64) {
	q := l.queue
	q.watched.Lock()
	defer q.watched.Unlock()
	l.heard, l.next, l.problem, l.at, l.stuck, l.skipped = true, next, "", time.Time{}, nil, nil
	if l.held != nil {
		l.at = steady(l.held.At)
	}
	q.signal()
}

// collect gives the records of the next transaction, waiting for the first one, and where the lane is when they are done.
func (l *lane) collect(ctx context.Context) (batch []*Record, next uint64, err error) {
	size := 0
	if l.held != nil {
		batch, next = append(batch, l.held), l.held.index+1
		size = recordSize(l.held)
		l.held = nil
	}
	for len(batch) < laneRows && size < laneBytes && !isAlone(batch) {
		if next > l.log.Last() {
			if len(batch) > 0 {
				break
			}
			l.passed(next) // the rest of the log is of other lanes
		}
		e, err := l.reader.Next(ctx)
		if err != nil {
			return nil, 0, err
		}
		next = e.index + 1
		r, err := l.own(e.data)
		if err != nil {
			return nil, 0, fmt.Errorf("record %d: %w", e.index, err)
		}
		if r == nil {
			continue
		}
		r.index, r.number = e.index, e.number
		if len(batch) > 0 && (!batch[0].together(r) || isAlone([]*Record{r})) {
			l.held, next = r, e.index
			break
		}
		batch = append(batch, r)
		size += len(e.data)
	}
	l.begin(batch[0].At)
	return batch, next, nil
}

// isAlone reports whether a transaction is for its only record: another try of a dead letter.
func isAlone(batch []*Record) bool { return len(batch) == 1 && batch[0].Letter != "" }

// begin notes how old the oldest record under way is.
func (l *lane) begin(at time.Time) {
	l.queue.watched.Lock()
	defer l.queue.watched.Unlock()
	l.at = steady(at)
	if (!l.heard || l.resume) && at.Before(l.began) { // it may be done already
		l.at = l.began
	}
}

// steady is a time whose age no step of the clock changes from now on. What seems to come from the future, since the clock has stepped back,
// is as old as nothing.
func steady(at time.Time) time.Time {
	now := time.Now()
	return now.Add(-max(0, now.Sub(at)))
}

// own decodes a record if it is the lane's; nil: it is not.
func (l *lane) own(data []byte) (*Record, error) {
	head, rest, err := decodeKey(data, l.group.Name)
	if err != nil {
		return nil, err
	}
	key, err := ring.ParseKey(l.group.KeyType, []byte(head.ShardKey))
	if err != nil {
		return nil, fmt.Errorf("its shard key is none of the table's: %w", err)
	}
	if l.group.Placement.Locate(key).Shard != l.shard {
		return nil, nil
	}
	return head.decodeRest(rest, &l.form)
}

func recordSize(r *Record) int {
	size := len(r.SQL)
	for _, value := range r.Values {
		size += len(value)
	}
	return size
}

// together reports whether two records may share a transaction: the same session would have sent them.
func (r *Record) together(o *Record) bool {
	return r.Group == o.Group && r.User == o.User && slices.Equal(r.Settings, o.Settings)
}

// apply has the shard do the records, however long that takes. An error is errPlacement or that of ctx.
func (l *lane) apply(ctx context.Context, batch []*Record) error {
	batch = l.resumed(ctx, batch)
	pause := laneShortest
	for tries := 1; len(batch) > 0; tries++ {
		err := l.attempt(ctx, batch)
		var refused *refusal
		var failed *failure
		l.fails(batch, err)
		switch {
		case err == nil:
			l.queue.counts.applied.Add(int64(len(batch)))
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, errPlacement):
			return err
		case errors.Is(err, errGone):
			l.queue.counts.gone.Add(1)
			return nil
		case errors.As(err, &failed) && (len(batch) > 1 && tries >= laneTogether || len(batch) == 1 && l.skips(batch[0])):
			refused = failed.refusal
		case errors.As(err, &refused): // as the shard has said
		}
		switch {
		case refused != nil && len(batch) == 1:
			if err = l.bury(ctx, batch[0], refused); err == nil {
				l.queue.counts.buried.Add(1)
				return nil
			}
		case refused != nil:
			rest, err := l.around(ctx, batch, refused.index)
			if err != nil {
				return err
			}
			batch = rest
			continue
		}
		if errors.Is(err, errApplied) {
			l.turn.drop(ctx) // another one applies
			left, failure := l.missing(ctx, batch)
			if failure == nil && len(left) < len(batch) {
				batch = left
				continue
			}
			err = cmp.Or(failure, err) // somebody else says so, such as a trigger
		}
		if err := l.pause(ctx, err, &pause); err != nil {
			return err
		}
	}
	return nil
}

// resumed leaves out what was applied before the lane began, until nothing of a batch was. That is for the peace of the shard's log only: a
// transaction that would do something twice fails (codeApplied).
func (l *lane) resumed(ctx context.Context, batch []*Record) []*Record {
	if !l.resume || len(batch) == 0 {
		return batch
	}
	left, err := l.missing(ctx, batch)
	if err == nil {
		l.resume = len(left) < len(batch)
	}
	return left
}

// fails notes of a record by itself how it does.
func (l *lane) fails(batch []*Record, err error) {
	var failed *failure
	var stuck *Record
	if errors.As(err, &failed) && len(batch) == 1 {
		stuck = batch[0]
	}
	l.queue.watched.Lock()
	defer l.queue.watched.Unlock()
	if l.stuck == stuck {
		return
	}
	l.stuck = stuck
	if stuck == nil {
		l.problem = ""
	}
	l.queue.signal()
}

// skips reports whether a record is to be a dead letter although it may do better later.
func (l *lane) skips(r *Record) bool {
	l.queue.watched.Lock()
	defer l.queue.watched.Unlock()
	return l.skipped == r
}

// around applies what stands before a record that was refused, and that record by itself, and returns what is left. If it is not known
// which one it was, each is applied by itself.
func (l *lane) around(ctx context.Context, batch []*Record, index int) (rest []*Record, err error) {
	if index < 0 {
		for i := range batch {
			if err := l.apply(ctx, batch[i:i+1]); err != nil {
				return nil, err
			}
		}
		return nil, nil
	}
	if err := l.apply(ctx, batch[:index]); err != nil {
		return nil, err
	}
	if err := l.apply(ctx, batch[index:index+1]); err != nil {
		return nil, err
	}
	return batch[index+1:], nil
}

// pause notes why the lane does not get on, and waits: for a newer map, or for the time that is due.
func (l *lane) pause(ctx context.Context, why error, pause *time.Duration) error {
	q := l.queue
	q.watched.Lock()
	told := l.problem
	l.problem = why.Error()
	q.watched.Unlock()
	if told == "" && !errors.Is(why, errMoving) {
		l.logger.Warn("asynchronous writes wait", "error", why)
	}
	snap := q.cfg.Topology.Current()
	timer := time.NewTimer(*pause)
	defer timer.Stop()
	if !errors.Is(why, errMoving) {
		*pause = min(2**pause, laneLongest)
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-q.cfg.Topology.Superseded(snap):
	case <-timer.C:
	}
	return nil
}

// hold takes the present map into use for one transaction, if the lane may write with it. release ends that.
func (l *lane) hold() (release func(), err error) {
	topo := l.queue.cfg.Topology
	if topo.Stalled() {
		topo.AwaitLease()
	}
	snap := l.use.Begin()
	release = func() { l.use.End(false) }
	t := snap.Table(l.queue.table.Schema, l.queue.table.Table)
	switch {
	case t == nil || t.Group == nil || t.Group.Epoch != l.group.Epoch:
		err = errPlacement
	case snap.Moving(l.group.Name) && !topo.Leased():
		err = errMoving
	case slices.ContainsFunc(snap.Moves, func(m *topology.Move) bool { return m.Group == l.group.Name && m.State.Closed() }):
		err = errMoving // a cut-over: it takes milliseconds
	case len(snap.Moves) > 0 && !l.use.Write(snap):
		err = errMoving
	}
	if err != nil {
		release()
		return nil, err
	}
	return release, nil
}

var (
	// errMoving says that keys of the table are on their way to another shard.
	errMoving = errors.New("slots are being moved")
	// errApplied says that some of the records were applied before.
	errApplied = errors.New("records were applied before")
	// errGone says that there is no such dead letter any more.
	errGone = errors.New("dead letter is gone")
)

// refusal is the shard's final answer to a record.
type refusal struct {
	index                     int // of the record; -1: not known
	code, message, detailText string
}

func (r *refusal) Error() string { return fmt.Sprintf("%s (SQLSTATE %s)", r.message, r.code) }

// failure is a shard's answer to a record that may be another one at another time: a lock that was not had, a deadlock, an internal error.
type failure struct {
	*refusal
	cause error
}

// Unwrap returns what the shard has said.
func (f *failure) Unwrap() error { return f.cause }

// answerTo is the shard's error to the index-th record of a transaction as the lane goes by it: a *refusal, a *failure, or err itself if it says
// nothing of the record.
func answerTo(index int, err error) error {
	var server *pgconn.PgError
	if !errors.As(err, &server) || server.Severity != "ERROR" {
		return err
	}
	answer := &refusal{index: index, code: server.Code, message: server.Message, detailText: server.Detail}
	switch {
	case isFinal(server.Code), index >= 0 && server.Code == codeMalformed:
		return answer
	case isOfRecord(server.Code), index >= 0 && !isOwn(server.Code):
		return &failure{refusal: answer, cause: err}
	}
	return err
}

// codeMalformed is PostgreSQL's protocol_violation, which is what a binary parameter has that its type cannot read.
const codeMalformed = "08P01"

// isOwn reports whether an error is pgring's own, and says nothing of the record.
func isOwn(code string) bool {
	return code == codeFenced || code == codeApplied || code == codeUnknownSource || code == codeApart
}

// isOfRecord reports whether an error that is not final comes from what the record does, rather than from the shard.
func isOfRecord(code string) bool {
	return !isOwn(code) && slices.Contains([]string{"40", "55", "XX", "72", "F0"}, code[:min(2, len(code))])
}

// isFinal reports whether an error says something of the record, so that the same statement will have the same error. What a shard says
// of itself, of others or of the moment is not final.
func isFinal(code string) bool {
	if code == "55P03" || isOwn(code) {
		return false
	}
	for _, class := range []string{"00", "01", "02", "08", "25", "28", "3D", "40", "53", "57", "58", "72", "F0", "XX"} {
		if strings.HasPrefix(code, class) {
			return false
		}
	}
	return true
}
