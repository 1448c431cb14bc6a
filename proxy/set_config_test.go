package proxy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/backend"
)

// TestSetConfigHoldsOnEveryShard: what SELECT set_config sets, the session's statements find on whatever shard they run, before and after, for as long
// as PostgreSQL has it.
func TestSetConfigHoldsOnEveryShard(t *testing.T) {
	c := start(t, options{shards: 2, pool: backend.Config{Size: 2}})
	keys := c.keys(2)
	run(t, c.connect(), fmt.Sprintf("INSERT INTO users VALUES (%d, 'a', 1), (%d, 'b', 2)", keys[0], keys[1]))
	seen := func(conn *pgx.Conn) []string {
		var all []string
		for _, key := range keys {
			var tenant, other string
			must(t, conn.QueryRow(background, "SELECT coalesce(current_setting('shop.tenant', true), ''), coalesce(current_setting('shop.other', true), '') FROM users WHERE id = $1", key).Scan(&tenant, &other))
			all = append(all, strings.TrimRight(tenant+" "+other, " "))
		}
		return all
	}
	want := func(conn *pgx.Conn, what, tenant string) {
		t.Helper()
		if got := seen(conn); !slices.Equal(got, []string{tenant, tenant}) {
			t.Errorf("%s: %q, want %q on both", what, got, tenant)
		}
	}
	for name, mode := range map[string]pgx.QueryExecMode{"simple": pgx.QueryExecModeSimpleProtocol, "extended": pgx.QueryExecModeExec, "prepared": pgx.QueryExecModeCacheStatement} {
		conn := c.connect()
		set := func(text string, args ...any) {
			t.Helper()
			_, err := conn.Exec(background, text, append([]any{mode}, args...)...)
			must(t, err)
		}
		run(t, conn, "SET shop.tenant = 't1'")
		want(conn, name+", SET", "t1")
		for _, first := range []bool{false, true} {
			run(t, conn, "BEGIN")
			if first { // both shards take part already
				want(conn, name+", before", "t1")
			}
			set("SELECT set_config('shop.tenant', $1, true)", "t2")
			want(conn, name+", local", "t2")
			run(t, conn, "SAVEPOINT s")
			set("SELECT set_config('shop.tenant', $1, true), set_config('shop.other', $2, true)", "t3", "o")
			want(conn, name+", two", "t3 o")
			run(t, conn, "ROLLBACK TO s")
			want(conn, name+", rolled back to", "t2")
			run(t, conn, "COMMIT")
			want(conn, name+", after COMMIT", "t1")
			run(t, conn, "BEGIN")
			if first {
				want(conn, name+", before", "t1")
			}
			set("SELECT set_config('shop.tenant', $1, false)", "t4")
			want(conn, name+", for the session", "t4")
			run(t, conn, "ROLLBACK")
			want(conn, name+", after ROLLBACK", "t1")
		}
		set("SELECT set_config('shop.tenant', $1, true)", "t5") // of its own transaction
		want(conn, name+", alone", "t1")
		set("SELECT set_config('shop.tenant', $1, false), set_config('shop.other', 'p', false)", "t6")
		want(conn, name+", two for the session", "t6 p")
		for _, text := range []string{"SELECT set_config('shop.tenant', 't' || '7', false)", "SELECT set_config('shop.tenant', x, true) FROM (VALUES ('t7')) y (x)"} {
			_, err := conn.Exec(background, text, mode)
			wantCode(t, err, "0A000")
		}
		want(conn, name+", refused", "t6 p")
	}
}

// TestSettingsInAPipelineHoldAsInPostgres: a pipeline is one transaction, over all shards, and what it sets holds in it from there on.
func TestSettingsInAPipelineHoldAsInPostgres(t *testing.T) {
	w := startTwin(t, options{})
	pipe := func(sql ...string) string {
		var frames []string
		for _, one := range sql {
			frames = append(frames, "P . "+one+" | B . . | E .")
		}
		return strings.Join(append(frames, "S"), " | ")
	}
	const read = "SELECT name, current_setting('shop.tenant', true), current_setting('search_path') FROM users WHERE id = "
	const a, b, c = read + "{a}", read + "{b}", read + "{c}"
	for _, set := range []string{"SET shop.tenant = 't1'", "SELECT set_config('shop.tenant', 't2', false)", "SELECT set_config('shop.tenant', 't3', true)", "SET LOCAL shop.tenant = 't4'",
		"SET search_path = pg_catalog, public", "SELECT set_config('search_path', 'public, pg_catalog', false)", "SET LOCAL search_path = pg_catalog, public", "RESET search_path",
		"SET LOCAL statement_timeout = 'nonsense'", "RESET ALL"} {
		var script []string
		for _, steps := range [][]string{{set}, {set, a, b}, {a, set, a, b}, {c, b, set, a, b, c}, {set, "SELECT 1/0"}, {b, set, a, "SELECT 1/0"},
			{set, "ROLLBACK"}, {set, "ROLLBACK", a}, {set, "COMMIT", "SELECT 1/0"}, {set, "COMMIT", b, a}, {set, "BEGIN", a}, {set, "BEGIN", "SAVEPOINT a", b}, {"BEGIN", set, b}} {
			script = append(script, "Q SET shop.tenant = 't0'; SET search_path = public", pipe(steps...), "Q "+a, "Q "+b, "Q "+c, "Q ROLLBACK", "Q "+a, "Q "+b, "Q "+c)
		}
		w.same(t, strings.Join(script, " | "))
	}
}

