package merge

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/router"
)

// ascending lists values of each type as PostgreSQL writes and sorts them; values joined by | are equal.
var ascending = map[uint32]string{
	oidBool:   "f t",
	oidInt2:   "-32768 -1 0 1 32767",
	oidInt4:   "-2147483648 -10 -9 0 9 10 2147483647",
	oidInt8:   "-9223372036854775808 -9223372036854775807 0 9223372036854775807",
	oidOID:    "0 1 2147483648 4294967295",
	oidFloat4: "-Infinity -3.4028235e+38 -1 -1e-45 -0|0 1e-45 0.1 1e+20 3.4028235e+38 Infinity NaN",
	oidFloat8: "-Infinity -1.7976931348623157e+308 -1 -5e-324 -0|0 5e-324 0.1 0.30000000000000004 1e+20 Infinity NaN",
	oidNumeric: "-Infinity -1e5 -10000.0001 -10000|-10000.0 -9999.9999 -1.5 -1.00000001 -1|-1.000 -0.5 -0.00001 0|0.00|-0 " +
		"0.00000000000000001 0.0001 0.5|0.50 1|1.0000000000 1.00000001 1.5 9999 10000 10000.0001 " +
		"123456789012345678901234567890 Infinity NaN",
	oidDate: "-infinity 4713-01-01_BC 0044-03-15_BC 0001-12-31_BC 0001-01-01 1999-12-31 2000-01-01 2000-02-29 2000-03-01 " +
		"9999-12-31 10000-01-01 5874897-12-31 infinity",
	oidTime: "00:00:00 00:00:00.000001 00:00:00.1 09:59:59.999999 10:00:00 23:59:59.999999 24:00:00",
	oidTimestamp: "-infinity 4713-01-01_00:00:00_BC 0001-12-31_23:59:59.999999_BC 0001-01-01_00:00:00 1999-12-31_23:59:59.5 " +
		"2000-01-01_00:00:00|2000-01-01_00:00:00.0 2024-02-29_12:00:00.000001 294276-12-31_23:59:59.999999 infinity",
	oidTimestampTZ: "-infinity 0001-01-01_00:00:00+00:19:32 0001-12-31_23:59:59+00_BC 0001-01-01_00:00:00+00 2000-01-01_00:00:00+01 " +
		"2000-01-01_00:00:00+00|2000-01-01_05:45:00+05:45|1999-12-31_19:00:00-05|1999-12-31_23:40:28-00:19:32 " +
		"2000-01-01_00:00:00-00:30 2000-01-01_00:00:00-15:59:59 infinity",
	oidUUID:  "00000000-0000-0000-0000-000000000000 00000000-0000-0001-0000-000000000000 7fffffff-ffff-ffff-ffff-ffffffffffff ffffffff-ffff-ffff-ffff-fffffffffffe",
	oidBytea: `\x \x00 \x0000 \x01 \x7f \x80 \xff \xff00`,
	oidText:  " A AA Z a aé é 日本",
}

// groupsOf returns the values of a type in order, equal ones together.
func groupsOf(oid uint32) [][]string {
	var groups [][]string
	for group := range strings.SplitSeq(ascending[oid], " ") {
		group = strings.ReplaceAll(strings.ReplaceAll(group, "_", " "), "-1e5", "-100000")
		groups = append(groups, strings.Split(group, "|"))
	}
	return groups
}

