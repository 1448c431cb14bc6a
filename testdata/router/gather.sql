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
--> merge: sorted by column 1
SELECT id FROM customers ORDER BY score;
--> gather on s1 s2 s3 s4
--> sends SELECT id, score AS pgring_sort_1 FROM customers ORDER BY score
--> merge: sorted by column 1, 1 hidden
SELECT id FROM customers c ORDER BY c.score + 1, c.id;
--> gather on s1 s2 s3 s4
--> sends SELECT id, c.score + 1 AS pgring_sort_1, c.id AS pgring_sort_2 FROM customers c ORDER BY c.score + 1, c.id
--> merge: sorted by column 1, sorted by column 2, 2 hidden
SELECT * FROM customers ORDER BY score;
--> gather on s1 s2 s3 s4
--> sends SELECT customers.id, customers.name, customers.email, customers.code, customers.balance, customers.score, customers.country, customers.created FROM customers ORDER BY score
--> merge: sorted by column 5
SELECT c.*, c.score + 1 FROM customers c ORDER BY c.created DESC;
--> gather on s1 s2 s3 s4
--> sends SELECT c.id, c.name, c.email, c.code, c.balance, c.score, c.country, c.created, c.score + 1 FROM customers c ORDER BY c.created DESC
--> merge: sorted by column 7 desc nulls first
SELECT name FROM customers ORDER BY name;
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: ORDER BY a text column follows a collation; over several shards only COLLATE "C" is supported.
-->   hint: Add a condition on the shard key, such as customers.id = …, or query less at once.
SELECT code FROM customers ORDER BY code;
--> gather on s1 s2 s3 s4
--> merge: sorted by column 0 bytewise
SELECT name FROM customers ORDER BY name COLLATE "C";
--> gather on s1 s2 s3 s4
--> sends SELECT name, name COLLATE "C" AS pgring_sort_1 FROM customers ORDER BY name COLLATE "C"
--> merge: sorted by column 1 bytewise, 1 hidden
SELECT name FROM customers ORDER BY name COLLATE "de_DE";
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: ORDER BY a text column follows a collation; over several shards only COLLATE "C" is supported.
-->   hint: Add a condition on the shard key, such as customers.id = …, or query less at once.
SELECT id FROM customers ORDER BY lower(name);
--> gather on s1 s2 s3 s4
--> sends SELECT id, lower(name) AS pgring_sort_1 FROM customers ORDER BY lower(name)
--> merge: sorted by column 1, 1 hidden
SELECT id FROM customers ORDER BY random() LIMIT 10;
--> gather on s1 s2 s3 s4
--> sends SELECT id, random() AS pgring_sort_1 FROM customers ORDER BY random() LIMIT 10
--> merge: sorted by column 1, limit 10, 1 hidden
SELECT id FROM customers ORDER BY score USING >;
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: ORDER BY … USING over several shards is not supported.
-->   hint: Add a condition on the shard key, such as customers.id = …, or query less at once.
SELECT id FROM customers ORDER BY 3;
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: ORDER BY names a column of the result that does not exist.
-->   hint: Add a condition on the shard key, such as customers.id = …, or query less at once.

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
SELECT id FROM customers ORDER BY id FETCH FIRST 5 ROWS WITH TIES;
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: WITH TIES over several shards is not supported.
-->   hint: Add a condition on the shard key, such as customers.id = …, or query less at once.
SELECT id FROM customers LIMIT -1;
--> one on s1
SELECT id FROM customers LIMIT 2 + 3;
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: LIMIT and OFFSET over several shards must be integers or parameters.
-->   hint: Add a condition on the shard key, such as customers.id = …, or query less at once.
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
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: Aggregate count with these arguments cannot be combined from the shards' parts.
-->   hint: Add a condition on the shard key, such as customers.id = …, or query less at once.
SELECT sum(DISTINCT score) FROM customers;
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: Aggregate sum with these arguments cannot be combined from the shards' parts.
-->   hint: Add a condition on the shard key, such as customers.id = …, or query less at once.
SELECT sum(score) FROM customers;
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: Aggregate sum with these arguments cannot be combined from the shards' parts.
-->   hint: Add a condition on the shard key, such as customers.id = …, or query less at once.
SELECT avg(balance) FROM customers;
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: Aggregate avg with these arguments cannot be combined from the shards' parts.
-->   hint: Add a condition on the shard key, such as customers.id = …, or query less at once.
SELECT count(*) + 1 FROM customers;
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: A column of the result is not one plain aggregate, so it cannot be combined from the shards' parts.
-->   hint: Add a condition on the shard key, such as customers.id = …, or query less at once.
SELECT count(*), 1 FROM customers;
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: A column of the result is not one plain aggregate, so it cannot be combined from the shards' parts.
-->   hint: Add a condition on the shard key, such as customers.id = …, or query less at once.
SELECT min(name) FROM customers;
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: Aggregate min with these arguments cannot be combined from the shards' parts.
-->   hint: Add a condition on the shard key, such as customers.id = …, or query less at once.
SELECT string_agg(name, ',') FROM customers;
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: Aggregate string_agg with these arguments cannot be combined from the shards' parts.
-->   hint: Add a condition on the shard key, such as customers.id = …, or query less at once.
SELECT count(*) FROM customers HAVING count(*) > 3;
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: HAVING would judge the aggregates of each shard.
-->   hint: Add a condition on the shard key, such as customers.id = …, or query less at once.
SELECT count(*) FROM customers LIMIT 1;
--> gather on s1 s2 s3 s4
--> merge: count
SELECT count(*) FROM customers LIMIT 0;
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: LIMIT or OFFSET on aggregates over several shards is not supported.
-->   hint: Add a condition on the shard key, such as customers.id = …, or query less at once.
SELECT count(*) FROM customers ORDER BY 1;
--> gather on s1 s2 s3 s4
--> merge: count
SELECT sum(balance)::int8 FROM customers;
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: A column of the result is not one plain aggregate, so it cannot be combined from the shards' parts.
-->   hint: Add a condition on the shard key, such as customers.id = …, or query less at once.
SELECT my_agg(score) FROM customers;
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: It calls a user-defined function, which would see the rows of one shard only.
-->   hint: Add a condition on the shard key, such as customers.id = …, or query less at once.
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY score) FROM customers;
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: Aggregate percentile_cont with these arguments cannot be combined from the shards' parts.
-->   hint: Add a condition on the shard key, such as customers.id = …, or query less at once.

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
--> merge: sorted by column 1
SELECT status, count(*) FROM orders GROUP BY status;
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: GROUP BY does not contain the shard key, so a group's rows may be on several shards.
-->   hint: Add a condition on the shard key, such as orders.user_id = …, or query less at once.
SELECT user_id + 1, count(*) FROM orders GROUP BY user_id + 1;
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: GROUP BY does not contain the shard key, so a group's rows may be on several shards.
-->   hint: Add a condition on the shard key, such as orders.user_id = …, or query less at once.
SELECT user_id, count(*) FROM orders GROUP BY ROLLUP (user_id);
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: GROUP BY does not contain the shard key, so a group's rows may be on several shards.
-->   hint: Add a condition on the shard key, such as orders.user_id = …, or query less at once.
SELECT o.user_id, count(*) FROM orders o JOIN order_items i ON i.user_id = o.user_id GROUP BY o.user_id;
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT i.user_id, count(*) FROM orders o LEFT JOIN order_items i ON i.user_id = o.user_id GROUP BY i.user_id;
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: GROUP BY does not contain the shard key, so a group's rows may be on several shards.
-->   hint: Add a condition on the shard key, such as orders.user_id = …, or query less at once.
SELECT DISTINCT user_id FROM orders;
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT DISTINCT user_id, status FROM orders ORDER BY user_id;
--> gather on s1 s2 s3 s4
--> merge: sorted by column 0
SELECT DISTINCT status FROM orders;
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: DISTINCT without the shard key in the select list would find the same row on several shards.
-->   hint: Add a condition on the shard key, such as orders.user_id = …, or query less at once.
SELECT DISTINCT * FROM orders;
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT DISTINCT ON (user_id) * FROM orders;
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: DISTINCT ON over several shards is not supported.
-->   hint: Add a condition on the shard key, such as orders.user_id = …, or query less at once.
SELECT user_id, row_number() OVER (PARTITION BY user_id ORDER BY created) FROM orders;
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT user_id, sum(total) OVER w FROM orders WINDOW w AS (PARTITION BY status, user_id);
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT user_id, row_number() OVER (ORDER BY created) FROM orders;
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: A window function's partitions do not contain the shard key, so they span shards.
-->   hint: Add a condition on the shard key, such as orders.user_id = …, or query less at once.
SELECT user_id, row_number() OVER (PARTITION BY status) FROM orders;
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: A window function's partitions do not contain the shard key, so they span shards.
-->   hint: Add a condition on the shard key, such as orders.user_id = …, or query less at once.

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
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: Tables "customers" and "orders" are not joined by their shard keys, so rows that belong together may be on different shards.
-->   hint: Add a condition on the shard key, such as customers.id = …, or query less at once.
SELECT * FROM customers c CROSS JOIN orders o;
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: Tables "customers" and "orders" are not joined by their shard keys, so rows that belong together may be on different shards.
-->   hint: Add a condition on the shard key, such as customers.id = …, or query less at once.
SELECT * FROM customers c FULL JOIN orders o ON o.user_id = c.id;
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: A FULL JOIN over several shards is not supported.
-->   hint: Add a condition on the shard key, such as customers.id = …, or query less at once.
SELECT * FROM customers c JOIN products p ON p.name = c.name;
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT * FROM customers c LEFT JOIN products p ON p.name = c.name;
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT * FROM products p LEFT JOIN customers c ON p.name = c.name;
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: An outer join keeps the rows of a table that every shard has: they would appear once for each shard.
-->   hint: Add a condition on the shard key, such as customers.id = …, or query less at once.
SELECT * FROM customers c RIGHT JOIN products p ON p.name = c.name;
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: An outer join keeps the rows of a table that every shard has: they would appear once for each shard.
-->   hint: Add a condition on the shard key, such as customers.id = …, or query less at once.
SELECT * FROM customers c JOIN docs d ON d.owner = c.id;
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: Its tables are of different colocation groups.
-->   hint: Add a condition on the shard key, such as customers.id = …, or query less at once.
SELECT * FROM customers c JOIN settings s ON s.user_id = c.id;
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: It uses tables that only the home shard has.
-->   hint: Add a condition on the shard key, such as customers.id = …, or query less at once.
SELECT * FROM customers c JOIN generate_series(1, 3) g ON g = c.score;
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT * FROM customers c JOIN (SELECT * FROM countries) t ON t.code = c.country;
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT * FROM customers c JOIN (SELECT * FROM countries LIMIT 1) t ON t.code = c.country;
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: A subquery with LIMIT, DISTINCT ON or window functions may choose different rows on each shard.
-->   hint: Add a condition on the shard key, such as customers.id = …, or query less at once.
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
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: Table "orders" is in a subquery, WITH or derived table of its own.
-->   hint: Add a condition on the shard key, such as customers.id = …, or query less at once.
WITH t AS (SELECT * FROM countries) SELECT * FROM customers c JOIN t ON t.code = c.country;
--> gather on s1 s2 s3 s4
--> merge: concatenated
WITH o AS (SELECT * FROM orders) SELECT * FROM o;
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: Table "orders" is in a subquery, WITH or derived table of its own.
-->   hint: Add a condition on the shard key, such as orders.user_id = …, or query less at once.

