package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/pgring/pgring/cmd/pgring/internal/config"
	"github.com/pgring/pgring/internal/golden"
	"github.com/pgring/pgring/internal/pgserver"
	"github.com/pgring/pgring/internal/pgtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// folder is a temporary folder that the servers may enter: testing makes its own for the present user only.
func folder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "demo")
}

// running is a demo in the background.
type running struct {
	Options
	t      *testing.T
	cancel context.CancelFunc
	done   chan struct{} // closed when err and out may be read
	err    error
	out    bytes.Buffer
}

// start runs a demo and returns when it has printed everything.
func start(t *testing.T, o Options) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ready := make(chan struct{})
	r := &running{Options: o, t: t, cancel: cancel, done: make(chan struct{})}
	r.Stdout, r.Ready = &r.out, func() { close(ready) }
	// owner: start; ends when stop has cancelled it.
	go func() {
		defer close(r.done)
		r.err = Run(ctx, r.Options)
	}()
	t.Cleanup(func() { r.stop() })
	select {
	case <-ready:
	case <-r.done:
		t.Fatalf("the demo ended early: %v\n%s", r.err, r.out.String())
	case <-time.After(2 * time.Minute):
		t.Fatal("the demo is not ready after two minutes")
	}
	return r
}

// stop is Ctrl-C. It returns what was printed.
func (r *running) stop() string {
	r.t.Helper()
	r.cancel()
	<-r.done
	if r.err != nil {
		r.t.Errorf("the demo ended with %v", r.err)
	}
	return r.out.String()
}

func (r *running) connect() *pgx.Conn {
	r.t.Helper()
	return connect(r.t, fmt.Sprintf("host=127.0.0.1 port=%d user=app password=app dbname=shop sslmode=disable", r.Port))
}

func connect(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) }) // its server may have ended
	return conn
}

// shards connects to each shard as the application would without a proxy.
func (r *running) shards() map[string]*pgx.Conn {
	r.t.Helper()
	cfg, err := config.Load(filepath.Join(r.Dir, configName))
	if err != nil {
		r.t.Fatal(err)
	}
	conns := map[string]*pgx.Conn{}
	for _, s := range cfg.Shards {
		conns[s.Name] = connect(r.t, fmt.Sprintf("host=%s port=%d user=app password=app dbname=shop sslmode=disable", s.Host, s.Port))
	}
	return conns
}

