package sql

// Marks replace literals in a normal form, one byte each. They are control
// characters, which no valid statement has outside quotes, so a normal form
// cannot be mistaken for another text.
const (
	MarkInteger byte = 1 + iota
	MarkFloat
	MarkString
)

// Literal is a literal of a statement: text[Start:End] of the text given to
// Splitter, quotes and prefix included, sign not.
type Literal struct {
	Start, End int
	Kind       Kind // Integer, Float, String, EString or DollarString
}

// Statement is one statement of a text as Splitter found it.
type Statement struct {
	Start, End int       // from the first token, comments included, to the last token that is no comment
	Stop       int       // where its semicolon is, or the end of the text
	Form       []byte    // normal form; valid until the next call of Splitter.Next
	Literals   []Literal // in order; valid until the next call of Splitter.Reset
	Empty      bool      // no token at all
	Strippable bool      // the normal form stands for the statement: nothing in it is read differently elsewhere
	Broken     bool      // the scanner met something PostgreSQL rejects
	Directive  bool      // has a /* pgring: … */ comment
}

// Splitter cuts a text into statements at its top-level semicolons and
// normalises each: literals become marks, comments become a space, except
// directives, and white space around the statement goes. Its buffers are reused.
type Splitter struct {
	scanner  Scanner
	form     []byte
	literals []Literal
	body     atomicBody
	first    int  // of literals: the present statement's first
	seen     bool // a statement was returned
}

// Reset starts a new text. Results of earlier texts become invalid.
func (s *Splitter) Reset(text []byte) {
	s.scanner = Scanner{Text: text}
	s.literals = s.literals[:0]
	s.seen = false
}

// Next scans the next statement into st. False: the text is used up; a text
// without any token has one Empty statement, and empty statements between
// semicolons are skipped, as PostgreSQL does.
func (s *Splitter) Next(st *Statement) bool {
	for more := true; more; {
		more = s.one(st)
		if !st.Empty {
			s.seen = true
			return true
		}
	}
	if s.seen {
		return false
	}
	s.seen = true
	st.Start, st.Stop = 0, len(s.scanner.Text)
	st.End = st.Stop
	return true
}

// cut is the work on one statement.
type cut struct {
	st    *Statement
	from  int // start of what is not yet copied to the form; -1 before the first token
	depth int // of parentheses and brackets
}

// one scans up to the next semicolon or the end; false: the end was reached.
// What is copied as it stands, most of a text, is passed over here; the rest
// goes through the Scanner.
func (s *Splitter) one(st *Statement) bool {
	text := s.scanner.Text
	i := s.scanner.Pos
	*st = Statement{Start: i, Empty: true, Strippable: true}
	s.form = s.form[:0]
	s.first = len(s.literals)
	s.body = atomicBody{}
	c := cut{st: st, from: -1}
	for i < len(text) {
		class := classMap[text[i]]
		if class == classSpace {
			i++
			continue
		}
		if c.from < 0 {
			c.from, st.Start = i, i
		}
		start := i
		switch class {
		case classLetter:
			if i = s.word(i); i < 0 {
				i = s.token(&c, start)
				continue
			}
		case classOperator:
			if i++; commentAt(text, start) {
				i = s.token(&c, start)
				continue
			}
		case classPunct:
			if i++; text[start] == '.' && i < len(text) && (isDigit(text[i]) || text[i] == '.') {
				i = s.token(&c, start)
				continue
			}
			if s.ends(&c, text[start]) {
				st.Stop = start
				s.scanner.Pos = i
				s.finish(&c)
				return true
			}
		default:
			i = s.token(&c, start)
			continue
		}
		st.Empty = false
		st.End = i
	}
	st.Stop = len(text)
	s.scanner.Pos = i
	s.finish(&c)
	return false
}

// word passes over the identifier or keyword at i; -1: it may be the prefix of
// a quote.
func (s *Splitter) word(i int) int {
	text := s.scanner.Text
	end := i + 1
	for end < len(text) && identMap[text[end]] == 'y' {
		end++
	}
	if end == i+1 && end < len(text) && (text[end] == '\'' || text[end] == '&') {
		return -1
	}
	if !s.body.over {
		s.body.word(text[i:end])
	}
	return end
}

// ends follows parentheses and says whether a punctuation mark ends the
// statement.
func (s *Splitter) ends(c *cut, mark byte) bool {
	switch mark {
	case '(', '[':
		c.depth++
	case ')', ']':
		c.depth--
	case ';':
		return c.depth <= 0 && !s.body.open()
	}
	return false
}

// token takes the token at i that is not copied as it stands, or may not be,
// and returns its end.
func (s *Splitter) token(c *cut, i int) int {
	text, st := s.scanner.Text, c.st
	kind, end := s.scanner.scan(i)
	switch kind {
	case Comment:
		s.form = append(s.form, text[c.from:i]...)
		c.from = end
		if IsDirective(text[i:end]) {
			st.Directive = true
			c.from = i
		} else {
			s.form = append(s.form, ' ')
		}
		return end
	case Integer, Float, String, EString, DollarString:
		s.form = append(s.form, text[c.from:i]...)
		s.form = append(s.form, mark(kind))
		s.literals = append(s.literals, Literal{i, end, kind})
		c.from = end
	case UString, UIdent:
		st.Strippable = false // a UESCAPE literal may follow
	case Error:
		st.Strippable, st.Broken = false, true
		end = len(text)
	case Other:
		st.Strippable, st.Broken = false, true
	case Ident:
		if !s.body.over {
			s.body.word(text[i:end])
		}
	case EOF, Radix, BitString, Param, Operator, QuotedIdent, Punct:
	}
	st.Empty = false
	st.End = end
	return end
}

// finish completes the statement.
func (s *Splitter) finish(c *cut) {
	st := c.st
	if !st.Empty && c.from < st.End {
		s.form = append(s.form, s.scanner.Text[c.from:st.End]...)
	}
	for n := len(s.form); n > 0 && isSpace(s.form[n-1]); n-- {
		s.form = s.form[:n-1] // what stood for a comment at the end
	}
	st.Form = s.form
	st.Literals = s.literals[s.first:len(s.literals):len(s.literals)]
}

func mark(k Kind) byte {
	switch k {
	case Integer:
		return MarkInteger
	case Float:
		return MarkFloat
	default:
		return MarkString
	}
}

// IsDirective says whether a comment, given with its delimiters, is one of
// pgring's: its text begins with "pgring:".
func IsDirective(comment []byte) bool {
	body := CommentBody(comment)
	const prefix = "pgring:"
	return len(body) >= len(prefix) && string(body[:len(prefix)]) == prefix
}

// CommentBody returns the text of a comment without delimiters and white space
// around it.
func CommentBody(comment []byte) []byte {
	body := comment[2:]
	if comment[0] == '/' {
		body = body[:len(body)-2]
	}
	for len(body) > 0 && isSpace(body[0]) {
		body = body[1:]
	}
	for len(body) > 0 && isSpace(body[len(body)-1]) {
		body = body[:len(body)-1]
	}
	return body
}
