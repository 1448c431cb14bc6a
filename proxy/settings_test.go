package proxy_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgring/pgring/backend"
)

// connectWith opens a client with extra connection parameters.
func (c *cluster) connectWith(params string) *pgx.Conn {
	c.t.Helper()
	conn, err := pgx.Connect(background, c.dsn()+params)
	must(c.t, err)
	c.t.Cleanup(func() { _ = conn.Close(background) })
	return conn
}

func TestSettingsFollowTheClientFromServerToServer(t *testing.T) {
	c := start(t, options{pool: backend.Config{Size: 1}})
	a, b := c.connect(), c.connect()
	keys := c.keys(3)
	run(t, a, "SET work_mem TO '7MB'")
	run(t, b, "SET work_mem TO '9MB'")
	for range 3 {
		for _, key := range keys { // one server connection for each shard: the two clients take turns on it
			show := fmt.Sprintf("SELECT current_setting('work_mem'), count(*) FROM users WHERE id = %d", key)
			wantValue(t, a, show, "7MB")
			wantValue(t, b, show, "9MB")
		}
	}
	run(t, a, "RESET work_mem")
	wantValue(t, a, "SHOW work_mem", "4MB")
	wantValue(t, b, "SHOW work_mem", "9MB")
	run(t, b, "RESET ALL")
	wantValue(t, b, "SHOW work_mem", "4MB")
}

func TestSettingsOfATransactionEndWithIt(t *testing.T) {
	c := start(t, options{pool: backend.Config{Size: 1}})
	conn := c.connect()
	keys := c.keys(2)
	show := fmt.Sprintf("SELECT current_setting('work_mem'), count(*) FROM users WHERE id = %d", keys[1])
	run(t, conn, "BEGIN; SET LOCAL work_mem TO '7MB'")
	wantValue(t, conn, show, "7MB")
	run(t, conn, "COMMIT")
	wantValue(t, conn, show, "4MB")
	run(t, conn, "BEGIN; SET work_mem TO '8MB'")
	wantValue(t, conn, show, "8MB")
	run(t, conn, "ROLLBACK")
	wantValue(t, conn, show, "4MB")
	run(t, conn, "BEGIN; SET work_mem TO '8MB'; SAVEPOINT s; SET work_mem TO '9MB'")
	wantValue(t, conn, show, "9MB")
	run(t, conn, "ROLLBACK TO s")
	wantValue(t, conn, show, "8MB")
	run(t, conn, "COMMIT")
	wantValue(t, conn, show, "8MB")
	wantValue(t, conn, "SHOW work_mem", "8MB")
}

func TestSettingsOfATransactionEndWithItOnPinnedConnections(t *testing.T) {
	t.Parallel()
	w := startTwin(t, options{})
	sameAll(t, w, [][2]string{
		{"rolled back", "Q LISTEN l | Q BEGIN | Q SET work_mem = '1MB' | Q ROLLBACK | Q SHOW work_mem"},
		{"committed", "Q LISTEN l | Q BEGIN | Q SET work_mem = '1MB' | Q COMMIT | Q SHOW work_mem | Q SELECT current_setting('work_mem') FROM users WHERE id = {b}"},
		{"local", "Q LISTEN l | Q BEGIN | Q SET LOCAL work_mem = '1MB' | Q SHOW work_mem | Q SELECT current_setting('work_mem') FROM users ORDER BY id | Q COMMIT | Q SHOW work_mem"},
		{"to a savepoint", "Q LISTEN l | Q BEGIN | Q SET work_mem = '1MB' | Q SAVEPOINT s | Q SET work_mem = '2MB' | Q ROLLBACK TO s | Q SHOW work_mem | Q COMMIT | Q SHOW work_mem"},
		{"in a message that fails", "Q LISTEN l | Q SET work_mem = '1MB'; SET search_path = pg_catalog; EXECUTE nothing | Q SHOW work_mem | Q SHOW search_path"},
		{"in the extended protocol", "Q LISTEN l | P . BEGIN | B . . | E . | S | P . SET work_mem = '1MB' | B . . | E . | S | P . ROLLBACK | B . . | E . | S | Q SHOW work_mem"},
		{"by set_config on one of two", "Q LISTEN l | Q BEGIN | Q DECLARE k CURSOR WITH HOLD FOR SELECT n FROM notes WHERE user_id = {b} | Q COMMIT | Q SELECT set_config('work_mem', '1MB', false) | Q SHOW work_mem | Q SELECT current_setting('work_mem') FROM users WHERE id = {b} | Q SELECT x, current_setting('work_mem') FROM things ORDER BY x"},
		{"and then a write elsewhere", "Q LISTEN l | Q BEGIN | Q SET work_mem = '1MB' | Q UPDATE users SET age = 9 WHERE id = {b} | Q COMMIT | Q SHOW work_mem | Q SELECT age FROM users WHERE id = {b}"},
	})
}

