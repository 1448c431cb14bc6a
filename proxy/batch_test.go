package proxy_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgring/pgring/backend"
	"github.com/pgring/pgring/internal/pgtest"
	"github.com/pgring/pgring/proxy"
	"github.com/pgring/pgring/topology"
)

var notesTable = topology.Name{Schema: "public", Table: "notes"}

// operation is one INSERT of a stream, and what is expected of it is what it does alone.
type operation struct {
	mode pgx.QueryExecMode
	sql  string
	args []any
}

// spellings are INSERTs of a number as texts of the simple protocol have it: what they mean, and what is wrong with them, is the server's to say.
var spellings = []string{
	"INSERT INTO notes VALUES (3, %d, 'it''s')",
	`INSERT INTO notes VALUES ('3', '%d', E'a\n\\ \'b\'')`,
	"INSERT INTO notes VALUES (3, %d, $q$ x $q$);",
	"INSERT INTO public.notes (user_id, n) VALUES (3, %d)",
	"INSERT INTO notes (n, user_id, body) VALUES (%d, 3, DEFAULT)",
	"INSERT INTO notes VALUES (3, - %d, NULL)",
	"INSERT INTO notes VALUES (3, %d.4, 'rounded')",
	"INSERT INTO notes VALUES (3, %d, 12)",
	"INSERT INTO notes VALUES (3, %d::bigint, 'cast'::text)",
	"INSERT INTO notes VALUES (3, %d, B'101')",
	"INSERT INTO notes VALUES (3, %d, U&'\\0441')",
	"INSERT INTO notes VALUES (3, ' %d ', 'blanks')",
	"INSERT INTO notes VALUES (3, 'x%d', 'no number')",
	"INSERT INTO notes VALUES (3, %d000000000000000, 'too large')",
	"INSERT INTO notes VALUES (3, %d, TRUE)",
	"INSERT INTO notes VALUES (3, '%d', 'more', 'than there are')",
	"INSERT INTO notes (user_id, n, body) VALUES (3, %d)",
	"INSERT INTO notes (user_id, n) VALUES (3, %d, 'more')",
	"INSERT INTO notes VALUES (3, %d, length('computed')::text)",
}

// stream is n operations of a client: rows, conflicts, errors of all kinds.
func stream(client, n int) (all []operation) {
	modes := []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeCacheStatement, pgx.QueryExecModeExec, pgx.QueryExecModeCacheDescribe}
	for i := range n {
		o := operation{mode: modes[(client+i)%len(modes)], args: []any{i % 7, 1000*client + i, fmt.Sprint("note ", i)}}
		switch i % 9 {
		case 2:
			o.sql = "INSERT INTO notes VALUES ($1, $2, $3) RETURNING n, body || '!' AS shout"
		case 4:
			o.sql = "INSERT INTO notes (body, n, user_id) VALUES ($3, $2, $1) ON CONFLICT DO NOTHING RETURNING *"
		case 5:
			o.sql, o.args[1] = "INSERT INTO notes VALUES ($1, $2, $3)", -1 // is there already
		case 6:
			o.sql, o.args[1] = "INSERT INTO notes VALUES ($1, $2, $3) ON CONFLICT (user_id, n) DO UPDATE SET body = 'first' RETURNING body", -1
		case 7:
			o.sql, o.args[2] = "INSERT INTO notes VALUES ($1, $2, $3)", "bad" // refused by the table
		case 8:
			o.sql, o.args[2] = "INSERT INTO notes VALUES ($1, $2, $3)", "late" // refused at COMMIT
		case 0, 3:
			o = operation{mode: pgx.QueryExecModeSimpleProtocol, sql: fmt.Sprintf(spellings[(client+i/3)%len(spellings)], 1000*client+i+1)}
		default:
			o.sql = "INSERT INTO notes VALUES ($1, $2, $3)"
		}
		all = append(all, o)
	}
	return all
}

