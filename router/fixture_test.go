package router

import (
	"testing"

	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

// The schema of the tests: a small shop on four shards, s1 being home.

const (
	oidBpchar  = 1042
	oidArrayI8 = 1016
)

func column(name string, oid uint32) topology.Column {
	return topology.Column{Name: name, Type: oid, Modifier: -1}
}

func columns(list ...any) []topology.Column {
	var out []topology.Column
	for i := 0; i < len(list); i += 2 {
		out = append(out, column(list[i].(string), uint32(list[i+1].(int))))
	}
	return out
}

func public(name string) topology.Name { return topology.Name{Schema: "public", Table: name} }

// sharded is a declared table that exists.
func sharded(name, key string, group *topology.Group, cols []topology.Column) topology.Table {
	return topology.Table{
		Name: topology.ParseName(name), Kind: topology.Sharded, Key: []string{key}, Group: group, Exists: true, RelKind: 'r', Columns: cols,
	}
}

func other(name string, kind topology.Kind, cols []topology.Column) topology.Table {
	return topology.Table{Name: topology.ParseName(name), Kind: kind, Exists: true, RelKind: 'r', Columns: cols}
}

type shop struct {
	users, docs, names, amounts, stamps, zoned, solo, seats *topology.Group
}

func newShop() shop {
	four := ring.Modulo([]ring.ShardID{"s1", "s2", "s3", "s4"})
	group := func(name string, t ring.KeyType, p ring.Placement) *topology.Group {
		return &topology.Group{Name: name, Strategy: topology.Hash, KeyType: t, Placement: p}
	}
	return shop{
		users:   group("users", ring.KeyInt, four),
		docs:    group("docs", ring.KeyUUID, four),
		names:   group("names", ring.KeyText, four),
		amounts: group("amounts", ring.KeyNumeric, four),
		stamps:  group("stamps", ring.KeyTimestamp, four),
		zoned:   group("zoned", ring.KeyTimestampTZ, four),
		seats:   group("seats", ring.TupleType(ring.KeyInt, ring.KeyText), four),
		solo:    group("solo", ring.KeyInt, ring.Modulo([]ring.ShardID{"s2"})),
	}
}

func (s shop) tables() []topology.Table {
	users := sharded("customers", "id", s.users, columns("id", oidInt8, "name", oidText, "email", oidText, "code", oidText,
		"balance", oidNumeric, "score", oidFloat8, "country", oidText, "created", oidTimestampTZ))
	users.Columns[3].CCollation = true
	users.Primary, users.Unique = []string{"id"}, [][]string{{"id"}}
	orders := sharded("orders", "user_id", s.users, columns("id", oidInt8, "user_id", oidInt8, "total", oidNumeric, "status", oidText,
		"created", oidTimestampTZ, "product_id", oidInt4))
	orders.Primary, orders.Unique = []string{"user_id", "id"}, [][]string{{"user_id", "id"}}
	items := sharded("order_items", "user_id", s.users, columns("order_id", oidInt8, "user_id", oidInt4, "product_id", oidInt4, "qty", oidInt4))
	loose := sharded("loose", "user_id", s.users, columns("user_id", oidInt8, "token", oidText))
	loose.Unique = [][]string{{"token"}}
	names := sharded("accounts", "name", s.names, columns("name", oidText, "balance", oidInt8))
	short := sharded("handles", "handle", s.names, columns("handle", oidVarchar, "owner", oidInt8))
	short.Columns[0].Modifier = 10 + 4
	prices := sharded("prices", "n", s.amounts, columns("n", oidNumeric, "label", oidText))
	prices.Columns[0].Modifier = 10<<16 + 2 + 4
	rounded := sharded("rounded", "n", s.amounts, columns("n", oidNumeric, "label", oidText))
	rounded.Columns[0].Modifier = 3<<16 + 2046 + 4 // numeric(3,-2)
	seconds := sharded("seconds", "at", s.stamps, columns("at", oidTimestamp, "v", oidInt4))
	seconds.Columns[0].Modifier = 3
	viewCalling := other("calling_view", topology.KindUnset, columns("n", oidInt8))
	viewCalling.RelKind, viewCalling.Uses, viewCalling.Calls = 'v', []topology.Name{public("settings")}, []string{"orders_deep"}
	defaults := other("defaults", topology.Reference, columns("id", oidInt4, "kind", oidText, "at", oidTimestampTZ))
	defaults.Columns[1].HasDefault = true
	defaults.Columns[2].HasDefault, defaults.Columns[2].DefaultVolatile = true, true
	products := other("products", topology.Reference, columns("id", oidInt4, "name", oidText, "price", oidNumeric, "added", oidTimestampTZ))
	products.Columns[3].HasDefault, products.Columns[3].DefaultVolatile = true, true
	faraway := other("faraway", topology.Home, columns("id", oidInt4, "v", oidText))
	faraway.Shard = "s3"
	viewHome := other("settings_view", topology.KindUnset, columns("id", oidInt4))
	viewHome.RelKind, viewHome.Uses = 'v', []topology.Name{public("settings")}
	viewOrders := other("orders_view", topology.KindUnset, columns("id", oidInt8, "user_id", oidInt8))
	viewOrders.RelKind, viewOrders.Uses = 'v', []topology.Name{public("orders")}
	stored := other("orders_stored", topology.KindUnset, columns("id", oidInt8, "user_id", oidInt8))
	stored.RelKind, stored.Uses = 'm', []topology.Name{public("orders")}
	viewCountries := other("countries_view", topology.KindUnset, columns("code", oidText))
	viewCountries.RelKind, viewCountries.Uses = 'v', []topology.Name{public("countries")}
	partition := topology.Table{Name: public("orders_2024"), Exists: true, RelKind: 'r', Columns: orders.Columns,
		Parents: []topology.Name{public("orders")}}
	made := sharded("made", "id", s.users, columns("id", oidInt8, "name", oidText, "n", oidInt4, "old", oidInt8))
	made.Columns[3].Identity = true
	made.Columns[0].NextID, made.Columns[0].DefaultVolatile, made.Columns[0].NotNull = true, true, true
	missing := topology.Table{Name: public("planned"), Kind: topology.Sharded, Key: []string{"tenant_id"}, Group: s.users}
	missingRef := topology.Table{Name: public("planned_ref"), Kind: topology.Reference}
	seats := sharded("seats", "hall", s.seats, columns("hall", oidInt4, "place", oidText, "price", oidInt4))
	seats.Key = []string{"hall", "place"}
	tickets := sharded("tickets", "hall", s.seats, columns("no", oidInt4, "place", oidText, "hall", oidInt8))
	tickets.Key = seats.Key
	return []topology.Table{
		seats, tickets, made, prices, rounded, seconds, viewCalling, defaults, users, orders, items, loose, names, short, products, faraway, viewHome, viewOrders, stored, viewCountries, partition, missing, missingRef,
		sharded("docs", "id", s.docs, columns("id", oidUUID, "body", oidJSONB, "owner", oidInt8)),
		sharded("amounts", "n", s.amounts, columns("n", oidNumeric, "label", oidText)),
		sharded("stamps", "at", s.stamps, columns("at", oidTimestamp, "v", oidInt4)),
		sharded("zoned", "at", s.zoned, columns("at", oidTimestampTZ, "v", oidInt4)),
		sharded("solo_events", "id", s.solo, columns("id", oidInt8, "kind", oidText)),
		sharded("Mixed.Case Table", "Key", s.users, columns("Key", oidInt8, "key", oidInt8, "value", oidText)),
		sharded("other.orders", "user_id", s.users, columns("id", oidInt8, "user_id", oidInt8)),
		other("countries", topology.Reference, columns("code", oidText, "name", oidText)),
		other("settings", topology.KindUnset, columns("id", oidInt4, "v", oidText, "user_id", oidInt8)),
		other("logs", topology.KindUnset, columns("id", oidInt8, "message", oidText)),
	}
}

// snapshot is the shop on four shards.
func (s shop) snapshot(schema int64) *topology.Snapshot { return s.snapshotOf(schema, s.tables()) }

// snapshotOf is it with these tables.
func (s shop) snapshotOf(schema int64, tables []topology.Table) *topology.Snapshot {
	var shards []topology.Shard
	for i, id := range []ring.ShardID{"s1", "s2", "s3", "s4"} {
		shards = append(shards, topology.Shard{ID: id, Number: i + 1, State: topology.Active, Weight: 1})
	}
	shards = append(shards, topology.Shard{ID: "s5", Number: 5, State: topology.Joining, Weight: 1})
	return topology.NewSnapshot(topology.Contents{
		Epoch: 1, Schema: schema, Shards: shards, Home: "s1", Tables: tables,
		Groups: []*topology.Group{s.users, s.docs, s.names, s.amounts, s.stamps, s.zoned, s.solo, s.seats},
		Functions: map[string][]topology.Function{
			"touch_orders": {{Schema: "public", Volatile: true}},
			"plain_fn":     {{Schema: "public"}},
			"my_agg":       {{Schema: "public", Aggregate: true}},
			"orders_left":  {{Schema: "public", Words: topology.Words("SELECT count(*) FROM public.orders")}},
			"orders_deep":  {{Schema: "public", Words: topology.Words("BEGIN RETURN orders_left() + orders_deep(); END")}},
			"events_left":  {{Schema: "public", Words: topology.Words("SELECT count(*) FROM solo_events")}},
			"codes_left":   {{Schema: "public", Words: topology.Words("SELECT count(*) FROM countries, settings")}},
			"archive":      {{Schema: "public", Volatile: true, Procedure: true, Words: topology.Words("DELETE FROM orders")}},
		},
	})
}

var testPath = []string{"public"}

// testEnv is the Env of an ordinary session.
func testEnv() *Env { return NewEnv(testPath) }

// oneShard is the shop on a single shard.
func oneShard() *topology.Snapshot {
	s := newShop()
	single := ring.Modulo([]ring.ShardID{"s1"})
	for _, g := range []*topology.Group{s.users, s.docs, s.names, s.amounts, s.stamps, s.zoned, s.solo} {
		g.Placement = single
	}
	tables := s.tables()
	for i := range tables {
		if tables[i].Kind == topology.Home {
			tables[i].Shard = "s1"
		}
	}
	return topology.NewSnapshot(topology.Contents{
		Epoch: 1, Schema: 1, Shards: []topology.Shard{{ID: "s1", Number: 1, State: topology.Active, Weight: 1}}, Home: "s1", Tables: tables,
		Groups: []*topology.Group{s.users, s.docs, s.names, s.amounts, s.stamps, s.zoned, s.solo, s.seats},
	})
}

// plan plans one statement through Query.
func plan(t testing.TB, r *Router, snap *topology.Snapshot, env *Env, text string) (*Statement, Plan, error) {
	t.Helper()
	var scratch Scratch
	bounds, err := r.Query(snap, env, []byte(text), &scratch)
	if err != nil {
		return nil, Plan{}, err
	}
	if len(bounds) != 1 {
		t.Fatalf("%d statements in %q", len(bounds), text)
	}
	p, err := bounds[0].Plan(snap, bounds[0].Values)
	return bounds[0].Statement, p, err
}
