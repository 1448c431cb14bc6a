// Command pgring is a sharding proxy for the PostgreSQL wire protocol.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/pgring/pgring/cmd/pgring/internal/config"
)

// version is set by the build: -ldflags "-X main.version=…".
var version = "dev"

// The exit codes, as `pgring help exit-codes` lists them.
const (
	exitFailure = 1 // something did not work
	exitUsage   = 2 // the command line was wrong
	exitConfig  = 3 // the configuration file was wrong
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := root().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, message(err))
		os.Exit(exitCode(err)) //nolint:gocritic // nothing is left to defer
	}
}

func message(err error) string {
	var broken *config.Error
	if errors.As(err, &broken) {
		return broken.Error()
	}
	return "pgring: " + err.Error()
}

// usageError is a command line that makes no sense.
type usageError struct{ error }

func exitCode(err error) int {
	var usage usageError
	var broken *config.Error
	switch {
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &broken):
		return exitConfig
	}
	return exitFailure
}

func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:           "pgring",
		Short:         "A sharding proxy for PostgreSQL: scale writes without leaving SQL",
		Version:       version,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	cmd.AddCommand(serveCommand(), demoCommand(), benchCommand(), checkCommand(), sqlCommand(), routeCommand(), rebalanceCommand(), sagaCommand(), configCommand(), hashPasswordCommand(), versionCommand(), exitCodesTopic())
	return cmd
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "pgring", version)
			return err
		},
	}
}

func exitCodesTopic() *cobra.Command {
	return &cobra.Command{
		Use: "exit-codes", Short: "What pgring's exit codes mean",
		Long: "0  done\n1  it did not work; the message says why\n2  the command line was wrong\n3  the configuration file was wrong",
	}
}
