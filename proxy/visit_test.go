package proxy_test

import (
	"fmt"
	"testing"

	"github.com/pgring/pgring/internal/pgtest"
)

// rest waits until that many sessions have given their stacks back.
func (c *cluster) rest(t *testing.T, n int64) {
	t.Helper()
	waitFor(t, fmt.Sprintf("%d resting sessions", n), func() bool { return c.server.Stats().Resting == n })
}

// A session that has been idle for a while holds no stack, and when its client speaks again it is as it was; in a transaction, or with
// state on a server connection, it waits as ever.
func TestSilentSessionsRestAndGoOn(t *testing.T) {
	t.Parallel()
	c := start(t, options{})
	silent, closing, inBlock, listening := c.frames(), c.frames(), c.frames(), c.frames()
	silent.want("Q SET application_name = 'sleeper'", "C:SET Z:I")
	silent.want("P q SELECT $1::int + 1 | P . SELECT 7 | S", "1 1 Z:I")
	inBlock.want("Q BEGIN", "C:BEGIN Z:T")
	inBlock.want("Q INSERT INTO users VALUES (1, 'x', 1)", "C:INSERT_0_1 Z:T")
	listening.want("Q LISTEN alarm", "C:LISTEN Z:I")
	c.rest(t, 2)
	silent.want("B . . | E . | S", "2 D:7 C:SELECT_1 Z:I")
	for range 2 {
		c.rest(t, 2)
		silent.want("B . q 41 | E . | S", "2 D:42 C:SELECT_1 Z:I")
		silent.want("Q SHOW application_name", "T:application_name/25/-1/0/0 D:sleeper C:SHOW Z:I")
	}
	c.rest(t, 2)
	closing.cancel(c.addr, closing.key) // nothing runs
	silent.send(parseScript(t, "B . q 1 | E . ")...)
	if got := c.server.Stats().Sessions; got != 4 {
		t.Errorf("%d sessions, want 4", got)
	}
	silent.want("S", "2 D:2 C:SELECT_1 Z:I") // the rest of the unit came after the session was woken
	must(t, closing.conn.Close())
	waitFor(t, "the end of the session whose client is gone", func() bool { return c.server.Stats().Sessions == 3 })
	inBlock.want("Q COMMIT", "C:COMMIT Z:I")
	c.rest(t, 2)
	pgtest.One[string](t, c.servers[0], "SELECT pg_notify('alarm', 'fire')::text")
	if got := listening.until("*pgproto3.Notification"); len(got) != 1 {
		t.Errorf("got %v, want a notification", got)
	}
	for _, client := range c.server.Clients() {
		c.server.Kill(background, client.ID)
	}
	for _, f := range []*frames{silent, inBlock, listening} {
		if got := f.until("EOF"); len(got) != 2 || got[0][:7] != "E:57P01" {
			t.Errorf("a session that was ended told its client %v", got)
		}
	}
	c.rest(t, 0)
}

// The proxy ends although sessions rest.
func TestRestingSessionsEndWithTheProxy(t *testing.T) {
	t.Parallel()
	c := start(t, options{})
	clients := []*frames{c.frames(), c.frames(), c.frames()}
	c.rest(t, int64(len(clients)))
	c.stop()
	for _, f := range clients {
		if got := f.until("EOF"); len(got) != 2 || got[0][:7] != "E:57P01" {
			t.Errorf("the client was told %v", got)
		}
	}
}
