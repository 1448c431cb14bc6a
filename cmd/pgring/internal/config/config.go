package config

// Format is the version of the file format that this package reads.
const Format = 1

// Config is one configuration file: what it says, with defaults filled in. It is never changed after Parse returned it.
// What depends on several keys (the login at one shard, a table's group) is answered by its methods.
type Config struct {
	Version    int        `yaml:"version" required:"true" min:"1" max:"1" doc:"Format of this file."`
	Listen     Listen     `yaml:"listen" doc:"Where clients connect."`
	Auth       Auth       `yaml:"auth" doc:"Who may connect."`
	Backend    Backend    `yaml:"backend" doc:"How pgring logs in to every shard; a shard may override any of these keys."`
	Shards     []Shard    `yaml:"shards" required:"true" doc:"The PostgreSQL servers. The first one also keeps the undeclared tables."`
	Pool       Pool       `yaml:"pool" doc:"Connections to the shards, per shard and user."`
	Routing    Routing    `yaml:"routing" doc:"Statements that concern more than one shard."`
	Ring       Ring       `yaml:"ring" doc:"Consistent hashing, for tables with strategy consistent."`
	Tables     []Table    `yaml:"tables" doc:"How tables are spread. A table that is not declared lives whole on the first shard."`
	CrossShard CrossShard `yaml:"cross_shard" doc:"Transactions and statements that write to more than one shard."`
	Async      Async      `yaml:"async" doc:"Asynchronous writes; see docs/writes.md."`
	Limits     Limits     `yaml:"limits" doc:"Bounds on clients and messages."`
	Control    Control    `yaml:"control" doc:"The PostgreSQL database that keeps the slot map, shared by all proxies (schema pgring)."`
	Rebalance  Rebalance  `yaml:"rebalance" doc:"Moves of slots between shards."`
	Observe    Observe    `yaml:"observe" doc:"Logs and diagnostics."`

	warnings []Problem
}

// Warnings returns what is allowed in the file but probably not meant, sorted by position.
func (c *Config) Warnings() []Problem { return c.warnings }

// Listen is the section listen.
type Listen struct {
	SQL          string    `yaml:"sql" default:"127.0.0.1:6432" required:"true" restart:"true" doc:"Address of the PostgreSQL protocol; it also serves the console (database pgring)."`
	HTTP         string    `yaml:"http" default:"127.0.0.1:6480" restart:"true" doc:"Address of /metrics, /healthz and /readyz; an empty text turns it off."`
	DrainTimeout Duration  `yaml:"drain_timeout" default:"30s" restart:"true" doc:"How long SIGTERM and SHUTDOWN wait for open transactions; 0 = not at all."`
	TLS          ServerTLS `yaml:"tls" doc:"TLS towards clients; without cert and key the answer to an SSLRequest is N."`
}

// TLSMode says whether clients may, may not or must use TLS.
type TLSMode string

// The modes of listen.tls.
const (
	TLSDisable TLSMode = "disable"
	TLSPrefer  TLSMode = "prefer"
	TLSRequire TLSMode = "require"
)

// ServerTLS is listen.tls. The files are read by whoever listens, again at every RELOAD.
type ServerTLS struct {
	Mode     TLSMode `yaml:"mode" default:"prefer" enum:"disable|prefer|require" doc:"Whether clients may (prefer) or must (require) use TLS."`
	Cert     Path    `yaml:"cert" doc:"Certificate chain in PEM; read again by RELOAD, so certificates rotate without a restart."`
	Key      Path    `yaml:"key" doc:"Private key of cert in PEM."`
	ClientCA Path    `yaml:"client_ca" doc:"When set, clients must present a certificate signed by it whose common name is the user."`
}

// PoolMode says how long a client keeps its server connection.
type PoolMode string

// The pool modes.
const (
	PoolTransaction PoolMode = "transaction"
	PoolSession     PoolMode = "session"
)

