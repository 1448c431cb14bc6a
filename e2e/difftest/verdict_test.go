package difftest

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// verdict is what became of a statement.
type verdict int

const (
	equal   verdict = iota + 1
	refused         // with a documented code
	wrong
	loose // PostgreSQL leaves the answer free, and nothing says within what
)

func (v verdict) String() string { return [...]string{"", "equal", "refused", "wrong", "free"}[v] }

// refusalCodes are those of docs/errors.md that say "not through pgring" rather than "wrong statement".
var refusalCodes = []string{"0A000", "42P16", "54000", "54001"}

// expectation is what is known of a statement besides its text.
type expectation struct {
	ordered bool     // its rows have an order although the text does not show it, such as FETCH
	free    bool     // only the number of rows is fixed: random(), now()
	within  []string // each row must be among these, with LIMIT and no total order
}

// judgement is a verdict with its reason, which is the report of a wrong answer and the message of a refusal.
type judgement struct {
	verdict verdict
	reason  string
	code    string // the SQLSTATE that was equal
}

// judge compares the answer of pgring with those of two plain servers.
func judge(text string, e expectation, want, mirror, got answer) judgement {
	if got.code != want.code {
		return judgeError(want, mirror, got)
	}
	if want.code != "" && want.code == mirror.code {
		return judgement{verdict: equal, code: want.code}
	}
	if diff := compareShape(want, got); diff != "" {
		return judgement{verdict: wrong, reason: diff}
	}
	for i := range want.results {
		if j := judgeRows(text, e, want.results[i], mirror.result(i), got.results[i]); j.verdict != equal {
			return j
		}
	}
	return judgement{verdict: equal}
}

func (a *answer) result(i int) result {
	if i < len(a.results) {
		return a.results[i]
	}
	return result{}
}

// ofRows says that an error is about the rows that a statement writes: a violated constraint (class 23), or a row that would be
// written twice (class 21). Where rows of several shards are wrong in different ways, either may be told of.
func ofRows(code string) bool { return strings.HasPrefix(code, "23") || strings.HasPrefix(code, "21") }

func judgeError(want, mirror, got answer) judgement {
	if slices.Contains(refusalCodes, got.code) {
		return judgement{verdict: refused, reason: got.code + " " + got.message + "; " + got.detail}
	}
	if ofRows(want.code) && ofRows(got.code) {
		return judgement{verdict: loose, reason: "several rows cannot be written, and each shard tells of its own"}
	}
	if want.code != mirror.code { // whether a row that fails is met depends on the plan
		return judgement{verdict: loose, reason: "the servers do not agree on the error"}
	}
	return judgement{verdict: wrong, reason: fmt.Sprintf("PostgreSQL answers %s, pgring %s", want.outcome(), got.outcome())}
}

func (a *answer) outcome() string {
	if a.code == "" {
		return "without an error"
	}
	return a.code + " " + a.message
}

// compareShape compares all but the rows.
func compareShape(want, got answer) string {
	switch {
	case want.status != got.status:
		return fmt.Sprintf("transaction status %c, want %c", got.status, want.status)
	case !slices.Equal(want.params, got.params):
		return fmt.Sprintf("parameter types %v, want %v", got.params, want.params)
	case !slices.Equal(want.described, got.described):
		return fmt.Sprintf("described as %v, want %v", got.described, want.described)
	case len(want.results) != len(got.results):
		return fmt.Sprintf("%d results, want %d", len(got.results), len(want.results))
	case !slices.Equal(distinct(want.notices), distinct(got.notices)):
		return fmt.Sprintf("notices %q, want %q", got.notices, want.notices)
	}
	for i := range want.results {
		w, g := want.results[i], got.results[i]
		switch {
		case w.tag != g.tag:
			return fmt.Sprintf("tag %q, want %q\n%s", g.tag, w.tag, sample(w, g))
		case !slices.Equal(w.fields, g.fields):
			return fmt.Sprintf("columns %v, want %v", g.fields, w.fields)
		case len(w.rows) != len(g.rows):
			return fmt.Sprintf("%d rows, want %d\n%s", len(g.rows), len(w.rows), sample(w, g))
		}
	}
	return ""
}

// distinct drops repeated notices: each shard gives its own.
func distinct(notices []string) []string {
	sorted := slices.Clone(notices)
	slices.Sort(sorted)
	return slices.Compact(sorted)
}

// judgeRows compares rows whose number and columns are equal.
func judgeRows(text string, e expectation, want, mirror, got result) judgement {
	c := comparer{fields: want.fields, close: rounding.MatchString(text)}
	same := c.sameSet(want.rows, got.rows)
	sure := len(want.rows) == len(mirror.rows) && c.sameSet(want.rows, mirror.rows)
	switch {
	case e.free:
		return judgement{verdict: equal}
	case e.within != nil:
		if row := c.outside(got.rows, e.within); row != "" {
			return judgement{verdict: wrong, reason: "row " + row + " is none of the statement's\n" + sample(want, got)}
		}
	case !same && sure:
		return judgement{verdict: wrong, reason: "other rows\n" + sample(want, got)}
	case !same:
		return judgement{verdict: loose, reason: "two plain servers give different rows"}
	}
	if !e.ordered && !orderedAtTop(text) {
		return judgement{verdict: equal}
	}
	for column := range want.fields { // a column that has one sequence on both servers is fixed by ORDER BY
		if c.sameColumn(want.rows, mirror.rows, column) && !c.sameColumn(want.rows, got.rows, column) {
			return judgement{verdict: wrong, reason: fmt.Sprintf("column %d in another order\n%s", column+1, sample(want, got))}
		}
	}
	return judgement{verdict: equal}
}

