-- INSERT.

INSERT INTO customers (id, name) VALUES (42, 'x');
--> writes
--> one on s3
INSERT INTO customers VALUES (42, 'x');
--> writes
--> one on s3
INSERT INTO customers (name, id) VALUES ('x', 42), ('y', 42);
--> writes
--> one on s3
INSERT INTO customers (name, id) VALUES ('x', 42), ('y', 43);
--> writes
--> split in parts on s3 s4
--> s3 gets INSERT INTO customers (name, id) VALUES ('x', 42)
--> s4 gets INSERT INTO customers (name, id) VALUES ('y', 43)
INSERT INTO customers (name) VALUES ('x');
--> writes
--> refused (missing key): INSERT needs a value for the shard key
-->   detail: Table "customers" is sharded by "id", and the INSERT gives it no value.
-->   hint: Give "id" a constant or a parameter in the INSERT.
INSERT INTO customers (id, name) VALUES (DEFAULT, 'x');
--> writes
--> refused (missing key): INSERT needs a value for the shard key
-->   detail: Table "customers" is sharded by "id", and DEFAULT is computed on the server.
-->   hint: Give "id" a constant or a parameter in the INSERT.
INSERT INTO customers DEFAULT VALUES;
--> writes
--> refused (missing key): INSERT needs a value for the shard key
-->   detail: Table "customers" is sharded by "id", and the INSERT gives it no value.
-->   hint: Give "id" a constant or a parameter in the INSERT.
INSERT INTO customers (id, name) VALUES (NULL, 'x');
--> writes
--> refused (null key): null value in shard key "id" of table "customers"
-->   detail: A row without a key has no shard.
-->   hint: Give "id" a value.
INSERT INTO customers (id, name) VALUES (nextval('s'), 'x');
--> writes
--> refused (key not understood): the value of shard key "id" is not understood
-->   detail: Table "customers" is sharded by it, and the INSERT gives an expression that only the server can compute.
-->   hint: Give the key as a constant or a parameter.
INSERT INTO customers (id, name) VALUES (random() * 100, 'x');
--> writes
--> staged on s1
INSERT INTO customers (id, name) VALUES (40 + 2, 'x');
--> writes
--> staged on s1
INSERT INTO customers (id, name) VALUES (42.5, 'x');
--> writes
--> refused (key not understood): the value of shard key "id" is not understood
-->   detail: A value for table "customers" has a form that pgring cannot place with certainty.
-->   hint: Write the value as a plain constant of the key's type, or bind it as a parameter of that type.
INSERT INTO customers (id, name) VALUES ('42', 'x') RETURNING *;
--> writes
--> one on s3
INSERT INTO customers (id, name) VALUES ('forty', 'x');
--> writes
--> refused (invalid key): invalid input syntax for type bigint: "forty"
INSERT INTO customers (id, name) VALUES ((SELECT 42), 'x');
--> writes
--> refused (key not understood): the value of shard key "id" is not understood
-->   detail: Table "customers" is sharded by it, and the INSERT gives an expression that only the server can compute.
-->   hint: Give the key as a constant or a parameter.
INSERT INTO customers AS c (id, name) VALUES (42, 'x') ON CONFLICT (id) DO UPDATE SET name = excluded.name WHERE c.score > 1;
--> writes
--> one on s3
INSERT INTO customers (id, name) VALUES (42, 'x') ON CONFLICT DO NOTHING;
--> writes
--> one on s3
INSERT INTO customers (id, name) VALUES (42, 'x') ON CONFLICT (name) DO NOTHING;
--> writes
--> refused (unsupported): ON CONFLICT needs the shard key among its columns
-->   detail: Without "id" the conflicting row of "customers" may be on another shard.
-->   hint: Name a unique constraint's columns that include "id".
INSERT INTO customers (id, name) VALUES (42, 'x') ON CONFLICT ON CONSTRAINT customers_pkey DO NOTHING;
--> writes
--> one on s3
INSERT INTO customers (id, name) VALUES (42, 'x') ON CONFLICT (id) DO UPDATE SET id = 43;
--> writes
--> refused (changes key): the shard key cannot be updated
-->   detail: Table "customers" is sharded by "id": another value may belong to another shard.
-->   hint: Insert the row with its new key and delete the old one.
INSERT INTO customers (id, name) VALUES (42, 'x') ON CONFLICT (id) DO UPDATE SET id = excluded.id;
--> writes
--> one on s3
INSERT INTO loose (user_id, token) VALUES (42, 'x') ON CONFLICT DO NOTHING;
--> writes
--> refused (unsupported): ON CONFLICT needs the shard key among its columns
-->   detail: Without "user_id" the conflicting row of "loose" may be on another shard.
-->   hint: Name a unique constraint's columns that include "user_id".
INSERT INTO loose (user_id, token) VALUES (42, 'x') ON CONFLICT (token) DO UPDATE SET token = 'y';
--> writes
--> refused (unsupported): ON CONFLICT needs the shard key among its columns
-->   detail: Without "user_id" the conflicting row of "loose" may be on another shard.
-->   hint: Name a unique constraint's columns that include "user_id".
INSERT INTO orders (user_id, id) SELECT id, 1 FROM customers WHERE id = 42;
--> writes
--> one on s3
INSERT INTO orders (user_id, id) SELECT user_id, order_id FROM order_items WHERE user_id = 42;
--> writes
--> one on s3
INSERT INTO orders (user_id, id) SELECT id, 1 FROM customers;
--> writes
--> split on s1 s2 s3 s4
INSERT INTO orders (user_id, id) SELECT 42, 1 FROM customers WHERE id = 42;
--> writes
--> one on s3
INSERT INTO orders (user_id, id) SELECT 42, 1 FROM customers WHERE id = 43;
--> writes
--> staged on s1
INSERT INTO orders (user_id, id) SELECT 42, 1;
--> writes
--> one on s3
INSERT INTO orders (user_id, id) SELECT id, 1 FROM customers WHERE score = 42;
--> writes
--> split on s1 s2 s3 s4
INSERT INTO orders (user_id, id) SELECT score::int8, 1 FROM customers WHERE id = 42;
--> writes
--> staged on s1
INSERT INTO orders (user_id, id) SELECT id, id FROM products WHERE id = 42;
--> writes
--> one on s3
INSERT INTO logs SELECT id, name FROM customers WHERE id = 42;
--> writes
--> staged on s1
INSERT INTO logs SELECT id, name FROM customers WHERE id = 1;
--> writes
--> staged on s1
INSERT INTO logs VALUES (1, 'x');
--> writes
--> home on s1
INSERT INTO accounts VALUES ('abc', 1);
--> writes
--> one on s3
INSERT INTO accounts VALUES ('abc ', 1);
--> writes
--> one on s2
INSERT INTO handles VALUES ('abc', 1);
--> writes
--> one on s3
INSERT INTO handles VALUES ('abc ', 1);
--> writes
--> one on s2
INSERT INTO accounts VALUES (42, 1);
--> writes
--> refused (key not understood): the value of shard key "name" is not understood
-->   detail: Table "accounts" is sharded by it, and the INSERT gives an expression that only the server can compute.
-->   hint: Give the key as a constant or a parameter.
INSERT INTO amounts VALUES (42, 'x');
--> writes
--> one on s4
INSERT INTO amounts VALUES (42.5, 'x');
--> writes
--> one on s2
INSERT INTO stamps VALUES ('2024-02-29 12:00:00', 1);
--> writes
--> one on s3
INSERT INTO stamps VALUES (now(), 1);
--> writes
--> refused (key not understood): the value of shard key "at" is not understood
-->   detail: Table "stamps" is sharded by it, and the INSERT gives an expression that only the server can compute.
-->   hint: Give the key as a constant or a parameter.
INSERT INTO planned (tenant_id, v) VALUES (42, 1);
--> writes
--> one on s3
INSERT INTO planned VALUES (42, 1);
--> writes
--> refused (missing key): INSERT needs a value for the shard key
-->   detail: Table "planned" is sharded by "tenant_id", and its columns are not known yet, so the key's position is not.
-->   hint: Give "tenant_id" a constant or a parameter in the INSERT.
INSERT INTO solo_events (kind) VALUES ('x');
--> writes
--> one on s2
INSERT INTO solo_events (id, kind) VALUES (DEFAULT, 'x'), (nextval('s'), 'y');
--> writes
--> one on s2
INSERT INTO orders_2024 (user_id, id) VALUES (42, 1);
--> writes
--> one on s3
--$ 42 x
INSERT INTO customers (id, name) VALUES ($1, $2);
--> writes
--> one on s3
--$ null x
INSERT INTO customers (id, name) VALUES ($1, $2);
--> writes
--> refused (null key): null value in shard key "id" of table "customers"
-->   detail: A row without a key has no shard.
-->   hint: Give "id" a value.
--$ numeric:42.5 x
INSERT INTO customers (id, name) VALUES ($1, $2);
--> writes
--> refused (key not understood): the value of shard key "id" is not understood
-->   detail: Parameter $1 is declared with type oid 1700, and the key is of type int.
-->   hint: Write the value as a plain constant of the key's type, or bind it as a parameter of that type.
--$ 42 x 43 y
INSERT INTO customers (id, name) VALUES ($1, $2), ($3, $4);
--> writes
--> split in parts on s3 s4
--> s3 gets INSERT INTO customers (id, name) VALUES ($1, $2)
--> s4 gets INSERT INTO customers (id, name) VALUES ($3, $4)
--$ int4:42
INSERT INTO accounts (name) VALUES ($1);
--> writes
--> refused (key not understood): the value of shard key "name" is not understood
-->   detail: Parameter $1 is declared with type oid 23, and the key is of type text.
-->   hint: Write the value as a plain constant of the key's type, or bind it as a parameter of that type.

