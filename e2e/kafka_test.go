package e2e

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgring/pgring/internal/kafkaserver"
	"github.com/pgring/pgring/internal/pgtest"
)

// lanes lists how the lanes of table events are at a proxy, by shard.
func (p *pgring) lanes(ctx context.Context, t *testing.T) (map[string]map[string]any, error) {
	t.Helper()
	rows, err := p.console(t).Query(ctx, "SHOW LANES")
	if err != nil {
		return nil, err
	}
	all, err := pgx.CollectRows(rows, pgx.RowToMap)
	byShard := map[string]map[string]any{}
	for _, lane := range all {
		shard, _ := lane["shard"].(string)
		byShard[shard] = lane
	}
	return byShard, err
}

// applying lists the shards whose lanes a proxy applies.
func applying(lanes map[string]map[string]any) []string {
	var shards []string
	for shard, lane := range lanes {
		if lane["applies"] == "yes" {
			shards = append(shards, shard)
		}
	}
	slices.Sort(shards)
	return shards
}

// takesOver waits until a proxy applies lanes that another one has applied, and returns how long that took.
func takesOver(t *testing.T, p *pgring, shards []string) time.Duration {
	t.Helper()
	began := time.Now()
	eventually(t, patience, "the other proxy applies the lanes", func(ctx context.Context) error {
		lanes, err := p.lanes(ctx, t)
		if err == nil && !slices.Equal(applying(lanes), slices.Sorted(maps.Keys(lanes))) {
			err = fmt.Errorf("it applies %v of %v", applying(lanes), shards)
		}
		return err
	})
	return time.Since(began)
}

// TestWritesInKafkaAreDoneOnceWhileEachPartDies kills a proxy, a shard and the broker in turn, while slots move.
func TestWritesInKafkaAreDoneOnceWhileEachPartDies(t *testing.T) {
	t.Parallel()
	broker, err := kafkaserver.Start(t.Context())
	must(t, err)
	t.Cleanup(func() { must(t, broker.Close()) })
	tables := shopTables + fmt.Sprintf(`
  - {name: events, shard_key: [customer_id], colocate: customers, async: {enabled: true}}
async: {backend: kafka, kafka: {brokers: ['%s'], timeout: 5s}}`, broker.Addr())
	c := start(t, layout{tables: tables, schema: eventSchema, spare: 1, keep: "1h"})
	second := c.startProxy(t)
	proxies := []*pgring{c.pgring, second}
	w, stop := startOnlooker(t, 4, proxies)
	w.progress(t)
	k := &kills{cluster: c, proxies: proxies, ledger: &ledger{killed: map[*pgring]bool{}}}
	c.addSpare(t, c.console(t))
	k.order(t, "REBALANCE START")
	k.server(t, 1)
	k.settled(t)
	w.progress(t)
	brokerDies(t, c, broker)
	w.progress(t)
	// The proxy that applies dies, and is not there again until all that it has acknowledged is done: it kept nothing.
	lanes, err := c.pgring.lanes(t.Context(), t)
	must(t, err)
	victim, other := c.pgring, second
	if len(applying(lanes)) == 0 {
		victim, other = second, c.pgring
		lanes, err = victim.lanes(t.Context(), t)
		must(t, err)
	}
	victim.kill9(t)
	took := takesOver(t, other, applying(lanes))
	stop()
	w.settle(t, c, other)
	t.Logf("another proxy applied all lanes %s after the one that did was killed", took.Round(time.Millisecond))
	victim.start(t)
	conn := victim.connect(t)
	execute(t, conn, "INSERT INTO events (customer_id, client, n, amount) VALUES (1, 100, 0, 1)")
	if n := one[int](t, conn, "SELECT count(*) FROM events WHERE client = 100 AND customer_id = 1"); n != 1 {
		t.Errorf("the session sees %d rows of its own", n)
	}
	execute(t, conn, "SELECT pgring.flush('events')")
}

// brokerDies kills the only broker: writes are refused in time, reads work, and all goes on by itself when it is back.
func brokerDies(t *testing.T, c *cluster, broker *kafkaserver.Server) {
	t.Helper()
	must(t, broker.Kill9())
	conn := c.connect(t)
	eventually(t, patience, "a write is refused", func(ctx context.Context) error {
		_, err := conn.Exec(ctx, "INSERT INTO events (customer_id, client, n, amount) VALUES (1, 101, 0, 1)")
		var refused *pgconn.PgError
		if !errors.As(err, &refused) || refused.Code != "53400" && refused.Code != "40003" {
			t.Errorf("a write without a broker: %v", err)
		}
		if refused == nil || refused.Code != "53400" {
			return fmt.Errorf("it got %w", err)
		}
		return nil
	})
	if n := one[int](t, c.connect(t), "SELECT count(*) FROM events WHERE client = 101"); n != 0 {
		t.Errorf("%d rows of a write that was refused", n)
	}
	execute(t, conn, "SET pgring.async TO off")
	execute(t, conn, "INSERT INTO events (customer_id, client, n, amount) VALUES (1, 102, 0, 1)")
	must(t, broker.Restart(t.Context()))
}

