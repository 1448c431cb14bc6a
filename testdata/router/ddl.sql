-- CREATE TABLE.

CREATE TABLE notes (id serial PRIMARY KEY, body text);
--> defines
--> home on s1
CREATE TABLE planned (tenant_id bigint NOT NULL, id bigint, PRIMARY KEY (tenant_id, id));
--> defines
--> broadcast on s1 s2 s3 s4
CREATE TABLE IF NOT EXISTS planned (tenant_id bigint PRIMARY KEY, v text DEFAULT 'x', CHECK (v <> ''));
--> defines
--> broadcast on s1 s2 s3 s4
CREATE TABLE planned (id bigint PRIMARY KEY);
--> defines
--> refused (invalid definition): a unique constraint on sharded table "planned" must contain the shard key
-->   detail: Each shard sees its own rows only, so without "tenant_id" the same values could be on two shards.
-->   hint: Add "tenant_id" to its columns.
CREATE TABLE planned (tenant_id bigint, id bigint PRIMARY KEY);
--> defines
--> refused (invalid definition): a unique constraint on sharded table "planned" must contain the shard key
-->   detail: Each shard sees its own rows only, so without "tenant_id" the same values could be on two shards.
-->   hint: Add "tenant_id" to its columns.
CREATE TABLE planned (tenant_id bigint, id bigint UNIQUE);
--> defines
--> refused (invalid definition): a unique constraint on sharded table "planned" must contain the shard key
-->   detail: Each shard sees its own rows only, so without "tenant_id" the same values could be on two shards.
-->   hint: Add "tenant_id" to its columns.
CREATE TABLE planned (tenant_id bigint, id bigint, UNIQUE (id));
--> defines
--> refused (invalid definition): a unique constraint on sharded table "planned" must contain the shard key
-->   detail: Each shard sees its own rows only, so without "tenant_id" the same values could be on two shards.
-->   hint: Add "tenant_id" to its columns.
CREATE TABLE planned (tenant_id bigserial PRIMARY KEY);
--> defines
--> refused (invalid definition): column "tenant_id" of "planned" cannot take its values from a sequence
-->   detail: Each shard would count for itself, and the values would collide or differ between shards.
-->   hint: Use a type without a sequence (bigint, uuid) and give the values in INSERT.
CREATE TABLE planned (tenant_id bigint, id bigserial);
--> defines
--> refused (invalid definition): column "id" of "planned" cannot take its values from a sequence
-->   detail: Each shard would count for itself, and the values would collide or differ between shards.
-->   hint: Use a type without a sequence (bigint, uuid) and give the values in INSERT.
CREATE TABLE planned (tenant_id bigint, id bigint GENERATED ALWAYS AS IDENTITY);
--> defines
--> refused (invalid definition): column "id" of "planned" cannot take its values from a sequence
-->   detail: Each shard would count for itself, and the values would collide or differ between shards.
-->   hint: Use a type without a sequence (bigint, uuid) and give the values in INSERT.
CREATE TABLE planned (tenant_id bigint, id bigint DEFAULT nextval('s'));
--> defines
--> refused (invalid definition): column "id" of "planned" cannot take its values from a sequence
-->   detail: Each shard would count for itself, and the values would collide or differ between shards.
-->   hint: Use a type without a sequence (bigint, uuid) and give the values in INSERT.
CREATE TABLE planned (tenant_id bigint GENERATED ALWAYS AS (1) STORED);
--> defines
--> refused (invalid definition): the shard key "tenant_id" cannot be a generated column
-->   detail: pgring places rows by the value that an INSERT gives.
-->   hint: Make it a plain column.
CREATE TABLE planned (tenant_id date);
--> defines
--> refused (invalid definition): column "tenant_id" cannot be a shard key of type date
-->   detail: Table "planned" is declared as sharded by it.
-->   hint: Use an integer type, text, varchar, uuid, timestamp, numeric or bytea.
CREATE TABLE planned (tenant_id bigint REFERENCES customers (id));
--> defines
--> broadcast on s1 s2 s3 s4
CREATE TABLE planned (tenant_id bigint, c text REFERENCES countries);
--> defines
--> broadcast on s1 s2 s3 s4
CREATE TABLE planned (tenant_id bigint, s int REFERENCES settings (id));
--> defines
--> refused (invalid definition): a foreign key of "planned" cannot reference "settings"
-->   detail: It would lead to "settings", which is on one shard only.
-->   hint: Leave the foreign key out, or declare the tables so that they live together.
CREATE TABLE planned (tenant_id bigint, d uuid REFERENCES docs (id));
--> defines
--> refused (invalid definition): a foreign key of "planned" cannot reference "docs"
-->   detail: It would lead to "docs", which is not in its colocation group.
-->   hint: Leave the foreign key out, or declare the tables so that they live together.
CREATE TABLE planned (tenant_id bigint, order_id bigint, FOREIGN KEY (tenant_id, order_id) REFERENCES orders (user_id, id));
--> defines
--> broadcast on s1 s2 s3 s4
CREATE TABLE planned (tenant_id bigint, order_id bigint, FOREIGN KEY (tenant_id, order_id) REFERENCES orders);
--> defines
--> broadcast on s1 s2 s3 s4
CREATE TABLE planned (tenant_id bigint, order_id bigint REFERENCES orders (id));
--> defines
--> refused (invalid definition): a foreign key of sharded table "planned" must contain both shard keys
-->   detail: Otherwise the row referred to may be on another shard.
-->   hint: Reference "user_id" with "tenant_id" among the columns.
CREATE TABLE planned (tenant_id bigint, up bigint, PRIMARY KEY (tenant_id), FOREIGN KEY (up) REFERENCES planned (tenant_id));
--> defines
--> refused (invalid definition): a foreign key of sharded table "planned" must contain both shard keys
-->   detail: Otherwise the row referred to may be on another shard.
-->   hint: Reference "tenant_id" with "tenant_id" among the columns.
CREATE TABLE planned (tenant_id bigint, EXCLUDE USING gist (tenant_id WITH =, span WITH &&));
--> defines
--> broadcast on s1 s2 s3 s4
CREATE TABLE planned (tenant_id bigint, EXCLUDE USING gist (span WITH &&));
--> defines
--> refused (invalid definition): an exclusion constraint on sharded table "planned" must contain the shard key
-->   detail: Each shard sees its own rows only, so without "tenant_id" the same values could be on two shards.
-->   hint: Add "tenant_id" to its columns.
CREATE TABLE planned (LIKE orders INCLUDING ALL);
--> defines
--> broadcast on s1 s2 s3 s4
CREATE TABLE planned (LIKE settings);
--> defines
--> refused (unsupported): a sharded table cannot be LIKE a home table
-->   detail: Table "settings" is on one shard only.
-->   hint: Write the columns.
CREATE TABLE planned_ref (id int PRIMARY KEY, c text REFERENCES countries);
--> defines
--> broadcast on s1 s2 s3 s4
CREATE TABLE planned_ref (id serial PRIMARY KEY);
--> defines
--> refused (invalid definition): column "id" of "planned_ref" cannot take its values from a sequence
-->   detail: Each shard would count for itself, and the values would collide or differ between shards.
-->   hint: Use a type without a sequence (bigint, uuid) and give the values in INSERT.
CREATE TABLE planned_ref (id int REFERENCES settings (id));
--> defines
--> refused (invalid definition): a foreign key of "planned_ref" cannot reference "settings"
-->   detail: It would lead to "settings", which is on one shard only.
-->   hint: Leave the foreign key out, or declare the tables so that they live together.
CREATE TABLE child PARTITION OF orders FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
--> defines
--> broadcast on s1 s2 s3 s4
CREATE TABLE child () INHERITS (settings);
--> defines
--> home on s1
CREATE TABLE notes (id int REFERENCES customers (id));
--> defines
--> refused (invalid definition): a foreign key of "notes" cannot reference "customers"
-->   detail: It would lead to "customers", whose rows are on several shards.
-->   hint: Leave the foreign key out, or declare the tables so that they live together.
CREATE TABLE notes (id int REFERENCES settings (id), c text REFERENCES countries);
--> defines
--> home on s1
CREATE TABLE other.notes (id int);
--> defines
--> home on s1

