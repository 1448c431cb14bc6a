package ingest

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"crypto/sha256"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	codeApplied       = "PR103" // pgring.advance_lane: the shard is past the records
	codeUnknownSource = "PR104" // the shard has not heard of the source of the records
)

const (
	beginSQL    = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
	advanceSQL  = "SELECT pgring.advance_lane($1, $2, $3, $4, $5, $6)"
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
		err = l.retry(ctx, conn, batch[0])
	} else {
		err = conn.transact(ctx, advancesOf(batch), nil, batch)
	}
	return l.meaning(err)
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
	hashes        []string
	keys          []string
	firsts, lasts []string
}

func advanceOf(batch []*Record) *progress {
	p := &progress{source: batch[0].source, group: batch[0].Group}
	at := map[string]int{}
	for _, r := range batch {
		number := strconv.FormatUint(r.number, 10)
		if i, known := at[r.ShardKey]; known {
			p.lasts[i] = number
			continue
		}
		at[r.ShardKey] = len(p.keys)
		p.hashes = append(p.hashes, strconv.FormatInt(int64(r.Hash), 10))
		p.keys = append(p.keys, quoteElement(r.ShardKey))
		p.firsts, p.lasts = append(p.firsts, number), append(p.lasts, number)
	}
	return p
}

// advancesOf splits a batch by the sources of its records.
func advancesOf(batch []*Record) []*progress {
	var all []*progress
	for rest := batch; len(rest) > 0; {
		source := rest[0].source
		isOther := func(r *Record) bool { return r.source != source }
		all = append(all, advanceOf(slices.DeleteFunc(slices.Clone(rest), isOther)))
		rest = slices.DeleteFunc(slices.Clone(rest), func(r *Record) bool { return !isOther(r) })
	}
	return all
}

// quoteElement writes a text as an element of an array.
func quoteElement(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
}

func array(elements []string) []byte { return []byte("{" + strings.Join(elements, ",") + "}") }

// bytea writes bytes as text.
func bytea(b []byte) []byte { return []byte(`\x` + hex.EncodeToString(b)) }

func (p *progress) parameters() [][]byte {
	return [][]byte{bytea(p.source[:]), []byte(p.group), array(p.hashes), array(p.keys), array(p.firsts), array(p.lasts)}
}

// retry has the shard do a dead letter anew: it is one no more, in the same transaction.
func (l *lane) retry(ctx context.Context, conn *laneConn, r *Record) error {
	if err := conn.execute(ctx, beginSQL); err != nil {
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
	return conn.finish(ctx, advancesOf([]*Record{r}), nil, []*Record{r})
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
		[]byte(r.Table.String()), []byte(r.User), []byte(r.SQL), bytea(letter.encode(nil)), []byte(why.code), []byte(why.message), []byte(why.detailText), []byte(queued)}
	if err := conn.transact(ctx, advancesOf([]*Record{r}), parameters, nil); err != nil {
		return l.meaning(err)
	}
	l.logger.Warn("asynchronous write became a dead letter", "id", letter.Letter, "sqlstate", why.code, "error", why.message)
	return nil
}

// laneConn is a connection with the login of a client's user, and its session's settings.
type laneConn struct {
	*pgx.Conn
	pg       *pgconn.PgConn
	identity string
	prepared map[string]string // names by text and types
}

// preparedLimit bounds the statements that a connection has prepared.
const preparedLimit = 200

// transact runs one transaction.
func (c *laneConn) transact(ctx context.Context, ps []*progress, letter [][]byte, batch []*Record) error {
	if err := c.prepare(ctx, batch); err != nil {
		return err
	}
	b := &pgconn.Batch{}
	b.ExecParams(beginSQL, nil, nil, nil, nil)
	return c.send(ctx, b, 1, ps, letter, batch)
}

// finish ends the transaction that is open with a record.
func (c *laneConn) finish(ctx context.Context, ps []*progress, letter [][]byte, batch []*Record) error {
	return c.send(ctx, &pgconn.Batch{}, 0, ps, letter, batch)
}

// send runs the rest of a transaction, of which sent statements are in the batch already. Nothing of it has remained if it is refused;
// after any other error that is not known.
func (c *laneConn) send(ctx context.Context, b *pgconn.Batch, sent int, ps []*progress, letter [][]byte, batch []*Record) error {
	for _, p := range ps {
		b.ExecParams(advanceSQL, p.parameters(), nil, nil, nil)
		sent++
	}
	if letter != nil {
		b.ExecParams(burySQL, letter, nil, nil, nil)
		sent++
	}
	for _, r := range batch {
		if name, ok := c.prepared[preparedKey(r)]; ok {
			b.ExecPrepared(name, r.Values, r.Formats, nil)
		} else {
			b.ExecParams(r.SQL, r.Values, r.Types, r.Formats, nil)
		}
	}
	b.ExecParams("COMMIT", nil, nil, nil, nil)
	results := c.pg.ExecBatch(ctx, b)
	n, tag := 0, ""
	for results.NextResult() {
		var last pgconn.CommandTag
		if last, _ = results.ResultReader().Close(); last.String() == "" {
			break // its error is that of Close
		}
		tag = last.String()
		n++
	}
	err := results.Close()
	if err == nil && tag != "COMMIT" {
		err = fmt.Errorf("transaction ended with %q", tag)
	}
	if err == nil {
		return nil
	}
	if index := n - sent; index >= 0 {
		if index >= len(batch) { // at COMMIT
			index = -1
		}
		err = answerTo(index, err)
	}
	return c.undo(ctx, err)
}

// undo ends a transaction that may be open, and returns why.
func (c *laneConn) undo(ctx context.Context, why error) error {
	if c.pg.IsClosed() || c.pg.TxStatus() == 'I' {
		return why
	}
	return errors.Join(why, c.execute(ctx, "ROLLBACK"))
}

func (c *laneConn) execute(ctx context.Context, sql string) error {
	_, err := c.pg.Exec(ctx, sql).ReadAll()
	return err
}

func preparedKey(r *Record) string {
	if len(r.Values) == 0 {
		return ""
	}
	return fmt.Sprint(r.Types) + r.SQL
}

// prepare has the server know the statements that have parameters: others are not sent again.
func (c *laneConn) prepare(ctx context.Context, batch []*Record) error {
	for i, r := range batch {
		key := preparedKey(r)
		if key == "" || c.prepared[key] != "" {
			continue
		}
		if len(c.prepared) >= preparedLimit {
			if err := c.execute(ctx, "DEALLOCATE ALL"); err != nil {
				return err
			}
			clear(c.prepared)
		}
		name := "lane_" + strconv.Itoa(len(c.prepared)+1)
		if _, err := c.pg.Prepare(ctx, name, r.SQL, r.Types); err != nil {
			return answerTo(i, err)
		}
		c.prepared[key] = name
	}
	return nil
}
