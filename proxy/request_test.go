package proxy_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/internal/pgtest"
	"github.com/pgring/pgring/proxy"
	"github.com/pgring/pgring/topology"
)

var ordersTable = topology.Name{Schema: "public", Table: "orders"}

// startWithRequests is a cluster whose table orders has idempotent writes.
func startWithRequests(t testing.TB, o options) *cluster {
	t.Helper()
	c := start(t, withRequests(o))
	c.ensureRequests()
	return c
}

func withRequests(o options) options {
	o.tables = append(o.tables, topology.TableWish{Name: ordersTable, Kind: topology.Sharded, Key: []string{"user_id"}, Colocate: "users"})
	o.setup += `
CREATE SEQUENCE order_numbers;
CREATE TABLE orders (user_id bigint NOT NULL, n int NOT NULL DEFAULT nextval('order_numbers'), request_id uuid, what text CHECK (what <> 'bad'),
	PRIMARY KEY (user_id, n));`
	o.policy.Idempotent = map[topology.Name]proxy.Idempotency{ordersTable: {Column: "request_id", Keep: time.Hour}}
	return o
}

func (c *cluster) ensureRequests() {
	for _, s := range c.servers {
		must(c.t, topology.EnsureRequests(c.t.Context(), s.Connect(c.t)))
	}
}

func (c *cluster) orders() (rows int64) {
	for _, s := range c.servers {
		rows += countOn(c.t, s, "orders")
	}
	return rows
}

func (c *cluster) wantOrders(want int64) {
	c.t.Helper()
	if got := c.orders(); got != want {
		c.t.Fatalf("%d orders are there, want %d", got, want)
	}
}

func requestID(n int) string { return fmt.Sprintf("00000000-0000-0000-0000-%012d", n) }

func TestARepeatedInsertIsAnsweredLikeTheFirst(t *testing.T) {
	t.Parallel()
	c := startWithRequests(t, options{})
	conn := c.connect()
	total := int64(0)
	for i, mode := range []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe,
		pgx.QueryExecModeDescribeExec, pgx.QueryExecModeExec} {
		for j, insert := range []string{
			"INSERT INTO orders (user_id, request_id, what) VALUES ($1, $2, 'book')",
			"INSERT INTO orders (request_id, user_id, what) VALUES ($2, $1, 'book') RETURNING n, what, request_id, now()",
			"/* traceparent='%d' */ INSERT INTO orders (user_id, request_id) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING *",
		} {
			var first string
			for try := range 3 {
				text := insert
				if strings.Contains(insert, "%d") { // what tools change does not matter, nor does who repeats
					text = fmt.Sprintf(insert, try) + []string{"", ";", "\n ; "}[try]
				}
				if try == 2 {
					conn = c.connect()
				}
				rows, err := conn.Query(t.Context(), text, mode, i, requestID(10*i+j))
				must(t, err)
				var answer []string
				for rows.Next() {
					answer = append(answer, fmt.Sprint(rows.RawValues()))
				}
				must(t, rows.Err())
				got := fmt.Sprint(answer, rows.CommandTag(), rows.FieldDescriptions())
				if try == 0 {
					first = got
				} else if got != first {
					t.Errorf("%s, %s: the repeat answers\n%s, the first\n%s", mode, insert, got, first)
				}
			}
			total++
			c.wantOrders(total)
		}
	}
	run(t, conn, "PREPARE ins (bigint, uuid) AS INSERT INTO orders (user_id, request_id) VALUES ($1, $2) RETURNING n")
	first := value(t, conn, "EXECUTE ins (7, '"+requestID(1000)+"')")
	wantValue(t, conn, "EXECUTE ins (7, '"+requestID(1000)+"')", first)
	c.wantOrders(total + 1)
	if seen := c.server.IdempotentTables(); len(seen) != 1 || seen[0].Done != total+1 || seen[0].Repeated != 2*total+1 || seen[0].Differing != 0 {
		t.Errorf("counted %+v", seen)
	}
}

