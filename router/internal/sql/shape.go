package sql

import "bytes"

// Shape tells the texts of one statement, which differ in simple literals only, from others, without reading them word by word: what
// stands between the literals is compared as it is. Simple literals are plain digits, digits with a point between them, and '…' without
// continuation lines.
//
// Invariant: a text that matches is one statement to Splitter, with the shape's normal form and the literals found. For Splitter knows
// nothing but where it stands and what it has read, so that it reads a text as it reads the shape's sample, in which the literals are
// the simplest, while both are equal as far as it looks. Where they differ, in a literal, it has come to its first byte in both, for
// what is before it needs no look at it (opens); it leaves both literals at their ends, for what is behind ends them (closes); and the
// first bytes of two literals of a kind mean the same to whoever looks ahead. The sample itself is given to Splitter (alone),
// and what may stand behind it begins with white space or a semicolon (isTail).
type Shape struct {
	pieces []piece
	last   string // what stands behind the last literal
}

// piece is a literal and what stands before it.
type piece struct {
	text string
	kind Kind // Integer, Float or String
}

// Exactly returns the shape of one text. False: it is not a statement alone.
func Exactly(text string) (Shape, bool) {
	_, ok := alone([]byte(text))
	return Shape{last: text}, ok
}

// NewShape returns the shape of the statements with a normal form. False: a text of them cannot be told so simply, since something beside
// a literal may be one with it, or reaches beyond the end of the statement.
func NewShape(form string) (Shape, bool) {
	var s Shape
	var sample []byte
	from := 0
	for i := range len(form) {
		kind, simplest := unmarked(form[i])
		if kind == EOF {
			continue
		}
		if i == 0 || !opens(form[i-1]) || i+1 < len(form) && !closes(form[i+1]) {
			return Shape{}, false
		}
		s.pieces = append(s.pieces, piece{form[from:i], kind})
		sample = append(append(sample, form[from:i]...), simplest...)
		from = i + 1
	}
	s.last = form[from:]
	st, ok := alone(append(sample, s.last...))
	return s, ok && st.Strippable && string(st.Form) == form
}

// unmarked returns the kind of literal that a mark stands for, and the simplest of the kind; EOF: it is no mark.
func unmarked(c byte) (kind Kind, simplest string) {
	switch c {
	case MarkInteger:
		return Integer, "0"
	case MarkFloat:
		return Float, "0.0"
	case MarkString:
		return String, "''"
	}
	return EOF, ""
}

// opens says whether a literal begins behind c whatever is before c, which is at the end of a token or between tokens.
func opens(c byte) bool { return isSpace(c) || bytes.IndexByte([]byte("(,=<>+-*/|["), c) >= 0 }

// closes says whether a literal ends before c whatever is behind c.
func closes(c byte) bool { return isSpace(c) || bytes.IndexByte([]byte("),]:=<>+-*/|"), c) >= 0 }

// alone scans a text that must be one statement and nothing else, and remain so if a semicolon follows.
func alone(text []byte) (st Statement, ok bool) {
	var splitter Splitter
	splitter.Reset(append(bytes.Clone(text), ';'))
	ok = splitter.Next(&st)
	return st, ok && !st.Empty && !st.Broken && st.Start == 0 && st.End == len(text) && st.Stop == len(text)
}

// Literals is how many literals the texts have.
func (s *Shape) Literals() int { return len(s.pieces) }

// Match says whether a text is of the shape, but for white space around it, and comments and a semicolon behind it. It writes the text's
// literals to found, which has room for all of them.
func (s *Shape) Match(text []byte, found []Literal) bool {
	i := 0
	for i < len(text) && isBlank(text[i]) {
		i++
	}
	for n := range s.pieces {
		p := &s.pieces[n]
		start := i + len(p.text)
		if start > len(text) || string(text[i:start]) != p.text {
			return false
		}
		if i = simpleEnd(text, start, p.kind); i < 0 {
			return false
		}
		found[n] = Literal{start, i, p.kind}
	}
	end := i + len(s.last)
	return end <= len(text) && string(text[i:end]) == s.last && (end == len(text) || isTail(text[end:]))
}

// simpleEnd returns the end of the simple literal that starts at i; -1: there is none.
func simpleEnd(text []byte, i int, kind Kind) int {
	if kind == String {
		return stringEnd(text, i)
	}
	end := digitsEnd(text, i)
	if kind == Float {
		if end == i || end == len(text) || text[end] != '.' {
			return -1
		}
		i = end + 1
		end = digitsEnd(text, i)
	}
	if end == i {
		return -1
	}
	return end
}

func digitsEnd(text []byte, i int) int {
	for i < len(text) && isDigit(text[i]) {
		i++
	}
	return i
}

// stringEnd is simpleEnd for a string. A zero byte is in no text that PostgreSQL reads.
func stringEnd(text []byte, i int) int {
	if i == len(text) || text[i] != '\'' {
		return -1
	}
	for i++; i < len(text) && text[i] != 0; i++ {
		if text[i] != '\'' {
			continue
		}
		if i++; i == len(text) || text[i] != '\'' { // it is not doubled
			return i
		}
	}
	return -1
}

// isTail says whether a statement may have this behind it and be alone: white space and one semicolon, and comments behind these.
func isTail(rest []byte) bool {
	i := 0
	for i < len(rest) && isBlank(rest[i]) {
		i++
	}
	semicolon := i < len(rest) && rest[i] == ';'
	if semicolon {
		i++
	}
	for i < len(rest) && isBlank(rest[i]) {
		i++
	}
	return i == len(rest) || i > 0 && isComments(rest[i:], semicolon)
}

// isComments says whether a text is comments that are no directives, and a semicolon if there was none before.
func isComments(text []byte, semicolon bool) bool {
	s := Scanner{Text: text}
	for i := 0; i < len(text); {
		switch {
		case isSpace(text[i]):
			i++
		case text[i] == ';' && !semicolon:
			semicolon = true
			i++
		case commentAt(text, i):
			kind, end := s.scan(i)
			if kind != Comment || IsDirective(text[i:end]) {
				return false
			}
			i = end
		default:
			return false
		}
	}
	return bytes.IndexByte(text, 0) < 0
}

// Extent cuts white space around a text and one semicolon after it: what is left is text[start:end].
func Extent(text []byte) (start, end int) {
	end = blanksEnd(text, len(text))
	if end > 0 && text[end-1] == ';' {
		end = blanksEnd(text, end-1)
	}
	for start < end && isBlank(text[start]) {
		start++
	}
	return start, end
}

// blanksEnd returns where the white space that ends before i begins.
func blanksEnd(text []byte, i int) int {
	for i > 0 && isBlank(text[i-1]) {
		i--
	}
	return i
}

func isBlank(c byte) bool { return c <= ' ' && (c == ' ' || c == '\n' || c == '\t' || c == '\r') }