func TestWrongSettingIsRefusedAtOnce(t *testing.T) {
	c := start(t, options{})
	conn := c.connect()
	refused(t, conn, "SET work_mem TO 'much'", "22023")
	refused(t, conn, "SET no_such TO 1", "42704")
	run(t, conn, "BEGIN")
	refused(t, conn, "SET LOCAL work_mem TO 'much'", "22023")
	wantStatus(t, conn, 'E')
	run(t, conn, "ROLLBACK")
	wantValue(t, conn, "SHOW work_mem", "4MB")
}

func TestStartUpParametersAreTheBaseline(t *testing.T) {
	c := start(t, options{})
	conn := c.connectWith("&application_name=first&options=-c%20work_mem%3D6MB%20-c%20search_path%3Dpg_catalog,public")
	wantValue(t, conn, "SHOW work_mem", "6MB")
	wantValue(t, conn, "SHOW search_path", "pg_catalog,public")
	if got := conn.PgConn().ParameterStatus("application_name"); got != "first" {
		t.Fatalf("application_name reported as %q", got)
	}
	run(t, conn, "SET work_mem TO '7MB'; SET application_name TO 'second'")
	if got := conn.PgConn().ParameterStatus("application_name"); got != "second" {
		t.Fatalf("application_name reported as %q", got)
	}
	run(t, conn, "RESET ALL")
	wantValue(t, conn, "SHOW work_mem", "6MB")
	wantValue(t, conn, "SHOW application_name", "first")
	if got := conn.PgConn().ParameterStatus("application_name"); got != "first" {
		t.Fatalf("application_name reported as %q", got)
	}
	run(t, conn, "SET work_mem TO '7MB'")
	run(t, conn, "DISCARD ALL")
	wantValue(t, conn, "SHOW work_mem", "6MB")
	run(t, conn, "BEGIN")
	run(t, conn, "SET work_mem TO '7MB'")
	run(t, conn, "RESET ALL")
	for _, id := range c.keys(3) {
		wantValue(t, conn, fmt.Sprintf("SELECT current_setting('work_mem') || count(*) FROM users WHERE id = %d", id), "6MB0")
	}
	run(t, conn, "COMMIT")
	for _, reset := range []string{"RESET ALL", "DISCARD ALL"} {
		run(t, conn, "SET work_mem TO '7MB'")
		if _, err := conn.PgConn().ExecParams(background, reset, nil, nil, nil, nil).Close(); err != nil {
			t.Fatalf("%s in the extended protocol: %v", reset, err)
		}
		wantValue(t, conn, "SHOW work_mem", "6MB")
	}
	if _, err := pgx.Connect(background, c.dsn()+"&options=-c%20work_mem%3Dmuch"); err == nil {
		t.Fatal("a wrong start-up parameter was accepted")
	}
}

// Wherever it may come from: constants are read as pgring reads them.
func TestBackslashesInPlainConstantsMeanThemselves(t *testing.T) {
	c := start(t, options{pool: backend.Config{Size: 1}, own: true})
	var failure *pgconn.PgError
	if _, err := pgx.Connect(background, c.dsn()+"&options=-c%20standard_conforming_strings%3Doff"); !errors.As(err, &failure) || failure.Code != "0A000" {
		t.Errorf("at start-up: %v", err)
	}
	for _, s := range c.servers {
		s.Exec(t, "ALTER DATABASE postgres SET standard_conforming_strings = off")
		s.Exec(t, "CREATE FUNCTION turn_off() RETURNS text LANGUAGE sql AS $$ SELECT set_config('standard_conforming_strings', 'off', false) $$")
	}
	must(t, c.pools.Reconnect(""))
	conn, other := c.connect(), c.connect()
	for _, reset := range []string{"SELECT 1", "RESET ALL", "DISCARD ALL", "RESET standard_conforming_strings", "SET standard_conforming_strings TO DEFAULT"} {
		run(t, conn, reset)
		wantValue(t, conn, `SELECT length('a\b')`, "3")
		wantValue(t, conn, "SHOW standard_conforming_strings", "on")
	}
	refused(t, conn, "UPDATE pg_settings SET setting = 'off' WHERE name = 'standard_conforming_strings'", "0A000")
	refused(t, conn, "UPDATE pg_catalog.pg_settings SET setting = '1MB' WHERE name = 'work_mem'", "0A000")
	refused(t, conn, "SELECT turn_off()", "0A000")
	wantValue(t, other, `SELECT length('a\b')`, "3")
	run(t, conn, "BEGIN")
	refused(t, conn, "SELECT turn_off()", "0A000")
	refused(t, conn, "SELECT 1", "25P02")
	run(t, conn, "ROLLBACK")
	wantValue(t, conn, `SELECT length('a\b')`, "3")
}

