package proxy_test

import (
	"fmt"
	"testing"

	"github.com/pgring/pgring/backend"
	"github.com/pgring/pgring/proxy"
	"github.com/pgring/pgring/router"
	"github.com/pgring/pgring/topology"
)

func TestPulledStatementsAnswerAsPostgres(t *testing.T) {
	t.Parallel()
	w := startTwin(t, options{pool: backend.Config{Size: 2}})
	sameAll(t, w, [][2]string{
		{"aggregates that cannot be added up", "Q SELECT avg(age), stddev(age), count(DISTINCT body), string_agg(name, ',' ORDER BY name) FROM users LEFT JOIN notes ON n = age"},
		{"groups over shards", "Q SELECT n, count(*), avg(user_id) FROM notes GROUP BY n HAVING count(*) > 1 ORDER BY n"},
		{"combined groups", "Q SELECT n % 2 AS odd, count(*), sum(n), avg(n), min(body), max(user_id * 2), bool_and(n > 1), count(body) FILTER (WHERE n > 2), avg(n * 2) FILTER (WHERE n < 0) FROM notes GROUP BY odd HAVING sum(n) > 1 ORDER BY avg(n) DESC, 1 LIMIT 5 | Q SELECT avg(age), sum(age * 2) + 1, count(*) * 2, min(name) FROM users WHERE age > 1 | Q SELECT avg(age), count(*), sum(age), max(age) FROM users WHERE age > 50 | Q SELECT body, count(*) FROM notes WHERE n > 50 GROUP BY body | Q SELECT DISTINCT count(*) FROM notes x GROUP BY x.n, lower(x.body) | Q SELECT lower(name) || '!' FROM users GROUP BY lower(name) ORDER BY 1 | Q SELECT 1 FROM users HAVING count(*) > 2"},
		{"combined, prepared", "P q SELECT n, avg(user_id), count(*) FROM notes WHERE body <> $1 AND n > $2 GROUP BY n HAVING count(*) > $3 ORDER BY n LIMIT $4 | DS q | B . q x,1,2,3 | DP . | E . | S | BB . q note_2,0,0,10 | E . | S | P r SELECT sum(n * 1000000000::bigint), avg(n::numeric / 3) FROM notes | DS r | BB . r | DP . | E . | S"},
		{"combined, failing", "Q SELECT avg(1/(age-2)) , count(*) FROM users | Q SELECT sum(age), 1/(count(*)-3) FROM users | Q SELECT age, sum(wrong) FROM users GROUP BY age | Q SELECT name, sum(age) FROM users | Q SELECT sum(name) FROM users"},
		{"combined inside", "Q COPY (SELECT n, avg(user_id) FROM notes GROUP BY n ORDER BY n) TO STDOUT | Q CREATE TEMP TABLE t AS SELECT n, avg(user_id) FROM notes GROUP BY n | Q SELECT * FROM t ORDER BY n | Q DROP TABLE t | Q BEGIN | Q UPDATE users SET age = 10 WHERE id = {b} | Q DECLARE c CURSOR FOR SELECT avg(age), count(*) FROM users | Q FETCH 1 FROM c | Q SELECT avg(age) FROM users | Q ROLLBACK"},
		{"grouping sets", "Q SELECT n, body, count(*) FROM notes GROUP BY ROLLUP (n, body) ORDER BY n, body NULLS FIRST"},
		{"order by a collation", "Q SELECT name FROM users ORDER BY name DESC | Q SELECT name FROM users ORDER BY lower(name) | Q SELECT min(name || 'x'), sum(age / 4.0::float8) FROM users | P q SELECT name FROM users WHERE age > $1 ORDER BY lower(name) DESC | DS q | B . q 1 | DP . | E . | E . | S | BB . q 0 | E . | S | Q BEGIN | Q SELECT name FROM users ORDER BY lower(name) | Q COMMIT | Q PREPARE l AS SELECT age FROM users ORDER BY upper(name) DESC | Q EXECUTE l"},
		{"windows", "Q SELECT name, sum(age) OVER (ORDER BY age), lag(name) OVER (ORDER BY age) FROM users ORDER BY age"},
		{"distinct", "Q SELECT DISTINCT n FROM notes ORDER BY n | Q SELECT DISTINCT ON (n) n, user_id FROM notes ORDER BY n, user_id"},
		{"set operations", "Q SELECT name FROM users UNION SELECT body FROM notes WHERE n = 1 ORDER BY 1 | Q SELECT n FROM notes INTERSECT SELECT age FROM users ORDER BY 1 | Q SELECT n FROM notes EXCEPT ALL SELECT age FROM users ORDER BY 1"},
		{"joins by other columns", "Q SELECT u.name, x.body FROM users u JOIN notes x ON x.n = u.age ORDER BY 1, 2 | Q SELECT u.name, o.name FROM users u FULL JOIN users o ON o.age = u.age + 1 ORDER BY 1, 2"},
		{"with a home table", "Q SELECT u.name, t.y FROM users u LEFT JOIN things t ON t.x = u.age ORDER BY u.age | Q SELECT y FROM things WHERE x IN (SELECT age FROM users) ORDER BY x"},
		{"with a reference table", "Q SELECT u.name, c.name FROM users u, countries c ORDER BY u.name"},
		{"subqueries", "Q SELECT name FROM users u WHERE age = (SELECT max(age) FROM users) | Q SELECT name FROM users u WHERE NOT EXISTS (SELECT * FROM notes WHERE n = u.age + 3) ORDER BY 1 | Q SELECT (SELECT count(*) FROM notes WHERE n < u.age) FROM users u ORDER BY age"},
		{"CTEs", "Q WITH x AS (SELECT * FROM notes WHERE n > 3) SELECT count(*), min(body) FROM x | Q WITH RECURSIVE r AS (SELECT age, 1 AS d FROM users WHERE age = 1 UNION ALL SELECT u.age, d + 1 FROM r JOIN users u ON u.age = r.age + 1) SELECT * FROM r ORDER BY d | Q WITH users AS (SELECT 7 AS age) SELECT avg(age) FROM users"},
		{"lateral", "Q SELECT u.name, l.body FROM users u, LATERAL (SELECT body FROM notes ORDER BY n = u.age DESC, user_id LIMIT 1) l ORDER BY 1"},
		{"groups by a primary key", "Q SELECT u.*, count(x.n), avg(x.n) FROM users u LEFT JOIN notes x ON x.n = u.age GROUP BY u.id ORDER BY u.name"},
		{"qualified names", "Q SELECT public.users.name, avg(notes.n) FROM public.users, notes GROUP BY public.users.name ORDER BY 1"},
		{"whole rows", "Q SELECT json_agg(u ORDER BY name) FROM (SELECT name, age FROM users) u | Q SELECT count(u), count(DISTINCT u.age) FROM users u | Q SELECT row_to_json(u) FROM users u ORDER BY u.name, 1::text"},
		{"ties", "Q SELECT n FROM notes ORDER BY n FETCH FIRST 4 ROWS WITH TIES"},
		{"system columns", "Q SELECT count(DISTINCT name), min(body) FROM users, notes"},
		{"types as they are planned", "Q SELECT CASE WHEN false THEN NULL ELSE name::varchar(9) END, avg(age)::numeric(8,2) FROM users GROUP BY 1 ORDER BY 1 | P q SELECT CASE WHEN $1 THEN NULL ELSE name::varchar(9) END AS c FROM users ORDER BY lower(name) | DS q | B . q false | DP . | E . | S"},
		{"leave nothing open", "Q BEGIN | Q SELECT u.name, t.y FROM users u LEFT JOIN things t ON t.x = u.age ORDER BY u.age | Q TRUNCATE things | Q ROLLBACK | P q SELECT avg(age), count(t) FROM users LEFT JOIN things t ON t.x = age | S | Q BEGIN | B . q | DP . | E . | S | Q TRUNCATE things | Q ROLLBACK | Q BEGIN | B . q | DP . | S | Q TRUNCATE things | Q ROLLBACK"},
		{"of no rows", "Q SELECT avg(age) FROM users WHERE age > 100 | Q SELECT name FROM users WHERE age > 100 ORDER BY name"},
		{"errors", "Q SELECT avg(1/(age-2)) FROM users | Q SELECT avg(wrong) FROM users | Q SELECT nothing(name), avg(age) FROM users GROUP BY 1 | Q BEGIN | Q SELECT id FROM users WHERE nothing(id) | Q ROLLBACK | Q SELECT avg(age) FROM users WHERE 1/(age-2) > 0 | Q SELECT avg(age) FROM users"},
		{"errors in a block", "Q BEGIN | Q SELECT avg(1/(age-2)) FROM users | Q SELECT 1 | Q ROLLBACK | Q BEGIN | Q SAVEPOINT s | Q SELECT avg(age) FROM users WHERE 1/(age-2) > 0 | Q ROLLBACK TO s | Q SELECT avg(age) FROM users | Q COMMIT"},
		{"sees the block's own writes", "Q BEGIN | Q UPDATE users SET age = 100 WHERE id = {b} | Q SELECT avg(age) FROM users | P q SELECT avg(age) FROM users | B . q | E . | S | Q SELECT avg(age) FROM users | Q ROLLBACK | Q SELECT avg(age) FROM users"},
		{"the block's writes last", "Q BEGIN | Q UPDATE users SET age = 100 WHERE id = {c} | Q SELECT avg(age) FROM users | Q COMMIT | Q SELECT avg(age) FROM users"},
		{"savepoints", "Q BEGIN | Q SELECT avg(age) FROM users | Q SAVEPOINT s | Q UPDATE users SET age = 50 WHERE id = {a} | Q SELECT avg(age) FROM users | Q ROLLBACK TO s | Q SELECT avg(age) FROM users | Q COMMIT"},
		{"isolation", "Q BEGIN ISOLATION LEVEL REPEATABLE READ | Q SELECT avg(age) FROM users | Q SELECT avg(n) FROM notes | Q COMMIT"},
		{"several in a message", "Q SELECT 1; SELECT avg(age) FROM users; SELECT avg(n) FROM notes; SELECT 2 | Q UPDATE users SET age = 7 WHERE id = {a}; SELECT avg(age) FROM users"},
		{"prepared", "P q SELECT avg(age) FROM users WHERE age > $1 | DS q | B . q 1 | DP . | E . | B . q 2 | E . | E . | S | B . q 0 | E . | S"},
		{"conditions with parameters", "P q SELECT avg(x.n), count(DISTINCT u.name) FROM users u JOIN notes x ON x.n = u.age WHERE u.age > $1 AND x.body <> $2 AND u.id = ANY($3) | DS q | B . q 0,y,{{{a},{b}}} | DP . | E . | S | B . q 1,z,{{{b},{c}}} | E . | S | P r SELECT avg(n) FROM notes WHERE n = $1 AND $2::text IS NOT NULL | B . r 2,now | E . | S | P s SELECT count(DISTINCT name) FROM users WHERE id = $1 OR age = $2 | B . s {a},3 | E . | S"},
		{"binary results", "P q SELECT avg(age), max(name) FROM users | BB . q | DP . | E . | S | BB . q | E . | S"},
		{"into tables", "Q CREATE TABLE made AS SELECT id, name, age * 2 AS twice FROM users | Q SELECT * FROM made ORDER BY name | Q SELECT * INTO made2 FROM notes WHERE user_id = {b} | Q SELECT count(*), sum(n) FROM made2 | Q INSERT INTO made VALUES (1, 'x', 1) | Q DROP TABLE made, made2 | Q CREATE TEMP TABLE IF NOT EXISTS t (m, c) AS SELECT n, count(*) FROM notes GROUP BY n WITH DATA | Q SELECT * FROM t ORDER BY m | Q SELECT avg(m) FROM t JOIN users ON age = m | Q DROP TABLE t | Q CREATE TABLE none AS SELECT avg(age) AS a FROM users WITH NO DATA | Q SELECT * FROM none | Q DROP TABLE none"},
		{"into tables, undone", "Q BEGIN | Q CREATE TABLE made AS SELECT name FROM users | Q SELECT count(*) FROM made | Q ROLLBACK | Q SELECT count(*) FROM made | Q CREATE TABLE made AS SELECT 1/(age-2) FROM users | Q CREATE TABLE made AS SELECT wrong FROM users | Q SELECT 1 FROM made"},
		{"into tables, extended", "P . CREATE TABLE made AS SELECT name FROM users WHERE age > $1 | DS . | B . . 1 | DP . | E . | S | Q SELECT * FROM made ORDER BY 1 | Q DROP TABLE made"},
		{"in a pipeline", "P q SELECT avg(age) FROM users | P s SELECT name FROM users WHERE id = $1 | P u UPDATE users SET age = 9 WHERE id = $1 | B . s {a} | E . | B . q | E . | B . s {c} | E . | B . u {a} | E . | B . q | E . | S | Q SELECT avg(age) FROM users"},
		{"errors in a pipeline", "P q SELECT avg(1/(age-2)) FROM users | P s SELECT name FROM users WHERE id = $1 | B . s {a} | E . | B . q | E . | B . s {c} | E . | S | B . s {c} | E . | S | P r SELECT avg(age) FROM users WHERE 1/(age-2) > 0 | B . r | E . | S | B . s {b} | E . | S"},
		{"EXECUTE", "Q PREPARE q (int) AS SELECT avg(age) FROM users WHERE age > $1 | Q EXECUTE q (1) | Q BEGIN | Q EXECUTE q (2) | Q COMMIT | Q EXECUTE q (0)"},
		{"settings", "Q SET timezone = 'Asia/Tokyo' | Q SELECT count(DISTINCT age), '2024-01-01 00:00+00'::timestamptz FROM users | Q SET extra_float_digits = 0 | Q SELECT avg(age / 3.0::float8) FROM users"},
	})
}

