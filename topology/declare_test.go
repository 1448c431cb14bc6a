package topology_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

const orders = "CREATE TABLE orders (id bigint PRIMARY KEY, note text)"

func fill(n string) string {
	return "INSERT INTO orders SELECT i, 'x' FROM generate_series(1, " + n + ") i"
}

// TestPlacementOfADeclaredTable has one case per way a declared table may be found.
func TestPlacementOfADeclaredTable(t *testing.T) {
	all := []ring.ShardID{"s1", "s2", "s3"}
	home := []ring.ShardID{"s1"}
	cases := []struct {
		name   string
		setUp  func(t *testing.T, c *cluster)
		owners []ring.ShardID // nil: refused
		words  []string
	}{
		{"missing everywhere", func(*testing.T, *cluster) {}, all, nil},
		{"empty everywhere", func(t *testing.T, c *cluster) { c.exec(t, orders, "s1", "s2", "s3") }, all, nil},
		{"empty, on the home shard only", func(t *testing.T, c *cluster) { c.exec(t, orders, "s1") }, home, nil},
		{"empty, with other columns on one shard", func(t *testing.T, c *cluster) {
			c.exec(t, orders, "s1", "s2", "s3")
			c.exec(t, "ALTER TABLE orders ADD extra int", "s3")
		}, home, nil},
		{"empty, but not on the home shard", func(t *testing.T, c *cluster) { c.exec(t, orders, "s2") }, nil, []string{"but not on s1, which serves it today"}},
		{"rows on the home shard only", func(t *testing.T, c *cluster) {
			c.exec(t, orders, "s1", "s2", "s3")
			c.exec(t, fill("10"), "s1")
		}, home, nil},
		{"rows on several shards, all where a fresh placement puts them", func(t *testing.T, c *cluster) {
			c.exec(t, orders, "s1", "s2", "s3")
			loadByRing(t, c, all)
		}, all, nil},
		{"rows on several shards, one of them astray", func(t *testing.T, c *cluster) {
			c.exec(t, orders, "s1", "s2", "s3")
			loadByRing(t, c, all)
			c.exec(t, "INSERT INTO orders SELECT i, 'astray' FROM generate_series(1001, 1030) i", "s2")
		}, nil, []string{"rows on several shards", "on s2", "keeps the table whole"}},
		{"a view", func(t *testing.T, c *cluster) { c.exec(t, "CREATE VIEW orders AS SELECT 1 AS id", "s1") }, nil, []string{"is not a table on shard s1"}},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			c := newCluster(t)
			tc.setUp(t, c)
			w := wish("s1", "s2", "s3")
			w.Tables = []topology.TableWish{sharded("orders", "id", "")}
			if tc.owners == nil {
				mustRefuse(t, refusal(t, c.config(w)), tc.words...)
				if n := c.count(t, "s1", "SELECT count(*) FROM pg_namespace WHERE nspname = 'pgring'"); n != 0 {
					t.Error("a refused start left something behind")
				}
				return
			}
			if got := owners(t, load(t, c.config(w)).Current(), "orders"); !slices.Equal(got, tc.owners) {
				t.Errorf("owners %v, want %v", got, tc.owners)
			}
			// The console's way must decide alike.
			c.exec(t, "DROP SCHEMA pgring CASCADE", "s1")
			snap, err := load(t, c.config(wish("s1", "s2", "s3"))).ShardTable(t.Context(), sharded("orders", "id", ""))
			if err != nil {
				t.Fatal(err)
			}
			if got := owners(t, snap, "orders"); !slices.Equal(got, tc.owners) {
				t.Errorf("SHARD TABLE: owners %v, want %v", got, tc.owners)
			}
		})
	}
}

