package admin_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgring/pgring/admin"
	"github.com/pgring/pgring/internal/pgtest"
	"github.com/pgring/pgring/ring"
)

// wantOutput fails unless a text holds all parts.
func wantOutput(t *testing.T, got string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(got, part) {
			t.Errorf("%q is missing in:\n%s", part, got)
		}
	}
}

func TestPsqlWalksThroughTheConsole(t *testing.T) {
	r := newRig(t, 3, 0)
	for i := range 60 {
		r.exec(fmt.Sprintf("INSERT INTO users VALUES (%d, 'u')", i))
	}
	r.exec("INSERT INTO countries VALUES ('de'), ('fr')")
	for _, s := range r.servers {
		s.Exec(t, "ANALYZE")
	}
	wantOutput(t, r.psql("boss", "SHOW SHARDS WHERE state = active ORDER BY shard DESC LIMIT 2;"), "shard|host|port|state|weight|ring_share_pct|slots|size_bytes", "s3|127.0.0.1|", "(2 rows)")
	wantOutput(t, r.psql("boss", "SHOW TABLES;"),
		"public.users|sharded|consistent|id|people|60|", "public.countries|reference||||2|", "public.notes|home||||0|")
	wantOutput(t, r.psql("eyes", "SHOW RING;"), "|33.3", "|people", "(3 rows)")
	wantOutput(t, r.psql("boss", "SHOW SCHEMA DRIFT;"), "(0 rows)")
	r.servers[2].Exec(t, "ALTER TABLE users ADD COLUMN extra int; DROP TABLE countries; CREATE INDEX ON users (name)")
	wantOutput(t, r.psql("eyes", "SHOW SCHEMA DRIFT WHERE shard = s3;"), "shard|difference|kind|object|home|there|what_to_do", "s3|missing|table|public.countries|",
		"s3|extra|column|public.users.extra||integer|Drop the column on s3", "s3|extra|index|public.users.users_name_idx||CREATE INDEX")
	r.servers[2].Exec(t, "ALTER TABLE users DROP COLUMN extra; DROP INDEX users_name_idx; CREATE TABLE countries (code text PRIMARY KEY)")
	at := r.topology.Current().Table("public", "users").Group.Placement.Locate(key(t, "42"))
	wantOutput(t, r.psql("eyes", "SHOW PLACEMENT users 42;"), fmt.Sprintf("public.users|42|%d|%d|%s|1|", int64(key(t, "42").Hash()), at.Slot, at.Shard))
	wantOutput(t, r.psql("eyes", "SHOW PLACEMENT countries de;", "SHOW PLACEMENT notes 1;"), "|||all|", "|||s1|")
	wantOutput(t, r.psql("eyes", "ROUTE SELECT * FROM users WHERE id = 42;"), "step|kind|table|key|shard|sql_sent|reason", "1|one|users|", "|"+string(at.Shard)+"|")
	wantOutput(t, r.psql("eyes", "EXPLAIN ROUTE SELECT count(*) FROM users;"), "|gather|users|", "(3 rows)")
	wantOutput(t, r.psql("boss", "SHOW POOLS;", "SHOW CLIENTS;", "SHOW SERVERS;", "SHOW DATABASES;", "SHOW USERS LIKE 'b%';", "SHOW LISTS;"),
		"s1|postgres|0|0|", "C|boss|pgring|", "S|postgres|s1|idle|127.0.0.1|", "s3|127.0.0.1|", "boss||admin||0|1", "used_clients|1\n")
	wantOutput(t, r.psql("boss", "SHOW STATS;", "SHOW STATS_TOTALS;", "SHOW STATS_AVERAGES;", "SHOW CONFIG;", "SHOW VERSION;", "SHOW STATE;", "SHOW PEERS;", "SHOW HOT KEYS;", "HELP LIMIT 1;"),
		"shop|61|61|", "pool.mode|transaction|transaction|yes", "listen.sql|127.0.0.1:6432|127.0.0.1:6432|no", "pgring 9.9.9", "control_database|connected", "map_epoch|1", "|test|", "group|key|hash|per_s|error_per_s", "SHOW SHARDS [filter]|")
	wantOutput(t, r.psql("boss", "SHOW POLS;", "SHOW PLACEMENT usres 1;", "SHOW PLACEMENT users x;", "ROUTE SELEC;", "ROUTE;", "PAUSE s9;", "KILL 99999;", "KILL s1;", "REBALANCE REVERT;", "REBALANCE REVERT 7;", "REBALANCE FINISH all;"),
		"42601: unknown command", "Did you mean SHOW POOLS?", "42P01:", "Did you mean users?", "22P02:", "42601: syntax error", "42704: there is no shard", "42704: there is no client 99999", "22P02: \"s1\" is not the id",
		"no move is reversible", "move 7 cannot be reverted", "the move must be a number")
}

