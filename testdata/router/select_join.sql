-- Keys carried through joins, subqueries, CTEs: one shard.

SELECT * FROM customers c JOIN orders o ON o.user_id = c.id WHERE c.id = 42;
--> one on s3
SELECT * FROM customers c JOIN orders o ON c.id = o.user_id JOIN order_items i ON i.user_id = o.user_id WHERE i.user_id = 42;
--> one on s3
SELECT * FROM customers c, orders o WHERE c.id = o.user_id AND o.user_id = 42;
--> one on s3
SELECT * FROM orders o JOIN order_items i USING (user_id) WHERE user_id = 42;
--> one on s3
SELECT * FROM orders o JOIN order_items i USING (user_id) WHERE i.user_id = 42;
--> one on s3
SELECT * FROM orders NATURAL JOIN loose WHERE user_id = 42;
--> one on s3
SELECT * FROM orders o LEFT JOIN order_items i ON i.user_id = o.user_id AND i.order_id = o.id WHERE o.user_id = 42;
--> one on s3
SELECT * FROM orders o LEFT JOIN order_items i ON i.user_id = o.user_id AND i.user_id = 42;
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT * FROM orders o LEFT JOIN order_items i ON i.user_id = o.user_id WHERE i.user_id = 42;
--> one on s3
SELECT * FROM orders o LEFT JOIN order_items i ON o.user_id = 42;
--> pull in parts on s1 s3 s4 for s2
--> sends SELECT * FROM (SELECT "id", "user_id", "total", "status", "created", "product_id" FROM "public"."orders" UNION ALL SELECT c1 AS "id", c2 AS "user_id", c3 AS "total", c4 AS "status", c5 AS "created", c6 AS "product_id" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) o LEFT JOIN (SELECT "order_id", "user_id", "product_id", "qty" FROM "public"."order_items" UNION ALL SELECT c7 AS "order_id", c8 AS "user_id", c9 AS "product_id", c10 AS "qty" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 1) i ON o.user_id = 42
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, (NULL::"public"."orders")."id" AS c1, (NULL::"public"."orders")."user_id" AS c2, (NULL::"public"."orders")."total" AS c3, (NULL::"public"."orders")."status" AS c4, (NULL::"public"."orders")."created" AS c5, (NULL::"public"."orders")."product_id" AS c6, (NULL::"public"."order_items")."order_id" AS c7, (NULL::"public"."order_items")."user_id" AS c8, (NULL::"public"."order_items")."product_id" AS c9, (NULL::"public"."order_items")."qty" AS c10 WITH NO DATA
--> s1 s3 s4 gets SELECT 0::pg_catalog.int2, "id", "user_id", "total", "status", "created", "product_id", (NULL::"public"."order_items")."order_id", (NULL::"public"."order_items")."user_id", (NULL::"public"."order_items")."product_id", (NULL::"public"."order_items")."qty" FROM "public"."orders" UNION ALL SELECT 1::pg_catalog.int2, (NULL::"public"."orders")."id", (NULL::"public"."orders")."user_id", (NULL::"public"."orders")."total", (NULL::"public"."orders")."status", (NULL::"public"."orders")."created", (NULL::"public"."orders")."product_id", "order_id", "user_id", "product_id", "qty" FROM "public"."order_items"
SELECT * FROM orders o RIGHT JOIN order_items i ON i.user_id = o.user_id WHERE i.user_id = 42;
--> one on s3
SELECT * FROM orders o FULL JOIN order_items i ON i.user_id = o.user_id AND o.user_id = 42;
--> pull in parts on s1 s3 s4 for s2
--> sends SELECT * FROM (SELECT "id", "user_id", "total", "status", "created", "product_id" FROM "public"."orders" UNION ALL SELECT c1 AS "id", c2 AS "user_id", c3 AS "total", c4 AS "status", c5 AS "created", c6 AS "product_id" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) o FULL JOIN (SELECT "order_id", "user_id", "product_id", "qty" FROM "public"."order_items" UNION ALL SELECT c7 AS "order_id", c8 AS "user_id", c9 AS "product_id", c10 AS "qty" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 1) i ON i.user_id = o.user_id AND o.user_id = 42
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, (NULL::"public"."orders")."id" AS c1, (NULL::"public"."orders")."user_id" AS c2, (NULL::"public"."orders")."total" AS c3, (NULL::"public"."orders")."status" AS c4, (NULL::"public"."orders")."created" AS c5, (NULL::"public"."orders")."product_id" AS c6, (NULL::"public"."order_items")."order_id" AS c7, (NULL::"public"."order_items")."user_id" AS c8, (NULL::"public"."order_items")."product_id" AS c9, (NULL::"public"."order_items")."qty" AS c10 WITH NO DATA
--> s1 s3 s4 gets SELECT 0::pg_catalog.int2, "id", "user_id", "total", "status", "created", "product_id", (NULL::"public"."order_items")."order_id", (NULL::"public"."order_items")."user_id", (NULL::"public"."order_items")."product_id", (NULL::"public"."order_items")."qty" FROM "public"."orders" UNION ALL SELECT 1::pg_catalog.int2, (NULL::"public"."orders")."id", (NULL::"public"."orders")."user_id", (NULL::"public"."orders")."total", (NULL::"public"."orders")."status", (NULL::"public"."orders")."created", (NULL::"public"."orders")."product_id", "order_id", "user_id", "product_id", "qty" FROM "public"."order_items"
SELECT * FROM orders o FULL JOIN order_items i USING (user_id) WHERE user_id = 42;
--> pull in parts on s2 s3 s4 for s1
--> sends SELECT * FROM (SELECT "id", "user_id", "total", "status", "created", "product_id" FROM "public"."orders" UNION ALL SELECT c1 AS "id", c2 AS "user_id", c3 AS "total", c4 AS "status", c5 AS "created", c6 AS "product_id" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) o FULL JOIN (SELECT "order_id", "user_id", "product_id", "qty" FROM "public"."order_items" UNION ALL SELECT c7 AS "order_id", c8 AS "user_id", c9 AS "product_id", c10 AS "qty" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 1) i USING (user_id) WHERE user_id = 42
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, (NULL::"public"."orders")."id" AS c1, (NULL::"public"."orders")."user_id" AS c2, (NULL::"public"."orders")."total" AS c3, (NULL::"public"."orders")."status" AS c4, (NULL::"public"."orders")."created" AS c5, (NULL::"public"."orders")."product_id" AS c6, (NULL::"public"."order_items")."order_id" AS c7, (NULL::"public"."order_items")."user_id" AS c8, (NULL::"public"."order_items")."product_id" AS c9, (NULL::"public"."order_items")."qty" AS c10 WITH NO DATA
--> s2 s3 s4 gets SELECT 0::pg_catalog.int2, "id", "user_id", "total", "status", "created", "product_id", (NULL::"public"."order_items")."order_id", (NULL::"public"."order_items")."user_id", (NULL::"public"."order_items")."product_id", (NULL::"public"."order_items")."qty" FROM "public"."orders" UNION ALL SELECT 1::pg_catalog.int2, (NULL::"public"."orders")."id", (NULL::"public"."orders")."user_id", (NULL::"public"."orders")."total", (NULL::"public"."orders")."status", (NULL::"public"."orders")."created", (NULL::"public"."orders")."product_id", "order_id", "user_id", "product_id", "qty" FROM "public"."order_items"
SELECT * FROM (customers c JOIN orders o ON o.user_id = c.id) AS j WHERE j.user_id = 42;
--> one on s3
SELECT * FROM customers c JOIN products p ON p.name = c.name WHERE c.id = 42;
--> one on s3
SELECT * FROM countries t LEFT JOIN customers c ON c.country = t.code AND c.id = 42;
--> one on s3
SELECT * FROM customers c CROSS JOIN settings s WHERE c.id = 42;
--> pull in parts on s3 for s1
--> sends SELECT * FROM (SELECT c1 AS "id", c2 AS "name", c3 AS "email", c4 AS "code", c5 AS "balance", c6 AS "score", c7 AS "country", c8 AS "created" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) c CROSS JOIN settings s WHERE c.id = 42
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, (NULL::"public"."customers")."id" AS c1, (NULL::"public"."customers")."name" AS c2, (NULL::"public"."customers")."email" AS c3, (NULL::"public"."customers")."code" AS c4, (NULL::"public"."customers")."balance" AS c5, (NULL::"public"."customers")."score" AS c6, (NULL::"public"."customers")."country" AS c7, (NULL::"public"."customers")."created" AS c8 WITH NO DATA
--> s3 gets SELECT 0::pg_catalog.int2, "id", "name", "email", "code", "balance", "score", "country", "created" FROM "public"."customers" AS "c" WHERE (c.id = 42) AND "c"."id" OPERATOR(pg_catalog.=) ANY ('{42}'::pg_catalog.int8[])
SELECT * FROM customers c CROSS JOIN settings s WHERE c.id = 1;
--> pull in parts on s4 for s1
--> sends SELECT * FROM (SELECT c1 AS "id", c2 AS "name", c3 AS "email", c4 AS "code", c5 AS "balance", c6 AS "score", c7 AS "country", c8 AS "created" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) c CROSS JOIN settings s WHERE c.id = 1
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, (NULL::"public"."customers")."id" AS c1, (NULL::"public"."customers")."name" AS c2, (NULL::"public"."customers")."email" AS c3, (NULL::"public"."customers")."code" AS c4, (NULL::"public"."customers")."balance" AS c5, (NULL::"public"."customers")."score" AS c6, (NULL::"public"."customers")."country" AS c7, (NULL::"public"."customers")."created" AS c8 WITH NO DATA
--> s4 gets SELECT 0::pg_catalog.int2, "id", "name", "email", "code", "balance", "score", "country", "created" FROM "public"."customers" AS "c" WHERE (c.id = 1) AND "c"."id" OPERATOR(pg_catalog.=) ANY ('{1}'::pg_catalog.int8[])
SELECT * FROM customers c CROSS JOIN faraway f WHERE c.id = 42;
--> one on s3
SELECT * FROM customers c JOIN docs d ON d.owner = c.id WHERE c.id = 42;
--> pull in parts on s1 s2 s4 for s3
--> sends SELECT * FROM "public"."customers" c JOIN (SELECT "id", "body", "owner" FROM "public"."docs" UNION ALL SELECT c9 AS "id", c10 AS "body", c11 AS "owner" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 1) d ON d.owner = c.id WHERE c.id = 42
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, (NULL::"public"."customers")."id" AS c1, (NULL::"public"."customers")."name" AS c2, (NULL::"public"."customers")."email" AS c3, (NULL::"public"."customers")."code" AS c4, (NULL::"public"."customers")."balance" AS c5, (NULL::"public"."customers")."score" AS c6, (NULL::"public"."customers")."country" AS c7, (NULL::"public"."customers")."created" AS c8, (NULL::"public"."docs")."id" AS c9, (NULL::"public"."docs")."body" AS c10, (NULL::"public"."docs")."owner" AS c11 WITH NO DATA
--> s1 s2 s4 gets SELECT 1::pg_catalog.int2, (NULL::"public"."customers")."id", (NULL::"public"."customers")."name", (NULL::"public"."customers")."email", (NULL::"public"."customers")."code", (NULL::"public"."customers")."balance", (NULL::"public"."customers")."score", (NULL::"public"."customers")."country", (NULL::"public"."customers")."created", "id", "body", "owner" FROM "public"."docs"
SELECT * FROM orders o JOIN order_items i ON i.order_id = o.id WHERE o.user_id = 42;
--> pull in parts on s1 s2 s3 for s4
--> sends SELECT * FROM (SELECT c1 AS "id", c2 AS "user_id", c3 AS "total", c4 AS "status", c5 AS "created", c6 AS "product_id" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) o JOIN (SELECT "order_id", "user_id", "product_id", "qty" FROM "public"."order_items" UNION ALL SELECT c7 AS "order_id", c8 AS "user_id", c9 AS "product_id", c10 AS "qty" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 1) i ON i.order_id = o.id WHERE o.user_id = 42
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, (NULL::"public"."orders")."id" AS c1, (NULL::"public"."orders")."user_id" AS c2, (NULL::"public"."orders")."total" AS c3, (NULL::"public"."orders")."status" AS c4, (NULL::"public"."orders")."created" AS c5, (NULL::"public"."orders")."product_id" AS c6, (NULL::"public"."order_items")."order_id" AS c7, (NULL::"public"."order_items")."user_id" AS c8, (NULL::"public"."order_items")."product_id" AS c9, (NULL::"public"."order_items")."qty" AS c10 WITH NO DATA
--> s1 s2 gets SELECT 1::pg_catalog.int2, (NULL::"public"."orders")."id", (NULL::"public"."orders")."user_id", (NULL::"public"."orders")."total", (NULL::"public"."orders")."status", (NULL::"public"."orders")."created", (NULL::"public"."orders")."product_id", "order_id", "user_id", "product_id", "qty" FROM "public"."order_items"
--> s3 gets SELECT 0::pg_catalog.int2, "id", "user_id", "total", "status", "created", "product_id", (NULL::"public"."order_items")."order_id", (NULL::"public"."order_items")."user_id", (NULL::"public"."order_items")."product_id", (NULL::"public"."order_items")."qty" FROM "public"."orders" AS "o" WHERE (o.user_id = 42) AND "o"."user_id" OPERATOR(pg_catalog.=) ANY ('{42}'::pg_catalog.int8[]) UNION ALL SELECT 1::pg_catalog.int2, (NULL::"public"."orders")."id", (NULL::"public"."orders")."user_id", (NULL::"public"."orders")."total", (NULL::"public"."orders")."status", (NULL::"public"."orders")."created", (NULL::"public"."orders")."product_id", "order_id", "user_id", "product_id", "qty" FROM "public"."order_items"
SELECT * FROM customers c JOIN settings s ON s.user_id = c.id AND s.user_id = 1;
--> pull in parts on s4 for s1
--> sends SELECT * FROM (SELECT c1 AS "id", c2 AS "name", c3 AS "email", c4 AS "code", c5 AS "balance", c6 AS "score", c7 AS "country", c8 AS "created" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) c JOIN settings s ON s.user_id = c.id AND s.user_id = 1
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, (NULL::"public"."customers")."id" AS c1, (NULL::"public"."customers")."name" AS c2, (NULL::"public"."customers")."email" AS c3, (NULL::"public"."customers")."code" AS c4, (NULL::"public"."customers")."balance" AS c5, (NULL::"public"."customers")."score" AS c6, (NULL::"public"."customers")."country" AS c7, (NULL::"public"."customers")."created" AS c8 WITH NO DATA
--> s4 gets SELECT 0::pg_catalog.int2, "id", "name", "email", "code", "balance", "score", "country", "created" FROM "public"."customers" AS "c" WHERE "c"."id" OPERATOR(pg_catalog.=) ANY ('{1}'::pg_catalog.int8[])

