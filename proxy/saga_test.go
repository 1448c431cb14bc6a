package proxy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgring/pgring/internal/pgtest"
	"github.com/pgring/pgring/limits"
	"github.com/pgring/pgring/proxy"
	"github.com/pgring/pgring/topology"
)

// accounts of the saga tests: ages of users, which must not become negative.
func startBank(t testing.TB, keys int) (*cluster, *pgx.Conn, []int64) {
	t.Helper()
	c := start(t, options{bank: true})
	conn := c.connect()
	ids := c.keys(keys)
	for _, id := range ids {
		run(t, conn, fmt.Sprintf("INSERT INTO users VALUES (%d, 'u', 100)", id))
	}
	return c, conn, ids
}

func pay(id, amount int64) string {
	return fmt.Sprintf("UPDATE users SET age = age + %d WHERE id = %d /* compensate: UPDATE users SET age = age - %d WHERE id = %d */", amount, id, amount, id)
}

func wantAge(t testing.TB, conn *pgx.Conn, id int64, want string) {
	t.Helper()
	wantValue(t, conn, fmt.Sprintf("SELECT age FROM users WHERE id = %d", id), want)
}

const beginSaga = "BEGIN; SET LOCAL pgring.cross_shard = 'saga'"

// breakCommit makes every COMMIT fail on a server that has changed a user of this name.
func breakCommit(t testing.TB, s *pgtest.Server) {
	t.Helper()
	s.Exec(t, `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = 'ZZ001'; END $$;
		CREATE CONSTRAINT TRIGGER refuse AFTER UPDATE ON users DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()`)
}

func TestSagaCommitsOnAllShards(t *testing.T) {
	_, conn, ids := startBank(t, 3)
	run(t, conn, beginSaga)
	run(t, conn, pay(ids[0], -10))
	run(t, conn, pay(ids[1], 4)+"; "+pay(ids[2], 6))
	wantAge(t, conn, ids[1], "104") // its own writes are seen
	if tag := run(t, conn, "COMMIT"); tag != "COMMIT" {
		t.Fatalf("COMMIT answered %s", tag)
	}
	wantStatus(t, conn, 'I')
	for i, want := range []string{"90", "104", "106"} {
		wantAge(t, conn, ids[i], want)
	}
	id := value(t, conn, "SHOW pgring.last_saga_id")
	if id == "" {
		t.Fatal("no saga id")
	}
	wantValue(t, conn, fmt.Sprintf("SELECT pgring.saga_status('%s')", id), "COMMITTED")
}

func TestSagaIsUndoneWhenAShardCannotCommit(t *testing.T) {
	c, conn, ids := startBank(t, 3)
	breakCommit(t, c.shardOf(ids[2]))
	run(t, conn, beginSaga)
	for i, amount := range []int64{-10, 4, 6} {
		run(t, conn, pay(ids[i], amount))
	}
	refused(t, conn, "COMMIT", "ZZ001")
	wantStatus(t, conn, 'I')
	for _, id := range ids {
		wantAge(t, conn, id, "100")
	}
	id := value(t, conn, "SHOW pgring.last_saga_id")
	wantValue(t, conn, fmt.Sprintf("SELECT pgring.saga_status('%s')", id), "COMPENSATED")
}

// TestSagaIsUndoneOverEveryLimit has a saga that uses up what its writes may: COMMIT and the compensations ask for no more.
func TestSagaIsUndoneOverEveryLimit(t *testing.T) {
	c, conn, ids := startBank(t, 3)
	users := topology.Name{Schema: "public", Table: "users"}
	c.apply(func(p *proxy.Policy) {
		p.Limits = &proxy.Limits{InFlight: limits.NewInFlight(limits.InFlightConfig{Max: 1}), PerKey: limits.NewPerKey(limits.PerKeyConfig{Running: 1}),
			Tables: map[topology.Name]proxy.TableLimit{users: {Rate: limits.NewBuckets(limits.Rate{PerSecond: 0.001, Burst: 3}, 0)}}}
	})
	breakCommit(t, c.shardOf(ids[2]))
	run(t, conn, beginSaga)
	for i, amount := range []int64{-10, 4, 6} {
		run(t, conn, pay(ids[i], amount))
	}
	refused(t, conn, "COMMIT", "ZZ001")
	for _, id := range ids {
		wantAge(t, conn, id, "100")
	}
	run(t, conn, beginSaga)
	refused(t, conn, pay(ids[0], 1), "53400")
	run(t, conn, "ROLLBACK")
}

