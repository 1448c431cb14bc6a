package config

import (
	"strings"
	"testing"

	"github.com/pgring/pgring/internal/golden"
	"pgregory.net/rapid"
)

func TestExportReadsBack(t *testing.T) {
	cfg := parse(t, readFile(t, root(t, "config.example.yaml")))
	text := Export(cfg)
	golden.Check(t, "export", string(text))
	sameConfig(t, cfg, parse(t, string(text)))
}

func TestExportMasksPlainSecrets(t *testing.T) {
	text := Export(parse(t, minimal("hunter2")+"control: {url: \"postgres://u:hunter2@h/db\"}\n"))
	if strings.Contains(string(text), "hunter2") {
		t.Errorf("a secret is exported:\n%s", text)
	}
	_, err := Parse("exported.yaml", text, fakeEnv())
	if err == nil || strings.Count(err.Error(), "in place of a secret") != 2 {
		t.Errorf("the exported file: %v", err)
	}
}

func TestExportOfAnythingReadsBack(t *testing.T) {
	base := parse(t, shop)
	for i := range base.Auth.Users {
		base.Auth.Users[i].Password = Secret{text: new("content of /x"), file: "/x"}
	}
	rapid.Check(t, func(rt *rapid.T) {
		cfg := *base
		word := rapid.OneOf(rapid.StringMatching(`[a-z$:#{}\[\]&*!|>'"%@,?~ 0-9.\-\\]{1,12}`), rapid.SampledFrom([]string{"null", "true", "1", "1.0", "0x1", "~", "- a", "a: b", "${A}", " x ", "\n", "a\nb\n", "\t", "ü", "\u2028", "=", "<<", "---", "..."}))
		cfg.Backend.Database = word.Draw(rt, "database")
		cfg.Backend.User = word.Draw(rt, "user")
		cfg.Listen.HTTP = rapid.SampledFrom([]string{"", "127.0.0.1:1"}).Draw(rt, "http")
		cfg.Pool.Size = rapid.IntRange(2, 100).Draw(rt, "size")
		cfg.Ring.LoadBound = rapid.Float64Range(1.01, 2).Draw(rt, "bound")
		cfg.Limits.ClientIdleTimeout = Duration(rapid.Int64Min(0).Draw(rt, "idle"))
		cfg.Observe.Pprof = rapid.Bool().Draw(rt, "pprof")
		cfg.Tables = append([]Table{{Name: Name{"x", drawIdent(rt)}, Strategy: StrategyList, ShardKey: []Ident{drawIdent(rt)},
			Values: []ListValue{{Value: word.Draw(rt, "value"), Shard: "s1"}, {Shard: "s2"}}}}, base.Tables...)
		text := Export(&cfg)
		got, err := Parse("exported.yaml", text, fakeEnv())
		if err != nil {
			rt.Fatalf("%v\n%s", err, text)
		}
		sameConfig(rt, &cfg, got)
	})
}

type failer interface{ Errorf(string, ...any) }

func sameConfig(t failer, want, got *Config) {
	a, b := want.Settings(), got.Settings()
	for i := range min(len(a), len(b)) {
		if a[i].Key != b[i].Key || a[i].Value != b[i].Value || !same(a[i].value, b[i].value) {
			t.Errorf("%s = %q reads back as %s = %q", a[i].Key, a[i].Value, b[i].Key, b[i].Value)
		}
	}
	if len(a) != len(b) {
		t.Errorf("%d settings read back as %d", len(a), len(b))
	}
}
