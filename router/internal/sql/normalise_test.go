package sql

import (
	"strings"
	"testing"

	pg "github.com/pganalyze/pg_query_go/v6"
)

func normalised(text string) (forms []string, pieces []string, strippable []bool) {
	var s Splitter
	var st Statement
	s.Reset([]byte(text))
	for s.Next(&st) {
		form := strings.NewReplacer("\x01", "?i", "\x02", "?f", "\x03", "?s").Replace(string(st.Form))
		forms = append(forms, form)
		pieces = append(pieces, text[st.Start:st.Stop])
		strippable = append(strippable, st.Strippable)
	}
	return forms, pieces, strippable
}

func TestNormalFormStripsLiterals(t *testing.T) {
	for text, want := range map[string]string{
		"SELECT 1":                       "SELECT ?i",
		"SELECT 1.5, .5, 1e3":            "SELECT ?f, ?f, ?f",
		"SELECT 'a', E'b', $$c$$":        "SELECT ?s, ?s, ?s",
		"SELECT 'a'\n'b'":                "SELECT ?s",
		"SELECT a1, \"b2\", $3":          "SELECT a1, \"b2\", $3",
		"SELECT b'01', x'1F', 0x1F":      "SELECT b'01', x'1F', 0x1F",
		"SELECT -1":                      "SELECT -?i",
		"SELECT /* c */ 1 -- d":          "SELECT   ?i",
		"/* pgring: key=1 */ SELECT 1":   "/* pgring: key=1 */ SELECT ?i",
		"  SELECT 1  ; ":                 "SELECT ?i",
		"SELECT a ? 'b', a?1":            "SELECT a ? ?s, a??i",
		"SELECT ARRAY[1,2]::int[]":       "SELECT ARRAY[?i,?i]::int[]",
		"SELECT a FROM t LIMIT 10":       "SELECT a FROM t LIMIT ?i",
		"SELECT \"1\", \"it''s\", a$1$b": "SELECT \"1\", \"it''s\", a$1$b",
	} {
		forms, _, _ := normalised(text)
		if len(forms) != 1 || forms[0] != want {
			t.Errorf("%q has normal form %q, not %q", text, forms, want)
		}
	}
}

func TestTextsThatCannotBeStrippedSaySo(t *testing.T) {
	for _, text := range []string{"SELECT U&'a' UESCAPE '!'", "SELECT U&\"a\"", "SELECT 'open", "SELECT \x01", "SELECT 1abc"} {
		if _, _, strippable := normalised(text); strippable[0] {
			t.Errorf("%q is taken for strippable", text)
		}
	}
}

func TestSplitKeepsWhatBelongsTogether(t *testing.T) {
	for text, want := range map[string][]string{
		"":                                 {""},
		"  -- nothing\n":                   {"  -- nothing\n"},
		";;":                               {";;"},
		"SELECT 1":                         {"SELECT 1"},
		"SELECT 1;":                        {"SELECT 1"},
		"SELECT 1; SELECT 2;":              {"SELECT 1", "SELECT 2"},
		"; SELECT 1;; SELECT 2":            {"SELECT 1", "SELECT 2"},
		"SELECT ';'; SELECT $$;$$":         {"SELECT ';'", "SELECT $$;$$"},
		"SELECT 1 /* ; */; -- ;\nSELECT 2": {"SELECT 1 /* ; */", "-- ;\nSELECT 2"},
		"CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2); SELECT 3": {
			"CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)", "SELECT 3"},
		"CREATE OR REPLACE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END; SELECT 3": {
			"CREATE OR REPLACE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END", "SELECT 3"},
		"BEGIN; SELECT 1; END": {"BEGIN", "SELECT 1", "END"},
	} {
		if _, pieces, _ := normalised(text); strings.Join(pieces, "|") != strings.Join(want, "|") || len(pieces) != len(want) {
			t.Errorf("%q splits into %q, not %q", text, pieces, want)
		}
	}
}

