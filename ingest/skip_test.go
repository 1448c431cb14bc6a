package ingest_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/pgring/pgring/ingest"
)

// stuck waits until the only lane waits for a record, and returns its number.
func (r *rig) stuck() uint64 {
	r.t.Helper()
	for until := time.Now().Add(time.Minute); time.Now().Before(until); {
		for _, l := range r.queues.Lanes() {
			if l.Stuck != 0 {
				return l.Stuck
			}
		}
	}
	r.t.Fatalf("no lane is stuck: %+v", r.queues.Lanes())
	return 0
}

func TestALaneThatIsStuckGoesOnBehindTheRecord(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1, `
CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no luck with %', NEW.n USING ERRCODE = NEW.body; END $$;
CREATE TRIGGER fail BEFORE INSERT ON events FOR EACH ROW WHEN (NEW.body <> '') EXECUTE FUNCTION fail();
CREATE CONSTRAINT TRIGGER late AFTER INSERT ON events DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.n = 77) EXECUTE FUNCTION fail();`)
	stop := r.open(rule)
	q := r.queues.Of(events)
	total := 0
	skip := func(code string, n int) {
		t.Helper()
		r.append(event(1, n-1, ""), event(1, n, code), event(2, n, ""), event(1, n+1, ""))
		index := r.stuck()
		if err := q.SkipRecord(t.Context(), index+1); !errors.Is(err, ingest.ErrNotStuck) {
			t.Errorf("a record that is not stuck: %v", err)
		}
		must(t, q.SkipRecord(t.Context(), index))
		r.wait()
		total++
		r.want(fmt.Sprintf("SELECT count(*) FROM pgring.dead_letter WHERE sqlstate = '%s' AND message = 'no luck with %d' AND shard_key = '1'", code, n), 1)
		r.want("SELECT count(*) FROM pgring.dead_letter", total)
		r.want("SELECT count(*) FROM events", 3*total)
	}
	skip("XX000", 10)
	skip("40001", 20)
	skip("55P03", 30)
	for i, code := range []string{"08006", "25006", "28000", "3D000", "53100", "57014", "58030"} { // which a function may raise, too
		skip(code, 40+10*i)
	}
	// A lane that is away is not stuck with a record; nor is what is tried again and succeeds.
	for _, l := range r.queues.Lanes() {
		if l.Stuck != 0 || l.Problem != "" {
			t.Errorf("nothing is to be done, and a lane waits: %+v", l)
		}
	}
	// The letter is tried again when the reason is gone, or is one still.
	letters, err := r.queues.Letters(t.Context())
	must(t, err)
	must(t, r.queues.RetryLetter(t.Context(), letters[0].ID))
	must(t, q.SkipRecord(t.Context(), r.stuck()))
	r.wait()
	r.want("SELECT count(*) FROM pgring.dead_letter WHERE attempts = 2", 1)
	r.server.ExecIn(t, "s1", "DROP TRIGGER fail ON events")
	n, err := r.queues.RetryLetters(t.Context(), events)
	must(t, err)
	r.wait()
	r.want("SELECT count(*) FROM pgring.dead_letter", 0)
	r.want("SELECT count(*) FROM events", 3*total+n)
	// One that fails at COMMIT, where the shard does not say which it is. A restart forgets nothing of it.
	r.server.ExecIn(t, "s1", "CREATE OR REPLACE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'too late' USING ERRCODE = '40001'; END $$")
	r.append(event(3, 76, ""), event(3, 77, ""), event(3, 78, ""))
	r.stuck()
	stop()
	r.open(rule)
	q = r.queues.Of(events)
	must(t, q.SkipRecord(t.Context(), r.stuck()))
	r.wait()
	r.want("SELECT count(*) FROM pgring.dead_letter WHERE message = 'too late'", 1)
	r.want("SELECT count(*) FROM events WHERE user_id = 3", 2)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r.append(event(4, 77, ""))
	if err := q.SkipRecord(ctx, r.stuck()); err != nil && !errors.Is(err, ingest.ErrStuckStill) {
		t.Errorf("skipping without patience: %v", err)
	}
	r.wait() // it is skipped all the same
	r.want("SELECT count(*) FROM events WHERE user_id = 4", 0)
}

func TestAParameterThatItsTypeCannotReadIsADeadLetter(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1, "")
	r.open(rule)
	bad := event(1, 2, "")
	bad.Values[1], bad.Formats = []byte{0}, []int16{0, 1, 0}
	r.append(event(1, 1, ""), bad, event(1, 3, ""))
	r.wait()
	r.want("SELECT count(*) FROM events", 2)
	r.want("SELECT count(*) FROM pgring.dead_letter WHERE sqlstate = '08P01'", 1)
}

func TestRecordsThatWereAppliedBeforeASchemaChangeHoldNothingUp(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1, "ALTER TABLE events ADD COLUMN old text;")
	stop := r.open(rule)
	old := func(n int) *ingest.Record {
		record := event(1, n, "x")
		record.SQL = "INSERT INTO events (user_id, n, old) VALUES ($1, $2, $3)"
		return record
	}
	r.append(old(1), event(1, 2, "x"), old(3))
	r.wait()
	stop()
	// The log is read again from its beginning, and what was in it cannot even be parsed.
	r.server.ExecIn(t, "s1", "ALTER TABLE events DROP COLUMN old")
	r.open(rule)
	r.append(event(1, 4, "x"), old(5), event(1, 6, "x"))
	r.wait()
	r.want("SELECT count(*) FROM events", 5)
	r.want("SELECT count(*) FROM pgring.dead_letter WHERE sqlstate = '42703'", 1)
	r.want("SELECT count(*) FROM pgring.dead_letter", 1)
}