-- What is refused.
SELECT * FROM customers FOR UPDATE;
--> writes
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: Row locks over several shards are not supported.
-->   hint: Add a condition on the shard key, such as customers.id = …, or query less at once.
SELECT id FROM customers UNION ALL SELECT user_id FROM orders;
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: UNION, INTERSECT and EXCEPT over several shards are not supported.
-->   hint: Add a condition on the shard key, such as customers.id = …, or query less at once.
SELECT nextval('s'), id FROM customers;
--> writes
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: It may have side effects, which would happen on each shard.
-->   hint: Add a condition on the shard key, such as customers.id = …, or query less at once.
SELECT touch_orders(), id FROM customers;
--> writes
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: It may have side effects, which would happen on each shard.
-->   hint: Add a condition on the shard key, such as customers.id = …, or query less at once.
SELECT plain_fn(id) FROM customers;
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: It calls a user-defined function, which would see the rows of one shard only.
-->   hint: Add a condition on the shard key, such as customers.id = …, or query less at once.
SELECT random(), now(), id FROM customers;
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: The current time or user in the result is each shard's own.
-->   hint: Add a condition on the shard key, such as customers.id = …, or query less at once.
SELECT generate_series(1, 2), id FROM customers;
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT * FROM customers TABLESAMPLE system (1);
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: An item of its FROM list is not supported over several shards.
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
--> refused (unsupported): EXPLAIN of a statement on several shards is not supported
-->   detail: Each shard has a plan of its own.
-->   hint: EXPLAIN ROUTE shows what is sent to which shard.
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
--> merge: sorted by column 1
SELECT id, score + 1 FROM customers ORDER BY score + 2;
--> gather on s1 s2 s3 s4
--> sends SELECT id, score + 1, score + 2 AS pgring_sort_1 FROM customers ORDER BY score + 2
--> merge: sorted by column 2, 1 hidden
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
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: A column of the result is not one plain aggregate, so it cannot be combined from the shards' parts.
-->   hint: Add a condition on the shard key, such as orders.user_id = …, or query less at once.
SELECT sum(user_id)::bigint FROM orders;
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: A column of the result is not one plain aggregate, so it cannot be combined from the shards' parts.
-->   hint: Add a condition on the shard key, such as orders.user_id = …, or query less at once.
SELECT sum(product_id + 1)::bigint FROM orders;
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: A column of the result is not one plain aggregate, so it cannot be combined from the shards' parts.
-->   hint: Add a condition on the shard key, such as orders.user_id = …, or query less at once.
SELECT sum(total)::numeric(10,2) FROM orders;
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: A column of the result is not one plain aggregate, so it cannot be combined from the shards' parts.
-->   hint: Add a condition on the shard key, such as orders.user_id = …, or query less at once.
SELECT max(product_id)::bigint FROM orders;
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: A column of the result is not one plain aggregate, so it cannot be combined from the shards' parts.
-->   hint: Add a condition on the shard key, such as orders.user_id = …, or query less at once.
