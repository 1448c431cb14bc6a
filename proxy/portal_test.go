package proxy_test

import (
	"fmt"
	"testing"

	"github.com/pgring/pgring/backend"
)

func TestPortalsAnswerAsPostgres(t *testing.T) {
	t.Parallel()
	w := startTwin(t, options{pool: backend.Config{Size: 2}})
	five := "P . SELECT n FROM notes WHERE user_id = $1 ORDER BY n | "
	block := "Q BEGIN | "
	wide := "Q SET pgring.cross_shard = '2pc' | "
	sameAll(t, w, [][2]string{
		{"two rows at a time", five + "B . . {b} | E . 2 | E . 2 | E . 2 | S"},
		{"exactly all rows", five + "B . . {b} | E . 5 | E . 5 | S"},
		{"all after some", five + "B . . {b} | E . 2 | E . 0 | E . | S"},
		{"ends with the unit", five + "B . . {b} | E . 2 | S | E . 2 | S"},
		{"lives in a block", block + five + "B . . {b} | E . 2 | S | E . 2 | S | F | E . 2 | S | E . 2 | S"},
		{"two named ones on two shards", block + five + "B p . {b} | B q . {c} | E p 2 | E q 1 | S | E p 2 | E q 3 | S | E q | E p | S"},
		{"described when half read", block + five + "B p . {b} | DP p | E p 2 | S | DP p | E p 2 | S"},
		{"duplicate name", block + five + "B p . {b} | B p . {c} | S"},
		{"name free again after the block", block + five + "B p . {b} | E p 1 | S | Q COMMIT | B p . {c} | E p 1 | S"},
		{"name free again after the unit", five + "B p . {b} | S | B p . {c} | E p 1 | S"},
		{"closed", block + five + "B p . {b} | E p 1 | CP p | S | E p 1 | S"},
		{"closed and bound again", block + five + "B p . {b} | E p 1 | CP p | B p . {a} | E p 2 | S"},
		{"unnamed one replaced", block + five + "B . . {b} | E . 2 | S | B . . {c} | E . 1 | S | E . 9 | S"},
		{"unnamed one ends with a Query", block + five + "B . . {b} | E . 2 | S | Q SELECT 1 | E . 2 | S"},
		{"named one outlives a Query", block + five + "B p . {b} | E p 2 | S | Q SELECT 1 | E p 2 | S"},
		{"named one outlives its statement", block + five + "B p . {b} | E p 2 | CS . | S | E p 2 | S"},
		{"error ends all", block + five + "B p . {b} | E p 2 | S | Q SELECT 1/0 | E p 2 | S"},
		{"rolled back with a savepoint", block + "Q SAVEPOINT s | " + five + "B p . {b} | E p 2 | S | Q ROLLBACK TO s | E p 2 | S"},
		{"older than the savepoint", block + five + "B p . {b} | E p 2 | S | Q SAVEPOINT s | Q ROLLBACK TO s | E p 2 | S"},
		{"executed twice", "P . UPDATE users SET age = age + 1 WHERE id = {a} | B . . | E . | E . | S"},
		{"of no rows", "P . DELETE FROM users WHERE id = {a} | B . . | E . 1 | E . | S"},
		{"of RETURNING, in parts", block + "P . UPDATE notes SET body = 'x' WHERE user_id = {a} RETURNING n | B p . | E p 2 | E p 2 | S | E p 2 | S | Q COMMIT"},
		{"bound to settings of its time", block + "P . SELECT name FROM users WHERE id = {a} | B p . | Q UPDATE users SET name = 'new' WHERE id = {a} | E p | S"},
		{"left when another shard is read", block + five + "B p . {b} | E p 2 | B q . {c} | E q 9 | P . SELECT count(*) FROM users | B g . | DP g | E g | E p 2 | S | E p | S"},
		{"unnamed one left when a gather is described", block + five + "B . . {b} | E . 2 | P g SELECT count(*) FROM users | B g g | DP g | E g | E . 2 | S"},
		{"unnamed one left when SET is executed", block + five + "P s SET work_mem TO '5MB' | B . . {b} | E . 2 | B s s | E s | E . 2 | S"},
		{"negative limit is none", five + "B . . {b} | E . -1 | S"},
		{"a COMMIT bound early", block + five + "P c COMMIT | B p . {b} | E p 1 | B c c | B . . {c} | E . 1 | E c | S | Q SELECT 1"},
		{"a gather from beginning to end in a block", block + "P g SELECT sum(n) FROM notes | B g g | S | E g | S | E g | S"},
		{"a gather's portal executed twice", "P g SELECT sum(n) FROM notes | B g g | E g | E g | S"},
		{"unnamed one gone when a TRUNCATE takes its place", wide + block + "P s SELECT n FROM notes WHERE user_id = $1 ORDER BY body | DS s | S | B . s {a} | DP . | E . | S | P t TRUNCATE notes | DS t | S | B . t | DP . | E . | S | Q SELECT 1"},
		{"unnamed one gone when a TRUNCATE takes its place, on another shard", wide + block + "P s SELECT n FROM notes WHERE user_id = $1 ORDER BY body | DS s | S | B . s {c} | DP . | E . | S | P t TRUNCATE notes | DS t | S | B . t | DP . | E . | S | Q SELECT 1"},
		{"named one in the way of a TRUNCATE", wide + block + five + "B p . {b} | E p 2 | S | P . TRUNCATE notes | B . . | E . | S | Q SELECT 1"},
	})
}

