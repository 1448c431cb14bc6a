package proxy

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/router"
)

// copyFeed is a COPY FROM STDIN into several shards. The session's goroutine reads the client and writes to all shards, at the pace
// of the slowest; for each shard another goroutine hears what its server says meanwhile.
type copyFeed struct {
	session *session
	rows    *router.CopyRows
	to      []*copyTo
	opened  []byte // the first shard's CopyInResponse
	ended   bool   // the data's end marker has come

	over   atomic.Bool // some server has ended its COPY: nothing more is to be read
	broken atomic.Bool // some server has failed
	client sync.Mutex  // for notices: nothing else is written to the client meanwhile
}

// copyChunk is how many bytes of rows are collected for one message to a shard.
const copyChunk = 32 << 10

// runCopy runs COPY FROM STDIN on several shards, within the transaction that is open.
func (c *session) runCopy(ctx context.Context, s *spread) (string, error) {
	parts := s.parts()
	sources, err := c.enlistAll(ctx, s, parts)
	if err == nil {
		err = c.awaitOpenings(sources)
	}
	if err != nil {
		return "", c.rejectBegun(err)
	}
	f := &copyFeed{session: c}
	for _, part := range parts {
		f.to = append(f.to, &copyTo{part: c.participant(part.Shard)})
	}
	f.rows = s.stmt.CopyRows(c.snap, s.plan.Shards)
	err = f.begin(s.text)
	if err == nil {
		err = f.run(ctx)
	}
	if failure := c.client.Net().SetReadDeadline(time.Time{}); failure != nil {
		return "", failure
	}
	tag := ""
	if err == nil {
		tag, err = f.tag(s)
	}
	if err != nil {
		return "", c.reject(err)
	}
	return tag, nil
}

// begin starts the COPY on all shards.
func (f *copyFeed) begin(text string) error {
	for _, to := range f.to {
		if err := sendText(to.part.conn, text); err != nil {
			f.cut()
			return err
		}
	}
	var failure error
	for _, to := range f.to {
		if to.opens(f) || failure != nil {
			continue
		}
		if failure = to.lost; failure == nil {
			failure = to.failed
		}
	}
	if failure != nil {
		f.end(pgwire.CopyFail)
		for _, to := range f.to {
			if to.opened {
				to.hear(f)
			}
		}
		f.dropLost()
	}
	return failure
}

// run feeds the shards until the client or a server ends the COPY.
func (f *copyFeed) run(ctx context.Context) error {
	c := f.session
	err := c.write(f.opened)
	if err == nil {
		err = c.client.Flush()
	}
	if err != nil {
		f.cut()
		return err
	}
	var heard sync.WaitGroup
	for _, to := range f.to {
		// owner: run, which waits for it; ends with the server's ReadyForQuery or its connection
		heard.Go(func() {
			to.hear(f)
			f.over.Store(true)
			c.wake() // an early answer must reach a client that has fallen silent
		})
	}
	all := make(chan struct{})
	var stubborn sync.WaitGroup
	// owner: run, which waits for it; ends when all servers have answered
	stubborn.Go(func() { f.press(ctx, all) })
	err = f.feed()
	if endsSession(err) {
		f.cut()
	}
	heard.Wait()
	close(all)
	stubborn.Wait()
	f.dropLost()
	if endsSession(err) {
		return err
	}
	if failure, rank := f.failure(); failure != nil && (err == nil || rank < cancelRank) {
		return failure
	}
	return err
}

// press cancels the COPY on servers that do not end it though another has failed, such as one that waits for a lock.
func (f *copyFeed) press(ctx context.Context, all <-chan struct{}) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for failed := false; ; failed = f.broken.Load() {
		select {
		case <-all:
			return
		case <-tick.C:
			if failed {
				f.session.cancelStatement(ctx)
			}
		}
	}
}

// fail has the session stop feeding.
func (f *copyFeed) fail() {
	f.broken.Store(true)
	f.over.Store(true)
	f.session.wake()
}

// notice relays a notice to the client at once.
func (f *copyFeed) notice(wire *pgwire.Conn, size int) error {
	f.client.Lock()
	defer f.client.Unlock()
	if err := wire.Pipe(f.session.client, size); err != nil {
		return err
	}
	return f.session.client.Flush()
}

// feed reads the client's messages. An error is what to tell the client unless a server has a better one.
func (f *copyFeed) feed() error {
	c := f.session
	for {
		if c.client.Buffered() == 0 {
			if err := f.flush(); err != nil {
				return f.stop(err)
			}
		}
		typ, size, err := c.await(0, f.over.Load)
		switch {
		case f.over.Load() && (err == nil || errors.Is(err, os.ErrDeadlineExceeded)):
			return f.stop(nil)
		case err != nil:
			return c.ended(err)
		}
		last := false
		if typ == pgwire.CopyData {
			c.client.Consume(pgwire.HeaderSize)
			err = f.data(size - pgwire.HeaderSize)
		} else {
			last, err = f.control(typ, size)
		}
		if err != nil {
			return f.stop(err)
		}
		if last {
			return nil
		}
	}
}

// maxControl is PostgreSQL's limit in bytes on the length of a message that carries no data during COPY (PQ_SMALL_MESSAGE_LIMIT).
const maxControl = 10_000