func TestSagaStatementErrorRollsBackEverywhere(t *testing.T) {
	c, conn, ids := startBank(t, 2)
	run(t, conn, beginSaga)
	run(t, conn, pay(ids[0], 10))
	refused(t, conn, pay(ids[1], -200), "23514")
	wantStatus(t, conn, 'E')
	if tag := run(t, conn, "COMMIT"); tag != "ROLLBACK" {
		t.Fatalf("COMMIT answered %s", tag)
	}
	for _, id := range ids {
		wantAge(t, conn, id, "100")
	}
	for _, s := range c.servers {
		if n := pgtest.One[int64](t, s, "SELECT count(*) FROM pg_class WHERE relname = 'barrier' AND pg_relation_size(oid) > 0"); n != 0 {
			t.Error("a transaction that was rolled back has left barrier rows")
		}
	}
}

func TestSagaOnOneShardIsAPlainCommit(t *testing.T) {
	_, conn, ids := startBank(t, 2)
	run(t, conn, beginSaga)
	run(t, conn, fmt.Sprintf("UPDATE users SET age = 1 WHERE id = %d", ids[0])) // needs no compensation
	wantAge(t, conn, ids[1], "100")
	run(t, conn, "COMMIT")
	wantValue(t, conn, "SHOW pgring.last_saga_id", "")
	wantAge(t, conn, ids[0], "1")
}

func TestSagaSavepointsDropWhatIsToBeUndone(t *testing.T) {
	c, conn, ids := startBank(t, 2)
	breakCommit(t, c.shardOf(ids[1]))
	run(t, conn, beginSaga)
	run(t, conn, pay(ids[0], 1))
	run(t, conn, "SAVEPOINT a")
	run(t, conn, pay(ids[0], 20))
	run(t, conn, pay(ids[1], 20))
	run(t, conn, "ROLLBACK TO a")
	run(t, conn, pay(ids[1], 300))
	refused(t, conn, "COMMIT", "ZZ001")
	wantAge(t, conn, ids[0], "100") // 1 was undone, 20 was not undone twice
	wantAge(t, conn, ids[1], "100")
}

func TestSagaParametersAreThoseOfTheStatement(t *testing.T) {
	c, conn, ids := startBank(t, 2)
	breakCommit(t, c.shardOf(ids[1]))
	const move = "UPDATE users SET age = age + $2, name = $3 WHERE id = $1 /* compensate: UPDATE users SET age = age - $2, name = 'u' WHERE id = $1 AND name = $3 */"
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeCacheStatement, pgx.QueryExecModeExec, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeSimpleProtocol} {
		tx, err := conn.Begin(background)
		must(t, err)
		_, err = tx.Exec(background, "SET LOCAL pgring.cross_shard = 'saga'")
		must(t, err)
		if mode == pgx.QueryExecModeSimpleProtocol {
			run(t, conn, "PREPARE move AS "+move)
			run(t, conn, fmt.Sprintf("EXECUTE move(%d, 5, 'it''s')", ids[0]))
			run(t, conn, fmt.Sprintf("EXECUTE move(%d, 7, 'it''s')", ids[1]))
		} else {
			_, err = tx.Exec(background, move, mode, ids[0], 5, "it's")
			must(t, err)
			_, err = tx.Exec(background, move, mode, ids[1], 7, "it's")
			must(t, err)
		}
		wantCode(t, tx.Commit(background), "ZZ001")
		wantAge(t, conn, ids[0], "100")
		wantValue(t, conn, fmt.Sprintf("SELECT name FROM users WHERE id = %d", ids[0]), "u")
	}
}

