package e2e

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/internal/pgtest"
)

const (
	eventTables = shopTables + `
  - {name: events, shard_key: [customer_id], colocate: customers, async: {enabled: true}}
async: {dir: async}`
	// A write that is done twice is there twice: nothing but its random id tells its rows apart.
	eventSchema = shopSchema + `
CREATE TABLE events (customer_id bigint NOT NULL, id uuid NOT NULL DEFAULT gen_random_uuid(), client int NOT NULL, n int NOT NULL, amount int,
	at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (customer_id, id), CONSTRAINT amounts CHECK (amount > 0));`
)

// happening is one asynchronous write of a client.
type happening struct{ client, n int }

// fails says whether its shard refuses it.
func (h happening) fails() bool { return h.n%100 == 9 }

// onlooker writes through one proxy after the other, whatever becomes of them, and remembers what was acknowledged.
type onlooker struct {
	mu    sync.Mutex
	acked map[happening]bool
	tried map[happening]bool
	count atomic.Int64
}

func (w *onlooker) run(ctx context.Context, client int, proxies []*pgring) {
	var conn *pgx.Conn
	for n := 0; ctx.Err() == nil; n++ {
		h := happening{client: client, n: n}
		var err error
		if conn == nil {
			conn, err = pgx.Connect(context.WithoutCancel(ctx), proxies[(client+n)%len(proxies)].dsn(appLogin))
		}
		if err == nil {
			amount := 1
			if h.fails() {
				amount = -1
			}
			w.mu.Lock()
			w.tried[h] = true
			w.mu.Unlock()
			_, err = conn.Exec(context.WithoutCancel(ctx), "INSERT INTO events (customer_id, client, n, amount) VALUES ($1, $2, $3, $4)", n%50+1, client, n, amount)
		}
		if err == nil {
			w.mu.Lock()
			w.acked[h] = true
			w.mu.Unlock()
			w.count.Add(1)
		} else if conn != nil {
			_ = conn.Close(context.WithoutCancel(ctx)) // the proxy may be dead
			conn = nil
		}
	}
	if conn != nil {
		_ = conn.Close(context.WithoutCancel(ctx)) // the proxy may be dead
	}
}

// progress waits until more writes were acknowledged.
func (w *onlooker) progress(t *testing.T) {
	t.Helper()
	before := w.count.Load()
	eventually(t, patience, "writes are acknowledged", func(context.Context) error {
		if w.count.Load() < before+100 {
			return errors.New("they are not")
		}
		return nil
	})
}

// flushed waits until all that the proxies have accepted is done.
func flushed(t *testing.T, proxies ...*pgring) {
	t.Helper()
	for _, p := range proxies {
		eventually(t, patience, "the queue is empty", func(ctx context.Context) error {
			conn, err := pgx.Connect(ctx, p.dsn(appLogin))
			if err == nil {
				_, err = conn.Exec(ctx, "SELECT pgring.flush('events')")
				err = errors.Join(err, conn.Close(ctx))
			}
			return err
		})
	}
}

// occurrences counts rows, or dead letters, by what they say.
func occurrences(t *testing.T, conn *pgx.Conn, query string) map[happening]int {
	t.Helper()
	rows, err := conn.Query(t.Context(), query)
	must(t, err)
	found := map[happening]int{}
	var h happening
	_, err = pgx.ForEachRow(rows, []any{&h.client, &h.n}, func() error {
		found[h]++
		return nil
	})
	must(t, err)
	return found
}

