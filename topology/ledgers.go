package topology

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Append-only tables: rows are added, and stay as they are. pgring refuses what would change them; the triggers here refuse it on the shards,
// whatever it comes from: functions, foreign keys with CASCADE, clients that know a shard's address. Moves of slots work as a replica does
// (session_replication_role), for which these triggers do not fire: they copy rows and remove what is not the shard's any more.

// AppendOnlyCode is the SQLSTATE of a change to a table that is append-only.
const AppendOnlyCode = "PR105"

// TruncateTrigger keeps an append-only table from being truncated. Its partitions need one each: PostgreSQL hands down row triggers only.
const TruncateTrigger = "pgring_append_only_truncate"

const (
	ledgerFunctionSQL = `
DO $install$ BEGIN` + ownSchemaSQL + `
END $install$;
CREATE OR REPLACE FUNCTION pgring.append_only() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
	RAISE EXCEPTION 'table "%" is append-only', TG_TABLE_NAME USING ERRCODE = '` + AppendOnlyCode + `', SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME,
		DETAIL = TG_OP || ' would change rows that are there.', HINT = 'Write a row that reverses the other one.';
END $body$;`

	// unguardedSQL lists those of the tables, and of their partitions, that have not both triggers, enabled as they were made.
	unguardedSQL = `SELECT n.nspname, c.relname, c.relispartition FROM unnest($1::text[], $2::text[]) w (schema_name, table_name)
JOIN pg_catalog.pg_namespace s ON s.nspname = w.schema_name JOIN pg_catalog.pg_class r ON r.relnamespace = s.oid AND r.relname = w.table_name AND r.relkind IN ('r', 'p')
CROSS JOIN LATERAL (SELECT r.oid UNION SELECT relid FROM pg_catalog.pg_partition_tree(r.oid)) e
JOIN pg_catalog.pg_class c ON c.oid = e.oid AND c.relkind IN ('r', 'p') JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE (SELECT count(*) FROM pg_catalog.pg_trigger t WHERE t.tgrelid = c.oid AND t.tgenabled = 'O'
	AND t.tgname IN ('pgring_append_only', '` + TruncateTrigger + `')) < 2
ORDER BY c.relispartition`
)

// EnsureAppendOnly makes the triggers on a shard that keep the rows of the tables as they are, where they are missing or were disabled. Tables that
// are not there are left out.
func EnsureAppendOnly(ctx context.Context, conn *pgx.Conn, tables []Name) error {
	if len(tables) == 0 {
		return nil
	}
	schemas, names := make([]string, len(tables)), make([]string, len(tables))
	for i, t := range tables {
		schemas[i], names[i] = t.Schema, t.Table
	}
	rows, err := conn.Query(ctx, unguardedSQL, schemas, names)
	if err != nil {
		return fmt.Errorf("look for the triggers of append-only tables: %w", err)
	}
	var t Name
	var partition bool
	var changes []string
	if _, err := pgx.ForEachRow(rows, []any{&t.Schema, &t.Table, &partition}, func() error {
		changes = append(changes, ledgerTriggersSQL(t, partition))
		return nil
	}); err != nil {
		return fmt.Errorf("look for the triggers of append-only tables: %w", err)
	}
	for _, ddl := range changes {
		if err := define(ctx, conn, ledgerFunctionSQL+ddl); err != nil {
			return fmt.Errorf("make tables append-only: %w", err)
		}
	}
	return nil
}

// ledgerTriggersSQL makes the triggers of one table, or one partition, whose row trigger is the table's. Who waits for its lock does not hold
// up others for long.
func ledgerTriggersSQL(t Name, partition bool) string {
	sql := pgx.Identifier{t.Schema, t.Table}.Sanitize()
	rows := `
DROP TRIGGER IF EXISTS pgring_append_only ON ` + sql + `;
CREATE TRIGGER pgring_append_only BEFORE UPDATE OR DELETE ON ` + sql + ` FOR EACH ROW EXECUTE FUNCTION pgring.append_only();`
	if partition {
		rows = `
ALTER TABLE ` + sql + ` ENABLE TRIGGER pgring_append_only;`
	}
	return `
SET LOCAL lock_timeout = '2s';` + rows + TruncateTriggerSQL(sql)
}

// TruncateTriggerSQL makes [TruncateTrigger] on a table, whose name is quoted. The function that it calls is made with an append-only table.
func TruncateTriggerSQL(table string) string {
	return `
DROP TRIGGER IF EXISTS ` + TruncateTrigger + ` ON ` + table + `;
CREATE TRIGGER ` + TruncateTrigger + ` BEFORE TRUNCATE ON ` + table + ` FOR EACH STATEMENT EXECUTE FUNCTION pgring.append_only();`
}