func TestSagaPipelineCommits(t *testing.T) {
	_, conn, ids := startBank(t, 2)
	batch := &pgx.Batch{}
	batch.Queue("BEGIN")
	batch.Queue("SET LOCAL pgring.cross_shard = 'saga'")
	for i, id := range ids {
		batch.Queue("UPDATE users SET age = age + $1 WHERE id = $2 /* compensate: UPDATE users SET age = age - $1 WHERE id = $2 */", 10-20*i, id)
	}
	batch.Queue("COMMIT")
	must(t, conn.SendBatch(background, batch).Close())
	wantStatus(t, conn, 'I')
	wantAge(t, conn, ids[0], "110")
	wantAge(t, conn, ids[1], "90")
}

func TestSagaNeedsACompensationForEachWrite(t *testing.T) {
	_, conn, ids := startBank(t, 2)
	bare := func(id int64) string { return fmt.Sprintf("UPDATE users SET age = 1 WHERE id = %d", id) }
	for name, script := range map[string][]string{
		"second write":           {beginSaga, pay(ids[0], 1), bare(ids[1])},
		"first write":            {beginSaga, bare(ids[0]), pay(ids[1], 1)},
		"before the mode":        {"BEGIN", bare(ids[0]) + " /* compensate: none */", "SET LOCAL pgring.cross_shard = 'saga'", pay(ids[1], 1)},
		"hidden":                 {beginSaga, pay(ids[0], 1), fmt.Sprintf("SELECT pg_current_xact_id() FROM users WHERE id = %d", ids[1]), "COMMIT"},
		"another shard":          {beginSaga, strings.Replace(pay(ids[0], 1), fmt.Sprintf("id = %d */", ids[0]), fmt.Sprintf("id = %d */", ids[1]), 1)},
		"several shards":         {beginSaga, bare(ids[0]) + " /* compensate(rows=any): UPDATE users SET age = 2 */"},
		"no write":               {beginSaga, bare(ids[0]) + " /* compensate: SELECT 1 */"},
		"syntax":                 {beginSaga, bare(ids[0]) + " /* compensate: UPDATE users SETT age = 1 */"},
		"parameter":              {beginSaga, bare(ids[0]) + " /* compensate: UPDATE users SET age = $1 WHERE id = 1 */"},
		"two":                    {beginSaga, "SET LOCAL pgring.compensate = 'none'", pay(ids[0], 1)},
		"retriable beside undo":  {beginSaga, pay(ids[0], 1), bare(ids[0]) + " /* retriable */"},
		"mode changed in middle": {beginSaga, pay(ids[0], 1), "SET LOCAL pgring.cross_shard = reject", pay(ids[1], 1)},
	} {
		var err error
		for i, sql := range script {
			if _, err = tryRun(conn, sql); err != nil && i < len(script)-1 {
				t.Errorf("%s: %s: %v", name, sql, err)
			}
		}
		if err == nil {
			t.Errorf("%s: was accepted", name)
		} else if code := sqlState(err); code != "0A000" && code != "42601" && code != "42P02" {
			t.Errorf("%s: %v", name, err)
		}
		run(t, conn, "ROLLBACK")
	}
	for _, id := range ids {
		wantAge(t, conn, id, "100")
	}
	run(t, conn, beginSaga)
	run(t, conn, pay(ids[0], 1))
	run(t, conn, "SET LOCAL pgring.compensate = 'none'")
	run(t, conn, bare(ids[1]))
	run(t, conn, "COMMIT")
	wantAge(t, conn, ids[1], "1")
}

