package e2e

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Two accounts on different shards, as docs/sagas.md has them.
func TestTransferOfTheManual(t *testing.T) {
	c := start(t, layout{})
	conn := c.connect(t)
	from, to := c.customersOn(t, 1, 1, 1)[0], c.customersOn(t, 2, 1, 1)[0]
	execute(t, conn, "INSERT INTO customers (id, name, balance) VALUES ($1, 'a', 100), ($2, 'b', 100)", from, to)
	_, err := move(t.Context(), conn, 1, from, to, 10)
	must(t, err)
	id := one[string](t, conn, "SHOW pgring.last_saga_id")
	if status := one[string](t, conn, "SELECT pgring.saga_status($1)", id); status != "COMMITTED" {
		t.Errorf("status %s", status)
	}
	console := c.console(t)
	if !strings.Contains(shown(t, console, "SHOW SAGAS WHERE state = COMMITTED"), id+"|COMMITTED|saga|s2,s3|app|") {
		t.Errorf("SHOW SAGAS:\n%s", shown(t, console, "SHOW SAGAS"))
	}
	detail := shown(t, console, "SHOW SAGA '"+id+"'")
	for _, want := range []string{"0|s2|compensable|", "1|s3|compensable|", "UPDATE customers SET balance = balance - $2", "a action"} {
		if !strings.Contains(detail, want) {
			t.Errorf("SHOW SAGA lacks %q:\n%s", want, detail)
		}
	}
	if _, err := console.Exec(t.Context(), "RETRY SAGA '"+id+"'"); err != nil {
		t.Errorf("RETRY SAGA: %v", err)
	}
	for _, sql := range []string{"SAGA ABANDON '" + id + "'", "SAGA SKIP '" + id + "' STEP x REASON 'y'", "SHOW SAGA nothing", "ABANDON SAGA '" + id + "' REASON 'test'"} {
		if _, err := console.Exec(t.Context(), sql); err == nil {
			t.Errorf("%s was accepted", sql)
		} else {
			t.Logf("%s: %v", sql, err)
		}
	}
}

// shown returns the rows of a console command, a line each.
func shown(t *testing.T, conn *pgx.Conn, sql string) string {
	t.Helper()
	results, err := conn.PgConn().Exec(t.Context(), sql).ReadAll()
	must(t, err)
	var b strings.Builder
	for _, row := range results[0].Rows {
		for _, value := range row {
			b.Write(value)
			b.WriteByte('|')
		}
		b.WriteByte('\n')
	}
	return b.String()
}
