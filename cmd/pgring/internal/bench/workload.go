package bench

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Protocol is how pgbench sends statements, its option -M.
type Protocol string

// The protocols: one Query message; Parse, Bind and Execute each time; Bind and Execute of a statement prepared once.
const (
	Simple   Protocol = "simple"
	Extended Protocol = "extended"
	Prepared Protocol = "prepared"
)

// The names of the workloads.
const (
	selects = "select"
	update  = "update"
	inserts = "insert100"
	copies  = "copy"
	gather  = "gather"
	local   = "local"
	insert1 = "insert1"
	enqueue = "enqueue"
)

// insertRows is how many rows a statement of the workload insert100 has, and copyRows how many a COPY.
const (
	insertRows = 100
	copyRows   = 10_000
)

// workload is a script of pgbench with the loads under which it is run.
type workload struct {
	name      string
	about     string // for the report
	script    string // :rows is the number of accounts; TABLE is where rows go; empty: pgbench cannot do it
	protocols []Protocol
	clients   []int
	warmUp    int      // transactions per client that fill pools, plan caches and PostgreSQL's own caches before anything counts
	table     string   // that each run fills anew, on a server that syncs; empty: the workload is for the other servers
	queued    bool     // pgring answers before the rows are in the table
	ways      []string // contenders that can do it; empty: all but unbatched, and the spread one if it is keyed
	keyed     bool     // a transaction is for one account
}

// durable reports whether the workload is for servers that sync what they commit.
func (w workload) durable() bool { return w.table != "" }

func (w workload) isFor(contender string) bool {
	if w.ways == nil {
		return contender != Unbatched && (w.keyed || contender != SpreadPgBouncer)
	}
	return slices.Contains(w.ways, contender)
}

// workloads are all of them, in the order of the report.
func workloads() []workload { return append(throughWorkloads(), durableWorkloads()...) }

// throughWorkloads are pgbench's own -S and -N, written out because the number of rows need not be a whole scale, what goes over all
// shards, and what goes to none. The first two find everything by aid, so that all statements of a transaction go to one shard.
func throughWorkloads() []workload {
	all := []Protocol{Simple, Extended, Prepared}
	return []workload{
		{
			name: selects, protocols: all, clients: []int{1, 16, 64}, warmUp: 20, keyed: true,
			about: "one SELECT by primary key per transaction, as `pgbench -S`",
			script: `\set aid random(1, :rows)
SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
`,
		},
		{
			name: update, protocols: all, clients: []int{16}, warmUp: 20, keyed: true,
			about: "BEGIN, UPDATE, SELECT, INSERT and END per transaction, as `pgbench -N`; accounts and history are sharded by aid",
			script: `\set aid random(1, :rows)
\set bid random(1, 1)
\set tid random(1, 10)
\set delta random(-5000, 5000)
BEGIN;
UPDATE pgbench_accounts SET abalance = abalance + :delta WHERE aid = :aid;
SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (:tid, :bid, :aid, :delta, CURRENT_TIMESTAMP);
END;
`,
		},
		{
			name: inserts, protocols: []Protocol{Simple}, clients: []int{1}, warmUp: 5,
			about:  fmt.Sprintf("one INSERT of %d rows with random keys per transaction, which pgring splits over the shards and commits on all or none", insertRows),
			script: insertScript(),
		},
		{
			name: copies, protocols: []Protocol{Simple}, clients: []int{1}, warmUp: 1,
			about: fmt.Sprintf("one COPY FROM STDIN of %d rows with random keys per transaction, likewise; by a client of its own, for pgbench has no COPY", copyRows),
		},
		{
			name: gather, protocols: []Protocol{Simple}, clients: []int{1}, warmUp: 1,
			about: "all accounts read in one SELECT with an ORDER BY over what every shard has",
			script: `SELECT aid, abalance FROM pgbench_accounts ORDER BY abalance, aid;
`,
		},
		{
			name: local, protocols: []Protocol{Prepared}, clients: []int{64}, warmUp: 20, ways: []string{PgRing},
			about:  "SELECT pgring.next_id(), which pgring answers without a server: what the machine carries at most, pgbench and the sockets included",
			script: "SELECT pgring.next_id();\n",
		},
	}
}

// insertScript draws a key per row, so that no two statements are alike.
func insertScript() string {
	var draws, rows strings.Builder
	for i := range insertRows {
		fmt.Fprintf(&draws, "\\set a%d random(1, :rows)\n", i)
		if i > 0 {
			rows.WriteString(", ")
		}
		fmt.Fprintf(&rows, "(%d, 1, :a%d, %d, '2026-01-01')", i%10, i, i)
	}
	return draws.String() + "INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES " + rows.String() + ";\n"
}

// durableWorkloads are INSERTs of one row, each a transaction of its own.
func durableWorkloads() []workload {
	const script = `\set author random(1, 1000000)
\set id random(1, 4611686018427387903)
INSERT INTO TABLE (author, id, note) VALUES (:author, :id, 'a note of some length');
`
	both := []Protocol{Simple, Prepared}
	return []workload{
		{
			name: insert1, protocols: both, clients: []int{1, 64}, warmUp: 20, table: "notes", ways: []string{Direct, PgBouncer, Unbatched, PgRing},
			about:  "one INSERT of one row per transaction, which pgring writes in batches (`batch`); unbatched is pgring with a table without that",
			script: script,
		},
		{
			name: enqueue, protocols: both, clients: []int{64}, warmUp: 20, table: "events", queued: true,
			about:  "the same INSERT, which pgring answers when it is in its log on the disk, and applies afterwards (`async`)",
			script: script,
		},
	}
}

// workloadOf is the workload of a cell of the matrix.
func workloadOf(c Cell) workload {
	all := workloads()
	return all[slices.IndexFunc(all, func(w workload) bool { return w.name == c.Workload })]
}

// warmUp is for how long a cell is run before anything counts.
func (c Cell) warmUp() length { return length{transactions: workloadOf(c).warmUp} }

// length is when a run ends: after so many transactions per client, or, without a number, after so many seconds.
type length struct{ transactions, seconds int }

// arguments are pgbench's.
func (l length) arguments() []string {
	if l.transactions > 0 {
		return []string{"-t", strconv.Itoa(l.transactions)}
	}
	return []string{"-T", strconv.Itoa(l.seconds)}
}

// Cell is one load: a workload with a protocol and a number of clients.
type Cell struct {
	Workload string   `json:"workload"`
	Protocol Protocol `json:"protocol"`
	Clients  int      `json:"clients"`
}

// Name is what the option Only is matched with, such as select/simple/16.
func (c Cell) Name() string { return fmt.Sprintf("%s/%s/%d", c.Workload, c.Protocol, c.Clients) }

// matrix is every cell, in the order of the report.
func matrix() []Cell {
	var cells []Cell
	for _, w := range workloads() {
		for _, protocol := range w.protocols {
			for _, clients := range w.clients {
				cells = append(cells, Cell{Workload: w.name, Protocol: protocol, Clients: clients})
			}
		}
	}
	return cells
}

func cellNames(cells []Cell) string {
	list := make([]string, len(cells))
	for i, c := range cells {
		list[i] = c.Name()
	}
	return strings.Join(list, ", ")
}
