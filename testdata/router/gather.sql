-- Reads over several shards.

SELECT * FROM customers;
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT name, score FROM customers WHERE country = 'de';
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT name FROM customers WHERE id IN (1, 2);
--> one on s4
SELECT name FROM customers WHERE id IN (1, 2, 3, 4, 5, 6, 7, 8);
--> gather on s2 s3 s4
--> merge: concatenated
SELECT name FROM customers WHERE id = 1 OR id = 2;
--> one on s4
SELECT name FROM customers WHERE id = ANY ('{1,2}');
--> one on s4
SELECT name FROM customers WHERE id IN (1, '2');
--> one on s4
SELECT name FROM customers WHERE id IN (1, 2.0);
--> one on s4
--$ {1,2}
SELECT name FROM customers WHERE id = ANY ($1);
--> one on s4
--$ 1 2
SELECT name FROM customers WHERE id IN ($1, $2) AND country = 'de';
--> one on s4

-- Order.
SELECT id, score FROM customers ORDER BY score;
--> gather on s1 s2 s3 s4
--> merge: sorted by column 1
SELECT id, score FROM customers ORDER BY score DESC, id;
--> gather on s1 s2 s3 s4
--> merge: sorted by column 1 desc nulls first, sorted by column 0
SELECT id, score FROM customers ORDER BY score DESC NULLS LAST;
--> gather on s1 s2 s3 s4
--> merge: sorted by column 1 desc
SELECT id, score FROM customers ORDER BY score NULLS FIRST;
--> gather on s1 s2 s3 s4
--> merge: sorted by column 1 nulls first
SELECT id, score AS s FROM customers ORDER BY s;
--> gather on s1 s2 s3 s4
--> merge: sorted by column 1
SELECT id, score FROM customers ORDER BY 2, 1;
--> gather on s1 s2 s3 s4
--> merge: sorted by column 1, sorted by column 0
SELECT id, -score AS score FROM customers ORDER BY score;
--> gather on s1 s2 s3 s4
--> merge: sorted by column 1, if the types can be merged
SELECT id FROM customers ORDER BY score;
--> gather on s1 s2 s3 s4
--> sends SELECT id, score AS pgring_sort_1 FROM customers ORDER BY score
--> merge: sorted by column 1, 1 hidden
SELECT id FROM customers c ORDER BY c.score + 1, c.id;
--> gather on s1 s2 s3 s4
--> sends SELECT id, c.score + 1 AS pgring_sort_1, c.id AS pgring_sort_2 FROM customers c ORDER BY c.score + 1, c.id
--> merge: sorted by column 1, sorted by column 2, 2 hidden, if the types can be merged
SELECT * FROM customers ORDER BY score;
--> gather on s1 s2 s3 s4
--> sends SELECT customers.id, customers.name, customers.email, customers.code, customers.balance, customers.score, customers.country, customers.created FROM customers ORDER BY score
--> merge: sorted by column 5
SELECT c.*, c.score + 1 FROM customers c ORDER BY c.created DESC;
--> gather on s1 s2 s3 s4
--> sends SELECT c.id, c.name, c.email, c.code, c.balance, c.score, c.country, c.created, c.score + 1 FROM customers c ORDER BY c.created DESC
--> merge: sorted by column 7 desc nulls first
SELECT name FROM customers ORDER BY name;
--> pull in parts on s1 s2 s4 for s3
--> sends SELECT name FROM (SELECT "name" FROM "public"."customers" UNION ALL SELECT c1 AS "name" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) customers ORDER BY name
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, (NULL::"public"."customers")."name" AS c1 WITH NO DATA
--> s1 s2 s4 gets SELECT 0::pg_catalog.int2, "name" FROM "public"."customers"
SELECT code FROM customers ORDER BY code;
--> gather on s1 s2 s3 s4
--> merge: sorted by column 0 bytewise
SELECT name FROM customers ORDER BY name COLLATE "C";
--> gather on s1 s2 s3 s4
--> sends SELECT name, name COLLATE "C" AS pgring_sort_1 FROM customers ORDER BY name COLLATE "C"
--> merge: sorted by column 1 bytewise, 1 hidden
SELECT name FROM customers ORDER BY name COLLATE "de_DE";
--> pull in parts on s1 s3 s4 for s2
--> sends SELECT name FROM (SELECT "name" FROM "public"."customers" UNION ALL SELECT c1 AS "name" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) customers ORDER BY name COLLATE "de_DE"
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, (NULL::"public"."customers")."name" AS c1 WITH NO DATA
--> s1 s3 s4 gets SELECT 0::pg_catalog.int2, "name" FROM "public"."customers"
SELECT id FROM customers ORDER BY lower(name);
--> gather on s1 s2 s3 s4
--> sends SELECT id, lower(name) AS pgring_sort_1 FROM customers ORDER BY lower(name)
--> merge: sorted by column 1, 1 hidden, if the types can be merged
SELECT id FROM customers ORDER BY random() LIMIT 10;
--> gather on s1 s2 s3 s4
--> sends SELECT id, random() AS pgring_sort_1 FROM customers ORDER BY random() LIMIT 10
--> merge: sorted by column 1, limit 10, 1 hidden, if the types can be merged
SELECT id FROM customers ORDER BY score USING >;
--> pull in parts on s1 s3 s4 for s2
--> sends SELECT id FROM (SELECT "id", "score" FROM "public"."customers" UNION ALL SELECT c1 AS "id", c2 AS "score" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) customers ORDER BY score USING >
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, (NULL::"public"."customers")."id" AS c1, (NULL::"public"."customers")."score" AS c2 WITH NO DATA
--> s1 s3 s4 gets SELECT 0::pg_catalog.int2, "id", "score" FROM "public"."customers"
SELECT id FROM customers ORDER BY 3;
--> pull in parts on s2 s3 s4 for s1
--> sends SELECT id FROM (SELECT "id" FROM "public"."customers" UNION ALL SELECT c1 AS "id" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) customers ORDER BY 3
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, (NULL::"public"."customers")."id" AS c1 WITH NO DATA
--> s2 s3 s4 gets SELECT 0::pg_catalog.int2, "id" FROM "public"."customers"

