package proxy_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgring/pgring/backend"
	"github.com/pgring/pgring/internal/faultnet"
	"github.com/pgring/pgring/internal/pgtest"
)

// recovers waits until a statement succeeds again in a session.
func recovers(t testing.TB, f *frames, script, want string) {
	t.Helper()
	waitFor(t, script+" to work again", func() bool { return f.ask(script) == want })
}

// lostCodes are what a client may be told of a lost shard: the connection is gone, the server ends, or it is starting up.
func lost(trace string) bool {
	return slices.ContainsFunc([]string{"E:08006:", "E:57P01:", "E:57P02:", "E:57P03:"}, func(code string) bool { return strings.Contains(trace, code) })
}

func TestKilledShardHarmsOnlyItsOwnStatements(t *testing.T) {
	t.Parallel()
	w := startTwin(t, options{})
	w.reset(t)
	dead := w.shardOf(w.keys3[2])
	if dead == w.servers[0] {
		t.Fatal("the third key is at home")
	}
	ofDead, ofOther := w.keyed("Q SELECT name FROM users WHERE id = {c}"), w.keyed("Q SELECT name FROM users WHERE id = {a}")
	const cid, ann = "T:name/25/-1/2/0 D:cid C:SELECT_1 Z:I", "T:name/25/-1/2/0 D:ann C:SELECT_1 Z:I"
	idle, inBlock, inResult, other, prepared := w.frames(), w.frames(), w.frames(), w.frames(), w.frames()
	idle.want(ofDead, cid)
	prepared.want("P q SELECT name FROM users WHERE id = $1 | S", "1 Z:I")
	inBlock.want("Q BEGIN", "C:BEGIN Z:T")
	inBlock.want(w.keyed("Q UPDATE users SET age = 9 WHERE id = {c}"), "C:UPDATE_1 Z:T")
	inResult.send(parseScript(t, w.keyed("Q SELECT repeat('x', 1000), pg_sleep(0.0005) FROM users, generate_series(1, 1000000) WHERE id = {c}"))...)
	inResult.until("D:")
	other.want("Q BEGIN", "C:BEGIN Z:T")
	other.want(w.keyed("Q UPDATE users SET age = 9 WHERE id = {a}"), "C:UPDATE_1 Z:T")
	dead.Kill9(t)
	for range 5 {
		if got := idle.ask(ofDead); !lost(got) || strings.Count(got, "E:") != 1 {
			t.Errorf("an idle client got %s", got)
		}
		idle.want(ofOther, ann)
		prepared.want(w.keyed("B . q {a} | E . | S"), "2 D:ann C:SELECT_1 Z:I")
		if got := prepared.ask(w.keyed("B . q {c} | E . | S")); !lost(got) || strings.Count(got, "E:") != 1 {
			t.Errorf("a client with a prepared statement got %s", got)
		}
		if got := idle.ask("Q SELECT count(*) FROM users"); !lost(got) || strings.Count(got, "E:") != 1 {
			t.Errorf("a gather got %s", got)
		}
	}
	if got := inBlock.ask(w.keyed("Q SELECT age FROM users WHERE id = {c}")); !lost(got) || !strings.HasSuffix(got, "Z:E") {
		t.Errorf("in a block: %s", got)
	}
	inBlock.want("Q COMMIT", "C:ROLLBACK Z:I")
	inBlock.want(ofOther, ann)
	if got := inResult.until("Z:"); !lost(strings.Join(got[max(0, len(got)-3):], " ")) {
		t.Errorf("in a result, after %d rows: %.50q", len(got), got[max(0, len(got)-3):])
	}
	inResult.want(ofOther, ann)
	other.want("Q COMMIT", "C:COMMIT Z:I")
	dead.Restart(t)
	recovers(t, idle, ofDead, cid)
	recovers(t, prepared, w.keyed("B . q {c} | E . | S"), "2 D:cid C:SELECT_1 Z:I")
	recovers(t, inBlock, "Q SELECT sum(age) FROM users", "T:sum/20/-1/0/0 D:14 C:SELECT_1 Z:I") // 9 + 2 + 3
}

