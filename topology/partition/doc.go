// Package partition keeps the time partitions of tables on every shard: for every moment from now until some time ahead there is exactly
// one, and what is older than the retention goes, if that is wanted (docs/writes.md).
//
// What is there is known by its bounds, never by its name. What people have made counts like what the [Keeper] has made; where it is in the
// way, that is shown, and nothing is forced. Several keepers may be at work at once.
package partition
