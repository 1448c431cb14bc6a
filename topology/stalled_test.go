package topology

import (
	"testing"
	"time"
)

// What a process has missed that stood still and has not heard from the control database since is not known: nothing that it planned before
// is to be believed.
func TestWhoHasNotFoundOutWhatItMissedIsOutdated(t *testing.T) {
	behind := &Topology{started: time.Now().Add(-time.Minute)}
	behind.lease.Store(int64(time.Second))
	if !behind.Outdated(&Snapshot{Epoch: 1}, behind.Gaps()) {
		t.Error("a plan from before is believed")
	}
}
