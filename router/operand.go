package router

import (
	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/router/internal/sql"
)

// operandKind says where the value of an operand is.
type operandKind uint8

const (
	operandUnset   operandKind = iota
	operandConst               // in the statement itself: NULL, or the 1 of FETCH FIRST ROW
	operandLiteral             // the index-th literal of the text
	operandParam               // $(index+1)
	operandGiven               // by a directive
	operandTuple               // of parts
)

// castKind is an explicit cast around an operand, as far as it matters.
type castKind uint8

const (
	castNone castKind = iota
	castKey           // to a type of the key's own family
)

// operand is one value that a key is compared with or written as: where it
// stands and how it is to be read. It holds no value, so one statement serves
// all values.
type operand struct {
	kind     operandKind
	index    int
	negative bool // literal: the number has an odd number of minus signs
	null     bool
	array    bool // a PostgreSQL array of values
	cast     castKind
	stored   bool  // it is written to the key column rather than compared with it
	modifier int32 // stored: the modifier of the key column's type; -1: it stores every value as it is, 0: not known
	shared   bool  // parameter used elsewhere too: an undeclared type may come from there
	lit      sql.Kind
	keyType  ring.KeyType
	given    []byte
	parts    []operand // of a tuple, in the order of the key's columns
}

// operand reads a constant expression that a key of the given type is compared
// with. False: it is none, or what it is compared as is not certain.
func (a *analysis) operand(n *pg.Node, keyType ring.KeyType) (operand, bool) {
	cast := castNone
	for {
		c := n.GetTypeCast()
		if c == nil {
			break
		}
		kind, ok := castOf(c.TypeName, keyType, false)
		if !ok {
			return operand{}, false
		}
		cast = kind
		n = c.Arg
	}
	switch n := n.GetNode().(type) {
	case *pg.Node_AConst:
		return a.constant(n.AConst, keyType, cast)
	case *pg.Node_ParamRef:
		if n.ParamRef.Number <= 0 {
			return operand{}, false
		}
		a.typed[n.ParamRef] = keyType
		return operand{
			kind: operandParam, index: int(n.ParamRef.Number) - 1, cast: cast, keyType: keyType,
			shared: a.survey.uses(n.ParamRef.Number) > 1,
		}, true
	}
	return operand{}, false
}

// constant reads a literal.
func (a *analysis) constant(c *pg.A_Const, keyType ring.KeyType, cast castKind) (operand, bool) {
	if c.Isnull {
		return operand{kind: operandConst, null: true, keyType: keyType}, true
	}
	switch c.Val.(type) {
	case *pg.A_Const_Ival, *pg.A_Const_Fval, *pg.A_Const_Sval:
	default:
		return operand{}, false
	}
	o, ok := a.literalAt(int(c.Location))
	if !ok {
		return operand{}, false
	}
	o.keyType, o.cast = keyType, cast
	return o, readable(o.lit, keyType)
}

// literalAt finds the literal of the text that the parser reports at a byte
// position: it starts there, or signs do that belong to it. Constants that the
// parser made up have a negative position.
func (a *analysis) literalAt(position int) (operand, bool) {
	if position < 0 {
		return operand{}, false
	}
	o := operand{kind: operandLiteral}
	scanner := sql.Scanner{Text: a.src.text, Pos: position}
	for {
		tok := scanner.Next()
		switch {
		case tok.Kind == sql.Comment:
			continue
		case tok.Kind == sql.Operator && tok.End == tok.Start+1 && a.src.text[tok.Start] == '-':
			o.negative = !o.negative
			continue
		}
		for j, lit := range a.src.literals {
			if lit.Start-a.src.offset == tok.Start {
				o.index, o.lit = j, lit.Kind
				return o, true
			}
		}
		return operand{}, false
	}
}

// readable says whether a literal of this kind can be compared with a key of
// this type without PostgreSQL choosing another type or operator.
func readable(kind sql.Kind, keyType ring.KeyType) bool {
	switch kind {
	case sql.String, sql.EString, sql.DollarString:
		return true
	case sql.Integer, sql.Float:
		return keyType == ring.KeyInt || keyType == ring.KeyNumeric
	default:
		return false
	}
}

// sameReading says whether the operands of one list can be read one by one. A
// list with a number that has a fraction makes PostgreSQL read its strings as
// numeric, too.
func sameReading(list []operand) bool {
	fraction, text := false, false
	for _, o := range list {
		if o.kind == operandLiteral && o.keyType == ring.KeyInt {
			fraction = fraction || o.lit == sql.Float
			text = text || o.lit != sql.Float && o.lit != sql.Integer
		}
	}
	return !fraction || !text
}

// typedAsKey says whether ARRAY[…] of these elements is an array of the key's
// type family without a cast: untyped strings alone would make it text[].
func typedAsKey(list []operand, keyType ring.KeyType) bool {
	if keyType == ring.KeyText {
		return true
	}
	for _, o := range list {
		text := o.kind == operandLiteral && o.lit != sql.Integer && o.lit != sql.Float
		if o.cast == castNone && (text || o.kind == operandConst || o.kind == operandParam) {
			return false
		}
	}
	return true
}

// castOf says what a cast does to a value compared with a key: nothing if it is
// to the key's own type family. False: it may change the value or the operator.
func castOf(t *pg.TypeName, keyType ring.KeyType, array bool) (castKind, bool) {
	return castKey, keyType != ring.KeyUnset && castFamily(t, array) == keyType
}

// castFamily returns the key type of the values that a cast gives; KeyUnset for
// casts that are not followed here, such as those that cut or round.
func castFamily(t *pg.TypeName, array bool) ring.KeyType {
	if t == nil || t.Setof || t.PctType || len(t.Typmods) > 0 || (len(t.ArrayBounds) > 0) != array {
		return ring.KeyUnset
	}
	name, ok := words(t.Names)
	if !ok || len(name) == 0 || len(name) > 2 || len(name) == 2 && name[0] != catalogSchema {
		return ring.KeyUnset
	}
	switch name[len(name)-1] {
	case "int2", "int4", "int8":
		return ring.KeyInt
	case "text", "varchar":
		return ring.KeyText
	case "uuid":
		return ring.KeyUUID
	case "timestamp":
		return ring.KeyTimestamp
	case "timestamptz":
		return ring.KeyTimestampTZ
	case "numeric":
		return ring.KeyNumeric
	case "bytea":
		return ring.KeyBytea
	}
	return ring.KeyUnset
}

// ownType returns the key type that a constant has by itself: by its cast, or
// an integer's. KeyUnset for others: what PostgreSQL makes of them depends on
// where they stand.
func (a *analysis) ownType(n *pg.Node) ring.KeyType {
	if c := n.GetTypeCast(); c != nil {
		return castFamily(c.TypeName, false)
	}
	if c := n.GetAConst(); c != nil && !c.Isnull {
		if o, ok := a.literalAt(int(c.Location)); ok && o.lit == sql.Integer {
			return ring.KeyInt
		}
	}
	return ring.KeyUnset
}

// typedConstant reads a constant in a select list; false if it is none whose type is
// certain.
func (a *analysis) typedConstant(n *pg.Node) (operand, bool) {
	keyType := a.ownType(n)
	if keyType == ring.KeyUnset {
		return operand{}, false
	}
	return a.operand(n, keyType)
}
