package sql

// Scanner reads the tokens of a text. The zero value with Text set is ready.
type Scanner struct {
	Text []byte
	Pos  int // where the next token is looked for
}

// Next returns the next token. After EOF or Error it returns EOF.
func (s *Scanner) Next() Token {
	text, i := s.Text, s.Pos
	for i < len(text) && isSpace(text[i]) {
		i++
	}
	if i >= len(text) {
		s.Pos = len(text)
		return Token{EOF, len(text), len(text)}
	}
	kind, end := s.scan(i)
	s.Pos = end
	if kind == Error {
		s.Pos = len(text)
	}
	return Token{kind, i, end}
}

// scan returns the token that starts at i.
func (s *Scanner) scan(i int) (Kind, int) {
	text := s.Text
	c := text[i]
	switch classMap[c] {
	case classLetter:
		if i+1 < len(text) && (text[i+1] == '\'' || text[i+1] == '&') {
			if kind, end, ok := s.prefixed(i); ok {
				return kind, end
			}
		}
		return Ident, s.identEnd(i)
	case classDigit:
		return s.apart(i, s.number)
	case classOperator:
		return s.operator(i)
	case classPunct:
		return s.punct(i)
	case classQuote:
		return s.quoted(i, i, String)
	case classDouble:
		return s.doubleQuoted(i, QuotedIdent)
	case classDollar:
		return s.dollar(i)
	}
	return Other, i + 1 // white space was skipped
}

func (s *Scanner) identEnd(i int) int {
	for j, c := range s.Text[i:] {
		if identMap[c] != 'y' {
			return i + j
		}
	}
	return len(s.Text)
}

// prefixed scans a quote with a prefix letter: E'…' B'…' X'…' U&'…' U&"…".
// N'…' is two tokens, as in PostgreSQL.
func (s *Scanner) prefixed(i int) (Kind, int, bool) {
	quote := s.Text[i+1] == '\''
	switch s.Text[i] | 0x20 {
	case 'e':
		if quote {
			kind, end := s.quoted(i, i+1, EString)
			return kind, end, true
		}
	case 'b', 'x':
		if quote {
			kind, end := s.quoted(i, i+1, BitString)
			return kind, end, true
		}
	case 'u':
		if quote || i+2 >= len(s.Text) {
			return 0, 0, false
		}
		switch s.Text[i+2] {
		case '\'':
			kind, end := s.quoted(i, i+2, UString)
			return kind, end, true
		case '"':
			kind, end := s.doubleQuoted(i+2, UIdent)
			return kind, end, true
		}
	}
	return 0, 0, false
}

// quoted scans a literal whose opening quote is at q, with its continuations.
func (s *Scanner) quoted(start, q int, kind Kind) (Kind, int) {
	for {
		end := s.quoteEnd(q+1, kind == EString, kind != BitString)
		if end < 0 {
			return Error, len(s.Text)
		}
		next := s.continuation(end)
		if next < 0 {
			return kind, end
		}
		q = next
	}
}

// quoteEnd returns the index after the closing quote of the body that starts at
// i, or -1. escapes: a backslash takes the next character into the body;
// doubles: so does a quote another quote.
func (s *Scanner) quoteEnd(i int, escapes, doubles bool) int {
	text := s.Text
	for i < len(text) {
		switch text[i] {
		case '\'':
			if doubles && i+1 < len(text) && text[i+1] == '\'' {
				i += 2
				continue
			}
			return i + 1
		case '\\':
			if escapes {
				i++
			}
		}
		i++
	}
	return -1
}

// continuation returns the index of the opening quote that continues a literal
// ended before i: white space with at least one newline lies between. -- comments
// count as white space there, /* */ comments do not. -1: none.
func (s *Scanner) continuation(i int) int {
	text := s.Text
	newline := false
	for i < len(text) {
		switch {
		case text[i] == '\'':
			if newline {
				return i
			}
			return -1
		case text[i] == '\n' || text[i] == '\r':
			newline = true
			i++
		case isSpace(text[i]):
			i++
		case text[i] == '-' && i+1 < len(text) && text[i+1] == '-':
			i = s.lineEnd(i)
		default:
			return -1
		}
	}
	return -1
}

