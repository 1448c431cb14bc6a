package merge

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/router"
)

func TestConcatenationKeepsTheOrderOfSources(t *testing.T) {
	got := mustMerge(t, all(), columns(oidText), from(shard("b", null, "a"), nil, shard("", "c")))
	requireRows(t, got, shard("b", null, "a", "", "c"))
}

func TestMergeOrdersBySeveralKeys(t *testing.T) {
	fields := columns(oidInt4, oidText)
	spec := all(router.SortKey{Column: 0, Desc: true}, router.SortKey{Column: 1, Bytewise: true, NullsFirst: true})
	one := [][]byte{texts("10", null), texts("10", "é"), texts("9", "a"), texts(null, "z")}
	two := [][]byte{texts("11", "x"), texts("10", "Z"), texts("10", "e"), texts("-3", "")}
	want := [][]byte{
		texts("11", "x"), texts("10", null), texts("10", "Z"), texts("10", "e"), texts("10", "é"),
		texts("9", "a"), texts("-3", ""), texts(null, "z"),
	}
	requireRows(t, mustMerge(t, spec, fields, from(one, two)), want)
}

func TestEqualRowsComeInSourceOrder(t *testing.T) {
	var shards [][][]byte
	var want [][]byte
	for i := range 7 {
		shards = append(shards, [][]byte{texts("1", fmt.Sprint(i, "a")), texts("1.0", fmt.Sprint(i, "b"))})
		want = append(want, shards[i]...)
	}
	requireRows(t, mustMerge(t, all(router.SortKey{}), columns(oidNumeric, oidText), from(shards...)), want)
}

func TestLimitAndOffsetApplyToTheMergedRows(t *testing.T) {
	for _, test := range []struct {
		offset, limit int64
		want          string
	}{
		{0, -1, "1 2 3 4 5 6"}, {0, 0, ""}, {0, 2, "1 2"}, {2, 2, "3 4"}, {5, 10, "6"}, {6, 1, ""}, {100, -1, ""}, {3, -1, "4 5 6"},
	} {
		spec := &router.Merge{Order: []router.SortKey{{}}, Offset: test.offset, Limit: test.limit}
		got := mustMerge(t, spec, columns(oidInt8), from(shard("1", "4", "6"), shard("2", "3"), shard("5")))
		requireRows(t, got, shard(strings.Fields(test.want)...))
	}
}

func TestNothingIsReadBeyondTheLimit(t *testing.T) {
	one := &memory{rows: shard("1", "3", "5")}
	two := &memory{rows: shard("2", "4", "6")}
	spec := &router.Merge{Order: []router.SortKey{{}}, Limit: 2, Offset: 1}
	requireRows(t, mustMerge(t, spec, columns(oidInt4), []Source{one, two}), shard("2", "3"))
	if one.reads != 2 || two.reads != 2 {
		t.Errorf("read %d and %d times, want 2 and 2", one.reads, two.reads)
	}
	one = &memory{rows: shard("1", "2")}
	two = &memory{}
	requireRows(t, mustMerge(t, &router.Merge{Limit: 2}, columns(oidInt4), []Source{one, two}), shard("1", "2"))
	if one.reads != 2 || two.reads != 0 {
		t.Errorf("concatenation read %d and %d times, want 2 and 0", one.reads, two.reads)
	}
	one = &memory{rows: shard("1")}
	requireRows(t, mustMerge(t, &router.Merge{Limit: 0}, columns(oidInt4), []Source{one}), nil)
	if one.reads != 0 {
		t.Error("LIMIT 0 read a row")
	}
}

func TestHiddenColumnsAreDropped(t *testing.T) {
	spec := all(router.SortKey{Column: 2})
	spec.Hidden = 2
	fields := columns(oidText, oidBytea, oidInt4)
	one := [][]byte{texts("x", "long hidden value", "2"), texts(null, null, null)}
	two := [][]byte{texts("", "h", "1")}
	requireRows(t, mustMerge(t, spec, fields, from(one, two)), shard("", "x", null))
	m, err := New(spec, fields)
	if err != nil {
		t.Fatal(err)
	}
	if got := m.Fields(); len(got) != 1 || got[0].Name != "a" {
		t.Errorf("fields are %v, want a alone", got)
	}
	spec.Hidden = 3
	requireRows(t, mustMerge(t, spec, fields, from(two)), [][]byte{texts()})
}

func TestBrokenConnectionIsNotTheEndOfRows(t *testing.T) {
	broken := &pgwire.IOError{Side: pgwire.ServerSide, Err: io.EOF}
	for name, spec := range map[string]*router.Merge{"concatenation": all(), "order": all(router.SortKey{})} {
		sources := []Source{&memory{rows: shard("1", "3"), err: broken}, &memory{rows: shard("2", "4")}}
		_, err := run(spec, columns(oidInt4), sources)
		if !errors.Is(err, broken) {
			t.Errorf("%s: error is %v, want the connection's", name, err)
		}
	}
	_, err := run(&router.Merge{Limit: -1, Aggregates: []router.Aggregate{router.AggCount}}, columns(oidInt8),
		[]Source{&memory{rows: shard("1"), err: broken}})
	if !errors.Is(err, broken) {
		t.Errorf("aggregate: error is %v, want the connection's", err)
	}
}

func TestErrorOfEmitStopsTheRun(t *testing.T) {
	m, err := New(all(router.SortKey{}), columns(oidInt4))
	if err != nil {
		t.Fatal(err)
	}
	gone := errors.New("client is gone")
	n, err := m.Run(from(shard("1", "3"), shard("2")), func(row []byte) error {
		if row[len(row)-1] == '2' {
			return gone
		}
		return nil
	})
	if n != 1 || err != gone {
		t.Errorf("emitted %d, error %v; want 1 and the error of emit", n, err)
	}
}

func TestRowsCanBeTakenOneByOneAndMergedAgain(t *testing.T) {
	m, err := New(all(router.SortKey{}), columns(oidInt4))
	if err != nil {
		t.Fatal(err)
	}
	lower, err := m.Rows(from(shard("1", "4"), shard("2", "6")))
	if err != nil {
		t.Fatal(err)
	}
	requireRows(t, mustMerge(t, all(router.SortKey{}), columns(oidInt4), []Source{lower, &memory{rows: shard("3", "5")}}),
		shard("1", "2", "3", "4", "5", "6"))
	for range 2 {
		if _, err := lower.Next(); err != io.EOF {
			t.Errorf("after the last row: %v, want io.EOF", err)
		}
	}
}

func TestNoSourcesGiveNoRows(t *testing.T) {
	requireRows(t, mustMerge(t, all(router.SortKey{}), columns(oidInt4), nil), nil)
	requireRows(t, mustMerge(t, all(), columns(oidInt4), nil), nil)
}

func TestSpecThatDoesNotFitTheFieldsIsRefused(t *testing.T) {
	fields := columns(oidInt4)
	for name, spec := range map[string]*router.Merge{
		"sort column":     all(router.SortKey{Column: 1}),
		"negative column": all(router.SortKey{Column: -1}),
		"limit":           {Limit: -2},
		"offset":          {Limit: -1, Offset: -1},
		"hidden":          {Limit: -1, Hidden: 2},
		"aggregates":      {Limit: -1, Aggregates: []router.Aggregate{router.AggMax, router.AggMax}},
		"unset aggregate": {Limit: -1, Aggregates: []router.Aggregate{router.AggregateUnset}},
	} {
		if _, err := New(spec, fields); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	fields[0].Format = 2
	if _, err := New(all(), fields); err == nil {
		t.Error("unknown format: no error")
	}
}
