package admin

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func sampleColumns() []column {
	return []column{{"name", text, ""}, {"n", integer, ""}, {"share", float, ""}, {"note", text, ""}}
}

func sampleRows() []row {
	return []row{
		{"s1", int64(9), 25.5, nil},
		{"s10", int64(10), 24.5, "b"},
		{"s2", int64(-3), nil, "a"},
		{"t_1", int64(9), 50.0, "it's"},
	}
}

func TestFiltersKeepOrderAndLimitRows(t *testing.T) {
	for filter, want := range map[string]string{
		"":                            "s1 s10 s2 t_1",
		"LIKE 's%'":                   "s1 s10 s2",
		"LIKE 's_'":                   "s1 s2",
		`LIKE '%\_%'`:                 "t_1",
		"LIKE S%":                     "",
		"WHERE n = 9":                 "s1 t_1",
		"WHERE n <> 9":                "s10 s2",
		"WHERE n != '9'":              "s10 s2",
		"WHERE n > 9":                 "s10",
		"WHERE n >= 9 AND share < 50": "s1 s10",
		"WHERE n <= -3":               "s2",
		"WHERE share > 1e1":           "s1 s10 t_1",
		"WHERE note IS NULL":          "s1",
		"WHERE note IS NOT NULL":      "s10 s2 t_1",
		"WHERE note = 'it''s'":        "t_1",
		"WHERE note <> 'a'":           "s10 t_1",
		"WHERE note >= b":             "s10 t_1",
		"WHERE name LIKE '%1%' AND name NOT LIKE '%0'": "s1 t_1",
		"WHERE n LIKE '1%'":                            "s10",
		"ORDER BY n":                                   "s2 s1 t_1 s10",
		"ORDER BY n DESC":                              "s10 s1 t_1 s2",
		"ORDER BY n ASC, name DESC":                    "s2 t_1 s1 s10",
		"ORDER BY share":                               "s10 s1 t_1 s2",
		"ORDER BY share DESC":                          "t_1 s1 s10 s2",
		"ORDER BY note DESC LIMIT 2":                   "t_1 s10",
		"LIMIT 0":                                      "",
		"LIMIT 9":                                      "s1 s10 s2 t_1",
		"LIKE 's%' WHERE n > 0 ORDER BY NAME DESC LIMIT 1": "s10",
	} {
		f, err := readFilter(reader(t, filter), sampleColumns())
		if err != nil {
			t.Errorf("%q: %v", filter, err)
			continue
		}
		var names []string
		for _, r := range f.apply(sampleRows()) {
			names = append(names, r[0].(string))
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%q keeps %q, want %q", filter, got, want)
		}
	}
}

func TestLikeIsARegularExpressionOfAnyTextAndAnyCharacter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringOf(rapid.SampledFrom([]rune("ab%_é"))).Draw(t, "pattern")
		given := rapid.StringOf(rapid.SampledFrom([]rune("abé"))).Draw(t, "text")
		expression := regexp.MustCompile("(?s)^" + strings.NewReplacer("%", ".*", "_", ".").Replace(pattern) + "$")
		if like(pattern, given) != expression.MatchString(given) {
			t.Fatalf("like(%q, %q) is %t", pattern, given, like(pattern, given))
		}
	})
}

func TestNearestFindsSlipsOfTheFinger(t *testing.T) {
	names := []string{"SHOW POOLS", "SHOW CLIENTS", "RELOAD", "user", "shard"}
	for given, want := range map[string]string{
		"show pols": "SHOW POOLS", "SHOW CLEINTS": "SHOW CLIENTS", "relaod": "RELOAD", "usr": "user", "sahrd": "shard", "frobnicate": "", "": "",
		strings.Repeat("x", 10_000): "",
	} {
		if got := nearest(given, names); got != want {
			t.Errorf("nearest to %.20q is %q, want %q", given, got, want)
		}
	}
	if d := editDistance("kitten", "sitting"); d != 3 {
		t.Error(fmt.Sprint("kitten and sitting differ by ", d))
	}
}
