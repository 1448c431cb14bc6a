package router

import (
	"strings"
	"testing"

	"github.com/pgring/pgring/internal/pgtest"
)

// Every function of the server that can have side effects or run SQL must be in
// the list as such: the list may know less than the server, never more.
func TestFunctionListHoldsForTheServer(t *testing.T) {
	server := pgtest.Start(t, 1)[0]
	conn := server.Connect(t)
	rows, err := conn.Query(t.Context(), `SELECT proname, max(CASE provolatile WHEN 'i' THEN 1 WHEN 's' THEN 2 ELSE 3 END),
		bool_or(prokind = 'a'), bool_or(prokind = 'w'), bool_or(proretset)
		FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace GROUP BY proname`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	known := 0
	for rows.Next() {
		var name string
		var volatility int
		var aggregate, window, set bool
		if err := rows.Scan(&name, &volatility, &aggregate, &window, &set); err != nil {
			t.Fatal(err)
		}
		class := builtinClass(name)
		if !class.known {
			continue // newer than the list: taken for a user's
		}
		known++
		worst := 1
		if class.stable {
			worst = 2
		}
		if class.volatile {
			worst = 3
		}
		if worst < volatility || aggregate && !class.aggregate || window && !class.window || set && !class.set {
			t.Errorf("%s: the server has volatility %d, aggregate %v, window %v, set %v; the list %+v", name, volatility, aggregate, window, set, class)
		}
	}
	if err := rows.Err(); err != nil || known < 2500 {
		t.Errorf("%d functions known, %v", known, err)
	}
}

func TestFunctionListIsSorted(t *testing.T) {
	lines := strings.Split(strings.TrimSuffix(functionList, "\n"), "\n")
	for i, line := range lines {
		name, flags, _ := strings.Cut(line, " ")
		if i > 0 && strings.Compare(strings.Fields(lines[i-1])[0], name) >= 0 {
			t.Errorf("%s is out of order", name)
		}
		if got, ok := builtinFlags(name); !ok || got != flags {
			t.Errorf("%s is not found", name)
		}
	}
	for _, name := range []string{"", "nosuch", "zzz", "abb", "AAA"} {
		if _, ok := builtinFlags(name); ok {
			t.Errorf("%q is found", name)
		}
	}
}

func TestSideEffectsMakeWrites(t *testing.T) {
	r, snap := New(Config{}), newShop().snapshot(1)
	for call, want := range map[string]Access{
		"now()": Read, "random()": Read, "pg_sleep(0)": Read, "count(*)": Read, "lower('A')": Read, "pg_catalog.now()": Read, "plain_fn()": Read,
		"nextval('s')": Write, "pg_catalog.nextval('s')": Write, "setval('s', 1)": Write, "pg_notify('a', 'b')": Write, "lo_unlink(1)": Write,
		"touch_orders()": Write, "public.touch_orders()": Write, "nosuch()": Write, "other.lower('A')": Write, "pg_terminate_backend(1)": Write,
		"(SELECT nextval('s'))": Write, "CASE WHEN false THEN nextval('s') END": Write, "dblink_exec('x')": Write,
	} {
		st, _, err := plan(t, r, snap, testEnv(), "SELECT "+call)
		if err != nil || st.Access != want {
			t.Errorf("%s: access %d, %v", call, st.Access, err)
		}
	}
}