func key(t *testing.T, text string) ring.Key {
	t.Helper()
	k, err := ring.ParseKey(ring.KeyInt, []byte(text))
	must(t, err)
	return k
}

// exec runs SQL as a client of the shards.
func (r *rig) exec(sql string) {
	r.t.Helper()
	conn := r.connect("boss", "shop")
	defer conn.Close(context.WithoutCancel(r.t.Context()))
	_, err := conn.Exec(r.t.Context(), sql)
	must(r.t, err)
}

func TestPgxReadsThePoolsInEveryProtocol(t *testing.T) {
	r := newRig(t, 2, 0)
	for name, mode := range map[string]pgx.QueryExecMode{"simple": pgx.QueryExecModeSimpleProtocol, "extended": pgx.QueryExecModeExec} {
		conn := r.connect("eyes", "pgbouncer")
		for range 2 {
			rows, err := conn.Query(t.Context(), "SHOW POOLS", mode)
			must(t, err)
			n := 0
			for rows.Next() {
				values, err := rows.Values()
				must(t, err)
				if _, isText := values[0].(string); !isText {
					t.Errorf("%s: database is %T", name, values[0])
				}
				if _, isNumber := values[2].(int64); !isNumber {
					t.Errorf("%s: cl_active is %T", name, values[2])
				}
				n++
			}
			must(t, rows.Err())
			if n != 2 || len(rows.FieldDescriptions()) != 21 || rows.CommandTag().String() != "SHOW" {
				t.Errorf("%s: %d rows of %d columns, tag %s", name, n, len(rows.FieldDescriptions()), rows.CommandTag())
			}
		}
		must(t, conn.Ping(t.Context()))
		tx, err := conn.BeginTx(t.Context(), pgx.TxOptions{AccessMode: pgx.ReadOnly})
		must(t, err)
		must(t, tx.Rollback(t.Context()))
	}
	conn := r.connect("eyes", "pgbouncer")
	described, err := conn.Prepare(t.Context(), "pools", "SHOW POOLS")
	must(t, err)
	if len(described.Fields) != 21 || described.Fields[2].DataTypeOID != 20 {
		t.Errorf("described as %+v", described.Fields)
	}
}

func TestRolesAreKept(t *testing.T) {
	r := newRig(t, 1, 0)
	if _, err := pgx.Connect(t.Context(), r.dsn("app", "pgring")); code(err) != "42501" {
		t.Errorf("role app on the console: %v", err)
	}
	conn := r.connect("eyes", "pgring")
	for _, sql := range []string{"PAUSE", "SHUTDOWN", "RELOAD", "DROP SHARD s1 CONFIRM", "KILL 1", "SHARD TABLE notes BY user_id"} {
		_, err := conn.Exec(t.Context(), sql)
		if code(err) != "42501" {
			t.Errorf("%s as stats: %v", sql, err)
		}
	}
	if r.shutdown.Load() != 0 || r.topology.Current().Epoch != 1 {
		t.Error("a refused command had an effect")
	}
}

func code(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}

func TestPauseHoldsClientsUntilResume(t *testing.T) {
	r := newRig(t, 2, 0)
	boss, app := r.connect("boss", "pgring"), r.connect("boss", "shop")
	_, err := app.Exec(t.Context(), "BEGIN; SELECT * FROM notes")
	must(t, err)
	_, err = boss.Exec(t.Context(), "PAUSE s1")
	if code(err) != "57014" || !strings.Contains(err.(*pgconn.PgError).Detail, "1 of shard s1") {
		t.Errorf("PAUSE over an open transaction: %+v", err)
	}
	_, err = app.Exec(t.Context(), "COMMIT")
	must(t, err)
	_, err = boss.Exec(t.Context(), "PAUSE s1")
	must(t, err)
	done := make(chan error, 1)
	go func() { // owner: the test; ends when the statement is answered after RESUME
		_, err := app.Exec(context.WithoutCancel(t.Context()), "SELECT * FROM notes")
		done <- err
	}()
	waitFor(t, "the client to wait", func() bool {
		return strings.Contains(r.psql("boss", "SHOW POOLS LIKE 's1' WHERE cl_waiting = 1 AND paused = 1;"), "(1 row)")
	})
	_, err = boss.Exec(t.Context(), "RESUME S1")
	must(t, err)
	must(t, <-done)
	for _, sql := range []string{"PAUSE", "RESUME", "RECONNECT s2", "RECONNECT"} {
		if tag, err := boss.Exec(t.Context(), sql); err != nil || tag.String() != strings.Fields(sql)[0] {
			t.Errorf("%s: %s %v", sql, tag, err)
		}
	}
}

