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

const (
	ledgerFunctionSQL = `
DO $install$ BEGIN` + ownSchemaSQL + `
END $install$;
CREATE OR REPLACE FUNCTION pgring.append_only() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
	RAISE EXCEPTION 'table "%" is append-only', TG_TABLE_NAME USING ERRCODE = '` + AppendOnlyCode + `', SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME,
		DETAIL = TG_OP || ' would change rows that are there.', HINT = 'Write a row that reverses the other one.';
END $body$;`

	// unguardedSQL lists those of the tables that have not both triggers, enabled as they were made.
	unguardedSQL = `SELECT n.nspname, c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN unnest($1::text[], $2::text[]) w (schema_name, table_name) ON n.nspname = w.schema_name AND c.relname = w.table_name
WHERE c.relkind IN ('r', 'p') AND (SELECT count(*) FROM pg_catalog.pg_trigger t WHERE t.tgrelid = c.oid AND t.tgenabled = 'O'
	AND t.tgname IN ('pgring_append_only', 'pgring_append_only_truncate')) < 2`
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
	unguarded, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Name])
	if err != nil {
		return fmt.Errorf("look for the triggers of append-only tables: %w", err)
	}
	for _, t := range unguarded {
		if err := define(ctx, conn, ledgerFunctionSQL+ledgerTriggersSQL(t)); err != nil {
			return fmt.Errorf("make table %s append-only: %w", t, err)
		}
	}
	return nil
}

// ledgerTriggersSQL makes the triggers of one table. Who waits for its lock does not hold up others for long.
func ledgerTriggersSQL(t Name) string {
	sql := pgx.Identifier{t.Schema, t.Table}.Sanitize()
	return `
SET LOCAL lock_timeout = '2s';
DROP TRIGGER IF EXISTS pgring_append_only ON ` + sql + `;
CREATE TRIGGER pgring_append_only BEFORE UPDATE OR DELETE ON ` + sql + ` FOR EACH ROW EXECUTE FUNCTION pgring.append_only();
DROP TRIGGER IF EXISTS pgring_append_only_truncate ON ` + sql + `;
CREATE TRIGGER pgring_append_only_truncate BEFORE TRUNCATE ON ` + sql + ` FOR EACH STATEMENT EXECUTE FUNCTION pgring.append_only();`
}
