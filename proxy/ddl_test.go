package proxy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/backend"
	"github.com/pgring/pgring/internal/pgtest"
)

// everywhere demands that a query has the same answer on every server.
func (c *cluster) everywhere(t testing.TB, sql, want string) {
	t.Helper()
	for i, s := range c.servers {
		if got := pgtest.One[string](t, s, "SELECT ("+sql+")::text"); got != want {
			t.Errorf("server %d: %s gives %s, want %s", i+1, sql, got, want)
		}
	}
}

const columnsOfUsers = "SELECT string_agg(attname, ',' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'users'::regclass AND attnum > 0 AND NOT attisdropped"

func TestDefinitionsReachEveryShard(t *testing.T) {
	t.Parallel()
	c := start(t, options{noTable: true, pool: backend.Config{Size: 2}})
	conn := c.connect()
	run(t, conn, "CREATE TABLE users (id bigint PRIMARY KEY, name text)")
	c.everywhere(t, columnsOfUsers, "id,name")
	run(t, conn, "CREATE TABLE countries (code text PRIMARY KEY)")
	c.everywhere(t, "SELECT count(*) FROM countries", "0")
	run(t, conn, "CREATE TABLE things (x int)")
	c.everywhere(t, "SELECT count(*) FROM pg_class WHERE relname = 'things' AND current_setting('port') <> '"+fmt.Sprint(c.servers[0].Port)+"'", "0")
	key := c.keys(2)[1]
	run(t, conn, fmt.Sprintf("INSERT INTO users VALUES (%d, 'x')", key)) // the next statement knows the new table
	run(t, conn, "ALTER TABLE users ADD COLUMN age int DEFAULT 5")
	c.everywhere(t, columnsOfUsers, "id,name,age")
	wantValue(t, conn, "SELECT sum(age) FROM users", "5")
	run(t, conn, "CREATE INDEX users_name ON users (name)")
	c.everywhere(t, "SELECT count(*) FROM pg_class WHERE relname = 'users_name'", "1")
	run(t, conn, "CREATE INDEX CONCURRENTLY users_age ON users (age)")
	c.everywhere(t, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'users_age'::regclass", "true")
	run(t, conn, "DROP INDEX CONCURRENTLY users_age")
	c.everywhere(t, "SELECT count(*) FROM pg_class WHERE relname = 'users_age'", "0")
	_, err := conn.Exec(background, "ALTER TABLE users RENAME COLUMN name TO label") // extended protocol
	must(t, err)
	c.everywhere(t, columnsOfUsers, "id,label,age")
	run(t, conn, "TRUNCATE users")
	wantValue(t, conn, "SELECT count(*) FROM users", "0")
	run(t, conn, "DROP TABLE users, things, countries") // sharded, home and reference tables in one
	c.everywhere(t, "SELECT count(*) FROM pg_class WHERE relname IN ('users', 'things', 'countries')", "0")
	refused(t, conn, "SELECT count(*) FROM things", "42P01")
	run(t, conn, "CREATE TABLE users (id bigint PRIMARY KEY)")
	c.everywhere(t, columnsOfUsers, "id")
	c.nothingPrepared(t)
}

// nothingPrepared demands that no transaction waits for its second phase, and none is open.
func (c *cluster) nothingPrepared(t testing.TB) {
	t.Helper()
	waitFor(t, "every transaction to end", func() bool {
		for _, s := range c.servers {
			if pgtest.One[int64](t, s, "SELECT count(*) FROM pg_prepared_xacts") > 0 ||
				pgtest.One[int64](t, s, "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'") > 0 {
				return false
			}
		}
		return true
	})
}

func TestDefinitionThatFailsOnOneShardIsUndoneEverywhere(t *testing.T) {
	t.Parallel()
	for _, prepared := range []int{64, 0} {
		t.Run(fmt.Sprintf("max_prepared_transactions %d", prepared), func(t *testing.T) {
			t.Parallel()
			c := start(t, options{server: []pgtest.Option{pgtest.MaxPreparedTransactions(prepared)}, pool: backend.Config{Size: 1}})
			conn := c.connect()
			for i, s := range c.servers {
				s.Exec(t, fmt.Sprintf("ALTER TABLE users ADD COLUMN conflict%d int", i))
				refused(t, conn, fmt.Sprintf("ALTER TABLE users ADD COLUMN conflict%d text", i), "42701")
				_, err := conn.Exec(background, fmt.Sprintf("ALTER TABLE users ADD COLUMN conflict%d text", i))
				wantCode(t, err, "42701")
				s.Exec(t, fmt.Sprintf("ALTER TABLE users DROP COLUMN conflict%d", i))
				c.everywhere(t, columnsOfUsers, "id,name,age")
				wantStatus(t, conn, 'I')
			}
			s := c.servers[2]
			s.Exec(t, "INSERT INTO users VALUES (424242, 'x', NULL)")
			refused(t, conn, "ALTER TABLE users ALTER age SET NOT NULL", "23502")
			c.everywhere(t, "SELECT count(*) FROM pg_attribute WHERE attrelid = 'users'::regclass AND attname = 'age' AND attnotnull", "0")
			s.Exec(t, "DELETE FROM users")
			run(t, conn, "ALTER TABLE users ALTER age SET NOT NULL")
			c.everywhere(t, "SELECT count(*) FROM pg_attribute WHERE attrelid = 'users'::regclass AND attname = 'age' AND attnotnull", "1")
			c.nothingPrepared(t)
		})
	}
}

func TestStatementThatCannotBeUndoneSaysWhereItWasDone(t *testing.T) {
	t.Parallel()
	c := start(t, options{})
	conn := c.connect()
	c.servers[1].Exec(t, "CREATE INDEX taken ON users (age)")
	e := refused(t, conn, "CREATE INDEX CONCURRENTLY taken ON users (name)", "42P07")
	if !strings.Contains(e.Detail, `"s2"`) || !strings.Contains(e.Detail, "s1") || e.Hint == "" {
		t.Fatalf("detail %q, hint %q", e.Detail, e.Hint)
	}
	refused(t, conn, "BEGIN; CREATE INDEX CONCURRENTLY other ON users (name)", "25001")
	run(t, conn, "ROLLBACK")
	wantValue(t, conn, "SELECT count(*) FROM users", "0")
}

func TestDefinitionInABlockIsRefusedWithAHint(t *testing.T) {
	t.Parallel()
	c := start(t, options{})
	conn := c.connect()
	key := c.keys(2)[1]
	for _, sql := range []string{"ALTER TABLE users ADD COLUMN x int", "TRUNCATE users", "DROP TABLE users"} {
		run(t, conn, "BEGIN; "+insertUser(key))
		e := refused(t, conn, sql, "0A000")
		if e.Hint == "" || e.Detail == "" {
			t.Errorf("%s: detail %q, hint %q", sql, e.Detail, e.Hint)
		}
		wantStatus(t, conn, 'E')
		run(t, conn, "ROLLBACK")
		refused(t, conn, insertUser(key)+"; "+sql, "0A000")
		wantValue(t, conn, "SELECT count(*) FROM users", "0")
		f := c.frames()
		trace := f.ask(fmt.Sprintf("P . %s | B . . | E . | P . %s | B . . | E . | S", insertUser(key), sql))
		if strings.Count(trace, "E:0A000") != 1 || !strings.HasSuffix(trace, "Z:I") {
			t.Errorf("%s after a write in a pipeline: %s", sql, trace)
		}
		wantValue(t, conn, "SELECT count(*) FROM users", "0")
	}
	c.everywhere(t, columnsOfUsers, "id,name,age")
	run(t, conn, "BEGIN; CREATE TABLE things (x int); INSERT INTO things VALUES (1)") // a home table is one shard's affair
	run(t, conn, "ROLLBACK")
	refused(t, conn, "SELECT * FROM things", "42P01")
}

func TestReferenceTablesAreWrittenEverywhere(t *testing.T) {
	t.Parallel()
	c := start(t, options{pool: backend.Config{Size: 1}})
	conn := c.connect()
	results, err := conn.PgConn().Exec(background, "INSERT INTO countries VALUES ('de', 'Germany'), ('fr', 'France') RETURNING code, name").ReadAll()
	must(t, err)
	if got := fmt.Sprintf("%s %s", results[0].CommandTag, results[0].Rows); got != "INSERT 0 2 [[de Germany] [fr France]]" {
		t.Fatalf("got %s", got)
	}
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeCacheStatement, pgx.QueryExecModeDescribeExec, pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol} {
		var name string
		must(t, conn.QueryRow(background, "UPDATE countries SET name = name || $1 WHERE code = $2 RETURNING name", mode, "!", "de").Scan(&name))
		tag, err := conn.Exec(background, "UPDATE countries SET name = $1 WHERE code = $2", mode, name, "fr")
		must(t, err)
		if tag.RowsAffected() != 1 {
			t.Fatalf("%v: %s", mode, tag)
		}
		c.everywhere(t, "SELECT string_agg(name, ',' ORDER BY code) FROM countries", name+","+name)
	}
	f := c.frames()
	f.want("P q INSERT INTO countries VALUES ($1, $2) RETURNING code | DS q | B . q it,Italy | DP . | E . | S", "1 t:25,25 T:code/25/-1/1/0 2 T:code/25/-1/1/0 D:it C:INSERT_0_1 Z:I")
	f.want("B . q it,again | E . | S", "2 E:23505:duplicate_key_value_violates_unique_constraint_\"countries_pkey\":0 Z:I")
	c.servers[2].Exec(t, "DELETE FROM countries WHERE code = 'it'") // a copy that differs
	if got := f.ask("Q DELETE FROM countries WHERE code = 'it'"); !strings.HasPrefix(got, "E:XX000:the_copies") {
		t.Fatalf("got %s", got)
	}
	c.servers[2].Exec(t, "INSERT INTO countries VALUES ('it', 'Italy')")
	f.want("Q DELETE FROM countries WHERE code = 'it'", "C:DELETE_1 Z:I")
	c.everywhere(t, "SELECT count(*) FROM countries", "2")
	c.nothingPrepared(t)
}

