package admin

import "github.com/pgring/pgring/proxy"

// commandTable returns every command of the console, in the order of HELP and of docs/console.md.
func commandTable() []command {
	var all []command
	all = append(all, shardCommands()...)
	all = append(all, clientCommands()...)
	all = append(all, bouncerCommands()...)
	all = append(all, processCommands()...)
	all = append(all, actCommands()...)
	all = append(all, rebalanceCommands()...)
	all = append(all, throttleCommands()...)
	all = append(all, verifyCommands()...)
	all = append(all, keyCommands()...)
	all = append(all, laneCommands()...)
	all = append(all, sagaCommands()...)
	return append(all, command{
		name: "HELP", alias: "SHOW HELP", does: "Lists the commands. SHOW HELP is the same.", role: proxy.RoleStats, run: (*Console).help,
		columns: []column{
			{"command", text, "How it is written."},
			{"does", text, "What it does."},
			{"role", text, "The least role that may use it: stats, or admin, which may use everything."},
		},
	})
}

// shardCommands look at the cluster.
func shardCommands() []command {
	return []command{
		{name: "SHOW SHARDS", does: "Lists the shards, what they own and how they are.", role: proxy.RoleStats, columns: shardColumns(), run: (*Console).showShards},
		{name: "SHOW TABLES", does: "Lists the tables and where their rows live.", role: proxy.RoleStats, columns: tableColumns(), run: (*Console).showTables},
		{name: "SHOW RING", does: "Shows how the slots of each colocation group are spread.", role: proxy.RoleStats, columns: ringColumns(), run: (*Console).showRing},
		{name: "SHOW PLACEMENT", syntax: "table key", arguments: 2, does: "Says which shard owns the rows of a table with a key.", role: proxy.RoleStats,
			columns: placementColumns(), run: (*Console).showPlacement},
		{name: "SHOW SCHEMA DRIFT", does: "Lists the definitions that should be the same on all shards and are not, after looking at each shard.", role: proxy.RoleStats,
			columns: driftColumns(), run: (*Console).showDrift},
		{name: "ROUTE", alias: "EXPLAIN ROUTE", syntax: "sql", does: "Says where a statement would be sent, without running it. EXPLAIN ROUTE sql is the same.", role: proxy.RoleStats,
			columns: routeColumns(), run: (*Console).route},
		{name: "SHOW HOT KEYS", does: "Lists the shard keys that statements use most, as a sample of the last half minute shows them.", role: proxy.RoleStats,
			columns: hotKeyColumns(), run: (*Console).showHotKeys},
		{name: "SHOW IDEMPOTENCY", does: "Lists the tables with idempotent writes, and how many were repeated.", role: proxy.RoleStats,
			columns: idempotencyColumns(), run: (*Console).showIdempotency},
		{name: "SHOW PARTITIONS", does: "Lists the time partitions of the tables that pgring keeps them of, after looking at each shard.", role: proxy.RoleStats,
			columns: partitionColumns(), run: (*Console).showPartitions},
		{name: "SHOW PEERS", does: "Lists the proxies of the cluster, as the control database knows them.", role: proxy.RoleStats,
			columns: peerColumns(), run: (*Console).showPeers},
	}
}

// clientCommands look at connections.
func clientCommands() []command {
	return []command{
		{name: "SHOW QUERIES", does: "Lists the statements that run now, and those of transactions left open.", role: proxy.RoleStats, columns: queryColumns(), run: (*Console).showQueries},
		{name: "SHOW CLIENTS", does: "Lists the client connections.", role: proxy.RoleStats, columns: clientColumns(), run: (*Console).showClients},
		{name: "SHOW SERVERS", does: "Lists the connections to the shards.", role: proxy.RoleStats, columns: serverColumns(), run: (*Console).showServers},
		{name: "SHOW POOLS", does: "Lists the pools of connections: one for each shard and login.", role: proxy.RoleStats, columns: poolColumns(), run: (*Console).showPools},
	}
}

