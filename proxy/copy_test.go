package proxy_test

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgring/pgring/backend"
	"github.com/pgring/pgring/internal/pgtest"
)

func TestCopyAnswersAsPostgres(t *testing.T) {
	t.Parallel()
	w := startTwin(t, options{pool: backend.Config{Size: 1}})
	in := "Q COPY things FROM STDIN | "
	ext := "P . COPY things FROM STDIN | B . . | E . | S | " // with its Sync at once, as libpq sends it
	sameAll(t, w, [][2]string{
		{"in", in + "d 5	five | d 6	six | c | Q SELECT 1"},
		{"in, nothing", in + "c | Q SELECT 1"},
		{"in, wrong row", in + "d 5	five | d x	six | d 7	seven | c | Q SELECT 1"},
		{"in, wrong row at once", in + "d x	six | c | Q SELECT 1"},
		{"in, duplicate key at the end", in + "d 5	five | d 1	one | c | Q SELECT 1"},
		{"in, given up", in + "d 5	five | f changed my mind | Q SELECT 1"},
		{"in, Flush and Sync on the way", in + "d 5	five | F | S | d 6	six | c | Q SELECT 1"},
		{"in a block", "Q BEGIN | " + in + "d 5	five | c | Q COMMIT"},
		{"in a block that fails", "Q BEGIN | " + in + "d x	five | c | Q SELECT 1 | Q COMMIT"},
		{"in, between statements of one message", "Q INSERT INTO things VALUES (9, 'nine'); COPY things FROM STDIN; SELECT count(*) FROM things | d 5	five | c"},
		{"in, between statements, failing", "Q INSERT INTO things VALUES (9, 'nine'); COPY things FROM STDIN; SELECT 5 | d x	five | c | Q SELECT 1"},
		{"two in one message", "Q COPY things FROM STDIN; COPY things FROM STDIN | d 5	five | c | d 6	six | c"},
		{"extended", ext + "d 5	five | d 6	six | c | S | Q SELECT 1"},
		{"extended, wrong row", ext + "d 5	five | d x	six | c | S | Q SELECT 1"},
		{"extended, given up", ext + "d 5	five | f no | S | Q SELECT 1"},
		{"extended, after other statements", "P u UPDATE users SET age = 50 WHERE id = $1 | S | P . COPY things FROM STDIN | B . . | E . | d 5	five | c | P . SELECT 2 | B . . | E . | S"},
		{"extended, failing undoes the unit", "P u UPDATE things SET y = 'u' WHERE x = 1 | S | B . u | E . | P . COPY things FROM STDIN | B . . | E . | d x	five | c | S"},
		{"a table that is not there", "Q COPY nothing FROM STDIN | d 5	five | c | Q SELECT 1"},
		{"out", "Q COPY things TO STDOUT | Q COPY (SELECT y FROM things ORDER BY x DESC) TO STDOUT WITH (FORMAT csv)"},
		{"out, failing", "Q COPY (SELECT 1/(x-2) FROM things ORDER BY x) TO STDOUT | Q SELECT 1"},
		{"out, extended", "P . COPY things TO STDOUT | DS . | B . . | E . | S | Q SELECT 1"},
		{"a query out of shards", "Q COPY (SELECT avg(age), count(*) FROM users) TO STDOUT | Q COPY (SELECT n, count(*) FROM notes GROUP BY n ORDER BY n) TO STDOUT (FORMAT csv, HEADER) | Q COPY (SELECT name FROM users ORDER BY name LIMIT 2) TO STDOUT (FORMAT binary) | Q COPY (TABLE users ORDER BY name DESC) TO STDOUT"},
		{"out of shards, failing", "Q COPY users TO STDOUT (FORMAT wrong) | Q COPY (SELECT 1/(age-1) FROM users ORDER BY age) TO STDOUT | Q COPY (SELECT wrong FROM users ORDER BY 1) TO STDOUT | Q COPY (SELECT wrong FROM users) TO STDOUT | Q COPY users (wrong) TO STDOUT | Q SELECT avg(age) FROM users"},
		{"out of shards, extended", "P . COPY (SELECT avg(age) FROM users) TO STDOUT | B . . | DP . | E . | S | P c COPY (SELECT name FROM users WHERE age IN (2, 4)) TO STDOUT CSV | DS c | B . c | DP . | E . | B . c | E . | S"},
		{"out of shards in a block", "Q BEGIN | Q UPDATE users SET age = 9 WHERE id = {b} | Q COPY (SELECT name FROM users WHERE age = 9) TO STDOUT | Q COPY (SELECT sum(DISTINCT age) FROM users) TO STDOUT | Q ROLLBACK | Q BEGIN | Q COPY (SELECT 1/(age-age) FROM users) TO STDOUT CSV | Q SELECT 1 | Q ROLLBACK | Q SELECT 2; COPY (SELECT name FROM users WHERE age > 2) TO STDOUT; SELECT 3"},
		{"out in a block", "Q BEGIN | Q COPY things TO STDOUT | Q COMMIT"},
		{"stray frames", "d 1	x | c | Q SELECT 1 | f x | P . SELECT 2 | B . . | d x | E . | S"},
	})
}

