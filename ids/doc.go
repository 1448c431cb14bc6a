// Package ids makes unique 64-bit ids and UUIDs without asking a server for each.
//
// An id is a Snowflake: positive, roughly ordered by time, unique among all proxies and shards of a cluster.
//
//	 63  62                                22  21        12  11          0
//	+---+------------------------------------+------------+-------------+
//	| 0 | 41 bits: ms since [Epoch]          | 10: worker | 12: counter |
//	+---+------------------------------------+------------+-------------+
//
// Workers 0 to 511 are proxies, leased in the control database; worker 512 + n is the shard whose number is n, whose function
// pgring.next_id() counts by itself.
//
// Uniqueness rests on no clock and on no process being alive. A lease reserves time: worker w of the control database's table
// pgring.workers has a high-water mark, its holder gives out ids up to that millisecond only, and whoever takes w over begins
// after it. A holder that was overtaken cannot raise the mark any more. A clock that steps back by up to a second is ridden out by counting on at the
// latest time seen; one that steps back further makes [Generator.Next] refuse until a worker is leased whose mark lies before
// the new time. Ids are ordered within one worker, not between workers, and not across such a step.
package ids
