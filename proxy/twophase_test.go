package proxy_test

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/internal/pgtest"
	"github.com/pgring/pgring/proxy"
)

func renameUser(id int64, name string) string {
	return fmt.Sprintf("UPDATE users SET name = '%s' WHERE id = %d", name, id)
}

func TestTwoPhaseTransactionWritesSeveralShards(t *testing.T) {
	c := start(t, options{})
	conn := c.connect()
	keys := c.keys(3)
	run(t, conn, "BEGIN; SET LOCAL pgring.cross_shard = '2pc'")
	for _, key := range keys[:2] {
		run(t, conn, insertUser(key))
	}
	wantValue(t, conn, fmt.Sprintf("SELECT count(*) FROM users WHERE id = %d", keys[2]), "0")
	wantStatus(t, conn, 'T')
	if tag := run(t, conn, "COMMIT"); tag != "COMMIT" {
		t.Fatalf("COMMIT answered %s", tag)
	}
	wantStatus(t, conn, 'I')
	wantValue(t, conn, "SELECT count(*) FROM users", "2")
	c.nothingPrepared(t)
	// the same through prepared statements in one pipeline, COMMIT included
	batch := &pgx.Batch{}
	batch.Queue("BEGIN")
	batch.Queue("SET LOCAL pgring.cross_shard = '2pc'")
	for _, key := range keys {
		batch.Queue("INSERT INTO notes VALUES ($1, 1, $2)", key, "text")
	}
	batch.Queue("COMMIT")
	must(t, conn.SendBatch(background, batch).Close())
	wantStatus(t, conn, 'I')
	wantValue(t, conn, "SELECT count(*) FROM notes", "3")
	c.nothingPrepared(t)
}

func TestErrorFailsATwoPhaseTransactionOnAllShards(t *testing.T) {
	c := start(t, options{})
	conn := c.connect()
	keys := c.keys(2)
	run(t, conn, "SET pgring.cross_shard = '2pc'")
	run(t, conn, "BEGIN")
	run(t, conn, insertUser(keys[0])+"; "+insertUser(keys[1]))
	refused(t, conn, insertUser(keys[0]), "23505")
	wantStatus(t, conn, 'E')
	refused(t, conn, insertUser(keys[1]), "25P02")
	if tag := run(t, conn, "COMMIT"); tag != "ROLLBACK" {
		t.Fatalf("COMMIT answered %s", tag)
	}
	wantValue(t, conn, "SELECT count(*) FROM users", "0")
	// a savepoint spans the shards
	run(t, conn, "BEGIN; "+insertUser(keys[0])+"; SAVEPOINT s; "+insertUser(keys[1]))
	refused(t, conn, insertUser(keys[0]), "23505")
	run(t, conn, "ROLLBACK TO s; "+renameUser(keys[0], "kept")+"; COMMIT")
	wantValue(t, conn, fmt.Sprintf("SELECT name FROM users WHERE id = %d", keys[0]), "kept")
	wantValue(t, conn, "SELECT count(*) FROM users", "1")
	c.nothingPrepared(t)
}

func TestCommitThatFailsOnOneShardUndoesTheOthers(t *testing.T) {
	c := start(t, options{})
	for _, s := range c.servers {
		s.Exec(t, "ALTER TABLE users ADD CONSTRAINT age_once UNIQUE (age) DEFERRABLE INITIALLY DEFERRED")
	}
	conn := c.connect()
	keys := c.keys(2)
	shard := c.shardOf(keys[1])
	pgtest.One[int64](t, shard, "INSERT INTO users VALUES (-1, 'x', 5) RETURNING 1")
	run(t, conn, "BEGIN; SET LOCAL pgring.cross_shard = '2pc'")
	run(t, conn, insertUser(keys[0]))
	run(t, conn, fmt.Sprintf("INSERT INTO users VALUES (%d, 'y', 5)", keys[1]))
	refused(t, conn, "COMMIT", "23505")
	wantStatus(t, conn, 'I')
	if n := countOn(t, c.shardOf(keys[0]), "users"); n != 0 {
		t.Fatalf("%d rows remain", n)
	}
	c.nothingPrepared(t)
}

func TestHiddenWritesTakePartInTwoPhaseCommit(t *testing.T) {
	c := start(t, options{})
	conn := c.connect()
	keys := c.keys(2)
	run(t, conn, "BEGIN; SET LOCAL pgring.cross_shard = '2pc'; "+insertUser(keys[0]))
	run(t, conn, fmt.Sprintf("SELECT pg_current_xact_id(), count(*) FROM users WHERE id = %d", keys[1]))
	run(t, conn, "COMMIT")
	wantValue(t, conn, "SELECT count(*) FROM users", "1")
	c.nothingPrepared(t)
}

func TestTwoPhaseIsRefusedWhereServersCannot(t *testing.T) {
	c := start(t, options{server: []pgtest.Option{pgtest.MaxPreparedTransactions(0)}})
	conn := c.connect()
	keys := c.keys(2)
	run(t, conn, "BEGIN; SET LOCAL pgring.cross_shard = '2pc'; "+insertUser(keys[0])+"; "+insertUser(keys[1]))
	e := refused(t, conn, "COMMIT", "0A000")
	if e.Detail == "" || e.Hint == "" {
		t.Fatalf("refusal without reason: %+v", e)
	}
	wantStatus(t, conn, 'I')
	wantValue(t, conn, "SELECT count(*) FROM users", "0")
}

