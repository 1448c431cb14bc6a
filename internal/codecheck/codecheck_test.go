package codecheck_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgring/pgring/internal/codecheck"
	"github.com/pgring/pgring/internal/golden"
)

func TestRepositoryKeepsTheRules(t *testing.T) {
	problems, err := codecheck.Check("../..", "github.com/pgring/pgring")
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range problems {
		t.Errorf("%s", problem)
	}
}

func TestEachRuleFires(t *testing.T) {
	golden.Check(t, "bad", report(t, "testdata/bad"))
}

func TestWhatIsAllowedStaysSilent(t *testing.T) {
	if got := report(t, "testdata/good"); got != "" {
		t.Errorf("problems in good code:\n%s", got)
	}
}

func TestBudgetsAreExact(t *testing.T) {
	for name, test := range map[string]struct {
		file string
		text string
		want string
	}{
		"function of 80 lines": {"ring/f.go", function(80), ""},
		"function of 81 lines": {"ring/f.go", function(81), "ring/f.go:3: function-length: long has 81 lines, more than 80\n"},
		"long test function":   {"ring/f_test.go", function(300), ""},
		"literal of 81 lines": {"ring/f.go", "package ring\n\nvar long = func() {" + strings.Repeat("\n", 80) + "}\n",
			"ring/f.go:3: function-length: a function literal has 81 lines, more than 80\n"},
		"file of 600 lines":       {"ring/f.go", "package ring\n" + strings.Repeat("\n", 599), ""},
		"file of 601 lines":       {"ring/f.go", "package ring\n" + strings.Repeat("\n", 600), "ring/f.go:1: file-length: 601 lines, more than 600; split it by role\n"},
		"test file of 1000 lines": {"ring/f_test.go", "package ring\n" + strings.Repeat("\n", 999), ""},
		"test file of 1001 lines": {"ring/f_test.go", "package ring\n" + strings.Repeat("\n", 1000), "ring/f_test.go:1: file-length: 1001 lines, more than 1000; split it by role\n"},
		"nesting of 5":            {"ring/f.go", nested(5), ""},
		"nesting of 6":            {"ring/f.go", nested(6), "ring/f.go:9: nesting: deep is nested 6 deep, more than 5\n"},
		"no doc.go but tests":     {"ids/f_test.go", "package ids\n", ""},
		"no doc.go":               {"ids/f.go", "package ids\n", "ids/f.go:1: package-doc: package ids has no doc.go\n"},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			write(t, filepath.Join(root, "ring", "doc.go"), "// Package ring is an example.\npackage ring\n")
			write(t, filepath.Join(root, test.file), test.text)
			if got := report(t, root); got != test.want {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
		})
	}
}

func TestSourceThatDoesNotParseIsAnError(t *testing.T) {
	root := t.TempDir()
	if _, err := codecheck.Check(root, "example.com/m"); err == nil {
		t.Error("a folder without sources passed")
	}
	write(t, filepath.Join(root, "broken.go"), "package")
	if _, err := codecheck.Check(root, "example.com/m"); err == nil {
		t.Error("broken source passed")
	}
}

func function(lines int) string {
	return fmt.Sprintf("package ring\n\nfunc long() {%s}\n", strings.Repeat("\n", lines-1))
}

func nested(levels int) string {
	return fmt.Sprintf("package ring\n\nfunc deep() {\n%s%s}\n", strings.Repeat("for {\n", levels), strings.Repeat("}\n", levels))
}

func report(t *testing.T, root string) string {
	t.Helper()
	problems, err := codecheck.Check(root, "example.com/m")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, problem := range problems {
		fmt.Fprintln(&b, problem)
	}
	return b.String()
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
