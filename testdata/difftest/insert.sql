INSERT INTO bag VALUES (1, 'new', 1, 1);
INSERT INTO bag (k, v) VALUES (3, 'new');
INSERT INTO bag (v, k) VALUES ('new', 3) RETURNING *;
INSERT INTO bag (k) VALUES (2) RETURNING k, v, n;
INSERT INTO bag VALUES (1, 'a', 1, 1), (1, 'b', 2, 2);
INSERT INTO bag VALUES (1, 'a', 1, 1), (3, 'b', 2, 2), (2, 'c', 3, 3);
--ordered
INSERT INTO bag VALUES (1, 'a', 1, 1), (3, 'b', 2, 2), (2, 'c', 3, 3) RETURNING k, v;
INSERT INTO bag (k, v, n) VALUES (1, DEFAULT, 1), (3, 'x', DEFAULT) RETURNING *;
INSERT INTO bag (k, n) VALUES (1 + 2, 4), (abs(-4), 5);
INSERT INTO bag (k, n) VALUES ('3', '4');
INSERT INTO bag DEFAULT VALUES;
INSERT INTO bag (v) VALUES ('no key');
INSERT INTO bag VALUES (NULL, 'x', 1, 1);
INSERT INTO bag VALUES (1, 'x'), (NULL, 'y');
INSERT INTO bag VALUES ('x', 'y');
INSERT INTO bag VALUES (1, 'x', 1, 1, 1);
INSERT INTO bag (k, wrong) VALUES (1, 2);
INSERT INTO bag (k, n) VALUES (1, 'x');
INSERT INTO people (id, name) VALUES (2, 'new');
INSERT INTO people (id, name) VALUES (1, 'twice');
INSERT INTO people (id, name) VALUES (2, 'new'), (33, 'new'), (39, 'new');
INSERT INTO people (id, name) VALUES (2, 'new'), (3, 'twice');
INSERT INTO people (id, stars) VALUES (2, 11);
INSERT INTO people (id, mood) VALUES (2, 'elated');
INSERT INTO people (id, code, name) VALUES (2, 'abcde', 'x');
INSERT INTO people (id, height, weight, nums, words, prefs, pic, years, addr) VALUES (2, 'NaN', -0.0, '{1,NULL}', ARRAY['a', NULL], '{"x": [1]}', '\x00ff', '[1,3)', '10.0.0.1') RETURNING *;
INSERT INTO people VALUES (5), (7);
INSERT INTO orders (person_id, id) VALUES (1, 100) RETURNING *;
INSERT INTO orders (person_id, id) VALUES (2, 1);
INSERT INTO orders (person_id, id, item) VALUES (1, 100, 'a'), (3, 100, 'b'), (4, 100, 'c') RETURNING person_id, item, qty, status;
INSERT INTO orders (person_id, id, item) VALUES (1, 100, 'a'), (2, 100, 'b');
INSERT INTO lines (person_id, order_id, no) SELECT person_id, id, 50 FROM orders WHERE person_id = 3;
INSERT INTO accounts (login, level) VALUES ('new', 1) RETURNING login;
INSERT INTO accounts (login, level) VALUES ('new', 1), ('newer', 2), ('', 3);
INSERT INTO accounts (login, note) VALUES ('new', 'a text that is much too long');
INSERT INTO accounts (login) VALUES ('Ada');
INSERT INTO devices (id, label) VALUES ('00000000-0000-4000-8000-000000000001', 'new') RETURNING id;
INSERT INTO devices (id, label) VALUES (md5('x')::uuid, 'computed');
INSERT INTO ledger VALUES (500, 1, 1, 'a'), (1500, 9, 2, 'b'), (2500, 1, 3, 'c');
INSERT INTO ledger VALUES (2500, 1, 3, 'c') RETURNING *;
INSERT INTO invoices VALUES ('DE', 100, 1, true), ('FR', 100, 2, false), ('IT', 1, 3, NULL);
INSERT INTO invoices VALUES ('IT', 1, 3.333, NULL) RETURNING total;
INSERT INTO countries VALUES ('IT', 'Italy', 59000000, 301338);
INSERT INTO countries VALUES ('IT', 'Italy', 1, 2), ('ES', 'Spain', 1, 2) RETURNING code;
INSERT INTO countries VALUES ('DE', 'again', 1, 2);
INSERT INTO countries (code) VALUES ('IT');
INSERT INTO products SELECT sku + 100, name, price, kind, parent FROM products;
INSERT INTO notes VALUES (100, 1, 'new', '2024-01-01') RETURNING *;
INSERT INTO notes SELECT id + 100, person_id, body FROM notes;
INSERT INTO notes SELECT id + 1000, id, name FROM people;
INSERT INTO settings VALUES ('a', '1', 1), ('b', '2', 2);
-- INSERT … SELECT.
INSERT INTO bag (k, v) SELECT 3, 'x';
INSERT INTO bag (k, v) SELECT k, v FROM bag WHERE k = 9;
INSERT INTO bag (k, v) SELECT k, 'copy' FROM bag;
INSERT INTO bag (k, v) SELECT id, name FROM people;
INSERT INTO bag (k, v) SELECT id, name FROM people WHERE id = 3;
INSERT INTO bag (k, n) SELECT g, g FROM generate_series(1, 20) g;
INSERT INTO bag (k, n) SELECT sku, sku FROM products;
INSERT INTO bag (k, n) SELECT sku, sku FROM products WHERE false;
INSERT INTO bag (k, v) SELECT * FROM (VALUES (1, 'a'), (3, 'b')) x;
INSERT INTO hollow SELECT id, name, age FROM people RETURNING id;
INSERT INTO hollow SELECT * FROM hollow;
INSERT INTO orders (person_id, id, item) SELECT person_id, id + 100, item FROM orders;
INSERT INTO orders (person_id, id, item) SELECT id, 100, name FROM people ORDER BY id LIMIT 5;
INSERT INTO countries SELECT country || no, 'x', no FROM invoices WHERE country = 'DE';
INSERT INTO bag (k, n) SELECT age, count(*) FROM people WHERE age IS NOT NULL GROUP BY age;
WITH x AS (SELECT 3 AS k) INSERT INTO bag (k) SELECT k FROM x;
WITH x AS (SELECT id FROM people WHERE id = 3) INSERT INTO bag (k) SELECT id FROM x;
-- ON CONFLICT.
INSERT INTO people (id, name) VALUES (1, 'twice') ON CONFLICT DO NOTHING;
INSERT INTO people (id, name) VALUES (1, 'twice') ON CONFLICT (id) DO NOTHING RETURNING id;
INSERT INTO people (id, name) VALUES (1, 'twice') ON CONFLICT (id) DO UPDATE SET name = excluded.name RETURNING id, name;
INSERT INTO people (id, name) VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd') ON CONFLICT (id) DO UPDATE SET name = people.name || excluded.name;
INSERT INTO people (id, name) VALUES (1, 'a'), (2, 'b'), (3, 'c') ON CONFLICT DO NOTHING;
--ordered
INSERT INTO people (id, name) VALUES (3, 'a'), (2, 'b'), (1, 'c') ON CONFLICT DO NOTHING RETURNING id;
INSERT INTO people (id, name, age) VALUES (1, 'a', 5), (3, 'c', 50) ON CONFLICT (id) DO UPDATE SET age = excluded.age WHERE people.age > excluded.age RETURNING id, age;
INSERT INTO people (id, name) VALUES (1, 'a') ON CONFLICT ON CONSTRAINT people_pkey DO UPDATE SET name = 'b';
INSERT INTO people (id, name) VALUES (1, 'a') ON CONFLICT (id) DO UPDATE SET id = 2;
INSERT INTO people (id, name) VALUES (2, 'a'), (2, 'b') ON CONFLICT (id) DO UPDATE SET name = excluded.name;
INSERT INTO people (id, name) VALUES (2, 'a'), (2, 'b') ON CONFLICT (id) DO NOTHING;
INSERT INTO people (id, name) VALUES (1, 'a') ON CONFLICT (name) DO NOTHING;
INSERT INTO orders (person_id, id, qty) VALUES (1, 1, 7) ON CONFLICT (person_id, id) DO UPDATE SET qty = orders.qty + excluded.qty RETURNING qty;
INSERT INTO countries VALUES ('DE', 'x', 1, 1) ON CONFLICT (code) DO UPDATE SET name = excluded.name RETURNING *;
INSERT INTO settings VALUES ('theme', '1', 1) ON CONFLICT (k) DO UPDATE SET v = excluded.v;
INSERT INTO accounts (login, level) SELECT login, 9 FROM accounts ON CONFLICT (login) DO UPDATE SET level = excluded.level;
--$ int8:2 text:new
INSERT INTO people (id, name) VALUES ($1, $2) RETURNING id, name;
--$ 3 'a b'
INSERT INTO bag (k, v) VALUES ($1, $2);
--$ int4:1 text:a int4:3 text:b
INSERT INTO bag (k, v) VALUES ($1, $2), ($3, $4);
--$ 1 a 1 b
INSERT INTO bag (k, v) VALUES ($1, $2), ($3, $4) RETURNING *;
--$ int4:2 int4:3
INSERT INTO bag (k, n) VALUES ($1, $2), ($2, $1), (1, $1 + $2) RETURNING k, n;
--$ null x
INSERT INTO bag (k, v) VALUES ($1, $2);
--$ texts:{new1,new2,new3}
INSERT INTO accounts (login) SELECT unnest($1::text[]);
--$ int4s:{1,2,3} texts:{a,b,c}
INSERT INTO bag (k, v) SELECT * FROM unnest($1::int[], $2::text[]);
--$ int8:1 text:up
INSERT INTO people (id, name) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET name = $2 RETURNING name;
--$ uuid:00000000-0000-4000-8000-000000000001 null
INSERT INTO devices (id, label) VALUES ($1, $2);