-- Limits.
SELECT id FROM customers LIMIT 10;
--> gather on s1 s2 s3 s4
--> merge: limit 10
SELECT id FROM customers LIMIT 10 OFFSET 20;
--> gather on s1 s2 s3 s4
--> sends SELECT id FROM customers LIMIT LEAST(10::bigint::numeric + COALESCE(20::bigint, 0), 9223372036854775807)::bigint
--> merge: limit 10, offset 20
SELECT id FROM customers OFFSET 20;
--> gather on s1 s2 s3 s4
--> sends SELECT id FROM customers
--> merge: offset 20
SELECT id FROM customers LIMIT ALL;
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT id FROM customers LIMIT NULL OFFSET 3;
--> gather on s1 s2 s3 s4
--> sends SELECT id FROM customers
--> merge: offset 3
SELECT id FROM customers ORDER BY id LIMIT 10;
--> gather on s1 s2 s3 s4
--> merge: sorted by column 0, limit 10
SELECT id FROM customers ORDER BY score LIMIT 10 OFFSET 5;
--> gather on s1 s2 s3 s4
--> sends SELECT id, score AS pgring_sort_1 FROM customers ORDER BY score LIMIT LEAST(10::bigint::numeric + COALESCE(5::bigint, 0), 9223372036854775807)::bigint
--> merge: sorted by column 1, limit 10, offset 5, 1 hidden
SELECT id FROM customers ORDER BY id FETCH FIRST 5 ROWS ONLY;
--> gather on s1 s2 s3 s4
--> merge: sorted by column 0, limit 5
SELECT id FROM customers ORDER BY id FETCH FIRST ROW ONLY;
--> gather on s1 s2 s3 s4
--> merge: sorted by column 0, limit 1
SELECT id FROM customers ORDER BY id OFFSET 2 ROWS FETCH NEXT ROW ONLY;
--> gather on s1 s2 s3 s4
--> sends SELECT id FROM customers ORDER BY id LIMIT LEAST(1::bigint::numeric + COALESCE(2::bigint, 0), 9223372036854775807)::bigint
--> merge: sorted by column 0, limit 1, offset 2
SELECT count(*) FROM customers FETCH FIRST ROW ONLY;
--> gather on s1 s2 s3 s4
--> merge: count
SELECT id FROM customers ORDER BY id FETCH FIRST 5 ROWS WITH TIES;
--> pull in parts on s1 s2 s3 for s4
--> sends SELECT id FROM (SELECT "id" FROM "public"."customers" UNION ALL SELECT c1 AS "id" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) customers ORDER BY id FETCH FIRST 5 ROWS WITH TIES
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, (NULL::"public"."customers")."id" AS c1 WITH NO DATA
--> s1 s2 s3 gets SELECT 0::pg_catalog.int2, "id" FROM "public"."customers"
SELECT id FROM customers LIMIT -1;
--> one on s1
SELECT id FROM customers LIMIT 2 + 3;
--> pull in parts on s1 s3 s4 for s2
--> sends SELECT id FROM (SELECT "id" FROM "public"."customers" UNION ALL SELECT c1 AS "id" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) customers LIMIT 2 + 3
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, (NULL::"public"."customers")."id" AS c1 WITH NO DATA
--> s1 s3 s4 gets SELECT 0::pg_catalog.int2, "id" FROM "public"."customers"
SELECT id FROM customers LIMIT 9223372036854775807 OFFSET 10;
--> gather on s1 s2 s3 s4
--> sends SELECT id FROM customers LIMIT LEAST((9223372036854775807)::bigint::numeric + COALESCE(10::bigint, 0), 9223372036854775807)::bigint
--> merge: limit 9223372036854775807, offset 10
--$ 10 20
SELECT id FROM customers ORDER BY id LIMIT $1 OFFSET $2;
--> gather on s1 s2 s3 s4
--> sends SELECT id FROM customers ORDER BY id LIMIT LEAST($1::bigint::numeric + COALESCE($2::bigint, 0), 9223372036854775807)::bigint
--> merge: sorted by column 0, limit 10, offset 20
--$ 10
SELECT id FROM customers ORDER BY id LIMIT $1;
--> gather on s1 s2 s3 s4
--> merge: sorted by column 0, limit 10
--$ null 5
SELECT id FROM customers ORDER BY id LIMIT $1 OFFSET $2;
--> gather on s1 s2 s3 s4
--> sends SELECT id FROM customers ORDER BY id LIMIT LEAST($1::bigint::numeric + COALESCE($2::bigint, 0), 9223372036854775807)::bigint
--> merge: sorted by column 0, offset 5
--$ -1
SELECT id FROM customers ORDER BY id LIMIT $1;
--> one on s1
--$ 5
SELECT id FROM customers ORDER BY id OFFSET $1;
--> gather on s1 s2 s3 s4
--> sends SELECT id FROM customers ORDER BY id LIMIT LEAST(NULL::bigint::numeric + COALESCE($1::bigint, 0), 9223372036854775807)::bigint
--> merge: sorted by column 0, offset 5

