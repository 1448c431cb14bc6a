package router

import (
	"strings"

	"github.com/pgring/pgring/ring"
)

// Marks: a mark is replaced by constants, each with the type that the query's
// column had, so that operators and assignments mean what they did.

// Text is the statement of the last stage, given the results of the queries. An
// INSERT of no rows names a shard, because it has no keys.
func (s *Stages) Text(results []StageResult, anyShard string) string {
	text := s.text
	for i := range s.Queries {
		q, r := &s.Queries[i], &results[i]
		switch q.form {
		case formValue:
			for j, mark := range q.marks {
				text = strings.Replace(text, mark, r.value(0, j, q.isKey(j, r)), 1)
			}
		case formArray:
			text = strings.Replace(text, q.marks[0], r.array(), 1)
		case formTable:
			text = strings.Replace(text, q.marks[0], "("+r.rows(nil)+")", 1)
		case formNamed:
			text = strings.Replace(text, q.marks[0], "("+r.rows(nil)+") AS pgring_rows ("+r.names()+")", 1)
		case formRows:
			text = strings.Replace(text, "VALUES ("+q.marks[0]+")", r.rows(q.untyped(r)), 1)
			if len(r.Rows) == 0 {
				text = "/* pgring: shard=" + anyShard + " */ " + text
			}
		}
	}
	return text
}

// names lists the names of the columns as SQL.
func (r *StageResult) names() string {
	quoted := make([]string, len(r.Names))
	for i, name := range r.Names {
		quoted[i] = quoteIdent(name)
	}
	return strings.Join(quoted, ", ")
}

// isKey says whether a column becomes the shard key and is of its family of types: then it needs no type, and can be placed.
func (q *StageQuery) isKey(column int, r *StageResult) bool {
	keyType, is := q.keys[column]
	family, ok := ring.KeyTypeOf(r.OIDs[column])
	return is && ok && family == keyType
}

// untyped lists the columns of rows whose values are written without a type.
func (q *StageQuery) untyped(r *StageResult) []bool {
	list := make([]bool, len(r.Types))
	copy(list, q.strings)
	for i := range list {
		list[i] = list[i] || q.isKey(i, r)
	}
	return list
}

// value is one value as a constant; bare: without a type.
func (r *StageResult) value(row, column int, bare bool) string {
	typ := "::" + r.Types[column]
	if bare {
		typ = ""
	}
	if len(r.Rows) <= row || r.Nulls[row][column] {
		return "NULL" + typ
	}
	return quoteText(r.Rows[row][column]) + typ
}

func quoteText(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// array is the first column as an array.
func (r *StageResult) array() string {
	var b strings.Builder
	b.WriteByte('{')
	for i, row := range r.Rows {
		if i > 0 {
			b.WriteByte(',')
		}
		if r.Nulls[i][0] {
			b.WriteString("NULL")
			continue
		}
		b.WriteByte('"')
		for j := range len(row[0]) {
			if c := row[0][j]; c == '"' || c == '\\' {
				b.WriteByte('\\')
			}
			b.WriteByte(row[0][j])
		}
		b.WriteByte('"')
	}
	b.WriteByte('}')
	return quoteText(b.String()) + "::" + r.Types[0] + "[]"
}

// rows is the result as a query. Columns that had no type get that of where they
// go.
func (r *StageResult) rows(untyped []bool) string {
	var b strings.Builder
	bare := func(column int) bool { return column < len(untyped) && untyped[column] }
	if len(r.Rows) == 0 {
		b.WriteString("SELECT ")
		for i := range r.Types {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(r.value(0, i, bare(i)))
		}
		b.WriteString(" WHERE false")
		return b.String()
	}
	b.WriteString("VALUES ")
	for i := range r.Rows {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteByte('(')
		for j := range r.Types {
			if j > 0 {
				b.WriteString(", ")
			}
			b.WriteString(r.value(i, j, bare(j)))
		}
		b.WriteByte(')')
	}
	return b.String()
}