func (s *Scanner) lineEnd(i int) int {
	for i < len(s.Text) && s.Text[i] != '\n' && s.Text[i] != '\r' {
		i++
	}
	return i
}

// doubleQuoted scans "…" whose opening quote is at q. Zero-length identifiers
// are an error, as in PostgreSQL.
func (s *Scanner) doubleQuoted(q int, kind Kind) (Kind, int) {
	text := s.Text
	for i := q + 1; i < len(text); i++ {
		if text[i] != '"' {
			continue
		}
		if i+1 < len(text) && text[i+1] == '"' {
			i++
			continue
		}
		if i == q+1 && kind == QuotedIdent {
			return Error, i + 1
		}
		return kind, i + 1
	}
	return Error, len(text)
}

// dollar scans $n or $tag$…$tag$.
func (s *Scanner) dollar(i int) (Kind, int) {
	text := s.Text
	if i+1 < len(text) && isDigit(text[i+1]) {
		end := i + 2
		for end < len(text) && isDigit(text[end]) {
			end++
		}
		if end < len(text) && classMap[text[end]] == classLetter {
			return Error, end + 1
		}
		return Param, end
	}
	j := i + 1
	for j < len(text) && text[j] != '$' && identPart(text[j]) {
		j++
	}
	if j >= len(text) || text[j] != '$' {
		return Other, i + 1
	}
	tag := text[i : j+1]
	for k := j + 1; k+len(tag) <= len(text); k++ {
		if text[k] == '$' && string(text[k:k+len(tag)]) == string(tag) {
			return DollarString, k + len(tag)
		}
	}
	return Error, len(text)
}

// punct scans one of , ( ) [ ] . ; : and the two-character ones, and numbers
// that start with a point.
func (s *Scanner) punct(i int) (Kind, int) {
	text := s.Text
	if i+1 >= len(text) {
		return Punct, i + 1
	}
	next := text[i+1]
	switch text[i] {
	case '.':
		if isDigit(next) {
			return s.apart(i, s.fraction)
		}
		if next == '.' {
			return Punct, i + 2
		}
	case ':':
		if next == ':' || next == '=' {
			return Punct, i + 2
		}
	}
	return Punct, i + 1
}

// operator scans an operator or a comment.
func (s *Scanner) operator(i int) (Kind, int) {
	text := s.Text
	if i+1 < len(text) {
		if text[i] == '-' && text[i+1] == '-' {
			return Comment, s.lineEnd(i)
		}
		if text[i] == '/' && text[i+1] == '*' {
			return s.blockComment(i)
		}
	}
	end := i
	for end < len(text) && classMap[text[end]] == classOperator && !commentAt(text, end) {
		end++
	}
	return Operator, trimSigns(text, i, end)
}

func commentAt(text []byte, i int) bool {
	if i+1 >= len(text) {
		return false
	}
	return text[i] == '-' && text[i+1] == '-' || text[i] == '/' && text[i+1] == '*'
}

// trimSigns drops trailing + and - from a multi-character operator unless it
// contains a character no SQL operator has, so that "=-1" is = and -1.
func trimSigns(text []byte, i, end int) int {
	for _, c := range text[i:end] {
		switch c {
		case '~', '!', '@', '#', '^', '&', '|', '`', '?', '%':
			return end
		}
	}
	for end > i+1 && (text[end-1] == '+' || text[end-1] == '-') {
		end--
	}
	return end
}

func (s *Scanner) blockComment(i int) (Kind, int) {
	text := s.Text
	depth := 1
	for i += 2; i+1 < len(text); {
		switch {
		case text[i] == '/' && text[i+1] == '*':
			depth++
			i += 2
		case text[i] == '*' && text[i+1] == '/':
			depth--
			i += 2
			if depth == 0 {
				return Comment, i
			}
		default:
			i++
		}
	}
	return Error, len(text)
}