INSERT INTO bag (k, v) VALUES (1 + 2, (SELECT name FROM people WHERE id = 3)), (4, (SELECT max(login) FROM accounts));
INSERT INTO bag (k, v) VALUES ((SELECT max(age) FROM people), 'oldest');
INSERT INTO bag (k, v) VALUES ((SELECT 1 WHERE false), 'nobody');
INSERT INTO bag (k, n, f) SELECT age, count(*), avg(grade) FROM people WHERE age > 20 GROUP BY age RETURNING k, n, f;
INSERT INTO bag (k, v) SELECT id, 'it''s \ a "text"' FROM people UNION SELECT sku, name FROM products;
INSERT INTO hollow (id, v, n) SELECT owner, login, level FROM accounts WHERE owner IS NOT NULL ON CONFLICT (id) DO UPDATE SET n = excluded.n RETURNING id;
INSERT INTO hollow (id, v) SELECT id, NULL FROM people ON CONFLICT DO NOTHING;
INSERT INTO hollow SELECT id + 0.4, name FROM people WHERE id < 5;
INSERT INTO accounts (login, credit, opened) SELECT 'of ' || id, balance, born FROM people WHERE id IN (1, 2, 3);
INSERT INTO ledger (account_id, no, amount, memo) SELECT person_id, id, price, item FROM orders;
INSERT INTO people (id, name, nums, words, tag, pic, mood, stars, years, addr, span) SELECT id + 1000, name, nums, words, tag, pic, mood, stars, years, addr, span FROM people;
--$ 3 'x'
INSERT INTO bag (k, v) SELECT sku + $1, $2 FROM products;
--$ int8:30
INSERT INTO hollow (id, n) SELECT $1, age FROM people WHERE id = 3;
INSERT INTO products (sku, name, price) SELECT id + 100, name, balance FROM people WHERE age > 30 RETURNING sku;
INSERT INTO bag (k, v) SELECT id, wrong FROM people;
INSERT INTO bag (k, v) SELECT id FROM people;
INSERT INTO bag (k, n) SELECT name, 1 FROM people;
INSERT INTO bag (k, n) SELECT id, 1 / (age - age) FROM people WHERE age IS NOT NULL;
--begin
BEGIN;
INSERT INTO bag (k, v) VALUES (1, 'seen');
INSERT INTO notes (id, body) SELECT 900 + n, v FROM (SELECT count(*)::int AS n, max(v) AS v FROM bag WHERE v = 'seen') b;
ROLLBACK;
--end
