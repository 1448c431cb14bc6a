package admin

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgring/pgring/backend"
	"github.com/pgring/pgring/saga"
	"github.com/pgring/pgring/topology"
)

// The one histogram, which is kept by the console itself.
const (
	commandSeconds     = "pgring_console_command_seconds"
	commandSecondsHelp = "Time that console commands took, by command."
)

// metricTable returns every metric that is read from the packages.
func metricTable() []metric {
	var all []metric
	all = append(all, clientMetrics()...)
	all = append(all, trafficMetrics()...)
	all = append(all, poolMetrics()...)
	all = append(all, poolTotals()...)
	all = append(all, clusterMetrics()...)
	all = append(all, moveMetrics()...)
	all = append(all, partitionMetrics()...)
	return append(all, commitMetrics()...)
}

const (
	counts = prometheus.CounterValue
	gauge  = prometheus.GaugeValue
)

// total makes a counter without labels.
func total(name, help string, read func(*scrape) float64) metric {
	return metric{name, counts, help, nil, func(s *scrape, out emit) { out(read(s)) }}
}

// level makes a gauge without labels.
func level(name, help string, read func(*scrape) float64) metric {
	return metric{name, gauge, help, nil, func(s *scrape, out emit) { out(read(s)) }}
}

func clientMetrics() []metric {
	return []metric{
		{"pgring_build_info", gauge, "Always 1; the labels say what runs.", []string{"version", "go_version"}, func(s *scrape, out emit) { out(1, s.version, goVersion()) }},
		{"pgring_clients", gauge, "Client connections, by state.", []string{"state"}, func(s *scrape, out emit) {
			for state, n := range s.clients {
				out(float64(n), state)
			}
		}},
		total("pgring_logins_total", "Clients that have logged in.", func(s *scrape) float64 { return float64(s.server.Logins) }),
		total("pgring_login_failures_total", "Log-ins with a wrong user or password.", func(s *scrape) float64 { return float64(s.server.LoginFailures) }),
		total("pgring_cancel_requests_total", "Cancel requests carried to shards.", func(s *scrape) float64 { return float64(s.server.Cancels) }),
		total("pgring_client_received_bytes_total", "Bytes from clients.", func(s *scrape) float64 { return float64(s.server.Received) }),
		total("pgring_client_sent_bytes_total", "Bytes to clients.", func(s *scrape) float64 { return float64(s.server.Sent) }),
	}
}

func trafficMetrics() []metric {
	return []metric{
		{"pgring_statements_total", counts, "Statements sent to shards, by how they are run.", []string{"plan"}, func(s *scrape, out emit) {
			for plan, n := range s.server.Plans {
				out(float64(n), plan)
			}
		}},
		{"pgring_limited_statements_total", counts, "Statements refused by a limit: rate, in_flight, per_key or shard.", []string{"limit"}, func(s *scrape, out emit) {
			for limit, n := range s.server.Limited {
				out(float64(n), limit)
			}
		}},
		{"pgring_idempotent_writes_total", counts, "Idempotent writes by outcome: done, repeated (answered by what was recorded of the first) or refused (PR101).", []string{"outcome"}, func(s *scrape, out emit) {
			var done, repeated, refused int64
			for _, t := range s.idempotent {
				done, repeated, refused = done+t.Done, repeated+t.Repeated, refused+t.Differing
			}
			out(float64(done), "done")
			out(float64(repeated), "repeated")
			out(float64(refused), "refused")
		}},
		{"pgring_async_records_total", counts, "Asynchronous writes by what became of them: queued, applied, dead, or repeated (found to be applied already).", []string{"table", "outcome"}, func(s *scrape, out emit) {
			for _, q := range s.queues {
				out(float64(q.Accepted), q.Table.String(), "queued")
				out(float64(q.Applied), q.Table.String(), "applied")
				out(float64(q.Buried), q.Table.String(), "dead")
				out(float64(q.Repeated), q.Table.String(), "repeated")
			}
		}},
		{"pgring_async_lag_seconds", gauge, "Age of the oldest asynchronous write that is not done.", []string{"table", "shard"}, func(s *scrape, out emit) {
			for _, l := range s.lanes {
				out(l.Lag.Seconds(), l.Table.String(), string(l.Shard))
			}
		}},
		{"pgring_async_accepts", gauge, "1 while the table's log takes asynchronous writes, 0 while it does not, or its writes are not asynchronous any more.", []string{"table"}, func(s *scrape, out emit) {
			told := map[string]bool{}
			for _, l := range s.lanes {
				if name := l.Table.String(); !told[name] {
					told[name] = true
					out(map[bool]float64{true: 1}[l.Open], name)
				}
			}
		}},
		total("pgring_batches_total", "Transactions that rows of several clients were written in.", func(s *scrape) float64 { return float64(s.server.Batches) }),
		total("pgring_batched_inserts_total", "Rows that were written in a transaction with those of others.", func(s *scrape) float64 { return float64(s.server.Batched) }),
		level("pgring_statements_in_flight", "Statements that count for limits.max_in_flight now.", func(s *scrape) float64 { return float64(s.server.InFlight.Running) }),
		level("pgring_statements_waiting", "Statements that wait in line for limits.max_in_flight.", func(s *scrape) float64 { return float64(s.server.InFlight.Waiting) }),
		{"pgring_shard_limit", gauge, "Statements that may begin on the shard at a time, by limits.shed; pool.size while it is fast enough.", []string{"shard"}, func(s *scrape, out emit) {
			for _, l := range s.server.Shards {
				out(float64(l.Limit), l.Shard)
			}
		}},
		{"pgring_shard_waiting", gauge, "Statements that wait in line for a shard, by limits.shed.", []string{"shard"}, func(s *scrape, out emit) {
			for _, l := range s.server.Shards {
				out(float64(l.Waiting), l.Shard)
			}
		}},
		total("pgring_transactions_total", "Transaction blocks, and units outside of them.", func(s *scrape) float64 { return float64(s.server.Transactions) }),
		total("pgring_errors_total", "Errors reported to clients.", func(s *scrape) float64 { return float64(s.server.Errors) }),
		total("pgring_statements_repeated_total", "Statements sent again with a newer map, because a guard had refused them.", func(s *scrape) float64 { return float64(s.server.Repeated) }),
		total("pgring_statement_seconds_total", "Time that clients waited for answers.", func(s *scrape) float64 { return s.server.QueryTime.Seconds() }),
		{"pgring_plan_cache_hits_total", counts, "Statements found in the plan cache: exact by their text, normal by their text without literals.", []string{"by"}, func(s *scrape, out emit) {
			out(float64(s.server.Router.ExactHits), "exact")
			out(float64(s.server.Router.NormalHits), "normal")
		}},
		total("pgring_plan_cache_misses_total", "Statements that had to be parsed.", func(s *scrape) float64 { return float64(s.server.Router.Misses) }),
		total("pgring_plan_cache_evictions_total", "Plans that made room for others.", func(s *scrape) float64 { return float64(s.server.Router.Evicted) }),
		level("pgring_plan_cache_entries", "Plans in the cache.", func(s *scrape) float64 { return float64(s.server.Router.Entries) }),
		level("pgring_plan_cache_capacity", "Plans that the cache has room for.", func(s *scrape) float64 { return float64(s.server.Router.Capacity) }),
	}
}

