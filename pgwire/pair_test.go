package pgwire

import (
	"context"
	"io"
	"net"
	"testing"
	"time"
)

// tcpPair is both ends of a loopback connection, closed with the test. Every read and write on it is bounded in time.
func tcpPair(t testing.TB) (a, b net.Conn) {
	t.Helper()
	var lc net.ListenConfig
	listener, err := lc.Listen(context.WithoutCancel(t.Context()), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	a, err = net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	b, err = listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []net.Conn{a, b} {
		t.Cleanup(func() { c.Close() })
		if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	return a, b
}

// pipePair is a pair whose bytes move only while both sides are at it, and which cannot be waited for without a buffer.
func pipePair(t testing.TB) (a, b net.Conn) {
	a, b = net.Pipe()
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

// pairs are the kinds of connection that a Conn may stand on.
func pairs() map[string]func(testing.TB) (a, b net.Conn) {
	return map[string]func(testing.TB) (a, b net.Conn){"tcp": tcpPair, "pipe": pipePair}
}

// inBackground runs body beside the test, which waits for it.
func inBackground(t testing.TB, body func() error) {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- body() }() // owner: the test; ends when body does, at the latest when its connections are closed
	t.Cleanup(func() {
		if err := <-done; err != nil {
			t.Errorf("beside the test: %v", err)
		}
	})
}

// recorded is a connection in memory: what the peer will ever send, and then the end; and what was sent to it.
type recorded struct {
	input  []byte
	output []byte
	writes int
	refuse error // of every write
}

func (r *recorded) Read(p []byte) (int, error) {
	if len(r.input) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.input)
	r.input = r.input[n:]
	return n, nil
}

func (r *recorded) Write(p []byte) (int, error) {
	r.writes++
	if r.refuse != nil {
		return len(p) / 2, r.refuse
	}
	r.output = append(r.output, p...)
	return len(p), nil
}

func (*recorded) Close() error                     { return nil }
func (*recorded) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (*recorded) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (*recorded) SetDeadline(time.Time) error      { return nil }
func (*recorded) SetReadDeadline(time.Time) error  { return nil }
func (*recorded) SetWriteDeadline(time.Time) error { return nil }
