package config

import (
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/pgring/pgring/ring"
)

// checker looks for faults that concern several keys: references, duplicates, order. Keys that were not understood are left
// out, so that one fault is reported once.
type checker struct {
	*decoder
	cfg *Config
}

func (c *checker) check() {
	c.listen()
	c.users()
	c.shards()
	c.ring()
	c.control()
	c.tables()
	c.kafka()
	c.pool()
}

// pool checks that min_idle fits into size; the default of min_idle gives way to a small size.
func (c *checker) pool() {
	p := &c.cfg.Pool
	switch {
	case !c.sound("pool.min_idle") || !c.sound("pool.size") || p.MinIdle <= p.Size:
	case c.given("pool.min_idle"):
		c.conflict("pool.min_idle", fmt.Sprintf("pool.min_idle (%d) is more than pool.size (%d)", p.MinIdle, p.Size), "", "pool.size", "pool.size stands here")
	default:
		p.MinIdle = p.Size
	}
}

// sound tells whether a key, and every section around it, was understood.
func (c *checker) sound(path string) bool {
	for p := path; p != ""; p = parentPath(p) {
		if c.broken[p] {
			return false
		}
	}
	return true
}

// given tells whether the file has the key at all.
func (c *checker) given(path string) bool {
	_, ok := c.spots[path]
	return ok
}

// at returns where a key's value stands, or the nearest section around it.
func (c *checker) at(path string) spot {
	for p := path; p != ""; p = parentPath(p) {
		if s, ok := c.spots[p]; ok {
			return s
		}
	}
	return spot{line: 1, column: 1}
}

func parentPath(path string) string {
	return path[:max(0, strings.LastIndexAny(path, ".["))]
}

func (c *checker) fault(path, message, hint string) { c.report(c.at(path), message, hint) }

// conflict reports a fault that has two places.
func (c *checker) conflict(path, message, hint, otherPath, note string) {
	c.faults = append(c.faults, fault{at: c.at(path), message: message, hint: hint, noteAt: c.at(otherPath), note: note})
}

func (c *checker) warn(path, message, hint string) {
	c.warnings = append(c.warnings, fault{at: c.at(path), message: message, hint: hint})
}

func (c *checker) listen() {
	l := c.cfg.Listen
	c.address("listen.sql", l.SQL)
	if l.HTTP != "" {
		c.address("listen.http", l.HTTP)
		if l.HTTP == l.SQL && c.given("listen.http") {
			c.fault("listen.http", "listen.http is the same address as listen.sql", "")
		}
	}
	tls := l.TLS
	switch {
	case !c.sound("listen.tls"):
	case tls.Cert != "" && tls.Key == "":
		c.fault("listen.tls.cert", "listen.tls has a cert but no key", "")
	case tls.Cert == "" && tls.Key != "":
		c.fault("listen.tls.key", "listen.tls has a key but no cert", "")
	case tls.Mode == TLSRequire && tls.Cert == "":
		c.fault("listen.tls.mode", "listen.tls.mode require needs cert and key", "")
	case tls.ClientCA != "" && tls.Mode != TLSRequire:
		c.fault("listen.tls.client_ca", "client certificates need listen.tls.mode require", "without it a client could leave TLS out")
	}
	host, _, _ := net.SplitHostPort(l.SQL)
	if !local(host) && tls.Mode != TLSRequire {
		c.warn("listen.sql", "clients on the network may talk without encryption", "set listen.tls.mode to require")
	}
}

// address checks a "host:port" to listen on.
func (c *checker) address(path, address string) {
	if !c.sound(path) {
		return
	}
	_, port, err := net.SplitHostPort(address)
	n, portErr := strconv.ParseUint(port, 10, 16)
	if err != nil || portErr != nil || n == 0 && port != "0" {
		c.fault(path, fmt.Sprintf("%q is not an address to listen on", address), "write host:port, such as 127.0.0.1:6432 or [::1]:6432; :6432 is every address")
	}
}

func (c *checker) users() {
	first := map[string]string{}
	for i, u := range c.cfg.Auth.Users {
		path := fmt.Sprintf("auth.users[%d]", i)
		c.once(first, path+".name", u.Name, "user")
		c.password(path+".password", u.Password)
		database := c.cfg.DatabaseOf(u)
		where := path + ".database"
		if !c.given(where) {
			where = "backend.database"
		}
		if database == ConsoleDatabase || database == ConsoleAlias {
			c.fault(where, fmt.Sprintf("%q is the name of the console", database), "give the users' database another name: auth.users[].database")
		}
		if database == "" && u.Role == RoleApp && c.sound(path) && c.sound("backend.database") && c.sound(path+".role") && c.sound(path+".database") {
			c.fault(path, "the user has no database", "set database here or backend.database")
		}
	}
}

