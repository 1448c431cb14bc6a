-- Transactions.

BEGIN;
--> verb begin
--> home on s1, anywhere
BEGIN ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE;
--> verb begin, sets transaction_isolation = 'serializable' (local), sets transaction_read_only = 'on' (local), sets transaction_deferrable = 'on' (local)
--> home on s1, anywhere
START TRANSACTION READ WRITE;
--> verb begin, sets transaction_read_only = 'off' (local)
--> home on s1, anywhere
COMMIT;
--> verb commit
--> home on s1, anywhere
COMMIT AND CHAIN;
--> verb commit
--> home on s1, anywhere
END;
--> verb commit
--> home on s1, anywhere
ROLLBACK;
--> verb rollback
--> home on s1, anywhere
ABORT;
--> verb rollback
--> home on s1, anywhere
ROLLBACK AND CHAIN;
--> verb rollback
--> home on s1, anywhere
SAVEPOINT a;
--> verb savepoint, name a
--> home on s1, anywhere
SAVEPOINT "A b";
--> verb savepoint, name A b
--> home on s1, anywhere
RELEASE SAVEPOINT a;
--> verb release, name a
--> home on s1, anywhere
ROLLBACK TO a;
--> verb rollback to, name a
--> home on s1, anywhere
PREPARE TRANSACTION 'x';
--> verb prepare transaction, name x
--> refused (unsupported): two-phase commit by clients is not supported
-->   detail: A prepared transaction would be known on one shard only, and pgring uses such transactions itself.
-->   hint: Use COMMIT.
COMMIT PREPARED 'x';
--> verb prepare transaction, name x
--> refused (unsupported): two-phase commit by clients is not supported
-->   detail: A prepared transaction would be known on one shard only, and pgring uses such transactions itself.
-->   hint: Use COMMIT.
ROLLBACK PREPARED 'x';
--> verb prepare transaction, name x
--> refused (unsupported): two-phase commit by clients is not supported
-->   detail: A prepared transaction would be known on one shard only, and pgring uses such transactions itself.
-->   hint: Use COMMIT.
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ;
--> verb set transaction, sets transaction_isolation = 'repeatable read' (local)
--> home on s1, anywhere
SET TRANSACTION READ ONLY;
--> verb set transaction, sets transaction_read_only = 'on' (local)
--> home on s1, anywhere
SET TRANSACTION SNAPSHOT '00000003-0000001B-1';
--> verb set transaction
--> refused (unsupported): SET TRANSACTION SNAPSHOT is not supported
-->   detail: A snapshot is known to one shard only.
-->   hint: Leave it out.
SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ;
--> verb set, sets default_transaction_isolation = 'repeatable read'
--> home on s1, anywhere
SET transaction_isolation = 'serializable';
--> verb set transaction, name transaction_isolation, sets transaction_isolation = 'serializable' (local)
--> home on s1, anywhere
SET CONSTRAINTS ALL DEFERRED;
--> home on s1, anywhere

