package proxy_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgring/pgring/internal/pgtest"
)

func TestInsertsOverShardsAnswerAsPostgres(t *testing.T) {
	t.Parallel()
	w := startTwin(t, options{})
	var many strings.Builder
	for i := range 400 {
		fmt.Fprintf(&many, "%s(%d, 'name %d', %d)", []string{"", ", "}[min(i, 1)], 10000+i, i, i%7)
	}
	params := "P . INSERT INTO users VALUES ($1, $2, 1), ($3, $4, 2), ($5, 'five', $6) RETURNING id, age | "
	sameAll(t, w, w.apart([][2]string{
		{"plain", "Q INSERT INTO users VALUES (101, 'x', 1), (102, 'y', 2), (103, NULL, -3), (104, 'z', DEFAULT)"},
		{"columns in another order", "Q INSERT INTO users (age, name, id) VALUES (1, 'x', 101), (2, 'y', 102), (3, E'it\\'s', 103)"},
		{"returning in the order of the rows", "Q INSERT INTO users VALUES (105, 'x', 1), (101, 'y', 2), (104, 'w', 3), (103, 'v', 4), (102, 'u', 5) RETURNING id, upper(name), age + 1"},
		{"many", "Q INSERT INTO users VALUES " + many.String() + " RETURNING id"},
		{"expressions", "Q INSERT INTO users VALUES (101, 'x' || 'y', 1 + 1), (102, upper('y'), 2), ('103', (SELECT name FROM countries WHERE code = 'de'), 3)"},
		{"casts of the key", "Q INSERT INTO users VALUES ('101'::bigint, 'x', 1), (102::int, 'y', 2), (CAST('103' AS bigint), 'z', 3)"},
		{"conflicts skipped", "Q INSERT INTO users VALUES (101, 'x', 1), ({a}, 'y', 2), ({b}, 'z', 3) ON CONFLICT DO NOTHING"},
		{"conflicts updated", "Q INSERT INTO users VALUES (101, 'x', 1), ({a}, 'y', 20), ({b}, 'z', 30) ON CONFLICT (id) DO UPDATE SET age = excluded.age + users.age RETURNING age"},
		{"duplicate key undoes all", "Q INSERT INTO users VALUES (101, 'x', 1), ({b}, 'y', 2), (103, 'z', 3) | Q SELECT 1"},
		{"NULL key", "Q INSERT INTO users (age, id) VALUES (1, 101), (2, 102), (3, 103); SELECT count(*) FROM users"},
		{"a wrong value and its place", "Q INSERT INTO users VALUES (101, 'x', 1), (102, 'y', 'two'), (103, 'z', 3)"},
		{"a wrong value behind wide characters", "Q   INSERT INTO users VALUES (101, 'ü', 1), (104, 'äöü', 4), (102, 'y', 1.5e400), (103, 'z', 3)"},
		{"too many values in a row", "Q INSERT INTO users VALUES (101, 'x', 1), (102, 'y', 2, 2), (103, 'z', 3)"},
		{"a column that is not there", "Q INSERT INTO users (id, nothing) VALUES (101, 'x'), (102, 'y')"},
		{"an error while it runs", "Q INSERT INTO users VALUES (101, 'x', 1), (102, 'y', 1 / (2 - 2)), (103, 'z', 3) RETURNING id"},
		{"among other statements", "Q SELECT 1; INSERT INTO users VALUES (101, 'x', 1), (102, 'y', 2), (103, 'z', 3); SELECT count(*) FROM users; UPDATE users SET age = 0 WHERE id = {a}"},
		{"undone by a later statement", "Q INSERT INTO users VALUES (101, 'x', 1), (102, 'y', 2), (103, 'z', 3); SELECT 1/0"},
		{"its error undoes earlier statements", "Q UPDATE users SET age = 0 WHERE id = {a}; INSERT INTO users VALUES (101, 'x', 1), ({b}, 'y', 2), (103, 'z', 3)"},
		{"parameters", params + "B . . 101,x,102,y,103,6 | DP . | E . | S | B . . 104,x,105,y,106,7 | E . | S"},
		{"parameters described", params + "DS . | S"},
		{"NULL parameters", params + "B . . 101,NULL,102,NULL,103,NULL | E . | S"},
		{"parameters without a type", "P . INSERT INTO users VALUES ($2, $1, NULL), ($4, $3, NULL), ($5, $6, NULL) ON CONFLICT (id) DO UPDATE SET age = $7 | B . . x,{a},y,{b},{c},z,70 | E . | S"},
		{"undone by an error in the pipeline", params + "B . . 101,x,102,y,103,6 | E . | P . SELECT 1/0 | B . . | E . | S"},
		{"undoes what came before in the pipeline", "P u UPDATE users SET age = 50 WHERE id = $1 | B . u {c} | E . | " + params + "B . . {b},x,102,y,103,6 | E . | S"},
		{"two in a pipeline with others", params + "B . . 101,x,102,y,103,6 | E . | P u UPDATE users SET age = 50 WHERE id = $1 | B . u {c} | E . | P g SELECT count(*), sum(age) FROM users | B . g | E . | P i INSERT INTO users VALUES ($1, 'a', 1), ($2, 'b', 2) | B . i 201,202 | E . | S"},
		{"then BEGIN in the pipeline", params + "B . . 101,x,102,y,103,6 | E . | P . BEGIN | B . . | E . | P . ROLLBACK | B . . | E . | S"},
		{"then COMMIT in the pipeline", params + "B . . 101,x,102,y,103,6 | E . | P . COMMIT | B . . | E . | P . SELECT 1/0 | B . . | E . | S"},
		{"then a Query without Sync", params + "B . . 101,x,102,y,103,6 | E . | Q SELECT count(*) FROM users | S"},
		{"executed twice", params + "B . . 101,x,102,y,103,6 | E . | E . | S"},
		{"PREPARE and EXECUTE", "Q PREPARE i AS INSERT INTO users VALUES ($1, 'x', $2), ($3, 'y', $2), (103, 'z', 3) RETURNING id | Q EXECUTE i (101, 5, 102)"},
		{"home and reference tables", "Q INSERT INTO things VALUES (11, 'x'), (12, 'y'), (13, 'z') RETURNING x | Q INSERT INTO countries VALUES ('fr', 'France'), ('it', 'Italy')"},
	}))
	if plans := w.server.Stats().Plans["split"]; plans < 25 {
		t.Errorf("only %d statements were split", plans)
	}
}

