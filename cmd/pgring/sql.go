package main

import (
	"github.com/spf13/cobra"

	"github.com/pgring/pgring/cmd/pgring/internal/client"
	"github.com/pgring/pgring/cmd/pgring/internal/config"
	"github.com/pgring/pgring/cmd/pgring/internal/output"
)

func sqlCommand() *cobra.Command {
	var at client.Console
	format := output.NewFlag(output.AsTable, output.AsJSON, output.AsCSV)
	cmd := &cobra.Command{
		Use: `sql [flags] "SHOW …"`, Short: "Ask the console of a running proxy", Args: oneArg("one console command"),
		Long: `Sends one command to the console of a running proxy and prints the answer. HELP lists the commands.

The password comes from PGPASSWORD or ~/.pgpass; nothing is prompted for.`,
		Example: "  PGPASSWORD=… pgring sql -U admin \"SHOW SHARDS\"\n  pgring sql -h 10.0.0.5:6432 -U stats -o json \"SHOW POOLS\"",
		RunE: func(cmd *cobra.Command, args []string) error {
			_, err := ask(cmd, at, format, args[0])
			return err
		},
	}
	addConsole(cmd, &at)
	addFormat(cmd, format)
	return cmd
}

func routeCommand() *cobra.Command {
	var file, user string
	format := output.NewFlag(output.AsTable, output.AsJSON, output.AsCSV)
	cmd := &cobra.Command{
		Use: `route [flags] "SELECT …"`, Short: "Show where a running proxy would send a statement, and why", Args: oneArg("one statement"),
		Long: `Asks the running proxy of a configuration where it would send a statement. The statement is not run.

It logs in to the console as the first user of the configuration with role admin or stats, or as --user. The password is the
configuration's when it is written there in plain text, else PGPASSWORD or ~/.pgpass has it.`,
		Example: "  pgring route -c pgring.yaml \"SELECT * FROM orders WHERE customer_id = 42\"",
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := config.Load(file)
			if err != nil {
				return err
			}
			c, err := client.FromConfig(cfg, user)
			if err != nil {
				return err
			}
			_, err = ask(cmd, c, format, "ROUTE "+args[0])
			return err
		},
	}
	cmd.Flags().StringVarP(&file, "config", "c", "pgring.yaml", "configuration file of the proxy")
	cmd.Flags().StringVarP(&user, "user", "U", "", "console user (default: the first one with role admin or stats)")
	addFormat(cmd, format)
	return cmd
}

// ask prints what the console answers, and returns how many rows that was.
func ask(cmd *cobra.Command, c client.Console, format *output.Flag, sql string) (rows int, err error) {
	c.Format, c.Stdout, c.Stderr = format.Format, cmd.OutOrStdout(), cmd.ErrOrStderr()
	return c.Ask(cmd.Context(), sql)
}
