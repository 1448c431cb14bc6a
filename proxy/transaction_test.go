package proxy_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

var background = context.Background()

// run executes simple-protocol statements and returns the tags, or the first error.
func run(t testing.TB, conn *pgx.Conn, sql string) string {
	t.Helper()
	tags, err := tryRun(conn, sql)
	must(t, err)
	return tags
}

func tryRun(conn *pgx.Conn, sql string) (string, error) {
	results, err := conn.PgConn().Exec(background, sql).ReadAll()
	var tags []string
	for _, r := range results {
		if r.Err == nil {
			tags = append(tags, r.CommandTag.String())
		}
	}
	return strings.Join(tags, ", "), err
}

// refused demands an error with this SQLSTATE and returns it.
func refused(t testing.TB, conn *pgx.Conn, sql, code string) *pgconn.PgError {
	t.Helper()
	_, err := tryRun(conn, sql)
	return wantCode(t, err, code)
}

func wantCode(t testing.TB, err error, code string) *pgconn.PgError {
	t.Helper()
	var e *pgconn.PgError
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want SQLSTATE %s", err, code)
	}
	if e.Code != code {
		t.Fatalf("got SQLSTATE %s (%s), want %s", e.Code, e.Message, code)
	}
	return e
}

// value reads one value as text through the simple protocol.
func value(t testing.TB, conn *pgx.Conn, sql string) string {
	t.Helper()
	results, err := conn.PgConn().Exec(background, sql).ReadAll()
	must(t, err)
	last := results[len(results)-1]
	if len(last.Rows) != 1 {
		t.Fatalf("%s: %d rows, want 1", sql, len(last.Rows))
	}
	return string(last.Rows[0][0])
}

func wantValue(t testing.TB, conn *pgx.Conn, sql, want string) {
	t.Helper()
	if got := value(t, conn, sql); got != want {
		t.Fatalf("%s: got %q, want %q", sql, got, want)
	}
}

func wantStatus(t testing.TB, conn *pgx.Conn, want byte) {
	t.Helper()
	if got := conn.PgConn().TxStatus(); got != want {
		t.Fatalf("transaction status is %c, want %c", got, want)
	}
}

func insertUser(id int64) string {
	return fmt.Sprintf("INSERT INTO users VALUES (%d, 'u%d', 1)", id, id)
}

func TestTransactionOfTenStatementsOnOneKeyCommits(t *testing.T) {
	c := start(t, options{})
	conn := c.connect()
	key := c.keys(2)[1]
	run(t, conn, "BEGIN")
	wantStatus(t, conn, 'T')
	run(t, conn, insertUser(key))
	for n := range 8 {
		run(t, conn, fmt.Sprintf("INSERT INTO notes VALUES (%d, %d, 'note')", key, n))
	}
	run(t, conn, "COMMIT")
	wantStatus(t, conn, 'I')
	wantValue(t, conn, fmt.Sprintf("SELECT count(*) FROM notes WHERE user_id = %d", key), "8")
}

func TestWriteToASecondShardIsRefusedAndNothingRemains(t *testing.T) {
	c := start(t, options{})
	conn := c.connect()
	keys := c.keys(2)
	run(t, conn, "BEGIN")
	run(t, conn, insertUser(keys[0]))
	e := refused(t, conn, insertUser(keys[1]), "0A000")
	if e.Hint == "" || e.Detail == "" {
		t.Fatalf("refusal without detail or hint: %+v", e)
	}
	wantStatus(t, conn, 'E')
	refused(t, conn, "SELECT 1", "25P02")
	if tag := run(t, conn, "COMMIT"); tag != "ROLLBACK" {
		t.Fatalf("COMMIT of a failed transaction answered %s", tag)
	}
	wantStatus(t, conn, 'I')
	for _, s := range c.servers {
		if n := countOn(t, s, "users"); n != 0 {
			t.Fatalf("%d rows remain on port %d", n, s.Port)
		}
	}
}

func TestOtherShardsMayBeReadInATransactionThatWrites(t *testing.T) {
	c := start(t, options{})
	conn := c.connect()
	keys := c.keys(3)
	run(t, conn, insertUser(keys[0]))
	run(t, conn, "BEGIN")
	run(t, conn, insertUser(keys[1]))
	wantValue(t, conn, fmt.Sprintf("SELECT name FROM users WHERE id = %d", keys[0]), fmt.Sprintf("u%d", keys[0]))
	wantValue(t, conn, "SELECT count(*) FROM users", "2") // its own write is seen
	run(t, conn, "COMMIT")
	wantValue(t, conn, "SELECT count(*) FROM users", "2")
}

