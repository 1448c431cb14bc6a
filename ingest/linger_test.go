package ingest_test

import (
	"testing"
	"time"
)

// A busy lane gathers records for its next transaction, but whoever waits for them does not wait for that.
func TestABusyLaneDoesNotLetThoseWaitWhoWantToSeeTheirWrites(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1, "")
	r.open(rule)
	holder := r.server.ConnectAs(t, "postgres", "s1")
	var fastest time.Duration
	for n := range 20 {
		_, err := holder.Exec(t.Context(), "BEGIN; LOCK TABLE events IN EXCLUSIVE MODE")
		must(t, err)
		for user := range int64(20) {
			r.append(event(user, n, ""))
		}
		_, err = holder.Exec(t.Context(), "COMMIT")
		must(t, err)
		r.wait()
		began := time.Now()
		r.append(event(1, 1000+n, ""))
		r.wait()
		if took := time.Since(began); fastest == 0 || took < fastest {
			fastest = took
		}
	}
	if fastest > 20*time.Millisecond {
		t.Errorf("a write behind many others was seen after %s at best", fastest)
	}
}