-- UPDATE, DELETE.
UPDATE customers SET name = 'y' WHERE id = 42;
--> writes
--> one on s3
UPDATE customers c SET name = 'y' WHERE c.id = 42 RETURNING *;
--> writes
--> one on s3
UPDATE customers SET name = 'y';
--> writes
--> split on s1 s2 s3 s4
UPDATE customers SET name = 'y' WHERE name = 'x';
--> writes
--> split on s1 s2 s3 s4
UPDATE customers SET name = 'y' WHERE id IN (42, 43);
--> writes
--> split on s3 s4
UPDATE customers SET id = 43 WHERE id = 42;
--> writes
--> refused (changes key): the shard key cannot be updated
-->   detail: Table "customers" is sharded by "id": another value may belong to another shard.
-->   hint: Insert the row with its new key and delete the old one.
UPDATE customers SET id = id WHERE id = 42;
--> writes
--> one on s3
--$ 42 x
UPDATE customers SET id = $1, name = $2 WHERE id = $1;
--> writes
--> one on s3
UPDATE customers SET (name, id) = ('x', 43) WHERE id = 42;
--> writes
--> refused (changes key): the shard key cannot be updated
-->   detail: Table "customers" is sharded by "id": another value may belong to another shard.
-->   hint: Insert the row with its new key and delete the old one.
UPDATE customers SET (name, score) = (SELECT status, 1 FROM orders WHERE user_id = 42 LIMIT 1) WHERE id = 42;
--> writes
--> one on s3
UPDATE customers SET name = o.status FROM orders o WHERE o.user_id = customers.id AND customers.id = 42;
--> writes
--> one on s3
UPDATE customers SET name = o.status FROM orders o WHERE o.id = customers.id AND customers.id = 42;
--> writes
--> staged on s1
UPDATE customers SET name = p.name FROM products p WHERE p.id = 1 AND customers.id = 42;
--> writes
--> one on s3
UPDATE customers SET score = (SELECT count(*) FROM orders WHERE user_id = 42) WHERE id = 42;
--> writes
--> one on s3
UPDATE customers SET score = (SELECT count(*) FROM orders) WHERE id = 42;
--> writes
--> staged on s1
UPDATE settings SET v = 'x';
--> writes
--> home on s1
UPDATE settings SET v = 'x' FROM faraway f WHERE f.id = settings.id;
--> writes
--> staged on s1
UPDATE solo_events SET kind = 'x';
--> writes
--> one on s2
UPDATE solo_events SET id = 5 WHERE id = 4;
--> writes
--> one on s2
UPDATE orders_view SET id = 1 WHERE user_id = 42;
--> writes
--> refused (unsupported): relation "orders_view" reads a sharded table
-->   detail: "orders_view" is a view over "orders", whose rows are on several shards.
-->   hint: Query "orders" itself.
DELETE FROM customers WHERE id = 42;
--> writes
--> one on s3
DELETE FROM customers;
--> writes
--> split on s1 s2 s3 s4
DELETE FROM customers WHERE name = 'x';
--> writes
--> split on s1 s2 s3 s4
DELETE FROM customers USING orders o WHERE o.user_id = customers.id AND o.user_id = 42;
--> writes
--> one on s3
DELETE FROM ONLY customers WHERE id = 42;
--> writes
--> one on s3
DELETE FROM solo_events;
--> writes
--> one on s2
DELETE FROM settings WHERE id = 1;
--> writes
--> home on s1
--$ {42,43}
DELETE FROM customers WHERE id = ANY ($1);
--> writes
--> split on s3 s4
--$ 42
DELETE FROM customers WHERE id = $1 RETURNING *;
--> writes
--> one on s3

