package ids

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"
)

func TestLayout(t *testing.T) {
	id := Compose(1, 513, 7)
	if want := int64(1)<<22 | 513<<12 | 7; id != want {
		t.Fatalf("Compose(1, 513, 7) = %d, want %d", id, want)
	}
	parts := Split(id)
	if parts.Worker != 513 || parts.Sequence != 7 || !parts.Time.Equal(time.Date(2024, 1, 1, 0, 0, 0, 1e6, time.UTC)) {
		t.Errorf("Split(%d) = %+v", id, parts)
	}
	last := Compose(maxMillis, 1<<WorkerBits-1, maxSequence)
	if last != 1<<63-1 {
		t.Errorf("the last id is %d, want the largest bigint", last)
	}
}

// table is pgring.workers in memory: what the SQL in lease.go does, for many more interleavings than a server can be put through.
type table struct {
	holder [3]int
	mark   [3]int64
}

func (w *table) claim(who int, now, limit int64) (worker int, floor int64, ok bool) {
	worker = -1
	for i, mark := range w.mark {
		if mark < now && (worker < 0 || mark < w.mark[worker]) {
			worker = i
		}
	}
	if worker < 0 {
		return 0, 0, false
	}
	floor = w.mark[worker]
	w.holder[worker], w.mark[worker] = who, limit
	return worker, floor, true
}

func (w *table) extend(worker, who int, limit int64) (int64, bool) {
	if w.holder[worker] != who {
		return 0, false
	}
	w.mark[worker] = max(w.mark[worker], limit)
	return w.mark[worker], true
}

// proxy is one process of the model, with a clock of its own.
type proxy struct {
	id    int
	clock int64
	counter
}

// renew is Renew against the table of the model.
func (p *proxy) renew(w *table, reserve int64) {
	if p.limit != 0 && p.clock >= p.last-maxStepBack {
		if limit, ok := w.extend(p.worker, p.id, p.clock+reserve); ok {
			p.limit = max(p.limit, limit)
			return
		}
	}
	if worker, floor, ok := w.claim(p.id, p.clock, p.clock+reserve); ok {
		p.counter = counter{worker: worker, last: floor, sequence: maxSequence, limit: p.clock + reserve}
	}
}

func TestIDsAreUniqueAcrossProxiesRestartsAndClockSteps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &table{}
		seen := map[int64]bool{}
		proxies := make([]*proxy, 4) // one more than there are workers
		processes := 0
		start := func(i int, clock int64) {
			processes++
			proxies[i] = &proxy{id: processes, clock: clock}
		}
		for i := range proxies {
			start(i, 1_000_000+rapid.Int64Range(-5000, 5000).Draw(t, "skew"))
		}
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			i := rapid.IntRange(0, len(proxies)-1).Draw(t, "proxy")
			p := proxies[i]
			switch rapid.SampledFrom([]string{"next", "next", "next", "burst", "tick", "tick", "leap", "back", "crash", "renew", "renew"}).Draw(t, "what") {
			case "next":
				p.make(t, seen, 1)
			case "burst":
				p.make(t, seen, 2*maxSequence)
			case "tick":
				p.clock += rapid.Int64Range(0, 3).Draw(t, "ms")
			case "leap":
				p.clock += rapid.Int64Range(0, 5000).Draw(t, "ms")
			case "back":
				p.clock -= rapid.Int64Range(0, 5000).Draw(t, "ms")
			case "crash":
				start(i, p.clock)
			case "renew":
				p.renew(w, rapid.Int64Range(1, 3000).Draw(t, "reserve"))
			}
		}
	})
}

// make asks for n ids and checks what comes.
func (p *proxy) make(t *rapid.T, seen map[int64]bool, n int) {
	for range n {
		before := p.counter
		id, ok, err := p.next(p.clock)
		var stepped *ClockError
		switch {
		case errors.Is(err, ErrNoWorker):
			return
		case errors.As(err, &stepped):
			if p.clock >= p.last-maxStepBack {
				t.Fatalf("refused with the clock %d ms behind", p.last-p.clock)
			}
			return
		case err != nil:
			t.Fatal(err)
		case !ok:
			if p.last-p.clock < maxLead {
				t.Fatalf("told to wait with a lead of %d ms", p.last-p.clock)
			}
			return
		}
		if seen[id] {
			t.Fatalf("%d (%+v) was made twice", id, Split(id))
		}
		seen[id] = true
		if id <= Compose(before.last, before.worker, before.sequence) {
			t.Fatalf("%d is not above the last id of its worker", id)
		}
		if p.last > p.limit {
			t.Fatalf("%d lies beyond the reserved time", id)
		}
	}
}

func TestSmallStepBackIsRiddenOut(t *testing.T) {
	c := counter{worker: 1, limit: 1e9}
	first, _, _ := c.next(5000)
	second, ok, err := c.next(5000 - maxStepBack)
	if !ok || err != nil || second <= first {
		t.Fatalf("after a step of one second: id %d after %d, ok %t, error %v", second, first, ok, err)
	}
	var stepped *ClockError
	if _, _, err = c.next(5000 - maxStepBack - 1); !errors.As(err, &stepped) || stepped.Behind != 1001*time.Millisecond {
		t.Fatalf("after a larger step: error %v, want a ClockError", err)
	}
	if third, ok, err := c.next(5001); !ok || err != nil || third <= second {
		t.Fatalf("once the clock is back: id %d after %d, error %v", third, second, err)
	}
}

func TestUsedUpMillisecondsMakeTheCallerWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ahead := Epoch().Add(time.Hour).Sub(time.Now()) // a bubble begins in the year 2000
		g, err := New(Config{Control: noControl, Now: func() time.Time { return time.Now().Add(ahead) }})
		if err != nil {
			t.Fatal(err)
		}
		g.hold(3, 0, maxMillis)
		began := time.Now()
		last := int64(0)
		for range (maxLead + 3) << SequenceBits {
			id, err := g.Next(t.Context())
			if err != nil || id <= last {
				t.Fatalf("id %d after %d, error %v", id, last, err)
			}
			last = id
		}
		if waited := time.Since(began); waited <= 0 || waited > 10*time.Millisecond {
			t.Errorf("waited %s for %d ms worth of ids above the lead", waited, 3)
		}
	})
}

func TestWaitingEndsWithTheContext(t *testing.T) {
	now := Epoch().Add(time.Hour)
	g, err := New(Config{Control: noControl, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	g.hold(3, 0, maxMillis)
	g.last, g.sequence = sinceEpoch(now)+maxLead, maxSequence
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := g.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Next with an ended context: %v", err)
	}
}

func noControl(context.Context) (*pgx.Conn, error) { return nil, errors.New("no control database") }

func TestUUID7CountsUpAndTellsItsVersion(t *testing.T) {
	last := ""
	for range 10_000 {
		id, err := UUID7()
		if err != nil {
			t.Fatal(err)
		}
		if s := id.String(); s <= last || id.Version() != 7 || id.Variant().String() != "RFC4122" {
			t.Fatalf("%s (version %d) after %s", s, id.Version(), last)
		}
		last = id.String()
	}
}

func BenchmarkNext(b *testing.B) {
	g, err := New(Config{Control: noControl})
	if err != nil {
		b.Fatal(err)
	}
	g.hold(1, 0, maxMillis)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := g.Next(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
