-- Statements without sharded tables.

SELECT 1;
--> home on s1, anywhere
SELECT now();
--> home on s1, anywhere
SELECT version(), current_database(), current_setting('search_path');
--> home on s1, anywhere
SELECT pg_sleep(1);
--> home on s1, anywhere
SELECT nextval('seq');
--> writes
--> home on s1
SELECT pg_advisory_lock(42);
--> pins lock, writes
--> home on s1
SELECT pg_try_advisory_lock(42);
--> pins lock, writes
--> home on s1
SELECT pg_advisory_xact_lock(42);
--> writes
--> home on s1
SELECT pg_notify('a', 'b');
--> writes
--> home on s1
SELECT lo_create(0);
--> writes
--> home on s1
SELECT touch_orders();
--> writes
--> home on s1
SELECT plain_fn();
--> home on s1
SELECT unknown_function();
--> writes
--> home on s1
SELECT 'orders'::regclass;
--> home on s1
SELECT to_regclass('orders');
--> home on s1
SELECT pg_relation_size('orders');
--> refused (unsupported): function "pg_relation_size" would tell of one shard only
-->   detail: The rows of table "orders" are on several shards.
-->   hint: SHOW TABLES on the console has the sums of all shards, or ask each shard: /* pgring: shard=… */ before the statement.
SELECT * FROM settings;
--> home on s1
SELECT * FROM settings s JOIN logs l ON l.id = s.id;
--> home on s1
SELECT * FROM settings s JOIN faraway f ON f.id = s.id;
--> refused (unsupported): statement needs tables of several shards
-->   detail: Home tables of the statement are on different shards.
-->   hint: Query them one by one.
SELECT * FROM faraway;
--> home on s3
SELECT * FROM settings, countries;
--> home on s1
SELECT * FROM settings_view;
--> home on s1
SELECT * FROM orders_stored;
--> home on s1
SELECT * FROM countries_view;
--> home on s1
SELECT * FROM nowhere WHERE id = 42;
--> home on s1
SELECT * FROM pg_class WHERE relname = 'orders';
--> home on s1
SELECT * FROM pg_catalog.pg_tables;
--> home on s1
SELECT * FROM information_schema.tables;
--> home on s1
SELECT count(*) FROM pg_stat_activity;
--> home on s1
SELECT * FROM settings FOR UPDATE;
--> writes
--> home on s1
SELECT * FROM generate_series(1, 3);
--> home on s1, anywhere
VALUES (1), (2);
--> home on s1, anywhere
SELECT * FROM countries;
--> reference on s1
SELECT * FROM countries c JOIN products p ON p.name = c.name ORDER BY c.name LIMIT 3;
--> reference on s1
SELECT nextval('seq') FROM countries;
--> writes
--> home on s1
SELECT * FROM countries FOR UPDATE;
--> writes
--> home on s1
SELECT touch_orders() FROM countries;
--> writes
--> home on s1
SELECT EXISTS (SELECT 1 FROM countries WHERE code = 'de');
--> reference on s1

-- temp: the session has temporary tables orders and scratch.
SELECT * FROM orders;
--> home on s1
-- temp: a schema leads past them.
SELECT * FROM public.orders WHERE user_id = 42;
--> one on s3
-- temp: one of the session's own.
SELECT * FROM scratch;
--> home on s1

CREATE TEMP TABLE scratch (id int);
--> pins temp, defines
--> home on s1
CREATE TEMP TABLE orders (id int);
--> pins temp, defines
--> refused (invalid definition): cannot create a temporary table named "orders"
-->   detail: It would hide the sharded table of that name.
-->   hint: Choose another name.
CREATE TABLE pg_temp.scratch (id int);
--> pins temp, defines
--> home on s1
CREATE TEMP TABLE scratch AS SELECT * FROM settings;
--> pins temp, defines
--> home on s1
SELECT * INTO TEMP scratch FROM settings;
--> pins temp, defines
--> home on s1
SELECT * INTO copied FROM settings;
--> defines
--> home on s1
SELECT * INTO copied FROM orders WHERE user_id = 1;
--> defines
--> pull in parts on s4 for s1
--> sends SELECT * INTO copied FROM (SELECT c1 AS "id", c2 AS "user_id", c3 AS "total", c4 AS "status", c5 AS "created", c6 AS "product_id" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) orders WHERE user_id = 1
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, (NULL::"public"."orders")."id" AS c1, (NULL::"public"."orders")."user_id" AS c2, (NULL::"public"."orders")."total" AS c3, (NULL::"public"."orders")."status" AS c4, (NULL::"public"."orders")."created" AS c5, (NULL::"public"."orders")."product_id" AS c6 WITH NO DATA
--> s4 gets SELECT 0::pg_catalog.int2, "id", "user_id", "total", "status", "created", "product_id" FROM "public"."orders" AS "orders" WHERE (user_id = 1) AND "orders"."user_id" OPERATOR(pg_catalog.=) ANY ('{1}'::pg_catalog.int8[])
SELECT * INTO copied FROM orders WHERE user_id = 42;
--> defines
--> pull in parts on s3 for s1
--> sends SELECT * INTO copied FROM (SELECT c1 AS "id", c2 AS "user_id", c3 AS "total", c4 AS "status", c5 AS "created", c6 AS "product_id" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) orders WHERE user_id = 42
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, (NULL::"public"."orders")."id" AS c1, (NULL::"public"."orders")."user_id" AS c2, (NULL::"public"."orders")."total" AS c3, (NULL::"public"."orders")."status" AS c4, (NULL::"public"."orders")."created" AS c5, (NULL::"public"."orders")."product_id" AS c6 WITH NO DATA
--> s3 gets SELECT 0::pg_catalog.int2, "id", "user_id", "total", "status", "created", "product_id" FROM "public"."orders" AS "orders" WHERE (user_id = 42) AND "orders"."user_id" OPERATOR(pg_catalog.=) ANY ('{42}'::pg_catalog.int8[])
SELECT * INTO copied FROM orders;
--> defines
--> pull in parts on s2 s3 s4 for s1
--> sends SELECT * INTO copied FROM (SELECT "id", "user_id", "total", "status", "created", "product_id" FROM "public"."orders" UNION ALL SELECT c1 AS "id", c2 AS "user_id", c3 AS "total", c4 AS "status", c5 AS "created", c6 AS "product_id" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) orders
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, (NULL::"public"."orders")."id" AS c1, (NULL::"public"."orders")."user_id" AS c2, (NULL::"public"."orders")."total" AS c3, (NULL::"public"."orders")."status" AS c4, (NULL::"public"."orders")."created" AS c5, (NULL::"public"."orders")."product_id" AS c6 WITH NO DATA
--> s2 s3 s4 gets SELECT 0::pg_catalog.int2, "id", "user_id", "total", "status", "created", "product_id" FROM "public"."orders"
CREATE TABLE copied AS SELECT * FROM countries;
--> defines
--> home on s1
CREATE TABLE orders AS SELECT * FROM settings;
--> defines
--> refused (invalid definition): cannot create a table from a query named "orders"
-->   detail: The name is declared as a sharded table.
-->   hint: Choose another name.
CREATE TEMP SEQUENCE counter;
--> pins temp, defines
--> home on s1
CREATE TEMP VIEW peek AS SELECT * FROM settings;
--> pins temp, defines
--> home on s1
DO $$ BEGIN PERFORM 1; END $$;
--> writes
--> home on s1
CALL maintenance();
--> writes
--> home on s1
LOAD 'auto_explain';
--> pins library
--> home on s1