// apart puts keys of different shards in the place of 101, 102 and 103, and of 104 to 106.
func (w *twin) apart(scripts [][2]string) [][2]string {
	var pairs []string
	id := int64(1000)
	for n := range 6 {
		for w.shardOf(id) != w.shardOf(w.keys3[n%3]) {
			id++
		}
		pairs = append(pairs, fmt.Sprint(101+n), fmt.Sprint(id))
		id++
	}
	for i := range scripts {
		scripts[i][1] = strings.NewReplacer(pairs...).Replace(scripts[i][1])
	}
	return scripts
}

func TestWritesWithoutAKeyAnswerAsPostgres(t *testing.T) {
	t.Parallel()
	w := startTwin(t, options{})
	sameAll(t, w, [][2]string{
		{"returning, described", "P . UPDATE users SET age = 9 WHERE age = $1 RETURNING id, name | DS . | B . . 3 | DP . | E . | S"},
		{"update all", "Q UPDATE users SET age = age + 10"},
		{"update some", "Q UPDATE users SET name = upper(name) WHERE age > 1"},
		{"update by list", "Q UPDATE users SET age = 7 WHERE id IN ({a}, {b}, 999)"},
		{"update by array", "P . UPDATE users SET age = 7 WHERE id = ANY($1) | B . . {{a}} | E . | S"},
		{"update from a reference table", "Q UPDATE users SET name = c.name FROM countries c WHERE c.code = 'de'"},
		{"update from a colocated table", "Q UPDATE users SET age = n.n FROM notes n WHERE n.user_id = users.id AND n.n = 4"},
		{"update nothing", "Q UPDATE users SET age = 7 WHERE age = 1000"},
		{"update with an error", "Q UPDATE users SET age = 1 / (age - 2) | Q SELECT 1"},
		{"update with a place", "Q UPDATE users SET age = 'x' WHERE age > 0"},
		{"delete all", "Q DELETE FROM users"},
		{"delete some", "Q DELETE FROM notes WHERE n % 2 = 0 AND EXISTS (SELECT FROM countries)"},
		{"delete using", "Q DELETE FROM notes USING users WHERE user_id = id AND age < 3"},
		{"parameters", "P d DELETE FROM notes WHERE n > $1 | B . d 3 | E . | S | B . d 1 | DP . | E . | S"},
		{"returning one row", "Q DELETE FROM users WHERE age = 2 RETURNING * | P . UPDATE users SET age = 9 WHERE age = $1 RETURNING id, name | DS . | B . . 3 | DP . | E . | S"},
		{"insert from a query", "Q DELETE FROM notes WHERE n > 2; INSERT INTO notes SELECT id, 10, name FROM users RETURNING 1; INSERT INTO notes SELECT user_id, n + 10, body FROM notes ON CONFLICT DO NOTHING"},
		{"in a script", "Q UPDATE users SET age = 1; DELETE FROM notes WHERE n = 1; SELECT sum(age) FROM users"},
		{"pipeline with an error", "P u UPDATE users SET age = age + 1 | B . u | E . | P . SELECT 1/0 | B . . | E . | S"},
	})
}

