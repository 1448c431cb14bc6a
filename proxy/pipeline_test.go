package proxy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/backend"
)

func TestPipelinesAnswerAsPostgres(t *testing.T) {
	t.Parallel()
	w := startTwin(t, options{})
	sel := "P s SELECT name FROM users WHERE id = $1 | P u UPDATE users SET age = age + 10 WHERE id = $1 | P z SELECT 1/(age-age) FROM users WHERE id = $1 | S | "
	sameAll(t, w, [][2]string{
		{"block on one key", "P . BEGIN | B . . | E . | P . UPDATE users SET age = 9 WHERE id = $1 | B . . {b} | E . | P . COMMIT | B . . | E . | S"},
		{"reads of three shards in order", sel + "B . s {c} | E . | B . s {a} | E . | B . s {b} | E . | B . s {a} | E . | S"},
		{"described reads of three shards", "P . SELECT name FROM users WHERE id = $1 | DS . | B . . {a} | DP . | E . | P . SELECT age FROM users WHERE id = $1 | B . . {b} | DP . | E . | S"},
		{"error on the first shard", sel + "B . z {a} | E . | B . s {b} | E . | S | B . s {b} | E . | S"},
		{"error on the second shard", sel + "B . s {a} | E . | B . z {b} | E . | B . s {c} | E . | S | B . s {b} | E . | S"},
		{"write undone by an error on another shard", sel + "B . u {a} | E . | B . z {b} | E . | S | B . s {a} | E . | S"},
		{"write undone by an error on its own shard", sel + "B . u {a} | E . | B . s {b} | E . | B . z {a} | E . | S"},
		{"write undone by an error of the session's own", sel + "B . u {a} | E . | B . nothing | E . | S"},
		{"write undone by an error in Parse", sel + "B . u {a} | E . | P x SELEC | S | B . s {a} | E . | S"},
		{"write undone by a gather's error", sel + "B . u {a} | E . | P g SELECT sum(1/(age-2)) FROM users | B . g | E . | S"},
		{"write, reads elsewhere, end", sel + "B . u {a} | E . | B . s {b} | E . | B . s {c} | E . | B . u {a} | E . | S"},
		{"write seen by a gather", sel + "B . u {a} | E . | P g SELECT sum(age), count(*) FROM users | B . g | E . | B . u {a} | E . | S"},
		{"error skips to Sync", sel + "B . z {a} | E . | P n SELECT 1 | DS n | CS s | B . s {a} | F | S | B . s {a} | E . | B . n | E . | S"},
		{"two units at once", sel + "B . u {a} | E . | S | B . z {a} | E . | S | B . s {b} | E . | S"},
		{"SET in it", sel + "B . s {a} | E . | P . SET work_mem TO '5MB' | B . . | E . | P . SHOW work_mem | B . . | E . | B . s {b} | E . | S"},
		{"SET in it is undone by an error", "P . SET work_mem TO '5MB' | B . . | E . | P . SELECT 1/0 | B . . | E . | S | Q SHOW work_mem"},
		{"write before SET is undone by an error", sel + "B . u {a} | E . | P . SET work_mem TO '5MB' | B . . | E . | B . z {a} | E . | S"},
		{"RESET before a write", sel + "P . RESET work_mem | B . . | E . | B . u {a} | E . | S"},
		{"local statements", sel + "B . s {a} | E . | P . BEGIN | B . . | E . | B . u {a} | E . | P .  | B . . | E . | P . ROLLBACK | B . . | E . | B . s {a} | E . | S"},
		{"write before BEGIN belongs to the block", sel + "B . u {a} | E . | P . BEGIN | B . . | E . | P . ROLLBACK | B . . | E . | S"},
		{"write before BEGIN is committed by it", sel + "B . u {a} | E . | P . BEGIN | B . . | E . | P . COMMIT | B . . | E . | B . z {a} | E . | S"},
		{"COMMIT without BEGIN commits", sel + "B . u {a} | E . | P . COMMIT | B . . | E . | B . z {a} | E . | S"},
		{"ROLLBACK without BEGIN rolls back", sel + "B . u {a} | E . | P . ROLLBACK | B . . | E . | B . u {b} | E . | S"},
		{"SAVEPOINT without BEGIN", sel + "B . u {a} | E . | P . SAVEPOINT s | B . . | E . | S"},
		{"write on another shard after a COMMIT", sel + "P . BEGIN | B . . | E . | B . u {a} | E . | P . COMMIT | B . . | E . | B . u {b} | E . | S"},
		{"two blocks in one unit", sel + "P b BEGIN | P c COMMIT | B . b | E . | B . u {a} | E . | B . c | E . | B . b | E . | B . u {b} | E . | B . c | E . | S"},
		{"error in a block, then the end in the same unit", sel + "P b BEGIN | P c COMMIT | B . b | E . | B . u {a} | E . | B . z {b} | E . | B . c | E . | S | B . c | E . | S"},
		{"a Query inside a unit", sel + "B . u {a} | E . | Q SELECT age FROM users WHERE id = {a} | B . s {a} | E . | S"},
		{"only Flush", "F | F | S"},
		{"only Sync", "S | S | S"},
		{"a key moved by hand", "P . UPDATE things SET x = $1 WHERE x = $2 | B . . 3,1 | E . | B . . 4,2 | E . | S"},
		{"duplicate key", "P i INSERT INTO users VALUES ($1, 'x', 0) | B . i {a} | E . | S | B . i {b} | E . | S"},
		{"unfinished block", sel + "P b BEGIN | B . b | E . | B . u {a} | E . | S | B . u {a} | E . | S"},
	})
}