// run tells what an operation is answered.
func (o operation) run(t *testing.T, conn *pgx.Conn) string {
	rows, _ := conn.Query(t.Context(), o.sql, append([]any{o.mode}, o.args...)...) // rows.Err has the error, too
	var got []string
	for rows.Next() {
		values, err := rows.Values()
		got = append(got, fmt.Sprint(values, err))
	}
	var e *pgconn.PgError
	if errors.As(rows.Err(), &e) {
		return fmt.Sprint(e.Severity, e.Code, e.Message, e.Detail, e.Hint, e.ConstraintName, e.TableName, e.Where, e.Position)
	}
	names := make([]string, 0, 2)
	for _, f := range rows.FieldDescriptions() {
		names = append(names, f.Name)
	}
	return fmt.Sprint(got, rows.CommandTag(), names, rows.Err())
}

const batchSetup = `
ALTER TABLE notes ADD CHECK (body <> 'bad');
CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'too late for %', NEW.n USING ERRCODE = 'PX001'; END $$;
CREATE CONSTRAINT TRIGGER late AFTER INSERT ON notes DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.body = 'late') EXECUTE FUNCTION late();`

func TestBatchedInsertsAnswerAsIfAlone(t *testing.T) {
	t.Parallel()
	const clients, operations = 12, 60
	var answers [2][clients][]string
	var tables [2]string
	for i, batches := range []map[topology.Name]*proxy.Batching{nil, {notesTable: {Rows: 16, Delay: 5 * time.Second}}} {
		c := start(t, options{shards: 2, setup: batchSetup, policy: proxy.Policy{Batches: batches}})
		conn := c.connect()
		for user := range 7 {
			run(t, conn, fmt.Sprintf("INSERT INTO notes VALUES (%d, -1, 'first')", user))
		}
		var group sync.WaitGroup
		for client := range clients {
			conn := c.connect()
			group.Go(func() {
				for _, o := range stream(client, operations) {
					answers[i][client] = append(answers[i][client], o.run(t, conn))
				}
			})
		}
		group.Wait()
		tables[i] = value(t, conn, "SELECT md5(string_agg(concat_ws('|', user_id, n, body), ',' ORDER BY user_id, n)) FROM notes")
		stats := c.server.Stats()
		t.Logf("%d transactions were shared by %d INSERTs", stats.Batches, stats.Batched)
		if (stats.Batched > clients) != (batches != nil) {
			t.Errorf("%d INSERTs shared transactions", stats.Batched)
		}
	}
	for client := range clients {
		for n, want := range answers[0][client] {
			if got := answers[1][client][n]; got != want {
				t.Errorf("%+v: answered\n%s\nand alone\n%s", stream(client, operations)[n], got, want)
			}
		}
	}
	if tables[0] != tables[1] {
		t.Error("the tables differ")
	}
}

// A column becomes a text past pgring, which does not know of it yet: a constant, or a parameter of no declared type, is still what the client wrote.
func TestConstantsInABatchAreReadAsWhatTheirColumnsAreNow(t *testing.T) {
	t.Parallel()
	c := start(t, options{shards: 1, setup: "ALTER TABLE notes ADD code int", pool: backend.Config{Size: 3},
		policy: proxy.Policy{Batches: map[topology.Name]*proxy.Batching{notesTable: {Rows: 16, Delay: time.Minute}}}})
	holder := c.servers[0].Connect(t)
	conns := []*pgx.Conn{c.connect(), c.connect(), c.connect(), c.connect(), c.connect(), c.connect()}
	for round := range 4 {
		if round == 3 {
			c.servers[0].Exec(t, "ALTER TABLE notes ALTER code TYPE text")
		}
		run(t, holder, "BEGIN; INSERT INTO notes VALUES (1, -1), (1, -2)")
		var group sync.WaitGroup
		insert := func(conn *pgx.Conn, sql string) {
			group.Go(func() {
				if _, err := conn.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol); err != nil {
					t.Error(err)
				}
			})
		}
		insert(conns[0], "INSERT INTO notes VALUES (1, -1)")
		insert(conns[1], "INSERT INTO notes VALUES (1, -2)")
		waitFor(t, "both places to be taken", func() bool { return value(t, holder, "SELECT count(*) FROM pg_locks WHERE NOT granted") == "2" })
		for n, conn := range conns[2:4] {
			insert(conn, fmt.Sprintf("INSERT INTO notes (user_id, n, code) VALUES (2, %d, '007')", 10*round+n))
		}
		for n, conn := range conns[4:] {
			group.Go(func() {
				values := [][]byte{[]byte("2"), []byte(fmt.Sprint(10*round + 5 + n)), []byte("007")}
				if err := conn.PgConn().ExecParams(t.Context(), "INSERT INTO notes (user_id, n, code) VALUES ($1, $2, $3)", values, nil, nil, nil).Read().Err; err != nil {
					t.Error(err)
				}
			})
		}
		waitFor(t, "all to wait", func() bool { return c.active() == len(conns) })
		run(t, holder, "ROLLBACK")
		group.Wait()
		run(t, holder, "DELETE FROM notes WHERE user_id = 1")
	}
	if stats := c.server.Stats(); stats.Batched < 16 {
		t.Errorf("%d INSERTs shared transactions", stats.Batched)
	}
	wantValue(t, holder, "SELECT string_agg(code, ' ' ORDER BY n) FROM notes WHERE n >= 30", "007 007 007 007")
}

