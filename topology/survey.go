package topology

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/ring"
)

// dialTimeout bounds one connection attempt, so that a shard that is cut off does not hold up a decision for minutes.
const dialTimeout = 5 * time.Second

// surveyor looks at what is on the shards while one change is being decided. It keeps one connection per shard until close.
// It belongs to one goroutine.
type surveyor struct {
	dial     func(context.Context, Shard) (*pgx.Conn, error)
	conns    map[ring.ShardID]*pgx.Conn
	catalogs map[ring.ShardID]*catalog
}

func newSurveyor(dial func(context.Context, Shard) (*pgx.Conn, error)) *surveyor {
	return &surveyor{dial: dial, conns: map[ring.ShardID]*pgx.Conn{}, catalogs: map[ring.ShardID]*catalog{}}
}

// settings make the text of a value the same on every server, and row security an error instead of missing rows.
const settings = `SET search_path = pg_catalog; SET TimeZone = 'UTC'; SET DateStyle = 'ISO, YMD'; SET IntervalStyle = 'postgres';
SET extra_float_digits = 1; SET bytea_output = 'hex'; SET xmloption = 'content'; SET lc_monetary = 'C'; SET row_security = off;
SET statement_timeout = 0; SET default_transaction_read_only = on`

func (s *surveyor) conn(ctx context.Context, shard Shard) (*pgx.Conn, error) {
	if conn := s.conns[shard.ID]; conn != nil {
		return conn, nil
	}
	dialCtx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := s.dial(dialCtx, shard)
	if err != nil {
		return nil, fmt.Errorf("connect to shard %s: %w", shard.ID, err)
	}
	s.conns[shard.ID] = conn
	if _, err := conn.Exec(ctx, settings); err != nil {
		return nil, fmt.Errorf("set up the session on shard %s: %w", shard.ID, err)
	}
	return conn, nil
}

// close ends the connections. It works after ctx has ended, for a short time.
func (s *surveyor) close(ctx context.Context) {
	for _, conn := range s.conns {
		hangUp(ctx, conn)
	}
}

// hangUp closes politely if the server answers at once.
func hangUp(ctx context.Context, conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = conn.Close(ctx) // nothing depends on it: the server notices either way
}

// catalog is the shard's, loaded once per survey.
func (s *surveyor) catalog(ctx context.Context, shard Shard) (*catalog, error) {
	if c := s.catalogs[shard.ID]; c != nil {
		return c, nil
	}
	conn, err := s.conn(ctx, shard)
	if err != nil {
		return nil, err
	}
	c, err := loadCatalog(ctx, conn)
	if err != nil {
		return nil, fmt.Errorf("shard %s: %w", shard.ID, err)
	}
	s.catalogs[shard.ID] = c
	return c, nil
}

func quoted(name Name) string { return pgx.Identifier{name.Schema, name.Table}.Sanitize() }

// identity tells the databases of running servers apart, by whatever names they are reached. Copies of a server's files say that they
// are the same system, but were not started at the same time.
func (s *surveyor) identity(ctx context.Context, shard Shard) (string, error) {
	var id string
	err := s.one(ctx, shard, &id, `SELECT concat_ws(' ', (SELECT system_identifier FROM pg_control_system()),
	extract(epoch FROM pg_postmaster_start_time()), (SELECT oid FROM pg_database WHERE datname = current_database()))`)
	return id, err
}

// hasRows reports whether the table has any row that is visible now.
func (s *surveyor) hasRows(ctx context.Context, shard Shard, name Name) (bool, error) {
	var found bool
	err := s.one(ctx, shard, &found, "SELECT EXISTS (SELECT FROM "+quoted(name)+")")
	return found, err
}

func (s *surveyor) countRows(ctx context.Context, shard Shard, name Name) (int64, error) {
	var n int64
	err := s.one(ctx, shard, &n, "SELECT count(*) FROM "+quoted(name))
	return n, err
}

// digest is equal for two tables with the same rows, in whatever order; different rows give different ones but for chance.
func (s *surveyor) digest(ctx context.Context, shard Shard, name Name) (string, error) {
	var sum string
	err := s.one(ctx, shard, &sum, "SELECT count(*) || ' ' || coalesce(sum(hashtextextended(r::text COLLATE \"C\", 0)::numeric), 0) FROM "+quoted(name)+" r")
	return sum, err
}

// countStrays counts the rows on a shard that the group's placement puts on another one, or nowhere: rows whose key is NULL too.
func (s *surveyor) countStrays(ctx context.Context, shard Shard, r *relation, key []string, g group) (int64, error) {
	t := r.table
	t.Key = key
	keyType, problem := t.columnsKeyType()
	if problem != "" {
		return 0, fmt.Errorf("shard %s: %s", shard.ID, problem)
	}
	p := newPredicate(key, keyType)
	where := p.owned(g, shard.ID)
	var n int64
	err := s.one(ctx, shard, &n, "SELECT count(*) FROM "+quoted(r.table.Name)+" WHERE ("+where+") IS NOT TRUE", p.args...)
	return n, err
}

func (s *surveyor) one(ctx context.Context, shard Shard, target any, sql string, args ...any) error {
	conn, err := s.conn(ctx, shard)
	if err != nil {
		return err
	}
	if err := conn.QueryRow(ctx, sql, args...).Scan(target); err != nil {
		return fmt.Errorf("look at shard %s: %w", shard.ID, err)
	}
	return nil
}
