package main

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pgring/pgring/cmd/pgring/internal/bench"
	"github.com/pgring/pgring/cmd/pgring/internal/output"
)

// benchmarksPage is where the page of the documentation belongs, seen from the root of the source.
const benchmarksPage = "docs/benchmarks.md"

// benchFlags are the flags that are not options of the benchmark as they stand.
type benchFlags struct {
	scale int
	quick bool
	only  string
	write string
}

func benchCommand() *cobra.Command {
	o, f := bench.Defaults(), benchFlags{}
	format := output.NewFlag(output.AsTable, output.AsJSON)
	cmd := &cobra.Command{
		Use: "bench", Short: "Compare pgring with direct connections and pgbouncer, by pgbench", Args: noArgs,
		Long: `Starts PostgreSQL servers, pgring in front of them and pgbouncer in front of the first and of all, loads pgbench's tables, and runs pgbench on
each of them side by side: simple, extended and prepared with 1, 16 and 64 clients for a SELECT by key, and with 16 clients for
pgbench's -N transaction; then INSERTs of 100 rows, COPY, and all rows in order over all shards; and what idle clients cost. On a server that syncs to a disk, INSERTs of one row, in batches
and asynchronous. Prints throughput, latency, the proxies' CPU time, for those INSERTs the server's as well, and the ratios. Everything is gone afterwards.

Nothing else should run on the machine meanwhile. PostgreSQL's server programs and pgbench must be installed; pgbouncer should be.`,
		Example: "  pgring bench\n  pgring bench --only 'select/prepared/(16|64)' --rounds 9\n  pgring bench --write",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.apply(cmd, &o); err != nil {
				return err
			}
			return measure(cmd, o, f.write, format.Format)
		},
	}
	flags := cmd.Flags()
	flags.IntVar(&o.Rounds, "rounds", o.Rounds, "how often to run everything; ratios are medians of the rounds")
	flags.IntVar(&o.Seconds, "time", o.Seconds, "seconds per cell, contender and round")
	flags.IntVar(&f.scale, "scale", 1, "size of the tables in units of 100,000 rows, as in pgbench -i")
	flags.IntVar(&o.Shards, "shards", o.Shards, "number of PostgreSQL servers behind pgring")
	flags.IntVar(&o.Pool, "pool", o.Pool, "server connections per server, in both proxies")
	flags.IntVar(&o.Idle, "idle", o.Idle, "number of idle clients whose memory is measured; 0 leaves that out")
	flags.StringVar(&f.only, "only", "", "run the cells whose name, such as select/prepared/16, matches this regular expression")
	flags.BoolVar(&f.quick, "quick", false, "one round of one second: shows that it works, not how fast")
	flags.StringVar(&o.Disk, "disk", o.Disk, "folder on a disk for the server that syncs and pgring's log of asynchronous writes (default /var/tmp)")
	flags.StringVar(&o.Profiles, "cpuprofile", "", "folder for CPU profiles of pgring, taken after the rounds")
	flags.StringVar(&f.write, "write", "", "also write a page of documentation to this file")
	flags.Lookup("write").NoOptDefVal = benchmarksPage
	addFormat(cmd, format)
	return cmd
}

// apply turns flags into options. What is given beside --quick wins.
func (f benchFlags) apply(cmd *cobra.Command, o *bench.Options) error {
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program, to run it as the proxy: %w", err)
	}
	o.Program, o.Version, o.Progress = program, revision(cmd), cmd.ErrOrStderr()
	o.Rows = f.scale * bench.RowsPerScale
	o.Command = commandLine(os.Args[1:])
	if f.quick && !cmd.Flags().Changed("rounds") {
		o.Rounds = 1
	}
	if f.quick && !cmd.Flags().Changed("time") {
		o.Seconds = 1
	}
	if f.only != "" {
		if o.Only, err = regexp.Compile(f.only); err != nil {
			return usageError{fmt.Errorf("--only: %w", err)}
		}
	}
	if err := o.Check(); err != nil {
		return usageError{err}
	}
	return nil
}

// commandLine is what to type into a shell for these arguments.
func commandLine(args []string) string {
	words := []string{"pgring"}
	for _, a := range args {
		if a == "" || strings.ContainsAny(a, " \t\n'\"\\`$&|;<>()[]{}*?!#~") {
			a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		words = append(words, a)
	}
	return strings.Join(words, " ")
}

// measure prints what was seen even where something failed; only a full success becomes a page of the documentation.
func measure(cmd *cobra.Command, o bench.Options, page string, format output.Format) error {
	report, err := bench.Run(cmd.Context(), o)
	if report == nil {
		return err
	}
	if written := report.Write(cmd.OutOrStdout(), format); err == nil {
		err = written
	}
	if err == nil {
		err = report.Failed()
	}
	if err != nil || page == "" {
		return err
	}
	if err := os.WriteFile(page, []byte(report.Markdown()), 0o644); err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	return nil
}

// revision is the version and, where it is known, the commit: figures without it cannot be repeated. `go run` does not stamp
// its programs, so git is asked, whose absence does not matter.
func revision(cmd *cobra.Command) string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return version + " " + s.Value[:min(12, len(s.Value))]
			}
		}
	}
	out, err := exec.CommandContext(cmd.Context(), "git", "rev-parse", "--short=12", "HEAD").Output()
	if err != nil {
		return version
	}
	return version + " " + strings.TrimSpace(string(out))
}
