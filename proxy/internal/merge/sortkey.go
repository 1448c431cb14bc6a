package merge

import (
	"bytes"
	"cmp"

	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/router"
)

// value is one decoded sort value. Two values of one type compare as PostgreSQL compares them by hi, then lo, then data; a type
// uses either the numbers or data.
type value struct {
	rank   uint8 // where NULLs go: before or after rank 1, that of all other values
	hi, lo uint64
	data   []byte // refers to the row, or to own
	own    []byte // reused memory of types whose order is not that of the bytes in the row
}

func (v *value) compare(w *value) int {
	if v.hi != w.hi {
		return cmp.Compare(v.hi, w.hi)
	}
	if v.lo != w.lo {
		return cmp.Compare(v.lo, w.lo)
	}
	return bytes.Compare(v.data, w.data)
}

// decoder reads one value that is not NULL.
type decoder func(v *value, data []byte) fault

// ordering is a type's order: how its values become comparable, from each format.
type ordering struct {
	name         string
	text, binary decoder
}

func (o ordering) decoder(format int16) decoder {
	if format == formatBinary {
		return o.binary
	}
	return o.text
}

// orderingOf returns the order of a type that has the same order everywhere. Text types are not among them.
func orderingOf(oid uint32) (ordering, bool) {
	switch oid {
	case oidBool:
		return ordering{"boolean", boolText, boolBinary}, true
	case oidInt2:
		return ordering{"smallint", intText, int2Binary}, true
	case oidInt4:
		return ordering{"integer", intText, int4Binary}, true
	case oidInt8:
		return ordering{"bigint", intText, int8Binary}, true
	case oidOID:
		return ordering{"oid", intText, oidBinary}, true
	case oidFloat4:
		return ordering{"real", float4Text, float4Binary}, true
	case oidFloat8:
		return ordering{"double precision", float8Text, float8Binary}, true
	case oidNumeric:
		return ordering{"numeric", numericText, numericBinary}, true
	case oidDate:
		return ordering{"date", dateText, int4Binary}, true
	case oidTime:
		return ordering{"time without time zone", timeText, int8Binary}, true
	case oidTimestamp:
		return ordering{"timestamp without time zone", timestampText, int8Binary}, true
	case oidTimestampTZ:
		return ordering{"timestamp with time zone", timestampTZText, int8Binary}, true
	case oidUUID:
		return ordering{"uuid", uuidText, uuidBinary}, true
	case oidBytea:
		return ordering{"bytea", byteaText, byteOrder}, true
	}
	return ordering{}, false
}

// sortKey is one column of ORDER BY.
type sortKey struct {
	column   int
	field    pgwire.Field
	decode   decoder
	desc     bool
	nullRank uint8
}

func newSortKey(order router.SortKey, field pgwire.Field) (sortKey, error) {
	key := sortKey{column: order.Column, field: field, desc: order.Desc, nullRank: 2}
	if order.NullsFirst {
		key.nullRank = 0
	}
	known, ok := orderingOf(field.Type)
	switch {
	case ok:
		key.decode = known.decoder(field.Format)
	case isText(field.Type) && order.Bytewise:
		key.decode = byteOrder // text in binary format is the text
	default:
		return key, refuseOrder(order.Column, field)
	}
	return key, nil
}

// read decodes the key's column of a row into v.
func (k *sortKey) read(v *value, row []byte, at span) error {
	if at.null() {
		v.rank, v.hi, v.lo, v.data = k.nullRank, 0, 0, nil
		return nil
	}
	v.rank = 1
	if f := k.decode(v, row[at.start:at.end]); f != sound {
		return f.complain(k.field)
	}
	return nil
}

// compare orders two values of the key's column as ORDER BY asks.
func (k *sortKey) compare(a, b *value) int {
	if a.rank != b.rank {
		return cmp.Compare(a.rank, b.rank)
	}
	c := a.compare(b)
	if k.desc {
		return -c
	}
	return c
}
