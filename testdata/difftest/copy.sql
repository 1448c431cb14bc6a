COPY bag FROM STDIN;
1	a	1	1.5
3	b	\N	NaN
2	\N	3	\N
\.
COPY bag (k, v) FROM STDIN;
3	x\ty
3	back\\slash
3	new\nline
\.
COPY bag (v, k) FROM STDIN WITH (FORMAT csv);
"quoted, ""text""",1
plain,3
"two
lines",2
,9
"",9
\.
COPY bag FROM STDIN WITH (FORMAT csv, HEADER, DELIMITER ';', NULL 'nil', QUOTE '''');
k;v;n;f
1;'a;b';nil;1
3;nil;2;nil
\.
COPY bag (k, v) FROM STDIN WITH (FORMAT csv, FORCE_NULL (v));
1,""
3,"x"
\.
COPY bag (k, v) FROM STDIN WITH (FORMAT csv, FORCE_NOT_NULL (v), ESCAPE '\');
1,
3,"a\"b"
\.
COPY bag (k, v) FROM STDIN (DELIMITER ',', NULL '-');
1,-
3,y
\.
COPY bag FROM STDIN;
\.
COPY bag FROM STDIN;
1	a	1	1
3	b	x	1
\.
COPY bag FROM STDIN;
1	a	1
\.
COPY bag FROM STDIN;
1	a	1	1	1
\.
COPY bag FROM STDIN;
\N	a	1	1
\.
COPY bag FROM STDIN;
x	a	1	1
\.
COPY bag (v) FROM STDIN;
a
\.
COPY bag (k, v) FROM STDIN WITH (FORMAT csv);
1,"unterminated
\.
COPY bag FROM STDIN WHERE n > 1;
1	a	1	1
3	b	2	1
\.
COPY people (id, name) FROM STDIN;
2	new
33	ünï
39	\N
\.
COPY people (id, name) FROM STDIN;
2	new
1	twice
\.
COPY orders (person_id, id, item) FROM STDIN;
1	200	a
3	200	b
4	200	c
\.
COPY orders (person_id, id, item) FROM STDIN;
1	200	a
2	200	no such person
\.
COPY accounts (login, credit) FROM STDIN CSV;
new,1.005
newer,2
"a,b",3
\.
COPY devices (id, label) FROM STDIN;
00000000-0000-4000-8000-000000000001	a
{00000000000040008000000000000004}	b
\.
COPY ledger FROM STDIN;
500	1	1	a
1500	9	2	b
2500	1	3	c
\.
COPY invoices FROM STDIN CSV;
DE,100,1,t
FR,100,2,f
IT,1,3,
\.
COPY countries FROM STDIN CSV;
IT,Italy,59000000,1
ES,Spain,,
\.
COPY countries FROM STDIN CSV;
IT,Italy,59000000,1
DE,again,,
\.
COPY notes FROM STDIN CSV;
100,1,x,2024-01-01
\.
COPY settings FROM STDIN;
a	{"x": "y"}	1
\.
COPY bag FROM STDIN (FREEZE);
1	a	1	1
\.
COPY missing_table FROM STDIN;
1
\.
COPY bag (k, wrong) FROM STDIN;
1	1
\.
COPY people TO STDOUT;
COPY bag TO STDOUT;
COPY bag (v, k) TO STDOUT WITH (FORMAT csv, FORCE_QUOTE *);
COPY bag TO STDOUT CSV HEADER;
COPY bag TO STDOUT (DELIMITER '|', NULL 'nil');
COPY hollow TO STDOUT CSV HEADER;
COPY (SELECT id, name FROM people WHERE id = 3) TO STDOUT;
COPY (SELECT id, name FROM people ORDER BY id) TO STDOUT;
COPY (SELECT age, count(*) FROM people GROUP BY age ORDER BY age) TO STDOUT CSV HEADER;
COPY (SELECT count(*) FROM people) TO STDOUT;
COPY (SELECT p.id, o.item FROM people p JOIN orders o ON o.person_id = p.id ORDER BY p.id, o.id LIMIT 5) TO STDOUT CSV;
COPY (DELETE FROM bag WHERE k = 9 RETURNING v) TO STDOUT;
COPY (VALUES (1, 'a'), (2, NULL)) TO STDOUT;
COPY countries TO STDOUT;
COPY notes TO STDOUT CSV;
COPY (SELECT wrong FROM people) TO STDOUT;
COPY people TO STDOUT (FORMAT wrong);
COPY invoices TO STDOUT;
COPY (TABLE accounts ORDER BY login) TO STDOUT;
COPY hollow TO STDOUT;
COPY devices (label, id) TO STDOUT WITH (FORMAT csv, HEADER, NULL 'nil', FORCE_QUOTE (label));
COPY ledger TO STDOUT (FORMAT text, HEADER);
COPY (SELECT * FROM people) TO STDOUT;
COPY (SELECT * FROM people) TO STDOUT CSV;
COPY (SELECT login, credit FROM accounts WHERE level > 1) TO STDOUT WITH CSV HEADER DELIMITER ';';
COPY (SELECT mood, avg(age), count(DISTINCT boss) FROM people GROUP BY mood ORDER BY mood) TO STDOUT CSV HEADER;
COPY (SELECT name FROM people UNION SELECT login FROM accounts) TO STDOUT;
COPY (WITH x AS (SELECT * FROM orders WHERE qty > 1) SELECT item, qty FROM x) TO STDOUT;
COPY (SELECT 1/(qty-10) FROM orders) TO STDOUT;
COPY (SELECT id FROM hollow) TO STDOUT (FORMAT csv, HEADER);
COPY people (nothing) TO STDOUT;
COPY people TO STDOUT CSV QUOTE 'ab';
