package ingest

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// topicLog is the topic of a table, as long as nothing goes wrong with it: then it ends, and another one is opened. It is a source of
// records: it has a secret, and numbers of its own, which records take along. So what a record is does not depend on where it is: one that
// is there twice, or that the brokers have lost and somebody has written again, is applied once.
//
//	open ▶ running ─ a record's outcome is not known ─┐
//	          │                                        ├▶ ended: nothing more is sent; what was given up is never sent again
//	          └─ brokers do not answer, records are lost ─┘
type topicLog struct {
	queue  *Queue
	topic  string
	source [sourceSize]byte
	id     kadm.TopicID
	unfit  error // why it took no more records when it was opened
	absent int   // how often in a row brokers did not know it; of watch
	client *kgo.Client
	admin  *kadm.Client

	ending sync.Once
	ended  chan struct{} // closed when the log ends
	cause  error         // why; read it after ended

	mu sync.Mutex
	topicState
}

// topicState is what is known of a topic.
type topicState struct {
	number   uint64    // of the last record of this source
	last     uint64    // index of the last record
	released uint64    // every record up to it is done, the control database says
	tried    time.Time // when Release was at it last
	told     string    // what Release has complained of
	heads    map[[sourceSize]byte]head
}

// head is the last record of a source.
type head struct{ number, index uint64 }

// numberSize is that of a record's number in bytes, which stands before it.
const numberSize = 8

// patienceAfter is how long the outcome of a record is still waited for when the log has ended.
const patienceAfter = 2 * time.Second

// watchEvery is how often brokers are asked how the topic is.
const watchEvery = time.Second

func newTopicLog(q *Queue) (*topicLog, error) {
	l := &topicLog{queue: q, topic: q.topicName(), ended: make(chan struct{})}
	l.heads = map[[sourceSize]byte]head{}
	_, err := rand.Read(l.source[:])
	return l, err
}

// Append implements recordLog. A record that could not be sent was not accepted; one that was sent, and not answered in time, may be there.
func (l *topicLog) Append(ctx context.Context, r *Record) (uint64, error) {
	sending, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	before, outcome, err := l.send(sending, r)
	if err != nil {
		return 0, err
	}
	wait, limit := time.NewTimer(l.queue.cfg.Wait()), time.NewTimer(cmp.Or(l.queue.cfg.Kafka.Timeout, adminLimit))
	defer wait.Stop()
	defer limit.Stop()
	given, ended := ctx.Done(), l.ended
	for {
		select {
		case done := <-outcome:
			return l.settle(ctx, done, before)
		case <-wait.C:
			cancel() // it is taken back if it has not left
		case <-given:
			cancel()
			given = nil
		case <-ended:
			cancel()
			ended = nil
			limit.Reset(patienceAfter)
		case <-limit.C:
			if ended == nil {
				return 0, &DoubtError{Err: l.cause, Brokers: true}
			}
			cancel()
			l.fail(fmt.Errorf("brokers have not answered to a record of topic %s in time", l.topic))
		}
	}
}

// produced is what became of a record.
type produced struct {
	index uint64
	err   error
}

// send hands a record to the client, in the order of the numbers.
func (l *topicLog) send(ctx context.Context, r *Record) (before uint64, outcome <-chan produced, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.ended:
		return 0, nil, &UnavailableError{Err: l.cause}
	default:
	}
	r.source = l.source
	data := r.encode(binary.BigEndian.AppendUint64(nil, l.number+1))
	if len(data)-numberSize > MaxRecord {
		return 0, nil, ErrTooLarge
	}
	l.number++
	told := make(chan produced, 1)
	record := &kgo.Record{Topic: l.topic, Key: binary.BigEndian.AppendUint64(nil, r.Hash), Value: data}
	l.client.TryProduce(ctx, record, func(r *kgo.Record, err error) { told <- produced{index: uint64(r.Offset) + 1, err: err} })
	return l.last, told, nil
}