// A statement may be refused when the transaction has been opened on its shard: the block must outlive that.
func TestRefusedWriteLeavesTheBlockFailed(t *testing.T) {
	t.Parallel()
	_, conn, ids := startBank(t, 2)
	bad := fmt.Sprintf("UPDATE users SET age = 1 WHERE id = %d /* compensate: SELECT 1 */", ids[0])
	elsewhere := fmt.Sprintf("UPDATE users SET age = 1 WHERE id = %d /* compensate: UPDATE users SET age = 2 WHERE id = %d */", ids[0], ids[1])
	for _, begin := range [][]string{{beginSaga}, {beginSaga, pay(ids[1], 1)}, {beginSaga, "SAVEPOINT a"}, {beginSaga, pay(ids[1], 1), "SAVEPOINT a"}} {
		for statement, code := range map[string]string{bad: "42601", elsewhere: "0A000"} {
			for _, sql := range begin {
				run(t, conn, sql)
			}
			refused(t, conn, statement, code)
			wantStatus(t, conn, 'E')
			refused(t, conn, pay(ids[0], -50), "25P02")
			if begin[len(begin)-1] == "SAVEPOINT a" {
				run(t, conn, "ROLLBACK TO a")
				wantStatus(t, conn, 'T')
				wantAge(t, conn, ids[0], "100")
			}
			if tag := run(t, conn, "ROLLBACK"); tag != "ROLLBACK" {
				t.Errorf("ROLLBACK answered %s", tag)
			}
			wantStatus(t, conn, 'I')
			refused(t, conn, strings.Join(begin, "; ")+"; "+statement+"; "+pay(ids[0], -50), code)
			wantStatus(t, conn, 'E')
			run(t, conn, "ROLLBACK")
			wantAge(t, conn, ids[0], "100")
			wantAge(t, conn, ids[1], "100")
		}
	}
}

func TestRetriableStatementsStandAlone(t *testing.T) {
	t.Parallel()
	_, conn, ids := startBank(t, 2)
	nothing := fmt.Sprintf("UPDATE users SET age = age + 1 WHERE id = %d /* compensate: none */", ids[1])
	again := fmt.Sprintf("UPDATE users SET age = age + 1 WHERE id = %d /* retriable */", ids[1])
	for _, order := range [][]string{{nothing, again}, {again, nothing}} {
		run(t, conn, beginSaga)
		run(t, conn, pay(ids[0], 1))
		run(t, conn, order[0])
		refused(t, conn, order[1], "0A000") // a repetition would leave it out
		run(t, conn, "ROLLBACK")
	}
	run(t, conn, beginSaga)
	run(t, conn, pay(ids[0], 1))
	run(t, conn, strings.Replace(again, "WHERE", "WHERE age < 0 AND", 1))
	if tag := run(t, conn, "COMMIT"); tag != "COMMIT" {
		t.Errorf("COMMIT after a retriable statement without rows answered %s", tag)
	}
	wantAge(t, conn, ids[0], "101")
}

// The tag of a statement whose WITH clause writes does not count what that has written.
func TestSagaUndoesWhatAWithClauseWrites(t *testing.T) {
	t.Parallel()
	c, conn, ids := startBank(t, 2)
	breakCommit(t, c.shardOf(ids[1]))
	for _, rows := range []string{"", "(rows=1)", "(rows=any)"} {
		for _, outer := range []string{"UPDATE users SET name = 'x' WHERE id = %[1]d AND age < 0", "SELECT 1 FROM users WHERE id = %[1]d AND age < 0"} {
			run(t, conn, beginSaga)
			run(t, conn, fmt.Sprintf("WITH w AS (UPDATE users SET age = age + 7 WHERE id = %[1]d RETURNING id) "+outer+
				" /* compensate"+rows+": UPDATE users SET age = age - 7 WHERE id = %[1]d */", ids[0]))
			run(t, conn, pay(ids[1], 1))
			refused(t, conn, "COMMIT", "ZZ001")
			wantAge(t, conn, ids[0], "100")
		}
	}
	run(t, conn, beginSaga)
	run(t, conn, fmt.Sprintf("WITH w AS (SELECT 1) UPDATE users SET age = age + 7 WHERE id = %[1]d AND age < 0 "+
		"/* compensate: UPDATE users SET age = age - 7 WHERE id = %[1]d */", ids[0]))
	run(t, conn, pay(ids[1], 1))
	refused(t, conn, "COMMIT", "ZZ001")
	wantAge(t, conn, ids[0], "100") // it has done nothing, and nothing was undone
}

func TestRetriableStatementIsRunForward(t *testing.T) {
	c, conn, ids := startBank(t, 2)
	shard := c.shardOf(ids[1])
	// The first COMMIT fails, later ones do not: a sequence is not rolled back.
	shard.Exec(t, `CREATE SEQUENCE tries;
		CREATE FUNCTION refuse_once() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			IF nextval('tries') = 1 THEN RAISE EXCEPTION 'not now' USING ERRCODE = '40001'; END IF; RETURN NULL; END $$;
		CREATE CONSTRAINT TRIGGER refuse AFTER UPDATE ON users DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse_once()`)
	run(t, conn, beginSaga)
	run(t, conn, pay(ids[0], -5))
	run(t, conn, fmt.Sprintf("UPDATE users SET age = age + 5 WHERE id = %d /* retriable */", ids[1]))
	run(t, conn, "COMMIT")
	wantAge(t, conn, ids[0], "95")
	wantAge(t, conn, ids[1], "105")
}

