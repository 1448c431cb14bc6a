package rebalance

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgring/pgring/topology"
)

// applier writes changes to the target: many in one transaction, which ends with the progress row, so that after a crash neither a
// change is missing nor is one made twice.
type applier struct {
	driver    *driver
	relations map[uint32]*relation
	prepared  map[string]string // statement name by text
	tx        pgx.Tx            // nil between transactions
	batch     *pgconn.Batch
	queued    int
	inTx      int // changes since the transaction began
	total     int64
}

// relation is a table as the stream describes it.
type relation struct {
	table   *table
	columns []*pglogrepl.RelationMessageColumn
	full    bool // the old row comes with each change
}

func newApplier(d *driver) *applier {
	return &applier{driver: d, relations: map[uint32]*relation{}, prepared: map[string]string{}}
}

func (a *applier) open() bool   { return a.tx != nil }
func (a *applier) pending() int { return a.inTx }

// change applies one message about a table.
func (a *applier) change(ctx context.Context, message pglogrepl.Message) error {
	switch m := message.(type) {
	case *pglogrepl.RelationMessage:
		return a.describe(m)
	case *pglogrepl.InsertMessage:
		r, err := a.relation(m.RelationID)
		if err != nil {
			return err
		}
		sql, values := r.insert(m.Tuple)
		return a.queue(ctx, sql, values)
	case *pglogrepl.UpdateMessage:
		r, err := a.relation(m.RelationID)
		if err != nil {
			return err
		}
		sql, values := r.update(m.OldTuple, m.NewTuple)
		return a.queue(ctx, sql, values)
	case *pglogrepl.DeleteMessage:
		r, err := a.relation(m.RelationID)
		if err != nil {
			return err
		}
		sql, values := r.delete(m.OldTuple)
		return a.queue(ctx, sql, values)
	}
	return fmt.Errorf("unexpected change %T in the stream", message)
}

// describe takes over what the stream says of a table: before its first change, and after its definition has changed.
func (a *applier) describe(m *pglogrepl.RelationMessage) error {
	name := topology.Name{Schema: m.Namespace, Table: m.RelationName}
	i := slices.IndexFunc(a.driver.tables, func(t *table) bool { return t.name == name })
	if i < 0 {
		return nil // a partition, whose changes come under its parent's name; others would be missed by relation
	}
	t := a.driver.tables[i]
	names := make([]string, len(m.Columns))
	for i, c := range m.Columns {
		names[i] = c.Name
	}
	if !slices.Equal(names, t.columns) {
		return stopped("table %s was altered while its slots move: it has columns %s now", name, strings.Join(names, ", "))
	}
	a.relations[m.RelationID] = &relation{table: t, columns: m.Columns, full: m.ReplicaIdentity == 'f'}
	return nil
}

func (a *applier) relation(id uint32) (*relation, error) {
	if r := a.relations[id]; r != nil {
		return r, nil
	}
	return nil, fmt.Errorf("the stream has changes of relation %d, which it has not described", id)
}

// params collects the values of one statement.
type params struct {
	values [][]byte
}

func (p *params) add(c *pglogrepl.TupleDataColumn) string {
	var value []byte
	if c.DataType != pglogrepl.TupleDataTypeNull {
		value = append([]byte{}, c.Data...)
	}
	p.values = append(p.values, value)
	return "$" + strconv.Itoa(len(p.values))
}

func (r *relation) insert(row *pglogrepl.TupleData) (string, [][]byte) {
	var p params
	var names, values []string
	for i, c := range row.Columns {
		names = append(names, quote(r.columns[i].Name))
		values = append(values, p.add(c))
	}
	return "INSERT INTO " + r.table.sql + " (" + strings.Join(names, ", ") + ") OVERRIDING SYSTEM VALUE VALUES (" + strings.Join(values, ", ") + ")", p.values
}

// update leaves out large values that did not change: the stream does not carry them.
func (r *relation) update(old, row *pglogrepl.TupleData) (string, [][]byte) {
	var p params
	var sets []string
	for i, c := range row.Columns {
		if c.DataType != pglogrepl.TupleDataTypeToast {
			sets = append(sets, quote(r.columns[i].Name)+" = "+p.add(c))
		}
	}
	if old == nil {
		old = row // the key has not changed
	}
	return "UPDATE " + r.table.sql + " SET " + strings.Join(sets, ", ") + " WHERE " + r.is(old, &p), p.values
}

func (r *relation) delete(old *pglogrepl.TupleData) (string, [][]byte) {
	var p params
	return "DELETE FROM " + r.table.sql + " WHERE " + r.is(old, &p), p.values
}

