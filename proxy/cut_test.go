package proxy_test

import (
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/backend"
	"github.com/pgring/pgring/internal/faultnet"
	"github.com/pgring/pgring/proxy"
	"github.com/pgring/pgring/topology"
)

// cuts are transactions, by the messages that make each of them; {n} is another number each time, and each row that they write has it. Of
// a transaction that the client is told is done all rows are there, and of any other all or none.
var cuts = []struct {
	name  string
	rows  int
	steps []string
}{
	{"a request", 1, []string{"Q INSERT INTO orders (user_id, request_id, what) VALUES ({a}, '{id}', 'm{n}') RETURNING n"}},
	{"a request in the extended protocol", 1, []string{"P . INSERT INTO orders (user_id, request_id, what) VALUES ($1, '{id}', 'm{n}') | B . . {a} | E . | S"}},
	{"a request with a key", 1, []string{"Q INSERT INTO notes VALUES ({a}, {n}, 'm{n}') /* idempotency_key='{n}' */"}},
	{"requests in one message", 2, []string{"Q INSERT INTO notes VALUES ({a}, {n}, 'm{n}'); INSERT INTO orders (user_id, request_id, what) VALUES ({a}, '{id}', 'm{n}')"}},
	{"a request in a block", 3, []string{"Q BEGIN", "Q INSERT INTO notes VALUES ({a}, {n}, 'm{n}')", "Q INSERT INTO orders (user_id, request_id, what) VALUES ({a}, '{id}', 'm{n}') RETURNING n",
		"Q INSERT INTO notes VALUES ({a}, -{n}, 'm{n}')", "Q COMMIT"}},
	{"a request that is read in its block", 1, []string{"Q BEGIN", "Q INSERT INTO orders (user_id, request_id, what) VALUES ({a}, '{id}', 'm{n}')", "Q SELECT what FROM orders WHERE user_id = {a} AND what = 'm{n}'", "Q COMMIT"}},
	{"a pipeline", 3, []string{"P . INSERT INTO notes VALUES ($1, {n}, 'm{n}') | B . . {a} | E . | P . INSERT INTO orders (user_id, request_id, what) VALUES ($1, '{id}', 'm{n}') | B . . {a} | E . | " +
		"P . INSERT INTO notes VALUES ($1, -{n}, 'm{n}') | B . . {a} | E . | S"}},
	{"a pipeline that joins", 1, []string{"P . INSERT INTO notes VALUES ($1, {n}, 'm{n}') | B . . {a} | E . | P . SELECT count(*) FROM users u JOIN users v ON u.age = v.age AND u.id < v.id | B . . | E . | S"}},
	{"a batch", 1, []string{"Q INSERT INTO ticks VALUES ({a}, {n}, 'm{n}')"}},
	{"two shards", 2, []string{"Q INSERT INTO notes VALUES ({a}, {n}, 'm{n}'), ({b}, {n}, 'm{n}')"}},
	{"two shards in the extended protocol", 2, []string{"P . INSERT INTO notes VALUES ($1, {n}, 'm{n}'), ($2, {n}, 'm{n}') | B . . {a},{b} | E . | S"}},
	{"two shards in a message of several statements", 3, []string{"Q INSERT INTO notes VALUES ({a}, -{n}, 'm{n}'); INSERT INTO notes VALUES ({a}, {n}, 'm{n}'), ({b}, {n}, 'm{n}')"}},
	{"two shards in a block", 2, []string{"Q BEGIN", "Q SET LOCAL pgring.cross_shard = '2pc'", "Q INSERT INTO notes VALUES ({a}, {n}, 'm{n}')", "Q INSERT INTO notes VALUES ({b}, {n}, 'm{n}')", "Q COMMIT"}},
	{"an INSERT of what other shards have", 2, []string{"Q INSERT INTO notes SELECT id, {n}, 'm{n}' FROM users WHERE age < 5"}},
	{"a table at home and rows of all shards", 1, []string{"Q INSERT INTO things SELECT 100000 + {n}, 'm{n}' FROM users u, users v WHERE u.id = {a} AND v.id = {b}"}},
	{"a block that reads elsewhere", 1, []string{"Q BEGIN", "Q INSERT INTO notes VALUES ({a}, {n}, 'm{n}')", "Q SELECT count(*) FROM users", "Q COMMIT"}},
	{"a block that joins", 1, []string{"Q BEGIN", "Q INSERT INTO notes VALUES ({a}, {n}, 'm{n}')", "Q SELECT count(*) FROM users u JOIN users v ON u.age = v.age AND u.id < v.id", "Q COMMIT"}},
	{"a block with a cursor", 1, []string{"Q BEGIN", "Q INSERT INTO notes VALUES ({a}, {n}, 'm{n}')", "Q DECLARE c CURSOR FOR SELECT u.id FROM users u JOIN users v ON u.age = v.age", "Q FETCH ALL FROM c", "Q COMMIT"}},
	{"a reference table", 2, []string{"Q INSERT INTO countries VALUES ('{n}', 'm{n}')"}},
	{"a saga", 2, []string{"Q BEGIN", "Q SET LOCAL pgring.cross_shard = 'saga'", "Q SET LOCAL pgring.compensation = 'auto'", "Q INSERT INTO notes VALUES ({a}, {n}, 'm{n}')", "Q INSERT INTO notes VALUES ({b}, {n}, 'm{n}')", "Q COMMIT"}},
	{"rows of a join into several shards", 2, []string{"Q INSERT INTO notes SELECT u.id, {n}, 'm{n}' FROM users u JOIN users v ON u.age = v.age AND u.id <> v.id"}},
	{"a savepoint", 2, []string{"Q BEGIN", "Q INSERT INTO notes VALUES ({a}, {n}, 'm{n}')", "Q SAVEPOINT s", "Q INSERT INTO orders (user_id, request_id, what) VALUES ({a}, '{id}', 'm{n}')", "Q RELEASE s", "Q COMMIT"}},
	{"COPY", 2, []string{"Q COPY notes FROM STDIN | d {a}\t{n}\tm{n} | d {b}\t{n}\tm{n} | c"}},
	{"BEGIN and COMMIT in one message", 2, []string{"Q BEGIN; INSERT INTO notes VALUES ({a}, {n}, 'm{n}'); INSERT INTO orders (user_id, request_id, what) VALUES ({a}, '{id}', 'm{n}'); COMMIT"}},
}

