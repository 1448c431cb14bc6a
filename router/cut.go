package router

import (
	"bytes"

	"github.com/pgring/pgring/router/internal/sql"
)

// The statements that hold another one are cut at the level of tokens, since
// the inner text must be as the client wrote it.

// words of a text, comments skipped.
type cutter struct {
	sql.Scanner
}

func (c *cutter) next() sql.Token {
	for {
		if tok := c.Next(); tok.Kind != sql.Comment {
			return tok
		}
	}
}

// is says whether a token is this keyword.
func (c *cutter) is(tok sql.Token, word string) bool {
	return tok.Kind == sql.Ident && bytes.EqualFold(c.Text[tok.Start:tok.End], []byte(word))
}

// after returns the text behind the first of these keywords outside
// parentheses, or nil.
func (c *cutter) after(word string) []byte {
	depth := 0
	for {
		tok := c.next()
		switch {
		case tok.Kind == sql.EOF:
			return nil
		case tok.Kind == sql.Punct && c.Text[tok.Start] == '(':
			depth++
		case tok.Kind == sql.Punct && c.Text[tok.Start] == ')':
			depth--
		case depth == 0 && c.is(tok, word):
			return bytes.TrimSpace(c.Text[tok.End:])
		}
	}
}

// cutExplainRoute returns the statement behind EXPLAIN ROUTE.
func cutExplainRoute(text []byte) ([]byte, bool) {
	c := cutter{sql.Scanner{Text: text}}
	if !c.is(c.next(), "explain") {
		return nil, false
	}
	tok := c.next()
	if !c.is(tok, "route") {
		return nil, false
	}
	return bytes.TrimSpace(text[tok.End:]), true
}

// cutPrepare returns the statement of a PREPARE and its declared types.
func cutPrepare(text []byte) ([]byte, []string) {
	c := cutter{sql.Scanner{Text: text}}
	c.next() // PREPARE
	c.next() // name
	start := c.Pos
	tok := c.next()
	var types []string
	if tok.Kind == sql.Punct && text[tok.Start] == '(' {
		types = c.list(tok.End)
	} else {
		c.Pos = start
	}
	return c.after("as"), types
}

// list reads up to the closing parenthesis and returns what is between the
// commas.
func (c *cutter) list(from int) []string {
	var out []string
	depth := 1
	for depth > 0 {
		tok := c.next()
		if tok.Kind == sql.EOF {
			return nil
		}
		if tok.Kind != sql.Punct {
			continue
		}
		switch c.Text[tok.Start] {
		case '(':
			depth++
		case ')':
			depth--
			if depth == 0 {
				out = append(out, string(bytes.TrimSpace(c.Text[from:tok.Start])))
			}
		case ',':
			if depth == 1 {
				out = append(out, string(bytes.TrimSpace(c.Text[from:tok.Start])))
				from = tok.End
			}
		}
	}
	return out
}

// cutCopy finds the query of COPY (query) TO: what is in the first parentheses.
func cutCopy(text []byte) (start, end int) {
	c := cutter{sql.Scanner{Text: text}}
	depth := 0
	for {
		tok := c.next()
		switch {
		case tok.Kind == sql.EOF:
			return 0, 0
		case tok.Kind != sql.Punct:
		case text[tok.Start] == '(':
			if depth++; depth == 1 {
				start = tok.End
			}
		case text[tok.Start] == ')':
			if depth--; depth == 0 {
				return start, tok.Start
			}
		}
	}
}

// cutCopyTarget returns what stands behind the table or query of COPY … TO, from
// TO on.
func cutCopyTarget(text []byte) string {
	c := cutter{sql.Scanner{Text: text}}
	return "TO " + string(c.after("to"))
}

// cutTableAs finds the query of CREATE TABLE AS: between AS and WITH DATA or WITH
// NO DATA, if that is said.
func cutTableAs(text []byte, noData bool) (start, end int) {
	c := cutter{sql.Scanner{Text: text}}
	rest := c.after("as")
	start = bytes.LastIndex(text, rest) // nothing but space follows it
	c = cutter{sql.Scanner{Text: text, Pos: start}}
	last := make([]sql.Token, 3) // newest first
	for tok := c.next(); tok.Kind != sql.EOF; tok = c.next() {
		last[2], last[1], last[0] = last[1], last[0], tok
	}
	switch {
	case noData:
		return start, last[2].Start
	case c.is(last[0], "data") && c.is(last[1], "with"):
		return start, last[1].Start
	}
	return start, len(text)
}

// cutDeclare returns the query of a DECLARE CURSOR.
func cutDeclare(text []byte) []byte {
	c := cutter{sql.Scanner{Text: text}}
	c.next() // DECLARE
	c.next() // name
	c.after("cursor")
	return c.after("for")
}