func TestCopyThroughADriver(t *testing.T) {
	t.Parallel()
	c := start(t, options{pool: backend.Config{Size: 1}})
	conn, other := c.connect(), c.connect()
	run(t, conn, "CREATE TABLE logs (n int PRIMARY KEY, line text)")
	const rows = 20000
	n, err := conn.CopyFrom(background, pgx.Identifier{"logs"}, []string{"n", "line"}, pgx.CopyFromSlice(rows, func(i int) ([]any, error) {
		return []any{i, fmt.Sprint("line ", i)}, nil
	}))
	must(t, err)
	if n != rows {
		t.Fatalf("%d rows copied", n)
	}
	wantValue(t, other, "SELECT sum(n) FROM logs", fmt.Sprint(rows*(rows-1)/2))
	_, err = conn.CopyFrom(background, pgx.Identifier{"logs"}, []string{"n", "line"}, pgx.CopyFromSlice(rows, func(i int) ([]any, error) {
		return []any{rows + i/2, "again"}, nil
	}))
	wantCode(t, err, "23505")
	wantValue(t, conn, "SELECT count(*) FROM logs", fmt.Sprint(rows))
	var out bytes.Buffer
	_, err = conn.PgConn().CopyTo(background, &out, "COPY (SELECT n FROM logs ORDER BY n) TO STDOUT")
	must(t, err)
	if lines := strings.Count(out.String(), "\n"); lines != rows {
		t.Fatalf("%d lines came back", lines)
	}
}

// TestErrorInTheMiddleOfACopyIsToldAtOnce has the client stop in the middle of a frame: it must hear of the error before it goes on.
func TestErrorInTheMiddleOfACopyIsToldAtOnce(t *testing.T) {
	t.Parallel()
	c := start(t, options{shards: 1, pool: backend.Config{Size: 1}})
	run(t, c.connect(), "CREATE TABLE logs (n int)")
	for _, test := range []struct{ name, half, rest string }{
		{"between frames", "", ""},
		{"after a type byte", "d", "\x00\x00\x00\x061\n"},
		{"in the middle of a frame", "d\x00\x00\x00\x081", "2\n\\"},
		{"in the middle of a large frame", "d\x00\x01\x00\x04" + strings.Repeat("1\n", 20000), strings.Repeat("1\n", 1<<15-20000)},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := openFrames(t, c.dsn())
			f.send(parseScript(t, "Q COPY logs FROM STDIN")...)
			f.until("G")
			f.send(parseScript(t, "d wrong")...)
			// More than the server's buffer, so that it looks at the wrong row.
			f.send(&pgproto3.CopyData{Data: bytes.Repeat([]byte("1\n"), 1<<16)})
			_, err := io.WriteString(f.conn, test.half)
			must(t, err)
			trace := strings.Join(f.until("Z:"), " ")
			if !strings.HasPrefix(trace, "E:22P02:") || !strings.HasSuffix(trace, " Z:I") {
				t.Fatalf("got %s", trace)
			}
			_, err = io.WriteString(f.conn, test.rest)
			must(t, err)
			f.send(parseScript(t, "c")...)
			f.want("Q SELECT count(*) FROM logs", "T:count/20/-1/0/0 D:0 C:SELECT_1 Z:I")
		})
	}
}