// TestSplitWritesInABlockAreRefused: a transaction block may write one shard.
func TestSplitWritesInABlockAreRefused(t *testing.T) {
	t.Parallel()
	w := startTwin(t, options{})
	w.reset(t)
	f := w.frames()
	f.want("Q BEGIN", "C:BEGIN Z:T")
	if got := f.ask("Q UPDATE users SET age = 99"); !strings.HasPrefix(got, "E:0A000:transaction_would_write_to_more_than_one_shard") || !strings.HasSuffix(got, " Z:E") {
		t.Fatalf("got %s", got)
	}
	f.want("Q COMMIT", "C:ROLLBACK Z:I")
	wantValue(t, w.connect(), "SELECT count(*) FROM users WHERE age = 99", "0")
}

func TestCopyIntoShardsAnswersAsPostgres(t *testing.T) {
	t.Parallel()
	w := startTwin(t, options{})
	in := "Q COPY users FROM STDIN | "
	csv := "Q COPY users FROM STDIN (FORMAT csv) | "
	ext := "P . COPY users FROM STDIN | B . . | E . | S | "
	sameAll(t, w, w.apart([][2]string{
		{"rows", in + "d 101	five	5\\n | D 102	six	\\\\N\\n103	\\\\\\\\x	7\\n | D 104	y | D 	8\\n | c | Q SELECT 1"},
		{"nothing", in + "c | Q SELECT 1"},
		{"no newline at the end", in + "d 101	five	5\\n102	six	6\\n103	x	7 | c"},
		{"end marker", in + "d 101	five	5\\n102	six	6\\n\\\\.\\n103	x	7\\nrubbish | c"},
		{"columns", "Q COPY users (name, id) FROM STDIN | D x	101\\ny	102\\nz	103\\n | c"},
		{"carriage returns", in + "d 101	x	1\\r\\n102	y	2\\r\\n103	z	3\\r\\n | c"},
		{"newlines of two kinds", in + "d 101	x	1\\n102	y	2\\r\\n103	z	3\\n | c"},
		{"escaped newline", in + "d 101	a\\\\\\nb	1\\n102	c\\\\nd	2\\n103	z	3\\n | c"},
		{"wrong key", in + "d 101	x	1\\n102	y	2\\nzehn	z	3\\n103	z	3\\n | c | Q SELECT 1"},
		{"wrong value", in + "d 101	x	1\\n102	y	2\\n103	z	drei\\n104	z	3\\n | c | Q SELECT 1"},
		{"NULL key", in + "d 101	x	1\\n102	y	2\\n\\\\N	z	3\\n | c | Q SELECT 1"},
		{"missing column", in + "d 101	x	1\\n102	y	2\\n103	z\\n | c | Q SELECT 1"},
		{"extra column", in + "d 101	x	1\\n102	y	2	2\\n103	z	3\\n | c | Q SELECT 1"},
		{"empty line", in + "d 101	x	1\\n\\n102	y	2\\n | c | Q SELECT 1"},
		{"duplicate key", in + "d 101	x	1\\n{b}	y	2\\n103	z	3\\n | c | Q SELECT 1"},
		{"given up", in + "d 101	x	1\\n102	y	2\\n | f changed my mind | Q SELECT 1"},
		{"Flush and Sync on the way", in + "d 101	x	1\\n | F | S | D 102	y	2\\n | c | Q SELECT 1"},
		{"csv", csv + "d 101,\"a,b\",5\\n102,\"say \"\"x\"\"\",\\n\"103\",,7\\n | c"},
		{"csv over lines", csv + "d 101,\"a\\nb\\n\\nc\",5\\n102,\"\",1\\n103,x,zz\\n | c"},
		{"csv with a header", "Q COPY users FROM STDIN (FORMAT csv, HEADER) | D id,name,age\\n101,x,1\\n102,y,2\\n103,z,x\\n | c"},
		{"csv with a matching header", "Q COPY users FROM STDIN (FORMAT csv, HEADER match) | D id,name,age\\n101,x,1\\n102,y,2\\n | c | Q COPY users FROM STDIN (FORMAT csv, HEADER match) | D name,id,age\\n | c | Q SELECT 1"},
		{"csv with options", "Q COPY users FROM STDIN (FORMAT csv, DELIMITER '|', QUOTE '''', ESCAPE '\\', NULL 'nil', FORCE_NOT_NULL (name)) | D 101; | c | Q SELECT 1"},
		{"csv unterminated", csv + "d 101,x,1\\n102,\"y,2\\n103,z,3\\n | c | Q SELECT 1"},
		{"where", "Q COPY users FROM STDIN WHERE age > 1 | D 101	x	1\\n102	y	2\\n103	z	3\\n | c"},
		{"a table column that is not there", "Q COPY users (id, nothing) FROM STDIN | D 101	x\\n | c | Q SELECT 1"},
		{"in a script", "Q UPDATE users SET age = 50 WHERE id = {a}; COPY users FROM STDIN; SELECT count(*) FROM users | D 101	x	1\\n102	y	2\\n103	z	3\\n | c"},
		{"undone by a later statement", "Q COPY users FROM STDIN; SELECT 1/0 | D 101	x	1\\n102	y	2\\n103	z	3\\n | c"},
		{"extended", ext + "d 101	x	1\\n102	y	2\\n103	z	3\\n | c | S | Q SELECT 1"},
		{"extended, wrong value", ext + "d 101	x	1\\n102	y	zwei\\n103	z	3\\n | c | S | Q SELECT 1"},
		{"extended, given up", ext + "d 101	x	1\\n | f no | S | Q SELECT 1"},
		{"extended, among others", "P u UPDATE users SET age = 50 WHERE id = $1 | S | B . u {a} | E . | P . COPY users FROM STDIN | B . . | E . | D 101	x	1\\n102	y	2\\n103	z	3\\n | c | B . u {b} | E . | P . SELECT 1/0 | B . . | E . | S"},
		{"reference table", "Q COPY countries FROM STDIN | D fr	France\\nit	Italy\\n | c | Q SELECT count(*) FROM countries"},
		{"reference table, wrong", "Q COPY countries FROM STDIN | D fr	France\\nde	Germany\\n | c | Q SELECT count(*) FROM countries"},
	}))
	if plans := w.server.Stats().Plans["split"]; plans < 30 {
		t.Errorf("only %d statements were split", plans)
	}
}

