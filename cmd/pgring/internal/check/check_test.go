package check

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/pgring/pgring/cmd/pgring/internal/config"
	"github.com/pgring/pgring/cmd/pgring/internal/output"
	"github.com/pgring/pgring/internal/golden"
	"github.com/pgring/pgring/internal/pgtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// cluster is servers with the roles that the configuration logs in as.
type cluster struct {
	t       *testing.T
	servers []*pgtest.Server
	cfg     *config.Config
}

const tables = `
tables:
  - {name: customers, shard_key: [id]}
  - {name: orders, shard_key: [customer_id], colocate: customers}
  - {name: countries, strategy: reference}
  - {name: app_settings, strategy: home}
`

func newCluster(t *testing.T, declared string, servers ...*pgtest.Server) *cluster {
	t.Helper()
	c := &cluster{t: t, servers: servers}
	var text strings.Builder
	text.WriteString(`version: 1
auth:
  users:
    - {name: app, password: x}
    - {name: reports, password: x, backend: {user: reports, password: reports-password}}
    - {name: admin, password: x, role: admin}
backend: {user: app, password: app-password, database: shop, operator: {user: pgring, password: pgring-password}}
pool: {size: 20}
shards:
`)
	for i, s := range servers {
		s.CreateUser(t, "app", "app-password")
		s.CreateUser(t, "reports", "reports-password")
		s.CreateUser(t, "pgring", "pgring-password", "REPLICATION", "IN ROLE app, reports")
		s.CreateDatabase(t, "shop", "app")
		s.ExecIn(t, "shop", "GRANT CREATE ON DATABASE shop TO pgring; ALTER SCHEMA public OWNER TO app")
		fmt.Fprintf(&text, "  - {name: s%d, host: %s, port: %d}\n", i+1, s.Host, s.Port)
	}
	text.WriteString(declared)
	cfg, err := config.Parse("pgring.yaml", []byte(text.String()), config.Env{})
	if err != nil {
		t.Fatal(err)
	}
	c.cfg = cfg
	return c
}

// each runs SQL as app on all servers.
func (c *cluster) each(sql string) {
	c.t.Helper()
	for i := range c.servers {
		c.on(i, sql)
	}
}

func (c *cluster) on(i int, sql string) {
	c.t.Helper()
	c.servers[i].ExecIn(c.t, "shop", "SET ROLE app; "+sql)
}

func (c *cluster) dial(ctx context.Context, shard config.Shard, login config.Login) (*pgx.Conn, error) {
	u := url.URL{Scheme: "postgres", User: url.UserPassword(login.User, login.Password.Reveal()), Host: address(shard), Path: c.cfg.BackendOf(shard).Database, RawQuery: "sslmode=disable"}
	return pgx.Connect(ctx, u.String())
}

func (c *cluster) check() *Report {
	c.t.Helper()
	report, err := Run(c.t.Context(), Options{Config: c.cfg, Dial: c.dial})
	if err != nil {
		c.t.Fatal(err)
	}
	return report
}

// text writes a report with everything replaced that differs between two runs.
func (c *cluster) text(r *Report) string {
	c.t.Helper()
	for i := range r.Servers {
		r.Servers[i].ClockSkewMS = 0
		r.Servers[i].Version = "15"
	}
	var out strings.Builder
	if err := r.Write(&out, output.AsTable); err != nil {
		c.t.Fatal(err)
	}
	text := out.String()
	for i, s := range c.servers {
		text = strings.ReplaceAll(text, strconv.Itoa(s.Port), fmt.Sprintf("5432%d", i+1))
	}
	return regexp.MustCompile(`(?m)^error: (s\d): (login \w+ \(.*?\) does not work): .*$`).ReplaceAllString(text, "error: $1: $2: …")
}

const schema = `
CREATE TABLE countries (code char(2) PRIMARY KEY, name text NOT NULL);
CREATE TABLE customers (id bigint PRIMARY KEY, name text NOT NULL, country char(2) REFERENCES countries, created_at timestamptz DEFAULT now());
CREATE TABLE orders (customer_id bigint REFERENCES customers, id bigint, total numeric(10,2) CHECK (total >= 0), PRIMARY KEY (customer_id, id));
CREATE INDEX orders_total ON orders (total);
`

func TestCheckOfAHealthyClusterFindsNothing(t *testing.T) {
	c := newCluster(t, tables, pgtest.Start(t, 3, pgtest.SCRAM())...)
	c.each(schema)
	c.on(0, "CREATE TABLE app_settings (name text PRIMARY KEY, value text)")
	report := c.check()
	if len(report.Findings) > 0 {
		t.Errorf("found %v", report.Findings)
	}
	golden.Check(t, "healthy", c.text(report))
}

