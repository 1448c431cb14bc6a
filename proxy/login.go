package proxy

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/pgring/pgring/backend"
	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/pgwire/poll"
	"github.com/pgring/pgring/router"
)

// login authenticates the client and returns its session, which is to be run. A client of the console is served to the end, without a
// session to be run. An error has not been told to the client yet.
func (s *Server) login(ctx context.Context, t *poll.Task, conn *pgwire.Conn, start *pgwire.Startup, policy *Policy) (*session, error) {
	if s.draining.Load() || s.closed.Load() {
		return nil, fatal(codeCannotConnectNow, "the proxy is shutting down")
	}
	user, err := s.authenticate(conn, start, policy)
	if err != nil {
		return nil, err
	}
	console := s.consoles[start.Database]
	if console == nil && user.ConsoleOnly {
		return nil, &pgwire.Error{Code: "42501", Message: fmt.Sprintf("user %q may only use the console", user.Name),
			Hint: "Connect to database \"pgring\", or set auth.users[].database."}
	}
	if console == nil && user.Database != "" && user.Database != start.Database {
		return nil, fatal(codeInvalidCatalog, fmt.Sprintf("database %q does not exist", start.Database))
	}
	if console != nil && user.Role == RoleApp {
		return nil, &pgwire.Error{Code: "42501", Message: fmt.Sprintf("user %q may not use the console", user.Name),
			Hint: "Give the user role stats or admin."}
	}
	if err := conn.Net().SetDeadline(time.Time{}); err != nil {
		return nil, err
	}
	if console == nil {
		if err := conn.Engage(s.engine); err != nil {
			return nil, err
		}
	}
	c := newSession(s, conn, user, start)
	if conn.Engaged() {
		c.task = t
		conn.Attend(c.task)
	}
	if err := s.register(c, policy); err != nil {
		return nil, err
	}
	s.totals.logins.Add(1)
	if console != nil {
		defer s.unregister(c)
		return nil, c.runConsole(ctx, console)
	}
	return c, nil
}

func (s *Server) authenticate(conn *pgwire.Conn, start *pgwire.Startup, policy *Policy) (*User, error) {
	user := policy.Users[start.User]
	verifier := pgwire.Decoy(start.User, s.secret[:])
	if user != nil && user.Verifier != nil {
		verifier = user.Verifier
	}
	refused := fatal(codeInvalidAuth, fmt.Sprintf("password authentication failed for user %q", start.User))
	if policy.ClientCert && start.TLS != nil {
		if len(start.TLS.PeerCertificates) == 0 || start.TLS.PeerCertificates[0].Subject.CommonName != start.User {
			return nil, fatal("28000", fmt.Sprintf("certificate authentication failed for user %q", start.User))
		}
	}
	err := pgwire.Authenticate(conn, verifier, policy.TLS)
	if errors.Is(err, pgwire.ErrAuthentication) || (err == nil && user == nil) {
		s.totals.loginFailures.Add(1)
		return nil, refused
	}
	if err != nil {
		return nil, err
	}
	return user, nil
}

// welcome is what a new client with certain start-up parameters is told, and the session state it begins with.
type welcome struct {
	parameters []byte // ParameterStatus frames
	state      state
}

// welcomeCache remembers welcomes, since clients of one application all begin alike.
type welcomeCache struct {
	sync.Mutex
	known map[string]*welcome
	envs  map[string]*router.Env
}

const maxWelcomes = 1000

func newWelcomeCache() *welcomeCache {
	return &welcomeCache{known: map[string]*welcome{}, envs: map[string]*router.Env{}}
}

func (w *welcomeCache) get(key string) *welcome {
	w.Lock()
	defer w.Unlock()
	return w.known[key]
}

func (w *welcomeCache) put(key string, value *welcome) {
	w.Lock()
	defer w.Unlock()
	if len(w.known) >= maxWelcomes {
		clear(w.known)
	}
	w.known[key] = value
}

