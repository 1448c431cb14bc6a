package merge

import (
	"strings"
	"testing"

	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/router"
)

func aggregates(list ...router.Aggregate) *router.Merge {
	return &router.Merge{Limit: -1, Aggregates: list}
}

// oneEach makes sources of one row of one text column each.
func oneEach(values ...string) []Source {
	var shards [][][]byte
	for _, v := range values {
		shards = append(shards, shard(v))
	}
	return from(shards...)
}

func TestAggregatesAreCombined(t *testing.T) {
	for _, test := range []struct {
		aggregate router.Aggregate
		oid       uint32
		parts     []string
		want      string
	}{
		{router.AggCount, oidInt8, []string{"1", "0", "41"}, "42"},
		{router.AggCount, oidInt8, []string{"7"}, "7"},
		{router.AggSum, oidInt8, []string{null, "-5", "3", null}, "-2"},
		{router.AggSum, oidInt8, []string{null, null}, null},
		{router.AggSum, oidInt8, []string{"9223372036854775807", "9223372036854775807", "-9223372036854775807", "-9223372036854775808", "0"}, "-1"},
		{router.AggSum, oidInt8, []string{"-9223372036854775807", "-1"}, "-9223372036854775808"},
		{router.AggSum, oidNumeric, []string{"1.5", "2.25", "-0.75"}, "3.00"},
		{router.AggSum, oidNumeric, []string{"0.1", "-0.1"}, "0.0"},
		{router.AggSum, oidNumeric, []string{"0", "0.000"}, "0.000"},
		{router.AggSum, oidNumeric, []string{"-0.5", "0.49"}, "-0.01"},
		{router.AggSum, oidNumeric, []string{"123456789012345678901234567890", "1", null}, "123456789012345678901234567891"},
		{router.AggSum, oidNumeric, []string{"9999", "1"}, "10000"},
		{router.AggSum, oidNumeric, []string{"NaN", "Infinity", "1"}, "NaN"},
		{router.AggSum, oidNumeric, []string{"Infinity", "-5"}, "Infinity"},
		{router.AggSum, oidNumeric, []string{"-Infinity", "-Infinity"}, "-Infinity"},
		{router.AggSum, oidNumeric, []string{"Infinity", "-Infinity"}, "NaN"},
		{router.AggSum, oidNumeric, []string{null}, null},
		{router.AggMin, oidInt4, []string{"10", "-9", null, "9"}, "-9"},
		{router.AggMax, oidInt4, []string{"10", "-9", null, "9"}, "10"},
		{router.AggMax, oidInt8, []string{"-9223372036854775808", null}, "-9223372036854775808"},
		{router.AggMax, oidFloat8, []string{"Infinity", "NaN", "1"}, "NaN"},
		{router.AggMin, oidFloat8, []string{"NaN", "NaN", "1e+20"}, "1e+20"},
		{router.AggMin, oidNumeric, []string{"1.10", "1.1", "2"}, "1.10"},
		{router.AggMax, oidNumeric, []string{"9999", "10000", "-10000"}, "10000"},
		{router.AggMax, oidTimestampTZ, []string{"2024-01-01 00:00:00+00", "2023-12-31 23:30:00-01"}, "2023-12-31 23:30:00-01"},
		{router.AggMin, oidDate, []string{"0001-01-01", "0044-03-15 BC"}, "0044-03-15 BC"},
		{router.AggMax, oidBytea, []string{`\x7f`, `\xff`, `\xfe01`}, `\xff`},
		{router.AggMin, oidUUID, []string{null, null}, null},
		{router.AggBoolAnd, oidBool, []string{"t", null, "t"}, "t"},
		{router.AggBoolAnd, oidBool, []string{"t", "f", "t"}, "f"},
		{router.AggBoolOr, oidBool, []string{"f", null}, "f"},
		{router.AggBoolOr, oidBool, []string{"f", "t", "f"}, "t"},
		{router.AggBoolOr, oidBool, []string{null}, null},
	} {
		got := mustMerge(t, aggregates(test.aggregate), columns(test.oid), oneEach(test.parts...))
		if want := texts(test.want); len(got) != 1 || string(got[0]) != string(want) {
			t.Errorf("aggregate %d of %q is %q, want %q", test.aggregate, test.parts, got, want)
		}
	}
}

