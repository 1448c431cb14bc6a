package check

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/pgring/pgring/ingest"
	"github.com/pgring/pgring/topology"
)

// kafka looks at the brokers of asynchronous writes and at the topics.
func (r *reporter) kafka(ctx context.Context, o Options) {
	if o.Kafka == nil {
		return
	}
	var tables []topology.Name
	for _, t := range r.cfg.Tables {
		if t.Async.Enabled {
			tables = append(tables, topology.Name{Schema: string(t.Name.Schema), Table: string(t.Name.Table)})
		}
	}
	brokers, topics := o.Kafka.Examine(ctx, r.cfg.Async.Kafka.Brokers, tables)
	r.brokers(brokers)
	for _, t := range topics {
		r.topic(t)
	}
}

// brokers: one that answers is enough to begin with, but each has to be reached that leads a topic.
func (r *reporter) brokers(list []ingest.Broker) {
	alive := false
	for _, b := range list {
		alive = alive || b.Err == nil
	}
	for _, b := range list {
		switch {
		case b.Err == nil:
		case b.Told:
			r.errorf("", "clients use the address that a broker has in advertised.listeners; it must be right as seen from here",
				fmt.Sprintf("broker %s, of which the others tell, does not answer: %v", b.Address, b.Err))
		case alive:
			r.warn("", brokerHint(b.Err), fmt.Sprintf("broker %s does not answer: %v", b.Address, b.Err))
		default:
			r.errorf("", brokerHint(b.Err), fmt.Sprintf("broker %s does not answer: %v", b.Address, b.Err))
		}
	}
}

// brokerHint says what a broker's silence comes from, where that can be known.
func brokerHint(err error) string {
	text := err.Error()
	switch {
	case errors.Is(err, kerr.SaslAuthenticationFailed):
		return "async.kafka.sasl has a user or a password that the broker does not know"
	case errors.Is(err, kerr.UnsupportedSaslMechanism):
		return "async.kafka.sasl has a mechanism that the broker does not offer"
	case strings.Contains(text, "tls alert"):
		return "the broker speaks TLS on this port: set async.kafka.tls.enabled"
	case strings.Contains(text, "x509:"):
		return "async.kafka.tls.ca must have the certificate that the broker's is signed by, and that must be for this host"
	case strings.Contains(text, "tls:"):
		return "the broker may not speak TLS on this port, or want a certificate: see async.kafka.tls"
	case errors.Is(err, io.EOF):
		return "the broker closed the connection: it may want TLS (async.kafka.tls), or another login (async.kafka.sasl), on this port"
	}
	return ""
}

func (r *reporter) topic(t ingest.Topic) {
	switch {
	case errors.Is(t.Err, kerr.TopicAuthorizationFailed), errors.Is(t.Err, kerr.ClusterAuthorizationFailed):
		r.errorf("", "grant CREATE, DESCRIBE, DESCRIBE_CONFIGS, READ, WRITE and DELETE on topics of the prefix", fmt.Sprintf("pgring's login may not look at topic %s: %v", t.Name, t.Err))
	case t.Err != nil:
		r.errorf("", "", fmt.Sprintf("topic %s cannot be looked at: %v", t.Name, t.Err))
	case t.Partitions > 1:
		r.errorf("", "one is needed, so that the order of each key is kept: let pgring make the topic",
			fmt.Sprintf("topic %s has %d partitions", t.Name, t.Partitions))
	}
	if len(t.Deletes) > 0 {
		r.warn("", "set retention.ms and retention.bytes to -1, and cleanup.policy to delete",
			fmt.Sprintf("brokers delete the records of topic %s by themselves, be they applied or not: %s", t.Name, strings.Join(t.Deletes, ", ")))
	}
}
