package proxy_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/backend"
	"github.com/pgring/pgring/ingest"
	"github.com/pgring/pgring/internal/pgtest"
	"github.com/pgring/pgring/topology"
)

var eventsTable = topology.Name{Schema: "public", Table: "events"}

// startWithEvents is a cluster whose table events has asynchronous writes.
func startWithEvents(t testing.TB, o options) *cluster {
	t.Helper()
	return start(t, withEvents(o))
}

func withEvents(o options) options {
	o.tables = append(o.tables, topology.TableWish{Name: eventsTable, Kind: topology.Sharded, Key: []string{"user_id"}, Colocate: "users"})
	o.setup = `
CREATE TYPE color AS ENUM ('red', 'blue');
CREATE TABLE events (user_id bigint NOT NULL, n int NOT NULL, what varchar(10) CHECK (what <> 'bad'), color color, data jsonb, seen boolean NOT NULL DEFAULT true,
	day date, id uuid NOT NULL DEFAULT gen_random_uuid(), at timestamptz NOT NULL DEFAULT now(), written_at timestamptz, PRIMARY KEY (user_id, n));
CREATE FUNCTION note_time() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.written_at := clock_timestamp(); RETURN NEW; END';
CREATE TRIGGER note_time BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION note_time();` + o.setup
	if o.async == nil {
		o.async = map[topology.Name]ingest.Rule{eventsTable: {MaxSize: 64 << 20}}
	}
	return o
}

// accepted is how many writes to events were queued so far.
func (c *cluster) accepted() int64 { return c.queues.Counts()[0].Accepted }

func (c *cluster) wantAccepted(what string, want int64) {
	c.t.Helper()
	if got := c.accepted(); got != want {
		c.t.Errorf("%s: %d writes were queued so far, want %d", what, got, want)
	}
}

func TestAsynchronousInsertsAreQueuedAndSeenByTheirSession(t *testing.T) {
	t.Parallel()
	c := startWithEvents(t, options{})
	conn := c.connect()
	n := int64(0)
	for i, mode := range []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe,
		pgx.QueryExecModeDescribeExec, pgx.QueryExecModeExec} {
		for j, insert := range []string{
			"INSERT INTO events (user_id, n, what, day, data) VALUES ($1, $2, 'book', '2024-02-29', '{\"a\": 1}')",
			"INSERT INTO events (n, user_id, color, seen) VALUES ($2, $1, 'red', false)",
			"INSERT INTO events VALUES ($1, $2)",
			"INSERT INTO public.events (user_id, n, at, data) VALUES ($1, $2, DEFAULT, NULL::jsonb)",
		} {
			user, number := 10*i+j, int32(7)
			tag, err := conn.Exec(t.Context(), insert, mode, user, number)
			must(t, err)
			n++
			if tag.String() != "INSERT 0 1" {
				t.Errorf("%s: %s", insert, tag)
			}
			c.wantAccepted(insert, n)
			var rows int // the session sees it, and the time is that of its acceptance
			must(t, conn.QueryRow(t.Context(), "SELECT count(*) FROM events WHERE user_id = $1 AND n = 7 AND at <= written_at AND at > now() - interval '1 minute'", user).Scan(&rows))
			if rows != 1 {
				t.Errorf("mode %s: %s: %d rows are seen", mode, insert, rows)
			}
		}
	}
	_, err := conn.Exec(t.Context(), "SELECT pgring.flush('events')")
	must(t, err)
}