// loadByRing puts a thousand rows where a fresh ring puts them.
func loadByRing(t *testing.T, c *cluster, shards []ring.ShardID) {
	t.Helper()
	var nodes []ring.Shard
	for _, id := range shards {
		nodes = append(nodes, ring.Shard{ID: id, Weight: 1})
	}
	circle, err := ring.New(ring.Config{}, nodes)
	if err != nil {
		t.Fatal(err)
	}
	placed := circle.Place()
	for _, id := range shards {
		c.session(t, string(id), func(ctx context.Context, conn *pgx.Conn) error {
			slots := []int64{}
			for _, s := range placed.Slots(id) {
				slots = append(slots, int64(s))
			}
			_, err := conn.Exec(ctx, "INSERT INTO orders SELECT i, 'x' FROM generate_series(1, 1000::bigint) i WHERE "+ring.SlotExpr(ring.KeyInt, "i")+" = ANY ($1)", slots)
			return err
		})
	}
}

func TestRangeAndListKeepTheRowsTheyDescribe(t *testing.T) {
	from := "100"
	ranges := topology.TableWish{Name: topology.ParseName("ledger"), Kind: topology.Sharded, Key: []string{"k"}, Strategy: topology.Range,
		Layout: topology.Layout{Ranges: []topology.Bound{{Shard: "s1"}, {From: &from, Shard: "s2"}}}}
	list := topology.TableWish{Name: topology.ParseName("tenants"), Kind: topology.Sharded, Key: []string{"name"}, Strategy: topology.List,
		Layout: topology.Layout{Lists: []topology.Listed{{Values: []string{"it's", "b"}, Shard: "s2"}}, Default: "s1"}}
	tables := "CREATE TABLE ledger (k bigint); CREATE TABLE tenants (name varchar(10));"
	w := wish("s1", "s2")
	w.Tables = []topology.TableWish{ranges, list}

	c := newCluster(t)
	c.exec(t, tables+"INSERT INTO ledger VALUES (-5), (99); INSERT INTO tenants VALUES ('a'), ('z')", "s1")
	c.exec(t, tables+"INSERT INTO ledger VALUES (100), (2000); INSERT INTO tenants VALUES ('b'), ('it''s')", "s2")
	snap := load(t, c.config(w)).Current()
	if got := owners(t, snap, "ledger"); !slices.Equal(got, []ring.ShardID{"s1", "s2"}) {
		t.Errorf("ledger: %v", got)
	}
	if got := owners(t, snap, "tenants"); !slices.Equal(got, []ring.ShardID{"s1", "s2"}) {
		t.Errorf("tenants: %v", got)
	}

	for _, stray := range []struct{ sql, shard string }{
		{"INSERT INTO ledger VALUES (100)", "s1"}, {"INSERT INTO ledger VALUES (99)", "s2"}, {"INSERT INTO ledger VALUES (NULL)", "s2"},
		{"INSERT INTO tenants VALUES ('b')", "s1"}, {"INSERT INTO tenants VALUES ('c')", "s2"}, {"INSERT INTO tenants VALUES (NULL)", "s1"},
	} {
		c.exec(t, "DROP SCHEMA pgring CASCADE", "s1")
		c.exec(t, stray.sql, stray.shard)
		refused := mustRefuse(t, refusal(t, c.config(w)), "has rows on several shards")
		if refused.Rows[ring.ShardID(stray.shard)] != 1 || len(refused.Rows) != 1 {
			t.Errorf("%s on %s: %v", stray.sql, stray.shard, refused)
		}
		c.exec(t, "CREATE SCHEMA pgring", "s1")
		c.exec(t, "DELETE FROM "+strings.Fields(stray.sql)[2]+" WHERE ctid = (SELECT max(ctid) FROM "+strings.Fields(stray.sql)[2]+")", stray.shard)
	}
}

