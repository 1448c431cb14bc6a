package backend_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/pgring/pgring/backend"
	"github.com/pgring/pgring/internal/pgtest"
)

func settings(pairs ...string) *backend.Settings {
	var list []backend.Setting
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, backend.Setting{Name: pairs[i], SQL: pairs[i+1]})
	}
	return backend.NewSettings(list)
}

// A customized parameter stays known, and empty, once a session has set it: PostgreSQL cannot forget it.
const shown = `SELECT concat_ws('|', session_user, current_user, current_setting('search_path'), current_setting('client_encoding'),
	current_setting('work_mem'), current_setting('application_name'), coalesce(current_setting('shop.tenant', true), ''), current_setting('statement_timeout'))`

func TestAdoptMakesTheSessionsSettingsThoseGiven(t *testing.T) {
	s := pgtest.Start(t, 1)[0]
	s.Exec(t, "CREATE ROLE clerk; CREATE ROLE boss; CREATE ROLE other LOGIN; GRANT clerk TO other")
	pools := run(t, config(s))
	c := acquire(t, pools)
	defer c.Release()
	fresh := must(t, c, shown)
	for _, step := range []struct {
		settings *backend.Settings
		want     string
	}{
		{settings("search_path", "SET search_path TO shop, public"), `postgres|postgres|shop, public|UTF8|4MB|pgring||0`},
		{settings("search_path", "SET search_path TO shop"), `postgres|postgres|shop|UTF8|4MB|pgring||0`},
		{settings("role", "SET ROLE clerk", "work_mem", "SET work_mem TO '8MB'"), `postgres|clerk|"$user", public|UTF8|8MB|pgring||0`},
		{settings("role", "SET ROLE boss", "work_mem", "SET work_mem TO '8MB'"), `postgres|boss|"$user", public|UTF8|8MB|pgring||0`},
		{settings("role", "SET ROLE clerk", "session_authorization", "SET SESSION AUTHORIZATION other"), `other|clerk|"$user", public|UTF8|4MB|pgring||0`},
		{settings("session_authorization", "SET SESSION AUTHORIZATION other"), `other|other|"$user", public|UTF8|4MB|pgring||0`},
		{settings("role", "SET ROLE boss"), `postgres|boss|"$user", public|UTF8|4MB|pgring||0`},
		{settings("shop.tenant", "SET shop.tenant TO 'a;b'", "statement_timeout", "SET statement_timeout TO 60000"), `postgres|postgres|"$user", public|UTF8|4MB|pgring|a;b|1min`},
		{settings("client_encoding", "SELECT pg_catalog.set_config('client_encoding', 'LATIN1', false)"), `postgres|postgres|"$user", public|LATIN1|4MB|pgring||0`},
		{nil, fresh},
		{settings("client_encoding", "SET client_encoding TO LATIN1", "application_name", "SET application_name TO 'caf\xe9' -- of a client"), `postgres|postgres|"$user", public|LATIN1|4MB|caf\xc3\xa9||0`},
		{settings("standard_conforming_strings", "SET standard_conforming_strings TO off"), `postgres|postgres|"$user", public|UTF8|4MB|pgring||0`},
		{settings("application_name", `SET application_name TO 'a\\b'`), `postgres|postgres|"$user", public|UTF8|4MB|a\\b||0`},
		{nil, fresh},
	} {
		if err := c.Adopt(t.Context(), step.settings); err != nil {
			t.Fatalf("adopt %v: %v", step.settings.List(), err)
		}
		if got := must(t, c, shown); got != step.want && got != asShownToLatin1(step.want) {
			t.Errorf("after %v the session has %q, want %q", step.settings.List(), got, step.want)
		}
		if !c.Settings().Equal(step.settings) {
			t.Error("the connection's account of its settings is wrong")
		}
	}
}

// asShownToLatin1: PostgreSQL keeps application_name in ASCII, so what is shown of it depends on the version and not on us.
func asShownToLatin1(want string) string {
	if want == `postgres|postgres|"$user", public|LATIN1|4MB|caf\xc3\xa9||0` {
		return `postgres|postgres|"$user", public|LATIN1|4MB|caf??||0`
	}
	return want
}

