package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/pgring/pgring/cmd/pgring/internal/output"
)

// Versions of the programs that took part; empty means not there.
type Versions struct {
	PgRing     string `json:"pgring"`
	Go         string `json:"go"`
	PostgreSQL string `json:"postgresql"`
	PgBouncer  string `json:"pgbouncer,omitempty"`
	PgBench    string `json:"pgbench"`
}

// Conditions are what was the same for every contender.
type Conditions struct {
	Rounds       int    `json:"rounds"`
	Seconds      int    `json:"seconds"`                // per run of pgbench
	Transactions int    `json:"transactions,omitempty"` // per client, if this ended a run and not the time
	Rows         int    `json:"rows"`
	Shards       int    `json:"shards"`
	Pool         int    `json:"pool"`           // server connections per server, of each proxy
	Data         string `json:"data,omitempty"` // where the servers keep their data
	Disk         string `json:"disk,omitempty"` // where the server that syncs keeps its data
}

// length is how long one run of pgbench was.
func (c Conditions) length() string {
	if c.Transactions > 0 {
		return fmt.Sprintf("%d transactions per client", c.Transactions)
	}
	return fmt.Sprintf("%d s", c.Seconds)
}

// Report is what a run showed, and how it came about.
type Report struct {
	Taken      time.Time  `json:"taken"`
	Machine    Machine    `json:"machine"`
	Versions   Versions   `json:"versions"`
	Conditions Conditions `json:"conditions"`
	Command    string     `json:"command"`
	Notes      []string   `json:"notes"`
	Results    []Result   `json:"results"`
	Idle       []Idle     `json:"idle,omitempty"`
}

// Write writes the report for people, or all of it as JSON.
func (r *Report) Write(w io.Writer, format output.Format) error {
	if format != output.AsJSON {
		_, err := io.WriteString(w, r.text())
		return err
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// Failed is an error that lists the cells without figures that should have some; nil means that all is well. What went wrong is in
// the report.
func (r *Report) Failed() error {
	var list []string
	for _, result := range r.Results {
		for _, c := range result.Contenders {
			if c.Error != "" {
				list = append(list, result.Name()+" through "+c.Name)
			}
		}
	}
	if len(list) == 0 {
		return nil
	}
	return fmt.Errorf("measure %s: the report says why", strings.Join(list, ", "))
}

// faults are what went wrong, in full.
func (r *Report) faults() []string {
	var list []string
	for _, result := range r.Results {
		for _, c := range result.Contenders {
			if c.Error != "" {
				list = append(list, c.Error)
			}
		}
	}
	return list
}
