// Package pgwire speaks the PostgreSQL frontend/backend protocol, version 3 (PostgreSQL manual, chapter "Frontend/Backend
// Protocol"): framed connections, start-up, TLS, SCRAM authentication, and error fields.
//
// It guarantees that a frame is never handed out before it is complete and its length is valid, that memory per connection is
// bounded (a pooled buffer while bytes are in flight, none while idle), and that an I/O error says which side broke.
// It knows nothing of SQL, sessions or shards.
//
//	client ⇄ Conn(ClientSide) ─ frames by reference ─ Conn(ServerSide) ⇄ PostgreSQL
//
// Everything above sees only [Conn]'s surface, so that another I/O engine can take the place of blocking reads.
package pgwire
