package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	paymentTables = shopTables + `
  - {name: payments, shard_key: [customer_id], colocate: customers, idempotency: {column: request_id, keep: 1h}, batch: {max_rows: 16}, append_only: true}
  - {name: totals, shard_key: [customer_id], colocate: customers, idempotency: {keep: 1h}}`
	paymentSchema = shopSchema + `
CREATE SEQUENCE payment_numbers;
CREATE TABLE payments (customer_id bigint NOT NULL, n bigint NOT NULL DEFAULT nextval('payment_numbers'), request_id text NOT NULL, amount bigint,
	PRIMARY KEY (customer_id, n));
CREATE TABLE totals (customer_id bigint PRIMARY KEY, amount bigint);`

	// stops holds up an idempotent write at one of its steps for as long as somebody has the advisory lock of that number.
	stops = `
CREATE FUNCTION stop() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock_shared(TG_ARGV[0]::int); RETURN NEW; END $$;
CREATE TRIGGER stop_1 BEFORE INSERT ON pgring.idempotency FOR EACH ROW EXECUTE FUNCTION stop(1);
CREATE TRIGGER stop_2 BEFORE INSERT ON payments FOR EACH ROW EXECUTE FUNCTION stop(2);
CREATE TRIGGER stop_2 BEFORE UPDATE ON totals FOR EACH ROW EXECUTE FUNCTION stop(2);
CREATE TRIGGER stop_3 BEFORE UPDATE ON pgring.idempotency FOR EACH ROW EXECUTE FUNCTION stop(3);
CREATE CONSTRAINT TRIGGER stop_4 AFTER INSERT ON payments DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION stop(4);
CREATE CONSTRAINT TRIGGER stop_4 AFTER UPDATE ON totals DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION stop(4);`
)

// payOnce is one idempotent write; its answer is made by the shard.
func payOnce(ctx context.Context, conn *pgx.Conn, customer int64, request string) (answer string, err error) {
	err = conn.QueryRow(ctx, "INSERT INTO payments (customer_id, request_id, amount) VALUES ($1, $2, 10) RETURNING n || ' at ' || clock_timestamp()",
		customer, request).Scan(&answer)
	return answer, err
}

// countOnce is another one, whose key is not in its row.
func countOnce(ctx context.Context, conn *pgx.Conn, customer int64, request string) (answer string, err error) {
	if _, err = conn.Exec(ctx, "SET pgring.idempotency_key = '"+request+"'"); err != nil {
		return "", err
	}
	err = conn.QueryRow(ctx, "UPDATE totals SET amount = amount + 1 WHERE customer_id = $1 RETURNING amount || ' at ' || clock_timestamp()", customer).Scan(&answer)
	return answer, err
}

// once is an idempotent write.
type once func(ctx context.Context, conn *pgx.Conn, customer int64, request string) (answer string, err error)

// payer writes through one proxy after the other until it has an answer.
type payer struct {
	proxies []*pgring
	next    int
	conn    *pgx.Conn
}

// pay returns the answer. Whoever says that a key is used or a transaction was done is wrong here.
func (p *payer) pay(ctx context.Context, write once, customer int64, request string) (answer string, err error) {
	for {
		if p.conn == nil {
			p.conn, err = pgx.Connect(ctx, p.proxies[p.next%len(p.proxies)].dsn(appLogin))
		}
		if err == nil {
			answer, err = write(ctx, p.conn, customer, request)
		}
		var told *pgconn.PgError
		if err == nil || ctx.Err() != nil || errors.As(err, &told) && (told.Code == "PR101" || told.Code == "PR102") {
			return answer, err
		}
		p.close(ctx)
		p.next++
		err = nil
	}
}

func (p *payer) close(ctx context.Context) {
	if p.conn != nil {
		_ = p.conn.Close(ctx) // the proxy may be dead
		p.conn = nil
	}
}

