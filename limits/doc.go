// Package limits decides what may run now, what waits, and what is told to come back later.
//
//   - [Buckets] hold the rate of something: a table's writes, or each key's. Over the rate a caller waits for its turn if that comes
//     soon enough, else it is told when to try again.
//   - [InFlight] bounds how many statements run at a time. The others wait in line, for a bounded time, in a line of bounded length. Its
//     limit can follow the latency that callers see: it shrinks while the server is too slow and grows back afterwards.
//   - [PerShard] is one such limit for each shard.
//   - [HotKeys] knows which keys are used most, in a fixed amount of memory.
//   - [PerKey] bounds how many work on one key at a time, so that those who wait for one row do not take all connections.
//
// Everything is pure: no I/O, no goroutines; only callers that have to wait do so. What is let through at once allocates nothing.
//
// Who holds locks must never wait here: those who run may be waiting for those locks. Such work uses EnterNow, or asks nothing.
package limits
