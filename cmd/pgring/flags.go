package main

import (
	"fmt"

	"github.com/spf13/cobra"

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
