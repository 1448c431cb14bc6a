SELECT * FROM seats WHERE hall = 1 AND place = 'A1';
SELECT * FROM seats WHERE place = 'B1' AND hall = 4;
SELECT * FROM seats WHERE (hall, place) = (3, 'C 3');
SELECT * FROM seats WHERE hall = 1 AND place = NULL;
SELECT count(*) FROM seats WHERE hall = 1;
SELECT * FROM seats WHERE place = 'A1' ORDER BY hall;
SELECT * FROM seats WHERE hall IN (1, 2) AND place IN ('A1', 'B1') ORDER BY hall, place;
SELECT * FROM seats WHERE (hall, place) IN ((1, 'A1'), (2, 'B2'), (4, 'B1')) ORDER BY hall;
SELECT * FROM seats WHERE hall = ANY (ARRAY[1, 3]) AND place = ANY (ARRAY['B1', 'C 3']) ORDER BY hall, place;
SELECT * FROM seats WHERE hall = 1 AND place = 'A1' OR hall = 4 AND place = 'B1' ORDER BY hall;
SELECT * FROM seats ORDER BY hall DESC, place COLLATE "C" LIMIT 4;
SELECT hall, count(*), sum(price), max(since) FROM seats GROUP BY hall ORDER BY hall;
SELECT hall, place, count(*) FROM tickets GROUP BY hall, place ORDER BY hall, place COLLATE "C";
SELECT DISTINCT place FROM seats ORDER BY place;
SELECT hall, place, row_number() OVER (PARTITION BY hall ORDER BY place) FROM seats ORDER BY 1, 2;
SELECT s.price, t.no, t.paid FROM seats s JOIN tickets t ON t.hall = s.hall AND t.place = s.place WHERE s.hall = 1 AND s.place = 'B1' ORDER BY no;
SELECT s.hall, s.place, t.no FROM seats s JOIN tickets t USING (hall, place) ORDER BY 1, 2, 3;
SELECT s.hall, s.place, t.no FROM seats s LEFT JOIN tickets t USING (hall, place) ORDER BY 1, 2, 3;
SELECT s.hall, s.place, t.no FROM seats s JOIN tickets t USING (hall) ORDER BY 1, 2, 3, t.place;
SELECT s.hall, t.hall, s.place FROM seats s JOIN tickets t USING (place) ORDER BY 1, 2, 3, t.no;
SELECT count(*) FROM seats s JOIN tickets t ON t.hall = s.hall AND t.place > s.place;
SELECT p.name, s.place FROM people p JOIN seats s ON s.holder = p.id WHERE s.hall = 4 AND s.place = 'B1';
SELECT hall, place FROM seats s WHERE EXISTS (SELECT FROM tickets t WHERE t.hall = s.hall AND t.place = s.place) ORDER BY hall, place;
SELECT hall, place, (SELECT sum(paid) FROM tickets t WHERE (t.hall, t.place) = (s.hall, s.place)) FROM seats s ORDER BY hall, place;
SELECT hall, place FROM seats UNION ALL SELECT hall, place FROM tickets ORDER BY 1, 2;
WITH s AS (SELECT * FROM seats WHERE hall = 2 AND place = 'A1') SELECT s.price, count(t.no) FROM s LEFT JOIN tickets t USING (hall, place) GROUP BY 1;
INSERT INTO seats (hall, place) VALUES (1, 'Z') RETURNING *;
INSERT INTO seats (place, price, hall) VALUES ('Z', 1, 1), ('Z', 2, 2), ('Z', 3, 3);
--ordered
INSERT INTO seats (hall, place, price) VALUES (1, 'Z', 1), (2, 'Z', 2), (3, 'Z', 3), (4, 'Z', 4) RETURNING hall, price;
INSERT INTO seats VALUES (1, 'A1', 7) ON CONFLICT (hall, place) DO UPDATE SET price = excluded.price RETURNING *;
INSERT INTO seats VALUES (1, 'A1', 7), (3, 'B1', 8), (9, 'A', 9) ON CONFLICT DO NOTHING;
INSERT INTO seats VALUES (1, 'A1', 7), (3, 'B1', 8), (9, 'A', 9) ON CONFLICT (place, hall) DO UPDATE SET price = seats.price + excluded.price;
INSERT INTO seats VALUES (1, 'A1');
INSERT INTO seats (hall) VALUES (1);
INSERT INTO seats (hall, place) VALUES (1, NULL);
INSERT INTO seats (hall, place) VALUES (NULL, 'x'), (1, 'y');
INSERT INTO seats (hall, place) VALUES ('x', 'y');
INSERT INTO seats (hall, place) VALUES (1 + 1, 'Z' || 1), (abs(-3), lower('Z'));
INSERT INTO seats (hall, place) SELECT 5, 'Z';
INSERT INTO seats (hall, place) SELECT hall, place || '!' FROM seats WHERE price > 6;
INSERT INTO tickets SELECT hall, place, 70, 'copied' FROM seats WHERE taken;
INSERT INTO tickets SELECT hall, place, 71 FROM seats WHERE hall = 1 AND place = 'B1' RETURNING *;
INSERT INTO tickets (hall, place, no, label) SELECT id, 'of ' || name, 1, nick FROM people WHERE id < 10;
UPDATE seats SET price = price + 1 WHERE hall = 1 AND place = 'A1' RETURNING *;
UPDATE seats SET taken = NOT taken WHERE hall = 1;
UPDATE seats SET price = 0;
UPDATE seats SET since = '2030-01-01' WHERE (hall, place) IN ((1, 'A1'), (2, 'A1'), (3, 'B1'));
UPDATE seats SET place = 'A1', price = 3 WHERE hall = 1 AND place = 'A1';
UPDATE seats s SET price = t.paid FROM tickets t WHERE t.hall = s.hall AND t.place = s.place AND t.no = 1;
DELETE FROM tickets WHERE hall = 1 AND place = 'B1' AND no = 2 RETURNING label;
DELETE FROM tickets WHERE place = 'B1';
DELETE FROM seats WHERE hall = 2 AND NOT EXISTS (SELECT FROM tickets t WHERE t.hall = seats.hall AND t.place = seats.place);
DELETE FROM seats USING tickets t WHERE t.hall = seats.hall AND t.place = seats.place AND t.paid > 1;
MERGE INTO seats s USING (VALUES (1::bigint, 'A1', 5)) v(hall, place, price) ON s.hall = v.hall AND s.place = v.place WHEN MATCHED THEN UPDATE SET price = v.price;
WITH d AS (DELETE FROM tickets WHERE hall = 1 AND place = 'A1' RETURNING *) SELECT count(*), sum(no) FROM d;
SELECT * FROM seats WHERE hall = 1 AND place = 'A1' FOR UPDATE;
COPY seats (place, hall, price) FROM STDIN;
Z	1	5
t\tb	2	\N
Z	3	0
\.
COPY tickets FROM STDIN WITH (FORMAT csv);
1,"Z ""1""",1,x,
2,Z,2,,3.5
3,"Z",3,"",1
\.
COPY seats FROM STDIN;
1	\N	5	t	1	\N
\.
COPY seats (hall, price) FROM STDIN;
1	5
\.
COPY seats (hall, place) FROM STDIN;
1	A1
\.
COPY (SELECT * FROM seats ORDER BY hall, place) TO STDOUT;
--begin
BEGIN;
UPDATE seats SET price = 1 WHERE hall = 2 AND place = 'A1';
INSERT INTO tickets VALUES (2, 'A1', 8, 'new');
SELECT sum(price), count(*) FROM seats;
ROLLBACK;
--end
--begin
PREPARE q (int, text) AS SELECT price FROM seats WHERE hall = $1 AND place = $2;
EXECUTE q (1, 'A1');
EXECUTE q (2, 'B2');
--end
CREATE UNIQUE INDEX ON seats (place, hall, since);
CREATE UNIQUE INDEX ON seats (place);
ALTER TABLE tickets ADD FOREIGN KEY (hall, place) REFERENCES seats;
