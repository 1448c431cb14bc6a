package ingest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

// lettersListed bounds Letters, for each shard.
const lettersListed = 1000

// Letter is a dead letter: a write that was acknowledged, and then refused by its shard.
type Letter struct {
	ID        string
	Table     string
	ShardKey  string
	Shard     ring.ShardID
	User      string // the client's
	SQL       string
	Code      string // SQLSTATE
	Message   string
	Detail    string
	Attempts  int64
	QueuedAt  time.Time
	FailedAt  time.Time
	record    []byte
	hash      int64
	placement string
}

// Errors of RetryLetter and DropLetter.
var (
	// ErrNoLetter says that there is no dead letter of that id.
	ErrNoLetter = errors.New("there is no such dead letter")
	// ErrLetterMoves says that the letter is on its way to another shard at this moment.
	ErrLetterMoves = errors.New("dead letter is being moved to another shard")
	// ErrNotQueued says that writes to the letter's table are not asynchronous here.
	ErrNotQueued = errors.New("writes to the table are not asynchronous at this proxy")
)

// Letters lists the dead letters of all shards, the oldest first, at most 1000 of each. Shards that cannot be asked are in the error.
func (qs *Queues) Letters(ctx context.Context) ([]Letter, error) {
	all, err := qs.letters(ctx, "true", "queued_at, id")
	slices.SortStableFunc(all, func(a, b Letter) int { return cmp.Or(a.QueuedAt.Compare(b.QueuedAt), cmp.Compare(a.ID, b.ID)) })
	return all, err
}

// letter finds one by its id.
func (qs *Queues) letter(ctx context.Context, id string) (*Letter, error) {
	found, err := qs.letters(ctx, "id = $1", "id", id)
	switch {
	case len(found) > 0:
		return &found[0], nil
	case err != nil: // it may be there
		return nil, err
	}
	return nil, ErrNoLetter
}

// letters lists those of a condition, at most lettersListed of each shard.
func (qs *Queues) letters(ctx context.Context, where, order string, args ...any) (all []Letter, err error) {
	for _, shard := range qs.cfg.Topology.Current().Shards {
		failed := qs.with(ctx, shard, func(conn *pgx.Conn) error {
			found, err := qs.lettersOn(ctx, conn, shard, where, order, args...)
			all = append(all, found...)
			return err
		})
		err = errors.Join(err, failed)
	}
	return all, err
}

func (qs *Queues) lettersOn(ctx context.Context, conn *pgx.Conn, shard topology.Shard, where, order string, args ...any) ([]Letter, error) {
	rows, err := conn.Query(ctx, `SELECT id, relation, shard_key, login, statement, sqlstate, message, detail, attempts, queued_at, failed_at, record, hash, placed
FROM pgring.dead_letter WHERE `+where+" "+visible(qs.cfg.Topology.Current(), shard)+fmt.Sprintf(`ORDER BY %s LIMIT %d`, order, lettersListed), args...)
	if err != nil {
		return nil, err
	}
	var found []Letter
	l := Letter{Shard: shard.ID}
	_, err = pgx.ForEachRow(rows, []any{&l.ID, &l.Table, &l.ShardKey, &l.User, &l.SQL, &l.Code, &l.Message, &l.Detail, &l.Attempts, &l.QueuedAt, &l.FailedAt,
		&l.record, &l.hash, &l.placement}, func() error {
		one := l
		one.record = slices.Clone(l.record)
		found = append(found, one)
		return nil
	})
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Code == codeNoTable {
		return nil, nil // nothing was ever queued for the shard
	}
	return found, err
}

// RetryLetter queues a dead letter again. It is one until its shard takes it; if that refuses it again, its error is the new one.
func (qs *Queues) RetryLetter(ctx context.Context, id string) error {
	l, err := qs.letter(ctx, id)
	if err != nil {
		return err
	}
	return qs.retry(ctx, l)
}

// RetryLetters queues all dead letters of a table again, and says how many.
func (qs *Queues) RetryLetters(ctx context.Context, table topology.Name) (retried int, err error) {
	for _, shard := range qs.cfg.Topology.Current().Shards {
		failed := qs.with(ctx, shard, func(conn *pgx.Conn) error {
			n, err := qs.retryOn(ctx, conn, shard, table)
			retried += n
			return err
		})
		err = errors.Join(err, failed)
	}
	return retried, err
}

// retryOn queues those of one shard, some at a time.
func (qs *Queues) retryOn(ctx context.Context, conn *pgx.Conn, shard topology.Shard, table topology.Name) (retried int, err error) {
	for last := ""; ; {
		found, err := qs.lettersOn(ctx, conn, shard, "relation = $1 AND id > $2", "id", table.String(), last)
		if err != nil || len(found) == 0 {
			return retried, err
		}
		for i := range found {
			if err := qs.retry(ctx, &found[i]); err != nil {
				return retried, err
			}
			retried++
			last = found[i].ID
		}
	}
}

func (qs *Queues) retry(ctx context.Context, l *Letter) error {
	r, err := decodeRecord(l.record)
	if err != nil {
		return err
	}
	q := qs.Of(r.Table)
	if q == nil {
		return ErrNotQueued
	}
	r.Letter = l.ID
	_, err = q.Append(ctx, r)
	return err
}

// DropLetter forgets a dead letter.
func (qs *Queues) DropLetter(ctx context.Context, id string) error {
	l, err := qs.letter(ctx, id)
	if err != nil {
		return err
	}
	shard, ok := qs.cfg.Topology.Current().Shard(l.Shard)
	if !ok {
		return ErrLetterMoves
	}
	var dropped bool
	err = qs.with(ctx, shard, func(conn *pgx.Conn) error {
		tag, err := conn.Exec(ctx, "DELETE FROM pgring.dead_letter WHERE placed = $1 AND hash = $2 AND shard_key = $3 AND id = $4", l.placement, l.hash, l.ShardKey, id)
		dropped = tag.RowsAffected() == 1
		return err
	})
	var refused *pgconn.PgError
	switch {
	case errors.As(err, &refused) && refused.Code == codeFenced, err == nil && !dropped:
		return ErrLetterMoves
	}
	return err
}
