package proxy_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgring/pgring/backend"
	"github.com/pgring/pgring/internal/pgtest"
	"github.com/pgring/pgring/proxy"
)

// homeKeys returns keys of rows on the home shard that are written with three digits, no part of a SQLSTATE.
func homeKeys(c *cluster, n int) []int64 {
	var found []int64
	for key := int64(900); key < 1000 && len(found) < n; key++ {
		if c.shardOf(key) == c.servers[0] {
			found = append(found, key)
		}
	}
	return found
}

// TestWritesWithConstantsArePrepared: in the simple protocol, in a block only.
func TestWritesWithConstantsArePrepared(t *testing.T) {
	const seen = "SELECT count(*)::text FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND query LIKE '%%%s%%'"
	writes := [][3]string{
		{"INSERT INTO users (id, age) VALUES (%[1]d, %[2]d)", "VALUES ($1 , $2 )", "INSERT 0 1"},
		{"UPDATE users SET age = age + -%[2]d WHERE id = %[1]d", "age + -$1  WHERE id = $2 ", "UPDATE 1"},
		{"DELETE FROM users WHERE id = %[1]d AND age <> %[2]d", "id = $1  AND age <> $2 ", "DELETE 1"},
	}
	for _, block := range []bool{false, true} {
		c := start(t, options{shards: 2, policy: proxy.Policy{PrepareAfter: 2}, own: true})
		conn, shard := c.connect(), c.servers[0].Connect(t)
		for i, key := range homeKeys(c, 4) {
			if block {
				run(t, conn, "BEGIN")
			}
			for _, w := range writes {
				if got := told(conn, pgx.QueryExecModeSimpleProtocol, fmt.Sprintf(w[0], key, i+1)); got != w[2] {
					t.Fatalf("use %d of %s: %s", i, w[0], got)
				}
				wantValue(t, shard, fmt.Sprintf(seen, w[1]), strconv.Itoa(map[bool]int{true: i / 2}[block]))
			}
			if block {
				run(t, conn, "COMMIT")
			}
		}
	}
}

// TestWritesOfEverySortAreAnsweredAsByPostgres: a random walk through writes with constants, blocks, settings and changes of the schema past pgring,
// beside PostgreSQL, each on a row of its own.
func TestWritesOfEverySortAreAnsweredAsByPostgres(t *testing.T) {
	c := start(t, options{shards: 2, policy: proxy.Policy{PrepareAfter: 1}})
	keys := homeKeys(c, 2)
	server := c.servers[0]
	admin := server.Connect(t)
	run(t, admin, "CREATE SCHEMA other; CREATE TABLE other.users (id bigint PRIMARY KEY, name text, age text)")
	texts := []string{
		"UPDATE users SET age = age + # WHERE id = @", "SELECT age FROM users WHERE id = @", "UPDATE users SET age = -# WHERE id = @ AND age <> #", "UPDATE users SET age = # - age WHERE id = @",
		"UPDATE users SET age = age * # WHERE id = @", "UPDATE users SET age = age + 2000000000 WHERE id = @", "UPDATE users SET age = 999999999 WHERE id = @",
		"/* ü */ UPDATE users SET age = #, nonesuch = # WHERE id = @", "UPDATE users SET age = # WHERE id = @ AND nonesuch = # AND age = #", "UPDATE users SET name = # WHERE id = @",
		"UPDATE users SET age = 1/0 WHERE id = @ AND age = #", "UPDATE users SET age = age + # WHERE id = @ RETURNING age", "UPDATE users SET more = more + # WHERE id = @",
		"INSERT INTO notes (user_id, n) VALUES (@, #)", "INSERT INTO notes (user_id, n, body) VALUES (@, #, NULL) ON CONFLICT DO NOTHING", "DELETE FROM notes WHERE user_id = @ AND n < #",
		"DELETE FROM notes WHERE user_id = @ AND n = #", "UPDATE notes SET n = n + # WHERE user_id = @",
	}
	others := []string{
		"BEGIN", "BEGIN", "COMMIT", "COMMIT", "ROLLBACK", "SAVEPOINT a", "ROLLBACK TO a", "SELECT age FROM users WHERE id = @", "SELECT count(*) FROM notes WHERE user_id = @",
		"SET LOCAL search_path = other, public", "SET search_path = public", "SET transform_null_equals = on", "BEGIN; UPDATE users SET age = # WHERE id = @",
	}
	changes := []string{"ALTER TABLE users ALTER age TYPE bigint", "ALTER TABLE users ALTER age TYPE numeric", "ALTER TABLE users ALTER age TYPE int USING CASE WHEN abs(age::numeric) < 1e9 THEN age::int END",
		"ALTER TABLE users ADD COLUMN more int DEFAULT 5", "ALTER TABLE users DROP COLUMN more", "ALTER TABLE users ALTER age TYPE text", "ALTER TABLE users RENAME name TO title",
		"ALTER TABLE users RENAME title TO name"}
	for seed := range uint64(12) {
		r := rand.New(rand.NewPCG(seed, 9))
		proxied, direct := c.connect(), server.Connect(t)
		for _, key := range keys {
			run(t, admin, fmt.Sprintf("DELETE FROM users WHERE id = %d; INSERT INTO users (id, age) VALUES (%[1]d, 7); DELETE FROM notes WHERE user_id = %[1]d", key))
		}
		likely := texts[:1+r.IntN(len(texts))]
		var script []string
		for range 120 {
			step := likely[r.IntN(len(likely))]
			switch n := r.IntN(20); {
			case n < 5:
				step = others[r.IntN(len(others))]
			case n == 5 && direct.PgConn().TxStatus() == 'I':
				change := changes[r.IntN(len(changes))]
				_, err := admin.Exec(background, change)
				script = append(script, fmt.Sprintf("%s -- %v", change, err))
			}
			step = strings.ReplaceAll(step, "#", strconv.Itoa(r.IntN(10)))
			var answers [2]string
			for i, conn := range []*pgx.Conn{proxied, direct} {
				own := strconv.FormatInt(keys[i], 10)
				answers[i] = strings.ReplaceAll(told(conn, pgx.QueryExecModeSimpleProtocol, strings.ReplaceAll(step, "@", own)), own, "@")
			}
			script = append(script, step)
			if answers[0] != answers[1] {
				t.Fatalf("seed %d:\n%s\n got %s\nwant %s", seed, strings.Join(script, "\n"), answers[0], answers[1])
			}
		}
		must(t, proxied.Close(background))
		must(t, direct.Close(background))
	}
}

