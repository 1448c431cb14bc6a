package admin

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/pgring/pgring/pgwire"
)

// filter is what may follow a SHOW: LIKE 'pattern' WHERE column op value AND … ORDER BY column [DESC], … LIMIT n.
type filter struct {
	conditions []condition
	order      []sortKey
	limit      int // -1: none
}

// condition keeps a row if its value compares with want in a way that op names. NULL fulfils only "is null".
type condition struct {
	column int
	op     string // = <> < <= > >= like, not like, is null, is not null
	want   string
	number float64 // want, for a column of numbers
}

type sortKey struct {
	column int
	desc   bool
}

// readFilter reads what follows the command's name and arguments, to the end.
func readFilter(t *tokens, columns []column) (filter, error) {
	f := filter{limit: -1}
	if t.accept("LIKE") {
		pattern, err := t.value("a pattern")
		if err != nil {
			return f, err
		}
		f.conditions = append(f.conditions, condition{column: 0, op: "like", want: pattern})
	}
	if t.accept("WHERE") {
		if err := f.readConditions(t, columns); err != nil {
			return f, err
		}
	}
	if t.accept("ORDER") {
		if err := f.readOrder(t, columns); err != nil {
			return f, err
		}
	}
	if t.accept("LIMIT") {
		limit, err := t.value("a number")
		if err != nil {
			return f, err
		}
		if f.limit, err = strconv.Atoi(limit); err != nil || f.limit < 0 {
			return f, syntaxError("LIMIT must be a number of rows, not "+limit, "")
		}
	}
	if next := t.peek(); next.kind != tokenEnd {
		return f, expected("LIKE, WHERE, ORDER BY, LIMIT or the end of the command", next)
	}
	return f, nil
}

func (f *filter) readConditions(t *tokens, columns []column) error {
	for {
		c, err := readCondition(t, columns)
		if err != nil {
			return err
		}
		f.conditions = append(f.conditions, c)
		if !t.accept("AND") {
			return nil
		}
	}
}

func readCondition(t *tokens, columns []column) (condition, error) {
	at, err := readColumn(t, columns)
	if err != nil {
		return condition{}, err
	}
	c := condition{column: at}
	if c.op, err = readOperator(t); err != nil || c.op == "is null" || c.op == "is not null" {
		return c, err
	}
	if c.want, err = t.value("a value"); err != nil {
		return c, err
	}
	if columns[at].typ.numeric() && !strings.HasSuffix(c.op, "like") {
		if c.number, err = strconv.ParseFloat(c.want, 64); err != nil || math.IsNaN(c.number) {
			return c, &pgwire.Error{Code: codeInvalidText, Message: fmt.Sprintf("%q is not a number", c.want),
				Detail: fmt.Sprintf("Column %s holds numbers.", columns[at].name), Hint: "Compare it with a number."}
		}
	}
	return c, nil
}

func readOperator(t *tokens) (string, error) {
	next := t.next()
	switch {
	case next.kind == tokenSymbol && slices.Contains([]string{"=", "<>", "<", "<=", ">", ">="}, next.text):
		return next.text, nil
	case next.symbol("!="):
		return "<>", nil
	case next.is("LIKE"):
		return "like", nil
	case next.is("NOT"):
		return "not like", t.expect("LIKE")
	case next.is("IS"):
		if t.accept("NOT") {
			return "is not null", t.expect("NULL")
		}
		return "is null", t.expect("NULL")
	}
	return "", expected("one of = <> < <= > >=, LIKE, NOT LIKE, IS NULL and IS NOT NULL", next)
}

func (f *filter) readOrder(t *tokens, columns []column) error {
	if err := t.expect("BY"); err != nil {
		return err
	}
	for {
		at, err := readColumn(t, columns)
		if err != nil {
			return err
		}
		key := sortKey{column: at, desc: t.accept("DESC")}
		if !key.desc {
			t.accept("ASC")
		}
		f.order = append(f.order, key)
		if !t.peek().symbol(",") {
			return nil
		}
		t.next()
	}
}

