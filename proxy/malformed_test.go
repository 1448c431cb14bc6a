package proxy_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pgring/pgring/backend"
)

// frame builds one, of any kind and body.
func frame(typ byte, body string) []byte {
	b := append([]byte{typ}, 0, 0, 0, 0)
	binary.BigEndian.PutUint32(b[1:], uint32(len(body)+4))
	return append(b, body...)
}

// sized builds a header that lies about the length.
func sized(typ byte, length uint32, body string) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{typ}, length), body...)
}

// malformed lists what a client may send after log-in that is wrong; ends says that the connection must not outlive it.
func malformed() map[string]struct {
	bytes []byte
	ends  bool
} {
	type bad = struct {
		bytes []byte
		ends  bool
	}
	long := strings.Repeat("x", 100000)
	return map[string]bad{
		"length zero":                 {sized('Q', 0, ""), true},
		"length three":                {sized('Q', 3, "abc"), true},
		"length minus one":            {sized('Q', 0xffffffff, ""), true},
		"length of two gigabytes":     {sized('Q', 0x80000000, "x"), true},
		"length over the limit":       {sized('Q', 1<<30+1, "SELECT 1\x00"), true},
		"unknown type":                {frame('!', ""), true},
		"zero type":                   {frame(0, "x"), true},
		"type of a server":            {frame('Z', "I"), true},
		"row of a server":             {frame('D', "\x00\x01"), false},
		"password after log-in":       {frame('p', "secret\x00"), true},
		"query without end":           {frame('Q', "SELECT 1"), false},
		"query without text":          {frame('Q', ""), false},
		"query with a tail":           {frame('Q', "SELECT 1\x00SELECT 2\x00"), false},
		"query of wrong bytes":        {frame('Q', "SELECT '\xff\xfe'\x00"), false},
		"query of control characters": {frame('Q', "SELECT \x01\x02\x03\x00"), false},
		"query without an end quote":  {frame('Q', "SELECT '"+long+"\x00"), false},
		"deep query":                  {frame('Q', "SELECT "+strings.Repeat("(", 50000)+"\x00"), false},
		"parse without names":         {frame('P', ""), false},
		"parse without end":           {frame('P', "q\x00SELECT 1"), false},
		"parse of too few types":      {frame('P', "q\x00SELECT 1\x00\x00\x05\x00\x00"), false},
		"parse of minus one types":    {frame('P', "q\x00SELECT 1\x00\xff\xff"), false},
		"parse with a tail":           {frame('P', "q\x00SELECT 1\x00\x00\x00tail"), false},
		"parse of an unknown type":    {frame('P', "q\x00SELECT $1\x00\x00\x01\x7f\xff\xff\xff"), false},
		"parse of a long name":        {frame('P', long+"\x00SELECT 1\x00\x00\x00"), false},
		"bind to no statement":        {frame('B', "\x00nothing\x00\x00\x00\x00\x00\x00\x00"), false},
		"bind of too few values":      {frame('B', "\x00\x00\x00\x00\x00\x05\x00\x00"), false},
		"bind of minus two bytes":     {frame('B', "\x00\x00\x00\x00\x00\x01\xff\xff\xff\xfe\x00\x00"), false},
		"bind of a huge value":        {frame('B', "\x00\x00\x00\x00\x00\x01\x7f\xff\xff\xff\x00\x00"), false},
		"bind of unknown formats":     {frame('B', "\x00\x00\x00\x01\x00\x09\x00\x01\x00\x00\x00\x011\x00\x00"), false},
		"bind of too many formats":    {frame('B', "\x00\x00\x00\x03\x00\x00\x00\x00\x00\x01\x00\x01\x00\x00\x00\x011\x00\x00"), false},
		"bind without an end":         {frame('B', "portal"), false},
		"bind with a tail":            {frame('B', "\x00\x00\x00\x00\x00\x00\x00\x00tail"), false},
		"describe of neither":         {frame('D', "Xname\x00"), false},
		"describe of nothing":         {frame('D', ""), false},
		"describe without end":        {frame('D', "Sname"), false},
		"execute of nothing":          {frame('E', "nothing\x00\x00\x00\x00\x00"), false},
		"execute without a limit":     {frame('E', "\x00"), false},
		"close of neither":            {frame('C', "Xname\x00"), false},
		"close without end":           {frame('C', "P"), false},
		"sync with a body":            {frame('S', "body"), true},
		"flush with a body":           {frame('H', "body"), false},
		"function call":               {frame('F', "\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00"), false},
		"function call of nothing":    {frame('F', ""), false},
		"copy data out of place":      {frame('d', long), false},
		"copy done out of place":      {frame('c', ""), false},
		"copy fail out of place":      {frame('f', ""), false},
		"terminate with a body":       {frame('X', "body"), true},
		"start-up again":              {append([]byte{0, 0, 0, 8}, 0, 3, 0, 0), true},
		"TLS request":                 {[]byte{0, 0, 0, 8, 4, 210, 22, 47}, true},
		"HTTP":                        {[]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), true},
	}
}

