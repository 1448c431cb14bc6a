package difftest

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/pgring/pgring/internal/golden"
)

// The list of refused statements in the documentation stands between two marks. PGRING_UPDATE=1 writes it anew, to be read in the
// diff of the commit.
const (
	supportDoc = "../../docs/sql-support.md"
	beginMark  = "<!-- refused statements: PGRING_UPDATE=1 go test -run Handwritten ./e2e/difftest -->\n"
	endMark    = "<!-- end of refused statements -->\n"
)

// checkRefusals holds the documentation's list of refused statements against what was refused.
func checkRefusals(t *testing.T, outcomes []outcome) {
	t.Helper()
	text, err := os.ReadFile(supportDoc)
	must(t, err)
	before, rest, begun := strings.Cut(string(text), beginMark)
	have, after, ended := strings.Cut(rest, endMark)
	if !begun || !ended {
		t.Fatalf("%s has no marks for the refused statements", supportDoc)
	}
	want := listRefusals(outcomes)
	switch {
	case have == want:
	case os.Getenv("PGRING_UPDATE") == "1":
		must(t, os.WriteFile(supportDoc, []byte(before+beginMark+want+endMark+after), 0o644))
	default:
		t.Errorf("the refused statements differ from those of %s (- file, + refused; PGRING_UPDATE=1 go test accepts them):\n%s", supportDoc, golden.Diff(have, want))
	}
}

// listRefusals groups the refused statements by their reason.
func listRefusals(outcomes []outcome) string {
	byReason := map[string][]string{}
	answered := 0
	for _, o := range outcomes {
		if o.verdict == equal {
			answered++
		}
		if o.verdict == refused && !strings.HasPrefix(o.reason, followsPrefix) {
			text := strings.Join(strings.Fields(o.text), " ")
			byReason[o.reason] = append(byReason[o.reason], shortened(text, 200))
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d of the %d statements in [testdata/difftest](../testdata/difftest) are answered as by one PostgreSQL. Refused are, by reason:\n", answered, len(outcomes))
	for _, reason := range slices.Sorted(maps.Keys(byReason)) {
		fmt.Fprintf(&b, "\n* %s\n", reason)
		for _, text := range byReason[reason] {
			fmt.Fprintf(&b, "  * `%s`\n", text)
		}
	}
	return b.String()
}

// shortened cuts a text to a number of characters.
func shortened(text string, most int) string {
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return text
}