-- MERGE.
MERGE INTO customers c USING (SELECT 42 AS id) s ON c.id = s.id WHEN MATCHED THEN UPDATE SET name = 'x' WHEN NOT MATCHED THEN INSERT (id, name) VALUES (s.id, 'x');
--> writes
--> one on s3
MERGE INTO customers c USING (VALUES (42, 'x')) s (id, name) ON c.id = s.id WHEN MATCHED THEN DELETE;
--> writes
--> one on s3
MERGE INTO customers c USING orders o ON c.id = o.user_id AND o.user_id = 42 WHEN MATCHED THEN UPDATE SET name = 'x';
--> writes
--> split on s1 s2 s3 s4
MERGE INTO customers c USING (SELECT * FROM orders WHERE user_id = 42) o ON c.id = o.user_id WHEN MATCHED THEN UPDATE SET name = 'x';
--> writes
--> one on s3
MERGE INTO customers c USING products p ON c.name = p.name WHEN MATCHED THEN DELETE;
--> writes
--> split on s1 s2 s3 s4
MERGE INTO customers c USING (SELECT 42 AS id) s ON c.id = s.id WHEN NOT MATCHED THEN INSERT (id, name) VALUES (43, 'x');
--> writes
--> refused (cross-shard write): MERGE needs the rows of several shards
-->   detail: The keys that it names belong to different shards.
-->   hint: Write the rows of one shard at a time.
MERGE INTO customers c USING (SELECT 42 AS id) s ON c.id = s.id WHEN NOT MATCHED THEN INSERT (name) VALUES ('x');
--> writes
--> refused (missing key): INSERT needs a value for the shard key
-->   detail: Table "customers" is sharded by "id", and a WHEN NOT MATCHED clause gives it no value.
-->   hint: Give "id" a constant or a parameter in the INSERT.
MERGE INTO customers c USING (SELECT 42 AS id) s ON c.id = s.id WHEN MATCHED THEN UPDATE SET id = 43;
--> writes
--> refused (changes key): the shard key cannot be updated
-->   detail: Table "customers" is sharded by "id": another value may belong to another shard.
-->   hint: Insert the row with its new key and delete the old one.
MERGE INTO settings s USING logs l ON l.id = s.id WHEN MATCHED THEN DELETE;
--> writes
--> home on s1

