package topology_test

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

const ddl = `
CREATE TYPE mood AS ENUM ('ok', 'bad');
CREATE DOMAIN email AS varchar(80) NOT NULL;
CREATE DOMAIN work_email AS email DEFAULT 'x@y';
CREATE COLLATION blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY, customer_id int NOT NULL, dropped int, mail work_email,
	total numeric GENERATED ALWAYS AS (customer_id * 2) STORED, note text COLLATE "C" DEFAULT '', free text, m mood, b text COLLATE blind,
	PRIMARY KEY (customer_id, id), UNIQUE (customer_id, free)) PARTITION BY LIST (customer_id);
ALTER TABLE orders DROP COLUMN dropped CASCADE;
CREATE UNIQUE INDEX partial ON orders (customer_id, note) WHERE total > 1;
CREATE TABLE orders_1 PARTITION OF orders FOR VALUES IN (1);
CREATE VIEW big AS SELECT * FROM orders WHERE total > 5;
CREATE VIEW bigger AS SELECT b.id FROM big b, settings;
CREATE MATERIALIZED VIEW frozen AS SELECT count(*) FROM orders;
CREATE SEQUENCE app.numbers;
CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2';
CREATE FUNCTION app.twice(text) RETURNS SETOF text LANGUAGE sql AS 'SELECT $1';
CREATE AGGREGATE app.total (int) (sfunc = int4pl, stype = int);
CREATE PROCEDURE app.work() LANGUAGE sql AS 'SELECT';`

func TestCatalogShowsRelationsColumnsAndFunctions(t *testing.T) {
	c := newCluster(t)
	c.exec(t, "CREATE SCHEMA app; CREATE TABLE settings (k text, v text)", "s1")
	c.exec(t, ddl, "s1")
	w := wish("s1")
	w.Tables = []topology.TableWish{sharded("orders", "customer_id", "")}
	snap := load(t, c.config(w)).Current()

	orders := snap.Table("public", "orders")
	if !orders.Exists || orders.RelKind != 'p' || !slices.Equal(orders.KeyColumns, []int{1}) || orders.KeyType != ring.KeyInt || orders.Problem != "" {
		t.Errorf("orders: %+v", orders)
	}
	want := []topology.Column{
		{Name: "id", TypeName: "bigint", Type: 20, NotNull: true, HasDefault: true, DefaultVolatile: true, Identity: true},
		{Name: "customer_id", TypeName: "integer", Type: 23, NotNull: true},
		{Name: "mail", TypeName: "public.work_email", Type: 1043, Modifier: 84, NotNull: true, HasDefault: true, DefaultVolatile: true, Domain: true},
		{Name: "total", TypeName: "numeric", Type: 1700, HasDefault: true, Generated: true},
		{Name: "note", TypeName: "text", Type: 25, HasDefault: true, CCollation: true},
		{Name: "free", TypeName: "text", Type: 25},
		{Name: "m", TypeName: "public.mood"},
		{Name: "b", TypeName: "text", Type: 25, Nondeterministic: true},
	}
	for i, column := range orders.Columns {
		if column.Name == "m" {
			column.Type = 0 // an enum's oid is the server's
		}
		if i < len(want) && want[i].Modifier == 0 {
			want[i].Modifier = -1
		}
		if i >= len(want) || column != want[i] {
			t.Errorf("column %d: %+v", i, column)
		}
	}
	if !slices.Equal(orders.Primary, []string{"customer_id", "id"}) || len(orders.Unique) != 2 || !slices.Equal(orders.Unique[1], []string{"customer_id", "free"}) {
		t.Errorf("primary %v, unique %v", orders.Primary, orders.Unique)
	}
	if part := snap.Table("public", "orders_1"); part.Group != orders.Group || part.Declared {
		t.Errorf("partition: %+v", part)
	}
	if !snap.View("public", "big") || len(snap.Table("public", "bigger").Reads) != 4 || len(snap.Table("public", "frozen").Reads) != 2 {
		t.Errorf("views: %v", snap.Table("public", "bigger").Reads)
	}
	if seq := snap.Table("app", "numbers"); seq == nil || seq.RelKind != 'S' || seq.Kind != topology.Home {
		t.Errorf("sequence: %+v", seq)
	}
	if snap.Table("pgring", "cluster") != nil || snap.Table("pg_catalog", "pg_class") != nil {
		t.Error("system relations are listed")
	}
	functions := []topology.Function{{Schema: "app", Volatile: true, SetReturning: true}, {Schema: "public"}}
	if got := snap.Functions("twice"); !slices.EqualFunc(got, functions, sameKind) {
		t.Errorf("functions: %+v", got)
	}
	if !snap.Functions("total")[0].Aggregate || !snap.Functions("work")[0].Procedure || snap.Functions("now") != nil {
		t.Error("aggregate or procedure not told")
	}
}