func TestATableJoinsAGroupOnlyWhenItsRowsFit(t *testing.T) {
	c := newCluster(t)
	c.exec(t, "CREATE TABLE customers (id bigint); CREATE TABLE empty (id bigint)", "s1", "s2")
	c.exec(t, orders, "s1", "s2")
	c.exec(t, fill("50"), "s1")
	c.exec(t, "CREATE TABLE only_here (id bigint)", "s1")
	w := wish("s1", "s2")
	w.Tables = []topology.TableWish{sharded("customers", "id", "")}
	topo := load(t, c.config(w))
	_, err := topo.ShardTable(t.Context(), sharded("orders", "id", "customers"))
	refused := mustRefuse(t, err, "group public.customers places on other shards")
	if n := refused.Rows["s1"]; n == 0 || n == 50 {
		t.Errorf("rows astray: %v", refused.Rows)
	}
	_, err = topo.ShardTable(t.Context(), sharded("only_here", "id", "customers"))
	mustRefuse(t, err, "does not exist with the same columns on s2")
	hash := sharded("empty", "id", "customers")
	hash.Strategy = topology.Hash
	_, err = topo.ShardTable(t.Context(), hash)
	mustRefuse(t, err, "wants strategy hash")

	snap, err := topo.ShardTable(t.Context(), sharded("empty", "id", "customers"))
	if err != nil {
		t.Fatal(err)
	}
	if snap.Table("public", "empty").Group != snap.Table("public", "customers").Group {
		t.Error("the tables do not share their group")
	}
	_, err = topo.ShardTable(t.Context(), sharded("empty", "id", ""))
	mustRefuse(t, err, "is sharded by id", "already")
}

func TestTablesOfANewGroupStartTogether(t *testing.T) {
	c := newCluster(t)
	c.exec(t, orders, "s1", "s2")
	c.exec(t, fill("5"), "s1")
	w := wish("s1", "s2")
	w.Tables = []topology.TableWish{sharded("customers", "id", ""), sharded("orders", "id", "customers")}
	snap := load(t, c.config(w)).Current()
	if got := owners(t, snap, "customers"); !slices.Equal(got, []ring.ShardID{"s1"}) || snap.Group("public.customers") == nil || len(snap.Groups()) != 1 {
		t.Errorf("owners %v, groups %v", got, snap.Groups())
	}
}

func TestWishesThatDifferFromTheFactsAreRefusedAllAtOnce(t *testing.T) {
	c := newCluster(t)
	w := wish("s1", "s2")
	w.Tables = []topology.TableWish{sharded("a", "id", ""), sharded("b", "id", "a"),
		{Name: topology.ParseName("r"), Kind: topology.Reference}, {Name: topology.ParseName("h"), Kind: topology.Home, Shard: "s2"}}
	load(t, c.config(w))

	other := w
	hash := sharded("b", "id", "a")
	hash.Strategy = topology.Hash
	other.Tables = []topology.TableWish{sharded("a", "other", ""), hash,
		sharded("r", "id", ""), {Name: topology.ParseName("h"), Kind: topology.Home}}
	mustRefuse(t, refusal(t, c.config(other)),
		"table public.a is sharded by id (consistent, group public.a) in the control database, but sharded by other", "SHARD TABLE public.a BY other",
		"public.b is sharded by id (consistent", "sharded by id (hash", "table public.r is reference", "table public.h is home on s2", "home on s1", "a table that is spread cannot become a home table")
	load(t, c.config(w)) // and the old wish still holds
}

func TestWhatTheWishNoLongerNamesStays(t *testing.T) {
	c := newCluster(t)
	w := wish("s1", "s2", "s3")
	w.Tables = []topology.TableWish{sharded("a", "id", "")}
	load(t, c.config(w))
	smaller := topology.Wish{Shards: []topology.Shard{{ID: "s2", Host: "s2", Weight: 5, State: topology.Draining}, {ID: "s1", Host: "s1", Port: 6000}}}
	smaller.Home = "s2"
	topo, err := topology.New(c.config(smaller))
	if err != nil {
		t.Fatal(err)
	}
	notices, err := topo.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(notices, "\n")
	for _, word := range []string{"shard s3 is not in the configuration", "table public.a is not in the configuration", "home shard stays s1"} {
		if !strings.Contains(text, word) {
			t.Errorf("notices lack %q:\n%s", word, text)
		}
	}
	snap := topo.Current()
	s1, _ := snap.Shard("s1")
	s2, _ := snap.Shard("s2")
	if len(snap.Shards) != 3 || s1.Port != 6000 || s2.Weight != 5 || s2.State != topology.Draining || snap.Table("public", "a").Kind != topology.Sharded {
		t.Errorf("shards %+v", snap.Shards)
	}
	// A wish that says nothing of weight and state leaves them.
	notices, err = topo.Apply(t.Context(), wish("s1", "s2", "s3"))
	if s2, _ = topo.Current().Shard("s2"); err != nil || s2.Weight != 5 || s2.State != topology.Draining {
		t.Errorf("s2 %+v, %v, %v", s2, notices, err)
	}
}

