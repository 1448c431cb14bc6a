package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
)

// errNoPgBouncer says that there is nothing to compare with but PostgreSQL itself.
var errNoPgBouncer = errors.New("pgbouncer is not installed, so the comparison is with direct connections only (Debian and Ubuntu: apt-get install pgbouncer)")

// pgbouncer is an installed one.
type pgbouncer struct {
	path    string
	version string
	// prepared: it keeps track of clients' prepared statements in transaction mode, as it does since 1.21.
	prepared bool
}

func findPgBouncer(ctx context.Context) (pgbouncer, error) {
	path, err := exec.LookPath("pgbouncer")
	if err != nil { // Debian's place is not in everybody's PATH
		path, err = exec.LookPath("/usr/sbin/pgbouncer")
	}
	if err != nil {
		return pgbouncer{}, errNoPgBouncer
	}
	out, err := exec.CommandContext(ctx, path, "--version").Output()
	if err != nil {
		return pgbouncer{}, fmt.Errorf("ask pgbouncer for its version: %w", err)
	}
	return describePgBouncer(path, string(out))
}

// describePgBouncer reads what `pgbouncer --version` says.
func describePgBouncer(path, text string) (pgbouncer, error) {
	found := regexp.MustCompile(`(?i)pgbouncer (\d+)\.(\d+)\S*`).FindStringSubmatch(text)
	if found == nil {
		return pgbouncer{}, fmt.Errorf("ask pgbouncer for its version: it said %q", text)
	}
	major, _ := strconv.Atoi(found[1]) // the pattern lets nothing but digits through
	minor, _ := strconv.Atoi(found[2])
	b := pgbouncer{path: path, version: found[0][len("pgbouncer "):]}
	b.prepared = major > 1 || minor >= 21
	return b, nil
}

// pgbouncerConfig is the least that transaction pooling needs. Everyone is trusted, which only makes logging in cheaper.
const pgbouncerConfig = `[pgbouncer]
listen_addr = %s
listen_port = %d
unix_socket_dir =
auth_type = trust
auth_file = %s
pool_mode = transaction
default_pool_size = %d
max_client_conn = %d
log_connections = 0
log_disconnections = 0
`

// bouncedDatabase is a line of the configuration.
const bouncedDatabase = "%s = host=%s port=%d dbname=%s user=%s\n"

// addPgBouncer starts pgbouncer in front of the first shard, and of all of them, or notes why not.
func (l *lab) addPgBouncer(ctx context.Context) error {
	b, err := findPgBouncer(ctx)
	if errors.Is(err, errNoPgBouncer) {
		l.note("%s", err)
		return nil
	}
	if err != nil {
		return err
	}
	port, err := l.reservePort()
	if err != nil {
		return err
	}
	command, err := l.pgbouncerCommand(b, port)
	if err != nil {
		return err
	}
	p, err := l.run("pgbouncer", command)
	if err != nil {
		return err
	}
	c := contender{name: PgBouncer, port: port, user: superuser, database: "direct", process: p}
	if !b.prepared {
		c.lacks = Prepared
		l.note("pgbouncer %s has no prepared statements in transaction mode (1.21 and later do), so prepared is compared with direct connections only", b.version)
	}
	l.versions.PgBouncer = b.version
	l.contenders = append(l.contenders, c)
	if !l.durable {
		l.contenders = append(l.contenders, l.spread(c))
	}
	return p.ready(ctx, c.dsn())
}

// spread is the same pgbouncer in front of every server.
func (l *lab) spread(c contender) contender {
	c.name = SpreadPgBouncer
	for i := range l.servers {
		c.parts = append(c.parts, partName(i))
	}
	c.database = c.parts[0]
	return c
}

func partName(i int) string { return part + strconv.Itoa(i+1) }

// pgbouncerCommand writes the configuration to a folder that pgbouncer's user can enter. It holds no secret.
func (l *lab) pgbouncerCommand(b pgbouncer, port int) (*exec.Cmd, error) {
	account, err := unprivileged()
	if err != nil {
		return nil, err
	}
	users, file := filepath.Join(l.dir, "pgbouncer.users"), filepath.Join(l.dir, "pgbouncer.ini")
	home := l.servers[0]
	text := fmt.Sprintf(pgbouncerConfig, home.Host, port, users, l.options.Pool, l.options.Idle+500)
	if b.prepared {
		text += "max_prepared_statements = 100\n"
	}
	text += "[databases]\n" + fmt.Sprintf(bouncedDatabase, "direct", home.Host, home.Port, "direct", superuser)
	for i, s := range l.servers {
		text += fmt.Sprintf(bouncedDatabase, partName(i), s.Host, s.Port, part, superuser)
	}
	err = errors.Join(os.Chmod(l.dir, 0o711),
		os.WriteFile(users, []byte(`"`+superuser+`" ""`+"\n"), 0o644),
		os.WriteFile(file, []byte(text), 0o644))
	if err != nil {
		return nil, fmt.Errorf("configure pgbouncer: %w", err)
	}
	command := exec.Command(b.path, file)
	command.Dir = "/"
	command.SysProcAttr = &syscall.SysProcAttr{Credential: account}
	return command, nil
}
