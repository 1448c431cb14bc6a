package proxy

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pgring/pgring/backend"
	"github.com/pgring/pgring/ids"
	"github.com/pgring/pgring/ingest"
	"github.com/pgring/pgring/limits"
	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/pgwire/poll"
	"github.com/pgring/pgring/router"
	"github.com/pgring/pgring/saga"
	"github.com/pgring/pgring/topology"
)

// Mode says how long a session keeps a backend connection.
type Mode uint8

// The pooling modes, as in pgbouncer.
const (
	TransactionMode Mode = iota // returned when the transaction ends, unless session state pins it
	SessionMode                 // kept until the client leaves
)

// Role says what a user may do on the console.
type Role uint8

// The roles.
const (
	RoleApp   Role = iota // SQL only
	RoleStats             // SQL, and SHOW on the console
	RoleAdmin             // everything
)

func (r Role) String() string {
	switch r {
	case RoleStats:
		return "stats"
	case RoleAdmin:
		return "admin"
	default:
		return "app"
	}
}

// User is one login of clients.
type User struct {
	Name        string
	Verifier    *pgwire.Verifier // nil: nobody can log in as this user
	Database    string           // the database name that clients give; empty: any
	MaxClients  int              // 0: no limit of its own
	Role        Role
	ConsoleOnly bool        // may not use the shards
	CrossShard  *CrossShard // nil: Policy.CrossShard
}

// Policy is all that RELOAD may change: an immutable value.
type Policy struct {
	Users           map[string]*User
	TLS             *tls.Config // nil: no TLS
	TLSRequired     bool
	ClientCert      bool // TLS clients must show a certificate whose common name is the user
	Mode            Mode
	MaxClients      int                           // 0: no limit
	LoginTimeout    time.Duration                 // 0: one minute
	ClientIdle      time.Duration                 // outside transactions; 0: no limit
	TransactionIdle time.Duration                 // inside; 0: no limit
	MessageLimit    int                           // bytes of one message that must be held to be planned; 0: 64 MiB
	PullRows        int64                         // rows of other shards that one statement may copy; 0: 10,000,000
	PullBytes       int64                         // and their bytes; 0: 1 GiB
	RefuseScatter   bool                          // SELECT over several shards is an error
	CrossShard      CrossShard                    // of users without their own
	PrepareAfter    int                           // uses after which a statement is prepared on servers without its client asking; 0: never, less: at once
	SlowQuery       time.Duration                 // 0: off
	LogValues       bool                          // slow queries are logged with their literals
	Limits          *Limits                       // nil: none
	Idempotent      map[topology.Name]Idempotency // nil: no table
	Batches         map[topology.Name]*Batching   // nil: no table
	AppendOnly      map[topology.Name]bool        // nil: no table
}

// Config is what a Server works with.
type Config struct {
	Router   *router.Router // nil means a new one with the default cache
	Topology *topology.Topology
	Pools    *backend.Pools
	Commit   *saga.Coordinator
	Queues   *ingest.Queues // nil: no asynchronous writes
	IDs      *ids.Generator // nil refuses pgring.next_id()
	Policy   Policy
	Engine   *poll.Engine // the one of Pools; nil means a goroutine for each client
	Logger   *slog.Logger
}

// Server accepts clients and runs their sessions.
type Server struct {
	router   *router.Router
	topology *topology.Topology
	pools    *backend.Pools
	commit   *saga.Coordinator
	queues   *ingest.Queues
	permits  permits
	ids      *ids.Generator
	engine   *poll.Engine
	log      *slog.Logger
	policy   atomic.Pointer[Policy]
	consoles map[string]Console
	secret   [32]byte // makes decoy verifiers
	batches  batches
	requests sync.Map // topology.Name → *requestCounts

	translations *translations
	interned     *internTable
	unlike       atomic.Uint64 // statements that are like no other one, so far
	welcomes     *welcomeCache
	totals       totals
	hot          *limits.HotKeys // a sample of the keys of colocation groups
	draining     atomic.Bool     // idle sessions end, and nobody new is let in
	closed       atomic.Bool     // nobody new is let in

	sessions registry
}

// registry holds the live sessions.
type registry struct {
	sync.Mutex
	byPID map[uint32]*session
	users map[string]int
	next  uint64
}

// New checks the configuration and returns a server that listens to nothing yet.
func New(cfg Config) (*Server, error) {
	if cfg.Router == nil {
		cfg.Router = router.New(router.Config{})
	}
	if cfg.Topology == nil || cfg.Pools == nil || cfg.Logger == nil {
		return nil, errors.New("proxy needs a topology, pools and a logger")
	}
	s := &Server{router: cfg.Router, topology: cfg.Topology, pools: cfg.Pools, commit: cfg.Commit, queues: cfg.Queues, ids: cfg.IDs, engine: cfg.Engine, log: cfg.Logger,
		consoles: map[string]Console{}, interned: newInternTable(), translations: newTranslations(cfg.Pools), welcomes: newWelcomeCache(),
		hot: limits.NewHotKeys(hotKeysKept, 0)}
	s.sessions.byPID = map[uint32]*session{}
	s.sessions.users = map[string]int{}
	if _, err := rand.Read(s.secret[:]); err != nil {
		return nil, fmt.Errorf("read random secret: %w", err)
	}
	s.Apply(cfg.Policy)
	return s, nil
}

// Handle gives the database name to a console instead of the shards. It is called before Serve.
func (s *Server) Handle(database string, console Console) { s.consoles[database] = console }

// Refuse lets no new client in from now on. Sessions go on.
func (s *Server) Refuse() { s.closed.Store(true) }

