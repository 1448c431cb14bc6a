package proxy_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgring/pgring/backend"
	"github.com/pgring/pgring/internal/pgtest"
	"github.com/pgring/pgring/proxy"
)

func TestGatheredStatementsAnswerAsPostgres(t *testing.T) {
	t.Parallel()
	w := startTwin(t, options{pool: backend.Config{Size: 2}, locale: "C"})
	sameAll(t, w, [][2]string{
		{"counts and sums", "Q SELECT count(*), sum(n), min(n), max(n), count(body) FROM notes"},
		{"of no rows", "Q SELECT count(*), sum(age), max(age) FROM users WHERE age > 1000 | Q SELECT id FROM users WHERE age > 1000"},
		{"in order", "Q SELECT name FROM users ORDER BY age DESC | Q SELECT name FROM users ORDER BY name LIMIT 2 | Q SELECT age FROM users ORDER BY name OFFSET 1"},
		{"order by what is not shown", "Q SELECT body FROM notes ORDER BY n DESC, user_id LIMIT 4 OFFSET 2"},
		{"prepared with a limit", "P q SELECT name FROM users ORDER BY id LIMIT $1 OFFSET $2 | DS q | B . q 2,1 | DP . | E . | B . q 1,0 | E . | B . q NULL,NULL | E . | S"},
		{"prepared with a wrong limit", "P q SELECT name FROM users ORDER BY id LIMIT $1 | B . q x | E . | S | B . q -1 | E . | S | B . q 0 | E . | S"},
		{"prepared with values", "P q SELECT count(*), sum(age) FROM users WHERE age > $1 AND name < $2 | DS q | B . q 1,z | DP . | E . | S | B . q 1,b | E . | S"},
		{"binary results", "P q SELECT count(*), sum(n), max(user_id) FROM notes | BB . q | DP . | E . | S | P r SELECT id, age FROM users ORDER BY age DESC LIMIT 2 | BB . r | DP . | E . | S"},
		{"described before Bind", "P q SELECT name, age, id FROM users ORDER BY age + 1 | DS q | S | P h SELECT body FROM notes ORDER BY n, user_id LIMIT 1 | DS h | B . h | DP . | E . | S"},
		{"error on one shard", "Q SELECT sum(1/(age-2)) FROM users | Q SELECT count(*) FROM users | P q SELECT sum(1/(age-2)) FROM users | B . q | E . | S | Q SELECT 5"},
		{"error in a block", "Q BEGIN | Q SELECT sum(1/(age-2)) FROM users | Q SELECT 1 | Q ROLLBACK | Q SELECT count(*) FROM users"},
		{"error in a block, back to a savepoint", "Q BEGIN | Q SAVEPOINT s | P q SELECT sum(1/(age-2)) FROM users | B . q | E . | S | Q ROLLBACK TO s | Q SELECT count(*) FROM users | Q COMMIT"},
		{"unknown column", "Q SELECT wrong FROM users ORDER BY 1 | P q SELECT wrong FROM users | B . q | E . | S | Q SELECT 1"},
		{"sees the block's own writes", "Q BEGIN | Q UPDATE users SET age = 100 WHERE id = {b} | Q SELECT sum(age) FROM users | P q SELECT max(age) FROM users | B . q | E . | S | Q ROLLBACK | Q SELECT sum(age) FROM users"},
		{"repeatable read, looked at before it runs", "P b BEGIN ISOLATION LEVEL REPEATABLE READ | B . b | E . | S | P . SELECT count(*), sum(age) FROM users | B . . | DP . | E . | S | Q COMMIT"},
		{"repeatable read", "Q BEGIN ISOLATION LEVEL REPEATABLE READ | Q SELECT sum(age) FROM users | Q SELECT count(*) FROM users | Q COMMIT"},
		{"between other statements", "Q SELECT 1; SELECT count(*) FROM users; SELECT 2 | P g SELECT count(*) FROM users | P s SELECT name FROM users WHERE id = $1 | B . s {a} | E . | B . g | E . | B . s {c} | E . | B . g | E . | S"},
		{"keys of two shards", "Q SELECT name FROM users WHERE id IN ({a}, {c}) ORDER BY name | P q SELECT name FROM users WHERE id IN ($1, $2) ORDER BY name | B . q {b},{c} | E . | B . q {b},{b} | E . | S"},
		{"key list in an array", "P q SELECT name FROM users WHERE id = ANY($1) ORDER BY name | B . q {{{a}}} | E . | S"},
		{"EXPLAIN of nothing is refused the same", "Q SELECT 1 FROM"},
		{"NULLs", "Q UPDATE users SET name = NULL, age = NULL WHERE id = {b} | Q SELECT age FROM users ORDER BY age | Q SELECT age FROM users ORDER BY age DESC | Q SELECT age FROM users ORDER BY age NULLS FIRST | Q SELECT count(age), sum(age), min(age) FROM users"},
		{"large rows", "Q SELECT repeat(name, 30000) FROM users ORDER BY age"},
	})
}

