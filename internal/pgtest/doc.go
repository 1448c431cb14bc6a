// Package pgtest gives tests real PostgreSQL servers.
//
//	servers := pgtest.Start(t, 4)
//	servers[0].Exec(t, "CREATE TABLE orders (id bigint PRIMARY KEY)")
//	conn := servers[0].Connect(t)
//
// It promises that the servers accept connections when Start returns, that they and all their files are gone when the test
// ends, and that a failed test shows the end of each server's log. Any error of a helper ends the test. It adds to pgserver
// only what a test wants: options, logins and one-line queries.
package pgtest