func TestQueryMessagesAnswerAsPostgres(t *testing.T) {
	t.Parallel()
	w := startTwin(t, options{})
	sameAll(t, w, [][2]string{
		{"nothing", "Q  | Q ; | Q ;;; | Q -- comment"},
		{"nothing, in a failed block", "Q BEGIN | Q SELECT 1/0 | Q  | Q ; | Q -- comment | P . | B . . | E . | S | Q ROLLBACK"},
		{"several", "Q SELECT 1; SELECT 2; SELECT name FROM users WHERE id = {a}"},
		{"several, one wrong", "Q UPDATE users SET age = 0 WHERE id = {a}; SELECT 1/0; SELECT 2"},
		{"a syntax error anywhere runs nothing", "Q UPDATE users SET age = 0 WHERE id = {a}; SELEC 1"},
		{"COMMIT in the middle", "Q UPDATE users SET age = 0 WHERE id = {a}; COMMIT; SELECT 1/0"},
		{"ROLLBACK in the middle", "Q UPDATE users SET age = 0 WHERE id = {a}; ROLLBACK; UPDATE users SET age = 0 WHERE id = {b}"},
		{"ROLLBACK at the start", "Q ROLLBACK; SELECT 1"},
		{"SAVEPOINT without a block", "Q SELECT 1; SAVEPOINT s"},
		{"BEGIN in the middle", "Q UPDATE users SET age = 0 WHERE id = {a}; BEGIN; SELECT 1 | Q ROLLBACK"},
		{"block left open", "Q BEGIN; UPDATE users SET age = 0 WHERE id = {a} | Q COMMIT"},
		{"block failed in the middle", "Q BEGIN; SELECT 1/0; COMMIT | Q SELECT 1 | Q COMMIT; SELECT 5"},
		{"SET and SHOW", "Q SET work_mem TO '5MB'; SHOW work_mem; SELECT 1/0 | Q SHOW work_mem"},
		{"chain", "Q BEGIN ISOLATION LEVEL SERIALIZABLE; UPDATE users SET age = 0 WHERE id = {a}; COMMIT AND CHAIN; SHOW transaction_isolation; ROLLBACK"},
		{"chain without a block", "Q COMMIT AND CHAIN | Q ROLLBACK AND CHAIN"},
	})
}

func TestSecondShardsWriteInAPipelineIsRefused(t *testing.T) {
	t.Parallel()
	w := startTwin(t, options{})
	w.reset(t)
	f := w.frames()
	f.ask("P u UPDATE users SET age = 99 WHERE id = $1 | S")
	got := f.ask(w.keyed("B . u {a} | E . | B . u {b} | E . | S"))
	if !strings.HasPrefix(got, "2 C:UPDATE_1 E:0A000:") || !strings.HasSuffix(got, " Z:I") || strings.Count(got, "E:") != 1 {
		t.Fatalf("got %s", got)
	}
	wantValue(t, w.connect(), "SELECT count(*) FROM users WHERE age = 99", "0")
	f.want(w.keyed("B . u {b} | E . | S"), "2 C:UPDATE_1 Z:I")
	f.want(w.keyed("B . u {a} | E . | S"), "2 C:UPDATE_1 Z:I")
}

