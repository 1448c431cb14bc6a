package topology

// userRelations is the condition on pg_class c and pg_namespace n for what belongs to the user. Temporary tables belong to one
// session; schema pgring is ours.
const userRelations = ` c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND c.relpersistence <> 't'
	AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'pgring')`

// relationsSQL calls a table silent if nothing is attached to it that could run code of a user's when rows are written: triggers (those of foreign
// keys run code only where they change other tables), rules, policies, tables that inherit, domains, and functions, operators and classes of operators
// in defaults, constraints and indexes, or current_query().
const relationsSQL = `
WITH user_function AS (
	SELECT oid FROM pg_catalog.pg_proc WHERE oid >= 16384 AND pronamespace NOT IN (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = 'pgring')
), code AS (
	SELECT adrelid AS oid, adbin::pg_catalog.text AS tree FROM pg_catalog.pg_attrdef WHERE adrelid >= 16384
	UNION ALL SELECT conrelid, conbin::pg_catalog.text FROM pg_catalog.pg_constraint WHERE contype = 'c' AND conrelid >= 16384
	UNION ALL SELECT indrelid, pg_catalog.concat(indexprs, indpred) FROM pg_catalog.pg_index WHERE indrelid >= 16384 AND (indexprs IS NOT NULL OR indpred IS NOT NULL)
), heard AS (
	SELECT t.tgrelid AS oid FROM pg_catalog.pg_trigger t JOIN user_function f ON f.oid = t.tgfoid WHERE NOT t.tgisinternal
	UNION SELECT ev_class FROM pg_catalog.pg_rewrite UNION SELECT inhparent FROM pg_catalog.pg_inherits UNION SELECT inhrelid FROM pg_catalog.pg_inherits
	UNION SELECT confrelid FROM pg_catalog.pg_constraint WHERE contype = 'f' AND (confdeltype NOT IN ('a', 'r') OR confupdtype NOT IN ('a', 'r'))
	UNION SELECT oid FROM code WHERE tree ~ '\{(?!(VAR|CONST|FUNCEXPR|OPEXPR|SCALARARRAYOPEXPR|BOOLEXPR|NULLTEST|RELABELTYPE|SQLVALUEFUNCTION) )'
	UNION SELECT c.oid FROM code c, pg_catalog.regexp_matches(c.tree, ':(?:funcid|opfuncid|opno) (\d+)', 'g') f
	WHERE f[1]::pg_catalog.oid >= 16384 AND NOT EXISTS (SELECT FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace AND n.nspname = 'pgring'
		WHERE p.oid = f[1]::pg_catalog.oid) OR f[1]::pg_catalog.oid = 'pg_catalog.current_query()'::pg_catalog.regprocedure
	UNION SELECT indrelid FROM pg_catalog.pg_index WHERE EXISTS (SELECT FROM pg_catalog.unnest(indclass) class WHERE class >= 16384)
	UNION SELECT conrelid FROM pg_catalog.pg_constraint WHERE contype = 'x'
	UNION SELECT a.attrelid FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid WHERE t.typtype = 'd' AND a.attnum > 0
)
SELECT c.oid, n.nspname::text, c.relname::text, c.relkind::text,
	c.relkind = 'r' AND NOT c.relrowsecurity AND NOT EXISTS (SELECT FROM heard h WHERE h.oid = c.oid)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE` + userRelations

