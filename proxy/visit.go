package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"time"

	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/pgwire/poll"
)

// visit is one connection from its first byte to its last. A session that has had nothing to do for a while gives its stack back, and
// goes on later on another one: visit and session are all that is kept of an idle client.
type visit struct {
	srv     *Server
	nc      net.Conn     // as it was accepted; nil once conn has it
	conn    *pgwire.Conn // nil before the handshake
	session *session     // nil until the client is let in
	over    func()       // tells the server that the visit has ended
}

// errResting is what a session returns that has nothing to do. It ends the stack, not the session.
var errResting = errors.New("the session rests")

// serve runs the connection until it ends or rests.
func (v *visit) serve(ctx context.Context, t *poll.Task) {
	rests := false
	defer func() {
		if p := recover(); p != nil {
			v.srv.log.Error("connection ended by a bug", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		}
		if rests {
			v.conn.Rest(t, func(t *poll.Task) { v.serve(ctx, t) })
			return
		}
		v.close()
		v.over()
	}()
	var err error
	if v.session == nil {
		err = v.enter(ctx, t)
	}
	if v.session != nil {
		err = v.session.run(ctx)
	}
	rests = errors.Is(err, errResting)
	if err != nil && !rests {
		farewell(v.conn, err)
	}
}

func (v *visit) close() {
	if v.conn == nil {
		_ = v.nc.Close()
		return
	}
	_ = v.conn.Close() // whatever was not written is lost anyway
}

// enter lets the client in, within the time for that. With neither a session nor an error there is nothing left to be done.
func (v *visit) enter(ctx context.Context, t *poll.Task) error {
	s, policy := v.srv, v.srv.policy.Load()
	if v.nc.SetDeadline(time.Now().Add(policy.LoginTimeout)) != nil {
		return nil // it is closed already
	}
	handshake, cancel := context.WithTimeout(ctx, policy.LoginTimeout)
	conn, start, request, err := pgwire.Handshake(handshake, v.nc, pgwire.HandshakeConfig{TLS: policy.TLS, TLSRequired: policy.TLSRequired})
	cancel()
	v.nc, v.conn = nil, conn
	switch {
	case request != nil:
		s.cancel(ctx, *request)
		return nil
	case err != nil:
		return err
	}
	if v.session, err = s.login(ctx, t, conn, start, policy); err != nil {
		s.log.Debug("login refused", "user", start.User, "error", err)
	}
	return err
}

// farewell tells the client why the connection ends, if it is still there and there is something to tell.
func farewell(c *pgwire.Conn, err error) {
	var io *pgwire.IOError
	if errors.As(err, &io) || errors.Is(err, pgwire.ErrProbe) {
		return
	}
	e := *toWire(err)
	e.Severity = "FATAL"
	if c.Write(pgwire.AppendError(nil, &e)) == nil {
		_ = c.Flush()
	}
}