func readColumn(t *tokens, columns []column) (int, error) {
	word, err := t.word("a column")
	if err != nil {
		return 0, err
	}
	name := strings.ToLower(word.plain())
	names := make([]string, len(columns))
	for i, c := range columns {
		if c.name == name {
			return i, nil
		}
		names[i] = c.name
	}
	e := &pgwire.Error{Code: codeUndefinedColumn, Message: fmt.Sprintf("column %q does not exist", name), Detail: "The columns are " + strings.Join(names, ", ") + ".", Hint: helpHint}
	if near := nearest(name, names); near != "" {
		e.Hint = "Did you mean " + near + "?"
	}
	return 0, e
}

// apply returns the rows that fulfil all conditions, in the order asked for, as many as asked for.
func (f *filter) apply(rows []row) []row {
	kept := make([]row, 0, len(rows))
	for _, r := range rows {
		if f.keeps(r) {
			kept = append(kept, r)
		}
	}
	if len(f.order) > 0 {
		slices.SortStableFunc(kept, f.compare)
	}
	if f.limit >= 0 && f.limit < len(kept) {
		kept = kept[:f.limit]
	}
	return kept
}

func (f *filter) keeps(r row) bool {
	for _, c := range f.conditions {
		if !c.holds(r[c.column]) {
			return false
		}
	}
	return true
}

func (c condition) holds(value any) bool {
	switch {
	case c.op == "is null":
		return value == nil
	case value == nil:
		return false
	case c.op == "is not null":
		return true
	case c.op == "like":
		return like(c.want, show(value))
	case c.op == "not like":
		return !like(c.want, show(value))
	}
	order := 0
	switch v := value.(type) {
	case int64:
		order = cmp.Compare(float64(v), c.number)
	case float64:
		order = cmp.Compare(v, c.number)
	default:
		order = strings.Compare(show(v), c.want)
	}
	return compares(order, c.op)
}

func compares(order int, op string) bool {
	switch op {
	case "=":
		return order == 0
	case "<>":
		return order != 0
	case "<":
		return order < 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0
	default: // >=, the last of readOperator's
		return order >= 0
	}
}

// compare sorts NULL last in both directions: what is unknown is not what one looks for at the top.
func (f *filter) compare(a, b row) int {
	for _, key := range f.order {
		x, y := a[key.column], b[key.column]
		if x == nil || y == nil {
			if order := boolOrder(x == nil, y == nil); order != 0 {
				return order
			}
			continue
		}
		order := compareValues(x, y)
		if key.desc {
			order = -order
		}
		if order != 0 {
			return order
		}
	}
	return 0
}

func boolOrder(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	default:
		return -1
	}
}

func compareValues(x, y any) int {
	switch v := x.(type) {
	case int64:
		return cmp.Compare(v, y.(int64))
	case float64:
		return cmp.Compare(v, y.(float64))
	}
	return strings.Compare(show(x), show(y))
}

// like matches as SQL's LIKE: % is any text, _ one character, \ takes the next character literally. It goes back only to the last
// %, so it takes no more than the product of the lengths.
func like(pattern, text string) bool {
	p, s := []rune(pattern), []rune(text)
	i, j := 0, 0
	star, mark := -1, 0
	for j < len(s) {
		switch {
		case i < len(p) && p[i] == '%':
			star, mark = i, j
			i++
		case i+1 < len(p) && p[i] == '\\' && p[i+1] == s[j]:
			i += 2
			j++
		case i < len(p) && (p[i] == '_' || p[i] != '\\' && p[i] == s[j]):
			i++
			j++
		case star >= 0:
			mark++
			i, j = star+1, mark
		default:
			return false
		}
	}
	for i < len(p) && p[i] == '%' {
		i++
	}
	return i == len(p)
}