func number(t *testing.T, conn *pgx.Conn, sql string, args ...any) int {
	t.Helper()
	var n int
	if err := conn.QueryRow(t.Context(), sql, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return n
}

// shardOf asks the proxy where a statement goes.
func shardOf(t *testing.T, conn *pgx.Conn, sql string) string {
	t.Helper()
	rows, err := conn.Query(t.Context(), "EXPLAIN ROUTE "+sql, pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		t.Fatal(err)
	}
	steps, err := pgx.CollectRows(rows, pgx.RowToMap)
	if err != nil || len(steps) != 1 {
		t.Fatalf("EXPLAIN ROUTE %s: %v, %v", sql, steps, err)
	}
	return steps[0]["shard"].(string)
}

func TestDemoPutsEachRowOnTheShardThatRouteNames(t *testing.T) {
	r := start(t, Options{Dir: folder(t), Shards: 2, Port: pgtest.Port(t), HTTP: pgtest.Port(t), Customers: 50, Version: "test"})
	conn, shards := r.connect(), r.shards()
	want := map[string]int{}
	for id := range 50 {
		shard := shardOf(t, conn, fmt.Sprintf("SELECT * FROM customers WHERE id = %d", id+1))
		want[shard]++
		if n := number(t, shards[shard], "SELECT count(*) FROM customers WHERE id = $1", id+1); n != 1 {
			t.Errorf("shard %s has %d customers %d", shard, n, id+1)
		}
		if n := number(t, shards[shard], "SELECT count(*) FROM orders WHERE customer_id = $1", id+1); n != len(newCustomer(int64(id+1)).orders) {
			t.Errorf("shard %s has %d orders of customer %d", shard, n, id+1)
		}
	}
	sum := 0
	for name, shard := range shards {
		n := number(t, shard, "SELECT count(*) FROM customers")
		if n != want[name] || n == 0 {
			t.Errorf("shard %s has %d customers, and %d belong there", name, n, want[name])
		}
		sum += number(t, shard, "SELECT count(*) FROM orders")
		if n := number(t, shard, "SELECT count(*) FROM countries"); n != len(countries()) {
			t.Errorf("shard %s has %d countries", name, n)
		}
	}
	if n := number(t, conn, "SELECT count(*) FROM orders"); n != sum || n == 0 {
		t.Errorf("the proxy counts %d orders, the shards %d", n, sum)
	}
	everyExampleWorks(t, conn, guide{Customer: 42}.inShop())
	console := connect(t, fmt.Sprintf("host=127.0.0.1 port=%d user=admin password=admin dbname=pgring sslmode=disable", r.Port))
	transferWorks(t, conn, shards)
	everyExampleWorks(t, console, append(guide{Customer: 42}.onConsole(), example{"ROUTE UPDATE orders SET customer_id = 7 WHERE customer_id = 42", "refused"}))
	metrics(t, r.HTTP)
	text := r.stop()
	if !strings.Contains(text, fmt.Sprintf("all   |                 |        50 |    %d |       20 |    copies |         home", sum)) {
		t.Errorf("printed\n%s", text)
	}
}

// everyExampleWorks runs what the guide tells to type. What is there to be refused says so in its comment.
func everyExampleWorks(t *testing.T, conn *pgx.Conn, examples []example) {
	t.Helper()
	for _, e := range examples {
		results, err := conn.PgConn().Exec(t.Context(), e.sql).ReadAll()
		refused := strings.HasPrefix(e.comment, "refused")
		if err == nil && strings.HasPrefix(e.sql, "ROUTE") && refused {
			refused = string(results[0].Rows[0][1]) != "refused" // ROUTE answers with a row
		}
		switch {
		case refused && err == nil:
			t.Errorf("%s was not refused", e.sql)
		case !refused && (err != nil || len(results[0].Rows) == 0 && results[0].CommandTag.String() != "INSERT 0 1"):
			t.Errorf("%s: %v, %v", e.sql, results, err)
		}
	}
}

// transferWorks moves the money as the guide tells, and looks for it on the shards.
func transferWorks(t *testing.T, conn *pgx.Conn, shards map[string]*pgx.Conn) {
	t.Helper()
	g := guide{}
	for _, name := range []string{"s1", "s2"} {
		g.Shards = append(g.Shards, shardRows{Account: int64(number(t, shards[name], "SELECT min(id) FROM accounts"))})
	}
	for _, sql := range g.transfer() {
		if _, err := conn.PgConn().Exec(t.Context(), sql).ReadAll(); err != nil {
			t.Errorf("%s: %v", sql, err)
		}
	}
	var balances []int
	for _, s := range g.Shards {
		balances = append(balances, number(t, conn, "SELECT balance FROM accounts WHERE id = $1", s.Account))
	}
	slices.Sort(balances)
	if !slices.Equal(balances, []int{savings - 10, savings + 10}) {
		t.Errorf("balances %d after the transfer", balances)
	}
}

func metrics(t *testing.T, port int) {
	t.Helper()
	client := http.Client{Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	answer, err := client.Get("http://" + address(port) + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if text, err := io.ReadAll(answer.Body); err != nil || answer.StatusCode != http.StatusOK || !bytes.Contains(text, []byte("pgring_")) {
		t.Errorf("/metrics answers %s, %v\n%s", answer.Status, err, text)
	}
}

func TestSecondDemoGoesOnWithTheDataOfTheFirst(t *testing.T) {
	o := Options{Dir: folder(t), Shards: 2, Port: pgtest.Port(t), Customers: 20, Version: "test"}
	first := start(t, o)
	conn := first.connect()
	for _, sql := range []string{"UPDATE customers SET name = 'Somebody' WHERE id = 7", "DELETE FROM orders WHERE customer_id = 8", "DELETE FROM customers WHERE id = 8"} {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	busy := o
	busy.Port, busy.Stdout = pgtest.Port(t), &bytes.Buffer{}
	if err := Run(t.Context(), busy); err == nil || !strings.Contains(err.Error(), "a demo is running in "+o.Dir+" already") {
		t.Errorf("a second demo in the folder of a running one: %v", err)
	}
	first.stop()

	o.Shards, o.Customers = 0, 25
	second := start(t, o)
	conn = second.connect()
	var name string
	if err := conn.QueryRow(t.Context(), "SELECT name FROM customers WHERE id = 7").Scan(&name); err != nil || name != "Somebody" {
		t.Errorf("customer 7 is %q, %v", name, err)
	}
	if n := number(t, conn, "SELECT count(*) FROM customers"); n != 24 {
		t.Errorf("%d customers: one of 20 was deleted and 5 were to be added", n)
	}
	text := second.stop()
	if !strings.Contains(text, "Loading 5 customers") {
		t.Errorf("printed\n%s", text)
	}

	o.Shards, o.Stdout = 3, &bytes.Buffer{}
	if err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "has 2 shards, not 3: remove it with scripts/demo-clean.sh ") {
		t.Errorf("another number of shards: %v", err)
	}
}

func TestTakenPortIsNamedWithItsFlag(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	taken := ln.Addr().(*net.TCPAddr).Port
	dir := folder(t)
	for flag, o := range map[string]Options{"--port": {Port: taken}, "--http": {Port: pgtest.Port(t), HTTP: taken}} {
		o.Dir, o.Customers, o.Stdout = dir, 1, &bytes.Buffer{}
		want := fmt.Sprintf("port %d is taken by another program: choose another one with %s", taken, flag)
		if err := Run(t.Context(), o); err == nil || err.Error() != want {
			t.Errorf("%s: %v", flag, err)
		}
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder was made: %v", err)
	}
}

func TestDemoRefusesWhatMakesNoSense(t *testing.T) {
	for want, o := range map[string]Options{
		"a demo has 1 to 64 shards, not 65":        {Shards: 65, Customers: 1, Port: 1},
		"a demo has 1 to 1000000 customers, not 0": {Shards: 1, Port: 1},
		"--port 0 is no port":                      {Customers: 1},
		"--http 70000 is no port":                  {Customers: 1, Port: 1, HTTP: 70000},
	} {
		if err := Run(t.Context(), o); err == nil || err.Error() != want {
			t.Errorf("%v instead of %s", err, want)
		}
	}
}

func TestCtrlCBeforeTheDemoRunsIsNoError(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	o := Options{Dir: folder(t), Shards: 1, Port: pgtest.Port(t), Customers: 1, Stdout: &bytes.Buffer{}}
	if err := Run(ctx, o); err != nil {
		t.Error(err)
	}
}

func TestServersThatMayNotEnterTheFolderKeepTheirDataElsewhere(t *testing.T) {
	private := t.TempDir()
	if err := os.Chmod(private, 0o700); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(private, "deep", "demo")
	p, err := openPlace(dir)
	if err != nil {
		t.Fatal(err)
	}
	// Only for root are the servers somebody else.
	if p.moved != (os.Geteuid() == 0) {
		t.Errorf("moved: %v", p.moved)
	}
	if p.moved {
		t.Cleanup(func() { _ = os.RemoveAll(p.data) })
	}
	if may, err := serversMayEnter(p.data); err != nil || !may {
		t.Errorf("the servers may enter %s: %v, %v", p.data, may, err)
	}
	if err := p.close(); err != nil {
		t.Fatal(err)
	}
	again, err := openPlace(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer again.close()
	if again.data != p.data || again.moved != p.moved {
		t.Errorf("the second time the data is in %s, not %s", again.data, p.data)
	}
}

func TestLinkToARemovedFolderIsMadeAnew(t *testing.T) {
	dir := folder(t)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(dir, "gone"), filepath.Join(dir, "data")); err != nil {
		t.Fatal(err)
	}
	p, err := openPlace(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	if p.moved || p.data != filepath.Join(dir, "data") {
		t.Errorf("%+v", p)
	}
}

func TestGuideIsComplete(t *testing.T) {
	g := guide{Dir: ".demo", Version: "15.8", Port: 6432, HTTP: 6480, Customer: 42, Shards: []shardRows{
		{"s1", "127.0.0.1:20001", 480, 1430, 9, 12, 1, 2}, {"s2", "127.0.0.1:20002", 520, 1571, 11, 12, 0, 1}}}
	var out bytes.Buffer
	if err := g.write(&out); err != nil {
		t.Fatal(err)
	}
	golden.Check(t, "guide", out.String())
}

func TestConfigurationIsValidAndWarnsOfNothing(t *testing.T) {
	d := &demo{Options: Options{Port: 6432, HTTP: 6480}, servers: []*server{
		{Server: &pgserver.Server{Host: host, Port: 20001}, name: "s1"}, {Server: &pgserver.Server{Host: host, Port: 20002}, name: "s2"}}}
	text := d.configText()
	cfg, err := config.Parse(configName, []byte(text), config.Env{})
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.Warnings()) > 0 || len(cfg.Shards) != 2 {
		t.Errorf("%v", cfg.Warnings())
	}
	golden.Check(t, "config", text)
}

func TestCustomersAreAlwaysTheSame(t *testing.T) {
	for id := int64(1); id < 500; id++ {
		a, b := newCustomer(id), newCustomer(id)
		if a.name != b.name || a.email != b.email || len(a.orders) != len(b.orders) || len(a.orders) == 0 {
			t.Fatalf("customer %d is %v and %v", id, a, b)
		}
	}
}
