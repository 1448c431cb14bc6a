package router

import (
	"strings"
	"testing"
)

func TestUndoDirectivesAreReadFromComments(t *testing.T) {
	for text, want := range map[string]Undo{
		"UPDATE t SET a = 1": {},
		"UPDATE t SET a = 1 /* compensate: UPDATE t SET a = 0 */":                 {Kind: UndoStatement, SQL: "UPDATE t SET a = 0"},
		"/*compensate:DELETE FROM t WHERE b = '; */ /* x */'*/ INSERT INTO t":     {Kind: UndoStatement, SQL: "DELETE FROM t WHERE b = '; */ /* x"},
		"DELETE FROM t -- compensate: none\n WHERE id = 1":                        {Kind: UndoNothing},
		"DELETE FROM t /* Compensate : AUTO */":                                   {Kind: UndoDerived},
		"DELETE FROM t /* retriable */":                                           {Kind: UndoRetriable},
		"DELETE FROM t /* compensate(rows=any): INSERT INTO t VALUES ($1) */":     {Kind: UndoStatement, SQL: "INSERT INTO t VALUES ($1)", Rows: RowsAny},
		"DELETE FROM t /* compensate( rows = 12 ) : INSERT INTO t VALUES ($1) */": {Kind: UndoStatement, SQL: "INSERT INTO t VALUES ($1)", Rows: RowsCounted, Count: 12},
		"DELETE FROM t /* compensate for the loss */":                             {},
		"DELETE FROM t /* compensate (see below) */":                              {},
		"DELETE FROM t WHERE a = '/* compensate: none */'":                        {},
	} {
		if strings.Contains(text, "; */") {
			want.SQL = "DELETE FROM t WHERE b = ';" // a comment ends where PostgreSQL ends it
		}
		got, err := ReadUndo([]byte(text))
		if err != nil || got != want {
			t.Errorf("%s: got %+v, %v, want %+v", text, got, err, want)
		}
	}
}

func TestUndoDirectivesThatAreNotUnderstoodAreRefused(t *testing.T) {
	for _, text := range []string{
		"DELETE FROM t /* compensate: */", "DELETE FROM t /* compensate(rows=-1): DELETE FROM t */", "DELETE FROM t /* compensate(lines=1): DELETE FROM t */",
		"DELETE FROM t /* compensate(rows=any): none */", "DELETE FROM t /* compensate: none */ /* retriable */",
	} {
		if u, err := ReadUndo([]byte(text)); err == nil {
			t.Errorf("%s: accepted as %+v", text, u)
		}
	}
}

func TestUndoAsASettingNeedsNoPrefix(t *testing.T) {
	for value, want := range map[string]Undo{
		"none": {Kind: UndoNothing}, "auto": {Kind: UndoDerived}, "retriable": {Kind: UndoRetriable},
		" UPDATE t SET a = 0 ":                     {Kind: UndoStatement, SQL: "UPDATE t SET a = 0"},
		"compensate(rows=any): UPDATE t SET a = 0": {Kind: UndoStatement, SQL: "UPDATE t SET a = 0", Rows: RowsAny},
	} {
		if got, err := ParseUndo(value); err != nil || got != want {
			t.Errorf("%q: got %+v, %v, want %+v", value, got, err, want)
		}
	}
}

func TestOnlyModificationsCompensate(t *testing.T) {
	for text, want := range map[string]bool{
		"UPDATE t SET a = 1": true, "/* x */ insert into t values (1)": true, "WITH x AS (SELECT 1) DELETE FROM t": true,
		"SELECT 1": false, "WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x": false, "TRUNCATE t": false, "CALL p()": false,
	} {
		if got := isModification([]byte(text)); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
}

func TestUsedParams(t *testing.T) {
	used := UsedParams("UPDATE t SET a = a - $3 WHERE b = '$2' AND c = $1 /* $4 */")
	if len(used) != 3 || !used[0] || used[1] || !used[2] {
		t.Fatalf("got %v", used)
	}
}