// TestQueriesSentInPiecesAfterACopy looks for a wake-up of the COPY that comes too late and interrupts the next read.
func TestQueriesSentInPiecesAfterACopy(t *testing.T) {
	t.Parallel()
	c := start(t, options{shards: 1})
	run(t, c.connect(), "CREATE TABLE logs (n int)")
	f := c.frames()
	query := append([]byte{'Q', 0, 0, 0, 9 + 4}, "SELECT 5\x00"...)
	for range 300 {
		f.send(parseScript(t, "Q COPY logs FROM STDIN | d 1 | c")...)
		_, err := f.conn.Write(query[:7])
		must(t, err)
		f.until("Z:")
		_, err = f.conn.Write(query[7:])
		must(t, err)
		if got := strings.Join(f.until("Z:"), " "); got != "T:?column?/23/-1/0/0 D:5 C:SELECT_1 Z:I" {
			t.Fatalf("got %s", got)
		}
	}
}

func TestClientGoneInTheMiddleOfACopyLeavesNothing(t *testing.T) {
	t.Parallel()
	c := start(t, options{shards: 1, pool: backend.Config{Size: 1}})
	conn := c.connect()
	run(t, conn, "CREATE TABLE logs (n int)")
	for _, script := range []string{"Q COPY logs FROM STDIN", "P . COPY logs FROM STDIN | B . . | E . | S", "Q BEGIN | Q COPY logs FROM STDIN"} {
		f := c.frames()
		f.send(parseScript(t, script)...)
		f.until("G")
		f.send(parseScript(t, "d 1 | d 2")...)
		_, err := f.conn.Write([]byte{'d', 0, 0, 1, 0, '3'})
		must(t, err)
		must(t, f.conn.Close())
		wantValue(t, conn, "SELECT count(*) FROM logs", "0") // waits for the only connection
		waitFor(t, "the server to end the COPY", func() bool {
			return pgtest.One[int64](t, c.servers[0], "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'COPY%' AND state <> 'idle'") == 0
		})
	}
	f := c.frames()
	f.send(parseScript(t, "Q COPY (SELECT repeat('x', 1000) FROM generate_series(1, 100000)) TO STDOUT")...)
	f.until("d:")
	must(t, f.conn.Close())
	wantValue(t, conn, "SELECT count(*) FROM logs", "0")
}

// TestNoticesDuringACopy sends far more notices than buffers hold while the client writes and does not read.
func TestNoticesDuringACopy(t *testing.T) {
	t.Parallel()
	c := start(t, options{shards: 1})
	conn := c.connect()
	run(t, conn, `CREATE TABLE logs (n int);
		CREATE FUNCTION chatter() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE NOTICE '%', repeat('x', 500); RETURN NEW; END$$;
		CREATE TRIGGER chatter BEFORE INSERT ON logs FOR EACH ROW EXECUTE FUNCTION chatter()`)
	const rows = 20000
	f := c.frames()
	f.send(parseScript(t, "Q COPY logs FROM STDIN")...)
	f.until("G")
	sent := make(chan error, 1)
	go func() {
		for range rows / 100 {
			if err := f.trySend(&pgproto3.CopyData{Data: []byte(strings.Repeat("1\n", 100))}); err != nil {
				sent <- err
				return
			}
		}
		sent <- f.trySend(&pgproto3.CopyDone{})
	}()
	trace := f.until("Z:")
	must(t, <-sent)
	if notices := len(trace) - 2; notices != rows || trace[rows] != fmt.Sprintf("C:COPY_%d", rows) {
		t.Fatalf("%d notices, then %s", notices, strings.Join(trace[max(0, len(trace)-3):], " "))
	}
}