// settle says what the outcome of a record means.
func (l *topicLog) settle(ctx context.Context, done produced, before uint64) (uint64, error) {
	switch {
	case done.err == nil && done.index <= before:
		l.fail(&TopicError{l.topic, fmt.Sprintf("has gone back: record %d was written behind record %d", done.index, before)})
		return 0, &DoubtError{Err: l.cause, Brokers: true}
	case done.err == nil:
		l.note(done.index)
		return done.index, nil
	case errors.Is(done.err, context.Canceled): // the client says so of records only that have not been sent, or were refused
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		return 0, &UnavailableError{Err: errors.New("brokers do not answer")}
	case errors.Is(done.err, kerr.MessageTooLarge) || errors.Is(done.err, kerr.RecordListTooLarge):
		return 0, ErrTooLarge
	case errors.Is(done.err, kgo.ErrMaxBuffered):
		return 0, &UnavailableError{Err: errors.New("too many records wait for the brokers")}
	case errors.Is(done.err, kerr.TopicAuthorizationFailed) || errors.Is(done.err, kerr.ClusterAuthorizationFailed) || errors.Is(done.err, kerr.InvalidRecord) ||
		errors.Is(done.err, kerr.PolicyViolation):
		return 0, &UnavailableError{Err: done.err}
	}
	l.fail(fmt.Errorf("write to topic %s: %w", l.topic, done.err))
	return 0, &DoubtError{Err: done.err, Brokers: true}
}

// fail ends the log.
func (l *topicLog) fail(why error) {
	l.ending.Do(func() {
		l.cause = why
		close(l.ended)
	})
}

// note remembers that there is a record.
func (l *topicLog) note(index uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = max(l.last, index)
}

// Last implements recordLog.
func (l *topicLog) Last() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

// Size implements recordLog.
func (l *topicLog) Size() int64 { return 0 }

// Close implements recordLog. What waits to be sent is given up.
func (l *topicLog) Close() error {
	l.fail(errors.New("connections to the brokers are closed"))
	if l.client != nil {
		l.client.Close()
	}
	return nil
}

// watch looks whether the topic is what it was, until ctx ends or the log does. It returns why the log has ended.
func (l *topicLog) watch(ctx context.Context) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	answered := time.Now()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-l.ended:
			return l.cause
		case <-tick.C:
		}
		err := l.look(ctx)
		var wrong *TopicError
		switch {
		case err == nil:
			answered = time.Now()
		case errors.As(err, &wrong), time.Since(answered) > cmp.Or(l.queue.cfg.Kafka.Timeout, adminLimit):
			l.fail(err)
		}
	}
}

// look compares the topic with what is known of it.
func (l *topicLog) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, adminLimit/2)
	defer cancel()
	if err := l.identify(ctx); err != nil {
		return err
	}
	last := l.Last()
	end, err := l.end(ctx)
	if err != nil {
		return err
	}
	if end < last {
		return &TopicError{l.topic, fmt.Sprintf("ends at record %d, and record %d was there: its brokers have lost records that were acknowledged", end, last)}
	}
	l.note(end)
	return nil
}

// absences is how often in a row brokers must not know a topic until it counts as deleted: one that has just started may not know it yet.
const absences = 3

// identify looks whether the topic is the same, and as it should be.
func (l *topicLog) identify(ctx context.Context) error {
	topics, err := l.admin.ListTopics(ctx, l.topic)
	if err != nil {
		return fmt.Errorf("look for topic %s: %w", l.topic, err)
	}
	found := topics[l.topic]
	if !errors.Is(found.Err, kerr.UnknownTopicOrPartition) {
		l.absent = 0
	} else if l.absent++; l.absent >= absences {
		return &TopicError{l.topic, "was deleted"}
	}
	switch {
	case found.Err != nil:
		return fmt.Errorf("look for topic %s: %w", l.topic, found.Err)
	case found.ID != l.id:
		return &TopicError{l.topic, "was deleted and made anew"}
	}
	if unfit := l.whyUnfit(found); unfit != nil {
		l.queue.refuse(unfit)
	}
	return nil
}

