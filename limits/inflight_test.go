package limits

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestOthersWaitInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewInFlight(InFlightConfig{Max: 2, Wait: time.Minute})
		var order []int
		var mu sync.Mutex
		var running, most atomic.Int64
		var group sync.WaitGroup
		for i := range 10 {
			group.Go(func() {
				if err := l.Enter(t.Context()); err != nil {
					t.Error(err)
				}
				most.Store(max(most.Load(), running.Add(1)))
				mu.Lock()
				order = append(order, i)
				mu.Unlock()
				time.Sleep(time.Second + time.Duration(i)*time.Millisecond)
				running.Add(-1)
				l.Leave(time.Second, false)
			})
			synctest.Wait() // they come one after the other
		}
		group.Wait()
		for i, who := range order {
			if i != who {
				t.Fatalf("order %v", order)
			}
		}
		if most.Load() != 2 {
			t.Errorf("%d ran at a time", most.Load())
		}
		if s := l.Stats(); s != (InFlightStats{Limit: 2, Waits: 8}) {
			t.Errorf("at the end: %+v", s)
		}
	})
}

func TestWaitsAndLinesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewInFlight(InFlightConfig{Max: 1, Queue: 1, Wait: time.Second})
		if err := l.Enter(t.Context()); err != nil {
			t.Fatal(err)
		}
		done := make(chan error)
		go func() { done <- l.Enter(t.Context()) }()
		synctest.Wait()
		var busy *BusyError
		if err := l.Enter(t.Context()); !errors.As(err, &busy) || *busy != (BusyError{Limit: 1, Waiting: 1}) {
			t.Errorf("with the line full: %v", err)
		}
		if err := <-done; !errors.As(err, &busy) || *busy != (BusyError{Limit: 1, Waited: time.Second}) {
			t.Errorf("after the wait: %v", err)
		}
		l.Leave(0, false)
		if err := l.Enter(t.Context()); err != nil {
			t.Errorf("with room again: %v", err)
		}
	})
}

func TestWhoHoldsLocksDoesNotWait(t *testing.T) {
	l := NewInFlight(InFlightConfig{Max: 1})
	if err := l.Enter(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.EnterNow()
	if s := l.Stats(); s.Running != 2 {
		t.Fatalf("%d run", s.Running)
	}
	l.Leave(0, false)
	if err := l.Enter(t.Context()); err == nil {
		t.Error("let in beside one that runs")
	}
	l.Leave(0, false)
	if err := l.Enter(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestWaitThatIsCancelledLosesNoPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewInFlight(InFlightConfig{Max: 1, Wait: time.Minute})
		for range 200 {
			if err := l.Enter(t.Context()); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error)
			go func() { done <- l.Enter(ctx) }()
			synctest.Wait()
			// Both at once: the waiter either got the place or it did not, but the place is not lost.
			go l.Leave(0, false)
			go cancel()
			if err := <-done; err == nil {
				l.Leave(0, false)
			}
			synctest.Wait()
			cancel()
			if s := l.Stats(); s.Running != 0 || s.Waiting != 0 {
				t.Fatalf("nobody is there, but %+v", s)
			}
		}
	})
}

func TestLimitFollowsTheLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewInFlight(InFlightConfig{Max: 40, Wait: time.Minute, Shed: Shed{Over: 100 * time.Millisecond, For: 3 * time.Second}})
		// 40 clients ask a server that answers in a time of its own.
		drive := func(seconds int, latency func(running int) time.Duration) {
			var group sync.WaitGroup
			end := time.Now().Add(time.Duration(seconds) * time.Second)
			for range 40 {
				group.Go(func() {
					for time.Now().Before(end) {
						if l.Enter(t.Context()) != nil {
							continue
						}
						took := latency(l.Stats().Running)
						time.Sleep(took)
						l.Leave(took, false)
					}
				})
			}
			group.Wait()
		}
		fine := func(int) time.Duration { return 20 * time.Millisecond }
		overloaded := func(running int) time.Duration { return time.Duration(running) * 10 * time.Millisecond }

		drive(10, fine)
		if s := l.Stats(); s.Limit != 40 {
			t.Fatalf("limit %d while all is well", s.Limit)
		}
		drive(2, overloaded)
		if s := l.Stats(); s.Limit != 40 {
			t.Fatalf("limit %d after a short slowness", s.Limit)
		}
		drive(60, overloaded)
		if s := l.Stats(); s.Limit < 7 || s.Limit > 12 {
			t.Fatalf("limit %d, and up to 10 at a time are fast enough", s.Limit)
		}
		drive(60, fine)
		if s := l.Stats(); s.Limit != 40 {
			t.Errorf("limit %d a minute after the load was over", s.Limit)
		}
	})
}

func TestLimitFollowsOverload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewInFlight(InFlightConfig{Max: 10, Shed: Shed{Over: time.Hour, For: time.Hour}})
		for range 100 {
			if l.Enter(t.Context()) != nil {
				t.Fatal("no room")
			}
			time.Sleep(100 * time.Millisecond)
			l.Leave(time.Millisecond, true)
		}
		if s := l.Stats(); s.Limit < 1 || s.Limit > 6 {
			t.Errorf("limit %d after ten seconds of refusals", s.Limit)
		}
	})
}

func TestHotKeyDoesNotSlowOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPerKey(PerKeyConfig{Running: 5, Queued: 20, Wait: 10 * time.Second})
		hot := KeyID{"orders", 1}
		var group sync.WaitGroup
		var refused atomic.Int64
		for range 30 {
			group.Go(func() {
				if err := p.Enter(t.Context(), hot); err != nil {
					refused.Add(1)
					return
				}
				time.Sleep(time.Second)
				p.Leave(hot)
			})
		}
		synctest.Wait()
		if refused.Load() != 5 {
			t.Errorf("%d were refused, want what is more than 5 running and 20 waiting", refused.Load())
		}
		began := time.Now()
		for hash := uint64(1 + stripes); hash < 1000; hash += stripes { // of the same stripe
			if err := p.Enter(t.Context(), KeyID{"orders", hash}); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.Enter(t.Context(), KeyID{"users", 1}); err != nil {
			t.Fatal(err)
		}
		if waited := time.Since(began); waited != 0 {
			t.Errorf("others waited %s", waited)
		}
		group.Wait()
		if waited := time.Since(began); waited != 5*time.Second {
			t.Errorf("25 at 5 at a time took %s, want 5s", waited)
		}
		if lines := p.stripes[1].byKey; lines[hot] != nil {
			t.Error("the line of a key that nobody uses is still there")
		}
	})
}
