package topology_test

import (
	"testing"
	"time"
)

// TestSilentTablesAreThoseToWhoseWritesNobodyListens changes a table past pgring.
func TestSilentTablesAreThoseToWhoseWritesNobodyListens(t *testing.T) {
	c := newCluster(t)
	c.exec(t, `CREATE FUNCTION hear() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END'; CREATE FUNCTION f() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1';
CREATE FUNCTION g(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1'; CREATE DOMAIN d AS int CHECK (value < 7); CREATE OPERATOR |+| (leftarg = int, rightarg = int, function = int4pl);
CREATE TABLE a (id int PRIMARY KEY, n int, at timestamptz DEFAULT now(), s serial CHECK (s > 0)); CREATE TABLE b (id int REFERENCES a);
CREATE TABLE parted (id int) PARTITION BY LIST (id); CREATE VIEW v AS SELECT * FROM a`, "s1")
	topo := start(t, c.config(wish("s1")))
	silent := func(table string) bool { return topo.Current().Table("public", table).Silent }
	for table, want := range map[string]bool{"a": true, "b": true, "parted": false, "v": false} {
		if silent(table) != want {
			t.Errorf("%s: %v", table, !want)
		}
	}
	const trigger = "CREATE TRIGGER x AFTER INSERT ON a FOR EACH STATEMENT EXECUTE FUNCTION hear()"
	for _, step := range []struct{ heard, silent string }{
		{trigger, "DROP TRIGGER x ON a"},
		{trigger, "DROP TRIGGER x ON a"}, // that there may be triggers is in pg_class since the first one
		{"CREATE RULE x AS ON UPDATE TO a DO ALSO SELECT 1", "DROP RULE x ON a"},
		{"ALTER TABLE a ENABLE ROW LEVEL SECURITY", "ALTER TABLE a DISABLE ROW LEVEL SECURITY"},
		{"ALTER TABLE a ALTER n SET DEFAULT f()", "ALTER TABLE a ALTER n SET DEFAULT 5"},
		{"ALTER TABLE a ALTER n SET DEFAULT length(current_query())", "ALTER TABLE a ALTER n DROP DEFAULT"},
		{"ALTER TABLE a ADD CONSTRAINT x CHECK (n > f())", "ALTER TABLE a DROP CONSTRAINT x"},
		{"ALTER TABLE a ADD CONSTRAINT x CHECK (current_query() <> '')", "ALTER TABLE a DROP CONSTRAINT x"},
		{"ALTER TABLE a ADD CONSTRAINT x CHECK (n |+| 1 > 0)", "ALTER TABLE a DROP CONSTRAINT x"},
		{"ALTER TABLE a ALTER n SET DEFAULT 4 |+| 5", "ALTER TABLE a ALTER n DROP DEFAULT"},
		{"ALTER TABLE a ADD CONSTRAINT x CHECK (n::d IS NOT NULL)", "ALTER TABLE a DROP CONSTRAINT x"},
		{"ALTER TABLE a ADD CONSTRAINT x CHECK ((n, id) < (5 |+| n, 7))", "ALTER TABLE a DROP CONSTRAINT x"},
		{"CREATE INDEX x ON a (g(n))", "DROP INDEX x"},
		{"CREATE INDEX x ON a (n) WHERE n |+| 1 > 0", "DROP INDEX x"},
		{"ALTER TABLE a ADD CONSTRAINT x EXCLUDE (n WITH =)", "ALTER TABLE a DROP CONSTRAINT x"},
		{"CREATE TABLE child (id int REFERENCES a ON DELETE CASCADE)", "DROP TABLE child"},
		{"CREATE TABLE child (id int REFERENCES a ON UPDATE SET NULL)", "DROP TABLE child"},
		{"ALTER TABLE a ADD COLUMN d d", "ALTER TABLE a DROP COLUMN d"},
		{"CREATE TABLE heir () INHERITS (a)", "DROP TABLE heir"},
	} {
		c.exec(t, step.heard, "s1")
		await(t, 5*time.Second, step.heard, func() bool { return !silent("a") })
		c.exec(t, step.silent, "s1")
		await(t, 5*time.Second, step.silent, func() bool { return silent("a") })
	}
}
