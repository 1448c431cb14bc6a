package saga_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pgring/pgring/internal/pgtest"
	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/saga"
)

// newBank is a cluster whose shards write down how often each piece of work was done and undone, and by whom.
func newBank(t *testing.T, servers ...*pgtest.Server) *cluster {
	t.Helper()
	c := newCluster(t, servers...)
	for _, s := range c.servers {
		s.Exec(t, `CREATE TABLE audit (key bigint, what text, who text);
			CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
				INSERT INTO audit VALUES (coalesce(NEW.key, OLD.key), TG_OP, current_user); RETURN NULL;
			END $$;
			CREATE TRIGGER audit AFTER INSERT OR DELETE ON work FOR EACH ROW EXECUTE FUNCTION audit();
			CREATE TABLE checked (key bigint REFERENCES work DEFERRABLE INITIALLY DEFERRED);
			GRANT ALL ON audit, checked TO client`)
	}
	c.known = c.coordinator(t)
	c.known.Sweep(t.Context()) // installs
	return c
}

// shape is what a saga is made of.
type shape struct {
	name      string
	retriable bool // the last step
	refused   bool // the last step's COMMIT, the first time
}

func shapes() []shape {
	return []shape{{name: "success"}, {name: "refused", refused: true}, {name: "forward", refused: true, retriable: true}}
}

// openSaga makes a transaction that is open on some shards, and the saga that commits it.
func (c *cluster) openSaga(t *testing.T, what shape, shards ...ring.ShardID) (*transaction, saga.Saga) {
	t.Helper()
	tx := c.open(t, kinds()[0], shards...)
	s := saga.Saga{User: client, Timeout: time.Minute}
	for i, conn := range tx.conns {
		step := saga.Step{Conn: conn}
		last := i == len(tx.conns)-1
		if last && what.retriable {
			step.Retriable, step.Redo = true, []saga.Statement{tx.statement("INSERT INTO work VALUES ($1)")}
		} else {
			step.Undo = []saga.Statement{tx.statement("DELETE FROM work WHERE key = $1")}
		}
		if last && what.refused {
			mustRun(t, conn, "INSERT INTO checked VALUES (-1)")
		}
		s.Steps = append(s.Steps, step)
	}
	return tx, s
}

// statement has the transaction's key as a binary parameter, and concerns one row.
func (tx *transaction) statement(sql string) saga.Statement {
	return saga.Statement{SQL: sql + tx.mark(), Types: []uint32{20}, Formats: []int16{1}, Values: [][]byte{binary.BigEndian.AppendUint64(nil, uint64(tx.key))}, Rows: 1}
}

// impatient makes recovery begin at once, and not wait for locks.
func impatient(cfg *saga.Config) {
	cfg.SetLease(time.Nanosecond)
	cfg.SetLocks(50 * time.Millisecond)
}

// recoverAll runs the janitor until every saga is settled, whenever there is something that it would take over.
func (c *cluster) recoverAll(t *testing.T) {
	t.Helper()
	janitor := c.coordinator(t, impatient)
	await(t, "all sagas to be settled", func() bool {
		if c.sagas(t, "coalesce(retry, '-infinity') < clock_timestamp()") > 0 {
			janitor.Sweep(t.Context())
		}
		return c.unsettled(t) == 0
	})
}

func (c *cluster) unsettled(t *testing.T) int {
	t.Helper()
	return c.sagas(t, "true")
}

// sagas counts those that are not settled and fulfil a condition.
func (c *cluster) sagas(t *testing.T, condition string) (n int) {
	t.Helper()
	for i := range c.servers {
		n += c.count(t, i, "SELECT count(*) FROM pgring.saga WHERE mode <> '2pc' AND finished IS NULL AND "+condition)
	}
	return n
}

// mustBeSound checks that the work is on all shards or on none, that nothing was done or undone twice, and that the rows say the
// same as the tables. It returns which.
func (tx *transaction) mustBeSound(t *testing.T, id string) (all bool) {
	t.Helper()
	all = tx.mustBeWhole(t)
	for i := range tx.c.servers {
		n := see[[]int](t, tx.c, i, fmt.Sprintf(`SELECT ARRAY[count(*) FILTER (WHERE what = 'INSERT'), count(*) FILTER (WHERE what = 'DELETE'),
(SELECT count(*) FROM pgring.barrier WHERE saga_id = %s AND op = 'c' AND kind = 'action')] FROM audit WHERE key = %d`, saga.Quote(id), tx.key))
		if done, undone := n[0], n[1]; done > 1 || undone > 1 {
			t.Errorf("done %d times and undone %d times on shard %d", done, undone, i)
		}
		if undone, noted := n[1], n[2]; id != "" && noted != undone {
			t.Errorf("shard %d: undone %d times, noted %d times", i, undone, noted)
		}
	}
	if id == "" {
		return all
	}
	_, home, _ := strings.Cut(id, ".")
	i := slices.Index(tx.c.shards, ring.ShardID(home))
	if n := tx.c.count(t, i, "SELECT count(*) FROM pgring.saga WHERE state = 'COMMITTED' AND id = "+saga.Quote(id)); n == 1 != all {
		t.Errorf("COMMITTED on its home: %t; the work is on all shards: %t", n == 1, all)
	}
	return all
}

