package proxy

import (
	"fmt"
	"io"

	"github.com/pgring/pgring/pgwire"
)

// copyHeader is the CopyData with which binary COPY begins: signature, no flags, no extension (PostgreSQL manual, COPY).
var copyHeader = []byte("d\x00\x00\x00\x17PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00")

// copyTrailer is the CopyData with which it ends.
var copyTrailer = []byte("d\x00\x00\x00\x06\xff\xff")

// errEndOfRows is what shardRows.Next says at the end.
var errEndOfRows = io.EOF

// openCopy begins a COPY FROM STDIN of the session's own, as part of the pipeline if the participant is in one.
func (p *participant) openCopy(sql string) error {
	p.unnamed = 0
	b := pgwire.AppendText(nil, pgwire.Query, sql)
	if p.unsynced {
		b = appendRun(pgwire.AppendTarget(nil, pgwire.Close, 'P', ownPortal), ownPortal, sql)
		b = pgwire.AppendEmpty(b, pgwire.Flush)
	}
	if err := p.tell(b); err != nil {
		return err
	}
	for {
		frame, err := readFrame(p.conn.Wire())
		if err != nil {
			return p.lost(err)
		}
		switch frame[0] {
		case pgwire.CopyInResponse:
			return nil
		case pgwire.ErrorResponse:
			return p.copyRefused(pgwire.ParseError(frame))
		case pgwire.ParseComplete, pgwire.BindComplete, pgwire.CloseComplete, pgwire.NoticeResponse, pgwire.ParameterStatus:
		default:
			return p.lost(fmt.Errorf("unexpected message type %q instead of CopyInResponse", frame[0]))
		}
	}
}

// closeCopy ends the COPY: with its rows, or as failed for the cause. It returns the server's error, if it is not the echo of the cause.
func (p *participant) closeCopy(cause error) error {
	b := pgwire.AppendEmpty(append([]byte(nil), copyTrailer...), pgwire.CopyDone)
	if cause != nil {
		b = pgwire.AppendText(nil, pgwire.CopyFail, "rows of another shard could not be read")
	}
	if p.unsynced {
		b = pgwire.AppendEmpty(b, pgwire.Flush)
	}
	if err := p.tell(b); err != nil {
		return err
	}
	for {
		frame, err := readFrame(p.conn.Wire())
		if err != nil {
			return p.lost(err)
		}
		body := pgwire.BodyOf(frame)
		switch {
		case frame[0] == pgwire.ErrorResponse:
			return p.copyRefused(pgwire.ParseError(frame))
		case frame[0] == pgwire.CommandComplete && p.unsynced:
			return nil
		case frame[0] == pgwire.ReadyForQuery:
			p.conn.SetStatus(body.Byte())
			return nil
		}
	}
}

// copyRefused reads on to where the server waits for more after an error: up to ReadyForQuery, or, in a pipeline, to Sync.
func (p *participant) copyRefused(e *pgwire.Error) error {
	if endsConnection(e) {
		return p.lost(e)
	}
	if p.unsynced {
		p.skips = true
		return e
	}
	if _, err := readOutcome(p.conn); err != nil {
		return err
	}
	return e
}

// tell writes messages and sends them.
func (p *participant) tell(b []byte) error {
	err := p.conn.Wire().Write(b)
	if err == nil {
		err = p.conn.Wire().Flush()
	}
	if err != nil {
		return p.lost(err)
	}
	return nil
}

// lost notes that the connection is of no use any more.
func (p *participant) lost(err error) error {
	p.conn.MarkDirty("connection lost")
	failure := &lostError{shard: p.shard, err: err}
	if e, ok := err.(*pgwire.Error); ok {
		failure.last = e
	}
	return failure
}
