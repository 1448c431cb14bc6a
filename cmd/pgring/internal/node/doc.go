// Package node is one running proxy: it turns a configuration into the packages' own configurations, starts what they need in
// the right order, and stops all of it when one part fails. Nothing is decided here.
//
//	Load ─▶ pools ─▶ topology.Start ─▶ server.Serve ─▶ (signal) ─▶ drain ─▶ stop
//	                     └── each new snapshot updates the pools before it is published
package node
