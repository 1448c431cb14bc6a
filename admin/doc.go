// Package admin is how people and monitoring look at a running proxy and steer it: the console, which clients reach as the
// database pgring (or pgbouncer), and the HTTP endpoints.
//
// It guarantees that one table of commands makes what is dispatched, what HELP says and docs/console.md; that names, order and
// units of pgbouncer's columns are pgbouncer's, with columns of pgring after them; that what is not known is NULL, never a
// guess; and that no SHOW waits longer than two seconds for a server that does not answer.
// It keeps no state of the cluster: it asks topology, backend, proxy and saga for what they count, whenever it is asked.
//
//	client ─▶ proxy ─▶ Console.Answer ─▶ parse ─▶ command ─▶ run ─▶ filter ─▶ rows
//	http ─▶ Console.Handler ─▶ /metrics /healthz /readyz
package admin