// TestHiddenWriteBesideAPullIsFoundAtCommit: the temporary table must not hide a write that the router does not see.
func TestHiddenWriteBesideAPullIsFoundAtCommit(t *testing.T) {
	t.Parallel()
	w := startTwin(t, options{})
	w.reset(t)
	for _, s := range w.servers {
		s.Exec(t, "CREATE FUNCTION mark(int, int) RETURNS int LANGUAGE plpgsql AS 'BEGIN UPDATE countries SET name = ''x''; RETURN 1; END';"+
			"CREATE OPERATOR ### (FUNCTION = mark, LEFTARG = int, RIGHTARG = int)")
	}
	conn := w.connect()
	found := 0
	for _, key := range w.keys3 {
		run(t, conn, "BEGIN")
		run(t, conn, fmt.Sprintf("UPDATE users SET age = 50 WHERE id = %d", key))
		wantValue(t, conn, "SELECT 1 ### 1 + count(DISTINCT age)::int FROM users", "1")
		_, err := conn.Exec(background, "COMMIT")
		if err == nil {
			continue // the final shard is the one that the block has written
		}
		wantCode(t, err, "0A000")
		found++
	}
	if found != 2 {
		t.Fatalf("%d of 2 hidden writes were found", found)
	}
}

func TestPullsAreLimitedAndShown(t *testing.T) {
	t.Parallel()
	w := startTwin(t, options{})
	w.reset(t)
	conn := w.connect()
	for _, p := range []func(p *proxy.Policy){func(p *proxy.Policy) { p.PullRows = 5 }, func(p *proxy.Policy) { p.PullBytes = 200 }} {
		w.apply(p)
		wantValue(t, conn, "SELECT count(DISTINCT age) FROM users", "3")
		for _, begin := range []string{"", "BEGIN"} {
			run(t, conn, begin)
			e := refused(t, conn, "SELECT count(DISTINCT body) FROM notes", "54000")
			if e.Hint == "" {
				t.Error("no hint")
			}
			_, err := conn.Exec(background, "SELECT count(DISTINCT body) FROM notes WHERE n > $1", 0)
			wantCode(t, err, map[string]string{"": "54000", "BEGIN": "25P02"}[begin])
			if begin != "" {
				run(t, conn, "ROLLBACK")
			}
		}
		wantValue(t, conn, "SELECT count(DISTINCT age) FROM users", "3")
		w.apply(func(p *proxy.Policy) { p.PullRows, p.PullBytes = 0, 0 })
	}
	other := w.connect()
	done := make(chan error, 1)
	go func() {
		_, err := other.Exec(background, "SELECT count(DISTINCT n), max(pg_sleep(60)::text) FROM notes")
		done <- err
	}()
	waitFor(t, "the rows copied", func() bool {
		for _, client := range w.server.Clients() {
			if client.Kind == router.Pull && client.State == "active" && client.CopiedRows == 10 && client.CopiedBytes > 100 {
				return w.server.Kill(background, client.ID)
			}
		}
		return false
	})
	if err := <-done; err == nil {
		t.Error("the client that was ended has its answer")
	}
	wantValue(t, conn, "SELECT count(DISTINCT age) FROM users", "3")
}

