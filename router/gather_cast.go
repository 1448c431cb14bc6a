package router

import (
	pg "github.com/pganalyze/pg_query_go/v6"
)

// withoutCast looks through a cast of an aggregate to the very type that it
// has: count(*)::bigint. The shards' parts are then of that type, too. Other
// casts may round, or overflow in a part that the whole does not have.
func (w *gathering) withoutCast(n *pg.Node) *pg.FuncCall {
	c := n.GetTypeCast()
	if c == nil {
		return n.GetFuncCall()
	}
	f := c.Arg.GetFuncCall()
	if f == nil {
		return nil
	}
	name, ok := plainType(c.TypeName)
	if !ok || name != w.resultType(f) {
		return nil
	}
	return f
}

// plainType returns the name of a type of pg_catalog that is given without
// length or precision.
func plainType(t *pg.TypeName) (string, bool) {
	if t == nil || t.Setof || t.PctType || len(t.Typmods) > 0 || len(t.ArrayBounds) > 0 {
		return "", false
	}
	name, ok := words(t.Names)
	if !ok || len(name) == 0 || len(name) > 2 || len(name) == 2 && name[0] != catalogSchema {
		return "", false
	}
	return name[len(name)-1], true
}

// resultType names the type of an aggregate; "" where it is not certain.
func (w *gathering) resultType(f *pg.FuncCall) string {
	name, _, _ := lastWord(f.Funcname)
	switch name {
	case "count":
		return "int8"
	case "bool_and", "bool_or", "every":
		return "bool"
	case "sum", "min", "max":
	default:
		return ""
	}
	if len(f.Args) != 1 || f.Args[0].GetColumnRef() == nil {
		return ""
	}
	column := w.columnInfo(w.q.column(f.Args[0].GetColumnRef()))
	if column == nil {
		return ""
	}
	if name == "sum" {
		return sumType(column.Type)
	}
	return orderedType(column.Type)
}

func sumType(oid uint32) string {
	switch oid {
	case oidInt2, oidInt4:
		return "int8"
	case oidInt8, oidNumeric:
		return "numeric"
	}
	return ""
}

func orderedType(oid uint32) string {
	switch oid {
	case oidInt2:
		return "int2"
	case oidInt4:
		return "int4"
	case oidInt8:
		return "int8"
	case oidNumeric:
		return "numeric"
	case 700:
		return "float4"
	case 701:
		return "float8"
	case 1082:
		return "date"
	case oidTimestamp:
		return "timestamp"
	case oidTimestampTZ:
		return "timestamptz"
	}
	return ""
}
