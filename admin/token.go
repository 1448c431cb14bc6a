package admin

import (
	"strings"
)

// tokenKind tells what a token is. The zero value is the end of the text.
type tokenKind uint8

const (
	tokenEnd    tokenKind = iota
	tokenWord             // anything not listed below, such as POOLS, 10.0.0.7, -3 or public."Orders"
	tokenString           // 'text'
	tokenSymbol           // , ( ) ; = < > <= >= <> !=
)

// token is one piece of a command.
type token struct {
	kind tokenKind
	text string // of a word as it was typed, quotes included; of a string its value
}

// is reports whether the token is this keyword, in any case; a quoted word is none.
func (t token) is(keyword string) bool {
	return t.kind == tokenWord && strings.EqualFold(t.text, keyword)
}

func (t token) symbol(text string) bool { return t.kind == tokenSymbol && t.text == text }

// String shows the token as in an error message.
func (t token) String() string {
	switch t.kind {
	case tokenString:
		return "'" + strings.ReplaceAll(t.text, "'", "''") + "'"
	case tokenWord, tokenSymbol:
		return t.text
	case tokenEnd:
	}
	return "end of command"
}

// lex cuts a command into tokens and leaves out white space and comments. A word may hold what host names, numbers and qualified
// names hold, because commands have no operators inside of values.
func lex(text string) ([]token, error) {
	var tokens []token
	for {
		text = skipBlank(text)
		if text == "" {
			return tokens, nil
		}
		t, rest, err := cutToken(text)
		if err != nil {
			return nil, err
		}
		tokens, text = append(tokens, t), rest
	}
}

// skipBlank cuts white space and comments from the start; a comment that does not end reaches to the end.
func skipBlank(text string) string {
	for {
		text = strings.TrimLeft(text, " \t\r\n\f\v")
		switch {
		case strings.HasPrefix(text, "--"):
			_, text, _ = strings.Cut(text, "\n")
		case strings.HasPrefix(text, "/*"):
			text = skipComment(text)
		default:
			return text
		}
	}
}

// skipComment cuts one comment, in which others may be nested as in PostgreSQL.
func skipComment(text string) string {
	depth := 0
	for i := 0; i+1 < len(text); i++ {
		switch text[i : i+2] {
		case "/*":
			depth++
			i++
		case "*/":
			depth--
			i++
			if depth == 0 {
				return text[i+1:]
			}
		}
	}
	return ""
}

const wordEnds = " \t\r\n\f\v',;()=<>!"

// cutToken reads the token at the start of text, which is neither blank nor empty.
func cutToken(text string) (token, string, error) {
	switch c := text[0]; {
	case c == '\'':
		return cutString(text[1:])
	case strings.IndexByte(",;()=", c) >= 0:
		return token{tokenSymbol, text[:1]}, text[1:], nil
	case strings.IndexByte("<>!", c) >= 0:
		n := 1
		if len(text) > 1 && (text[1] == '=' || c == '<' && text[1] == '>') {
			n = 2
		}
		return token{tokenSymbol, text[:n]}, text[n:], nil
	}
	return cutWord(text)
}

func cutString(text string) (token, string, error) {
	var value strings.Builder
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] != '\'':
			value.WriteByte(text[i])
		case i+1 < len(text) && text[i+1] == '\'':
			value.WriteByte('\'')
			i++
		default:
			return token{tokenString, value.String()}, text[i+1:], nil
		}
	}
	return token{}, "", syntaxError("unterminated quoted string", "")
}

func cutWord(text string) (token, string, error) {
	quoted := false
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '"':
			quoted = !quoted
		case !quoted && strings.IndexByte(wordEnds, text[i]) >= 0:
			return token{tokenWord, text[:i]}, text[i:], nil
		}
	}
	if quoted {
		return token{}, "", syntaxError("unterminated quoted identifier", "")
	}
	return token{tokenWord, text}, "", nil
}

// identifiers reads a word as an SQL name: folded to lower case unless quoted, cut at the dots.
func (t token) identifiers() []string {
	var parts []string
	var part strings.Builder
	quoted := false
	for i := 0; i < len(t.text); i++ {
		switch c := t.text[i]; {
		case c == '"' && quoted && i+1 < len(t.text) && t.text[i+1] == '"':
			part.WriteByte('"')
			i++
		case c == '"':
			quoted = !quoted
		case c == '.' && !quoted:
			parts = append(parts, part.String())
			part.Reset()
		case !quoted && c >= 'A' && c <= 'Z':
			part.WriteByte(c + 'a' - 'A')
		default:
			part.WriteByte(c)
		}
	}
	return append(parts, part.String())
}

// plain reads a word as one name in which dots mean nothing, such as a shard's or a host's, as it was typed but for quotes.
func (t token) plain() string {
	if len(t.text) >= 2 && t.text[0] == '"' && t.text[len(t.text)-1] == '"' {
		return strings.ReplaceAll(t.text[1:len(t.text)-1], `""`, `"`)
	}
	return t.text
}

// tokens reads a command from left to right.
type tokens struct {
	rest []token
}

func (t *tokens) peek() token {
	if len(t.rest) == 0 {
		return token{}
	}
	return t.rest[0]
}

func (t *tokens) next() token {
	first := t.peek()
	if len(t.rest) > 0 {
		t.rest = t.rest[1:]
	}
	return first
}

// accept skips the keyword if it comes next.
func (t *tokens) accept(keyword string) bool {
	if !t.peek().is(keyword) {
		return false
	}
	t.next()
	return true
}

// comma skips a comma if it comes next.
func (t *tokens) comma() bool {
	if !t.peek().symbol(",") {
		return false
	}
	t.next()
	return true
}

// expect skips the keyword, which must come next.
func (t *tokens) expect(keyword string) error {
	if !t.accept(keyword) {
		return expected(keyword, t.peek())
	}
	return nil
}

// word reads a word that means what.
func (t *tokens) word(what string) (token, error) {
	if t.peek().kind != tokenWord {
		return token{}, expected(what, t.peek())
	}
	return t.next(), nil
}

// value reads a word or a string as text.
func (t *tokens) value(what string) (string, error) {
	switch next := t.peek(); next.kind {
	case tokenWord:
		return t.next().plain(), nil
	case tokenString:
		return t.next().text, nil
	case tokenSymbol, tokenEnd:
	}
	return "", expected(what, t.peek())
}

// end makes sure that nothing follows.
func (t *tokens) end() error {
	if len(t.rest) > 0 {
		return expected("end of command", t.peek())
	}
	return nil
}

func expected(what string, found token) error {
	return syntaxError("syntax error: expected "+what+", found "+found.String(), "")
}
