package config

import (
	"strings"
	"testing"
)

func TestBackendOfOverlaysTheShardsOwnKeys(t *testing.T) {
	cfg := parse(t, `version: 1
auth: {users: [{name: app, password: x}, {name: own, password: x, backend: {user: own_rw, password: own}}, {name: dba, role: admin, password: x}]}
backend: {user: app, password: p, database: app, operator: {user: op, password: o}}
shards:
  - {name: s1, host: 10.0.0.1}
  - {name: s2, host: 127.0.0.2, backend: {database: two, password: p2, connect_timeout: 1s, tls: {ca: ca.crt}}}
  - {name: s3, host: /run/postgresql, backend: {operator: {user: op3}, tls: {mode: require}}}
`)
	s1, s2, s3 := cfg.BackendOf(cfg.Shards[0]), cfg.BackendOf(cfg.Shards[1]), cfg.BackendOf(cfg.Shards[2])
	if s1.TLS.Mode != BackendVerifyFull || s1.Database != "app" || s1.Operator.User != "op" || s1.ConnectTimeout.String() != "3s" {
		t.Errorf("s1: %+v", s1)
	}
	if s2.TLS.Mode != BackendDisable || s2.Database != "two" || s2.Password.Reveal() != "p2" || s2.ConnectTimeout.String() != "1s" || !strings.HasSuffix(string(s2.TLS.CA), "/ca.crt") {
		t.Errorf("s2: %+v", s2)
	}
	if s3.TLS.Mode != BackendRequire || s3.Operator.User != "op3" || s3.Password.Reveal() != "p" {
		t.Errorf("s3: %+v", s3)
	}
	app, _ := cfg.User("app")
	own, _ := cfg.User("own")
	dba, _ := cfg.User("dba")
	if l := cfg.LoginOf(app, cfg.Shards[1]); l.User != "app" || l.Password.Reveal() != "p2" {
		t.Errorf("app at s2: %+v", l)
	}
	if l := cfg.LoginOf(own, cfg.Shards[1]); l.User != "own_rw" || l.Password.Reveal() != "own" {
		t.Errorf("own at s2: %+v", l)
	}
	if cfg.DatabaseOf(app) != "app" || cfg.DatabaseOf(dba) != "" {
		t.Errorf("databases: %q, %q", cfg.DatabaseOf(app), cfg.DatabaseOf(dba))
	}
	if cfg.HomeShard() != "s1" || cfg.ControlShard() != "s1" {
		t.Errorf("home %q, control %q", cfg.HomeShard(), cfg.ControlShard())
	}
}

func TestOperatorFallsBackToTheBackendsLogin(t *testing.T) {
	cfg := parse(t, minimal("x"))
	if b := cfg.BackendOf(cfg.Shards[0]); b.Operator.User != "app" || b.TLS.Mode != BackendDisable {
		t.Errorf("backend: %+v", b)
	}
}

func TestSmallPoolNeedsNoMinIdle(t *testing.T) {
	if cfg := parse(t, minimal("x")+"pool: {size: 1}\n"); cfg.Pool.MinIdle != 1 {
		t.Errorf("min_idle = %d", cfg.Pool.MinIdle)
	}
}

func TestControlURLReplacesTheShard(t *testing.T) {
	if cfg := parse(t, minimal("x")+"control: {url: \"postgres://u@h/db\"}\n"); cfg.ControlShard() != "" {
		t.Errorf("control shard = %q", cfg.ControlShard())
	}
}

func TestGroups(t *testing.T) {
	cfg := parse(t, minimal("x")+`tables:
  - {name: customers, shard_key: [id], colocate: customers}
  - {name: orders, shard_key: [customer_id], colocate: public.customers}
  - {name: lines, shard_key: [customer_id], colocate: orders}
  - {name: shop.alone, shard_key: [id], strategy: hash}
  - {name: a, shard_key: [id], colocate: word}
  - {name: b, shard_key: [id], colocate: word}
  - {name: round, shard_key: [id], colocate: about}
  - {name: about, shard_key: [id], colocate: round}
  - {name: r1, shard_key: [id], strategy: range, colocate: r2}
  - {name: r2, shard_key: [id], strategy: range, ranges: [{from: MIN, shard: s1}]}
  - {name: currencies, strategy: reference}
`)
	var got []string
	for _, g := range cfg.Groups() {
		var names []string
		for _, n := range g.Tables {
			names = append(names, n.Short())
		}
		got = append(got, g.Name+"="+strings.Join(names, ","))
		if g.Name == "r2" && len(g.Ranges) != 1 {
			t.Errorf("group r2 has ranges %v", g.Ranges)
		}
	}
	if got, want := strings.Join(got, " "), "customers=customers,orders,lines shop.alone=shop.alone word=a,b about=round,about r2=r1,r2"; got != want {
		t.Errorf("groups: %s\nwant:   %s", got, want)
	}
}

func TestSafeDefaults(t *testing.T) {
	cfg := parse(t, minimal("x"))
	if !strings.HasPrefix(cfg.Listen.SQL, "127.0.0.1:") || !strings.HasPrefix(cfg.Listen.HTTP, "127.0.0.1:") || cfg.Observe.Pprof || cfg.Observe.LogValues {
		t.Errorf("listen %+v, observe %+v", cfg.Listen, cfg.Observe)
	}
	for _, text := range []string{"auth: {users: []}", "auth: {}", "auth:", "auth: {users: [{name: app}]}", `auth: {users: [{name: app, password: ""}]}`} {
		file := strings.Replace(minimal("x"), "auth: {users: [{name: app, password: x}]}", text, 1)
		if _, err := Parse("x", []byte(file), Env{}); err == nil {
			t.Errorf("%s is accepted", text)
		}
	}
}
