package ingest

import (
	"context"
	"crypto/sha256"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/topology"
)

// topicsSQL makes the tables of the control database that all proxies share. Nobody but the operator's login has rights on them.
const topicsSQL = `
CREATE TABLE IF NOT EXISTS pgring.async_topics (
	topic    text PRIMARY KEY,
	id       bytea NOT NULL,           -- Kafka's
	released bigint NOT NULL DEFAULT 0 -- every record up to this one is done: applied, or a dead letter
);
CREATE TABLE IF NOT EXISTS pgring.async_heads (
	topic  text NOT NULL,
	source bytea NOT NULL,  -- SHA-256 of its secret
	number bigint NOT NULL, -- of the last record of the source, as far as this was looked for
	place  bigint NOT NULL, -- where it is
	PRIMARY KEY (topic, source)
);
REVOKE ALL ON pgring.async_topics, pgring.async_heads FROM PUBLIC;`

// inControl runs do with a connection to the control database.
func (l *topicLog) inControl(ctx context.Context, do func(*pgx.Conn) error) error {
	conn, err := l.queue.cfg.Kafka.Control(ctx)
	if err != nil {
		return fmt.Errorf("control database: %w", err)
	}
	defer hangUp(ctx, conn)
	return do(conn)
}

// claim notes the topic in the control database, or compares it with what is noted there.
func (l *topicLog) claim(ctx context.Context) error {
	return l.inControl(ctx, func(conn *pgx.Conn) error {
		var there bool
		err := conn.QueryRow(ctx, "SELECT to_regclass('pgring.async_topics') IS NOT NULL AND to_regclass('pgring.async_heads') IS NOT NULL").Scan(&there)
		if err == nil && !there {
			_, err = conn.Exec(ctx, "SELECT pg_advisory_lock(hashtext('pgring.async_topics'));"+topicsSQL+"SELECT pg_advisory_unlock(hashtext('pgring.async_topics'))",
				pgx.QueryExecModeSimpleProtocol)
		}
		if err != nil {
			return fmt.Errorf("make the tables of topics: %w", err)
		}
		end, err := l.end(ctx) // before anybody of this control database may have written to it
		if err != nil {
			return err
		}
		var id []byte
		var released int64
		rows, err := conn.Query(ctx, "SELECT id, released FROM pgring.async_topics WHERE topic = $1", l.topic)
		if err == nil {
			_, err = pgx.ForEachRow(rows, []any{&id, &released}, func() error { return nil })
		}
		if err == nil && id == nil {
			if end > 0 {
				return &TopicError{l.topic, "has records, and this control database does not know it: is it of another cluster? Choose another async.kafka.topic_prefix"}
			}
			err = conn.QueryRow(ctx, `INSERT INTO pgring.async_topics (topic, id) VALUES ($1, $2) ON CONFLICT (topic) DO UPDATE SET topic = excluded.topic
RETURNING id, released`, l.topic, l.id[:]).Scan(&id, &released)
		}
		switch {
		case err != nil:
			return fmt.Errorf("note topic %s: %w", l.topic, err)
		case string(id) == string(l.id[:]):
			end, err = l.end(ctx) // others may have written since
		}
		switch {
		case err != nil:
			return err
		case string(id) != string(l.id[:]):
			return &TopicError{l.topic, "is another one than before: it was deleted and made anew, and what was not applied is lost. " +
				"When that has been looked at, delete its row of pgring.async_topics in the control database"}
		case end < uint64(released):
			return &TopicError{l.topic, fmt.Sprintf("ends at record %d, and record %d was there: its brokers have lost records. When that has been looked at, "+
				"set released to %d in its row of pgring.async_topics in the control database", end, released, end)}
		}
		l.knowReleased(uint64(released))
		return nil
	})
}

func (l *topicLog) knowReleased(upTo uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.released = max(l.released, upTo)
}

// Done implements recordLog. Records that are missing must be among those that are done: where the topic begins is looked at first, since
// who deletes records has said before that they are done.
func (l *topicLog) Done(ctx context.Context) (uint64, error) {
	return l.askReleased(ctx, l.queue.doneHere())
}