-- Aggregates.
SELECT count(*) FROM customers;
--> gather on s1 s2 s3 s4
--> merge: count
SELECT count(*) AS n, sum(balance), min(score), max(created) FROM customers;
--> gather on s1 s2 s3 s4
--> merge: count, sum, min, max
SELECT count(id) FILTER (WHERE score > 1), bool_and(score > 1), bool_or(score > 1), every(true) FROM customers WHERE country = 'de';
--> gather on s1 s2 s3 s4
--> merge: count, bool_and, bool_or, bool_and
SELECT max(DISTINCT score) FROM customers;
--> gather on s1 s2 s3 s4
--> merge: max
SELECT count(DISTINCT country) FROM customers;
--> pull in parts on s1 s3 s4 for s2
--> sends SELECT count(DISTINCT country) FROM (SELECT "country" FROM "public"."customers" UNION ALL SELECT c1 AS "country" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) customers
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, (NULL::"public"."customers")."country" AS c1 WITH NO DATA
--> s1 s3 s4 gets SELECT 0::pg_catalog.int2, "country" FROM "public"."customers"
SELECT sum(DISTINCT score) FROM customers;
--> pull in parts on s1 s3 s4 for s2
--> sends SELECT sum(DISTINCT score) FROM (SELECT "score" FROM "public"."customers" UNION ALL SELECT c1 AS "score" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) customers
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, (NULL::"public"."customers")."score" AS c1 WITH NO DATA
--> s1 s3 s4 gets SELECT 0::pg_catalog.int2, "score" FROM "public"."customers"
SELECT sum(score) FROM customers;
--> pull in parts on s1 s3 s4 for s2
--> sends SELECT sum(score) FROM (SELECT "score" FROM "public"."customers" UNION ALL SELECT c1 AS "score" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) customers
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, (NULL::"public"."customers")."score" AS c1 WITH NO DATA
--> s1 s3 s4 gets SELECT 0::pg_catalog.int2, "score" FROM "public"."customers"
SELECT avg(balance) FROM customers;
--> pull in parts on s2 s3 s4 for s1
--> sends SELECT pg_catalog.sum(pgring_parts.a1) / pg_catalog.sum(pgring_parts.a2) AS avg FROM (SELECT pg_catalog.sum(balance) AS a1, pg_catalog.count(balance) AS a2 FROM "public"."customers" AS "customers" UNION ALL SELECT c1 AS a1, c2 AS a2 FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) pgring_parts
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, pg_catalog.sum(balance) AS c1, pg_catalog.count(balance) AS c2 FROM "public"."customers" AS "customers" WITH NO DATA
--> s2 s3 s4 gets SELECT 0::pg_catalog.int2, pg_catalog.sum(balance), pg_catalog.count(balance) FROM "public"."customers" AS "customers"
SELECT count(*) + 1 FROM customers;
--> pull in parts on s1 s2 s4 for s3
--> sends SELECT COALESCE(pg_catalog.sum(pgring_parts.a1)::bigint, 0) + 1 AS "?column?" FROM (SELECT count(*) AS a1 FROM "public"."customers" AS "customers" UNION ALL SELECT c1 AS a1 FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) pgring_parts
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, count(*) AS c1 FROM "public"."customers" AS "customers" WITH NO DATA
--> s1 s2 s4 gets SELECT 0::pg_catalog.int2, count(*) FROM "public"."customers" AS "customers"
SELECT count(*), 1 FROM customers;
--> pull in parts on s1 s2 s4 for s3
--> sends SELECT COALESCE(pg_catalog.sum(pgring_parts.a1)::bigint, 0) AS count, 1 AS "?column?" FROM (SELECT count(*) AS a1 FROM "public"."customers" AS "customers" UNION ALL SELECT c1 AS a1 FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) pgring_parts
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, count(*) AS c1 FROM "public"."customers" AS "customers" WITH NO DATA
--> s1 s2 s4 gets SELECT 0::pg_catalog.int2, count(*) FROM "public"."customers" AS "customers"
SELECT min(name) FROM customers;
--> pull in parts on s1 s2 s4 for s3
--> sends SELECT pg_catalog.min(pgring_parts.a1) AS min FROM (SELECT min(name) AS a1 FROM "public"."customers" AS "customers" UNION ALL SELECT c1 AS a1 FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) pgring_parts
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, min(name) AS c1 FROM "public"."customers" AS "customers" WITH NO DATA
--> s1 s2 s4 gets SELECT 0::pg_catalog.int2, min(name) FROM "public"."customers" AS "customers"
SELECT string_agg(name, ',') FROM customers;
--> pull in parts on s1 s2 s4 for s3
--> sends SELECT string_agg(name, ',') FROM (SELECT "name" FROM "public"."customers" UNION ALL SELECT c1 AS "name" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) customers
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, (NULL::"public"."customers")."name" AS c1 WITH NO DATA
--> s1 s2 s4 gets SELECT 0::pg_catalog.int2, "name" FROM "public"."customers"
SELECT count(*) FROM customers HAVING count(*) > 3;
--> pull in parts on s1 s2 s4 for s3
--> sends SELECT COALESCE(pg_catalog.sum(pgring_parts.a1)::bigint, 0) AS count FROM (SELECT count(*) AS a1, count(*) AS a2 FROM "public"."customers" AS "customers" UNION ALL SELECT c1 AS a1, c2 AS a2 FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) pgring_parts HAVING COALESCE(pg_catalog.sum(pgring_parts.a2)::bigint, 0) > 3
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, count(*) AS c1, count(*) AS c2 FROM "public"."customers" AS "customers" WITH NO DATA
--> s1 s2 s4 gets SELECT 0::pg_catalog.int2, count(*), count(*) FROM "public"."customers" AS "customers"
SELECT count(*) FROM customers LIMIT 1;
--> gather on s1 s2 s3 s4
--> merge: count
SELECT count(*) FROM customers LIMIT 0;
--> pull in parts on s2 s3 s4 for s1
--> sends SELECT COALESCE(pg_catalog.sum(pgring_parts.a1)::bigint, 0) AS count FROM (SELECT count(*) AS a1 FROM "public"."customers" AS "customers" UNION ALL SELECT c1 AS a1 FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) pgring_parts LIMIT 0
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, count(*) AS c1 FROM "public"."customers" AS "customers" WITH NO DATA
--> s2 s3 s4 gets SELECT 0::pg_catalog.int2, count(*) FROM "public"."customers" AS "customers"
SELECT count(*) FROM customers ORDER BY 1;
--> gather on s1 s2 s3 s4
--> merge: count
SELECT sum(balance)::int8 FROM customers;
--> pull in parts on s1 s3 s4 for s2
--> sends SELECT pg_catalog.sum(pgring_parts.a1)::int8 AS sum FROM (SELECT sum(balance) AS a1 FROM "public"."customers" AS "customers" UNION ALL SELECT c1 AS a1 FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) pgring_parts
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, sum(balance) AS c1 FROM "public"."customers" AS "customers" WITH NO DATA
--> s1 s3 s4 gets SELECT 0::pg_catalog.int2, sum(balance) FROM "public"."customers" AS "customers"
SELECT my_agg(score) FROM customers;
--> pull in parts on s2 s3 s4 for s1
--> sends SELECT my_agg(score) FROM (SELECT "score" FROM "public"."customers" UNION ALL SELECT c1 AS "score" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) customers
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, (NULL::"public"."customers")."score" AS c1 WITH NO DATA
--> s2 s3 s4 gets SELECT 0::pg_catalog.int2, "score" FROM "public"."customers"
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY score) FROM customers;
--> pull in parts on s1 s2 s3 for s4
--> sends SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY score) FROM (SELECT "score" FROM "public"."customers" UNION ALL SELECT c1 AS "score" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) customers
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, (NULL::"public"."customers")."score" AS c1 WITH NO DATA
--> s1 s2 s3 gets SELECT 0::pg_catalog.int2, "score" FROM "public"."customers"