// rounding finds the aggregates that depend, in the last digits, on the order of their input.
var rounding = regexp.MustCompile(`(?i)\b(sum|avg|stddev|stddev_pop|stddev_samp|var_pop|var_samp|variance|corr|covar_\w+|regr_\w+)\s*\(`)

// comparer compares cells, floats with a tolerance where they are rounded.
type comparer struct {
	fields []field
	close  bool
}

func (c comparer) sameSet(a, b [][][]byte) bool {
	a, b = sortRows(a), sortRows(b)
	return slices.EqualFunc(a, b, func(x, y [][]byte) bool {
		for i := range x {
			if !c.same(i, x[i], y[i]) {
				return false
			}
		}
		return true
	})
}

func (c comparer) sameColumn(a, b [][][]byte, column int) bool {
	return slices.EqualFunc(a, b, func(x, y [][]byte) bool { return c.same(column, x[column], y[column]) })
}

func (c comparer) same(column int, a, b []byte) bool {
	if (a == nil) != (b == nil) {
		return false
	}
	if bytes.Equal(a, b) {
		return true
	}
	return c.close && a != nil && c.nearly(column, a, b)
}

const (
	typeFloat4 = "700"
	typeFloat8 = "701"
)

func (c comparer) nearly(column int, a, b []byte) bool {
	f := c.fields[column]
	if f.typ != typeFloat8 && f.typ != typeFloat4 {
		return false
	}
	tolerance := 1e-11
	if f.typ == typeFloat4 {
		tolerance = 1e-5
	}
	x, y := f.float(a), f.float(b)
	return math.Abs(x-y) <= tolerance*max(math.Abs(x), math.Abs(y), 1)
}

func (f field) float(data []byte) float64 {
	switch {
	case f.format == 0:
		value, err := strconv.ParseFloat(string(data), 64)
		if err != nil {
			return math.NaN()
		}
		return value
	case len(data) == 4:
		return float64(math.Float32frombits(be32(data)))
	case len(data) == 8:
		return math.Float64frombits(uint64(be32(data))<<32 | uint64(be32(data[4:])))
	}
	return math.NaN()
}

func be32(b []byte) uint32 {
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

// outside returns a row that is not in a multiset.
func (c comparer) outside(rows [][][]byte, within []string) string {
	left := map[string]int{}
	for _, row := range within {
		left[row]++
	}
	for _, row := range rows {
		text := rowKey(row)
		if left[text]--; left[text] < 0 {
			return rowText(c.fields, row)
		}
	}
	return ""
}

func sortRows(rows [][][]byte) [][][]byte {
	sorted := slices.Clone(rows)
	slices.SortFunc(sorted, func(a, b [][]byte) int { return cmp.Compare(rowKey(a), rowKey(b)) })
	return sorted
}

// rowKey is a text that is the same for the same row only.
func rowKey(row [][]byte) string {
	var b strings.Builder
	for _, v := range row {
		if v == nil {
			b.WriteString("-;")
			continue
		}
		fmt.Fprintf(&b, "%d:%s;", len(v), v)
	}
	return b.String()
}

func rowText(fields []field, row [][]byte) string {
	var cells []string
	for i, v := range row {
		switch {
		case v == nil:
			cells = append(cells, "NULL")
		case i < len(fields) && fields[i].format == 1:
			cells = append(cells, fmt.Sprintf("%x", v))
		default:
			cells = append(cells, string(v))
		}
	}
	return "(" + strings.Join(cells, ", ") + ")"
}

// sample shows the rows of two results, or the first that differ when there are many.
func sample(want, got result) string {
	const most = 12
	var b strings.Builder
	from := 0
	for from < min(len(want.rows), len(got.rows)) && rowKey(want.rows[from]) == rowKey(got.rows[from]) {
		from++
	}
	for i, r := range []result{want, got} {
		fmt.Fprintf(&b, "  %-10s", []string{"PostgreSQL", "pgring"}[i])
		for n := from; n < len(r.rows) && n < from+most; n++ {
			b.WriteString(" " + rowText(r.fields, r.rows[n]))
		}
		if len(r.rows) > from+most {
			b.WriteString(" …")
		}
		fmt.Fprintf(&b, " [from row %d of %d]\n", from+1, len(r.rows))
	}
	return b.String()
}

// orderedAtTop says that a statement has ORDER BY outside of parentheses, strings and comments.
func orderedAtTop(text string) bool {
	depth := 0
	var top strings.Builder
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '(':
			depth++
		case ')':
			depth--
		case '\'', '"':
			end := strings.IndexByte(text[i+1:], text[i])
			if end < 0 {
				return false
			}
			i += end + 1
		default:
			if depth == 0 {
				top.WriteByte(text[i])
			}
		}
	}
	return orderBy.MatchString(top.String())
}

var orderBy = regexp.MustCompile(`(?i)\border\s+by\b`)
