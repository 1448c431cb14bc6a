package topology

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// advisoryKey is the advisory lock that serialises migration and first filling of the control database: "pgring" in ASCII.
const advisoryKey int64 = 0x706772696e67

// createMigrations is version 0. An operator without the right to create schemas may be given an empty schema pgring of its own,
// so that CREATE SCHEMA, which asks for that right even when the schema is there, runs only when it is not.
const createMigrations = `
DO $$ BEGIN
	IF to_regnamespace('pgring') IS NULL THEN
		CREATE SCHEMA pgring;
	END IF;
END $$;
CREATE TABLE pgring.migrations (version integer PRIMARY KEY, applied timestamptz NOT NULL DEFAULT now());`

// migrations returns the numbered steps: step i takes the schema from version i to i+1. A published step is never edited; a new
// one must leave the schema usable by the pgring before it, which goes on running while proxies are replaced one by one.
func migrations() []string {
	return []string{`
CREATE TABLE pgring.cluster (
	one            boolean PRIMARY KEY DEFAULT true CHECK (one),
	id             uuid NOT NULL DEFAULT gen_random_uuid(),
	epoch          bigint NOT NULL,
	schema_version bigint NOT NULL DEFAULT 1,
	home           text NOT NULL,
	virtual_nodes  integer NOT NULL,
	load_bound     double precision NOT NULL,
	next_number    integer NOT NULL,
	created        timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE pgring.cluster IS 'one row; every change of shards, groups or tables raises epoch by compare-and-swap';

CREATE TABLE pgring.shards (
	id     text PRIMARY KEY,
	number integer NOT NULL UNIQUE,
	host   text NOT NULL,
	port   integer NOT NULL,
	weight integer NOT NULL CHECK (weight > 0),
	state  text NOT NULL
);

CREATE TABLE pgring.groups (
	name      text PRIMARY KEY,
	strategy  text NOT NULL,
	key_type  text NOT NULL,
	placement json NOT NULL,
	epoch     bigint NOT NULL
);
COMMENT ON COLUMN pgring.groups.placement IS 'slot to shard for strategies consistent and hash; bounds or lists for range and list';

CREATE TABLE pgring.tables (
	table_schema text NOT NULL,
	table_name   text NOT NULL,
	kind         text NOT NULL,
	key_columns  text[] NOT NULL,
	group_name   text REFERENCES pgring.groups,
	shard        text REFERENCES pgring.shards,
	PRIMARY KEY (table_schema, table_name)
);

CREATE TABLE pgring.proxies (
	instance    text PRIMARY KEY,
	host        text NOT NULL,
	version     text NOT NULL,
	started     timestamptz NOT NULL,
	lease_until timestamptz NOT NULL,
	epoch       bigint NOT NULL
);
COMMENT ON COLUMN pgring.proxies.epoch IS 'the epoch this proxy plans with; it lives until lease_until by this server''s clock';
`, addMoves, allowNoWeight, addReverting, addProgress}
}

// migrate brings schema pgring to the present version. The caller's transaction holds the advisory lock, so that every step is
// taken once and a proxy that dies in between leaves nothing behind.
func migrate(ctx context.Context, tx pgx.Tx) error {
	version, err := schemaVersion(ctx, tx)
	if err != nil {
		return fmt.Errorf("read the version of schema pgring: %w", err)
	}
	steps := migrations()
	if version > len(steps) {
		return &NewerSchemaError{Found: version, Known: len(steps)}
	}
	for ; version < len(steps); version++ {
		if _, err := tx.Exec(ctx, steps[version]); err != nil {
			return fmt.Errorf("migrate schema pgring to version %d: %w", version+1, err)
		}
		if _, err := tx.Exec(ctx, "INSERT INTO pgring.migrations (version) VALUES ($1)", version+1); err != nil {
			return fmt.Errorf("record version %d of schema pgring: %w", version+1, err)
		}
	}
	return nil
}

// schemaVersion gives 0 for an empty control database, after creating schema pgring with its list of migrations.
func schemaVersion(ctx context.Context, tx pgx.Tx) (int, error) {
	var found bool
	if err := tx.QueryRow(ctx, "SELECT to_regclass('pgring.migrations') IS NOT NULL").Scan(&found); err != nil {
		return 0, err
	}
	if !found {
		_, err := tx.Exec(ctx, createMigrations)
		return 0, err
	}
	var version int
	err := tx.QueryRow(ctx, "SELECT coalesce(max(version), 0) FROM pgring.migrations").Scan(&version)
	return version, err
}