-- Subqueries.
SELECT * FROM (SELECT * FROM orders WHERE user_id = 42) o;
--> one on s3
SELECT * FROM (SELECT * FROM orders) o WHERE user_id = 42;
--> one on s3
SELECT * FROM (SELECT user_id AS u, count(*) FROM orders GROUP BY user_id) o WHERE u = 42;
--> one on s3
SELECT * FROM (SELECT user_id AS u FROM orders LIMIT 10) o WHERE u = 42;
--> pull in parts on s1 s2 s4 for s3
--> sends SELECT * FROM (SELECT user_id AS u FROM (SELECT "id", "user_id", "total", "status", "created", "product_id" FROM "public"."orders" UNION ALL SELECT c1 AS "id", c2 AS "user_id", c3 AS "total", c4 AS "status", c5 AS "created", c6 AS "product_id" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) orders LIMIT 10) o WHERE u = 42
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, (NULL::"public"."orders")."id" AS c1, (NULL::"public"."orders")."user_id" AS c2, (NULL::"public"."orders")."total" AS c3, (NULL::"public"."orders")."status" AS c4, (NULL::"public"."orders")."created" AS c5, (NULL::"public"."orders")."product_id" AS c6 WITH NO DATA
--> s1 s2 s4 gets SELECT 0::pg_catalog.int2, "id", "user_id", "total", "status", "created", "product_id" FROM "public"."orders"
SELECT * FROM (SELECT user_id AS u, row_number() OVER () FROM orders) o WHERE u = 42;
--> pull in parts on s1 s2 s4 for s3
--> sends SELECT * FROM (SELECT user_id AS u, row_number() OVER () FROM (SELECT "id", "user_id", "total", "status", "created", "product_id" FROM "public"."orders" UNION ALL SELECT c1 AS "id", c2 AS "user_id", c3 AS "total", c4 AS "status", c5 AS "created", c6 AS "product_id" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) orders) o WHERE u = 42
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, (NULL::"public"."orders")."id" AS c1, (NULL::"public"."orders")."user_id" AS c2, (NULL::"public"."orders")."total" AS c3, (NULL::"public"."orders")."status" AS c4, (NULL::"public"."orders")."created" AS c5, (NULL::"public"."orders")."product_id" AS c6 WITH NO DATA
--> s1 s2 s4 gets SELECT 0::pg_catalog.int2, "id", "user_id", "total", "status", "created", "product_id" FROM "public"."orders"
SELECT * FROM (SELECT max(user_id) AS u FROM orders) o WHERE u = 42;
--> pull in parts on s1 s3 s4 for s2
--> sends SELECT * FROM (SELECT max(user_id) AS u FROM (SELECT "id", "user_id", "total", "status", "created", "product_id" FROM "public"."orders" UNION ALL SELECT c1 AS "id", c2 AS "user_id", c3 AS "total", c4 AS "status", c5 AS "created", c6 AS "product_id" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) orders) o WHERE u = 42
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, (NULL::"public"."orders")."id" AS c1, (NULL::"public"."orders")."user_id" AS c2, (NULL::"public"."orders")."total" AS c3, (NULL::"public"."orders")."status" AS c4, (NULL::"public"."orders")."created" AS c5, (NULL::"public"."orders")."product_id" AS c6 WITH NO DATA
--> s1 s3 s4 gets SELECT 0::pg_catalog.int2, "id", "user_id", "total", "status", "created", "product_id" FROM "public"."orders"
SELECT * FROM (SELECT user_id FROM orders UNION ALL SELECT user_id FROM order_items) x WHERE user_id = 42;
--> one on s3
SELECT * FROM (SELECT user_id + 0 AS user_id FROM orders) o WHERE user_id = 42;
--> pull in parts on s1 s3 s4 for s2
--> sends SELECT * FROM (SELECT user_id + 0 AS user_id FROM (SELECT "id", "user_id", "total", "status", "created", "product_id" FROM "public"."orders" UNION ALL SELECT c1 AS "id", c2 AS "user_id", c3 AS "total", c4 AS "status", c5 AS "created", c6 AS "product_id" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) orders) o WHERE user_id = 42
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, (NULL::"public"."orders")."id" AS c1, (NULL::"public"."orders")."user_id" AS c2, (NULL::"public"."orders")."total" AS c3, (NULL::"public"."orders")."status" AS c4, (NULL::"public"."orders")."created" AS c5, (NULL::"public"."orders")."product_id" AS c6 WITH NO DATA
--> s1 s3 s4 gets SELECT 0::pg_catalog.int2, "id", "user_id", "total", "status", "created", "product_id" FROM "public"."orders"
SELECT * FROM customers c WHERE c.id = 42 AND EXISTS (SELECT 1 FROM orders o WHERE o.user_id = c.id);
--> one on s3
SELECT * FROM customers c WHERE c.id = 42 AND NOT EXISTS (SELECT 1 FROM orders o WHERE o.user_id = c.id);
--> one on s3
SELECT * FROM customers c WHERE c.id = 42 AND EXISTS (SELECT 1 FROM orders o WHERE o.id = c.id);
--> pull in parts on s1 s3 s4 for s2
--> sends SELECT * FROM (SELECT c1 AS "id", c2 AS "name", c3 AS "email", c4 AS "code", c5 AS "balance", c6 AS "score", c7 AS "country", c8 AS "created" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) c WHERE c.id = 42 AND EXISTS (SELECT 1 FROM (SELECT "id", "user_id", "total", "status", "created", "product_id" FROM "public"."orders" UNION ALL SELECT c9 AS "id", c10 AS "user_id", c11 AS "total", c12 AS "status", c13 AS "created", c14 AS "product_id" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 1) o WHERE o.id = c.id)
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, (NULL::"public"."customers")."id" AS c1, (NULL::"public"."customers")."name" AS c2, (NULL::"public"."customers")."email" AS c3, (NULL::"public"."customers")."code" AS c4, (NULL::"public"."customers")."balance" AS c5, (NULL::"public"."customers")."score" AS c6, (NULL::"public"."customers")."country" AS c7, (NULL::"public"."customers")."created" AS c8, (NULL::"public"."orders")."id" AS c9, (NULL::"public"."orders")."user_id" AS c10, (NULL::"public"."orders")."total" AS c11, (NULL::"public"."orders")."status" AS c12, (NULL::"public"."orders")."created" AS c13, (NULL::"public"."orders")."product_id" AS c14 WITH NO DATA
--> s1 s4 gets SELECT 1::pg_catalog.int2, (NULL::"public"."customers")."id", (NULL::"public"."customers")."name", (NULL::"public"."customers")."email", (NULL::"public"."customers")."code", (NULL::"public"."customers")."balance", (NULL::"public"."customers")."score", (NULL::"public"."customers")."country", (NULL::"public"."customers")."created", "id", "user_id", "total", "status", "created", "product_id" FROM "public"."orders"
--> s3 gets SELECT 0::pg_catalog.int2, "id", "name", "email", "code", "balance", "score", "country", "created", (NULL::"public"."orders")."id", (NULL::"public"."orders")."user_id", (NULL::"public"."orders")."total", (NULL::"public"."orders")."status", (NULL::"public"."orders")."created", (NULL::"public"."orders")."product_id" FROM "public"."customers" AS "c" WHERE (c.id = 42) AND "c"."id" OPERATOR(pg_catalog.=) ANY ('{42}'::pg_catalog.int8[]) UNION ALL SELECT 1::pg_catalog.int2, (NULL::"public"."customers")."id", (NULL::"public"."customers")."name", (NULL::"public"."customers")."email", (NULL::"public"."customers")."code", (NULL::"public"."customers")."balance", (NULL::"public"."customers")."score", (NULL::"public"."customers")."country", (NULL::"public"."customers")."created", "id", "user_id", "total", "status", "created", "product_id" FROM "public"."orders"
SELECT * FROM customers c WHERE c.id = 42 OR EXISTS (SELECT 1 FROM orders o WHERE o.user_id = c.id);
--> pull in parts on s1 s2 s3 for s4
--> sends SELECT * FROM (SELECT "id", "name", "email", "code", "balance", "score", "country", "created" FROM "public"."customers" UNION ALL SELECT c1 AS "id", c2 AS "name", c3 AS "email", c4 AS "code", c5 AS "balance", c6 AS "score", c7 AS "country", c8 AS "created" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) c WHERE c.id = 42 OR EXISTS (SELECT 1 FROM (SELECT "id", "user_id", "total", "status", "created", "product_id" FROM "public"."orders" UNION ALL SELECT c9 AS "id", c10 AS "user_id", c11 AS "total", c12 AS "status", c13 AS "created", c14 AS "product_id" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 1) o WHERE o.user_id = c.id)
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, (NULL::"public"."customers")."id" AS c1, (NULL::"public"."customers")."name" AS c2, (NULL::"public"."customers")."email" AS c3, (NULL::"public"."customers")."code" AS c4, (NULL::"public"."customers")."balance" AS c5, (NULL::"public"."customers")."score" AS c6, (NULL::"public"."customers")."country" AS c7, (NULL::"public"."customers")."created" AS c8, (NULL::"public"."orders")."id" AS c9, (NULL::"public"."orders")."user_id" AS c10, (NULL::"public"."orders")."total" AS c11, (NULL::"public"."orders")."status" AS c12, (NULL::"public"."orders")."created" AS c13, (NULL::"public"."orders")."product_id" AS c14 WITH NO DATA
--> s1 s2 s3 gets SELECT 0::pg_catalog.int2, "id", "name", "email", "code", "balance", "score", "country", "created", (NULL::"public"."orders")."id", (NULL::"public"."orders")."user_id", (NULL::"public"."orders")."total", (NULL::"public"."orders")."status", (NULL::"public"."orders")."created", (NULL::"public"."orders")."product_id" FROM "public"."customers" UNION ALL SELECT 1::pg_catalog.int2, (NULL::"public"."customers")."id", (NULL::"public"."customers")."name", (NULL::"public"."customers")."email", (NULL::"public"."customers")."code", (NULL::"public"."customers")."balance", (NULL::"public"."customers")."score", (NULL::"public"."customers")."country", (NULL::"public"."customers")."created", "id", "user_id", "total", "status", "created", "product_id" FROM "public"."orders"
SELECT (SELECT count(*) FROM orders o WHERE o.user_id = c.id) FROM customers c WHERE c.id = 42;
--> one on s3
SELECT (SELECT count(*) FROM orders) FROM customers c WHERE c.id = 42;
--> pull in parts on s1 s2 s3 for s4
--> sends SELECT (SELECT count(*) FROM (SELECT "id" FROM "public"."orders" UNION ALL SELECT c1 AS "id" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) orders) FROM (SELECT c2 AS "id" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 1) c WHERE c.id = 42
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, (NULL::"public"."orders")."id" AS c1, (NULL::"public"."customers")."id" AS c2 WITH NO DATA
--> s1 s2 gets SELECT 0::pg_catalog.int2, "id", (NULL::"public"."customers")."id" FROM "public"."orders"
--> s3 gets SELECT 0::pg_catalog.int2, "id", (NULL::"public"."customers")."id" FROM "public"."orders" UNION ALL SELECT 1::pg_catalog.int2, (NULL::"public"."orders")."id", "id" FROM "public"."customers" AS "c" WHERE (c.id = 42) AND "c"."id" OPERATOR(pg_catalog.=) ANY ('{42}'::pg_catalog.int8[])
SELECT * FROM customers WHERE id = 42 AND id IN (SELECT user_id FROM orders);
--> one on s3
SELECT * FROM customers WHERE id IN (SELECT user_id FROM orders WHERE user_id = 42);
--> one on s3
SELECT * FROM customers WHERE id IN (SELECT user_id FROM orders WHERE user_id = 42 UNION SELECT 7);
--> pull in parts on s2 s3 s4 for s1
--> sends SELECT * FROM (SELECT "id", "name", "email", "code", "balance", "score", "country", "created" FROM "public"."customers" UNION ALL SELECT c1 AS "id", c2 AS "name", c3 AS "email", c4 AS "code", c5 AS "balance", c6 AS "score", c7 AS "country", c8 AS "created" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) customers WHERE id IN (SELECT user_id FROM (SELECT c9 AS "id", c10 AS "user_id", c11 AS "total", c12 AS "status", c13 AS "created", c14 AS "product_id" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 1) orders WHERE user_id = 42 UNION SELECT 7)
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, (NULL::"public"."customers")."id" AS c1, (NULL::"public"."customers")."name" AS c2, (NULL::"public"."customers")."email" AS c3, (NULL::"public"."customers")."code" AS c4, (NULL::"public"."customers")."balance" AS c5, (NULL::"public"."customers")."score" AS c6, (NULL::"public"."customers")."country" AS c7, (NULL::"public"."customers")."created" AS c8, (NULL::"public"."orders")."id" AS c9, (NULL::"public"."orders")."user_id" AS c10, (NULL::"public"."orders")."total" AS c11, (NULL::"public"."orders")."status" AS c12, (NULL::"public"."orders")."created" AS c13, (NULL::"public"."orders")."product_id" AS c14 WITH NO DATA
--> s2 s4 gets SELECT 0::pg_catalog.int2, "id", "name", "email", "code", "balance", "score", "country", "created", (NULL::"public"."orders")."id", (NULL::"public"."orders")."user_id", (NULL::"public"."orders")."total", (NULL::"public"."orders")."status", (NULL::"public"."orders")."created", (NULL::"public"."orders")."product_id" FROM "public"."customers"
--> s3 gets SELECT 0::pg_catalog.int2, "id", "name", "email", "code", "balance", "score", "country", "created", (NULL::"public"."orders")."id", (NULL::"public"."orders")."user_id", (NULL::"public"."orders")."total", (NULL::"public"."orders")."status", (NULL::"public"."orders")."created", (NULL::"public"."orders")."product_id" FROM "public"."customers" UNION ALL SELECT 1::pg_catalog.int2, (NULL::"public"."customers")."id", (NULL::"public"."customers")."name", (NULL::"public"."customers")."email", (NULL::"public"."customers")."code", (NULL::"public"."customers")."balance", (NULL::"public"."customers")."score", (NULL::"public"."customers")."country", (NULL::"public"."customers")."created", "id", "user_id", "total", "status", "created", "product_id" FROM "public"."orders" AS "orders" WHERE (user_id = 42) AND "orders"."user_id" OPERATOR(pg_catalog.=) ANY ('{42}'::pg_catalog.int8[])
SELECT * FROM customers WHERE id = 42 AND id NOT IN (SELECT user_id FROM orders);
--> pull in parts on s1 s3 s4 for s2
--> sends SELECT * FROM (SELECT c1 AS "id", c2 AS "name", c3 AS "email", c4 AS "code", c5 AS "balance", c6 AS "score", c7 AS "country", c8 AS "created" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) customers WHERE id = 42 AND NOT id IN (SELECT user_id FROM (SELECT "id", "user_id", "total", "status", "created", "product_id" FROM "public"."orders" UNION ALL SELECT c9 AS "id", c10 AS "user_id", c11 AS "total", c12 AS "status", c13 AS "created", c14 AS "product_id" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 1) orders)
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, (NULL::"public"."customers")."id" AS c1, (NULL::"public"."customers")."name" AS c2, (NULL::"public"."customers")."email" AS c3, (NULL::"public"."customers")."code" AS c4, (NULL::"public"."customers")."balance" AS c5, (NULL::"public"."customers")."score" AS c6, (NULL::"public"."customers")."country" AS c7, (NULL::"public"."customers")."created" AS c8, (NULL::"public"."orders")."id" AS c9, (NULL::"public"."orders")."user_id" AS c10, (NULL::"public"."orders")."total" AS c11, (NULL::"public"."orders")."status" AS c12, (NULL::"public"."orders")."created" AS c13, (NULL::"public"."orders")."product_id" AS c14 WITH NO DATA
--> s1 s4 gets SELECT 1::pg_catalog.int2, (NULL::"public"."customers")."id", (NULL::"public"."customers")."name", (NULL::"public"."customers")."email", (NULL::"public"."customers")."code", (NULL::"public"."customers")."balance", (NULL::"public"."customers")."score", (NULL::"public"."customers")."country", (NULL::"public"."customers")."created", "id", "user_id", "total", "status", "created", "product_id" FROM "public"."orders"
--> s3 gets SELECT 0::pg_catalog.int2, "id", "name", "email", "code", "balance", "score", "country", "created", (NULL::"public"."orders")."id", (NULL::"public"."orders")."user_id", (NULL::"public"."orders")."total", (NULL::"public"."orders")."status", (NULL::"public"."orders")."created", (NULL::"public"."orders")."product_id" FROM "public"."customers" AS "customers" WHERE (id = 42) AND "customers"."id" OPERATOR(pg_catalog.=) ANY ('{42}'::pg_catalog.int8[]) UNION ALL SELECT 1::pg_catalog.int2, (NULL::"public"."customers")."id", (NULL::"public"."customers")."name", (NULL::"public"."customers")."email", (NULL::"public"."customers")."code", (NULL::"public"."customers")."balance", (NULL::"public"."customers")."score", (NULL::"public"."customers")."country", (NULL::"public"."customers")."created", "id", "user_id", "total", "status", "created", "product_id" FROM "public"."orders"
SELECT * FROM customers WHERE id = 42 AND score > (SELECT avg(score) FROM customers);
--> pull in parts on s1 s2 s4 for s3
--> sends SELECT * FROM "public"."customers" customers WHERE id = 42 AND score > (SELECT avg(score) FROM (SELECT "id", "name", "email", "code", "balance", "score", "country", "created" FROM "public"."customers" UNION ALL SELECT c9 AS "id", c10 AS "name", c11 AS "email", c12 AS "code", c13 AS "balance", c14 AS "score", c15 AS "country", c16 AS "created" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 1) customers)
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, (NULL::"public"."customers")."id" AS c1, (NULL::"public"."customers")."name" AS c2, (NULL::"public"."customers")."email" AS c3, (NULL::"public"."customers")."code" AS c4, (NULL::"public"."customers")."balance" AS c5, (NULL::"public"."customers")."score" AS c6, (NULL::"public"."customers")."country" AS c7, (NULL::"public"."customers")."created" AS c8, (NULL::"public"."customers")."id" AS c9, (NULL::"public"."customers")."name" AS c10, (NULL::"public"."customers")."email" AS c11, (NULL::"public"."customers")."code" AS c12, (NULL::"public"."customers")."balance" AS c13, (NULL::"public"."customers")."score" AS c14, (NULL::"public"."customers")."country" AS c15, (NULL::"public"."customers")."created" AS c16 WITH NO DATA
--> s1 s2 s4 gets SELECT 1::pg_catalog.int2, (NULL::"public"."customers")."id", (NULL::"public"."customers")."name", (NULL::"public"."customers")."email", (NULL::"public"."customers")."code", (NULL::"public"."customers")."balance", (NULL::"public"."customers")."score", (NULL::"public"."customers")."country", (NULL::"public"."customers")."created", "id", "name", "email", "code", "balance", "score", "country", "created" FROM "public"."customers"
SELECT * FROM customers c, LATERAL (SELECT * FROM orders o WHERE o.user_id = c.id ORDER BY created LIMIT 3) l WHERE c.id = 42;
--> one on s3
SELECT * FROM customers c LEFT JOIN LATERAL (SELECT * FROM orders o WHERE o.user_id = c.id) l ON true WHERE c.id = 42;
--> one on s3
SELECT * FROM customers c, (SELECT * FROM orders o WHERE o.user_id = c.id) l WHERE c.id = 42;
--> pull in parts on s1 s2 s3 for s4
--> sends SELECT * FROM (SELECT c1 AS "id", c2 AS "name", c3 AS "email", c4 AS "code", c5 AS "balance", c6 AS "score", c7 AS "country", c8 AS "created" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) c, (SELECT * FROM (SELECT "id", "user_id", "total", "status", "created", "product_id" FROM "public"."orders" UNION ALL SELECT c9 AS "id", c10 AS "user_id", c11 AS "total", c12 AS "status", c13 AS "created", c14 AS "product_id" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 1) o WHERE o.user_id = c.id) l WHERE c.id = 42
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, (NULL::"public"."customers")."id" AS c1, (NULL::"public"."customers")."name" AS c2, (NULL::"public"."customers")."email" AS c3, (NULL::"public"."customers")."code" AS c4, (NULL::"public"."customers")."balance" AS c5, (NULL::"public"."customers")."score" AS c6, (NULL::"public"."customers")."country" AS c7, (NULL::"public"."customers")."created" AS c8, (NULL::"public"."orders")."id" AS c9, (NULL::"public"."orders")."user_id" AS c10, (NULL::"public"."orders")."total" AS c11, (NULL::"public"."orders")."status" AS c12, (NULL::"public"."orders")."created" AS c13, (NULL::"public"."orders")."product_id" AS c14 WITH NO DATA
--> s1 s2 gets SELECT 1::pg_catalog.int2, (NULL::"public"."customers")."id", (NULL::"public"."customers")."name", (NULL::"public"."customers")."email", (NULL::"public"."customers")."code", (NULL::"public"."customers")."balance", (NULL::"public"."customers")."score", (NULL::"public"."customers")."country", (NULL::"public"."customers")."created", "id", "user_id", "total", "status", "created", "product_id" FROM "public"."orders"
--> s3 gets SELECT 0::pg_catalog.int2, "id", "name", "email", "code", "balance", "score", "country", "created", (NULL::"public"."orders")."id", (NULL::"public"."orders")."user_id", (NULL::"public"."orders")."total", (NULL::"public"."orders")."status", (NULL::"public"."orders")."created", (NULL::"public"."orders")."product_id" FROM "public"."customers" AS "c" WHERE (c.id = 42) AND "c"."id" OPERATOR(pg_catalog.=) ANY ('{42}'::pg_catalog.int8[]) UNION ALL SELECT 1::pg_catalog.int2, (NULL::"public"."customers")."id", (NULL::"public"."customers")."name", (NULL::"public"."customers")."email", (NULL::"public"."customers")."code", (NULL::"public"."customers")."balance", (NULL::"public"."customers")."score", (NULL::"public"."customers")."country", (NULL::"public"."customers")."created", "id", "user_id", "total", "status", "created", "product_id" FROM "public"."orders"
SELECT * FROM (VALUES (42)) v (k) JOIN customers c ON c.id = v.k;
--> one on s3
SELECT * FROM (SELECT 42 AS k) v JOIN customers c ON c.id = v.k;
--> one on s3
SELECT ARRAY(SELECT o.id FROM orders o WHERE o.user_id = 42);
--> one on s3

