package sql

import (
	"bytes"
	"fmt"
	"testing"

	pg "github.com/pganalyze/pg_query_go/v6"
)

var rowTexts = []string{
	"INSERT INTO t VALUES (1, 'a'), (2, 'b'), (-3, NULL)",
	"insert into t (a, \"values\") values (1, $1), ($2, $3) , /* c */ (4, $4 + 1) returning *",
	"INSERT INTO t VALUES (1,(2)),((3),4) ON CONFLICT (a) DO UPDATE SET b = $7",
	"INSERT INTO t VALUES (ARRAY[1,2], f('x,y)', 2)), (ARRAY['),('], f(E'\\'', $$),($$)) -- end",
	"INSERT INTO values (a, b) VALUES (1, 2), (3, 4)",
	"INSERT INTO t SELECT * FROM (VALUES (1), (2)) v",
	"INSERT INTO t VALUES (1), (2) UNION SELECT 3",
	"INSERT INTO t VALUES (1) UNION VALUES (2), (3)",
	"INSERT INTO t VALUES ('a'::text, 1), ('b', 2), (b'01', TRUE), (DEFAULT, CAST(NULL AS int))",
	"INSERT INTO t VALUES (1, 2), (3)",
	"INSERT INTO t VALUES (- -1, +2), (-(3), - 'x')",
	"INSERT INTO t VALUES (1), (2) ORDER BY 1 LIMIT 1",
	"WITH x AS (SELECT 1) INSERT INTO t VALUES (1), (2)",
	"INSERT INTO t VALUES (U&'a'), ('b')", "INSERT INTO t VALUES (1), (", "INSERT INTO t VALUES (), ()",
}

// FuzzRowsAgreeWithPostgreSQL: the rows found are those that PostgreSQL's parser sees, each row alone is the row, and rows of one
// shape differ in constants and parameters only.
func FuzzRowsAgreeWithPostgreSQL(f *testing.F) {
	for _, text := range rowTexts {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		rows, ok := SplitRows(text)
		if !ok {
			return
		}
		tree, err := pg.Parse(string(text))
		if err != nil || len(tree.Stmts) != 1 {
			return
		}
		insert := tree.Stmts[0].Stmt.GetInsertStmt()
		lists := insert.GetSelectStmt().GetSelectStmt().GetValuesLists()
		if len(lists) == 0 {
			return // a set operation: the analysis leaves it alone
		}
		if len(lists) != len(rows.List) {
			t.Fatalf("%q: %d rows, PostgreSQL sees %d", text, len(rows.List), len(lists))
		}
		for i := range lists {
			checkRow(t, rows, lists, i)
		}
	})
}

// checkRow compares a row, taken out of its statement, with PostgreSQL's view of it.
func checkRow(t *testing.T, rows *Rows, lists []*pg.Node, i int) {
	alone, err := pg.Parse(string(rows.Only([]int{i})))
	if err != nil {
		t.Fatalf("row %d alone: %q: %v", i, rows.Only([]int{i}), err)
	}
	one := alone.Stmts[0].Stmt.GetInsertStmt().GetSelectStmt().GetSelectStmt().GetValuesLists()
	if len(one) != 1 || shapeOf(t, one[0], false) != shapeOf(t, lists[i], false) {
		t.Fatalf("row %d is %q", i, rows.Only([]int{i}))
	}
	row := rows.List[i]
	sample := lists[rows.Shapes[row.Shape]]
	if shapeOf(t, sample, true) != shapeOf(t, lists[i], true) {
		t.Fatalf("rows %q and %q have one shape", rows.Text[rows.List[rows.Shapes[row.Shape]].Start:], rows.Text[row.Start:row.End])
	}
	if values := lists[i].GetList().GetItems(); len(values) != len(lists[0].GetList().GetItems()) && rows.Uneven == 0 {
		t.Fatalf("%q: uneven rows are not seen", rows.Text)
	}
	for j, value := range lists[i].GetList().GetItems() {
		if c := value.GetAConst(); c.GetSval() != nil {
			v := rows.Value(&row, j)
			data, ok := Decode(v.Text, v.Kind, nil)
			if ok && string(data) != c.GetSval().Sval {
				t.Fatalf("value %d of %q: %q", j, rows.Text[row.Start:row.End], data)
			}
		}
		if p := value.GetParamRef(); p != nil && rows.Value(&row, j).Number != int(p.Number) {
			t.Fatalf("value %d of %q is not $%d", j, rows.Text[row.Start:row.End], p.Number)
		}
	}
}

// shapeOf deparses a row; blank: constants and parameters that stand alone become NULL, and other constants equal.
func shapeOf(t *testing.T, row *pg.Node, blank bool) string {
	var out bytes.Buffer
	for _, value := range row.GetList().GetItems() {
		if c := value.GetAConst(); blank && (c != nil || value.GetParamRef() != nil) {
			fmt.Fprint(&out, "c")
			if value.GetParamRef() != nil {
				fmt.Fprint(&out, "$")
			}
			continue
		}
		target := &pg.Node{Node: &pg.Node_ResTarget{ResTarget: &pg.ResTarget{Val: value}}}
		if value.GetSetToDefault() != nil {
			fmt.Fprint(&out, "DEFAULT,")
			continue
		}
		sel := &pg.SelectStmt{TargetList: []*pg.Node{target}, LimitOption: pg.LimitOption_LIMIT_OPTION_DEFAULT, Op: pg.SetOperation_SETOP_NONE}
		text, err := pg.Deparse(&pg.ParseResult{Stmts: []*pg.RawStmt{{Stmt: &pg.Node{Node: &pg.Node_SelectStmt{SelectStmt: sel}}}}})
		if err != nil {
			return "" // neither is the other
		}
		if blank {
			normal, err := pg.Normalize(text)
			if err != nil {
				return ""
			}
			text = string(bytes.Map(func(r rune) rune {
				if r >= '0' && r <= '9' {
					return -1
				}
				return r
			}, []byte(normal)))
		}
		fmt.Fprint(&out, text, ",")
	}
	return out.String()
}

func TestOriginOfABytePosition(t *testing.T) {
	text := []byte("INSERT INTO t VALUES (1, 'a'),  (2, 'b') , (3, 'c') RETURNING x")
	rows, ok := SplitRows(text)
	if !ok {
		t.Fatal("not split")
	}
	some := []int{0, 2}
	cut := rows.Only(some)
	for _, word := range []string{"INSERT", "(1", "'a'", "(3", "'c'", "RETURNING", "x"} {
		if got := rows.Origin(some, bytes.Index(cut, []byte(word))); got != bytes.Index(text, []byte(word)) {
			t.Errorf("%s is at %d", word, got)
		}
	}
}

func BenchmarkSplitRows(b *testing.B) {
	var text bytes.Buffer
	text.WriteString("INSERT INTO t (id, name, age) VALUES ")
	for i := range 1000 {
		if i > 0 {
			text.WriteString(", ")
		}
		fmt.Fprintf(&text, "(%d, 'name %d', %d)", i, i, i%7)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := SplitRows(text.Bytes()); !ok {
			b.Fatal("not split")
		}
	}
}