func TestAddShardIsActiveOnlyWithEveryDeclaredTable(t *testing.T) {
	c := newCluster(t)
	countries := "CREATE TABLE countries (code text);"
	c.exec(t, orders+";"+countries+"INSERT INTO countries VALUES ('de'), ('fr')", "s1", "s2")
	w := wish("s1", "s2")
	w.Tables = []topology.TableWish{sharded("orders", "id", ""), {Name: topology.ParseName("countries"), Kind: topology.Reference}, sharded("later", "id", "")}
	topo := load(t, c.config(w))

	add := func(id ring.ShardID) (topology.Shard, error) {
		snap, err := topo.AddShard(t.Context(), topology.Shard{ID: id, Host: string(id)})
		if err != nil {
			return topology.Shard{}, err
		}
		s, _ := snap.Shard(id)
		return s, nil
	}
	if s, err := add("s3"); err != nil || s.State != topology.Joining {
		t.Errorf("without tables: %+v, %v", s, err)
	}
	c.exec(t, orders+";"+countries, "s3")
	_, err := topo.SetShardState(t.Context(), "s3", topology.Active)
	mustRefuse(t, err, "shard s3 is joining", "public.countries")
	c.exec(t, "INSERT INTO countries VALUES ('fr'), ('de')", "s3")
	if _, err := topo.SetShardState(t.Context(), "s3", topology.Active); err != nil {
		t.Error(err)
	}
	c.exec(t, orders+";"+countries+"INSERT INTO countries VALUES ('fr'), ('de');"+fill("3"), "s4")
	_, err = add("s4")
	mustRefuse(t, err, "shard s4 owns nothing, but has 3 rows of sharded table public.orders")
	c.exec(t, "TRUNCATE orders", "s4")
	if s, err := add("s4"); err != nil || s.State != topology.Active || s.Number != 4 {
		t.Errorf("with tables: %+v, %v", s, err)
	}
	_, err = add("s4")
	mustRefuse(t, err, "is there already")
	c.exec(t, "TRUNCATE countries", "s4") // nothing but its names is left that says it is one database
	_, err = topo.AddShard(t.Context(), topology.Shard{ID: "other", Host: "s4"})
	mustRefuse(t, err, "shard other is the same database as shard s4")
	if _, err = topo.AddShard(t.Context(), topology.Shard{ID: "s9", Host: "nowhere"}); err == nil {
		t.Error("a shard that cannot be reached was added")
	}
	if _, err = topo.AddShard(t.Context(), topology.Shard{ID: "s9"}); err == nil {
		t.Error("a shard without a host was added")
	}
}

func TestAWishedShardThatIsNotReadyJoinsAndBecomesActiveLater(t *testing.T) {
	c := newCluster(t)
	c.exec(t, orders, "s1")
	w := wish("s1")
	w.Tables = []topology.TableWish{sharded("orders", "id", "")}
	load(t, c.config(w))
	for _, id := range []ring.ShardID{"s2", "gone"} {
		w.Shards = append(w.Shards, topology.Shard{ID: id, Host: string(id)})
	}
	snap := load(t, c.config(w)).Current()
	s2, _ := snap.Shard("s2")
	gone, _ := snap.Shard("gone")
	if s2.State != topology.Joining || gone.State != topology.Joining {
		t.Errorf("shards %+v", snap.Shards)
	}
	c.exec(t, orders, "s2")
	if s2, _ = load(t, c.config(w)).Current().Shard("s2"); s2.State != topology.Active {
		t.Errorf("s2 %+v", s2)
	}
}

