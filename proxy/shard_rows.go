package proxy

import (
	"errors"
	"fmt"
	"io"

	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/ring"
)

// shardRows is one server's answer, read row by row; it implements merge.Source.
type shardRows struct {
	session  *session
	part     *participant
	oids     []uint32 // of the parameters' types, as the shard has them
	extended bool
	opening  int // statements and closes that open the transaction there, sent ahead and not answered yet
	limit    int
	ended    bool // the answer was read to its end
	complete bool // CommandComplete has come
	tag      string
	broken   bool // the connection is lost
	failed   *pgwire.Error
	fields   []pgwire.Field

	work  *work      // of a write in mode saga: how it is undone
	keyed int        // how many columns behind the client's are the primary key of a new row
	keys  [][][]byte // of the rows read so far
}

func (s *shardRows) shard() ring.ShardID { return s.part.shard }

// start sends the statement.
func (s *shardRows) start(g *gathering) error {
	wire := s.part.conn.Wire()
	var b []byte
	if g.bind == nil {
		b = pgwire.AppendText(nil, pgwire.Query, g.textFor(s.shard()))
	} else {
		b = appendOwnPortal(pgwire.AppendParse(nil, "", g.textFor(s.shard()), s.oids), g.bind)
		b = pgwire.AppendExecute(b, ownPortal, 0)
		b = pgwire.AppendTarget(b, pgwire.Close, 'P', ownPortal)
		b = pgwire.AppendEmpty(b, pgwire.Flush)
		s.part.unsynced, s.part.unnamed = true, 0
	}
	err := wire.Write(b)
	if err == nil {
		err = wire.Flush()
	}
	if err != nil {
		s.broken = true
		return &lostError{shard: s.shard(), err: err}
	}
	return nil
}

// appendOwnPortal binds the unnamed statement to the session's own portal with the client's parameters, and describes it.
func appendOwnPortal(b []byte, bind *bindMessage) []byte {
	b = pgwire.AppendTarget(b, pgwire.Close, 'P', ownPortal)
	b = appendBindTo(b, &bindMessage{portal: []byte(ownPortal), rest: bind.rest}, "")
	return pgwire.AppendTarget(b, pgwire.Describe, 'P', ownPortal)
}

// appendClosedPortal is appendOwnPortal for a portal that is described only: an open one would keep its tables in use.
func appendClosedPortal(b []byte, bind *bindMessage) []byte {
	return pgwire.AppendTarget(appendOwnPortal(b, bind), pgwire.Close, 'P', ownPortal)
}

// closedAgain tells the last answer to the messages of appendClosedPortal: they close the portal before and after.
func closedAgain() func(typ byte) bool {
	closed := 0
	return func(typ byte) bool {
		if typ == pgwire.CloseComplete {
			closed++
		}
		return closed == 2
	}
}

// description waits for the RowDescription.
func (s *shardRows) description() ([]pgwire.Field, error) {
	for s.fields == nil {
		typ, size, err := s.peek()
		if err != nil {
			return nil, err
		}
		if typ == pgwire.DataRow || typ == pgwire.CommandComplete {
			return nil, errProtocol("server sent rows without a description")
		}
		if err := s.other(typ, size); err != nil {
			return nil, err
		}
	}
	return s.fields, nil
}

// Next returns the next DataRow frame; io.EOF at the end of the answer.
func (s *shardRows) Next() ([]byte, error) {
	for !s.ended {
		typ, size, err := s.peek()
		if err != nil {
			return nil, err
		}
		if typ == pgwire.DataRow {
			return s.frame(size)
		}
		if err := s.other(typ, size); err != nil {
			return nil, err
		}
	}
	return nil, io.EOF
}

// finish reads and drops what is left of the answer.
func (s *shardRows) finish() error {
	for !s.ended {
		typ, size, err := s.peek()
		if err != nil {
			return err
		}
		if typ == pgwire.DataRow {
			if err := s.part.conn.Wire().Discard(size); err != nil {
				return s.lost(err)
			}
			continue
		}
		if err := s.other(typ, size); err != nil && s.broken {
			return err
		}
	}
	return nil
}

