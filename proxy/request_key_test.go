package proxy_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/proxy"
	"github.com/pgring/pgring/topology"
)

// startWithKeys is startWithRequests, where users have idempotency without a column: only keys that clients give name writes.
func startWithKeys(t testing.TB) *cluster {
	c := startWithRequests(t, options{})
	c.apply(func(p *proxy.Policy) {
		p.Idempotent = map[topology.Name]proxy.Idempotency{ordersTable: {Column: "request_id", Keep: time.Hour}, {Schema: "public", Table: "users"}: {Keep: time.Hour}}
	})
	return c
}

func TestAWriteWithAGivenKeyHappensOnce(t *testing.T) {
	t.Parallel()
	c := startWithKeys(t)
	conn := c.connect()
	run(t, conn, "INSERT INTO users VALUES (1, 'ada', 0)")
	age := func(want string) {
		t.Helper()
		wantValue(t, conn, "SELECT age FROM users WHERE id = 1", want)
	}
	birthday := "UPDATE users SET age = age + 1 WHERE id = 1 RETURNING age"
	for range 3 {
		run(t, conn, "SET pgring.idempotency_key = 'first'")
		wantValue(t, conn, birthday, "1")
		wantValue(t, conn, "SHOW pgring.idempotency_key", "") // it was for one write
	}
	wantValue(t, conn, birthday, "2") // without a key it is a write like any other
	for i, mode := range []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe,
		pgx.QueryExecModeDescribeExec, pgx.QueryExecModeExec} {
		for try := range 3 {
			conn := c.connect()
			run(t, conn, "BEGIN")
			run(t, conn, fmt.Sprintf("SET LOCAL pgring.idempotency_key = 'mode %d'", i))
			tag, err := conn.Exec(t.Context(), "UPDATE users SET age = age + $2::int WHERE id = $1", mode, 1, 10)
			must(t, err)
			run(t, conn, "COMMIT")
			tag2, err := conn.Exec(t.Context(), fmt.Sprintf("UPDATE users SET age = age + $2::int WHERE id = $1 /*traceparent='%d',idempotency_key='comment%%20%d'*/", try, i), mode, 1, 10)
			must(t, err)
			if tag.String() != "UPDATE 1" || tag2.String() != "UPDATE 1" {
				t.Errorf("%s, try %d: %s, %s", mode, try, tag, tag2)
			}
		}
		age(fmt.Sprint(2 + 20*(i+1)))
	}
	// The key as a parameter, in text and in binary.
	for i, mode := range []pgx.QueryExecMode{pgx.QueryExecModeCacheStatement, pgx.QueryExecModeExec} {
		for range 2 {
			_, err := conn.Exec(t.Context(), "/* idempotency_key=$2 */ INSERT INTO orders (user_id, request_id) VALUES ($1, $2)", mode, i, requestID(900+i))
			must(t, err)
		}
	}
	c.wantOrders(2)
	// As one that nothing else names: no server has to know it.
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeCacheStatement, pgx.QueryExecModeExec} {
		for range 2 {
			tag, err := conn.Exec(t.Context(), "UPDATE users SET age = age + $1 WHERE id = 1 /* idempotency_key=$2 */", mode, 5, "only "+mode.String())
			must(t, err)
			if tag.String() != "UPDATE 1" {
				t.Errorf("%s: %s", mode, tag)
			}
		}
	}
	run(t, conn, "PREPARE more (int, text) AS UPDATE users SET age = age - $1 WHERE id = 1 /* idempotency_key=$2 */")
	for range 2 {
		run(t, conn, "EXECUTE more (10, 'only SQL')")
	}
	age("102")
	run(t, conn, "PREPARE up (bigint) AS UPDATE users SET age = 0 WHERE id = $1")
	for range 2 {
		run(t, conn, "SET pgring.idempotency_key = 'prepared'; EXECUTE up (1)")
		run(t, conn, "INSERT INTO users VALUES (1, 'ada', 0) ON CONFLICT (id) DO UPDATE SET age = users.age + 1")
	}
	age("2") // the second EXECUTE did nothing
	for range 2 {
		run(t, conn, "SET pgring.idempotency_key = 'gone'")
		tag, err := conn.Exec(t.Context(), "DELETE FROM users WHERE id = 1")
		must(t, err)
		if tag.RowsAffected() != 1 {
			t.Errorf("DELETE answers %s", tag)
		}
	}
	run(t, conn, "SET pgring.idempotency_key = 'none'")
	for range 2 { // no row is an answer, too
		tag, err := conn.Exec(t.Context(), "/* idempotency_key='void' */ DELETE FROM users WHERE id = 1", pgx.QueryExecModeSimpleProtocol)
		wantCode(t, err, "42601") // and one key is enough
		_ = tag
	}
	run(t, conn, "RESET pgring.idempotency_key")
	if tag, err := conn.Exec(t.Context(), "/* idempotency_key='void' */ DELETE FROM users WHERE id = 1"); err != nil || tag.RowsAffected() != 0 {
		t.Errorf("%s, %v", tag, err)
	}
}

