-- Transactions.
--begin
BEGIN;
UPDATE people SET age = 1 WHERE id = 3;
SELECT age FROM people WHERE id = 3;
INSERT INTO orders (person_id, id) VALUES (3, 100);
COMMIT;
SELECT age FROM people WHERE id = 3;
--end
--begin
BEGIN;
UPDATE people SET age = 1 WHERE id = 3;
SELECT count(*) FROM people WHERE age = 1;
SELECT sum(age) FROM people;
ROLLBACK;
SELECT sum(age) FROM people;
--end
--begin
BEGIN;
SELECT name FROM people WHERE id = 1;
SELECT name FROM people WHERE id = 3;
SELECT count(*) FROM orders;
SELECT * FROM notes;
COMMIT;
--end
--begin
BEGIN;
UPDATE people SET age = 1 WHERE id = 1;
UPDATE people SET age = 1 WHERE id = 3;
COMMIT;
--end
--begin
BEGIN;
UPDATE people SET age = 1 WHERE id = 1;
SELECT 1/0;
SELECT 1;
COMMIT;
SELECT age FROM people WHERE id = 1;
--end
--begin
BEGIN;
INSERT INTO bag (k) VALUES (3);
SAVEPOINT a;
INSERT INTO bag (k) VALUES ('x');
ROLLBACK TO a;
INSERT INTO bag (k, n) VALUES (3, 77);
RELEASE a;
COMMIT;
SELECT count(*) FROM bag WHERE n = 77;
--end
--begin
BEGIN;
UPDATE notes SET body = 'x' WHERE id = 1;
SELECT count(*) FROM people;
COMMIT;
--end
--begin
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SELECT count(*) FROM people;
SHOW transaction_isolation;
UPDATE people SET age = 1 WHERE id = 3;
ROLLBACK;
--end
--begin
BEGIN;
INSERT INTO people (id, name) VALUES (33, 'x');
SELECT count(*) FROM people;
SELECT name FROM people WHERE id IN (1, 33);
DELETE FROM people WHERE id = 33;
COMMIT AND CHAIN;
SELECT count(*) FROM people;
ROLLBACK;
--end
--begin
START TRANSACTION;
UPDATE countries SET people = 1;
SELECT sum(people) FROM countries;
ROLLBACK;
--end
--begin
BEGIN;
INSERT INTO bag (k, v) VALUES (1, 'a'), (3, 'b');
SELECT count(*) FROM bag WHERE v IN ('a', 'b');
ROLLBACK;
--end
-- Transactions over several shards.
--begin
SET pgring.cross_shard = '2pc';
BEGIN;
UPDATE people SET age = 1 WHERE id = 1;
UPDATE people SET age = 2 WHERE id = 3;
SELECT sum(age) FROM people;
INSERT INTO bag (k, v) VALUES (1, 'a'), (3, 'b');
COMMIT;
SELECT id, age FROM people WHERE id IN (1, 3) ORDER BY id;
SELECT count(*) FROM bag WHERE v IN ('a', 'b');
--end
--begin
SET pgring.cross_shard = '2pc';
BEGIN;
DELETE FROM bag WHERE n = 1;
UPDATE people SET age = age + 1;
SELECT count(*), sum(age) FROM people;
ROLLBACK;
SELECT count(*), sum(age) FROM people;
--end
--begin
SET pgring.cross_shard = '2pc';
BEGIN;
INSERT INTO bag (k, v) VALUES (1, 'kept');
SAVEPOINT a;
INSERT INTO bag (k, v) VALUES (1, 'undone'), (3, 'undone');
ROLLBACK TO a;
INSERT INTO bag (k, v) VALUES (3, 'kept');
COMMIT;
SELECT v, count(*) FROM bag WHERE v IN ('kept', 'undone') GROUP BY v;
--end
--begin
SET pgring.cross_shard = '2pc';
BEGIN;
UPDATE people SET age = 1 WHERE id = 1;
INSERT INTO people (id) VALUES (3);
SELECT 1;
COMMIT;
SELECT age FROM people WHERE id = 1;
--end
--begin
SET pgring.cross_shard = '2pc';
BEGIN;
UPDATE notes SET body = 'x' WHERE id = 1;
UPDATE people SET age = 1 WHERE id = 3;
UPDATE countries SET people = 1 WHERE code = 'DE';
COMMIT;
--end
COMMIT;
ROLLBACK;
SAVEPOINT x;
--begin
BEGIN;
BEGIN;
COMMIT;
--end
--begin
BEGIN;
DECLARE c CURSOR FOR SELECT id FROM people WHERE id = 3;
FETCH ALL FROM c;
CLOSE c;
COMMIT;
--end
--begin
BEGIN;
DECLARE c CURSOR FOR SELECT id FROM people ORDER BY id;
--ordered
FETCH 3 FROM c;
--ordered
FETCH 2 FROM c;
MOVE 1 FROM c;
--ordered
FETCH ALL FROM c;
COMMIT;
--end
--begin
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT sku FROM products ORDER BY sku;
--ordered
FETCH 3 FROM c;
FETCH BACKWARD 1 FROM c;
COMMIT;
--end
--begin
BEGIN;
SELECT id, age FROM people WHERE id = 3 FOR UPDATE;
UPDATE people SET age = 1 WHERE id = 3;
COMMIT;
--end
--begin
BEGIN;
SELECT id FROM people WHERE age = 20 ORDER BY id FOR UPDATE;
ROLLBACK;
--end
--begin
BEGIN;
SELECT id FROM people WHERE id IN (1, 3) FOR SHARE;
ROLLBACK;
--end
SELECT sku FROM products WHERE sku = 1 FOR UPDATE;
SELECT id FROM notes FOR UPDATE SKIP LOCKED;
SELECT id FROM people WHERE id = 3 FOR UPDATE NOWAIT;
-- Several statements in one message.
--begin simple
SELECT 1; SELECT id FROM people WHERE id = 3; SELECT count(*) FROM people;
--end
--begin simple
INSERT INTO bag (k, v) VALUES (3, 'multi'); SELECT count(*) FROM bag WHERE k = 3; SELECT 1/0; SELECT 2;
SELECT count(*) FROM bag WHERE v = 'multi';
--end
--begin simple
BEGIN; INSERT INTO bag (k, v) VALUES (3, 'multi'); COMMIT; SELECT count(*) FROM bag WHERE v = 'multi';
--end
--begin simple
INSERT INTO bag (k, v) VALUES (1, 'multi'); INSERT INTO bag (k, v) VALUES (3, 'multi');
SELECT count(*) FROM bag WHERE v = 'multi';
--end
--begin simple
UPDATE bag SET n = 1 WHERE k = 9; UPDATE bag SET n = 2 WHERE k = 9 RETURNING n;
--end
-- Prepared statements.
--begin
PREPARE one AS SELECT name FROM people WHERE id = $1;
EXECUTE one (3);
EXECUTE one (1);
EXECUTE one (2);
DEALLOCATE one;
EXECUTE one (3);
--end
--begin
PREPARE many (int) AS SELECT count(*) FROM people WHERE age > $1;
EXECUTE many (20);
EXECUTE many (10 + 20);
DEALLOCATE ALL;
--end
--begin
PREPARE put (int, text) AS INSERT INTO bag (k, v) VALUES ($1, $2) RETURNING k;
EXECUTE put (3, 'p');
EXECUTE put (1, 'p');
SELECT count(*) FROM bag WHERE v = 'p';
--end
--begin
PREPARE two (int, int) AS INSERT INTO bag (k, n) VALUES ($1, 5), ($2, 6);
EXECUTE two (1, 3);
SELECT count(*) FROM bag WHERE n IN (5, 6);
--end
-- Settings.
--begin
SET TimeZone = 'America/New_York';
SELECT id, joined FROM people ORDER BY id;
SELECT joined FROM people WHERE id = 3;
SHOW TimeZone;
RESET TimeZone;
SHOW TimeZone;
--end
--begin
SET TIME ZONE INTERVAL '-08:00' HOUR TO MINUTE;
SHOW TimeZone;
SELECT id, joined FROM people WHERE id = 1;
SELECT id, joined FROM people WHERE id = 3;
SELECT id, joined FROM people ORDER BY id;
RESET ALL;
SHOW TimeZone;
--end
--begin
SET DateStyle = 'German';
SELECT id, born FROM people WHERE id IN (3, 4);
SELECT min(born), max(born) FROM people;
--end
--begin
SET DateStyle = 'German';
SELECT id, born, seen FROM people ORDER BY born, seen, id;
--end
--begin
SET IntervalStyle = 'iso_8601';
SELECT id, span FROM people ORDER BY span, id;
--end
--begin
SET extra_float_digits = -3;
SELECT id, height, weight FROM people ORDER BY height, id;
SELECT max(height), sum(weight) FROM people WHERE id IN (1, 4);
--end
--begin
SET bytea_output = 'escape';
SELECT id, pic FROM people ORDER BY pic, id;
--end
--begin
SET search_path = pg_catalog;
SELECT id FROM people;
SELECT count(*) FROM public.people;
SET search_path = public;
SELECT count(*) FROM people;
--end
--begin
BEGIN;
SET LOCAL TimeZone = 'UTC';
SELECT joined FROM people WHERE id = 3;
COMMIT;
SELECT joined FROM people WHERE id = 3;
--end
--begin
SELECT set_config('TimeZone', 'Asia/Tokyo', false);
SELECT id, joined FROM people WHERE id IN (1, 3);
--end
--begin
SET statement_timeout = '1ms';
SELECT pg_sleep(1);
--end
--begin
SET default_transaction_read_only = on;
UPDATE people SET age = 1 WHERE id = 3;
UPDATE people SET age = 1;
--end
SHOW server_encoding;
SHOW missing_setting;
SET missing_setting = 1;
SELECT current_setting('server_version_num')::int / 10000 = 15 OR true;
-- Other.
LISTEN channel;
NOTIFY channel;
UNLISTEN *;
DISCARD ALL;
SELECT pg_advisory_lock(1), pg_advisory_unlock(1);
SELECT pg_try_advisory_xact_lock(5);
--free
EXPLAIN (COSTS OFF) SELECT * FROM notes WHERE id = 1;
SELECT pg_backend_pid() > 0;
SELECT * FROM pg_stat_activity WHERE false;
SELECT txid_current() > 0;
CHECKPOINT;
SELECT 'unterminated;
SELECT $1;
SELECT ;
SELECT 1 AS "a;b", ';' AS c;
-- Cursors, tables and locks over several shards.
--begin
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT id, name, mood FROM people ORDER BY name, id;
--ordered
FETCH 3 FROM c;
--ordered
FETCH PRIOR FROM c;
MOVE ABSOLUTE 5 FROM c;
--ordered
FETCH RELATIVE 0 FROM c;
DECLARE d NO SCROLL CURSOR FOR SELECT age, count(*), avg(balance) FROM people GROUP BY age ORDER BY age;
--ordered
FETCH 2 FROM d;
SELECT count(DISTINCT age) FROM people;
--ordered
FETCH LAST FROM c;
--ordered
FETCH ALL FROM d;
CLOSE c;
COMMIT;
--end
--begin
BEGIN;
UPDATE people SET age = 77 WHERE id = 3;
DECLARE c CURSOR FOR SELECT id, age FROM people WHERE age > 30 ORDER BY id;
UPDATE people SET age = 78 WHERE id = 3;
--ordered
FETCH ALL FROM c;
ROLLBACK;
--end
--begin
DECLARE h CURSOR WITH HOLD FOR SELECT p.id, o.item FROM people p LEFT JOIN orders o ON o.person_id = p.boss ORDER BY p.id, o.id;
--ordered
FETCH 2 FROM h;
SELECT count(*) FROM people;
--ordered
FETCH 2 FROM h;
CLOSE h;
FETCH 1 FROM h;
--end
DECLARE c CURSOR FOR SELECT id FROM people;
--begin
BEGIN;
CREATE TEMP TABLE mine ON COMMIT DROP AS SELECT p.id, p.mood, l.amount FROM people p LEFT JOIN lines l ON l.person_id = p.id;
SELECT mood, count(*), sum(amount) FROM mine GROUP BY mood ORDER BY mood;
SELECT count(*) FROM mine JOIN people USING (id);
SELECT * INTO TEMP others FROM (SELECT item, max(qty) AS most FROM orders GROUP BY item) x;
SELECT * FROM others ORDER BY item;
COMMIT;
--end
--begin
BEGIN;
SELECT id, age FROM people WHERE age > 20 ORDER BY id FOR UPDATE;
SELECT p.id, o.id FROM people p JOIN orders o ON o.person_id = p.id ORDER BY p.id, o.id FOR SHARE OF p NOWAIT;
UPDATE people SET age = 50 WHERE id = 3;
ROLLBACK;
--end
SELECT k, n FROM bag WHERE n > 0 FOR KEY SHARE SKIP LOCKED;
SELECT id FROM people p WHERE id = 3 FOR UPDATE OF p;
