package node

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"

	"github.com/pgring/pgring/backend"
	"github.com/pgring/pgring/cmd/pgring/internal/config"
	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/proxy"
	"github.com/pgring/pgring/rebalance"
	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

// wish is what the file asks of the topology.
func wish(cfg *config.Config) topology.Wish {
	w := topology.Wish{Home: ring.ShardID(cfg.HomeShard()), Ring: ring.Config{VirtualNodes: cfg.Ring.VirtualNodes, LoadBound: cfg.Ring.LoadBound}}
	for _, s := range cfg.Shards {
		shard := topology.Shard{ID: ring.ShardID(s.Name), Host: s.Host, Port: s.Port, Weight: s.Weight, State: topology.ParseShardState(string(s.State))}
		if s.Weight == 0 {
			shard.Weight = topology.NoSlots
		}
		w.Shards = append(w.Shards, shard)
	}
	layouts := map[string]topology.Layout{}
	for _, g := range cfg.Groups() {
		layouts[g.Name] = layout(g)
	}
	for _, t := range cfg.Tables {
		w.Tables = append(w.Tables, tableWish(cfg, t, layouts[cfg.GroupOf(t)]))
	}
	return w
}

// throttle is what the file says of copies.
func throttle(t config.Throttle) rebalance.Throttle {
	bounds := rebalance.Throttle{Bytes: int64(t.Bytes), Active: t.Active, Lag: t.Lag.Std()}
	if t.Rows.Events > 0 && t.Rows.Per > 0 {
		bounds.Rows = max(int64(float64(t.Rows.Events)/t.Rows.Per.Seconds()), 1)
	}
	return bounds
}

func tableWish(cfg *config.Config, t config.Table, layout topology.Layout) topology.TableWish {
	name := topology.Name{Schema: string(t.Name.Schema), Table: string(t.Name.Table)}
	switch t.Strategy {
	case config.StrategyReference:
		return topology.TableWish{Name: name, Kind: topology.Reference}
	case config.StrategyHome:
		return topology.TableWish{Name: name, Kind: topology.Home, Shard: ring.ShardID(t.Shard)}
	}
	w := topology.TableWish{Name: name, Kind: topology.Sharded, Strategy: topology.ParseStrategy(string(t.Strategy)),
		Colocate: cfg.GroupOf(t), Layout: layout}
	for _, column := range t.ShardKey {
		w.Key = append(w.Key, string(column))
	}
	return w
}

func layout(g config.Group) topology.Layout {
	l := topology.Layout{Default: ring.ShardID(g.Default)}
	for _, r := range g.Ranges {
		bound := topology.Bound{Shard: ring.ShardID(r.Shard)}
		if r.From != config.MinBound {
			bound.From = &r.From
		}
		l.Ranges = append(l.Ranges, bound)
	}
	byShard := map[string]int{}
	for _, v := range g.Values {
		i, ok := byShard[v.Shard]
		if !ok {
			i = len(l.Lists)
			byShard[v.Shard] = i
			l.Lists = append(l.Lists, topology.Listed{Shard: ring.ShardID(v.Shard)})
		}
		l.Lists[i].Values = append(l.Lists[i].Values, v.Value)
	}
	return l
}

// target is how to reach one shard. Address comes from the topology, which knows shards that the file does not.
func target(cfg *config.Config, shard topology.Shard) (backend.Target, error) {
	entry, ok := cfg.Shard(string(shard.ID))
	if !ok {
		entry = config.ShardDefaults()
		entry.Name = string(shard.ID)
	}
	entry.Host, entry.Port = shard.Host, shard.Port
	b := cfg.BackendOf(entry)
	t := backend.Target{Shard: shard.ID, Host: shard.Host, Port: shard.Port, ConnectTimeout: b.ConnectTimeout.Std(),
		Login: login(b.User, b.Password, b.Database), Operator: login(b.Operator.User, b.Operator.Password, b.Database),
		Logins: map[string]backend.Login{}}
	for _, u := range cfg.Auth.Users {
		if !u.Backend.IsZero() {
			t.Logins[u.Name] = login(u.Backend.User, u.Backend.Password, b.Database)
		}
	}
	var err error
	t.TLS, err = serverTLS(b.TLS)
	return t, err
}

func login(user string, password config.Secret, database string) backend.Login {
	l := backend.Login{User: user, Database: database}
	if password.IsSet() {
		l.Password = func() (string, error) { return password.Reveal(), nil }
	}
	return l
}

// serverTLS is TLS towards a shard, as libpq's sslmode of the same name.
func serverTLS(t config.BackendTLS) (*tls.Config, error) {
	if t.Mode == config.BackendDisable {
		return nil, nil
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if t.CA != "" {
		roots, err := readRoots(string(t.CA))
		if err != nil {
			return nil, err
		}
		cfg.RootCAs = roots
	}
	switch t.Mode {
	case config.BackendRequire:
		cfg.InsecureSkipVerify = true // sslmode=require encrypts and does not check who answers
	case config.BackendVerifyCA:
		cfg.InsecureSkipVerify = true // the chain is checked here, the name is not
		cfg.VerifyConnection = verifyChain(cfg.RootCAs)
	}
	return cfg, nil
}

func verifyChain(roots *x509.CertPool) func(tls.ConnectionState) error {
	return func(state tls.ConnectionState) error {
		if len(state.PeerCertificates) == 0 {
			return errors.New("server sent no certificate")
		}
		options := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool()}
		for _, c := range state.PeerCertificates[1:] {
			options.Intermediates.AddCert(c)
		}
		_, err := state.PeerCertificates[0].Verify(options)
		return err
	}
}

