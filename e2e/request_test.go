package e2e

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	paymentTables = shopTables + `
  - {name: payments, shard_key: [customer_id], colocate: customers, idempotency: {column: request_id, keep: 1h}, batch: {max_rows: 16}}`
	paymentSchema = shopSchema + `
CREATE SEQUENCE payment_numbers;
CREATE TABLE payments (customer_id bigint NOT NULL, n bigint NOT NULL DEFAULT nextval('payment_numbers'), request_id text NOT NULL, amount bigint,
	PRIMARY KEY (customer_id, n));`

	// stops holds up an idempotent INSERT at one of its steps for as long as somebody has the advisory lock of that number.
	stops = `
CREATE FUNCTION stop() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock_shared(TG_ARGV[0]::int); RETURN NEW; END $$;
CREATE TRIGGER stop_1 BEFORE INSERT ON pgring.idempotency FOR EACH ROW EXECUTE FUNCTION stop(1);
CREATE TRIGGER stop_2 BEFORE INSERT ON payments FOR EACH ROW EXECUTE FUNCTION stop(2);
CREATE TRIGGER stop_3 BEFORE UPDATE ON pgring.idempotency FOR EACH ROW EXECUTE FUNCTION stop(3);
CREATE CONSTRAINT TRIGGER stop_4 AFTER INSERT ON payments DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION stop(4);`
)

// payOnce is one idempotent write; its answer is made by the shard.
func payOnce(ctx context.Context, conn *pgx.Conn, customer int64, request string) (answer string, err error) {
	err = conn.QueryRow(ctx, "INSERT INTO payments (customer_id, request_id, amount) VALUES ($1, $2, 10) RETURNING n || ' at ' || clock_timestamp()",
		customer, request).Scan(&answer)
	return answer, err
}

// repeatedly pays through one proxy after the other until it has an answer. Whoever says that a key is used or a transaction was done
// is wrong here.
func repeatedly(ctx context.Context, dsns []string, customer int64, request string) (string, error) {
	for try := 0; ; try++ {
		answer, err := "", error(nil)
		conn, err := pgx.Connect(ctx, dsns[try%len(dsns)])
		if err == nil {
			answer, err = payOnce(ctx, conn, customer, request)
			_ = conn.Close(ctx) // the proxy may be dead
		}
		if err == nil || ctx.Err() != nil {
			return answer, err
		}
		var told *pgconn.PgError
		if errors.As(err, &told) && (told.Code == "PR101" || told.Code == "PR102") {
			return "", err
		}
	}
}

func TestAnIdempotentWriteHappensOnceWhateverDiesAtAnyStep(t *testing.T) {
	t.Parallel()
	c := start(t, layout{tables: paymentTables, schema: paymentSchema})
	other := c.startProxy(t)
	const server = 1
	for _, s := range c.servers {
		s.ExecIn(t, database, stops)
	}
	customer := c.customersOn(t, server, 1, 1)[0]
	for step, name := range []string{"claim", "INSERT", "record", "COMMIT"} {
		for _, victim := range []string{"proxy", "shard"} {
			request := name + " of " + victim
			shut := c.servers[server].ConnectAs(t, "postgres", database)
			execute(t, shut, "SELECT pg_advisory_lock($1)", step+1)
			told := make(chan error, 1)
			conn := c.connect(t)
			// owner: the test, which reads what the client was told; ends when the proxy or the shard is dead.
			go func() {
				_, err := payOnce(t.Context(), conn, customer, request)
				told <- err
			}()
			eventually(t, patience, "the write waits at its "+name, func(context.Context) error {
				if n := one[int](t, shut, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = $1", step+1); n != 1 {
					return fmt.Errorf("%d wait", n)
				}
				return nil
			})
			if victim == "proxy" {
				c.kill9(t)
				execute(t, shut, "SELECT pg_advisory_unlock($1)", step+1)
				c.pgring.start(t)
			} else {
				c.servers[server].Kill9(t)
				c.servers[server].Restart(t)
			}
			if err := <-told; err == nil {
				t.Errorf("%s: the client got an answer", request)
			}
			first, err := repeatedly(t.Context(), []string{other.dsn(appLogin)}, customer, request)
			must(t, err)
			again, err := repeatedly(t.Context(), []string{c.dsn(appLogin)}, customer, request)
			must(t, err)
			if first != again {
				t.Errorf("%s: answered %q, and then %q", request, first, again)
			}
			if n := c.count(t, server, "SELECT count(*) FROM payments WHERE request_id = '"+request+"'"); n != 1 {
				t.Errorf("%s: %d rows", request, n)
			}
		}
	}
}

func TestRepeatsHaveOneEffectWhileSlotsMoveAndPartsDie(t *testing.T) {
	t.Parallel()
	c := start(t, layout{tables: paymentTables, schema: paymentSchema, spare: 1, keep: "1h"})
	second := c.startProxy(t)
	dsns := []string{c.dsn(appLogin), second.dsn(appLogin)}
	ctx, stop := context.WithCancel(t.Context())
	var group sync.WaitGroup
	var acked atomic.Int64
	const clients = 16
	answers := make([]map[string]string, clients)
	for i := range clients {
		answers[i] = map[string]string{}
		// owner: the test, which waits; ends when ctx does.
		group.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				request := fmt.Sprintf("client %d, request %d", i, n)
				customer := int64(n%50 + 1)
				answer, err := repeatedly(context.WithoutCancel(ctx), dsns, customer, request)
				if err != nil {
					t.Errorf("%s: %v", request, err)
					return
				}
				answers[i][request] = answer
				acked.Add(1)
			}
		})
	}
	t.Cleanup(func() { stop(); group.Wait() })
	progress := func() {
		before := acked.Load()
		eventually(t, patience, "writes go on", func(context.Context) error {
			if acked.Load() < before+20 {
				return errors.New("they do not")
			}
			return nil
		})
	}
	progress()
	k := &kills{cluster: c, proxies: []*pgring{c.pgring, second}, ledger: &ledger{killed: map[*pgring]bool{}}}
	c.addSpare(t, c.console(t))
	k.order(t, "REBALANCE START")
	k.server(t, 1)
	k.settled(t)
	progress()
	k.order(t, "REBALANCE REVERT")
	k.proxy(t, true)
	k.settled(t)
	progress()
	k.server(t, 2)
	progress()
	stop()
	group.Wait()
	repeats, effects := 0, 0
	conn := second.connect(t)
	for i := range clients {
		for request, answer := range answers[i] {
			var customer int64
			if _, err := fmt.Sscanf(request, "client %d, request %d", new(int), &customer); err != nil {
				t.Fatal(err)
			}
			if again, err := payOnce(t.Context(), conn, customer%50+1, request); err != nil || again != answer {
				t.Fatalf("%s: answered %q, and then %q, %v", request, answer, again, err)
			}
			repeats++
		}
	}
	effects = one[int](t, conn, "SELECT count(*)::int FROM payments")
	if distinct := one[int](t, conn, "SELECT count(DISTINCT request_id)::int FROM payments"); effects != repeats || distinct != repeats {
		t.Errorf("%d requests were answered; there are %d rows of %d requests", repeats, effects, distinct)
	}
	t.Logf("%d requests were answered, once each in the table, and %d repeats answered alike afterwards", effects, repeats)
}
