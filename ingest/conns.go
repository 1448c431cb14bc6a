package ingest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgring/pgring/backend"
	"github.com/pgring/pgring/topology"
)

// connsKept bounds the connections of one lane: a client's login with its session's settings needs one.
const connsKept = 4

// patientSQL takes back a client's own limits: they are meant for one who waits for an answer, and would hold up the lane.
const patientSQL = "SET statement_timeout TO 0; SET lock_timeout TO 0; SET idle_in_transaction_session_timeout TO 0"

// conns are the connections of a lane. They belong to its goroutine.
type conns struct {
	lane  *lane
	open  map[string]*laneConn      // by identity
	known map[[sourceSize]byte]bool // sources that the shard has been told of
}

// forRecords returns a connection on which records that go together mean what they meant to the client.
func (c *conns) forRecords(ctx context.Context, batch ...*Record) (*laneConn, error) {
	if err := c.introduce(ctx, batch...); err != nil {
		return nil, err
	}
	r := batch[0]
	var identity strings.Builder
	identity.WriteString(r.User)
	for _, s := range r.Settings {
		identity.WriteString("\x00" + s.Name + "\x00" + s.SQL)
	}
	conn, fresh, err := c.connect(ctx, identity.String(), r.User)
	if err != nil || !fresh {
		return conn, err
	}
	err = conn.adopt(ctx, r.Settings)
	if err == nil {
		err = conn.run(ctx, patientSQL)
	}
	if err != nil {
		c.drop(ctx, conn)
		return nil, err
	}
	return conn, nil
}

// plain returns a connection with the client's login and nothing else.
func (c *conns) plain(ctx context.Context, r *Record) (*laneConn, error) {
	if err := c.introduce(ctx, r); err != nil {
		return nil, err
	}
	conn, _, err := c.connect(ctx, r.User, r.User)
	return conn, err
}

func (c *conns) connect(ctx context.Context, identity, user string) (conn *laneConn, fresh bool, err error) {
	if conn := c.open[identity]; conn != nil {
		if !conn.pg.IsClosed() && conn.pg.TxStatus() == 'I' {
			return conn, false, nil
		}
		c.drop(ctx, conn)
	}
	if len(c.open) >= connsKept {
		c.close(ctx)
	}
	raw, err := c.lane.queue.cfg.Login(ctx, c.lane.shard, user)
	if err != nil {
		return nil, false, err
	}
	conn = &laneConn{Conn: raw, pg: raw.PgConn(), identity: identity}
	if c.open == nil {
		c.open = map[string]*laneConn{}
	}
	c.open[identity] = conn
	return conn, true, nil
}

// adopt gives the session a client's settings, those last that decide who it is: the others are set with the login's rights.
func (c *laneConn) adopt(ctx context.Context, settings []backend.Setting) error {
	var last []backend.Setting
	for _, s := range settings {
		if s.Name == "role" || s.Name == "session_authorization" {
			last = append([]backend.Setting{s}, last...)
			continue
		}
		if err := c.set(ctx, s); err != nil {
			return err
		}
	}
	for _, s := range last {
		if err := c.set(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

func (c *laneConn) set(ctx context.Context, s backend.Setting) error {
	err := c.run(ctx, s.SQL)
	var server *pgconn.PgError
	if errors.As(err, &server) && server.Severity == "ERROR" && isFinal(server.Code) {
		return &refusal{index: -1, code: server.Code, message: fmt.Sprintf("set %s: %s", s.Name, server.Message), detailText: server.Detail}
	}
	return err
}

// introduce tells the shard of the sources of records, with the operator's login.
func (c *conns) introduce(ctx context.Context, batch ...*Record) error {
	for _, r := range batch {
		if err := c.tell(ctx, r.source); err != nil {
			return err
		}
	}
	return nil
}

func (c *conns) tell(ctx context.Context, source [sourceSize]byte) error {
	if c.known[source] {
		return nil
	}
	q := c.lane.queue
	shard, ok := q.cfg.Topology.Current().Shard(c.lane.shard)
	if !ok {
		return fmt.Errorf("shard %s is not known", c.lane.shard)
	}
	conn, err := q.cfg.Dial(ctx, shard)
	if err != nil {
		return err
	}
	defer hangUp(ctx, conn)
	if err := topology.EnsureAsync(ctx, conn); err != nil {
		return err
	}
	sum := sha256.Sum256(source[:])
	if _, err := conn.Exec(ctx, "INSERT INTO pgring.async_sources (source) VALUES ($1) ON CONFLICT DO NOTHING", sum[:]); err != nil {
		return fmt.Errorf("tell shard %s of a source of asynchronous writes: %w", c.lane.shard, err)
	}
	if c.known == nil {
		c.known = map[[sourceSize]byte]bool{}
	}
	c.known[source] = true
	return nil
}

// forget has the shard told of its sources anew.
func (c *conns) forget() { clear(c.known) }

func (c *conns) drop(ctx context.Context, conn *laneConn) {
	delete(c.open, conn.identity)
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = conn.Close(closing) // what it was in the middle of is seen by the next try
}

// close closes all of them.
func (c *conns) close(ctx context.Context) {
	for _, conn := range c.open {
		c.drop(ctx, conn)
	}
}
