package ingest

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"crypto/sha256"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	codeApplied       = "PR103" // pgring.advance_lane: the shard is past the records
	codeUnknownSource = "PR104" // the shard has not heard of the source of the records
	codeApart         = "PR106" // pgring.rows_together: the table's rows are to be written one by one
)

const (
	beginSQL    = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
	advanceSQL  = "SELECT pgring.advance_lane($1, $2, $3, $4, $5, $6)"
	togetherSQL = "SELECT pgring.rows_together($1)"
	progressSQL = "SELECT hash, shard_key, off FROM pgring.lane_progress($1, $2, $3, $4)"
	burySQL     = "SELECT pgring.bury_letter($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"
	takeSQL     = "SELECT pgring.take_letter($1, $2, $3, $4, $5)"
)

// attempt has the shard do all the records in one transaction, or nothing.
func (l *lane) attempt(ctx context.Context, batch []*Record) error {
	ctx, cancel := context.WithTimeout(ctx, laneTimeout)
	defer cancel()
	conn, err := l.conns.forRecords(ctx, batch...)
	if err != nil {
		return err
	}
	release, err := l.hold()
	if err != nil {
		return err
	}
	defer release()
	if isAlone(batch) {
		return l.meaning(l.retry(ctx, conn, batch[0]))
	}
	return l.meaning(l.transact(ctx, conn, batch))
}

// apartFor is for how long the records of a table that does not take them together are not tried that way.
const apartFor = 10 * time.Second

// transact does records together as far as that is the same, or each by itself.
func (l *lane) transact(ctx context.Context, conn *laneConn, batch []*Record) error {
	t := transaction{advances: advancesOf(batch)}
	var joined bool
	if t.statements, joined = statementsOf(batch, time.Since(l.apart) > apartFor); joined {
		t.together = pgx.Identifier{batch[0].Table.Schema, batch[0].Table.Table}.Sanitize()
	}
	err := conn.transact(ctx, &t)
	var server *pgconn.PgError
	var refused *refusal
	switch {
	case err == nil || !joined || conn.pg.IsClosed():
		return err
	case errors.As(err, &refused):
	case !errors.As(err, &server) || slices.Contains([]string{codeApplied, codeFenced, codeUnknownSource}, server.Code):
		return err
	case server.Code == codeApart:
		l.apart = time.Now()
	}
	t.statements, _ = statementsOf(batch, false)
	t.together = ""
	return conn.transact(ctx, &t)
}

// meaning turns a shard's answer into what the lane goes by.
func (l *lane) meaning(err error) error {
	var refused *pgconn.PgError
	if !errors.As(err, &refused) {
		return err
	}
	switch refused.Code {
	case codeApplied:
		return errApplied
	case codeFenced:
		return errMoving
	case codeUnknownSource:
		l.conns.forget()
	}
	return err
}

// progress is what pgring.advance_lane is asked: of each key, which records come.
type progress struct {
	source        [sourceSize]byte
	group         string
	hashes, keys  []byte // these are arrays
	firsts, lasts []byte
}

func advanceOf(batch []*Record) *progress {
	p := &progress{source: batch[0].source, group: batch[0].Group}
	at := make(map[string]int, len(batch))
	var numbers [][2]uint64 // of each key
	var hashes, keys list
	for _, r := range batch {
		if i, known := at[r.ShardKey]; known {
			numbers[i][1] = r.number
			continue
		}
		at[r.ShardKey] = len(numbers)
		numbers = append(numbers, [2]uint64{r.number, r.number})
		hashes.number(int64(r.Hash))
		keys.text(r.ShardKey)
	}
	var firsts, lasts list
	for _, n := range numbers {
		firsts.number(int64(n[0]))
		lasts.number(int64(n[1]))
	}
	p.hashes, p.keys, p.firsts, p.lasts = hashes.array(), keys.array(), firsts.array(), lasts.array()
	return p
}

// list is an array that is being written as text.
type list struct{ b []byte }

func (l *list) next() {
	if len(l.b) == 0 {
		l.b = append(l.b, '{')
	} else {
		l.b = append(l.b, ',')
	}
}

func (l *list) number(n int64) {
	l.next()
	l.b = strconv.AppendInt(l.b, n, 10)
}

func (l *list) text(s string) {
	l.next()
	l.b = append(l.b, '"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			l.b = append(l.b, '\\')
		}
		l.b = append(l.b, s[i])
	}
	l.b = append(l.b, '"')
}

func (l *list) array() []byte { return append(l.b, '}') }