func TestCheckBeforeTheTablesExistOnlyWarns(t *testing.T) {
	c := newCluster(t, tables, pgtest.Start(t, 2, pgtest.SCRAM())...)
	report := c.check()
	if report.Count(Error) != 0 || report.Count(Warning) != 4 {
		t.Errorf("found %v", report.Findings)
	}
}

// brokenSchema is what differs on the second shard, one fault of each kind.
const brokenSchema = `
CREATE TABLE countries (code char(2) PRIMARY KEY, name text NOT NULL, iso3 char(3));
CREATE TABLE customers (id bigint PRIMARY KEY, country char(2) REFERENCES countries, name varchar(80), created_at timestamptz DEFAULT 'epoch');
CREATE TABLE orders (customer_id bigint, id bigint, total numeric(12,2) CHECK (total > 0), PRIMARY KEY (customer_id, id));
CREATE UNIQUE INDEX orders_id ON orders (id);
ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
CREATE TABLE app_settings (name text PRIMARY KEY, value text);
`

func TestCheckListsEveryDifferenceOfASchema(t *testing.T) {
	c := newCluster(t, tables, pgtest.Start(t, 3, pgtest.SCRAM())...)
	c.on(0, schema+"CREATE TABLE app_settings (name text PRIMARY KEY, value text);")
	c.on(1, brokenSchema)
	c.on(2, "CREATE TABLE customers (id bigint PRIMARY KEY, name text NOT NULL, country char(2), created_at timestamptz DEFAULT now())")
	golden.Check(t, "schema", c.text(c.check()))
}

func TestCheckFindsWhatCannotBeSharded(t *testing.T) {
	c := newCluster(t, `
tables:
  - {name: a, shard_key: [id]}
  - {name: b, shard_key: [missing]}
  - {name: c, shard_key: [price]}
  - {name: d, shard_key: [a_id], colocate: a}
  - {name: e, shard_key: [label], colocate: a}
  - {name: f, shard_key: [id]}
  - {name: g, shard_key: [id]}
  - {name: h, shard_key: [name]}
  - {name: i, shard_key: [id], append_only: true, partition: {column: at, every: 1d}}
  - {name: j, shard_key: [id], append_only: true, partition: {column: at, every: 1h}}
  - {name: k, shard_key: [id], partition: {column: at, every: 1d}}
  - {name: l, shard_key: [id], partition: {column: at, every: 1d}}
  - {name: m, shard_key: [id], partition: {column: at, every: 1h}}
`, pgtest.Start(t, 1)...)
	c.each(`
CREATE TABLE undeclared (id int PRIMARY KEY);
CREATE COLLATION blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE DOMAIN label AS text;
CREATE TABLE a (id int PRIMARY KEY, other int UNIQUE, u int REFERENCES undeclared);
CREATE TABLE b (id int PRIMARY KEY);
CREATE TABLE c (price money);
CREATE TABLE d (a_id int, id int, PRIMARY KEY (a_id, id), FOREIGN KEY (id) REFERENCES a, FOREIGN KEY (a_id) REFERENCES a);
CREATE TABLE e (label label PRIMARY KEY);
CREATE TABLE f (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a_id int REFERENCES a, at int4range, EXCLUDE USING gist (at WITH &&));
CREATE VIEW g AS SELECT id FROM a;
CREATE TABLE h (name text COLLATE blind PRIMARY KEY);
CREATE TABLE i (id int PRIMARY KEY, at timestamptz);
CREATE TABLE j (id int, at date, PRIMARY KEY (id, at)) PARTITION BY RANGE (at); CREATE TABLE j_1 PARTITION OF j DEFAULT;
CREATE TABLE k (id int, at timestamptz, PRIMARY KEY (id, at)) PARTITION BY RANGE (at, id);
CREATE TABLE l (id int PRIMARY KEY);
CREATE TABLE m (id int, at timestamp, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
`)
	golden.Check(t, "keys", c.text(c.check()))
}

