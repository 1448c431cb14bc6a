package rebalance

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Foreign keys lead from moving tables to reference tables, which each shard has. On a shard that follows, a row may still refer to what the
// row that counts no longer does, so PostgreSQL would refuse what one database would do: delete the row referred to. Before that is
// looked at, pgring.guard_reference looks for rows that follow, and answers PR002: the proxy then asks the other shards whether a row that counts refers to it.

// foreignKey is one that PostgreSQL checks on delete, update, or both: without an action, or with SET DEFAULT. Behind the latter it looks once
// more for a row that refers to the old value, and finds the one that was passed over.
type foreignKey struct {
	table, to         string // quoted
	columns           []string
	keys              []string // of the table that it leads to
	equal             []string // operators from keys to columns
	onDelete, onWrite bool     // it is checked on them
}

// guardReferences makes the triggers on reference tables that such foreign keys lead to.
func (d *driver) guardReferences(ctx context.Context, s side) error {
	keys, err := d.foreignKeys(ctx, s)
	if err != nil {
		return fmt.Errorf("look for foreign keys: %w", err)
	}
	var there bool
	err = s.conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_trigger WHERE starts_with(tgname, $1))", referenceGuard(d.move.ID)+"_").Scan(&there)
	if err != nil || there || len(keys) == 0 {
		return err
	}
	var ddl strings.Builder
	for i, k := range keys {
		t := d.tables[slices.IndexFunc(d.tables, func(t *table) bool { return t.sql == k.table })]
		ddl.WriteString(k.guardDDL(d.move.ID, i, t.moving))
	}
	return d.alter(ctx, s, ddl.String())
}

// guardDDL makes the triggers for the n-th foreign key of a move.
func (k *foreignKey) guardDDL(move int64, n int, moving string) string {
	var same, changed []string
	for i, key := range k.keys {
		same = append(same, fmt.Sprintf("($1).%s %s %s", key, k.equal[i], k.columns[i]))
		changed = append(changed, fmt.Sprintf("OLD.%s IS DISTINCT FROM NEW.%[1]s", key))
	}
	look := "SELECT EXISTS (SELECT FROM " + k.table + " WHERE " + strings.Join(same, " AND ") + " AND " + moving + ")"
	trigger := func(event, when string) string {
		return fmt.Sprintf("CREATE TRIGGER %s AFTER %s ON %s FOR EACH ROW %s EXECUTE FUNCTION pgring.guard_reference('%d', '%s');",
			quote(fmt.Sprintf("%s_%d_%s", referenceGuard(move), n, event)), event, k.to, when, move, strings.ReplaceAll(look, "'", "''"))
	}
	ddl := ""
	if k.onDelete {
		ddl += trigger("DELETE", "")
	}
	if k.onWrite {
		ddl += trigger("UPDATE", "WHEN ("+strings.Join(changed, " OR ")+")")
	}
	return ddl
}

// foreignKeys lists those that lead from moving tables to reference tables and are checked on delete or update.
func (d *driver) foreignKeys(ctx context.Context, s side) ([]foreignKey, error) {
	rows, err := s.conn.Query(ctx, `SELECT t.name, format('%I.%I', n.nspname, r.relname), columns, keys, equal, confdeltype IN ('a', 'r', 'd'), confupdtype IN ('a', 'r', 'd')
FROM pg_constraint c JOIN unnest($1::text[]) t (name) ON conrelid = to_regclass(t.name) JOIN pg_class r ON r.oid = confrelid JOIN pg_namespace n ON n.oid = relnamespace,
	LATERAL (SELECT array_agg(format('%I', f.attname) ORDER BY i) columns, array_agg(format('%I', p.attname) ORDER BY i) keys,
		array_agg(format('OPERATOR(%I.%s)', o.nspname, oprname) ORDER BY i) equal
		FROM unnest(conkey, confkey, conpfeqop) WITH ORDINALITY u (f, p, op, i) JOIN pg_attribute f ON f.attrelid = conrelid AND f.attnum = u.f
		JOIN pg_attribute p ON p.attrelid = confrelid AND p.attnum = u.p JOIN pg_operator ON pg_operator.oid = u.op JOIN pg_namespace o ON o.oid = oprnamespace) k
WHERE contype = 'f' AND conparentid = 0 AND confrelid IN (SELECT to_regclass(x) FROM unnest($2::text[]) x)
	AND (confdeltype IN ('a', 'r', 'd') OR confupdtype IN ('a', 'r', 'd')) ORDER BY t.name, conname`, sqlNames(d.tables), d.references())
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (k foreignKey, err error) {
		err = row.Scan(&k.table, &k.to, &k.columns, &k.keys, &k.equal, &k.onDelete, &k.onWrite)
		return k, err
	})
}

// checkReferences makes sure that triggers can be made there.
func (d *driver) checkReferences(ctx context.Context) ([]string, error) {
	var all []string
	for _, s := range d.sides() {
		found, err := texts(ctx, s.conn, `SELECT DISTINCT format('table %s belongs to %s, and the login is no member of that role', confrelid::regclass, pg_get_userbyid(relowner))
FROM pg_constraint JOIN pg_class r ON r.oid = confrelid WHERE contype = 'f' AND conrelid IN (SELECT to_regclass(x) FROM unnest($1::text[]) x)
	AND confrelid IN (SELECT to_regclass(x) FROM unnest($2::text[]) x) AND NOT pg_has_role(relowner, 'USAGE')`, sqlNames(d.tables), d.references())
		if err != nil {
			return nil, err
		}
		all = append(all, prefixed("shard "+string(s.id), found)...)
	}
	return all, nil
}

func sqlNames(tables []*table) []string {
	names := make([]string, len(tables))
	for i, t := range tables {
		names[i] = t.sql
	}
	return names
}
