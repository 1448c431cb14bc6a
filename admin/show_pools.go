package admin

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/pgring/pgring/topology"
)

func poolColumns() []column {
	return []column{
		{"database", text, "The name of the shard, as pgbouncer names an entry of its configuration."},
		{"user", text, "The login there."},
		{"cl_active", integer, "Clients that hold a connection of the pool."},
		{"cl_waiting", integer, "Clients that wait for one."},
		{"cl_active_cancel_req", integer, "Always 0: cancel requests do not wait for a connection of the pool."},
		{"cl_waiting_cancel_req", integer, "Always 0."},
		{"sv_active", integer, "Connections lent to clients."},
		{"sv_active_cancel", integer, "Always 0."},
		{"sv_being_canceled", integer, "Always 0."},
		{"sv_idle", integer, "Connections free and used a moment ago."},
		{"sv_used", integer, "Connections free for so long that they are looked at before they are lent."},
		{"sv_tested", integer, "Always 0."},
		{"sv_login", integer, "Connections being opened."},
		{"maxwait", integer, "Seconds that the first of the waiting clients has waited."},
		{"maxwait_us", integer, "The microseconds on top of them."},
		{"pool_mode", text, "transaction or session."},
		{"shard", text, "The shard."},
		{"server_database", text, "The database there."},
		{"pool_size", integer, "The most connections that the pool may have."},
		{"paused", integer, "1 during a PAUSE."},
		{"healthy", text, "no while connections fail."},
	}
}

// showPools answers SHOW POOLS.
func (c *Console) showPools(context.Context, *input) (*outcome, error) {
	mode := c.setting("pool.mode")
	zero := int64(0)
	var rows []row
	for _, p := range c.cfg.Pools.Stats() {
		rows = append(rows, row{string(p.Shard), p.User, number(p.Active), number(p.Waiting), zero, zero, number(p.Active), zero, zero,
			number(p.Idle), number(p.Used), zero, number(p.Login), number(int64(p.MaxWait / time.Second)), number(int64(p.MaxWait % time.Second / time.Microsecond)),
			mode, string(p.Shard), p.Database, number(p.Size), bit(p.Paused), yes(p.Health.Healthy)})
	}
	return rowsOf(rows)
}

func databaseColumns() []column {
	return []column{
		{"name", text, "The shard."},
		{"host", text, "Where its server is."},
		{"port", integer, ""},
		{"database", text, "The database there."},
		{"force_user", text, "The login used for users without one of their own."},
		{"pool_size", integer, "The most connections of one pool."},
		{"min_pool_size", integer, "Connections kept open without need."},
		{"reserve_pool", integer, "Always 0."},
		{"pool_mode", text, "transaction or session."},
		{"max_connections", integer, "The most connections of all pools of the shard."},
		{"current_connections", integer, "Those that there are."},
		{"paused", integer, "1 during a PAUSE."},
		{"disabled", integer, "1 while the shard may not be used because it is joining."},
		{"state", text, "active, readonly, draining or joining."},
	}
}

// showDatabases answers SHOW DATABASES.
func (c *Console) showDatabases(context.Context, *input) (*outcome, error) {
	snap, err := c.snapshot()
	if err != nil {
		return nil, err
	}
	mode, least := c.setting("pool.mode"), orNumber(c.setting("pool.min_idle"))
	var rows []row
	for _, s := range snap.Shards {
		all := c.poolsOf(string(s.ID))
		rows = append(rows, row{string(s.ID), s.Host, number(s.Port), all.database, all.user, number(all.size), least, int64(0), mode,
			number(all.size * all.pools), number(all.connections), bit(all.paused), bit(s.State == topology.Joining), s.State.String()})
	}
	return rowsOf(rows)
}

// shardPools is what the pools of one shard have in common, and their sum.
type shardPools struct {
	database, user           any
	pools, size, connections int
	paused                   bool
}

// poolsOf sums up the pools of a shard. The login named is the one that most of the configuration has: backend.user, else any.
func (c *Console) poolsOf(shard string) shardPools {
	var all shardPools
	common := c.setting("backend.user")
	for _, p := range c.cfg.Pools.Stats() {
		if string(p.Shard) != shard {
			continue
		}
		all.pools++
		all.size = p.Size
		all.connections += p.Active + p.Idle + p.Used + p.Login
		all.paused = all.paused || p.Paused
		if all.user == nil || p.User == common {
			all.user, all.database = p.User, p.Database
		}
	}
	return all
}

// orNumber reads a setting that is a number; anything else is NULL.
func orNumber(value string) any {
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return nil
	}
	return n
}

func userColumns() []column {
	return []column{
		{"name", text, "The user."},
		{"pool_mode", text, "Always empty: the mode is the same for all."},
		{"role", text, "app, stats or admin."},
		{"database", text, "The database that the user may connect to; empty: only the console, or any."},
		{"max_clients", integer, "Its limit on connections; 0: none of its own."},
		{"clients", integer, "Its connections now."},
	}
}

// showUsers answers SHOW USERS.
func (c *Console) showUsers(context.Context, *input) (*outcome, error) {
	connected := map[string]int{}
	for _, client := range c.cfg.Server.Clients() {
		connected[client.User]++
	}
	var rows []row
	for _, u := range c.cfg.Users() {
		rows = append(rows, row{u.Name, "", u.Role, u.Database, number(u.MaxClients), number(connected[u.Name])})
	}
	return rowsOf(rows)
}

func listColumns() []column {
	return []column{{"list", text, "What is counted."}, {"items", integer, "How many there are."}}
}

// showLists answers SHOW LISTS. Those that count DNS names are pgbouncer's and always 0.
func (c *Console) showLists(context.Context, *input) (*outcome, error) {
	snap, err := c.snapshot()
	if err != nil {
		return nil, err
	}
	clients := c.cfg.Server.Stats().Sessions
	var free, used, pools int
	for _, p := range c.cfg.Pools.Stats() {
		pools++
		free += p.Idle + p.Used
		used += p.Active
	}
	room := 0
	if most, err := strconv.Atoi(c.setting("limits.max_clients")); err == nil {
		room = max(most-clients, 0)
	}
	kinds := map[topology.Kind]int{}
	for _, t := range snap.Tables() {
		if t.Declared || strings.ContainsRune("rpf", rune(t.RelKind)) {
			kinds[t.Kind]++
		}
	}
	var rows []row
	add := func(name string, n int) { rows = append(rows, row{name, number(n)}) }
	add("databases", len(snap.Shards))
	add("users", len(c.cfg.Users()))
	add("pools", pools)
	add("free_clients", room)
	add("used_clients", clients)
	add("login_clients", 0)
	add("free_servers", free)
	add("used_servers", used)
	add("dns_names", 0)
	add("dns_zones", 0)
	add("dns_queries", 0)
	add("dns_pending", 0)
	add("shards", len(snap.Shards))
	add("groups", len(snap.Groups()))
	add("sharded_tables", kinds[topology.Sharded])
	add("reference_tables", kinds[topology.Reference])
	add("home_tables", kinds[topology.Home])
	return rowsOf(rows)
}
