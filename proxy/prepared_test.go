package proxy_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/pgring/pgring/backend"
	"github.com/pgring/pgring/internal/pgtest"
	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

// answerTime is how long a test waits for a frame before it says that the session hangs.
const answerTime = 15 * time.Second

// frames is a client that has logged in and now speaks in frames.
type frames struct {
	t     testing.TB
	conn  net.Conn
	front *pgproto3.Frontend
	pid   uint32
	key   []byte
}

func openFrames(t testing.TB, dsn string) *frames {
	t.Helper()
	f, err := tryFrames(t, dsn)
	must(t, err)
	return f
}

// tryFrames gives the error when the client is refused, as it may be while shards cannot be reached.
func tryFrames(t testing.TB, dsn string) (*frames, error) {
	pg, err := pgconn.Connect(background, dsn)
	if err != nil {
		return nil, err
	}
	h, err := pg.Hijack()
	must(t, err)
	t.Cleanup(func() { _ = h.Conn.Close() })
	return &frames{t: t, conn: h.Conn, front: h.Frontend, pid: h.PID, key: h.SecretKey}, nil
}

func (c *cluster) frames() *frames {
	c.t.Helper()
	return openFrames(c.t, c.dsn())
}

// send writes frames at once.
func (f *frames) send(all ...pgproto3.FrontendMessage) {
	f.t.Helper()
	must(f.t, f.trySend(all...))
}

func (f *frames) trySend(all ...pgproto3.FrontendMessage) error {
	var b []byte
	for _, m := range all {
		var err error
		if b, err = m.Encode(b); err != nil {
			return err
		}
	}
	_, err := f.conn.Write(b)
	return err
}

// next reads one frame as a word of a trace; "EOF" when the proxy has closed the connection.
func (f *frames) next() string {
	if err := f.conn.SetReadDeadline(time.Now().Add(answerTime)); err != nil {
		return "EOF"
	}
	m, err := f.front.Receive()
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return "HANGS"
	}
	if err != nil {
		return "EOF"
	}
	return word(m)
}

// until reads up to and with the first word that has the prefix, or the end of the connection.
func (f *frames) until(prefix string) []string {
	var trace []string
	for {
		w := f.next()
		if w != "" {
			trace = append(trace, w)
		}
		if strings.HasPrefix(w, prefix) || w == "EOF" || w == "HANGS" {
			return trace
		}
	}
}

// ask sends frames and returns the trace of the answer up to the next ReadyForQuery.
func (f *frames) ask(script string) string {
	f.t.Helper()
	f.send(parseScript(f.t, script)...)
	return strings.Join(f.until("Z:"), " ")
}

func (f *frames) want(script, trace string) {
	f.t.Helper()
	if got := f.ask(script); got != trace {
		f.t.Fatalf("%s\n got %s\nwant %s", script, got, trace)
	}
}

// word renders a frame. ParameterStatus gives nothing: when it comes is not part of the contract.
func word(m pgproto3.BackendMessage) string {
	switch m := m.(type) {
	case *pgproto3.ParseComplete:
		return "1"
	case *pgproto3.BindComplete:
		return "2"
	case *pgproto3.CloseComplete:
		return "3"
	case *pgproto3.NoData:
		return "n"
	case *pgproto3.PortalSuspended:
		return "s"
	case *pgproto3.EmptyQueryResponse:
		return "I"
	case *pgproto3.CommandComplete:
		return "C:" + strings.ReplaceAll(string(m.CommandTag), " ", "_")
	case *pgproto3.DataRow:
		return "D:" + strings.Join(cells(m.Values), ",")
	case *pgproto3.ParameterDescription:
		return "t:" + strings.Trim(strings.ReplaceAll(fmt.Sprint(m.ParameterOIDs), " ", ","), "[]")
	case *pgproto3.RowDescription:
		var all []string
		for _, c := range m.Fields {
			all = append(all, fmt.Sprintf("%s/%d/%d/%d/%d", c.Name, c.DataTypeOID, c.TypeModifier, c.TableAttributeNumber, c.Format))
		}
		return "T:" + strings.Join(all, ",")
	case *pgproto3.ErrorResponse:
		return "E:" + m.Code + ":" + strings.ReplaceAll(m.Message, " ", "_") + ":" + strconv.Itoa(int(m.Position))
	case *pgproto3.NoticeResponse:
		return "N:" + m.Code
	case *pgproto3.ReadyForQuery:
		return "Z:" + string(m.TxStatus)
	case *pgproto3.CopyInResponse:
		return "G"
	case *pgproto3.CopyOutResponse:
		return "H"
	case *pgproto3.CopyData:
		return "d:" + strings.TrimSuffix(string(m.Data), "\n")
	case *pgproto3.CopyDone:
		return "c"
	case *pgproto3.ParameterStatus:
		return ""
	}
	return fmt.Sprintf("%T", m)
}

