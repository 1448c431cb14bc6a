package wal

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
)

// Config is what Open needs.
type Config struct {
	Dir         string // its folder, made if it is not there; one process at a time uses it
	SegmentSize int64  // bytes of one file; 0 means 64 MiB. Files that are there keep their size
	MaxSize     int64  // bytes of all files; 0: as many as the disk has

	disk disk // nil: the real one
}

// ahead is how many zeros are written behind a batch when it comes to space that was only preallocated. To sync such space costs several
// times as much as to sync space that was written before, as the file system has to note that it is (ext4: 1.4 to 6.4 ms against 0.3 ms).
const ahead = 1 << 20

// maxBatch bounds the bytes that one sync makes durable, and that a reader holds. A larger record has a batch of its own.
const maxBatch = 1 << 20

// Log is an open log. Its methods may be called by any goroutine.
type Log struct {
	cfg  Config
	lock *os.File

	flush  sync.Mutex // held while a batch is written; guards active, buffer and sealed
	active *segment
	buffer []byte
	sealed bool // the last batch is Close's mark

	mu sync.Mutex
	state
}

// state is what appenders and readers share.
type state struct {
	pending  *group
	segments []*segment    // the last one is active
	last     uint64        // index of the last durable record
	news     chan struct{} // closed when last grows or the log ends
	failure  error         // why nothing is accepted any more
}

// group is the records that will become durable together. Who has put in the first one writes it.
type group struct {
	frames []byte
	count  int
	first  uint64
	done   bool          // guarded by flush
	ready  chan struct{} // closed when the group is written, or cannot be: first and err stay as they are
	err    error
}

// segment is one file. Its first index and size never change.
type segment struct {
	first uint64
	salt  uint32
	path  string
	size  int64
	file  file
	end   int64 // where the next batch goes; guarded by Log.mu

	written int64 // everything before it was written at some time, if only zeros; guarded by Log.flush
}

// Append makes a record durable and returns its index; indices begin at 1 and have no gaps. Records that come while the disk is busy
// become durable together. An error that is none of ErrFull, ErrTooLarge and ErrClosed leaves open whether the record is there.
func (l *Log) Append(record []byte) (uint64, error) {
	if int64(recordSize(len(record))) > l.cfg.SegmentSize-headerSize-2*commitSize || len(record) > maxRecord {
		return 0, ErrTooLarge
	}
	g, place, err := l.join(record)
	if err != nil {
		return 0, err
	}
	if place == 0 {
		l.flushGroup(g)
	} else {
		<-g.ready // not the lock, which the next group may have by then
	}
	if g.err != nil {
		return 0, g.err
	}
	return g.first + uint64(place), nil
}

// join puts a record into the group that is written next.
func (l *Log) join(record []byte) (g *group, place int, err error) {
	for {
		l.mu.Lock()
		if l.failure != nil {
			defer l.mu.Unlock()
			return nil, 0, l.failure
		}
		if l.pending == nil {
			l.pending = &group{ready: make(chan struct{})}
		}
		g = l.pending
		if g.count == 0 || len(g.frames)+recordSize(len(record)) <= maxBatch {
			g.frames = appendRecord(g.frames, record)
			g.count++
			place = g.count - 1
			l.mu.Unlock()
			return g, place, nil
		}
		l.mu.Unlock()
		<-g.ready // it is full: the next one begins when this one is written
	}
}

// flushGroup writes a group unless somebody has.
func (l *Log) flushGroup(g *group) {
	l.flush.Lock()
	defer l.flush.Unlock()
	if !g.done {
		l.write(g)
	}
}

// write makes the group durable. The caller holds flush, so that indices are given in the order of the bytes.
func (l *Log) write(g *group) {
	l.mu.Lock()
	if l.pending == g {
		l.pending = nil
	}
	g.first, g.err = l.last+1, l.failure
	l.mu.Unlock()
	g.done = true
	if g.err == nil {
		g.err = l.writeBatch(g.frames, g.count, g.first)
	}
	if g.err == nil {
		l.advance(g.count)
	}
	g.frames = nil
	close(g.ready)
}

// writeBatch writes and syncs one batch at the end of the active segment, or of a new one.
func (l *Log) writeBatch(frames []byte, count int, first uint64) error {
	need := int64(len(frames) + commitSize)
	if l.active == nil || l.active.end+need > l.active.size-commitSize { // room for Close's own batch stays
		if err := l.rotate(first, need); err != nil {
			return err
		}
	}
	s := l.active
	l.buffer = appendCommit(append(l.buffer[:0], frames...), frames, s.salt, count, first)
	if s.end+need > s.written {
		s.written = min(s.end+need+ahead, s.size)
		l.buffer = append(l.buffer, make([]byte, s.written-s.end-need)...)
	}
	if _, err := s.file.WriteAt(l.buffer, s.end); err != nil {
		return l.poison(fmt.Errorf("write %s: %w", s.path, err))
	}
	if err := s.file.Sync(); err != nil {
		return l.poison(fmt.Errorf("sync %s: %w", s.path, err))
	}
	l.sealed = false
	if cap(l.buffer) > 2*maxBatch {
		l.buffer = nil
	}
	l.mu.Lock()
	s.end += need
	l.mu.Unlock()
	return nil
}

