package admin

import (
	"reflect"
	"strings"
	"testing"

	"github.com/pgring/pgring/proxy"
	"github.com/pgring/pgring/rebalance"
	"github.com/pgring/pgring/topology"
)

func TestCommandsAreUnderstoodHoweverTheyAreWritten(t *testing.T) {
	for sql, want := range map[string]string{
		"SHOW POOLS":           "SHOW POOLS",
		"show pools;":          "SHOW POOLS",
		" \n SHOW\tPOOLS ; ; ": "SHOW POOLS",
		"/* from a /* nested */ comment */ SHOW POOLS -- why": "SHOW POOLS",
		"SHOW STATS_TOTALS":                       "SHOW STATS_TOTALS",
		"SHOW STATS WHERE database = 'a' LIMIT 1": "SHOW STATS",
		"SHOW HELP":                                "HELP",
		"HELP LIKE 'SHOW%'":                        "HELP",
		"SHOW PLACEMENT orders 42":                 "SHOW PLACEMENT",
		"SHOW PLACEMENT \"My Shop\".orders '4''2'": "SHOW PLACEMENT",
		"SHOW PLACEMENT orders -42 LIMIT 1":        "SHOW PLACEMENT",
		"route SELECT 'a;b' ; ":                    "ROUTE",
		"EXPLAIN ROUTE SELECT 1; SELECT 2":         "ROUTE",
		"explain /* x */ route select 1":           "ROUTE",
		"ADD SHARD s5 HOST db-5.example.com":       "ADD SHARD",
		"DROP SHARD s5":                            "DROP SHARD",
		"SHUTDOWN":                                 "SHUTDOWN",
		"KILL 7":                                   "KILL",
	} {
		in, err := bare().parse(sql)
		if err != nil {
			t.Errorf("%q: %v", sql, err)
		} else if in.command == nil || in.command.name != want {
			t.Errorf("%q is understood as %+v", sql, in.command)
		}
	}
}

func TestRouteTakesTheStatementAsItIs(t *testing.T) {
	in, err := bare().parse("EXPLAIN  ROUTE  /* hint */ SELECT 'x;  y' FROM \"T\" ; ")
	if err != nil || in.statement != `/* hint */ SELECT 'x;  y' FROM "T" ;` {
		t.Errorf("statement %q, error %v", in.statement, err)
	}
}

func TestMistakesAreExplained(t *testing.T) {
	for sql, want := range map[string][]string{ // code, and texts that message, detail and hint must hold between them
		"SHOW POLS":                       {"42601", "unknown command", "Did you mean SHOW POOLS?", "HELP"},
		"SHWO POOLS":                      {"42601", "Did you mean SHOW POOLS?"},
		"POOLS":                           {"42601", "Did you mean SHOW POOLS?"},
		"SHOW":                            {"42601", "HELP"},
		"DORP SHARD s1":                   {"42601", "Did you mean DROP SHARD?"},
		"RELAOD":                          {"42601", "Did you mean RELOAD?"},
		"xyzzy plugh":                     {"42601", `unknown command "xyzzy plugh"`, "HELP"},
		"SHOW POOLS; SHOW STATS":          {"42601", "one command at a time"},
		"SHOW POOLS 'x":                   {"42601", "unterminated"},
		`SHOW POOLS "x`:                   {"42601", "unterminated"},
		"SHOW POOLS now":                  {"42601", "found now", "SHOW POOLS"},
		"SHOW POOLS WHERE user":           {"42601", "found end of command"},
		"SHOW POOLS WHERE user = ":        {"42601", "expected a value"},
		"SHOW POOLS WHERE usr = 'a'":      {"42703", `column "usr" does not exist`, "cl_active", "Did you mean user?"},
		"SHOW POOLS ORDER BY":             {"42601", "expected a column"},
		"SHOW POOLS ORDER user":           {"42601", "expected BY"},
		"SHOW POOLS LIMIT -1":             {"42601", "LIMIT"},
		"SHOW POOLS LIMIT 1 LIMIT 2":      {"42601", "found LIMIT"},
		"SHOW POOLS WHERE sv_idle > much": {"22P02", "not a number", "sv_idle"},
		"SHOW PLACEMENT orders":           {"42601", "SHOW PLACEMENT table key"},
		"SELECT * FROM orders":            {"0A000", `database "shop"`},
		"INSERT INTO orders VALUES (1)":   {"0A000", "Connect to database"},
	} {
		_, err := bare().Answer(t.Context(), proxy.Caller{Role: proxy.RoleAdmin}, sql)
		e := asWire(t, err)
		if e.Code != want[0] || e.Hint == "" {
			t.Errorf("%q: code %s, hint %q", sql, e.Code, e.Hint)
		}
		for _, part := range want[1:] {
			if all := e.Message + "\n" + e.Detail + "\n" + e.Hint; !strings.Contains(all, part) {
				t.Errorf("%q does not say %q but\n%s", sql, part, all)
			}
		}
	}
}

func reader(t *testing.T, sql string) *tokens {
	t.Helper()
	all, err := lex(sql)
	if err != nil {
		t.Fatal(err)
	}
	return &tokens{all}
}

