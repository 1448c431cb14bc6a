package ingest

import (
	"slices"
	"strconv"
	"strings"
)

// INSERTs that differ in nothing but their values are done by one of several rows: it costs a server a fraction of what they cost by
// themselves. The table's own rules say whether that is the same, and pgring.rows_together asks them in the same transaction. If it is not, or
// anything is refused, the transaction is done anew with a statement for each record, whose error is then that record's.

const (
	joinedRows   = 256   // of one statement, at most
	joinedFactor = 4     // their numbers are powers of it, so that a shard sees few statements
	joinedParams = 65535 // of one statement, by the protocol
)

// statement is one statement of a transaction, and the records that it does.
type statement struct {
	records []*Record
	first   int    // place of the first one in the batch
	sql     string // of one of them, by itself
	shape   *shape // nil: there is one record, and its statement stays as it is
}

// shape is an INSERT of one row in the words of pgring, which has nothing but parameters and NULL, TRUE and FALSE in its row.
type shape struct {
	head   string   // up to the row
	words  []string // of the row; empty: the next parameter
	params int
}

// shapeOf reads a record's statement; nil: it is another one.
func shapeOf(r *Record) *shape {
	const mark = ") VALUES ("
	at := strings.LastIndex(r.SQL, mark)
	if at < 0 || !strings.HasPrefix(r.SQL, "INSERT INTO ") || !strings.HasSuffix(r.SQL, ")") || strings.Contains(r.SQL, "--") || strings.Contains(r.SQL, "/*") {
		return nil
	}
	s := &shape{head: r.SQL[:at+len(mark)-1]}
	for word := range strings.SplitSeq(r.SQL[at+len(mark):len(r.SQL)-1], ", ") {
		switch word {
		case "$" + strconv.Itoa(s.params+1):
			s.params++
			word = ""
		case "NULL", "TRUE", "FALSE":
		default:
			return nil
		}
		s.words = append(s.words, word)
	}
	if s.params != len(r.Values) || s.params == 0 {
		return nil
	}
	return s
}

// statement is the INSERT of so many rows.
func (s *shape) statement(rows int) string {
	b := []byte(s.head)
	param := 0
	for row := range rows {
		if row > 0 {
			b = append(b, ',', ' ')
		}
		b = append(b, '(')
		for i, word := range s.words {
			if i > 0 {
				b = append(b, ',', ' ')
			}
			if word == "" {
				param++
				b = strconv.AppendInt(append(b, '$'), int64(param), 10)
			}
			b = append(b, word...)
		}
		b = append(b, ')')
	}
	return string(b)
}

// statementsOf are those of a batch: with join, as few as can be, else one for each record.
func statementsOf(batch []*Record, join bool) (all []statement, joined bool) {
	for from := 0; from < len(batch); {
		r := batch[from]
		if !join {
			all = append(all, statement{records: batch[from : from+1], first: from, sql: r.SQL})
			from++
			continue
		}
		run := from + 1
		for run < len(batch) && r.isLike(batch[run]) {
			run++
		}
		s := shapeOf(r)
		for from < run {
			rows := s.rows(run - from)
			all = append(all, statement{records: batch[from : from+rows], first: from, sql: r.SQL, shape: s})
			joined = joined || rows > 1
			from += rows
		}
	}
	return all, joined
}

// rows is how many rows the next statement has, when so many are left.
func (s *shape) rows(left int) int {
	if s == nil {
		return 1
	}
	rows := 1
	for n := joinedFactor; n <= min(left, joinedRows) && n*s.params <= joinedParams; n *= joinedFactor {
		rows = n
	}
	return rows
}

// isLike reports whether two records' statements differ in nothing but values.
func (r *Record) isLike(o *Record) bool { return r.SQL == o.SQL && slices.Equal(r.Types, o.Types) }

// text is the statement's SQL.
func (s *statement) text() string {
	if len(s.records) == 1 {
		return s.sql
	}
	return s.shape.statement(len(s.records))
}

// types are those of all its parameters.
func (s *statement) types() []uint32 {
	r := s.records[0]
	if len(s.records) == 1 || len(r.Types) == 0 {
		return r.Types
	}
	one := make([]uint32, len(r.Values))
	copy(one, r.Types)
	return slices.Repeat(one, len(s.records))
}

// values are those of all its parameters, with their formats.
func (s *statement) values() (values [][]byte, formats []int16) {
	if len(s.records) == 1 {
		return s.records[0].Values, s.records[0].Formats
	}
	n := len(s.records) * s.shape.params
	values, formats = make([][]byte, 0, n), make([]int16, 0, n)
	for _, r := range s.records {
		values = append(values, r.Values...)
		for i := range r.Values {
			formats = append(formats, r.format(i))
		}
	}
	return values, formats
}

// shown is the record's statement for people, with the values that are texts in their places.
func (r *Record) shown() string {
	s := shapeOf(r)
	if s == nil {
		return r.SQL
	}
	b := append([]byte(s.head), '(')
	param := 0
	for i, word := range s.words {
		if i > 0 {
			b = append(b, ", "...)
		}
		if word != "" {
			b = append(b, word...)
			continue
		}
		switch value := r.Values[param]; {
		case value == nil:
			b = append(b, "NULL"...)
		case r.format(param) == 1:
			b = strconv.AppendInt(append(b, '$'), int64(param+1), 10)
		default:
			b = append(append(append(b, '\''), strings.ReplaceAll(string(value), "'", "''")...), '\'')
		}
		param++
	}
	return string(append(b, ')'))
}
