package router

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"strconv"
	"strings"

	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/router/internal/sql"
)

// reading is what came of reading an operand.
type reading uint8

const (
	readingUnset reading = iota
	readKey              // a key
	readNothing          // NULL, or a value that no key equals: it selects nothing
	readUnknown          // a value whose key is not certain
	readInvalid          // a value that PostgreSQL refuses
)

// Types that a parameter may be declared with, by oid.
const (
	oidBytea       = 17
	oidInt8        = 20
	oidInt2        = 21
	oidInt4        = 23
	oidText        = 25
	oidUnknown     = 705
	oidVarchar     = 1043
	oidTimestamp   = 1114
	oidTimestampTZ = 1184
	oidNumeric     = 1700
	oidUUID        = 2950
)

// input is where operands get their values from.
type input struct {
	literals literalSource
	params   Values
	foreign  bool // texts are not in the servers' encoding
	rows     *sql.Rows
}

// value returns the operand's value before it is read as a key. literal is its
// kind when it is one.
func (in *input) value(o *operand) (v Value, literal sql.Kind, err *Refusal) {
	switch o.kind {
	case operandConst:
		return Value{Null: true}, 0, nil
	case operandLiteral:
		kind, data, ok := in.literals.literal(o.index)
		if !ok {
			return Value{}, sql.Error, nil
		}
		return Value{Data: data}, kind, nil
	case operandParam:
		v, ok := in.params.Value(o.index)
		if !ok {
			return v, 0, undefinedParameter(o.index)
		}
		return v, 0, nil
	case operandGiven:
		return Value{Data: o.given}, sql.String, nil
	case operandUnset, operandTuple:
	}
	return Value{}, sql.Error, nil
}

func undefinedParameter(index int) *Refusal {
	return &Refusal{Reason: UndefinedParameter, Message: "there is no parameter $" + strconv.Itoa(index+1)}
}

// key reads an operand that is one value.
func (in *input) key(o *operand) (ring.Key, reading, *Refusal) {
	switch o.kind {
	case operandLiteral:
		kind, data, ok := in.literals.literal(o.index)
		switch {
		case !ok:
			return ring.Key{}, readUnknown, nil
		case kind == sql.Integer:
			return in.integer(o, data)
		case kind == sql.Float:
			return in.decimal(o, data)
		}
		return in.text(o, data)
	case operandParam:
		v, ok := in.params.Value(o.index)
		switch {
		case !ok:
			return ring.Key{}, readInvalid, undefinedParameter(o.index)
		case v.Null:
			return ring.Key{}, readNothing, nil
		}
		return in.param(o, v)
	case operandGiven:
		return in.text(o, o.given)
	case operandConst:
		return ring.Key{}, readNothing, nil
	case operandTuple:
		return in.tuple(o)
	case operandUnset:
	}
	return ring.Key{}, readUnknown, nil
}

// decimal reads a numeric literal with a point or an exponent, without its sign.
func (in *input) decimal(o *operand, digits []byte) (ring.Key, reading, *Refusal) {
	if o.keyType != ring.KeyInt {
		return in.integer(o, digits)
	}
	integral, exact := cutFraction(digits)
	switch {
	case exact:
		return in.integer(o, integral)
	case o.stored, o.cast != castNone, bytes.IndexAny(digits, "eE_") >= 0:
		return ring.Key{}, readUnknown, nil // it would be rounded, or is no number before PostgreSQL 16
	}
	return ring.Key{}, readNothing, nil
}

// integer reads a numeric literal as it stands, but for its sign.
func (in *input) integer(o *operand, digits []byte) (ring.Key, reading, *Refusal) {
	if o.negative {
		digits = append([]byte{'-'}, digits...)
	}
	key, err := ring.ParseKey(o.keyType, digits)
	if err != nil {
		return in.noNumber(o, err, digits)
	}
	return in.certain(o, key, digits)
}

// noNumber is integer for what is no key.
func (in *input) noNumber(o *operand, err error, digits []byte) (ring.Key, reading, *Refusal) {
	switch {
	case bytes.IndexByte(digits, '_') >= 0: // a number from PostgreSQL 16 on
		return ring.Key{}, readUnknown, nil
	case o.keyType == ring.KeyInt && !o.stored && o.cast == castNone && tooLarge(err):
		return ring.Key{}, readNothing, nil // compared as numeric: no key is so large
	}
	return in.failed(err, digits)
}

func tooLarge(err error) bool {
	var bad *ring.KeyError
	return errors.As(err, &bad) && bad.Code == "22003"
}

// cutFraction drops a fraction of zeros; exact: nothing else was there.
func cutFraction(digits []byte) (integral []byte, exact bool) {
	point := bytes.IndexByte(digits, '.')
	if point < 0 {
		return nil, false
	}
	for _, c := range digits[point+1:] {
		if c != '0' {
			return nil, false
		}
	}
	if point == 0 {
		return []byte("0"), true
	}
	return digits[:point], true
}

