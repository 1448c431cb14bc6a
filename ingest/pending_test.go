package ingest_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/pgring/pgring/ingest"
)

// submit begins to queue a record, and waits until it is told that there is an outcome.
func (r *rig) submit(record *ingest.Record) (ingest.Mark, error) {
	r.t.Helper()
	told := make(chan bool, 2)
	p, err := r.queues.Of(events).Submit(record, func() { told <- true })
	if err != nil {
		return ingest.Mark{}, err
	}
	select {
	case <-told:
	case <-time.After(time.Minute):
		r.t.Fatal("nothing is told")
	}
	if !p.Done() {
		r.t.Error("told before there is an outcome")
	}
	return p.Outcome()
}

func TestSubmitDoesWhatAppendDoesOrSaysThatItWouldWait(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1, "")
	back := r.away()
	stop := r.open(ingest.Rule{MaxSize: 32 << 20, MaxLag: time.Hour})
	body := strings.Repeat("x", 900<<10)
	accepted := 0
	for {
		mark, err := r.submit(event(int64(accepted), 1, body))
		if errors.Is(err, ingest.ErrMustWait) { // for room in the log
			break
		}
		must(t, err)
		if accepted++; mark.Index != uint64(accepted) {
			t.Fatalf("record %d has mark %+v", accepted, mark)
		}
	}
	if _, err := r.submit(event(1, 2, body+body)); !errors.Is(err, ingest.ErrTooLarge) || accepted < 20 {
		t.Errorf("after %d, a record of 1.8 MB: %v", accepted, err)
	}
	if got := r.queues.Counts()[0].Accepted; got != int64(accepted) {
		t.Errorf("%d are counted, %d were accepted", got, accepted)
	}
	back()
	r.wait()
	r.want("SELECT count(*) FROM events", accepted)
	stop()
	if _, err := r.submit(event(1, 3, "")); !errors.As(err, new(*ingest.RefusedError)) {
		t.Errorf("a closed queue said %v", err)
	}
	// The oldest record is older than it may be.
	r.away()
	r.open(ingest.Rule{MaxSize: 64 << 20, MaxLag: time.Nanosecond})
	must(t, func() error { _, err := r.submit(event(1, 4, "")); return err }())
	for deadline := time.Now().Add(time.Minute); ; {
		if _, err := r.submit(event(1, 5, "")); errors.Is(err, ingest.ErrMustWait) || time.Now().After(deadline) {
			if err == nil {
				t.Error("a queue that is behind takes more")
			}
			return
		}
	}
}