func TestMalformedFramesHarmNobodyElse(t *testing.T) {
	t.Parallel()
	w := startTwin(t, options{pool: backend.Config{Size: 2}})
	w.reset(t)
	witness := w.frames()
	witness.want("Q BEGIN", "C:BEGIN Z:T")
	witness.want(w.keyed("Q UPDATE users SET age = 7 WHERE id = {b}"), "C:UPDATE_1 Z:T")
	for name, bad := range malformed() {
		for _, prefix := range []string{"", "Q BEGIN | Q SELECT 1 FROM users WHERE id = 1", "P . SELECT $1::int | B . . 5 | E . | F", "P . SELECT count(*) FROM users | B . . | E . | F"} {
			t.Run(name+" after "+prefix, func(t *testing.T) {
				f := openFrames(t, w.dsn())
				if prefix != "" {
					f.send(parseScript(t, prefix)...)
				}
				if bad.ends {
					_, err := f.conn.Write(bad.bytes)
					must(t, err)
					if got := f.gone(); strings.Contains(got, "HANGS") || strings.Contains(got, "XX000:internal") {
						t.Errorf("got %.200s", got)
					}
					return
				}
				_, err := f.conn.Write(append(bad.bytes, frame('S', "")...))
				must(t, err)
				f.send(parseScript(t, "S | Q ROLLBACK | Q SELECT 'still here'")...)
				got := strings.Join(f.until("D:still here"), " ")
				if strings.Contains(got, "HANGS") || strings.Contains(got, "EOF") || strings.Contains(got, "XX000:internal") {
					t.Errorf("got %.300s", got)
				}
				f.until("Z:")
				_ = f.conn.Close()
			})
		}
		witness.want(w.keyed("Q SELECT age FROM users WHERE id = {b}"), "T:age/23/-1/3/0 D:7 C:SELECT_1 Z:T")
	}
	witness.want("Q COMMIT", "C:COMMIT Z:I")
}

func TestMalformedMessagesDuringCopy(t *testing.T) {
	t.Parallel()
	w := startTwin(t, options{pool: backend.Config{Size: 2}})
	w.reset(t)
	long := strings.Repeat("x", 100000)
	for name, bad := range map[string]struct {
		bytes []byte
		ends  bool
	}{
		"invalid length":         {sized('o', 0x6f206c6f, "ng or too short"), true},
		"query":                  {frame('Q', "SELECT 1\x00"), true},
		"sync with a long body":  {frame('S', long), true},
		"done with a body":       {frame('c', "some body"), false},
		"fail without an end":    {frame('f', "reason"), false},
		"fail with a long body":  {frame('f', long), true},
		"half a fail":            {sized('f', 100, "reason"), true},
		"half a row":             {sized('d', 100, "1\tone"), true},
		"sync with a short body": {append(frame('S', "some body"), frame('c', "")...), false},
	} {
		for _, table := range []string{"countries", "things"} { // on all shards, on one
			t.Run(name+" into "+table, func(t *testing.T) {
				f := openFrames(t, w.dsn())
				defer f.conn.Close()
				f.send(parseScript(t, "Q COPY "+table+" FROM STDIN")...)
				f.until("G")
				_, err := f.conn.Write(bad.bytes)
				must(t, err)
				if bad.ends {
					_ = f.conn.(*net.TCPConn).CloseWrite()
					if got := f.gone(); strings.Contains(got, "HANGS") {
						t.Errorf("got %.300s", got)
					}
					return
				}
				f.send(parseScript(t, "Q SELECT 'still here'")...)
				if got := strings.Join(f.until("D:still here"), " "); !strings.Contains(got, "D:still here") {
					t.Errorf("got %.300s", got)
				}
			})
		}
	}
	w.nothingPrepared(t)
	w.frames().want("Q SELECT count(*) FROM users", "T:count/20/-1/0/0 D:3 C:SELECT_1 Z:I")
}

