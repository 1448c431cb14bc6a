package sql

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// seeds are texts whose tokens are easily taken for others.
func seeds(t testing.TB) []string {
	list := []string{
		"", " ", ";", "SELECT 1", "select a.b, \"c d\" from t where x = 'it''s' and y=-1.5e10 -- end",
		"'a'\n'b'", "'a' -- c\n 'b'", "'a' /* c */ 'b'", "'a' 'b'", "E'a\\'b' 'c'", "e'\\\\'", "U&'d\\0061' UESCAPE '!'", "u&\"a\"",
		"$$a$$", "$t$ $$ $t $t$", "$t$ $t$x", "a$1$b", "$1", "$12 $ 1", "1..10", "1.5.2", ".5", "1.", "1.e5", "1e5", "1e+5", "0x1F", "0b11", "0o17",
		"1_000", "1__0", "1_", "0x", "123abc", "1e", "/* a /* b */ c */ x", "/* open", "a<-1", "a<--1\n", "a @- 1", "a=-1", "x*/*c*/y", "a->>'b'",
		"::int", ":=", "=>", "..", "a[1:2]", "b'01' x'1F' n'x'", "B'1' 'x'", "\"a\"\"b\"", "\"\"", "\"open", "'open", "E'open\\", "$t$open",
		"äöü = 'ß'", "a\u00a0b", "select $1::int", "a?|b", "a ? b", "`", "{", "\\", "1;2;;3", "(1;2)", "x\vy", "U&'x' 'y'", "U &'x'", "u&x", "N'x'",
		"CREATE FUNCTION f() BEGIN ATOMIC SELECT 1; END; SELECT 2", "1.5e-3.2", "a--\nb", "a-- b\r\nc", "$a$$b$$a$", "'\\'", "E'\\''",
	}
	files, err := filepath.Glob("../../../testdata/router/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		for lines := bufio.NewScanner(f); lines.Scan(); {
			if line := lines.Text(); line != "" && !strings.HasPrefix(line, "--") {
				list = append(list, line)
			}
		}
		f.Close()
	}
	return list
}

func FuzzScannerAgreesWithPostgreSQL(f *testing.F) {
	for _, seed := range seeds(f) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.ContainsRune(text, 0) || !utf8.ValidString(text) {
			return // never scanned
		}
		ours, ok := scanAll(text)
		theirs, err := pg.Scan(text)
		if !ok {
			return // the caller leaves such texts to the parser
		}
		if err != nil {
			if !tolerated(text, err) {
				t.Fatalf("%q: PostgreSQL's lexer says %v, ours reads %v", text, err, ours)
			}
			return
		}
		compareTokens(t, text, ours, theirs.Tokens)
	})
}

// tolerated are errors that PostgreSQL's lexer finds inside a token, of which
// only the extent matters here.
func tolerated(text string, err error) bool {
	for _, about := range []string{"invalid Unicode", "invalid escape", "Unicode escape", "zero-length", "out of range", "invalid byte sequence",
		"is too long", "conflicting", "unsafe use", "operator too long"} {
		if strings.Contains(err.Error(), about) {
			return true
		}
	}
	return false
}

func scanAll(text string) ([]Token, bool) {
	s := Scanner{Text: []byte(text)}
	var out []Token
	for {
		tok := s.Next()
		switch tok.Kind {
		case EOF:
			return out, true
		case Error, Other:
			return out, false
		}
		if (tok.Kind == String || tok.Kind == EString || tok.Kind == UString || tok.Kind == BitString) && strings.Contains(text[tok.Start:tok.End], "--") {
			return nil, false // pg_query does not continue a literal behind a comment; PostgreSQL does
		}
		out = append(out, tok)
	}
}

