package pgwire

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/xdg-go/scram"
)

const (
	scramPlain      = "SCRAM-SHA-256"
	scramPlus       = "SCRAM-SHA-256-PLUS"
	scramIterations = 4096 // PostgreSQL's default
	authOK          = 0
	authSASL        = 10
	authSASLCont    = 11
	authSASLFinal   = 12
)

// Verifier is what a server keeps of a password: enough to check it, not enough to log in elsewhere (RFC 5802, RFC 7677).
type Verifier struct{ stored scram.StoredCredentials }

// ParseVerifier reads the form in which PostgreSQL stores passwords: SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey.
func ParseVerifier(s string) (*Verifier, error) {
	rest, ok := strings.CutPrefix(s, scramPlain+"$")
	factors, keys, ok2 := strings.Cut(rest, "$")
	iterations, salt, ok3 := strings.Cut(factors, ":")
	stored, server, ok4 := strings.Cut(keys, ":")
	if !ok || !ok2 || !ok3 || !ok4 {
		return nil, errors.New("verifier is not of the form SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey")
	}
	n, err := strconv.Atoi(iterations)
	if err != nil || n < 1 {
		return nil, fmt.Errorf("verifier has invalid iteration count %q", iterations)
	}
	var v Verifier
	v.stored.Iters = n
	rawSalt, err := base64.StdEncoding.DecodeString(salt)
	if err != nil {
		return nil, fmt.Errorf("decode salt of verifier: %w", err)
	}
	v.stored.Salt = string(rawSalt)
	if v.stored.StoredKey, err = decodeKey(stored); err != nil {
		return nil, err
	}
	if v.stored.ServerKey, err = decodeKey(server); err != nil {
		return nil, err
	}
	return &v, nil
}

func decodeKey(s string) ([]byte, error) {
	key, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return nil, fmt.Errorf("decode key of verifier: %w", err)
	}
	if len(key) != sha256.Size {
		return nil, fmt.Errorf("key of verifier has %d bytes, not %d", len(key), sha256.Size)
	}
	return key, nil
}

// NewVerifier derives a verifier with a random salt from a password. A password that SASLprep rejects is used as it is, as
// PostgreSQL does.
func NewVerifier(password string) (*Verifier, error) {
	var salt [16]byte
	if _, err := rand.Read(salt[:]); err != nil {
		return nil, fmt.Errorf("read random salt: %w", err)
	}
	client, err := scram.SHA256.NewClient("", password, "")
	if err != nil {
		if client, err = scram.SHA256.NewClientUnprepped("", password, ""); err != nil {
			return nil, fmt.Errorf("derive verifier: %w", err)
		}
	}
	stored, err := client.GetStoredCredentialsWithError(scram.KeyFactors{Salt: string(salt[:]), Iters: scramIterations})
	if err != nil {
		return nil, fmt.Errorf("derive verifier: %w", err)
	}
	return &Verifier{stored: stored}, nil
}

// String returns the stored form that ParseVerifier reads.
func (v *Verifier) String() string {
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("%s$%d:%s$%s:%s", scramPlain, v.stored.Iters, b64([]byte(v.stored.Salt)), b64(v.stored.StoredKey), b64(v.stored.ServerKey))
}

// Decoy returns a verifier that no password matches. It is the same at each try for a user and secret, so that a client cannot
// tell an unknown user from a wrong password.
func Decoy(user string, secret []byte) *Verifier {
	derive := func(purpose string) []byte {
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(purpose + "\x00" + user))
		return mac.Sum(nil)
	}
	var v Verifier
	v.stored.Iters = scramIterations
	v.stored.Salt = string(derive("salt")[:16])
	v.stored.StoredKey, v.stored.ServerKey = derive("stored"), derive("server")
	return &v
}

// ErrAuthentication is returned by Authenticate when the client did not prove that it knows the password.
var ErrAuthentication = errors.New("password authentication failed")

