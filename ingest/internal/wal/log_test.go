package wal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// small makes a new segment after a few records.
const small = 256

func open(t testing.TB, cfg Config) *Log {
	t.Helper()
	if cfg.disk == nil {
		cfg.disk = fastDisk{}
	}
	l, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() }) // again, where the test has
	return l
}

func record(i int) []byte { return []byte(strings.Repeat("x", i%9) + fmt.Sprintf("record %d", i)) }

func add(t testing.TB, l *Log, from, to int) {
	t.Helper()
	for i := from; i <= to; i++ {
		index, err := l.Append(record(i))
		if err != nil || index != uint64(i) {
			t.Fatalf("record %d got index %d, %v", i, index, err)
		}
	}
}

// all reads the log from its first record that is left.
func all(t testing.TB, l *Log, from uint64) (records []string) {
	t.Helper()
	r := l.Reader(from)
	for i := from; i <= l.Last(); i++ {
		b, index, err := r.Next(t.Context())
		if err != nil || index != i {
			t.Fatalf("record %d read as %d, %v", i, index, err)
		}
		records = append(records, string(b))
	}
	return records
}

// wantRecords fails unless the log has exactly the records 1 to n.
func wantRecords(t testing.TB, l *Log, n int) {
	t.Helper()
	got := all(t, l, 1)
	if len(got) != n {
		t.Fatalf("%d records, want %d", len(got), n)
	}
	for i, text := range got {
		if text != string(record(i+1)) {
			t.Fatalf("record %d is %q", i+1, text)
		}
	}
}

func segments(t testing.TB, dir string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*"+suffix))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(paths)
	return paths
}