-- Indexes and ALTER TABLE.
CREATE INDEX ON customers (name);
--> defines
--> broadcast on s1 s2 s3 s4
CREATE INDEX CONCURRENTLY i ON customers (name);
--> outside transactions, defines
--> broadcast on s1 s2 s3 s4
CREATE UNIQUE INDEX ON customers (name);
--> defines
--> refused (invalid definition): a unique index on sharded table "customers" must contain the shard key
-->   detail: Each shard sees its own rows only, so without "id" the same values could be on two shards.
-->   hint: Add "id" to its columns.
CREATE UNIQUE INDEX ON orders (user_id, status);
--> defines
--> broadcast on s1 s2 s3 s4
CREATE UNIQUE INDEX ON customers (lower(name), id);
--> defines
--> broadcast on s1 s2 s3 s4
CREATE UNIQUE INDEX ON countries (name);
--> defines
--> broadcast on s1 s2 s3 s4
CREATE UNIQUE INDEX ON settings (v);
--> defines
--> home on s1
DROP INDEX i;
--> defines
--> broadcast in parts on s1 s2 s3 s4
--> s2 gets DROP INDEX IF EXISTS i
--> s3 gets DROP INDEX IF EXISTS i
--> s4 gets DROP INDEX IF EXISTS i
DROP INDEX IF EXISTS i;
--> defines
--> broadcast on s1 s2 s3 s4
DROP INDEX CONCURRENTLY i;
--> outside transactions, defines
--> broadcast in parts on s1 s2 s3 s4
--> s2 gets DROP INDEX CONCURRENTLY IF EXISTS i
--> s3 gets DROP INDEX CONCURRENTLY IF EXISTS i
--> s4 gets DROP INDEX CONCURRENTLY IF EXISTS i
ALTER INDEX i RENAME TO j;
--> defines
--> broadcast in parts on s1 s2 s3 s4
--> s2 gets ALTER INDEX IF EXISTS i RENAME TO j
--> s3 gets ALTER INDEX IF EXISTS i RENAME TO j
--> s4 gets ALTER INDEX IF EXISTS i RENAME TO j
ALTER INDEX i SET (fillfactor = 50);
--> defines
--> broadcast in parts on s1 s2 s3 s4
--> s2 gets ALTER INDEX IF EXISTS i SET (fillfactor=50)
--> s3 gets ALTER INDEX IF EXISTS i SET (fillfactor=50)
--> s4 gets ALTER INDEX IF EXISTS i SET (fillfactor=50)
REINDEX TABLE customers;
--> writes
--> broadcast on s1 s2 s3 s4
REINDEX TABLE CONCURRENTLY customers;
--> outside transactions, writes
--> broadcast on s1 s2 s3 s4
REINDEX INDEX i;
--> writes
--> refused (unsupported): REINDEX INDEX is not supported
-->   detail: pgring does not know which table the index belongs to.
-->   hint: Use REINDEX TABLE.
REINDEX SCHEMA public;
--> outside transactions, writes
--> broadcast on s1 s2 s3 s4
CLUSTER customers USING customers_pkey;
--> writes
--> broadcast on s1 s2 s3 s4
ALTER TABLE customers ADD COLUMN age int;
--> defines
--> broadcast on s1 s2 s3 s4
ALTER TABLE customers ADD COLUMN n serial;
--> defines
--> refused (invalid definition): column "n" of "customers" cannot take its values from a sequence
-->   detail: Each shard would count for itself, and the values would collide or differ between shards.
-->   hint: Use a type without a sequence (bigint, uuid) and give the values in INSERT.
ALTER TABLE customers ADD COLUMN n int UNIQUE;
--> defines
--> refused (invalid definition): a unique constraint on sharded table "customers" must contain the shard key
-->   detail: Each shard sees its own rows only, so without "id" the same values could be on two shards.
-->   hint: Add "id" to its columns.
ALTER TABLE customers DROP COLUMN name;
--> defines
--> broadcast on s1 s2 s3 s4
ALTER TABLE customers DROP COLUMN id;
--> defines
--> refused (invalid definition): the shard key "id" cannot be dropped
-->   detail: The rows of "customers" are placed by it.
-->   hint: Declare another table with the columns you need and copy the rows.
ALTER TABLE customers ALTER COLUMN id TYPE text;
--> defines
--> refused (invalid definition): the shard key "id" cannot be given another type
-->   detail: The rows of "customers" are placed by it.
-->   hint: Declare another table with the columns you need and copy the rows.
ALTER TABLE customers ALTER COLUMN id SET DEFAULT nextval('s');
--> defines
--> refused (invalid definition): column "id" of "customers" cannot take its values from a sequence
-->   detail: Each shard would count for itself, and the values would collide or differ between shards.
-->   hint: Use a type without a sequence (bigint, uuid) and give the values in INSERT.
ALTER TABLE customers ALTER COLUMN name SET DEFAULT 'x';
--> defines
--> broadcast on s1 s2 s3 s4
ALTER TABLE customers ALTER COLUMN score TYPE numeric;
--> defines
--> broadcast on s1 s2 s3 s4
ALTER TABLE customers ADD PRIMARY KEY (id);
--> defines
--> broadcast on s1 s2 s3 s4
ALTER TABLE customers ADD CONSTRAINT u UNIQUE (name);
--> defines
--> refused (invalid definition): a unique constraint on sharded table "customers" must contain the shard key
-->   detail: Each shard sees its own rows only, so without "id" the same values could be on two shards.
-->   hint: Add "id" to its columns.
ALTER TABLE customers ADD CONSTRAINT u UNIQUE USING INDEX i;
--> defines
--> broadcast on s1 s2 s3 s4
ALTER TABLE orders ADD FOREIGN KEY (user_id) REFERENCES customers (id);
--> defines
--> broadcast on s1 s2 s3 s4
ALTER TABLE orders ADD FOREIGN KEY (user_id) REFERENCES customers;
--> defines
--> broadcast on s1 s2 s3 s4
ALTER TABLE orders ADD FOREIGN KEY (id) REFERENCES customers (id);
--> defines
--> refused (invalid definition): a foreign key of sharded table "orders" must contain both shard keys
-->   detail: Otherwise the row referred to may be on another shard.
-->   hint: Reference "id" with "user_id" among the columns.
ALTER TABLE orders ADD FOREIGN KEY (product_id) REFERENCES products (id);
--> defines
--> broadcast on s1 s2 s3 s4
ALTER TABLE orders ATTACH PARTITION notes FOR VALUES IN (1);
--> defines
--> refused (unsupported): attaching and detaching partitions of sharded and reference tables is not supported
-->   detail: A table's rows are where its parent's are, and a detached one would be taken for a home table.
-->   hint: Use CREATE TABLE … PARTITION OF, and DROP TABLE.
ALTER TABLE orders DETACH PARTITION orders_2024;
--> defines
--> refused (unsupported): attaching and detaching partitions of sharded and reference tables is not supported
-->   detail: A table's rows are where its parent's are, and a detached one would be taken for a home table.
-->   hint: Use CREATE TABLE … PARTITION OF, and DROP TABLE.
ALTER TABLE orders_2024 NO INHERIT orders;
--> defines
--> refused (unsupported): changing the inheritance of sharded and reference tables is not supported
-->   detail: A table's rows are where its parent's are.
-->   hint: Create the child with INHERITS.
ALTER TABLE customers RENAME TO clients;
--> defines
--> refused (invalid definition): table "customers" cannot be renamed or moved to another schema
-->   detail: It is declared as a sharded table by its name.
-->   hint: Declare a table of the new name and copy the rows.
ALTER TABLE customers RENAME COLUMN id TO key;
--> defines
--> refused (invalid definition): the shard key "id" cannot be renamed
-->   detail: The rows of "customers" are placed by it.
-->   hint: Declare another table with the columns you need and copy the rows.
ALTER TABLE customers RENAME COLUMN name TO label;
--> defines
--> broadcast on s1 s2 s3 s4
ALTER TABLE customers SET SCHEMA other;
--> defines
--> refused (invalid definition): table "customers" cannot be renamed or moved to another schema
-->   detail: It is declared as a sharded table by its name.
-->   hint: Declare a table of the new name and copy the rows.
ALTER TABLE customers OWNER TO admin;
--> defines
--> broadcast on s1 s2 s3 s4
ALTER TABLE settings RENAME TO options;
--> defines
--> home on s1
ALTER TABLE settings ADD COLUMN n serial;
--> defines
--> home on s1
ALTER TABLE IF EXISTS nowhere ADD COLUMN n int;
--> defines
--> home on s1
ALTER SCHEMA other RENAME TO another;
--> defines
--> refused (invalid definition): table "other.orders" cannot be renamed or moved to another schema
-->   detail: It is declared as a sharded table by its name.
-->   hint: Declare a table of the new name and copy the rows.
ALTER SCHEMA unused RENAME TO used;
--> defines
--> broadcast on s1 s2 s3 s4
ALTER TABLE customers ENABLE ROW LEVEL SECURITY;
--> defines
--> broadcast on s1 s2 s3 s4
CREATE POLICY p ON customers USING (country IN (SELECT code FROM countries));
--> defines
--> broadcast on s1 s2 s3 s4
CREATE POLICY p ON customers USING (id IN (SELECT user_id FROM orders));
--> defines
--> refused (unsupported): policy reads a table that is not a reference table
-->   detail: On each shard it would see that shard's rows of "orders" only.
CREATE TRIGGER t BEFORE INSERT ON customers FOR EACH ROW EXECUTE FUNCTION f();
--> defines
--> broadcast on s1 s2 s3 s4
DROP TRIGGER t ON customers;
--> defines
--> broadcast on s1 s2 s3 s4
CREATE RULE r AS ON INSERT TO customers DO INSTEAD NOTHING;
--> defines
--> refused (unsupported): rules on sharded and reference tables are not supported
-->   detail: A rule would turn a statement into others that pgring does not see.
-->   hint: Use a trigger.
CREATE STATISTICS s ON name, country FROM customers;
--> defines
--> broadcast on s1 s2 s3 s4
COMMENT ON TABLE customers IS 'x';
--> defines
--> broadcast on s1 s2 s3 s4
COMMENT ON COLUMN customers.name IS 'x';
--> defines
--> broadcast on s1 s2 s3 s4
COMMENT ON COLUMN settings.v IS 'x';
--> defines
--> home on s1

