-- Finding the key of a SELECT: one shard.

SELECT * FROM customers WHERE id = 42;
--> one on s3
select name from public.customers where id=42;
--> one on s3
SELECT name FROM customers c WHERE c.id = 42;
--> one on s3
SELECT name FROM customers AS c (a, b) WHERE a = 42;
--> one on s3
SELECT name FROM customers WHERE 42 = id;
--> one on s3
SELECT name FROM customers WHERE id = '42';
--> one on s3
SELECT name FROM customers WHERE id = E'42';
--> one on s3
SELECT name FROM customers WHERE id = $$42$$;
--> one on s3
SELECT name FROM customers WHERE id = 42::bigint;
--> one on s3
SELECT name FROM customers WHERE id = '42'::int8;
--> one on s3
SELECT name FROM customers WHERE id = CAST('42' AS integer);
--> one on s3
SELECT name FROM customers WHERE id = bigint '42';
--> one on s3
SELECT name FROM customers WHERE id = -7;
--> one on s3
SELECT name FROM customers WHERE id = - 7;
--> one on s3
SELECT name FROM customers WHERE id = - -7;
--> one on s3
SELECT name FROM customers WHERE id = 42.0;
--> one on s3
SELECT name FROM customers WHERE id = 42.5;
--> one on s1
SELECT name FROM customers WHERE id = 99999999999999999999;
--> one on s1
SELECT name FROM customers WHERE id = NULL;
--> one on s1
SELECT name FROM customers WHERE id = NULL::bigint;
--> one on s1
SELECT name FROM customers WHERE id = 42 AND name = 'x';
--> one on s3
SELECT name FROM customers WHERE name = 'x' AND (score > 1 AND id = 42);
--> one on s3
SELECT name FROM customers WHERE id IN (42);
--> one on s3
SELECT name FROM customers WHERE (id, name) = (42, 'x');
--> one on s3
SELECT name FROM customers WHERE (name, id) = ROW('x', 42);
--> one on s3
SELECT name FROM customers WHERE (id, name) IN ((42, 'x'), (42, 'y'));
--> one on s3
SELECT name FROM customers WHERE id = ANY ('{42}');
--> one on s3
SELECT name FROM customers WHERE id = ANY (ARRAY[42]);
--> one on s3
SELECT name FROM customers WHERE id = ANY (ARRAY['42']::bigint[]);
--> one on s3
SELECT name FROM customers WHERE id = ANY ('{}');
--> one on s1
SELECT name FROM customers WHERE id = ANY ('{42,NULL}'::bigint[]);
--> one on s3
SELECT name FROM customers WHERE id = 42 OR id = 42;
--> one on s3
SELECT name FROM customers WHERE (id = 42 AND name = 'x') OR (name = 'y' AND id = 42);
--> one on s3
SELECT name FROM customers WHERE id = 42 AND (name = 'x' OR name = 'y');
--> one on s3
SELECT name FROM customers WHERE id OPERATOR(pg_catalog.=) 42;
--> one on s3
SELECT count(*), avg(score) FROM customers WHERE id = 42 GROUP BY country HAVING count(*) > 1;
--> one on s3
SELECT DISTINCT ON (name) * FROM customers WHERE id = 42 ORDER BY name, score;
--> one on s3
SELECT rank() OVER (ORDER BY score) FROM customers WHERE id = 42;
--> one on s3
SELECT * FROM customers WHERE id = 42 ORDER BY name COLLATE "de_DE" LIMIT 3 OFFSET 2;
--> one on s3
SELECT * FROM customers WHERE id = 42 FOR UPDATE;
--> writes
--> one on s3
SELECT * FROM customers WHERE id = 42 FOR SHARE SKIP LOCKED;
--> writes
--> one on s3
TABLE solo_events;
--> one on s2
SELECT name FROM customers WHERE id = 42 UNION ALL SELECT status FROM orders WHERE user_id = 42;
--> one on s3
SELECT * FROM orders_2024 WHERE user_id = 42;
--> one on s3
SELECT * FROM ONLY orders WHERE user_id = 42;
--> one on s3
SELECT * FROM orders TABLESAMPLE bernoulli (10) WHERE user_id = 42;
--> one on s3

