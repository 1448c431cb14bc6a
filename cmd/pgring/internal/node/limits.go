package node

import (
	"reflect"

	"github.com/pgring/pgring/cmd/pgring/internal/config"
	"github.com/pgring/pgring/ingest"
	"github.com/pgring/pgring/limits"
	"github.com/pgring/pgring/proxy"
	"github.com/pgring/pgring/topology"
	"github.com/pgring/pgring/topology/partition"
)

// boundaries makes the limits that the configuration wants. What is as before stays, with what is used up of it: old is the
// configuration that the limits before were made of.
func boundaries(cfg, old *config.Config, before *proxy.Limits) *proxy.Limits {
	l := &proxy.Limits{Tables: map[topology.Name]proxy.TableLimit{}}
	was := config.Limits{}
	if old != nil && before != nil {
		was = old.Limits
	} else {
		before = &proxy.Limits{}
	}
	now, wait := cfg.Limits, cfg.Limits.QueueTimeout.Std()
	sameWait := now.QueueTimeout == was.QueueTimeout
	switch {
	case sameWait && now.MaxInFlight == was.MaxInFlight:
		l.InFlight = before.InFlight
	case now.MaxInFlight > 0:
		l.InFlight = limits.NewInFlight(limits.InFlightConfig{Max: now.MaxInFlight, Wait: wait})
	}
	switch {
	case sameWait && now.Writes == was.Writes:
		l.Writes = before.Writes
	case now.Writes.IsSet():
		l.Writes = limits.NewBuckets(rateOf(now.Writes), wait)
	}
	switch {
	case sameWait && now.PerKey == was.PerKey:
		l.PerKey = before.PerKey
	case now.PerKey.Writes > 0:
		l.PerKey = limits.NewPerKey(limits.PerKeyConfig{Running: now.PerKey.Writes, Queued: now.PerKey.Queue, Wait: wait})
	}
	switch {
	case sameWait && old != nil && now.Shed == was.Shed && old.Pool.Size == cfg.Pool.Size:
		l.Shards = before.Shards
	case now.Shed.Over > 0:
		l.Shards = limits.NewPerShard(limits.InFlightConfig{Max: cfg.Pool.Size, Wait: wait, Shed: limits.Shed{Over: now.Shed.Over.Std(), For: now.Shed.For.Std()}})
	}
	for _, t := range cfg.Tables {
		if !t.RateLimit.Cap().IsSet() {
			continue
		}
		name := topology.Name{Schema: string(t.Name.Schema), Table: string(t.Name.Table)}
		limit, known := before.Tables[name]
		if !known || !sameWait || !sameRate(old, t) {
			limit = proxy.TableLimit{Rate: limits.NewBuckets(rateOf(t.RateLimit.Cap()), wait), Key: string(t.RateLimit.Per)}
		}
		l.Tables[name] = limit
	}
	return l
}

// requests are the tables with idempotent writes; nil if there are none.
func requests(cfg *config.Config) map[topology.Name]proxy.Idempotency {
	var all map[topology.Name]proxy.Idempotency
	for _, t := range cfg.Tables {
		if !t.Idempotency.On() {
			continue
		}
		if all == nil {
			all = map[topology.Name]proxy.Idempotency{}
		}
		name := topology.Name{Schema: string(t.Name.Schema), Table: string(t.Name.Table)}
		all[name] = proxy.Idempotency{Column: string(t.Idempotency.Column), Keep: t.Idempotency.KeepOrDefault()}
	}
	return all
}

// batches are the tables whose INSERTs share transactions; nil if there are none.
func batches(cfg *config.Config) map[topology.Name]*proxy.Batching {
	var all map[topology.Name]*proxy.Batching
	for _, t := range cfg.Tables {
		if t.Batch.MaxRows == 0 {
			continue
		}
		if all == nil {
			all = map[topology.Name]*proxy.Batching{}
		}
		name := topology.Name{Schema: string(t.Name.Schema), Table: string(t.Name.Table)}
		all[name] = &proxy.Batching{Rows: t.Batch.MaxRows, Delay: t.Batch.DelayOrDefault()}
	}
	return all
}

// ledgers are the append-only tables; nil if there are none.
func ledgers(cfg *config.Config) map[topology.Name]bool {
	var all map[topology.Name]bool
	for _, t := range cfg.Tables {
		if t.AppendOnly {
			if all == nil {
				all = map[topology.Name]bool{}
			}
			all[topology.Name{Schema: string(t.Name.Schema), Table: string(t.Name.Table)}] = true
		}
	}
	return all
}

// lanes are the tables with asynchronous writes.
func lanes(cfg *config.Config) map[topology.Name]ingest.Rule {
	all := map[topology.Name]ingest.Rule{}
	for _, t := range cfg.Tables {
		if t.Async.Enabled {
			name := topology.Name{Schema: string(t.Name.Schema), Table: string(t.Name.Table)}
			all[name] = ingest.Rule{MaxSize: t.Async.MaxSizeOrDefault(), MaxLag: t.Async.MaxLagOrDefault()}
		}
	}
	return all
}

// partitions says which partitions pgring keeps.
func partitions(cfg *config.Config) (all []partition.Rule) {
	for _, t := range cfg.Tables {
		if p := t.Partition; p.On() {
			name := topology.Name{Schema: string(t.Name.Schema), Table: string(t.Name.Table)}
			all = append(all, partition.Rule{Table: name, Column: string(p.Column), Every: p.Every, Ahead: p.AheadOrDefault(), Keep: p.Keep, Drop: p.Drop})
		}
	}
	return all
}

func rateOf(r config.RateCap) limits.Rate {
	return limits.Rate{PerSecond: r.Rate.PerSecond(), Burst: r.BurstOrDefault()}
}

// sameRate tells whether the table had the same rate before.
func sameRate(old *config.Config, t config.Table) bool {
	for _, before := range old.Tables {
		if before.Name == t.Name {
			return reflect.DeepEqual(before.RateLimit, t.RateLimit)
		}
	}
	return false
}