// columnsSQL looks through domains, which may stand on domains. A collation gives byte order when it is C or POSIX of the C
// library, or (PostgreSQL 17) any of the built-in provider; collation "default" is that of the database.
//
// A default is constant if its tree has nothing but constants and immutable functions of pg_catalog. pg_depend does not tell:
// it leaves out what is built in. Constants of dates and times count as volatile, for 'now' became one when the table was
// created, on each shard at its own time; those that are oids (regclass, enums) do, too.
const columnsSQL = `
WITH RECURSIVE step AS (
	SELECT oid AS domain, typbasetype AS base, typtypmod AS modifier, typnotnull AS not_null, typdefault IS NOT NULL AS has_default
	FROM pg_catalog.pg_type WHERE typtype = 'd'
	UNION ALL
	SELECT s.domain, t.typbasetype, t.typtypmod, s.not_null OR t.typnotnull, s.has_default OR t.typdefault IS NOT NULL
	FROM step s JOIN pg_catalog.pg_type t ON t.oid = s.base AND t.typtype = 'd'
), domains AS (
	SELECT s.* FROM step s JOIN pg_catalog.pg_type t ON t.oid = s.base AND t.typtype <> 'd'
), constants AS (
	SELECT e.adrelid, e.adnum, e.text, e.text = 'pgring.next_id()' AS next_id, e.tree !~ '\{(?!(CONST|FUNCEXPR|OPEXPR|BOOLEXPR|RELABELTYPE|ARRAYEXPR|ARRAY) )'
		AND NOT EXISTS (
			SELECT FROM pg_catalog.regexp_matches(e.tree, ':(?:funcid|opfuncid) (\d+)', 'g') f
			LEFT JOIN pg_catalog.pg_proc p ON p.oid = f[1]::pg_catalog.oid AND p.oid < 16384 AND p.provolatile = 'i' WHERE p.oid IS NULL)
		AND NOT EXISTS (
			SELECT FROM pg_catalog.regexp_matches(e.tree, ':consttype (\d+)', 'g') f
			LEFT JOIN pg_catalog.pg_type t ON t.oid = f[1]::pg_catalog.oid
				AND (t.typcategory IN ('B', 'S', 'I') OR t.typname IN ('int2', 'int4', 'int8', 'float4', 'float8', 'numeric', 'money', 'uuid',
					'bytea', 'json', 'jsonb', 'xml', 'interval', 'point', '_text', '_varchar', '_int4', '_int8', '_bool', '_numeric', '_uuid'))
				AND t.oid < 16384 WHERE t.oid IS NULL) AS plain
	FROM (SELECT adrelid, adnum, adbin::pg_catalog.text AS tree, pg_catalog.pg_get_expr(adbin, adrelid) AS text FROM pg_catalog.pg_attrdef WHERE adrelid >= 16384) e
), collations AS (
	SELECT l.oid, NOT l.collisdeterministic AS nondeterministic, CASE l.collprovider
		WHEN 'd' THEN d.datlocprovider = 'b' OR d.datlocprovider = 'c' AND d.datcollate IN ('C', 'POSIX')
		WHEN 'b' THEN true
		ELSE l.collprovider = 'c' AND l.collcollate IN ('C', 'POSIX') END AS bytewise
	FROM pg_catalog.pg_collation l, pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()
)
SELECT a.attrelid, a.attname::text, coalesce(d.base, a.atttypid), coalesce(d.modifier, a.atttypmod),
	a.attnotnull OR coalesce(d.not_null, false), a.atthasdef OR a.attidentity <> '' OR coalesce(d.has_default, false),
	a.attgenerated = '' AND CASE WHEN a.atthasdef THEN NOT coalesce(constants.plain, false)
		ELSE a.attidentity <> '' OR coalesce(d.has_default, false) END, coalesce(constants.next_id, false),
	CASE WHEN constants.plain OR a.attgenerated <> '' THEN '' ELSE coalesce(constants.text, '') END, a.attgenerated <> '', a.attidentity <> '', d.base IS NOT NULL,
	coalesce(l.bytewise, false), coalesce(l.nondeterministic, false), pg_catalog.format_type(a.atttypid, a.atttypmod)
FROM pg_catalog.pg_attribute a
JOIN pg_catalog.pg_class c ON c.oid = a.attrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN constants ON constants.adrelid = a.attrelid AND constants.adnum = a.attnum
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

// viewsSQL gives the queries of views. Where any table has row security there are none: a view reads with its owner's rights, and so
// may see other rows than the client does. Nor is there that of a security barrier: a query in its place would be no barrier, and
// conditions from outside might meet rows that the view leaves out.
const viewsSQL = `
SELECT c.oid, pg_catalog.pg_get_viewdef(c.oid) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'v' AND NOT EXISTS (SELECT FROM pg_catalog.pg_class WHERE relrowsecurity)
	AND NOT EXISTS (SELECT FROM pg_catalog.pg_options_to_table(c.reloptions) WHERE option_name = 'security_barrier' AND option_value::boolean)
	AND` + userRelations

// callsSQL gives the user functions that rules name. Its oids are those of the relations of usesSQL.
const callsSQL = `
SELECT DISTINCT r.ev_class, p.proname::text FROM pg_catalog.pg_rewrite r
JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = r.oid
	AND d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass
JOIN pg_catalog.pg_proc p ON p.oid = d.refobjid
WHERE p.oid >= 16384 AND r.ev_class >= 16384
ORDER BY 1, 2`

// functionsSQL gives as an aggregate's body the functions that it is made of. What is unknown counts as volatile, which pgring's own are.
const functionsSQL = `
SELECT p.proname::text, n.nspname::text, p.provolatile = 'v', p.proretset, p.prokind = 'a', p.prokind = 'w', p.prokind = 'p',
	coalesce(pg_catalog.pg_get_function_sqlbody(p.oid),
		pg_catalog.concat_ws(' ', g.aggtransfn, g.aggfinalfn, g.aggcombinefn, g.aggmtransfn, g.aggminvtransfn, g.aggmfinalfn, p.prosrc))
FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
LEFT JOIN pg_catalog.pg_aggregate g ON g.aggfnoid = p.oid
WHERE n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'pgring')
ORDER BY 1, 2, p.oid`

// fingerprintSQL changes when DDL of anybody changed what loadCatalog reads. Every DDL writes new versions of catalog rows, with
// its own xmin; ANALYZE and VACUUM update in place and so change nothing here. Rows of temporary tables are left out, for they
// come and go. Its last part is for the schemas alone, which search_path depends on. 2,000 tables of 20 columns take 30 ms on one core,
// an ordinary schema 2 ms.
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
		FROM pg_catalog.pg_index i JOIN user_class c ON c.oid = i.indrelid),
	(SELECT pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW (r.oid, r.xmin), 3))
		FROM pg_catalog.pg_rewrite r JOIN user_class c ON c.oid = r.ev_class),
	(SELECT pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW (inhrelid, inhparent, xmin), 4)) FROM pg_catalog.pg_inherits),
	(SELECT pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW (oid, xmin), 5)) FROM pg_catalog.pg_proc WHERE oid >= 16384
		AND pronamespace NOT IN (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = 'pgring')),
	(SELECT pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW (oid, xmin), 6)) FROM pg_catalog.pg_type WHERE typtype = 'd'),
	(SELECT pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW (oid, xmin), 8)) FROM pg_catalog.pg_trigger WHERE tgfoid NOT IN (
		SELECT p.oid FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace AND n.nspname = 'pgring')),
	(SELECT pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW (oid, xmin), 7)) FROM pg_catalog.pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'pgring'))`
