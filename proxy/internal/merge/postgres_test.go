package merge

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"pgregory.net/rapid"

	"github.com/pgring/pgring/internal/pgtest"
	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/router"
)

const (
	tableRows   = 240
	tableShards = 5
)

// database is one PostgreSQL that holds all rows and, by their column shard, plays each shard too.
type database struct {
	conn *pgconn.PgConn
}

// query returns a result as the proxy would see it: fields and DataRow frames.
func (db database) query(t *testing.T, format int16, sql string) ([]pgwire.Field, [][]byte) {
	t.Helper()
	result := db.conn.ExecParams(t.Context(), sql, nil, nil, nil, []int16{format}).Read()
	if result.Err != nil {
		t.Fatalf("%s: %v", sql, result.Err)
	}
	var fields []pgwire.Field
	for _, f := range result.FieldDescriptions {
		fields = append(fields, pgwire.Field{Name: f.Name, Type: f.DataTypeOID, Format: f.Format})
	}
	var rows [][]byte
	for _, values := range result.Rows {
		rows = append(rows, pgwire.AppendDataRow(nil, values))
	}
	return fields, rows
}

// requireSame runs a statement with %s for its WHERE clause on the whole table and on each shard, and merges the latter.
func (db database) requireSame(t *testing.T, format int16, spec *router.Merge, sql string) {
	t.Helper()
	_, want := db.query(t, format, fmt.Sprintf(sql, "true"))
	var fields []pgwire.Field
	var sources []Source
	for i := range tableShards {
		var rows [][]byte
		fields, rows = db.query(t, format, fmt.Sprintf(sql, fmt.Sprint("shard = ", i)))
		sources = append(sources, &memory{rows: rows})
	}
	got, err := run(spec, fields, sources)
	if err != nil {
		t.Errorf("%s: %v", sql, err)
		return
	}
	if !slices.EqualFunc(got, want, bytes.Equal) {
		t.Errorf("%s in format %d: merged rows differ from PostgreSQL's\n got %q\nwant %q", sql, format, got, want)
	}
}

// createTable fills table v with values of a type: the edges, drawn ones, and NULLs, some of them often.
func createTable(t *testing.T, s *pgtest.Server, oid uint32, random *rand.Rand) {
	t.Helper()
	declared := typeName(oid)
	if isText(oid) {
		declared += ` COLLATE "C"`
	}
	s.Exec(t, "DROP TABLE IF EXISTS v; CREATE TABLE v (id int, shard int, v "+declared+")")
	var pool []string
	for _, group := range groupsOf(oid) {
		pool = append(pool, group...)
	}
	for range 40 {
		value := rapid.Custom(kinds[oid]).Example(random.IntN(1 << 30)).text
		if !strings.Contains(value, "\x00") { // PostgreSQL's text has no NUL
			pool = append(pool, value)
		}
	}
	insert := strings.Builder{}
	insert.WriteString("INSERT INTO v VALUES ")
	for id := range tableRows {
		value := "NULL"
		if random.IntN(10) > 0 {
			value = "'" + strings.ReplaceAll(pool[random.IntN(len(pool))], "'", "''") + "'"
		}
		if id > 0 {
			insert.WriteString(", ")
		}
		fmt.Fprintf(&insert, "(%d, %d, %s)", id, random.IntN(tableShards), value)
	}
	s.Exec(t, insert.String())
}

// connect gives a connection whose time zone writes offsets with minutes and, in the past, seconds.
func connect(t *testing.T, s *pgtest.Server) database {
	t.Helper()
	db := database{s.Connect(t).PgConn()}
	db.set(t, "TimeZone", "America/St_Johns")
	return db
}

func (db database) set(t *testing.T, name, value string) {
	t.Helper()
	if _, err := db.conn.Exec(context.WithoutCancel(t.Context()), "SET "+name+" = '"+value+"'").ReadAll(); err != nil {
		t.Fatal(err)
	}
}

func TestMergedRowsEqualPostgreSQL(t *testing.T) {
	s := pgtest.Start(t, 1)[0]
	db := connect(t, s)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for _, oid := range sortTypes() {
		t.Run(typeName(oid), func(t *testing.T) {
			createTable(t, s, oid, random)
			for _, format := range []int16{formatText, formatBinary} {
				db.requireOrdersMatch(t, format)
				db.requireAggregatesMatch(t, format, oid)
			}
		})
	}
}

