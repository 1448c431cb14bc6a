package rebalance

import (
	"bytes"
	"context"
	"io"
	"sync/atomic"
	"time"
)

// meter is where a copy's rows pass on their way to the target: it counts them, keeps to the pace, and tells people how far it is. It
// belongs to one goroutine, but for the size of loads.
type meter struct {
	driver *driver
	to     io.Writer
	buffer []byte
	rows   int64 // in the buffer

	allRows, allBytes int64 // of the move
	saidRows          int64 // when people were told last
	saidBytes         int64
	said              time.Time
	waits             string // why it stands still, as people know

	load atomic.Int64 // bytes that the target is to get in one transaction
}

// fit changes the size of loads by how long one took.
func (m *meter) fit(size int64, took time.Duration) {
	switch {
	case took > longLoad:
		m.load.Store(max(size/2, smallLoad))
	case took < shortLoad && size >= m.load.Load():
		m.load.Store(min(2*size, largeLoad))
	}
}

// pieceBytes and pieceRows bound what goes at once.
const (
	pieceBytes = 64 << 10
	pieceRows  = 500
)

// sayEvery is how often people are told.
const sayEvery = time.Second

// writerFunc is an io.Writer.
type writerFunc func(data []byte) (int, error)

// Write calls the function.
func (w writerFunc) Write(data []byte) (int, error) { return w(data) }

// writer takes what the server's COPY sends, a row or several at a time.
func (m *meter) writer(ctx context.Context) io.Writer {
	return writerFunc(func(data []byte) (int, error) {
		m.buffer = append(m.buffer, data...)
		m.rows += int64(bytes.Count(data, []byte{'\n'})) // every row ends with one, and those in values are escaped
		if len(m.buffer) >= pieceBytes || m.rows >= pieceRows {
			return len(data), m.flush(ctx)
		}
		return len(data), nil
	})
}

func (m *meter) flush(ctx context.Context) error {
	size := int64(len(m.buffer))
	if size == 0 {
		return nil
	}
	move := &m.driver.move
	err := m.driver.controller.pace.wait(ctx, move.From, move.To, m.rows, size, func(reason string) { m.wait(ctx, reason) })
	if err != nil {
		return err
	}
	m.wait(ctx, "")
	if _, err := m.to.Write(m.buffer); err != nil {
		return err
	}
	m.allRows, m.allBytes = m.allRows+m.rows, m.allBytes+size
	m.driver.controller.stats.rowsCopied.Add(m.rows)
	m.driver.controller.stats.bytesCopied.Add(size)
	m.buffer, m.rows = m.buffer[:0], 0
	if time.Since(m.said) >= sayEvery {
		m.say(ctx)
	}
	return nil
}

// wait tells people why the copy stands still, once.
func (m *meter) wait(ctx context.Context, reason string) {
	if reason != m.waits {
		m.waits = reason
		m.driver.report(ctx, waiting(reason))
	}
}

// say tells people how far the copy is, and how quick it was since they were told last.
func (m *meter) say(ctx context.Context) {
	notes := []note{rowsCopied(m.allRows), bytesCopied(m.allBytes)}
	if !m.said.IsZero() {
		seconds := time.Since(m.said).Seconds()
		notes = append(notes, rowRate(float64(m.allRows-m.saidRows)/seconds), byteRate(float64(m.allBytes-m.saidBytes)/seconds))
	}
	m.saidRows, m.saidBytes, m.said = m.allRows, m.allBytes, time.Now()
	m.driver.report(ctx, notes...)
}
