package check

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/pgring/pgring/cmd/pgring/internal/config"
)

const (
	oldestSupported = 150000
	newestSupported = 189999
	clockTolerance  = time.Second
	operatorNeeds   = 5 // connections that pgring holds beside the pools: control, catalog, a change being decided
)

// servers applies the rules about servers and logins.
func (r *reporter) servers() {
	for _, p := range r.probes {
		r.logins(p)
		if p.facts != nil {
			r.server(p)
			r.operator(p)
		}
	}
	r.sameDatabase()
	r.alike()
	r.clocks()
	r.connections()
	r.sessions()
}

func (r *reporter) logins(p *probe) {
	for _, a := range p.logins {
		if a.err != nil {
			r.errorf(p.name(), "", fmt.Sprintf("login %s (%s) does not work: %v", a.login.User, a.purpose(), a.err))
		}
	}
	if p.trouble != nil {
		r.errorf(p.name(), "", p.trouble.Error())
	}
}

func (r *reporter) server(p *probe) {
	f := p.facts
	switch {
	case f.VersionNumber < oldestSupported:
		r.errorf(p.name(), "pgring needs PostgreSQL 15 or newer", "the server is PostgreSQL "+f.Version)
	case f.VersionNumber > newestSupported:
		r.warn(p.name(), "this pgring was tested with PostgreSQL 15 to 18", "the server is PostgreSQL "+f.Version)
	}
	if f.Standby {
		r.errorf(p.name(), "a shard is a primary", "the server is a standby: nothing can be written to it")
	} else if f.ReadOnly && p.shard.State == config.StateActive {
		r.errorf(p.name(), "set default_transaction_read_only to off, or the shard's state to readonly", "transactions are read-only by default")
	}
	if f.WALLevel != "logical" {
		r.warn(p.name(), "set wal_level = logical and restart the server", fmt.Sprintf("wal_level is %s: rows cannot be moved from this shard", f.WALLevel))
	}
	if f.MaxPreparedTransactions == 0 {
		r.warn(p.name(), "set max_prepared_transactions to max_connections and restart the server",
			"max_prepared_transactions is 0: DDL and writes to reference tables are not all-or-nothing between shards")
	}
	if f.Encoding != "UTF8" {
		r.warn(p.name(), "create the database with ENCODING 'UTF8'", fmt.Sprintf("the database is encoded in %s: text keys outside of ASCII would hash differently", f.Encoding))
	}
}

// operator checks the operator's rights, which the facts show only when the operator could log in.
func (r *reporter) operator(p *probe) {
	f, operator := p.facts, p.operator()
	if operator == "" {
		return
	}
	switch {
	case f.HasSchema && !f.MayUseSchema:
		r.errorf(p.name(), fmt.Sprintf("GRANT CREATE, USAGE ON SCHEMA pgring TO %[1]s, or ALTER SCHEMA pgring OWNER TO %[1]s", operator), fmt.Sprintf("the operator %s may not create tables in schema pgring", operator))
	case !f.HasSchema && !f.MayCreateSchema:
		r.errorf(p.name(), fmt.Sprintf("GRANT CREATE ON DATABASE %s TO %s", f.Database, operator), fmt.Sprintf("the operator %s may not create schema pgring", operator))
	}
	if f.MaxPreparedTransactions == 0 {
		return
	}
	// PostgreSQL lets only the role that prepared a transaction, and superusers, end it. What a dead proxy left prepared keeps
	// its locks until the operator does.
	for _, role := range slices.Sorted(maps.Keys(f.MaySettle)) {
		if !f.MaySettle[role] {
			r.errorf(p.name(), fmt.Sprintf("GRANT %s TO %s", role, operator),
				fmt.Sprintf("the operator %s is no member of role %s, so it cannot end what a lost proxy left prepared", operator, role))
		}
	}
}

// running identifies a running server.
type running struct {
	system  string
	started time.Time
}

func (f *facts) running() running { return running{f.System, f.Started} }

// sameDatabase finds two shards that are one database under two addresses: each row would count twice.
func (r *reporter) sameDatabase() {
	type place struct {
		running
		database string
	}
	first := map[place]string{}
	for _, p := range r.seen() {
		at := place{p.facts.running(), p.facts.Database}
		if before, twice := first[at]; twice {
			r.errorf(p.name(), "give each shard a database of its own", fmt.Sprintf("the shard is the same database as shard %s", before))
			continue
		}
		first[at] = p.name()
	}
}

