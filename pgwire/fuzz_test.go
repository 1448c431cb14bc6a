package pgwire

import (
	"bytes"
	"errors"
	"testing"
)

// FuzzHandshake feeds a client's bytes, and then the end, to a handshake: it ends with a start-up, a cancel request, or an error
// of a kind that its caller knows. The seeds in testdata/fuzz are the openings of real clients.
func FuzzHandshake(f *testing.F) {
	id := ecdsaIdentity(f)
	f.Add(startup("user", "ann", "database", "shop", "options", `-c a=b\ c --d=e`), false)
	f.Add(packet(3<<16|2, "user", "ann", "_pq_.x", "1", ""), true)
	f.Add(append(packet(sslRequest), startup("user", "ann")...), true)
	f.Fuzz(func(t *testing.T, input []byte, secure bool) {
		cfg := HandshakeConfig{}
		if secure {
			cfg.TLS = id.server
		}
		g := greet(t, cfg, input)
		if g.err == nil {
			if (g.startup == nil) == (g.cancel == nil) {
				t.Fatalf("start-up %v and cancel %v", g.startup, g.cancel)
			}
			if g.startup != nil && (g.startup.User == "" || g.startup.Database == "") {
				t.Fatalf("start-up without a name: %+v", g.startup)
			}
			return
		}
		var told *Error
		var broken *IOError
		if !errors.As(g.err, &told) && !errors.As(g.err, &broken) && !errors.Is(g.err, ErrProbe) {
			t.Fatalf("error is %v", g.err)
		}
	})
}

// FuzzFrames reads arbitrary bytes as frames: what is handed out is what came in, in whole frames.
func FuzzFrames(f *testing.F) {
	f.Add(bytes.Join([][]byte{frameOf('P', 20), frameOf('B', 0), frameOf('S', 300)}, nil), 100)
	f.Add([]byte("Q\xff\xff\xff\xff"), 5)
	f.Add([]byte("Q\x40\x00\x00\x00abc"), 1<<31)
	f.Fuzz(func(t *testing.T, input []byte, limit int) {
		c := NewConn(&recorded{input: bytes.Clone(input)}, ClientSide)
		dst := &recorded{}
		to := NewConn(dst, ServerSide)
		for read := 0; ; {
			typ, size, err := c.Peek()
			if err != nil {
				break
			}
			if size < HeaderSize || typ != input[read] {
				t.Fatalf("peeked %q of %d bytes at %d", typ, size, read)
			}
			frame, err := c.Frame(size, limit)
			switch {
			case errors.Is(err, ErrFrameTooLarge):
				err = errors.Join(c.Pipe(to, size), to.Flush())
				frame, dst.output = dst.output, nil
			case err == nil && size > limit:
				t.Fatalf("frame of %d bytes over the limit %d", size, limit)
			}
			if err != nil {
				break
			}
			if !bytes.Equal(frame, input[read:read+size]) {
				t.Fatalf("frame at %d arrived changed", read)
			}
			read += size
		}
	})
}

// FuzzBody reads arbitrary bytes as the bodies of the messages that are decoded.
func FuzzBody(f *testing.F) {
	f.Add(AppendError(nil, &Error{Code: "22P02", Message: "m", Position: 3}))
	f.Add(AppendRowDescription(nil, []Field{{Name: "id", Type: 20, Size: 8}}))
	f.Add([]byte("T\x00\x00\x00\x06\xff\xff"))
	f.Fuzz(func(t *testing.T, frame []byte) {
		if len(frame) < HeaderSize {
			return
		}
		ParseError(frame)
		if fields, ok := ParseRowDescription(frame); ok {
			if again := AppendRowDescription(nil, fields); !bytes.Equal(again[HeaderSize:], frame[HeaderSize:]) {
				t.Fatalf("row description %q is written back as %q", frame, again)
			}
		}
		total := len(frame) - HeaderSize
		for _, read := range []func(*Body) int{
			func(b *Body) int { b.Byte(); return 1 },
			func(b *Body) int { b.Int16(); return 2 },
			func(b *Body) int { b.Int32(); return 4 },
			func(b *Body) int { return len(b.Text()) + 1 },
			func(b *Body) int { return len(b.Bytes(b.Int16())) + 2 },
		} {
			b := BodyOf(frame)
			n := 0
			for b.OK() && !b.Done() {
				n += read(&b)
			}
			if b.Done() != (n == total && b.OK()) {
				t.Fatalf("read %d of %d bytes, done is %v", n, total, b.Done())
			}
		}
	})
}

// FuzzAuthenticate feeds a client's bytes to the SCRAM exchange: nobody gets in.
func FuzzAuthenticate(f *testing.F) {
	v := mustVerifier(f, "secret")
	f.Add(initialResponse(scramPlain, "n,,n=,r=abcdef"))
	f.Add(append(initialResponse(scramPlain, "n,,n=,r=x"), AppendText(nil, Password, "c=biws,r=x,p=AAAA")...))
	f.Fuzz(func(t *testing.T, input []byte) {
		c := NewConn(&recorded{input: input}, ClientSide)
		err := Authenticate(c, v, nil)
		var told *Error
		var broken *IOError
		var protocol *ProtocolError
		if !errors.Is(err, ErrAuthentication) && !errors.As(err, &told) && !errors.As(err, &broken) && !errors.As(err, &protocol) {
			t.Fatalf("error is %v", err)
		}
	})
}
