package ring

import (
	"strings"
)

// MaxKeyColumns is how many columns a shard key may have.
const MaxKeyColumns = 4

// tupleBits is how many bits of a tuple's KeyType each of its columns takes; the first column has the lowest.
const tupleBits = 4

// TupleType returns the type of the keys of several columns of these types, in their order; of one column it is that
// column's own. KeyUnset: there are none or too many, or one has a type that cannot be part of such a key. bytea cannot:
// servers before 18 do not hash rows that have it.
func TupleType(columns ...KeyType) KeyType {
	if len(columns) == 1 {
		return columns[0]
	}
	t := KeyUnset
	for i, c := range columns {
		if c <= KeyUnset || c >= KeyBytea || i >= MaxKeyColumns {
			return KeyUnset
		}
		t |= c << (tupleBits * i)
	}
	return t
}

// Columns returns the types of the columns that keys of this type have: one, but for a tuple's.
func (t KeyType) Columns() []KeyType {
	if !t.isTuple() {
		return []KeyType{t}
	}
	var columns []KeyType
	for ; t != 0; t >>= tupleBits {
		columns = append(columns, t&(1<<tupleBits-1))
	}
	return columns
}

func (t KeyType) isTuple() bool { return t>>tupleBits != 0 }

// Tuple joins the values of the columns of a key that has several; of one value it is that value. The zero Key: they are
// of no key together, see TupleType. It shares nothing with its parts.
func Tuple(parts ...Key) Key {
	if len(parts) == 1 {
		return parts[0]
	}
	var types [MaxKeyColumns]KeyType
	if len(parts) > MaxKeyColumns {
		return Key{}
	}
	k := Key{data: []byte{'('}}
	for i, part := range parts {
		types[i] = part.typ
		k.lo = k.lo<<5 - k.lo + part.Hash() // as hash_record_extended does (src/backend/utils/adt/rowtypes.c)
		if i > 0 {
			k.data = append(k.data, ',')
		}
		k.data = appendField(k.data, part.String())
	}
	k.data = append(k.data, ')')
	if k.typ = TupleType(types[:len(parts)]...); k.typ == KeyUnset {
		return Key{}
	}
	return k
}

// appendField writes a column of a row as PostgreSQL does (record_out).
func appendField(b []byte, text string) []byte {
	if text != "" && !strings.ContainsAny(text, "\"\\(), \t\n\v\f\r") {
		return append(b, text...)
	}
	b = append(b, '"')
	for i := range len(text) {
		if text[i] == '"' || text[i] == '\\' {
			b = append(b, text[i])
		}
		b = append(b, text[i])
	}
	return append(b, '"')
}

// parseTuple reads the text of a row: (1,abc) or (1,"a b").
func parseTuple(t KeyType, text []byte) (Key, error) {
	columns := t.Columns()
	fields, ok := splitFields(trimSpace(text))
	if !ok || len(fields) != len(columns) {
		return invalid(t, codeSyntax, "it is not written as a row of as many values as the key has columns, such as (1,abc)")
	}
	parts := make([]Key, len(columns))
	for i, field := range fields {
		var err error
		if parts[i], err = ParseKey(columns[i], field); err != nil {
			return Key{}, err
		}
	}
	return Tuple(parts...), nil
}

// splitFields takes the text of a row apart. False: it is none, or has a NULL.
func splitFields(text []byte) ([][]byte, bool) {
	if len(text) < 2 || text[0] != '(' || text[len(text)-1] != ')' {
		return nil, false
	}
	var fields [][]byte
	var field []byte
	quoted, open := false, false // the field has quotes, and they are open
	text = text[1 : len(text)-1]
	for i := 0; i <= len(text); i++ {
		switch {
		case i == len(text) && open:
			return nil, false
		case i == len(text), text[i] == ',' && !open:
			if len(field) == 0 && !quoted {
				return nil, false
			}
			fields, field, quoted = append(fields, field), nil, false
		case text[i] == '\\':
			if i++; i == len(text) {
				return nil, false
			}
			field = append(field, text[i])
		case text[i] == '"' && open && i+1 < len(text) && text[i+1] == '"':
			i++
			field = append(field, '"')
		case text[i] == '"':
			open, quoted = !open, true
		default:
			field = append(field, text[i])
		}
	}
	return fields, true
}

// tupleHashExpr is the SQL expression of a tuple's hash, NULL if a column is.
func tupleHashExpr(t KeyType, columns []string) string {
	types, present, fields := t.Columns(), make([]string, len(columns)), make([]string, len(columns))
	for i, column := range columns {
		present[i], fields[i] = column+" IS NOT NULL", collated(types[i], column)
	}
	return "CASE WHEN " + strings.Join(present, " AND ") + " THEN pg_catalog.hash_record_extended(ROW(" + strings.Join(fields, ", ") + "), 0) END"
}

// collated is the column as values of its type are compared here.
func collated(t KeyType, column string) string {
	if t == KeyText {
		return "(" + column + `) COLLATE pg_catalog."C"`
	}
	return column
}

// tuplesInSQL is keysInSQL for tuples. As there, backslashes are plain: standard_conforming_strings is on.
func tuplesInSQL(t KeyType, columns []string, keys []Key) string {
	types := t.Columns()
	escape := strings.NewReplacer("'", "''")
	alternatives := []string{"false"}
	for _, k := range keys {
		fields, _ := splitFields(k.data) // Invariant: a tuple's data are what appendField wrote.
		equal := make([]string, len(fields))
		for i, field := range fields {
			equal[i] = collated(types[i], columns[i]) + " OPERATOR(pg_catalog.=) '" + escape.Replace(string(field)) + "'::pg_catalog." + sqlName(types[i])
		}
		alternatives = append(alternatives, "("+strings.Join(equal, " AND ")+")")
	}
	return "(" + strings.Join(alternatives, " OR ") + ")"
}
