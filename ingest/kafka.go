package ingest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/pgring/pgring/topology"
)

// KafkaConfig says where the records of queues are, if they are not in logs of this proxy's own.
type KafkaConfig struct {
	// Options are the brokers' addresses and how to talk to them.
	Options []kgo.Opt
	// Prefix begins the name of each topic; schema and table follow. Topics of one prefix belong to one control database.
	Prefix string
	// Replication is how many brokers keep a topic that is made; 0: as many as the brokers' default.replication.factor says.
	Replication int
	// Timeout is how long a record that has been sent is waited for; then it is not known what became of it. 0: ten seconds.
	Timeout time.Duration
	// Control connects to the control database, which keeps how far each topic is done.
	Control func(ctx context.Context) (*pgx.Conn, error)
}

const (
	topicBatch = MaxRecord + 16<<10     // bytes of a batch of records; the largest record is one
	topicLimit = "2097152"              // bytes of a batch that a new topic takes
	adminLimit = 10 * time.Second       // for what is asked of brokers beside reading and writing records
	noAnswer   = 200 * time.Millisecond // between two tries to reach brokers; it doubles
)

func (q *Queue) topicName() string { return topicOf(q.cfg.Kafka.Prefix, q.table) }

// topicOf is the name of a table's topic: Kafka's names have letters, digits, dots, underscores and hyphens.
func topicOf(prefix string, table topology.Name) string {
	escape := func(name string) string {
		var b []byte
		for _, c := range []byte(name) {
			if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' {
				b = append(b, c)
			} else {
				b = fmt.Appendf(b, "-%02x", c)
			}
		}
		return string(b)
	}
	return prefix + escape(table.Schema) + "." + escape(table.Table)
}

// TopicError says what is wrong with a topic so that a person must look: nothing is accepted or applied until it is right.
type TopicError struct{ Topic, Problem string }

func (e *TopicError) Error() string { return fmt.Sprintf("topic %s %s", e.Topic, e.Problem) }

// openTopic opens the topic of a queue, which it makes if it is not there.
func openTopic(ctx context.Context, q *Queue) (*topicLog, error) {
	l, err := newTopicLog(q)
	if err != nil {
		return nil, err
	}
	opening, cancel := context.WithTimeout(ctx, adminLimit)
	defer cancel()
	if err := l.open(opening); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func (l *topicLog) open(ctx context.Context) error {
	var err error
	if l.client, err = kgo.NewClient(append(l.options(),
		kgo.RequiredAcks(kgo.AllISRAcks()), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		// One request at a time: so what is given up has not been sent, or is in the request that is under way.
		kgo.MaxProduceRequestsInflightPerBroker(1),
		kgo.StopProducerOnDataLossDetected(),
		kgo.ProducerLinger(0), kgo.ProducerBatchMaxBytes(topicBatch), kgo.MaxBufferedRecords(1<<16), kgo.MaxBufferedBytes(64<<20))...); err != nil {
		return fmt.Errorf("configure the client of Kafka: %w", err)
	}
	l.admin = kadm.NewClient(l.client)
	l.admin.SetTimeoutMillis(int32(adminLimit.Milliseconds() / 2))
	if l.id, err = l.find(ctx); err != nil {
		return err
	}
	if err := l.claim(ctx); err != nil {
		return err
	}
	if _, err := l.askReleased(ctx, 0); err != nil { // else what is wrong would be met, and told, again and again
		return err
	}
	end, err := l.end(ctx)
	if err != nil {
		return err
	}
	l.note(end)
	return l.warnOfRetention(ctx)
}

// options are those of every client.
func (l *topicLog) options() []kgo.Opt { return l.queue.cfg.Kafka.clientOptions() }

func (k KafkaConfig) clientOptions() []kgo.Opt {
	return append([]kgo.Opt{kgo.ClientID("pgring"), kgo.DialTimeout(2 * time.Second), kgo.MetadataMinAge(250 * time.Millisecond),
		kgo.RetryBackoffFn(func(try int) time.Duration { return min(50*time.Millisecond<<min(try, 10), time.Second) })}, k.Options...)
}

// find looks for the topic, and makes it if it is not there.
func (l *topicLog) find(ctx context.Context) (kadm.TopicID, error) {
	for range 2 {
		topics, err := l.admin.ListTopics(ctx, l.topic)
		if err != nil {
			return kadm.TopicID{}, fmt.Errorf("look for topic %s: %w", l.topic, err)
		}
		found := topics[l.topic]
		switch {
		case found.Err == nil && len(found.Partitions) > 0:
			l.unfit = l.whyUnfit(found)
			return found.ID, nil
		case found.Err != nil && !errors.Is(found.Err, kerr.UnknownTopicOrPartition):
			return kadm.TopicID{}, fmt.Errorf("look for topic %s: %w", l.topic, found.Err)
		}
		if err := l.create(ctx); err != nil {
			return kadm.TopicID{}, err
		}
	}
	return kadm.TopicID{}, fmt.Errorf("topic %s was made, and is not there yet", l.topic)
}

// whyUnfit says why a topic takes no more records: who sees several partitions, such as another program, would lose the order of a key. What
// pgring has written is in the first one, and is applied.
func (l *topicLog) whyUnfit(found kadm.TopicDetail) error {
	if n := len(found.Partitions); n > 1 {
		return &TopicError{l.topic, fmt.Sprintf("has %d partitions; one is needed, so that the order of each key is kept. What is in it is applied; then make it anew", n)}
	}
	return nil
}

func (l *topicLog) create(ctx context.Context) error {
	never, size, policy := "-1", topicLimit, "delete"
	configs := map[string]*string{"retention.ms": &never, "retention.bytes": &never, "max.message.bytes": &size, "cleanup.policy": &policy}
	replication := int16(-1)
	if n := l.queue.cfg.Kafka.Replication; n > 0 {
		replication = int16(n)
		if n > 2 { // else a write that one broker has would be acknowledged
			most := strconv.Itoa(n - 1)
			configs["min.insync.replicas"] = &most
		}
	}
	_, err := l.admin.CreateTopic(ctx, 1, replication, configs, l.topic)
	if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
		return fmt.Errorf("make topic %s: %w", l.topic, err)
	}
	return nil
}

// warnOfRetention tells of a topic whose brokers delete records by themselves.
func (l *topicLog) warnOfRetention(ctx context.Context) error {
	settings, err := deletes(ctx, l.admin, l.topic)
	if len(settings) > 0 {
		l.queue.cfg.Log.Warn("brokers delete records of asynchronous writes by themselves, be they applied or not", "topic", l.topic,
			"settings", settings)
	}
	return err
}

// end is the index of the last record.
func (l *topicLog) end(ctx context.Context) (uint64, error) {
	listed, err := l.admin.ListEndOffsets(ctx, l.topic)
	return offsetOf(l.topic, listed, err)
}

// begin is the index of the last record that is not there any more: the one behind it is the first.
func (l *topicLog) begin(ctx context.Context) (uint64, error) {
	listed, err := l.admin.ListStartOffsets(ctx, l.topic)
	return offsetOf(l.topic, listed, err)
}

func offsetOf(topic string, listed kadm.ListedOffsets, err error) (uint64, error) {
	if err == nil {
		err = listed.Error()
	}
	if err != nil {
		return 0, fmt.Errorf("look for the ends of topic %s: %w", topic, err)
	}
	found, ok := listed.Lookup(topic, 0)
	if !ok {
		return 0, fmt.Errorf("topic %s has no ends", topic)
	}
	return uint64(found.Offset), nil
}
