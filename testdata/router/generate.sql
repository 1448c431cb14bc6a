-- Values that the proxy makes by itself.
SELECT pgring.next_id();
--> verb generate, next_id as next_id
--> home on s1, anywhere
select pgring.uuid7() AS request, pgring.next_id() n;
--> verb generate, uuid7 as request, next_id as n
--> home on s1, anywhere

-- With anything more they are ordinary functions, which the server must have.
SELECT pgring.next_id() + 1;
--> writes
--> home on s1
SELECT pgring.next_id() FROM generate_series(1, 3);
--> writes
--> home on s1
SELECT pgring.next_id() WHERE true;
--> writes
--> home on s1
SELECT pgring.next_id() LIMIT 1;
--> writes
--> home on s1
SELECT pgring.next_id(1);
--> writes
--> home on s1
SELECT next_id();
--> writes
--> home on s1
SELECT count(*), pgring.next_id();
--> writes
--> home on s1
SELECT pgring.next_id() UNION ALL SELECT pgring.next_id();
--> writes
--> home on s1
VALUES (pgring.next_id());
--> writes
--> home on s1
/* pgring: shard=s2 */ SELECT pgring.next_id();
--> writes
--> one on s2
