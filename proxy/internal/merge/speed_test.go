package merge

import (
	"encoding/binary"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/router"
)

// replay is a Source that can be read again; its rows stay where they are.
type replay struct {
	rows [][]byte
	at   int
}

func (r *replay) Next() ([]byte, error) {
	if r.at == len(r.rows) {
		return nil, io.EOF
	}
	r.at++
	return r.rows[r.at-1], nil
}

// workloads are rows (id, a text of 20 bytes, the key again as a hidden column) of which n are spread evenly over shards.
func workload(n, shards int, encode func(i int) []byte) []Source {
	sources := make([]*replay, shards)
	for i := range sources {
		sources[i] = &replay{}
	}
	for i := range n {
		key := encode(i)
		row := pgwire.AppendDataRow(nil, [][]byte{key, []byte("twenty bytes of text"), key})
		s := sources[uint32(i)*2654435761>>16%uint32(shards)]
		s.rows = append(s.rows, row)
	}
	out := make([]Source, shards)
	for i := range out {
		out[i] = sources[i]
	}
	return out
}

type keyShape struct {
	name   string
	oid    uint32
	format int16
	encode func(i int) []byte
}

// keyShapes are encoders of ascending keys.
func keyShapes() []keyShape {
	return []keyShape{
		{"int8/binary", oidInt8, formatBinary, func(i int) []byte { return int8Bytes(int64(i)) }},
		{"int8/text", oidInt8, formatText, func(i int) []byte { return fmt.Append(nil, i) }},
		{"float8/text", oidFloat8, formatText, func(i int) []byte { return fmt.Append(nil, float64(i)/8) }},
		{"timestamptz/text", oidTimestampTZ, formatText, func(i int) []byte {
			return time.Unix(int64(i), 0).UTC().AppendFormat(nil, "2006-01-02 15:04:05.999999-07")
		}},
		{"uuid/text", oidUUID, formatText, func(i int) []byte { return fmt.Appendf(nil, "00000000-0000-0000-0000-%012x", i) }},
		{"uuid/binary", oidUUID, formatBinary, func(i int) []byte { return binary.BigEndian.AppendUint64(make([]byte, 8), uint64(i)) }},
		{"numeric/text", oidNumeric, formatText, func(i int) []byte { return fmt.Appendf(nil, "%d.%02d", i/100, i%100) }},
		{"numeric/binary", oidNumeric, formatBinary, func(i int) []byte {
			n, _ := parseNumericText(nil, fmt.Append(nil, i))
			return n.appendBinary(nil)
		}},
		{"text", oidText, formatText, func(i int) []byte { return fmt.Appendf(nil, "%08d", i) }},
		{"bytea/text", oidBytea, formatText, func(i int) []byte { return fmt.Appendf(nil, `\x%08x`, i) }},
	}
}

func (k keyShape) merger(t testing.TB, desc bool) *Merger {
	t.Helper()
	fields := []pgwire.Field{{Name: "id", Type: k.oid, Format: k.format}, {Name: "t", Type: oidText}, {Name: "h", Type: k.oid, Format: k.format}}
	m, err := New(&router.Merge{Limit: -1, Hidden: 1, Order: []router.SortKey{{Column: 2, Desc: desc, Bytewise: true}}}, fields)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestMergingARowAllocatesNothing(t *testing.T) {
	for _, shape := range keyShapes() {
		t.Run(shape.name, func(t *testing.T) {
			const runs = 1000
			rows, err := shape.merger(t, false).Rows(workload(2*runs, 4, shape.encode))
			if err != nil {
				t.Fatal(err)
			}
			next := func() {
				if _, err := rows.Next(); err != nil {
					t.Fatal(err)
				}
			}
			for range 100 {
				next() // grows the reused buffers
			}
			if got := testing.AllocsPerRun(runs, next); got != 0 {
				t.Errorf("%v allocations per row", got)
			}
		})
	}
}

func BenchmarkMerge(b *testing.B) {
	const rows, shards = 100_000, 4
	for _, shape := range keyShapes() {
		b.Run(shape.name, func(b *testing.B) {
			m := shape.merger(b, false)
			m.spec.Hidden = 0
			sources := workload(rows, shards, shape.encode)
			benchmarkRun(b, m, sources, rows)
		})
	}
}

func BenchmarkMergeWithHiddenColumn(b *testing.B) {
	const rows = 100_000
	shape := keyShapes()[0]
	benchmarkRun(b, shape.merger(b, false), workload(rows, 4, shape.encode), rows)
}

func BenchmarkMergeOf64Sources(b *testing.B) {
	const rows = 100_000
	shape := keyShapes()[0]
	m := shape.merger(b, false)
	m.spec.Hidden = 0
	benchmarkRun(b, m, workload(rows, 64, shape.encode), rows)
}

func BenchmarkConcatenation(b *testing.B) {
	const rows = 100_000
	shape := keyShapes()[0]
	m := shape.merger(b, false)
	m.spec.Hidden, m.keys = 0, nil
	benchmarkRun(b, m, workload(rows, 4, shape.encode), rows)
}

func benchmarkRun(b *testing.B, m *Merger, sources []Source, rows int) {
	b.ReportAllocs()
	emit := func([]byte) error { return nil }
	for b.Loop() {
		for _, s := range sources {
			s.(*replay).at = 0
		}
		if n, err := m.Run(sources, emit); err != nil || n != int64(rows) {
			b.Fatalf("%d rows, error %v", n, err)
		}
	}
	b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mrows/s")
}
