package config

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/pgring/pgring/topology/partition"
)

// key is one key of the file as a struct field and its tags describe it.
type key struct {
	name     string // yaml
	doc      string // one line of meaning
	preset   string // default, as it would be written in the file
	shown    string // the default in words, where it depends on other keys
	min, max string // inclusive, written as in the file; empty = none
	enum     []string
	required bool // must be there
	filled   bool // must not be empty when it is there
	restart  bool // changes only with a restart
	inherit  bool // what is unset below it comes from elsewhere: no defaults, nothing required
	index    int  // of the field in its struct
	typ      reflect.Type
}

// keysOf lists the keys of a section in the file's order.
func keysOf(section reflect.Type) []key {
	var keys []key
	for i := range section.NumField() {
		f := section.Field(i)
		name := f.Tag.Get("yaml")
		if name == "" {
			continue
		}
		k := key{
			name: name, index: i, typ: f.Type,
			doc: f.Tag.Get("doc"), preset: f.Tag.Get("default"), shown: f.Tag.Get("shown"),
			min: f.Tag.Get("min"), max: f.Tag.Get("max"),
			required: f.Tag.Get("required") != "", filled: f.Tag.Get("required") == "true",
			restart: f.Tag.Get("restart") != "", inherit: f.Tag.Get("inherit") != "",
		}
		if enum := f.Tag.Get("enum"); enum != "" {
			k.enum = strings.Split(enum, "|")
		}
		keys = append(keys, k)
	}
	return keys
}

func keyNamed(keys []key, name string) (key, bool) {
	for _, k := range keys {
		if k.name == name {
			return k, true
		}
	}
	return key{}, false
}

// shape is what a key's value looks like in YAML.
type shape uint8

const (
	shapeScalar  shape = iota + 1
	shapeSection       // a mapping with known keys
	shapeList
	shapeSecret // a scalar or {file: …} or {env: …}
)

func shapeOf(t reflect.Type) shape {
	switch {
	case t == reflect.TypeFor[Secret]():
		return shapeSecret
	case t == reflect.TypeFor[Name](), t == reflect.TypeFor[Rate](), t == reflect.TypeFor[partition.Period]():
		return shapeScalar
	case t.Kind() == reflect.Struct:
		return shapeSection
	case t.Kind() == reflect.Slice:
		return shapeList
	default:
		return shapeScalar
	}
}

// Default returns a Config with every default filled in. It is not complete: version, auth, backend and shards have none.
func Default() *Config {
	cfg := &Config{Version: Format}
	setDefaults(reflect.ValueOf(cfg).Elem())
	return cfg
}

// setDefaults fills in the defaults of a section and the sections below it.
func setDefaults(section reflect.Value) {
	for _, k := range keysOf(section.Type()) {
		field := section.Field(k.index)
		switch {
		case k.inherit:
		case shapeOf(k.typ) == shapeSection:
			setDefaults(field)
		case k.preset != "":
			if err := setScalar(field, k, k.preset); err != nil {
				panic(fmt.Sprintf("default of %s: %v", k.name, err)) // a bug in a struct tag; TestDefaultsAreValid finds it
			}
		}
	}
}

// TableDefaults returns a table with the defaults of the section tables.
func TableDefaults() Table { return defaultsOf[Table]() }

// ShardDefaults returns a shard with the defaults of the section shards.
func ShardDefaults() Shard { return defaultsOf[Shard]() }

// UserDefaults returns a user with the defaults of auth.users.
func UserDefaults() User { return defaultsOf[User]() }

func defaultsOf[T any]() T {
	var v T
	setDefaults(reflect.ValueOf(&v).Elem())
	return v
}
