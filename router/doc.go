// Package router turns SQL and a topology snapshot into a plan: which shards a
// statement runs on, with which text, and how their answers become one.
//
// The law: no silent wrong answer. A statement is planned so that the client
// sees exactly what one PostgreSQL holding all rows would answer, or it is
// refused with a *Refusal that says why (DETAIL) and what to do (HINT). What
// the router does not understand completely is refused, never guessed.
//
// The package is pure: no I/O, no clock, no goroutines. A text takes this way:
//
//	text ─▶ split, normalise (internal/sql) ─▶ cache ─hit─▶ Statement ─▶ Plan
//	                                             │
//	                                             miss ─▶ parse (pg_query) ─▶ analyse ─▶ Statement
//
// A Statement is immutable, shared by sessions and independent of who owns
// which slot: it says where the keys are (parameter, literal or constant), and
// Statement.Plan looks them up in the snapshot of the moment. A hit costs less
// than a microsecond and does not allocate.
//
// Assumed of the session: standard_conforming_strings stays on (the router
// refuses to turn it off), and Env carries the resolved search_path and the
// session's temporary tables.
//
// User-defined functions may read and write any table; of their bodies the
// router knows the words. One that names a sharded table, or a function or view
// that does, runs only where keys pin the statement to one shard, and there sees
// that shard's rows: that is the schema author's responsibility. So is SQL that
// a function puts together at run time, and what triggers, operators, casts and
// defaults call.
package router