// openings reads the answers to what opens the transaction. It stops behind the last of them with type 0, or before a frame that is
// to be looked at.
func (s *shardRows) openings() (byte, int, error) {
	wire := s.part.conn.Wire()
	for s.opening > 0 {
		typ, size, err := wire.Peek()
		if err == nil {
			switch typ {
			case pgwire.NoticeResponse, pgwire.ParameterStatus, pgwire.ErrorResponse:
				return typ, size, nil
			case pgwire.CommandComplete, pgwire.EmptyQueryResponse, pgwire.CloseComplete:
				s.opening--
			}
			err = wire.Discard(size)
		}
		if err != nil {
			return 0, 0, s.lost(err)
		}
	}
	return 0, 0, nil
}

func (s *shardRows) peek() (byte, int, error) {
	if typ, size, err := s.openings(); typ != 0 || err != nil {
		return typ, size, err
	}
	typ, size, err := s.part.conn.Wire().Peek()
	if err != nil {
		return 0, 0, s.lost(err)
	}
	return typ, size, nil
}

func (s *shardRows) frame(size int) ([]byte, error) {
	frame, err := s.part.conn.Wire().Frame(size, s.limit)
	if errors.Is(err, pgwire.ErrFrameTooLarge) {
		return nil, &pgwire.Error{Code: codeTooLarge, Message: fmt.Sprintf("a row of %d bytes is too large to be merged", size),
			Hint: "Raise limits.message_size, or read the shards one by one."}
	}
	if err != nil {
		return nil, s.lost(err)
	}
	return frame, nil
}

func (s *shardRows) lost(err error) error {
	s.broken = true
	return &lostError{shard: s.shard(), last: s.failed, err: err}
}

// other handles every frame but DataRow.
func (s *shardRows) other(typ byte, size int) error {
	wire := s.part.conn.Wire()
	if typ == pgwire.NoticeResponse || typ == pgwire.ParameterStatus {
		return wire.Pipe(s.session.sink, size)
	}
	frame, err := s.frame(size)
	if err != nil {
		return err
	}
	body := pgwire.BodyOf(frame)
	switch typ {
	case pgwire.RowDescription:
		if err := s.part.types.describe(frame); err != nil {
			return err
		}
		fields, ok := pgwire.ParseRowDescription(frame)
		if !ok {
			return errProtocol("malformed RowDescription from server")
		}
		s.fields = fields
	case pgwire.CommandComplete:
		s.complete = true
		s.tag = string(body.Text())
	case pgwire.CloseComplete:
		s.ended = s.complete // of the portal that has been run
	case pgwire.ReadyForQuery:
		s.part.conn.SetStatus(body.Byte())
		s.part.unsynced, s.part.skips = false, false
		s.ended = true
	case pgwire.ErrorResponse:
		return s.refused(frame)
	}
	return nil
}

func (s *shardRows) refused(frame []byte) error {
	s.failed = pgwire.ParseError(frame)
	if isFatal(frame) {
		return s.lost(s.failed)
	}
	if s.opening > 0 { // nobody knows what the connection has been told
		s.failed.Position, s.broken = 0, true
		return s.failed
	}
	if s.extended {
		s.ended, s.part.skips = true, true
	}
	return s.failed
}

// begins reads up to the first frame behind the description, which it leaves unread, and reports whether all is well so far. It
// writes nothing to the client.
func (s *shardRows) begins() bool {
	for !s.complete {
		typ, size, err := s.peek()
		if err != nil {
			return false
		}
		switch typ {
		case pgwire.ParseComplete, pgwire.BindComplete, pgwire.CloseComplete, pgwire.RowDescription, pgwire.NoData:
			if s.other(typ, size) != nil {
				return false
			}
		default:
			return typ != pgwire.ErrorResponse
		}
	}
	return true
}
