package sql

// Filling says which column of an INSERT … VALUES is to get values that are not in the text.
type Filling struct {
	Column   string // its name as it is written, quoted if need be
	Listed   bool   // the statement has a list of columns
	Position int    // of the column among the values of a row; -1: the list does not name it
}

// Fill returns the text with a value for the column in each row that has none, or says DEFAULT. False: the text is something else.
func (f *Filling) Fill(text []byte, value func() (string, error)) ([]byte, bool, error) {
	s := filler{Scanner: Scanner{Text: text}, Filling: f, value: value}
	if !s.head() {
		return nil, false, nil
	}
	for more := !s.whole; more; {
		var ok bool
		if ok, s.err = s.row(); !ok || s.err != nil {
			return nil, false, s.err
		}
		after := s.skip()
		if more = s.mark(after) == ','; more && s.mark(s.skip()) != '(' {
			return nil, false, nil
		}
	}
	return append(s.out, text[s.copied:]...), true, s.err
}

// filler is the work on one text.
type filler struct {
	Scanner
	*Filling
	value  func() (string, error)
	out    []byte
	copied int  // of the text
	whole  bool // it was INSERT … DEFAULT VALUES
	err    error
}

func (s *filler) skip() Token {
	for {
		if tok := s.Next(); tok.Kind != Comment {
			return tok
		}
	}
}

// mark is the punctuation that a token is, or 0.
func (s *filler) mark(tok Token) byte {
	if tok.Kind == Punct && tok.End == tok.Start+1 {
		return s.Text[tok.Start]
	}
	return 0
}

// put copies the text up to a position and writes something there.
func (s *filler) put(at int, what string) {
	s.out = append(append(s.out, s.Text[s.copied:at]...), what...)
	s.copied = at
}

// head reads up to the parenthesis that opens the first row.
func (s *filler) head() bool {
	if !isWord(s.Text, s.skip(), "insert") {
		return false
	}
	depth, listed := 0, false
	last := Token{}
	for {
		tok := s.skip()
		switch {
		case tok.Kind == EOF || tok.Kind == Error || tok.Kind == Other:
			return false
		case s.mark(tok) == '(':
			if depth++; depth == 1 && !listed {
				if listed = true; s.Listed && s.Position < 0 {
					s.put(tok.End, s.Column+", ")
				}
			}
		case s.mark(tok) == ')':
			depth--
		case depth == 0 && isWord(s.Text, tok, "values"):
			if isWord(s.Text, last, "into") || s.mark(last) == '.' || listed != s.Listed {
				return false // the name of a table
			}
			if isWord(s.Text, last, "default") {
				return s.defaults(last, tok)
			}
			return s.mark(s.skip()) == '('
		}
		last = tok
	}
}

// defaults writes DEFAULT VALUES anew.
func (s *filler) defaults(from, to Token) bool {
	value, err := s.value()
	s.put(from.Start, "("+s.Column+") VALUES ("+value+")")
	s.copied, s.whole, s.err = to.End, true, err
	return !s.Listed
}

// row fills one row, whose parenthesis is open. A column that is not listed comes first, so that a row with too many values, or too
// few, remains one.
func (s *filler) row() (ok bool, err error) {
	if s.Listed && s.Position < 0 {
		if err := s.fill(s.Pos, "", ", "); err != nil {
			return false, err
		}
	}
	depth, n, tokens := 0, 0, 0
	var only Token // the value's only token
	for {
		tok := s.skip()
		mark := s.mark(tok)
		switch {
		case tok.Kind == EOF || tok.Kind == Error || tok.Kind == Other:
			return false, nil
		case depth == 0 && (mark == ',' || mark == ')'):
			if n == s.Position && tokens == 1 && isWord(s.Text, only, "default") {
				if err := s.fill(only.Start, "", ""); err != nil {
					return false, err
				}
				s.copied = only.End
			}
			if n++; mark == ',' {
				tokens = 0
				continue
			}
			return true, s.end(tok.Start, n)
		case mark == '(' || mark == '[':
			depth++
		case mark == ')' || mark == ']':
			depth--
		}
		tokens, only = tokens+1, tok
	}
}

// end fills a row of n values that does not reach to the column.
func (s *filler) end(at, n int) error {
	if s.Listed || n > s.Position {
		return nil
	}
	before := ", "
	for ; n < s.Position; n++ {
		before += "DEFAULT, "
	}
	return s.fill(at, before, "")
}

// fill writes a new value.
func (s *filler) fill(at int, before, after string) error {
	value, err := s.value()
	s.put(at, before+value+after)
	return err
}
