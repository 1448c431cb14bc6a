package router

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

// movingShop is the shop while slots of group users move from s1 to s2.
func movingShop(partitioned ...string) *topology.Snapshot {
	s := newShop()
	still := s.snapshot(1)
	tables := slices.Clone(s.tables())
	for i := range tables {
		if slices.Contains(partitioned, tables[i].Table) {
			tables[i].RelKind = 'p'
		}
	}
	contents := topology.Contents{Epoch: 2, Schema: 1, Shards: still.Shards, Home: still.Home, Tables: tables,
		Groups: []*topology.Group{s.users, s.docs, s.names, s.amounts, s.stamps, s.zoned, s.solo},
		Moves: []*topology.Move{{ID: 1, Group: "users", From: "s1", To: "s2", Slots: ring.NewSlotSet([]ring.Slot{4, 8, 7114}),
			State: topology.MoveCopying}}}
	return topology.NewSnapshot(contents)
}

func TestRowsThatMoveAreLeftOutWhereTheyDoNotCount(t *testing.T) {
	snap := movingShop()
	for text, condition := range map[string]string{
		"SELECT * FROM orders": `WHERE pg_catalog.get_bit(`,
		"SELECT count(*) FROM orders o WHERE o.user_id > 5 OR true":                                        `WHERE (o.user_id > 5 OR true) AND pg_catalog.get_bit(`,
		"SELECT id FROM orders ORDER BY id DESC LIMIT 3 OFFSET 2":                                          `WHERE pg_catalog.get_bit(`,
		"SELECT id FROM orders WHERE id > 1 AND id < 5":                                                    `WHERE id > 1 AND id < 5 AND pg_catalog.get_bit(`,
		"SELECT id FROM orders WHERE (id > 1 AND id < 5) AND (total > 1 AND (id = 1 OR id = 2))":           `AND pg_catalog.get_bit(`,
		"SELECT max(id) FROM orders":                                                                       `WHERE pg_catalog.get_bit(`,
		"SELECT o.id, i.id FROM orders o LEFT JOIN order_items i ON i.user_id = o.user_id":                 `hashint8extended(o.user_id, 0)`,
		"SELECT o.id FROM order_items i RIGHT JOIN orders o ON i.user_id = o.user_id WHERE o.id = 1":       `hashint8extended(o.user_id, 0)`,
		"SELECT o.id FROM orders o WHERE o.user_id IN (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)": `hashint8extended(o.user_id, 0)`,
	} {
		stmt, p, err := plan(t, New(Config{}), snap, testEnv(), text)
		if err != nil || p.Kind != Gather {
			t.Errorf("%s: plan %v, %v", text, p.Kind, err)
			continue
		}
		if len(p.Hidden) != 1 || p.Hidden[0].Shard != "s2" {
			t.Errorf("%s: hidden %v", text, p.Hidden)
			continue
		}
		if p.SQL != "" {
			text = p.SQL
		}
		hidden, err := stmt.HiddenText(text, &p.Hidden[0])
		if err != nil || !strings.Contains(hidden, condition) || !strings.Contains(hidden, "IS NOT TRUE") {
			t.Errorf("%s: %v\n%s", text, err, hidden)
		}
	}
}

// TestWritesAndCopiesLeaveOutRowsThatDoNotCount looks at the texts for s2, to which slots are moving.
func TestWritesAndCopiesLeaveOutRowsThatDoNotCount(t *testing.T) {
	snap := movingShop()
	for text, condition := range map[string]string{
		"UPDATE orders SET total = 1": `WHERE pg_catalog.get_bit(`,
		"UPDATE public.orders AS o SET total = total + 1 WHERE id = 7 OR id = 8 RETURNING id":               `hashint8extended(o.user_id, 0)`,
		"UPDATE orders SET total = i.qty FROM order_items i WHERE i.user_id = orders.user_id AND i.qty > 3": `hashint8extended(orders.user_id, 0)`,
		"DELETE FROM orders WHERE total < 0":                                                                            `WHERE total < 0 AND pg_catalog.get_bit(`,
		"DELETE FROM orders o USING order_items i WHERE i.user_id = o.user_id":                                          `hashint8extended(o.user_id, 0)`,
		"WITH c AS (SELECT code FROM countries) DELETE FROM orders WHERE id IN (1, 2) AND EXISTS (SELECT FROM c)":       `hashint8extended(orders.user_id, 0)`,
		"MERGE INTO orders o USING order_items i ON o.user_id = i.user_id WHEN MATCHED THEN UPDATE SET total = 0":       `ON o.user_id = i.user_id AND pg_catalog.get_bit(`,
		"INSERT INTO order_items (user_id, id) SELECT user_id, id FROM orders o WHERE total > 3 ON CONFLICT DO NOTHING": `hashint8extended(o.user_id, 0)`,
		"COPY orders TO STDOUT": `ONLY orders WHERE pg_catalog.get_bit(`,
		"COPY public.orders (id, total) TO STDOUT (FORMAT csv, HEADER)": `COPY (SELECT orders.id, orders.total FROM ONLY public.orders WHERE pg_catalog.get_bit(`,
		"COPY (SELECT id FROM orders o WHERE id > 3) TO STDOUT":         `hashint8extended(o.user_id, 0)`,
	} {
		stmt, p, err := plan(t, New(Config{}), snap, testEnv(), text)
		if err != nil || p.Kind != Split && p.Out == nil || len(p.Hidden) != 1 || p.Hidden[0].Shard != "s2" {
			t.Errorf("%s: plan %v, hidden %v, %v", text, p.Kind, p.Hidden, err)
			continue
		}
		hidden, err := stmt.HiddenText(text, &p.Hidden[0])
		if err != nil || !strings.Contains(hidden, condition) || strings.Count(hidden, "IS NOT TRUE") != 1 {
			t.Errorf("%s: %v\n%s", text, err, hidden)
		}
	}
}

