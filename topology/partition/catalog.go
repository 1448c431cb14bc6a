package partition

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/topology"
)

// settings make the text of bounds the same on every server.
const settings = `SET search_path = pg_catalog; SET TimeZone = 'UTC'; SET DateStyle = 'ISO, YMD'; SET statement_timeout = '10s'; SET lock_timeout = '5s';
SET default_transaction_read_only = off; SET standard_conforming_strings = on; SET constraint_exclusion = 'on'; SET idle_session_timeout = '15s';
SET idle_in_transaction_session_timeout = '5s'`

// table is what one shard has of a table with partitions.
type table struct {
	oid       uint32
	typ       string // of the column: timestamptz, timestamp or date
	owner     string
	fallback  part // the DEFAULT partition; without a name: there is none
	parts     []part
	left      []part // those that were taken off to be dropped, and are there still
	clock     time.Time
	clockHere time.Time // the proxy's at the same moment
	moving    bool      // slots move to or from the shard
}

// part is one partition.
type part struct {
	Span
	schema, name string
	kind         string // pg_class.relkind
	pending      bool   // a DETACH CONCURRENTLY was begun, and has not ended
	mark         bool   // by a keeper
}

func (p part) sql() string { return pgx.Identifier{p.schema, p.name}.Sanitize() }

// spans are the bounds of all partitions, and of those that take rows.
func (t *table) spans() (all, open []Span) {
	for _, p := range t.parts {
		all = append(all, p.Span)
		if !p.pending {
			open = append(open, p.Span)
		}
	}
	return all, open
}

// tableSQL gives what PostgreSQL knows of how a table is partitioned. The key is one column, or else its name is NULL.
const tableSQL = `SELECT c.oid, c.relkind::text, coalesce(p.partstrat::text, ''), coalesce(a.attname::text, ''), coalesce(t.typname::text, ''), pg_get_userbyid(c.relowner)::text,
	clock_timestamp()
FROM pg_class c LEFT JOIN pg_partitioned_table p ON p.partrelid = c.oid
LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND p.partnatts = 1 AND a.attnum = p.partattrs[0]
LEFT JOIN pg_type t ON t.oid = a.atttypid
WHERE c.relnamespace = to_regnamespace(quote_ident($1)) AND c.relname = $2`

// markPrefix begins the comment on a partition that a keeper takes off in order to drop it. The table's name and its bounds follow.
const markPrefix = "pgring drops this partition of "

func mark(table topology.Name) string { return markPrefix + table.String() + ": " }

const partsSQL = `SELECT n.nspname::text, c.relname::text, c.relkind::text, i.inhdetachpending, pg_get_expr(c.relpartbound, c.oid),
	starts_with(coalesce(obj_description(c.oid, 'pg_class'), ''), $2)
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE i.inhparent = $1 ORDER BY i.inhrelid`

// leftSQL gives the partitions that were taken off and not dropped.
const leftSQL = `SELECT n.nspname::text, c.relname::text, c.relkind::text FROM pg_description d JOIN pg_class c ON c.oid = d.objoid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE d.classoid = 'pg_class'::regclass AND d.objsubid = 0 AND starts_with(d.description, $1) AND NOT c.relispartition`

// guarded tells whether a move of slots copies, follows or deletes rows of the shard.
func guarded(ctx context.Context, conn *pgx.Conn) (moving bool, err error) {
	if err := conn.QueryRow(ctx, "SELECT to_regclass('pgring.guards') IS NOT NULL").Scan(&moving); err != nil || !moving {
		return false, err
	}
	err = conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pgring.guards WHERE state NOT IN ('over', 'leaving'))").Scan(&moving)
	return moving, err
}

// errAbsent means that a shard does not have the table.
var errAbsent = errors.New("the table is not there")

// read looks at a table. An error that is not the connection's says what is wrong with the table.
func read(ctx context.Context, conn *pgx.Conn, rule Rule) (*table, error) {
	t := &table{}
	var kind, strategy, column string
	err := conn.QueryRow(ctx, tableSQL, rule.Table.Schema, rule.Table.Table).Scan(&t.oid, &kind, &strategy, &column, &t.typ, &t.owner, &t.clock)
	t.clockHere = time.Now()
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, errAbsent
	}
	if err != nil {
		return nil, err
	}
	if problem := rule.Unfit(kind, strategy, column, t.typ); problem != "" {
		return nil, errors.New(problem)
	}
	if err := t.readParts(ctx, conn, rule.Table); err != nil {
		return nil, err
	}
	t.moving, err = guarded(ctx, conn)
	return t, err
}

