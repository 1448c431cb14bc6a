package ring

import "strings"

// SlotExpr returns the SQL expression of the slot (a bigint, NULL for NULL) of the key's columns, which are SQL already:
// quoted names or longer expressions. They must be of key type t. Everything in it is IMMUTABLE and built into
// PostgreSQL 15 to 18, and nothing in it depends on search_path. Of KeyUnset it is NULL: no row has a slot.
func SlotExpr(t KeyType, columns ...string) string {
	if t.isTuple() {
		return SlotOfHashExpr(tupleHashExpr(t, columns))
	}
	hash, column := "", columns[0]
	switch t {
	case KeyInt:
		hash = "pg_catalog.hashint8extended(" + column + ", 0)"
	case KeyText:
		hash = "pg_catalog.hashtextextended(" + collated(t, column) + ", 0)"
	case KeyUUID:
		hash = "pg_catalog.uuid_hash_extended(" + column + ", 0)"
	case KeyTimestamp:
		hash = "pg_catalog.timestamp_hash_extended(" + column + ", 0)"
	case KeyTimestampTZ:
		// Servers before 18 have no hash of timestamptz by name; that of the same instant in UTC is equal.
		hash = "pg_catalog.timestamp_hash_extended(pg_catalog.timezone('UTC'::text, " + column + "), 0)"
	case KeyNumeric:
		hash = "pg_catalog.hash_numeric_extended(" + column + ", 0)"
	case KeyBytea:
		// Servers before 18 have no hash of bytea, so that of its hex digits stands in.
		hash = `pg_catalog.hashtextextended(pg_catalog.encode(` + column + `, 'hex') COLLATE pg_catalog."C", 0)`
	default:
		return "NULL::bigint"
	}
	return SlotOfHashExpr(hash)
}

// SlotOfHashExpr is the SQL expression of the slot that a hash is in.
func SlotOfHashExpr(hash string) string { return "((" + hash + " >> 50) & 16383::bigint)" }

// keysInSQL is the SQL condition that the columns are one of the keys. The values are constants, so it is IMMUTABLE.
func keysInSQL(t KeyType, columns []string, keys []Key) string {
	if t.isTuple() {
		return tuplesInSQL(t, columns, keys)
	}
	return anyInSQL(collated(t, columns[0]), sqlName(t), keys)
}

// sqlName is the type of one column in SQL: the widest of those that have the key type.
func sqlName(t KeyType) string {
	if t == KeyInt {
		return "int8"
	}
	return t.String() // uuid, text, … are the names of SQL types too
}

// textsInSQL is keysInSQL for a column with the keys' texts.
func textsInSQL(column string, keys []Key) string {
	return anyInSQL("("+column+`) COLLATE pg_catalog."C"`, "text", keys)
}

func anyInSQL(column, typeName string, keys []Key) string {
	escape := strings.NewReplacer(`\`, `\\`, `"`, `\"`, `'`, `''`)
	elements := make([]string, len(keys))
	for i, k := range keys {
		elements[i] = `"` + escape.Replace(k.String()) + `"`
	}
	return "(" + column + " OPERATOR(pg_catalog.=) ANY ('{" + strings.Join(elements, ",") + "}'::pg_catalog." + typeName + "[]))"
}
