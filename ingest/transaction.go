package ingest

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// laneConn is a connection with the login of a client's user, and its session's settings.
type laneConn struct {
	*pgx.Conn
	pg       *pgconn.PgConn
	identity string
}

// transaction is what a shard does as a whole or not at all.
type transaction struct {
	advances   []*progress
	letter     [][]byte // parameters of burySQL; nil: there is none
	statements []statement
	together   string // a table, quoted, of which statements write several rows if that is the same as one by one; empty: none do
}

// transact runs a transaction.
func (c *laneConn) transact(ctx context.Context, t *transaction) error {
	b := &pgconn.Batch{}
	b.ExecParams(beginSQL, nil, nil, nil, nil)
	return c.send(ctx, b, 1, t)
}

// send runs the rest of a transaction, of which sent statements are in the batch already. Nothing of it has remained if it is refused;
// after any other error that is not known.
func (c *laneConn) send(ctx context.Context, b *pgconn.Batch, sent int, t *transaction) error {
	for _, p := range t.advances {
		b.ExecParams(advanceSQL, p.parameters(), nil, nil, nil)
		sent++
	}
	if t.letter != nil {
		b.ExecParams(burySQL, t.letter, nil, nil, nil)
		sent++
	}
	for i := range t.statements {
		// Invariant: it is parsed in the transaction that runs it. A statement that is kept has parameters of the types that its columns had when it
		// was prepared, and would cut a value that is written for a column of another type now.
		s := &t.statements[i]
		values, formats := s.values()
		b.ExecParams(s.text(), values, s.types(), formats, nil)
	}
	if t.together != "" {
		b.ExecParams(togetherSQL, [][]byte{[]byte(t.together)}, nil, nil, nil)
	}
	b.ExecParams("COMMIT", nil, nil, nil, nil)
	n, err := c.outcome(ctx, b)
	if err == nil {
		return nil
	}
	if index := n - sent; index >= len(t.statements) {
		err = answerTo(-1, err) // at COMMIT
	} else if index >= 0 {
		err = answerTo(t.statements[index].first, err)
	}
	return c.undo(ctx, err)
}

// outcome sends a batch that ends with COMMIT, and says how many statements of it were done before the error.
func (c *laneConn) outcome(ctx context.Context, b *pgconn.Batch) (done int, err error) {
	results := c.pg.ExecBatch(ctx, b)
	tag := ""
	for results.NextResult() {
		var last pgconn.CommandTag
		if last, _ = results.ResultReader().Close(); last.String() == "" {
			break // its error is that of Close
		}
		tag = last.String()
		done++
	}
	err = results.Close()
	if err == nil && tag != "COMMIT" {
		err = fmt.Errorf("transaction ended with %q", tag)
	}
	return done, err
}

// undo ends a transaction that may be open, and returns why.
func (c *laneConn) undo(ctx context.Context, why error) error {
	if c.pg.IsClosed() || c.pg.TxStatus() == 'I' {
		return why
	}
	return errors.Join(why, c.run(ctx, "ROLLBACK"))
}

func (c *laneConn) run(ctx context.Context, sql string) error {
	_, err := c.pg.Exec(ctx, sql).ReadAll()
	return err
}
