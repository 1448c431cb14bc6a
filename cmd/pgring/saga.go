package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pgring/pgring/cmd/pgring/internal/client"
	"github.com/pgring/pgring/cmd/pgring/internal/output"
)

func sagaCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "saga", Short: "Look at transactions over several shards, and compare what the shards say of them", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usageError{fmt.Errorf("%q needs list or verify", cmd.CommandPath())}
		},
	}
	cmd.AddCommand(sagaListCommand(), sagaVerifyCommand())
	return cmd
}

func sagaListCommand() *cobra.Command {
	var at client.Console
	var state string
	format := output.NewFlag(output.AsTable, output.AsJSON, output.AsCSV)
	cmd := &cobra.Command{
		Use: "list", Short: "List the transactions of mode saga", Args: noArgs,
		Long: `Asks a running proxy for the transactions of mode saga (SHOW SAGAS): those that are not settled, then the youngest. A shard that
cannot be asked is named in a warning.

The password comes from PGPASSWORD or ~/.pgpass; nothing is prompted for.`,
		Example: "  pgring saga list -U admin\n  pgring saga list -U stats --state STUCK -o json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			sql := "SHOW SAGAS"
			if state != "" {
				sql += " WHERE state = '" + strings.ReplaceAll(strings.ToUpper(state), "'", "''") + "'"
			}
			_, err := ask(cmd, at, format, sql)
			return err
		},
	}
	cmd.Flags().StringVar(&state, "state", "", "only those in this state, such as STUCK")
	addConsole(cmd, &at)
	addFormat(cmd, format)
	return cmd
}

func sagaVerifyCommand() *cobra.Command {
	return findings("SAGA VERIFY", &cobra.Command{
		Use: "verify", Short: "Compare what all shards say of transactions over several shards", Args: noArgs,
		Long: `Has a running proxy compare what all shards say of each saga and of each two-phase commit (SAGA VERIFY), and lists what contradicts
itself: after a failover or a restored backup, a shard may have lost a step that others rely on. It changes nothing, and what is
under way is not an error.

Exit codes: 0 nothing contradicts itself, 1 something does, or a shard could not be asked.`,
		Example: "  pgring saga verify -U admin\n  pgring saga verify -h 10.0.0.5:6432 -U stats -o json",
	})
}

// findings completes a command that lists problems: it fails if there are any.
func findings(statement string, cmd *cobra.Command) *cobra.Command {
	var at client.Console
	format := output.NewFlag(output.AsTable, output.AsJSON, output.AsCSV)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		found, err := ask(cmd, at, format, statement)
		if err == nil && found > 0 {
			err = fmt.Errorf("found %s", count(found, "problem"))
		}
		return err
	}
	addConsole(cmd, &at)
	addFormat(cmd, format)
	return cmd
}
