package topology_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/pgring/pgring/topology"
)

// Each kind of definition is changed on one shard, and each change is told, with nothing beside it.
func TestDriftTellsEveryDifferenceAndNothingElse(t *testing.T) {
	c := newCluster(t)
	w := wish("s1", "s2", "s3")
	w.Tables = []topology.TableWish{sharded("customers", "id", ""), sharded("parts", "id", ""), {Name: topology.ParseName("countries"), Kind: topology.Reference}}
	c.exec(t, `
CREATE SCHEMA app;
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE TYPE pair AS (x int, y int);
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE FUNCTION app.twice(n int) RETURNS int LANGUAGE sql AS 'SELECT 2 * n';
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TABLE customers (id bigint PRIMARY KEY, name text NOT NULL DEFAULT 'x', age positive, CONSTRAINT grown CHECK (age > 17));
CREATE INDEX by_name ON customers (name);
CREATE TRIGGER stamps BEFORE INSERT ON customers FOR EACH ROW EXECUTE FUNCTION stamp();
CREATE POLICY own ON customers USING (name = current_user);
CREATE TABLE parts (id bigint, n int) PARTITION BY RANGE (n);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
CREATE TABLE countries (code text PRIMARY KEY, name text);`, "s1", "s2", "s3")
	c.exec(t, "CREATE TABLE alone (id int); CREATE INDEX ON alone (id)", "s1")
	c.exec(t, "CREATE TABLE other_alone (id int)", "s2")
	top := load(t, c.config(w))
	drift := func() (list []string) {
		t.Helper()
		all, err := top.Drift(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range all {
			what := "differs"
			switch {
			case d.Err != nil:
				what = "error"
			case d.Missing:
				what = "missing"
			case d.Extra:
				what = "extra"
			}
			list = append(list, strings.Trim(fmt.Sprintf("%s %s %s %s %s", d.Shard, what, d.Kind, d.Table.Table, d.Name), " "))
		}
		slices.Sort(list)
		return list
	}
	if list := drift(); len(list) > 0 {
		t.Fatalf("equal shards differ: %q", list)
	}
	want := []string{"s3 missing table countries"}
	c.exec(t, "DROP TABLE countries", "s3")
	for _, change := range []struct{ sql, want string }{
		{"DROP INDEX by_name", "missing index customers by_name"},
		{"CREATE INDEX by_age ON customers (age)", "extra index customers by_age"},
		{"ALTER TABLE customers ALTER name SET DEFAULT 'y'", "differs column customers name"},
		{"ALTER TABLE customers DROP CONSTRAINT grown", "missing constraint customers grown"},
		{"DROP TRIGGER stamps ON customers", "missing trigger customers stamps"},
		{"ALTER POLICY own ON customers USING (true)", "differs policy customers own"},
		{"ALTER TABLE customers ENABLE ROW LEVEL SECURITY", "differs table customers"},
		{"ALTER TYPE mood ADD VALUE 'new'", "differs type  public.mood"},
		{"ALTER TYPE pair ADD ATTRIBUTE z int", "differs type  public.pair"},
		{"ALTER DOMAIN positive SET NOT NULL", "differs type  public.positive"},
		{"CREATE OR REPLACE FUNCTION app.twice(n int) RETURNS int LANGUAGE sql AS 'SELECT n + n'", "differs function  app.twice(n integer)"},
		{"CREATE SCHEMA extra", "extra schema  extra"},
		{"ALTER TABLE parts DETACH PARTITION parts_1; DROP TABLE parts_1", "missing table parts_1"},
	} {
		c.exec(t, change.sql, "s2")
		want = append(want, "s2 "+change.want)
	}
	c.exec(t, "DROP SCHEMA extra", "s2")
	want = slices.DeleteFunc(want, func(s string) bool { return strings.Contains(s, "schema") })
	slices.Sort(want)
	if list := drift(); !slices.Equal(list, want) {
		t.Errorf("got  %q\nwant %q", list, want)
	}
}