func copyOf(t testing.TB, dir string) string {
	t.Helper()
	to := t.TempDir()
	for _, path := range segments(t, dir) {
		data, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(filepath.Join(to, filepath.Base(path)), data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return to
}

func TestRecordsAreThereAfterReopening(t *testing.T) {
	cfg := Config{Dir: t.TempDir(), SegmentSize: small, disk: realDisk{}}
	for round := range 5 {
		l := open(t, cfg)
		wantRecords(t, l, 20*round)
		add(t, l, 20*round+1, 20*round+20)
		wantRecords(t, l, 20*round+20)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Append(nil); !errors.Is(err, ErrClosed) {
			t.Fatalf("append to a closed log: %v", err)
		}
	}
	if n := len(segments(t, cfg.Dir)); n < 10 {
		t.Errorf("only %d segments", n)
	}
	for range 50 { // stops in peace without a record in between add nothing
		if err := open(t, cfg).Close(); err != nil {
			t.Fatal(err)
		}
	}
	wantRecords(t, open(t, cfg), 100)
}

func TestRecordsOfEverySize(t *testing.T) {
	cfg := Config{Dir: t.TempDir(), SegmentSize: 3 << 20}
	l := open(t, cfg)
	sizes := []int{0, 1, 7, 8, 9, 4095, 64 << 10, 1<<20 + 1, 2 << 20, 0}
	for i, n := range sizes {
		if index, err := l.Append(bytes.Repeat([]byte{byte(i)}, n)); err != nil || index != uint64(i+1) {
			t.Fatalf("%d bytes: %d, %v", n, index, err)
		}
	}
	if _, err := l.Append(make([]byte, 3<<20)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a record larger than a segment: %v", err)
	}
	for range 2 {
		for i, text := range all(t, l, 1) {
			if text != strings.Repeat(string(rune(i)), sizes[i]) {
				t.Errorf("record %d of %d bytes came back with %d", i, sizes[i], len(text))
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		l = open(t, cfg)
	}
}

func TestAppendsAtATimeShareASync(t *testing.T) {
	d := newFaultyDisk()
	l := open(t, Config{Dir: t.TempDir(), disk: d})
	add(t, l, 1, 1)
	busy, free := make(chan bool), make(chan bool)
	var once sync.Once
	d.fail = func(op string) error { // the first of them has the disk busy until all others have come
		if op == "sync" {
			once.Do(func() { close(busy); <-free })
		}
		return nil
	}
	ahead := make(chan bool)
	if _, err := l.Submit(record(0), func() { close(ahead) }); err != nil {
		t.Fatal(err)
	}
	<-busy
	before := d.syncs
	const n = 200
	var group sync.WaitGroup
	var mu sync.Mutex
	seen := map[uint64]bool{}
	for i := range n {
		group.Go(func() {
			index, err := l.Append(record(i))
			if err != nil {
				t.Error(err)
				return
			}
			got, _, err := l.Reader(index).Next(t.Context())
			mu.Lock()
			defer mu.Unlock()
			if err != nil || seen[index] || string(got) != string(record(i)) {
				t.Errorf("record %d has index %d, where %q is, %v", i, index, got, err)
			}
			seen[index] = true
		})
	}
	awaitPending(l, n)
	close(free)
	<-ahead
	group.Wait()
	if syncs := d.syncs - before; syncs != 2 { // with the one that they waited for
		t.Errorf("%d syncs for %d records", syncs, n)
	}
}

// awaitPending waits until as many records are in the group that is written next.
func awaitPending(l *Log, n int) {
	for waiting := 0; waiting < n; runtime.Gosched() {
		l.mu.Lock()
		if len(l.pending) > 0 {
			waiting = l.pending[0].count
		}
		l.mu.Unlock()
	}
}

// Whoever does not wait for a record is told of it once, in the order of the log, also when the log is closed at once.
func TestWhoSubmitsIsToldOnceAndInOrder(t *testing.T) {
	l := open(t, Config{Dir: t.TempDir(), SegmentSize: small})
	const n = 300
	var tickets [n]Ticket
	told := make(chan int, 2*n)
	for i := range n {
		var err error
		if tickets[i], err = l.Submit(record(i), func() { told <- i }); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	close(told)
	for want := range n {
		if i, more := <-told; !more || i != want {
			t.Fatalf("told of %d, want %d", i, want)
		}
		if index, err := tickets[want].Outcome(); err != nil || index != uint64(want+1) {
			t.Errorf("record %d has index %d, %v", want, index, err)
		}
	}
	if _, more := <-told; more {
		t.Error("told twice")
	}
	if _, err := l.Submit(record(n), nil); !errors.Is(err, ErrClosed) {
		t.Errorf("a closed log said %v", err)
	}
	l = open(t, l.cfg)
	if l.Last() != n {
		t.Errorf("%d records are there", l.Last())
	}
}

func TestReaderFollowsTheLogAcrossSegments(t *testing.T) {
	l := open(t, Config{Dir: t.TempDir(), SegmentSize: small})
	const n = 300
	read, done := make(chan bool), make(chan error, 1)
	go func() {
		defer close(done)
		r := l.Reader(1)
		for i := 1; i <= n; i++ {
			b, index, err := r.Next(t.Context())
			if err != nil || index != uint64(i) || string(b) != string(record(i)) {
				done <- fmt.Errorf("record %d read as %d %q, %w", i, index, b, err)
				close(read)
				return
			}
		}
		close(read)
		_, _, err := r.Next(t.Context())
		done <- err
	}()
	add(t, l, 1, n)
	<-read
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, ErrClosed) {
		t.Errorf("the reader ended with %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	l = open(t, l.cfg)
	if _, _, err := l.Reader(n + 1).Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("a wait with an ended context: %v", err)
	}
}

func TestReleaseForgetsWholeSegmentsOnly(t *testing.T) {
	cfg := Config{Dir: t.TempDir(), SegmentSize: small}
	l := open(t, cfg)
	add(t, l, 1, 100)
	for _, upTo := range []uint64{0, 3, 50, 99, 100, 100} {
		if err := l.Release(upTo); err != nil {
			t.Fatal(err)
		}
		if got := all(t, l, min(upTo+1, 100)); got[len(got)-1] != string(record(100)) {
			t.Fatalf("after the release of %d: %q", upTo, got)
		}
	}
	if n := len(segments(t, cfg.Dir)); n != 1 || l.Size() != small {
		t.Errorf("%d segments of %d bytes are left", n, l.Size())
	}
	if _, _, err := l.Reader(1).Next(t.Context()); !errors.Is(err, ErrReleased) {
		t.Errorf("read of a released record: %v", err)
	}
	add(t, l, 101, 110)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = open(t, cfg)
	add(t, l, 111, 120)
	if got := all(t, l, 105); len(got) != 16 || got[0] != string(record(105)) {
		t.Errorf("after reopening: %q", got)
	}
}

func TestFullLogAcceptsNothingAndStaysWhole(t *testing.T) {
	d := newFaultyDisk()
	d.fail = failAt("create", 3, syscall.ENOSPC)
	cfg := Config{Dir: t.TempDir(), SegmentSize: small, MaxSize: 4 * small, disk: d}
	l := open(t, cfg)
	accepted, refused := 0, 0
	for refused < 3 {
		if _, err := l.Append(record(accepted + 1)); err == nil {
			accepted++
		} else if refused++; !errors.Is(err, ErrFull) {
			t.Fatal(err)
		}
	}
	if n := len(segments(t, cfg.Dir)); n != 4 {
		t.Errorf("%d segments, want the disk to have been full once and the log at last", n)
	}
	wantRecords(t, l, accepted)
	if err := l.Release(uint64(accepted)); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append(record(accepted + 1)); err != nil {
		t.Errorf("append with room again: %v", err)
	}
}

// A header that finds no space, as on file systems that copy on write, has begun nothing.
func TestNoSpaceForAHeaderLeavesTheLogWhole(t *testing.T) {
	for _, op := range []string{"write", "sync"} {
		t.Run(op, func(t *testing.T) {
			d := newFaultyDisk()
			cfg := Config{Dir: t.TempDir(), SegmentSize: small, disk: d}
			l := open(t, cfg)
			accepted := 0
			create := failAt("create", 1, syscall.ENOSPC)
			d.fail = func(now string) error {
				if create(now) != nil {
					d.fail = failAt(op, 1, syscall.ENOSPC)
				}
				return nil
			}
			refused := 0
			for accepted < 2*small/len(record(1)) {
				if _, err := l.Append(record(accepted + 1)); err == nil {
					accepted++
				} else if refused++; !errors.Is(err, ErrFull) || refused > 1 {
					t.Fatal(err)
				}
			}
			if refused != 1 {
				t.Errorf("%d records were refused", refused)
			}
			wantRecords(t, l, accepted)
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			wantRecords(t, open(t, cfg), accepted)
		})
	}
}

func TestOneProcessUsesALog(t *testing.T) {
	l := open(t, Config{Dir: t.TempDir()})
	if _, err := Open(l.cfg); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("opened twice: %v", err)
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, clients := range []int{1, 64} {
		b.Run(fmt.Sprintf("%d clients", clients), func(b *testing.B) {
			l := open(b, Config{Dir: b.TempDir(), disk: realDisk{}})
			b.SetParallelism(clients)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := l.Append(make([]byte, 200)); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}
