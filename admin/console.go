package admin

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/proxy"
	"github.com/pgring/pgring/topology"
)

// Names are the databases under which clients reach the console; the second is for tools that know pgbouncer.
func Names() []string { return []string{"pgring", "pgbouncer"} }

// showTimeout bounds how long a SHOW waits for servers.
const showTimeout = 1500 * time.Millisecond

// Console answers commands and serves the HTTP endpoints. It implements proxy.Console.
type Console struct {
	cfg      Config
	started  time.Time
	commands []command
	averages averages
	sizes    sizes
	metrics  *prometheus.Registry
	took     *prometheus.HistogramVec // by command
}

// New checks the configuration and returns a console, to be given to Server.Handle under each of Names.
func New(cfg Config) (*Console, error) {
	if err := cfg.normalize(); err != nil {
		return nil, err
	}
	c := &Console{cfg: cfg, started: time.Now(), commands: commandTable()}
	c.sizes.operator = cfg.Operator
	c.sizes.turn = make(chan struct{}, 1)
	if err := c.openMetrics(); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	return c, nil
}

// Run takes the samples that averages are made of, until ctx ends. Without it they count since the start.
func (c *Console) Run(ctx context.Context) error {
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	for {
		c.averages.add(c.sample(time.Now()))
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// Fields implements proxy.Console.
func (c *Console) Fields(sql string) []pgwire.Field {
	in, err := c.parse(sql)
	if err != nil || in.columns == nil {
		return nil
	}
	return fieldsOf(in.columns)
}

// Answer implements proxy.Console.
func (c *Console) Answer(ctx context.Context, caller proxy.Caller, sql string) (*proxy.Answer, error) {
	in, err := c.parse(sql)
	if err != nil {
		return nil, err
	}
	if in.command == nil {
		return in.noise.answer(caller, c.cfg.Version), nil
	}
	if caller.Role < in.command.role {
		return nil, &pgwire.Error{Code: codePrivilege, Message: fmt.Sprintf("user %q may not use %s", caller.User, in.command.name),
			Detail: fmt.Sprintf("The user has role %s; the command needs role %s.", caller.Role, in.command.role),
			Hint:   "SHOW, HELP, ROUTE and SAGA VERIFY are open to role stats. For the others connect as a user with role admin (SHOW USERS)."}
	}
	began := time.Now()
	out, err := in.command.run(c, ctx, in)
	if c.took != nil {
		c.took.WithLabelValues(in.command.name).Observe(time.Since(began).Seconds())
	}
	if err != nil {
		return nil, withSyntax(err, in.command)
	}
	if in.command.role == proxy.RoleAdmin {
		c.cfg.Logger.Info("console command", "user", caller.User, "command", in.command.name)
	}
	return in.answer(out), nil
}

// answer puts what a command returned into the form that the client gets.
func (in *input) answer(out *outcome) *proxy.Answer {
	a := &proxy.Answer{Tag: in.command.tag(), Notices: out.notices}
	if in.columns != nil {
		a.Fields = fieldsOf(in.columns)
		a.Rows = encode(in.filter.apply(out.rows))
	}
	return a
}

// snapshot returns the present map.
func (c *Console) snapshot() (*topology.Snapshot, error) {
	if snap := c.cfg.Topology.Current(); snap != nil {
		return snap, nil
	}
	return nil, topologyError(topology.ErrNotStarted)
}

// setting returns the value of a configuration key; empty when there is none.
func (c *Console) setting(key string) string {
	for _, s := range c.cfg.Settings() {
		if s.Key == key {
			return s.Value
		}
	}
	return ""
}
