package wal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
)

// Reader reads a log from some record on, as far as it is durable, and waits for more. It belongs to one goroutine.
type Reader struct {
	log     *Log
	next    uint64   // index of the record that Next returns
	segment *segment // nil: to be found
	at      int64
	buffer  []byte
	records [][]byte // of the batch at hand
}

// Reader begins to read at a record, 1 being the first.
func (l *Log) Reader(from uint64) *Reader { return &Reader{log: l, next: max(from, 1)} }

// Next returns the next record and its index, waiting for it if need be. The record is valid until the next call. The error is that of
// ctx, ErrReleased, a CorruptError when what is on the disk is not what was written, or why the log has ended.
func (r *Reader) Next(ctx context.Context) (record []byte, index uint64, err error) {
	for len(r.records) == 0 {
		if err := r.log.Wait(ctx, r.next-1); err != nil {
			return nil, 0, err
		}
		if err := r.load(); err != nil {
			return nil, 0, err
		}
	}
	record, index = r.records[0], r.next
	r.records = r.records[1:]
	r.next++
	return record, index, nil
}

// load reads the batch that holds the next record. There is one: the log has said so.
func (r *Reader) load() error {
	for {
		if r.segment == nil {
			if r.segment = r.log.holder(r.next); r.segment == nil {
				return ErrReleased
			}
			r.at = headerSize
		}
		end := r.log.end(r.segment)
		if r.at >= end {
			r.segment = nil // the next one holds it
			continue
		}
		found, err := r.read(end)
		if err != nil {
			return err
		}
		if found.first > r.next {
			return &CorruptError{File: r.segment.path, Offset: r.at, Reason: fmt.Sprintf("holds record %d where %d should be", found.first, r.next)}
		}
		r.at += int64(found.size)
		if skip := r.next - found.first; skip < uint64(len(found.records)) {
			r.records = found.records[skip:]
			return nil
		}
	}
}

// read reads the batch at r.at: as much of the file as may be one, first little and then more.
func (r *Reader) read(end int64) (batch, error) {
	for size := min(int64(64<<10), end-r.at); ; size = min(2*size, end-r.at) {
		if int64(cap(r.buffer)) < size {
			r.buffer = make([]byte, size)
		}
		_, err := r.segment.file.ReadAt(r.buffer[:size], r.at)
		switch {
		case errors.Is(err, os.ErrClosed):
			return batch{}, r.log.whyClosed()
		case err != nil && !errors.Is(err, io.EOF):
			return batch{}, fmt.Errorf("read %s: %w", r.segment.path, err)
		}
		if found, ok := parseBatch(r.buffer[:size], r.segment.salt); ok {
			return found, nil
		}
		if size == end-r.at {
			return batch{}, &CorruptError{File: r.segment.path, Offset: r.at, Reason: "a batch does not hold any more"}
		}
	}
}

// holder is the segment that a durable record is in; nil: it was released.
func (l *Log) holder(index uint64) *segment {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := len(l.segments) - 1; i >= 0; i-- {
		if l.segments[i].first <= index {
			return l.segments[i]
		}
	}
	return nil
}

// end is where the durable part of a segment ends.
func (l *Log) end(s *segment) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return s.end
}

// whyClosed tells a log that has ended from a segment that was released.
func (l *Log) whyClosed() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if errors.Is(l.failure, ErrClosed) {
		return ErrClosed
	}
	return ErrReleased
}