-- Groups.
SELECT user_id, count(*), avg(total) FROM orders GROUP BY user_id;
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT user_id, count(*) FROM orders GROUP BY user_id HAVING count(*) > 3 ORDER BY count(*) DESC LIMIT 5;
--> gather on s1 s2 s3 s4
--> merge: sorted by column 1 desc nulls first, limit 5
SELECT user_id, status, count(*) FROM orders GROUP BY 1, 2;
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT user_id AS u, sum(total) AS t FROM orders GROUP BY u ORDER BY t;
--> gather on s1 s2 s3 s4
--> merge: sorted by column 1, if the types can be merged
SELECT status, count(*) FROM orders GROUP BY status;
--> pull in parts on s2 s3 s4 for s1
--> sends SELECT pgring_parts.g1 AS status, COALESCE(pg_catalog.sum(pgring_parts.a2)::bigint, 0) AS count FROM (SELECT status AS g1, count(*) AS a2 FROM "public"."orders" AS "orders" GROUP BY status UNION ALL SELECT c1 AS g1, c2 AS a2 FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) pgring_parts GROUP BY pgring_parts.g1
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, status AS c1, count(*) AS c2 FROM "public"."orders" AS "orders" GROUP BY status WITH NO DATA
--> s2 s3 s4 gets SELECT 0::pg_catalog.int2, status, count(*) FROM "public"."orders" AS "orders" GROUP BY status
SELECT user_id + 1, count(*) FROM orders GROUP BY user_id + 1;
--> pull in parts on s1 s2 s4 for s3
--> sends SELECT pgring_parts.g1 AS "?column?", COALESCE(pg_catalog.sum(pgring_parts.a2)::bigint, 0) AS count FROM (SELECT user_id + 1 AS g1, count(*) AS a2 FROM "public"."orders" AS "orders" GROUP BY user_id + 1 UNION ALL SELECT c1 AS g1, c2 AS a2 FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) pgring_parts GROUP BY pgring_parts.g1
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, user_id + 1 AS c1, count(*) AS c2 FROM "public"."orders" AS "orders" GROUP BY user_id + 1 WITH NO DATA
--> s1 s2 s4 gets SELECT 0::pg_catalog.int2, user_id + 1, count(*) FROM "public"."orders" AS "orders" GROUP BY user_id + 1
SELECT user_id, count(*) FROM orders GROUP BY ROLLUP (user_id);
--> pull in parts on s1 s2 s4 for s3
--> sends SELECT user_id, count(*) FROM (SELECT "user_id" FROM "public"."orders" UNION ALL SELECT c1 AS "user_id" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) orders GROUP BY ROLLUP (user_id)
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, (NULL::"public"."orders")."user_id" AS c1 WITH NO DATA
--> s1 s2 s4 gets SELECT 0::pg_catalog.int2, "user_id" FROM "public"."orders"
SELECT o.user_id, count(*) FROM orders o JOIN order_items i ON i.user_id = o.user_id GROUP BY o.user_id;
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT i.user_id, count(*) FROM orders o LEFT JOIN order_items i ON i.user_id = o.user_id GROUP BY i.user_id;
--> pull in parts on s1 s3 s4 for s2
--> sends SELECT i.user_id, count(*) FROM (SELECT "user_id" FROM "public"."orders" UNION ALL SELECT c1 AS "user_id" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) o LEFT JOIN (SELECT "user_id" FROM "public"."order_items" UNION ALL SELECT c2 AS "user_id" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 1) i ON i.user_id = o.user_id GROUP BY i.user_id
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, (NULL::"public"."orders")."user_id" AS c1, (NULL::"public"."order_items")."user_id" AS c2 WITH NO DATA
--> s1 s3 s4 gets SELECT 0::pg_catalog.int2, "user_id", (NULL::"public"."order_items")."user_id" FROM "public"."orders" UNION ALL SELECT 1::pg_catalog.int2, (NULL::"public"."orders")."user_id", "user_id" FROM "public"."order_items"
SELECT DISTINCT user_id FROM orders;
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT DISTINCT user_id, status FROM orders ORDER BY user_id;
--> gather on s1 s2 s3 s4
--> merge: sorted by column 0
SELECT DISTINCT status FROM orders;
--> pull in parts on s1 s3 s4 for s2
--> sends SELECT DISTINCT status FROM (SELECT "status" FROM "public"."orders" UNION ALL SELECT c1 AS "status" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) orders
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, (NULL::"public"."orders")."status" AS c1 WITH NO DATA
--> s1 s3 s4 gets SELECT 0::pg_catalog.int2, "status" FROM "public"."orders"
SELECT DISTINCT * FROM orders;
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT DISTINCT ON (user_id) * FROM orders;
--> pull in parts on s1 s2 s4 for s3
--> sends SELECT DISTINCT ON (user_id) * FROM (SELECT "id", "user_id", "total", "status", "created", "product_id" FROM "public"."orders" UNION ALL SELECT c1 AS "id", c2 AS "user_id", c3 AS "total", c4 AS "status", c5 AS "created", c6 AS "product_id" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) orders
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, (NULL::"public"."orders")."id" AS c1, (NULL::"public"."orders")."user_id" AS c2, (NULL::"public"."orders")."total" AS c3, (NULL::"public"."orders")."status" AS c4, (NULL::"public"."orders")."created" AS c5, (NULL::"public"."orders")."product_id" AS c6 WITH NO DATA
--> s1 s2 s4 gets SELECT 0::pg_catalog.int2, "id", "user_id", "total", "status", "created", "product_id" FROM "public"."orders"
SELECT user_id, row_number() OVER (PARTITION BY user_id ORDER BY created) FROM orders;
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT user_id, sum(total) OVER w FROM orders WINDOW w AS (PARTITION BY status, user_id);
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT user_id, row_number() OVER (ORDER BY created) FROM orders;
--> pull in parts on s1 s2 s3 for s4
--> sends SELECT user_id, row_number() OVER (ORDER BY created) FROM (SELECT "user_id", "created" FROM "public"."orders" UNION ALL SELECT c1 AS "user_id", c2 AS "created" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) orders
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, (NULL::"public"."orders")."user_id" AS c1, (NULL::"public"."orders")."created" AS c2 WITH NO DATA
--> s1 s2 s3 gets SELECT 0::pg_catalog.int2, "user_id", "created" FROM "public"."orders"
SELECT user_id, row_number() OVER (PARTITION BY status) FROM orders;
--> pull in parts on s1 s2 s3 for s4
--> sends SELECT user_id, row_number() OVER (PARTITION BY status) FROM (SELECT "user_id", "status" FROM "public"."orders" UNION ALL SELECT c1 AS "user_id", c2 AS "status" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) orders
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, (NULL::"public"."orders")."user_id" AS c1, (NULL::"public"."orders")."status" AS c2 WITH NO DATA
--> s1 s2 s3 gets SELECT 0::pg_catalog.int2, "user_id", "status" FROM "public"."orders"