-- Reference tables: the same on every shard, or refused.
INSERT INTO countries VALUES ('de', 'Germany');
--> writes
--> broadcast on s1 s2 s3 s4
INSERT INTO countries (code, name) VALUES ('de', upper('germany')) ON CONFLICT DO NOTHING RETURNING code;
--> writes
--> broadcast on s1 s2 s3 s4
INSERT INTO countries VALUES ('de', now()::text);
--> writes
--> refused (unsupported): write to reference table "countries" may differ between shards
-->   detail: Function now is not known to be immutable.
-->   hint: Compute the values first and write them as constants or parameters.
INSERT INTO countries VALUES ('de', random()::text);
--> writes
--> refused (unsupported): write to reference table "countries" may differ between shards
-->   detail: Function random is not known to be immutable.
-->   hint: Compute the values first and write them as constants or parameters.
INSERT INTO countries VALUES ('de', current_user);
--> writes
--> refused (unsupported): write to reference table "countries" may differ between shards
-->   detail: It uses the time of day or the session's user, which each shard takes for itself.
-->   hint: Compute the values first and write them as constants or parameters.
INSERT INTO countries SELECT name, name FROM products;
--> writes
--> broadcast on s1 s2 s3 s4
INSERT INTO countries SELECT name, name FROM products LIMIT 1;
--> writes
--> staged on s1
INSERT INTO countries SELECT name, name FROM customers WHERE id = 42;
--> writes
--> staged on s1
INSERT INTO countries SELECT v, v FROM settings;
--> writes
--> staged on s1
INSERT INTO products (id, name, price) VALUES (1, 'x', 2);
--> writes
--> refused (unsupported): write to reference table "products" may differ between shards
-->   detail: The DEFAULT of column "added" is computed on each shard.
-->   hint: Compute the values first and write them as constants or parameters.
INSERT INTO products (id, name, price, added) VALUES (1, 'x', 2, '2024-01-01 00:00+00');
--> writes
--> broadcast on s1 s2 s3 s4
INSERT INTO products (id, name, price, added) VALUES (1, 'x', 2, 'now');
--> writes
--> refused (unsupported): write to reference table "products" may differ between shards
-->   detail: It has a constant that may mean the current time.
-->   hint: Compute the values first and write them as constants or parameters.
INSERT INTO products (id, name, price, added) VALUES (1, 'x', 2, DEFAULT);
--> writes
--> refused (unsupported): write to reference table "products" may differ between shards
-->   detail: The DEFAULT of column "added" is computed on each shard.
-->   hint: Compute the values first and write them as constants or parameters.
UPDATE products SET price = price * 2 WHERE id = 1;
--> writes
--> broadcast on s1 s2 s3 s4
UPDATE products SET price = c.score FROM customers c WHERE c.id = 42;
--> writes
--> staged on s1
DELETE FROM countries WHERE code = 'de';
--> writes
--> broadcast on s1 s2 s3 s4
--$ de now
INSERT INTO countries VALUES ($1, $2);
--> writes
--> broadcast on s1 s2 s3 s4
WITH d AS (DELETE FROM countries RETURNING *) INSERT INTO products (id, name, price, added) SELECT 1, name, 1, NULL FROM d;
--> writes
--> broadcast on s1 s2 s3 s4
WITH d AS (DELETE FROM countries RETURNING *) INSERT INTO logs SELECT 1, name FROM d;
--> writes
--> refused (unsupported): statement writes reference tables and others
-->   detail: A reference table is written on every shard, the others are not.
-->   hint: Write them in statements of their own.
INSERT INTO customers (id, name) VALUES (42, 'x') ON CONFLICT (id) DO UPDATE SET id = excluded.id, name = excluded.name;
--> writes
--> one on s3
WITH i AS (INSERT INTO orders (user_id, id) VALUES (42, 1) RETURNING user_id, id) INSERT INTO order_items (user_id, order_id) SELECT user_id, id FROM i;
--> writes
--> one on s3
--$ abc 1
INSERT INTO accounts (name, balance) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET balance = $2 WHERE accounts.name = $1;
--> writes
--> refused (key not understood): the value of shard key "name" is not understood
-->   detail: Parameter $1 has no declared type and is used in several places, so its type is not certain.
-->   hint: Declare the parameter's type, or bind the key as a parameter of its own.

