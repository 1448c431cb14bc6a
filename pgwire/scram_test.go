package pgwire

import (
	"crypto/elliptic"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// door is a server of one user for one connection at a time: it greets, authenticates, and answers every query with one row.
type door struct {
	verifier *Verifier
	cfg      HandshakeConfig
}

// serve lets one client in and returns how that went.
func (d door) serve(t *testing.T, nc net.Conn) error {
	c, start, cancel, err := Handshake(t.Context(), nc, d.cfg)
	if err == nil && cancel == nil {
		var served *tls.Config
		if start.TLS != nil {
			served = d.cfg.TLS
		}
		err = Authenticate(c, d.verifier, served)
	}
	if err == nil {
		return d.answer(c)
	}
	told := &Error{Severity: "FATAL", Code: "28P01", Message: err.Error()}
	errors.As(err, &told)
	return errors.Join(err, c.Write(AppendError(nil, told)), c.Flush(), c.Close())
}

func (d door) answer(c *Conn) error {
	reply := AppendReady(AppendParameterStatus(nil, "server_version", "15.0"), TxIdle)
	for {
		if err := errors.Join(c.Write(reply), c.Flush()); err != nil {
			return err
		}
		typ, size, err := c.Peek()
		if err != nil || typ == Terminate {
			return errors.Join(err, c.Close())
		}
		if _, err := c.Frame(size, BufferSize); err != nil {
			return err
		}
		reply = AppendRowDescription(nil, []Field{{Name: "answer", Type: 25, Size: -1}})
		reply = AppendDataRow(reply, [][]byte{[]byte("in")})
		reply = AppendReady(AppendText(reply, CommandComplete, "SELECT 1"), TxIdle)
	}
}

// open listens for clients until the test ends and sends the outcome of each to the returned channel.
func (d door) open(t *testing.T) (port int, outcomes chan error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	outcomes = make(chan error, 10)
	inBackground(t, func() error {
		for {
			nc, err := listener.Accept()
			if err != nil {
				return nil // closed with the test
			}
			outcomes <- d.serve(t, nc)
		}
	})
	t.Cleanup(func() { listener.Close() })
	return listener.Addr().(*net.TCPAddr).Port, outcomes
}

func mustVerifier(t testing.TB, password string) *Verifier {
	t.Helper()
	v, err := NewVerifier(password)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// connectTo logs in with pgconn.
func connectTo(t *testing.T, port int, password, options string) error {
	t.Helper()
	cfg, err := pgconn.ParseConfig(fmt.Sprintf("host=127.0.0.1 port=%d user=ann dbname=shop %s", port, options))
	if err != nil {
		t.Fatal(err)
	}
	cfg.Password = password
	conn, err := pgconn.ConnectConfig(t.Context(), cfg)
	if err != nil {
		return err
	}
	result, err := conn.Exec(t.Context(), "SELECT 1").ReadAll()
	if err == nil && string(result[0].Rows[0][0]) != "in" {
		t.Errorf("answer is %q", result[0].Rows[0][0])
	}
	return errors.Join(err, conn.Close(t.Context()))
}

func TestPasswordOpensAndAnotherDoesNot(t *testing.T) {
	for _, password := range []string{"secret", "pä$$wörd ☃", "a\u00a0b", "x\x01y", strings.Repeat("long", 200)} {
		port, outcomes := door{verifier: mustVerifier(t, password)}.open(t)
		if err := connectTo(t, port, password, "sslmode=disable"); err != nil {
			t.Errorf("password %q: %v", password, err)
		}
		if err := <-outcomes; err != nil {
			t.Errorf("server, password %q: %v", password, err)
		}
		var refused *pgconn.PgError
		if err := connectTo(t, port, password+"!", "sslmode=disable"); !errors.As(err, &refused) || refused.Code != "28P01" {
			t.Errorf("wrong password: %v", err)
		}
		if err := <-outcomes; !errors.Is(err, ErrAuthentication) {
			t.Errorf("server, wrong password: %v", err)
		}
	}
}

func TestChannelBindingHoldsForEachKindOfCertificate(t *testing.T) {
	for name, id := range map[string]identity{
		"ECDSA SHA-256": ecdsaIdentity(t),
		"ECDSA SHA-384": newIdentity(t, ecdsaKey(t, elliptic.P384()), x509.ECDSAWithSHA384),
		"ECDSA SHA-512": newIdentity(t, ecdsaKey(t, elliptic.P521()), x509.ECDSAWithSHA512),
		"RSA SHA-512":   newIdentity(t, rsaKey(t), x509.SHA512WithRSA),
	} {
		port, outcomes := door{mustVerifier(t, "secret"), HandshakeConfig{TLS: id.server}}.open(t)
		tlsOptions := "sslmode=verify-full sslrootcert=" + id.file
		for _, binding := range []string{"require", "prefer", "disable"} {
			if err := connectTo(t, port, "secret", tlsOptions+" channel_binding="+binding); err != nil {
				t.Errorf("%s, channel_binding=%s: %v", name, binding, err)
			}
			if err := <-outcomes; err != nil {
				t.Errorf("%s, channel_binding=%s: server: %v", name, binding, err)
			}
		}
		if err := connectTo(t, port, "wrong", tlsOptions+" channel_binding=require"); err == nil {
			t.Errorf("%s: a wrong password opened", name)
		}
		if err := <-outcomes; !errors.Is(err, ErrAuthentication) {
			t.Errorf("%s: server, wrong password: %v", name, err)
		}
	}
}

func TestChannelBindingIsNotOfferedWhereItCannotBeComputed(t *testing.T) {
	id := newIdentity(t, ed25519Key(t), x509.PureEd25519) // RFC 5929 names no hash for it
	port, outcomes := door{mustVerifier(t, "secret"), HandshakeConfig{TLS: id.server}}.open(t)
	if err := connectTo(t, port, "secret", "sslmode=verify-full channel_binding=prefer sslrootcert="+id.file); err != nil {
		t.Error(err)
	}
	if err := <-outcomes; err != nil {
		t.Error(err)
	}
}

// dialogue speaks SCRAM by hand and returns the frames of the server, up to its end or its error.
func dialogue(t *testing.T, c *Conn, responses ...[]byte) [][]byte {
	t.Helper()
	var frames [][]byte
	for step := 0; ; step++ {
		typ, size, err := c.Peek()
		if err != nil {
			return frames
		}
		frame, err := c.Frame(size, BufferSize)
		if err != nil {
			t.Fatal(err)
		}
		frames = append(frames, append([]byte{}, frame...))
		if typ != Authentication || step == len(responses) {
			return frames
		}
		if err := errors.Join(c.Write(responses[step]), c.Flush()); err != nil {
			t.Fatal(err)
		}
	}
}

func initialResponse(mechanism, first string) []byte {
	b, at := Begin(nil, Password)
	b = append(append(b, mechanism...), 0, 0, 0, 0, byte(len(first)))
	return End(append(b, first...), at)
}

// authenticate runs Authenticate against hand-made responses.
func authenticate(t *testing.T, v *Verifier, responses ...[]byte) (frames [][]byte, err error) {
	t.Helper()
	far, nc := tcpPair(t)
	done := make(chan error, 1)
	go func() { // owner: this function; ends with the dialogue
		c := NewConn(nc, ClientSide)
		err := Authenticate(c, v, nil)
		done <- errors.Join(err, c.Flush(), c.Close())
	}()
	client := NewConn(far, ServerSide)
	frames = dialogue(t, client, responses...)
	client.Close()
	return frames, <-done
}

func TestUnknownUserLooksLikeAWrongPassword(t *testing.T) {
	secret := []byte("of this proxy")
	wrong := []byte("p\x00\x00\x00\x3cc=biws,r=0123456789,p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
	wrong = End(wrong, 0)
	shape := regexp.MustCompile(`^R\x00\x00\x00.\x00\x00\x00\x0br=abcdef[^,]+,s=[A-Za-z0-9+/]{22}==,i=4096$`)
	ask := func(v *Verifier) string {
		frames, err := authenticate(t, v, initialResponse(scramPlain, "n,,n=,r=abcdef"), wrong)
		if !errors.Is(err, ErrAuthentication) {
			t.Fatalf("error is %v", err)
		}
		if len(frames) != 2 || !shape.Match(frames[1]) {
			t.Fatalf("server said %q", frames)
		}
		return string(regexp.MustCompile(`s=[^,]+`).Find(frames[1]))
	}
	known := ask(mustVerifier(t, "secret"))
	unknown := ask(Decoy("ann", secret))
	if unknown != ask(Decoy("ann", secret)) {
		t.Error("the decoy's salt changes from try to try")
	}
	if unknown == known || unknown == ask(Decoy("bob", secret)) || unknown == ask(Decoy("ann", []byte("of another proxy"))) {
		t.Error("salts do not depend on user and secret")
	}
	port, _ := door{verifier: Decoy("ann", secret)}.open(t)
	for _, password := range []string{"", "ann", "secret", "stored"} {
		if connectTo(t, port, password+" ", "sslmode=disable") == nil {
			t.Errorf("password %q opened a decoy", password)
		}
	}
}

func TestMalformedExchangesAreRefused(t *testing.T) {
	v := mustVerifier(t, "secret")
	for name, response := range map[string][]byte{
		"other message":     AppendText(nil, Query, "SELECT 1"),
		"empty":             AppendEmpty(nil, Password),
		"other mechanism":   initialResponse("PLAIN", "n,,n=,r=x"),
		"unoffered binding": initialResponse(scramPlus, "p=tls-server-end-point,,n=,r=x"),
		"binding flag":      initialResponse(scramPlain, "p=tls-server-end-point,,n=,r=x"),
		"no data":           initialResponse(scramPlain, ""),
		"garbage":           initialResponse(scramPlain, "garbage"),
		"extension":         initialResponse(scramPlain, "n,,m=ext,n=,r=x"),
		"long":              frameOf(Password, 2*maxStartupPacket),
	} {
		frames, err := authenticate(t, v, response)
		told := requireFatal(t, err, "08P01")
		if len(frames) != 1 || told.Message == "" {
			t.Errorf("%s: server said %q, error %v", name, frames, err)
		}
	}
	frame := initialResponse(scramPlain, "n,,n=,r=x")
	frame[len(frame)-len("n,,n=,r=x")-1]++
	_, err := authenticate(t, v, frame)
	requireFatal(t, err, "08P01")
}

func TestDowngradedChannelBindingIsRefused(t *testing.T) {
	id := ecdsaIdentity(t)
	far, nc := tcpPair(t)
	inBackground(t, func() error {
		secure := tls.Client(far, id.client)
		// "y": the client could bind but was told that the server cannot.
		if _, err := secure.Write(initialResponse(scramPlain, "y,,n=,r=x")); err != nil {
			return err
		}
		_, err := io.Copy(io.Discard, secure)
		return err
	})
	c := NewConn(tls.Server(nc, id.server), ClientSide)
	requireFatal(t, Authenticate(c, mustVerifier(t, "secret"), id.server), "08P01")
	c.Close()
}

func TestClientThatLeavesIsABrokenConnection(t *testing.T) {
	first := initialResponse(scramPlain, "n,,n=,r=x")
	for cut := range len(first) {
		c := NewConn(&recorded{input: first[:cut]}, ClientSide)
		var broken *IOError
		if err := Authenticate(c, mustVerifier(t, "secret"), nil); !errors.As(err, &broken) {
			t.Errorf("left after %d bytes: error is %v", cut, err)
		}
	}
}

func TestVerifierReadsBackWhatItWrites(t *testing.T) {
	v := mustVerifier(t, "secret")
	text := v.String()
	again, err := ParseVerifier(text)
	if err != nil || again.String() != text {
		t.Fatalf("%q read back as %v, error %v", text, again, err)
	}
	if mustVerifier(t, "secret").String() == text {
		t.Error("two verifiers of a password share a salt")
	}
	key := base64.StdEncoding.EncodeToString(make([]byte, 32))
	for _, bad := range []string{
		"", "secret", "md5c4ca4238a0b923820dcc509a6f75849b", "SCRAM-SHA-256$4096:c2FsdA==", "SCRAM-SHA-256$4096$" + key + ":" + key,
		"SCRAM-SHA-256$x:c2FsdA==$" + key + ":" + key, "SCRAM-SHA-256$0:c2FsdA==$" + key + ":" + key,
		"SCRAM-SHA-256$-1:c2FsdA==$" + key + ":" + key, "SCRAM-SHA-256$4096:!$" + key + ":" + key,
		"SCRAM-SHA-256$4096:c2FsdA==$" + key, "SCRAM-SHA-256$4096:c2FsdA==$c2FsdA==:" + key,
		"SCRAM-SHA-256$4096:c2FsdA==$" + key + ":" + key[:20], "SCRAM-SHA-1$4096:c2FsdA==$" + key + ":" + key,
	} {
		if _, err := ParseVerifier(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}
