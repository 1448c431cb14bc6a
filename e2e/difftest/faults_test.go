package difftest

import (
	"slices"
	"strings"
	"testing"
)

// TestPlantedFaultsAreSeen holds the harness itself to its word: answers are falsified, and rows are changed on shards behind the
// proxy's back. Each fault must make a statement wrong that is equal without it.
func TestPlantedFaultsAreSeen(t *testing.T) {
	l := start(t)
	t.Run("in answers", l.falsifyAnswers)
	t.Run("in tables", l.changeShards)
	t.Run("in writes", l.spoilWrites)
}

func single(text string) testCase { return testCase{steps: []step{{statement: statement{text: text}}}} }

// verdictOf runs a statement in all modes; the worst counts.
func (l *lab) verdictOf(text string) judgement { return l.runModes(single(text))[0].judgement }

func (l *lab) falsifyAnswers(t *testing.T) {
	const ordered, unordered, write = "SELECT id, name, height FROM people ORDER BY id", "SELECT id, name FROM people", "DELETE FROM bag WHERE k = 9 RETURNING n"
	for name, fault := range map[string]struct {
		text   string
		tamper func(*answer)
	}{
		"a wrong merge order":         {ordered, func(a *answer) { swap(a.last().rows, 3, 4) }},
		"a wrong order at the end":    {"SELECT age FROM people ORDER BY age DESC", func(a *answer) { swap(a.last().rows, 0, len(a.last().rows)-1) }},
		"a lost row":                  {unordered, func(a *answer) { a.last().rows = a.last().rows[1:] }},
		"a doubled row":               {unordered, func(a *answer) { a.last().rows = append(a.last().rows, a.last().rows[0]) }},
		"one row in place of another": {unordered, func(a *answer) { a.last().rows[0] = a.last().rows[1] }},
		"a value":                     {unordered, func(a *answer) { a.last().rows[2][0] = a.last().rows[3][0] }},
		"a value of another column":   {"SELECT age, grade FROM people", func(a *answer) { swapColumns(a.last().rows) }},
		"an empty text for NULL":      {"SELECT v FROM bag ORDER BY v COLLATE \"C\"", func(a *answer) { fillNulls(a.last().rows) }},
		"a NULL for a value":          {"SELECT count(*) FROM people", func(a *answer) { a.last().rows[0][0] = nil }},
		"a column's name":             {unordered, func(a *answer) { rename(a.last().fields) }},
		"a column's type":             {unordered, func(a *answer) { retype(a.last().fields) }},
		"a column's modifier":         {"SELECT balance FROM people", func(a *answer) { remodify(a.last().fields) }},
		"a tag":                       {write, func(a *answer) { a.last().tag = "DELETE 1" }},
		"a lost result":               {unordered, func(a *answer) { a.results = nil }},
		"another error":               {"SELECT 1/0 FROM people", func(a *answer) { a.code = "22000" }},
		"an error where none is":      {unordered, func(a *answer) { a.code = "XX000" }},
		"no error where one is":       {"SELECT wrong FROM people", func(a *answer) { a.code = "" }},
		"a transaction left open":     {unordered, func(a *answer) { a.status = 'T' }},
		"a lost connection":           {unordered, func(a *answer) { a.code = "dead" }},
		"an invented notice":          {unordered, func(a *answer) { a.notices = []string{"00000 hello"} }},
	} {
		if j := l.verdictOf(fault.text); j.verdict != equal {
			t.Errorf("%s: %q is %s without the fault: %s", name, fault.text, j.verdict, j.reason)
		}
		l.through.tamper = fault.tamper
		j := l.verdictOf(fault.text)
		l.through.tamper = nil
		if j.verdict != wrong || !strings.Contains(j.reason, "PostgreSQL") && !strings.Contains(j.reason, "want") {
			t.Errorf("%s: %q is %s: %s", name, fault.text, j.verdict, j.reason)
		}
	}
}

func swap(rows [][][]byte, i, j int) {
	if i < len(rows) && j < len(rows) && j >= 0 {
		rows[i], rows[j] = rows[j], rows[i]
	}
}

func swapColumns(rows [][][]byte) {
	for _, row := range rows {
		row[0], row[1] = row[1], row[0]
	}
}

func fillNulls(rows [][][]byte) {
	for _, row := range rows {
		if row[0] == nil {
			row[0] = []byte{}
		}
	}
}

func rename(fields []field) {
	if len(fields) > 0 {
		fields[0].name = "other"
	}
}

func retype(fields []field) {
	if len(fields) > 0 {
		fields[0].typ = "23"
	}
}

func remodify(fields []field) {
	if len(fields) > 0 {
		fields[0].modifier = -1
	}
}

