package config

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/pgring/pgring/internal/golden"
)

func outcomes(changes []Change) map[string]Outcome {
	out := map[string]Outcome{}
	for _, c := range changes {
		out[c.Key] = c.Outcome
	}
	return out
}

const shop = `version: 1
auth: {users: [{name: app, password: secret}, {name: gone, password: secret}]}
backend: {user: app, database: app}
shards: [{name: s1, host: localhost}, {name: s2, host: localhost, port: 5433}]
tables:
  - {name: customers, shard_key: [id]}
  - {name: orders, shard_key: [customer_id], colocate: customers}
  - {name: ledger, shard_key: [id], strategy: range, ranges: [{from: MIN, shard: s1}, {from: 10, shard: s2}]}
  - {name: settings, strategy: home}
`

func TestReloadOfTheSameFileChangesNothing(t *testing.T) {
	changes, err := Compare(parse(t, shop), parse(t, shop))
	if err != nil || len(changes) < 60 {
		t.Fatalf("%d changes, %v", len(changes), err)
	}
	for _, c := range changes {
		if c.Outcome != Unchanged {
			t.Errorf("%+v", c)
		}
	}
}

func TestReloadGolden(t *testing.T) {
	replace := func(pairs ...string) string { return strings.NewReplacer(pairs...).Replace(shop) }
	var out strings.Builder
	for _, c := range []struct{ name, text string }{
		{"limits and listeners", shop + "pool: {size: 5}\nlisten: {sql: 127.0.0.1:7000, drain_timeout: 1s}\nlimits: {max_clients: 9, message_size: 1MiB}\ncontrol: {url: postgres://u:hunter2@h/db}\n"},
		{"a new shard, user and table", replace("port: 5433}]", "port: 5433}, {name: s3, host: localhost, port: 5434, weight: 2, backend: {password: hunter2}}]",
			"{name: gone,", "{name: new,", "tables:", "tables:\n  - {name: countries, strategy: reference}")},
		{"a password", replace("password: secret}, ", "password: hunter2}, ")},
		{"a shard elsewhere", replace("port: 5433", "port: 5439, weight: 3, state: draining")},
		{"the same groups in other words", replace("{name: customers, shard_key: [id]}", "{name: customers, shard_key: [id], colocate: public.customers}",
			", colocate: customers", ", colocate: public.customers", "strategy: home}", "strategy: home, shard: s1}")},
		{"another shard key, strategy and group", replace("shard_key: [customer_id], colocate: customers", "shard_key: [region], strategy: hash")},
		{"other ranges", replace("from: 10", "from: 20")},
		{"home elsewhere", replace("strategy: home}", "strategy: home, shard: s2}")},
		{"without a home table", replace("  - {name: settings, strategy: home}\n", "")},
		{"without a sharded table", replace("  - {name: orders, shard_key: [customer_id], colocate: customers}\n", "")},
		{"asynchronous writes without a place for their log", replace("colocate: customers}", "colocate: customers, async: {enabled: true}}") + "async: {dir: /var/lib/pgring/async}\n"},
		{"without a shard", replace(", {name: s2, host: localhost, port: 5433}", "", "shard: s2", "shard: s1")},
		{"another first shard", replace("{name: s1, host: localhost}, {name: s2, host: localhost, port: 5433}", "{name: s2, host: localhost, port: 5433}, {name: s1, host: localhost}")},
	} {
		changes, err := Compare(parse(t, shop), parse(t, c.text))
		fmt.Fprintf(&out, "── %s\n", c.name)
		for _, c := range changes {
			if c.Outcome != Unchanged {
				fmt.Fprintf(&out, "%s | %s | %s | %s | %s | %s\n", c.Key, c.Old, c.New, c.Outcome, c.Reason, c.Hint)
			}
		}
		fmt.Fprintf(&out, "error: %v\n\n", err)
		var refused *RefusedError
		if err != nil && !errors.As(err, &refused) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if strings.Contains(out.String(), "hunter2") {
		t.Errorf("a secret is printed:\n%s", out.String())
	}
	golden.Check(t, "reload", out.String())
}

// What needs a restart goes on as it was, so a second reload says so again.
func TestRestartKeysKeepTheirValues(t *testing.T) {
	old := parse(t, shop)
	next := parse(t, shop+"listen: {sql: 127.0.0.1:7000, drain_timeout: 1s}\nlimits: {max_clients: 9, message_size: 1MiB}\n")
	running := KeepUntilRestart(old, next)
	if running.Listen.SQL != "127.0.0.1:6432" || running.Limits.MaxClients != 5000 || running.Limits.MessageSize != next.Limits.MessageSize {
		t.Errorf("running: %+v, %+v", running.Listen, running.Limits)
	}
	if next.Listen.SQL != "127.0.0.1:7000" {
		t.Error("KeepUntilRestart changed its argument")
	}
	changes, err := Compare(running, next)
	if err != nil {
		t.Fatal(err)
	}
	for key, outcome := range outcomes(changes) {
		want := Unchanged
		if key == "listen.sql" || key == "listen.drain_timeout" || key == "limits.max_clients" {
			want = Restart
		}
		if outcome != want {
			t.Errorf("%s: %s, want %s", key, outcome, want)
		}
	}
}

func TestSettingsListEveryKeyOnce(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range parse(t, readFile(t, root(t, "config.example.yaml"))).Settings() {
		if seen[s.Key] {
			t.Errorf("%s is listed twice", s.Key)
		}
		seen[s.Key] = true
		if strings.Contains(s.Value, "content of") {
			t.Errorf("%s shows a secret: %s", s.Key, s.Value)
		}
	}
	for _, key := range []string{"listen.sql", "shards[s3].backend.database", "auth.users[app].password", "tables[public.ledger].ranges"} {
		if !seen[key] {
			t.Errorf("%s is not listed", key)
		}
	}
}