// Pool is the section pool; its numbers hold per shard and user.
type Pool struct {
	Mode               PoolMode `yaml:"mode" default:"transaction" enum:"transaction|session" doc:"How long a client keeps a server connection."`
	Size               int      `yaml:"size" default:"20" min:"1" max:"10000" doc:"Most server connections; keep size × proxies × users below the shard's max_connections."`
	MinIdle            int      `yaml:"min_idle" default:"2" min:"0" max:"10000" doc:"Server connections kept open when idle."`
	AcquireTimeout     Duration `yaml:"acquire_timeout" default:"5s" min:"1ms" doc:"How long a statement waits for a server connection; then SQLSTATE 53300 with the state of the pool in DETAIL."`
	IdleTimeout        Duration `yaml:"idle_timeout" default:"10m" doc:"An idle connection beyond min_idle is closed after this long; 0 = never."`
	MaxLifetime        Duration `yaml:"max_lifetime" default:"1h" doc:"A connection is replaced after about this long; 0 = never."`
	PreparedStatements int      `yaml:"prepared_statements" default:"500" min:"0" max:"100000" doc:"Prepared statements remembered per server connection; 0 = off."`
	AutoPrepare        int      `yaml:"auto_prepare" default:"3" min:"0" max:"1000000" doc:"A statement for one shard is prepared there after so many uses though its client does not prepare it; 0 = never. See docs/sql-support.md."`
}

// ScatterReads says whether a SELECT may read several shards.
type ScatterReads string

// The values of routing.scatter_reads.
const (
	ScatterAllow ScatterReads = "allow"
	ScatterError ScatterReads = "error"
)

// Routing is the section routing.
type Routing struct {
	ScatterReads ScatterReads `yaml:"scatter_reads" default:"allow" enum:"allow|error" doc:"What a SELECT that needs several shards does."`
}

// Ring is the section ring.
type Ring struct {
	VirtualNodes int     `yaml:"virtual_nodes" default:"128" min:"1" max:"4096" doc:"Points on the ring per unit of a shard's weight."`
	LoadBound    float64 `yaml:"load_bound" default:"1.05" min:"1" max:"2" doc:"No shard is planned more than this times its fair share of the slots."`
}

// Limits is the section limits.
type Limits struct {
	MaxClients             int      `yaml:"max_clients" default:"5000" min:"1" max:"1000000" restart:"true" doc:"Client connections; beyond it SQLSTATE 53300 at connect."`
	MessageSize            Size     `yaml:"message_size" default:"64MiB" min:"64KiB" max:"1GiB" doc:"Largest message that is held in memory as a whole (a statement, its parameters); results and COPY stream in any size."`
	PullRows               int      `yaml:"pull_rows" default:"10000000" min:"1" max:"1000000000000" doc:"Rows of other shards that one SELECT may copy to the shard that answers it (plan kind pull); beyond it SQLSTATE 54000."`
	PullBytes              Size     `yaml:"pull_bytes" default:"1GiB" min:"1MiB" max:"1TiB" doc:"Their size; beyond it SQLSTATE 54000. They need as much disk there while the statement runs."`
	ClientLoginTimeout     Duration `yaml:"client_login_timeout" default:"60s" min:"100ms" doc:"A client that has not logged in after this long is disconnected."`
	ClientIdleTimeout      Duration `yaml:"client_idle_timeout" default:"0s" doc:"A client that sends nothing outside a transaction for this long is disconnected; 0 = never."`
	IdleTransactionTimeout Duration `yaml:"idle_transaction_timeout" default:"0s" doc:"A client that sends nothing inside a transaction for this long is disconnected and rolled back; 0 = never."`
	MaxInFlight            int      `yaml:"max_in_flight" default:"2000" min:"0" max:"1000000" doc:"Statements that run at a time; the others wait in line. COMMIT, ROLLBACK and statements of transactions under way never wait. 0 = any number."`
	QueueTimeout           Duration `yaml:"queue_timeout" default:"1s" doc:"How long a statement waits for its turn under any of the limits; then SQLSTATE 53400 with what to do in HINT."`
	Writes                 RateCap  `yaml:"writes" doc:"Rate of writing statements of the whole proxy."`
	Shed                   Shed     `yaml:"shed" doc:"Fewer statements begin on a shard at a time while it is too slow; the others wait in line."`
	PerKey                 PerKey   `yaml:"per_key" doc:"Writes of one shard key at a time, so that those who wait for one row do not take all connections."`
}

// RateCap is a limit on a rate.
type RateCap struct {
	Rate  Rate `yaml:"rate" default:"0/s" doc:"Statements over time, such as 500/s; 0 = any number."`
	Burst int  `yaml:"burst" default:"0" min:"0" max:"1000000000" doc:"How many may come at once; 0 = one second's worth."`
}

