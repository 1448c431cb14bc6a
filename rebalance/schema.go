package rebalance

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// sessionSettings make the text of a value the same on both shards and in the stream, and a row's text the same when it is
// compared. Whoever reads or writes moved rows uses them.
const sessionSettings = `SET search_path = pg_catalog; SET TimeZone = 'UTC'; SET DateStyle = 'ISO, YMD'; SET IntervalStyle = 'postgres';
SET extra_float_digits = 1; SET bytea_output = 'hex'; SET xmloption = 'content'; SET lc_monetary = 'C'; SET row_security = off;
SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; SET default_transaction_read_only = off; SET synchronous_commit = on;
SET client_encoding = 'UTF8'; SET standard_conforming_strings = on; SET default_transaction_isolation = 'read committed'`

// streamSettings are those of sessionSettings that decide how the stream writes values. The stream's session takes no SET.
func streamSettings() map[string]string {
	return map[string]string{"replication": "database", "TimeZone": "UTC", "DateStyle": "ISO, YMD", "IntervalStyle": "postgres",
		"extra_float_digits": "1", "bytea_output": "hex", "lc_monetary": "C", "client_encoding": "UTF8", "statement_timeout": "0"}
}

// oneExchange has a statement run without being prepared first: that pays for what runs once on a connection, while clients wait.
const oneExchange = pgx.QueryExecModeExec

// lockClass is the first key of the advisory locks of guards, the move being the second one: "pgri" in ASCII, 0x70677269.
const lockClass = 1885827689

// shardSchema is what a shard has while a move touches it; it stays afterwards, empty.
//
// The guard is the fence. A writer takes the shared lock and then reads the state: under READ COMMITTED with a snapshot of its own,
// which is taken after the lock, so that a freeze that the writer waited for is seen; under REPEATABLE READ with FOR SHARE, which
// fails with 40001 when the state has changed since the transaction's snapshot. The lock lasts until the transaction's end,
// prepared ones included. The freeze takes it exclusively, so it waits for exactly the writers of the moving slots.
//
// On a shard that follows it passes over what a foreign key's action (ON DELETE CASCADE and the like) would do to rows of the moving slots: the
// shard that serves does it to those that count, and the stream brings it. Such an action is known by its statement, which PostgreSQL
// makes. A table with BEFORE triggers of users' own would run them on both shards, and is not passed over.
//
// pgring.guard_reference looks after foreign keys without an action: see references.go.
const shardSchema = `
DO $$ BEGIN
	PERFORM pg_catalog.pg_advisory_xact_lock(1885827689, 0);
	IF pg_catalog.to_regnamespace('pgring') IS NULL THEN
		CREATE SCHEMA pgring;
	END IF;
	CREATE TABLE IF NOT EXISTS pgring.guards (move bigint PRIMARY KEY, term bigint NOT NULL, state text NOT NULL);
	COMMENT ON TABLE pgring.guards IS 'one row for each move of slots that touches this shard: open, frozen or closed to writers, or following another shard; over or leaving when only proxies with an old map are kept out';
	CREATE TABLE IF NOT EXISTS pgring.move_progress (move bigint PRIMARY KEY, term bigint NOT NULL, lsn pg_lsn NOT NULL, slot text NOT NULL);
	COMMENT ON TABLE pgring.move_progress IS 'up to where the other shard''s changes are on this one, and the replication slot that has the further ones';
	CREATE OR REPLACE FUNCTION pgring.guard() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
	DECLARE
		this bigint := TG_ARGV[0]::bigint;
		present text;
		stack text;
	BEGIN
		PERFORM pg_advisory_xact_lock_shared(1885827689, this::int);
		IF current_setting('transaction_isolation') LIKE 'read %' THEN
			SELECT g.state INTO present FROM pgring.guards g WHERE g.move = this;
		ELSE
			SELECT g.state INTO present FROM pgring.guards g WHERE g.move = this FOR SHARE;
		END IF;
		IF present IS DISTINCT FROM 'open' THEN
			IF present = 'following' AND TG_OP <> 'INSERT' AND pg_trigger_depth() > 1 THEN
				GET DIAGNOSTICS stack = PG_CONTEXT;
				IF split_part(stack, E'\n', 2) ~ '(DELETE FROM|UPDATE) (ONLY )?".*"\.".*" (SET .* )?WHERE \$[0-9]+\S* OPERATOR\(' AND NOT EXISTS
					(SELECT FROM pg_trigger t WHERE t.tgrelid = TG_RELID AND t.tgtype & 3 = 3 AND t.tgenabled <> 'D' AND t.tgname < TG_NAME AND NOT starts_with(t.tgname, 'zz_pgring_move_')) THEN
					RETURN NULL;
				END IF;
			END IF;
			RAISE EXCEPTION 'this shard does not take writes for the slot of the row'
				USING ERRCODE = 'PR001', DETAIL = format('Move %s has taken the slot to another shard, or is about to.', this),
				HINT = 'Repeat the transaction.';
		END IF;
		IF TG_OP = 'DELETE' THEN
			RETURN OLD;
		END IF;
		RETURN NEW;
	END $guard$;
	CREATE OR REPLACE FUNCTION pgring.guard_reference() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
	DECLARE
		refers boolean;
	BEGIN
		IF EXISTS (SELECT FROM pgring.guards g WHERE g.move = TG_ARGV[0]::bigint AND g.state IN ('closed', 'following')) THEN
			EXECUTE TG_ARGV[1] INTO refers USING OLD;
			IF refers THEN
				RAISE EXCEPTION 'a row refers to this one that follows the shard which owns it, and may be behind'
					USING ERRCODE = 'PR002', HINT = 'Repeat the transaction.';
			END IF;
		END IF;
		RETURN NULL;
	END $guard$;
	CREATE OR REPLACE FUNCTION pgring.guard_truncate() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
	BEGIN
		IF EXISTS (SELECT FROM pgring.guards g WHERE g.move = TG_ARGV[0]::bigint AND g.state IN ('over', 'leaving')) THEN
			RETURN NULL;
		END IF;
		RAISE EXCEPTION 'cannot truncate a table while its slots move'
			USING ERRCODE = 'feature_not_supported', HINT = 'Wait for the move or cancel it: SHOW REBALANCE on the console.';
	END $guard$;
END $$`

