package config

import (
	"slices"
	"strings"
	"unicode"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// spot is a stretch of the file on one line.
type spot struct {
	line, column int // from 1, in characters
	width        int
}

// source is the text of the file, for printing its lines with secrets masked.
type source struct {
	name    string
	lines   []string
	secrets map[int][]region // by line
	guess   bool             // the file has no syntax tree: guess from the text where secrets are
}

// region is a part of a line that must not be printed.
type region struct {
	from, to int // 0-based characters; to < 0 = the rest of the line
}

func newSource(name, text string) *source {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	return &source{name: name, lines: strings.Split(text, "\n"), secrets: map[int][]region{}}
}

// problem makes a Problem at a spot.
func (s *source) problem(at spot, message, hint string) Problem {
	p := Problem{File: s.name, Line: at.line, Column: at.column, Message: message, Hint: hint, width: at.width}
	if at.line >= 1 && at.line <= len(s.lines) {
		p.source, p.caret, p.width = s.masked(at)
	}
	return p
}

// masked returns the line with its secrets replaced, and where the spot is in it. Even the length of a secret is hidden.
func (s *source) masked(at spot) (text string, caret, width int) {
	line := []rune(s.lines[at.line-1])
	hidden := slices.Clone(s.secrets[at.line])
	if s.guess {
		hidden = guessSecrets(s.lines, at.line)
	}
	slices.SortFunc(hidden, func(a, b region) int { return a.from - b.from })
	var out []rune
	done := 0
	caret, width = at.column-1, at.width
	for _, r := range hidden {
		if r.to < 0 || r.to > len(line) {
			r.to = len(line)
		}
		r.from = max(r.from, done)
		if r.from >= r.to {
			continue
		}
		out = append(append(out, line[done:r.from]...), []rune(Mask)...)
		switch {
		case at.column-1 >= r.to:
			caret += len(Mask) - (r.to - r.from)
		case at.column-1 >= r.from:
			caret, width = len(out)-len(Mask), len(Mask)
		}
		done = r.to
	}
	return string(append(out, line[done:]...)), caret, width
}

// hide masks a node's text in every line it covers.
func (s *source) hide(node ast.Node) {
	for _, tk := range scalarTokens(node) {
		span := strings.Split(strings.Trim(tk.Origin, " \t\r\n"), "\n")
		first := tk.Position.Line
		s.secrets[first] = append(s.secrets[first], s.regionOf(tk, span[0], len(span) > 1))
		for i := 1; i < len(span); i++ {
			s.secrets[first+i] = append(s.secrets[first+i], region{from: 0, to: -1})
		}
	}
}

// regionOf returns where the first line of a token stands. The parser's columns are off by one here and there (after tags,
// in blocks); then the whole line is hidden rather than most of a secret.
func (s *source) regionOf(tk *token.Token, text string, goesOn bool) region {
	from := tk.Position.Column - 1
	to := from + len([]rune(text))
	if number := tk.Position.Line; number >= 1 && number <= len(s.lines) {
		line := []rune(s.lines[number-1])
		if from < 0 || to > len(line) || string(line[from:to]) != text {
			return region{from: 0, to: -1}
		}
	}
	if goesOn {
		to = -1
	}
	return region{from: from, to: to}
}

// hidePlain masks a secret, but not where {file: …} or {env: …} say it is kept.
func (s *source) hidePlain(node ast.Node) {
	switch node.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
	default:
		s.hide(node)
	}
}

// hideBelow masks what stands after the names of secrets anywhere in a node that will not be decoded.
func (s *source) hideBelow(node ast.Node) {
	switch n := node.(type) {
	case *ast.MappingNode:
		for _, pair := range n.Values {
			s.hideBelow(pair)
		}
	case *ast.MappingValueNode:
		if name, ok := plainText(n.Key); ok && secretive(name) {
			s.hide(n.Value)
		}
		s.hideBelow(n.Value)
	case *ast.SequenceNode:
		for _, v := range n.Values {
			s.hideBelow(v)
		}
	case *ast.AnchorNode:
		s.hideBelow(n.Value)
	case *ast.TagNode:
		s.hideBelow(n.Value)
	}
}

// scalarTokens lists the tokens of the scalars in a node.
func scalarTokens(node ast.Node) []*token.Token {
	var tokens []*token.Token
	switch n := node.(type) {
	case *ast.LiteralNode:
		tokens = append(tokens, n.Value.GetToken())
	case *ast.MappingNode:
		for _, pair := range n.Values {
			tokens = append(tokens, scalarTokens(pair.Value)...)
		}
	case *ast.MappingValueNode:
		tokens = scalarTokens(n.Value)
	case *ast.SequenceNode:
		for _, v := range n.Values {
			tokens = append(tokens, scalarTokens(v)...)
		}
	case *ast.AnchorNode:
		tokens = scalarTokens(n.Value)
	case *ast.TagNode:
		tokens = scalarTokens(n.Value)
	case ast.ScalarNode:
		tokens = append(tokens, n.GetToken())
	}
	return tokens
}

// secretive tells whether a key that pgring does not know may stand before a secret.
func secretive(name string) bool {
	name = strings.ToLower(name)
	for _, word := range []string{"pass", "pw", "secret", "url", "token", "credential"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return near(name, "password") || near(name, "secret")
}

// guessSecrets masks the rest of a line after a key that may stand before a secret, and the whole line when the one above
// it ends in such a key. It serves files that are no YAML, so it hides too much rather than too little.
func guessSecrets(lines []string, number int) []region {
	if number > 1 && secretStart(lines[number-2]) >= 0 {
		return []region{{from: 0, to: -1}}
	}
	if from := secretStart(lines[number-1]); from >= 0 {
		return []region{{from: from, to: -1}}
	}
	return nil
}

// secretStart returns the 0-based column after "password:" or the like, or -1.
func secretStart(line string) int {
	runes := []rune(line)
	for i, r := range runes {
		if r != ':' {
			continue
		}
		end := i
		for end > 0 && !letter(runes[end-1]) && !strings.ContainsRune("{[,", runes[end-1]) {
			end--
		}
		start := end
		for start > 0 && letter(runes[start-1]) {
			start--
		}
		if secretive(string(runes[start:end])) {
			return i + 1
		}
	}
	return -1
}

func letter(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' || r == '-' }