// TestPulledColumnsKeepTheirTypes: enums, arrays of them, composites and domains have OIDs that differ between servers.
func TestPulledColumnsKeepTheirTypes(t *testing.T) {
	t.Parallel()
	const types = "CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy'); CREATE TYPE pair AS (a int, m mood); CREATE DOMAIN small AS int CHECK (VALUE < 100); CREATE DOMAIN filled AS date NOT NULL;" +
		"CREATE TABLE kept (k bigint PRIMARY KEY, m mood, ms mood[], p pair, d small, ds small[], j jsonb, r int4range, t timestamptz(3), c char(5), v varchar(9) COLLATE \"C\"," +
		" i interval, f float8, n numeric(9,3), b bytea, g int GENERATED ALWAYS AS (d * 2) STORED, a aclitem, nr int[][], q filled)"
	// Some servers have a type more, so that the OIDs differ.
	const uneven = "DO $$BEGIN IF current_setting('port')::int % 2 = 0 THEN CREATE TYPE uneven AS ENUM ('x'); END IF; END$$;"
	w := startTwin(t, options{setup: uneven + types,
		tables: []topology.TableWish{{Name: topology.Name{Schema: "public", Table: "kept"}, Kind: topology.Sharded, Key: []string{"k"}}}})
	w.plain.Exec(t, types)
	console := w.connect()
	plain := w.direct[len(w.direct)-1]
	for k := range 12 {
		row := fmt.Sprintf("INSERT INTO kept VALUES (%[1]d, (ARRAY['sad','ok','happy',NULL])[%[1]d %% 4 + 1]::mood, ARRAY['happy','sad']::mood[], (%[1]d, 'ok'), %[1]d,"+
			" ARRAY[%[1]d, NULL]::small[], '{\"a\": %[1]d}', '[0,%[1]d]', '2024-01-01 00:00+00', 'c%[1]d', E'v\\t\\\\%[1]d', '%[1]d hours', %[1]d / 3.0::float8, %[1]d / 7.0, '\\x00ff0a', DEFAULT,"+
			" 'postgres=r/postgres', '{{1,2},{3,%[1]d}}', ('2024-02-0' || %[1]d / 2 + 1)::date)", k)
		run(t, plain, row)
		run(t, console, row)
	}
	for _, settings := range []string{"", "SET datestyle = 'SQL, DMY'; SET extra_float_digits = -3; SET bytea_output = 'escape'; SET intervalstyle = 'sql_standard'"} {
		run(t, plain, settings)
		run(t, console, settings)
		for _, sql := range []string{
			"SELECT * FROM kept ORDER BY m DESC NULLS LAST, ms, p, k",
			"SELECT m, count(*), max(d), array_agg(k ORDER BY f), min(t), sum(n), sum(i), string_agg(c, '|' ORDER BY v) FROM kept GROUP BY m ORDER BY m",
			"SELECT x.k, y.p, (y.p).m FROM kept x JOIN kept y ON x.d = y.k + 1 AND x.ms = y.ms ORDER BY x.k::text",
			"SELECT x.k, x.q, y.q FROM kept x JOIN kept y ON x.q = y.q WHERE x.d > 3 ORDER BY x.k::text, y.k",
			"SELECT row_to_json(x) FROM kept x ORDER BY x.k::text",
			"SELECT pg_typeof(m), pg_typeof(ds), pg_typeof(p), pg_typeof(d), pg_typeof(c), count(DISTINCT v) FROM kept GROUP BY m, ds, p, d, c ORDER BY p, m",
		} {
			want, wantErr := rowsOf(plain, sql, true)
			got, gotErr := rowsOf(console, sql, true)
			if wantErr != nil || gotErr != nil || got != want {
				t.Errorf("%s\n      pgring %s %v\n  PostgreSQL %s %v", sql, got, gotErr, want, wantErr)
			}
		}
	}
}

