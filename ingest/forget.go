package ingest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgring/pgring/topology"
)

const (
	forgetEvery  = time.Minute
	forgetLimit  = 20 * time.Second // for one shard
	forgetAtOnce = 10000            // rows in one transaction

	// sourcesFile lists, in a log's folder, the secrets of the processes that have written to it, the present one last. Losing it
	// leaves some rows of pgring.applied behind, and does no other harm.
	sourcesFile = "sources"
)

// memory is what shards may still know of a queue's records.
type memory struct {
	past     [][sourceSize]byte // sources of earlier processes
	end      uint64             // the last record of theirs
	upTo     uint64             // what this process's records are forgotten up to, on every shard
	unlisted bool               // the file of sources lacks this process
}

// remember notes this process among the sources of the log. Where the disk is full that is done later: what is in the log can be applied, which
// makes room.
func (q *Queue) remember(last uint64) error {
	q.memory = memory{end: last}
	path := filepath.Join(q.dir, sourcesFile)
	known, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("read the sources of the log: %w", err)
	}
	for _, line := range strings.Fields(string(known)) {
		var source [sourceSize]byte
		if n, err := hex.Decode(source[:], []byte(line)); err == nil && n == sourceSize {
			q.memory.past = append(q.memory.past, source)
		}
	}
	err = q.list()
	if isFull(err) {
		q.memory.unlisted = true
		return nil
	}
	return err
}

// list writes the sources of the log down.
func (q *Queue) list() error {
	past := q.memory.past
	return q.writeSources(append(past[:len(past):len(past)], q.source))
}

func (q *Queue) writeSources(sources [][sourceSize]byte) error {
	var text bytes.Buffer
	for _, source := range sources {
		fmt.Fprintf(&text, "%x\n", source)
	}
	path := filepath.Join(q.dir, sourcesFile)
	err := os.WriteFile(path+".new", text.Bytes(), 0o600)
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		return fmt.Errorf("write the sources of the log: %w", err)
	}
	return nil
}

// forget has all shards forget what they know of records up to one that is never read again. From then on they refuse those records: so
// a connection of a process that is long dead cannot do them once more.
func (q *Queue) forget(ctx context.Context, released uint64) {
	m := &q.memory
	if m.unlisted {
		m.unlisted = q.list() != nil
	}
	past := m.past
	if released < m.end {
		past = nil // some of them are in the log still
	}
	if released == m.upTo && len(past) == 0 {
		return
	}
	for _, shard := range q.cfg.Topology.Current().Shards {
		if err := q.forgetOn(ctx, shard, released, past); err != nil {
			if ctx.Err() == nil {
				q.cfg.Log.Warn("forget asynchronous writes that are done", "table", q.table.String(), "shard", string(shard.ID), "error", err)
			}
			return
		}
	}
	m.upTo = released
	if len(past) == 0 {
		return
	}
	m.past = nil
	if err := q.writeSources([][sourceSize]byte{q.source}); err != nil {
		q.cfg.Log.Warn("forget asynchronous writes that are done", "table", q.table.String(), "error", err)
	}
}

func (q *Queue) forgetOn(ctx context.Context, shard topology.Shard, released uint64, past [][sourceSize]byte) error {
	ctx, cancel := context.WithTimeout(ctx, forgetLimit)
	defer cancel()
	conn, err := q.cfg.Dial(ctx, shard)
	if err != nil {
		return err
	}
	defer hangUp(ctx, conn)
	own := sha256.Sum256(q.source[:])
	_, err = conn.Exec(ctx, "UPDATE pgring.async_sources SET floor = $2 WHERE source = $1 AND floor < $2", own[:], int64(released))
	if err == nil {
		err = q.forgetRows(ctx, conn, shard, [][]byte{own[:]}, released)
	}
	var gone [][]byte
	for i := range past {
		sum := sha256.Sum256(past[i][:])
		gone = append(gone, sum[:])
	}
	if err == nil && len(gone) > 0 {
		if _, err = conn.Exec(ctx, "DELETE FROM pgring.async_sources WHERE source = ANY ($1)", gone); err == nil {
			err = q.forgetRows(ctx, conn, shard, gone, released)
		}
	}
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Code == codeNoTable {
		return nil // the shard has heard of none
	}
	return err
}

// forgetRows deletes in small transactions.
func (q *Queue) forgetRows(ctx context.Context, conn *pgx.Conn, shard topology.Shard, sources [][]byte, released uint64) error {
	for {
		tag, err := conn.Exec(ctx, `DELETE FROM pgring.applied WHERE ctid = ANY (ARRAY(SELECT ctid FROM pgring.applied
WHERE source = ANY ($1) AND off <= $2 `+visible(q.cfg.Topology.Current(), shard)+fmt.Sprintf(` LIMIT %d FOR UPDATE SKIP LOCKED))`, forgetAtOnce), sources, int64(released))
		if err != nil || tag.RowsAffected() < forgetAtOnce {
			return err
		}
	}
}
