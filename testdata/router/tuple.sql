-- A shard key of two columns.
SELECT * FROM seats WHERE hall = 1 AND place = 'A';
--> one on s1
SELECT * FROM seats WHERE hall = 1;
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT * FROM seats WHERE place = 'A' AND hall IN (1, 2, 3);
--> gather on s1 s2 s3
--> merge: concatenated
SELECT * FROM seats WHERE (hall, place) IN ((1, 'A'), (9, 'H'));
--> gather on s1 s4
--> merge: concatenated
SELECT * FROM seats WHERE (place, hall) IN (('A', 1), ('H', 9));
--> gather on s1 s4
--> merge: concatenated
SELECT * FROM seats WHERE (hall, price) IN ((1, 2), (3, 4)) AND place = 'A';
--> gather on s1 s2
--> merge: concatenated
SELECT * FROM seats WHERE hall = 1 AND place = 'A' OR hall = 9 AND place = 'H';
--> gather on s1 s4
--> merge: concatenated
SELECT * FROM seats s JOIN tickets t ON t.hall = s.hall AND t.place = s.place;
--> gather on s1 s2 s3 s4
--> merge: concatenated
SELECT * FROM seats s JOIN tickets t ON t.hall = s.hall;
--> pull in parts on s2 s3 s4 for s1
--> sends SELECT * FROM (SELECT "hall", "place", "price" FROM "public"."seats" UNION ALL SELECT c1 AS "hall", c2 AS "place", c3 AS "price" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) s JOIN (SELECT "no", "place", "hall" FROM "public"."tickets" UNION ALL SELECT c4 AS "no", c5 AS "place", c6 AS "hall" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 1) t ON t.hall = s.hall
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, (NULL::"public"."seats")."hall" AS c1, (NULL::"public"."seats")."place" AS c2, (NULL::"public"."seats")."price" AS c3, (NULL::"public"."tickets")."no" AS c4, (NULL::"public"."tickets")."place" AS c5, (NULL::"public"."tickets")."hall" AS c6 WITH NO DATA
--> s2 s3 s4 gets SELECT 0::pg_catalog.int2, "hall", "place", "price", (NULL::"public"."tickets")."no", (NULL::"public"."tickets")."place", (NULL::"public"."tickets")."hall" FROM "public"."seats" UNION ALL SELECT 1::pg_catalog.int2, (NULL::"public"."seats")."hall", (NULL::"public"."seats")."place", (NULL::"public"."seats")."price", "no", "place", "hall" FROM "public"."tickets"
SELECT * FROM seats s JOIN tickets t USING (hall, place) WHERE t.hall = 1 AND s.place = 'A';
--> one on s1
/* pgring: key='(1,A)' */ SELECT * FROM seats;
--> one on s1
INSERT INTO seats (place, hall) VALUES ('A', 1);
--> writes
--> one on s1
INSERT INTO seats VALUES (1, 'A', 1), (2, 'A', 1), (9, 'H', 1);
--> writes
--> split in parts on s1 s3 s4
--> s1 gets INSERT INTO seats VALUES (1, 'A', 1)
--> s3 gets INSERT INTO seats VALUES (2, 'A', 1)
--> s4 gets INSERT INTO seats VALUES (9, 'H', 1)
INSERT INTO seats (hall) VALUES (1);
--> writes
--> refused (missing key): INSERT needs a value for the shard key
-->   detail: Table "seats" is sharded by "hall, place", and the INSERT gives it no value.
-->   hint: Give "hall, place" a constant or a parameter in the INSERT.
INSERT INTO seats (hall, place) VALUES (1, NULL);
--> writes
--> refused (null key): null value in shard key "hall, place" of table "seats"
-->   detail: A row without a key has no shard.
-->   hint: Give "hall, place" a value.
INSERT INTO tickets SELECT 1, place, hall FROM seats WHERE hall = 1 AND place = 'A';
--> writes
--> one on s1
UPDATE seats SET price = 1 WHERE hall = 1 AND place = 'A';
--> writes
--> one on s1
UPDATE seats SET price = 1 WHERE hall = 1;
--> writes
--> split on s1 s2 s3 s4
UPDATE seats SET place = 'B' WHERE hall = 1 AND place = 'A';
--> writes
--> refused (changes key): the shard key cannot be updated
-->   detail: Table "seats" is sharded by "hall, place": another value may belong to another shard.
-->   hint: Insert the row with its new key and delete the old one.
DELETE FROM seats WHERE (hall, place) = (1, 'A');
--> writes
--> one on s1
COPY seats FROM STDIN;
--> verb copy in, writes
--> split on s1 s2 s3 s4
COPY seats (hall) FROM STDIN;
--> verb copy in, writes
--> refused (unsupported): COPY into "seats" cannot be divided between shards
-->   detail: Its columns do not include the shard key "hall, place".
-->   hint: Use other options, or INSERT.
CREATE UNIQUE INDEX ON seats (hall);
--> defines
--> refused (invalid definition): a unique index on sharded table "seats" must contain the shard key
-->   detail: Each shard sees its own rows only, so without "hall, place" the same values could be on two shards.
-->   hint: Add "hall, place" to its columns.
CREATE UNIQUE INDEX ON seats (place, price, hall);
--> defines
--> broadcast on s1 s2 s3 s4
ALTER TABLE tickets ADD FOREIGN KEY (hall, place) REFERENCES seats (hall, place);
--> defines
--> broadcast on s1 s2 s3 s4
ALTER TABLE tickets ADD FOREIGN KEY (hall, place) REFERENCES seats (place, hall);
--> defines
--> refused (invalid definition): a foreign key of sharded table "tickets" must contain both shard keys
-->   detail: Otherwise the row referred to may be on another shard.
-->   hint: Reference "hall, place" with "hall, place" among the columns.
ALTER TABLE seats RENAME place TO spot;
--> defines
--> refused (invalid definition): the shard key "hall, place" cannot be renamed
-->   detail: The rows of "seats" are placed by it.
-->   hint: Declare another table with the columns you need and copy the rows.
