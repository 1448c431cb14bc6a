package proxy_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgring/pgring/ingest"
	"github.com/pgring/pgring/topology"
)

// constants are written into columns of each type, whether that makes sense or not.
var constants = []string{"1", "0", "-0", "-0.0", "0.0", "'-0'", "'-0.0'", "-1", "- 1", "+1", "- -1", "007", "32768", "99999999999", "99999999999999999999", "1.5", "-1.5", ".5", "1e5", "1e400", "-1e-400", "0x1F",
	"NULL", "TRUE", "false", "DEFAULT", "'1'", "' 1 '", "'+1'", "'1_0'", "''", "'x'", "'abcd'", "'abc '", "'abcd '", "'ä€𝄞'", `E'a\nb'`, `E'\x41'`, `'a\nb'`, "$$q$$", "$q$it's$q$", "'it''s'", "'a'\n'b'",
	"B'101'", "X'1F'", "N'n'", `U&'\0041'`, "'t'", "'yes'", "'on'", "'TRUE'", "'1.5'", "'NaN'", "'infinity'", "'1e400'", "'1e5'", "'12345.678'",
	"'79763305-3cf6-4266-999d-d0a5e04e17ad'", "'{79763305-3cf6-4266-999d-d0a5e04e17ad}'", "'79763305-3cf6'", `'{"a": [1, null]}'`, "'{'", `'"\u0000"'`, "'1 2'", "'[1e5000]'", "'[]'",
	"'2024-02-29'", "'2023-02-29'", "'2024-02-29 10:00:00.1234567'", "'2024-02-29 10:00:00.123456+02'", "'2024-02-29T10:00:00Z'", "'2024-02-29 24:00:00'", "'2024-02-29 10:00:00+15:59'",
	"'1/2/2024'", "'0000-01-01'", "'0001-01-01'", "'9999-12-31 23:59:59'", `'\xdead'`, `'\x0g'`, `'\xabc'`, "'red'", "'green'", "'{1,2}'", "'10.0.0.1'", "'1 day'", "'1'::text", "'5'::int8", "5::int2",
	"'2024-02-29'::date", "NULL::jsonb", `'{}'::json`, "'x'::varchar", "date '2024-02-29'", "1::text", "'a' || 'b'"}

// A constant that is queued without that a server is asked is one that PostgreSQL takes, and becomes the same value; any other has PostgreSQL's
// error. Each statement follows one of the same form.
func TestConstantsAreQueuedOnlyIfPostgresTakesThem(t *testing.T) {
	t.Parallel()
	kinds := topology.Name{Schema: "public", Table: "kinds"}
	columns := strings.Split("smallint|int|bigint|real|float8|numeric|numeric(5,2)|boolean|uuid|text|varchar(3)|char(3)|json|jsonb|date|timestamp|timestamptz|timestamp(3)|bytea|"+
		"interval|interval hour|hue|inet|int[]|\"char\"|oid|bit(3)|bit varying(2)|varchar(3)[]|time", "|")
	setup := "CREATE TYPE hue AS ENUM ('red', 'blue'); CREATE TABLE kinds (user_id bigint NOT NULL, n int NOT NULL"
	for i, column := range columns {
		setup += fmt.Sprintf(", c%d %s", i, column)
	}
	c := start(t, options{shards: 1, tables: []topology.TableWish{{Name: kinds, Kind: topology.Sharded, Key: []string{"user_id"}, Colocate: "users"}},
		async: map[topology.Name]ingest.Rule{kinds: {MaxSize: 64 << 20}}, setup: setup + "); CREATE TABLE judged (LIKE kinds)"})
	conn, server := c.connect(), c.servers[0].Connect(t)
	n, refusals := 0, 0
	for i := range columns {
		for _, constant := range constants {
			insert := func(conn *pgx.Conn, table string) string {
				_, err := conn.Exec(t.Context(), fmt.Sprintf("INSERT INTO %s (user_id, n, c%d) VALUES (1, %d, %s)", table, i, n, constant), pgx.QueryExecModeSimpleProtocol)
				var refused *pgconn.PgError
				if errors.As(err, &refused) {
					return refused.Code
				}
				must(t, err)
				return ""
			}
			for range 2 {
				n++
				want := insert(server, "judged")
				if got := insert(conn, "kinds"); got != want {
					t.Errorf("%s into %s: %q, PostgreSQL said %q", constant, columns[i], got, want)
				}
				if want != "" {
					refusals++
				}
			}
		}
	}
	run(t, conn, "SELECT pgring.flush('kinds')")
	const differ = "SELECT coalesce(string_agg(row, ' '), '') FROM (SELECT t::text FROM %s t EXCEPT SELECT t::text FROM %s t) x (row)"
	wantValue(t, server, fmt.Sprintf(differ, "judged", "kinds"), "")
	wantValue(t, server, fmt.Sprintf(differ, "kinds", "judged"), "")
	wantValue(t, server, "SELECT count(*) FROM kinds", fmt.Sprint(n-refusals))
	queued := c.queues.Counts()[0]
	t.Logf("%d statements, %d refused, %d queued, %d of them dead letters", n, refusals, queued.Accepted, queued.Buried)
	if queued.Buried > 0 || queued.Accepted < int64(n/10) {
		t.Errorf("counted %+v", queued)
	}
}
