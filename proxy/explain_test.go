package proxy_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
)

func TestExplainOverShards(t *testing.T) {
	t.Parallel()
	c := start(t, options{})
	conn := c.connect()
	keys := c.keys(3)
	for _, id := range keys {
		run(t, conn, insertUser(id))
	}
	explain := func(sql string, args ...any) string {
		t.Helper()
		rows, err := conn.Query(background, sql, args...)
		must(t, err)
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		must(t, err)
		if tag := rows.CommandTag().String(); tag != "EXPLAIN" {
			t.Errorf("%s: tag %q", sql, tag)
		}
		return strings.Join(lines, "\n")
	}
	for _, test := range []struct {
		name, sql string
		args      []any
		want      []string
	}{
		{"gather", "EXPLAIN (COSTS off) SELECT name FROM users WHERE age > $1 ORDER BY id LIMIT 2", []any{1},
			[]string{"Gather on 3 shards\n", "\n  Sent: SELECT ", "\n  ->  Shard s1\n        ->  Limit\n", "Filter: (age > 1)", "\n  ->  Shard s3\n        ->  Limit\n"}},
		{"some keys", "EXPLAIN VERBOSE SELECT name FROM users WHERE id = ANY($1)", []any{keys[:2]}, []string{"Gather on 2 shards\n", "Output: name"}},
		{"combine", "EXPLAIN (COSTS off, VERBOSE on) SELECT age, avg(id) FROM users GROUP BY age", nil,
			[]string{"Combine on ", "\n        ->  HashAggregate\n", " answers\n        Sent: SELECT "}},
		{"pull", "EXPLAIN SELECT count(DISTINCT age) FROM users", nil, []string{"Pull on ", "Reason: users has no key condition: all 3 owners; rows are copied to "}},
		{"rows", "EXPLAIN INSERT INTO users VALUES ($1, 'x', 1), ($2, 'y', 2)", []any{keys[0], keys[1]}, []string{"Split on 2 shards\n", "Sent: INSERT INTO users VALUES ("}},
		{"update", "EXPLAIN ( costs OFF ) UPDATE users SET age = 0", nil, []string{"Split on 3 shards\n", "  Sent: UPDATE users SET age = 0\n", "        ->  Update on users\n"}},
		{"stages", "EXPLAIN INSERT INTO users SELECT n + 100, body, n FROM notes", nil, []string{"Staged\n", "  ->  Step 1\n        Sent: SELECT n + 100"}},
		{"executed", "EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) SELECT id FROM users ORDER BY id", nil, []string{"(actual rows=1 loops=1)"}},
		{"in parentheses", "EXPLAIN (SELECT age FROM users)", nil, []string{"Gather on 3 shards\n", "  Sent: (SELECT age FROM users)\n"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := explain(test.sql, test.args...)
			for _, want := range test.want {
				if !strings.Contains(got, want) {
					t.Errorf("%s says\n%s\nwithout %q", test.sql, got, want)
				}
			}
		})
	}
	run(t, conn, "BEGIN")
	if inside, outside := explain("EXPLAIN SELECT max(age) FROM users"), explain("EXPLAIN SELECT max(age) FROM users", pgx.QueryExecModeSimpleProtocol); inside != outside {
		t.Errorf("by the extended protocol\n%s\nby the simple\n%s", inside, outside)
	}
	run(t, conn, "COMMIT")
	for _, before := range []string{"EXPLAIN ", "explain (costs off)\n\n  ", "/* é */ EXPLAIN verbose\t"} {
		if e := refused(t, conn, before+"SELECT wrong FROM users", "42703"); int(e.Position) != utf8.RuneCountInString(before+"SELECT ")+1 {
			t.Errorf("%q: position %d", before, e.Position)
		}
	}
	refused(t, conn, "EXPLAIN (FORMAT json) SELECT name FROM users", "0A000")
	refused(t, conn, "EXPLAIN ANALYZE UPDATE users SET age = 0", "0A000")
	refused(t, conn, "EXPLAIN ANALYZE INSERT INTO users SELECT n + 100, body, n FROM notes", "0A000")
	refused(t, conn, "COPY (INSERT INTO users SELECT n + 100, body, n FROM notes RETURNING id) TO STDOUT", "0A000")
	wantValue(t, conn, "SELECT count(*) FROM users WHERE age > 0", "3")
}
