package config

import (
	"fmt"
	"reflect"
	"strings"
)

// modeline makes editors with a YAML language server complete and check the file.
const modeline = "# yaml-language-server: $schema=./config.schema.json\n"

// Export writes a Config as a file that Parse reads. Secrets are written as the references they came from; a plain password
// becomes ******, which Parse refuses, so that nobody takes it for the password.
func Export(cfg *Config) []byte {
	var out strings.Builder
	out.WriteString(modeline)
	writeSection(&out, exportSection(reflect.ValueOf(cfg).Elem(), false), "")
	return []byte(out.String())
}

// entry is one key of an exported section; its value is a text in YAML syntax, a []entry or a []any.
type entry struct {
	key   string
	value any
}

// exportSection keeps what is set and what has a default, in the file's order.
func exportSection(section reflect.Value, inherit bool) []entry {
	var out []entry
	for _, k := range keysOf(section.Type()) {
		field := section.Field(k.index)
		sparse := inherit || k.inherit
		if field.IsZero() && (sparse || k.preset == "" && !k.required) {
			continue
		}
		value := exportValue(field, sparse)
		if m, ok := value.([]entry); ok && len(m) == 0 {
			continue
		}
		out = append(out, entry{k.name, value})
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
		return fmt.Sprint(v.Interface())
	default:
		return quote(escape(fmt.Sprint(v.Interface())))
	}
}

func exportSecret(s Secret) any {
	switch {
	case s.file != "":
		return []entry{{"file", quote(escape(s.file))}}
	case s.env != "":
		return []entry{{"env", quote(s.env)}}
	default:
		return quote(s.String())
	}
}

// escape keeps dollars from being read as variables.
func escape(text string) string { return strings.ReplaceAll(text, "$", "$$") }
