package proxy_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/pgring/pgring/proxy"
)

// TestWhatIsParsedAgainMeansWhatItDoesNow: a session remembers what it has parsed. A random walk through statements, settings, schemas and
// transactions is answered as PostgreSQL answers it.
func TestWhatIsParsedAgainMeansWhatItDoesNow(t *testing.T) {
	for _, after := range []int{-1, 1} { // automatic preparation: all, or what is parsed again
		c := start(t, options{shards: 2, policy: proxy.Policy{PrepareAfter: after}})
		key := int64(1)
		for c.shardOf(key) != c.servers[0] { // at home, as other.users
			key++
		}
		server := c.servers[0]
		run(t, c.connect(), fmt.Sprintf("INSERT INTO users VALUES (%d, 'ann', 7)", key))
		run(t, server.Connect(t), fmt.Sprintf("CREATE SCHEMA other; CREATE TABLE other.users (id bigint PRIMARY KEY, name text, age text); INSERT INTO other.users VALUES (%d, 'other', 'eight')", key))
		const unit = " | B . . %d | DP . | E . | S"
		texts := []string{
			"SELECT age FROM users WHERE id = $1", "SELECT name, 'x' FROM users WHERE id = $1", "SELECT name, 'y' FROM users WHERE id = $1",
			"SELECT extract(epoch FROM timestamptz '2020-01-01 00:00')::bigint FROM users WHERE id = $1",
			"SELECT '02/03/2020'::date - '2020-01-01'::date FROM users WHERE id = $1", "SELECT 1/(age - age) FROM users WHERE id = $1", "SELECT nonesuch FROM users WHERE id = $1",
			"UPDATE users SET age = age WHERE id = $1 AND age IS NULL", "SELECT 3.0::float8/7 FROM users WHERE id = $1", "SELECT age FROM users WHERE id = $1 LIMIT 2",
			"SELECT current_setting('search_path') FROM users WHERE id = $1", "SELECT count(*) FROM users WHERE id = $1 AND name < 'b'",
		}
		others := []string{
			"Q SET TimeZone = 'UTC'", "Q SET TimeZone = 'Asia/Tokyo'", "Q SET DateStyle = 'ISO, DMY'", "Q SET DateStyle = 'ISO, MDY'", "Q SET extra_float_digits = 0", "Q RESET ALL",
			"Q SET search_path = other", "Q SET search_path = public", "Q SET LOCAL search_path = other",
			"P . BEGIN | B . . | E . | P . SELECT 1 | B . . | E . | P . COMMIT | B . . | E . | P . ROLLBACK | B . . | E . | S",
			"P . BEGIN | B . . | E . | P . SELECT age FROM users WHERE id = 1 | B . . | E . | P . ROLLBACK | B . . | E . | P . ROLLBACK | B . . | E . | P . SELECT 1 | B . . | E . | S",
			"Q BEGIN", "Q SET LOCAL TimeZone = 'America/New_York'", "Q ROLLBACK", "Q COMMIT", "Q SAVEPOINT a", "Q ROLLBACK TO a", "Q SELECT 1",
			"P . SELECT age FROM users WHERE id = $1 | P . SELECT 1 | S", "P . SELECT nonesuch | P . SELECT age FROM users WHERE id = $1 | S",
		}
		for seed := range uint64(15) {
			r := rand.New(rand.NewPCG(seed, 4))
			proxied, direct := c.frames(), openFrames(t, server.DSN("postgres", "postgres"))
			likely := texts[:1+r.IntN(len(texts))]
			var script []string
			for n := range 60 {
				step := "P . " + likely[r.IntN(len(likely))] + fmt.Sprintf(unit, key)
				if r.IntN(5) == 0 { // others' prepared statements of the same texts
					step = strings.NewReplacer("DP .", "DP .", "P .", fmt.Sprint("P s", n), "B . .", fmt.Sprint("B . s", n), " | S", fmt.Sprintf(" | CS s%d | S", n)).Replace(step)
				}
				if r.IntN(4) == 0 {
					step = others[r.IntN(len(others))]
				}
				if r.IntN(3) == 0 && !strings.Contains(step, "CS ") {
					step = strings.Replace(step, " | S", " | P . "+likely[r.IntN(len(likely))]+fmt.Sprintf(unit, key), 1)
				}
				script = append(script, step)
				if got, want := proxied.ask(step), direct.ask(step); got != want {
					t.Fatalf("PrepareAfter %d, seed %d:\n%s\n got %s\nwant %s", after, seed, strings.Join(script, "\n"), got, want)
				}
			}
			must(t, proxied.conn.Close())
			must(t, direct.conn.Close())
		}
	}
}
