// Package check looks at the servers of a configuration and says what pgring would stumble over: before it is started, after a
// shard was added, when something is odd.
//
// It logs in to each shard with every login that pgring would use, compares the shards with each other, and reports facts and
// findings. It changes nothing and never reads a table's rows. What it cannot see is the control database's map: whether rows
// are where they belong is topology's business.
//
//	configuration ─▶ probe each shard (side by side) ─▶ rules about servers ─▶ rules about tables ─▶ Report
package check