// The states of a guard.
const (
	guardOpen      = "open"
	guardClosed    = "closed"
	guardFollowing = "following" // closed, and foreign keys' actions are passed over
	guardOver      = "over"      // closed, but the move is done with the shard: its tables may be truncated
	guardLeaving   = "leaving"   // likewise, and the guard is about to be taken off
)

// fence raises the term of a move on a shard, if the move has been there. When it returns, nothing that a controller of an earlier
// term has begun there is still to be committed.
func fence(ctx context.Context, conn *pgx.Conn, move, term int64) error {
	var there bool
	err := conn.QueryRow(ctx, "SELECT to_regclass('pgring.guards') IS NOT NULL").Scan(&there)
	if err != nil || !there {
		return err
	}
	var newer bool
	err = conn.QueryRow(ctx, "UPDATE pgring.guards SET term = greatest(term, $2) WHERE move = $1 RETURNING term > $2", move, term).Scan(&newer)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil
	case err == nil && newer:
		return errOvertaken
	}
	return err
}

// errOvertaken means that a controller of a later term has fenced the shard.
var errOvertaken = errors.New("another controller drives the move")

// heldGuard gives the state of a move's guard if the term is the present one, and keeps both as they are until the transaction ends.
const heldGuard = "SELECT state, set_config('idle_in_transaction_session_timeout', '" + holderTimeout + "', true) FROM pgring.guards WHERE move = $1 AND term = $2 FOR SHARE"

// hold makes sure that the term is still the present one, until the transaction ends, and gives the guard's state.
func hold(ctx context.Context, tx pgx.Tx, move, term int64) (state string, err error) {
	err = tx.QueryRow(ctx, heldGuard, move, term).Scan(&state, nil)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", errOvertaken
	}
	return state, err
}

// setGuard changes the guard's state under the term. It needs no lock: whoever opens or denies for good is not raced by writers.
func setGuard(ctx context.Context, conn *pgx.Conn, move, term int64, state string) error {
	tag, err := conn.Exec(ctx, "UPDATE pgring.guards SET state = $3 WHERE move = $1 AND term = $2", oneExchange, move, term, state)
	if err == nil && tag.RowsAffected() == 0 {
		return errOvertaken
	}
	return err
}

// holderTimeout is after how long a server ends a transaction of a controller that stands still while clients, or its successor, wait
// for what it holds: a stopped process, or one behind a network that is cut, would hold a table for as long as TCP believes in it.
const holderTimeout = "3s"

// How long a change of a table waits for the transactions that use it. New statements queue behind it meanwhile, so it is short at
// first, and tried again. Where there is always a slow one it would never come: each time it waits half as long again, and then leaves
// the table alone for some times as long.
const (
	firstLockWait = 100 * time.Millisecond
	lastLockWait  = 1500 * time.Millisecond
	lockPause     = 4 // times the wait
)

// alter runs DDL on a table in a transaction of its own. It gives way to the clients' statements and tries again until ctx ends.
func (d *driver) alter(ctx context.Context, s side, ddl string) error {
	return d.alterIf(ctx, s, ddl, nil)
}

// alterIf is the function of that name, and shows what it waits for when that takes long.
func (d *driver) alterIf(ctx context.Context, s side, ddl string, ask func(pgx.Tx) error) error {
	since, shown := time.Now(), false
	err := alterIf(ctx, s.conn, ddl, ask, func() {
		if !shown && time.Since(since) > drainLimit {
			shown = true
			d.report(ctx, waiting("waiting for transactions that use tables of the group on shard "+string(s.id)))
		}
	})
	if shown {
		d.report(ctx, waiting(""))
	}
	return err
}

// alterIf is alter that goes by what it is asked when it has the table: an error takes everything back.
func alterIf(ctx context.Context, conn *pgx.Conn, ddl string, ask func(pgx.Tx) error, blocked func()) error {
	for wait := firstLockWait; ; wait = min(wait*3/2, lastLockWait) {
		err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, fmt.Sprintf("SET LOCAL lock_timeout = %d; SET LOCAL idle_in_transaction_session_timeout = '%s'; %s", wait.Milliseconds(), holderTimeout, ddl))
			if err == nil && ask != nil {
				err = ask(tx)
			}
			return err
		})
		if !isCode(err, "55P03") && !isCode(err, "40P01") {
			return err
		}
		blocked()
		if !pause(ctx, lockPause*wait) {
			return fmt.Errorf("wait for the table: %w", err)
		}
	}
}

// isCode reports whether a server answered with that SQLSTATE.
func isCode(err error, code string) bool {
	var refused *pgconn.PgError
	return errors.As(err, &refused) && refused.Code == code
}
