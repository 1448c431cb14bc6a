package proxy_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgring/pgring/backend"
	"github.com/pgring/pgring/proxy"
)

// unprepared are the ways in which a driver runs a statement without preparing it.
var unprepared = map[string]pgx.QueryExecMode{"simple": pgx.QueryExecModeSimpleProtocol, "inlined": inlined, "extended": pgx.QueryExecModeExec}

// inlined is the simple protocol with the parameter in the text, as psycopg writes it.
const inlined pgx.QueryExecMode = -1

// told is all that a client hears of a query. In the simple protocol pgx writes a parameter as a string, and an inlined one is a number.
func told(conn *pgx.Conn, mode pgx.QueryExecMode, sql string, args ...any) string {
	if mode == inlined {
		sql, mode, args = strings.ReplaceAll(sql, "$1", fmt.Sprint(args[0])), pgx.QueryExecModeSimpleProtocol, nil
	}
	rows, err := conn.Query(background, sql, append([]any{mode}, args...)...)
	if err != nil {
		return tellError(err)
	}
	defer rows.Close()
	var b strings.Builder
	for rows.Next() {
		fmt.Fprintf(&b, "%q ", rows.RawValues())
	}
	for _, f := range rows.FieldDescriptions() {
		fmt.Fprintf(&b, "%s:%d:%d ", f.Name, f.DataTypeOID, f.TypeModifier)
	}
	if err := rows.Err(); err != nil {
		return tellError(err)
	}
	return b.String() + rows.CommandTag().String()
}

func tellError(err error) string {
	var e *pgconn.PgError
	if !errors.As(err, &e) {
		return err.Error()
	}
	return fmt.Sprintf("%s %s at %d, %q %q %q", e.Code, e.Message, e.Position, e.Detail, e.Hint, e.Where)
}

// TestFrequentStatementsArePrepared: from the third use on the shard runs a prepared statement.
func TestFrequentStatementsArePrepared(t *testing.T) {
	const seen = "SELECT count(*)::text FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND query LIKE 'SELECT name, age FROM users WHERE id =%$1%'"
	for name, mode := range unprepared {
		t.Run(name, func(t *testing.T) {
			c := start(t, options{shards: 2, policy: proxy.Policy{PrepareAfter: 2}})
			conn, key := c.connect(), c.keys(1)[0]
			run(t, conn, fmt.Sprintf("INSERT INTO users VALUES (%d, 'ann', 7)", key))
			shard := c.shardOf(key).Connect(t)
			for i := range 4 {
				if got := told(conn, mode, "SELECT name, age FROM users WHERE id = $1", key); !strings.Contains(got, `"ann"`) {
					t.Fatalf("use %d: %s", i, got)
				}
				if mode != pgx.QueryExecModeExec { // whose text is the same
					wantValue(t, shard, seen, strconv.Itoa(i/2))
				}
			}
		})
	}
}

// TestSchemaChangesUnderFrequentStatements changes a table past pgring, which therefore prepares nothing anew: what was prepared returns other
// columns now, or fails. The client hears what it would hear of the shard.
func TestSchemaChangesUnderFrequentStatements(t *testing.T) {
	c := start(t, options{shards: 2})
	key := c.keys(1)[0]
	conn, shard := c.connect(), c.shardOf(key).Connect(t)
	run(t, conn, fmt.Sprintf("INSERT INTO users VALUES (%d, 'ann', 7)", key))
	changes := []string{"ADD COLUMN extra int DEFAULT 5", "ALTER COLUMN extra TYPE text", "ALTER COLUMN age TYPE bigint", "RENAME COLUMN extra TO more", "DROP COLUMN more",
		"ALTER COLUMN id TYPE numeric", "ALTER COLUMN id TYPE bigint"}
	texts := []string{"SELECT * FROM users WHERE id = $1", "SELECT   extra, name FROM users WHERE id = $1", "SELECT users, age FROM users u WHERE id = $1", "SELECT u, age + 1 FROM users u WHERE id = $1"}
	for _, change := range changes {
		for range 2 { // prepared and used before the change
			for _, mode := range unprepared {
				for _, text := range texts {
					told(conn, mode, text, key)
				}
			}
		}
		run(t, shard, "ALTER TABLE users "+change)
		for name, mode := range unprepared {
			for _, text := range texts {
				if got, want := told(conn, mode, text, key), told(shard, mode, text, key); unshared(got) != unshared(want) {
					t.Errorf("after %s, %s, %s\n got %s\nwant %s", change, name, text, got, want)
				}
			}
		}
	}
}