func TestKilledHomeShardLetsOthersWork(t *testing.T) {
	t.Parallel()
	w := startTwin(t, options{})
	w.reset(t)
	var key string
	for i, k := range w.keys3 {
		if w.shardOf(k) != w.servers[0] {
			key = fmt.Sprintf("Q SELECT age - %d FROM users WHERE id = %d", i+1, k)
		}
	}
	const zero = "T:?column?/23/-1/0/0 D:0 C:SELECT_1 Z:I"
	f := w.frames()
	w.servers[0].Kill9(t)
	for range 3 {
		f.want(key, zero)
		if got := f.ask("Q SELECT x FROM things"); !lost(got) {
			t.Errorf("a home table: %s", got)
		}
	}
	w.frames().want(key, zero) // new clients are let in
	w.servers[0].Restart(t)
	recovers(t, f, "Q SELECT count(*) FROM things", "T:count/20/-1/0/0 D:2 C:SELECT_1 Z:I")
}

// behind starts a twin whose shards are reached through networks that can fail.
func behind(t testing.TB, shards int, pool backend.Config) (*twin, []*faultnet.Proxy) {
	t.Helper()
	return behindWith(t, shards, options{pool: pool})
}

// behindWith is behind for a cluster with more than the tables of every test.
func behindWith(t testing.TB, shards int, o options) (*twin, []*faultnet.Proxy) {
	t.Helper()
	w := &twin{cluster: &cluster{t: t, servers: pgtest.Start(t, shards)}}
	var nets []*faultnet.Proxy
	ports := make([]int, shards)
	for i, s := range w.servers {
		s.Exec(t, testSchema+o.setup)
		s.Exec(t, "CREATE TABLE things (x int PRIMARY KEY, y text)")
		nets = append(nets, faultnet.Start(t, s.Addr()))
		ports[i], s.Port = s.Port, nets[i].Port()
	}
	w.build(o)
	for i, s := range w.servers {
		s.Port = ports[i]
	}
	w.keys3 = w.keys(shards)
	return w, nets
}

func TestLostCommitIsSaidToBeUnknown(t *testing.T) {
	t.Parallel()
	w, nets := behind(t, 2, backend.Config{Size: 2})
	for _, key := range w.keys3 {
		w.shardOf(key).Exec(t, "INSERT INTO users VALUES ($1, 'x', 0)", key)
	}
	net := nets[slices.Index(w.servers, w.shardOf(w.keys3[0]))]
	block := "Q BEGIN | Q UPDATE users SET age = age + 1 WHERE id = {a}"
	both := block + " | Q SELECT age FROM users WHERE id = {b}"
	for name, script := range map[string][2]string{
		"one shard":            {block, "Q COMMIT"},
		"one shard, prepared":  {block + " | P c COMMIT | S", "B . c | E . | S"},
		"two shards":           {both, "Q COMMIT"},
		"two shards, prepared": {both + " | P c COMMIT | S", "B . c | E . | S"},
		"all in one message":   {"S", "Q BEGIN; UPDATE users SET age = age + 1 WHERE id = {a}; COMMIT"},
	} {
		for _, direction := range []faultnet.Direction{faultnet.ToServer, faultnet.ToClient} {
			t.Run(fmt.Sprint(name, ", direction ", direction), func(t *testing.T) {
				f := openFrames(t, w.dsn())
				f.send(parseScript(t, w.keyed(script[0])+" | Q SELECT 'ready'")...)
				f.until("D:ready")
				f.until("Z:")
				key := w.keys3[0]
				age := func() int32 {
					return pgtest.One[int32](t, w.shardOf(key), "SELECT age FROM users WHERE id = $1", key)
				}
				before := age()
				if name == "all in one message" {
					waitFor(t, "former clients to be gone", func() bool { return !w.inUse() })
				}
				net.Hold(direction)
				defer net.Release(direction) // a test that fails here leaves the network to the next one
				f.send(parseScript(t, w.keyed(script[1]))...)
				if direction == faultnet.ToClient && strings.HasPrefix(name, "one") {
					waitFor(t, "the commit", func() bool { return age() == before+1 })
				}
				if name == "all in one message" { // it takes its connection now: cut before, it would take another one, and commit
					waitFor(t, "a connection in use", w.inUse)
				}
				net.Cut()
				net.Release(direction)
				trace := strings.Join(f.until("Z:"), " ")
				if name == "all in one message" || strings.HasPrefix(name, "two") {
					if !lost(trace) && !strings.Contains(trace, "E:08007:") {
						t.Errorf("got %s", trace)
					}
				} else if !strings.Contains(trace, "E:08007:") {
					t.Errorf("got %s", trace)
				}
				ends := map[bool]string{true: "Z:E", false: "Z:I"}[name == "all in one message"] // there it is the UPDATE that is lost
				if strings.Count(trace, "E:") != 1 || strings.Contains(trace, "C:COMMIT") || !strings.HasSuffix(trace, ends) {
					t.Errorf("after COMMIT: %s", trace)
				}
				f.ask("Q ROLLBACK")
				recovers(t, f, w.keyed("Q SELECT id FROM users WHERE id = {a}"), w.keyed("T:id/20/-1/1/0 D:{a} C:SELECT_1 Z:I"))
				_ = f.conn.Close()
			})
		}
	}
	w.nothingPrepared(t)
}

