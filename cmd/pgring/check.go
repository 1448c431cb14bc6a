package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"github.com/pgring/pgring/cmd/pgring/internal/check"
	"github.com/pgring/pgring/cmd/pgring/internal/config"
	"github.com/pgring/pgring/cmd/pgring/internal/node"
	"github.com/pgring/pgring/cmd/pgring/internal/output"
)

func checkCommand() *cobra.Command {
	var file string
	var connect bool
	format := output.NewFlag(output.AsTable, output.AsJSON)
	cmd := &cobra.Command{
		Use: "check", Short: "Check a configuration and, with --connect, the servers it names", Args: noArgs,
		Long: `Checks a configuration file and lists every fault and warning at once.

With --connect it also logs in to each shard, with every login that pgring would use, and compares the shards: versions, logins
and rights, settings, clocks, and the declared tables' columns, keys, indexes and constraints. With async.backend kafka it talks to each broker, and looks at the topics of asynchronous
tables. It changes nothing.

Exit codes: 0 nothing is wrong (there may be warnings), 1 the servers have errors, 3 the configuration has errors.`,
		Example: "  pgring check -c pgring.yaml\n  pgring check -c pgring.yaml --connect -o json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.Load(file)
			if err != nil {
				return err
			}
			if connect {
				return checkServers(cmd.Context(), cfg, cmd.OutOrStdout(), cmd.ErrOrStderr(), format.Format)
			}
			return checkFile(file, cfg, cmd.OutOrStdout(), cmd.ErrOrStderr(), format.Format)
		},
	}
	cmd.Flags().StringVarP(&file, "config", "c", "pgring.yaml", "configuration file")
	cmd.Flags().BoolVar(&connect, "connect", false, "log in to each shard and compare the shards")
	addFormat(cmd, format)
	return cmd
}

// checkFile reports on a file that is valid; one that is not never gets here.
func checkFile(file string, cfg *config.Config, stdout, stderr io.Writer, format output.Format) error {
	if format == output.AsJSON {
		warnings := []string{}
		for _, w := range cfg.Warnings() {
			warnings = append(warnings, w.String())
		}
		e := json.NewEncoder(stdout)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(map[string]any{"file": file, "valid": true, "shards": len(cfg.Shards), "tables": len(cfg.Tables),
			"users": len(cfg.Auth.Users), "warnings": warnings})
	}
	printWarnings(cfg, stderr)
	_, err := fmt.Fprintf(stdout, "%s is valid: %s, %s, %s\n", file, count(len(cfg.Shards), "shard"), count(len(cfg.Tables), "table"), count(len(cfg.Auth.Users), "user"))
	return err
}

func checkServers(ctx context.Context, cfg *config.Config, stdout, stderr io.Writer, format output.Format) error {
	printWarnings(cfg, stderr)
	options := check.Options{Config: cfg, Dial: func(ctx context.Context, shard config.Shard, login config.Login) (*pgx.Conn, error) {
		return node.Connect(ctx, cfg, shard, login)
	}}
	if cfg.Control.URL.IsSet() {
		options.Control = func(ctx context.Context) (*pgx.Conn, error) { return pgx.Connect(ctx, cfg.Control.URL.Reveal()) }
	}
	var err error
	if options.Kafka, err = node.Kafka(cfg); err != nil {
		return err
	}
	report, err := check.Run(ctx, options)
	if err != nil {
		return err
	}
	if err := report.Write(stdout, format); err != nil {
		return err
	}
	errs, warnings := report.Count(check.Error), report.Count(check.Warning)
	if errs > 0 {
		return fmt.Errorf("found %s and %s", count(errs, "error"), count(warnings, "warning"))
	}
	if format == output.AsTable {
		_, err = fmt.Fprintf(stdout, "no errors, %s\n", count(warnings, "warning"))
	}
	return err
}

func printWarnings(cfg *config.Config, stderr io.Writer) {
	for _, w := range cfg.Warnings() {
		fmt.Fprintln(stderr, w)
	}
}

// count writes a number of things.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