func TestBigCopyNeedsLittleMemory(t *testing.T) {
	c := start(t, options{shards: 1})
	conn := c.connect()
	run(t, conn, "CREATE UNLOGGED TABLE big (line text)")
	const size = 100 << 20
	line := []byte(strings.Repeat("x", 1023) + "\n")
	peak := watchMemory(t)
	_, err := conn.PgConn().CopyFrom(background, io.LimitReader(&endless{line: line}, size), "COPY big FROM STDIN")
	must(t, err)
	wantValue(t, conn, "SELECT count(*) FROM big", fmt.Sprint(size/1024))
	tag, err := conn.PgConn().CopyTo(background, io.Discard, "COPY big TO STDOUT")
	must(t, err)
	if tag.RowsAffected() != size/1024 {
		t.Fatalf("%s", tag)
	}
	if grown := peak(); grown > 20<<20 {
		t.Fatalf("the heap grew by %d MiB", grown>>20)
	}
}

// endless repeats a line.
type endless struct {
	line []byte
	at   int
}

func (e *endless) Read(p []byte) (n int, err error) {
	for n < len(p) {
		k := copy(p[n:], e.line[e.at:])
		e.at = (e.at + k) % len(e.line)
		n += k
	}
	return n, nil
}

// watchMemory samples the heap until the function that it returns is called, which says by how much it grew at most.
func watchMemory(t *testing.T) func() uint64 {
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	stop, done := make(chan struct{}), make(chan uint64, 1)
	go func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		most := before.HeapInuse
		for {
			select {
			case <-stop:
				done <- most - before.HeapInuse
				return
			case <-tick.C:
				runtime.ReadMemStats(&now)
				most = max(most, now.HeapInuse)
			}
		}
	}()
	t.Log("heap in use before:", before.HeapInuse>>10, "KiB")
	return func() uint64 { close(stop); return <-done }
}

// TestCopyOutOfShards compares the lines, whose order is free, and has PostgreSQL read the binary data.
func TestCopyOutOfShards(t *testing.T) {
	t.Parallel()
	w := startTwin(t, options{})
	w.reset(t)
	through, plain := w.connect(), w.direct[len(w.direct)-1]
	run(t, plain, "CREATE TABLE again (LIKE notes)")
	for _, empty := range []bool{false, true} {
		for _, sql := range []string{
			"COPY users TO STDOUT", "COPY users (name, id) TO STDOUT CSV HEADER", "COPY users TO STDOUT (FORMAT text, HEADER)",
			"COPY users TO STDOUT WITH (FORMAT csv, HEADER false, FORCE_QUOTE *)", "COPY notes TO STDOUT CSV HEADER",
			"COPY (SELECT name, repeat(name, 10000) FROM users WHERE age < 10) TO STDOUT (FORMAT csv, HEADER on)",
		} {
			want, got := copiedLines(t, plain, sql), copiedLines(t, through, sql)
			if !slices.Equal(got, want) {
				t.Errorf("%s\n      pgring %q\n  PostgreSQL %q", sql, got, want)
			}
		}
		var data bytes.Buffer
		_, err := through.PgConn().CopyTo(background, &data, "COPY notes TO STDOUT (FORMAT binary)")
		must(t, err)
		_, err = plain.PgConn().CopyFrom(background, &data, "COPY again FROM STDIN (FORMAT binary)")
		must(t, err)
		wantValue(t, plain, "SELECT count(*) FROM (TABLE again EXCEPT TABLE notes UNION ALL (TABLE notes EXCEPT TABLE again)) x", "0")
		wantValue(t, plain, "SELECT count(*) FROM again", map[bool]string{false: "15", true: "0"}[empty])
		for _, conn := range []*pgx.Conn{through, plain} {
			run(t, conn, "TRUNCATE users, notes")
		}
		run(t, plain, "TRUNCATE again")
	}
}

// copiedLines returns the lines of COPY TO, those behind the header sorted, and the tag.
func copiedLines(t *testing.T, conn *pgx.Conn, sql string) []string {
	t.Helper()
	var out bytes.Buffer
	tag, err := conn.PgConn().CopyTo(background, &out, sql)
	must(t, err)
	lines := strings.SplitAfter(out.String(), "\n")
	if strings.Contains(sql, "HEADER") && !strings.Contains(sql, "false") {
		slices.Sort(lines[1:])
	} else {
		slices.Sort(lines)
	}
	return append(lines, tag.String())
}