// TestARepeatBehindASchemaChangeHasTheFormOfTheFirst: a client of the extended protocol knows the form of the rows from another message.
func TestARepeatBehindASchemaChangeHasTheFormOfTheFirst(t *testing.T) {
	t.Parallel()
	c := startWithRequests(t, options{})
	conn := c.connect()
	insert := func(mode pgx.QueryExecMode, returning string, n int) (string, error) {
		rows, err := conn.Query(t.Context(), "INSERT INTO orders (user_id, request_id) VALUES ($1, $2) RETURNING "+returning, mode, 1, requestID(n))
		must(t, err)
		answer := ""
		for rows.Next() {
			answer += fmt.Sprint(rows.RawValues())
		}
		return answer, rows.Err()
	}
	modes := []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeExec, pgx.QueryExecModeCacheStatement}
	returning := map[string]bool{"n": true, "n + 1, user_id": true, "*": false, "orders": false, "what": false} // whether the change leaves it as it is
	first := map[string]string{}
	all := func(do func(name string, mode pgx.QueryExecMode, clause string, same bool, n int)) {
		for i, mode := range modes {
			for j, clause := range slices.Sorted(maps.Keys(returning)) {
				do(mode.String()+", "+clause, mode, clause, returning[clause], 10*i+j)
			}
		}
	}
	all(func(name string, mode pgx.QueryExecMode, clause string, _ bool, n int) {
		var err error
		first[name], err = insert(mode, clause, n)
		must(t, err)
	})
	run(t, conn, "ALTER TABLE orders ADD COLUMN more int DEFAULT 7, ALTER COLUMN what TYPE varchar(20)")
	conn = c.connect() // what pgx has prepared is no good any more
	all(func(name string, mode pgx.QueryExecMode, clause string, same bool, n int) {
		answer, err := insert(mode, clause, n)
		switch {
		case !same && mode != pgx.QueryExecModeSimpleProtocol:
			wantCode(t, err, "PR101")
		case err != nil || answer != first[name]:
			t.Errorf("%s: %s, %v; the first was answered with %s", name, answer, err, first[name])
		}
	})
	c.wantOrders(int64(len(first)))
}

func TestRequestsThatDifferOrHaveNoKeyAreRefused(t *testing.T) {
	t.Parallel()
	c := startWithRequests(t, options{})
	conn := c.connect()
	id := requestID(1)
	run(t, conn, "INSERT INTO orders (user_id, request_id, what) VALUES (1, '"+id+"', 'book')")
	for sql, code := range map[string]string{
		"INSERT INTO orders (user_id, request_id, what) VALUES (1, '" + id + "', 'pen')":                              "PR101",
		"INSERT INTO orders (user_id, request_id, what) VALUES (1, '" + id + "', 'book') RETURNING n":                 "PR101",
		"INSERT INTO orders (user_id, what) VALUES (1, 'book')":                                                       "23502",
		"INSERT INTO orders (user_id, request_id) VALUES (1, NULL)":                                                   "23502",
		"INSERT INTO orders (user_id, request_id) VALUES (1, DEFAULT)":                                                "23502",
		"INSERT INTO orders (user_id, request_id) VALUES (1, gen_random_uuid())":                                      "0A000",
		"INSERT INTO orders (user_id, request_id) VALUES (1, 'nonsense')":                                             "22P02",
		"INSERT INTO orders (user_id, request_id) VALUES (1, '" + id + "'), (1, '" + requestID(2) + "')":              "0A000",
		"INSERT INTO orders (user_id, request_id) SELECT 1, '" + id + "'::uuid":                                       "0A000",
		"WITH x AS (INSERT INTO orders (user_id, request_id) VALUES (1, '" + id + "') RETURNING n) SELECT n FROM x":   "0A000",
		"MERGE INTO orders USING (VALUES (1)) v (k) ON user_id = 1 WHEN NOT MATCHED THEN INSERT (user_id) VALUES (1)": "0A000",
		"EXPLAIN ANALYZE INSERT INTO orders (user_id, request_id) VALUES (1, '" + id + "')":                           "0A000",
		"COPY orders FROM STDIN":        "0A000",
		"INSERT INTO orders VALUES (1)": "23502",
		"/* pgring: shard=s1 */ INSERT INTO orders (user_id, request_id) VALUES (1, '" + requestID(3) + "')":       "0A000",
		"COPY (INSERT INTO orders (user_id, request_id) VALUES (1, '" + requestID(3) + "') RETURNING n) TO STDOUT": "0A000",
	} {
		_, err := conn.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol)
		if e := wantCode(t, err, code); code != "22P02" && (e.Detail == "" || e.Hint == "") {
			t.Errorf("%s: %+v", sql, e)
		}
	}
	c.wantOrders(1)
	run(t, conn, "EXPLAIN INSERT INTO orders (user_id, request_id) VALUES (1, '"+id+"')")
	run(t, conn, "UPDATE orders SET what = 'pen' WHERE user_id = 1; DELETE FROM orders WHERE user_id = 1")
	run(t, conn, "SET pgring.idempotency TO off; INSERT INTO orders (user_id, request_id) VALUES (1, '"+id+"'), (2, NULL)")
	wantValue(t, conn, "SHOW pgring.idempotency", "off")
	_, err := conn.PgConn().CopyFrom(t.Context(), strings.NewReader("3\t1\t\\N\tbook\n"), "COPY orders FROM STDIN")
	must(t, err)
	c.wantOrders(3)
	run(t, conn, "RESET pgring.idempotency")
	// A key is one of its shard key's: with another one it is another request.
	run(t, conn, "INSERT INTO orders (user_id, request_id) VALUES (4, '"+id+"')")
	c.wantOrders(4)
}

