package config

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/pgring/pgring/topology/partition"
)

// scalar decodes a single value.
func (d *decoder) scalar(node ast.Node, into reflect.Value, k key, path string) {
	d.spots[path] = spotOf(nodeToken(node))
	raw, ok := plainText(node)
	if !ok {
		d.reject(node, path, fmt.Sprintf("%q is %s, not %s", k.name, wanted(k), kindOf(node)), "")
		return
	}
	if node.Type() == ast.NullType {
		d.reject(node, path, fmt.Sprintf("%q has no value", k.name), "remove the key to get its default")
		return
	}
	text, ok := d.expand(node, raw, path)
	if !ok {
		return
	}
	if text == raw && quoted(node) && !textual(k.typ) {
		d.reject(node, path, fmt.Sprintf("%q is %s, not a text", k.name, wanted(k)), "remove the quotes")
		return
	}
	if k.typ == reflect.TypeFor[Path]() {
		text = d.path(text)
	}
	if text == "" && k.filled {
		d.reject(node, path, fmt.Sprintf("%q must not be empty", k.name), "")
		return
	}
	if err := setScalar(into, k, text); err != nil {
		d.reject(node, path, fmt.Sprintf("%q: %v", k.name, err), enumHint(k, text))
	}
}

// plainText returns a scalar node as it is written, without quotes.
func plainText(node ast.Node) (string, bool) {
	switch n := node.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NullNode, *ast.InfinityNode, *ast.NanNode:
		return node.GetToken().Value, true
	default:
		return "", false
	}
}

// quoted tells whether the file forces a value to be a text that would be something else without the quotes.
func quoted(node ast.Node) bool {
	if _, ok := node.(*ast.StringNode); !ok {
		return false
	}
	return strings.ContainsAny(strings.TrimSpace(node.GetToken().Origin)[:1], `"'`)
}

// textual tells whether values of the type may well be quoted. Only numbers and true/false may not: a quoted number is
// more often a slip than a wish.
func textual(t reflect.Type) bool {
	if t == reflect.TypeFor[Duration]() || t == reflect.TypeFor[Size]() {
		return true
	}
	return t.Kind() == reflect.String || t.Kind() == reflect.Struct
}

// setScalar parses text into a field and checks the key's limits.
func setScalar(into reflect.Value, k key, text string) error {
	if len(k.enum) > 0 && !slices.Contains(k.enum, text) {
		return fmt.Errorf("%q is none of %s", text, strings.Join(k.enum, ", "))
	}
	value, err := parseScalar(into.Type(), text)
	if err != nil {
		return err
	}
	if err := checkLimits(value, k); err != nil {
		return err
	}
	into.Set(value.Convert(into.Type()))
	return nil
}

// parseScalar reads a value of a scalar type.
func parseScalar(t reflect.Type, text string) (reflect.Value, error) {
	var value any
	var err error
	switch t {
	case reflect.TypeFor[Duration]():
		value, err = ParseDuration(text)
	case reflect.TypeFor[Size]():
		value, err = ParseSize(text)
	case reflect.TypeFor[Rate]():
		value, err = ParseRate(text)
	case reflect.TypeFor[partition.Period]():
		value, err = partition.ParsePeriod(text)
	case reflect.TypeFor[Name]():
		value, err = ParseName(text)
	case reflect.TypeFor[Ident]():
		value, err = ParseIdent(text)
	default:
		value, err = parseBasic(t.Kind(), text)
	}
	return reflect.ValueOf(value), err
}

func parseBasic(kind reflect.Kind, text string) (any, error) {
	switch kind {
	case reflect.String:
		if strings.ContainsRune(text, 0) {
			return "", errors.New("a text cannot hold a zero byte")
		}
		return text, nil
	case reflect.Int:
		n, err := strconv.Atoi(strings.ReplaceAll(text, "_", ""))
		if err != nil {
			return 0, fmt.Errorf("expected a whole number, found %q", text)
		}
		return n, nil
	case reflect.Float64:
		f, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			return 0.0, fmt.Errorf("expected a number, found %q", text)
		}
		return f, nil
	case reflect.Bool:
		if text != "true" && text != "false" {
			return false, fmt.Errorf("expected true or false, found %q", text)
		}
		return text == "true", nil
	default:
		return nil, fmt.Errorf("values of kind %s are not read from files", kind)
	}
}

// checkLimits compares a number with the key's smallest and largest values.
func checkLimits(value reflect.Value, k key) error {
	if k.min != "" && k.min == k.max && compareLimit(value, k.min) != 0 {
		return fmt.Errorf("this pgring reads %s, not %s", k.min, valueText(value))
	}
	if k.min != "" && compareLimit(value, k.min) < 0 {
		return fmt.Errorf("%s is less than the smallest value, %s", valueText(value), k.min)
	}
	if k.max != "" && compareLimit(value, k.max) > 0 {
		return fmt.Errorf("%s is more than the largest value, %s", valueText(value), k.max)
	}
	return nil
}

// compareLimit orders a value and a limit from a struct tag. Limits are parsed like values; TestDefaultsAreValid reads
// every one of them.
func compareLimit(value reflect.Value, limit string) int {
	bound, err := parseScalar(value.Type(), limit)
	if err != nil {
		return 0
	}
	switch {
	case value.CanInt() && value.Int() < bound.Int(), value.CanFloat() && value.Float() < bound.Float():
		return -1
	case value.CanInt() && value.Int() > bound.Int(), value.CanFloat() && value.Float() > bound.Float():
		return 1
	default:
		return 0
	}
}

func enumHint(k key, text string) string {
	if len(k.enum) == 0 {
		return ""
	}
	return didYouMean(strings.ToLower(text), k.enum)
}

// wanted names what a key's value is, for messages.
func wanted(k key) string {
	switch {
	case len(k.enum) > 0:
		return "one of " + strings.Join(k.enum, ", ")
	case k.typ == reflect.TypeFor[Duration]():
		return "a duration"
	case k.typ == reflect.TypeFor[Size]():
		return "a size"
	case k.typ == reflect.TypeFor[Rate]():
		return "a rate"
	case k.typ == reflect.TypeFor[partition.Period]():
		return "a period"
	case k.typ == reflect.TypeFor[Name]():
		return "a table's name"
	case k.typ == reflect.TypeFor[Path]():
		return "a path"
	case k.typ.Kind() == reflect.Int, k.typ.Kind() == reflect.Float64:
		return "a number"
	case k.typ.Kind() == reflect.Bool:
		return "true or false"
	default:
		return "a text"
	}
}

// kindOf names what a node is, for messages.
func kindOf(node ast.Node) string {
	switch node.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a section"
	case *ast.SequenceNode:
		return "a list"
	case *ast.NullNode:
		return "nothing"
	case *ast.BoolNode:
		return "true or false"
	case *ast.IntegerNode, *ast.FloatNode:
		return "a number"
	default:
		return "a text"
	}
}
