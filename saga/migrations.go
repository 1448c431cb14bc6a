package saga

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
`, sagaTables}
}

// sagaTables is the second step: mode saga. A shard's secret proves that a row comes from pgring, since a row names statements
// that run later with the login of the user it names.
const sagaTables = `
ALTER TABLE pgring.saga
	ADD COLUMN record   bytea,
	ADD COLUMN key      bytea,
	ADD COLUMN state    text,
	ADD COLUMN reason   text,
	ADD COLUMN tries    integer NOT NULL DEFAULT 0,
	ADD COLUMN refusals integer NOT NULL DEFAULT 0,
	ADD COLUMN retry    timestamptz,
	ADD COLUMN leased   timestamptz,
	ADD COLUMN finished timestamptz,
	ADD COLUMN cleaned  timestamptz;
CREATE UNIQUE INDEX saga_key ON pgring.saga (key) WHERE key IS NOT NULL;
CREATE INDEX saga_unsettled ON pgring.saga (started) WHERE mode <> '2pc' AND finished IS NULL;
CREATE INDEX saga_finished ON pgring.saga (finished) WHERE finished IS NOT NULL;
COMMENT ON COLUMN pgring.saga.record IS 'JSON: the user, the steps and their statements; null for 2pc';
COMMENT ON COLUMN pgring.saga.key IS 'hash of user and pgring.saga_key';
COMMENT ON COLUMN pgring.saga.state IS 'a cache of what the barrier rows say';
COMMENT ON COLUMN pgring.saga.leased IS 'others leave it alone until then; only to save work';
COMMENT ON COLUMN pgring.saga.cleaned IS 'since when the barrier rows may be gone';

ALTER TABLE pgring.barrier DROP CONSTRAINT barrier_kind_check, ADD COLUMN note text,
	ADD CONSTRAINT barrier_kind_check CHECK (kind IN ('action', 'fence', 'skip'));
COMMENT ON TABLE pgring.barrier IS 'what was done (action), may never be done any more (fence) or was declared done (skip), at most one of them for each step';

CREATE TABLE pgring.saga_secret (secret bytea NOT NULL);
REVOKE ALL ON pgring.saga_secret FROM PUBLIC;
INSERT INTO pgring.saga_secret SELECT sha256(convert_to(gen_random_uuid()::text || gen_random_uuid()::text || gen_random_uuid()::text, 'UTF8'));
COMMENT ON TABLE pgring.saga_secret IS 'proves to the functions that it is pgring who calls them; one row';

CREATE FUNCTION pgring.saga_check(message bytea, proof bytea) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	secret bytea := (SELECT s.secret FROM pgring.saga_secret s);
BEGIN
	IF proof IS DISTINCT FROM sha256(secret || sha256(secret || message)) THEN
		RAISE EXCEPTION 'only pgring may write the rows of sagas' USING ERRCODE = 'insufficient_privilege';
	END IF;
	-- A row that another shard's commit rests on must not be lost before that one.
	IF current_setting('synchronous_commit') = 'off' THEN
		PERFORM set_config('synchronous_commit', 'on', true);
	END IF;
END $$;
REVOKE ALL ON FUNCTION pgring.saga_check(bytea, bytea) FROM PUBLIC;

CREATE FUNCTION pgring.saga_mark(id text, step integer, op "char", proof bytea) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	own text;
BEGIN
	PERFORM pgring.saga_check(convert_to(concat('mark ', op, ' ', step, ' ', id), 'UTF8'), proof);
	IF op <> 'a' THEN
		-- What is undone must be done, and what is run again must be fenced. A coordinator that was asleep while the saga ended
		-- and its rows were cleaned away learns here that it is too late.
		SELECT b.kind INTO own FROM pgring.barrier b WHERE b.saga_id = id AND b.step = saga_mark.step AND b.op = 'a' FOR KEY SHARE;
		IF own IS DISTINCT FROM (CASE op WHEN 'c' THEN 'action' ELSE 'fence' END) THEN
			RETURN 'gone';
		END IF;
	END IF;
	INSERT INTO pgring.barrier (saga_id, step, op, kind, created) VALUES (id, saga_mark.step, saga_mark.op, 'action', clock_timestamp()) ON CONFLICT DO NOTHING;
	IF FOUND THEN
		RETURN 'new';
	ELSIF op <> 'a' THEN
		RETURN 'done';
	END IF;
	RAISE EXCEPTION 'step was given up, or done, by another proxy' USING ERRCODE = 'serialization_failure', HINT = 'Repeat the transaction.';
END $$;

CREATE FUNCTION pgring.saga_begin(id text, shards text[], record bytea, key bytea, lease float8, proof bytea) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	earlier text;
BEGIN
	PERFORM pgring.saga_check(convert_to(concat('begin ', id, ' ', encode(key, 'hex'), ' ', array_to_string(shards, ','), E'\n'), 'UTF8') || record, proof);
	INSERT INTO pgring.barrier (saga_id, step, op, kind, created) VALUES (id, 0, 'a', 'action', clock_timestamp()) ON CONFLICT DO NOTHING;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'saga was given up, because its proxy had not finished it in time'
			USING ERRCODE = 'serialization_failure', HINT = 'Repeat the transaction.';
	END IF;
	-- An attempt that was undone leaves its key to the next one.
	UPDATE pgring.saga s SET key = NULL WHERE s.key = saga_begin.key AND s.state = 'COMPENSATED';
	INSERT INTO pgring.saga (id, mode, shards, record, key, state, started, leased)
	VALUES (saga_begin.id, 'saga', saga_begin.shards, saga_begin.record, saga_begin.key, 'RUNNING', clock_timestamp(),
		clock_timestamp() + lease * interval '1 second')
	ON CONFLICT DO NOTHING;
	IF NOT FOUND THEN
		SELECT s.id INTO earlier FROM pgring.saga s WHERE s.key = saga_begin.key;
		RAISE EXCEPTION 'saga key is in use' USING ERRCODE = 'PGR01', DETAIL = coalesce(earlier, '');
	END IF;
END $$;
GRANT EXECUTE ON FUNCTION pgring.saga_mark(text, integer, "char", bytea), pgring.saga_begin(text, text[], bytea, bytea, float8, bytea) TO PUBLIC;
`
