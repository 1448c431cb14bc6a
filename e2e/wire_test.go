package e2e

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/xdg-go/scram"
)

// wireClient speaks the protocol message by message, and so cheaply that a test can have thousands of them: all of them share
// the key that SCRAM derives from the password.
type wireClient struct {
	net.Conn
	*pgproto3.Frontend
}

// wireLogin makes logins of one user.
type wireLogin struct {
	address  string
	database string
	derived  *scram.Client
	mu       sync.Mutex // derived caches keys, but several goroutines would derive the first one each
	warm     bool
}

func (p *pgring) wireLogin(t testing.TB) *wireLogin {
	t.Helper()
	derived, err := scram.SHA256.NewClient(appLogin, appSecret, "")
	must(t, err)
	return &wireLogin{address: fmt.Sprintf("127.0.0.1:%d", p.port), database: database, derived: derived}
}

// connect dials and logs in.
func (l *wireLogin) connect() (*wireClient, error) {
	conn, err := net.DialTimeout("tcp", l.address, patience)
	if err != nil {
		return nil, err
	}
	client, err := l.over(conn)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return client, nil
}

// over logs in on a connection.
func (l *wireLogin) over(conn net.Conn) (*wireClient, error) {
	if err := conn.SetDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		return nil, err
	}
	c := &wireClient{Conn: conn, Frontend: pgproto3.NewFrontend(conn, conn)}
	c.Send(&pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersion30, Parameters: map[string]string{"user": appLogin, "database": l.database}})
	if err := c.Flush(); err != nil {
		return nil, err
	}
	if err := l.authenticate(c); err != nil {
		return nil, fmt.Errorf("log in: %w", err)
	}
	return c, c.awaitReady()
}

func (l *wireLogin) authenticate(c *wireClient) error {
	l.mu.Lock()
	if l.warm {
		l.mu.Unlock()
	} else {
		l.warm = true
		defer l.mu.Unlock()
	}
	talk := l.derived.NewConversation()
	for {
		message, err := c.Receive()
		if err != nil {
			return err
		}
		switch m := message.(type) {
		case *pgproto3.AuthenticationSASL:
			first, err := talk.Step("")
			if err != nil {
				return err
			}
			c.Send(&pgproto3.SASLInitialResponse{AuthMechanism: "SCRAM-SHA-256", Data: []byte(first)})
		case *pgproto3.AuthenticationSASLContinue:
			proof, err := talk.Step(string(m.Data))
			if err != nil {
				return err
			}
			c.Send(&pgproto3.SASLResponse{Data: []byte(proof)})
		case *pgproto3.AuthenticationSASLFinal:
			if _, err := talk.Step(string(m.Data)); err != nil {
				return err
			}
		case *pgproto3.AuthenticationOk:
			return nil
		case *pgproto3.ErrorResponse:
			return pgError(m)
		default:
			return fmt.Errorf("unexpected %T", m)
		}
		if err := c.Flush(); err != nil {
			return err
		}
	}
}

// wireError is an ErrorResponse.
type wireError struct{ code, severity, message string }

func (e *wireError) Error() string { return e.severity + " " + e.code + ": " + e.message }

func pgError(m *pgproto3.ErrorResponse) error {
	return &wireError{code: m.Code, severity: m.Severity, message: m.Message}
}

// awaitReady reads up to ReadyForQuery and returns the first error on the way.
func (c *wireClient) awaitReady() error {
	var first error
	for {
		message, err := c.Receive()
		if err != nil {
			return errors.Join(first, err)
		}
		switch m := message.(type) {
		case *pgproto3.ErrorResponse:
			if first == nil {
				first = pgError(m)
			}
		case *pgproto3.ReadyForQuery:
			return first
		}
	}
}

// query runs one simple query message.
func (c *wireClient) query(sql string) error {
	c.Send(&pgproto3.Query{String: sql})
	if err := c.Flush(); err != nil {
		return err
	}
	return c.awaitReady()
}

// prepared runs one statement in the extended protocol, with text parameters.
func (c *wireClient) prepared(sql string, values ...string) error {
	parameters := make([][]byte, len(values))
	for i, v := range values {
		parameters[i] = []byte(v)
	}
	c.Send(&pgproto3.Parse{Query: sql})
	c.Send(&pgproto3.Bind{Parameters: parameters})
	c.Send(&pgproto3.Describe{ObjectType: 'P'})
	c.Send(&pgproto3.Execute{})
	c.Send(&pgproto3.Sync{})
	if err := c.Flush(); err != nil {
		return err
	}
	return c.awaitReady()
}
