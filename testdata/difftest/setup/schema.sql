-- The schema of the differential tests, made through pgring on three shards and directly on single servers. Types come first.
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE DOMAIN rating AS int CHECK (VALUE BETWEEN 0 AND 10);
CREATE TYPE point2 AS (x int, y int);
CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 2 * n';

-- Sharded by bigint, three tables side by side.
CREATE TABLE people (
  id bigint PRIMARY KEY, name text, nick text COLLATE "C", code char(4), email varchar(30), age int, grade smallint,
  height double precision, weight real, balance numeric(12,2), score numeric, active boolean, born date, seen timestamp,
  joined timestamptz, span interval, tag uuid, pic bytea, prefs jsonb, raw json, nums int[], words text[], mood mood,
  stars rating, years int4range, addr inet, boss bigint);
CREATE TABLE orders (
  person_id bigint NOT NULL REFERENCES people, id int NOT NULL, item text, qty int DEFAULT 1, price numeric, status mood DEFAULT 'ok',
  placed timestamptz, note text, sku int, PRIMARY KEY (person_id, id));
CREATE TABLE lines (
  person_id bigint NOT NULL, order_id int NOT NULL, no int NOT NULL, sku int, amount numeric(8,2), weight double precision,
  PRIMARY KEY (person_id, order_id, no), FOREIGN KEY (person_id, order_id) REFERENCES orders);
-- Sharded by text, by uuid, by int with duplicate keys and rows, and one without rows.
CREATE TABLE accounts (login text PRIMARY KEY, owner bigint, credit numeric(10,2), level int, opened date, note varchar(20));
CREATE TABLE devices (id uuid PRIMARY KEY, owner bigint, label text, seen timestamptz, metrics double precision[]);
CREATE TABLE bag (k int NOT NULL, v text, n int, f double precision);
CREATE TABLE hollow (id bigint PRIMARY KEY, v text, n int);
-- Sharded by two columns, two tables side by side.
CREATE TABLE seats (hall bigint NOT NULL, place text NOT NULL, price numeric(8,2), taken boolean, holder bigint, since date, PRIMARY KEY (hall, place));
CREATE TABLE tickets (
  hall bigint NOT NULL, place text NOT NULL, no int NOT NULL, label text, paid numeric(8,2), PRIMARY KEY (place, hall, no));
-- Placed by ranges and by values.
CREATE TABLE ledger (account_id bigint NOT NULL, no int NOT NULL, amount numeric, memo text, PRIMARY KEY (account_id, no));
CREATE TABLE invoices (country text NOT NULL, no int NOT NULL, total numeric(10,2), paid boolean, PRIMARY KEY (country, no));
-- On every shard.
CREATE TABLE countries (code text PRIMARY KEY, name text NOT NULL, people bigint, area double precision);
CREATE TABLE products (sku int PRIMARY KEY, name text, price numeric, kind mood, parent int);
-- On the first shard.
CREATE TABLE notes (id int PRIMARY KEY, person_id bigint, body text, written date);
CREATE TABLE settings (k text PRIMARY KEY, v jsonb, n int);

-- Views over the others.
CREATE VIEW adults AS SELECT id, name, age, mood, born FROM people WHERE age > 20;
CREATE VIEW spending (person_id, orders, items) AS SELECT person_id, count(*), sum(qty)::int FROM orders GROUP BY person_id;
CREATE VIEW noted AS SELECT a.id, a.name, n.body, n.written FROM adults a LEFT JOIN notes n ON n.person_id = a.id;
