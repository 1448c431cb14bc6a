-- Orders of every type, with NULLs.
SELECT id FROM people ORDER BY id;
SELECT id FROM people ORDER BY id DESC;
SELECT id, age FROM people ORDER BY age, id;
SELECT id, age FROM people ORDER BY age DESC, id;
SELECT id, age FROM people ORDER BY age NULLS FIRST, id;
SELECT id, age FROM people ORDER BY age DESC NULLS LAST, id DESC;
SELECT id, age FROM people ORDER BY 2, 1;
SELECT id, age AS a FROM people ORDER BY a, id;
SELECT id, -age AS age FROM people ORDER BY age, id;
SELECT id FROM people ORDER BY age, grade, id;
SELECT id FROM people ORDER BY age + grade, id;
SELECT id FROM people ORDER BY id % 3, id;
SELECT id, name FROM people ORDER BY name, id;
SELECT id, name FROM people ORDER BY name DESC, id;
SELECT id, name FROM people ORDER BY name COLLATE "C", id;
SELECT id, name FROM people ORDER BY name COLLATE "de-x-icu" DESC NULLS LAST, id;
SELECT id, name FROM people ORDER BY lower(name), id;
SELECT id, name FROM people ORDER BY length(name), id;
SELECT id FROM people ORDER BY upper(nick), id;
SELECT id, nick FROM people ORDER BY nick, id;
SELECT id, nick FROM people ORDER BY nick DESC NULLS FIRST, id;
SELECT id, nick FROM people ORDER BY nick COLLATE "en-x-icu", id;
SELECT id, code FROM people ORDER BY code, id;
SELECT id, email FROM people ORDER BY email;
SELECT id, height FROM people ORDER BY height, id;
SELECT id, height FROM people ORDER BY height DESC, id;
SELECT id, weight FROM people ORDER BY weight, id;
SELECT id, balance FROM people ORDER BY balance, id;
SELECT id, score FROM people ORDER BY score, id;
SELECT id, score FROM people ORDER BY score DESC NULLS LAST, id;
SELECT id, active FROM people ORDER BY active, id;
SELECT id, born FROM people ORDER BY born, id;
SELECT id, seen FROM people ORDER BY seen DESC, id;
SELECT id, joined FROM people ORDER BY joined, id;
SELECT id, span FROM people ORDER BY span, id;
SELECT id, tag FROM people ORDER BY tag, id;
SELECT id, pic FROM people ORDER BY pic, id;
SELECT id, prefs FROM people ORDER BY prefs, id;
SELECT id, nums FROM people ORDER BY nums, id;
SELECT id, words FROM people ORDER BY words, id;
SELECT id, mood FROM people ORDER BY mood, id;
SELECT id, mood FROM people ORDER BY mood DESC NULLS LAST, id;
SELECT id, stars FROM people ORDER BY stars, id;
SELECT id, years FROM people ORDER BY years, id;
SELECT id, addr FROM people ORDER BY addr, id;
SELECT id, (age, grade) FROM people WHERE age > 0 AND grade > 0 ORDER BY (age, grade), id;
SELECT id FROM people ORDER BY active, mood DESC, born NULLS FIRST, id;
SELECT id FROM people ORDER BY CASE WHEN age IS NULL THEN 1 ELSE 0 END, id DESC;
SELECT id FROM people ORDER BY age USING >, id;
SELECT id FROM people ORDER BY height = 0, id;
SELECT id FROM people ORDER BY NULL, id;
SELECT id FROM people ORDER BY 'x'::text, id;
SELECT id FROM people ORDER BY (SELECT 1), id;
SELECT id FROM people ORDER BY (SELECT max(o.id) FROM orders o WHERE o.person_id = people.id), id;
SELECT name FROM people ORDER BY id DESC;
SELECT * FROM people ORDER BY born DESC, id DESC;
SELECT * FROM people WHERE id IN (1, 3, 4) ORDER BY name;
SELECT login FROM accounts ORDER BY login;
SELECT login FROM accounts ORDER BY login COLLATE "C" DESC;
SELECT login FROM accounts ORDER BY credit, login COLLATE "C";
SELECT id FROM devices ORDER BY id DESC;
SELECT id FROM devices ORDER BY metrics, id;
SELECT k, v, n, f FROM bag ORDER BY k, v, n, f;
SELECT f FROM bag ORDER BY f;
SELECT k FROM bag ORDER BY v COLLATE "C", n, k, f;
SELECT * FROM invoices ORDER BY total DESC, country, no;
SELECT * FROM ledger ORDER BY amount, account_id, no;
SELECT id FROM hollow ORDER BY v;
SELECT p.id, o.id FROM people p JOIN orders o ON o.person_id = p.id ORDER BY o.price, p.id, o.id;
SELECT p.name, o.item FROM people p LEFT JOIN orders o ON o.person_id = p.id ORDER BY p.id, o.id NULLS FIRST;
SELECT p.id AS a, o.id AS b FROM people p JOIN orders o ON o.person_id = p.id ORDER BY b DESC, a;
SELECT age FROM people ORDER BY age;
SELECT height FROM people ORDER BY height DESC NULLS LAST;
SELECT id AS name, name AS id FROM people ORDER BY name;
SELECT id FROM people ORDER BY wrong;
SELECT id FROM people ORDER BY 5;
SELECT DISTINCT age FROM people ORDER BY id;
-- LIMIT and OFFSET.
SELECT id FROM people ORDER BY id LIMIT 5;
SELECT id FROM people ORDER BY id LIMIT 5 OFFSET 3;
SELECT id FROM people ORDER BY id OFFSET 15;
SELECT id FROM people ORDER BY id OFFSET 100;
SELECT id FROM people ORDER BY id LIMIT 0;
SELECT id FROM people ORDER BY id LIMIT ALL;
SELECT id FROM people ORDER BY id LIMIT NULL OFFSET NULL;
SELECT id FROM people ORDER BY id LIMIT 2 + 1;
SELECT id FROM people ORDER BY id LIMIT (SELECT 3);
SELECT id FROM people ORDER BY id FETCH FIRST 4 ROWS ONLY;
SELECT id FROM people ORDER BY id FETCH FIRST ROW ONLY;
SELECT id FROM people ORDER BY id OFFSET 2 ROWS FETCH NEXT 4 ROWS ONLY;
SELECT id FROM people ORDER BY id LIMIT -1;
SELECT id FROM people ORDER BY id OFFSET -1;
SELECT id FROM people ORDER BY id LIMIT 1000;
SELECT age FROM people ORDER BY age LIMIT 3;
SELECT age FROM people ORDER BY age FETCH FIRST 3 ROWS WITH TIES;
SELECT age, id FROM people ORDER BY age DESC NULLS LAST, id FETCH FIRST 3 ROWS WITH TIES;
SELECT grade FROM people ORDER BY grade OFFSET 2 FETCH FIRST 3 ROWS WITH TIES;
SELECT name FROM people ORDER BY age, id LIMIT 4 OFFSET 2;
SELECT name FROM people ORDER BY name, id LIMIT 4;
SELECT id FROM people ORDER BY balance DESC NULLS LAST, id LIMIT 3;
SELECT id FROM people WHERE id = 3 LIMIT 1;
SELECT id FROM people WHERE id = 3 OFFSET 1;
--within SELECT id FROM people
SELECT id FROM people LIMIT 3;
--within SELECT id, name FROM people
SELECT id, name FROM people OFFSET 4;
--within SELECT id FROM people
SELECT id FROM people LIMIT 5 OFFSET 2;
--within SELECT id, age FROM people
SELECT id, age FROM people ORDER BY age LIMIT 4;
--within SELECT k, v FROM bag
SELECT k, v FROM bag ORDER BY v COLLATE "C" LIMIT 5 OFFSET 3;
--within SELECT p.id, o.id FROM people p JOIN orders o ON o.person_id = p.id
SELECT p.id, o.id FROM people p JOIN orders o ON o.person_id = p.id LIMIT 7;
--within SELECT DISTINCT age FROM people
SELECT DISTINCT age FROM people LIMIT 2;
--within SELECT age, count(*) FROM people GROUP BY age
SELECT age, count(*) FROM people GROUP BY age LIMIT 2;
SELECT count(*) FROM people LIMIT 1;
SELECT count(*) FROM people OFFSET 1;
SELECT count(*) FROM (SELECT id FROM people LIMIT 7) x;
SELECT sum(age) FROM (SELECT age FROM people ORDER BY id LIMIT 7) x;
--$ 3
SELECT id FROM people ORDER BY id LIMIT $1;
--$ int8:3 int8:2
SELECT id FROM people ORDER BY id LIMIT $1 OFFSET $2;
--$ null
SELECT id FROM people ORDER BY id LIMIT $1;
--$ 0
SELECT id FROM people ORDER BY id LIMIT $1;
--$ 2
SELECT id, age FROM people ORDER BY age + $1, id;