// TestCopyErrorsTellTheClientsLine compares all fields of errors in the middle of many rows.
func TestCopyErrorsTellTheClientsLine(t *testing.T) {
	t.Parallel()
	w := startTwin(t, options{})
	for _, test := range []struct{ name, copy, wrong string }{
		{"value", "COPY users FROM STDIN", "777\tx\tzz\n"},
		{"key", "COPY users FROM STDIN", "sieben\tx\t1\n"},
		{"missing column", "COPY users FROM STDIN", "777\n"},
		{"extra column", "COPY users FROM STDIN", "777\tx\t1\t1\n"},
		{"NULL key", "COPY users FROM STDIN", "\\N\tx\t1\n"},
		{"escaped key", "COPY users (age, id, name) FROM STDIN", "5\t7a\\t7\tx\n"},
		{"csv value", "COPY users FROM STDIN (FORMAT csv)", "777,\"x\n\ny\",zz\n"},
		{"csv quote", "COPY users FROM STDIN (FORMAT csv)", "777,\"x,1\n"},
		{"csv with a header", "COPY users FROM STDIN (FORMAT csv, HEADER)", "777,x,zz\n"},
		{"duplicate", "COPY users FROM STDIN", "5\tx\t1\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w.reset(t)
			var data strings.Builder
			pattern := "%d\tname %d\t1\n"
			if strings.Contains(test.copy, "csv") {
				pattern = "%d,\"name\n%d\",1\n"
			}
			if strings.Contains(test.copy, "age, id") {
				pattern = "1\t%d\tname %d\n"
			}
			row := func(i int) { fmt.Fprintf(&data, pattern, i+4, i) }
			for i := range 5000 {
				if i == 3000 {
					data.WriteString(test.wrong)
				}
				row(i)
			}
			var got [2]error
			for i, conn := range []*pgx.Conn{w.plain.Connect(t), w.connect()} {
				_, got[i] = conn.PgConn().CopyFrom(background, strings.NewReader(data.String()), test.copy)
			}
			want, have := errorText(got[0]), errorText(got[1])
			if want == "" || want != have {
				t.Errorf("PostgreSQL: %s\n    pgring: %s", want, have)
			}
			wantValue(t, w.connect(), "SELECT count(*) FROM users", "3")
		})
	}
}