// password checks the password of a client user.
func (c *checker) password(path string, s Secret) {
	text := s.Reveal()
	switch {
	case !s.IsSet() || !c.sound(path):
	case IsVerifier(text):
		if _, err := ParseVerifier(text); err != nil {
			c.fault(path, err.Error(), "pgring hash-password makes one")
		}
	case len(text) == 35 && strings.HasPrefix(text, "md5"):
		c.fault(path, "an md5 hash cannot be used: clients log in with SCRAM-SHA-256", "pgring hash-password makes a verifier of the password")
	}
}

// once reports the second use of a name.
func (c *checker) once(first map[string]string, path, name, what string) {
	if name == "" || !c.sound(path) {
		return
	}
	if before, twice := first[name]; twice {
		c.conflict(path, fmt.Sprintf("%s %s is declared twice", what, name), "", before, "it is declared here first")
		return
	}
	first[name] = path
}

func (c *checker) shards() {
	first, servers := map[string]string{}, map[string]string{}
	active, warned := false, false
	for i, s := range c.cfg.Shards {
		path := fmt.Sprintf("shards[%d]", i)
		c.once(first, path+".name", s.Name, "shard")
		if s.Name != "" && !shardName(s.Name) {
			c.fault(path+".name", fmt.Sprintf("%q cannot be a shard's name", s.Name), "up to 63 letters, digits, _, - and ., the first one a letter or digit")
		}
		active = active || s.State == StateActive || !c.sound(path+".state")
		c.server(servers, path, s)
		if !warned && c.cfg.BackendOf(s).TLS.Mode == BackendDisable && !local(s.Host) && s.Host != "" {
			warned = true // once is enough: most files say it for all shards
			c.warn(path+".host", fmt.Sprintf("pgring talks to shard %s over the network without encryption", s.Name), "set backend.tls.mode to verify-full")
		}
	}
	if !active && len(c.cfg.Shards) > 0 {
		c.fault("shards", "no shard is active", "at least one shard needs state: active")
	}
}

// ring asks the ring itself whether it can be built; single values were checked before.
func (c *checker) ring() {
	if !c.sound("ring.virtual_nodes") || !c.sound("ring.load_bound") || !c.sound("ring") || len(c.faults) > 0 {
		return
	}
	var shards []ring.Shard
	for _, s := range c.cfg.Shards {
		shards = append(shards, ring.Shard{ID: ring.ShardID(s.Name), Weight: s.Weight})
	}
	_, err := ring.New(ring.Config{VirtualNodes: c.cfg.Ring.VirtualNodes, LoadBound: c.cfg.Ring.LoadBound}, shards)
	if err != nil {
		c.fault("ring.virtual_nodes", err.Error(), "")
	}
}

// server reports two shards that are the same database: their rows would be counted twice.
func (c *checker) server(servers map[string]string, path string, s Shard) {
	if s.Host == "" || !c.sound(path+".host") || !c.sound(path+".port") || !c.sound(path+".backend.database") {
		return
	}
	database := net.JoinHostPort(s.Host, strconv.Itoa(s.Port)) + "/" + c.cfg.BackendOf(s).Database
	if before, twice := servers[database]; twice {
		c.conflict(path+".host", fmt.Sprintf("shard %s is the same database as another shard", s.Name), "", before+".host", "the other shard stands here")
		return
	}
	servers[database] = path
}

func shardName(name string) bool {
	for i, r := range name {
		alnum := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		if !alnum && (i == 0 || !strings.ContainsRune("_-.", r)) {
			return false
		}
	}
	return len(name) <= 63
}

// reference reports a shard that does not exist.
func (c *checker) reference(path, name string) {
	if name == "" || !c.sound(path) || !c.sound("shards") || len(c.cfg.Shards) == 0 {
		return
	}
	if _, ok := c.cfg.Shard(name); ok {
		return
	}
	var names []string
	for i, s := range c.cfg.Shards {
		if c.broken[fmt.Sprintf("shards[%d].name", i)] || c.broken[fmt.Sprintf("shards[%d]", i)] {
			return // the name may well be the one that was not understood
		}
		names = append(names, s.Name)
	}
	hint := didYouMean(name, names)
	if hint == "" {
		hint = "the shards are " + strings.Join(names[:min(len(names), 20)], ", ")
	}
	c.fault(path, fmt.Sprintf("there is no shard %q", name), hint)
}

func (c *checker) control() {
	c.reference("control.shard", c.cfg.Control.Shard)
	if c.given("control.shard") && c.cfg.Control.URL.IsSet() {
		c.conflict("control.url", "control has both a shard and a url", "keep one of them", "control.shard", "control.shard stands here")
	}
	url := c.cfg.Control.URL.Reveal()
	if c.cfg.Control.URL.IsSet() && c.sound("control.url") && !strings.HasPrefix(url, "postgres://") && !strings.HasPrefix(url, "postgresql://") {
		c.fault("control.url", "control.url is not a postgres:// URL", "")
	}
}
