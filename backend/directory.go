package backend

import (
	"cmp"
	"maps"
	"slices"

	"github.com/pgring/pgring/ring"
)

// directory says which pool serves whom; immutable.
type directory struct {
	shards map[ring.ShardID]*shard
	order  []*shard // as configured
	pools  []*pool  // sorted by shard and user
}

// fewShards is up to how many shards comparing names one by one is faster than to hash one.
const fewShards = 8

// find returns a shard by name, or nil.
func (d *directory) find(id ring.ShardID) *shard {
	if len(d.order) > fewShards {
		return d.shards[id]
	}
	for _, s := range d.order {
		if s.target.Shard == id {
			return s
		}
	}
	return nil
}

// shard is one target and its pools.
type shard struct {
	target Target
	common *pool
	own    map[string]*pool // by client user
}

// builder makes the directory of a new configuration, with the pools of the old one where they stay.
type builder struct {
	clock clock
	old   []*pool
	known map[poolKey]*pool
	plans map[*pool]*plan // new plans of pools that stay
	fresh []*pool
}

func newBuilder(old *directory, k clock) *builder {
	b := &builder{clock: k, old: old.pools, known: map[poolKey]*pool{}, plans: map[*pool]*plan{}}
	for _, p := range old.pools {
		b.known[p.key] = p
	}
	return b
}

func (b *builder) build(cfg *Config) *directory {
	d := &directory{shards: map[ring.ShardID]*shard{}}
	built := map[poolKey]*pool{}
	for _, t := range cfg.Targets {
		s := &shard{target: t, common: b.pool(cfg, &t, t.Login, built), own: map[string]*pool{}}
		for _, user := range slices.Sorted(maps.Keys(t.Logins)) {
			s.own[user] = b.pool(cfg, &t, t.Logins[user], built)
		}
		d.shards[t.Shard] = s
		d.order = append(d.order, s)
	}
	d.pools = slices.SortedFunc(maps.Values(built), func(a, b *pool) int {
		return cmp.Or(cmp.Compare(a.key.shard, b.key.shard), cmp.Compare(a.key.user, b.key.user), cmp.Compare(a.key.database, b.key.database))
	})
	return d
}

func (b *builder) pool(cfg *Config, t *Target, login Login, built map[poolKey]*pool) *pool {
	key := poolKey{shard: t.Shard, user: login.User, database: login.database()}
	if p := built[key]; p != nil {
		return p
	}
	pl := &plan{target: *t, login: login, acquireTimeout: cfg.AcquireTimeout, prepared: cfg.PreparedStatements,
		application: cfg.ApplicationName, engine: cfg.Engine, log: cfg.Logger,
		limits: limits{size: cfg.Size, minIdle: cfg.MinIdle, idleTimeout: cfg.IdleTimeout, maxLifetime: cfg.MaxLifetime}}
	p := b.known[key]
	if p != nil {
		b.plans[p] = pl
	} else {
		p = newPool(key, b.clock, pl)
		b.fresh = append(b.fresh, p)
	}
	built[key] = p
	return p
}

// retired returns the old pools that the new configuration does not use.
func (b *builder) retired() []*pool {
	return slices.DeleteFunc(slices.Clone(b.old), func(p *pool) bool { return b.plans[p] != nil })
}
