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
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: Tables "customers" and "orders" are not joined by their shard keys, so rows that belong together may be on different shards.
-->   hint: Add a condition on the shard key, such as customers.id = …, or query less at once.
SELECT * FROM customers c, orders o WHERE c.id = 42;
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: Tables "customers" and "orders" are not joined by their shard keys, so rows that belong together may be on different shards.
-->   hint: Add a condition on the shard key, such as customers.id = …, or query less at once.
SELECT * FROM customers c, orders o WHERE c.id = 42 AND o.user_id = 42;
--> one on s3
SELECT * FROM customers c, orders o WHERE c.id = 42 AND o.user_id = 43;
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: Tables "customers" and "orders" are not joined by their shard keys, so rows that belong together may be on different shards.
-->   hint: Add a condition on the shard key, such as customers.id = …, or query less at once.
SELECT * FROM orders o, orders p WHERE o.user_id = 42;
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: Tables "orders" and "orders" are not joined by their shard keys, so rows that belong together may be on different shards.
-->   hint: Add a condition on the shard key, such as orders.user_id = …, or query less at once.
SELECT * FROM customers orders, orders customers WHERE orders.id = 42 AND customers.user_id = 42;
--> one on s3
SELECT * FROM customers orders, orders customers WHERE customers.id = 42;
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: Tables "customers" and "orders" are not joined by their shard keys, so rows that belong together may be on different shards.
-->   hint: Add a condition on the shard key, such as customers.id = …, or query less at once.
SELECT * FROM customers a, orders a WHERE a.id = 42;
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: Tables "customers" and "orders" are not joined by their shard keys, so rows that belong together may be on different shards.
-->   hint: Add a condition on the shard key, such as customers.id = …, or query less at once.
SELECT * FROM customers, orders WHERE id = 42;
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: Tables "customers" and "orders" are not joined by their shard keys, so rows that belong together may be on different shards.
-->   hint: Add a condition on the shard key, such as customers.id = …, or query less at once.
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
--> refused (unsupported): statement cannot be answered from several shards
-->   detail: It uses tables that only the home shard has.
-->   hint: Add a condition on the shard key, such as customers.id = …, or query less at once.
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
