package ingest

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	turnPause    = 10 * time.Millisecond // between two looks at what others do; it doubles
	turnLongest  = 100 * time.Millisecond
	turnPatience = 5 * time.Second // with others who do nothing
	turnCheck    = time.Second     // between two looks at whether the lock is still held
)

// turn has one proxy at a time apply the records of a shard, where all of them read the same log. It saves work and keeps nothing safe:
// that pgring.advance_lane does, whoever sends what. So a proxy that holds the lock and does nothing is passed by.
//
//	waiting ─ the lock is free ▶ applying ─ its connection is lost, or somebody else applies ▶ waiting
//	   └───── nothing is done for turnPatience ▶ applying without the lock ─ others do something ▶ waiting
type turn struct {
	lane      *lane
	conn      *pgx.Conn // to the shard, with the operator's login; nil: there is none
	holds     bool      // the lock
	checked   time.Time // when it was held last
	impatient bool      // applies without the lock
}

// await returns what is left of a batch when it is this proxy's turn, or nothing: others have done it. The error is that of ctx.
func (t *turn) await(ctx context.Context, batch []*Record) ([]*Record, error) {
	if t == nil || t.still(ctx) {
		return batch, nil
	}
	began, pause, failing := time.Now(), turnPause, laneShortest
	for {
		left, err := t.look(ctx, batch)
		switch {
		case err != nil:
			t.drop(ctx)
			if err := t.lane.pause(ctx, err, &failing); err != nil {
				return nil, err
			}
			continue
		case len(left) < len(batch):
			began, pause, t.impatient = time.Now(), turnPause, false
		}
		t.lane.clear()
		batch = left
		if len(batch) == 0 || t.holds || t.impatient {
			return batch, nil
		}
		if time.Since(began) > turnPatience {
			t.impatient = true
			t.lane.logger.Warn("another proxy is to apply asynchronous writes, and does nothing: this one goes on")
			return batch, nil
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil, context.Cause(ctx)
		case <-timer.C:
		}
		pause = min(2*pause, turnLongest)
	}
}

// look asks the shard what of a batch is left to do, and tries to have the lock.
func (t *turn) look(ctx context.Context, batch []*Record) ([]*Record, error) {
	ctx, cancel := context.WithTimeout(ctx, laneTimeout)
	defer cancel()
	if err := t.lane.conns.introduce(ctx, batch...); err != nil {
		return nil, err
	}
	if t.conn == nil {
		shard, ok := t.lane.queue.cfg.Topology.Current().Shard(t.lane.shard)
		if !ok {
			return nil, fmt.Errorf("shard %s is not known", t.lane.shard)
		}
		conn, err := t.lane.queue.cfg.Dial(ctx, shard)
		if err != nil {
			return nil, err
		}
		t.conn = conn
	}
	if err := t.conn.QueryRow(ctx, "SELECT pg_try_advisory_lock($1)", t.key()).Scan(&t.holds); err != nil {
		return nil, err
	}
	t.checked = time.Now()
	t.lane.applies(t.holds)
	return notDone(ctx, t.conn.PgConn(), batch) // after the lock: whoever had it has done what he has
}

// key is the lock's: of the lane.
func (t *turn) key() int64 {
	sum := sha256.Sum256([]byte("pgring.lane\x00" + t.lane.queue.topicName() + "\x00" + string(t.lane.shard)))
	return int64(binary.BigEndian.Uint64(sum[:8]))
}

// still reports whether the lock is held.
func (t *turn) still(ctx context.Context) bool {
	if !t.holds || time.Since(t.checked) < turnCheck {
		return t.holds
	}
	ctx, cancel := context.WithTimeout(ctx, laneTimeout)
	defer cancel()
	if err := t.conn.Ping(ctx); err != nil {
		t.drop(ctx)
		return false
	}
	t.checked = time.Now()
	return true
}

// drop gives up the lock, with its connection.
func (t *turn) drop(ctx context.Context) {
	if t == nil || t.conn == nil {
		return
	}
	hangUp(ctx, t.conn)
	t.conn, t.holds = nil, false
	t.lane.applies(false)
}

// applies notes whether this proxy applies the lane's records.
func (l *lane) applies(own bool) {
	l.queue.watched.Lock()
	defer l.queue.watched.Unlock()
	l.applying = own
}

// clear notes that the lane gets on.
func (l *lane) clear() {
	l.queue.watched.Lock()
	defer l.queue.watched.Unlock()
	l.problem = ""
}
