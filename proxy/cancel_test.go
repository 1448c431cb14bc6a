package proxy_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgring/pgring/backend"
	"github.com/pgring/pgring/internal/pgtest"
)

// cancel sends a CancelRequest and returns when the proxy has closed its connection, that is when it has done what it will do.
func (f *frames) cancel(addr string, key []byte) {
	f.t.Helper()
	must(f.t, tryCancel(addr, f.pid, key))
}

func tryCancel(addr string, pid uint32, key []byte) error {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	b, err := (&pgproto3.CancelRequest{ProcessID: pid, SecretKey: key}).Encode(nil)
	if err != nil {
		return err
	}
	if _, err := conn.Write(b); err != nil {
		return err
	}
	if err := conn.SetReadDeadline(time.Now().Add(answerTime)); err != nil {
		return err
	}
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		return fmt.Errorf("the proxy answered a cancel request")
	}
	return nil
}

// running waits until a statement that contains the text is active on n servers.
func (c *cluster) running(t testing.TB, text string, n int64) {
	t.Helper()
	waitFor(t, text+" to run", func() bool {
		var on int64
		for _, s := range c.servers {
			on += pgtest.One[int64](t, s, "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid() AND query LIKE '%"+text+"%' AND query NOT LIKE '%pg_stat_activity%'")
		}
		return on == n
	})
}

func TestCancelReachesTheShards(t *testing.T) {
	t.Parallel()
	w := startTwin(t, options{pool: backend.Config{Size: 1}})
	w.reset(t)
	for _, test := range []struct {
		name, script, mark string
		servers            int64
	}{
		{"one", "Q SELECT pg_sleep(600), 'one' FROM users WHERE id = {c}", "one", 1},
		{"one, prepared", "P . SELECT pg_sleep(600), 'prepared' FROM users WHERE id = $1 | B . . {b} | E . | S", "prepared", 1},
		{"home", "Q SELECT pg_sleep(600), 'home'", "home", 1},
		{"gather", "Q SELECT count(pg_sleep(600)) AS gathered FROM users", "gathered", 3},
		{"gather, prepared", "P . SELECT count(pg_sleep(600)) AS both FROM users WHERE age < $1 | B . . 9 | E . | S", "both", 3},
		{"script", "Q SELECT 1; SELECT pg_sleep(600), 'script'; SELECT 2", "script", 1},
		{"DDL", "Q ALTER TABLE users ADD COLUMN x text DEFAULT pg_sleep(600)::text", "ALTER TABLE", 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, block := range []bool{false, true} {
				if block && test.name == "DDL" {
					continue
				}
				f := openFrames(t, w.dsn())
				if block {
					f.want("Q BEGIN", "C:BEGIN Z:T")
				}
				f.send(parseScript(t, w.keyed(test.script))...)
				w.running(t, test.mark, test.servers)
				f.cancel(w.addr, f.key)
				trace := strings.Join(f.until("Z:"), " ")
				if strings.Count(trace, "E:57014:") != 1 || strings.HasSuffix(trace, "Z:E") != block {
					t.Errorf("got %s", trace)
				}
				w.running(t, test.mark, 0)
				f.ask("Q ROLLBACK")
				f.want("Q SELECT count(*) FROM users", "T:count/20/-1/0/0 D:3 C:SELECT_1 Z:I")
				must(t, f.conn.Close())
			}
		})
	}
}

func TestCancelEndsACopy(t *testing.T) {
	t.Parallel()
	c := start(t, options{shards: 1, pool: backend.Config{Size: 1}})
	run(t, c.connect(), "CREATE TABLE logs (n int)")
	for _, script := range []string{"Q COPY logs FROM STDIN", "P . COPY logs FROM STDIN | B . . | E . | S"} {
		f := c.frames()
		f.send(parseScript(t, script)...)
		f.until("G")
		f.send(parseScript(t, "d 1")...)
		f.cancel(c.addr, f.key)
		f.send(parseScript(t, "d 2")...) // PostgreSQL looks at the request when data comes
		if got := f.until("E:"); !strings.HasPrefix(got[len(got)-1], "E:57014:") {
			t.Fatalf("got %s", got)
		}
		f.send(parseScript(t, "d 3 | c | S | Q SELECT 5")...)
		if got := f.until("C:SELECT_1"); got[len(got)-1] != "C:SELECT_1" {
			t.Fatalf("got %s", got)
		}
		must(t, f.conn.Close())
		wantValue(t, c.connect(), "SELECT count(*) FROM logs", "0")
	}
}

