package e2e

import (
	"database/sql"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/lib/pq"
)

func TestLibPQ(t *testing.T) {
	t.Parallel()
	c := start(t, layout{})
	for name, test := range map[string]func(*testing.T){
		"statements":           c.pqStatements,
		"transactions":         c.pqTransactions,
		"copy to a home table": c.pqCopy,
		"listen and notify":    c.pqListen,
	} {
		t.Run(name, func(t *testing.T) {
			test(t)
		})
	}
}

func (c *cluster) openPQ(t *testing.T, options string) *sql.DB {
	t.Helper()
	db, err := sql.Open("postgres", c.dsn(appLogin)+options)
	must(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func (c *cluster) pqStatements(t *testing.T) {
	for i, options := range []string{"", "&binary_parameters=yes"} {
		db := c.openPQ(t, options)
		insert, err := db.PrepareContext(t.Context(), "INSERT INTO customers (id, name) VALUES ($1, $2) RETURNING id")
		must(t, err)
		from := 1000 * (i + 1)
		for id := from; id < from+100; id++ {
			var got int
			must(t, insert.QueryRowContext(t.Context(), id, "pq").Scan(&got))
			if got != id {
				t.Errorf("RETURNING gives %d, want %d", got, id)
			}
		}
		must(t, insert.Close())
		var name string
		must(t, db.QueryRowContext(t.Context(), "SELECT name FROM customers WHERE id = $1", from+1).Scan(&name))
		must(t, db.QueryRowContext(t.Context(), fmt.Sprintf("SELECT name FROM customers WHERE id = %d", from+1)).Scan(&name))
		var n int
		must(t, db.QueryRowContext(t.Context(), "SELECT count(*) FROM customers WHERE id BETWEEN $1 AND $2", from, from+99).Scan(&n))
		if name != "pq" || n != 100 {
			t.Errorf("name %q, count %d", name, n)
		}
		_, err = db.ExecContext(t.Context(), "INSERT INTO customers (id, name) VALUES ($1, 'pq')", from)
		var reported *pq.Error
		if !errors.As(err, &reported) || reported.Code != "23505" || reported.Constraint != "customers_pkey" {
			t.Errorf("a duplicate gives %v", err)
		}
	}
}

func (c *cluster) pqTransactions(t *testing.T) {
	db := c.openPQ(t, "")
	tx, err := db.BeginTx(t.Context(), &sql.TxOptions{Isolation: sql.LevelSerializable})
	must(t, err)
	_, err = tx.ExecContext(t.Context(), "INSERT INTO customers (id, name) VALUES (5000, 'tx')")
	must(t, err)
	var level string
	must(t, tx.QueryRowContext(t.Context(), "SELECT current_setting('transaction_isolation') FROM customers WHERE id = 5000").Scan(&level))
	if level != "serializable" {
		t.Errorf("isolation is %q", level)
	}
	must(t, tx.Rollback())
	var n int
	must(t, db.QueryRowContext(t.Context(), "SELECT count(*) FROM customers WHERE id = 5000").Scan(&n))
	if n != 0 {
		t.Errorf("%d rows after Rollback", n)
	}
	tx, err = db.BeginTx(t.Context(), &sql.TxOptions{ReadOnly: true})
	must(t, err)
	_, err = tx.ExecContext(t.Context(), "INSERT INTO customers (id, name) VALUES (5000, 'tx')")
	var reported *pq.Error
	if !errors.As(err, &reported) || reported.Code != "25006" {
		t.Errorf("a write in a read-only transaction gives %v", err)
	}
	must(t, tx.Rollback())
}

func (c *cluster) pqCopy(t *testing.T) {
	tx, err := c.openPQ(t, "").BeginTx(t.Context(), nil)
	must(t, err)
	defer func() { _ = tx.Rollback() }()
	in, err := tx.PrepareContext(t.Context(), pq.CopyIn("notes", "id", "body"))
	must(t, err)
	for i := range 1000 {
		_, err = in.ExecContext(t.Context(), 50_000+i, "copied by pq")
		must(t, err)
	}
	_, err = in.ExecContext(t.Context())
	must(t, err)
	must(t, in.Close())
	must(t, tx.Commit())
	if got := one[int](t, c.connect(t), "SELECT count(*) FROM notes WHERE id >= 50000"); got != 1000 {
		t.Errorf("%d rows, want 1000", got)
	}
}

func (c *cluster) pqListen(t *testing.T) {
	var listener *pq.Listener
	ready := make(chan struct{})
	listener = pq.NewListener(c.dsn(appLogin), time.Second, time.Second, func(event pq.ListenerEventType, err error) {
		<-ready
		if event != pq.ListenerEventConnected {
			t.Errorf("the listener lost its connection: %v", err)
			_ = listener.Close() // it would try again for ever
		}
	})
	close(ready)
	defer listener.Close()
	must(t, listener.Listen("pq news"))
	execute(t, c.connect(t), `NOTIFY "pq news", 'hello'`)
	select {
	case got := <-listener.Notify:
		if got == nil || got.Extra != "hello" {
			t.Errorf("notification %+v", got)
		}
	case <-time.After(patience):
		t.Error("no notification")
	}
	must(t, listener.Ping())
}
