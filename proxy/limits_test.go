package proxy_test

import (
	"errors"
	"fmt"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgring/pgring/backend"
	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/proxy"
)

// apply changes the policy of a running server as RELOAD does.
func (c *cluster) apply(change func(*proxy.Policy)) {
	c.t.Helper()
	c.spoiled = true
	verifier, err := pgwire.NewVerifier("secret")
	must(c.t, err)
	p := proxy.Policy{Users: map[string]*proxy.User{
		"app":   {Name: "app", Verifier: verifier, Role: proxy.RoleAdmin},
		"other": {Name: "other", Verifier: verifier, MaxClients: 1},
	}}
	change(&p)
	c.server.Apply(p)
}

func (c *cluster) tryConnect(user string) (*pgx.Conn, error) {
	conn, err := pgx.Connect(background, strings.Replace(c.dsn(), "app:", user+":", 1))
	if err == nil {
		c.t.Cleanup(func() { _ = conn.Close(background) })
	}
	return conn, err
}

func TestClientsAreLimited(t *testing.T) {
	t.Parallel()
	c := start(t, options{shards: 1})
	c.apply(func(p *proxy.Policy) { p.MaxClients = 3 })
	first, err := c.tryConnect("app")
	must(t, err)
	other, err := c.tryConnect("other")
	must(t, err)
	_, err = c.tryConnect("other")
	wantCode(t, err, "53300")
	third, err := c.tryConnect("app")
	must(t, err)
	_, err = c.tryConnect("app")
	if e := wantCode(t, err, "53300"); e.Detail == "" {
		t.Error("no detail")
	}
	must(t, tryCancel(c.addr, third.PgConn().PID(), third.PgConn().SecretKey())) // needs no place
	wantValue(t, first, "SELECT 1", "1")
	must(t, other.Close(background))
	waitFor(t, "a place to become free", func() bool {
		again, err := c.tryConnect("other")
		return err == nil && again.Close(background) == nil
	})
	c.apply(func(p *proxy.Policy) { p.MaxClients = 4 })
	waitFor(t, "a place to become free", func() bool {
		again, err := c.tryConnect("app")
		return err == nil && again.Ping(background) == nil
	})
}

func TestIdleClientsAreSentAway(t *testing.T) {
	t.Parallel()
	c := start(t, options{})
	witness := c.connect()
	c.apply(func(p *proxy.Policy) { p.ClientIdle = 300 * time.Millisecond })
	f := c.frames()
	from := time.Now()
	if got := f.gone(); got != "E:57P05:terminating_connection_due_to_idle-session_timeout:0 EOF" {
		t.Fatalf("got %s", got)
	}
	if waited := time.Since(from); waited < 200*time.Millisecond {
		t.Fatalf("sent away after %v", waited)
	}
	c.apply(func(p *proxy.Policy) { p.ClientIdle, p.TransactionIdle = time.Hour, 300*time.Millisecond })
	g := c.frames()
	key := c.keys(2)[1]
	g.want("Q BEGIN", "C:BEGIN Z:T")
	g.want("Q "+insertUser(key), "C:INSERT_0_1 Z:T")
	g.want("Q SELECT pg_sleep(0.6)", "T:pg_sleep/2278/-1/0/0 D: C:SELECT_1 Z:T") // a statement that runs is not idleness
	if got := g.gone(); got != "E:25P03:terminating_connection_due_to_idle-in-transaction_timeout:0 EOF" {
		t.Fatalf("got %s", got)
	}
	wantValue(t, witness, "SELECT count(*) FROM users", "0")
	run(t, witness, insertUser(key)) // no lock is left
}

func TestLoginTakesNoLongerThanAllowed(t *testing.T) {
	t.Parallel()
	c := start(t, options{shards: 1})
	c.apply(func(p *proxy.Policy) { p.LoginTimeout = 300 * time.Millisecond })
	startup := "\x00\x00\x00\x11\x00\x03\x00\x00user\x00app\x00\x00"
	for _, sent := range []string{"", "\x00", "\x00\x00\x00\x08\x04\xd2\x16\x2f", startup[:10], startup, startup + "p\x00\x00\x00\x10SCRAM"} {
		conn, err := net.Dial("tcp", c.addr)
		must(t, err)
		_, err = conn.Write([]byte(sent))
		must(t, err)
		must(t, conn.SetReadDeadline(time.Now().Add(answerTime)))
		buf := make([]byte, 4096)
		for err == nil {
			_, err = conn.Read(buf)
		}
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			t.Errorf("%q: the connection stays open", sent)
		}
		_ = conn.Close()
	}
	slow := c.frames() // one that has logged in may take its time
	waitFor(t, "the time allowed for log-in to pass", func() bool { return slow.ask("Q SELECT pg_sleep(0.5)") != "" })
	slow.want("Q SELECT 5", "T:?column?/23/-1/0/0 D:5 C:SELECT_1 Z:I")
}