// Apply makes policy the one in force for new logins and for the next unit of each session.
func (s *Server) Apply(policy Policy) {
	if policy.LoginTimeout == 0 {
		policy.LoginTimeout = time.Minute
	}
	if policy.MessageLimit == 0 {
		policy.MessageLimit = 64 << 20
	}
	if policy.PullRows == 0 {
		policy.PullRows = 10_000_000
	}
	if policy.PullBytes == 0 {
		policy.PullBytes = 1 << 30
	}
	s.policy.Store(&policy)
}

// Serve accepts clients until ctx ends or the listener fails, and returns when every session has ended. When ctx ends, idle
// sessions are closed at once and sessions inside a transaction when it ends, or after drain.
func (s *Server) Serve(ctx context.Context, ln net.Listener, drain time.Duration) error {
	// Sessions outlive ctx for as long as draining lasts.
	sessions, kill := context.WithCancel(context.WithoutCancel(ctx))
	defer kill()
	var group sync.WaitGroup
	stop := context.AfterFunc(ctx, func() { _ = ln.Close() })
	defer stop()
	err := s.accept(ctx, sessions, ln, &group)
	s.drain(ctx, &group, drain, kill)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (s *Server) accept(ctx, sessions context.Context, ln net.Listener, group *sync.WaitGroup) error {
	delay := 5 * time.Millisecond
	for {
		nc, err := ln.Accept()
		if err != nil {
			var temporary interface{ Temporary() bool }
			if ctx.Err() == nil && errors.As(err, &temporary) && temporary.Temporary() {
				s.log.Warn("accept client", "error", err)
				if !pause(ctx, delay) {
					return nil
				}
				delay = min(2*delay, time.Second)
				continue
			}
			return fmt.Errorf("accept client: %w", err)
		}
		delay = 5 * time.Millisecond
		group.Add(1)
		v := &visit{srv: s, nc: nc, over: group.Done}
		s.start(func(t *poll.Task) { v.serve(sessions, t) })
	}
}

// start runs a session, as a task if there is an engine.
func (s *Server) start(session func(*poll.Task)) {
	if s.engine != nil {
		s.engine.Start(session)
		return
	}
	// owner: Serve; ends when the client leaves or the server kills it
	go session(nil)
}

func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// drain asks every session to end, again and again since a session may just be between two waits, and kills what is left.
func (s *Server) drain(ctx context.Context, group *sync.WaitGroup, limit time.Duration, kill context.CancelFunc) {
	s.draining.Store(true)
	done := make(chan struct{})
	// owner: drain; ends when all sessions have ended, which kill makes sure of
	go func() {
		group.Wait()
		close(done)
	}()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	deadline := time.Now().Add(limit)
	for {
		s.each(func(c *session) { c.wake() })
		select {
		case <-done:
			return
		case now := <-tick.C:
			if now.After(deadline) {
				kill()
				s.each(func(c *session) { c.kill(ctx) })
				deadline = now.Add(time.Second)
			}
		}
	}
}

// register makes the session known, within the limits on clients.
func (s *Server) register(c *session, policy *Policy) error {
	var key [8]byte
	if _, err := rand.Read(key[:]); err != nil {
		return fmt.Errorf("read random cancel key: %w", err)
	}
	s.sessions.Lock()
	defer s.sessions.Unlock()
	if policy.MaxClients > 0 && len(s.sessions.byPID) >= policy.MaxClients {
		return &pgwire.Error{Code: codeTooManyConnections, Message: "sorry, too many clients already",
			Detail: fmt.Sprintf("limits.max_clients is %d.", policy.MaxClients)}
	}
	if limit := c.user.MaxClients; limit > 0 && s.sessions.users[c.user.Name] >= limit {
		return &pgwire.Error{Code: codeTooManyConnections, Message: fmt.Sprintf("too many connections for user %q", c.user.Name),
			Detail: fmt.Sprintf("max_clients of this user is %d.", limit)}
	}
	pid := binary.BigEndian.Uint32(key[:]) & 0x7fffffff
	for pid == 0 || s.sessions.byPID[pid] != nil {
		pid++
	}
	s.sessions.next++
	c.id, c.pid, c.secret = s.sessions.next, pid, binary.BigEndian.Uint32(key[4:])
	s.sessions.byPID[pid] = c
	s.sessions.users[c.user.Name]++
	return nil
}

func (s *Server) unregister(c *session) {
	s.sessions.Lock()
	defer s.sessions.Unlock()
	delete(s.sessions.byPID, c.pid)
	if s.sessions.users[c.user.Name]--; s.sessions.users[c.user.Name] == 0 {
		delete(s.sessions.users, c.user.Name)
	}
}

// each calls do for every live session, outside the lock.
func (s *Server) each(do func(*session)) {
	s.sessions.Lock()
	all := make([]*session, 0, len(s.sessions.byPID))
	for _, c := range s.sessions.byPID {
		all = append(all, c)
	}
	s.sessions.Unlock()
	for _, c := range all {
		do(c)
	}
}

// cancel carries a CancelRequest to every server on which the session has a statement in flight. A wrong key is ignored, as
// PostgreSQL does.
func (s *Server) cancel(ctx context.Context, request pgwire.Cancel) {
	s.sessions.Lock()
	c := s.sessions.byPID[request.PID]
	s.sessions.Unlock()
	if c == nil || c.secret != request.Secret {
		return
	}
	s.totals.cancels.Add(1)
	ctx, done := context.WithTimeout(ctx, 10*time.Second)
	defer done()
	c.interrupt(ctx)
}