// Constants are sent as parameters where that is the same. Two INSERTs of each spelling share a transaction, while two others wait for a lock.
func TestConstantsMeanInABatchWhatTheyMeanAlone(t *testing.T) {
	t.Parallel()
	alone := start(t, options{shards: 1, setup: batchSetup})
	c := start(t, options{shards: 1, setup: batchSetup, policy: proxy.Policy{Batches: map[topology.Name]*proxy.Batching{notesTable: {Rows: 16, Delay: time.Minute}}}})
	single, holder := alone.connect(), c.servers[0].Connect(t)
	conns := []*pgx.Conn{c.connect(), c.connect(), c.connect(), c.connect()}
	for i, spelling := range spellings {
		run(t, holder, "BEGIN; INSERT INTO notes VALUES (1, -1), (1, -2)")
		var group sync.WaitGroup
		for n, conn := range conns[:2] {
			group.Go(func() {
				if _, err := conn.Exec(t.Context(), "INSERT INTO notes VALUES (1, $1)", -1-n); err != nil {
					t.Error(err)
				}
			})
		}
		waitFor(t, "both places to be taken", func() bool { return value(t, holder, "SELECT count(*) FROM pg_locks WHERE NOT granted") == "2" })
		var got, want [2]string
		var answered atomic.Int32
		for n, conn := range conns[2:] {
			o := operation{mode: pgx.QueryExecModeSimpleProtocol, sql: fmt.Sprintf(spelling, 10*i+n+1)}
			want[n] = o.run(t, single)
			group.Go(func() {
				got[n] = o.run(t, conn)
				answered.Add(1)
			})
		}
		// What pgring refuses by itself, or does not take for an INSERT of one row, is not in line.
		waitFor(t, "all to wait", func() bool { return c.active()+int(answered.Load()) >= len(conns) })
		run(t, holder, "ROLLBACK")
		group.Wait()
		run(t, holder, "DELETE FROM notes WHERE n IN (-1, -2) AND user_id = 1")
		if got != want {
			t.Errorf("%s: answered\n%s\nand alone\n%s", spelling, got, want)
		}
	}
	if together := c.server.Stats().Batched; together < 2*8 {
		t.Errorf("%d INSERTs shared transactions", together)
	}
	const all = "SELECT string_agg(concat_ws('|', user_id, n, body), ',' ORDER BY user_id, n) FROM notes"
	wantValue(t, holder, all, value(t, single, all))
}

