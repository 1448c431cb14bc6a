package router

import (
	"bytes"

	"github.com/pgring/pgring/router/internal/sql"
)

// Value is one parameter or literal.
type Value struct {
	Data   []byte // text or binary representation
	Null   bool
	Binary bool
	OID    uint32 // declared type; 0: not declared
}

// Values are the parameters of an execution: index i is $(i+1). False: there is
// no such parameter.
type Values interface {
	Value(i int) (Value, bool)
}

// literalSource is a Values that has the literals of the statement's text too:
// index j is the j-th literal that the normaliser found.
type literalSource interface {
	literal(j int) (sql.Kind, []byte, bool)
}

// literals are the literals of a statement of a simple Query. Such a statement
// has no parameters.
type literals struct {
	text []byte
	list []sql.Literal
	rows *sql.Rows // of an INSERT that is planned by its rows
}

// Value implements Values: there is no parameter.
func (l *literals) Value(int) (Value, bool) { return Value{}, false }

// literal returns the decoded text of the j-th literal.
func (l *literals) literal(j int) (sql.Kind, []byte, bool) {
	if j >= len(l.list) {
		return 0, nil, false
	}
	lit := &l.list[j]
	text := l.text[lit.Start:lit.End]
	if lit.Kind == sql.Integer { // most keys are integers, and they stand for themselves
		return sql.Integer, text, true
	}
	data, ok := sql.Decode(text, lit.Kind, nil)
	return lit.Kind, data, ok
}

// noValues are the Values of a statement without parameters and literals.
type noValues struct{}

// Value implements Values.
func (noValues) Value(int) (Value, bool) { return Value{}, false }

func (noValues) literal(int) (sql.Kind, []byte, bool) { return 0, nil, false }

// fixedLiterals are literals copied out of a text.
type fixedLiterals []fixedLiteral

type fixedLiteral struct {
	kind sql.Kind
	data []byte
	ok   bool
}

func (f fixedLiterals) literal(j int) (sql.Kind, []byte, bool) {
	if j >= len(f) {
		return 0, nil, false
	}
	return f[j].kind, f[j].data, f[j].ok
}

// withLiterals returns a copy of s that has its literals with it.
func (s *Statement) withLiterals(from *literals) *Statement {
	fixed := make(fixedLiterals, len(from.list))
	for j := range fixed {
		kind, data, ok := from.literal(j)
		fixed[j] = fixedLiteral{kind, bytes.Clone(data), ok}
	}
	own := *s
	own.fixed = fixed
	own.needsLiterals = false
	return &own
}