// inUse reports whether some session holds a connection.
func (c *cluster) inUse() bool {
	return slices.ContainsFunc(c.pools.Stats(), func(p backend.PoolStats) bool { return p.Active > 0 })
}

func TestTerminatedServerConnections(t *testing.T) {
	t.Parallel()
	w := startTwin(t, options{pool: backend.Config{Size: 2}})
	w.reset(t)
	const end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'pgring' AND pid <> pg_backend_pid()"
	f, g := w.frames(), w.frames()
	f.want(w.keyed("Q SELECT name FROM users WHERE id = {c}"), "T:name/25/-1/2/0 D:cid C:SELECT_1 Z:I")
	g.want("Q BEGIN", "C:BEGIN Z:T")
	g.want(w.keyed("Q UPDATE users SET age = 9 WHERE id = {b}"), "C:UPDATE_1 Z:T")
	g.want(w.keyed("Q SELECT name FROM users WHERE id = {c}"), "T:name/25/-1/2/0 D:cid C:SELECT_1 Z:T")
	for _, s := range w.servers {
		s.Exec(t, end)
	}
	recovers(t, f, w.keyed("Q SELECT name FROM users WHERE id = {c}"), "T:name/25/-1/2/0 D:cid C:SELECT_1 Z:I")
	if got := g.ask(w.keyed("Q SELECT age FROM users WHERE id = {b}")); !lost(got) || !strings.HasSuffix(got, "Z:E") {
		t.Errorf("a block whose connection was terminated: %s", got)
	}
	g.want("Q COMMIT", "C:ROLLBACK Z:I")
	g.want(w.keyed("Q SELECT age FROM users WHERE id = {b}"), "T:age/23/-1/3/0 D:2 C:SELECT_1 Z:I")
	// One of two participants is gone: what the other has is not committed.
	g.want("Q BEGIN", "C:BEGIN Z:T")
	g.want(w.keyed("Q SELECT name FROM users WHERE id = {c}"), "T:name/25/-1/2/0 D:cid C:SELECT_1 Z:T")
	g.want(w.keyed("Q UPDATE users SET age = 9 WHERE id = {b}"), "C:UPDATE_1 Z:T")
	w.shardOf(w.keys3[1]).Exec(t, end)
	if got := g.ask("Q COMMIT"); !lost(got) && !strings.Contains(got, "E:08007:") || !strings.HasSuffix(got, "Z:I") {
		t.Errorf("COMMIT without its writer: %s", got)
	}
	g.want(w.keyed("Q SELECT age FROM users WHERE id = {b}"), "T:age/23/-1/3/0 D:2 C:SELECT_1 Z:I")
}

