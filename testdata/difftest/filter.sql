-- One table, rows chosen by conditions.
SELECT * FROM people;
SELECT * FROM hollow;
SELECT * FROM people WHERE id = 3;
SELECT * FROM people WHERE id = 2;
SELECT id, name FROM people WHERE id IN (1, 3, 5, 7, 9);
SELECT id, name FROM people WHERE id = ANY ('{1,4,6,NULL}');
SELECT id FROM people WHERE id = ANY (ARRAY[8, 9, 10]::bigint[]);
SELECT id FROM people WHERE id BETWEEN 5 AND 15;
SELECT id FROM people WHERE id > 10 AND id <= 25 AND active;
SELECT id FROM people WHERE id = 1 OR id = 3 OR name = 'zed';
SELECT id FROM people WHERE id = 1 OR name = 'Zed';
SELECT id FROM people WHERE NOT (id = 1);
SELECT id FROM people WHERE id <> 1 AND age IS NULL;
SELECT id FROM people WHERE (id, age) = (3, NULL);
SELECT id FROM people WHERE (id, grade) IN ((1, 1), (3, 2), (4, 2));
SELECT id FROM people WHERE id = 1 AND id = 3;
SELECT id FROM people WHERE id IS NULL;
SELECT id FROM people WHERE id = NULL;
SELECT id FROM people WHERE NULL;
SELECT id FROM people WHERE false;
SELECT id FROM people WHERE id IN (1, 3) AND id IN (3, 4);
SELECT id FROM people WHERE id NOT IN (1, 3, 4);
SELECT id FROM people WHERE id NOT IN (1, NULL);
SELECT id FROM people WHERE active IS NOT TRUE;
SELECT id FROM people WHERE active IS UNKNOWN;
SELECT id FROM people WHERE name LIKE 'a%';
SELECT id FROM people WHERE name ILIKE 'A%';
SELECT id FROM people WHERE name ~ '^[A-Z]';
SELECT id FROM people WHERE name SIMILAR TO '(Z|z)%';
SELECT id FROM people WHERE code = 'ab';
SELECT id FROM people WHERE code = 'ab  ';
SELECT id FROM people WHERE code LIKE 'ab%';
SELECT id FROM people WHERE email = 'p3@example.org';
SELECT id FROM people WHERE nick < 'a';
SELECT id FROM people WHERE name < 'B';
SELECT id FROM people WHERE name COLLATE "C" < 'a';
SELECT id FROM people WHERE height = 'NaN';
SELECT id FROM people WHERE height > 1e100;
SELECT id FROM people WHERE height = 0;
SELECT id FROM people WHERE weight = 0.25;
SELECT id FROM people WHERE score = 1.000;
SELECT id FROM people WHERE score > 1e20;
SELECT id FROM people WHERE balance BETWEEN 0 AND 50;
SELECT id FROM people WHERE born = 'infinity';
SELECT id FROM people WHERE born < '1980-01-01';
SELECT id FROM people WHERE seen > '2020-02-01';
SELECT id FROM people WHERE joined = '2020-10-25 02:30:00 CET';
SELECT id FROM people WHERE span > '1 day';
SELECT id FROM people WHERE span = '24:00:00';
SELECT id FROM people WHERE tag = '00000000-0000-4000-8000-000000000003';
SELECT id FROM people WHERE pic = '\xff';
SELECT id FROM people WHERE prefs @> '{"a": 1}';
SELECT id FROM people WHERE prefs->>'a' IS NOT NULL;
SELECT id FROM people WHERE prefs ? 'b';
SELECT id FROM people WHERE prefs = '1.5';
SELECT id FROM people WHERE nums @> ARRAY[3];
SELECT id FROM people WHERE 2 = ANY (nums);
SELECT id FROM people WHERE 3 = ALL (nums);
SELECT id FROM people WHERE words && '{a,c}';
SELECT id FROM people WHERE mood = 'ok';
SELECT id FROM people WHERE mood > 'sad';
SELECT id FROM people WHERE stars >= 5;
SELECT id FROM people WHERE years @> 4;
SELECT id FROM people WHERE isempty(years);
SELECT id FROM people WHERE addr << '10.0.0.0/8';
SELECT id FROM people WHERE family(addr) = 6;
SELECT id FROM people WHERE CASE WHEN age > 30 THEN active ELSE grade = 1 END;
SELECT id FROM people WHERE coalesce(age, 0) % 2 = 0;
SELECT id FROM people WHERE age IS DISTINCT FROM 20;
SELECT id FROM people WHERE age IN (18, 20) AND (grade = 1 OR grade IS NULL);
SELECT id FROM people WHERE boss = id;
SELECT id FROM people WHERE people IS NOT NULL;
SELECT p::text FROM people p WHERE p.id = 8;
SELECT (p).name FROM people p WHERE id IN (1, 3);
SELECT ctid IS NOT NULL FROM people WHERE id = 1;
SELECT tableoid = 'people'::regclass FROM people WHERE id = 1;
SELECT tableoid::regclass::text FROM people WHERE id = 3;
SELECT * FROM ONLY people WHERE id = 3;
SELECT id FROM public.people WHERE id = 3;
TABLE invoices;
TABLE countries;
SELECT login FROM accounts WHERE login = 'émile';
SELECT login FROM accounts WHERE login IN ('Ada', 'ada', 'ADA', 'bob');
SELECT login FROM accounts WHERE login > 'c';
SELECT login FROM accounts WHERE login = 'a b' OR login = 'a-b' OR login = 'ab';
SELECT login FROM accounts WHERE login = 'Zebra'::varchar;
SELECT login FROM accounts WHERE lower(login) = 'ada';
SELECT id, label FROM devices WHERE id = '00000000-0000-4000-8000-000000000003';
SELECT id, label FROM devices WHERE id = '{00000000000040008000000000000005}';
SELECT id FROM devices WHERE id > '00000000-0000-4000-8000-000000000006';
SELECT k, v FROM bag WHERE k = 9;
SELECT k, v FROM bag WHERE k IN (1, 1, 3);
SELECT * FROM bag WHERE f = 0;
SELECT * FROM bag WHERE v = '';
SELECT * FROM ledger WHERE account_id = 5;
SELECT * FROM ledger WHERE account_id BETWEEN 900 AND 1100;
SELECT * FROM ledger WHERE account_id >= 2000;
SELECT * FROM invoices WHERE country = 'DE';
SELECT * FROM invoices WHERE country IN ('DE', 'FR', 'IT');
SELECT * FROM invoices WHERE country = 'IT';
SELECT * FROM invoices WHERE country < 'E';
SELECT * FROM notes WHERE person_id = 1;
SELECT * FROM settings;
--$ 3
SELECT id, name FROM people WHERE id = $1;
--$ int8:3
SELECT id, name FROM people WHERE id = $1;
--$ int4:3
SELECT id, name FROM people WHERE id = $1;
--$ numeric:3.0
SELECT id FROM people WHERE id = $1;
--$ null
SELECT id FROM people WHERE id = $1;
--$ {1,3,4}
SELECT id FROM people WHERE id = ANY ($1);
--$ int8s:{1,3,4}
SELECT id FROM people WHERE id = ANY ($1);
--$ int4s:{1,3,NULL}
SELECT id FROM people WHERE id = ANY ($1);
--$ int8:1 int8:9
SELECT id FROM people WHERE id IN ($1, $2);
--$ int8:1 int8:9
SELECT id FROM people WHERE id BETWEEN $1 AND $2;
--$ text:Ada
SELECT * FROM accounts WHERE login = $1;
--$ 'a b'
SELECT * FROM accounts WHERE login = $1;
--$ texts:{Ada,ada,x}
SELECT login FROM accounts WHERE login = ANY ($1);
--$ uuid:00000000-0000-4000-8000-000000000003
SELECT * FROM devices WHERE id = $1;
--$ 20 true
SELECT id FROM people WHERE age = $1 AND active = $2;
--$ 20 null
SELECT id FROM people WHERE age = $1 OR name = $2;
--$ 1
SELECT $1::int + id FROM people WHERE id = 1;
--$ text:x
SELECT id, $1 FROM people WHERE id < 10;
--$ 3
SELECT id FROM people WHERE id = $1 + 1;
--$ 3
SELECT id FROM people WHERE id = $1::int;
--$ 3
SELECT id FROM people WHERE id = 1 + $1::int;
--$ x
SELECT id FROM people WHERE id = $1;
-- Errors are those of PostgreSQL.
SELECT wrong FROM people;
SELECT * FROM missing_table;
SELECT id FROM people WHERE id = 'x';
SELECT id FROM people WHERE nosuchfunction(id);
SELECT id FROM people WHERE name = 1;
SELECT id FROM people WHERE;
SELECT 1/0 FROM people;
SELECT id FROM people WHERE id = 99999999999999999999;
SELECT id::smallint FROM people WHERE id = 1;
SELECT name::int FROM people;
SELECT id FROM people WHERE mood = 'elated';
SELECT (100 + stars)::rating FROM people;