func keyOf(t *testing.T, oid uint32, format int16) sortKey {
	t.Helper()
	key, err := newSortKey(router.SortKey{Bytewise: true}, pgwire.Field{Name: "a", Type: oid, Format: format})
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestEachTypeOrdersAsPostgreSQL(t *testing.T) {
	for oid := range ascending {
		key := keyOf(t, oid, formatText)
		groups := groupsOf(oid)
		for i, left := range groups {
			for j, right := range groups {
				for _, a := range left {
					for _, b := range right {
						requireOrder(t, &key, a, b, sign(i-j))
					}
				}
			}
		}
	}
}

func requireOrder(t *testing.T, key *sortKey, a, b string, want int) {
	t.Helper()
	var left, right value
	if f := key.decode(&left, []byte(a)); f != sound {
		t.Fatalf("%s %q: fault %d", typeName(key.field.Type), a, f)
	}
	if f := key.decode(&right, []byte(b)); f != sound {
		t.Fatalf("%s %q: fault %d", typeName(key.field.Type), b, f)
	}
	if got := sign(left.compare(&right)); got != want {
		t.Errorf("%s: %q compared with %q is %d, want %d", typeName(key.field.Type), a, b, got, want)
	}
}

func sign(n int) int {
	switch {
	case n < 0:
		return -1
	case n > 0:
		return 1
	}
	return 0
}

func TestNullsGoWhereAsked(t *testing.T) {
	for _, test := range []struct {
		key  router.SortKey
		want []string
	}{
		{router.SortKey{}, []string{"1", "2", null, null}},
		{router.SortKey{NullsFirst: true}, []string{null, null, "1", "2"}},
		{router.SortKey{Desc: true}, []string{"2", "1", null, null}},
		{router.SortKey{Desc: true, NullsFirst: true}, []string{null, null, "2", "1"}},
	} {
		var one, two []string
		for i, v := range test.want {
			if i%2 == 0 {
				one = append(one, v)
			} else {
				two = append(two, v)
			}
		}
		got := mustMerge(t, all(test.key), columns(oidInt4), from(shard(one...), shard(two...)))
		requireRows(t, got, shard(test.want...))
	}
}

func TestTextIsMergedOnlyInByteOrder(t *testing.T) {
	for _, oid := range []uint32{oidText, oidVarchar, oidName} {
		_, err := New(all(router.SortKey{}), columns(oid))
		refused := requireCode(t, err, "0A000")
		if !strings.Contains(refused.Detail, `"a", is of type `+typeName(oid)) || !strings.Contains(refused.Hint, `COLLATE "C"`) {
			t.Errorf("refusal does not explain itself: %+v", refused)
		}
		got := mustMerge(t, all(router.SortKey{Bytewise: true}), inBinary(columns(oid)), from(shard("B", "b"), shard("a", "é")))
		requireRows(t, got, shard("B", "a", "b", "é"))
	}
}

func TestTypesWithoutAKnownOrderAreRefused(t *testing.T) {
	for _, oid := range []uint32{oidBPChar, 1186, 114, 3802, 790, 869, 1266, 1007, 0, 4294967295} {
		_, err := New(all(router.SortKey{Bytewise: true}), columns(oid))
		refused := requireCode(t, err, "0A000")
		if refused.Detail == "" || refused.Hint == "" {
			t.Errorf("refusal of type %d does not explain itself: %+v", oid, refused)
		}
	}
}

func TestValuesWrittenUnderOtherSettingsAreRefused(t *testing.T) {
	for oid, values := range map[uint32][]string{
		oidDate:        {"01/31/2024", "31.01.2024", "01-31-2024", "31-01-2024", "", "2024-01-31 x"},
		oidTimestamp:   {"Wed Jan 31 10:00:00 2024", "01/31/2024 10:00:00", "31.01.2024 10:00:00", "2024-01-31", "2024-01-31 10:00"},
		oidTimestampTZ: {"Wed Jan 31 10:00:00 2024 CET", "2024-01-31 10:00:00 CET", "2024-01-31 10:00:00", "2024-01-31 10:00:00+"},
		oidBytea:       {"", "abc", `\\x00`, `\001`},
	} {
		for _, v := range values {
			_, err := run(all(router.SortKey{}), columns(oid), from(shard(v), shard(v)))
			if refused := requireCode(t, err, "0A000"); !strings.Contains(refused.Hint, "SET ") {
				t.Errorf("refusal of %q has no hint: %+v", v, refused)
			}
		}
	}
}

func TestMalformedValuesAreProtocolViolations(t *testing.T) {
	for oid, values := range map[uint32][]string{
		oidBool:      {"", "x", "true"},
		oidInt4:      {"", "-", "+1", "1 ", "0x1", "9223372036854775808", "-9223372036854775809", "99999999999999999999"},
		oidFloat8:    {"", "nan", "inf", "0x1p3", "1_0", "1e", "1e999", "--1", "1e5e5"},
		oidNumeric:   {"", "-", ".", "1.", ".5", "1e5", "+1", "1,5", "--1", "nan", strings.Repeat("9", maxWhole+1), "0." + strings.Repeat("9", maxScale+1)},
		oidDate:      {"2024-13-01", "2024-00-01", "2023-02-29", "1900-02-29", "2024-01-00", "2024-01-32", "0000-01-01", "5874898-01-01"},
		oidTime:      {"", "10:00", "25:00:00", "24:00:00.1", "10:60:00", "10:00:60", "10:00:00.", "10:00:00.1234567", "10:00:00+01"},
		oidTimestamp: {"2024-02-30 00:00:00", "294278-01-01 00:00:00", "5874897-01-01 00:00:00"},
		oidUUID:      {"", "00000000-0000-0000-0000-00000000000", "00000000-0000-0000-0000-00000000000G", "000000000-000-0000-0000-000000000000"},
		oidBytea:     {`\x0`, `\x0g`, `\x0A`},
	} {
		for _, v := range values {
			_, err := run(all(router.SortKey{}), columns(oid), from(shard(v), shard(v)))
			if err == nil {
				t.Fatalf("%s %q: no error", typeName(oid), v)
			}
			requireCode(t, err, "08P01")
		}
	}
	for oid, values := range map[uint32][]string{
		oidBool: {"", "02", "0001"}, oidInt2: {"00", "000000"}, oidInt4: {"0000", ""}, oidInt8: {"00000000"}, oidOID: {"00"},
		oidFloat4: {"0000"}, oidFloat8: {"00000000"}, oidUUID: {"00"}, oidDate: {"00"}, oidTime: {"00"},
		oidNumeric: {
			"", "0001000000000000", "000100000000000027100000", "00010000000000002710", "00010000100000000001",
			"0001000000004000" + "0001", "0001ffff000000000001", "0001ffff000000030001",
		},
	} {
		for _, v := range values {
			data, err := hex.DecodeString(v)
			if err != nil {
				t.Fatal(err)
			}
			row := pgwire.AppendDataRow(nil, [][]byte{data})
			_, err = run(all(router.SortKey{}), inBinary(columns(oid)), from([][]byte{row}, [][]byte{row}))
			if err == nil {
				t.Fatalf("%s %s: no error", typeName(oid), v)
			}
			requireCode(t, err, "08P01")
		}
	}
}

func TestMalformedRowsAreProtocolViolations(t *testing.T) {
	good := texts("1", "2")
	spec := all(router.SortKey{})
	spec.Hidden = 1
	for name, row := range map[string][]byte{
		"empty":           {},
		"header alone":    good[:5],
		"other type":      append([]byte{'T'}, good[1:]...),
		"cut":             good[:len(good)-1],
		"longer":          append(bytes.Clone(good), 0),
		"one column":      texts("1"),
		"three columns":   texts("1", "2", "3"),
		"long column":     {'D', 0, 0, 0, 12, 0, 2, 0, 0, 0, 99, 0, 0},
		"negative column": {'D', 0, 0, 0, 14, 0, 2, 0xff, 0xff, 0xff, 0xfe, 0, 0, 0, 0},
		"missing column":  {'D', 0, 0, 0, 11, 0, 2, 0, 0, 0, 1, '1'},
		"bytes left":      {'D', 0, 0, 0, 16, 0, 2, 0, 0, 0, 1, '1', 0, 0, 0, 0, 0},
	} {
		for _, sources := range [][]Source{from([][]byte{row}), from([][]byte{row}, [][]byte{good})} {
			if _, err := run(spec, columns(oidInt4, oidInt4), sources); err == nil {
				t.Errorf("%s: no error", name)
			} else {
				requireCode(t, err, "08P01")
			}
		}
	}
}