func (c *cluster) sagaMakesWorkDurableOnAllShards(t *testing.T) {
	coordinator := c.coordinator(t)
	for n := 2; n <= 3; n++ {
		tx, s := c.openSaga(t, shape{}, c.shards[3-n:]...)
		id, err := coordinator.CommitSaga(t.Context(), s)
		if err != nil || !strings.HasSuffix(id, "."+string(c.shards[3-n])) {
			t.Fatalf("saga %q: %v", id, err)
		}
		tx.release(t)
		mustBe(t, c.coordinator(t), id, saga.Committed, "") // though its home does not say so yet
		if _, failed := coordinator.List(t.Context(), 1); len(failed) > 0 || !tx.mustBeSound(t, id) {
			t.Errorf("not committed, %v", failed)
		}
		for i, shard := range c.shards {
			rows, sagas := c.count(t, i, "SELECT count(*) FROM pgring.barrier WHERE saga_id = "+saga.Quote(id)), c.count(t, i, "SELECT count(*) FROM pgring.saga WHERE id = "+saga.Quote(id))
			if want := slices.Index(c.shards[3-n:], shard); rows != min(want+1, 1) || sagas == 1 != (want == 0) {
				t.Errorf("%s has %d barrier rows and %d sagas", shard, rows, sagas)
			}
		}
	}
	if got := coordinator.Stats(); got.Committed != 2 || got.Compensations != 0 {
		t.Errorf("stats %+v", got)
	}
}

func TestSagaOnOneShardWritesNoRows(t *testing.T) {
	c := newBank(t, pgtest.Start(t, 1)...)
	tx, s := c.openSaga(t, shape{}, "s1")
	id, err := c.coordinator(t).CommitSaga(t.Context(), s)
	tx.release(t)
	if err != nil || id != "" || !tx.mustBeSound(t, "") || c.count(t, 0, "SELECT count(*) FROM pgring.barrier") != 0 {
		t.Errorf("saga %q, %v", id, err)
	}
}

// Whichever shard refuses to commit, the others' work is undone, and the client hears that shard's own reason.
func (c *cluster) refusedCommitUndoesTheOthers(t *testing.T) {
	for _, shard := range c.shards {
		tx, s := c.openSaga(t, shape{}, c.shards...)
		mustRun(t, tx.conns[slices.Index(c.shards, shard)], "INSERT INTO checked VALUES (-1)")
		id, err := c.coordinator(t).CommitSaga(t.Context(), s)
		mustAbort(t, err, shard, "23503")
		tx.release(t)
		if shard == "s1" {
			mustBeGone(t, tx)
			continue
		}
		if tx.mustBeSound(t, id) {
			t.Error("committed")
		}
		for i := range c.servers {
			want := 0
			if c.shards[i] != shard {
				want = 1
			}
			if n := c.count(t, i, fmt.Sprintf("SELECT count(*) FROM audit WHERE key = %d AND what = 'DELETE' AND who = 'client'", tx.key)); n != want {
				t.Errorf("undone %d times on %s by the client, want %d", n, c.shards[i], want)
			}
		}
	}
}

func (c *cluster) retriableStepIsRunForward(t *testing.T) {
	tx, s := c.openSaga(t, shape{refused: true, retriable: true}, c.shards...)
	coordinator := c.coordinator(t)
	id, err := coordinator.CommitSaga(t.Context(), s)
	tx.release(t)
	c.recoverAll(t)
	if err != nil || !tx.mustBeSound(t, id) || coordinator.Stats().Forwarded != 1 {
		t.Errorf("saga %s: %v, stats %+v", id, err, coordinator.Stats())
	}
}