-- Settings.
SET search_path = public, other;
--> verb set, name search_path, sets search_path = 'public', 'other'
--> home on s1, anywhere
SET search_path TO 'a', "B c";
--> verb set, name search_path, sets search_path = 'a', 'B c'
--> home on s1, anywhere
SET search_path = 'it''s';
--> verb set, name search_path, sets search_path = 'it''s'
--> home on s1, anywhere
SET LOCAL work_mem = '64MB';
--> verb set local, name work_mem, sets work_mem = '64MB' (local)
--> home on s1, anywhere
SET SESSION statement_timeout = 5000;
--> verb set, name statement_timeout, sets statement_timeout = '5000'
--> home on s1, anywhere
SET statement_timeout TO DEFAULT;
--> verb set, name statement_timeout, sets statement_timeout = DEFAULT
--> home on s1, anywhere
SET TIME ZONE 'Europe/Berlin';
--> verb set, name timezone, sets timezone = 'Europe/Berlin'
--> home on s1, anywhere
SET TIME ZONE 3;
--> verb set, name timezone, sets timezone = '3'
--> home on s1, anywhere
SET TIME ZONE LOCAL;
--> verb set, name timezone, sets timezone = DEFAULT
--> home on s1, anywhere
SET TIME ZONE INTERVAL '-08:00' HOUR TO MINUTE;
--> verb set, name timezone, sets timezone = 'INTERVAL ''-08:00'''
--> home on s1, anywhere
SET NAMES 'UTF8';
--> verb set, name client_encoding, sets client_encoding = 'UTF8'
--> home on s1, anywhere
SET NAMES 'SJIS';
--> verb set, name client_encoding, sets client_encoding = 'SJIS'
--> refused (unsupported): client_encoding "SJIS" is not supported
-->   detail: Its characters may contain bytes that mean something else in SQL.
-->   hint: Use UTF8.
SET client_encoding = GB18030;
--> verb set, name client_encoding, sets client_encoding = 'gb18030'
--> refused (unsupported): client_encoding "gb18030" is not supported
-->   detail: Its characters may contain bytes that mean something else in SQL.
-->   hint: Use UTF8.
SET ROLE admin;
--> verb set, name role, sets role = 'admin'
--> home on s1, anywhere
SET ROLE NONE;
--> verb set, name role, sets role = 'none'
--> home on s1, anywhere
SET SESSION AUTHORIZATION DEFAULT;
--> verb set, name session_authorization, sets session_authorization = DEFAULT
--> home on s1, anywhere
SET my.var = 'x';
--> verb set, name my.var, sets my.var = 'x'
--> home on s1, anywhere
SET DateStyle = ISO, DMY;
--> verb set, name datestyle, sets datestyle = 'iso', 'dmy'
--> home on s1, anywhere
SET enable_seqscan = off;
--> verb set, name enable_seqscan, sets enable_seqscan = 'off'
--> home on s1, anywhere
SET seq_page_cost = -1.5;
--> verb set, name seq_page_cost, sets seq_page_cost = '-1.5'
--> home on s1, anywhere
SET standard_conforming_strings = on;
--> verb set, name standard_conforming_strings, sets standard_conforming_strings = 'on'
--> home on s1, anywhere
SET standard_conforming_strings = off;
--> verb set, name standard_conforming_strings, sets standard_conforming_strings = 'off'
--> refused (unsupported): standard_conforming_strings cannot be turned off
-->   detail: pgring reads string constants as the SQL standard has them.
-->   hint: Write E'…' for strings with backslash escapes.
SET standard_conforming_strings TO 'false';
--> verb set, name standard_conforming_strings, sets standard_conforming_strings = 'false'
--> refused (unsupported): standard_conforming_strings cannot be turned off
-->   detail: pgring reads string constants as the SQL standard has them.
-->   hint: Write E'…' for strings with backslash escapes.
SET pgring.cross_shard = 'saga';
--> verb set, name pgring.cross_shard, sets pgring.cross_shard = 'saga'
--> home on s1, anywhere
SET LOCAL pgring.cross_shard = 'saga';
--> verb set local, name pgring.cross_shard, sets pgring.cross_shard = 'saga' (local)
--> home on s1, anywhere
RESET work_mem;
--> verb reset, name work_mem
--> home on s1, anywhere
RESET ALL;
--> verb reset all
--> home on s1, anywhere
RESET pgring.cross_shard;
--> verb reset, name pgring.cross_shard
--> home on s1, anywhere
SHOW work_mem;
--> name work_mem
--> home on s1, anywhere
SHOW ALL;
--> name all
--> home on s1, anywhere
SHOW pgring.last_saga_id;
--> verb show local, name last_saga_id
--> home on s1, anywhere
SHOW TRANSACTION ISOLATION LEVEL;
--> name transaction_isolation
--> home on s1, anywhere
SELECT set_config('work_mem', '64MB', false);
--> verb set, sets work_mem = '64MB'
--> home on s1, anywhere
SELECT pg_catalog.set_config('search_path', '', false);
--> verb set, sets search_path = ''
--> home on s1, anywhere
SELECT set_config('work_mem', '64MB', true);
--> verb set, sets work_mem = '64MB' (local)
--> home on s1, anywhere
SELECT set_config(name, setting, false) FROM pg_settings;
--> pins settings, writes
--> refused (unsupported): set_config is not supported in this form
-->   detail: The setting would hold on one shard only.
-->   hint: Write SELECT set_config(name, value, is_local) with a name that is a constant and a value that is a constant or a parameter, or SET.
SELECT set_config('standard_conforming_strings', 'off', false);
--> verb set, sets standard_conforming_strings = 'off'
--> refused (unsupported): standard_conforming_strings cannot be turned off
-->   detail: pgring reads string constants as the SQL standard has them.
-->   hint: Write E'…' for strings with backslash escapes.
--$ 64MB
SELECT set_config('work_mem', $1, false);
--> verb set, sets work_mem = 
--> home on s1, anywhere

