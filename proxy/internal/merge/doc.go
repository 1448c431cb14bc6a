// Package merge combines the rows of many shards into the one result that a single PostgreSQL holding all the rows would give.
// It executes a router.Merge: concatenation, a k-way merge for ORDER BY, LIMIT and OFFSET, dropping hidden columns, and
// aggregates of which each shard computed its part. It is pure: rows come from [Source]s, nothing is read from a network.
//
// It guarantees that a result is exact or refused: a type whose order or arithmetic is not reproduced bit for bit is refused by
// [New] with SQLSTATE 0A000, a value whose text depends on a setting that was changed (DateStyle, bytea_output) is refused when
// it is met, and a malformed row gives 08P01. Rows are held by reference, one per shard, so memory does not grow with the result.
//
//	Source ─┐
//	Source ─┼─ ordered by keys (loser tree) ─ OFFSET, LIMIT ─ without hidden columns ─▶ Rows
//	Source ─┘  or one after another, or folded into one row
//
// It relies on the caller for what rows do not show: each source is sorted by the merge's keys; float columns in text format were
// written with extra_float_digits ≥ 1 (the default), else different values look equal; text columns under Bytewise arrive in the
// encoding in which the server sorted them.
package merge
