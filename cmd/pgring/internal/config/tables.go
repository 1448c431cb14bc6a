package config

import (
	"slices"
	"time"
)

// Strategy says how a table's rows are spread over the shards.
type Strategy string

// The strategies. The first four make a sharded table.
const (
	StrategyConsistent Strategy = "consistent"
	StrategyHash       Strategy = "hash"
	StrategyRange      Strategy = "range"
	StrategyList       Strategy = "list"
	StrategyReference  Strategy = "reference"
	StrategyHome       Strategy = "home"
)

// Sharded tells whether tables of this strategy have a shard key.
func (s Strategy) Sharded() bool {
	return s != StrategyReference && s != StrategyHome
}

// Table is one entry of tables.
type Table struct {
	Name     Name        `yaml:"name" required:"true" doc:"Schema and table, written as in SQL; without a schema it is public."`
	ShardKey []Ident     `yaml:"shard_key" doc:"The column whose value decides the shard, or up to four of which all together do: a list, written as in SQL. For sharded tables only."`
	Strategy Strategy    `yaml:"strategy" default:"consistent" enum:"consistent|hash|range|list|reference|home" doc:"consistent, hash, range and list spread rows by shard_key; reference keeps a full copy on every shard; home keeps the table whole on one shard."`
	Colocate string      `yaml:"colocate" shown:"a group of its own" doc:"Another table, or a name that several tables share: same group and same key means same shard, so joins and transactions stay local."`
	Ranges   []Range     `yaml:"ranges" doc:"For strategy range: ascending lower bounds. One table of a group says them for all."`
	Values   []ListValue `yaml:"values" doc:"For strategy list: which value lives where. One table of a group says them for all."`
	Default  string      `yaml:"default" doc:"For strategy list: the shard of all other values; unset = they are refused."`
	Shard    string      `yaml:"shard" shown:"the first shard" doc:"For strategy home: the shard that keeps the table."`

	RateLimit TableRate `yaml:"rate_limit" doc:"Rate of statements that write and name the table, per proxy; absent = any."`

	Idempotency Idempotency `yaml:"idempotency" doc:"A repeat of a write is recognised by a column, or by a key that the client gives, and answered like the first; see docs/writes.md. Every proxy must have the same. Absent = off."`
	Async       AsyncTable  `yaml:"async" doc:"An INSERT of one row is answered when it is in this proxy's log, and applied later; see docs/writes.md. Absent = off."`
	AppendOnly  bool        `yaml:"append_only" doc:"Rows are added, and never changed: UPDATE, DELETE, TRUNCATE, MERGE and ON CONFLICT DO UPDATE are refused, by triggers on the shards too, which stay when this is taken away. See docs/writes.md."`
	Partition   Partition   `yaml:"partition" doc:"Partitions by time, made ahead on every shard and dropped when their rows are old; see docs/writes.md. Absent = pgring makes and drops none."`
	Batch       Batch       `yaml:"batch" doc:"INSERTs of one row that come at the same time share a transaction of their shard; see docs/writes.md. Absent = off."`
}

// AsyncTable is tables[].async.
type AsyncTable struct {
	Enabled bool     `yaml:"enabled" doc:"Whether writes are asynchronous."`
	MaxSize Size     `yaml:"max_size" shown:"1GiB" min:"32MiB" max:"1TiB" doc:"Disk that the table's log may take. When it is full, new writes wait for limits.queue_timeout at most, then SQLSTATE 53400. A log that is open keeps its size until a restart."`
	MaxLag  Duration `yaml:"max_lag" shown:"1m" min:"100ms" max:"24h" doc:"While the oldest write that is not applied is older, new writes wait likewise."`
}

// MaxSizeOrDefault is how large the log may be.
func (a AsyncTable) MaxSizeOrDefault() int64 {
	if a.MaxSize > 0 {
		return int64(a.MaxSize)
	}
	return 1 << 30
}

// MaxLagOrDefault is how old a write may be that is not applied.
func (a AsyncTable) MaxLagOrDefault() time.Duration { return a.MaxLag.Or(time.Minute) }

// Batch is tables[].batch.
type Batch struct {
	MaxRows  int      `yaml:"max_rows" min:"2" max:"128" doc:"How many INSERTs share a transaction, at most."`
	MaxDelay Duration `yaml:"max_delay" shown:"50ms" min:"1ms" max:"10s" doc:"How long one waits to share a transaction, at most; then it runs alone."`
}

// DelayOrDefault is how long an INSERT waits.
func (b Batch) DelayOrDefault() time.Duration { return b.MaxDelay.Or(50 * time.Millisecond) }

