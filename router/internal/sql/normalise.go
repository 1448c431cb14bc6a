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

// one scans up to the next semicolon or the end; false: the end was reached.
func (s *Splitter) one(st *Statement) bool {
	text := s.scanner.Text
	*st = Statement{Start: s.scanner.Pos, Empty: true, Strippable: true}
	s.form = s.form[:0]
	firstLiteral := len(s.literals)
	s.body = atomicBody{}
	from, depth := -1, 0
	for {
		tok := s.scanner.Next()
		if tok.Kind == EOF {
			break
		}
		if from < 0 {
			from = tok.Start
			st.Start = tok.Start
		}
		switch tok.Kind {
		case Punct:
			switch text[tok.Start] {
			case '(', '[':
				depth++
			case ')', ']':
				depth--
			case ';':
				if depth <= 0 && !s.body.open() {
					st.Stop = tok.Start
					s.finish(st, from, firstLiteral)
					return true
				}
			}
		case Comment:
			s.form = append(s.form, text[from:tok.Start]...)
			from = tok.End
			if IsDirective(text[tok.Start:tok.End]) {
				st.Directive = true
				from = tok.Start
			} else {
				s.form = append(s.form, ' ')
			}
			continue
		case Integer, Float, String, EString, DollarString:
			s.form = append(s.form, text[from:tok.Start]...)
			s.form = append(s.form, mark(tok.Kind))
			s.literals = append(s.literals, Literal{tok.Start, tok.End, tok.Kind})
			from = tok.End
		case UString, UIdent:
			st.Strippable = false // a UESCAPE literal may follow
		case Error, Other:
			st.Strippable, st.Broken = false, true
		case Ident:
			if s.body.watching() {
				s.body.word(text[tok.Start:tok.End])
			}
		case EOF, Radix, BitString, Param, Operator, QuotedIdent:
		}
		st.Empty = false
		st.End = tok.End
	}
	st.Stop = len(text)
	s.finish(st, from, firstLiteral)
	return false
}

// finish completes st, whose text not yet copied to the form starts at from.
func (s *Splitter) finish(st *Statement, from, firstLiteral int) {
	if !st.Empty && from < st.End {
		s.form = append(s.form, s.scanner.Text[from:st.End]...)
	}
	st.Form = s.form
	st.Literals = s.literals[firstLiteral:len(s.literals):len(s.literals)]
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
