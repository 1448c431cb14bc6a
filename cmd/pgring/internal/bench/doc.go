// Package bench measures what it costs to go through pgring: pgbench runs the same load on PostgreSQL directly, through
// pgbouncer and through pgring.
//
// It promises that figures which are compared were taken side by side: a round runs each cell of the matrix on every contender,
// one right after the other, in an order that rotates with the rounds. A ratio is the median of the rounds' own ratios, with the
// smallest and the largest beside it. Servers, proxies and files are its own, and are gone when Run returns. It does not judge:
// no figure makes a run fail, only an error of pgbench does. Absolute figures mean something on the machine they come from.
//
//	                ┌───────────────────────────────▶ ┌─────────┐ database direct, the whole tables
//	pgbench ────────┼──▶ pgbouncer ─────────────────▶ │ shard 1 │
//	                └──▶ pgring ──┬─────────────────▶ └─────────┘ ┐
//	                              └─────────────────▶   shard 2   ┘ database sharded, each its slots
//
// What pgring does for a write path that is full is measured on another lab, after that one: one server, which syncs to a disk what
// it commits, with databases direct and sharded alike. There the server's CPU time per row counts as well, until all rows are in the
// table, and they are counted.
package bench
