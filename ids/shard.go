package ids

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// A shard makes ids with one sequence of tickets: a ticket is a time in milliseconds and a counter, as in an id but without the
// worker. Nothing but the sequence makes a ticket, so no two are alike; a clock that steps only decides where the sequence goes on.
//
// To bring the sequence up to the clock it must be set, and a ticket that somebody takes meanwhile must not come again. Tickets are
// therefore good only below a limit, which is read before the ticket is taken. Whoever sets the sequence begins at the old limit or
// behind it, and raises the limit afterwards:
//
//   - who has read the old limit and gets a ticket from behind it knows that it is not good, and takes another;
//   - who has read the new limit has read it after the sequence was set, so the ticket comes from there.
//
// So the good tickets of one limit lie apart from those of all others. One at a time sets the sequence: an advisory lock that a
// subtransaction takes, which is rolled back on purpose, because that gives the lock back at once and does not undo setval. Only who
// finds no good ticket left waits for the lock; who finds the sequence late, and the lock taken, uses the late ticket.

const (
	// shardWindow is how many tickets lie between the place where the sequence is set to and the limit: those of 100 ms, or 400,000
	// ids, after which it has to be set again.
	shardWindow = 100 << SequenceBits

	// shardKey is the advisory lock under which the sequence is set: "pgrtik" in ASCII.
	shardKey = 0x70677274696b
)

// shardSQL makes what a shard needs, if it is not there. USAGE lets clients take tickets, and nothing more.
const shardSQL = `
DO $install$ BEGIN
	IF to_regnamespace('pgring') IS NULL THEN
		CREATE SCHEMA pgring;
	END IF;
	IF NOT has_schema_privilege('public', 'pgring', 'USAGE') THEN
		GRANT USAGE ON SCHEMA pgring TO PUBLIC;
	END IF;
	IF to_regclass('pgring.id_limit') IS NULL THEN
		CREATE SEQUENCE pgring.id_limit;
		PERFORM setval('pgring.id_limit', 1);
		COMMENT ON SEQUENCE pgring.id_limit IS 'tickets below it are good';
		GRANT SELECT ON SEQUENCE pgring.id_limit TO PUBLIC;
		CREATE SEQUENCE pgring.id_ticket;
		COMMENT ON SEQUENCE pgring.id_ticket IS 'makes the tickets that pgring.next_id() makes ids of';
		GRANT USAGE ON SEQUENCE pgring.id_ticket TO PUBLIC;
	END IF;
END $install$;
CREATE OR REPLACE FUNCTION pgring.advance_ids(wait boolean) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
	present bigint := ((extract(epoch FROM $CLOCK) * 1000)::bigint - $EPOCH) << $BITS;
	bound   bigint;
	ticket  bigint;
BEGIN
	IF wait THEN
		PERFORM pg_advisory_xact_lock($KEY);
	ELSIF NOT pg_try_advisory_xact_lock($KEY) THEN
		RETURN;
	END IF;
	bound := pg_sequence_last_value('pgring.id_limit');
	ticket := coalesce(pg_sequence_last_value('pgring.id_ticket'), 0);
	IF ticket >= bound - 1 OR ticket < present - $WINDOW THEN
		PERFORM setval('pgring.id_ticket', greatest(present, bound));
		PERFORM setval('pgring.id_limit', greatest(present, bound) + $WINDOW);
	END IF;
	RAISE EXCEPTION USING ERRCODE = 'PR1ID', MESSAGE = 'gives the lock back';
EXCEPTION WHEN SQLSTATE 'PR1ID' THEN
	NULL;
END $body$;
COMMENT ON FUNCTION pgring.advance_ids(boolean) IS 'brings the tickets up to the clock';
CREATE OR REPLACE FUNCTION pgring.next_id() RETURNS bigint
LANGUAGE plpgsql AS $body$
DECLARE
	bound  bigint;
	ticket bigint;
	late   boolean := true;
BEGIN
	LOOP
		bound := pg_catalog.pg_sequence_last_value('pgring.id_limit'); -- before the ticket is taken
		ticket := pg_catalog.nextval('pgring.id_ticket');
		IF ticket >= bound THEN
			PERFORM pgring.advance_ids(true);
		ELSIF late AND ticket < (((extract(epoch FROM $CLOCK) * 1000)::bigint - $EPOCH) << $BITS) - $WINDOW THEN
			PERFORM pgring.advance_ids(false);
			late := false;
		ELSE
			RETURN ((ticket >> $BITS) << ($BITS + $WORKERBITS)) | ($WORKER::bigint << $BITS) | (ticket & ((1 << $BITS) - 1));
		END IF;
	END LOOP;
END $body$;
COMMENT ON FUNCTION pgring.next_id() IS 'makes an id that no other shard and no proxy makes: the DEFAULT of serial and identity columns of sharded tables';
`

// shardFunctions is shardSQL for one worker; clock is the expression that gives the time, window is shardWindow.
func shardFunctions(worker int, clock string, window int) string {
	return strings.NewReplacer("$CLOCK", clock, "$EPOCH", strconv.Itoa(EpochMillis), "$BITS", strconv.Itoa(SequenceBits),
		"$WORKERBITS", strconv.Itoa(WorkerBits), "$WORKER", strconv.Itoa(worker), "$WINDOW", strconv.Itoa(window),
		"$KEY", strconv.Itoa(shardKey)).Replace(shardSQL)
}

// WorkerOfShard is the worker that stands for the shard of a number; ok is false if there are no workers left for it.
func WorkerOfShard(number int) (worker int, ok bool) {
	worker = FirstShardWorker + number
	return worker, number >= 0 && worker < 1<<WorkerBits
}

// Install makes pgring.next_id() on the shard of a number, or brings it up to this version. The login must be able to create schema
// pgring, or own it.
func Install(ctx context.Context, conn *pgx.Conn, number int) error {
	worker, ok := WorkerOfShard(number)
	if !ok {
		return fmt.Errorf("shard number %d is too large for ids", number)
	}
	return installShard(ctx, conn, shardFunctions(worker, "pg_catalog.clock_timestamp()", shardWindow))
}

// installTries is how often the definitions are tried: others of pgring's parts may make schema pgring at the same moment.
const installTries = 3

func installShard(ctx context.Context, conn *pgx.Conn, sql string) (err error) {
	for range installTries {
		if err = installOnce(ctx, conn, sql); err == nil || ctx.Err() != nil {
			break
		}
	}
	return err
}

// installOnce runs the definitions, one proxy at a time, unless they are there already.
func installOnce(ctx context.Context, conn *pgx.Conn, sql string) error {
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", int64(shardKey)+1); err != nil {
			return fmt.Errorf("lock: %w", err)
		}
		var same bool
		if err := tx.QueryRow(ctx, installedSQL, sql).Scan(&same); err != nil || same {
			return err
		}
		_, err := tx.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol)
		return err
	})
}

// installedSQL says whether the bodies of both functions are those in the definitions.
const installedSQL = `
SELECT count(*) = 2 AND pg_catalog.bool_and(pg_catalog.strpos($1, p.prosrc) > 0)
FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname = 'pgring' AND p.proname IN ('next_id', 'advance_ids')`
