// Package ingest keeps what idempotent writes leave on the shards (docs/writes.md): the table of requests that were done is on every
// shard before anybody writes there, and rows whose time is over are deleted.
//
// It does not write the rows: sessions do, in the transaction of the write itself. It does not move them: package rebalance does,
// with the slots of their keys.
package ingest
