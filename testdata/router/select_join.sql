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
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: Tables "orders" and "order_items" are not joined by their shard keys, so rows that belong together may be on different shards.
-->   hint: Add a condition on the shard key, such as orders.user_id = …, or query less at once.
SELECT * FROM orders o RIGHT JOIN order_items i ON i.user_id = o.user_id WHERE i.user_id = 42;
--> one on s3
SELECT * FROM orders o FULL JOIN order_items i ON i.user_id = o.user_id AND o.user_id = 42;
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: A FULL JOIN over several shards is not supported.
-->   hint: Add a condition on the shard key, such as orders.user_id = …, or query less at once.
SELECT * FROM orders o FULL JOIN order_items i USING (user_id) WHERE user_id = 42;
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: A FULL JOIN over several shards is not supported.
-->   hint: Add a condition on the shard key, such as orders.user_id = …, or query less at once.
SELECT * FROM (customers c JOIN orders o ON o.user_id = c.id) AS j WHERE j.user_id = 42;
--> one on s3
SELECT * FROM customers c JOIN products p ON p.name = c.name WHERE c.id = 42;
--> one on s3
SELECT * FROM countries t LEFT JOIN customers c ON c.country = t.code AND c.id = 42;
--> one on s3
SELECT * FROM customers c CROSS JOIN settings s WHERE c.id = 42;
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: It uses tables that only the home shard has.
-->   hint: Add a condition on the shard key, such as customers.id = …, or query less at once.
SELECT * FROM customers c CROSS JOIN settings s WHERE c.id = 1;
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: It uses tables that only the home shard has.
-->   hint: Add a condition on the shard key, such as customers.id = …, or query less at once.
SELECT * FROM customers c CROSS JOIN faraway f WHERE c.id = 42;
--> one on s3
SELECT * FROM customers c JOIN docs d ON d.owner = c.id WHERE c.id = 42;
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: Its tables are of different colocation groups.
-->   hint: Add a condition on the shard key, such as customers.id = …, or query less at once.
SELECT * FROM orders o JOIN order_items i ON i.order_id = o.id WHERE o.user_id = 42;
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: Tables "orders" and "order_items" are not joined by their shard keys, so rows that belong together may be on different shards.
-->   hint: Add a condition on the shard key, such as orders.user_id = …, or query less at once.
SELECT * FROM customers c JOIN settings s ON s.user_id = c.id AND s.user_id = 1;
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: It uses tables that only the home shard has.
-->   hint: Add a condition on the shard key, such as customers.id = …, or query less at once.

