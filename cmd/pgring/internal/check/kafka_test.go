package check

import (
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"

	"github.com/pgring/pgring/ingest"
	"github.com/pgring/pgring/internal/pgtest"
)

const queued = `
tables:
  - {name: events, shard_key: [id], async: {enabled: true}}
  - {name: visits, shard_key: [id], async: {enabled: true}}
  - {name: plain, shard_key: [id]}
async: {backend: kafka, kafka: {brokers: [%s]}}
`

// kafkaFindings is what a check with these brokers says beside missing tables.
func kafkaFindings(t *testing.T, brokers []string, options ...kgo.Opt) []Finding {
	t.Helper()
	c := newCluster(t, fmt.Sprintf(queued, `"`+strings.Join(brokers, `", "`)+`"`), pgtest.Start(t, 1, pgtest.SCRAM())...)
	c.each("CREATE TABLE events (id bigint PRIMARY KEY); CREATE TABLE visits (id bigint PRIMARY KEY); CREATE TABLE plain (id bigint PRIMARY KEY)")
	kafka := &ingest.KafkaConfig{Options: options, Prefix: "pgring."}
	report, err := Run(t.Context(), Options{Config: c.cfg, Dial: c.dial, Kafka: kafka})
	if err != nil {
		t.Fatal(err)
	}
	return report.Findings
}

func fakeBrokers(t *testing.T, options ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	brokers, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(2)}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(brokers.Close)
	return brokers
}

func wantFinding(t *testing.T, list []Finding, severity Severity, message, hint string) {
	t.Helper()
	for _, f := range list {
		if f.Severity == severity && strings.Contains(f.Message, message) && strings.Contains(f.Hint, hint) {
			return
		}
	}
	t.Errorf("no %s %q with hint %q in %v", severity, message, hint, list)
}

func TestCheckLooksAtBrokersAndTopics(t *testing.T) {
	brokers := fakeBrokers(t, kfake.SeedTopics(3, "pgring.public.events"), kfake.SeedTopics(2, "pgring.public.plain"))
	dead := "127.0.0.1:1"
	found := kafkaFindings(t, []string{dead, brokers.ListenAddrs()[0]})
	wantFinding(t, found, Error, "topic pgring.public.events has 3 partitions", "one is needed")
	wantFinding(t, found, Warning, "brokers delete the records of topic pgring.public.events by themselves, be they applied or not: ", "set retention.ms")
	wantFinding(t, found, Warning, "broker 127.0.0.1:1 does not answer: ", "")
	if len(found) != 3 {
		t.Errorf("found %v", found)
	}
}

func TestCheckWithoutAnyBrokerIsAnError(t *testing.T) {
	found := kafkaFindings(t, []string{"127.0.0.1:1"})
	wantFinding(t, found, Error, "broker 127.0.0.1:1 does not answer: ", "")
	if len(found) != 1 {
		t.Errorf("found %v", found)
	}
}

func TestCheckLogsInToBrokers(t *testing.T) {
	brokers := fakeBrokers(t, kfake.EnableSASL(), kfake.Superuser("PLAIN", "pgring", "right"))
	login := func(password string) kgo.Opt {
		return kgo.SASL(plain.Auth{User: "pgring", Pass: password}.AsMechanism())
	}
	if found := kafkaFindings(t, brokers.ListenAddrs(), login("right")); len(found) > 0 {
		t.Errorf("found %v", found)
	}
	wantFinding(t, kafkaFindings(t, brokers.ListenAddrs(), login("wrong")), Error, "does not answer: ", "another login (async.kafka.sasl)") // this broker hangs up
	wantFinding(t, kafkaFindings(t, brokers.ListenAddrs()), Error, "does not answer: ", "it may want TLS (async.kafka.tls)")
}
