package topology_test

import (
	"slices"
	"testing"

	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

const (
	int8OID = 20
	textOID = 25
	jsonOID = 114
)

func shop(t testing.TB) topology.Contents {
	t.Helper()
	group := &topology.Group{
		Name: "customers", Strategy: topology.Hash, KeyType: ring.KeyInt,
		Placement: ring.Modulo([]ring.ShardID{"s1", "s2"}), Epoch: 7,
	}
	id := topology.Column{Name: "id", Type: int8OID, NotNull: true}
	owner := topology.Column{Name: "customer_id", Type: int8OID}
	public := func(name string) topology.Name { return topology.Name{Schema: "public", Table: name} }
	return topology.Contents{
		Epoch: 7, Schema: 3, Home: "s1",
		Shards: []topology.Shard{
			{ID: "s2", Number: 2, Host: "b", Port: 5432, Weight: 1, State: topology.Active},
			{ID: "s1", Number: 1, Host: "a", Port: 5432, Weight: 1, State: topology.Active},
		},
		Groups: []*topology.Group{group},
		Tables: []topology.Table{
			{Name: public("settings"), Exists: true, RelKind: 'r'},
			{Name: public("orders"), Kind: topology.Sharded, Key: []string{"customer_id"}, Group: group, Exists: true, RelKind: 'p',
				Columns: []topology.Column{id, owner}},
			{Name: public("customers"), Kind: topology.Sharded, Key: []string{"id"}, Group: group},
			{Name: public("countries"), Kind: topology.Reference},
			{Name: public("orders_2024"), Exists: true, RelKind: 'r', Parents: []topology.Name{public("orders")},
				Columns: []topology.Column{owner, id}},
			{Name: public("recent"), Exists: true, RelKind: 'v', Uses: []topology.Name{public("orders")}},
			{Name: public("recent_few"), Exists: true, RelKind: 'v', Uses: []topology.Name{public("recent"), public("settings")}},
			{Name: topology.Name{Schema: "app", Table: "settings"}, Exists: true, RelKind: 'r'},
		},
		Functions: map[string][]topology.Function{"total": {{Schema: "public", Volatile: true}}},
	}
}

func TestSnapshotListsDeclaredTablesFirst(t *testing.T) {
	snap := topology.NewSnapshot(shop(t))
	want := []string{"public.countries", "public.customers", "public.orders",
		"app.settings", "public.orders_2024", "public.recent", "public.recent_few", "public.settings"}
	got := snap.Tables()
	if len(got) != len(want) {
		t.Fatalf("%d tables, want %d", len(got), len(want))
	}
	for i, table := range got {
		if table.Name.String() != want[i] || table.Declared != (i < 3) {
			t.Errorf("table %d is %v (declared %v), want %s", i, table.Name, table.Declared, want[i])
		}
	}
}

func TestSnapshotLooksUpShardsGroupsAndFunctions(t *testing.T) {
	snap := topology.NewSnapshot(shop(t))
	if snap.Shards[0].ID != "s1" || snap.Shards[1].ID != "s2" {
		t.Errorf("shards are not in the order of their numbers: %v", snap.Shards)
	}
	if shard, found := snap.Shard("s2"); !found || shard.Host != "b" {
		t.Errorf("Shard(s2) = %v, %v", shard, found)
	}
	if _, found := snap.Shard("s9"); found {
		t.Error("a shard that is not there was found")
	}
	if snap.Group("customers") == nil || snap.Group("orders") != nil {
		t.Error("groups are not found by name")
	}
	if len(snap.Functions("total")) != 1 || snap.Functions("now") != nil {
		t.Error("functions are not found by name")
	}
}

func TestResolveTakesTheFirstSchemaThatHasTheTable(t *testing.T) {
	snap := topology.NewSnapshot(shop(t))
	cases := []struct {
		path []string
		name string
		want string
	}{
		{[]string{"public", "app"}, "settings", "public.settings"},
		{[]string{"app", "public"}, "settings", "app.settings"},
		{[]string{"app", "public"}, "orders", "public.orders"},
		{[]string{"app"}, "orders", ""},
		{nil, "orders", ""},
	}
	for _, c := range cases {
		got := ""
		if table := snap.Resolve(c.path, c.name); table != nil {
			got = table.Name.String()
		}
		if got != c.want {
			t.Errorf("Resolve(%v, %s) = %q, want %q", c.path, c.name, got, c.want)
		}
	}
}

func TestUndeclaredTablesAreHomeOnTheHomeShard(t *testing.T) {
	table := topology.NewSnapshot(shop(t)).Table("public", "settings")
	if table.Kind != topology.Home || table.Shard != "s1" || table.KeyColumns != nil || table.Group != nil {
		t.Errorf("undeclared table: %+v", table)
	}
}

func TestKeyComesFromTheColumnElseFromTheGroup(t *testing.T) {
	snap := topology.NewSnapshot(shop(t))
	orders := snap.Table("public", "orders")
	if !slices.Equal(orders.KeyColumns, []int{1}) || orders.KeyType != ring.KeyInt || orders.Problem != "" {
		t.Errorf("existing table: column %d, type %v, problem %q", orders.KeyColumns, orders.KeyType, orders.Problem)
	}
	customers := snap.Table("public", "customers")
	if customers.KeyColumns != nil || customers.KeyType != ring.KeyInt {
		t.Errorf("table to come: column %d, type %v", customers.KeyColumns, customers.KeyType)
	}
}

func TestKeyThatCannotBeUsedStatesTheProblem(t *testing.T) {
	group := func(k ring.KeyType) *topology.Group {
		return &topology.Group{Name: "g", KeyType: k, Placement: ring.Modulo([]ring.ShardID{"s1"})}
	}
	cases := []struct {
		name  string
		table topology.Table
	}{
		{"unsupported type", topology.Table{Group: group(ring.KeyUnset), Columns: []topology.Column{{Name: "k", Type: jsonOID}}}},
		{"no such column", topology.Table{Group: group(ring.KeyUnset), Columns: []topology.Column{{Name: "id", Type: int8OID}}}},
		{"other type than the group", topology.Table{Group: group(ring.KeyInt), Columns: []topology.Column{{Name: "k", Type: textOID}}}},
		{"nondeterministic collation", topology.Table{Group: group(ring.KeyText), Columns: []topology.Column{{Name: "k", Type: textOID, Nondeterministic: true}}}},
		{"a view", topology.Table{Group: group(ring.KeyInt), RelKind: 'v', Columns: []topology.Column{{Name: "k", Type: int8OID}}}},
	}
	for _, c := range cases {
		c.table.Name, c.table.Kind, c.table.Key = topology.Name{Schema: "public", Table: "t"}, topology.Sharded, []string{"k"}
		got := topology.NewSnapshot(topology.Contents{Home: "s1", Tables: []topology.Table{c.table}}).Table("public", "t")
		if got.Problem == "" || got.KeyType != ring.KeyUnset {
			t.Errorf("%s: key type %v, problem %q", c.name, got.KeyType, got.Problem)
		}
	}
}

func TestPartitionIsPlacedLikeItsDeclaredParent(t *testing.T) {
	snap := topology.NewSnapshot(shop(t))
	part, parent := snap.Table("public", "orders_2024"), snap.Table("public", "orders")
	if part.Kind != topology.Sharded || part.Group != parent.Group || !slices.Equal(part.KeyColumns, []int{0}) || part.Declared {
		t.Errorf("partition: %+v", part)
	}
	if len(parent.Reads) != 0 {
		t.Errorf("the parent names its partitions, though they are where it is: %v", parent.Reads)
	}
}

func TestReadsFollowsViewsDown(t *testing.T) {
	snap := topology.NewSnapshot(shop(t))
	want := []string{"public.orders", "public.orders_2024", "public.recent", "public.settings"}
	got := snap.Table("public", "recent_few").Reads
	if len(got) != len(want) {
		t.Fatalf("Reads has %d tables, want %v", len(got), want)
	}
	for i, table := range got {
		if table.Name.String() != want[i] {
			t.Errorf("Reads[%d] = %v, want %s", i, table.Name, want[i])
		}
	}
	if !snap.View("public", "recent") || snap.View("public", "orders") || snap.View("public", "nothing") {
		t.Error("views are not told from tables")
	}
}

func TestReadsNamesChildrenThatLiveElsewhere(t *testing.T) {
	c := shop(t)
	c.Tables = append(c.Tables, topology.Table{Name: topology.Name{Schema: "public", Table: "all_events"}, Exists: true, RelKind: 'r'})
	for i := range c.Tables {
		if c.Tables[i].Table == "customers" {
			c.Tables[i].Parents = []topology.Name{{Schema: "public", Table: "all_events"}}
		}
	}
	reads := topology.NewSnapshot(c).Table("public", "all_events").Reads
	if len(reads) != 1 || reads[0].Table != "customers" {
		t.Errorf("Reads = %v, want the sharded child of a home table", reads)
	}
}

func TestSnapshotDoesNotChangeItsContents(t *testing.T) {
	c := shop(t)
	topology.NewSnapshot(c)
	if c.Tables[0].Kind != topology.KindUnset || c.Shards[0].ID != "s2" {
		t.Error("NewSnapshot wrote to the contents it was given")
	}
}

func TestLookupsDoNotAllocate(t *testing.T) {
	snap := topology.NewSnapshot(shop(t))
	path := []string{"app", "public"}
	key, err := ring.ParseKey(ring.KeyInt, []byte("42"))
	if err != nil {
		t.Fatal(err)
	}
	allocs := testing.AllocsPerRun(100, func() {
		table := snap.Resolve(path, "orders")
		if at := table.Group.Placement.Locate(key); at.Shard == "" {
			t.Error("no owner")
		}
		if shard, found := snap.Shard("s1"); !found || shard.Port == 0 {
			t.Error("no shard")
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

func TestWordsSurviveARoundTrip(t *testing.T) {
	for k := topology.Sharded; k <= topology.Home; k++ {
		if topology.ParseKind(k.String()) != k {
			t.Errorf("kind %v", k)
		}
	}
	for s := topology.Consistent; s <= topology.List; s++ {
		if topology.ParseStrategy(s.String()) != s {
			t.Errorf("strategy %v", s)
		}
	}
	for s := topology.Active; s <= topology.Joining; s++ {
		if topology.ParseShardState(s.String()) != s {
			t.Errorf("state %v", s)
		}
	}
	for text, want := range map[string]topology.Name{
		"orders": {Schema: "public", Table: "orders"}, "app.orders": {Schema: "app", Table: "orders"}, "a.b.c": {Schema: "a", Table: "b.c"},
	} {
		if got := topology.ParseName(text); got != want {
			t.Errorf("ParseName(%q) = %v", text, got)
		}
	}
}

func BenchmarkResolveAndLocate(b *testing.B) {
	snap := topology.NewSnapshot(shop(b))
	path := []string{"app", "public"}
	key, err := ring.ParseKey(ring.KeyInt, []byte("42"))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		snap.Resolve(path, "orders").Group.Placement.Locate(key)
	}
}