// alike compares what must be equal on all shards with the first one.
func (r *reporter) alike() {
	seen := r.seen()
	for _, p := range seen[min(1, len(seen)):] {
		a, b, first := seen[0].facts, p.facts, seen[0].name()
		if a.VersionNumber/10000 != b.VersionNumber/10000 {
			r.warn(p.name(), "", fmt.Sprintf("the server is PostgreSQL %s; %s is PostgreSQL %s", b.Version, first, a.Version))
		}
		if a.Encoding != b.Encoding {
			r.errorf(p.name(), "", fmt.Sprintf("the database is encoded in %s; %s in %s", b.Encoding, first, a.Encoding))
		}
		switch {
		case a.Collation != b.Collation:
			r.errorf(p.name(), "", fmt.Sprintf("the database sorts by %s; %s by %s", b.Collation, first, a.Collation))
		case a.CollationVersion != b.CollationVersion:
			r.warn(p.name(), "the order of texts may differ between the two", fmt.Sprintf("the collation has version %s; on %s it is %s", b.CollationVersion, first, a.CollationVersion))
		}
	}
}

// clocks compares the shards' clocks with each other: now() is written by whichever shard owns the row.
func (r *reporter) clocks() {
	seen := r.seen()
	for _, p := range seen[min(1, len(seen)):] {
		a, b := seen[0].facts, p.facts
		apart := (b.Skew - a.Skew).Abs()
		if apart-a.SkewError-b.SkewError >= clockTolerance {
			r.warn(p.name(), "let NTP set the clocks", fmt.Sprintf("the server's clock is %s apart from that of %s", apart.Round(100*time.Millisecond), seen[0].name()))
		}
	}
}

// connections adds up what the pools of this proxy may open on each server; several shards may be databases of one server.
func (r *reporter) connections() {
	wanted := map[running]int{}
	for _, p := range r.seen() {
		pools := 0
		for _, a := range p.logins {
			if len(a.users) > 0 {
				pools++
			}
		}
		wanted[p.facts.running()] += pools*r.cfg.Pool.Size + operatorNeeds
	}
	for _, p := range r.seen() {
		free := p.facts.MaxConnections - p.facts.Reserved
		if want := wanted[p.facts.running()]; want > free {
			r.warn(p.name(), fmt.Sprintf("lower pool.size (%d per login) or raise max_connections", r.cfg.Pool.Size),
				fmt.Sprintf("one proxy may open %d connections, but the server has room for %d (max_connections %d, %d reserved)", want, free, p.facts.MaxConnections, p.facts.Reserved))
		}
	}
}

// sessions compares each login's settings between shards; a role may have defaults of its own on one of them.
func (r *reporter) sessions() {
	type origin struct {
		shard    string
		settings map[string]string
	}
	first := map[string]origin{} // by the users that a login serves
	for _, p := range r.probes {
		for _, a := range p.logins {
			if a.settings == nil || len(a.users) == 0 {
				continue
			}
			before, known := first[a.users[0]]
			if !known {
				first[a.users[0]] = origin{p.name(), a.settings}
				continue
			}
			for _, name := range slices.Sorted(maps.Keys(a.settings)) {
				if a.settings[name] != before.settings[name] {
					r.warn(p.name(), "set it alike: ALTER DATABASE … SET, ALTER ROLE … SET or postgresql.conf",
						fmt.Sprintf("a session of %s starts with %s %q; on %s it is %q", a.login.User, name, a.settings[name], before.shard, before.settings[name]))
				}
			}
		}
	}
}

// control checks a control database that is on no shard. On a shard the operator's rights there are checked anyway.
func (r *reporter) control(ctx context.Context, o Options) {
	if o.Control == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, shardTimeout)
	defer cancel()
	conn, err := o.Control(ctx)
	if err != nil {
		r.errorf("", "", fmt.Sprintf("control.url does not work: %v", err))
		return
	}
	defer hangUp(ctx, conn)
	f, err := readFacts(ctx, conn, nil)
	switch {
	case err != nil:
		r.errorf("", "", fmt.Sprintf("read the control database's settings: %v", err))
	case f.VersionNumber < oldestSupported:
		r.errorf("", "pgring needs PostgreSQL 15 or newer", "the control database is on PostgreSQL "+f.Version)
	case f.Standby || f.ReadOnly:
		r.errorf("", "", "the control database is read-only")
	case f.HasSchema && !f.MayUseSchema, !f.HasSchema && !f.MayCreateSchema:
		r.errorf("", "GRANT CREATE ON DATABASE …", "the login of control.url may not create schema pgring and its tables")
	}
}