// TestWhatShardsRefuseIsLeftToThem copies a partitioned table, which PostgreSQL does not.
func TestWhatShardsRefuseIsLeftToThem(t *testing.T) {
	snap := movingShop("orders")
	if _, p, err := plan(t, New(Config{}), snap, testEnv(), "COPY orders TO STDOUT"); err != nil || len(p.Hidden) > 0 {
		t.Errorf("plan %v: %v", p, err)
	}
	if _, p, err := plan(t, New(Config{}), snap, testEnv(), "COPY (SELECT * FROM orders) TO STDOUT"); err != nil || len(p.Hidden) != 1 {
		t.Errorf("plan %v: %v", p, err)
	}
}

// TestPullsLeaveOutRowsThatDoNotCount looks at all texts of a pull: those for s2 leave rows out of each relation, others do not.
func TestPullsLeaveOutRowsThatDoNotCount(t *testing.T) {
	snap := movingShop()
	for text, relations := range map[string]int{
		"SELECT avg(total) FROM orders": 1,
		"SELECT status, count(*), sum(total) FROM orders WHERE id > 3 GROUP BY status":                           1,
		"SELECT DISTINCT total FROM orders o ORDER BY 1":                                                         1,
		"SELECT * FROM orders o JOIN order_items i ON o.id = i.id":                                               2,
		"SELECT id FROM orders UNION SELECT id FROM order_items":                                                 2,
		"SELECT id FROM orders WHERE total > (SELECT avg(total) FROM orders)":                                    1,
		"WITH x AS (SELECT id, rank() OVER (ORDER BY total) AS r FROM orders) SELECT * FROM x, docs WHERE r = 1": 1,
		"DECLARE c CURSOR FOR SELECT id FROM orders":                                                             1,
		"COPY (SELECT id FROM orders ORDER BY total) TO STDOUT":                                                  1,
	} {
		_, p, err := plan(t, New(Config{}), snap, testEnv(), text)
		if err != nil || p.Kind != Pull {
			t.Errorf("%s: plan %v, %v", text, p.Kind, err)
			continue
		}
		texts := map[ring.ShardID]string{p.Shard: p.SQL}
		for _, part := range p.Parts {
			texts[part.Shard] += part.SQL
		}
		for shard, sent := range texts {
			hidden := strings.Count(sent, "IS NOT TRUE")
			if want := shard == "s2"; want && hidden < relations || !want && hidden > 0 {
				t.Errorf("%s: %s is sent %d conditions\n%s", text, shard, hidden, sent)
			}
		}
	}
}

func TestStatementsThatCannotLeaveRowsOutAreRefusedWhileTheyMove(t *testing.T) {
	snap := movingShop()
	for _, text := range []string{
		"SELECT * FROM (orders o JOIN order_items i USING (user_id)) AS j",
		"SELECT count(*) FROM orders AS o (a, b, c)",
		"TRUNCATE orders",
		"ALTER TABLE orders ADD x int",
		"CREATE INDEX ON orders (user_id)",
	} {
		_, still, err := plan(t, New(Config{}), newShop().snapshot(1), testEnv(), text)
		if err != nil || still.Kind == One {
			t.Errorf("%s: plan %v, %v when nothing moves", text, still.Kind, err)
		}
		if _, p, err := plan(t, New(Config{}), snap, testEnv(), text); err == nil || !strings.Contains(err.Error(), "while slots move") {
			t.Errorf("%s: plan %v, %v", text, p.Kind, err)
		}
	}
	for text, refused := range map[string]bool{"LOCK TABLE orders": true, "LOCK TABLE countries, orders IN SHARE MODE": true, "LOCK TABLE orders IN ROW EXCLUSIVE MODE": false,
		"LOCK TABLE docs": false, "LOCK TABLE countries": false} {
		_, _, err := plan(t, New(Config{}), snap, testEnv(), text)
		var refusal *Refusal
		if errors.As(err, &refusal) != refused || refused && refusal.Code != "55P03" {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, text := range []string{"VACUUM orders", "ANALYZE orders", "REINDEX TABLE orders", "SELECT * FROM orders WHERE user_id = 42", "SELECT count(*) FROM docs", "INSERT INTO countries VALUES ('x', 'y')",
		"DELETE FROM orders WHERE user_id = 42", "SELECT count(*) FROM logs"} {
		if _, p, err := plan(t, New(Config{}), snap, testEnv(), text); err != nil || len(p.Hidden) > 0 {
			t.Errorf("%s: hidden %v, %v", text, p.Hidden, err)
		}
	}
}