func TestTwoProxiesSeeEachOthersChanges(t *testing.T) {
	c := newCluster(t)
	c.exec(t, "CREATE TABLE accounts (id bigint PRIMARY KEY)", "s1", "s2")
	a, b := start(t, c.config(wish("s1", "s2"))), start(t, c.config(wish("s1", "s2")))
	await(t, 5*time.Second, "both are connected", func() bool { return a.Status().Connected && b.Status().Connected })

	added, err := a.AddShard(t.Context(), topology.Shard{ID: "s3", Host: "s3"})
	if err != nil {
		t.Fatal(err)
	}
	if shard, found := added.Shard("s3"); !found || shard.Number != 3 || shard.State != topology.Active || added != a.Current() {
		t.Errorf("added: %+v", shard)
	}
	took := await(t, 10*time.Second, "b sees s3", func() bool { _, found := b.Current().Shard("s3"); return found })
	t.Logf("a shard after %s", took)

	schema := a.Current().Schema
	changed, err := b.ShardTable(t.Context(), sharded("accounts", "id", ""))
	if err != nil {
		t.Fatal(err)
	}
	took = await(t, 10*time.Second, "a sees the sharded table", func() bool { return a.Current().Epoch >= changed.Epoch })
	t.Logf("a table after %s", took)
	if table := a.Current().Table("public", "accounts"); table.Kind != topology.Sharded || table.KeyType != ring.KeyInt || a.Current().Schema == schema {
		t.Errorf("table %+v, schema %d", table, a.Current().Schema)
	}
	peers, err := a.Peers(t.Context())
	if err != nil || len(peers) != 2 {
		t.Fatalf("peers %v, %v", peers, err)
	}
	await(t, 10*time.Second, "both record the epoch they plan with", func() bool {
		peers, err = a.Peers(t.Context())
		return err == nil && peers[0].Epoch == changed.Epoch && peers[1].Epoch == changed.Epoch && peers[0].LeaseFor > 0
	})
}

func TestALostNotificationCostsLessThanASecond(t *testing.T) {
	c := newCluster(t)
	topo := start(t, c.config(wish("s1")))
	await(t, 5*time.Second, "connected", func() bool { return topo.Status().Connected })
	c.exec(t, "BEGIN; UPDATE pgring.cluster SET epoch = 2; UPDATE pgring.shards SET weight = 7; COMMIT", "s1")
	await(t, 10*time.Second, "the new weight", func() bool { return topo.Current().Shards[0].Weight == 7 })
}