// changeShards makes the shards hold something else than the plain server.
func (l *lab) changeShards(t *testing.T) {
	for name, fault := range map[string]struct {
		shard int
		sql   string
		texts []string
	}{
		"a lost row": {0, "DELETE FROM people WHERE id = 1", []string{"SELECT * FROM people", "SELECT count(*) FROM people",
			"SELECT name FROM people WHERE id = 1", "SELECT p.id, o.id FROM people p JOIN orders o ON o.person_id = p.id"}},
		"a doubled row": {2, "INSERT INTO people (id, name, age) VALUES (1, 'Ada', 20)", []string{"SELECT id FROM people", "SELECT count(*) FROM people",
			"SELECT id FROM people ORDER BY id", "SELECT id FROM people ORDER BY id LIMIT 3"}},
		"another value":                       {1, "UPDATE people SET age = 21 WHERE id = 3", []string{"SELECT sum(age) FROM people", "SELECT id, age FROM people ORDER BY age, id"}},
		"a copy of a reference table differs": {0, "UPDATE countries SET name = 'x' WHERE code = 'DE'", []string{"UPDATE countries SET people = 1"}},
	} {
		l.stores[fault.shard].must(t, fault.sql)
		for _, text := range fault.texts {
			if j := l.verdictOf(text); j.verdict != wrong {
				t.Errorf("%s: %q is %s: %s", name, text, j.verdict, j.reason)
			}
		}
		l.lookAll()
		l.restore()
	}
	if diff := l.compareTables(); diff != "" {
		t.Errorf("not restored:\n%s", diff)
	}
}

// spoilWrites changes what a write has done, before the tables are compared.
func (l *lab) spoilWrites(t *testing.T) {
	const insert = "INSERT INTO bag (k, v) VALUES (3, 'new')"
	for name, fault := range map[string]struct {
		text  string
		spoil func()
	}{
		"a lost write":             {insert, func() { l.stores[1].must(t, "DELETE FROM bag WHERE v = 'new'") }},
		"a doubled write":          {insert, func() { l.stores[1].must(t, "INSERT INTO bag (k, v) VALUES (3, 'new')") }},
		"a row on a wrong shard":   {insert, func() { l.move(t, "DELETE FROM bag WHERE v = 'new'", insert) }},
		"a write to another row":   {"UPDATE bag SET n = 5 WHERE k = 9", func() { l.stores[0].must(t, "UPDATE bag SET n = 5 WHERE k = 1") }},
		"a write of a refused one": {insert, func() { l.through.tamper = nil }},
		"a copy left out":          {"UPDATE countries SET people = 7", func() { l.stores[2].must(t, "UPDATE countries SET people = 8") }},
	} {
		spoiled := false
		l.through.tamper = func(a *answer) {
			if spoiled = true; strings.Contains(name, "refused") {
				a.code = "0A000"
				return
			}
			fault.spoil()
		}
		j := l.runCase(single(fault.text), simple)[0]
		l.through.tamper = nil
		if j.verdict != wrong || !spoiled {
			t.Errorf("%s: %s: %s", name, j.verdict, j.reason)
		}
		if j := l.runCase(single(fault.text), simple)[0]; j.verdict != equal {
			t.Errorf("%s: %q is %s afterwards: %s", name, fault.text, j.verdict, j.reason)
		}
	}
}

// move takes rows off s2 and puts them on s1.
func (l *lab) move(t *testing.T, off, on string) {
	l.stores[1].must(t, off)
	l.stores[0].must(t, on)
}

func TestOrderIsFoundOutsideOfParenthesesOnly(t *testing.T) {
	for text, want := range map[string]bool{
		"SELECT 1 ORDER BY 1": true, "select x from t order\n by x limit 3": true, "(SELECT 1 ORDER BY 1)": false,
		"SELECT rank() OVER (ORDER BY x) FROM t": false, "SELECT ' ORDER BY ' FROM t": false, `SELECT 1 AS "ORDER BY"`: false,
		"WITH x AS (SELECT 1) SELECT * FROM x ORDER BY 1": true,
	} {
		if got := orderedAtTop(text); got != want {
			t.Errorf("%q: ordered is %t", text, got)
		}
	}
}

func TestRowsThatAreNoneOfTheStatementsAreFound(t *testing.T) {
	row := func(v string) [][]byte { return [][]byte{[]byte(v)} }
	one := result{fields: []field{{name: "v"}}, rows: [][][]byte{row("a"), row("a")}}
	e := expectation{within: []string{rowKey(row("a")), rowKey(row("b"))}}
	if j := judgeRows("SELECT v FROM t LIMIT 2", e, one, one, one); j.verdict != wrong {
		t.Errorf("a row that comes too often is %s", j.verdict)
	}
	e.within = append(slices.Clone(e.within), rowKey(row("a")))
	if j := judgeRows("SELECT v FROM t LIMIT 2", e, one, one, one); j.verdict != equal {
		t.Errorf("rows that are the statement's are %s: %s", j.verdict, j.reason)
	}
}