func TestCheckComparesServers(t *testing.T) {
	servers := pgtest.Start(t, 1, pgtest.SCRAM(), pgtest.Setting("datestyle", "SQL, DMY"))
	servers = append(servers, pgtest.Start(t, 1, pgtest.SCRAM(), pgtest.WALLevel("replica"), pgtest.MaxConnections(30), pgtest.MaxPreparedTransactions(0), pgtest.Locale("C"))...)
	servers = append(servers, pgtest.Start(t, 1, pgtest.SCRAM())...)
	c := newCluster(t, "", servers...)
	servers[0].Exec(t, "REVOKE reports FROM pgring")
	servers[0].Exec(t, "REVOKE CREATE ON DATABASE shop FROM pgring; REVOKE app FROM pgring; REVOKE ALL ON DATABASE shop FROM PUBLIC; GRANT CONNECT ON DATABASE shop TO pgring, app, reports")
	servers[1].ExecIn(t, "shop", "CREATE SCHEMA pgring; ALTER ROLE app SET default_transaction_read_only = on; ALTER ROLE pgring SET default_transaction_read_only = on; REVOKE CREATE ON DATABASE shop FROM pgring")
	servers[2].SetPassword(t, "reports", "another")
	golden.Check(t, "servers", c.text(c.check()))
}

func TestCheckFindsOneDatabaseUnderTwoNames(t *testing.T) {
	server := pgtest.Start(t, 1)[0]
	c := newCluster(t, "", server)
	twin := c.cfg.Shards[0]
	twin.Name, twin.Host = "s2", "localhost"
	c.cfg.Shards = append(c.cfg.Shards, twin)
	report := c.check()
	if report.Count(Error) != 1 || report.Findings[0].Message != "the shard is the same database as shard s1" {
		t.Errorf("found %v", report.Findings)
	}
}

func TestCheckGoesOnWithoutAShardThatIsDown(t *testing.T) {
	servers := pgtest.Start(t, 2)
	c := newCluster(t, tables, servers...)
	c.each(schema)
	servers[0].Kill9(t)
	report := c.check()
	// Each of its three logins fails, and nothing is said about tables of which nothing is known.
	if report.Count(Error) != 3 || len(report.Servers) != 1 || report.Servers[0].Shard != "s2" {
		t.Errorf("found %v", report.Findings)
	}
}

func TestCheckLooksAtAControlDatabaseOfItsOwn(t *testing.T) {
	servers := pgtest.Start(t, 1)
	c := newCluster(t, "", servers...)
	run := func(user string) []Finding {
		report, err := Run(t.Context(), Options{Config: c.cfg, Dial: c.dial, Control: func(ctx context.Context) (*pgx.Conn, error) {
			return pgx.Connect(ctx, servers[0].DSN(user, "postgres"))
		}})
		if err != nil {
			t.Fatal(err)
		}
		return report.Findings
	}
	if found := run(pgtest.Superuser); len(found) != 0 {
		t.Errorf("as superuser found %v", found)
	}
	if found := run("app"); len(found) != 1 || found[0].Message != "the login of control.url may not create schema pgring and its tables" {
		t.Errorf("as app found %v", found)
	}
	if found := run("nobody"); len(found) != 1 || !strings.HasPrefix(found[0].Message, "control.url does not work: ") {
		t.Errorf("as nobody found %v", found)
	}
}

func TestCheckJudgesOnlyTheOperatorByTheOperatorsRights(t *testing.T) {
	server := pgtest.Start(t, 1, pgtest.SCRAM())[0]
	c := newCluster(t, tables, server)
	c.each(schema)
	server.SetPassword(t, "pgring", "another")
	server.Exec(t, "REVOKE CREATE ON DATABASE shop FROM app")
	report := c.check()
	if report.Count(Error) != 1 || !strings.HasPrefix(report.Findings[0].Message, "login pgring (operator) does not work: ") || len(report.Servers) != 1 {
		t.Errorf("found %v", report.Findings)
	}
}

func TestReportIsJSON(t *testing.T) {
	c := newCluster(t, tables, pgtest.Start(t, 1)...)
	c.each(schema)
	var out strings.Builder
	if err := c.check().Write(&out, output.AsJSON); err != nil {
		t.Fatal(err)
	}
	var report Report
	if err := json.Unmarshal([]byte(out.String()), &report); err != nil {
		t.Fatal(err)
	}
	if len(report.Logins) != 3 || report.Servers[0].Shard != "s1" || report.Tables[1].Key != "customer_id" || report.Findings[0].Severity != Warning {
		t.Errorf("read back %+v", report)
	}
}

func TestCancelledCheckIsAnError(t *testing.T) {
	c := newCluster(t, "", pgtest.Start(t, 1)...)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Run(ctx, Options{Config: c.cfg, Dial: c.dial}); err == nil {
		t.Error("no error")
	}
}
