package rebalance

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sync/errgroup"
)

// copy brings the rows that one snapshot of the source has to the target. The slot is made first and exports the snapshot: what is
// not in the copy is in the stream. A copy that was broken off leaves nothing that its repetition does not remove.
func (d *driver) copy(ctx context.Context) error {
	if err := d.dropSlots(ctx, d.from(), ""); err != nil {
		return err
	}
	if err := d.purge(ctx); err != nil {
		return fmt.Errorf("purge shard %s: %w", d.move.To, err)
	}
	repl, err := d.replicate(ctx, d.from())
	if err != nil {
		return err
	}
	defer closeConn(ctx, repl) // the snapshot lives as long as this connection is idle
	slot, err := d.snapshotSlot(ctx, repl, false)
	if err != nil {
		return err
	}
	d.estimate(ctx)
	if err := d.copyTables(ctx, &slot); err != nil {
		return fmt.Errorf("copy: %w", err)
	}
	return nil
}

// snapshotSlot makes a replication slot on the source that exports its snapshot. That waits for the transactions that have written
// there, to whatever table.
func (d *driver) snapshotSlot(ctx context.Context, repl *pgconn.PgConn, temporary bool) (pglogrepl.CreateReplicationSlotResult, error) {
	name := newSlotName(d.topology().Current().ClusterID, d.move.ID)
	d.report(ctx, waiting("waiting for transactions that write on shard "+string(d.move.From)+", to take a snapshot"))
	slot, err := pglogrepl.CreateReplicationSlot(ctx, repl, name, "pgoutput",
		pglogrepl.CreateReplicationSlotOptions{Temporary: temporary, SnapshotAction: "EXPORT_SNAPSHOT"})
	if err != nil {
		return slot, fmt.Errorf("create slot %s: %w", name, err)
	}
	d.report(ctx, waiting(""))
	return slot, nil
}

// replicate opens a replication connection to a shard.
func (d *driver) replicate(ctx context.Context, s side) (*pgconn.PgConn, error) {
	cfg := s.conn.Config().Config.Copy()
	for name, value := range streamSettings() {
		cfg.RuntimeParams[name] = value
	}
	conn, err := pgconn.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("connect to the stream of shard %s: %w", s.id, err)
	}
	return conn, nil
}

// purge deletes rows of the moving slots on the target: leftovers of a copy that was broken off. Nobody can have written them,
// because the target has been closed to writers since before the first copy, and no statement sees them, because they are hidden.
func (d *driver) purge(ctx context.Context) error {
	return pgx.BeginFunc(ctx, d.target, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SET LOCAL session_replication_role = replica"); err != nil {
			return err
		}
		for _, t := range d.tables {
			if _, err := tx.Exec(ctx, "DELETE FROM "+t.sql+" WHERE "+t.moving); err != nil {
				return fmt.Errorf("table %s: %w", t.name, err)
			}
		}
		if _, err := tx.Exec(ctx, "DELETE FROM pgring.move_progress WHERE move = $1", d.move.ID); err != nil {
			return err
		}
		return d.holdClosed(ctx, tx)
	})
}

// holdClosed makes sure, until the transaction ends, that the target takes no writes of clients and no other controller drives.
func (d *driver) holdClosed(ctx context.Context, tx pgx.Tx) error {
	state, err := hold(ctx, tx, d.move.ID, d.term)
	if err != nil {
		return err
	}
	return d.mustBeClosed(state)
}

// mustBeClosed stops the move when the target's guard lets clients write.
func (d *driver) mustBeClosed(state string) error {
	if state != guardClosed && state != guardFollowing {
		return stopped("shard %s is open for the moving slots before it owns them", d.move.To)
	}
	return nil
}

