package config

import (
	"fmt"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// decoder fills the structs from the syntax tree. It goes on after a fault, so that one run finds them all, and remembers
// where each value stands for the checks that follow.
type decoder struct {
	src    *source
	env    Env
	folder string // relative paths start here

	faults   []fault
	warnings []fault
	spots    map[string]spot // key path -> its value; a list element's path is tables[2]
	broken   map[string]bool // key paths whose value was not understood: no more complaints about them
}

// fault is a Problem before its line is rendered: all secrets must be known before any line is.
type fault struct {
	at            spot
	message, hint string
	noteAt        spot
	note          string // empty = none
}

func newDecoder(src *source, env Env, folder string) *decoder {
	return &decoder{src: src, env: env, folder: folder, spots: map[string]spot{}, broken: map[string]bool{}}
}

// results renders faults and warnings.
func (d *decoder) results() (problems, warnings []Problem) {
	render := func(faults []fault) []Problem {
		var out []Problem
		for _, f := range faults {
			p := d.src.problem(f.at, f.message, f.hint)
			if f.note != "" {
				note := d.src.problem(f.noteAt, f.note, "")
				p.Note = &note
			}
			out = append(out, p)
		}
		return sortProblems(out)
	}
	return render(d.faults), render(d.warnings)
}

func (d *decoder) report(at spot, message, hint string) {
	d.faults = append(d.faults, fault{at: at, message: message, hint: hint})
}

// reject reports that the value of a key was not understood.
func (d *decoder) reject(node ast.Node, path, message, hint string) {
	d.broken[path] = true
	d.src.hideBelow(node)
	d.report(spotOf(nodeToken(node)), message, hint)
}

// frame is one section while it is decoded.
type frame struct {
	into    reflect.Value
	keys    []key
	inherit bool
	path    string
	seen    map[string]spot // the keys that the file gives, known or not
}

// section decodes a mapping into a struct. node is nil when the file says nothing.
func (d *decoder) section(node ast.Node, into reflect.Value, k key, path string) {
	at := spot{line: 1, column: 1}
	f := frame{into: into, keys: keysOf(into.Type()), inherit: k.inherit, path: path, seen: map[string]spot{}}
	if node != nil {
		at = spotOf(nodeToken(node))
	}
	if node != nil && node.Type() != ast.NullType {
		pairs, ok := d.pairs(node, path)
		if !ok {
			return
		}
		if len(pairs) > 0 {
			at = spotOf(pairs[0].Key.GetToken())
		}
		for _, pair := range pairs {
			d.pair(pair, f)
		}
	}
	if path != "" {
		d.spots[path] = at
	}
	if !k.inherit || len(f.seen) > 0 && into.Type() == reflect.TypeFor[Login]() {
		d.missing(f, at)
	}
}

// pair decodes one "key: value" of a section.
func (d *decoder) pair(pair *ast.MappingValueNode, f frame) {
	name, at, ok := d.keyText(pair)
	if !ok {
		return
	}
	if first, twice := f.seen[name]; twice {
		d.faults = append(d.faults, fault{at: at, message: fmt.Sprintf("%q is given twice", name), noteAt: first, note: "it is given here first"})
		d.hideUnknown(name, pair.Value, f.keys)
		return
	}
	f.seen[name] = at
	full := join(f.path, name)
	k, known := keyNamed(f.keys, name)
	if !known {
		d.unknown(name, full, at, f.keys)
		d.hideUnknown(name, pair.Value, f.keys)
		return
	}
	k.inherit = k.inherit || f.inherit
	d.value(pair.Value, f.into.Field(k.index), k, full)
	if _, ok := d.spots[full]; !ok {
		d.spots[full] = at
	}
}

func (d *decoder) unknown(name, full string, at spot, keys []key) {
	if planned(general(full)) {
		d.report(at, fmt.Sprintf("%q is not supported in this version of pgring", name), "remove it: pgring accepts no key that it would ignore")
		return
	}
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = k.name
	}
	hint := didYouMean(name, names)
	if hint == "" {
		hint = "known here: " + strings.Join(names, ", ")
	}
	d.report(at, fmt.Sprintf("unknown key %q", name), hint)
}

// hideUnknown masks the value of a key that is not known here when it may be a secret: by its name, or because the section
// has secrets and this may be one under a wrong name.
func (d *decoder) hideUnknown(name string, value ast.Node, keys []key) {
	hasSecrets := slices.ContainsFunc(keys, func(k key) bool { return shapeOf(k.typ) == shapeSecret })
	if hasSecrets || secretive(name) {
		d.src.hide(value)
	}
	d.src.hideBelow(value)
}

