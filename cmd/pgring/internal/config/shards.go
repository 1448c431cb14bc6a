package config

import (
	"net/netip"
	"strings"
)

// BackendTLSMode says how much TLS towards a shard proves, in PostgreSQL's terms (sslmode).
type BackendTLSMode string

// The modes of backend.tls.
const (
	BackendDisable    BackendTLSMode = "disable"
	BackendRequire    BackendTLSMode = "require"
	BackendVerifyCA   BackendTLSMode = "verify-ca"
	BackendVerifyFull BackendTLSMode = "verify-full"
)

// Backend is the section backend and, as shards[].backend, what one shard does differently. Use BackendOf for the sum.
type Backend struct {
	User           string     `yaml:"user" required:"true" doc:"Role that pgring logs in with, for users without a login of their own."`
	Password       Secret     `yaml:"password" doc:"Its password; unset = the shard asks for none."`
	Database       string     `yaml:"database" required:"true" doc:"Database on the shards."`
	TLS            BackendTLS `yaml:"tls" doc:"TLS towards the shards."`
	ConnectTimeout Duration   `yaml:"connect_timeout" default:"3s" min:"10ms" doc:"How long connecting and logging in may take."`
	Operator       Login      `yaml:"operator" inherit:"true" doc:"Login for control tables, guards and moves, so that applications' roles need no extra rights. Default: user and password above."`
}

// BackendTLS is backend.tls.
type BackendTLS struct {
	Mode BackendTLSMode `yaml:"mode" enum:"disable|require|verify-ca|verify-full" shown:"verify-full; disable where the host is a loopback address or a socket" doc:"As PostgreSQL's sslmode; there is no silent fallback to plain text."`
	CA   Path           `yaml:"ca" shown:"the system's certificates" doc:"Certificate authorities in PEM that the shards' certificates are checked against."`
}

// ShardState is the wished state of a shard.
type ShardState string

// The states that a file may wish for.
const (
	StateActive   ShardState = "active"
	StateReadOnly ShardState = "readonly"
	StateDraining ShardState = "draining"
)

// Shard is one entry of shards.
type Shard struct {
	Name    string     `yaml:"name" required:"true" doc:"Identity of the shard; another name is another shard."`
	Host    string     `yaml:"host" required:"true" doc:"Host name, address, or directory of a Unix socket (starts with a slash)."`
	Port    int        `yaml:"port" default:"5432" min:"1" max:"65535" doc:"Port of the server."`
	Weight  int        `yaml:"weight" default:"1" min:"0" max:"100" doc:"Share of the ring, relative to the other shards. 0: no slots, only keys that MOVE KEY brings."`
	State   ShardState `yaml:"state" default:"active" enum:"active|readonly|draining" doc:"readonly refuses writes; draining gets nothing new."`
	Backend Backend    `yaml:"backend" inherit:"true" doc:"Keys of section backend that differ on this shard."`
}

// Shard returns the shard of that name.
func (c *Config) Shard(name string) (Shard, bool) {
	for _, s := range c.Shards {
		if s.Name == name {
			return s, true
		}
	}
	return Shard{}, false
}

// HomeShard returns the name of the shard that keeps undeclared tables: the first one.
func (c *Config) HomeShard() string {
	if len(c.Shards) == 0 {
		return ""
	}
	return c.Shards[0].Name
}

// ControlShard returns the name of the shard with the control database; empty when control.url names another database.
func (c *Config) ControlShard() string {
	if c.Control.Shard != "" || c.Control.URL.IsSet() {
		return c.Control.Shard
	}
	return c.HomeShard()
}

// BackendOf returns how to log in to s: section backend, overridden by the shard's own keys, with TLS.Mode and Operator
// resolved (neither is ever empty).
func (c *Config) BackendOf(s Shard) Backend {
	b := c.Backend
	overlay(&b.User, s.Backend.User)
	overlay(&b.Database, s.Backend.Database)
	overlay(&b.TLS.Mode, s.Backend.TLS.Mode)
	overlay(&b.TLS.CA, s.Backend.TLS.CA)
	overlay(&b.ConnectTimeout, s.Backend.ConnectTimeout)
	if s.Backend.Password.IsSet() {
		b.Password = s.Backend.Password
	}
	if !s.Backend.Operator.IsZero() {
		b.Operator = s.Backend.Operator
	}
	if b.Operator.IsZero() {
		b.Operator = Login{User: b.User, Password: b.Password}
	}
	if b.TLS.Mode == "" {
		b.TLS.Mode = defaultTLSMode(s.Host)
	}
	return b
}

// LoginOf returns the login of client user u at shard s: the user's own when it has one, else the shard's.
func (c *Config) LoginOf(u User, s Shard) Login {
	if !u.Backend.IsZero() {
		return u.Backend
	}
	b := c.BackendOf(s)
	return Login{User: b.User, Password: b.Password}
}

func overlay[T comparable](to *T, from T) {
	var zero T
	if from != zero {
		*to = from
	}
}

// defaultTLSMode asks for a proven server unless the bytes never leave the machine.
func defaultTLSMode(host string) BackendTLSMode {
	if local(host) {
		return BackendDisable
	}
	return BackendVerifyFull
}

// local tells whether host is a socket, localhost or a loopback address.
func local(host string) bool {
	if strings.HasPrefix(host, "/") || host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && addr.Unmap().IsLoopback()
}
