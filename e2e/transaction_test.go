package e2e

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// count asks a shard itself.
func (c *cluster) count(t testing.TB, server int, sql string, args ...any) int {
	t.Helper()
	conn := c.servers[server].ConnectAs(t, appLogin, database)
	defer conn.Close(t.Context())
	return one[int](t, conn, sql, args...)
}

func TestTransactions(t *testing.T) {
	t.Parallel()
	c := start(t, layout{})
	t.Run("ten statements on one key commit", c.commitTenStatements)
	t.Run("a second shard's key is refused and nothing remains", c.refuseSecondShard)
	t.Run("a failed statement fails the transaction until ROLLBACK", c.failTransaction)
	t.Run("an open transaction may commit after SIGTERM", c.commitAfterSIGTERM)
}

func (c *cluster) commitTenStatements(t *testing.T) {
	conn := c.connect(t)
	const customer = 1000
	tx, err := conn.Begin(t.Context())
	must(t, err)
	_, err = tx.Exec(t.Context(), "INSERT INTO customers (id, name) VALUES ($1, 'ten')", customer)
	must(t, err)
	for i := range 7 {
		_, err = tx.Exec(t.Context(), "INSERT INTO orders (customer_id, id, item) VALUES ($1, $2, 'thing')", customer, i)
		must(t, err)
	}
	_, err = tx.Exec(t.Context(), "UPDATE customers SET balance = balance + 7 WHERE id = $1", customer)
	must(t, err)
	if got := one[int](t, tx, "SELECT count(*) FROM orders o JOIN customers c ON c.id = o.customer_id WHERE c.id = $1", customer); got != 7 {
		t.Errorf("the transaction sees %d of its 7 orders", got)
	}
	if got := one[int](t, c.connect(t), "SELECT count(*) FROM orders WHERE customer_id = $1", customer); got != 0 {
		t.Errorf("another session sees %d uncommitted orders", got)
	}
	must(t, tx.Commit(t.Context()))
	for i := range c.servers {
		want := 0
		if i == c.owner(t, customer) {
			want = 7
		}
		if got := c.count(t, i, "SELECT count(*) FROM orders WHERE customer_id = $1", customer); got != want {
			t.Errorf("%s has %d orders, want %d", shardName(i), got, want)
		}
	}
}

func (c *cluster) refuseSecondShard(t *testing.T) {
	conn := c.connect(t)
	first, second := c.customersOn(t, 0, 2000, 1)[0], c.customersOn(t, 1, 2000, 1)[0]
	tx, err := conn.Begin(t.Context())
	must(t, err)
	_, err = tx.Exec(t.Context(), "INSERT INTO customers (id, name) VALUES ($1, 'first')", first)
	must(t, err)
	_, err = tx.Exec(t.Context(), "INSERT INTO customers (id, name) VALUES ($1, 'second')", second)
	wantError(t, err, "0A000")
	var refused *pgconn.PgError
	if errors.As(err, &refused) && (refused.Hint == "" || refused.Detail == "") {
		t.Errorf("the refusal has no hint or no detail: %+v", refused)
	}
	if err := tx.Commit(t.Context()); !errors.Is(err, pgx.ErrTxCommitRollback) {
		t.Errorf("COMMIT of the failed transaction: %v, want a rollback", err)
	}
	for i := range c.servers {
		if got := c.count(t, i, "SELECT count(*) FROM customers WHERE id = ANY($1)", []int64{first, second}); got != 0 {
			t.Errorf("%s keeps %d rows of the refused transaction", shardName(i), got)
		}
	}
	execute(t, conn, "INSERT INTO customers (id, name) VALUES ($1, 'again')", second)
}

func (c *cluster) failTransaction(t *testing.T) {
	conn := c.connect(t)
	customer := c.customersOn(t, 2, 3000, 1)[0]
	execute(t, conn, "BEGIN")
	execute(t, conn, "INSERT INTO customers (id, name) VALUES ($1, 'fails')", customer)
	execute(t, conn, "SAVEPOINT here")
	_, err := conn.Exec(t.Context(), "INSERT INTO customers (id, name) VALUES ($1, 'fails')", customer)
	wantError(t, err, "23505")
	_, err = conn.Exec(t.Context(), "SELECT 1")
	wantError(t, err, "25P02")
	if got := conn.PgConn().TxStatus(); got != 'E' {
		t.Errorf("transaction status is %c, want E", got)
	}
	execute(t, conn, "ROLLBACK TO here")
	if got := one[int](t, conn, "SELECT count(*) FROM customers WHERE id = $1", customer); got != 1 {
		t.Errorf("%d rows after ROLLBACK TO, want 1", got)
	}
	execute(t, conn, "ROLLBACK")
	if got := one[int](t, conn, "SELECT count(*) FROM customers WHERE id = $1", customer); got != 0 {
		t.Errorf("%d rows after ROLLBACK, want 0", got)
	}
}

func (c *cluster) commitAfterSIGTERM(t *testing.T) {
	open, idle := c.connect(t), c.connect(t)
	execute(t, open, "BEGIN")
	execute(t, open, "INSERT INTO customers (id, name) VALUES (4000, 'late')")
	must(t, c.command.Process.Signal(syscall.SIGTERM))
	eventually(t, patience, "the idle client is sent away", func(ctx context.Context) error {
		if _, err := idle.PgConn().Exec(ctx, "").ReadAll(); err == nil {
			return errors.New("it is still served")
		}
		return nil
	})
	if conn, err := pgx.Connect(t.Context(), c.dsn(appLogin)); err == nil {
		_ = conn.Close(t.Context())
		t.Error("a new client is accepted after SIGTERM")
	}
	execute(t, open, "UPDATE customers SET balance = 1 WHERE id = 4000")
	execute(t, open, "COMMIT")
	<-c.ended
	if c.waited != nil {
		t.Errorf("pgring ends with %v", c.waited)
	}
	if got := c.count(t, c.owner(t, 4000), "SELECT count(*) FROM customers WHERE id = 4000 AND balance = 1"); got != 1 {
		t.Errorf("%d rows of the transaction that committed after SIGTERM, want 1", got)
	}
}

// wantError checks the SQLSTATE of an error.
func wantError(t testing.TB, err error, code string) {
	t.Helper()
	if got := sqlstate(err); got != code {
		t.Errorf("SQLSTATE %q, want %q: %v", got, code, err)
	}
}

// sqlstate is the code of an error that a server or pgring reported; else it says what it was.
func sqlstate(err error) string {
	var reported *pgconn.PgError
	if errors.As(err, &reported) {
		return reported.Code
	}
	if err == nil {
		return "no error"
	}
	return fmt.Sprintf("%T", err)
}