-- Joins.
SELECT * FROM customers c JOIN orders o ON o.user_id = c.id;
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT c.name, o.total FROM customers c JOIN orders o ON o.user_id = c.id ORDER BY o.total DESC LIMIT 3;
--> gather on s1 s2 s3 s4
--> merge: sorted by column 1 desc nulls first, limit 3
SELECT * FROM customers c, orders o WHERE c.id = o.user_id;
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT * FROM customers c LEFT JOIN orders o ON o.user_id = c.id;
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT * FROM orders o RIGHT JOIN customers c ON o.user_id = c.id;
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT * FROM customers c LEFT JOIN orders o ON o.user_id = c.id LEFT JOIN order_items i ON i.user_id = o.user_id AND i.order_id = o.id;
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT count(*) FROM orders o JOIN order_items i USING (user_id);
--> gather on s1 s2 s3 s4
--> merge: count
SELECT * FROM customers c JOIN orders o ON o.id = c.id;
--> pull in parts on s1 s2 s4 for s3
--> sends SELECT * FROM (SELECT "id", "name", "email", "code", "balance", "score", "country", "created" FROM "public"."customers" UNION ALL SELECT c1 AS "id", c2 AS "name", c3 AS "email", c4 AS "code", c5 AS "balance", c6 AS "score", c7 AS "country", c8 AS "created" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) c JOIN (SELECT "id", "user_id", "total", "status", "created", "product_id" FROM "public"."orders" UNION ALL SELECT c9 AS "id", c10 AS "user_id", c11 AS "total", c12 AS "status", c13 AS "created", c14 AS "product_id" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 1) o ON o.id = c.id
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, (NULL::"public"."customers")."id" AS c1, (NULL::"public"."customers")."name" AS c2, (NULL::"public"."customers")."email" AS c3, (NULL::"public"."customers")."code" AS c4, (NULL::"public"."customers")."balance" AS c5, (NULL::"public"."customers")."score" AS c6, (NULL::"public"."customers")."country" AS c7, (NULL::"public"."customers")."created" AS c8, (NULL::"public"."orders")."id" AS c9, (NULL::"public"."orders")."user_id" AS c10, (NULL::"public"."orders")."total" AS c11, (NULL::"public"."orders")."status" AS c12, (NULL::"public"."orders")."created" AS c13, (NULL::"public"."orders")."product_id" AS c14 WITH NO DATA
--> s1 s2 s4 gets SELECT 0::pg_catalog.int2, "id", "name", "email", "code", "balance", "score", "country", "created", (NULL::"public"."orders")."id", (NULL::"public"."orders")."user_id", (NULL::"public"."orders")."total", (NULL::"public"."orders")."status", (NULL::"public"."orders")."created", (NULL::"public"."orders")."product_id" FROM "public"."customers" UNION ALL SELECT 1::pg_catalog.int2, (NULL::"public"."customers")."id", (NULL::"public"."customers")."name", (NULL::"public"."customers")."email", (NULL::"public"."customers")."code", (NULL::"public"."customers")."balance", (NULL::"public"."customers")."score", (NULL::"public"."customers")."country", (NULL::"public"."customers")."created", "id", "user_id", "total", "status", "created", "product_id" FROM "public"."orders"
SELECT * FROM customers c CROSS JOIN orders o;
--> pull in parts on s1 s2 s4 for s3
--> sends SELECT * FROM (SELECT "id", "name", "email", "code", "balance", "score", "country", "created" FROM "public"."customers" UNION ALL SELECT c1 AS "id", c2 AS "name", c3 AS "email", c4 AS "code", c5 AS "balance", c6 AS "score", c7 AS "country", c8 AS "created" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) c CROSS JOIN (SELECT "id", "user_id", "total", "status", "created", "product_id" FROM "public"."orders" UNION ALL SELECT c9 AS "id", c10 AS "user_id", c11 AS "total", c12 AS "status", c13 AS "created", c14 AS "product_id" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 1) o
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, (NULL::"public"."customers")."id" AS c1, (NULL::"public"."customers")."name" AS c2, (NULL::"public"."customers")."email" AS c3, (NULL::"public"."customers")."code" AS c4, (NULL::"public"."customers")."balance" AS c5, (NULL::"public"."customers")."score" AS c6, (NULL::"public"."customers")."country" AS c7, (NULL::"public"."customers")."created" AS c8, (NULL::"public"."orders")."id" AS c9, (NULL::"public"."orders")."user_id" AS c10, (NULL::"public"."orders")."total" AS c11, (NULL::"public"."orders")."status" AS c12, (NULL::"public"."orders")."created" AS c13, (NULL::"public"."orders")."product_id" AS c14 WITH NO DATA
--> s1 s2 s4 gets SELECT 0::pg_catalog.int2, "id", "name", "email", "code", "balance", "score", "country", "created", (NULL::"public"."orders")."id", (NULL::"public"."orders")."user_id", (NULL::"public"."orders")."total", (NULL::"public"."orders")."status", (NULL::"public"."orders")."created", (NULL::"public"."orders")."product_id" FROM "public"."customers" UNION ALL SELECT 1::pg_catalog.int2, (NULL::"public"."customers")."id", (NULL::"public"."customers")."name", (NULL::"public"."customers")."email", (NULL::"public"."customers")."code", (NULL::"public"."customers")."balance", (NULL::"public"."customers")."score", (NULL::"public"."customers")."country", (NULL::"public"."customers")."created", "id", "user_id", "total", "status", "created", "product_id" FROM "public"."orders"
SELECT * FROM customers c FULL JOIN orders o ON o.user_id = c.id;
--> pull in parts on s1 s3 s4 for s2
--> sends SELECT * FROM (SELECT "id", "name", "email", "code", "balance", "score", "country", "created" FROM "public"."customers" UNION ALL SELECT c1 AS "id", c2 AS "name", c3 AS "email", c4 AS "code", c5 AS "balance", c6 AS "score", c7 AS "country", c8 AS "created" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) c FULL JOIN (SELECT "id", "user_id", "total", "status", "created", "product_id" FROM "public"."orders" UNION ALL SELECT c9 AS "id", c10 AS "user_id", c11 AS "total", c12 AS "status", c13 AS "created", c14 AS "product_id" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 1) o ON o.user_id = c.id
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, (NULL::"public"."customers")."id" AS c1, (NULL::"public"."customers")."name" AS c2, (NULL::"public"."customers")."email" AS c3, (NULL::"public"."customers")."code" AS c4, (NULL::"public"."customers")."balance" AS c5, (NULL::"public"."customers")."score" AS c6, (NULL::"public"."customers")."country" AS c7, (NULL::"public"."customers")."created" AS c8, (NULL::"public"."orders")."id" AS c9, (NULL::"public"."orders")."user_id" AS c10, (NULL::"public"."orders")."total" AS c11, (NULL::"public"."orders")."status" AS c12, (NULL::"public"."orders")."created" AS c13, (NULL::"public"."orders")."product_id" AS c14 WITH NO DATA
--> s1 s3 s4 gets SELECT 0::pg_catalog.int2, "id", "name", "email", "code", "balance", "score", "country", "created", (NULL::"public"."orders")."id", (NULL::"public"."orders")."user_id", (NULL::"public"."orders")."total", (NULL::"public"."orders")."status", (NULL::"public"."orders")."created", (NULL::"public"."orders")."product_id" FROM "public"."customers" UNION ALL SELECT 1::pg_catalog.int2, (NULL::"public"."customers")."id", (NULL::"public"."customers")."name", (NULL::"public"."customers")."email", (NULL::"public"."customers")."code", (NULL::"public"."customers")."balance", (NULL::"public"."customers")."score", (NULL::"public"."customers")."country", (NULL::"public"."customers")."created", "id", "user_id", "total", "status", "created", "product_id" FROM "public"."orders"
SELECT * FROM customers c JOIN products p ON p.name = c.name;
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT * FROM customers c LEFT JOIN products p ON p.name = c.name;
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT * FROM products p LEFT JOIN customers c ON p.name = c.name;
--> pull in parts on s1 s2 s3 for s4
--> sends SELECT * FROM products p LEFT JOIN (SELECT "id", "name", "email", "code", "balance", "score", "country", "created" FROM "public"."customers" UNION ALL SELECT c1 AS "id", c2 AS "name", c3 AS "email", c4 AS "code", c5 AS "balance", c6 AS "score", c7 AS "country", c8 AS "created" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) c ON p.name = c.name
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, (NULL::"public"."customers")."id" AS c1, (NULL::"public"."customers")."name" AS c2, (NULL::"public"."customers")."email" AS c3, (NULL::"public"."customers")."code" AS c4, (NULL::"public"."customers")."balance" AS c5, (NULL::"public"."customers")."score" AS c6, (NULL::"public"."customers")."country" AS c7, (NULL::"public"."customers")."created" AS c8 WITH NO DATA
--> s1 s2 s3 gets SELECT 0::pg_catalog.int2, "id", "name", "email", "code", "balance", "score", "country", "created" FROM "public"."customers"
SELECT * FROM customers c RIGHT JOIN products p ON p.name = c.name;
--> pull in parts on s2 s3 s4 for s1
--> sends SELECT * FROM (SELECT "id", "name", "email", "code", "balance", "score", "country", "created" FROM "public"."customers" UNION ALL SELECT c1 AS "id", c2 AS "name", c3 AS "email", c4 AS "code", c5 AS "balance", c6 AS "score", c7 AS "country", c8 AS "created" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) c RIGHT JOIN products p ON p.name = c.name
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, (NULL::"public"."customers")."id" AS c1, (NULL::"public"."customers")."name" AS c2, (NULL::"public"."customers")."email" AS c3, (NULL::"public"."customers")."code" AS c4, (NULL::"public"."customers")."balance" AS c5, (NULL::"public"."customers")."score" AS c6, (NULL::"public"."customers")."country" AS c7, (NULL::"public"."customers")."created" AS c8 WITH NO DATA
--> s2 s3 s4 gets SELECT 0::pg_catalog.int2, "id", "name", "email", "code", "balance", "score", "country", "created" FROM "public"."customers"
SELECT * FROM customers c JOIN docs d ON d.owner = c.id;
--> pull in parts on s1 s2 s4 for s3
--> sends SELECT * FROM (SELECT "id", "name", "email", "code", "balance", "score", "country", "created" FROM "public"."customers" UNION ALL SELECT c1 AS "id", c2 AS "name", c3 AS "email", c4 AS "code", c5 AS "balance", c6 AS "score", c7 AS "country", c8 AS "created" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) c JOIN (SELECT "id", "body", "owner" FROM "public"."docs" UNION ALL SELECT c9 AS "id", c10 AS "body", c11 AS "owner" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 1) d ON d.owner = c.id
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, (NULL::"public"."customers")."id" AS c1, (NULL::"public"."customers")."name" AS c2, (NULL::"public"."customers")."email" AS c3, (NULL::"public"."customers")."code" AS c4, (NULL::"public"."customers")."balance" AS c5, (NULL::"public"."customers")."score" AS c6, (NULL::"public"."customers")."country" AS c7, (NULL::"public"."customers")."created" AS c8, (NULL::"public"."docs")."id" AS c9, (NULL::"public"."docs")."body" AS c10, (NULL::"public"."docs")."owner" AS c11 WITH NO DATA
--> s1 s2 s4 gets SELECT 0::pg_catalog.int2, "id", "name", "email", "code", "balance", "score", "country", "created", (NULL::"public"."docs")."id", (NULL::"public"."docs")."body", (NULL::"public"."docs")."owner" FROM "public"."customers" UNION ALL SELECT 1::pg_catalog.int2, (NULL::"public"."customers")."id", (NULL::"public"."customers")."name", (NULL::"public"."customers")."email", (NULL::"public"."customers")."code", (NULL::"public"."customers")."balance", (NULL::"public"."customers")."score", (NULL::"public"."customers")."country", (NULL::"public"."customers")."created", "id", "body", "owner" FROM "public"."docs"
SELECT * FROM customers c JOIN settings s ON s.user_id = c.id;
--> pull in parts on s2 s3 s4 for s1
--> sends SELECT * FROM (SELECT "id", "name", "email", "code", "balance", "score", "country", "created" FROM "public"."customers" UNION ALL SELECT c1 AS "id", c2 AS "name", c3 AS "email", c4 AS "code", c5 AS "balance", c6 AS "score", c7 AS "country", c8 AS "created" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) c JOIN settings s ON s.user_id = c.id
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, (NULL::"public"."customers")."id" AS c1, (NULL::"public"."customers")."name" AS c2, (NULL::"public"."customers")."email" AS c3, (NULL::"public"."customers")."code" AS c4, (NULL::"public"."customers")."balance" AS c5, (NULL::"public"."customers")."score" AS c6, (NULL::"public"."customers")."country" AS c7, (NULL::"public"."customers")."created" AS c8 WITH NO DATA
--> s2 s3 s4 gets SELECT 0::pg_catalog.int2, "id", "name", "email", "code", "balance", "score", "country", "created" FROM "public"."customers"
SELECT * FROM customers c JOIN generate_series(1, 3) g ON g = c.score;
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT * FROM customers c JOIN (SELECT * FROM countries) t ON t.code = c.country;
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT * FROM customers c JOIN (SELECT * FROM countries LIMIT 1) t ON t.code = c.country;
--> pull in parts on s1 s2 s4 for s3
--> sends SELECT * FROM (SELECT "id", "name", "email", "code", "balance", "score", "country", "created" FROM "public"."customers" UNION ALL SELECT c1 AS "id", c2 AS "name", c3 AS "email", c4 AS "code", c5 AS "balance", c6 AS "score", c7 AS "country", c8 AS "created" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) c JOIN (SELECT * FROM countries LIMIT 1) t ON t.code = c.country
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, (NULL::"public"."customers")."id" AS c1, (NULL::"public"."customers")."name" AS c2, (NULL::"public"."customers")."email" AS c3, (NULL::"public"."customers")."code" AS c4, (NULL::"public"."customers")."balance" AS c5, (NULL::"public"."customers")."score" AS c6, (NULL::"public"."customers")."country" AS c7, (NULL::"public"."customers")."created" AS c8 WITH NO DATA
--> s1 s2 s4 gets SELECT 0::pg_catalog.int2, "id", "name", "email", "code", "balance", "score", "country", "created" FROM "public"."customers"
SELECT * FROM customers c JOIN (VALUES ('de'), ('fr')) v (code) ON v.code = c.country;
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT * FROM customers WHERE country IN (SELECT code FROM countries);
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT * FROM customers WHERE country = (SELECT max(code) FROM countries);
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT * FROM customers c WHERE EXISTS (SELECT 1 FROM orders o WHERE o.user_id = c.id);
--> pull in parts on s1 s2 s3 for s4
--> sends SELECT * FROM (SELECT "id", "name", "email", "code", "balance", "score", "country", "created" FROM "public"."customers" UNION ALL SELECT c1 AS "id", c2 AS "name", c3 AS "email", c4 AS "code", c5 AS "balance", c6 AS "score", c7 AS "country", c8 AS "created" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) c WHERE EXISTS (SELECT 1 FROM (SELECT "id", "user_id", "total", "status", "created", "product_id" FROM "public"."orders" UNION ALL SELECT c9 AS "id", c10 AS "user_id", c11 AS "total", c12 AS "status", c13 AS "created", c14 AS "product_id" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 1) o WHERE o.user_id = c.id)
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, (NULL::"public"."customers")."id" AS c1, (NULL::"public"."customers")."name" AS c2, (NULL::"public"."customers")."email" AS c3, (NULL::"public"."customers")."code" AS c4, (NULL::"public"."customers")."balance" AS c5, (NULL::"public"."customers")."score" AS c6, (NULL::"public"."customers")."country" AS c7, (NULL::"public"."customers")."created" AS c8, (NULL::"public"."orders")."id" AS c9, (NULL::"public"."orders")."user_id" AS c10, (NULL::"public"."orders")."total" AS c11, (NULL::"public"."orders")."status" AS c12, (NULL::"public"."orders")."created" AS c13, (NULL::"public"."orders")."product_id" AS c14 WITH NO DATA
--> s1 s2 s3 gets SELECT 0::pg_catalog.int2, "id", "name", "email", "code", "balance", "score", "country", "created", (NULL::"public"."orders")."id", (NULL::"public"."orders")."user_id", (NULL::"public"."orders")."total", (NULL::"public"."orders")."status", (NULL::"public"."orders")."created", (NULL::"public"."orders")."product_id" FROM "public"."customers" UNION ALL SELECT 1::pg_catalog.int2, (NULL::"public"."customers")."id", (NULL::"public"."customers")."name", (NULL::"public"."customers")."email", (NULL::"public"."customers")."code", (NULL::"public"."customers")."balance", (NULL::"public"."customers")."score", (NULL::"public"."customers")."country", (NULL::"public"."customers")."created", "id", "user_id", "total", "status", "created", "product_id" FROM "public"."orders"
WITH t AS (SELECT * FROM countries) SELECT * FROM customers c JOIN t ON t.code = c.country;
--> gather on s1 s2 s3 s4
--> merge: concatenated
WITH o AS (SELECT * FROM orders) SELECT * FROM o;
--> pull in parts on s1 s2 s4 for s3
--> sends WITH o AS (SELECT * FROM (SELECT "id", "user_id", "total", "status", "created", "product_id" FROM "public"."orders" UNION ALL SELECT c1 AS "id", c2 AS "user_id", c3 AS "total", c4 AS "status", c5 AS "created", c6 AS "product_id" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) orders) SELECT * FROM o
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, (NULL::"public"."orders")."id" AS c1, (NULL::"public"."orders")."user_id" AS c2, (NULL::"public"."orders")."total" AS c3, (NULL::"public"."orders")."status" AS c4, (NULL::"public"."orders")."created" AS c5, (NULL::"public"."orders")."product_id" AS c6 WITH NO DATA
--> s1 s2 s4 gets SELECT 0::pg_catalog.int2, "id", "user_id", "total", "status", "created", "product_id" FROM "public"."orders"

