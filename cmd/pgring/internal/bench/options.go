package bench

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
)

const (
	// RowsPerScale is the number of accounts per unit of scale, as in pgbench -i.
	RowsPerScale = 100_000

	maxShards = 16
	maxPool   = 200
	maxIdle   = 15_000 // from one address to one port, beside all else on this machine
)

// Options say what to measure. The zero value is not valid; begin with Defaults.
type Options struct {
	// Program is the pgring to measure; it is run as `Program serve -c file`.
	Program string
	// Version is what the report calls it.
	Version string
	// Rounds is how often the whole matrix is run.
	Rounds int
	// Seconds is how long pgbench runs per cell, contender and round.
	Seconds int
	// Transactions, if not zero, ends each run of pgbench after so many per client instead, which is right for a test of this tool.
	Transactions int
	// Rows is the number of accounts.
	Rows int
	// Shards is the number of PostgreSQL servers behind pgring.
	Shards int
	// Pool is the number of server connections per server, in both proxies.
	Pool int
	// Idle is the number of clients that do nothing, for the proxies' memory per client. 0 leaves that out.
	Idle int
	// Only keeps the cells whose name, such as select/prepared/16, matches. Nil keeps all.
	Only *regexp.Regexp
	// Disk is a folder on a disk, for the servers that sync and pgring's log; they have a folder of their own in it. Empty means /var/tmp.
	Disk string
	// Profiles is a folder for CPU profiles of pgring, one per cell, taken after the rounds. Empty means none.
	Profiles string
	// Command is the command line that repeats this run, for the report.
	Command string
	// Progress is told what is being done. Nil means nobody is.
	Progress io.Writer
}

// Defaults are the options of a run that is worth publishing: half an hour at most.
func Defaults() Options {
	return Options{Rounds: 5, Seconds: 2, Rows: RowsPerScale, Shards: 2, Pool: 8, Idle: 2000}
}

// Check says what is wrong with the options, all of it at once.
func (o Options) Check() error {
	var faults []error
	for _, bound := range []struct {
		name             string
		value, low, high int
	}{
		{"rounds", o.Rounds, 1, 1000},
		{"seconds", o.Seconds, 1, 3600},
		{"transactions per client", o.Transactions, 0, 1 << 30},
		{"rows", o.Rows, 1, 1 << 30},
		{"shards", o.Shards, 2, maxShards},
		{"connections per pool", o.Pool, 1, maxPool},
		{"idle clients", o.Idle, 0, maxIdle},
	} {
		if bound.value < bound.low || bound.value > bound.high {
			faults = append(faults, fmt.Errorf("%d %s: must be %d to %d", bound.value, bound.name, bound.low, bound.high))
		}
	}
	if o.Program == "" {
		faults = append(faults, errors.New("no pgring to measure"))
	}
	if len(faults) == 0 && len(o.cells()) == 0 {
		faults = append(faults, fmt.Errorf("no cell matches %q; there are %s", o.Only, cellNames(matrix())))
	}
	return errors.Join(faults...)
}

// cells is the part of the matrix to run.
func (o Options) cells() []Cell {
	return slices.DeleteFunc(matrix(), func(c Cell) bool { return o.Only != nil && !o.Only.MatchString(c.Name()) })
}

// cellsOf is the part of it for servers that sync, or for the others.
func (o Options) cellsOf(durable bool) []Cell {
	return slices.DeleteFunc(o.cells(), func(c Cell) bool { return workloadOf(c).durable() != durable })
}

func (o Options) disk() string {
	if o.Disk == "" {
		return "/var/tmp"
	}
	return o.Disk
}

func (o Options) say(format string, values ...any) {
	if o.Progress != nil {
		fmt.Fprintf(o.Progress, format+"\n", values...)
	}
}
