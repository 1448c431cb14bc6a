package limits

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

func TestNeverMoreThanTheRateAndTheBurst(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rate := Rate{PerSecond: rapid.Float64Range(0.5, 500).Draw(rt, "rate"), Burst: rapid.IntRange(1, 50).Draw(rt, "burst")}
		wait := time.Duration(rapid.IntRange(0, 2000).Draw(rt, "wait ms")) * time.Millisecond
		pauses := rapid.SliceOfN(rapid.IntRange(0, 200), 1, 200).Draw(rt, "pauses ms")
		var fault string
		synctest.Test(t, func(t *testing.T) {
			b := NewBuckets(rate, wait)
			began := time.Now()
			var admitted []time.Duration // when, since began
			for _, ms := range pauses {
				time.Sleep(time.Duration(ms) * time.Millisecond)
				err := b.Take(t.Context(), 7)
				if err == nil {
					admitted = append(admitted, time.Since(began))
					continue
				}
				var full *RateError
				if !errors.As(err, &full) || full.Retry <= wait {
					fault = fmt.Sprintf("refused with %v, although the wait of %s would do", err, wait)
					return
				}
			}
			for i := range admitted {
				for j := i; j < len(admitted); j++ {
					most := rate.PerSecond*(admitted[j]-admitted[i]).Seconds() + float64(rate.Burst) + 1e-3
					if n := j - i + 1; float64(n) > most {
						fault = fmt.Sprintf("%d let through within %s, at most %v may be", n, admitted[j]-admitted[i], most)
						return
					}
				}
			}
		})
		if fault != "" {
			rt.Fatal(fault)
		}
	})
}

func TestWaitingCallersGetTheirTurnsInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBuckets(Rate{PerSecond: 10, Burst: 1}, time.Second)
		began := time.Now()
		var took []time.Duration
		var mu sync.Mutex
		var group sync.WaitGroup
		for range 11 {
			group.Go(func() {
				if err := b.Take(t.Context(), 1); err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				took = append(took, time.Since(began))
			})
		}
		group.Wait()
		for i, at := range took {
			if want := time.Duration(i) * 100 * time.Millisecond; at != want {
				t.Errorf("turn %d came after %s, want %s", i, at, want)
			}
		}
	})
}

func TestOneKeyDoesNotUseUpAnothersRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBuckets(Rate{PerSecond: 1, Burst: 1}, 0)
		for key := range uint64(100) {
			if err := b.Take(t.Context(), key); err != nil {
				t.Fatalf("first use of key %d: %v", key, err)
			}
			if err := b.Take(t.Context(), key); err == nil {
				t.Fatalf("second use of key %d was let through", key)
			}
		}
	})
}

func TestWaitThatIsCancelledGivesTheTokenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBuckets(Rate{PerSecond: 1, Burst: 1}, time.Minute)
		if err := b.Take(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if err := b.Take(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("wait with an ended context: %v", err)
		}
		began := time.Now()
		if err := b.Take(t.Context(), 1); err != nil || time.Since(began) != 900*time.Millisecond {
			t.Errorf("the next one waited %s (%v), want 900ms", time.Since(began), err)
		}
	})
}

func TestManyKeysNeedBoundedMemoryAndGetNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBuckets(Rate{PerSecond: 0.001, Burst: 1}, 0)
		admitted := 0
		for key := range uint64(2 * maxBuckets) {
			if b.Take(t.Context(), key) == nil {
				admitted++
			}
		}
		if admitted != maxBuckets+1 {
			t.Errorf("%d of %d new keys were let through, want %d and one of the shared bucket", admitted, 2*maxBuckets, maxBuckets)
		}
		time.Sleep(2000 * time.Second) // all are full again, and may be forgotten
		if err := b.Take(t.Context(), 3*maxBuckets); err != nil {
			t.Errorf("a new key after the others have rested: %v", err)
		}
		buckets := 0
		for i := range b.stripes {
			buckets += len(b.stripes[i].byKey)
		}
		if buckets > maxBuckets {
			t.Errorf("%d buckets", buckets)
		}
	})
}

func TestFastPathsDoNotAllocate(t *testing.T) {
	ctx := context.Background()
	buckets := NewBuckets(Rate{PerSecond: 1e9, Burst: 1e9}, 0)
	line := NewInFlight(InFlightConfig{Max: 10, Shed: Shed{Over: time.Second}})
	hot := NewHotKeys(100, 0)
	keys := NewPerKey(PerKeyConfig{Running: 5})
	id := KeyID{Table: "orders", Hash: 42}
	hot.Note(id)
	for name, f := range map[string]func(){
		"Buckets":  func() { _ = buckets.Take(ctx, 42) },
		"InFlight": func() { _ = line.Enter(ctx); line.Leave(time.Millisecond, false) },
		"HotKeys":  func() { hot.Note(id) },
		"PerKey":   func() { _ = keys.Enter(ctx, id); keys.Leave(id) },
	} {
		if n := testing.AllocsPerRun(1000, f); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}

func BenchmarkFastPaths(b *testing.B) {
	ctx := context.Background()
	buckets := NewBuckets(Rate{PerSecond: 1e12, Burst: 1e9}, 0)
	line := NewInFlight(InFlightConfig{Max: 10, Shed: Shed{Over: time.Second}})
	hot := NewHotKeys(1000, 0)
	keys := NewPerKey(PerKeyConfig{Running: 5})
	for _, c := range []struct {
		name string
		f    func(i uint64)
	}{
		{"Buckets", func(i uint64) { _ = buckets.Take(ctx, i%1000) }},
		{"InFlight", func(uint64) { _ = line.Enter(ctx); line.Leave(time.Millisecond, false) }},
		{"HotKeys", func(i uint64) { hot.Note(KeyID{"orders", i % 5000}) }},
		{"PerKey", func(i uint64) { id := KeyID{"orders", i % 1000}; _ = keys.Enter(ctx, id); keys.Leave(id) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for i := uint64(0); b.Loop(); i++ {
				c.f(i)
			}
		})
	}
}
