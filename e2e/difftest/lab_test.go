package difftest

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgring/pgring/internal/pgtest"
)

const (
	shardCount = 3
	database   = "lab"
	login      = "app"
	secret     = "app-secret"
	patience   = 60 * time.Second // for what must happen, on a machine that is busy with other tests
)

// lab is pgring over three servers, and beside it one server with the databases plain and mirror, which have all rows.
type lab struct {
	t      testing.TB
	shards []*pgtest.Server
	whole  *pgtest.Server
	proxy  *proxy

	through, plain, mirror *client    // what statements are sent to
	stores                 []*store   // the shards behind the proxy's back
	plainStore             *store     // plain, as its administrator
	mirrorStore            *store     // mirror, likewise
	relations              []relation // the tables of the setup
	owners                 *placement
	hasty                  bool // what plain cannot answer within its timeout is not asked of the others
}

// start makes a lab with the tables and rows of the setup.
func start(t testing.TB) *lab {
	t.Helper()
	servers := pgtest.Start(t, shardCount+1, pgtest.ICULocale("en-US"), pgtest.Setting("log_min_messages", "fatal"))
	l := &lab{t: t, shards: servers[:shardCount], whole: servers[shardCount], relations: relations(), owners: newPlacement(t)}
	for _, s := range servers {
		s.CreateUser(t, login, secret)
	}
	for _, s := range l.shards {
		s.CreateDatabase(t, database, login)
	}
	l.whole.CreateDatabase(t, "plain", login)
	l.whole.CreateDatabase(t, "mirror", login)
	l.proxy = startProxy(t, l.shards)
	l.through = l.open("pgring", l.proxy.dsn())
	l.plain = l.open("PostgreSQL", l.whole.DSN(login, "plain"))
	l.mirror = l.open("the mirror", l.whole.DSN(login, "mirror"), "enable_hashagg", "enable_hashjoin", "enable_indexscan", "enable_bitmapscan")
	l.fill()
	return l
}

// fill makes schema and rows; the mirror gets the rows backwards, without the checks that need them forwards.
func (l *lab) fill() {
	schema, rows := readSetup(l.t, "schema.sql"), readSetup(l.t, "rows.sql")
	for _, c := range []*client{l.through, l.plain, l.mirror} {
		for _, statement := range schema {
			c.must(l.t, statement)
		}
	}
	for _, statement := range rows {
		l.through.must(l.t, statement)
		l.plain.must(l.t, statement)
	}
	l.mirrorStore = openStore(l.t, l.whole.DSN(pgtest.Superuser, "mirror"), l.relations)
	for i := range rows {
		l.mirrorStore.must(l.t, rows[len(rows)-1-i])
	}
	l.plainStore = openStore(l.t, l.whole.DSN(pgtest.Superuser, "plain"), l.relations)
	for i, s := range l.shards {
		st := openStore(l.t, s.DSN(pgtest.Superuser, database), l.relationsOn(i))
		l.stores = append(l.stores, st)
	}
	for _, st := range l.allStores() {
		st.keep(l.t)
	}
	if diff := l.compareTables(); diff != "" {
		l.t.Fatalf("the setup differs:\n%s", diff)
	}
	for _, r := range l.relations {
		if r.kind == sharded && len(l.stores[shardCount-1].rows[r.name]) > 0 {
			l.t.Fatalf("the shard that is to be empty has rows of %s", r.name)
		}
	}
	l.through.learnTypes(l.t)
	l.plain.learnTypes(l.t)
	l.mirror.learnTypes(l.t)
}

func (l *lab) allStores() []*store {
	return append(append([]*store{}, l.stores...), l.plainStore, l.mirrorStore)
}

// relationsOn are the tables that a shard has: home tables are on the first only.
func (l *lab) relationsOn(shard int) []relation {
	var on []relation
	for _, r := range l.relations {
		if r.kind != home || shard == 0 {
			on = append(on, r)
		}
	}
	return on
}

// readSetup cuts a file of the setup into statements, which end with a semicolon at the end of a line.
func readSetup(t testing.TB, name string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(setupDir, name))
	must(t, err)
	var statements []string
	var body strings.Builder
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "--") {
			continue
		}
		body.WriteString(line)
		if strings.HasSuffix(line, ";\n") {
			statements = append(statements, strings.TrimSuffix(body.String(), ";\n"))
			body.Reset()
		}
	}
	return statements
}