func TestAdoptSendsNothingWhenNothingDiffers(t *testing.T) {
	c := acquire(t, run(t, config(pgtest.Start(t, 1)[0])))
	defer c.Release()
	first := settings("work_mem", "SET work_mem TO '8MB'")
	if err := c.Adopt(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	_, before := c.Wire().Traffic()
	for _, same := range []*backend.Settings{first, settings("work_mem", "SET work_mem TO '8MB'")} {
		if err := c.Adopt(t.Context(), same); err != nil {
			t.Fatal(err)
		}
	}
	must(t, c, "SET work_mem TO '9MB'")
	changed := settings("work_mem", "SET work_mem TO '9MB'")
	c.RecordSettings(changed)
	_, sent := c.Wire().Traffic()
	if err := c.Adopt(t.Context(), changed); err != nil {
		t.Fatal(err)
	}
	if _, after := c.Wire().Traffic(); after != sent || sent-before > 50 {
		t.Errorf("%d bytes were sent", after-before)
	}
}

func TestAdoptFromUnknownSettingsStartsFromACleanSlate(t *testing.T) {
	s := pgtest.Start(t, 1)[0]
	s.Exec(t, "CREATE ROLE clerk")
	c := acquire(t, run(t, config(s)))
	defer c.Release()
	fresh := must(t, c, shown)
	for _, next := range []*backend.Settings{nil, settings("work_mem", "SET work_mem TO '8MB'"), settings("client_encoding", "SET client_encoding TO 'UTF8'")} {
		must(t, c, "SET SESSION AUTHORIZATION clerk; SET ROLE clerk; SET search_path TO x; SET client_encoding TO LATIN2; SET shop.tenant TO 't'")
		c.ForgetSettings()
		if err := c.Adopt(t.Context(), next); err != nil {
			t.Fatal(err)
		}
		if err := c.Adopt(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if got := must(t, c, shown); got != fresh {
			t.Errorf("the session has %q, want %q", got, fresh)
		}
	}
}

func TestRefusedSettingIsTheServersErrorAndEndsTheConnection(t *testing.T) {
	pools := run(t, config(pgtest.Start(t, 1)[0]))
	c := acquire(t, pools)
	pid := c.PID()
	err := c.Adopt(t.Context(), settings("role", "SET ROLE nobody", "work_mem", "SET work_mem TO '8MB'"))
	wantCode(t, err, "22023")
	c.Release()
	c = acquire(t, pools)
	defer c.Release()
	if c.PID() == pid {
		t.Error("a connection with unknown settings was reused")
	}
}

func TestSettingsThatThePresentUserMayNotUndoAreUndone(t *testing.T) {
	s := pgtest.Start(t, 1)[0]
	s.Exec(t, "CREATE ROLE app LOGIN; CREATE ROLE admin SUPERUSER; GRANT admin TO app")
	cfg := config(s)
	cfg.Targets[0].Login.User = "app"
	c := acquire(t, run(t, cfg))
	defer c.Release()
	must(t, c, "SET ROLE admin; SET log_statement TO 'all'; RESET ROLE")
	c.RecordSettings(settings("log_statement", "SET log_statement TO 'all'"))
	if err := c.Adopt(t.Context(), settings("work_mem", "SET work_mem TO '8MB'")); err != nil {
		t.Fatalf("the next owner pays for the last: %v", err)
	}
	if got := must(t, c, "SELECT current_setting('log_statement') || current_setting('work_mem')"); got != "none8MB" {
		t.Errorf("the session has %s", got)
	}
}

func TestAdoptEndsWithItsContext(t *testing.T) {
	s := pgtest.Start(t, 1)[0]
	pools := run(t, config(s))
	c := acquire(t, pools)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s.Stop(t)
	var adopting sync.WaitGroup
	adopting.Go(func() {
		if err := c.Adopt(ctx, settings("work_mem", "SET work_mem TO '8MB'")); err == nil {
			t.Error("a frozen server took the settings")
		}
	})
	cancel()
	adopting.Wait()
	c.Discard()
	s.Cont(t)
}

func TestAcquireForPrefersAConnectionThatHasTheSettings(t *testing.T) {
	pools := run(t, config(pgtest.Start(t, 1)[0]))
	wanted := []*backend.Settings{nil, settings("work_mem", "SET work_mem TO '8MB'"), settings("work_mem", "SET work_mem TO '9MB'")}
	pids := make([]uint32, len(wanted))
	var held []*backend.Conn
	for i, s := range wanted {
		c, err := pools.AcquireFor(t.Context(), "s1", "app", s)
		if err != nil {
			t.Fatal(err)
		}
		pids[i] = c.PID()
		held = append(held, c)
	}
	for _, c := range held {
		c.Release()
	}
	for range 3 {
		for i := 1; i < len(wanted); i++ {
			c, err := pools.AcquireFor(t.Context(), "s1", "app", wanted[i])
			if err != nil {
				t.Fatal(err)
			}
			if c.PID() != pids[i] {
				t.Errorf("settings %d: another connection was taken", i)
			}
			c.Release()
		}
	}
	_, err := pools.AcquireFor(t.Context(), "s1", "app", settings("role", "SET ROLE nobody"))
	wantCode(t, err, "22023")
	if s := stats(t, pools); s.Active != 0 {
		t.Errorf("stats: %+v", s)
	}
}

func TestAcquireForGoesPastDeadConnections(t *testing.T) {
	s := pgtest.Start(t, 1)[0]
	pools := run(t, config(s))
	work := settings("work_mem", "SET work_mem TO '8MB'")
	for range 2 {
		var held []*backend.Conn
		for range 5 {
			held = append(held, acquire(t, pools))
		}
		s.Exec(t, "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = 'pgring'")
		for _, c := range held {
			c.Release()
		}
		c, err := pools.AcquireFor(t.Context(), "s1", "app", work)
		if err != nil {
			t.Fatal(err)
		}
		must(t, c, "SELECT 1")
		c.Release()
	}
	s.Kill9(t)
	_, err := pools.AcquireFor(t.Context(), "s1", "app", work)
	for err == nil {
		_, err = pools.AcquireFor(t.Context(), "s1", "app", nil)
	}
	var down *backend.UnavailableError
	if !errors.As(err, &down) {
		t.Errorf("got %v", err)
	}
}
