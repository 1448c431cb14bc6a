package proxy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/pgring/pgring/internal/pgtest"
)

func TestInsertsOverShardsAnswerAsPostgres(t *testing.T) {
	t.Parallel()
	w := startTwin(t, options{})
	var many strings.Builder
	for i := range 400 {
		fmt.Fprintf(&many, "%s(%d, 'name %d', %d)", []string{"", ", "}[min(i, 1)], 10000+i, i, i%7)
	}
	params := "P . INSERT INTO users VALUES ($1, $2, 1), ($3, $4, 2), ($5, 'five', $6) RETURNING id, age | "
	sameAll(t, w, w.apart([][2]string{
		{"plain", "Q INSERT INTO users VALUES (101, 'x', 1), (102, 'y', 2), (103, NULL, -3), (104, 'z', DEFAULT)"},
		{"columns in another order", "Q INSERT INTO users (age, name, id) VALUES (1, 'x', 101), (2, 'y', 102), (3, E'it\\'s', 103)"},
		{"returning in the order of the rows", "Q INSERT INTO users VALUES (105, 'x', 1), (101, 'y', 2), (104, 'w', 3), (103, 'v', 4), (102, 'u', 5) RETURNING id, upper(name), age + 1"},
		{"many", "Q INSERT INTO users VALUES " + many.String() + " RETURNING id"},
		{"expressions", "Q INSERT INTO users VALUES (101, 'x' || 'y', 1 + 1), (102, upper('y'), 2), ('103', (SELECT name FROM countries WHERE code = 'de'), 3)"},
		{"casts of the key", "Q INSERT INTO users VALUES ('101'::bigint, 'x', 1), (102::int, 'y', 2), (CAST('103' AS bigint), 'z', 3)"},
		{"conflicts skipped", "Q INSERT INTO users VALUES (101, 'x', 1), ({a}, 'y', 2), ({b}, 'z', 3) ON CONFLICT DO NOTHING"},
		{"conflicts updated", "Q INSERT INTO users VALUES (101, 'x', 1), ({a}, 'y', 20), ({b}, 'z', 30) ON CONFLICT (id) DO UPDATE SET age = excluded.age + users.age RETURNING age"},
		{"duplicate key undoes all", "Q INSERT INTO users VALUES (101, 'x', 1), ({b}, 'y', 2), (103, 'z', 3) | Q SELECT 1"},
		{"NULL key", "Q INSERT INTO users (age, id) VALUES (1, 101), (2, 102), (3, 103); SELECT count(*) FROM users"},
		{"a wrong value and its place", "Q INSERT INTO users VALUES (101, 'x', 1), (102, 'y', 'two'), (103, 'z', 3)"},
		{"a wrong value behind wide characters", "Q   INSERT INTO users VALUES (101, 'ü', 1), (104, 'äöü', 4), (102, 'y', 1.5e400), (103, 'z', 3)"},
		{"too many values in a row", "Q INSERT INTO users VALUES (101, 'x', 1), (102, 'y', 2, 2), (103, 'z', 3)"},
		{"a column that is not there", "Q INSERT INTO users (id, nothing) VALUES (101, 'x'), (102, 'y')"},
		{"an error while it runs", "Q INSERT INTO users VALUES (101, 'x', 1), (102, 'y', 1 / (2 - 2)), (103, 'z', 3) RETURNING id"},
		{"among other statements", "Q SELECT 1; INSERT INTO users VALUES (101, 'x', 1), (102, 'y', 2), (103, 'z', 3); SELECT count(*) FROM users; UPDATE users SET age = 0 WHERE id = {a}"},
		{"undone by a later statement", "Q INSERT INTO users VALUES (101, 'x', 1), (102, 'y', 2), (103, 'z', 3); SELECT 1/0"},
		{"its error undoes earlier statements", "Q UPDATE users SET age = 0 WHERE id = {a}; INSERT INTO users VALUES (101, 'x', 1), ({b}, 'y', 2), (103, 'z', 3)"},
		{"parameters", params + "B . . 101,x,102,y,103,6 | DP . | E . | S | B . . 104,x,105,y,106,7 | E . | S"},
		{"parameters described", params + "DS . | S"},
		{"NULL parameters", params + "B . . 101,NULL,102,NULL,103,NULL | E . | S"},
		{"parameters without a type", "P . INSERT INTO users VALUES ($2, $1, NULL), ($4, $3, NULL), ($5, $6, NULL) ON CONFLICT (id) DO UPDATE SET age = $7 | B . . x,{a},y,{b},{c},z,70 | E . | S"},
		{"undone by an error in the pipeline", params + "B . . 101,x,102,y,103,6 | E . | P . SELECT 1/0 | B . . | E . | S"},
		{"undoes what came before in the pipeline", "P u UPDATE users SET age = 50 WHERE id = $1 | B . u {c} | E . | " + params + "B . . {b},x,102,y,103,6 | E . | S"},
		{"two in a pipeline with others", params + "B . . 101,x,102,y,103,6 | E . | P u UPDATE users SET age = 50 WHERE id = $1 | B . u {c} | E . | P g SELECT count(*), sum(age) FROM users | B . g | E . | P i INSERT INTO users VALUES ($1, 'a', 1), ($2, 'b', 2) | B . i 201,202 | E . | S"},
		{"then BEGIN in the pipeline", params + "B . . 101,x,102,y,103,6 | E . | P . BEGIN | B . . | E . | P . ROLLBACK | B . . | E . | S"},
		{"then COMMIT in the pipeline", params + "B . . 101,x,102,y,103,6 | E . | P . COMMIT | B . . | E . | P . SELECT 1/0 | B . . | E . | S"},
		{"then a Query without Sync", params + "B . . 101,x,102,y,103,6 | E . | Q SELECT count(*) FROM users | S"},
		{"executed twice", params + "B . . 101,x,102,y,103,6 | E . | E . | S"},
		{"PREPARE and EXECUTE", "Q PREPARE i AS INSERT INTO users VALUES ($1, 'x', $2), ($3, 'y', $2), (103, 'z', 3) RETURNING id | Q EXECUTE i (101, 5, 102)"},
		{"home and reference tables", "Q INSERT INTO things VALUES (11, 'x'), (12, 'y'), (13, 'z') RETURNING x | Q INSERT INTO countries VALUES ('fr', 'France'), ('it', 'Italy')"},
	}))
	if plans := w.server.Stats().Plans["split"]; plans < 25 {
		t.Errorf("only %d statements were split", plans)
	}
}

