package ingest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

// Rule says how the writes to a table are queued.
type Rule struct {
	MaxSize int64         // bytes of the log; beyond it new writes wait
	MaxLag  time.Duration // age of the oldest record that is not done; beyond it new writes wait
}

// Queue is the log of one table's writes, and the lanes that apply it: one for each shard that owns keys of the table.
type Queue struct {
	table   topology.Name
	cfg     *QueuesConfig
	dir     string
	shared  bool                 // its log is a topic, which all proxies read
	rule    atomic.Pointer[Rule] // nil: nothing more is accepted
	waiters atomic.Int64         // who wait for records to be applied
	source  [sourceSize]byte     // secret of this process's records, told to nobody but the shards
	counts  counts
	memory  memory // of the goroutine of tidy, once the log is open
	watched sync.Mutex
	watch
}

// watch is what lanes tell and others wait for.
type watch struct {
	log     recordLog // nil: it could not be opened, or is not yet
	problem error     // why nothing is accepted, or applied
	away    error     // why there is no log at present
	shut    error     // why no more is accepted; what is there is applied
	epoch   uint64    // counts the topics that were made anew
	known   string    // Kafka's id of the topic; empty: none was opened yet
	lanes   map[ring.ShardID]*lane
	low     uint64        // every record before it is done
	moved   chan struct{} // closed when a lane has got on, or a problem has come or gone
}

// counts are those of one queue since the start.
type counts struct{ accepted, applied, buried, repeated, gone atomic.Int64 }

// Mark is a place in a queue: a record of a shard key.
type Mark struct {
	Index    uint64
	ShardKey string
	Epoch    uint64 // of the topic: another one's places are others
}

// Errors of Append and Wait.
var (
	// ErrTooLarge says that a record is larger than MaxRecord, or than the log's files.
	ErrTooLarge = errors.New("record is too large to be queued")
	// ErrDiskFull says that the log's disk has no room. The record was not accepted.
	ErrDiskFull = errors.New("disk of the log is full")
)

// BehindError says that a queue has more to do than it may. The record was not accepted.
type BehindError struct {
	Lag, MaxLag   time.Duration // of the oldest record that is not done
	Size, MaxSize int64         // of the log
	Waited        time.Duration
}

func (e *BehindError) Error() string {
	return fmt.Sprintf("queue is %s behind with a log of %d bytes", e.Lag.Round(time.Millisecond), e.Size)
}

// RefusedError says why a queue accepts nothing.
type RefusedError struct{ Err error }

func (e *RefusedError) Error() string { return "queue accepts nothing: " + e.Err.Error() }

// Unwrap returns the reason.
func (e *RefusedError) Unwrap() error { return e.Err }

// DoubtError says that the disk has failed while a record was written, or that brokers have not answered: it may be done, or not.
type DoubtError struct {
	Err     error
	Brokers bool // it is theirs, rather than of this proxy's disk
}

func (e *DoubtError) Error() string {
	return "it is not known whether the record was accepted: " + e.Err.Error()
}

// Unwrap returns the reason.
func (e *DoubtError) Unwrap() error { return e.Err }

var (
	errNoFolder  = errors.New("there is no folder for it: async.dir is not set")
	errNotQueued = errors.New("writes to the table are not asynchronous any more")
)

func newQueue(cfg *QueuesConfig, table topology.Name, dir string) *Queue {
	q := &Queue{table: table, cfg: cfg, dir: dir}
	q.moved = make(chan struct{})
	return q
}

// Append makes a record durable and returns where it is. If the queue is too far behind it waits, for QueuesConfig.Wait at most. Errors
// are ErrTooLarge, ErrDiskFull, *BehindError, *UnavailableError, *RefusedError, *DoubtError or that of ctx; the record was not accepted,
// but with *DoubtError.
func (q *Queue) Append(ctx context.Context, r *Record) (Mark, error) {
	rule := q.rule.Load()
	if rule == nil {
		return Mark{}, &RefusedError{Err: errNotQueued}
	}
	began := time.Now()
	log, err := q.present(ctx, began)
	if err != nil {
		return Mark{}, err
	}
	if err := q.awaitLag(ctx, rule, began); err != nil {
		return Mark{}, err
	}
	r.At = began
	epoch := q.age() // of this log: one that has ended since takes nothing
	for {
		_, _, moved := q.look()
		index, err := log.Append(ctx, r)
		if err == nil {
			q.counts.accepted.Add(1)
			return Mark{Index: index, ShardKey: r.ShardKey, Epoch: epoch}, nil
		}
		if !errors.Is(err, errLogFull) {
			return Mark{}, err
		}
		if err := q.await(ctx, moved, began); err != nil {
			return Mark{}, err
		}
	}
}

