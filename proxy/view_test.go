package proxy_test

import (
	"testing"
)

func TestViewsOverShardsAnswerAsPostgres(t *testing.T) {
	t.Parallel()
	w := startTwin(t, options{})
	const make = "Q CREATE VIEW grown (key, label, age) AS SELECT id, name, age FROM users WHERE age > 1 | Q CREATE VIEW pairs AS SELECT g.key, g.label, x.body FROM grown g JOIN notes x ON x.user_id = g.key | " +
		"Q CREATE VIEW totals AS SELECT n, count(*) AS c, avg(user_id) FROM notes GROUP BY n | Q CREATE VIEW mixed AS SELECT u.name, t.y FROM users u LEFT JOIN things t ON t.x = u.age"
	sameAll(t, w, [][2]string{
		{"made", make},
		{"by key", "Q SELECT * FROM grown WHERE key = {b} | Q SELECT label FROM grown g(k, l) WHERE k = {c} | P q SELECT label FROM grown WHERE key = $1 | DS q | B . q {b} | DP . | E . | S | BB . q {c} | E . | S | B . q {a} | E . | S"},
		{"gathered", "Q SELECT * FROM grown ORDER BY key | Q SELECT count(*), sum(age) FROM grown | Q SELECT g.* FROM public.grown g ORDER BY age DESC LIMIT 1 | P q SELECT label FROM grown WHERE age > $1 ORDER BY age | DS q | B . q 1 | DP . | E . | S | BB . q 2 | E . | S"},
		{"pulled", "Q SELECT n + 0, c + 0, avg * 1 FROM totals ORDER BY n | Q SELECT avg(c) FROM totals | Q SELECT name || '', y FROM mixed ORDER BY 1 | Q SELECT g.label, o.label FROM grown g, grown o ORDER BY 1, 2 | P q SELECT avg(age), count($1::text) FROM grown | DS q | B . q x | DP . | E . | S"},
		{"views of views", "Q SELECT * FROM pairs ORDER BY label, body | Q SELECT count(*) FROM pairs WHERE key = {b} | Q SELECT label, count(DISTINCT body) FROM pairs GROUP BY label ORDER BY 1"},
		{"in subqueries", "Q SELECT name FROM users WHERE id IN (SELECT key FROM grown) ORDER BY name | Q WITH x AS (SELECT * FROM totals) SELECT sum(c) FROM x | Q SELECT u.name, (SELECT max(body) FROM pairs p WHERE p.key = u.id) FROM users u ORDER BY 1 | Q WITH grown AS (SELECT 1 AS one) SELECT * FROM grown"},
		{"around it", "Q COPY (SELECT n, c FROM totals ORDER BY n) TO STDOUT | Q COPY (SELECT label FROM grown ORDER BY key) TO STDOUT | Q BEGIN | Q DECLARE c CURSOR FOR SELECT label || '' FROM grown ORDER BY label | Q FETCH ALL FROM c | Q DECLARE d CURSOR FOR SELECT label FROM grown WHERE key = {b} | Q FETCH ALL FROM d | Q COMMIT | Q CREATE TEMP TABLE made AS SELECT * FROM grown | Q SELECT * FROM made ORDER BY 1"},
		{"SQL's PREPARE", "Q PREPARE q (bigint) AS SELECT label FROM grown WHERE key = $1 | Q EXECUTE q ({b}) | Q EXECUTE q ({c}) | Q PREPARE r AS SELECT label FROM grown ORDER BY label | Q EXECUTE r"},
		{"row limits", "P q SELECT label FROM grown ORDER BY label | B . q | E . 1 | E . | S"},
		{"its own writes", "Q BEGIN | Q UPDATE users SET age = 9 WHERE id = {a} | Q SELECT count(*) FROM grown | Q SELECT avg(age) FROM grown | Q ROLLBACK | Q SELECT count(*) FROM grown"},
		{"names from outside", "Q CREATE SCHEMA other | Q SET search_path = other | Q SELECT label FROM public.grown ORDER BY label | Q SELECT label FROM grown | Q RESET search_path | Q DROP SCHEMA other"},
		{"errors", "Q SELECT wrong FROM grown | Q SELECT 1/(age-2) FROM grown"},
		{"described", "Q SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'pairs' ORDER BY ordinal_position | Q SELECT count(*) FROM pg_views WHERE viewname = 'grown'"},
		{"replaced", "Q CREATE OR REPLACE VIEW grown (key, label, age) AS SELECT id, name, age FROM users WHERE age > 2 | Q SELECT label FROM grown | Q ALTER VIEW grown RENAME COLUMN label TO name | Q SELECT name FROM grown | Q ALTER VIEW grown RENAME TO older | Q SELECT name FROM older | Q ALTER VIEW older RENAME TO grown | Q ALTER VIEW grown RENAME COLUMN name TO label"},
		{"dropped", "Q DROP VIEW mixed, totals, pairs, grown | Q SELECT * FROM grown"},
	})
	t.Run("what is not committed", w.uncommittedViews)
}

// uncommittedViews: the committed schema says nothing of them, so they are not read.
func (w *twin) uncommittedViews(t *testing.T) {
	w.reset(t)
	conn := w.connect()
	run(t, conn, "CREATE SCHEMA moved")
	run(t, conn, "CREATE VIEW old AS SELECT age FROM users")
	for _, statements := range [][]string{
		{"CREATE VIEW fresh AS SELECT age FROM users", "SELECT count(*) FROM fresh"},
		{"CREATE OR REPLACE VIEW old AS SELECT age FROM users WHERE age > 1", "SELECT count(*) FROM old"},
		{"DROP VIEW old", "SELECT count(*) FROM old"},
		{"ALTER VIEW old RENAME TO newly", "SELECT count(*) FROM newly"},
		{"ALTER TABLE old RENAME TO newly", "SELECT count(*) FROM newly"},
		{"ALTER VIEW old SET SCHEMA moved", "SELECT count(*) FROM moved.old"},
	} {
		run(t, conn, "BEGIN")
		run(t, conn, statements[0])
		refused(t, conn, statements[1], "0A000")
		run(t, conn, "ROLLBACK")
		refused(t, conn, statements[0]+"; "+statements[1], "0A000")
		wantValue(t, conn, "SELECT count(*) FROM old", "3")
	}
	refused(t, conn, "CREATE TEMP VIEW passing AS SELECT age FROM users", "0A000")
	refused(t, conn, "UPDATE old SET age = 1", "0A000")
	refused(t, conn, "SELECT old FROM old", "0A000")
	refused(t, conn, "SELECT pg_typeof(old.*) FROM old", "0A000")
	refused(t, conn, "SELECT array_agg(o.*) FROM old o", "0A000")
	wantValue(t, conn, "SELECT count(o.*) FROM old o", "3")
	wantValue(t, conn, "SELECT min(ROW(o.*)::text) IS NOT NULL FROM old o", "t")
	run(t, conn, "ALTER VIEW old SET (security_barrier)")
	refused(t, conn, "SELECT count(*) FROM old", "0A000")
	run(t, conn, "ALTER VIEW old SET (security_barrier = off)")
	w.servers[0].Exec(t, "ALTER TABLE notes ENABLE ROW LEVEL SECURITY")
	run(t, conn, "CREATE VIEW newer AS SELECT age FROM users")
	refused(t, conn, "SELECT count(*) FROM newer", "0A000") // its owner may see other rows
	w.servers[0].Exec(t, "ALTER TABLE notes DISABLE ROW LEVEL SECURITY")
	run(t, conn, "DROP VIEW old, newer")
	run(t, conn, "DROP SCHEMA moved")
}