func TestBatchedRequestsHaveOneEffect(t *testing.T) {
	t.Parallel()
	c := startWithRequests(t, options{shards: 2, policy: proxy.Policy{Batches: map[topology.Name]*proxy.Batching{ordersTable: {Rows: 16, Delay: 5 * time.Second}}}})
	const clients, requests = 12, 40
	var group sync.WaitGroup
	answers := make([][requests]string, clients)
	for i := range clients {
		conn := c.connect()
		group.Go(func() {
			for n := range requests { // all clients repeat each other's, but for one in four
				mode, id := pgx.QueryExecModeCacheStatement, n
				if n%4 == 0 {
					id = 1000*(i+1) + n
				}
				if n%3 == 0 {
					mode = pgx.QueryExecModeSimpleProtocol
				}
				sql, args := "INSERT INTO orders (user_id, request_id) VALUES ($1, $2) RETURNING n::text", []any{mode, n % 5, requestID(id)}
				var err error
				switch n % 5 { // a key that is given beside the statement is as good as one in its column
				case 2:
					_, err = conn.Exec(t.Context(), "SET pgring.idempotency_key = '"+requestID(id)+"'")
					sql, args = "INSERT INTO orders (user_id) VALUES ($1) RETURNING n::text", args[:2]
				case 3:
					sql, args = "INSERT INTO orders (user_id) VALUES ($1) RETURNING n::text /* idempotency_key='"+requestID(id)+"' */", args[:2]
				}
				if err == nil {
					err = conn.QueryRow(t.Context(), sql, args...).Scan(&answers[i][n])
				}
				if err != nil {
					t.Errorf("request %d: %v", id, err)
				}
			}
		})
	}
	group.Wait()
	for i := range answers {
		for n := range requests {
			if n%4 != 0 && answers[i][n] != answers[0][n] {
				t.Errorf("request %d: client %d is answered %s, another one %s", n, i, answers[i][n], answers[0][n])
			}
		}
	}
	c.wantOrders(requests*3/4 + clients*requests/4)
	seen := c.server.IdempotentTables()[0]
	if stats := c.server.Stats(); stats.Batched == 0 || seen.Done != requests*3/4+clients*requests/4 || seen.Done+seen.Repeated != clients*requests {
		t.Errorf("%d INSERTs shared transactions; %+v", stats.Batched, seen)
	}
}

// Two writers who wait for a lock have all places in flight. Behind them stand one who is cancelled, one who disconnects, one who has
// waited long enough, and one who stays.
func TestWhoWaitsInLineMayLeaveIt(t *testing.T) {
	t.Parallel()
	c := start(t, options{shards: 1, pool: backend.Config{Size: 10}})
	rule := func(delay time.Duration) {
		c.apply(func(p *proxy.Policy) {
			p.Batches = map[topology.Name]*proxy.Batching{notesTable: {Rows: 16, Delay: delay}}
		})
	}
	rule(time.Minute)
	holder := c.servers[0].Connect(t)
	run(t, holder, "BEGIN; INSERT INTO notes VALUES (1, 1), (1, 2)")
	insert := func(n int) (*pgx.Conn, chan error) {
		conn, told := c.connect(), make(chan error, 1)
		go func() {
			_, err := conn.Exec(t.Context(), "INSERT INTO notes VALUES ($1, $2)", pgx.QueryExecModeExec, 1, n)
			told <- err
		}()
		return conn, told
	}
	waiting := func(sql string) func() bool {
		return func() bool { return strings.Contains(value(t, holder, sql), "2") }
	}
	_, first := insert(1)
	_, second := insert(2)
	waitFor(t, "both places in flight to be taken", waiting("SELECT count(*) FROM pg_locks WHERE NOT granted"))
	cancelled, third := insert(3)
	gone, fourth := insert(4)
	_, fifth := insert(5)
	waitFor(t, "the others to stand in line", func() bool { return c.active() >= 5 })
	waitFor(t, "the cancel to be heard", func() bool {
		must(t, tryCancel(c.addr, cancelled.PgConn().PID(), cancelled.PgConn().SecretKey()))
		select {
		case err := <-third:
			wantCode(t, err, "57014")
			return true
		default:
			return false
		}
	})
	must(t, gone.PgConn().Conn().Close())
	if err := <-fourth; err == nil {
		t.Error("a client that is gone was answered")
	}
	rule(20 * time.Millisecond)
	_, sixth := insert(6)
	must(t, <-sixth) // alone, past those who wait for locks
	run(t, holder, "ROLLBACK")
	for _, told := range []chan error{first, second, fifth} {
		must(t, <-told)
	}
	waitFor(t, "the rows", func() bool { return value(t, holder, "SELECT count(*) FROM notes WHERE n IN (1, 2, 5, 6)") == "4" })
	wantValue(t, holder, "SELECT count(*) FROM notes WHERE n = 3", "0")
}