// copyTables copies all tables. The position where the stream goes on comes last: without it all that was copied is purged.
func (d *driver) copyTables(ctx context.Context, slot *pglogrepl.CreateReplicationSlotResult) error {
	began, m := time.Now(), &meter{driver: d, said: time.Now()}
	m.load.Store(firstLoad)
	for _, t := range d.tables {
		if err := d.copyTable(ctx, t, slot.SnapshotName, m); err != nil {
			return fmt.Errorf("table %s: %w", t.name, err)
		}
	}
	seconds := time.Since(began).Seconds()
	d.report(ctx, rowsCopied(m.allRows), bytesCopied(m.allBytes), rowRate(float64(m.allRows)/seconds), byteRate(float64(m.allBytes)/seconds))
	return pgx.BeginFunc(ctx, d.target, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "INSERT INTO pgring.move_progress (move, term, lsn, slot) VALUES ($1, $2, $3::text::pg_lsn, $4)",
			d.move.ID, d.term, slot.ConsistentPoint, slot.SlotName); err != nil {
			return err
		}
		return d.holdClosed(ctx, tx)
	})
}

// How much of a copy one transaction of the target takes, in bytes: as much as is written in a good part of a second. Others that make
// replication slots or triggers there, for further moves, wait for it.
const (
	smallLoad = 128 << 10
	firstLoad = 1 << 20
	largeLoad = 8 << 20
	shortLoad = 100 * time.Millisecond // below it the next one is larger
	longLoad  = 300 * time.Millisecond // above it smaller
)

// copyTable reads one table in the source's snapshot and writes it to the target at the same time, in the text format, which means the
// same on every version.
func (d *driver) copyTable(ctx context.Context, t *table, snapshot string, m *meter) error {
	read, err := d.source.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return err
	}
	defer func() { _ = read.Rollback(context.WithoutCancel(ctx)) }() // it only read
	if _, err := read.Exec(ctx, "SET TRANSACTION SNAPSHOT '"+snapshot+"'"); err != nil {
		return err
	}
	loads := make(chan []byte)
	group, limited := errgroup.WithContext(ctx)
	before, written := m.allRows, int64(0)
	// owner: copyTable, which waits; ends with the table or an error on either side.
	group.Go(func() error {
		defer close(loads)
		return d.readTable(limited, t, m, loads)
	})
	// owner: copyTable, which waits; ends with the table or an error on either side.
	group.Go(func() error {
		for load := range loads {
			began := time.Now()
			rows, err := d.writeLoad(limited, t, load)
			if err != nil {
				return err
			}
			written += rows
			m.fit(int64(len(load)), time.Since(began))
		}
		return nil
	})
	if err := group.Wait(); err != nil {
		return err
	}
	if read := m.allRows - before; read != written {
		return fmt.Errorf("%d rows were read, and %d were written", read, written)
	}
	return nil
}

// readTable sends the moving rows of a table, some of them in each load.
func (d *driver) readTable(ctx context.Context, t *table, m *meter, loads chan<- []byte) error {
	var load []byte
	send := func() error {
		select {
		case loads <- load:
			load = nil
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	m.to = writerFunc(func(rows []byte) (int, error) {
		load = append(load, rows...)
		if int64(len(load)) >= m.load.Load() {
			return len(rows), send()
		}
		return len(rows), nil
	})
	_, err := d.source.PgConn().CopyTo(ctx, m.writer(ctx), "COPY (SELECT "+t.list()+" FROM "+t.sql+" WHERE "+t.moving+") TO STDOUT")
	if err == nil {
		err = m.flush(ctx)
	}
	if err == nil && len(load) > 0 {
		err = send()
	}
	return err
}

// writeLoad writes some rows on the target, if this controller still drives the move.
func (d *driver) writeLoad(ctx context.Context, t *table, load []byte) (rows int64, err error) {
	err = pgx.BeginFunc(ctx, d.target, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SET LOCAL session_replication_role = replica"); err != nil {
			return err
		}
		tag, err := d.target.PgConn().CopyFrom(ctx, bytes.NewReader(load), "COPY "+t.sql+" ("+t.list()+") FROM STDIN")
		if err != nil {
			return err
		}
		rows = tag.RowsAffected()
		return d.holdClosed(ctx, tx)
	})
	return rows, err
}

// estimate tells people what is to be copied.
func (d *driver) estimate(ctx context.Context) {
	if rows, bytes, err := estimate(ctx, d.source, d.topology().Current(), &d.move, d.tables); err == nil {
		d.report(ctx, rowsTotal(rows), bytesTotal(bytes))
	}
}
