package merge

import (
	"bytes"
	"errors"
	"testing"

	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/router"
)

// FuzzRows feeds arbitrary bytes as rows to merges of every type: they never panic, and what is wrong with a row is told by
// SQLSTATE.
func FuzzRows(f *testing.F) {
	f.Add(texts("1", "x"), texts("2", "y"))
	f.Add(texts(null, "x"), []byte{'D', 0, 0, 0, 12, 0, 2, 0, 0, 0, 99, 0, 0})
	f.Add(texts("2024-01-31 10:00:00+01:30 BC", ""), texts("-infinity", ""))
	f.Add(texts("-12345678901234567890.000100", ""), texts(`\xdead`, "t"))
	f.Add(pgwire.AppendDataRow(nil, [][]byte{{0, 1, 0, 0, 0x40, 0, 0, 2, 0, 5}, nil}), []byte("D"))
	f.Fuzz(func(t *testing.T, one, two []byte) {
		for _, oid := range sortTypes() {
			for _, fields := range [][]pgwire.Field{columns(oid, oidText), inBinary(columns(oid, oidText))} {
				order := all(router.SortKey{Bytewise: true, Desc: true}, router.SortKey{Column: 1, Bytewise: true})
				order.Hidden = 1
				fuzzOne(t, order, fields, one, two)
				if oid != oidText {
					fuzzOne(t, aggregates(router.AggMin, router.AggMax), []pgwire.Field{fields[0], fields[0]}, one, two)
				}
			}
		}
		fuzzOne(t, aggregates(router.AggSum, router.AggCount), columns(oidNumeric, oidInt8), one, two)
		fuzzOne(t, aggregates(router.AggSum, router.AggBoolOr), inBinary(columns(oidNumeric, oidBool)), one, two)
	})
}

func fuzzOne(t *testing.T, spec *router.Merge, fields []pgwire.Field, one, two []byte) {
	rows, err := run(spec, fields, from([][]byte{one}, [][]byte{two}))
	if err == nil {
		for _, row := range rows {
			if err := checkHeader(row, len(fields)-spec.Hidden); err != nil {
				t.Fatalf("emitted row %q: %v", row, err)
			}
		}
		return
	}
	var told *pgwire.Error
	if !errors.As(err, &told) || told.Code != "08P01" && told.Code != "0A000" && told.Code != "22003" {
		t.Fatalf("error is %v", err)
	}
}

// FuzzNumericText checks that what is taken for a numeric survives the way through binary format and back.
func FuzzNumericText(f *testing.F) {
	for _, seed := range []string{"0", "-0.00", "10000.0001", "NaN", "-Infinity", "00012.50"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		n, ok := parseNumericText(nil, text)
		if !ok {
			return
		}
		again, ok := parseNumericBinary(nil, n.appendBinary(nil))
		if !ok || again.class != n.class || again.weight != n.weight || again.scale != n.scale || !bytes.Equal(again.groups, n.groups) {
			t.Fatalf("%q became %+v, not %+v", text, again, n)
		}
		var a, b value
		numericText(&a, text)
		numericText(&b, again.appendText(nil))
		if a.compare(&b) != 0 {
			t.Fatalf("%q is not equal to its own text %q", text, again.appendText(nil))
		}
	})
}