// TestASuspendedStatementHasItsEffects: with a limit of rows a statement that has given them ends without CommandComplete.
func TestASuspendedStatementHasItsEffects(t *testing.T) {
	c := start(t, options{shards: 2, pool: backend.Config{Size: 1}})
	keys := c.keys(2)
	run(t, c.connect(), fmt.Sprintf("INSERT INTO users VALUES (%d, 'a', 1), (%d, 'b', 2)", keys[0], keys[1]))
	seen := func(f *frames, tenant string) {
		t.Helper()
		for _, key := range keys {
			if got := f.ask(fmt.Sprintf("Q SELECT coalesce(current_setting('shop.tenant', true), '') FROM users WHERE id = %d", key)); !strings.Contains(got, "D:"+tenant+" ") {
				t.Errorf("key %d: %s, want %s", key, got, tenant)
			}
		}
	}
	one, two := c.frames(), c.frames()
	seen(two, "")
	for _, local := range []bool{false, true} {
		set := func(value, more string) string {
			return fmt.Sprintf("P . SELECT set_config('shop.tenant', '%s', %t) | B . . | E . 1 | %sS", value, local, more)
		}
		one.ask("Q SET shop.tenant = 't0'")
		one.ask(set("t1", ""))
		seen(one, map[bool]string{false: "t1", true: "t0"}[local])
		seen(two, "")
		for _, more := range []string{"", "E . 1 | ", "F | E . 1 | "} {
			one.ask("Q BEGIN")
			one.ask(set("t2"+more[:min(len(more), 1)], more))
			seen(one, "t2"+more[:min(len(more), 1)])
			one.ask("Q ROLLBACK")
			seen(one, map[bool]string{false: "t1", true: "t0"}[local])
			seen(two, "")
		}
	}
	c = start(t, options{shards: 2, pool: backend.Config{Size: 6}})
	for _, function := range []string{"pg_try_advisory_lock", "pg_advisory_lock"} {
		one, two := c.frames(), c.frames()
		one.ask(fmt.Sprintf("P . SELECT %s(79) | B . . | E . 1 | S", function))
		if got := two.ask("Q SELECT pg_try_advisory_lock(79)"); strings.Contains(got, "D:t ") {
			t.Errorf("%s: two clients have the lock: %s", function, got)
		}
		one.ask("Q SELECT pg_advisory_unlock(79)")
	}
}

// TestARoleEndsWithItsAuthorization: SET and RESET SESSION AUTHORIZATION take the role away.
func TestARoleEndsWithItsAuthorization(t *testing.T) {
	w := startTwin(t, options{})
	var script []string
	for _, sql := range []string{"SET ROLE pg_monitor", "RESET SESSION AUTHORIZATION", "SET ROLE pg_monitor", "SET SESSION AUTHORIZATION DEFAULT", "SET ROLE pg_monitor", "RESET ALL", "BEGIN", "RESET SESSION AUTHORIZATION", "ROLLBACK"} {
		script = append(script, "Q "+sql)
		for _, key := range []string{"{a}", "{b}", "{c}"} {
			script = append(script, "Q SELECT current_user <> 'pg_monitor' FROM users WHERE id = "+key)
		}
	}
	w.same(t, strings.Join(script, " | "))
}

// TestSetConfigWithinAnotherStatementIsRefused: it would hold on one server's connection, unseen.
func TestSetConfigWithinAnotherStatementIsRefused(t *testing.T) {
	c := start(t, options{shards: 2})
	conn := c.connect()
	for _, sql := range []string{"EXPLAIN ANALYZE SELECT set_config('shop.tenant', 'x', false)", "COPY (SELECT set_config('shop.tenant', 'x', false)) TO STDOUT",
		"BEGIN; DECLARE c CURSOR FOR SELECT set_config('shop.tenant', 'x', false)"} {
		_, err := conn.PgConn().Exec(background, sql).ReadAll()
		wantCode(t, err, "0A000")
		run(t, conn, "ROLLBACK")
	}
}