// TestWhoListensToWritesHearsTheirText: where code of users' may look at the text of a statement it is the client's, and values of defaults are as
// they were. Triggers that are made past pgring are found within a second.
func TestWhoListensToWritesHearsTheirText(t *testing.T) {
	c := start(t, options{shards: 2, policy: proxy.Policy{PrepareAfter: 1}, own: true})
	conn, key := c.connect(), c.keys(1)[0]
	const function = "CREATE FUNCTION listen() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN new.name := current_query(); RETURN new; END'"
	const trigger = "CREATE TRIGGER listens BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION listen()"
	run(t, conn, fmt.Sprintf("INSERT INTO users VALUES (%d, 'ann', 7)", key))
	age := 0
	write := func() string {
		age++
		run(t, conn, "BEGIN")
		run(t, conn, fmt.Sprintf("UPDATE users SET age = %d WHERE id = %d", age, key))
		run(t, conn, "COMMIT")
		return pgtest.One[string](t, c.shardOf(key), fmt.Sprintf("SELECT name FROM users WHERE id = %d", key))
	}
	for range 3 {
		if got := write(); got != "ann" {
			t.Fatal(got)
		}
	}
	hears := func(how string) {
		t.Helper()
		for range 4 {
			want := fmt.Sprintf("UPDATE users SET age = %d WHERE id = %d", age+1, key)
			if got := write(); got != want {
				t.Errorf("%s: %s", how, got)
			}
		}
	}
	run(t, conn, function)
	run(t, conn, trigger)
	hears("through")
	run(t, conn, "DROP TRIGGER listens ON users")
	run(t, conn, fmt.Sprintf("UPDATE users SET name = 'bob' WHERE id = %d", key))
	for range 3 {
		if got := write(); got != "bob" {
			t.Fatal(got)
		}
	}
	for _, s := range c.servers {
		run(t, s.Connect(t), trigger)
	}
	waitFor(t, "the trigger to be known", func() bool { return !strings.Contains(write(), "$") })
	hears("past")
}