func (db database) requireOrdersMatch(t *testing.T, format int16) {
	for _, order := range []struct {
		sql string
		key router.SortKey
	}{
		{"v NULLS LAST", router.SortKey{}},
		{"v NULLS FIRST", router.SortKey{NullsFirst: true}},
		{"v DESC NULLS LAST", router.SortKey{Desc: true}},
		{"v DESC NULLS FIRST", router.SortKey{Desc: true, NullsFirst: true}},
	} {
		order.key.Bytewise = true
		id := router.SortKey{Column: 1, Desc: order.key.Desc}
		direction := ""
		if id.Desc {
			direction = " DESC"
		}
		spec := all(order.key, id)
		db.requireSame(t, format, spec, "SELECT v, id FROM v WHERE %s ORDER BY "+order.sql+", id"+direction)

		window := &router.Merge{Order: []router.SortKey{order.key, id}, Limit: 20, Offset: 50, Hidden: 1}
		_, want := db.query(t, format, "SELECT v FROM v ORDER BY "+order.sql+", id"+direction+" LIMIT 20 OFFSET 50")
		var sources []Source
		var fields []pgwire.Field
		for i := range tableShards {
			var rows [][]byte
			fields, rows = db.query(t, format, fmt.Sprintf("SELECT v, id FROM v WHERE shard = %d ORDER BY %s, id%s LIMIT 70", i, order.sql, direction))
			sources = append(sources, &memory{rows: rows})
		}
		requireRows(t, mustMerge(t, window, fields, sources), want)
	}
}

func (db database) requireAggregatesMatch(t *testing.T, format int16, oid uint32) {
	db.requireSame(t, format, aggregates(router.AggCount), "SELECT count(v) FROM v WHERE %s")
	switch oid {
	case oidBool:
		db.requireSame(t, format, aggregates(router.AggBoolAnd, router.AggBoolOr), "SELECT bool_and(v), bool_or(v) FROM v WHERE %s")
		db.requireSame(t, format, aggregates(router.AggBoolAnd, router.AggBoolOr), "SELECT bool_and(v), bool_or(v) FROM v WHERE v AND %s")
		return
	case oidUUID, oidBytea, oidText: // min and max do not exist (before PostgreSQL 18), or are refused
		return
	case oidInt2, oidInt4, oidInt8:
		db.requireSame(t, format, aggregates(router.AggSum), "SELECT sum(v) FROM v WHERE %s")
		db.requireSame(t, format, aggregates(router.AggSum), "SELECT sum(v) FROM v WHERE id < 0 AND %s")
	case oidNumeric:
		db.requireSame(t, format, aggregates(router.AggSum), "SELECT sum(v) FROM v WHERE %s")
		db.requireSame(t, format, aggregates(router.AggSum), "SELECT sum(v) FROM v WHERE v > '-Infinity' AND v < 'Infinity' AND %s")
		db.requireSame(t, format, aggregates(router.AggSum), "SELECT sum(v) FROM v WHERE v > 0 AND v <= 'Infinity' AND %s")
	}
	// Equal numbers of different looks (0 and -0, 1 and 1.0) are each a correct answer, so the parts are made alike.
	value := "v"
	switch oid {
	case oidNumeric:
		value = "trim_scale(v)"
	case oidFloat4, oidFloat8:
		value = "v + 0"
	}
	extremes := aggregates(router.AggMin, router.AggMax)
	db.requireSame(t, format, extremes, "SELECT min("+value+"), max("+value+") FROM v WHERE %s")
	db.requireSame(t, format, extremes, "SELECT min("+value+"), max("+value+") FROM v WHERE id %% 40 = 0 AND %s")
}

func TestSettingsThatHideTheOrderAreRefusedAtRunTime(t *testing.T) {
	s := pgtest.Start(t, 1)[0]
	db := connect(t, s)
	for _, test := range []struct{ setting, value, typ string }{
		{"DateStyle", "German", "date"}, {"DateStyle", "SQL", "date"}, {"DateStyle", "Postgres", "date"},
		{"DateStyle", "German", "timestamp"}, {"DateStyle", "SQL", "timestamptz"}, {"DateStyle", "Postgres, MDY", "timestamptz"},
		{"bytea_output", "escape", "bytea"},
	} {
		s.Exec(t, "DROP TABLE IF EXISTS v; CREATE TABLE v (v "+test.typ+")")
		value := "2024-01-31"
		if test.typ == "bytea" {
			value = `\x6100`
		}
		s.Exec(t, "INSERT INTO v VALUES ('"+value+"')")
		db.set(t, test.setting, test.value)
		fields, rows := db.query(t, formatText, "SELECT v FROM v")
		_, err := run(all(router.SortKey{}), fields, from(rows, rows))
		requireCode(t, err, "0A000")
		fields, rows = db.query(t, formatBinary, "SELECT v FROM v")
		requireRows(t, mustMerge(t, all(router.SortKey{}), fields, from(rows, rows)), slices.Concat(rows, rows))
	}
}
