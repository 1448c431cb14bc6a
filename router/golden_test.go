package router

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/pgring/pgring/router/internal/sql"
	"github.com/pgring/pgring/topology"
)

// The files testdata/router/*.sql hold statements, each followed by what the
// router makes of it in lines that begin with "-->". PGRING_UPDATE=1 writes
// those lines anew, to be read in the diff. A line "--$ 42 'x' int8:7 null"
// before a statement gives it parameters and sends it by the extended protocol.

const goldenDir = "../testdata/router"

// goldenCase is one statement of a golden file.
type goldenCase struct {
	line   int
	before []string // comments and blank lines
	params []Value
	ext    bool
	text   string
}

func TestGoldenFiles(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(goldenDir, "*.sql"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	statements := 0
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".sql"), func(t *testing.T) {
			statements += checkGolden(t, file)
		})
	}
	if statements < 250 {
		t.Errorf("only %d statements in the golden files", statements)
	}
}

func checkGolden(t *testing.T, file string) int {
	have, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	cases, tail := readGolden(t, string(have))
	var out strings.Builder
	r, snap := New(Config{}), newShop().snapshot(1)
	for _, c := range cases {
		for _, line := range c.before {
			out.WriteString(line + "\n")
		}
		out.WriteString(c.text + "\n")
		for _, line := range describe(t, r, snap, c) {
			out.WriteString("--> " + line + "\n")
		}
	}
	out.WriteString(strings.Join(tail, "\n"))
	if out.String() == string(have) {
		return len(cases)
	}
	if os.Getenv("PGRING_UPDATE") == "1" {
		if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return len(cases)
	}
	want, got := strings.Split(string(have), "\n"), strings.Split(out.String(), "\n")
	for i := range got {
		if i >= len(want) || want[i] != got[i] {
			t.Errorf("%s:%d:\n got %s\nwant %s", file, i+1, got[i], strings.Join(want[min(i, len(want)):min(i+1, len(want))], ""))
			break
		}
	}
	return len(cases)
}

// readGolden cuts a golden file into its statements.
func readGolden(t *testing.T, text string) (cases []goldenCase, tail []string) {
	var c goldenCase
	var body []string
	for i, line := range strings.Split(text, "\n") {
		switch {
		case strings.HasPrefix(line, "-->"):
			continue
		case len(body) == 0 && (line == "" || strings.HasPrefix(line, "-- ") || line == "--"):
			c.before = append(c.before, line)
			continue
		case len(body) == 0 && strings.HasPrefix(line, "--$"):
			c.before = append(c.before, line)
			c.params, c.ext = readParams(t, line), true
			continue
		}
		if len(body) == 0 {
			c.line = i + 1
		}
		body = append(body, line)
		if strings.HasSuffix(line, ";") {
			c.text = strings.Join(body, "\n")
			cases = append(cases, c)
			c, body = goldenCase{}, nil
		}
	}
	return cases, c.before
}

// readParams reads the values of a --$ line.
func readParams(t *testing.T, line string) []Value {
	oids := map[string]uint32{"int4": oidInt4, "int8": oidInt8, "text": oidText, "float8": oidFloat8, "numeric": oidNumeric, "uuid": oidUUID,
		"int8s": oidArrayI8, "varchar": oidVarchar, "bpchar": oidBpchar, "date": oidDate}
	params := []Value{}
	for _, field := range strings.Fields(line)[1:] {
		v := Value{}
		if name, rest, ok := strings.Cut(field, ":"); ok && oids[name] != 0 {
			v.OID = oids[name]
			field = rest
		}
		field = strings.ReplaceAll(field, "␣", " ")
		if v.Null = field == "null"; !v.Null {
			v.Data = []byte(strings.Trim(field, "'"))
		}
		params = append(params, v)
	}
	return params
}

func (c goldenCase) Value(i int) (Value, bool) {
	if i >= len(c.params) {
		return Value{}, false
	}
	return c.params[i], true
}

// describe says in lines what the router makes of a statement.
func describe(t *testing.T, r *Router, snap *topology.Snapshot, c goldenCase) []string {
	env := testEnv()
	if strings.Contains(strings.Join(c.before, " "), "temp: ") {
		env = env.WithTempTables([]string{"orders", "scratch"})
	}
	st, values, err := goldenStatement(r, snap, env, c)
	if err != nil {
		return describeError(err)
	}
	p, err := st.Plan(snap, values)
	if err != nil {
		return append(describeStatement(st), describeError(err)...)
	}
	lines := append(describeStatement(st), describePlan(p))
	if p.SQL != "" {
		lines = append(lines, "sends "+p.SQL)
	}
	if p.Copy != nil {
		lines = append(lines, "makes "+p.Copy.Create)
	}
	for _, e := range p.Explained {
		if e.Shard != "" {
			e.Line = "asks " + string(e.Shard) + " for " + e.SQL
		}
		lines = append(lines, e.Line)
	}
	lines = append(lines, describeParts(p.Parts, p.Copy != nil)...)
	return append(lines, describeMerge(p.Merge)...)
}

// describeParts lists the texts of the shards; those of a pull once for all
// that get the same.
func describeParts(parts []Part, together bool) []string {
	var lines []string
	for i, part := range parts {
		same := func(other Part) bool { return together && other.SQL == part.SQL }
		if part.SQL == "" || slices.ContainsFunc(parts[:i], same) {
			continue
		}
		line := string(part.Shard)
		for _, other := range parts[i+1:] {
			if same(other) {
				line += " " + string(other.Shard)
			}
		}
		lines = append(lines, line+" gets "+part.SQL)
	}
	return lines
}

