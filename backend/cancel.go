package backend

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"time"
)

// Codes in the place of a protocol version (PostgreSQL manual, "Message Formats": CancelRequest, SSLRequest).
const (
	codeCancel = 1234<<16 | 5678
	codeTLS    = 1234<<16 | 5679
)

// Cancel asks the server to cancel what the connection is executing, over a socket of its own, and waits until the server has
// closed that one: by then the request has taken effect or come too late. It may be called by any goroutine while the
// connection is lent out, and does nothing when it is not. Release waits for it.
func (c *Conn) Cancel(ctx context.Context) error {
	if !c.cancels.begin() {
		return nil
	}
	defer c.cancels.end()
	ctx, stop := context.WithTimeout(ctx, c.origin.target.ConnectTimeout)
	defer stop()
	if err := c.sendCancel(ctx); err != nil {
		return fmt.Errorf("cancel on %s: %w", c.Shard(), err)
	}
	return nil
}

// sendCancel goes to the address that the connection has reached, since a name may stand for several servers. If it cannot tell
// whether the request has been dealt with, the connection is not reused.
func (c *Conn) sendCancel(ctx context.Context) error {
	remote := c.wire.Net().RemoteAddr()
	var dialer net.Dialer
	nc, err := dialer.DialContext(ctx, remote.Network(), remote.String())
	if err != nil {
		return err
	}
	defer nc.Close()
	stop := context.AfterFunc(ctx, func() { _ = nc.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	over, err := c.encrypt(ctx, nc)
	if err != nil {
		return err
	}
	request := binary.BigEndian.AppendUint32(nil, uint32(12+len(c.secret)))
	request = binary.BigEndian.AppendUint32(request, codeCancel)
	request = binary.BigEndian.AppendUint32(request, c.pid)
	request = append(request, c.secret...)
	if _, err := over.Write(request); err != nil {
		c.cancels.doubtful.Store(true)
		return err
	}
	if _, err := io.Copy(io.Discard, nc); err != nil && !isReset(err) {
		c.cancels.doubtful.Store(true)
		return fmt.Errorf("wait for the server: %w", err)
	}
	return nil
}

// encrypt asks for TLS if the connection to be cancelled uses it.
func (c *Conn) encrypt(ctx context.Context, nc net.Conn) (net.Conn, error) {
	if c.origin.target.TLS == nil {
		return nc, nil
	}
	request := binary.BigEndian.AppendUint32([]byte{0, 0, 0, 8}, codeTLS)
	if _, err := nc.Write(request); err != nil {
		return nil, err
	}
	var answer [1]byte
	if _, err := io.ReadFull(nc, answer[:]); err != nil {
		return nil, err
	}
	if answer[0] != 'S' {
		return nil, errors.New("server refused TLS")
	}
	over := tls.Client(nc, c.origin.target.TLS)
	return over, over.HandshakeContext(ctx)
}

// isReset reports whether the server closed the socket without waiting for a farewell.
func isReset(err error) bool { return errors.Is(err, syscall.ECONNRESET) }

// cancels counts the cancels under way. Invariant: while a cancel is under way, the connection does not change hands.
type cancels struct {
	state    atomic.Int32 // cancels under way; notLent while nobody owns the connection
	settled  chan struct{}
	doubtful atomic.Bool // one may still arrive
}

const notLent = -1

// lend allows cancels; the connection has an owner.
func (g *cancels) lend() { g.state.Store(0) }

// begin reports whether a cancel may be sent; end must follow.
func (g *cancels) begin() bool {
	for {
		n := g.state.Load()
		if n == notLent {
			return false
		}
		if g.state.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (g *cancels) end() {
	if g.state.Add(-1) == 0 {
		select {
		case g.settled <- struct{}{}:
		default:
		}
	}
}

// settle waits for the cancels under way and allows no more. It reports false if there is no owner to take the connection from.
func (g *cancels) settle() bool {
	for !g.state.CompareAndSwap(0, notLent) {
		if g.state.Load() == notLent {
			return false
		}
		<-g.settled
	}
	return true
}
