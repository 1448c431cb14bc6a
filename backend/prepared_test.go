package backend

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestLRUForgetsWhatWasUsedLeastRecently compares with a list, most recently used first.
func TestLRUForgetsWhatWasUsedLeastRecently(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 5).Draw(t, "limit")
		l := newLRU(limit)
		var model []uint64
		drop := func(id uint64) bool {
			i := slices.Index(model, id)
			if i >= 0 {
				model = slices.Delete(model, i, i+1)
			}
			return i >= 0
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			id := rapid.Uint64Range(0, 7).Draw(t, "id")
			switch rapid.SampledFrom([]string{"use", "add", "add", "forget", "restore", "clear"}).Draw(t, "action") {
			case "use":
				want := drop(id)
				if want {
					model = slices.Insert(model, 0, id)
				}
				if got := l.use(id); got != want {
					t.Fatalf("use(%d) = %v", id, got)
				}
			case "add":
				known := drop(id)
				var wantID uint64
				full := !known && len(model) >= limit
				if full {
					wantID, model = model[len(model)-1], model[:len(model)-1]
				}
				model = slices.Insert(model, 0, id)
				if got, ok := l.add(id); ok != full || got != wantID {
					t.Fatalf("add(%d) evicts %d, %v, want %d, %v", id, got, ok, wantID, full)
				}
			case "forget":
				drop(id)
				l.forget(id)
			case "restore":
				if !slices.Contains(model, id) {
					model = append(model, id)
				}
				l.restore(id)
			case "clear":
				model = nil
				l.clear()
			}
			if len(l.at) != len(model) {
				t.Fatalf("holds %d statements, want %d", len(l.at), len(model))
			}
		}
	})
}

func TestStatementNames(t *testing.T) {
	if got := StatementName(7); got != "pgring_7" {
		t.Errorf("got %s", got)
	}
	b := make([]byte, 0, 64)
	if got := string(AppendStatementName(b, 1<<63)); got != "pgring_9223372036854775808" {
		t.Errorf("got %s", got)
	}
	if n := testing.AllocsPerRun(100, func() { b = AppendStatementName(b[:0], 123456) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkPrepared(b *testing.B) {
	c := &Conn{prepared: newLRU(500)}
	for id := range uint64(500) {
		c.AddPrepared(id)
	}
	b.ReportAllocs()
	id := uint64(0)
	for b.Loop() {
		id = (id + 7) % 500
		c.Prepared(id)
	}
}