-- Lists.
DROP TABLE customers;
--> defines
--> broadcast on s1 s2 s3 s4
DROP TABLE IF EXISTS settings, customers, faraway;
--> defines
--> broadcast in parts on s1 s2 s3 s4
--> s1 gets DROP TABLE IF EXISTS settings, customers
--> s2 gets DROP TABLE IF EXISTS customers
--> s3 gets DROP TABLE IF EXISTS customers, faraway
--> s4 gets DROP TABLE IF EXISTS customers
DROP TABLE settings, logs;
--> defines
--> home on s1
DROP TABLE customers, orders CASCADE;
--> defines
--> broadcast on s1 s2 s3 s4
DROP TABLE other.orders;
--> defines
--> broadcast on s1 s2 s3 s4
TRUNCATE customers;
--> writes
--> broadcast on s1 s2 s3 s4
TRUNCATE customers, settings RESTART IDENTITY CASCADE;
--> writes
--> broadcast in parts on s1 s2 s3 s4
--> s2 gets TRUNCATE customers RESTART IDENTITY CASCADE
--> s3 gets TRUNCATE customers RESTART IDENTITY CASCADE
--> s4 gets TRUNCATE customers RESTART IDENTITY CASCADE
TRUNCATE countries;
--> writes
--> broadcast on s1 s2 s3 s4
TRUNCATE settings;
--> writes
--> home on s1
VACUUM;
--> outside transactions, writes
--> broadcast on s1 s2 s3 s4
VACUUM (ANALYZE) customers;
--> outside transactions, writes
--> broadcast on s1 s2 s3 s4
VACUUM customers, settings;
--> outside transactions, writes
--> broadcast in parts on s1 s2 s3 s4
--> s2 gets VACUUM customers
--> s3 gets VACUUM customers
--> s4 gets VACUUM customers
ANALYZE;
--> writes
--> broadcast on s1 s2 s3 s4
ANALYZE customers (name), faraway;
--> writes
--> broadcast in parts on s1 s2 s3 s4
--> s1 gets ANALYZE customers(name)
--> s2 gets ANALYZE customers(name)
--> s4 gets ANALYZE customers(name)
LOCK TABLE customers IN EXCLUSIVE MODE;
--> writes
--> broadcast on s1 s2 s3 s4
LOCK TABLE settings;
--> writes
--> home on s1
GRANT SELECT ON customers TO reader;
--> defines
--> broadcast on s1 s2 s3 s4
GRANT SELECT ON customers, settings TO reader;
--> defines
--> broadcast in parts on s1 s2 s3 s4
--> s2 gets GRANT select ON customers TO reader
--> s3 gets GRANT select ON customers TO reader
--> s4 gets GRANT select ON customers TO reader
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM reader;
--> defines
--> broadcast on s1 s2 s3 s4
GRANT USAGE ON SCHEMA public TO reader;
--> defines
--> broadcast on s1 s2 s3 s4
GRANT EXECUTE ON FUNCTION f(int) TO reader;
--> defines
--> broadcast on s1 s2 s3 s4
GRANT USAGE ON SEQUENCE s TO reader;
--> defines
--> home on s1
GRANT CONNECT ON DATABASE d TO reader;
--> defines
--> refused (not on shards): granting privileges on databases, tablespaces and parameters is not done through pgring
-->   detail: It concerns a whole server or its databases, not the tables.
-->   hint: Do it on each server directly.
GRANT admin TO reader;
--> defines
--> refused (not on shards): managing roles is not done through pgring
-->   detail: It concerns a whole server or its databases, not the tables.
-->   hint: Do it on each server directly.