func TestRoleNeverLeaks(t *testing.T) {
	c := start(t, options{pool: backend.Config{Size: 1}})
	for _, s := range c.servers {
		s.Exec(t, "CREATE ROLE clerk; GRANT SELECT ON users TO clerk")
	}
	a, b := c.connect(), c.connect()
	keys := c.keys(3)
	run(t, a, "SET ROLE clerk")
	for _, key := range keys {
		who := fmt.Sprintf("SELECT current_user, count(*) FROM users WHERE id = %d", key)
		wantValue(t, a, who, "clerk")
		wantValue(t, b, who, "postgres")
		refused(t, a, insertUser(key), "42501")
		run(t, b, insertUser(key))
	}
	run(t, a, "RESET ROLE")
	wantValue(t, a, "SELECT current_user", "postgres")
}

func TestSearchPathDecidesWhatANameMeans(t *testing.T) {
	c := start(t, options{})
	c.servers[0].Exec(t, "CREATE SCHEMA private; CREATE TABLE private.users (id bigint, name text); INSERT INTO private.users VALUES (1, 'private')")
	conn := c.connect()
	run(t, conn, insertUser(c.keys(2)[1]))
	waitFor(t, "the catalog to show the schema", func() bool { return c.topology.Current().Table("private", "users") != nil })
	run(t, conn, "SET search_path TO private, public")
	wantValue(t, conn, "SELECT name FROM users", "private")
	run(t, conn, "RESET search_path")
	wantValue(t, conn, "SELECT count(*) FROM users", "1")
	run(t, conn, "SELECT set_config('search_path', 'private', false)")
	wantValue(t, conn, "SELECT name FROM users", "private")
	run(t, conn, "BEGIN; SET LOCAL search_path TO public")
	wantValue(t, conn, "SELECT count(*) FROM users", "1")
	run(t, conn, "COMMIT")
	wantValue(t, conn, "SELECT name FROM users", "private")
}

func TestStateOnAServerKeepsTheConnection(t *testing.T) {
	c := start(t, options{pool: backend.Config{Size: 2}})
	a, b := c.connect(), c.connect()
	run(t, a, "CREATE TEMP TABLE mine (x int)")
	for range 3 {
		run(t, b, "SELECT 1")
		run(t, a, "INSERT INTO mine VALUES (1)")
	}
	wantValue(t, a, "SELECT count(*) FROM mine", "3")
	refused(t, b, "SELECT * FROM mine", "42P01")
	run(t, a, "DISCARD ALL")
	refused(t, a, "SELECT * FROM mine", "42P01")
	run(t, a, "SELECT pg_advisory_lock(7)")
	wantValue(t, b, "SELECT pg_try_advisory_lock(7)", "f")
	must(t, a.Close(background))
	waitFor(t, "the lock to be free", func() bool { return value(t, b, "SELECT pg_try_advisory_lock(7)") == "t" })
}

func TestNotificationsArriveWhileTheClientIsSilent(t *testing.T) {
	c := start(t, options{})
	listener, sender := c.connect(), c.connect()
	run(t, listener, "LISTEN news")
	run(t, sender, "NOTIFY news, 'hello'")
	n, err := listener.WaitForNotification(background)
	must(t, err)
	if n.Channel != "news" || n.Payload != "hello" {
		t.Fatalf("got %+v", n)
	}
	wantValue(t, listener, "SELECT 5", "5") // and it can still be used
	run(t, sender, "SELECT pg_notify('news', 'again')")
	n, err = listener.WaitForNotification(background)
	must(t, err)
	if n.Payload != "again" {
		t.Fatalf("got %+v", n)
	}
	c.servers[0].Kill9(t)
	if _, err := listener.WaitForNotification(background); err == nil {
		t.Fatal("a listener whose server died was not told")
	}
}

func TestSessionModeKeepsTheConnection(t *testing.T) {
	o := options{shards: 1}
	o.policy.Mode = 1
	c := start(t, o)
	conn := c.connect()
	pid := value(t, conn, "SELECT pg_backend_pid()")
	other := c.connect()
	if value(t, other, "SELECT pg_backend_pid()") == pid {
		t.Fatal("two sessions share a server connection")
	}
	run(t, conn, "CREATE TEMP TABLE x ()")
	wantValue(t, conn, "SELECT pg_backend_pid()", pid)
}

// noticeCodes connects a client that collects the SQLSTATEs of notices.
func (c *cluster) noticeCodes(codes *[]string) *pgx.Conn {
	config, err := pgx.ParseConfig(c.dsn())
	must(c.t, err)
	config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { *codes = append(*codes, n.Code) }
	conn, err := pgx.ConnectConfig(context.Background(), config)
	must(c.t, err)
	c.t.Cleanup(func() { _ = conn.Close(background) })
	return conn
}
