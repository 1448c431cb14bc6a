package sql

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
)

// pitfalls are what texts are made of that are easily taken for simple literals, or end what is before them, or begin what is behind.
var pitfalls = []string{
	"0", "7", "12345", "007", "99999999999999999999", "1.", ".5", "1.5", "0.50", "1e5", "1e", "0x1F", "1_000", "1__0", "1..2", "-1", "- 1", "--1", "NULL", "$1",
	"''", "'x'", "'a b'", "'it''s'", "'a\\'", "E'a\\'b'", "E'x'", "U&'x'", "N'x'", "x'1F'", "$$x$$", "$a$x$a$", "'--'", "'/*'", "';'", "'\"'", "'a'\n'b'", "'a' 'b'",
	"'a' -- c\n'b'", "'\x00'", "-", "+", "*", "/", "--", "/*", "*/", "/* c */", "-- c\n", "/* pgring: key=1 */", ";", ";;", "'", "\"", ".", "e", "e5", "_", "_1", "$", "a",
	" ", "\n", "\t", "\v", "\x00", "\x01", "\x02", "\x03", "::int", ":", "(", ")", "[", "]", "ü", "\\", "U&", "UESCAPE '!'", "BEGIN ATOMIC", "END",
}

var simpleLiterals = []string{"0", "12345", "007", "99999999999999999999", "1.5", "0.50", "''", "'x'", "'a\\'", "'--'", "';'"}

// mutated changes a text in a few places: in its literals, at their edges, or anywhere.
func mutated(random *rand.Rand, text []byte) []byte {
	text = slices.Clone(text)
	for range 1 + random.IntN(3) {
		from := random.IntN(len(text) + 1)
		to, with := min(len(text), from+random.IntN(3)), pitfalls
		if literals := literalsIn(text); len(literals) > 0 && random.IntN(6) > 0 {
			lit := literals[random.IntN(len(literals))]
			switch from, to = lit.Start, lit.End; random.IntN(8) {
			case 0:
				to = from
			case 1:
				from = to
			case 2:
			default:
				with = simpleLiterals
			}
		}
		text = slices.Replace(text, from, to, []byte(with[random.IntN(len(with))])...)
	}
	return text
}

func literalsIn(text []byte) []Literal {
	var splitter Splitter
	var st Statement
	var all []Literal
	splitter.Reset(text)
	for splitter.Next(&st) {
		all = append(all, st.Literals...)
	}
	return all
}

// shaped is a shape with the normal form that it is of; the form is nil if it is of one text.
type shaped struct {
	Shape
	form []byte
}

// shapesIn returns the shapes of a text's statements, and that of the text.
func shapesIn(text []byte) []shaped {
	var splitter Splitter
	var st Statement
	var all []shaped
	splitter.Reset(text)
	for splitter.Next(&st) {
		if form := slices.Clone(st.Form); st.Strippable && !st.Broken {
			if s, ok := NewShape(string(form)); ok {
				all = append(all, shaped{s, form})
			}
		}
	}
	if s, ok := Exactly(string(text)); ok {
		all = append(all, shaped{s, nil})
	}
	return all
}

// check fails unless a text that matches is one statement with the shape's normal form and the literals found. It reports whether it
// matches.
func (s *shaped) check(t *testing.T, text []byte) bool {
	found := make([]Literal, s.Literals())
	if !s.Match(text, found) {
		return false
	}
	if s.form == nil {
		var splitter Splitter
		var st, more Statement
		splitter.Reset(text)
		if !splitter.Next(&st) || st.Broken || string(text[st.Start:st.End]) != s.last || splitter.Next(&more) {
			t.Fatalf("%q is taken for %q", text, s.last)
		}
		return true
	}
	var splitter Splitter
	var st, more Statement
	splitter.Reset(text)
	if !splitter.Next(&st) || !st.Strippable || st.Broken || !bytes.Equal(st.Form, s.form) || !slices.Equal(st.Literals, found) {
		t.Fatalf("%q is taken for one of form %q with literals %v, but is %+v of form %q", text, s.form, found, st, st.Form)
	}
	if splitter.Next(&more) {
		t.Fatalf("%q is taken for one statement of form %q", text, s.form)
	}
	if bytes.IndexByte(text, 0) >= 0 && bytes.IndexByte(s.form, 0) < 0 { // a text with one is refused before its form is looked at
		t.Fatalf("%q has a zero byte in a literal", text)
	}
	return true
}

// A text that a shape matches must be to Splitter what the shape says, or another statement's plan would be used for it.
func FuzzShapeIsWhatSplitterFinds(f *testing.F) {
	for i, seed := range seeds(f) {
		f.Add(seed, " "+seed+"; ", uint64(i))
	}
	f.Fuzz(func(t *testing.T, text, other string, seed uint64) {
		random := rand.New(rand.NewPCG(seed, 1))
		for _, s := range shapesIn([]byte(text)) {
			s.check(t, []byte(other))
			for range 50 {
				s.check(t, mutated(random, []byte(text)))
			}
		}
	})
}

