package bench

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/pgring/pgring/cmd/pgring/internal/output"
)

const (
	absent = "–" // it cannot serve the cell, or there is nothing to measure
	failed = "error"
)

// column is one column of a table of results: a head and how to fill it.
type column struct {
	head string
	cell func(Result) string
}

// throughput is the columns of the first table: who does how many transactions.
func (r *Report) throughput() []column {
	columns := cellColumns()
	for _, name := range r.names() {
		columns = append(columns, column{name + " TPS", func(r Result) string { return figureOf(r.of(name), r.of(name).TPS, 0) }})
	}
	for _, name := range r.others() {
		columns = append(columns, column{"pgring / " + name, func(r Result) string {
			ratio, ok := r.to(name)
			return ratioOf(ratio.TPS, ok)
		}})
	}
	return columns
}

// costs is the columns of the second table: how long a transaction takes, and how much of the CPU a proxy takes for it.
func (r *Report) costs() []column {
	columns := cellColumns()
	for _, name := range r.names() {
		columns = append(columns, column{name + " ms", func(r Result) string { return figureOf(r.of(name), r.of(name).LatencyMS, 3) }})
	}
	for _, name := range r.names() {
		if name != Direct {
			columns = append(columns, column{name + " CPU µs", func(r Result) string { return figureOf(r.of(name), r.of(name).CPUMicros, 1) }})
		}
	}
	if r.Versions.PgBouncer == "" {
		return columns
	}
	return append(columns,
		column{"latency / pgbouncer", func(r Result) string {
			ratio, ok := r.to(PgBouncer)
			return ratioOf(ratio.LatencyMS, ok)
		}},
		column{"CPU / pgbouncer", func(r Result) string {
			ratio, ok := r.to(PgBouncer)
			if !ok || ratio.CPUMicros == nil {
				return absent
			}
			return ratioOf(*ratio.CPUMicros, true)
		}})
}

func cellColumns() []column {
	return []column{
		{"workload", func(r Result) string { return r.Workload }},
		{"protocol", func(r Result) string { return string(r.Protocol) }},
		{"clients", func(r Result) string { return strconv.Itoa(r.Clients) }},
	}
}

// others are those that pgring is compared with, the closest relation first.
func (r *Report) others() []string {
	if r.Versions.PgBouncer == "" {
		return []string{Direct}
	}
	return []string{PgBouncer, Direct}
}

func figureOf(c Contender, figures *Spread, decimals int) string {
	switch {
	case c.Error != "":
		return failed
	case figures == nil:
		return absent
	}
	return strconv.FormatFloat(figures.Median, 'f', decimals, 64)
}

func ratioOf(ratio Spread, ok bool) string {
	if !ok {
		return absent
	}
	return fmt.Sprintf("%.2f (%.2f–%.2f)", ratio.Median, ratio.Min, ratio.Max)
}

// text is the report on a terminal.
func (r *Report) text() string {
	var out bytes.Buffer
	fmt.Fprintf(&out, "%s\n\n", r.summary())
	for _, columns := range [][]column{r.throughput(), r.costs()} {
		// Nothing that is written to memory fails, and the format is one of the three.
		_ = r.table(columns).Write(&out, output.AsTable)
		out.WriteString("\n")
	}
	for _, i := range r.Idle {
		fmt.Fprintf(&out, "%s\n", i)
	}
	fmt.Fprintf(&out, "%s\n", legend)
	for _, note := range r.Notes {
		fmt.Fprintf(&out, "Note: %s.\n", note)
	}
	for _, fault := range r.faults() {
		fmt.Fprintf(&out, "Error: %s\n", fault)
	}
	return out.String()
}

const legend = `Figures are medians of the rounds. Ratios are medians of the rounds' own ratios, with the smallest and the largest in parentheses.
CPU is the proxy's user and system time per transaction.`

func (r *Report) summary() string {
	c := r.Conditions
	return fmt.Sprintf("rounds: %d, of %s per cell and contender; rows: %d; shards behind pgring: %d; connections per pool: %d; cores: %d; load before: %.2f",
		c.Rounds, c.length(), c.Rows, c.Shards, c.Pool, r.Machine.Cores, r.Machine.Load)
}

func (r *Report) table(columns []column) *output.Table {
	t := &output.Table{}
	for i, c := range columns {
		kind := output.Number
		if i < 2 {
			kind = output.Text
		}
		t.Columns = append(t.Columns, output.Column{Name: c.head, Kind: kind})
	}
	for _, result := range r.Results {
		row := make([][]byte, len(columns))
		for i, c := range columns {
			row[i] = []byte(c.cell(result))
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// markdownTable is the same table in Markdown.
func (r *Report) markdownTable(columns []column) string {
	var out strings.Builder
	for _, c := range columns {
		out.WriteString("| " + c.head + " ")
	}
	out.WriteString("|\n")
	for i := range columns {
		out.WriteString("|" + map[bool]string{true: "---", false: "---:"}[i < 2])
	}
	out.WriteString("|\n")
	for _, result := range r.Results {
		for _, c := range columns {
			out.WriteString("| " + c.cell(result) + " ")
		}
		out.WriteString("|\n")
	}
	return out.String()
}