func TestSagaKeyMakesRepeatsKnown(t *testing.T) {
	_, conn, ids := startBank(t, 3)
	for range 3 {
		run(t, conn, beginSaga)
		run(t, conn, "SET LOCAL pgring.saga_key = 'order 7'")
		run(t, conn, pay(ids[1], -10))
		run(t, conn, pay(ids[2], 10))
		run(t, conn, "COMMIT")
	}
	wantAge(t, conn, ids[1], "90")
	wantAge(t, conn, ids[2], "110")
	run(t, conn, "BEGIN; SET LOCAL pgring.saga_key = 'order 8'")
	run(t, conn, pay(ids[1], -10))
	refused(t, conn, "COMMIT", "0A000") // without the mode the key would be ignored
	wantAge(t, conn, ids[1], "90")
}

func TestSagaUndoRunsUnderTheSettingsOfItsStatement(t *testing.T) {
	c, conn, ids := startBank(t, 2)
	for _, s := range c.servers {
		s.Exec(t, "CREATE SCHEMA other; CREATE TABLE other.users (id bigint PRIMARY KEY, age int); CREATE ROLE clerk; "+
			"GRANT ALL ON users TO clerk; GRANT USAGE ON SCHEMA other TO clerk")
	}
	breakCommit(t, c.shardOf(ids[1]))
	run(t, conn, beginSaga+"; SET LOCAL ROLE clerk")
	run(t, conn, pay(ids[0], 1))
	run(t, conn, "SET LOCAL search_path = other; SET LOCAL search_path = public")
	run(t, conn, pay(ids[1], 1))
	refused(t, conn, "COMMIT", "ZZ001")
	wantAge(t, conn, ids[0], "100")
	wantValue(t, conn, "SELECT current_user", "postgres")
}

func TestLongRunningSagaIsCalled(t *testing.T) {
	t.Parallel()
	c, conn, ids := startBank(t, 2)
	call := func(name string, amount int64, mode string) string {
		return fmt.Sprintf(`CALL pgring.saga('%s', '[{"sql": "UPDATE users SET age = age - $1 WHERE id = %d", "params": [%d], "compensate": "UPDATE users SET age = age + %[3]d WHERE id = %[2]d", "rows": 1},
			{"sql": "UPDATE users SET age = age + %[3]d WHERE id = %[4]d", "compensate": "UPDATE users SET age = age - %[3]d WHERE id = %[4]d"}]', '%[1]s', '%[5]s')`,
			name, ids[0], amount, ids[1], mode)
	}
	id := value(t, conn, call("one", 10, "wait"))
	wantValue(t, conn, fmt.Sprintf("SELECT pgring.saga_status('%s')", id), "COMMITTED")
	wantValue(t, conn, "SHOW pgring.last_saga_id", id)
	wantValue(t, conn, call("one", 10, "wait"), id) // its key makes a repeat known
	wantAge(t, conn, ids[0], "90")
	wantAge(t, conn, ids[1], "110")
	refused(t, conn, call("too much", 1000, "wait"), "23514")
	shard := c.shardOf(ids[1])
	shard.Exec(t, "ALTER TABLE users ADD CONSTRAINT age_small CHECK (age < 115)")
	refused(t, conn, call("refused later", 50, "wait"), "23514") // what its first step did is undone
	for sql, code := range map[string]string{"BEGIN; " + call("in a block", 1, "wait"): "25001", call("wrong mode", 1, "soon"): "22023",
		"CALL pgring.saga('no steps')": "42883"} {
		refused(t, conn, sql, code)
		run(t, conn, "ROLLBACK")
	}
	wantAge(t, conn, ids[0], "90")
	wantAge(t, conn, ids[1], "110")
	id = value(t, conn, call("behind", 1, "background"))
	waitFor(t, "the saga in the background", func() bool {
		return value(t, conn, fmt.Sprintf("SELECT pgring.saga_status('%s')", id)) == "COMMITTED"
	})
	wantAge(t, conn, ids[1], "111")
}

