-- Values that look like the key and are not: never one shard by guess.

SELECT name FROM customers WHERE name = 'id = 42';
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT name FROM customers /* WHERE id = 42 */;
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT name FROM customers -- WHERE id = 42
;
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT name FROM customers WHERE id = 42 OR name = 'x';
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT name FROM customers WHERE NOT id = 42;
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT name FROM customers WHERE NOT (id <> 42);
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT name FROM customers WHERE id <> 42;
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT name FROM customers WHERE id > 42;
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT name FROM customers WHERE id = 42 IS NOT TRUE;
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT name FROM customers WHERE (id = 42) = false;
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT name FROM customers WHERE CASE WHEN id = 42 THEN true ELSE true END;
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT name FROM customers WHERE id + 0 = 42;
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT name FROM customers WHERE id = 40 + 2;
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT name FROM customers WHERE id = abs(42);
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT name FROM customers WHERE id::text = '42';
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT name FROM customers WHERE id = '42'::text::int8;
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT name FROM customers WHERE id = 42::float8;
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT name FROM customers WHERE id = 42.5::int8;
--> refused (key not understood): the value of shard key "id" is not understood
-->   detail: A value for table "customers" has a form that pgring cannot place with certainty.
-->   hint: Write the value as a plain constant of the key's type, or bind it as a parameter of that type.
SELECT name FROM customers WHERE id = 42::numeric(1,0);
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT name FROM customers WHERE id IN (42, 43.5::float8);
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT name FROM customers WHERE id = 1e1;
--> refused (key not understood): the value of shard key "id" is not understood
-->   detail: A value for table "customers" has a form that pgring cannot place with certainty.
-->   hint: Write the value as a plain constant of the key's type, or bind it as a parameter of that type.
SELECT name FROM customers WHERE id NOT IN (42);
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT name FROM customers WHERE id = ALL ('{42}');
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT name FROM customers WHERE id IS NOT DISTINCT FROM 42;
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT name FROM customers WHERE id BETWEEN 42 AND 42;
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT name FROM customers WHERE (id, name) > (42, 'x');
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT name FROM customers WHERE coalesce(id = 42, true);
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT name FROM customers WHERE "Key" = 42;
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT value FROM "Mixed"."Case Table" WHERE key = 42;
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT value FROM "Mixed"."Case Table" WHERE KEY = 42;
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT * FROM "Customers" WHERE id = 42;
--> home on s1
SELECT o.id FROM orders o WHERE o.id = 42;
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT * FROM orders WHERE id = 42;
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT * FROM customers c, orders o WHERE o.user_id = 42;
--> pull in parts on s1 s2 s4 for s3
--> sends SELECT * FROM (SELECT "id", "name", "email", "code", "balance", "score", "country", "created" FROM "public"."customers" UNION ALL SELECT c1 AS "id", c2 AS "name", c3 AS "email", c4 AS "code", c5 AS "balance", c6 AS "score", c7 AS "country", c8 AS "created" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) c, "public"."orders" o WHERE o.user_id = 42
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, (NULL::"public"."customers")."id" AS c1, (NULL::"public"."customers")."name" AS c2, (NULL::"public"."customers")."email" AS c3, (NULL::"public"."customers")."code" AS c4, (NULL::"public"."customers")."balance" AS c5, (NULL::"public"."customers")."score" AS c6, (NULL::"public"."customers")."country" AS c7, (NULL::"public"."customers")."created" AS c8, (NULL::"public"."orders")."id" AS c9, (NULL::"public"."orders")."user_id" AS c10, (NULL::"public"."orders")."total" AS c11, (NULL::"public"."orders")."status" AS c12, (NULL::"public"."orders")."created" AS c13, (NULL::"public"."orders")."product_id" AS c14 WITH NO DATA
--> s1 s2 s4 gets SELECT 0::pg_catalog.int2, "id", "name", "email", "code", "balance", "score", "country", "created", (NULL::"public"."orders")."id", (NULL::"public"."orders")."user_id", (NULL::"public"."orders")."total", (NULL::"public"."orders")."status", (NULL::"public"."orders")."created", (NULL::"public"."orders")."product_id" FROM "public"."customers"
SELECT * FROM customers c, orders o WHERE c.id = 42;
--> pull in parts on s1 s2 s4 for s3
--> sends SELECT * FROM "public"."customers" c, (SELECT "id", "user_id", "total", "status", "created", "product_id" FROM "public"."orders" UNION ALL SELECT c9 AS "id", c10 AS "user_id", c11 AS "total", c12 AS "status", c13 AS "created", c14 AS "product_id" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 1) o WHERE c.id = 42
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, (NULL::"public"."customers")."id" AS c1, (NULL::"public"."customers")."name" AS c2, (NULL::"public"."customers")."email" AS c3, (NULL::"public"."customers")."code" AS c4, (NULL::"public"."customers")."balance" AS c5, (NULL::"public"."customers")."score" AS c6, (NULL::"public"."customers")."country" AS c7, (NULL::"public"."customers")."created" AS c8, (NULL::"public"."orders")."id" AS c9, (NULL::"public"."orders")."user_id" AS c10, (NULL::"public"."orders")."total" AS c11, (NULL::"public"."orders")."status" AS c12, (NULL::"public"."orders")."created" AS c13, (NULL::"public"."orders")."product_id" AS c14 WITH NO DATA
--> s1 s2 s4 gets SELECT 1::pg_catalog.int2, (NULL::"public"."customers")."id", (NULL::"public"."customers")."name", (NULL::"public"."customers")."email", (NULL::"public"."customers")."code", (NULL::"public"."customers")."balance", (NULL::"public"."customers")."score", (NULL::"public"."customers")."country", (NULL::"public"."customers")."created", "id", "user_id", "total", "status", "created", "product_id" FROM "public"."orders"
SELECT * FROM customers c, orders o WHERE c.id = 42 AND o.user_id = 42;
--> one on s3
SELECT * FROM customers c, orders o WHERE c.id = 42 AND o.user_id = 43;
--> pull in parts on s3 for s4
--> sends SELECT * FROM (SELECT c1 AS "id", c2 AS "name", c3 AS "email", c4 AS "code", c5 AS "balance", c6 AS "score", c7 AS "country", c8 AS "created" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) c, "public"."orders" o WHERE c.id = 42 AND o.user_id = 43
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, (NULL::"public"."customers")."id" AS c1, (NULL::"public"."customers")."name" AS c2, (NULL::"public"."customers")."email" AS c3, (NULL::"public"."customers")."code" AS c4, (NULL::"public"."customers")."balance" AS c5, (NULL::"public"."customers")."score" AS c6, (NULL::"public"."customers")."country" AS c7, (NULL::"public"."customers")."created" AS c8, (NULL::"public"."orders")."id" AS c9, (NULL::"public"."orders")."user_id" AS c10, (NULL::"public"."orders")."total" AS c11, (NULL::"public"."orders")."status" AS c12, (NULL::"public"."orders")."created" AS c13, (NULL::"public"."orders")."product_id" AS c14 WITH NO DATA
--> s3 gets SELECT 0::pg_catalog.int2, "id", "name", "email", "code", "balance", "score", "country", "created", (NULL::"public"."orders")."id", (NULL::"public"."orders")."user_id", (NULL::"public"."orders")."total", (NULL::"public"."orders")."status", (NULL::"public"."orders")."created", (NULL::"public"."orders")."product_id" FROM "public"."customers" AS "c" WHERE (c.id = 42) AND "c"."id" OPERATOR(pg_catalog.=) ANY ('{42}'::pg_catalog.int8[])
SELECT * FROM orders o, orders p WHERE o.user_id = 42;
--> pull in parts on s1 s3 s4 for s2
--> sends SELECT * FROM (SELECT c1 AS "id", c2 AS "user_id", c3 AS "total", c4 AS "status", c5 AS "created", c6 AS "product_id" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) o, (SELECT "id", "user_id", "total", "status", "created", "product_id" FROM "public"."orders" UNION ALL SELECT c7 AS "id", c8 AS "user_id", c9 AS "total", c10 AS "status", c11 AS "created", c12 AS "product_id" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 1) p WHERE o.user_id = 42
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, (NULL::"public"."orders")."id" AS c1, (NULL::"public"."orders")."user_id" AS c2, (NULL::"public"."orders")."total" AS c3, (NULL::"public"."orders")."status" AS c4, (NULL::"public"."orders")."created" AS c5, (NULL::"public"."orders")."product_id" AS c6, (NULL::"public"."orders")."id" AS c7, (NULL::"public"."orders")."user_id" AS c8, (NULL::"public"."orders")."total" AS c9, (NULL::"public"."orders")."status" AS c10, (NULL::"public"."orders")."created" AS c11, (NULL::"public"."orders")."product_id" AS c12 WITH NO DATA
--> s1 s4 gets SELECT 1::pg_catalog.int2, (NULL::"public"."orders")."id", (NULL::"public"."orders")."user_id", (NULL::"public"."orders")."total", (NULL::"public"."orders")."status", (NULL::"public"."orders")."created", (NULL::"public"."orders")."product_id", "id", "user_id", "total", "status", "created", "product_id" FROM "public"."orders"
--> s3 gets SELECT 0::pg_catalog.int2, "id", "user_id", "total", "status", "created", "product_id", (NULL::"public"."orders")."id", (NULL::"public"."orders")."user_id", (NULL::"public"."orders")."total", (NULL::"public"."orders")."status", (NULL::"public"."orders")."created", (NULL::"public"."orders")."product_id" FROM "public"."orders" AS "o" WHERE (o.user_id = 42) AND "o"."user_id" OPERATOR(pg_catalog.=) ANY ('{42}'::pg_catalog.int8[]) UNION ALL SELECT 1::pg_catalog.int2, (NULL::"public"."orders")."id", (NULL::"public"."orders")."user_id", (NULL::"public"."orders")."total", (NULL::"public"."orders")."status", (NULL::"public"."orders")."created", (NULL::"public"."orders")."product_id", "id", "user_id", "total", "status", "created", "product_id" FROM "public"."orders"
SELECT * FROM customers orders, orders customers WHERE orders.id = 42 AND customers.user_id = 42;
--> one on s3
SELECT * FROM customers orders, orders customers WHERE customers.id = 42;
--> pull in parts on s1 s2 s4 for s3
--> sends SELECT * FROM (SELECT "id", "name", "email", "code", "balance", "score", "country", "created" FROM "public"."customers" UNION ALL SELECT c1 AS "id", c2 AS "name", c3 AS "email", c4 AS "code", c5 AS "balance", c6 AS "score", c7 AS "country", c8 AS "created" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) orders, (SELECT "id", "user_id", "total", "status", "created", "product_id" FROM "public"."orders" UNION ALL SELECT c9 AS "id", c10 AS "user_id", c11 AS "total", c12 AS "status", c13 AS "created", c14 AS "product_id" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 1) customers WHERE customers.id = 42
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, (NULL::"public"."customers")."id" AS c1, (NULL::"public"."customers")."name" AS c2, (NULL::"public"."customers")."email" AS c3, (NULL::"public"."customers")."code" AS c4, (NULL::"public"."customers")."balance" AS c5, (NULL::"public"."customers")."score" AS c6, (NULL::"public"."customers")."country" AS c7, (NULL::"public"."customers")."created" AS c8, (NULL::"public"."orders")."id" AS c9, (NULL::"public"."orders")."user_id" AS c10, (NULL::"public"."orders")."total" AS c11, (NULL::"public"."orders")."status" AS c12, (NULL::"public"."orders")."created" AS c13, (NULL::"public"."orders")."product_id" AS c14 WITH NO DATA
--> s1 s2 s4 gets SELECT 0::pg_catalog.int2, "id", "name", "email", "code", "balance", "score", "country", "created", (NULL::"public"."orders")."id", (NULL::"public"."orders")."user_id", (NULL::"public"."orders")."total", (NULL::"public"."orders")."status", (NULL::"public"."orders")."created", (NULL::"public"."orders")."product_id" FROM "public"."customers" UNION ALL SELECT 1::pg_catalog.int2, (NULL::"public"."customers")."id", (NULL::"public"."customers")."name", (NULL::"public"."customers")."email", (NULL::"public"."customers")."code", (NULL::"public"."customers")."balance", (NULL::"public"."customers")."score", (NULL::"public"."customers")."country", (NULL::"public"."customers")."created", "id", "user_id", "total", "status", "created", "product_id" FROM "public"."orders" AS "customers" WHERE (customers.id = 42)
SELECT * FROM customers a, orders a WHERE a.id = 42;
--> pull in parts on s2 s3 s4 for s1
--> sends SELECT * FROM (SELECT "id", "name", "email", "code", "balance", "score", "country", "created" FROM "public"."customers" UNION ALL SELECT c1 AS "id", c2 AS "name", c3 AS "email", c4 AS "code", c5 AS "balance", c6 AS "score", c7 AS "country", c8 AS "created" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) a, (SELECT "id", "user_id", "total", "status", "created", "product_id" FROM "public"."orders" UNION ALL SELECT c9 AS "id", c10 AS "user_id", c11 AS "total", c12 AS "status", c13 AS "created", c14 AS "product_id" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 1) a WHERE a.id = 42
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, (NULL::"public"."customers")."id" AS c1, (NULL::"public"."customers")."name" AS c2, (NULL::"public"."customers")."email" AS c3, (NULL::"public"."customers")."code" AS c4, (NULL::"public"."customers")."balance" AS c5, (NULL::"public"."customers")."score" AS c6, (NULL::"public"."customers")."country" AS c7, (NULL::"public"."customers")."created" AS c8, (NULL::"public"."orders")."id" AS c9, (NULL::"public"."orders")."user_id" AS c10, (NULL::"public"."orders")."total" AS c11, (NULL::"public"."orders")."status" AS c12, (NULL::"public"."orders")."created" AS c13, (NULL::"public"."orders")."product_id" AS c14 WITH NO DATA
--> s2 s3 s4 gets SELECT 0::pg_catalog.int2, "id", "name", "email", "code", "balance", "score", "country", "created", (NULL::"public"."orders")."id", (NULL::"public"."orders")."user_id", (NULL::"public"."orders")."total", (NULL::"public"."orders")."status", (NULL::"public"."orders")."created", (NULL::"public"."orders")."product_id" FROM "public"."customers" UNION ALL SELECT 1::pg_catalog.int2, (NULL::"public"."customers")."id", (NULL::"public"."customers")."name", (NULL::"public"."customers")."email", (NULL::"public"."customers")."code", (NULL::"public"."customers")."balance", (NULL::"public"."customers")."score", (NULL::"public"."customers")."country", (NULL::"public"."customers")."created", "id", "user_id", "total", "status", "created", "product_id" FROM "public"."orders"
SELECT * FROM customers, orders WHERE id = 42;
--> pull in parts on s1 s2 s3 for s4
--> sends SELECT * FROM (SELECT "id", "name", "email", "code", "balance", "score", "country", "created" FROM "public"."customers" UNION ALL SELECT c1 AS "id", c2 AS "name", c3 AS "email", c4 AS "code", c5 AS "balance", c6 AS "score", c7 AS "country", c8 AS "created" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) customers, (SELECT "id", "user_id", "total", "status", "created", "product_id" FROM "public"."orders" UNION ALL SELECT c9 AS "id", c10 AS "user_id", c11 AS "total", c12 AS "status", c13 AS "created", c14 AS "product_id" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 1) orders WHERE id = 42
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, (NULL::"public"."customers")."id" AS c1, (NULL::"public"."customers")."name" AS c2, (NULL::"public"."customers")."email" AS c3, (NULL::"public"."customers")."code" AS c4, (NULL::"public"."customers")."balance" AS c5, (NULL::"public"."customers")."score" AS c6, (NULL::"public"."customers")."country" AS c7, (NULL::"public"."customers")."created" AS c8, (NULL::"public"."orders")."id" AS c9, (NULL::"public"."orders")."user_id" AS c10, (NULL::"public"."orders")."total" AS c11, (NULL::"public"."orders")."status" AS c12, (NULL::"public"."orders")."created" AS c13, (NULL::"public"."orders")."product_id" AS c14 WITH NO DATA
--> s1 s2 s3 gets SELECT 0::pg_catalog.int2, "id", "name", "email", "code", "balance", "score", "country", "created", (NULL::"public"."orders")."id", (NULL::"public"."orders")."user_id", (NULL::"public"."orders")."total", (NULL::"public"."orders")."status", (NULL::"public"."orders")."created", (NULL::"public"."orders")."product_id" FROM "public"."customers" UNION ALL SELECT 1::pg_catalog.int2, (NULL::"public"."customers")."id", (NULL::"public"."customers")."name", (NULL::"public"."customers")."email", (NULL::"public"."customers")."code", (NULL::"public"."customers")."balance", (NULL::"public"."customers")."score", (NULL::"public"."customers")."country", (NULL::"public"."customers")."created", "id", "user_id", "total", "status", "created", "product_id" FROM "public"."orders"
SELECT name FROM accounts WHERE name = 42;
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT * FROM accounts WHERE name = 'abc' COLLATE "und-x-icu";
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT * FROM accounts WHERE name LIKE 'abc';
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT * FROM accounts WHERE name = 'abc'::bpchar;
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT * FROM accounts WHERE lower(name) = 'abc';
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT * FROM zoned WHERE at = '2024-02-29 12:00:00';
--> refused (key not understood): the value of shard key "at" is not understood
-->   detail: A value for table "zoned" has a form that pgring cannot place with certainty.
-->   hint: Write the value as a plain constant of the key's type, or bind it as a parameter of that type.
SELECT * FROM zoned WHERE at = 'now';
--> refused (key not understood): the value of shard key "at" is not understood
-->   detail: A value for table "zoned" has a form that pgring cannot place with certainty.
-->   hint: Write the value as a plain constant of the key's type, or bind it as a parameter of that type.
SELECT * FROM stamps WHERE at = now();
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT * FROM stamps WHERE at = date '2024-02-29';
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT * FROM docs WHERE owner = 42;
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT * FROM docs WHERE id::text = '00000000-0000-0000-0000-000000000001';
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT * FROM customers WHERE id IN (SELECT 42);
--> one on s3
SELECT * FROM customers WHERE id IN (SELECT id FROM settings);
--> pull in parts on s2 s3 s4 for s1
--> sends SELECT * FROM (SELECT "id", "name", "email", "code", "balance", "score", "country", "created" FROM "public"."customers" UNION ALL SELECT c1 AS "id", c2 AS "name", c3 AS "email", c4 AS "code", c5 AS "balance", c6 AS "score", c7 AS "country", c8 AS "created" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) customers WHERE id IN (SELECT id FROM settings)
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, (NULL::"public"."customers")."id" AS c1, (NULL::"public"."customers")."name" AS c2, (NULL::"public"."customers")."email" AS c3, (NULL::"public"."customers")."code" AS c4, (NULL::"public"."customers")."balance" AS c5, (NULL::"public"."customers")."score" AS c6, (NULL::"public"."customers")."country" AS c7, (NULL::"public"."customers")."created" AS c8 WITH NO DATA
--> s2 s3 s4 gets SELECT 0::pg_catalog.int2, "id", "name", "email", "code", "balance", "score", "country", "created" FROM "public"."customers"
SELECT name FROM customers WHERE customers.id = (42);
--> one on s3
SELECT * FROM generate_series(1, 3) id WHERE id = 42;
--> home on s1, anywhere
SELECT * FROM orders, generate_series(1, 3) user_id WHERE user_id = 42;
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT * FROM orders, unnest(ARRAY[1]) WHERE user_id = 42;
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT * FROM planned WHERE tenant_id = 42;
--> one on s3
SELECT * FROM planned p JOIN customers c ON c.id = p.tenant_id WHERE c.id = 42;
--> one on s3
--$ bpchar:abc␣
SELECT * FROM accounts WHERE name = $1;
--> refused (key not understood): the value of shard key "name" is not understood
-->   detail: Parameter $1 is declared with type oid 1042, and the key is of type text.
-->   hint: Write the value as a plain constant of the key's type, or bind it as a parameter of that type.
--$ 2024-02-29
SELECT * FROM stamps WHERE at = $1 AND $1 IS NOT NULL;
--> refused (key not understood): the value of shard key "at" is not understood
-->   detail: Parameter $1 has no declared type and is used in several places, so its type is not certain.
-->   hint: Declare the parameter's type, or bind the key as a parameter of its own.
--$ date:2024-02-29
SELECT * FROM stamps WHERE at = $1;
--> refused (key not understood): the value of shard key "at" is not understood
-->   detail: Parameter $1 is declared with type oid 1082, and the key is of type timestamp.
-->   hint: Write the value as a plain constant of the key's type, or bind it as a parameter of that type.