func TestDefinitionsInATwoPhaseTransaction(t *testing.T) {
	t.Parallel()
	c := start(t, options{})
	conn := c.connect()
	keys := c.keys(3)
	const begin = "BEGIN; SET LOCAL pgring.cross_shard = '2pc'; "
	run(t, conn, "CREATE TABLE migrations (version int)")
	for _, end := range []string{"ROLLBACK", "COMMIT"} {
		run(t, conn, begin+insertUser(keys[0])+"; "+insertUser(keys[1]))
		run(t, conn, "ALTER TABLE users DROP COLUMN name; ALTER TABLE users ADD COLUMN mail text; CREATE INDEX ON users (mail)")
		run(t, conn, "TRUNCATE notes; INSERT INTO countries VALUES ('de', 'Germany')")
		run(t, conn, "INSERT INTO migrations VALUES (1)")
		run(t, conn, "SAVEPOINT s")
		for _, sql := range []string{"INSERT INTO users VALUES (7, 7, 'x')", "SELECT count(*) FROM users", "UPDATE users SET mail = 'x'", "SELECT * FROM nowhere"} {
			if e := refused(t, conn, sql, "0A000"); e.Detail == "" || e.Hint == "" { // the committed schema says nothing of it
				t.Errorf("%s: %+v", sql, e)
			}
			run(t, conn, "ROLLBACK TO s")
		}
		if tag := run(t, conn, end); tag != end {
			t.Fatalf("%s answered %s", end, tag)
		}
		c.nothingPrepared(t)
		if end == "ROLLBACK" {
			c.everywhere(t, columnsOfUsers, "id,name,age")
			c.everywhere(t, "SELECT count(*) FROM countries", "0")
			wantValue(t, conn, "SELECT count(*) FROM migrations", "0")
		}
	}
	c.everywhere(t, columnsOfUsers, "id,age,mail")
	c.everywhere(t, "SELECT count(*) FROM countries", "1")
	wantValue(t, conn, "SELECT count(*) FROM migrations", "1")
	run(t, conn, fmt.Sprintf("INSERT INTO users VALUES (%d, 3, 'c')", keys[2])) // planned with the new columns at once
	wantValue(t, conn, "SELECT count(mail) FROM users", "1")
	run(t, conn, begin+"CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1'")
	refused(t, conn, "SELECT one()", "0A000")
	run(t, conn, "ROLLBACK")
	run(t, conn, begin+"ALTER TABLE users ADD COLUMN x int")
	c.servers[2].Exec(t, "CREATE INDEX taken ON countries (name)")
	refused(t, conn, "CREATE INDEX taken ON countries (name)", "42P07")
	if tag := run(t, conn, "COMMIT"); tag != "ROLLBACK" {
		t.Fatalf("COMMIT of a failed transaction answered %s", tag)
	}
	c.everywhere(t, columnsOfUsers, "id,age,mail")
}