// unshared is what a client hears without the numbers of types that servers give themselves.
func unshared(told string) string {
	fields := strings.Fields(told)
	for i, f := range fields {
		if part := strings.Split(f, ":"); len(part) == 3 && len(part[1]) > 4 {
			fields[i] = part[0]
		}
	}
	return strings.Join(fields, " ")
}

// TestWhatIsFrequentCanBeInterrupted: a time limit that ends a statement before the server has planned it is told, once.
func TestWhatIsFrequentCanBeInterrupted(t *testing.T) {
	c := start(t, options{shards: 2})
	key := c.keys(1)[0]
	conn, shard := c.connect(), c.shardOf(key).Connect(t)
	run(t, conn, "SET statement_timeout = 300")
	run(t, shard, "BEGIN; LOCK TABLE users")
	for name, mode := range unprepared {
		began := time.Now()
		got := told(conn, mode, "SELECT age FROM users WHERE id = $1", key)
		if took := time.Since(began); !strings.HasPrefix(got, "57014") || took < 250*time.Millisecond || took > 590*time.Millisecond {
			t.Errorf("%s: %s after %v", name, got, took)
		}
	}
	run(t, shard, "ROLLBACK")
	for name, mode := range unprepared {
		if got := told(conn, mode, "SELECT age FROM users WHERE id = $1", key); !strings.HasSuffix(got, "SELECT 0") {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// TestSettingsThatServersHeedWhenTheyPrepare: what a statement means may depend on settings without a constant in it. Sessions take turns with
// one that has other settings, and change their own.
func TestSettingsThatServersHeedWhenTheyPrepare(t *testing.T) {
	c := start(t, options{shards: 2, pool: backend.Config{Size: 1}})
	key := c.keys(1)[0]
	run(t, c.connect(), fmt.Sprintf("INSERT INTO users VALUES (%d, NULL, 7)", key))
	settings := map[string]string{
		"SELECT age FROM users WHERE id = $1 AND name = NULL":                        "transform_null_equals = on",
		"SELECT (0.1::float8 + 0.2::float8)::text || age FROM users WHERE id = $1":   "extra_float_digits = -10",
		"SELECT int4send(258)::text || age FROM users WHERE id = $1":                 "bytea_output = escape",
		"SELECT quote_ident(chr(97)) || age FROM users WHERE id = $1":                "quote_all_identifiers = on",
		"UPDATE users SET age = age WHERE id = $1 AND name = null":                   "transform_null_equals = on",
		"SELECT age AS " + strings.Repeat("x", 70) + " FROM users WHERE id = $1":     "application_name = x",
		"SELECT age AS \"" + strings.Repeat("x", 70) + "\" FROM users WHERE id = $1": "application_name = x",
	}
	modes := map[string]pgx.QueryExecMode{"simple": pgx.QueryExecModeSimpleProtocol, "inlined": inlined, "extended": pgx.QueryExecModeExec, "prepared": pgx.QueryExecModeCacheStatement}
	for text, setting := range settings {
		for name, mode := range modes {
			var notices []string
			plain, other := c.noticeCodes(&notices), c.connect()
			run(t, other, "SET "+setting)
			for round := range 8 {
				conn, set := plain, round%2 == 1
				switch {
				case round >= 4 && mode == pgx.QueryExecModeCacheStatement:
					continue // what it has prepared stays what it was
				case round >= 4 && set: // in the middle of a session
					run(t, plain, "SET "+setting)
				case round >= 4:
					run(t, plain, "RESET ALL")
				case set:
					conn = other
				}
				shard := c.shardOf(key).Connect(t)
				if set {
					run(t, shard, "SET "+setting)
				}
				before := len(notices)
				got, want := told(conn, mode, text, key), told(shard, mode, text, key)
				must(t, shard.Close(background))
				if decoded(got) != decoded(want) {
					t.Errorf("%s, round %d, %s: %s\n got %s\nwant %s", name, round, setting, text, got, want)
				}
				if strings.Contains(text, "xx") && conn == plain && mode != pgx.QueryExecModeCacheStatement && len(notices) == before {
					t.Errorf("%s, round %d: no notice of a name that is cut", name, round)
				}
			}
		}
	}
}

// TestConstantsAreReadUnderTheSettingsOfTheirClient: a server reads a constant when it prepares a statement, and prepared statements are shared.
func TestConstantsAreReadUnderTheSettingsOfTheirClient(t *testing.T) {
	c := start(t, options{shards: 2, pool: backend.Config{Size: 1}})
	key := c.keys(1)[0]
	run(t, c.connect(), fmt.Sprintf("INSERT INTO users VALUES (%d, 'ann', 7)", key))
	texts := []string{
		fmt.Sprintf("SELECT extract(epoch FROM timestamptz '2020-01-01 00:00')::bigint FROM users WHERE id = %d", key),
		fmt.Sprintf("SELECT extract(epoch FROM CASE WHEN id = %d THEN '02/03/2020 00:00'::timestamptz END)::bigint FROM users WHERE id = %[1]d", key),
	}
	modes := map[string]pgx.QueryExecMode{"simple": pgx.QueryExecModeSimpleProtocol, "extended": pgx.QueryExecModeExec, "prepared": pgx.QueryExecModeCacheStatement}
	shard := c.shardOf(key).Connect(t)
	for name, mode := range modes {
		for _, setting := range []string{"TimeZone = 'UTC'", "TimeZone = 'Asia/Tokyo'", "DateStyle = 'ISO, DMY'", "DateStyle = 'ISO, MDY'"} {
			conn := c.connect()
			run(t, conn, "SET "+setting)
			run(t, shard, "RESET ALL; SET "+setting)
			for _, text := range texts {
				for range 3 {
					if got, want := told(conn, mode, text), told(shard, pgx.QueryExecModeSimpleProtocol, text); !sameRow(got, want) {
						t.Errorf("%s, %s, %s\n got %s\nwant %s", name, setting, text, got, want)
					}
				}
			}
		}
	}
}

// sameRow compares the first value, which may have come in another format.
func sameRow(a, b string) bool { return decoded(a) == decoded(b) }

func decoded(row string) string {
	value, err := strconv.Unquote(strings.TrimSuffix(strings.TrimPrefix(strings.Fields(row)[0], "["), "]"))
	if err != nil {
		return row
	}
	if len(value) == 8 && value[0] == 0 {
		n := int64(0)
		for _, b := range []byte(value) {
			n = n<<8 | int64(b)
		}
		return strconv.FormatInt(n, 10)
	}
	return value
}

// TestThePresentIsThatOfTheClient: 'now' is when the client has prepared its statement, or run it, not when another one has.
func TestThePresentIsThatOfTheClient(t *testing.T) {
	c := start(t, options{shards: 1, pool: backend.Config{Size: 1}})
	key := c.keys(1)[0]
	run(t, c.connect(), fmt.Sprintf("INSERT INTO users VALUES (%d, 'ann', 7)", key))
	text := fmt.Sprintf("SELECT 'now'::timestamptz::text FROM users WHERE id = %d", key)
	for name, mode := range map[string]pgx.QueryExecMode{"simple": pgx.QueryExecModeSimpleProtocol, "extended": pgx.QueryExecModeExec, "prepared": pgx.QueryExecModeCacheStatement} {
		seen := map[string]bool{}
		for range 4 {
			seen[told(c.connect(), mode, text)] = true
		}
		if len(seen) != 4 {
			t.Errorf("%s: %v", name, reflect.ValueOf(seen).MapKeys())
		}
	}
}

// TestParametersHaveTheTypesOfTheirColumns changes the types of columns on the shard that parameters of no declared type are stored in or compared
// with, for good: no other shard has the change, so pgring hears of none.
func TestParametersHaveTheTypesOfTheirColumns(t *testing.T) {
	c := start(t, options{shards: 2})
	key := c.keys(2)[1]
	run(t, c.connect(), fmt.Sprintf("INSERT INTO users VALUES (%d, 'ann', 7)", key))
	shard, f := c.shardOf(key).Connect(t), c.frames()
	run(t, c.connect(), "ALTER TABLE users ADD COLUMN d date, ADD COLUMN f real, ADD COLUMN i int")
	write := fmt.Sprintf("P . UPDATE users SET d = $2, f = $3, i = $4 WHERE id = $1 | B . . %d,2020-02-02T10:00,0.1,%%s | E . | S", key)
	read := fmt.Sprintf("P . SELECT age FROM users WHERE id = $1 AND d >= $2 | B . . %d,2020-02-02T10:00 | E . | S", key)
	for range 3 {
		f.want(fmt.Sprintf(write, "7"), "1 2 C:UPDATE_1 Z:I")
		f.want(read, "1 2 D:7 C:SELECT_1 Z:I")
	}
	run(t, shard, "ALTER TABLE users ALTER COLUMN d TYPE timestamp, ALTER COLUMN f TYPE float8, ALTER COLUMN i TYPE numeric")
	f.want(read, "1 2 C:SELECT_0 Z:I")
	f.want(fmt.Sprintf(write, "7.5"), "1 2 C:UPDATE_1 Z:I")
	f.want(read, "1 2 D:7 C:SELECT_1 Z:I")
	wantValue(t, shard, "SELECT concat(d, ' ', f, ' ', i) FROM users WHERE id = "+strconv.FormatInt(key, 10), "2020-02-02 10:00:00 0.1 7.5")
}

// TestWritesThatAreFrequent: in a transaction block and outside, with errors.
func TestWritesThatAreFrequent(t *testing.T) {
	c := start(t, options{shards: 2})
	key := c.keys(1)[0]
	conn := c.connect()
	run(t, conn, fmt.Sprintf("INSERT INTO users VALUES (%d, 'ann', 7)", key))
	for range 3 {
		err := pgx.BeginFunc(background, conn, func(tx pgx.Tx) error {
			if _, err := tx.Exec(background, "UPDATE users SET age = age + 1 WHERE id = $1", pgx.QueryExecModeExec, key); err != nil {
				return err
			}
			var age int
			return tx.QueryRow(background, "SELECT age FROM users WHERE id = $1", pgx.QueryExecModeExec, key).Scan(&age)
		})
		must(t, err)
	}
	wantValue(t, conn, fmt.Sprintf("SELECT age::text FROM users WHERE id = %d", key), "10")
	for range 2 {
		_, err := conn.Exec(context.Background(), "UPDATE users SET age = age / ($2::int - 1) WHERE id = $1", pgx.QueryExecModeExec, key, 1)
		wantCode(t, err, "22012")
		_, err = conn.Exec(context.Background(), "UPDATE users SET age = $2 WHERE id = $1", pgx.QueryExecModeExec, key, "x")
		wantCode(t, err, "22P02")
	}
	wantValue(t, conn, fmt.Sprintf("SELECT age::text FROM users WHERE id = %d", key), "10")
}

// TestWhatComesWithAFrequentBind: a statement that is not what it was is answered as the client has asked, whatever came with its Bind.
func TestWhatComesWithAFrequentBind(t *testing.T) {
	c := start(t, options{shards: 2})
	key := c.keys(1)[0]
	run(t, c.connect(), fmt.Sprintf("INSERT INTO users VALUES (%d, 'ann', 7); INSERT INTO notes VALUES (%[1]d, 1, 'a'), (%[1]d, 2, 'b')", key))
	shard, f := c.shardOf(key).Connect(t), c.frames()
	bind := fmt.Sprintf(" | B . . %d", key)
	scripts := map[string]string{
		"all":       "P . SELECT * FROM notes WHERE user_id = $1 ORDER BY n" + bind + " | DP . | E . | S",
		"bare":      "P . SELECT * FROM notes WHERE user_id = $1 ORDER BY n" + bind + " | E . | S",
		"limit":     "P . SELECT * FROM notes WHERE user_id = $1 ORDER BY n" + bind + " | DP . | E . 1 | S",
		"statement": "P . SELECT * FROM notes WHERE user_id = $1 ORDER BY n | DS ." + bind + " | E . | S",
		"late":      "P . SELECT * FROM notes WHERE user_id = $1 ORDER BY n" + bind + " | DS . | E . | S",
		"two":       "P . SELECT * FROM notes WHERE user_id = $1 ORDER BY n" + bind + " | E ." + bind + " | E . | S",
		"named":     strings.ReplaceAll("P . SELECT * FROM notes WHERE user_id = $1 ORDER BY n"+bind+" | DP p | E p | S", "| B . .", "| B p ."),
	}
	kind := []string{"int", "bigint", "numeric", "text"}
	for round := range 4 {
		for name, script := range scripts {
			for range 2 {
				if got := f.ask(script); strings.Contains(got, "E:") || !strings.Contains(got, ",a") {
					t.Fatalf("%s: %s", name, got)
				}
			}
		}
		if round%2 == 0 {
			run(t, shard, "ALTER TABLE notes ADD COLUMN more "+kind[round]+" DEFAULT 5")
		} else {
			run(t, shard, "ALTER TABLE notes DROP COLUMN more")
		}
		for name, script := range scripts {
			got := f.ask(script)
			if strings.Contains(got, "E:") || strings.Contains(got, ",a,5") != (round%2 == 0) || (name == "limit") != strings.Contains(got, " s ") {
				t.Errorf("round %d, %s: %s", round, name, got)
			}
		}
	}
}