func TestWhatCannotBeLaterIsDoneNow(t *testing.T) {
	t.Parallel()
	c := startWithEvents(t, options{})
	conn := c.connect()
	queued := "INSERT INTO events (user_id, n) VALUES (1, 1)"
	_, err := conn.Exec(t.Context(), queued)
	must(t, err)
	for _, sql := range []string{
		"INSERT INTO events (user_id, n) VALUES (1, 2) RETURNING n",
		"INSERT INTO events (user_id, n) VALUES (1, 2) ON CONFLICT DO NOTHING",
		"INSERT INTO events (user_id, n) VALUES (1, 3), (1, 4)",
		"INSERT INTO events (user_id, n) SELECT 1, 5",
		"INSERT INTO events (user_id, n) VALUES (1, 5 + 1)",
		"INSERT INTO events (user_id, n, at) VALUES (1, 7, 'yesterday')",
		"INSERT INTO events (user_id, n, at) VALUES (1, 8, now())",
		"INSERT INTO events (user_id, n, day) VALUES (1, 9, '1/2/2024')",
		"WITH x AS (SELECT 1) INSERT INTO events (user_id, n) VALUES (1, 10)",
		"BEGIN; INSERT INTO events (user_id, n) VALUES (1, 11); COMMIT",
	} {
		_, err := conn.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol)
		must(t, err)
		c.wantAccepted(sql, 1)
	}
	for sql, code := range map[string]string{
		"INSERT INTO events (user_id, n) VALUES (1, NULL)":                    "23502",
		"INSERT INTO events (user_id) VALUES (1)":                             "23502",
		"INSERT INTO events (user_id, n) VALUES (1, 99999999999)":             "22003",
		"INSERT INTO events (user_id, n) VALUES (1, 'x')":                     "22P02",
		"INSERT INTO events (user_id, n, what) VALUES (1, 20, 'much longer')": "22001",
		"INSERT INTO events (user_id, n, color) VALUES (1, 20, 'green')":      "22P02",
		"INSERT INTO events (user_id, n, nothing) VALUES (1, 20, 1)":          "42703",
		"INSERT INTO events (user_id, n, data) VALUES (1, 20, '{')":           "22P02",
	} {
		_, err := conn.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol)
		wantCode(t, err, code)
		c.wantAccepted(sql, 1)
	}
	for _, args := range [][]any{{nil}, {"99999999999"}, {"x"}} {
		_, err := conn.Exec(t.Context(), "INSERT INTO events (user_id, n) VALUES (1, $1)", append([]any{pgx.QueryExecModeExec}, args...)...)
		if err == nil {
			t.Errorf("%v was accepted", args)
		}
		c.wantAccepted(fmt.Sprint(args), 1)
	}
	tx, err := conn.Begin(t.Context())
	must(t, err)
	_, err = tx.Exec(t.Context(), "INSERT INTO events (user_id, n) VALUES ($1, $2)", 1, 30)
	must(t, err)
	must(t, tx.Rollback(t.Context()))
	batch := &pgx.Batch{} // a pipeline is a transaction
	batch.Queue("INSERT INTO events (user_id, n) VALUES ($1, $2)", 1, 31)
	batch.Queue("INSERT INTO events (user_id, n) VALUES ($1, $2)", 1, 1)
	wantCode(t, conn.SendBatch(t.Context(), batch).Close(), "23505")
	_, err = conn.Exec(t.Context(), "SET pgring.async TO off")
	must(t, err)
	_, err = conn.Exec(t.Context(), "INSERT INTO events (user_id, n) VALUES (1, 1)")
	wantCode(t, err, "23505")
	c.wantAccepted("all of that", 1)
	var rows int
	must(t, conn.QueryRow(t.Context(), "SELECT count(*) FROM events WHERE user_id = 1").Scan(&rows))
	if rows != 11 {
		t.Errorf("%d rows are there", rows)
	}
}

func TestAsynchronousWritesKeepLoginRoleAndSettings(t *testing.T) {
	t.Parallel()
	c := startWithEvents(t, options{shards: 2, setup: `CREATE ROLE writer; CREATE ROLE reader;
GRANT INSERT ON events TO writer; GRANT SELECT ON events TO reader; GRANT USAGE ON SCHEMA public TO writer, reader; CREATE SCHEMA other;
ALTER TABLE events ADD COLUMN who text DEFAULT current_user, ADD COLUMN zone text, ALTER COLUMN at SET DEFAULT '2024-01-01';
CREATE OR REPLACE FUNCTION note_time() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.zone := current_setting(''TimeZone'') || current_setting(''my.own''); RETURN NEW; END'`})
	conn := c.connect()
	for _, sql := range []string{"SET TimeZone TO 'Asia/Tokyo'", "SET my.own TO 'it''s'", "SET ROLE writer"} {
		_, err := conn.Exec(t.Context(), sql)
		must(t, err)
	}
	_, err := conn.Exec(t.Context(), "INSERT INTO events (user_id, n, who) VALUES ($1, $2, 'x')", 1, 1)
	must(t, err)
	_, err = conn.Exec(t.Context(), "SET ROLE reader")
	must(t, err)
	_, err = conn.Exec(t.Context(), "INSERT INTO events (user_id, n, who) VALUES ($1, $2, 'x')", 1, 2)
	wantCode(t, err, "42501")
	_, err = conn.Exec(t.Context(), "RESET ROLE")
	must(t, err)
	var zone string
	must(t, conn.QueryRow(t.Context(), "SELECT zone FROM events WHERE user_id = 1").Scan(&zone))
	if zone != "Asia/Tokyoit's" {
		t.Errorf("the trigger saw %q", zone)
	}
}