// askReleased is up to where records are done, as the control database says. Known is up to where this proxy knows it as well.
func (l *topicLog) askReleased(ctx context.Context, known uint64) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, adminLimit)
	defer cancel()
	missing, err := l.begin(ctx)
	if err != nil {
		return 0, err
	}
	var released int64
	err = l.inControl(ctx, func(conn *pgx.Conn) error {
		return conn.QueryRow(ctx, "SELECT released FROM pgring.async_topics WHERE topic = $1 AND id = $2", l.topic, l.id[:]).Scan(&released)
	})
	if err != nil {
		return 0, fmt.Errorf("look how far topic %s is done: %w", l.topic, err)
	}
	if done := max(uint64(released), known); missing > done {
		return 0, &TopicError{l.topic, fmt.Sprintf("has lost records %d to %d, which may not be applied: retention has deleted them, or a person. When that has been "+
			"looked at, set released to %d in its row of pgring.async_topics in the control database", done+1, missing, missing)}
	}
	l.knowReleased(uint64(released))
	return uint64(released), nil
}

// doneHere is up to where this proxy knows that all is done.
func (q *Queue) doneHere() uint64 {
	q.watched.Lock()
	defer q.watched.Unlock()
	return max(q.low, 1) - 1
}

// noteReleased tells the control database that records are done.
func (l *topicLog) noteReleased(ctx context.Context, upTo uint64) error {
	err := l.inControl(ctx, func(conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, "UPDATE pgring.async_topics SET released = $3 WHERE topic = $1 AND id = $2 AND released < $3", l.topic, l.id[:], int64(upTo))
		return err
	})
	if err != nil {
		return fmt.Errorf("note how far topic %s is done: %w", l.topic, err)
	}
	l.knowReleased(upTo)
	return nil
}

// Forget implements recordLog. Any proxy does it for all sources: their last records are noted in the control database, and when they are
// done, so is all that those sources had written until then. Sources stay known for ever, with the floor under which shards refuse their
// records: a proxy that is behind may still send them.
func (l *topicLog) Forget(ctx context.Context) {
	if err := l.forget(ctx); err != nil && ctx.Err() == nil {
		l.queue.cfg.Log.Warn("forget asynchronous writes that are done", "table", l.queue.table.String(), "error", err)
	}
}

// doneHead is the last record of a source, which is done.
type doneHead struct {
	source        []byte
	number, place int64
}

func (l *topicLog) forget(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*forgetLimit)
	defer cancel()
	return l.inControl(ctx, func(conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, "SELECT h.source, h.number, h.place FROM pgring.async_heads h JOIN pgring.async_topics t USING (topic) WHERE topic = $1 AND place <= released", l.topic)
		if err != nil {
			return err
		}
		done, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (h doneHead, err error) {
			return h, row.Scan(&h.source, &h.number, &h.place)
		})
		if err != nil {
			return err
		}
		for _, shard := range l.queue.cfg.Topology.Current().Shards {
			if err := l.forgetOn(ctx, shard, done); err != nil {
				return fmt.Errorf("shard %s: %w", shard.ID, err)
			}
		}
		for _, h := range done {
			if _, err := conn.Exec(ctx, "DELETE FROM pgring.async_heads WHERE topic = $1 AND source = $2 AND place = $3", l.topic, h.source, h.place); err != nil {
				return err
			}
		}
		return l.noteHeads(ctx, conn)
	})
}

// forgetOn raises the floors first, then deletes rows: what is forgotten is refused from then on.
func (l *topicLog) forgetOn(ctx context.Context, shard topology.Shard, done []doneHead) error {
	if len(done) == 0 {
		return nil
	}
	conn, err := l.queue.cfg.Dial(ctx, shard)
	if err != nil {
		return err
	}
	defer hangUp(ctx, conn)
	if err := topology.EnsureAsync(ctx, conn); err != nil {
		return err
	}
	for _, h := range done {
		if _, err := conn.Exec(ctx, `INSERT INTO pgring.async_sources AS s (source, floor) VALUES ($1, $2)
ON CONFLICT (source) DO UPDATE SET floor = excluded.floor WHERE s.floor < excluded.floor`, h.source, h.number); err != nil {
			return err
		}
		if err := l.queue.forgetRows(ctx, conn, shard, [][]byte{h.source}, uint64(h.number)); err != nil {
			return err
		}
	}
	return nil
}

// noteHeads writes down the last records of sources that were met since the last time.
func (l *topicLog) noteHeads(ctx context.Context, conn *pgx.Conn) error {
	l.mu.Lock()
	heads := l.heads
	l.heads = map[[sourceSize]byte]head{}
	l.mu.Unlock()
	for source, h := range heads {
		sum := sha256.Sum256(source[:])
		if _, err := conn.Exec(ctx, `INSERT INTO pgring.async_heads AS h VALUES ($1, $2, $3, $4) ON CONFLICT (topic, source) DO UPDATE SET
number = greatest(h.number, excluded.number), place = greatest(h.place, excluded.place)`, l.topic, sum[:], int64(h.number), int64(h.index)); err != nil {
			return err
		}
	}
	return nil
}
