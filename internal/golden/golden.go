package golden

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Check fails the test with a line diff when got differs from testdata/<name>.golden. A name may hold slashes, so t.Name()
// of a subtest makes a directory.
func Check(t testing.TB, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", filepath.FromSlash(name)+".golden")
	if os.Getenv("PGRING_UPDATE") == "1" {
		if err := write(path, got); err != nil {
			t.Fatalf("update golden file: %v", err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("%s does not exist; PGRING_UPDATE=1 go test writes it. Got:\n%s", path, got)
	}
	if err != nil {
		t.Fatalf("read golden file: %v", err)
	}
	if string(want) != got {
		t.Errorf("differs from %s (- file, + got; PGRING_UPDATE=1 go test accepts it):\n%s", path, Diff(string(want), got))
	}
}

func write(path, text string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o644)
}

const around = 3 // equal lines shown before and after a difference

// Diff shows how two texts differ by line: "-" lines only in want, "+" lines only in got, a few equal lines around them with
// their number in got, and "…" for more equal lines. Equal texts give "".
func Diff(want, got string) string {
	if want == got {
		return ""
	}
	lines := align(split(want), split(got))
	near := make([]bool, len(lines))
	for i, l := range lines {
		if l.mark == ' ' {
			continue
		}
		for j := max(0, i-around); j <= min(len(lines)-1, i+around); j++ {
			near[j] = true
		}
	}
	var b strings.Builder
	for i, l := range lines {
		switch {
		case near[i]:
			fmt.Fprintf(&b, "%4d %c %s\n", l.number, l.mark, l.text)
		case i == 0 || near[i-1]:
			b.WriteString("     …\n")
		}
	}
	return b.String()
}

// split cuts a text into lines and marks what an eye would miss: a missing newline at the end and spaces before one.
func split(text string) []string {
	if text == "" {
		return nil
	}
	lines := strings.SplitAfter(text, "\n")
	if last := len(lines) - 1; lines[last] == "" {
		lines = lines[:last]
	} else {
		lines[last] += "⟨no newline at the end⟩"
	}
	for i, line := range lines {
		line = strings.TrimSuffix(line, "\n")
		bare := strings.TrimRight(line, " \t\r")
		blank := strings.NewReplacer(" ", "·", "\t", "→", "\r", "␍").Replace(line[len(bare):])
		lines[i] = bare + blank
	}
	return lines
}

// line is one line of a diff; number is its place in the text it comes from.
type line struct {
	mark   rune
	number int
	text   string
}

// align pairs equal lines by the longest common subsequence. Golden files are short, so the quadratic table is fine.
func align(want, got []string) []line {
	common := make([][]int, len(want)+1) // of want[i:] and got[j:]
	for i := range common {
		common[i] = make([]int, len(got)+1)
	}
	for i := len(want) - 1; i >= 0; i-- {
		for j := len(got) - 1; j >= 0; j-- {
			if want[i] == got[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	var lines []line
	i, j := 0, 0
	for i < len(want) || j < len(got) {
		switch {
		case i < len(want) && j < len(got) && want[i] == got[j]:
			lines = append(lines, line{' ', j + 1, got[j]})
			i, j = i+1, j+1
		case j == len(got) || i < len(want) && common[i+1][j] >= common[i][j+1]:
			lines = append(lines, line{'-', i + 1, want[i]})
			i++
		default:
			lines = append(lines, line{'+', j + 1, got[j]})
			j++
		}
	}
	return lines
}