// text reads a value in text format.
func (in *input) text(o *operand, data []byte) (ring.Key, reading, *Refusal) {
	if in.foreign && o.keyType == ring.KeyText && !ascii(data) {
		return ring.Key{}, readUnknown, nil
	}
	key, err := ring.ParseKey(o.keyType, data)
	if err != nil {
		return in.failed(err, data)
	}
	return in.certain(o, key, data)
}

// certain gives a key back unless the column might store another value than the
// one written: varchar(n) cuts trailing blanks, numeric(p,s) and timestamp(p)
// round. What does not fit otherwise is an error on the shard.
func (in *input) certain(o *operand, key ring.Key, text []byte) (ring.Key, reading, *Refusal) {
	if o.stored && o.modifier != -1 && !o.keeps(key, text) {
		return ring.Key{}, readUnknown, nil
	}
	return key, readKey, nil
}

// keeps says whether a column with the operand's modifier stores the key as it
// is.
func (o *operand) keeps(key ring.Key, text []byte) bool {
	switch o.keyType {
	case ring.KeyText:
		// The length counts characters, of which there are no more than bytes.
		return len(text) == 0 || text[len(text)-1] != ' ' || len(text) <= int(o.modifier)-modifierHeader
	case ring.KeyNumeric:
		if o.modifier < modifierHeader {
			return fraction(key) == 0 // numeric without its modifier known: scale 0 at the least
		}
		scale := ((o.modifier-modifierHeader)&0x7ff ^ 1024) - 1024 // negative ones round integers
		return scale >= 0 && fraction(key) <= int(scale)
	case ring.KeyTimestamp, ring.KeyTimestampTZ:
		return fraction(key) <= int(o.modifier)
	case ring.KeyUnset, ring.KeyInt, ring.KeyUUID, ring.KeyBytea:
	}
	return true
}

// modifierHeader is what PostgreSQL adds to the lengths in a modifier (VARHDRSZ).
const modifierHeader = 4

// fraction counts the decimal digits of a number or of a moment's seconds.
func fraction(key ring.Key) int {
	text := key.String()
	if strings.Contains(text, "e-") {
		return math.MaxInt16
	}
	point := strings.IndexByte(text, '.')
	if point < 0 {
		return 0
	}
	rest := text[point+1:]
	digits := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	if digits < 0 {
		return len(rest)
	}
	return digits
}

// param reads a parameter.
func (in *input) param(o *operand, v Value) (ring.Key, reading, *Refusal) {
	if o.cast == castKey && (v.OID == oidText || v.OID == oidVarchar) && (o.keyType == ring.KeyInt || o.keyType == ring.KeyUUID) {
		return in.text(o, v.Data) // the cast reads it as the type's input does
	}
	switch {
	case !o.declaredAs(v.OID):
		if v.OID == oidNumeric && o.keyType == ring.KeyInt && !v.Binary && !o.stored && o.cast == castNone {
			return in.numericParam(o, v.Data)
		}
		if o.keyType == ring.KeyNumeric && o.cast == castNone && (v.OID == oidInt2 || v.OID == oidInt4 || v.OID == oidInt8) {
			return in.integerParam(o, v)
		}
		return ring.Key{}, readUnknown, nil
	case o.shared && v.OID == 0 && !o.typedAnyway(v.Binary):
		return ring.Key{}, readUnknown, nil
	case !v.Binary:
		return in.text(o, v.Data)
	case in.foreign && o.keyType == ring.KeyText && !ascii(v.Data):
		return ring.Key{}, readUnknown, nil
	}
	key, err := ring.DecodeKey(o.keyType, v.Data)
	if err != nil {
		return in.failed(err, nil)
	}
	return in.certain(o, key, v.Data)
}

// numericParam reads a parameter of type numeric that an integer key is
// compared with.
func (in *input) numericParam(o *operand, data []byte) (ring.Key, reading, *Refusal) {
	if integral, exact := cutFraction(data); exact {
		data = integral
	}
	key, err := ring.ParseKey(o.keyType, data)
	if err != nil {
		return ring.Key{}, readUnknown, nil
	}
	return key, readKey, nil
}

// integerParam reads a parameter of an integer type that a numeric key is
// compared with or set to: the server casts it, which changes nothing.
func (in *input) integerParam(o *operand, v Value) (ring.Key, reading, *Refusal) {
	read := ring.ParseKey
	if v.Binary {
		read = ring.DecodeKey
	}
	number, err := read(ring.KeyInt, v.Data)
	if err != nil {
		return in.failed(err, v.Data)
	}
	return in.text(o, []byte(number.String()))
}

// typedAnyway says whether the text of a parameter reads alike whatever type it
// got from its other uses. An explicit cast here is as good as a declaration
// only where it comes first, which is not known.
func (o *operand) typedAnyway(isBinary bool) bool {
	return !isBinary && (o.keyType == ring.KeyInt || o.keyType == ring.KeyUUID)
}

