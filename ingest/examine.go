package ingest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/pgring/pgring/topology"
)

// Broker is one broker, and whether it can be talked to.
type Broker struct {
	Address string
	Told    bool  // brokers told of it; the configuration does not name it
	Err     error // why it does not answer; nil: it does
}

// Topic is the topic of a table as brokers describe it.
type Topic struct {
	Name       string
	Partitions int      // 0: there is no such topic
	Deletes    []string // settings with which brokers delete records by themselves, such as "retention.ms = 604800000"
	Err        error    // why it is not known
}

// askLimit is how long one broker may take to answer when it is examined.
const askLimit = 5 * time.Second

// Examine asks each of the brokers whether it answers, those that they tell of as well, and, if one does, how the topics of the tables are.
// It changes nothing.
func (k KafkaConfig) Examine(ctx context.Context, named []string, tables []topology.Name) ([]Broker, []Topic) {
	var brokers []Broker
	var answers *kgo.Client
	for _, address := range named {
		client, err := k.reach(ctx, address)
		brokers = append(brokers, Broker{Address: address, Err: err})
		switch {
		case err != nil:
		case answers == nil:
			answers = client
			defer client.Close()
		default:
			client.Close()
		}
	}
	if answers == nil {
		return brokers, nil
	}
	admin := kadm.NewClient(answers)
	brokers = append(brokers, others(ctx, answers, admin, brokers)...)
	var topics []Topic
	for _, t := range tables {
		topics = append(topics, examineTopic(ctx, admin, topicOf(k.Prefix, t)))
	}
	return brokers, topics
}

// reach returns a client that one broker has answered.
func (k KafkaConfig) reach(ctx context.Context, address string) (*kgo.Client, error) {
	client, err := kgo.NewClient(append(k.clientOptions(), kgo.SeedBrokers(address), kgo.RequestRetries(0), kgo.RetryTimeout(askLimit))...)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	if err := client.Ping(ctx); err != nil {
		client.Close()
		return nil, err
	}
	return client, nil
}

// others asks the brokers that were told of, each at the address that it has for clients.
func others(ctx context.Context, client *kgo.Client, admin *kadm.Client, known []Broker) []Broker {
	ctx, cancel := context.WithTimeout(ctx, 2*askLimit)
	defer cancel()
	told, err := admin.ListBrokers(ctx)
	if err != nil {
		return []Broker{{Address: known[0].Address, Err: fmt.Errorf("ask for the other brokers: %w", err)}}
	}
	var list []Broker
	for _, t := range told {
		b := Broker{Address: net.JoinHostPort(t.Host, strconv.Itoa(int(t.Port))), Told: true}
		if isNamed(known, b.Address) {
			continue
		}
		asking, cancel := context.WithTimeout(ctx, askLimit)
		_, b.Err = client.Broker(int(t.NodeID)).Request(asking, kmsg.NewPtrMetadataRequest())
		cancel()
		list = append(list, b)
	}
	return list
}

func isNamed(list []Broker, address string) bool {
	for _, b := range list {
		if b.Address == address {
			return true
		}
	}
	return false
}

func examineTopic(ctx context.Context, admin *kadm.Client, name string) Topic {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	t := Topic{Name: name}
	topics, err := admin.ListTopics(ctx, name)
	found := topics[name]
	if err = cmp.Or(err, found.Err); errors.Is(err, kerr.UnknownTopicOrPartition) {
		return t
	}
	if err != nil {
		t.Err = err
		return t
	}
	t.Partitions = len(found.Partitions)
	t.Deletes, t.Err = deletes(ctx, admin, name)
	return t
}

// deletes lists the settings with which brokers delete the records of a topic by themselves.
func deletes(ctx context.Context, admin *kadm.Client, topic string) ([]string, error) {
	found, err := admin.DescribeTopicConfigs(ctx, topic)
	if err != nil {
		return nil, fmt.Errorf("look at the settings of topic %s: %w", topic, err)
	}
	var list []string
	for _, t := range found {
		if t.Err != nil {
			return nil, fmt.Errorf("look at the settings of topic %s: %w", topic, t.Err)
		}
		for _, c := range t.Configs {
			if (c.Key == "retention.ms" || c.Key == "retention.bytes") && c.MaybeValue() != "-1" || c.Key == "cleanup.policy" && c.MaybeValue() != "delete" {
				list = append(list, c.Key+" = "+c.MaybeValue())
			}
		}
	}
	return list, nil
}
