// Package ingest writes later what was accepted now, and keeps what writes of either kind leave on the shards (docs/writes.md).
//
// Asynchronous writes: Queues have a log for each table. Append makes a record durable; from then on it is applied exactly once, or
// becomes a dead letter of its shard, whoever dies. The lanes of a table, one for each shard, apply the records in the order of the log
// (docs/adr/0021-progress-by-key.md), rows of one form together (docs/adr/0025-rows-together.md). The logs are on this proxy's disk, and losing that loses what was not applied; or they are topics of
// Kafka, which all proxies read and any applies (docs/adr/0023-records-in-kafka.md).
//
// Idempotent writes: the Keeper sees to it that their table is on every shard before anybody writes there, and deletes rows whose time is
// over. It does not write the rows: sessions do, in the transaction of the write itself.
//
// It does not move the rows of either: package rebalance does, with the slots of their keys.
package ingest
