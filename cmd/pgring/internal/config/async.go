package config

import (
	"fmt"
	"net"
	"strconv"
)

// AsyncBackend says where asynchronous writes are until they are applied.
type AsyncBackend string

// The backends.
const (
	AsyncFiles AsyncBackend = "wal"
	AsyncKafka AsyncBackend = "kafka"
)

// Async is the section async.
type Async struct {
	Backend AsyncBackend `yaml:"backend" default:"wal" enum:"wal|kafka" restart:"true" doc:"Where asynchronous writes are until they are applied: in logs of this proxy (wal), or in Kafka, from where any proxy applies them. See docs/writes.md."`
	Dir     Path         `yaml:"dir" restart:"true" doc:"Folder of the logs that asynchronous writes are in until they are applied, on a disk that keeps what is synced. Of this proxy alone; needed when a table has async and the backend is wal. Before another folder takes its place, SELECT pgring.flush() for each table: what is left in the old one is not applied."`
	Kafka   Kafka        `yaml:"kafka" restart:"true" doc:"The brokers of backend kafka."`
}

// Kafka is async.kafka.
type Kafka struct {
	Brokers           []string  `yaml:"brokers" doc:"Some of the brokers, as host:port; they tell of the others."`
	TopicPrefix       string    `yaml:"topic_prefix" default:"pgring." doc:"What the names of topics begin with; schema and table follow. One cluster of pgring has a prefix for itself."`
	ReplicationFactor int       `yaml:"replication_factor" default:"0" min:"0" max:"100" doc:"How many brokers keep a topic that pgring makes; with 3 or more, all but one of them must have a write before it is acknowledged. 0 = as the brokers' default.replication.factor says."`
	Timeout           Duration  `yaml:"timeout" default:"10s" min:"100ms" max:"10m" doc:"How long brokers may take to answer; then it is not known whether a write was accepted (SQLSTATE 40003)."`
	TLS               KafkaTLS  `yaml:"tls" doc:"TLS towards the brokers."`
	SASL              KafkaSASL `yaml:"sasl" doc:"How to log in to the brokers."`
}

// KafkaTLS is async.kafka.tls.
type KafkaTLS struct {
	Enabled bool `yaml:"enabled" doc:"Whether the brokers speak TLS. Their certificates are verified."`
	CA      Path `yaml:"ca" doc:"File with the certificates that brokers' are signed by; unset = those of the system."`
	Cert    Path `yaml:"cert" doc:"File with a certificate of pgring's own."`
	Key     Path `yaml:"key" doc:"File with its key."`
}

// SASLMechanism is a way to log in.
type SASLMechanism string

// KafkaSASL is async.kafka.sasl.
type KafkaSASL struct {
	Mechanism SASLMechanism `yaml:"mechanism" enum:"plain|scram-sha-256|scram-sha-512" doc:"How the password is shown; unset = no login."`
	User      string        `yaml:"user" doc:"Who logs in."`
	Password  Secret        `yaml:"password" doc:"The password."`
}

// The mechanisms.
const (
	SASLPlain    SASLMechanism = "plain"
	SASLScram256 SASLMechanism = "scram-sha-256"
	SASLScram512 SASLMechanism = "scram-sha-512"
)

// kafka reports what would keep brokers from being reached.
func (c *checker) kafka() {
	k, path := c.cfg.Async.Kafka, "async.kafka"
	if !c.sound("async") || !c.sound("async.backend") || !c.sound(path) {
		return
	}
	if c.cfg.Async.Backend == AsyncKafka && c.sound(path+".brokers") && len(k.Brokers) == 0 {
		c.fault("async.backend", "async.backend kafka has no brokers", `write kafka: {brokers: ["kafka1:9092"]} below async`)
	}
	for i, broker := range k.Brokers {
		host, port, err := net.SplitHostPort(broker)
		if n, portErr := strconv.ParseUint(port, 10, 16); err != nil || portErr != nil || host == "" || n == 0 {
			c.fault(fmt.Sprintf("%s.brokers[%d]", path, i), fmt.Sprintf("%q is not the address of a broker", broker), `write host:port, such as "kafka1:9092"; ports are 1 to 65535`)
		}
	}
	for _, letter := range k.TopicPrefix {
		if !(letter >= 'a' && letter <= 'z' || letter >= 'A' && letter <= 'Z' || letter >= '0' && letter <= '9' || letter == '.' || letter == '_' || letter == '-') {
			c.fault(path+".topic_prefix", "the name of a topic has letters, digits, dots, underscores and hyphens only", "")
			break
		}
	}
	if (k.TLS.Cert == "") != (k.TLS.Key == "") {
		c.fault(path+".tls", "async.kafka.tls has one of cert and key", "write both, or none")
	}
	if !k.TLS.Enabled && (k.TLS.CA != "" || k.TLS.Cert != "") {
		c.fault(path+".tls", "async.kafka.tls is not enabled", "write enabled: true, or remove the files")
	}
	if (k.SASL.Mechanism == "") != (k.SASL.User == "") || k.SASL.Mechanism != "" && !k.SASL.Password.IsSet() {
		c.fault(path+".sasl", "async.kafka.sasl needs mechanism, user and password", "write all three, or none")
	}
	if k.SASL.Mechanism == SASLPlain && !k.TLS.Enabled {
		c.warn(path+".sasl", "the password goes to the brokers unencrypted", "set async.kafka.tls.enabled, or choose a scram mechanism")
	}
}
