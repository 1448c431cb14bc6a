package ingest

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgring/pgring/ring"
)

// TestAgesBearAClockThatWasSet: a record tells what the clock said when it was accepted, and that may have been another clock.
func TestAgesBearAClockThatWasSet(t *testing.T) {
	for accepted, age := range map[time.Duration]time.Duration{time.Hour: 0, 0: 0, -time.Minute: time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			q := &Queue{}
			l := &lane{queue: q, heard: true}
			q.lanes = map[ring.ShardID]*lane{"s1": l}
			l.begin(time.UnixMicro(time.Now().Add(accepted).UnixMicro()))
			time.Sleep(10 * time.Second)
			if got := q.lag(); got != age+10*time.Second {
				t.Errorf("a record of %s from then is %s old, want %s", accepted, got, age+10*time.Second)
			}
		})
	}
}
