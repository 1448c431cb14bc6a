package proxy_test

import (
	"math"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgring/pgring/backend"
	"github.com/pgring/pgring/pgwire"
)

// cachedStatement is a statement whose plan is cached, as drivers send it time and again.
type cachedStatement struct {
	name    string
	prepare []pgproto3.FrontendMessage
	send    []pgproto3.FrontendMessage
	keeps   float64 // texts that the session keeps: of BEGIN and COMMIT
}

func cachedStatements() []cachedStatement {
	const text = "SELECT name FROM users WHERE id = $1"
	bound := func(name string) []pgproto3.FrontendMessage {
		return []pgproto3.FrontendMessage{&pgproto3.Bind{PreparedStatement: name, Parameters: [][]byte{[]byte("7")}},
			&pgproto3.Describe{ObjectType: 'P'}, &pgproto3.Execute{}, &pgproto3.Sync{}}
	}
	var block []pgproto3.FrontendMessage
	for _, sql := range []string{"BEGIN", "UPDATE users SET age = 8 WHERE id = 7", "COMMIT"} {
		block = append(block, &pgproto3.Query{String: sql})
	}
	return []cachedStatement{
		{name: "simple", send: []pgproto3.FrontendMessage{&pgproto3.Query{String: "SELECT name FROM users WHERE id = 7"}}},
		{name: "extended", send: append([]pgproto3.FrontendMessage{&pgproto3.Parse{Query: text}}, bound("")...)},
		{name: "prepared", prepare: []pgproto3.FrontendMessage{&pgproto3.Parse{Name: "s", Query: text}, &pgproto3.Sync{}}, send: bound("s")},
		{name: "block", send: block, keeps: 2},
	}
}

// exchange is a client that allocates nothing.
type exchange struct {
	wire *pgwire.Conn
	sent []byte
	due  int // ReadyForQuery that answer sent
}

func newExchange(t testing.TB, c *cluster, s cachedStatement) *exchange {
	f := c.frames()
	e := &exchange{wire: pgwire.NewConn(f.conn, pgwire.ServerSide)}
	if s.prepare != nil {
		f.send(s.prepare...)
		must(t, e.answered(1))
	}
	for _, m := range s.send {
		var err error
		e.sent, err = m.Encode(e.sent)
		must(t, err)
		switch m.(type) {
		case *pgproto3.Query, *pgproto3.Sync:
			e.due++
		}
	}
	return e
}

func (e *exchange) run() error {
	if err := e.wire.Write(e.sent); err != nil {
		return err
	}
	if err := e.wire.Flush(); err != nil {
		return err
	}
	return e.answered(e.due)
}

// answered reads up to the n-th ReadyForQuery.
func (e *exchange) answered(n int) error {
	for n > 0 {
		typ, size, err := e.wire.Peek()
		if err != nil {
			return err
		}
		if typ == pgwire.ErrorResponse {
			frame, err := e.wire.Frame(size, pgwire.BufferSize)
			if err != nil {
				return err
			}
			return pgwire.ParseError(frame)
		}
		if err := e.wire.Discard(size); err != nil {
			return err
		}
		if typ == pgwire.ReadyForQuery {
			n--
		}
	}
	return nil
}

func TestRelayOfCachedStatementsAllocatesNothing(t *testing.T) {
	c := start(t, options{shards: 2, pool: backend.Config{Size: 1}})
	run(t, c.connect(), "INSERT INTO users VALUES (7, 'Ada', 1)")
	for _, s := range cachedStatements() {
		t.Run(s.name, func(t *testing.T) {
			e := newExchange(t, c, s)
			least := math.Inf(1)
			for try := 0; try < 200 && least > relayAllocations+s.keeps; try++ { // what goes on beside it counts too, so some are short enough to be alone
				least = min(least, testing.AllocsPerRun(20, func() { must(t, e.run()) }))
			}
			if least > relayAllocations+s.keeps {
				t.Errorf("%v allocations", least)
			}
		})
	}
}

func BenchmarkRelayOfCachedStatements(b *testing.B) {
	c := start(b, options{shards: 2, pool: backend.Config{Size: 1}})
	run(b, c.connect(), "INSERT INTO users VALUES (7, 'Ada', 1)")
	for _, s := range cachedStatements() {
		b.Run(s.name, func(b *testing.B) {
			e := newExchange(b, c, s)
			b.ReportAllocs()
			for b.Loop() {
				must(b, e.run())
			}
		})
	}
}
