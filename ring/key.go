package ring

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"strings"
)

// SlotCount is the number of equal arcs into which the 64-bit hash space is cut. It never changes: maps, guards and
// rows in place depend on it.
const SlotCount = 1 << slotBits

const slotBits = 14

// Slot is one arc of the hash space: the top 14 bits of a key's hash.
type Slot uint16

// ShardID names a shard. Names are identities: another name is another shard. The empty one means nobody.
type ShardID string

// KeyType says how the values of a shard key are read, ordered and hashed.
type KeyType uint32

// The key types of one column; TupleType gives those of several. Columns of the same key type may share a colocation group,
// since equal values hash alike.
const (
	KeyUnset       KeyType = iota // no type: every parse is refused
	KeyInt                        // int2, int4, int8
	KeyText                       // text, varchar; in byte order. Not char(n), whose trailing blanks mean nothing
	KeyUUID                       // uuid
	KeyTimestamp                  // timestamp without time zone
	KeyTimestampTZ                // timestamp with time zone
	KeyNumeric                    // numeric
	KeyBytea                      // bytea
)

// String returns the name of the type as it is stored with placements; ParseKeyType reads it.
func (t KeyType) String() string {
	switch t {
	case KeyInt:
		return "int"
	case KeyText:
		return "text"
	case KeyUUID:
		return "uuid"
	case KeyTimestamp:
		return "timestamp"
	case KeyTimestampTZ:
		return "timestamptz"
	case KeyNumeric:
		return "numeric"
	case KeyBytea:
		return "bytea"
	}
	if !t.isTuple() {
		return "unset"
	}
	names := make([]string, 0, MaxKeyColumns)
	for _, column := range t.Columns() {
		names = append(names, column.String())
	}
	return strings.Join(names, "+")
}

// ParseKeyType is the inverse of KeyType.String for the types a key can have; false for any other name.
func ParseKeyType(name string) (KeyType, bool) {
	for t := KeyInt; t <= KeyBytea; t++ {
		if t.String() == name {
			return t, true
		}
	}
	first, rest, several := strings.Cut(name, "+")
	if !several {
		return KeyUnset, false
	}
	var columns []KeyType
	for ; several; first, rest, several = strings.Cut(rest, "+") {
		t, _ := ParseKeyType(first)
		columns = append(columns, t)
	}
	t, _ := ParseKeyType(first)
	t = TupleType(append(columns, t)...)
	return t, t != KeyUnset
}

// KeyTypeOf returns the key type of a column by the oid of its type in pg_type; false for a type that cannot be a key.
func KeyTypeOf(oid uint32) (KeyType, bool) {
	switch oid {
	case 20, 21, 23:
		return KeyInt, true
	case 25, 1043:
		return KeyText, true
	case 2950:
		return KeyUUID, true
	case 1114:
		return KeyTimestamp, true
	case 1184:
		return KeyTimestampTZ, true
	case 1700:
		return KeyNumeric, true
	case 17:
		return KeyBytea, true
	default:
		return KeyUnset, false
	}
}

// Key is one value of a shard key. It may share the bytes it was read from: it is valid as long as they do not
// change, and Clone makes it last. The zero Key has no type and equals only itself.
type Key struct {
	typ    KeyType
	hi, lo uint64 // int, timestamps: lo is the value; uuid: its halves; numeric: hi is its class, lo its weight; tuple: lo is the hash
	data   []byte // text, bytea: the bytes; numeric: the base-10000 digits as PostgreSQL keeps them, zeros stripped; tuple: its text
}

// The classes of numeric values, in PostgreSQL's order.
const (
	numericMinusInfinity uint64 = iota
	numericNegative
	numericZero
	numericPositive
	numericInfinity
	numericNaN
)

// Type returns the type the key was read as.
func (k Key) Type() KeyType { return k.typ }

// Clone returns the same key with bytes of its own.
func (k Key) Clone() Key {
	k.data = bytes.Clone(k.data)
	return k
}

// Slot returns the arc of the hash space the key falls in. SlotExpr is the same in SQL.
func (k Key) Slot() Slot { return SlotOfHash(k.Hash()) }

// SlotOfHash returns the slot of a key by its hash.
func SlotOfHash(hash uint64) Slot { return Slot(hash >> (64 - slotBits)) }

// Hash returns PostgreSQL's extended hash of the key, seed 0, bit for bit (src/backend/access/hash/hashfunc.c and the
// types' own hash functions), of a tuple that of the row; bytea hashes as the text of its hex digits. The zero Key hashes to 0.
func (k Key) Hash() uint64 { return k.hash() }

func (k *Key) hash() uint64 {
	if k.isNumber() {
		return hashInt64(int64(k.lo))
	}
	switch k.typ {
	case KeyText:
		return hashBytes(k.data)
	case KeyUUID:
		b := k.uuidBytes()
		return hashBytes(b[:])
	case KeyNumeric:
		return k.hashNumeric()
	case KeyBytea:
		return hashHex(k.data)
	}
	if k.typ.isTuple() {
		return k.lo
	}
	return 0
}

// isNumber reports whether lo is all there is to the key, as a signed number.
func (k *Key) isNumber() bool {
	return k.typ == KeyInt || k.typ == KeyTimestamp || k.typ == KeyTimestampTZ
}

func (k *Key) uuidBytes() (b [16]byte) {
	binary.BigEndian.PutUint64(b[:8], k.hi)
	binary.BigEndian.PutUint64(b[8:], k.lo)
	return b
}

func hashHex(data []byte) uint64 {
	var b [256]byte // spares the allocation where keys are short
	return hashBytes(hex.AppendEncode(b[:0], data))
}

// hashNumeric leaves out the sign and the display scale, as PostgreSQL does.
func (k *Key) hashNumeric() uint64 {
	switch k.hi {
	case numericNegative, numericPositive:
		return hashBytes(k.data) ^ k.lo
	case numericZero:
		return ^uint64(0)
	default:
		return 0
	}
}

// Compare orders keys as PostgreSQL orders their type, text in byte order (collation "C"): -1, 0 or +1. Keys of
// different types are ordered by type, and tuples by their texts, which means nothing but lets them be sorted.
func (k Key) Compare(o Key) int { return compare(&k, &o) }

func compare(k, o *Key) int {
	if k.typ != o.typ {
		return cmp.Compare(k.typ, o.typ)
	}
	if k.isNumber() {
		return cmp.Compare(int64(k.lo), int64(o.lo))
	}
	switch k.typ {
	case KeyText, KeyBytea:
		return bytes.Compare(k.data, o.data)
	case KeyUUID:
		return cmp.Or(cmp.Compare(k.hi, o.hi), cmp.Compare(k.lo, o.lo))
	case KeyNumeric:
		return compareNumeric(k, o)
	default:
		return bytes.Compare(k.data, o.data)
	}
}

func compareNumeric(k, o *Key) int {
	if k.hi != o.hi {
		return cmp.Compare(k.hi, o.hi)
	}
	size := cmp.Compare(int64(k.lo), int64(o.lo))
	for i := 0; size == 0 && i < len(k.data) && i < len(o.data); i += 2 {
		size = cmp.Compare(binary.LittleEndian.Uint16(k.data[i:]), binary.LittleEndian.Uint16(o.data[i:]))
	}
	size = cmp.Or(size, cmp.Compare(len(k.data), len(o.data)))
	if k.hi == numericNegative {
		return -size
	}
	return size
}
