package difftest

import (
	"fmt"
	"strings"
)

// tree is a piece of a random statement that knows how it may become smaller.
type tree struct {
	sort     string // a tree of the same sort may stand in its place; empty: none may
	parts    []any  // string, *tree or *literal
	optional bool   // it may be left out
	least    string // the simplest text in its place; empty: none
}

// literal is a constant, which the extended protocol may send as a parameter.
type literal struct {
	sql   string
	oid   uint32 // 0: never a parameter
	value string
}

// of makes a tree of a format in which each %s stands for the next part.
func of(sort, format string, parts ...any) *tree {
	t := &tree{sort: sort}
	texts := strings.Split(format, "%s")
	for i, text := range texts {
		if text != "" {
			t.parts = append(t.parts, text)
		}
		if i < len(texts)-1 {
			t.parts = append(t.parts, parts[i])
		}
	}
	return t
}

// maybe marks a tree as one that may be left out.
func (t *tree) maybe() *tree {
	t.optional = true
	return t
}

func (t *tree) or(least string) *tree {
	t.least = least
	return t
}

// statement writes the tree; asParam says which literals become parameters.
func (t *tree) statement(asParam func(*literal) bool) statement {
	var b strings.Builder
	var s statement
	t.write(&b, &s, asParam)
	s.text = b.String()
	return s
}

func (t *tree) write(b *strings.Builder, s *statement, asParam func(*literal) bool) {
	for _, part := range t.parts {
		switch part := part.(type) {
		case string:
			b.WriteString(part)
		case *tree:
			part.write(b, s, asParam)
		case *literal:
			if part.oid == 0 || asParam == nil || !asParam(part) {
				b.WriteString(part.sql)
				continue
			}
			s.params = append(s.params, param{oid: part.oid, data: []byte(part.value)})
			fmt.Fprintf(b, "$%d", len(s.params))
		}
	}
}

func (t *tree) String() string { return t.statement(nil).text }

// smaller calls try with each way to make one place of the tree smaller, until try accepts one; the tree then stays so.
func (t *tree) smaller(try func() bool) bool {
	for i, part := range t.parts {
		kid, ok := part.(*tree)
		if !ok {
			continue
		}
		for _, instead := range kid.substitutes() {
			t.parts[i] = instead
			if try() {
				return true
			}
		}
		t.parts[i] = kid
		if kid.smaller(try) {
			return true
		}
	}
	return false
}

// substitutes are what may stand in the tree's place, the smallest first.
func (t *tree) substitutes() []any {
	var list []any
	if t.optional {
		list = append(list, "")
	}
	if t.least != "" && t.String() != t.least {
		list = append(list, t.least)
	}
	if t.sort != "" {
		t.descendants(t.sort, &list)
	}
	return list
}

func (t *tree) descendants(sort string, list *[]any) {
	for _, part := range t.parts {
		if kid, ok := part.(*tree); ok {
			if kid.sort == sort {
				*list = append(*list, kid)
			}
			kid.descendants(sort, list)
		}
	}
}