func TestMalformedStartsHarmNobodyElse(t *testing.T) {
	t.Parallel()
	c := start(t, options{shards: 1})
	c.frames()
	start3 := func(params string) string {
		body := "\x00\x03\x00\x00" + params
		return string(binary.BigEndian.AppendUint32(nil, uint32(len(body)+4))) + body
	}
	for _, bytes := range []string{
		"", "\x00", "\x00\x00\x00\x08", "\x00\x00\x00\x00", "\xff\xff\xff\xff\x00\x03\x00\x00", "\x7f\xff\xff\xff\x00\x03\x00\x00", "\x00\x00\x00\x04", "\x00\x00\x00\x07abc",
		start3(""), start3("\x00"), start3("user\x00"), start3("user\x00app"), start3("user\x00\x00"), start3("user\x00app\x00database\x00"),
		start3("user\x00app\x00user\x00other\x00\x00"), start3("user\x00app\x00replication\x00true\x00\x00"), start3("user\x00" + strings.Repeat("x", 9000) + "\x00\x00"),
		start3("user\x00app\x00options\x00-c work_mem=\x00\x00"), start3("user\x00app\x00\x00tail"), "\x00\x00\x00\x09\x00\x02\x00\x00\x00", "\x00\x00\x00\x09\x00\x04\x00\x00\x00",
		"\x00\x00\x00\x10\x04\xd2\x16\x2e\x00\x00\x00\x01\x00\x00\x00\x02", "\x00\x00\x00\x0c\x04\xd2\x16\x2e\x00\x00\x00\x01", "\x00\x00\x00\x08\x04\xd2\x16\x2f\x16\x03\x01\x00\x00",
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", strings.Repeat("\x00\x00\x00\x08\x04\xd2\x16\x2f", 50),
		start3("user\x00app\x00\x00") + string(frame('p', "")), start3("user\x00app\x00\x00") + string(frame('p', "SCRAM-SHA-256\x00\xff\xff\xff\xff")),
		start3("user\x00app\x00\x00") + string(frame('p', "SCRAM-SHA-256\x00\x7f\xff\xff\xffn,,n=,r=x")), start3("user\x00app\x00\x00") + string(frame('Q', "SELECT 1\x00")),
		start3("user\x00app\x00\x00") + string(sized('p', 0, "")), start3("user\x00nobody\x00\x00") + string(frame('p', "SCRAM-SHA-256\x00\x00\x00\x00\x07n,,n=,r=")),
	} {
		conn, err := net.Dial("tcp", c.addr)
		must(t, err)
		_, err = io.WriteString(conn, bytes)
		must(t, err)
		_ = conn.(*net.TCPConn).CloseWrite() // it may be closed already
		must(t, conn.SetReadDeadline(time.Now().Add(answerTime)))
		answer, err := io.ReadAll(conn)
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			t.Errorf("%.60q: the connection stays open after %q", bytes, answer)
		}
		_ = conn.Close()
	}
	c.frames().want("Q SELECT 5", "T:?column?/23/-1/0/0 D:5 C:SELECT_1 Z:I")
}

func TestOneByteAtATimeAndCutAnywhere(t *testing.T) {
	t.Parallel()
	w := startTwin(t, options{pool: backend.Config{Size: 2}})
	w.reset(t)
	home := int64(1)
	for w.shardOf(home) != w.servers[0] {
		home++
	}
	script := w.keyed("P q SELECT name FROM users WHERE id = $1 | DS q | B . q {b} | E . | S | Q BEGIN; UPDATE users SET age = 50 WHERE id = " + fmt.Sprint(home) + "; SELECT count(*) FROM users | Q COPY things FROM STDIN | d 9	nine | c | Q ROLLBACK")
	var all []byte
	for _, m := range parseScript(t, script) {
		var err error
		all, err = m.Encode(all)
		must(t, err)
	}
	f := w.frames()
	go func() {
		for i := range all {
			if _, err := f.conn.Write(all[i : i+1]); err != nil {
				return
			}
		}
	}()
	want := "1 t:20 T:name/25/-1/2/0 2 D:bob C:SELECT_1 Z:I C:BEGIN C:UPDATE_1 T:count/20/-1/0/0 D:3 C:SELECT_1 Z:T G C:COPY_1 Z:T C:ROLLBACK Z:I"
	if got := strings.Join(f.until("C:ROLLBACK"), " ") + " " + f.next(); got != want {
		t.Fatalf("got %s", got)
	}
	answered := bytes.Index(all, frame('S', "")) + 5 // from here on there is something to read
	var group sync.WaitGroup
	gate := make(chan struct{}, 8)
	for cut := 0; cut < len(all); cut += 3 {
		g := w.frames()
		group.Go(func() { // a disconnect after any number of bytes, half of them in the middle of a result
			gate <- struct{}{}
			defer func() { <-gate }()
			_, _ = g.conn.Write(all[:cut])
			if cut%2 == 0 && cut > answered {
				g.next()
			}
			_ = g.conn.Close()
		})
	}
	group.Wait()
	waitFor(t, "the sessions to end", func() bool { return len(w.server.Clients()) == 2 }) // f, and the twin's own
	f.want("Q SELECT sum(age) FROM users", "T:sum/20/-1/0/0 D:6 C:SELECT_1 Z:I")
	f.want("Q SELECT count(*) FROM things", "T:count/20/-1/0/0 D:2 C:SELECT_1 Z:I")
	w.nothingPrepared(t)
}