// A text that no server has confirmed is asked for before its sender stands in line: whoever waits there holds no connection.
func TestWhoWaitsInLineHoldsNoConnection(t *testing.T) {
	t.Parallel()
	c := start(t, options{shards: 1, pool: backend.Config{Size: 4}, policy: proxy.Policy{Batches: map[topology.Name]*proxy.Batching{notesTable: {Rows: 16, Delay: time.Minute}}}})
	holder := c.servers[0].Connect(t)
	run(t, holder, "BEGIN; INSERT INTO notes VALUES (1, 1), (1, 2)")
	var group sync.WaitGroup
	insert := func(n int, sql string) {
		conn := c.connect()
		group.Go(func() {
			values := [][]byte{[]byte("1"), []byte(fmt.Sprint(n))}
			if err := conn.PgConn().ExecParams(t.Context(), sql, values, nil, nil, nil).Read().Err; err != nil {
				t.Error(err)
			}
		})
	}
	insert(1, "INSERT INTO notes VALUES ($1, $2)")
	insert(2, "INSERT INTO notes VALUES ($1, $2)")
	waitFor(t, "both places to be taken", func() bool { return value(t, holder, "SELECT count(*) FROM pg_locks WHERE NOT granted") == "2" })
	for n := range 12 {
		insert(10+n, fmt.Sprintf("INSERT INTO notes (user_id, n, body) VALUES ($1, $2, 'text %d')", n))
	}
	waitFor(t, "all to wait without a connection", func() bool { return c.active() == 14 && c.borrowed() == 2 })
	run(t, holder, "ROLLBACK")
	group.Wait()
	wantValue(t, holder, "SELECT count(*) FROM notes", "14")
}

// borrowed is how many server connections are in use.
func (c *cluster) borrowed() (n int) {
	for _, p := range c.pools.Stats() {
		n += p.Active
	}
	return n
}

// active is how many sessions have a statement under way.
func (c *cluster) active() (n int) {
	for _, client := range c.server.Clients() {
		if client.State == "active" {
			n++
		}
	}
	return n
}

// batchedInserts has clients insert one row after the other, through pgring or past it.
func batchedInserts(b *testing.B, clients int, direct bool, rule map[topology.Name]*proxy.Batching) {
	c := start(b, options{shards: 1, server: []pgtest.Option{pgtest.Durable()}, pool: backend.Config{Size: clients}, policy: proxy.Policy{Batches: rule}})
	conns := make(chan *pgx.Conn, clients)
	for range clients {
		if direct {
			conns <- c.servers[0].Connect(b)
		} else {
			conns <- c.connect()
		}
	}
	used := c.servers[0].CPUTime(b)
	b.ResetTimer()
	var group sync.WaitGroup
	for client := range clients {
		conn := <-conns
		group.Go(func() {
			for n := client; n < b.N; n += clients {
				_, err := conn.Exec(b.Context(), "INSERT INTO notes VALUES ($1, $2, 'a note')", n%1000, n)
				if err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	stats := c.server.Stats()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric(float64((c.servers[0].CPUTime(b)-used).Microseconds())/float64(b.N), "server-µs/row")
	b.ReportMetric(float64(stats.Batched)/float64(max(stats.Batches, 1)), "rows/batch")
}

// BenchmarkInserts shows what a row costs the server. Its clients are in the proxy's own process, where both wait for each other's turns:
// the rates are no measure of a proxy that has a process of its own (docs/writes.md says how that is measured).
func BenchmarkInserts(b *testing.B) {
	for _, clients := range []int{1, 64} {
		b.Run(fmt.Sprint(clients, " direct"), func(b *testing.B) { batchedInserts(b, clients, true, nil) })
		b.Run(fmt.Sprint(clients, " alone"), func(b *testing.B) { batchedInserts(b, clients, false, nil) })
		b.Run(fmt.Sprint(clients, " batched"), func(b *testing.B) {
			batchedInserts(b, clients, false, map[topology.Name]*proxy.Batching{notesTable: {Rows: 64, Delay: 50 * time.Millisecond}})
		})
	}
}
