package ingest_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/ingest"
	"github.com/pgring/pgring/internal/pgtest"
	"github.com/pgring/pgring/ring"
)

const logFolder = "public.events.log"

// away makes the shards unreachable for lanes until the returned function is called.
func (r *rig) away() (back func()) {
	var gone atomic.Bool
	gone.Store(true)
	login := r.login
	r.login = func(ctx context.Context, shard ring.ShardID, user string) (*pgx.Conn, error) {
		if gone.Load() {
			return nil, errors.New("the shard is away")
		}
		return login(ctx, shard, user)
	}
	return func() { gone.Store(false) }
}

// segment is the only file of the log.
func segment(t *testing.T, dir string) string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, logFolder, "*.wal"))
	if err != nil || len(all) != 1 {
		t.Fatalf("files %v, %v", all, err)
	}
	return all[0]
}

// crashed copies the log as a crash at this moment would leave it, and changes the copy.
func crashed(t *testing.T, dir string, change func(data []byte)) (copied string) {
	t.Helper()
	copied = t.TempDir()
	from := segment(t, dir)
	data, err := os.ReadFile(from)
	must(t, err)
	change(data)
	must(t, os.Mkdir(filepath.Join(copied, logFolder), 0o700))
	must(t, os.WriteFile(filepath.Join(copied, logFolder, filepath.Base(from)), data, 0o600))
	return copied
}

// TestALogThatIsNotThereYetIsTakenWhenItIs: what keeps it from being opened may be over at any time.
func TestALogThatIsNotThereYetIsTakenWhenItIs(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1, "")
	back := r.away()
	stop := r.open(rule)
	r.append(event(1, 1, "before"))
	stop()
	back()
	folder := filepath.Join(r.dir, logFolder)
	must(t, os.Rename(folder, folder+".kept"))
	must(t, os.WriteFile(folder, nil, 0o600)) // in its place
	r.open(rule)
	q := r.queues.Of(events)
	if _, err := q.Append(t.Context(), event(1, 2, "refused")); !errors.As(err, new(*ingest.RefusedError)) {
		t.Errorf("without a log: %v", err)
	}
	must(t, os.Remove(folder))
	must(t, os.Rename(folder+".kept", folder))
	for until := time.Now().Add(time.Minute); ; {
		_, err := q.Append(t.Context(), event(1, 3, "after"))
		if err == nil {
			break
		}
		if time.Now().After(until) {
			t.Fatal(err)
		}
	}
	r.wait()
	r.want("SELECT count(*) FROM events WHERE body IN ('before', 'after')", 2)
	if n := r.told.count("cannot be used"); n != 1 {
		t.Errorf("told %d times", n)
	}
}

func TestWithoutAFolderNothingIsAccepted(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1, "")
	r.dir = ""
	r.open(rule)
	if _, err := r.queues.Of(events).Append(t.Context(), event(1, 1, "")); !errors.As(err, new(*ingest.RefusedError)) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(logFolder); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a log in the working directory: %v", err)
	}
}

func TestATornTailIsCutAndADamagedLogIsLeftAlone(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1, "")
	back := r.away()
	stop := r.open(rule)
	r.append(event(1, 1, "first"), event(1, 2, "second"), event(1, 3, "third"))
	torn := crashed(t, r.dir, func(data []byte) {
		end := len(bytes.TrimRight(data, "\x00"))
		clear(data[end-20:])
	})
	damaged := crashed(t, r.dir, func(data []byte) { data[60] ^= 1 })
	stop()
	back()
	// The damage is told with file and offset, nothing is accepted, and the file stays as it is.
	r.dir = damaged
	before, err := os.ReadFile(segment(t, damaged))
	must(t, err)
	stop = r.open(rule)
	_, err = r.queues.Of(events).Append(t.Context(), event(1, 4, "fourth"))
	if !errors.As(err, new(*ingest.RefusedError)) {
		t.Errorf("a damaged log said %v", err)
	}
	lane := r.queues.Lanes()[0]
	if lane.Open || !strings.Contains(lane.Problem, segment(t, damaged)+" at offset 24: ") {
		t.Errorf("the lane: %+v", lane)
	}
	stop()
	if after, err := os.ReadFile(segment(t, damaged)); err != nil || !bytes.Equal(before, after) {
		t.Error("the damaged file was changed")
	}
	r.want("SELECT count(*) FROM events", 0)
	// The write that was cut short is gone; what stands before it is applied, and what comes next.
	r.dir = torn
	r.open(rule)
	r.append(event(1, 5, "fifth"))
	r.wait()
	r.want("SELECT count(*) FROM events", 3)
	r.want("SELECT count(*) FROM events WHERE n = 3", 0)
}

func TestAFullLogPushesBackAndLosesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1, "")
	back := r.away()
	r.open(ingest.Rule{MaxSize: 32 << 20})
	body := strings.Repeat("x", 900<<10)
	accepted := 0
	for {
		_, err := r.queues.Of(events).Append(t.Context(), event(int64(accepted), 1, body))
		var behind *ingest.BehindError
		if errors.As(err, &behind) {
			if behind.Size > behind.MaxSize || behind.MaxSize != 32<<20 || accepted < 20 {
				t.Errorf("after %d: %+v", accepted, behind)
			}
			break
		}
		must(t, err)
		accepted++
	}
	if _, err := r.queues.Of(events).Append(t.Context(), event(1, 2, body+body)); !errors.Is(err, ingest.ErrTooLarge) {
		t.Errorf("a record of 1.8 MB: %v", err)
	}
	back()
	r.wait()
	r.want("SELECT count(*) FROM events", accepted)
	waitFor(t, "room in the log", func() bool {
		_, err := r.queues.Of(events).Append(t.Context(), event(-1, 1, body))
		return err == nil
	})
}

// TestWhatWasDoneLongAgoIsNotLate: a log that is opened while its shard is away may hold nothing but what is done.
func TestWhatWasDoneLongAgoIsNotLate(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1, "")
	limited := ingest.Rule{MaxSize: 64 << 20, MaxLag: 3 * time.Second}
	stop := r.open(limited)
	r.append(event(1, 1, "old"))
	accepted := time.Now()
	r.wait()
	stop()
	waitFor(t, "what is done to be older than may be what is not", func() bool { return time.Since(accepted) > limited.MaxLag })
	back := r.away()
	r.open(limited)
	waitFor(t, "the lane to try what is done", func() bool { lanes := r.queues.Lanes(); return len(lanes) == 1 && lanes[0].Problem != "" })
	r.append(event(1, 2, "new"))
	back()
	r.wait()
	r.want("SELECT count(*) FROM events", 2)
}

func TestTheOrderOfEachKeyIsKept(t *testing.T) {
	t.Parallel()
	r := newRig(t, 2, "ALTER TABLE events ADD COLUMN place bigserial; ALTER TABLE events ALTER COLUMN n SET NOT NULL")
	r.open(rule)
	for n := range 300 {
		for user := range int64(3) {
			number := n
			if n%50 == 49 {
				number = -n // is refused
			}
			r.append(event(user, number, "x"))
		}
	}
	r.wait()
	r.want("SELECT count(*) FROM events", 3*294)
	r.want("SELECT count(*) FROM (SELECT n, lag(n) OVER (PARTITION BY user_id ORDER BY place) AS before FROM events) o WHERE n < before", 0)
}

func TestShardsForgetWhatIsNeverReadAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1, "")
	stop := r.open(ingest.Rule{MaxSize: 32 << 20})
	body := strings.Repeat("x", 900<<10)
	for n := range 6 { // more than one file of the log
		r.append(event(int64(n), 1, body))
	}
	r.wait()
	known := func() int { return pgtest.OneIn[int](t, r.server, "s1", "SELECT count(*) FROM pgring.applied") }
	waitFor(t, "rows of the first file to be forgotten", func() bool { return known() < 6 })
	// What is forgotten is refused, were it to come once more.
	floor := pgtest.OneIn[int](t, r.server, "s1", "SELECT max(floor) FROM pgring.async_sources")
	if floor < 1 || floor+known() != 6 {
		t.Errorf("floor %d, %d rows", floor, known())
	}
	stop()
	// The sources of processes that have ended are forgotten with their last file.
	r.open(ingest.Rule{MaxSize: 32 << 20})
	for n := range 10 {
		r.append(event(int64(n), 2, body))
	}
	r.wait()
	waitFor(t, "the former source to be forgotten", func() bool {
		return pgtest.OneIn[int](t, r.server, "s1", "SELECT count(*) FROM pgring.async_sources") == 1
	})
	r.want("SELECT count(*) FROM events", 16)
}

func TestARecordComesBackAsItWas(t *testing.T) {
	r := newRig(t, 1, "ALTER TABLE events ADD COLUMN zone text; ALTER TABLE events ALTER COLUMN zone SET DEFAULT current_setting('TimeZone')")
	r.open(rule)
	record := event(1, 1, "")
	record.SQL, record.Types = "INSERT INTO events (user_id, n, body) VALUES ($1, $2, $3)", []uint32{20, 23, 0}
	record.Formats, record.Values[0], record.Values[2] = []int16{1, 0, 0}, []byte{0, 0, 0, 0, 0, 0, 0, 1}, nil
	empty := event(1, 2, "")
	r.append(record, empty)
	r.wait()
	r.want("SELECT count(*) FROM events WHERE user_id = 1 AND n = 1 AND body IS NULL", 1)
	r.want("SELECT count(*) FROM events WHERE user_id = 1 AND n = 2 AND body = ''", 1)
}
