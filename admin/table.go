package admin

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/pgring/pgring/pgwire"
)

// columnType is what a column's values are.
type columnType uint8

const (
	text    columnType = iota // text
	integer                   // int8
	float                     // float8, with at most three decimals
	boolean                   // bool; only in answers to drivers
)

// String gives the name of the type in SQL.
func (t columnType) String() string {
	switch t {
	case integer:
		return "int8"
	case float:
		return "float8"
	case boolean:
		return "bool"
	case text:
	}
	return "text"
}

// numeric reports whether values compare as numbers.
func (t columnType) numeric() bool { return t == integer || t == float }

// column is one column of an answer and what docs/console.md says of it.
type column struct {
	name  string
	typ   columnType
	means string
}

// fieldsOf describes columns to the client (PostgreSQL manual, "RowDescription"; the OIDs are those of pg_type).
func fieldsOf(columns []column) []pgwire.Field {
	fields := make([]pgwire.Field, len(columns))
	for i, c := range columns {
		f := pgwire.Field{Name: c.name, Type: 25, Size: -1, Modifier: -1}
		switch c.typ {
		case integer:
			f.Type, f.Size = 20, 8
		case float:
			f.Type, f.Size = 701, 8
		case boolean:
			f.Type, f.Size = 16, 1
		case text:
		}
		fields[i] = f
	}
	return fields
}

// row holds one value for each column: string, int64, float64, bool, or nil for NULL.
type row []any

func encode(rows []row) [][][]byte {
	encoded := make([][][]byte, len(rows))
	for i, r := range rows {
		encoded[i] = make([][]byte, len(r))
		for j, value := range r {
			if value != nil {
				encoded[i][j] = []byte(show(value))
			}
		}
	}
	return encoded
}

// show writes a value that is not NULL in PostgreSQL's text format.
func show(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return strconv.FormatFloat(math.Round(v*1000)/1000, 'f', -1, 64)
	case bool:
		return map[bool]string{true: "t", false: "f"}[v]
	default:
		return fmt.Sprint(v)
	}
}

// number gives any integer the type of a row's value.
func number[T ~int | ~int32 | ~int64 | ~uint16 | ~uint32 | ~uint64](n T) any { return int64(n) }

// millis gives a duration in milliseconds.
func millis(d time.Duration) any { return float64(d) / float64(time.Millisecond) }

// moment writes a time as pgbouncer does; the zero time is NULL.
func moment(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format("2006-01-02 15:04:05") + " UTC"
}

// yes writes a truth as pgbouncer's SHOW CONFIG does.
func yes(b bool) any {
	if b {
		return "yes"
	}
	return "no"
}

// bit writes a truth as pgbouncer's SHOW DATABASES does.
func bit(b bool) any {
	if b {
		return int64(1)
	}
	return int64(0)
}

// orNull gives nil for the empty text.
func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// list joins names of any type with commas.
func list[T ~string](names []T) string {
	var b strings.Builder
	for i, name := range names {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(string(name))
	}
	return b.String()
}