func TestShapesMatchMutatedTexts(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 5))
	matched, tried := 0, 0
	for _, text := range seeds(t) {
		for _, s := range shapesIn([]byte(text)) {
			for range 300 {
				tried++
				if s.check(t, mutated(random, []byte(text))) {
					matched++
				}
			}
		}
	}
	if matched < tried/20 || matched > tried/2 {
		t.Errorf("%d of %d mutated texts match: the test does not tell much", matched, tried)
	}
}

func TestShapeMatchesSimpleLiterals(t *testing.T) {
	for _, c := range []struct{ sample, text string }{
		{"SELECT a FROM t WHERE b = 1", "SELECT a FROM t WHERE b = 12345678901234567890"},
		{"SELECT a FROM t WHERE b=1", "  SELECT a FROM t WHERE b=2 ; \n"},
		{"INSERT INTO t VALUES (1, 'a', 2.5)", "INSERT INTO t VALUES (23, '\\', 0.75)"},
		{"SELECT E'a' -- c", "SELECT ';--'"},
		{"SELECT a -1", "SELECT a -5"},
		{"SELECT 'a'", "SELECT 'it''s'"}, {"SELECT 'a', 'b'", "SELECT '''', ''"},
		{"SELECT 1", "SELECT 2 /* a='b' */"}, {"SELECT 1", "SELECT 2 /* c */ ; -- d"}, {"SELECT 'a'", "SELECT 'b'; /* c */ /* d */"},
		{"SELECT '1'::int+1", "SELECT ''::int+0"},
		{"SELECT $1, 1", "SELECT $1, 2"},
		{"SELECT /* pgring: key=1 */ 5", "SELECT /* pgring: key=1 */ 6"},
	} {
		if shapes := shapesIn([]byte(c.sample)); len(shapes) == 0 || !shapes[0].check(t, []byte(c.text)) {
			t.Errorf("%q is not of the shape of %q", c.text, c.sample)
		}
	}
}

func TestShapeLeavesTheRestToSplitter(t *testing.T) {
	for _, c := range []struct{ sample, text string }{
		{"SELECT 1", "SELECT 1.0"}, {"SELECT 1", "SELECT 1e5"}, {"SELECT 1", "SELECT 0x1F"}, {"SELECT 1", "SELECT 1_000"}, {"SELECT 1", "SELECT 1."},
		{"SELECT 1", "SELECT -1"}, {"SELECT a -1", "SELECT a --1"}, {"SELECT 1", "SELECT 1a"}, {"SELECT 1", "SELECT 1; SELECT 1"}, {"SELECT 1", "SELECT 1;;"},
		{"SELECT 1", "SELECT"}, {"SELECT 1", "SELECT '1'"}, {"SELECT 1.5", "SELECT .5"}, {"SELECT 1.5", "SELECT 15"}, {"SELECT 1", "SELECT 1 -- c\n, 2"},
		{"SELECT 'a'", "SELECT 'it''s"}, {"SELECT 'a'", "SELECT E'a'"}, {"SELECT 'a'", "SELECT 'a"}, {"SELECT 'a'", "SELECT 'a'\n'b'"}, {"SELECT 'a'", "SELECT '\x00'"},
		{"SELECT 'a'", "SELECT $$a$$"}, {"SELECT 'a'", "SELECT "}, {"SELECT 'a', 'b'", "SELECT 'a'"},
		{"SELECT 1", "SELECT 1 /* pgring: key=1 */"}, {"SELECT 1", "SELECT 1 /* c"}, {"SELECT 1", "SELECT 1 /* c */; /* d */;"}, {"SELECT 1", "SELECT 1 /* \x00 */"},
		{"SELECT 1", "SELECT 1/* c */"}, {"SELECT 1", "/* c */ SELECT 1"},
	} {
		if shapes := shapesIn([]byte(c.sample)); len(shapes) == 0 || shapes[0].check(t, []byte(c.text)) {
			t.Errorf("%q is of the shape of %q", c.text, c.sample)
		}
	}
}

func TestLiteralsThatDoNotStandApartHaveNoShape(t *testing.T) {
	for _, form := range []string{"SELECT a.\x02", "SELECT \x01a", "SELECT \x01\x03", "\x01", "SELECT a\x03", "SELECT \x01.", "SELECT \"\x01\"", "SELECT '\x01",
		"SELECT \x03 \n\x03", "SELECT (\x01", "SELECT \x01 ", "SELECT \x01 -- pgring: key=1", "SELECT 1"} {
		if s, ok := NewShape(form); ok {
			t.Errorf("form %q has shape %+v", form, s)
		}
	}
}

func TestExtentCutsSpaceAndOneSemicolon(t *testing.T) {
	for text, want := range map[string]string{"": "", " ; ": "", ";;": ";", "a": "a", " a ;\r\n": "a", "\ta b\n;": "a b", "a;;": "a;", "\va": "\va"} {
		if start, end := Extent([]byte(text)); text[start:end] != want {
			t.Errorf("the extent of %q is %q, not %q", text, text[start:end], want)
		}
	}
}
