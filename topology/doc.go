// Package topology knows who owns what, now: which shards there are, which tables are sharded, by which key, in which
// colocation group, and which shard owns each of a group's slots.
//
// It guarantees that [Topology.Current] is one consistent, immutable [Snapshot], read with a single atomic load; that the
// truth lies in the control database (schema pgring) and changes there only by compare-and-swap on its epoch; that every
// proxy of the cluster sees a change within a second; and that a proxy which loses the control database or the home shard
// goes on with the last snapshot and says so in [Topology.Status].
//
// It does not guarantee that two proxies are at the same epoch at the same instant: what needs that (moving slots) is fenced
// on the shards. It moves no row and runs no statement of a client.
//
//	YAML ── wish ──▶ control database (the fact, epoch) ── LISTEN + lease ──▶ Snapshot ──▶ router, proxy, admin
//	                       home shard's catalog ── fingerprint + BumpSchema ──▶ ┘
//
// DESIGN.md beside this file has the tables, the compare-and-swap and the limits.
package topology
