package wal

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"pgregory.net/rapid"
)

// made is a log of n records in batches of one, which a crash has stopped: there is no mark of a stop in peace.
func made(t testing.TB, n int, segmentSize int64) (dir string) {
	t.Helper()
	l := open(t, Config{Dir: t.TempDir(), SegmentSize: segmentSize})
	add(t, l, 1, n)
	return copyOf(t, l.cfg.Dir)
}

// lastBatch is where the last batch of a segment begins and ends.
func lastBatch(t testing.TB, path string) (from, to int) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	salt := uint32(data[16]) | uint32(data[17])<<8 | uint32(data[18])<<16 | uint32(data[19])<<24
	for to = headerSize; ; {
		found, ok := parseBatch(data[to:], salt)
		if !ok {
			return from, to
		}
		from, to = to, to+found.size
	}
}

// goesOn fails unless the folder holds the records 1 to n and takes more.
func goesOn(t testing.TB, dir string, n int) {
	t.Helper()
	cfg := Config{Dir: dir, SegmentSize: small, disk: fastDisk{}}
	l, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	wantRecords(t, l, n)
	add(t, l, n+1, n+3)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if l, err = Open(cfg); err != nil {
		t.Fatal(err)
	}
	wantRecords(t, l, n+3)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func change(t testing.TB, path string, edit func([]byte) []byte) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, edit(data), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestTailTornAtEveryByteIsCutOff(t *testing.T) {
	for _, n := range []int{1, 3, 7} { // 7 begins a second segment
		dir := made(t, n, small)
		paths := segments(t, dir)
		from, to := lastBatch(t, paths[len(paths)-1])
		for at := from; at <= to; at++ {
			whole := at == to
			for name, edit := range map[string]func([]byte) []byte{
				"zeros":   func(b []byte) []byte { clear(b[at:]); return b },
				"end":     func(b []byte) []byte { return b[:at] },
				"garbage": func(b []byte) []byte { copy(b[at:to], bytes.Repeat([]byte{0xA5}, to-at)); return b },
			} {
				torn := copyOf(t, dir)
				path := filepath.Join(torn, filepath.Base(paths[len(paths)-1]))
				change(t, path, edit)
				want := n - 1
				if whole {
					want = n
				}
				data, _ := os.ReadFile(path)
				if _, ok := parseBatch(data[min(from, len(data)):], saltOf(data)); ok {
					want = n // what was cut was zeros that were to be zeros
				}
				t.Logf("%d records, %s at %d", n, name, at-from) // shown if it fails
				goesOn(t, torn, want)
			}
		}
	}
}

func saltOf(header []byte) uint32 {
	return uint32(header[16]) | uint32(header[17])<<8 | uint32(header[18])<<16 | uint32(header[19])<<24
}

// A power cut may keep any of the sectors of a write.
func TestTailTornInAnySectorsIsCutOff(t *testing.T) {
	const sector = 64 // smaller than real ones, so that there are many
	l := open(t, Config{Dir: t.TempDir(), SegmentSize: 4096, disk: fastDisk{}})
	add(t, l, 1, 3)
	if _, err := l.Append(bytes.Repeat([]byte("large "), 200)); err != nil {
		t.Fatal(err)
	}
	dir := copyOf(t, l.cfg.Dir)
	path := segments(t, dir)[0]
	original, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	from, to := lastBatch(t, path)
	rapid.Check(t, func(rt *rapid.T) {
		torn := bytes.Clone(original)
		for at := from; at < to; at += sector {
			if rapid.Bool().Draw(rt, "lost") {
				clear(torn[at:min(at+sector, to)])
			}
		}
		if err := os.WriteFile(path, torn, 0o600); err != nil {
			rt.Fatal(err)
		}
		l, err := Open(Config{Dir: dir, SegmentSize: 4096, disk: fastDisk{}})
		if err != nil {
			rt.Fatal(err)
		}
		defer l.Close()
		if last := l.Last(); last != 3 && !(last == 4 && bytes.Equal(torn, original)) {
			rt.Fatalf("%d records", last)
		}
	})
}

func TestEveryFlippedBitIsNoticedOrInAnUnansweredTail(t *testing.T) {
	dir := made(t, 7, small)
	paths := segments(t, dir)
	last := paths[len(paths)-1]
	from, _ := lastBatch(t, last)
	noticed, cut := 0, 0
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		_, end := lastBatch(t, path)
		for bit := range 8 * end {
			damaged := bytes.Clone(data)
			damaged[bit/8] ^= 1 << (bit % 8)
			if err := os.WriteFile(path, damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			l, err := Open(Config{Dir: dir, SegmentSize: small, disk: fastDisk{}})
			var corrupt *CorruptError
			switch {
			case errors.As(err, &corrupt):
				noticed++
				if filepath.Base(corrupt.File) != filepath.Base(path) && corrupt.Offset != 0 || int64(bit/8) < corrupt.Offset {
					t.Fatalf("bit %d of %s: told %v", bit, path, err)
				}
			case err != nil:
				t.Fatal(err)
			case path != last || bit/8 < from:
				t.Fatalf("bit %d of %s was not noticed", bit, path)
			default:
				cut++
				wantRecords(t, l, 6)
				if err := l.Close(); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if noticed == 0 || cut == 0 {
		t.Errorf("%d noticed, %d cut off", noticed, cut)
	}
}

func TestAfterAStopInPeaceEveryFlippedBitIsNoticed(t *testing.T) {
	l := open(t, Config{Dir: t.TempDir(), SegmentSize: small, disk: fastDisk{}})
	add(t, l, 1, 3)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	path := segments(t, l.cfg.Dir)[0]
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	mark, _ := lastBatch(t, path)
	for bit := range 8 * mark {
		damaged := bytes.Clone(data)
		damaged[bit/8] ^= 1 << (bit % 8)
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		var corrupt *CorruptError
		if _, err := Open(l.cfg); !errors.As(err, &corrupt) || corrupt.File != path {
			t.Fatalf("bit %d: %v", bit, err)
		}
		if now, _ := os.ReadFile(path); !bytes.Equal(now, damaged) {
			t.Fatalf("bit %d: the file was changed", bit)
		}
	}
}

func TestMissingSegmentIsNoticed(t *testing.T) {
	dir := made(t, 30, small)
	paths := segments(t, dir)
	if err := os.Remove(paths[1]); err != nil {
		t.Fatal(err)
	}
	var corrupt *CorruptError
	if _, err := Open(Config{Dir: dir, SegmentSize: small, disk: fastDisk{}}); !errors.As(err, &corrupt) || corrupt.File != paths[2] || !strings.Contains(err.Error(), "begins with") {
		t.Errorf("a gap: %v", err)
	}
}

// A log on a disk that fails: what was acknowledged is there after the crash, what is there was asked for, in order.
func TestFailingDiskPoisonsAndLosesNothing(t *testing.T) {
	for _, kind := range []string{"create", "write", "sync", "rename", "renamed"} {
		for n := 1; n <= 12; n++ {
			t.Run(fmt.Sprintf("%s %d", kind, n), func(t *testing.T) {
				d := newFaultyDisk()
				d.fail = failAt(kind, n, syscall.EIO)
				l := open(t, Config{Dir: t.TempDir(), SegmentSize: small, disk: d})
				acked := 0
				var poisoned *PoisonedError
				for i := 1; i <= 60; i++ {
					if _, err := l.Append(record(i)); err == nil {
						acked = i
						continue
					} else if !errors.As(err, &poisoned) || !errors.Is(err, syscall.EIO) {
						t.Fatal(err)
					}
					break
				}
				if poisoned == nil && (kind == "write" || kind == "sync" || n < 5) {
					t.Fatal("the disk did not fail")
				}
				if poisoned != nil {
					d.fail = nil // the disk has come back, but what was written before is not known
					if _, err := l.Append(record(99)); !errors.As(err, &poisoned) {
						t.Fatalf("append after a failure: %v", err)
					}
				}
				for _, dir := range []string{copyOf(t, l.cfg.Dir), d.afterPowerLoss(t, false), d.afterPowerLoss(t, true)} {
					again, err := Open(Config{Dir: dir, SegmentSize: small, disk: fastDisk{}})
					if err != nil {
						t.Fatal(err)
					}
					last := int(again.Last())
					if last < acked || last > acked+1 {
						t.Fatalf("%d were acknowledged, %d are there", acked, last)
					}
					wantRecords(t, again, last)
					if err := again.Close(); err != nil {
						t.Fatal(err)
					}
					goesOn(t, dir, last)
				}
			})
		}
	}
}

// Power is lost after every single operation on the disk, and again after every one of what recovery does.
func TestPowerLossAfterEveryOperationLosesNothing(t *testing.T) {
	acked, checked := 0, 0
	d := newFaultyDisk()
	d.after = func() {
		for _, withNames := range []bool{false, true} {
			checked++
			survives(t, d.afterPowerLoss(t, withNames), acked)
		}
	}
	l := open(t, Config{Dir: t.TempDir(), SegmentSize: small, disk: d})
	for i := 1; i <= 9; i++ {
		if _, err := l.Append(record(i)); err != nil {
			t.Fatal(err)
		}
		acked = i
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if checked < 40 {
		t.Errorf("only %d states", checked)
	}
}

// survives opens what a loss of power has left, with losses during that, too.
func survives(t testing.TB, dir string, acked int) {
	t.Helper()
	again := newFaultyDisk()
	again.after = func() {
		l := open(t, Config{Dir: again.afterPowerLoss(t, true), SegmentSize: small, disk: fastDisk{}})
		if int(l.Last()) < acked {
			t.Fatalf("%d were acknowledged, %d are there after a second crash", acked, l.Last())
		}
	}
	l := open(t, Config{Dir: dir, SegmentSize: small, disk: again})
	last := int(l.Last())
	if last < acked || last > acked+1 {
		t.Fatalf("%d were acknowledged, %d are there", acked, last)
	}
	wantRecords(t, l, last)
	add(t, l, last+1, last+2)
}

func TestThoseWhoWaitForADiskThatFailsAreTold(t *testing.T) {
	d := newFaultyDisk()
	l := open(t, Config{Dir: t.TempDir(), disk: d})
	add(t, l, 1, 1)
	begun, broken := make(chan bool), make(chan bool)
	writes := 0
	d.fail = func(op string) error {
		if op == "write" {
			writes++
		}
		if op != "sync" {
			return nil
		}
		close(begun)
		<-broken
		return syscall.EIO
	}
	failures := make(chan error, 3)
	tell := func() {
		_, err := l.Append(record(2))
		failures <- err
	}
	go tell()
	<-begun
	go tell() // these are in the next group
	go tell()
	awaitPending(l, 2)
	close(broken)
	var poisoned *PoisonedError
	for range 3 {
		if err := <-failures; !errors.As(err, &poisoned) || !errors.Is(err, syscall.EIO) {
			t.Errorf("told %v", err)
		}
	}
	if writes != 1 {
		t.Errorf("%d writes, the disk failed after the first", writes)
	}
	if err := l.Wait(t.Context(), l.Last()); !errors.As(err, &poisoned) {
		t.Errorf("a reader is told %v", err)
	}
}
