--begin
CREATE TABLE plain_home (id int PRIMARY KEY, v text);
INSERT INTO plain_home VALUES (1, 'a'), (2, 'b');
SELECT * FROM plain_home ORDER BY id;
ALTER TABLE plain_home ADD COLUMN w int DEFAULT 7;
SELECT * FROM plain_home ORDER BY id;
DROP TABLE plain_home;
SELECT * FROM plain_home;
--end
--begin
CREATE TABLE with_serial (id serial PRIMARY KEY, v text);
INSERT INTO with_serial (v) VALUES ('a'), ('b') RETURNING id;
SELECT currval('with_serial_id_seq');
DROP TABLE with_serial;
--end
--begin
ALTER TABLE bag ADD COLUMN extra int DEFAULT 5;
SELECT * FROM bag WHERE k = 9;
SELECT sum(extra) FROM bag;
INSERT INTO bag (k, extra) VALUES (3, 6) RETURNING *;
ALTER TABLE bag RENAME COLUMN extra TO more;
SELECT more FROM bag WHERE k = 3;
ALTER TABLE bag ALTER COLUMN more TYPE text;
SELECT more FROM bag WHERE k = 3;
ALTER TABLE bag DROP COLUMN more;
SELECT * FROM bag WHERE k = 9;
--end
--begin
CREATE INDEX bag_v ON bag (v);
CREATE INDEX IF NOT EXISTS bag_v ON bag (v);
SELECT indexname FROM pg_indexes WHERE tablename = 'bag';
DROP INDEX bag_v;
DROP INDEX bag_v;
DROP INDEX IF EXISTS bag_v;
--end
--begin
CREATE INDEX CONCURRENTLY bag_n ON bag (n);
DROP INDEX CONCURRENTLY bag_n;
--end
--begin
CREATE UNIQUE INDEX hollow_v ON hollow (v);
DROP INDEX hollow_v;
--end
--begin
CREATE UNIQUE INDEX hollow_iv ON hollow (id, v);
DROP INDEX hollow_iv;
--end
--begin
ALTER TABLE bag ADD CONSTRAINT positive CHECK (k > 0);
INSERT INTO bag (k) VALUES (-1);
ALTER TABLE bag DROP CONSTRAINT positive;
--end
ALTER TABLE bag ADD CONSTRAINT negative CHECK (k < 0);
ALTER TABLE bag ALTER COLUMN n SET NOT NULL;
--begin
ALTER TABLE bag ALTER COLUMN n SET DEFAULT 3;
INSERT INTO bag (k) VALUES (3) RETURNING n;
ALTER TABLE bag ALTER COLUMN n DROP DEFAULT;
--end
ALTER TABLE bag DROP COLUMN missing;
ALTER TABLE bag DROP COLUMN IF EXISTS missing;
ALTER TABLE missing ADD COLUMN x int;
ALTER TABLE IF EXISTS missing ADD COLUMN x int;
--begin
CREATE TABLE people (id int);
CREATE TABLE IF NOT EXISTS people (id int);
--end
--begin
CREATE TABLE IF NOT EXISTS people (id int);
DROP TABLE IF EXISTS missing;
--end
--begin
CREATE VIEW grown AS SELECT id, name FROM people WHERE age > 30;
SELECT * FROM grown;
SELECT count(*) FROM grown;
SELECT * FROM grown WHERE id = 4;
DROP VIEW grown;
--end
--begin
CREATE VIEW cheap AS SELECT sku, name FROM products WHERE price < 10;
SELECT * FROM cheap;
SELECT o.id, c.name FROM orders o JOIN cheap c ON c.sku = o.sku;
DROP VIEW cheap;
--end
--begin
CREATE VIEW note_count AS SELECT count(*) AS n FROM notes;
SELECT * FROM note_count;
DROP VIEW note_count;
--end
--begin
CREATE TYPE color AS ENUM ('red', 'green');
ALTER TYPE color ADD VALUE 'blue' AFTER 'red';
ALTER TABLE hollow ADD COLUMN c color;
INSERT INTO hollow (id, c) VALUES (1, 'blue') RETURNING c;
SELECT id FROM hollow WHERE c > 'red';
INSERT INTO hollow (id, c) VALUES (3, 'pink');
ALTER TABLE hollow DROP COLUMN c;
DROP TYPE color;
--end
--begin
CREATE FUNCTION thrice(n int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 3 * n';
SELECT thrice(2);
SELECT id, thrice(age) FROM people WHERE id = 3;
SELECT sum(thrice(age)) FROM people;
CREATE OR REPLACE FUNCTION thrice(n int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 4 * n';
SELECT id, thrice(age) FROM people WHERE id = 4;
DROP FUNCTION thrice(int);
SELECT thrice(2);
--end
--begin
CREATE SEQUENCE counter;
SELECT nextval('counter'), nextval('counter');
ALTER SEQUENCE counter RESTART;
SELECT nextval('counter');
DROP SEQUENCE counter;
--end
--begin
CREATE SCHEMA extra;
CREATE TABLE extra.t (id int);
INSERT INTO extra.t VALUES (1);
SELECT * FROM extra.t;
DROP SCHEMA extra;
DROP SCHEMA extra CASCADE;
--end
--begin
COMMENT ON TABLE bag IS 'a bag';
SELECT obj_description('bag'::regclass);
COMMENT ON COLUMN bag.k IS 'its key';
COMMENT ON TABLE bag IS NULL;
--end
--begin
CREATE TABLE made AS SELECT sku, name FROM products;
SELECT count(*) FROM made;
DROP TABLE made;
--end
--begin
CREATE TABLE made AS SELECT id, name FROM people;
SELECT count(*) FROM made;
DROP TABLE made;
--end
--begin
SELECT id, name INTO made FROM people WHERE id = 3;
SELECT * FROM made;
DROP TABLE made;
--end
--begin
CREATE TEMP TABLE scratch (id bigint, v text);
INSERT INTO scratch VALUES (1, 'a'), (3, 'b');
SELECT * FROM scratch ORDER BY id;
SELECT s.v, p.name FROM scratch s JOIN people p ON p.id = s.id;
DROP TABLE scratch;
--end
--begin
CREATE MATERIALIZED VIEW totals AS SELECT kind, count(*) FROM products GROUP BY kind;
SELECT * FROM totals;
REFRESH MATERIALIZED VIEW totals;
DROP MATERIALIZED VIEW totals;
--end
--begin
CREATE MATERIALIZED VIEW totals AS SELECT age, count(*) FROM people GROUP BY age;
DROP MATERIALIZED VIEW totals;
--end
--begin
ALTER TABLE notes ADD COLUMN n int;
UPDATE notes SET n = 1 WHERE id = 1 RETURNING n;
ALTER TABLE notes DROP COLUMN n;
--end
--begin
BEGIN;
CREATE TABLE in_block (id int);
INSERT INTO in_block VALUES (1);
SELECT * FROM in_block;
ROLLBACK;
SELECT * FROM in_block;
--end
--begin
BEGIN;
ALTER TABLE bag ADD COLUMN extra int;
ALTER TABLE bag DROP COLUMN extra;
COMMIT;
--end
--begin
ALTER TABLE bag ADD FOREIGN KEY (n) REFERENCES products;
ALTER TABLE bag DROP CONSTRAINT bag_n_fkey;
--end
ALTER TABLE orders ADD FOREIGN KEY (person_id) REFERENCES missing;
--begin
ALTER TABLE lines ADD CONSTRAINT lines_person FOREIGN KEY (person_id) REFERENCES people;
ALTER TABLE lines DROP CONSTRAINT lines_person;
--end
--begin
ALTER TABLE accounts ADD FOREIGN KEY (owner) REFERENCES people;
ALTER TABLE accounts DROP CONSTRAINT accounts_owner_fkey;
--end
VACUUM bag;
ANALYZE bag;
VACUUM ANALYZE people;
ANALYZE;
REINDEX TABLE bag;
CLUSTER people USING people_pkey;
GRANT SELECT ON bag TO PUBLIC;
REVOKE SELECT ON bag FROM PUBLIC;
LOCK TABLE bag;
--begin
BEGIN;
LOCK TABLE bag IN SHARE MODE;
COMMIT;
--end
DROP TABLE missing;
DROP TYPE missing;
DROP TABLE people;
CREATE TABLE people (id int);
CREATE TABLE broken (id int, id int);
CREATE EXTENSION missing_extension;
DO $$ BEGIN PERFORM 1; END $$;
DO $$ BEGIN RAISE NOTICE 'hello'; END $$;
CREATE TRIGGER missing AFTER INSERT ON bag FOR EACH ROW EXECUTE FUNCTION missing();
SELECT table_name FROM information_schema.tables WHERE table_schema = 'public';
SELECT column_name, data_type, is_nullable FROM information_schema.columns WHERE table_name = 'people' ORDER BY ordinal_position;
SELECT conname, contype FROM pg_constraint WHERE conrelid = 'orders'::regclass ORDER BY conname;
SELECT relname, relkind FROM pg_class WHERE relname IN ('people', 'orders', 'notes') ORDER BY 1;
SELECT typname, typtype FROM pg_type WHERE typname IN ('mood', 'rating', 'point2') ORDER BY 1;
SELECT enumlabel FROM pg_enum e JOIN pg_type t ON t.oid = e.enumtypid WHERE typname = 'mood' ORDER BY enumsortorder;
SELECT enum_range(NULL::mood)::text;
SELECT to_regclass('people') IS NOT NULL, to_regclass('missing');
--begin
CREATE TABLE made AS SELECT mood, count(*) AS n, avg(age) AS a, min(born) AS b FROM people GROUP BY mood;
SELECT * FROM made ORDER BY mood;
INSERT INTO made SELECT 'sad', 1, 2, NULL;
SELECT sum(n) FROM made;
DROP TABLE made;
--end
--begin
CREATE TABLE IF NOT EXISTS made (a, b) AS SELECT id, stars FROM people WHERE id > 3 WITH DATA;
SELECT * FROM made ORDER BY a;
CREATE TABLE IF NOT EXISTS made AS SELECT login FROM accounts;
DROP TABLE made;
--end
--begin
CREATE TABLE made AS SELECT id, name, height FROM people WITH NO DATA;
SELECT * FROM made;
DROP TABLE made;
--end
CREATE TABLE made AS SELECT wrong FROM people;
