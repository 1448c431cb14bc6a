-- Code that the router does not see into: user functions, views that call them, DO. It reads sharded tables by name, so it
-- may run only where keys pin the statement to one shard, or where one shard has the whole table.

SELECT orders_left();
--> refused (unsupported): function "orders_left" uses a sharded table
-->   detail: It names table "orders", whose rows are not all on the shard that it would run on.
-->   hint: Run the query in it as a statement of its own, or use it where one value of "user_id" pins the statement to a shard.
SELECT orders_deep();
--> refused (unsupported): function "orders_deep" uses a sharded table
-->   detail: It names table "orders", whose rows are not all on the shard that it would run on.
-->   hint: Run the query in it as a statement of its own, or use it where one value of "user_id" pins the statement to a shard.
SELECT public.orders_left() FROM countries;
--> refused (unsupported): function "orders_left" uses a sharded table
-->   detail: It names table "orders", whose rows are not all on the shard that it would run on.
-->   hint: Run the query in it as a statement of its own, or use it where one value of "user_id" pins the statement to a shard.
SELECT * FROM orders_left();
--> refused (unsupported): function "orders_left" uses a sharded table
-->   detail: It names table "orders", whose rows are not all on the shard that it would run on.
-->   hint: Run the query in it as a statement of its own, or use it where one value of "user_id" pins the statement to a shard.
SELECT orders_left() FROM settings;
--> refused (unsupported): function "orders_left" uses a sharded table
-->   detail: It names table "orders", whose rows are not all on the shard that it would run on.
-->   hint: Run the query in it as a statement of its own, or use it where one value of "user_id" pins the statement to a shard.
SELECT id FROM orders WHERE user_id = 42 AND id = orders_left();
--> one on s3
SELECT orders_left(), count(*) FROM orders WHERE user_id = NULL;
--> refused (unsupported): function "orders_left" uses a sharded table
-->   detail: It names table "orders", whose rows are not all on the shard that it would run on.
-->   hint: Run the query in it as a statement of its own, or use it where one value of "user_id" pins the statement to a shard.
SELECT orders_left() FROM orders;
--> refused (unsupported): function "orders_left" uses a sharded table
-->   detail: It names table "orders", whose rows are not all on the shard that it would run on.
-->   hint: Run the query in it as a statement of its own, or use it where one value of "user_id" pins the statement to a shard.
SELECT orders_left() FROM docs WHERE id = '00000000-0000-0000-0000-000000000001';
--> refused (unsupported): function "orders_left" uses a sharded table
-->   detail: It names table "orders", whose rows are not all on the shard that it would run on.
-->   hint: Run the query in it as a statement of its own, or use it where one value of "user_id" pins the statement to a shard.
SELECT orders_left() FROM solo_events;
--> refused (unsupported): function "orders_left" uses a sharded table
-->   detail: It names table "orders", whose rows are not all on the shard that it would run on.
-->   hint: Run the query in it as a statement of its own, or use it where one value of "user_id" pins the statement to a shard.
SELECT (SELECT orders_left()) FROM customers WHERE id = 42;
--> one on s3
INSERT INTO orders (id, user_id, total) VALUES (1, 42, orders_left());
--> writes
--> one on s3
INSERT INTO settings (id) SELECT orders_left();
--> writes
--> refused (unsupported): function "orders_left" uses a sharded table
-->   detail: It names table "orders", whose rows are not all on the shard that it would run on.
-->   hint: Run the query in it as a statement of its own, or use it where one value of "user_id" pins the statement to a shard.
UPDATE customers SET score = orders_left() WHERE id = 42;
--> writes
--> one on s3
UPDATE settings SET id = orders_left();
--> writes
--> refused (unsupported): function "orders_left" uses a sharded table
-->   detail: It names table "orders", whose rows are not all on the shard that it would run on.
-->   hint: Run the query in it as a statement of its own, or use it where one value of "user_id" pins the statement to a shard.
DELETE FROM countries WHERE code = orders_left()::text;
--> writes
--> refused (unsupported): write to reference table "countries" may differ between shards
-->   detail: Function orders_left is not known to be immutable.
-->   hint: Compute the values first and write them as constants or parameters.
WITH x AS (SELECT orders_left() AS n) SELECT n FROM x;
--> refused (unsupported): function "orders_left" uses a sharded table
-->   detail: It names table "orders", whose rows are not all on the shard that it would run on.
-->   hint: Run the query in it as a statement of its own, or use it where one value of "user_id" pins the statement to a shard.
COPY (SELECT orders_left()) TO STDOUT;
--> verb copy out
--> refused (unsupported): function "orders_left" uses a sharded table
-->   detail: It names table "orders", whose rows are not all on the shard that it would run on.
-->   hint: Run the query in it as a statement of its own, or use it where one value of "user_id" pins the statement to a shard.
CREATE TABLE kept AS SELECT orders_left();
--> defines
--> refused (unsupported): function "orders_left" uses a sharded table
-->   detail: It names table "orders", whose rows are not all on the shard that it would run on.
-->   hint: Run the query in it as a statement of its own, or use it where one value of "user_id" pins the statement to a shard.
EXPLAIN SELECT orders_left();
--> refused (unsupported): function "orders_left" uses a sharded table
-->   detail: It names table "orders", whose rows are not all on the shard that it would run on.
-->   hint: Run the query in it as a statement of its own, or use it where one value of "user_id" pins the statement to a shard.
PREPARE p AS SELECT orders_left();
--> verb prepare, name p, inner SELECT orders_left()
--> home on s1, anywhere
DECLARE c CURSOR FOR SELECT orders_left();
--> verb declare, name c, inner SELECT orders_left()
--> refused (unsupported): function "orders_left" uses a sharded table
-->   detail: It names table "orders", whose rows are not all on the shard that it would run on.
-->   hint: Run the query in it as a statement of its own, or use it where one value of "user_id" pins the statement to a shard.
CALL archive();
--> writes
--> refused (unsupported): procedure "archive" uses a sharded table
-->   detail: It names table "orders", whose rows are not all on the shard that it would run on.
-->   hint: Send the statements in it one by one, or name a shard in a directive: /* pgring: shard=… */.
SELECT events_left();
--> refused (unsupported): function "events_left" uses a sharded table
-->   detail: It names table "solo_events", whose rows are not all on the shard that it would run on.
-->   hint: Run the query in it as a statement of its own, or use it where one value of "id" pins the statement to a shard.
SELECT codes_left();
--> home on s1
SELECT pg_catalog.lower('orders');
--> home on s1, anywhere
SELECT * FROM calling_view;
--> refused (unsupported): a function in view "calling_view" uses a sharded table
-->   detail: It names table "orders", whose rows are not all on the shard that it would run on.
-->   hint: Run the query in it as a statement of its own, or use it where one value of "user_id" pins the statement to a shard.
SELECT * FROM calling_view, orders WHERE user_id = 42;
--> refused (unsupported): a function in view "calling_view" uses a sharded table
-->   detail: It names table "orders", whose rows are not all on the shard that it would run on.
-->   hint: Run the query in it as a statement of its own, or use it where one value of "user_id" pins the statement to a shard.
COPY calling_view TO STDOUT;
--> verb copy out
--> refused (unsupported): a function in view "calling_view" uses a sharded table
-->   detail: It names table "orders", whose rows are not all on the shard that it would run on.
-->   hint: Run the query in it as a statement of its own, or use it where one value of "user_id" pins the statement to a shard.
/* pgring: shard=s2 */ SELECT orders_left();
--> one on s2
DO $$ BEGIN DELETE FROM orders; END $$;
--> writes
--> refused (unsupported): code of DO uses a sharded table
-->   detail: It names table "orders", whose rows are not all on the shard that it would run on.
-->   hint: Send the statements in it one by one, or name a shard in a directive: /* pgring: shard=… */.
DO LANGUAGE plpgsql $$ BEGIN PERFORM orders_deep(); END $$;
--> writes
--> refused (unsupported): code of DO uses a sharded table
-->   detail: It names table "orders", whose rows are not all on the shard that it would run on.
-->   hint: Send the statements in it one by one, or name a shard in a directive: /* pgring: shard=… */.
DO $$ BEGIN DELETE FROM settings; END $$;
--> writes
--> home on s1
DO 'BEGIN DELETE FROM "Mixed"."Case Table"; END';
--> writes
--> refused (unsupported): code of DO uses a sharded table
-->   detail: It names table "Mixed.Case Table", whose rows are not all on the shard that it would run on.
-->   hint: Send the statements in it one by one, or name a shard in a directive: /* pgring: shard=… */.

