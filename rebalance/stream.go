package rebalance

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// stream reads the source's changes of the moving slots and applies them to the target, in the order of their commits. It belongs to
// the driver's goroutine and makes progress only while pump runs.
type stream struct {
	driver *driver
	conn   *pgconn.PgConn
	apply  *applier

	inside   bool          // between Begin and Commit
	received pglogrepl.LSN // every change before it has been read
	durable  pglogrepl.LSN // and committed on the target
	markers  map[string]bool
	stopAt   pglogrepl.LSN // transactions that committed there or later are not applied; 0: all are
	halted   bool          // one such has come
	told     time.Time     // when the source last heard from us
}

// openStream goes on where the target's progress says. It does nothing when the stream is open.
func (d *driver) openStream(ctx context.Context) error {
	if d.stream != nil {
		return nil
	}
	var at, name string
	err := d.target.QueryRow(ctx, "UPDATE pgring.move_progress SET term = $2 WHERE move = $1 AND term <= $2 RETURNING lsn::text, slot",
		d.move.ID, d.term).Scan(&at, &name)
	if err != nil {
		return fmt.Errorf("read the progress: %w", err)
	}
	lsn, err := pglogrepl.ParseLSN(at)
	if err != nil {
		return fmt.Errorf("read the progress: %w", err)
	}
	// A controller that was overtaken may still be connected: it stands still, or the network between is cut.
	tag, err := d.source.Exec(ctx, `SELECT CASE WHEN active THEN pg_terminate_backend(active_pid, 1000) END FROM pg_replication_slots
WHERE slot_name = $1 AND wal_status <> 'lost'`, name)
	if err != nil {
		return fmt.Errorf("look at slot %s: %w", name, err)
	}
	if tag.RowsAffected() == 0 {
		return errSlotLost
	}
	conn, err := d.replicate(ctx, d.from())
	if err != nil {
		return err
	}
	err = pglogrepl.StartReplication(ctx, conn, name, lsn, pglogrepl.StartReplicationOptions{PluginArgs: []string{
		"proto_version '1'", "publication_names '" + publicationName(d.move.ID) + "'", "messages 'true'"}})
	if err != nil {
		closeConn(ctx, conn)
		return fmt.Errorf("start the stream %s: %w", name, err)
	}
	d.stream = &stream{driver: d, conn: conn, apply: newApplier(d), received: lsn, durable: lsn, markers: map[string]bool{}}
	return nil
}

// errSlotLost means that the replication slot is gone, or its log: some changes cannot be had any more.
var errSlotLost = errors.New("the replication slot was dropped, or has lost its log to max_slot_wal_keep_size")

// endStream ends the connection, not the slot: what was not committed on the target comes again.
func (d *driver) endStream(ctx context.Context) {
	if d.stream == nil {
		return
	}
	closeConn(ctx, d.stream.conn)
	d.stream.apply.abandon(ctx)
	d.stream = nil
}

func closeConn(ctx context.Context, conn *pgconn.PgConn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = conn.Close(ctx) // nothing depends on it
}

const (
	idleWait   = 20 * time.Millisecond // without news for so long, what was read is committed on the target
	tellEvery  = time.Second           // the source hears at least so often how far we are
	batchLimit = 2000                  // changes in one transaction of the target, up to the end of the source's transaction
)

// pump reads and applies until reached says so, and then commits on the target what was read. It is asked between any two
// transactions of the source: were it asked only when nothing is left to be committed, it would never be while clients write
// without a pause. It ends too when a transaction has come that stopAt excludes; the stream must then be opened anew.
func (s *stream) pump(ctx context.Context, reached func() bool) error {
	for {
		if s.halted || !s.inside && reached() {
			return s.settle(ctx)
		}
		if err := s.tell(ctx, false); err != nil {
			return err
		}
		data, err := s.receive(ctx)
		if err != nil {
			return err
		}
		if data == nil { // nothing new
			if err := s.settle(ctx); err != nil {
				return err
			}
			continue
		}
		if err := s.handle(ctx, data); err != nil {
			return err
		}
	}
}

