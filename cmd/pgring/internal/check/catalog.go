package check

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/cmd/pgring/internal/config"
)

// relation is a declared table as one shard has it.
type relation struct {
	kind        string // pg_class.relkind
	rowSecurity bool
	readable    bool // by the operator
	columns     []column
	indexes     []index
	constraints []constraint
	kept
}

// column is one column; expressions are as the catalog prints them.
type column struct {
	name, typ  string
	base       uint32 // type below domains
	notNull    bool
	def        string // DEFAULT or the generation expression
	identity   string // pg_attribute.attidentity
	generated  bool
	collation  string // empty: that of the type
	sortsExact bool   // equal means the same bytes
}

// index is one index. Keys are its plain columns; expressions and included columns are not among them.
type index struct {
	name, definition       string
	unique, primary, valid bool
	keys                   []string
}

// constraint is a check, foreign key or exclusion constraint; the others show as indexes and columns.
type constraint struct {
	name, definition, kind string
	target                 config.Name // foreign key: the table it refers to
	columns, targetColumns []string    // foreign key: pairs; exclusion: the columns compared by =
}

func (r *relation) column(name string) (column, bool) {
	for _, c := range r.columns {
		if c.name == name {
			return c, true
		}
	}
	return column{}, false
}

const relationsSQL = `
SELECT c.oid, n.nspname::text, c.relname::text, c.relkind::text, c.relrowsecurity, pg_catalog.has_table_privilege(c.oid, 'SELECT'),
	coalesce(p.partstrat::text, ''), coalesce(a.attname::text, ''), coalesce(t.typname::text, ''), ARRAY(
	SELECT e.oid::regclass::text FROM (SELECT c.oid UNION SELECT relid FROM pg_catalog.pg_partition_tree(c.oid)) e
	WHERE c.relkind IN ('r', 'p') AND (SELECT count(*) FROM pg_catalog.pg_trigger g WHERE g.tgrelid = e.oid AND g.tgenabled = 'O'
		AND g.tgname IN ('pgring_append_only', 'pgring_append_only_truncate')) < 2 ORDER BY 1)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_partitioned_table p ON p.partrelid = c.oid
LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND p.partnatts = 1 AND a.attnum = p.partattrs[0]
LEFT JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
JOIN unnest($1::text[], $2::text[]) AS d (nspname, relname) ON d.nspname = n.nspname AND d.relname = c.relname
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')`

// columnsSQL looks through domains, which may stand on domains.
const columnsSQL = `
WITH RECURSIVE step AS (
	SELECT oid AS domain, typbasetype AS base FROM pg_catalog.pg_type WHERE typtype = 'd'
	UNION ALL SELECT s.domain, t.typbasetype FROM step s JOIN pg_catalog.pg_type t ON t.oid = s.base AND t.typtype = 'd'
)
SELECT a.attrelid, a.attname::text, pg_catalog.format_type(a.atttypid, a.atttypmod),
	coalesce((SELECT s.base FROM step s JOIN pg_catalog.pg_type b ON b.oid = s.base AND b.typtype <> 'd' WHERE s.domain = a.atttypid), a.atttypid),
	a.attnotnull, coalesce(pg_catalog.pg_get_expr(x.adbin, x.adrelid), ''), a.attidentity::text, a.attgenerated <> '',
	CASE WHEN a.attcollation <> t.typcollation THEN a.attcollation::regcollation::text ELSE '' END, coalesce(l.collisdeterministic, true)
FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation
LEFT JOIN pg_catalog.pg_attrdef x ON x.adrelid = a.attrelid AND x.adnum = a.attnum
WHERE a.attrelid = ANY ($1) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attrelid, a.attnum`

const indexesSQL = `
SELECT i.indrelid, c.relname::text, pg_catalog.pg_get_indexdef(i.indexrelid), i.indisunique, i.indisprimary, i.indisvalid, ARRAY(
	SELECT a.attname::text FROM unnest(i.indkey[0:i.indnkeyatts - 1]) k (number)
	JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number)
FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
WHERE i.indrelid = ANY ($1) ORDER BY i.indrelid, c.relname`

