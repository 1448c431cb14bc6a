package saga

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/ring"
)

// advisoryKey is the advisory lock under which the tables are installed and migrated: "pgsaga" in ASCII. It differs from the
// control database's, which may be in the same database.
const advisoryKey int64 = 0x706773616761

// hangUpTimeout bounds the farewell to a server.
const hangUpTimeout = time.Second

// createSchema is version 0. CREATE SCHEMA asks for its right even when the schema is there, so it runs only when it is not:
// an operator without that right may be given an empty schema of its own.
const createSchema = `
DO $$ BEGIN
	IF NOT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = 'pgring') THEN
		CREATE SCHEMA pgring;
	END IF;
END $$;
CREATE TABLE pgring.saga_migrations (version integer PRIMARY KEY, applied timestamptz NOT NULL DEFAULT now());
REVOKE ALL ON pgring.saga_migrations FROM PUBLIC;`

// migrations returns the numbered steps: step i takes the tables from version i to i+1. A published step is never edited; a new
// one must leave the tables usable by the pgring before it.
func migrations() []string {
	return []string{`
CREATE TABLE pgring.saga (
	id      text PRIMARY KEY,
	mode    text NOT NULL,
	shards  text[] NOT NULL,
	started timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX saga_started ON pgring.saga (started);
COMMENT ON TABLE pgring.saga IS 'one row for each transaction on several shards, on the first of them: its home';
COMMENT ON COLUMN pgring.saga.shards IS 'where work was prepared, by step; home is step 0';

CREATE TABLE pgring.barrier (
	saga_id text NOT NULL,
	step    integer NOT NULL,
	op      "char" NOT NULL CHECK (op IN ('a', 'c', 'r')),
	kind    text NOT NULL CHECK (kind IN ('action', 'fence')),
	created timestamptz NOT NULL DEFAULT now(),
	running text[],
	PRIMARY KEY (saga_id, step, op)
);
CREATE INDEX barrier_fences ON pgring.barrier (created) WHERE kind = 'fence';
COMMENT ON TABLE pgring.barrier IS 'what was done (action), or may never be done any more (fence), at most one of them for each step';
COMMENT ON COLUMN pgring.barrier.running IS 'of a fence: the virtual transactions that ran when it was planted; while one of them runs, the fence stays';
REVOKE ALL ON pgring.saga, pgring.barrier FROM PUBLIC;

-- Called by the clients' logins, which have no rights on the tables. The id is a hash of the secret, so that who has seen a
-- prepared transaction's name cannot decide it.
CREATE FUNCTION pgring.decide(secret text, shards text[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	saga text := substr(encode(sha256(convert_to(secret, 'UTF8')), 'hex'), 1, 32);
BEGIN
	IF octet_length(array_to_string(shards, ',')) > 65536 THEN
		RAISE EXCEPTION 'list of shards is too long' USING ERRCODE = 'program_limit_exceeded';
	END IF;
	INSERT INTO pgring.barrier (saga_id, step, op, kind) VALUES (saga, 0, 'a', 'action') ON CONFLICT DO NOTHING;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'transaction on several shards was given up, because its proxy had not finished it in time'
			USING ERRCODE = 'serialization_failure', HINT = 'Repeat the transaction.';
	END IF;
	INSERT INTO pgring.saga (id, mode, shards) VALUES (saga, '2pc', shards);
	-- The other shards' commits are flushed to disk; the decision they rest on must not be lost before them.
	IF current_setting('synchronous_commit') = 'off' THEN
		PERFORM set_config('synchronous_commit', 'on', true);
	END IF;
END $$;
GRANT USAGE ON SCHEMA pgring TO PUBLIC;
GRANT EXECUTE ON FUNCTION pgring.decide(text, text[]) TO PUBLIC;
`}
}

// fenceSQL takes the decision's place in the unique key, unless it is taken. It notes which transactions run: one of them may
// be the home transaction of the proxy that is being given up.
const fenceSQL = `
INSERT INTO pgring.barrier (saga_id, step, op, kind, running)
SELECT $1, 0, 'a', 'fence', coalesce(array_agg(virtualxid), '{}')
FROM pg_catalog.pg_locks WHERE locktype = 'virtualxid' AND granted AND pid <> pg_backend_pid()
ON CONFLICT DO NOTHING`