// TestTypedWritesOfBlocksArePrepared: a write of the extended protocol in a block is prepared if its client has declared all types, and it returns
// no rows.
func TestTypedWritesOfBlocksArePrepared(t *testing.T) {
	c := start(t, options{shards: 2, policy: proxy.Policy{PrepareAfter: 1}})
	key := homeKeys(c, 1)[0]
	run(t, c.connect(), fmt.Sprintf("INSERT INTO users VALUES (%d, 'ann', 7)", key))
	for i, u := range []struct {
		text     string
		oids     []uint32
		prepared int
	}{
		{"UPDATE users SET age = $2 WHERE id = $1", []uint32{20, 23}, 1},
		{"UPDATE users SET age = $2 + 1 WHERE id = $1", []uint32{20}, 0},
		{"UPDATE users SET age = $2 + 2 WHERE id = $1", nil, 0},
		{"UPDATE users SET age = $2 + 4 WHERE id = $1", []uint32{20, 705}, 0},
		{"UPDATE users SET age = $2 + 3 WHERE id = $1 RETURNING id", []uint32{20, 23}, 0},
		{"UPDATE users SET age = 5 WHERE id = $1", nil, 0},
		{"UPDATE users SET age = 6 WHERE id = $1", []uint32{20}, 1},
		{"SELECT age FROM users WHERE id = $1", []uint32{20}, 0},
	} {
		f := c.frames()
		f.ask("Q BEGIN")
		for range 3 {
			bind := &pgproto3.Bind{Parameters: [][]byte{strconv.AppendInt(nil, key, 10), []byte("8")}[:strings.Count(u.text, "$")]}
			f.send(&pgproto3.Parse{Query: u.text, ParameterOIDs: u.oids}, bind, &pgproto3.Describe{ObjectType: 'P'}, &pgproto3.Execute{}, &pgproto3.Sync{})
			if got := strings.Join(f.until("Z:"), " "); !strings.HasPrefix(got, "1 2 ") || !strings.HasSuffix(got, "_1 Z:T") {
				t.Errorf("%d: %s", i, got)
			}
		}
		f.want("Q SELECT count(*) FROM pg_prepared_statements WHERE statement = '"+u.text+"'", fmt.Sprintf("T:count/20/-1/0/0 D:%d C:SELECT_1 Z:T", u.prepared))
		f.ask("Q ROLLBACK")
	}
}

// TestATableThatHidesAnotherIsWritten: PostgreSQL goes on using the table that it had when it prepared a statement. A function makes another one, which
// the session cannot know.
func TestATableThatHidesAnotherIsWritten(t *testing.T) {
	c := start(t, options{shards: 2, policy: proxy.Policy{PrepareAfter: 1}, pool: backend.Config{Size: 1}})
	conn, key := c.connect(), homeKeys(c, 1)[0]
	run(t, conn, fmt.Sprintf("INSERT INTO users (id, age) VALUES (%d, 1)", key))
	run(t, conn, `CREATE FUNCTION hide() RETURNS int LANGUAGE plpgsql AS 'BEGIN EXECUTE ''CREATE TEMP TABLE ''||chr(117)||''sers (id bigint, age int) ON COMMIT DROP''; RETURN 1; END' `)
	run(t, conn, "CREATE TYPE pt AS (n int)")
	run(t, conn, "CREATE FUNCTION mkpt(int) RETURNS pt LANGUAGE sql AS 'SELECT row(hide())::pt'")
	run(t, conn, "CREATE CAST (int AS pt) WITH FUNCTION mkpt(int) AS ASSIGNMENT")
	run(t, conn, "ALTER TABLE notes ADD COLUMN p pt")
	run(t, conn, fmt.Sprintf("INSERT INTO notes (user_id, n) VALUES (%d, 1)", key))
	f := c.frames()
	typed := func() string {
		f.send(&pgproto3.Parse{Query: "UPDATE users SET age = $1 WHERE id = $2", ParameterOIDs: []uint32{23, 20}},
			&pgproto3.Bind{Parameters: [][]byte{[]byte("3"), strconv.AppendInt(nil, key, 10)}}, &pgproto3.Execute{}, &pgproto3.Sync{})
		return strings.Join(f.until("Z:"), " ")
	}
	for i := range 6 {
		f.want("Q BEGIN", "C:BEGIN Z:T")
		want := "0"
		switch i % 3 {
		case 0:
			want = "1"
		case 1:
			f.ask(fmt.Sprintf("Q SELECT hide() FROM users WHERE id = %d", key))
		case 2:
			f.want(fmt.Sprintf("Q UPDATE notes SET p = n + 1 WHERE user_id = %d", key), "C:UPDATE_1 Z:T")
		}
		f.want(fmt.Sprintf("Q UPDATE users SET age = 3 WHERE id = %d", key), "C:UPDATE_"+want+" Z:T")
		if got := typed(); got != "1 2 C:UPDATE_"+want+" Z:T" {
			t.Error(got)
		}
		f.want("Q COMMIT", "C:COMMIT Z:I")
	}
}

