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

// fenceSQL takes the place of a step's work in the unique key, unless it is taken. It notes which transactions run: one of them
// may be that of the proxy that is being given up.
const fenceSQL = `
INSERT INTO pgring.barrier (saga_id, step, op, kind, running)
SELECT $1, $2, 'a', 'fence', coalesce(array_agg(virtualxid), '{}')
FROM pg_catalog.pg_locks WHERE locktype = 'virtualxid' AND granted AND pid <> pg_backend_pid()
ON CONFLICT DO NOTHING`

const rulingSQL = `SELECT kind FROM pgring.barrier WHERE saga_id = $1 AND step = $2 AND op = 'a'`

// operatorSettings make a session independent of what the login, the database or the server has as defaults. A fence must be
// durable before anything relies on it, and must see rows that were committed while it waited for them.
const operatorSettings = `SET default_transaction_isolation = 'read committed'; SET default_transaction_read_only = off;
SET synchronous_commit = on; SET statement_timeout = '60s'; SET search_path = pg_catalog, pg_temp`

// operator connects to a shard with the operator's login.
func (c *Coordinator) operator(ctx context.Context, shard ring.ShardID) (*pgx.Conn, error) {
	conn, err := c.cfg.Operator(ctx, shard)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", shard, err)
	}
	if _, err := conn.Exec(ctx, fmt.Sprintf("%s; SET lock_timeout = %d", operatorSettings, c.cfg.locks.Milliseconds()), pgx.QueryExecModeSimpleProtocol); err != nil {
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

// ensureInstalled makes sure that a shard of a transaction can keep its rows.
func (c *Coordinator) ensureInstalled(ctx context.Context, b *branch) error {
	if c.facts.isInstalled(b.shard) {
		return nil
	}
	conn, err := c.operator(ctx, b.shard)
	if err != nil {
		return err
	}
	defer hangUp(ctx, conn)
	if err := c.install(ctx, conn, b.shard); err != nil {
		return err
	}
	// The client's session may remember that there is no such function. It learns better when it locks a table.
	c.ask(ctx, "refresh", []*branch{b}, func(*branch) []byte { return query("SELECT FROM pg_catalog.pg_proc LIMIT 0") })
	return b.err
}

// install creates the tables, or brings them to the present version, and reads the shard's secret, if this process has not seen
// them there.
func (c *Coordinator) install(ctx context.Context, conn *pgx.Conn, shard ring.ShardID) error {
	if c.facts.isInstalled(shard) {
		return nil
	}
	version, err := schemaVersion(ctx, conn)
	if err == nil && version < len(migrations()) {
		err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error { return migrate(ctx, tx) })
	}
	var secret []byte
	if err == nil {
		err = conn.QueryRow(ctx, "SELECT secret FROM pgring.saga_secret").Scan(&secret)
	}
	if err != nil {
		return fmt.Errorf("install tables for decisions on %s: %w", shard, err)
	}
	c.facts.setInstalled(shard, secret)
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