func TestAggregatesOfBinaryRows(t *testing.T) {
	numeric := func(text string) []byte {
		n, ok := parseNumericText(nil, []byte(text))
		if !ok {
			t.Fatal(text)
		}
		return n.appendBinary(nil)
	}
	row := func(values ...[]byte) [][]byte { return [][]byte{pgwire.AppendDataRow(nil, values)} }
	spec := aggregates(router.AggCount, router.AggSum, router.AggMax, router.AggBoolAnd, router.AggBoolOr, router.AggMin)
	fields := inBinary(columns(oidInt8, oidNumeric, oidNumeric, oidBool, oidBool, oidInt8))
	got := mustMerge(t, spec, fields, from(
		row(int8Bytes(3), numeric("10000.05"), numeric("-1"), []byte{1}, []byte{0}, nil),
		row(int8Bytes(-1), numeric("-0.0500"), numeric("-1.5"), []byte{0}, []byte{1}, int8Bytes(8)),
		row(int8Bytes(0), numeric("0"), nil, nil, nil, int8Bytes(-8)),
	))
	requireRows(t, got, row(int8Bytes(2), numeric("10000.0000"), numeric("-1"), []byte{0}, []byte{1}, int8Bytes(-8)))
}

func TestSumsThatDoNotFitAreOutOfRange(t *testing.T) {
	_, err := run(aggregates(router.AggCount), columns(oidInt8), oneEach("9223372036854775807", "1"))
	if refused := requireCode(t, err, "22003"); refused.Message != "bigint out of range" {
		t.Errorf("message is %q", refused.Message)
	}
	_, err = run(aggregates(router.AggSum), columns(oidInt8), oneEach("-9223372036854775808", "-1"))
	requireCode(t, err, "22003")
	nines := strings.Repeat("9", maxWhole)
	_, err = run(aggregates(router.AggSum), columns(oidNumeric), oneEach(nines, "1"))
	if refused := requireCode(t, err, "22003"); refused.Message != "value overflows numeric format" {
		t.Errorf("message is %q", refused.Message)
	}
	if _, err = run(aggregates(router.AggSum), columns(oidNumeric), oneEach(nines, "0")); err != nil {
		t.Errorf("the greatest numeric: %v", err)
	}
}

func TestAggregatesThatCannotBeExactAreRefused(t *testing.T) {
	for _, test := range []struct {
		aggregate router.Aggregate
		oid       uint32
		detail    string
	}{
		{router.AggSum, oidFloat8, `Column 1, "a", is of type double precision, whose sum depends on the order of its terms.`},
		{router.AggSum, oidFloat4, `Column 1, "a", is of type real, whose sum depends on the order of its terms.`},
		{router.AggSum, 1186, `Column 1, "a", is of type interval, whose sum is known to PostgreSQL alone.`},
		{router.AggSum, 790, `Column 1, "a", is of type money, whose sum is known to PostgreSQL alone.`},
		{router.AggSum, oidInt4, `Column 1, "a", is of type integer, whose sum is known to PostgreSQL alone.`},
		{router.AggMin, oidText, `Column 1, "a", is of type text, whose order depends on its collation.`},
		{router.AggMax, oidBPChar, `Column 1, "a", is of type character, whose order depends on its collation.`},
		{router.AggMax, 869, `Column 1, "a", is of type inet, whose order is known to PostgreSQL alone.`},
		{router.AggCount, oidNumeric, `Column 1, "a", is of type numeric, which is not the aggregate's own.`},
		{router.AggBoolOr, oidInt4, `Column 1, "a", is of type integer, which is not the aggregate's own.`},
	} {
		_, err := New(aggregates(test.aggregate), columns(test.oid))
		if refused := requireCode(t, err, "0A000"); refused.Detail != test.detail || refused.Hint == "" {
			t.Errorf("detail is %q, want %q (hint %q)", refused.Detail, test.detail, refused.Hint)
		}
	}
}

func TestWindowAndHiddenColumnsApplyToTheAggregateRow(t *testing.T) {
	spec := aggregates(router.AggCount, router.AggMax)
	spec.Hidden = 1
	fields := columns(oidInt8, oidInt4)
	sources := func() []Source { return from([][]byte{texts("1", "5")}, [][]byte{texts("2", "6")}) }
	requireRows(t, mustMerge(t, spec, fields, sources()), shard("3"))
	spec.Offset = 1
	requireRows(t, mustMerge(t, spec, fields, sources()), nil)
	spec.Offset, spec.Limit = 0, 0
	requireRows(t, mustMerge(t, spec, fields, sources()), nil)
}

func TestEachShardSendsExactlyOneAggregateRow(t *testing.T) {
	spec, fields := aggregates(router.AggCount), columns(oidInt8)
	for _, sources := range [][]Source{from(shard("1"), nil), from(shard("1", "2"), shard("3"))} {
		_, err := run(spec, fields, sources)
		requireCode(t, err, "08P01")
	}
	if _, err := run(spec, fields, nil); err == nil {
		t.Error("aggregates of no shard: no error")
	}
	_, err := run(spec, fields, oneEach("1", "x"))
	requireCode(t, err, "08P01")
}