-- Subqueries.
SELECT * FROM (SELECT * FROM orders WHERE user_id = 42) o;
--> one on s3
SELECT * FROM (SELECT * FROM orders) o WHERE user_id = 42;
--> one on s3
SELECT * FROM (SELECT user_id AS u, count(*) FROM orders GROUP BY user_id) o WHERE u = 42;
--> one on s3
SELECT * FROM (SELECT user_id AS u FROM orders LIMIT 10) o WHERE u = 42;
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: Table "orders" is in a subquery, WITH or derived table of its own.
-->   hint: Add a condition on the shard key, such as orders.user_id = …, or query less at once.
SELECT * FROM (SELECT user_id AS u, row_number() OVER () FROM orders) o WHERE u = 42;
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: Table "orders" is in a subquery, WITH or derived table of its own.
-->   hint: Add a condition on the shard key, such as orders.user_id = …, or query less at once.
SELECT * FROM (SELECT max(user_id) AS u FROM orders) o WHERE u = 42;
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: Table "orders" is in a subquery, WITH or derived table of its own.
-->   hint: Add a condition on the shard key, such as orders.user_id = …, or query less at once.
SELECT * FROM (SELECT user_id FROM orders UNION ALL SELECT user_id FROM order_items) x WHERE user_id = 42;
--> one on s3
SELECT * FROM (SELECT user_id + 0 AS user_id FROM orders) o WHERE user_id = 42;
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: Table "orders" is in a subquery, WITH or derived table of its own.
-->   hint: Add a condition on the shard key, such as orders.user_id = …, or query less at once.
SELECT * FROM customers c WHERE c.id = 42 AND EXISTS (SELECT 1 FROM orders o WHERE o.user_id = c.id);
--> one on s3
SELECT * FROM customers c WHERE c.id = 42 AND NOT EXISTS (SELECT 1 FROM orders o WHERE o.user_id = c.id);
--> one on s3
SELECT * FROM customers c WHERE c.id = 42 AND EXISTS (SELECT 1 FROM orders o WHERE o.id = c.id);
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: Table "orders" is in a subquery, WITH or derived table of its own.
-->   hint: Add a condition on the shard key, such as customers.id = …, or query less at once.
SELECT * FROM customers c WHERE c.id = 42 OR EXISTS (SELECT 1 FROM orders o WHERE o.user_id = c.id);
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: Table "orders" is in a subquery, WITH or derived table of its own.
-->   hint: Add a condition on the shard key, such as customers.id = …, or query less at once.
SELECT (SELECT count(*) FROM orders o WHERE o.user_id = c.id) FROM customers c WHERE c.id = 42;
--> one on s3
SELECT (SELECT count(*) FROM orders) FROM customers c WHERE c.id = 42;
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: Table "orders" is in a subquery, WITH or derived table of its own.
-->   hint: Add a condition on the shard key, such as customers.id = …, or query less at once.
SELECT * FROM customers WHERE id = 42 AND id IN (SELECT user_id FROM orders);
--> one on s3
SELECT * FROM customers WHERE id IN (SELECT user_id FROM orders WHERE user_id = 42);
--> one on s3
SELECT * FROM customers WHERE id IN (SELECT user_id FROM orders WHERE user_id = 42 UNION SELECT 7);
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: Table "orders" is in a subquery, WITH or derived table of its own.
-->   hint: Add a condition on the shard key, such as customers.id = …, or query less at once.
SELECT * FROM customers WHERE id = 42 AND id NOT IN (SELECT user_id FROM orders);
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: Table "orders" is in a subquery, WITH or derived table of its own.
-->   hint: Add a condition on the shard key, such as customers.id = …, or query less at once.
SELECT * FROM customers WHERE id = 42 AND score > (SELECT avg(score) FROM customers);
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: Table "customers" is in a subquery, WITH or derived table of its own.
-->   hint: Add a condition on the shard key, such as customers.id = …, or query less at once.
SELECT * FROM customers c, LATERAL (SELECT * FROM orders o WHERE o.user_id = c.id ORDER BY created LIMIT 3) l WHERE c.id = 42;
--> one on s3
SELECT * FROM customers c LEFT JOIN LATERAL (SELECT * FROM orders o WHERE o.user_id = c.id) l ON true WHERE c.id = 42;
--> one on s3
SELECT * FROM customers c, (SELECT * FROM orders o WHERE o.user_id = c.id) l WHERE c.id = 42;
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: Table "orders" is in a subquery, WITH or derived table of its own.
-->   hint: Add a condition on the shard key, such as customers.id = …, or query less at once.
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
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: Table "orders" is in a subquery, WITH or derived table of its own.
-->   hint: Add a condition on the shard key, such as orders.user_id = …, or query less at once.
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
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: Table "orders" is in a subquery, WITH or derived table of its own.
-->   hint: Add a condition on the shard key, such as orders.user_id = …, or query less at once.
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
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: UNION, INTERSECT and EXCEPT over several shards are not supported.
-->   hint: Add a condition on the shard key, such as customers.id = …, or query less at once.
SELECT id FROM customers WHERE id = 42 EXCEPT SELECT user_id FROM orders;
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: UNION, INTERSECT and EXCEPT over several shards are not supported.
-->   hint: Add a condition on the shard key, such as customers.id = …, or query less at once.
(SELECT id FROM customers WHERE id = 42 ORDER BY name LIMIT 1) UNION ALL (SELECT id FROM products);
--> one on s3
VALUES ((SELECT count(*) FROM orders WHERE user_id = 42));
--> one on s3