// errorText shows what a server's error says, without where in its source it comes from.
func errorText(err error) string {
	var e *pgconn.PgError
	if !errors.As(err, &e) {
		return ""
	}
	return strings.Join([]string{e.Severity, e.Code, e.Message, e.Detail, e.Where, e.TableName, e.ColumnName, e.ConstraintName}, " | ")
}

func TestBinaryCopyIntoShards(t *testing.T) {
	t.Parallel()
	w := startTwin(t, options{})
	w.reset(t)
	const rows = 30000
	source := func() pgx.CopyFromSource {
		return pgx.CopyFromSlice(rows, func(i int) ([]any, error) {
			return []any{strings.Repeat("x", i%300), int64(i + 1000), nil}, nil
		})
	}
	conn := w.connect()
	n, err := conn.CopyFrom(background, pgx.Identifier{"users"}, []string{"name", "id", "age"}, source())
	if err != nil || n != rows {
		t.Fatal(n, err)
	}
	right := int64(0)
	for _, s := range w.servers {
		right += pgtest.One[int64](t, s, "SELECT count(*) FROM users WHERE length(name) = (id - 1000) % 300 AND age IS NULL")
	}
	if right != rows {
		t.Errorf("%d of %d rows are right", right, rows)
	}
	for i, key := range w.keys3 {
		if countOn(t, w.shardOf(key), "users") < rows/10 {
			t.Errorf("shard %d has too few rows", i)
		}
	}
	_, err = conn.CopyFrom(background, pgx.Identifier{"users"}, []string{"name", "id", "age"}, source())
	wantCode(t, err, "23505")
	wantValue(t, conn, "SELECT count(*) FROM users", fmt.Sprint(rows+3))
}
