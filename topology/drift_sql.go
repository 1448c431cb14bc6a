package topology

// definitionsSQL writes each thing that a user has defined and that has to be the same on all shards as SQL: its kind, the table
// that it belongs to (empty schema: none), its name, and its definition. What extensions and pgring itself have made is left out.
// The session's search_path is pg_catalog, so that names are qualified.
const definitionsSQL = `
WITH made AS MATERIALIZED (
	SELECT classid, objid FROM pg_depend WHERE deptype = 'e'
), space AS MATERIALIZED (
	SELECT oid, nspname::text AS name FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'pgring')
), tab AS MATERIALIZED (
	SELECT c.oid, s.name AS schema, c.relname::text AS name, c.relkind, c.relrowsecurity, c.relforcerowsecurity, c.relpartbound, c.reltype
	FROM pg_class c JOIN space s ON s.oid = c.relnamespace WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
)
SELECT 'schema', '', '', name, '' FROM space
UNION ALL
SELECT 'extension', '', '', extname::text, 'version ' || extversion FROM pg_extension
UNION ALL
SELECT 'table', schema, name, '', concat_ws(' ', CASE relkind WHEN 'p' THEN 'PARTITION BY ' || pg_get_partkeydef(oid) END,
	pg_get_expr(relpartbound, oid), CASE WHEN relrowsecurity THEN 'ENABLE ROW LEVEL SECURITY' END, CASE WHEN relforcerowsecurity THEN 'FORCE ROW LEVEL SECURITY' END)
FROM tab
UNION ALL
SELECT 'column', t.schema, t.name, a.attname::text, concat_ws(' ', format_type(a.atttypid, a.atttypmod),
	CASE WHEN l.oid IS NOT NULL THEN 'COLLATE ' || l.collname END, CASE WHEN a.attnotnull THEN 'NOT NULL' END,
	CASE WHEN a.attidentity <> '' THEN 'GENERATED AS IDENTITY' END,
	CASE WHEN d.oid IS NOT NULL THEN CASE a.attgenerated WHEN '' THEN 'DEFAULT ' ELSE 'GENERATED ALWAYS AS ' END || pg_get_expr(d.adbin, d.adrelid) END)
FROM tab t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef d ON d.adrelid = t.oid AND d.adnum = a.attnum
LEFT JOIN pg_type y ON y.oid = a.atttypid LEFT JOIN pg_collation l ON l.oid = a.attcollation AND a.attcollation <> y.typcollation
UNION ALL
SELECT 'column order', t.schema, t.name, '', string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum)
FROM tab t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped GROUP BY 2, 3
UNION ALL
SELECT 'constraint', t.schema, t.name, k.conname::text, pg_get_constraintdef(k.oid)
FROM tab t JOIN pg_constraint k ON k.conrelid = t.oid AND k.contype <> 'n'
UNION ALL
SELECT 'index', t.schema, t.name, c.relname::text, pg_get_indexdef(i.indexrelid) || CASE WHEN NOT i.indisvalid THEN ' (not valid)' ELSE '' END
FROM tab t JOIN pg_index i ON i.indrelid = t.oid JOIN pg_class c ON c.oid = i.indexrelid
WHERE NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.conrelid = t.oid) OR NOT i.indisvalid
UNION ALL
SELECT 'trigger', t.schema, t.name, g.tgname::text, pg_get_triggerdef(g.oid)
FROM tab t JOIN pg_trigger g ON g.tgrelid = t.oid AND NOT g.tgisinternal
JOIN pg_proc p ON p.oid = g.tgfoid JOIN space s ON s.oid = p.pronamespace
UNION ALL
SELECT 'policy', t.schema, t.name, p.polname::text, concat_ws(' ', CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END, p.polcmd,
	(SELECT string_agg(coalesce(r.rolname, 'public'), ', ' ORDER BY r.rolname) FROM unnest(p.polroles) o LEFT JOIN pg_roles r ON r.oid = o),
	'USING ' || pg_get_expr(p.polqual, p.polrelid), 'WITH CHECK ' || pg_get_expr(p.polwithcheck, p.polrelid))
FROM tab t JOIN pg_policy p ON p.polrelid = t.oid
UNION ALL
SELECT 'type', '', '', format('%I.%I', s.name, y.typname), CASE y.typtype
	WHEN 'e' THEN 'ENUM (' || (SELECT coalesce(string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder), '') FROM pg_enum e WHERE e.enumtypid = y.oid) || ')'
	WHEN 'd' THEN concat_ws(' ', 'DOMAIN', format_type(y.typbasetype, y.typtypmod), CASE WHEN y.typnotnull THEN 'NOT NULL' END, 'DEFAULT ' || y.typdefault,
		(SELECT string_agg(format('CONSTRAINT %I %s', k.conname, pg_get_constraintdef(k.oid)), ' ' ORDER BY k.conname) FROM pg_constraint k WHERE k.contypid = y.oid AND k.contype <> 'n'))
	WHEN 'r' THEN 'RANGE OF ' || (SELECT format_type(r.rngsubtype, NULL) FROM pg_range r WHERE r.rngtypid = y.oid)
	ELSE '(' || coalesce((SELECT string_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ' ORDER BY a.attnum)
		FROM pg_attribute a WHERE a.attrelid = y.typrelid AND a.attnum > 0 AND NOT a.attisdropped), '') || ')' END
FROM pg_type y JOIN space s ON s.oid = y.typnamespace LEFT JOIN pg_class c ON c.oid = y.typrelid
WHERE (y.typtype IN ('e', 'd', 'r') OR y.typtype = 'c' AND c.relkind = 'c')
	AND NOT EXISTS (SELECT FROM made WHERE made.classid = 'pg_type'::regclass AND made.objid = y.oid)
UNION ALL
SELECT CASE p.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' ELSE 'function' END, '', '',
	format('%I.%I(%s)', s.name, p.proname, pg_get_function_identity_arguments(p.oid)),
	CASE WHEN p.prokind = 'a' THEN (SELECT concat_ws(' ', g.aggtransfn::regprocedure, g.aggfinalfn::regprocedure, g.aggcombinefn::regprocedure, g.agginitval)
		FROM pg_aggregate g WHERE g.aggfnoid = p.oid) ELSE pg_get_functiondef(p.oid) END
FROM pg_proc p JOIN space s ON s.oid = p.pronamespace
WHERE NOT EXISTS (SELECT FROM made WHERE made.classid = 'pg_proc'::regclass AND made.objid = p.oid)`