-- Objects.
CREATE TYPE mood AS ENUM ('sad', 'ok');
--> defines
--> broadcast on s1 s2 s3 s4
ALTER TYPE mood ADD VALUE 'happy';
--> defines
--> broadcast on s1 s2 s3 s4
CREATE TYPE pair AS (a int, b int);
--> defines
--> broadcast on s1 s2 s3 s4
CREATE DOMAIN positive AS int CHECK (value > 0);
--> defines
--> broadcast on s1 s2 s3 s4
DROP TYPE mood;
--> defines
--> broadcast in parts on s1 s2 s3 s4
--> s2 gets DROP TYPE IF EXISTS mood
--> s3 gets DROP TYPE IF EXISTS mood
--> s4 gets DROP TYPE IF EXISTS mood
DROP TYPE IF EXISTS mood;
--> defines
--> broadcast on s1 s2 s3 s4
CREATE SCHEMA other;
--> defines
--> broadcast on s1 s2 s3 s4
CREATE SCHEMA other CREATE TABLE t (id int);
--> defines
--> refused (unsupported): CREATE SCHEMA with elements is not supported
-->   detail: Its tables may belong on different shards.
-->   hint: Create the schema first, then its tables.
DROP SCHEMA other CASCADE;
--> defines
--> broadcast in parts on s1 s2 s3 s4
--> s2 gets DROP SCHEMA IF EXISTS other CASCADE
--> s3 gets DROP SCHEMA IF EXISTS other CASCADE
--> s4 gets DROP SCHEMA IF EXISTS other CASCADE
CREATE EXTENSION pgcrypto;
--> defines
--> broadcast on s1 s2 s3 s4
CREATE FUNCTION f(a int) RETURNS int LANGUAGE sql AS 'SELECT a';
--> defines
--> broadcast on s1 s2 s3 s4
CREATE OR REPLACE FUNCTION f(a int) RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT a; SELECT a + 1; END;
--> defines
--> broadcast on s1 s2 s3 s4
DROP FUNCTION f(int);
--> defines
--> broadcast in parts on s1 s2 s3 s4
--> s2 gets DROP FUNCTION IF EXISTS f(int)
--> s3 gets DROP FUNCTION IF EXISTS f(int)
--> s4 gets DROP FUNCTION IF EXISTS f(int)
CREATE SEQUENCE s;
--> defines
--> home on s1
ALTER SEQUENCE s RESTART;
--> defines
--> home on s1
DROP SEQUENCE s;
--> defines
--> home on s1
CREATE VIEW v AS SELECT * FROM settings;
--> defines
--> home on s1
CREATE OR REPLACE VIEW v AS SELECT * FROM settings JOIN countries ON true;
--> defines
--> home on s1
CREATE VIEW v AS SELECT * FROM orders;
--> defines
--> refused (unsupported): a view over sharded tables is not supported
-->   detail: A view is on one shard and would see that shard's rows only. It reads "orders".
-->   hint: Query the table itself.
CREATE VIEW orders AS SELECT * FROM settings;
--> defines
--> refused (invalid definition): cannot create a view named "orders"
-->   detail: The name is declared as a sharded table.
-->   hint: Choose another name.
CREATE MATERIALIZED VIEW m AS SELECT * FROM settings;
--> defines
--> home on s1
CREATE MATERIALIZED VIEW m AS SELECT * FROM orders;
--> defines
--> refused (unsupported): a materialized view of the rows of several shards is not supported
-->   detail: Its query would be run again on one shard whenever it is refreshed.
-->   hint: Use CREATE TABLE AS.
REFRESH MATERIALIZED VIEW orders_stored;
--> writes
--> refused (unsupported): a materialized view over sharded tables cannot be refreshed
-->   detail: It reads "orders", whose rows are on several shards.
-->   hint: Query the table itself.
DROP VIEW v;
--> defines
--> home on s1
CREATE FOREIGN TABLE ft (id int) SERVER s;
--> defines
--> home on s1
CREATE DATABASE d;
--> defines
--> refused (not on shards): managing databases is not done through pgring
-->   detail: It concerns a whole server or its databases, not the tables.
-->   hint: Do it on each server directly.
DROP DATABASE d;
--> defines
--> refused (not on shards): managing databases is not done through pgring
-->   detail: It concerns a whole server or its databases, not the tables.
-->   hint: Do it on each server directly.
CREATE ROLE r;
--> defines
--> refused (not on shards): managing roles is not done through pgring
-->   detail: It concerns a whole server or its databases, not the tables.
-->   hint: Do it on each server directly.
ALTER ROLE r SET search_path = public;
--> defines
--> refused (not on shards): managing roles is not done through pgring
-->   detail: It concerns a whole server or its databases, not the tables.
-->   hint: Do it on each server directly.
CREATE TABLESPACE ts LOCATION '/x';
--> defines
--> refused (not on shards): managing tablespaces is not done through pgring
-->   detail: It concerns a whole server or its databases, not the tables.
-->   hint: Do it on each server directly.
ALTER SYSTEM SET work_mem = '1MB';
--> defines
--> refused (not on shards): ALTER SYSTEM is not done through pgring
-->   detail: It concerns a whole server or its databases, not the tables.
-->   hint: Do it on each server directly.
CREATE PUBLICATION p FOR ALL TABLES;
--> defines
--> refused (not on shards): managing replication is not done through pgring
-->   detail: It concerns a whole server or its databases, not the tables.
-->   hint: Do it on each server directly.
CHECKPOINT;
--> defines
--> refused (not on shards): CHECKPOINT is not done through pgring
-->   detail: It concerns a whole server or its databases, not the tables.
-->   hint: Do it on each server directly.
SECURITY LABEL ON TABLE customers IS 'x';
--> defines
--> refused (unsupported): statement is not supported
-->   detail: pgring does not know on which shards it should run.
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO reader;
--> defines
--> broadcast on s1 s2 s3 s4