// Idempotency is tables[].idempotency.
type Idempotency struct {
	Column Ident    `yaml:"column" doc:"The column whose value names an INSERT, such as request_id. Its type is one that a shard key may have. Absent = only keys that are given with pgring.idempotency_key or in comments name writes."`
	Keep   Duration `yaml:"keep" shown:"24h" min:"1m" max:"8760h" doc:"How long a write is known at least."`
}

// On tells whether writes may be idempotent.
func (i Idempotency) On() bool { return i.Column != "" || i.Keep > 0 }

// KeepOrDefault is how long a write is known.
func (i Idempotency) KeepOrDefault() time.Duration { return i.Keep.Or(day) }

// TableRate is tables[].rate_limit.
type TableRate struct {
	Rate  Rate  `yaml:"rate" doc:"Statements over time, such as 5k/s. Over it they wait for limits.queue_timeout at most, then SQLSTATE 53400."`
	Burst int   `yaml:"burst" min:"0" max:"1000000000" doc:"How many may come at once; 0 = one second's worth."`
	Per   Ident `yaml:"per" shown:"the whole table" doc:"The shard key: each of its values has the rate for itself."`
}

// Cap is the rate without the key.
func (r TableRate) Cap() RateCap { return RateCap{Rate: r.Rate, Burst: r.Burst} }

// placesRows tells whether a key of tables[] says where rows live.
func placesRows(path string) bool {
	switch path {
	case "tables[].name", "tables[].shard_key", "tables[].strategy", "tables[].colocate", "tables[].ranges", "tables[].values",
		"tables[].default", "tables[].shard":
		return true
	}
	return false
}

// MinBound is the lower bound of the first range: it is open below.
const MinBound = "MIN"

// Range is one entry of tables[].ranges: the shard that owns the keys from From up to the next range's From.
type Range struct {
	From  string `yaml:"from" required:"true" doc:"Lower bound, inclusive, in PostgreSQL's text form; MIN in the first range."`
	Shard string `yaml:"shard" required:"true" doc:"Owner of the range."`
}

// ListValue is one entry of tables[].values.
type ListValue struct {
	Value string `yaml:"value" required:"present" doc:"A key value in PostgreSQL's text form."`
	Shard string `yaml:"shard" required:"true" doc:"Owner of the value."`
}

// Group is a colocation group: its tables share one placement, so equal keys live together.
type Group struct {
	Name     string
	Strategy Strategy
	Tables   []Name      // in the file's order, at least one
	Ranges   []Range     // strategy range
	Values   []ListValue // strategy list
	Default  string      // strategy list; empty = other values are refused
}

// group returns the group of that name.
func (c *Config) group(name string) Group {
	for _, g := range c.Groups() {
		if g.Name == name {
			return g
		}
	}
	return Group{}
}

// Groups returns the colocation groups in the order in which the file first mentions them.
func (c *Config) Groups() []Group {
	var groups []Group
	for _, t := range c.Tables {
		if !t.Strategy.Sharded() {
			continue
		}
		name := c.GroupOf(t)
		i := slices.IndexFunc(groups, func(g Group) bool { return g.Name == name })
		if i < 0 {
			i = len(groups)
			groups = append(groups, Group{Name: name, Strategy: t.Strategy})
		}
		groups[i].join(t)
	}
	return groups
}

func (g *Group) join(t Table) {
	g.Tables = append(g.Tables, t.Name)
	if len(t.Ranges) > 0 {
		g.Ranges = t.Ranges
	}
	if len(t.Values) > 0 || t.Default != "" {
		g.Values, g.Default = t.Values, t.Default
	}
}

// GroupOf returns the name of t's colocation group; empty for reference and home tables. colocate may name a table (then it
// is that table's group) or be a word that tables share. Without it the group is called like the table.
func (c *Config) GroupOf(t Table) string {
	if !t.Strategy.Sharded() {
		return ""
	}
	visited := []string{}
	for {
		own := t.Name.Short()
		if slices.Contains(visited, own) { // tables that name each other in a circle are one group all the same
			return slices.Min(visited[slices.Index(visited, own):])
		}
		visited = append(visited, own)
		if t.Colocate == "" {
			return own
		}
		next, ok := c.tableNamed(t.Colocate)
		if !ok {
			return t.Colocate
		}
		if next.Name == t.Name {
			return own
		}
		t = next
	}
}

// tableNamed finds the sharded table that the text names.
func (c *Config) tableNamed(text string) (Table, bool) {
	name, err := ParseName(text)
	if err != nil {
		return Table{}, false
	}
	for _, t := range c.Tables {
		if t.Name == name && t.Strategy.Sharded() {
			return t, true
		}
	}
	return Table{}, false
}
