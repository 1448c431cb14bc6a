package proxy

import (
	"context"
	"sort"
	"sync/atomic"
	"time"

	"github.com/pgring/pgring/limits"
	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/router"
)

// totals counts since the start of the process.
type totals struct {
	logins, loginFailures, cancels                  atomic.Int64
	queries, transactions, errors                   atomic.Int64
	queryNanos                                      atomic.Int64
	one, home, reference, gather, pull, wide, split atomic.Int64
	received, sent                                  atomic.Int64 // of sessions that have ended
	overRate, overLine, overKey, overShard          atomic.Int64 // statements refused by a limit
	batches, batched                                atomic.Int64 // transactions that INSERTs have shared, and those INSERTs
	repeated                                        atomic.Int64 // statements sent again with a newer map
	resting                                         atomic.Int64 // sessions, now
}

// Stats are the server's counters since it started.
type Stats struct {
	Sessions      int
	Resting       int64 // of them, those that have been idle for so long that they hold no stack
	Logins        int64
	LoginFailures int64
	Cancels       int64
	Queries       int64 // statements sent to shards
	Transactions  int64 // transaction blocks, and units outside of them
	Errors        int64 // reported to clients
	Repeated      int64 // statements sent again with a newer map, because a guard had refused them
	QueryTime     time.Duration
	Received      int64                // bytes from clients
	Sent          int64                // bytes to clients
	Plans         map[string]int64     // statements by plan kind
	Limited       map[string]int64     // statements refused, by limit: rate, in_flight, per_key
	Batches       int64                // transactions that INSERTs of several clients have shared
	Batched       int64                // those INSERTs
	InFlight      limits.InFlightStats // zero without limits.max_in_flight
	Shards        []limits.ShardStats  // empty without limits.shed
	Router        router.Stats
}

// Client is one session as SHOW CLIENTS and SHOW QUERIES tell it.
type Client struct {
	ID          uint64
	PID         uint32 // of the cancel key
	User        string
	Database    string
	Application string
	Addr        string
	State       string // active, idle, idle in transaction
	Since       time.Time
	Query       string // the statement that runs or ran last, shortened
	Kind        router.Kind
	Shards      []ring.ShardID // that the session holds connections of
	Began       time.Time      // of that statement
	Queries     int64
	CopiedRows  int64 // between shards, for that statement
	CopiedBytes int64
	Received    int64
	Sent        int64
	TLS         bool
}

// Stats returns the counters.
func (s *Server) Stats() Stats {
	t := &s.totals
	stats := Stats{Logins: t.logins.Load(), LoginFailures: t.loginFailures.Load(), Cancels: t.cancels.Load(), Queries: t.queries.Load(),
		Transactions: t.transactions.Load(), Errors: t.errors.Load(), Repeated: t.repeated.Load(), QueryTime: time.Duration(t.queryNanos.Load()),
		Received: t.received.Load(), Sent: t.sent.Load(), Router: s.router.Stats(),
		Plans: map[string]int64{"one": t.one.Load(), "home": t.home.Load(), "reference": t.reference.Load(), "gather": t.gather.Load(), "pull": t.pull.Load(), "broadcast": t.wide.Load(),
			"split": t.split.Load()}}
	stats.Resting = t.resting.Load()
	stats.Batches, stats.Batched = t.batches.Load(), t.batched.Load()
	stats.Limited = map[string]int64{"rate": t.overRate.Load(), "in_flight": t.overLine.Load(), "per_key": t.overKey.Load(), "shard": t.overShard.Load()}
	if l := s.policy.Load().Limits; l != nil && l.InFlight != nil {
		stats.InFlight = l.InFlight.Stats()
	}
	if l := s.policy.Load().Limits; l != nil && l.Shards != nil {
		stats.Shards = l.Shards.Stats()
	}
	s.each(func(c *session) {
		in, out := c.client.Traffic()
		stats.Sessions++
		stats.Received += in
		stats.Sent += out
	})
	return stats
}

