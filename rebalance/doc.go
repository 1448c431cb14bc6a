// Package rebalance moves slots from one shard to another while clients write.
//
// It guarantees, whatever process stops at whatever moment: each row of a moving slot is on the owner that the map names, as often
// as it was written there; a statement on several shards sees each row once; a proxy with an old map cannot write to a slot that has
// moved, because the shard refuses it; and a move that cannot go on is undone or waits, saying for what.
//
// It does not guarantee that a proxy which has lost the control database reads no stale row of a moved slot, nor anything about
// people who write to the shards past pgring with triggers disabled.
//
//	console ── PlanMoves ──▶ control database ◀── one controller (lease, term) ──▶ source ── pgoutput ──▶ target
//	                              │ snapshot: owner, hidden slots, closed gate
//	                              ▼
//	                          every proxy
//
// DESIGN.md beside this file has the states, what is done in each, and why.
package rebalance