// awaitLag waits until the oldest record that is not done is young enough.
func (q *Queue) awaitLag(ctx context.Context, rule *Rule, began time.Time) error {
	for {
		lag, _, moved := q.look()
		if rule.MaxLag <= 0 || lag <= rule.MaxLag {
			return nil
		}
		if err := q.await(ctx, moved, began); err != nil {
			return err
		}
	}
}

// await waits for a lane to get on, or says that it has taken too long.
func (q *Queue) await(ctx context.Context, moved <-chan struct{}, began time.Time) error {
	left := time.NewTimer(q.cfg.Wait() - time.Since(began))
	defer left.Stop()
	select {
	case <-moved:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-left.C:
	}
	lag, size, _ := q.look()
	e := &BehindError{Lag: lag, Size: size, Waited: time.Since(began)}
	if rule := q.rule.Load(); rule != nil {
		e.MaxLag, e.MaxSize = rule.MaxLag, rule.MaxSize
	}
	return e
}

// usable returns the log, or why there is none.
func (q *Queue) usable() (recordLog, error) {
	q.watched.Lock()
	defer q.watched.Unlock()
	return q.log, q.problem
}

// look tells how far behind the queue is.
func (q *Queue) look() (lag time.Duration, size int64, moved <-chan struct{}) {
	q.watched.Lock()
	defer q.watched.Unlock()
	if q.log != nil {
		size = q.log.Size()
	}
	return q.oldest(), size, q.moved
}

// lag is the age of the oldest record that is not done.
func (q *Queue) lag() time.Duration {
	q.watched.Lock()
	defer q.watched.Unlock()
	return q.oldest()
}

// oldest is lag for who holds the lock.
func (q *Queue) oldest() (lag time.Duration) {
	for _, l := range q.lanes {
		if !l.at.IsZero() {
			lag = max(lag, time.Since(l.at))
		}
	}
	return lag
}

// fail notes that the log has failed.
func (q *Queue) fail(err error) {
	q.watched.Lock()
	defer q.watched.Unlock()
	if q.problem == nil {
		q.problem = err
		q.cfg.Log.Error("log of asynchronous writes has failed", "table", q.table.String(), "error", err)
	}
	q.signal()
}

// signal wakes those who wait. The caller holds the lock.
func (q *Queue) signal() {
	close(q.moved)
	q.moved = make(chan struct{})
}

// Last is the mark behind everything that was accepted so far, by whomever.
func (q *Queue) Last() Mark {
	epoch := q.age()
	log, _ := q.usable()
	if log == nil {
		return Mark{Epoch: epoch}
	}
	return Mark{Index: log.Last(), Epoch: epoch}
}

// age is the epoch of what is appended now.
func (q *Queue) age() uint64 {
	q.watched.Lock()
	defer q.watched.Unlock()
	return q.epoch
}

