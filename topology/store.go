package topology

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgring/pgring/ring"
)

// channel is where every change of the control database is announced, inside the changing transaction.
const channel = "pgring_topology"

// readFacts reads the whole control database. Run it in a REPEATABLE READ transaction, or in one that ends with
// compareAndSwap: either makes sure that what was read is of one epoch. Nil means that no cluster is there yet.
func readFacts(ctx context.Context, tx pgx.Tx) (*facts, error) {
	f := &facts{}
	none := false
	batch := &pgx.Batch{} // clients may be waiting: one exchange
	batch.Queue(`SELECT id::text, epoch, home, virtual_nodes, load_bound, next_number FROM pgring.cluster`).QueryRow(func(row pgx.Row) error {
		err := row.Scan(&f.cluster, &f.epoch, (*string)(&f.home), &f.ring.VirtualNodes, &f.ring.LoadBound, &f.nextNumber)
		none = errors.Is(err, pgx.ErrNoRows)
		if none {
			return nil
		}
		return err
	})
	queueRows(batch, "SELECT id, number, host, port, weight, state FROM pgring.shards ORDER BY number", scanShard, &f.shards)
	queueRows(batch, `SELECT name, strategy, key_type, placement::text, epoch FROM pgring.groups ORDER BY name COLLATE "C"`, scanGroup, &f.groups)
	queueRows(batch, `SELECT table_schema, table_name, kind, key_columns, coalesce(group_name, ''), coalesce(shard, '')
FROM pgring.tables ORDER BY table_schema COLLATE "C", table_name COLLATE "C"`, scanDeclaration, &f.tables)
	queueRows(batch, `SELECT id, group_name, source, target, slots, state, term, switched, problem, paused, reverted, reversible_until FROM pgring.moves
WHERE finished IS NULL ORDER BY id`, scanMove, &f.moves)
	batch.Queue("SELECT coalesce(max(id), 0) + 1 FROM pgring.moves").QueryRow(func(row pgx.Row) error { return row.Scan(&f.nextMove) })
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return nil, fmt.Errorf("read schema pgring: %w", err)
	}
	if none {
		return nil, nil
	}
	return f, nil
}

func queueRows[T any](batch *pgx.Batch, sql string, scan pgx.RowToFunc[T], into *[]T) {
	batch.Queue(sql).Query(func(rows pgx.Rows) error {
		all, err := pgx.CollectRows(rows, scan)
		*into = all
		return err
	})
}

func scanShard(row pgx.CollectableRow) (Shard, error) {
	var s Shard
	var state string
	if err := row.Scan((*string)(&s.ID), &s.Number, &s.Host, &s.Port, &s.Weight, &state); err != nil {
		return s, err
	}
	if s.State = ParseShardState(state); s.State == StateUnset {
		return s, fmt.Errorf("shard %s has the unknown state %q", s.ID, state)
	}
	return s, nil
}

func scanGroup(row pgx.CollectableRow) (group, error) {
	var g group
	var strategy, keyType, placement string
	if err := row.Scan(&g.name, &strategy, &keyType, &placement, &g.epoch); err != nil {
		return g, err
	}
	if g.strategy = ParseStrategy(strategy); g.strategy == StrategyUnset {
		return g, fmt.Errorf("group %s has the unknown strategy %q", g.name, strategy)
	}
	g.keyType, _ = ring.ParseKeyType(keyType)
	if err := g.decodePlacement([]byte(placement)); err != nil {
		return g, fmt.Errorf("read the placement of group %s: %w", g.name, err)
	}
	return g, nil
}

func scanDeclaration(row pgx.CollectableRow) (declaration, error) {
	var d declaration
	var kind string
	if err := row.Scan(&d.Schema, &d.Table, &kind, &d.key, &d.group, (*string)(&d.shard)); err != nil {
		return d, err
	}
	if d.kind = ParseKind(kind); d.kind == KindUnset {
		return d, fmt.Errorf("table %s has the unknown kind %q", d.Name, kind)
	}
	return d, nil
}

func scanMove(row pgx.CollectableRow) (Move, error) {
	var m Move
	var slots, state string
	var until *time.Time
	err := row.Scan(&m.ID, &m.Group, (*string)(&m.From), (*string)(&m.To), &slots, &state, &m.Term, &m.Switched, &m.Problem, &m.Paused,
		&m.Reverted, &until)
	if err != nil {
		return m, err
	}
	if until != nil {
		m.Until = *until
	}
	if m.State = ParseMoveState(state); m.State == MoveUnset {
		return m, fmt.Errorf("move %d has the unknown state %q", m.ID, state)
	}
	if m.Slots, err = ring.ParseSlotSet(slots); err != nil {
		return m, fmt.Errorf("read move %d: %w", m.ID, err)
	}
	return m, nil
}

// loadFacts reads the control database in a transaction of its own.
func loadFacts(ctx context.Context, conn *pgx.Conn) (*facts, error) {
	var f *facts
	err := pgx.BeginTxFunc(ctx, conn, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		var err error
		f, err = readFacts(ctx, tx)
		return err
	})
	return f, err
}

// compareAndSwap writes next, which was made from old, if the control database still is at old's epoch; else ErrConflict.
// It sets next's epoch, and that of the groups it changes. A nil old means that no cluster was there.
func compareAndSwap(ctx context.Context, tx pgx.Tx, old, next *facts) error {
	if err := swapEpoch(ctx, tx, old, next); err != nil {
		return err
	}
	if old == nil {
		old = &facts{}
	}
	batch := &pgx.Batch{}
	if err := writeChanges(batch, old, next); err != nil {
		return err
	}
	batch.Queue("SELECT pg_notify($1, $2::bigint::text)", channel, next.epoch)
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("write epoch %d: %w", next.epoch, err)
	}
	return nil
}

// swapEpoch is the one statement that decides between two changes at a time: it locks the only row of pgring.cluster.
func swapEpoch(ctx context.Context, tx pgx.Tx, old, next *facts) error {
	if old == nil {
		next.epoch = 1
		err := tx.QueryRow(ctx, `INSERT INTO pgring.cluster (epoch, home, virtual_nodes, load_bound, next_number)
VALUES (1, $1, $2, $3, $4) ON CONFLICT DO NOTHING RETURNING id::text`,
			string(next.home), next.ring.VirtualNodes, next.ring.LoadBound, next.nextNumber).Scan(&next.cluster)
		return conflictIfNone(err)
	}
	next.epoch = old.epoch + 1
	tag, err := tx.Exec(ctx, `UPDATE pgring.cluster SET epoch = $1, home = $2, virtual_nodes = $3, load_bound = $4, next_number = $5
WHERE epoch = $6 AND id = $7::text::uuid`,
		next.epoch, string(next.home), next.ring.VirtualNodes, next.ring.LoadBound, next.nextNumber, old.epoch, old.cluster)
	if err == nil && tag.RowsAffected() == 0 {
		err = pgx.ErrNoRows
	}
	return conflictIfNone(err)
}

func conflictIfNone(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, pgx.ErrNoRows):
		return ErrConflict
	}
	return fmt.Errorf("raise the epoch: %w", err)
}

// inTransaction runs body in a READ COMMITTED transaction. A commit that got no answer is ErrOutcomeUnknown.
func inTransaction(ctx context.Context, conn *pgx.Conn, body func(pgx.Tx) error) error {
	tx, err := conn.Begin(ctx)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	if err := body(tx); err != nil {
		_ = tx.Rollback(ctx) // on a connection that is gone, the server rolls back by itself
		return err
	}
	err = tx.Commit(ctx)
	var answered *pgconn.PgError
	if err != nil && !errors.As(err, &answered) && !errors.Is(err, pgx.ErrTxCommitRollback) {
		return fmt.Errorf("%w: %w", ErrOutcomeUnknown, err)
	}
	return err
}