-- What the key's column can store is known from its type.

INSERT INTO amounts VALUES (1.5, 'x');
--> writes
--> one on s3
INSERT INTO amounts VALUES (-0.0000001, 'x');
--> writes
--> one on s4
INSERT INTO prices VALUES (1.25, 'x');
--> writes
--> one on s2
INSERT INTO prices VALUES (1.250, 'x');
--> writes
--> one on s2
INSERT INTO prices VALUES (1.255, 'x');
--> writes
--> refused (key not understood): the value of shard key "n" is not understood
-->   detail: A value for table "prices" has a form that pgring cannot place with certainty.
-->   hint: Write the value as a plain constant of the key's type, or bind it as a parameter of that type.
INSERT INTO prices VALUES (0.0000001, 'x');
--> writes
--> refused (key not understood): the value of shard key "n" is not understood
-->   detail: A value for table "prices" has a form that pgring cannot place with certainty.
-->   hint: Write the value as a plain constant of the key's type, or bind it as a parameter of that type.
INSERT INTO rounded VALUES (149, 'x');
--> writes
--> refused (key not understood): the value of shard key "n" is not understood
-->   detail: A value for table "rounded" has a form that pgring cannot place with certainty.
-->   hint: Write the value as a plain constant of the key's type, or bind it as a parameter of that type.
--$ numeric:1.25 text:x
INSERT INTO prices VALUES ($1, $2);
--> writes
--> one on s2
--$ numeric:1.255 text:x
INSERT INTO prices VALUES ($1, $2);
--> writes
--> refused (key not understood): the value of shard key "n" is not understood
-->   detail: Parameter $1 is declared with type oid 1700, and the key is of type numeric.
-->   hint: Write the value as a plain constant of the key's type, or bind it as a parameter of that type.
INSERT INTO stamps VALUES ('2024-01-01 12:00:00.123456', 1);
--> writes
--> one on s3
INSERT INTO zoned VALUES ('2024-01-01 12:00:00.123456+02', 1);
--> writes
--> one on s3
INSERT INTO seconds VALUES ('2024-01-01 12:00:00.123', 1);
--> writes
--> one on s2
INSERT INTO seconds VALUES ('2024-01-01 12:00:00.1234', 1);
--> writes
--> refused (key not understood): the value of shard key "at" is not understood
-->   detail: A value for table "seconds" has a form that pgring cannot place with certainty.
-->   hint: Write the value as a plain constant of the key's type, or bind it as a parameter of that type.
INSERT INTO handles VALUES ('ab  ', 1);
--> writes
--> one on s2
INSERT INTO handles VALUES ('abcdefgh  ', 1);
--> writes
--> one on s4
INSERT INTO handles VALUES ('abcdefghi  ', 1);
--> writes
--> refused (key not understood): the value of shard key "handle" is not understood
-->   detail: A value for table "handles" has a form that pgring cannot place with certainty.
-->   hint: Write the value as a plain constant of the key's type, or bind it as a parameter of that type.

