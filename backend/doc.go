// Package backend keeps pools of logged-in connections to the shards and lends them out, one owner at a time.
//
// It guarantees that a connection it hands out is logged in, idle (transaction status I), not known to be dead, and alone with
// its owner: nothing of an earlier owner (an unread answer, a cancel under way) reaches the next one. It bounds connections,
// connects in progress and the wait for either. Session settings and prepared statements stay on a connection between owners;
// it keeps account of them, and [Conn.Adopt] and [Conn.AddPrepared] make them what the next owner needs.
// It knows nothing of clients, routing or the meaning of SQL.
//
//	                 ┌─────────── Release (clean) ────────────┐
//	                 ▼                                        │
//	login ─ok─▶ idle ─────── Acquire ─────────────────────▶ active
//	  │  └─ok, somebody waits──────────────────────────────▶  │ ├─ Release (clean), somebody waits ─▶ active, next owner
//	  │          │                                            │
//	  │ error    │ dead, idle or alive too long, reconnect    │ Discard, or Release when marked, not idle, unread bytes
//	  ▼          ▼                                            ▼
//	closed     closed                                       closed
//
// A pool belongs to one shard and one login. One goroutine per pool, owned by [Pools.Run], starts the log-ins and closes what
// is too old; sessions only take and return. While a shard cannot be reached, Acquire fails at once with the reason.
package backend
