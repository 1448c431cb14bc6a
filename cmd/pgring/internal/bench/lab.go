package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pgring/pgring/internal/pgserver"
)

const (
	host         = "127.0.0.1"
	superuser    = "postgres"
	startTimeout = 5 * time.Minute // a busy machine and many rows
)

// lab is everything a run needs, all of it on this machine: servers with data, proxies, and the contenders that lead to them.
type lab struct {
	options    Options
	durable    bool   // one server, which syncs what it commits; see durable.go
	dir        string // configurations, scripts and logs
	disk       string // folder of servers that sync; empty: none does
	pgbench    string
	servers    []*pgserver.Server
	ports      []*pgserver.Port
	processes  []*process
	contenders []contender
	web        string // address of pgring's HTTP endpoints
	versions   Versions
	notes      []string
}

// openLab starts servers, loads them and starts the proxies. After an error nothing is left.
func openLab(ctx context.Context, o Options, durable bool) (_ *lab, err error) {
	l := &lab{options: o, durable: durable}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.close())
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err = raiseFileLimit(); err != nil {
		return nil, err
	}
	if l.dir, err = os.MkdirTemp("", "pgring-bench-*"); err != nil {
		return nil, fmt.Errorf("make a folder for the benchmark: %w", err)
	}
	if err = l.findTools(ctx); err != nil {
		return nil, err
	}
	if err = l.writeScripts(); err != nil {
		return nil, err
	}
	if err = l.startServers(ctx); err != nil {
		return nil, err
	}
	if err = l.load(ctx); err != nil {
		return nil, err
	}
	return l, l.addContenders(ctx)
}

// cells is what this lab is for.
func (l *lab) cells() []Cell { return l.options.cellsOf(l.durable) }

// addContenders: their order here is the order in the report.
func (l *lab) addContenders(ctx context.Context) error {
	l.contenders = append(l.contenders, contender{name: Direct, port: l.servers[0].Port, user: superuser, database: "direct"})
	if err := l.addPgBouncer(ctx); err != nil {
		return err
	}
	if err := l.addPgRing(ctx); err != nil {
		return err
	}
	if l.durable {
		l.addUnbatched()
		return nil // each run counts its rows
	}
	return l.checkData(ctx)
}

// serverConfig is the same for all. What could come at its own time, a checkpoint or autovacuum, is put off, and there is no
// fsync: the subject is what stands between client and server.
func (l *lab) serverConfig() pgserver.Config {
	return pgserver.Config{
		MaxConnections: 2*l.options.Pool + 100,
		Settings: map[string]string{
			"shared_buffers":     "256MB",
			"max_wal_size":       "8GB",
			"checkpoint_timeout": "1h",
			"autovacuum":         "off",
			"jit":                "off",
		},
	}
}

func (l *lab) startServers(ctx context.Context) error {
	configs := slices.Repeat([]pgserver.Config{l.serverConfig()}, l.options.Shards)
	if l.durable {
		if err := l.openDisk(); err != nil {
			return err
		}
		configs = []pgserver.Config{l.durableServer()}
	}
	l.options.say("starting PostgreSQL servers: %d", len(configs))
	l.servers = make([]*pgserver.Server, len(configs))
	group, ctx := errgroup.WithContext(ctx)
	for i, config := range configs {
		// owner: startServers; ends when the server accepts connections, or ctx does
		group.Go(func() (err error) {
			l.servers[i], err = pgserver.Start(ctx, config)
			return err
		})
	}
	return group.Wait()
}

// run starts a proxy that ends with the lab.
func (l *lab) run(name string, command *exec.Cmd) (*process, error) {
	p, err := startProcess(name, command, filepath.Join(l.dir, name+".log"))
	if err == nil {
		l.processes = append(l.processes, p)
	}
	return p, err
}

func (l *lab) reservePort() (int, error) {
	port, err := pgserver.ReservePort()
	if err != nil {
		return 0, err
	}
	l.ports = append(l.ports, port)
	return port.Number, nil
}

func (l *lab) note(format string, values ...any) {
	l.notes = append(l.notes, fmt.Sprintf(format, values...))
	l.options.say("note: %s", l.notes[len(l.notes)-1])
}

// close ends everything in reverse order. It takes no context: an interrupted run cleans up as well.
func (l *lab) close() error {
	var faults []error
	for _, p := range slices.Backward(l.processes) {
		faults = append(faults, p.stop())
	}
	for _, s := range l.servers {
		if s != nil {
			faults = append(faults, s.Close())
		}
	}
	for _, p := range l.ports {
		p.Release()
	}
	for _, dir := range []string{l.dir, l.disk} {
		if dir != "" {
			faults = append(faults, os.RemoveAll(dir))
		}
	}
	return errors.Join(faults...)
}