// Clients lists the sessions, oldest first.
func (s *Server) Clients() []Client {
	var all []Client
	s.each(func(c *session) { all = append(all, c.describe()) })
	sort.Slice(all, func(i, j int) bool { return all[i].ID < all[j].ID })
	return all
}

func (c *session) describe() Client {
	in, out := c.client.Traffic()
	c.watch.Lock()
	defer c.watch.Unlock()
	d := Client{ID: c.id, PID: c.pid, User: c.user.Name, Database: c.dbname, Application: c.watch.app, Addr: c.remoteAddr().String(),
		State: c.watch.state, Since: c.since, Query: string(c.watch.query), Kind: c.watch.kind, Queries: c.watch.queries,
		CopiedRows: c.watch.rows.Load(), CopiedBytes: c.watch.bytes.Load(),
		Received: in, Sent: out, TLS: c.tls}
	if c.watch.queries > 0 {
		d.Began = c.srv.topology.At(c.watch.began)
	}
	for _, conn := range c.watch.busy {
		d.Shards = append(d.Shards, conn.Shard())
	}
	return d
}

// Kill ends the session with this id; false means there is none.
func (s *Server) Kill(ctx context.Context, id uint64) bool {
	found := false
	s.each(func(c *session) {
		if c.id == id {
			found = true
			c.kill(ctx)
		}
	})
	return found
}

const shownQuery = 1024 // bytes of a statement that SHOW QUERIES keeps

// record notes what runs, for SHOW QUERIES and the counters. It copies, so that the session's buffers stay its own.
func record[T string | []byte](c *session, text T, plan *router.Plan) {
	now := c.unit.heard
	if c.unit.counted {
		now = c.srv.topology.Elapsed()
	} else {
		c.unit.began, c.unit.counted = now, true
	}
	c.watch.Lock()
	c.watch.state = "active"
	c.watch.query = append(c.watch.query[:0], text[:min(len(text), shownQuery)]...)
	c.watch.kind = plan.Kind
	c.watch.began = now
	c.watch.queries++
	c.watch.Unlock()
	c.watch.rows.Store(0)
	c.watch.bytes.Store(0)
	t := &c.srv.totals
	t.queries.Add(1)
	switch plan.Kind {
	case router.One:
		t.one.Add(1)
	case router.Home:
		t.home.Add(1)
	case router.Reference:
		t.reference.Add(1)
	case router.Gather:
		t.gather.Add(1)
	case router.Pull:
		t.pull.Add(1)
	case router.Broadcast:
		t.wide.Add(1)
	case router.Split, router.Staged:
		t.split.Add(1)
	}
}

// finishStats accounts for the unit that has ended now.
func (c *session) finishStats(now time.Duration) {
	if !c.unit.counted {
		return
	}
	c.unit.counted = false
	took := now - c.unit.began
	c.srv.totals.queryNanos.Add(int64(took))
	if !c.tx.active {
		c.srv.totals.transactions.Add(1)
	}
	if limit := c.policy.SlowQuery; limit > 0 && took >= limit {
		c.logSlow(took)
	}
}

func (c *session) logSlow(took time.Duration) {
	c.watch.Lock()
	query, kind := string(c.watch.query), c.watch.kind
	c.watch.Unlock()
	if !c.policy.LogValues {
		query = router.WithoutLiterals(query)
	}
	c.srv.log.Warn("slow query", "session", c.id, "user", c.user.Name, "took", took, "plan", kind.String(), "query", query)
}

// StepRow renders one step of EXPLAIN ROUTE as text columns.
func StepRow(s *router.Step) [][]byte {
	values := []string{itoa(s.Step), s.Kind, s.Table, s.Key, string(s.Shard), s.SQLSent, s.Reason}
	row := make([][]byte, len(values))
	for i, v := range values {
		row[i] = []byte(v)
	}
	return row
}

// accountTraffic keeps the byte counts of a session that ends.
func (s *Server) accountTraffic(conn *pgwire.Conn) {
	in, out := conn.Traffic()
	s.totals.received.Add(in)
	s.totals.sent.Add(out)
}