// TestNothingIsToldBeforeItIsCommitted: what fails when it is committed is not said to be done.
func TestNothingIsToldBeforeItIsCommitted(t *testing.T) {
	c := start(t, options{shards: 2, policy: proxy.Policy{PrepareAfter: -1}, own: true})
	run(t, c.connect(), "ALTER TABLE notes ADD FOREIGN KEY (user_id) REFERENCES users DEFERRABLE INITIALLY DEFERRED")
	f, key := c.frames(), homeKeys(c, 1)[0]
	for range 3 {
		got := f.ask(fmt.Sprintf("Q INSERT INTO notes (user_id, n) VALUES (%d, 1)", key))
		if !strings.HasPrefix(got, "E:23503") || !strings.HasSuffix(got, ":0 Z:I") {
			t.Error(got)
		}
	}
}

// TestAFunctionThatDeallocatesHarmsNobody: what is prepared on a connection may go without pgring's doing.
func TestAFunctionThatDeallocatesHarmsNobody(t *testing.T) {
	c := start(t, options{shards: 2, policy: proxy.Policy{PrepareAfter: -1}, pool: backend.Config{Size: 1}})
	conn, key := c.connect(), homeKeys(c, 1)[0]
	run(t, conn, fmt.Sprintf("INSERT INTO users (id, age) VALUES (%d, 1)", key))
	run(t, conn, `CREATE FUNCTION lose() RETURNS int LANGUAGE plpgsql AS 'BEGIN EXECUTE ''DEALLOCATE ALL''; RETURN 1; END' `)
	block := func() (told []string) {
		for _, sql := range []string{"BEGIN", "UPDATE users SET age = 3 WHERE id = %d", "ROLLBACK", "SELECT age FROM users WHERE id = %d"} {
			_, err := conn.Exec(background, strings.Replace(sql, "%d", strconv.FormatInt(key, 10), 1), pgx.QueryExecModeSimpleProtocol)
			told = append(told, fmt.Sprint(err))
		}
		return told
	}
	for range 3 {
		block()
		run(t, conn, fmt.Sprintf("SELECT lose() FROM users WHERE id = %d", key))
		block() // may be told that something is gone
		if got := strings.Join(block(), ", "); got != "<nil>, <nil>, <nil>, <nil>" {
			t.Error(got)
		}
	}
}

// TestErrorsOfWritesNameNoParameters: the client has sent none.
func TestErrorsOfWritesNameNoParameters(t *testing.T) {
	c := start(t, options{shards: 2, policy: proxy.Policy{PrepareAfter: -1}})
	conn, key := c.connect(), homeKeys(c, 1)[0]
	shard := c.servers[0].Connect(t)
	run(t, conn, fmt.Sprintf("INSERT INTO users (id, age) VALUES (%d, 999999999)", key))
	run(t, conn, "SET log_parameter_max_length_on_error = -1")
	for _, text := range []string{"UPDATE users SET age = age * 999999999 WHERE id = %d", "UPDATE users SET age = 1_0 WHERE id = %d", "UPDATE users SET age = age - 5, name = 1_0 WHERE id = %d"} {
		text = fmt.Sprintf(text, key)
		for _, conn := range []*pgx.Conn{conn, shard} {
			run(t, conn, "BEGIN")
		}
		if got, want := told(conn, pgx.QueryExecModeSimpleProtocol, text), told(shard, pgx.QueryExecModeSimpleProtocol, text); got != want {
			t.Errorf("%s\n got %s\nwant %s", text, got, want)
		}
		for _, conn := range []*pgx.Conn{conn, shard} {
			run(t, conn, "ROLLBACK")
		}
	}
}
