package output

import (
	"encoding/csv"
	"encoding/json"
	"strings"
	"testing"

	"github.com/pgring/pgring/internal/golden"
)

func sample() *Table {
	return &Table{
		Columns: []Column{{Name: "shard"}, {Name: "slots", Kind: Number}, {Name: "healthy", Kind: Boolean}, {Name: "last_error"}},
		Rows: [][][]byte{
			{[]byte("s1"), []byte("4096"), []byte("t"), nil},
			{[]byte("größer"), []byte("NaN"), []byte("f"), []byte("two\nlines, \x1b[31mand \"colour\"")},
			{[]byte(""), nil, nil, []byte("")},
		},
	}
}

func TestTableIsWrittenInEachFormat(t *testing.T) {
	for _, f := range []Format{AsTable, AsJSON, AsCSV} {
		var out strings.Builder
		if err := sample().Write(&out, f); err != nil {
			t.Fatal(err)
		}
		golden.Check(t, "sample."+string(f), out.String())
	}
}

func TestJSONKeepsEveryValue(t *testing.T) {
	var out strings.Builder
	if err := sample().Write(&out, AsJSON); err != nil {
		t.Fatal(err)
	}
	var rows []map[string]any
	if err := json.Unmarshal([]byte(out.String()), &rows); err != nil {
		t.Fatal(err)
	}
	if rows[0]["slots"] != 4096.0 || rows[0]["healthy"] != true || rows[0]["last_error"] != nil || rows[1]["slots"] != "NaN" ||
		rows[1]["last_error"] != "two\nlines, \x1b[31mand \"colour\"" || rows[2]["slots"] != nil {
		t.Errorf("read back %v", rows)
	}
}

func TestCSVKeepsEveryValue(t *testing.T) {
	var out strings.Builder
	if err := sample().Write(&out, AsCSV); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(strings.NewReader(out.String())).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 4 || rows[2][3] != "two\nlines, \x1b[31mand \"colour\"" {
		t.Errorf("read back %q", rows)
	}
}

func TestTableNeverSendsControlCharacters(t *testing.T) {
	var out strings.Builder
	if err := sample().Write(&out, AsTable); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(out.String(), "\x1b\t\r") {
		t.Errorf("%q", out.String())
	}
}

func TestEmptyResultIsAnEmptyArray(t *testing.T) {
	var out strings.Builder
	if err := (&Table{Columns: []Column{{Name: "a"}}}).Write(&out, AsJSON); err != nil || out.String() != "[]\n" {
		t.Errorf("%q, %v", out.String(), err)
	}
}

func TestFlagTakesOnlyItsFormats(t *testing.T) {
	f := NewFlag(AsTable, AsJSON)
	if f.String() != "table" || f.Type() != "table|json" {
		t.Errorf("%s, %s", f, f.Type())
	}
	if err := f.Set("json"); err != nil || f.Format != AsJSON {
		t.Errorf("%s, %v", f.Format, err)
	}
	if err := f.Set("csv"); err == nil || err.Error() != "must be one of table, json" {
		t.Errorf("%v", err)
	}
}
