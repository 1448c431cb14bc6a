package topology_test

import (
	"slices"
	"testing"

	"github.com/pgring/pgring/topology"
)

const reachDDL = `
CREATE TABLE orders (customer_id bigint PRIMARY KEY); CREATE TABLE plain (id int); CREATE TABLE "Odd. Name" (customer_id bigint PRIMARY KEY);
CREATE FUNCTION direct() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM public.Orders';
CREATE FUNCTION standard() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM orders; END;
CREATE FUNCTION odd() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT count(*) FROM "Odd. Name"); END $$;
CREATE FUNCTION nothing() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM plain';
CREATE FUNCTION "Deep Down"() RETURNS bigint LANGUAGE sql AS 'SELECT direct()';
CREATE FUNCTION outermost() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RETURN "Deep Down"() + outermost(); END $$;
CREATE FUNCTION step(bigint, int) RETURNS bigint LANGUAGE sql AS 'SELECT $1 + direct()';
CREATE AGGREGATE summed (int) (sfunc = step, stype = bigint, initcond = '0');
CREATE VIEW calling AS SELECT outermost() AS n FROM plain;
CREATE VIEW over_calling AS SELECT n FROM calling;
CREATE VIEW quiet AS SELECT nothing();
CREATE VIEW over_orders AS SELECT * FROM orders;
CREATE FUNCTION through_view() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM over_orders';
CREATE FUNCTION through_call() RETURNS bigint LANGUAGE sql AS 'SELECT n FROM over_calling';
CREATE TABLE defaults (a text DEFAULT 'x', b timestamptz DEFAULT now(), c int DEFAULT 1 + 2 * 3, d serial, e date DEFAULT 'today',
	f varchar(5) DEFAULT lower('ABC'), g uuid DEFAULT gen_random_uuid(), h bigint DEFAULT nothing(), i numeric(10, 2) DEFAULT 0, j int,
	k boolean DEFAULT (NOT true), l text DEFAULT CURRENT_USER, m regclass DEFAULT 'plain', n jsonb DEFAULT '{"{OTHER ": 1}', o text[] DEFAULT '{}',
	p timestamptz(3) DEFAULT CURRENT_TIMESTAMP, q float8 DEFAULT random(), r text DEFAULT 'a' || clock_timestamp(), s inet DEFAULT '::1',
	u varchar DEFAULT NULL, v interval(0) DEFAULT '1 day', w text DEFAULT CASE WHEN true THEN 'a' END);`

func TestCatalogTellsWhatFunctionsReachAndDefaultsAre(t *testing.T) {
	c := newCluster(t)
	c.exec(t, reachDDL, "s1")
	w := wish("s1")
	w.Tables = []topology.TableWish{sharded("orders", "customer_id", ""), sharded("Odd. Name", "customer_id", "")}
	w.Tables[1].Name = topology.Name{Schema: "public", Table: "Odd. Name"}
	snap := load(t, c.config(w)).Current()
	for name, want := range map[string]string{"direct": "orders", "standard": "orders", "odd": "Odd. Name", "nothing": "", "Deep Down": "orders",
		"outermost": "orders", "step": "orders", "summed": "orders", "through_view": "orders", "through_call": "orders", "nosuch": ""} {
		if got := first(snap.ReachedBy(name)); got != want {
			t.Errorf("%s reaches %q", name, got)
		}
	}
	for name, want := range map[string]string{"calling": "orders", "over_calling": "orders", "quiet": "", "over_orders": "", "plain": ""} {
		if got := first(snap.ReachedThrough(snap.Table("public", name))); got != want {
			t.Errorf("%s reaches %q", name, got)
		}
	}
	if got := first(snap.Reached(topology.Words(`BEGIN PERFORM "Deep Down"(); END`))); got != "orders" {
		t.Errorf("a body reaches %q", got)
	}
	volatile := []string{"b", "d", "e", "g", "h", "l", "m", "p", "q", "r", "w"}
	modifiers := map[string]int32{"f": 9, "i": 10<<16 + 2 + 4, "p": 3}
	for _, column := range snap.Table("public", "defaults").Columns {
		if column.DefaultVolatile != slices.Contains(volatile, column.Name) {
			t.Errorf("column %s: %+v", column.Name, column)
		}
		if want, found := modifiers[column.Name]; found && column.Modifier != want || column.Name == "a" && column.Modifier != -1 {
			t.Errorf("column %s has modifier %d", column.Name, column.Modifier)
		}
	}
}

func first(tables []*topology.Table) string {
	if len(tables) == 0 {
		return ""
	}
	return tables[0].Table
}