// pool makes a metric with a value for each pool.
func pool(name string, kind prometheus.ValueType, help string, read func(backend.PoolStats) float64) metric {
	return metric{name, kind, help, []string{"shard", "user"}, func(s *scrape, out emit) {
		for _, p := range s.pools {
			out(read(p), string(p.Shard), p.User)
		}
	}}
}

func poolMetrics() []metric {
	return []metric{
		{"pgring_pool_connections", gauge, "Connections to shards, by state: active, idle, used (free for long) or login.", []string{"shard", "user", "state"}, func(s *scrape, out emit) {
			for _, p := range s.pools {
				out(float64(p.Active), string(p.Shard), p.User, "active")
				out(float64(p.Idle), string(p.Shard), p.User, "idle")
				out(float64(p.Used), string(p.Shard), p.User, "used")
				out(float64(p.Login), string(p.Shard), p.User, "login")
			}
		}},
		pool("pgring_pool_size", gauge, "The most connections that the pool may have.", func(p backend.PoolStats) float64 { return float64(p.Size) }),
		pool("pgring_pool_waiting_clients", gauge, "Clients that wait for a connection.", func(p backend.PoolStats) float64 { return float64(p.Waiting) }),
		pool("pgring_pool_longest_wait_seconds", gauge, "How long the first of them has waited.", func(p backend.PoolStats) float64 { return p.MaxWait.Seconds() }),
		pool("pgring_pool_paused", gauge, "1 during a PAUSE.", func(p backend.PoolStats) float64 { return truth(p.Paused) }),
	}
}

func poolTotals() []metric {
	return []metric{
		pool("pgring_pool_acquires_total", counts, "Connections lent.", func(p backend.PoolStats) float64 { return float64(p.Acquires) }),
		pool("pgring_pool_waits_total", counts, "Times that a client had to wait for one.", func(p backend.PoolStats) float64 { return float64(p.Waits) }),
		pool("pgring_pool_wait_seconds_total", counts, "All these waits together.", func(p backend.PoolStats) float64 { return p.WaitTime.Seconds() }),
		pool("pgring_pool_connects_total", counts, "Log-ins begun.", func(p backend.PoolStats) float64 { return float64(p.Connects) }),
		pool("pgring_pool_connect_errors_total", counts, "Log-ins that failed.", func(p backend.PoolStats) float64 { return float64(p.ConnectErrors) }),
	}
}

// shards makes a gauge with a value for each shard of the map.
func shards(name, help string, read func(*topology.Snapshot, topology.Shard) float64) metric {
	return metric{name, gauge, help, []string{"shard"}, func(s *scrape, out emit) {
		if s.snap == nil {
			return
		}
		for _, shard := range s.snap.Shards {
			out(read(s.snap, shard), string(shard.ID))
		}
	}}
}