// TestRandomGathersGiveTheRowsOfOneServer compares rows, in their order where it is fixed.
func TestRandomGathersGiveTheRowsOfOneServer(t *testing.T) {
	t.Parallel()
	w := startTwin(t, options{pool: backend.Config{Size: 1}, locale: "C"})
	seed := rand.Uint64()
	t.Log("seed", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	w.reset(t)
	through, plain := w.connect(), w.direct[len(w.direct)-1]
	for id := int64(1000); id < 1200; id++ { // one of the shards may well get none of the first
		row := fmt.Sprintf("INSERT INTO users VALUES (%d, %s, %s)", id, orNull(r, "'%c'", 'a'+r.IntN(5)), orNull(r, "%d", r.IntN(10)))
		run(t, plain, row)
		run(t, through, row)
	}
	for range 150 {
		sql, ordered := randomGather(r)
		want, wantErr := rowsOf(plain, sql, ordered)
		got, gotErr := rowsOf(through, sql, ordered)
		if (wantErr == nil) != (gotErr == nil) || got != want {
			t.Errorf("%s\n      pgring %s %v\n  PostgreSQL %s %v", sql, got, gotErr, want, wantErr)
		}
	}
}

func orNull(r *rand.Rand, format string, value any) string {
	if r.IntN(4) == 0 {
		return "NULL"
	}
	return fmt.Sprintf(format, value)
}

// randomGather returns a statement, and whether its rows have one order.
func randomGather(r *rand.Rand) (sql string, ordered bool) {
	where := ""
	switch r.IntN(4) {
	case 0:
		where = fmt.Sprintf(" WHERE age >= %d", r.IntN(12))
	case 1:
		where = fmt.Sprintf(" WHERE id BETWEEN %d AND %d", 1000+r.IntN(200), 1000+r.IntN(200))
	}
	if r.IntN(3) == 0 {
		return "SELECT count(*), count(name), sum(age), min(age), max(age), min(id), bool_and(age > 2), bool_or(age > 8) FROM users" + where, true
	}
	var keys []string
	for _, column := range []string{"age", "name"} {
		if r.IntN(2) == 0 {
			keys = append(keys, column+[]string{"", " DESC", " NULLS FIRST", " DESC NULLS LAST"}[r.IntN(4)])
		}
	}
	keys = append(keys, "id"+[]string{"", " DESC"}[r.IntN(2)])
	sql = "SELECT " + []string{"id", "name, id", "id, age, name", "*", "age"}[r.IntN(5)] + " FROM users" + where
	if r.IntN(5) == 0 {
		return sql, false
	}
	sql += " ORDER BY " + strings.Join(keys, ", ")
	if r.IntN(2) == 0 {
		sql += fmt.Sprintf(" LIMIT %d", r.IntN(30))
	}
	if r.IntN(2) == 0 {
		sql += fmt.Sprintf(" OFFSET %d", r.IntN(30))
	}
	return sql, true
}

func rowsOf(conn *pgx.Conn, sql string, ordered bool) (string, error) {
	results, err := conn.PgConn().Exec(background, sql).ReadAll()
	if err != nil {
		return "", err
	}
	var rows []string
	for _, row := range results[0].Rows {
		rows = append(rows, strings.Join(cells(row), ","))
	}
	if !ordered {
		slices.Sort(rows)
	}
	return results[0].CommandTag.String() + ": " + strings.Join(rows, " "), nil
}

// TestAnErrorOnOneShardStopsTheOthers has one shard fail at once while the others would take for ever.
func TestAnErrorOnOneShardStopsTheOthers(t *testing.T) {
	t.Parallel()
	w := startTwin(t, options{pool: backend.Config{Size: 1}})
	w.reset(t)
	conn := w.connect()
	const slow = "SELECT count(*) FROM users WHERE CASE WHEN age = 2 THEN 1/(age-2) ELSE 0 END = 0 AND (age = 2 OR pg_sleep(8) IS NOT NULL)"
	for _, begin := range []string{"", "BEGIN"} {
		run(t, conn, begin)
		from := time.Now()
		refused(t, conn, slow, "22012")
		if waited := time.Since(from); waited > 5*time.Second {
			t.Errorf("the error was told after %v", waited)
		}
		if begin != "" {
			wantStatus(t, conn, 'E')
			run(t, conn, "ROLLBACK")
		}
		wantValue(t, conn, "SELECT count(*) FROM users", "3")
		_, err := conn.Exec(background, slow+" AND age < $1", 10)
		wantCode(t, err, "22012")
		wantValue(t, conn, "SELECT sum(age) FROM users", "6")
	}
	for _, s := range w.servers {
		s.Exec(t, "DO $$BEGIN ASSERT NOT EXISTS (SELECT FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'SELECT count(*) FROM users WHERE CASE%'); END$$")
	}
}

// TestAnErrorAfterTheLimitIsReachedIsNotHidden: what ReadyForQuery says of the block must fit what the client was told.
func TestAnErrorAfterTheLimitIsReachedIsNotHidden(t *testing.T) {
	t.Parallel()
	w := startTwin(t, options{})
	w.reset(t)
	for i := range w.keys3 {
		for _, script := range []string{"Q SELECT 1/(age-%d) FROM users LIMIT 1", "P . SELECT 1/(age-%d) FROM users LIMIT 1 | B . . | E . | S"} {
			f := w.frames()
			f.want("Q BEGIN", "C:BEGIN Z:T")
			trace := f.ask(fmt.Sprintf(script, i+1))
			if failed := strings.Contains(trace, "E:22012"); failed != strings.HasSuffix(trace, "Z:E") {
				t.Errorf("the client is told %s", trace)
			}
			next := f.ask("Q SELECT count(*) FROM users")
			if failed := strings.Contains(next, "E:25P02"); failed != strings.HasSuffix(trace, "Z:E") {
				t.Errorf("after %s the block answers %s", trace, next)
			}
		}
	}
}

func TestScatteredReadsMayBeRefused(t *testing.T) {
	t.Parallel()
	w := startTwin(t, options{policy: proxy.Policy{RefuseScatter: true}})
	w.reset(t)
	conn := w.connect()
	e := refused(t, conn, "SELECT count(*) FROM users", "0A000")
	if e.Hint == "" {
		t.Fatal("no hint")
	}
	_, err := conn.Exec(background, "SELECT count(*) FROM users WHERE age < $1", 5)
	wantCode(t, err, "0A000")
	wantValue(t, conn, w.keyed("SELECT count(*) FROM users WHERE id = {b}"), "1")
	wantValue(t, conn, "SELECT count(*) FROM countries", "1")
}

func TestGatherWithBinaryValuesOfADriver(t *testing.T) {
	t.Parallel()
	w := startTwin(t, options{locale: "C"})
	w.reset(t)
	conn := w.connect()
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeCacheStatement, pgx.QueryExecModeDescribeExec, pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol} {
		rows, err := conn.Query(background, "SELECT id, name, age FROM users WHERE age <> $1 ORDER BY age DESC LIMIT 5", mode, int32(2))
		if err != nil {
			t.Fatalf("%v: %v", mode, errorDetail(err))
		}
		type user struct {
			ID   int64
			Name string
			Age  int32
		}
		users, err := pgx.CollectRows(rows, pgx.RowToStructByPos[user])
		if err != nil {
			t.Fatalf("%v: %v", mode, errorDetail(err))
		}
		names, err := conn.Query(background, "SELECT id, name FROM users WHERE age > $1 ORDER BY age DESC, name", mode, int32(0)) // age is a hidden column
		must(t, err)
		pairs, err := pgx.CollectRows(names, pgx.RowToMap)
		if err != nil || len(pairs) != 3 || pairs[0]["name"] != "cid" || len(pairs[0]) != 2 {
			t.Fatalf("%v: got %v, %v", mode, pairs, err)
		}
		if want := []user{{w.keys3[2], "cid", 3}, {w.keys3[0], "ann", 1}}; fmt.Sprint(users) != fmt.Sprint(want) {
			t.Fatalf("%v: got %v, want %v", mode, users, want)
		}
	}
}