func TestCursorsAnswerAsPostgres(t *testing.T) {
	t.Parallel()
	w := startTwin(t, options{pool: backend.Config{Size: 2}})
	declare := "Q DECLARE c CURSOR FOR SELECT n FROM notes WHERE user_id = {b} ORDER BY n"
	hold := "Q DECLARE c CURSOR WITH HOLD FOR SELECT n FROM notes WHERE user_id = {c} ORDER BY n"
	sameAll(t, w, [][2]string{
		{"declare, fetch, close", "Q BEGIN | " + declare + " | Q FETCH 2 FROM c | Q FETCH NEXT FROM c | Q CLOSE c | Q FETCH c | Q ROLLBACK"},
		{"outside of a block", declare},
		{"gone after the block", "Q BEGIN | " + declare + " | Q COMMIT | Q FETCH c"},
		{"beside another shard's reads", "Q BEGIN | " + declare + " | Q SELECT name FROM users WHERE id = {a} | Q FETCH 1 FROM c | Q SELECT sum(age) FROM users | Q FETCH 1 FROM c | Q COMMIT"},
		{"two on two shards", "Q BEGIN | " + declare + " | Q DECLARE d CURSOR FOR SELECT n FROM notes WHERE user_id = {a} ORDER BY n DESC | Q FETCH 1 FROM c | Q FETCH 1 FROM d | Q MOVE 2 FROM c | Q FETCH 1 FROM c | Q CLOSE d | Q FETCH 1 FROM c"},
		{"quoted names", "Q BEGIN | Q DECLARE \"A b\" CURSOR FOR SELECT n FROM notes WHERE user_id = {c} ORDER BY n | Q FETCH 1 FROM \"A b\" | Q CLOSE \"A b\""},
		{"scroll", "Q BEGIN | Q DECLARE c SCROLL CURSOR FOR SELECT n FROM notes WHERE user_id = {a} ORDER BY n | Q FETCH LAST FROM c | Q FETCH PRIOR FROM c | Q FETCH ABSOLUTE 2 FROM c"},
		{"in the extended protocol", "Q BEGIN | P . DECLARE c CURSOR FOR SELECT n FROM notes WHERE user_id = {b} ORDER BY n | B . . | E . | S | P f FETCH 2 FROM c | DS f | B . f | DP . | E . | B . f | E . | S"},
		{"with values", "Q BEGIN | P . DECLARE c CURSOR FOR SELECT n FROM notes WHERE user_id = $1 ORDER BY n | B . . {c} | E . | S | Q FETCH ALL FROM c"},
		{"with hold", "Q BEGIN | " + hold + " | Q FETCH 1 FROM c | Q COMMIT | Q FETCH 2 FROM c | Q SELECT name FROM users WHERE id = {a} | Q FETCH 1 FROM c | Q CLOSE c | Q FETCH 1 FROM c"},
		{"with hold, no block", hold + " | Q FETCH 2 FROM c | Q SELECT name FROM users WHERE id = {c} | Q FETCH 2 FROM c | Q CLOSE c"},
		{"with hold, rolled back", "Q BEGIN | " + hold + " | Q ROLLBACK | Q FETCH 1 FROM c"},
		{"with hold, seen by a later block", hold + " | Q BEGIN | Q FETCH 1 FROM c | Q ROLLBACK | Q FETCH 1 FROM c | Q CLOSE ALL | Q FETCH 1 FROM c"},
		{"a cursor of a failed block", "Q BEGIN | " + declare + " | Q SELECT 1/0 | Q FETCH 1 FROM c | Q ROLLBACK | Q FETCH 1 FROM c"},
		{"rolled back with a savepoint", "Q BEGIN | Q SAVEPOINT s | " + declare + " | Q ROLLBACK TO s | Q FETCH 1 FROM c"},
		{"on a home table", "Q BEGIN | Q DECLARE c CURSOR FOR SELECT x FROM things ORDER BY x | Q FETCH 1 FROM c | Q FETCH 5 FROM c"},
		{"where current of", "Q BEGIN | Q DECLARE c CURSOR FOR SELECT n, body FROM notes WHERE user_id = {b} ORDER BY n FOR UPDATE | Q FETCH 2 FROM c | Q UPDATE notes SET body = 'cur' WHERE user_id = {b} AND n = 2 | Q COMMIT"},
		{"close all", "Q BEGIN | Q DECLARE c CURSOR FOR SELECT name FROM users WHERE id = {a} | Q DECLARE d CURSOR FOR SELECT name FROM users WHERE id = {b} | Q FETCH c | Q FETCH d | Q CLOSE ALL | Q SELECT 1 | Q FETCH d | Q ROLLBACK"},
		{"close all, extended", "Q BEGIN | Q DECLARE c CURSOR FOR SELECT name FROM users WHERE id = {a} | Q DECLARE d CURSOR FOR SELECT name FROM users WHERE id = {b} | P . CLOSE ALL | DS . | B . . | DP . | E . | S | Q FETCH c | Q ROLLBACK"},
		{"declare twice", "Q BEGIN | " + declare + " | " + declare},
		{"close what is not there", "Q CLOSE c | Q BEGIN | Q CLOSE c"},
		{"one name on two shards", "Q BEGIN | " + declare + " | Q DECLARE c CURSOR FOR SELECT n FROM notes WHERE user_id = {a} | Q ROLLBACK"},
		{"one name on two shards, with hold", hold + " | Q DECLARE c CURSOR WITH HOLD FOR SELECT n FROM notes WHERE user_id = {a} ORDER BY n | Q FETCH 1 FROM c | Q CLOSE c"},
		{"with hold, and another transaction", hold + " | Q BEGIN | Q SELECT name FROM users WHERE id = {a} | " + "Q DECLARE d CURSOR WITH HOLD FOR SELECT n FROM notes WHERE user_id = {a} | Q ROLLBACK | Q FETCH 1 FROM c | Q FETCH 1 FROM d"},
		{"name free again after a savepoint", "Q BEGIN | Q SAVEPOINT s | " + declare + " | Q ROLLBACK TO s | Q DECLARE c CURSOR FOR SELECT n FROM notes WHERE user_id = {a} ORDER BY n | Q FETCH 1 FROM c | Q ROLLBACK"},
	})
}

