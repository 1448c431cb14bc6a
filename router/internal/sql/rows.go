package sql

import (
	"bytes"
	"strconv"
)

// Rows are the rows of an INSERT … VALUES as they stand in its text. Two rows
// have one shape if they differ in nothing but values: literals, NULL, TRUE,
// FALSE and parameters that stand alone, and the text of other literals.
type Rows struct {
	Text   []byte
	Head   int // Text[:Head] is what stands before the first row
	Tail   int // Text[Tail:] is what stands behind the last
	List   []Row
	Shapes []int  // for each shape the first row that has it
	Form   []byte // head and tail without literals, and the shapes: equal for all INSERTs that differ in values and in how many rows have them

	Uneven int // the first row that has more or fewer values than row 0; 0: there is none
	Before int // characters of the message that stand before Text

	Params []RowParam // of the rows, in order
	Common []int      // numbers of the parameters in head and tail
}

// Row is one row with its parentheses: Text[Start:End].
type Row struct {
	Start, End int
	Shape      int
}

// RowParam says that parameter Number (from 1) stands in a row: alone as the
// value of a column (from 0), or, if Column is -1, within one.
type RowParam struct{ Row, Number, Column int }

// maxShapes bounds the shapes of one statement; one with more is not divided.
const maxShapes = 16

// maxParams is how many parameters a Bind message can carry.
const maxParams = 65535

// Marks of a form besides those for literals: what stands alone as a value.
const (
	markValue byte = 4 + iota // literal, NULL, TRUE, FALSE, with its sign
	markParam
	markPart // between head, shapes and tail
)

// SplitRows finds the rows of an INSERT with two or more of them. False: the
// text is something else, or something in it is left to PostgreSQL's parser.
func SplitRows(text []byte) (*Rows, bool) {
	s := rowScanner{Scanner: Scanner{Text: text}, out: &Rows{Text: text}}
	if tok := s.skip(); !isWord(text, tok, "insert") || !s.head() {
		return nil, false
	}
	for {
		if !s.row() {
			return nil, false
		}
		if tok := s.skip(); tok.Kind != Punct || text[tok.Start] != ',' {
			s.Pos = tok.Start
			break
		}
		if !s.open(s.skip()) {
			return nil, false
		}
	}
	if !s.tail() || len(s.out.List) < 2 {
		return nil, false
	}
	return s.out, true
}

// rowScanner is the work on one text.
type rowScanner struct {
	Scanner
	out    *Rows
	shapes [][]byte
	form   []byte // of the present row
	values int    // of the present row so far
	width  int    // values of the first row
}

// skip returns the next token that is no comment.
func (s *rowScanner) skip() Token {
	for {
		if tok := s.Next(); tok.Kind != Comment {
			return tok
		}
	}
}

func isWord(text []byte, tok Token, word string) bool {
	return tok.Kind == Ident && bytes.EqualFold(text[tok.Start:tok.End], []byte(word))
}

func (s *rowScanner) is(tok Token, mark byte) bool {
	return tok.Kind == Punct && tok.End == tok.Start+1 && s.Text[tok.Start] == mark
}

func (s *rowScanner) open(tok Token) bool { return s.is(tok, '(') }

// head reads up to the parenthesis that opens the first row: the one behind
// VALUES outside of all parentheses.
func (s *rowScanner) head() bool {
	s.out.Form = append(s.out.Form, "insert"...)
	depth := 0
	for {
		tok := s.skip()
		switch {
		case !s.plain(tok):
			return false
		case s.is(tok, '('), s.is(tok, '['):
			depth++
		case s.is(tok, ')'), s.is(tok, ']'):
			depth--
		}
		s.out.Form = s.append(s.out.Form, tok)
		s.common(tok)
		if depth == 0 && isWord(s.Text, tok, "values") {
			first := s.skip()
			s.out.Head = first.Start
			s.Pos = first.End
			return s.open(first)
		}
	}
}

// tail reads what is behind the last row.
func (s *rowScanner) tail() bool {
	out := s.out
	for _, shape := range s.shapes {
		out.Form = append(append(out.Form, markPart), shape...)
	}
	out.Form = append(out.Form, markPart)
	out.Tail = out.List[len(out.List)-1].End
	for tok := s.skip(); tok.Kind != EOF; tok = s.skip() {
		if !s.plain(tok) {
			return false
		}
		out.Form = s.append(out.Form, tok)
		s.common(tok)
	}
	return true
}