func TestCancelWithAWrongKeyDoesNothing(t *testing.T) {
	t.Parallel()
	c := start(t, options{shards: 1})
	f := c.frames()
	f.send(parseScript(t, "Q SELECT pg_sleep(600), 'wrong'")...)
	c.running(t, "wrong", 1)
	wrong := binary.BigEndian.AppendUint32(nil, binary.BigEndian.Uint32(f.key)+1)
	f.cancel(c.addr, wrong)
	must(t, tryCancel(c.addr, f.pid+1, f.key))
	c.running(t, "wrong", 1)
	f.cancel(c.addr, f.key)
	if got := f.until("Z:"); !strings.HasPrefix(got[len(got)-2], "E:57014:") {
		t.Fatalf("got %s", got)
	}
	for range 20 { // nothing runs: nothing happens, now or to the next statement
		f.cancel(c.addr, f.key)
		f.want("Q SELECT 5", "T:?column?/23/-1/0/0 D:5 C:SELECT_1 Z:I")
	}
}

// TestCancelStormHitsNobodyElse has clients cancel themselves all the time, at any point of their statements, while others on the same
// few server connections must never notice.
func TestCancelStormHitsNobodyElse(t *testing.T) {
	t.Parallel()
	w := startTwin(t, options{pool: backend.Config{Size: 2}})
	w.reset(t)
	ctx, stop := context.WithTimeout(background, 4*time.Second)
	defer stop()
	var group sync.WaitGroup
	var cancelled, quiet atomic.Int64
	for i := range 3 {
		f := w.frames()
		group.Go(func() { // cancels and is cancelled
			for ctx.Err() == nil {
				if err := tryCancel(w.addr, f.pid, f.key); err != nil {
					t.Errorf("cancel: %v", err)
					return
				}
			}
		})
		group.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				trace := f.ask(w.keyed([]string{"Q SELECT count(*) FROM users", "P . SELECT name FROM users WHERE id = $1 | B . . {b} | E . | S", "Q SELECT 1; SELECT 2"}[(n+i)%3]))
				if strings.Contains(trace, "E:57014") {
					cancelled.Add(1)
				} else if strings.Contains(trace, "E:") || strings.Contains(trace, "EOF") || strings.Contains(trace, "HANGS") {
					t.Errorf("the cancelled client got %s", trace)
					return
				}
			}
		})
	}
	for range 3 {
		f := w.frames()
		group.Go(func() {
			for ctx.Err() == nil {
				for script, want := range map[string]string{
					"Q SELECT count(*) FROM users":                                   "T:count/20/-1/0/0 D:3 C:SELECT_1 Z:I",
					"P . SELECT name FROM users WHERE id = $1 | B . . {b} | E . | S": "1 2 D:bob C:SELECT_1 Z:I",
					"Q BEGIN; UPDATE users SET age = 2 WHERE id = {b}; COMMIT":       "C:BEGIN C:UPDATE_1 C:COMMIT Z:I",
				} {
					if got := f.ask(w.keyed(script)); got != want {
						t.Errorf("a client that cancels nothing got %s", got)
						return
					}
					quiet.Add(1)
				}
			}
		})
	}
	group.Wait()
	t.Logf("%d statements cancelled, %d undisturbed", cancelled.Load(), quiet.Load())
	if quiet.Load() < 20 {
		t.Error("the quiet clients have hardly been served")
	}
}
