package proxy

import (
	"context"
	"strconv"

	"github.com/pgring/pgring/pgwire"
)

// copyOut runs COPY … TO STDOUT on several shards and puts their data behind each other, frame by frame.
func (c *session) copyOut(ctx context.Context, g *gathering) error {
	if err := g.hide(); err != nil {
		return c.reject(err)
	}
	sources, err := c.startGather(ctx, g)
	if err != nil {
		return err
	}
	c.awaitAnswers(ctx, sources)
	if err = c.streamCopies(g, sources); err != nil {
		c.abortGather(ctx, sources)
		return c.failGather(g, sources, err)
	}
	rows := int64(0)
	for _, s := range sources {
		rows += affected(s.tag)
	}
	b := pgwire.AppendEmpty(c.out[:0], pgwire.CopyDone)
	c.out = pgwire.AppendText(b, pgwire.CommandComplete, "COPY "+strconv.FormatInt(rows, 10))
	return c.write(c.out)
}

// streamCopies relays the data of all sources, one after another.
func (c *session) streamCopies(g *gathering, sources []*shardRows) error {
	for i, s := range sources {
		d := copyData{shardRows: s, first: i == 0, last: i == len(sources)-1, begins: true, binary: g.plan.Out.Binary, header: g.plan.Out.Header}
		if err := c.streamCopy(&d); err != nil {
			return err
		}
	}
	return nil
}

// copyData is one shard's part of the data that a client gets.
type copyData struct {
	*shardRows
	first, last    bool
	begins         bool // no data of the shard have come
	binary, header bool
}

func (c *session) streamCopy(d *copyData) error {
	for !d.ended {
		typ, size, err := d.peek()
		if err != nil {
			return err
		}
		switch typ {
		case pgwire.CopyData:
			err = c.streamCopyData(d, size)
		case pgwire.CopyOutResponse:
			var frame []byte
			if frame, err = d.frame(size); err == nil && d.first {
				err = c.write(frame)
			}
		default:
			err = d.other(typ, size)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// streamCopyData relays one message of data, without what only the whole has: a header line before it, or the header and trailer of
// binary data. PostgreSQL sends each row in a message, the header line and the trailer in one of their own; the binary header comes
// before what is first in the same message.
func (c *session) streamCopyData(d *copyData, size int) error {
	begins := d.begins
	d.begins = false
	const trailer = pgwire.HeaderSize + 2
	switch {
	case d.header && !d.binary && begins && !d.first:
		return d.discard(size)
	case d.binary && (begins || size == trailer):
		frame, err := d.frame(size)
		if err != nil {
			return err
		}
		return c.streamBinary(d, frame[pgwire.HeaderSize:], begins)
	}
	return c.passData(d.shardRows, size)
}

// passData moves one message to the client: whole or not at all, unless it is larger than a buffer.
func (c *session) passData(s *shardRows, size int) error {
	wire := s.part.conn.Wire()
	if size > pgwire.BufferSize {
		if err := wire.Pipe(c.client, size); err != nil {
			return s.torn(err)
		}
		return nil
	}
	err := wire.Need(size)
	if err != nil {
		return s.lost(err)
	}
	_, err = wire.PipeBuffered(c.client, size)
	return err
}

// streamBinary relays a message that may have the header of binary data, or be its trailer.
func (c *session) streamBinary(d *copyData, data []byte, begins bool) error {
	const header = 19 // signature, flags, length of the extension, which is empty
	var out []byte
	if begins && len(data) >= header {
		if d.first {
			out = append(out, data[:header]...)
		}
		data = data[header:]
	}
	if trailer := len(data) == 2 && data[0] == 0xff && data[1] == 0xff; !trailer || d.last {
		out = append(out, data...)
	}
	if len(out) == 0 {
		return nil
	}
	b, at := pgwire.Begin(c.out[:0], pgwire.CopyData)
	c.out = pgwire.End(append(b, out...), at)
	return c.write(c.out)
}

// discard drops a message.
func (s *shardRows) discard(size int) error {
	if err := s.part.conn.Wire().Discard(size); err != nil {
		return s.lost(err)
	}
	return nil
}

// torn is the error of a message that could not be passed on whole: after its beginning nothing more can be told to the client.
func (s *shardRows) torn(err error) error {
	if clientError(err) != nil {
		return err
	}
	s.broken = true
	return &pgwire.IOError{Side: pgwire.ClientSide, Write: true, Err: err}
}
