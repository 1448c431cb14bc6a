package partition

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgring/pgring/topology"
)

// How long DDL waits for a lock: what comes later stands in line behind it meanwhile, so it is short at first, and tried again.
const (
	firstLockWait = 100 * time.Millisecond
	lastLockWait  = 1500 * time.Millisecond
	lockTries     = 8
	lockPause     = 2 // times the wait

	holdLimit = 2 * time.Second // for one statement that has its lock: only a DEFAULT partition, which ATTACH reads, makes it long
)

// alter runs DDL in a transaction of its own, and gives way to who is there.
func alter(ctx context.Context, conn *pgx.Conn, ddl string) error {
	for wait, try := firstLockWait, 1; ; wait, try = min(wait*3/2, lastLockWait), try+1 {
		err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, fmt.Sprintf("SET LOCAL lock_timeout = %d; SET LOCAL statement_timeout = %d; %s", wait.Milliseconds(), (wait+holdLimit).Milliseconds(), ddl))
			return err
		})
		if !isCode(err, "55P03", "40P01") || try == lockTries {
			return err
		}
		timer := time.NewTimer(lockPause * wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return err
		case <-timer.C:
		}
	}
}

// isCode reports whether a server answered with one of the SQLSTATEs.
func isCode(err error, codes ...string) bool {
	var refused *pgconn.PgError
	if !errors.As(err, &refused) {
		return false
	}
	for _, code := range codes {
		if refused.Code == code {
			return true
		}
	}
	return false
}

// create makes a partition, all of it in one transaction. ATTACH waits for no reader and no writer of the table, as CREATE TABLE … PARTITION OF
// would; there is nothing to be scanned in a new table. What PostgreSQL does not hand down to a partition is seen to here: owner, row level
// security, replica identity, tablespace, and the trigger that keeps append-only tables from being truncated. Nobody is granted anything:
// who uses the table needs no rights on its partitions.
func (t *table) create(ctx context.Context, conn *pgx.Conn, rule Rule, span Span) (string, error) {
	if err := t.spared(ctx, conn, rule, span); err != nil {
		return "", err
	}
	parent := pgx.Identifier{rule.Table.Schema, rule.Table.Table}.Sanitize()
	var name, tablespace, security, identity, keyIndex string
	err := conn.QueryRow(ctx, describeSQL, t.oid, partName(rule, span)).Scan(&name, &tablespace, &security, &identity, &keyIndex)
	if err != nil {
		return "", err
	}
	child := pgx.Identifier{rule.Table.Schema, name}.Sanitize()
	var ddl strings.Builder
	fmt.Fprintf(&ddl, "CREATE TABLE %s (LIKE %s INCLUDING ALL EXCLUDING INDEXES EXCLUDING IDENTITY)%s;\n", child, parent, tablespace)
	fmt.Fprintf(&ddl, "%s%s", strings.ReplaceAll(security, "$child", child), strings.ReplaceAll(identity, "$child", child))
	ddl.WriteString(truncateTriggerSQL(rule.Table, child))
	fmt.Fprintf(&ddl, "ALTER TABLE %s OWNER TO %s;\n", child, pgx.Identifier{t.owner}.Sanitize())
	fmt.Fprintf(&ddl, "ALTER TABLE %s ATTACH PARTITION %s %s;\n", parent, child, span.bounds(t.typ))
	if keyIndex != "" {
		ddl.WriteString(strings.NewReplacer("$child", quoteText(child), "$index", keyIndex).Replace(identityIndexSQL))
	}
	return name, alter(ctx, conn, ddl.String())
}