// TestPullsInReadOnlyTransactionsAnswerAsPostgres: no table can be made there.
func TestPullsInReadOnlyTransactionsAnswerAsPostgres(t *testing.T) {
	t.Parallel()
	w := startTwin(t, options{})
	const types = "WITH odd AS (SELECT id, name::char(9) AS c, (age || ' days')::interval(3) AS i, '\\x0027'::bytea AS b, ARRAY[name, 'a''\\\"b', NULL] AS a, jsonb_build_object('k', age) AS j, age::numeric(9,3) / 7 AS d FROM users)"
	sameAll(t, w, [][2]string{
		{"in a block", "Q BEGIN READ ONLY | Q SELECT avg(age), count(DISTINCT name) FROM users | Q SELECT n, count(*), avg(user_id) FROM notes GROUP BY n ORDER BY n | Q SELECT u.name, x.body, t.y FROM users u JOIN notes x ON x.n = u.age LEFT JOIN things t ON t.x = x.n ORDER BY 1, 2 | Q SELECT count(*) FROM users a, users b WHERE a.age < b.age | Q COMMIT"},
		{"repeatable read", "Q BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY | Q SELECT avg(age) FROM users | Q SELECT name FROM users ORDER BY lower(name) DESC | Q COMMIT"},
		{"extended", "Q BEGIN READ ONLY | P q SELECT avg(age), max(name) FROM users WHERE age > $1 | DS q | B . q 1 | DP . | E . | S | BB . q 2 | E . | S | P r SELECT n, avg(user_id) FROM notes GROUP BY n ORDER BY n | B . r | E . | E . | S | Q COMMIT"},
		{"row limits and cursors", "Q BEGIN READ ONLY | P q SELECT name FROM users ORDER BY lower(name) | B c q | E c 1 | E c 1 | E c | S | Q DECLARE d CURSOR FOR SELECT avg(age) FROM users | Q FETCH ALL FROM d | Q COPY (SELECT name FROM users ORDER BY lower(name)) TO STDOUT | Q COMMIT"},
		{"made read only on the way", "Q BEGIN | Q SELECT avg(age) FROM users | Q SET TRANSACTION READ ONLY | Q SELECT avg(age) FROM users | Q UPDATE users SET age = 1 WHERE id = {a} | Q ROLLBACK"},
		{"of no rows", "Q BEGIN READ ONLY | Q SELECT avg(age), count(*) FROM users WHERE age > 100 | Q SELECT lower(name) FROM users WHERE age > 100 ORDER BY 1 | Q SELECT EXISTS (SELECT FROM notes x WHERE x.n = (SELECT max(age) FROM users)) | Q COMMIT"},
		{"errors", "Q BEGIN READ ONLY | Q SAVEPOINT s | Q SELECT avg(1/(age-2)) FROM users | Q ROLLBACK TO s | Q SELECT avg(wrong) FROM users | Q ROLLBACK TO s | Q CREATE TEMP TABLE made AS SELECT avg(age) FROM users | Q ROLLBACK TO s | Q SELECT avg(age) FROM users | Q COMMIT"},
		{"many types", "Q BEGIN READ ONLY | Q " + types + " SELECT x.c || '.', x.i, x.b, x.a, x.j, x.d, o.c FROM odd x, odd o WHERE o.id <> x.id ORDER BY x.id, o.id | Q COMMIT"},
		{"by default", "Q SET default_transaction_read_only = on | Q SELECT avg(age) FROM users | Q BEGIN | Q SELECT avg(age) FROM users | Q COMMIT"},
	})
	w.reset(t)
	conn := w.connect()
	run(t, conn, "ALTER TABLE notes ADD COLUMN f float8, ADD COLUMN d date")
	for column, setting := range map[string]string{"f": "extra_float_digits = 0", "d": "DateStyle = 'SQL, DMY'"} {
		run(t, conn, "BEGIN READ ONLY")
		wantValue(t, conn, "SELECT count(DISTINCT "+column+") FROM notes", "0")
		run(t, conn, "SET LOCAL "+setting)
		refused(t, conn, "SELECT count(DISTINCT "+column+") FROM notes", "0A000") // as text it may be another value
		run(t, conn, "ROLLBACK")
	}
	w.apply(func(p *proxy.Policy) { p.MessageLimit = 20_000 })
	for _, key := range w.keys3 {
		run(t, conn, fmt.Sprintf("INSERT INTO notes SELECT %d, n, repeat('x', 200) || n FROM generate_series(100, 200) n", key))
	}
	wantValue(t, conn, "SELECT count(DISTINCT user_id) FROM notes", "3")
	run(t, conn, "BEGIN READ ONLY")
	if e := refused(t, conn, "SELECT count(DISTINCT body) FROM notes", "54000"); e.Hint == "" {
		t.Error("no hint")
	}
	run(t, conn, "ROLLBACK")
	wantValue(t, conn, "SELECT count(DISTINCT user_id) FROM notes", "3")
}