-- Prepared statements.
PREPARE p AS SELECT * FROM customers WHERE id = $1;
--> verb prepare, name p, inner SELECT * FROM customers WHERE id = $1
--> home on s1, anywhere
PREPARE p (bigint, numeric(10, 2)) AS UPDATE customers SET score = $2 WHERE id = $1;
--> verb prepare, name p, inner UPDATE customers SET score = $2 WHERE id = $1
--> home on s1, anywhere
PREPARE p AS SELECT * FROM customers ORDER BY name;
--> verb prepare, name p, inner SELECT * FROM customers ORDER BY name
--> home on s1, anywhere
EXECUTE p;
--> verb execute, name p
--> home on s1, anywhere
EXECUTE p (42, 'x', NULL, -1.5, true, '2024-01-01'::date);
--> verb execute, name p
--> home on s1, anywhere
EXECUTE p (now());
--> verb execute, name p
--> home on s1, anywhere
DEALLOCATE p;
--> verb deallocate, name p
--> home on s1, anywhere
DEALLOCATE PREPARE p;
--> verb deallocate, name p
--> home on s1, anywhere
DEALLOCATE ALL;
--> verb deallocate all
--> home on s1, anywhere
DISCARD ALL;
--> verb discard, name all
--> home on s1, anywhere
DISCARD TEMP;
--> verb discard, name temp
--> home on s1, anywhere

-- Notifications, cursors.
LISTEN channel;
--> verb listen, name channel, pins listen
--> home on s1
UNLISTEN channel;
--> verb unlisten, name channel
--> home on s1
UNLISTEN *;
--> verb unlisten
--> home on s1
NOTIFY channel, 'payload';
--> verb notify, name channel, writes
--> home on s1
DECLARE c CURSOR FOR SELECT * FROM customers WHERE id = 42;
--> verb declare, name c, inner SELECT * FROM customers WHERE id = 42
--> one on s3
DECLARE c SCROLL CURSOR WITH HOLD FOR SELECT * FROM settings;
--> verb declare, name c, inner SELECT * FROM settings, pins cursor
--> home on s1
DECLARE c CURSOR FOR SELECT * FROM customers;
--> verb declare, name c, inner SELECT * FROM customers
--> pull in parts on s1 s3 s4 for s2
--> sends DECLARE c CURSOR FOR SELECT * FROM (SELECT "id", "name", "email", "code", "balance", "score", "country", "created" FROM "public"."customers" UNION ALL SELECT c1 AS "id", c2 AS "name", c3 AS "email", c4 AS "code", c5 AS "balance", c6 AS "score", c7 AS "country", c8 AS "created" FROM pg_temp.pgring_pull WHERE k OPERATOR(pg_catalog.=) 0) customers
--> makes CREATE TEMPORARY TABLE pgring_pull ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k, (NULL::"public"."customers")."id" AS c1, (NULL::"public"."customers")."name" AS c2, (NULL::"public"."customers")."email" AS c3, (NULL::"public"."customers")."code" AS c4, (NULL::"public"."customers")."balance" AS c5, (NULL::"public"."customers")."score" AS c6, (NULL::"public"."customers")."country" AS c7, (NULL::"public"."customers")."created" AS c8 WITH NO DATA
--> s1 s3 s4 gets SELECT 0::pg_catalog.int2, "id", "name", "email", "code", "balance", "score", "country", "created" FROM "public"."customers"
DECLARE "for" NO SCROLL CURSOR FOR SELECT 'for' FROM customers WHERE id = 42 FOR UPDATE;
--> verb declare, name for, inner SELECT 'for' FROM customers WHERE id = 42 FOR UPDATE, writes
--> one on s3
FETCH 10 FROM c;
--> verb fetch, name c
--> home on s1, anywhere
FETCH BACKWARD 1 FROM c;
--> verb fetch, name c
--> home on s1, anywhere
MOVE FORWARD ALL IN c;
--> verb fetch, name c
--> home on s1, anywhere
CLOSE c;
--> verb close, name c
--> home on s1, anywhere
CLOSE ALL;
--> verb close
--> home on s1, anywhere

-- COPY.
COPY settings FROM STDIN;
--> verb copy in, writes
--> home on s1
COPY settings TO STDOUT WITH (FORMAT csv);
--> verb copy out
--> home on s1
COPY customers FROM STDIN;
--> verb copy in, writes
--> split on s1 s2 s3 s4
COPY customers TO STDOUT;
--> verb copy out
--> gather on s1 s2 s3 s4
COPY solo_events FROM STDIN;
--> verb copy in, writes
--> one on s2
COPY countries TO STDOUT;
--> verb copy out
--> home on s1
COPY countries FROM STDIN;
--> verb copy in, writes
--> broadcast on s1 s2 s3 s4
COPY (SELECT * FROM customers WHERE id = 42) TO STDOUT;
--> verb copy out
--> one on s3
COPY (SELECT * FROM customers) TO STDOUT;
--> verb copy out
--> gather on s1 s2 s3 s4
COPY settings FROM '/tmp/x';
--> writes
--> home on s1
COPY orders_view TO STDOUT;
--> verb copy out
--> refused (unsupported): COPY of a view over sharded tables is not supported
-->   detail: The view would see the rows of one shard only.
-->   hint: COPY a query of the table itself.

