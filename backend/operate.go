package backend

import (
	"context"
	"crypto/tls"
	"fmt"
	"slices"

	"github.com/pgring/pgring/ring"
)

// Pause stops lending connections to a shard, or to all when shard is empty, waits until all are given back, and closes them.
// Acquire waits meanwhile. When ctx ends first, Pause returns an error and the pause stays until Resume.
func (p *Pools) Pause(ctx context.Context, shard ring.ShardID) error {
	pools, err := p.of(shard)
	if err != nil {
		return err
	}
	quiet := make([]<-chan struct{}, len(pools))
	for i, pool := range pools {
		quiet[i] = pool.pause()
	}
	for i, pool := range pools {
		select {
		case <-quiet[i]:
		case <-ctx.Done():
			return fmt.Errorf("wait for connections to %s: %d still in use: %w", pool.key.shard, pool.stats().Active, context.Cause(ctx))
		}
	}
	return nil
}

// Resume ends a pause; an empty shard means all.
func (p *Pools) Resume(shard ring.ShardID) error { return p.each(shard, (*pool).resume) }

// Reconnect replaces every connection to a shard, or to all when shard is empty: idle ones now, the others when released.
func (p *Pools) Reconnect(shard ring.ShardID) error { return p.each(shard, (*pool).reconnect) }

func (p *Pools) each(shard ring.ShardID, do func(*pool)) error {
	pools, err := p.of(shard)
	for _, pool := range pools {
		do(pool)
	}
	return err
}

// of returns the pools of a shard, or all when shard is empty.
func (p *Pools) of(shard ring.ShardID) ([]*pool, error) {
	d := p.current.Load()
	if shard == "" {
		return d.pools, nil
	}
	if d.shards[shard] == nil {
		return nil, &UnknownShardError{Shard: shard}
	}
	return slices.DeleteFunc(slices.Clone(d.pools), func(pool *pool) bool { return pool.key.shard != shard }), nil
}

// Stats returns the state of each pool, sorted by shard and user.
func (p *Pools) Stats() []PoolStats {
	var all []PoolStats
	for _, pool := range p.current.Load().pools {
		all = append(all, pool.stats())
	}
	return all
}

// Servers returns the state of each server connection, sorted by shard and user.
func (p *Pools) Servers() []ServerStats {
	var all []ServerStats
	for _, pool := range p.current.Load().pools {
		all = append(all, pool.servers()...)
	}
	return all
}

// Health returns the health of each shard, as configured in order: it is unhealthy if any of its pools is.
func (p *Pools) Health() []Health {
	var all []Health
	d := p.current.Load()
	for _, s := range d.order {
		merged := s.common.stats().Health
		for _, pool := range d.pools {
			if other := pool.stats().Health; merged.Healthy && other.Shard == merged.Shard && !other.Healthy {
				merged = other
			}
		}
		all = append(all, merged)
	}
	return all
}

func (p *pool) stats() PoolStats {
	now := p.clock.now()
	p.mu.Lock()
	defer p.mu.Unlock()
	v := &p.inv
	s := PoolStats{Shard: p.key.shard, User: p.key.user, Database: p.key.database, Size: v.limits.size, Paused: v.paused,
		Waiting: v.waiting.len, Active: v.active(), Login: len(v.connecting),
		Acquires: v.acquires, Waits: v.waits, WaitTime: v.waited, Connects: v.connects, ConnectErrors: v.failures,
		Health: Health{Shard: p.key.shard, Healthy: v.health.err == nil, Since: v.health.since, LastError: v.health.last, Latency: v.health.latency}}
	for _, c := range v.idle {
		if now-c.lastUse() >= checkAfter {
			s.Used++
		} else {
			s.Idle++
		}
	}
	if v.waiting.head != nil {
		s.MaxWait = now - v.waiting.head.since
	}
	return s
}

func (p *pool) servers() []ServerStats {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make([]ServerStats, 0, len(p.inv.open)+len(p.inv.connecting))
	for _, c := range p.inv.open {
		nc := c.wire.Net()
		s := ServerStats{Shard: p.key.shard, User: p.key.user, Database: p.key.database, State: StateActive, PID: c.pid,
			Local: nc.LocalAddr().String(), Remote: nc.RemoteAddr().String(), Opened: p.clock.wall(c.openedAt),
			Request: p.clock.wall(c.acquiredAt), Prepared: int(c.statements.Load())}
		if c.idle {
			s.State = StateIdle
		}
		if over, ok := nc.(*tls.Conn); ok {
			s.TLS = tls.VersionName(over.ConnectionState().Version)
		}
		all = append(all, s)
	}
	for _, began := range p.inv.connecting {
		all = append(all, ServerStats{Shard: p.key.shard, User: p.key.user, Database: p.key.database, State: StateLogin, Opened: p.clock.wall(began)})
	}
	return all
}
