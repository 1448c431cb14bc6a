package rebalance

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"
)

// verify compares both sides, slot by slot, at one point of the stream: a temporary slot of the source exports a snapshot and says
// where in the log it was taken, and the target is compared when exactly the transactions before that point are applied.
func (d *driver) verify(ctx context.Context) error {
	repl, err := d.replicate(ctx, d.from())
	if err != nil {
		return err
	}
	defer closeConn(ctx, repl)
	slot, err := d.snapshotSlot(ctx, repl, true)
	if err != nil {
		return err
	}
	at, err := pglogrepl.ParseLSN(slot.ConsistentPoint)
	if err != nil {
		return fmt.Errorf("read where the snapshot was taken: %w", err)
	}
	if err := d.applyUpTo(ctx, at); err != nil {
		return err
	}
	problems, err := d.compare(ctx, slot.SnapshotName)
	if err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	if len(problems) > 0 {
		return stopped("source and target differ: %s", strings.Join(problems[:min(len(problems), 5)], "; "))
	}
	d.verified = true
	return nil
}

// applyUpTo applies the transactions that committed before a position, and no other one, and ends the stream: it would be
// silent for too long.
func (d *driver) applyUpTo(ctx context.Context, at pglogrepl.LSN) error {
	if err := d.openStream(ctx); err != nil {
		return err
	}
	s := d.stream
	s.stopAt = at
	if s.durable > at {
		return fmt.Errorf("the target is at %s already, behind the snapshot of %s", s.durable, at)
	}
	if err := s.tell(ctx, true); err != nil {
		return err
	}
	if err := s.pump(ctx, func() bool { return s.received >= at }); err != nil {
		return err
	}
	d.endStream(ctx)
	return nil
}

// compare gives the differences of all tables.
func (d *driver) compare(ctx context.Context, snapshot string) ([]string, error) {
	source, err := d.source.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return nil, err
	}
	defer func() { _ = source.Rollback(context.WithoutCancel(ctx)) }() // it only read
	if _, err := source.Exec(ctx, "SET TRANSACTION SNAPSHOT '"+snapshot+"'"); err != nil {
		return nil, err
	}
	var problems []string
	for _, t := range d.tables {
		want, err := digests(ctx, source, t)
		if err != nil {
			return nil, fmt.Errorf("shard %s: table %s: %w", d.move.From, t.name, err)
		}
		got, err := digests(ctx, d.target, t)
		if err != nil {
			return nil, fmt.Errorf("shard %s: table %s: %w", d.move.To, t.name, err)
		}
		problems = append(problems, d.differences(t, want, got)...)
	}
	return problems, nil
}

// digest is of the rows of one slot.
type digest struct {
	rows int64
	sum  string
}

// querier is a connection or a transaction on it.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// digests counts and sums the rows of each moving slot: the sum of the rows' hashes does not depend on their order.
func digests(ctx context.Context, q querier, t *table) (map[int64]digest, error) {
	rows, err := q.Query(ctx, `SELECT `+t.slot+`, count(*), sum(hashtextextended(pgring_row::text COLLATE "C", 0)::numeric)::text FROM `+t.sql+
		` pgring_row WHERE `+t.moving+` GROUP BY 1`)
	if err != nil {
		return nil, err
	}
	found := map[int64]digest{}
	var slot int64
	var one digest
	_, err = pgx.ForEachRow(rows, []any{&slot, &one.rows, &one.sum}, func() error {
		found[slot] = one
		return nil
	})
	return found, err
}

func (d *driver) differences(t *table, want, got map[int64]digest) []string {
	var problems []string
	slots := slices.Sorted(maps.Keys(want))
	for slot := range got {
		if _, known := want[slot]; !known {
			slots = append(slots, slot)
		}
	}
	for _, slot := range slots {
		if want[slot] != got[slot] {
			problems = append(problems, fmt.Sprintf("table %s, slot %d: %d rows on %s, %d on %s%s", t.name, slot, want[slot].rows, d.move.From,
				got[slot].rows, d.move.To, map[bool]string{true: ", with other contents"}[want[slot].rows == got[slot].rows]))
		}
	}
	return problems
}
