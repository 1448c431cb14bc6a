package router

import (
	_ "embed" // the list of functions is data
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// functionList has a line for each function name of pg_catalog, sorted by
// bytes: name, space, flags. The first flag is the worst volatility of all
// functions of the name: i immutable, s stable, v volatile and taken to have
// side effects, h volatile without any, t runs SQL given as text or reads
// tables given by name. Then a: one is an aggregate; w: one is a window
// function; r: one returns a set. It came from PostgreSQL 15:
//
//	SELECT proname || ' ' || max(CASE provolatile WHEN 'i' THEN 1 WHEN 's' THEN 2 ELSE 3 END)
//	    || CASE WHEN bool_or(prokind = 'a') THEN 'a' ELSE '' END || CASE WHEN bool_or(prokind = 'w') THEN 'w' ELSE '' END
//	    || CASE WHEN bool_or(proretset) THEN 'r' ELSE '' END
//	FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace GROUP BY proname ORDER BY proname COLLATE "C"
//
// with 3 divided into v, h and t by hand. What later versions add is not in it
// and so is taken for a user's function.
//
//go:embed functions.txt
var functionList string

// funcClass is what is known of a function call.
type funcClass struct {
	known     bool // a function of pg_catalog, or one of the user's that the snapshot has
	user      bool // may be a user's function: it can read any table
	volatile  bool // answers differently from call to call
	stable    bool // answers alike within a statement only
	writes    bool // may have side effects
	sql       bool // runs SQL that the router does not see
	aggregate bool
	window    bool
	set       bool // returns a set
}

// classify tells what a function call may do: the worst of all functions that
// have the name, whatever their arguments.
func (a *analysis) classify(f *pg.FuncCall) funcClass {
	name, ok := words(f.Funcname)
	if !ok || len(name) == 0 || len(name) > 2 {
		return funcClass{user: true, volatile: true, writes: true}
	}
	last := name[len(name)-1]
	builtin := funcClass{}
	if len(name) == 1 || name[0] == catalogSchema {
		builtin = builtinClass(last)
	}
	if len(name) == 2 && name[0] == catalogSchema {
		return builtin
	}
	user := a.snap.Functions(last)
	if len(user) == 0 {
		if !builtin.known {
			return funcClass{user: true, volatile: true, writes: true}
		}
		return builtin
	}
	class := builtin
	class.known, class.user = true, true
	for _, u := range user {
		class.stable = true // immutable or stable: the snapshot does not tell them apart
		class.volatile = class.volatile || u.Volatile
		class.writes = class.writes || u.Volatile
		class.aggregate = class.aggregate || u.Aggregate
		class.window = class.window || u.Window
		class.set = class.set || u.SetReturning
	}
	return class
}

// builtinClass looks a name up among the functions of pg_catalog.
func builtinClass(name string) funcClass {
	flags, ok := builtinFlags(name)
	if !ok {
		return funcClass{}
	}
	class := funcClass{known: true}
	for _, flag := range flags {
		switch flag {
		case 's':
			class.stable = true
		case 'h':
			class.volatile = true
		case 'v':
			class.volatile, class.writes = true, true
		case 't':
			class.volatile, class.sql = true, true
		case 'a':
			class.aggregate = true
		case 'w':
			class.window = true
		case 'r':
			class.set = true
		}
	}
	return class
}

// builtinFlags finds a line of functionList by binary search.
func builtinFlags(name string) (string, bool) {
	low, high := 0, len(functionList)
	for low < high {
		start := strings.LastIndexByte(functionList[:(low+high)/2], '\n') + 1
		end := start + strings.IndexByte(functionList[start:], '\n')
		have, flags, _ := strings.Cut(functionList[start:end], " ")
		switch {
		case have == name:
			return flags, true
		case have < name:
			low = end + 1
		default:
			high = start
		}
	}
	return "", false
}

// anywhereFunction says whether a function that is not immutable answers alike
// on every server: it depends on the session, the clock or chance only.
func anywhereFunction(name string) bool {
	switch name {
	case "now", "transaction_timestamp", "statement_timestamp", "clock_timestamp", "timeofday", "random", "gen_random_uuid",
		"to_char", "to_timestamp", "to_date", "to_number", "date_part", "date_trunc", "date_bin", "extract", "age", "timezone",
		"concat", "concat_ws", "format", "quote_literal", "quote_nullable", "array_to_string", "string_agg", "array_agg",
		"json_build_object", "json_build_array", "jsonb_build_object", "jsonb_build_array", "to_json", "to_jsonb", "row_to_json",
		"array_to_json", "json_agg", "jsonb_agg", "json_object_agg", "jsonb_object_agg", "pg_sleep", "pg_sleep_for", "pg_sleep_until",
		"version", "current_database", "current_schema", "current_schemas", "current_setting", "current_query", "pg_backend_pid",
		"pg_typeof", "generate_series", "txid_current", "txid_current_if_assigned", "pg_current_xact_id", "make_timestamptz",
		"pg_client_encoding", "getdatabaseencoding", "pg_encoding_to_char", "set_config", "unnest", "overlaps", "isfinite":
		return true
	}
	return false
}
