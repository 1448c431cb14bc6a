package faultnet

import (
	"net"
	"sync"
)

// link is one connection through the proxy: two sockets that end together.
type link struct {
	client, server *net.TCPConn
	end            sync.Once
	ended          chan struct{} // closed by finish and abort; wakes what is held
}

// finish closes both sockets in order.
func (l *link) finish() {
	l.end.Do(func() {
		close(l.ended)
		l.client.Close()
		l.server.Close()
	})
}

// abort resets both sockets.
func (l *link) abort() {
	l.end.Do(func() {
		close(l.ended)
		reset(l.client)
		reset(l.server)
	})
}

// reset closes a socket with RST instead of FIN.
func reset(conn *net.TCPConn) {
	// An error means that the peer was faster; the socket is closed either way.
	_ = conn.SetLinger(0)
	conn.Close()
}
