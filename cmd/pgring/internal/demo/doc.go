// Package demo shows pgring on one machine: it starts a few PostgreSQL servers, a proxy in front of them, and a small shop whose
// rows are loaded through the proxy.
//
//	open the folder ─▶ start servers ─▶ write pgring.yaml ─▶ run a node ─▶ load what is missing ─▶ say what to type ─▶ (Ctrl-C)
//	                                                                                                                       │
//	                                                                 data stays ◀─ stop servers ◀─ drain the node ◀────────┘
//
// Everything listens on 127.0.0.1 only. The shards' superusers can log in through sockets that only the starting user can reach;
// the other passwords are equal to the names, which is fine for a demo on the loopback interface and nowhere else. A second run
// finds the data of the first one. It is no way to run PostgreSQL or pgring in production.
package demo
