package wal

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// fastDisk is the real one without waiting for it: these tests end no machine.
type fastDisk struct{ realDisk }

type fastFile struct{ file }

func (fastFile) Sync() error { return nil }

func (d fastDisk) open(path string, size int64) (file, error) {
	f, err := d.realDisk.open(path, size)
	return fastFile{f}, err
}

func (fastDisk) rename(from, to string) error { return os.Rename(from, to) }
func (fastDisk) remove(path string) error     { return os.Remove(path) }

// faultyDisk is one which fails on demand and knows what a loss of power would leave of it.
type faultyDisk struct {
	real  fastDisk
	fail  func(op string) error // called before each operation; nil never fails
	after func()                // called after each operation that changes something; nil does nothing

	mu      sync.Mutex
	names   map[string]bool   // files that the folder durably has
	there   map[string]bool   // files that the folder has now
	durable map[string][]byte // what of each file is durable
	syncs   int
}

func newFaultyDisk() *faultyDisk {
	return &faultyDisk{names: map[string]bool{}, there: map[string]bool{}, durable: map[string][]byte{}}
}

func (d *faultyDisk) before(op string) error {
	if d.fail == nil {
		return nil
	}
	return d.fail(op)
}

func (d *faultyDisk) done() {
	if d.after != nil {
		d.after()
	}
}

func (d *faultyDisk) open(path string, size int64) (file, error) {
	if size > 0 {
		if err := d.before("create"); err != nil {
			return nil, err
		}
	}
	f, err := d.real.open(path, size)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	d.there[path] = true
	if size == 0 {
		d.names[path] = true
		d.durable[path], err = os.ReadFile(path)
	} else {
		d.durable[path] = nil
	}
	d.mu.Unlock()
	if size > 0 {
		d.done()
	}
	return &faultyFile{disk: d, path: path, file: f}, err
}

// rename fails before the new name is there ("rename") or after ("renamed").
func (d *faultyDisk) rename(from, to string) error {
	if err := d.before("rename"); err != nil {
		return err
	}
	if err := d.real.rename(from, to); err != nil {
		return err
	}
	d.mu.Lock()
	delete(d.there, from)
	d.there[to], d.durable[to] = true, d.durable[from]
	d.mu.Unlock()
	d.done() // power is lost before the folder is durable
	d.mu.Lock()
	d.names = maps.Clone(d.there)
	d.mu.Unlock()
	d.done()
	return d.before("renamed")
}

func (d *faultyDisk) remove(path string) error {
	if err := d.before("remove"); err != nil {
		return err
	}
	d.mu.Lock()
	delete(d.there, path)
	d.mu.Unlock()
	d.done()
	d.mu.Lock()
	delete(d.names, path)
	d.mu.Unlock()
	return d.real.remove(path)
}

// afterPowerLoss writes what is durable into a new folder. Names that are not durable may be there or not: both happens.
func (d *faultyDisk) afterPowerLoss(t testing.TB, withNames bool) string {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	names := d.names
	if withNames {
		names = d.there
	}
	dir := t.TempDir()
	for path := range names {
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(path)), d.durable[path], 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

type faultyFile struct {
	file
	disk *faultyDisk
	path string
}

// WriteAt writes half of what it should when it fails.
func (f *faultyFile) WriteAt(b []byte, at int64) (int, error) {
	if err := f.disk.before("write"); err != nil {
		_, _ = f.file.WriteAt(b[:len(b)/2], at)
		return len(b) / 2, err
	}
	defer f.disk.done()
	return f.file.WriteAt(b, at)
}

// Sync has done nothing when it fails.
func (f *faultyFile) Sync() error {
	if err := f.disk.before("sync"); err != nil {
		return err
	}
	if err := f.file.Sync(); err != nil {
		return err
	}
	f.disk.mu.Lock()
	path := f.path
	if name := strings.TrimSuffix(path, unfinished); f.disk.there[name] && !f.disk.there[path] {
		path = name // renamed since
	}
	data, err := os.ReadFile(path)
	f.disk.durable[path] = data
	f.disk.syncs++
	f.disk.mu.Unlock()
	f.disk.done()
	return err
}

// failAt fails the n-th operation of a kind, and with EIO all of them from then on.
func failAt(kind string, n int, err error) func(string) error {
	seen := 0
	return func(op string) error {
		if op != kind {
			return nil
		}
		if seen++; seen == n || seen > n && err == syscall.EIO {
			return err
		}
		return nil
	}
}