-- Directives.
/* pgring: shard=s3 */ SELECT * FROM customers;
--> one on s3
/* pgring: shard=s3 */ UPDATE customers SET name = 'x';
--> writes
--> one on s3
/* pgring: shard=s9 */ SELECT 1;
--> refused (unknown shard): there is no shard "s9"
-->   detail: A pgring directive names it.
-->   hint: SHOW SHARDS lists the shards.
/* pgring: key=42 */ SELECT status, count(*) FROM orders GROUP BY status;
--> one on s3
/* pgring: key=42 */ SELECT * FROM settings;
--> refused (bad directive): pgring directive is not understood
-->   detail: In the comment, key is given, but the statement has no sharded table.
-->   hint: Directives are shard=name, key=value and gather=off, in a comment before the statement.
/* pgring: key=forty */ SELECT * FROM orders;
--> refused (invalid key): invalid input syntax for type bigint: "forty"
/* pgring: gather=off */ SELECT * FROM orders;
--> refused (unsupported): statement needs several shards
-->   detail: Its directive says gather=off.
-->   hint: Give the statement a shard key, or leave the directive out.
/* pgring: gather=off */ SELECT * FROM orders WHERE user_id = 42;
--> one on s3
/* pgring: speed=11 */ SELECT * FROM orders;
--> refused (bad directive): pgring directive is not understood
-->   detail: In the comment, there is no directive "speed=11".
-->   hint: Directives are shard=name, key=value and gather=off, in a comment before the statement.
/* pgring: shard */ SELECT * FROM orders;
--> refused (bad directive): pgring directive is not understood
-->   detail: In the comment, it is not of the form name=value: "shard".
-->   hint: Directives are shard=name, key=value and gather=off, in a comment before the statement.
SELECT /* pgring: shard=s3 */ * FROM orders;
--> refused (bad directive): pgring directive is not understood
-->   detail: In the comment, it stands behind the start of the statement.
-->   hint: Directives are shard=name, key=value and gather=off, in a comment before the statement.
-- pgring: is also read in line comments; this file's own comments end here
SELECT 1;
--> home on s1, anywhere

-- EXPLAIN ROUTE.
EXPLAIN ROUTE SELECT * FROM customers WHERE id = 42;
--> verb explain route, inner SELECT * FROM customers WHERE id = 42
--> home on s1, anywhere
explain /* x */ route select 1;
--> verb explain route, inner select 1
--> home on s1, anywhere
EXPLAIN ROUTE EXPLAIN SELECT 1;
--> verb explain route, inner EXPLAIN SELECT 1
--> home on s1, anywhere
EXPLAIN EXECUTE p;
--> defines
--> refused (unsupported): EXPLAIN of this statement is not supported
-->   detail: Queries and writes are explained as they are written.
-->   hint: Write the statement in the place of EXECUTE.

-- Syntax errors.
SELEC 1;
--> refused (syntax error): syntax error at or near "SELEC"
SELECT 'open;
--> refused (syntax error): unterminated quoted string at or near "'open"
SELECT * FROM customers WHERE;
--> refused (syntax error): syntax error at end of input
SELECT 1e;
--> refused (syntax error): trailing junk after numeric literal at or near "1e"
SELECT $1abc;
--> home on s1, anywhere
SELECT set_config('search_path', 'A, "B c", public', false);
--> verb set, sets search_path = 'a', 'B c', 'public'
--> home on s1, anywhere
DECLARE c CURSOR FOR SELECT 'x', 5 FROM orders WHERE total > 7 AND user_id = 42;
--> verb declare, name c, inner SELECT 'x', 5 FROM orders WHERE total > 7 AND user_id = 42
--> one on s3
SET TIME ZONE INTERVAL '+00:00' HOUR TO MINUTE;
--> verb set, name timezone, sets timezone = 'INTERVAL ''+00:00'''
--> home on s1, anywhere
SET TIME ZONE INTERVAL '2' HOUR;
--> verb set, name timezone, sets timezone = 
--> refused (unsupported): value of timezone is not understood
-->   detail: It is not a list of constants.
-->   hint: Write the value as a string.
