package e2e

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
	"golang.org/x/sync/errgroup"
)

func TestMalformedInputHarmsNobodyElse(t *testing.T) {
	t.Parallel()
	c := start(t, layout{pool: "  acquire_timeout: 1m\n"}) // the broken ones are many
	login := c.wireLogin(t)
	witness := c.startWitness(t, login)
	t.Run("before the log-in", func(t *testing.T) { c.malformedStart(t) })
	t.Run("after the log-in", func(t *testing.T) { c.malformedSession(t, login) })
	t.Run("unknown names are ordinary errors", func(t *testing.T) { unknownNames(t, login) })
	t.Run("one byte at a time", func(t *testing.T) { slowBytes(t, login) })
	t.Run("disconnect at every message boundary", func(t *testing.T) { c.disconnect(t, login) })
	witness.finish(t)
	must(t, c.ready(t.Context()))
	console := c.console(t)
	eventually(t, patience, "the sessions of the broken clients end", func(ctx context.Context) error {
		rows, err := console.Query(ctx, "SHOW CLIENTS")
		if err != nil {
			return err
		}
		n := 0
		for rows.Next() {
			n++
		}
		if rows.Err() != nil || n > 1 {
			return fmt.Errorf("%d clients: %w", n, rows.Err())
		}
		return nil
	})
}

// witness is a client that has done nothing wrong.
type witness struct {
	client *wireClient
	group  errgroup.Group
	enough atomic.Bool
	n      int
}

func (c *cluster) startWitness(t *testing.T, login *wireLogin) *witness {
	client, err := login.connect()
	must(t, err)
	w := &witness{client: client}
	// owner: the test; ends in finish
	w.group.Go(func() error {
		for ; w.n < 200 || !w.enough.Load(); w.n++ {
			if err := w.client.prepared("SELECT name FROM customers WHERE id = $1", fmt.Sprint(w.n)); err != nil {
				return fmt.Errorf("query %d of the witness: %w", w.n, err)
			}
		}
		return nil
	})
	return w
}

func (w *witness) finish(t *testing.T) {
	w.enough.Store(true)
	must(t, w.group.Wait())
	must(t, w.client.Close())
	t.Logf("the witness ran %d queries", w.n)
}

// packet is an untyped message: the length that it claims, then a body.
func packet(length int32, body ...byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(length)), body...)
}

// frame is a typed message.
func frame(kind byte, length int32, body ...byte) []byte {
	return append([]byte{kind}, packet(length, body...)...)
}

const version3 = "\x00\x03\x00\x00"

func (c *cluster) malformedStart(t *testing.T) {
	whole := packet(int32(4+len(version3)+len("user\x00app\x00\x00")), []byte(version3+"user\x00app\x00\x00")...)
	cases := map[string][]byte{
		"nothing":                    {},
		"half a length":              whole[:2],
		"a length alone":             whole[:4],
		"half a packet":              whole[:len(whole)-5],
		"length 0":                   packet(0),
		"length 3":                   packet(3, []byte(version3)...),
		"length 4":                   packet(4),
		"length -1":                  packet(-1, []byte(version3)...),
		"length of 2 GB":             packet(0x7fffffff, []byte(version3)...),
		"the smallest length":        packet(-0x80000000, []byte(version3)...),
		"protocol 2":                 packet(12, 0, 2, 0, 0, 0, 0, 0, 0),
		"protocol 9":                 packet(12, 0, 9, 0, 0, 0, 0, 0, 0),
		"no end of the parameters":   packet(17, []byte(version3+"user\x00app\x00")...),
		"a name without a value":     packet(14, []byte(version3+"user\x00\x00")...),
		"no user":                    packet(9, []byte(version3+"\x00")...),
		"a user that does not exist": packet(4+4+13, []byte(version3+"user\x00nobody\x00\x00")...),
		"a cancel that is too short": packet(12, 4, 210, 22, 46, 0, 0, 0, 1),
		"a cancel for nobody":        packet(16, 4, 210, 22, 46, 0, 0, 0, 1, 0, 0, 0, 1),
		"GSS, SSL, GSS, SSL, …":      bytes.Repeat(append(packet(8, 4, 210, 22, 48), packet(8, 4, 210, 22, 47)...), 20),
		"TLS without asking":         {0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0},
		"HTTP":                       []byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
		"a query before the log-in":  append(bytes.Clone(whole), frame('Q', 13, []byte("SELECT 1\x00")...)...),
		"a huge password":            append(bytes.Clone(whole), frame('p', 0x7fffffff)...),
		"a password of length -1":    append(bytes.Clone(whole), frame('p', -1)...),
		"an unknown mechanism":       append(bytes.Clone(whole), frame('p', 13, []byte("WHAT\x00\x00\x00\x00\x00")...)...),
		"a SCRAM message of noise":   append(bytes.Clone(whole), frame('p', 31, []byte("SCRAM-SHA-256\x00\x00\x00\x00\x09nonsense!")...)...),
		"zeros":                      make([]byte, 20_000),
	}
	for name, bytes := range cases {
		t.Run(name, func(t *testing.T) {
			conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", c.port))
			must(t, err)
			defer conn.Close()
			expectGoodbye(t, conn, bytes)
		})
	}
}