func TestKeysOfRequestsAreBounded(t *testing.T) {
	t.Parallel()
	c := startWithRequests(t, options{shards: 1})
	c.apply(func(p *proxy.Policy) {
		p.Idempotent = map[topology.Name]proxy.Idempotency{ordersTable: {Column: "what", Keep: time.Hour}}
	})
	conn := c.connect()
	for range 2 {
		run(t, conn, "INSERT INTO orders (user_id, what) VALUES (1, '"+strings.Repeat("k", 255)+"')")
	}
	c.wantOrders(1)
	_, err := conn.Exec(t.Context(), "INSERT INTO orders (user_id, what) VALUES (1, $1)", strings.Repeat("k", 256))
	wantCode(t, err, "22001")
	_, err = conn.Exec(t.Context(), "INSERT INTO orders (user_id, what) VALUES (1, 'long') RETURNING repeat('x', 65536)")
	wantCode(t, err, "54000")
	c.wantOrders(1)
	run(t, conn, "INSERT INTO orders (user_id, what) VALUES (1, 'long')") // nothing was kept of the attempt
}

func TestFailedRequestsLeaveNoTrace(t *testing.T) {
	t.Parallel()
	c := startWithRequests(t, options{})
	conn := c.connect()
	insert := func(what string) error {
		_, err := conn.Exec(t.Context(), "INSERT INTO orders (user_id, request_id, what) VALUES ($1, $2, $3)", 1, requestID(1), what)
		return err
	}
	e := wantCode(t, insert("bad"), "23514")
	if e.ConstraintName != "orders_what_check" {
		t.Errorf("the error has lost its fields: %+v", e)
	}
	_, err := conn.Exec(t.Context(), "INSERT INTO orders (user_id, request_id, what) VALUES (1, '"+requestID(1)+"', 'bad')", pgx.QueryExecModeSimpleProtocol)
	wantCode(t, err, "23514")
	must(t, insert("good"))
	must(t, insert("good"))
	c.wantOrders(1)
}

