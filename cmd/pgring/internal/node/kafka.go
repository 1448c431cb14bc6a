package node

import (
	"crypto/tls"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/pgring/pgring/cmd/pgring/internal/config"
	"github.com/pgring/pgring/ingest"
)

// kafka says where the brokers of asynchronous writes are; nil: there are none.
func (n *Node) kafka(cfg *config.Config) (*ingest.KafkaConfig, error) {
	k, err := Kafka(cfg)
	if k != nil {
		k.Control = n.control
	}
	return k, err
}

// Kafka is the same without a control database.
func Kafka(cfg *config.Config) (*ingest.KafkaConfig, error) {
	k := cfg.Async.Kafka
	if cfg.Async.Backend != config.AsyncKafka {
		return nil, nil
	}
	options := []kgo.Opt{kgo.SeedBrokers(k.Brokers...)}
	if k.TLS.Enabled {
		secure, err := brokerTLS(k.TLS)
		if err != nil {
			return nil, err
		}
		options = append(options, kgo.DialTLSConfig(secure))
	}
	if m := mechanism(k.SASL); m != nil {
		options = append(options, kgo.SASL(m))
	}
	return &ingest.KafkaConfig{Options: options, Prefix: k.TopicPrefix, Replication: k.ReplicationFactor, Timeout: k.Timeout.Std()}, nil
}

func mechanism(s config.KafkaSASL) sasl.Mechanism {
	switch s.Mechanism {
	case config.SASLPlain:
		return plain.Auth{User: s.User, Pass: s.Password.Reveal()}.AsMechanism()
	case config.SASLScram256:
		return scram.Auth{User: s.User, Pass: s.Password.Reveal()}.AsSha256Mechanism()
	case config.SASLScram512:
		return scram.Auth{User: s.User, Pass: s.Password.Reveal()}.AsSha512Mechanism()
	}
	return nil
}

func brokerTLS(t config.KafkaTLS) (*tls.Config, error) {
	secure := &tls.Config{MinVersion: tls.VersionTLS12}
	if t.CA != "" {
		roots, err := readRoots(string(t.CA))
		if err != nil {
			return nil, err
		}
		secure.RootCAs = roots
	}
	if t.Cert != "" {
		pair, err := tls.LoadX509KeyPair(string(t.Cert), string(t.Key))
		if err != nil {
			return nil, fmt.Errorf("async.kafka.tls: %w", err)
		}
		secure.Certificates = []tls.Certificate{pair}
	}
	return secure, nil
}