-- Reference tables: words for the current time, and defaults.

INSERT INTO countries VALUES ('ZZ', 'Nowhere');
--> writes
--> broadcast on s1 s2 s3 s4
INSERT INTO countries VALUES ('ZZ', 'Now');
--> writes
--> broadcast on s1 s2 s3 s4
UPDATE countries SET name = 'today' WHERE name = 'Now';
--> writes
--> broadcast on s1 s2 s3 s4
UPDATE countries SET name = 'today'::date::text WHERE code = 'de';
--> writes
--> refused (unsupported): write to reference table "countries" may differ between shards
-->   detail: It has a constant that may mean the current time.
-->   hint: Compute the values first and write them as constants or parameters.
INSERT INTO products (id, name, added) VALUES (1, 'now', '2024-01-01');
--> writes
--> broadcast on s1 s2 s3 s4
INSERT INTO products (id, name, added) VALUES (1, 'x', ' Tomorrow 10:00');
--> writes
--> refused (unsupported): write to reference table "products" may differ between shards
-->   detail: It has a constant that may mean the current time.
-->   hint: Compute the values first and write them as constants or parameters.
INSERT INTO products (id, name, added) SELECT 1, 'x', 'now';
--> writes
--> staged on s1
--$ ZZ Now
INSERT INTO countries VALUES ($1, $2);
--> writes
--> broadcast on s1 s2 s3 s4
--$ 1 now 2024-01-01
INSERT INTO products (id, name, added) VALUES ($1, $2, $3);
--> writes
--> broadcast on s1 s2 s3 s4
--$ 1 x now
INSERT INTO products (id, name, added) VALUES ($1, $2, $3);
--> writes
--> refused (unsupported): write to a reference table may differ between shards
-->   detail: A parameter may mean the current time, which each shard takes for itself.
-->   hint: Bind the moment itself, or declare the parameter as text.
--$ now
UPDATE products SET name = $1, added = $1;
--> writes
--> refused (unsupported): write to a reference table may differ between shards
-->   detail: A parameter may mean the current time, which each shard takes for itself.
-->   hint: Bind the moment itself, or declare the parameter as text.
INSERT INTO defaults (id, at) VALUES (1, '2024-01-01');
--> writes
--> broadcast on s1 s2 s3 s4
INSERT INTO defaults (id, kind, at) VALUES (1, DEFAULT, '2024-01-01');
--> writes
--> broadcast on s1 s2 s3 s4
INSERT INTO defaults (id) VALUES (1);
--> writes
--> refused (unsupported): write to reference table "defaults" may differ between shards
-->   detail: The DEFAULT of column "at" is computed on each shard.
-->   hint: Compute the values first and write them as constants or parameters.
INSERT INTO defaults (id, kind, at) VALUES (1, 'x', DEFAULT);
--> writes
--> refused (unsupported): write to reference table "defaults" may differ between shards
-->   detail: The DEFAULT of column "at" is computed on each shard.
-->   hint: Compute the values first and write them as constants or parameters.
INSERT INTO defaults VALUES (1, 'x');
--> writes
--> refused (unsupported): write to reference table "defaults" may differ between shards
-->   detail: The DEFAULT of column "at" is computed on each shard.
-->   hint: Compute the values first and write them as constants or parameters.
INSERT INTO defaults DEFAULT VALUES;
--> writes
--> refused (unsupported): write to reference table "defaults" may differ between shards
-->   detail: The DEFAULT of column "at" is computed on each shard.
-->   hint: Compute the values first and write them as constants or parameters.
INSERT INTO defaults (id, at) SELECT 1, '2024-01-01';
--> writes
--> broadcast on s1 s2 s3 s4
INSERT INTO defaults (id) SELECT 1;
--> writes
--> staged on s1
INSERT INTO defaults (id, kind, at) VALUES (1, 'x', '2024-01-01') ON CONFLICT (id) DO UPDATE SET at = DEFAULT;
--> writes
--> refused (unsupported): write to reference table "defaults" may differ between shards
-->   detail: The DEFAULT of column "at" is computed on each shard.
-->   hint: Compute the values first and write them as constants or parameters.
UPDATE defaults SET kind = DEFAULT;
--> writes
--> broadcast on s1 s2 s3 s4
UPDATE defaults SET at = DEFAULT WHERE id = 1;
--> writes
--> refused (unsupported): write to reference table "defaults" may differ between shards
-->   detail: The DEFAULT of column "at" is computed on each shard.
-->   hint: Compute the values first and write them as constants or parameters.
UPDATE defaults SET (id, at) = (1, DEFAULT);
--> writes
--> refused (unsupported): write to reference table "defaults" may differ between shards
-->   detail: The DEFAULT of column "at" is computed on each shard.
-->   hint: Compute the values first and write them as constants or parameters.
MERGE INTO defaults d USING countries c ON d.kind = c.code WHEN NOT MATCHED THEN INSERT (id, kind) VALUES (1, c.code);
--> writes
--> refused (unsupported): write to reference table "defaults" may differ between shards
-->   detail: The DEFAULT of column "at" is computed on each shard.
-->   hint: Compute the values first and write them as constants or parameters.

