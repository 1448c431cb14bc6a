package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pgring/pgring/cmd/pgring/internal/client"
	"github.com/pgring/pgring/cmd/pgring/internal/output"
	"github.com/pgring/pgring/cmd/pgring/internal/progress"
)

func rebalanceCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "rebalance", Short: "Plan, start, watch and steer moves of slots between shards", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usageError{fmt.Errorf("%q needs plan, start, status, pause, resume, cancel, revert, finish, throttle or verify", cmd.CommandPath())}
		},
	}
	cmd.AddCommand(
		rebalanceBy("plan", "List what rebalance start would move", false),
		rebalanceBy("start", "Move slots until each shard has its share", true),
		rebalanceStatus(), rebalanceVerify(), rebalanceThrottle(),
	)
	for word, short := range map[string]string{
		"pause": "Stop all moves where they are", "resume": "Let moves go on that are paused or have stopped",
		"cancel": "Undo every move that has not switched its slots",
	} {
		cmd.AddCommand(rebalanceOrder(word, short, false))
	}
	cmd.AddCommand(
		rebalanceOrder("revert", "Send the slots of reversible moves, or of one, back", true),
		rebalanceOrder("finish", "End reversible moves, or one, for good", true),
	)
	return cmd
}

const passwordNote = "\n\nThe password comes from PGPASSWORD or ~/.pgpass; nothing is prompted for."

// rebalanceBy is plan or start.
func rebalanceBy(word, short string, watchable bool) *cobra.Command {
	var at client.Console
	var by string
	var watch bool
	format := output.NewFlag(output.AsTable, output.AsJSON, output.AsCSV)
	cmd := &cobra.Command{
		Use: word, Short: short, Args: noArgs,
		Long: short + " (REBALANCE " + strings.ToUpper(word) + "), by the number of slots, by size or by load." + passwordNote,
		RunE: func(cmd *cobra.Command, _ []string) error {
			sql := "REBALANCE " + strings.ToUpper(word)
			switch strings.ToLower(by) {
			case "":
			case "count", "size", "load":
				sql += " BY " + strings.ToUpper(by)
			default:
				return usageError{fmt.Errorf("--by must be count, size or load, not %q", by)}
			}
			if _, err := ask(cmd, at, format, sql); err != nil || !watch {
				return err
			}
			return watchMoves(cmd, at)
		},
	}
	cmd.Flags().StringVar(&by, "by", "", "what is evened out: count, size or load")
	if watchable {
		cmd.Flags().BoolVar(&watch, "watch", false, "show the progress until the moves are over")
	}
	addConsole(cmd, &at)
	addFormat(cmd, format)
	return cmd
}

func rebalanceStatus() *cobra.Command {
	var at client.Console
	var watch bool
	format := output.NewFlag(output.AsTable, output.AsJSON, output.AsCSV)
	cmd := &cobra.Command{
		Use: "status", Short: "List the moves, or watch them", Args: noArgs,
		Long: `Lists the moves of slots (SHOW REBALANCE). With --watch it shows their progress until none is under way: with bars on a terminal, else
with a line whenever a move has come further. A move that is reversible, or that only its guards are left of, is over for this.

Exit codes with --watch: 0 all moves are over, 1 one has stopped and waits for somebody.` + passwordNote,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if watch {
				return watchMoves(cmd, at)
			}
			_, err := ask(cmd, at, format, "SHOW REBALANCE")
			return err
		},
	}
	cmd.Flags().BoolVar(&watch, "watch", false, "show the progress until the moves are over")
	addConsole(cmd, &at)
	addFormat(cmd, format)
	return cmd
}

func watchMoves(cmd *cobra.Command, at client.Console) error {
	out := cmd.OutOrStdout()
	at.Stdout, at.Stderr = out, cmd.ErrOrStderr()
	err := progress.Watch(cmd.Context(), progress.Config{Out: out, Terminal: isTerminal(out), Look: at.Rows})
	if errors.Is(err, progress.ErrStopped) {
		return fmt.Errorf("%w: pgring rebalance resume lets it try again, cancel undoes it", err)
	}
	return err
}

// rebalanceOrder is a command without arguments.
// rebalanceOrder is an order to all moves; ofOne says that a move's number may follow it.
func rebalanceOrder(word, short string, ofOne bool) *cobra.Command {
	var at client.Console
	format := output.NewFlag(output.AsTable, output.AsJSON, output.AsCSV)
	cmd := &cobra.Command{
		Use: word, Short: short, Args: noArgs, Long: short + " (REBALANCE " + strings.ToUpper(word) + ")." + passwordNote,
		RunE: func(cmd *cobra.Command, args []string) error {
			sql := "REBALANCE " + strings.ToUpper(word)
			if len(args) > 0 {
				n, err := strconv.ParseUint(args[0], 10, 31)
				if err != nil {
					return usageError{fmt.Errorf("%q is not the number of a move", args[0])}
				}
				sql += fmt.Sprintf(" %d", n)
			}
			_, err := ask(cmd, at, format, sql)
			return err
		},
	}
	if ofOne {
		cmd.Use, cmd.Args = word+" [move]", cobra.MaximumNArgs(1)
	}
	addConsole(cmd, &at)
	addFormat(cmd, format)
	return cmd
}

func rebalanceThrottle() *cobra.Command {
	var at client.Console
	format := output.NewFlag(output.AsTable, output.AsJSON, output.AsCSV)
	cmd := &cobra.Command{
		Use: "throttle [rows N] [bytes N] [active N] [lag DURATION] | off | default", Short: "Bound what copies take from the servers, or say what holds",
		Long:    "Bounds what copies take from the servers, at once (REBALANCE THROTTLE). Without arguments it says what holds." + passwordNote,
		Example: "  pgring rebalance throttle -U admin rows 20000 lag 10s\n  pgring rebalance throttle -U admin off",
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, arg := range args {
				if strings.ContainsAny(arg, ";'\"") {
					return usageError{fmt.Errorf("%q is no bound", arg)}
				}
			}
			_, err := ask(cmd, at, format, strings.TrimSpace("REBALANCE THROTTLE "+strings.Join(args, " ")))
			return err
		},
	}
	addConsole(cmd, &at)
	addFormat(cmd, format)
	return cmd
}

func rebalanceVerify() *cobra.Command {
	return findings("REBALANCE VERIFY", &cobra.Command{
		Use: "verify", Short: "Look on all shards for rows that are not where the map says", Args: noArgs,
		Long: `Has a running proxy look on all shards for rows that are not where the map says, reference tables that are not the same everywhere, and
what moves have left behind (REBALANCE VERIFY). It reads every row, changes nothing, and may be used while slots move.

Exit codes: 0 everything is in its place, 1 something is not, or a shard could not be asked.` + passwordNote,
		Example: "  pgring rebalance verify -U admin\n  pgring rebalance verify -h 10.0.0.5:6432 -U admin -o json",
	})
}