// receive returns the next message, or nil when there was none for a while.
func (s *stream) receive(ctx context.Context) ([]byte, error) {
	waiting, cancel := context.WithTimeout(ctx, idleWait)
	defer cancel()
	message, err := s.conn.ReceiveMessage(waiting)
	if err != nil {
		if ctx.Err() == nil && pgconn.Timeout(err) {
			return nil, nil
		}
		return nil, fmt.Errorf("read the stream: %w", err)
	}
	switch m := message.(type) {
	case *pgproto3.CopyData:
		return m.Data, nil
	case *pgproto3.ErrorResponse:
		return nil, fmt.Errorf("the source ended the stream: %w", pgconn.ErrorResponseToPgError(m))
	}
	return nil, fmt.Errorf("unexpected message %T in the stream", message)
}

func (s *stream) handle(ctx context.Context, data []byte) error {
	switch data[0] {
	case pglogrepl.PrimaryKeepaliveMessageByteID:
		alive, err := pglogrepl.ParsePrimaryKeepaliveMessage(data[1:])
		if err != nil {
			return fmt.Errorf("read the stream: %w", err)
		}
		if !s.inside && alive.ServerWALEnd > s.received {
			s.received = alive.ServerWALEnd
			if !s.apply.open() {
				s.durable = s.received
			}
		}
		if alive.ReplyRequested {
			return s.tell(ctx, true)
		}
		return nil
	case pglogrepl.XLogDataByteID:
		log, err := pglogrepl.ParseXLogData(data[1:])
		if err != nil {
			return fmt.Errorf("read the stream: %w", err)
		}
		message, err := pglogrepl.Parse(log.WALData)
		if err != nil {
			return fmt.Errorf("read the stream: %w", err)
		}
		return s.change(ctx, message)
	}
	return fmt.Errorf("unexpected message %q in the stream", data[0])
}

// change takes one logical message.
func (s *stream) change(ctx context.Context, message pglogrepl.Message) error {
	switch m := message.(type) {
	case *pglogrepl.BeginMessage:
		if s.stopAt > 0 && m.FinalLSN >= s.stopAt {
			s.halted = true
			return nil
		}
		s.inside = true
		return nil
	case *pglogrepl.CommitMessage:
		s.inside, s.received = false, m.TransactionEndLSN
		if s.apply.pending() >= batchLimit || !s.apply.open() {
			return s.settle(ctx)
		}
		return nil
	case *pglogrepl.LogicalDecodingMessage:
		if m.Prefix == markerPrefix {
			s.markers[string(m.Content)] = true
		}
		return nil
	case *pglogrepl.TruncateMessage:
		return stopped("a table of the group was truncated while its slots move")
	case *pglogrepl.TypeMessage, *pglogrepl.OriginMessage:
		return nil
	}
	return s.apply.change(ctx, message)
}

// settle commits what was applied on the target, together with the progress. Between two transactions of the source only.
func (s *stream) settle(ctx context.Context) error {
	if s.inside {
		return nil
	}
	if err := s.apply.commit(ctx, s.received); err != nil {
		return err
	}
	s.durable = s.received
	return nil
}

// tell lets the source know how far the target is, so that it can forget the log, and, when asked for, answer where it is itself.
func (s *stream) tell(ctx context.Context, now bool) error {
	if !now && time.Since(s.told) < tellEvery {
		return nil
	}
	s.told = time.Now()
	err := pglogrepl.SendStandbyStatusUpdate(ctx, s.conn, pglogrepl.StandbyStatusUpdate{WALWritePosition: s.durable, ReplyRequested: true})
	if err != nil {
		return fmt.Errorf("answer the stream: %w", err)
	}
	return nil
}