func readRoots(path string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read certificate authorities: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read certificate authorities: %s holds no certificate", path)
	}
	return roots, nil
}

// poolConfig is the pools' configuration for the shards of a snapshot.
func (n *Node) poolConfig(cfg *config.Config, shards []topology.Shard) (backend.Config, error) {
	p := backend.Config{Size: cfg.Pool.Size, MinIdle: cfg.Pool.MinIdle, AcquireTimeout: cfg.Pool.AcquireTimeout.Std(),
		IdleTimeout: cfg.Pool.IdleTimeout.Std(), MaxLifetime: cfg.Pool.MaxLifetime.Std(),
		PreparedStatements: cfg.Pool.PreparedStatements, Engine: n.engine, Logger: n.log}
	for _, shard := range shards {
		t, err := target(cfg, shard)
		if err != nil {
			return p, fmt.Errorf("shard %s: %w", shard.ID, err)
		}
		p.Targets = append(p.Targets, t)
	}
	return p, nil
}

// autoPrepare is after how many uses pgring prepares a statement by itself: never, if a connection remembers none.
func autoPrepare(p config.Pool) int {
	if p.PreparedStatements == 0 {
		return 0
	}
	return p.AutoPrepare
}

// policy is what sessions go by.
func policy(cfg *config.Config) (proxy.Policy, error) {
	p := proxy.Policy{Users: map[string]*proxy.User{}, TLSRequired: cfg.Listen.TLS.Mode == config.TLSRequire,
		ClientCert: cfg.Listen.TLS.ClientCA != "", MaxClients: cfg.Limits.MaxClients, LoginTimeout: cfg.Limits.ClientLoginTimeout.Std(),
		ClientIdle: cfg.Limits.ClientIdleTimeout.Std(), TransactionIdle: cfg.Limits.IdleTransactionTimeout.Std(),
		MessageLimit: int(cfg.Limits.MessageSize), PullRows: int64(cfg.Limits.PullRows), PullBytes: int64(cfg.Limits.PullBytes),
		RefuseScatter: cfg.Routing.ScatterReads == config.ScatterError,
		PrepareAfter:  autoPrepare(cfg.Pool), SlowQuery: cfg.Observe.SlowQuery.Std(), LogValues: cfg.Observe.LogValues}
	p.CrossShard = crossShard(cfg)
	p.Idempotent, p.Batches, p.AppendOnly = requests(cfg), batches(cfg), ledgers(cfg)
	if cfg.Pool.Mode == config.PoolSession {
		p.Mode = proxy.SessionMode
	}
	for _, u := range cfg.Auth.Users {
		user, err := proxyUser(cfg, u)
		if err != nil {
			return p, fmt.Errorf("user %s: %w", u.Name, err)
		}
		p.Users[u.Name] = user
	}
	var err error
	p.TLS, err = clientTLS(cfg.Listen.TLS)
	return p, err
}

func proxyUser(cfg *config.Config, u config.User) (*proxy.User, error) {
	user := &proxy.User{Name: u.Name, Database: cfg.DatabaseOf(u), MaxClients: u.MaxClients}
	switch u.Role {
	case config.RoleAdmin:
		user.Role = proxy.RoleAdmin
	case config.RoleStats:
		user.Role = proxy.RoleStats
	}
	if u.CrossShard != "" {
		own := crossShard(cfg)
		own.Transactions = commitMode(u.CrossShard)
		user.CrossShard = &own
	}
	user.ConsoleOnly = user.Database == "" && u.Role != config.RoleApp
	secret := u.Password.Reveal()
	var err error
	if config.IsVerifier(secret) {
		user.Verifier, err = pgwire.ParseVerifier(secret)
	} else {
		user.Verifier, err = pgwire.NewVerifier(secret)
	}
	return user, err
}

func crossShard(cfg *config.Config) proxy.CrossShard {
	c := &cfg.CrossShard
	return proxy.CrossShard{Transactions: commitMode(c.Transactions), Statements: commitMode(c.Statements),
		Derive:        c.Compensation == config.CompensationAuto,
		CommitTimeout: c.CommitTimeout.Std()}
}

func commitMode(m config.CommitMode) proxy.CommitMode {
	switch m {
	case config.CommitSaga:
		return proxy.CommitSaga
	case config.CommitTwoPhase:
		return proxy.CommitTwoPhase
	case config.CommitAuto:
		return proxy.CommitAuto
	case config.CommitReject:
	}
	return proxy.CommitReject
}

// clientTLS loads the certificate that clients are shown, anew at each RELOAD.
func clientTLS(t config.ServerTLS) (*tls.Config, error) {
	if t.Mode == config.TLSDisable || t.Cert == "" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(string(t.Cert), string(t.Key))
	if err != nil {
		return nil, fmt.Errorf("load listen.tls certificate: %w", err)
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}
	if t.ClientCA != "" {
		if cfg.ClientCAs, err = readRoots(string(t.ClientCA)); err != nil {
			return nil, err
		}
		cfg.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return cfg, nil
}