// TestClientThatLeavesDuringCommit has clients send COMMIT and hang up: their transfers are done on both shards or on none.
func TestClientThatLeavesDuringCommit(t *testing.T) {
	t.Parallel()
	c, conn, ids := startBank(t, 2)
	for _, mode := range []string{"saga", "2pc"} {
		for n := range 10 {
			leaver := c.connect()
			run(t, leaver, "BEGIN; SET LOCAL pgring.cross_shard = '"+mode+"'")
			run(t, leaver, pay(ids[0], -1))
			run(t, leaver, pay(ids[1], 1))
			sender := leaver.PgConn().Frontend()
			sender.SendQuery(&pgproto3.Query{String: "COMMIT"})
			if n%2 == 0 {
				must(t, sender.Flush())
			}
			must(t, leaver.PgConn().Conn().Close())
		}
		waitFor(t, "all of them to end", func() bool {
			for _, s := range c.servers {
				if pgtest.One[int64](t, s, "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in%'")+
					pgtest.One[int64](t, s, "SELECT count(*) FROM pg_prepared_xacts") > 0 {
					return false
				}
			}
			return true
		})
		wantValue(t, conn, "SELECT sum(age) FROM users", "200")
	}
}

func TestUnsettledSagaIsSaidToBeSo(t *testing.T) {
	t.Parallel()
	c, conn, ids := startBank(t, 2)
	shard := c.shardOf(ids[1])
	if shard == c.servers[0] {
		ids[0], ids[1] = ids[1], ids[0]
		shard = c.shardOf(ids[1])
	}
	// A first saga sees to it that both shards have what sagas need. Without it, a shard that the janitor has not come to yet could only refuse (40001).
	run(t, conn, beginSaga)
	run(t, conn, pay(ids[0], -1)+"; "+pay(ids[1], 1))
	run(t, conn, "COMMIT")
	run(t, conn, beginSaga+"; SET LOCAL pgring.saga_commit_timeout = '300ms'")
	run(t, conn, pay(ids[0], -10))
	run(t, conn, pay(ids[1], 10))
	shard.Stop(t) // the first shard commits, this one can neither commit nor be asked, nor say a last word
	e := refused(t, conn, "COMMIT", "40003")
	shard.Kill9(t)
	wantStatus(t, conn, 'I')
	id := value(t, conn, "SHOW pgring.last_saga_id")
	if id == "" || !strings.Contains(e.Detail, id) || !strings.Contains(e.Hint, "pgring.saga_status('"+id+"')") {
		t.Fatalf("id %q, detail %q, hint %q", id, e.Detail, e.Hint)
	}
	status := func() string { return value(t, conn, fmt.Sprintf("SELECT pgring.saga_status('%s')", id)) }
	if got := status(); got != "RUNNING" && got != "COMPENSATING" {
		t.Fatalf("saga is %s", got)
	}
	pg := c.connect().PgConn() // a called saga waits for the shard, and goes on when its client has enough of waiting
	called := pg.Exec(background, fmt.Sprintf(`CALL pgring.saga('late', '[{"sql": "UPDATE users SET age = age + 1 WHERE id = %d", "kind": "retriable"}]')`, ids[1]))
	answered := make(chan error, 1)
	go func() { answered <- called.Close() }()
	waitFor(t, "the call to be given up", func() bool {
		must(t, pg.CancelRequest(background))
		select {
		case err := <-answered:
			return sqlState(err) == "40003"
		default:
			return false
		}
	})
	shard.Restart(t)
	waitFor(t, "the saga to be undone", func() bool { return status() == "COMPENSATED" })
	wantAge(t, conn, ids[0], "99")
	waitFor(t, "the called saga to be done", func() bool {
		return pgtest.One[int32](t, shard, "SELECT age FROM users WHERE id = $1", ids[1]) == 102 // pgring may hold the shard for dead yet
	})
}