-- What is refused.
SELECT * FROM customers FOR UPDATE;
--> writes
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT id FROM customers UNION ALL SELECT user_id FROM orders;
--> pull in parts on s2 s3 s4 for s1
--> sends SELECT id FROM (SELECT "id" FROM "public"."customers" UNION ALL SELECT c1 AS "id" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) customers UNION ALL SELECT user_id FROM (SELECT "id", "user_id" FROM "public"."orders" UNION ALL SELECT c2 AS "id", c3 AS "user_id" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 1) orders
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, (NULL::"public"."customers")."id" AS c1, (NULL::"public"."orders")."id" AS c2, (NULL::"public"."orders")."user_id" AS c3 WITH NO DATA
--> s2 s3 s4 gets SELECT 0::pg_catalog.int2, "id", (NULL::"public"."orders")."id", (NULL::"public"."orders")."user_id" FROM "public"."customers" UNION ALL SELECT 1::pg_catalog.int2, (NULL::"public"."customers")."id", "id", "user_id" FROM "public"."orders"
SELECT nextval('s'), id FROM customers;
--> writes
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: It may have side effects.
-->   hint: Add a condition on the shard key, such as customers.id = …, or query less at once.
SELECT touch_orders(), id FROM customers;
--> writes
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: It may have side effects.
-->   hint: Add a condition on the shard key, such as customers.id = …, or query less at once.
SELECT plain_fn(id) FROM customers;
--> pull in parts on s2 s3 s4 for s1
--> sends SELECT plain_fn(id) FROM (SELECT "id" FROM "public"."customers" UNION ALL SELECT c1 AS "id" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) customers
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, (NULL::"public"."customers")."id" AS c1 WITH NO DATA
--> s2 s3 s4 gets SELECT 0::pg_catalog.int2, "id" FROM "public"."customers"
SELECT random(), now(), id FROM customers;
--> pull in parts on s1 s3 s4 for s2
--> sends SELECT random(), now(), id FROM (SELECT "id" FROM "public"."customers" UNION ALL SELECT c1 AS "id" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) customers
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, (NULL::"public"."customers")."id" AS c1 WITH NO DATA
--> s1 s3 s4 gets SELECT 0::pg_catalog.int2, "id" FROM "public"."customers"
SELECT generate_series(1, 2), id FROM customers;
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT * FROM customers TABLESAMPLE system (1);
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: TABLESAMPLE over several shards is not supported.
-->   hint: Add a condition on the shard key, such as customers.id = …, or query less at once.
SELECT * FROM orders_view;
--> refused (unsupported): relation "orders_view" reads a sharded table
-->   detail: "orders_view" is a view over "orders", whose rows are on several shards.
-->   hint: Query "orders" itself.
SELECT * FROM orders_view WHERE user_id = 42;
--> refused (unsupported): relation "orders_view" reads a sharded table
-->   detail: "orders_view" is a view over "orders", whose rows are on several shards.
-->   hint: Query "orders" itself.
SELECT query_to_xml('select * from orders', true, false, '');
--> refused (unsupported): function reads tables that pgring does not see
-->   detail: It runs a query given as text, which would see the rows of one shard only.
-->   hint: Run the query itself.
EXPLAIN SELECT * FROM customers;
--> gather on s1 s2 s3 s4
--> Gather on 4 shards
-->   Reason: customers has no key condition: all 4 owners; rows are merged from 4 shards
-->   Sent: SELECT * FROM customers
-->   ->  Shard s1
--> asks s1 for EXPLAIN SELECT * FROM customers
-->   ->  Shard s2
--> asks s2 for EXPLAIN SELECT * FROM customers
-->   ->  Shard s3
--> asks s3 for EXPLAIN SELECT * FROM customers
-->   ->  Shard s4
--> asks s4 for EXPLAIN SELECT * FROM customers
--> merge: concatenated
EXPLAIN SELECT * FROM customers WHERE id = 42;
--> one on s3
EXPLAIN (ANALYZE, COSTS OFF) DELETE FROM customers WHERE id = 42;
--> writes
--> one on s3
EXPLAIN ANALYZE UPDATE products SET price = 1;
--> refused (unsupported): EXPLAIN ANALYZE of a write to a reference table is not supported
-->   detail: It would write on one shard only.
-->   hint: Use EXPLAIN.
SELECT id, score + 1 FROM customers ORDER BY score + 1;
--> gather on s1 s2 s3 s4
--> merge: sorted by column 1, if the types can be merged
SELECT id, score + 1 FROM customers ORDER BY score + 2;
--> gather on s1 s2 s3 s4
--> sends SELECT id, score + 1, score + 2 AS pgring_sort_1 FROM customers ORDER BY score + 2
--> merge: sorted by column 2, 1 hidden, if the types can be merged
--$ float8:42
SELECT name FROM customers WHERE id IN ($1, 7);
--> gather on s1 s2 s3 s4
--> merge: concatenated