const constraintsSQL = `
SELECT o.conrelid, o.conname::text, pg_catalog.pg_get_constraintdef(o.oid), o.contype::text,
	coalesce(n.nspname::text, ''), coalesce(c.relname::text, ''),
	ARRAY(SELECT a.attname::text FROM unnest(o.conkey) WITH ORDINALITY k (number, place)
		JOIN pg_catalog.pg_attribute a ON a.attrelid = o.conrelid AND a.attnum = k.number
		WHERE o.contype <> 'x' OR EXISTS (SELECT FROM pg_catalog.pg_operator p WHERE p.oid = o.conexclop[k.place] AND p.oprname = '=')
		ORDER BY k.place),
	ARRAY(SELECT a.attname::text FROM unnest(o.confkey) WITH ORDINALITY k (number, place)
		JOIN pg_catalog.pg_attribute a ON a.attrelid = o.confrelid AND a.attnum = k.number ORDER BY k.place)
FROM pg_catalog.pg_constraint o LEFT JOIN pg_catalog.pg_class c ON c.oid = o.confrelid
LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE o.conrelid = ANY ($1) AND o.contype IN ('c', 'f', 'x') ORDER BY o.conrelid, o.conname`

// catalog is the relations being read, by oid.
type catalog struct {
	conn *pgx.Conn
	oids []uint32
	byID map[uint32]*relation
}

// readTables reads the declared tables that exist. It leaves the connection with another search path, so that the catalog
// prints every name that is not built in with its schema.
func readTables(ctx context.Context, conn *pgx.Conn, cfg *config.Config) (map[config.Name]*relation, error) {
	if _, err := conn.Exec(ctx, "SET search_path = pg_catalog"); err != nil {
		return nil, err
	}
	var schemas, names []string
	for _, t := range cfg.Tables {
		schemas, names = append(schemas, string(t.Name.Schema)), append(names, string(t.Name.Table))
	}
	c := &catalog{conn: conn, byID: map[uint32]*relation{}}
	tables, err := c.relations(ctx, schemas, names)
	if err != nil || len(tables) == 0 {
		return tables, err
	}
	return tables, errors.Join(c.columns(ctx), c.indexes(ctx), c.constraints(ctx))
}

func (c *catalog) relations(ctx context.Context, schemas, names []string) (map[config.Name]*relation, error) {
	rows, err := c.conn.Query(ctx, relationsSQL, schemas, names)
	if err != nil {
		return nil, err
	}
	tables := map[config.Name]*relation{}
	var oid uint32
	var name config.Name
	var r relation
	_, err = pgx.ForEachRow(rows, []any{&oid, &name.Schema, &name.Table, &r.kind, &r.rowSecurity, &r.readable, &r.strategy, &r.kept.column, &r.typ, &r.unguarded}, func() error {
		found := r
		r.unguarded = nil // the next row must not write into this one's
		tables[name], c.byID[oid] = &found, &found
		c.oids = append(c.oids, oid)
		return nil
	})
	return tables, err
}

func (c *catalog) columns(ctx context.Context) error {
	var oid uint32
	var v column
	return c.each(ctx, columnsSQL, []any{&oid, &v.name, &v.typ, &v.base, &v.notNull, &v.def, &v.identity, &v.generated, &v.collation, &v.sortsExact},
		func() { c.byID[oid].columns = append(c.byID[oid].columns, v) })
}

func (c *catalog) indexes(ctx context.Context) error {
	var oid uint32
	var v index
	return c.each(ctx, indexesSQL, []any{&oid, &v.name, &v.definition, &v.unique, &v.primary, &v.valid, &v.keys}, func() {
		c.byID[oid].indexes = append(c.byID[oid].indexes, v)
		v.keys = nil // the next row must not write into this one's
	})
}

func (c *catalog) constraints(ctx context.Context) error {
	var oid uint32
	var v constraint
	return c.each(ctx, constraintsSQL, []any{&oid, &v.name, &v.definition, &v.kind, &v.target.Schema, &v.target.Table, &v.columns, &v.targetColumns}, func() {
		c.byID[oid].constraints = append(c.byID[oid].constraints, v)
		v.columns, v.targetColumns = nil, nil
	})
}

func (c *catalog) each(ctx context.Context, sql string, into []any, row func()) error {
	rows, err := c.conn.Query(ctx, sql, c.oids)
	if err != nil {
		return err
	}
	_, err = pgx.ForEachRow(rows, into, func() error {
		row()
		return nil
	})
	return err
}
