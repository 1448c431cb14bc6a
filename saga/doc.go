// Package saga makes work on several shards durable on all of them or on none, and finishes what dead proxies have left.
//
// There are three ways, over the same tables and the same rule: what is done, and what may never be done any more, is a row under a
// unique key on the shard itself, written by the transaction that it speaks of.
//
// [Coordinator.CommitSaga] is mode saga. A client's transaction is open on several shards; each commits together with a barrier
// row, the home first. If one does not come to commit, the others are undone with the statements that the client gave for it, or
// those that may be repeated are run forward:
//
//	open ─home COMMIT▶ RUNNING ─all done▶ COMMITTED
//	                     └─a step can never commit▶ COMPENSATING ─all undone▶ COMPENSATED, or FORWARDING ▶ COMMITTED
//
// [Coordinator.Call] is the long-running form: steps that commit one after another and go on without their client.
//
// [Coordinator.Commit] is two-phase commit. The decision is one row, written on the first shard (the home of the decision) by the
// same COMMIT that makes that shard's own work durable:
//
//	open ─PREPARE TRANSACTION on the others▶ prepared ─row + COMMIT on home▶ decided ─COMMIT PREPARED▶ done
//	  │ any error                                │ any error, or a fence
//	  └──────────────▶ rolled back everywhere ◀──┘
//
// [Coordinator.Run] is the janitor. It settles what has no proxy any more: it plants fences, rows under the same unique keys, after
// which everybody knows what is done for ever and what will never be, and acts on that. Any number may run.
//
// Guaranteed: whoever dies, and whenever, the work ends up on all shards or on none, and each step is done and undone at most once.
// What the client was told stays true; what is not settled is never reported as failed. No clock takes part in that. Not
// guaranteed: isolation between shards. A reader may see a transaction on one shard and not yet on another, and in mode saga work
// that will be undone. An undo that the shard refuses, because the rows have changed meanwhile, needs an operator (STUCK).
//
// DESIGN.md has the protocols, the tables and what happens at each crash.
package saga