func compareTokens(t *testing.T, text string, ours []Token, theirs []*pg.ScanToken) {
	t.Helper()
	for i, tok := range theirs {
		if i >= len(ours) || int(tok.Start) != ours[i].Start || int(tok.End) != ours[i].End {
			t.Fatalf("%q: token %d is %s %d-%d for PostgreSQL, ours are %v", text, i, tok.Token, tok.Start, tok.End, ours)
		}
		if kind := kindOf(tok, text); kind != ours[i].Kind {
			t.Fatalf("%q: token %d %q is %s for PostgreSQL, kind %d here", text, i, text[tok.Start:tok.End], tok.Token, ours[i].Kind)
		}
	}
	if len(ours) > len(theirs) {
		t.Fatalf("%q: %d tokens more than PostgreSQL's", text, len(ours)-len(theirs))
	}
}

// kindOf translates PostgreSQL's token to our kind.
func kindOf(tok *pg.ScanToken, text string) Kind {
	word := text[tok.Start:tok.End]
	switch tok.Token {
	case pg.Token_SQL_COMMENT, pg.Token_C_COMMENT:
		return Comment
	case pg.Token_SCONST:
		switch {
		case word[0] == '$':
			return DollarString
		case word[0] == 'e' || word[0] == 'E':
			return EString
		}
		return String
	case pg.Token_USCONST:
		return UString
	case pg.Token_UIDENT:
		return UIdent
	case pg.Token_BCONST, pg.Token_XCONST:
		return BitString
	case pg.Token_PARAM:
		return Param
	case pg.Token_ICONST, pg.Token_FCONST:
		return numberKind(word)
	case pg.Token_IDENT:
		if word[0] == '"' {
			return QuotedIdent
		}
		return Ident
	case pg.Token_TYPECAST, pg.Token_DOT_DOT, pg.Token_COLON_EQUALS, pg.Token_ASCII_40, pg.Token_ASCII_41, pg.Token_ASCII_44,
		pg.Token_ASCII_46, pg.Token_ASCII_58, pg.Token_ASCII_59, pg.Token_ASCII_91, pg.Token_ASCII_93:
		return Punct
	}
	if classMap[word[0]] == classOperator {
		return Operator
	}
	return Ident // a keyword
}

func numberKind(word string) Kind {
	if len(word) > 1 && word[0] == '0' && strings.ContainsAny(word[1:2], "xXoObB") {
		return Radix
	}
	if strings.ContainsAny(word, ".eE") {
		return Float
	}
	return Integer
}

func TestDecodeReadsLiterals(t *testing.T) {
	for text, want := range map[string]string{
		"'a'": "a", "''": "", "'it''s'": "it's", "E'it\\'s'": "it's", "e'a\\n\\t\\\\'": "a\n\t\\", "$$a'b$$": "a'b", "$x$a$$b$x$": "a$$b",
		"'a'\n'b'": "ab", "'a''b' -- c\n  'd'": "a'bd", "E'a'\n'\\\\'": "a\\", "12": "12", "1.5": "1.5",
	} {
		s := Scanner{Text: []byte(text)}
		tok := s.Next()
		got, ok := Decode(s.Text[tok.Start:tok.End], tok.Kind, nil)
		if !ok || string(got) != want {
			t.Errorf("%s reads as %q, %v", text, got, ok)
		}
	}
	for _, text := range []string{`E'\x41'`, `E'\101'`, `E'\u0061'`} {
		s := Scanner{Text: []byte(text)}
		tok := s.Next()
		if got, ok := Decode(s.Text[tok.Start:tok.End], tok.Kind, nil); ok {
			t.Errorf("%s reads as %q: it should be left to PostgreSQL", text, got)
		}
	}
}

func TestLongOperatorsAreScannedInOnePass(t *testing.T) {
	s := Scanner{Text: []byte(strings.Repeat("+", 1<<20))} // a pass for each sign would take minutes
	if tok := s.Next(); tok.End != 1 {
		t.Errorf("the first operator of many signs ends at %d", tok.End)
	}
}