// is is the condition that names the one row.
func (r *relation) is(row *pglogrepl.TupleData, p *params) string {
	var all []string
	for i, c := range row.Columns {
		name := r.columns[i].Name
		switch {
		case r.full && len(r.table.primary) > 0 && !slices.Contains(r.table.primary, name), !r.full && r.columns[i].Flags&1 == 0:
		case r.full && len(r.table.primary) == 0 && !slices.Contains(r.table.key, quote(name)):
			all = append(all, quote(name)+"::text IS NOT DISTINCT FROM "+p.add(c)+"::text") // not every type has equality
		default:
			all = append(all, quote(name)+" = "+p.add(c))
		}
	}
	condition := strings.Join(all, " AND ")
	if r.full && len(r.table.primary) == 0 { // equal rows are as good as one another, but it is one that has changed
		return "ctid = (SELECT ctid FROM " + r.table.sql + " WHERE " + condition + " LIMIT 1)"
	}
	return condition
}

// sendAt is how many statements go to the target at once.
const sendAt = 200

// queue adds one statement that must change one row.
func (a *applier) queue(ctx context.Context, sql string, values [][]byte) error {
	if a.tx == nil {
		tx, err := a.driver.target.BeginTx(ctx, pgx.TxOptions{BeginQuery: "BEGIN; SET LOCAL session_replication_role = replica"})
		if err != nil {
			return fmt.Errorf("begin on shard %s: %w", a.driver.move.To, err)
		}
		a.tx, a.batch = tx, &pgconn.Batch{}
	}
	name, known := a.prepared[sql]
	if !known {
		name = "apply_" + strconv.Itoa(len(a.prepared))
		if _, err := a.driver.target.PgConn().Prepare(ctx, name, sql, nil); err != nil {
			return fmt.Errorf("prepare %q: %w", sql, err)
		}
		a.prepared[sql] = name
	}
	a.batch.ExecPrepared(name, values, nil, nil)
	a.queued++
	a.inTx++
	a.total++
	if a.queued >= sendAt {
		_, err := a.send(ctx)
		return err
	}
	return nil
}

// send has the target run what is queued. It returns the results of what was added to the batch behind that.
func (a *applier) send(ctx context.Context) (behind []*pgconn.Result, err error) {
	results, err := a.driver.target.PgConn().ExecBatch(ctx, a.batch).ReadAll()
	queued := a.queued
	a.batch, a.queued = &pgconn.Batch{}, 0
	if err != nil {
		if isCode(err, "23505") {
			return nil, stopped("a row is on shard %s twice: %v", a.driver.move.To, err)
		}
		return nil, fmt.Errorf("apply changes: %w", err)
	}
	for _, result := range results[:queued] {
		if n := result.CommandTag.RowsAffected(); n != 1 {
			return nil, stopped("a change of one row found %d rows on shard %s (%s)", n, a.driver.move.To, result.CommandTag)
		}
	}
	return results[queued:], nil
}

// commit ends the transaction with the progress, if this controller still drives the move.
func (a *applier) commit(ctx context.Context, at pglogrepl.LSN) error {
	if a.tx == nil {
		return nil
	}
	move, term := strconv.AppendInt(nil, a.driver.move.ID, 10), strconv.AppendInt(nil, a.driver.term, 10)
	a.batch.ExecParams("UPDATE pgring.move_progress SET lsn = $3 WHERE move = $1 AND term = $2", [][]byte{move, term, []byte(at.String())}, nil, nil, nil)
	a.batch.ExecParams(heldGuard, [][]byte{move, term}, nil, nil, nil)
	behind, err := a.send(ctx)
	if err != nil {
		return err
	}
	progress, guard := behind[0], behind[1]
	if progress.CommandTag.RowsAffected() == 0 || len(guard.Rows) == 0 {
		err = errOvertaken
	} else {
		err = a.driver.mustBeClosed(string(guard.Rows[0][0]))
	}
	if err == nil {
		err = a.tx.Commit(ctx)
	}
	if err != nil {
		return fmt.Errorf("commit changes: %w", err)
	}
	a.tx, a.inTx = nil, 0
	return nil
}

// abandon rolls back what is not committed.
func (a *applier) abandon(ctx context.Context) {
	if a.tx != nil {
		_ = a.tx.Rollback(context.WithoutCancel(ctx)) // the server does it as well when the connection ends
		a.tx = nil
	}
	for _, name := range a.prepared {
		_ = a.driver.target.PgConn().Deallocate(context.WithoutCancel(ctx), name) // the next stream prepares anew
	}
}