func TestASessionThatMayNotWriteQueuesNothing(t *testing.T) {
	t.Parallel()
	c := startWithEvents(t, options{})
	conn := c.connect()
	for _, set := range []string{"SET default_transaction_read_only = on", "SET default_transaction_read_only TO 'yes'", "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY"} {
		run(t, conn, set)
		refused(t, conn, "INSERT INTO events (user_id, n) VALUES (1, 1)", "25006")
		run(t, conn, "RESET default_transaction_read_only")
	}
	c.wantAccepted("read-only", 0)
	run(t, conn, "INSERT INTO events (user_id, n) VALUES (1, 1)")
	c.wantAccepted("reset", 1)
	// Rights on some columns are not rights on others: what is queued names the column of the time, too.
	for _, s := range c.servers {
		s.Exec(t, `CREATE ROLE few; GRANT INSERT (user_id, n) ON events TO few; CREATE ROLE more; GRANT INSERT (user_id, n, at) ON events TO more;
GRANT SELECT ON events TO few, more`)
	}
	run(t, conn, "SET ROLE few; INSERT INTO events (user_id, n) VALUES (1, 2)")
	refused(t, conn, "INSERT INTO events (user_id, n, what) VALUES (1, 3, 'x')", "42501")
	c.wantAccepted("few columns", 1)
	run(t, conn, "SET ROLE more")
	refused(t, conn, "INSERT INTO events (user_id, n, what) VALUES (1, 3, 'x')", "42501")
	run(t, conn, "INSERT INTO events (user_id, n) VALUES (1, 4)")
	c.wantAccepted("columns enough", 2)
	run(t, c.connect(), "REVOKE INSERT ON events FROM more") // is heard of at once
	refused(t, conn, "INSERT INTO events (user_id, n) VALUES (1, 5)", "42501")
	c.wantAccepted("no columns", 2)
	wantValue(t, conn, "SELECT count(*) FROM events WHERE user_id = 1", "3")
}

// What is applied must not be lost with the shard, whatever the client has set: its log has forgotten it.
func TestWhatIsAppliedIsOnDisk(t *testing.T) {
	t.Parallel()
	c := startWithEvents(t, options{})
	for _, s := range c.servers {
		s.Exec(t, `ALTER TABLE events ADD flushed text; CREATE FUNCTION note_flush() RETURNS trigger LANGUAGE plpgsql AS
			'BEGIN NEW.flushed := current_setting(''synchronous_commit''); RETURN NEW; END'; CREATE TRIGGER note_flush BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION note_flush()`)
	}
	conn := c.connect()
	for i, setting := range []string{"off", "local", "remote_apply"} {
		run(t, conn, "SET synchronous_commit = "+setting)
		run(t, conn, fmt.Sprintf("INSERT INTO events (user_id, n) VALUES (1, %d)", i))
		want := setting
		if want == "off" {
			want = "on"
		}
		wantValue(t, conn, fmt.Sprintf("SELECT flushed FROM events WHERE user_id = 1 AND n = %d", i), want)
	}
	c.wantAccepted("of each setting", 3)
}

func TestAQueueThatIsBehindPushesBack(t *testing.T) {
	t.Parallel()
	c := startWithEvents(t, options{shards: 2, async: map[topology.Name]ingest.Rule{eventsTable: {MaxSize: 64 << 20, MaxLag: 50 * time.Millisecond}}})
	conn := c.connect()
	keys := c.keys(2)
	insert := func(key int64, n int) error {
		_, err := conn.Exec(t.Context(), "INSERT INTO events (user_id, n) VALUES ($1, $2)", key, n)
		return err
	}
	must(t, insert(keys[1], 0))                   // prepares it, which the lock would have to let through
	run(t, conn, "SELECT pgring.flush('events')") // or that one may be what is behind, for a moment
	holder := c.shardOf(keys[0]).Connect(t)
	_, err := holder.Exec(t.Context(), "BEGIN; LOCK TABLE events IN EXCLUSIVE MODE")
	must(t, err)
	must(t, insert(keys[0], 1))
	waitFor(t, "the queue to be behind", func() bool {
		return c.queues.Lanes()[0].Lag > 50*time.Millisecond || c.queues.Lanes()[1].Lag > 50*time.Millisecond
	})
	err = insert(keys[0], 2)
	wantCode(t, err, "53400")
	// A read waits for the session's own writes, but not for those of another key.
	limited, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	var rows int
	must(t, conn.QueryRow(limited, "SELECT count(*) FROM events WHERE user_id = $1", keys[1]).Scan(&rows))
	_, err = holder.Exec(t.Context(), "ROLLBACK")
	must(t, err)
	waitFor(t, "room in the queue", func() bool { return insert(keys[0], 3) == nil })
}

