package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sync/errgroup"

	"github.com/pgring/pgring/cmd/pgring/internal/client"
	"github.com/pgring/pgring/cmd/pgring/internal/node"
)

const (
	host         = "127.0.0.1"
	database     = "shop"
	configName   = "pgring.yaml"
	logName      = "pgring.log"
	maxShards    = 64
	maxCustomers = 1_000_000
)

const (
	// DefaultShards is how many servers a new demo has.
	DefaultShards = 4
	// DefaultDir is the folder that make demo-clean removes.
	DefaultDir = ".demo"
)

// Options say what the demo is like.
type Options struct {
	Dir       string // where everything is kept; made when it does not exist
	Shards    int    // zero means as many as the folder has, four in a new one
	Port      int    // of the proxy
	HTTP      int    // port of /metrics; zero means none
	Customers int    // at least so many are loaded
	Version   string
	Stdout    io.Writer
	Ready     func() // called when everything has been printed; nil means nobody waits for it
}

// demo is one run.
type demo struct {
	Options
	place   *place
	servers []*server
	log     *os.File
}

// Run shows the demo until ctx ends. The end that was asked for is no error.
func Run(ctx context.Context, o Options) (err error) {
	if err := o.check(); err != nil {
		return err
	}
	d := &demo{Options: o}
	if d.place, err = openPlace(o.Dir); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	if err := d.prepare(ctx); err != nil {
		return whileWanted(ctx, err)
	}
	return whileWanted(ctx, d.serve(ctx))
}

// whileWanted drops an error that is only the echo of Ctrl-C.
func whileWanted(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func (o Options) check() error {
	switch {
	case o.Shards < 0 || o.Shards > maxShards:
		return fmt.Errorf("a demo has 1 to %d shards, not %d", maxShards, o.Shards)
	case o.Customers < 1 || o.Customers > maxCustomers:
		return fmt.Errorf("a demo has 1 to %d customers, not %d", maxCustomers, o.Customers)
	case o.Port < 1 || o.Port > 65535:
		return fmt.Errorf("--port %d is no port", o.Port)
	case o.HTTP < 0 || o.HTTP > 65535:
		return fmt.Errorf("--http %d is no port", o.HTTP)
	}
	return errors.Join(free(o.Port, "--port"), free(o.HTTP, "--http"))
}

// free finds out now, rather than after the servers have started, that somebody else listens on a port.
func free(port int, flag string) error {
	if port == 0 {
		return nil
	}
	ln, err := net.Listen("tcp", address(port))
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("port %d is taken by another program: choose another one with %s", port, flag)
	case err != nil:
		return fmt.Errorf("listen on port %d (choose another one with %s): %w", port, flag, err)
	}
	return ln.Close()
}

func address(port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }

// prepare starts the servers and writes the configuration that names them.
func (d *demo) prepare(ctx context.Context) error {
	shards, err := d.shards()
	if err != nil {
		return err
	}
	if d.place.moved {
		d.say("The user postgres cannot enter %s, so the servers keep their data in %s.\n", d.Dir, d.place.data)
	}
	d.say("Starting %d PostgreSQL servers …\n", shards)
	if d.servers, err = startServers(ctx, d.place.data, shards); err != nil {
		return err
	}
	return os.WriteFile(d.configFile(), []byte(d.configText()), 0o600)
}

// serve runs the node, and beside it loads the shop and tells about it once clients are accepted.
func (d *demo) serve(ctx context.Context) error {
	var err error
	if d.log, err = os.Create(filepath.Join(d.Dir, logName)); err != nil {
		return fmt.Errorf("write the log: %w", err)
	}
	ready := make(chan struct{})
	n, err := node.New(node.Options{ConfigFile: d.configFile(), Version: d.Version,
		Logger: slog.New(slog.NewTextHandler(d.log, nil)), Ready: func(net.Addr) { close(ready) }})
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	// owner: serve; ends when ctx does, or when the node breaks.
	group.Go(func() error { return n.Run(ctx) })
	// owner: serve; ends when everything has been printed, or when ctx does.
	group.Go(func() error {
		select {
		case <-ready:
			return d.show(ctx)
		case <-ctx.Done():
			return nil
		}
	})
	if err := group.Wait(); err != nil {
		return fmt.Errorf("%w (the proxy's log is %s)", err, d.log.Name())
	}
	return nil
}

// show loads the shop and says what there is.
func (d *demo) show(ctx context.Context) error {
	if err := d.load(ctx); err != nil {
		return fmt.Errorf("load the shop: %w", client.Explain(err))
	}
	g := guide{Dir: d.Dir, Port: d.Port, HTTP: d.HTTP, Customer: min(42, d.Customers)}
	var err error
	if g.Shards, err = d.counts(ctx); err != nil {
		return fmt.Errorf("count the shop's rows on the shards: %w", err)
	}
	g.Version = d.servers[0].version
	if err := g.write(d.Stdout); err != nil {
		return err
	}
	if d.Ready != nil {
		d.Ready()
	}
	return nil
}

func (d *demo) say(format string, args ...any) { fmt.Fprintf(d.Stdout, format, args...) }

func (d *demo) configFile() string { return filepath.Join(d.Dir, configName) }

// close stops the servers and lets go of the folder.
func (d *demo) close() error {
	if len(d.servers) > 0 {
		d.say("\nStopping …\n")
	}
	err := stopServers(d.servers)
	if d.log != nil {
		err = errors.Join(err, d.log.Close())
	}
	return errors.Join(err, d.place.close())
}
