package saga

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"github.com/pgring/pgring/backend"
	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/ring"
)

// maxAnswer bounds, in bytes, a frame of the answers read here: tags, one-column rows and errors.
const maxAnswer = 1 << 20

// answer is what a shard said to one simple query.
type answer struct {
	tag string // of the last statement
	row string // the first column of the last row
}

// branch is one shard's part of a transaction.
type branch struct {
	conn  *backend.Conn
	shard ring.ShardID
	gid   string // empty for home
	state branchState

	answer answer // to the last message
	err    error  // *pgwire.Error if the server refused it, *lostError if there was no answer
}

// branchState says what the shard holds of a transaction.
//
//	open ─PREPARE▶ prepared ─COMMIT or ROLLBACK PREPARED▶ ended
//	  │  └─no answer▶ doubtful ◀─no answer─┘ │        ▲ ▲
//	  │                  └─ by the operator ─┼────────┘ │
//	  └─ COMMIT, ROLLBACK, connection lost ──┴──────────┘
type branchState uint8

const (
	open     branchState = iota + 1 // a transaction block; its end is the connection's end at the latest
	prepared                        // outlives the connection
	doubtful                        // perhaps prepared, and its own connection cannot say
	ended                           // nothing is left to do
)

// query is a simple Query.
func query(sql string) []byte { return pgwire.AppendText(nil, pgwire.Query, sql) }

// appendBind appends a Bind of the unnamed statement; values of type bytea are in binary.
func appendBind(b []byte, types []uint32, values [][]byte) []byte {
	b, at := pgwire.Begin(b, pgwire.Bind)
	b = append(b, 0, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(len(types)))
	for _, typ := range types {
		b = binary.BigEndian.AppendUint16(b, uint16(order(typ == oidBytea)))
	}
	b = binary.BigEndian.AppendUint16(b, uint16(len(values)))
	for _, value := range values {
		if value == nil {
			b = binary.BigEndian.AppendUint32(b, 1<<32-1) // NULL
			continue
		}
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(value))), value...)
	}
	return pgwire.End(binary.BigEndian.AppendUint16(b, 0), at)
}

// ask sends each branch frames that end in one ReadyForQuery, and reads the answers; the shards work side by side. When ctx ends
// first, the connections that have not answered are lost.
func (c *Coordinator) ask(ctx context.Context, message string, branches []*branch, frames func(*branch) []byte) {
	defer bound(ctx, branches)()
	for _, b := range branches {
		c.reach(message, before, b.shard)
		b.answer, b.err = answer{}, send(b.conn, frames(b))
		c.reach(message, sent, b.shard)
	}
	receiveAll(branches)
	for _, b := range branches {
		c.reach(message, answered, b.shard)
	}
}

// receiveAll reads the answers side by side too, so that a shard that hangs does not take the others' answers with it.
func receiveAll(branches []*branch) {
	var group sync.WaitGroup
	for _, b := range branches {
		if b.err == nil {
			// owner: receiveAll; ends with the answer, or when bound cuts the connection.
			group.Go(func() { b.answer, b.err = receive(b.conn) })
		}
	}
	group.Wait()
}

// bound makes reads and writes of the branches' connections fail once ctx has ended. The function it returns lifts that.
func bound(ctx context.Context, branches []*branch) (lift func()) {
	fired := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(fired)
		setDeadlines(branches, time.Unix(1, 0))
	})
	return func() {
		if !stop() {
			<-fired
			setDeadlines(branches, time.Time{})
		}
	}
}

func setDeadlines(branches []*branch, at time.Time) {
	for _, b := range branches {
		_ = b.conn.Wire().Net().SetDeadline(at) // fails only on a closed connection, which needs none
	}
}

func send(conn *backend.Conn, frames []byte) error {
	wire := conn.Wire()
	err := wire.Write(frames)
	if err == nil {
		err = wire.Flush()
	}
	if err != nil {
		return lose(conn, nil, err)
	}
	return nil
}

// receive reads one answer up to ReadyForQuery.
func receive(conn *backend.Conn) (answer, error) {
	var got answer
	var refused *pgwire.Error
	for {
		frame, err := readFrame(conn.Wire())
		if err != nil {
			return got, lose(conn, refused, err)
		}
		body := pgwire.BodyOf(frame)
		switch frame[0] {
		case pgwire.ReadyForQuery:
			conn.SetStatus(body.Byte())
			if refused != nil {
				return got, refused
			}
			return got, nil
		case pgwire.ErrorResponse:
			refused = pgwire.ParseError(frame)
		case pgwire.CommandComplete:
			got.tag = string(body.Text())
		case pgwire.DataRow:
			if body.Int16() > 0 {
				got.row = string(body.Bytes(body.Int32()))
			}
		}
	}
}

func readFrame(wire *pgwire.Conn) ([]byte, error) {
	_, size, err := wire.Peek()
	if err != nil {
		return nil, err
	}
	frame, err := wire.Frame(size, maxAnswer)
	if err != nil {
		return nil, fmt.Errorf("read %d-byte frame: %w", size, err)
	}
	return frame, nil
}

// lose gives a connection up for good: whoever uses it next must not read the answer to our message as the one to theirs.
func lose(conn *backend.Conn, last *pgwire.Error, err error) error {
	conn.MarkDirty("connection lost")
	_ = conn.Wire().Close() // it is broken already, or about to be
	return &lostError{last: last, err: err}
}
