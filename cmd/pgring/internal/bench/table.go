package bench

import (
	"bytes"
	"fmt"
	"slices"
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

// section is one table with its title.
type section struct {
	title   string
	results []Result
	columns []column
}

// sections are the tables of the report: two for the servers that do not sync, and two for the one that does.
func (r *Report) sections() []section {
	through, durable := r.resultsOf(false), r.resultsOf(true)
	var list []section
	if len(through) > 0 {
		list = append(list,
			section{"Throughput", through, r.throughput(names(through))},
			section{"Latency and CPU", through, r.costs(names(through))})
	}
	if len(durable) > 0 {
		list = append(list,
			section{"INSERTs of one row, on a server that syncs", durable, r.writes(names(durable))},
			section{"What such an INSERT costs", durable, r.writeCosts(names(durable))})
	}
	return list
}

func (r *Report) resultsOf(durable bool) []Result {
	var list []Result
	for _, result := range r.Results {
		if workloadOf(result.Cell).durable() == durable {
			list = append(list, result)
		}
	}
	return list
}

// throughput says who does how many transactions.
func (r *Report) throughput(names []string) []column {
	columns := append(cellColumns(), figures(names, "TPS", 0, func(c Contender) *Spread { return c.TPS })...)
	for _, name := range r.others() {
		columns = append(columns, ratio("pgring / "+name, name, func(r Ratio) *Spread { return &r.TPS }))
	}
	return columns
}

// costs says how long a transaction takes, and how much of the CPU a proxy takes for it.
func (r *Report) costs(names []string) []column {
	columns := append(cellColumns(), figures(names, "ms", 3, func(c Contender) *Spread { return c.LatencyMS })...)
	columns = append(columns, figures(proxies(names), "CPU µs", 1, func(c Contender) *Spread { return c.CPUMicros })...)
	if r.Versions.PgBouncer == "" {
		return columns
	}
	for _, name := range r.bouncers() {
		columns = append(columns, ratio("latency / "+name, name, func(r Ratio) *Spread { return &r.LatencyMS }),
			ratio("CPU / "+name, name, func(r Ratio) *Spread { return r.CPUMicros }))
	}
	return columns
}

// writes says how many rows are acknowledged, and how many get into the table.
func (r *Report) writes(names []string) []column {
	columns := append(cellColumns(), figures(names, "TPS", 0, func(c Contender) *Spread { return c.TPS })...)
	columns = append(columns, ratio("pgring / direct", Direct, func(r Ratio) *Spread { return &r.TPS }))
	columns = append(columns, figures([]string{PgRing}, "applied per s", 0, func(c Contender) *Spread { return c.AppliedTPS })...)
	return append(columns, ratio("applied / direct", Direct, func(r Ratio) *Spread { return r.AppliedTPS }))
}

// writeCosts says what it takes to write a row, of the proxy's CPU and of the server's.
func (r *Report) writeCosts(names []string) []column {
	columns := append(cellColumns(), figures(names, "ms", 3, func(c Contender) *Spread { return c.LatencyMS })...)
	columns = append(columns, ratio("latency / unbatched", Unbatched, func(r Ratio) *Spread { return &r.LatencyMS }))
	columns = append(columns, figures(proxies(names), "CPU µs", 1, func(c Contender) *Spread { return c.CPUMicros })...)
	columns = append(columns, figures(names, "server CPU µs per row", 1, func(c Contender) *Spread { return c.ServerMicros })...)
	return append(columns, ratio("server CPU direct / pgring", Direct, func(r Ratio) *Spread { return r.ServerMicros }))
}

// figures are a column for each contender.
func figures(names []string, unit string, decimals int, of func(Contender) *Spread) []column {
	var columns []column
	for _, name := range names {
		columns = append(columns, column{name + " " + unit, func(r Result) string { return figureOf(r.of(name), of(r.of(name)), decimals) }})
	}
	return columns
}

// ratio is a column that compares with one contender.
func ratio(head, to string, of func(Ratio) *Spread) column {
	return column{head, func(r Result) string {
		ratio, ok := r.to(to)
		if !ok || of(ratio) == nil {
			return absent
		}
		return ratioOf(*of(ratio))
	}}
}

func cellColumns() []column {
	return []column{
		{"workload", func(r Result) string { return r.Workload }},
		{"protocol", func(r Result) string { return string(r.Protocol) }},
		{"clients", func(r Result) string { return strconv.Itoa(r.Clients) }},
	}
}

// names are the contenders that could do at least one of the cells, in order.
func names(results []Result) []string {
	var list []string
	for _, r := range results {
		for i, c := range r.Contenders {
			if !c.Unsupported && !slices.Contains(list, c.Name) {
				list = slices.Insert(list, min(i, len(list)), c.Name)
			}
		}
	}
	return list
}

func proxies(names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return name == Direct })
}

// others are those that pgring is compared with, the closest relation first.
func (r *Report) others() []string {
	if r.Versions.PgBouncer == "" {
		return []string{Direct}
	}
	return append(r.bouncers(), Direct)
}

// bouncers are the ways in which pgbouncer took part.
func (r *Report) bouncers() []string {
	if slices.Contains(names(r.resultsOf(false)), SpreadPgBouncer) {
		return []string{PgBouncer, SpreadPgBouncer}
	}
	return []string{PgBouncer}
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

func ratioOf(ratio Spread) string {
	return fmt.Sprintf("%.2f (%.2f–%.2f)", ratio.Median, ratio.Min, ratio.Max)
}

// text is the report on a terminal.
func (r *Report) text() string {
	var out bytes.Buffer
	fmt.Fprintf(&out, "%s\n\n", r.summary())
	for _, s := range r.sections() {
		// Nothing that is written to memory fails, and the format is one of the three.
		_ = s.table().Write(&out, output.AsTable)
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
CPU is the proxy's user and system time per transaction, server CPU that of all the server's processes until the rows are in the table.`

func (r *Report) summary() string {
	c := r.Conditions
	return fmt.Sprintf("rounds: %d, of %s per cell and contender; rows: %d; shards behind pgring: %d; connections per pool: %d; cores: %d; load before: %.2f",
		c.Rounds, c.length(), c.Rows, c.Shards, c.Pool, r.Machine.Cores, r.Machine.Load)
}

func (s section) table() *output.Table {
	t := &output.Table{}
	for i, c := range s.columns {
		kind := output.Number
		if i < 2 {
			kind = output.Text
		}
		t.Columns = append(t.Columns, output.Column{Name: c.head, Kind: kind})
	}
	for _, result := range s.results {
		row := make([][]byte, len(s.columns))
		for i, c := range s.columns {
			row[i] = []byte(c.cell(result))
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// markdownTable is the same table in Markdown.
func (s section) markdown() string {
	var out strings.Builder
	for _, c := range s.columns {
		out.WriteString("| " + c.head + " ")
	}
	out.WriteString("|\n")
	for i := range s.columns {
		out.WriteString("|" + map[bool]string{true: "---", false: "---:"}[i < 2])
	}
	out.WriteString("|\n")
	for _, result := range s.results {
		for _, c := range s.columns {
			out.WriteString("| " + c.cell(result) + " ")
		}
		out.WriteString("|\n")
	}
	return out.String()
}
