package bench

import (
	"fmt"
	"net/url"
	"time"
)

// The names of the contenders.
const (
	Direct    = "direct"
	PgBouncer = "pgbouncer"
	PgRing    = "pgring"
	Unbatched = "unbatched" // pgring with tables that have no batches

	// SpreadPgBouncer is pgbouncer in front of all servers that pgring has; its clients choose the server.
	SpreadPgBouncer = "spread pgbouncer"
)

// contender is one way to the data.
type contender struct {
	name     string
	port     int
	user     string
	password string // empty: none is asked for
	database string
	process  *process // whose CPU time counts; nil: there is no proxy
	lacks    Protocol // that it cannot serve; empty: none
	prefix   string   // of its tables' names, on servers that sync
	parts    []string // databases with a part of the rows each, for a part of its clients; nil: database has all
}

// databases are those that it leads to.
func (c contender) databases() []string {
	if c.parts == nil {
		return []string{c.database}
	}
	return c.parts
}

func (c contender) can(cell Cell) bool {
	return c.lacks != cell.Protocol && workloadOf(cell).isFor(c.name) && cell.Clients >= len(c.parts)
}

// dsn is for pgx.
func (c contender) dsn() string { return c.dsnOf(c.database) }

func (c contender) dsnOf(database string) string {
	return (&url.URL{Scheme: "postgres", User: url.UserPassword(c.user, c.password), Host: address(c.port), Path: "/" + database,
		RawQuery: "sslmode=disable"}).String()
}

// cpu is what its proxy has used so far.
func (c contender) cpu() (time.Duration, error) {
	if c.process == nil {
		return 0, nil
	}
	return cpuTime(c.process.pid())
}

// log is the end of what its proxy wrote, for an error report.
func (c contender) log() string {
	if c.process == nil {
		return ""
	}
	if tail := c.process.tail(); tail != "" {
		return fmt.Sprintf("\n%s wrote:\n%s", c.name, tail)
	}
	return ""
}
