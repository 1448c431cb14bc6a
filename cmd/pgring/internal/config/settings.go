package config

import (
	"fmt"
	"reflect"
	"strings"
)

// Setting is one key of a Config with its value, for SHOW CONFIG. Secrets are masked.
type Setting struct {
	Key     string // such as pool.size or shards[s1].weight
	Value   string // as it would be written in the file
	Default string // empty = none
	Restart bool   // changes only with a restart

	element string        // the list entry that the key belongs to, such as shards[s1]
	value   reflect.Value // to compare with
	path    string        // general form, such as shards[].weight
}

// Settings lists every key in the file's order; list entries go by their names.
func (c *Config) Settings() []Setting {
	var out []Setting
	settings(reflect.ValueOf(c).Elem(), Setting{}, &out)
	return out
}

func settings(section reflect.Value, at Setting, out *[]Setting) {
	for _, k := range keysOf(section.Type()) {
		field := section.Field(k.index)
		next := Setting{
			Key: join(at.Key, k.name), path: join(at.path, k.name), element: at.element,
			Default: k.preset, Restart: k.restart || at.Restart, value: field,
		}
		if next.Default == "" && k.shown != "" {
			next.Default = "(" + k.shown + ")"
		}
		switch {
		case shapeOf(k.typ) == shapeSection:
			settings(field, next, out)
		case shapeOf(k.typ) == shapeList && named(k.typ.Elem()):
			for i := range field.Len() {
				entry := next
				entry.Key = fmt.Sprintf("%s[%s]", next.Key, valueText(field.Index(i).FieldByName("Name")))
				entry.path += "[]"
				entry.element = entry.Key
				settings(field.Index(i), entry, out)
			}
		default:
			next.Value = valueText(field)
			*out = append(*out, next)
		}
	}
}

// named tells whether entries of a list have a name of their own.
func named(t reflect.Type) bool {
	if t.Kind() != reflect.Struct || shapeOf(t) != shapeSection {
		return false
	}
	_, ok := t.FieldByName("Name")
	return ok
}

// valueText writes a value as the file would, on one line and with secrets masked.
func valueText(v reflect.Value) string {
	switch {
	case v.Type() == reflect.TypeFor[Secret]():
		return v.Interface().(Secret).Source()
	case shapeOf(v.Type()) == shapeSection:
		return flowText(v)
	case v.Kind() == reflect.Slice:
		items := make([]string, v.Len())
		for i := range items {
			items[i] = valueText(v.Index(i))
		}
		if len(items) == 0 {
			return ""
		}
		return "[" + strings.Join(items, ", ") + "]"
	default:
		return fmt.Sprint(v.Interface())
	}
}

// flowText writes a section as {key: value, …} without what is unset.
func flowText(section reflect.Value) string {
	var items []string
	for _, k := range keysOf(section.Type()) {
		if field := section.Field(k.index); !field.IsZero() {
			items = append(items, k.name+": "+valueText(field))
		}
	}
	return "{" + strings.Join(items, ", ") + "}"
}

// describe is valueText for values that are at hand.
func describe(v any) string { return valueText(reflect.ValueOf(v)) }
