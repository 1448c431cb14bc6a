package faultnet

import (
	"errors"
	"net"
	"sync"
	"testing"
	"time"
)

// Direction is one of the two ways through the proxy.
type Direction uint8

// The directions.
const (
	ToServer Direction = iota // what the client sends
	ToClient                  // what the server sends
	directions
)

// Counts are totals since Start.
type Counts struct {
	// Connections is the number of connections accepted, refused ones not included.
	Connections int
	// Open is the number of connections that exist now.
	Open int
	// Bytes counts what was delivered, by Direction; what is held or swallowed is not in it.
	Bytes [2]int64
	// Swallowed counts what Blackhole took, by Direction.
	Swallowed [2]int64
}

// Proxy relays TCP connections to one server. Its faults concern the connections that exist and those to come, unless a
// method says otherwise. All methods may be called at any time.
type Proxy struct {
	listener net.Listener
	target   string
	relays   sync.WaitGroup // the accept loop, and two copies per connection
	rules    [directions]*rule

	mu      sync.Mutex
	links   map[*link]struct{}
	refuse  bool
	closed  bool
	counted int // connections
}

// Start starts a proxy to the address on a free port of 127.0.0.1; it ends with the test.
func Start(t testing.TB, target string) *Proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("start fault proxy: %v", err)
	}
	p := &Proxy{listener: listener, target: target, links: map[*link]struct{}{}}
	for d := range p.rules {
		p.rules[d] = newRule()
	}
	p.relays.Add(1)
	go p.accept()
	t.Cleanup(p.close)
	return p
}

// Addr is the address that clients dial.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Port is the port of Addr.
func (p *Proxy) Port() int { return p.listener.Addr().(*net.TCPAddr).Port }

// Counts returns the totals so far.
func (p *Proxy) Counts() Counts {
	p.mu.Lock()
	counts := Counts{Connections: p.counted, Open: len(p.links)}
	p.mu.Unlock()
	for d, rule := range p.rules {
		counts.Bytes[d], counts.Swallowed[d] = rule.totals()
	}
	return counts
}

// Cut resets every open connection on both sides (RST): what was under way is lost, reads fail with ECONNRESET. New
// connections work.
func (p *Proxy) Cut() {
	for _, l := range p.all() {
		l.abort()
	}
}

// Finish closes every open connection in order on both sides (FIN): both ends read what was delivered, then end of file.
func (p *Proxy) Finish() {
	for _, l := range p.all() {
		l.finish()
	}
}

// Refuse resets new connections at once until Accept; the open ones stay.
func (p *Proxy) Refuse() { p.setRefuse(true) }

// Accept takes new connections again.
func (p *Proxy) Accept() { p.setRefuse(false) }

func (p *Proxy) setRefuse(refuse bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = refuse
}

// Hold keeps back what arrives in a direction; Release delivers it. The sender notices nothing until buffers are full.
func (p *Proxy) Hold(d Direction) {
	p.rules[d].change(func(r *settings) { r.hold, r.passing = true, -1 })
}

// HoldAfter lets n more bytes through in a direction, counted over all connections, and then holds.
func (p *Proxy) HoldAfter(d Direction, n int) {
	p.rules[d].change(func(r *settings) { r.hold, r.passing, r.cut, r.once = false, n, false, false })
}

// CutAfter lets n more bytes through in a direction, counted over all connections, and then resets the connection that
// would deliver the next one.
func (p *Proxy) CutAfter(d Direction, n int) {
	p.rules[d].change(func(r *settings) { r.hold, r.passing, r.cut, r.once = false, n, true, false })
}

// CutOnceAfter is CutAfter for one connection: those that are used after it work.
func (p *Proxy) CutOnceAfter(d Direction, n int) {
	p.rules[d].change(func(r *settings) { r.hold, r.passing, r.cut, r.once = false, n, true, true })
}

// Record keeps what is delivered in a direction, over all connections and one slice for each delivery, until stop is called, which
// returns it. A second Record takes the first one's place.
func (p *Proxy) Record(d Direction) (stop func() [][]byte) { return p.rules[d].record() }

// Release ends Hold, HoldAfter, CutAfter and CutOnceAfter.
func (p *Proxy) Release(d Direction) {
	p.rules[d].change(func(r *settings) { r.hold, r.passing, r.cut, r.once = false, -1, false, false })
}

// Delay waits before each delivery in a direction, so it bounds how often something is delivered, too. Zero ends it.
func (p *Proxy) Delay(d Direction, pause time.Duration) {
	p.rules[d].change(func(r *settings) { r.delay = pause })
}

// Throttle delivers at most so many bytes in a second on each connection. Zero ends it.
func (p *Proxy) Throttle(d Direction, bytesPerSecond int) {
	p.rules[d].change(func(r *settings) { r.rate = bytesPerSecond })
}

// Split delivers in pieces of at most n bytes, each in a TCP segment of its own. Zero ends it.
func (p *Proxy) Split(d Direction, n int) {
	p.rules[d].change(func(r *settings) { r.piece = n })
}

// Blackhole takes what is sent in a direction and delivers none of it: the sender believes it arrived, as with a network
// that drops packets one way. What it took is lost for good, so Pass serves only to let connections be closed in order.
func (p *Proxy) Blackhole(d Direction) {
	p.rules[d].change(func(r *settings) { r.swallow = true })
}

// Pass ends Blackhole for bytes to come.
func (p *Proxy) Pass(d Direction) {
	p.rules[d].change(func(r *settings) { r.swallow = false })
}

// accept takes connections.
// owner: Start, joined by close; ends when the listener is closed.
func (p *Proxy) accept() {
	defer p.relays.Done()
	for {
		client, err := p.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // the client went away between its SYN and now
		}
		p.serve(client.(*net.TCPConn))
	}
}

func (p *Proxy) serve(client *net.TCPConn) {
	p.mu.Lock()
	refuse := p.refuse
	p.mu.Unlock()
	if refuse {
		reset(client)
		return
	}
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		reset(client)
		return
	}
	l := &link{client: client, server: server.(*net.TCPConn), ended: make(chan struct{})}
	if !p.add(l) {
		l.abort()
		return
	}
	go p.relay(l)
}

// add counts the link in, unless the proxy is closed.
func (p *Proxy) add(l *link) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.counted++
	p.links[l] = struct{}{}
	p.relays.Add(1)
	return true
}

// relay runs both directions of a connection.
// owner: accept, joined by close; ends when the connection is closed by either end or by a fault.
func (p *Proxy) relay(l *link) {
	defer p.relays.Done()
	var both sync.WaitGroup
	both.Go(func() { p.rules[ToServer].copy(l, l.server, l.client) })
	p.rules[ToClient].copy(l, l.client, l.server)
	both.Wait()
	l.finish()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.links, l)
}

func (p *Proxy) all() []*link {
	p.mu.Lock()
	defer p.mu.Unlock()
	links := make([]*link, 0, len(p.links))
	for l := range p.links {
		links = append(links, l)
	}
	return links
}

func (p *Proxy) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.listener.Close()
	p.Cut()
	p.relays.Wait()
}