// expectGoodbye sends bytes and then nothing more; the proxy must close the connection, with an error first or without.
func expectGoodbye(t *testing.T, conn net.Conn, send []byte) string {
	t.Helper()
	must(t, conn.SetDeadline(time.Now().Add(30*time.Second)))
	_, _ = conn.Write(send) // it may close before it has read all
	_ = conn.(*net.TCPConn).CloseWrite()
	answer, err := io.ReadAll(conn)
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		t.Errorf("the proxy does not close the connection; it sent %q", answer)
	}
	return string(answer)
}

func (c *cluster) malformedSession(t *testing.T, login *wireLogin) {
	before := c.rss(t)
	for name, test := range map[string]struct {
		send []byte
		code string // in the error that must come; empty: any answer, or none
	}{
		"an unknown message":            {frame('z', 4), "08P01"},
		"a message of the server":       {frame('Z', 5, 'I'), "08P01"},
		"a message type of zero":        {make([]byte, 100), "08P01"},
		"a length of 3":                 {frame('Q', 3), "08P01"},
		"a negative length":             {frame('Q', -1), "08P01"},
		"the smallest length":           {frame('P', -0x80000000), "08P01"},
		"a query of 2 GB":               {frame('Q', 0x7fffffff, []byte("SELECT 1")...), "08P01"},
		"a Bind of 1 GB":                {frame('B', 1<<30, []byte("\x00\x00")...), ""},
		"a query without an end":        {frame('Q', 12, []byte("SELECT 1")...), "08P01"},
		"half a query":                  {frame('Q', 100, []byte("SELECT 1")...), ""},
		"a Parse that ends early":       {append(frame('P', 5, 0), frame('S', 4)...), "08P01"},
		"a Parse with too many types":   {append(frame('P', 16, []byte("\x00SELECT 1\x00\x7f\xff")...), frame('S', 4)...), "08P01"},
		"a Bind with too many values":   {append(frame('B', 12, []byte("\x00\x00\x00\x00\x7f\xff\x00\x00")...), frame('S', 4)...), "08P01"},
		"a Bind value of length -2":     {append(frame('B', 16, []byte("\x00\x00\x00\x00\x00\x01\xff\xff\xff\xfe\x00\x00")...), frame('S', 4)...), "08P01"},
		"a Describe of nothing":         {append(frame('D', 4), frame('S', 4)...), "08P01"},
		"a Describe of an unknown kind": {append(frame('D', 6, 'x', 0), frame('S', 4)...), "08P01"},
		"a Close of an unknown kind":    {append(frame('C', 6, 'x', 0), frame('S', 4)...), "08P01"},
		"an Execute without a limit":    {append(frame('E', 5, 0), frame('S', 4)...), "08P01"},
		"a Sync with a body":            {frame('S', 8, 1, 2, 3, 4), ""},
		"a Terminate with a body":       {frame('X', 8, 1, 2, 3, 4), ""},
		"a password in the session":     {frame('p', 8, 1, 2, 3, 4), "08P01"},
		"CopyData out of place":         {append(frame('d', 8, 1, 2, 3, 4), frame('Q', 13, []byte("SELECT 1\x00")...)...), ""},
		"CopyFail and CopyDone":         {append(frame('f', 5, 0), frame('c', 4)...), ""},
		"a start-up packet again":       {packet(9, []byte(version3+"\x00")...), "08P01"},
		"bytes that are not UTF-8":      {frame('Q', 17, []byte("SELECT '\xff\xfe'\x00\x00")...), ""},
	} {
		t.Run(name, func(t *testing.T) {
			client, err := login.connect()
			must(t, err)
			defer client.Close()
			answer := expectGoodbye(t, client.Conn, test.send)
			if test.code != "" && !strings.Contains(answer, "C"+test.code+"\x00") {
				t.Errorf("the answer is %q, want SQLSTATE %s", answer, test.code)
			}
		})
	}
	if grown := c.rss(t) - before; grown > 64<<20 {
		t.Errorf("memory grew by %d MB", grown>>20)
	}
}