func TestAKeyStaysUntilAWriteIsDone(t *testing.T) {
	t.Parallel()
	c := startWithKeys(t)
	conn := c.connect()
	run(t, conn, "INSERT INTO users VALUES (1, 'ada', 0), (2, 'bob', 0)")
	fails := func(code, sql string) {
		t.Helper()
		_, err := conn.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol)
		wantCode(t, err, code)
	}
	up := "UPDATE users SET age = age + 1 WHERE id = 1"
	run(t, conn, "SET pgring.idempotency_key = 'a'")
	run(t, conn, "SELECT * FROM users")
	fails("22012", "UPDATE users SET age = age / 0 WHERE id = 1")
	wantValue(t, conn, "SHOW pgring.idempotency_key", "a")
	run(t, conn, up)
	wantValue(t, conn, "SHOW pgring.idempotency_key", "")
	// What a transaction has used up is there again when it is rolled back, and gone when it is committed.
	run(t, conn, "SET pgring.idempotency_key = 'b'")
	run(t, conn, "BEGIN; "+up+"; ROLLBACK")
	wantValue(t, conn, "SHOW pgring.idempotency_key", "b")
	run(t, conn, "BEGIN; "+up+"; COMMIT")
	wantValue(t, conn, "SHOW pgring.idempotency_key", "")
	wantValue(t, conn, "SELECT age FROM users WHERE id = 1", "2")
	// SET LOCAL ends with its transaction, whatever else was set meanwhile.
	run(t, conn, "BEGIN; SET LOCAL pgring.idempotency_key = 'c'; SET pgring.read_your_writes = off; COMMIT")
	wantValue(t, conn, "SHOW pgring.idempotency_key", "")
	run(t, conn, "SET pgring.idempotency_key = 'd'; SET pgring.idempotency TO off; "+up+"; "+up+"; RESET pgring.idempotency")
	wantValue(t, conn, "SELECT age FROM users WHERE id = 1", "4")
	wantValue(t, conn, "SHOW pgring.idempotency_key", "d")
	run(t, conn, "DISCARD ALL")
	wantValue(t, conn, "SHOW pgring.idempotency_key", "")
	// A pipeline whose second write has no key of its own.
	for range 2 {
		batch := &pgx.Batch{}
		batch.Queue("SET pgring.idempotency_key = 'e'")
		batch.Queue(up)
		must(t, conn.SendBatch(t.Context(), batch).Close())
	}
	wantValue(t, conn, "SELECT age FROM users WHERE id = 1", "5")
}