// plain says whether a token reads the same wherever it stands.
func (s *rowScanner) plain(tok Token) bool {
	switch tok.Kind {
	case EOF, Error, Other, UString, UIdent, Radix, Comment:
		return false
	case Ident, QuotedIdent, Integer, Float, String, EString, DollarString, BitString, Param, Operator, Punct:
		return true
	}
	return false
}

// append adds a token to a form.
func (s *rowScanner) append(form []byte, tok Token) []byte {
	switch tok.Kind {
	case Integer, Float, String, EString, DollarString:
		return append(form, ' ', mark(tok.Kind))
	}
	return append(append(form, ' '), s.Text[tok.Start:tok.End]...)
}

// common notes a parameter outside of the rows.
func (s *rowScanner) common(tok Token) {
	if n := s.param(tok); n > 0 {
		s.out.Common = append(s.out.Common, n)
	}
}

// param returns the number of a parameter; 0 for other tokens.
func (s *rowScanner) param(tok Token) int {
	if tok.Kind != Param {
		return 0
	}
	n, err := strconv.Atoi(string(s.Text[tok.Start+1 : tok.End]))
	if err != nil || n > maxParams {
		return 0 // PostgreSQL refuses it
	}
	return n
}

// row reads a row whose parenthesis is open.
func (s *rowScanner) row() bool {
	start := s.Pos - 1
	s.form, s.values = s.form[:0], 0
	for more := true; more; s.values++ {
		var ok bool
		if more, ok = s.value(); !ok {
			return false
		}
		s.form = append(s.form, ',')
	}
	switch n := len(s.out.List); {
	case n == 0:
		s.width = s.values
	case s.values != s.width && s.out.Uneven == 0:
		s.out.Uneven = n
	}
	shape := s.shape()
	if shape < 0 {
		return false
	}
	s.out.List = append(s.out.List, Row{Start: start, End: s.Pos, Shape: shape})
	return true
}

// shape returns the number of the form just read; -1: there are too many.
func (s *rowScanner) shape() int {
	for i, known := range s.shapes {
		if bytes.Equal(known, s.form) {
			return i
		}
	}
	if len(s.shapes) == maxShapes {
		return -1
	}
	s.shapes = append(s.shapes, bytes.Clone(s.form))
	s.out.Shapes = append(s.out.Shapes, len(s.out.List))
	return len(s.shapes) - 1
}

// value reads one value and the mark behind it; more: that is a comma.
func (s *rowScanner) value() (more, ok bool) {
	from := len(s.form)
	alone := true // it is one token so far, signs aside
	tokens, depth := 0, 0
	for {
		tok := s.skip()
		switch {
		case !s.plain(tok):
			return false, false
		case depth == 0 && (s.is(tok, ',') || s.is(tok, ')')):
			if alone && tokens == 1 {
				s.form = append(s.form[:from], s.form[len(s.form)-1])
			}
			return s.Text[tok.Start] == ',', tokens > 0
		case s.is(tok, '('), s.is(tok, '['):
			depth++
		case s.is(tok, ')'), s.is(tok, ']'):
			depth--
		}
		if n := s.param(tok); n > 0 {
			column := -1
			if alone && tokens == 0 && s.ends() {
				column = s.values
			}
			s.out.Params = append(s.out.Params, RowParam{len(s.out.List), n, column})
		}
		if alone && tokens == 0 && s.isSign(tok) {
			s.form = s.append(s.form, tok)
			alone = s.number()
			continue
		}
		tokens++
		if m := s.single(tok); m != 0 && alone && tokens == 1 && s.ends() {
			s.form = append(s.form, m)
			continue
		}
		alone = false
		if tok.Kind == Param {
			s.form = append(s.form, ' ', markParam)
			continue
		}
		s.form = s.append(s.form, tok)
	}
}

func (s *rowScanner) isSign(tok Token) bool {
	return tok.Kind == Operator && tok.End == tok.Start+1 && s.Text[tok.Start] == '-'
}

// number says whether the next token is a number, or another sign. A plus sign is not part of a number to PostgreSQL.
func (s *rowScanner) number() bool {
	tok := s.peek()
	return tok.Kind == Integer || tok.Kind == Float || s.isSign(tok)
}

// ends says whether the value is over.
func (s *rowScanner) ends() bool {
	tok := s.peek()
	return s.is(tok, ',') || s.is(tok, ')')
}