func TestKillEndsTheClientThatShowQueriesNames(t *testing.T) {
	r := newRig(t, 1, 0)
	app, boss := r.connect("boss", "shop"), r.connect("boss", "pgring")
	done := make(chan error, 1)
	go func() { // owner: the test; ends when the client is killed
		_, err := app.Exec(context.WithoutCancel(t.Context()), "SELECT pg_sleep(600)")
		done <- err
	}()
	var id int64
	waitFor(t, "the query to be listed", func() bool {
		rows, err := boss.Query(t.Context(), "SHOW QUERIES WHERE query LIKE '%pg_sleep%' AND state = active", pgx.QueryExecModeSimpleProtocol)
		must(t, err)
		defer rows.Close()
		if !rows.Next() {
			return false
		}
		values, err := rows.Values()
		must(t, err)
		id = values[0].(int64)
		return values[6] == "home" && values[7] == "s1"
	})
	_, err := boss.Exec(t.Context(), fmt.Sprintf("KILL %d", id))
	must(t, err)
	if err := <-done; err == nil {
		t.Error("the killed client got an answer")
	}
	waitFor(t, "the statement on the shard to end", func() bool {
		return pgtest.One[int](t, r.servers[0], "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'SELECT pg_sleep%'") == 0
	})
}

func TestShardsAndTablesAreAddedAndDropped(t *testing.T) {
	r := newRig(t, 2, 1)
	boss := r.connect("boss", "pgring")
	run := func(sql, want string) *pgconn.PgError {
		t.Helper()
		_, err := boss.Exec(t.Context(), sql)
		if code(err) != want {
			t.Fatalf("%s: code %q, want %q (%v)", sql, code(err), want, err)
		}
		var pg *pgconn.PgError
		errors.As(err, &pg)
		return pg
	}
	run(fmt.Sprintf("ADD SHARD s3 HOST %s PORT %d WEIGHT 2", r.servers[2].Host, r.servers[2].Port), "")
	wantOutput(t, r.psql("boss", "SHOW SHARDS LIKE 's3';"), fmt.Sprintf("s3|127.0.0.1|%d|active|2|0|0|", r.servers[2].Port))
	r.servers[2].Exec(t, "ALTER TABLE users SET UNLOGGED")
	wantOutput(t, r.psql("boss", "REBALANCE PLAN;"), "WARNING:  01000: slots cannot be moved yet", "table public.users on shard s3: is unlogged", "people|s1|s3|", "people|s2|s3|")
	if e := run("REBALANCE START", "55000"); !strings.Contains(e.Detail, "public.users on shard s3: is unlogged") || e.Hint == "" || len(r.topology.Current().Moves) > 0 {
		t.Errorf("REBALANCE START with something in the way: %+v", e)
	}
	r.servers[2].Exec(t, "ALTER TABLE users SET LOGGED")
	if e := run("ADD SHARD s3 HOST nowhere", "55000"); !strings.Contains(e.Message, "there already") || e.Hint == "" {
		t.Errorf("second ADD SHARD: %+v", e)
	}
	if e := run("DROP SHARD s1", "55000"); !strings.Contains(e.Detail, "home shard") || !strings.Contains(e.Detail, "slots of group people") {
		t.Errorf("DROP SHARD of the home shard without CONFIRM: %+v", e)
	}
	if e := run("DROP SHARD s2 CONFIRM", "55006"); !strings.Contains(e.Detail, "of group people") {
		t.Errorf("DROP SHARD of a full one: %+v", e)
	}
	run("SHARD TABLE notes BY user_id COLOCATE WITH nothing", "42P01")
	run("SHARD TABLE notes BY user_id COLOCATE WITH countries", "55000")
	run("SHARD TABLE notes BY user_id COLOCATE WITH users", "")
	if notes := r.topology.Current().Table("public", "notes"); notes.Group == nil || notes.Group.Name != "people" {
		t.Errorf("notes: %+v", notes)
	}
	run("SHARD TABLE notes BY n", "55000")
	run("SHARD TABLE events BY id STRATEGY hash", "")
	r.servers[0].Exec(t, "CREATE TABLE prices (id int PRIMARY KEY, shop int)")
	wantOutput(t, r.psql("boss", "SHARD TABLE prices BY shop;"), "WARNING:  01000: unique key (id) of table prices does not contain the shard key")
	run("REFERENCE TABLE currencies", "")
	wantOutput(t, r.psql("boss", "SHOW TABLES WHERE kind <> home ORDER BY table;"), "public.countries|reference", "public.currencies|reference", "public.events|sharded|hash|id|", "public.notes|sharded|consistent|user_id|people")
	if e := run("DROP SHARD s3", "55000"); !strings.Contains(e.Detail, "events") {
		t.Errorf("DROP SHARD without CONFIRM of one that has slots by now: %+v", e)
	}
}