// bouncerCommands are the other ones that tools made for pgbouncer use.
func bouncerCommands() []command {
	return []command{
		{name: "SHOW STATS", does: "Shows totals since the start and averages of the last minute.", role: proxy.RoleStats, columns: statsColumns(), run: (*Console).showStats},
		{name: "SHOW STATS_TOTALS", does: "Shows the totals of SHOW STATS.", role: proxy.RoleStats, columns: totalColumns(), run: (*Console).showTotals},
		{name: "SHOW STATS_AVERAGES", does: "Shows the averages of SHOW STATS.", role: proxy.RoleStats, columns: averageColumns(), run: (*Console).showAverages},
		{name: "SHOW DATABASES", does: "Lists the servers behind the pools: one row for each shard.", role: proxy.RoleStats, columns: databaseColumns(), run: (*Console).showDatabases},
		{name: "SHOW USERS", does: "Lists the users that clients may log in as.", role: proxy.RoleStats, columns: userColumns(), run: (*Console).showUsers},
		{name: "SHOW LISTS", does: "Counts what there is.", role: proxy.RoleStats, columns: listColumns(), run: (*Console).showLists},
	}
}

// processCommands look at the process.
func processCommands() []command {
	return []command{
		{name: "SHOW CONFIG", does: "Shows the configuration in force; secrets are masked.", role: proxy.RoleStats, columns: configColumns(), run: (*Console).showConfig},
		{name: "SHOW STATE", does: "Shows the state of the process and of its connection to the control database.", role: proxy.RoleStats,
			columns: stateColumns(), run: (*Console).showState},
		{name: "SHOW VERSION", does: "Shows the version of pgring.", role: proxy.RoleStats,
			columns: []column{{"version", text, "Name and version."}}, run: (*Console).showVersion},
	}
}

// actCommands change something.
func actCommands() []command {
	return []command{
		{name: "ADD SHARD", syntax: "name HOST host [PORT port] [WEIGHT weight]", role: proxy.RoleAdmin, run: (*Console).addShard,
			does: "Adds a shard, which owns nothing yet."},
		{name: "DROP SHARD", syntax: "name CONFIRM", role: proxy.RoleAdmin, run: (*Console).dropShard,
			does: "Forgets a shard that owns nothing; its server is not touched. Without CONFIRM it says what would happen."},
		{name: "SHARD TABLE", syntax: "table BY column [, …] [STRATEGY consistent|hash] [COLOCATE WITH table]", role: proxy.RoleAdmin, run: (*Console).shardTable,
			does: "Declares a table sharded by a column, or by several together. A table that has rows starts with all of them where they are."},
		{name: "REFERENCE TABLE", syntax: "table", role: proxy.RoleAdmin, run: (*Console).referenceTable,
			does: "Declares a table of which every shard has the same rows."},
		{name: "RELOAD", role: proxy.RoleAdmin, run: (*Console).reload, columns: reloadColumns(),
			does: "Reads the configuration file again and applies all of it or nothing, with a row for each key, those that change first."},
		{name: "PAUSE", syntax: "[shard]", role: proxy.RoleAdmin, run: (*Console).pause,
			does: "Stops sending to a shard, or to all, when the transactions there have ended; clients wait."},
		{name: "RESUME", syntax: "[shard]", role: proxy.RoleAdmin, run: (*Console).resume, does: "Ends a PAUSE."},
		{name: "RECONNECT", syntax: "[shard]", role: proxy.RoleAdmin, run: (*Console).reconnect,
			does: "Replaces the connections to a shard, or to all: free ones now, the others when they are given back."},
		{name: "KILL", syntax: "client", role: proxy.RoleAdmin, run: (*Console).kill,
			does: "Ends a client connection, named by its id in SHOW CLIENTS, and cancels what it runs."},
		{name: "SHUTDOWN", syntax: "[WAIT_FOR_CLIENTS]", role: proxy.RoleAdmin, run: (*Console).shutdown,
			does: "Ends the process when open transactions have ended or the drain timeout is over; with WAIT_FOR_CLIENTS when the last client has left."},
	}
}
