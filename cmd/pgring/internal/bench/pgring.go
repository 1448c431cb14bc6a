package bench

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// The names in pgring's configuration.
const (
	benchUser = "bench"
	sharded   = "sharded" // the database on every shard
	part      = "part"    // the database on every shard that has the first rows, as many as the servers leave to each
)

// pgringConfig is what an operator would write who shards pgbench's tables, with a pool that fills as pgbouncer's does.
const pgringConfig = `version: 1
listen: {sql: "%s", http: "%s", drain_timeout: 1s}
auth:
  users:
    - {name: %s, password: "%s"}
backend: {user: %s, database: %s, tls: {mode: disable}}
pool: {size: %d, min_idle: 0}
limits: {max_clients: %d}
observe: {log: {level: warn, format: text}, pprof: %t}
`

const shardedConfig = `tables:
  - {name: public.pgbench_accounts, shard_key: [aid]}
  - {name: public.pgbench_history, shard_key: [aid], colocate: public.pgbench_accounts}
shards:
`

// addPgRing starts pgring in front of all shards.
func (l *lab) addPgRing(ctx context.Context) error {
	port, err := l.reservePort()
	if err != nil {
		return err
	}
	web, err := l.reservePort()
	if err != nil {
		return err
	}
	password := rand.Text()
	l.web = address(web)
	file := filepath.Join(l.dir, "pgring.yaml")
	if err := os.WriteFile(file, []byte(l.pgringConfig(port, password)), 0o600); err != nil {
		return fmt.Errorf("configure pgring: %w", err)
	}
	p, err := l.run("pgring", exec.Command(l.options.Program, "serve", "-c", file))
	if err != nil {
		return err
	}
	c := contender{name: PgRing, port: port, user: benchUser, password: password, database: sharded, process: p}
	l.contenders = append(l.contenders, c)
	return p.ready(ctx, c.dsn())
}

func (l *lab) pgringConfig(port int, password string) string {
	var text strings.Builder
	fmt.Fprintf(&text, pgringConfig, address(port), l.web, benchUser, password, superuser, sharded, l.options.Pool, l.options.Idle+200, l.options.Profiles != "")
	if l.durable {
		fmt.Fprintf(&text, durableConfig, filepath.Join(l.disk, "async"))
	} else {
		text.WriteString(shardedConfig)
	}
	for i, s := range l.servers {
		fmt.Fprintf(&text, "  - {name: %s, host: %s, port: %d}\n", shardName(i), s.Host, s.Port)
	}
	return text.String()
}

func shardName(i int) string { return "s" + strconv.Itoa(i+1) }

func address(port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }
