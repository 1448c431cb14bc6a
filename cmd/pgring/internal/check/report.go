package check

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pgring/pgring/cmd/pgring/internal/config"
	"github.com/pgring/pgring/cmd/pgring/internal/output"
)

// Severity says whether something is wrong or may be.
type Severity string

// The severities. With an error pgring does not start or gives wrong answers; a warning may be meant.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
)

// Finding is one thing that is wrong, or may be.
type Finding struct {
	Severity Severity `json:"severity"`
	Shard    string   `json:"shard,omitempty"` // empty: it concerns all
	Message  string   `json:"message"`
	Hint     string   `json:"hint,omitempty"` // what to do about it
}

// LoginReport is one login at one shard.
type LoginReport struct {
	Shard   string `json:"shard"`
	Address string `json:"address"`
	Login   string `json:"login"`
	For     string `json:"for"`
	Works   bool   `json:"works"`
}

// ServerReport is what one shard's server says of itself.
type ServerReport struct {
	Shard                   string  `json:"shard"`
	Version                 string  `json:"version"`
	Encoding                string  `json:"encoding"`
	Collation               string  `json:"collation"`
	WALLevel                string  `json:"wal_level"`
	MaxConnections          int     `json:"max_connections"`
	MaxPreparedTransactions int     `json:"max_prepared_transactions"`
	ClockSkewMS             float64 `json:"clock_skew_ms"` // against the machine that asks
}

// TableReport is one declared table.
type TableReport struct {
	Table    string   `json:"table"`
	Kind     string   `json:"kind"`
	Key      string   `json:"shard_key,omitempty"`
	On       []string `json:"on"`
	Missing  []string `json:"missing_on"`
	Findings int      `json:"findings"`
}

// Report is everything that was seen, errors first.
type Report struct {
	Logins   []LoginReport  `json:"logins"`
	Servers  []ServerReport `json:"servers"`
	Tables   []TableReport  `json:"tables"`
	Findings []Finding      `json:"findings"`
}

func (r *reporter) summarize(t config.Table, copies []copyOf, missing []string, findings int) {
	s := TableReport{Table: t.Name.String(), Kind: string(t.Strategy), On: []string{}, Missing: []string{}, Findings: findings}
	if len(t.ShardKey) > 0 {
		s.Key = strings.Join(keyColumns(t), ", ")
	}
	for _, c := range copies {
		s.On = append(s.On, c.shard)
	}
	if t.Strategy == config.StrategyHome {
		missing = slices.DeleteFunc(slices.Clone(missing), func(shard string) bool { return shard != r.homeOf(t) })
	}
	s.Missing = append(s.Missing, missing...)
	r.summary = append(r.summary, s)
}

func (r *reporter) report() *Report {
	out := &Report{Logins: []LoginReport{}, Servers: []ServerReport{}, Tables: append([]TableReport{}, r.summary...), Findings: append([]Finding{}, r.findings...)}
	for _, p := range r.probes {
		for _, a := range p.logins {
			out.Logins = append(out.Logins, LoginReport{Shard: p.name(), Address: address(p.shard), Login: a.login.User, For: a.purpose(), Works: a.err == nil})
		}
		if f := p.facts; f != nil {
			out.Servers = append(out.Servers, ServerReport{Shard: p.name(), Version: f.Version, Encoding: f.Encoding, Collation: f.Collation,
				WALLevel: f.WALLevel, MaxConnections: f.MaxConnections, MaxPreparedTransactions: f.MaxPreparedTransactions,
				ClockSkewMS: float64(f.Skew.Round(100*time.Microsecond)) / float64(time.Millisecond)})
		}
	}
	// "error" sorts before "warning".
	slices.SortStableFunc(out.Findings, func(a, b Finding) int { return cmp.Compare(a.Severity, b.Severity) })
	return out
}

func address(s config.Shard) string { return net.JoinHostPort(s.Host, strconv.Itoa(s.Port)) }

// Count returns the number of findings of a severity.
func (r *Report) Count(severity Severity) int {
	n := 0
	for _, f := range r.Findings {
		if f.Severity == severity {
			n++
		}
	}
	return n
}

// Write writes the report in a format: tables and sentences, or one JSON object.
func (r *Report) Write(w io.Writer, f output.Format) error {
	if f == output.AsJSON {
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(r)
	}
	for _, t := range []*output.Table{r.loginTable(), r.serverTable(), r.tableTable()} {
		if len(t.Rows) == 0 {
			continue
		}
		if err := t.Write(w, f); err != nil {
			return err
		}
		if _, err := fmt.Fprintln(w); err != nil {
			return err
		}
	}
	for _, finding := range r.Findings {
		if _, err := fmt.Fprintln(w, finding); err != nil {
			return err
		}
	}
	return nil
}

func (f Finding) String() string {
	text := string(f.Severity) + ": "
	if f.Shard != "" {
		text += f.Shard + ": "
	}
	text += f.Message
	if f.Hint != "" {
		text += "\n  hint: " + f.Hint
	}
	return text
}

func (r *Report) loginTable() *output.Table {
	var rows [][]string
	for _, l := range r.Logins {
		result := "works"
		if !l.Works {
			result = "ERROR"
		}
		rows = append(rows, []string{l.Shard, l.Address, l.Login, l.For, result})
	}
	return output.Texts([]string{"shard", "address", "login", "for", "result"}, rows)
}

func (r *Report) serverTable() *output.Table {
	var rows [][]string
	for _, s := range r.Servers {
		rows = append(rows, []string{s.Shard, s.Version, s.Encoding, s.Collation, s.WALLevel, strconv.Itoa(s.MaxConnections),
			strconv.Itoa(s.MaxPreparedTransactions), strconv.FormatFloat(s.ClockSkewMS, 'f', 1, 64)})
	}
	t := output.Texts([]string{"shard", "version", "encoding", "collation", "wal_level", "max_connections", "max_prepared_transactions", "clock_skew_ms"}, rows)
	for _, i := range []int{5, 6, 7} {
		t.Columns[i].Kind = output.Number
	}
	return t
}

func (r *Report) tableTable() *output.Table {
	var rows [][]string
	for _, s := range r.Tables {
		result := "fine"
		if s.Findings > 0 {
			result = "see below"
		}
		rows = append(rows, []string{s.Table, s.Kind, s.Key, strings.Join(s.On, ", "), strings.Join(s.Missing, ", "), result})
	}
	return output.Texts([]string{"table", "kind", "shard_key", "on", "missing_on", "result"}, rows)
}