func TestTooLargeMessagesAreRefusedAndTheSessionLives(t *testing.T) {
	t.Parallel()
	c := start(t, options{})
	c.apply(func(p *proxy.Policy) { p.MessageLimit = 20000 })
	key := c.keys(2)[1]
	f := c.frames()
	large := strings.Repeat("x", 30000)
	f.want(fmt.Sprintf("Q INSERT INTO users VALUES (%d, '%s', 1)", key, large), "E:54000:message_is_too_large_to_be_planned:0 Z:I")
	// What is unnamed must not be an older statement when its Parse was refused.
	f.want(fmt.Sprintf("P . INSERT INTO users VALUES (%d, 'old', 1) | S", key), "1 Z:I")
	f.want(fmt.Sprintf("P . INSERT INTO users VALUES (%d, '%s', 1) | B . . | E . | S", key, large), "E:54000:message_is_too_large_to_be_planned:0 Z:I")
	f.want("P q INSERT INTO users VALUES ($1, $2, 1) | S", "1 Z:I")
	f.want(fmt.Sprintf("B . q %d,%s | E . | S", key, large), "E:54000:message_is_too_large_to_be_planned:0 Z:I")
	f.want("Q SELECT count(*) FROM users", "T:count/20/-1/0/0 D:0 C:SELECT_1 Z:I")
	f.want("Q BEGIN", "C:BEGIN Z:T")
	f.want(fmt.Sprintf("Q INSERT INTO users VALUES (%d, '%s', 1)", key, large), "E:54000:message_is_too_large_to_be_planned:0 Z:E")
	f.want("Q ROLLBACK", "C:ROLLBACK Z:I")
	f.want(fmt.Sprintf("B . q %d,%s | E . | S", key, large[:15000]), "2 C:INSERT_0_1 Z:I")
	f.want(fmt.Sprintf("Q SELECT length(repeat(name, 10)) FROM users WHERE id = %d", key), "T:length/23/-1/0/0 D:150000 C:SELECT_1 Z:I")
	// A large row of one shard passes; one to be merged is refused, and the session goes on.
	if got := f.ask(fmt.Sprintf("Q SELECT repeat(name, 10) FROM users WHERE id = %d", key)); len(got) < 150000 {
		t.Fatalf("got %.100s", got)
	}
	if got := f.ask("Q SELECT repeat(name, 10) FROM users ORDER BY id"); !strings.HasPrefix(got, "T:repeat/25/-1/0/0 E:54000:a_row_of_1500") {
		t.Fatalf("got %.200s", got)
	}
	f.want("Q SELECT 5", "T:?column?/23/-1/0/0 D:5 C:SELECT_1 Z:I")
}

func TestWaitForAConnectionEnds(t *testing.T) {
	t.Parallel()
	c := start(t, options{pool: backend.Config{Size: 1, AcquireTimeout: 900 * time.Millisecond}})
	holder, waiter := c.connect(), c.connect()
	keys := c.keys(3)
	run(t, holder, "BEGIN; "+insertUser(keys[1]))
	read := fmt.Sprintf("SELECT count(*) FROM users WHERE id = %d", keys[1])
	for range 2 {
		e := refused(t, waiter, read, "53300")
		if !strings.Contains(e.Detail, "1") || e.Hint == "" {
			t.Fatalf("detail %q, hint %q", e.Detail, e.Hint)
		}
		_, err := waiter.Exec(background, "SELECT count(*) FROM users WHERE id = $1", keys[1])
		wantCode(t, err, "53300")
		refused(t, waiter, "SELECT count(*) FROM users", "53300")
		refused(t, waiter, "ALTER TABLE users ADD COLUMN x int", "53300")
		wantStatus(t, waiter, 'I')
	}
	wantValue(t, waiter, fmt.Sprintf("SELECT count(*) FROM users WHERE id = %d", keys[0]), "0")
	run(t, waiter, "BEGIN")
	refused(t, waiter, read, "53300")
	wantStatus(t, waiter, 'E')
	run(t, waiter, "ROLLBACK")
	run(t, holder, "COMMIT")
	wantValue(t, waiter, "SELECT count(*) FROM users", "1")
	c.everywhere(t, columnsOfUsers, "id,name,age")
}

// TestStatementsAreForgotten prepares many large texts that nothing refers to any more.
func TestStatementsAreForgotten(t *testing.T) {
	c := start(t, options{shards: 1})
	f := c.frames()
	long := strings.Repeat("x", 50_000)
	use := func(from, to int) {
		for i := from; i < to; i++ {
			f.ask(fmt.Sprintf("P . SELECT 'a %d %s' | B . . | E . | S", i, long))
			f.ask("Q SELECT 1")
			f.ask(fmt.Sprintf("P . SELECT 'b %d %s' | S", i, long))
			f.ask(fmt.Sprintf("P n SELECT 'c %d %s' | P . SELECT 1/0 | B . . | E . | P m SELECT 'd %[1]d %[2]s' | S", i, long))
			f.ask("CS n | S")
			g := c.frames()
			g.ask(fmt.Sprintf("P . SELECT 'e %d %s' | P n SELECT 'f %[1]d %[2]s' | S", i, long))
			_ = g.conn.Close()
		}
	}
	use(0, 40)
	before := heap()
	use(40, 200)
	if grown := int64(heap()) - int64(before); grown > 8<<20 { // what is left are the planner's and the server connections' bounded caches
		t.Fatalf("the heap grew by %d KiB", grown>>10)
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestManyParametersAndStatements(t *testing.T) {
	t.Parallel()
	w := startTwin(t, options{})
	w.reset(t)
	conn := w.connect()
	const n = 40000 // more than a signed 16-bit number counts
	values := make([]any, n)
	var sql strings.Builder
	sql.WriteString("INSERT INTO things (x) VALUES ")
	for i := range values {
		values[i] = int32(i + 100)
		fmt.Fprintf(&sql, "($%d),", i+1)
	}
	tag, err := conn.Exec(background, strings.TrimSuffix(sql.String(), ","), values...)
	var e *pgconn.PgError
	if errors.As(err, &e) {
		t.Fatalf("%s %s", e.Message, e.Detail)
	}
	must(t, err)
	if tag.RowsAffected() != n {
		t.Fatalf("%s", tag)
	}
	if tags := run(t, conn, strings.Repeat("SELECT 1;", 2000)); strings.Count(tags, "SELECT 1") != 2000 {
		t.Fatalf("%d results", strings.Count(tags, "SELECT 1"))
	}
}
