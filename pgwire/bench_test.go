package pgwire

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strconv"
	"testing"
)

// endless yields the same frames for ever without a copy per frame, in reads as large as the reader's buffer.
type endless struct {
	recorded
	frames []byte
	at     int
}

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.frames[e.at:])
	e.at = (e.at + n) % len(e.frames)
	return n, nil
}

func (e *endless) Write(p []byte) (int, error) { return len(p), nil }

// BenchmarkRelayFrames is the cost per frame of reading and writing by reference, without the network.
func BenchmarkRelayFrames(b *testing.B) {
	for _, size := range []int{20, 100, 1000, 10_000, 100_000} {
		b.Run(strconv.Itoa(size), func(b *testing.B) {
			frame := frameOf('D', size-HeaderSize)
			c := NewConn(&endless{frames: bytes.Repeat(frame, 1000)}, ServerSide)
			dst := NewConn(&endless{}, ClientSide)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if err := relayFrame(c, dst); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// relayFrame passes one frame on as a session does: small ones by reference, large ones through the buffer.
func relayFrame(c, dst *Conn) error {
	_, size, err := c.Peek()
	if err != nil {
		return err
	}
	if size > BufferSize {
		return c.Pipe(dst, size)
	}
	frame, err := c.Frame(size, BufferSize)
	if err != nil {
		return err
	}
	return dst.Write(frame)
}

// BenchmarkRelayPending passes on all that was read at once, looking at headers only.
func BenchmarkRelayPending(b *testing.B) {
	frame := frameOf('D', 95)
	c := NewConn(&endless{frames: bytes.Repeat(frame, 1000)}, ServerSide)
	dst := NewConn(&endless{}, ClientSide)
	b.SetBytes(int64(len(frame)))
	b.ReportAllocs()
	frames := 0
	for b.Loop() {
		if frames > 0 {
			frames--
			continue
		}
		if _, _, err := c.Peek(); err != nil {
			b.Fatal(err)
		}
		pending, whole := c.Pending(), 0
		for len(pending)-whole >= len(frame) {
			whole += len(frame)
		}
		if whole == 0 {
			if err := relayFrame(c, dst); err != nil {
				b.Fatal(err)
			}
			continue
		}
		if err := dst.Write(pending[:whole]); err != nil {
			b.Fatal(err)
		}
		c.Consume(whole)
		frames = whole/len(frame) - 1
	}
}

// BenchmarkRoundTrip is one small request and reply over loopback, which is what a proxied point query costs at least per side.
func BenchmarkRoundTrip(b *testing.B) {
	for name, wrap := range map[string]func(net.Conn, identity) net.Conn{
		"clear": func(nc net.Conn, _ identity) net.Conn { return nc },
		"tls":   func(nc net.Conn, id identity) net.Conn { return tls.Server(nc, id.server) },
	} {
		b.Run(name, func(b *testing.B) {
			id := ecdsaIdentity(b)
			far, nc := tcpPair(b)
			inBackground(b, func() error { return echo(NewConn(wrap(nc, id), ClientSide)) })
			client := far
			if name == "tls" {
				client = tls.Client(far, id.client)
			}
			request, reply := frameOf('Q', 60), make([]byte, 65)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := client.Write(request); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadFull(client, reply); err != nil {
					b.Fatal(err)
				}
			}
			far.Close()
		})
	}
}

// echo sends every frame back until the client leaves.
func echo(c *Conn) error {
	for {
		err := relayFrame(c, c)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err = errors.Join(err, c.Flush()); err != nil {
			return err
		}
	}
}
