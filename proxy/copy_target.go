package proxy

import (
	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/router"
)

// copyTo is the part of a COPY FROM STDIN that one shard gets.
type copyTo struct {
	part     *participant
	frame    []byte // a CopyData message in the making
	lines    copyLines
	opened   bool // the server waits for data
	finished bool // the end of its data was sent

	// Written by the goroutine that hears the server's answer, read when it has ended.
	tag    string
	failed *pgwire.Error
	lost   error
}

// opens reads up to the server's CopyInResponse. False: it has given an error instead, or is lost.
func (to *copyTo) opens(f *copyFeed) bool {
	wire := to.part.conn.Wire()
	for {
		typ, size, err := wire.Peek()
		if err != nil {
			to.lost = &lostError{shard: to.part.shard, err: err}
			return false
		}
		switch typ {
		case pgwire.CopyInResponse:
			frame, err := readFrame(wire)
			if err != nil {
				to.lost = &lostError{shard: to.part.shard, err: err}
				return false
			}
			if f.opened == nil {
				f.opened = append([]byte(nil), frame...)
			}
			to.opened = true
			return true
		case pgwire.NoticeResponse, pgwire.ParameterStatus:
			if err := wire.Pipe(f.session.client, size); err != nil {
				to.lost = err
				return false
			}
		default:
			to.hear(f)
			return false
		}
	}
}

// hear reads what a server says until it has ended the COPY.
func (to *copyTo) hear(f *copyFeed) {
	if to.lost != nil {
		return
	}
	wire := to.part.conn.Wire()
	for {
		typ, size, err := wire.Peek()
		if err == nil && (typ == pgwire.NoticeResponse || typ == pgwire.ParameterStatus) {
			if err = f.notice(wire, size); err == nil {
				continue
			}
		}
		var frame []byte
		if err == nil {
			frame, err = readFrame(wire)
		}
		if err != nil {
			to.lost = &lostError{shard: to.part.shard, last: to.failed, err: err}
			f.fail()
			return
		}
		body := pgwire.BodyOf(frame)
		switch typ {
		case pgwire.CommandComplete:
			to.tag = string(body.Text())
		case pgwire.ErrorResponse:
			to.failed = pgwire.ParseError(frame)
			f.fail()
		case pgwire.ReadyForQuery:
			to.part.conn.SetStatus(body.Byte())
			to.part.unsynced, to.part.skips = false, false
			return
		}
	}
}

func (to *copyTo) add(piece *router.CopyPiece) error {
	if len(to.frame) == 0 {
		to.frame = append(to.frame, pgwire.CopyData, 0, 0, 0, 0)
	}
	to.frame = append(to.frame, piece.Data...)
	switch {
	case piece.Lines == 0:
	case to.lines.total == 0:
		to.lines.add(piece.Line, piece.First)
	default:
		to.lines.add(piece.Line, piece.Lines)
	}
	if len(to.frame) < copyChunk {
		return nil
	}
	return to.send()
}

// send writes the rows collected for a shard.
func (to *copyTo) send() error {
	if len(to.frame) == 0 {
		return nil
	}
	err := to.part.conn.Wire().Write(pgwire.End(to.frame, 0))
	to.frame = to.frame[:0]
	if err != nil {
		return &lostError{shard: to.part.shard, err: err}
	}
	return nil
}

// finish sends what is left for a shard and the end of its data, once. If the shard is lost, who hears it knows that, and tells.
func (to *copyTo) finish(message []byte) {
	if to.finished || !to.opened {
		return
	}
	to.finished = true
	wire := to.part.conn.Wire()
	if to.send() == nil && wire.Write(message) == nil {
		_ = wire.Flush()
	}
}