func goldenStatement(r *Router, snap *topology.Snapshot, env *Env, c goldenCase) (*Statement, Values, error) {
	text := []byte(strings.TrimSuffix(c.text, ";"))
	if c.ext {
		st, err := r.Parse(snap, env, text)
		return st, c, err
	}
	var scratch Scratch
	bounds, err := r.Query(snap, env, text, &scratch)
	if err != nil {
		return nil, nil, err
	}
	return bounds[0].Statement, bounds[0].Values, nil
}

func describeStatement(st *Statement) []string {
	var notes []string
	if st.Verb != Plain {
		notes = append(notes, "verb "+verbNames[st.Verb])
	}
	if st.Name != "" {
		notes = append(notes, "name "+st.Name)
	}
	for _, g := range st.Generated {
		notes = append(notes, g.Function+" as "+g.Column)
	}
	for _, s := range st.Settings {
		notes = append(notes, fmt.Sprintf("sets %s = %s%s", s.Name, s.Value, map[bool]string{true: " (local)"}[s.Local]))
	}
	if st.InnerText != "" {
		notes = append(notes, "inner "+st.InnerText)
	}
	if st.Pin != PinNone {
		notes = append(notes, "pins "+pinNames[st.Pin])
	}
	if st.NoTransaction {
		notes = append(notes, "outside transactions")
	}
	switch st.Access {
	case Write:
		notes = append(notes, "writes")
	case Define:
		notes = append(notes, "defines")
	}
	if len(notes) == 0 {
		return nil
	}
	return []string{strings.Join(notes, ", ")}
}

var verbNames = map[Verb]string{Empty: "empty", Begin: "begin", Commit: "commit", Rollback: "rollback", Savepoint: "savepoint",
	Release: "release", RollbackTo: "rollback to", PrepareTransaction: "prepare transaction", Set: "set", SetLocal: "set local",
	SetTransaction: "set transaction", Reset: "reset", ResetAll: "reset all", ShowLocal: "show local", Prepare: "prepare",
	Execute: "execute", Deallocate: "deallocate", DeallocateAll: "deallocate all", Discard: "discard", Listen: "listen",
	Unlisten: "unlisten", Notify: "notify", Declare: "declare", Fetch: "fetch", CloseCursor: "close", CopyIn: "copy in",
	CopyOut: "copy out", ExplainRoute: "explain route",
	Generate: "generate", CallOwn: "call own"}

var pinNames = map[Pin]string{PinListen: "listen", PinTemp: "temp", PinLock: "lock", PinCursor: "cursor", PinSettings: "settings",
	PinLibrary: "library"}

func describeError(err error) []string {
	refusal, ok := err.(*Refusal)
	if !ok {
		return []string{"error " + err.Error()}
	}
	lines := []string{"refused (" + refusal.Reason.String() + "): " + refusal.Message}
	if refusal.Detail != "" {
		lines = append(lines, "  detail: "+refusal.Detail)
	}
	if refusal.Hint != "" {
		lines = append(lines, "  hint: "+refusal.Hint)
	}
	return lines
}

func describePlan(p Plan) string {
	text := p.Kind.String()
	switch {
	case len(p.Parts) > 0:
		var parts []string
		for _, part := range p.Parts {
			parts = append(parts, string(part.Shard))
		}
		text += " in parts on " + strings.Join(parts, " ")
		if p.Kind == Pull {
			text += " for " + string(p.Shard)
		}
	case len(p.Shards) > 0:
		var shards []string
		for _, shard := range p.Shards {
			shards = append(shards, string(shard))
		}
		text += " on " + strings.Join(shards, " ")
	default:
		text += " on " + string(p.Shard)
	}
	if p.Anywhere {
		text += ", anywhere"
	}
	return text
}

func describeMerge(m *Merge) []string {
	if m == nil {
		return nil
	}
	var notes []string
	for _, k := range m.Order {
		note := "column " + strconv.Itoa(k.Column)
		for name, on := range map[string]bool{" desc": k.Desc, " nulls first": k.NullsFirst, " bytewise": k.Bytewise} {
			if on {
				note += name
			}
		}
		notes = append(notes, "sorted by "+sortWords(note))
	}
	names := map[Aggregate]string{AggCount: "count", AggSum: "sum", AggMin: "min", AggMax: "max", AggBoolAnd: "bool_and", AggBoolOr: "bool_or"}
	for _, agg := range m.Aggregates {
		notes = append(notes, names[agg])
	}
	if m.Limit >= 0 {
		notes = append(notes, "limit "+strconv.FormatInt(m.Limit, 10))
	}
	if m.Offset > 0 {
		notes = append(notes, "offset "+strconv.FormatInt(m.Offset, 10))
	}
	if m.Hidden > 0 {
		notes = append(notes, strconv.Itoa(m.Hidden)+" hidden")
	}
	if m.Unsure {
		notes = append(notes, "if the types can be merged")
	}
	if len(notes) == 0 {
		return []string{"merge: concatenated"}
	}
	return []string{"merge: " + strings.Join(notes, ", ")}
}

// sortWords puts the words of a sort key in a fixed order.
func sortWords(note string) string {
	out := strings.Join(strings.Fields(note)[:2], " ")
	for _, word := range []string{"desc", "nulls first", "bytewise"} {
		if strings.Contains(note, word) {
			out += " " + word
		}
	}
	return out
}

// The statements of the golden files are cut at lines that end with a
// semicolon; the splitter must agree that each is one.
func TestGoldenStatementsAreSingle(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join(goldenDir, "*.sql"))
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		cases, _ := readGolden(t, string(text))
		for _, c := range cases {
			var splitter sql.Splitter
			var st sql.Statement
			splitter.Reset(bytes.TrimSpace([]byte(c.text)))
			if splitter.Next(&st) && splitter.Next(&st) {
				t.Errorf("%s:%d: several statements", file, c.line)
			}
		}
	}
}