// Authenticate runs SCRAM-SHA-256 with the client, with channel binding offered on TLS connections, and ends with
// AuthenticationOk written but not flushed. ErrAuthentication means a wrong password; an *Error a malformed exchange.
func Authenticate(c *Conn, v *Verifier, served *tls.Config) error {
	server, err := scram.SHA256.NewServer(func(string) (scram.StoredCredentials, error) { return v.stored, nil })
	if err != nil {
		return fmt.Errorf("prepare authentication: %w", err)
	}
	binding := channelBinding(c, served)
	mechanisms := scramPlain + "\x00\x00"
	conversation := server.NewConversation()
	if binding.IsSupported() {
		mechanisms = scramPlus + "\x00" + mechanisms
		conversation = server.NewConversationWithChannelBinding(binding)
	}
	if err := sendAuth(c, authSASL, mechanisms); err != nil {
		return err
	}
	first, err := readInitialResponse(c, binding.IsSupported())
	if err != nil {
		return err
	}
	challenge, err := conversation.Step(first)
	if err != nil {
		return &Error{Severity: "FATAL", Code: "08P01", Message: "malformed SCRAM message", Detail: err.Error()}
	}
	if err := sendAuth(c, authSASLCont, challenge); err != nil {
		return err
	}
	final, err := readPassword(c)
	if err != nil {
		return err
	}
	outcome, err := conversation.Step(string(final))
	if err != nil || !conversation.Valid() {
		return ErrAuthentication
	}
	if err := c.Write(appendAuth(nil, authSASLFinal, outcome)); err != nil {
		return err
	}
	return c.Write(appendAuth(nil, authOK, ""))
}

// channelBinding returns the tls-server-end-point binding (RFC 5929) of the certificate that the client was shown.
func channelBinding(c *Conn, served *tls.Config) scram.ChannelBinding {
	if _, ok := c.nc.(*tls.Conn); !ok || served == nil || len(served.Certificates) == 0 {
		return scram.ChannelBinding{}
	}
	leaf, err := x509.ParseCertificate(served.Certificates[0].Certificate[0])
	if err != nil {
		return scram.ChannelBinding{}
	}
	state := tls.ConnectionState{Version: tls.VersionTLS13, HandshakeComplete: true, PeerCertificates: []*x509.Certificate{leaf}}
	binding, err := scram.NewTLSServerEndpointBinding(&state)
	if err != nil {
		return scram.ChannelBinding{}
	}
	return binding
}

func appendAuth(b []byte, kind uint32, data string) []byte {
	b, at := Begin(b, Authentication)
	b = binary.BigEndian.AppendUint32(b, kind)
	return End(append(b, data...), at)
}

func sendAuth(c *Conn, kind uint32, data string) error {
	if err := c.Write(appendAuth(nil, kind, data)); err != nil {
		return err
	}
	return c.Flush()
}

func readInitialResponse(c *Conn, plus bool) (string, error) {
	frame, err := readPassword(c)
	if err != nil {
		return "", err
	}
	body := Body{rest: frame}
	mechanism := string(body.Text())
	if mechanism != scramPlain && (mechanism != scramPlus || !plus) {
		return "", &Error{Severity: "FATAL", Code: "08P01", Message: "client selected an invalid SASL authentication mechanism"}
	}
	data := body.Bytes(body.Int32())
	if !body.Done() {
		return "", protocolViolation("malformed SASL response")
	}
	if bound := len(data) > 0 && data[0] == 'p'; bound != (mechanism == scramPlus) {
		return "", protocolViolation("SCRAM channel binding does not fit the chosen mechanism")
	}
	return string(data), nil
}

// readPassword reads one password-class frame and returns its body.
func readPassword(c *Conn) ([]byte, error) {
	typ, size, err := c.Peek()
	if err != nil {
		return nil, err
	}
	if typ != Password {
		return nil, protocolViolation(fmt.Sprintf("expected SASL response, got message type %q", typ))
	}
	frame, err := c.Frame(size, maxStartupPacket)
	if errors.Is(err, ErrFrameTooLarge) {
		return nil, protocolViolation("SASL response is too long")
	}
	if err != nil {
		return nil, err
	}
	return frame[HeaderSize:], nil
}