// judge compares what was acknowledged with the rows that are there and with the dead letters.
func (w *onlooker) judge(t *testing.T, rows map[happening]int, letters, lost int) {
	t.Helper()
	good, bad, doubled, unasked := 0, 0, 0, 0
	for h := range w.acked {
		if h.fails() {
			bad++
			continue
		}
		good++
		if rows[h] == 0 {
			lost++
		}
	}
	for h, n := range rows {
		doubled += n - 1
		if !w.tried[h] {
			unasked++
		}
	}
	if lost != 0 || doubled != 0 || unasked != 0 || letters < bad {
		t.Errorf("%d lost, %d doubled, %d never sent; %d dead letters of %d acknowledged", lost, doubled, unasked, letters, bad)
	}
	t.Logf("acknowledged %d, applied %d (%d of them acknowledged), dead letters %d (%d of them acknowledged), lost %d, doubled %d",
		good+bad, len(rows), good, letters, bad, lost, doubled)
}

// startOnlooker has clients write events through the proxies, until stop is called or the test ends.
func startOnlooker(t *testing.T, clients int, proxies []*pgring) (w *onlooker, stop func()) {
	t.Helper()
	w = &onlooker{acked: map[happening]bool{}, tried: map[happening]bool{}}
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	for client := range clients {
		// owner: the test, whose stop waits; ends when ctx does.
		group.Go(func() { w.run(ctx, client, proxies) })
	}
	stop = func() { cancel(); group.Wait() }
	t.Cleanup(stop)
	return w, stop
}

func TestAsynchronousWritesAreDoneOnceWhileSlotsMoveAndPartsDie(t *testing.T) {
	t.Parallel()
	c := start(t, layout{tables: eventTables, schema: eventSchema, spare: 1, keep: "1h"})
	second := c.startProxy(t)
	proxies := []*pgring{c.pgring, second}
	w, stop := startOnlooker(t, 8, proxies)
	w.progress(t)
	k := &kills{cluster: c, proxies: proxies, ledger: &ledger{killed: map[*pgring]bool{}}}
	c.addSpare(t, c.console(t))
	k.order(t, "REBALANCE START")
	k.server(t, 1)
	k.settled(t)
	w.progress(t)
	c.kill9(t)
	c.pgring.start(t)
	k.order(t, "REBALANCE REVERT")
	k.proxy(t, true)
	k.settled(t)
	w.progress(t)
	k.server(t, 2)
	second.kill9(t)
	second.start(t)
	w.progress(t)
	stop()
	flushed(t, proxies...)
	console := second.console(t)
	repeated := 0
	for _, p := range proxies {
		rows, err := p.console(t).Query(t.Context(), "SHOW LANES")
		must(t, err)
		all, err := pgx.CollectRows(rows, pgx.RowToMap)
		must(t, err)
		repeated += int(all[0]["repeated_total"].(int64))
	}
	letters := 0
	for _, s := range c.servers {
		letters += pgtest.OneIn[int](t, s, database, "SELECT count(*) FROM pgring.dead_letter")
	}
	w.judge(t, occurrences(t, second.connect(t), "SELECT client, n FROM events"), letters, 0)
	t.Logf("%d records were met again after a crash and left as they were", repeated)
	// The reason is removed, and every dead letter is tried again.
	for _, s := range c.servers {
		s.ExecIn(t, database, "ALTER TABLE events DROP CONSTRAINT amounts")
		if n := pgtest.OneIn[int](t, s, database, "SELECT count(*) FROM pgring.dead_letter WHERE sqlstate <> '23514' OR attempts <> 1"); n != 0 {
			t.Errorf("%d dead letters have other reasons", n)
		}
	}
	execute(t, console, "RETRY DEAD LETTERS events")
	flushed(t, second)
	rows := occurrences(t, second.connect(t), "SELECT client, n FROM events")
	for h := range w.acked {
		if rows[h] != 1 {
			t.Errorf("%+v is there %d times after the retry", h, rows[h])
		}
	}
	rest, err := console.Query(t.Context(), "SHOW DEAD LETTERS")
	must(t, err)
	if left, err := pgx.CollectRows(rest, pgx.RowToMap); err != nil || len(left) != 0 {
		t.Errorf("%d dead letters are left, %v", len(left), err)
	}
}