func TestFlushWithoutSyncGivesTheAnswers(t *testing.T) {
	t.Parallel()
	w := startTwin(t, options{})
	w.reset(t)
	f := w.frames()
	flush := func(script, last, want string) {
		t.Helper()
		f.send(parseScript(t, w.keyed(script)+" | F")...)
		if got := strings.Join(f.until(last), " "); got != want {
			t.Fatalf("%s\n got %s\nwant %s", script, got, want)
		}
	}
	flush("P q SELECT name FROM users WHERE id = $1", "1", "1")
	flush("DS q", "T:", "t:20 T:name/25/-1/2/0")
	flush("B . q {b}", "2", "2")
	flush("E .", "C:", "D:bob C:SELECT_1")
	flush("B . q {c} | E .", "C:", "2 D:cid C:SELECT_1")
	flush("P g SELECT count(*) FROM users | B . g | E .", "C:", "1 2 D:3 C:SELECT_1")
	flush("P . BEGIN | B . . | E .", "C:", "1 2 C:BEGIN")
	flush("P . SELECT 1/0 | B . . | E .", "E:", "1 E:22012:division_by_zero:0")
	f.want("S", "Z:E")
	f.want("Q ROLLBACK", "C:ROLLBACK Z:I")
}

// TestLongPipelineOfALateReader reads the first answer when thousands are on their way.
func TestLongPipelineOfALateReader(t *testing.T) {
	t.Parallel()
	c := start(t, options{pool: backend.Config{Size: 2}})
	keys := c.keys(3)
	conn := c.connect()
	for _, key := range keys {
		run(t, conn, fmt.Sprintf("INSERT INTO users VALUES (%d, repeat('x', 300), %d)", key, key))
	}
	const statements, late = 5000, 1500
	f := c.frames()
	f.ask("P q SELECT age, $2::int, name FROM users WHERE id = $1 | S")
	sent, begin := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(sent)
		for i := range statements {
			if i == late {
				close(begin)
			}
			frame := parseScript(t, fmt.Sprintf("P . SELECT age, $2::int, name, %d FROM users WHERE id = $1 | B . . %d,%d | E . | B . q %[2]d,%[3]d | E .", i%90, keys[i/7%3], i))
			if err := f.trySend(frame...); err != nil {
				sent <- err
				return
			}
		}
		sent <- f.trySend(parseScript(t, "S")...)
	}()
	<-begin
	for i := range statements {
		for _, complete := range []string{"1", "2"} {
			trace := f.until("C:SELECT_1")
			row := trace[len(trace)-2]
			if want := fmt.Sprintf("D:%d,%d,xxx", keys[i/7%3], i); trace[0] != complete || !strings.HasPrefix(row, want) {
				t.Fatalf("statement %d: got %.60s, want %s", i, row, want)
			}
		}
	}
	if got := f.next(); got != "Z:I" {
		t.Fatalf("the pipeline ends with %s", got)
	}
	must(t, <-sent)
}

func TestBatchesOfADriver(t *testing.T) {
	t.Parallel()
	c := start(t, options{pool: backend.Config{Size: 1}})
	keys := c.keys(3)
	conn := c.connect()
	batch := &pgx.Batch{}
	for n := range 30 {
		batch.Queue("INSERT INTO notes VALUES ($1, $2, $3)", keys[1], n, fmt.Sprint("note ", n))
	}
	must(t, conn.SendBatch(background, batch).Close())
	reads := &pgx.Batch{}
	for n := range 30 {
		reads.Queue("SELECT count(*) FROM notes WHERE user_id = $1 AND n <= $2", keys[n%3], n)
	}
	results := conn.SendBatch(background, reads)
	for n := range 30 {
		var got int
		must(t, results.QueryRow().Scan(&got))
		want := 0
		if n%3 == 1 {
			want = n + 1
		}
		if got != want {
			t.Fatalf("read %d gave %d, want %d", n, got, want)
		}
	}
	must(t, results.Close())
}