// batched tells how many INSERTs of a proxy have shared a transaction since it was started.
func (p *pgring) batched(t testing.TB) (rows int) {
	t.Helper()
	answer, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/metrics", p.http))
	must(t, err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	must(t, err)
	_, after, _ := strings.Cut(string(body), "\npgring_batched_inserts_total ")
	_, err = fmt.Sscan(after, &rows)
	must(t, err)
	return rows
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
	execute(t, c.connect(t), "INSERT INTO totals VALUES ($1, 0)", customer)
	writes := []once{payOnce, countOnce}
	for step, name := range []string{"claim", "write", "record", "COMMIT"} {
		for _, victim := range []string{"proxy", "shard"} {
			request := name + " of " + victim
			shut := c.servers[server].ConnectAs(t, "postgres", database)
			execute(t, shut, "SELECT pg_advisory_lock($1)", step+1)
			told := make(chan error, len(writes))
			for _, write := range writes {
				conn := c.connect(t)
				// owner: the test, which reads what the client was told; ends when the proxy or the shard is dead.
				go func() {
					_, err := write(t.Context(), conn, customer, request)
					told <- err
				}()
			}
			eventually(t, patience, "the writes wait at their "+name, func(context.Context) error {
				if n := one[int](t, shut, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = $1", step+1); n != len(writes) {
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
			for _, write := range writes {
				if err := <-told; err == nil {
					t.Errorf("%s: a client got an answer", request)
				}
				var answers [2]string
				for i, proxy := range []*pgring{other, c.pgring} {
					p := &payer{proxies: []*pgring{proxy}}
					answer, err := p.pay(t.Context(), write, customer, request)
					must(t, err)
					p.close(t.Context())
					answers[i] = answer
				}
				if first, again := answers[0], answers[1]; first != again {
					t.Errorf("%s: answered %q, and then %q", request, first, again)
				}
			}
			if n := c.count(t, server, "SELECT count(*) FROM payments WHERE request_id = '"+request+"'"); n != 1 {
				t.Errorf("%s: %d rows", request, n)
			}
		}
	}
	if n := c.count(t, server, "SELECT amount FROM totals"); n != 8 {
		t.Errorf("8 updates have counted %d", n)
	}
}

func TestRepeatsHaveOneEffectWhileSlotsMoveAndPartsDie(t *testing.T) {
	t.Parallel()
	c := start(t, layout{tables: paymentTables, schema: paymentSchema, spare: 1, keep: "1h"})
	second := c.startProxy(t)
	proxies := []*pgring{c.pgring, second}
	ctx, stop := context.WithCancel(t.Context())
	var group sync.WaitGroup
	var acked atomic.Int64
	const clients = 16
	pace := ledgerPace(t)
	answers := make([]map[string][2]string, clients)
	execute(t, c.connect(t), "INSERT INTO totals SELECT n, 0 FROM generate_series(1, 50) n")
	for i := range clients {
		answers[i] = map[string][2]string{}
		// owner: the test, which waits; ends when ctx does.
		group.Go(func() {
			p := &payer{proxies: proxies, next: i}
			defer p.close(context.WithoutCancel(ctx))
			for n := 0; ctx.Err() == nil; n++ {
				request := fmt.Sprintf("client %d, request %d", i, n)
				customer := int64(n%50 + 1)
				paid, err := p.pay(context.WithoutCancel(ctx), payOnce, customer, request)
				counted := ""
				if err == nil {
					counted, err = p.pay(context.WithoutCancel(ctx), countOnce, customer, request)
				}
				if err != nil {
					t.Errorf("%s: %v", request, err)
					return
				}
				answers[i][request] = [2]string{paid, counted}
				acked.Add(1)
				rest(ctx, pace)
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
	book := map[string]bool{}
	look := func(conn *pgx.Conn) (rows map[string]bool) {
		rows = map[string]bool{}
		answer, err := conn.Query(t.Context(), "SELECT payments::text FROM payments")
		must(t, err)
		var row string
		_, err = pgx.ForEachRow(answer, []any{&row}, func() error { rows[row] = true; return nil })
		must(t, err)
		return rows
	}
	progress()
	maps.Copy(book, look(c.connect(t)))
	k := &kills{cluster: c, proxies: proxies, ledger: &ledger{killed: map[*pgring]bool{}}}
	c.addSpare(t, c.console(t))
	k.order(t, "REBALANCE START")
	k.server(t, 1)
	k.settled(t)
	progress()
	maps.Copy(book, look(c.connect(t)))
	k.order(t, "REBALANCE REVERT")
	k.proxy(t, true)
	k.settled(t)
	progress()
	k.server(t, 2)
	progress()
	stop()
	group.Wait()
	batched := c.pgring.batched(t) + second.batched(t)
	repeats, effects := 0, 0
	conn := second.connect(t)
	for i := range clients {
		for request, answer := range answers[i] {
			var customer int64
			if _, err := fmt.Sscanf(request, "client %d, request %d", new(int), &customer); err != nil {
				t.Fatal(err)
			}
			for j, write := range []once{payOnce, countOnce} {
				if again, err := write(t.Context(), conn, customer%50+1, request); err != nil || again != answer[j] {
					t.Fatalf("%s: answered %q, and then %q, %v", request, answer[j], again, err)
				}
			}
			repeats++
		}
	}
	effects = one[int](t, conn, "SELECT count(*)::int FROM payments")
	if distinct := one[int](t, conn, "SELECT count(DISTINCT request_id)::int FROM payments"); effects != repeats || distinct != repeats {
		t.Errorf("%d requests were answered; there are %d rows of %d requests", repeats, effects, distinct)
	}
	if counted := one[int](t, conn, "SELECT sum(amount)::int FROM totals"); counted != repeats {
		t.Errorf("%d updates were answered, and %d are done", repeats, counted)
	}
	for _, sql := range []string{"UPDATE payments SET amount = 0", "DELETE FROM payments WHERE customer_id = 1", "TRUNCATE payments"} {
		var refused *pgconn.PgError
		if _, err := conn.Exec(t.Context(), sql); !errors.As(err, &refused) || refused.Code != "PR105" {
			t.Errorf("%s: %v", sql, err)
		}
	}
	now := look(conn)
	for row := range book {
		if !now[row] {
			t.Errorf("payment %s was in the book and is not any more", row)
		}
	}
	if batched == 0 {
		t.Error("no INSERT shared a transaction")
	}
	t.Logf("%d INSERTs and as many UPDATEs were answered, each done once, and %d repeats answered alike afterwards; at least %d shared transactions", effects, repeats, batched)
}