-- A cast of an aggregate to the type that it has.

SELECT count(*)::bigint, sum(product_id)::bigint, max(id)::bigint FROM orders;
--> gather on s1 s2 s3 s4
--> merge: count, sum, max
SELECT sum(user_id)::numeric AS total FROM orders;
--> gather on s1 s2 s3 s4
--> merge: sum
SELECT CAST(count(*) AS bigint) AS n FROM orders;
--> gather on s1 s2 s3 s4
--> merge: count
SELECT count(*)::int FROM orders;
--> pull in parts on s2 s3 s4 for s1
--> sends SELECT COALESCE(pg_catalog.sum(pgring_parts.a1)::bigint, 0)::int AS count FROM (SELECT count(*) AS a1 FROM "public"."orders" AS "orders" UNION ALL SELECT c1 AS a1 FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) pgring_parts
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, count(*) AS c1 FROM "public"."orders" AS "orders" WITH NO DATA
--> s2 s3 s4 gets SELECT 0::pg_catalog.int2, count(*) FROM "public"."orders" AS "orders"
SELECT sum(user_id)::bigint FROM orders;
--> pull in parts on s1 s3 s4 for s2
--> sends SELECT pg_catalog.sum(pgring_parts.a1)::bigint AS sum FROM (SELECT sum(user_id) AS a1 FROM "public"."orders" AS "orders" UNION ALL SELECT c1 AS a1 FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) pgring_parts
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, sum(user_id) AS c1 FROM "public"."orders" AS "orders" WITH NO DATA
--> s1 s3 s4 gets SELECT 0::pg_catalog.int2, sum(user_id) FROM "public"."orders" AS "orders"
SELECT sum(product_id + 1)::bigint FROM orders;
--> pull in parts on s1 s2 s4 for s3
--> sends SELECT pg_catalog.sum(pgring_parts.a1)::bigint::bigint AS sum FROM (SELECT sum(product_id + 1) AS a1 FROM "public"."orders" AS "orders" UNION ALL SELECT c1 AS a1 FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) pgring_parts
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, sum(product_id + 1) AS c1 FROM "public"."orders" AS "orders" WITH NO DATA
--> s1 s2 s4 gets SELECT 0::pg_catalog.int2, sum(product_id + 1) FROM "public"."orders" AS "orders"
SELECT sum(total)::numeric(10,2) FROM orders;
--> pull in parts on s1 s2 s3 for s4
--> sends SELECT pg_catalog.sum(pgring_parts.a1)::numeric(10, 2) AS sum FROM (SELECT sum(total) AS a1 FROM "public"."orders" AS "orders" UNION ALL SELECT c1 AS a1 FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) pgring_parts
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, sum(total) AS c1 FROM "public"."orders" AS "orders" WITH NO DATA
--> s1 s2 s3 gets SELECT 0::pg_catalog.int2, sum(total) FROM "public"."orders" AS "orders"
SELECT max(product_id)::bigint FROM orders;
--> pull in parts on s1 s3 s4 for s2
--> sends SELECT pg_catalog.max(pgring_parts.a1)::bigint AS max FROM (SELECT max(product_id) AS a1 FROM "public"."orders" AS "orders" UNION ALL SELECT c1 AS a1 FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) pgring_parts
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, max(product_id) AS c1 FROM "public"."orders" AS "orders" WITH NO DATA
--> s1 s3 s4 gets SELECT 0::pg_catalog.int2, max(product_id) FROM "public"."orders" AS "orders"