func TestRefusedCrossShardTransactionNamesTheSetting(t *testing.T) {
	c := start(t, options{})
	conn := c.connect()
	keys := c.keys(2)
	run(t, conn, "BEGIN; "+insertUser(keys[0]))
	if e := refused(t, conn, insertUser(keys[1]), "0A000"); e.Hint != "SET LOCAL pgring.cross_shard = 'saga' or '2pc' in a transaction block allows it. "+
		"Tables with the same shard key keep rows that belong together on one shard." {
		t.Fatalf("hint %q", e.Hint)
	}
}

func TestWaitsForLocksEndInTransactionsOnSeveralShards(t *testing.T) {
	c := start(t, options{})
	first, second := c.connect(), c.connect()
	keys := c.keys(2)
	run(t, first, insertUser(keys[0]))
	run(t, first, insertUser(keys[1]))
	for _, conn := range []*pgx.Conn{first, second} {
		run(t, conn, "SET pgring.cross_shard = '2pc'")
		run(t, conn, "BEGIN")
	}
	run(t, first, renameUser(keys[0], "first"))
	run(t, second, renameUser(keys[1], "second"))
	waiting := make(chan error, 1)
	go func() { // owner: this test, which receives its result
		_, err := tryRun(first, renameUser(keys[1], "first"))
		waiting <- err
	}()
	_, err := tryRun(second, renameUser(keys[0], "second"))
	other := <-waiting
	if err == nil && other == nil {
		t.Fatal("both transactions of a deadlock went on")
	}
	for _, failed := range []error{err, other} {
		if failed != nil {
			wantCode(t, failed, "55P03")
		}
	}
	run(t, first, "ROLLBACK")
	run(t, second, "ROLLBACK")
	run(t, first, "BEGIN; SET LOCAL lock_timeout = '77s'; "+renameUser(keys[0], "a")+"; "+renameUser(keys[1], "b"))
	wantValue(t, first, fmt.Sprintf("SELECT current_setting('lock_timeout') FROM users WHERE id = %d", keys[1]), "77s")
	run(t, first, "ROLLBACK")
}

func TestReferenceTablesAreWrittenInATwoPhaseTransaction(t *testing.T) {
	c := start(t, options{})
	conn := c.connect()
	keys := c.keys(2)
	run(t, conn, "BEGIN; SET LOCAL pgring.cross_shard = '2pc'; "+insertUser(keys[1]))
	run(t, conn, "INSERT INTO countries VALUES ('DE', 'Germany')")
	_, err := conn.Exec(background, "UPDATE countries SET name = $1 WHERE code = $2", "Deutschland", "DE")
	must(t, err)
	wantValue(t, conn, "SELECT name FROM countries", "Deutschland")
	run(t, conn, "ROLLBACK")
	c.everywhere(t, "SELECT count(*) FROM countries", "0")
	run(t, conn, "BEGIN; SET LOCAL pgring.cross_shard = '2pc'; INSERT INTO countries VALUES ('DE', 'Germany'); "+insertUser(keys[1])+"; COMMIT")
	c.everywhere(t, "SELECT count(*) FROM countries", "1")
	wantValue(t, conn, "SELECT count(*) FROM users", "1")
	c.nothingPrepared(t)
}

func TestStatementsOnSeveralShardsJoinATwoPhaseTransaction(t *testing.T) {
	c := start(t, options{})
	conn := c.connect()
	keys := c.keys(3)
	many := fmt.Sprintf("INSERT INTO users VALUES (%d, 'a', 1), (%d, 'b', 2)", keys[0], keys[1])
	run(t, conn, "BEGIN; SET LOCAL pgring.cross_shard = '2pc'")
	run(t, conn, many)
	run(t, conn, insertUser(keys[2]))
	run(t, conn, "UPDATE users SET age = 7")
	run(t, conn, "ROLLBACK")
	wantValue(t, conn, "SELECT count(*) FROM users", "0")
	run(t, conn, "BEGIN; SET LOCAL pgring.cross_shard = '2pc'; "+many+"; "+insertUser(keys[2])+"; COMMIT")
	wantValue(t, conn, "SELECT count(*) FROM users", "3")
	c.nothingPrepared(t)
	for _, sql := range []string{"UPDATE users SET age = 7", "INSERT INTO countries VALUES ('de', 'Germany')"} {
		run(t, conn, "BEGIN")
		refused(t, conn, sql, "0A000")
		run(t, conn, "ROLLBACK")
	}
}

func TestStatementsOnSeveralShardsAreAtomicOrRefused(t *testing.T) {
	for name, o := range map[string]options{
		"no two-phase commit": {server: []pgtest.Option{pgtest.MaxPreparedTransactions(0)}, policy: proxy.Policy{CrossShard: proxy.CrossShard{Statements: proxy.CommitTwoPhase}}},
		"reject":              {policy: proxy.Policy{CrossShard: proxy.CrossShard{Statements: proxy.CommitReject}}},
	} {
		t.Run(name, func(t *testing.T) {
			c := start(t, o)
			conn := c.connect()
			keys := c.keys(2)
			for _, sql := range []string{"INSERT INTO countries VALUES ('de', 'Germany')", "UPDATE users SET age = 7",
				fmt.Sprintf("INSERT INTO users VALUES (%d, 'a', 1), (%d, 'b', 2)", keys[0], keys[1])} {
				if e := refused(t, conn, sql, "0A000"); e.Detail == "" || e.Hint == "" {
					t.Errorf("%s: refusal without reason: %+v", sql, e)
				}
				wantStatus(t, conn, 'I')
			}
			c.everywhere(t, "SELECT count(*) FROM countries", "0")
			run(t, conn, insertUser(keys[0]))
			wantValue(t, conn, "SELECT count(*) FROM users", "1")
		})
	}
}
