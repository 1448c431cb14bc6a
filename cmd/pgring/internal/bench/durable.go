package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

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
