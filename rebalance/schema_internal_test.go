package rebalance

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/internal/pgtest"
)

// TestWhoStandsStillHoldsNothingUp has a controller stop between a change of a table, or a look at its guard, and COMMIT. Neither clients
// nor its successor wait for it for longer than the server bears it.
func TestWhoStandsStillHoldsNothingUp(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t, 1)[0]
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	connect := func() *pgx.Conn { return server.ConnectAs(t, pgtest.Superuser, "postgres") }
	exec := func(conn *pgx.Conn, sql string, args ...any) {
		t.Helper()
		if _, err := conn.Exec(ctx, sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	altering, holding, other := connect(), connect(), connect()
	exec(other, shardSchema)
	exec(other, "CREATE TABLE t (n int); INSERT INTO pgring.guards VALUES (7, 1, 'closed')")

	tx, err := holding.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if state, err := hold(ctx, tx, 7, 1); err != nil || state != guardClosed {
		t.Fatalf("the guard is %q, %v", state, err)
	}
	err = alterIf(ctx, altering, "CREATE INDEX ON t (n)", func(pgx.Tx) error {
		exec(other, "INSERT INTO t VALUES (1)")
		return fence(ctx, other, 7, 2)
	}, func() {})
	if err == nil {
		t.Error("a change of a table was kept by who stood still")
	}
	if err := tx.Commit(ctx); err == nil {
		t.Error("what was done in an earlier term was kept by who stood still")
	}
}
