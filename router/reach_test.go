package router

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

// Functions and views that read sharded tables answer as on one database
// wherever they are answered, but for those that keys pin to a shard.
func TestCodeBehindTheRouterAnswersAsOneDatabase(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(goldenDir, "reach.sql"))
	if err != nil {
		t.Fatal(err)
	}
	l := newLab(t)
	cases, _ := readGolden(t, string(text))
	answered, refused, pinned := 0, 0, 0
	for _, c := range cases {
		statement := strings.TrimSuffix(c.text, ";")
		st, p, err := plan(t, l.router, l.snap, testEnv(), statement)
		switch {
		case err != nil:
			refused++
		case p.Kind == One:
			pinned++
		case st.Verb != Plain || strings.Contains(statement, "_size") || free(statement):
		case l.compare(statement):
			answered++
		}
	}
	if answered < 3 || refused < 20 || pinned < 4 {
		t.Errorf("%d answered, %d refused, %d pinned", answered, refused, pinned)
	}
}

// A function that the plan is right for today is refused once its table has
// several owners: the cached statement must not remember the placement.
func TestReachFollowsThePlacement(t *testing.T) {
	r := New(Config{})
	one, four := oneShard(), newShop().snapshot(1)
	if st, _, err := plan(t, r, four, testEnv(), "SELECT events_left()"); err == nil {
		t.Error("answered on a shard that does not have the table")
	} else if st.Refused() != nil {
		t.Error("refused for every placement")
	}
	if _, _, err := plan(t, r, one, testEnv(), "SELECT orders_left()"); err != nil {
		t.Errorf("one shard: %v", err)
	}
	shop := newShop()
	shop.solo.Placement = ring.Modulo([]ring.ShardID{"s1"})
	if _, p, err := plan(t, r, shop.snapshot(1), testEnv(), "SELECT events_left()"); err != nil || p.Shard != "s1" {
		t.Errorf("all rows on the home shard: %+v, %v", p, err)
	}
}

// What the shard stores for an INSERT that is answered is a key of that shard.
func TestStoredKeysBelongToTheirShard(t *testing.T) {
	l := newLab(t)
	answered := 0
	for table, values := range map[string][]string{
		"amounts": {"1.5", "'1.50'", "-0.0000001", "1e-7", "123456789012345678901234567890.5", "'NaN'"},
		"prices":  {"1.25", "1.2500", "1.255", "1.005", "'0.001'", "1e-7", "99999999.99", "-7", "1.50e0"},
		"rounded": {"149", "100", "151", "'49'", "0"},
		"stamps":  {"'2024-01-01 12:00:00.123456'", "'2024-01-01 12:00:00.1234567'", "'2024-01-01'"},
		"seconds": {"'2024-01-01 12:00:00.123'", "'2024-01-01 12:00:00.1236'", "'2024-01-01 12:00:00.9996'", "'2024-01-01'"},
		"zoned":   {"'2024-01-01 12:00:00.123456+02'", "'2024-01-01 12:00:00.5Z'"},
		"handles": {"'ab  '", "'abcdefgh  '", "'abcdefghi  '", "'abcdefghij   '", "'äöüäöü  '", "'äöüäöüäö   '", "''", "' '"},
	} {
		for _, value := range values {
			if l.storesKey(table, value) {
				answered++
			}
		}
	}
	if answered < 20 {
		t.Errorf("only %d keys were answered", answered)
	}
}

// storesKey inserts a key by its plan and looks at what was stored. False: it
// was refused.
func (l *lab) storesKey(table, value string) bool {
	l.t.Helper()
	text := "INSERT INTO " + table + " VALUES (" + value + ")"
	_, p, err := plan(l.t, l.router, l.snap, testEnv(), text)
	if err != nil {
		return false
	}
	t := l.snap.Table("public", table)
	conn := l.shards[p.Shard]
	l.must(conn, "BEGIN; SET LOCAL TimeZone = 'UTC'")
	defer l.must(conn, "ROLLBACK")
	results, err := conn.Exec(context.Background(), text+" RETURNING "+t.Key[0]).ReadAll()
	if err != nil {
		l.t.Errorf("%s: %v", text, err)
		return true
	}
	stored := results[0].Rows[0][0]
	key, err := ring.ParseKey(t.KeyType, stored)
	if at := t.Group.Placement.Locate(key).Shard; err != nil || at != p.Shard {
		l.t.Errorf("%s stores %s on %s, which belongs on %s: %v", text, stored, p.Shard, at, err)
	}
	return true
}

func TestRelationNamesAreReadAsPostgreSQLDoes(t *testing.T) {
	for text, want := range map[string]topology.Name{
		"orders": {Table: "orders"}, " Public . ORDERS ": {Schema: "public", Table: "orders"}, `"A b"."c""d"`: {Schema: "A b", Table: `c"d`},
		`db.public.x`: {Schema: "public", Table: "x"},
	} {
		schema, table, ok := relationName(text)
		if got := (topology.Name{Schema: schema, Table: table}); !ok || got != want {
			t.Errorf("%s: %v, %v", text, got, ok)
		}
	}
	for _, text := range []string{"", `"open`, "a."} {
		if _, _, ok := relationName(text); ok {
			t.Errorf("%q is a name", text)
		}
	}
}

func TestClockWordsAreWholeWords(t *testing.T) {
	for text, want := range map[string]bool{"now": true, " NOW ": true, "today 10:00": true, "Tomorrow,allballs": true, "yesterday04:00": true,
		"Nowhere": false, "known": false, "todays": false, "": false, "infinity": false, "snow": false} {
		if clockWord(text) != want {
			t.Errorf("%q: %v", text, !want)
		}
	}
}