func TestRequestsInTransactions(t *testing.T) {
	t.Parallel()
	c := startWithRequests(t, options{})
	keys := c.keys(2)
	insert := func(key int64, n int) string {
		return fmt.Sprintf("INSERT INTO orders (user_id, request_id) VALUES (%d, '%s') RETURNING n", key, requestID(n))
	}
	conn := c.connect()
	run(t, conn, "BEGIN; "+insert(keys[0], 1)+"; ROLLBACK")
	c.wantOrders(0)
	run(t, conn, "BEGIN")
	first := value(t, conn, insert(keys[0], 1))
	run(t, conn, "SAVEPOINT s; "+insert(keys[0], 2)+"; ROLLBACK TO s; "+insert(keys[0], 3)+"; COMMIT")
	c.wantOrders(2)
	// As an ORM repeats it: a transaction of requests only is answered like the first, and may have a new one in it.
	run(t, conn, "BEGIN")
	wantValue(t, conn, insert(keys[0], 1), first)
	run(t, conn, insert(keys[0], 2)+"; COMMIT")
	c.wantOrders(3)
	// What else the first transaction wrote is there already, so a repeat may not write it again.
	mixed := []string{"BEGIN", "UPDATE users SET age = age + 1 WHERE id = " + fmt.Sprint(keys[0]), insert(keys[0], 4), "COMMIT"}
	run(t, conn, fmt.Sprintf("INSERT INTO users VALUES (%d, 'ada', 0)", keys[0]))
	run(t, conn, strings.Join(mixed, "; "))
	_, err := conn.Exec(t.Context(), strings.Join(mixed, "; "), pgx.QueryExecModeSimpleProtocol)
	wantCode(t, err, "PR102")
	run(t, conn, "ROLLBACK")
	mixed[1], mixed[2] = mixed[2], mixed[1]
	_, err = conn.Exec(t.Context(), strings.Join(mixed, "; "), pgx.QueryExecModeSimpleProtocol)
	wantCode(t, err, "PR102")
	run(t, conn, "ROLLBACK")
	wantValue(t, conn, fmt.Sprintf("SELECT age FROM users WHERE id = %d", keys[0]), "1")
	c.wantOrders(4)
	// Several shards: by two-phase commit, not as a saga.
	both := "BEGIN; SET LOCAL pgring.cross_shard = '%s'; " + insert(keys[0], 5) + "; " + insert(keys[1], 6) + "; COMMIT"
	for range 2 {
		run(t, conn, fmt.Sprintf(both, "2pc"))
	}
	c.wantOrders(6)
	_, err = conn.Exec(t.Context(), fmt.Sprintf(both, "saga"), pgx.QueryExecModeSimpleProtocol)
	wantCode(t, err, "0A000")
	run(t, conn, "ROLLBACK")
	// A pipeline is a transaction, too.
	pipeline := func(queries ...string) error {
		batch := &pgx.Batch{}
		for _, sql := range queries {
			batch.Queue(sql)
		}
		return conn.SendBatch(t.Context(), batch).Close()
	}
	for range 2 {
		must(t, pipeline(insert(keys[0], 7), "SELECT 1", insert(keys[0], 8)))
	}
	c.wantOrders(8)
	update := fmt.Sprintf("UPDATE users SET age = age + 1 WHERE id = %d", keys[0])
	must(t, pipeline(update, insert(keys[0], 9)))
	wantCode(t, pipeline(update, insert(keys[0], 9)), "PR102")
	wantCode(t, pipeline(insert(keys[0], 9), update), "PR102")
	wantValue(t, conn, fmt.Sprintf("SELECT age FROM users WHERE id = %d", keys[0]), "2")
	c.wantOrders(9)
}

func TestConcurrentRepeatsHaveOneEffect(t *testing.T) {
	t.Parallel()
	c := startWithRequests(t, options{})
	const clients, requests = 6, 20
	answers := make([][requests]string, clients)
	var group sync.WaitGroup
	for i := range answers {
		conn := c.connect()
		group.Go(func() {
			for n := range requests {
				err := conn.QueryRow(t.Context(), "INSERT INTO orders (user_id, request_id) VALUES ($1, $2) RETURNING n::text || now()", n, requestID(n)).Scan(&answers[i][n])
				if err != nil {
					t.Errorf("request %d: %v", n, err)
				}
			}
		})
	}
	group.Wait()
	for i := range answers {
		if answers[i] != answers[0] {
			t.Errorf("client %d got other answers", i)
		}
	}
	c.wantOrders(requests)
}