-- CTEs.
WITH o AS (SELECT * FROM orders WHERE user_id = 42) SELECT * FROM o;
--> one on s3
WITH o AS (SELECT * FROM orders) SELECT * FROM o WHERE user_id = 42;
--> one on s3
WITH o AS (SELECT * FROM orders) SELECT * FROM o a JOIN o b USING (user_id) WHERE a.user_id = 42;
--> pull in parts on s1 s2 s4 for s3
--> sends WITH o AS (SELECT * FROM (SELECT "id", "user_id", "total", "status", "created", "product_id" FROM "public"."orders" UNION ALL SELECT c1 AS "id", c2 AS "user_id", c3 AS "total", c4 AS "status", c5 AS "created", c6 AS "product_id" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) orders) SELECT * FROM o a JOIN o b USING (user_id) WHERE a.user_id = 42
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, (NULL::"public"."orders")."id" AS c1, (NULL::"public"."orders")."user_id" AS c2, (NULL::"public"."orders")."total" AS c3, (NULL::"public"."orders")."status" AS c4, (NULL::"public"."orders")."created" AS c5, (NULL::"public"."orders")."product_id" AS c6 WITH NO DATA
--> s1 s2 s4 gets SELECT 0::pg_catalog.int2, "id", "user_id", "total", "status", "created", "product_id" FROM "public"."orders"
WITH customers AS (SELECT 1 AS id) SELECT * FROM customers WHERE id = 42;
--> home on s1, anywhere
WITH customers AS (SELECT * FROM orders) SELECT * FROM customers WHERE user_id = 42;
--> one on s3
WITH customers AS (SELECT * FROM customers WHERE id = 42) SELECT * FROM customers;
--> one on s3
WITH o AS (SELECT * FROM orders WHERE user_id = 42) SELECT * FROM o JOIN customers c ON c.id = o.user_id;
--> one on s3
WITH a AS (SELECT 42 AS k), b AS (SELECT * FROM customers, a WHERE id = k) SELECT * FROM b;
--> one on s3
WITH RECURSIVE t AS (SELECT id, user_id FROM orders WHERE user_id = 42 UNION ALL SELECT o.id, o.user_id FROM orders o JOIN t ON t.id = o.id WHERE o.user_id = 42) SELECT * FROM t;
--> one on s3
WITH RECURSIVE t AS (SELECT id, user_id FROM orders WHERE user_id = 42 UNION ALL SELECT o.id, o.user_id FROM orders o JOIN t ON t.user_id = o.user_id) SELECT * FROM t;
--> pull in parts on s1 s2 s3 for s4
--> sends WITH RECURSIVE t AS (SELECT id, user_id FROM (SELECT c1 AS "id", c2 AS "user_id", c3 AS "total", c4 AS "status", c5 AS "created", c6 AS "product_id" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) orders WHERE user_id = 42 UNION ALL SELECT o.id, o.user_id FROM (SELECT "id", "user_id", "total", "status", "created", "product_id" FROM "public"."orders" UNION ALL SELECT c7 AS "id", c8 AS "user_id", c9 AS "total", c10 AS "status", c11 AS "created", c12 AS "product_id" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 1) o JOIN t ON t.user_id = o.user_id) SELECT * FROM t
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, (NULL::"public"."orders")."id" AS c1, (NULL::"public"."orders")."user_id" AS c2, (NULL::"public"."orders")."total" AS c3, (NULL::"public"."orders")."status" AS c4, (NULL::"public"."orders")."created" AS c5, (NULL::"public"."orders")."product_id" AS c6, (NULL::"public"."orders")."id" AS c7, (NULL::"public"."orders")."user_id" AS c8, (NULL::"public"."orders")."total" AS c9, (NULL::"public"."orders")."status" AS c10, (NULL::"public"."orders")."created" AS c11, (NULL::"public"."orders")."product_id" AS c12 WITH NO DATA
--> s1 s2 gets SELECT 1::pg_catalog.int2, (NULL::"public"."orders")."id", (NULL::"public"."orders")."user_id", (NULL::"public"."orders")."total", (NULL::"public"."orders")."status", (NULL::"public"."orders")."created", (NULL::"public"."orders")."product_id", "id", "user_id", "total", "status", "created", "product_id" FROM "public"."orders"
--> s3 gets SELECT 0::pg_catalog.int2, "id", "user_id", "total", "status", "created", "product_id", (NULL::"public"."orders")."id", (NULL::"public"."orders")."user_id", (NULL::"public"."orders")."total", (NULL::"public"."orders")."status", (NULL::"public"."orders")."created", (NULL::"public"."orders")."product_id" FROM "public"."orders" AS "orders" WHERE (user_id = 42) AND "orders"."user_id" OPERATOR(pg_catalog.=) ANY ('{42}'::pg_catalog.int8[]) UNION ALL SELECT 1::pg_catalog.int2, (NULL::"public"."orders")."id", (NULL::"public"."orders")."user_id", (NULL::"public"."orders")."total", (NULL::"public"."orders")."status", (NULL::"public"."orders")."created", (NULL::"public"."orders")."product_id", "id", "user_id", "total", "status", "created", "product_id" FROM "public"."orders"
WITH o AS (DELETE FROM orders WHERE user_id = 42 RETURNING *) SELECT * FROM o;
--> writes
--> one on s3
WITH o AS (DELETE FROM orders WHERE user_id = 42 RETURNING *) INSERT INTO order_items (user_id, order_id) SELECT user_id, id FROM o;
--> writes
--> one on s3
WITH o AS (DELETE FROM orders WHERE user_id = 42 RETURNING *) SELECT * FROM customers WHERE id = 43;
--> writes
--> refused (cross-shard write): data-modifying WITH needs the rows of several shards
-->   detail: The statement's tables are not pinned to one shard by their keys.
-->   hint: Write the rows of one shard at a time.
SELECT * FROM (WITH customers AS (SELECT 1 AS id) SELECT * FROM customers) x JOIN customers c ON c.id = x.id;
--> one on s4

