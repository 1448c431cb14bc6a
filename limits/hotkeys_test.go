package limits

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

func TestHotKeysAreFoundAmongManyColdOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHotKeys(64, 10*time.Second)
		r := rand.New(rand.NewPCG(1, 2))
		hot := map[uint64]float64{1: 100, 2: 50, 3: 25} // uses a second
		for range 60 {
			for key, perSecond := range hot {
				for range int(perSecond) {
					if id := (KeyID{"orders", key}); h.Note(id) {
						h.Name(id, string(rune('a'+key-1)))
					}
				}
			}
			for range 300 {
				h.Note(KeyID{"orders", 1000 + r.Uint64N(1e6)})
			}
			time.Sleep(time.Second)
		}
		for i, k := range h.Top(3) {
			want := hot[uint64(i+1)]
			if k.Hash != uint64(i+1) || k.Name != string(rune('a'+i)) || k.PerSecond < 0.9*want || k.PerSecond-k.Error > 1.1*want {
				t.Errorf("place %d: %+v, want key %d at %v a second", i, k, i+1, want)
			}
		}
	})
}

func TestHotKeysCoolDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHotKeys(8, 10*time.Second)
		for range 10_000 {
			h.Note(KeyID{"orders", 1})
		}
		before := h.Top(1)[0].PerSecond
		time.Sleep(20 * time.Second)
		if after := h.Top(1)[0].PerSecond; after < 0.24*before || after > 0.26*before {
			t.Errorf("after two half-lives %v a second, began at %v", after, before)
		}
		time.Sleep(24 * time.Hour) // the scale is renewed
		h.Note(KeyID{"orders", 2})
		if top := h.Top(2); top[0].Hash != 2 || top[1].PerSecond > 1e-6 {
			t.Errorf("a day later: %+v", top)
		}
	})
}

// Space-Saving's promises, against exact counts: no count is too low, none is too high by more than its error, and a key that has more
// than its share is there.
func TestCountsAreBounded(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		capacity := rapid.IntRange(1, 10).Draw(rt, "capacity")
		uses := rapid.SliceOfN(rapid.Uint64Range(0, 20), 1, 300).Draw(rt, "uses")
		var fault string
		synctest.Test(t, func(*testing.T) {
			h := NewHotKeys(capacity, time.Hour)
			exact := map[uint64]float64{}
			for _, key := range uses {
				h.Note(KeyID{Hash: key})
				exact[key]++
			}
			found := map[uint64]bool{}
			for _, e := range h.entries {
				found[e.id.Hash] = true
				if n := exact[e.id.Hash]; e.weight < n-1e-6 || e.weight-e.error > n+1e-6 {
					fault = fmt.Sprintf("key %d: counted %v with error %v, is %v", e.id.Hash, e.weight, e.error, n)
				}
			}
			for key, n := range exact {
				if n > float64(len(uses))/float64(capacity) && !found[key] {
					fault = fmt.Sprintf("key %d has %v of %d uses and is not among %d", key, n, len(uses), capacity)
				}
			}
			for id, c := range h.index {
				if c.id != id || h.entries[c.at] != c {
					fault = "the index is wrong"
				}
				if up := (c.at - 1) / 2; c.at > 0 && h.entries[up].weight > c.weight {
					fault = "the heap is not in order"
				}
			}
		})
		if fault != "" {
			rt.Fatal(fault)
		}
	})
}
