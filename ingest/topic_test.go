package ingest_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/pgring/pgring/ingest"
	"github.com/pgring/pgring/internal/pgtest"
)

const topic = "pgring.public.events"

// useKafka has the queues of the rig use topics of brokers that are played.
func (r *rig) useKafka() *kfake.Cluster {
	r.t.Helper()
	brokers, err := kfake.NewCluster(kfake.NumBrokers(1))
	must(r.t, err)
	r.t.Cleanup(brokers.Close)
	r.kafka = &ingest.KafkaConfig{Options: []kgo.Opt{kgo.SeedBrokers(brokers.ListenAddrs()...)}, Prefix: "pgring.", Timeout: 2 * time.Second,
		Control: func(ctx context.Context) (*pgx.Conn, error) {
			return pgx.Connect(ctx, r.server.DSN(pgtest.Superuser, "s1"))
		}}
	return brokers
}

// eager appends a record as soon as the topic is there.
func (r *rig) eager(q *ingest.Queue, record *ingest.Record) {
	r.t.Helper()
	var err error
	waitFor(r.t, "the record is accepted", func() bool {
		_, err = q.Append(r.t.Context(), record)
		return !errors.As(err, new(*ingest.UnavailableError))
	})
	must(r.t, err)
}

func TestSeveralProxiesApplyATopicOnceAndInOrder(t *testing.T) {
	t.Parallel()
	r := newRig(t, 2, "ALTER TABLE events ADD COLUMN place bigserial")
	r.useKafka()
	stopFirst := r.open(rule)
	first := r.queues
	r.open(rule)
	second := r.queues
	queues := []*ingest.Queue{first.Of(events), second.Of(events)}
	for user := range int64(8) {
		r.eager(queues[user%2], event(user, 0, ""))
	}
	var clients sync.WaitGroup
	for user := range int64(8) { // all writes of a key come one after the other, now here, now there
		clients.Go(func() {
			for n := 1; n <= 40; n++ {
				number := n
				if n == 20 {
					number = -1 // is refused
				}
				if _, err := queues[(int(user)+n)%2].Append(t.Context(), event(user, number, "x")); err != nil {
					t.Errorf("append: %v", err)
				}
			}
		})
	}
	clients.Wait()
	for _, r.queues = range []*ingest.Queues{first, second} {
		r.wait()
		r.want("SELECT count(*) FROM events", 8*40)
	}
	r.want("SELECT count(*) FROM pgring.dead_letter", 8)
	r.want("SELECT count(*) FROM (SELECT n, lag(n) OVER (PARTITION BY user_id ORDER BY place) AS before FROM events) o WHERE n < before", 0)
	applied := first.Counts()[0].Applied + second.Counts()[0].Applied
	if applied != 8*40 {
		t.Errorf("%d were applied", applied)
	}
	for i, lane := range first.Lanes() {
		if other := second.Lanes()[i]; lane.Applies == other.Applies || !lane.Shared {
			t.Errorf("who applies lane %+v, %+v?", lane, other)
		}
	}
	// One goes away, and the other goes on.
	stopFirst()
	r.append(event(1, 100, ""), event(2, 100, ""), event(3, 100, ""))
	r.wait()
	r.want("SELECT count(*) FROM events WHERE n = 100", 3)
	waitFor(t, "shards forget what is done", func() bool { return r.count("SELECT count(*) FROM pgring.applied") == 0 })
	r.want("SELECT count(*) FROM pgring.async_sources WHERE floor > 0", 4)
}

func TestARecordIsRefusedWhileBrokersAreAwayAndInDoubtIfItWasSent(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1, "")
	brokers := r.useKafka()
	r.open(rule)
	q := r.queues.Of(events)
	r.eager(q, event(1, 1, ""))
	// The connection is lost whenever a record was sent.
	answering := make(chan struct{})
	brokers.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		brokers.KeepControl()
		select {
		case <-answering:
			return nil, nil, false
		default:
			return nil, errors.New("the connection is lost"), true
		}
	})
	_, err := q.Append(t.Context(), event(1, 2, ""))
	if !errors.As(err, new(*ingest.DoubtError)) {
		t.Errorf("a record that was sent: %v", err)
	}
	close(answering)
	r.eager(q, event(1, 3, ""))
	r.wait()
	r.want("SELECT count(*) FROM events WHERE n IN (1, 3)", 2)
	brokers.Close()
	waitFor(t, "the brokers are known to be away", func() bool {
		_, err = q.Append(t.Context(), event(1, 4, ""))
		return errors.As(err, new(*ingest.UnavailableError))
	})
	r.want("SELECT count(*) FROM events WHERE n IN (2, 4)", 0)
}