// proxy is the running pgring.
type proxy struct {
	port, http int
	log        *logBuffer
	command    *exec.Cmd
	ended      chan struct{}
	waited     error // read it after ended
}

// logBuffer collects what the process writes.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer // not embedded: its ReadFrom would pass by the lock
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// startProxy runs the binary over the shards until the test ends, which also looks into its log.
func startProxy(t testing.TB, shards []*pgtest.Server) *proxy {
	t.Helper()
	p := &proxy{port: pgtest.Port(t), http: pgtest.Port(t), log: &logBuffer{}, ended: make(chan struct{})}
	file := filepath.Join(t.TempDir(), "pgring.yaml")
	must(t, os.WriteFile(file, []byte(p.configuration(t, shards)), 0o600))
	p.command = exec.Command(os.Getenv(binaryVariable), "serve", "-c", file)
	p.command.Stdout, p.command.Stderr = p.log, p.log
	p.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go p.own(started)
	must(t, <-started)
	t.Cleanup(func() { p.stop(t) })
	p.awaitReady(t)
	return p
}

// own starts the process and waits for it, on one thread: the parent-death signal is sent when the starting thread ends.
// owner: the test, through ended; ends when the process has ended.
func (p *proxy) own(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := p.command.Start()
	started <- err
	if err != nil {
		return
	}
	p.waited = p.command.Wait()
	close(p.ended)
}

func (p *proxy) configuration(t testing.TB, shards []*pgtest.Server) string {
	t.Helper()
	tables, err := os.ReadFile(filepath.Join(setupDir, "tables.yaml"))
	must(t, err)
	var b strings.Builder
	fmt.Fprintf(&b, "version: 1\nlisten: {sql: '127.0.0.1:%d', http: '127.0.0.1:%d'}\n", p.port, p.http)
	fmt.Fprintf(&b, "auth: {users: [{name: %s, password: %s}]}\n", login, secret)
	fmt.Fprintf(&b, "backend: {user: %s, database: %s, operator: {user: %s}}\nshards:\n", login, database, pgtest.Superuser)
	for i, s := range shards {
		fmt.Fprintf(&b, "  - {name: %s, host: %s, port: %d}\n", shardName(i), s.Host, s.Port)
	}
	fmt.Fprintf(&b, "pool: {auto_prepare: 1}\ntables:\n%s", tables)
	return b.String()
}

func shardName(i int) string { return fmt.Sprintf("s%d", i+1) }

func (p *proxy) dsn() string {
	return fmt.Sprintf("host=127.0.0.1 port=%d user=%s password=%s dbname=%s sslmode=disable", p.port, login, secret, database)
}

func (p *proxy) awaitReady(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !p.ready(ctx) {
		select {
		case <-p.ended:
			t.Fatalf("pgring has ended: %v\n%s", p.waited, p.log)
		case <-ctx.Done():
			t.Fatalf("pgring does not get ready:\n%s", p.log)
		case <-tick.C:
		}
	}
}

// ready asks /readyz.
func (p *proxy) ready(ctx context.Context) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/readyz", p.http), nil)
	if err != nil {
		return false
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	return answer.StatusCode == http.StatusOK
}

// stop ends the process as an operator would.
func (p *proxy) stop(t testing.TB) {
	t.Helper()
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Errorf("signal pgring: %v", err)
	}
	select {
	case <-p.ended:
	case <-time.After(patience):
		t.Errorf("pgring does not end within %s", patience)
		_ = p.command.Process.Signal(syscall.SIGQUIT) // shows where it hangs
		<-p.ended
	}
	log := p.log.String()
	for _, bad := range []string{"ended by a bug", "DATA RACE", "panic:", "fatal error:"} {
		if strings.Contains(log, bad) {
			t.Errorf("pgring's log has %q", bad)
		}
	}
	if t.Failed() {
		t.Logf("pgring's log: %s", log[max(0, len(log)-20_000):])
	}
}

// open connects a client for statements, with some of the planner's settings turned off.
func (l *lab) open(name, dsn string, off ...string) *client {
	l.t.Helper()
	c := &client{name: name, dsn: dsn, off: off}
	must(l.t, c.connect())
	l.t.Cleanup(c.close)
	return c
}

// closeConn ends a connection when the test, and so its context, may be over.
func closeConn(conn *pgconn.PgConn) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = conn.Close(ctx) // the other side may be gone on purpose
}
