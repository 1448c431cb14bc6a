package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/pgring/pgring/cmd/pgring/internal/demo"
)

func demoCommand() *cobra.Command {
	o := demo.Options{Version: version}
	shards := demo.DefaultShards
	cmd := &cobra.Command{
		Use: "demo", Short: "Start a few PostgreSQL servers, a proxy and a small shop, and say what to type", Args: noArgs,
		Long: fmt.Sprintf(`Starts %d PostgreSQL servers and a proxy on this machine, loads a small shop through the proxy, says what to type next, and runs
until Ctrl-C. The data is kept: the next demo goes on with it. Everything listens on 127.0.0.1 only, and the passwords are no secrets.

PostgreSQL's server programs must be installed. Run by root, the servers run as the user postgres.`, demo.DefaultShards),
		Example: "  pgring demo\n  pgring demo --dir /tmp/two --shards 2 --port 7432 --http 7480",
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Stdout = cmd.OutOrStdout()
			if cmd.Flags().Changed("shards") {
				o.Shards = shards
			}
			return demo.Run(cmd.Context(), o)
		},
	}
	cmd.Flags().StringVar(&o.Dir, "dir", demo.DefaultDir, "folder of the data, the configuration and the log")
	cmd.Flags().IntVar(&shards, "shards", shards, "number of PostgreSQL servers; a folder with data keeps the number it has")
	cmd.Flags().IntVar(&o.Port, "port", 6432, "port of the proxy")
	cmd.Flags().IntVar(&o.HTTP, "http", 6480, "port of /metrics, /healthz and /readyz; 0 turns them off")
	cmd.Flags().IntVar(&o.Customers, "customers", 2000, "customers to load; those of an earlier demo stay")
	return cmd
}