// TestCursorsOverShardsAnswerAsPostgres fetches expressions: of what a cursor over several shards returns it is not told which
// column of which table it is.
func TestCursorsOverShardsAnswerAsPostgres(t *testing.T) {
	t.Parallel()
	w := startTwin(t, options{pool: backend.Config{Size: 1}})
	declare := "Q DECLARE c CURSOR FOR SELECT n + 0 AS n, body || '' FROM notes ORDER BY n DESC, user_id"
	hold := "Q DECLARE c CURSOR WITH HOLD FOR SELECT upper(name) FROM users ORDER BY name"
	sameAll(t, w, [][2]string{
		{"declare, fetch, move, close", "Q BEGIN | " + declare + " | Q FETCH 2 FROM c | Q MOVE 3 FROM c | Q FETCH NEXT FROM c | Q FETCH ALL FROM c | Q FETCH c | Q CLOSE c | Q FETCH c | Q ROLLBACK"},
		{"outside of a block", declare + " | Q DECLARE c CURSOR FOR SELECT wrong FROM users | Q SELECT 1"},
		{"wrong", "Q BEGIN | Q DECLARE c CURSOR FOR SELECT wrong FROM users | Q ROLLBACK | Q BEGIN | Q DECLARE c CURSOR FOR SELECT 1/(age-2) FROM users ORDER BY age | Q FETCH 1 FROM c | Q FETCH 1 FROM c | Q ROLLBACK"},
		{"several, and pulls beside them", "Q BEGIN | " + declare + " | Q SELECT avg(age) FROM users | Q DECLARE d CURSOR FOR SELECT avg(n), user_id = {a} FROM notes GROUP BY 2 ORDER BY 2 | Q FETCH 1 FROM c | Q FETCH 1 FROM d | Q SELECT count(*), count(DISTINCT n) FROM notes | Q FETCH 1 FROM c | Q FETCH ALL FROM d | Q COMMIT | Q FETCH c"},
		{"sees what was there when it was declared", "Q BEGIN | Q DECLARE c CURSOR FOR SELECT age + 0 FROM users ORDER BY age | Q UPDATE users SET age = 50 WHERE id = {a} | Q FETCH ALL FROM c | Q COMMIT"},
		{"sees the block's writes", "Q BEGIN | Q UPDATE users SET age = 50 WHERE id = {b} | Q DECLARE c CURSOR FOR SELECT age + 0 FROM users ORDER BY age | Q FETCH ALL FROM c | Q ROLLBACK"},
		{"scroll", "Q BEGIN | Q DECLARE c SCROLL CURSOR FOR SELECT upper(name) FROM users ORDER BY age | Q FETCH LAST FROM c | Q FETCH PRIOR FROM c | Q FETCH ABSOLUTE 1 FROM c | Q FETCH BACKWARD 1 FROM c | Q COMMIT"},
		{"not scroll", "Q BEGIN | Q DECLARE c NO SCROLL CURSOR FOR SELECT upper(name) FROM users ORDER BY age | Q FETCH 2 FROM c | Q FETCH PRIOR FROM c | Q COMMIT"},
		{"binary", "Q BEGIN | Q DECLARE c BINARY CURSOR FOR SELECT age + 0 FROM users ORDER BY age | Q FETCH 2 FROM c | Q COMMIT"},
		{"in the extended protocol", "Q BEGIN | P . DECLARE c CURSOR FOR SELECT n + 0 FROM notes WHERE n > $1 ORDER BY n, user_id | DS . | B . . 3 | DP . | E . | S | P f FETCH 2 FROM c | DS f | B . f | DP . | E . | B . f | E . | S | Q COMMIT"},
		{"with hold", "Q BEGIN | " + hold + " | Q FETCH 1 FROM c | Q COMMIT | Q FETCH 1 FROM c | Q SELECT name FROM users WHERE id = {a} | Q SELECT avg(age) FROM users | Q FETCH 1 FROM c | Q CLOSE c | Q FETCH 1 FROM c"},
		{"with hold, no block", hold + " | Q FETCH 2 FROM c | Q SELECT avg(age) FROM users | Q FETCH 2 FROM c | Q CLOSE c"},
		{"with hold, rolled back", "Q BEGIN | " + hold + " | Q ROLLBACK | Q FETCH 1 FROM c"},
		{"rolled back with a savepoint", "Q BEGIN | Q SAVEPOINT s | " + declare + " | Q ROLLBACK TO s | Q FETCH 1 FROM c | Q ROLLBACK TO s | " + declare + " | Q FETCH 1 FROM c | Q COMMIT"},
		{"in one message", "Q BEGIN; DECLARE c CURSOR FOR SELECT upper(name) FROM users ORDER BY name; FETCH 2 FROM c; COMMIT"},
		{"declare twice", "Q BEGIN | " + declare + " | " + declare + " | Q ROLLBACK"},
	})
}