// TestGatherStreamsWithLittleMemory reads rows of four shards in order, PGRING_GATHER_ROWS of them or 80,000. As long as the client
// reads nothing, the shards cannot write.
func TestGatherStreamsWithLittleMemory(t *testing.T) {
	total := 80_000
	if text := os.Getenv("PGRING_GATHER_ROWS"); text != "" {
		var err error
		total, err = strconv.Atoi(text)
		must(t, err)
	}
	c := start(t, options{shards: 4})
	for i, s := range c.servers {
		s.Exec(t, fmt.Sprintf("INSERT INTO notes SELECT %d, n, repeat('x', 1000) FROM generate_series(1, %d) n", c.keys(4)[i], total/4))
	}
	conn := c.connect()
	peak := watchMemory(t)
	rows := conn.PgConn().Exec(background, "SELECT n, body FROM notes ORDER BY n, user_id")
	for _, s := range c.servers {
		waitFor(t, "the shard to wait for its reader", func() bool {
			return pgtest.One[bool](t, s, "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'ClientWrite' AND query LIKE 'SELECT n, body%')")
		})
	}
	n := 0
	for rows.NextResult() {
		for result := rows.ResultReader(); result.NextRow(); n++ {
			if got, want := string(result.Values()[0]), fmt.Sprint(n/4+1); got != want {
				t.Fatalf("row %d has n = %s, want %s", n, got, want)
			}
		}
	}
	must(t, rows.Close())
	if n != total {
		t.Fatalf("%d rows", n)
	}
	grown := peak()
	t.Logf("%d rows: the heap grew by %d KiB", n, grown>>10)
	if grown > 20<<20 {
		t.Fatalf("the heap grew by %d MiB", grown>>20)
	}
}

func errorDetail(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Error() + " DETAIL: " + e.Detail + " HINT: " + e.Hint
	}
	return err.Error()
}