// Two texts with one normal form must have the same tokens but for the literals'
// values, or one's plan would be used for the other.
func FuzzSameNormalFormMeansSameTokens(f *testing.F) {
	list := seeds(f)
	for i := range list {
		f.Add(list[i], list[(i+7)%len(list)])
	}
	f.Add("SELECT 1, 'a'", "SELECT 22, $$b;$$")
	f.Add("SELECT 1 -1", "SELECT 1 - 2")
	f.Fuzz(func(t *testing.T, x, y string) {
		checkSubstitution(t, x)
		xs, _, xok := normalised(x)
		ys, _, yok := normalised(y)
		if len(xs) != 1 || len(ys) != 1 || !xok[0] || !yok[0] || xs[0] != ys[0] {
			return
		}
		sameTokens(t, x, y)
	})
}

// checkSubstitution writes other literals of the same kind into a text: the
// normal form must stay.
func checkSubstitution(t *testing.T, text string) {
	t.Helper()
	var s Splitter
	var st Statement
	s.Reset([]byte(text))
	if !s.Next(&st) || !st.Strippable || st.Empty {
		return
	}
	var out strings.Builder
	from := st.Start
	for _, lit := range st.Literals {
		out.WriteString(text[from:lit.Start])
		out.WriteString(otherLiteral(text[lit.Start:lit.End], lit.Kind))
		from = lit.End
	}
	out.WriteString(text[from:st.End])
	form := string(st.Form)
	again, _, _ := normalised(out.String())
	want := strings.NewReplacer("\x01", "?i", "\x02", "?f", "\x03", "?s").Replace(form)
	if len(again) != 1 || again[0] != want {
		t.Fatalf("%q has normal form %q, but with other literals, %q, it is %q", text, want, out.String(), again)
	}
}

// otherLiteral is another literal of the same kind that leaves its neighbours
// apart as the first did.
func otherLiteral(lit string, kind Kind) string {
	switch {
	case kind == Integer:
		return "77"
	case kind == Float && lit[0] == '.':
		return ".7"
	case kind == Float:
		return "7.7"
	case kind == EString:
		return `E'\'seven ; /*'`
	case kind == DollarString:
		return "$s$' ; /*$s$"
	}
	return "'seven ; /*'"
}

func sameTokens(t *testing.T, x, y string) {
	t.Helper()
	if _, ok := scanAll(x); !ok {
		return
	}
	if _, ok := scanAll(y); !ok {
		return
	}
	a, aerr := pg.Scan(x)
	b, berr := pg.Scan(y)
	if aerr != nil || berr != nil {
		return
	}
	one, two := withoutComments(a.Tokens), withoutComments(b.Tokens)
	for i := range one {
		if i >= len(two) || class1(one[i]) != class1(two[i]) {
			t.Fatalf("%q and %q have one normal form, but token %d differs", x, y, i)
		}
	}
	if len(one) != len(two) {
		t.Fatalf("%q and %q have one normal form, but %d and %d tokens", x, y, len(one), len(two))
	}
}

// class1 is a token's kind; integers are one kind whatever their size.
func class1(tok *pg.ScanToken) pg.Token {
	if tok.Token == pg.Token_FCONST {
		return pg.Token_ICONST
	}
	return tok.Token
}

func withoutComments(tokens []*pg.ScanToken) []*pg.ScanToken {
	var out []*pg.ScanToken
	for _, tok := range tokens {
		if tok.Token != pg.Token_SQL_COMMENT && tok.Token != pg.Token_C_COMMENT && tok.Token != pg.Token_ASCII_59 {
			out = append(out, tok)
		}
	}
	return out
}

func TestNormaliseDoesNotAllocate(t *testing.T) {
	text := []byte("SELECT abalance FROM pgbench_accounts WHERE aid = 12345;")
	var s Splitter
	var st Statement
	run := func() {
		s.Reset(text)
		s.Next(&st)
	}
	run()
	if n := testing.AllocsPerRun(100, run); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkNormalisePointSelect(b *testing.B) {
	text := []byte("SELECT abalance FROM pgbench_accounts WHERE aid = 12345;")
	var s Splitter
	var st Statement
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		s.Reset(text)
		s.Next(&st)
	}
}

func BenchmarkNormaliseHundredRows(b *testing.B) {
	text := []byte("INSERT INTO t (a, b, c) VALUES " + strings.TrimSuffix(strings.Repeat("(12345, 'some text', 1.5), ", 100), ", "))
	var s Splitter
	var st Statement
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		s.Reset(text)
		s.Next(&st)
	}
}