// Release implements recordLog: first the control database knows that the records are done, then the brokers may delete them.
func (l *topicLog) Release(ctx context.Context, upTo uint64) error {
	if !l.due(upTo) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, adminLimit)
	defer cancel()
	if err := l.noteReleased(ctx, upTo); err != nil {
		return err
	}
	var offsets kadm.Offsets
	offsets.AddOffset(l.topic, 0, int64(upTo), -1)
	deleted, err := l.admin.DeleteRecords(ctx, offsets)
	if err == nil {
		err = deleted.Error()
	}
	return l.complain(err)
}

// releaseEvery is the time between two releases.
const releaseEvery = 3 * time.Second

// due reports whether there is something to release, and the last time is long enough ago.
func (l *topicLog) due(upTo uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if upTo <= l.released || time.Since(l.tried) < releaseEvery {
		return false
	}
	l.tried = time.Now()
	return true
}

// complain returns an error once.
func (l *topicLog) complain(err error) error {
	text := ""
	if err != nil {
		text = err.Error()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.told == text {
		return nil
	}
	l.told = text
	return err
}

// topicCursor reads a topic. It has a client of its own.
type topicCursor struct {
	log     *topicLog
	client  *kgo.Client
	next    uint64
	records []*kgo.Record
}

// Read implements recordLog.
func (l *topicLog) Read(from uint64) (cursor, error) {
	at := map[string]map[int32]kgo.Offset{l.topic: {0: kgo.NewOffset().At(int64(from) - 1)}}
	client, err := kgo.NewClient(append(l.options(), kgo.ConsumePartitions(at), kgo.ConsumeResetOffset(kgo.NoResetOffset()), kgo.FetchMaxWait(time.Second),
		kgo.FetchMaxBytes(4<<20), kgo.FetchMaxPartitionBytes(2<<20), kgo.MaxConcurrentFetches(1))...)
	if err != nil {
		return nil, fmt.Errorf("read topic %s: %w", l.topic, err)
	}
	return &topicCursor{log: l, client: client, next: from}, nil
}

// Next implements cursor. An error ends the generation; what the next one finds decides whether records were lost.
func (c *topicCursor) Next(ctx context.Context) (entry, error) {
	for len(c.records) == 0 {
		fetched := c.client.PollRecords(ctx, laneRows)
		if ctx.Err() != nil {
			return entry{}, context.Cause(ctx)
		}
		if err := fetched.Err(); err != nil {
			return entry{}, fmt.Errorf("read topic %s at record %d: %w", c.log.topic, c.next, err)
		}
		fetched.EachPartition(func(p kgo.FetchTopicPartition) { c.log.note(uint64(max(p.HighWatermark, 0))) })
		c.records = fetched.Records()
	}
	r := c.records[0]
	c.records = c.records[1:]
	index := uint64(r.Offset) + 1
	if index != c.next {
		return entry{}, fmt.Errorf("topic %s has record %d where record %d should be", c.log.topic, index, c.next)
	}
	if len(r.Value) < numberSize {
		return entry{}, &TopicError{c.log.topic, fmt.Sprintf("has a record %d that is none of pgring's", index)}
	}
	c.next++
	e := entry{data: r.Value[numberSize:], index: index, number: binary.BigEndian.Uint64(r.Value)}
	return e, c.log.seen(e)
}

// seen notes the last record of each source.
func (l *topicLog) seen(e entry) error {
	r, _, err := decodeKey(e.data, "")
	if err != nil {
		return &TopicError{l.topic, fmt.Sprintf("has a record %d that is none of this version of pgring", e.index)}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if h := l.heads[r.source]; h.index < e.index {
		l.heads[r.source] = head{number: max(h.number, e.number), index: e.index}
	}
	return nil
}

// Close implements cursor.
func (c *topicCursor) Close() { c.client.Close() }