const rulingSQL = `SELECT kind FROM pgring.barrier WHERE saga_id = $1 AND step = 0 AND op = 'a'`

// operatorSettings make a session independent of what the login, the database or the server has as defaults. A fence must be
// durable before anything relies on it, and must see rows that were committed while it waited for them.
const operatorSettings = `SET default_transaction_isolation = 'read committed'; SET default_transaction_read_only = off;
SET synchronous_commit = on; SET lock_timeout = '10s'; SET statement_timeout = '60s'; SET search_path = pg_catalog, pg_temp`

// operator connects to a shard with the operator's login.
func (c *Coordinator) operator(ctx context.Context, shard ring.ShardID) (*pgx.Conn, error) {
	conn, err := c.cfg.Operator(ctx, shard)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", shard, err)
	}
	if _, err := conn.Exec(ctx, operatorSettings, pgx.QueryExecModeSimpleProtocol); err != nil {
		hangUp(ctx, conn)
		return nil, fmt.Errorf("set up session on %s: %w", shard, err)
	}
	return conn, nil
}

// hangUp closes a connection, also when ctx has ended.
func hangUp(ctx context.Context, conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), hangUpTimeout)
	defer cancel()
	_ = conn.Close(ctx) // nothing is left to be said on it
}

// ensureInstalled makes sure that the home of a transaction can keep its decision.
func (c *Coordinator) ensureInstalled(ctx context.Context, home *branch) error {
	if c.facts.isInstalled(home.shard) {
		return nil
	}
	conn, err := c.operator(ctx, home.shard)
	if err != nil {
		return err
	}
	defer hangUp(ctx, conn)
	if err := c.install(ctx, conn, home.shard); err != nil {
		return err
	}
	// The client's session may remember that there is no such function. It learns better when it locks a table.
	c.ask(ctx, "refresh", []*branch{home}, func(*branch) string { return "SELECT FROM pg_catalog.pg_proc LIMIT 0" })
	return home.err
}

// install creates the tables, or brings them to the present version, if this process has not seen them there.
func (c *Coordinator) install(ctx context.Context, conn *pgx.Conn, shard ring.ShardID) error {
	if c.facts.isInstalled(shard) {
		return nil
	}
	version, err := schemaVersion(ctx, conn)
	if err == nil && version < len(migrations()) {
		err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error { return migrate(ctx, tx) })
	}
	if err != nil {
		return fmt.Errorf("install tables for decisions on %s: %w", shard, err)
	}
	c.facts.setInstalled(shard, true)
	return nil
}

// migrate takes every step that is missing, one proxy at a time.
func migrate(ctx context.Context, tx pgx.Tx) error {
	if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", advisoryKey); err != nil {
		return fmt.Errorf("lock: %w", err)
	}
	version, err := schemaVersion(ctx, tx)
	if err != nil {
		return err
	}
	if version < 0 {
		if _, err := tx.Exec(ctx, createSchema); err != nil {
			return fmt.Errorf("create schema: %w", err)
		}
		version = 0
	}
	for steps := migrations(); version < len(steps); version++ {
		if _, err := tx.Exec(ctx, steps[version]); err != nil {
			return fmt.Errorf("migrate to version %d: %w", version+1, err)
		}
		if _, err := tx.Exec(ctx, "INSERT INTO pgring.saga_migrations (version) VALUES ($1)", version+1); err != nil {
			return fmt.Errorf("record version %d: %w", version+1, err)
		}
	}
	return nil
}

// querier is a connection, or a transaction on it.
type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// foundSQL reads the catalog like a table: to_regclass and its kind may answer from a cache that is older than the lock.
const foundSQL = `SELECT EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'pgring' AND c.relname = 'saga_migrations')`

// schemaVersion gives -1 where nothing is installed. A version of a later pgring is as good as the present one, because later
// steps keep the tables usable.
func schemaVersion(ctx context.Context, q querier) (version int, err error) {
	var found bool
	err = q.QueryRow(ctx, foundSQL).Scan(&found)
	if err == nil && !found {
		return -1, nil
	}
	if err == nil {
		err = q.QueryRow(ctx, "SELECT coalesce(max(version), 0) FROM pgring.saga_migrations").Scan(&version)
	}
	if err != nil {
		return 0, fmt.Errorf("read the version: %w", err)
	}
	return version, nil
}
