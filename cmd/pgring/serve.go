package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/pgring/pgring/cmd/pgring/internal/config"
	"github.com/pgring/pgring/cmd/pgring/internal/node"
)

func serveCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use: "serve", Short: "Run the proxy", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return serve(cmd.Context(), file, cmd.ErrOrStderr()) },
	}
	cmd.Flags().StringVarP(&file, "config", "c", "pgring.yaml", "configuration file")
	return cmd
}

// serve runs one node until a signal ends it. SIGHUP reloads the configuration.
func serve(ctx context.Context, file string, stderr io.Writer) error {
	cfg, err := config.Load(file)
	if err != nil {
		return err
	}
	for _, w := range cfg.Warnings() {
		fmt.Fprintln(stderr, w)
	}
	log := newLogger(cfg.Observe.Log, stderr)
	n, err := node.New(node.Options{ConfigFile: file, Version: version, Logger: log})
	if err != nil {
		return err
	}
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	ctx, stop := context.WithCancel(ctx)
	reloads := make(chan struct{})
	// owner: serve; ends when ctx does
	go func() {
		defer close(reloads)
		reloadOn(ctx, hangup, n, log)
	}()
	err = n.Run(ctx)
	stop()
	<-reloads
	return err
}

func reloadOn(ctx context.Context, hangup <-chan os.Signal, n *node.Node, log *slog.Logger) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
			if _, err := n.Reload(ctx); err != nil {
				log.Error("reload configuration", "error", err)
			}
		}
	}
}

func newLogger(cfg config.Log, w io.Writer) *slog.Logger {
	level := map[config.LogLevel]slog.Level{config.LogDebug: slog.LevelDebug, config.LogInfo: slog.LevelInfo,
		config.LogWarn: slog.LevelWarn, config.LogError: slog.LevelError}[cfg.Level]
	options := &slog.HandlerOptions{Level: level}
	if cfg.Format == config.LogJSON || (cfg.Format == config.LogAuto && !isTerminal(w)) {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
