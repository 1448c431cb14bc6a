package limits

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A limit shrinks by a tenth of it or one in each window, grows by one, stays between 1 and the most there may be, and does not shrink while
// the server is neither slow for long enough nor failing.
func TestALimitMovesSlowlyAndWithinItsBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shed := Shed{Over: 100 * time.Millisecond, For: time.Duration(rapid.IntRange(0, 5000).Draw(t, "for")) * time.Millisecond}
		most := rapid.IntRange(1, 200).Draw(t, "most")
		p, limit := newPace(shed), most
		now := time.Unix(1e9, 0)
		var slowSince time.Time // of the first sample of an unbroken run of windows with slow ones
		slow, failed := 0, 0
		for range rapid.IntRange(1, 400).Draw(t, "samples") {
			now = now.Add(time.Duration(rapid.IntRange(0, 300).Draw(t, "pause")) * time.Millisecond)
			s := sample{now: now, took: time.Duration(rapid.SampledFrom([]int{1, 1, 1, 99, 101, 5000}).Draw(t, "took")) * time.Millisecond,
				overloaded: rapid.IntRange(0, 9).Draw(t, "overloaded") == 0}
			if s.took > shed.Over {
				slow++
			}
			if s.overloaded {
				failed++
			}
			if slow > 0 && slowSince.IsZero() {
				slowSince = p.began
				if slowSince.IsZero() {
					slowSince = now
				}
			}
			before := limit
			limit = p.adjust(limit, most, s)
			if limit < 1 || limit > most || limit > before+1 || limit < min(before-1, before*9/10) {
				t.Fatalf("limit %d after %d, of %d", limit, before, most)
			}
			if limit < before && failed == 0 && (slow == 0 || now.Sub(slowSince) < shed.For) {
				t.Fatalf("limit %d after %d, with %d slow since %s and none that failed", limit, before, slow, now.Sub(slowSince))
			}
			if p.seen == 0 { // a window has ended
				if slow == 0 {
					slowSince = time.Time{}
				}
				slow, failed = 0, 0
			}
		}
	})
}