// TestPullsObeyPoliciesAndPrivileges: rows are read with the rights of the client's role on every shard.
func TestPullsObeyPoliciesAndPrivileges(t *testing.T) {
	t.Parallel()
	w := startTwin(t, options{})
	const policies = "CREATE ROLE alice; GRANT SELECT ON users, notes TO alice; GRANT CREATE ON SCHEMA public TO alice; ALTER TABLE users ENABLE ROW LEVEL SECURITY;" +
		"CREATE POLICY mine ON users USING (age > 1 AND current_user = 'alice')"
	for _, s := range append(w.servers, w.plain) {
		s.Exec(t, policies)
	}
	sameAll(t, w, [][2]string{
		{"policies", "Q SET ROLE alice | Q SELECT count(DISTINCT name), avg(age) FROM users | Q SELECT u.name, x.body FROM users u RIGHT JOIN notes x ON x.n = u.age ORDER BY x.user_id, x.n | Q SELECT age, count(*) FROM users GROUP BY age ORDER BY age | Q COPY (SELECT name FROM users ORDER BY name) TO STDOUT | Q BEGIN | Q DECLARE c CURSOR FOR SELECT name || '' FROM users ORDER BY name | Q FETCH ALL FROM c | Q COMMIT | Q CREATE TEMP TABLE t AS SELECT name FROM users | Q SELECT name FROM t ORDER BY name | Q DROP TABLE t"},
		{"privileges", "Q SET ROLE alice | Q SELECT count(DISTINCT c.name), avg(age) FROM users, countries c | Q SELECT avg(age) FROM users | Q UPDATE users SET age = 5"},
	})
	for _, s := range w.servers {
		s.Exec(t, "REVOKE TEMPORARY ON DATABASE postgres FROM PUBLIC")
	}
	w.reset(t)
	conn := w.connect()
	run(t, conn, "SET ROLE alice")
	for _, sql := range []string{"SELECT count(DISTINCT age) FROM users", "SELECT age, avg(age) FROM users GROUP BY age"} {
		if e := refused(t, conn, sql, "42501"); e.Hint == "" || e.Detail == "" {
			t.Errorf("%s: %+v", sql, e)
		}
	}
	wantValue(t, conn, "SELECT sum(age) FROM users", "5")
	run(t, conn, "RESET ROLE")
	wantValue(t, conn, "SELECT count(DISTINCT age) FROM users", "3")
}
