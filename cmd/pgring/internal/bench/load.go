package bench

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/pgring/pgring/internal/pgserver"
	"github.com/pgring/pgring/ring"
)

// schema is what pgbench -i makes of the two tables that are used.
const schema = `
CREATE TABLE pgbench_accounts (aid integer NOT NULL, bid integer, abalance integer, filler character(84)) WITH (fillfactor = 100);
CREATE TABLE pgbench_history (tid integer, bid integer, aid integer, delta integer, mtime timestamp, filler character(22));
INSERT INTO pgbench_accounts SELECT aid, 1, 0, '' FROM generate_series(1, %d) AS aid WHERE %s ORDER BY aid;
ALTER TABLE pgbench_accounts ADD PRIMARY KEY (aid);`

// load makes the databases: on the first shard one with the whole tables, for all that do not shard, and on every shard one with
// as many rows as it would have with equal shares, and one with the rows of its slots. pgring finds those rows when it starts and refuses to serve if one of them is astray.
func (l *lab) load(ctx context.Context) error {
	if l.durable {
		return l.loadDurable(ctx)
	}
	l.options.say("loading %d rows, once whole and once sharded", l.options.Rows)
	placed, err := place(len(l.servers))
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for i, server := range l.servers {
		// owner: load; ends when the rows are there
		group.Go(func() error {
			if err := fill(ctx, server, sharded, slotFilter(placed.Slots(ring.ShardID(shardName(i)))), l.options.Rows); err != nil {
				return fmt.Errorf("load shard %s: %w", shardName(i), err)
			}
			if err := fill(ctx, server, part, "true", l.options.Rows/len(l.servers)); err != nil {
				return fmt.Errorf("load a part of the tables: %w", err)
			}
			return nil
		})
	}
	group.Go(func() error {
		if err := fill(ctx, l.servers[0], "direct", "true", l.options.Rows); err != nil {
			return fmt.Errorf("load the whole tables: %w", err)
		}
		return nil
	})
	return group.Wait()
}

// place is the ring's fresh placement for shards of equal weight, as pgring makes it for a new group of tables.
func place(shards int) (*ring.Map, error) {
	var members []ring.Shard
	for i := range shards {
		members = append(members, ring.Shard{ID: ring.ShardID(shardName(i)), Weight: 1})
	}
	circle, err := ring.New(ring.Config{}, members)
	if err != nil {
		return nil, fmt.Errorf("place the rows: %w", err)
	}
	return circle.Place(), nil
}

func slotFilter(slots []ring.Slot) string {
	list := make([]string, len(slots))
	for i, s := range slots {
		list[i] = strconv.Itoa(int(s))
	}
	return ring.SlotExpr(ring.KeyInt, "aid") + " = ANY ('{" + strings.Join(list, ",") + "}'::bigint[])"
}

// fill makes one database with the rows that pass the filter.
func fill(ctx context.Context, server *pgserver.Server, database, filter string, rows int) error {
	if err := execute(ctx, server.SocketDSN(superuser, "postgres"), "CREATE DATABASE "+database); err != nil {
		return err
	}
	// VACUUM sets the hint bits of all rows now, instead of in the first contender's first run.
	return execute(ctx, server.SocketDSN(superuser, database), fmt.Sprintf(schema, rows, filter), "VACUUM (FREEZE, ANALYZE)", "CHECKPOINT")
}

func execute(ctx context.Context, dsn string, statements ...string) (err error) {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	for _, statement := range statements {
		if _, err := conn.PgConn().Exec(ctx, statement).ReadAll(); err != nil {
			return err
		}
	}
	return nil
}

// checkData sees to it that every contender leads to all rows, and pgring to more than one shard: what is fast because it finds
// nothing, or because it does not route, is no result.
func (l *lab) checkData(ctx context.Context) error {
	for _, c := range l.contenders {
		rows := l.options.Rows / len(c.databases())
		for _, database := range c.databases() {
			for _, aid := range []int{1, rows/2 + 1, rows} {
				if err := checkRow(ctx, c.dsnOf(database), aid); err != nil {
					return fmt.Errorf("find account %d through %s: %w%s", aid, c.name, err, c.log())
				}
			}
		}
	}
	total := 0
	for i, server := range l.servers {
		n, err := countRows(ctx, server)
		if err != nil {
			return err
		}
		if n == 0 {
			return fmt.Errorf("load %d rows: none is on shard %s, use more", l.options.Rows, shardName(i))
		}
		total += n
	}
	if total != l.options.Rows {
		return fmt.Errorf("load %d rows: the shards have %d", l.options.Rows, total)
	}
	return nil
}

func checkRow(ctx context.Context, dsn string, aid int) error {
	return query(ctx, dsn, "SELECT bid FROM pgbench_accounts WHERE aid = "+strconv.Itoa(aid), new(int))
}

func countRows(ctx context.Context, server *pgserver.Server) (n int, err error) {
	return n, query(ctx, server.SocketDSN(superuser, sharded), "SELECT count(*) FROM pgbench_accounts", &n)
}

// query reads the one value of one row.
func query(ctx context.Context, dsn, statement string, value any) (err error) {
	conn, err := connectSimply(ctx, dsn)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	return conn.QueryRow(ctx, statement).Scan(value)
}

// connectSimply connects to what may be any proxy: its statements go by the simple protocol.
func connectSimply(ctx context.Context, dsn string) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, err
	}
	config.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	return pgx.ConnectConfig(ctx, config)
}
