package proxy

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/pgring/pgring/backend"
	"github.com/pgring/pgring/pgwire"
)

// outcome is the answer to a statement that the session itself ran.
type outcome struct {
	tag        string
	row        []string // the first row, NULL as ""
	rows       int
	parameters map[string]string // ParameterStatus reported on the way
	status     byte
	types      []uint32 // of a ParameterDescription
	fields     []byte   // a RowDescription
}

// runText runs one simple query of the session's own on an otherwise quiet connection and reads it to its end. A server error
// is a *pgwire.Error; any other error is a broken connection.
func runText(conn *backend.Conn, sql string) (outcome, error) {
	if err := sendText(conn, sql); err != nil {
		return outcome{}, err
	}
	return readOutcome(conn)
}

func sendText(conn *backend.Conn, sql string) error {
	wire := conn.Wire()
	if err := wire.Write(pgwire.AppendText(nil, pgwire.Query, sql)); err != nil {
		return &lostError{shard: conn.Shard(), err: err}
	}
	if err := wire.Flush(); err != nil {
		return &lostError{shard: conn.Shard(), err: err}
	}
	return nil
}

// readOutcome reads one answer up to ReadyForQuery.
func readOutcome(conn *backend.Conn) (outcome, error) { return readRows(conn, nil) }

// readRows is readOutcome for all rows of an answer; their frames are valid until the next one.
func readRows(conn *backend.Conn, row func(frame []byte)) (out outcome, failure error) {
	wire := conn.Wire()
	var refused *pgwire.Error
	for {
		frame, err := readFrame(wire)
		if err != nil {
			conn.MarkDirty("connection lost")
			return out, &lostError{shard: conn.Shard(), last: refused, err: err}
		}
		body := pgwire.BodyOf(frame)
		switch frame[0] {
		case pgwire.ReadyForQuery:
			out.status = body.Byte()
			conn.SetStatus(out.status)
			if refused != nil {
				return out, refused
			}
			return out, nil
		case pgwire.ErrorResponse:
			refused = pgwire.ParseError(frame)
		case pgwire.CommandComplete:
			out.tag = string(body.Text())
		default:
			if out.take(frame); row != nil && frame[0] == pgwire.DataRow {
				row(frame)
			}
		}
	}
}

func textRow(body pgwire.Body) []string {
	row := make([]string, max(body.Int16(), 0))
	for i := range row {
		if n := body.Int32(); n >= 0 {
			row[i] = string(body.Bytes(n))
		}
	}
	return row
}

// readFrame reads a whole frame that is known to be small.
func readFrame(wire *pgwire.Conn) ([]byte, error) {
	_, size, err := wire.Peek()
	if err != nil {
		return nil, err
	}
	frame, err := wire.Frame(size, maxControlFrame)
	if err != nil {
		return nil, fmt.Errorf("read %d-byte frame: %w", size, err)
	}
	return frame, nil
}

// maxControlFrame bounds, in bytes, the frames that a session must look at: errors, descriptions, parameters. PostgreSQL's own
// limits (1,664 columns, 64-byte names) keep them far below.
const maxControlFrame = 16 << 20

// run runs a statement of the session's own on the participant. In the middle of a pipeline it becomes part of it, so that the
// pipeline stays one transaction.
func (p *participant) run(sql string) (outcome, error) {
	p.unnamed = 0
	if !p.unsynced {
		return runText(p.conn, sql)
	}
	b := appendRun(pgwire.AppendTarget(nil, pgwire.Close, 'P', ownPortal), ownPortal, sql)
	return p.exchange(b, func(typ byte) bool { return typ == pgwire.CommandComplete || typ == pgwire.EmptyQueryResponse })
}

// sync ends the participant's pipeline.
func (p *participant) sync() error {
	return syncAll([]*participant{p})
}

// syncAll ends the pipelines of those that are in one. All are asked before the first answer is read.
func syncAll(parts []*participant) error {
	asked := make([]*participant, 0, len(parts))
	var failure error
	for _, p := range parts {
		if !p.unsynced {
			continue
		}
		if err := p.sendSync(); err != nil {
			failure = cmp.Or(failure, err)
			continue
		}
		asked = append(asked, p)
	}
	for _, p := range asked {
		_, err := readOutcome(p.conn)
		failure = cmp.Or(failure, err)
	}
	return failure
}

func (p *participant) sendSync() error {
	wire := p.conn.Wire()
	err := wire.Write(pgwire.AppendEmpty(nil, pgwire.Sync))
	if err == nil {
		err = wire.Flush()
	}
	if err != nil {
		return &lostError{shard: p.shard, err: err}
	}
	p.unsynced, p.skips = false, false
	return nil
}

// take keeps what a frame in the middle of an answer tells.
func (out *outcome) take(frame []byte) {
	body := pgwire.BodyOf(frame)
	switch frame[0] {
	case pgwire.ParameterStatus:
		if out.parameters == nil {
			out.parameters = map[string]string{}
		}
		name := string(body.Text())
		out.parameters[name] = string(body.Text())
	case pgwire.ParameterDescription:
		for range body.Int16() {
			out.types = append(out.types, uint32(body.Int32()))
		}
	case pgwire.RowDescription:
		out.fields = slices.Clone(frame)
	case pgwire.DataRow:
		if out.rows++; out.rows == 1 {
			out.row = textRow(body)
		}
	}
}
