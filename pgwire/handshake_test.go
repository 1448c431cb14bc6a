package pgwire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"
)

// packet is a start-up packet: length, code, and strings each ended by NUL.
func packet(code uint32, strs ...string) []byte {
	b := binary.BigEndian.AppendUint32(make([]byte, 4), code)
	for _, s := range strs {
		b = append(append(b, s...), 0)
	}
	binary.BigEndian.PutUint32(b, uint32(len(b)))
	return b
}

// startup is a start-up packet of protocol 3.0 with parameters, names and values in turn.
func startup(params ...string) []byte { return packet(protocolMajor3, append(params, "")...) }

// greeted is what a handshake in memory came to.
type greeted struct {
	conn    *Conn
	startup *Startup
	cancel  *Cancel
	err     error
	sent    []byte
}

// greet runs a handshake with a client that sends input and then nothing more.
func greet(t testing.TB, cfg HandshakeConfig, input ...[]byte) greeted {
	t.Helper()
	nc := &recorded{input: bytes.Join(input, nil)}
	var g greeted
	g.conn, g.startup, g.cancel, g.err = Handshake(t.Context(), nc, cfg)
	if g.conn == nil {
		t.Fatal("the returned Conn is nil")
	}
	if g.err == nil {
		if err := g.conn.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	g.sent = nc.output
	return g
}

func requireFatal(t *testing.T, err error, code string) *Error {
	t.Helper()
	var told *Error
	if !errors.As(err, &told) || told.Code != code || told.Severity != "FATAL" {
		t.Fatalf("error is %v, want FATAL %s", err, code)
	}
	return told
}

func TestStartupIsRead(t *testing.T) {
	g := greet(t, HandshakeConfig{}, startup("user", "ann", "database", "shop", "application_name", "psql", "client_encoding", "UTF8"))
	if g.err != nil || g.cancel != nil {
		t.Fatalf("error %v, cancel %v", g.err, g.cancel)
	}
	if g.startup.User != "ann" || g.startup.Database != "shop" || g.startup.TLS != nil {
		t.Errorf("start-up is %+v", g.startup)
	}
	if want := []Param{{"application_name", "psql"}, {"client_encoding", "UTF8"}}; !slices.Equal(g.startup.Params, want) {
		t.Errorf("parameters are %v, want %v", g.startup.Params, want)
	}
	if len(g.sent) != 0 {
		t.Errorf("protocol 3.0 was answered with %q", g.sent)
	}
}

func TestDatabaseDefaultsToTheUser(t *testing.T) {
	for _, params := range [][]string{{"user", "ann"}, {"user", "ann", "database", ""}} {
		if g := greet(t, HandshakeConfig{}, startup(params...)); g.err != nil || g.startup.Database != "ann" {
			t.Errorf("%q: error %v, start-up %+v", params, g.err, g.startup)
		}
	}
}

func TestFirstQueryMayFollowTheStartupAtOnce(t *testing.T) {
	query := frameOf('Q', 100)
	g := greet(t, HandshakeConfig{}, startup("user", "ann"), query)
	if g.err != nil {
		t.Fatal(g.err)
	}
	requireFrame(t, g.conn, query)
}

func TestMissingUserIsRefused(t *testing.T) {
	for _, params := range [][]string{nil, {"database", "shop"}, {"user", ""}} {
		requireFatal(t, greet(t, HandshakeConfig{}, startup(params...)).err, "28000")
	}
}

func TestEncryptionIsDeclinedWithoutTLS(t *testing.T) {
	for name, requests := range map[string][]uint32{
		"SSL": {sslRequest}, "GSS": {gssEncRequest}, "GSS then SSL": {gssEncRequest, sslRequest}, "SSL twice": {sslRequest, sslRequest},
	} {
		var input []byte
		for _, code := range requests {
			input = append(input, packet(code)...)
		}
		g := greet(t, HandshakeConfig{}, input, startup("user", "ann"))
		if g.err != nil || g.startup == nil {
			t.Errorf("%s: error %v", name, g.err)
		}
		if want := strings.Repeat("N", len(requests)); string(g.sent) != want {
			t.Errorf("%s: answered %q, want %q", name, g.sent, want)
		}
	}
}

func TestEndlessEncryptionRequestsAreCutOff(t *testing.T) {
	g := greet(t, HandshakeConfig{}, bytes.Repeat(packet(gssEncRequest), 1000))
	requireFatal(t, g.err, "08P01")
	if len(g.sent) > 4 {
		t.Errorf("%d requests were answered", len(g.sent))
	}
}

func TestCancelRequestIsRead(t *testing.T) {
	request := binary.BigEndian.AppendUint64(packet(cancelRequest), 42<<32|0xfeedbeef)
	request[3] = 16
	for name, input := range map[string][]byte{"alone": request, "after SSLRequest": append(packet(sslRequest), request...)} {
		g := greet(t, HandshakeConfig{TLSRequired: true}, input)
		if g.err != nil || g.startup != nil || g.cancel == nil || *g.cancel != (Cancel{PID: 42, Secret: 0xfeedbeef}) {
			t.Errorf("%s: error %v, cancel %v, start-up %v", name, g.err, g.cancel, g.startup)
		}
	}
	for _, length := range []byte{8, 12, 15, 17, 20} {
		cut := append(bytes.Clone(request), 0, 0, 0, 0)[:length]
		cut[3] = length
		if g := greet(t, HandshakeConfig{}, cut); !errors.Is(g.err, ErrProbe) || g.cancel != nil {
			t.Errorf("cancel request of %d bytes: error %v, cancel %v", length, g.err, g.cancel)
		}
	}
}

func TestClosedConnectionIsAProbe(t *testing.T) {
	for _, input := range []string{"", "\x00", "\x00\x00\x00"} {
		if g := greet(t, HandshakeConfig{}, []byte(input)); !errors.Is(g.err, ErrProbe) {
			t.Errorf("%q: error is %v", input, g.err)
		}
	}
}

func TestTruncatedStartupIsABrokenConnection(t *testing.T) {
	whole := startup("user", "ann")
	for cut := 4; cut < len(whole); cut++ {
		var broken *IOError
		if g := greet(t, HandshakeConfig{}, whole[:cut]); !errors.As(g.err, &broken) || broken.Side != ClientSide {
			t.Errorf("cut after %d bytes: error is %v", cut, g.err)
		}
	}
}

func TestImpossibleLengthsAreRefusedUnread(t *testing.T) {
	for _, length := range []uint32{0, 1, 4, 7, maxStartupPacket + 1, 1 << 30, 1 << 31, 0xffffffff} {
		got := allocated(func() {
			requireFatal(t, greet(t, HandshakeConfig{}, binary.BigEndian.AppendUint32(nil, length), make([]byte, 100)).err, "08P01")
		})
		if got > 16<<10 {
			t.Errorf("length %#x allocated %d bytes", length, got)
		}
	}
	big := startup("user", "ann", "application_name", strings.Repeat("x", maxStartupPacket-60))
	if g := greet(t, HandshakeConfig{}, big); g.err != nil {
		t.Errorf("start-up of %d bytes: %v", len(big), g.err)
	}
}

func TestMalformedLayoutIsRefused(t *testing.T) {
	whole := startup("user", "ann")
	relength := func(b []byte) []byte {
		binary.BigEndian.PutUint32(b, uint32(len(b)))
		return b
	}
	for name, input := range map[string][]byte{
		"no terminator":         relength(bytes.Clone(whole[:len(whole)-1])),
		"bytes after it":        relength(append(bytes.Clone(whole), "x"...)),
		"value without its end": relength(bytes.Clone(whole[:len(whole)-2])),
		"name without a value":  packet(protocolMajor3, "user"),
		"no parameters":         packet(protocolMajor3),
	} {
		if g := greet(t, HandshakeConfig{}, input); g.err == nil {
			t.Errorf("%s: accepted as %+v", name, g.startup)
		} else {
			requireFatal(t, g.err, "08P01")
		}
	}
}

func TestOtherProtocolsAreRefused(t *testing.T) {
	for _, version := range []uint32{2 << 16, 1 << 16, 4 << 16, 0, 1234<<16 | 5677, 0xffffffff} {
		told := requireFatal(t, greet(t, HandshakeConfig{}, packet(version, "user", "ann", "")).err, "0A000")
		if !strings.HasPrefix(told.Message, "unsupported frontend protocol ") {
			t.Errorf("message is %q", told.Message)
		}
	}
}

func TestNewerMinorVersionsAndOptionsAreNegotiated(t *testing.T) {
	for _, test := range []struct {
		version uint32
		params  []string
		want    string
	}{
		{3<<16 | 2, []string{"user", "ann"}, "v\x00\x00\x00\x0c\x00\x03\x00\x00\x00\x00\x00\x00"},
		{3<<16 | 9999, []string{"user", "ann"}, "v\x00\x00\x00\x0c\x00\x03\x00\x00\x00\x00\x00\x00"},
		{3 << 16, []string{"user", "ann", "_pq_.x", "1"}, "v\x00\x00\x00\x13\x00\x03\x00\x00\x00\x00\x00\x01_pq_.x\x00"},
		{
			3<<16 | 2, []string{"_pq_.one", "", "user", "ann", "_pq_.two", "2"},
			"v\x00\x00\x00\x1e\x00\x03\x00\x00\x00\x00\x00\x02_pq_.one\x00_pq_.two\x00",
		},
	} {
		g := greet(t, HandshakeConfig{}, packet(test.version, append(test.params, "")...))
		if g.err != nil || g.startup.User != "ann" || len(g.startup.Params) != 0 {
			t.Errorf("version %#x %q: error %v, start-up %+v", test.version, test.params, g.err, g.startup)
		}
		if string(g.sent) != test.want {
			t.Errorf("version %#x %q: answered %q, want %q", test.version, test.params, g.sent, test.want)
		}
	}
}

func TestOptionsAreTakenApart(t *testing.T) {
	for options, want := range map[string][]Param{
		"":                                   nil,
		"  ":                                 nil,
		"-c geqo=off":                        {{"geqo", "off"}},
		"-cgeqo=off --work-mem=4MB":          {{"geqo", "off"}, {"work_mem", "4MB"}},
		"-c\tgeqo=off\n\r-c  a.b=":           {{"geqo", "off"}, {"a.b", ""}},
		`-c application_name=two\ words`:     {{"application_name", "two words"}},
		`-c search_path=a,\ b\\c -c x=\=y`:   {{"search_path", `a, b\c`}, {"x", "=y"}},
		`--application_name=a\	b\\ -c z=1=2`: {{"application_name", "a\tb\\"}, {"z", "1=2"}},
	} {
		g := greet(t, HandshakeConfig{}, startup("user", "ann", "options", options, "datestyle", "ISO"))
		want = append(slices.Clone(want), Param{"datestyle", "ISO"})
		if g.err != nil || !slices.Equal(g.startup.Params, want) {
			t.Errorf("options %q: error %v, parameters %v, want %v", options, g.err, g.startup, want)
		}
	}
	for options, code := range map[string]string{
		"-c": "42601", "-c geqo": "42601", "--geqo": "42601", "-c =1": "42601", "-d 3": "0A000", "-e": "0A000", "geqo=off": "0A000", "--": "42601",
	} {
		requireFatal(t, greet(t, HandshakeConfig{}, startup("user", "ann", "options", options)).err, code)
	}
}

func TestReplicationConnectionsAreRefused(t *testing.T) {
	for value, refused := range map[string]bool{"database": true, "true": true, "on": true, "1": true, "x": true, "false": false, "OFF": false, "0": false, "no": false} {
		g := greet(t, HandshakeConfig{}, startup("user", "ann", "replication", value))
		if refused {
			requireFatal(t, g.err, "0A000")
		} else if g.err != nil {
			t.Errorf("replication=%s: %v", value, g.err)
		}
	}
}
