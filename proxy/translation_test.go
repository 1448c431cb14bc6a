package proxy_test

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
)

// OIDs of types and tables differ between servers; clients look them up on the home shard.
func TestOIDsOfUsersTypesAreTheHomeShardsEverywhere(t *testing.T) {
	t.Parallel()
	c := start(t, options{})
	for i, s := range c.servers {
		for n := range 3 * i {
			s.Exec(t, fmt.Sprintf("CREATE TYPE only_here_%d AS ENUM ('a')", n))
		}
	}
	conn := c.connect()
	run(t, conn, "CREATE TYPE mood AS ENUM ('sad', 'happy')")
	run(t, conn, "CREATE TYPE pair AS (x int, y int)")
	run(t, conn, "ALTER TABLE users ADD COLUMN mood mood, ADD COLUMN pairs pair[]")
	for _, name := range []string{"mood", "pair", "_pair"} {
		typ, err := conn.LoadType(background, name)
		must(t, err)
		conn.TypeMap().RegisterType(typ)
	}
	modes := []pgx.QueryExecMode{pgx.QueryExecModeCacheStatement, pgx.QueryExecModeDescribeExec, pgx.QueryExecModeCacheDescribe}
	home, _ := conn.TypeMap().TypeForName("mood")
	for _, id := range c.keys(3) {
		_, err := conn.Exec(background, "INSERT INTO users (id, mood) VALUES ($1, $2)", id, "sad")
		must(t, err)
		for _, mode := range modes {
			_, err := conn.Exec(background, "UPDATE users SET mood = $2 WHERE id = $1", mode, id, "happy")
			must(t, err)
			wantMood(t, conn, home.OID, "SELECT id, mood FROM users WHERE id = $1 AND mood = $2", mode, id, "happy")
		}
		result := conn.PgConn().ExecParams(background, "SELECT id, $2 FROM users WHERE id = $1 AND mood = $2",
			[][]byte{fmt.Append(nil, id), []byte("happy")}, []uint32{20, home.OID}, nil, nil).Read()
		must(t, result.Err)
		if got := result.FieldDescriptions[1].DataTypeOID; got != home.OID || len(result.Rows) != 1 {
			t.Fatalf("key %d: a declared parameter came back as type %d in %d rows, want type %d in one", id, got, len(result.Rows), home.OID)
		}
	}
	for _, mode := range modes {
		wantMood(t, conn, home.OID, "SELECT id, mood FROM users WHERE mood = $1 ORDER BY id DESC LIMIT 1", mode, "happy")
	}
	wantMood(t, conn, home.OID, "SELECT id, mood FROM users ORDER BY id LIMIT 1", pgx.QueryExecModeSimpleProtocol)
	if result := conn.PgConn().ExecParams(background, "SELECT $1", [][]byte{nil}, []uint32{99999}, nil, nil).Read(); result.Err == nil {
		t.Fatal("a type that does not exist was accepted")
	}
}

// wantMood runs a query of which the last row is happy, and its column of the home shard's type and table.
func wantMood(t *testing.T, conn *pgx.Conn, oid uint32, sql string, args ...any) {
	t.Helper()
	rows, err := conn.Query(background, sql, args...)
	must(t, err)
	var table uint32
	for _, f := range rows.FieldDescriptions() {
		table = f.TableOID
		if f.Name == "mood" && f.DataTypeOID != oid {
			t.Errorf("%s: mood has type %d, on the home shard it is %d", sql, f.DataTypeOID, oid)
		}
	}
	var id int64
	var mood string
	_, err = pgx.ForEachRow(rows, []any{&id, &mood}, func() error { return nil })
	must(t, err)
	if mood != "happy" {
		t.Errorf("%s: mood is %q", sql, mood)
	}
	wantValue(t, conn, fmt.Sprintf("SELECT relname::text FROM pg_class WHERE oid = %d", table), "users")
}

// A number of the shard's own would mean another type to the client, or none.
func TestTypeThatCannotBeTranslatedIsAnError(t *testing.T) {
	t.Parallel()
	c := start(t, options{})
	home := c.servers[0]
	home.Exec(t, "CREATE TYPE only_at_home AS ENUM ('a')")
	conn := c.connect()
	run(t, conn, "CREATE TYPE mood AS ENUM ('sad', 'happy')")
	run(t, conn, "ALTER TABLE users ADD COLUMN mood mood")
	var key int64
	for _, key = range c.keys(3) {
		if c.shardOf(key) != home {
			break
		}
	}
	run(t, conn, fmt.Sprintf("INSERT INTO users (id, mood) VALUES (%d, 'happy')", key))
	c.shardOf(key).Exec(t, "CREATE TYPE not_at_home AS ENUM ('b')")
	modes := []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeDescribeExec, pgx.QueryExecModeExec}
	ask := func(column string, mode pgx.QueryExecMode) error {
		var id any
		return conn.QueryRow(background, fmt.Sprintf("SELECT %s FROM users WHERE id = %d", column, key), mode).Scan(&id)
	}
	for _, mode := range modes {
		if err := ask("'b'::not_at_home", mode); sqlState(err) != "42704" {
			t.Errorf("mode %s: a type that home has not: %v", mode, err)
		}
	}
	run(t, conn, "ALTER TABLE users ADD COLUMN other mood") // what was known is read again
	home.Kill9(t)
	for _, mode := range modes {
		if err := ask("mood", mode); sqlState(err) != "08006" {
			t.Errorf("mode %s: a type while home is away: %v", mode, err)
		}
		if err := ask("name", mode); err != nil {
			t.Errorf("mode %s: a type that is the same everywhere, while home is away: %v", mode, err)
		}
	}
	if err := conn.QueryRow(background, "SELECT mood FROM users ORDER BY id LIMIT 1").Scan(new(any)); err == nil {
		t.Error("rows were gathered without the home shard")
	}
	home.Restart(t)
	waitFor(t, "the types' names", func() bool { return ask("mood", pgx.QueryExecModeSimpleProtocol) == nil })
}