func TestWritesThatCannotHaveAGivenKeyAreRefused(t *testing.T) {
	t.Parallel()
	c := startWithKeys(t)
	conn := c.connect()
	keys := c.keys(2)
	run(t, conn, fmt.Sprintf("INSERT INTO users VALUES (%d, 'ada', 0), (%d, 'bob', 0)", keys[0], keys[1]))
	run(t, conn, "CREATE TABLE remarks (user_id int)")
	run(t, conn, fmt.Sprintf("/* idempotency_key='used' */ UPDATE users SET age = 1 WHERE id = %d", keys[0]))
	key := "/* idempotency_key='k' */ "
	for sql, code := range map[string]string{
		key + "UPDATE users SET age = 7":                                                                              "0A000",
		key + "UPDATE users SET age = 7 WHERE name = 'ada'":                                                           "0A000",
		key + fmt.Sprintf("DELETE FROM users WHERE id IN (%d, %d)", keys[0], keys[1]):                                 "0A000",
		key + fmt.Sprintf("INSERT INTO users VALUES (%d, 'x', 7), (%d, 'y', 7)", keys[0]+1000, keys[1]+1000):          "0A000",
		key + "INSERT INTO users SELECT id + 1000, name, 7 FROM users":                                                "0A000",
		key + "INSERT INTO remarks VALUES (7)":                                                                        "0A000",
		key + "SELECT nextval('order_numbers')":                                                                       "0A000",
		key + "COPY users FROM STDIN":                                                                                 "0A000",
		key + "MERGE INTO users USING (VALUES (1)) v (k) ON id = 1 WHEN MATCHED THEN DELETE":                          "0A000",
		key + fmt.Sprintf("EXPLAIN ANALYZE UPDATE users SET age = 7 WHERE id = %d", keys[0]):                          "0A000",
		key + fmt.Sprintf("COPY (UPDATE users SET age = 7 WHERE id = %d RETURNING id) TO STDOUT", keys[0]):            "0A000",
		key + fmt.Sprintf("WITH x AS (UPDATE users SET age = 7 WHERE id = %d RETURNING id) SELECT * FROM x", keys[0]): "0A000",
		fmt.Sprintf("/* idempotency_key='used' */ UPDATE users SET age = 7 WHERE id = %d", keys[0]):                   "PR101",
		fmt.Sprintf("/* idempotency_key='used' */ DELETE FROM users WHERE id = %d", keys[0]):                          "PR101",
		fmt.Sprintf("/* idempotency_key=k */ DELETE FROM users WHERE id = %d", keys[0]):                               "42601",
		fmt.Sprintf("/* idempotency_key='k */ DELETE FROM users WHERE id = %d", keys[0]):                              "42601",
		fmt.Sprintf("/* idempotency_key='%%zz' */ DELETE FROM users WHERE id = %d", keys[0]):                          "42601",
		key + key + fmt.Sprintf("DELETE FROM users WHERE id = %d", keys[0]):                                           "42601",
		fmt.Sprintf("/* idempotency_key='' */ DELETE FROM users WHERE id = %d", keys[0]):                              "22023",
		fmt.Sprintf("/* idempotency_key=$1 */ DELETE FROM users WHERE id = %d", keys[0]):                              "42P02",
		fmt.Sprintf("/* idempotency_key='%s' */ DELETE FROM users WHERE id = %d", strings.Repeat("k", 256), keys[0]):  "22001",
		"SET pgring.idempotency_key = '" + strings.Repeat("k", 256) + "'":                                             "22001",
	} {
		if _, err := conn.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol); err == nil {
			t.Errorf("%s: was run", sql)
		} else {
			wantCode(t, err, code)
		}
	}
	wantValue(t, conn, "SELECT count(*) FROM users WHERE age = 7", "0")
	wantValue(t, conn, "SELECT count(*) FROM users", "2")
	wantValue(t, conn, "SELECT count(*) FROM remarks", "0")
	// Prose is none, and reads have no need of one.
	run(t, conn, fmt.Sprintf("/* see idempotency_key = x */ UPDATE users SET age = 8 WHERE id = %d /* my_idempotency_key=y */", keys[0]))
	wantValue(t, conn, key+"SELECT count(*) FROM users WHERE age = 8", "1")
	// Whoever may update makes requests, and nobody else's.
	for _, s := range c.servers {
		s.Exec(t, "CREATE ROLE reader; GRANT SELECT ON users TO reader; CREATE ROLE updater; GRANT SELECT, UPDATE (age) ON users TO updater")
	}
	up := fmt.Sprintf("/* idempotency_key='role' */ UPDATE users SET age = age + 1 WHERE id = %d", keys[0])
	run(t, conn, "SET ROLE updater; "+up+"; "+up+"; SET ROLE reader")
	_, err := conn.Exec(t.Context(), up)
	wantCode(t, err, "42501")
	run(t, conn, "RESET ROLE")
	wantValue(t, conn, "SELECT max(age) FROM users", "9")
}
