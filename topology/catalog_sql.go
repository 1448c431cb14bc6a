package topology

// userRelations is the condition on pg_class c and pg_namespace n for what belongs to the user. Temporary tables belong to one
// session; schema pgring is ours.
const userRelations = ` c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND c.relpersistence <> 't'
	AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'pgring')`

const relationsSQL = `SELECT c.oid, n.nspname::text, c.relname::text, c.relkind::text
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE` + userRelations

// columnsSQL looks through domains, which may stand on domains. A collation gives byte order when it is C or POSIX of the C
// library, or (PostgreSQL 17) any of the built-in provider; collation "default" is that of the database.
const columnsSQL = `
WITH RECURSIVE step AS (
	SELECT oid AS domain, typbasetype AS base, typnotnull AS not_null, typdefault IS NOT NULL AS has_default
	FROM pg_catalog.pg_type WHERE typtype = 'd'
	UNION ALL
	SELECT s.domain, t.typbasetype, s.not_null OR t.typnotnull, s.has_default OR t.typdefault IS NOT NULL
	FROM step s JOIN pg_catalog.pg_type t ON t.oid = s.base AND t.typtype = 'd'
), domains AS (
	SELECT s.* FROM step s JOIN pg_catalog.pg_type t ON t.oid = s.base AND t.typtype <> 'd'
), collations AS (
	SELECT l.oid, NOT l.collisdeterministic AS nondeterministic, CASE l.collprovider
		WHEN 'd' THEN d.datlocprovider = 'b' OR d.datlocprovider = 'c' AND d.datcollate IN ('C', 'POSIX')
		WHEN 'b' THEN true
		ELSE l.collprovider = 'c' AND l.collcollate IN ('C', 'POSIX') END AS bytewise
	FROM pg_catalog.pg_collation l, pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()
)
SELECT a.attrelid, a.attname::text, coalesce(d.base, a.atttypid), a.attnotnull OR coalesce(d.not_null, false),
	a.atthasdef OR a.attidentity <> '' OR coalesce(d.has_default, false), a.attgenerated <> '', a.attidentity <> '', d.base IS NOT NULL,
	coalesce(l.bytewise, false), coalesce(l.nondeterministic, false), pg_catalog.format_type(a.atttypid, a.atttypmod)
FROM pg_catalog.pg_attribute a
JOIN pg_catalog.pg_class c ON c.oid = a.attrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN domains d ON d.domain = a.atttypid LEFT JOIN collations l ON l.oid = a.attcollation
WHERE a.attnum > 0 AND NOT a.attisdropped AND` + userRelations + `
ORDER BY a.attrelid, a.attnum`

const uniqueSQL = `
SELECT i.indrelid, i.indisprimary, ARRAY(
	SELECT a.attname::text FROM pg_catalog.unnest(i.indkey[0:i.indnkeyatts - 1]) WITH ORDINALITY k (number, place)
	JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number ORDER BY k.place)
FROM pg_catalog.pg_index i
JOIN pg_catalog.pg_class c ON c.oid = i.indrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE i.indisunique AND i.indpred IS NULL AND i.indexprs IS NULL AND` + userRelations + `
ORDER BY i.indrelid, i.indexrelid`

const parentsSQL = `SELECT inhrelid, inhparent FROM pg_catalog.pg_inherits ORDER BY inhrelid, inhseqno`

// usesSQL gives what rules name: the SELECT rule of a view or materialized view, and the rules that a user put on a table.
const usesSQL = `
SELECT DISTINCT r.ev_class, d.refobjid FROM pg_catalog.pg_rewrite r
JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = r.oid
	AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid <> r.ev_class
JOIN pg_catalog.pg_class c ON c.oid = r.ev_class JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE` + userRelations + `
ORDER BY 1, 2`

const functionsSQL = `
SELECT p.proname::text, n.nspname::text, p.provolatile = 'v', p.proretset, p.prokind = 'a', p.prokind = 'w', p.prokind = 'p'
FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
ORDER BY 1, 2, p.oid`

// fingerprintSQL changes when DDL of anybody changed what loadCatalog reads. Every DDL writes new versions of catalog rows, with
// its own xmin; ANALYZE and VACUUM update in place and so change nothing here. Rows of temporary tables are left out, for they
// come and go. 2,000 tables of 20 columns take 30 ms on one core, an ordinary schema 2 ms.
const fingerprintSQL = `
WITH user_class AS MATERIALIZED (
	SELECT c.oid, c.xmin FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
	WHERE` + userRelations + `
)
SELECT pg_catalog.concat_ws('.',
	(SELECT pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW (oid, xmin), 0)) FROM user_class),
	(SELECT pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW (a.attrelid, a.attnum, a.xmin), 1))
		FROM pg_catalog.pg_attribute a JOIN user_class c ON c.oid = a.attrelid WHERE a.attnum > 0),
	(SELECT pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW (i.indexrelid, i.xmin), 2))
		FROM pg_catalog.pg_index i JOIN user_class c ON c.oid = i.indrelid WHERE i.indisunique),
	(SELECT pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW (r.oid, r.xmin), 3))
		FROM pg_catalog.pg_rewrite r JOIN user_class c ON c.oid = r.ev_class),
	(SELECT pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW (inhrelid, inhparent, xmin), 4)) FROM pg_catalog.pg_inherits),
	(SELECT pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW (oid, xmin), 5)) FROM pg_catalog.pg_proc WHERE oid >= 16384),
	(SELECT pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW (oid, xmin), 6)) FROM pg_catalog.pg_type WHERE typtype = 'd'),
	(SELECT pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW (oid, xmin), 7)) FROM pg_catalog.pg_namespace WHERE nspname !~ '^pg_'))`