// TestNoCutLosesWhatIsAcknowledged cuts the way to a shard at the beginning of each message that goes there, and of every fourth that comes
// back. With PGRING_CUT=all it cuts at the beginning of each, and within it.
func TestNoCutLosesWhatIsAcknowledged(t *testing.T) {
	t.Parallel()
	ticks := topology.Name{Schema: "public", Table: "ticks"}
	o := withRequests(options{pool: backend.Config{Size: 2}, setup: "CREATE TABLE ticks (user_id bigint, n int, what text, PRIMARY KEY (user_id, n));",
		tables: []topology.TableWish{{Name: ticks, Kind: topology.Sharded, Key: []string{"user_id"}, Colocate: "users"}}})
	o.policy.Batches = map[topology.Name]*proxy.Batching{ticks: {Rows: 8, Delay: time.Millisecond}}
	o.policy.Idempotent[topology.Name{Schema: "public", Table: "notes"}] = proxy.Idempotency{Keep: time.Hour}
	w, nets := behindWith(t, 2, o)
	w.ensureRequests()
	for _, key := range w.keys3 {
		w.shardOf(key).Exec(t, "INSERT INTO users VALUES ($1, 'x', 1)", key)
	}
	every := os.Getenv("PGRING_CUT") == "all"
	c := &cutter{twin: w, doubts: map[string]int{}}
	for _, s := range w.servers {
		c.direct = append(c.direct, s.Connect(t))
	}
	for _, cut := range cuts {
		t.Run(cut.name, func(t *testing.T) {
			c.attempt(t, cut.steps, cut.rows, func() {})
			for i, net := range nets {
				for _, direction := range []faultnet.Direction{faultnet.ToServer, faultnet.ToClient} {
					var stop func() [][]byte
					c.attempt(t, cut.steps, cut.rows, func() { stop = net.Record(direction) })
					points := places(stop(), every)
					if !every && direction == faultnet.ToClient {
						points = slices.DeleteFunc(points, func(at int) bool { return (at+c.number)%4 != 0 })
					}
					t.Logf("server %d, direction %d: %d places", i+1, direction, len(points))
					for _, at := range points {
						c.attempt(t, cut.steps, cut.rows, func() { net.CutOnceAfter(direction, at) })
						net.Release(direction)
					}
				}
			}
		})
	}
	c.settled(t)
}