// TestAConnectionTerminatedUnderAReadOfSeveralShards costs the statement, not the session.
func TestAConnectionTerminatedUnderAReadOfSeveralShards(t *testing.T) {
	t.Parallel()
	w := startTwin(t, options{pool: backend.Config{Size: 2}})
	w.reset(t)
	f := w.frames()
	for _, script := range []string{"Q SELECT id, pg_sleep(30) FROM users ORDER BY id", "Q SELECT id, pg_sleep(30) FROM users", "P . SELECT id, pg_sleep(30) FROM users ORDER BY id | B . . | E . | S"} {
		answer := make(chan string, 1)
		go func() { answer <- f.ask(script) }()
		server := w.shardOf(w.keys3[1])
		waitFor(t, "the shard to be asked", func() bool {
			return pgtest.One[int](t, server, "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(30)%' AND state = 'active' AND pid <> pg_backend_pid()") > 0
		})
		if got := <-answer; !strings.Contains(got, "E:57P01:connection_to_shard_") || !strings.HasSuffix(got, "Z:I") {
			t.Errorf("%s: %s", script, got)
		}
		f.want(w.keyed("Q SELECT name FROM users WHERE id = {c}"), "T:name/25/-1/2/0 D:cid C:SELECT_1 Z:I")
	}
}

// TestNetworkCutAfterAnyNumberOfBytes cuts the way to a shard everywhere: a session must answer each statement rightly or say that the
// connection was lost, and must never hang or say that what did not happen did.
func TestNetworkCutAfterAnyNumberOfBytes(t *testing.T) {
	t.Parallel()
	w, nets := behind(t, 2, backend.Config{Size: 1})
	for _, key := range w.keys3 {
		w.shardOf(key).Exec(t, "INSERT INTO users VALUES ($1, 'x', 1)", key)
	}
	seed := rand.Uint64()
	t.Log("seed", seed)
	r := rand.New(rand.NewPCG(seed, 3))
	known := 0 // times that age was certainly raised on both, above the value 1 at the beginning
	atMost := 0
	script := w.keyed("P u UPDATE users SET age = age + 1 WHERE id = $1 RETURNING 'raised' | P s SELECT name FROM users WHERE id = $1 | S")
	for range 70 {
		var f *frames
		waitFor(t, "a client", func() bool {
			var err error
			f, err = tryFrames(t, w.dsn())
			return err == nil && f.ask(script) == "1 1 Z:I"
		})
		net, direction := nets[r.IntN(2)], faultnet.Direction(r.IntN(2))
		net.CutAfter(direction, r.IntN(900))
		for _, step := range []struct{ script, want string }{
			{"B . s {a} | E . | B . s {b} | E . | S", "2 D:x C:SELECT_1 2 D:x C:SELECT_1 Z:I"},
			{"Q SELECT count(*) FROM users", "T:count/20/-1/0/0 D:2 C:SELECT_1 Z:I"},
			{"P . SELECT count(*) FROM users WHERE age > $1 | DS . | B . . 0 | DP . | E . | S", "1 t:23 T:count/20/-1/0/0 2 T:count/20/-1/0/0 D:2 C:SELECT_1 Z:I"},
			{"B . u {a} | E . | S", "2 D:raised C:UPDATE_1 Z:I"},
			{"Q SELECT name FROM users WHERE id = {b}; SELECT repeat('y', 3)", "T:name/25/-1/2/0 D:x C:SELECT_1 T:repeat/25/-1/0/0 D:yyy C:SELECT_1 Z:I"},
		} {
			got := f.ask(w.keyed(step.script))
			raised := strings.Contains(step.script, "B . u")
			if raised {
				atMost++
			}
			if got == step.want && raised {
				known++
			}
			unknown := strings.HasPrefix(step.script, "Q") && strings.Contains(got, "E:08007:") // the end of a script's transaction
			if got != step.want && (!lost(got) && !unknown || strings.Count(got, "E:") != 1 || !strings.HasSuffix(got, " Z:I")) {
				t.Errorf("%s\n got %s", step.script, got)
			}
		}
		net.Release(direction)
		_ = f.conn.Close()
	}
	f := w.frames()
	recovers(t, f, "Q SELECT count(*) FROM users", "T:count/20/-1/0/0 D:2 C:SELECT_1 Z:I")
	age := int(pgtest.One[int32](t, w.shardOf(w.keys3[0]), "SELECT age FROM users WHERE id = $1", w.keys3[0])) - 1
	if age < known || age > atMost {
		t.Errorf("raised %d times; told so %d times, tried %d times", age, known, atMost)
	}
}

