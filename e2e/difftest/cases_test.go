package difftest

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A file of cases holds statements that end with a semicolon at the end of a line. Lines in front of one say more:
//
//	--$ 42 int8:7 'x y' null     values of parameters; with a type they are also sent in binary
//	--within SELECT …            each row of the answer must be a row of this one
//	--free                       only the number of rows is fixed
//	--ordered                    the order of the rows is fixed although the statement has no ORDER BY
//	--begin [simple]             until --end the statements belong to one session; simple: several texts in one Query message
//
// The data of COPY FROM STDIN follow the statement and end with a line \.

// testCase is a session of one or more statements.
type testCase struct {
	file  string
	line  int
	only  mode // 0: all modes
	steps []step
}

type step struct {
	statement
	line   int
	expect expectation
	within string

	explain bool // EXPLAIN of it comes first
}

func (c *testCase) place() string { return fmt.Sprintf("%s:%d", c.file, c.line) }

// caseReader cuts a file into cases.
type caseReader struct {
	t      testing.TB
	cases  []testCase
	open   *testCase // between --begin and --end
	step   step
	body   []string
	data   []string
	copies bool // the lines are data
}

// casesVariable names one file of cases to run alone.
const casesVariable = "PGRING_CASES"

func readCases(t testing.TB) []testCase {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(caseDir, cmp.Or(os.Getenv(casesVariable), "*")+".sql"))
	must(t, err)
	var cases []testCase
	for _, file := range files {
		text, err := os.ReadFile(file)
		must(t, err)
		r := caseReader{t: t}
		name := strings.TrimSuffix(filepath.Base(file), ".sql")
		for i, line := range strings.Split(string(text), "\n") {
			r.read(name, i+1, line)
		}
		if r.open != nil || len(r.body) > 0 || r.copies {
			t.Fatalf("%s ends in the middle of a case", file)
		}
		cases = append(cases, r.cases...)
	}
	return cases
}

func (r *caseReader) read(file string, number int, line string) {
	r.t.Helper()
	switch {
	case r.copies:
		r.readData(file, line)
	case len(r.body) == 0 && strings.TrimSpace(line) == "":
	case len(r.body) == 0 && strings.HasPrefix(line, "--"):
		r.direct(file, number, line)
	default:
		if len(r.body) == 0 {
			r.step.line = number
		}
		r.body = append(r.body, line)
		if strings.HasSuffix(line, ";") {
			r.step.text = strings.TrimSuffix(strings.Join(r.body, "\n"), ";")
			r.body = nil
			upper := strings.ToUpper(r.step.text)
			if r.copies = strings.HasPrefix(upper, "COPY") && strings.Contains(upper, "FROM STDIN"); !r.copies {
				r.finish(file)
			}
		}
	}
}

func (r *caseReader) readData(file, line string) {
	if line != `\.` {
		r.data = append(r.data, line+"\n")
		return
	}
	r.step.copyIn, r.step.data = true, strings.Join(r.data, "")
	r.copies, r.data = false, nil
	r.finish(file)
}

func (r *caseReader) finish(file string) {
	if r.open != nil {
		r.open.steps = append(r.open.steps, r.step)
	} else {
		r.cases = append(r.cases, testCase{file: file, line: r.step.line, steps: []step{r.step}})
	}
	r.step = step{}
}

// direct obeys a line that begins with two dashes; with a space after them it is a comment.
func (r *caseReader) direct(file string, number int, line string) {
	r.t.Helper()
	word, rest, _ := strings.Cut(strings.TrimPrefix(line, "--"), " ")
	switch word {
	case "":
	case "$":
		r.step.params = readParams(r.t, rest)
	case "within":
		r.step.within = rest
	case "free":
		r.step.expect.free = true
	case "ordered":
		r.step.expect.ordered = true
	case "begin":
		r.open = &testCase{file: file, line: number}
		if rest == "simple" {
			r.open.only = simple
		}
	case "end":
		r.cases = append(r.cases, *r.open)
		r.open = nil
	default:
		r.t.Fatalf("%s:%d: %q is not known", file, number, line)
	}
}

var typeNames = map[string]uint32{"bool": 16, "bytea": 17, "int8": 20, "int2": 21, "int4": 23, "text": 25, "float8": 701, "date": 1082,
	"timestamptz": 1184, "numeric": 1700, "uuid": 2950, "varchar": 1043, "int8s": 1016, "int4s": 1007, "texts": 1009, "jsonb": 3802}

// readParams reads values, which have no spaces but in quotes.
func readParams(t testing.TB, text string) []param {
	t.Helper()
	params := []param{}
	for text = strings.TrimSpace(text); text != ""; text = strings.TrimSpace(text) {
		var p param
		if name, rest, ok := strings.Cut(text, ":"); ok && typeNames[name] != 0 {
			p.oid, text = typeNames[name], rest
		}
		value, rest, _ := strings.Cut(text, " ")
		if strings.HasPrefix(text, "'") {
			value, rest, _ = strings.Cut(text[1:], "'")
			p.data = []byte(value)
		} else if value != "null" {
			p.data = []byte(value)
		}
		params, text = append(params, p), rest
	}
	return params
}