func cells(values [][]byte) []string {
	var all []string
	for _, v := range values {
		switch {
		case v == nil:
			all = append(all, "NULL")
		case strings.ContainsFunc(string(v), func(r rune) bool { return r < ' ' || r > '~' }):
			all = append(all, "x"+hex.EncodeToString(v))
		default:
			all = append(all, string(v))
		}
	}
	return all
}

// parseScript reads frames from a text, one between bars. A dot is the unnamed statement or portal.
//
//	P name sql      Parse       DS name, DP portal    Describe      d data      CopyData
//	B portal name a,b  Bind     CS name, CP portal    Close         c           CopyDone
//	BB portal name a,b          the same with binary results        f reason    CopyFail
//	E portal [max]  Execute     F  Flush    S  Sync                 Q sql       Query
func parseScript(t testing.TB, script string) []pgproto3.FrontendMessage {
	t.Helper()
	var all []pgproto3.FrontendMessage
	for _, text := range strings.Split(script, " | ") {
		all = append(all, parseFrame(t, strings.TrimSpace(text)))
	}
	return all
}

func parseFrame(t testing.TB, text string) pgproto3.FrontendMessage {
	t.Helper()
	verb, rest, _ := strings.Cut(text, " ")
	name, more, _ := strings.Cut(rest, " ")
	if name == "." {
		name = ""
	}
	switch verb {
	case "P":
		return &pgproto3.Parse{Name: name, Query: more}
	case "B", "BB":
		return parseBind(name, more, verb == "BB")
	case "E":
		limit, _ := strconv.Atoi(more)
		return &pgproto3.Execute{Portal: name, MaxRows: uint32(limit)}
	case "DS", "DP":
		return &pgproto3.Describe{ObjectType: verb[1], Name: name}
	case "CS", "CP":
		return &pgproto3.Close{ObjectType: verb[1], Name: name}
	case "F":
		return &pgproto3.Flush{}
	case "S":
		return &pgproto3.Sync{}
	case "Q":
		return &pgproto3.Query{String: rest}
	case "d":
		return &pgproto3.CopyData{Data: []byte(rest + "\n")}
	case "D": // without a newline of its own, and with \n, \r and \\ for what they mean in Go
		return &pgproto3.CopyData{Data: []byte(strings.NewReplacer(`\n`, "\n", `\r`, "\r", `\\`, `\`).Replace(rest))}
	case "c":
		return &pgproto3.CopyDone{}
	case "f":
		return &pgproto3.CopyFail{Message: rest}
	}
	t.Fatalf("unknown frame %q", text)
	return nil
}

func parseBind(portal, rest string, binary bool) *pgproto3.Bind {
	name, args, _ := strings.Cut(rest, " ")
	if name == "." {
		name = ""
	}
	bind := &pgproto3.Bind{DestinationPortal: portal, PreparedStatement: name}
	if binary {
		bind.ResultFormatCodes = []int16{1}
	}
	if args == "" {
		return bind
	}
	for _, arg := range strings.Split(args, ",") {
		if arg == "NULL" {
			bind.Parameters = append(bind.Parameters, nil)
			continue
		}
		bind.Parameters = append(bind.Parameters, []byte(arg))
	}
	return bind
}

// twin is a cluster beside one plain server that holds all the rows: what PostgreSQL answers is what the proxy must answer.
type twin struct {
	*cluster
	plain  *pgtest.Server
	keys3  []int64
	direct []*pgx.Conn // to the shards of keys3, to the home shard, and to plain
	behind func()      // what else is done to the rows of the cluster; nil: nothing
	owner  *owner      // nil: the test's own
	found  string      // what was left before the first test
}

const things = "CREATE TABLE things (x int PRIMARY KEY, y text)"

func startTwin(t testing.TB, o options) *twin {
	t.Helper()
	w := lend(t, o, true)
	for _, key := range w.keys3 {
		w.direct = append(w.direct, w.shardOf(key).Connect(t))
	}
	w.direct = append(w.direct, w.servers[0].Connect(t), w.plain.Connect(t))
	return w
}

// rows puts those of a key into tables.
func (w *twin) rows(i int) string {
	const of = "; INSERT INTO users VALUES (%[1]d, '%[2]s', %[3]d); INSERT INTO notes SELECT %[1]d, n, 'note ' || n FROM generate_series(1, 5) n"
	return fmt.Sprintf(of, w.keys3[i], []string{"ann", "bob", "cid"}[i], i+1)
}

// reset gives both sides the same three rows.
func (w *twin) reset(t testing.TB) {
	t.Helper()
	const empty = "TRUNCATE users, notes, countries; INSERT INTO countries VALUES ('de', 'Germany')"
	const things = "; TRUNCATE things; INSERT INTO things VALUES (1, 'one'), (2, 'two')"
	all := empty
	for i := range w.keys3 {
		run(t, w.direct[i], empty+w.rows(i))
		all += w.rows(i)
	}
	run(t, w.direct[len(w.keys3)], things[2:])
	run(t, w.direct[len(w.keys3)+1], all+things)
}

// keyed fills in the keys {a}, {b} and {c}, each on another shard.
func (w *twin) keyed(script string) string {
	for i, key := range w.keys3 {
		script = strings.ReplaceAll(script, "{"+string(rune('a'+i))+"}", strconv.FormatInt(key, 10))
	}
	return script
}

// same runs the script on both sides, from the same rows, and demands the same answers and the same rows in the end.
func (w *twin) same(t *testing.T, script string) {
	t.Helper()
	w.reset(t)
	if w.behind != nil {
		w.behind()
	}
	script = w.keyed(script)
	want, got := play(t, w.plain.DSN("postgres", "postgres"), script), play(t, w.dsn(), script)
	if got != want {
		t.Errorf("%s\n%s", script, difference(got, want))
	}
}

// play runs a script in a session of its own and returns the trace of all answers, and of the rows that it leaves.
func play(t *testing.T, dsn, script string) string {
	t.Helper()
	const last = " | S | Q ROLLBACK | Q SELECT id, name, age FROM users ORDER BY id | Q SELECT count(*) FROM notes | Q SELECT x, y FROM things ORDER BY x | Q SELECT 'end of script'"
	f := openFrames(t, dsn)
	all := parseScript(t, script+last)
	sent := make(chan error, 1)
	go func() { sent <- f.trySend(all...) }()
	trace := f.until("D:end of script")
	f.until("Z:")
	_ = f.conn.Close()
	<-sent
	return strings.Join(trace, " ")
}

// difference shows two traces around the first word in which they differ.
func difference(got, want string) string {
	g, w := strings.Fields(got), strings.Fields(want)
	at := 0
	for at < len(g) && at < len(w) && g[at] == w[at] {
		at++
	}
	part := func(words []string) string { return strings.Join(words[max(0, at-4):min(len(words), at+12)], " ") }
	return fmt.Sprintf("after %d words\n      pgring … %s\n  PostgreSQL … %s", at, part(g), part(w))
}

// sameAll runs scripts by name against one twin.
func sameAll(t *testing.T, w *twin, scripts [][2]string) {
	for _, s := range scripts {
		t.Run(s[0], func(t *testing.T) { w.same(t, s[1]) })
	}
}

func TestPreparedStatementsAnswerAsPostgres(t *testing.T) {
	t.Parallel()
	w := startTwin(t, options{})
	sameAll(t, w, [][2]string{
		{"named, used on three shards", "P q SELECT name FROM users WHERE id = $1 | S | B . q {a} | E . | B . q {b} | E . | S | B . q {c} | DP . | E . | S"},
		{"unnamed, used again in a later unit", "P . SELECT name FROM users WHERE id = $1 | S | B . . {a} | E . | S | B . . {b} | E . | S"},
		{"unnamed is dropped by a Query", "P . SELECT name FROM users WHERE id = $1 | S | Q SELECT 1 | B . . {a} | E . | S"},
		{"unnamed survives an empty unit", "P . SELECT name FROM users WHERE id = $1 | S | S | S | B . . {a} | E . | S"},
		{"unnamed replaced", "P . SELECT 1 | P . SELECT name FROM users WHERE id = $1 | B . . {a} | E . | S | P . SELECT 'x' | B . . | E . | S"},
		{"unnamed replaced by a wrong one is gone", "P . SELECT 1 | S | P . SELECT wrong FROM users WHERE id = $1 | S | B . . | E . | S"},
		{"duplicate name", "P q SELECT 1 | S | P q SELECT 2 | S | B . q | E . | S"},
		{"duplicate name in one unit", "P q SELECT 1 | P q SELECT 2 | B . q | E . | S | B . q | E . | S"},
		{"close and define again", "P q SELECT 1 | S | CS q | P q SELECT 2 | B . q | E . | S"},
		{"close what is not there", "CS nothing | CP nothing | CS . | CP . | S"},
		{"close forgets", "P q SELECT 1 | CS q | B . q | E . | S"},
		{"close forgets the unnamed", "P . SELECT 1 | CS . | B . . | E . | S"},
		{"error in Parse leaves the name free", "P q SELEC 1 | S | P q SELECT 1 | B . q | E . | S"},
		{"error in the shard's Parse leaves the name free", "P q SELECT nothing FROM users WHERE id = $1 | S | P q SELECT 1 | B . q | E . | S"},
		{"error before Parse skips it", "P a SELECT 1/0 | B . a | E . | P b SELECT 1 | S | B . b | E . | S"},
		{"error after Parse keeps it", "P b SELECT 1 | P a SELECT 1/0 | B . a | E . | S | B . b | E . | S"},
		{"error in Bind keeps the statement", "P q SELECT $1::int | B . q x | E . | S | B . q 5 | E . | S"},
		{"error in Execute keeps the statement", "P q SELECT 1/$1::int | B . q 0 | E . | S | B . q 1 | E . | S"},
		{"Close skipped after an error", "P q SELECT 1 | S | P . SELECT 1/0 | B . . | E . | CS q | S | B . q | E . | S"},
		{"describe before Bind", "P q SELECT name, age FROM users WHERE id = $1 AND age > $2 | DS q | S | P w INSERT INTO users VALUES ($1, $2, $3) | DS w | S"},
		{"describe a reference read and a home read", "P q SELECT name FROM countries WHERE code = $1 | DS q | P r SELECT y FROM things WHERE x = $1 | DS r | S"},
		{"describe and bind in one unit", "P q SELECT name FROM users WHERE id = $1 | DS q | B . q {c} | DP . | E . | S"},
		{"describe what is not there", "DS q | S | DP p | S | DS . | S"},
		{"bind to what is not there", "B . q | S | B . . | S | E . | S | E p | S"},
		{"too few and too many values", "P q SELECT $1::int | B . q | S | B . q 1,2 | S | B . q 1 | E . | S"},
		{"empty statements", "P q  | DS q | B . q | DP . | E . | S | P r -- only a comment | DS r | B . r | E . | S"},
		{"several statements in a Parse", "P q SELECT 1; SELECT 2 | S | B . q | S"},
		{"binary results", "P q SELECT id, name, age FROM users WHERE id = $1 | BB . q {a} | DP . | E . | S"},
		{"NULL where no key is NULL", "P q SELECT name FROM users WHERE id = $1 | B . q NULL | E . | S"},
		{"prepared while failed", "Q BEGIN | Q SELECT 1/0 | P q SELECT 1 | S | P r ROLLBACK | B . r | E . | S | P q SELECT 2 | B . q | E . | S"},
	})
}

func TestTransactionStatementsArePreparedAsAnyOther(t *testing.T) {
	t.Parallel()
	w := startTwin(t, options{})
	defs := "P b BEGIN | P c COMMIT | P r ROLLBACK | P u UPDATE users SET age = age + 1 WHERE id = $1 | S | "
	turn := "B . b | E . | S | B . u {a} | E . | S | B . u {a} | E . | S | B . c | E . | S | "
	undo := "B . b | E . | S | B . u {b} | E . | S | B . r | E . | S | "
	sameAll(t, w, [][2]string{
		{"many times", defs + strings.Repeat(turn+undo, 20) + "S"},
		{"in one unit each", defs + strings.Repeat("B . b | E . | B . u {c} | E . | B . c | E . | S | ", 20) + "S"},
		{"described", defs + "DS b | DS c | S | B . b | DP . | E . | S | DS c | B . u {a} | E . | B . c | DP . | E . | S"},
		{"commit of a failed block", defs + "B . b | E . | S | B . u {a} | E . | S | Q SELECT 1/0 | B . u {a} | E . | S | B . c | E . | S"},
		{"rollback of a failed block", defs + "B . b | E . | S | B . u {a} | E . | S | Q SELECT 1/0 | B . r | E . | S | B . u {b} | E . | S"},
		{"savepoints", defs + "P s SAVEPOINT s | P t ROLLBACK TO s | B . b | E . | B . u {a} | E . | B . s | E . | B . u {a} | E . | B . t | E . | B . c | E . | S"},
		{"commit without a block", "P c COMMIT | B . c | E . | S | P r ROLLBACK | B . r | E . | S"},
		{"unnamed statement outlives a prepared savepoint", defs + "P s SAVEPOINT s | B . b | E . | S | P . SELECT name FROM users WHERE id = $1 | B . . {a} | E . | S | B . s | E . | S | B . . {a} | E . | S | B . c | E . | S"},
		{"unnamed statement outlives a prepared SET", defs + "P s SET work_mem TO '5MB' | B . b | E . | S | P . SELECT name FROM users WHERE id = $1 | B . . {a} | E . | S | B . s | E . | S | B . . {a} | E . | S | B . c | E . | S"},
		{"unnamed statement outlives a savepoint on two shards", defs + "P s SAVEPOINT s | B . b | E . | S | P . SELECT name FROM users WHERE id = $1 | B . . {a} | E . | B . . {b} | E . | S | B . s | E . | S | B . . {b} | E . | B . . {a} | E . | S | B . c | E . | S"},
	})
}

func TestSQLPrepareAnswersAsPostgres(t *testing.T) {
	t.Parallel()
	w := startTwin(t, options{})
	sameAll(t, w, [][2]string{
		{"prepare, execute, deallocate", "Q PREPARE q (bigint) AS SELECT name FROM users WHERE id = $1 | Q EXECUTE q ({a}) | Q EXECUTE q ({b}) | Q DEALLOCATE q | Q EXECUTE q (1)"},
		{"no types", "Q PREPARE q AS UPDATE users SET name = $2 WHERE id = $1 | Q EXECUTE q ({c}, 'new') | Q EXECUTE q ({a}, NULL)"},
		{"in one message", "Q PREPARE q AS SELECT 5; EXECUTE q; DEALLOCATE q"},
		{"duplicate", "Q PREPARE q AS SELECT 5 | Q PREPARE q AS SELECT 6 | Q EXECUTE q"},
		{"name of the protocol's", "P q SELECT name FROM users WHERE id = $1 | S | Q EXECUTE q ({b}) | Q DEALLOCATE q | B . q {b} | E . | S"},
		{"name of SQL's", "Q PREPARE q (bigint) AS SELECT name FROM users WHERE id = $1 | B . q {b} | DP . | E . | S | DS q | S | CS q | S | Q EXECUTE q (1)"},
		{"wrong", "Q PREPARE q AS SELECT wrong FROM users WHERE id = $1 | Q PREPARE q (int) AS SELECT 6 + $1 | Q EXECUTE q (1) | Q BEGIN | Q PREPARE r AS SELECT name FROM users WHERE id = $1 AND missing($1) | Q ROLLBACK | Q BEGIN | Q PREPARE r AS SELECT avg(age) FROM users | Q EXECUTE r | Q COMMIT | P . PREPARE s AS SELECT age FROM missing | B . . | E . | S"},
		{"folding", "Q PREPARE Q AS SELECT 5 | Q EXECUTE q | Q DEALLOCATE \"Q\" | Q DEALLOCATE Q"},
		{"all", "P a SELECT 1 | S | Q PREPARE b AS SELECT 2 | Q DEALLOCATE ALL | B . a | S | Q EXECUTE b"},
		{"in the extended protocol", "P . PREPARE q AS SELECT 5 | B . . | E . | S | P . EXECUTE q | DS . | B . . | DP . | E . | S | P . DEALLOCATE q | B . . | E . | S"},
		{"binary results", "Q PREPARE q (bigint) AS SELECT id, name FROM users WHERE id = $1 | P . EXECUTE q ({b}) | BB . . | DP . | E . | S"},
		{"in a transaction that is rolled back", "Q BEGIN | Q PREPARE q AS SELECT 5 | Q ROLLBACK | Q EXECUTE q"},
		{"in a failed transaction", "Q BEGIN | Q SELECT 1/0 | Q PREPARE q AS SELECT 5 | Q DEALLOCATE q | Q ROLLBACK | Q EXECUTE q"},
		{"of no rows", "Q PREPARE q (bigint) AS DELETE FROM users WHERE id = $1 | Q EXECUTE q ({a}) | Q EXECUTE q ({a})"},
		{"constants of other types", "Q PREPARE q (text) AS SELECT $1 | Q EXECUTE q (1e3) | Q EXECUTE q ('01000'::int) | Q PREPARE r (int) AS SELECT $1 | Q EXECUTE r (1.5) | Q EXECUTE r (2.5::float8) | Q EXECUTE r (-1e2) | Q EXECUTE r (-7) | Q PREPARE s (varchar) AS SELECT $1 | Q EXECUTE s (1.50) | Q EXECUTE s (1 + 1) | Q EXECUTE s (2 > 1)"},
		{"types whose length is 1 by default", "Q CREATE TABLE coded (c char(3), b bit(3)) | Q PREPARE r AS INSERT INTO coded VALUES ($1, $2) RETURNING * | Q EXECUTE r (upper('xyz'), B'101') | Q DROP TABLE coded"},
		{"with too few values", "Q PREPARE q (bigint) AS SELECT name FROM users WHERE id = $1 | Q EXECUTE q"},
		{"of all shards", "Q PREPARE q (int) AS SELECT id, name FROM users WHERE age > $1 ORDER BY age | Q EXECUTE q (1) | Q EXECUTE q (0)"},
		{"of all shards on a pinned connection, then a block that fails", "Q LISTEN l | Q PREPARE q AS SELECT count(*) FROM users | Q EXECUTE q | Q BEGIN | Q SELECT 1/0 | Q SELECT 1 | Q COMMIT"},
		{"failing on all shards, on a pinned connection", "Q LISTEN l | Q PREPARE q (int) AS SELECT id FROM users WHERE age > 1/$1 - 1 ORDER BY id | Q EXECUTE q (0) | Q SELECT 1 | Q EXECUTE q (1)"},
		{"of all shards in a block", "Q BEGIN | Q PREPARE q (int) AS SELECT id FROM users WHERE age > 1/$1 - 1 ORDER BY id | Q SAVEPOINT s | Q EXECUTE q (0) | Q SELECT 1 | Q ROLLBACK TO s | Q EXECUTE q (1) | Q COMMIT | Q EXECUTE q (1)"},
		{"of all shards among others", "Q LISTEN l | Q PREPARE q AS SELECT count(*) FROM users | Q INSERT INTO things VALUES (7, 'x'); EXECUTE q; SELECT 1/0; SELECT 2 | Q EXECUTE q; SELECT 3 | Q SELECT 4"},
		{"writing every shard on a pinned connection", "Q LISTEN l | Q PREPARE q AS INSERT INTO countries VALUES ($1, $2) | Q EXECUTE q ('fr', 'France') | Q EXECUTE q ('fr', 'France') | Q BEGIN | Q SELECT 1/0 | Q COMMIT"},
		{"an error in the statement", "Q PREPARE q AS SELECT 1/$1::int | Q EXECUTE q (0) | Q EXECUTE q (1)"},
		{"DISCARD ALL in the extended protocol", "Q SET work_mem = '1MB' | P . DISCARD ALL | DS . | B . . | E . | S | Q SHOW work_mem | P . RESET ALL | B . . | E . | S | Q SHOW work_mem"},
		{"DISCARD ALL", "P a SELECT 1 | S | Q PREPARE b AS SELECT 2 | Q DISCARD ALL | B . a | S | Q EXECUTE b"},
	})
	t.Run("constants that cannot be assigned", func(t *testing.T) { argumentsAreAssigned(t, w) })
}

func TestNamedStatementsFollowClientsAcrossConnections(t *testing.T) {
	t.Parallel()
	w := startTwin(t, options{pool: backend.Config{Size: 1}})
	w.reset(t)
	clients := []*frames{w.frames(), w.frames(), w.frames()}
	column := []string{"name", "age", "name || age"}
	for i, f := range clients { // one name, a text of its own in each client
		f.want("P q SELECT "+column[i]+" FROM users WHERE id = $1 | S", "1 Z:I")
		f.want("P own SELECT "+fmt.Sprint(i)+" FROM users WHERE id = $1 | S", "1 Z:I")
	}
	answers := [][]string{{"ann", "1", "ann1"}, {"bob", "2", "bob2"}, {"cid", "3", "cid3"}}
	for round := range 4 {
		for k, key := range w.keys3 {
			for i, f := range clients {
				f.want(fmt.Sprintf("B . q %d | E . | B . own %[1]d | E . | S", key), fmt.Sprintf("2 D:%s C:SELECT_1 2 D:%d C:SELECT_1 Z:I", answers[k][i], i))
			}
		}
		if round == 1 { // all connections are new from here on
			for _, s := range w.servers {
				s.Exec(t, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pgring' AND pid <> pg_backend_pid()")
			}
			waitFor(t, "new connections", func() bool {
				return !strings.Contains(clients[0].ask(w.keyed("B . q {a} | E . | B . q {b} | E . | B . q {c} | E . | S")), "E:")
			})
		}
	}
}

func TestMoreStatementsThanAConnectionRemembers(t *testing.T) {
	t.Parallel()
	for _, remembered := range []int{1, 2, 7} {
		t.Run(fmt.Sprint(remembered), func(t *testing.T) {
			t.Parallel()
			c := start(t, options{shards: 1})
			c.forget(remembered)
			a, b := c.frames(), c.frames()
			const statements = 20
			for i := range statements {
				a.want(fmt.Sprintf("P q%d SELECT %[1]d + $1::int | DS q%[1]d | S", i), "1 t:23 T:?column?/23/-1/0/0 Z:I")
				b.want(fmt.Sprintf("P q%d SELECT 100 + %[1]d + $1::int | S", i), "1 Z:I")
			}
			for round := range 3 {
				for i := range statements {
					n := (i * 7) % statements
					a.want(fmt.Sprintf("B . q%d %d | E . | S", n, round), fmt.Sprintf("2 D:%d C:SELECT_1 Z:I", n+round))
					b.want(fmt.Sprintf("B . q%d %d | E . | S", n, round), fmt.Sprintf("2 D:%d C:SELECT_1 Z:I", 100+n+round))
				}
			}
			var script, trace strings.Builder // all of them in one unit: statements are forgotten while others are under way
			for i := range statements {
				fmt.Fprintf(&script, "B p%d q%[1]d 1 | ", i)
				trace.WriteString("2 ")
			}
			for i := range statements {
				fmt.Fprintf(&script, "E p%d | ", i)
				fmt.Fprintf(&trace, "D:%d C:SELECT_1 ", i+1)
			}
			a.want(script.String()+"S", trace.String()+"Z:I")
			a.want("B . q1 1 | E . | P z SELECT 1/0 | B . z | E . | B . q2 1 | B . q3 1 | E . | S", "2 D:2 C:SELECT_1 1 E:22012:division_by_zero:0 Z:I")
			for i := range statements { // what an error has skipped was not forgotten, or is prepared again
				a.want(fmt.Sprintf("B . q%d 0 | E . | S", i), fmt.Sprintf("2 D:%d C:SELECT_1 Z:I", i))
			}
		})
	}
}

// forget has the pools' new connections remember so few statements.
func (c *cluster) forget(remembered int) {
	c.t.Helper()
	c.spoiled = true
	cfg := backend.Config{Size: 1, AcquireTimeout: 10 * time.Second, PreparedStatements: remembered}
	for i, s := range c.servers {
		cfg.Targets = append(cfg.Targets, backend.Target{Shard: ring.ShardID(fmt.Sprintf("s%d", i+1)), Host: s.Host, Port: s.Port,
			Login: backend.Login{User: "postgres", Database: "postgres"}})
	}
	must(c.t, c.pools.Update(cfg))
	for i := range c.servers {
		must(c.t, c.pools.Reconnect(ring.ShardID(fmt.Sprintf("s%d", i+1))))
	}
}

func TestStatementsPreparedBeforeTheSchemaChanged(t *testing.T) {
	t.Parallel()
	w := startTwin(t, options{pool: backend.Config{Size: 1}})
	w.reset(t)
	old, fresh, admin := w.frames(), w.frames(), w.connect()
	text := w.keyed("SELECT * FROM users WHERE id = {b}")
	old.want("P q "+text+" | B . q | E . | S", w.keyed("1 2 D:{b},bob,2 C:SELECT_1 Z:I"))
	old.want("P n SELECT name FROM users WHERE id = $1 | B . n "+w.keyed("{b}")+" | E . | S", "1 2 D:bob C:SELECT_1 Z:I")
	run(t, admin, "ALTER TABLE users ADD COLUMN email text DEFAULT 'none'")
	old.want("B . n "+w.keyed("{b}")+" | E . | S", "2 D:bob C:SELECT_1 Z:I")
	old.want("B . q | E . | S", "E:0A000:cached_plan_must_not_change_result_type:0 Z:I") // as PostgreSQL
	fresh.want("P q "+text+" | B . q | E . | S", w.keyed("1 2 D:{b},bob,2,none C:SELECT_1 Z:I"))
	old.want("CS q | P q "+text+" | B . q | E . | S", w.keyed("3 1 2 D:{b},bob,2,none C:SELECT_1 Z:I"))
	run(t, admin, "ALTER TABLE users DROP COLUMN email")
	fresh.want("P r "+text+" | B . r | E . | S", w.keyed("1 2 D:{b},bob,2 C:SELECT_1 Z:I"))
}

func TestOneTextUnderTwoSearchPaths(t *testing.T) {
	t.Parallel()
	c := start(t, options{shards: 1, pool: backend.Config{Size: 1}})
	admin := c.connect()
	run(t, admin, "CREATE SCHEMA other; CREATE TABLE other.things (a text, b text); INSERT INTO other.things VALUES ('x', 'y')")
	run(t, admin, "CREATE TABLE things (n int); INSERT INTO things VALUES (5)")
	a, b := c.frames(), c.frames()
	a.want("Q SET search_path TO public", "C:SET Z:I")
	b.want("Q SET search_path TO other", "C:SET Z:I")
	for range 3 {
		a.want("P . SELECT * FROM things | B . . | E . | S", "1 2 D:5 C:SELECT_1 Z:I")
		b.want("P . SELECT * FROM things | B . . | E . | S", "1 2 D:x,y C:SELECT_1 Z:I")
	}
	a.want("P q SELECT * FROM things | B . q | E . | S", "1 2 D:5 C:SELECT_1 Z:I")
	b.want("P q SELECT * FROM things | B . q | E . | S", "1 2 D:x,y C:SELECT_1 Z:I")
	a.want("B . q | E . | S", "2 D:5 C:SELECT_1 Z:I")
}

func TestKeysOfEveryTypeInEveryFormat(t *testing.T) {
	t.Parallel()
	c := start(t, options{})
	conn := c.connect()
	values := map[string][]any{
		"smallint": {int16(1), int16(-7), int16(300)}, "integer": {int32(1), int32(-7), int32(1 << 30)}, "bigint": {int64(1), int64(-7), int64(1) << 60},
		"text": {"", "ann", "zoë 'quoted' \\ back"}, "varchar(20)": {"", "bob", "b\tc"}, "bytea": {[]byte{}, []byte{0, 255}, []byte("abc")},
		"uuid":        {pgtype.UUID{Bytes: [16]byte{1}, Valid: true}, pgtype.UUID{Bytes: [16]byte{255, 15: 1}, Valid: true}},
		"timestamp":   {time.Date(2024, 2, 29, 12, 0, 7, 0, time.UTC), time.Date(1901, 1, 1, 0, 0, 0, 0, time.UTC)},
		"timestamptz": {time.Date(2024, 2, 29, 12, 0, 7, 0, time.FixedZone("", 3600)), time.Date(1901, 1, 1, 0, 0, 0, 0, time.UTC)},
		"numeric":     {pgtype.Numeric{Int: big.NewInt(1), Valid: true}, pgtype.Numeric{Int: big.NewInt(-12345), Valid: true}, pgtype.Numeric{Int: big.NewInt(10), Exp: 20, Valid: true}},
	}
	modes := []pgx.QueryExecMode{pgx.QueryExecModeCacheStatement, pgx.QueryExecModeDescribeExec, pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol}
	for kind, keys := range values {
		table := "k_" + strings.NewReplacer("(", "", ")", "", " ", "_").Replace(kind)
		_, err := c.topology.ShardTable(background, topology.TableWish{Name: topology.Name{Schema: "public", Table: table}, Kind: topology.Sharded, Key: []string{"k"}})
		must(t, err)
		run(t, conn, "CREATE TABLE "+table+" (k "+kind+", mode int, PRIMARY KEY (k, mode))")
		for _, key := range keys {
			checkKey(t, conn, table, key, modes)
		}
		if _, err := conn.Exec(background, "INSERT INTO "+table+" VALUES ($1, 1)", nil); wantCode(t, err, "23502").Code == "" {
			t.Fatal("a NULL key was accepted")
		}
	}
}

// checkKey writes a key in every mode and demands that each mode finds all rows: all formats must name one shard.
func checkKey(t *testing.T, conn *pgx.Conn, table string, key any, modes []pgx.QueryExecMode) {
	t.Helper()
	for i, mode := range modes {
		if _, err := conn.Exec(background, fmt.Sprintf("INSERT INTO %s VALUES ($1, %d)", table, i), mode, key); err != nil {
			t.Errorf("%s %v, %v: %+v", table, key, mode, err)
		}
	}
	for _, mode := range modes {
		var rows int
		must(t, conn.QueryRow(background, fmt.Sprintf("SELECT count(*) FROM %s WHERE k = $1", table), mode, key).Scan(&rows))
		if rows != len(modes) {
			t.Errorf("%s %v, read as %v: %d rows, want %d", table, key, mode, rows, len(modes))
		}
	}
}
