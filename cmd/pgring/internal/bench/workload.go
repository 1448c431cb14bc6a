package bench

import (
	"fmt"
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
)

// workload is a script of pgbench with the loads under which it is run.
type workload struct {
	name    string
	about   string // for the report
	script  string // :rows is the number of accounts
	clients []int
}

// workloads are pgbench's own -S and -N, written out because the number of rows need not be a whole scale. Both find everything
// by aid, so that all statements of a transaction go to one shard.
func workloads() []workload {
	return []workload{
		{
			name: selects, clients: []int{1, 16, 64},
			about: "one SELECT by primary key per transaction, as `pgbench -S`",
			script: `\set aid random(1, :rows)
SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
`,
		},
		{
			name: update, clients: []int{16},
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
	}
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
		for _, protocol := range []Protocol{Simple, Extended, Prepared} {
			for _, clients := range w.clients {
				cells = append(cells, Cell{Workload: w.name, Protocol: protocol, Clients: clients})
			}
		}
	}
	return cells
}

func names(cells []Cell) string {
	list := make([]string, len(cells))
	for i, c := range cells {
		list[i] = c.Name()
	}
	return strings.Join(list, ", ")
}