-- Reference tables written in WITH: on every shard, or not at all.
WITH d AS (UPDATE countries SET name = 'x' RETURNING code) SELECT count(*) FROM d;
--> writes
--> broadcast on s1 s2 s3 s4
WITH d AS (INSERT INTO countries VALUES ('IT', 'Italy') RETURNING code) SELECT code FROM d;
--> writes
--> broadcast on s1 s2 s3 s4
WITH d AS (DELETE FROM countries RETURNING code) SELECT count(*) FROM d, orders WHERE user_id = 42;
--> writes
--> refused (unsupported): statement writes reference table "countries" from tables that not every shard has
-->   detail: A reference table is written on every shard by the same statement.
-->   hint: Read the values first and write them as constants.
WITH d AS (DELETE FROM countries RETURNING code) SELECT count(*) FROM d, settings;
--> writes
--> refused (unsupported): statement writes reference table "countries" from tables that not every shard has
-->   detail: A reference table is written on every shard by the same statement.
-->   hint: Read the values first and write them as constants.
WITH d AS (DELETE FROM countries RETURNING code), e AS (DELETE FROM settings RETURNING id) SELECT count(*) FROM d;
--> writes
--> refused (unsupported): statement writes reference tables and others
-->   detail: A reference table is written on every shard, the others are not.
-->   hint: Write them in statements of their own.
WITH d AS (DELETE FROM countries RETURNING code) INSERT INTO logs (message) SELECT code FROM d;
--> writes
--> refused (unsupported): statement writes reference tables and others
-->   detail: A reference table is written on every shard, the others are not.
-->   hint: Write them in statements of their own.
WITH d AS (DELETE FROM countries RETURNING code) SELECT now() FROM d;
--> writes
--> refused (unsupported): write to reference table "countries" may differ between shards
-->   detail: Function now is not known to be immutable.
-->   hint: Compute the values first and write them as constants or parameters.

-- Statements that hold a write of several shards are not that write.

COPY (INSERT INTO customers (id) SELECT user_id FROM sessions RETURNING id) TO STDOUT;
--> verb copy out, writes
--> refused (missing key): INSERT needs a value for the shard key
-->   detail: Table "customers" is sharded by "id", and the rows to insert come with keys of several shards.
-->   hint: Give "id" a constant or a parameter in the INSERT.
EXPLAIN UPDATE customers SET name = 'x';
--> gather on s1 s2 s3 s4
--> Split on 4 shards
-->   Reason: customers has no key condition: all 4 owners; each of 4 shards writes its own rows
-->   Sent: UPDATE customers SET name = 'x'
-->   ->  Shard s1
--> asks s1 for EXPLAIN UPDATE customers SET name = 'x'
-->   ->  Shard s2
--> asks s2 for EXPLAIN UPDATE customers SET name = 'x'
-->   ->  Shard s3
--> asks s3 for EXPLAIN UPDATE customers SET name = 'x'
-->   ->  Shard s4
--> asks s4 for EXPLAIN UPDATE customers SET name = 'x'
--> merge: concatenated
EXPLAIN ANALYZE DELETE FROM customers;
--> writes
--> refused (unsupported): EXPLAIN ANALYZE of this statement on several shards is not supported
-->   detail: It is more than a read whose answers each shard computes for itself.
-->   hint: Use EXPLAIN without ANALYZE.
EXPLAIN INSERT INTO customers (id) VALUES (42), (43);
--> gather on s3
--> Split on 2 shards
-->   Reason: each of its rows goes to the owner of its key: 2 shards
--> asks s3 for EXPLAIN INSERT INTO customers (id) VALUES (42), (43)
-->   ->  Shard s3
-->         Sent: INSERT INTO customers (id) VALUES (42)
-->   ->  Shard s4
-->         Sent: INSERT INTO customers (id) VALUES (43)
--> merge: concatenated
COPY (UPDATE customers SET name = 'x' RETURNING id) TO STDOUT;
--> verb copy out, writes
--> refused (unsupported): COPY of this statement over several shards is not supported
-->   detail: Its rows are on several shards.
-->   hint: Give it a shard key, or use COPY of a query TO STDOUT.
COPY (DELETE FROM customers WHERE id IN (42, 43) RETURNING id) TO STDOUT;
--> verb copy out, writes
--> refused (unsupported): COPY of this statement over several shards is not supported
-->   detail: Its rows are on several shards.
-->   hint: Give it a shard key, or use COPY of a query TO STDOUT.
WITH d AS (DELETE FROM customers RETURNING id) SELECT count(*) FROM d;
--> writes
--> refused (cross-shard write): data-modifying WITH needs the rows of several shards
-->   detail: The statement's tables are not pinned to one shard by their keys.
-->   hint: Write the rows of one shard at a time.
DECLARE c CURSOR FOR SELECT id FROM customers FOR UPDATE;
--> verb declare, name c, inner SELECT id FROM customers FOR UPDATE, writes
--> refused (unsupported): cursor over several shards is not supported
-->   detail: The rows of its query are on several shards.
-->   hint: Run the query itself, or give it a shard key.