func TestARepeatWaitsForTheFirst(t *testing.T) {
	t.Parallel()
	c := startWithRequests(t, options{})
	insert := "INSERT INTO orders (user_id, request_id) VALUES (1, '" + requestID(1) + "') RETURNING n"
	for _, end := range []string{"COMMIT", "ROLLBACK"} {
		first, second := c.connect(), c.connect()
		run(t, first, "BEGIN")
		n := value(t, first, insert)
		answer := make(chan string, 1)
		go func() { answer <- value(t, second, insert) }()
		waitFor(t, "the repeat to wait", func() bool {
			return pgtest.One[bool](t, c.shardOf(1), "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%claim_request%')")
		})
		run(t, first, end)
		if got := <-answer; (got == n) != (end == "COMMIT") {
			t.Errorf("after %s the repeat is answered %s, the first one %s", end, got, n)
		}
		c.wantOrders(1)
		insert = strings.Replace(insert, requestID(1), requestID(2), 1)
		run(t, first, "DELETE FROM orders WHERE user_id = 1")
	}
	// Who does not want to wait that long is told why.
	first, second := c.connect(), c.connect()
	run(t, first, "BEGIN")
	insert = strings.Replace(insert, requestID(2), requestID(3), 1)
	run(t, first, insert)
	run(t, second, "BEGIN READ ONLY")
	_, err := second.Exec(t.Context(), insert)
	if e := wantCode(t, err, "25006"); e.Message != "cannot execute an idempotent write in a read-only transaction" || e.Where != "" {
		t.Errorf("%+v", e)
	}
	run(t, second, "ROLLBACK")
	c.shardOf(1).Exec(t, "ALTER FUNCTION pgring.claim_request SET lock_timeout = '50ms'") // rather than 10 s
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol} {
		_, err = second.Exec(t.Context(), insert, mode)
		if e := wantCode(t, err, "55P03"); !strings.HasPrefix(e.Message, "another attempt at the write") || e.Detail == "" || e.Hint == "" || e.Where != "" {
			t.Errorf("%+v", e)
		}
	}
	run(t, first, "ROLLBACK")
	c.shardOf(1).Exec(t, "ALTER FUNCTION pgring.claim_request SET lock_timeout = '10s'")
	// An old snapshot does not see what was done meanwhile, and must not do it again.
	old, now := c.connect(), c.connect()
	run(t, old, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM orders WHERE user_id = 1")
	run(t, now, insert)
	_, err = old.Exec(t.Context(), insert)
	wantCode(t, err, "40001")
	run(t, old, "ROLLBACK")
	c.wantOrders(1)
}

func TestOnlyWhoMayInsertMakesRequests(t *testing.T) {
	t.Parallel()
	c := startWithRequests(t, options{})
	for _, s := range c.servers {
		s.Exec(t, "CREATE ROLE reader; GRANT SELECT ON orders TO reader; CREATE ROLE writer; GRANT INSERT ON orders TO writer; GRANT USAGE ON SEQUENCE order_numbers TO writer")
	}
	conn := c.connect()
	insert := "INSERT INTO orders (user_id, request_id) VALUES (1, '" + requestID(1) + "')"
	run(t, conn, insert)
	run(t, conn, "SET ROLE reader")
	_, err := conn.Exec(t.Context(), insert)
	wantCode(t, err, "42501")
	_, err = conn.Exec(t.Context(), "SELECT * FROM pgring.idempotency")
	wantCode(t, err, "42501")
	run(t, conn, "SET ROLE writer")
	_, err = conn.Exec(t.Context(), insert) // it is another's
	wantCode(t, err, "PR101")
	run(t, conn, strings.Replace(insert, requestID(1), requestID(2), 1))
	c.wantOrders(2)
}

func TestAMissingIdempotencyColumnIsNamed(t *testing.T) {
	t.Parallel()
	c := startWithRequests(t, options{own: true, policy: proxy.Policy{}})
	conn := c.connect()
	run(t, conn, "ALTER TABLE orders DROP COLUMN request_id")
	_, err := conn.Exec(t.Context(), "INSERT INTO orders (user_id) VALUES (1)")
	if refused := wantCode(t, err, "42703"); !strings.Contains(refused.Message, `table "orders" has no column "request_id"`) {
		t.Errorf("the error is %+v", refused)
	}
	run(t, conn, "SET pgring.idempotency TO off")
	run(t, conn, "INSERT INTO orders (user_id) VALUES (1)")
}