// Undo runs with the settings that its statement ran under, and as the role that it had: no more rights, and no other meaning.
func (c *cluster) undoRunsAsItsUserUnderItsSettings(t *testing.T) {
	for _, s := range c.servers {
		s.Exec(t, `CREATE ROLE teller; GRANT teller TO client; CREATE SCHEMA branch; CREATE TABLE branch.seen (who text, by text, stamp date, mine text);
			GRANT USAGE ON SCHEMA branch TO teller; GRANT INSERT ON branch.seen TO teller`)
	}
	tx, s := c.openSaga(t, shape{refused: true}, c.shards...)
	s.Steps[0].Undo = append(s.Steps[0].Undo, saga.Statement{Rows: saga.AnyRows,
		SQL:      "INSERT INTO seen VALUES (current_user, session_user, '02/01/2024', $1)",
		Values:   [][]byte{[]byte("it's \\ mine")},
		Settings: []saga.Setting{{"role", "teller"}, {"search_path", "branch"}, {"DateStyle", "SQL, DMY"}}})
	if _, err := c.coordinator(t).CommitSaga(t.Context(), s); err == nil {
		t.Fatal("committed")
	}
	tx.release(t)
	const want = "teller client 2024-01-02 it's \\ mine"
	if got := pgtest.One[string](t, c.servers[0], "SELECT concat_ws(' ', who, by, stamp, mine) FROM branch.seen"); got != want {
		t.Errorf("undo saw %q, want %q", got, want)
	}
	if tx.mustBeWhole(t) {
		t.Error("committed")
	}
}

// What a client writes as its compensation cannot get it more rights than it has.
func TestUndoCannotEscalate(t *testing.T) {
	t.Parallel()
	c := newBank(t, pgtest.Start(t, 2)...)
	for _, sql := range []string{"SELECT set_config('role', 'postgres', true)", "SELECT set_config('session_authorization', 'postgres', true)",
		"DELETE FROM pgring.saga", "SELECT 1; DROP TABLE work"} {
		tx, s := c.openSaga(t, shape{refused: true}, c.shards...)
		s.Steps[0].Undo = []saga.Statement{{SQL: sql, Rows: saga.AnyRows}}
		id, err := c.coordinator(t).CommitSaga(t.Context(), s)
		tx.release(t)
		mustBeUnsettled(t, err, id, saga.Stuck)
	}
}

func mustBeUnsettled(t *testing.T, err error, id string, state saga.State) {
	t.Helper()
	var unsettled *saga.UnsettledError
	if !errors.As(err, &unsettled) || unsettled.ID != id || unsettled.State != state {
		t.Fatalf("error %v, want %s to be %s", err, id, state)
	}
}

func (c *cluster) sagasThatMakeNoSenseAreRolledBack(t *testing.T) {
	for name, change := range map[string]func(*saga.Saga){
		"both":    func(s *saga.Saga) { s.Steps[0].Retriable, s.Steps[0].Redo = true, s.Steps[0].Undo },
		"no redo": func(s *saga.Saga) { s.Steps[1].Retriable, s.Steps[1].Undo = true, nil },
		"key is late": func(s *saga.Saga) {
			s.Key, s.Steps[0] = "k", saga.Step{Conn: s.Steps[0].Conn, Retriable: true, Redo: s.Steps[0].Undo}
		},
	} {
		tx, s := c.openSaga(t, shape{}, c.shards...)
		change(&s)
		_, err := c.coordinator(t).CommitSaga(t.Context(), s)
		var bad *saga.InvalidError
		if !errors.As(err, &bad) {
			t.Errorf("%s: %v", name, err)
		}
		tx.release(t)
		mustBeGone(t, tx)
	}
	for _, id := range []string{"", "x.s1", "no", strings.Repeat("a", 32), strings.Repeat("a", 32) + "."} {
		var bad *saga.InvalidError
		if _, err := c.coordinator(t).Status(t.Context(), id); !errors.As(err, &bad) {
			t.Errorf("status of %q: %v", id, err)
		}
	}
}

// A repeat with the same key does nothing again, however the first attempt ended.
func (c *cluster) repeatWithTheSameKey(t *testing.T) {
	commit := func(what shape, key string, shards ...ring.ShardID) (*transaction, string, error) {
		tx, s := c.openSaga(t, what, shards...)
		s.Key = key
		id, err := c.coordinator(t).CommitSaga(t.Context(), s)
		tx.release(t)
		return tx, id, err
	}
	for _, shards := range [][]ring.ShardID{c.shards, c.shards[:1]} {
		key := fmt.Sprint("transfer ", len(shards))
		first, id, err := commit(shape{refused: true}, key, shards...)
		if err == nil || first.done(t) != 0 {
			t.Fatalf("refused attempt: %v", err)
		}
		first, id, err = commit(shape{}, key, shards...)
		if err != nil || first.done(t) != len(shards) {
			t.Fatalf("an attempt after one that was undone: %v", err)
		}
		second, again, err := commit(shape{}, key, shards...)
		if err != nil || again != id || second.done(t) != 0 {
			t.Errorf("repeat: %v, id %s after %s, on %d shards", err, again, id, second.done(t))
		}
		if other, _, err := commit(shape{}, key+"'", shards...); err != nil || other.done(t) != len(shards) {
			t.Errorf("another key: %v", err)
		}
	}
}

