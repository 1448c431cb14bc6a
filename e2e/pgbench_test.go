package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// benchTables spread what pgbench's transactions -S and -N use by account. Branches and tellers stay at home.
const benchTables = `
  - {name: pgbench_accounts, shard_key: [aid]}
  - {name: pgbench_history, shard_key: [aid], colocate: pgbench_accounts}`

const benchAccounts = 100_000

func benchModes() []string { return []string{"simple", "extended", "prepared"} }

func TestPgbenchOnHomeTables(t *testing.T) {
	c := start(t, layout{})
	c.run(t, tool{name: "pgbench", args: []string{"-i", "-q"}})
	if got := c.psql(t, "-At", "-c", "SELECT count(*) FROM pgbench_accounts"); got != "100000\n" {
		t.Errorf("pgbench -i leaves %q accounts", got)
	}
	for _, mode := range benchModes() {
		for _, builtin := range []string{"tpcb-like", "select-only", "simple-update"} {
			t.Run(mode+" "+builtin, func(t *testing.T) { c.bench(t, 100, "-M", mode, "-b", builtin) })
		}
	}
	t.Run("pipelines", func(t *testing.T) { c.benchPipelines(t) })
	c.checkBooks(t)
}

func TestPgbenchOnShardedTables(t *testing.T) {
	c := start(t, layout{tables: benchTables})
	c.run(t, tool{name: "pgbench", args: []string{"-i", "-q", "-I", "dtp"}})
	c.fillAccounts(t)
	for i := range c.servers {
		if n := c.count(t, i, "SELECT count(*) FROM pgbench_accounts"); n < benchAccounts/5 || n > benchAccounts*3/10 {
			t.Errorf("%s has %d of %d accounts", shardName(i), n, benchAccounts)
		}
	}
	for _, mode := range benchModes() {
		for _, builtin := range []string{"select-only", "simple-update"} {
			t.Run(mode+" "+builtin, func(t *testing.T) { c.bench(t, 100, "-M", mode, "-b", builtin) })
		}
	}
	t.Run("pipelines", func(t *testing.T) { c.benchPipelines(t) })
	for i := range c.servers {
		if n := c.count(t, i, "SELECT count(*) FROM pgbench_history"); n == 0 {
			t.Errorf("%s has no history", shardName(i))
		}
	}
	c.checkBooks(t)
}

// bench runs pgbench with 8 clients; not one transaction may fail.
func (c *cluster) bench(t *testing.T, transactions int, args ...string) {
	t.Helper()
	args = append([]string{"-n", "-c", "8", "-j", "2", "-t", fmt.Sprint(transactions)}, args...)
	out := c.run(t, tool{name: "pgbench", args: args})
	want := fmt.Sprintf("number of transactions actually processed: %d/%d\n", 8*transactions, 8*transactions)
	if !hasAll(out, want, "number of failed transactions: 0 ") || strings.Contains(strings.ToLower(out), "error") {
		t.Errorf("pgbench %s:\n%s", strings.Join(args, " "), out)
	}
}

func (c *cluster) benchPipelines(t *testing.T) {
	script := filepath.Join(t.TempDir(), "pipeline.sql")
	must(t, os.WriteFile(script, []byte(`\set aid random(1, 100000)
\set delta random(-5000, 5000)
\startpipeline
BEGIN;
UPDATE pgbench_accounts SET abalance = abalance + :delta WHERE aid = :aid;
SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (1, 1, :aid, :delta, CURRENT_TIMESTAMP);
END;
SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
\endpipeline
`), 0o600))
	for _, mode := range []string{"extended", "prepared"} {
		c.bench(t, 100, "-M", mode, "-f", script)
	}
}

// checkBooks compares the balances with the history of the transactions that made them.
func (c *cluster) checkBooks(t *testing.T) {
	t.Helper()
	conn := c.connect(t)
	balance := one[int64](t, conn, "SELECT sum(abalance) FROM pgbench_accounts")
	history := one[int64](t, conn, "SELECT sum(delta) FROM pgbench_history")
	if balance != history {
		t.Errorf("accounts hold %d, the history says %d", balance, history)
	}
}

// fillAccounts inserts pgbench's rows through the proxy, each statement with rows of one shard.
func (c *cluster) fillAccounts(t *testing.T) {
	conn := c.connect(t)
	const perStatement = 1000
	for server := range c.servers {
		var batch pgx.Batch
		ids := c.keysOn(t, server, 1, benchAccounts)
		for len(ids) > 0 {
			n := min(perStatement, len(ids))
			var sql strings.Builder
			sql.WriteString("INSERT INTO pgbench_accounts (aid, bid, abalance, filler) VALUES ")
			for i, id := range ids[:n] {
				if i > 0 {
					sql.WriteByte(',')
				}
				fmt.Fprintf(&sql, "(%d,1,0,'')", id)
			}
			batch.Queue(sql.String())
			ids = ids[n:]
		}
		must(t, conn.SendBatch(t.Context(), &batch).Close())
	}
	execute(t, conn, "INSERT INTO pgbench_branches VALUES (1, 0)")
}
