package proxy_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgring/pgring/ids"
	"github.com/pgring/pgring/topology"
)

// startWithIDs is a cluster whose tables people and posts are to be created through the proxy, with ids of pgring's own.
func startWithIDs(t *testing.T) *cluster {
	t.Helper()
	c := start(t, options{tables: []topology.TableWish{
		{Name: topology.Name{Schema: "public", Table: "people"}, Kind: topology.Sharded, Key: []string{"id"}},
		{Name: topology.Name{Schema: "public", Table: "posts"}, Kind: topology.Sharded, Key: []string{"author"}, Colocate: "people"},
	}})
	must(t, c.ids.Renew(t.Context()))
	for i, s := range c.servers {
		must(t, ids.Install(t.Context(), s.Connect(t), i+1))
	}
	return c
}

func makePeople(t *testing.T, conn *pgx.Conn) {
	t.Helper()
	run(t, conn, "CREATE TABLE people (id bigserial PRIMARY KEY, name text DEFAULT 'nobody')")
	run(t, conn, "CREATE TABLE posts (author bigint REFERENCES people (id), id serial, title text, PRIMARY KEY (author, id))")
}

func TestSerialColumnsOfShardedTablesMakeIDs(t *testing.T) {
	t.Parallel()
	c := startWithIDs(t)
	conn, notices := c.connectNoting()
	makePeople(t, conn)
	if len(*notices) != 1 || !strings.Contains((*notices)[0], `column "id" of "posts" has type bigint`) {
		t.Errorf("notices %q", *notices)
	}
	var people []int64
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheStatement,
		pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec, pgx.QueryExecModeExec} {
		name := fmt.Sprint("it's ", mode)
		for _, insert := range []string{
			"INSERT INTO people (name) VALUES ($1) RETURNING id, name",
			"INSERT INTO people VALUES (DEFAULT, $1), (DEFAULT, 'second'), (DEFAULT, $1) RETURNING id, name",
			"INSERT INTO people (name, id) VALUES ($1, DEFAULT), ('second', DEFAULT) ON CONFLICT (id) DO NOTHING RETURNING id, name",
		} {
			rows, err := conn.Query(t.Context(), insert, mode, name)
			must(t, err)
			made, err := pgx.CollectRows(rows, pgx.RowToStructByPos[struct {
				ID   int64
				Name string
			}])
			must(t, err)
			if len(made) == 0 || made[0].Name != name || len(made) > 1 && made[1].Name != "second" {
				t.Errorf("%s in mode %s gave %v", insert, mode, made)
			}
			for _, row := range made {
				people = append(people, row.ID)
			}
		}
	}
	for _, sql := range []string{"INSERT INTO people DEFAULT VALUES", "INSERT INTO people (name) SELECT name FROM people", // 37 and 37 more
		"PREPARE add AS INSERT INTO people (name) VALUES ($1)", "EXECUTE add ('prepared')",
		"BEGIN", "INSERT INTO people (name) VALUES ('undone')", "ROLLBACK",
		"BEGIN", "SET LOCAL pgring.cross_shard = '2pc'", "INSERT INTO people (name) VALUES ('x'), ('y'), ('z')", "INSERT INTO people (name) VALUES ('x')", "COMMIT"} {
		run(t, conn, sql)
	}
	all := idsOf(t, conn, "SELECT id FROM people")
	for _, id := range people {
		if !slices.Contains(all, id) {
			t.Errorf("id %d was told, but is not there", id)
		}
	}
	if len(all) != 79 || distinct(all) != 79 {
		t.Errorf("%d rows with %d ids, want 79", len(all), distinct(all))
	}
	onShards := 0
	for _, id := range all {
		for _, s := range c.servers {
			if there := countOn(t, s, fmt.Sprintf("people WHERE id = %d", id)); there == 1 && s == c.shardOf(id) {
				onShards++
			}
		}
	}
	if onShards != 79 {
		t.Errorf("%d of 79 rows are where their key belongs", onShards)
	}
	for range 2 {
		run(t, conn, "INSERT INTO posts (author, title) SELECT id, name FROM people")
	}
	_, err := conn.CopyFrom(t.Context(), pgx.Identifier{"posts"}, []string{"author", "title"},
		pgx.CopyFromSlice(len(all), func(i int) ([]any, error) { return []any{all[i], "copied"}, nil }))
	must(t, err)
	posts := idsOf(t, conn, "SELECT id FROM posts")
	if len(posts) != 237 || distinct(posts) != 237 {
		t.Errorf("%d posts with %d ids, want 237", len(posts), distinct(posts))
	}
	for _, id := range posts {
		if ids.Split(id).Worker <= ids.FirstShardWorker {
			t.Errorf("post %d was not numbered by a shard", id)
		}
	}
}

func TestErrorsOfInsertsWithMadeKeys(t *testing.T) {
	t.Parallel()
	c := startWithIDs(t)
	conn := c.connect()
	makePeople(t, conn)
	for _, e := range []struct{ sql, code string }{
		{"INSERT INTO people (nme) VALUES ('a')", "42703"},
		{"INSERT INTO people (name) VALUES ('a', 'b')", "42601"},
		{"INSERT INTO people (name) VALUES ('a'), (1/0)", "22012"},
		{"INSERT INTO people (id, name) VALUES (NULL, 'a'), (DEFAULT, 'b')", "23502"},
		{"INSERT INTO people (name) OVERRIDING USER VALUE VALUES ('a')", "0A000"},
		{"TRUNCATE people RESTART IDENTITY CASCADE", "0A000"},
		{"SELECT lastval()", "0A000"},
		{"SELECT pg_get_serial_sequence('people', 'id')", "0A000"},
		{"SELECT setval('people_id_seq', 1)", "42P01"},
		{"ALTER SEQUENCE people_id_seq RESTART", "42P01"},
		{"COPY people (name) FROM STDIN", "0A000"},
	} {
		for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeExec} {
			_, err := conn.Exec(t.Context(), e.sql, mode)
			if code := sqlState(err); code != e.code {
				t.Errorf("%s: %v, want %s", e.sql, err, e.code)
			}
		}
	}
	wantValue(t, conn, "SELECT count(*) FROM people", "0")
}

// connectNoting is connect with the notices that come.
func (c *cluster) connectNoting() (*pgx.Conn, *[]string) {
	cfg, err := pgx.ParseConfig(c.dsn())
	must(c.t, err)
	notices := &[]string{}
	cfg.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { *notices = append(*notices, n.Message) }
	conn, err := pgx.ConnectConfig(context.Background(), cfg)
	must(c.t, err)
	c.t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn, notices
}

func idsOf(t *testing.T, conn *pgx.Conn, sql string) []int64 {
	t.Helper()
	rows, err := conn.Query(t.Context(), sql)
	must(t, err)
	list, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	must(t, err)
	return list
}

func distinct(list []int64) int { return len(slices.Compact(slices.Sorted(slices.Values(list)))) }
