package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/pgring/pgring/internal/pgserver"
)

// What a lab whose server syncs has instead of pgbench's tables: one table for all, and for pgring one for each way to write.
const (
	plainPrefix = "plain_" // of the table that pgring writes without batches

	durableSchema = `
CREATE TABLE %s (author bigint NOT NULL, id bigint NOT NULL, note text, PRIMARY KEY (author, id))`

	durableConfig = `tables:
  - {name: public.notes, shard_key: [author], batch: {max_rows: 64}}
  - {name: public.plain_notes, shard_key: [author], colocate: public.notes}
  - {name: public.events, shard_key: [author], colocate: public.notes, async: {enabled: true}}
async: {dir: "%s"}
shards:
`
)

// openDisk makes the folder on the disk, which the servers' user can enter.
func (l *lab) openDisk() (err error) {
	if l.disk, err = os.MkdirTemp(l.options.disk(), "pgring-bench-*"); err != nil {
		return fmt.Errorf("make a folder on a disk for the benchmark: %w", err)
	}
	return os.Chmod(l.disk, 0o755)
}

// durableServer keeps what it has committed through a crash of the machine.
func (l *lab) durableServer() pgserver.Config {
	c := l.serverConfig()
	c.Durable, c.Dir = true, filepath.Join(l.disk, "server")
	return c
}

func (l *lab) loadDurable(ctx context.Context) error {
	for _, database := range []string{"direct", sharded} {
		if err := execute(ctx, l.servers[0].SocketDSN(superuser, "postgres"), "CREATE DATABASE "+database); err != nil {
			return fmt.Errorf("make database %s: %w", database, err)
		}
		for _, table := range []string{"notes", plainPrefix + "notes", "events"} {
			if err := execute(ctx, l.servers[0].SocketDSN(superuser, database), fmt.Sprintf(durableSchema, table)); err != nil {
				return fmt.Errorf("make table %s: %w", table, err)
			}
		}
	}
	return execute(ctx, l.servers[0].SocketDSN(superuser, "postgres"), "CHECKPOINT")
}

// addUnbatched lets pgring, the last contender, take part a second time, with tables that have no batches.
func (l *lab) addUnbatched() {
	last := len(l.contenders) - 1
	c := l.contenders[last]
	c.name, c.prefix = Unbatched, plainPrefix
	l.contenders = append(l.contenders[:last], c, l.contenders[last])
}

// otherKeys is what a seed is raised by to draw keys that the other seeds do not.
const otherKeys = 1_000_000

// writing runs a cell that fills a table. The table is empty before, and has one row for each transaction afterwards. The server's
// time counts until then, less what a run of one transaction per client took just before: clients that connect, and their caches.
func (l *lab) writing(run runner) runner {
	return func(ctx context.Context, cell Cell, c contender, seed int, end length) (r runResult, err error) {
		table := c.prefix + workloadOf(cell).table
		if err := simply(ctx, c.dsn(), "TRUNCATE "+table); err != nil {
			return r, fmt.Errorf("empty table %s: %w", table, err)
		}
		begun, err := l.fill(ctx, run, fillRun{cell, c, seed + otherKeys, length{transactions: 1}})
		if err != nil {
			return r, err
		}
		whole, err := l.fill(ctx, run, fillRun{cell, c, seed, end})
		if err != nil {
			return r, err
		}
		r = whole.runResult
		rows := max(1, r.transactions-begun.transactions)
		r.ServerMicros = float64((whole.server - begun.server).Nanoseconds()) / 1000 / float64(rows)
		r.AppliedTPS = float64(r.transactions) / (float64(r.transactions)/r.TPS + whole.flushed.Seconds())
		return r, wantRows(ctx, c, table, begun.transactions+r.transactions)
	}
}

// fillRun is what a runner is told.
type fillRun struct {
	cell   Cell
	c      contender
	seed   int
	length length
}

// filled is what a run took until its rows were in the table.
type filled struct {
	runResult
	server  time.Duration // CPU of all the server's processes
	flushed time.Duration // from the last answer until all was in the table
}

func (l *lab) fill(ctx context.Context, run runner, f fillRun) (r filled, err error) {
	server := l.servers[0].PID()
	before, err := familyTime(server)
	if err != nil {
		return r, err
	}
	if r.runResult, err = run(ctx, f.cell, f.c, f.seed, f.length); err != nil {
		return r, err
	}
	began := time.Now()
	if w := workloadOf(f.cell); w.queued && f.c.name == PgRing {
		if err := simply(ctx, f.c.dsn(), fmt.Sprintf("SELECT pgring.flush('%s')", w.table)); err != nil {
			return r, fmt.Errorf("wait until table %s has all rows: %w", w.table, err)
		}
	}
	r.flushed = time.Since(began)
	after, err := familyTime(server)
	r.server = after - before
	return r, err
}

// wantRows is an error unless the table has so many rows: what is fast because it loses rows, or writes them twice, is no result.
func wantRows(ctx context.Context, c contender, table string, want int) error {
	var rows int
	if err := query(ctx, c.dsn(), "SELECT count(*) FROM "+table, &rows); err != nil {
		return fmt.Errorf("count the rows of table %s: %w", table, err)
	}
	if rows != want {
		return fmt.Errorf("%d rows in table %s after %d INSERTs", rows, table, want)
	}
	return nil
}

// simply runs a statement as any proxy can serve it.
func simply(ctx context.Context, dsn, statement string) (err error) {
	conn, err := connectSimply(ctx, dsn)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	_, err = conn.Exec(ctx, statement)
	return err
}
