// Package proxy serves clients: it owns the client's session from accept to close and runs each unit that the client sends (one
// Query message, or everything up to Sync) as its plan says.
//
// It guarantees that answers come in the order of the requests, that a session's settings, transaction and prepared statements
// follow it across backend connections and never leak into another session, that memory per session is bounded whatever the size
// of requests and results, and that a bug in one session ends that session only. It decides nothing about where data lives: that
// is router's and topology's.
//
//	accept ─ Handshake ─ authenticate ─ session.run ──┬─ simple.go    one Query message
//	                                                  └─ extended.go  Parse, Bind, Describe, Execute, Close … Sync
//	             one switch on the plan: execute.go ──┬─ relay.go     one shard: frames pass through, in turns
//	                                                  ├─ gather.go    several shards, answers merged
//	                                                  └─ broadcast.go all shards at once, all or none
//
// A session is one goroutine. It talks to a server in turns: it writes a bounded batch of messages, then reads until each message
// has its answer, so neither side ever waits for the other to read. Only COPY FROM STDIN has two directions at once and gets a
// second goroutine for as long as it lasts.
package proxy
