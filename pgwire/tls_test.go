package pgwire

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
)

// handshakeWith runs a handshake against a client that is a function of its end of the connection. It returns after both.
func handshakeWith(t *testing.T, cfg HandshakeConfig, client func(net.Conn) error) greeted {
	t.Helper()
	far, nc := tcpPair(t)
	done := make(chan error, 1)
	go func() { done <- client(far) }() // owner: this function; ends with the client's part, at the latest when far is closed
	var g greeted
	g.conn, g.startup, g.cancel, g.err = Handshake(t.Context(), nc, cfg)
	if g.err == nil {
		if err := g.conn.Flush(); err != nil {
			t.Error(err)
		}
	} else {
		g.conn.Close()
	}
	if err := <-done; err != nil {
		t.Fatalf("client: %v", err)
	}
	return g
}

// requestTLS sends an SSLRequest and checks the one byte of its answer.
func requestTLS(nc net.Conn, want byte) error {
	if _, err := nc.Write(packet(sslRequest)); err != nil {
		return err
	}
	var answer [1]byte
	if _, err := io.ReadFull(nc, answer[:]); err != nil {
		return err
	}
	if answer[0] != want {
		return errors.New("SSLRequest was answered " + string(answer[:]))
	}
	return nil
}

// throughTLS starts TLS on nc and sends p through it.
func throughTLS(nc net.Conn, cfg *tls.Config, p []byte) error {
	secure := tls.Client(nc, cfg)
	if err := secure.Handshake(); err != nil {
		return err
	}
	_, err := secure.Write(p)
	return err
}

func TestSSLRequestLeadsToTLS(t *testing.T) {
	id := ecdsaIdentity(t)
	g := handshakeWith(t, HandshakeConfig{TLS: id.server, TLSRequired: true}, func(nc net.Conn) error {
		return errors.Join(requestTLS(nc, 'S'), throughTLS(nc, id.client, append(startup("user", "ann"), frameOf('Q', 9)...)))
	})
	if g.err != nil || g.startup.User != "ann" || g.startup.TLS == nil || !g.startup.TLS.HandshakeComplete {
		t.Fatalf("error %v, start-up %+v", g.err, g.startup)
	}
	requireFrame(t, g.conn, frameOf('Q', 9))
}

func TestGSSRequestMayComeBeforeTLSAndSSLRequestsInsideItAreDeclined(t *testing.T) {
	id := ecdsaIdentity(t)
	g := handshakeWith(t, HandshakeConfig{TLS: id.server}, func(nc net.Conn) error {
		if _, err := nc.Write(packet(gssEncRequest)); err != nil {
			return err
		}
		var answer [1]byte
		if _, err := io.ReadFull(nc, answer[:]); err != nil || answer[0] != 'N' {
			return errors.Join(errors.New("GSSENCRequest was not declined"), err)
		}
		if err := requestTLS(nc, 'S'); err != nil {
			return err
		}
		secure := tls.Client(nc, id.client)
		if err := requestTLS(secure, 'N'); err != nil {
			return err
		}
		_, err := secure.Write(startup("user", "ann"))
		return err
	})
	if g.err != nil || g.startup.TLS == nil {
		t.Errorf("error %v, start-up %+v", g.err, g.startup)
	}
}

func TestClearTextAfterSSLRequestIsNotStartup(t *testing.T) {
	id := ecdsaIdentity(t)
	g := handshakeWith(t, HandshakeConfig{TLS: id.server}, func(nc net.Conn) error {
		// A man in the middle puts a start-up packet right behind the request, hoping that it is taken for one sent through TLS.
		_, err := nc.Write(append(packet(sslRequest), startup("user", "mallory")...))
		return err
	})
	if g.err == nil || g.startup != nil {
		t.Fatalf("clear text was accepted: %+v", g.startup)
	}
	var broken *IOError
	if !errors.As(g.err, &broken) {
		t.Errorf("error is %v", g.err)
	}
}

