package main

import (
	"bufio"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pgring/pgring/cmd/pgring/internal/config"
)

func configCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "Check and print the configuration"}
	cmd.AddCommand(configCheckCommand(), configPrintCommand(), configSchemaCommand())
	return cmd
}

func configCheckCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use: "check", Short: "Check a configuration file; every fault is listed at once", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.Load(file)
			if err != nil {
				return err
			}
			for _, w := range cfg.Warnings() {
				fmt.Fprintln(cmd.ErrOrStderr(), w)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s is valid: %d shards, %d tables, %d users\n", file, len(cfg.Shards), len(cfg.Tables), len(cfg.Auth.Users))
			return err
		},
	}
	cmd.Flags().StringVarP(&file, "config", "c", "pgring.yaml", "configuration file")
	return cmd
}

func configPrintCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use: "print", Short: "Print the configuration in force, defaults included, secrets masked", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.Load(file)
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(config.Export(cfg))
			return err
		},
	}
	cmd.Flags().StringVarP(&file, "config", "c", "pgring.yaml", "configuration file")
	return cmd
}

func configSchemaCommand() *cobra.Command {
	return &cobra.Command{
		Use: "schema", Short: "Print the JSON schema that editors use", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			schema, err := config.Schema()
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(schema)
			return err
		},
	}
}

func hashPasswordCommand() *cobra.Command {
	return &cobra.Command{
		Use: "hash-password", Short: "Read a password from standard input and print its SCRAM verifier", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			line, err := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
			password := strings.TrimRight(line, "\r\n")
			if password == "" {
				return errors.Join(usageError{errors.New("standard input holds no password")}, err)
			}
			verifier, err := config.HashPassword(password)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), verifier)
			return err
		},
	}
}
