package limits

import (
	"maps"
	"slices"
	"sync"
)

// PerShard bounds how many run on each shard at a time, by the shard's name. The limit of a shard begins at Max and follows that shard's
// latency alone.
type PerShard struct {
	cfg InFlightConfig
	mu  sync.Mutex
	of  map[string]*InFlight
}

// NewPerShard makes limits that nothing runs under yet.
func NewPerShard(cfg InFlightConfig) *PerShard {
	return &PerShard{cfg: cfg, of: map[string]*InFlight{}}
}

// Of returns the limit of a shard.
func (p *PerShard) Of(shard string) *InFlight {
	p.mu.Lock()
	defer p.mu.Unlock()
	line := p.of[shard]
	if line == nil {
		line = NewInFlight(p.cfg)
		p.of[shard] = line
	}
	return line
}

// ShardStats are the numbers of one shard.
type ShardStats struct {
	Shard string
	InFlightStats
}

// Stats lists the shards that were met, by name.
func (p *PerShard) Stats() []ShardStats {
	p.mu.Lock()
	lines := maps.Clone(p.of)
	p.mu.Unlock()
	var all []ShardStats
	for _, shard := range slices.Sorted(maps.Keys(lines)) {
		all = append(all, ShardStats{Shard: shard, InFlightStats: lines[shard].Stats()})
	}
	return all
}
