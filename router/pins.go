package router

import (
	pg "github.com/pganalyze/pg_query_go/v6"
)

// pinOf says what session state a call of a pg_catalog function leaves behind.
func pinOf(f *pg.FuncCall) Pin {
	name, ok := words(f.Funcname)
	if !ok || len(name) == 0 || len(name) == 2 && name[0] != catalogSchema {
		return PinNone
	}
	switch name[len(name)-1] {
	case "pg_advisory_lock", "pg_advisory_lock_shared", "pg_try_advisory_lock", "pg_try_advisory_lock_shared":
		return PinLock
	case "pg_replication_origin_session_setup", "setseed":
		return PinSettings
	case "set_config":
		if len(f.Args) == 3 && isTrue(f.Args[2]) {
			return PinNone
		}
		return PinSettings
	}
	return PinNone
}

// callsCatalog says whether f calls the pg_catalog function of that name.
func callsCatalog(f *pg.FuncCall, function string) bool {
	name, ok := words(f.Funcname)
	return ok && len(name) > 0 && name[len(name)-1] == function && (len(name) == 1 || len(name) == 2 && name[0] == catalogSchema)
}

// isTrue says whether n is the keyword TRUE.
func isTrue(n *pg.Node) bool {
	b := n.GetAConst().GetBoolval()
	return b != nil && b.Boolval
}