// Nothing about a saga is in the text that other sessions can see, and its messages are of no use to who has them.
func (c *cluster) proofsAreNotSeenByOtherSessions(t *testing.T) {
	tx, s := c.openSaga(t, shape{}, c.shards...)
	seen := ""
	_, err := c.coordinator(t, hook(func(p saga.Point) {
		if p.Message() == "mark" && p.When() == "before" {
			seen = pgtest.One[string](t, c.servers[0], "SELECT coalesce(string_agg(query, ' '), '') FROM pg_stat_activity WHERE usename = 'client' AND query <> ''")
		}
	})).CommitSaga(t.Context(), s)
	tx.release(t)
	if err != nil || seen == "" || strings.Contains(seen, "DELETE") || strings.Contains(seen, ".s1") {
		t.Errorf("%v; seen %q", err, seen)
	}
}

// crashSaga runs CommitSaga up to its n-th point, where the proxy ends for good; false if there are fewer points.
// Points before a message count if befores.
func (c *cluster) crashSaga(t *testing.T, tx *transaction, s saga.Saga, n int, befores bool) (at saga.Point, crashed bool) {
	t.Helper()
	seen := 0
	crashed = c.stopAt(t, tx, s, func(p saga.Point) bool {
		if !befores && p.When() == string(saga.Before) {
			return false
		}
		at = p
		seen++
		return seen > n
	})
	return at, crashed
}

// stopAt runs CommitSaga up to a point and ends it there. Without a transaction the connections stay open.
func (c *cluster) stopAt(t *testing.T, tx *transaction, s saga.Saga, at func(saga.Point) bool) (stopped bool) {
	t.Helper()
	coordinator := c.coordinator(t, impatient, hook(func(p saga.Point) {
		if at(p) {
			stopped = true
			runtime.Goexit()
		}
	}))
	var group sync.WaitGroup
	group.Go(func() { _, _ = coordinator.CommitSaga(t.Context(), s) })
	group.Wait()
	if tx != nil {
		tx.drop()
		c.awaitQuiet(t)
	}
	return stopped
}

// mark is in the record of the transaction's saga, and in no other's.
func (tx *transaction) mark() string { return fmt.Sprintf("/* %d */", tx.key) }

// In one pipeline, a statement that fails keeps COMMIT from running; and COMMIT of a failed transaction says ROLLBACK.
func TestPipelinedRowAndCommit(t *testing.T) {
	c := newBank(t, pgtest.Start(t, 1)...)
	c.servers[0].Exec(t, "INSERT INTO pgring.barrier (saga_id, step, op, kind) VALUES ('taken', 0, 'a', 'fence'); GRANT USAGE ON SCHEMA pgring TO client; GRANT INSERT ON pgring.barrier TO client")
	tx := c.open(t, kinds()[0], "s1")
	frames := func(sql ...string) []byte {
		var b []byte
		for _, text := range sql {
			b = pgwire.AppendExecute(pgwire.AppendBind(pgwire.AppendParse(b, "", text, nil), "", ""), "", 0)
		}
		return pgwire.AppendEmpty(b, pgwire.Sync)
	}
	insert := "INSERT INTO pgring.barrier (saga_id, step, op, kind) VALUES ('taken', 0, 'a', 'action')"
	_, err := saga.Exchange(tx.conns[0], frames(insert, "COMMIT"))
	var refused *pgwire.Error
	if !errors.As(err, &refused) || refused.Code != "23505" || tx.conns[0].Status() != pgwire.TxFailed {
		t.Errorf("error %v, status %c; want 23505 and a failed transaction that is still open", err, tx.conns[0].Status())
	}
	if tag, err := saga.Exchange(tx.conns[0], frames("COMMIT")); err != nil || tag != "ROLLBACK" {
		t.Errorf("COMMIT of it: %q, %v; want ROLLBACK", tag, err)
	}
	tx.release(t)
	mustBeGone(t, tx)
}