// TestAFailedPipelineUndoesSetConfig, and tells its error once.
func TestAFailedPipelineUndoesSetConfig(t *testing.T) {
	c := start(t, options{shards: 2})
	keys := c.keys(2)
	conn := c.connect()
	run(t, conn, fmt.Sprintf("INSERT INTO users VALUES (%d, 'a', 1), (%d, 'b', 2)", keys[0], keys[1]))
	f := c.frames()
	f.ask("Q SET shop.tenant = 't1'")
	for name, value := range map[string]string{"shop.tenant": "t2", "search_path": "public, t2"} {
		got := f.ask(fmt.Sprintf("P . SELECT set_config('%s', '%s', false) | B . . | E . | P . SELECT 1/(age-age) FROM users WHERE id = %d | B . . | E . | S", name, value, keys[1]))
		if strings.Count(got, "E:") != 1 || !strings.Contains(got, "E:22012") {
			t.Errorf("%s: %s", name, got)
		}
		got = f.ask(fmt.Sprintf("P . BEGIN | B . . | E . | P . SELECT set_config('%s', '%s', false) | B . . | E . | P . SELECT 1/(age-age) FROM users WHERE id = %d | B . . | E . | S", name, value, keys[1]))
		if strings.Count(got, "E:") != 1 || !strings.Contains(got, "E:22012") {
			t.Errorf("%s, in a block: %s", name, got)
		}
		f.ask("Q ROLLBACK")
		for _, key := range keys {
			if got := f.ask(fmt.Sprintf("Q SELECT current_setting('shop.tenant') FROM users WHERE id = %d", key)); !strings.Contains(got, "D:t1 ") {
				t.Errorf("%s, key %d: %s", name, key, got)
			}
		}
	}
}

// TestSetConfigIfTheServerKnowsTheSetting is what pg_dump begins with.
func TestSetConfigIfTheServerKnowsTheSetting(t *testing.T) {
	c := start(t, options{shards: 2, pool: backend.Config{Size: 1}})
	keys := c.keys(2)
	conn, other := c.connect(), c.connect()
	run(t, conn, fmt.Sprintf("INSERT INTO users VALUES (%d, 'a', 1), (%d, 'b', 2)", keys[0], keys[1]))
	show := func(conn *pgx.Conn, key int64, setting string) (value string) {
		t.Helper()
		must(t, conn.QueryRow(background, fmt.Sprintf("SELECT coalesce(current_setting('%s', true), '') FROM users WHERE id = %d", setting, key), pgx.QueryExecModeSimpleProtocol).Scan(&value))
		return value
	}
	for sql, rows := range map[string]int64{
		"SELECT set_config(name, '20', false) FROM pg_settings WHERE name = 'geqo_threshold'":                                1,
		"SELECT pg_catalog.set_config(s.name, '20', false) FROM pg_catalog.pg_settings AS s WHERE s.name = 'geqo_threshold'": 1,
		"SELECT set_config('geqo_threshold', '20', false) FROM pg_settings WHERE name = 'geqo_threshold'":                    1,
		"SELECT set_config(name, '20', false) FROM pg_settings WHERE name = 'shop.unheard_of'":                               0,
	} {
		tag, err := conn.Exec(background, sql, pgx.QueryExecModeSimpleProtocol)
		must(t, err)
		want := "12"
		if rows == 1 {
			want = "20"
		}
		for _, key := range keys {
			if mine, others := show(conn, key, "geqo_threshold"), show(other, key, "geqo_threshold"); tag.RowsAffected() != rows || mine != want || others != "12" {
				t.Errorf("%s: %s; key %d has %s, another session %s", sql, tag, key, mine, others)
			}
			if value := show(conn, key, "shop.unheard_of"); value != "" {
				t.Errorf("%s: the unknown setting is %q", sql, value)
			}
		}
		run(t, conn, "RESET geqo_threshold")
	}
	for _, sql := range []string{
		"SELECT set_config(name, '20', false) FROM pg_settings WHERE name LIKE 'geqo_threshold'",
		"SELECT set_config(setting, '20', false) FROM pg_settings WHERE name = 'geqo_threshold'",
		"SELECT set_config(name, '20', false) FROM pg_settings s (setting, name) WHERE name = 'geqo_threshold'",
		"SELECT set_config(name, '20', false) FROM pg_settings WHERE name = 'geqo_threshold' AND false",
		"SELECT set_config(name, '20', false) FROM pg_settings, users WHERE name = 'geqo_threshold'",
	} {
		_, err := conn.Exec(background, sql, pgx.QueryExecModeSimpleProtocol)
		wantCode(t, err, "0A000")
	}
}
