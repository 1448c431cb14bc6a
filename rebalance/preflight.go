package rebalance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

// Obstacles lists, each once, what would stop moves that are not recorded yet. A shard that does not answer is one.
func (c *Controller) Obstacles(ctx context.Context, snap *topology.Snapshot, moves []topology.Move) ([]string, error) {
	var all []string
	seen := map[[3]string]bool{}
	for _, m := range moves {
		pair := [3]string{m.Group, string(m.From), string(m.To)}
		if seen[pair] {
			continue
		}
		seen[pair] = true
		found, err := c.obstaclesOf(ctx, snap, m)
		if err != nil {
			return nil, err
		}
		for _, text := range found {
			if !slices.Contains(all, text) {
				all = append(all, text)
			}
		}
	}
	return all, nil
}

func (c *Controller) obstaclesOf(ctx context.Context, snap *topology.Snapshot, m topology.Move) (found []string, err error) {
	d := &driver{controller: c, move: m, log: c.cfg.Log}
	defer d.close(ctx)
	var broken *StoppedError
	if d.tables, err = tablesOf(snap, &d.move); errors.As(err, &broken) {
		return []string{broken.Problem}, nil
	} else if err != nil {
		return nil, err
	}
	for _, end := range []struct {
		shard ring.ShardID
		conn  **pgx.Conn
	}{{m.From, &d.source}, {m.To, &d.target}} {
		if *end.conn, err = d.connect(ctx, snap, end.shard); err != nil {
			c.cfg.Log.Debug("look for obstacles", "shard", string(end.shard), "error", err)
			found = append(found, fmt.Sprintf("shard %s does not answer", end.shard))
		}
	}
	if len(found) > 0 {
		return found, nil
	}
	found, _, err = d.obstacles(ctx)
	return found, err
}

// preflight stops the move when there are obstacles, all at once.
func (d *driver) preflight(ctx context.Context) error {
	obstacles, taken, err := d.obstacles(ctx)
	if err != nil {
		return fmt.Errorf("look for obstacles: %w", err)
	}
	if len(obstacles) > 0 {
		return stopped("%s", strings.Join(obstacles, "; "))
	}
	if len(taken) > 0 {
		d.report(ctx, waiting("waiting until other moves need fewer replication slots: "+strings.Join(taken, "; ")+
			". REBALANCE FINISH frees those of reversible moves"))
		return errNoRoom
	}
	return nil
}

// obstacles lists every one that somebody must remove, and what other moves take for a while.
func (d *driver) obstacles(ctx context.Context) (obstacles, taken []string, err error) {
	if obstacles, err = d.checkMissing(ctx); err != nil {
		return nil, nil, err
	}
	checks := []func(context.Context) ([]string, error){d.checkLogs, d.checkTarget}
	if len(obstacles) == 0 {
		checks = append(checks, d.checkTables, d.checkColumns, d.checkReferences)
	}
	for _, check := range checks {
		found, err := check(ctx)
		if err != nil {
			return nil, nil, err
		}
		obstacles = append(obstacles, found...)
	}
	room, err := d.checkRoom(ctx)
	return append(obstacles, room.lacking...), room.taken, err
}