-- INSERT … SELECT within a group.

INSERT INTO orders (user_id, id) SELECT id, 1 FROM customers WHERE id IN (42, 43);
--> writes
--> split on s3 s4
INSERT INTO orders (user_id, id) SELECT o.user_id, o.id + 100 FROM orders o JOIN customers c ON c.id = o.user_id WHERE c.score > 1;
--> writes
--> split on s1 s2 s3 s4
INSERT INTO orders (user_id, id) SELECT c.id, p.id FROM customers c CROSS JOIN products p ON CONFLICT (user_id, id) DO NOTHING RETURNING id;
--> writes
--> split on s1 s2 s3 s4
INSERT INTO orders (user_id, id) SELECT c.id, 1 FROM orders o LEFT JOIN customers c ON c.id = o.user_id;
--> writes
--> staged on s1
INSERT INTO orders (user_id, id) SELECT id, 1 FROM customers LIMIT 5;
--> writes
--> staged on s1
INSERT INTO orders (user_id, id) SELECT DISTINCT id, 1 FROM customers;
--> writes
--> staged on s1
INSERT INTO orders (user_id, id) SELECT id, count(*) FROM customers GROUP BY id;
--> writes
--> staged on s1
INSERT INTO orders (user_id, id) SELECT id, row_number() OVER () FROM customers;
--> writes
--> staged on s1
INSERT INTO orders (user_id, id) SELECT id, (SELECT count(*) FROM orders) FROM customers;
--> writes
--> staged on s1
INSERT INTO orders (user_id, id) SELECT id, 1 FROM customers UNION SELECT user_id, 2 FROM orders;
--> writes
--> staged on s1
INSERT INTO orders (user_id, id) SELECT product_id, 1 FROM orders;
--> writes
--> staged on s1
INSERT INTO handles (handle, owner) SELECT name, 1 FROM accounts;
--> writes
--> staged on s1
INSERT INTO accounts (name, balance) SELECT handle, owner FROM handles;
--> writes
--> split on s1 s2 s3 s4
INSERT INTO logs SELECT id, name FROM customers;
--> writes
--> staged on s1
-- an integer parameter of a numeric key is placed as the number that it becomes
UPDATE amounts SET label = 'x' WHERE n = 42;
--> writes
--> one on s4
--$ int4:42
UPDATE amounts SET label = 'x' WHERE n = $1;
--> writes
--> one on s4
--$ int8:42
INSERT INTO amounts VALUES ($1, 'x');
--> writes
--> one on s4
--$ int4:149
INSERT INTO rounded VALUES ($1, 'x');
--> writes
--> refused (key not understood): the value of shard key "n" is not understood
-->   detail: Parameter $1 is declared with type oid 23, and the key is of type numeric.
-->   hint: Write the value as a plain constant of the key's type, or bind it as a parameter of that type.
--$ int4:4x
INSERT INTO amounts VALUES ($1, 'x');
--> writes
--> refused (invalid key): invalid input syntax for type bigint: "4x"

-- What is read of other shards comes first.
WITH m AS (SELECT max(id) AS m FROM orders) UPDATE customers SET score = (SELECT m FROM m);
--> writes
--> staged on s1
MERGE INTO customers c USING orders o ON c.id = o.user_id WHEN MATCHED THEN UPDATE SET name = o.status;
--> writes
--> split on s1 s2 s3 s4
MERGE INTO customers c USING orders o ON c.id = o.user_id WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT (id) VALUES (o.user_id);
--> writes
--> staged on s1
