package pgwire

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
)

const (
	maxStartupPacket = 10000 // as PostgreSQL's MAX_STARTUP_PACKET_LENGTH
	protocolMajor3   = 3 << 16
	cancelRequest    = 1234<<16 | 5678
	sslRequest       = 1234<<16 | 5679
	gssEncRequest    = 1234<<16 | 5680
	tlsRecordStart   = 0x16
	alpnProtocol     = "postgresql" // PostgreSQL manual, "SSL Session Encryption": direct TLS requires it
)

// Param is one run-time parameter of a start-up packet.
type Param struct{ Name, Value string }

// Startup is what a client asks for when it connects.
type Startup struct {
	User     string
	Database string  // defaults to User, as in PostgreSQL
	Params   []Param // the other parameters in order, those inside `options` included
	TLS      *tls.ConnectionState
}

// Cancel is the content of a CancelRequest.
type Cancel struct {
	PID    uint32
	Secret uint32
}

// HandshakeConfig says how connections are greeted.
type HandshakeConfig struct {
	TLS         *tls.Config // nil: SSLRequest is answered 'N'. Certificates[0] is used for channel binding
	TLSRequired bool        // a start-up packet without TLS is refused with 28000; CancelRequest is not
}

// ErrProbe is returned by Handshake for a connection that was closed before it asked for anything, as health checks do.
var ErrProbe = errors.New("connection closed before start-up")

// Handshake reads what a new client asks for: exactly one of Startup and Cancel is non-nil on success. Encryption requests are
// answered on the way. The caller bounds its time by a deadline on nc. An *Error is meant for the client, which the returned
// Conn (never nil) can send; any other error means that there is nobody to talk to.
func Handshake(ctx context.Context, nc net.Conn, cfg HandshakeConfig) (*Conn, *Startup, *Cancel, error) {
	h := handshake{nc: nc, cfg: cfg}
	for {
		packet, err := h.packet(ctx)
		if err != nil {
			return NewConn(h.nc, ClientSide), nil, nil, err
		}
		code := binary.BigEndian.Uint32(packet)
		switch {
		case code == sslRequest:
			err = h.startTLS(ctx)
		case code == gssEncRequest:
			_, err = h.nc.Write([]byte{'N'})
		case code == cancelRequest:
			cancel, err := parseCancel(packet)
			return NewConn(h.nc, ClientSide), nil, cancel, err
		default:
			start, err := h.startup(packet)
			if err != nil {
				return NewConn(h.nc, ClientSide), nil, nil, err
			}
			conn := NewConn(h.nc, ClientSide)
			return conn, start, nil, negotiate(conn, packet)
		}
		if err != nil {
			return NewConn(h.nc, ClientSide), nil, nil, err
		}
	}
}

type handshake struct {
	nc       net.Conn
	cfg      HandshakeConfig
	tls      *tls.ConnectionState
	requests int
}

// packet reads one untyped packet and returns it without its length. It reads not a byte more, so that nothing sent in clear can
// be taken for something sent through TLS.
func (h *handshake) packet(ctx context.Context) ([]byte, error) {
	if h.requests++; h.requests > 4 {
		return nil, protocolViolation("too many encryption requests")
	}
	var length [4]byte
	if _, err := io.ReadFull(h.nc, length[:1]); err != nil {
		return nil, ErrProbe
	}
	if length[0] == tlsRecordStart && h.tls == nil && h.requests == 1 {
		h.nc = &prefixed{Conn: h.nc, prefix: []byte{tlsRecordStart}}
		if err := h.directTLS(ctx); err != nil {
			return nil, err
		}
		if _, err := io.ReadFull(h.nc, length[:1]); err != nil {
			return nil, ErrProbe
		}
	}
	if _, err := io.ReadFull(h.nc, length[1:]); err != nil {
		return nil, ErrProbe
	}
	n := int32(binary.BigEndian.Uint32(length[:]))
	if n < 8 || n > maxStartupPacket {
		return nil, protocolViolation("invalid length of startup packet")
	}
	packet := make([]byte, n-4)
	if _, err := io.ReadFull(h.nc, packet); err != nil {
		return nil, &IOError{Side: ClientSide, Err: err}
	}
	return packet, nil
}

func (h *handshake) startTLS(ctx context.Context) error {
	if h.cfg.TLS == nil || h.tls != nil {
		_, err := h.nc.Write([]byte{'N'})
		return err
	}
	if _, err := h.nc.Write([]byte{'S'}); err != nil {
		return err
	}
	return h.upgrade(ctx)
}

func (h *handshake) directTLS(ctx context.Context) error {
	if h.cfg.TLS == nil {
		return protocolViolation("invalid length of startup packet")
	}
	if err := h.upgrade(ctx); err != nil {
		return err
	}
	if h.tls.NegotiatedProtocol != alpnProtocol {
		return protocolViolation("received direct TLS connection request without ALPN protocol negotiation extension")
	}
	return nil
}

func (h *handshake) upgrade(ctx context.Context) error {
	cfg := h.cfg.TLS.Clone()
	cfg.NextProtos = []string{alpnProtocol}
	conn := tls.Server(h.nc, cfg)
	if err := conn.HandshakeContext(ctx); err != nil {
		return &IOError{Side: ClientSide, Err: err}
	}
	state := conn.ConnectionState()
	h.nc, h.tls = conn, &state
	return nil
}