-- Functions about a relation itself: each shard would tell of its own part.

SELECT pg_relation_size('orders');
--> refused (unsupported): function "pg_relation_size" would tell of one shard only
-->   detail: The rows of table "orders" are on several shards.
-->   hint: SHOW TABLES on the console has the sums of all shards, or ask each shard: /* pgring: shard=… */ before the statement.
SELECT pg_total_relation_size('public.orders'::regclass);
--> refused (unsupported): function "pg_total_relation_size" would tell of one shard only
-->   detail: The rows of table "orders" are on several shards.
-->   hint: SHOW TABLES on the console has the sums of all shards, or ask each shard: /* pgring: shard=… */ before the statement.
SELECT pg_size_pretty(pg_table_size('public."orders"'::text::regclass));
--> refused (unsupported): function "pg_table_size" would tell of one shard only
-->   detail: The rows of table "orders" are on several shards.
-->   hint: SHOW TABLES on the console has the sums of all shards, or ask each shard: /* pgring: shard=… */ before the statement.
SELECT pg_indexes_size('ORDERS'), id FROM orders WHERE user_id = 42;
--> refused (unsupported): function "pg_indexes_size" would tell of one shard only
-->   detail: The rows of table "orders" are on several shards.
-->   hint: SHOW TABLES on the console has the sums of all shards, or ask each shard: /* pgring: shard=… */ before the statement.
SELECT pg_relation_size('"Mixed"."Case Table"');
--> refused (unsupported): function "pg_relation_size" would tell of one shard only
-->   detail: The rows of table "Mixed.Case Table" are on several shards.
-->   hint: SHOW TABLES on the console has the sums of all shards, or ask each shard: /* pgring: shard=… */ before the statement.
SELECT pg_relation_size('other.orders', 'main');
--> refused (unsupported): function "pg_relation_size" would tell of one shard only
-->   detail: The rows of table "other.orders" are on several shards.
-->   hint: SHOW TABLES on the console has the sums of all shards, or ask each shard: /* pgring: shard=… */ before the statement.
SELECT * FROM pgstattuple('orders');
--> writes
--> refused (unsupported): function "pgstattuple" would tell of one shard only
-->   detail: The rows of table "orders" are on several shards.
-->   hint: SHOW TABLES on the console has the sums of all shards, or ask each shard: /* pgring: shard=… */ before the statement.
SELECT pg_stat_get_live_tuples('orders'::regclass);
--> refused (unsupported): function "pg_stat_get_live_tuples" would tell of one shard only
-->   detail: The rows of table "orders" are on several shards.
-->   hint: SHOW TABLES on the console has the sums of all shards, or ask each shard: /* pgring: shard=… */ before the statement.
SELECT pg_relation_size('settings');
--> home on s1
SELECT pg_relation_size('countries');
--> home on s1
SELECT pg_relation_size('nosuch');
--> home on s1
SELECT relname, pg_relation_size(oid) FROM pg_class;
--> home on s1