func TestDropShardNamesWhatKeepsIt(t *testing.T) {
	c := newCluster(t)
	w := wish("s1", "s2", "s3", "s4")
	w.Shards[3].State = topology.Draining
	w.Tables = []topology.TableWish{sharded("orders", "id", ""), {Name: topology.ParseName("h"), Kind: topology.Home, Shard: "s4"}}
	topo := load(t, c.config(w))
	for id, words := range map[ring.ShardID][]string{
		"s1": {"it is the home shard", "of group public.orders"}, "s2": {"of group public.orders"}, "s4": {"holds home table public.h"},
	} {
		_, err := topo.DropShard(t.Context(), id)
		var used *topology.ShardInUseError
		if !errors.As(err, &used) || used.Shard != id {
			t.Errorf("%s: %v", id, err)
			continue
		}
		for _, word := range words {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%q lacks %q", err, word)
			}
		}
	}
	if _, err := topo.HomeTable(t.Context(), topology.TableWish{Name: topology.ParseName("h")}); err != nil {
		t.Fatal(err)
	}
	snap, err := topo.DropShard(t.Context(), "s4")
	if _, found := snap.Shard("s4"); err != nil || found {
		t.Errorf("s4 is still there: %v", err)
	}
	if snap, err = topo.AddShard(t.Context(), topology.Shard{ID: "s4", Host: "s4"}); err != nil {
		t.Fatal(err)
	}
	if s4, _ := snap.Shard("s4"); s4.Number != 5 {
		t.Errorf("number %d was used again", s4.Number)
	}
	_, err = topo.DropShard(t.Context(), "s9")
	mustRefuse(t, err, "shard s9 is not there")
}

func TestReferenceAndHomeTablesAreDeclaredOnlyWhereTheirRowsAre(t *testing.T) {
	c := newCluster(t)
	topo := load(t, c.config(wish("s1", "s2")))
	name := topology.ParseName("countries")
	if snap, err := topo.ReferenceTable(t.Context(), topology.ParseName("to_come")); err != nil || snap.Table("public", "to_come").Kind != topology.Reference {
		t.Errorf("missing everywhere: %v", err)
	}
	c.exec(t, "CREATE TABLE countries (code text); INSERT INTO countries VALUES ('de')", "s1")
	_, err := topo.ReferenceTable(t.Context(), name)
	mustRefuse(t, err, "does not exist with the same columns on s2")
	c.exec(t, "CREATE TABLE countries (code text); INSERT INTO countries VALUES ('fr')", "s2")
	_, err = topo.ReferenceTable(t.Context(), name)
	if refused := mustRefuse(t, err, "does not have the same rows"); refused.Rows["s2"] != 1 {
		t.Errorf("rows %v", refused.Rows)
	}
	_, err = topo.HomeTable(t.Context(), topology.TableWish{Name: name, Shard: "s2"})
	mustRefuse(t, err, "has rows on other shards than s2: 1 on s1")
	_, err = topo.HomeTable(t.Context(), topology.TableWish{Name: name, Shard: "s9"})
	mustRefuse(t, err, "no such shard")
	c.exec(t, "DELETE FROM countries", "s1")
	if snap, err := topo.HomeTable(t.Context(), topology.TableWish{Name: name, Shard: "s2"}); err != nil || snap.Table("public", "countries").Shard != "s2" {
		t.Errorf("home on s2: %v", err)
	}
	c.exec(t, "INSERT INTO countries VALUES ('fr')", "s1")
	snap, err := topo.ReferenceTable(t.Context(), name)
	if err != nil || snap.Table("public", "countries").Kind != topology.Reference || !snap.Table("public", "countries").Exists {
		t.Errorf("equal copies: %v", err)
	}
}