// settle waits until all that was acknowledged is done, and compares.
func (w *onlooker) settle(t *testing.T, c *cluster, p *pgring) {
	t.Helper()
	conn := p.connect(t)
	var rows map[happening]int
	eventually(t, patience, "what was acknowledged is applied", func(context.Context) error {
		rows = occurrences(t, conn, "SELECT client, n FROM events WHERE client < 100")
		for h := range w.acked {
			if !h.fails() && rows[h] == 0 {
				return fmt.Errorf("%+v is not", h)
			}
		}
		return nil
	})
	flushed(t, p)
	letters := 0
	for _, s := range c.servers {
		letters += pgtest.OneIn[int](t, s, database, "SELECT count(*) FROM pgring.dead_letter WHERE sqlstate = '23514' AND attempts = 1")
	}
	w.judge(t, occurrences(t, conn, "SELECT client, n FROM events WHERE client < 100"), letters, 0)
}

// TestWritesInKafkaByTLSAndALogin: pgring logs in to a broker of which it knows the certificate, and says what is wrong otherwise.
func TestWritesInKafkaByTLSAndALogin(t *testing.T) {
	t.Parallel()
	broker, err := kafkaserver.StartSecure(t.Context())
	must(t, err)
	t.Cleanup(func() { must(t, broker.Close()) })
	secured := func(password, ca string) string {
		return shopTables + fmt.Sprintf(`
  - {name: events, shard_key: [customer_id], colocate: customers, async: {enabled: true}}
async: {backend: kafka, kafka: {brokers: ['%s'], tls: {enabled: true, ca: '%s'}, sasl: {mechanism: scram-sha-512, user: %s, password: "%s"}}}`,
			broker.SecureAddr(), ca, kafkaserver.User, password)
	}
	right := secured(kafkaserver.Password, broker.CAFile())
	c := start(t, layout{tables: right, schema: eventSchema})
	conn := c.connect(t)
	for n := range 20 {
		eventually(t, patience, "a write is queued", func(ctx context.Context) error {
			_, err := conn.Exec(ctx, "INSERT INTO events (customer_id, client, n, amount) VALUES ($1, 100, $2, 1)", n, n)
			return err
		})
	}
	execute(t, conn, "SELECT pgring.flush('events')")
	if n := one[int](t, conn, "SELECT count(*) FROM events WHERE client = 100"); n != 20 {
		t.Errorf("%d rows", n)
	}
	lanes, err := c.pgring.lanes(t.Context(), t)
	must(t, err)
	for shard, lane := range lanes {
		if lane["log"] != "kafka" || lane["waits_for"] != nil {
			t.Errorf("lane of %s: %v", shard, lane)
		}
	}
	text, err := os.ReadFile(c.pgring.config)
	must(t, err)
	for _, wrong := range []struct{ config, says string }{
		{right, ""},
		{secured("guessed", broker.CAFile()), "async.kafka.sasl has a user or a password that the broker does not know"},
		{secured(kafkaserver.Password, "/etc/ssl/certs/ca-certificates.crt"), "async.kafka.tls.ca must have the certificate that the broker's is signed by"},
		{strings.ReplaceAll(strings.ReplaceAll(right, "enabled: true, ca:", "enabled: false, ca:"), ", ca: '"+broker.CAFile()+"'", ""), "the broker speaks TLS on this port: set async.kafka.tls.enabled"},
	} {
		file := filepath.Join(t.TempDir(), "pgring.yaml")
		must(t, os.WriteFile(file, []byte(strings.Replace(string(text), right, wrong.config, 1)), 0o600))
		out, _ := exec.CommandContext(t.Context(), os.Getenv(binaryVariable), "check", "-c", file, "--connect").CombinedOutput()
		if told := strings.Contains(string(out), "broker "); told != (wrong.says != "") || !strings.Contains(string(out), wrong.says) {
			t.Errorf("pgring check says nothing of %q:\n%s", wrong.says, out)
		}
	}
}