// garbage makes bytes that are often nearly right.
func garbage(t testing.TB, r *rand.Rand) []byte {
	var b []byte
	for range 1 + r.IntN(12) {
		switch r.IntN(6) {
		case 0:
			m := []string{"P . SELECT $1::int", "B . . 5", "E .", "DS .", "DP .", "S", "F", "Q SELECT 1; SELECT 2", "Q BEGIN", "Q COMMIT", "Q SELECT count(*) FROM users", "d x", "c", "f x", "CS q", "P q SELECT id FROM users WHERE id = $1", "B p q 1", "E p 1", "Q COPY countries FROM STDIN", "Q COPY countries TO STDOUT"}
			b, _ = parseFrame(t, m[r.IntN(len(m))]).Encode(b)
		case 1:
			body := make([]byte, r.IntN(40))
			for i := range body {
				body[i] = byte(r.IntN(256)) >> (r.IntN(2) * 7)
			}
			b = append(b, frame("PBDECSHQFdcfXpZ"[r.IntN(15)], string(body))...)
		case 2:
			b = append(b, sized("PBDECSHQ"[r.IntN(8)], uint32(r.IntN(50)), "some body that is too long or too short")...)
		case 3:
			if len(b) > 0 {
				b[r.IntN(len(b))] ^= byte(1 << r.IntN(8))
			}
		case 4:
			b = b[:r.IntN(len(b)+1)]
		case 5:
			b = append(b, frame('S', "")...)
		}
	}
	return b
}

// feed logs in, sends the bytes, ends the connection's writing side and reads what comes until the proxy closes it.
func (c *cluster) feed(t testing.TB, b []byte) {
	f := openFrames(t, c.dsn())
	defer f.conn.Close()
	if _, err := f.conn.Write(b); err != nil {
		return // sent away in the middle of it
	}
	_ = f.conn.(*net.TCPConn).CloseWrite()
	_ = f.conn.SetReadDeadline(time.Now().Add(answerTime))
	answer, err := io.ReadAll(f.conn)
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		t.Errorf("the session hangs after %q: %q", b, answer)
	}
	if bytes.Contains(answer, []byte("Minternal error")) {
		t.Errorf("internal error after %q: %q", b, answer)
	}
}

func TestRandomBytesHarmNobodyElse(t *testing.T) { // alone, for it counts goroutines
	c := start(t, options{pool: backend.Config{Size: 2}})
	seed := rand.Uint64()
	t.Log("seed", seed)
	r := rand.New(rand.NewPCG(seed, 2))
	witness := c.frames()
	before := runtime.NumGoroutine()
	for i := range 400 {
		c.feed(t, garbage(t, r))
		if i%20 == 0 {
			witness.want("Q SELECT count(*) FROM users", "T:count/20/-1/0/0 D:0 C:SELECT_1 Z:I")
		}
	}
	waitFor(t, "the sessions to end", func() bool { return runtime.NumGoroutine() <= before+4 })
	c.nothingPrepared(t)
}

// FuzzSession feeds bytes to a session that has logged in: it must answer or close, and others must not notice.
func FuzzSession(f *testing.F) {
	c := start(f, options{shards: 2, pool: backend.Config{Size: 2}})
	r := rand.New(rand.NewPCG(1, 1))
	for range 10 {
		f.Add(garbage(f, r))
	}
	witness := c.frames()
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 4096 {
			b = b[:4096]
		}
		c.feed(t, b)
		witness.t = t
		if got, want := witness.ask("Q SELECT 5"), "T:?column?/23/-1/0/0 D:5 C:SELECT_1 Z:I"; got != want {
			t.Fatalf("%q: the witness got %s", b, got)
		}
	})
}

// gone waits for the proxy to end the session and returns what it said.
func (f *frames) gone() string {
	return strings.Join(f.until("EOF"), " ")
}
