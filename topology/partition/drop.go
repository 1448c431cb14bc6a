package partition

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// DropLock is the first key of an advisory lock, the second being 0: whoever drops a partition has it shared, and a move of slots must have had
// it exclusively after its guard was committed, before it relies on what is on the shard. "pgrp" in ASCII.
const DropLock = 0x70677270

// errMoving means that nothing is dropped because slots move.
var errMoving = errors.New("slots move to or from the shard")

// dropping runs do while no move of slots can begin on the shard: rows that vanish would be missed by what follows its changes. Moves
// wait for that (DropLock); one that has begun keeps do from being run.
func dropping(ctx context.Context, conn *pgx.Conn, do func() error) error {
	var mine bool
	if err := conn.QueryRow(ctx, "SELECT pg_try_advisory_lock_shared($1, 0)", DropLock).Scan(&mine); err != nil {
		return err
	}
	if !mine {
		return errMoving // one begins at this moment
	}
	moving, err := guarded(ctx, conn) // statements of their own, so that what was committed before the lock was had is seen
	switch {
	case err != nil:
	case moving:
		err = errMoving
	default:
		err = do()
	}
	if conn.IsClosed() {
		return err
	}
	_, unlocked := conn.Exec(ctx, "SELECT pg_advisory_unlock_shared($1, 0)", DropLock)
	return errors.Join(err, unlocked)
}

// drop takes a partition off and drops it, without keeping anybody from the table. It is marked first: who comes after a crash goes on with
// what is marked, and touches nothing else that is not a partition.
func (t *table) drop(ctx context.Context, conn *pgx.Conn, rule Rule, p part, before time.Time) error {
	parent := pgx.Identifier{rule.Table.Schema, rule.Table.Table}.Sanitize()
	if t.fallback.name != "" && !p.pending { // DETACH CONCURRENTLY does not work beside a DEFAULT partition
		return alter(ctx, conn, fmt.Sprintf("ALTER TABLE %s DETACH PARTITION %s; DROP TABLE %[2]s", parent, p.sql()))
	}
	how := "CONCURRENTLY"
	if p.pending {
		how = "FINALIZE"
	}
	if !p.mark {
		if err := alter(ctx, conn, fmt.Sprintf("COMMENT ON TABLE %s IS %s", p.sql(), quoteText(mark(rule.Table)+p.Span.String()))); err != nil {
			return fmt.Errorf("mark partition %s: %w", p.sql(), err)
		}
	}
	if _, err := conn.Exec(ctx, fmt.Sprintf("ALTER TABLE %s DETACH PARTITION %s %s", parent, p.sql(), how)); err != nil {
		err = fmt.Errorf("detach partition %s: %w", p.sql(), err)
		if !conn.IsClosed() {
			err = errors.Join(err, unmark(ctx, conn, p))
		}
		return err
	}
	return t.dropLeft(ctx, conn, rule, p, before)
}

// unmark takes the mark from a partition that is one still: when a person takes it off, it is his.
func unmark(ctx context.Context, conn *pgx.Conn, p part) error {
	var whole bool
	err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = to_regclass($1) AND NOT inhdetachpending)", p.sql()).Scan(&whole)
	if err == nil && whole {
		err = alter(ctx, conn, "COMMENT ON TABLE "+p.sql()+" IS NULL")
	}
	if err != nil {
		return fmt.Errorf("take the mark from partition %s: %w", p.sql(), err)
	}
	return nil
}

// dropLeft drops what was taken off. It looks once more for rows that may not go: what DETACH CONCURRENTLY has left on the table, its bounds
// as a CHECK constraint, proves at once that there are none. Otherwise all rows are looked at.
func (t *table) dropLeft(ctx context.Context, conn *pgx.Conn, rule Rule, p part, before time.Time) error {
	if p.kind != "r" && p.kind != "p" {
		return fmt.Errorf("%s was a partition and is to be dropped, but is no table: drop it yourself", p.sql())
	}
	var young bool
	err := conn.QueryRow(ctx, fmt.Sprintf("SELECT EXISTS (SELECT FROM %s WHERE %s >= %s)", p.sql(), pgx.Identifier{rule.Column}.Sanitize(), literal(before, t.typ))).Scan(&young)
	if err != nil {
		return fmt.Errorf("look into %s: %w", p.sql(), err)
	}
	if young {
		return fmt.Errorf("%s was a partition and is to be dropped, but somebody has put newer rows into it: COMMENT ON TABLE %[1]s IS NULL keeps it", p.sql())
	}
	if err := alter(ctx, conn, "DROP TABLE "+p.sql()); err != nil {
		return fmt.Errorf("drop %s: %w", p.sql(), err)
	}
	return nil
}
