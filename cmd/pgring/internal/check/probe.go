package check

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/cmd/pgring/internal/config"
)

// probe is what was seen of one shard.
type probe struct {
	shard   config.Shard
	logins  []*attempt
	facts   *facts                    // nil: nobody could log in, or the server was not understood
	tables  map[config.Name]*relation // nil as facts; a declared table that does not exist is not in it
	trouble error                     // why the facts or the tables are missing although somebody could log in
}

// attempt is one login and how it went.
type attempt struct {
	login    config.Login
	operator bool
	users    []string          // the client users that come in with it
	err      error             // nil: it works
	settings map[string]string // what the server's, the database's and the role's defaults make of a session
}

// purpose says whom a login is for.
func (a *attempt) purpose() string {
	var whom []string
	if len(a.users) > 0 {
		whom = append(whom, "users "+strings.Join(a.users, ", "))
	}
	if a.operator {
		whom = append(whom, "operator")
	}
	return strings.Join(whom, "; ")
}

// attempts lists the different logins at a shard, the operator's first.
func attempts(cfg *config.Config, shard config.Shard) []*attempt {
	list := []*attempt{{login: cfg.BackendOf(shard).Operator, operator: true}}
	for _, u := range cfg.Auth.Users {
		if cfg.DatabaseOf(u) == "" {
			continue // it has only the console
		}
		login := cfg.LoginOf(u, shard)
		i := slices.IndexFunc(list, func(a *attempt) bool { return a.login.User == login.User && a.login.Password.Equal(login.Password) })
		if i < 0 {
			i = len(list)
			list = append(list, &attempt{login: login})
		}
		list[i].users = append(list[i].users, u.Name)
	}
	return list
}

// look asks one shard everything.
func look(ctx context.Context, o Options, shard config.Shard) *probe {
	ctx, cancel := context.WithTimeout(ctx, shardTimeout)
	defer cancel()
	p := &probe{shard: shard, logins: attempts(o.Config, shard)}
	// The facts come from the operator, who sees most, else from whoever gets in.
	for _, a := range p.logins {
		conn, err := o.Dial(ctx, shard, a.login)
		if err != nil {
			a.err = err
			continue
		}
		a.settings, a.err = readSettings(ctx, conn)
		if a.err == nil && p.facts == nil {
			p.trouble = p.examine(ctx, conn, o.Config)
		}
		hangUp(ctx, conn)
	}
	return p
}

// hangUp closes politely if the server answers at once.
func hangUp(ctx context.Context, conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = conn.Close(ctx) // nothing depends on it: the server notices either way
}

// examine reads the server's facts and the declared tables.
func (p *probe) examine(ctx context.Context, conn *pgx.Conn, cfg *config.Config) error {
	f, err := readFacts(ctx, conn, p.loginNames())
	if err != nil {
		return fmt.Errorf("read the server's settings: %w", err)
	}
	if f.VersionNumber < oldestSupported { // its catalog may lack what is asked for next
		p.facts = f
		return nil
	}
	tables, err := readTables(ctx, conn, cfg)
	if err != nil {
		return fmt.Errorf("read the catalog: %w", err)
	}
	p.facts, p.tables = f, tables
	return nil
}

// loginNames lists the roles that pgring's statements run as.
func (p *probe) loginNames() []string {
	var names []string
	for _, a := range p.logins {
		if !slices.Contains(names, a.login.User) {
			names = append(names, a.login.User)
		}
	}
	return names
}

// operator is the role whose view the facts are; empty when the operator could not log in.
func (p *probe) operator() string {
	if p.facts == nil || p.logins[0].err != nil {
		return ""
	}
	return p.logins[0].login.User
}

// name is how messages call the shard.
func (p *probe) name() string { return p.shard.Name }