// TestNetworkCutInTransactions: a transaction that the client was told is committed is, and one that was rolled back is not.
func TestNetworkCutInTransactions(t *testing.T) {
	t.Parallel()
	w, nets := behind(t, 2, backend.Config{Size: 2})
	seed := rand.Uint64()
	t.Log("seed", seed)
	r := rand.New(rand.NewPCG(seed, 4))
	type result struct {
		n     int
		trace string
	}
	var results []result
	for n := range 70 {
		f := w.frames()
		net, direction := nets[r.IntN(2)], faultnet.Direction(r.IntN(2))
		net.CutAfter(direction, r.IntN(700))
		f.send(parseScript(t, w.keyed(fmt.Sprintf("P i INSERT INTO notes VALUES ($1, $2, 'x') | S | Q BEGIN | B . i {a},%d | E . | S | Q SELECT count(*) FROM notes WHERE user_id = {b} | B . i {a},%d | E . | S | Q COMMIT | Q ", 2*n, 2*n+1)))...)
		trace := f.until("I") // the empty query, which needs no server
		if last := trace[len(trace)-1]; last != "I" {
			t.Fatalf("got %s", trace)
		}
		results = append(results, result{n, strings.Join(trace, " ")})
		net.Release(direction)
		_ = f.conn.Close()
	}
	w.nothingPrepared(t)
	for _, res := range results {
		rows := pgtest.One[int64](t, w.shardOf(w.keys3[0]), fmt.Sprintf("SELECT count(*) FROM notes WHERE n / 2 = %d", res.n))
		told := strings.Contains(res.trace, "C:COMMIT")
		denied := strings.Contains(res.trace, "C:ROLLBACK")
		unknown := strings.Contains(res.trace, "E:08007:")
		if rows == 1 || told && rows != 2 || denied && rows != 0 || !told && !denied && !unknown && rows != 0 {
			t.Errorf("%d of 2 rows after %s", rows, res.trace)
		}
	}
}

func TestFrozenShardDoesNotKeepTheProxyFromEnding(t *testing.T) {
	t.Parallel()
	w := startTwin(t, options{})
	w.reset(t)
	frozen := w.shardOf(w.keys3[2])
	script := w.keyed("Q SELECT name FROM users WHERE id = {c}")
	f, other := w.frames(), w.frames()
	f.want(script, "T:name/25/-1/2/0 D:cid C:SELECT_1 Z:I")
	frozen.Stop(t)
	f.send(parseScript(t, script)...)
	other.want(w.keyed("Q SELECT name FROM users WHERE id = {a}"), "T:name/25/-1/2/0 D:ann C:SELECT_1 Z:I")
	done := make(chan struct{})
	go func() {
		w.stop()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(answerTime):
		t.Error("the proxy waits for a shard that does not answer")
		frozen.Cont(t)
	}
}

func TestErrorsShowNoSecrets(t *testing.T) {
	t.Parallel()
	c := start(t, options{shards: 2})
	conn := c.connect()
	dead := c.shardOf(c.keys(2)[1])
	key := c.keys(2)[1]
	dead.Kill9(t)
	for range 3 {
		_, err := tryRun(conn, fmt.Sprintf("SELECT name FROM users WHERE id = %d", key))
		var e *pgconn.PgError
		if !errors.As(err, &e) {
			t.Fatalf("got %v", err)
		}
		for _, secret := range []string{"127.0.0.1", fmt.Sprint(dead.Port), "*net.", "dial tcp", "postgres"} {
			if strings.Contains(e.Message+e.Detail+e.Hint, secret) {
				t.Errorf("the client reads %q in: %s %s %s", secret, e.Message, e.Detail, e.Hint)
			}
		}
	}
}