func TestHiddenWriteOnASecondShardIsFoundAtCommit(t *testing.T) {
	c := start(t, options{})
	conn := c.connect()
	keys := c.keys(2)
	run(t, conn, "BEGIN")
	run(t, conn, insertUser(keys[0]))
	// A transaction id is what a write leaves; the function asks for one where the router sees a read.
	run(t, conn, fmt.Sprintf("SELECT pg_current_xact_id(), count(*) FROM users WHERE id = %d", keys[1]))
	refused(t, conn, "COMMIT", "0A000")
	wantStatus(t, conn, 'I')
	for _, s := range c.servers {
		if n := countOn(t, s, "users"); n != 0 {
			t.Fatalf("%d rows remain on port %d", n, s.Port)
		}
	}
}

func TestTableLocksSpanShards(t *testing.T) {
	c := start(t, options{})
	conn, other := c.connect(), c.connect()
	keys := c.keys(2)
	refused(t, conn, "LOCK TABLE users", "25P01")
	run(t, conn, "BEGIN; LOCK TABLE users")
	for _, key := range keys {
		run(t, other, "SET lock_timeout = '20ms'")
		refused(t, other, fmt.Sprintf("SELECT FROM users WHERE id = %d", key), "55P03")
	}
	run(t, conn, insertUser(keys[0])) // a lock is no write: one shard may be written
	run(t, conn, "COMMIT")
	wantValue(t, other, "SELECT count(*) FROM users", "1")

	// It does not hide a write that the router does not see.
	for _, s := range c.servers {
		s.Exec(t, "CREATE FUNCTION mark(int, int) RETURNS int LANGUAGE plpgsql AS 'BEGIN UPDATE users SET age = 1; RETURN 1; END';"+
			"CREATE OPERATOR ### (FUNCTION = mark, LEFTARG = int, RIGHTARG = int)")
	}
	run(t, conn, "BEGIN; LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
	run(t, conn, insertUser(keys[1]))
	wantValue(t, conn, fmt.Sprintf("SELECT 1 ### 1 FROM users WHERE id = %d", keys[0]), "1")
	refused(t, conn, "COMMIT", "0A000")
	wantValue(t, other, "SELECT count(*) FROM users", "1")
}

func TestSavepointsSpanShards(t *testing.T) {
	c := start(t, options{})
	conn := c.connect()
	keys := c.keys(2)
	run(t, conn, insertUser(keys[1]))
	run(t, conn, "BEGIN")
	run(t, conn, "SAVEPOINT a") // before any shard takes part
	run(t, conn, insertUser(keys[0]))
	run(t, conn, "SAVEPOINT b")
	wantValue(t, conn, fmt.Sprintf("SELECT count(*) FROM users WHERE id = %d", keys[1]), "1") // joins with both savepoints
	run(t, conn, fmt.Sprintf("UPDATE users SET name = 'changed' WHERE id = %d", keys[0]))
	refused(t, conn, fmt.Sprintf("SELECT 1/0 FROM users WHERE id = %d", keys[1]), "22012")
	wantStatus(t, conn, 'E')
	run(t, conn, "ROLLBACK TO b")
	wantStatus(t, conn, 'T')
	wantValue(t, conn, fmt.Sprintf("SELECT name FROM users WHERE id = %d", keys[0]), fmt.Sprintf("u%d", keys[0]))
	run(t, conn, "RELEASE b")
	refused(t, conn, "ROLLBACK TO b", "3B001")
	run(t, conn, "ROLLBACK TO a")
	wantValue(t, conn, fmt.Sprintf("SELECT count(*) FROM users WHERE id = %d", keys[0]), "0")
	run(t, conn, "COMMIT")
	wantValue(t, conn, "SELECT count(*) FROM users", "1")
}

func TestRefusalInATransactionCanBeRolledBackToASavepoint(t *testing.T) {
	c := start(t, options{})
	conn := c.connect()
	keys := c.keys(2)
	run(t, conn, "BEGIN; "+insertUser(keys[0])+"; SAVEPOINT s")
	refused(t, conn, insertUser(keys[1]), "0A000")
	run(t, conn, "ROLLBACK TO s")
	run(t, conn, "COMMIT")
	wantValue(t, conn, "SELECT count(*) FROM users", "1")
}

func TestBeginOptionsReachTheShard(t *testing.T) {
	c := start(t, options{})
	conn := c.connect()
	run(t, conn, "BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY")
	wantValue(t, conn, fmt.Sprintf("SELECT current_setting('transaction_isolation') FROM (SELECT count(*) FROM users WHERE id = %d) x", c.keys(2)[1]), "serializable")
	refused(t, conn, insertUser(c.keys(2)[1]), "25006")
	run(t, conn, "ROLLBACK")
}

func TestCommitAndChainKeepsTheOptions(t *testing.T) {
	c := start(t, options{})
	conn := c.connect()
	key := c.keys(1)[0]
	run(t, conn, "BEGIN ISOLATION LEVEL REPEATABLE READ")
	run(t, conn, insertUser(key))
	run(t, conn, "COMMIT AND CHAIN")
	wantStatus(t, conn, 'T')
	wantValue(t, conn, fmt.Sprintf("SELECT current_setting('transaction_isolation') FROM users WHERE id = %d", key), "repeatable read")
	run(t, conn, "ROLLBACK AND CHAIN")
	wantStatus(t, conn, 'T')
	run(t, conn, "ROLLBACK")
	wantValue(t, conn, "SELECT count(*) FROM users", "1")
}

func TestSeveralStatementsInOneMessageAreOneTransaction(t *testing.T) {
	c := start(t, options{})
	conn := c.connect()
	keys := c.keys(2)
	refused(t, conn, insertUser(keys[0])+"; SELECT 1/0", "22012")
	wantStatus(t, conn, 'I')
	wantValue(t, conn, "SELECT count(*) FROM users", "0")
	refused(t, conn, insertUser(keys[0])+"; "+insertUser(keys[1]), "0A000")
	wantValue(t, conn, "SELECT count(*) FROM users", "0")
	if tags := run(t, conn, insertUser(keys[0])+"; SELECT 1; "+insertUser(keys[0] + 1000*0)[:0]+"SELECT 2"); tags != "INSERT 0 1, SELECT 1, SELECT 1" {
		t.Fatalf("tags %q", tags)
	}
	if tags := run(t, conn, "BEGIN; "+insertUser(keys[1])+"; COMMIT; SELECT 3"); tags != "BEGIN, INSERT 0 1, COMMIT, SELECT 1" {
		t.Fatalf("tags %q", tags)
	}
	wantStatus(t, conn, 'I')
	run(t, conn, "SELECT 1; BEGIN")
	wantStatus(t, conn, 'T')
	run(t, conn, "ROLLBACK")
	wantValue(t, conn, "SELECT count(*) FROM users", "2")
}

func TestWarningsOfTransactionStatements(t *testing.T) {
	c := start(t, options{shards: 1})
	var notices []string
	conn := c.noticeCodes(&notices)
	for _, step := range []struct{ sql, tag, notice string }{
		{"COMMIT", "COMMIT", "25P01"}, {"ROLLBACK", "ROLLBACK", "25P01"}, {"BEGIN", "BEGIN", ""}, {"BEGIN", "BEGIN", "25001"},
		{"START TRANSACTION", "START TRANSACTION", "25001"}, {"END", "COMMIT", ""}, {"SET LOCAL work_mem = '1MB'", "SET", "25P01"},
	} {
		notices = nil
		if tag := run(t, conn, step.sql); tag != step.tag {
			t.Errorf("%s answered %q, want %q", step.sql, tag, step.tag)
		}
		if got := strings.Join(notices, ","); got != step.notice {
			t.Errorf("%s gave notices %q, want %q", step.sql, got, step.notice)
		}
	}
}

func sqlState(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

func TestOptionsOfALateBeginAnswerAsPostgres(t *testing.T) {
	t.Parallel()
	w := startTwin(t, options{})
	read := "SELECT name FROM users WHERE id = {a}"
	sameAll(t, w, [][2]string{
		{"a second BEGIN", "Q BEGIN | Q BEGIN ISOLATION LEVEL SERIALIZABLE, READ ONLY | Q SHOW transaction_isolation | Q SHOW transaction_read_only | Q COMMIT | Q SHOW transaction_isolation"},
		{"read only behind a query", "Q BEGIN | Q " + read + " | Q START TRANSACTION READ ONLY | Q UPDATE users SET age = 1 WHERE id = {a} | Q ROLLBACK"},
		{"read only, then another shard", "Q BEGIN | Q " + read + " | Q BEGIN READ ONLY | Q UPDATE users SET age = 1 WHERE id = {b} | Q ROLLBACK"},
		{"isolation behind a query", "Q BEGIN | Q " + read + " | Q BEGIN ISOLATION LEVEL SERIALIZABLE | Q SELECT 1 | Q ROLLBACK"},
		{"read only in one message", "Q " + read + "; BEGIN READ ONLY; UPDATE users SET age = 1 WHERE id = {a} | Q ROLLBACK"},
		{"isolation in one message", "Q " + read + "; BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT 2 | Q SELECT 3"},
		{"first of a message", "Q BEGIN ISOLATION LEVEL REPEATABLE READ; " + read + "; COMMIT"},
		{"no options in one message", "Q " + read + "; BEGIN | Q " + read + " | Q COMMIT"},
		{"prepared", "Q BEGIN | P . BEGIN READ ONLY | B . . | E . | S | Q UPDATE users SET age = 1 WHERE id = {b} | Q ROLLBACK"},
	})
}
