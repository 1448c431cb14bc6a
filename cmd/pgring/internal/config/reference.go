package config

import (
	"fmt"
	"reflect"
	"strings"
)

// Reference returns docs/config.md: a table of keys for every section.
func Reference() string {
	var out strings.Builder
	out.WriteString(`# Configuration reference

<!-- Generated from cmd/pgring/internal/config; PGRING_UPDATE=1 go test ./cmd/pgring/internal/config writes it anew. -->

One YAML file, format ` + fmt.Sprint(Format) + `. [config.example.yaml](../config.example.yaml) shows all of it; ` + "`pgring check -c file`" + ` reports every fault
with its line. An unknown key is an error.

* Durations: ` + "`250ms`, `5s`, `1h30m`, `90d`" + `. Sizes: ` + "`64KiB`, `8MiB`, `1GiB`" + `. Periods, in which months are those of calendars: ` + "`15min`, `1h`, `1d`, `1w`, `1mo`, `1y`" + `. A unit is required, except for 0.
* ` + "`${VAR}` and `${VAR:-fallback}`" + ` are replaced inside values; an unset ` + "`${VAR}`" + ` is an error. ` + "`$$`" + ` is a dollar sign. Inside ` + "`{ }` and `[ ]`" + ` such
  values need quotes.
* A secret is a text, ` + "`{file: path}` or `{env: NAME}`" + `; it is read again by RELOAD and always printed as ` + "`" + Mask + "`" + `.
* A relative path starts at the folder of the configuration file.
* "Restart" marks keys that change only with a restart. RELOAD (or SIGHUP) applies all others, all of them or none.
`)
	referenceSection(&out, reflect.TypeFor[Config](), "", "", false)
	return out.String()
}

func referenceSection(out *strings.Builder, t reflect.Type, path, doc string, inherit bool) {
	heading := "The file"
	if path != "" {
		heading = path
	}
	fmt.Fprintf(out, "\n## %s\n\n", heading)
	if doc != "" {
		fmt.Fprintf(out, "%s\n\n", doc)
	}
	out.WriteString("| key | type | default | restart | meaning |\n|---|---|---|---|---|\n")
	keys := keysOf(t)
	for _, k := range keys {
		k.inherit = k.inherit || inherit
		fmt.Fprintf(out, "| %s | %s | %s | %s | %s |\n", k.name, cell(typeText(k)), cell(defaultText(k)), yesOrNothing(k.restart), cell(k.doc))
	}
	for _, k := range keys {
		inherit := k.inherit || inherit
		switch below := join(path, k.name); {
		case k.typ == reflect.TypeFor[Backend]() && inherit:
			// The same keys as section backend.
		case shapeOf(k.typ) == shapeSection:
			referenceSection(out, k.typ, below, k.doc, inherit)
		case shapeOf(k.typ) == shapeList && shapeOf(k.typ.Elem()) == shapeSection:
			referenceSection(out, k.typ.Elem(), below+"[]", k.doc, false)
		}
	}
}

func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }

func yesOrNothing(yes bool) string {
	if yes {
		return "yes"
	}
	return ""
}

func typeText(k key) string {
	switch {
	case len(k.enum) > 0:
		return strings.Join(k.enum, " | ")
	case shapeOf(k.typ) == shapeSecret:
		return "secret"
	case shapeOf(k.typ) == shapeSection:
		return "section"
	case shapeOf(k.typ) == shapeList && shapeOf(k.typ.Elem()) == shapeSection:
		return "list of sections"
	case shapeOf(k.typ) == shapeList:
		return "list"
	}
	text := strings.TrimPrefix(strings.TrimPrefix(wanted(k), "a "), "an ")
	switch {
	case k.min != "" && k.min == k.max:
		return k.min
	case k.min != "" && k.max != "":
		return fmt.Sprintf("%s, %s to %s", text, k.min, k.max)
	case k.min != "":
		return fmt.Sprintf("%s, from %s", text, k.min)
	default:
		return text
	}
}

func defaultText(k key) string {
	switch {
	case k.inherit && shapeOf(k.typ) != shapeSection:
		return ""
	case k.preset != "":
		return "`" + k.preset + "`"
	case k.shown != "":
		return k.shown
	case k.required:
		return "(required)"
	default:
		return ""
	}
}