func TestRecordsThatRetentionHasDeletedAreMissed(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1, "")
	brokers := r.useKafka()
	back := r.away()
	stop := r.open(rule)
	q := r.queues.Of(events)
	for n := range 5 {
		r.eager(q, event(1, n, ""))
	}
	stop()
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers.ListenAddrs()...))
	must(t, err)
	defer client.Close()
	var offsets kadm.Offsets
	offsets.AddOffset(topic, 0, 3, -1)
	deleted, err := kadm.NewClient(client).DeleteRecords(t.Context(), offsets)
	must(t, errors.Join(err, deleted.Error()))
	back()
	var looks atomic.Int64
	brokers.ControlKey(int16(kmsg.Metadata), func(kmsg.Request) (kmsg.Response, error, bool) {
		brokers.KeepControl()
		looks.Add(1)
		return nil, nil, false
	})
	r.open(rule)
	q = r.queues.Of(events)
	waitFor(t, "the loss is told", func() bool {
		lane := r.queues.Lanes()[0]
		return strings.Contains(lane.Problem, "has lost records 1 to 3") && !lane.Open
	})
	waitFor(t, "it is looked at again and again", func() bool { return looks.Load() > 8 })
	if n := r.told.count("level=ERROR"); n != 1 {
		t.Errorf("told %d times, want once", n)
	}
	if _, err := q.Append(t.Context(), event(1, 9, "")); !errors.As(err, new(*ingest.RefusedError)) {
		t.Errorf("a record behind a loss: %v", err)
	}
	r.want("SELECT count(*) FROM events", 0)
	r.server.ExecIn(t, "s1", fmt.Sprintf("UPDATE pgring.async_topics SET released = 3 WHERE topic = '%s'", topic))
	waitFor(t, "the rest is applied", func() bool { return r.count("SELECT count(*) FROM events") == 2 })
	r.eager(q, event(1, 9, ""))
	r.wait()
	if _, err := q.Append(t.Context(), event(1, 10, strings.Repeat("x", ingest.MaxRecord))); !errors.Is(err, ingest.ErrTooLarge) {
		t.Errorf("a large record: %v", err)
	}
	r.eager(q, event(1, 11, strings.Repeat("x", ingest.MaxRecord-1000)))
	r.wait()
	r.want("SELECT count(*) FROM events", 4)
}

// TestATopicThatWasMadeAnewIsReadFromItsBeginning: its records have the places of others, which this process has seen.
func TestATopicThatWasMadeAnewIsReadFromItsBeginning(t *testing.T) {
	t.Parallel()
	r := newRig(t, 2, "")
	brokers := r.useKafka()
	r.open(rule)
	q := r.queues.Of(events)
	for n := range 5 {
		r.eager(q, event(int64(n), 1, "of the first"))
	}
	r.wait()
	before := q.Last()
	before.Index++ // that is on its way
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers.ListenAddrs()...))
	must(t, err)
	defer client.Close()
	_, err = kadm.NewClient(client).DeleteTopic(t.Context(), topic)
	must(t, err)
	waitFor(t, "the loss is told", func() bool {
		lane := r.queues.Lanes()[0]
		return strings.Contains(lane.Problem, "is another one than before") && !lane.Open
	})
	if err := q.Wait(t.Context(), before); !errors.As(err, new(*ingest.RefusedError)) {
		t.Errorf("who waits for a record of the first: %v", err)
	}
	r.server.ExecIn(t, "s1", fmt.Sprintf("DELETE FROM pgring.async_topics WHERE topic = '%s'", topic))
	for n := range 3 {
		var mark ingest.Mark
		waitFor(t, "the record is accepted", func() bool {
			mark, err = q.Append(t.Context(), event(int64(n), 2, "of the second"))
			return err == nil
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		must(t, q.Wait(ctx, mark))
		cancel()
		r.want("SELECT count(*) FROM events WHERE n = 2", n+1)
	}
	r.want("SELECT count(*) FROM events", 8)
	if err := q.Wait(t.Context(), before); !errors.As(err, new(*ingest.LostError)) {
		t.Errorf("who waited for a record of the first: %v", err)
	}
}

// TestATopicThatGetsPartitionsTakesNoMore: what is in it is applied. It is told once.
func TestATopicThatGetsPartitionsTakesNoMore(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1, "")
	brokers := r.useKafka()
	back := r.away()
	stop := r.open(rule)
	q := r.queues.Of(events)
	for n := range 3 {
		r.eager(q, event(1, n, ""))
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers.ListenAddrs()...))
	must(t, err)
	defer client.Close()
	_, err = kadm.NewClient(client).UpdatePartitions(t.Context(), 2, topic)
	must(t, err)
	unfit := func() bool {
		lane := r.queues.Lanes()[0]
		return strings.Contains(lane.Problem, "has 2 partitions; one is needed") && !lane.Open
	}
	waitFor(t, "it is noticed", unfit)
	if _, err := q.Append(t.Context(), event(1, 9, "")); !errors.As(err, new(*ingest.RefusedError)) {
		t.Errorf("a record for such a topic: %v", err)
	}
	stop() // it is the same for who comes later
	back()
	r.open(rule)
	q = r.queues.Of(events)
	waitFor(t, "it is noticed at the start", unfit)
	waitFor(t, "what is there is applied", func() bool { return r.count("SELECT count(*) FROM events") == 3 })
	if _, err := q.Append(t.Context(), event(1, 9, "")); !errors.As(err, new(*ingest.RefusedError)) {
		t.Errorf("a record for such a topic: %v", err)
	}
	if n := r.told.count("level=ERROR"); n != 2 {
		t.Errorf("told %d times, want once by each", n)
	}
}
