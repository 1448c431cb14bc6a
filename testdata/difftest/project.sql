-- Expressions, casts, functions, types in the output.
SELECT id, id + 1 AS next, -id, id * 1.5, id / 2, id % 3 FROM people;
SELECT id, upper(name), length(name), name || '!' FROM people;
SELECT id, name AS "Name With Space", age AS "ÄGE" FROM people;
SELECT id, id FROM people;
SELECT 1, 'x', NULL, id FROM people WHERE id < 5;
SELECT people.* FROM people WHERE id > 27;
SELECT p.*, p.id * 2 AS double FROM people p WHERE p.id < 4;
SELECT id, code, code || 'x', length(code) FROM people;
SELECT id, email::text, name::varchar(2), name::char(3) FROM people;
SELECT id, height, height * 2, weight, weight::float8, round(height::numeric, 1) FROM people WHERE height < 1e10 AND height > -1e10;
SELECT id, balance, balance / 3, balance::int, trunc(balance), score FROM people;
SELECT id, born, born + 1, to_char(born, 'YYYY-MM-DD') FROM people WHERE born < '2100-01-01';
SELECT id, extract(year FROM seen), date_trunc('month', seen), seen::date FROM people;
SELECT id, joined, joined AT TIME ZONE 'UTC', joined::date, joined + interval '1 hour' FROM people;
SELECT id, span, span * 2, justify_days(span), extract(epoch FROM span) FROM people;
SELECT id, tag, tag::text FROM people;
SELECT id, pic, encode(pic, 'hex'), length(pic) FROM people;
SELECT id, prefs, prefs->'a', prefs->>'a', jsonb_typeof(prefs), raw, raw->'a' FROM people;
SELECT id, nums, nums[1], nums[1:2], array_length(nums, 1), cardinality(nums), nums || 9 FROM people;
SELECT id, words, words[1], array_to_string(words, ',', '*') FROM people;
SELECT id, mood, mood::text, mood = 'ok', stars, stars + 1 FROM people;
SELECT id, years, lower(years), upper_inc(years), addr, host(addr), masklen(addr) FROM people;
SELECT id, row(id, name), (id, age) FROM people WHERE id < 10;
SELECT id, ROW(1, 2)::point2, (ROW(id::int, 3)::point2).x FROM people;
SELECT id, ARRAY[age, grade], ARRAY[name, nick::text] FROM people;
SELECT id, CASE WHEN age < 20 THEN 'young' WHEN age < 50 THEN 'middle' ELSE 'old or unknown' END FROM people;
SELECT id, CASE mood WHEN 'sad' THEN 1 WHEN 'happy' THEN 2 END AS m FROM people;
SELECT id, coalesce(name, nick, 'none'), nullif(age, 20), greatest(age, grade, 3), least(age, NULL, 19) FROM people;
SELECT id, age IS NULL, age BETWEEN 18 AND 30, age IN (18, 20), name LIKE 'A%' FROM people;
SELECT id, active AND age > 20, active OR age > 20, NOT active FROM people;
SELECT id, twice(age) FROM people;
SELECT id, twice(age) FROM people WHERE id = 4;
SELECT id, position('a' IN name), substring(name FROM 1 FOR 2), overlay(name PLACING 'XX' FROM 1), trim(both 'a' FROM name) FROM people;
SELECT id, md5(name), left(name, 1), reverse(name), repeat(name, 2), lpad(name, 5, '*') FROM people;
SELECT id, regexp_replace(name, '[aeiou]', '_', 'g'), split_part(email, '@', 1) FROM people;
SELECT id, abs(balance), sign(balance), power(grade, 2), sqrt(age), mod(age, 7) FROM people;
SELECT id, format('%s is %s', name, age), concat(name, NULL, age), concat_ws('-', name, age) FROM people;
SELECT id, name COLLATE "C" FROM people;
SELECT id, age::text, age::float8, age::numeric(5,1), age::bool FROM people;
SELECT id, to_jsonb(name), row_to_json(p) FROM people p WHERE id IN (1, 3, 9);
SELECT jsonb_build_object('id', id, 'name', name) FROM people;
SELECT id, pg_typeof(balance)::text, pg_typeof(stars)::text, pg_typeof(mood)::text FROM people WHERE id < 7;
SELECT id, current_user, current_database() = 'x', current_schema FROM people WHERE id = 1;
SELECT id, current_setting('TimeZone') FROM people;
--free
SELECT id, random() < 2, now() IS NOT NULL FROM people;
--free
SELECT id, now() FROM people;
SELECT id, now() = now(), current_date = now()::date FROM people;
--free
SELECT gen_random_uuid() FROM people WHERE id = 1;
SELECT DISTINCT 1 FROM people;
SELECT 'const' FROM people;
SELECT FROM people;
SELECT FROM people WHERE id = 1;
SELECT login, length(login), login || '@' FROM accounts;
SELECT id, metrics, metrics[1], 1.25 = ANY (metrics) FROM devices;
SELECT k, v, n, f, f + 1 FROM bag;
SELECT country, no, total * 2, NOT paid FROM invoices;
-- Sets of rows from functions.
SELECT id, unnest(nums) FROM people;
SELECT id, unnest(nums) AS u, unnest(words) AS w FROM people;
SELECT id, generate_series(1, grade) FROM people;
SELECT id, u FROM people, unnest(nums) u;
SELECT id, u, n FROM people, unnest(words) WITH ORDINALITY AS x(u, n);
SELECT p.id, g FROM people p, generate_series(1, p.grade) g;
SELECT p.id, g FROM people p JOIN generate_series(1, 5) g ON g = p.id;
SELECT p.id, j.key, j.value FROM people p, jsonb_each(CASE WHEN jsonb_typeof(prefs) = 'object' THEN prefs ELSE '{}' END) j;
SELECT p.id, r.* FROM people p, jsonb_to_record('{"a": 1}') AS r(a int);
SELECT id, regexp_split_to_table(email, '@') FROM people WHERE id < 9;
SELECT p.id, u FROM people p LEFT JOIN LATERAL unnest(p.nums) u ON true;
SELECT * FROM generate_series(1, 3) g;
SELECT * FROM generate_series(1, 3) g, (VALUES ('a'), ('b')) v(x) ORDER BY g, x;
-- VALUES and no table at all.
VALUES (1, 'a'), (2, 'b');
VALUES (1), (3), (2) ORDER BY 1 DESC LIMIT 2;
SELECT * FROM (VALUES (1, 'one'), (3, 'three')) v(id, w);
SELECT p.name, v.w FROM people p JOIN (VALUES (1, 'one'), (3, 'three'), (2, 'two')) v(id, w) ON p.id = v.id;
SELECT p.name, v.w FROM people p RIGHT JOIN (VALUES (1, 'one'), (2, 'two')) v(id, w) ON p.id = v.id;
SELECT p.name FROM people p WHERE (p.id, p.grade) IN (VALUES (1, 1), (3, 2));
SELECT p.name FROM people p WHERE p.id IN (VALUES (1), (3), (4));
SELECT 1 + 1, 'a' || 'b', NULL::int, ARRAY[1, 2];
SELECT 1 WHERE false;
SELECT count(*);
SELECT;
SELECT sum(x) FROM (VALUES (1), (2)) v(x);
SELECT version() LIKE 'PostgreSQL%';
--$ int4:1 text:x
SELECT $1, $2;
--$ int4s:{1,2,NULL} numeric:1.50 bool:true date:2024-02-29 jsonb:'{"a":1}' bytea:\x00ff
SELECT $1, $2, $3, $4, $5, $6;
--$ float8:NaN int2:3 varchar:abc timestamptz:'2024-01-01 00:00:00+00'
SELECT $1, $2, $3, $4 FROM people WHERE id = 1;