func TestAddShardIsRead(t *testing.T) {
	for sql, want := range map[string]topology.Shard{
		"s5 HOST db5":                           {ID: "s5", Host: "db5"},
		`"S 5" host '::1' port 5433 weight 3`:   {ID: "S 5", Host: "::1", Port: 5433, Weight: 3},
		"s5 HOST h WEIGHT 0":                    {ID: "s5", Host: "h", Weight: topology.NoSlots},
		"us-east-1 HOST 10.0.0.1 WEIGHT 2":      {ID: "us-east-1", Host: "10.0.0.1", Weight: 2},
		"s5 HOST '/run/postgresql' PORT '6000'": {ID: "s5", Host: "/run/postgresql", Port: 6000},
	} {
		got, err := readAddShard(reader(t, sql))
		if err != nil || got != want {
			t.Errorf("%q gives %+v, %v", sql, got, err)
		}
	}
	for _, sql := range []string{"", "s5", "s5 HOST", "s5 PORT 1 HOST h", "s5 HOST h PORT 0", "s5 HOST h PORT 70000", "s5 HOST h PORT x",
		"s5 HOST h WEIGHT -1", "s5 HOST h WEIGHT 1 PORT 2", "s5 HOST h x", "'s5' HOST h"} {
		if got, err := readAddShard(reader(t, sql)); err == nil {
			t.Errorf("%q gives %+v", sql, got)
		} else if e := asWire(t, err); e.Code != "42601" {
			t.Errorf("%q: %+v", sql, e)
		}
	}
}

func TestShardTableIsRead(t *testing.T) {
	for sql, want := range map[string]topology.TableWish{
		"Orders BY User_ID":                                  {Name: topology.Name{Schema: "public", Table: "orders"}, Key: []string{"user_id"}},
		`app."Orders" by "User"`:                             {Name: topology.Name{Schema: "app", Table: "Orders"}, Key: []string{"User"}},
		"o BY k STRATEGY hash":                               {Name: topology.Name{Schema: "public", Table: "o"}, Key: []string{"k"}, Strategy: topology.Hash},
		"o BY k COLOCATE WITH app.users STRATEGY Consistent": {Name: topology.Name{Schema: "public", Table: "o"}, Key: []string{"k"}, Strategy: topology.Consistent, Colocate: "app.users"},
	} {
		got, err := readShardTable(reader(t, sql))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q gives %+v, %v", sql, got, err)
		}
	}
	for _, sql := range []string{"", "o", "o BY", "o BY a.b", "a.b.c BY k", ". BY k", "o BY k STRATEGY range", "o BY k STRATEGY", "o BY k COLOCATE users",
		"o BY k STRATEGY hash STRATEGY hash", "o BY k x", `"" BY k`} {
		if got, err := readShardTable(reader(t, sql)); err == nil {
			t.Errorf("%q gives %+v", sql, got)
		} else if e := asWire(t, err); e.Code != "42601" || e.Hint == "" {
			t.Errorf("%q: %+v", sql, e)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, sql := range []string{"SHOW POOLS LIKE 'a%' WHERE sv_idle >= 1 AND user <> 'x' ORDER BY user DESC, sv_idle LIMIT 3", "ROUTE SELECT 1", "SELECT 1, 'a' AS b",
		"ADD SHARD s HOST h PORT 1", "SHARD TABLE a.\"b\"\"c\" BY d", "/*", "--", "'", "\"", "SET a TO b", ";;", "SHOW PLACEMENT t k", "SHOW transaction isolation level"} {
		f.Add(sql)
	}
	c := bare()
	f.Fuzz(func(t *testing.T, sql string) {
		in, err := c.parse(sql)
		fields := c.Fields(sql)
		if err != nil {
			if e := asWire(t, err); len(e.Code) != 5 || e.Message == "" || e.Hint == "" || fields != nil {
				t.Fatalf("%q: %+v with fields %v", sql, e, fields)
			}
			return
		}
		if (in.command == nil) == (in.noise == nil) {
			t.Fatalf("%q is a command and noise, or neither", sql)
		}
		if in.noise != nil {
			a := in.noise.answer(proxy.Caller{User: "u"}, "v")
			if len(a.Fields) != len(fields) || len(a.Rows) > 0 && len(a.Rows[0]) != len(fields) {
				t.Fatalf("%q is described by %d fields and answered by %d", sql, len(fields), len(a.Fields))
			}
			return
		}
		rest := in.arguments
		_, _ = readAddShard(&rest)
		rest = in.arguments
		_, _ = readShardTable(&rest)
	})
}

func TestThrottlesAndPlansAreRead(t *testing.T) {
	for sql, want := range map[string]string{
		"ROWS 20000": "ROWS 20000", "lag 10s bytes 1048576": "BYTES 1048576 LAG 10s", "ACTIVE 8 LAG '500ms' ROWS 5": "ROWS 5 ACTIVE 8 LAG 500ms",
	} {
		if got, err := readThrottle(reader(t, sql)); err != nil || got.String() != want {
			t.Errorf("%q gives %s, %v", sql, got, err)
		}
	}
	for _, sql := range []string{"ROWS", "ROWS 0", "LAG 5", "LAG -1s", "FAST", "ROWS 5 5"} {
		if got, err := readThrottle(reader(t, sql)); err == nil {
			t.Errorf("%q gives %s", sql, got)
		}
	}
	for sql, want := range map[string]rebalance.By{"": rebalance.ByCount, "BY count": rebalance.ByCount, "BY SIZE": rebalance.BySize, "by load": rebalance.ByLoad} {
		if got, err := readBy(reader(t, sql)); err != nil || got != want {
			t.Errorf("%q gives %d, %v", sql, got, err)
		}
	}
	for _, sql := range []string{"BY", "BY WEIGHT", "SIZE", "BY SIZE x"} {
		if _, err := readBy(reader(t, sql)); err == nil {
			t.Errorf("%q is read", sql)
		}
	}
}