// Wait returns when the marked record, or every one up to it if the mark names no key, was applied or has become a dead letter. The error is that of ctx,
// *RefusedError or *LostError.
func (q *Queue) Wait(ctx context.Context, m Mark) error {
	q.waiters.Add(1)
	defer q.waiters.Add(-1)
	q.hasten()
	for {
		done, moved, err := q.passed(m)
		var lost *LostError
		switch {
		case done:
			return nil
		case errors.As(err, &lost):
			return err
		case err != nil:
			return &RefusedError{Err: err}
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// hasten has lanes that linger go on.
func (q *Queue) hasten() {
	q.watched.Lock()
	defer q.watched.Unlock()
	for _, l := range q.lanes {
		select {
		case l.hurry <- struct{}{}:
		default:
		}
	}
}

// passed reports whether the lane that a mark is in, or every lane, is behind it.
func (q *Queue) passed(m Mark) (done bool, moved <-chan struct{}, err error) {
	shard := q.owner(m.ShardKey)
	q.watched.Lock()
	defer q.watched.Unlock()
	if m.Epoch != q.epoch {
		return false, q.moved, &LostError{Table: q.table}
	}
	if l := q.lanes[shard]; shard != "" && l != nil {
		return l.next > m.Index, q.moved, q.problem
	}
	return q.lowest() > m.Index, q.moved, q.problem
}

// owner is the shard that has a key now; empty if that is not known.
func (q *Queue) owner(key string) ring.ShardID {
	t := q.cfg.Topology.Current().Table(q.table.Schema, q.table.Table)
	if key == "" || t == nil || t.Group == nil {
		return ""
	}
	at, err := ring.ParseKey(t.Group.KeyType, []byte(key))
	if err != nil {
		return ""
	}
	return t.Group.Placement.Locate(at).Shard
}

// lowest is where the lane stands that is furthest behind. The caller holds the lock.
func (q *Queue) lowest() uint64 {
	if len(q.lanes) == 0 {
		return q.low
	}
	lowest := ^uint64(0)
	for _, l := range q.lanes {
		lowest = min(lowest, l.next)
	}
	return lowest
}

// run applies what is in the log until ctx ends. It ends the log as well.
func (q *Queue) run(ctx context.Context) {
	if q.shared {
		q.runTopic(ctx)
		return
	}
	log := q.opened(ctx)
	if log == nil {
		return
	}
	for ctx.Err() == nil {
		if err := q.generation(ctx, log); err != nil && ctx.Err() == nil {
			q.fail(err)
			break
		}
	}
	<-ctx.Done()
	if err := log.Close(); err != nil {
		q.cfg.Log.Error("close the log of asynchronous writes", "table", q.table.String(), "error", err)
	}
}

// generation runs the lanes of one placement, until there is another one. An error is the log's.
func (q *Queue) generation(ctx context.Context, log recordLog) error {
	snap := q.cfg.Topology.Current()
	t := snap.Table(q.table.Schema, q.table.Table)
	if t == nil || t.Group == nil || t.Group.KeyType == ring.KeyUnset {
		select { // it was dropped, or is not there yet
		case <-ctx.Done():
		case <-q.cfg.Topology.Superseded(snap):
		}
		return nil
	}
	done, err := log.Done(ctx) // after the map was taken: see docs/adr/0023-records-in-kafka.md
	if err != nil {
		return err
	}
	running, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	low := max(q.low, done+1)
	lanes := map[ring.ShardID]*lane{}
	for _, shard := range t.Group.Placement.Owners() {
		l := &lane{queue: q, log: log, shard: shard, group: t.Group, next: low, stop: stop, began: time.Now(), hurry: make(chan struct{}, 1),
			logger: q.cfg.Log.With("table", q.table.String(), "shard", string(shard))}
		if q.shared {
			l.turn = &turn{lane: l}
		}
		l.applying, l.resume = !q.shared, !q.shared
		lanes[shard] = l
	}
	q.watched.Lock()
	q.lanes, q.away = lanes, nil
	q.signal()
	q.watched.Unlock()
	var group sync.WaitGroup
	for _, l := range lanes {
		// owner: generation, which waits; ends with running.
		group.Go(func() { l.run(running) })
	}
	// owner: generation, which waits; ends with running.
	group.Go(func() { q.follow(running, snap, t.Group.Epoch, stop) })
	// owner: generation, which waits; ends with running.
	group.Go(func() { q.tidy(running, log) })
	group.Wait()
	q.watched.Lock()
	q.low = q.lowest()
	q.watched.Unlock()
	err = context.Cause(running)
	if errors.Is(err, errPlacement) {
		return nil
	}
	return err
}

// errPlacement ends the lanes of a placement that is not the present one any more.
var errPlacement = errors.New("keys are placed otherwise now")

// follow ends the generation when the keys of the table are placed otherwise.
func (q *Queue) follow(ctx context.Context, snap *topology.Snapshot, epoch int64, stop context.CancelCauseFunc) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-q.cfg.Topology.Superseded(snap):
		}
		snap = q.cfg.Topology.Current()
		if t := snap.Table(q.table.Schema, q.table.Table); t == nil || t.Group == nil || t.Group.Epoch != epoch {
			stop(errPlacement)
			return
		}
	}
}

// tidyEvery is how often what is done is let go of.
const tidyEvery = time.Second

// tidy releases files of the log that hold nothing but what is done, and has the shards forget what was in them.
func (q *Queue) tidy(ctx context.Context, log recordLog) {
	tick := time.NewTicker(tidyEvery)
	defer tick.Stop()
	forget := time.NewTicker(q.cfg.Forget)
	defer forget.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-forget.C:
			log.Forget(ctx)
			continue
		case <-tick.C:
		}
		q.watched.Lock()
		done := q.lowest() - 1
		q.watched.Unlock()
		if err := log.Release(ctx, done); err != nil {
			q.cfg.Log.Warn("release the log of asynchronous writes", "table", q.table.String(), "error", err)
		}
		q.watched.Lock()
		q.signal() // there may be room now
		q.watched.Unlock()
	}
}
