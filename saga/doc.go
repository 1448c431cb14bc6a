// Package saga makes work that is open on several shards durable on all of them or on none.
//
// [Coordinator.Commit] takes the open local transactions of one client and ends them together with PostgreSQL's two-phase
// commit. The decision is one row, written on the first shard (the home of the decision) by the same COMMIT that makes that
// shard's own work durable:
//
//	open ─PREPARE TRANSACTION on the others▶ prepared ─row + COMMIT on home▶ decided ─COMMIT PREPARED▶ done
//	  │ any error                                │ any error, or a fence
//	  └──────────────▶ rolled back everywhere ◀──┘
//
// [Coordinator.Run] is the janitor. It settles what dead proxies have left prepared: the row says commit; if there is none it
// plants a fence under the same unique key, after which that transaction can never be decided, and rolls back.
//
// Guaranteed: whoever dies, and whenever, the work ends up on all shards or on none, and nothing stays prepared once the shards
// are reachable. No clock takes part in that. Not guaranteed: isolation between shards. For a moment between the decision and
// the last COMMIT PREPARED a reader may see the work on one shard and not yet on another. Where max_prepared_transactions is 0
// PostgreSQL cannot do it: the shards commit one after another, and a [PartialError] tells where that went wrong.
//
// DESIGN.md has the protocol, the tables and what happens at each crash.
package saga