// texts runs a query that gives one obstacle for each row.
func texts(ctx context.Context, conn *pgx.Conn, sql string, args ...any) ([]string, error) {
	rows, err := conn.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// publishers are the shards whose changes are followed.
func (d *driver) publishers() []side {
	if d.wantsReturn() {
		return d.sides()
	}
	return []side{d.from()}
}

// checkLogs looks at what following a shard's changes needs.
func (d *driver) checkLogs(ctx context.Context) ([]string, error) {
	var all []string
	for _, s := range d.publishers() {
		found, err := texts(ctx, s.conn, logObstacles)
		if err != nil {
			return nil, err
		}
		all = append(all, prefixed("shard "+string(s.id), found)...)
	}
	return all, nil
}

const logObstacles = `
SELECT 'wal_level is ' || setting || ' instead of logical' FROM pg_settings WHERE name = 'wal_level' AND setting <> 'logical'
UNION ALL SELECT 'the login ' || rolname || ' may not replicate: ALTER ROLE … REPLICATION' FROM pg_roles
	WHERE rolname = current_user AND NOT (rolsuper OR rolreplication)
UNION ALL SELECT 'the login may not create publications: GRANT CREATE ON DATABASE' WHERE NOT has_database_privilege(current_database(), 'CREATE')`

func (d *driver) checkTarget(ctx context.Context) ([]string, error) {
	found, err := texts(ctx, d.target, `
SELECT 'the login ' || current_user || ' may not set session_replication_role: GRANT SET ON PARAMETER session_replication_role TO …'
	WHERE NOT has_parameter_privilege('session_replication_role', 'SET')`)
	if err != nil {
		return nil, err
	}
	source, err := texts(ctx, d.source, `
SELECT 'the login ' || current_user || ' may not set session_replication_role: GRANT SET ON PARAMETER session_replication_role TO …'
	WHERE NOT has_parameter_privilege('session_replication_role', 'SET')`)
	return append(prefixed("shard "+string(d.move.To), found), prefixed("shard "+string(d.move.From), source)...), err
}

// checkMissing looks for tables that one of the sides lacks; nothing more can be said of those.
func (d *driver) checkMissing(ctx context.Context) ([]string, error) {
	var all []string
	for _, t := range d.tables {
		for _, s := range d.sides() {
			var there bool
			if err := s.conn.QueryRow(ctx, "SELECT to_regclass($1) IS NOT NULL", t.sql).Scan(&there); err != nil {
				return nil, err
			}
			if !there {
				all = append(all, fmt.Sprintf("table %s does not exist on shard %s: REBALANCE CANCEL, and CREATE TABLE IF NOT EXISTS through pgring", t.name, s.id))
			}
		}
	}
	return all, nil
}

// checkTables looks at each table on both sides.
func (d *driver) checkTables(ctx context.Context) ([]string, error) {
	var all []string
	for _, side := range d.sides() {
		for _, t := range d.tables {
			found, err := texts(ctx, side.conn, tableObstacles, t.sql)
			if err != nil {
				return nil, err
			}
			all = append(all, prefixed("table "+t.name.String()+" on shard "+string(side.id), found)...)
		}
	}
	for _, side := range d.publishers() {
		for _, t := range d.tables {
			found, err := checkIdentity(ctx, side.conn, t)
			if err != nil {
				return nil, err
			}
			all = append(all, prefixed("table "+t.name.String()+" on shard "+string(side.id), found)...)
		}
	}
	return all, nil
}

const tableObstacles = `
SELECT 'is unlogged: changes of it are not in the stream' FROM pg_class WHERE oid = $1::text::regclass AND relpersistence = 'u'
UNION ALL SELECT 'belongs to ' || pg_get_userbyid(relowner) || ', and the login is no member of that role' FROM pg_class
	WHERE oid = $1::text::regclass AND NOT pg_has_role(relowner, 'USAGE')
UNION ALL SELECT 'has FORCE ROW LEVEL SECURITY, and the login would not see all rows: ALTER ROLE ' || quote_ident(current_user) || ' BYPASSRLS' FROM pg_class
	WHERE oid = $1::text::regclass AND relrowsecurity AND relforcerowsecurity AND NOT EXISTS (SELECT FROM pg_roles WHERE rolname = current_user AND (rolsuper OR rolbypassrls))
UNION ALL SELECT 'has children by inheritance, which are not moved' WHERE EXISTS (SELECT FROM pg_inherits JOIN pg_class p ON p.oid = inhparent
	WHERE inhparent = $1::text::regclass AND p.relkind <> 'p')
UNION ALL SELECT 'is a partition: declare the partitioned table instead' FROM pg_class WHERE oid = $1::text::regclass AND relispartition
UNION ALL SELECT format('column %I takes its values from a sequence, of which each shard has its own: ALTER TABLE %s ALTER COLUMN %1$I TYPE bigint, ' ||
	CASE WHEN attidentity <> '' THEN 'ALTER COLUMN %1$I DROP IDENTITY, ' ELSE '' END || 'ALTER COLUMN %1$I SET DEFAULT pgring.next_id()', attname, $1)
	FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum WHERE attrelid = $1::text::regclass AND NOT attisdropped
	AND (attidentity <> '' OR pg_get_expr(adbin, adrelid) LIKE 'nextval(%' AND pg_get_serial_sequence($1, attname) IS NOT NULL)
UNION ALL SELECT DISTINCT 'has a trigger that fires for replicas: ' || tgname FROM pg_trigger
	WHERE tgrelid = $1::text::regclass AND tgenabled IN ('A', 'R') AND NOT tgisinternal`

// checkIdentity makes sure that updates and deletes say in the stream which row, and which slot, they are about. PostgreSQL refuses
// them on a published table without replica identity, and a filter needs its column in it.
func checkIdentity(ctx context.Context, conn *pgx.Conn, t *table) ([]string, error) {
	return texts(ctx, conn, `
SELECT CASE WHEN relreplident = 'f' THEN NULL
	WHEN identity IS NULL THEN 'has neither a primary key nor another replica identity: ALTER TABLE ' || $1 || ' REPLICA IDENTITY FULL'
	WHEN NOT (SELECT array_agg(attnum) FROM pg_attribute WHERE attrelid = c.oid AND attname = ANY ($2::text[])) <@ identity::int2[]
		THEN 'lacks its shard key in the replica identity: add it to the primary key, or ALTER TABLE ' || $1 || ' REPLICA IDENTITY FULL' END
FROM (SELECT oid, relreplident, (SELECT indkey FROM pg_index WHERE indrelid = pg_class.oid AND
	CASE relreplident WHEN 'i' THEN indisreplident WHEN 'd' THEN indisprimary END LIMIT 1) identity
	FROM pg_class WHERE oid = $1::text::regclass) c
WHERE relreplident <> 'f' AND (identity IS NULL OR NOT (SELECT array_agg(attnum) FROM pg_attribute WHERE attrelid = c.oid AND attname = ANY ($2::text[])) <@ identity::int2[])
UNION ALL SELECT 'is partitioned and has no primary key' FROM pg_class WHERE oid = $1::text::regclass AND relkind = 'p'
	AND NOT EXISTS (SELECT FROM pg_index WHERE indrelid = pg_class.oid AND indisprimary)`, t.sql, unquoted(t.key...))
}

// unquoted are the columns' names as the catalog has them.
func unquoted(identifiers ...string) []string {
	names := make([]string, len(identifiers))
	for i, identifier := range identifiers {
		names[i] = strings.ReplaceAll(strings.Trim(identifier, `"`), `""`, `"`)
	}
	return names
}

// checkColumns compares the tables' columns between source and target: rows must fit. Foreign keys that leave the group would not
// be checked, nor followed.
func (d *driver) checkColumns(ctx context.Context) ([]string, error) {
	var obstacles, names []string
	for _, t := range d.tables {
		names = append(names, t.sql)
		var columns [2]string
		for i, side := range d.sides() {
			err := side.conn.QueryRow(ctx, `SELECT coalesce(string_agg(format('%I %s%s%s', attname, format_type(atttypid, atttypmod),
	CASE WHEN attnotnull THEN ' not null' END, CASE WHEN attgenerated <> '' THEN ' generated' END), ', ' ORDER BY attnum), '')
FROM pg_attribute WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped`, t.sql).Scan(&columns[i])
			if err != nil {
				return nil, err
			}
		}
		if columns[0] != columns[1] {
			obstacles = append(obstacles, fmt.Sprintf("table %s has other columns on shard %s (%s) than on %s (%s)",
				t.name, d.move.From, columns[0], d.move.To, columns[1]))
		}
	}
	slices.Sort(names)
	for _, side := range d.sides() {
		found, err := texts(ctx, side.conn, `SELECT format('foreign key %s of %s leads out of or into the group', conname, conrelid::regclass)
FROM pg_constraint WHERE contype = 'f' AND conparentid = 0
	AND (conrelid = ANY ($1::text[]::regclass[])) AND NOT (confrelid = ANY ($1::text[]::regclass[]))
	AND confrelid NOT IN (SELECT to_regclass(x) FROM unnest($2::text[]) x WHERE to_regclass(x) IS NOT NULL)
UNION ALL SELECT format('foreign key %s of %s leads out of or into the group', conname, conrelid::regclass)
FROM pg_constraint WHERE contype = 'f' AND conparentid = 0
	AND (confrelid = ANY ($1::text[]::regclass[])) AND NOT (conrelid = ANY ($1::text[]::regclass[]))`, names, d.references())
		if err != nil {
			return nil, err
		}
		obstacles = append(obstacles, prefixed("shard "+string(side.id), found)...)
	}
	return obstacles, nil
}

// references are the reference tables: every shard has their rows, so foreign keys to them hold anywhere.
func (d *driver) references() []string {
	var names []string
	for _, t := range d.topology().Current().Tables() {
		if t.Declared && t.Kind == topology.Reference {
			names = append(names, pgx.Identifier{t.Schema, t.Table}.Sanitize())
		}
	}
	return names
}

func prefixed(subject string, predicates []string) []string {
	for i := range predicates {
		predicates[i] = subject + ": " + predicates[i]
	}
	return predicates
}
