package merge

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/router"
)

// memory is a Source of rows in memory. Like a connection it hands out its one buffer, so that a row is gone after the next read.
type memory struct {
	rows  [][]byte
	err   error // after the rows; nil is io.EOF
	buf   []byte
	reads int
}

func (m *memory) Next() ([]byte, error) {
	for i := range m.buf {
		m.buf[i] = 0xAA
	}
	m.reads++
	if len(m.rows) == 0 {
		if m.err != nil {
			return nil, m.err
		}
		return nil, io.EOF
	}
	m.buf = append(m.buf[:0], m.rows[0]...)
	m.rows = m.rows[1:]
	return m.buf, nil
}

// from makes one source of each list of rows.
func from(shards ...[][]byte) []Source {
	var sources []Source
	for _, rows := range shards {
		sources = append(sources, &memory{rows: rows})
	}
	return sources
}

// null stands for NULL among the texts of a row.
const null = "\x00NULL"

// texts is a DataRow of text values.
func texts(values ...string) []byte {
	row := make([][]byte, len(values))
	for i, v := range values {
		if v != null {
			row[i] = []byte(v)
		}
	}
	for i, v := range values {
		if v == "" {
			row[i] = []byte{}
		}
	}
	return pgwire.AppendDataRow(nil, row)
}

// shard is the rows of one shard, one text column each.
func shard(values ...string) [][]byte {
	var rows [][]byte
	for _, v := range values {
		rows = append(rows, texts(v))
	}
	return rows
}

// columns describes text-format columns of the given types.
func columns(types ...uint32) []pgwire.Field {
	var fields []pgwire.Field
	for i, oid := range types {
		fields = append(fields, pgwire.Field{Name: string(rune('a' + i)), Type: oid})
	}
	return fields
}

func inBinary(fields []pgwire.Field) []pgwire.Field {
	fields = slices.Clone(fields)
	for i := range fields {
		fields[i].Format = formatBinary
	}
	return fields
}

// all is a merge without limit.
func all(order ...router.SortKey) *router.Merge { return &router.Merge{Limit: -1, Order: order} }

// mustMerge runs a merge and returns copies of the emitted rows.
func mustMerge(t testing.TB, spec *router.Merge, fields []pgwire.Field, sources []Source) [][]byte {
	t.Helper()
	rows, err := run(spec, fields, sources)
	if err != nil {
		t.Fatalf("merge: %v", err)
	}
	return rows
}

func run(spec *router.Merge, fields []pgwire.Field, sources []Source) ([][]byte, error) {
	m, err := New(spec, fields)
	if err != nil {
		return nil, err
	}
	var out [][]byte
	n, err := m.Run(sources, func(row []byte) error {
		out = append(out, bytes.Clone(row))
		return nil
	})
	if n != int64(len(out)) {
		return nil, errors.New("row count is wrong")
	}
	return out, err
}

func requireRows(t testing.TB, got, want [][]byte) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d rows, want %d:\n got %q\nwant %q", len(got), len(want), got, want)
	}
	for i := range want {
		if !bytes.Equal(got[i], want[i]) {
			t.Fatalf("row %d is %q, want %q", i, got[i], want[i])
		}
	}
}

// requireCode checks that err is an error for the client with a SQLSTATE, and returns it.
func requireCode(t testing.TB, err error, code string) *pgwire.Error {
	t.Helper()
	var refused *pgwire.Error
	if !errors.As(err, &refused) || refused.Code != code {
		t.Fatalf("error is %v, want SQLSTATE %s", err, code)
	}
	return refused
}

func int8Bytes(n int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }
