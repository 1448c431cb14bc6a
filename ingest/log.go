package ingest

import (
	"context"
	"errors"
	"io"
	"sync"
	"syscall"

	"github.com/pgring/pgring/ingest/internal/wal"
)

// recordLog is what the records of a queue are durable in, in one order for all who read it. There are two: fileLog is of this proxy
// alone, topicLog of all proxies. Whichever it is, the same lanes apply it, and by the same rules.
type recordLog interface {
	recordWriter
	recordReader
	recordRange
	io.Closer
}

type recordWriter interface {
	// Append makes a record durable and returns its index: its place in the log. Errors are those of Queue.Append, or errLogFull.
	Append(ctx context.Context, r *Record) (index uint64, err error)
	// Last is the index of the last record, as far as this proxy knows.
	Last() uint64
	// Size is what the log takes up, in bytes; 0: not known.
	Size() int64
}

type recordReader interface {
	// Read begins to read at a record. One goroutine uses what is returned, and closes it.
	Read(from uint64) (cursor, error)
}

type recordRange interface {
	// Done returns a record up to which all are done, by whomever.
	Done(ctx context.Context) (uint64, error)
	// Release lets go of records up to one that are done.
	Release(ctx context.Context, upTo uint64) error
	// Forget has the shards forget what they know of records that are never read again.
	Forget(ctx context.Context)
}

// cursor reads records one after the other.
type cursor interface {
	// Next returns the next record, waiting for it if need be. It is valid until the next call.
	Next(ctx context.Context) (entry, error)
	// Close ends the reading.
	Close()
}

// entry is a record as a log has it.
type entry struct {
	data   []byte
	index  uint64 // its place
	number uint64 // its source's number of it: records of one source and key have rising numbers
}

// errLogFull says that a log is as large as it may be. The record was not accepted.
var errLogFull = errors.New("log is full")

// recordRoom bounds the buffers that are kept for records.
const recordRoom = 16 << 10

// fileLog is a log on this proxy's disk. A source numbers its records by their places.
type fileLog struct {
	*wal.Log
	queue   *Queue
	buffers sync.Pool // *[]byte, in which records are written down
}

// Append implements recordLog.
func (l *fileLog) Append(_ context.Context, r *Record) (uint64, error) {
	t, err := l.submit(r, nil)
	if err != nil {
		return 0, err
	}
	<-t.Done()
	return l.outcome(t)
}

// submit begins to append a record and does not wait; told is called when there is an outcome.
func (l *fileLog) submit(r *Record, told func()) (wal.Ticket, error) {
	r.source = l.queue.source
	buffer, _ := l.buffers.Get().(*[]byte)
	if buffer == nil {
		buffer = new([]byte)
	}
	data := r.encode((*buffer)[:0])
	if *buffer = data; cap(data) <= recordRoom {
		defer l.buffers.Put(buffer)
	}
	if len(data) > MaxRecord {
		return wal.Ticket{}, ErrTooLarge
	}
	t, err := l.Submit(data, told)
	return t, l.meaning(err)
}

// outcome is what became of a record.
func (l *fileLog) outcome(t wal.Ticket) (uint64, error) {
	index, err := t.Outcome()
	return index, l.meaning(err)
}

// meaning is the error of Queue.Append for one of the log's. A full disk is met before a record is accepted; where it is met while one
// is written, as on file systems that copy on write, the record may be there.
func (l *fileLog) meaning(err error) error {
	switch {
	case err == nil:
		return nil
	case isFull(err) && errors.Is(err, wal.ErrFull):
		return ErrDiskFull
	case errors.Is(err, wal.ErrTooLarge):
		return ErrTooLarge
	case errors.Is(err, wal.ErrClosed):
		return &RefusedError{Err: err}
	case errors.Is(err, wal.ErrFull):
		return errLogFull
	}
	l.queue.fail(err)
	return &DoubtError{Err: err}
}

// Read implements recordLog.
func (l *fileLog) Read(from uint64) (cursor, error) { return fileCursor{l.Reader(from)}, nil }

// Done implements recordLog.
func (l *fileLog) Done(context.Context) (uint64, error) { return l.First() - 1, nil }

// Release implements recordLog.
func (l *fileLog) Release(_ context.Context, upTo uint64) error { return l.Log.Release(upTo) }

// Forget implements recordLog.
func (l *fileLog) Forget(ctx context.Context) { l.queue.forget(ctx, l.First()-1) }

type fileCursor struct{ *wal.Reader }

// Next implements cursor.
func (c fileCursor) Next(ctx context.Context) (entry, error) {
	data, index, err := c.Reader.Next(ctx)
	return entry{data: data, index: index, number: index}, err
}

// Close implements cursor.
func (c fileCursor) Close() {}

// isFull tells a disk without room from one that fails.
func isFull(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }
