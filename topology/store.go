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
	batch, r := &pgx.Batch{}, &reading{}
	r.queue(batch)
	return r.facts(tx.SendBatch(ctx, batch).Close())
}

// reading are facts that a batch is about to read.
type reading struct {
	found facts
	none  bool
}

// queue asks for everything in one exchange: clients may be waiting.
func (r *reading) queue(batch *pgx.Batch) {
	f := &r.found
	batch.Queue(`SELECT id::text, epoch, home, virtual_nodes, load_bound, next_number FROM pgring.cluster`).QueryRow(func(row pgx.Row) error {
		err := row.Scan(&f.cluster, &f.epoch, (*string)(&f.home), &f.ring.VirtualNodes, &f.ring.LoadBound, &f.nextNumber)
		if r.none = errors.Is(err, pgx.ErrNoRows); r.none {
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
}

// facts gives what was read, by a batch that ended with err.
func (r *reading) facts(err error) (*facts, error) {
	switch {
	case err != nil:
		return nil, fmt.Errorf("read schema pgring: %w", err)
	case r.none:
		return nil, nil
	}
	return &r.found, nil
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

// loadFacts reads the control database in a transaction of its own, in one exchange.
func loadFacts(ctx context.Context, conn *pgx.Conn) (*facts, error) {
	batch, r := &pgx.Batch{}, &reading{}
	batch.Queue("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
	r.queue(batch)
	batch.Queue("COMMIT")
	f, err := r.facts(conn.SendBatch(ctx, batch).Close())
	if err != nil {
		_, _ = conn.Exec(ctx, "ROLLBACK") // what failed has kept the COMMIT from being run
	}
	return f, err
}

// compareAndSwap writes next, which was made from old, if the control database still is at old's epoch; else ErrConflict.
// It sets next's epoch, and that of the groups it changes. A nil old means that no cluster was there.
func compareAndSwap(ctx context.Context, tx pgx.Tx, old, next *facts) error {
	batch, err := swapping(old, next)
	if err != nil {
		return err
	}
	return conflict(next, tx.SendBatch(ctx, batch).Close())
}

// swap is compareAndSwap in one exchange and a transaction of its own: what a batch sends up to its Sync is one. No answer is
// ErrOutcomeUnknown.
func swap(ctx context.Context, conn *pgx.Conn, old, next *facts) error {
	batch, err := swapping(old, next)
	if err != nil {
		return err
	}
	err = conn.SendBatch(ctx, batch).Close()
	var answered *pgconn.PgError
	if err != nil && !errors.As(err, &answered) && !pgconn.SafeToRetry(err) {
		return fmt.Errorf("%w: %w", ErrOutcomeUnknown, err)
	}
	return conflict(next, err)
}

// swapping makes the batch that turns old into next. The first statement decides between two changes at a time: it locks the only row
// of pgring.cluster, and fails by a division by zero when that is not the one of old, so that none of the others is run.
func swapping(old, next *facts) (*pgx.Batch, error) {
	batch := &pgx.Batch{}
	if old == nil {
		old, next.epoch = &facts{}, 1
		batch.Queue(`WITH made AS (INSERT INTO pgring.cluster (epoch, home, virtual_nodes, load_bound, next_number)
VALUES (1, $1, $2, $3, $4) ON CONFLICT DO NOTHING RETURNING id::text) SELECT min(id), 1 / count(*) FROM made`,
			string(next.home), next.ring.VirtualNodes, next.ring.LoadBound, next.nextNumber).
			QueryRow(func(row pgx.Row) error { return row.Scan(&next.cluster, nil) })
	} else {
		next.epoch = old.epoch + 1
		batch.Queue(`WITH raised AS (UPDATE pgring.cluster SET epoch = $1, home = $2, virtual_nodes = $3, load_bound = $4, next_number = $5
WHERE epoch = $6 AND id = $7::text::uuid RETURNING 1) SELECT 1 / count(*) FROM raised`,
			next.epoch, string(next.home), next.ring.VirtualNodes, next.ring.LoadBound, next.nextNumber, old.epoch, old.cluster)
	}
	if err := writeChanges(batch, old, next); err != nil {
		return nil, err
	}
	batch.Queue("SELECT pg_notify($1, $2::bigint::text)", channel, next.epoch)
	return batch, nil
}

// conflict tells what ended the batch of swapping.
func conflict(next *facts, err error) error {
	const divisionByZero = "22012"
	var refused *pgconn.PgError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refused) && refused.Code == divisionByZero:
		return ErrConflict
	}
	return fmt.Errorf("write epoch %d: %w", next.epoch, err)
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