// advancesOf splits a batch by the sources of its records.
func advancesOf(batch []*Record) []*progress {
	var all []*progress
	for rest := batch; len(rest) > 0; {
		source := rest[0].source
		isOther := func(r *Record) bool { return r.source != source }
		if !slices.ContainsFunc(rest, isOther) {
			return append(all, advanceOf(rest))
		}
		all = append(all, advanceOf(slices.DeleteFunc(slices.Clone(rest), isOther)))
		rest = slices.DeleteFunc(slices.Clone(rest), func(r *Record) bool { return !isOther(r) })
	}
	return all
}

// bytea writes bytes as text.
func bytea(b []byte) []byte { return []byte(`\x` + hex.EncodeToString(b)) }

func (p *progress) parameters() [][]byte {
	return [][]byte{bytea(p.source[:]), []byte(p.group), p.hashes, p.keys, p.firsts, p.lasts}
}

// retry has the shard do a dead letter anew: it is one no more, in the same transaction.
func (l *lane) retry(ctx context.Context, conn *laneConn, r *Record) error {
	if err := conn.run(ctx, beginSQL); err != nil {
		return err
	}
	where := [][]byte{bytea(r.source[:]), []byte(r.Group), strconv.AppendInt(nil, int64(r.Hash), 10), []byte(r.ShardKey), []byte(r.Letter)}
	result := conn.pg.ExecParams(ctx, takeSQL, where, nil, nil, nil).Read()
	if result.Err != nil {
		return conn.undo(ctx, result.Err)
	}
	if len(result.Rows) == 1 && string(result.Rows[0][0]) == "f" {
		if err := conn.undo(ctx, nil); err != nil {
			return err
		}
		return errGone
	}
	t := transaction{advances: advancesOf([]*Record{r})}
	t.statements, _ = statementsOf([]*Record{r}, false)
	return conn.send(ctx, &pgconn.Batch{}, 0, &t)
}

// missing leaves out the records that were applied before.
func (l *lane) missing(ctx context.Context, batch []*Record) ([]*Record, error) {
	ctx, cancel := context.WithTimeout(ctx, laneTimeout)
	defer cancel()
	conn, err := l.conns.forRecords(ctx, batch...)
	if err != nil {
		return batch, err
	}
	left, err := notDone(ctx, conn.pg, batch)
	if err != nil {
		return batch, l.meaning(err)
	}
	l.queue.counts.repeated.Add(int64(len(batch) - len(left)))
	return left, nil
}

// notDone asks a shard which records are left to do.
func notDone(ctx context.Context, pg *pgconn.PgConn, batch []*Record) ([]*Record, error) {
	type key struct {
		source [sourceSize]byte
		text   string
	}
	done := map[key]uint64{}
	for _, p := range advancesOf(batch) {
		result := pg.ExecParams(ctx, progressSQL, p.parameters()[:4], nil, nil, nil).Read()
		if result.Err != nil {
			return nil, result.Err
		}
		for _, row := range result.Rows {
			number, err := strconv.ParseUint(string(row[2]), 10, 64)
			if err != nil {
				return nil, fmt.Errorf("read how far asynchronous writes were applied: %w", err)
			}
			done[key{p.source, string(row[1])}] = number
		}
	}
	return slices.DeleteFunc(slices.Clone(batch), func(r *Record) bool { return r.number <= done[key{r.source, r.ShardKey}] }), nil
}

// bury makes a dead letter of a record.
func (l *lane) bury(ctx context.Context, r *Record, why *refusal) error {
	ctx, cancel := context.WithTimeout(ctx, laneTimeout)
	defer cancel()
	conn, err := l.conns.plain(ctx, r)
	if err != nil {
		return err
	}
	release, err := l.hold()
	if err != nil {
		return err
	}
	defer release()
	letter := *r
	letter.source, letter.Letter = [sourceSize]byte{}, r.Letter
	if letter.Letter == "" {
		sum := sha256.Sum256(r.source[:])
		letter.Letter = fmt.Sprintf("d%x_%d", sum[:5], r.number)
	}
	queued := strconv.FormatFloat(float64(r.At.UnixMicro())/1e6, 'f', 6, 64)
	parameters := [][]byte{bytea(r.source[:]), []byte(r.Group), strconv.AppendInt(nil, int64(r.Hash), 10), []byte(r.ShardKey), []byte(letter.Letter),
		[]byte(r.Table.String()), []byte(r.User), []byte(r.shown()), bytea(letter.encode(nil)), []byte(why.code), []byte(why.message), []byte(why.detailText), []byte(queued)}
	if err := conn.transact(ctx, &transaction{advances: advancesOf([]*Record{r}), letter: parameters}); err != nil {
		return l.meaning(err)
	}
	l.logger.Warn("asynchronous write became a dead letter", "id", letter.Letter, "sqlstate", why.code, "error", why.message)
	return nil
}