func TestAnEmptyShardIsDroppedOnlyWhenConfirmed(t *testing.T) {
	r := newRig(t, 1, 1)
	out := r.psql("boss", fmt.Sprintf("ADD SHARD s2 HOST %s PORT %d;", r.servers[1].Host, r.servers[1].Port), "DROP SHARD s2;", "SHOW SHARDS LIKE 's2';", "DROP SHARD s2 CONFIRM;", "SHOW SHARDS LIKE 's2';")
	wantOutput(t, out, "NOTICE:  00000: shard s2 is active at epoch 2 and owns nothing yet", "ERROR:  55000: DROP SHARD s2 needs CONFIRM", "would be forgotten", "HINT:  DROP SHARD s2 CONFIRM", "(1 row)",
		"shard s2 is forgotten", "(0 rows)")
}

func TestReloadAnswersARowForEachKey(t *testing.T) {
	r := newRig(t, 1, 0)
	r.reload = func() ([]admin.Change, error) {
		return []admin.Change{{Key: "pool.mode", Old: "session", New: "session", Outcome: "no change"}, {Key: "pool.size", Old: "5", New: "6", Outcome: "applied"}, {Key: "listen.sql", Old: "a", New: "b", Outcome: "restart"}}, nil
	}
	wantOutput(t, r.psql("boss", "RELOAD;"), "key|old|new|outcome\npool.size|5|6|applied\nlisten.sql|a|b|restart\npool.mode|session|session|no change\n")
	r.reload = func() ([]admin.Change, error) {
		return []admin.Change{{Key: "tables[users].shard_key", Outcome: "refused", Reason: "RELOAD never moves rows", Hint: "Put the old value back."}}, errors.New("reload refused")
	}
	wantOutput(t, r.psql("boss", "RELOAD;"), "ERROR:  F0000: configuration was not reloaded", "DETAIL:  tables[users].shard_key: RELOAD never moves rows", "HINT:  Put the old value back.")
}

func TestShutdownIsPassedOnWithItsMode(t *testing.T) {
	r := newRig(t, 1, 0)
	conn := r.connect("boss", "pgring")
	_, err := conn.Exec(t.Context(), "SHUTDOWN WAIT_FOR_CLIENTS")
	must(t, err)
	if mode := admin.ShutdownMode(r.shutdown.Load()); mode != admin.ShutdownWhenClients {
		t.Errorf("mode %d", mode)
	}
	if _, err = conn.Exec(t.Context(), "SHUTDOWN now"); code(err) != "42601" || admin.ShutdownMode(r.shutdown.Load()) != admin.ShutdownWhenClients {
		t.Errorf("SHUTDOWN now: %v", err)
	}
	_, err = conn.Exec(t.Context(), "SHUTDOWN")
	must(t, err)
	if mode := admin.ShutdownMode(r.shutdown.Load()); mode != admin.ShutdownDrain {
		t.Errorf("mode %d", mode)
	}
}

func TestAFrozenShardDoesNotBlockTheConsole(t *testing.T) {
	r := newRig(t, 2, 0)
	boss := r.connect("boss", "pgring")
	r.servers[1].Stop(t)
	defer r.servers[1].Cont(t)
	for _, sql := range []string{"SHOW SHARDS", "SHOW TABLES", "SHOW RING", "SHOW STATE", "SHOW PEERS", "SHOW POOLS"} {
		began := time.Now()
		rows, err := boss.Query(t.Context(), sql, pgx.QueryExecModeSimpleProtocol)
		must(t, err)
		for rows.Next() {
			values, err := rows.Values()
			must(t, err)
			if sql == "SHOW SHARDS" && (values[7] == nil) != (values[0] == "s2") {
				t.Errorf("size of %s is %v", values[0], values[7])
			}
			if sql == "SHOW TABLES" && values[0] == "public.users" && values[5] != nil {
				t.Errorf("rows of a table of which a part is unknown: %v", values[5])
			}
		}
		must(t, rows.Err())
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("%s took %s", sql, took)
		}
	}
}
