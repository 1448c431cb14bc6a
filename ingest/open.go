package ingest

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/pgring/pgring/ingest/internal/wal"
)

// reopenEvery is how often a log that could not be opened is tried again: who has had it may be gone, and what was wrong be repaired.
const reopenEvery = 2 * time.Second

// open opens the log. What is wrong with it is remembered, and nothing is accepted.
func (q *Queue) open() {
	log, err := q.openLog()
	q.watched.Lock()
	defer q.watched.Unlock()
	if err != nil {
		if q.problem == nil || q.problem.Error() != err.Error() {
			q.cfg.Log.Error("log of asynchronous writes cannot be used", "table", q.table.String(), "error", err)
		}
		q.problem = err
		return
	}
	if q.problem != nil {
		q.cfg.Log.Info("log of asynchronous writes can be used again", "table", q.table.String())
	}
	q.log, q.low, q.problem = &fileLog{Log: log, queue: q}, log.First(), nil
	q.signal()
}

func (q *Queue) openLog() (*wal.Log, error) {
	if q.cfg.Dir == "" {
		return nil, errNoFolder
	}
	size := int64(64 << 20)
	limit := int64(0)
	if rule := q.rule.Load(); rule != nil {
		limit = rule.MaxSize
		size = min(size, max(4*MaxRecord, rule.MaxSize/8))
	}
	log, err := wal.Open(wal.Config{Dir: q.dir, SegmentSize: size, MaxSize: limit})
	if err == nil {
		if _, err = rand.Read(q.source[:]); err == nil {
			err = q.remember(log.Last())
		}
		if err != nil {
			return nil, errors.Join(err, log.Close())
		}
	}
	return log, err
}

// opened returns the log when it is open; nil: ctx has ended before.
func (q *Queue) opened(ctx context.Context) recordLog {
	tick := time.NewTicker(reopenEvery)
	defer tick.Stop()
	for {
		if log, _ := q.usable(); log != nil {
			return log
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			q.open()
		}
	}
}