func clusterMetrics() []metric {
	return []metric{
		{"pgring_shard_up", gauge, "0 while connections to the shard fail.", []string{"shard"}, func(s *scrape, out emit) {
			for _, h := range s.health {
				out(truth(h.Healthy), string(h.Shard))
			}
		}},
		shards("pgring_shard_weight", "The shard's share of the ring relative to the others.", func(_ *topology.Snapshot, s topology.Shard) float64 { return float64(s.Weight) }),
		shards("pgring_shard_active", "1 if the shard's state is active.", func(_ *topology.Snapshot, s topology.Shard) float64 { return truth(s.State == topology.Active) }),
		{"pgring_shard_slots", gauge, "Slots that the shard owns, of all colocation groups together.", []string{"shard"}, func(s *scrape, out emit) {
			if s.snap == nil {
				return
			}
			owned, _ := ownedSlots(s.snap)
			for _, shard := range s.snap.Shards {
				out(float64(owned[shard.ID]), string(shard.ID))
			}
		}},
		level("pgring_control_database_up", "0 while the control database cannot be reached; the last map is served then.", func(s *scrape) float64 { return truth(s.status.Connected) }),
		level("pgring_catalog_up", "0 while the home shard cannot be asked for its catalog.", func(s *scrape) float64 { return truth(s.status.CatalogConnected) }),
		level("pgring_map_epoch", "Epoch of the map that is served; 0 before the first.", func(s *scrape) float64 { return float64(s.status.Epoch) }),
		{"pgring_lease_remaining_seconds", gauge, "What is left of this proxy's lease; negative when it has run out.", nil, func(s *scrape, out emit) {
			if !s.status.LeaseUntil.IsZero() {
				out(s.status.LeaseUntil.Sub(s.now).Seconds())
			}
		}},
	}
}

func commitMetrics() []metric {
	only := func(m metric) metric {
		read := m.read
		m.read = func(s *scrape, out emit) {
			if s.commit != nil {
				read(s, out)
			}
		}
		return m
	}
	return []metric{
		only(metric{"pgring_commits_total", counts, "Commits by the coordinator, by how they ended.", []string{"outcome"}, func(s *scrape, out emit) {
			out(float64(s.commit.Committed), "committed")
			out(float64(s.commit.Aborted), "aborted")
			out(float64(s.commit.Partial), "partial")
			out(float64(s.commit.Unknown), "unknown")
		}}),
		only(metric{"pgring_prepared_settled_total", counts, "Prepared transactions of others that the janitor ended.", []string{"by"}, func(s *scrape, out emit) {
			out(float64(s.commit.SettledCommit), "commit")
			out(float64(s.commit.SettledRollback), "rollback")
		}}),
		only(total("pgring_prepared_left_total", "Decided transactions left to the janitor because a shard did not answer.", func(s *scrape) float64 { return float64(s.commit.Left) })),
		only(level("pgring_prepared_transactions", "Prepared transactions that the janitor saw in its last round.", func(s *scrape) float64 { return float64(s.commit.Prepared) })),
		only(level("pgring_prepared_oldest_seconds", "Age of the oldest of them; above a minute somebody should look.", func(s *scrape) float64 { return s.commit.Oldest.Seconds() })),
		only(metric{"pgring_sagas", gauge, "Sagas that the janitor saw unsettled in its last round, by state. STUCK ones need a person.", []string{"state"}, func(s *scrape, out emit) {
			for _, state := range []saga.State{saga.Running, saga.Forwarding, saga.Compensating, saga.Stuck} {
				out(float64(s.commit.Sagas[state]), string(state))
			}
		}}),
		only(level("pgring_saga_oldest_seconds", "Age of the oldest of them.", func(s *scrape) float64 { return s.commit.OldestAge.Seconds() })),
		only(metric{"pgring_sagas_settled_total", counts, "Sagas that this process saw end, by how.", []string{"outcome"}, func(s *scrape, out emit) {
			out(float64(s.commit.SagasCommitted), "committed")
			out(float64(s.commit.SagasCompensated), "compensated")
		}}),
		only(total("pgring_saga_compensations_total", "Steps undone.", func(s *scrape) float64 { return float64(s.commit.Compensations) })),
		only(total("pgring_saga_forwarded_total", "Retriable steps run again.", func(s *scrape) float64 { return float64(s.commit.Forwarded) })),
		only(total("pgring_saga_fence_waits_total", "Fences that waited for a commit under way.", func(s *scrape) float64 { return float64(s.commit.FenceWaits) })),
		only(total("pgring_sagas_recovered_total", "Sagas of other processes that this one has settled.", func(s *scrape) float64 { return float64(s.commit.Recovered) })),
		only(level("pgring_janitor_unreachable_shards", "Shards that its last round could not look at.", func(s *scrape) float64 { return float64(s.commit.Unreachable) })),
	}
}
