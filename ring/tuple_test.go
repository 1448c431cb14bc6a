package ring

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/pgring/pgring/internal/pgtest"
)

// A row of several columns hashes, prints and is found on the server as here; with a NULL it has no slot.
func TestTuplesAgreeWithTheServer(t *testing.T) {
	conn := pgtest.Start(t, 1)[0].Connect(t)
	for i, c := range []struct {
		types  string // of the columns
		key    KeyType
		values [][]string
	}{
		{"int2,int4", TupleType(KeyInt, KeyInt), [][]string{{"1", "2"}, {"2", "1"}, {"-1", "0"}, {"0", "-2147483648"}}},
		{"int8,text", TupleType(KeyInt, KeyText), [][]string{{"9223372036854775807", ""}, {"1", `a "b" \c,(d)`}, {"1", " "}, {"7", "Ünï\ncode"}, {"7", `it's`}}},
		{"varchar(20),uuid,numeric", TupleType(KeyText, KeyUUID, KeyNumeric),
			[][]string{{"x", "00000000-0000-0000-0000-000000000001", "1.50"}, {"x ", "ffffffff-ffff-ffff-ffff-ffffffffffff", "-0.0"}}},
		{"timestamp,timestamptz,int8,text", TupleType(KeyTimestamp, KeyTimestampTZ, KeyInt, KeyText),
			[][]string{{"2020-01-02 03:04:05.678901", "2020-01-02 03:04:05+00", "5", "a"}, {"infinity", "-infinity", "5", "NULL"}}},
	} {
		var columns, types []string
		for j, typ := range strings.SplitAfter(c.types, ",") {
			columns, types = append(columns, fmt.Sprintf(`"K %d"`, j)), append(types, strings.TrimSuffix(typ, ","))
		}
		table := fmt.Sprintf("t%d", i)
		definition := make([]string, len(columns))
		for j := range columns {
			definition[j] = columns[j] + " " + types[j]
		}
		run := func(sql string) {
			t.Helper()
			if _, err := conn.Exec(t.Context(), sql); err != nil {
				t.Fatalf("%s: %v", sql, err)
			}
		}
		run(fmt.Sprintf("CREATE TABLE %s (%s); ALTER TABLE %[1]s REPLICA IDENTITY FULL", table, strings.Join(definition, ", ")))
		var keys []Key
		for _, values := range c.values {
			keys = append(keys, tuple(t, c.key, values))
		}
		set := NewSlotSet([]Slot{keys[0].Slot(), keys[1].Slot(), 3}).With(keys[len(keys)-1]).WithoutKeys(keys[1])
		run(fmt.Sprintf("CREATE INDEX ON %s ((%s)); CREATE PUBLICATION p%[1]s FOR TABLE %[1]s WHERE (%[3]s)", table, SlotExpr(c.key, columns...), set.InSQL(c.key, columns...)))
		for n, k := range keys {
			marks, args := make([]string, len(columns)), make([]any, len(columns))
			for j := range columns {
				marks[j], args[j] = fmt.Sprintf("$%d::text::%s", j+1, types[j]), c.values[n][j]
			}
			if _, err := conn.Exec(t.Context(), fmt.Sprintf("TRUNCATE %s; ", table)); err != nil {
				t.Fatal(err)
			}
			if _, err := conn.Exec(t.Context(), fmt.Sprintf("INSERT INTO %s VALUES (%s)", table, strings.Join(marks, ", ")), args...); err != nil {
				t.Fatal(err)
			}
			var slot Slot
			var inside, read bool
			row := strings.Join(columns, ", ")
			sql := fmt.Sprintf("SELECT %s, %s, ROW(%s) IS NOT DISTINCT FROM ROW(x.*) FROM %s t, LATERAL (SELECT r.* FROM (SELECT $1::text::%[4]s AS y) z, LATERAL (SELECT (z.y).*) r) x",
				SlotExpr(c.key, columnsOf("t", columns)...), set.InSQL(c.key, columnsOf("t", columns)...), strings.Join(columnsOf("t", columns), ", "), table)
			if err := conn.QueryRow(t.Context(), sql, k.String()).Scan(&slot, &inside, &read); err != nil {
				t.Fatalf("%s: %v", sql, err)
			}
			if slot != k.Slot() || inside != set.HasKey(k) || !read {
				t.Errorf("(%s) %v: slot %d, in %v: %t, reads %q: %t; here slot %d, %t", row, c.values[n], slot, set, inside, k, read, k.Slot(), set.HasKey(k))
			}
		}
		var none *bool
		if err := conn.QueryRow(t.Context(), fmt.Sprintf("SELECT (%s) FROM (SELECT %s) x(%s)", set.InSQL(c.key, columns...),
			"NULL::"+strings.Join(types, ", NULL::"), strings.Join(columns, ", "))).Scan(&none); err != nil || none != nil {
			t.Errorf("a row of NULLs: %v, %v", none, err)
		}
	}
}

func columnsOf(table string, columns []string) []string {
	qualified := make([]string, len(columns))
	for i, c := range columns {
		qualified[i] = table + "." + c
	}
	return qualified
}

func tuple(t *testing.T, typ KeyType, values []string) Key {
	t.Helper()
	parts := make([]Key, len(values))
	for i, column := range typ.Columns() {
		parts[i] = key(t, column, values[i])
	}
	return Tuple(parts...)
}

func TestTupleTypesAndTexts(t *testing.T) {
	typ := TupleType(KeyInt, KeyText, KeyNumeric)
	if name := typ.String(); name != "int+text+numeric" {
		t.Errorf("its name is %q", name)
	}
	if read, ok := ParseKeyType(typ.String()); !ok || read != typ {
		t.Errorf("its name reads as %v, %t", read, ok)
	}
	if columns := typ.Columns(); !slices.Equal(columns, []KeyType{KeyInt, KeyText, KeyNumeric}) {
		t.Errorf("its columns are %v", columns)
	}
	for _, none := range [][]KeyType{{}, {KeyInt, KeyUnset}, {KeyBytea, KeyInt}, {KeyInt, typ}, {KeyInt, KeyInt, KeyInt, KeyInt, KeyInt}} {
		if got := TupleType(none...); got != KeyUnset {
			t.Errorf("%v is %v", none, got)
		}
	}
	for _, name := range []string{"int+", "+int", "int+bytea", "int+text+", "int+int+int+int+int"} {
		if got, ok := ParseKeyType(name); ok {
			t.Errorf("%q is %v", name, got)
		}
	}
	for _, bad := range []string{"", "1", "(1,a)", "(1,a,2,3)", "(1,,2)", `(1,"a,2)`, `(1,a,2\`, "(x,a,2)", "1,a,2)"} {
		if k, err := ParseKey(typ, []byte(bad)); err == nil || k.Type() != KeyUnset {
			t.Errorf("%q reads as %v", bad, k)
		}
	}
	equal, other := tuple(t, typ, []string{"01", "a", "1.500"}), tuple(t, typ, []string{"1", "a", "1.5"})
	if equal.Compare(other) != 0 || equal.Hash() != other.Hash() || equal.String() != "(1,a,1.5)" {
		t.Errorf("%v and %v are not equal", equal, other)
	}
	if a, b := tuple(t, typ, []string{"1", `b,1`, "1"}), tuple(t, typ, []string{"1", `b`, "1"}); a.Compare(b) == 0 || a.Compare(b) != -b.Compare(a) {
		t.Errorf("%v and %v compare as %d", a, b, a.Compare(b))
	}
	if k := Tuple(intKey(1), Key{}); k.Type() != KeyUnset {
		t.Errorf("with the zero key: %v", k)
	}
}
