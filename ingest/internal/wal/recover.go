package wal

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

const (
	suffix     = ".wal"
	unfinished = ".new" // behind the name of a segment that has no header yet
)

func segmentName(first uint64) string { return fmt.Sprintf("%016x%s", first, suffix) }

// Open opens the log in a folder, or begins one. What a crash has cut short is cut off; other damage is a CorruptError. The
// folder must not be open already.
func Open(cfg Config) (*Log, error) {
	if cfg.SegmentSize <= 0 {
		cfg.SegmentSize = 64 << 20
	}
	cfg.SegmentSize = max(cfg.SegmentSize, headerSize+4*commitSize)
	if cfg.disk == nil {
		cfg.disk = realDisk{}
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of the log: %w", err)
	}
	lock, err := lockFolder(cfg.Dir)
	if err != nil {
		return nil, err
	}
	l := &Log{cfg: cfg, lock: lock, state: state{news: make(chan struct{})}}
	if err := l.recover(); err != nil {
		for _, s := range l.segments {
			_ = s.file.Close() // nothing was written
		}
		return nil, errors.Join(err, lock.Close())
	}
	return l, nil
}

// lockFolder keeps other processes out until the file is closed.
func lockFolder(dir string) (*os.File, error) {
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the log: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("lock the log in %s, is another process using it?: %w", dir, err), lock.Close())
	}
	return lock, nil
}

// recover reads all segments, the oldest first, and makes the last one ready for more.
func (l *Log) recover() error {
	firsts, err := listSegments(l.cfg.Dir)
	if err != nil {
		return err
	}
	for i, first := range firsts {
		path := filepath.Join(l.cfg.Dir, segmentName(first))
		data, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("read segment: %w", err)
		}
		if i > 0 && first != l.last+1 {
			return &CorruptError{File: path, Reason: fmt.Sprintf("begins with record %d, but the one before it ends with %d", first, l.last)}
		}
		if err := l.recoverSegment(path, first, data, i == len(firsts)-1); err != nil {
			return err
		}
	}
	return nil
}

// listSegments returns the first indices of the segments in order.
func listSegments(dir string) ([]uint64, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list segments: %w", err)
	}
	var firsts []uint64
	for _, e := range entries { // by name, which is by number
		digits, ok := strings.CutSuffix(e.Name(), suffix)
		if !ok {
			continue // the lock, or what a crash left unfinished, which is written over
		}
		first, err := strconv.ParseUint(digits, 16, 64)
		if err != nil || segmentName(first) != e.Name() {
			return nil, &CorruptError{File: filepath.Join(dir, e.Name()), Reason: "its name is not that of a segment"}
		}
		firsts = append(firsts, first)
	}
	return firsts, nil
}

// recoverSegment checks a segment and opens it.
func (l *Log) recoverSegment(path string, first uint64, data []byte, newest bool) error {
	salt, ok := parseHeader(data, first)
	if !ok {
		return &CorruptError{File: path, Reason: "its header does not hold"}
	}
	end, next, sealed := headerSize, first, false
	for {
		found, ok := parseBatch(data[end:], salt)
		if !ok || found.first != next {
			break
		}
		sealed = len(found.records) == 0
		end += found.size
		next += uint64(len(found.records))
	}
	rest := data[end:]
	dirty := len(bytes.TrimLeft(rest, "\x00")) > 0
	if dirty && (!newest || commitAfter(rest, salt)) {
		return &CorruptError{File: path, Offset: int64(end), Reason: "a batch does not hold, and more was written behind it"}
	}
	f, err := l.cfg.disk.open(path, 0)
	if err != nil {
		return fmt.Errorf("open segment: %w", err)
	}
	s := &segment{first: first, salt: salt, path: path, size: int64(len(data)), file: f, end: int64(end)}
	l.segments = append(l.segments, s)
	l.last, l.active, l.sealed = next-1, s, sealed
	if dirty {
		return s.cut(len(rest))
	}
	return nil
}

// cut writes zeros over what a crash has left behind the last batch: part of it must not look like one later.
func (s *segment) cut(n int) error {
	_, err := s.file.WriteAt(make([]byte, n), s.end)
	if err == nil {
		err = s.file.Sync()
	}
	if err != nil {
		return fmt.Errorf("cut off an unfinished batch: %w", err)
	}
	return nil
}
