package config

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// expand replaces ${VAR}, ${VAR:-fallback} and $$ in a value. A dollar before anything else is itself, so that SCRAM
// verifiers need no escapes. It reports unset variables and returns false then.
func (d *decoder) expand(node ast.Node, text, path string) (string, bool) {
	var out strings.Builder
	ok := true
	for {
		before, rest, found := strings.Cut(text, "$")
		out.WriteString(before)
		switch {
		case !found:
			if !ok {
				d.broken[path] = true
			}
			return out.String(), ok
		case strings.HasPrefix(rest, "$"):
			out.WriteByte('$')
			text = rest[1:]
		case strings.HasPrefix(rest, "{"):
			inner, after, closed := strings.Cut(rest[1:], "}")
			if !closed {
				d.reject(node, path, `"${" has no closing "}"`, "write $$ for a dollar sign")
				return "", false
			}
			value, set := d.variable(node, inner)
			out.WriteString(value)
			ok = ok && set
			text = after
		default:
			out.WriteByte('$')
			text = rest
		}
	}
}

// variable returns the value of what stands between ${ and }.
func (d *decoder) variable(node ast.Node, inner string) (string, bool) {
	name, fallback, hasFallback := strings.Cut(inner, ":-")
	if !variableName(name) {
		d.report(d.find(node, "${"+inner), fmt.Sprintf("%q is not the name of an environment variable", name), "write $$ for a dollar sign")
		return "", false
	}
	if value, ok := d.lookup(name); ok && (value != "" || !hasFallback) {
		return value, true
	}
	if hasFallback {
		return fallback, true
	}
	d.report(d.find(node, "${"+inner), fmt.Sprintf("environment variable %s is not set", name), "set it, or write ${"+name+":-fallback}")
	return "", false
}

func (d *decoder) lookup(name string) (string, bool) {
	if d.env.Lookup == nil {
		return "", false
	}
	return d.env.Lookup(name)
}

func variableName(name string) bool {
	for i, r := range name {
		if r != '_' && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return name != ""
}

// find returns the spot of a part of a value: the first place at or after the value's start that has it. A value that spans
// lines is searched in the lines after the first too.
func (d *decoder) find(node ast.Node, part string) spot {
	start := spotOf(nodeToken(node))
	width := len([]rune(part)) + 1 // and the closing brace
	skip := start.column - 1
	for number := start.line; number <= len(d.src.lines) && number < start.line+1000; number++ {
		line := []rune(d.src.lines[number-1])
		if before, _, ok := strings.Cut(string(line[min(skip, len(line)):]), part); ok {
			return spot{line: number, column: skip + len([]rune(before)) + 1, width: width}
		}
		skip = 0
	}
	return start
}

// secret decodes a Secret: {file: …}, {env: …}, or a scalar.
func (d *decoder) secret(node ast.Node, into reflect.Value, k key, path string) {
	d.spots[path] = spotOf(nodeToken(node))
	var s Secret
	var ok bool
	switch node.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		s, ok = d.secretReference(node, path)
	default:
		s, ok = d.plainSecret(node, k, path)
	}
	if ok && s.Reveal() == "" {
		d.reject(node, path, fmt.Sprintf("%q is empty", k.name), "")
	} else if ok && strings.ContainsRune(s.Reveal(), 0) {
		d.reject(node, path, fmt.Sprintf("%q holds a zero byte", k.name), "")
	} else if ok {
		into.Set(reflect.ValueOf(s))
	}
}

func (d *decoder) plainSecret(node ast.Node, k key, path string) (Secret, bool) {
	raw, ok := plainText(node)
	if !ok || node.Type() == ast.NullType {
		d.reject(node, path, fmt.Sprintf("%q is a text, {file: …} or {env: …}, not %s", k.name, kindOf(node)), "")
		return Secret{}, false
	}
	if raw == Mask {
		d.reject(node, path, Mask+" is what pgring prints in place of a secret", "write the secret, {file: …} or {env: …}")
		return Secret{}, false
	}
	text, ok := d.expand(node, raw, path)
	s := PlainSecret(text)
	if name := strings.TrimSuffix(strings.TrimPrefix(raw, "${"), "}"); raw == "${"+name+"}" && variableName(name) {
		s.env = name // ${NAME} alone is the same as {env: NAME} and can be printed as such
	}
	return s, ok
}

func (d *decoder) secretReference(node ast.Node, path string) (Secret, bool) {
	pairs, _ := d.pairs(node, path)
	if len(pairs) != 1 {
		d.src.hide(node)
		d.reject(node, path, "a secret is one of {file: path} and {env: NAME}", "")
		return Secret{}, false
	}
	name, at, ok := d.keyText(pairs[0])
	if !ok {
		return Secret{}, false
	}
	if name != "file" && name != "env" {
		d.src.hide(node)
		d.broken[path] = true
		d.report(at, fmt.Sprintf("unknown key %q", name), "a secret is one of {file: path} and {env: NAME}")
		return Secret{}, false
	}
	value := pairs[0].Value
	raw, ok := plainText(value)
	if !ok || value.Type() == ast.NullType {
		d.src.hide(value)
		d.reject(value, path, fmt.Sprintf("%q is a text, not %s", name, kindOf(value)), "")
		return Secret{}, false
	}
	if raw == "" {
		d.reject(value, path, fmt.Sprintf("%q is empty", name), "")
		return Secret{}, false
	}
	text, ok := d.expand(value, raw, path)
	if !ok {
		return Secret{}, false
	}
	if name == "env" {
		return d.envSecret(value, text, path)
	}
	return d.fileSecret(value, d.path(text), path)
}

func (d *decoder) envSecret(node ast.Node, name, path string) (Secret, bool) {
	text, ok := d.lookup(name)
	if !ok {
		d.reject(node, path, fmt.Sprintf("environment variable %s is not set", name), "")
		return Secret{}, false
	}
	return Secret{text: &text, env: name}, true
}

// fileSecret reads a secret file; the line end that editors add does not belong to the secret.
func (d *decoder) fileSecret(node ast.Node, file, path string) (Secret, bool) {
	if d.env.ReadFile == nil {
		d.reject(node, path, "secret files cannot be read here", "")
		return Secret{}, false
	}
	content, err := d.env.ReadFile(file)
	if err != nil {
		d.reject(node, path, fmt.Sprintf("read secret: %v", err), "")
		return Secret{}, false
	}
	text := strings.TrimRight(string(content), "\r\n")
	return Secret{text: &text, file: file}, true
}