-- Parameters.
--$ 42
SELECT name FROM customers WHERE id = $1;
--> one on s3
--$ int4:42
SELECT name FROM customers WHERE id = $1;
--> one on s3
--$ text:42
SELECT name FROM customers WHERE id = $1;
--> refused (key not understood): the value of shard key "id" is not understood
-->   detail: Parameter $1 is declared with type oid 25, and the key is of type int.
-->   hint: Write the value as a plain constant of the key's type, or bind it as a parameter of that type.
--$ text:42
SELECT name FROM customers WHERE id = $1::bigint;
--> one on s3
--$ numeric:42.0
SELECT name FROM customers WHERE id = $1;
--> one on s3
--$ numeric:42.5
SELECT name FROM customers WHERE id = $1;
--> refused (key not understood): the value of shard key "id" is not understood
-->   detail: Parameter $1 is declared with type oid 1700, and the key is of type int.
-->   hint: Write the value as a plain constant of the key's type, or bind it as a parameter of that type.
--$ float8:42
SELECT name FROM customers WHERE id = $1;
--> refused (key not understood): the value of shard key "id" is not understood
-->   detail: Parameter $1 is declared with type oid 701, and the key is of type int.
-->   hint: Write the value as a plain constant of the key's type, or bind it as a parameter of that type.
--$ null
SELECT name FROM customers WHERE id = $1;
--> one on s1
--$ forty
SELECT name FROM customers WHERE id = $1;
--> refused (invalid key): invalid input syntax for type bigint: "forty"
--$ 99999999999999999999
SELECT name FROM customers WHERE id = $1;
--> refused (key out of range): value is out of range for type bigint
--$ 42
SELECT name FROM customers WHERE id = $1 AND $1 > 0;
--> one on s3
--$ {42,42}
SELECT name FROM customers WHERE id = ANY ($1);
--> one on s3
--$ int8s:{42}
SELECT name FROM customers WHERE id = ANY ($1::bigint[]);
--> one on s3
--$ 42
SELECT name FROM customers WHERE id = $2;
--> refused (undefined parameter): there is no parameter $2
--$ 42 43
SELECT name FROM customers WHERE id IN ($1, $1);
--> one on s3

-- Other key types.
SELECT * FROM docs WHERE id = '00000000-0000-0000-0000-000000000001';
--> one on s2
SELECT * FROM docs WHERE id = '{00000000000000000000000000000001}'::uuid;
--> one on s2
SELECT * FROM docs WHERE id = 'zero';
--> refused (invalid key): invalid input syntax for type uuid: "zero"
SELECT * FROM accounts WHERE name = 'abc';
--> one on s3
SELECT * FROM accounts WHERE name = 'it''s';
--> one on s4
SELECT * FROM accounts WHERE name = E'it\'s';
--> one on s4
SELECT * FROM accounts WHERE name = U&'\0061bc';
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT * FROM accounts WHERE name = 'abc'::text;
--> one on s3
SELECT * FROM accounts WHERE name = 'abc'::varchar;
--> one on s3
SELECT * FROM handles WHERE handle = 'abc';
--> one on s3
SELECT * FROM amounts WHERE n = 42;
--> one on s4
SELECT * FROM amounts WHERE n = 42.000;
--> one on s4
SELECT * FROM amounts WHERE n = '42.50';
--> one on s2
SELECT * FROM stamps WHERE at = '2024-02-29 12:00:00';
--> one on s3
SELECT * FROM stamps WHERE at = timestamp '2024-02-29 12:00:00';
--> one on s3
SELECT * FROM zoned WHERE at = '2024-02-29 12:00:00+00';
--> one on s3
SELECT * FROM solo_events WHERE id = 1;
--> one on s2

-- Quoted and qualified names.
SELECT value FROM "Mixed"."Case Table" WHERE "Key" = 42;
--> one on s3
SELECT value FROM "Mixed"."Case Table" t WHERE t."Key" = 42;
--> one on s3
SELECT "Mixed"."Case Table".value FROM "Mixed"."Case Table" WHERE "Mixed"."Case Table"."Key" = 42;
--> one on s3
SELECT NAME FROM CUSTOMERS WHERE ID = 42;
--> one on s3
SELECT "name" FROM "customers" WHERE "id" = 42;
--> one on s3
SELECT public.customers.name FROM public.customers WHERE public.customers.id = 42;
--> one on s3
SELECT * FROM other.orders WHERE user_id = 42;
--> one on s3
