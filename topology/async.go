package topology

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// asyncVersion is the comment on the table; a shard whose comment is another one has another version.
const asyncVersion = "how far asynchronous writes were applied (version 4)"

// asyncSQL makes what a shard needs for asynchronous writes (docs/writes.md). It is here for the reason that requestsSQL is: package
// ingest writes the rows, package rebalance moves them with their slots.
//
// A source numbers its records. Those of one shard key are applied in order, so one number says which of them are: it is written in the
// transaction that writes their rows, and goes where the rows of the key go. Who applies says which number he begins with; if the
// shard is past it, nothing is written twice, for the transaction fails (PR103).
//
// Clients have no rights on the tables. Who applies has the client's login, so that the rows are written with its rights and no more;
// the functions ask for the source's secret, which no client knows.
const asyncSQL = `
DO $install$ BEGIN` + ownSchemaSQL + `
	CREATE TABLE IF NOT EXISTS pgring.async_sources (
		source bytea PRIMARY KEY,        -- SHA-256 of its secret
		floor  bigint NOT NULL DEFAULT 0 -- records up to this one are never sent again, and what pgring.applied said of them is forgotten
	);
	CREATE TABLE IF NOT EXISTS pgring.applied (
		placed    text COLLATE "C" NOT NULL, -- colocation group
		hash      bigint NOT NULL,           -- of the shard key
		shard_key text COLLATE "C" NOT NULL,
		source    bytea NOT NULL,
		off       bigint NOT NULL,           -- the last record of this key that was applied
		previous  bigint NOT NULL,           -- off before the last transaction
		PRIMARY KEY (placed, hash, shard_key, source)
	);
	CREATE TABLE IF NOT EXISTS pgring.dead_letter (
		placed    text COLLATE "C" NOT NULL,
		hash      bigint NOT NULL,
		shard_key text COLLATE "C" NOT NULL,
		id        text COLLATE "C" NOT NULL,
		relation  text NOT NULL,
		login     text NOT NULL,  -- the client's user at pgring
		statement text NOT NULL,
		record    bytea NOT NULL, -- all that is needed to try it again
		sqlstate  text NOT NULL,
		message   text NOT NULL,
		detail    text NOT NULL,
		attempts  bigint NOT NULL,
		queued_at timestamptz NOT NULL,
		failed_at timestamptz NOT NULL,
		PRIMARY KEY (placed, hash, shard_key, id)
	);
	REVOKE ALL ON pgring.async_sources, pgring.applied, pgring.dead_letter FROM PUBLIC;
	COMMENT ON TABLE pgring.applied IS '` + asyncVersion + `';
END $install$;
CREATE OR REPLACE FUNCTION pgring.advance_lane(secret bytea, placed text, hashes bigint[], keys text[], firsts bigint[], lasts bigint[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
	me       bytea := sha256(secret);
	lowest   bigint;
	advanced bigint;
BEGIN
	-- What is applied is forgotten by the log, so it must not be lost: whatever the session or its role have set.
	PERFORM set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off';
	SELECT s.floor INTO lowest FROM pgring.async_sources s WHERE s.source = me FOR SHARE;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'source of asynchronous writes is not known' USING ERRCODE = 'PR104';
	END IF;
	INSERT INTO pgring.applied AS a
	SELECT advance_lane.placed, u.hash, u.key, me, u.last, u.first - 1 FROM unnest(hashes, keys, firsts, lasts) u (hash, key, first, last)
	WHERE u.first > lowest
	ON CONFLICT ON CONSTRAINT applied_pkey DO UPDATE SET off = excluded.off, previous = a.off WHERE a.off <= excluded.previous;
	GET DIAGNOSTICS advanced = ROW_COUNT;
	IF advanced < cardinality(keys) THEN
		RAISE EXCEPTION 'asynchronous writes were applied already' USING ERRCODE = 'PR103';
	END IF;
END $body$;
-- Fails (PR106) unless rows come out of one INSERT as they do of several, for all that is known of the table. A trigger before each row sees the
-- rows before it if it is volatile (PostgreSQL manual, "Visibility of Data Changes"). But rules, policies, stable functions, triggers of the
-- statement and those behind its rows see the statement, and a foreign key is looked at in its end: it may find what a later row has brought.
-- Whoever has written to the table in the same transaction knows that it stays so.
CREATE OR REPLACE FUNCTION pgring.rows_together(relation regclass) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
	family  oid[]   := ARRAY[relation::oid];
	above   oid[]   := '{}';
	own     oid     := 'pgring'::regnamespace;
	refers  boolean := false;
	apart   boolean;
	noticed boolean; -- there may be triggers, and so foreign keys, too
BEGIN
	SELECT relkind NOT IN ('r', 'p') OR relhasrules OR relrowsecurity, relhastriggers INTO apart, noticed FROM pg_class WHERE oid = relation;
	PERFORM FROM pg_class WHERE oid = relation AND (relkind = 'p' OR relispartition);
	IF FOUND THEN
		noticed := true;
		family := array(SELECT relid FROM pg_partition_tree(relation));
		above := array(SELECT relid FROM pg_partition_ancestors(relation));
		apart := apart OR EXISTS (SELECT FROM pg_class WHERE oid = ANY (family) AND (relkind NOT IN ('r', 'p') OR relhasrules OR relrowsecurity));
	END IF;
	IF noticed THEN
		refers := EXISTS (SELECT FROM pg_constraint WHERE conrelid = ANY (family) AND contype = 'f');
		apart := apart OR EXISTS (SELECT FROM pg_constraint WHERE conrelid = ANY (family) AND contype = 'f' AND confrelid = ANY (family || above))
			OR EXISTS (SELECT FROM pg_trigger t JOIN pg_proc f ON f.oid = t.tgfoid WHERE t.tgrelid = ANY (family) AND NOT t.tgisinternal AND t.tgtype & 4 > 0
				AND (t.tgtype & 3 < 3 OR f.provolatile <> 'v' OR refers AND f.pronamespace <> own));
	END IF;
	IF apart OR EXISTS (SELECT FROM pg_attrdef a JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = a.oid AND d.refclassid = 'pg_proc'::regclass
			JOIN pg_proc f ON f.oid = d.refobjid WHERE a.adrelid = ANY (family) AND (f.provolatile = 's' OR f.provolatile = 'v' AND refers AND f.pronamespace <> own))
		OR EXISTS (SELECT FROM pg_constraint k JOIN pg_depend d ON d.classid = 'pg_constraint'::regclass AND d.objid = k.oid AND d.refclassid = 'pg_proc'::regclass
			JOIN pg_proc f ON f.oid = d.refobjid WHERE k.conrelid = ANY (family) AND (f.provolatile = 's' OR f.provolatile = 'v' AND refers AND f.pronamespace <> own))
		OR EXISTS (SELECT FROM pg_attribute WHERE attrelid = relation AND attnum > 0 AND NOT attisdropped AND atttypid >= 16384)
			AND EXISTS (SELECT FROM pg_constraint k JOIN pg_depend d ON d.classid = 'pg_constraint'::regclass AND d.objid = k.oid AND d.refclassid = 'pg_proc'::regclass
			JOIN pg_proc f ON f.oid = d.refobjid WHERE k.contypid > 0 AND (f.provolatile = 's' OR f.provolatile = 'v' AND refers AND f.pronamespace <> own)) -- of any domain
	THEN
		RAISE EXCEPTION 'rows of table % are to be written one by one', relation USING ERRCODE = 'PR106';
	END IF;
END $body$;
CREATE OR REPLACE FUNCTION pgring.lane_progress(secret bytea, placed text, hashes bigint[], keys text[]) RETURNS TABLE (hash bigint, shard_key text, off bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
	SELECT u.hash, u.key, greatest(s.floor, coalesce(a.off, 0)) FROM pgring.async_sources s CROSS JOIN unnest(hashes, keys) u (hash, key)
	LEFT JOIN pgring.applied a ON a.placed = lane_progress.placed AND a.hash = u.hash AND a.shard_key = u.key AND a.source = s.source
	WHERE s.source = sha256(secret)
$body$;
CREATE OR REPLACE FUNCTION pgring.bury_letter(secret bytea, placed text, hash bigint, shard_key text, id text, relation text, login text,
	statement text, record bytea, sqlstate text, message text, detail text, queued float8) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
	PERFORM FROM pgring.async_sources s WHERE s.source = sha256(secret);
	IF NOT FOUND THEN
		RAISE EXCEPTION 'source of asynchronous writes is not known' USING ERRCODE = 'PR104';
	END IF;
	INSERT INTO pgring.dead_letter AS d VALUES (placed, hash, shard_key, id, relation, login, statement, record, sqlstate, message, detail, 1,
		to_timestamp(queued), clock_timestamp())
	ON CONFLICT ON CONSTRAINT dead_letter_pkey DO UPDATE SET sqlstate = excluded.sqlstate, message = excluded.message, detail = excluded.detail,
		attempts = d.attempts + 1, failed_at = excluded.failed_at;
END $body$;
CREATE OR REPLACE FUNCTION pgring.take_letter(secret bytea, placed text, hash bigint, shard_key text, id text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
	PERFORM FROM pgring.async_sources s WHERE s.source = sha256(secret);
	IF NOT FOUND THEN
		RAISE EXCEPTION 'source of asynchronous writes is not known' USING ERRCODE = 'PR104';
	END IF;
	DELETE FROM pgring.dead_letter d WHERE d.placed = take_letter.placed AND d.hash = take_letter.hash AND d.shard_key = take_letter.shard_key
		AND d.id = take_letter.id;
	RETURN FOUND;
END $body$;
`

// EnsureAsync makes the tables of asynchronous writes on a shard, with their functions, or brings them up to this version.
func EnsureAsync(ctx context.Context, conn *pgx.Conn) error {
	if err := ensure(ctx, conn, "pgring.applied", asyncVersion, asyncSQL); err != nil {
		return fmt.Errorf("make the tables of asynchronous writes: %w", err)
	}
	return nil
}