func TestSchemaStaysWhenNoPlanChanges(t *testing.T) {
	c := newCluster(t)
	c.exec(t, "CREATE TABLE a (id int)", "s1")
	topo := start(t, c.config(wish("s1", "s2")))
	before := topo.Current()
	after, err := topo.SetShardWeight(t.Context(), "s2", 3)
	if err != nil {
		t.Fatal(err)
	}
	if after.Epoch != before.Epoch+1 || after.Schema != before.Schema {
		t.Errorf("epoch %d → %d, schema %d → %d", before.Epoch, after.Epoch, before.Schema, after.Schema)
	}
	c.exec(t, "INSERT INTO a VALUES (1); ANALYZE a", "s1")
	if after, err = topo.BumpSchema(t.Context()); err != nil || after.Schema != before.Schema {
		t.Errorf("schema %d after a bump without DDL: %v", after.Schema, err)
	}
}

func TestBumpSchemaShowsTheNewCatalogAtOnceAndToOthersSoon(t *testing.T) {
	c := newCluster(t)
	cfg := c.config(wish("s1"))
	cfg.CatalogPoll = time.Hour // only the announcement may help
	a, b := start(t, cfg), start(t, cfg)
	await(t, 5*time.Second, "both are connected", func() bool {
		return a.Status().Connected && b.Status().Connected && b.Status().CatalogConnected
	})
	c.exec(t, "CREATE TABLE fresh (id int)", "s1")
	snap, err := a.BumpSchema(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if table := snap.Table("public", "fresh"); table == nil || a.Current().Table("public", "fresh") == nil {
		t.Error("the proxy that ran the DDL does not know the table")
	}
	await(t, 10*time.Second, "the other proxy knows it", func() bool { return b.Current().Table("public", "fresh") != nil })
}

func TestDDLBehindPgringsBackIsNoticed(t *testing.T) {
	c := newCluster(t)
	c.exec(t, "CREATE TABLE a (id int, n int); CREATE FUNCTION f() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1'", "s1")
	topo := start(t, c.config(wish("s1")))
	snap := topo.Current
	steps := []struct {
		sql  string
		seen func() bool
	}{
		{"ALTER TABLE a ADD COLUMN extra text", func() bool { return len(snap().Table("public", "a").Columns) == 3 }},
		{"ALTER TABLE a ALTER n SET DEFAULT 1", func() bool { return snap().Table("public", "a").Columns[1].HasDefault }},
		{"ALTER TABLE a ALTER n SET NOT NULL", func() bool { return snap().Table("public", "a").Columns[1].NotNull }},
		{"ALTER TABLE a ALTER n TYPE bigint", func() bool { return snap().Table("public", "a").Columns[1].Type == 20 }},
		{"ALTER TABLE a RENAME n TO m", func() bool { return snap().Table("public", "a").Column("m") == 1 }},
		{"CREATE UNIQUE INDEX u ON a (id)", func() bool { return len(snap().Table("public", "a").Unique) == 1 }},
		{"DROP INDEX u", func() bool { return len(snap().Table("public", "a").Unique) == 0 }},
		{"ALTER FUNCTION f() VOLATILE", func() bool { return snap().Functions("f")[0].Volatile }},
		{"CREATE VIEW v AS SELECT 1 AS n", func() bool { return snap().View("public", "v") }},
		{"CREATE OR REPLACE VIEW v AS SELECT id AS n FROM a", func() bool { return len(snap().Table("public", "v").Reads) == 1 }},
		{"ALTER TABLE a RENAME TO b", func() bool { return snap().Table("public", "a") == nil && snap().Table("public", "b") != nil }},
		{"CREATE SCHEMA app; ALTER TABLE b SET SCHEMA app", func() bool { return snap().Table("app", "b") != nil }},
		{"ALTER SCHEMA app RENAME TO app2; ALTER SCHEMA app2 RENAME TO app", func() bool { return snap().Table("app", "b") != nil }},
		{"DROP SCHEMA app CASCADE", func() bool { return snap().Table("app", "b") == nil && !snap().View("public", "v") }},
	}
	for _, step := range steps {
		c.exec(t, step.sql, "s1")
		await(t, 5*time.Second, step.sql, step.seen)
	}
}

func TestGroupLearnsItsKeyTypeWhenATableAppears(t *testing.T) {
	c := newCluster(t)
	w := wish("s1", "s2")
	from := "100"
	w.Tables = []topology.TableWish{{Name: topology.ParseName("ledger"), Kind: topology.Sharded, Key: []string{"k"}, Strategy: topology.Range,
		Layout: topology.Layout{Ranges: []topology.Bound{{Shard: "s1"}, {From: &from, Shard: "s2"}}}}}
	topo := start(t, c.config(w))
	if g := topo.Current().Group("public.ledger"); g.KeyType != ring.KeyUnset || !slices.Equal(g.Placement.Owners(), []ring.ShardID{"s1", "s2"}) {
		t.Errorf("before: %+v", g)
	}
	await(t, 5*time.Second, "connected", func() bool { return topo.Status().Connected })
	c.exec(t, "CREATE TABLE ledger (k bigint)", "s1", "s2")
	await(t, 5*time.Second, "the type is recorded", func() bool {
		return c.count(t, "s1", "SELECT count(*) FROM pgring.groups WHERE key_type = 'int'") == 1
	})
	key, err := ring.ParseKey(ring.KeyInt, []byte("99"))
	if err != nil {
		t.Fatal(err)
	}
	if at := topo.Current().Group("public.ledger").Placement.Locate(key); at.Shard != "s1" {
		t.Errorf("99 is at %v", at)
	}
}

func TestALostControlDatabaseIsServedWithoutAndComesBack(t *testing.T) {
	c, server := ownCluster(t, "s1")
	topo := start(t, c.config(wish("s1")))
	await(t, 5*time.Second, "connected", func() bool { s := topo.Status(); return s.Connected && s.CatalogConnected })
	if s := topo.Status(); !s.LeaseUntil.After(time.Now()) || s.Epoch != 1 || s.LastError != "" || s.Since.IsZero() {
		t.Errorf("status %+v", s)
	}
	server.Kill9(t)
	await(t, 5*time.Second, "the loss is told", func() bool { s := topo.Status(); return !s.Connected && !s.CatalogConnected })
	before := topo.Current() // a look at the catalog may have ended just before the kill
	if s := topo.Status(); s.LastError == "" || s.Epoch != 1 || before.Epoch != 1 {
		t.Errorf("status %+v", s)
	}
	if _, err := topo.AddShard(t.Context(), topology.Shard{ID: "s2", Host: "s2"}); err == nil {
		t.Error("a shard was added without a control database")
	}
	if snap, err := topo.BumpSchema(t.Context()); err == nil || snap != before {
		t.Errorf("BumpSchema: %v", err)
	}
	server.Restart(t)
	await(t, 10*time.Second, "it is connected again", func() bool { s := topo.Status(); return s.Connected && s.CatalogConnected })
	if _, err := topo.SetShardWeight(t.Context(), "s1", 2); err != nil {
		t.Error(err)
	}
}

func TestAFrozenControlDatabaseCountsAsLost(t *testing.T) {
	c, server := ownCluster(t, "s1")
	cfg := c.config(wish("s1"))
	cfg.Lease = 600 * time.Millisecond
	topo := start(t, cfg)
	await(t, 5*time.Second, "connected", func() bool { return topo.Status().Connected })
	server.Stop(t)
	await(t, 10*time.Second, "the loss is told", func() bool { return !topo.Status().Connected })
	if s := topo.Status(); s.LeaseUntil.After(time.Now()) {
		t.Errorf("a lease nobody renewed runs until %s", s.LeaseUntil)
	}
	server.Cont(t)
	await(t, 20*time.Second, "it is connected again", func() bool { return topo.Status().Connected })
}

func TestAControlDatabaseThatWentBackIsNotFollowed(t *testing.T) {
	c := newCluster(t)
	topo := start(t, c.config(wish("s1")))
	if _, err := topo.SetShardWeight(t.Context(), "s1", 2); err != nil {
		t.Fatal(err)
	}
	await(t, 5*time.Second, "connected", func() bool { return topo.Status().Connected })
	c.exec(t, "UPDATE pgring.cluster SET epoch = 1", "s1")
	await(t, 5*time.Second, "the loss is told", func() bool { return !topo.Status().Connected })
	if topo.Current().Epoch != 2 {
		t.Errorf("epoch %d", topo.Current().Epoch)
	}
	c.exec(t, "UPDATE pgring.cluster SET epoch = 3, id = gen_random_uuid()", "s1")
	if _, err := topo.SetShardWeight(t.Context(), "s1", 3); err == nil {
		t.Error("another cluster was changed")
	}
}

func TestRunGivesTheLeaseBack(t *testing.T) {
	c := newCluster(t)
	topo := load(t, c.config(wish("s1")))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	// owner: the test, which reads done; ends when ctx is cancelled.
	go func() { done <- topo.Run(ctx) }()
	await(t, 5*time.Second, "a lease", func() bool { return c.count(t, "s1", "SELECT count(*) FROM pgring.proxies") == 1 })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if n := c.count(t, "s1", "SELECT count(*) FROM pgring.proxies"); n != 0 {
		t.Errorf("%d leases left", n)
	}
}

func TestPrepareSeesEverySnapshotBeforeItIsCurrent(t *testing.T) {
	c := newCluster(t)
	cfg := c.config(wish("s1"))
	var topo *topology.Topology
	prepared := map[int64]bool{}
	cfg.Prepare = func(s *topology.Snapshot) {
		prepared[s.Epoch] = true
		if topo != nil && topo.Current() == s {
			t.Error("published before it was prepared")
		}
	}
	topo = load(t, cfg)
	if _, err := topo.SetShardWeight(t.Context(), "s1", 2); err != nil {
		t.Fatal(err)
	}
	if !prepared[1] || !prepared[2] {
		t.Errorf("prepared %v", prepared)
	}
}

func TestAConflictIsDecidedAnew(t *testing.T) {
	c := newCluster(t)
	cfg := c.config(wish("s1"))
	topo := load(t, cfg)
	// The shard is looked at between reading and swapping; another change comes in just then.
	dial := cfg.Dial
	interfered := false
	cfg.Dial = func(ctx context.Context, shard topology.Shard) (*pgx.Conn, error) {
		if shard.ID == "s2" && !interfered {
			interfered = true
			if _, err := topo.SetShardWeight(ctx, "s1", 9); err != nil {
				return nil, err
			}
		}
		return dial(ctx, shard)
	}
	other := load(t, cfg)
	snap, err := other.AddShard(t.Context(), topology.Shard{ID: "s2", Host: "s2"})
	if err != nil {
		t.Fatal(err)
	}
	if s, found := snap.Shard("s2"); !interfered || !found || s.Number != 2 || snap.Shards[0].Weight != 9 || snap.Epoch != 3 {
		t.Errorf("epoch %d, shards %+v", snap.Epoch, snap.Shards)
	}
}

func TestStatusAndErrorsHoldNoPassword(t *testing.T) {
	cfg := topology.Config{
		Control: func(context.Context) (*pgx.Conn, error) {
			return nil, errors.New("dial postgres://u:sesame@h/db password=sesame password='ses ame'")
		},
		Dial: func(context.Context, topology.Shard) (*pgx.Conn, error) { return nil, nil },
		Wish: wish("s1"), StartTimeout: 10 * time.Millisecond,
	}
	topo, err := topology.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := topo.Start(t.Context()); err == nil {
		t.Fatal("started")
	}
	if got := topo.Status().LastError; got == "" || strings.Contains(got, "ses") {
		t.Errorf("status says %q", got)
	}
}

// sameKind compares functions but for their bodies.
func sameKind(a, b topology.Function) bool {
	a.Words, b.Words = nil, nil
	return reflect.DeepEqual(a, b)
}