// missing reports required keys that the section does not have.
func (d *decoder) missing(f frame, at spot) {
	for _, k := range f.keys {
		if _, ok := f.seen[k.name]; ok || k.inherit || k.preset != "" {
			continue
		}
		full := join(f.path, k.name)
		if inner := requiredBelow(k); k.required || len(inner) > 0 {
			hint := k.doc
			if len(inner) > 0 {
				hint = "it needs " + strings.Join(inner, " and ")
			}
			d.report(at, fmt.Sprintf("missing key %q", full), hint)
			d.broken[full] = true
		}
	}
}

// requiredBelow lists the keys that a section cannot do without.
func requiredBelow(k key) []string {
	var names []string
	if shapeOf(k.typ) != shapeSection {
		return nil
	}
	for _, inner := range keysOf(k.typ) {
		if inner.required && inner.preset == "" {
			names = append(names, inner.name)
		}
	}
	return names
}

// value decodes the value of one key, whatever its shape.
func (d *decoder) value(node ast.Node, into reflect.Value, k key, path string) {
	if shapeOf(k.typ) == shapeSecret {
		d.src.hidePlain(node)
	}
	switch n := node.(type) {
	case *ast.AnchorNode, *ast.AliasNode:
		d.reject(node, path, "anchors and aliases are not supported", "write the value out")
		return
	case *ast.TagNode:
		d.reject(node, path, "YAML tags are not supported", "write the value without "+n.Start.Value)
		return
	}
	switch shapeOf(k.typ) {
	case shapeSecret:
		d.secret(node, into, k, path)
	case shapeSection:
		d.section(node, into, k, path)
	case shapeList:
		d.list(node, into, k, path)
	case shapeScalar:
		d.scalar(node, into, k, path)
	}
}

func (d *decoder) list(node ast.Node, into reflect.Value, k key, path string) {
	d.spots[path] = spotOf(nodeToken(node))
	if node.Type() == ast.NullType {
		if k.required {
			d.reject(node, path, fmt.Sprintf("%q is empty", k.name), k.doc)
		}
		return
	}
	seq, ok := node.(*ast.SequenceNode)
	if !ok {
		d.reject(node, path, fmt.Sprintf("%q is a list, not %s", k.name, kindOf(node)), listHint(node))
		return
	}
	if k.required && len(seq.Values) == 0 {
		d.reject(node, path, fmt.Sprintf("%q is empty", k.name), k.doc)
	}
	element := key{name: k.name, typ: k.typ.Elem(), filled: true}
	values := reflect.MakeSlice(k.typ, len(seq.Values), len(seq.Values))
	for i, item := range seq.Values {
		if shapeOf(element.typ) == shapeSection {
			setDefaults(values.Index(i))
		}
		d.value(item, values.Index(i), element, fmt.Sprintf("%s[%d]", path, i))
	}
	into.Set(values)
}

func listHint(node ast.Node) string {
	if text, ok := plainText(node); ok && node.Type() != ast.NullType {
		return "write [" + text + "]"
	}
	return "its entries start with a dash: - …"
}

// pairs returns the entries of a mapping.
func (d *decoder) pairs(node ast.Node, path string) ([]*ast.MappingValueNode, bool) {
	switch n := node.(type) {
	case *ast.MappingNode:
		return n.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}, true
	default:
		what := "the file"
		if path != "" {
			what = fmt.Sprintf("%q", path)
		}
		d.reject(node, path, fmt.Sprintf("%s is a section with keys, not %s", what, kindOf(node)), "")
		return nil, false
	}
}

// keyText returns the name of a key.
func (d *decoder) keyText(pair *ast.MappingValueNode) (string, spot, bool) {
	at := spotOf(nodeToken(pair.Key))
	if pair.Key.IsMergeKey() {
		d.report(at, "merge keys are not supported", "write the keys out")
		return "", at, false
	}
	text, ok := plainText(pair.Key)
	if !ok {
		d.report(at, "a key is a plain word", "")
	}
	return text, at, ok
}

// path makes a relative path start at the folder of the file.
func (d *decoder) path(text string) string {
	if text == "" || filepath.IsAbs(text) {
		return text
	}
	return filepath.Join(d.folder, text)
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// general turns tables[3].name into tables[].name.
func general(path string) string {
	return regexp.MustCompile(`\[\d+\]`).ReplaceAllString(path, "[]")
}

// nodeToken returns the token at which a node starts for the reader: a block mapping's own token is its first colon.
func nodeToken(node ast.Node) *token.Token {
	switch n := node.(type) {
	case *ast.MappingNode:
		if len(n.Values) > 0 && n.Start.Type != token.MappingStartType {
			return nodeToken(n.Values[0].Key)
		}
	case *ast.MappingValueNode:
		return nodeToken(n.Key)
	}
	return node.GetToken()
}

func spotOf(tk *token.Token) spot {
	text := strings.Trim(tk.Origin, " \t\r\n")
	text, _, _ = strings.Cut(text, "\n")
	return spot{line: tk.Position.Line, column: max(1, tk.Position.Column), width: len([]rune(text))}
}
