package topology

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// requestsVersion is the comment on the table; a shard whose comment is another one has another version.
const requestsVersion = "idempotent writes that were done, and their answers (version 2)"

// ownSchemaSQL makes the schema of pgring's own tables, in a block of PL/pgSQL. One makes them at a time.
const ownSchemaSQL = `
	PERFORM pg_catalog.pg_advisory_xact_lock(1885827689, 0);
	IF to_regnamespace('pgring') IS NULL THEN
		CREATE SCHEMA pgring;
	END IF;
	IF NOT has_schema_privilege('public', 'pgring', 'USAGE') THEN
		GRANT USAGE ON SCHEMA pgring TO PUBLIC;
	END IF;`

// requestsSQL makes what a shard needs for idempotent writes (docs/writes.md). It is here because those who write the rows and those
// who move them with their slots know nothing of each other.
//
// A row is written by claim_request in the transaction of the write itself, and gets its answer by record_request in the same one: a
// row that is committed has an answer. The primary key is what a concurrent repeat waits at. It begins with what a moving row is
// found by, since a publication's filter may use no other columns.
//
// Clients have no rights on the table. Who calls the functions past pgring can claim keys of tables that he may write to anyway,
// and hears of no answer without the fingerprint of the very statement and role that got it.
const requestsSQL = `
DO $install$ BEGIN` + ownSchemaSQL + `
	CREATE TABLE IF NOT EXISTS pgring.idempotency (
		placed      text COLLATE "C" NOT NULL, -- colocation group
		hash        bigint NOT NULL,           -- of the shard key
		shard_key   text COLLATE "C" NOT NULL,
		scope       text COLLATE "C" NOT NULL, -- table
		key         text COLLATE "C" NOT NULL,
		fingerprint bytea NOT NULL,            -- of statement, values and role
		tag         text,                      -- null while the write runs
		result      bytea,                     -- messages of the protocol: the rows of RETURNING
		created_at  timestamptz NOT NULL DEFAULT now(),
		expires_at  timestamptz NOT NULL,
		PRIMARY KEY (placed, hash, shard_key, scope, key)
	);
	CREATE INDEX IF NOT EXISTS idempotency_expires ON pgring.idempotency USING brin (expires_at);
	REVOKE ALL ON pgring.idempotency FROM PUBLIC;
	COMMENT ON TABLE pgring.idempotency IS '` + requestsVersion + `';
END $install$;
CREATE OR REPLACE FUNCTION pgring.claim_request(placed text, hash bigint, shard_key text, schema_name text, table_name text, key text,
	fingerprint bytea, keep float8, OUT state text, OUT tag text, OUT result bytea)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '10s' AS $body$
DECLARE
	who      text := coalesce(nullif(current_setting('role'), 'none'), session_user);
	relation text := format('%I.%I', schema_name, table_name);
	mine     bytea := sha256(fingerprint || convert_to(who, 'UTF8'));
	earlier  record;
BEGIN
	IF NOT (has_any_column_privilege(who, relation, 'INSERT, UPDATE') OR has_table_privilege(who, relation, 'DELETE')) THEN
		RAISE EXCEPTION 'permission denied for table %', table_name USING ERRCODE = 'insufficient_privilege';
	END IF;
	INSERT INTO pgring.idempotency (placed, hash, shard_key, scope, key, fingerprint, expires_at)
	VALUES (placed, hash, shard_key, relation, key, mine, now() + keep * interval '1 second') ON CONFLICT DO NOTHING;
	IF FOUND THEN
		state := 'new';
		RETURN;
	END IF;
	SELECT i.fingerprint = mine AS same, i.tag, i.result INTO earlier FROM pgring.idempotency i WHERE i.placed = claim_request.placed
		AND i.hash = claim_request.hash AND i.shard_key = claim_request.shard_key AND i.scope = relation AND i.key = claim_request.key;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'request was forgotten at this moment' USING ERRCODE = 'serialization_failure', HINT = 'Repeat the transaction.';
	ELSIF NOT earlier.same THEN
		state := 'differs';
	ELSIF earlier.tag IS NULL THEN
		state := 'unanswered';
	ELSE
		state := 'done';
		tag := earlier.tag;
		result := earlier.result;
	END IF;
END $body$;
CREATE OR REPLACE FUNCTION pgring.record_request(placed text, hash bigint, shard_key text, schema_name text, table_name text, key text,
	tag text, result bytea) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
	UPDATE pgring.idempotency i SET tag = record_request.tag, result = record_request.result
	WHERE i.placed = record_request.placed AND i.hash = record_request.hash AND i.shard_key = record_request.shard_key
		AND i.scope = format('%I.%I', schema_name, table_name) AND i.key = record_request.key AND i.tag IS NULL;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'the request is not under way' USING ERRCODE = 'object_not_in_prerequisite_state';
	END IF;
END $body$;
`

// requestsTries is how often definitions are tried: others of pgring's parts may make schema pgring at the same moment.
const requestsTries = 3

// EnsureRequests makes the table of idempotent writes on a shard, with its functions, or brings it up to this version.
func EnsureRequests(ctx context.Context, conn *pgx.Conn) error {
	if err := ensure(ctx, conn, "pgring.idempotency", requestsVersion, requestsSQL); err != nil {
		return fmt.Errorf("make the table of idempotent writes: %w", err)
	}
	return nil
}

// ensure runs the definitions unless the table's comment says that it is of this version.
func ensure(ctx context.Context, conn *pgx.Conn, table, version, definitions string) error {
	var same bool
	err := conn.QueryRow(ctx, "SELECT coalesce(pg_catalog.obj_description(pg_catalog.to_regclass($1), 'pg_class') = $2, false)", table, version).Scan(&same)
	if err != nil || same {
		return err
	}
	return define(ctx, conn, definitions)
}

// define runs definitions in a transaction.
func define(ctx context.Context, conn *pgx.Conn, definitions string) (err error) {
	for range requestsTries {
		err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, definitions, pgx.QueryExecModeSimpleProtocol)
			return err
		})
		if err == nil || ctx.Err() != nil {
			return err
		}
	}
	return err
}