-- Branches.
SELECT id FROM customers WHERE id = 42 UNION SELECT id FROM customers WHERE id = 43;
--> pull in parts on s4 for s3
--> sends SELECT id FROM "public"."customers" customers WHERE id = 42 UNION SELECT id FROM (SELECT c2 AS "id" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 1) customers WHERE id = 43
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, (NULL::"public"."customers")."id" AS c1, (NULL::"public"."customers")."id" AS c2 WITH NO DATA
--> s4 gets SELECT 1::pg_catalog.int2, (NULL::"public"."customers")."id", "id" FROM "public"."customers" AS "customers" WHERE (id = 43) AND "customers"."id" OPERATOR(pg_catalog.=) ANY ('{43}'::pg_catalog.int8[])
SELECT id FROM customers WHERE id = 42 EXCEPT SELECT user_id FROM orders;
--> pull in parts on s2 s3 s4 for s1
--> sends SELECT id FROM (SELECT c1 AS "id" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) customers WHERE id = 42 EXCEPT SELECT user_id FROM (SELECT "id", "user_id" FROM "public"."orders" UNION ALL SELECT c2 AS "id", c3 AS "user_id" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 1) orders
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, (NULL::"public"."customers")."id" AS c1, (NULL::"public"."orders")."id" AS c2, (NULL::"public"."orders")."user_id" AS c3 WITH NO DATA
--> s2 s4 gets SELECT 1::pg_catalog.int2, (NULL::"public"."customers")."id", "id", "user_id" FROM "public"."orders"
--> s3 gets SELECT 0::pg_catalog.int2, "id", (NULL::"public"."orders")."id", (NULL::"public"."orders")."user_id" FROM "public"."customers" AS "customers" WHERE (id = 42) AND "customers"."id" OPERATOR(pg_catalog.=) ANY ('{42}'::pg_catalog.int8[]) UNION ALL SELECT 1::pg_catalog.int2, (NULL::"public"."customers")."id", "id", "user_id" FROM "public"."orders"
(SELECT id FROM customers WHERE id = 42 ORDER BY name LIMIT 1) UNION ALL (SELECT id FROM products);
--> one on s3
VALUES ((SELECT count(*) FROM orders WHERE user_id = 42));
--> one on s3
