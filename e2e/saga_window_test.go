package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// gate holds up the COMMIT of whoever has changed a customer on a server, for as long as somebody has advisory lock 1 there. So a
// saga can be stopped between the commits of its shards, in the real program, for as long as a test likes.
const gate = `
CREATE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER gate AFTER UPDATE ON customers DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION gate();`

// window is a transfer from s2 to s3 through one proxy that is stopped while it commits; another proxy is there to settle it.
type window struct {
	*cluster
	whole    testing.TB // outlives the parts
	other    *pgring
	from, to int64
	number   int64      // of the transfer
	shut     *pgx.Conn  // has the gate's lock
	told     chan error // what the client is told
}

func TestSagaIsSettledWhateverDiesBetweenItsCommits(t *testing.T) {
	t.Parallel()
	c := start(t, layout{})
	for _, s := range c.servers {
		s.ExecIn(t, database, gate)
	}
	w := &window{cluster: c, whole: t, other: c.startProxy(t), from: c.customersOn(t, 1, 1, 1)[0], to: c.customersOn(t, 2, 1, 1)[0]}
	execute(t, c.connect(t), "INSERT INTO customers (id, name, balance) VALUES ($1, 'a', 100), ($2, 'b', 100)", w.from, w.to)
	t.Run("the second shard dies", w.shardDies)
	t.Run("the proxy dies and the second shard commits", w.proxyDies)
	t.Run("the proxy and its connection to the second shard die", w.proxyAndConnectionDie)
	t.Run("the proxy sleeps until it is given up", w.proxySleeps)
	for i := range c.servers {
		if n := c.count(t, i, "SELECT count(*) FROM pg_stat_activity WHERE datname = 'shop' AND state LIKE 'idle in transaction%'"); n > 0 {
			t.Errorf("%s has %d open transactions", shardName(i), n)
		}
	}
	if report := shown(t, w.other.console(t), "SAGA VERIFY"); report != "" {
		t.Errorf("SAGA VERIFY:\n%s", report)
	}
}

// open begins a transfer whose COMMIT has to wait on a server, and returns when it does. The saga's lease ends soon.
func (w *window) open(t *testing.T, server int) {
	t.Helper()
	w.shut = w.servers[server].ConnectAs(t, "postgres", database)
	execute(t, w.shut, "SELECT pg_advisory_lock(1)")
	conn := w.connect(t)
	execute(t, conn, "SET pgring.saga_commit_timeout = '1s'")
	w.number++
	w.told = make(chan error, 1)
	// owner: the test, which reads what the client was told; ends when the proxy has answered or is dead.
	go func() {
		_, err := move(t.Context(), conn, w.number, w.from, w.to, 10)
		w.told <- err
	}()
	eventually(t, patience, "a COMMIT waits", func(context.Context) error {
		if n := one[int](t, w.shut, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"); n != 1 {
			return fmt.Errorf("%d wait", n)
		}
		return nil
	})
}

// letGo lets the COMMIT go on.
func (w *window) letGo(t *testing.T) {
	t.Helper()
	execute(t, w.shut, "SELECT pg_advisory_unlock(1)")
}

// half checks that the transfer is on the first shard only, and returns its saga.
func (w *window) half(t *testing.T) string {
	t.Helper()
	if from, to := w.entries(t); from != 1 || to != 0 {
		t.Errorf("the transfer is written %d times on s2 and %d times on s3, want only s2", from, to)
	}
	conn := w.servers[1].ConnectAs(t, "postgres", database)
	return one[string](t, conn, "SELECT id FROM pgring.saga WHERE finished IS NULL AND state = 'RUNNING'")
}

// entries counts the rows of the transfer on both shards.
func (w *window) entries(t *testing.T) (from, to int) {
	t.Helper()
	sql := fmt.Sprintf("SELECT count(*) FROM orders WHERE item IS NOT NULL AND id = %d", w.number)
	return w.count(t, 1, sql), w.count(t, 2, sql)
}

// becomes waits until the saga is settled, and checks that the tables say the same.
func (w *window) becomes(t *testing.T, id, state string) {
	t.Helper()
	conn, console := w.other.connect(t), w.other.console(t)
	eventually(t, patience, "the saga is settled", func(ctx context.Context) error {
		var status string
		if err := conn.QueryRow(ctx, "SELECT pgring.saga_status($1)", id).Scan(&status); err != nil {
			return err
		}
		if status != state {
			return fmt.Errorf("it is %s", status)
		}
		if list := shown(t, console, "SHOW SAGAS"); !strings.Contains(list, id+"|"+state+"|saga|s2,s3|app|") { // noted a little later
			return fmt.Errorf("SHOW SAGAS:\n%s", list)
		}
		return nil
	})
	want := 0
	if state == "COMMITTED" {
		want = 1
	}
	if from, to := w.entries(t); from != want || to != want {
		t.Errorf("%s, but the transfer is written %d times on s2 and %d times on s3", state, from, to)
	}
	if sum := one[int](t, conn, "SELECT sum(balance)::int FROM customers"); sum != 200 {
		t.Errorf("the sum is %d, want 200", sum)
	}
}

// mustBeTold checks the SQLSTATE that the client got.
func (w *window) mustBeTold(t *testing.T, codes ...string) {
	t.Helper()
	err := <-w.told
	var told *pgconn.PgError
	if errors.As(err, &told) {
		for _, code := range codes {
			if told.Code == code {
				return
			}
		}
	}
	t.Errorf("the client was told %v, want one of %v", err, codes)
}

func (w *window) shardDies(t *testing.T) {
	w.open(t, 2)
	id := w.half(t)
	w.servers[2].Kill9(t)
	w.mustBeTold(t, "40003") // not settled within a second
	if list := shown(t, w.console(t), "SHOW SAGAS"); !strings.Contains(list, id+"|RUNNING|saga|s2,s3|app|") {
		t.Errorf("SHOW SAGAS:\n%s", list)
	}
	w.servers[2].Restart(t)
	w.becomes(t, id, "COMPENSATED")
}

// The shard's session goes on without its client, and a fence waits for what it does.
func (w *window) proxyDies(t *testing.T) {
	w.open(t, 2)
	id := w.half(t)
	w.kill9(t)
	if err := <-w.told; err == nil {
		t.Error("the client of a dead proxy was told COMMIT")
	}
	w.letGo(t)
	w.becomes(t, id, "COMMITTED")
	w.pgring.start(w.whole)
}

func (w *window) proxyAndConnectionDie(t *testing.T) {
	w.open(t, 2)
	id := w.half(t)
	w.kill9(t)
	<-w.told
	execute(t, w.servers[2].ConnectAs(t, "postgres", database),
		"SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
	w.becomes(t, id, "COMPENSATED")
	w.letGo(t)
	w.pgring.start(w.whole)
}

// The proxy is stopped while its first shard commits. Another one gives the saga up and undoes it; then the first one wakes up and
// comes to the second shard too late.
func (w *window) proxySleeps(t *testing.T) {
	w.open(t, 1)
	w.freeze(t)
	w.letGo(t)
	eventually(t, patience, "the first shard has committed", func(context.Context) error {
		if from, _ := w.entries(t); from != 1 {
			return errors.New("not yet")
		}
		return nil
	})
	id := w.half(t)
	w.becomes(t, id, "COMPENSATED")
	must(t, w.command.Process.Signal(syscall.SIGCONT))
	w.mustBeTold(t, "40001", "40003")
	w.becomes(t, id, "COMPENSATED")
	eventually(t, patience, "the proxy is ready again", w.ready)
}