func TestAKeyThatCannotBeIsAProblemInTheWishAndRefusedOnTheConsole(t *testing.T) {
	c := newCluster(t)
	c.exec(t, "CREATE TABLE docs (j jsonb); CREATE TABLE more (j jsonb)", "s1", "s2")
	w := wish("s1", "s2")
	w.Tables = []topology.TableWish{sharded("docs", "j", "")}
	topo := load(t, c.config(w))
	if table := topo.Current().Table("public", "docs"); table.Problem == "" || table.KeyType != ring.KeyUnset {
		t.Errorf("docs: %+v", table)
	}
	_, err := topo.ShardTable(t.Context(), sharded("more", "j", ""))
	mustRefuse(t, err, "cannot be sharded", "cannot be a key")
	_, err = topo.ShardTable(t.Context(), sharded("more", "nothing", ""))
	mustRefuse(t, err, "has no column nothing")
}

func TestBoundsMustBeKeys(t *testing.T) {
	c := newCluster(t)
	word := "many"
	ledger := topology.TableWish{Name: topology.ParseName("ledger"), Kind: topology.Sharded, Key: []string{"k"}, Strategy: topology.Range,
		Layout: topology.Layout{Ranges: []topology.Bound{{Shard: "s1"}, {From: &word, Shard: "s2"}}}}
	w := wish("s1", "s2")
	w.Tables = []topology.TableWish{ledger}
	topo := load(t, c.config(w)) // nobody knows the type yet
	c.exec(t, "CREATE TABLE ledger (k bigint)", "s1", "s2")
	snap, err := topo.BumpSchema(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if table := snap.Table("public", "ledger"); table.KeyType != ring.KeyUnset || !strings.Contains(table.Problem, "many") || table.Group.Placement == nil {
		t.Errorf("ledger: %+v", table)
	}
	c.exec(t, "DROP SCHEMA pgring CASCADE", "s1")
	mustRefuse(t, refusal(t, c.config(w)), "cannot be placed", "many")

	w.Tables[0].Layout.Ranges[0].From = &word
	if _, err := topology.New(c.config(w)); err == nil || !strings.Contains(err.Error(), "open below") {
		t.Errorf("a first range with a bound: %v", err)
	}
	w.Tables[0].Layout.Ranges = []topology.Bound{{Shard: "s1"}, {From: &word, Shard: "s9"}}
	if err := refusal(t, c.config(w)); !strings.Contains(err.Error(), "there is no shard s9") {
		t.Errorf("a range of nobody: %v", err)
	}
}

func TestShardsChangeAddressAndState(t *testing.T) {
	c := newCluster(t)
	topo := start(t, c.config(wish("s1", "s2")))
	if _, err := topo.SetShardAddress(t.Context(), "s1", "s3", 7000); err != nil {
		t.Fatal(err)
	}
	c.exec(t, "CREATE TABLE elsewhere (id int)", "s3")
	await(t, 5*time.Second, "the catalog comes from the new address", func() bool { return topo.Current().Table("public", "elsewhere") != nil })
	if _, err := topo.SetShardState(t.Context(), "s2", topology.ReadOnly); err != nil {
		t.Error(err)
	}
	if _, err := topo.SetShardState(t.Context(), "s2", topology.Joining); err == nil {
		t.Error("a shard was made joining")
	}
	if snap, err := topo.SetShardWeight(t.Context(), "s2", 0); err != nil || snap.Shards[1].Weight != 0 {
		t.Errorf("weight 0: %v", err)
	}
	if _, err := topo.Apply(t.Context(), wish("s1", "s2")); err != nil || topo.Current().Shards[1].Weight != 0 {
		t.Errorf("a wish that leaves the weight open changes it: %v", err)
	}
	if _, err := topo.SetShardWeight(t.Context(), "s2", -1); err == nil {
		t.Error("a negative weight was accepted")
	}
	_, err := topo.SetShardWeight(t.Context(), "s9", 1)
	mustRefuse(t, err, "is not there")
}