func (s *rowScanner) peek() Token {
	pos := s.Pos
	tok := s.skip()
	s.Pos = pos
	return tok
}

// single returns the mark of a token that may be a value of its own; 0: it may
// not.
func (s *rowScanner) single(tok Token) byte {
	switch tok.Kind {
	case Integer, Float, String, EString, DollarString, BitString:
		return markValue
	case Param:
		return markParam
	case Ident:
		if isWord(s.Text, tok, "null") || isWord(s.Text, tok, "true") || isWord(s.Text, tok, "false") {
			return markValue
		}
	}
	return 0
}

// RowValue is one value of a row.
type RowValue struct {
	Kind     Kind   // of the literal; Param; Ident for NULL, TRUE, FALSE; EOF: there is none
	Text     []byte // of the literal, quotes included, sign not; of the word
	Negative bool   // an odd number of minus signs stands before it
	Number   int    // Param: its number
}

// Value returns the position-th value (from 0) of a row. For a value of several
// tokens it is the first literal or parameter in it.
func (r *Rows) Value(row *Row, position int) RowValue {
	s := rowScanner{Scanner: Scanner{Text: r.Text[:row.End], Pos: row.Start + 1}}
	depth := 0
	for position > 0 {
		switch tok := s.skip(); {
		case tok.Kind == EOF:
			return RowValue{Kind: EOF}
		case s.is(tok, '('), s.is(tok, '['):
			depth++
		case s.is(tok, ')'), s.is(tok, ']'):
			depth--
		case depth == 0 && s.is(tok, ','):
			position--
		}
	}
	v := RowValue{}
	tok := s.skip()
	for ; s.single(tok) == 0; tok = s.skip() {
		if tok.Kind == EOF {
			return RowValue{Kind: EOF}
		}
		v.Negative = s.isSign(tok) && !v.Negative
	}
	v.Kind, v.Text, v.Number = tok.Kind, r.Text[tok.Start:tok.End], s.param(tok)
	return v
}

// Only returns the text with only some of its rows, given by their numbers.
func (r *Rows) Only(rows []int) []byte {
	size := r.Head + len(r.Text) - r.Tail
	for _, i := range rows {
		size += r.List[i].End - r.List[i].Start + 1
	}
	out := append(make([]byte, 0, size), r.Text[:r.Head]...)
	for n, i := range rows {
		if n > 0 {
			out = append(out, ',')
		}
		out = append(out, r.Text[r.List[i].Start:r.List[i].End]...)
	}
	return append(out, r.Text[r.Tail:]...)
}

// Origin returns the byte of the text that stands at a byte of Only(rows).
func (r *Rows) Origin(rows []int, at int) int {
	if at < r.Head {
		return at
	}
	at -= r.Head
	for _, i := range rows {
		size := r.List[i].End - r.List[i].Start
		if at < size {
			return r.List[i].Start + at
		}
		at -= size + 1
	}
	return min(r.Tail+at+1, len(r.Text))
}

// MaxParam returns the highest number of a parameter; 0: there is none.
func (r *Rows) MaxParam() int {
	highest := 0
	for _, p := range r.Params {
		highest = max(highest, p.Number)
	}
	for _, n := range r.Common {
		highest = max(highest, n)
	}
	return highest
}

// Mixed says of each parameter, by its number, whether it occurs in several
// places that may give it different types: all but alone in one column.
func (r *Rows) Mixed() []bool {
	mixed := make([]bool, r.MaxParam()+1)
	column := make([]int, len(mixed)) // of the first use, counted from 1; -1: within a value, or outside of the rows
	for _, p := range r.Params {
		at := p.Column + 1
		if at == 0 {
			at = -1
		}
		mixed[p.Number] = mixed[p.Number] || column[p.Number] != 0 && (column[p.Number] != at || at < 0)
		column[p.Number] = at
	}
	for _, n := range r.Common {
		mixed[n] = mixed[n] || column[n] != 0
		column[n] = -1
	}
	return mixed
}

// ParamsOf says which parameters occur in Only(rows), by their number less one.
// rows is sorted.
func (r *Rows) ParamsOf(rows []int) []bool {
	used := make([]bool, r.MaxParam())
	for _, n := range r.Common {
		used[n-1] = true
	}
	for _, p := range r.Params {
		for len(rows) > 0 && rows[0] < p.Row {
			rows = rows[1:]
		}
		if len(rows) > 0 && rows[0] == p.Row {
			used[p.Number-1] = true
		}
	}
	return used
}