func (h *handshake) startup(packet []byte) (*Startup, error) {
	code := binary.BigEndian.Uint32(packet)
	if code>>16 != 3 {
		return nil, &Error{Severity: "FATAL", Code: "0A000",
			Message: fmt.Sprintf("unsupported frontend protocol %d.%d: server supports 3.0 to 3.0", code>>16, code&0xffff)}
	}
	if h.cfg.TLSRequired && h.tls == nil {
		return nil, &Error{Severity: "FATAL", Code: "28000", Message: "connection requires TLS",
			Hint: `Connect with "sslmode=require" or stronger.`}
	}
	s := &Startup{TLS: h.tls}
	err := eachParam(packet, func(name, value string) error {
		switch {
		case name == "user":
			s.User = value
		case name == "database":
			s.Database = value
		case name == "replication":
			return refuseReplication(value)
		case name == "options":
			return s.addOptions(value)
		case strings.HasPrefix(name, "_pq_."): // protocol extensions, answered by negotiate
		default:
			s.Params = append(s.Params, Param{Name: name, Value: value})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if s.User == "" {
		return nil, &Error{Severity: "FATAL", Code: "28000", Message: "no PostgreSQL user name specified in startup packet"}
	}
	if s.Database == "" {
		s.Database = s.User
	}
	return s, nil
}

func eachParam(packet []byte, do func(name, value string) error) error {
	body := Body{rest: packet[4:]}
	for {
		name := string(body.Text())
		if name == "" {
			break
		}
		value := string(body.Text())
		if !body.OK() {
			break
		}
		if err := do(name, value); err != nil {
			return err
		}
	}
	if !body.Done() {
		return protocolViolation("invalid startup packet layout: expected terminator as last byte")
	}
	return nil
}

func refuseReplication(value string) error {
	switch strings.ToLower(value) {
	case "false", "off", "no", "0", "f", "n":
		return nil
	}
	return &Error{Severity: "FATAL", Code: "0A000", Message: "replication connections are not supported",
		Hint: "Connect to the PostgreSQL server of the shard itself."}
}

// addOptions takes the settings out of the start-up parameter `options`: "-c name=value" and "--name=value", with a backslash
// before a space or backslash that belongs to a value (PostgreSQL manual, "Parameter Interaction via the Configuration").
func (s *Startup) addOptions(options string) error {
	args := splitOptions(options)
	for i := 0; i < len(args); i++ {
		var setting string
		switch arg := args[i]; {
		case arg == "-c" && i+1 < len(args):
			i++
			setting = args[i]
		case strings.HasPrefix(arg, "-c"):
			setting = arg[2:]
		case strings.HasPrefix(arg, "--"):
			setting = arg[2:]
		default:
			return &Error{Severity: "FATAL", Code: "0A000", Message: fmt.Sprintf("start-up option %q is not supported", arg),
				Hint: `Use "-c name=value".`}
		}
		name, value, ok := strings.Cut(setting, "=")
		if !ok || name == "" {
			return &Error{Severity: "FATAL", Code: "42601", Message: fmt.Sprintf("-c %s requires a value", setting)}
		}
		s.Params = append(s.Params, Param{Name: strings.ReplaceAll(name, "-", "_"), Value: value})
	}
	return nil
}

func splitOptions(options string) []string {
	var args []string
	var arg []byte
	inside := false
	for i := 0; i < len(options); i++ {
		c := options[i]
		if strings.IndexByte(" \t\n\r\v\f", c) >= 0 {
			if inside {
				args, arg, inside = append(args, string(arg)), arg[:0], false
			}
			continue
		}
		if c == '\\' && i+1 < len(options) {
			i++
			c = options[i]
		}
		arg, inside = append(arg, c), true
	}
	if inside {
		args = append(args, string(arg))
	}
	return args
}

// negotiate answers a client that asked for a newer minor version or for protocol extensions with what is supported: 3.0 and
// none (PostgreSQL manual, NegotiateProtocolVersion).
func negotiate(c *Conn, packet []byte) error {
	var unknown []string
	err := eachParam(packet, func(name, _ string) error {
		if strings.HasPrefix(name, "_pq_.") {
			unknown = append(unknown, name)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if binary.BigEndian.Uint32(packet) == protocolMajor3 && len(unknown) == 0 {
		return nil
	}
	b, at := Begin(nil, NegotiateProtocol)
	b = binary.BigEndian.AppendUint32(b, protocolMajor3)
	b = binary.BigEndian.AppendUint32(b, uint32(len(unknown)))
	for _, name := range unknown {
		b = append(append(b, name...), 0)
	}
	return c.Write(End(b, at))
}

func parseCancel(packet []byte) (*Cancel, error) {
	if len(packet) != 12 {
		return nil, ErrProbe // PostgreSQL ignores malformed cancel requests as well
	}
	return &Cancel{PID: binary.BigEndian.Uint32(packet[4:]), Secret: binary.BigEndian.Uint32(packet[8:])}, nil
}

func protocolViolation(message string) error {
	return &Error{Severity: "FATAL", Code: "08P01", Message: message}
}

// prefixed is a connection whose first bytes were read already.
type prefixed struct {
	net.Conn
	prefix []byte
}

func (p *prefixed) Read(b []byte) (int, error) {
	if len(p.prefix) > 0 {
		n := copy(b, p.prefix)
		p.prefix = bytes.Clone(p.prefix[n:])
		return n, nil
	}
	return p.Conn.Read(b)
}