func unknownNames(t *testing.T, login *wireLogin) {
	client, err := login.connect()
	must(t, err)
	defer client.Close()
	for _, test := range []struct {
		message pgproto3.FrontendMessage
		code    string
	}{
		{&pgproto3.Bind{PreparedStatement: "no such"}, "26000"},
		{&pgproto3.Execute{Portal: "no such"}, "34000"},
		{&pgproto3.Describe{ObjectType: 'S', Name: "no such"}, "26000"},
		{&pgproto3.Describe{ObjectType: 'P', Name: "no such"}, "34000"},
		{&pgproto3.Close{ObjectType: 'S', Name: "no such"}, ""},
		{&pgproto3.Close{ObjectType: 'P', Name: "no such"}, ""},
		{&pgproto3.Parse{Query: "SELEC 1"}, "42601"},
		{&pgproto3.Parse{Query: "SELECT 1; SELECT 2"}, "42601"},
	} {
		client.Send(test.message)
		client.Send(&pgproto3.Sync{})
		must(t, client.Flush())
		code := ""
		var reported *wireError
		if err := client.awaitReady(); errors.As(err, &reported) {
			code = reported.code
		} else {
			must(t, err)
		}
		if code != test.code {
			t.Errorf("%T: SQLSTATE %q, want %q", test.message, code, test.code)
		}
	}
	must(t, client.prepared("SELECT 1"))
}

// dripping sends its bytes one by one.
type dripping struct{ net.Conn }

func (d dripping) Write(p []byte) (int, error) {
	for i := range p {
		if _, err := d.Conn.Write(p[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(p), nil
}

func slowBytes(t *testing.T, login *wireLogin) {
	conn, err := net.Dial("tcp", login.address)
	must(t, err)
	defer conn.Close()
	must(t, conn.(*net.TCPConn).SetNoDelay(true))
	client, err := login.over(dripping{conn})
	must(t, err)
	must(t, client.query("INSERT INTO customers (id, name) VALUES (1, 'drop by drop')"))
	must(t, client.prepared("SELECT name FROM customers WHERE id = $1", "1"))
	_, err = conn.Write(goodSession(t)[0])
	must(t, err)
	must(t, client.awaitReady())
}

// goodSession is the messages of a client that knows what it does, encoded one by one. They answer nothing before the last.
func goodSession(t *testing.T) [][]byte {
	t.Helper()
	var all [][]byte
	for _, message := range []pgproto3.FrontendMessage{
		&pgproto3.Query{String: "SELECT 1"},
		&pgproto3.Query{String: "BEGIN"},
		&pgproto3.Query{String: "INSERT INTO customers (id, name) VALUES (2, 'never')"},
		&pgproto3.Parse{Name: "s", Query: "SELECT g FROM customers, generate_series(1, 100000) AS g WHERE id = $1"},
		&pgproto3.Describe{ObjectType: 'S', Name: "s"},
		&pgproto3.Bind{DestinationPortal: "p", PreparedStatement: "s", Parameters: [][]byte{[]byte("2")}},
		&pgproto3.Execute{Portal: "p", MaxRows: 10},
		&pgproto3.Flush{},
		&pgproto3.Execute{Portal: "p"},
		&pgproto3.Sync{},
		&pgproto3.Query{String: "SAVEPOINT here"},
		&pgproto3.Query{String: "SELECT repeat('x', 1000) FROM generate_series(1, 100000)"},
		&pgproto3.Query{String: "ROLLBACK"},
		&pgproto3.Query{String: "COPY notes FROM STDIN"},
		&pgproto3.CopyData{Data: []byte("1\tone\n")},
		&pgproto3.CopyData{Data: []byte("2\t")},
		&pgproto3.CopyFail{Message: "changed my mind"},
		&pgproto3.Query{String: "LISTEN news"},
		&pgproto3.Query{String: "SELECT pg_sleep(60)"},
	} {
		encoded, err := message.Encode(nil)
		must(t, err)
		all = append(all, encoded)
	}
	return all
}

// disconnect goes away after each message of a good session, and in the middle of each.
func (c *cluster) disconnect(t *testing.T, login *wireLogin) {
	session := goodSession(t)
	var group errgroup.Group
	group.SetLimit(8)
	for n := range session {
		for _, part := range []int{0, 1, len(session[n]) / 2, len(session[n])} {
			// owner: disconnect; ends with its connection
			group.Go(func() error {
				client, err := login.connect()
				if err != nil {
					return err
				}
				sent := append(bytes.Join(session[:n], nil), session[n][:part]...)
				if _, err := client.Write(sent); err != nil {
					return err
				}
				return client.Close()
			})
		}
	}
	must(t, group.Wait())
	c.awaitSleepers(t, 0)
	for i := range c.servers {
		eventually(t, patience, "no transaction stays open on "+shardName(i), func(context.Context) error {
			if n := c.count(t, i, "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app' AND pid <> pg_backend_pid() AND state <> 'idle'"); n > 0 {
				return fmt.Errorf("%d sessions are busy", n)
			}
			return nil
		})
		if n := c.count(t, i, "SELECT count(*) FROM customers WHERE id = 2"); n != 0 {
			t.Errorf("%s has a row that was never committed", shardName(i))
		}
	}
}