// Clients that wait for a flush of the log do so together, as tasks. One that cancels or is gone changes nothing for the others: what was
// acknowledged is there once, and of what was not there is no more than was queued.
func TestClientsThatWaitForTheSameFlushAreToldEach(t *testing.T) {
	t.Parallel()
	c := startWithEvents(t, options{})
	const clients, rows = 24, 40
	var group sync.WaitGroup
	var acknowledged atomic.Int64
	for client := range clients {
		conn := c.connect()
		insert := func(ctx context.Context, n int) error {
			mode := []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeCacheStatement, pgx.QueryExecModeExec}[client%3]
			_, err := conn.Exec(ctx, "INSERT INTO events (user_id, n, what) VALUES ($1, $2, 'x')", mode, client, n)
			if err == nil {
				acknowledged.Add(1)
			}
			return err
		}
		group.Go(func() {
			for n := range rows {
				if err := insert(t.Context(), n); err != nil {
					t.Errorf("client %d: %v", client, err)
				}
				switch {
				case client%4 == 1: // a cancel that may come at any moment
					if err := conn.PgConn().CancelRequest(t.Context()); err != nil {
						t.Error(err)
					}
				case client%4 == 2 && n == rows/2: // it does not hear the answer
					gone, cancel := context.WithCancel(t.Context())
					cancel()
					_ = insert(gone, rows)
					return
				}
			}
		})
	}
	group.Wait()
	probe := c.connect()
	run(t, probe, "SELECT pgring.flush('events')")
	accepted, acked := c.accepted(), acknowledged.Load()
	if accepted < acked || accepted > acked+clients {
		t.Errorf("%d were queued, %d acknowledged", accepted, acked)
	}
	wantValue(t, probe, "SELECT count(*) FROM events", fmt.Sprint(accepted))
	wantValue(t, probe, "SELECT count(*) FROM events WHERE user_id % 4 <> 2", fmt.Sprint(clients*3/4*rows))
}

// BenchmarkAsynchronousInserts compares acknowledged INSERTs of single rows: to the server past the proxy, through it, and queued. Applied
// are the queued ones with the time until the last of them was on its shard.
func BenchmarkAsynchronousInserts(b *testing.B) {
	const insert = "INSERT INTO events (user_id, n, what) VALUES ($1, $2, 'a note')"
	for _, clients := range []int{1, 64} {
		c := startWithEvents(b, options{shards: 1, server: []pgtest.Option{pgtest.Durable()}, pool: backend.Config{Size: clients}})
		for i, way := range []string{"direct", "synchronous", "asynchronous"} {
			conns := make([]*pgx.Conn, clients)
			for i := range conns {
				if conns[i] = c.connect(); way == "direct" {
					conns[i] = c.servers[0].Connect(b)
				}
				_, err := conns[i].Exec(b.Context(), "SELECT set_config('pgring.async', $1, false)", map[bool]string{true: "on", false: "off"}[way == "asynchronous"])
				must(b, err)
			}
			start := 0 // of the numbers that this run uses
			b.Run(fmt.Sprint(clients, " ", way), func(b *testing.B) {
				start += 10_000_000
				used := c.servers[0].CPUTime(b)
				var group sync.WaitGroup
				for client, conn := range conns {
					group.Go(func() {
						for n := client; n < b.N; n += clients {
							if _, err := conn.Exec(b.Context(), insert, n%1000, start+i*100_000_000+n); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				group.Wait()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
				if way == "asynchronous" {
					_, err := conns[0].Exec(b.Context(), "SELECT pgring.flush('events')")
					must(b, err)
					b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "applied/s")
				}
				b.ReportMetric(float64((c.servers[0].CPUTime(b)-used).Microseconds())/float64(b.N), "server-µs/row")
			})
			for _, conn := range conns { // the server has no room for those of all three
				must(b, conn.Close(context.Background()))
			}
		}
		c.stop()
	}
}
