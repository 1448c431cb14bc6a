package config

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"

	"github.com/pgring/pgring/topology/partition"
)

// Schema returns the JSON schema (draft 7, which editors' YAML servers read best) of the file.
func Schema() ([]byte, error) {
	root := schemaSection(reflect.TypeFor[Config](), false)
	root["$schema"] = "http://json-schema.org/draft-07/schema#"
	root["$id"] = "https://github.com/pgring/pgring/config.schema.json"
	root["title"] = "pgring configuration"
	text, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write schema: %w", err)
	}
	return append(text, '\n'), nil
}

type object = map[string]any

func schemaSection(t reflect.Type, inherit bool) object {
	properties := object{}
	required := []string{}
	for _, k := range keysOf(t) {
		k.inherit = k.inherit || inherit
		property := schemaValue(k)
		property["description"] = description(k)
		properties[k.name] = property
		if !k.inherit && k.preset == "" && (k.required || len(requiredBelow(k)) > 0) {
			required = append(required, k.name)
		}
	}
	section := object{"type": "object", "additionalProperties": false, "properties": properties}
	if len(required) > 0 {
		section["required"] = required
	}
	return section
}

func description(k key) string {
	text := k.doc
	if k.shown != "" {
		text += " Default: " + k.shown + "."
	}
	if k.restart {
		text += " Changes only with a restart."
	}
	return text
}

func schemaValue(k key) object {
	switch shapeOf(k.typ) {
	case shapeSecret:
		return schemaSecret()
	case shapeSection:
		return schemaSection(k.typ, k.inherit)
	case shapeList:
		list := object{"type": "array", "items": schemaValue(key{typ: k.typ.Elem()})}
		if k.required {
			list["minItems"] = 1
		}
		return list
	default:
		return schemaScalar(k)
	}
}

func schemaSecret() object {
	reference := func(name string) object {
		return object{
			"type": "object", "additionalProperties": false, "required": []string{name},
			"properties": object{name: object{"type": "string", "minLength": 1}},
		}
	}
	return object{"anyOf": []object{{"type": []string{"string", "number"}}, reference("file"), reference("env")}}
}

// schemaScalar describes one value. Numbers and the like may also come from ${VAR}.
func schemaScalar(k key) object {
	variable := object{"type": "string", "pattern": `\$\{`}
	var value object
	switch {
	case len(k.enum) > 0:
		value = object{"enum": k.enum}
	case k.typ == reflect.TypeFor[Duration]():
		value = object{"type": []string{"string", "integer"}, "pattern": `^(0|(\d+d)?([\d.]+(h|m|s|ms|us|µs|ns))*)$`, "maximum": 0, "minimum": 0}
	case k.typ == reflect.TypeFor[partition.Period]():
		value = object{"type": []string{"string", "integer"}, "pattern": `^(0|\d+(min|h|d|w|mo|y))$`, "maximum": 0, "minimum": 0}
	case k.typ == reflect.TypeFor[Size]():
		value = object{"type": []string{"string", "integer"}, "pattern": `^(0|\d+(B|KiB|MiB|GiB|TiB))$`, "maximum": 0, "minimum": 0}
	case k.typ.Kind() == reflect.Int:
		value = schemaLimits(object{"type": "integer"}, k)
	case k.typ.Kind() == reflect.Float64:
		value = schemaLimits(object{"type": "number"}, k)
	case k.typ.Kind() == reflect.Bool:
		value = object{"type": "boolean"}
	default:
		value = object{"type": []string{"string", "number", "boolean"}}
		if k.filled {
			value["minLength"] = 1
		}
		return withDefault(value, k)
	}
	return withDefault(object{"anyOf": []object{value, variable}}, k)
}

func schemaLimits(value object, k key) object {
	if n, err := strconv.ParseFloat(k.min, 64); err == nil {
		value["minimum"] = n
	}
	if n, err := strconv.ParseFloat(k.max, 64); err == nil {
		value["maximum"] = n
	}
	return value
}

func withDefault(value object, k key) object {
	if k.preset == "" || k.inherit {
		return value
	}
	if parsed, err := parseScalar(k.typ, k.preset); err == nil && (k.typ.Kind() == reflect.Int || k.typ.Kind() == reflect.Float64 || k.typ.Kind() == reflect.Bool) {
		value["default"] = parsed.Interface()
		return value
	}
	value["default"] = k.preset
	return value
}
