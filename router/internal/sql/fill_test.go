package sql

import (
	"strconv"
	"testing"
)

func TestFillWritesWhatRowsLack(t *testing.T) {
	front := Filling{Column: `"id"`}
	listed := Filling{Column: `"id"`, Listed: true, Position: -1}
	second := Filling{Column: `"id"`, Position: 1}
	named := Filling{Column: `"id"`, Listed: true, Position: 1}
	third := Filling{Column: `"id"`, Position: 2}
	for _, c := range []struct {
		f          *Filling
		text, want string // want is empty: the text is not understood
	}{
		{&listed, `INSERT INTO t (a) VALUES (1)`, `INSERT INTO t ("id", a) VALUES (7, 1)`},
		{&listed, `insert into "values"."t" as v (a, b) values ('x,)', (1)), ($1, DEFAULT) returning *;`,
			`insert into "values"."t" as v ("id", a, b) values (7, 'x,)', (1)), (8, $1, DEFAULT) returning *;`},
		{&listed, `/* a ( */ INSERT INTO t (a -- )
) OVERRIDING SYSTEM VALUE VALUES (1) ON CONFLICT (id) DO UPDATE SET a = (DEFAULT)`, `/* a ( */ INSERT INTO t ("id", a -- )
) OVERRIDING SYSTEM VALUE VALUES (7, 1) ON CONFLICT (id) DO UPDATE SET a = (DEFAULT)`},
		{&front, `INSERT INTO t VALUES (DEFAULT, 'a'), (5, 'b'), ( default , 'c')`, `INSERT INTO t VALUES (7, 'a'), (5, 'b'), ( 8 , 'c')`},
		{&front, `INSERT INTO t DEFAULT VALUES RETURNING id`, `INSERT INTO t ("id") VALUES (7) RETURNING id`},
		{&second, `INSERT INTO t VALUES (1), (2)`, `INSERT INTO t VALUES (1, 7), (2, 8)`},
		{&second, `INSERT INTO t VALUES ('a', DEFAULT, 3)`, `INSERT INTO t VALUES ('a', 7, 3)`},
		{&third, `INSERT INTO t VALUES ('a')`, `INSERT INTO t VALUES ('a', DEFAULT, 7)`},
		{&named, `INSERT INTO t (a, id) VALUES ('a', DEFAULT), (DEFAULT, 4)`, `INSERT INTO t (a, id) VALUES ('a', 7), (DEFAULT, 4)`},
		{&named, `INSERT INTO t (a, id) VALUES ('a')`, `INSERT INTO t (a, id) VALUES ('a')`}, // the server's error
		{&listed, `INSERT INTO values (a) VALUES (1)`, ``},
		{&listed, `INSERT INTO t (a) SELECT 1`, ``},
		{&listed, `INSERT INTO t (a) (VALUES (1))`, ``},
		{&listed, `WITH x AS (SELECT 1) INSERT INTO t (a) VALUES (1)`, ``},
		{&listed, `INSERT INTO t (a) VALUES (1`, ``},
	} {
		n := 6
		got, ok, err := c.f.Fill([]byte(c.text), func() (string, error) { n++; return strconv.Itoa(n), nil })
		if err != nil || ok != (c.want != "") || ok && string(got) != c.want {
			t.Errorf("%s\n got %s %t %v\nwant %s", c.text, got, ok, err, c.want)
		}
	}
}
