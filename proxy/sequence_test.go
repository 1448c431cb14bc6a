package proxy_test

import (
	"strings"
	"testing"

	"github.com/pgring/pgring/backend"
)

// TestLastValuesAreTheSessionsOwn: lastval and currval answer with what the client's transaction has taken, or refuse, never with another client's.
func TestLastValuesAreTheSessionsOwn(t *testing.T) {
	c := start(t, options{shards: 2, pool: backend.Config{Size: 1}})
	run(t, c.connect(), "CREATE SEQUENCE tickets; CREATE TABLE orders (id int DEFAULT nextval('tickets'), other int)")
	one := c.frames()
	c.frames().ask("Q SELECT nextval('tickets')")
	const undefined = "E:0A000:lastval_and_currval_are_not_supported_outside_of_the_transaction_that_has_taken_the_value"
	for _, step := range []struct{ script, want string }{
		{"Q SELECT currval('tickets')", undefined},
		{"Q SELECT pg_catalog.lastval()", undefined},
		{"Q INSERT INTO orders (other) VALUES (lastval())", undefined},
		{"P . SELECT lastval() | B . . | E . | S", undefined},
		{"Q BEGIN; SELECT count(*) FROM orders; SELECT lastval()", undefined},
		{"Q ROLLBACK; BEGIN; DELETE FROM orders WHERE false; SELECT lastval()", undefined},
		{"Q ROLLBACK; BEGIN; DECLARE c CURSOR FOR SELECT lastval()", undefined},
		{"Q ROLLBACK; CREATE TEMP TABLE t (x int); SELECT lastval()", undefined},
		{"Q PREPARE q AS SELECT lastval(); EXECUTE q", undefined},
		{"Q BEGIN; INSERT INTO orders DEFAULT VALUES; SELECT lastval(); COMMIT", "D:2 "},
		{"Q INSERT INTO orders DEFAULT VALUES; SELECT currval('tickets')", "D:3 "},
		{"P . INSERT INTO orders DEFAULT VALUES | B . . | E . | P . SELECT lastval() | B . . | E . | S", "D:4 "},
		{"Q INSERT INTO orders DEFAULT VALUES RETURNING currval('tickets')", "D:5 "},
		{"Q SELECT nextval('tickets'), lastval()", "D:6,6 "},
		{"Q SELECT lastval()", undefined},
	} {
		if got := one.ask(step.script) + " "; !strings.Contains(got, step.want) {
			t.Errorf("%s\n got %s\nwant %s", step.script, got, step.want)
		}
	}
}