func TestClearTextIsRefusedWhereTLSIsRequired(t *testing.T) {
	id := ecdsaIdentity(t)
	told := requireFatal(t, greet(t, HandshakeConfig{TLS: id.server, TLSRequired: true}, startup("user", "ann")).err, "28000")
	if !strings.Contains(told.Hint, "sslmode") {
		t.Errorf("hint is %q", told.Hint)
	}
}

func TestDirectTLSNeedsALPN(t *testing.T) {
	id := ecdsaIdentity(t)
	direct := func(protocols ...string) func(net.Conn) error {
		return func(nc net.Conn) error {
			cfg := id.client.Clone()
			cfg.NextProtos = protocols
			return throughTLS(nc, cfg, startup("user", "ann"))
		}
	}
	g := handshakeWith(t, HandshakeConfig{TLS: id.server}, direct(alpnProtocol))
	if g.err != nil || g.startup.User != "ann" || g.startup.TLS.NegotiatedProtocol != alpnProtocol {
		t.Errorf("with ALPN: error %v, start-up %+v", g.err, g.startup)
	}
	g = handshakeWith(t, HandshakeConfig{TLS: id.server}, direct())
	requireFatal(t, g.err, "08P01")
	g = handshakeWith(t, HandshakeConfig{TLS: id.server}, func(nc net.Conn) error {
		if direct("http/1.1")(nc) == nil {
			return errors.New("another protocol was accepted")
		}
		return nil
	})
	if g.err == nil {
		t.Error("another protocol was accepted")
	}
}

func TestDirectTLSIsOneFirstThingOrNothing(t *testing.T) {
	hello := append([]byte{tlsRecordStart, 3, 1, 2, 0}, make([]byte, 512)...)
	requireFatal(t, greet(t, HandshakeConfig{}, hello).err, "08P01")
	id := ecdsaIdentity(t)
	g := greet(t, HandshakeConfig{TLS: id.server}, packet(gssEncRequest), hello)
	requireFatal(t, g.err, "08P01")
	if g = greet(t, HandshakeConfig{TLS: id.server}, hello); g.err == nil {
		t.Error("a malformed ClientHello was accepted")
	}
}

func TestTLSFramesOfAnySizePass(t *testing.T) {
	id := ecdsaIdentity(t)
	frames := [][]byte{frameOf('Q', 0), frameOf('D', 100_000), frameOf('D', 7), frameOf('d', 1<<20)}
	far, nc := tcpPair(t)
	inBackground(t, func() error {
		return throughTLS(far, id.client, bytes.Join(frames, nil))
	})
	c := NewConn(tls.Server(nc, id.server), ClientSide)
	for _, frame := range frames {
		requireFrame(t, c, frame)
	}
}

func TestClientCertificateIsKnownAfterTheHandshake(t *testing.T) {
	id, client := ecdsaIdentity(t), ecdsaIdentity(t)
	server := id.server.Clone()
	server.ClientAuth, server.ClientCAs = tls.RequireAndVerifyClientCert, client.client.RootCAs
	cfg := id.client.Clone()
	cfg.Certificates = client.server.Certificates
	g := handshakeWith(t, HandshakeConfig{TLS: server}, func(nc net.Conn) error {
		return errors.Join(requestTLS(nc, 'S'), throughTLS(nc, cfg, startup("user", "ann")))
	})
	if g.err != nil || len(g.startup.TLS.PeerCertificates) != 1 || g.startup.TLS.PeerCertificates[0].Subject.CommonName != "localhost" {
		t.Errorf("error %v, start-up %+v", g.err, g.startup)
	}
	g = handshakeWith(t, HandshakeConfig{TLS: server}, func(nc net.Conn) error {
		_ = throughTLS(nc, id.client, startup("user", "ann")) // TLS 1.3 tells the client later, or resets
		return nil
	})
	if g.err == nil {
		t.Error("a client without a certificate was accepted")
	}
}
