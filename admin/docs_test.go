package admin

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgring/pgring/internal/golden"
)

func TestConsoleDocsAreFresh(t *testing.T) {
	path := filepath.Join("..", "docs", "console.md")
	want := consoleDocs()
	if os.Getenv("PGRING_UPDATE") == "1" {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is stale; PGRING_UPDATE=1 go test ./admin writes it anew:\n%s", path, golden.Diff(want, string(got)))
	}
}

const docsHead = `# Console and HTTP endpoints

<!-- Generated from the command table in admin; PGRING_UPDATE=1 go test ./admin writes it anew. -->

## Console

The console is a database of its own: connect to ` + "`pgring`" + ` (or ` + "`pgbouncer`" + `, for tools that know that name) as a user with role stats or admin, with psql or
any driver, in the simple or the extended protocol:

` + "```" + `
psql -h 127.0.0.1 -p 6432 -U admin pgring -c "SHOW POOLS WHERE cl_waiting > 0 ORDER BY maxwait DESC"
` + "```" + `

* Names, order and units of the columns that pgbouncer has are pgbouncer's (1.18); pgring's own columns come after them. What is not known is NULL.
* Role stats may use SHOW, HELP, ROUTE and SAGA VERIFY; role admin everything.
* Every SHOW, and HELP, takes a filter, in this order: ` + "`LIKE 'pattern'`" + ` on the first column, ` + "`WHERE column op value AND …`" + ` with = <> < <= > >=, LIKE, NOT LIKE, IS NULL and
  IS NOT NULL, ` + "`ORDER BY column [DESC], …`" + ` (NULL comes last), ` + "`LIMIT n`" + `.
* Names of tables and columns are written as in SQL; those of shards and hosts as they are. Anything can be quoted.
* Each error has a SQLSTATE, and says in DETAIL what was found and in HINT what to type next.
* What drivers send of their own accord (BEGIN, SET, SELECT 1, SELECT version(), …) is answered and has no effect.
* A SHOW waits at most two seconds for servers that do not answer.
`

const docsHTTP = `
## HTTP

| path | answers |
|---|---|
| /healthz | 200 as long as the process runs. It asks no shard, so that a dead shard never has the proxy restarted. |
| /readyz | 200 if clients are accepted, the map is loaded and at least one shard is up; else 503. With ` + "`?shards=all`" + ` every shard must be up. The JSON body has status (ready, degraded, not ready), reasons, epoch and shards. When the control database is lost the answer stays 200, with status degraded and the reason. |
| /metrics | Metrics for Prometheus. |
| /debug/pprof/ | Profiles of the process, if observe.pprof is on. |

## Metrics

No label holds a key or the text of a query. Besides these there are those of the Go runtime (go_…) and of the process (process_…).

| metric | type | labels | meaning |
|---|---|---|---|
`

// consoleDocs renders docs/console.md.
func consoleDocs() string {
	var b strings.Builder
	b.WriteString(docsHead)
	for _, c := range commandTable() {
		fmt.Fprintf(&b, "\n### %s\n\n", c.name)
		usage := c.usage()
		if c.shows() {
			usage += " [filter]"
		}
		fmt.Fprintf(&b, "`%s` · role %s\n\n%s\n", usage, c.role, c.does)
		if c.columns == nil {
			continue
		}
		b.WriteString("\n| column | type | meaning |\n|---|---|---|\n")
		for _, col := range c.columns {
			fmt.Fprintf(&b, "| %s | %s | %s |\n", col.name, col.typ, cell(col.means))
		}
	}
	b.WriteString(docsHTTP)
	for _, m := range metricTable() {
		kind := "gauge"
		if m.kind == prometheus.CounterValue {
			kind = "counter"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", m.name, kind, strings.Join(m.labels, ", "), cell(m.help))
	}
	fmt.Fprintf(&b, "| %s | histogram | command | %s |\n", commandSeconds, cell(commandSecondsHelp))
	fmt.Fprintf(&b, "| %s | histogram | | %s |\n", pauseSeconds, cell(pauseSecondsHelp))
	return b.String()
}

func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