func TestHeldCursorDoesNotLeak(t *testing.T) {
	t.Parallel()
	w := startTwin(t, options{pool: backend.Config{Size: 1}})
	w.reset(t)
	for range 3 {
		f := w.frames()
		// 42P03 if the cursor of the client before still lives on the one connection
		f.want(w.keyed("Q DECLARE c CURSOR WITH HOLD FOR SELECT n FROM notes WHERE user_id = {c} ORDER BY n"), "C:DECLARE_CURSOR Z:I")
		must(t, f.conn.Close())
	}
}

// TestRowLimitsOverShardsAnswerAsPostgres: a portal that is not read to its end stays open.
func TestRowLimitsOverShardsAnswerAsPostgres(t *testing.T) {
	t.Parallel()
	w := startTwin(t, options{pool: backend.Config{Size: 1}})
	sameAll(t, w, [][2]string{
		{"a gather", "Q BEGIN | P q SELECT name || '' FROM users WHERE age > $1 ORDER BY age | B c q 0 | DP c | E c 1 | S | E c 1 | E c 5 | E c 5 | S | CP c | S | Q COMMIT"},
		{"a pull", "Q BEGIN | P . SELECT n + 0, count(*) FROM notes GROUP BY n ORDER BY n | B c . | DP c | E c 2 | S | E c 2 | DP c | S | E c 2 | S | Q SELECT 1 | Q COMMIT"},
		{"two, and statements between", "Q BEGIN | P . SELECT n + 0 FROM notes ORDER BY n, user_id | B c . | E c 2 | S | P . SELECT avg(age) + 0 FROM users GROUP BY age ORDER BY 1 | B d . | E d 1 | S | E c 2 | E d 1 | S | Q SELECT avg(age) FROM users | Q UPDATE users SET age = 7 WHERE id = {a} | E c 1 | E d 5 | S | Q COMMIT | E c 1 | S"},
		{"without a block, up to Sync", "P . SELECT name || '' FROM users ORDER BY name | B c . | E c 1 | E c 1 | S | E c 1 | S | Q SELECT avg(age) FROM users | P . SELECT name || '' FROM users ORDER BY name | B . . | E . 2 | E . 0 | S"},
		{"more than there is", "P . SELECT name || '' FROM users ORDER BY name | B . . | E . 100 | S | P . SELECT name FROM users WHERE age > 50 ORDER BY name | B . . | E . 1 | S"},
		{"closed early", "Q BEGIN | P . SELECT name || '' FROM users ORDER BY name | B c . | E c 1 | CP c | E c 1 | S | Q ROLLBACK"},
		{"failing", "Q BEGIN | P . SELECT 1/(age-2) FROM users ORDER BY age | B c . | E c 1 | S | E c 1 | S | Q ROLLBACK | P . SELECT 1/(age-1) FROM users ORDER BY age | B c . | E c 1 | S | Q SELECT avg(age) FROM users"},
		{"binary", "Q BEGIN | P q SELECT age + 0 FROM users ORDER BY age | BB c q | DP c | E c 1 | S | E c 1 | S | Q COMMIT"},
		{"gone with its savepoint", "Q BEGIN | Q SAVEPOINT s | P . SELECT name || '' FROM users ORDER BY name | B c . | E c 1 | S | Q ROLLBACK TO s | E c 1 | S | Q ROLLBACK"},
		{"of writes, which it does not matter for", "P . UPDATE users SET age = age + 1 | B . . | E . 1 | S | Q SELECT sum(age) FROM users"},
	})
}

