package saga

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/pgwire"
)

// ending is how a prepared transaction ends.
type ending string

const (
	commitPrepared   ending = "COMMIT PREPARED"
	rollbackPrepared ending = "ROLLBACK PREPARED"
)

// finishTries is how often the connection that prepared a transaction is asked to end it, before the operator is.
const finishTries = 3

// finish commits what is prepared, after the decision to do so. It cannot change the outcome any more, so it returns no error.
func (c *Coordinator) finish(ctx context.Context, t *transaction) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.cfg.patience)
	defer cancel()
	for try := 0; try < finishTries && len(t.in(prepared)) > 0; try++ {
		c.endPrepared(ctx, t, commitPrepared)
	}
	c.endAsOperator(ctx, t, commitPrepared)
}

// abort rolls back wherever something is open or prepared, and returns cause. The decision has not been made and never will be,
// so what does not answer ends by itself or by the janitor.
func (c *Coordinator) abort(ctx context.Context, t *transaction, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.cfg.patience)
	defer cancel()
	c.rollbackOpen(ctx, t)
	c.endPrepared(ctx, t, rollbackPrepared)
	c.endAsOperator(ctx, t, rollbackPrepared)
	return cause
}

// abortFenced is abort after a fence of ours on a home whose COMMIT was not answered. There was no row, because nothing was
// decided; or because it was decided so long ago that all is finished and cleaned away. In that case nothing is prepared any
// more, so one branch that can still be rolled back is the proof of the first.
func (c *Coordinator) abortFenced(ctx context.Context, t *transaction, cause error) error {
	waiting := t.in(prepared)
	err := c.abort(ctx, t, cause)
	for _, b := range waiting {
		if b.err == nil && b.answer.tag == string(rollbackPrepared) {
			return err
		}
	}
	return &UnknownError{Shard: t.home.shard, ID: t.id.name, Err: cause}
}

// rollbackOpen ends the transaction blocks that are still open.
func (c *Coordinator) rollbackOpen(ctx context.Context, t *transaction) {
	branches := slices.DeleteFunc(t.in(open), func(b *branch) bool { return b.conn.Status() == pgwire.TxIdle })
	c.ask(ctx, "rollback", branches, func(*branch) []byte { return query("ROLLBACK") })
	for _, b := range branches {
		if b.err != nil {
			b.conn.MarkDirty("ROLLBACK refused")
		}
		b.state = ended
	}
}

// endPrepared ends what is prepared, each on the connection that prepared it: its user is the one who may.
func (c *Coordinator) endPrepared(ctx context.Context, t *transaction, how ending) {
	branches := t.in(prepared)
	c.ask(ctx, string(how), branches, func(b *branch) []byte { return query(string(how) + " " + quote(b.gid)) })
	for _, b := range branches {
		switch {
		case b.err == nil, code(b.err) == codeUndefinedObject: // somebody else has ended it, and by the same decision
			b.state = ended
		case isLost(b.err), code(b.err) == codeInsufficientRights:
			b.state = doubtful
		}
		if how == rollbackPrepared {
			b.conn.ForgetSettings() // PREPARE TRANSACTION has made SETs last that are now undone for the client
		}
	}
}

// endAsOperator ends what could not be ended on its own connection: once, because the janitor goes on with it.
func (c *Coordinator) endAsOperator(ctx context.Context, t *transaction, how ending) {
	for _, b := range t.in(prepared, doubtful) {
		err := c.endOnShard(ctx, b, how)
		if err == nil {
			b.state = ended
			continue
		}
		if how == commitPrepared {
			c.counter.left.Add(1)
		}
		c.cfg.Logger.Warn("prepared transaction left to the janitor", "shard", b.shard, "gid", b.gid, "ending", how, "reason", b.err, "error", err)
	}
}

func (c *Coordinator) endOnShard(ctx context.Context, b *branch, how ending) error {
	conn, err := c.operator(ctx, b.shard)
	if err != nil {
		return err
	}
	defer hangUp(ctx, conn)
	c.reach("operator", before, b.shard)
	_, err = end(ctx, conn, b.gid, how)
	c.reach("operator", answered, b.shard)
	return err
}

// end ends a prepared transaction as operator; done is false if there is none of that name. PostgreSQL lets the user who
// prepared it do so, and superusers. An operator that is only a member of the user's role becomes that user first.
func end(ctx context.Context, conn *pgx.Conn, gid string, how ending) (done bool, err error) {
	sql := string(how) + " " + quote(gid)
	_, err = conn.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol)
	if code(err) == codeInsufficientRights {
		err = endAsOwner(ctx, conn, gid, sql)
	}
	switch {
	case code(err) == codeUndefinedObject:
		return false, nil
	case err != nil:
		return false, fmt.Errorf("%s: %w", how, err)
	}
	return true, nil
}

func endAsOwner(ctx context.Context, conn *pgx.Conn, gid, sql string) error {
	var owner string
	err := conn.QueryRow(ctx, "SELECT owner FROM pg_catalog.pg_prepared_xacts WHERE gid = $1 AND database = current_database()", gid).Scan(&owner)
	if err != nil {
		return fmt.Errorf("find the owner: %w", err)
	}
	if _, err := conn.Exec(ctx, "SET ROLE "+pgx.Identifier{owner}.Sanitize(), pgx.QueryExecModeSimpleProtocol); err != nil {
		return fmt.Errorf("become %q: %w", owner, err)
	}
	if _, err = conn.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol); err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "RESET ROLE", pgx.QueryExecModeSimpleProtocol)
	return err
}
