package config

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// fakeEnv answers every variable and every secret file with a text made of its name.
func fakeEnv() Env {
	return Env{
		Lookup:   func(name string) (string, bool) { return "value-of-" + name, !strings.HasPrefix(name, "UNSET") },
		ReadFile: func(path string) ([]byte, error) { return []byte("content of " + path + "\n"), nil },
	}
}

func root(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", "..", "..", "..", name))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// parse parses a file that must be right.
func parse(t *testing.T, text string) *Config {
	t.Helper()
	cfg, err := Parse("pgring.yaml", []byte(text), fakeEnv())
	if err != nil {
		t.Fatalf("parse:\n%v", err)
	}
	return cfg
}

func TestExampleLoads(t *testing.T) {
	folder := t.TempDir()
	for _, name := range []string{"app_scram", "app_rw", "backend", "operator", "kafka"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte("secret of "+name+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PGRING_DBA_PASSWORD", "dba's")
	t.Setenv("PGRING_STATS_PASSWORD", "grafana's")
	text := strings.ReplaceAll(readFile(t, root(t, "config.example.yaml")), "/run/secrets/", folder+"/")
	path := filepath.Join(folder, "pgring.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := cfg.Auth.Users[0].Password.Reveal(); got != "secret of app_scram" {
		t.Errorf("password of app = %q", got)
	}
	if got := cfg.Auth.Users[1].Password.Reveal(); got != "dba's" {
		t.Errorf("password of dba = %q", got)
	}
	if w := cfg.Warnings(); len(w) != 0 {
		t.Errorf("warnings: %v", w)
	}
}

func TestExampleShowsTheDefaults(t *testing.T) {
	cfg := parse(t, readFile(t, root(t, "config.example.yaml")))
	want := Default()
	want.Control.Shard = cfg.HomeShard() // shown, and what its absence means
	for _, k := range keysOf(reflect.TypeFor[Config]()) {
		switch k.name {
		case "auth", "shards", "tables", "async":
		case "backend":
			if cfg.Backend.ConnectTimeout != want.Backend.ConnectTimeout {
				t.Errorf("backend.connect_timeout: the file says %s, the code %s", cfg.Backend.ConnectTimeout, want.Backend.ConnectTimeout)
			}
		default:
			got := reflect.ValueOf(*cfg).Field(k.index).Interface()
			if code := reflect.ValueOf(*want).Field(k.index).Interface(); !reflect.DeepEqual(got, code) {
				t.Errorf("%s: the file says %+v, the code %+v", k.name, got, code)
			}
		}
	}
}

// Every key of the structs stands in the example, so nobody has to guess one.
func TestExampleShowsEveryKey(t *testing.T) {
	text := readFile(t, root(t, "config.example.yaml"))
	src := newSource("x", text)
	tree, problem := parseTree(src, []byte(text))
	if problem != nil {
		t.Fatal(problem)
	}
	d := newDecoder(src, fakeEnv(), "/etc")
	d.section(tree, reflect.ValueOf(Default()).Elem(), key{}, "")
	shown := map[string]bool{"control.url": true} // instead of control.shard
	for path := range d.spots {
		shown[general(path)] = true
	}
	for _, path := range allKeys(reflect.TypeFor[Config](), "") {
		if !shown[path] && !strings.HasPrefix(path, "shards[].backend.") {
			t.Errorf("config.example.yaml does not show %s", path)
		}
	}
}

func allKeys(t reflect.Type, path string) []string {
	var keys []string
	for _, k := range keysOf(t) {
		full := join(path, k.name)
		keys = append(keys, full)
		switch {
		case shapeOf(k.typ) == shapeSection:
			keys = append(keys, allKeys(k.typ, full)...)
		case shapeOf(k.typ) == shapeList && shapeOf(k.typ.Elem()) == shapeSection:
			keys = append(keys, allKeys(k.typ.Elem(), full+"[]")...)
		}
	}
	return keys
}

// Invariant: struct tags hold valid defaults and limits, a meaning for every key, and no required key has a default below
// an optional one.
func TestDefaultsAreValid(t *testing.T) {
	var visit func(section reflect.Type, path string)
	visit = func(section reflect.Type, path string) {
		for _, k := range keysOf(section) {
			full := join(path, k.name)
			if k.doc == "" || !strings.HasSuffix(k.doc, ".") {
				t.Errorf("%s: its meaning is not a sentence: %q", full, k.doc)
			}
			for _, text := range []string{k.preset, k.min, k.max} {
				if text == "" {
					continue
				}
				if err := setScalar(reflect.New(k.typ).Elem(), k, text); err != nil {
					t.Errorf("%s: %v", full, err)
				}
			}
			for _, value := range k.enum {
				if err := setScalar(reflect.New(k.typ).Elem(), k, value); err != nil {
					t.Errorf("%s: %v", full, err)
				}
			}
			switch {
			case shapeOf(k.typ) == shapeSection:
				visit(k.typ, full)
			case shapeOf(k.typ) == shapeList && shapeOf(k.typ.Elem()) == shapeSection:
				visit(k.typ.Elem(), full+"[]")
			}
		}
	}
	visit(reflect.TypeFor[Config](), "")
}

func TestGeneratedFilesAreFresh(t *testing.T) {
	schema, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"config.schema.json": string(schema), "docs/config.md": Reference()} {
		file := root(t, path)
		if os.Getenv("PGRING_UPDATE") == "1" {
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got := readFile(t, file); got != want {
			t.Errorf("%s is stale; PGRING_UPDATE=1 go test writes it anew", path)
		}
	}
}