// places are where messages begin, and where they have only begun if within is set, in bytes. What is no message, as at start-up, is one place.
func places(deliveries [][]byte, within bool) (all []int) {
	at := 0
	for _, data := range deliveries {
		all = append(all, at)
		for rest := data; len(rest) >= 5; {
			begin := at + len(data) - len(rest)
			all = append(all, begin)
			if within {
				all = append(all, begin+3)
			}
			size := 1 + int(binary.BigEndian.Uint32(rest[1:]))
			if size < 5 || size > len(rest) {
				break
			}
			rest = rest[size:]
		}
		at += len(data)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// cutter runs transactions.
type cutter struct {
	*twin
	client *frames
	direct []*pgx.Conn    // to the servers
	number int            // of the last one
	doubts map[string]int // rows of those that are to be settled
}

// attempt runs one transaction. Its connections are there when arm is called.
func (c *cutter) attempt(t *testing.T, steps []string, rows int, arm func()) {
	t.Helper()
	waitFor(t, "the shards", func() bool {
		if c.client == nil {
			client, err := tryFrames(c.t, c.dsn())
			if err != nil {
				return false
			}
			c.client = client
		}
		return !strings.Contains(c.client.ask(c.keyed("Q ROLLBACK; SELECT name FROM users WHERE id = {a}; SELECT name FROM users WHERE id = {b}")), "E:")
	})
	c.number++
	mark := fmt.Sprint("m", c.number)
	words := strings.NewReplacer("{n}", fmt.Sprint(c.number), "{id}", requestID(c.number))
	arm()
	done := true
	var traces []string
	for _, step := range steps {
		trace := c.client.ask(c.keyed(words.Replace(step)))
		traces = append(traces, trace)
		if !strings.Contains(trace, "Z:") {
			t.Fatalf("%s hangs: %s", step, traces)
		}
		done = done && !strings.Contains(trace, "E:") && !strings.Contains(trace, "C:ROLLBACK")
	}
	if !done {
		c.doubts[mark] = rows
	} else if there := c.marks(t)[mark]; there != rows {
		t.Errorf("%d rows of %d are there, though the client was told %s", there, rows, traces)
	}
}

// settled waits until of what failed all is there or nothing.
func (c *cutter) settled(t *testing.T) {
	t.Logf("%d transactions, %d of them failed", c.number, len(c.doubts))
	waitFor(t, "failed transactions to be there wholly or not at all", func() bool {
		there := c.marks(t)
		for mark, rows := range c.doubts {
			if n := there[mark]; n != 0 && n != rows {
				return false
			}
		}
		return true
	})
}

// marks counts the rows of all shards by their mark.
func (c *cutter) marks(t *testing.T) map[string]int {
	all := map[string]int{}
	for _, conn := range c.direct {
		rows, err := conn.Query(t.Context(), `SELECT m, count(*) FROM (SELECT what FROM orders UNION ALL SELECT body FROM notes UNION ALL SELECT what FROM ticks
			UNION ALL SELECT y FROM things UNION ALL SELECT name FROM countries) all_rows (m) GROUP BY m`)
		must(t, err)
		var mark string
		var n int
		_, err = pgx.ForEachRow(rows, []any{&mark, &n}, func() error {
			all[mark] += n
			return nil
		})
		must(t, err)
	}
	return all
}