// describeSQL gives a name that nothing has yet, and what the table has that its partitions do not get by themselves.
const describeSQL = `SELECT (SELECT min(name) FROM unnest(ARRAY[$2::text] || ARRAY(SELECT $2 || '_' || n FROM generate_series(1, 9) n)) name
		WHERE NOT EXISTS (SELECT FROM pg_class o WHERE o.relnamespace = c.relnamespace AND o.relname = name)),
	coalesce((SELECT ' TABLESPACE ' || quote_ident(spcname) FROM pg_tablespace s WHERE s.oid = c.reltablespace), ''),
	CASE WHEN relrowsecurity THEN 'ALTER TABLE $child ENABLE ROW LEVEL SECURITY; ' ELSE '' END
		|| CASE WHEN relforcerowsecurity THEN 'ALTER TABLE $child FORCE ROW LEVEL SECURITY; ' ELSE '' END,
	CASE relreplident WHEN 'f' THEN 'ALTER TABLE $child REPLICA IDENTITY FULL; ' WHEN 'n' THEN 'ALTER TABLE $child REPLICA IDENTITY NOTHING; ' ELSE '' END,
	CASE WHEN relreplident = 'i' THEN coalesce((SELECT indexrelid::text FROM pg_index WHERE indrelid = c.oid AND indisreplident), '') ELSE '' END
FROM pg_class c WHERE c.oid = $1`

// identityIndexSQL makes the partition's index that belongs to the table's replica identity the partition's own.
const identityIndexSQL = `DO $do$ BEGIN
	EXECUTE (SELECT format('ALTER TABLE %s REPLICA IDENTITY USING INDEX %I', $child, x.relname) FROM pg_inherits h JOIN pg_class x ON x.oid = h.inhrelid
		JOIN pg_index i ON i.indexrelid = x.oid WHERE h.inhparent = $index AND i.indrelid = $child::regclass);
END $do$;
`

func quoteText(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

// truncateTriggerSQL gives a partition of an append-only table the trigger that is not handed down.
func truncateTriggerSQL(parent topology.Name, child string) string {
	return fmt.Sprintf(`DO $do$ BEGIN
	IF EXISTS (SELECT FROM pg_trigger WHERE tgrelid = %s::regclass AND tgname = '%s') THEN
		%s
	END IF;
END $do$;
`, quoteText(pgx.Identifier{parent.Schema, parent.Table}.Sanitize()), topology.TruncateTrigger, topology.TruncateTriggerSQL(child))
}

// spared returns an error when the DEFAULT partition has rows that would belong to a new one: they would have to be moved, which is for people
// to do.
func (t *table) spared(ctx context.Context, conn *pgx.Conn, rule Rule, span Span) error {
	if t.fallback.name == "" {
		return nil
	}
	condition := "true"
	column := pgx.Identifier{rule.Column}.Sanitize()
	if !span.From.IsZero() {
		condition += fmt.Sprintf(" AND %s >= %s", column, literal(span.From, t.typ))
	}
	if !span.To.IsZero() {
		condition += fmt.Sprintf(" AND %s < %s", column, literal(span.To, t.typ))
	}
	var found bool
	if err := conn.QueryRow(ctx, fmt.Sprintf("SELECT EXISTS (SELECT FROM %s WHERE %s)", t.fallback.sql(), condition)).Scan(&found); err != nil {
		return fmt.Errorf("look into DEFAULT partition %s: %w", t.fallback.sql(), err)
	}
	if found {
		return fmt.Errorf("partition %s cannot be made: DEFAULT partition %s has rows of that time", span, t.fallback.sql())
	}
	return nil
}

// partName is what a partition is called, for people; longer names of tables are cut off.
func partName(rule Rule, span Span) string {
	layout := "20060102_150405"
	switch {
	case span.From.IsZero():
		layout = "first"
	case rule.Every.Months > 0 && span.From.Day() == 1 && span.From.Equal(Period{Time: day}.Floor(span.From)):
		layout = "200601"
	case span.From.Equal(Period{Time: day}.Floor(span.From)):
		layout = "20060102"
	case span.From.Second() == 0:
		layout = "20060102_1504"
	}
	suffix := "_p" + span.From.UTC().Format(layout)
	name := rule.Table.Table
	for len(name)+len(suffix) > 60 { // PostgreSQL's limit is 63 bytes
		name = name[:len(name)-1]
	}
	return strings.ToValidUTF8(name, "") + suffix
}
