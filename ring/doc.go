// Package ring says which shard owns a shard key. It is pure: values in, values out, no I/O, nothing of pgring below it.
//
//	 key      ParseKey, DecodeKey   "42", text or binary as PostgreSQL reads it
//	  │
//	  ▼       Key.Hash              8010225493015854792, PostgreSQL's extended hash with seed 0
//	hash
//	  │
//	  ▼       Key.Slot              7114, the top 14 bits; SlotExpr is the same in SQL
//	slot
//	  │
//	  ▼       Map.Locate            s2, which owns slot 7114, unless the key is pinned elsewhere
//	shard
//
// Ranges and List are the two other placements; they go from the key to the shard directly.
//
// The ring itself only plans. Virtual nodes (s1#7 is one of shard s1) stand at fixed points of the hash space; a slot prefers the
// shards in the order in which they are met on the way up:
//
//	  slot 0   slot 1   slot 2   slot 3              slot 16383
//	├────────┼────────┼────────┼────────┼── ─ ─ ──┼────────┤
//	     ▲         ▲ ▲                 ▲               ▲
//	     s1#7   s3#0 s1#2              s2#4            s2#11     → round to slot 0
//
// Slot 1 prefers s3, then s1, then s2. What a map says is the truth, though: maps are stored, and Ring.Plan only lists the
// moves that lead from the present map to one that is within the bounds.
//
// Guaranteed:
//   - a key hashes as on every PostgreSQL 15 to 18 on a little-endian machine, whatever format it came in;
//   - a value that cannot be read for certain is an error (*KeyError), never a guess;
//   - Place, Plan and the JSON forms depend on their inputs only, not on the order of shards or on the machine;
//   - no shard is planned more than Config.LoadBound times its fair share (rounded up where that is less than a slot);
//   - equal shards that join take at most LoadBound times their share and no slot moves between the others; equal shards
//     that leave give up nothing but their own slots; a plan carried out leaves nothing to plan.
//
// Not its business: whether a column cuts or rounds what is stored in it (varchar(n), numeric(p,s), timestamp(p)), whether
// its collation calls different texts equal, and in which encoding a text arrives. Who declares a table checks these.
package ring