// rotate begins a segment: under another name, so that one without a whole header is never met. An empty segment that is too small is
// replaced. A disk without space leaves the log as it was.
func (l *Log) rotate(first uint64, need int64) error {
	size := max(l.cfg.SegmentSize, need+headerSize+commitSize)
	if l.cfg.MaxSize > 0 && l.Size()+size > l.cfg.MaxSize {
		return ErrFull
	}
	s := &segment{first: first, salt: rand.Uint32(), path: filepath.Join(l.cfg.Dir, segmentName(first)), size: size, end: headerSize}
	f, err := l.cfg.disk.open(s.path+unfinished, size)
	if isFull(err) {
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	if err != nil {
		return l.poison(fmt.Errorf("create %s: %w", s.path, err))
	}
	s.file = f
	if _, err = f.WriteAt(appendHeader(nil, first, s.salt), 0); err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = l.cfg.disk.rename(s.path+unfinished, s.path)
	}
	if err != nil {
		return l.poison(errors.Join(fmt.Errorf("begin %s: %w", s.path, err), f.Close()))
	}
	return l.use(s)
}

// use makes a new segment the active one, in the place of an empty one with its name.
func (l *Log) use(s *segment) error {
	replaced := l.active
	l.active = s
	l.mu.Lock()
	defer l.mu.Unlock()
	if replaced == nil || replaced.first != s.first {
		l.segments = append(l.segments, s)
		return nil
	}
	l.segments[len(l.segments)-1] = s
	return replaced.file.Close()
}

// advance tells readers of new records.
func (l *Log) advance(count int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last += uint64(count)
	close(l.news)
	l.news = make(chan struct{})
}

// poison accepts nothing from now on.
func (l *Log) poison(err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failure = &PoisonedError{Err: err}
	close(l.news)
	l.news = make(chan struct{})
	return l.failure
}

// Last is the index of the last durable record; 0: there has been none.
func (l *Log) Last() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

// First is the index of the first record that is kept; of an empty log it is that of the first to come.
func (l *Log) First() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.segments) == 0 {
		return l.last + 1
	}
	return l.segments[0].first
}

// Wait returns when there are records after index, or with the reason why there will be none.
func (l *Log) Wait(ctx context.Context, index uint64) error {
	for {
		l.mu.Lock()
		last, failure, news := l.last, l.failure, l.news
		l.mu.Unlock()
		switch {
		case last > index:
			return nil
		case failure != nil:
			return failure
		}
		select {
		case <-news:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Size is what the files take up on the disk, in bytes.
func (l *Log) Size() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	var size int64
	for _, s := range l.segments {
		size += s.size
	}
	return size
}

// Release forgets the records up to index, as far as whole segments hold nothing else.
func (l *Log) Release(index uint64) error {
	l.mu.Lock()
	n := 0
	for n+1 < len(l.segments) && l.segments[n+1].first <= index+1 {
		n++
	}
	gone := l.segments[:n:n]
	l.segments = l.segments[n:]
	l.mu.Unlock()
	for _, s := range gone { // the oldest first, each durably: a crash in between leaves a log without a gap
		if err := errors.Join(s.file.Close(), l.cfg.disk.remove(s.path)); err != nil {
			return fmt.Errorf("remove segment: %w", err)
		}
	}
	return nil
}

// Close writes the mark of a stop in peace and ends the log. Appends that wait for the disk are finished first; later ones get
// ErrClosed.
func (l *Log) Close() error {
	l.flush.Lock()
	defer l.flush.Unlock()
	l.mu.Lock()
	pending, failed := l.pending, l.failure
	l.mu.Unlock()
	if errors.Is(failed, ErrClosed) {
		return nil
	}
	if pending != nil {
		l.write(pending)
	}
	l.mu.Lock()
	failed, first := l.failure, l.last+1
	if failed == nil {
		l.failure = ErrClosed
		close(l.news)
		l.news = make(chan struct{})
	}
	segments := l.segments
	l.mu.Unlock()
	var err error
	if s := l.active; failed == nil && s != nil && !l.sealed {
		if _, err = s.file.WriteAt(appendCommit(nil, nil, s.salt, 0, first), s.end); err == nil {
			err = s.file.Sync()
		}
	}
	for _, s := range segments {
		err = errors.Join(err, s.file.Close())
	}
	return errors.Join(err, l.lock.Close())
}
