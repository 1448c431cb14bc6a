package config

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml"
)

// modeline makes editors with a YAML language server complete and check the file.
const modeline = "# yaml-language-server: $schema=./config.schema.json\n"

// Export writes a Config as a file that Parse reads. Secrets are written as the references they came from; a plain password
// becomes ******, which Parse refuses, so that nobody takes it for the password.
func Export(cfg *Config) ([]byte, error) {
	body, err := yaml.MarshalWithOptions(exportSection(reflect.ValueOf(cfg).Elem(), false), yaml.IndentSequence(true), yaml.UseSingleQuote(false))
	if err != nil {
		return nil, fmt.Errorf("write configuration: %w", err)
	}
	return append([]byte(modeline), body...), nil
}

// exportSection keeps what is set and what has a default, in the file's order.
func exportSection(section reflect.Value, inherit bool) yaml.MapSlice {
	var out yaml.MapSlice
	for _, k := range keysOf(section.Type()) {
		field := section.Field(k.index)
		sparse := inherit || k.inherit
		if field.IsZero() && (sparse || k.preset == "" && !k.required) {
			continue
		}
		value := exportValue(field, sparse)
		if m, ok := value.(yaml.MapSlice); ok && len(m) == 0 {
			continue
		}
		out = append(out, yaml.MapItem{Key: k.name, Value: value})
	}
	return out
}

func exportValue(v reflect.Value, inherit bool) any {
	switch {
	case v.Type() == reflect.TypeFor[Secret]():
		return exportSecret(v.Interface().(Secret))
	case shapeOf(v.Type()) == shapeSection:
		return exportSection(v, inherit)
	case v.Kind() == reflect.Slice:
		items := make([]any, v.Len())
		for i := range items {
			items[i] = exportValue(v.Index(i), inherit)
		}
		return items
	case v.Type() != reflect.TypeFor[Duration]() && v.Type() != reflect.TypeFor[Size]() && (v.CanInt() || v.CanFloat() || v.Kind() == reflect.Bool):
		return v.Interface()
	default:
		return escape(fmt.Sprint(v.Interface()))
	}
}

func exportSecret(s Secret) any {
	switch {
	case s.file != "":
		return yaml.MapSlice{{Key: "file", Value: escape(s.file)}}
	case s.env != "":
		return yaml.MapSlice{{Key: "env", Value: s.env}}
	default:
		return s.String()
	}
}

// escape keeps dollars from being read as variables.
func escape(text string) string { return strings.ReplaceAll(text, "$", "$$") }
