package output

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Kind is what a column holds; it decides alignment and how JSON writes a value.
type Kind uint8

// The kinds. The zero Kind is text.
const (
	Text Kind = iota
	Number
	Boolean // PostgreSQL's t and f
)

// Column is the head of a column.
type Column struct {
	Name string
	Kind Kind
}

// Table is a result in PostgreSQL's text format. A nil value is NULL.
type Table struct {
	Columns []Column
	Rows    [][][]byte
}

// Texts returns a table of plain texts.
func Texts(columns []string, rows [][]string) *Table {
	t := &Table{}
	for _, name := range columns {
		t.Columns = append(t.Columns, Column{Name: name})
	}
	for _, row := range rows {
		values := make([][]byte, len(row))
		for i, text := range row {
			values[i] = []byte(text)
		}
		t.Rows = append(t.Rows, values)
	}
	return t
}

// Write writes the table in a format.
func (t *Table) Write(w io.Writer, f Format) error {
	var out bytes.Buffer
	var err error
	switch f {
	case AsTable:
		t.aligned(&out)
	case AsJSON:
		err = t.json(&out)
	case AsCSV:
		err = t.csv(&out)
	default:
		err = fmt.Errorf("output format %q is unknown", f)
	}
	if err != nil {
		return err
	}
	_, err = w.Write(out.Bytes())
	return err
}

// aligned writes columns side by side, as psql does.
func (t *Table) aligned(out *bytes.Buffer) {
	widths := make([]int, len(t.Columns))
	rows := make([][]string, len(t.Rows))
	for i, c := range t.Columns {
		widths[i] = utf8.RuneCountInString(printable(c.Name))
	}
	for i, row := range t.Rows {
		rows[i] = make([]string, len(row))
		for j, value := range row {
			rows[i][j] = printable(string(value))
			widths[j] = max(widths[j], utf8.RuneCountInString(rows[i][j]))
		}
	}
	heads, rules := make([]string, len(widths)), make([]string, len(widths))
	for i, c := range t.Columns {
		heads[i], rules[i] = printable(c.Name), strings.Repeat("-", widths[i])
	}
	t.line(out, heads, widths, " | ", false)
	t.line(out, rules, widths, "-+-", false)
	for _, row := range rows {
		t.line(out, row, widths, " | ", true)
	}
}

func (t *Table) line(out *bytes.Buffer, cells []string, widths []int, between string, numbersRight bool) {
	var line strings.Builder
	for i, cell := range cells {
		if i > 0 {
			line.WriteString(between)
		}
		fill := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
		if numbersRight && t.Columns[i].Kind == Number {
			line.WriteString(fill + cell)
		} else {
			line.WriteString(cell + fill)
		}
	}
	out.WriteString(strings.TrimRight(line.String(), " ") + "\n")
}

// printable makes a value safe for a terminal and keeps it on one line.
func printable(text string) string {
	if strings.IndexFunc(text, unprintable) < 0 {
		return text
	}
	var out strings.Builder
	for _, r := range text {
		switch {
		case r == '\n':
			out.WriteString(`\n`)
		case r == '\t':
			out.WriteString(`\t`)
		case unprintable(r):
			fmt.Fprintf(&out, `\x%02x`, r)
		default:
			out.WriteRune(r)
		}
	}
	return out.String()
}

func unprintable(r rune) bool { return unicode.IsControl(r) || r == utf8.RuneError }

// json writes an array of objects, with the keys in the columns' order.
func (t *Table) json(out *bytes.Buffer) error {
	out.WriteString("[")
	for i, row := range t.Rows {
		if i > 0 {
			out.WriteString(",")
		}
		out.WriteString("\n  {")
		for j, value := range row {
			if j > 0 {
				out.WriteString(", ")
			}
			key, err := json.Marshal(t.Columns[j].Name)
			if err != nil {
				return err
			}
			text, err := t.Columns[j].Kind.json(value)
			if err != nil {
				return err
			}
			fmt.Fprintf(out, "%s: %s", key, text)
		}
		out.WriteString("}")
	}
	if len(t.Rows) > 0 {
		out.WriteString("\n")
	}
	out.WriteString("]\n")
	return nil
}

func (k Kind) json(value []byte) ([]byte, error) {
	switch {
	case value == nil:
		return []byte("null"), nil
	case k == Boolean && len(value) == 1:
		if value[0] == 't' {
			return []byte("true"), nil
		}
		return []byte("false"), nil
	case k == Number && json.Valid(value): // NaN and Infinity are texts in JSON
		return value, nil
	}
	return json.Marshal(string(value))
}

// csv writes a head line and the rows. NULL is an empty field, as in COPY … CSV.
func (t *Table) csv(out *bytes.Buffer) error {
	w := csv.NewWriter(out)
	record := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		record[i] = c.Name
	}
	if err := w.Write(record); err != nil {
		return err
	}
	for _, row := range t.Rows {
		for i, value := range row {
			record[i] = string(value)
		}
		if err := w.Write(record); err != nil {
			return err
		}
	}
	w.Flush()
	return w.Error()
}