// Unfit says why a table cannot have partitions as the rule wants them: of that pg_class.relkind, pg_partitioned_table.partstrat, and that column,
// if it is one, with the name of its type. Empty: it can.
func (r Rule) Unfit(kind, strategy, column, typ string) string {
	suggestion := fmt.Sprintf("PARTITION BY RANGE (%s)", pgx.Identifier{r.Column}.Sanitize())
	switch {
	case kind != "p":
		return "the table is not partitioned: make it " + suggestion
	case strategy != "r" || column != r.Column:
		return "the table is partitioned otherwise: it must be " + suggestion
	case typ != "timestamptz" && typ != "timestamp" && typ != "date":
		return fmt.Sprintf("column %s is of type %s: it must be timestamptz, timestamp or date", r.Column, typ)
	case typ == "date" && !r.Every.Days():
		return fmt.Sprintf("column %s is a date: every must be whole days, and not %s", r.Column, r.Every)
	}
	return ""
}

func (t *table) readParts(ctx context.Context, conn *pgx.Conn, name topology.Name) error {
	var p part
	var bound string
	rows, err := conn.Query(ctx, partsSQL, t.oid, mark(name))
	if err != nil {
		return err
	}
	if _, err = pgx.ForEachRow(rows, []any{&p.schema, &p.name, &p.kind, &p.pending, &bound, &p.mark}, func() error {
		if bound == "DEFAULT" {
			t.fallback = p
			return nil
		}
		span, err := parseBound(bound)
		if err != nil {
			return fmt.Errorf("partition %s: %w", p.name, err)
		}
		p.Span = span
		t.parts = append(t.parts, p)
		return nil
	}); err != nil {
		return err
	}
	rows, err = conn.Query(ctx, leftSQL, mark(name))
	if err != nil {
		return err
	}
	p = part{mark: true}
	_, err = pgx.ForEachRow(rows, []any{&p.schema, &p.name, &p.kind}, func() error {
		t.left = append(t.left, p)
		return nil
	})
	return err
}

var boundForm = regexp.MustCompile(`^FOR VALUES FROM \((.*)\) TO \((.*)\)$`)

// parseBound reads what pg_get_expr makes of a bound, under settings.
func parseBound(text string) (Span, error) {
	parts := boundForm.FindStringSubmatch(text)
	if parts == nil {
		return Span{}, fmt.Errorf("bound %q is not understood", text)
	}
	from, err := parseMoment(parts[1], "MINVALUE", "'-infinity'")
	if err != nil {
		return Span{}, err
	}
	to, err := parseMoment(parts[2], "MAXVALUE", "'infinity'")
	return Span{from, to}, err
}

// What Go's times cannot be is as early, or as late, as nothing that matters is.
var (
	longAgo  = time.Date(2, 1, 1, 0, 0, 0, 0, time.UTC)
	farAhead = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)
	laterYet = regexp.MustCompile(`^'\d{5,}-`)
)

func parseMoment(text string, open ...string) (time.Time, error) {
	switch {
	case slices.Contains(open, text):
		return time.Time{}, nil
	case text == "'-infinity'" || strings.HasSuffix(text, " BC'"):
		return longAgo, nil
	case text == "'infinity'" || laterYet.MatchString(text):
		return farAhead, nil
	}
	for _, layout := range []string{"2006-01-02 15:04:05.999999999-07", "2006-01-02 15:04:05.999999999", "2006-01-02"} {
		if t, err := time.Parse(layout, strings.Trim(text, "'")); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("bound %s is not understood", text)
}

// literal writes a bound for a column of a type.
func literal(t time.Time, typ string) string {
	switch {
	case typ == "date":
		return t.UTC().Format("'2006-01-02'")
	case typ == "timestamp":
		return t.UTC().Format("'2006-01-02 15:04:05.999999'")
	}
	return t.UTC().Format("'2006-01-02 15:04:05.999999+00'")
}

// bounds writes the bounds of a partition.
func (s Span) bounds(typ string) string {
	from, to := "MINVALUE", "MAXVALUE"
	if !s.From.IsZero() {
		from = literal(s.From, typ)
	}
	if !s.To.IsZero() {
		to = literal(s.To, typ)
	}
	return "FOR VALUES FROM (" + from + ") TO (" + to + ")"
}