// apart puts keys of different shards in the place of 101, 102 and 103, and of 104 to 106.
func (w *twin) apart(scripts [][2]string) [][2]string {
	var pairs []string
	id := int64(1000)
	for n := range 6 {
		for w.shardOf(id) != w.shardOf(w.keys3[n%3]) {
			id++
		}
		pairs = append(pairs, fmt.Sprint(101+n), fmt.Sprint(id))
		id++
	}
	for i := range scripts {
		scripts[i][1] = strings.NewReplacer(pairs...).Replace(scripts[i][1])
	}
	return scripts
}

func TestWritesWithoutAKeyAnswerAsPostgres(t *testing.T) {
	t.Parallel()
	w := startTwin(t, options{})
	sameAll(t, w, [][2]string{
		{"returning, described by Sync", "P . UPDATE users SET age = 9 WHERE age = $1 RETURNING id, name | DS . | B . . 3 | DP . | E . | S"},
		{"update all", "Q UPDATE users SET age = age + 10"},
		{"update some", "Q UPDATE users SET name = upper(name) WHERE age > 1"},
		{"update by list", "Q UPDATE users SET age = 7 WHERE id IN ({a}, {b}, 999)"},
		{"update by array", "P . UPDATE users SET age = 7 WHERE id = ANY($1) | B . . {{a}} | E . | S"},
		{"update from a reference table", "Q UPDATE users SET name = c.name FROM countries c WHERE c.code = 'de'"},
		{"update from a colocated table", "Q UPDATE users SET age = n.n FROM notes n WHERE n.user_id = users.id AND n.n = 4"},
		{"update nothing", "Q UPDATE users SET age = 7 WHERE age = 1000"},
		{"update with an error", "Q UPDATE users SET age = 1 / (age - 2) | Q SELECT 1"},
		{"update with a place", "Q UPDATE users SET age = 'x' WHERE age > 0"},
		{"delete all", "Q DELETE FROM users"},
		{"delete some", "Q DELETE FROM notes WHERE n % 2 = 0 AND EXISTS (SELECT FROM countries)"},
		{"delete using", "Q DELETE FROM notes USING users WHERE user_id = id AND age < 3"},
		{"parameters", "P d DELETE FROM notes WHERE n > $1 | B . d 3 | E . | S | B . d 1 | DP . | E . | S"},
		{"returning one row", "Q DELETE FROM users WHERE age = 2 RETURNING * | P . UPDATE users SET age = 9 WHERE age = $1 RETURNING id, name | DS . | B . . 3 | DP . | E . | S"},
		{"in a script", "Q UPDATE users SET age = 1; DELETE FROM notes WHERE n = 1; SELECT sum(age) FROM users"},
		{"pipeline with an error", "P u UPDATE users SET age = age + 1 | B . u | E . | P . SELECT 1/0 | B . . | E . | S"},
	})
}

// TestSplitWritesInABlockAreRefused: a transaction block may write one shard.
func TestSplitWritesInABlockAreRefused(t *testing.T) {
	t.Parallel()
	w := startTwin(t, options{})
	w.reset(t)
	f := w.frames()
	f.want("Q BEGIN", "C:BEGIN Z:T")
	if got := f.ask("Q UPDATE users SET age = 99"); !strings.HasPrefix(got, "E:0A000:transaction_would_write_to_more_than_one_shard") || !strings.HasSuffix(got, " Z:E") {
		t.Fatalf("got %s", got)
	}
	f.want("Q COMMIT", "C:ROLLBACK Z:I")
	wantValue(t, w.connect(), "SELECT count(*) FROM users WHERE age = 99", "0")
}

// TestSplitWritesNeedTwoPhaseCommit: without it nothing could be all or none, so nothing is run.
func TestSplitWritesNeedTwoPhaseCommit(t *testing.T) {
	t.Parallel()
	w := startTwin(t, options{server: []pgtest.Option{pgtest.MaxPreparedTransactions(0)}})
	w.reset(t)
	f := w.frames()
	for _, statement := range []string{"UPDATE users SET age = 99", "INSERT INTO users VALUES (101, 'x', 99), (102, 'y', 99), (103, 'z', 99)"} {
		if got := f.ask(w.apart([][2]string{{"", "Q " + statement}})[0][1]); !strings.HasPrefix(got, "E:0A000:statement_would_write_to_several_shards_that_cannot") || !strings.HasSuffix(got, " Z:I") {
			t.Fatalf("got %s", got)
		}
	}
	wantValue(t, w.connect(), "SELECT count(*) FROM users WHERE age = 99", "0")
	f.want(w.keyed("Q UPDATE users SET age = 99 WHERE id = {b}"), "C:UPDATE_1 Z:I")
}