// declaredAs says whether a parameter of this type is compared with the key as
// a key. 0 means that PostgreSQL infers the type of the key.
func (o *operand) declaredAs(oid uint32) bool {
	switch oid {
	case 0, oidUnknown:
		return true
	case oidInt2, oidInt4, oidInt8:
		return o.keyType == ring.KeyInt
	case oidText, oidVarchar:
		return o.keyType == ring.KeyText
	case oidUUID:
		return o.keyType == ring.KeyUUID
	case oidTimestamp:
		return o.keyType == ring.KeyTimestamp
	case oidTimestampTZ:
		return o.keyType == ring.KeyTimestampTZ
	case oidNumeric:
		return o.keyType == ring.KeyNumeric
	case oidBytea:
		return o.keyType == ring.KeyBytea
	}
	return false
}

// failed turns an error of ring into what it means here.
func (in *input) failed(err error, text []byte) (ring.Key, reading, *Refusal) {
	var bad *ring.KeyError
	if !errors.As(err, &bad) || !bad.Understood() {
		return ring.Key{}, readUnknown, nil
	}
	refusal := &Refusal{Reason: InvalidKey, Message: bad.Reason, Code: bad.Code}
	switch bad.Code {
	case "22P03":
		refusal.Reason = InvalidBinaryKey
	case "22003", "22008":
		refusal.Reason = KeyOutOfRange
	}
	if bad.Code == "22P02" && text != nil {
		refusal.Message += `: "` + string(text) + `"`
	}
	return ring.Key{}, readInvalid, refusal
}

func ascii(data []byte) bool {
	for _, c := range data {
		if c >= 0x80 {
			return false
		}
	}
	return true
}

// elements reads an operand that is an array and calls add with each of its
// keys. NULL elements select nothing.
func (in *input) elements(o *operand, add func(ring.Key)) (reading, *Refusal) {
	if o.kind == operandTuple {
		return in.tupleArrays(o, add)
	}
	v, literal, refusal := in.value(o)
	switch {
	case refusal != nil:
		return readInvalid, refusal
	case literal == sql.Error:
		return readUnknown, nil
	case v.Null:
		return readNothing, nil
	case o.kind == operandParam && (!o.declaredAs(elementType(v.OID)) || o.shared && v.OID == 0):
		return readUnknown, nil
	case v.Binary:
		return in.binaryArray(o, v.Data, add)
	}
	return in.textArray(o, v.Data, add)
}

// elementType returns the element type of an array type; 0 for 0; an oid that
// no key has for what is not an array of keys.
func elementType(oid uint32) uint32 {
	switch oid {
	case 0, oidUnknown:
		return 0
	case 1001:
		return oidBytea
	case 1005:
		return oidInt2
	case 1007:
		return oidInt4
	case 1016:
		return oidInt8
	case 1009:
		return oidText
	case 1015:
		return oidVarchar
	case 1115:
		return oidTimestamp
	case 1185:
		return oidTimestampTZ
	case 1231:
		return oidNumeric
	case 2951:
		return oidUUID
	}
	return 1
}

// binaryArray reads the binary format of an array (array_send): dimensions,
// flags, element type, for each dimension its size and lower bound, then each
// element with its length.
func (in *input) binaryArray(o *operand, data []byte, add func(ring.Key)) (reading, *Refusal) {
	if len(data) < 12 {
		return readUnknown, nil
	}
	dimensions := binary.BigEndian.Uint32(data)
	element := binary.BigEndian.Uint32(data[8:])
	if dimensions > 6 || len(data) < 12+8*int(dimensions) || element == 0 || !o.declaredAs(element) {
		return readUnknown, nil
	}
	count := 1
	for i := range int(dimensions) {
		if count *= int(min(binary.BigEndian.Uint32(data[12+8*i:]), uint32(len(data)))); count > len(data) {
			return readUnknown, nil
		}
	}
	rest := data[12+8*int(dimensions):]
	single := *o
	if dimensions == 0 {
		count = 0
	}
	for ; count > 0; count-- {
		if len(rest) < 4 {
			return readUnknown, nil
		}
		size := int(int32(binary.BigEndian.Uint32(rest)))
		rest = rest[4:]
		if size < 0 {
			continue
		}
		if size > len(rest) {
			return readUnknown, nil
		}
		single.shared = false
		key, got, refusal := in.param(&single, Value{Data: rest[:size], Binary: true, OID: element})
		if got != readKey {
			return got, refusal
		}
		add(key)
		rest = rest[size:]
	}
	return readKey, nil
}

// textArray reads the text format of an array of one dimension without bounds:
// {1,2,NULL,"quoted \" text"}.
func (in *input) textArray(o *operand, data []byte, add func(ring.Key)) (reading, *Refusal) {
	scan := arrayScanner{rest: bytes.TrimSpace(data)}
	if !scan.open() {
		return readUnknown, nil
	}
	for {
		element, null, more := scan.next()
		switch {
		case scan.bad:
			return readUnknown, nil
		case !more:
			return readKey, nil
		case null:
			continue
		}
		key, got, refusal := in.text(o, element)
		if got != readKey {
			return got, refusal
		}
		add(key.Clone())
	}
}
