package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/pgring/pgring/cmd/pgring/internal/client"
	"github.com/pgring/pgring/cmd/pgring/internal/output"
)

// noArgs refuses arguments as a fault of the command line.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("%q takes no arguments, but got %q", cmd.CommandPath(), args[0])}
	}
	return nil
}

// oneArg wants one argument; an unquoted statement would be several.
func oneArg(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usageError{fmt.Errorf("%q takes %s in quotes, but got %d arguments", cmd.CommandPath(), what, len(args))}
		}
		return nil
	}
}

// addFormat adds the flag -o, with completion.
func addFormat(cmd *cobra.Command, format *output.Flag) {
	cmd.Flags().VarP(format, "output", "o", "how to write the answer")
	// The only error is a flag that does not exist.
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(format.Names(), cobra.ShellCompDirectiveNoFileComp))
}

// addConsole adds the flags that say where a running proxy is and who asks it.
func addConsole(cmd *cobra.Command, c *client.Console) {
	cmd.Flags().StringVarP(&c.Address, "host", "h", client.DefaultAddress, "address of the proxy, host or host:port")
	cmd.Flags().StringVarP(&c.User, "user", "U", "", "console user (default: PGUSER, else your name on this system)")
	cmd.Flags().Bool("help", false, "help for "+cmd.Name()) // without a short form: -h is the host, as in psql
}