// env returns the router's environment for a search_path and whether the client's encoding differs from the servers'; equal ones
// share one, and with it the plan cache.
func (w *welcomeCache) env(path []string, foreign bool) *router.Env {
	key := strings.Join(path, "\x00")
	if foreign {
		key += "\x01"
	}
	w.Lock()
	defer w.Unlock()
	env := w.envs[key]
	if env == nil {
		if len(w.envs) >= maxWelcomes {
			clear(w.envs)
		}
		env = router.NewEnv(path).WithForeignEncoding(foreign)
		w.envs[key] = env
	}
	return env
}

// greet finds out what to tell the client, by setting its start-up parameters on a server the first time such a client comes.
func (c *session) greet(ctx context.Context, params []pgwire.Param) (*welcome, error) {
	params, own, err := splitOwn(params, ownDefaults(c.crossShard()))
	if err != nil {
		return nil, err
	}
	known, err := c.welcome(ctx, params)
	if err != nil {
		return nil, err
	}
	hello := *known
	hello.state.own = own
	return &hello, nil
}

// crossShard is the configuration of writes to several shards for the session's user.
func (c *session) crossShard() *CrossShard {
	if c.user.CrossShard != nil {
		return c.user.CrossShard
	}
	return &c.policy.CrossShard
}

// welcome is greet for the parameters that servers know.
func (c *session) welcome(ctx context.Context, params []pgwire.Param) (*welcome, error) {
	var key strings.Builder
	key.WriteString(c.user.Name + "\x00" + strconv.FormatInt(c.snap.Schema, 10))
	for _, p := range params {
		key.WriteString("\x00" + p.Name + "\x00" + p.Value)
	}
	if known := c.srv.welcomes.get(key.String()); known != nil {
		return known, nil
	}
	settings := make([]backend.Setting, 0, len(params))
	for _, p := range params {
		if err := router.CheckParameter(p.Name, p.Value); err != nil {
			return nil, err
		}
		name := strings.ToLower(p.Name)
		settings = append(settings, backend.Setting{Name: name, SQL: setConfigSQL(name, p.Value)})
	}
	fresh, err := c.probe(ctx, backend.NewSettings(settings), settings)
	if err != nil {
		return nil, err
	}
	c.srv.welcomes.put(key.String(), fresh)
	return fresh, nil
}

// setConfigSQL gives a start-up parameter its value exactly as the server would at connection start: set_config takes the text
// of the value, where SET takes SQL.
func setConfigSQL(name, value string) string {
	return configSQL(router.Setting{Name: name, Text: value})
}

// probe applies the settings on a server and reads back what the client must know.
func (c *session) probe(ctx context.Context, baseline *backend.Settings, settings []backend.Setting) (*welcome, error) {
	conn, err := c.acquireAny(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Release()
	parameters := conn.Parameters()
	for _, set := range settings {
		out, err := runText(conn, set.SQL)
		if err != nil {
			conn.ForgetSettings()
			return nil, err
		}
		for name, value := range out.parameters {
			parameters[name] = value
		}
	}
	conn.RecordSettings(baseline)
	env, err := c.readEnv(func(sql string) (outcome, error) { return runText(conn, sql) })
	if err != nil {
		return nil, err
	}
	w := &welcome{state: state{settings: baseline, env: env}}
	for name, value := range parameters {
		w.parameters = pgwire.AppendParameterStatus(w.parameters, name, value)
	}
	return w, nil
}

// acquireAny returns a connection with default settings to the home shard, or to any other while that one is down.
func (c *session) acquireAny(ctx context.Context) (*backend.Conn, error) {
	conn, err := c.srv.pools.AcquireFor(ctx, c.snap.Home, c.user.Name, nil)
	var down *backend.UnavailableError
	if !errors.As(err, &down) {
		return conn, err
	}
	for _, shard := range c.snap.Shards {
		if other, err := c.srv.pools.AcquireFor(ctx, shard.ID, c.user.Name, nil); err == nil {
			return other, nil
		}
	}
	return nil, err
}

func quoteLiteral(s string) string {
	quoted := "'" + strings.ReplaceAll(s, "'", "''") + "'"
	if strings.Contains(s, `\`) {
		return "E" + strings.ReplaceAll(quoted, `\`, `\\`)
	}
	return quoted
}