// control reads a message other than CopyData, and reports whether it was the last one of the COPY.
func (f *copyFeed) control(typ byte, size int) (last bool, err error) {
	c := f.session
	switch typ {
	case pgwire.CopyDone, pgwire.CopyFail, pgwire.Flush, pgwire.Sync:
	default:
		return false, fatal(codeProtocolViolation, fmt.Sprintf("unexpected message type %q during COPY from stdin", typ))
	}
	if size-1 > maxControl {
		return false, fatal(codeProtocolViolation, "invalid message length")
	}
	if err := c.awaitBytes(size, 0, f.over.Load); err != nil {
		if f.over.Load() && errors.Is(err, os.ErrDeadlineExceeded) {
			return false, nil // and the feed stops there
		}
		return false, c.ended(err)
	}
	frame, err := c.client.Frame(size, size)
	if err != nil {
		return false, err
	}
	switch typ {
	case pgwire.CopyDone:
		if err := f.rest(true); err != nil {
			return false, err
		}
		f.end(pgwire.CopyDone)
		return true, nil
	case pgwire.CopyFail:
		f.write(append([]byte(nil), frame...))
		return true, nil
	}
	return false, nil // PostgreSQL ignores Flush and Sync here
}

// stop ends the COPY on the shards because of an error, or of one that some server has given. The shards are told that their data are
// complete, so that each looks at all the rows it has got: one of them may have an error in an earlier line. A CopyFail would end
// it before. What they do is undone.
func (f *copyFeed) stop(err error) error {
	switch {
	case endsSession(err):
	case err != nil || f.broken.Load():
		f.end(pgwire.CopyDone)
	default:
		f.end(pgwire.CopyFail)
	}
	return err
}

// data divides the body of a CopyData message. If a server answers in the middle of it, the rest is dropped when it comes.
func (f *copyFeed) data(size int) error {
	c := f.session
	for size > 0 {
		err := c.awaitBytes(1, 0, f.over.Load)
		if f.over.Load() && (err == nil || errors.Is(err, os.ErrDeadlineExceeded)) {
			c.owed = size
			return nil
		}
		if err != nil {
			return c.ended(err)
		}
		pending := c.client.Pending()
		pending = pending[:min(len(pending), size)]
		f.rows.Give(pending)
		c.client.Consume(len(pending))
		size -= len(pending)
		if err := f.rest(false); err != nil {
			c.owed = size
			return err
		}
		if c.client.Buffered() == 0 {
			if err := f.flush(); err != nil {
				c.owed = size
				return err
			}
		}
	}
	return nil
}

// rest gives the shards the rows that are complete.
func (f *copyFeed) rest(last bool) error {
	for !f.ended {
		piece, ok := f.rows.Next(last)
		if !ok {
			break
		}
		f.ended = piece.End
		if err := f.give(&piece); err != nil {
			return err
		}
		if piece.Doubt != nil {
			return f.doubt(&piece)
		}
	}
	if f.rows.Held() > f.session.policy.MessageLimit && !f.ended {
		return &pgwire.Error{Code: codeTooLarge, Message: "a row of the COPY is too large to be placed",
			Detail: fmt.Sprintf("limits.message_size is %d.", f.session.policy.MessageLimit), Hint: "Raise limits.message_size.",
			Where: fmt.Sprintf("COPY, line %d", f.rows.Lines()+1)}
	}
	return nil
}

// give adds a piece to what its shard gets, or each.
func (f *copyFeed) give(piece *router.CopyPiece) error {
	if piece.To >= 0 {
		return f.to[piece.To].add(piece)
	}
	for _, to := range f.to {
		if err := to.add(piece); err != nil {
			return err
		}
	}
	return nil
}

// flush sends all that was collected.
func (f *copyFeed) flush() error {
	for _, to := range f.to {
		err := to.send()
		if err == nil {
			err = to.part.conn.Wire().Flush()
		}
		if err != nil {
			return &lostError{shard: to.part.shard, err: err}
		}
	}
	return nil
}

// doubt ends the COPY behind a row that its shard is expected to refuse: its error is better than the router's.
func (f *copyFeed) doubt(piece *router.CopyPiece) error {
	for i, to := range f.to {
		if i == max(piece.To, 0) {
			to.finish(pgwire.AppendEmpty(nil, pgwire.CopyDone))
		}
	}
	return piece.Doubt
}

// end sends each shard the end of the data, or that there is none. A connection that takes none is lost: who hears it will tell.
func (f *copyFeed) end(typ byte) {
	message := pgwire.AppendEmpty(nil, pgwire.CopyDone)
	if typ == pgwire.CopyFail {
		message = pgwire.AppendText(nil, pgwire.CopyFail, "COPY was given up")
	}
	f.write(message)
}

func (f *copyFeed) write(message []byte) {
	for _, to := range f.to {
		to.finish(message)
	}
}

// The ranks of errors: by the client's line, and those without one last. PostgreSQL puts the rows of a batch into the indexes
// together, so a key that is there already is noticed behind all other errors of the batch (copyfrom.c, MAX_BUFFERED_TUPLES; its limit
// by bytes is left out here).
const (
	lastRank   = 1 << 62
	cancelRank = lastRank + 1
	lineRank   = 1 << 20
	batchLines = 1000
)

// tag is the answer to the COPY: rows of several shards add up, those of a reference table are on each.
func (f *copyFeed) tag(s *spread) (string, error) {
	total := int64(0)
	for _, to := range f.to {
		total += affected(to.tag)
		if s.plan.Kind != router.Split && to.tag != f.to[0].tag {
			return "", errDiffers(s.stmt, f.to[0].part.shard, to.part.shard, f.to[0].tag, to.tag)
		}
	}
	if s.plan.Kind != router.Split {
		return f.to[0].tag, nil
	}
	return "COPY " + strconv.FormatInt(total, 10), nil
}