// TestRowLocksOverShards: what is locked on every shard stays so until the block ends, and is no write.
func TestRowLocksOverShards(t *testing.T) {
	t.Parallel()
	w := startTwin(t, options{})
	sameAll(t, w, [][2]string{
		{"answers", "Q BEGIN | Q SELECT name, age FROM users ORDER BY age DESC FOR UPDATE | Q SELECT name FROM users WHERE age > 1 ORDER BY age FOR SHARE OF users | Q SELECT u.name, n.body FROM users u JOIN notes n ON n.user_id = u.id WHERE n.n = 1 ORDER BY u.age FOR UPDATE OF n SKIP LOCKED | P q SELECT name FROM users WHERE age > $1 ORDER BY age FOR NO KEY UPDATE | B . q 1 | E . | S | Q COMMIT | Q SELECT name FROM users ORDER BY age FOR UPDATE"},
		{"before a write", "Q BEGIN | Q SELECT name FROM users ORDER BY age FOR UPDATE | Q UPDATE users SET age = 20 WHERE id = {b} | Q COMMIT | Q SELECT age FROM users ORDER BY age"},
	})
	w.reset(t)
	a, b := w.connect(), w.connect()
	run(t, a, "BEGIN")
	run(t, a, "SELECT * FROM users WHERE age > 1 FOR UPDATE")
	for i, key := range w.keys3 {
		_, err := b.Exec(background, fmt.Sprintf("SELECT * FROM users WHERE id = %d FOR UPDATE NOWAIT", key))
		if i == 0 {
			must(t, err)
			continue
		}
		wantCode(t, err, "55P03")
	}
	run(t, a, "COMMIT")
	run(t, b, "SELECT * FROM users FOR UPDATE NOWAIT")
	refused(t, b, "SELECT * FROM users LIMIT 1 FOR UPDATE", "0A000")
	refused(t, b, "SELECT * FROM users WHERE age IN (SELECT n FROM notes FOR UPDATE)", "0A000")
}
