package wal

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
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

	// Of the goroutine that writes; of Close, when that has ended.
	writers sync.WaitGroup
	active  *segment
	buffer  []byte
	sealed  bool // the last batch is Close's mark

	mu sync.Mutex
	state
}

// state is what appenders, readers and the writer share.
type state struct {
	pending  []*group      // to be written, in this order
	spare    []byte        // room for the frames of a group
	writing  bool          // a goroutine is at it
	segments []*segment    // the last one is active
	last     uint64        // index of the last durable record
	news     chan struct{} // closed when last grows or the log ends
	failure  error         // why nothing is accepted any more
}

// group is the records that become durable together.
type group struct {
	frames []byte
	told   []func()
	count  int
	ready  chan struct{} // closed when the group is written, or cannot be: first and err stay as they are
	first  uint64
	err    error
}

// Ticket is a record on its way to the disk.
type Ticket struct {
	group *group
	place int
}

// Done is closed when it is known what became of the record.
func (t Ticket) Done() <-chan struct{} { return t.group.ready }

// Outcome is what Append returns. It is to be asked for when Done is closed.
func (t Ticket) Outcome() (uint64, error) {
	if t.group.err != nil {
		return 0, t.group.err
	}
	return t.group.first + uint64(t.place), nil
}

// segment is one file. Its first index and size never change.
type segment struct {
	first uint64
	salt  uint32
	path  string
	size  int64
	file  file
	end   int64 // where the next batch goes; guarded by Log.mu

	written int64 // everything before it was written at some time, if only zeros; of the goroutine that writes
}

// Append makes a record durable and returns its index; indices begin at 1 and have no gaps. Records that come while the disk is busy
// become durable together. An error that is none of ErrFull, ErrTooLarge and ErrClosed leaves open whether the record is there.
func (l *Log) Append(record []byte) (uint64, error) {
	t, err := l.Submit(record, nil)
	if err != nil {
		return 0, err
	}
	<-t.Done()
	return t.Outcome()
}

// Submit begins to append a record and does not wait. When it is known what became of it, told is called, if it is not nil; it must not
// block. If there is an error the record is not accepted, and told is not called.
func (l *Log) Submit(record []byte, told func()) (Ticket, error) {
	size := recordSize(len(record))
	if int64(size) > l.cfg.SegmentSize-headerSize-2*commitSize || len(record) > maxRecord {
		return Ticket{}, ErrTooLarge
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failure != nil {
		return Ticket{}, l.failure
	}
	g := l.joined(size)
	g.frames = appendRecord(g.frames, record)
	if told != nil {
		g.told = append(g.told, told)
	}
	g.count++
	if !l.writing {
		l.writing = true
		// owner: the log, whose Close waits; ends when nothing is pending.
		l.writers.Go(l.write)
	}
	return Ticket{group: g, place: g.count - 1}, nil
}

// joined is the group that a record becomes one of. The caller holds the lock.
func (l *Log) joined(size int) *group {
	if n := len(l.pending); n > 0 && len(l.pending[n-1].frames)+size <= maxBatch {
		return l.pending[n-1]
	}
	g := &group{ready: make(chan struct{}), frames: l.spare[:0]}
	l.spare = nil
	l.pending = append(l.pending, g)
	return g
}

// write makes the pending groups durable, one after the other.
func (l *Log) write() {
	for {
		g := l.take()
		if g == nil {
			return
		}
		if g.err == nil {
			g.err = l.writeBatch(g.frames, g.count, g.first)
		}
		if g.err == nil {
			l.advance(g.count)
		}
		l.keep(g.frames)
		g.frames = nil
		close(g.ready)
		for _, tell := range g.told {
			tell()
		}
		g.told = nil
	}
}

// keep has the next group use the room of one that is written.
func (l *Log) keep(frames []byte) {
	if cap(frames) <= 2*maxBatch {
		l.mu.Lock()
		l.spare = frames
		l.mu.Unlock()
	}
}

// take gives the next group, which nobody joins any more; nil: there is none.
func (l *Log) take() *group {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.pending) == 0 {
		l.writing = false
		return nil
	}
	g := l.pending[0]
	l.pending = slices.Delete(l.pending, 0, 1)
	g.first = l.last + 1
	if l.failure != nil && !errors.Is(l.failure, ErrClosed) { // what came before Close is written
		g.err = l.failure
	}
	return g
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
	switch err := l.begin(s); {
	case isFull(err):
		return fmt.Errorf("%w: %w", ErrFull, err)
	case err != nil:
		return l.poison(fmt.Errorf("begin %s: %w", s.path, err))
	}
	if err := l.cfg.disk.rename(s.path+unfinished, s.path); err != nil {
		return l.poison(errors.Join(fmt.Errorf("name %s: %w", s.path, err), s.file.Close()))
	}
	return l.use(s)
}

// begin makes the file of a segment and its header durable. File systems that copy on write take space for a header, too.
func (l *Log) begin(s *segment) error {
	f, err := l.cfg.disk.open(s.path+unfinished, s.size)
	if err != nil {
		return err
	}
	if _, err = f.WriteAt(appendHeader(nil, s.first, s.salt), 0); err == nil {
		err = f.Sync()
	}
	if err != nil {
		return errors.Join(err, f.Close(), l.cfg.disk.remove(s.path+unfinished))
	}
	s.file = f
	return nil
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
	if l.refuse() {
		return nil
	}
	l.writers.Wait()
	l.mu.Lock()
	poisoned, first := !errors.Is(l.failure, ErrClosed), l.last+1
	close(l.news)
	l.news = make(chan struct{})
	segments := l.segments
	l.mu.Unlock()
	var err error
	if s := l.active; !poisoned && s != nil && !l.sealed {
		if _, err = s.file.WriteAt(appendCommit(nil, nil, s.salt, 0, first), s.end); err == nil {
			err = s.file.Sync()
		}
	}
	for _, s := range segments {
		err = errors.Join(err, s.file.Close())
	}
	return errors.Join(err, l.lock.Close())
}

// refuse has the log accept nothing more. closed: it was closed before.
func (l *Log) refuse() (closed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	closed = errors.Is(l.failure, ErrClosed)
	if l.failure == nil {
		l.failure = ErrClosed
	}
	return closed
}