// IsSet tells whether there is a limit.
func (r RateCap) IsSet() bool { return r.Rate.Events > 0 }

// BurstOrDefault is the burst, or one second's worth of the rate.
func (r RateCap) BurstOrDefault() int {
	if r.Burst > 0 {
		return r.Burst
	}
	return max(1, int(r.Rate.PerSecond()))
}

// Shed is limits.shed.
type Shed struct {
	Over Duration `yaml:"p99_over" default:"0s" max:"1h" doc:"While more than one in a hundred statements take longer on a shard, fewer and fewer begin there at a time; 0 = pool.size is the only limit."`
	For  Duration `yaml:"for" default:"10s" max:"1h" doc:"How long it must have been so before the limit begins to shrink."`
}

// PerKey is limits.per_key.
type PerKey struct {
	Writes int `yaml:"writes" default:"0" min:"0" max:"1000000" doc:"How many transactions or single statements that begin with a write of the same key run at a time; 0 = any number."`
	Queue  int `yaml:"queue" default:"20" min:"0" max:"1000000" doc:"How many wait for one key; more get SQLSTATE 53400 at once."`
}

// Control is the section control.
type Control struct {
	Shard string   `yaml:"shard" restart:"true" shown:"the first shard" doc:"The shard whose database holds schema pgring."`
	URL   Secret   `yaml:"url" restart:"true" doc:"Connection URL of a database of its own, instead of shard."`
	Lease Duration `yaml:"lease" default:"2s" min:"100ms" max:"5m" restart:"true" doc:"A proxy that cannot renew its lease for this long stops serving slots that move."`
}

// Rebalance is the section rebalance.
type Rebalance struct {
	KeepSource Duration `yaml:"keep_source" default:"10m" restart:"true" doc:"How long REBALANCE REVERT can send moved slots back without a copy; meanwhile the old shard keeps their rows and follows, and schema changes and writes over several shards are refused for their tables. 0 = never."`
	ReturnLog  Size     `yaml:"return_log" default:"10GiB" min:"16MiB" max:"1TiB" restart:"true" doc:"A shard keeps no more log than this for it: a move that would need more is no longer reversible."`
	Throttle   Throttle `yaml:"throttle" doc:"What copies of rows may take from the servers; REBALANCE THROTTLE on the console changes it at once."`
}

// Throttle is the section rebalance.throttle.
type Throttle struct {
	Rows   Rate     `yaml:"rows" default:"0/s" restart:"true" doc:"Rows that all copies together take in a second; 0/s = any number."`
	Bytes  Size     `yaml:"bytes" default:"0" restart:"true" doc:"Bytes that all copies together take in a second; 0 = any number."`
	Active int      `yaml:"active_sessions" default:"0" min:"0" max:"100000" restart:"true" doc:"Copies stand still while more sessions are at work on source or target; 0 = however many."`
	Lag    Duration `yaml:"max_replication_lag" default:"0s" restart:"true" doc:"Copies stand still while a standby of source or target is further behind; 0 = however far."`
}

// Observe is the section observe.
type Observe struct {
	Log       Log      `yaml:"log" doc:"The log on standard error."`
	SlowQuery Duration `yaml:"slow_query" default:"500ms" doc:"Statements that took longer are logged, literals removed; 0 = off."`
	LogValues bool     `yaml:"log_values" default:"false" doc:"Keep literals and parameters in logged statements."`
	Pprof     bool     `yaml:"pprof" default:"false" restart:"true" doc:"Serve Go profiles below /debug/pprof/ of listen.http."`
}

// LogLevel is the least severe level that is logged.
type LogLevel string

// The log levels.
const (
	LogDebug LogLevel = "debug"
	LogInfo  LogLevel = "info"
	LogWarn  LogLevel = "warn"
	LogError LogLevel = "error"
)

// LogFormat is how a log line is written.
type LogFormat string

// The log formats; LogAuto is text on a terminal and JSON elsewhere.
const (
	LogAuto LogFormat = "auto"
	LogText LogFormat = "text"
	LogJSON LogFormat = "json"
)

// Log is observe.log.
type Log struct {
	Level  LogLevel  `yaml:"level" default:"info" enum:"debug|info|warn|error" restart:"true" doc:"Least severe level that is logged."`
	Format LogFormat `yaml:"format" default:"auto" enum:"auto|text|json" restart:"true" doc:"auto is text on a terminal, else json."`
}
